"""gumbel_softmax: its noise, its formula, its hard rows, and the gradient of the soft ones."""

import math
import random

import array_api_strict
import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.graphs import ops_of
from tinygrad_sm import nd
from tinygrad_sm.family import sampling
from tinygrad_sm.graph.value import nested_lists

Z = [[0.5, -2.0, 1.0], [3.0, 0.25, 2.5]]
NOISE = [[0.25, 2.0, -0.5], [-0.75, 1.5, 0.125]]
WEIGHTS = [[0.7, -0.2, 1.3], [0.4, -1.1, 0.9]]


def softmax(row):
    terms = [math.exp(v - max(row)) for v in row]
    return [e / math.fsum(terms) for e in terms]


# --- the noise


def test_classes_come_as_often_as_softmax_says():
    """Pearson's statistic of 3000 samples, of 3 degrees of freedom: above 16.3 once in a thousand. The seed is fixed."""
    z, n = [0.0, 1.0, -1.0, 0.5], 3000
    for temperature in (0.1, 5.0):
        tg.manual_seed(7)
        samples = tg.gumbel_softmax(nd.broadcast_to(nd.asarray(z), (n, 4)), temperature=temperature, hard=True)
        counts = tg.sum(samples, axis=0).tolist()
        wanted = [n * p for p in softmax(z)]
        assert math.fsum(counts) == n
        assert math.fsum((a - b) ** 2 / b for a, b in zip(counts, wanted, strict=True)) < 16.3


def test_noise_is_minus_log_of_an_exponential_from_the_seeded_generator():
    z = tg.Value([[0.0] * 50] * 40)
    tg.manual_seed(3)
    node = tg.gumbel_softmax(z)
    noise = node.inputs[1]
    tg.manual_seed(3)
    assert noise.tolist() == [[-math.log(-math.log(u)) for u in row] for row in tg.rand(40, 50).tolist()]
    flat = [v for row in noise.tolist() for v in row]
    assert abs(math.fsum(flat) / 2000 - 0.5772156649) < 0.1  # Euler's constant; the standard deviation is pi / sqrt(6)
    assert abs(math.fsum(v * v for v in flat) / 2000 - 0.5772156649**2 - math.pi**2 / 6) < 0.35


def test_every_call_draws_anew_and_a_seed_repeats_it():
    tg.manual_seed(1)
    first, second = tg.gumbel_softmax(Z), tg.gumbel_softmax(Z)
    assert first.tolist() != second.tolist()
    tg.manual_seed(1)
    assert tg.gumbel_softmax(z=Z).tolist() == first.tolist()
    assert tg.gumbel_softmax(Z, noise=None).tolist() == second.tolist()


def test_given_noise_leaves_the_generator_alone():
    tg.manual_seed(1)
    wanted = tg.rand(1).tolist()
    tg.manual_seed(1)
    tg.gumbel_softmax(Z, noise=NOISE, hard=True)
    assert tg.rand(1).tolist() == wanted


@pytest.mark.parametrize("u", [0.0, 2.0**-53, 0.5, 1.0 - 2.0**-53])
def test_noise_is_finite_at_the_ends_of_the_generator(u, monkeypatch):
    monkeypatch.setattr(sampling, "rand", lambda sizes: nd.full(sizes, u))
    noise = sampling.gumbel_noise(nd.zeros((2,)))
    assert all(math.isfinite(v) and abs(v) < 40 for v in noise.tolist())
    assert noise.tolist() == sorted(noise.tolist())


KINDS = {
    "nd": nd.asarray,
    "exact": lambda x: nd.exact(x, 50),
    "numpy": lambda x: np.asarray(x, dtype=np.float64),
    "float32": lambda x: np.asarray(x, dtype=np.float32),
    "strict": lambda x: array_api_strict.asarray(x, dtype=array_api_strict.float64),
}
every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


@every_kind
def test_the_noise_is_of_the_kind_of_the_logits(make):
    z = make(Z)
    node = tg.gumbel_softmax(tg.Value(z))
    assert type(node.inputs[1]) is type(z) and node.inputs[1].dtype == z.dtype == node.dtype
    assert node.inputs[1].shape == z.shape
    tg.manual_seed(5)
    drawn = tg.gumbel_softmax(z)
    tg.manual_seed(5)
    own = tg.gumbel_softmax(Z)
    assert np.allclose(np.asarray(nested_lists(drawn), dtype=float), np.asarray(own.tolist()), rtol=1e-6)


def test_single_numbers_and_ints():
    assert tg.gumbel_softmax(2.0, axis=None) == 1.0
    assert tg.gumbel_softmax([1, 2], noise=[0, 0]).tolist() == tg.softmax([1.0, 2.0]).tolist()
    assert tg.gumbel_softmax([1.0, 2.0], noise=0.0).tolist() == tg.softmax([1.0, 2.0]).tolist()
    assert tg.gumbel_softmax(nd.zeros((0, 3))).shape == (0, 3)


