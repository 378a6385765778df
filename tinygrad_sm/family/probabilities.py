"""softmax, log_softmax, logsumexp and their kin: readings of the same exponentials.

All of them take a mask and a temperature. What is masked is never read: it is replaced by the largest logit that is kept, so
that nothing in it can spoil the row, and what comes of it is replaced again.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from math import inf
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core, hard
from tinygrad_sm.family.labels import log_pulled_back, pulled_back
from tinygrad_sm.family.masks import alignment, causal_mask, kept, offset
from tinygrad_sm.graph import constant, fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.value import Value
from tinygrad_sm.nd.floats import total
from tinygrad_sm.nd.shapes import all_axes
from tinygrad_sm.ops.helpers import count, keep, kept_shape, times


def _of_temperature(name, *inputs, **settings):
    """Only the gradient of a temperature subtracts what the logits say: z less its mean."""
    return name == "temperature"


@fused(conditioned=_of_temperature)
def softmax(xp, z, where=None, temperature=1.0, *, axis=-1):
    """Probabilities from logits: exp(z / T) / sum of exp(z / T) along `axis` (an int, a tuple, None for all). Shape of z.

    `where` (bools that broadcast to z, True is kept) leaves entries out: they get 0, whatever is in them, and a row of which
    nothing is kept is all 0. `temperature` T (a positive number, or one for each row with 1 along the axis; it may be a Value)
    flattens above 1 and sharpens below.
    Raises an `AxisError` (an IndexError and a ValueError) for an axis that z lacks, a TypeError for bools as logits and for
    masks of anything else, and a ValueError for shapes that do not fit and temperatures that are not positive. On our own
    arrays every entry is within 4 units in the last place. (Bridle, Neurocomputing, 1990; Hinton et al., 1503.02531)

    Rule: p (g - sum(g p)) / T; and for T -sum(g p (z - sum(z p))) / T^2, as minus the sum of z times the former, over T.

    p_i = e^{z_i} / S gives dp_i/dz_j = p_i (1[i = j] - p_j). Contracted with g: sum_i g_i p_i (1[i = j] - p_j)
    = p_j (g_j - sum_i g_i p_i). With z / T for z that is divided by T; and as d(z_j / T)/dT = -z_j / T^2, the slope of p_i
    in T is -p_i (z_i - sum_j p_j z_j) / T^2, in which any shift of z cancels.

    >>> import tinygrad_sm as tg
    >>> tg.softmax([0.0, 4.0, 5.0])
    array([0.004901689, 0.26762315, 0.72747516])
    >>> tg.softmax([0.0, 4.0, 5.0], where=[True, True, False], temperature=2.0)
    array([0.11920292, 0.88079708, 0.0])
    """
    below, _ = _below_largest(xp, z, where, temperature, axis)
    e = kept(xp, where, xp.exp(below), 0.0)
    total = kept(xp, _alive(xp, where, axis), xp.sum(e, axis=axis, keepdims=True), 1.0)
    return kept(xp, where, e / total, 0.0)


@softmax.backward
def _(xp, g, p, z, where=None, temperature=1.0, *, axis):
    g = kept(xp, where, g, 0.0)
    of_z = _over_temperature(pulled_back(xp, p, g, axis), temperature)
    return of_z, None, lambda: _for_temperature(xp, of_z, z, where, temperature, axis)


@fused(conditioned=_of_temperature)
def log_softmax(xp, z, where=None, temperature=1.0, *, axis=-1):
    """The logarithm of softmax along `axis`, right also where the softmax underflows. Shape of z.

    `where` and `temperature` are as for softmax, and so are the errors; what is masked gets -inf.

    Rule: (g - p sum(g)) / T; and for T -sum(g (z - sum(z p))) / T^2, as minus the sum of z times the former, over T.

    log p_i = z_i - log S gives d log p_i / dz_j = 1[i = j] - p_j. Contracted with g: g_j - p_j sum_i g_i. With z / T for z
    that is divided by T, and the slope of log p_i in T is -(z_i - sum_j p_j z_j) / T^2.

    >>> import tinygrad_sm as tg
    >>> tg.log_softmax([1000.0, 0.0])
    array([0.0, -1000.0])
    """
    below, _ = _below_largest(xp, z, where, temperature, axis)
    return kept(xp, where, below - xp.log1p(_others(xp, below, where, axis)), -inf)


@log_softmax.backward
def _(xp, g, out, z, where=None, temperature=1.0, *, axis):
    g = kept(xp, where, g, 0.0)
    p = _softmax_again(z, where, temperature, axis)
    of_z = _over_temperature(log_pulled_back(xp, p, g, axis), temperature)
    return of_z, None, lambda: _for_temperature(xp, of_z, z, where, temperature, axis)


@fused(conditioned=lambda name, *_, **settings: name != "z")  # m + log(1 + s), which may be nearly 0
def logsumexp(xp, z, where=None, temperature=1.0, *, axis=-1, keepdims=False):
    """log of the sum of exp(z / T) along `axis`: a smooth maximum. Shape of z without the axis.

    `where` and `temperature` T are as for softmax, and so are the errors. -inf for a row that is empty, or of which nothing is
    kept, or all -inf. (Blanchard, Higham and Higham, IMA J. Numer. Anal. 41(4), 2021)

    Rule: g p / T, and 0 in a row that is all -inf; and for T -g sum(z p) / T^2.

    d log S / dz_j = e^{z_j} / S = p_j: the gradient of logsumexp is the softmax. With z / T for z that is divided by T, and
    the slope in T is -sum_j p_j z_j / T^2.

    >>> import tinygrad_sm as tg
    >>> tg.logsumexp([1000.0, 1000.0])
    array(1000.6931471805599)
    """
    m = _largest(xp, z, where, axis)
    m = xp.where(xp.isfinite(m), m, 0.0)  # any shift will do, and inf - inf would not
    below = _over_temperature(kept(xp, where, z, m) - m, temperature)
    out = _over_temperature(m, temperature) + xp.log1p(_others(xp, below, where, axis))
    out = kept(xp, _alive(xp, where, axis), out, -inf)
    return out if keepdims else xp.squeeze(out, axis=all_axes(axis, len(shape(z)), "logsumexp"))


@logsumexp.backward
def _(xp, g, out, z, where=None, temperature=1.0, *, axis, keepdims):
    g, out = (keep(xp, v, z, axis, keepdims) for v in (g, out))
    where = _finite_rows(xp, out, z, where)
    p = _softmax_again(z, where, temperature, axis)

    def of_temperature():
        near = _near(xp, p, z, where, axis)
        m = kept(xp, _alive(xp, where, axis), _largest(xp, z, where, axis), 0.0)
        mean = xp.sum(p * near, axis=axis, keepdims=True) + m
        return -(g * mean) / temperature / temperature

    return g * _over_temperature(p, temperature), None, of_temperature


@fused(conditioned=_of_temperature)
def softmin(xp, z, where=None, temperature=1.0, *, axis=-1):
    """Probabilities that favour small numbers: softmax(-z) along `axis`. Shape of z; all is as for softmax.

    Rule: -p (g - sum(g p)) / T; and for T sum(g p (z - sum(z p))) / T^2.

    The rule of softmax, with -z for z.

    >>> import tinygrad_sm as tg
    >>> tg.softmin([0.0, 4.0, 5.0])
    array([0.97555875, 0.017867982, 0.0065732632])
    """
    return softmax(-z, where=where, temperature=temperature, axis=axis)


@softmin.backward
def _(xp, g, p, z, where=None, temperature=1.0, *, axis):
    of_z, _, of_temperature = softmax.rule(xp, g, p, -z, where, temperature, axis=axis)
    return -of_z, None, of_temperature


@fused
def causal_softmax(xp, z, *, align="lower-right"):
    """softmax over the last axis of scores z (..., L, S), of which row i sees the first i + 1 + offset entries. Shape of z.

    `align`: "lower-right", where the last row sees every entry (offset S - L, for queries that are the newest of S positions),
    or "upper-left", where the first row sees the first (offset 0). What is not seen is never read and gets 0; a row that
    sees nothing is all 0. Raises a ValueError for another word and for z of fewer than two axes, and a TypeError for bools.

    Rule: p (g - sum(g p)).

    The rule of softmax, whose p is 0 where nothing is seen.

    >>> import tinygrad_sm as tg
    >>> tg.causal_softmax([[0.0, 9.0], [0.0, 0.0]])
    array([[1.0, 0.0],
           [0.5, 0.5]])
    """
    *_, rows, columns = shape(z)
    return softmax(z, where=causal_mask(xp, rows, columns, align), axis=-1)


@causal_softmax.backward
def _(xp, g, p, z, *, align):
    *_, rows, columns = shape(z)
    seen = causal_mask(xp, rows, columns, align)
    return pulled_back(xp, p, xp.where(seen, g, 0.0), -1)


# --- what the definitions and the rules share


def _largest(xp, z, where, axis):
    """The largest logit of each row, as a constant: the shift by which exp does not overflow cancels in every derivative."""
    reduce = xp.max if count(z, axis) else xp.sum  # an empty row has no largest
    return reduce(kept(xp, where, constant(z), -inf), axis=axis, keepdims=True)


def _alive(xp, where, axis):
    """Which rows have something that is kept; None if nothing is masked."""
    return None if where is None else xp.any(where, axis=axis, keepdims=True)


def _below_largest(xp, z, where, temperature, axis):
    """(z - m) / T with m the largest logit of each row, 0 at what is masked; and m."""
    m = kept(xp, _alive(xp, where, axis), _largest(xp, z, where, axis), 0.0)
    return _over_temperature(kept(xp, where, z, m) - m, temperature), m


def _for_temperature(xp, of_z, z, where, temperature, axis):
    """-sum(z dz) / T, dz the gradient for z: a step dT of the temperature does what the steps -z dT / T of the logits do.

    Steps that are all alike do nothing, so that z less the largest does as well.
    """
    if type(z) is nd.Array and where is None and type(temperature) is float and axis in (-1, z.ndim - 1):  # in one pass
        n = z.shape[-1]
        rows = ((z._flat[at : at + n], of_z._flat[at : at + n]) for at in range(0, z.size, n or 1))
        steps = [s * (m - v) for row, slopes in rows for m in (max(row),) for v, s in zip(row, slopes, strict=True) if s]
        return total(steps) / temperature
    below, _ = _below_largest(xp, z, where, 1.0, axis)
    return -xp.sum(times(xp, of_z, below), axis=axis, keepdims=True) / temperature


def _near(xp, p, z, where, axis):
    """z - m, and 0 where p is: what is infinitely far below, or masked, has no weight in the mean of z."""
    below, _ = _below_largest(xp, z, where, 1.0, axis)
    return xp.where(xp.equal(p, 0.0), 0.0, below)


def _over_temperature(x, temperature):
    return x if type(temperature) is float and temperature == 1.0 else x / temperature


def _others(xp, below, where, axis):
    """The sum of exp(below) less 1, where `below` are the logits below their largest one, itself at 0.

    Nothing cancels: at 0 the term is expm1, which is 0 there and has the slopes of exp. Of k logits that share the largest
    place, k - 1 count with the others.
    """
    top = xp.equal(below, 0.0)
    at_top = xp.expm1(below) if isinstance(below, Value) else 0.0  # plain data has no slopes
    terms = kept(xp, where, xp.where(top, at_top, xp.exp(below)), 0.0)
    top = kept(xp, where, top, False)
    ties = xp.sum(xp.where(top, xp.ones_like(below), 0.0), axis=axis, keepdims=True)
    ties = kept(xp, _alive(xp, where, axis), ties, 1.0)
    return xp.sum(terms, axis=axis, keepdims=True) + (ties - 1.0)


def softmax_in_parts(xp, z, temperature, axis):
    """(the softmax of z / T, z / T less its largest of each row, and the sum of exp of that less 1), from one exponential."""
    below, _ = _below_largest(xp, z, None, temperature, axis)
    e, top = xp.exp(below), xp.equal(below, 0.0)
    ties = xp.sum(xp.where(top, xp.ones_like(below), 0.0), axis=axis, keepdims=True)
    others = xp.sum(xp.where(top, 0.0, e), axis=axis, keepdims=True) + (ties - 1.0)
    return e / (1.0 + others), below, others


def _softmax_again(z, where, temperature, axis):
    """The softmax that a rule needs, without the settings that say nothing."""
    if where is None and type(temperature) is float and temperature == 1.0:
        return softmax(z, axis=axis)
    return softmax(z, where=where, temperature=temperature, axis=axis)


def _finite_rows(xp, out, z, where):
    """The mask without rows that are all -inf, whose softmax is nan and whose slopes are 0."""
    if type(out) is nd.Array and -inf not in out._flat:
        return where
    finite = xp.broadcast_to(xp.not_equal(out, -inf), shape(z))
    return finite if where is None else xp.logical_and(where, finite)


# --- on our own arrays


def _row_by_row(function: Callable[..., Any], z: nd.Array, where: Any, t: Any, axis: Any, fill: float | None) -> Any:
    """`function(row, t)` as a function of a row, called for one row after the other, of what the mask keeps alone.

    What is masked becomes `fill`; None for functions that reduce the row.
    """
    if where is None and type(t) is float:
        return function if t == 1.0 else lambda row: function(row, t)
    temperatures = iter(nd.broadcast_to(t, kept_shape(z.shape, axis))._flat if type(t) is nd.Array else repeat(t))
    if where is None:
        return lambda row: function(row, next(temperatures))
    masks = iter(core.rows(where, axis))

    def of_the_kept(row: list) -> Any:
        mask = next(masks)
        result = function(core.kept(row, mask), next(temperatures))
        return result if fill is None else core.filled(result, mask, fill)

    return of_the_kept


@softmax.kernel(nd.Array)
def _(z, where=None, temperature=1.0, *, axis):
    return nd.along("softmax", z, axis, _row_by_row(core.softmax_row, z, where, temperature, axis, 0.0))


@log_softmax.kernel(nd.Array)
def _(z, where=None, temperature=1.0, *, axis):
    return nd.along("log_softmax", z, axis, _row_by_row(core.log_softmax_row, z, where, temperature, axis, -inf))


@logsumexp.kernel(nd.Array)
def _(z, where=None, temperature=1.0, *, axis, keepdims):
    kernel = _row_by_row(core.logsumexp_row, z, where, temperature, axis, None)
    return nd.reduce_along("logsumexp", z, axis, kernel, keepdims=keepdims)


@causal_softmax.kernel(nd.Array)
def _(z, *, align):
    (rows, columns), flat = z.shape[-2:], []
    more = offset(rows, columns, align)
    for place, start in enumerate(range(0, len(z._flat), columns or 1)):
        seen = min(max(place % rows + 1 + more, 0), columns)
        flat += core.softmax_row(z._flat[start : start + seen])
        flat += [0.0] * (columns - seen)
    return nd.array.make(flat, z.shape, z.dtype)


# --- what is accepted


def _checked(name: str) -> Callable[..., tuple]:
    def check(xp: Any, z: Any, *optional: Any, axis: Any, **_: Any) -> tuple:
        z = checks.logits_along(z, axis, name)
        if not optional:
            return (z,)
        where, temperature = optional
        if where is not None:
            where = xp.broadcast_to(checks.mask(xp, where, shape(z), name), shape(z))
        return z, where, checks.temperature(xp, temperature, shape(z), axis, name)

    return check


for _op in (softmax, log_softmax, logsumexp, softmin):
    _op.prepare(_checked(_op.name))
    _op.hard_inputs(hard.along_an_axis)


@causal_softmax.prepare
def _(xp: Any, z: Any, *, align: str) -> tuple:
    z = checks.numbers(z, "causal_softmax", "scores")
    alignment(align, "causal_softmax")
    if len(shape(z)) < 2:
        raise ValueError(f"causal_softmax: scores have at least two axes, (..., L, S), and these have shape {shape(z)}")
    return (z,)


@causal_softmax.hard_inputs
def _():
    for name, rows in hard.matrices(4, 4):
        yield name, (rows,)
    for align in ("lower-right", "upper-left"):
        yield f"more entries, {align}", (next(hard.matrices(2, 5))[1],), {"align": align}
        yield f"more rows, {align}", (next(hard.matrices(4, 2))[1],), {"align": align}
