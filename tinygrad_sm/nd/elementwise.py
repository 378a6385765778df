"""Element-wise functions with the names of the Array API; a plain float in gives a plain float out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import repeat
from typing import Any

from tinygrad_sm.nd.array import SCALAR_PAIR, Array, asarray, binary, make, unary
from tinygrad_sm.nd.dtypes import DType, bool_, of_scalar, promote
from tinygrad_sm.nd.shapes import broadcast_shapes, stretch


def _one(name: str) -> Callable[[Any], Any]:
    return partial(unary, name)


def _two(name: str) -> Callable[[Any, Any], Any]:
    plain = SCALAR_PAIR.get(name)

    def function(x: Any, y: Any, /) -> Any:
        if plain is not None and type(x) is float and type(y) is float:
            return plain(x, y)
        result = binary(name, _array(x), _array(y))
        if result is NotImplemented:
            wrong = x if not isinstance(x, Array) and of_scalar(x) is None else y
            raise TypeError(f"{name}: needs numbers or arrays, not {wrong!r} ({type(wrong).__name__})")
        return result

    function.__name__ = function.__qualname__ = name
    return function


def _array(x: Any) -> Any:
    return asarray(x) if isinstance(x, (list, tuple)) else x


abs, positive, negative, sign = map(_one, ("abs", "positive", "negative", "sign"))
exp, expm1, log, log1p, log2, log10 = map(_one, ("exp", "expm1", "log", "log1p", "log2", "log10"))
sqrt, sin, cos, tan, sinh, cosh, tanh = map(_one, ("sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh"))
atan, erf, erfc = map(_one, ("atan", "erf", "erfc"))
floor, ceil, trunc, round = map(_one, ("floor", "ceil", "trunc", "round"))
isnan, isinf, isfinite, logical_not = map(_one, ("isnan", "isinf", "isfinite", "logical_not"))
add, subtract, multiply, divide = map(_two, ("add", "subtract", "multiply", "divide"))
pow, remainder, floor_divide = map(_two, ("pow", "remainder", "floor_divide"))
maximum, minimum = map(_two, ("maximum", "minimum"))
equal, not_equal, less = map(_two, ("equal", "not_equal", "less"))
less_equal, greater, greater_equal = map(_two, ("less_equal", "greater", "greater_equal"))
logical_and, logical_or, logical_xor = map(_two, ("logical_and", "logical_or", "logical_xor"))


def square(x: Any, /) -> Any:
    """x * x."""
    return multiply(x, x)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """x held between `min` and `max`, either of which may be None."""
    if min is not None:
        x = maximum(x, min)
    return x if max is None else minimum(x, max)


def where(condition: Any, x1: Any, x2: Any, /) -> Any:
    """x1 where the condition holds and x2 elsewhere, all three broadcast.

    >>> from tinygrad_sm import nd
    >>> nd.where(nd.asarray([True, False]), 1.0, 0.0)
    array([1.0, 0.0])
    """
    if type(condition) is bool and type(x1) is float and type(x2) is float:
        return x1 if condition else x2
    condition, x1, x2 = map(_array, (condition, x1, x2))
    if not isinstance(condition, Array):
        if not isinstance(x1, Array) and not isinstance(x2, Array):
            return x1 if condition else x2
        condition = asarray(bool(condition))
    dtype = _common_type("where", x1, x2)
    operands = [condition, *(v if isinstance(v, Array) else dtype.lift(v) for v in (x1, x2))]
    shape = broadcast_shapes("where", *(v.shape for v in operands if isinstance(v, Array)))
    c, a, b = (
        stretch(asarray(v, dtype=t)._flat, v.shape, shape) if isinstance(v, Array) else repeat(v)
        for v, t in zip(operands, (bool_, dtype, dtype), strict=True)
    )
    return make([p if k else q for k, p, q in zip(c, a, b)], shape, dtype)  # noqa: B905 (repeat has no end)


def _common_type(name: str, *operands: Any) -> DType:
    """The element type that holds all operands; a Python number adapts to the arrays beside it."""
    arrays = [v.dtype for v in operands if isinstance(v, Array)]
    numbers = [of_scalar(v) for v in operands if not isinstance(v, Array)]
    if None in numbers:
        raise TypeError(f"{name}: needs numbers or arrays, not {operands}")
    dtype = arrays.pop() if arrays else numbers.pop()
    for other in arrays:
        dtype = promote(dtype, other, name)  # type: ignore[arg-type]
    for other in numbers:
        dtype = dtype if dtype.rank == 3 else promote(dtype, other, name)  # type: ignore[arg-type,union-attr]
    return dtype  # type: ignore[return-value]
