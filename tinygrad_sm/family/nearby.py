"""Two rows of logits near each other: what they differ in, without the digits that the difference of two softmaxes loses.

Here are the pieces that the divergences are made of: ops with rules and kernels of their own, so that derivatives of any order
keep their digits too.
"""

from __future__ import annotations

from math import exp, expm1, inf, isinf, log1p
from operator import mul
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import core
from tinygrad_sm.family.labels import pulled_back
from tinygrad_sm.family.probabilities import log_softmax, softmax
from tinygrad_sm.graph import constant, fused, primitive
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.floats import total
from tinygrad_sm.ops.helpers import count

Row = list[float]

# --- e^d - 1 - d


@primitive
def above_tangent(xp, x):
    """e^x - 1 - x, how far the exponential lies above its tangent at 0. Never negative. Rule: g (e^x - 1)."""
    if isinstance(plain(x), nd.Decimals):
        return xp.expm1(x) - x  # decimals have digits to lose, and the series below has an end
    near = xp.abs(x) < NEAR
    part = xp.where(near, x, 0.0)
    return xp.where(near, 0.5 * (part * part) * _series(part), xp.expm1(x) - x)


above_tangent.vjps(lambda xp, g, out, x: g * xp.expm1(x))

NEAR = 0.7  # beyond, the difference loses less than two bits


def _series(x):
    """(e^x - 1 - x) / (x^2 / 2) for |x| < NEAR: 1 + x/3 + x^2/(3 4) + ..."""
    y = 1.0
    for k in range(17, 2, -1):
        y = 1.0 + y * x / k
    return y


def above_tangent_of_one(x: float) -> float:
    """e^x - 1 - x of a single float."""
    return 0.5 * (x * x) * _series(x) if abs(x) < NEAR else expm1(x) - x


# --- the Jacobian of softmax


@fused(conditioned=lambda name, *_, **settings: name != "w")
def softmax_slope(xp, z, w, *, axis=-1):
    """p (w - sum(p w)) for p = softmax(z) along `axis`: the Jacobian of softmax times w.

    Rule: itself for w; and for z itself with (g - sum(p g)) (w - sum(p w)) for w.

    J = diag(p) - p p^T is symmetric. The slope of sum_i g_i p_i (w_i - sum_j p_j w_j), which is the covariance of g and w, in
    p_k is (g_k - mean g) (w_k - mean w) but for a number common to the row, which J takes off.
    """
    return pulled_back(xp, softmax(z, axis=axis), w, axis)


@softmax_slope.backward
def _(xp, g, out, z, w, *, axis):
    def of_z():
        p = softmax(z, axis=axis)
        return softmax_slope(z, _centred(xp, p, g, axis) * _centred(xp, p, w, axis), axis=axis)

    return of_z, lambda: softmax_slope(z, g, axis=axis)


def _centred(xp, p, v, axis):
    """v - sum(p v), where v is first taken less its value at a class of more than half."""
    v = v - xp.sum(xp.where(p > 0.5, constant(v), 0.0), axis=axis, keepdims=True)
    return v - xp.sum(p * v, axis=axis, keepdims=True)


@softmax_slope.kernel(nd.Array)
def _(z, w, *, axis):
    return _along_both("softmax_slope", z, w, axis, _row_slope)


def _row_slope(z: Row, w: Row) -> Row:
    if not z:
        return z
    p = core.softmax_row(z)
    shift = w[z.index(max(z))]
    w = [v - shift for v in w]
    mean = total(products(z, p, w))
    return products(z, p, [v - mean for v in w])


SMALL = 1e-290  # smaller probabilities may be subnormal, with few digits left


def products(z: Row, p: Row, v: Row) -> Row:
    """p v for p = softmax(z), with all digits also where p has lost some near 0."""
    if min(p, default=1.0) >= SMALL:
        return [*map(mul, p, v)]
    row, m, _, s = core.exponentials(z)

    def tail(a: float, factor: float) -> float:
        below, lacking = core.difference(a, m)
        root = exp(0.5 * below)
        return root and root * (root * (factor * (1.0 + lacking) / (1.0 + s)))

    return [tail(a, c) if b < SMALL else b * c for a, b, c in zip(row, p, v, strict=True)]


# --- the difference of two rows


@fused(conditioned=lambda name, *_, **settings: not name)
def logits_apart(xp, z, x, *, axis=-1):
    """z - x less its value at the largest z of each row along `axis`, where z is finite. Rule: g, and -g.

    For what only depends on differences between classes: on our own arrays no common part of the logits costs digits.
    """
    apart = xp.where(xp.isinf(z), 0.0, z - x)
    largest = xp.max if count(z, axis) else xp.sum  # an empty row has no largest
    top = xp.equal(z, largest(constant(z), axis=axis, keepdims=True))
    return apart - largest(xp.where(top, constant(apart), -inf), axis=axis, keepdims=True)


