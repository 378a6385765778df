"""Cross-entropies: how surprised probabilities, given by logits or as they are, are by the targets."""

from __future__ import annotations

from itertools import chain
from math import isfinite, log1p
from operator import mul
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core, hard
from tinygrad_sm.family.labels import at_class, is_class, less_one_hot, of_class, others
from tinygrad_sm.family.probabilities import log_softmax, softmax, softmax_in_parts
from tinygrad_sm.family.reduction import along, at_labels, counted, readable, reduced, share_of_rows, whole_of
from tinygrad_sm.graph import constant, fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.op import is_integer
from tinygrad_sm.nd.floats import total
from tinygrad_sm.nd.shapes import all_axes, one_axis, reduced_shape
from tinygrad_sm.ops.helpers import count, kept_shape, over, times


def _subtracts(
    name, x, targets, weight=None, temperature=1.0, *, label_smoothing=0.0, from_logits=True, reduction="mean", **settings
):
    """p - t of targets that share a row; z less its mean, for the temperature; and what a weighted mean takes off."""
    if name == "logits":
        return from_logits and not (is_integer(targets) and not label_smoothing)
    if name in ("targets", "weight"):
        return weight is not None and reduction == "mean"
    return name == "temperature"


@fused(conditioned=_subtracts)
def cross_entropy(
    xp,
    logits,
    targets,
    weight=None,
    temperature=1.0,
    *,
    axis=-1,
    ignore_index=None,
    label_smoothing=0.0,
    reduction="mean",
    from_logits=True,
    empty="zero",
    validate=True,
):
    """-log of the probability of the target class, from logits, or from probabilities with `from_logits=False`.

    `targets` are class indices (ints, the shape of the logits without `axis`) or probabilities (floats of the logits' shape,
    which may be a Value with a gradient of its own). The other inputs, given by keyword, may be Values too: `weight`, one
    number of 0 or more a class, and `temperature`, a positive number or one for each row, by which the logits are divided.

    `label_smoothing` e, from 0 to 1, moves that share of every target to all K classes alike: (1 - e) t + e / K. Each class
    then counts for its weight: -sum_c w_c t'_c log p_c. A row whose class index is `ignore_index` is never read: loss and
    gradient are 0. (The class of that number, if there is one, stays in the denominators of the other rows.)

    `reduction`: "none" (the shape of the logits without `axis`), "sum", "batchmean" (the sum divided by the number of rows,
    ignored ones too) or "mean": over the rows that are not ignored, and with weights divided by the weight of their targets
    before smoothing, sum w_c t_c. Where a mean has nothing to divide by (no rows, all ignored, all of weight 0), `empty` says
    what becomes of it: "zero", with gradient 0, "nan" or "raise".

    Raises a `LabelError` (an IndexError and a ValueError) for a label that names no class, a ValueError for class indices of
    another shape, for probabilities that are negative or do not sum to 1, and for settings out of range, and a TypeError for
    targets that are neither of the two. `validate=False` leaves out the checks that look at the data: probabilities are then
    used as they are, whatever they sum to, and of a label that names no class nothing good comes.

    Give logits where you have them: a probability near 1 has lost the digits of its loss, and one that is 0 those of its
    gradient. For target 0 the logits [40, 0] have the loss 4.2e-18 and [0, 800] have 800; from their softmax it is 0 and inf.

    Rule: softmax(z) - onehot(t), and at the target minus the sum of the others, which keeps its digits when p is nearly 1.
    For probabilities t: p_j (sum of the other t) - t_j (sum of the other p), and -log p for the targets.
    With `from_logits=False`: -1 / p_t at the target and 0 elsewhere; for probabilities t: -t / p, 0 where t is.
    For the weights t'_c (-log p_c), less the loss times t_c under a mean; for the temperature -sum(z dz) / T.

    The loss of a row is log S - z_t, so its gradient is p_j - 1[j = t]; as the probabilities sum to 1, p_t - 1 is minus the
    sum of the others. That of -sum_i t_i (z_i - log S) is p_j sum_i t_i - t_j = p_j sum_i t_i - t_j sum_i p_i; the terms
    i = j cancel. From probabilities, -t log p has the slopes -t / p and -log p. Smoothing and weights only make another t of
    t, which need not sum to 1. A mean is L = A / W with W = sum w_c t_c, so dL = (dA - L dW) / W. And as logits come as
    z / T, a step dT does what the steps -z dT / T of the logits do; steps that are all alike do nothing, so z less the largest
    does as well. (Goodfellow, Bengio and Courville, Deep Learning, 6.2.2.3; Szegedy et al., 1512.00567, section 7;
    Hinton, Vinyals and Dean, 1503.02531; weights and smoothing together as PyTorch has them)

    >>> import tinygrad_sm as tg
    >>> z = tg.Value([[2.0, 1.0, 0.5]])
    >>> loss = tg.cross_entropy(z, [0])
    >>> loss.backward()
    >>> print(f"{loss:.6f}", z.grad)
    0.464369 [[-0.37146828, 0.2312239, 0.14024438]]
    >>> print(f"{tg.cross_entropy(tg.softmax(z), [0], from_logits=False):.6f}")
    0.464369
    """
    kept, x, targets = readable(xp, logits, targets, ignore_index, axis)
    if is_integer(targets) and not label_smoothing:
        if from_logits:
            losses = -of_class(xp, _log_p(xp, x, axis, temperature), targets, axis)
        else:
            losses = -xp.log(of_class(xp, x, targets, axis))
        losses = losses if weight is None else counted(xp, at_labels(xp, weight, targets), losses)
    else:
        wanted = _wanted(xp, targets, x, weight, label_smoothing, axis)
        losses = xp.sum(counted(xp, wanted, _surprise(xp, x, wanted, axis, temperature, from_logits)), axis=axis)
    losses = losses if kept is None else xp.where(kept, losses, 0.0)
    return reduced(xp, losses, reduction, whole_of(xp, x, targets, weight, kept, axis, reduction), empty)


