"""Sparse kin of softmax: sparsemax and 1.5-entmax, which give exactly 0 to classes far below the best.

All three are the probabilities p that maximise <p, z> and an entropy of p. Their slopes have one form, with weights q made
of p: J = diag(q) - q q^T / sum(q), where q is p for softmax, the root of p for 1.5-entmax, and for sparsemax p^0, which is 1
on the support, the classes that get something, and 0 off it.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import fsum, inf, isinf, nan

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core, hard
from tinygrad_sm.family.labels import pulled_back
from tinygrad_sm.graph import constant, fused
from tinygrad_sm.nd.floats import has_nan
from tinygrad_sm.ops.elementwise import relu
from tinygrad_sm.ops.helpers import count

Row = list[float]


@fused
def sparsemax(xp, z, *, axis=-1):
    """The probabilities nearest to the logits: max(z - tau, 0) with tau such that they sum to 1. Shape of z.

    `axis` is an int, or None for all elements. A shift of the logits changes nothing, and a class 1 or more below the best
    gets exactly 0. Raises an `AxisError` for an axis that z lacks, and a TypeError for several axes and for bools.
    (Martins and Astudillo, 1602.02068)

    Rule: g - mean of g on the support, 0 off it.

    With the support S fixed, sum over S of (z_i - tau) = 1 gives tau = (sum_S z - 1) / |S|. So dp_i/dz_j = 1[i = j] - 1 / |S|
    for i and j in S and 0 elsewhere; contracted with g: g_j - sum_S g / |S|.

    >>> import tinygrad_sm as tg
    >>> tg.sparsemax([2.0, 1.5, 0.0])
    array([0.75, 0.25, 0.0])
    """
    below, outside = below_largest(xp, z, axis), off_support(xp, z, axis, 1)
    return xp.where(outside, 0.0, relu(below - tau_of(xp, below, outside, axis)))


def tau_of(xp, below, outside, axis):
    """The threshold of sparsemax."""
    return (xp.sum(xp.where(outside, 0.0, below), axis=axis, keepdims=True) - 1.0) / _size(xp, below, outside, axis)


@sparsemax.backward
def _(xp, g, p, z, *, axis):
    return _by_weights(xp, xp.sign(p), g, axis)


@fused(conditioned=lambda name, z, axis: name == "z")
def entmax15(xp, z, *, axis=-1):
    """1.5-entmax, halfway between softmax and sparsemax: max(z / 2 - tau, 0)^2 with tau such that it sums to 1. Shape of z.

    `axis` is an int, or None for all elements. A class 2 or more below the best gets exactly 0, and the slopes have no jump
    where a class leaves. Raises an `AxisError` for an axis that z lacks, and a TypeError for several axes and for bools.
    (Peters, Niculae and Martins, 1905.05702)

    Rule: q (g - sum(q g) / sum(q)) with q the root of p.

    With x = z / 2 and the support S fixed, sum over S of (x_i - tau)^2 = 1 is quadratic in tau, and its smaller root is the
    mean of x less sqrt((1 - sum (x - mean)^2) / |S|). Its slope follows from the sum itself: with q_i = x_i - tau,
    sum q_i (dx_i - dtau) = 0, so dtau = sum(q dz) / (2 sum q). Then dp_i = 2 q_i (dx_i - dtau), which is
    q_i (dz_i - sum(q dz) / sum q): a symmetric matrix, so that the rule is the same with g in the place of dz.

    >>> import tinygrad_sm as tg
    >>> tg.entmax15([2.0, 1.0, -1.0])
    array([0.83071891, 0.16928109, 0.0])
    """
    x, outside = below_largest(xp, z, axis) / 2.0, off_support(xp, z, axis, 2)
    return xp.where(outside, 0.0, xp.square(relu(x - tau15(xp, x, outside, axis))))


def tau15(xp, x, outside, axis):
    """The threshold of 1.5-entmax for half the logits."""
    size = _size(xp, x, outside, axis)
    mean = xp.sum(xp.where(outside, 0.0, x), axis=axis, keepdims=True) / size
    spread = xp.sum(xp.square(xp.where(outside, 0.0, x - mean)), axis=axis, keepdims=True)
    return mean - xp.sqrt((1.0 - spread) / size)


@entmax15.backward
def _(xp, g, p, z, *, axis):
    return _by_weights(xp, root(xp, p), g, axis)


# --- what the definitions share


def below_largest(xp, z, axis):
    """How far each logit lies below the largest of its row, a shift that cancels."""
    return z - _largest(xp, z, axis)


def _largest(xp, z, axis):
    reduce = xp.max if count(z, axis) else xp.sum  # an empty row has no largest
    return reduce(constant(z), axis=axis, keepdims=True)


def off_support(xp, z, axis, power):
    """The classes off the support, as plain bools: those for which sum_j max(z_j - z_i, 0)^power does not stay below
    1 (sparsemax) or, of half the logits, 1 (1.5-entmax).

    What all classes above i would get together if tau were z_i is that sum, and i is on the support if this is less than 1.
    Along the sorted depths d = max(z) - z it is k d_k - (d_1 + ... + d_k), and with squares it is much the same.
    """
    depth = (_largest(xp, z, axis) - constant(z)) / float(power)
    if count(z, axis) < 2:
        return depth < depth
    row, at = (xp.reshape(depth, (-1,)), 0) if axis is None else (depth, axis)
    d = xp.minimum(xp.sort(row, axis=at), 2.0)  # at 1 the best class alone makes 1, and inf - inf would be nan
    k, running = (xp.cumulative_sum(x, axis=at) for x in (xp.ones_like(d), d))
    above = k * d - running if power == 1 else (k * d - 2.0 * running) * d + xp.cumulative_sum(d * d, axis=at)
    return depth > xp.max(xp.where(above < 1.0, d, 0.0), axis=at, keepdims=True)


def _size(xp, x, outside, axis):
    """How many classes are on the support."""
    return xp.sum(xp.where(outside, 0.0, xp.ones_like(x)), axis=axis, keepdims=True) if count(x, axis) else 1.0


def root(xp, p):
    """The square root, with slope 0 at 0."""
    empty = xp.equal(p, 0.0)
    return xp.where(empty, 0.0, xp.sqrt(xp.where(empty, 1.0, p)))


def _by_weights(xp, q, g, axis):
    """q (g - sum(q g) / sum(q))."""
    whole = xp.sum(q, axis=axis, keepdims=True)
    return whole * pulled_back(xp, q / whole, g, axis)


# --- on rows of floats: tau as the sum of two floats, so that what lies just above it keeps its digits


def limit_of(row: Row) -> Row | None:
    """A row with an answer, in which a single +inf stands for its limit; None for nan, nothing but -inf, or several +inf."""
    m = max(row, default=0.0)
    if not isinf(m) and not has_nan(row):
        return row
    return None if row.count(inf) != 1 or has_nan(row) else [0.0 if z == inf else -inf for z in row]


def threshold(row: Row) -> tuple[float, float, float]:
    """(m, first, rest): tau of sparsemax is m + first + rest, m the largest logit.

    It rises as classes leave, so all classes near the best are taken first and those at or below tau leave until none does.
    """
    m = max(row)
    kept = [core.difference(z, m) for z in row if z >= m - 1.0]
    while True:
        size = len(kept)
        parts = [-1.0, *(part for pair in kept for part in pair)]
        first = fsum(parts) / size
        rest = fsum((*parts, *[-first] * size)) / size
        inside = [(d, r) for d, r in kept if (d - first) + (r - rest) > 0.0]
        if len(inside) == size:
            return m, first, rest
        kept = inside


def _sparse_row(row: Row) -> Row:
    if not (limit := limit_of(row)):
        return [nan] * len(row)
    m, first, rest = threshold(limit)
    return [0.0 if z < m - 1.0 else max(0.0, less(z, m, first, rest)) for z in limit]


def less(z: float, m: float, first: float, rest: float) -> float:
    """z - (m + first + rest)."""
    d, r = core.difference(z, m)
    return (d - first) + (r - rest)


def threshold15(row: Row) -> tuple[float, float, float]:
    """(m, first, rest): tau of 1.5-entmax is m / 2 + first + rest, m the largest logit.

    sum max(x - tau, 0)^2 - 1 falls and is convex, so that Newton's steps from the left, where it is not negative, rise to its
    root without passing it. A last step from the sum to twice the digits gives the rest.
    """
    m = max(row)
    kept = [core.difference(z, m, 2.0) for z in row if z >= m - 2.0]
    first = -1.0
    while True:
        kept = [(x, r) for x, r in kept if x > first]
        roots = [x - first for x, _ in kept]
        step = (fsum(v * v for v in roots) - 1.0) / (2.0 * fsum(roots))
        if first + step <= first:
            break
        first += step
    parts = [-1.0]
    for x, r in kept:
        q, error = core.difference(x, first)
        parts += (*_square(q), 2.0 * q * (error + r))
    return m, first, fsum(parts) / (2.0 * fsum(roots))


def _square(x: float) -> tuple[float, float]:
    """x * x and its rounding error (Dekker, Numerische Mathematik 18, 1971)."""
    square = x * x
    high = (wide := core.SPLITTER * x) - (wide - x)  # the upper half of the digits
    low = x - high
    return square, ((high * high - square) + 2.0 * high * low) + low * low


def _sparse_row15(row: Row) -> Row:
    if not (limit := limit_of(row)):
        return [nan] * len(row)
    m, first, rest = threshold15(limit)
    return [0.0 if z < m - 2.0 else max(0.0, less15(z, m, first, rest)) ** 2 for z in limit]


def less15(z: float, m: float, first: float, rest: float) -> float:
    """z / 2 - (m / 2 + first + rest)."""
    x, r = core.difference(z, m, 2.0)
    q, error = core.difference(x, first)
    return q + (error + r - rest)


@sparsemax.kernel(nd.Array)
def _(z, *, axis):
    return nd.along("sparsemax", z, axis, _sparse_row)


@entmax15.kernel(nd.Array)
def _(z, *, axis):
    return nd.along("entmax15", z, axis, _sparse_row15)


for _op in (sparsemax, entmax15):
    _op.prepare(lambda xp, z, *, axis, name=_op.name: (checks.one_axis_or_all(z, axis, name),))


def _hard_inputs() -> Iterator[tuple]:
    """Rows on which no class lies on the edge of the support, where the slopes jump."""
    for name, row in hard.rows():
        yield name, (row,)
    matrix = [[0.3, -1.2, 0.9, 0.1], [0.2, 40.0, -0.5, 0.1], [0.1, 0.9, -1.2, 0.3]]
    yield "scale 0.3", ([0.25, -0.3, 0.4, 0.01, -0.6, 0.33, -0.05, 0.2],)
    yield "just inside", ([0.0, -0.999999, -3.0, 0.0],)
    yield "just inside, of two", ([5.0, 3.0000001, 4.0000001],)
    yield "nearly all for one", ([0.0, -0.9999999999, -5.0],)
    yield "nearly all for one of two", ([0.0, -5.0, -1.9999999999],)
    yield "offset 1e8, near", ([1e8 + 0.25, 1e8 - 0.3, 1e8 + 0.4],)
    yield "first axis", (matrix,), {"axis": 0}
    yield "all axes", (matrix,), {"axis": None}


sparsemax.hard_inputs(_hard_inputs)
entmax15.hard_inputs(_hard_inputs)
