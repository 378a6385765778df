"""Every layer against PyTorch's with the same weights: outputs, gradients, and a hundred steps of training."""

import copy
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.engine import kind
from tinygrad_sm import nd, nn

pytestmark = pytest.mark.heavy

ROWS = np.random.default_rng(5).normal(size=(3, 4, 6))
FLOW = np.random.default_rng(6).normal(size=5000)


@pytest.fixture(scope="module")
def torch():
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


def array(x: Any) -> np.ndarray:
    return np.array(x.tolist())


def ours(x: np.ndarray, library: ModuleType) -> Any:
    return library.asarray(x.tolist())


def close(mine: Any, theirs: Any) -> None:
    np.testing.assert_allclose(array(mine), array(theirs), rtol=1e-10, atol=1e-11)


def agree(mine: nn.Module, theirs: Any, inputs: np.ndarray, library: ModuleType, rename: Callable[[str], str] = str) -> None:
    """Outputs and the gradients of inputs and weights, with the weights of the other loaded."""
    mine.to(library).load_state_dict({rename(name): x for name, x in theirs.state_dict().items()})
    x, y = tg.Value(ours(inputs, library)), inputs_of(theirs, inputs)
    output, wanted = mine(x), theirs(y)
    close(output, wanted)
    g = FLOW[: wanted.numel()].reshape(wanted.shape)
    output.backward(ours(g, library))
    wanted.backward(wanted.new_tensor(g))
    close(tg.Value(x.grad), y.grad)
    gradients = {rename(name): p.grad for name, p in theirs.named_parameters()}
    assert {*gradients} == {name for name, _ in mine.named_parameters()}
    for name, p in mine.named_parameters():
        close(tg.Value(p.grad), gradients[name])


def inputs_of(theirs: Any, inputs: np.ndarray) -> Any:
    import torch

    return torch.tensor(inputs, requires_grad=True)


SAME = """
Linear(6, 3)
Linear(6, 3, bias=False)
LayerNorm(6)
LayerNorm((4, 6), eps=1e-3)
LayerNorm(6, bias=False)
RMSNorm(6)
RMSNorm((4, 6), eps=1e-3)
ReLU()
Tanh()
Sigmoid()
GELU()
Sequential(Linear(6, 3), Tanh(), Sequential(LayerNorm(3), Linear(3, 2)))
Sequential(Dropout(0.0), Linear(6, 1))
""".strip().splitlines()


