"""Attention: every query gathers the values of the keys that it resembles, whole or tile by tile."""

from __future__ import annotations

from math import inf, isfinite, nan
from typing import Any

from tinygrad_sm.family import checks, hard
from tinygrad_sm.family.labels import pulled_back
from tinygrad_sm.family.masks import ALIGNMENTS, kept, offset
from tinygrad_sm.family.probabilities import softmax
from tinygrad_sm.graph import Value, fused
from tinygrad_sm.graph.namespaces import SCALARS, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import broadcast_shapes, whole_number
from tinygrad_sm.ops.helpers import is_traced, sqrt_of


@fused(conditioned=True)
def attention(xp, q, k, v, where=None, *, causal=False, scale=None, chunk=None):
    """softmax(q k^T scale) v: what L queries gather from S keys and their values. (..., L, E), (..., S, E), (..., S, Ev) to
    (..., L, Ev); what stands before the last two axes is broadcast.

    `where`, bools that broadcast to (..., L, S), is True where a query may look at a key. With `causal` no query sees a later
    key: True or "lower-right" aligns the last query with the last key, so that of more queries than keys the first see
    nothing, and "upper-left" the first with the first. `scale` is 1 / sqrt(E) unless given. A query that may look at nothing
    gathers zeros. What is masked is never read: nan there does nothing, and its gradient is 0. A key or value that is not
    finite makes nan of what sees it.

    With `chunk` the keys are taken that many at a time, forward and backward, and no L x S matrix is ever held: slower, and
    the same up to rounding. (Second derivatives hold them all the same.)

    Raises a ValueError for shapes that do not fit, and a TypeError for a mask that is none.
    (Vaswani et al., 1706.03762; tiles and rule: Dao et al., FlashAttention, 2205.14135)

    Rule: with P = softmax(s q k^T) and dS = P (g v^T - rowsum(P g v^T)): s dS k; s dS^T q; P^T g.

    out = P v is a product of matrices, so that g v^T flows into P and P^T g into v. The softmax's rule makes dS of the
    former, and S = s q k^T, again a product, hands s dS k to q and s dS^T q to k. P is kept for the rule, except in tiles.

    In tiles: a row of P is exp(S - m) / t, with m and t found on the way: a tile with a larger m rescales what was gathered by
    exp(m_old - m_new). The same holds for the row sums that the rule needs.

    >>> import tinygrad_sm as tg
    >>> q, k, v = [[0.0, 9.0]], [[1.0, 0.0], [0.0, 1.0]], [[5.0], [7.0]]
    >>> print(tg.attention(q, k, v))
    [[6.9965609]]
    >>> print(tg.attention(q, k, v, where=[[True, False]]))
    [[5.0]]
    """
    if chunk is not None and not isinstance(q, Value):  # among Values this is the definition, whatever the tiles are
        return _gathered_in_tiles(xp, q, k, v, where, causal, scale, chunk)
    p, v, _ = _weights(xp, q, k, v, where, causal, scale)
    return xp.matmul(p, v)


def _weights(xp, q, k, v, where, causal, scale):
    """(P, the values as they can be read, where nan came in)."""
    seen = _seen(xp, where, causal, q, k, slice(0, shape(k)[-2]))
    q, k, v, spoilt = _readable(xp, q, k, v, seen)
    return softmax(_scores(xp, _scaled(q, scale), k, seen, spoilt), where=seen), v, spoilt


@attention.keeping
def _(xp, q, k, v, where=None, *, causal, scale, chunk):
    if chunk is not None:
        return _gathered_in_tiles(xp, q, k, v, where, causal, scale, chunk), {}
    p, v, spoilt = _weights(xp, q, k, v, where, causal, scale)
    return xp.matmul(p, v), {} if spoilt is not None else {"p": p}


@attention.backward
def _(xp, g, out, q, k, v, where=None, *, causal, scale, chunk, p=None):
    if not shape(k)[-2]:
        return *map(xp.zeros_like, (q, k, v)), None
    if chunk is not None and not isinstance(g, Value):
        return *_slopes_in_tiles(xp, g, q, k, v, where, causal, scale, chunk), None
    seen = _seen(xp, where, causal, q, k, slice(0, shape(k)[-2]))
    q, k, v, spoilt = _readable(xp, q, k, v, seen, g)
    q = _scaled(q, scale)
    p = softmax(_scores(xp, q, k, seen, spoilt), where=seen) if p is None else p
    slopes = pulled_back(xp, p, xp.matmul(g, xp.matrix_transpose(v)), -1)
    if spoilt is not None:
        slopes = xp.where(seen, slopes, 0.0)  # not nan, in a row that is
    return (
        lambda: _scaled(xp.matmul(slopes, k), scale),
        lambda: xp.matmul(xp.matrix_transpose(slopes), q),
        lambda: xp.matmul(xp.matrix_transpose(p), g),
        None,
    )


