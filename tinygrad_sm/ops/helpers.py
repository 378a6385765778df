"""Small pieces that rules share, written like the rules for any namespace; and what the Array API lacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.graph import primitive
from tinygrad_sm.graph.namespaces import SCALARS, as_operand, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import nested_lists, plain
from tinygrad_sm.nd import floats
from tinygrad_sm.nd.shapes import Shape, all_axes, flatten, reduced_shape

Axis = int | Sequence[int] | None


def over(xp: Any, g: Any, x: Any) -> Any:
    """g / x, and 0 where nothing flows (g = 0) into a pole or a nan of 1 / x: what was masked stays masked."""
    if type(g) is float and type(x) is float:
        return floats.divide(g, x) if g else g
    return xp.divide(g, divisor(xp, g, x))


def divisor(xp: Any, g: Any, x: Any) -> Any:
    """x, and inf where x is 0 or nan and g is 0."""
    if type(x) in SCALARS and (x > 0 or x < 0):
        return x
    x = lifted(xp, x, g)
    usable = xp.logical_or(xp.not_equal(g, 0.0), xp.abs(plain(x)) > 0.0)
    return xp.where(usable, x, math.inf)


def times(xp: Any, g: Any, slope: Any) -> Any:
    """g * slope, and 0 where nothing flows (g = 0) along a slope that is infinite or nan."""
    if type(g) is float and type(slope) is float:
        return g * slope if g else g
    usable = xp.logical_or(xp.not_equal(g, 0.0), xp.abs(plain(slope)) < math.inf)
    return g * xp.where(usable, slope, 0.0)


def magnitude(xp: Any, x: Any) -> Any:
    """|x| with derivative 1 at 0, for formulas that are smooth there (abs, with 0, would spoil their higher derivatives)."""
    return xp.where(x < 0.0, -x, x)


def gaussian(xp: Any, x: Any) -> Any:
    """exp(-x^2). Beyond 1e18 that is 0 on every kind of number, so x stops there and its square does not overflow."""
    x = xp.clip(x, -1e18, 1e18)
    return xp.exp(-x * x)


def lifted(xp: Any, x: Any, like: Any) -> Any:
    """A single number, or an array of ints, as floats of the kind of `like`, so that functions of it are as precise."""
    data, kind = plain(x), plain(like)
    if type(data) in SCALARS:
        return x * xp.ones_like(like)
    return x if data.dtype == kind.dtype or kind_of(data) == "real floating" else xp.astype(x, kind.dtype)


def sqrt_of(number: float, like: Any) -> Any:
    """The square root of a small number to the precision of `like`."""
    data = plain(like)
    return nd.sqrt(nd.exact(number, data.digits)) if isinstance(data, nd.Decimals) else math.sqrt(number)


def sqrt_of_pi(like: Any) -> Any:
    """The square root of pi to the precision of `like`."""
    data = plain(like)
    return nd.sqrt(nd.pi_like(data)) if isinstance(data, nd.Decimals) else math.sqrt(math.pi)


def special(xp: Any, name: str, x: Any) -> Any:
    """`math.erf` and its kin, which the Array API lacks: the library's own function or, portably, one call an element."""
    function = getattr(xp, name, None)
    if function is not None:
        return function(x)
    if xp.__name__ == "jax.numpy":
        from jax.scipy import special as library

        return getattr(library, name)(x)
    flat = map(getattr(math, name), flatten(nested_lists(x))[0])
    dtype = x.dtype if kind_of(x, xp) == "real floating" else xp.asarray(0.0).dtype
    return xp.reshape(xp.asarray([*flat], dtype=dtype), x.shape)


def plain_op(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function of plain data of `forward(xp, ...)`, with the manners of an op: lists become arrays, and errors
    name it. Of a Value it takes the data."""
    op = primitive(forward)

    def function(*args: Any, **keywords: Any) -> Any:
        return op(*map(plain, args), **{key: plain(x) for key, x in keywords.items()})

    function.__name__, function.__doc__, function.__module__ = op.name, op.__doc__, op.__module__
    function.__wrapped__ = op  # type: ignore[attr-defined]  # for its signature
    return function


def is_traced(x: Any) -> bool:
    """Whether `x` only stands for numbers, as inside `jax.jit`, so that no check can look at them."""
    return any(kind.__name__ == "Tracer" for kind in type(x).__mro__)


def as_plain(x: Any, name: str) -> Any:
    """The data of a Value, list, number or array, for functions that are not differentiated."""
    data = plain(x)
    return as_operand(data, namespace_of([] if isinstance(data, (list, tuple)) else [data], name), name)


def moved(x: Any, xp: Any) -> Any:
    """Plain data as an array of the library `xp`, in the element type of the same name where there is one.

    A single float stays one: it belongs to every library.
    """
    if type(x) in SCALARS or namespace_of([x]) is xp:
        return x
    flat, sizes = flatten(x)
    name = str(x.dtype).rpartition(".")[2]  # torch writes torch.float64
    kind = getattr(xp, name, None) or (xp.int64 if kind_of(x) == "integral" else xp.float64)
    return xp.reshape(xp.asarray([*map(float, flat)] if isinstance(x, nd.Decimals) else flat, dtype=kind), sizes)


def moved_like(x: Any, like: Any) -> Any:
    """A copy of plain data in the library, element type and device of `like`, data of a Value."""
    flat, sizes = flatten(x)
    if type(like) is float:
        return float(flat[0])
    xp = namespace_of([like])
    if isinstance(x, nd.Decimals) and not isinstance(like, nd.Decimals):
        flat = [*map(float, flat)]
    device = {"device": like.device} if hasattr(like, "device") else {}
    return xp.reshape(xp.asarray(flat, dtype=like.dtype, **device), sizes)


def count(x: Any, axis: Axis) -> int:
    """How many elements of `x` each result of a reduction over `axis` is made of."""
    sizes = shape(x)
    return math.prod(sizes[a] for a in all_axes(axis, len(sizes), "axis"))


def keep(xp: Any, reduced: Any, x: Any, axis: Axis, keepdims: bool = False) -> Any:
    """The result of a reduction of `x` with its reduced axes back, as axes of size 1."""
    if keepdims or type(plain(x)) is float:
        return reduced
    sizes = shape(x)
    return xp.reshape(reduced, kept_shape(sizes, axis))


def kept_shape(sizes: Shape, axis: Axis) -> Shape:
    """The shape of a reduction with keepdims."""
    return reduced_shape(sizes, all_axes(axis, len(sizes), "axis"), keepdims=True)


def spread(xp: Any, g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The gradient of a sum: `g` repeated along the reduced axes of `x`."""
    return xp.broadcast_to(keep(xp, g, x, axis, keepdims), shape(x))
