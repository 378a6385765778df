"""What cross_entropy and binary_cross_entropy accept, refuse and answer at the edges."""

import copy
import pickle
from math import inf, log

import array_api_strict
import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd

LOGITS = [[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]
LOSSES = [2.4076059644443806, 1.5514447139320511]  # of classes 0 and 2
P, Q = 0.2689414213699951, 0.7310585786300049  # softmax([0, 1])
LSE = 1.3132616875182228

MAKERS = {"nd": nd.asarray, "numpy": np.asarray, "strict": array_api_strict.asarray}


def close(wanted):
    return pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(
    ("reduction", "wanted"),
    [("none", LOSSES), ("sum", sum(LOSSES)), ("mean", sum(LOSSES) / 2), ("batchmean", sum(LOSSES) / 2)],
)
def test_reductions(make, reduction, wanted):
    one_hot = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    for targets in ([0, 2], (0, 2), make([0, 2]), one_hot, make(one_hot), tg.Value(make(one_hot))):
        loss = tg.cross_entropy(tg.Value(make(LOGITS)), targets, reduction=reduction)
        assert loss.tolist() == close(wanted)
        assert type(loss.data) is type(make(LOSSES)) or loss.shape == ()  # numpy's 0-d results are scalars


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_single_row(make):
    z = tg.Value(make(LOGITS[0]))
    for reduction in ("none", "sum", "mean", "batchmean"):
        for target in (0, make(0), make([1.0, 0.0, 0.0])):
            loss = tg.cross_entropy(z, target, reduction=reduction)
            assert (loss.shape, loss.item()) == ((), close(LOSSES[0]))


def test_any_type_of_int_is_a_label():
    for dtype in (np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64):
        assert tg.cross_entropy(np.asarray(LOGITS), np.asarray([0, 2], dtype=dtype)) == close(sum(LOSSES) / 2)
    assert tg.cross_entropy(np.asarray(LOGITS[0]), np.int32(0)) == close(LOSSES[0])


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_classes_along_any_axis(make):
    """`axis=1` is PyTorch's layout: logits (N, C, d1) and targets (N, d1)."""
    columns = [[[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]]]
    for axis in (1, -2):
        z = tg.Value(make(columns))
        loss = tg.cross_entropy(z, make([[0, 2]]), axis=axis, reduction="none")
        assert loss.shape == (1, 2)
        assert loss.tolist() == [close(LOSSES)]
        by_row = tg.Value(make(LOGITS))
        wanted = tg.grad(tg.cross_entropy(by_row, make([0, 2])), by_row)
        gradient = tg.permute_dims(tg.grad(tg.mean(loss), z), (0, 2, 1))
        assert tg.Value(gradient).tolist() == [tg.Value(wanted).tolist()]


def test_the_first_axis():
    z = tg.Value([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    assert tg.cross_entropy(z, [0, 2], axis=0).item() == close(sum(LOSSES) / 2)
    assert tg.grad(tg.cross_entropy(z, [0, 2], axis=0), z).shape == (3, 2)


@pytest.mark.parametrize("make", [nd.asarray, np.asarray], ids=["nd", "numpy"])
@pytest.mark.parametrize(("reduction", "wanted"), [("none", []), ("sum", 0.0), ("mean", 0.0), ("batchmean", 0.0)])
def test_an_empty_batch(make, reduction, wanted):
    empty = make([[0.0, 0.0, 0.0]])[:0]
    for targets in ([], make([0])[:0], empty):
        z = tg.Value(empty)
        loss = tg.cross_entropy(z, targets, reduction=reduction)
        assert loss.tolist() == wanted
        assert tg.grad(loss, z, grad_output=loss.data).shape == (0, 3)
    assert tg.binary_cross_entropy(make([1.0])[:0], [], reduction=reduction).tolist() == wanted


EDGES = [  # logits, targets, loss, gradient
    ([0.0, 1.0, -inf], 0, LSE, [-Q, Q, 0.0]),
    ([0.0, 1.0, -inf], 2, inf, [P, Q, -1.0]),
    ([0.0, 1.0, -inf], [0.5, 0.5, 0.0], LSE - 0.5, [P - 0.5, Q - 0.5, 0.0]),
    ([0.0, 1.0, -inf], [0.5, 0.0, 0.5], inf, [P - 0.5, Q, -0.5]),
    ([inf, 0.0], 0, 0.0, [0.0, 0.0]),
    ([inf, 0.0], 1, inf, [1.0, -1.0]),
    ([1e308, -1e308], 0, 0.0, [0.0, 0.0]),
    ([1e308, -1e308], 1, inf, [1.0, -1.0]),
    ([0.0, -1.5e308, -1.5e308], [0.0, 1.0, 1.0], inf, [2.0, -1.0, -1.0]),
    ([0.0, 1.0], [1.0, 1.0], 2 * LSE - 1.0, [2 * P - 1.0, 2 * Q - 1.0]),  # used as they are, if nobody checks
    ([0.0, 1.0], [0.0, 0.0], 0.0, [0.0, 0.0]),
    ([0.0], 0, 0.0, [0.0]),
    ([0.0, 800.0], 1, 0.0, [0.0, 0.0]),
]


@pytest.mark.parametrize(("logits", "targets", "loss", "gradient"), EDGES)
def test_edges(logits, targets, loss, gradient):
    z = tg.Value(logits)
    got = tg.cross_entropy(z, targets, validate=False)
    assert got.item() == close(loss)
    assert tg.grad(got, z).tolist() == close(gradient)


ON_NUMPY = [edge for edge in EDGES if inf not in edge[0]]  # that limit is our own kernel's


@pytest.mark.parametrize(("logits", "targets", "loss", "gradient"), ON_NUMPY)
def test_edges_on_numpy_and_composed(logits, targets, loss, gradient):
    z = tg.Value(np.asarray(logits))
    with np.errstate(all="ignore"):  # numpy reports each infinity that it makes
        got = tg.cross_entropy(z, targets, validate=False)
        assert got.item() == close(loss)
        assert tg.grad(got, z).tolist() == close(gradient)
    assert float(tg.cross_entropy.composed(logits, targets, validate=False)) == close(loss)


LABELS = [  # targets, label, position
    ([0, 3], 3, (1,)),
    ([-1, 0], -1, (0,)),
    ([0, -100], -100, (1,)),
    ([2**40, 5], 2**40, (0,)),
]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(("targets", "label", "position"), LABELS)
def test_a_label_that_names_no_class(make, targets, label, position):
    with pytest.raises(tg.LabelError, match=rf"^cross_entropy: label {label} at position {position[0]} .* 3 classes") as caught:
        tg.cross_entropy(make(LOGITS), make(targets))
    error = caught.value
    assert isinstance(error, IndexError) and isinstance(error, ValueError)
    assert (error.label, error.position, error.classes) == (label, position, 3)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is tg.LabelError
        assert (str(twin), vars(twin)) == (str(error), vars(error))


def test_where_a_label_stands():
    with pytest.raises(tg.LabelError, match=r"label 7 at position \(1, 0\)") as caught:
        tg.cross_entropy(nd.zeros((2, 5, 2)), [[0, 4], [7, 9]], axis=1)
    assert caught.value.position == (1, 0)
    with pytest.raises(tg.LabelError, match="label -2 is out of range") as caught:
        tg.cross_entropy([0.0, 1.0], -2)
    assert caught.value.position == ()


REFUSED = [  # targets, the error, what it says
    ([True, False], TypeError, r"not bool of shape \(2,\); .*convert them to ints"),
    (np.asarray([True, False]), TypeError, r"not bool of shape \(2,\); .*convert them to ints"),
    ([[True, False, False], [False, True, False]], TypeError, r"not bool of shape \(2, 3\)$"),
    ([0.0, 1.0], TypeError, r"class indices \(ints of shape \(2,\)\) or probabilities .*shape \(2, 3\).*convert them to ints"),
    ([[0.0], [1.0]], TypeError, r"class indices \(ints.* or probabilities .* not floats of shape \(2, 1\)"),
    ([[0.5, 0.5], [0.5, 0.5]], TypeError, r"probabilities \(floats of shape \(2, 3\)\), not floats of shape \(2, 2\)"),
    ([[0], [1]], ValueError, r"shape \(2, 1\).*reshape them to \(2,\)"),
    ([[1, 0, 0], [0, 1, 0]], ValueError, "one-hot targets.*give floats"),
    ([0, 1, 2], ValueError, r"shape \(3,\) .*they need shape \(2,\)"),
    (0, ValueError, r"they need shape \(2,\)"),
    ([], TypeError, r"floats of shape \(0,\)"),
    ([[-0.1, 1.1, 0.0], [0.0, 0.0, 1.0]], ValueError, "not negative"),
    ([[0.5, 0.5, 0.0], [0.0, 0.5, 0.7]], ValueError, r"one row sums to 1\.2; validate=False .*binary_cross_entropy"),
    (None, TypeError, "cross_entropy: .*None"),
    ("ab", TypeError, "cross_entropy: .*'ab'"),
]


@pytest.mark.parametrize(("targets", "error", "words"), REFUSED)
def test_targets_that_are_refused(targets, error, words):
    for logits in (LOGITS, tg.Value(np.asarray(LOGITS))):
        if isinstance(targets, np.ndarray) and logits is LOGITS:
            continue
        with pytest.raises(error, match=words):
            tg.cross_entropy(logits, targets)
        with pytest.raises(error, match=words):
            tg.cross_entropy.composed(logits, targets)


def test_logits_and_settings_that_are_refused():
    with pytest.raises(TypeError, match=r"cross_entropy: .*mask"):
        tg.cross_entropy([[True, False]], [0])
    with pytest.raises(tg.AxisError, match="cross_entropy: axis -1 of a 0-d"):
        tg.cross_entropy(1.0, 0)
    with pytest.raises(tg.AxisError, match="cross_entropy: axis 2"):
        tg.cross_entropy(LOGITS, [0, 1], axis=2)
    with pytest.raises(TypeError, match="cross_entropy: an axis is an int"):
        tg.cross_entropy(LOGITS, [0, 1], axis=None)
    for op in (tg.cross_entropy, tg.binary_cross_entropy):
        with pytest.raises(ValueError, match=f"{op.name}: reduction is one of mean, sum, none, batchmean, not 'avg'"):
            op([0.0, 1.0], [0.0, 1.0], reduction="avg")
    for targets in ([0, 0], nd.zeros((2, 0))):
        with pytest.raises(ValueError, match="no classes"):
            tg.cross_entropy(nd.zeros((2, 0)), targets)


def test_class_indices_get_no_gradient_and_probabilities_do():
    z, t = tg.Value([0.0, 1.0]), tg.Value([0.25, 0.5])
    loss = tg.cross_entropy(z, t, validate=False)
    loss.backward()
    assert t.grad.tolist() == close([LSE, LSE - 1.0])
    assert z.grad.tolist() == close([0.75 * P - 0.25, 0.75 * Q - 0.5])
    assert tg.cross_entropy(z, 0).inputs[1].tolist() == 0  # kept as plain data


# --- yes or no

BINARY_EDGES = [  # logit, target, loss, gradient
    (inf, 1.0, 0.0, 0.0),
    (-inf, 0.0, 0.0, 0.0),
    (inf, 0.0, inf, 1.0),
    (-inf, 1.0, inf, -1.0),
    (inf, 0.5, inf, 0.5),
    (1000.0, 1.0, 0.0, 0.0),
    (1000.0, 0.0, 1000.0, 1.0),
    (0.0, 0.25, log(2.0), 0.25),
]


@pytest.mark.parametrize("form", [tg.binary_cross_entropy, tg.binary_cross_entropy.composed], ids=["fused", "composed"])
@pytest.mark.parametrize(("logit", "target", "loss", "gradient"), BINARY_EDGES)
def test_binary_edges(form, logit, target, loss, gradient):
    for make in (float, lambda v: nd.asarray([v]), lambda v: np.asarray([v])):
        z = tg.Value(make(logit))
        got = form(z, make(target), reduction="sum")
        assert got.item() == close(loss)
        if form is tg.binary_cross_entropy:
            slope = tg.grad(got, z)
            assert (slope if type(slope) is float else slope[0]) == close(gradient)


def test_yes_and_no_may_be_floats_ints_or_bools():
    wanted = tg.binary_cross_entropy([0.3, -0.1], [1.0, 0.0]).item()
    for targets in ([1, 0], [True, False]):
        assert tg.binary_cross_entropy([0.3, -0.1], targets).item() == wanted
        assert float(tg.binary_cross_entropy(nd.exact([0.3, -0.1]), targets)) == close(wanted)
        for make in (np.asarray, array_api_strict.asarray):
            assert float(tg.binary_cross_entropy(make([0.3, -0.1]), make(targets))) == close(wanted)
        single = tg.binary_cross_entropy(tg.Value(np.asarray([0.3, -0.1], dtype=np.float32)), targets)
        assert single.dtype == np.float32
    assert tg.binary_cross_entropy(0.3, True) == tg.binary_cross_entropy(0.3, 1) == tg.binary_cross_entropy(0.3, 1.0)


@pytest.mark.parametrize(
    ("logits", "targets", "error", "words"),
    [
        ([0.0], [2.0], ValueError, "between 0 and 1"),
        ([0.0], [-1], ValueError, "between 0 and 1"),
        (0.0, 1.5, ValueError, "between 0 and 1"),
        ([0.0, 1.0], 1.0, ValueError, r"shape \(\) for logits of shape \(2,\)"),
        ([0.0, 1.0], [1.0], ValueError, r"shape \(1,\) for logits of shape \(2,\)"),
        ([True], [1.0], TypeError, "mask"),
        ([0.0], None, TypeError, "None"),
    ],
)
def test_questions_that_are_refused(logits, targets, error, words):
    with pytest.raises(error, match=f"^binary_cross_entropy: .*{words}"):
        tg.binary_cross_entropy(logits, targets)
