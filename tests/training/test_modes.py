"""Dropout drops while a network learns and nowhere else, nothing is recorded without need, and nothing is left behind."""

import gc

import pytest

import tinygrad_sm as tg
from tests.training.networks import every_library, network, points
from tinygrad_sm.graph import Value

X, Y = points(12)


class Spy(tg.nn.Module):
    """A module that notes in which mode it runs, on how many rows, and whether a graph is recorded."""

    def __init__(self, sizes=(2, 4, 2)):
        self.inner = network(*sizes)
        self.dropout = tg.nn.Dropout(0.5)
        self.seen = []

    def forward(self, x):
        out = self.inner(self.dropout(x))
        self.seen.append((self.training, self.dropout.training, x.shape[0], out.requires_grad, out.op is not None))
        return out


def test_fit_trains_and_validation_predicts():
    model = Spy()
    tg.fit(model, X, Y, epochs=2, batch_size=5, validation=(X[:4], Y[:4]), progress=False)
    learnt = [(True, True, n, True, True) for n in (5, 5, 2)]
    assert model.seen[2:] == [*learnt, (False, False, 4, False, False)] * 2
    assert model.seen[:2] == [(False, False, n, False, False) for n in (5, 4)]  # what is tried out first


def test_predict_and_accuracy_record_nothing():
    model = Spy()
    tg.predict(model, X, batch_size=5)
    tg.predict(model, X, outputs=True)
    tg.accuracy(model, X, Y)
    assert model.seen == [(False, False, n, False, False) for n in (5, 5, 2, 12, 12)]
    assert model.training and model.dropout.training


def test_dropout_acts_in_fit_alone():
    def losses(seed):
        model = Spy()
        tg.manual_seed(seed)
        history = tg.fit(model, X, Y, epochs=2, validation=(X, Y), optimizer=frozen(model), progress=False)
        return history.loss, history.validation_loss, tg.predict(model, X, outputs=True).tolist()

    def frozen(model):
        return tg.optim.SGD(model.parameters(), lr=0.0)

    (loss, validated, outputs), (other_loss, other_validated, other_outputs) = losses(1), losses(2)
    assert loss != other_loss and loss[0] != loss[1]
    assert validated == other_validated and validated[0] == validated[1] and outputs == other_outputs
    assert losses(1) == (loss, validated, outputs)


def partly_switched():
    """A network of which one part predicts while the others train, and its modes."""
    model = tg.nn.Sequential(tg.nn.Linear(2, 4), tg.nn.Dropout(0.5), tg.nn.Sequential(tg.nn.ReLU(), tg.nn.Linear(4, 2)))
    model[2].eval()
    return model, [True, True, True, False, False, False]


def modes(model):
    return [module.training for module in model.modules()]


def broken(outputs, targets):
    raise RuntimeError("of my own")


def infinite(outputs, targets):
    return tg.cross_entropy(outputs, targets) * float("inf")


USES = {
    "fit": (lambda model: tg.fit(model, X, Y, epochs=1, validation=0.25, progress=False), None),
    "an error": (lambda model: tg.fit(model, X, Y, loss=broken, progress=False), RuntimeError),
    "no number": (lambda model: tg.fit(model, X, Y, loss=infinite, progress=False), FloatingPointError),
    "a wrong label": (lambda model: tg.fit(model, X, [7] * 12, progress=False), tg.LabelError),
    "predict": (lambda model: tg.predict(model, X), None),
    "a wrong width": (lambda model: tg.predict(model, [[1.0]]), ValueError),
    "accuracy": (lambda model: tg.accuracy(model, X, Y), None),
}


@pytest.mark.parametrize(("use", "error"), USES.values(), ids=USES)
@pytest.mark.parametrize("whole", [None, True, False])
def test_modes_are_as_they_were(use, error, whole):
    model, wanted = partly_switched()
    if whole is not None:
        model.train(whole)
        wanted = [whole] * 6
    assert modes(model) == wanted
    if error is None:
        use(model)
    else:
        with pytest.raises(error):
            use(model)
    assert modes(model) == wanted


def test_inside_fit_all_parts_train():
    model, wanted = partly_switched()
    seen = []

    def loss(outputs, targets):
        seen.append(modes(model))
        return tg.cross_entropy(outputs, targets)

    tg.fit(model, X, Y, loss=loss, epochs=1, progress=False)
    assert seen == [[False] * 6, [True] * 6] and modes(model) == wanted


def test_recording_goes_on_after_an_error_in_predict():
    with pytest.raises(ValueError, match="width"):
        tg.predict(network(), [[1.0]])
    assert (tg.Value(1.0) * 2.0).requires_grad


def nodes():
    """The Values in memory that are results of ops."""
    return sum(isinstance(x, Value) and x.op is not None for x in gc.get_objects())


@every_library
def test_no_graph_and_no_garbage_is_left_behind(xp):
    model = network(xp=xp)
    gc.collect()
    gc.disable()
    try:
        before = nodes()
        history = tg.fit(model, X, Y, epochs=3, batch_size=5, validation=0.25, progress=False)
        tg.predict(model, X)
        tg.accuracy(model, X, Y)
        assert nodes() == before and len(history.loss) == 3
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_an_error_that_was_dropped_leaves_no_garbage():
    model = network()

    def attempt():
        try:
            tg.fit(model, X, Y, loss=infinite, progress=False)
        except FloatingPointError:
            pass
        else:
            raise AssertionError("no error")

    attempt()
    gc.collect()
    gc.disable()
    try:
        before = nodes()
        attempt()
        assert nodes() == before
        assert gc.collect() == 0
    finally:
        gc.enable()
