"""The diagram of a network: units as circles, weights as the lines between them, softmax as its last column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tinygrad_sm.family import log_softmax, softmax
from tinygrad_sm.graph import no_grad
from tinygrad_sm.nd.shapes import brief, whole_number
from tinygrad_sm.nn import MLP, Dropout, Linear, LogSoftmax, Module, Sequential, Softmax
from tinygrad_sm.nn.layers import ACTIVATIONS
from tinygrad_sm.viz.drawings.labels import cut
from tinygrad_sm.viz.plots.axes import (
    class_names,
    floats,
    grey,
    ink,
    legend,
    mixed,
    new_axes,
    palette,
    paper,
    points_of,
    readable,
    short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "mlp_diagram"
RADIUS = 0.33  # all lengths are in units of the distance between two circles of a column
INCHES = 0.64  # which is so long at most
LARGEST = (13.0, 10.0)  # inches of a figure made here
LOOKS: dict[str, Any] = {
    "weight > 0": "solid",
    "weight < 0": (0, (4, 1.6)),
    "weight 0": (0, (1, 3)),
    "normalisation": (0, (3, 2.5)),
}
FEW = 40  # weights that are written on their lines if nothing else is asked for
SMALLEST_TEXT = 5.5  # points, below which weights are left out unless they were asked for


class Column:
    """One column of circles: what it is, its units from top to bottom (not all of many), and where it stands."""

    x, distance = 0.0, 1.0  # where it stands, and how far apart its circles are
    values: list[float] | None = None

    def __init__(self, heading: str, letter: str, size: int, max_units: int, has_bias: bool = False, detail: str = "") -> None:
        self.heading, self.letter, self.size, self.has_bias = heading, letter, size, has_bias
        self.elided = size > max_units
        self.detail = ", ".join(filter(None, (cut(detail, 12), f"{size} in all" if self.elided else "")))
        self.units = [*range(max_units - 1), size - 1] if self.elided else [*range(size)]
        self.rows = len(self.units) + self.elided

    def y(self, place: int) -> float:
        """The height of the unit at a place among those shown; the place after the last is that of the bias."""
        return self.distance * ((self.rows - 1) / 2 - place - (self.elided and place >= len(self.units) - 1))

    @property
    def gap(self) -> float:
        """The height of the ellipsis."""
        return self.y(len(self.units) - 2) - self.distance

    @property
    def places(self) -> list[tuple[int, float]]:
        """Each unit that is shown, with its height."""
        return [(unit, self.y(place)) for place, unit in enumerate(self.units)]

    @property
    def bottom(self) -> float:
        """The height of the lowest thing in it."""
        return self.y(len(self.units) - 1 + self.has_bias)


def mlp_diagram(
    model: Any,
    x: Any = None,
    *,
    labels: Sequence[Any] | None = None,
    max_units: int = 8,
    numbers: bool | None = None,
    ax: Axes | None = None,
    theme: str = "light",
) -> Axes:
    """The network with its inputs, hidden units, logits and, where there are several outputs, their softmax.

    `model` is an MLP, a Linear layer, or a Sequential of such, with activations, Dropout and a last Softmax. A line is a
    weight: the wider the larger, solid where positive and dashed where negative; squares are biases. Thin grey lines are the
    normalisation: every probability depends on every logit. With `x`, one row of inputs, the circles show what is computed
    from it, and the likeliest class is outlined. Of a layer of more than `max_units` units the first and the last are drawn.
    Weights are written on their lines where there is room, or as `numbers` says. `labels` are the names of the classes.
    Draws into `ax`, or into a figure of its own, in light or dark `theme`; returns the Axes.

    Raises a TypeError for other models, and a ValueError for an `x` that does not fit, for weights that are not finite, and for
    `max_units` below 2.

    >>> import tinygrad_sm as tg
    >>> ax = mlp_diagram(tg.nn.MLP([2, 3, 2], activation="tanh"), [0.5, -1.0])
    >>> [text.get_text() for text in ax.texts if text.get_text() in ("input", "hidden", "logits", "softmax")]
    ['input', 'hidden', 'logits', 'softmax']
    """
    max_units = whole_number(max_units, f"{NAME}: max_units", 2)
    layers, last = _layers_of(model)
    columns = _columns(layers, last, max_units)
    tails, heads = columns[: len(layers)], columns[1 : len(layers) + 1]
    names = class_names(labels, columns[-1].size, NAME) if labels is not None or (x is not None and last) else []
    if x is not None:
        _compute(columns, layers, last, x)
    few = sum((len(tail.units) + tail.has_bias) * len(head.units) for tail, head in zip(tails, heads, strict=True)) <= FEW
    wanted = few if numbers is None else bool(numbers)
    most = max(head.rows for head in heads)
    left, right, bottom, top = _arrange(columns, max(2.6, 0.62 * (most + 1)) if wanted else 2.6, 1.6 if wanted else 1.0)
    right += 0.13 * max(map(len, names), default=0)
    edges = [*_edges(tails, heads, layers)]
    entries = len({(w > 0) - (w < 0) for *_, w in edges}) + (last is not None)  # of the key
    across = min(entries, int((right - left) / 2.15))
    bottom -= 0.35 * (-(-entries // across) - 1)

    scale = min(INCHES, LARGEST[0] / (right - left), LARGEST[1] / (top - bottom))
    ax = new_axes(ax, NAME, size=((right - left) * scale, (top - bottom) * scale), theme=theme)
    ax.set_axis_off()
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    point = points_of(ax)[1] / (top - bottom)  # how many points are one unit of length
    _draw_weights(ax, edges, min(1.0, point / (72 * INCHES)))
    size = min(0.17, 0.8 / (most + 1)) * point
    if wanted and (numbers or size >= SMALLEST_TEXT):
        _write_weights(ax, columns, edges, size)
    if last:
        _draw_normalisation(ax, *columns[-2:])
    for column in columns:
        _draw_column(ax, column, top, point, outlined=last is not None and column is columns[-1])
    for unit, y in columns[-1].places if names else ():
        ax.text(columns[-1].x + 0.5, y, names[unit], va="center", ha="left", color=ink(ax), fontsize=0.2 * point)
    _draw_key(ax, point, across)
    return ax


# --- what is in the network

Layer = tuple[Linear, Callable[[Any], Any] | None, str]  # with the activation behind it, and what that is called


def _layers_of(model: Any) -> tuple[list[Layer], Callable[[Any], Any] | None]:
    """The Linear layers with their activations, and what makes probabilities of the logits: None for a single output."""
    layers: list[Layer] = []
    last: Callable[[Any], Any] | None = None
    for part in _parts(model):
        if last is not None:
            raise TypeError(f"{NAME}: {_title(part)} comes after softmax, which must be the last part of the network")
        if isinstance(part, Linear):
            layers.append((part, None, ""))
        elif not layers:
            raise TypeError(f"{NAME}: the network begins with {_title(part)}; the picture begins with a Linear layer")
        elif part is softmax or part is log_softmax:
            last = part
        elif isinstance(part, Softmax):
            if part.axis not in (-1, 1):
                raise TypeError(f"{NAME}: {part.title()} does not go over the classes of a row; that is axis -1")
            last = log_softmax if isinstance(part, LogSoftmax) else softmax
        else:
            layer, before, name = layers[-1]
            layers[-1] = (layer, _then(before, part), ", ".join(filter(None, (name, _name(part)))))
    if not layers:
        raise TypeError(f"{NAME}: the network has no Linear layer to draw")
    for (one, _, _), (other, _, _) in pairwise(layers):
        if one.out_features != other.in_features:
            raise ValueError(f"{NAME}: a layer gives {one.out_features} outputs, and the next takes {other.in_features}")
    return layers, last or (softmax if layers[-1][0].out_features > 1 else None)


def _parts(model: Any) -> Iterator[Any]:
    """The Linear layers, activations and Softmaxes of a network in the order of its forward."""
    kinds = (MLP, Sequential, Linear)
    kind = next((kind for kind in kinds if isinstance(model, kind) and type(model).forward is kind.forward), None)
    if kind is Sequential:
        for part in model:
            yield from _parts(part)
    elif kind is MLP:
        for layer in model.layers[:-1]:
            yield layer
            yield model.activation if callable(model.activation) else ACTIVATIONS[model.activation]
        yield model.layers[-1]
    elif kind is Linear or _is_activation(model):
        yield model
    elif not isinstance(model, Dropout):  # which does nothing in a trained network
        what = _title(model) if callable(model) else brief(model)
        raise TypeError(
            f"{NAME}: cannot draw {what}; it draws an MLP, a Linear layer, and a Sequential of these, activations, Dropout and "
            "Softmax. tg.draw draws the graph of any computation"
        )


def _is_activation(part: Any) -> bool:
    if isinstance(part, Module):
        return isinstance(part, Softmax) or hasattr(part, "function")
    return callable(part) and not isinstance(part, type)


def _title(part: Any) -> str:
    return part.title() if isinstance(part, Module) else _name(part)


def _name(part: Any) -> str:
    """What an activation is called."""
    name = getattr(part, "name", None) or getattr(part, "__name__", type(part).__name__)
    return "activation" if name == "<lambda>" else cut(str(name).lower(), 12)


def _then(before: Callable[[Any], Any] | None, after: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return after if before is None else lambda x: after(before(x))


def _columns(layers: list[Layer], last: Callable[[Any], Any] | None, max_units: int) -> list[Column]:
    """The columns from inputs to probabilities."""
    first = layers[0][0]
    columns = [Column("input", "x", first.in_features, max_units, first.bias is not None)]
    for i, (layer, _, detail) in enumerate(layers[:-1], 1):
        heading = "hidden" if len(layers) == 2 else f"hidden {i}"
        columns.append(Column(heading, "h", layer.out_features, max_units, layers[i][0].bias is not None, detail))
    layer, _, detail = layers[-1]
    columns.append(Column("logits" if last else "output", "z" if last else "y", layer.out_features, max_units, detail=detail))
    if last:
        columns.append(Column(_name(last).replace("_", " "), "p", layer.out_features, max_units))
    return columns


def _compute(columns: list[Column], layers: list[Layer], last: Callable[[Any], Any] | None, x: Any) -> None:
    """Fills the columns with what the network computes from one row of inputs."""
    given = floats(x, f"{NAME}: x", finite=True)
    row = given[0] if isinstance(given, list) and len(given) == 1 and isinstance(given[0], list) else given
    n = layers[0][0].in_features
    if not isinstance(row, list) or len(row) != n or isinstance(row[0], list):
        raise ValueError(f"{NAME}: x is one row of {n} inputs, such as X[0], not {brief(x)}")
    columns[0].values = row
    with no_grad():
        h: Any = row
        for (layer, activation, name), column in zip(layers, columns[1:], strict=False):
            h = layer(h)
            h = activation(h) if activation else h
            column.values = floats(h, f"{NAME}: {column.heading}", 1, finite=True)
            if len(column.values) != column.size:
                raise ValueError(
                    f"{NAME}: {name} makes {len(column.values)} numbers of {column.size}; the picture takes one each"
                )
        if last:
            columns[-1].values = floats(last(h), f"{NAME}: {columns[-1].heading}", 1)


# --- drawing

Edge = tuple[float, float, float, float, float]  # from x, y to x, y, and the weight


def _arrange(columns: list[Column], step: float, distance: float) -> tuple[float, float, float, float]:
    """Gives the columns their places, and returns left, right, bottom and top of the picture."""
    for i, column in enumerate(columns):
        column.x, column.distance = i * step, distance
    bottom = min(column.bottom - 0.4 * column.has_bias for column in columns) - 1.1
    top = max(column.y(0) for column in columns) + (1.4 if any(column.detail for column in columns) else 1.05)
    return -0.9, columns[-1].x + 0.9, bottom, top


def _edges(tails: list[Column], heads: list[Column], layers: list[Layer]) -> Iterator[Edge]:
    for place, (tail, head, (layer, _, _)) in enumerate(zip(tails, heads, layers, strict=True)):
        weight = floats(layer.weight, f"{NAME}: weight of layer {place}", 2, finite=True)
        bias = floats(layer.bias, f"{NAME}: bias of layer {place}", 1, finite=True) if tail.has_bias else []
        for j, y in head.places:
            for i, from_y in tail.places:
                yield tail.x, from_y, head.x, y, weight[j][i]
            if tail.has_bias:
                yield tail.x, tail.bottom, head.x, y, bias[j]


def _draw_weights(ax: Axes, edges: list[Edge], scale: float) -> None:
    positive, negative, *_ = palette(ax)
    largest = max(abs(w) for *_, w in edges) or 1.0
    widest = 3.2 if len(edges) <= 80 else 2.2
    kinds = {"weight > 0": (positive, 1), "weight < 0": (negative, -1), "weight 0": (grey(ax), 0)}
    for kind, (colour, sign) in kinds.items():
        ours = [(edge, scale * (0.4 + widest * abs(w) / largest)) for *edge, w in edges if (w > 0) - (w < 0) == sign]
        if ours:
            _draw_lines(ax, kind, [edge for edge, _ in ours], [width for _, width in ours], colour)


def _draw_normalisation(ax: Axes, logits: Column, probabilities: Column) -> None:
    edges = [[logits.x, y, probabilities.x, to_y] for _, y in logits.places for _, to_y in probabilities.places]
    _draw_lines(ax, "normalisation", edges, [0.7] * len(edges), grey(ax))


def _draw_lines(ax: Axes, kind: str, edges: list[list[float]], widths: list[float], colour: str) -> None:
    from matplotlib.collections import LineCollection

    segments = [[edge[:2], edge[2:]] for edge in edges]
    look = {"linestyles": [LOOKS[kind]], "linewidths": widths, "colors": colour, "alpha": 0.9, "label": kind}
    ax.add_collection(LineCollection(segments, zorder=0.5 if kind == "normalisation" else 1, **look), autolim=False)


def _write_weights(ax: Axes, columns: list[Column], edges: list[Edge], size: float) -> None:
    """Each weight on its line, near the tail: at 1/(m+1) of the way to m rows of heads no two are at one height."""
    box = {"facecolor": paper(ax), "edgecolor": "none", "pad": 0.4}
    shares = {head.x: 1 / (head.rows + 1) for head in columns}
    for x, y, to_x, to_y, w in edges:
        t = shares[to_x]
        ax.text(
            x + t * (to_x - x), y + t * (to_y - y), "+" * (w > 0) + short(w),
            ha="center", va="center", fontsize=size, color=ink(ax), bbox=box, zorder=2,
        )  # fmt: skip


def _draw_column(ax: Axes, column: Column, top: float, point: float, outlined: bool) -> None:
    from matplotlib.patches import Circle, Rectangle

    dark, light = ink(ax), paper(ax)
    ax.text(column.x, top - 0.25, column.heading, ha="center", va="center", color=dark, fontsize=0.24 * point, weight="bold")
    ax.text(column.x, top - 0.6, column.detail, ha="center", va="center", color=grey(ax), fontsize=0.18 * point)
    values = column.values
    likeliest = values.index(max(values)) if outlined and values else None
    largest = max(map(abs, values), default=0.0) or 1.0 if values else 1.0
    for unit, y in column.places:
        face = mixed(light, palette(ax)[values[unit] < 0], 0.5 * abs(values[unit]) / largest) if values else light
        width = (0.065 if unit == likeliest else 0.026) * point
        ax.add_patch(Circle((column.x, y), RADIUS, facecolor=face, edgecolor=dark, linewidth=width, zorder=3))
        text = short(values[unit]) if values else f"${column.letter}_{{{unit}}}$"
        size = min(0.2, 1.75 * RADIUS / (0.64 * len(text))) if values else 0.24
        ax.text(column.x, y, text, ha="center", va="center", fontsize=size * point, color=_on(ax, face), zorder=4)
    if column.elided:
        for shift in (-0.17, 0.0, 0.17):
            ax.add_patch(Circle((column.x, column.gap + shift), 0.045, color=dark, zorder=3))
    if column.has_bias:
        y, half = column.bottom, 0.22
        ax.add_patch(
            Rectangle(
                (column.x - half, y - half),
                2 * half,
                2 * half,
                facecolor=light,
                edgecolor=dark,
                linewidth=0.026 * point,
                zorder=3,
            )
        )
        ax.text(column.x, y, "1", ha="center", va="center", fontsize=0.2 * point, color=dark, zorder=4)
        ax.text(column.x, y - 0.4, "bias", ha="center", va="center", fontsize=0.18 * point, color=grey(ax), zorder=4)


def _on(ax: Axes, face: str) -> str:
    return ink(ax) if face == paper(ax) else readable(face)


def _draw_key(ax: Axes, point: float, across: int) -> None:
    """What the kinds of lines mean."""
    from matplotlib.lines import Line2D

    colours = {lines.get_label(): lines.get_color()[0] for lines in ax.collections}
    kinds = [Line2D([], [], color=colours[kind], linestyle=look, label=kind) for kind, look in LOOKS.items() if kind in colours]
    legend(ax, handles=kinds, loc="lower center", ncols=across, frameon=False, fontsize=0.18 * point, handlelength=3.2)
