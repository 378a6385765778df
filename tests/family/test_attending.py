"""Attention: against a loop over queries and keys, whole and in tiles; what a mask hides; memory; PyTorch."""

import re
import tracemalloc
from decimal import Decimal
from math import inf, nan

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tinygrad_sm import nd


def own(x):
    x = np.asarray(x)
    dtype = {"f": nd.float64, "b": nd.bool, "i": nd.int64}[x.dtype.kind]
    return nd.reshape(nd.asarray(x.ravel().tolist(), dtype=dtype), x.shape)


MAKE = {"nd": own, "numpy": np.asarray, "strict": array_api_strict.asarray}


def array(x):
    """Data of any library as a numpy array."""
    x = x.data if isinstance(x, tg.Value) else x
    return np.reshape(x.tolist() if hasattr(x, "tolist") else np.asarray(x), tuple(x.shape))


def allowed(where, causal, sizes):
    """What every query may look at, from the meaning of the arguments."""
    mask = np.ones(sizes, dtype=bool) if where is None else np.broadcast_to(where, sizes).copy()
    rows, columns = sizes[-2:]
    for i, j in np.ndindex(rows, columns):
        later = j > i + (0 if causal == "upper-left" else columns - rows)
        mask[..., i, j] &= not (causal and later)
    return mask


def by_hand(g, q, k, v, mask, scale):
    """Output and gradients, one query after the other, with the Jacobian of its softmax written out. Shapes without batch."""
    out, of_q, of_k, of_v = (np.zeros_like(x) for x in (g, q, k, v))
    for i in range(len(q)):
        seen = [j for j in range(len(k)) if mask[i, j]]
        if not seen:
            continue
        scores = np.array([scale * q[i] @ k[j] for j in seen])
        p = np.exp(scores - scores.max())
        p /= p.sum()
        out[i] = p @ v[seen]
        slopes = (np.diag(p) - np.outer(p, p)) @ (v[seen] @ g[i])
        of_q[i] = scale * slopes @ k[seen]
        for a, j in enumerate(seen):
            of_k[j] += scale * slopes[a] * q[i]
            of_v[j] += p[a] * g[i]
    return out, of_q, of_k, of_v


def run(make, g, q, k, v, where=None, op=tg.attention, **options):
    """Output and gradients of the op."""
    inputs = [tg.Value(make(x)) for x in (q, k, v)]
    out = op(*inputs, where=None if where is None else make(where), **options)
    return [array(x) for x in (out, *tg.grad(out, inputs, grad_output=make(g)))]


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    batch, rows, columns, width, wide = (draw(s) for s in (BATCHES, *[st.integers(1, 5)] * 2, *[st.integers(1, 3)] * 2))
    scale = draw(st.sampled_from([0.3, 1.0, 6.0]))
    q, k, v = (scale * rng.normal(size=(*batch, n, w)) for n, w in ((rows, width), (columns, width), (columns, wide)))
    g = rng.normal(size=(*batch, rows, wide))
    sizes = draw(st.sampled_from([None, (columns,), (rows, 1), (rows, columns), (*batch, rows, columns)]))
    where = None if sizes is None else rng.random(sizes) < 0.6
    causal = draw(st.sampled_from([False, True, "lower-right", "upper-left"]))
    return g, q, k, v, where, {"causal": causal, "scale": draw(st.sampled_from([None, 0.7, -2]))}