# --- the formula and its gradient


def test_it_is_softmax_of_logits_and_noise():
    for axis in (-1, 0, None, (0, 1)):
        noisy = (nd.asarray(Z) + nd.asarray(NOISE)) / 0.7
        got = tg.gumbel_softmax(Z, noise=NOISE, temperature=0.7, axis=axis)
        assert np.allclose(np.asarray(got.tolist()), np.asarray(tg.softmax(noisy, axis=axis).tolist()), rtol=1e-14)
    rows = [softmax([(a + b) / 0.7 for a, b in zip(*pair, strict=True)]) for pair in zip(Z, NOISE, strict=True)]
    assert np.allclose(np.asarray(tg.gumbel_softmax(Z, noise=NOISE, temperature=0.7).tolist()), rows, rtol=1e-14)


def gradients(op, make, hard, temperature, axis=-1):
    """The sample, its gradients for logits, noise and temperature, and second derivatives, all along WEIGHTS."""
    inputs = [tg.Value(make(Z)), tg.Value(make(NOISE)), tg.Value(make(temperature))]
    sample = op(inputs[0], noise=inputs[1], temperature=inputs[2], hard=hard, axis=axis)
    first = tg.grad((sample * make(WEIGHTS)).sum(), inputs, create_graph=True)
    second = tg.grad((first[0] * make(NOISE)).sum() + first[2].sum(), inputs)
    return sample, [sample.data, *(g.data for g in first), *second]


def assert_close(got, wanted, tolerance):
    for a, b in zip(got, wanted, strict=True):
        a, b = (np.asarray(nested_lists(x), dtype=object).ravel().tolist() for x in (a, b))
        assert all(abs(x - y) <= type(y)(tolerance) * (1 + abs(y)) for x, y in zip(a, b, strict=True))


@every_kind
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(("temperature", "axis"), [([[0.5], [2.0]], -1), ([[1.5]], 0)])
def test_the_rule_is_that_of_the_definition(make, hard, temperature, axis):
    sample, by_rule = gradients(tg.gumbel_softmax, make, hard, temperature, axis)
    composed, by_definition = gradients(tg.gumbel_softmax.composed, make, hard, temperature, axis)
    assert sample.op is tg.gumbel_softmax
    assert not any(isinstance(op, tg.graph.Fused) for op in ops_of(composed))
    exact, single = make is KINDS["exact"], make is KINDS["float32"]
    assert_close(by_rule, by_definition, 1e-40 if exact else 1e-5 if single else 1e-13)
    assert [*map(nested_lists, (by_rule[1], by_rule[4]))] == [*map(nested_lists, (by_rule[2], by_rule[5]))]


@every_kind
def test_the_gradient_is_that_of_softmax(make):
    """Of what softmax says of (z + noise) / T, in primitives."""
    with tg.composed():
        inputs = [tg.Value(make(Z)), tg.Value(make(NOISE)), tg.Value(make([[0.5], [2.0]]))]
        loss = (tg.softmax((inputs[0] + inputs[1]) / inputs[2]) * make(WEIGHTS)).sum()
        wanted = tg.grad(loss, inputs)
    for hard in (False, True):
        got = gradients(tg.gumbel_softmax, make, hard, [[0.5], [2.0]])[1]
        assert_close(got[1:4], wanted, 1e-40 if make is KINDS["exact"] else 1e-5 if make is KINDS["float32"] else 1e-13)


def test_composed_and_fused_calls_after_one_seed_are_of_one_sample():
    samples = []
    for op in (tg.gumbel_softmax, tg.gumbel_softmax.composed):
        tg.manual_seed(11)
        z = tg.Value(Z)
        sample = op(z, hard=True)
        samples.append((sample.tolist(), *np.round(tg.grad((sample * nd.asarray(WEIGHTS)).sum(), z).tolist(), 12).tolist()))
    assert samples[0] == samples[1]


def test_a_node_is_true_to_its_noise():
    """Value and gradient of one sample, whatever is drawn in between."""
    z = tg.Value(Z)
    sample = tg.gumbel_softmax(z, temperature=0.5)
    again = tg.gumbel_softmax(z, noise=sample.inputs[1], temperature=0.5)
    tg.gumbel_softmax(z)
    assert sample.tolist() == again.tolist()
    assert tg.grad(sample[0, 0], z).tolist() == tg.grad(again[0, 0], z).tolist()


# --- hard rows


