"""Pictures: computation graphs drawn, pages to step through them, and plots.

>>> import tinygrad_sm as tg
>>> x = tg.Value(3.0, name="x")
>>> tg.draw(x * x + x)
Drawing(3 nodes, 4 edges)
"""

from typing import Any

from tinygrad_sm.viz.drawings.drawing import Drawing, draw
from tinygrad_sm.viz.players.playing import Player, player

__all__ = ["Drawing", "Player", "draw", "player", "plots"]


def __getattr__(name: str) -> Any:
    """`plots`, which is imported when it is asked for first: it takes as long as a tenth of the package."""
    if name == "plots":
        from importlib import import_module

        return import_module("tinygrad_sm.viz.plots")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
