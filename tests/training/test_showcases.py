"""What the package is for, from the data to the trained classifier."""

from math import exp, inf, nan

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.training.networks import LIBRARIES, every_library

FOUR = [[-5.0, -5.0], [-5.0, 5.0], [5.0, -5.0], [5.0, 5.0]]


def from_probabilities(outputs, targets):
    return tg.cross_entropy(outputs, targets, from_logits=False)


def four_blobs(xp, epochs, batch_size=16):
    """Histories and accuracies of the same network, from logits and ending in a Softmax."""
    data = tg.datasets.make_blobs(200, FOUR, seed=1)
    results = []
    for last, loss in (((), tg.cross_entropy), ((tg.nn.Softmax(),), from_probabilities)):
        tg.manual_seed(0)
        model = tg.nn.Sequential(tg.nn.MLP([2, 25, 15, 4], activation="relu"), *last).to(xp)
        optimizer = tg.optim.Adam(model.parameters(), lr=0.001)
        history = tg.fit(model, *data, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch_size, progress=False)
        results.append((history, tg.accuracy(model, *data)))
    return results


@pytest.mark.parametrize(
    "xp", [LIBRARIES["numpy"], pytest.param(LIBRARIES["nd"], marks=pytest.mark.heavy)], ids=["numpy", "nd"]
)
def test_four_blobs_from_logits_and_from_probabilities(xp):
    (from_logits, share), (from_softmax, other) = four_blobs(xp, epochs=15)
    assert share >= 0.95 and other >= 0.95 and abs(share - other) <= 0.01
    assert from_softmax.step_loss == [pytest.approx(x, rel=1e-6, abs=1e-12) for x in from_logits.step_loss]
    assert from_logits.loss[-1] < 0.5 * from_logits.loss[0]


# logits, target, the loss and the gradient at the logits from logits, and those by way of a Softmax
DIGITS = [
    ([40.0, 0.0], 0, exp(-40.0), [-exp(-40.0), exp(-40.0)], 0.0, [-exp(-40.0), exp(-40.0)]),
    ([0.0, 800.0], 0, 800.0, [-1.0, 1.0], inf, [nan, nan]),
]


@every_library
@pytest.mark.parametrize(("logits", "target", "loss", "slopes", "lost_loss", "lost_slopes"), DIGITS)
def test_where_a_softmax_in_front_of_the_loss_loses_digits(xp, logits, target, loss, slopes, lost_loss, lost_slopes):
    z = tg.Value(xp.asarray([logits]))
    value = tg.cross_entropy(z, [target])
    assert value.item() == pytest.approx(loss, rel=1e-14, abs=0.0)
    assert tg.grad(value, z).tolist() == [pytest.approx(slopes, rel=1e-14, abs=0.0)]
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = from_probabilities(tg.nn.Softmax()(z), [target])
        assert lost.item() == lost_loss
        assert tg.grad(lost, z).tolist() == [pytest.approx(lost_slopes, rel=1e-14, abs=0.0, nan_ok=True)]


def test_two_blobs_one_point_at_a_time():
    X, y = tg.datasets.make_blobs(300, [[2.0, 6.0], [6.0, 2.0]], seed=1)
    X_train, X_test, y_train, y_test = tg.datasets.train_test_split(X, y, test_size=0.2)
    assert len(X_train) == 240
    tg.manual_seed(0)
    model = tg.nn.MLP([2, 5, 2], activation="sigmoid")
    optimizer = tg.optim.SGD(model.parameters(), lr=0.3)
    history = tg.fit(model, X_train, y_train, optimizer=optimizer, batch_size=1, epochs=1, progress=False)
    assert len(history.step_loss) == 240
    assert tg.accuracy(model, X_train, y_train) == 1.0
    assert tg.accuracy(model, X_test, y_test) >= 0.95


def digits(xp):
    X, y = tg.datasets.load_digits()
    X_train, X_test, y_train, y_test = tg.datasets.train_test_split(X / 16.0, y, test_size=0.2, seed=0, stratify=True)
    tg.manual_seed(0)
    model = tg.nn.MLP([64, 32, 10]).to(xp)
    optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
    scheduler = tg.optim.CosineAnnealingLR(optimizer, 20)
    tg.fit(model, X_train, y_train, optimizer=optimizer, scheduler=scheduler, epochs=20, progress=False)
    return tg.accuracy(model, X_test, y_test)


@pytest.mark.heavy
def test_digits():
    own, numpy = (digits(xp) for xp in LIBRARIES.values())
    assert own >= 0.96 and abs(own - numpy) <= 0.01
