"""Streaming softmax: states that grow, and are merged, against the softmax and the logsumexp of the whole."""

import copy
import math
import pickle

import array_api_strict
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.softmax_truth import Row, ulps
from tinygrad_sm import nd
from tinygrad_sm.check import compare

INF, NAN = math.inf, math.nan
LOGIT = st.floats(-50.0, 50.0) | st.floats(-1e3, 1e3) | st.sampled_from([0.0, 1.0, 40.0, 700.0])
ANY = LOGIT | st.sampled_from([INF, -INF, NAN])


@st.composite
def streams(draw, logit=LOGIT, least=0):
    """Parts of a stream, some of them empty."""
    return draw(st.lists(st.lists(logit, max_size=5), min_size=least, max_size=6))


def same(a, b, rounding=0.0):
    return (math.isnan(a) and math.isnan(b)) or a == b or abs(a - b) <= rounding * abs(b)


def merged(states):
    """Two by two, as a tree."""
    while len(states) > 1:
        states = [a.merge(b) for a, b in zip(states[::2], states[1::2], strict=False)] + states[len(states) & ~1 :]
    return states[0]


# --- the truth


@settings(deadline=None, max_examples=50)
@given(streams(least=1), st.randoms(use_true_random=False))
@example([[46.0], [0.0]], None)
@example([[0.0], [46.0]], None)  # in either order the digits of log(1 + 1e-20) are there
@example([[0.0, 0.0, 0.0], [0.0]], None)
@example([[1e8], [1e8 + 1.0], [1e8 - 3.0]], None)
def test_in_any_order_and_in_any_parts_the_softmax_of_the_whole(parts, random):
    whole = [z for part in parts for z in part]
    stream = tg.OnlineSoftmax()
    if random is not None:
        random.shuffle(parts)
    for part in parts:
        stream.add(part)
    tree = merged([tg.OnlineSoftmax(part) for part in parts])
    if not whole:
        assert stream.logsumexp() == tree.logsumexp() == -INF
        return
    true = Row(whole)
    largest = max(whole)
    for state in (stream, tree):
        assert state.largest == largest
        # conditioned as a sum of two terms is
        assert ulps(state.logsumexp(), true.logsumexp(), max(abs(largest), 1e-300)) <= 12
        for z, p in zip(whole, true.softmax(), strict=True):
            assert ulps(state.probability(z), p) <= 16


@settings(deadline=None, max_examples=60)
@given(streams(ANY, least=1))
@example([[INF], [INF]])
@example([[INF, INF]])
@example([[-INF], [-INF, -INF]])
@example([[INF], [NAN]])
@example([[NAN], [INF]])
@example([[-INF], [0.0]])
@example([[INF, 1.0], [], [-INF]])
def test_infinities_and_nan_are_those_of_the_whole(parts):
    whole = [z for part in parts for z in part]
    p, total = tg.softmax(whole).tolist(), tg.logsumexp(whole).item()
    stream = tg.OnlineSoftmax()
    for part in parts:
        stream.add(part)
    for state in (stream, merged([tg.OnlineSoftmax(part) for part in parts]), merged([*map(tg.OnlineSoftmax, parts[::-1])])):
        assert same(state.logsumexp(), total, 4e-15)
        assert all(same(state.probability(z), q, 4e-15) for z, q in zip(whole, p, strict=True))


def test_the_state_is_the_largest_and_the_others_beside_its_1():
    state = tg.OnlineSoftmax([1.0, 1.0])
    assert (state.largest, state.others) == (1.0, 1.0)
    state.add([1.0 + math.log(2.0)])
    assert state.largest == 1.0 + math.log(2.0) and abs(state.others - 1.0) < 1e-15
    assert tg.OnlineSoftmax([0.0, -46.0]).others == math.exp(-46.0)
    assert tg.OnlineSoftmax([0.0, -46.0]).logsumexp() == math.exp(-46.0)
    assert (tg.OnlineSoftmax().largest, tg.OnlineSoftmax().others) == (-INF, -1.0)
    assert repr(tg.OnlineSoftmax([2.0])) == "OnlineSoftmax(largest=2.0, others=0.0)"


def test_a_long_stream_of_single_logits_stays_near():
    logits = [math.sin(7.0 * i) * 5.0 for i in range(3000)]
    state = tg.OnlineSoftmax()
    for z in logits:
        state.add(z)
    assert abs(state.logsumexp() - tg.logsumexp(logits).item()) < 1e-13


