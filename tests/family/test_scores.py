"""mse_loss and hinge_loss: values by hand, edges, and what they refuse."""

from decimal import Decimal
from fractions import Fraction
from math import inf, isnan, nan

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tinygrad_sm import nd

MAKERS = {
    "nd": nd.asarray,
    "exact": lambda x: nd.exact(x, 40),
    "numpy": lambda x: np.asarray(x, dtype=float),
    "float32": lambda x: np.asarray(x, dtype=np.float32),
    "strict": lambda x: array_api_strict.asarray(x, dtype=array_api_strict.float64),
}
every_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
every_reduction = pytest.mark.parametrize("reduction", ["none", "sum", "mean", "batchmean"])


def numbers(x):
    """Floats of whatever is plain data or a Value, nested alike."""
    return np.asarray((x if isinstance(x, tg.Value) else tg.Value(x)).tolist(), dtype=float).tolist()


def reduced(losses, reduction):
    """By the definition of the four words."""
    flat = np.ravel(losses).tolist()
    return losses if reduction == "none" else sum(flat) / (1 if reduction == "sum" else len(flat))


def scaled(gradient, losses, reduction):
    return (np.asarray(gradient) / (np.size(losses) if "mean" in reduction else 1)).tolist()


# --- the squared error

X, T = [[1.0, -2.0, 0.5], [3.0, 0.0, 8.0]], [[0.0, -2.0, 2.5], [4.0, 1.5, -8.0]]
SQUARES = [[1.0, 0.0, 4.0], [1.0, 2.25, 256.0]]
SLOPES = [[2.0, 0.0, -4.0], [-2.0, -3.0, 32.0]]


@every_maker
@every_reduction
def test_squared_error(make, reduction):
    x, t = tg.Value(make(X)), tg.Value(make(T))
    loss = tg.mse_loss(x, t, reduction=reduction)
    assert numbers(loss) == reduced(SQUARES, reduction) or make is MAKERS["float32"]
    assert numbers(loss) == pytest.approx(np.asarray(reduced(SQUARES, reduction)), rel=1e-6)
    of_x, of_t = tg.grad(loss.sum(), [x, t])
    assert type(of_x) is type(of_t) is type(x.data) and of_x.dtype == of_t.dtype == x.dtype
    assert numbers(of_x) == pytest.approx(np.asarray(scaled(SLOPES, SQUARES, reduction)), rel=1e-6)
    assert numbers(of_t) == pytest.approx(-np.asarray(scaled(SLOPES, SQUARES, reduction)), rel=1e-6)


def test_squared_error_of_single_numbers():
    for form in (tg.mse_loss, tg.mse_loss.composed):
        x = tg.Value(0.5)
        for target in (2, 2.0, Fraction(2), np.float64(2.0)):
            loss = form(x, target)
            assert (loss.item(), tg.grad(loss, x)) == (2.25, -3.0)
        assert type(loss.data) is float or loss.shape == ()
        assert form(0.5, 2) == 2.25
        assert form(1e200, -1e200) == inf
        assert isnan(form(inf, inf))
        assert form(nd.exact(Decimal("0.1")), nd.exact(Decimal("0.3"))).item() == Decimal("0.04")


@every_maker
def test_targets_may_be_ints(make):
    x = tg.Value(make([1.0, 2.5]))
    for targets in ([1, 2], (1, 2), make([1.0, 2.0])):
        loss = tg.mse_loss(x, targets)
        assert (loss.item(), loss.dtype) == (0.125, x.dtype)
    assert tg.mse_loss([1, 2], [3, 2]).item() == 2.0


@every_maker
def test_nothing_to_learn_from(make):
    empty = make([[1.0, 2.0]])[:0, ...]
    for op in (tg.mse_loss, tg.hinge_loss):
        x = tg.Value(empty)
        assert op(x, empty, reduction="none").shape == (0, 2)
        for reduction in ("mean", "sum", "batchmean"):
            loss = op(x, empty, reduction=reduction)
            assert loss.item() == 0.0
            assert tg.grad(loss, x).shape == (0, 2)
    assert float(tg.hinge_loss(empty, [])) == 0.0  # no class indices either


# --- the hinge, for yes or no

S = [0.5, -3.0, 1.0, 0.25, -0.0]
SIGNS = [1, -1, 1, -1, 1]
SHORT = [0.5, 0.0, 0.0, 1.25, 1.0]
PULLS = [-1.0, 0.0, 0.0, 1.0, -1.0]  # none at the corner


