"""Parity with PyTorch, and with `entmax`, which runs on it: values, gradients and second derivatives to 1e-12.

Only what is the same there is here; what is not, with the reason, is in DIFFERENCES.md.
"""

import itertools
import random

import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd

pytestmark = pytest.mark.heavy
LIBRARIES = {"nd": nd.asarray, "numpy": np.asarray}


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


@pytest.fixture(scope="module")
def entmax():
    import entmax

    return entmax


def drawn(rng, sizes, scale=3.0):
    """Normal numbers in nested lists."""
    return [drawn(rng, sizes[1:], scale) for _ in range(sizes[0])] if sizes else rng.gauss(0.0, scale)


def labels(rng, sizes, classes):
    return [labels(rng, sizes[1:], classes) for _ in range(sizes[0])] if sizes else rng.randrange(classes)


def like(value, lists):
    """Plain data of the library of a Value."""
    return (nd.asarray if isinstance(value.data, nd.Array) else np.asarray)(lists)


def agree(got, wanted, tolerance):
    got = np.asarray(got.tolist() if hasattr(got, "tolist") else got)
    wanted = wanted.detach().numpy()
    assert got.shape == wanted.shape
    assert np.all(np.abs(got - wanted) <= tolerance * (1.0 + np.abs(wanted)))


def parity(torch, ours, theirs, inputs, *, second=True, tolerance=1e-12):
    """Values; what comes back from numbers without a pattern; and the derivative of that, contracted with others."""
    guests = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    guest = theirs(*guests)
    g = torch.sin(torch.arange(guest.numel(), dtype=torch.float64) + 1.0).reshape(guest.shape)
    wanted = torch.autograd.grad(guest, guests, g, create_graph=second)
    vs = [torch.cos(torch.arange(x.numel(), dtype=torch.float64) + 0.5).reshape(x.shape) for x in guests]
    if second:
        along = sum((a * v).sum() for a, v in zip(wanted, vs, strict=True))
        wanted2 = torch.autograd.grad(along, guests, allow_unused=True, materialize_grads=True)
    for make in LIBRARIES.values():
        own = [tg.Value(make(x)) for x in inputs]
        out = ours(*own)
        agree(out, guest, tolerance)
        got = tg.grad(out, own, grad_output=make(g.tolist()), create_graph=second)
        for a, b in zip(got, wanted, strict=True):
            agree(a, b, tolerance)
        if second:
            along = sum(tg.sum(a * make(v.tolist())) for a, v in zip(got, vs, strict=True))
            for a, b in zip(tg.grad(along, own), wanted2, strict=True):
                agree(a, b, 10 * tolerance)


def inf_where(torch, z, mask):
    return z.masked_fill(torch.tensor([not m for m in mask]), -torch.inf)


MASK = [True, False, True, True, False]
COLUMN = [[0.5], [2.0], [1.25]]  # a temperature a row

