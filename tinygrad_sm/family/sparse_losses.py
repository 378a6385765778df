"""The losses of sparsemax and 1.5-entmax, whose gradient is p - t, as that of cross-entropy is for softmax."""

from __future__ import annotations

from collections.abc import Iterator
from math import fsum, nan
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core, hard
from tinygrad_sm.family.core import Row
from tinygrad_sm.family.labels import is_class, less_one_hot, of_class
from tinygrad_sm.family.reduction import reduced, share_of_rows
from tinygrad_sm.family.sparse import (
    below_largest,
    entmax15,
    less,
    less15,
    limit_of,
    off_support,
    sparsemax,
    tau15,
    tau_of,
    threshold,
    threshold15,
)
from tinygrad_sm.graph import fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.op import is_integer
from tinygrad_sm.nd.floats import total
from tinygrad_sm.nd.shapes import all_axes, one_axis, reduced_shape
from tinygrad_sm.ops.elementwise import relu


@fused(conditioned=lambda name, logits, targets, **_: not is_integer(targets))  # p - t
def sparsemax_loss(xp, logits, targets, *, axis=-1, reduction="mean", validate=True):
    """The loss that belongs to sparsemax as cross-entropy does to softmax; 0 where the target leads by a margin of 1.

    `targets` are class indices (ints, the shape of the logits without `axis`) or probabilities (floats of the logits' shape,
    which sum to 1; they may be a Value with a gradient of its own). `reduction`: "mean" over the rows (0 for none), "sum",
    "none" (the shape of the logits without `axis`); "batchmean" is "mean". Raises a `LabelError` for a label that names no
    class, a ValueError for class indices of another shape and for probabilities that are negative or do not sum to 1
    (`validate=False` leaves out these looks at the numbers), and a TypeError for targets that are neither of the two.
    (Martins and Astudillo, 1602.02068; Blondel, Martins and Niculae, 1901.02324)

    Rule: sparsemax(z) - onehot(t), at the target minus the sum of the others.
    For probabilities t: e - sum(e) / |S| on the support S, e off it, with e = p - t; and -e + max(tau - z, 0) for the targets.

    Fenchel and Young's loss of the entropy -|p|^2 / 2 is <p - t, z> - |p|^2 / 2 + |t|^2 / 2 with p = sparsemax(z), and its
    gradient p - t, as the slope of a maximum of <p, z> - |p|^2 / 2 over p is p itself. With z = p + tau on S it is
    |p - t|^2 / 2 + sum over S' of t_i (tau - z_i), S' the rest: terms that are not negative, in which no digits cancel. Where
    the t do not sum to 1 this form lacks tau (1 - sum t), whose slopes on S are (1 - sum t) / |S| = sum(e) / |S|.

    >>> import tinygrad_sm as tg
    >>> z = tg.Value([[2.0, 1.5, 0.0]])
    >>> loss = tg.sparsemax_loss(z, [1])
    >>> loss.backward()
    >>> print(loss.item(), z.grad)
    0.5625 [[0.75, -0.75, 0.0]]
    """
    below, outside = below_largest(xp, logits, axis), off_support(xp, logits, axis, 1)
    tau = tau_of(xp, below, outside, axis)
    p = xp.where(outside, 0.0, relu(below - tau))
    lacking = xp.where(outside, tau - below, 0.0)
    if is_integer(targets):
        short = of_class(xp, lacking, targets, axis)
    else:
        needless = xp.logical_and(xp.equal(targets, 0.0), xp.isinf(lacking))  # 0 times what an infinite logit lacks is 0
        short = xp.sum(targets * xp.where(needless, 0.0, lacking), axis=axis)
    return reduced(xp, xp.sum(xp.square(_less_targets(xp, p, targets, axis)), axis=axis) / 2.0 + short, reduction)


