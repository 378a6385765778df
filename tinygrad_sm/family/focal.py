"""The focal loss of classes: cross-entropy that counts little where the answer is right already."""

from __future__ import annotations

from typing import Any

from tinygrad_sm.family import checks
from tinygrad_sm.family.hard import MARGINS, rows
from tinygrad_sm.family.labels import is_class, of_class
from tinygrad_sm.family.probabilities import log_softmax, softmax
from tinygrad_sm.family.reduction import along, at_labels, counted, readable, reduced, share_of_rows, whole_of
from tinygrad_sm.graph import fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.nd.shapes import one_axis


@fused
def focal_loss(xp, logits, targets, alpha=None, *, gamma=2.0, axis=-1, ignore_index=None, reduction="mean"):
    """-alpha_t (1 - p_t)^gamma log p_t, where p_t is the probability of the target class.

    `targets` are class indices (ints, the shape of the logits without `axis`). `gamma`, 0 or more, says how little a row
    counts that is right already (0: cross-entropy); `alpha`, given by keyword, is a number of 0 or more, or one a class, and
    may be a Value. `ignore_index` and `reduction` are as for `cross_entropy`, but a mean is over the rows whatever alpha is;
    it is 0 for none. Raises a `LabelError` for a label that names no class, a ValueError for indices or an alpha of another
    shape and for a gamma or alpha below 0, and a TypeError for targets that are no ints. (Lin et al., 1708.02002)

    Rule: alpha_t A (softmax(z) - onehot(t)) with A = q^gamma (1 + gamma p_t (-log p_t) / q), q = 1 - p_t the sum of the others.

    With u = -log p_t the loss is q^gamma u, and du/dz_j = p_j - 1[j = t]. As dq = -dp_t = p_t du, its slope is
    q^gamma + gamma q^(gamma - 1) p_t u times that of u. u / q is 1 in the limit of q = 0, where everything else is 0.

    >>> import tinygrad_sm as tg
    >>> print(f"{tg.focal_loss([[2.0, 1.0, 0.5]], [0]):.6f}")
    0.064078
    """
    kept, x, targets = readable(xp, logits, targets, ignore_index, axis)
    losses = _focused(xp, x, targets, gamma, axis)
    losses = losses if alpha is None else counted(xp, _at(xp, alpha, targets), losses)
    losses = losses if kept is None else xp.where(kept, losses, 0.0)
    return reduced(xp, losses, reduction, whole_of(xp, x, targets, None, kept, axis, reduction))


def _focused(xp, x, targets, gamma, axis):
    wrong = xp.where(is_class(xp, targets, x, axis), 0.0, softmax(x, axis=axis))
    return xp.pow(xp.sum(wrong, axis=axis), float(gamma)) * -of_class(xp, log_softmax(x, axis=axis), targets, axis)


def _at(xp, alpha, targets):
    """The alpha of each row."""
    return at_labels(xp, alpha, targets) if shape(alpha) else alpha


@focal_loss.backward
def _(xp, g, out, logits, targets, alpha=None, *, gamma, axis, ignore_index, reduction):
    kept, x, targets = readable(xp, logits, targets, ignore_index, axis)
    g = share_of_rows(xp, g, x, axis, reduction, kept, whole_of(xp, x, targets, None, kept, axis, reduction))
    hot, p = is_class(xp, targets, x, axis), softmax(x, axis=axis)
    others = xp.where(hot, 0.0, p)
    q = xp.sum(others, axis=axis, keepdims=True)
    p_t, log_p_t = (xp.expand_dims(of_class(xp, v, targets, axis), axis=axis) for v in (p, log_softmax(x, axis=axis)))
    sure = xp.equal(q, 0.0)
    ratio = xp.where(sure, 1.0, -log_p_t / xp.where(sure, 1.0, q))
    pull = g * xp.pow(q, float(gamma)) * (1.0 + float(gamma) * counted(xp, p_t, ratio))
    pull = pull if alpha is None else pull * (along(xp, alpha, x, axis) if shape(alpha) else alpha)
    if alpha is not None and shape(alpha):
        pull = xp.sum(xp.where(hot, pull, 0.0), axis=axis, keepdims=True)

    def of_alpha():
        losses = xp.expand_dims(_focused(xp, x, targets, gamma, axis), axis=axis) * g
        if not shape(alpha):
            return xp.sum(losses)
        axes = range(len(shape(x)))
        return xp.sum(xp.where(hot, losses, 0.0), axis=tuple(a for a in axes if a != axes[axis]))

    return xp.where(hot, -q, others) * pull, None, of_alpha


@focal_loss.prepare
def _(xp: Any, logits: Any, targets: Any, *optional: Any, gamma: Any, axis: Any, ignore_index: Any, reduction: str) -> tuple:
    x = checks.numbers(logits, "focal_loss")
    at = one_axis(axis, len(shape(x)), "focal_loss")
    checks.loss_settings("focal_loss", reduction, ignore_index, "zero")
    checks.setting(gamma, "focal_loss", "gamma")
    targets = checks.class_indices(xp, targets, shape(x), at, "focal_loss", ignore_index=ignore_index)
    if optional and optional[0] is not None:
        alpha = checks.numbers(optional[0], "focal_loss", "alpha")
        if shape(alpha):
            alpha = checks.class_weights(xp, alpha, shape(x)[at], "focal_loss", what="alpha")
        else:
            checks.not_negative(xp, alpha, "focal_loss", "alpha")
        optional = (alpha,)
    return x, targets, *optional


@focal_loss.hard_inputs
def _():
    for name, row in rows(4):
        yield name, ([row, row], [row.index(max(row)), 1])
    for gamma in (0.0, 0.5, 3):
        yield f"gamma {gamma}", ([[0.3, -1.7, 2.25], [40.0, 0.0, 1.0]], [1, 0]), {"gamma": gamma, "reduction": "none"}
    yield "far apart", ([[0.0, m] for m in MARGINS], [1] * len(MARGINS)), {"gamma": 0.5, "reduction": "sum"}
    settings = {"axis": 0, "ignore_index": -1, "reduction": "batchmean", "alpha": [0.5, 2.0, 0.0]}
    yield "every setting", ([[0.5, -2.0, 1.0], [3.0, 0.25, 0.0], [-1.0, 1.0, 2.0]], [0, -1, 1]), settings
    yield "one alpha", ([[0.5, -2.0, 1.0], [3.0, 0.25, 0.0]], [0, 2]), {"alpha": 0.25}
