"""A loss or a gradient that is not finite ends the run before the step, with a sentence that names where it began."""

import re
from math import inf, nan

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.training.networks import by_hand, every_library, network, points, weights
from tinygrad_sm import nd
from tinygrad_sm.graph import Value

X, Y = points(6)


class Turning(tg.nn.Module):
    """A network whose logits go through `function` from a step on."""

    def __init__(self, network, function, step):
        self.network, self.function, self.step, self.steps = network, function, step, 0

    def forward(self, x):
        logits = self.network(x)
        self.steps += self.training
        return self.function(logits) if self.training and self.steps >= self.step else logits


def failing(model, *, batch_size=2, **settings):
    with pytest.raises(FloatingPointError) as caught:
        tg.fit(model, X, Y, progress=False, batch_size=batch_size, **settings)
    return caught.value


def squares(outputs, targets):
    """A loss that hides nothing."""
    return (outputs * outputs).sum()


def library(z):
    return np if isinstance(z.data, np.ndarray) else nd


def huge(z):
    return tg.exp(1e4 * abs(z) + 1e3)


def mask_for(z):
    return Value(library(z).asarray([[0.0, -inf]]), name="mask", requires_grad=False)


def masked(z):
    """The logits with a mask, once as plain data and once as a constant Value."""
    return tg.where([[True, False]], z, -inf) + mask_for(z)


@tg.fused
def square_root_less_100(xp, x):
    return xp.sqrt(x - 100.0)


@square_root_less_100.backward
def _(xp, g, out, x):
    return 0.5 * g / out


# what turns, and what the sentence blames
FORWARD = {
    "log": (lambda z: tg.log(z - 100.0), "turned nan", "it was first made by log of numbers from -1"),
    "sqrt": (lambda z: tg.sqrt(z - 100.0), "turned nan", "it was first made by sqrt of numbers from -1"),
    "exp": (huge, "turned inf", "it was first made by exp of numbers from "),
    "divide": (lambda z: z / (z - z), "turned inf", "it was first made by divide of numbers from -", "from 0 to 0"),
    "infinity less infinity": (
        lambda z: (e := huge(z)) - 2.0 * e,
        "turned nan",
        "it was first made by subtract of numbers from inf to inf",
        "out of an infinity that was first made by exp of numbers from ",
    ),
    "softmax by hand": (
        lambda z: huge(z) / huge(z).sum(axis=-1, keepdims=True),
        "turned nan",
        "it was first made by divide of",
        "out of an infinity that was first made by exp of numbers from ",
    ),
    "a fused op": (
        lambda z: 3.0 * square_root_less_100(z),
        "turned nan",
        "it was first made by square_root_less_100 of numbers from -",
    ),
    "behind a mask": (
        lambda z: tg.log(tg.softmax(masked(z)) * z - 100.0),
        "turned nan",
        "it was first made by log of numbers from -1",
    ),
    "an infinity behind a mask": (lambda z: huge(tg.softmax(masked(z)) + z), "turned inf", "it was first made by exp of"),
    "an infinity beside a mask": (
        lambda z: (m := tg.where([[True, False]], huge(z), -inf)) - m.max(axis=-1, keepdims=True),
        "turned nan",
        "it was first made by subtract of numbers from -inf to inf",
        "out of an infinity that was first made by exp of",
    ),
    "an infinity added to a mask": (
        lambda z: (m := mask_for(z) + huge(z)) - m.max(axis=-1, keepdims=True),
        "turned nan",
        "out of an infinity that was first made by exp of",
    ),
    "a mask of everything": (
        lambda z: (m := tg.where([[False, False]], z, -inf)) - m.max(axis=-1, keepdims=True),
        "turned nan",
        "it was first made by subtract of numbers from -inf to -inf",
        "out of an infinity that was part of the plain data of where of numbers from -",
    ),
    "a Value that holds it": (
        lambda z: z * Value(nan, name="scale", requires_grad=False),
        "turned nan",
        "it was there before, in scale of shape ()",
    ),
    "plain data": (lambda z: z + library(z).asarray([nan, 0.0]), "turned nan", "it was part of the plain data of add of"),
}


@every_library
@pytest.mark.parametrize(("function", "words"), [(f, w) for f, *w in FORWARD.values()], ids=FORWARD)
def test_a_loss_that_is_not_finite(xp, function, words):
    step, epoch = 5, 2
    model = Turning(network(xp=xp), function, step)
    error = failing(model, epochs=3, loss=squares)
    sentence = str(error)
    assert all(word in sentence for word in words), sentence
    assert re.match(rf"fit: the loss turned (nan|inf) at step {step} \(epoch {epoch}\); it was ", sentence)
    assert sentence.endswith("The weights are those before this step")
    assert "mask" not in sentence
    other = network(xp=xp)
    optimizer = tg.optim.Adam(other.parameters(), lr=0.01)
    losses = by_hand(other, X, Y, optimizer=optimizer, loss=squares, epochs=3, batch_size=2, steps=step - 1)
    assert weights(model.network) == weights(other)
    assert error.history.step_loss == losses and len(error.history.loss) == epoch - 1
    assert model.training and model.network.training


def rootless(z):
    """The root of zeros: its value is finite, and its slope is not."""
    return tg.sqrt(z * 0.0) + z


