"""What rules share about rows of classes: the element that a class index means, and the slopes of probabilities."""

from math import fsum
from operator import mul

from tinygrad_sm import nd
from tinygrad_sm.graph import constant
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.nd.floats import total
from tinygrad_sm.nd.shapes import one_axis
from tinygrad_sm.ops.helpers import lifted


def of_class(xp, x, labels, axis):
    """For each row along `axis` the element of x at the label of the row."""
    return xp.squeeze(xp.take_along_axis(x, xp.expand_dims(labels, axis=axis), axis=axis), axis=axis)


def is_class(xp, labels, x, axis):
    """Where along the axis of the classes the label of the row stands, in the shape of x."""
    sizes = shape(x)
    at = one_axis(axis, len(sizes), "labels")
    classes = xp.reshape(xp.arange(sizes[at]), (-1,) + (1,) * (len(sizes) - at - 1))
    return xp.equal(xp.expand_dims(labels, axis=axis), classes)


def less_one_hot(xp, p, labels, axis):
    """p - onehot(labels) for rows of probabilities, with p_t - 1 as minus the sum of the others: nothing cancels."""
    if type(p) is nd.Array and axis in (-1, p.ndim - 1):  # the same in one pass
        flat, classes = [*p._flat], p.shape[-1]
        for start, label in zip(range(0, len(flat), classes), labels._flat, strict=True):
            at = start + label % classes  # unchecked labels stay in their row
            flat[at] = 0.0
            flat[at] = -fsum(flat[start : start + classes])
        return nd.array.make(flat, p.shape, p.dtype)
    hot = is_class(xp, labels, p, axis)
    others = xp.where(hot, 0.0, p)
    return xp.where(hot, -xp.sum(others, axis=axis, keepdims=True), others)


def at_class(xp, amounts, labels, x, axis):
    """An array in the shape of x with `amounts`, one or one a row, at the class of each row, and 0 elsewhere."""
    if type(x) is nd.Array and axis in (-1, x.ndim - 1):  # the same in one pass
        flat, classes = [0.0] * x.size, x.shape[-1]
        each = amounts._flat if type(amounts) is nd.Array else [amounts]
        each = each * len(labels._flat) if len(each) == 1 else each
        for start, label, amount in zip(range(0, len(flat), classes), labels._flat, each, strict=True):
            flat[start + label % classes] = amount
        return nd.array.make(flat, x.shape, x.dtype)
    amounts = lifted(xp, amounts, x) if type(amounts) is float else amounts
    return xp.where(is_class(xp, labels, x, axis), amounts, 0.0)


def others(xp, x):
    """For each element of a vector the sum of the others, which keeps its digits also where one has nearly all: exactly 0 where
    it has all."""
    top = is_class(xp, xp.argmax(xp.abs(x)), x, -1)
    return xp.where(top, xp.sum(xp.where(top, 0.0, x)), xp.sum(x) - x)


def pulled_back(xp, p, g, axis):
    """p (g - <p, g>): the gradient g of rows of probabilities p = softmax(z), along `axis`, pulled back to their logits z.

    The gradient of one p_i, p_i (1 - p_i) at the class itself, keeps its digits when p_i is nearly 1: see `centred`.
    """
    if type(p) is nd.Array and type(g) is nd.Array and axis in (-1, p.ndim - 1) and p.shape == g.shape:  # in one pass
        return _by_rows(_pulled_back_row, p, g)
    return p * centred(xp, p, g, axis)


def centred(xp, p, x, axis):
    """x - <p, x>: how far each x is above its mean under rows of probabilities p along `axis`.

    A shift of x cancels in it, since the probabilities sum to 1. So x is taken less its value at a class that has more than
    half of them, where it is 0 then: nothing is left of 1 - p, there and in the derivatives. Without such a class x is taken
    less its mean, and that once more: the rounding of a large mean is common to all of x, and would be left in their sum.
    """
    likely = p > 0.5
    mean = xp.sum(constant(p) * x, axis=axis, keepdims=True)  # with a slope by x, which is taken less its mean as well
    level = xp.sum(xp.where(likely, x, 0.0), axis=axis, keepdims=True)
    level = xp.where(xp.any(likely, axis=axis, keepdims=True), level, mean)
    x = xp.where(likely, 0.0, x - level)
    return x - xp.sum(p * x, axis=axis, keepdims=True)


def _pulled_back_row(p, g):
    shift = g[p.index(top)] if (top := max(p)) > 0.5 else total([*map(mul, p, g)])
    g = [v - shift for v in g]
    mean = total([*map(mul, p, g)])
    return [v * (slope - mean) for v, slope in zip(p, g, strict=True)]


def log_pulled_back(xp, p, g, axis):
    """g - p sum(g): the gradient g of rows of log-probabilities, along `axis`, pulled back to their logits.

    Where p has more than half it is g (sum of the other p) - p (sum of the other g), which is the same, since the
    probabilities sum to 1, and keeps the digits of 1 - p.
    """
    if type(p) is nd.Array and type(g) is nd.Array and axis in (-1, p.ndim - 1) and p.shape == g.shape:
        return _by_rows(_log_pulled_back_row, p, g)
    likely = p > 0.5
    rest_of_p, rest_of_g = (xp.sum(xp.where(likely, 0.0, x), axis=axis, keepdims=True) for x in (p, g))
    return xp.where(likely, g * rest_of_p - p * rest_of_g, g - p * xp.sum(g, axis=axis, keepdims=True))


def _log_pulled_back_row(p, g):
    everything = total(g)
    row = [slope - v * everything for v, slope in zip(p, g, strict=True)]
    if (top := max(p)) > 0.5:
        k = p.index(top)
        rest_of_p, rest_of_g = (total(x[:k] + x[k + 1 :]) for x in (p, g))
        row[k] = g[k] * rest_of_p - top * rest_of_g
    return row


def _by_rows(function, p, g):
    """A function of a row of each of two of our own arrays, which gives a row, along their last axis."""
    n = p.shape[-1]
    starts = range(0, len(p._flat), n or 1)
    flat = [v for at in starts for v in function(p._flat[at : at + n], g._flat[at : at + n])]
    return nd.array.make(flat, p.shape, p.dtype)
