"""Where the cross-entropies of different libraries part ways: one row a case, with what is answered here.

Values and gradients, fused and composed, on our arrays and numpy's. What other libraries answer, and why it is otherwise
here, is in DIFFERENCES.md.
"""

import itertools
from math import exp, fsum, inf, isnan, log1p, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.tables import COMPOSED, NUMPY, NUMPY_COMPOSED, OWN, assert_same, every_form, log_probabilities, numbers
from tinygrad_sm import nd

Z = [[0.5, 2.0, -1.0], [1.0, 1.0, 3.0], [-2.0, 0.0, 0.25], [4.0, -4.0, 0.0]]
LABELS = [1, 0, 2, 1]
SOFT = [[0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [0.6, 0.4, 0.0], [0.25, 0.25, 0.5]]
WEIGHT = [1.0, 0.5, 3.0]


# --- the definition, by hand


def one_hot(label, classes):
    return [float(i == label) for i in range(classes)]


def by_hand(z, targets, *, weight=None, ignore_index=None, label_smoothing=0.0, temperature=1.0, reduction="mean"):
    """The loss, and its gradient by the logits (by those of each row for "none")."""
    classes = len(z[0])
    weight = weight or [1.0] * classes
    kept = [t != ignore_index for t in targets]
    losses, slopes, shares = [], [], []
    for row, target, keep in zip(z, targets, kept, strict=True):
        if not keep:
            losses.append(0.0), slopes.append([0.0] * classes), shares.append(0.0)
            continue
        t = one_hot(target, classes) if isinstance(target, int) else target
        shares.append(fsum(w * v for w, v in zip(weight, t, strict=True)))
        pull = [w * ((1 - label_smoothing) * v + label_smoothing / classes) for w, v in zip(weight, t, strict=True)]
        log_p = log_probabilities(row, temperature)
        losses.append(-fsum(a * b for a, b in zip(pull, log_p, strict=True)))
        slopes.append([(exp(b) * fsum(pull) - a) / temperature for a, b in zip(pull, log_p, strict=True)])
    if reduction == "none":
        return losses, slopes
    over = {"sum": 1.0, "mean": fsum(shares), "batchmean": float(len(z))}[reduction]
    return fsum(losses) / over, [[v / over for v in row] for row in slopes]


def check(form, z, targets, rel=1e-12, **options):
    """Against the definition, by hand."""
    keywords = dict(options)
    if options.get("weight") is not None:
        keywords["weight"] = form.make(options["weight"])
    given_targets = form.ints(targets)
    ones = [1.0] * len(z) if options.get("reduction") == "none" else 1.0
    loss, (slopes,) = form.run(tg.cross_entropy, z, given_targets, **keywords, upstream=ones)
    wanted, gradient = by_hand(z, targets, **options)
    assert np.shape(loss) == np.shape(wanted)
    assert np.allclose(loss, wanted, rtol=rel, atol=1e-15)  # the formula by hand cancels where the loss is small
    assert np.allclose(slopes, gradient, rtol=1e-10, atol=1e-14)


# --- every option with every other

OPTIONS = list(
    itertools.product(
        (LABELS, SOFT), ("mean", "sum", "none", "batchmean"), (None, WEIGHT), (0.0, 0.1, 1.0), (1.0, 0.5), (None, 1, -100)
    )
)


@every_form
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
def test_every_option_with_every_other(reduction, form):
    for targets, kind, weight, smoothing, temperature, ignored in OPTIONS:
        if kind != reduction or (ignored is not None and (targets is SOFT or kind == "batchmean")):
            continue
        options = {"weight": weight, "label_smoothing": smoothing, "temperature": temperature, "ignore_index": ignored}
        given_targets = [-100, *targets[1:]] if ignored == -100 else targets
        check(form, Z, given_targets, reduction=kind, **options)


# --- labels

WRONG_LABELS = [  # labels, keywords, label, position
    ([0, 3], {}, 3, (1,)),
    ([-1, 0], {}, -1, (0,)),
    ([0, -100], {}, -100, (1,)),
    ([0, -1], {"ignore_index": -100}, -1, (1,)),
    ([7, -100], {"ignore_index": -100}, 7, (0,)),
]


@pytest.mark.parametrize("make", [list, nd.asarray, np.asarray], ids=["lists", "nd", "numpy"])
@pytest.mark.parametrize(("labels", "keywords", "label", "position"), WRONG_LABELS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_label_out_of_range(reduction, labels, keywords, label, position, make):
    z = Z[:2] if make is list else make(Z[:2])
    for op in (tg.cross_entropy, tg.cross_entropy.composed):
        with pytest.raises(
            tg.LabelError, match=rf"cross_entropy: label {label} at position {position[0]} .*3 classes"
        ) as error:
            op(z, make(labels), reduction=reduction, **keywords)
        assert isinstance(error.value, IndexError) and isinstance(error.value, ValueError)
        assert (error.value.label, error.value.position, error.value.classes) == (label, position, 3)


def test_no_label_is_ignored_unless_one_is_named():
    """PyTorch ignores -100 silently, so that a bug in the data lowers the loss."""
    with pytest.raises(tg.LabelError):
        tg.cross_entropy(Z, [0, 1, -100, 2])
    kept = tg.cross_entropy([Z[0], Z[1], Z[3]], [0, 1, 2])
    for label in (-100, -1, 3, 99):
        assert_same(tg.cross_entropy(Z, [0, 1, label, 2], ignore_index=label), kept)


INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda dtype: dtype.__name__)
def test_any_int_is_a_label(dtype):
    loss, (slopes,) = NUMPY.run(tg.cross_entropy, Z, np.asarray(LABELS, dtype=dtype))
    wanted, gradient = NUMPY.run(tg.cross_entropy, Z, LABELS)
    assert (loss, [slopes]) == (wanted, gradient)


@pytest.mark.parametrize("make", [list, nd.asarray, np.asarray], ids=["lists", "nd", "numpy"])
@pytest.mark.parametrize(
    ("targets", "error", "says"),
    [
        ([True, False, True, False], TypeError, "bool"),
        ([[True, False, False]] * 4, TypeError, "bool"),
        ([1.0, 0.0, 2.0, 1.0], TypeError, "ints.*probabilities|class indices"),
        ([[1], [0], [2], [1]], ValueError, r"reshape them to \(4,\)"),
        ([1, 0, 2], ValueError, r"\(4,\)"),
        ([[0, 1, 0]] * 4, ValueError, "floats"),
        ([[0.5, 0.5]] * 4, (TypeError, ValueError), r"\(4, 3\)"),
    ],
    ids=str,
)
def test_targets_that_are_neither_labels_nor_probabilities(targets, error, says, make):
    z = Z if make is list else make(Z)
    with pytest.raises(error, match=f"(?s)cross_entropy: .*({says})"):
        tg.cross_entropy(z, make(targets))


@every_form
def test_classes_on_any_axis(form):
    """The loss has the shape of the logits without the axis; axis=1 is PyTorch's."""
    z = np.sin(np.arange(24.0)).reshape(2, 3, 4).tolist()
    labels = np.arange(8).reshape(2, 4) % 3
    last = np.moveaxis(np.asarray(z), 1, -1).reshape(8, 3).tolist()
    for reduction in ("none", "mean"):
        kept = form.ints(labels.tolist())
        out, (slopes,) = form.run(tg.cross_entropy, z, kept, axis=1, reduction=reduction)
        upstream = np.arange(1.0, 9.0).tolist() if reduction == "none" else 1.0
        flat, (rows,) = form.run(tg.cross_entropy, last, labels.ravel().tolist(), reduction=reduction, upstream=upstream)
        assert_same(np.ravel(out).tolist(), np.ravel(flat).tolist())
        assert np.allclose(np.moveaxis(np.asarray(slopes), 1, -1).reshape(8, 3), rows, rtol=1e-12, atol=1e-15)
        assert np.shape(out) == ((2, 4) if reduction == "none" else ())


# --- nothing to average

NOTHING = {  # logits, labels, keywords: no rows, all of them ignored, no weight on any
    "no rows": (nd.zeros((0, 3)), nd.zeros((0,), dtype=nd.int64), {}),
    "all ignored": (nd.asarray(Z), nd.asarray([-100] * 4), {"ignore_index": -100}),
    "all ignored, as a class": (nd.asarray(Z), nd.asarray([2] * 4), {"ignore_index": 2}),
    "no weight": (nd.asarray(Z[:2]), nd.asarray([1, 1]), {"weight": [1.0, 0.0, 2.0]}),
    "no weight at all": (nd.asarray(Z[:2]), nd.asarray([0, 2]), {"weight": [0.0, 0.0, 0.0]}),
    "no weight, probabilities": (nd.asarray(Z[:1]), nd.asarray([[0.5, 0.5, 0.0]]), {"weight": [0.0, 0.0, 1.0]}),
    "ignored, and smoothed": (nd.asarray(Z), nd.asarray([0] * 4), {"ignore_index": 0, "label_smoothing": 0.1}),
}


@pytest.mark.parametrize("how", ["fused", "composed"])
@pytest.mark.parametrize("library", ["nd", "numpy"])
@pytest.mark.parametrize("case", NOTHING)
def test_a_mean_of_nothing(case, library, how):
    z, targets, keywords = NOTHING[case]
    if library == "numpy":
        z, targets = (
            np.asarray(z.tolist()).reshape(z.shape),
            np.asarray(targets.tolist(), dtype=np.int64 if "prob" not in case else float),
        )
        keywords = {key: np.asarray(x) if isinstance(x, list) else x for key, x in keywords.items()}
    op = tg.cross_entropy if how == "fused" else tg.cross_entropy.composed
    x = tg.Value(z)
    for options in ({}, {"empty": "zero"}):
        loss = op(x, targets, **keywords, **options)
        assert float(loss) == 0.0
        assert set(np.ravel(numbers(tg.grad(loss, x)))) <= {0.0}
    with np.errstate(all="ignore"):
        assert isnan(float(op(x, targets, empty="nan", **keywords)))
    with pytest.raises(ValueError, match="cross_entropy: "):
        op(x, targets, empty="raise", **keywords)
    assert float(op(x, targets, reduction="sum", **keywords)) == 0.0
    assert set(np.ravel(numbers(op(x, targets, reduction="none", **keywords)))) <= {0.0}


def test_what_empty_may_be():
    with pytest.raises(ValueError, match=r"cross_entropy: empty is .*zero.*nan.*raise"):
        tg.cross_entropy(Z, LABELS, empty="skip")


def test_two_rows_one_of_them_ignored():
    """The mean is that of the rows that are kept, also where -1 is the label that is ignored."""
    z, wanted = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], 0.40760596444438
    for label in (-1, -100, 5):
        x = tg.Value(z)
        loss = tg.cross_entropy(x, [2, label], ignore_index=label)
        assert_same(loss, wanted, rel=1e-13)
        assert_same(tg.grad(loss, x)[1], [0.0, 0.0, 0.0])


