"""Picking elements by index, and the transposes of that: adding gradients back where the elements came from."""

from __future__ import annotations

from math import prod
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.graph import primitive
from tinygrad_sm.graph.namespaces import is_array, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import Value, nested_lists, plain
from tinygrad_sm.nd.indexing import resolve
from tinygrad_sm.nd.shapes import gather, one_axis
from tinygrad_sm.ops.helpers import as_plain


@primitive
def getitem(xp, x, *, key):
    """x[key], for ints, slices, `...`, None and arrays of ints or bools. Rule: zeros with g added at [key]."""
    return nd.asarray(x)[key] if type(x) is float else x[whole_key(key)]


getitem.vjps(lambda xp, g, out, x, *, key: scatter(g, key=key, shape=shape(x)))


@primitive
def scatter(xp, g, *, key, shape):
    """Zeros of `shape` with g added at [key]; what is named twice gets both. Rule: g[key]."""
    if xp is nd:
        return nd.scatter_add(g, key, shape)
    start, axes, _ = resolve(plain_key(key), tuple(shape))
    places = gather(range(prod(shape)), start, axes)  # type: ignore[arg-type]
    return xp.reshape(add_at(xp, xp.reshape(g, (-1,)), places, prod(shape)), shape)


scatter.vjps(lambda xp, g, out, x, *, key, shape: g[key])


def add_at(xp: Any, values: Any, places: list[int], size: int) -> Any:
    """A vector of `size` zeros with `values` added at `places`. A library's own scatter where it has one, else a matmul."""
    if hasattr(xp, "add") and hasattr(xp.add, "at"):  # numpy
        total = xp.zeros(size, dtype=values.dtype)
        xp.add.at(total, places, values)
        return total
    columns = xp.asarray(places, dtype=xp.int64)
    hot = xp.equal(xp.expand_dims(xp.arange(size), axis=1), xp.expand_dims(columns, axis=0))
    return xp.sum(xp.where(hot, xp.expand_dims(values, axis=0), 0.0), axis=1)


def whole_key(key: Any) -> Any:
    """A key as every library takes it: plain data, and `...` written where axes are left out."""
    key = plain_key(key)
    items = key if isinstance(key, tuple) else (key,)
    return key if any(item is Ellipsis or is_array(item) for item in items) else (*items, ...)


def plain_key(key: Any) -> Any:
    """A key without Values, and without numpy's list ambiguity: lists are index arrays."""
    if isinstance(key, tuple):
        return tuple(map(plain_key, key))
    if isinstance(key, Value):
        raise TypeError("indexing: an index is plain data, not a Value, which has a gradient; use int(v) or v.data")
    return key


@primitive
def take(xp, x, indices, *, axis=None):
    """The slices of x at `indices` (ints) along `axis`. Rule: zeros with each slice of g added where it came from."""
    at = 0 if axis is None and len(shape(x)) == 1 else axis
    if at is None:
        raise ValueError(f"take: shape {shape(x)} needs an axis")
    n = shape(x)[one_axis(at, len(shape(x)), "take")]
    flat = xp.reshape(_in_range(xp, indices, n, "take"), (-1,))
    picked = xp.take(x, flat, axis=at)
    place = one_axis(at, len(shape(x)), "take")
    return xp.reshape(picked, (*shape(x)[:place], *shape(indices), *shape(x)[place + 1 :]))


@take.backward
def _(xp, g, out, x, indices, *, axis):
    place = one_axis(0 if axis is None else axis, len(shape(x)), "take")
    return getitem.rules[0](xp, g, out, x, key=(slice(None),) * place + (nested_lists(plain(indices)), ...)), None


def _in_range(xp, indices, n, name):
    """Indices counted from the front; one that is out of range is an IndexError that names it."""
    if kind_of(indices, xp) != "integral":
        raise TypeError(f"{name}: indices are ints, not {getattr(indices, 'dtype', type(indices).__name__)}")
    indices = xp.asarray(indices)
    wrong = xp.logical_or(indices < -n, indices >= n)
    if bool(xp.any(wrong)):
        first = next(i for i in nd.shapes.flatten(nested_lists(indices))[0] if not -n <= i < n)
        raise IndexError(f"{name}: index {first} is out of range for an axis of size {n}")
    return xp.where(indices < 0, indices + n, indices)


@primitive
def take_along_axis(xp, x, indices, *, axis=-1):
    """For each place of `indices`, the element of x at that index along `axis`. Rule: g added where it came from."""
    n = shape(x)[one_axis(axis, len(shape(x)), "take_along_axis")]
    return xp.take_along_axis(x, _in_range(xp, indices, n, "take_along_axis"), axis=axis)


@take_along_axis.backward
def _(xp, g, out, x, indices, *, axis):
    n = shape(x)[axis]
    at = one_axis(axis, len(shape(x)), "take_along_axis")
    kind = (1,) * (at + 1) + (n,) + (1,) * (len(shape(x)) - at - 1)
    raw = plain(indices)
    base = namespace_of([raw])
    rows = base.expand_dims(_in_range(base, raw, n, "take_along_axis"), axis=at + 1)
    hot = base.equal(rows, base.reshape(base.arange(n), kind))
    return xp.sum(xp.where(hot, xp.expand_dims(g, axis=at + 1), 0.0), axis=at), None


def one_hot(labels: Any, num_classes: int) -> Any:
    """A new last axis with 1.0 at the label and 0.0 elsewhere: plain data. A label out of range is an IndexError.

    >>> import tinygrad_sm as tg
    >>> tg.one_hot([0, 2], 3)
    array([[1.0, 0.0, 0.0],
           [0.0, 0.0, 1.0]])
    """
    data = as_plain(labels, "one_hot")
    xp = namespace_of([data])
    labels = _in_range(xp, xp.asarray(data), num_classes, "one_hot")
    hot = xp.equal(xp.expand_dims(labels, axis=-1), xp.arange(num_classes))
    return xp.astype(hot, xp.asarray(0.0).dtype)


def argmax(x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the largest element along `axis` (None: in the flattened array), the first at ties: plain data."""
    data = as_plain(x, "argmax")
    return namespace_of([data]).argmax(data, axis=axis, keepdims=keepdims)


def equal(a: Any, b: Any) -> Any:
    """Where a and b hold the same numbers: plain bools. (Between Values == is identity.)

    >>> import tinygrad_sm as tg
    >>> tg.equal(tg.Value([1.0, 2.0]), 2)
    array([False, True])
    """
    a, b = as_plain(a, "equal"), as_plain(b, "equal")
    xp = namespace_of([a, b], "equal")
    return xp.equal(a, b)