# --- what it takes, and what it is


def test_logits_of_every_kind():
    for logits in (
        [[1.0, 2.0], [3.0, 4.0]],
        (1, 2, 3, 4),
        nd.asarray([1.0, 2.0, 3.0, 4.0]),
        nd.exact([1.0, 2.0, 3.0, 4.0], 50),
        np.asarray([1, 2, 3, 4]),
        np.asarray([[1.0, 2.0, 3.0, 4.0]], dtype=np.float32),
        array_api_strict.asarray([1.0, 2.0, 3.0, 4.0]),
    ):
        state = tg.OnlineSoftmax(logits)
        assert state.logsumexp() == tg.logsumexp([1.0, 2.0, 3.0, 4.0]).item()
        assert type(state.largest) is type(state.others) is float
        shares = state.probabilities(logits)
        assert shares.shape == nd.asarray(np.shape(logits)).shape or shares.size == 4
        assert nd.reshape(shares, (-1,)).tolist() == tg.softmax([1.0, 2.0, 3.0, 4.0]).tolist()
    assert tg.OnlineSoftmax(np.float64(2.0)).logsumexp() == 2.0
    assert tg.OnlineSoftmax([3.0, 4.0]).probabilities([[4.0], [3.0]]).shape == (2, 1)


def test_merge_makes_a_new_state_and_add_changes_the_old_one():
    a, b = tg.OnlineSoftmax([1.0, 2.0]), tg.OnlineSoftmax([5.0])
    both = a.merge(b)
    assert a.logsumexp() == tg.logsumexp([1.0, 2.0]).item() and b.logsumexp() == 5.0
    assert both.logsumexp() == b.merge(a).logsumexp() and abs(both.logsumexp() - tg.logsumexp([1.0, 2.0, 5.0]).item()) < 1e-15
    a.add(5.0)
    assert abs(a.logsumexp() - both.logsumexp()) < 1e-15
    assert tg.OnlineSoftmax().merge(b).logsumexp() == b.merge(tg.OnlineSoftmax()).logsumexp() == 5.0
    assert b.merge(b).logsumexp() == 5.0 + math.log(2.0)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_it_is_plain_data(again):
    state = tg.OnlineSoftmax([1.0, 2.0])
    other = again(state)
    assert (other.largest, other.others) == (state.largest, state.others)
    other.add(9.0)
    assert state.largest == 2.0


MISTAKES = [
    (lambda: tg.OnlineSoftmax([True]), TypeError, "OnlineSoftmax.add: got booleans"),
    (lambda: tg.OnlineSoftmax(tg.Value([1.0])), TypeError, "OnlineSoftmax.add: keeps no gradient"),
    (lambda: tg.OnlineSoftmax([1.0]).probabilities(tg.Value([1.0])), TypeError, "OnlineSoftmax.probabilities: keeps no"),
    (lambda: tg.OnlineSoftmax([1.0]).merge([2.0]), TypeError, "OnlineSoftmax.merge: takes another OnlineSoftmax"),
    (lambda: tg.OnlineSoftmax([1.0]).probability(2.0), ValueError, "OnlineSoftmax: 2.0 is above every logit"),
    (lambda: tg.OnlineSoftmax().probability(2.0), ValueError, "OnlineSoftmax: 2.0 is above every logit"),
    (lambda: tg.OnlineSoftmax("logits"), TypeError, "OnlineSoftmax.add: needs a number"),
    (lambda: tg.OnlineSoftmax([1.0]).probability("x"), TypeError, "OnlineSoftmax.probabilities: needs a number"),
    (lambda: tg.online_softmax([1.0, 2.0], chunk=0), ValueError, "online_softmax: chunk is a whole number of at least 1, not"),
    (
        lambda: tg.online_softmax([1.0, 2.0], chunk=2.0),
        ValueError,
        "online_softmax: chunk is a whole number of at least 1, not",
    ),
    (
        lambda: tg.online_softmax([1.0, 2.0], chunk=True),
        ValueError,
        "online_softmax: chunk is a whole number of at least 1, not",
    ),
    (lambda: tg.online_softmax([[1.0]], axis=(0, 1)), TypeError, "online_softmax: axis is an int, or None"),
    (lambda: tg.online_softmax([True]), TypeError, "online_softmax: got booleans"),
    (lambda: tg.online_softmax(1.0), tg.AxisError, "online_softmax: axis -1 of a 0-d input"),
]


