"""micrograd's API on this engine: its programs run unchanged but for the import.

    from tinygrad_sm.micro import Value, Neuron, Layer, MLP

The graph is built as micrograd builds it (a constant becomes a Value, a - b is a + b * -1, a / b is a * b**-1), so programs
that walk it through `_prev` and `_op` see the same nodes. What differs is what micrograd gets wrong: repeated `backward()`
adds up in the leaves only, deep graphs do not recurse, a layer refuses inputs of the wrong width.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import tinygrad_sm as tg

_add, _multiply, _pow = tg.Value.__add__, tg.Value.__mul__, tg.Value.__pow__
_SYMBOLS = {"add": "+", "multiply": "*", "relu": "ReLU"}


class Value(tg.Value):
    """A single number that records what is computed from it.

    >>> from tinygrad_sm.micro import Value
    >>> a, b = Value(-4.0), Value(2.0)
    >>> c = (a + b) ** 2
    >>> c.backward()
    >>> c, a
    (Value(data=4.0, grad=1.0), Value(data=-4.0, grad=-4.0))
    """

    __slots__ = ()

    def __init__(self, data: Any, _children: tuple = (), _op: str = "", label: str = "") -> None:
        if _children:
            raise TypeError("micro.Value: give a result its history by computing it; for an op of your own see tg.primitive")
        super().__init__(float(data), name=label or None)

    @property
    def label(self) -> str:
        """The name, as micrograd's lecture calls it."""
        return self.name or ""

    @label.setter
    def label(self, text: str) -> None:
        self.name = text

    @property
    def _prev(self) -> set[Value]:
        return {x for x in self.inputs if isinstance(x, Value)}

    @property
    def _op(self) -> str:
        if self.op is None:
            return ""
        return f"**{_short(self.inputs[1])}" if self.op.name == "pow" else _SYMBOLS.get(self.op.name, self.op.name)

    def __add__(self, other: Any) -> Value:
        return _add(self, other if type(other) is Value else Value(other))  # type: ignore[return-value]

    def __mul__(self, other: Any) -> Value:
        return _multiply(self, other if type(other) is Value else Value(other))  # type: ignore[return-value]

    def __pow__(self, other: Any) -> Value:
        if not isinstance(other, (int, float)):
            raise TypeError(f"micro.Value: a power is a plain number, as in micrograd, not {other!r}")
        return _pow(self, other)  # type: ignore[return-value]

    def __neg__(self) -> Value:
        return self * -1

    def __radd__(self, other: Any) -> Value:
        return self + other

    def __sub__(self, other: Any) -> Value:
        return self + (-other)

    def __rsub__(self, other: Any) -> Value:
        return other + (-self)

    def __rmul__(self, other: Any) -> Value:
        return self * other

    def __truediv__(self, other: Any) -> Value:
        return self * (other**-1 if isinstance(other, Value) else tg.nd.pow(float(other), -1.0))

    def __rtruediv__(self, other: Any) -> Value:
        return other * self**-1

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"


def _short(power: float) -> float:
    """2.0 as the 2 that was written."""
    return int(power) if power == int(power) else power


class Module:
    """Anything with parameters."""

    def zero_grad(self) -> None:
        """Sets every gradient to zero."""
        for p in self.parameters():
            p.grad = 0

    def parameters(self) -> list[Value]:
        """All parameters in order."""
        return []


class Neuron(Module):
    """A weighted sum of `nin` inputs and a bias, with a relu behind it if `nonlin`."""

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0)
        self.nonlin = nonlin

    def __call__(self, x: Sequence[Any]) -> Value:
        if len(x) != len(self.w):
            raise ValueError(f"a neuron of {len(self.w)} inputs got {len(x)}")
        act = sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b)
        return act.relu() if self.nonlin else act  # type: ignore[return-value]

    def parameters(self) -> list[Value]:
        """The weights, then the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """`nout` neurons that see the same `nin` inputs."""

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        out = [n(x) for n in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Value]:
        """Those of the neurons in order."""
        return [p for n in self.neurons for p in n.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(n) for n in self.neurons)}]"


class MLP(Module):
    """Layers of the sizes `nouts` on `nin` inputs, with relu between them and none behind the last."""

    def __init__(self, nin: int, nouts: Sequence[int]) -> None:
        sizes = [nin, *nouts]
        last = len(nouts) - 1
        self.layers = [Layer(a, b, nonlin=i != last) for i, (a, b) in enumerate(zip(sizes, nouts))]  # noqa: B905

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x if isinstance(x, (list, tuple)) or not isinstance(x, Value) else [x])
        return x

    def parameters(self) -> list[Value]:
        """Those of the layers in order."""
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"