@every_kind
def test_hard_rows_are_one_hot_exactly(make):
    rng = random.Random("hard")
    z = [[rng.gauss(0.0, 3.0) for _ in range(4)] for _ in range(50)]
    noise = [[rng.gauss(0.0, 3.0) for _ in range(4)] for _ in range(50)]
    for axis in (-1, 0):
        sample = tg.gumbel_softmax(make(z), noise=make(noise), hard=True, axis=axis)
        got = np.asarray(nested_lists(sample), dtype=float)
        best = (np.asarray(z) + np.asarray(noise)).argmax(axis=axis)
        assert (got == np.moveaxis(np.eye(got.shape[axis])[best], -1, axis)).all()


@every_kind
def test_the_first_of_equals_is_chosen(make):
    z, zeros = [[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]], [[0.0] * 3] * 2
    assert nested_lists(tg.gumbel_softmax(make(z), noise=make(zeros), hard=True)) == [[1, 0, 0], [0, 1, 0]]


def test_the_largest_is_chosen_where_the_softmax_cannot_tell():
    z = [[0.0, 1e-17], [1e-17, 0.0]]
    hard = tg.gumbel_softmax(z, noise=0.0, hard=True)
    assert tg.softmax(z).tolist() == [[0.5, 0.5]] * 2 and hard.tolist() == [[0.0, 1.0], [1.0, 0.0]]


# --- mistakes


MISTAKES = {
    "noise by position": (lambda: tg.gumbel_softmax([0.0, 1.0], [0.0, 1.0]), TypeError, "^gumbel_softmax: hard is True or"),
    "no logits": (lambda: tg.gumbel_softmax(), TypeError, "^gumbel_softmax: needs"),
    "text": (lambda: tg.gumbel_softmax("z"), TypeError, "^gumbel_softmax: needs a number"),
    "bools": (lambda: tg.gumbel_softmax([True, False]), TypeError, "^gumbel_softmax: got booleans"),
    "bools as noise": (lambda: tg.gumbel_softmax([0.0], noise=[True]), TypeError, "^gumbel_softmax: got booleans"),
    "axis": (lambda: tg.gumbel_softmax([0.0], axis=1), tg.AxisError, "^gumbel_softmax: axis 1 is out of range"),
    "a number": (lambda: tg.gumbel_softmax(0.0), tg.AxisError, "^gumbel_softmax: axis -1 of a 0-d input"),
    "hard and all axes": (
        lambda: tg.gumbel_softmax(Z, axis=None, hard=True),
        TypeError,
        "^gumbel_softmax with hard=True: an axis",
    ),
    "temperature 0": (lambda: tg.gumbel_softmax(Z, temperature=0.0), ValueError, "^gumbel_softmax: a temperature is positive"),
    "temperatures": (
        lambda: tg.gumbel_softmax(Z, temperature=[1.0, 2.0, 3.0]),
        ValueError,
        "^gumbel_softmax: a temperature is",
    ),
    "shape of the noise": (lambda: tg.gumbel_softmax([0.0, 1.0], noise=NOISE), ValueError, r"^gumbel_softmax: noise"),
    "another": (lambda: tg.gumbel_softmax(Z, noise=[0.0, 1.0]), ValueError, r"^gumbel_softmax: .*noise"),
    "an unknown word": (lambda: tg.gumbel_softmax(Z, tau=1.0), TypeError, "^gumbel_softmax: has no tau"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_end_in_a_sentence(mistake):
    call, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        call()


# --- PyTorch


@pytest.mark.heavy
@pytest.mark.parametrize("hard", [False, True])
def test_like_torch(hard):
    """PyTorch's own function takes no noise, so its formula: the straight-through trick on softmax((z + noise) / T)."""
    import torch

    z = torch.tensor(Z, dtype=torch.float64, requires_grad=True)
    soft = ((z + torch.tensor(NOISE, dtype=torch.float64)) / 0.7).softmax(-1)
    one_hot = torch.nn.functional.one_hot(soft.argmax(-1), 3).to(soft.dtype)
    wanted = one_hot - soft.detach() + soft if hard else soft
    (wanted * torch.tensor(WEIGHTS, dtype=torch.float64)).sum().backward()
    for make in (list, lambda x: torch.tensor(x, dtype=torch.float64)):
        ours = tg.Value(make(Z))
        got = tg.gumbel_softmax(ours, noise=make(NOISE), temperature=0.7, hard=hard)
        gradient = tg.grad((got * tg.Value(make(WEIGHTS), requires_grad=False)).sum(), ours)
        assert np.allclose(np.asarray(got.tolist()), wanted.detach().numpy(), rtol=1e-13, atol=1e-15)
        assert np.allclose(np.asarray(gradient.tolist()), z.grad.numpy(), rtol=1e-12)
    assert tg.gumbel_softmax(tg.Value(torch.tensor(Z))).inputs[1].dtype == torch.float32
