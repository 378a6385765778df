"""Cross-entropy from logits: how surprised the probabilities softmax(z) are by the targets."""

from __future__ import annotations

from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core
from tinygrad_sm.family.sigmoid import sigmoid, softplus
from tinygrad_sm.family.softmax import log_softmax, softmax
from tinygrad_sm.graph import fused
from tinygrad_sm.graph.namespaces import as_data, shape
from tinygrad_sm.graph.op import is_integer
from tinygrad_sm.nd.shapes import one_axis
from tinygrad_sm.ops.helpers import spread


def reduced(xp, losses, reduction):
    """The losses of the rows: as they are, summed, or their mean (0 for no rows)."""
    if reduction == "none":
        return losses
    total = xp.sum(losses)
    return total if reduction == "sum" else total / float(max(rows_of(losses), 1))


def rows_of(losses):
    """How many rows there are."""
    count = 1
    for n in shape(losses):
        count *= n
    return count


def row_gradient(xp, g, z, axis, reduction):
    """What flows into the loss of each row, with the axis of the classes kept."""
    if reduction == "none":
        return xp.expand_dims(g, axis=axis)
    rows = rows_of(z) // max(shape(z)[axis], 1)
    return g if reduction == "sum" else g / float(max(rows, 1))


@fused
def cross_entropy(xp, logits, targets, *, axis=-1, reduction="mean"):
    """-log of the probability of the target class, from logits.

    `targets` are class indices (ints, the shape of the logits without `axis`) or probabilities (floats of the logits' shape,
    which may be a Value with a gradient of its own). `reduction`: "mean" (over rows), "sum", "none"; "batchmean" is "mean".
    Raises a `LabelError` (an IndexError and a ValueError) for a label that names no class, and a TypeError or ValueError for
    targets that are neither.

    Rule: softmax(z) - onehot(t), and at the target minus the sum of the others, which keeps its digits when p is nearly 1.

    The loss of a row is log S - z_t, so its gradient is p_j - 1[j = t]; as the probabilities sum to 1, p_t - 1 is minus the
    sum of the others. With target probabilities t it is p_j sum(t) - t_j = p_j (sum of the other t) - t_j (sum of the other p).

    >>> import tinygrad_sm as tg
    >>> z = tg.Value([[2.0, 1.0, 0.5]])
    >>> loss = tg.cross_entropy(z, [0])
    >>> loss.backward()
    >>> print(f"{loss:.6f}", z.grad)
    0.464369 [[-0.37146828, 0.2312239, 0.14024438]]
    """
    log_p = log_softmax(logits, axis=axis)
    if is_integer(targets):
        picked = xp.take_along_axis(log_p, xp.expand_dims(targets, axis=axis), axis=axis)
        return reduced(xp, -xp.squeeze(picked, axis=axis), reduction)
    impossible = xp.logical_and(xp.equal(targets, 0.0), xp.isinf(log_p))  # 0 log 0 = 0
    return reduced(xp, -xp.sum(targets * xp.where(impossible, 0.0, log_p), axis=axis), reduction)


@cross_entropy.backward
def _(xp, g, out, logits, targets, *, axis, reduction):
    g = row_gradient(xp, g, logits, axis, reduction)
    p = softmax(logits, axis=axis)
    if is_integer(targets):
        hot = xp.equal(xp.expand_dims(targets, axis=axis), class_numbers(xp, logits, axis))
        others = xp.where(hot, 0.0, p)
        return xp.where(hot, -xp.sum(others, axis=axis, keepdims=True), others) * g, None
    rest = xp.sum(targets, axis=axis, keepdims=True) - targets
    of_logits = (p * rest - targets * complement(xp, p, logits, axis)) * g
    return of_logits, lambda: -log_softmax(logits, axis=axis) * g


def class_numbers(xp, z, axis):
    """0, 1, 2, ... along the axis of the classes."""
    at = one_axis(axis, len(shape(z)), "cross_entropy")
    return xp.reshape(xp.arange(shape(z)[at]), (1,) * at + (-1,) + (1,) * (len(shape(z)) - at - 1))


