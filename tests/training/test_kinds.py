"""Inputs and targets of every kind that a person may have, on every library."""

from decimal import Decimal
from math import log

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.training.networks import X, Y, every_library, network, quiet, usual
from tinygrad_sm import nd

INPUTS = {
    "lists": lambda X: X,
    "tuples": lambda X: tuple(map(tuple, X)),
    "nd": nd.asarray,
    "numpy": np.asarray,
    "Value": tg.Value,
    "rows of numpy": lambda X: [*map(np.asarray, X)],
    "rows of nd": lambda X: [*map(nd.asarray, X)],
    "rows of Values": lambda X: [*map(tg.Value, X)],
    "objects": lambda X: np.asarray(X, dtype=object),
    "a generator": iter,
}
LABELS = {
    "list": lambda y: y,
    "tuple": tuple,
    "nd": nd.asarray,
    **{
        name: lambda y, name=name: np.asarray(y, dtype=name) for name in ("int64", "int32", "int8", "uint8", "uint16", "object")
    },
    "numpy numbers": lambda y: [*np.asarray(y)],
    "strided": lambda y: np.repeat(y, 2)[::2],
}


@every_library
@pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS)
def test_inputs_of_every_kind(xp, make):
    model = network(xp=xp)
    assert quiet(model, make(X), batch_size=4).step_loss == usual(xp).step_loss
    assert {type(p.data) for p in model.parameters()} == {type(xp.asarray([1.0]))}


@every_library
@pytest.mark.parametrize("make", LABELS.values(), ids=LABELS)
def test_labels_of_every_kind(xp, make):
    def loss(logits, targets):
        assert type(targets) is type(xp.asarray([0])) and targets.dtype == xp.int64
        return tg.cross_entropy(logits, targets)

    history = quiet(network(xp=xp), X, make(Y), loss=loss, batch_size=4, validation=(X[:3], make(Y)[:3]))
    assert history.step_loss == usual(xp).step_loss
    assert len(history.accuracy) == len(history.validation_accuracy) == 1


@pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS)
def test_a_float32_network_stays_one_and_computes_in_it(make):
    class Spy(tg.nn.Linear):
        def forward(self, x):
            kinds.add(x.dtype)
            return super().forward(x)

    kinds = set()
    model = Spy(2, 2)
    for p in model.parameters():
        p.data = np.asarray(p.tolist(), dtype=np.float32)
    quiet(model, make(X), validation=0.3)
    assert kinds == {p.data.dtype for p in model.parameters()} == {np.dtype(np.float32)}


@every_library
def test_whole_numbers_as_inputs(xp):
    whole = [[round(3 * a), round(3 * b)] for a, b in X]
    floats = [[float(a), float(b)] for a, b in whole]
    assert quiet(network(xp=xp), whole).step_loss == quiet(network(xp=xp), floats).step_loss


def test_a_table_that_can_become_numpy():
    class Table:
        def __init__(self, rows):
            self.rows = rows

        def __iter__(self):
            return iter(["a", "b"])  # a table goes through the names of its columns

        def to_numpy(self):
            return np.asarray(self.rows)

    assert quiet(network(), Table(X), Table(Y)).step_loss == quiet(network()).step_loss


@every_library
def test_probabilities_as_targets(xp):
    one_hot = [[1.0 - t, float(t)] for t in Y]
    history = quiet(network(xp=xp), X, one_hot, batch_size=4)
    assert history.step_loss == [pytest.approx(x) for x in usual(xp).step_loss]
    assert history.accuracy == []
    even = quiet(network(xp=xp), X, np.full((11, 2), 0.5), epochs=30, validation=0.2)
    assert even.loss[-1] == pytest.approx(log(2.0), abs=0.05)


@every_library
def test_sequences_count_every_position(xp):
    tg.manual_seed(0)
    model = tg.nn.Sequential(tg.nn.Embedding(3, 5), tg.nn.Linear(5, 3)).to(xp)
    sequences = [[0, 1, 2, 0], [2, 2, 1, 0], [1, 1, 1, 1]]
    before = tg.accuracy(model, sequences, sequences)
    history = quiet(
        model,
        sequences,
        sequences,
        validation=(sequences, sequences),
        epochs=20,
        batch_size=2,
        optimizer=tg.optim.Adam(model.parameters(), lr=0.2),
    )
    assert history.accuracy[-1] == tg.accuracy(model, sequences, sequences) == 1.0 > before
    assert history.validation_accuracy[-1] == 1.0
    assert all((12 * share) % 1 == pytest.approx(0.0) for share in history.accuracy)


def test_exact_decimals_learn_from_floats():
    w = tg.Value(nd.exact(nd.asarray([[1.0]]), 40))
    history = quiet(
        lambda x: x @ w, [[2.0]], [[6.0]], loss=tg.mse_loss, optimizer=tg.optim.SGD([w], lr=0.1), epochs=2, batch_size=1
    )
    assert type(w.data) is nd.Decimals and history.loss == [16.0, pytest.approx(0.64)]
    assert abs(w.data.tolist()[0][0] - Decimal("2.92")) < Decimal("1e-15")  # the rate is the float nearest to 0.1


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("make", [*INPUTS.values(), lambda X: torch_of(X)], ids=[*INPUTS, "torch"])
def test_torch(kind, make):
    import array_api_compat.torch as xp

    model = network(xp=xp)
    for p in model.parameters():
        p.data = xp.astype(p.data, getattr(xp, kind))
    labels = torch_of(Y).to(xp.int32)
    history = quiet(model, make(X), labels, batch_size=4, validation=(X, np.asarray(Y, dtype=np.uint8)))
    assert history.step_loss == [pytest.approx(x, rel=1e-5) for x in usual().step_loss]
    assert {p.data.dtype for p in model.parameters()} == {getattr(xp, kind)}
    assert tg.accuracy(model, make(X), labels) == tg.accuracy(model, X, Y)


def torch_of(x):
    import torch

    return torch.as_tensor(x)
