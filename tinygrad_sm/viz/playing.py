"""`player`: the forward pass and the pass back of a graph, step by step, on a page of its own."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_sm.graph import Fused, Value, history
from tinygrad_sm.nd.shapes import brief
from tinygrad_sm.viz.expansion import Expansion, expanded
from tinygrad_sm.viz.flow import Flow
from tinygrad_sm.viz.folding import fold
from tinygrad_sm.viz.labels import escaped, number, printable
from tinygrad_sm.viz.pages import page_of, prepared, reserves
from tinygrad_sm.viz.pairing import Difference, View, differences, inside, partners, told, ulps, until
from tinygrad_sm.viz.quantities import Quantities
from tinygrad_sm.viz.scene import Names, scene_of
from tinygrad_sm.viz.steps import called, labels_of

if TYPE_CHECKING:
    from pathlib import Path

    from tinygrad_sm.nn import Module

_THEMES = ("auto", "light", "dark")
_NOTHING = Flow({}, {}, [])  # pictures have empty cells, which the page fills


def player(
    value: Value,
    *,
    names: Mapping[str, Any] | Module | None = None,
    expand: bool | str | Collection[str] = True,
    grad_output: Any = None,
    theme: str = "auto",
    title: str | None = None,
    collapse: Any = None,
    max_nodes: int = 300,
    engine: str | os.PathLike[str] | None = None,
) -> Player:
    """A page on which one steps through the computation of `value` and through its pass back, with every number in sight.

    Forward, each op takes its operands and gives its value. Back, each op takes its incoming gradient and passes contributions
    on: incoming gradient times local derivative, added to the running total of the operand. The gradients are those of one
    sweep of the engine, in which nobody's `.grad` is touched; into an output of several elements flows `grad_output`.

    `expand` says which fused ops are also shown as the primitives of their definitions, in a second graph in step with the
    first, with the largest difference of the two: all (True), those named, or none (False). `names` gives things names as for
    `draw`, and `collapse` and `max_nodes` fold modules and large graphs as there; what is folded plays as one step. `theme` is
    "auto", "light" or "dark", `title` stands above, and `engine` is the program that lays the graphs out.

    Raises a TypeError for anything but a Value, and a ValueError for an output of several elements without `grad_output`,
    for an op in `expand` that is not in the graph, and for an unknown theme.

    >>> import tinygrad_sm as tg
    >>> x = tg.Value(3.0, name="x")
    >>> player(x * x + x)
    Player(add: 7 steps)
    """
    if not isinstance(value, Value):
        raise TypeError(f"player: takes a Value, not {type(value).__name__}; of several Values play tg.stack([...])")
    if theme not in _THEMES:
        raise ValueError(f"player: theme is {', '.join(map(repr, _THEMES))}, not {theme!r}")
    if title is not None and not isinstance(title, str):
        raise TypeError(f"player: title is a text, not {brief(title)}")
    held = Quantities()
    try:
        named = Names(names)
        expansion = _expansion(value, expand)

        def view(key: str, title: str, output: Value, expansion: Expansion | None = None) -> View:
            full = scene_of(output, names=named, expansion=expansion)
            return View(
                key, title, output, full, fold(full, collapse=collapse, repeats=False, max_nodes=max_nodes), grad_output, held
            )

        views = [view("fused", "Fused", value)]
        if expansion is not None:
            views.append(view("composed", "Composed", expansion.output, expansion))
    except (TypeError, ValueError) as error:
        if str(error).startswith("draw: "):  # from what drawings and players share
            raise type(error)(f"player: {str(error)[6:]}") from None
        raise
    return Player(views, expansion, held, theme, title, engine)


def _expansion(value: Value, expand: Any) -> Expansion | None:
    """The graph with fused ops expanded, or None where nothing is to be."""
    if isinstance(expand, bool):
        chosen = None
    else:
        try:
            chosen = [expand] if isinstance(expand, str) else [*expand]
        except TypeError:
            raise TypeError(f"player: expand is True, False or names of fused ops, not {brief(expand)}") from None
    there = sorted({x.op.name for x in history(value) if isinstance(x.op, Fused)})
    for name in chosen or ():
        if name not in there:
            raise ValueError(f"player: expand has {name!r}, which is no fused op here; there is {', '.join(there) or 'none'}")
    return None if not there or expand is False or chosen == [] else expanded(value, chosen)


class Player:
    """A page to step through a computation, made by `player`. In a notebook it shows itself, in a frame."""

    def __init__(
        self,
        views: Sequence[View],
        expansion: Expansion | None,
        held: Quantities,
        theme: str,
        title: str | None,
        engine: str | os.PathLike[str] | None,
    ) -> None:
        self._views, self._expansion, self._quantities = views, expansion, held
        output = views[0].scene.nodes[views[0].scene.outputs[0]]
        self._name = labels_of(views[0].scene)[output.id]
        self._title = printable(f"Backpropagation through {called(output)}" if title is None else title)
        self._theme, self._engine = theme, engine
        self._page = ""

    @property
    def html(self) -> str:
        """The page as text: one file, which fetches nothing.

        Raises a FileNotFoundError that says what to install when there is no program that lays graphs out.
        """
        self._page = self._page or self._made()
        return self._page

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the page into a file, whole or not at all, and returns its path."""
        from tinygrad_sm.files import write_whole

        return write_whole(path, self.html)

    def show(self) -> Path:
        """Opens the page in the browser and returns its file, which is kept; where there is no browser, says where it is."""
        import tempfile
        from pathlib import Path

        page = self.html  # before there is a folder for it
        path = Path(tempfile.mkdtemp(prefix="tinygrad_sm_")) / "player.html"
        path.write_text(page, encoding="utf-8")
        if not _opened(path):
            print(f"There is no browser here; open {path} in one.")
        return path

    def __repr__(self) -> str:
        counts = " and ".join(str(len(view.trace["steps"])) for view in self._views)
        return f"Player({self._name}: {counts} steps)"

    def _repr_html_(self) -> str | None:
        return self._repr_mimebundle_().get("text/html")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the page in a frame, and where there is none the reason in words."""
        bundle = {"text/plain": repr(self)}
        if (include is None or "text/html" in include) and "text/html" not in (exclude or ()):
            try:
                bundle["text/html"] = (  # a frame that may run its script and reach nothing else
                    f'<iframe srcdoc="{escaped(self.html)}" sandbox="allow-scripts" title="{escaped(self._title)}" '
                    'style="width:100%;height:720px;border:1px solid #8888;border-radius:8px"></iframe>'
                )
            except Exception as error:  # a repr that raised would show nothing at all
                bundle["text/plain"] += f" without a page: {error}"
        return bundle

    # --- the page

    def _made(self) -> str:
        held = self._quantities.entries
        data: dict[str, Any] = {"views": [view.trace for view in self._views], "quantities": held}
        captions, checks = [""], _about_sums(self._views[0])
        if self._expansion is not None:
            first, second = self._views
            data["partners"] = partners(first, second, self._expansion)
            data["until"] = until(first, second, data["partners"][second.key])
            data["inside"] = inside(first, second, self._expansion)
            found = differences(first, second, self._expansion)
            captions = ["<b>Fused</b>, as it was recorded", f"<b>Composed</b>, of primitives. {escaped(told(found))}"]
            checks = f"<p>{escaped(told(found))}</p>{_table_of(found)}{checks}"
        views = [
            {"key": x.key, "title": x.title, "caption": caption, "svg": self._svg(x), "steps": x.trace["steps"]}
            for x, caption in zip(self._views, captions, strict=True)
        ]
        return page_of(self._title, self._theme, views, data, checks)

    def _svg(self, view: View) -> str:
        from tinygrad_sm.viz.digraphs import digraph, ids_of
        from tinygrad_sm.viz.rendering import render

        held = self._quantities.entries
        dot = digraph(view.scene, flow=_NOTHING, cells=True, reserve=reserves(view.trace, held))
        picture = render(dot.source, engine=self._engine, ids=ids_of(view.scene)).decode()
        return prepared(picture, view.key, view.trace, held)


def _about_sums(view: View) -> str:
    """What has been checked while the steps were made."""
    parts = [part for step in view.trace["steps"] for part in step.get("moments", ()) if part["final"]]
    if not parts:
        return "<p>No gradient flows here, so there is nothing to check.</p>"
    who = "that one node gets" if len(parts) == 1 else f"each of {len(parts)} nodes gets"
    how = "in another order of adding, as some nodes are folded" if view.is_folded else "bit for bit"
    return f"<p>The contributions that {who} sum to the engine's gradient, {how}.</p>"


def _table_of(found: Sequence[Difference]) -> str:
    head = '<tr><th scope="col">Fused and composed</th><th scope="col">Largest difference</th><th scope="col">In ulp</th></tr>'
    rows = "".join(f"<tr><td>{escaped(x.what)}</td><td>{number(x.absolute, 2)}</td><td>{ulps(x.ulp)}</td></tr>" for x in found)
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _opened(path: Path) -> bool:
    """Whether a browser with windows took the page; one in the terminal would hold up the program."""
    import webbrowser

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER"):
        return False
    return browser.open(path.as_uri())
