"""`fit` is the loop that a person would write, and `History` is what happened in it."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.training.networks import X, Y, by_hand, every_library, network, quiet, weights
from tinygrad_sm import nd

# --- the loop

OPTIMIZERS = {
    "SGD": lambda parameters: tg.optim.SGD(parameters, lr=0.3, momentum=0.9),
    "Adam": lambda parameters: tg.optim.Adam(parameters, lr=0.02),
}


@every_library
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(("epochs", "batch_size", "seed"), [(1, 32, 0), (3, 4, 0), (1, 1, 5), (2, 10, 10**20)])
def test_fit_is_the_loop_by_hand_bit_for_bit(xp, make, epochs, batch_size, seed):
    model, other = network(xp=xp), network(xp=xp)
    same = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    history = quiet(model, optimizer=make(model.parameters()), **same)
    assert history.step_loss == by_hand(other, X, Y, optimizer=make(other.parameters()), **same)
    assert weights(model) == weights(other)


def test_the_optimizer_is_adam_with_a_rate_of_a_hundredth():
    model, other = network(), network()
    history = quiet(model, epochs=2, batch_size=4)
    losses = by_hand(other, X, Y, optimizer=tg.optim.Adam(other.parameters(), lr=0.01), epochs=2, batch_size=4)
    assert history.step_loss == losses and weights(model) == weights(other)
    assert history.learning_rate == [0.01, 0.01]


@given(n=st.integers(1, 9), batch_size=st.integers(1, 12), epochs=st.integers(1, 3), seed=st.integers())
@settings(max_examples=25, deadline=None)
def test_every_epoch_sees_every_row_once_with_its_own_target(n, batch_size, epochs, seed):
    seen = []

    def model(x):
        return x * w

    def loss(outputs, targets):
        seen.append(targets.tolist())
        assert outputs.tolist() == [[2.0 * t] for t in targets.tolist()]
        return (outputs * 0.0).sum()

    w = tg.Value([2.0])
    quiet(model, [[float(i)] for i in range(n)], [*range(n)], loss=loss, optimizer=tg.optim.SGD([w], lr=1.0),
          epochs=epochs, batch_size=batch_size, seed=seed)  # fmt: skip
    del seen[0]  # the rows that are tried out first
    steps = -(-n // batch_size)
    assert [len(rows) for rows in seen] == [min(batch_size, n - start) for start in range(0, n, batch_size)] * epochs
    draw, order = random.Random(seed), [*range(n)]
    for epoch in range(epochs):
        draw.shuffle(order)
        assert [i for rows in seen[epoch * steps : (epoch + 1) * steps] for i in rows] == order


def test_the_order_follows_the_seed_and_is_another_in_every_epoch():
    def order(seed):
        rows = []

        class Spy(tg.nn.Linear):
            def forward(self, x):
                if self.training:
                    rows.extend(x.tolist())
                return super().forward(x)

        quiet(Spy(2, 2), epochs=2, batch_size=3, seed=seed)
        return rows

    assert order(1) == order(1) != order(2)
    assert order(1)[:11] != order(1)[11:] and sorted(order(1)[:11]) == sorted(order(1)[11:]) == sorted(X)


def test_without_a_seed_the_order_follows_manual_seed():
    def losses(n):
        model = network()
        tg.manual_seed(n)
        return quiet(model, seed=None, batch_size=1).step_loss

    assert losses(1) == losses(1) != losses(2)


def test_a_second_run_goes_on_where_the_first_one_ended():
    model, other = network(), network()
    both = tg.optim.Adam(model.parameters()), tg.optim.Adam(other.parameters())
    for _ in range(2):
        quiet(model, optimizer=both[0])
        by_hand(other, X, Y, optimizer=both[1])
    assert weights(model) == weights(other)


def test_parameters_that_the_optimizer_has_not_stay():
    model = network()
    before = weights(model)
    quiet(model, optimizer=tg.optim.SGD(model.layers[1].parameters(), lr=0.5))
    after = weights(model)
    assert [path for path in after if after[path] != before[path]] == ["layers.1.weight", "layers.1.bias"]


def test_a_function_of_values_is_a_model_too():
    w = tg.Value([[0.0], [0.0]])
    history = quiet(lambda x: x @ w, X, [[a - 2.0 * b] for a, b in X], loss=tg.mse_loss,
                    optimizer=tg.optim.SGD([w], lr=0.2), epochs=200)  # fmt: skip
    assert w.tolist() == [[pytest.approx(1.0)], [pytest.approx(-2.0)]]
    assert history.accuracy == []


def test_a_function_of_numpy_values_gets_numpy():
    w = tg.Value(np.zeros((2, 2), dtype=np.float32))
    quiet(lambda x: x @ w, optimizer=tg.optim.SGD([w], lr=0.2))
    assert w.data.dtype == np.float32 and w.data.any()


# --- what is measured


@every_library
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 10, 11, 50])
def test_losses_and_accuracies_are_means_over_the_rows_whatever_the_batches(xp, batch_size):
    model = network(xp=xp)
    history = quiet(model, optimizer=tg.optim.SGD(model.parameters(), lr=0.0), batch_size=batch_size, validation=(X[:5], Y[:5]))
    assert history.loss == [pytest.approx(tg.cross_entropy(model(X), Y).item())]
    assert history.accuracy == [tg.accuracy(model, X, Y)]
    assert history.validation_loss == [pytest.approx(tg.cross_entropy(model(X[:5]), Y[:5]).item())]
    assert history.validation_accuracy == [tg.accuracy(model, X[:5], Y[:5])]
    assert len(history.step_loss) == -(-11 // batch_size)


def test_the_lists_of_a_history():
    model = network()
    optimizer = tg.optim.SGD(model.parameters(), lr=0.5)
    scheduler = tg.optim.StepLR(optimizer, 2, gamma=0.1)
    history = quiet(model, optimizer=optimizer, scheduler=scheduler, epochs=5, batch_size=4, validation=(X, Y))
    assert history.learning_rate == [pytest.approx(x) for x in (0.5, 0.5, 0.05, 0.05, 0.005)]
    assert len(history.step_loss) == 15 and not history.interrupted
    for name in ("loss", "accuracy", "validation_loss", "validation_accuracy", "seconds"):
        assert len(getattr(history, name)) == 5, name
    by_epochs = [history.step_loss[i : i + 3] for i in range(0, 15, 3)]
    assert history.loss == [pytest.approx((4 * a + 4 * b + 3 * c) / 11) for a, b, c in by_epochs]
    assert all(type(x) is float for x in history.loss + history.accuracy + history.step_loss + history.validation_loss)
    assert min(history.seconds) > 0.0
    assert history.validation_loss[-1] == pytest.approx(tg.cross_entropy(model(X), Y).item())  # after the epoch


def test_the_repr_of_a_history_is_one_short_line():
    history = quiet(network(), validation=0.25)
    assert repr(history) == (
        f"History(1 epoch, loss={history.loss[0]:.4g}, accuracy={history.accuracy[0]:.4g}, "
        f"validation_loss={history.validation_loss[0]:.4g}, validation_accuracy={history.validation_accuracy[0]:.4g})"
    )
    history = quiet(network(2, 3, 1), X, [[a] for a, _ in X], loss=tg.mse_loss, epochs=2)
    assert repr(history) == f"History(2 epochs, loss={history.loss[1]:.4g})"
    assert repr(tg.History()) == "History(0 epochs)"


# --- validation


@every_library
def test_a_share_is_kept_back_and_never_learnt_from(xp):
    class Spy(tg.nn.Linear):
        def forward(self, x):
            rows = {*map(tuple, x.tolist())}
            (learnt if self.training else shown)[len(shown) + len(learnt)] = rows
            return super().forward(x)

    learnt, shown = {}, {}
    history = quiet(Spy(2, 2).to(xp), epochs=3, batch_size=4, validation=0.3)
    learnt, validated = set.union(*learnt.values()), [*shown.values()][1:]
    assert len(learnt) == 8 and [*map(len, validated)] == [3, 3, 3]
    assert validated[0] == validated[1] == validated[2] == {*map(tuple, X)} - learnt
    assert len(history.validation_loss) == 3


def test_the_share_follows_the_seed():
    def losses(seed):
        return quiet(network(), validation=0.5, batch_size=1, seed=seed).validation_loss

    assert losses(1) == losses(1) != losses(2)


def test_a_data_set_is_a_pair():
    data = tg.datasets.make_blobs(12, 2)
    assert len(quiet(network(), *data, validation=data).validation_accuracy) == 1
    assert len(quiet(network(), *data, validation=[*data]).validation_accuracy) == 1


def test_validation_does_not_change_what_is_learnt():
    model, other = network(), network()
    quiet(model, epochs=2, batch_size=3)
    quiet(other, epochs=2, batch_size=3, validation=(X, Y))
    assert weights(model) == weights(other)


# --- schedulers


def test_reduce_on_plateau_is_told_the_loss_of_the_validation():
    class Spy(tg.optim.ReduceLROnPlateau):
        def step(self, metrics):
            told.append(metrics)
            super().step(metrics)

    for validation in (None, (X, Y)):
        told = []
        model = network()
        optimizer = tg.optim.Adam(model.parameters())
        history = quiet(model, optimizer=optimizer, scheduler=Spy(optimizer), epochs=3, validation=validation)
        assert told == (history.validation_loss if validation else history.loss)


# --- losses


def probability_loss(probabilities, targets):
    return tg.cross_entropy(probabilities, targets, from_logits=False)


@every_library
def test_from_probabilities_and_log_probabilities_the_same_is_learnt(xp):
    plain = network(xp=xp)
    softmax = tg.nn.Sequential(network(xp=xp), tg.nn.Softmax())
    log_softmax = tg.nn.Sequential(network(xp=xp), tg.nn.LogSoftmax())
    settings = {"epochs": 5, "batch_size": 4}
    wanted = quiet(plain, **settings)
    for model, loss in ((softmax, probability_loss), (log_softmax, tg.nll_loss)):
        history = quiet(model, loss=loss, **settings)
        assert history.step_loss == [pytest.approx(x, rel=1e-9) for x in wanted.step_loss]
        assert history.accuracy == wanted.accuracy


def test_the_loss_may_be_a_module_and_of_one_element():
    wanted = quiet(network()).loss
    assert quiet(network(), loss=tg.nn.CrossEntropyLoss()).loss == wanted
    for xp in (nd, np):
        history = quiet(network(xp=xp), loss=lambda o, t: tg.cross_entropy(o, t).reshape(1, 1), validation=(X, Y))
        assert history.loss == [pytest.approx(wanted[0])]


@pytest.mark.parametrize("reduction", ["sum", "batchmean"])
def test_other_reductions(reduction):
    history = quiet(network(), loss=lambda o, t: tg.cross_entropy(o, t, reduction=reduction), batch_size=11)
    factor = 11 if reduction == "sum" else 1
    assert history.loss == [pytest.approx(factor * quiet(network(), batch_size=11).loss[0])]


@every_library
def test_regression_has_no_accuracy(xp):
    model = network(2, 8, 1, xp=xp, activation="tanh")
    y = [[a * b] for a, b in X]
    history = quiet(model, X, y, loss=tg.mse_loss, epochs=30, validation=0.2)
    assert history.accuracy == history.validation_accuracy == []
    assert history.loss[-1] < 0.9 * history.loss[0] and len(history.validation_loss) == 30
    whole = quiet(network(2, 8, 1, xp=xp), X, [[round(a)] for a, _ in X], loss=tg.mse_loss)
    assert whole.accuracy == [] and len(whole.loss) == 1


def test_a_model_may_give_more_than_an_array():
    class Two(tg.nn.Linear):
        def forward(self, x):
            return super().forward(x), (self.weight * self.weight).sum()

    history = quiet(Two(2, 2), loss=lambda pair, t: tg.cross_entropy(pair[0], t) + 0.1 * pair[1], validation=0.2)
    assert history.accuracy == [] and len(history.validation_loss) == 1


def test_whole_numbers_that_are_no_classes_of_the_outputs_have_no_accuracy():
    def yes_or_no(logits, targets):
        return tg.binary_cross_entropy(logits.reshape(-1), targets)

    assert quiet(network(2, 4, 1), loss=yes_or_no, validation=0.2).validation_accuracy == []

    class Twice(tg.nn.Linear):
        def forward(self, x):
            return tg.concat([super().forward(x), super().forward(-x)])

    history = quiet(Twice(2, 2), loss=lambda logits, targets: tg.cross_entropy(logits[: len(targets)], targets), validation=0.2)
    assert history.accuracy == history.validation_accuracy == []


def test_an_optimizer_without_a_rate():
    class Sign(tg.optim.Optimizer):
        def update(self, xp, data, gradient, state):
            return data - 0.01 * xp.sign(gradient), state

    model = network()
    history = quiet(model, optimizer=Sign(model.parameters()), epochs=2)
    assert history.learning_rate == [] and history.loss[1] < history.loss[0]
