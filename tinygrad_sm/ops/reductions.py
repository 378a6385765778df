"""Reductions over any axes, running sums and sorting. Elements that tie for an extreme share its gradient equally."""

from __future__ import annotations

import math

from tinygrad_sm.graph import primitive
from tinygrad_sm.graph.namespaces import kind_of, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import all_axes, one_axis
from tinygrad_sm.ops.helpers import count, keep, plain_op, spread, sqrt_of


@primitive
def sum(xp, x, *, axis=None, keepdims=False):
    """The sum over `axis` (None: all). Rule: g, repeated along the axis."""
    return xp.sum(x, axis=axis, keepdims=keepdims)


sum.vjps(lambda xp, g, out, x, *, axis, keepdims: spread(xp, g, x, axis, keepdims))


@primitive
def mean(xp, x, *, axis=None, keepdims=False):
    """The mean over `axis` (None: all). Rule: g / n, repeated along the axis."""
    return xp.mean(x, axis=axis, keepdims=keepdims)


mean.vjps(lambda xp, g, out, x, *, axis, keepdims: spread(xp, g / (count(x, axis) or 1), x, axis, keepdims))


@primitive
def max(xp, x, *, axis=None, keepdims=False):
    """The largest element over `axis` (None: all). Rule: g / k to each of the k elements that tie."""
    return xp.max(x, axis=axis, keepdims=keepdims)


@primitive
def min(xp, x, *, axis=None, keepdims=False):
    """The smallest element over `axis` (None: all). Rule: g / k to each of the k elements that tie."""
    return xp.min(x, axis=axis, keepdims=keepdims)


def _shared(xp, g, out, x, *, axis, keepdims):
    ties = xp.equal(x, keep(xp, out, x, axis, keepdims))
    sharers = xp.sum(xp.where(ties, xp.ones_like(x), 0.0), axis=axis, keepdims=True)
    return xp.where(ties, keep(xp, g, x, axis, keepdims) / _nonzero(xp, sharers), 0.0)


max.vjps(_shared)
min.vjps(_shared)


@primitive
def prod(xp, x, *, axis=None, keepdims=False):
    """The product over `axis` (None: all). Rule: g times the product of the other elements, right with zeros too."""
    return xp.prod(x, axis=axis, keepdims=keepdims)


@prod.vjps
def _(xp, g, out, x, *, axis, keepdims):
    sizes = shape(x)
    reduced = all_axes(axis, len(sizes), "prod")
    order = [i for i in range(len(sizes)) if i not in reduced] + [*reduced]
    last = xp.permute_dims(x, order) if sizes else x
    rows = xp.reshape(last, (*(sizes[i] for i in order[: len(order) - len(reduced)]), count(x, axis)))
    others = xp.reshape(_products_of_others(xp, rows), tuple(sizes[i] for i in order))
    back = [order.index(i) for i in range(len(sizes))]
    return keep(xp, g, x, axis, keepdims) * (xp.permute_dims(others, back) if sizes else others)


def _products_of_others(xp, rows):
    """For each element of the last axis the product of all others: those before it times those after it.

    Running products in log2(n) steps, from multiplications only, so that zeros and higher derivatives come out right.
    """

    def before(x):
        n = shape(x)[-1]
        products, step = _shifted(xp, x, 1) if n else x, 1
        while step < n:
            products, step = products * _shifted(xp, products, step), 2 * step
        return products

    return before(rows) * xp.flip(before(xp.flip(rows, axis=-1)), axis=-1)


def _shifted(xp, x, step):
    """The last axis moved right by `step`, with ones moving in."""
    return xp.concat([xp.ones_like(x[..., :step]), x[..., :-step]], axis=-1)


def _centered(xp, x, axis):
    """x less its mean, and less the mean of what is left: exactly 0 for constant x, whatever the rounding of the mean."""
    first = x - xp.mean(x, axis=axis, keepdims=True)
    return first - xp.mean(first, axis=axis, keepdims=True)


