"""Names that PyTorch has and nn has not: the sentence says what to write instead, and what it says is true."""

import re

import pytest

import tinygrad_sm as tg
from tinygrad_sm import nn

INSTEAD = {  # and words of the sentence
    "Parameter": "a tg.Value",
    "ModuleList": "a plain list of modules",
    "ModuleDict": "a plain dict of modules",
    "Flatten": "x.reshape(len(x), -1)",
    "MultiheadAttention": "tg.nn.MultiHeadAttention",
    "MSELoss": "tg.mse_loss",
    "NLLLoss": "tg.nll_loss",
    "BCELoss": "takes logits: leave the sigmoid out",
    "BCEWithLogitsLoss": "tg.binary_cross_entropy, which takes logits",
    "LeakyReLU": "tg.leaky_relu is a part of Sequential",
    "SiLU": "tg.silu is a part of Sequential",
    "ELU": "tg.elu is a part of Sequential",
    "Softplus": "tg.softplus is a part of Sequential",
    "functional": "in tg itself, such as tg.relu",
    "init": "layer.weight.data = tg.randn(3, 2)",
    "utils": "tg.optim.clip_grad_norm",
}


@pytest.mark.parametrize("name", INSTEAD)
def test_a_name_of_pytorch_is_answered_with_what_to_write(name):
    with pytest.raises(AttributeError, match=f"^tg.nn has no {name}: ") as caught:
        getattr(nn, name)
    sentence = str(caught.value)
    assert INSTEAD[name] in sentence and "\n" not in sentence and caught.value.name is None  # nor does Python guess another
    for path in re.findall(r"tg((?:\.\w+)+)", sentence.partition(": ")[2]):  # what it points to is there
        part = tg
        for step in path.split(".")[1:]:
            part = getattr(part, step)


def test_every_answer_is_tried_here():
    assert {*nn._IN_PYTORCH} == {*INSTEAD}


def test_the_advice_works():
    x = tg.Value([[[1.0, 2.0], [3.0, 4.0]]] * 3)
    assert (x.reshape(len(x), -1).shape, tg.flatten(x).shape) == ((3, 4), (12,))

    class Network(nn.Module):
        def __init__(self):
            self.w, self.parts, self.named = tg.Value([1.0]), [nn.Linear(2, 3)], {"head": nn.Linear(2, 3)}

    wanted = ["w", "parts.0.weight", "parts.0.bias", "named.head.weight", "named.head.bias"]
    assert [name for name, _ in Network().named_parameters()] == wanted
    network = nn.Sequential(nn.Linear(2, 3), tg.leaky_relu, tg.silu, tg.elu, tg.softplus)
    layer = network[0]
    layer.weight.data = tg.randn(3, 2)
    assert network([[1.0, 2.0]]).shape == (1, 3)
    for p in (0.25, 0.9):
        assert tg.binary_cross_entropy(tg.log(p / (1 - p)), 1.0) == pytest.approx(-tg.log(p))


def test_other_names_are_answered_by_python_and_nothing_else_changes():
    with pytest.raises(AttributeError, match=r"^module 'tinygrad_sm\.nn' has no attribute 'Liner'$") as caught:
        nn.Liner  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("Liner", nn)  # from these Python asks whether you meant Linear
    assert not hasattr(nn, "ModuleList") and not {*INSTEAD} & {*dir(nn)}
    starred = {}
    exec("from tinygrad_sm.nn import *", starred)
    assert {*starred} - {"__builtins__"} == {*nn.__all__}
    modules = {"heads", "layers", "module", "safetensors"}
    assert {name for name in dir(nn) if not name.startswith("_")} - modules == {*nn.__all__}
