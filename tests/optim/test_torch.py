"""Beside PyTorch, in float64: a hundred steps on the same problem, under every combination of switches and every scheduler."""

import math

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.optimizers import CASES, FULL
from tinygrad_sm import nd, optim

pytestmark = pytest.mark.heavy
DRAW = np.random.default_rng(0)
X, LABELS = DRAW.normal(size=(8, 4)), DRAW.integers(0, 3, size=8)
WEIGHT, BIAS = DRAW.normal(size=(4, 3)), DRAW.normal(size=3)


@pytest.fixture(scope="module")
def torch():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for a few numbers more of them cost more than they help
    yield torch
    torch.set_num_threads(threads)


def ours(make, epochs=100, prepare=lambda optimizer: None, after=lambda scheduler, loss: None):
    """The parameters after each epoch, with our engine on our own arrays."""
    weight, bias = tg.Value(WEIGHT.tolist()), tg.Value(BIAS.tolist())
    inputs, found = nd.asarray(X), []
    optimizer = make(optim, weight, bias)
    scheduler = prepare(optimizer)
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = tg.cross_entropy(inputs @ weight + bias, LABELS.tolist())
        loss.backward()
        optimizer.step()
        after(scheduler, loss)
        found.append([*np.ravel(weight.tolist()), *bias.tolist()])
    return np.asarray(found)


def theirs(torch, make, epochs=100, prepare=lambda optimizer: None, after=lambda scheduler, loss: None):
    """The same with PyTorch."""
    weight, bias = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (WEIGHT, BIAS))
    inputs, labels, found = torch.tensor(X), torch.tensor(LABELS), []
    optimizer = make(torch.optim, weight, bias)
    scheduler = prepare(optimizer)
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(inputs @ weight + bias, labels)
        loss.backward()
        optimizer.step()
        after(scheduler, loss)
        found.append([*weight.detach().numpy().ravel(), *bias.detach().numpy()])
    return np.asarray(found)


def assert_agree(a, b):
    """1e-10 of the size of the parameters."""
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max())


@pytest.mark.parametrize(("optimizer", "switches"), CASES)
def test_every_combination_of_switches(torch, optimizer, switches):
    def make(library, *parameters):
        return getattr(library, optimizer.__name__)(parameters, **switches)

    assert_agree(ours(make), theirs(torch, make))


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_the_defaults(torch, optimizer):
    def make(library, *parameters):
        return getattr(library, optimizer)(parameters, **{"lr": 1e-3} if optimizer == "SGD" else {})

    assert_agree(ours(make), theirs(torch, make))


@pytest.mark.parametrize(("optimizer", "switches"), FULL)
def test_groups_with_settings_of_their_own(torch, optimizer, switches):
    def make(library, weight, bias):
        groups = [{"params": [weight]}, {"params": [bias], "lr": 0.02, "weight_decay": 0.0}]
        return getattr(library, optimizer.__name__)(groups, **switches)

    assert_agree(ours(make), theirs(torch, make))


SCHEDULERS = {
    "StepLR": lambda s, o: s.StepLR(o, 7, 0.75),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [10, 30, 30, 31], 0.5),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.97),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.125, 0.75, 13),
    "LinearLR by default": lambda s, o: s.LinearLR(o),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 12, 0.01),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 1 / math.sqrt(1 + epoch)),
    "LambdaLR of groups": lambda s, o: s.LambdaLR(o, [lambda epoch: 0.9**epoch, lambda epoch: 1 / (1 + epoch)]),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 20), s.ExponentialLR(o, 0.9)], [5, 25]
    ),
}


def two_groups(library, weight, bias):
    return library.SGD([{"params": [weight]}, {"params": [bias], "lr": 0.03}], lr=0.5, momentum=0.5)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler(torch, name):
    rates = []

    def run(train, library, *first):
        kept = []

        def after(scheduler, loss):
            scheduler.step()
            kept.append(scheduler.get_last_lr())

        parameters = train(*first, two_groups, prepare=lambda optimizer: SCHEDULERS[name](library, optimizer), after=after)
        rates.append(np.asarray(kept))
        return parameters

    assert_agree(run(ours, optim), run(theirs, torch.optim.lr_scheduler, torch))
    np.testing.assert_allclose(*rates, rtol=1e-12, atol=1e-15)


