"""Errors in units in the last place: how far a float is from an exact number, in the spacing of the floats around that."""

from __future__ import annotations

from decimal import Context, Decimal
from math import frexp, inf, isinf, isnan, ldexp, ulp
from typing import Any, NamedTuple

from tinygrad_sm import nd
from tinygrad_sm.graph.namespaces import SCALARS, namespace_of

_WIDE = Context(prec=60, Emax=999_999_999, Emin=-999_999_999)


class Precision(NamedTuple):
    """A type of floats: its name, the bits of its significands, its smallest and its largest power of two."""

    name: str
    bits: int
    lowest: int  # the subnormal floats end at 2**lowest
    highest: int  # and all of them below 2**highest

    def ulp(self, x: Decimal | float) -> float:
        """The spacing of the floats around `x`; that of the largest ones beyond them."""
        try:
            x = abs(float(x))
        except OverflowError:
            x = inf
        if self is DOUBLE and not isinf(x):
            return ulp(x)
        exponent = self.highest if isinf(x) else min(frexp(x)[1], self.highest) if x else self.lowest
        return ldexp(1.0, max(exponent - self.bits, self.lowest))

    def error(self, got: float, exact: Decimal, unit: Decimal | float | None = None) -> float:
        """|got - exact| in units in the last place of `unit` or of the exact number, whichever is larger.

        Two infinities of one sign, and two nan, are equal; an exact number beyond the largest float should be inf.
        """
        if isnan(got) or exact.is_nan():
            return 0.0 if isnan(got) and exact.is_nan() else inf
        if isinf(got):
            beyond = ldexp(1.0, self.highest - 1)  # half of what would be the next float; no overflow in a double
            if exact.is_infinite() or _WIDE.divide(exact.copy_abs(), Decimal(2)) >= Decimal(beyond):
                return 0.0 if (got > 0) == (exact > 0) else inf
            got_exact = Decimal(2**self.highest if got > 0 else -(2**self.highest))
        elif exact.is_infinite():
            return inf
        else:
            got_exact = Decimal(got)
        size = self.ulp(exact)
        if unit is not None:
            size = max(size, self.ulp(unit))
        return float(_WIDE.divide(_WIDE.subtract(got_exact, exact), Decimal(size)).copy_abs())


DOUBLE = Precision("float64", 53, -1074, 1024)


def precision_of(x: Any) -> Precision:
    """The precision of a float or of an array of any library."""
    if type(x) in SCALARS or isinstance(x, nd.Array):
        return DOUBLE
    info = namespace_of([x]).finfo(x.dtype)
    bits = 2 - frexp(float(info.eps))[1]
    lowest = frexp(float(info.smallest_normal))[1] - bits
    name = str(x.dtype).rpartition(".")[2]
    found = Precision(name, bits, lowest, frexp(float(info.max))[1])
    return DOUBLE if found[1:] == DOUBLE[1:] else found
