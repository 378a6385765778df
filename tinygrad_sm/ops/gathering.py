"""Picking elements by index, and the transposes of that: adding gradients back where the elements came from."""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.graph import primitive
from tinygrad_sm.graph.namespaces import kind_of, namespace_of, shape
from tinygrad_sm.graph.value import Value, nested_lists, plain
from tinygrad_sm.nd.indexing import resolve
from tinygrad_sm.nd.shapes import as_shape, flatten, gather, one_axis
from tinygrad_sm.ops.helpers import is_traced, plain_op


@primitive
def getitem(xp, x, *, key):
    """x[key], for ints, slices, `...`, None and arrays of ints or bools. Rule: zeros with g added at [key]."""
    key = _plain_key(key)
    if xp is nd:
        return nd.asarray(x)[_own_key(key)]
    try:
        return x[key]
    except (IndexError, ValueError):  # ours takes more keys (torch has no steps back) and says better what is wrong
        start, axes, sizes = resolve(_own_key(key), shape(x))
        places = xp.asarray(gather(range(prod(shape(x))), start, axes), dtype=xp.int64)  # type: ignore[arg-type]
        return xp.reshape(xp.take(xp.reshape(x, (-1,)), places, axis=0), sizes)


getitem.vjps(lambda xp, g, out, x, *, key: scatter(g, key=key, shape=shape(x)))  # type: ignore[has-type]


@primitive
def scatter(xp, g, *, key, shape):
    """Zeros of `shape` with g added at [key]; what is named twice gets both. Rule: g[key]."""
    shape = as_shape(shape)
    if xp is nd:
        return nd.scatter_add(g, _own_key(key), shape)
    size = prod(shape)
    places = getitem.forward(xp, xp.reshape(xp.arange(size), shape), key=key)
    if places.shape != g.shape:
        raise ValueError(f"scatter: the key names places of shape {tuple(places.shape)}, and g has shape {tuple(g.shape)}")
    return xp.reshape(_added(xp, xp.reshape(places, (-1,)), xp.reshape(g, (-1,)), size), shape)


scatter.vjps(lambda xp, g, out, x, *, key, shape: getitem(g, key=key))


def _added(xp, places, values, size):
    """A vector of `size` zeros with `values` added at `places`; without a library's own way, by comparing all with all."""
    if hasattr(values, "at"):  # jax
        return xp.zeros(size, dtype=values.dtype).at[places].add(values)
    if hasattr(values, "index_add"):  # torch
        return values.new_zeros(size).index_add(0, places, values)
    if hasattr(xp.add, "at"):  # numpy
        total = xp.zeros(size, dtype=values.dtype)
        xp.add.at(total, places, values)
        return total
    hot = xp.equal(xp.expand_dims(xp.arange(size), axis=1), xp.expand_dims(places, axis=0))
    return xp.sum(xp.where(hot, xp.expand_dims(values, axis=0), 0.0), axis=1)


def _plain_key(key: Any) -> Any:
    """A key that holds no Value."""
    if isinstance(key, Value) or (isinstance(key, tuple) and any(isinstance(item, Value) for item in key)):
        raise TypeError("getitem: an index is plain data, not a Value, which has a gradient; use int(v) or v.data")
    return key


def _own_key(key: Any) -> Any:
    """A key whose index arrays are ours, whatever library they came from."""
    if isinstance(key, tuple):
        return tuple(map(_own_key, key))
    if not hasattr(key, "shape") or isinstance(key, nd.Array):
        return key
    dtype = nd.bool if kind_of(key) == "bool" else nd.int64
    return nd.reshape(nd.asarray(flatten(nested_lists(key))[0], dtype=dtype), shape(key))


@primitive
def take(xp, x, indices, *, axis=None):
    """The slices of x at `indices` (ints) along `axis`. Rule: zeros with each slice of g added where it came from."""
    sizes, at = shape(x), _place(shape(x), axis)
    picked = xp.take(x, xp.reshape(_in_range(xp, indices, sizes[at], "take"), (-1,)), axis=at)
    return xp.reshape(picked, (*sizes[:at], *shape(indices), *sizes[at + 1 :]))