@every_maker
@every_reduction
def test_hinge_of_yes_or_no(make, reduction):
    for targets in (SIGNS, make([float(t) for t in SIGNS]), tg.Value(make([float(t) for t in SIGNS]))):
        s = tg.Value(make(S))
        loss = tg.hinge_loss(s, targets, reduction=reduction)
        assert loss.dtype == s.dtype
        assert numbers(loss) == pytest.approx(reduced(SHORT, reduction), rel=1e-6)
        assert numbers(tg.grad(loss.sum(), s)) == pytest.approx(scaled(PULLS, SHORT, reduction), rel=1e-6)
    of_targets = tg.grad(loss.sum(), targets)
    assert numbers(of_targets) == pytest.approx(scaled([-0.5, 0.0, 0.0, -0.25, 0.0], SHORT, reduction), rel=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-5, 5), st.sampled_from([-1, 1])), min_size=1, max_size=6))
def test_hinge_is_what_micrograds_demo_writes(pairs):
    scores, signs = [s for s, _ in pairs], [t for _, t in pairs]
    by_hand = [tg.Value(s) for s in scores]
    demo = sum((1 + -t * s).relu() for t, s in zip(signs, by_hand, strict=True)) * (1.0 / len(pairs))
    demo.backward()
    s = tg.Value(scores)
    loss = tg.hinge_loss(s, signs)
    loss.backward()
    assert loss.item() == pytest.approx(demo.item(), rel=1e-12)
    assert s.grad.tolist() == pytest.approx([v.grad for v in by_hand], rel=1e-12)


def test_hinge_of_single_numbers():
    for form in (tg.hinge_loss, tg.hinge_loss.composed):
        for target in (-1, -1.0):
            s = tg.Value(0.5)
            loss = form(s, target)
            assert (loss.item(), tg.grad(loss, s)) == (1.5, 1.0)
        assert (form(0.5, 1), form(0.5, 1, margin=0.5), form(2.0, 1), form(-2.0, 1, margin=0)) == (0.5, 0.0, 0.0, 2.0)
        assert (form(inf, 1), form(inf, -1), form(-inf, -1)) == (0.0, inf, 0.0)
        assert isnan(form(nan, 1))


# --- and for several classes

ROWS = [[2.0, 1.5, 0.0], [0.0, 1.0, 1.0], [5.0, 1.0, -1.0]]
LABELS = [0, 1, 2]
OF_ROWS = [0.5 / 3, 1.0 / 3, (7.0 + 3.0) / 3]
PULLS_OF_ROWS = [[-1.0, 1.0, 0.0], [0.0, -1.0, 1.0], [1.0, 1.0, -2.0]]  # a distance of exactly the margin is far enough


@every_maker
@every_reduction
def test_hinge_of_classes(make, reduction):
    for form in (tg.hinge_loss, tg.hinge_loss.composed):
        s = tg.Value(make(ROWS))
        loss = form(s, LABELS, reduction=reduction)
        assert numbers(loss) == pytest.approx(reduced(OF_ROWS, reduction), rel=1e-6)
        wanted = np.asarray(scaled(PULLS_OF_ROWS, OF_ROWS, reduction)) / 3
        assert numbers(tg.grad(loss.sum(), s)) == pytest.approx(wanted, rel=1e-6)


def test_hinge_along_any_axis_and_with_any_margin():
    columns = [[list(column) for column in zip(*ROWS, strict=True)]]
    for axis in (1, -2):
        assert tg.hinge_loss(columns, [LABELS], axis=axis, reduction="none").tolist() == [pytest.approx(OF_ROWS)]
    assert tg.hinge_loss(ROWS[0], 0, margin=3).item() == pytest.approx((2.5 + 1.0) / 3)
    for margin in (0, 0.0, Fraction(0), np.float32(0.0)):
        assert tg.hinge_loss(ROWS[2], 2, margin=margin).item() == pytest.approx(8.0 / 3)
        assert tg.hinge_loss(ROWS[2], 0, margin=margin).item() == 0.0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-(2**20), 2**20), min_size=2, max_size=6), st.integers(-(2**49), 2**49), st.integers(0, 99))
def test_a_common_shift_of_the_scores_changes_nothing(steps, shift, label):
    """Exactly: scores are subtracted from each other before anything else happens to them."""
    label %= len(steps)
    near, far = [n / 1024 for n in steps], [(n + shift) / 1024 for n in steps]
    assert tg.hinge_loss(near, label).item() == tg.hinge_loss(far, label).item()


def test_infinite_scores():
    assert tg.hinge_loss([0.0, -inf], 0).item() == 0.0
    assert tg.hinge_loss([0.0, inf], 0).item() == inf
    s = tg.Value([0.0, inf])
    assert tg.grad(tg.hinge_loss(s, 0), s).tolist() == [-0.5, 0.5]
    assert isnan(tg.hinge_loss([nan, 0.0], 0).item())


# --- what is refused

