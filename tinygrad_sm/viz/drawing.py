"""`draw`: the graph that a Value was computed by, as a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import count
from operator import index
from typing import TYPE_CHECKING, Any

from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import is_array
from tinygrad_sm.nd.shapes import brief
from tinygrad_sm.viz.rendering import render
from tinygrad_sm.viz.structure import graph_of

if TYPE_CHECKING:
    from pathlib import Path

    import graphviz

    from tinygrad_sm.nn import Module

_PICTURES = (".svg", ".png", ".pdf")
_TEXTS = (".dot", ".gv")
_shown = count()  # numbers the pictures in a notebook, whose ids must not meet


def draw(
    value: Value,
    *,
    names: Mapping[str, Any] | Module | None = None,
    max_nodes: int = 300,
    engine: str | os.PathLike[str] | None = None,
) -> Drawing:
    """The graph that `value` was computed by: every Value with its op, shape, value and gradient, oldest on the left.

    A small array shows its numbers, a larger one min, mean and max. The gradient's cell is empty until one has arrived.
    What an op took stands at its left side from top to bottom, by position or by name; a dashed edge carries no gradient.
    Leaves are inputs (blue), parameters (orange: those of a Module, and those whose name is a path or weight or bias) and
    constants (grey, dashed where they are plain data). A leaf whose data was rebound since, as an optimizer does, shows what
    was computed with, and beside "now" what it holds. The picture is of this moment and does not change afterwards.

    `names` gives Values, Modules and plain arrays names, as in `names=locals()`; also a Module itself. Otherwise a Value's
    own `.name` is shown. Of more than `max_nodes` Values the newest are drawn, and one node stands for the others.
    `engine` is the program that lays the picture out: a path or a name (default: $TINYGRAD_SM_DOT, then `dot`, then that of
    `pip install 'tinygrad_sm[dot]'`). It is needed for pictures only, not for `.source` and `.dot`.

    Raises a TypeError for anything but a Value and for `names` that are no mapping, and a ValueError for `max_nodes` below 1.

    >>> import tinygrad_sm as tg
    >>> x = tg.Value(3.0, name="x")
    >>> y = x * x
    >>> drawing = tg.draw(y, names={"y": y})
    >>> drawing
    Drawing(2 nodes, 2 edges)
    >>> "n0:e -> n1:i0:w" in drawing.source and "n0:e -> n1:i1:w" in drawing.source
    True
    """
    if not isinstance(value, Value):
        raise TypeError(f"draw: takes a Value, not {type(value).__name__}; of several Values draw tg.stack([...])")
    try:
        most = index(max_nodes)
    except TypeError:
        raise TypeError(f"draw: max_nodes is a whole number, not {max_nodes!r}") from None
    if most < 1:
        raise ValueError(f"draw: max_nodes is at least 1, not {most}")
    return Drawing(*graph_of(value, *_named(names), most), engine=engine)


class Drawing:
    """A drawn graph, made by `draw`: as DOT, as SVG text, and as a file. In a notebook it shows itself."""

    def __init__(
        self, dot: graphviz.Digraph, nodes: list[str], edges: list[str], engine: str | os.PathLike[str] | None = None
    ) -> None:
        self.dot = dot
        self._nodes, self._edges, self._engine = nodes, edges, engine

    @property
    def source(self) -> str:
        """The DOT text."""
        return self.dot.source

    def svg(self) -> str:
        """The picture as SVG text, to be put into a page or a file.

        Raises a FileNotFoundError that says what to install when there is no program that lays graphs out.
        """
        text = self._render("svg").decode()
        return text[text.index("<svg") :]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the picture into a file, whole or not at all, and returns its path.

        The suffix picks the format: .svg, .png, .pdf, or .dot and .gv for the DOT text. Raises a ValueError for another one.
        """
        from tinygrad_sm.files import path_name, write_whole

        suffix = os.path.splitext(path_name(path, "save"))[1].lower()
        if suffix in _TEXTS:
            return write_whole(path, self.source)
        if suffix not in _PICTURES:
            known, has = ", ".join(_PICTURES + _TEXTS), repr(suffix) if suffix else "none"
            raise ValueError(f"save: the suffix picks the format ({known}), and {os.fspath(path)!r} has {has}")
        return write_whole(path, self.svg() if suffix == ".svg" else self._render(suffix[1:]))

    def _render(self, kind: str) -> bytes:
        return render(self.source, kind, engine=self._engine, ids=self._nodes + self._edges)

    def __repr__(self) -> str:
        counts = (f"{len(x)} {name}{'s' * (len(x) != 1)}" for x, name in ((self._nodes, "node"), (self._edges, "edge")))
        return f"Drawing({', '.join(counts)})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the picture, and where there is none the reason in words."""
        bundle = {"text/plain": repr(self)}
        if (include is None or "text/html" in include) and "text/html" not in (exclude or ()):
            prefix = f"tg{next(_shown)}_"
            try:
                svg = self.svg().replace(' id="', f' id="{prefix}')
                bundle["text/html"] = f'<div style="overflow-x: auto">{svg}</div>'
            except Exception as error:  # a repr that raised would show nothing at all
                bundle["text/plain"] += f" without a picture: {error}"
        return bundle


def _named(names: Any) -> tuple[dict[int, str], set[int]]:
    """Names by the id of what they name, and the ids of the parameters of Modules."""
    from tinygrad_sm.nn import Module

    if names is None:
        return {}, set()
    if isinstance(names, Module):
        own, modules = [], [*names.named_parameters()]
    elif isinstance(names, Mapping):
        own = sorted(((str(name), x) for name, x in names.items()), key=lambda pair: pair[0].startswith("_"))  # a notebook's
        modules = [(f"{name}.{path}", p) for name, x in own if isinstance(x, Module) for path, p in x.named_parameters()]
    else:
        raise TypeError(f"draw: names is a mapping of names to Values, such as locals(), or a Module, not {brief(names)}")
    found: dict[int, str] = {}
    for name, x in own + modules:
        if isinstance(x, Value) or is_array(x):
            found.setdefault(id(x), name)
    return found, {id(p) for _, p in modules}
