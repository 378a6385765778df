"""MultiHeadAttention: a loop over the heads by hand, what a position may see, and wrong use in a sentence."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.nn import Dropout, MultiHeadAttention

BOOLS = {"nd": nd.asarray, "numpy": np.array, "lists": lambda x: x.tolist() if hasattr(x, "tolist") else x}


def array(x):
    return np.array(x.tolist())


def by_hand(layer, query, key, value, mask):
    """One head and one position after the other, in numpy; the arrays have two axes, the mask has (heads, T, S)."""
    projected = []
    for part, x in ((layer.query, query), (layer.key, key), (layer.value, value)):
        bias = 0.0 if part.bias is None else array(part.bias)
        projected.append(x @ array(part.weight).T + bias)
    q, k, v = projected
    d, joined = layer.embed_dim // layer.num_heads, np.zeros_like(q)
    for head in range(layer.num_heads):
        own = slice(head * d, (head + 1) * d)
        for t in range(len(q)):
            seen = [s for s in range(len(k)) if mask[head, t, s]]
            if seen:
                e = np.exp([q[t, own] @ k[s, own] / d**0.5 for s in seen])
                joined[t, own] = sum(a * v[s, own] for a, s in zip(e / e.sum(), seen, strict=True))
    return joined @ array(layer.out.weight).T + (0.0 if layer.out.bias is None else array(layer.out.bias))


@st.composite
def cases(draw):
    heads, d = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    rest, t, s = draw(st.sampled_from([(), (2,), (2, 1)])), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    causal, bias, cross = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    shape = draw(st.sampled_from([None, (t, s if cross else t), (*rest, heads, t, s if cross else t), (1, 1)]))
    seed = draw(st.integers(0, 99))
    return heads, d, rest, t, (s if cross else t), causal, bias, cross, shape, seed


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from([*BOOLS]))
def test_heads_by_hand(case, library):
    heads, d, rest, t, s, causal, bias, cross, shape, seed = case
    rng = np.random.default_rng(seed)
    tg.manual_seed(seed)
    layer = MultiHeadAttention(heads * d, heads, causal=causal, bias=bias)
    query, key, value = (rng.normal(size=(*rest, n, heads * d)) for n in (t, s, s))
    mask = np.ones((t, s), dtype=bool) if shape is None else rng.random(shape) < 0.6
    where = None if shape is None else BOOLS[library](mask)
    inputs = [nd.asarray(x.tolist()) for x in ((query, key, value) if cross else (query,))]
    got = layer(*inputs, where=where)
    assert got.shape == (*rest, t, heads * d)
    full = np.broadcast_to(mask & np.tri(t, s, dtype=bool) if causal else mask, (*rest, heads, t, s))
    for place in np.ndindex(rest):
        k, v = (key[place], value[place]) if cross else (query[place], query[place])
        want = by_hand(layer, query[place], k, v, full[place])
        np.testing.assert_allclose(array(got)[place], want, rtol=1e-11, atol=1e-12)


def test_the_key_is_the_query_and_the_value_the_key_unless_given():
    layer, x, y = MultiHeadAttention(4, 2), tg.randn(3, 4, seed=0), tg.randn(2, 4, seed=1)
    assert layer(x).tolist() == layer(x, x).tolist() == layer(x, x, x).tolist() == layer(x, value=x).tolist()
    assert layer(x, y).tolist() == layer(x, y, y).tolist() != layer(x).tolist()
    batch = nd.reshape(tg.randn(24, seed=2), (2, 3, 4))
    together = layer(batch, y).tolist()  # one key for all of a batch
    np.testing.assert_allclose(together[1], layer(batch[1], y).tolist(), rtol=1e-13)


@pytest.mark.parametrize("xp", [nd, np], ids=["nd", "numpy"])
def test_a_causal_position_sees_nothing_later(xp):
    layer = MultiHeadAttention(6, 3, causal=True).to(xp)
    rows = tg.randn(5, 6, seed=1).tolist()
    before = layer(xp.asarray(rows)).tolist()
    for last in range(5):
        changed = rows[: last + 1] + [[x + 3.0 for x in row] for row in rows[last + 1 :]]
        after = layer(xp.asarray(changed)).tolist()
        np.testing.assert_allclose(after[: last + 1], before[: last + 1], rtol=1e-13)
        assert all(np.abs(np.subtract(a, b)).max() > 1e-6 for a, b in zip(after[last + 1 :], before[last + 1 :], strict=True))
        x = tg.Value(xp.asarray(rows))
        slope = np.array(tg.grad(layer(x)[last].sum(), x).tolist())
        assert not slope[last + 1 :].any() and (slope[: last + 1] != 0.0).all()


def test_what_is_masked_has_no_influence_whatever_it_is():
    layer, rows = MultiHeadAttention(4, 2), tg.randn(3, 4, seed=1).tolist()
    mask = [[True, False, True]] * 3
    before = layer(rows[:1], rows, where=mask[:1]).tolist()
    for huge in (9.0, 1e300):
        key = tg.Value([rows[0], [huge] * 4, rows[2]])
        output = layer(rows[:1], key, where=mask[:1])
        np.testing.assert_allclose(output.tolist(), before, rtol=1e-13)
        assert tg.grad(output.sum(), key)[1].tolist() == [0.0] * 4


@pytest.mark.parametrize("xp", [nd, np], ids=["nd", "numpy"])
def test_a_position_that_may_look_at_nothing_gathers_zeros_and_passes_no_gradient(xp):
    layer = MultiHeadAttention(4, 2).to(xp)
    x = tg.Value(xp.asarray(tg.randn(3, 4, seed=1).tolist()))
    mask = [[True, True, True], [False, False, False], [True, False, False]]
    output = layer(x, where=mask)
    assert output[1].tolist() == layer.out.bias.tolist()
    output[1].sum().backward()
    assert not np.any(np.array(x.grad.tolist()))
    assert not any(
        np.any(np.array(p.grad.tolist())) for part in (layer.query, layer.key, layer.value) for p in part.parameters()
    )
    both = MultiHeadAttention(4, 2, causal=True).to(xp)  # each mask leaves something, together nothing
    assert both(x, where=[[False, True, True]] * 3)[0].tolist() == both.out.bias.tolist()


def test_dropout_is_on_the_weights_and_only_in_training():
    tg.manual_seed(0)
    layer, x = MultiHeadAttention(4, 2, dropout=0.5), tg.randn(6, 4)
    assert isinstance(layer.dropout, Dropout) and layer(x).tolist() != layer(x).tolist()
    layer.eval()
    plain = MultiHeadAttention(4, 2).load_state_dict(layer.state_dict())
    assert layer(x).tolist() == layer(x).tolist() == plain(x).tolist()
    layer.train().dropout.p = 1.0
    assert layer(x).tolist() == [layer.out.bias.tolist()] * 6


def test_a_dropped_weight_drops_all_of_a_value():
    tg.manual_seed(0)
    layer, x = MultiHeadAttention(3, 1, bias=False, dropout=0.5), tg.randn(20, 1, 3)
    layer.out.weight.data = np.eye(3).tolist()
    rows, values = array(layer(x)), array(layer.value(x))
    kept = (rows != 0.0).any(axis=2)
    assert 0 < kept.sum() < 20
    np.testing.assert_allclose(rows, np.where(kept[..., None], 2.0 * values, 0.0), rtol=1e-13)


def test_parameters():
    layer = MultiHeadAttention(4, 2)
    names = [f"{part}.{name}" for part in ("query", "key", "value", "out") for name in ("weight", "bias")]
    assert [*layer.state_dict()] == names and all(p.shape in ((4, 4), (4,)) for p in layer.parameters())
    assert len([*MultiHeadAttention(4, 2, bias=False).parameters()]) == 4


def test_second_derivatives():
    """A Hessian-vector product against differences of gradients."""
    tg.manual_seed(2)
    layer, x, v = MultiHeadAttention(4, 2, causal=True), tg.randn(3, 4), tg.randn(3, 4)
    f = lambda x: (layer(x) ** 2).sum()  # noqa: E731
    got = array(tg.hvp(f, x, v))

    def slope(t):
        point = tg.Value(x + t * v)
        return array(tg.grad(f(point), point))

    h = 1e-3
    want = (8.0 * (slope(h) - slope(-h)) - slope(2 * h) + slope(-2 * h)) / (12.0 * h)
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)


WIDE = tg.zeros(3, 4)


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda: MultiHeadAttention(5, 2), ValueError, "MultiHeadAttention: embed_dim 5 is not a multiple of num_heads 2"),
        (lambda: MultiHeadAttention(4, 0), ValueError, "MultiHeadAttention: num_heads is a whole number of at least 1, not 0"),
        (lambda: MultiHeadAttention(0, 1), ValueError, "MultiHeadAttention: embed_dim is a whole number of at least 1, not 0"),
        (lambda: MultiHeadAttention(4, 2, dropout=2), ValueError, "Dropout: p is a probability"),
        (lambda: MultiHeadAttention(4, 2)(tg.zeros(3, 5)), ValueError, "query, Linear(4, 4): takes inputs of width 4"),
        (lambda: MultiHeadAttention(4, 2)(WIDE, tg.zeros(3, 2)), ValueError, "key, Linear(4, 4): takes inputs of width 4"),
        (
            lambda: MultiHeadAttention(4, 2)(WIDE, tg.zeros(2, 4), WIDE),
            ValueError,
            "MultiHeadAttention(4, num_heads=2): key and value are of shapes (2, 4) and (3, 4)",
        ),
        (
            lambda: MultiHeadAttention(4, 2)(tg.zeros(4)),
            ValueError,
            "takes positions of width 4, shape (..., T, 4), and got one",
        ),
        (lambda: MultiHeadAttention(4, 2)(WIDE, tg.zeros(4)), ValueError, "takes positions of width 4, shape (..., T, 4)"),
        (
            lambda: MultiHeadAttention(4, 2)(tg.zeros(2, 3, 4), tg.zeros(3, 3, 4)),
            ValueError,
            "MultiHeadAttention(4, num_heads=2): the batches of query and key differ: shapes (2,) and (3,) do not fit together",
        ),
        (lambda: MultiHeadAttention(4, 2)(WIDE, where=tg.zeros(3, 3)), TypeError, "where is a mask of bools, True where"),
        (lambda: MultiHeadAttention(4, 2)(WIDE, where=[[1, 0, 1]]), TypeError, "may be looked at, not an array of int64"),
        (
            lambda: MultiHeadAttention(4, 2)(WIDE, where="causal"),
            TypeError,
            "MultiHeadAttention: needs a number, a list or an array of numbers, not 'causal'",
        ),
        (
            lambda: MultiHeadAttention(4, 2)(WIDE, where=[[True, False]]),
            ValueError,
            "where and the scores: shapes (1, 2) and (2, 3, 3) do",
        ),
        (
            lambda: MultiHeadAttention(4, 2)(WIDE, where=[[[[True]]]] * 5),
            ValueError,
            "where has shape (5, 1, 1, 1) and the scores",
        ),
        (lambda: MultiHeadAttention(4, 2)(WIDE, where=1.0), TypeError, "may be looked at, not 1.0"),
    ],
)
def test_wrong_use_ends_in_a_sentence(use, error, message):
    with pytest.raises(error, match=re.escape(message)):
        use()
