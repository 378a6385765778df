"""Losses of yes-or-no questions, from the logit of yes: cross-entropy, and the focal loss that looks past easy answers."""

from __future__ import annotations

from typing import Any

from tinygrad_sm.family import checks
from tinygrad_sm.family.hard import MARGINS
from tinygrad_sm.family.logistic import sigmoid, softplus
from tinygrad_sm.family.reduction import counted, reduced, share
from tinygrad_sm.graph import fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.nd.shapes import flatten
from tinygrad_sm.ops.helpers import count, over


def _subtracts(name, x, targets, weight=None, pos_weight=None, *, from_logits, reduction):
    """Yes and no pull at a logit both where a target lies between; and at a target, but for their difference -z."""
    if name == "targets":
        return pos_weight is not None or not from_logits
    return name == "logits" and any(0.0 < t < 1.0 for t in flatten(nested_lists(targets))[0])


@fused(conditioned=_subtracts)
def binary_cross_entropy(xp, logits, targets, weight=None, pos_weight=None, *, from_logits=True, reduction="mean"):
    """-log of the probability of the right answer to yes-or-no questions, from logits of yes, or from its probability.

    `targets` (the shape of the logits; floats, ints or bools) are 0, 1 or between, and may be a Value; nothing is broadcast to
    them. `weight`, one number of 0 or more for each loss, and `pos_weight`, one for each yes, broadcast to the shape of the
    logits, and may be Values. `reduction`: "mean" over the elements (0 for none), whatever they weigh, "sum" or "none";
    "batchmean" is "mean". Raises a ValueError for targets or probabilities outside [0, 1], targets of another shape and
    weights that are negative or do not broadcast.

    Rule: w ((1 - t) s(z) - v t s(-z)), s the sigmoid, w and v the weights; and w (v softplus(-z) - softplus(z)) for the
    targets, which is -z without weights. From probabilities w ((1 - t) / (1 - p) - v t / p), 0 where the weight is.

    The loss is -t log s(z) - (1 - t) log s(-z) = t softplus(-z) + (1 - t) softplus(z), a sum of terms that are not negative,
    in which no digits cancel; a term of weight 0 counts for 0 also at an infinite logit. softplus' = s gives the rule, and
    softplus(-z) - softplus(z) = -z that for t. From a probability the terms are -log p and -log(1 - p), inf where p says that
    what happened cannot.

    >>> import tinygrad_sm as tg
    >>> print(f"{tg.binary_cross_entropy([0.0, 2.0], [1.0, 1.0]):.6f}")
    0.410038
    >>> print(f"{tg.binary_cross_entropy([0.5, 0.75], [1.0, 0.0], from_logits=False):.6f}")
    1.039721
    """
    losses = _answered(xp, logits, targets, pos_weight, from_logits)
    return reduced(xp, losses if weight is None else counted(xp, weight, losses), reduction)


def _answered(xp, x, targets, pos_weight, from_logits):
    """The loss of each answer, before it is weighted."""
    yes, no = targets, 1.0 - targets
    if_yes, if_no = _surprises(xp, x, yes, no, from_logits)
    return counted(xp, yes if pos_weight is None else yes * pos_weight, if_yes) + counted(xp, no, if_no)


def _surprises(xp, x, yes, no, from_logits):
    """-log of the probability of yes, and of no."""
    if from_logits:
        return softplus(-x), softplus(x)
    p = xp.where(xp.logical_and(xp.equal(yes, 0.0), xp.equal(x, 0.0)), 1.0, x)  # nobody asks for this infinity, nor for that
    q = xp.where(xp.logical_and(xp.equal(no, 0.0), xp.equal(x, 1.0)), 0.0, x)
    return -xp.log(p), -xp.log1p(-q)


@binary_cross_entropy.backward
def _(xp, g, out, logits, targets, weight=None, pos_weight=None, *, from_logits, reduction):
    g = share(g, count(logits, None), reduction)
    pull = g if weight is None else g * weight
    no, yes = 1.0 - targets, targets if pos_weight is None else targets * pos_weight

    if from_logits:
        of_x = (no * sigmoid(logits) - yes * sigmoid(-logits)) * pull
    else:
        of_x = over(xp, no * pull, 1.0 - logits) - over(xp, yes * pull, logits)

    def of_targets():
        if from_logits and pos_weight is None:
            return -logits * pull
        if_yes, if_no = _surprises(xp, logits, targets, no, from_logits)
        return ((if_yes if pos_weight is None else counted(xp, pos_weight, if_yes)) - if_no) * pull

    def of_pos_weight():
        return counted(xp, targets * pull, _surprises(xp, logits, targets, no, from_logits)[0])

    return of_x, of_targets, lambda: _answered(xp, logits, targets, pos_weight, from_logits) * g, of_pos_weight


@binary_cross_entropy.prepare
def _(xp: Any, logits: Any, targets: Any, *weights: Any, from_logits: bool, reduction: str) -> tuple:
    name = "binary_cross_entropy"
    x = checks.numbers(logits, name, "logits" if from_logits else "probabilities")
    checks.reduction(reduction, name)
    targets = checks.answers(xp, targets, x, name)
    if not from_logits:
        checks.between_0_and_1(xp, x, name)
    each = zip(("weight", "pos_weight"), weights)  # noqa: B905 (there may be none)
    return x, targets, *(checks.weights_like(xp, w, shape(x), name, what) for what, w in each)


