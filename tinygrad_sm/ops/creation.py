"""Arrays from nothing: plain data of `tinygrad_sm.nd`, and seeded random numbers."""

from __future__ import annotations

import random
from math import prod
from typing import Any

from tinygrad_sm import nd

_generator = random.Random(0)


def manual_seed(n: int | None) -> None:
    """Starts the random numbers of `rand`, `randn` and whatever else draws without a seed of its own anew.

    A program begins as after `manual_seed(0)`, so that every run draws the same numbers; `manual_seed(None)` asks the
    operating system for fresh ones.

    >>> import tinygrad_sm as tg
    >>> tg.manual_seed(0)
    >>> print(tg.rand(2))
    [0.84442185, 0.7579544]
    """
    _generator.seed(n)


def zeros(*shape: Any) -> nd.Array:
    """Zeros, as in `zeros(2, 3)` or `zeros((2, 3))`."""
    return nd.zeros(_sizes(shape))


def ones(*shape: Any) -> nd.Array:
    """Ones, as in `ones(2, 3)` or `ones((2, 3))`."""
    return nd.ones(_sizes(shape))


def full(shape: Any, fill_value: float) -> nd.Array:
    """One number everywhere."""
    return nd.full(shape, float(fill_value))


def arange(start: float, stop: float | None = None, step: float = 1) -> nd.Array:
    """Numbers from `start` (0 when only the end is given) up to, but without, `stop`."""
    if not step:
        raise ValueError("arange: the step is 0")
    return nd.arange(start, stop, step)


def rand(*shape: Any, seed: int | None = None) -> nd.Array:
    """Random numbers, even between 0 and 1, as in `rand(2, 3)`. They follow `manual_seed`, or a `seed` of their own.

    >>> import tinygrad_sm as tg
    >>> tg.rand(2, 3, seed=0).shape
    (2, 3)
    """
    draw = _drawer(seed).random
    return _drawn(draw, shape)


def randn(*shape: Any, seed: int | None = None) -> nd.Array:
    """Random numbers of the standard normal distribution. They follow `manual_seed`, or a `seed` of their own."""
    generator = _drawer(seed)
    return _drawn(lambda: generator.gauss(0.0, 1.0), shape)


def _drawer(seed: int | None) -> random.Random:
    return _generator if seed is None else random.Random(seed)


def _drawn(draw: Any, shape: tuple) -> nd.Array:
    sizes = _sizes(shape)
    return nd.reshape(nd.asarray([draw() for _ in range(prod(sizes))], dtype=nd.float64), sizes)


def _sizes(shape: tuple) -> tuple[int, ...]:
    sizes = nd.shapes.as_shape(shape[0] if len(shape) == 1 else shape)
    if min(sizes, default=0) < 0:
        raise ValueError(f"a shape has no negative sizes: {sizes}")
    return sizes