def complement(xp, p, z, axis):
    """1 - p without cancellation: where p is the largest, the sum of the others."""
    top = xp.equal(xp.expand_dims(xp.argmax(z, axis=axis), axis=axis), class_numbers(xp, z, axis))
    others = xp.where(top, 0.0, p)
    return xp.where(top, xp.sum(others, axis=axis, keepdims=True), 1.0 - p)


@cross_entropy.kernel(nd.Array)
def _(logits, targets, *, axis, reduction):
    at = one_axis(axis, logits.ndim, "cross_entropy")
    order = (*(i for i in range(logits.ndim) if i != at), at)
    last = logits if at == logits.ndim - 1 else nd.permute_dims(logits, order)
    n = last.shape[-1]
    flat = last._flat
    rows = [flat[i : i + n] for i in range(0, len(flat), n)] if n else []
    if is_integer(targets):
        losses = [*map(core.index_loss, rows, nd.asarray(targets)._flat)]
    else:
        t = targets if last is logits else nd.permute_dims(targets, order)
        losses = [core.probability_loss(row, t._flat[i * n : (i + 1) * n]) for i, row in enumerate(rows)]
    return reduced(nd, nd.array.make(losses, last.shape[:-1], nd.float64), reduction)


@cross_entropy.prepare
def _(xp: Any, logits: Any, targets: Any, *, axis: Any, reduction: str) -> tuple:
    name = "cross_entropy"
    logits = checks.logits(logits, name)
    at = one_axis(axis, len(shape(logits)), name)
    checks.reduction(reduction, name)
    if shape(targets) == shape(logits) and not is_integer(targets):
        targets = as_data(targets, name) if not isinstance(targets, bool) else targets
    checks.class_targets(targets, shape(logits), at, name)
    return logits, targets


@fused
def binary_cross_entropy(xp, logits, targets, *, reduction="mean"):
    """-log of the probability of the right answer to yes-or-no questions, from logits of yes.

    `targets` (shape of the logits) are 0, 1 or between, and may be a Value. `reduction`: "mean", "sum" or "none".
    Raises a ValueError for targets outside [0, 1] or of another shape.

    Rule: (1 - t) sigmoid(z) - t sigmoid(-z); and -z for the targets.

    t softplus(-z) + (1 - t) softplus(z) is a sum of terms that are not negative, so no digits cancel; a term of weight 0
    counts for 0 also at an infinite logit.

    >>> import tinygrad_sm as tg
    >>> print(f"{tg.binary_cross_entropy([0.0, 2.0], [1.0, 1.0]):.6f}")
    0.410038
    """
    yes, no = targets, 1.0 - targets
    if_yes = xp.where(_needless(xp, yes, logits), 0.0, softplus(-logits))
    if_no = xp.where(_needless(xp, no, logits), 0.0, softplus(logits))
    return reduced(xp, yes * if_yes + no * if_no, reduction)


def _needless(xp, weight, logits):
    return xp.logical_and(xp.equal(weight, 0.0), xp.isinf(logits))


@binary_cross_entropy.backward
def _(xp, g, out, logits, targets, *, reduction):
    if reduction != "none":
        g = spread(xp, g if reduction == "sum" else g / float(max(rows_of(logits), 1)), logits, None, False)
    of_logits = g * ((1.0 - targets) * sigmoid(logits) - targets * sigmoid(-logits))
    return of_logits, lambda: -logits * g


@binary_cross_entropy.prepare
def _(xp: Any, logits: Any, targets: Any, *, reduction: str) -> tuple:
    name = "binary_cross_entropy"
    logits = checks.logits(logits, name)
    checks.reduction(reduction, name)
    if shape(targets) != shape(logits):
        raise ValueError(f"{name}: targets of shape {shape(targets)} for logits of shape {shape(logits)}")
    targets = checks.as_floats(targets, name)
    checks.unit_interval(targets, name)
    return logits, targets
