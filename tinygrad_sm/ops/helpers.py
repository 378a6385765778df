"""Small pieces that rules share, written like the rules for any namespace; and what the Array API lacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.graph.namespaces import SCALARS, as_operand, namespace_of, shape
from tinygrad_sm.graph.value import nested_lists, plain
from tinygrad_sm.nd.shapes import Shape, all_axes, flatten, reduced_shape

Axis = int | Sequence[int] | None


def over(xp: Any, g: Any, x: Any) -> Any:
    """g / x, and 0 where g is 0: what does not flow into a pole does not come out of it as nan."""
    if type(g) is float and type(x) is float:
        return nd.divide(g, x) if g else g
    return xp.where(xp.equal(g, 0.0), 0.0, g / x)


def magnitude(xp: Any, x: Any) -> Any:
    """|x| with derivative 1 at 0, for formulas that are smooth there (abs, with 0, would spoil their higher derivatives)."""
    return xp.where(x < 0.0, -x, x)


def lifted(xp: Any, x: Any, like: Any) -> Any:
    """A Python number as an array of the kind of `like`, so that functions of it have that array's precision."""
    return xp.full_like(like, x) if type(x) in SCALARS else x


def sqrt_of(number: float, like: Any) -> Any:
    """The square root of a small number to the precision of `like`."""
    data = plain(like)
    return nd.sqrt(nd.exact(number, data.digits)) if isinstance(data, nd.Decimals) else math.sqrt(number)


def sqrt_of_pi(like: Any) -> Any:
    """The square root of pi to the precision of `like`."""
    return nd.sqrt(nd.pi_like(plain(like)))


def special(xp: Any, name: str, x: Any) -> Any:
    """`math.erf` and its kin, which the Array API lacks: the library's own function or, portably, one call an element."""
    function = getattr(xp, name, None)
    if function is not None:
        return function(x)
    flat = map(getattr(math, name), flatten(nested_lists(x))[0])
    return xp.reshape(xp.asarray([*flat], dtype=x.dtype), x.shape)


def as_plain(x: Any, name: str) -> Any:
    """The data of a Value, list, number or array, for functions that are not differentiated."""
    data = plain(x)
    return as_operand(data, namespace_of([] if isinstance(data, (list, tuple)) else [data], name), name)


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
