"""Ops that move elements about: their rules move the gradient back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import prod
from operator import index
from typing import Any

from tinygrad_sm.graph import primitive
from tinygrad_sm.graph.namespaces import filled_like, kind_of, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import as_shape, one_axis
from tinygrad_sm.ops import reductions
from tinygrad_sm.ops.gathering import getitem
from tinygrad_sm.ops.helpers import as_plain


@primitive
def reshape(xp, x, *, shape):
    """The same elements with another shape; one size may be -1. Rule: g with the old shape."""
    return xp.reshape(x, _whole(shape, plain(x)))


reshape.vjps(lambda xp, g, out, x, *, shape: _like(xp, g, x))


def _whole(sizes, x):
    """The shape with its -1 worked out, which not every library does."""
    sizes = as_shape(sizes)
    known, total = prod(n for n in sizes if n != -1), prod(shape(x))
    fits = sizes.count(-1) == 1 and known > 0 and total % known == 0 if -1 in sizes else known == total
    if not fits or min(sizes, default=0) < -1:
        raise ValueError(f"reshape: {total} elements of shape {shape(x)} do not fit shape {sizes}")
    return tuple(total // known if n == -1 else n for n in sizes)


def _like(xp, g, x):
    return xp.reshape(g, shape(x))


def flatten(x: Any) -> Any:
    """All elements in one row."""
    return reshape(x, shape=(-1,))


@primitive
def permute_dims(xp, x, *, axes):
    """The axes in another order. Rule: g with the axes put back."""
    return xp.permute_dims(x, _order(axes, x))


@permute_dims.vjps
def _(xp, g, out, x, *, axes):
    order = _order(axes, x)
    return xp.permute_dims(g, tuple(order.index(i) for i in range(len(order))))


def _order(axes, x):
    """Every axis once, counted from the front."""
    ndim = len(shape(x))
    order = tuple(one_axis(a, ndim, "permute_dims") for a in as_shape(axes))
    if sorted(order) != [*range(ndim)]:
        raise ValueError(f"permute_dims: {axes} is no order of the {ndim} axes of shape {shape(x)}")
    return order


@primitive
def matrix_transpose(xp, x):
    """The last two axes swapped. Rule: g with them swapped back."""
    if len(shape(x)) < 2:
        raise ValueError(f"matrix_transpose: swaps the last two axes, and shape {shape(x)} has fewer")
    return xp.matrix_transpose(x)


matrix_transpose.vjps(lambda xp, g, out, x: xp.matrix_transpose(g))


@primitive
def broadcast_to(xp, x, *, shape):
    """x stretched to `shape`. Rule: g, summed over what was stretched (the engine does that for every op)."""
    return xp.broadcast_to(x, as_shape(shape))


broadcast_to.vjps(lambda xp, g, out, x, *, shape: g)


@primitive
def expand_dims(xp, x, *, axis=0):
    """A new axis of size 1 at the place `axis` of the result. Rule: g without it."""
    return xp.expand_dims(x, axis=axis)


expand_dims.vjps(lambda xp, g, out, x, *, axis: _like(xp, g, x))


@primitive
def squeeze(xp, x, *, axis=None):
    """x without the axes `axis` (None: all) of size 1. Rule: g with them back."""
    return xp.squeeze(x, axis=tuple(i for i, n in enumerate(shape(x)) if n == 1) if axis is None else axis)


squeeze.vjps(lambda xp, g, out, x, *, axis: _like(xp, g, x))


@primitive
def flip(xp, x, *, axis=None):
    """The elements in reverse order along `axis` (None: all axes). Rule: g, reversed too."""
    return xp.flip(x, axis=axis)


flip.vjps(lambda xp, g, out, x, *, axis: xp.flip(g, axis=axis))


@primitive
def tril(xp, x, *, k=0):
    """The lower triangle of a matrix, with zeros above its k-th diagonal. Rule: the lower triangle of g."""
    if len(shape(x)) < 2:
        raise ValueError(f"tril: needs a matrix, and got shape {shape(x)}")
    return xp.tril(x, k=k)


tril.vjps(lambda xp, g, out, x, *, k: xp.tril(g, k=k))


@primitive
def concat(xp, *arrays, axis=0):
    """A list of arrays joined along an axis that they have (None: flattened first). Rule: to each its slice of g."""
    return xp.concat([xp.asarray(x) for x in arrays], axis=axis)


@concat.backward
def _(xp, g, out, *arrays, axis):
    at = 0 if axis is None else one_axis(axis, len(shape(out)), "concat")
    sizes = [prod(shape(x)) if axis is None else shape(x)[at] for x in arrays]
    stops = accumulate(sizes)
    keys = [(slice(None),) * at + (slice(stop - n, stop), ...) for n, stop in zip(sizes, stops, strict=True)]
    return tuple(lambda x=x, key=key: xp.reshape(g[key], shape(x)) for x, key in zip(arrays, keys, strict=True))


@primitive
def stack(xp, *arrays, axis=0):
    """A list of arrays of one shape joined along a new axis. Rule: to each its layer of g."""
    return xp.stack([xp.asarray(x) for x in arrays], axis=axis)


@stack.backward
def _(xp, g, out, *arrays, axis):
    lead = (slice(None),) * one_axis(axis, len(shape(out)), "stack")
    return tuple(lambda key=(*lead, i, ...): g[key] for i in range(len(arrays)))


def split(x: Any, sections: int | Sequence[int], *, axis: int = 0) -> list:
    """x cut along `axis` into equal parts (an int) or before the given indices (a list), as a list."""
    sizes = shape(as_plain(x, "split"))
    at = one_axis(axis, len(sizes), "split")
    n = sizes[at]
    if isinstance(sections, int):
        if sections < 1 or n % sections:
            raise ValueError(f"split: axis {axis} of size {n} does not split into {sections} equal parts")
        cuts = [*range(0, n, n // sections), n] if n else [0] * (sections + 1)
    else:
        cuts = [0, *_cuts(sections, n), n]
    return [getitem(x, key=(slice(None),) * at + (slice(a, b), ...)) for a, b in pairwise(cuts)]


def _cuts(sections, n):
    """Indices of a split, each from 0 to n and not before the one before it."""
    try:
        cuts = [index(i) for i in sections]
    except TypeError:
        raise TypeError(f"split: takes the number of parts or a list of indices, not {sections!r}") from None
    if any(not 0 <= a <= b <= n for a, b in pairwise([0, *cuts, n])):
        raise ValueError(f"split: the indices {cuts} do not rise from 0 to {n}, the size of the axis")
    return cuts


# --- between kinds of numbers; the engine needs them where an op joins a float, or float32, with wider data


@primitive
def as_float(xp, x):
    """The only element of an array as a float. Rule: g as an array."""
    return float(x)


as_float.vjps(lambda xp, g, out, x: as_array(g, like=plain(x)))  # type: ignore[has-type]


@primitive
def as_array(xp, x, *, like):
    """A float as an array of the shape and type of `like`. Rule: the sum of g as a float."""
    return filled_like(like, x)


as_array.vjps(lambda xp, g, out, x, *, like: as_float(reductions.sum(g)))


@primitive
def astype(xp, x, *, dtype):
    """The elements as another type of floats. Rule: g as the old type (the engine sees to that for every op)."""
    try:
        out = xp.astype(xp.asarray(x), dtype)
    except (AttributeError, TypeError):
        raise TypeError(f"astype: {dtype!r} is no element type of {xp.__name__}") from None
    if kind_of(out, xp) != "real floating":
        raise TypeError(f"astype: {dtype} is no type of floats; convert plain data with its own library")
    return out


astype.vjps(lambda xp, g, out, x, *, dtype: g)
