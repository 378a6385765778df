"""What class indices say about rows of classes: which element is meant, and the mask that marks it."""

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
