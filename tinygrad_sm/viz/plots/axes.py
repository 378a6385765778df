"""What all plots share: an Axes to draw into, colours that every eye tells apart, and numbers of any kind as floats.

No plot knows pyplot: what it draws belongs to the Axes that was given or made, and nothing is kept or changed elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

from tinygrad_sm.graph.namespaces import as_data, is_array
from tinygrad_sm.graph.value import nested_lists, plain
from tinygrad_sm.nd.shapes import brief
from tinygrad_sm.viz.drawings import themes
from tinygrad_sm.viz.drawings.labels import cut, number, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# The colours of Okabe and Ito, which differ for every eye, those first that stand out most.
ON_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
ON_DARK = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#FFFFFF")
THEMES = {name: (theme["ink"], theme["paper"]) for name, theme in (("light", themes.LIGHT), ("dark", themes.DARK))}
MINUS = "\N{MINUS SIGN}"

# --- where to draw


def new_axes(ax: Any, name: str, *, size: tuple[float, float] = (6.0, 4.0), theme: str = "light") -> Axes:
    """`ax` itself, or the Axes of a figure of its own where it is None; `name` is the plot that asks.

    A figure made here is none of pyplot's, which would keep it and show it a second time; in a notebook both the Axes and
    its `.figure` show themselves, and `.figure.savefig(path)` saves it. `size` is its width and height in inches. `theme` is
    "light" or "dark"; an `ax` that was given keeps its own colours.

    Raises an ImportError without matplotlib, a TypeError for an `ax` that is no Axes, and a ValueError for another theme.
    """
    try:
        from matplotlib.axes import Axes
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(f"{name}: plots need the package matplotlib: pip install 'tinygrad_sm[plots]'") from None
    if theme not in THEMES:
        raise ValueError(f"{name}: theme is one of {', '.join(THEMES)}, not {theme!r}")
    if ax is None:
        ink_colour, paper_colour = THEMES[theme]
        figure = Figure(figsize=size, layout="constrained", facecolor=paper_colour)
        FigureCanvasAgg(figure)
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # inches
        made = figure.add_subplot()
        made.spines[["top", "right"]].set_visible(False)
        for picture in (made, figure):  # what a notebook asks for
            picture._repr_png_ = partial(_png, figure)
        return dressed(made, ink_colour, paper_colour)
    if not isinstance(ax, Axes):
        raise TypeError(
            f"{name}: ax is one Axes of matplotlib, such as plt.gca(), not {brief(ax)} (of type {type(ax).__name__})"
        )
    if ax.name != "rectilinear":
        raise TypeError(f"{name}: ax is {ax.name}; the plot needs an Axes with straight x and y")
    if theme != "light":
        raise ValueError(
            f"{name}: theme is for a figure made here, and an ax that is given keeps its own colours; leave one out"
        )
    return ax


def dressed(ax: Axes, ink_colour: str, paper_colour: str) -> Axes:
    """`ax` with its frame, ticks and titles in the colour of the ink, on paper of that colour."""
    ax.set_facecolor(paper_colour)
    ax.spines[:].set_edgecolor(ink_colour)
    ax.tick_params(which="both", colors=ink_colour)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(ink_colour)
    return ax


def panels(ax: Axes, *boxes: tuple[float, float, float, float]) -> list[Axes]:
    """Axes inside `ax`, whose own frame is hidden, in its colours: (left, bottom, width, height) as shares of its size.

    They are its `child_axes`; the title is that of `ax`.
    """
    colours = ink(ax), paper(ax)
    ax.set_axis_off()
    inside = [dressed(ax.inset_axes(box), *colours) for box in boxes]
    for panel in inside:
        panel.spines[["top", "right"]].set_visible(False)
    return inside


def points_of(ax: Axes) -> tuple[float, float]:
    """The width and height of this Axes as it is laid out now, in points, as font sizes are."""
    ax.figure.figure.draw_without_rendering()  # lays the figure out
    box = ax.get_window_extent()
    return float(box.width) * 72 / ax.figure.dpi, float(box.height) * 72 / ax.figure.dpi


def _png(figure: Figure) -> tuple[bytes, dict[str, int]]:
    """The figure as PNG, twice as fine as it is large, for sharp screens."""
    from io import BytesIO

    file = BytesIO()
    figure.savefig(file, format="png", dpi=2 * figure.dpi)
    width, height = figure.get_size_inches() * figure.dpi
    return file.getvalue(), {"width": round(width), "height": round(height)}


# --- colours


def ink(ax: Axes) -> str:
    """The colour of text on this Axes: that of its labels."""
    from matplotlib.colors import to_hex

    return to_hex(ax.xaxis.label.get_color())


def paper(ax: Axes) -> str:
    """The colour behind this Axes: its own, or that of its figure where it is clear."""
    from matplotlib.colors import to_hex, to_rgba

    faces = [ax.get_facecolor()] * ax.axison + [ax.figure.get_facecolor(), ax.figure.figure.get_facecolor(), "white"]
    return next(to_hex(face) for face in faces if to_rgba(face)[3])


def grey(ax: Axes) -> str:
    """A colour between ink and paper, for what matters less; as text it still has contrast."""
    return mixed(ink(ax), paper(ax), 0.3)


def palette(ax: Axes) -> Sequence[str]:
    """Seven colours that differ for every eye and stand out on this Axes. The first two mean positive and negative."""
    return ON_DARK if readable(paper(ax)) == "white" else ON_LIGHT


def diverging(ax: Axes) -> Colormap:
    """A colour map from negative over the colour of the paper to positive, for values whose 0 is in the middle."""
    from matplotlib.colors import LinearSegmentedColormap

    positive, negative, *_ = palette(ax)
    return LinearSegmentedColormap.from_list("diverging", [negative, paper(ax), positive])


def mixed(colour: Any, other: Any, share: float) -> str:
    """`colour` with a share of the other, from 0 to 1."""
    from matplotlib.colors import to_hex, to_rgb

    return to_hex([(1 - share) * a + share * b for a, b in zip(to_rgb(colour), to_rgb(other), strict=True)])


def contrast(colour: Any, other: Any) -> float:
    """How well two colours of matplotlib's are told apart, from 1 to 21 (WCAG 2.2, contrast ratio); text needs 4.5."""
    from matplotlib.colors import to_hex

    return themes.contrast(to_hex(colour), to_hex(other))