@cross_entropy.keeping
def _(xp, logits, targets, weight=None, temperature=1.0, **settings):
    axis, reduction = settings["axis"], settings["reduction"]
    if not settings["from_logits"] or settings["label_smoothing"] or not is_integer(targets):
        return cross_entropy.forward(xp, logits, targets, weight, temperature, **settings), {}
    kept, x, targets = readable(xp, logits, targets, settings["ignore_index"], axis)
    p, below, others = softmax_in_parts(xp, x, temperature, axis)
    losses = xp.squeeze(xp.log1p(others), axis=axis) - of_class(xp, below, targets, axis)
    losses = losses if weight is None else counted(xp, at_labels(xp, weight, targets), losses)
    losses = losses if kept is None else xp.where(kept, losses, 0.0)
    whole = whole_of(xp, x, targets, weight, kept, axis, reduction)
    return reduced(xp, losses, reduction, whole, settings["empty"]), {"p": p}


def _log_p(xp, z, axis, temperature):
    return log_softmax(z, axis=axis) if _is_one(temperature) else log_softmax(z, axis=axis, temperature=temperature)


def _is_one(temperature):
    return type(temperature) is float and temperature == 1.0


def _surprise(xp, x, wanted, axis, temperature, from_logits):
    """-log p of every class; from a probability of 0 that is inf only where it counts for something."""
    if from_logits:
        return -_log_p(xp, x, axis, temperature)
    impossible = xp.logical_and(xp.equal(wanted, 0.0), xp.equal(x, 0.0))
    return -xp.log(xp.where(impossible, 1.0, x))


def _probable(xp, targets, x, axis):
    """The targets as probabilities."""
    return xp.where(is_class(xp, targets, x, axis), xp.ones_like(x), 0.0) if is_integer(targets) else targets