@binary_cross_entropy.hard_inputs
def _():
    zs = [0.3, -1.7, 2.25, *MARGINS, *(-z for z in MARGINS), 745.0, -745.0]
    yes_and_no = [float(i % 2) for i in range(len(zs))]
    between = [(0.25, 0.5, 0.9)[i % 3] for i in range(len(zs))]
    for reduction in ("none", "mean"):
        yield f"yes and no, {reduction}", (zs, yes_and_no), {"reduction": reduction}
        yield f"between, {reduction}", (zs, between), {"reduction": reduction}
    yield "the other answers", (zs, [1.0 - t for t in yes_and_no]), {"reduction": "sum"}
    yield "near 0", ([1e-6, -1e-9, 1e-300], [0.5, 0.25, 1.0]), {"reduction": "none"}
    weights = {"weight": [0.5, 2.0, 0.0, 1.0], "pos_weight": [3.0, 0.25, 1.5, 1.0]}
    yield "weights", ([0.3, -40.0, 2.0, 100.0], [1.0, 0.25, 0.5, 1.0]), weights
    probabilities = [0.3, 1e-300, 1.0 - 2.0**-53, 0.5, 1e-17]
    yield "from probabilities", (probabilities, [1.0, 0.0, 0.0, 0.75, 1.0]), {"from_logits": False}
    yield "one number", (37.0, 0.0)


@fused
def binary_focal_loss(xp, logits, targets, *, gamma=2.0, alpha=None, reduction="mean"):
    """The focal loss of yes-or-no questions, from logits of yes: -(1 - p_t)^gamma log p_t, p_t that of the right answer.

    `targets` are as for `binary_cross_entropy`; one between 0 and 1 mixes the losses of yes and no. `gamma`, 0 or more, says
    how little an answer counts that is right already (0: cross-entropy); `alpha`, from 0 to 1, is the weight of yes, and
    1 - alpha that of no; without it both are 1. `reduction` is as for `binary_cross_entropy`. Raises a ValueError for settings
    out of range and for targets outside [0, 1] or of another shape. (Lin et al., 1708.02002)

    Rule: for yes -s(-z)^gamma (s(-z) + gamma s(z) softplus(-z)), s the sigmoid, and for no minus the same at -z.

    1 - p_t is s(-z) for yes, and -log p_t is softplus(-z). s(-z)' = -s(z) s(-z) and softplus(-z)' = -s(-z), so the product
    s(-z)^gamma softplus(-z) has the slope -gamma s(-z)^gamma s(z) softplus(-z) - s(-z)^gamma s(-z). No is yes at -z.

    >>> import tinygrad_sm as tg
    >>> print(f"{tg.binary_focal_loss([0.0, 2.0], [1.0, 1.0]):.6f}")
    0.087545
    """
    yes, no = _shares(targets, alpha)
    if_yes, if_no = (xp.pow(sigmoid(wrong), float(gamma)) * softplus(wrong) for wrong in (-logits, logits))
    return reduced(xp, counted(xp, yes, if_yes) + counted(xp, no, if_no), reduction)


def _shares(targets, alpha):
    """What the losses of yes and of no count for."""
    yes, no = targets, 1.0 - targets
    return (yes, no) if alpha is None else (yes * alpha, no - no * alpha)


@binary_focal_loss.backward
def _(xp, g, out, logits, targets, *, gamma, alpha, reduction):
    g, gamma = share(g, count(logits, None), reduction), float(gamma)
    yes, no = _shares(targets, alpha)

    def slope(wrong):  # at the logit of the wrong answer
        s, surprise = sigmoid(wrong), softplus(wrong)
        return xp.pow(s, gamma) * (s + gamma * counted(xp, sigmoid(-wrong), surprise))

    def of_targets():
        one, other = _shares(xp.ones_like(targets), alpha)[0], _shares(xp.zeros_like(targets), alpha)[1]
        if_yes, if_no = (xp.pow(sigmoid(wrong), gamma) * softplus(wrong) for wrong in (-logits, logits))
        return (one * if_yes - other * if_no) * g

    return (no * slope(logits) - yes * slope(-logits)) * g, of_targets


@binary_focal_loss.prepare
def _(xp: Any, logits: Any, targets: Any, *, gamma: Any, alpha: Any, reduction: str) -> tuple:
    name = "binary_focal_loss"
    logits = checks.numbers(logits, name)
    checks.reduction(reduction, name)
    checks.setting(gamma, name, "gamma")
    if alpha is not None:
        checks.fraction(alpha, name, "alpha")
    return logits, checks.answers(xp, targets, logits, name)


@binary_focal_loss.hard_inputs
def _():
    zs = [0.3, -1.7, 2.25, 37.0, -37.0, 100.0, -100.0]
    answers = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]
    for gamma in (0.0, 0.5, 2.0, 5):
        yield f"gamma {gamma}", (zs, answers), {"gamma": gamma, "reduction": "none"}
    yield "alpha", (zs, answers), {"alpha": 0.25}
    yield "margin 700", ([700.0, -700.0], [1.0, 0.0]), {"gamma": 0.03125, "reduction": "sum"}
    yield "one number", (1.5, 0.0)
