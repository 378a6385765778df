"""Masks and temperatures of softmax and its kin: true to the last bit, refused in a sentence, and every digit of a gradient."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers import softmax_truth as truth
from tests.helpers.softmax_truth import ulps
from tinygrad_sm import nd
from tinygrad_sm.check.comparing import compare

LOGITS = st.floats(-800.0, 800.0) | st.integers(-3, 3).map(float)
TEMPERATURE = st.sampled_from([0.3, 0.5, 1.0, 2, 7.5]) | st.floats(1e-3, 1e3)
MAPS = (tg.softmax, tg.log_softmax, tg.softmin)
OPS = (*MAPS, tg.logsumexp)
FILL = {"softmax": 0.0, "softmin": 0.0, "log_softmax": -math.inf}
every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
every_map = pytest.mark.parametrize("op", MAPS, ids=lambda op: op.name)

rows = st.lists(st.tuples(LOGITS, st.booleans()), min_size=1, max_size=8)


def with_gradients(op, row, upstream=None, **keywords):
    """The result and the gradients of the logits and the temperature, each a list of floats; a sharp mask keeps its bits."""
    z, t = tg.Value(row), tg.Value(float(keywords.pop("temperature", 1.0)))
    out = op(z, temperature=t, **keywords)
    upstream = [1.0 + i for i in range(out.size)] if upstream is None else upstream
    g = upstream if out.ndim else upstream[0]
    return [out.tolist(), *(x.tolist() if hasattr(x, "tolist") else x for x in tg.grad(out, [z, t], grad_output=g))]


# --- masks


@every_op
@settings(deadline=None, max_examples=15)
@given(row=rows, poison=st.sampled_from([math.nan, math.inf, -math.inf, 1e308, 5.0]), t=TEMPERATURE)
def test_a_masked_row_is_the_row_of_what_is_kept(op, row, poison, t):
    """Bit for bit, gradients too, whatever the masked entries and their upstream gradients are."""
    where = [keep for _, keep in row]
    poisoned = [z if keep else poison for z, keep in row]
    kept = [z for z, keep in row if keep]
    upstream = [1.0 + i if keep else poison for i, keep in enumerate(where)]
    g = [g for g, keep in zip(upstream, where, strict=True) if keep] if op is not tg.logsumexp else [2.0]
    got, of_z, of_t = with_gradients(op, poisoned, upstream if op is not tg.logsumexp else g, where=where, temperature=t)
    wanted, kept_of_z, kept_of_t = with_gradients(op, kept, g, temperature=t)
    if op is not tg.logsumexp:
        assert [v for v, keep in zip(got, where, strict=True) if not keep] == [FILL[op.name]] * (len(row) - len(kept))
        got = [v for v, keep in zip(got, where, strict=True) if keep]
    assert got == wanted
    assert [v for v, keep in zip(of_z, where, strict=True) if keep] == kept_of_z
    assert not any(v for v, keep in zip(of_z, where, strict=True) if not keep)
    assert of_t == kept_of_t


@every_op
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), None, ()])
def test_a_mask_along_any_axis(op, axis):
    matrix, where = [[0.5, -2.0, 1.0], [3.0, 0.25, -1.0]], [[True, False, True], [True, True, False]]
    low = -1e300 if op is not tg.softmin else 1e300  # what a mask is usually made of
    filled = nd.where(where, nd.asarray(matrix), low)
    got = op(nd.asarray(matrix), where=where, axis=axis)
    wanted = op(filled, axis=axis)
    if op is tg.log_softmax:
        wanted = nd.where(where, wanted, -math.inf)
    if axis == ():  # each entry a row of its own: nothing is left of a masked one
        wanted = nd.where(where, wanted, -math.inf if op in (tg.logsumexp, tg.log_softmax) else 0.0)
    assert got.tolist() == wanted.tolist()
    on_numpy = op(np.asarray(matrix), where=np.asarray(where), axis=axis)
    np.testing.assert_allclose(on_numpy, np.asarray(got), rtol=1e-14)


def test_a_row_that_is_all_minus_infinity_has_flat_derivatives():
    z = tg.Value([[-math.inf, -math.inf], [0.0, 1.0]])
    gradient = tg.grad(tg.logsumexp(z).sum(), z, create_graph=True)
    assert tg.grad(gradient[0, 0] + gradient[1, 0], z).tolist()[0] == [0.0, 0.0]
    p = tg.sigmoid(-1.0) * tg.sigmoid(1.0)
    assert tg.grad(gradient[0, 0] + gradient[1, 0], z).tolist()[1] == pytest.approx([p, -p], rel=1e-14)


# --- temperature


@every_op
@settings(deadline=None, max_examples=25)
@given(row=st.lists(LOGITS, min_size=1, max_size=8), power=st.integers(-6, 6))
def test_a_power_of_two_divides_the_logits_exactly(op, row, power):
    t = 2.0**power
    got, wanted = (tg.Value(x).tolist() for x in (op(row, temperature=t), op([z / t for z in row])))
    # the logarithms of T = 1 leave out the rounding error of a far difference, and with it a half of the last place
    assert got == (wanted if op in (tg.softmax, tg.softmin) else pytest.approx(wanted, rel=2.3e-16, abs=0.0))


@every_op
@settings(deadline=None, max_examples=25)
@given(row=rows, t=TEMPERATURE, random=st.randoms(use_true_random=False))
def test_permuted_logits_give_the_permuted_bits(op, row, t, random):
    order = random.sample(range(len(row)), len(row))

    def run(pairs):
        out = op([z for z, _ in pairs], where=[keep for _, keep in pairs], temperature=t)
        return out.tolist()

    straight, permuted = run(row), run([row[i] for i in order])
    assert permuted == (straight if op is tg.logsumexp else [straight[i] for i in order])


@settings(deadline=None, max_examples=25)
@given(st.lists(LOGITS, min_size=1, max_size=8), TEMPERATURE)
def test_softmin_is_softmax_of_the_negative(row, t):
    assert tg.softmin(row, temperature=t).tolist() == tg.softmax([-z for z in row], temperature=t).tolist()


@every_op
def test_every_row_has_its_temperature(op):
    matrix, ts = [[0.5, -2.0, 1.0], [3.0, 0.25, -1.0]], [[0.4], [3.0]]
    each = [with_gradients(op, row, temperature=t, upstream=[2.0, 3.0, 4.0]) for row, (t,) in zip(matrix, ts, strict=True)]
    z, t = tg.Value(matrix), tg.Value(ts)
    out = op(z, temperature=t)
    g = [[2.0, 3.0, 4.0]] * 2 if op is not tg.logsumexp else [2.0, 2.0]
    of_z, of_t = tg.grad(out, [z, t], grad_output=g)
    assert (out.tolist(), of_z.tolist(), of_t.tolist()) == ([x[0] for x in each], [x[1] for x in each], [[x[2]] for x in each])
    columns = op(nd.matrix_transpose(nd.asarray(matrix)), temperature=nd.asarray([[0.4, 3.0]]), axis=0)
    assert (columns if op is tg.logsumexp else columns.T).tolist() == out.tolist()


@every_op
@pytest.mark.parametrize("t", [1, 1.0, nd.asarray(1.0)], ids=repr)
def test_temperature_one_changes_no_bit(op, t):
    row = [0.3, -700.0, 1e8, 0.1]
    assert op(row, temperature=t).tolist() == op(row).tolist()


@every_op
@pytest.mark.parametrize("low", [-math.inf, -1e308])
def test_what_lies_infinitely_far_below_does_not_spoil_the_slope_of_the_temperature(op, low):
    far = -low if op is tg.softmin else low
    g = [2.0, 3.0, 0.0] if op is not tg.logsumexp else [2.0]
    _, of_z, of_t = with_gradients(op, [0.5, -1.0, far], g, temperature=0.7)
    near = with_gradients(op, [0.5, -1.0], g[:2], temperature=0.7)
    assert (of_z, of_t) == ([*near[1], 0.0], near[2])


# --- every digit of a gradient


def jacobian_of_softmax(exact):
    p = exact.softmax()
    n = len(p)
    with mpmath.mp.workdps(exact.digits):
        others = [mpmath.fsum(q for j, q in enumerate(p) if j != i) for i in range(n)]
        return [[p[i] * others[i] if i == j else -p[i] * p[j] for j in range(n)] for i in range(n)]


@pytest.mark.parametrize("margin", [0.0, 10.0, 37.0, 100.0, 700.0])
@pytest.mark.parametrize("make", [nd.asarray, lambda x: nd.reshape(nd.asarray(x), (-1, 1))], ids=["row", "column"])
def test_one_probability_has_a_gradient_of_full_precision(margin, make):
    """p_k (1 - p_k) where p_k is 1 to the last digit; the second form goes through the general path of the rule."""
    row = [0.3, margin, -0.4, 0.1]
    exact = truth.Row(row)
    jacobian, p = jacobian_of_softmax(exact), exact.softmax()
    axis = 0
    for i in range(len(row)):
        z = tg.Value(make(row))
        hot = make([float(i == j) for j in range(len(row))])
        of_p = nd.reshape(tg.grad(tg.softmax(z, axis=axis), z, grad_output=hot), (-1,)).tolist()
        assert max(map(ulps, of_p, jacobian[i])) <= 4
        of_log_p = nd.reshape(tg.grad(tg.log_softmax(z, axis=axis), z, grad_output=hot), (-1,)).tolist()
        with mpmath.mp.workdps(exact.digits):
            assert max(map(ulps, of_log_p, [v / p[i] for v in jacobian[i]])) <= 4


OWN = (tg.softmax, tg.log_softmax, tg.logsumexp, tg.softmin, tg.causal_softmax)
OWN += (tg.sigmoid, tg.log_sigmoid, tg.softplus, tg.silu)


@pytest.mark.parametrize("op", OWN, ids=lambda op: op.name)
def test_the_proof(op):
    comparison = compare(op)
    assert comparison, comparison.table()


@pytest.mark.heavy
@pytest.mark.parametrize("op", OWN, ids=lambda op: op.name)
def test_the_proof_of_second_derivatives(op):
    comparison = compare(op, order=2)
    assert comparison, comparison.table()


# --- causal


@pytest.mark.parametrize("align", ["lower-right", "upper-left"])
@pytest.mark.parametrize("sizes", [(3, 3), (2, 5), (5, 2), (1, 4), (4, 1), (2, 3, 4), (0, 3), (3, 0)])
def test_causal_softmax_is_the_softmax_of_what_is_seen(sizes, align):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=sizes)
    L, S = sizes[-2:]
    seen = np.tri(L, S, S - L if align == "lower-right" else 0, dtype=bool)
    data = nd.reshape(nd.asarray(numbers.ravel().tolist(), dtype=nd.float64), sizes)
    got = tg.causal_softmax(data, align=align)
    mask = nd.reshape(nd.asarray(seen.ravel().tolist(), dtype=nd.bool), (L, S))
    assert got.shape == sizes and got.tolist() == tg.softmax(data, where=mask).tolist()
    hidden = np.where(seen, numbers, np.nan)
    np.testing.assert_allclose(tg.causal_softmax(hidden, align=align), np.asarray(got).reshape(sizes), rtol=1e-13)
    z = tg.Value(hidden)
    out = tg.causal_softmax(z, align=align)
    gradient = tg.grad(out, z, grad_output=np.where(seen, numbers, np.nan))
    assert not gradient[np.broadcast_to(~seen, sizes)].any()
    p = np.asarray(got).reshape(sizes)
    wanted = p * (numbers - (p * numbers).sum(-1, keepdims=True))
    np.testing.assert_allclose(gradient, wanted, rtol=1e-11, atol=1e-15)


# --- what is refused

MATRIX = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
REFUSED = [  # keywords, kind of error, what it says
    ({"where": [[1, 0]]}, TypeError, "where is a mask of bools"),
    ({"where": 1.0}, TypeError, "where is a mask of bools.*not 1.0"),
    ({"where": [True, False, True]}, ValueError, "where and the logits"),
    ({"where": [[[True, False]]]}, ValueError, "where has shape"),
    ({"temperature": 0.0}, ValueError, "a temperature is positive.*0.0"),
    ({"temperature": -1}, ValueError, "a temperature is positive"),
    ({"temperature": math.nan}, ValueError, "a temperature is positive"),
    ({"temperature": [[1.0], [2.0], [-3.0]]}, ValueError, "a temperature is positive"),
    ({"temperature": [1.0, 2.0]}, ValueError, "one number, or one for each row"),
    ({"temperature": [[1.0], [2.0]]}, ValueError, "temperature and logits"),
    ({"temperature": True}, TypeError, "booleans"),
    ({"temperature": "hot"}, TypeError, "needs a number.*hot"),
    ({"temperature": None}, TypeError, "temperature is a number.*None"),
    ({"axis": 2}, tg.AxisError, "axis 2"),
]


@every_op
@pytest.mark.parametrize(("keywords", "kind", "says"), REFUSED)
@pytest.mark.parametrize("make", [nd.asarray, np.asarray, lambda x: tg.Value(nd.asarray(x))], ids=["nd", "numpy", "Value"])
def test_what_is_refused(make, keywords, kind, says, op):
    with pytest.raises(kind, match=f"{op.name}: .*({says})"):
        op(make(MATRIX), **keywords)


@pytest.mark.parametrize(
    ("scores", "keywords", "kind", "says"),
    [
        ([1.0, 2.0], {}, ValueError, "at least two axes"),
        (1.0, {}, ValueError, "at least two axes"),
        (MATRIX, {"align": "top-left"}, ValueError, "lower-right or upper-left"),
        ([[True, False]], {}, TypeError, "scores are numbers"),
    ],
)
def test_what_causal_softmax_refuses(scores, keywords, kind, says):
    with pytest.raises(kind, match=f"causal_softmax: .*{says}"):
        tg.causal_softmax(scores, **keywords)