@every_form
@pytest.mark.parametrize("poison", [nan, inf, -inf, 1e308])
@pytest.mark.parametrize("options", [{}, {"weight": WEIGHT}, {"label_smoothing": 0.2}, {"temperature": 0.5}], ids=str)
def test_an_ignored_row_is_never_read(options, poison, form):
    """Its gradient is exactly 0; in PyTorch it is nan."""
    options = {key: form.make(x) if key == "weight" else x for key, x in options.items()}
    for reduction in ("mean", "sum", "none"):
        upstream = [1.0, 1.0] if reduction == "none" else 1.0
        options |= {"reduction": reduction, "upstream": upstream}
        loss, (slopes,) = form.run(tg.cross_entropy, [Z[0], [poison, poison, 0.0]], [1, -9], ignore_index=-9, **options)
        options["upstream"] = upstream[:1] if reduction == "none" else 1.0
        alone, (wanted,) = form.run(tg.cross_entropy, [Z[0]], [1], **options)
        assert_same(loss, [*alone, 0.0] if reduction == "none" else alone)
        assert_same(slopes, [wanted[0], [0.0, 0.0, 0.0]])


def test_an_ignored_class_stays_among_the_probabilities():
    """Rows that carry it as a label are left out; its logit still counts in the denominator of the others."""
    z = [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]
    assert_same(tg.cross_entropy(z, [0, 2], ignore_index=2), -log_probabilities(z[0])[0])


