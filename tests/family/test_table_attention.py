"""Where causal masks and attention of different libraries part ways: one row a case, with what is answered here."""

from math import exp, fsum, inf, isnan, nan

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.tables import NUMPY, OWN, assert_same, counting, every_form

# --- causal: which entries a row of a lower triangle sees

SQUARE = [[0.5, 1.0, -1.0], [2.0, 0.0, 1.5], [1.0, 1.0, 0.25]]
CAUSAL = [  # shape (L, S), alignment, how many entries each row sees
    ((3, 3), "lower-right", [1, 2, 3]),
    ((3, 3), "upper-left", [1, 2, 3]),
    ((1, 3), "lower-right", [3]),
    ((1, 3), "upper-left", [1]),
    ((2, 3), "lower-right", [2, 3]),
    ((2, 3), "upper-left", [1, 2]),
    ((3, 2), "lower-right", [0, 1, 2]),
    ((3, 2), "upper-left", [1, 2, 2]),
    ((3, 1), "lower-right", [0, 0, 1]),
]


@every_form
@pytest.mark.parametrize(("sizes", "align", "seen"), CAUSAL)
def test_causal_softmax(sizes, align, seen, form):
    S = sizes[1]
    z = [[SQUARE[i][j] if j < n else nan for j in range(S)] for i, n in enumerate(seen)]  # what is not seen is not read
    out, (slopes,) = form.run(tg.causal_softmax, z, align=align)
    g = counting(sizes)
    for i, n in enumerate(seen):
        wanted, (few,) = form.run(tg.softmax, z[i][:n], upstream=g[i][:n]) if n else ([], [[]])
        assert_same(out[i], wanted + [0.0] * (S - n))
        assert_same(slopes[i][:n], few)
        assert slopes[i][n:] == [0.0] * (S - n)


ATTENTION = [  # L, S, causal, how many keys each query sees
    (1, 3, True, [3]),
    (1, 3, "lower-right", [3]),
    (1, 3, "upper-left", [1]),
    (2, 3, True, [2, 3]),
    (2, 3, "upper-left", [1, 2]),
    (3, 2, "lower-right", [0, 1, 2]),
    (3, 2, "upper-left", [1, 2, 2]),
    (2, 2, False, [2, 2]),
]


def plain_attention(q, keys, values):
    """One query by the book."""
    scores = [fsum(a * b for a, b in zip(q, k, strict=True)) / len(q) ** 0.5 for k in keys]
    weights = [exp(s) for s in scores]
    return [fsum(w * v[j] for w, v in zip(weights, values, strict=True)) / fsum(weights) for j in range(len(values[0]))]


@every_form
@pytest.mark.parametrize(("L", "S", "causal", "seen"), ATTENTION)
def test_causal_attention(L, S, causal, seen, form):
    q, k, v = SQUARE[:L], SQUARE[::-1][:S], [[1.0, 10.0], [3.0, 30.0], [-2.0, 5.0]][:S]
    out, gradients = form.run(tg.attention, (q, k, v), causal=causal)
    for i, n in enumerate(seen):
        assert_same(out[i], plain_attention(q[i], k[:n], v[:n]) if n else [0.0, 0.0])
        assert n or gradients[0][i] == [0.0, 0.0, 0.0]
    mask = [[j < n for j in range(S)] for n in seen]
    where = form.mask(mask)
    masked, wanted = form.run(tg.attention, (q, k, v), where=where)
    assert_same(out, masked)
    for got, want in zip(gradients, wanted, strict=True):
        assert np.allclose(got, want, rtol=1e-12, atol=1e-14)


@every_form
@pytest.mark.parametrize("poison", [nan, inf, 1e3])
def test_attention_of_a_query_that_may_look_at_nothing(poison, form):
    """Zeros, where others average all values (jax), attend as if unmasked (keras) or give nan."""
    q, k, v = [[1.0, 2.0], [0.5, -1.0]], [[0.3, 0.1], [-0.2, 0.7]], [[1.0, 10.0], [3.0, 30.0]]
    mask = [[True, True], [False, False]]
    where = form.mask(mask)
    out, gradients = form.run(tg.attention, (q, k, v), where=where)
    assert out[1] == [0.0, 0.0] and gradients[0][1] == [0.0, 0.0]
    alone, wanted = form.run(tg.attention, (q[:1], k, v))
    assert_same(out[:1], alone)
    assert_same(gradients, [[*wanted[0], [0.0, 0.0]], *wanted[1:]])

    hidden = [[True, False], [True, False]]  # no query sees the second key, so nobody reads it
    where = form.mask(hidden)
    k[1] = v[1] = [poison, -poison]
    out, gradients = form.run(tg.attention, (q, k, v), where=where)
    assert_same(out, [v[0], v[0]])
    assert gradients[1][1] == gradients[2][1] == [0.0, 0.0]


@pytest.mark.parametrize("form", [OWN, NUMPY], ids=repr)
@pytest.mark.parametrize("chunk", [None, 1, 2])
def test_nan_goes_to_those_who_see_it(chunk, form):
    """Into the query that sees the key, and from it into nothing that is masked to it."""
    q, k, v = [[1.0, 2.0], [0.5, -1.0]], [[0.3, 0.1], [nan, 0.7], [0.2, 0.2]], [[1.0], [3.0], [5.0]]
    where = form.mask([[True, False, False], [False, True, False]])
    out, (by_q, by_k, by_v) = form.run(tg.attention, (q, k, v), where=where, chunk=chunk)
    assert out[0] == v[0] and isnan(out[1][0])
    assert by_q[0] == [0.0, 0.0] and by_k[0] == [0.0, 0.0] and by_v[0] == [1.0]
    assert by_k[2] == [0.0, 0.0] and by_v[2] == [0.0]


@pytest.mark.parametrize("wrong", ["lower_right", "upper", 1, None])
def test_alignments_that_are_refused(wrong):
    with pytest.raises((ValueError, TypeError), match=r"causal_softmax: .*lower-right"):
        tg.causal_softmax(SQUARE, align=wrong)
    if wrong in ("lower_right", "upper"):
        with pytest.raises((ValueError, TypeError), match=r"attention: .*lower-right"):
            tg.attention(SQUARE, SQUARE, SQUARE, causal=wrong)