BATCHES = st.sampled_from([(), (2,), (2, 1)])


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from([*MAKE]), st.sampled_from([None, 1, 2, 3, 9]))
def test_one_query_after_the_other(case, library, chunk):
    g, q, k, v, where, options = case
    got = run(MAKE[library], g, q, k, v, where, **options, chunk=chunk)
    batch, scale = g.shape[:-2], q.shape[-1] ** -0.5 if options["scale"] is None else options["scale"]
    mask = allowed(where, options["causal"], (*batch, q.shape[-2], k.shape[-2]))
    for place in np.ndindex(batch):
        for a, b in zip(got, by_hand(*(x[place] for x in (g, q, k, v, mask)), scale), strict=True):
            np.testing.assert_allclose(a[place], b, rtol=1e-9, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(cases(), st.sampled_from([None, 2]))
def test_the_composed_form_on_decimals(case, chunk):
    """Value and gradient of every form on 50 digits: the rule and the tiles are the definition's, to 1e-40."""
    *arrays, where, options = case
    g, *inputs = (nd.exact(x.tolist()) for x in arrays)
    results = []
    for op in (tg.attention, tg.attention.composed):
        values = [tg.Value(x) for x in inputs]
        out = op(*values, where=None if where is None else own(where), chunk=chunk, **options)
        results.append([out.data, *tg.grad(out, values, grad_output=g)])
    for a, b in zip(*results, strict=True):
        assert all(abs(x - y) <= Decimal("1e-40") for x, y in zip(a._flat, b._flat, strict=True)), (a, b)


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
@pytest.mark.parametrize("chunk", [None, 2])
@pytest.mark.parametrize(
    ("q", "k", "v", "where"),
    [
        ((2, 1, 3, 2), (4, 2, 2), (2, 3), None),
        ((3, 2), (2, 4, 2), (2, 4, 1), (4,)),
        ((3, 2), (4, 2), (2, 4, 3), (2, 3, 4)),  # values and mask have a batch that the scores do not
        ((3, 2), (4, 2), (4, 3), ()),
    ],
)
def test_batches_broadcast_and_their_gradients_are_summed(make, chunk, q, k, v, where):
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=s) for s in (q, k, v))
    where = None if where is None else np.asarray(rng.random(where) < 0.7)
    batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    g = rng.normal(size=(*batch, q.shape[-2], v.shape[-1]))
    whole = [np.broadcast_to(x, batch + x.shape[-2:]) for x in (q, k, v)]
    mask = allowed(where, False, (*batch, q.shape[-2], k.shape[-2]))
    got = run(make, g, q, k, v, where, chunk=chunk)
    parts = [by_hand(*(x[at] for x in (g, *whole, mask)), q.shape[-1] ** -0.5) for at in np.ndindex(batch)]
    for i, (a, given_x) in enumerate(zip(got, (g, q, k, v), strict=True)):
        want = np.reshape([part[i] for part in parts], batch + given_x.shape[-2:])
        lead = want.ndim - given_x.ndim
        stretched = [n for n in range(lead, want.ndim) if want.shape[n] != given_x.shape[n - lead]]
        np.testing.assert_allclose(a, want.sum(axis=(*range(lead), *stretched)).reshape(given_x.shape), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("make", [own, np.asarray], ids=["nd", "numpy"])
@pytest.mark.parametrize("chunk", [None, 1, 3])
class TestMasks:
    g, q, k, v = np.random.default_rng(1).normal(size=(4, 4, 2))

    def test_more_queries_than_keys(self, make, chunk):
        k, v = self.k[:2], self.v[:2]
        out, of_q, *_ = run(make, self.g, self.q, k, v, causal=True, chunk=chunk)
        assert not out[:2].any() and not of_q[:2].any()  # they come before the first key
        assert out[2].tolist() == v[0].tolist() and of_q[3].all()
        out, *_ = run(make, self.g, self.q, k, v, causal="upper-left", chunk=chunk)
        assert out[0].tolist() == v[0].tolist() and (out[1:] != v[0]).all()

    def test_a_query_that_sees_nothing_gathers_zeros_and_passes_exact_zeros(self, make, chunk):
        mask = np.array([[True] * 4, [False] * 4, [True, False, True, False], [False] * 4])
        g = self.g * [[0.0], [1.0], [0.0], [1.0]]
        for result in run(make, g, self.q, self.k, self.v, mask, chunk=chunk):
            assert not (result * [[0.0], [1.0], [0.0], [1.0]]).any()
        for result in run(make, g, self.q, self.k, self.v, mask, chunk=chunk)[1:]:
            assert not result.any()

    @pytest.mark.parametrize("bad", [nan, inf, -inf, 1e150])
    def test_what_is_masked_for_all_is_never_read(self, make, chunk, bad):
        mask = np.array([[True, False, True, True]] * 3 + [[False] * 4])
        before = run(make, self.g, self.q, self.k, self.v, mask, chunk=chunk)
        q, k, v = self.q.copy(), self.k.copy(), self.v.copy()
        q[3], k[1], v[1] = bad, bad, bad
        after = run(make, self.g, q, k, v, mask, chunk=chunk)
        for a, b in zip(before, after, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)
        assert not after[1][3].any() and not after[2][1].any() and not after[3][1].any()

    def test_what_is_masked_for_some_is_not_read_for_them(self, make, chunk):
        """The last key is nan: padding. Only the last query sees it, and when nothing flows into that, nothing is spoilt."""
        k, v, g = self.k.copy(), self.v.copy(), self.g.copy()
        before = run(make, g, self.q, k, v, causal=True, chunk=chunk)
        k[3, 0], v[3] = nan, [inf, nan]
        out, of_q, of_k, of_v = run(make, g, self.q, k, v, causal=True, chunk=chunk)
        np.testing.assert_allclose(out[:3], before[0][:3], rtol=1e-14)
        assert np.isnan(out[3]).all()
        np.testing.assert_allclose(of_q[:3], before[1][:3], rtol=1e-14)
        assert np.isnan(of_q[3]).all() and np.isnan(of_k).all() and np.isnan(of_v).all()  # which it saw, all of them
        g[3] = 0.0
        before = run(make, g, self.q, self.k, self.v, causal=True, chunk=chunk)
        for a, b in zip(run(make, g, self.q, k, v, causal=True, chunk=chunk)[1:], before[1:], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)

    def test_a_value_that_is_nan_reaches_what_sees_it(self, make, chunk):
        mask, v = np.array([[True, False, True, True], [True] * 4] * 2), self.v.copy()
        v[1] = nan
        out, of_q, *_ = run(make, self.g, self.q, self.k, v, mask, chunk=chunk)
        assert np.isnan(out).all(axis=1).tolist() == np.isnan(of_q).all(axis=1).tolist() == [False, True] * 2

    def test_nan_reaches_only_the_keys_that_its_query_sees(self, make, chunk):
        mask = np.array([[True, True, False, False], [False, False, True, True]] * 2)
        k = self.k.copy()
        k[0, 1] = nan
        out, of_q, of_k, of_v = run(make, self.g, self.q, k, self.v, mask, chunk=chunk)
        for result, spoilt in ((out, [0, 2]), (of_q, [0, 2]), (of_k, [0, 1]), (of_v, [0, 1])):
            assert sorted({*np.argwhere(np.isnan(result))[:, 0].tolist()}) == spoilt


@pytest.mark.parametrize("make", [own, np.asarray], ids=["nd", "numpy"])
@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("chunk", [None, 2])
def test_no_queries_or_no_keys(make, rows, columns, chunk):
    shapes = ((rows, 2), (rows, 3), (columns, 3), (columns, 2))
    for result, size in zip(run(make, *map(np.ones, shapes), causal=True, chunk=chunk), shapes, strict=True):
        assert result.shape == size and not result.any()


@pytest.mark.parametrize("make", [own, np.asarray], ids=["nd", "numpy"])
@pytest.mark.parametrize("chunk", [None, 1, 2])
def test_tiles_with_rising_and_falling_scores_far_apart(make, chunk):
    """The largest score is in the first tile, the last, or between, and the rest is out of reach of a float's exp."""
    v = np.array([[1.0], [2.0], [3.0], [5.0]])
    for scores in ([0, 1e3, 2e3, 3e3], [3e3, 2e3, 1e3, 0], [0, 3e3, -3e3, 1], [-1e4, -1e4, -9e3, -1e4]):
        k = np.array(scores, dtype=float)[:, None]
        g, q = np.ones((1, 1)), np.ones((1, 1))
        for got, want in zip(run(make, g, q, k, v, chunk=chunk), by_hand(g, q, k, v, np.ones((1, 4), bool), 1.0), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    "options", [{}, {"causal": True}, {"chunk": 2}, {"where": [[True, False, True], [True] * 3, [False] * 3]}]
)
def test_second_derivatives(options):
    """A Hessian-vector product against differences of gradients on decimals, whose error is of the order 1e-24."""
    rng = np.random.default_rng(3)
    q, k, v, u = (nd.exact(rng.normal(size=(3, 2)).tolist()) for _ in range(4))
    for i in range(3):

        def f(x, at=i):
            inputs = [x if n == at else y for n, y in enumerate((q, k, v))]
            return (tg.attention(*inputs, **options) ** 2).sum()

        def slope(t, x=(q, k, v)[i], f=f):
            point = tg.Value(x + t * u)
            return tg.grad(f(point), point)

        h = nd.exact(1) / 10**12
        got, want = tg.hvp(f, (q, k, v)[i], u), (slope(h) - slope(-h)) / (2 * h)
        assert all(abs(a - b) <= Decimal("1e-20") for a, b in zip(got._flat, want._flat, strict=True))


def peak(run):
    tracemalloc.start()
    run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize(("make", "n", "width"), [(own, 16, 1), (np.asarray, 128, 4)], ids=["nd", "numpy"])
@pytest.mark.parametrize("options", [{}, {"causal": True}])
def test_memory_of_tiles_grows_with_the_number_of_keys_and_not_with_its_square(make, n, width, options):
    def memory(n, chunk):
        g, q, k, v = (np.ones((n, width)) for _ in range(4))
        given_g, *inputs = (make(x) for x in (g, q, k, v))

        def step():
            values = [tg.Value(x) for x in inputs]
            tg.attention(*values, chunk=chunk, **options).backward(given_g)

        step()
        return peak(step)

    small, large = memory(n, 4), memory(4 * n, 4)
    assert large < 5.5 * small  # 16 times as many scores
    assert memory(4 * n, None) > 3 * large  # so the measurement sees them


def test_types_stay():
    q = tg.Value(np.ones((2, 3), dtype=np.float32))
    for chunk in (None, 1):
        out = tg.attention(q, q, q, causal=True, chunk=chunk, scale=0.5)
        out.sum().backward()
        assert out.dtype == q.grad.dtype == np.float32
    assert type(tg.attention([[1.0]], [[1.0]], [[2.0]])) is nd.Array
    assert tg.attention([[1]], [[1]], [[2]]).tolist() == [[2.0]]  # ints are numbers


X = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (
            lambda: tg.attention([1.0], X, X),
            ValueError,
            "attention: queries, keys and values of shapes (1,), (3, 2) and (3, 2)",
        ),
        (lambda: tg.attention([[1.0]], X, X), ValueError, "(..., L, E), (..., S, E) and (..., S, Ev) would fit"),
        (lambda: tg.attention(X, X, X[:2]), ValueError, "shapes (3, 2), (3, 2) and (2, 2)"),
        (
            lambda: tg.attention([X] * 2, [X] * 3, X),
            ValueError,
            "attention: the batches of queries, keys and values: shapes (2,)",
        ),
        (
            lambda: tg.attention([[True]], X, X),
            TypeError,
            "attention: got booleans, which look like a mask; queries are numbers",
        ),
        (lambda: tg.attention(X, X, X, where=[[0.0, 1.0, 1.0]]), TypeError, "attention: where is a mask of bools"),
        (
            lambda: tg.attention(X, X, X, where=[True, False]),
            ValueError,
            "attention: where and the scores (..., L, S): shapes (2,)",
        ),
        (lambda: tg.attention(X, X, X, where=[[[True] * 3] * 3]), ValueError, "attention: where has shape (1, 3, 3)"),
        (lambda: tg.attention(X, X, X, causal="upper"), ValueError, "attention: causal is True, False, 'lower-right' or"),
        (lambda: tg.attention(X, X, X, causal=1), ValueError, "'upper-left', not 1"),
        (
            lambda: tg.attention(X, X, X, scale=nan),
            ValueError,
            "attention: scale is a finite number, by default 1 / sqrt(E), not nan",
        ),
        (lambda: tg.attention(X, X, X, scale="big"), ValueError, "attention: scale is a finite number"),
        (lambda: tg.attention(X, X, X, scale=tg.Value(1.0)), TypeError, "attention: scale is a setting and has no gradient"),
        (lambda: tg.attention(X, X, X, chunk=0), ValueError, "attention: chunk is a whole number of at least 1, not 0"),
        (lambda: tg.attention(X, X, X, chunk=True), ValueError, "number of at least 1, not True"),
        (lambda: tg.attention(X, np.ones((3, 2)), nd.ones((3, 2))), TypeError, "attention: arrays of two libraries"),
        (lambda: tg.attention(X, X), TypeError, "attention: needs (q, k, v, causal, scale, chunk, where=), and got 2"),
    ],
)
def test_wrong_use_ends_in_a_sentence(use, error, message):
    with pytest.raises(error, match=re.escape(message)):
        use()


@pytest.mark.heavy
@pytest.mark.parametrize("causal", [False, "upper-left"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("chunk", [None, 3])
def test_against_torch(causal, masked, chunk):
    import torch

    rng = np.random.default_rng(5)
    q, k, v = (rng.normal(size=(2, 3, n, w)) for n, w in ((5, 4), (7, 4), (7, 2)))
    g, where = rng.normal(size=(2, 3, 5, 2)), rng.random((2, 1, 5, 7)) < 0.6
    where[1, 0, 2] = False
    inputs = [torch.tensor(x, requires_grad=True) for x in (q, k, v)]
    mask = torch.tensor(allowed(where if masked else None, causal, (2, 1, 5, 7)))
    out = torch.nn.functional.scaled_dot_product_attention(*inputs, attn_mask=mask, scale=0.4)
    out.backward(torch.tensor(g))
    want = [out.detach().numpy(), *(x.grad.numpy() for x in inputs)]
    make = {"nd": own, "numpy": np.asarray, "torch": torch.tensor}
    for library in make.values():
        got = run(library, g, q, k, v, where if masked else None, causal=causal, scale=0.4, chunk=chunk)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
