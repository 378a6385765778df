"""Element types: bool, int, float and decimals of any precision, each with the arithmetic of its elements.

Every operation is a kernel on whole flat lists, found by name in the element type, so that an array never asks what its
elements are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache, reduce
from itertools import accumulate
from math import isfinite, isinf, isnan
from typing import Any

from tinygrad_sm.nd import floats
from tinygrad_sm.nd.exactmath import GUARD, ONE, exact

UnaryKernel = Callable[[list], list]
BinaryKernel = Callable[[Iterable, Iterable], list]

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}
LOGICAL: dict[str, Callable[[Any, Any], bool]] = {
    "logical_and": operator.and_,
    "logical_or": operator.or_,
    "logical_xor": operator.xor,
}


def each(function: Callable) -> UnaryKernel:
    """A kernel that calls `function` for every element."""
    return lambda flat: [*map(function, flat)]


def pairs(function: Callable) -> BinaryKernel:
    """A kernel that calls `function` for every pair of elements."""
    return lambda a, b: [*map(function, a, b)]


def _fast_each(fast: Callable, guarded: Callable) -> UnaryKernel:
    def kernel(flat: list) -> list:
        try:
            return [*map(fast, flat)]
        except (ValueError, OverflowError):
            return [*map(guarded, flat)]

    return kernel


def _fast_pairs(fast: Callable, guarded: Callable) -> BinaryKernel:
    def kernel(a: Iterable, b: Iterable) -> list:
        try:
            return [*map(fast, a, b)]
        except (ValueError, OverflowError, ZeroDivisionError):
            return [*map(guarded, a, b)]

    return kernel


def _larger(a: Iterable, b: Iterable) -> list:
    return [x if x > y or x != x else y for x, y in zip(a, b)]  # noqa: B905 (a number beside an array repeats without end)


def _smaller(a: Iterable, b: Iterable) -> list:
    return [x if x < y or x != x else y for x, y in zip(a, b)]  # noqa: B905


def _all(answer: bool) -> UnaryKernel:
    return lambda flat: [answer] * len(flat)


class DType:
    """An element type; two are the same type only if they are the same object.

    `rank` orders promotion: bool < int < float < decimal.
    """

    rank: int
    name: str
    unary: dict[str, UnaryKernel]
    binary: dict[str, BinaryKernel]

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> Any:  # copies and pickles are the same object
        return _of_rank, (self.rank,)

    def lift(self, x: Any) -> Any:
        """A Python number, or an element of a lower type, as an element of this one."""
        raise NotImplementedError

    def total(self, row: Sequence) -> Any:
        """The sum of a row."""
        return sum(row)

    dots = staticmethod(floats.dots)  # the sums of the products of each of some rows with each of some columns

    def product(self, row: Sequence) -> Any:
        """The product of a row."""
        return reduce(operator.mul, row, self.lift(1))

    def running_totals(self, row: Sequence) -> list:
        """The sums of the first 1, 2, ... elements."""
        return [*accumulate(row)]

    def has_nan(self, row: Sequence) -> bool:
        """Whether a row holds a nan."""
        return False

    def is_nan(self, x: Any) -> bool:
        """Whether one element is a nan."""
        return False


class _Bool(DType):
    rank, name = 0, "bool"
    unary: dict[str, UnaryKernel] = {"logical_not": each(operator.not_)}
    binary = {key: pairs(f) for key, f in (COMPARISONS | LOGICAL).items()}

    def lift(self, x: Any) -> bool:
        return bool(x)


def _whole_power(a: int, b: int) -> int:
    if b < 0:
        raise ValueError(f"pow: an integer to a negative power ({a} ** {b}); make one of the two a float first")
    return a**b


def _nonzero(function: Callable[[int, int], int], name: str) -> Callable[[int, int], int]:
    def checked(a: int, b: int) -> int:
        if b == 0:
            raise ValueError(f"{name}: an integer by zero; make one of the two a float first")
        return function(a, b)

    return checked


class _Int(DType):
    rank, name = 1, "int64"
    unary = {
        "abs": each(abs),
        "negative": each(operator.neg),
        "sign": each(lambda x: (x > 0) - (x < 0)),
        **dict.fromkeys(("positive", "floor", "ceil", "trunc", "round"), list),
        "isnan": _all(False),
        "isinf": _all(False),
        "isfinite": _all(True),
    }
    binary = {key: pairs(f) for key, f in COMPARISONS.items()} | {
        "add": pairs(operator.add),
        "subtract": pairs(operator.sub),
        "multiply": pairs(operator.mul),
        "pow": pairs(_whole_power),
        "remainder": pairs(_nonzero(operator.mod, "remainder")),
        "floor_divide": pairs(_nonzero(operator.floordiv, "floor_divide")),
        "maximum": _larger,
        "minimum": _smaller,
    }

    def lift(self, x: Any) -> int:
        try:
            return int(x)
        except (ValueError, OverflowError):
            raise ValueError(f"int64: {x} has no place among the ints") from None


class _Float(DType):
    rank, name = 2, "float64"
    unary = {key: _fast_each(*two) for key, two in floats.FUNCTIONS.items()} | {
        "isnan": each(isnan),
        "isinf": each(isinf),
        "isfinite": each(isfinite),
    }
    binary = {key: pairs(f) for key, f in COMPARISONS.items()} | {
        key: _fast_pairs(*two) for key, two in floats.OPERATIONS.items()
    }
    binary |= {"maximum": _larger, "minimum": _smaller}

    def lift(self, x: Any) -> float:
        try:
            return float(x)
        except OverflowError:  # an int beyond the largest float
            return floats.inf if x > 0 else -floats.inf

    total = staticmethod(floats.total)
    running_totals = staticmethod(floats.running_totals)
    has_nan = staticmethod(floats.has_nan)
    is_nan = staticmethod(isnan)  # type: ignore[assignment]


class _Decimal(DType):
    """Decimals of `digits` digits. Nothing here uses Python's operators on decimals: those round to the thread's context."""

    rank = 3

    def __init__(self, digits: int) -> None:
        number = self.number = exact(digits)
        self.digits, self.name = digits, f"decimal({digits})"
        self.lift = number.lift  # type: ignore[method-assign,assignment]
        self.total = number.sum  # type: ignore[method-assign,assignment]
        self.dots = lambda rows, columns: [number.dot(a, b) for a in rows for b in columns]
        compare, minus_one, zero, one = number.context.compare, Decimal(-1), Decimal(0), Decimal(1)

        def less(a: Decimal, b: Decimal) -> bool:
            return compare(a, b) == minus_one

        def greater(a: Decimal, b: Decimal) -> bool:
            return compare(a, b) == one

        def sign(x: Decimal) -> Decimal:
            return x if x.is_nan() else one.copy_sign(x) if x else zero

        wide = exact(digits + GUARD)

        def log2(x: Decimal) -> Decimal:
            return number.divide(wide.log(x), wide.log(Decimal(2)))

        def whole(rounding: str) -> Callable[[Decimal], Decimal]:
            return lambda x: x.to_integral_value(rounding=rounding, context=number.context) if x.is_finite() else x

        self.unary = {
            key: each(getattr(number, key))
            for key in "negative exp expm1 log log1p sqrt sin cos tan sinh cosh tanh atan erf erfc".split()
        } | {
            "log2": each(log2),
            "log10": each(number.context.log10),
            "abs": each(number.absolute),
            "positive": list,
            "sign": each(sign),
            "floor": each(whole("ROUND_FLOOR")),
            "ceil": each(whole("ROUND_CEILING")),
            "trunc": each(whole("ROUND_DOWN")),
            "round": each(whole("ROUND_HALF_EVEN")),
            "isnan": each(Decimal.is_nan),
            "isinf": each(Decimal.is_infinite),
            "isfinite": each(Decimal.is_finite),
        }
        self.binary = {
            "add": pairs(number.add),
            "subtract": pairs(number.subtract),
            "multiply": pairs(number.multiply),
            "divide": pairs(number.divide),
            "pow": pairs(number.power),
            "maximum": pairs(lambda a, b: a if greater(a, b) or a.is_nan() else b),
            "minimum": pairs(lambda a, b: a if less(a, b) or a.is_nan() else b),
            "equal": pairs(operator.eq),  # == and != signal nothing and round nothing; the others would, at a nan
            "not_equal": pairs(operator.ne),
            "less": pairs(less),
            "greater": pairs(greater),
            "less_equal": pairs(lambda a, b: a == b or less(a, b)),
            "greater_equal": pairs(lambda a, b: a == b or greater(a, b)),
        }

    def __reduce__(self) -> Any:
        return decimal, (self.digits,)

    def product(self, row: Sequence) -> Decimal:
        return self.number.multiply(reduce(exact(self.digits + GUARD).multiply, row, ONE), ONE)

    def running_totals(self, row: Sequence) -> list:
        return [self.total(row[: i + 1]) for i in range(len(row))]

    def has_nan(self, row: Sequence) -> bool:
        return any(map(Decimal.is_nan, row))

    def is_nan(self, x: Decimal) -> bool:
        return x.is_nan()


bool_, int64, float64 = _Bool(), _Int(), _Float()


def _of_rank(rank: int) -> DType:
    return (bool_, int64, float64)[rank]


_decimal = cache(_Decimal)


def decimal(digits: int = 50) -> DType:
    """The element type of decimals with `digits` significant digits."""
    if type(digits) is not int or digits < 1:
        raise ValueError(f"decimal: the number of digits is a positive int, not {digits!r}")
    return _decimal(digits)


def of_scalar(x: Any) -> DType | None:
    """The element type that a Python number has on its own; None for anything that is no number."""
    if isinstance(x, float):
        return float64
    if isinstance(x, bool):
        return bool_
    if isinstance(x, int):
        return int64
    return decimal() if isinstance(x, Decimal) else None


def beside(array: DType, number: DType, name: str) -> DType:
    """The type in which an array computes with one number, which adapts to it: decimals stay what they are."""
    return array if array.rank == 3 else promote(array, number, name)


def promote(a: DType, b: DType, name: str) -> DType:
    """The type that holds both: the higher one. Binary floats never slip into decimals."""
    if a is b:
        return a
    low, high = (a, b) if a.rank <= b.rank else (b, a)
    if high.rank == 3 and low.rank == 3:
        return a if a.digits >= b.digits else b  # type: ignore[attr-defined]
    if high.rank == 3 and low.rank == 2:
        raise TypeError(f"{name}: an array of floats with an array of decimals; lift the floats with exact() first")
    return high
