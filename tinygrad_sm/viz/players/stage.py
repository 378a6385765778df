"""What a player plays: the views of a graph, in step, and the page that they make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tinygrad_sm.graph import Fused, Value, history
from tinygrad_sm.nd.shapes import brief
from tinygrad_sm.viz.drawings.labels import escaped, number
from tinygrad_sm.viz.players.pages import page_of, prepared, reserves
from tinygrad_sm.viz.players.pairing import Difference, View, differences, inside, partners, told, ulps, until
from tinygrad_sm.viz.players.quantities import Quantities
from tinygrad_sm.viz.players.steps import called, labels_of
from tinygrad_sm.viz.scenes.expansion import Expansion, expanded
from tinygrad_sm.viz.scenes.flow import Flow
from tinygrad_sm.viz.scenes.folding import fold
from tinygrad_sm.viz.scenes.scene import Names, scene_of

_NOTHING = Flow({}, {}, [])  # pictures have empty cells, which the page fills


class Stage:
    """A graph as it was recorded and, where fused ops are to be expanded, the expanded one beside it."""

    def __init__(self, value: Value, names: Any, expand: Any, grad_output: Any, collapse: Any, max_nodes: int) -> None:
        self._held = Quantities()
        named = Names(names)

        def view(key: str, title: str, output: Value, expansion: Expansion | None = None) -> View:
            full = scene_of(output, names=named, expansion=expansion)
            drawn = fold(full, collapse=collapse, repeats=False, max_nodes=max_nodes)
            return View(key, title, output, full, drawn, grad_output, self._held)

        self._expansion = _expansion(value, expand)
        self.views = [view("fused", "Fused", value)]
        if self._expansion is not None:
            self.views.append(view("composed", "Composed", self._expansion.output, self._expansion))
        scene = self.views[0].scene
        self.output = labels_of(scene)[scene.outputs[0]]
        self.title = f"Backpropagation through {called(scene.nodes[scene.outputs[0]])}"

    def page(self, title: str, theme: str, engine: str | os.PathLike[str] | None) -> str:
        """The page as text."""
        held = self._held.entries
        data: dict[str, Any] = {"views": [view.trace for view in self.views], "quantities": held}
        captions, checks = [""], _about_sums(self.views[0])
        if self._expansion is not None:
            first, second = self.views
            data["partners"] = partners(first, second, self._expansion)
            data["until"] = until(first, second, data["partners"][second.key])
            data["inside"] = inside(first, second, self._expansion)
            found = differences(first, second, self._expansion)
            captions = ["<b>Fused</b>, as it was recorded", f"<b>Composed</b>, of primitives. {escaped(told(found))}"]
            checks = f"<p>{escaped(told(found))}</p>{_table_of(found)}{checks}"
        views = [
            {"key": x.key, "title": x.title, "caption": caption, "svg": self._svg(x, engine), "steps": x.trace["steps"]}
            for x, caption in zip(self.views, captions, strict=True)
        ]
        return page_of(title, theme, views, data, checks)

    def _svg(self, view: View, engine: str | os.PathLike[str] | None) -> str:
        from tinygrad_sm.viz.drawings.digraphs import digraph, ids_of
        from tinygrad_sm.viz.rendering import render

        held = self._held.entries
        dot = digraph(view.scene, flow=_NOTHING, cells=True, reserve=reserves(view.trace, held))
        picture = render(dot.source, engine=engine, ids=ids_of(view.scene)).decode()
        return prepared(picture, view.key, view.trace, held)


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


def _about_sums(view: View) -> str:
    """What has been checked while the steps were made."""
    parts = [part for step in view.trace["steps"] for part in step.get("moments", ()) if part["final"]]
    if not parts:
        return "<p>No gradient flows here, so there is nothing to check.</p>"
    who = "that one node gets" if len(parts) == 1 else f"each of {len(parts)} nodes gets"
    how = "in another order of adding, as some nodes are folded" if view.is_folded else "bit for bit"
    return f"<p>The contributions that {who} sum to the engine's gradient, {how}.</p>"


def _in_ulp(found: Difference) -> str:
    return f"{ulps(found.ulp)} of what cancels in it" if found.cancels else ulps(found.ulp)


def _table_of(found: Sequence[Difference]) -> str:
    titles = ("Fused and composed", "Largest difference", "In ulp of its largest entry")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    rows = "".join(f"<tr><td>{escaped(x.what)}</td><td>{number(x.absolute, 2)}</td><td>{_in_ulp(x)}</td></tr>" for x in found)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
