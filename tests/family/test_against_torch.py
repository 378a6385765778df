"""Every loss against PyTorch's function of the same meaning: values and gradients on our own arrays to 1e-12."""

import random

import pytest

import tinygrad_sm as tg

pytestmark = pytest.mark.heavy

SHAPE = (4, 3, 5)
REDUCTIONS = ["none", "sum", "mean"]


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


def array(rng, shape, draw):
    """Nested lists of drawn numbers."""
    return [array(rng, shape[1:], draw) for _ in range(shape[0])] if shape else draw(rng)


def normal(rng):
    return rng.gauss(0.0, 3.0)


def labels(rng, shape, classes):
    return array(rng, shape, lambda rng: rng.randrange(classes))


def hinge_of_signs(F, s, t, reduction, margin=1.0):
    losses = (margin - t * s).clamp(min=0.0)
    return losses if reduction == "none" else getattr(losses, reduction)()


# name: (ours, PyTorch's, inputs that get a gradient, what else there is). PyTorch has the classes on axis 1.
LOSSES = {
    "cross_entropy, indices": (
        lambda z, t, r: tg.cross_entropy(z, t, axis=1, reduction=r),
        lambda F, z, t, r: F.cross_entropy(z, t, reduction=r),
        [normal],
        3,
    ),
    "cross_entropy, probabilities": (
        lambda z, t, r: tg.cross_entropy(z, tg.softmax(t, axis=1), axis=1, reduction=r),
        lambda F, z, t, r: F.cross_entropy(z, t.softmax(1), reduction=r),
        [normal, normal],
        None,
    ),
    "cross_entropy, from probabilities": (
        lambda z, t, r: tg.cross_entropy(tg.softmax(z, axis=1), t, axis=1, reduction=r, from_logits=False),
        lambda F, z, t, r: F.nll_loss(z.softmax(1).log(), t, reduction=r),
        [normal],
        3,
    ),
    "nll_loss": (
        lambda z, t, r: tg.nll_loss(tg.log_softmax(z, axis=1), t, axis=1, reduction=r),
        lambda F, z, t, r: F.nll_loss(F.log_softmax(z, 1), t, reduction=r),
        [normal],
        3,
    ),
    "binary_cross_entropy": (
        lambda z, t, r: tg.binary_cross_entropy(z, t, reduction=r),
        lambda F, z, t, r: F.binary_cross_entropy_with_logits(z, t, reduction=r),
        [normal, random.Random.random],
        None,
    ),
    "mse_loss": (
        lambda x, t, r: tg.mse_loss(x, t, reduction=r),
        lambda F, x, t, r: F.mse_loss(x, t, reduction=r),
        [normal, normal],
        None,
    ),
    "hinge_loss, signs": (
        lambda s, t, r: tg.hinge_loss(s, t, reduction=r, margin=2.5),
        lambda F, s, t, r: hinge_of_signs(F, s, t, r, margin=2.5),
        [normal, lambda rng: rng.choice((-1.0, 1.0))],
        None,
    ),
}


def agree(got, wanted):
    got, wanted = tg.nd.asarray(got.tolist()), tg.nd.asarray(wanted.tolist())
    assert got.shape == wanted.shape
    assert float(tg.max(tg.abs(got - wanted) / (1.0 + tg.abs(wanted)))) <= 1e-12


def compare(torch, ours, theirs, inputs, rest):
    """Value, and the gradients by every input that arrive from numbers without a pattern."""
    own = [tg.Value(x) for x in inputs]
    guests = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    loss, guest = ours(*own, *rest), theirs(*guests, *map(torch.tensor, rest))
    agree(loss, guest.detach())
    weights = torch.sin(torch.arange(guest.numel(), dtype=torch.float64) + 1.0).reshape(guest.shape)
    gradients = tg.grad(loss, own, grad_output=weights.tolist())
    for got, wanted in zip(gradients, torch.autograd.grad(guest, guests, weights), strict=True):
        agree(got, wanted)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("seed", range(5))
def test_loss(torch, name, reduction, seed):
    rng = random.Random(f"{name} {seed}")
    ours, theirs, draws, classes = LOSSES[name]
    inputs = [array(rng, SHAPE, draw) for draw in draws]
    rest = [] if classes is None else [labels(rng, (SHAPE[0], SHAPE[2]), classes)]
    F = torch.nn.functional
    compare(torch, lambda *x: ours(*x, reduction), lambda *x: theirs(F, *x, reduction), inputs, rest)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("margin", [0.0, 0.5, 1.0, 4.0])
def test_hinge_loss_of_classes(torch, margin, reduction):
    rng = random.Random(margin)
    scores, targets = array(rng, (12, 5), normal), labels(rng, (12,), 5)
    compare(
        torch,
        lambda s, t: tg.hinge_loss(s, t, margin=margin, reduction=reduction),
        lambda s, t: torch.nn.functional.multi_margin_loss(s, t, margin=margin, reduction=reduction),
        [scores],
        [targets],
    )