def _scaled(x, scale):
    width = shape(x)[-1]
    return x * scale if scale is not None else x / sqrt_of(float(max(width, 1)), x)


def _seen(xp, where, causal, q, k, keys):
    """Which of the `keys` (a slice) every query may look at; None for all of them."""
    where = plain(where)
    if where is not None and shape(where)[-1:] not in ((), (1,)):
        where = where[..., keys]
    if not causal:
        return where
    queries, n = shape(q)[-2], shape(k)[-2]
    last = xp.arange(queries) + offset(queries, n, "lower-right" if causal is True else causal)
    earlier = xp.less_equal(xp.arange(keys.start, keys.stop), xp.expand_dims(last, axis=1))
    return earlier if where is None else xp.logical_and(where, earlier)


def _readable(xp, q, k, v, seen, g=None):
    """q, k and v with 0 for what is not finite, and where a query sees such a thing (None: nowhere): 0 times nan is nan, and
    so nothing that is masked may enter a product. A query into which no gradient g flows need not see it either."""
    if seen is None or not any(is_traced(plain(x)) or checks.some(xp, xp.logical_not(xp.isfinite(x))) for x in (q, k, v)):
        return q, k, v, None
    finite = [xp.isfinite(x) for x in (q, k, v)]
    q, k, v = (xp.where(good, x, 0.0) for good, x in zip(finite, (q, k, v), strict=True))
    of_q, of_k, of_v = (xp.logical_not(xp.all(good, axis=-1)) for good in finite)
    spoilt = xp.logical_or(xp.expand_dims(of_q, axis=-1), xp.expand_dims(xp.logical_or(of_k, of_v), axis=-2))
    if g is not None:
        spoilt = xp.logical_and(spoilt, xp.any(xp.not_equal(g, 0.0), axis=-1, keepdims=True))
    return q, k, v, xp.logical_and(seen, spoilt)


def _scores(xp, q, k, seen, spoilt):
    """How alike queries and keys are, in the shape that the mask has: (..., L, S)."""
    scores = xp.matmul(q, xp.matrix_transpose(k))
    scores = scores if spoilt is None else xp.where(spoilt, nan, scores)
    if seen is None or shape(seen) == shape(scores):
        return scores
    return xp.broadcast_to(scores, broadcast_shapes("attention", shape(seen), shape(scores)))


# --- tile by tile


def _tiles(xp, q, k, v, where, causal, scale, chunk, g=None):
    """(q, k, v, seen, scores) of the queries and `chunk` keys at a time; the scores are -inf where nothing is seen."""
    n = shape(k)[-2]
    for start in range(0, n, chunk):
        keys = slice(start, min(start + chunk, n))
        seen = _seen(xp, where, causal, q, k, keys)
        some_q, some_k, some_v, spoilt = _readable(xp, q, k[..., keys, :], v[..., keys, :], seen, g)
        some_q = _scaled(some_q, scale)
        scores = _scores(xp, some_q, some_k, seen, spoilt)
        yield some_q, some_k, some_v, seen, kept(xp, seen, scores, -inf)


def _near(xp, m):
    """A largest score as a shift; 0 where there is none, since -inf less -inf is nan."""
    return xp.where(xp.equal(m, -inf), 0.0, m)


def _joined(xp, m, largest):
    """The larger of two maxima, and the factors that bring what was summed beside either of them to it."""
    joined = xp.maximum(m, largest)
    near = _near(xp, joined)
    return joined, xp.exp(m - near), xp.exp(largest - near)


def _gathered_in_tiles(xp, q, k, v, where, causal, scale, chunk):
    m = total = gathered = None
    for _, _, some_v, _, scores in _tiles(xp, q, k, v, where, causal, scale, chunk):
        largest = xp.max(scores, axis=-1, keepdims=True)
        e = xp.exp(scores - _near(xp, largest))
        amount, part = xp.sum(e, axis=-1, keepdims=True), xp.matmul(e, some_v)
        if m is None:
            m, total, gathered = largest, amount, part
        else:
            m, old, new = _joined(xp, m, largest)
            total, gathered = total * old + amount * new, gathered * old + part * new
    if m is None:
        return attention.forward(xp, q, k, v, where, causal=causal, scale=scale)
    return gathered / _whole(xp, total)


def _whole(xp, total):
    """A sum to divide by: 1 where nothing was seen."""
    return xp.where(xp.equal(total, 0.0), 1.0, total)