@pytest.mark.parametrize(("call", "kind", "sentence"), MISTAKES)
def test_mistakes_end_in_a_sentence(call, kind, sentence):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(sentence)


# --- the op

CHUNKS = st.integers(1, 5) | st.just(1024)


@settings(deadline=None, max_examples=40)
@given(st.lists(LOGIT, min_size=6, max_size=6), CHUNKS, st.sampled_from([0, 1, -1, None]))
def test_the_op_is_softmax(logits, chunk, axis):
    rows = [logits[:3], logits[3:]]
    z, g = tg.Value(rows), [[0.3, -0.8, 0.5], [1.0, 0.1, -2.0]]
    wanted, out = tg.softmax(z, axis=axis), tg.online_softmax(z, axis=axis, chunk=chunk)
    assert out.tolist() == wanted.tolist()
    assert tg.grad(out, z, grad_output=g).tolist() == tg.grad(wanted, z, grad_output=g).tolist()
    for x in (z, tg.Value(np.asarray(rows)), tg.Value(array_api_strict.asarray(rows))):
        out = tg.online_softmax.composed(x, axis=axis, chunk=chunk)
        assert np.allclose(np.asarray(_lists(out.data)), wanted.tolist(), rtol=1e-12, atol=0.0)
        gradient = tg.grad(out, x, grad_output=x.data * 0.0 + 1.0)
        assert np.allclose(np.asarray(_lists(gradient)), 0.0, atol=1e-14)


def _lists(x):
    return np.asarray(x) if isinstance(x, array_api_strict._array_object.Array) else x.tolist()


@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.heavy)])
def test_the_op_is_right_on_its_hard_inputs(order):
    comparison = compare(tg.online_softmax, order=order)
    assert comparison, comparison
    assert comparison.max_ulp["value"] <= 4


def test_special_rows_are_those_of_softmax():
    for row in ([], [3.0], [0.0, -INF], [-INF, -INF, 0.0], [INF, 0.0], [INF, INF], [-INF, -INF], [NAN, 0.0]):
        for chunk in (1, 2, 3):
            assert all(map(same, tg.online_softmax(row, chunk=chunk).tolist(), tg.softmax(row).tolist()))
    for row in ([], [3.0], [0.0, -INF], [-INF, -INF, 0.0], [-INF, 0.0, -INF, -INF], [NAN, 0.0, 1.0]):
        for xp in (np, array_api_strict):
            for chunk in (1, 2):
                got = tg.online_softmax(xp.asarray(row, dtype=xp.float64), chunk=chunk)
                assert all(same(float(a), b, 4e-16) for a, b in zip(got, tg.softmax(row).tolist(), strict=True))
    x = tg.Value(2.5)
    assert tg.online_softmax(x, axis=None).item() == tg.online_softmax.composed(x, axis=None).item() == 1.0
    assert tg.grad(tg.online_softmax.composed(x, axis=None), x) == 0.0
    assert str(tg.online_softmax(np.asarray([1.0, 2.0, 3.0], dtype=np.float32), chunk=2).dtype) == "float32"


def test_the_definition_reads_the_logits_a_chunk_at_a_time_and_shifts_by_constants():
    z = tg.Value([0.1 * i for i in range(10)])
    nodes, stack = {}, [tg.online_softmax.composed(z, chunk=4)]
    while stack:
        node = stack.pop()
        if isinstance(node, tg.Value) and id(node) not in nodes:
            nodes[id(node)] = node
            stack += node.inputs
    made = [node for node in nodes.values() if node.op is not None and node.requires_grad]
    assert [node.inputs[0] is z for node in made if node.op.name == "getitem"] == [True] * 3
    assert "max" not in {node.op.name for node in made}


def test_the_first_axis_of_strict_arrays():
    import array_api_strict

    rows = [[0.3, -1.2, 0.9], [0.2, 40.0, -0.5], [0.1, 0.9, -1.2]]
    got = tg.online_softmax(array_api_strict.asarray(rows), axis=0, chunk=2)
    for i, row in enumerate(tg.softmax(rows, axis=0).tolist()):
        assert [float(got[i, j]) for j in range(3)] == pytest.approx(row, rel=1e-14)
