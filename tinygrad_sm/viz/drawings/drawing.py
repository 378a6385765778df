"""`draw`: the graph that a Value was computed by, as a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from operator import index
from typing import TYPE_CHECKING, Any

from tinygrad_sm.graph import Value
from tinygrad_sm.nd.shapes import brief
from tinygrad_sm.viz.rendering import render

if TYPE_CHECKING:
    from pathlib import Path

    import graphviz

    from tinygrad_sm.nn import Module
    from tinygrad_sm.viz.scenes.scene import Group, Scene

VIEWS = ("graph", "backward", "both")
DIRECTIONS = ("LR", "TB")
_PICTURES = (".svg", ".png", ".pdf")
_TEXTS = (".dot", ".gv", ".html", ".txt")
_LOCALS = "∂ is the local derivative; below it stands what the operand's gradient gets from here"
_shown = count()  # numbers the pictures in a notebook, whose ids must not meet


def draw(
    value: Value,
    *,
    names: Mapping[str, Any] | Module | None = None,
    view: str = "graph",
    locals: bool = False,  # noqa: A002
    beside: bool | Collection[str] | Value | None = None,
    collapse: int | str | Collection[str] | Callable[[Group], bool] | None = None,
    repeats: bool | None = None,
    grad_output: Any = None,
    direction: str = "LR",
    values: bool = True,
    grads: bool = True,
    heatmaps: bool = True,
    theme: str = "auto",
    precision: int = 4,
    max_nodes: int = 300,
    legend: bool = False,
    title: str | None = None,
    engine: str | os.PathLike[str] | None = None,
) -> Drawing:
    """The graph that `value` was computed by: every Value with its op, shape, value and gradient, oldest on the left.

    A small array is a heat map, blue above zero and orange below, and with few elements has its numbers in it; of a larger one
    there are min, mean and max. Leaves are inputs (rounded), parameters (thick border: those of a Module, and those whose name
    is a path or weight or bias) and constants (dashed); fused ops have a double border, and `value` itself a thick one. What an
    op took stands at its left side from top to bottom, by position or by name. A leaf whose data was rebound since, as an
    optimizer does, shows what was computed with, and beside "now" what it holds. Calls of Modules are framed. The picture is of
    this moment and does not change afterwards.

    What flows back:

    - `view="graph"` has solid edges from operands to results, dotted where no gradient comes back. The gradients are those
      that the Values hold; the cell is empty until one has arrived.
    - `view="backward"` has the way of the gradients instead, dashed, and in grey what none reaches; `view="both"` has both.
      The gradients are those of one sweep back from `value`, which touches nobody's `.grad`; `grad_output` (of its shape) flows
      in, needed where `value` is no single number.
    - `locals=True` writes beside each operand the local derivative of the op by it, behind ∂ (for arrays slopes or a Jacobian,
      with a row for each element of the result), and below it what this operand gets, of the same sweep.

    What is drawn:

    - `names` gives Values, Modules and plain arrays names, as in `names=locals()`; also a Module itself. Otherwise the `.name`
      of a Value is shown.
    - `beside=True` draws beside it the same graph with its fused ops expanded to what they are defined by, `beside=["softmax"]`
      only these; `beside` may also be another Value. Leaves are shared, and the largest differences are written below.
    - `collapse` makes one box of a module: a depth (0: the outermost ones; it changes nothing where there are no modules),
      paths such as "layers.0" or names of classes, or a function of a Group. `repeats=True` draws equal blocks in a row once,
      "x12". Graphs of more than `max_nodes` nodes are folded so by themselves, and at last their oldest nodes become one.
    - `values`, `grads` and `heatmaps` leave these out when False, `precision` is the number of digits, `direction` "LR" or "TB"
      (top to bottom), `theme` "auto" (as dark as the page it is in; png and pdf are light), "light", "dark" or "print".
      `legend=True` says what means what, and `title` stands above.
    - `engine` is the program that lays the picture out: a path or a name (default: $TINYGRAD_SM_DOT, then `dot`, then that of
      `pip install 'tinygrad_sm[dot]'`, then the package pygraphviz). It is needed for pictures only, not for `.source`, `.dot`
      and `.text()`.

    Raises a TypeError or a ValueError for arguments that are none of these, in a sentence.

    >>> import tinygrad_sm as tg
    >>> x = tg.Value(3.0, name="x")
    >>> y = x * x
    >>> drawing = tg.draw(y, names={"y": y}, view="both", locals=True)
    >>> drawing
    Drawing(2 nodes, 2 edges)
    >>> "n0:e -> n1:i0:w" in drawing.source and "n0:e -> n1:i1:w" in drawing.source
    True
    >>> print(drawing.text())
    name  op        operands  value  grad
    x     input                   3     6
    y     multiply  x, x          9     1
    """
    from tinygrad_sm.viz.drawings import digraphs, text
    from tinygrad_sm.viz.drawings.beside import differences, flow_of_both, scene_beside
    from tinygrad_sm.viz.drawings.themes import LIGHT, THEMES
    from tinygrad_sm.viz.scenes.flow import flow_of
    from tinygrad_sm.viz.scenes.folding import fold
    from tinygrad_sm.viz.scenes.scene import Names, scene_of

    if not isinstance(value, Value):
        raise TypeError(f"draw: takes a Value, not {type(value).__name__}; {_hint(value)}")
    _must_be_one_of("view", view, VIEWS)
    _must_be_one_of("direction", direction, DIRECTIONS)
    _must_be_one_of("theme", theme, ("auto", *THEMES))
    for name, x in (("locals", locals), ("values", values), ("grads", grads), ("heatmaps", heatmaps), ("legend", legend)):
        _must_be_bool(name, x)
    digits = _digits(precision)

    called = Names(names)
    caption = [_LOCALS] if locals and not legend else []
    _must_fit(grad_output, value)
    other: Value | None = None
    if beside is None or beside is False:
        scene = scene_of(value, names=called)
    else:
        scene, other, shared = scene_beside(value, beside, called)
        _must_fit(grad_output, other)
        caption.insert(0, differences(value, other, shared, grad_output, called))
    flow = None
    if view != "graph" or locals or grad_output is not None:
        flow = flow_of(scene, value, grad_output) if other is None else flow_of_both(scene, value, other, shared, grad_output)
    whole, scene = scene, fold(scene, collapse=collapse, repeats=repeats, max_nodes=max_nodes)
    if flow is not None and scene is not whole:
        flow = flow.through(scene)
    graph = digraphs.digraph(
        scene,
        flow=flow,
        view=view,
        direction=direction,
        values=values,
        grads=grads,
        locals=locals,
        heatmaps=heatmaps,
        theme=THEMES.get(theme, LIGHT),
        precision=digits,
        title="" if title is None else str(title),
        caption="; ".join(filter(None, caption)),
        legend=legend,
    )
    rows = text.listing(scene, flow, values=values, grads=grads, precision=digits)
    return Drawing(scene, graph, digraphs.ids_of(scene, view), rows, theme=theme, engine=engine)


class Drawing:
    """A drawn graph, made by `draw`: as DOT, SVG, plain text, and as a file. In a notebook it shows itself.

    `dot` is the `graphviz.Digraph`, to which more may be added before it is shown or saved; `scene` is what was drawn.
    """

    def __init__(
        self,
        scene: Scene,
        dot: graphviz.Digraph,
        ids: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        theme: str = "auto",
        engine: str | os.PathLike[str] | None = None,
    ) -> None:
        self.scene, self.dot, self.theme = scene, dot, theme
        self._ids, self._rows, self._engine = ids, rows, engine

    @property
    def source(self) -> str:
        """The DOT text."""
        return self.dot.source

    def svg(self) -> str:
        """The picture as SVG text, to be put into a page or a file.

        Raises a FileNotFoundError that says what to install when there is no program that lays graphs out.
        """
        from tinygrad_sm.viz.drawings.inline import finished

        return finished(self._render("svg").decode(), self.theme, f"Computation graph of {self._counts()}")

    def text(self, *, width: int | None = None) -> str:
        """The graph as a table of plain text, a line for each Value, oldest first.

        With `width`, a number of characters, what is longest in the table is cut until its lines fit, but never the names of
        its columns. Raises a TypeError or a ValueError for a width that is no whole number above 0.
        """
        from tinygrad_sm.viz.drawings.text import aligned

        return "\n".join(aligned(self._rows, width))

    def save(self, path: str | os.PathLike[str], *, dpi: float = 192.0) -> Path:
        """Writes the picture into a file, whole or not at all, and returns its path.

        The suffix picks the format: .svg, .png, .pdf, .html (a page of its own), .txt, or .dot and .gv for the DOT text. A png
        has `dpi` pixels an inch, fewer where it would be too large; with the extra it shows boxes for letters beyond Latin,
        Greek, Cyrillic and Hebrew, so save those as svg. Raises a ValueError for another suffix, and for a `dpi` that is not
        positive, and as `svg` does where there is no program.
        """
        from tinygrad_sm.files import path_name, write_whole

        suffix = os.path.splitext(path_name(path, "save"))[1].lower()
        if suffix in (".dot", ".gv"):
            return write_whole(path, self.source)
        if suffix == ".txt":
            return write_whole(path, self.text() + "\n")
        if suffix == ".html":
            return write_whole(path, self._page())
        if suffix not in _PICTURES:
            known, has = ", ".join(_PICTURES + _TEXTS), repr(suffix) if suffix else "none"
            raise ValueError(f"save: the suffix picks the format ({known}), and {os.fspath(path)!r} has {has}")
        return write_whole(path, self.svg() if suffix == ".svg" else self._render(suffix[1:], dpi))

    def _page(self) -> str:
        from tinygrad_sm.viz.drawings.inline import page

        output = self.scene.nodes[self.scene.outputs[0]]
        return page(self.svg(), self.theme, f"Computation graph of {output.name or output.title}", self.text())

    def _render(self, kind: str, dpi: float = 192.0) -> bytes:
        return render(self.source, kind, engine=self._engine, ids=self._ids, dpi=dpi)

    def _counts(self) -> str:
        counts = (len(self.scene.nodes), "node"), (len(self.scene.edges), "edge")
        return ", ".join(f"{n} {name}{'s' * (n != 1)}" for n, name in counts)

    def __repr__(self) -> str:
        return f"Drawing({self._counts()})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the picture, and the graph as text; where there is no picture, the reason in a sentence."""
        from tinygrad_sm.viz.drawings.inline import with_ids_of_its_own
        from tinygrad_sm.viz.drawings.text import shortened

        bundle = {"text/plain": "\n".join((repr(self), *shortened(self.text().splitlines())))}
        wanted = {"text/plain", "text/html"}.intersection(include or ("text/plain", "text/html")).difference(exclude or ())
        if "text/html" in wanted:
            try:
                svg = with_ids_of_its_own(self.svg(), f"tg{next(_shown)}_")
                bundle["text/html"] = f'<div style="overflow-x: auto">{svg}</div>'
            except Exception as error:  # a repr that raised would show nothing at all
                bundle["text/plain"] += f"\n(without a picture: {error})"
                wanted.add("text/plain")
        return {kind: shown for kind, shown in bundle.items() if kind in wanted}


