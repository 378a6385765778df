"""Weights, ignored rows, smoothing, temperature and empty means, in every loss that has them: values, gradients, refusals."""

import math
import random
from contextlib import nullcontext
from math import inf, isnan, nan

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf

import tinygrad_sm as tg
from tests.helpers import softmax_truth as truth
from tests.helpers.softmax_truth import ulps
from tinygrad_sm import nd

Z = [[0.5, 2.0, -1.0], [1.0, 1.0, 3.0], [-2.0, 0.0, 0.25], [4.0, -4.0, 0.0]]
LABELS = [1, 0, 2, 1]
WEIGHT = [1.0, 0.5, 3.0]
MAKERS = {"nd": nd.asarray, "numpy": np.asarray, "strict": array_api_strict.asarray}
every_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def log_p(z, targets, **settings):
    return tg.nll_loss(tg.log_softmax(z, axis=settings.get("axis", -1)), targets, **settings)


def of_p(z, targets, **settings):
    return tg.cross_entropy(tg.softmax(z, axis=settings.get("axis", -1)), targets, from_logits=False, **settings)


def focal(z, targets, weight=None, **settings):
    return tg.focal_loss(z, targets, gamma=0.0, alpha=weight, **settings)


LOSSES = {"cross_entropy": tg.cross_entropy, "nll_loss": log_p, "of probabilities": of_p, "focal_loss": focal}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def close(wanted, rel=1e-12):
    return pytest.approx(wanted, rel=rel, abs=1e-15)


def flat(x):
    """The numbers in whatever it is."""
    x = tg.Value(x).tolist() if not isinstance(x, tg.Value) else x.tolist()
    return np.asarray(x, dtype=float).ravel().tolist()


# --- four ways to one loss: with the definition of cross_entropy in tests of its own


@every_maker
@every_loss
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "batchmean"])
@pytest.mark.parametrize("ignore_index", [None, 1])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_every_loss_of_labels_agrees(loss, make, reduction, ignore_index, weight):
    """With the composed cross_entropy."""
    if loss is focal and weight and reduction == "mean":
        reduction = "batchmean"  # its mean is over rows, whatever they weigh
    inputs = [tg.Value(make(Z))] if weight is None else [tg.Value(make(Z)), tg.Value(make(weight))]
    upstream = make([1.0, -2.0, 0.5, 3.0]) if reduction == "none" else None
    settings = {"reduction": reduction, "ignore_index": ignore_index} | dict(zip(["weight"], inputs[1:]))  # noqa: B905
    out, wanted = (op(inputs[0], make(LABELS), **settings) for op in (loss, tg.cross_entropy.composed))
    assert flat(out) == close(flat(wanted))
    gradients = (tg.grad(v, inputs, grad_output=upstream) for v in (out, wanted))
    for got, exact in zip(*gradients, strict=True):
        assert flat(got) == close(flat(exact))


def test_what_each_mean_divides_by():
    losses = tg.cross_entropy(Z, LABELS, reduction="none").tolist()
    weights = [WEIGHT[label] for label in LABELS]
    weighted = math.fsum(map(math.prod, zip(losses, weights, strict=True)))
    assert float(tg.cross_entropy(Z, LABELS, weight=WEIGHT)) == close(weighted / math.fsum(weights))
    assert float(tg.cross_entropy(Z, LABELS, weight=WEIGHT, reduction="batchmean")) == close(weighted / 4)
    assert float(tg.cross_entropy(Z, LABELS, ignore_index=1)) == close((losses[1] + losses[2]) / 2)
    assert float(tg.cross_entropy(Z, LABELS, ignore_index=1, reduction="batchmean")) == close((losses[1] + losses[2]) / 4)
    assert float(tg.focal_loss(Z, LABELS, alpha=WEIGHT, gamma=0)) == close(weighted / 4)
    one_hot = tg.astype(tg.one_hot(LABELS, 3), nd.float64)
    for smoothing in (0.0, 0.1, 1.0):  # by the targets before they are smoothed, be they labels or probabilities
        total = float(tg.cross_entropy(Z, LABELS, weight=WEIGHT, label_smoothing=smoothing, reduction="sum"))
        for targets in (LABELS, one_hot):
            mean = tg.cross_entropy(Z, targets, weight=WEIGHT, label_smoothing=smoothing)
            assert float(mean) == close(total / math.fsum(weights))


