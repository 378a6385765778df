"""softmax, log_softmax and logsumexp: three readings of the same exponentials."""

from __future__ import annotations

from math import inf

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core
from tinygrad_sm.graph import constant, fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.nd.shapes import all_axes
from tinygrad_sm.ops.helpers import count, keep


@fused
def softmax(xp, z, *, axis=-1):
    """Probabilities from logits: exp(z) / sum of exp(z) along `axis` (an int, a tuple, None for all). Shape of z.

    Raises an `AxisError` (an IndexError and a ValueError) for an axis that z lacks, and a TypeError for bools. On our own
    arrays every entry is within 4 units in the last place. (Bridle, Neurocomputing, 1990)

    Rule: p (g - sum(g p)).

    p_i = e^{z_i} / S gives dp_i/dz_j = p_i (1[i = j] - p_j). Contracted with g: sum_i g_i p_i (1[i = j] - p_j)
    = p_j (g_j - sum_i g_i p_i).

    >>> import tinygrad_sm as tg
    >>> tg.softmax([0.0, 4.0, 5.0])
    array([0.004901689, 0.26762315, 0.72747516])
    """
    e = xp.exp(z - _largest(xp, z, axis))
    return e / xp.sum(e, axis=axis, keepdims=True)


@softmax.backward
def _(xp, g, p, z, *, axis):
    return p * (g - xp.sum(g * p, axis=axis, keepdims=True))


@softmax.kernel(nd.Array)
def _(z, *, axis):
    return nd.along("softmax", z, axis, core.softmax_row)


@fused
def log_softmax(xp, z, *, axis=-1):
    """The logarithm of softmax along `axis`, right also where the softmax underflows. Shape of z; errors as for softmax.

    Rule: g - p sum(g).

    log p_i = z_i - log S gives d log p_i / dz_j = 1[i = j] - p_j. Contracted with g: g_j - p_j sum_i g_i.

    >>> import tinygrad_sm as tg
    >>> tg.log_softmax([1000.0, 0.0])
    array([0.0, -1000.0])
    """
    below = z - _largest(xp, z, axis)
    return below - xp.log1p(_others(xp, below, axis))


@log_softmax.backward
def _(xp, g, out, z, *, axis):
    return g - softmax(z, axis=axis) * xp.sum(g, axis=axis, keepdims=True)


@log_softmax.kernel(nd.Array)
def _(z, *, axis):
    return nd.along("log_softmax", z, axis, core.log_softmax_row)


@fused
def logsumexp(xp, z, *, axis=-1, keepdims=False):
    """log of the sum of exp(z) along `axis`: a smooth maximum. Shape of z without the axis; errors as for softmax.

    -inf for a row that is empty or all -inf. (Blanchard, Higham and Higham, IMA J. Numer. Anal. 41(4), 2021)

    Rule: g p, and 0 in a row that is all -inf.

    d log S / dz_j = e^{z_j} / S = p_j: the gradient of logsumexp is the softmax.

    >>> import tinygrad_sm as tg
    >>> tg.logsumexp([1000.0, 1000.0])
    array(1000.6931471805599)
    """
    m = _largest(xp, z, axis)
    m = xp.where(xp.isfinite(m), m, 0.0)  # any shift will do, and inf - inf would not
    out = m + xp.log1p(_others(xp, z - m, axis))
    return out if keepdims else xp.squeeze(out, axis=all_axes(axis, len(shape(z)), "logsumexp"))


@logsumexp.backward
def _(xp, g, out, z, *, axis, keepdims):
    g, out = (keep(xp, v, z, axis, keepdims) for v in (g, out))
    return g * xp.where(xp.equal(out, -inf), 0.0, softmax(z, axis=axis))


@logsumexp.kernel(nd.Array)
def _(z, *, axis, keepdims):
    return nd.reduce_along("logsumexp", z, axis, core.logsumexp_row, keepdims=keepdims)


def _largest(xp, z, axis):
    """The largest logit of each row, as a constant: the shift by which exp does not overflow cancels in every derivative."""
    reduce = xp.max if count(z, axis) else xp.sum  # an empty row has no largest
    return reduce(constant(z), axis=axis, keepdims=True)


def _others(xp, below, axis):
    """The sum of exp(below) less 1, where `below` are the logits below their largest one, itself at 0.

    Nothing cancels: at 0 the term is expm1, which is 0 there and has the slopes of exp. Of k logits that share the largest
    place, k - 1 count with the others.
    """
    top = xp.equal(below, 0.0)
    terms = xp.where(top, xp.expm1(below), xp.exp(below))
    ties = xp.sum(xp.where(top, xp.ones_like(below), 0.0), axis=axis, keepdims=True)
    return xp.sum(terms, axis=axis, keepdims=True) + (ties - 1.0)


for _op in (softmax, log_softmax, logsumexp):
    _op.prepare(lambda xp, z, *, axis, name=_op.name, **_: (checks.logits_along(z, axis, name),))
