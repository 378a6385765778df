"""What does not fit is one sentence, and nothing is learnt from it."""

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.training.networks import every_library, network, points, weights
from tinygrad_sm import nd

X, Y = points(6)
NAN, INF = float("nan"), float("inf")


def refused(model, X=X, y=Y, **settings):
    """The sentence, after a look at whether anything has changed."""
    has_weights = isinstance(model, tg.nn.Module)
    before = weights(model) if has_weights else None
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        tg.fit(model, X, y, **{"progress": False, "epochs": 2} | settings)
    assert before is None or weights(model) == before
    sentence = str(caught.value)
    assert sentence and "\n" not in sentence and len(sentence) < 300 and not sentence.endswith(".")
    return caught.value


# what is wrong, the inputs, the labels, what the sentence says
DATA = {
    "different lengths": (X, Y[:5], "fit: X has 6 rows and y has 5"),
    "empty": ([], [], "fit: X and y have no rows"),
    "empty array": (np.zeros((0, 2)), np.zeros(0, dtype=int), "fit: X and y have no rows"),
    "empty X": ([], Y, "fit: X has 0 rows and y has 6"),
    "nan": ([*X[:4], [1.0, NAN], X[5]], Y, "fit: X holds nan in row 4, column 1"),
    "inf": (np.asarray([*X[:5], [-INF, 1.0]]), Y, "fit: X holds -inf in row 5, column 0"),
    "nan of rows of one number": ([1.0, NAN], [0, 1], "fit: X holds nan in row 1"),
    "nan of images": (np.full((6, 2, 2), NAN), Y, "fit: X holds nan in row 0, element 0"),
    "nan in y": (X, [[0.0, 1.0]] * 5 + [[INF, 0.0]], "fit: y holds inf in row 5, column 0"),
    "ragged": ([*X[:5], [1.0]], Y, "fit: X: ragged"),
    "ragged arrays": ([np.zeros(2), np.zeros(3)], Y[:2], "fit: X: ragged"),
    "text as labels": (X, ["cat", "dog"] * 3, "fit: y holds text, such as 'cat'", "names.index(label)"),
    "text in numpy": (X, np.asarray(["cat", "dog"] * 3), "fit: y holds text, such as 'cat'"),
    "text as inputs": ([["a", "b"]] * 6, Y, "fit: X: ", "not 'a'"),
    "None among inputs": ([[0.5, None]] * 6, Y, "fit: X: ", "None"),
    "None in an object array": (np.asarray([[0.5, None]] * 6, dtype=object), Y, "fit: X: ", "None"),
    "complex": (np.full((6, 2), 1j), Y, "fit: X: ", "1j"),
    "a word": ("abcdef", Y, "fit: X: needs rows", "str"),
    "no inputs": (None, Y, "fit: X: needs rows", "NoneType"),
    "no labels": (X, None, "fit: y: needs rows", "NoneType"),
    "a number": (3, Y, "fit: X: needs rows", "int"),
    "a single number": (np.asarray(3.0), Y, "fit: X: needs rows", "single number"),
    "a dict": ({"a": X}, Y, "fit: X: needs rows", "dict"),
    "a set": ({1.0, 2.0}, Y, "fit: X: needs rows", "set"),
    "float labels": (X, [*map(float, Y)], "targets are class indices", "convert them to ints"),
    "bools as labels": (X, [*map(bool, Y)], "targets are class indices", "convert them to ints"),
    "a Value as labels": (X, tg.Value(Y), "targets are class indices", "convert them to ints"),
    "a column of labels": (X, [[t] for t in Y], "class indices of shape", "one for each row"),
    "one-hot ints": (X, [[1 - t, t] for t in Y], "for one-hot targets", "floats"),
    "negative probabilities": (X, [[-1.0, 2.0]] * 6, "target probabilities are not negative"),
    "three probabilities": (X, [[0.2, 0.3, 0.5]] * 6, "floats of shape"),
    "wrong width": ([[1.0, 2.0, 3.0]] * 6, Y, "layers.0, Linear(2, 4): takes inputs of width 2, and got width 3"),
    "one column less": ([[1.0]] * 6, Y, "layers.0, Linear(2, 4): takes inputs of width 2, and got width 1"),
}