@given(st.data())
def test_one_hot_probabilities_are_labels_to_the_last_digit(data):
    n = data.draw(st.integers(1, 5))
    row = st.lists(st.floats(-800, 800), min_size=n, max_size=n)
    z = data.draw(st.lists(row, min_size=1, max_size=4))
    labels = [data.draw(st.integers(0, n - 1)) for _ in z]
    settings = data.draw(
        st.fixed_dictionaries(
            {"reduction": st.sampled_from(["none", "sum", "batchmean"])},
            optional={
                "label_smoothing": st.floats(0, 1),
                "temperature": st.floats(0.1, 10),
                "weight": st.lists(st.floats(0.1, 4), min_size=n, max_size=n),
            },
        )
    )
    hot = [[float(i == label) for i in range(n)] for label in labels]
    x = tg.Value(z)
    if "weight" in settings and not settings.get("label_smoothing"):
        settings["weight"] = [2.0**k for k in range(n)]  # exact products, in whatever order
    got, wanted = (tg.cross_entropy(x, targets, **settings) for targets in (hot, labels))
    assert got.tolist() == wanted.tolist()
    assert tg.grad(got.sum(), x).tolist() == tg.grad(wanted.sum(), x).tolist()


# --- ignored rows are not read


ROWS = {"nan": [nan, nan, nan], "inf": [inf, inf, -inf], "inf and nan": [inf, nan, 0.0], "huge": [1e308, -1e308, 0.0]}


