"""`predict` gives the class of the largest output, and `accuracy` the share of classes that are right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.training.networks import every_library, network, points
from tinygrad_sm import nd

X, Y = points(7, classes=3)
NAN = float("nan")


def as_given(x):
    """A model whose outputs are its inputs."""
    return x


# --- predict


@every_library
def test_the_class_of_the_largest_output(xp):
    model = network(2, 4, 3, xp=xp)
    logits = model(X).tolist()
    predicted = tg.predict(model, X)
    assert type(predicted) is type(xp.asarray([0])) and predicted.dtype == xp.int64
    assert predicted.tolist() == [row.index(max(row)) for row in logits]
    outputs = tg.predict(model, X, outputs=True)
    assert type(outputs) is type(predicted) and outputs.tolist() == logits


rows = st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=3, max_size=3), min_size=1, max_size=8)


@given(rows)
@settings(max_examples=30, deadline=None)
def test_of_equals_the_first(scores):
    wanted = [row.index(max(row)) for row in scores]
    assert tg.predict(as_given, scores).tolist() == wanted
    assert tg.predict(lambda x: tg.Value(np.asarray(x.tolist())), scores).tolist() == wanted
    targets = [0] * len(scores)
    share = wanted.count(0) / len(scores)
    assert tg.accuracy(scores, targets) == tg.accuracy(np.asarray(scores), targets) == share
    assert tg.accuracy(as_given, scores, targets) == share


@every_library
@pytest.mark.parametrize("batch_size", [1, 3, 7, np.int64(4)])
def test_batches_do_not_matter(xp, batch_size):
    model = network(2, 4, 3, xp=xp)
    whole, parts = (tg.predict(model, X, outputs=True, batch_size=n) for n in (256, batch_size))
    assert tg.predict(model, X, batch_size=batch_size).tolist() == tg.predict(model, X).tolist()
    assert np.allclose(whole.tolist(), parts.tolist(), rtol=1e-14, atol=0.0)
    assert tg.accuracy(model, X, Y, batch_size=batch_size) == tg.accuracy(model, X, Y)


@every_library
def test_the_batches_are_as_large_as_asked_for(xp):
    sizes = []

    def model(x):
        sizes.append(len(x))
        return x

    tg.predict(model, xp.asarray(X), batch_size=3)
    tg.predict(model, xp.asarray([*X] * 40))
    assert sizes == [3, 3, 1, 256, 24]


@every_library
@pytest.mark.parametrize("make", [list, tuple, nd.asarray, np.asarray, tg.Value, lambda X: [*map(np.asarray, X)]])
def test_inputs_of_every_kind(xp, make):
    model = network(2, 4, 3, xp=xp)
    assert tg.predict(model, make(X)).tolist() == tg.predict(model, X).tolist()
    assert tg.accuracy(model, make(X), np.asarray(Y, dtype=np.int32)) == tg.accuracy(model, X, Y)


@every_library
def test_a_function_gets_what_it_is_given(xp):
    weight = tg.Value(xp.asarray([[1.0, 0.0], [0.0, 1.0]]))
    assert tg.predict(lambda x: x @ weight, xp.asarray([[1.0, 2.0], [3.0, 0.0]])).tolist() == [1, 0]
    assert tg.accuracy(lambda x: x @ weight, xp.asarray([[1.0, 2.0], [3.0, 0.0]]), [1, 1]) == 0.5


def test_a_float32_network_predicts_in_it():
    model = network(2, 4, 3)
    for p in model.parameters():
        p.data = np.asarray(p.tolist(), dtype=np.float32)
    assert tg.predict(model, X, outputs=True).dtype == np.float32


@every_library
def test_numbers_and_images_as_outputs(xp):
    model = network(2, 4, 1, xp=xp)
    assert tg.predict(model, X, outputs=True).tolist() == model(X).tolist()
    images = tg.predict(lambda x: tg.reshape(x, (-1, 2, 1)), xp.asarray(X), outputs=True, batch_size=2)
    assert images.shape == (7, 2, 1)
    assert images.tolist() == [[[a], [b]] for a, b in X]
    assert tg.predict(as_given, [1.0, 2.0], outputs=True).tolist() == [1.0, 2.0]


MISTAKES = {
    "one output a row": (lambda: tg.predict(network(2, 4, 1), X), "shape (7, 1), one number a row", "outputs=True"),
    "a number a row": (lambda: tg.predict(lambda x: x[:, 0], X), "predict: ", "shape (7,), one number a row", "outputs=True"),
    "one output, accuracy": (lambda: tg.accuracy(network(2, 4, 1), X, [0] * 7), "accuracy: ", "outputs=True) > 0"),
    "labels from 1": (lambda: tg.accuracy(network(), X, [1, 2] * 3 + [1]), "accuracy: label 2 at position 1", "2 classes"),
    "a single row": (lambda: tg.predict(network(), [0.5, 1.0]), "predict: ", "for a single row give [x]"),
    "no rows": (lambda: tg.predict(network(), []), "predict: X has no rows"),
    "no rows of two": (lambda: tg.predict(network(), np.zeros((0, 2))), "predict: X has no rows"),
    "nan": (lambda: tg.predict(network(), [[1.0, 2.0], [NAN, 1.0]]), "predict: X holds nan in row 1, column 0"),
    "a wrong width": (lambda: tg.predict(network(), [[1.0]]), "layers.0, Linear(2, 4): takes inputs of width 2"),
    "text": (lambda: tg.predict(network(), [["a", "b"]]), "predict: X: ", "not 'a'"),
    "ragged": (lambda: tg.predict(network(), [[1.0, 2.0], [1.0]]), "predict: X: ragged"),
    "no inputs": (lambda: tg.predict(network(), None), "predict: X: needs rows", "NoneType"),
    "no model": (lambda: tg.predict([1, 2], X), "predict: needs a network"),
    "in the wrong order": (lambda: tg.predict([[0.0] * 9] * 9, network()), "and got [[0.0, 0.0", "..."),
    "a batch of none": (lambda: tg.predict(network(), X, batch_size=0), "predict: batch_size is a whole number of at least 1"),
    "a sum": (lambda: tg.predict(tg.sum, X), "predict: ", "an entry for each of 7 rows, and gave shape ()"),
    "a row less": (lambda: tg.predict(lambda x: x[1:], X), "predict: ", "an entry for each of 7 rows, and gave shape (6, 2)"),
    "a pair": (lambda: tg.predict(lambda x: (x, x), X), "predict: ", "an entry for each of 7 rows, and gave type tuple"),
    "no targets": (lambda: tg.accuracy(network(), X), "accuracy: needs the targets too, as accuracy(model, X, y)"),
    "fewer targets": (lambda: tg.accuracy(network(), X, [0, 1]), "accuracy: ", "for targets of shape (2,)"),
    "a column of targets": (lambda: tg.accuracy(network(), X, [[t] for t in Y]), "accuracy: ", "targets of shape (7, 1)"),
    "float targets": (lambda: tg.accuracy([0, 1], [0.0, 1.0]), "accuracy: the targets are classes, given as ints"),
    "float targets of a model": (lambda: tg.accuracy(network(), X, [0.0] * 7), "accuracy: the targets are classes"),
    "text as targets": (lambda: tg.accuracy([0, 1], ["cat", "dog"]), "accuracy: targets holds text, such as 'cat'"),
    "text as predictions": (lambda: tg.accuracy(["cat"], [0]), "accuracy: ", "not 'cat'"),
    "nothing": (lambda: tg.accuracy([], []), "accuracy: there are no targets"),
    "one column": (lambda: tg.accuracy([[0.5], [0.5]], [0, 1]), "accuracy: predictions of shape (2, 1)"),
    "floats as classes": (lambda: tg.accuracy([0.0, 1.0], [0, 1]), "predictions of shape (2,)", "should be classes (ints,"),
    "dates": (lambda: tg.predict(network(), np.array([["2026-01-01"] * 2], "M8[D]")), "predict: X holds dates or times"),
    "a class": (lambda: tg.predict(tg.nn.MLP, X), "predict: the network is the class MLP itself"),
    "None": (lambda: tg.accuracy(None, [0]), "accuracy: needs", "None"),
}  # fmt: skip


@pytest.mark.parametrize(("mistake", "words"), [(m, w) for m, *w in MISTAKES.values()], ids=MISTAKES)
def test_a_mistake_is_one_sentence(mistake, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        mistake()
    sentence = str(caught.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence and len(sentence) < 300


# --- accuracy

PREDICTED, TARGETS = [0, 2, 1, 1, 0], [0, 2, 2, 1, 1]


def one_hot(classes):
    return [[float(k == c) for k in range(3)] for c in classes]


KINDS = {"lists": lambda x: x, "nd": nd.asarray, "numpy": np.asarray}


@pytest.mark.parametrize("of_predictions", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("of_targets", KINDS.values(), ids=KINDS)
def test_both_forms(of_predictions, of_targets):
    targets = of_targets(TARGETS)
    assert tg.accuracy(of_predictions(PREDICTED), targets) == 0.6
    assert tg.accuracy(of_predictions(one_hot(PREDICTED)), targets) == 0.6
    assert tg.accuracy(tg.Value(of_predictions(one_hot(PREDICTED))), targets) == 0.6
    assert tg.accuracy(as_given, of_predictions(one_hot(PREDICTED)), targets) == 0.6
    assert type(tg.accuracy(of_predictions(PREDICTED), targets)) is float


def test_small_ints():
    for kind in ("uint8", "int8", "int32"):
        assert tg.accuracy(PREDICTED, np.asarray(TARGETS, dtype=kind)) == 0.6
        assert tg.accuracy(np.asarray(PREDICTED, dtype=kind), TARGETS) == 0.6


def test_sequences():
    logits = [[[2.0, 1.0], [0.0, 1.0]], [[0.0, 3.0], [5.0, 1.0]]]
    assert tg.accuracy(logits, [[0, 1], [1, 1]]) == 0.75
    assert tg.accuracy(as_given, logits, [[0, 1], [1, 1]]) == 0.75
    assert tg.accuracy([[0, 1], [1, 0]], [[0, 1], [1, 1]]) == 0.75


def test_logits_and_their_probabilities_agree():
    logits = network(2, 4, 3)(X)
    assert tg.accuracy(logits, Y) == tg.accuracy(tg.softmax(logits), Y) == tg.accuracy(tg.predict(as_given, logits), Y)


def test_yes_and_no_are_compared_too():
    scores = np.array([[0.5], [-1.0], [2.0], [-3.0]])
    assert tg.accuracy(scores > 0, [[1], [0], [0], [0]]) == 0.75
    assert tg.accuracy([True, False], [True, True]) == 0.5


@every_library
def test_the_answer_is_in_the_library_of_the_question(xp):
    model = network(xp=xp)
    assert type(tg.predict(model, np.asarray(X))) is np.ndarray
    assert type(tg.predict(model, nd.asarray(X), outputs=True)) is nd.Array
    assert (tg.predict(model, np.asarray(X)) == np.asarray(tg.predict(model, X).tolist())).all()