@take.backward
def _(xp, g, out, x, indices, *, axis):
    key = (slice(None),) * _place(shape(x), axis) + (plain(indices), ...)
    return scatter(g, key=key, shape=shape(x)), None


def _place(sizes, axis):
    if axis is None and len(sizes) != 1:
        raise ValueError(f"take: shape {sizes} needs an axis")
    return one_axis(axis or 0, len(sizes), "take")


def _in_range(xp, indices, n, name):
    """Indices counted from the front; one that is out of range is an IndexError that names it."""
    indices = _checked(xp, indices, -n, n, name, f"an axis of size {n}")
    return xp.where(indices < 0, indices + n, indices)


def _checked(xp, indices, lowest, n, name, what):
    """An array of ints from `lowest` to n - 1."""
    kind = kind_of(indices, xp)
    if kind != "integral":
        if 0 not in shape(indices):  # an empty list has no type of its own
            raise TypeError(f"{name}: indices are ints, not {getattr(indices, 'dtype', type(indices).__name__)}")
        indices = xp.astype(indices, xp.int64)
    indices = xp.asarray(indices)
    outside = xp.any(xp.logical_or(indices < lowest, indices >= n))
    if not is_traced(outside) and bool(outside):  # a traced function also traces what it does to known indices
        wrong = next(int(i) for i in flatten(nested_lists(indices))[0] if not lowest <= i < n)
        raise IndexError(f"{name}: index {wrong} is out of range for {what}")
    return indices


@primitive
def take_along_axis(xp, x, indices, *, axis=-1):
    """For each place of `indices`, the element of x at that index along `axis`. Rule: g added where it came from."""
    at = one_axis(axis, len(shape(x)), "take_along_axis")
    if len(shape(indices)) != len(shape(x)):
        raise ValueError(f"take_along_axis: indices of shape {shape(indices)} for shape {shape(x)}; both need the same axes")
    return xp.take_along_axis(x, _in_range(xp, indices, shape(x)[at], "take_along_axis"), axis=at)


@take_along_axis.backward
def _(xp, g, out, x, indices, *, axis):
    sizes, indices = shape(x), plain(indices)
    at, own = one_axis(axis, len(sizes), "take_along_axis"), namespace_of([indices])
    grids = [own.reshape(own.arange(n), (1,) * d + (n,) + (1,) * (len(sizes) - d - 1)) for d, n in enumerate(sizes)]
    return scatter(g, key=(*grids[:at], indices, *grids[at + 1 :]), shape=sizes), None


@plain_op
def one_hot(xp, labels, *, num_classes):
    """A new last axis with 1.0 at the label and 0.0 elsewhere: plain data. A label out of range is an IndexError.

    >>> import tinygrad_sm as tg
    >>> tg.one_hot([0, 2], 3)
    array([[1.0, 0.0, 0.0],
           [0.0, 0.0, 1.0]])
    """
    n = index(num_classes)
    labels = _checked(xp, labels, 0, n, "one_hot", f"{n} classes")
    hot = xp.equal(xp.expand_dims(labels, axis=-1), xp.arange(n))
    return xp.astype(hot, xp.asarray(0.0).dtype)


@plain_op
def argmax(xp, x, *, axis=None, keepdims=False):
    """The index of the largest element along `axis` (None: in the flattened array), the first at ties: plain data."""
    return xp.argmax(x, axis=axis, keepdims=keepdims)


@plain_op
def equal(xp, a, b):
    """Where a and b hold the same numbers: plain bools. (Between Values == is identity.)

    >>> import tinygrad_sm as tg
    >>> tg.equal(tg.Value([1.0, 2.0]), 2)
    array([False, True])
    """
    return xp.equal(a, b)
