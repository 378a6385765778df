"""Cross-entropies: how surprised probabilities, given by logits or as they are, are by the targets."""

from __future__ import annotations

from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core
from tinygrad_sm.family.labels import is_class, less_one_hot, of_class
from tinygrad_sm.family.logistic import sigmoid, softplus
from tinygrad_sm.family.probabilities import log_softmax, softmax
from tinygrad_sm.family.reduction import reduced, share, share_of_rows
from tinygrad_sm.graph import fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.op import is_integer
from tinygrad_sm.nd.shapes import all_axes, one_axis, reduced_shape
from tinygrad_sm.ops.helpers import count, over


@fused
def cross_entropy(xp, logits, targets, *, axis=-1, reduction="mean", from_logits=True):
    """-log of the probability of the target class, from logits, or from probabilities with `from_logits=False`.

    `targets` are class indices (ints, the shape of the logits without `axis`) or probabilities (floats of the logits' shape,
    used as they are; they may be a Value with a gradient of its own). `reduction`: "mean" over the rows (0 for none), "sum",
    "none" (the shape of the logits without `axis`); "batchmean" is "mean".
    Raises a `LabelError` (an IndexError and a ValueError) for a label that names no class, a ValueError for class indices of
    another shape, for negative probabilities, and for probabilities (`from_logits=False`) outside [0, 1] or in rows that do not
    sum to 1, and a TypeError for targets that are neither of the two.

    Give logits where you have them: a probability near 1 has lost the digits of its loss, and one that is 0 those of its
    gradient. For target 0 the logits [40, 0] have the loss 4.2e-18 and [0, 800] have 800; from their softmax it is 0 and inf.

    Rule: softmax(z) - onehot(t), and at the target minus the sum of the others, which keeps its digits when p is nearly 1.
    For probabilities t: p_j (sum of the other t) - t_j (sum of the other p), and -log p for the targets.
    With `from_logits=False`: -1 / p_t at the target and 0 elsewhere; for probabilities t: -t / p, 0 where t is.

    The loss of a row is log S - z_t, so its gradient is p_j - 1[j = t]; as the probabilities sum to 1, p_t - 1 is minus the
    sum of the others. That of -sum_i t_i (z_i - log S) is p_j sum_i t_i - t_j = p_j sum_i t_i - t_j sum_i p_i; the terms
    i = j cancel. From probabilities, -t log p has the slopes -t / p and -log p.
    (Goodfellow, Bengio and Courville, Deep Learning, 6.2.2.3)

    >>> import tinygrad_sm as tg
    >>> z = tg.Value([[2.0, 1.0, 0.5]])
    >>> loss = tg.cross_entropy(z, [0])
    >>> loss.backward()
    >>> print(f"{loss:.6f}", z.grad)
    0.464369 [[-0.37146828, 0.2312239, 0.14024438]]
    >>> print(f"{tg.cross_entropy(tg.softmax(z), [0], from_logits=False):.6f}")
    0.464369
    """
    if is_integer(targets):
        if from_logits:
            log_p = of_class(xp, log_softmax(logits, axis=axis), targets, axis)
        else:
            log_p = xp.log(of_class(xp, logits, targets, axis))
        return reduced(xp, -log_p, reduction)
    if from_logits:
        log_p = log_softmax(logits, axis=axis)
        impossible = xp.logical_and(xp.equal(targets, 0.0), xp.isinf(log_p))
        log_p = xp.where(impossible, 0.0, log_p)  # 0 log 0 = 0
    else:
        impossible = xp.logical_and(xp.equal(targets, 0.0), xp.equal(logits, 0.0))
        log_p = xp.log(xp.where(impossible, 1.0, logits))
    return reduced(xp, -xp.sum(targets * log_p, axis=axis), reduction)


@cross_entropy.backward
def _(xp, g, out, logits, targets, *, axis, reduction, from_logits):
    g = share_of_rows(xp, g, logits, axis, reduction)
    if not from_logits:
        return _by_probabilities(xp, g, logits, targets, axis)
    p = softmax(logits, axis=axis)
    if is_integer(targets):
        return less_one_hot(xp, p, targets, axis) * g, None
    likeliest = is_class(xp, xp.argmax(targets, axis=axis), logits, axis)
    rest_of_p, rest_of_t = (_others(xp, x, likeliest, axis) for x in (p, targets))
    return (p * rest_of_t - targets * rest_of_p) * g, lambda: -log_softmax(logits, axis=axis) * g


