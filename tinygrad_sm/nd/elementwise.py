"""Element-wise functions with the names of the Array API; a plain float in gives a plain float out."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import repeat
from typing import Any

from tinygrad_sm.nd import floats
from tinygrad_sm.nd.array import Array, asarray, binary, make, operand, unary
from tinygrad_sm.nd.dtypes import COMPARISONS, DType, beside, bool_, of_scalar, promote
from tinygrad_sm.nd.shapes import broadcast_shapes, stretch

# What single floats use: nothing that a whole array needs is done for them.
_OF_FLOAT: dict[str, Callable[[float], Any]] = {name: guarded for name, (_, guarded) in floats.FUNCTIONS.items()}
_OF_FLOAT |= {"isnan": math.isnan, "isinf": math.isinf, "isfinite": math.isfinite}
_OF_FLOATS: dict[str, Callable[[Any, Any], Any]] = {name: guarded for name, (_, guarded) in floats.OPERATIONS.items()}
_OF_FLOATS |= COMPARISONS


def _one(name: str) -> Callable[[Any], Any]:
    plain = _OF_FLOAT.get(name)

    def function(x: Any, /) -> Any:
        return plain(x) if type(x) is float and plain else unary(name, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name}(x) for every element."
    return function


def _two(name: str) -> Callable[[Any, Any], Any]:
    plain = _OF_FLOATS.get(name)

    def function(x: Any, y: Any, /) -> Any:
        if type(x) is float and type(y) is float and plain:
            return plain(x, y)
        return binary(name, _operand(name, x), _operand(name, y))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name}(x, y) for every pair of elements, broadcast."
    return function


def _operand(name: str, x: Any) -> Any:
    """Numbers as they are, everything else as an array."""
    return x if isinstance(x, Array) or of_scalar(x) else operand(name, x)


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
    x = _operand("square", x)
    return multiply(x, x)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """x held between `min` and `max`, either of which may be None."""
    x = _operand("clip", x)
    try:
        if min is not None:
            x = maximum(x, min)
        return x if max is None else minimum(x, max)
    except (TypeError, ValueError) as error:
        raise type(error)(f"clip: {error}") from None


def where(condition: Any, x1: Any, x2: Any, /) -> Any:
    """x1 where the condition holds and x2 elsewhere, all three broadcast.

    >>> from tinygrad_sm import nd
    >>> nd.where(nd.asarray([True, False]), 1.0, 0.0)
    array([1.0, 0.0])
    """
    if type(condition) is bool and type(x1) is float and type(x2) is float:
        return x1 if condition else x2
    condition, x1, x2 = (_operand("where", v) for v in (condition, x1, x2))
    if not isinstance(condition, Array):
        if not isinstance(x1, Array) and not isinstance(x2, Array):
            return x1 if condition else x2
        condition = asarray(condition)
    dtype = _common_type("where", x1, x2)
    shape = broadcast_shapes("where", *(v.shape for v in (condition, x1, x2) if isinstance(v, Array)))
    chosen, a, b = (_stretched(v, t, shape) for v, t in ((condition, bool_), (x1, dtype), (x2, dtype)))
    return make([p if c else q for c, p, q in zip(chosen, a, b)], shape, dtype)  # noqa: B905 (a repeat has no end)


def _stretched(x: Any, dtype: DType, shape: tuple) -> Any:
    return stretch(asarray(x, dtype=dtype)._flat, x.shape, shape) if isinstance(x, Array) else repeat(dtype.lift(x))


def _common_type(name: str, x: Any, y: Any) -> DType:
    """The element type that holds both; a number adapts to the array beside it."""
    if isinstance(x, Array):
        return promote(x.dtype, y.dtype, name) if isinstance(y, Array) else beside(x.dtype, of_scalar(y), name)  # type: ignore[arg-type]
    return _common_type(name, y, x) if isinstance(y, Array) else asarray([x, y]).dtype