# --- weights and means


@every_form
def test_a_weighted_mean_is_divided_by_the_weights(form):
    """sum w_t l / sum w_t, for labels and for the same labels as probabilities; batchmean divides by the rows."""
    for smoothing in (0.0, 0.1):
        results = [
            form.run(
                tg.cross_entropy,
                Z,
                t,
                weight=form.make(WEIGHT),
                label_smoothing=smoothing,
                reduction=r,
            )
            for r in ("mean", "sum", "batchmean")
            for t in (LABELS, form.make([one_hot(t, 3) for t in LABELS]))
        ]
        (mean, _), (of_hot, _), (total, _), (hot_total, _), (batch, _), (hot_batch, _) = results
        assert_same([mean, total, batch], [of_hot, hot_total, hot_batch])
        assert_same(mean, total / sum(WEIGHT[t] for t in LABELS))
        assert_same(batch, total / 4)


def test_smoothing_as_measured():
    """The figure of 0.4989 (for labels) holds for probabilities too; PyTorch answers 1.4967 there (divided by the rows)."""
    check(OWN, Z, LABELS, weight=WEIGHT, label_smoothing=0.1)
    check(OWN, Z, [one_hot(t, 3) for t in LABELS], weight=WEIGHT, label_smoothing=0.1)


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, nan, inf])
def test_label_smoothing_is_a_share(smoothing):
    for targets in (LABELS, SOFT):
        with pytest.raises(ValueError, match=r"cross_entropy: .*smoothing"):
            tg.cross_entropy(Z, targets, label_smoothing=smoothing)