@pytest.mark.parametrize("library", [nd, np], ids=["nd", "numpy"])
@pytest.mark.parametrize("layer", SAME)
def test_the_same_words_build_the_same_layer(torch, layer, library):
    mine, theirs = eval(layer, vars(nn)), eval(layer, vars(torch.nn))
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.randn(p.shape))
    assert [*mine.state_dict()] == [*theirs.state_dict()]
    assert [name for name, _ in mine.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert [p.shape for p in mine.parameters()] == [tuple(p.shape) for p in theirs.parameters()]
    agree(mine, theirs, ROWS, library)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_softmax_and_log_softmax(torch, axis):
    agree(nn.Softmax(axis), torch.nn.Softmax(dim=axis), ROWS * 5.0, nd)
    agree(nn.LogSoftmax(axis), torch.nn.LogSoftmax(dim=axis), ROWS * 5.0, nd)


ACTIVATIONS = "ReLU Tanh Sigmoid GELU SiLU ELU LeakyReLU Softplus".split()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_activations_of_an_mlp(torch, activation):
    name = {"LeakyReLU": "leaky_relu"}.get(activation, activation.lower())
    function, linear = getattr(torch.nn, activation), torch.nn.Linear
    theirs = torch.nn.Sequential(linear(6, 5), function(), linear(5, 4), function(), linear(4, 2))
    mine = nn.MLP([6, 5, 4, 2], activation=name)
    agree(mine, theirs, ROWS, nd, lambda key: f"layers.{int(key[0]) // 2}{key[1:]}")


def test_every_activation_is_compared():
    assert {name.lower().replace("leakyrelu", "leaky_relu") for name in ACTIVATIONS} == {*nn.layers.ACTIVATIONS}


def test_initial_weights_are_spread_alike(torch):
    """Bounds and variance of PyTorch's Linear; an embedding has its mean and variance."""
    for n, m in ((50, 40), (7, 300)):
        mine, theirs = nn.Linear(n, m), torch.nn.Linear(n, m)
        for name in ("weight", "bias"):
            a, b = array(getattr(mine, name)), array(getattr(theirs, name))
            assert abs(a).max() <= n**-0.5 and abs(a.std() / b.std() - 1.0) < 0.25


@pytest.mark.parametrize("library", [nd, np], ids=["nd", "numpy"])
def test_embedding(torch, library):
    theirs = torch.nn.Embedding(7, 3)
    mine = nn.Embedding(7, 3).to(library).load_state_dict(theirs.state_dict())
    indices = [[0, 6, 6], [2, 0, 6]]
    output, wanted = mine(indices), theirs(torch.tensor(indices))
    close(output, wanted)
    close(mine(torch.tensor(indices)), wanted)
    g = FLOW[:18].reshape(2, 3, 3)
    output.backward(ours(g, library))
    wanted.backward(torch.tensor(g))
    close(tg.Value(mine.weight.grad), theirs.weight.grad)


def heads(torch: Any, bias: bool = True, library: ModuleType = nd, **settings: Any) -> tuple[nn.MultiHeadAttention, Any]:
    """Ours with the weights of theirs, whose three projections lie in one matrix."""
    theirs = torch.nn.MultiheadAttention(6, 3, bias=bias, batch_first=True)
    state = {}
    for kind_, wanted in (("weight", True), ("bias", bias)):
        if wanted:
            together = getattr(theirs, f"in_proj_{kind_}").detach()
            if kind_ == "bias":
                torch.nn.init.normal_(theirs.in_proj_bias)
                torch.nn.init.normal_(theirs.out_proj.bias)
            for name, part in zip(("query", "key", "value"), together.chunk(3), strict=True):
                state[f"{name}.{kind_}"] = part
            state[f"out.{kind_}"] = getattr(theirs.out_proj, kind_).detach()
    return nn.MultiHeadAttention(6, 3, bias=bias, **settings).to(library).load_state_dict(state), theirs


@pytest.mark.parametrize("library", [nd, np], ids=["nd", "numpy"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", ["plain", "causal", "mask", "cross", "cross with mask"])
def test_attention(torch, case, bias, library):
    mine, theirs = heads(torch, bias, library, causal=case == "causal")
    rng = np.random.default_rng(3)
    cross = case.startswith("cross")
    data = [ROWS, rng.normal(size=(3, 5, 6)), rng.normal(size=(3, 5, 6))] if cross else [ROWS]
    t, s = 4, data[-1].shape[1]
    mask = (
        rng.random((t, s)) < 0.6 if "mask" in case else np.tri(t, s, dtype=bool) if case == "causal" else np.ones((t, s), bool)
    )
    mask[:, 0] = True  # theirs gives nan where nothing may be seen
    xs, ys = [tg.Value(ours(x, library)) for x in data], [torch.tensor(x, requires_grad=True) for x in data]
    output = mine(*xs, where=mask if "mask" in case else None)
    wanted, _ = theirs(*(ys if cross else ys * 3), attn_mask=torch.tensor(~mask))
    close(output, wanted)
    g = FLOW[: wanted.numel()].reshape(wanted.shape)
    output.backward(ours(g, library))
    wanted.backward(torch.tensor(g))
    for x, y in zip(xs, ys, strict=True):
        close(tg.Value(x.grad), y.grad)
    for kind_ in ("weight", "bias") if bias else ("weight",):
        together = [getattr(part, kind_).grad for part in (mine.query, mine.key, mine.value)]
        close(np.concatenate([array(x) for x in together]), getattr(theirs, f"in_proj_{kind_}").grad)
        close(tg.Value(getattr(mine.out, kind_).grad), getattr(theirs.out_proj, kind_).grad)


WORDS = "Sequential(Linear(6, 8), LayerNorm(8), GELU(), Linear(8, 8), RMSNorm(8), Linear(8, 3))"


@pytest.mark.parametrize("library", [nd, np], ids=["nd", "numpy"])
def test_a_hundred_steps_of_training(torch, library):
    torch.manual_seed(0)
    mine, theirs = eval(WORDS, vars(nn)), eval(WORDS, vars(torch.nn))
    mine.to(library).load_state_dict(theirs.state_dict())
    inputs = ROWS.reshape(12, 6)
    labels = inputs[:, :3].argmax(axis=1).tolist()  # random ones would drive rows to where RMSNorm divides by next to nothing
    x, y = ours(inputs, library), torch.tensor(inputs)
    loss, wanted_loss = nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    optimizer, wanted_optimizer = tg.optim.SGD(mine.parameters(), lr=0.1), torch.optim.SGD(theirs.parameters(), lr=0.1)
    losses = []
    for _ in range(100):
        got, wanted = loss(mine(x), labels), wanted_loss(theirs(y), torch.tensor(labels))
        losses.append(got.item())
        np.testing.assert_allclose(losses[-1], wanted.item(), rtol=1e-10)
        optimizer.zero_grad()
        wanted_optimizer.zero_grad()
        got.backward()
        wanted.backward()
        optimizer.step()
        wanted_optimizer.step()
    assert losses[-1] < 0.5 * losses[0]
    state = mine.state_dict()
    for name, p in theirs.state_dict().items():
        np.testing.assert_allclose(array(tg.Value(state[name])), array(p), rtol=1e-10, atol=1e-10)


# --- moving there and back


def test_a_network_moves_to_torch_and_back(torch):
    tg.manual_seed(1)
    parts = (
        nn.Linear(6, 8),
        nn.LayerNorm(8),
        nn.GELU(),
        nn.Linear(8, 6),
        nn.MultiHeadAttention(6, 2, causal=True),
        nn.RMSNorm(6),
    )
    model = nn.Sequential(*parts)
    model[0].bias.data = [0.0, -0.0, 5e-324, 1 / 3, 1e308, -1e-308, 1.0, 2.0]
    state = {name: array(p).tobytes() for name, p in model.named_parameters()}
    model[0].bias.data = tg.zeros(8)
    want, objects = model(ROWS.tolist()).tolist(), [*model.parameters()]
    model[0].bias.data = [0.0, -0.0, 5e-324, 1 / 3, 1e308, -1e-308, 1.0, 2.0]
    for library in (torch, np, torch, nd, torch):
        assert [*model.to(library).parameters()] == objects
        assert {name: array(p).tobytes() for name, p in model.named_parameters()} == state
    assert all(type(p.data) is torch.Tensor and p.dtype is torch.float64 for p in objects)
    model[0].bias.data = torch.zeros(8)
    for x in (ROWS.tolist(), torch.tensor(ROWS)):
        output = model(x)
        assert type(output.data) is torch.Tensor
        np.testing.assert_allclose(array(output), want, rtol=1e-12, atol=1e-12)
        (output * output).sum().backward()
        assert all(kind(p.grad) == kind(p.data) for p in objects)
    twin = copy.deepcopy(model)
    assert twin(ROWS.tolist()).tolist() == model(ROWS.tolist()).tolist()


def test_float32_of_torch_stays_float32(torch):
    model = nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.Dropout(0.5), nn.Tanh())
    for p in model.to(torch).parameters():
        p.data = p.data.to(torch.float32)
    loss = model(torch.tensor(ROWS, dtype=torch.float32)).sum()
    loss.backward()
    assert loss.dtype is torch.float32 and all(p.grad.dtype is torch.float32 for p in model.parameters())
    assert model([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]).dtype is torch.float32
    assert model.to(np)[0].weight.dtype == np.float32
    model.load_state_dict({name: torch.ones(x.shape) for name, x in model.state_dict().items()})
    assert model[0].weight.dtype == np.float32 and set(array(model[0].bias)) == {1.0}


def test_embedding_and_dropout_on_torch(torch):
    model = nn.Sequential(nn.Embedding(5, 3), nn.Dropout(0.5)).to(torch)
    tg.manual_seed(0)
    dropped = model([[0, 4, 4]])
    tg.manual_seed(0)
    again = model.to(nd)([[0, 4, 4]])
    assert dropped.tolist() == again.tolist() and 0.0 in again.flatten().tolist()


def test_tied_weights_have_the_names_of_torch(torch):
    def tied(library: Any) -> Any:
        first = library.Linear(3, 3)
        return library.Sequential(first, library.ReLU(), first, library.Sequential(first))

    mine, theirs = tied(nn), tied(torch.nn)
    assert [*mine.state_dict()] == [*theirs.state_dict()]
    assert [name for name, _ in mine.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert [name for name, _ in mine.named_modules()] == [name for name, _ in theirs.named_modules()]
    agree(mine, theirs, ROWS[..., :3], nd)
