"""Layers: what networks are made of, with PyTorch's names, shapes of weights and initial weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import inf, sqrt
from typing import Any

from tinygrad_sm.family import cross_entropy, log_softmax, sigmoid, silu, softmax, softplus
from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import as_data, is_array, namespace_of, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import brief, flatten, whole_number
from tinygrad_sm.nn.module import LayerError, Module
from tinygrad_sm.ops.creation import ones, rand, zeros
from tinygrad_sm.ops.elementwise import elu, gelu, leaky_relu, relu, tanh, where
from tinygrad_sm.ops.elementwise import sqrt as root
from tinygrad_sm.ops.gathering import take
from tinygrad_sm.ops.helpers import moved, moved_like
from tinygrad_sm.ops.linalg import linear
from tinygrad_sm.ops.reductions import mean

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": relu,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "gelu": gelu,
    "silu": silu,
    "elu": elu,
    "leaky_relu": leaky_relu,
    "softplus": softplus,
}


def uniform(*sizes: int, bound: float, name: str) -> Value:
    """A parameter drawn evenly from [-bound, bound): the same numbers on every platform, for it takes no logarithm."""
    return Value(bound * (2.0 * rand(sizes) - 1.0), name=name)


class Linear(Module):
    """x W^T + b: every output a weighted sum of all inputs. (..., in_features) to (..., out_features).

    W, `weight`, has shape (out_features, in_features), and b, `bias`, (out_features,), as in PyTorch; both are drawn evenly
    within 1 / sqrt(in_features). Raises a ValueError, naming the layer, for inputs of another width.

    >>> import tinygrad_sm as tg
    >>> layer = tg.nn.Linear(3, 2)
    >>> layer([[1.0, 2.0, 3.0]]).shape
    (1, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        n, m = self.in_features, self.out_features = whole("Linear", in_features=in_features, out_features=out_features)
        bound = 1.0 / sqrt(n)
        self.weight = uniform(m, n, bound=bound, name="weight")
        self.bias = uniform(m, bound=bound, name="bias") if bias else None

    def forward(self, x: Any) -> Any:
        """The weighted sums."""
        must_be_values(self, weight=self.weight, bias=self.bias)
        x = inputs_like(self.weight, x, "Linear")
        must_end_in(self, x, (self.in_features,))
        return linear(x, self.weight) if self.bias is None else linear(x, self.weight, bias=self.bias)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.in_features}, {self.out_features}" + (", bias=False" if self.bias is None else "")


class Sequential(Module):
    """One module or function after the other. `model[i]` is a part, and `model[i:j]` a Sequential of parts.

    Raises a TypeError for a part that cannot be called, or is a class.

    >>> import tinygrad_sm as tg
    >>> tg.manual_seed(0)
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.tanh, tg.nn.Linear(3, 2), tg.nn.Softmax())
    >>> print(model([[0.0, 0.0]]).sum(axis=-1))
    [1.0]
    """

    def __init__(self, *parts: Callable[[Any], Any]) -> None:
        for i, part in enumerate(parts):
            if isinstance(part, type):
                raise TypeError(f"Sequential: part {i} is the class {part.__name__} and no module; write {part.__name__}(...)")
            if not callable(part):
                raise TypeError(f"Sequential: part {i} is {part!r}; it takes modules and functions, as Sequential(a, b, c)")
            setattr(self, str(i), part)
        self.length = len(parts)

    def forward(self, x: Any) -> Any:
        """The output of the last part."""
        for part in self:
            x = part(x)
        return x

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: Any) -> Any:
        """Part i, or, of a slice, the parts as a Sequential of their own."""
        parts = [*self]
        if isinstance(i, slice):
            return Sequential(*parts[i])
        try:
            return parts[i]
        except IndexError:
            raise IndexError(f"Sequential: there is no part {i} among {len(self)}") from None

    def __iter__(self) -> Iterator[Callable[[Any], Any]]:
        return (getattr(self, str(i)) for i in range(self.length))

    def _shown(self) -> Iterable[tuple[str, Any]]:
        functions = {str(i): part for i, part in enumerate(self)}
        return (functions | dict(super()._shown())).items()  # a subclass may have other parts


