"""micrograd's API on this engine: its programs run unchanged but for the import.

    from tinygrad_sm.micro import Value, Neuron, Layer, MLP

The graph is built as micrograd builds it (a constant becomes a Value, a - b is a + b * -1, a / b is a * b**-1), so programs
that walk it through `_prev` and `_op` see the same nodes. What differs on purpose: data and gradients are always floats,
repeated `backward()` adds up in the leaves only, deep graphs do not recurse, arithmetic follows IEEE (1 / 0 is inf), a layer
refuses inputs of the wrong width, and a result's data cannot be rebound.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any

from tinygrad_sm import graph
from tinygrad_sm.graph.value import leaf
from tinygrad_sm.nd.floats import divide

_add, _multiply, _pow = graph.Value.__add__, graph.Value.__mul__, graph.Value.__pow__
_SYMBOLS = {"add": "+", "multiply": "*", "relu": "ReLU"}


def _number(x: Any) -> float:
    """A Python float of any library's number."""
    if not isinstance(x, (str, bytes, graph.Value)):  # float() would read the text, and lose the history
        try:
            return float(x)
        except TypeError:
            pass
    raise TypeError(f"micro.Value: holds a single number, not {x!r}")


class Value(graph.Value):  # without __slots__: such programs also hang things of their own on a Value, such as its momentum
    """A single number that records what is computed from it.

    >>> from tinygrad_sm.micro import Value
    >>> a, b = Value(-4.0), Value(2.0)
    >>> c = (a + b) ** 2
    >>> c.backward()
    >>> c, a
    (Value(data=4.0, grad=1.0), Value(data=-4.0, grad=-4.0))
    """

    _exponent: float | None = None  # that of a power as it was written, for `_op`

    def __init__(self, data: Any, _children: tuple = (), _op: str = "", label: str = "") -> None:
        if _children:
            raise TypeError("micro.Value: give a result its history by computing it; for an op of your own see tg.primitive")
        super().__init__(_number(data), name=label or None)

    data = property(attrgetter("_data"), lambda self, number: self._rebind(_number(number)), doc="The float.")

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
        return _SYMBOLS.get(self.op.name, self.op.name) if self._exponent is None else f"**{self._exponent}"

    def _backward(self) -> None:
        """One step back, for programs that take the steps themselves."""
        if self.op is not None:
            for x, amount in zip(self.inputs, self.op.contributions(self, self.grad), strict=True):
                if amount is not None:
                    x.grad += amount

    def __add__(self, other: Any) -> Value:
        return _add(self, other if isinstance(other, graph.Value) else leaf(_number(other), Value))  # type: ignore[return-value]

    def __mul__(self, other: Any) -> Value:
        return _multiply(self, other if isinstance(other, graph.Value) else leaf(_number(other), Value))  # type: ignore[return-value]

    def __pow__(self, other: Any) -> Value:
        if not isinstance(other, (int, float)):
            raise TypeError(f"micro.Value: a power is a plain number, as in micrograd, not {other!r}")
        power: Value = _pow(self, float(other))  # type: ignore[assignment]
        power._exponent = other
        return power

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
        return self * (other**-1 if isinstance(other, graph.Value) else divide(1.0, _number(other)))

    def __rtruediv__(self, other: Any) -> Value:
        return other * self**-1

    # For numpy a Value is one object, as is everything whose class it does not know: `array * value` is an array of Values.

    def __array__(self, *args: Any, **keywords: Any) -> Any:
        import numpy

        array: Any = numpy.empty((), dtype=object)
        array[()] = self
        return array

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:  # type: ignore[override]
        import numpy

        return getattr(ufunc, method)(*(numpy.asarray(x).astype(object) for x in inputs), **keywords)

    # a Value is an object like any other: never equal to a number, always true, and printed in full
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"

    __str__ = __repr__


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
        last = len(nouts) - 1
        self.layers = [Layer(a, b, nonlin=i != last) for i, (a, b) in enumerate(pairwise([nin, *nouts]))]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer([x] if isinstance(x, Value) else x)  # a layer of one neuron gives a single Value
        return x

    def parameters(self) -> list[Value]:
        """Those of the layers in order."""
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"