@pytest.mark.parametrize("make", [list, nd.asarray, np.asarray], ids=["lists", "nd", "numpy"])
@pytest.mark.parametrize(
    ("weight", "error"),
    [([1.0, -0.5, 1.0], ValueError), ([1.0, 2.0], ValueError), ([[1.0, 1.0, 1.0]], ValueError), ([True] * 3, TypeError)],
    ids=str,
)
def test_weights_that_are_refused(weight, error, make):
    with pytest.raises(error, match=r"cross_entropy: .*weight"):
        tg.cross_entropy(Z if make is list else make(Z), LABELS, weight=make(weight))


@every_form
@pytest.mark.parametrize("targets", [LABELS, SOFT], ids=["labels", "probabilities"])
def test_weight_and_temperature_have_gradients(targets, form):
    """The derivatives of the definition by both, against differences of the definition by hand."""
    made = targets if targets is LABELS else form.make(targets)

    def loss(z, weight, temperature):
        return tg.cross_entropy(z, made, weight=weight, temperature=temperature, label_smoothing=0.1)

    def expected(weight, temperature):
        return by_hand(Z, targets, weight=weight, temperature=temperature, label_smoothing=0.1)[0]

    h = 1e-5
    _, (_, by_weight, by_temperature) = form.run(loss, (Z, WEIGHT, 0.7))
    for c in range(3):
        up, down = ([w + s * h * (i == c) for i, w in enumerate(WEIGHT)] for s in (1, -1))
        assert by_weight[c] == pytest.approx((expected(up, 0.7) - expected(down, 0.7)) / (2 * h), rel=1e-7, abs=1e-8)
    slope = (expected(WEIGHT, 0.7 + h) - expected(WEIGHT, 0.7 - h)) / (2 * h)
    assert by_temperature == pytest.approx(slope, rel=1e-7)


# --- probabilities as targets


@every_form
def test_targets_that_do_not_sum_to_one(form):
    """Twice the targets are a mistake, unless it is said that they are meant: then twice the loss."""
    doubled = form.make([[2 * v for v in row] for row in SOFT])
    with pytest.raises(ValueError, match=r"cross_entropy: .*sum.*validate=False"):
        form.run(tg.cross_entropy, Z, doubled)
    loss, (slopes,) = form.run(tg.cross_entropy, Z, doubled, validate=False, reduction="sum")
    once, gradient = by_hand(Z, SOFT, reduction="sum")
    assert_same(loss, 2 * once)
    assert np.allclose(slopes, 2 * np.asarray(gradient), rtol=1e-12, atol=1e-15)  # p sum(t) - t