@pytest.mark.parametrize("make", [nd.asarray, np.asarray], ids=["nd", "numpy"])
@pytest.mark.parametrize("composed", [False, True], ids=["fused", "composed"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("name", ["cross_entropy", "smoothed", "from probabilities", "nll_loss", "focal_loss"])
def test_ignored_rows_are_never_read(make, composed, row, name):
    """With their nan and inf the warnings of numpy would be errors here, too."""
    losses = {
        "cross_entropy": lambda z, t, w: tg.cross_entropy(z, t, weight=w, ignore_index=-7),
        "smoothed": lambda z, t, w: tg.cross_entropy(z, t, weight=w, ignore_index=-7, label_smoothing=0.1, temperature=2.0),
        "from probabilities": lambda z, t, w: tg.cross_entropy(z, t, weight=w, ignore_index=-7, from_logits=False),
        "nll_loss": lambda z, t, w: tg.nll_loss(z, t, weight=w, ignore_index=-7),
        "focal_loss": lambda z, t, w: tg.focal_loss(z, t, alpha=w, ignore_index=-7, reduction="sum"),
    }
    read = {"from probabilities": [0.2, 0.5, 0.3], "nll_loss": [-0.5, -2.0, -3.0]}.get(name, [0.5, -2.0, 1.0])
    w = make(WEIGHT)
    z, alone = tg.Value(make([row, read])), tg.Value(make([read]))
    with tg.composed() if composed else nullcontext():
        loss, wanted = losses[name](z, make([-7, 1]), w), losses[name](alone, make([1]), w)
        gradient, of_alone = tg.grad(loss, z), tg.grad(wanted, alone)
    assert float(loss) == float(wanted)
    assert gradient[0, :].tolist() == [0.0, 0.0, 0.0]
    assert gradient[1, :].tolist() == close(of_alone[0, :].tolist())


def test_an_ignored_label_may_be_any_int_and_a_class_too():
    z = tg.Value(Z)
    for ignore in (2**40, -1, 3):
        loss = tg.cross_entropy(z, [1, ignore, 2, 1], ignore_index=ignore)
        assert float(loss) == close(float(tg.cross_entropy([Z[0], *Z[2:]], [1, 2, 1])))
    p = tg.softmax(Z[0]).tolist()  # class 2 is ignored as a target, and stays in the denominator
    one = tg.Value(Z[0])
    assert tg.grad(tg.cross_entropy(one, 1, ignore_index=2), one).tolist() == close([p[0], p[1] - 1.0, p[2]])
    with pytest.raises(tg.LabelError, match="label 9 at position 2"):
        tg.cross_entropy(Z, [1, -1, 9, 1], ignore_index=-1)


# --- a mean of nothing

NOTHING = {
    "no rows": ([], {}),
    "all ignored": ([5, 5], {"ignore_index": 5}),
    "weights of 0": ([1, 1], {"weight": [1.0, 0.0, 2.0]}),
    "both": ([1, 5], {"weight": [1.0, 0.0, 2.0], "ignore_index": 5}),
}


@pytest.mark.parametrize("make", [nd.asarray, np.asarray], ids=["nd", "numpy"])
@pytest.mark.parametrize("composed", [False, True], ids=["fused", "composed"])
@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("op", [tg.cross_entropy, tg.nll_loss], ids=lambda op: op.name)
def test_a_mean_of_nothing(op, name, composed, make):
    labels, settings = NOTHING[name]
    form = op.composed if composed else op
    data = make([[-1.0, -2.0, -3.0], [-0.5, -1.5, -2.5]])[: len(labels)]
    z, t = tg.Value(data), make([0, *labels])[1:]
    w = tg.Value(make(settings.get("weight", WEIGHT)))
    settings = {**settings, "weight": w}
    for empty, wanted in (("zero", 0.0), ("nan", nan)):
        loss = form(z, t, empty=empty, **settings)
        assert float(loss) == wanted or (isnan(float(loss)) and isnan(wanted))
        for gradient, like in zip(tg.grad(loss, [z, w]), (z, w), strict=True):
            assert flat(gradient) == [0.0] * like.size
    with pytest.raises(ValueError, match=f"^{op.name}: there is nothing to take the mean of"):
        form(z, t, empty="raise", **settings)
    for empty in ("zero", "nan", "raise"):  # there is nothing to say where nothing is divided
        assert float(form(z, t, empty=empty, reduction="sum", **settings)) == 0.0
        assert flat(form(z, t, empty=empty, reduction="none", **settings)) == [0.0] * len(labels)


def test_a_mean_over_all_rows_is_empty_only_without_rows():
    settings = {"reduction": "batchmean", "ignore_index": 1}
    assert float(tg.cross_entropy(Z[:1], [1], empty="nan", **settings)) == 0.0
    assert float(tg.cross_entropy(Z[:1], [1], empty="raise", **settings)) == 0.0
    assert isnan(float(tg.cross_entropy(nd.zeros((0, 3)), [], empty="nan", **settings)))
    with pytest.raises(ValueError, match="nothing to take the mean of"):
        tg.cross_entropy(nd.zeros((0, 3)), [], empty="raise", **settings)
    assert float(tg.cross_entropy(Z, LABELS, empty="raise", weight=WEIGHT)) == float(tg.cross_entropy(Z, LABELS, weight=WEIGHT))


# --- weight 0 beside an infinite loss


@pytest.mark.parametrize("composed", [False, True], ids=["fused", "composed"])
def test_an_infinite_loss_of_weight_0_counts_for_0(composed):
    z = tg.Value([[0.0, 1.0, -inf]])
    form = tg.cross_entropy.composed if composed else tg.cross_entropy
    assert float(form(z, [2], weight=[1.0, 1.0, 0.0], reduction="sum")) == 0.0
    assert float(form(z, [2], weight=[1.0, 1.0, 0.5], reduction="sum")) == inf
    smoothed = form(z, [1], weight=[1.0, 1.0, 0.0], label_smoothing=0.15, reduction="sum")
    assert float(smoothed) == close(0.9 * 0.3132616875182228 + 0.05 * 1.3132616875182228)
    if not composed:
        p = tg.softmax([0.0, 1.0, -inf]).tolist()
        assert tg.grad(smoothed, z)[0, :].tolist() == close([0.95 * p[0] - 0.05, 0.95 * p[1] - 0.9, 0.0])


# --- the digits: labels have no cancellation to be forgiven, whatever the settings


@pytest.mark.parametrize("margin", [0.5, 10.0, 37.0, 100.0, 700.0])
def test_the_gradient_of_labels_is_relatively_right(margin):
    rng, worst = random.Random(margin), 0.0
    for _ in range(12):
        row = [*(rng.gauss(0.0, 0.5) for _ in range(3)), margin]
        rng.shuffle(row)
        exact, weight = truth.Row(row), [rng.uniform(0.1, 3.0) for _ in row]
        for label in (row.index(max(row)), rng.randrange(4)):
            z = tg.Value([row, [0.0, nan, 1.0, inf]])
            for reduction in ("sum", "mean", "batchmean"):
                loss = tg.cross_entropy(z, [label, -1], weight=weight, ignore_index=-1, reduction=reduction)
                scale = {"sum": weight[label], "mean": 1.0, "batchmean": weight[label] / 2}[reduction]
                with mp.workdps(exact.digits):
                    wanted = [v * mpf(scale) for v in exact.index_gradient(label)]
                    value = exact.index_loss(label) * mpf(scale)
                worst = max(worst, ulps(loss.item(), value), *map(ulps, tg.grad(loss, z)[0, :].tolist(), wanted))
    print(f"margin {margin}: {worst:.2f} ulp")
    assert worst <= 5.0


@pytest.mark.parametrize("targets", [[1, 2], [[0.2, 0.5, 0.3], [0.0, 0.25, 0.75]]], ids=["labels", "soft"])
def test_the_gradient_of_the_temperature_does_not_hang_on_what_all_logits_share(targets):
    near, far = ([[z + shift for z in row] for row in [[0.5, 2.0, -1.0], [1.0, 0.25, 3.0]]] for shift in (0.0, 2.0**40))
    t = tg.Value(1.5)
    slopes = [tg.grad(tg.cross_entropy(z, targets, temperature=t), t) for z in (near, far)]
    assert slopes[0] == close(slopes[1], rel=1e-13)


JUDGED = "cross_entropy nll_loss binary_cross_entropy focal_loss binary_focal_loss z_loss mse_loss hinge_loss".split()


@pytest.mark.parametrize("name", JUDGED)
def test_against_the_exact_definition(name):
    from tinygrad_sm.check import compare

    comparison = compare(tg.fused_ops[name])
    assert comparison.ok, comparison
    assert comparison.max_ulp["value"] <= 4 and comparison.max_ulp["grad"] <= 6


@pytest.mark.heavy
@pytest.mark.parametrize("name", JUDGED)
def test_second_derivatives_against_the_exact_definition(name):
    from tinygrad_sm.check import compare

    comparison = compare(tg.fused_ops[name], order=2)
    assert comparison.ok, comparison
    assert comparison.max_ulp["second"] <= 6


# --- derivatives of every input, against differences on 60 digits

DIGITS = 60
STEP = nd.exact(1, DIGITS) / nd.exact(10**16, DIGITS)


def exact(x):
    return nd.exact(x, DIGITS)


SOFT = [[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.25, 0.25, 0.5]]
PER_ROW = [[0.5], [2.0], [1.5], [3.0]]
FUNCTIONS = {
    "weight": lambda v: tg.cross_entropy(exact(Z), LABELS, weight=v),
    "weight, sum": lambda v: tg.cross_entropy(exact(Z), LABELS, weight=v, reduction="sum") ** 2,
    "weight, smoothed": lambda v: tg.cross_entropy(exact(Z), LABELS, weight=v, label_smoothing=0.1),
    "weight, soft": lambda v: tg.cross_entropy(exact(Z), exact(SOFT), weight=v, label_smoothing=0.1, temperature=0.5),
    "weight, ignored": lambda v: tg.cross_entropy(exact(Z), LABELS, weight=v, ignore_index=0, label_smoothing=0.1),
    "weight, from probabilities": lambda v: tg.cross_entropy(exact(SOFT), LABELS, weight=v, from_logits=False),
    "weight, nll": lambda v: tg.nll_loss(-exact(SOFT), LABELS, weight=v, ignore_index=0),
    "weight, first axis": lambda v: tg.cross_entropy(tg.matrix_transpose(exact(Z)), LABELS, weight=v, axis=0),
    "alpha": lambda v: tg.focal_loss(exact(Z), LABELS, alpha=v, ignore_index=0) ** 2,
    "one alpha": lambda v: tg.focal_loss(exact(Z), LABELS, alpha=v[0], gamma=1.5) ** 2,
    "temperature": lambda v: tg.cross_entropy(exact(Z), LABELS, temperature=v[0]),
    "temperature, soft": lambda v: tg.cross_entropy(exact(Z), exact(SOFT), temperature=v[0], weight=exact(WEIGHT)),
    "temperature, a row": lambda v: tg.cross_entropy(
        exact(Z[:3]), [1, 0, 2], temperature=tg.expand_dims(v, 1), label_smoothing=0.1, ignore_index=0
    ),
    "temperature and weight": lambda v: tg.cross_entropy(exact(Z), LABELS, temperature=v[1], weight=v),
    "logits, all settings": lambda v: tg.cross_entropy(
        tg.reshape(v, (1, 3)) * exact(Z), LABELS, weight=v, temperature=v[0], label_smoothing=0.3, ignore_index=2
    ),
    "logits, focal": lambda v: tg.focal_loss(tg.reshape(v, (1, 3)) * exact(Z), LABELS, gamma=0.7, alpha=v),
    "targets and weight": lambda v: tg.cross_entropy(
        exact(Z), v * exact(SOFT), weight=v, label_smoothing=0.1, validate=False, temperature=v[2]
    ),
    "targets and weight, from probabilities": lambda v: tg.cross_entropy(
        v * exact(SOFT), v * exact(SOFT), weight=v, label_smoothing=0.1, validate=False, from_logits=False
    ),
    "pos_weight": lambda v: tg.binary_cross_entropy(v * exact(Z), exact(SOFT + SOFT)[:4, :], pos_weight=v, weight=v),
    "binary, from probabilities": lambda v: tg.binary_cross_entropy(
        v * exact(SOFT) / 4.0, exact(SOFT) * v / 4.0, weight=v, from_logits=False, pos_weight=v
    ),
    "binary focal": lambda v: tg.binary_focal_loss(v * exact(Z), v * exact(SOFT) / 4.0, alpha=0.3, gamma=1.5),
    "z_loss": lambda v: tg.z_loss(v * exact(Z), coefficient=0.5, axis=0),
    "z_loss, none": lambda v: tg.sum(tg.z_loss(v * exact(Z), reduction="none") * exact(PER_ROW)[:, 0]),
}
AT = [1.5, 0.5, 3.0]


def differences(f, x):
    """(f(x + h) - f(x - h)) / 2h along each coordinate, to some 30 digits."""
    for i in range(x.size):
        hot = nd.equal(nd.arange(x.size), i)
        yield (f(nd.where(hot, x + STEP, x)) - f(nd.where(hot, x - STEP, x))) / (2 * STEP)


def agree(got, wanted):
    got, wanted = (nd.reshape(nd.asarray(x), (-1,)).tolist() for x in (got, wanted))
    assert len(got) == len(wanted)
    assert all(abs(a - b) <= (1 + abs(b)) * nd.exact(1e-25, DIGITS).item() for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name):
    f, x = FUNCTIONS[name], exact(AT)
    agree(tg.value_and_grad(f)(x)[1], nd.stack([*differences(f, x)]))
    agree(tg.hessian(f, x), nd.stack([*differences(lambda v: tg.value_and_grad(f)(v)[1], x)]))
    with tg.composed():
        agree(tg.value_and_grad(f)(x)[1], nd.stack([*differences(f, x)]))


# --- what is refused

HALF = [[0.5, 0.5, 0.0]] * 4
REFUSED = [  # targets, settings, the error, what it says
    (LABELS, {"weight": [1.0, -0.5, 1.0]}, ValueError, "weight is made of numbers of 0 or more"),
    (LABELS, {"weight": [1.0, nan, 1.0]}, ValueError, "weight is made of numbers of 0 or more"),
    (LABELS, {"weight": [1.0, 2.0]}, ValueError, r"weight is one number a class, of shape \(3,\); got shape \(2,\)"),
    (LABELS, {"weight": 2.0}, ValueError, r"one number a class, of shape \(3,\); got shape \(\)"),
    (LABELS, {"weight": [True, False, True]}, TypeError, "mask"),
    (LABELS, {"temperature": 0.0}, ValueError, "temperature is positive"),
    (LABELS, {"temperature": -1.0}, ValueError, "temperature is positive"),
    (LABELS, {"temperature": [1.0, 2.0]}, ValueError, "temperature"),
    (HALF, {"temperature": 2.0, "from_logits": False}, ValueError, "a temperature divides logits"),
    (LABELS, {"label_smoothing": -0.1}, ValueError, "label_smoothing is from 0 to 1, and this one is -0.1"),
    (LABELS, {"label_smoothing": 1.1}, ValueError, "label_smoothing is from 0 to 1"),
    (LABELS, {"label_smoothing": nan}, ValueError, "label_smoothing is"),
    (LABELS, {"label_smoothing": None}, TypeError, "label_smoothing is a number, not None"),
    (LABELS, {"label_smoothing": True}, TypeError, "label_smoothing is a number, not True"),
    (LABELS, {"label_smoothing": tg.Value(0.1)}, TypeError, "label_smoothing is a setting and has no gradient"),
    (LABELS, {"ignore_index": 1.0}, TypeError, "ignore_index is a class index, an int, not 1.0"),
    (LABELS, {"ignore_index": True}, TypeError, "ignore_index is a class index, an int, not True"),
    (HALF, {"ignore_index": 1}, ValueError, "ignore_index is for class indices, and these targets are probabilities"),
    (LABELS, {"empty": "none"}, ValueError, "empty is one of zero, nan, raise, not 'none'"),
    ([[0.5, 0.25, 0.0]] * 4, {}, ValueError, "target probabilities sum to 1 along axis 1, and one row sums to 0.75"),
    ([[1.5, -0.5, 0.0]] * 4, {}, ValueError, "target probabilities are not negative"),
]


@pytest.mark.parametrize(("targets", "settings", "error", "words"), REFUSED)
def test_what_is_refused(targets, settings, error, words):
    logits = HALF if settings.get("from_logits") is False else Z
    for make in (lambda x: x, lambda x: tg.Value(np.asarray(x))):
        for form in (tg.cross_entropy, tg.cross_entropy.composed):
            with pytest.raises(error, match=f"^cross_entropy: .*{words}"):
                form(make(logits), targets, **settings)


OF_OTHERS = [
    (tg.nll_loss, ([-1.0, -2.0], 0), {"weight": [1.0, -1.0]}, ValueError, "weight"),
    (tg.nll_loss, ([-1.0, -2.0], 5), {"ignore_index": 4}, tg.LabelError, "label 5"),
    (tg.nll_loss, ([1.0, -2.0], 0), {"ignore_index": 4}, ValueError, "not positive"),
    (tg.binary_cross_entropy, ([0.0, 1.0], [1.0, 0.0]), {"weight": [1.0, -1.0]}, ValueError, "weight is made of"),
    (tg.binary_cross_entropy, ([0.0, 1.0], [1.0, 0.0]), {"pos_weight": -1.0}, ValueError, "pos_weight is made of"),
    (tg.binary_cross_entropy, ([0.0, 1.0], [1.0, 0.0]), {"weight": [[1.0, 1.0]]}, ValueError, r"weight has shape \(1, 2\)"),
    (tg.binary_cross_entropy, ([0.0, 1.0], [1.0, 0.0]), {"weight": [1.0] * 3}, ValueError, "weight and logits"),
    (tg.binary_cross_entropy, ([0.0, 1.5], [1.0, 0.0]), {"from_logits": False}, ValueError, "between 0 and 1"),
    (tg.binary_cross_entropy, ([0.0, -0.5], [1.0, 0.0]), {"from_logits": False}, ValueError, "between 0 and 1"),
    (tg.focal_loss, (Z, LABELS), {"gamma": -1.0}, ValueError, "gamma is not negative, and this one is -1.0"),
    (tg.focal_loss, (Z, LABELS), {"gamma": nan}, ValueError, "gamma is not negative"),
    (tg.focal_loss, (Z, LABELS), {"gamma": tg.Value(1.0)}, TypeError, "gamma is a setting"),
    (tg.focal_loss, (Z, LABELS), {"alpha": -1.0}, ValueError, "alpha is made of numbers of 0 or more"),
    (tg.focal_loss, (Z, LABELS), {"alpha": [1.0, 2.0]}, ValueError, "alpha is one number a class"),
    (tg.focal_loss, (Z, HALF), {}, TypeError, "class indices"),
    (tg.focal_loss, (Z, [0, 0, 0, 3]), {}, tg.LabelError, "label 3 at position 3"),
    (tg.focal_loss, (Z, LABELS), {"reduction": "avg"}, ValueError, "reduction is one of"),
    (tg.binary_focal_loss, ([0.0], [1.0]), {"alpha": 1.5}, ValueError, "alpha is from 0 to 1"),
    (tg.binary_focal_loss, ([0.0], [1.0]), {"gamma": "2"}, TypeError, "gamma is a number, not '2'"),
    (tg.binary_focal_loss, ([0.0], [2.0]), {}, ValueError, "targets are between 0 and 1"),
    (tg.binary_focal_loss, ([0.0, 1.0], [1.0]), {}, ValueError, r"targets of shape \(1,\)"),
    (tg.z_loss, (Z,), {"coefficient": -1.0}, ValueError, "coefficient is not negative"),
    (tg.z_loss, (Z,), {"axis": 2}, tg.AxisError, "axis 2"),
    (tg.z_loss, (Z,), {"reduction": "avg"}, ValueError, "reduction is one of"),
    (tg.z_loss, ([True, False],), {}, TypeError, "mask"),
]


@pytest.mark.parametrize(("op", "inputs", "settings", "error", "words"), OF_OTHERS)
def test_what_the_others_refuse(op, inputs, settings, error, words):
    for form in (op, op.composed):
        with pytest.raises(error, match=f"^{op.name}: .*{words}"):
            form(*inputs, **settings)


def test_nobody_looks_at_the_data_without_validate():
    z = tg.Value([0.0, 1.0])
    assert float(tg.cross_entropy(z, [1.0, 1.0], validate=False)) == close(2 * float(tg.cross_entropy(z, [0.5, 0.5])))
    assert tg.grad(tg.cross_entropy(z, [2.0, 0.0], validate=False), z).tolist() == close(
        [2 * v for v in tg.grad(tg.cross_entropy(z, 0), z).tolist()]
    )
    assert float(tg.cross_entropy([2.0, 4.0], 0, from_logits=False, validate=False)) == -math.log(2.0)
    assert float(tg.cross_entropy(z, 0, weight=[-2.0, 1.0], reduction="sum", validate=False)) < 0.0
    assert float(tg.nll_loss([0.5, -2.0], 0, validate=False)) == -0.5
    with pytest.raises(ValueError, match="one for each row"):  # a shape is no data
        tg.cross_entropy([Z[0]], [0, 1], validate=False)


@pytest.mark.parametrize("settings", [{}, {"ignore_index": 0}])
@pytest.mark.parametrize("op", [tg.cross_entropy, tg.nll_loss])
def test_the_weight_of_the_only_class_changes_nothing(op, settings):
    weight = tg.Value([0.1, 0.3, 0.7])
    op([[-0.3, -0.8, -1.8], [-0.1, -2.0, -0.3], [-3.0, -1.0, -0.3]], [1, 1, 1], weight=weight, **settings).backward()
    assert weight.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("op", "inputs", "settings"),
    [
        (tg.nll_loss, ([[-195.3, -239.8, -48.8]], [2]), {}),
        (tg.nll_loss, ([[-0.3, -0.8, -1.8], [-0.1, -2.0, -0.3], [-1.0, -1.0, -1.0]], [1, 0, 9]), {"ignore_index": 9}),
        (tg.cross_entropy, ([[0.3, 0.8, -1.8]], [1]), {"label_smoothing": 0.1}),
        (tg.cross_entropy, ([[0.3, 0.8, -1.8], [9.0, 2.0, 0.3]], [1, 0]), {"label_smoothing": 0.1}),
    ],
)
@pytest.mark.parametrize("weight", [[1.0, 2.0, 0.1], [1e9, 1.0, 1e-9]])
def test_slopes_of_weights_keep_their_digits(op, inputs, settings, weight):
    assert tg.compare(op, *inputs, params={"weight": weight, **settings})


def test_unchecked_labels_stay_in_their_row():
    z = tg.Value([[1.0, 2.0], [3.0, 4.0]])
    for form in (tg.cross_entropy, tg.cross_entropy.composed):
        slopes = tg.grad(form(z, [0, -1], validate=False, reduction="sum"), z)
        assert [sum(row) == pytest.approx(0.0, abs=1e-15) for row in slopes.tolist()] == [True, True]
        assert slopes.tolist()[1][1] == pytest.approx(-0.2689414213699951)


@pytest.mark.parametrize("op", [tg.cross_entropy, tg.sparsemax_loss, tg.kl_div])
def test_floats_beside_decimals_are_refused(op):
    with pytest.raises(TypeError, match=f"^{op.name}: .*floats beside one of decimals"):
        op(tg.nd.asarray([0.5, 0.5]), tg.nd.exact([0.5, 0.5], 40))


def test_infinite_weights_are_refused():
    with pytest.raises(ValueError, match="weight is made of numbers of 0 or more, all of them finite"):
        tg.cross_entropy([[1.0, 2.0]], [0], weight=[1.0, math.inf])
    with pytest.raises(ValueError, match="alpha is made of numbers of 0 or more, all of them finite"):
        tg.focal_loss([[1.0, 2.0]], [0], alpha=math.inf)


def test_only_what_subtracts_is_conditioned():
    def asked(name, op=tg.cross_entropy, targets=0, weight=None, **settings):
        return op.is_conditioned(name, ([0.0, 1.0], targets, weight), settings)

    assert not any(asked(name, weight=[1.0, 2.0]) for name in ("", "logits"))
    assert asked("temperature") and asked("weight", weight=[1.0, 2.0]) and asked("logits", label_smoothing=0.1)
    assert asked("logits", targets=tg.nd.asarray([0.5, 0.5])) and not asked("logits", from_logits=False, label_smoothing=0.1)
    assert not asked("weight", weight=[1.0, 2.0], reduction="sum")
    assert asked("weight", tg.nll_loss, weight=[1.0, 2.0]) and not asked("logits", tg.nll_loss)
    assert [tg.softmax.is_conditioned(name, ([0.0],), {}) for name in ("", "z", "temperature")] == [False, False, True]
    assert tg.gumbel_softmax.is_conditioned("", ([0.0],), {})