class MLP(Module):
    """A multi-layer perceptron: Linear layers of the given widths, with an activation between them.

    `sizes` are the widths from inputs to outputs. `activation` is a name (relu, tanh, sigmoid, gelu, silu, elu, leaky_relu,
    softplus) or a function. The last layer has none: its outputs are logits. Raises a ValueError for other sizes and names.

    >>> import tinygrad_sm as tg
    >>> tg.nn.MLP([64, 32, 10], activation="relu")
    MLP([64, 32, 10], activation='relu') with 2,410 parameters
      layers.0  Linear(64, 32)  weight (32, 64), bias (32,)  2,080
      layers.1  Linear(32, 10)  weight (10, 32), bias (10,)    330
    """

    def __init__(self, sizes: Iterable[int], activation: str | Callable[[Any], Any] = "relu", bias: bool = True) -> None:
        widths = [*sizes] if hasattr(sizes, "__iter__") else []
        if len(widths) < 2:
            raise ValueError(f"MLP: needs the widths of inputs and outputs at least, such as [64, 32, 10], not {sizes!r}")
        if not callable(activation) and activation not in [*ACTIVATIONS]:
            raise ValueError(f"MLP: activation is a function or one of {', '.join(ACTIVATIONS)}, not {activation!r}")
        if isinstance(activation, type):
            raise TypeError(f"MLP: activation is the class {activation.__name__} and no module; write {activation.__name__}()")
        self.sizes = [*whole("MLP", **{f"size {i}": n for i, n in enumerate(widths)})]
        self.activation = activation
        self.layers = [Linear(n, m, bias=bias) for n, m in pairwise(self.sizes)]

    def forward(self, x: Any) -> Any:
        """The logits."""
        activation = self.activation if callable(self.activation) else ACTIVATIONS[self.activation]
        for layer in self.layers[:-1]:
            x = activation(layer(x))
        return self.layers[-1](x)

    def extra_repr(self) -> str:
        """The widths and the activation."""
        activation = self.activation
        name = activation.title() if isinstance(activation, Module) else repr(getattr(activation, "__name__", activation))
        return f"{self.sizes}, activation={name}"