@sparsemax_loss.backward
def _(xp, g, out, logits, targets, *, axis, reduction, validate):
    g = share_of_rows(xp, g, logits, axis, reduction)
    p = sparsemax(logits, axis=axis)
    e = _less_targets(xp, p, targets, axis)
    if is_integer(targets):
        return e * g, None
    support = xp.sign(p)
    excess = xp.sum(e, axis=axis, keepdims=True) / xp.sum(support, axis=axis, keepdims=True)
    return (e - support * excess) * g, lambda: (_lacking(xp, logits, axis) - e) * g


def _lacking(xp, z, axis):
    """max(tau - z, 0)."""
    below, outside = below_largest(xp, z, axis), off_support(xp, z, axis, 1)
    return xp.where(outside, tau_of(xp, below, outside, axis) - below, 0.0)


def _less_targets(xp, p, targets, axis):
    return less_one_hot(xp, p, targets, axis) if is_integer(targets) else p - targets


@fused
def entmax15_loss(xp, logits, targets, *, axis=-1, reduction="mean", validate=True):
    """The loss that belongs to 1.5-entmax as cross-entropy does to softmax; 0 where the target leads by a margin of 2.

    `targets` are class indices (ints, the shape of the logits without `axis`); the rest is as for `sparsemax_loss`.
    (Peters, Niculae and Martins, 1905.05702)

    Rule: entmax15(z) - onehot(t), at the target minus the sum of the others.

    Fenchel and Young's loss of the entropy 4/3 sum(p - p^1.5) is <p - t, z> + 4/3 (sum t^1.5 - sum p^1.5), with the gradient
    p - t. With q_i = sqrt(p_i), which is z_i / 2 - tau on the support, class i adds 2/3 (a - q_i)^2 (2 a + q_i), a = sqrt(t_i),
    and 2 (tau - z_i / 2) if it is the target and off the support: terms that are not negative. At the target a = 1, and 1 - q
    is the sum of the other p over 1 + q.

    >>> import tinygrad_sm as tg
    >>> z = tg.Value([[2.0, 1.0, -1.0]])
    >>> loss = tg.entmax15_loss(z, [0])
    >>> loss.backward()
    >>> print(f"{loss:.6f}", z.grad)
    0.061656 [[-0.16928109, 0.16928109, 0.0]]
    """
    x, outside = below_largest(xp, logits, axis) / 2.0, off_support(xp, logits, axis, 2)
    tau = tau15(xp, x, outside, axis)
    q = xp.where(outside, 0.0, relu(x - tau))
    rest = less_one_hot(xp, xp.square(q), targets, axis)
    at_target = xp.square(rest / (1.0 + q)) * (2.0 + q)
    terms = xp.where(is_class(xp, targets, q, axis), at_target, q * q * q)
    short = of_class(xp, xp.where(outside, tau - x, 0.0), targets, axis)
    return reduced(xp, 2.0 * (xp.sum(terms, axis=axis) / 3.0 + short), reduction)


@entmax15_loss.backward
def _(xp, g, out, logits, targets, *, axis, reduction, validate):
    g = share_of_rows(xp, g, logits, axis, reduction)
    return less_one_hot(xp, entmax15(logits, axis=axis), targets, axis) * g, None


# --- on rows of floats


@sparsemax_loss.kernel(nd.Array)
def _(logits, targets, *, axis, reduction, validate):
    if is_integer(targets):
        losses = map(_index_loss, core.rows(logits, axis), targets._flat)
    else:
        losses = map(_probability_loss, core.rows(logits, axis), core.rows(targets, axis))
    return _reduced_rows(losses, logits, axis, reduction)


@entmax15_loss.kernel(nd.Array)
def _(logits, targets, *, axis, reduction, validate):
    return _reduced_rows(map(_index_loss15, core.rows(logits, axis), targets._flat), logits, axis, reduction)


def _reduced_rows(losses, logits, axis, reduction):
    sizes = reduced_shape(logits.shape, all_axes(axis, logits.ndim, "losses"), keepdims=False)
    return reduced(nd, nd.reshape(nd.asarray([*losses], dtype=nd.float64), sizes), reduction)


