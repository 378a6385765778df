"""cross_entropy of probabilities and nll_loss: what they accept, refuse and answer, and which digits are gone by then."""

import math
from math import inf, log, nan

import array_api_strict
import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.family import checks

P = [[0.25, 0.5, 0.25], [0.125, 0.125, 0.75]]
LOSSES = [log(2.0), log(8.0)]  # of classes 1 and 0
GRADIENT = [[0.0, -2.0, 0.0], [-8.0, 0.0, 0.0]]
MAKERS = {
    "nd": nd.asarray,
    "exact": lambda x: nd.exact(x, 40) if isinstance(x, list) and isinstance(x[0], list) else nd.asarray(x),
    "numpy": np.asarray,
    "strict": array_api_strict.asarray,
}
every_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def close(wanted):
    return pytest.approx(wanted, rel=1e-12)


def numbers(x):
    """Floats of whatever is plain data or a Value, nested alike."""
    lists = tg.Value(x).tolist() if not isinstance(x, tg.Value) else x.tolist()
    return np.asarray(lists, dtype=float).tolist()


def from_probabilities(p, targets, **settings):
    return tg.cross_entropy(p, targets, from_logits=False, **settings)


def of_logarithms(p, targets, **settings):
    """The same loss from log-probabilities."""
    return tg.nll_loss(tg.log(p), targets, **settings)