class Embedding(Module):
    """A vector for each of `num_embeddings` things: ints of any shape (...) to (..., embedding_dim).

    The vectors, `weight`, are drawn evenly with mean 0 and variance 1. Raises an IndexError for an index without a vector,
    also a negative one, which would count from the end, and a TypeError for indices that are no ints.

    >>> import tinygrad_sm as tg
    >>> tg.nn.Embedding(10, 4)([1, 2, 2]).shape
    (3, 4)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        self.num_embeddings, self.embedding_dim = whole("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.weight = uniform(self.num_embeddings, self.embedding_dim, bound=sqrt(3.0), name="weight")

    def forward(self, indices: Any) -> Any:
        """The vectors of the indices."""
        must_be_values(self, weight=self.weight)
        flat, sizes = flatten(plain(indices))
        if {*map(type, flat)} - {int}:
            wrong = next(i for i in flat if type(i) is not int)
            raise TypeError(f"{self.title()}: indices are ints, and one is {wrong!r}")
        if flat and not 0 <= min(flat) <= max(flat) < self.num_embeddings:
            wrong = next(i for i in flat if not 0 <= i < self.num_embeddings)
            raise IndexError(f"{self.title()}: index {wrong} is out of range, 0 to {self.num_embeddings - 1}")
        xp = namespace_of([self.weight.data])
        picked = take(self.weight, xp.asarray(flat, dtype=xp.int64), axis=0)
        return picked.reshape(*sizes, self.embedding_dim)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) over the last axes, then times `weight` plus `bias`. Shape of x.

    `normalized_shape` is the width of the last axis, or the sizes of the last few; other inputs are a ValueError.
    (Ba, Kiros and Hinton, 1607.06450)

    >>> import tinygrad_sm as tg
    >>> print(tg.nn.LayerNorm(2, eps=0.0)([1.0, 3.0]))
    [-1.0, 1.0]
    """

    def __init__(self, normalized_shape: int | Sequence[int], eps: float = 1e-5, bias: bool = True) -> None:
        self.normalized_shape, self.eps = _as_sizes(normalized_shape, "LayerNorm"), _as_eps(eps, "LayerNorm")
        self.weight = Value(ones(self.normalized_shape), name="weight")
        self.bias = Value(zeros(self.normalized_shape), name="bias") if bias else None

    def forward(self, x: Any) -> Any:
        """The normalised inputs."""
        must_be_values(self, weight=self.weight, bias=self.bias)
        x = inputs_like(self.weight, x, "LayerNorm")
        axes = must_end_in(self, x, self.normalized_shape)
        centred = x - mean(x, axis=axes, keepdims=True)
        spread = root(mean(centred * centred, axis=axes, keepdims=True) + self.eps)
        y = self.weight * (centred / spread)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """The sizes."""
        sizes = self.normalized_shape
        return f"{sizes[0] if len(sizes) == 1 else sizes}, eps={self.eps}"


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) over the last axes, then times `weight`. Shape of x. (Zhang and Sennrich, 1910.07467)

    >>> import tinygrad_sm as tg
    >>> print(tg.nn.RMSNorm(2, eps=0.0)([1.0, 7.0]))
    [0.2, 1.4]
    """

    def __init__(self, normalized_shape: int | Sequence[int], eps: float = 2.0**-52) -> None:
        self.normalized_shape, self.eps = _as_sizes(normalized_shape, "RMSNorm"), _as_eps(eps, "RMSNorm")
        self.weight = Value(ones(self.normalized_shape), name="weight")

    def forward(self, x: Any) -> Any:
        """The normalised inputs."""
        must_be_values(self, weight=self.weight)
        x = inputs_like(self.weight, x, "RMSNorm")
        axes = must_end_in(self, x, self.normalized_shape)
        return self.weight * (x / root(mean(x * x, axis=axes, keepdims=True) + self.eps))

    extra_repr = LayerNorm.extra_repr


class Dropout(Module):
    """In training each element is 0 with probability p, and the others are divided by 1 - p; in `eval()` nothing happens.

    The draws follow `tg.manual_seed`. A p that is no probability is a ValueError. (Srivastava et al., JMLR 15, 2014)

    >>> import tinygrad_sm as tg
    >>> print(tg.nn.Dropout(0.5).eval()([1.0, 2.0]))
    [1.0, 2.0]
    """

    def __init__(self, p: float = 0.5) -> None:
        if not (isinstance(p, (int, float)) and 0.0 <= p <= 1.0):
            raise ValueError(f"Dropout: p is a probability between 0 and 1, not {p!r}")
        self.p = p

    def forward(self, x: Any) -> Any:
        """What is left of x."""
        if not isinstance(x, Value):
            x = as_data(x, "Dropout")
        if not self.training or not self.p:
            return x
        data = plain(x)
        stays = rand(shape(data)) >= self.p
        stays = bool(stays) if type(data) is float else moved(stays, namespace_of([data]))
        return where(stays, x / (1.0 - self.p) if self.p < 1.0 else x, 0.0)

    def extra_repr(self) -> str:
        """The probability."""
        return f"{self.p}"


class _Function(Module):
    """A function of one input as a module."""

    function: Callable[[Any], Any]

    def forward(self, x: Any) -> Any:
        """The function of x."""
        return type(self).function(x)


class ReLU(_Function):
    """max(x, 0)."""

    function = relu


class Tanh(_Function):
    """The hyperbolic tangent."""

    function = tanh


class Sigmoid(_Function):
    """1 / (1 + e^-x)."""

    function = sigmoid


class GELU(_Function):
    """x times the probability that a standard normal number is below x."""

    function = gelu


class Softmax(Module):
    """Probabilities along an axis. As the last layer of a classifier, train with `from_logits=False`; better: leave it out."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Any:
        """The probabilities."""
        return softmax(x, axis=self.axis)

    def extra_repr(self) -> str:
        """The axis."""
        return f"axis={self.axis}"