def readable(background: Any) -> str:
    """Black or white: the one that is read better on this background, always with a contrast above 4.5."""
    return max("black", "white", key=lambda colour: contrast(colour, background))


def legend(ax: Axes, **settings: Any) -> Any:
    """The legend of this Axes in its own colours; settings as for `Axes.legend`."""
    return ax.legend(**{"labelcolor": ink(ax), "facecolor": paper(ax), "edgecolor": grey(ax), "fontsize": "small"} | settings)


# --- numbers


def floats(x: Any, name: str, ndim: int | None = None, *, finite: bool = False) -> Any:
    """Numbers as nested lists of Python floats: of a Value, an array of any library, lists of numbers or of either.

    `name` says which argument of which function it is. Raises a TypeError for what holds no numbers, and a ValueError unless
    there are `ndim` axes and, with `finite`, neither nan nor inf.

    >>> import tinygrad_sm as tg
    >>> floats([tg.Value([1, 2]), (3, 4)], "plot: X", 2)
    [[1.0, 2.0], [3.0, 4.0]]
    """
    data = as_data(_lists(x), name)
    sizes = getattr(data, "shape", ())
    if ndim is not None and len(sizes) != ndim:
        wanted = ("a single number", "a row of numbers", "rows of numbers")[ndim]
        raise ValueError(f"{name}: needs {wanted}, and got shape {tuple(sizes)}")
    found = _mapped(float, nested_lists(data))
    if finite:
        _mapped(partial(_must_be_finite, name), found)
    return found


def _lists(x: Any) -> Any:
    """Values and arrays, also those in lists, as nested lists."""
    if isinstance(x, (list, tuple, range)):
        return [*map(_lists, x)]
    data = plain(x.to_numpy() if hasattr(x, "to_numpy") else x)
    return nested_lists(data) if is_array(data) else data


def _mapped(function: Any, nested: Any) -> Any:
    return [_mapped(function, part) for part in nested] if isinstance(nested, list) else function(nested)


def _must_be_finite(name: str, x: float) -> None:
    if not isfinite(x):
        raise ValueError(f"{name}: a picture needs finite numbers, and one is {x}")


def written(x: float, digits: int = 3, *, sign: bool = False) -> str:
    """A number as it stands in a picture: few digits, a true minus, and with `sign` also a plus.

    >>> written(-0.12345), written(2.0, sign=True), written(-1e-09)
    ('−0.123', '+2', '−1e−09')
    """
    text = number(float(f"{x:.{digits}g}")) if isfinite(x) else number(x)
    return ("+" if sign and x > 0 else "") + text.replace("-", MINUS)


def short(x: float) -> str:
    """A number in five or six characters, so that it fits into a circle or a cell.

    >>> short(0.25), short(-13.06), short(250.0), short(-4.1e-07)
    ('0.25', '−13.1', '250', '−4e−7')
    """
    places = next((n for n, end in ((2, 9.995), (1, 99.95), (0, 9999.5)) if abs(x) < end), None)
    if places is None or 0 < abs(x) < 0.005:
        digit, _, exponent = f"{x:.0e}".partition("e")
        return f"{digit}e{int(exponent)}".replace("-", MINUS)
    return f"{x:.{places}f}".replace("-", MINUS)


def class_names(labels: Any, n: int, name: str) -> list[str]:
    """The names of n classes as texts of a picture: `labels`, or "class 0" and so on where there are none.

    Raises a TypeError for labels that are no sequence, and a ValueError for another number of them.
    """
    if labels is None:
        return [f"class {k}" for k in range(n)]
    given = nested_lists(labels) if is_array(labels) else labels
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise TypeError(f"{name}: labels is a list with a name for each class, not {brief(labels)}")
    if len(given) != n:
        raise ValueError(f"{name}: {len(given)} labels for {n} classes")
    return [cut(printable(str(label))).replace("$", r"\$") for label in given]  # between two $ matplotlib reads TeX


def percent(part: int, whole: int, decimals: int = 1) -> str:
    """A share in percent that is 0 or 100 only if none or all are meant.

    >>> percent(3, 4), percent(9999, 10000), percent(1, 10000), percent(2, 3, decimals=0), percent(0, 0)
    ('75 %', '>99.9 %', '<0.1 %', '67 %', 'none of 0')
    """
    if not whole:
        return "none of 0"
    shown, least = round(100 * part / whole, decimals), 10.0**-decimals
    mark = "<" if part and not shown else ">" if part < whole and shown == 100 else ""
    number_shown = least if mark == "<" else 100 - least if mark == ">" else shown
    return f"{mark}{number_shown:.{decimals}f}".removesuffix("." + "0" * decimals) + " %"