def _wanted(xp, targets, x, weight, label_smoothing, axis):
    """What each -log p counts for: the targets as probabilities, smoothed, times the weights of the classes."""
    if label_smoothing and type(x) is nd.Array and is_integer(targets):  # one pass for the three below
        low, high = ((count(x, axis) * (t - label_smoothing * t) + label_smoothing) / count(x, axis) for t in (0.0, 1.0))
        smooth = nd.where(is_class(nd, targets, x, axis), high, nd.full(x.shape, low))
        return smooth if weight is None else smooth * along(nd, weight, x, axis)
    t = _probable(xp, targets, x, axis)
    if label_smoothing:
        classes = float(count(x, axis))
        t = (classes * (t - label_smoothing * t) + label_smoothing) / classes
    return t if weight is None else t * along(xp, weight, x, axis)


@cross_entropy.backward
def _(
    xp,
    g,
    out,
    logits,
    targets,
    weight=None,
    temperature=1.0,
    *,
    axis,
    ignore_index,
    label_smoothing,
    reduction,
    from_logits,
    empty,
    validate,
    p=None,
):
    kept, x, targets = readable(xp, logits, targets, ignore_index, axis)
    whole = whole_of(xp, x, targets, weight, kept, axis, reduction)
    g = share_of_rows(xp, g, x, axis, reduction, kept, whole)
    of_mean = weight is not None and reduction == "mean"  # whose divisor has a slope, too
    w = None if weight is None else along(xp, weight, x, axis)

    if not from_logits:
        of_x = over(xp, -_wanted(xp, targets, x, weight, label_smoothing, axis) * g, x)
    else:
        if p is None:
            p = softmax(x, axis=axis) if _is_one(temperature) else softmax(x, axis=axis, temperature=temperature)
        pull = g if _is_one(temperature) else g / temperature
        if is_integer(targets) and not label_smoothing:
            pull = pull if weight is None else pull * xp.expand_dims(at_labels(xp, weight, targets), axis=axis)
            of_x = less_one_hot(xp, p, targets, axis) * pull
        else:
            of_x = _less(xp, p, _wanted(xp, targets, x, weight, label_smoothing, axis), axis) * pull

    of_x = _in_rows(xp, kept, of_x, axis)  # not -0

    def of_targets():
        flow = g if w is None else g * w
        surprise = -_log_p(xp, x, axis, temperature) if from_logits else -xp.log(x)
        amount = counted(xp, flow - label_smoothing * flow, surprise) if label_smoothing else surprise * flow
        return amount - times(xp, flow, out) if of_mean else amount

    def of_weight():
        if is_integer(targets) and not label_smoothing:
            log_p = _log_p(xp, x, axis, temperature) if from_logits else xp.log(x)
            losses = -xp.expand_dims(of_class(xp, log_p, targets, axis), axis=axis)
            amounts = at_class(xp, times(xp, g, losses), targets, x, axis)
        else:
            t = _wanted(xp, targets, x, None, label_smoothing, axis)
            amounts = counted(xp, t * g, _surprise(xp, x, t, axis, temperature, from_logits))
        amounts = xp.sum(amounts, axis=_all_but(axis, x))
        return _of_mean(xp, weight, amounts, targets, x, kept, axis) if of_mean else amounts

    def of_temperature():
        below = constant(xp.max(x, axis=axis, keepdims=True)) - x
        return times(xp, of_x, below) / temperature

    return of_x, None if is_integer(targets) else of_targets, of_weight, of_temperature


def _in_rows(xp, kept, x, axis):
    """x, and 0 in rows that are not kept."""
    return x if kept is None else xp.where(xp.expand_dims(kept, axis=axis), x, 0.0)