@every_library
@pytest.mark.parametrize(("inputs", "labels", "words"), [(X, y, w) for X, y, *w in DATA.values()], ids=DATA)
def test_data(xp, inputs, labels, words):
    sentence = str(refused(network(xp=xp), inputs, labels))
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(("inputs", "labels", "words"), [(X, y, w) for X, y, *w in DATA.values()], ids=DATA)
def test_data_for_validation(inputs, labels, words):
    sentence = str(refused(network(), validation=(inputs, labels)))
    assert all(word.replace("fit: ", "fit: validation: ") in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("xp", "make"), [(nd, list), (nd, np.asarray), (np, nd.asarray)], ids=["nd", "numpy to nd", "nd to numpy"]
)
@pytest.mark.parametrize("validation", [None, 0.5])
@pytest.mark.parametrize(
    ("labels", "label", "row"), [([0, 1, 2, 0, 1, 0], 2, 2), ([0, 1, 0, -1, 1, 7], -1, 3), ([9] * 6, 9, 0)]
)
def test_a_label_without_a_class_is_named_with_its_row(xp, make, validation, labels, label, row):
    error = refused(network(xp=xp), X, make(labels), validation=validation)
    assert isinstance(error, tg.LabelError) and isinstance(error, ValueError) and isinstance(error, IndexError)
    assert (error.label, error.position, error.classes) == (label, (row,), 2)
    assert str(error) == f"fit: label {label} at position {row} is out of range for 2 classes, 0 to 1"


def test_a_label_of_the_validation_is_said_to_be_one():
    assert str(refused(network(), validation=(X, [0, 1, 5, 0, 0, 0]))).startswith("fit: validation: label 5 at position 2 ")


FLAT = {
    "by position": tg.cross_entropy,
    "flattened": lambda logits, targets: tg.cross_entropy(logits.reshape(-1, 2), tg.reshape(targets, (-1,))),
}


@every_library
@pytest.mark.parametrize("loss", FLAT.values(), ids=FLAT)
def test_a_label_of_a_sequence_is_named_with_row_and_place(xp, loss):
    model = tg.nn.Sequential(tg.nn.Embedding(2, 3), tg.nn.Linear(3, 2)).to(xp)
    error = refused(model, [[0, 1, 1]] * 4, [[0, 0, 0], [1, 1, 1], [0, 1, 4], [0, 5, 0]], loss=loss)
    assert (error.label, error.position) == (5, (3, 1))


def test_a_label_that_the_loss_made_is_reported_as_it_came():
    error = refused(network(), loss=lambda logits, targets: tg.cross_entropy(logits, targets + 7))
    assert str(error) == "cross_entropy: label 7 at position 0 is out of range for 2 classes, 0 to 1"


@pytest.mark.parametrize("sequences", [[[0, 9]] * 4, [[0, -1]] * 4])
def test_an_index_without_a_vector(sequences):
    model = tg.nn.Sequential(tg.nn.Embedding(2, 3), tg.nn.Linear(3, 2))
    assert str(refused(model, sequences, [[0, 1]] * 4)).startswith("Embedding(2, 3): index ")


def test_regression_targets_are_not_broadcast():
    error = refused(network(2, 3, 1), X, [a for a, _ in X], loss=tg.mse_loss)
    assert "reshape" in str(error) and str(error).startswith("mse_loss: targets of shape")


def scheduler_of(kind, **settings):
    optimizer = tg.optim.Adam(network().parameters())
    return {"optimizer": optimizer, "scheduler": kind(optimizer, **settings)}


def frozen():
    model = network()
    for p in model.parameters():
        p.requires_grad = False
    return model