def _hint(thing: Any) -> str:
    return "call it and draw the result: tg.draw(model(x))" if callable(thing) else "of several Values draw tg.stack([...])"


def _must_be_bool(name: str, x: Any) -> None:
    if not isinstance(x, bool):
        hint = "; names come by names=locals()" if isinstance(x, Mapping) else ""
        raise TypeError(f"draw: {name} is True or False, not {brief(x)}{hint}")


def _must_fit(grad_output: Any, output: Value) -> None:
    from tinygrad_sm.graph.value import seed_like

    try:
        if grad_output is not None:
            seed_like(output.data, grad_output, "draw: grad_output")
    except ValueError:
        raise ValueError(
            f"draw: grad_output is a number or has the shape {output.shape} of the output, and is not {brief(grad_output)}"
        ) from None


def _must_be_one_of(name: str, x: Any, known: Sequence[str]) -> None:
    if not isinstance(x, str) or x not in known:
        kind = ValueError if isinstance(x, str) else TypeError
        raise kind(f"draw: {name} is {', '.join(map(repr, known[:-1]))} or {known[-1]!r}, not {brief(x)}")


def _digits(precision: Any) -> int:
    try:
        digits = index(precision)
    except TypeError:
        raise TypeError(f"draw: precision is a number of digits, not {brief(precision)}") from None
    if not 1 <= digits <= 17:
        raise ValueError(f"draw: precision is a number of digits from 1 to 17, not {digits}")
    return digits
