"""What optimizers, schedulers and clipping accept, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

from tinygrad_sm.graph import Value

_FLAGS = {"nesterov", "amsgrad", "centered"}


def number(what: str, x: Any, below: float = math.inf) -> float:
    """A setting as a Python float from 0 up to `below`; what else it may be is an error."""
    if isinstance(x, bool) or not isinstance(x, Real):
        raise TypeError(f"{what} is a plain number, not of type {type(x).__name__}")
    if not 0.0 <= float(x) < below:
        raise ValueError(f"{what} is {x}, and should be at least 0 and {'finite' if below == math.inf else f'below {below}'}")
    return float(x)


def setting(what: str, key: str, x: Any) -> Any:
    """A setting of an optimizer, checked."""
    if key in _FLAGS:
        if not isinstance(x, bool):
            raise TypeError(f"{what} is True or False, not of type {type(x).__name__}")
        return x
    if key == "betas":
        if not isinstance(x, (tuple, list)) or len(x) != 2:
            raise TypeError(f"{what} are two numbers, such as (0.9, 0.999), not of type {type(x).__name__}")
        return tuple(number(what, beta, below=1.0) for beta in x)
    return number(what, x, below=1.0 if key == "alpha" else math.inf)


def listed(name: str, params: Any) -> list:
    """The parameters as a list. A set has no order, and iterating over a Value would give pieces of it."""
    if isinstance(params, (Value, set, frozenset)) or not isinstance(params, Iterable):
        raise TypeError(
            f"{name}: params is a list or generator of Values, such as [v] or model.parameters(), "
            f"not of type {type(params).__name__}"
        )
    return [*params]


def check_leaves(name: str, params: list) -> None:
    """An error unless these are different leaf Values."""
    seen = set()
    for i, p in enumerate(params):
        if not isinstance(p, Value):
            raise TypeError(f"{name}: parameter {i} is no Value but of type {type(p).__name__}; give model.parameters(), say")
        if p.op is not None:
            raise ValueError(f"{name}: parameter {i} is the result of {p.op.name}; give the leaves that it is computed from")
        if p in seen:
            raise ValueError(f"{name}: parameter {i} is there twice{f' ({p.name})' if p.name else ''}")
        seen.add(p)