FORMS = {
    "cross_entropy": from_probabilities,
    "composed": lambda *args, **settings: tg.cross_entropy.composed(*args, from_logits=False, **settings),
    "nll_loss": of_logarithms,
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
REDUCTIONS = [("none", LOSSES), ("sum", sum(LOSSES)), ("mean", sum(LOSSES) / 2), ("batchmean", sum(LOSSES) / 2)]


@every_maker
@every_form
@pytest.mark.parametrize(("reduction", "wanted"), REDUCTIONS)
def test_reductions(form, make, reduction, wanted):
    for targets in ([1, 0], (1, 0), make([1, 0])):
        p = tg.Value(make(P))
        loss = form(p, targets, reduction=reduction)
        assert numbers(loss) == close(wanted)
        scale = 0.5 if "mean" in reduction else 1.0
        gradient = tg.grad(loss.sum(), p)
        assert type(gradient) is type(p.data)
        assert numbers(gradient) == [close([scale * v for v in row]) for row in GRADIENT]


@every_maker
def test_probabilities_as_targets(make):
    targets = [[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]
    p, t = tg.Value(make(P)), tg.Value(make(targets))
    loss = from_probabilities(p, t, reduction="none")
    assert numbers(loss) == close([log(2.0), 0.5 * log(8.0) - 0.5 * log(0.75)])
    of_p, of_t = tg.grad(loss.sum(), [p, t])
    assert numbers(of_p) == [close([0.0, -2.0, 0.0]), close([-4.0, 0.0, -2.0 / 3.0])]
    assert numbers(of_t) == [close([-log(v) for v in row]) for row in P]


@every_form
def test_classes_along_any_axis(form):
    p = tg.Value([[[0.25, 0.125], [0.5, 0.125], [0.25, 0.75]]])
    for axis in (1, -2):
        loss = form(p, [[1, 0]], axis=axis, reduction="none")
        assert loss.tolist() == [close(LOSSES)]
        assert tg.grad(loss.sum(), p).tolist() == [[[0.0, -8.0], [-2.0, 0.0], [0.0, 0.0]]]


@every_form
def test_a_single_row_and_an_empty_batch(form):
    for reduction in ("none", "sum", "mean", "batchmean"):
        loss = form(tg.Value(P[1]), 0, reduction=reduction)
        assert (loss.shape, loss.item()) == ((), close(log(8.0)))
        nothing = form(tg.Value(nd.zeros((0, 3))), [], reduction=reduction)
        assert nothing.tolist() == ([] if reduction == "none" else 0.0)


EDGES = [  # probabilities, targets, loss, gradient
    ([0.0, 1.0], 0, inf, [-inf, 0.0]),
    ([0.0, 1.0], 1, 0.0, [0.0, -1.0]),
    ([0.0, 1.0], [0.0, 1.0], 0.0, [0.0, -1.0]),  # 0 log 0 = 0
    ([0.0, 1.0], [0.5, 0.5], inf, [-inf, -0.5]),
    ([5e-324, 1.0], 0, 744.4400719213812, [-inf, 0.0]),
    ([1e-300, 1.0], 0, 690.7755278982137, [-1e300, 0.0]),
    ([1.0], 0, 0.0, [-1.0]),
    ([nan, 1.0], 0, nan, [nan, 0.0]),
    ([nan, 1.0], 1, 0.0, [0.0, -1.0]),
]


@pytest.mark.parametrize("make", [nd.asarray, np.asarray], ids=["nd", "numpy"])
@pytest.mark.parametrize(("p", "targets", "loss", "gradient"), EDGES)
@pytest.mark.parametrize("form", [from_probabilities, FORMS["composed"]], ids=["fused", "composed"])
def test_edges(form, make, p, targets, loss, gradient):
    x = tg.Value(make(p))
    with np.errstate(all="ignore"):  # numpy reports each infinity that it makes
        got = form(x, targets)
        assert got.item() == pytest.approx(loss, rel=1e-12, nan_ok=True)
        assert numbers(tg.grad(got, x)) == pytest.approx(gradient, rel=1e-12, nan_ok=True)


def test_numpy_hears_of_no_infinity_that_is_not_in_the_answer():
    """An underflowed probability beside the target is no reason for a warning (they are errors here)."""
    p, t = tg.Value(np.asarray([0.0, 1.0])), np.asarray([0.0, 1.0])
    for targets in (1, t):
        loss = from_probabilities(p, targets)
        assert (loss.item(), numbers(tg.grad(loss, p))) == (0.0, [0.0, -1.0])


def test_log_probabilities_of_minus_infinity():
    x = tg.Value([-inf, 0.0])
    assert (tg.nll_loss(x, 0).item(), tg.nll_loss(x, 1).item()) == (inf, 0.0)
    assert tg.grad(tg.nll_loss(x, 0), x).tolist() == [-1.0, 0.0]


# --- what the way over probabilities costs


def test_a_confident_prediction_is_there_in_the_logits_and_gone_in_the_probabilities():
    """At a margin of 40 p is 1 - 4.248e-18, and the nearest float is 1."""
    tiny = math.exp(-40.0) / (1.0 + math.exp(-40.0))
    z = tg.Value([40.0, 0.0])
    loss = tg.cross_entropy(z, 0)
    assert loss.item() == close(4.248354255291589e-18)
    assert tg.grad(loss, z).tolist() == [close(-tiny), close(tiny)]

    p = tg.softmax(z)
    by_way_of_p = from_probabilities(p, 0)
    assert p.tolist() == [1.0, close(tiny)]
    assert by_way_of_p.item() == 0.0
    assert tg.grad(by_way_of_p, z).tolist() == [close(-tiny), close(tiny)]  # which softmax's own rule makes good
    by_way_of_log_p = tg.nll_loss(tg.log_softmax(z), 0)
    assert by_way_of_log_p.item() == close(4.248354255291589e-18)
    assert tg.grad(by_way_of_log_p, z).tolist() == [close(-tiny), close(tiny)]


def test_a_hopeless_prediction_is_800_from_logits_and_infinite_from_probabilities():
    z = tg.Value([0.0, 800.0])
    loss = tg.cross_entropy(z, 0)
    assert (loss.item(), tg.grad(loss, z).tolist()) == (800.0, [-1.0, 1.0])
    assert tg.nll_loss(tg.log_softmax(z), 0).item() == 800.0

    p = tg.softmax(z)
    by_way_of_p = from_probabilities(p, 0)
    assert (by_way_of_p.item(), tg.grad(by_way_of_p, p).tolist()) == (inf, [-inf, 0.0])
    assert all(map(math.isnan, tg.grad(by_way_of_p, z).tolist()))


# --- what is refused

REFUSED = [  # probabilities, targets, error, words
    ([2.0, 1.0], 0, ValueError, "lie between 0 and 1, and some do not; these look like logits: use from_logits=True"),
    ([-0.5, 1.5], 0, ValueError, "look like logits"),
    ([-1e-9, 1.0], 0, ValueError, "look like logits"),
    ([0.0, 1.00001], 1, ValueError, "look like logits"),
    ([0.2, 0.1], 0, ValueError, "sum to 1 along axis 0, and one row sums to 0.3; for logits use from_logits=True"),
    ([0.0, 0.0], 0, ValueError, "one row sums to 0;"),
    ([[0.5, 0.5], [0.6, 0.402]], [0, 0], ValueError, "along axis 1, and one row sums to 1.002"),
    ([[0.5, nan], [0.6, 0.5]], [0, 0], ValueError, "one row sums to 1.1"),
    ([True, False], 0, TypeError, "got booleans, which look like a mask; probabilities are numbers"),
    ([0.5, 0.5], 2, tg.LabelError, "label 2 is out of range for 2 classes"),
    ([0.5, 0.5], 0.5, TypeError, r"probabilities \(floats of shape \(2,\)\)"),
    ([0.5, 0.5], [0], ValueError, r"class indices of shape \(1,\) for probabilities of shape \(2,\)"),
    ([0.5, 0.5], [-0.5, 1.5], ValueError, "target probabilities are not negative"),
    (0.5, 0, tg.AxisError, "axis -1 of a 0-d"),
    (nd.zeros((2, 0)), [0, 0], ValueError, r"probabilities of shape \(2, 0\) have no classes"),
]


@pytest.mark.parametrize(("p", "targets", "error", "words"), REFUSED)
def test_probabilities_that_are_refused(p, targets, error, words):
    for given in (p, tg.Value(p)) if error is not TypeError else (p,):
        for form in (tg.cross_entropy, tg.cross_entropy.composed):
            with pytest.raises(error, match=f"^cross_entropy: .*{words}") as caught:
                form(given, targets, from_logits=False)
            assert caught.type is error


@every_maker
def test_rounded_probabilities_are_accepted(make):
    for p in ([[0.0, 1.0 + 9e-7]], [[0.5, 0.5009]], [[0.3334, 0.3334, 0.3334]], [[1e-40, 1.0]], [[-0.0, 1.0]]):
        assert float(from_probabilities(make(p), [1])) == close(-log(p[0][1]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_a_softmax_of_few_digits_is_accepted(dtype, classes):
    z = np.sin(np.arange(4 * classes)).reshape(4, classes).astype(dtype)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    loss = from_probabilities(tg.Value(p), np.arange(4) % classes)
    assert loss.dtype == p.dtype == dtype
    assert loss.item() == pytest.approx(float(tg.cross_entropy(z.astype(float), np.arange(4) % classes)), rel=5e-3)
    tg.nll_loss(np.log(p), np.arange(4) % classes)


def test_what_is_rounding_in_half_precision_is_none_in_single():
    p = [0.498, 0.504]
    assert from_probabilities(np.asarray(p, dtype=np.float16), 0).item() == pytest.approx(-log(0.498), rel=1e-3)
    for wider in (np.float32, np.float64):
        with pytest.raises(ValueError, match=r"sums to 1\.002"):
            from_probabilities(np.asarray(p, dtype=wider), 0)


REFUSED_LOGARITHMS = [  # log-probabilities, targets, error, words
    ([0.5, 0.5], 0, ValueError, r"not positive, and some are; .*tg.log_softmax.* from_logits=False"),
    ([-0.5, 2e-6], 0, ValueError, "not positive"),
    ([True, False], 0, TypeError, "which look like a mask; log-probabilities are numbers"),
    ([-0.5, -1.0], -1, tg.LabelError, "label -1 is out of range for 2 classes"),
    ([[-0.5, -1.0]], [[1, 0]], ValueError, r"class indices of shape \(1, 2\) for log-probabilities .* need shape \(1,\)"),
    ([[-0.5, -1.0]], [[1.0, 0.0]], TypeError, r"class indices \(ints of shape \(1,\)\), not floats of shape \(1, 2\)$"),
    ([[-0.5, -1.0]], [1.0], TypeError, "look like class indices: convert them to ints"),
    ([[-0.5, -1.0]], [0.5], TypeError, r"to predict numbers take tg\.mse_loss"),
    ([[-0.5, -1.0]], [True], TypeError, "not bool of"),
    (-0.5, 0, tg.AxisError, "axis -1 of a 0-d"),
    (nd.zeros((2, 0)), [0, 0], ValueError, r"log-probabilities of shape \(2, 0\) have no classes"),
]


@pytest.mark.parametrize(("x", "targets", "error", "words"), REFUSED_LOGARITHMS)
def test_log_probabilities_that_are_refused(x, targets, error, words):
    for form in (tg.nll_loss, tg.nll_loss.composed):
        with pytest.raises(error, match=f"^nll_loss: .*{words}") as caught:
            form(x, targets)
        assert caught.type is error


def test_rounding_above_0_is_accepted():
    assert tg.nll_loss([5e-7, -1.0], 0).item() == -5e-7


def test_settings():
    p = [0.25, 0.75]
    wanted = -log(0.25)
    assert float(tg.cross_entropy(p, 0, -1, None, 0.0, "sum", False)) == close(wanted)  # in the order of the signature
    assert float(tg.cross_entropy(p, 0)) != close(wanted)
    with pytest.raises(TypeError, match="from_logits is a setting and has no gradient"):
        tg.cross_entropy(p, 0, from_logits=tg.Value(0.0))
    for op, x in ((tg.cross_entropy, p), (tg.nll_loss, [-1.0, -0.5])):
        for reduction in ("avg", None, ["mean"]):
            with pytest.raises(ValueError, match=f"^{op.name}: reduction is one of mean, sum, none, batchmean, not"):
                op(x, 0, reduction=reduction)
        with pytest.raises(tg.AxisError, match=f"^{op.name}: axis 1 is out of range"):
            op(x, 0, axis=1)


def test_checks_look_at_no_numbers_under_jit(monkeypatch):
    """Inside `jax.jit` there are none, so wrong ones pass; what has a shape is still checked."""
    monkeypatch.setattr(checks, "is_traced", lambda x: True)
    assert from_probabilities([2.0, 1.0], 0).item() == -log(2.0)
    assert tg.nll_loss([0.5, 0.5], 0).item() == -0.5
    assert tg.cross_entropy([0.0, 0.0], [-1.0, 1.0]).item() == 0.0
    assert tg.binary_cross_entropy([0.0], [2.0]).item() == close(log(2.0))
    assert tg.hinge_loss([1.0], [3]).item() == 0.0
    assert checks.class_indices(nd, 7, (3,), 0, "nll_loss").tolist() == 7
    with pytest.raises(ValueError, match="class indices of shape"):
        tg.nll_loss([-0.5, -0.5], [0])
