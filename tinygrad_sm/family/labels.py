"""What class indices say about rows of classes: which element is meant, and the mask that marks it."""

from math import fsum

from tinygrad_sm import nd
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.nd.shapes import one_axis


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
            flat[start + label] = 0.0
            flat[start + label] = -fsum(flat[start : start + classes])
        return nd.array.make(flat, p.shape, p.dtype)
    hot = is_class(xp, labels, p, axis)
    others = xp.where(hot, 0.0, p)
    return xp.where(hot, -xp.sum(others, axis=axis, keepdims=True), others)