def test_schedulers_on_top_of_each_other(torch):
    def prepare(library):
        return lambda o: [library.LinearLR(o, 0.25, total_iters=6), library.ExponentialLR(o, 0.95), library.StepLR(o, 10, 0.5)]

    def after(schedulers, loss):
        for scheduler in schedulers:
            scheduler.step()

    here = ours(two_groups, prepare=prepare(optim), after=after)
    assert_agree(here, theirs(torch, two_groups, prepare=prepare(torch.optim.lr_scheduler), after=after))


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("patience", [0, 2])
@pytest.mark.parametrize("cooldown", [0, 3])
@pytest.mark.parametrize(("min_lr", "eps"), [(0.0, 1e-8), (0.0, 0.005), ([0.01, 0.02], 1e-8)])
def test_plateaus(torch, mode, threshold_mode, patience, cooldown, min_lr, eps):
    metrics = [*np.cumsum(np.random.default_rng(1).normal(size=100)) + 5.0]
    metrics[40] = math.nan
    settings = {"mode": mode, "threshold_mode": threshold_mode, "patience": patience, "cooldown": cooldown}
    settings |= {"min_lr": min_lr, "eps": eps, "factor": 0.7, "threshold": 0.05}
    here = optim.SGD([{"params": [tg.Value(1.0)]}, {"params": [tg.Value(1.0)], "lr": 0.3}], lr=0.5)
    there = torch.optim.SGD([{"params": [torch.ones(1)]}, {"params": [torch.ones(1)], "lr": 0.3}], lr=0.5)
    a = optim.ReduceLROnPlateau(here, **settings)
    b = torch.optim.lr_scheduler.ReduceLROnPlateau(there, **settings)
    for metric in metrics:
        a.step(metric)
        b.step(metric)
        assert a.get_last_lr() == b.get_last_lr()
        assert (a.best, a.num_bad_epochs, a.cooldown_counter) == (b.best, b.num_bad_epochs, b.cooldown_counter)


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 1e3])
def test_clipping(torch, max_norm):
    gradients = [DRAW.normal(size=(3, 2)), DRAW.normal(size=4)]
    values, tensors = [tg.Value(g.tolist()) for g in gradients], [torch.tensor(g, requires_grad=True) for g in gradients]
    for v, t, g in zip(values, tensors, gradients, strict=True):
        v.grad, t.grad = nd.asarray(g), torch.tensor(g)
    there = torch.nn.utils.clip_grad_norm_(tensors, max_norm)
    assert optim.clip_grad_norm(values, max_norm) == pytest.approx(float(there), rel=1e-14)
    for v, t in zip(values, tensors, strict=True):
        np.testing.assert_allclose(v.grad.tolist(), t.grad.tolist(), rtol=1e-13)
    torch.nn.utils.clip_grad_value_(tensors, 0.05)
    optim.clip_grad_value(values, 0.05)
    for v, t in zip(values, tensors, strict=True):
        np.testing.assert_allclose(v.grad.tolist(), t.grad.tolist(), rtol=1e-13)


@pytest.mark.parametrize(("optimizer", "switches"), FULL)
@pytest.mark.parametrize("width", ["float64", "float32", "bfloat16"])
def test_tensors_of_torch_stay_what_they_are(torch, optimizer, switches, width):
    dtype = getattr(torch, width)
    w = tg.Value(torch.tensor(WEIGHT, dtype=dtype))
    reference = torch.tensor(WEIGHT, dtype=dtype, requires_grad=True)
    before, here = w.data, optimizer([w], **switches)
    there = getattr(torch.optim, optimizer.__name__)([reference], **switches)
    for _ in range(20):
        w.grad = reference.grad = torch.tensor(WEIGHT, dtype=dtype) * 0.5
        here.step()
        there.step()
    assert w.dtype == dtype and not w.data.requires_grad
    assert all(x.dtype == dtype for key, x in here.state[w].items() if key != "step")
    assert (before == torch.tensor(WEIGHT, dtype=dtype)).all()
    tolerance = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.1}[width]
    np.testing.assert_allclose(w.data.double().numpy(), reference.detach().double().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("optimizer", "switches"), FULL)
def test_a_state_that_torch_saved_continues_here(torch, optimizer, switches):
    gradient = torch.tensor(WEIGHT) * 0.5
    reference = torch.tensor(WEIGHT, requires_grad=True)
    there = getattr(torch.optim, optimizer.__name__)([reference], **switches)
    for _ in range(5):
        reference.grad = gradient
        there.step()
    w = tg.Value(reference.detach().tolist())
    here = optimizer([w], lr=1.0)
    here.load_state_dict(there.state_dict())
    for _ in range(5):
        w.grad = nd.asarray(gradient.tolist())
        here.step()
        there.step()
    np.testing.assert_allclose(w.tolist(), reference.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize(("optimizer", "switches"), FULL)
def test_the_state_moves_between_torch_and_decimals(torch, optimizer, switches):
    w, stays = tg.Value(torch.tensor(WEIGHT)), tg.Value(WEIGHT.tolist())
    moving, staying = optimizer([w], **switches), optimizer([stays], **switches)
    for make in (torch.tensor, nd.exact, torch.tensor, nd.asarray):
        w.data, w.grad = make(np.asarray(w.tolist(), dtype=float)), make(WEIGHT)
        stays.grad = nd.asarray(WEIGHT)
        moving.step()
        staying.step()
    np.testing.assert_allclose(w.tolist(), stays.tolist(), rtol=1e-13)