SETTINGS = {
    "epochs 0": ({"epochs": 0}, "fit: epochs is a whole number of at least 1, not 0"),
    "epochs -1": ({"epochs": -1}, "fit: epochs is a whole number of at least 1, not -1"),
    "epochs 2.5": ({"epochs": 2.5}, "fit: epochs is a whole number of at least 1, not 2.5"),
    "epochs True": ({"epochs": True}, "fit: epochs is a whole number of at least 1, not True"),
    "epochs None": ({"epochs": None}, "fit: epochs is a whole number of at least 1, not None"),
    "batch_size 0": ({"batch_size": 0}, "fit: batch_size is a whole number of at least 1, not 0"),
    "batch_size text": ({"batch_size": "4"}, "fit: batch_size is a whole number of at least 1, not '4'"),
    "seed 1.5": ({"seed": 1.5}, "fit: a seed is an int, not 1.5"),
    "validation 1.5": ({"validation": 1.5}, "fit: validation is a pair (X, y) or a share between 0 and 1, not 1.5"),
    "validation 0.0": ({"validation": 0.0}, "a share between 0 and 1, not 0.0"),
    "validation 1.0": ({"validation": 1.0}, "a share between 0 and 1, not 1.0"),
    "validation nan": ({"validation": NAN}, "a share between 0 and 1, not nan"),
    "validation True": ({"validation": True}, "a share between 0 and 1, not True"),
    "validation 2": ({"validation": 2}, "a share between 0 and 1, not 2"),
    "validation text": ({"validation": "0.2"}, "a share between 0 and 1, not of type str"),
    "validation of three": ({"validation": (X, Y, Y)}, "fit: validation is a pair (X, y)", "of type tuple"),
    "validation of rows": ({"validation": nd.asarray(X)}, "fit: validation is a pair (X, y)", "of type Array"),
    "nothing to validate": ({"validation": 0.01}, "fit: validation=0.01 of 6 rows leaves no rows on one side"),
    "nothing to learn from": ({"validation": 0.99}, "fit: validation=0.99 of 6 rows leaves no rows on one side"),
    "optimizer by name": ({"optimizer": "adam"}, "fit: optimizer is one such as tg.optim.Adam(model.parameters(), lr=0.01)"),
    "optimizer as a class": ({"optimizer": tg.optim.Adam}, "fit: optimizer is one such as tg.optim.Adam("),
    "another's optimizer": (
        {"optimizer": tg.optim.Adam(network().parameters())},
        "fit: the loss depends on no parameter of the optimizer; was it made for another network,",
    ),
    "scheduler by name": ({"scheduler": "cosine"}, "fit: scheduler is one such as tg.optim.StepLR(optimizer, 10)"),
    "scheduler as a class": ({"scheduler": tg.optim.StepLR}, "fit: scheduler is the class StepLR itself; write StepLR(...)"),
    "another's scheduler": (
        {"scheduler": scheduler_of(tg.optim.StepLR, step_size=1)["scheduler"]},
        "fit: the scheduler belongs to another optimizer",
    ),
    "plateau upwards": (scheduler_of(tg.optim.ReduceLROnPlateau, mode="max"), "fit: ReduceLROnPlateau is told the loss"),
    "loss by name": ({"loss": "mse"}, "fit: loss is a function of outputs and targets, such as tg.cross_entropy, not 'mse'"),
    "loss as a class": ({"loss": tg.nn.CrossEntropyLoss}, "fit: loss is the class CrossEntropyLoss itself"),
    "loss a row": (
        {"loss": lambda o, t: tg.cross_entropy(o, t, reduction="none")},
        "fit: the loss is one number, and this one has shape (",
    ),
    "loss a row, rows of one": (
        {"loss": lambda o, t: tg.cross_entropy(o, t, reduction="none"), "batch_size": 1},
        "fit: the loss is one number, and this one has shape (",
    ),
    "loss a float": ({"loss": lambda o, t: 1.0}, "fit: the loss is of type float and no Value"),
    "loss of data": ({"loss": lambda o, t: tg.cross_entropy(o.data, t)}, "fit: the loss is of type", "and no Value"),
    "loss None": ({"loss": lambda o, t: None}, "fit: the loss is of type NoneType and no Value"),
    "loss of nothing": (
        {"loss": lambda o, t: tg.cross_entropy(o.detach(), t)},
        "fit: the loss depends on no parameter of the optimizer",
    ),
}


