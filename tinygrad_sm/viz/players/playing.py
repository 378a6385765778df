"""`player`: the forward pass and the pass back of a graph, step by step, on a page of its own."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from tinygrad_sm.graph import Value
from tinygrad_sm.nd.shapes import brief
from tinygrad_sm.viz.drawings.labels import escaped, printable

if TYPE_CHECKING:
    from pathlib import Path

    from tinygrad_sm.nn import Module
    from tinygrad_sm.viz.players.stage import Stage

_THEMES = ("auto", "light", "dark")


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
    from tinygrad_sm.viz.players.stage import Stage

    try:
        stage = Stage(value, names, expand, grad_output, collapse, max_nodes)
    except (TypeError, ValueError) as error:
        if str(error).startswith("draw: "):  # from what drawings and players share
            raise type(error)(f"player: {str(error)[6:]}") from None
        raise
    return Player(stage, theme, title, engine)


class Player:
    """A page to step through a computation, made by `player`. In a notebook it shows itself, in a frame."""

    def __init__(self, stage: Stage, theme: str, title: str | None, engine: str | os.PathLike[str] | None) -> None:
        self._stage, self._theme, self._engine = stage, theme, engine
        self._title = printable(stage.title if title is None else title)
        self._page = ""

    @property
    def html(self) -> str:
        """The page as text: one file, which fetches nothing.

        Raises a FileNotFoundError that says what to install when there is no program that lays graphs out.
        """
        self._page = self._page or self._stage.page(self._title, self._theme, self._engine)
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
        counts = " and ".join(str(len(view.trace["steps"])) for view in self._stage.views)
        return f"Player({self._stage.output}: {counts} steps)"

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
