"""Graphs worth seeing, by name: what `tinygrad-sm draw` and `tinygrad-sm play` show without a program of your own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from tinygrad_sm.datasets import load_digits, load_iris
from tinygrad_sm.family import attention, binary_cross_entropy, cross_entropy, kl_div, softmax, sparsemax
from tinygrad_sm.graph import Value, grad
from tinygrad_sm.nn import MLP, Embedding, LayerNorm, Linear, Module, MultiHeadAttention, Sequential
from tinygrad_sm.ops import creation
from tinygrad_sm.ops.elementwise import tanh
from tinygrad_sm.ops.reductions import mean, sum  # noqa: A004

Example = Callable[[], tuple[Value, dict[str, Any]]]


@contextmanager
def _same_weights() -> Iterator[None]:
    """Inside, random numbers are those after `manual_seed(0)`; afterwards they go on as if nothing had been drawn."""
    state = creation._generator.getstate()
    creation.manual_seed(0)
    try:
        yield
    finally:
        creation._generator.setstate(state)


# --- single numbers


def square() -> tuple[Value, dict[str, Any]]:
    """x*x + x: x is used three times, so its gradient is a sum."""
    x = Value(3.0)
    y = x * x + x
    return y, locals()


def neuron() -> tuple[Value, dict[str, Any]]:
    """One neuron: inputs times weights, plus a bias, through tanh."""
    x1, x2 = Value(2.0), Value(0.0)
    w1, w2, b = Value(-3.0), Value(1.0), Value(7.0)
    output = tanh(w1 * x1 + w2 * x2 + b)
    return output, locals()


def second_derivative() -> tuple[Value, dict[str, Any]]:
    """The graph of the derivative of x*x*x, and back through it."""
    x = Value(2.0)
    slope = grad(x * x * x, x, create_graph=True)
    return slope, {"x": x, "slope": slope}


# --- softmax and its kin


def softmax_of_three() -> tuple[Value, dict[str, Any]]:
    """How the first of three probabilities depends on each logit."""
    logits = Value([2.0, 1.0, 0.5])
    probabilities = softmax(logits)
    first = probabilities[0]
    return first, locals()


def temperature() -> tuple[Value, dict[str, Any]]:
    """Softmax at a temperature, which has a gradient of its own."""
    logits, temperature = Value([2.0, 1.0, 0.5]), Value(0.5)
    probabilities = softmax(logits, temperature=temperature)
    first = probabilities[0]
    return first, locals()


def sparse() -> tuple[Value, dict[str, Any]]:
    """Sparsemax: an unlikely class has no probability at all."""
    logits = Value([2.0, 1.5, -1.0])
    probabilities = sparsemax(logits)
    first = probabilities[0]
    return first, locals()


def cross_entropy_of_three() -> tuple[Value, dict[str, Any]]:
    """Cross-entropy: the gradient is p - y, here of three logits."""
    logits, target = Value([2.0, 1.0, 0.5]), 0
    loss = cross_entropy(logits, target)
    return loss, locals()


def soft_targets() -> tuple[Value, dict[str, Any]]:
    """Cross-entropy with probabilities as targets, smoothed."""
    logits = Value([[2.0, 1.0, 0.5, -1.0], [0.0, 3.0, -2.0, 1.0]])
    targets = [[0.7, 0.1, 0.1, 0.1], [0.0, 1.0, 0.0, 0.0]]
    loss = cross_entropy(logits, targets, label_smoothing=0.1)
    return loss, locals()


def distillation() -> tuple[Value, dict[str, Any]]:
    """A student drawn to a teacher: KL divergence at temperature 2."""
    teacher, student = Value([[3.0, 1.0, -1.0]], requires_grad=False), Value([[0.5, 1.0, 0.0]])
    softened = teacher / 2.0
    loss = 4.0 * kl_div(softened, student / 2.0)
    return loss, locals()


def logistic() -> tuple[Value, dict[str, Any]]:
    """Yes or no: logistic regression of one sample, and its loss."""
    x = Value([0.5, -1.5], requires_grad=False)
    weight, bias = Value([2.0, 1.0]), Value(0.5)
    logit = sum(weight * x) + bias
    loss = binary_cross_entropy(logit, 1.0)
    return loss, locals()


def attention_of_three() -> tuple[Value, dict[str, Any]]:
    """Three positions look at themselves and those before them."""
    query = Value([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    key = Value([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]])
    value = Value([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    gathered = attention(query, key, value, causal=True)
    output = mean(gathered * gathered)
    return output, locals()


# --- networks


def mlp() -> tuple[Value, dict[str, Any]]:
    """A small network on three irises, one of each species."""
    iris = load_iris()
    X, y = Value(iris.X[::50], requires_grad=False), iris.y[::50]
    with _same_weights():
        model = MLP([4, 3, 3], activation="tanh")
    logits = model(X)
    loss = cross_entropy(logits, y)
    return loss, locals()


def digits() -> tuple[Value, dict[str, Any]]:
    """The network of the demo, untrained, on ten digits."""
    images = load_digits()
    X, y = Value(images.X[:10] / 16.0, requires_grad=False), images.y[:10]
    with _same_weights():
        model = MLP([64, 32, 10], activation="relu")
    logits = model(X)
    loss = cross_entropy(logits, y)
    return loss, locals()


class Block(Module):
    """One block of a transformer: attention and a small network, each behind a LayerNorm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        self.attention_norm, self.attend = LayerNorm(width), MultiHeadAttention(width, heads, causal=True)
        self.mlp_norm, self.mlp = LayerNorm(width), MLP([width, 2 * width, width], activation="gelu")

    def forward(self, x: Any) -> Any:
        """(..., T, width) to the same shape."""
        x = x + self.attend(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


def transformer() -> tuple[Value, dict[str, Any]]:
    """Three blocks built alike; try --collapse Block."""
    tokens, following = [0, 1, 2, 3, 4], [1, 2, 3, 4, 5]
    with _same_weights():
        model = Sequential(Embedding(6, 8), *(Block(8, 2) for _ in range(3)), LayerNorm(8), Linear(8, 6))
    logits = model(tokens)
    loss = cross_entropy(logits, following)
    return loss, locals()


EXAMPLES: Mapping[str, Example] = MappingProxyType(
    {
        "square": square,
        "neuron": neuron,
        "second-derivative": second_derivative,
        "softmax": softmax_of_three,
        "temperature": temperature,
        "sparsemax": sparse,
        "cross-entropy": cross_entropy_of_three,
        "soft-targets": soft_targets,
        "distillation": distillation,
        "logistic": logistic,
        "attention": attention_of_three,
        "mlp": mlp,
        "digits": digits,
        "transformer": transformer,
    }
)
