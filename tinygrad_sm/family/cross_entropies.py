"""Cross-entropy from logits: how surprised the probabilities softmax(z), or sigmoid(z), are by the targets."""

from __future__ import annotations

from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core
from tinygrad_sm.family.logistic import sigmoid, softplus
from tinygrad_sm.family.probabilities import log_softmax, softmax
from tinygrad_sm.family.reduction import reduced, share
from tinygrad_sm.graph import fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.op import is_integer
from tinygrad_sm.nd.shapes import all_axes, one_axis, reduced_shape
from tinygrad_sm.ops.helpers import count


@fused
def cross_entropy(xp, logits, targets, *, axis=-1, reduction="mean"):
    """-log of the probability of the target class, from logits.

    `targets` are class indices (ints, the shape of the logits without `axis`) or probabilities (floats of the logits' shape,
    used as they are; they may be a Value with a gradient of its own). `reduction`: "mean" over the rows (0 for none), "sum",
    "none" (the shape of the logits without `axis`); "batchmean" is "mean".
    Raises a `LabelError` (an IndexError and a ValueError) for a label that names no class, a ValueError for class indices of
    another shape and for negative probabilities, and a TypeError for targets that are neither of the two.

    Rule: softmax(z) - onehot(t), and at the target minus the sum of the others, which keeps its digits when p is nearly 1.
    For probabilities t: p_j (sum of the other t) - t_j (sum of the other p), and -log p for the targets.

    The loss of a row is log S - z_t, so its gradient is p_j - 1[j = t]; as the probabilities sum to 1, p_t - 1 is minus the
    sum of the others. That of -sum_i t_i (z_i - log S) is p_j sum_i t_i - t_j = p_j sum_i t_i - t_j sum_i p_i; the terms
    i = j cancel. (Goodfellow, Bengio and Courville, Deep Learning, 6.2.2.3)

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
    g = share(g, count(logits, None) // count(logits, axis), reduction)
    if reduction == "none":
        g = xp.expand_dims(g, axis=axis)
    p = softmax(logits, axis=axis)
    if is_integer(targets):
        hot = _is_class(xp, targets, logits, axis)
        others = xp.where(hot, 0.0, p)
        return xp.where(hot, -xp.sum(others, axis=axis, keepdims=True), others) * g, None
    likeliest = _is_class(xp, xp.argmax(targets, axis=axis), logits, axis)
    rest_of_p, rest_of_t = (_others(xp, x, likeliest, axis) for x in (p, targets))
    return (p * rest_of_t - targets * rest_of_p) * g, lambda: -log_softmax(logits, axis=axis) * g


def _others(xp, x, likeliest, axis):
    """For each class the sum of x over the others; without cancellation at the likeliest target, where both may be tiny."""
    rest = xp.sum(xp.where(likeliest, 0.0, x), axis=axis, keepdims=True)
    return xp.where(likeliest, rest, xp.sum(x, axis=axis, keepdims=True) - x)


def _is_class(xp, labels, z, axis):
    """Where along the axis of the classes the label of the row stands."""
    sizes = shape(z)
    at = one_axis(axis, len(sizes), "cross_entropy")
    classes = xp.reshape(xp.arange(sizes[at]), (-1,) + (1,) * (len(sizes) - at - 1))
    return xp.equal(xp.expand_dims(labels, axis=axis), classes)


@cross_entropy.kernel(nd.Array)
def _(logits, targets, *, axis, reduction):
    rows = core.rows(logits, axis)
    if is_integer(targets):
        losses = [*map(core.index_loss, rows, targets._flat)]
    else:
        losses = [*map(core.probability_loss, rows, core.rows(targets, axis))]
    sizes = reduced_shape(logits.shape, all_axes(axis, logits.ndim, "cross_entropy"), keepdims=False)
    return reduced(nd, nd.reshape(nd.asarray(losses), sizes), reduction)


@cross_entropy.prepare
def _(xp: Any, logits: Any, targets: Any, *, axis: Any, reduction: str) -> tuple:
    logits = checks.logits(logits, "cross_entropy")
    at = one_axis(axis, len(shape(logits)), "cross_entropy")
    checks.reduction(reduction, "cross_entropy")
    return logits, checks.class_targets(xp, targets, shape(logits), at, "cross_entropy")


@fused
def binary_cross_entropy(xp, logits, targets, *, reduction="mean"):
    """-log of the probability of the right answer to yes-or-no questions, from logits of yes.

    `targets` (the shape of the logits; floats, ints or bools) are 0, 1 or between, and may be a Value. `reduction`: "mean"
    over the elements (0 for none), "sum" or "none"; "batchmean" is "mean". Raises a ValueError for targets outside [0, 1] or
    of another shape.

    Rule: (1 - t) s(z) - t s(-z), s the sigmoid; and -z for the targets.

    The loss is -t log s(z) - (1 - t) log s(-z) = t softplus(-z) + (1 - t) softplus(z), a sum of terms that are not negative,
    in which no digits cancel; a term of weight 0 counts for 0 also at an infinite logit. softplus' = s gives the rule, and
    softplus(-z) - softplus(z) = -z that for t.

    >>> import tinygrad_sm as tg
    >>> print(f"{tg.binary_cross_entropy([0.0, 2.0], [1.0, 1.0]):.6f}")
    0.410038
    """
    yes, no = targets, 1.0 - targets
    if_yes = xp.where(_needless(xp, yes, logits), 0.0, softplus(-logits))
    if_no = xp.where(_needless(xp, no, logits), 0.0, softplus(logits))
    return reduced(xp, yes * if_yes + no * if_no, reduction)


def _needless(xp, weight, logits):
    """Where 0 times an infinite loss is to be 0."""
    return xp.logical_and(xp.equal(weight, 0.0), xp.isinf(logits))


@binary_cross_entropy.backward
def _(xp, g, out, logits, targets, *, reduction):
    g = share(g, count(logits, None), reduction)
    of_logits = (1.0 - targets) * sigmoid(logits) - targets * sigmoid(-logits)
    return of_logits * g, lambda: -logits * g


@binary_cross_entropy.prepare
def _(xp: Any, logits: Any, targets: Any, *, reduction: str) -> tuple:
    logits = checks.logits(logits, "binary_cross_entropy")
    checks.reduction(reduction, "binary_cross_entropy")
    return logits, checks.answers(xp, targets, logits, "binary_cross_entropy")
