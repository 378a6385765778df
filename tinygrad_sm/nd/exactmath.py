"""Elementary functions of `decimal.Decimal`, right to within a unit in the last of any chosen number of digits.

No value passes through a binary float, and the thread's own decimal context is neither obeyed nor changed. Arguments
are taken as they are, however many digits they have; edge cases answer as IEEE 754 and C's math library do, with
infinities and NaN in place of exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from functools import cache, lru_cache, partial, reduce
from itertools import count, starmap
from math import isqrt

ZERO, HALF, ONE, TWO, NAN = Decimal(0), Decimal("0.5"), Decimal(1), Decimal(2), Decimal("NaN")
MINUS_HALF, MINUS_ONE = Decimal("-0.5"), Decimal(-1)

GUARD = 10  # digits carried beyond those asked for: the longest series below round some thousand times, losing four
FARTHEST = 100_000  # sin(10**n) takes n digits of pi: seconds for this n, and beyond it the answer is NaN


def _new_context(precision: int, traps: list[type] | None = None) -> Context:
    """A context with every field given, as those left out would come from the changeable `decimal.DefaultContext`."""
    return Context(precision, ROUND_HALF_EVEN, MIN_EMIN, MAX_EMAX, capitals=1, clamp=0, flags=[], traps=traps or [])


_context = lru_cache(maxsize=1024)(_new_context)
_UNROUNDED = _new_context(MAX_PREC)  # only for sums and products known to be short enough to hold
_READING = _new_context(MAX_PREC, traps=[InvalidOperation])


def _chudnovsky(start: int, stop: int) -> tuple[int, int, int]:
    """The terms start <= k < stop of Chudnovsky's series over their common denominator: products P, Q and the sum T."""
    if stop - start == 1:
        p = (6 * start - 5) * (2 * start - 1) * (6 * start - 1)
        q = start**3 * 10_939_058_860_032_000  # 640320³ / 24
        return p, q, (-1) ** start * p * (13_591_409 + 545_140_134 * start)
    middle = (start + stop) // 2
    left_p, left_q, left_t = _chudnovsky(start, middle)
    right_p, right_q, right_t = _chudnovsky(middle, stop)
    return left_p * right_p, left_q * right_q, left_t * right_q + left_p * right_t


