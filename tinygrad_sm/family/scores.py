"""Losses of plain scores, which stand for no probabilities: the squared error and the hinge."""

from __future__ import annotations

from math import prod
from numbers import Real
from typing import Any

from tinygrad_sm.family import checks
from tinygrad_sm.family.labels import is_class, of_class
from tinygrad_sm.family.reduction import reduced, share, share_of_rows
from tinygrad_sm.graph import fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.op import is_integer
from tinygrad_sm.nd.shapes import one_axis
from tinygrad_sm.ops.elementwise import relu
from tinygrad_sm.ops.helpers import count


@fused
def mse_loss(xp, predictions, targets, *, reduction="mean"):
    """The squared error (predictions - targets)^2, averaged over all elements.

    `targets` have the shape of the predictions, and nothing is broadcast; they may be a Value. `reduction`: "mean" over the
    elements (0 for none), "sum" or "none"; "batchmean" is "mean". Raises a ValueError for targets of another shape.

    Rule: 2 (x - t), and minus that for the targets.

    The derivative of (x - t)^2 by x is 2 (x - t), and x - t changes by -1 with t.

    >>> import tinygrad_sm as tg
    >>> x = tg.Value([1.0, 2.0])
    >>> loss = tg.mse_loss(x, [0.0, 4.0])
    >>> loss.backward()
    >>> print(loss.item(), x.grad)
    2.5 [1.0, -2.0]
    """
    return reduced(xp, xp.square(predictions - targets), reduction)


@mse_loss.backward
def _(xp, g, out, predictions, targets, *, reduction):
    slope = share(g, count(predictions, None), reduction) * 2.0 * (predictions - targets)
    return slope, lambda: -slope


@mse_loss.prepare
def _(xp: Any, predictions: Any, targets: Any, *, reduction: str) -> tuple:
    predictions = checks.numbers(predictions, "mse_loss", "predictions")
    checks.reduction(reduction, "mse_loss")
    return predictions, checks.numbers_like(xp, targets, predictions, "mse_loss")


@mse_loss.hard_inputs
def _():
    x, t = [1.5, -2.25, 1e8, 1e-300, 3.0], [1.25, 4.0, 1e8 + 3.0, -1e-300, 3.0]
    for reduction in ("none", "sum", "mean"):
        yield reduction, (x, t), {"reduction": reduction}
    yield "near each other", ([1.0, 1.0 + 2.0**-52], [1.0 + 2.0**-52, 1.0])
    yield "one number", (2.5, -1.0)


@fused(conditioned=lambda name, *_, **settings: not name)  # its slopes are those of straight lines
def hinge_loss(xp, scores, targets, *, axis=-1, margin=1.0, reduction="mean"):
    """How far scores fall short of a margin: max(0, margin - t s) for yes or no, and summed over the wrong classes for several.

    Targets in the shape of the scores are -1 and 1, each with a loss of its own; they may be a Value. Targets that are class
    indices (ints, the shape of the scores without `axis`) give each row the sum over its other classes j of
    max(0, margin - (s_t - s_j)), divided by the number of classes: what PyTorch calls multi_margin_loss, with p = 1.
    `margin` is a number, not negative; `reduction` is as for `cross_entropy`. Raises a `LabelError` for a label that names no
    class, a ValueError for targets of another shape and for other numbers than -1 and 1 in that of the scores, and a TypeError
    for targets that are neither of the two.

    Rule: -t where t s < margin; for classes 1 / C at each j whose s_t - s_j < margin, and minus the sum of these at the target.

    max(0, margin - u) has slope -1 where u < margin and 0 elsewhere, also at the corner; u = t s or s_t - s_j.
    (Weston and Watkins, ESANN 1999)

    >>> import tinygrad_sm as tg
    >>> s = tg.Value([0.5, -3.0])
    >>> loss = tg.hinge_loss(s, [1, -1])
    >>> loss.backward()
    >>> print(loss.item(), s.grad)
    0.25 [-0.5, 0.0]
    >>> print(f"{tg.hinge_loss([[2.0, 1.5, 0.0]], [0]):.6f}")
    0.166667
    """
    if not is_integer(targets):
        return reduced(xp, relu(float(margin) - targets * scores), reduction)
    ahead, hot = _lead(xp, scores, targets, axis)
    short = xp.where(hot, 0.0, relu(float(margin) - ahead))
    return reduced(xp, xp.sum(short, axis=axis) / float(count(scores, axis)), reduction)


def _lead(xp, scores, labels, axis):
    """How far the score of the target class lies above each score of its row, and which of these it is itself."""
    at_label = xp.expand_dims(of_class(xp, scores, labels, axis), axis=axis)
    return at_label - scores, is_class(xp, labels, scores, axis)


@hinge_loss.backward
def _(xp, g, out, scores, targets, *, axis, margin, reduction):
    if not is_integer(targets):
        g = share(g, count(scores, None), reduction)
        short = targets * scores < float(margin)
        return xp.where(short, -targets * g, 0.0), lambda: xp.where(short, -scores * g, 0.0)
    g = share_of_rows(xp, g, scores, axis, reduction) / float(count(scores, axis))
    ahead, hot = _lead(xp, scores, targets, axis)
    pulls = xp.where(xp.logical_and(ahead < float(margin), xp.logical_not(hot)), g, 0.0)
    return xp.where(hot, -xp.sum(pulls, axis=axis, keepdims=True), pulls), None


@hinge_loss.prepare
def _(xp: Any, scores: Any, targets: Any, *, axis: Any, margin: Any, reduction: str) -> tuple:
    scores = checks.numbers(scores, "hinge_loss", "scores")
    checks.reduction(reduction, "hinge_loss")
    if not isinstance(margin, Real):
        raise TypeError(f"hinge_loss: the margin is a number, not {margin!r}")
    if not float(margin) >= 0.0:  # nan too
        raise ValueError(f"hinge_loss: the margin is not negative, and this one is {margin}")
    sizes, given = shape(scores), shape(targets)
    if given == sizes:
        return scores, checks.signs(xp, targets, scores, "hinge_loss")
    if prod(given) == prod(sizes) > 0:  # one class, and no loss whatever its score: (n,) against (n, 1) was meant otherwise
        raise ValueError(
            f"hinge_loss: targets of shape {given} for scores of shape {sizes}; reshape them to {sizes}, as -1 and 1"
        )
    at = one_axis(axis, len(sizes), "hinge_loss")
    other = f"-1 and 1 (of shape {sizes})"
    return scores, checks.class_indices(xp, targets, sizes, at, "hinge_loss", "scores", other)


@hinge_loss.hard_inputs
def _():
    signs = ([0.5, -3.0, 1.0 - 2.0**-53, 1e8, -1e-300], [1.0, -1.0, 1.0, -1.0, 1.0])
    z = [[0.3, -1.7, 2.25], [1e8, 1e8 + 0.75, 1e8 - 0.25], [-1e-300, 0.5, 0.25]]
    for reduction in ("none", "sum", "mean"):
        yield f"signs, {reduction}", signs, {"reduction": reduction}
        yield f"labels, {reduction}", (z, [1, 0, 2]), {"reduction": reduction}
    yield "wide margin", (z, [1, 0, 2]), {"margin": 3.5}
    yield "first axis", (z, [1, 0, 2]), {"axis": 0}
    yield "far apart", ([[0.0, 700.0, -700.0]], [1]), {"margin": 1000}
    yield "one number", (0.25, 1.0)
