"""Pictures: computation graphs as DOT, SVG, PNG and PDF.

>>> import tinygrad_sm as tg
>>> x = tg.Value(3.0, name="x")
>>> tg.draw(x * x + x)
Drawing(3 nodes, 4 edges)
"""

from tinygrad_sm.viz.drawing import Drawing, draw

__all__ = ["Drawing", "draw"]