def _index_loss(row: Row, label: int) -> float:
    if not (limit := limit_of(row)):
        return nan
    m, *tau = threshold(limit)
    others = [max(0.0, less(z, m, *tau)) for z in (*limit[:label], *limit[label + 1 :])]
    short = max(0.0, -less(limit[label], m, *tau))
    return total([short, fsum(others) ** 2 / 2.0, *(p * p / 2.0 for p in others)])


def _probability_loss(row: Row, targets: Row) -> float:
    if not (limit := limit_of(row)):
        return nan
    m, *tau = threshold(limit)
    heights = [less(z, m, *tau) for z in limit]
    short = [t * -v for v, t in zip(heights, targets, strict=True) if t and v < 0.0]
    return total([*short, *((max(0.0, v) - t) ** 2 / 2.0 for v, t in zip(heights, targets, strict=True))])


def _index_loss15(row: Row, label: int) -> float:
    if not (limit := limit_of(row)):
        return nan
    m, *tau = threshold15(limit)
    q = [max(0.0, less15(z, m, *tau)) for z in limit]
    short = max(0.0, -less15(limit[label], m, *tau))
    at_target = q.pop(label)
    rest = fsum(v * v for v in q) / (1.0 + at_target)
    return total([2.0 * short, *(v * v * v / 1.5 for v in (*q,)), rest * rest * (2.0 + at_target) / 1.5])


@sparsemax_loss.prepare
def _(xp: Any, logits: Any, targets: Any, *, axis: Any, reduction: str, validate: bool) -> tuple:
    logits = checks.numbers(logits, "sparsemax_loss")
    at = one_axis(axis, len(shape(logits)), "sparsemax_loss")
    checks.reduction(reduction, "sparsemax_loss")
    checks.one_kind(logits, targets, "sparsemax_loss")
    return logits, checks.class_targets(xp, targets, shape(logits), at, "sparsemax_loss", validate=validate)


@entmax15_loss.prepare
def _(xp: Any, logits: Any, targets: Any, *, axis: Any, reduction: str, validate: bool) -> tuple:
    logits = checks.numbers(logits, "entmax15_loss")
    at = one_axis(axis, len(shape(logits)), "entmax15_loss")
    checks.reduction(reduction, "entmax15_loss")
    return logits, checks.class_indices(xp, targets, shape(logits), at, "entmax15_loss", validate=validate)


def _hard_inputs() -> Iterator[tuple]:
    matrix = [[0.3, -1.2, 0.9, 0.1], [0.2, 40.0, -0.5, 0.1], [0.1, 0.9, -1.2, 0.3]]
    for i, (name, row) in enumerate(hard.rows()):
        best = row.index(max(row))
        yield (f"{name}, right", (row, best)) if i % 2 else (name, (row, (best + 1) % len(row)))
    yield "nearly a margin", ([2.0, 1.000001, -3.0], 0)
    yield "nearly a margin of two", ([2.0, 0.000001, -3.0], 0)
    for kind in ("mean", "sum", "none"):
        yield f"reduction {kind}", (matrix, [0, 1, 3]), {"reduction": kind}
    yield "first axis", (matrix, [2, 1, 0, 0]), {"axis": 0}


def _probabilities() -> Iterator[tuple]:
    targets = [0.1, 0.6, 0.05, 0.25]
    yield "probabilities", ([0.3, -1.2, 0.9, 0.1], targets)
    yield "probabilities, offset", ([1e8 + 0.25, 1e8 - 0.3, 1e8 + 0.4], [0.5, 0.25, 0.25])
    yield "probabilities, far", ([0.2, 40.0, -0.5, 0.1], targets)
    yield "probabilities, one-hot", ([0.3, -1.2, 0.9, 0.1], [0.0, 0.0, 1.0, 0.0])
    yield "probabilities of another sum", ([0.3, -1.2, 0.9, 0.1], [0.5, 0.5, 0.75, 0.0]), {"validate": False}


entmax15_loss.hard_inputs(_hard_inputs)
sparsemax_loss.hard_inputs(lambda: (*_hard_inputs(), *_probabilities()))
