"""How far apart two rows of probabilities are, and how spread out one is: the Kullback-Leibler divergence and the entropy.

With d = log(p / t) the divergence is the sum of t (e^d - 1 - d): terms that are not negative, so that nothing cancels between
them. Everything else is about d, which for rows near each other is far smaller than the logarithms it is made of.
"""

from __future__ import annotations

from math import inf, isinf, log, log1p
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core, hard
from tinygrad_sm.family.nearby import (
    Row,
    above_tangent,
    above_tangent_of_one,
    compared,
    log_ratio,
    logits_apart,
    products,
    softmax_difference,
    softmax_slope,
)
from tinygrad_sm.family.probabilities import log_softmax, softmax
from tinygrad_sm.family.reduction import reduced, share
from tinygrad_sm.graph import fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.nd.floats import total
from tinygrad_sm.nd.shapes import all_axes, reduced_shape
from tinygrad_sm.ops.helpers import count, keep, over

REDUCTIONS = (*checks.REDUCTIONS, "elementmean")

# --- two rows of logits


@fused(conditioned=lambda name, *_, **settings: name != "")
def kl_div(xp, target_logits, logits, *, axis=-1, reduction="batchmean"):
    """The Kullback-Leibler divergence sum t log(t / p) of p = softmax(logits) from t = softmax(target_logits).

    Two arrays of one shape, both with a gradient. `axis` is an int, a tuple or None for all; `reduction`: "batchmean" and
    "mean" over the rows (0 for none), "elementmean" over the elements, "sum", or "none" (the shape without `axis`). Never
    negative, and right to the last digits also for rows that differ by a billionth. A class whose target logit is -inf
    counts with p alone (0 log 0 = 0); one that only p excludes makes the divergence inf.
    Raises a ValueError for logits of different shapes. For a temperature T divide both logits by it.

    Rule: p - t for the logits, as t (e^d - 1) with d = log(p / t); and t (w - sum(t w)) for the target logits,
    w = target_logits - logits.

    Both rows of probabilities sum to 1, so sum t log(t / p) = sum t (e^d - 1 - d). As a function of the logits it is a
    cross-entropy, with the gradient p - t. By log t it has the slope log t - log p + 1 times t, which the Jacobian of
    log_softmax turns into t (-d - sum(-t d)); and -d is w but for a number common to the row, which cancels.
    (Kullback and Leibler, Annals of Mathematical Statistics 22(1), 1951)

    >>> import tinygrad_sm as tg
    >>> teacher, student = [2.0, 1.0, 0.5], tg.Value([1.0, 1.0, 1.0])
    >>> loss = tg.kl_div(teacher, student)
    >>> loss.backward()
    >>> print(f"{loss:.6f}", student.grad)
    0.192653 [-0.29519839, 0.10210944, 0.19308895]
    >>> print(f"{tg.kl_div([1.0, 0.0], [1.0, 1e-9]):.6g}")
    9.8306e-20
    """
    t, p = softmax(target_logits, axis=axis), softmax(logits, axis=axis)
    terms = _terms(xp, t, p, log_ratio(xp, target_logits, logits, t, p, axis))
    return _reduced(xp, xp.sum(terms, axis=axis), logits, reduction)


FAR = 2.0  # beyond, p - t - t d loses less than a bit, and e^d may overflow


def _terms(xp, t, p, d):
    """t (e^d - 1 - d) = p - t - t d: not negative, p where t is 0 (d = inf), and inf where p is (d = -inf)."""
    far = p - t - t * xp.where(xp.isinf(d), 0.0, d)
    terms = xp.where(d > FAR, far, t * above_tangent(xp.where(d > FAR, 0.0, d)))
    return xp.where(xp.equal(d, -inf), inf, terms)


def _reduced(xp, losses, x, reduction):
    if reduction == "elementmean":
        return xp.sum(losses) / float(max(count(x, None), 1))
    return reduced(xp, losses, reduction)