def _of_mean(xp, weight, amounts, targets, x, kept, axis):
    """The slopes of A / W by the weights w_c, for A = sum w_c A_c and W = sum w_c T_c: `amounts` are the A_c / W, and T_c is
    what the targets of the rows that are kept give class c.

    A_c / W - T_c A / W^2 is A_c (W - w_c T_c) / W^2 - T_c (A - w_c A_c) / W^2: what a class has itself cancels and is left
    out.
    """
    t = at_class(xp, 1.0, targets, x, axis) if is_integer(targets) else targets
    number = xp.sum(_in_rows(xp, kept, t, axis), axis=_all_but(axis, x))
    counts = weight * number
    whole = xp.sum(counts)
    whole = xp.where(xp.equal(whole, 0.0), 1.0, whole)
    return (amounts * others(xp, counts) - counted(xp, number, others(xp, counted(xp, weight, amounts)))) / whole


def _less(xp, p, t, axis):
    """p sum(t) - t for rows of probabilities p and of anything else t, without the terms of the two that cancel."""
    if type(p) is nd.Array and type(t) is nd.Array and axis in (-1, p.ndim - 1):  # the same in one pass
        n = p.shape[-1]
        rows = (_less_row(p._flat[at : at + n], t._flat[at : at + n]) for at in range(0, len(p._flat), n))
        return nd.array.make([*chain.from_iterable(rows)], p.shape, p.dtype)
    hot, top = (is_class(xp, xp.argmax(x, axis=axis), x, axis) for x in (t, p))
    direct = p * xp.sum(t, axis=axis, keepdims=True) - t
    return xp.where(hot, _crossed(xp, p, t, hot, axis), xp.where(top, _crossed(xp, p, t, top, axis), direct))


def _less_row(p, t):
    whole = total(t)
    out = [v * whole - y for v, y in zip(p, t, strict=True)]
    k = t.index(max(t))  # elsewhere at least half of t lies on the others
    out[k] = p[k] * total(t[:k] + t[k + 1 :]) - t[k] * total(p[:k] + p[k + 1 :])
    return out


def _crossed(xp, p, t, marked, axis):
    """p times the sum of the other t less t times the sum of the other p, right at the class of each row that is marked."""
    rest_of_p, rest_of_t = (xp.sum(xp.where(marked, 0.0, x), axis=axis, keepdims=True) for x in (p, t))
    return p * rest_of_t - t * rest_of_p


def _all_but(axis, x):
    axes = range(len(shape(x)))
    return tuple(a for a in axes if a != axes[axis])


@cross_entropy.kernel(nd.Array)
def _(logits, targets, weight=None, temperature=1.0, **settings):
    axis, smoothing, reduction = settings["axis"], settings["label_smoothing"], settings["reduction"]
    if not settings["from_logits"]:  # a logarithm an element, which the definition has as accurately
        return cross_entropy.forward(nd, logits, targets, weight, temperature, **settings)
    kept, x, targets = readable(nd, logits, targets, settings["ignore_index"], axis)
    rows, sizes = core.rows(x, axis), reduced_shape(x.shape, all_axes(axis, x.ndim, "cross_entropy"), keepdims=False)
    more = () if _is_one(temperature) else (_one_a_row(temperature, x, axis),)
    if is_integer(targets) and not smoothing:
        losses = nd.reshape(nd.asarray([*map(core.index_loss, rows, targets._flat, *more)]), sizes)
        losses = losses if weight is None else counted(nd, at_labels(nd, weight, targets), losses)
    else:
        wanted = core.rows(_wanted(nd, targets, x, weight, smoothing, axis), axis)
        losses = nd.reshape(nd.asarray([*map(_soft_loss, rows, wanted, *more)]), sizes)
    losses = losses if kept is None else nd.where(kept, losses, 0.0)
    return reduced(nd, losses, reduction, whole_of(nd, x, targets, weight, kept, axis, reduction), settings["empty"])