@pytest.mark.parametrize(("settings", "words"), [(s, w) for s, *w in SETTINGS.values()], ids=SETTINGS)
def test_settings(settings, words):
    sentence = str(refused(network(), **settings))
    assert all(word in sentence for word in words), sentence


def test_counts_of_other_libraries_are_counts():
    model, other = network(), network()
    history = tg.fit(model, X, Y, epochs=np.int64(2), batch_size=np.uint8(3), seed=np.int32(5), progress=False)
    assert tg.fit(other, X, Y, epochs=2, batch_size=3, seed=5, progress=False).step_loss == history.step_loss
    assert len(tg.fit(model, X, Y, validation=np.float64(0.5), epochs=1, progress=False).validation_loss) == 1


MODELS = {
    "a number": (lambda: 3, "fit: needs a network, such as tg.nn.MLP([64, 32, 10]), and got 3"),
    "None": (lambda: None, "fit: needs a network"),
    "without parameters": (tg.nn.ReLU, "fit: the model has no parameters"),
    "a class": (lambda: tg.nn.Linear, "fit: the network is the class Linear itself; write Linear(...)"),
    "a function": (lambda: lambda x: x, "fit: the model has no parameters", "optimizer=tg.optim.Adam([w, b])"),
    "frozen": (frozen, "fit: the loss depends on no parameter of the optimizer"),
}


@pytest.mark.parametrize(("make", "words"), [(m, w) for m, *w in MODELS.values()], ids=MODELS)
def test_models(make, words):
    sentence = str(refused(make()))
    assert all(word in sentence for word in words), sentence


def test_the_optimizer_of_another_network_leaves_that_one_alone_too():
    other = network()
    before = weights(other)
    refused(network(), optimizer=tg.optim.Adam(other.parameters()))
    assert weights(other) == before


def test_an_error_of_the_model_itself_comes_out_as_it_is():
    class Broken(tg.nn.Linear):
        def forward(self, x):
            raise RuntimeError("of my own")

    with pytest.raises(RuntimeError, match="of my own"):
        tg.fit(Broken(2, 2), X, Y, progress=False)


@pytest.mark.parametrize("loss", [tg.cross_entropy, tg.nn.CrossEntropyLoss(reduction="sum")])
@pytest.mark.parametrize(
    ("outputs", "targets", "words"),
    [
        (1, [[0.5], [2.0]], "one output a row there is one class, and cross-entropy is always 0; for two classes take two"),
        (1, [0, 0], "with one output a row"),
        (2, [[3.7, 0.1], [1.0, 0.0]], "those of one row sum to 3.8; for numbers take loss=tg.mse_loss"),
        (2, [[0.25, 0.25], [0.0, 1.0]], "those of one row sum to 0.5; "),
        (2, [[1.0, 1.0], [0.0, 1.0]], "sum to 2; .* loss=tg.binary_cross_entropy"),
        (2, [0.5, 1.5], "to predict numbers take tg.mse_loss"),
    ],
)
def test_what_cross_entropy_could_not_learn_from(outputs, targets, words, loss):
    model = network(2, 3, outputs)
    before = weights(model)
    with pytest.raises((ValueError, TypeError), match=words):
        tg.fit(model, [[0.0, 1.0], [1.0, 0.0]], targets, loss=loss, progress=False)
    assert weights(model) == before


def test_probabilities_are_learnt_from():
    history = tg.fit(network(), [[0.0, 1.0], [1.0, 0.0]], [[0.25, 0.75], [1.0, 0.0]], epochs=2, progress=False)
    assert len(history.loss) == 2