REFUSED = [  # op, scores, targets, settings, error, words
    ("mse_loss", [[1.0], [2.0]], [1.0, 2.0], {}, ValueError, r"shape \(2,\) .* shape \(2, 1\); reshape them to \(2, 1\)$"),
    ("mse_loss", [1.0, 2.0], [[1.0], [2.0]], {}, ValueError, r"shape \(2, 1\) for predictions of shape \(2,\); reshape"),
    ("mse_loss", [1.0, 2.0], 1.0, {}, ValueError, r"targets of shape \(\) for predictions of shape \(2,\)$"),
    ("mse_loss", [1.0, 2.0], [1.0], {}, ValueError, r"targets of shape \(1,\) for predictions of shape \(2,\)$"),
    ("mse_loss", [1.0], [True], {}, TypeError, "booleans, which look like a mask; targets are numbers"),
    ("mse_loss", [True], [1.0], {}, TypeError, "booleans, which look like a mask; predictions are numbers"),
    ("mse_loss", [1.0], None, {}, TypeError, "None"),
    ("mse_loss", [1.0], ["a"], {}, TypeError, "'a'"),
    ("mse_loss", [1.0], [1.0], {"reduction": "avg"}, ValueError, "reduction is one of mean, sum, none, batchmean, not 'avg'"),
    ("mse_loss", [1.0], [1.0], {"axis": 0}, TypeError, "has no axis"),
    ("hinge_loss", [1.0, 2.0], [1.0, 0.0], {}, ValueError, r"are -1 and 1, and some are not; write 2 \* t - 1 of 0 and 1"),
    ("hinge_loss", [1.0, 2.0], [0, 1], {}, ValueError, "are -1 and 1, and some are not"),
    ("hinge_loss", [1.0, 2.0], [nan, 1.0], {}, ValueError, "are -1 and 1, and some are not"),
    ("hinge_loss", 1.0, 2, {}, ValueError, "are -1 and 1, and some are not"),
    ("hinge_loss", [1.0, 2.0], [True, False], {}, TypeError, "are -1 and 1, not bools"),
    ("hinge_loss", [[1.0], [2.0]], [1, -1], {}, ValueError, r"shape \(2,\) .*shape \(2, 1\); reshape them to \(2, 1\), as -1"),
    ("hinge_loss", [[1.0], [2.0]], [1.0, -1.0], {}, ValueError, r"reshape them to \(2, 1\)"),
    ("hinge_loss", [1.0, 2.0], [[1], [-1]], {}, ValueError, r"reshape them to \(2,\)"),
    ("hinge_loss", [1.0, 2.0], 2, {}, tg.LabelError, "label 2 is out of range for 2 classes"),
    ("hinge_loss", ROWS, [0, -1, 2], {}, tg.LabelError, "label -1 at position 1"),
    (
        "hinge_loss",
        ROWS,
        [0.0, 1.0, 2.0],
        {},
        TypeError,
        r"ints of shape \(3,\)\) or -1 and 1 \(of shape \(3, 3\)\), not floats",
    ),
    ("hinge_loss", ROWS, [0, 1], {}, ValueError, r"class indices of shape \(2,\) for scores of shape \(3, 3\).* shape \(3,\)"),
    ("hinge_loss", ROWS, LABELS, {"axis": 2}, tg.AxisError, "axis 2 is out of range"),
    ("hinge_loss", ROWS, LABELS, {"axis": None}, TypeError, "an axis is an int"),
    ("hinge_loss", nd.zeros((2, 0)), [0, 0], {}, ValueError, r"scores of shape \(2, 0\) have no classes"),
    ("hinge_loss", [1.0, 2.0], 0, {"margin": -0.5}, ValueError, "the margin is not negative, and this one is -0.5"),
    ("hinge_loss", [1.0, 2.0], 0, {"margin": nan}, ValueError, "the margin is not negative, and this one is nan"),
    ("hinge_loss", [1.0, 2.0], 0, {"margin": "1"}, TypeError, "the margin is a number, not '1'"),
    ("hinge_loss", [1.0, 2.0], 0, {"margin": [1.0]}, TypeError, "the margin is a number"),
    ("hinge_loss", [1.0, 2.0], 0, {"margin": tg.Value(1.0)}, TypeError, "margin is a setting and has no gradient"),
    ("hinge_loss", [True, False], 0, {}, TypeError, "booleans, which look like a mask; scores are numbers"),
    ("hinge_loss", [1.0, 2.0], [1, -1], {"reduction": 3}, ValueError, "reduction is one of"),
]


@pytest.mark.parametrize(("name", "scores", "targets", "given", "error", "words"), REFUSED)
def test_what_is_refused(name, scores, targets, given, error, words):
    op = tg.fused_ops[name]
    for form in (op, op.composed):
        with pytest.raises(error, match=f"^{name}: .*{words}") as caught:
            form(scores, targets, **given)
        assert caught.type is error
