"""Puts the operators and methods on Value, from one table.

Arithmetic between single numbers is most of what scalar programs do, so those operators have a direct path: they are
written out from a template, with the plain expression in the middle, and record the same op with the same rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_sm.graph import Op, Value
from tinygrad_sm.graph.op import EXACT_INTS
from tinygrad_sm.graph.value import is_recording, next_order
from tinygrad_sm.nd import floats

_DIRECT = """
def {name}(self, other):
    cls = type(self)
    x = self._data
    if type(other) is cls:
        y = other._data
        tracked = self.requires_grad or other.requires_grad
    else:
        if type(other) is int and type(x) is float and -EXACT_INTS <= other <= EXACT_INTS:
            other = float(other)
        y = other
        tracked = self.requires_grad
    if type(x) is float and type(y) is float and tracked and is_recording():
        try:
            data = {expression}
        except ZeroDivisionError:
            return op({operands})
        node = new(cls)
        node._data = data
        node._grad = node._params = node.name = None
        node.op = op
        node._left, node._right = {operands}
        node._left_data, node._right_data = {saved}
        node._order = next_order()
        node.requires_grad = True
        return node
    if can(other):
        return op({operands})
    return NotImplemented
"""


def _direct(name: str, symbol: str, op: Op, reflected: bool) -> Callable:
    """The operator method `name` for `op`. Nothing but operator names goes into the text."""
    a, b = ("other", "self") if reflected else ("self", "other")
    x, y = ("y", "x") if reflected else ("x", "y")
    text = _DIRECT.format(name=name, expression=symbol.format(x, y), operands=f"{a}, {b}", saved=f"{x}, {y}")
    scope = {
        "op": op,
        "power": floats.power,
        "new": object.__new__,
        "is_recording": is_recording,
        "next_order": next_order,
        "can": _is_operand,
        "EXACT_INTS": EXACT_INTS,
    }
    exec(text, scope)
    return scope[name]  # type: ignore[return-value]


def _is_operand(x: Any) -> bool:
    """Whether an operator takes `x`; what is no number at all is Python's to refuse."""
    return not isinstance(x, (str, bytes, dict, set)) and x is not None


def _general(op: Op, reflected: bool) -> Callable:
    def method(self: Value, other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        return op(other, self) if reflected else op(self, other)

    return method


def _method(op: Callable) -> Callable:
    def method(self: Value, *args: Any, **keywords: Any) -> Any:
        return op(self, *args, **keywords)

    method.__name__, method.__doc__ = op.__name__, op.__doc__
    return method


def install(
    arithmetic: dict[str, tuple[str, Op]], binary: dict[str, Op], unary: dict[str, Op], methods: dict[str, Callable]
) -> None:
    """Sets every operator (with its reflection) and every method on Value."""
    for name, (symbol, op) in arithmetic.items():
        setattr(Value, f"__{name}__", _direct(f"__{name}__", symbol, op, reflected=False))
        setattr(Value, f"__r{name}__", _direct(f"__r{name}__", symbol, op, reflected=True))
    for name, op in binary.items():
        setattr(Value, f"__{name}__", _general(op, reflected=False))
        setattr(Value, f"__r{name}__", _general(op, reflected=True))
    for name, op in unary.items():
        setattr(Value, f"__{name}__", _method(op))
    install_methods(methods)


def install_methods(methods: dict[str, Callable]) -> None:
    """Makes each function a method of Value under its name."""
    for name, function in methods.items():
        setattr(Value, name, _method(function))
