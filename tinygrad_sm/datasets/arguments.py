"""What the makers and the splitter accept: seeds, counts and deviations, and a sentence for what is none."""

from __future__ import annotations

import random
from math import inf
from typing import Any

from tinygrad_sm.nd.shapes import whole
from tinygrad_sm.ops.creation import rand


def generator(name: str, seed: Any) -> random.Random:
    """Random numbers that start at `seed`; None takes a start from those that `manual_seed` rules."""
    return random.Random(rand().item() if seed is None else whole(seed, name, "a seed"))


def count(name: str, what: str, number: Any, least: int = 1) -> int:
    """A whole number that is not below `least`."""
    if isinstance(number, bool) or whole(number, name, what) < least:
        raise ValueError(f"{name}: {what} is a whole number from {least} on, not {number!r}")
    return whole(number, name, what)


def finite(name: str, what: str, number: Any) -> float:
    """A number that is neither nan nor infinite."""
    try:
        good = -inf < number < inf
    except TypeError:
        raise TypeError(f"{name}: {what} is a number, not {number!r}") from None
    if not good:
        raise ValueError(f"{name}: {what} is a finite number, not {number!r}")
    return float(number)


def deviation(name: str, what: str, number: Any) -> float:
    """A standard deviation: finite, and not below 0."""
    if finite(name, what, number) < 0:
        raise ValueError(f"{name}: {what} is a standard deviation and not negative, as {number!r} is")
    return float(number)
