"""Networks: modules that find their own parameters, layers, and weights on disk.

>>> import tinygrad_sm as tg
>>> model = tg.nn.MLP([2, 16, 2], activation="tanh")
>>> model([[0.5, -1.0]]).shape
(1, 2)
"""

from tinygrad_sm.nn.attention import MultiHeadAttention
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
