"""Small pieces that the tests of the engine share."""

from typing import Any

import tinygrad_sm as tg


def chain(n: int) -> tuple[tg.Value, tg.Value]:
    """x, and x + x + ... + x with n additions."""
    x = y = tg.Value(1.0)
    for _ in range(n):
        y = y + x
    return x, y


def kind(x: Any) -> tuple:
    """What a gradient has in common with its data: type (and so library), element type and shape."""
    return type(x), getattr(x, "dtype", None), getattr(x, "shape", ())
