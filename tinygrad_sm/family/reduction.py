"""From one loss a row to one number and back: what every loss of the family does with its `reduction`."""

from tinygrad_sm.ops.helpers import count


def reduced(xp, losses, reduction):
    """The losses of the rows: as they are, their sum, or their mean (0 for no rows)."""
    if reduction == "none":
        return losses
    total = xp.sum(losses)
    return total if reduction == "sum" else total / float(max(count(losses, None), 1))


def share(g, rows, reduction):
    """What flows into the loss of each of `rows` rows when g flows into the reduced one."""
    return g if reduction in ("none", "sum") else g / float(max(rows, 1))


def share_of_rows(xp, g, x, axis, reduction):
    """The same for rows of `x` along `axis`, which fits the shape of `x`."""
    g = share(g, count(x, None) // count(x, axis), reduction)
    return xp.expand_dims(g, axis=axis) if reduction == "none" else g