def _share(xp, g, x, axis, reduction):
    """What flows into each row of x when g flows into the reduced loss, in a shape that fits x."""
    if reduction == "none":
        return keep(xp, g, x, axis)
    return share(g, count(x, None) if reduction == "elementmean" else count(x, None) // max(count(x, axis), 1), reduction)


@kl_div.backward
def _(xp, g, out, target_logits, logits, *, axis, reduction):
    g = _share(xp, g, logits, axis, reduction)
    return (
        lambda: _by_weights(target_logits, logits, axis) * g,
        lambda: softmax_difference(target_logits, logits, axis=axis) * g,
    )


def _by_weights(z, x, axis):
    """The gradient of a divergence for the logits z of the probabilities t that weigh it: t (w - sum(t w)), w = z - x."""
    return softmax_slope(z, logits_apart(z, x, axis=axis), axis=axis)


@kl_div.kernel(nd.Array)
def _(target_logits, logits, *, axis, reduction):
    return _of_rows(_row_divergence, target_logits, logits, axis, reduction)


def _of_rows(divergence: Any, a: nd.Array, b: nd.Array, axis: Any, reduction: str) -> Any:
    losses = [*map(divergence, core.rows(a, axis), core.rows(b, axis))]
    sizes = reduced_shape(a.shape, all_axes(axis, a.ndim, "kl_div"), keepdims=False)
    return _reduced(nd, nd.reshape(nd.asarray(losses, dtype=nd.float64), sizes), b, reduction)


def _row_divergence(z: Row, x: Row) -> float:
    t, p, d = compared(z, x)
    amounts = products(z, t, [_amount(v) for v in d])
    return total([_term(b, q, v) for b, q, v in zip(p, amounts, d, strict=True)])


def _amount(d: float) -> float:
    """The factor of t in a term: e^d - 1 - d, or for d far above 0 what is taken off p, 1 + d."""
    return 0.0 if isinf(d) else 1.0 + d if d > FAR else above_tangent_of_one(d)


def _term(p: float, amount: float, d: float) -> float:
    """One term of a divergence, as in `_terms`; `amount` is t times the factor."""
    return inf if d == -inf else p - amount if d > FAR else amount


@kl_div.prepare
def _(xp: Any, target_logits: Any, logits: Any, *, axis: Any, reduction: str) -> tuple:
    return _two_rows_of_logits(target_logits, logits, axis, reduction, "kl_div")


@fused(conditioned=lambda name, *_, **settings: name != "")
def reverse_kl_div(xp, target_logits, logits, *, axis=-1, reduction="batchmean"):
    """The divergence the other way round, sum p log(p / t) of t = softmax(target_logits) from p = softmax(logits).

    Weighed by the probabilities that learn, it asks for one mode of the target instead of all. Arguments and errors are those
    of `kl_div`; here a class of which only the target logit is -inf makes it inf.

    Rule: p (w - sum(p w)) for the logits, w = logits - target_logits; and t - p for the target logits.

    The rule of kl_div with the two rows exchanged.

    >>> import tinygrad_sm as tg
    >>> teacher, student = [2.0, 1.0, 0.5], tg.Value([1.0, 1.0, 1.0])
    >>> loss = tg.reverse_kl_div(teacher, student)
    >>> loss.backward()
    >>> print(f"{loss:.6f}", student.grad)
    0.199090 [-0.27777778, 0.055555556, 0.22222222]
    """
    return kl_div(logits, target_logits, axis=axis, reduction=reduction)


@reverse_kl_div.backward
def _(xp, g, out, target_logits, logits, *, axis, reduction):
    g = _share(xp, g, logits, axis, reduction)
    return (
        lambda: softmax_difference(logits, target_logits, axis=axis) * g,
        lambda: _by_weights(logits, target_logits, axis) * g,
    )


@reverse_kl_div.prepare
def _(xp: Any, target_logits: Any, logits: Any, *, axis: Any, reduction: str) -> tuple:
    return _two_rows_of_logits(target_logits, logits, axis, reduction, "reverse_kl_div")


# --- two rows of probabilities


@fused
def kl_div_probabilities(xp, targets, probabilities, *, axis=-1, reduction="batchmean", validate=True):
    """The Kullback-Leibler divergence sum t log(t / p) of rows of probabilities p from target probabilities t.

    Two arrays of one shape, both with a gradient; `axis` and `reduction` are as for `kl_div`, which is the better choice where
    there are logits. 0 log(0 / p) is 0, and p = 0 where t is not makes it inf. Raises a ValueError for different shapes, for
    entries outside [0, 1], and for rows that do not sum to 1; `validate=False` leaves these two checks out.

    The sum is taken of t log(t / p) - t + p. What is added is 0 for rows that sum to 1, and with it no term is negative: what
    the rows lack of 1 by rounding does not count, a divergence of 1e-18 keeps its digits, and the gradient of equal rows is 0.

    Rule: 1 - t / p for the probabilities, as (p - t) / p, and log(t / p) for the targets: -inf at t = 0, and 0
    if p is 0 too.

    The derivatives of t log(t / p) - t + p by p and by t, which at t = 0 is that from the right.
    (Csiszar, Annals of Statistics 19(4), 1991)

    >>> import tinygrad_sm as tg
    >>> p = tg.Value([0.5, 0.25, 0.25])
    >>> loss = tg.kl_div_probabilities([0.5, 0.5, 0.0], p)
    >>> loss.backward()
    >>> print(f"{loss:.6f}", p.grad)
    0.346574 [0.0, -1.0, 1.0]
    """
    terms = _terms(xp, targets, probabilities, _log_quotient(xp, targets, probabilities))
    absent = xp.equal(targets, 0.0)
    steep = xp.logical_and(absent, xp.not_equal(probabilities, 0.0))  # t log t leaves 0 with slope -inf, as -sqrt(t) does
    edge = xp.where(steep, xp.sqrt(xp.where(steep, targets, 1.0)), 0.0)
    terms = xp.where(absent, probabilities - edge, terms)
    return _reduced(xp, xp.sum(terms, axis=axis), targets, reduction)


FARTHEST = 80.0  # the quotient of what is farther apart may overflow in single precision, or have lost digits near 0


def _log_quotient(xp, t, p):
    """log(p / t); inf where t is 0."""
    absent = xp.equal(t, 0.0)
    t, p = xp.where(absent, 1.0, t), xp.where(absent, 1.0, p)
    relative, quotient = (p - t) / t, p / t
    near = xp.abs(relative) < 0.5
    far = xp.log(p) - xp.log(t)
    usable = xp.logical_and(far > -FARTHEST, far < FARTHEST)
    far = xp.where(usable, xp.log(xp.where(usable, quotient, 1.0)), far)
    return xp.where(absent, inf, xp.where(near, xp.log1p(xp.where(near, relative, 0.0)), far))


@kl_div_probabilities.backward
def _(xp, g, out, targets, probabilities, *, axis, reduction, validate):
    g = _share(xp, g, targets, axis, reduction)
    both_absent = xp.logical_and(xp.equal(targets, 0.0), xp.equal(probabilities, 0.0))

    def of_targets():
        return xp.where(both_absent, 0.0, -_log_quotient(xp, targets, probabilities)) * g

    return of_targets, lambda: xp.where(both_absent, g, over(xp, (probabilities - targets) * g, probabilities))


@kl_div_probabilities.kernel(nd.Array)
def _(targets, probabilities, *, axis, reduction, validate):
    return _of_rows(_row_divergence_of_probabilities, targets, probabilities, axis, reduction)


def _row_divergence_of_probabilities(t: Row, p: Row) -> float:
    d = [*map(_log_of_one, t, p)]
    return total([_term(b, a * _amount(v), v) for a, b, v in zip(t, p, d, strict=True)])


def _log_of_one(t: float, p: float) -> float:
    """As in `_log_quotient`."""
    if not t:
        return inf
    if not p:
        return -inf
    if abs(p - t) < 0.5 * t:
        return log1p((p - t) / t)
    quotient = p / t
    return log(quotient) if 1e-290 < quotient < inf else log(p) - log(t)


@kl_div_probabilities.prepare
def _(xp: Any, targets: Any, probabilities: Any, *, axis: Any, reduction: str, validate: bool) -> tuple:
    name = "kl_div_probabilities"
    checks.reduction(reduction, name, REDUCTIONS)
    t, p = checks.numbers(targets, name, "target probabilities"), checks.numbers(probabilities, name, "probabilities")
    _same_shape(t, p, name, "targets", "probabilities")
    all_axes(axis, len(shape(t)), name)
    if validate:
        for x, which in ((t, "targets"), (p, "probabilities")):
            _distribution(xp, x, axis, name, which)
    return t, p


def _distribution(xp: Any, p: Any, axis: Any, name: str, which: str) -> None:
    """Refuses rows that are no probabilities. (nan passes: it is an answer.)"""
    if checks.some(xp, (p < 0.0) | (p > 1.0 + checks.ROUNDING)):
        raise ValueError(f"{name}: {which} lie between 0 and 1, and some do not; for logits use tg.kl_div")
    if not count(p, None):
        return
    if checks.some(xp, xp.abs(xp.sum(p, axis=axis) - 1.0) > checks.slack(xp, p)):
        raise ValueError(
            f"{name}: {which} sum to 1 along axis {axis}, and some rows do not; for logits use tg.kl_div, and for unnormalised "
            "weights validate=False"
        )


# --- one row


@fused(conditioned=lambda name, *_, **settings: name == "logits")  # z less its mean
def entropy(xp, logits, *, axis=-1, reduction="none"):
    """The entropy -sum p log p of p = softmax(logits) along `axis` (an int, a tuple, None for all), in nats.

    From 0 for a certain prediction, with all digits of what it lacks of that, to log n for n equal logits. `reduction` is as
    for `kl_div`, and "none" by default: the shape of the logits without `axis`. A logit of -inf counts for nothing.
    Errors are those of softmax.

    Rule: -p (z - sum(p z)), z the logits.

    dH/dp_i = -log p_i - 1 = log S - 1 - z_i, of which the Jacobian of softmax makes -p_i (z_i - sum_j p_j z_j): what is the
    same for all classes cancels.
    (Shannon, Bell System Technical Journal 27(3), 1948)

    >>> import tinygrad_sm as tg
    >>> z = tg.Value([2.0, 1.0, 0.5])
    >>> h = tg.entropy(z)
    >>> h.backward()
    >>> print(f"{h:.6f}", z.grad)
    0.905959 [-0.27755362, 0.12911763, 0.14843599]
    """
    p, log_p = softmax(logits, axis=axis), log_softmax(logits, axis=axis)
    return _reduced(xp, -xp.sum(p * _finite(xp, log_p), axis=axis), logits, reduction)


def _finite(xp, x):
    """0 for what is infinite: it belongs to a probability of 0, and p log p is 0."""
    return xp.where(xp.isinf(x), 0.0, x)


@entropy.backward
def _(xp, g, out, logits, *, axis, reduction):
    g = -_share(xp, g, logits, axis, reduction)
    below = logits_apart(logits, xp.zeros_like(logits), axis=axis)
    return softmax_slope(logits, _finite(xp, below), axis=axis) * g


@entropy.kernel(nd.Array)
def _(logits, *, axis, reduction):
    return _reduced(nd, nd.reduce_along("entropy", logits, axis, _row_entropy), logits, reduction)


def _row_entropy(row: Row) -> float:
    """log1p(s) + sum e (m - z) / (1 + s), in terms that are not negative."""
    if not row:
        return 0.0
    row, m, e, s = core.exponentials(row)
    far = [m - z if z - m > 2.0 * core.VANISHES else 0.0 for z in row]
    return total((log1p(s), *products(row, [v / (1.0 + s) for v in e], far)))


@entropy.prepare
def _(xp: Any, logits: Any, *, axis: Any, reduction: str) -> tuple:
    checks.reduction(reduction, "entropy", REDUCTIONS)
    return (checks.logits_along(logits, axis, "entropy"),)


# --- what they accept, and where they are hard


def _two_rows_of_logits(target_logits: Any, logits: Any, axis: Any, reduction: str, name: str) -> tuple:
    checks.reduction(reduction, name, REDUCTIONS)
    z, x = checks.logits_along(target_logits, axis, name), checks.logits_along(logits, axis, name)
    _same_shape(z, x, name, "target_logits", "logits")
    return z, x


def _same_shape(a: Any, b: Any, name: str, of_a: str, of_b: str) -> None:
    checks.one_kind(a, b, name)
    if shape(a) != shape(b):
        raise ValueError(f"{name}: {of_a} of shape {shape(a)} and {of_b} of shape {shape(b)}; both need the same shape")


def _hard_pairs():
    ordinary = [0.3, -1.2, 0.9]
    for i, (name, row) in enumerate(hard.rows(3)):
        yield f"{name}, near", (row, [z + d for z, d in zip(row, (1e-8, -3e-9, 2e-8), strict=True)])
        yield f"{name}, apart", (row, ordinary) if i % 2 else (ordinary, row)
    yield "margin 700 twice", ([0.25, 700.0, -0.5], [0.5, 699.0, 0.125])
    yield "the other class", ([0.25, 40.0, -0.5], [40.0, 0.5, 0.125])
    matrix, other = [[0.3, -1.2, 0.9], [0.2, 40.0, -0.5]], [[0.1, -1.0, 2.0], [0.2, 39.0, -0.5]]
    for reduction in ("none", "sum", "elementmean"):
        yield reduction, (matrix, other), {"reduction": reduction}
    yield "first axis", (matrix, other), {"axis": 0}
    yield "all axes", (matrix, other), {"axis": None}


for _op in (kl_div, reverse_kl_div):
    _op.hard_inputs(_hard_pairs)


@kl_div_probabilities.hard_inputs
def _():
    ordinary, other = [0.5, 0.25, 0.125, 0.125], [0.25, 0.375, 0.25, 0.125]
    yield "ordinary", (ordinary, other)
    for distance in (1e-3, 1e-8, 2.0**-40):
        yield f"near {distance:g}", (ordinary, [0.5 + distance, 0.25 - distance, 0.125 + distance, 0.125 - distance])
    for small in (1e-5, 1e-17, 1e-300):
        yield f"confident {small:g}", ([1.0 - small, small, 0.0 + small / 4, small], [1.0 - small, small / 3, small, 2 * small])
        yield f"surprised {small:g}", ([1.0 - small, small], [small, 1.0 - small])
    for reduction in ("none", "sum", "elementmean"):
        yield reduction, ([ordinary, other], [other, ordinary]), {"reduction": reduction}
    yield "first axis", ([ordinary, other], [other, ordinary]), {"axis": 0, "validate": False}
    yield "all axes", ([ordinary, other], [other, ordinary]), {"axis": None, "validate": False}


@entropy.hard_inputs
def _():
    for name, row in hard.rows():
        yield name, (row,)
    matrix = [[0.3, -1.2, 0.9], [0.2, 40.0, -0.5]]
    for reduction in ("none", "sum", "mean", "elementmean"):
        yield reduction, (matrix,), {"reduction": reduction}
    yield "first axis", (matrix,), {"axis": 0}
    yield "all axes", (matrix,), {"axis": None}