class LogSoftmax(Softmax):
    """Logarithms of probabilities along an axis, as `tg.nll_loss` takes them."""

    def forward(self, x: Any) -> Any:
        """The logarithms of the probabilities."""
        return log_softmax(x, axis=self.axis)


class CrossEntropyLoss(Module):
    """`tg.cross_entropy` with its settings fixed: a module of logits and targets.

    A `weight` or `temperature` of plain data goes along with the logits, whatever their library; one that is a Value is a
    parameter of the module.

    >>> import tinygrad_sm as tg
    >>> print(f"{tg.nn.CrossEntropyLoss()([[2.0, 1.0, 0.5]], [0]):.6f}")
    0.464369
    """

    def __init__(self, **settings: Any) -> None:
        known = (*cross_entropy.setting_names, *cross_entropy.input_names[2:])
        wrong = next((key for key in settings if key not in known), None)
        if wrong is not None:
            raise TypeError(f"CrossEntropyLoss: has no {wrong}; its settings are {', '.join(known)}")
        self.settings = settings

    def forward(self, logits: Any, targets: Any) -> Any:
        """The loss."""
        given = [key for key in cross_entropy.input_names[2:] if self.settings.get(key) is not None]
        like = logits if isinstance(logits, Value) or not given else Value(logits, requires_grad=False)
        beside = {key: inputs_like(like, self.settings[key], f"CrossEntropyLoss: {key}") for key in given}
        return cross_entropy(logits, targets, **{**self.settings, **beside})

    def extra_repr(self) -> str:
        """The settings."""
        return ", ".join(f"{key}={brief(x)}" for key, x in self.settings.items())


def whole(layer: str, **sizes: Any) -> tuple[int, ...]:
    """Sizes that are ints of at least 1, as Python's ints."""
    return tuple(whole_number(n, f"{layer}: {name}") for name, n in sizes.items())


def _as_sizes(sizes: int | Sequence[int], layer: str) -> tuple[int, ...]:
    given = tuple(sizes) if isinstance(sizes, (list, tuple)) and sizes else (sizes,)
    return tuple(whole(layer, normalized_shape=n)[0] for n in given)


def _as_eps(eps: float, layer: str) -> float:
    if not (isinstance(eps, (int, float)) and 0.0 <= eps < inf):
        raise ValueError(f"{layer}: eps is a small number from 0, such as 1e-5, not {brief(eps)}")
    return eps


def inputs_like(parameter: Value, x: Any, name: str) -> Any:
    """Inputs as floats: lists, ints and arrays of another library become arrays like the parameter; Values stay."""
    if isinstance(x, Value):
        return x
    data, like = as_data(x, name), parameter.data
    fits = is_array(x) and data is x and namespace_of([x]) is namespace_of([like])
    return data if fits or type(data) is float else moved_like(data, like)


def must_be_values(layer: Module, **parameters: Any) -> None:
    """Raises a TypeError for a parameter that was replaced by plain data, with which the layer would run and never learn."""
    for name, x in parameters.items():
        if not (isinstance(x, Value) or (x is None and name == "bias")):
            raise TypeError(f"{name} of {layer.title()} is plain data, so it would not be trained: write tg.Value(...)")


def must_end_in(layer: Module, x: Any, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Raises a LayerError unless the last axes of x have these sizes; the axes."""
    given, n = shape(plain(x)), len(sizes)
    if len(given) < n or given[len(given) - n :] != sizes:
        wanted = f"width {sizes[0]}" if n == 1 else f"shape (..., {', '.join(map(str, sizes))})"
        got = f"width {given[-1]} (shape {given})" if n == 1 and given else f"shape {given}" if given else "a single number"
        raise LayerError(layer, f"takes inputs of {wanted}, and got {got}")
    return tuple(range(-n, 0))