BACKWARD = {
    "sqrt": (rootless, "the backward rule of sqrt of numbers from 0 to 0"),
    "pow": (lambda z: (z * 0.0) ** 0.5 + z, "the backward rule of pow of numbers from 0 to 0"),
    "behind a finite factor": (lambda z: 1e-3 * rootless(z * 2.0), "the backward rule of sqrt of numbers from 0 to 0"),
}


@every_library
@pytest.mark.parametrize(("function", "words"), BACKWARD.values(), ids=BACKWARD)
def test_a_gradient_that_is_not_finite(xp, function, words):
    model = Turning(network(xp=xp), function, 4)
    error = failing(model, epochs=3)
    assert re.match(
        r"fit: the gradient of network\.layers\.\d\.(weight|bias) is not finite at step 4 \(epoch 2\); ", str(error)
    )
    assert f"it was first made by {words}" in str(error)
    other = network(xp=xp)
    losses = by_hand(other, X, Y, optimizer=tg.optim.Adam(other.parameters(), lr=0.01), epochs=2, batch_size=2, steps=3)
    assert weights(model.network) == weights(other) and error.history.step_loss == losses
    assert not any(p.has_grad for p in model.parameters())


@every_library
def test_gradients_that_only_together_are_too_large(xp):
    w = Value(xp.asarray([0.5]), name="w")
    with pytest.raises(FloatingPointError, match=r"the gradient of w is not finite at step 1 .* several gradients add up"):
        tg.fit(
            lambda x: (v := w * 1.0) * 1e308 + v * 1e308 + v * 1e308,
            [1.0],
            [0.0],
            loss=lambda outputs, targets: outputs.sum(),
            optimizer=tg.optim.SGD([w], lr=0.1),
            progress=False,
        )
    assert w.tolist() == [0.5]


@every_library
def test_a_probability_of_zero_at_the_target(xp):
    model = tg.nn.Sequential(network(xp=xp), lambda z: 1e5 * z, tg.nn.Softmax())
    error = failing(model, loss=lambda p, t: tg.cross_entropy(p, t, from_logits=False))
    assert "the loss turned inf at step" in str(error)
    assert "first made by cross_entropy of numbers from 0 to 1 (shape (2, 2))" in str(error)
    # the same from logits is no trouble at all
    tg.fit(tg.nn.Sequential(network(xp=xp), lambda z: 1e5 * z), X, Y, progress=False)


@every_library
@pytest.mark.parametrize("rate", [1e200, 1e306])
def test_a_huge_learning_rate(xp, rate):
    model = network(xp=xp)
    error = failing(model, loss=squares, optimizer=tg.optim.SGD(model.parameters(), lr=rate))
    assert re.search(r"turned (nan|inf) at step 2 \(epoch 1\)", str(error)) and "made by linear of numbers from" in str(error)
    other = network(xp=xp)
    losses = by_hand(other, X, Y, optimizer=tg.optim.SGD(other.parameters(), lr=rate), loss=squares, batch_size=2, steps=1)
    assert weights(model) == weights(other) and error.history.step_loss == losses


@every_library
def test_weights_that_are_infinite_are_named(xp):
    model = network(xp=xp)
    model.layers[0].weight.data = model.layers[0].weight.data * inf
    assert "there before, in layers.0.weight of shape (4, 2)" in str(failing(model))


@every_library
def test_attention_is_not_blamed_for_its_mask(xp):
    tg.manual_seed(0)
    attend = tg.nn.MultiHeadAttention(2, 1, causal=True)
    tail = tg.nn.Linear(2, 2)
    model = tg.nn.Sequential(tg.nn.Embedding(3, 2), attend, lambda x: tg.log(x - 90.0), tail).to(xp)
    with pytest.raises(
        FloatingPointError, match=r"turned nan at step 1 \(epoch 1\); it was first made by log of numbers from -8"
    ):
        tg.fit(model, [[0, 1, 2]] * 4, [[1, 0, 1]] * 4, progress=False)


@every_library
def test_what_is_large_but_finite_goes_on(xp):
    model = network(xp=xp)
    tiny = tg.optim.SGD(model.parameters(), lr=1e-310)
    history = tg.fit(model, X, Y, progress=False, epochs=1, optimizer=tiny, batch_size=2,
                     loss=lambda o, t: tg.cross_entropy(o, t) * 1e308)  # fmt: skip
    assert len(history.step_loss) == 3 and min(history.step_loss) > 1e307


@every_library
def test_gradients_whose_sum_overflows_are_finite(xp):
    w = Value(xp.asarray([0.0, 0.0, 0.0]))
    optimizer = tg.optim.SGD([w], lr=1e-308)
    tg.fit(lambda x: w * 1e308, [1.0], [0.0], loss=lambda o, t: o.sum(), optimizer=optimizer, epochs=1, progress=False)
    assert w.tolist() == [pytest.approx(-1.0)] * 3


@every_library
def test_a_validation_loss_that_is_infinite_is_recorded(xp):
    class Weak(tg.nn.Linear):
        def forward(self, x):
            p = tg.softmax(super().forward(x))
            return p if self.training else tg.where(p < 0.5, 0.0, p * 0.0 + 1.0)

    tg.manual_seed(0)
    model = Weak(2, 2).to(xp)
    loss = lambda p, t: tg.cross_entropy(p, t, from_logits=False)  # noqa: E731
    history = tg.fit(model, X, Y, progress=False, epochs=2, loss=loss, validation=(X, [0, 1, 1, 0, 0, 1]))
    assert history.validation_loss == [inf, inf] and len(history.loss) == 2