# name: (ours, PyTorch's, shapes of the inputs)
OPS = {
    **{
        f"{name}, axis {axis}": (
            lambda z, name=name, axis=axis: getattr(tg, name)(z, axis=axis),
            lambda torch, z, name=name, axis=axis: getattr(torch.nn.functional, name)(z, dim=axis),
            [(3, 4, 2)],
        )
        for name in ("softmax", "log_softmax", "softmin")
        for axis in (-1, 0, 1)
    },
    **{
        f"logsumexp, axis {axis}, keepdims {keep}": (
            lambda z, axis=axis, keep=keep: tg.logsumexp(z, axis=axis, keepdims=keep),
            lambda torch, z, axis=axis, keep=keep: torch.logsumexp(z, dim=axis, keepdim=keep),
            [(3, 4, 2)],
        )
        for axis in (-1, 0, (0, 2), (0, 1, 2))
        for keep in (False, True)
    },
    "softmax, mask": (lambda z: tg.softmax(z, where=MASK), lambda torch, z: inf_where(torch, z, MASK).softmax(-1), [(3, 5)]),
    "logsumexp, mask": (
        lambda z: tg.logsumexp(z, where=MASK),
        lambda torch, z: inf_where(torch, z, MASK).logsumexp(-1),
        [(3, 5)],
    ),
    "softmax, temperature": (
        lambda z, t: tg.softmax(z, temperature=t),
        lambda torch, z, t: (z / t).softmax(-1),
        [(3, 5), COLUMN],
    ),
    "log_softmax, temperature": (
        lambda z, t: tg.log_softmax(z, temperature=t),
        lambda torch, z, t: (z / t).log_softmax(-1),
        [(3, 5), COLUMN],
    ),
    "logsumexp, temperature": (
        lambda z, t: tg.logsumexp(z, temperature=t),
        lambda torch, z, t: (z / t).logsumexp(-1),
        [(3, 5), COLUMN],
    ),
    "causal_softmax, upper-left": (
        lambda z: tg.causal_softmax(z, align="upper-left"),
        lambda torch, z: z.masked_fill(~torch.ones(3, 5).bool().tril(), -torch.inf).softmax(-1),
        [(2, 3, 5)],
    ),
    "causal_softmax, lower-right": (
        lambda z: tg.causal_softmax(z),
        lambda torch, z: z.masked_fill(~torch.ones(3, 5).bool().tril(2), -torch.inf).softmax(-1),
        [(2, 3, 5)],
    ),
    "online_softmax": (lambda z: tg.online_softmax(z, chunk=4), lambda torch, z: z.softmax(-1), [(3, 11)]),
    "sigmoid": (tg.sigmoid, lambda torch, z: z.sigmoid(), [(3, 4)]),
    "log_sigmoid": (tg.log_sigmoid, lambda torch, z: torch.nn.functional.logsigmoid(z), [(3, 4)]),
    "softplus": (tg.softplus, lambda torch, z: torch.nn.functional.softplus(z, threshold=1000), [(3, 4)]),
    "silu": (tg.silu, lambda torch, z: torch.nn.functional.silu(z), [(3, 4)]),
    "entropy": (
        lambda z: tg.entropy(z, reduction="none"),
        lambda torch, z: torch.distributions.Categorical(logits=z).entropy(),
        [(3, 5)],
    ),
    "z_loss": (
        lambda z: tg.z_loss(z, coefficient=0.3, reduction="none"),
        lambda torch, z: 0.3 * z.logsumexp(-1) ** 2,
        [(3, 5)],
    ),
    "gumbel_softmax": (
        lambda z, noise: tg.gumbel_softmax(z, noise=noise, temperature=0.7),
        lambda torch, z, noise: ((z + noise) / 0.7).softmax(-1),
        [(3, 5), (3, 5)],
    ),
}


@pytest.mark.parametrize("name", OPS)
def test_ops(torch, name):
    ours, theirs, sizes = OPS[name]
    rng = random.Random(name)
    inputs = [s if isinstance(s, list) else drawn(rng, s) for s in sizes]
    parity(torch, ours, lambda *x: theirs(torch, *x), inputs)


# --- cross-entropies

SHAPE = (4, 3, 5)  # PyTorch has the classes on axis 1
WEIGHT = [0.25, 1.0, 3.0]


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(
    ("weighted", "smoothing", "ignored", "temperature"),
    [*itertools.product((False, True), (0.0, 0.1, 1.0), (None, 1, -100), (1.0, 0.5))],
)
def test_cross_entropy_of_labels(torch, weighted, smoothing, ignored, temperature, reduction):
    rng = random.Random(f"{weighted} {smoothing} {ignored}")
    z, t = drawn(rng, SHAPE), labels(rng, (4, 5), 3)
    if ignored == -100:
        t[0][1], t[2] = -100, [-100] * 5
    options = {"label_smoothing": smoothing, "reduction": reduction}
    theirs = {"weight": torch.tensor(WEIGHT, dtype=torch.float64)} if weighted else {}

    def own(z):
        weight = {"weight": like(z, WEIGHT)} if weighted else {}
        return tg.cross_entropy(z, t, axis=1, ignore_index=ignored, temperature=temperature, **weight, **options)

    def guest(z):
        kept = {} if ignored is None else {"ignore_index": ignored}
        return torch.nn.functional.cross_entropy(z / temperature, torch.tensor(t), **kept, **theirs, **options)

    parity(torch, own, guest, [z])


