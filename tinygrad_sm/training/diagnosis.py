"""Where a number that is none came from: the first op, or the first backward rule, that made a nan or an infinity."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from tinygrad_sm.graph import Value, sweep
from tinygrad_sm.graph.namespaces import filled_like, namespace_of, shape
from tinygrad_sm.graph.value import plain


def is_finite(x: Any) -> bool:
    """Whether all numbers of plain data are finite."""
    if type(x) is float:
        return -float("inf") < x < float("inf")
    xp = namespace_of([x])
    with quiet(xp):
        total = float(xp.sum(x))  # one pass; a sum of finite numbers may still overflow
        return total - total == 0.0 or bool(xp.all(xp.isfinite(x)))


def quiet(xp: Any) -> Any:
    """A context in which a library does not warn of what is reported in a sentence."""
    return xp.errstate(all="ignore") if hasattr(xp, "errstate") else nullcontext()


def of_forward(loss: Value, names: dict[int, str]) -> str:
    """Where the nan, or the infinity, in `loss` came from. `names` are those of the parameters by `id`."""
    has = _has_nan if _has_nan(loss.data) else _has_infinity
    node = _source(loss, has)
    text = f"it was {_origin(node, has, names)}"
    if has is _has_nan and node.op is not None and any(map(_has_infinity, map(plain, node.inputs))):
        text += f", out of an infinity that was {_origin(_source(node, _has_infinity), _has_infinity, names)}"
    return text


def _source(node: Value, has: Callable[[Any], bool]) -> Value:
    """Back along Values that have such a number, to the one that got it from no Value.

    What was masked on the way, such as the -inf of an attention mask, is so left aside.
    """
    while before := [x for x in node.inputs if isinstance(x, Value) and has(x.data)]:
        node = next((x for x in before if x.op is not None), before[0])
    return node


def _origin(node: Value, has: Callable[[Any], bool], names: dict[int, str]) -> str:
    if node.op is None:
        return f"there before, in {names.get(id(node)) or node.name or 'an input'} of shape {node.shape}"
    given = any(has(x) for x in node.inputs if not isinstance(x, Value))
    return f"{'part of the plain data' if given else 'first made'} {'of' if given else 'by'} {_described(node)}"


def of_backward(loss: Value) -> str:
    """Which backward rule first made a number that is not finite out of finite ones."""
    for node, gradient, contributions in sweep(loss, filled_like(loss.data, 1.0)):
        if is_finite(gradient) and any(c is not None and not is_finite(c) for c in contributions):
            return f"it was first made by the backward rule of {_described(node)}"
    return "it was made where several gradients add up"


def _described(node: Value) -> str:
    """An op with what went into it."""
    inputs = [_range(x) for x in map(plain, node.inputs) if _is_floats(x)]
    return f"{node.op.name if node.op else ''} of {' and '.join(inputs) or 'nothing'}"


def _is_floats(x: Any) -> bool:
    return type(x) is float or "float" in str(getattr(x, "dtype", ""))


def _range(x: Any) -> str:
    xp, sizes = namespace_of([x]), shape(x)
    if not sizes:
        return f"{float(x):.6g}"
    if 0 in sizes:
        return "nothing"
    least, most = (f"{float(x) + 0.0:.6g}" for x in (xp.min(x), xp.max(x)))  # without the sign of a zero
    return f"numbers from {least} to {most} (shape {sizes})"


def _has_nan(x: Any) -> bool:
    if type(x) is float:
        return x != x
    return _is_floats(x) and bool(namespace_of([x]).any(namespace_of([x]).isnan(x)))


def _has_infinity(x: Any) -> bool:
    if type(x) is float:
        return x in (float("inf"), -float("inf"))
    return _is_floats(x) and bool(namespace_of([x]).any(namespace_of([x]).isinf(x)))