def _by_probabilities(xp, g, p, targets, axis):
    if is_integer(targets):
        return over(xp, xp.where(is_class(xp, targets, p, axis), -g, 0.0), p), None
    return over(xp, -targets * g, p), lambda: -xp.log(p) * g


def _others(xp, x, likeliest, axis):
    """For each class the sum of x over the others; without cancellation at the likeliest target, where both may be tiny."""
    rest = xp.sum(xp.where(likeliest, 0.0, x), axis=axis, keepdims=True)
    return xp.where(likeliest, rest, xp.sum(x, axis=axis, keepdims=True) - x)


@cross_entropy.kernel(nd.Array)
def _(logits, targets, *, axis, reduction, from_logits):
    if not from_logits:  # a logarithm an element, which the definition has as accurately
        return cross_entropy.forward(nd, logits, targets, axis=axis, reduction=reduction, from_logits=False)
    rows = core.rows(logits, axis)
    if is_integer(targets):
        losses = [*map(core.index_loss, rows, targets._flat)]
    else:
        losses = [*map(core.probability_loss, rows, core.rows(targets, axis))]
    sizes = reduced_shape(logits.shape, all_axes(axis, logits.ndim, "cross_entropy"), keepdims=False)
    return reduced(nd, nd.reshape(nd.asarray(losses), sizes), reduction)


@cross_entropy.prepare
def _(xp: Any, logits: Any, targets: Any, *, axis: Any, reduction: str, from_logits: bool) -> tuple:
    logits = checks.numbers(logits, "cross_entropy", "logits" if from_logits else "probabilities")
    at = one_axis(axis, len(shape(logits)), "cross_entropy")
    checks.reduction(reduction, "cross_entropy")
    targets = checks.class_targets(
        xp, targets, shape(logits), at, "cross_entropy", "logits" if from_logits else "probabilities"
    )
    if not from_logits:
        checks.probabilities(xp, logits, at, "cross_entropy")
    return logits, targets


@fused
def nll_loss(xp, log_probabilities, targets, *, axis=-1, reduction="mean"):
    """The negative log-likelihood: minus the log-probability of the target class, from log-probabilities.

    It takes what `log_softmax` gives, so that the two are `cross_entropy`. `targets` are class indices (ints, the shape of the
    log-probabilities without `axis`); `reduction` is as for `cross_entropy`. Raises a `LabelError` for a label that names no
    class, a ValueError for indices of another shape and for log-probabilities above 0, and a TypeError for targets that are
    no ints.

    Rule: -g at the target, 0 elsewhere.

    The loss of a row is one of its elements, negated.

    >>> import tinygrad_sm as tg
    >>> log_p = tg.log_softmax(tg.Value([[2.0, 1.0, 0.5]]))
    >>> print(f"{tg.nll_loss(log_p, [0]):.6f}")
    0.464369
    """
    return reduced(xp, -of_class(xp, log_probabilities, targets, axis), reduction)


@nll_loss.backward
def _(xp, g, out, log_probabilities, targets, *, axis, reduction):
    g = share_of_rows(xp, g, log_probabilities, axis, reduction)
    return xp.where(is_class(xp, targets, log_probabilities, axis), -g, 0.0), None


@nll_loss.prepare
def _(xp: Any, log_probabilities: Any, targets: Any, *, axis: Any, reduction: str) -> tuple:
    x = checks.numbers(log_probabilities, "nll_loss", "log-probabilities")
    at = one_axis(axis, len(shape(x)), "nll_loss")
    checks.reduction(reduction, "nll_loss")
    targets = checks.class_indices(xp, targets, shape(x), at, "nll_loss", "log-probabilities")
    checks.log_probabilities(xp, x, "nll_loss")
    return x, targets


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
    logits = checks.numbers(logits, "binary_cross_entropy")
    checks.reduction(reduction, "binary_cross_entropy")
    return logits, checks.answers(xp, targets, logits, "binary_cross_entropy")
