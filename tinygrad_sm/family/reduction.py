"""From one loss a row to one number and back: which rows are read, what each counts for, and what `reduction` makes of them."""

from math import nan

from tinygrad_sm.graph import constant
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.op import is_integer
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import one_axis
from tinygrad_sm.ops.helpers import count, lifted

# --- one loss a row, to one number


def reduced(xp, losses, reduction, whole=None, empty="zero"):
    """The losses of the rows: as they are, their sum, or their mean over all of them.

    "mean" divides by `whole` where that is given, and is 0 (nan with `empty="nan"`) where there is nothing to divide by.
    """
    if reduction == "none":
        return losses
    total = xp.sum(losses)
    if reduction == "sum":
        return total
    nothing = nan if empty == "nan" else 0.0
    if whole is None or reduction == "batchmean":
        n = count(losses, None)
        return total / float(n) if n else total + nothing
    is_nothing = xp.equal(whole, 0.0)
    return xp.where(is_nothing, nothing, total / xp.where(is_nothing, 1.0, whole))


def share(g, rows, reduction):
    """What flows into the loss of each of `rows` rows when g flows into the reduced one."""
    return g if reduction in ("none", "sum") else g / float(max(rows, 1))


def share_of_rows(xp, g, x, axis, reduction, kept=None, whole=None):
    """The same for rows of `x` along `axis`, which fits the shape of `x`; nothing flows into rows that are not kept."""
    if whole is None or reduction != "mean":
        g = share(g, count(x, None) // count(x, axis), reduction)
    else:
        is_nothing = xp.equal(whole, 0.0)
        g = xp.where(is_nothing, 0.0, g / xp.where(is_nothing, 1.0, whole))
    g = xp.expand_dims(g, axis=axis) if reduction == "none" else g
    return g if kept is None else xp.where(xp.expand_dims(kept, axis=axis), g, 0.0)


# --- what a row counts for


def readable(xp, x, targets, ignore_index, axis):
    """(the rows that are kept, x, targets), where the others hold what any formula can read; None keeps all rows."""
    if ignore_index is None:
        return None, x, targets
    labels = plain(targets)
    kept = xp.not_equal(labels, ignore_index)
    return kept, xp.where(xp.expand_dims(kept, axis=axis), x, 1.0), xp.where(kept, labels, 0)


def whole_of(xp, x, targets, weight, kept, axis, reduction):
    """What the mean divides by: the weight of all targets, of rows that are kept; None for the number of all rows."""
    if reduction != "mean" or (weight is None and kept is None):
        return None
    if weight is None:
        amounts = xp.ones_like(xp.max(constant(x), axis=axis))  # one a row, whatever the kind of numbers
    elif is_integer(targets):
        amounts = at_labels(xp, weight, targets)
    else:
        amounts = targets * along(xp, weight, x, axis)
    return xp.sum(amounts if kept is None else xp.where(kept, amounts, 0.0))


def at_labels(xp, weight, labels):
    """For each label the weight of its class."""
    return xp.reshape(xp.take(weight, xp.reshape(labels, (-1,)), axis=0), shape(labels))


def along(xp, weight, x, axis):
    """One weight a class, so that it fits the axis of the classes in x."""
    at = one_axis(axis, len(shape(x)), "weight")
    return xp.reshape(weight, (-1,) + (1,) * (len(shape(x)) - at - 1))


def counted(xp, weight, losses):
    """weight * losses, where a loss of weight 0 counts for 0 also if it is infinite."""
    if type(weight) is float and type(losses) is not float:
        weight = lifted(xp, weight, losses)
    needless = xp.logical_and(xp.equal(weight, 0.0), xp.isinf(losses))
    return weight * xp.where(needless, 0.0, losses)
