"""softmax, log_softmax and logsumexp: three readings of the same exponentials.

The shift by the largest logit is a constant: it cancels in every derivative.
"""

from __future__ import annotations

from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core
from tinygrad_sm.graph import constant, fused
from tinygrad_sm.ops.helpers import keep


@fused
def softmax(xp, z, *, axis=-1):
    """Probabilities from logits: exp(z) / sum of exp(z) along `axis` (an int, a tuple, None for all). Shape of z.

    Rule: p (g - sum(g p)).

    p_i = e^{z_i} / S gives dp_i/dz_j = p_i (1[i = j] - p_j). Contracted with g: sum_i g_i p_i (1[i = j] - p_j)
    = p_j (g_j - sum_i g_i p_i). On our own arrays every entry is within 4 units in the last place.

    >>> import tinygrad_sm as tg
    >>> tg.softmax([0.0, 4.0, 5.0])
    array([0.0049016896, 0.26762315, 0.72747516])
    """
    e = xp.exp(z - constant(xp.max(z, axis=axis, keepdims=True)))
    return e / xp.sum(e, axis=axis, keepdims=True)


@softmax.backward
def _(xp, g, p, z, *, axis):
    return p * (g - xp.sum(g * p, axis=axis, keepdims=True))


@softmax.kernel(nd.Array)
def _(z, *, axis):
    return nd.along("softmax", z, axis, core.softmax_row)


def _terms(xp, z, axis):
    """(z - m, s): the logits below their largest, and s, the sum of their exponentials less 1.

    s is formed without cancellation: where z = m the term is expm1(0) = 0, whose slope is that of exp. Of k logits that
    share the largest place, k - 1 count with the others.
    """
    below = z - constant(xp.max(z, axis=axis, keepdims=True))
    top = xp.equal(below, 0.0)
    terms = xp.where(top, xp.expm1(below), xp.exp(below))
    ties = xp.sum(xp.where(top, xp.ones_like(z), 0.0), axis=axis, keepdims=True)
    return below, xp.sum(terms, axis=axis, keepdims=True) + (ties - 1.0)


@fused
def log_softmax(xp, z, *, axis=-1):
    """The logarithm of softmax along `axis`, without computing a softmax that underflows. Shape of z.

    Rule: g - p sum(g).

    log p_i = z_i - log S gives d log p_i / dz_j = 1[i = j] - p_j. Contracted with g: g_j - p_j sum_i g_i.

    >>> import tinygrad_sm as tg
    >>> tg.log_softmax([1000.0, 0.0])
    array([0.0, -1000.0])
    """
    below, s = _terms(xp, z, axis)
    return below - xp.log1p(s)


@log_softmax.backward
def _(xp, g, out, z, *, axis):
    return g - softmax(z, axis=axis) * xp.sum(g, axis=axis, keepdims=True)


@log_softmax.kernel(nd.Array)
def _(z, *, axis):
    return nd.along("log_softmax", z, axis, core.log_softmax_row)


@fused
def logsumexp(xp, z, *, axis=-1, keepdims=False):
    """log of the sum of exp(z) along `axis`: a smooth maximum. Shape of z without the axis.

    Rule: g p.

    d log S / dz_j = e^{z_j} / S = p_j: its gradient is the softmax.

    >>> import tinygrad_sm as tg
    >>> tg.logsumexp([1000.0, 1000.0])
    array(1000.6931471805599)
    """
    largest = constant(xp.max(z, axis=axis, keepdims=True))
    _, s = _terms(xp, z, axis)
    kept = largest + xp.log1p(s)
    return kept if keepdims else xp.sum(kept, axis=axis)


@logsumexp.backward
def _(xp, g, out, z, *, axis, keepdims):
    return keep(xp, g, z, axis, keepdims) * softmax(z, axis=axis)


@logsumexp.kernel(nd.Array)
def _(z, *, axis, keepdims):
    return nd.reduce_along("logsumexp", z, axis, core.logsumexp_row, keepdims=keepdims)


@softmax.prepare
def _(xp: Any, z: Any, *, axis: Any) -> tuple:
    return (checks.logits_along(z, axis, "softmax"),)


@log_softmax.prepare
def _(xp: Any, z: Any, *, axis: Any) -> tuple:
    return (checks.logits_along(z, axis, "log_softmax"),)


@logsumexp.prepare
def _(xp: Any, z: Any, *, axis: Any, keepdims: bool) -> tuple:
    return (checks.logits_along(z, axis, "logsumexp"),)