@lru_cache(maxsize=64)
def _pi(precision: int) -> Decimal:
    """Pi to at least `precision` digits as 426880 sqrt(10005) Q / (13591409 Q + T) (D. and G. Chudnovsky, 1988)."""
    context = _context(precision + GUARD)
    _, q, t = _chudnovsky(1, precision // 14 + 3)  # each term brings 14 digits
    root = context.multiply(426_880, context.sqrt(Decimal(10_005)))
    return context.divide(context.multiply(root, q), 13_591_409 * q + t)


def _series(context: Context, factor: Decimal, ratios: Iterable[tuple[int, int]]) -> Decimal:
    """1 + r1 f + r1 r2 f² + ... for a factor f and ratios r = (numerator, denominator), until that stands still."""
    total = term = ONE
    for numerator, denominator in ratios:
        term = context.divide(context.multiply(context.multiply(term, factor), numerator), denominator)
        total, previous = context.add(total, term), total
        if total == previous:
            break
    return total


def _sine(context: Context, angle: Decimal) -> Decimal:
    """Sine of an angle up to pi/4: Taylor's series at angle / 3**k, then k times sin 3a = sin a (3 - 4 sin² a)."""
    triplings = max(0, isqrt(context.prec) // 2 + 2 * angle.adjusted())  # balances triplings against terms
    part = context.divide(angle, 3**triplings)
    factor = context.multiply(part, part).copy_negate()
    sine = context.multiply(part, _series(context, factor, ((1, 2 * n * (2 * n + 1)) for n in count(1))))
    for _ in range(triplings):
        sine = context.multiply(sine, context.subtract(3, context.multiply(4, context.multiply(sine, sine))))
    return sine


def _arctangent(context: Context, slope: Decimal) -> Decimal:
    """Arc tangent of a slope in [0, 1]: k times atan s = 2 atan(s / (1 + sqrt(1 + s²))), then Euler's series.

    Euler's is atan s = s / (1 + s²) * (1 + 2/3 z + 2/3 4/5 z² + ...), z = s² / (1 + s²) (Abramowitz & Stegun 4.4.42).
    """
    halvings = max(0, isqrt(context.prec) // 3 + 3 * slope.adjusted())  # balances halvings against terms
    for _ in range(halvings):
        secant = context.sqrt(context.fma(slope, slope, ONE))
        slope = context.divide(slope, context.add(ONE, secant))
    share = context.divide(slope, context.fma(slope, slope, ONE))
    total = _series(context, context.multiply(slope, share), ((2 * n, 2 * n + 1) for n in count(1)))
    return context.multiply(2**halvings, context.multiply(share, total))


def _erfc_fraction(context: Context, double_square: Decimal) -> Decimal:
    """1 / (d + 1 / (1 + 2 / (d + 3 / (1 + 4 / (d + ...))))) at d = 2x² > 0, from DLMF 7.9.1 with halves cleared.

    The n-th convergent p/q and the one before enclose the value, n! / (q * previous q) apart: that tells when to stop.
    """
    factorial, before_p, before_q, p, q = ONE, ZERO, ONE, ONE, double_square
    for n in count(1):
        weight = ONE if n % 2 else double_square
        before_p, p = p, context.fma(weight, p, context.multiply(n, before_p))
        before_q, q = q, context.fma(weight, q, context.multiply(n, before_q))
        factorial = context.multiply(factorial, n)
        if factorial.adjusted() + context.prec < p.adjusted() + before_q.adjusted():
            break
    return context.divide(p, q)


def _is_integer(x: Decimal) -> bool:
    """Whether x is a whole number, however large."""
    return x.is_finite() and x == _UNROUNDED.to_integral_value(x)


def _is_odd(x: Decimal) -> bool:
    """Whether x is a whole number but its half is not: no remainder, which for 1e1000000000 fills the memory."""
    return _is_integer(x) and not _is_integer(_UNROUNDED.multiply(x, HALF))


@cache
def exact(digits: int) -> Exact:
    """The one `Exact` of this many digits."""
    return Exact(digits)


class Exact:
    """Arithmetic on single Decimals, rounded to `digits` digits, and functions within 0.51 units in the last of them."""

    def __init__(self, digits: int) -> None:
        context = _context(digits)
        self.digits, self.context = digits, context
        # Bound methods of the context, as these run once per element of whole arrays.
        self.add, self.subtract = context.add, context.subtract
        self.multiply, self.divide = context.multiply, context.divide
        self.negative, self.absolute = partial(context.multiply, MINUS_ONE), context.abs  # minus() would lose -0
        # The decimal module rounds these correctly itself, and has the edge cases wanted here.
        self.exp, self.log, self.sqrt = context.exp, context.ln, context.sqrt
        self._round = context.create_decimal  # unlike plus(), keeps the sign of -0

    def __repr__(self) -> str:
        return f"exact({self.digits})"

    @staticmethod
    def lift(value: int | float | str | Decimal) -> Decimal:
        """The value itself, never rounded: lift(0.1) has the 55 digits of that binary float. NaN is quieted."""
        number = Decimal(value, _READING)
        return NAN if number.is_snan() else number

    def pi(self) -> Decimal:
        """The circle's circumference over its diameter."""
        return self._round(_pi(self.digits + GUARD))

    def sum(self, terms: Iterable[Decimal]) -> Decimal:
        """The sum of the terms, right to the last digit however much of it cancels."""
        terms = list(terms)
        trial = _new_context(4 * self.digits + 100)  # its own, for the flag that tells whether it rounded
        total = reduce(trial.add, terms, ZERO)
        return self._round(self._sum_downwards(terms) if trial.flags[Inexact] else total)

    def dot(self, left: Iterable[Decimal], right: Iterable[Decimal]) -> Decimal:
        """The sum of the exact products of two equally long sequences, likewise."""
        return self.sum(starmap(_UNROUNDED.multiply, zip(left, right, strict=True)))

    def _sum_downwards(self, terms: list[Decimal]) -> Decimal:
        """The exact sum of the largest terms, those that can still touch the result.

        Taken in falling order, each term added lies within the margin of the total so far, so that the total never
        holds more digits than the margin and the longest term together, however far apart the exponents are.
        """
        unbounded = [term for term in terms if not term.is_finite()]
        if unbounded:
            return reduce(_UNROUNDED.add, unbounded, ZERO)
        margin = self.digits + GUARD + len(str(len(terms)))
        total = ZERO
        for term in sorted(filter(None, terms), key=Decimal.adjusted, reverse=True):
            if total and total.adjusted() - term.adjusted() > margin:
                break
            total = _UNROUNDED.add(total, term) if total else term  # adding to 0E+0 would write 1e1000000000 out
        return total

    def _wider(self) -> Exact:
        """The same functions with guard digits, for building functions out of them."""
        return exact(self.digits + GUARD)

    def _is_tiny(self, x: Decimal) -> bool:
        """Whether x² is lost to rounding beside 1."""
        return not x or 2 * x.adjusted() < -(self.digits + GUARD)

    def _beside_one(self, x: Decimal) -> Context:
        """A context in which 1 + x keeps all the digits of x that count."""
        return _context(self.digits + GUARD + max(0, -x.adjusted()))

    def expm1(self, x: Decimal) -> Decimal:
        """exp(x) - 1 with the digits carried that this cancels; for tiny x its series x (1 + x/2)."""
        if self._is_tiny(x):
            return self.multiply(x, self._wider().context.fma(x, HALF, ONE))
        wide = self._beside_one(x)
        return self._round(wide.subtract(wide.exp(x), ONE))

    def log1p(self, x: Decimal) -> Decimal:
        """log(1 + x) with the digits carried that the sum needs; for tiny x its series x (1 - x/2)."""
        if self._is_tiny(x):
            return self.multiply(x, self._wider().context.fma(x, MINUS_HALF, ONE))
        wide = self._beside_one(x)
        return self._round(wide.ln(wide.add(ONE, x)))

    def sinh(self, x: Decimal) -> Decimal:
        """(expm1(x) - expm1(-x)) / 2, where nothing cancels."""
        wide = self._wider()
        return self.multiply(wide.subtract(wide.expm1(x), wide.expm1(x.copy_negate())), HALF)

    def cosh(self, x: Decimal) -> Decimal:
        """(exp(x) + exp(-x)) / 2."""
        wide = self._wider()
        return self.multiply(wide.add(wide.exp(x), wide.exp(x.copy_negate())), HALF)

    def tanh(self, x: Decimal) -> Decimal:
        """-e / (2 + e) for x > 0 with e = expm1(-2x), which neither overflows nor cancels."""
        wide = self._wider()
        e = wide.expm1(wide.multiply(TWO, x.copy_abs().copy_negate()))
        return self.divide(e.copy_abs(), wide.add(TWO, e)).copy_sign(x)

    def _quadrant(self, x: Decimal) -> tuple[int, Decimal]:
        """n modulo 4 and r of x = n pi/2 + r, |r| <= pi/4, with so many digits of pi that r has all of its own."""
        if not x:
            return 0, x
        precision = self.digits + 2 * GUARD + max(0, x.adjusted())
        while True:
            context = _context(precision)
            half_pi = context.multiply(_pi(1 << precision.bit_length()), HALF)  # few sizes, so that the cache serves
            turns = context.to_integral_value(context.divide(x, half_pi))
            rest = context.fma(turns.copy_negate(), half_pi, x)
            if rest and precision + rest.adjusted() - x.adjusted() >= self.digits + GUARD:
                return int(_UNROUNDED.remainder(turns, Decimal(4))) % 4, rest
            precision *= 2

    def _sine_and_cosine(self, x: Decimal) -> tuple[Decimal, Decimal]:
        """Both at x, with guard digits: by series and sqrt(1 - sin²) after whole quarter turns are taken off."""
        if not x.is_finite() or x.adjusted() > FARTHEST:
            return NAN, NAN
        context = _context(self.digits + GUARD)
        turns, rest = self._quadrant(x)
        sine = _sine(context, rest)
        cosine = context.sqrt(context.fma(sine, sine.copy_negate(), ONE))
        for _ in range(turns):
            sine, cosine = cosine, sine.copy_negate()
        return sine, cosine

    def sin(self, x: Decimal) -> Decimal:
        """Sine of x radians."""
        return self._round(self._sine_and_cosine(x)[0])

    def cos(self, x: Decimal) -> Decimal:
        """Cosine of x radians."""
        return self._round(self._sine_and_cosine(x)[1])

    def tan(self, x: Decimal) -> Decimal:
        """sin x / cos x, each with all of its digits."""
        return self.divide(*self._sine_and_cosine(x))

    def atan(self, x: Decimal) -> Decimal:
        """Arc tangent; beyond 1 as pi/2 - atan(1/x)."""
        if x.is_nan():
            return NAN
        context = _context(self.digits + GUARD)
        slope = x.copy_abs()
        if slope <= ONE:
            return self._round(_arctangent(context, slope).copy_sign(x))
        angle = _arctangent(context, context.divide(ONE, slope))
        return self.subtract(context.multiply(_pi(context.prec), HALF), angle).copy_sign(x)

    def _is_near(self, square: Decimal) -> bool:
        """Whether at this x² the series for erf is quicker than the continued fraction for erfc."""
        return square < 2 * self.digits // 5 + 1

    def erf(self, x: Decimal) -> Decimal:
        """2x exp(-x²) / sqrt(pi) * (1 + 2x²/3 + (2x²)²/(3 5) + ...) (DLMF 7.6.2), all of one sign; or 1 - erfc(x)."""
        if x.is_nan():
            return NAN
        wide = self._wider()
        square = _UNROUNDED.multiply(x, x)
        if not self._is_near(square):
            return self.subtract(ONE, wide._erfc_far(x.copy_abs(), square)).copy_sign(x)
        total = _series(wide.context, wide.multiply(TWO, square), ((1, 2 * n + 1) for n in count(1)))
        return self.multiply(x, wide.multiply(TWO, wide.multiply(total, wide._bell(square))))

    def erfc(self, x: Decimal) -> Decimal:
        """1 - erf(x) with the digits carried that this cancels; for large x, where they would be many, by `_erfc_far`."""
        if x.is_nan():
            return NAN
        square = _UNROUNDED.multiply(x, x)
        if x.is_signed() or self._is_near(square):
            cancelled = self.digits // 5 + 2  # at most, as erfc(x) > 10**-cancelled where x is near
            return self.subtract(ONE, exact(self.digits + GUARD + cancelled).erf(x))
        return self._round(self._wider()._erfc_far(x, square))

    def _bell(self, square: Decimal) -> Decimal:
        """exp(-x²) / sqrt(pi), given the exact x²."""
        return self.divide(self.exp(square.copy_negate()), self.sqrt(_pi(self.digits)))

    def _erfc_far(self, x: Decimal, square: Decimal) -> Decimal:
        """Erfc of a large x > 0 by its continued fraction (DLMF 7.9.1)."""
        bell = self._bell(square)
        if not bell:
            return bell  # no fraction to sum, and x² may be infinite
        fraction = _erfc_fraction(self.context, self.multiply(TWO, square))
        return self.multiply(self.multiply(TWO, x), self.multiply(bell, fraction))

    def power(self, base: Decimal, exponent: Decimal) -> Decimal:
        """C's pow(): the power of |base|, negative for a negative base and an odd exponent (C17 annex F.10.4.4)."""
        if not exponent or not self.context.compare(base, ONE):  # even where the other is NaN
            return ONE
        if base.is_signed() and base and base.is_finite() and exponent.is_finite() and not _is_integer(exponent):
            return NAN
        result = self._round(_context(self.digits + GUARD).power(base.copy_abs(), exponent))
        return result.copy_negate() if base.is_signed() and _is_odd(exponent) else result