@pytest.mark.parametrize("make", [list, nd.asarray, np.asarray], ids=["lists", "nd", "numpy"])
def test_negative_targets(make):
    with pytest.raises(ValueError, match=r"cross_entropy: .*not negative"):
        tg.cross_entropy(Z[:1] if make is list else make(Z[:1]), make([[1.5, -0.5, 0.0]]))


@every_form
def test_a_class_that_is_impossible_and_not_wanted(form):
    """0 log 0 = 0: the same loss as by label, where other libraries give nan."""
    z = [[0.0, 1.0, -inf]]
    wanted = log1p(exp(1.0))
    by_label, (slopes,) = form.run(tg.cross_entropy, z, [0])
    soft, (gradient,) = form.run(tg.cross_entropy, z, form.make([[1.0, 0.0, 0.0]]))
    assert_same([by_label, soft], [wanted, wanted])
    q = 1 / (1 + exp(-1.0))
    assert_same(slopes, [[-q, q, 0.0]])
    if form in (OWN, NUMPY):
        assert_same(gradient, [[-q, q, 0.0]])
    mixed, (gradient,) = form.run(tg.cross_entropy, z, form.make([[0.25, 0.75, 0.0]]))
    assert_same(mixed, wanted - 0.75)
    if form in (OWN, NUMPY):
        assert_same(gradient, [[1 - q - 0.25, q - 0.75, 0.0]])


@every_form
def test_a_class_that_is_impossible_and_wanted(form):
    """An infinite loss, and the gradient p - onehot that leads out of it."""
    z = [[0.0, 0.0, -inf]]
    loss, (slopes,) = form.run(tg.cross_entropy, z, [2])
    assert loss == inf
    if form in (OWN, NUMPY):
        assert_same(slopes, [[0.5, 0.5, -1.0]])
    soft, (slopes,) = form.run(tg.cross_entropy, z, form.make([[0.0, 0.0, 1.0]]))
    assert soft == inf
    if form in (OWN, NUMPY):
        assert_same(slopes, [[0.5, 0.5, -1.0]])


def test_one_hot_probabilities_are_labels_to_the_last_digit():
    for z in (Z, [[40.0, 0.0, 0.0]] * 4, [[1e8, 1e8 + 1, 1e8 - 2]] * 4, [[0.0, -745.0, 3.0]] * 4):
        hot = [one_hot(t, 3) for t in LABELS]
        for reduction in ("none", "mean", "sum"):
            a, b = (OWN.run(tg.cross_entropy, z, t, reduction=reduction) for t in (LABELS, nd.asarray(hot)))
            assert a == b


# --- reductions


def test_reductions_that_are_refused():
    for wrong in ("average", "avg", None, 1):
        with pytest.raises(ValueError, match="cross_entropy: reduction is one of"):
            tg.cross_entropy(Z, LABELS, reduction=wrong)
        with pytest.raises(ValueError, match="binary_cross_entropy: reduction is one of"):
            tg.binary_cross_entropy([0.0], [1.0], reduction=wrong)


@given(st.data())
def test_any_rows_against_the_definition(data):
    """Labels, weights, smoothing, temperature and ignored rows as they come."""
    n, classes = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 5))
    z = data.draw(st.lists(st.lists(st.floats(-30, 30), min_size=classes, max_size=classes), min_size=n, max_size=n))
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    options = {
        "weight": data.draw(st.none() | st.lists(st.floats(0.1, 5.0), min_size=classes, max_size=classes)),
        "label_smoothing": data.draw(st.sampled_from([0.0, 0.05, 0.5])),
        "temperature": data.draw(st.sampled_from([1.0, 0.5, 4.0])),
        "reduction": data.draw(st.sampled_from(["none", "sum", "mean"])),
    }
    if n > 1 and data.draw(st.booleans()):
        labels[0], options["ignore_index"] = -7, -7
    form = data.draw(st.sampled_from([OWN, NUMPY, COMPOSED, NUMPY_COMPOSED]))
    check(form, z, labels, rel=1e-9, **options)