@primitive
def var(xp, x, *, axis=None, keepdims=False, correction=0.0):
    """The variance over `axis`, divided by n - correction. Rule: 2 g (x - mean) / (n - correction)."""
    distances = _centered(xp, x, axis)
    return xp.sum(distances * distances, axis=axis, keepdims=keepdims) / _degrees(x, axis, correction)


@var.vjps
def _(xp, g, out, x, *, axis, keepdims, correction):
    return keep(xp, 2.0 * g / _degrees(x, axis, correction), x, axis, keepdims) * _centered(xp, x, axis)


@primitive
def std(xp, x, *, axis=None, keepdims=False, correction=0.0):
    """The standard deviation over `axis`. Rule: g (x - mean) / (out (n - correction)), 0 where out is 0."""
    length = norm.forward(xp, _centered(xp, x, axis), axis=axis, keepdims=keepdims)
    return length / sqrt_of(_degrees(x, axis, correction), x)


@std.vjps
def _(xp, g, out, x, *, axis, keepdims, correction):
    distances = _centered(xp, x, axis) / keep(xp, _nonzero(xp, out), x, axis, keepdims)
    return keep(xp, g / _degrees(x, axis, correction), x, axis, keepdims) * distances


def _degrees(x, axis, correction):
    """n - correction, and nan for nothing left to divide by."""
    degrees = count(x, axis) - correction
    return float(degrees) if degrees > 0 else float("nan")


def _nonzero(xp, out):
    """A divisor that gives 0 and not nan where the dividend is 0 with it."""
    return xp.where(xp.equal(out, 0.0), 1.0, out)


@primitive
def norm(xp, x, *, axis=None, keepdims=False):
    """The Euclidean norm over `axis` (None: all), which neither overflows nor underflows. Rule: g x / out, 0 at 0."""
    if not count(x, axis):
        return xp.sum(x, axis=axis, keepdims=keepdims)
    largest = xp.max(xp.abs(x), axis=axis, keepdims=True)
    scale = xp.where(xp.logical_and(largest > 0.0, largest < math.inf), largest, 1.0)
    scaled = x / scale
    kept = xp.sqrt(xp.sum(scaled * scaled, axis=axis, keepdims=True)) * scale
    return kept if keepdims else xp.sum(kept, axis=axis)


@norm.vjps
def _(xp, g, out, x, *, axis, keepdims):
    return keep(xp, g, x, axis, keepdims) * (x / keep(xp, _nonzero(xp, out), x, axis, keepdims))


@primitive
def cumulative_sum(xp, x, *, axis=None):
    """The sums of the first 1, 2, ... elements along `axis`. Rule: the sums of the last ... elements of g."""
    return xp.cumulative_sum(x, axis=axis)


@cumulative_sum.vjps
def _(xp, g, out, x, *, axis):
    at = 0 if axis is None else axis
    return xp.flip(xp.cumulative_sum(xp.flip(g, axis=at), axis=at), axis=at)


@primitive
def sort(xp, x, *, axis=-1, descending=False):
    """The elements in order along `axis`, nan last. Rule: g, moved back to where its element came from."""
    return xp.take_along_axis(x, _order(xp, x, axis, descending), axis=axis)


@sort.vjps
def _(xp, g, out, x, *, axis, descending):
    order = _order(xp, plain(x), axis, descending)
    return xp.take_along_axis(g, xp.argsort(order, axis=axis), axis=axis)


@plain_op
def argsort(xp, x, *, axis=-1, descending=False):
    """The indices that sort along `axis`, equal elements in their order and nan last: plain data."""
    return _order(xp, x, axis, descending)


def _order(xp, x, axis, descending):
    axis = one_axis(axis, len(shape(x)), "sort")
    if descending:  # by the negated numbers, since numpy has no such option
        x = -(x if kind_of(x) == "real floating" else xp.astype(x, xp.int64))
    return xp.argsort(x, axis=axis, stable=True)
