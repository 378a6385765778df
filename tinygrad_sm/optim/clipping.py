"""Clipping: gradients that are too long are shortened before a step."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import namespace_of
from tinygrad_sm.ops.reductions import norm
from tinygrad_sm.optim.checks import check_leaves, listed, number


def clip_grad_norm(params: Iterable[Value], max_norm: float) -> float:
    """Scales all gradients by max_norm / (norm + 1e-6) where that is below 1, and returns the norm that they had.

    The norm is the Euclidean one of all elements of all gradients together, and does not overflow on the way. With
    `max_norm=math.inf` it is only measured. A norm of nan or inf is a ValueError that names the parameter, and then nothing
    has changed. The formula is PyTorch's.

    >>> import tinygrad_sm as tg
    >>> w, b = tg.Value([1.0, 1.0]), tg.Value(1.0)
    >>> (w.sum() * 2.0 + b).backward()
    >>> tg.optim.clip_grad_norm([w, b], max_norm=1.5)
    3.0
    >>> print(f"{w.grad[0]:.5f} {b.grad:.5f}")
    1.00000 0.50000
    """
    params = _leaves("clip_grad_norm", params)
    limit = _limit("clip_grad_norm: max_norm", max_norm)
    norms = [float(norm(p.grad)) if p.has_grad else 0.0 for p in params]
    total = math.hypot(*norms)
    if not math.isfinite(total):
        i = next((i for i, x in enumerate(norms) if not math.isfinite(x)), norms.index(max(norms)))
        called = f"{i} ({params[i].name})" if params[i].name else f"{i}"
        raise ValueError(f"clip_grad_norm: the norm of all gradients is {total}, and that of parameter {called} is {norms[i]}")
    scale = limit / (total + 1e-6)
    if scale < 1.0:
        _rebind([(p, p.grad * scale) for p in params if p.has_grad])
    return total


def clip_grad_value(params: Iterable[Value], limit: float) -> None:
    """Moves every element of every gradient into the range from -limit to limit; a nan stays one.

    >>> import tinygrad_sm as tg
    >>> w = tg.Value([1.0, 1.0])
    >>> (w * [0.5, -7.0]).sum().backward()
    >>> tg.optim.clip_grad_value([w], limit=2.0)
    >>> w.grad
    array([0.5, -2.0])
    """
    params = _leaves("clip_grad_value", params)
    limit = _limit("clip_grad_value: limit", limit)
    _rebind([(p, namespace_of((p.grad,)).clip(p.grad, -limit, limit)) for p in params if p.has_grad])


def _leaves(name: str, params: Iterable[Value]) -> list[Value]:
    values = listed(name, params)
    check_leaves(name, values)
    return values


def _limit(what: str, x: float) -> float:
    return x if type(x) is float and x == math.inf else number(what, x)


def _rebind(gradients: list) -> None:
    """At the end, so that an error leaves no half of them clipped."""
    for p, gradient in gradients:
        p.grad = gradient
