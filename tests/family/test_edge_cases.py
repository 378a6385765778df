"""Infinities, nan, empty axes and every kind of axis: what the family answers where formulas stop."""

from math import inf, isnan, log, nan

import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.graph.value import nested_lists

LN2 = log(2.0)
P, Q = 0.2689414213699951, 0.7310585786300049  # softmax([0, 1])
LSE = 1.3132616875182228  # logsumexp([0, 1])


def same(got, wanted):
    """Equal numbers, nested alike; nan equals nan, and 12 digits are enough."""
    if isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(same, got, wanted))
    return isnan(got) if isnan(wanted) else got == pytest.approx(wanted, rel=1e-12, abs=0.0)


def lists(x):
    """A number, list or array as nested lists, without the difference of 0.0 and -0.0."""
    return nested_lists(x) if hasattr(x, "shape") else x


EDGE_ROWS = [  # logits; softmax; log_softmax; logsumexp; gradient of logsumexp
    ([-inf, -inf], [nan, nan], [nan, nan], -inf, [0.0, 0.0]),
    ([-inf], [nan], [nan], -inf, [0.0]),
    ([inf, 0.0], [1.0, 0.0], [0.0, -inf], inf, [1.0, 0.0]),
    ([0.0, -inf, inf], [0.0, 0.0, 1.0], [-inf, -inf, 0.0], inf, [0.0, 0.0, 1.0]),
    ([inf], [1.0], [0.0], inf, [1.0]),
    ([inf, inf], [nan, nan], [nan, nan], inf, [nan, nan]),
    ([inf, 0.0, inf], [nan, nan, nan], [nan, nan, nan], inf, [nan, nan, nan]),
    ([0.0, -inf], [1.0, 0.0], [0.0, -inf], 0.0, [1.0, 0.0]),
    ([0.0, 1.0, -inf], [P, Q, 0.0], [-LSE, 1 - LSE, -inf], LSE, [P, Q, 0.0]),
    ([nan, 0.0], [nan, nan], [nan, nan], nan, [nan, nan]),
    ([0.0, nan], [nan, nan], [nan, nan], nan, [nan, nan]),
    ([inf, nan], [nan, nan], [nan, nan], nan, [nan, nan]),
    ([-inf, nan], [nan, nan], [nan, nan], nan, [nan, nan]),
    ([nan, inf, inf], [nan, nan, nan], [nan, nan, nan], nan, [nan, nan, nan]),
    ([1e308, 1e308], [0.5, 0.5], [-LN2, -LN2], 1e308, [0.5, 0.5]),
    ([1e308, -1e308], [1.0, 0.0], [0.0, -inf], 1e308, [1.0, 0.0]),
    ([-1e308, 1e308, 0.0], [0.0, 1.0, 0.0], [-inf, 0.0, -1e308], 1e308, [0.0, 1.0, 0.0]),
    ([710.0, 710.0], [0.5, 0.5], [-LN2, -LN2], 710.0 + LN2, [0.5, 0.5]),
    ([-1000.0, -1001.0], [Q, P], [1 - LSE, -LSE], LSE - 1001.0, [Q, P]),
]


def check_edge_row(make, logits, p, log_p, lse, lse_gradient):
    z = tg.Value(make(logits))
    assert same(lists(tg.softmax(z).data), p)
    assert same(lists(tg.log_softmax(z).data), log_p)
    assert same(float(tg.logsumexp(z)), lse)
    assert same(lists(tg.grad(tg.logsumexp(z), z)), lse_gradient)


@pytest.mark.parametrize(("logits", "p", "log_p", "lse", "lse_gradient"), EDGE_ROWS)
def test_edge_rows(logits, p, log_p, lse, lse_gradient):
    check_edge_row(nd.asarray, logits, p, log_p, lse, lse_gradient)


# The limit at a single +inf needs a kernel of our own: the body gives nan there, as NumPy, SciPy, PyTorch and JAX do.
ON_NUMPY = [case for case in EDGE_ROWS if case[0].count(inf) != 1 or any(map(isnan, case[0]))]


