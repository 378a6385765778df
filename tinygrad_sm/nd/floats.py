"""IEEE arithmetic on Python floats: `math` raises where the standard says inf or nan; these functions never raise.

`FUNCTIONS` and `OPERATIONS` pair each name with a fast C function and with the guarded one that takes over when the fast
one raises, so that whole lists run at the speed of `map` and the rare edge costs one second pass.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from itertools import repeat
from math import copysign, fsum, inf, isfinite, isnan, nan

Unary = Callable[[float], float]
Binary = Callable[[float, float], float]


def _guard(function: Unary, at_error: Unary) -> Unary:
    """`function`, with `at_error(x)` where it raises."""

    def guarded(x: float) -> float:
        try:
            return function(x)
        except (ValueError, OverflowError):
            return at_error(x)

    return guarded


def _undefined(x: float) -> float:
    return nan


def _infinite(x: float) -> float:
    return inf


def _pole_at(pole: float) -> Unary:
    """-inf at the pole, where a logarithm starts, and nan to its left."""
    return lambda x: -inf if x == pole else nan


def _signed_infinity(x: float) -> float:
    return copysign(inf, x)


def _sign(x: float) -> float:
    return x if isnan(x) else float((x > 0.0) - (x < 0.0))


def _whole(function: Callable[[float], int]) -> Unary:
    """`math.floor` and its kin return ints and refuse inf; arrays of floats stay floats."""
    return lambda x: copysign(float(function(x)), x) if isfinite(x) else x


FUNCTIONS: dict[str, tuple[Unary, Unary]] = {
    "abs": (abs, abs),
    "positive": (float, float),
    "negative": (operator.neg, operator.neg),
    "sign": (_sign, _sign),
    "exp": (math.exp, _guard(math.exp, _infinite)),
    "expm1": (math.expm1, _guard(math.expm1, _infinite)),
    "log": (math.log, _guard(math.log, _pole_at(0.0))),
    "log2": (math.log2, _guard(math.log2, _pole_at(0.0))),
    "log10": (math.log10, _guard(math.log10, _pole_at(0.0))),
    "log1p": (math.log1p, _guard(math.log1p, _pole_at(-1.0))),
    "sqrt": (math.sqrt, _guard(math.sqrt, _undefined)),
    "sin": (math.sin, _guard(math.sin, _undefined)),
    "cos": (math.cos, _guard(math.cos, _undefined)),
    "tan": (math.tan, _guard(math.tan, _undefined)),
    "sinh": (math.sinh, _guard(math.sinh, _signed_infinity)),
    "cosh": (math.cosh, _guard(math.cosh, _infinite)),
    "tanh": (math.tanh, math.tanh),
    "atan": (math.atan, math.atan),
    "erf": (math.erf, math.erf),
    "erfc": (math.erfc, math.erfc),
    "floor": (_whole(math.floor), _whole(math.floor)),
    "ceil": (_whole(math.ceil), _whole(math.ceil)),
    "trunc": (_whole(math.trunc), _whole(math.trunc)),
    "round": (_whole(round), _whole(round)),
}


def divide(a: float, b: float) -> float:
    """a / b, with a / 0 = inf of the right sign and 0 / 0 = nan."""
    if b:
        return a / b
    return nan if not a or isnan(a) or isnan(b) else copysign(inf, a) * copysign(1.0, b)


def power(a: float, b: float) -> float:
    """a ** b as IEEE 754's pow: nan and never complex for a negative base, inf and no error when it overflows."""
    try:
        return math.pow(a, b)
    except OverflowError:
        return copysign(inf, a) if a < 0 and b % 2 == 1 else inf
    except ValueError:  # a negative base to a fraction, or zero to a negative power
        return nan if a else copysign(inf, a) if b % 2 == 1 else inf


def remainder(a: float, b: float) -> float:
    """a modulo b with the sign of b; nan for b = 0."""
    return a % b if b else nan


def floor_divide(a: float, b: float) -> float:
    """The quotient rounded down; as `divide` for b = 0."""
    return a // b if b and isfinite(a) else divide(a, b)


def maximum(a: float, b: float) -> float:
    """The larger one; nan if either is."""
    return a if a > b or a != a else b


def minimum(a: float, b: float) -> float:
    """The smaller one; nan if either is."""
    return a if a < b or a != a else b


OPERATIONS: dict[str, tuple[Binary, Binary]] = {
    "add": (operator.add, operator.add),
    "subtract": (operator.sub, operator.sub),
    "multiply": (operator.mul, operator.mul),
    "divide": (operator.truediv, divide),
    "pow": (math.pow, power),
    "remainder": (remainder, remainder),
    "floor_divide": (floor_divide, floor_divide),
    "maximum": (maximum, maximum),
    "minimum": (minimum, minimum),
}


def total(row: Sequence[float]) -> float:
    """The sum, rounded once (`math.fsum`), whatever the order of the terms."""
    try:
        return fsum(row)
    except (ValueError, OverflowError):  # inf - inf, or a partial sum beyond the largest float
        unbounded = [x for x in row if not isfinite(x)]
        if unbounded:
            return sum(unbounded)
    unit = 1 << 1074  # every float is a whole number of units of 1 / 2**1074
    whole = sum(a * (unit // b) for a, b in map(float.as_integer_ratio, row))
    try:
        return whole / unit
    except OverflowError:
        return inf if whole > 0 else -inf


def running_totals(row: Sequence[float]) -> list[float]:
    """The cumulative sums, each with the rounding errors of the ones before it put back (Neumaier's summation)."""
    totals, running, lost = [], 0.0, 0.0
    for x in row:
        new = running + x
        error = (running - new) + x if abs(running) >= abs(x) else (x - new) + running
        lost = lost + error if isfinite(new) else 0.0
        running = new
        totals.append(running + lost)
    return totals


if hasattr(math, "sumprod"):  # CPython 3.12 and newer: one C call, with the precision of twice a float
    _sumprod = math.sumprod

    def dots(rows: Sequence, columns: Sequence) -> list:
        """The sums of the products of each row with each column."""
        flat: list = []
        for row in rows:
            flat += map(_sumprod, repeat(row), columns)
        return flat
else:

    def dots(rows: Sequence, columns: Sequence) -> list:
        """The sums of the products of each row with each column."""
        multiply = operator.mul
        return [sum(map(multiply, row, column)) for row in rows for column in columns]


def has_nan(row: Sequence[float]) -> bool:
    """Whether any element is nan; one C pass where there is none, since a nan makes every sum a nan."""
    plain = sum(row)
    return plain != plain and any(map(isnan, row))