def _soft_loss(row, wanted, t=1.0):
    """`core.probability_loss`, with the exact differences of all logits at once where they are finite."""
    if t != 1.0 or not row or not isfinite(max(row) - min(row)):
        return core.probability_loss(row, wanted, t)
    _, m, _, s = core.exponentials(row)
    far = [m - z for z in row]
    lacks = [(m - (d - (b := d - m))) - (z + b) for z, d in zip(row, far, strict=True)]
    return total((*map(mul, wanted, far), *map(mul, wanted, lacks), log1p(s) * total(wanted)))


def _one_a_row(temperature, x, axis):
    return nd.broadcast_to(nd.asarray(temperature), kept_shape(x.shape, axis))._flat


@cross_entropy.prepare
def _(xp: Any, logits: Any, targets: Any, *optional: Any, axis: Any, ignore_index: Any, **settings: Any) -> tuple:
    name, from_logits, validate = "cross_entropy", settings["from_logits"], settings["validate"]
    what = "logits" if from_logits else "probabilities"
    x = checks.numbers(logits, name, what)
    at = one_axis(axis, len(shape(x)), name)
    checks.loss_settings(name, settings["reduction"], ignore_index, settings["empty"])
    checks.fraction(settings["label_smoothing"], name, "label_smoothing")
    targets = checks.class_targets(xp, targets, shape(x), at, name, what, ignore_index=ignore_index, validate=validate)
    checks.one_kind(x, targets, name)
    if optional:
        weight, temperature = optional
        weight = checks.class_weights(xp, weight, shape(x)[at], name, validate)
        if not from_logits and not _is_one(temperature):
            raise ValueError(f"{name}: a temperature divides logits, and these are probabilities (from_logits=False)")
        optional = weight, checks.temperature(xp, temperature, shape(x), at, name)
    if not from_logits and validate:
        checks.probabilities(xp, x, at, name, readable(xp, x, targets, ignore_index, at)[0])
    if settings["empty"] == "raise":
        checks.something(xp, x, targets, optional[0] if optional else None, at, ignore_index, settings["reduction"], name)
    return x, targets, *optional


@cross_entropy.hard_inputs
def _():
    for name, row in hard.rows(4):
        yield f"{name}, likeliest", (row, row.index(max(row)))
        yield f"{name}, smoothed", ([row, row[::-1]], [1, 2]), {"label_smoothing": 0.1}
    z = [[0.3, -1.7, 2.25], [40.0, 0.0, 1.0], [-3.0, 100.0, 99.0]]
    soft = [[0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]]
    weight = [0.5, 2.0, 1.25]
    for reduction in ("none", "sum", "mean", "batchmean"):
        yield f"labels, {reduction}", (z, [1, 0, 2]), {"reduction": reduction}
        yield f"soft, {reduction}", (z, soft), {"reduction": reduction}
        yield f"weighted labels, {reduction}", (z, [1, 0, 2]), {"reduction": reduction, "weight": weight}
    everything = {"weight": weight, "temperature": [[0.7], [2.0], [1.5]], "label_smoothing": 0.25}
    yield "everything", (z, [1, -1, 2]), {**everything, "ignore_index": -1}
    yield "everything, soft", (z, soft), {**everything, "reduction": "batchmean"}
    yield "soft and weighted", (z, soft), {"weight": weight}
    yield "temperature", (z, [1, 0, 2]), {"temperature": 0.3}
    yield "first axis", (z, [1, 0, 2]), {"axis": 0}
    p = [[0.2, 0.5, 0.3], [1e-300, 0.25, 0.75], [0.5, 0.5, 1e-17]]
    yield "from probabilities", (p, [1, 0, 2]), {"from_logits": False}
    yield "from probabilities, soft", (p, soft), {"from_logits": False, "weight": weight, "label_smoothing": 0.1}


