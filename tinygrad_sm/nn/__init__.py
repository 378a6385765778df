"""Networks: modules that find their own parameters, layers, and weights on disk.

>>> import tinygrad_sm as tg
>>> model = tg.nn.MLP([2, 16, 2], activation="tanh")
>>> model([[0.5, -1.0]]).shape
(1, 2)
"""

import typing as _typing

from tinygrad_sm.nn.heads import MultiHeadAttention
from tinygrad_sm.nn.layers import (
    GELU,
    MLP,
    CrossEntropyLoss,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    LogSoftmax,
    ReLU,
    RMSNorm,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from tinygrad_sm.nn.module import LayerError, Module
from tinygrad_sm.nn.safetensors import SafetensorsError, load, save

__all__ = [
    "GELU",
    "MLP",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "LayerError",
    "LayerNorm",
    "Linear",
    "LogSoftmax",
    "Module",
    "MultiHeadAttention",
    "RMSNorm",
    "ReLU",
    "SafetensorsError",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "load",
    "save",
]

_IN_PYTORCH = {
    "Parameter": "assign a tg.Value to an attribute, and it is one",
    "ModuleList": "assign a plain list of modules to an attribute",
    "ModuleDict": "assign a plain dict of modules to an attribute",
    "Flatten": "write x.reshape(len(x), -1), which keeps the batch axis; tg.flatten gives a single row",
    "MultiheadAttention": "it is tg.nn.MultiHeadAttention, with a capital H",
    "MSELoss": "call the function tg.mse_loss",
    "NLLLoss": "call the function tg.nll_loss",
    "BCELoss": "call the function tg.binary_cross_entropy, which takes logits: leave the sigmoid out",
    "BCEWithLogitsLoss": "call the function tg.binary_cross_entropy, which takes logits",
    **{
        name: f"the function tg.{function} is a part of Sequential as it is"
        for name, function in {"LeakyReLU": "leaky_relu", "SiLU": "silu", "ELU": "elu", "Softplus": "softplus"}.items()
    },
    "functional": "the functions are in tg itself, such as tg.relu",
    "init": "set the data of a parameter, such as layer.weight.data = tg.randn(3, 2)",
    "utils": "tg.optim.clip_grad_norm is what you may be looking for",
}

if not _typing.TYPE_CHECKING:  # or a type checker would take any name for one of the module's

    def __getattr__(name):
        if name in _IN_PYTORCH:
            raise AttributeError(f"tg.nn has no {name}: {_IN_PYTORCH[name]}", name=None)  # or Python would guess another
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