def _slopes_in_tiles(xp, g, q, k, v, where, causal, scale, chunk):
    """The gradients of q, k and v: once over the tiles for the row sums, and once more for what hangs on them.

    The rule's g v^T - rowsum(P g v^T) does not change when g v^T is shifted along a row; taken less its value at the likeliest
    key it keeps its digits where P is nearly 1, so `means` are of what is left then.
    """
    given = xp, q, k, v, where, causal, scale, chunk, g
    m = total = means = level = None
    for _, _, some_v, _, scores in _tiles(*given):
        largest, e, slopes, likeliest = _tile(xp, g, some_v, scores)
        amount, mean = (xp.sum(x, axis=-1, keepdims=True) for x in (e, e * slopes))
        if m is None:
            m, total, means, level = largest, amount, mean, likeliest
        else:
            better = xp.greater(largest, m)
            m, old, new = _joined(xp, m, largest)
            higher = xp.where(better, likeliest, level)
            means = (means + (level - higher) * total) * old + (mean + (likeliest - higher) * amount) * new
            total, level = total * old + amount * new, higher
    total = _whole(xp, total)
    of_q, of_k, of_v = 0.0, [], []
    for some_q, some_k, some_v, seen, scores in _tiles(*given):
        largest, e, slopes, likeliest = _tile(xp, g, some_v, scores)
        p = e * (xp.exp(largest - _near(xp, m)) / total)
        slopes = p * (slopes + (likeliest - level - means / total))
        p, slopes = (kept(xp, seen, x, 0.0) for x in (p, slopes))
        of_q = of_q + xp.matmul(slopes, some_k)
        of_k.append(xp.matmul(xp.matrix_transpose(slopes), some_q))
        of_v.append(xp.matmul(xp.matrix_transpose(p), g))
    return _scaled(of_q, scale), xp.concat(of_k, axis=-2), xp.concat(of_v, axis=-2)


def _tile(xp, g, v, scores):
    """The largest score of each row, exp of the scores less it, and g v^T less its value at that score, with this value."""
    largest = xp.max(scores, axis=-1, keepdims=True)
    slopes = xp.matmul(g, xp.matrix_transpose(v))
    top = xp.expand_dims(xp.argmax(scores, axis=-1), axis=-1)
    top = xp.broadcast_to(top, (*shape(slopes)[:-1], 1))
    likeliest = xp.take_along_axis(slopes, top, axis=-1)
    return largest, xp.exp(scores - _near(xp, largest)), slopes - likeliest, likeliest


@attention.hard_inputs
def _():
    q, v = [[1.0, 0.25], [-0.5, 1.0]], [[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25], [2.0, 1.0]]
    for name, row in hard.rows(4):  # the first query finds these logits
        yield name, (q, [[z, 0.5 * i] for i, z in enumerate(row)], v), {"scale": 1.0}
    some, more = [[0.3, -1.2], [0.9, 0.1], [-0.4, 0.8]], [[0.7, 0.2], [-1.1, 0.5], [0.6, 1.3]]
    confident = [[0.2, 40.0], [0.4, -0.5], [0.1, 0.3]]
    yield "scale", (some, more, confident), {}
    far = [[1e8 + x for x in row] for row in v]
    yield "offset keys and values", (q, [[1e8 + 0.25 * j, 0.5 * j] for j in range(4)], far), {"scale": 1.0}
    yield "a batch of queries", ([some, more], confident, some), {}
    mask = [[True, False, True], [False, False, False], [True, True, False]]
    yield "masked", (some, confident, more), {"where": mask}
    yield "causal", (some[:2], confident, more), {"causal": True}
    yield "causal, masked, upper left", (confident, more, some), {"causal": "upper-left", "where": mask}
    yield "tiles", (some, confident, more), {"chunk": 2}
    keys = [[0.1, 0.5], [0.4, -0.25], [37.0, 1.5], [-0.2, 2.0]]
    yield "tiles, causal, margin 37", (q, keys, v), {"chunk": 1, "causal": True, "scale": 1.0}


# --- what is accepted


@attention.prepare
def _(xp: Any, q: Any, k: Any, v: Any, where: Any = None, *, causal: Any, scale: Any, chunk: Any) -> tuple:
    q, k, v = (checks.numbers(x, "attention", what) for x, what in ((q, "queries"), (k, "keys"), (v, "values")))
    sizes = [*map(shape, (q, k, v))]
    if any(len(s) < 2 for s in sizes) or sizes[0][-1] != sizes[1][-1] or sizes[1][-2] != sizes[2][-2]:
        raise ValueError(
            f"attention: queries, keys and values of shapes {sizes[0]}, {sizes[1]} and {sizes[2]}; "
            "(..., L, E), (..., S, E) and (..., S, Ev) would fit"
        )
    batch = broadcast_shapes("attention: the batches of queries, keys and values", *(s[:-2] for s in sizes))
    if type(causal) is not bool and not (type(causal) is str and causal in ALIGNMENTS):
        raise ValueError(f"attention: causal is True, False, 'lower-right' or 'upper-left', not {causal!r}")
    if scale is not None and (type(scale) not in SCALARS - {bool} or not isfinite(scale)):
        raise ValueError(f"attention: scale is a finite number, by default 1 / sqrt(E), not {scale!r}")
    if chunk is not None:
        whole_number(chunk, "attention: chunk")
    if where is None:
        return q, k, v
    return q, k, v, checks.mask(xp, where, (*batch, sizes[0][-2], sizes[1][-2]), "attention", "scores (..., L, S)")