@fused(conditioned=_subtracts)
def nll_loss(
    xp, log_probabilities, targets, weight=None, *, axis=-1, ignore_index=None, reduction="mean", empty="zero", validate=True
):
    """The negative log-likelihood: minus the log-probability of the target class, from log-probabilities.

    It takes what `log_softmax` gives, so that the two are `cross_entropy`. `targets` are class indices (ints, the shape of the
    log-probabilities without `axis`); `weight`, `ignore_index`, `reduction`, `empty` and `validate` are as for `cross_entropy`.
    Raises a `LabelError` for a label that names no class, a ValueError for indices of another shape and for log-probabilities
    above 0, and a TypeError for targets that are no ints.

    Rule: -g at the target, 0 elsewhere. With weights w it is -w_t g; and -log p_t for w_t, less the loss under a mean.

    The loss of a row is one of its elements, negated, times the weight of its class; the mean is that of `cross_entropy`.

    >>> import tinygrad_sm as tg
    >>> log_p = tg.log_softmax(tg.Value([[2.0, 1.0, 0.5]]))
    >>> print(f"{tg.nll_loss(log_p, [0]):.6f}")
    0.464369
    """
    kept, x, targets = readable(xp, log_probabilities, targets, ignore_index, axis)
    losses = -of_class(xp, x, targets, axis)
    losses = losses if weight is None else counted(xp, at_labels(xp, weight, targets), losses)
    losses = losses if kept is None else xp.where(kept, losses, 0.0)
    return reduced(xp, losses, reduction, whole_of(xp, x, targets, weight, kept, axis, reduction), empty)


@nll_loss.backward
def _(xp, g, out, log_probabilities, targets, weight=None, *, axis, ignore_index, reduction, empty, validate):
    kept, x, targets = readable(xp, log_probabilities, targets, ignore_index, axis)
    g = share_of_rows(xp, g, x, axis, reduction, kept, whole_of(xp, x, targets, weight, kept, axis, reduction))
    pull = g if weight is None else g * xp.expand_dims(at_labels(xp, weight, targets), axis=axis)

    def of_weight():
        losses = xp.expand_dims(-of_class(xp, x, targets, axis), axis=axis)
        amounts = xp.sum(at_class(xp, times(xp, g, losses), targets, x, axis), axis=_all_but(axis, x))
        return _of_mean(xp, weight, amounts, targets, x, kept, axis) if reduction == "mean" else amounts

    return at_class(xp, 0.0 - pull, targets, x, axis), None, of_weight


@nll_loss.prepare
def _(xp: Any, log_probabilities: Any, targets: Any, *optional: Any, axis: Any, ignore_index: Any, **settings: Any) -> tuple:
    name, what, validate = "nll_loss", "log-probabilities", settings["validate"]
    x = checks.numbers(log_probabilities, name, what)
    at = one_axis(axis, len(shape(x)), name)
    checks.loss_settings(name, settings["reduction"], ignore_index, settings["empty"])
    targets = checks.class_indices(xp, targets, shape(x), at, name, what, ignore_index=ignore_index, validate=validate)
    if optional:
        optional = (checks.class_weights(xp, optional[0], shape(x)[at], name, validate),)
    if validate:
        checks.log_probabilities(xp, x, name, at, readable(xp, x, targets, ignore_index, at)[0])
    if settings["empty"] == "raise":
        checks.something(xp, x, targets, optional[0] if optional else None, at, ignore_index, settings["reduction"], name)
    return x, targets, *optional


@nll_loss.hard_inputs
def _():
    log_p = [[-0.3, -1.7, -2.25], [-4.2e-18, -40.0, -39.5], [-1e-300, -700.0, -5e-324]]
    for reduction in ("none", "sum", "mean", "batchmean"):
        yield reduction, (log_p, [1, 0, 2]), {"reduction": reduction}
        yield f"weighted, {reduction}", (log_p, [1, 0, 2]), {"reduction": reduction, "weight": [0.5, 2.0, 1.25]}
    yield "ignored", (log_p, [1, 7, 0]), {"ignore_index": 7, "weight": [0.5, 2.0, 1.25]}
    yield "first axis", (log_p, [1, 0, 2]), {"axis": 0}
    yield "one row", (log_p[1], 0)