@pytest.mark.parametrize("reduction", ["none", "sum", "batchmean"])
@pytest.mark.parametrize(("weighted", "smoothing"), [*itertools.product((False, True), (0.0, 0.1, 1.0))])
def test_cross_entropy_of_probabilities(torch, weighted, smoothing, reduction):
    """PyTorch's mean is our batchmean here: it forgets the weights."""
    rng = random.Random(f"{weighted} {smoothing}")
    z, t = drawn(rng, (4, 3)), drawn(rng, (4, 3), 1.0)

    def own(z, t):
        weight = {"weight": like(z, WEIGHT)} if weighted else {}
        return tg.cross_entropy(z, tg.softmax(t), label_smoothing=smoothing, reduction=reduction, **weight)

    def guest(z, t):
        weight = {"weight": torch.tensor(WEIGHT, dtype=torch.float64)} if weighted else {}
        kind = "mean" if reduction == "batchmean" else reduction
        return torch.nn.functional.cross_entropy(z, t.softmax(-1), label_smoothing=smoothing, reduction=kind, **weight)

    parity(torch, own, guest, [z, t])


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("weighted", "ignored"), [*itertools.product((False, True), (None, 2))])
def test_nll_loss(torch, weighted, ignored, reduction):
    rng = random.Random(f"{weighted} {ignored}")
    z, t = drawn(rng, SHAPE), labels(rng, (4, 5), 3)

    def own(z):
        weight = {"weight": like(z, WEIGHT)} if weighted else {}
        log_p = tg.log_softmax(z, axis=1)
        return tg.nll_loss(log_p, t, axis=1, ignore_index=ignored, reduction=reduction, **weight)

    def guest(z):
        kept = {} if ignored is None else {"ignore_index": ignored}
        weight = {"weight": torch.tensor(WEIGHT, dtype=torch.float64)} if weighted else {}
        return torch.nn.functional.nll_loss(z.log_softmax(1), torch.tensor(t), reduction=reduction, **kept, **weight)

    parity(torch, own, guest, [z])


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("weighted", "positive"), [*itertools.product((False, True), repeat=2)])
def test_binary_cross_entropy(torch, weighted, positive, reduction):
    rng = random.Random(f"{weighted} {positive}")
    z, t = drawn(rng, (4, 3)), [[rng.random() for _ in range(3)] for _ in range(4)]
    chosen = {"weight": [[0.5, 2.0, 1.0]] * 4 if weighted else None, "pos_weight": WEIGHT if positive else None}
    chosen = {key: x for key, x in chosen.items() if x is not None}

    def own(z, t):
        return tg.binary_cross_entropy(z, t, reduction=reduction, **{key: like(z, x) for key, x in chosen.items()})

    def guest(z, t):
        tensors = {key: torch.tensor(x, dtype=torch.float64) for key, x in chosen.items()}
        return torch.nn.functional.binary_cross_entropy_with_logits(z, t, reduction=reduction, **tensors)

    parity(torch, own, guest, [z, t])

    def own_p(z):
        return tg.binary_cross_entropy(tg.sigmoid(z), like(z, t), from_logits=False, reduction=reduction)

    def guest_p(z):
        p, targets = z.sigmoid(), torch.tensor(t, dtype=torch.float64)
        return torch.nn.functional.binary_cross_entropy(p, targets, reduction=reduction)

    if not chosen:
        parity(torch, own_p, guest_p, [drawn(rng, (4, 3), 1.0)])  # far from 0 and 1, where 1 - p has lost its digits


@pytest.mark.parametrize("reduction", ["none", "sum", "batchmean"])
def test_divergences(torch, reduction):
    F = torch.nn.functional
    rng = random.Random(reduction)
    a, b = drawn(rng, (4, 5)), drawn(rng, (4, 5))

    def rows(losses):
        return losses.sum(-1) if reduction == "none" else losses

    def guest(a, b):
        return rows(F.kl_div(b.log_softmax(-1), a.log_softmax(-1), reduction=reduction, log_target=True))

    def of_probabilities(a, b):
        return tg.kl_div_probabilities(tg.softmax(a), tg.softmax(b), reduction=reduction)

    parity(torch, lambda a, b: tg.kl_div(a, b, reduction=reduction), guest, [a, b])
    parity(torch, of_probabilities, guest, [a, b], tolerance=1e-11)
    parity(torch, lambda a, b: tg.reverse_kl_div(a, b, reduction=reduction), lambda a, b: guest(b, a), [a, b])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_losses(torch, gamma):
    """By the formula of the paper, which torchvision has too."""
    F = torch.nn.functional
    rng = random.Random(gamma)
    z, t = drawn(rng, (4, 3)), labels(rng, (4,), 3)

    def guest(z):
        log_p = z.log_softmax(-1).gather(-1, torch.tensor(t)[:, None])[:, 0]
        return (-((1 - log_p.exp()) ** gamma) * log_p).mean()

    parity(torch, lambda z: tg.focal_loss(z, t, gamma=gamma), guest, [z], tolerance=1e-10)
    answers = [[float(rng.random() < 0.5) for _ in range(3)] for _ in range(4)]

    def guest_binary(z):
        y = torch.tensor(answers, dtype=torch.float64)
        p = z.sigmoid()
        p_t, alpha_t = p * y + (1 - p) * (1 - y), 0.25 * y + 0.75 * (1 - y)
        return (alpha_t * (1 - p_t) ** gamma * F.binary_cross_entropy_with_logits(z, y, reduction="none")).mean()

    def own_binary(z):
        return tg.binary_focal_loss(z, like(z, answers), gamma=gamma, alpha=0.25)

    parity(torch, own_binary, guest_binary, [z], tolerance=1e-10)