@pytest.mark.parametrize(("logits", "p", "log_p", "lse", "lse_gradient"), ON_NUMPY)
def test_edge_rows_on_numpy(logits, p, log_p, lse, lse_gradient):
    with np.errstate(all="ignore"):  # numpy reports each infinity and nan that it makes
        check_edge_row(np.asarray, logits, p, log_p, lse, lse_gradient)


@pytest.mark.parametrize(("logits", "p", "log_p", "lse", "lse_gradient"), ON_NUMPY)
def test_edge_rows_composed(logits, p, log_p, lse, lse_gradient):
    """Values only: the derivatives of a composition are those of its parts, and inf - inf stays nan in them."""
    with tg.composed():
        assert same(tg.softmax(logits).tolist(), p)
        assert same(tg.log_softmax(logits).tolist(), log_p)
        assert same(float(tg.logsumexp(logits)), lse)


def test_nan_stays_in_its_own_row():
    rows = [[nan, 1.0], [0.0, 1.0], [-inf, -inf]]
    z = tg.Value(rows)
    assert same(tg.softmax(rows).tolist(), [[nan, nan], [P, Q], [nan, nan]])
    assert same(tg.logsumexp(rows).tolist(), [nan, LSE, -inf])
    assert same(tg.grad(tg.logsumexp(z).sum(), z).tolist(), [[nan, nan], [P, Q], [0.0, 0.0]])
    losses = tg.cross_entropy(z, [0, 0, 0], reduction="none")
    assert same(losses.tolist(), [nan, LSE, nan])
    gradient = tg.grad(losses, z, grad_output=[1.0, 1.0, 1.0]).tolist()
    assert same(gradient[1], [-Q, Q])


# --- axes and shapes

MATRIX = [[1.0, 2.0], [3.0, 4.0]]
WHOLE = [[0.03205860328008499, 0.08714431874203257], [0.23688281808991013, 0.6439142598879724]]

SHAPES = [  # logits, axis, softmax, log_softmax, logsumexp
    (3.0, None, 1.0, 0.0, 3.0),
    (nd.asarray(3.0), None, 1.0, 0.0, 3.0),
    (nd.asarray(3.0), (), 1.0, 0.0, 3.0),
    ([], -1, [], [], -inf),
    ([], None, [], [], -inf),
    (nd.zeros((0, 3)), -1, [], [], []),
    (nd.zeros((0, 3)), 0, [], [], [-inf] * 3),
    (nd.zeros((2, 0)), 1, [[], []], [[], []], [-inf, -inf]),
    (nd.zeros((2, 0)), None, [[], []], [[], []], -inf),
    (MATRIX, (), [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]], MATRIX),
    (MATRIX, None, WHOLE, [[log(v) for v in row] for row in WHOLE], 4.440189698561196),
    (MATRIX, (0, 1), WHOLE, [[log(v) for v in row] for row in WHOLE], 4.440189698561196),
    (MATRIX, (1, -2), WHOLE, [[log(v) for v in row] for row in WHOLE], 4.440189698561196),
    (MATRIX, -1, [[P, Q], [P, Q]], [[-LSE, 1 - LSE]] * 2, [1 + LSE, 3 + LSE]),
    (MATRIX, (1,), [[P, Q], [P, Q]], [[-LSE, 1 - LSE]] * 2, [1 + LSE, 3 + LSE]),
    ([0, 1], -1, [P, Q], [-LSE, 1 - LSE], LSE),
]


@pytest.mark.parametrize(("logits", "axis", "p", "log_p", "lse"), SHAPES)
def test_axes(logits, axis, p, log_p, lse):
    x = tg.Value(logits)
    for op, wanted in ((tg.softmax, p), (tg.log_softmax, log_p), (tg.logsumexp, lse)):
        y = op(x, axis=axis)
        for result in (op(logits, axis=axis), op.composed(logits, axis=axis), y.data, op.composed(x, axis=axis).data):
            assert same(lists(result), wanted)
        assert tg.Value(tg.grad(y, x, grad_output=y)).shape == x.shape