@logits_apart.backward
def _(xp, g, out, z, x, *, axis):
    return g, -g


@logits_apart.kernel(nd.Array)
def _(z, x, *, axis):
    return _along_both("logits_apart", z, x, axis, _row_apart)


def _row_apart(z: Row, x: Row) -> Row:
    if not z:
        return z
    k = z.index(max(z))
    shift = (0.0, 0.0) if isinf(z[k]) else (-z[k], x[k])
    return [0.0 if isinf(a) else total((a, -b, *shift)) for a, b in zip(z, x, strict=True)]


@fused(conditioned=lambda name, *_, **settings: not name)
def softmax_difference(xp, z, x, *, axis=-1):
    """softmax(x) - softmax(z) along `axis`, relatively right also where the two are near each other, or both near 1.

    Rule: `softmax_slope` of g at x, and minus that at z.

    With d = log(p / t) it is t (e^d - 1).
    """
    t, p = softmax(z, axis=axis), softmax(x, axis=axis)
    return difference(xp, t, p, log_ratio(xp, z, x, t, p, axis))


@softmax_difference.backward
def _(xp, g, out, z, x, *, axis):
    return lambda: -softmax_slope(z, g, axis=axis), lambda: softmax_slope(x, g, axis=axis)


@softmax_difference.kernel(nd.Array)
def _(z, x, *, axis):
    return _along_both("softmax_difference", z, x, axis, lambda z, x: _differences(*compared(z, x)))


def log_ratio(xp, z, x, t, p, axis):
    """d = log(p / t) from the logits: near 0 it is x - z, less its value at a class that is likely in both, plus the d of that.

    The rounding of the latter is common to the row, and is the sum of p - t, which should be 0: it is taken off.
    """
    log_t, log_p = log_softmax(z, axis=axis), log_softmax(x, axis=axis)
    absent, both = xp.equal(log_t, -inf), log_t + log_p
    ratio, apart = (xp.where(absent, inf, v) for v in (log_p - log_t, x - z))
    largest = xp.max if count(z, axis) else xp.sum  # an empty row has no largest
    top = xp.logical_and(xp.isfinite(both), xp.equal(both, largest(constant(both), axis=axis, keepdims=True)))
    ties = xp.sum(xp.where(top, xp.ones_like(z), 0.0), axis=axis, keepdims=True)
    ties = xp.where(ties > 1.0, ties, 1.0)
    level, shift = (xp.sum(xp.where(top, v, 0.0), axis=axis, keepdims=True) / ties for v in (ratio, apart))
    near = xp.logical_and(ratio > -1.0, ratio < 1.0)
    d = xp.where(near, (apart - shift) + level, ratio)
    return d - constant(xp.sum(difference(xp, t, p, d), axis=axis, keepdims=True))


def difference(xp, t, p, d):
    """p - t = t (e^d - 1) = -p (e^-d - 1), whichever exponential is below 1."""
    return xp.where(d > 0.0, -p, t) * xp.expm1(xp.where(d > 0.0, -d, d))


def compared(z: Row, x: Row) -> tuple[Row, Row, Row]:
    """t, p and d = log(p / t) of two rows of logits; where t is 0 because its logit is -inf, d is inf."""
    z, mz, ez, sz = core.exponentials(z)
    x, mx, ex, sx = core.exponentials(x)
    t, p = [e / (1.0 + sz) for e in ez], [e / (1.0 + sx) for e in ex]
    d, level = [], (log1p(sz), -log1p(sx))
    for a, b in zip(z, x, strict=True):
        below, lacking = core.difference(a, mz)
        d.append(inf if below == -inf else total((*core.difference(b, mx), -below, -lacking, *level)))
    excess = total(_differences(t, p, d))  # common to the row: the rounding of the logarithms in `level`
    return t, p, [v - excess for v in d]


def _differences(t: Row, p: Row, d: Row) -> Row:
    """p - t, as in `difference`."""
    return [-b * expm1(-v) if v > 0.0 else a * expm1(v) for a, b, v in zip(t, p, d, strict=True)]


def _along_both(name: str, a: nd.Array, b: nd.Array, axis: Any, function: Any) -> nd.Array:
    """A function of two rows, for each row of `a` and its partner of `b`."""
    partners = iter(core.rows(b, axis))
    return nd.along(name, a, axis, lambda row: function(row, next(partners)))