# --- attention

SEEN = [[True, False, True, True], [False, True, True, False], [True, True, True, True]]


@pytest.mark.parametrize(
    ("options", "guests"),
    [
        ({}, {}),
        ({"scale": 0.3}, {"scale": 0.3}),
        ({"where": SEEN}, {"attn_mask": SEEN}),
        ({"causal": "upper-left"}, {"is_causal": True}),
        ({"chunk": 2}, {}),
        ({"chunk": 3, "causal": "upper-left"}, {"is_causal": True}),
        ({"chunk": 3, "where": SEEN}, {"attn_mask": SEEN}),
        ({"causal": True}, {"attn_mask": [[j <= i + 1 for j in range(4)] for i in range(3)]}),
        ({"causal": "lower-right"}, {"attn_mask": [[j <= i + 1 for j in range(4)] for i in range(3)]}),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)], ids=str)
def test_attention(torch, batch, options, guests):
    rng = random.Random(str(options))
    q, k, v = drawn(rng, (*batch, 3, 6), 1.0), drawn(rng, (*batch, 4, 6), 1.0), drawn(rng, (*batch, 4, 2), 1.0)
    masks = {key: torch.tensor(x) if key == "attn_mask" else x for key, x in guests.items()}

    def own(q, k, v):
        settings = dict(options)
        if "where" in settings:
            settings["where"] = like(q, SEEN)
        return tg.attention(q, k, v, **settings)

    def guest(q, k, v):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # the one that has second derivatives
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, **masks)

    parity(torch, own, guest, [q, k, v])


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("ignored", [None, 1])
@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_linear_cross_entropy(torch, chunk, ignored, reduction):
    F = torch.nn.functional
    rng = random.Random(str(chunk))
    x, w, b = drawn(rng, (5, 4), 1.0), drawn(rng, (3, 4), 1.0), drawn(rng, (3,), 1.0)
    t = labels(rng, (5,), 3)
    kept = {} if ignored is None else {"ignore_index": ignored}

    def guest(x, w, b):
        return F.cross_entropy(F.linear(x, w, b), torch.tensor(t), reduction=reduction, **kept)

    parity(
        torch, lambda x, w, b: tg.linear_cross_entropy(x, w, b, t, chunk=chunk, reduction=reduction, **kept), guest, [x, w, b]
    )


# --- entmax


@pytest.mark.parametrize("name", ["sparsemax", "entmax15"])
@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_sparse_probabilities(torch, entmax, scale, axis, name):
    z = drawn(random.Random(f"{name} {scale}"), (5, 7), scale)
    ours, theirs = getattr(tg, name), getattr(entmax, name)
    parity(torch, lambda z: ours(z, axis=axis), lambda z: theirs(z, dim=axis), [z], second=False)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("name", ["sparsemax_loss", "entmax15_loss"])
def test_losses_of_sparse_probabilities(torch, entmax, name, reduction):
    rng = random.Random(name)
    z, t = drawn(rng, (6, 5), 1.0), labels(rng, (6,), 5)

    def guest(z):
        losses = getattr(entmax, name)(z, torch.tensor(t))
        return losses if reduction == "none" else getattr(losses, reduction)()

    parity(torch, lambda z: getattr(tg, name)(z, t, reduction=reduction), guest, [z], second=False)