@pytest.mark.parametrize(("logits", "axis", "p", "log_p", "lse"), SHAPES[1:])
def test_axes_on_numpy(logits, axis, p, log_p, lse):
    x = np.asarray(logits, dtype=np.float64)
    with np.errstate(divide="ignore"):  # log(0) of an empty sum
        for op, wanted in ((tg.softmax, p), (tg.log_softmax, log_p), (tg.logsumexp, lse)):
            assert same(lists(op(x, axis=axis)), wanted)


@pytest.mark.parametrize("op", [tg.softmax, tg.log_softmax, tg.logsumexp], ids=lambda op: op.name)
@pytest.mark.parametrize("make", [nd.asarray, np.asarray], ids=["nd", "numpy"])
def test_kinds_and_axes_that_are_refused(op, make):
    matrix = make(MATRIX)
    for mask in (True, make([True, False]), [True, False]):
        with pytest.raises(TypeError, match=f"{op.name}: .*mask"):
            op(mask)
    with pytest.raises(TypeError, match=f"{op.name}: "):
        op(None)
    for x, axis, ndim in ((3.0, -1, 0), (make(3.0), 0, 0), (matrix, 2, 2), (matrix, -3, 2), (matrix, (0, 2), 2)):
        with pytest.raises(tg.AxisError, match=f"{op.name}: .*{ndim}.d|{op.name}: .*{ndim} dim") as error:
            op(x, axis=axis)
        assert isinstance(error.value, IndexError) and isinstance(error.value, ValueError)
    with pytest.raises(ValueError, match=f"{op.name}: the same axis twice"):
        op(matrix, axis=(0, -2))
    with pytest.raises(TypeError, match=f"{op.name}: .*axis"):
        op(matrix, axis=1.0)
    ints = op(make([0, 1]))
    assert same(lists(ints), lists(op(make([0.0, 1.0]))))


ELEMENTWISE = [  # z, sigmoid, softplus, log_sigmoid
    (0.0, 0.5, LN2, -LN2),
    (-0.0, 0.5, LN2, -LN2),
    (inf, 1.0, inf, 0.0),
    (-inf, 0.0, 0.0, -inf),
    (nan, nan, nan, nan),
    (1000.0, 1.0, 1000.0, 0.0),
    (-1000.0, 0.0, 0.0, -1000.0),
    (1, Q, LSE, LSE * -1 + 1),
]


@pytest.mark.parametrize(("z", "s", "plus", "log_s"), ELEMENTWISE)
def test_elementwise(z, s, plus, log_s):
    for op, wanted in ((tg.sigmoid, s), (tg.softplus, plus), (tg.log_sigmoid, log_s)):
        for form in (op, op.composed):
            assert same(form(z), wanted)
            assert same(form([z]).tolist(), [wanted])
            assert same(lists(form(np.asarray([z], dtype=np.float64))), [wanted])
            slope = tg.grad(form(x := tg.Value(z)), x)
            if not isnan(z):
                assert 0.0 <= slope <= 1.0


@pytest.mark.parametrize("op", [tg.sigmoid, tg.softplus, tg.log_sigmoid, tg.silu], ids=lambda op: op.name)
def test_elementwise_ops_refuse_masks(op):
    for mask in (True, [True], np.asarray([True])):
        with pytest.raises(TypeError, match=f"{op.name}: .*mask"):
            op(mask)


def test_derivatives_of_any_order_at_zero():
    """|z| has a corner at 0 and softplus has none: 1/2, 1/4, 0, -1/8 are its derivatives."""
    for form in (tg.softplus, tg.softplus.composed):
        x = tg.Value(0.0)
        y = form(x)
        for wanted in (0.5, 0.25, 0.0, -0.125):
            y = tg.grad(y, x, create_graph=True)
            assert y.item() == pytest.approx(wanted, abs=1e-15)
