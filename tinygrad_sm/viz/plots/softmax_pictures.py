"""Pictures that teach softmax: what becomes of logits, what temperature does, the curves behind it, and its derivative."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import exp, inf, log
from typing import TYPE_CHECKING, Any

from tinygrad_sm.family import entropy as entropy_of
from tinygrad_sm.family import sigmoid, softmax
from tinygrad_sm.graph import Value, jacobian
from tinygrad_sm.viz.plots.axes import (
    class_names,
    contrast,
    diverging,
    dressed,
    floats,
    grey,
    ink,
    legend,
    mixed,
    new_axes,
    palette,
    panels,
    paper,
    points_of,
    readable,
    short,
    written,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = ("solid", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
MOST_BARS, MOST_CURVES, MOST_SHARES, MOST_NUMBERS = 50, 28, 7, 12


def logits_vs_probabilities(
    logits: Any, *, labels: Sequence[Any] | None = None, ax: Axes | None = None, theme: str = "light"
) -> Axes:
    """The logits of one row and their softmax as bars side by side, a class a line; the likeliest class is outlined.

    `logits` has shape (classes,), `labels` are their names. The two parts are Axes inside of `ax`: its `child_axes`.
    Draws into `ax`, or into a figure of its own, in light or dark `theme`; returns the Axes.

    Raises a ValueError for logits that are no row of finite numbers, and for more than 50 classes.

    >>> ax = logits_vs_probabilities([2.0, 1.0, -1.0], labels=["cat", "dog", "owl"])
    >>> [round(float(bar.get_width()), 3) for bar in ax.child_axes[1].patches]
    [0.705, 0.259, 0.035]
    """
    name = "logits_vs_probabilities"
    z = _row(logits, name, MOST_BARS, "bars")
    p = softmax(z).tolist()
    names = class_names(labels, len(z), name)
    ax = new_axes(ax, name, size=(7.0, 1.2 + 0.42 * len(z)), theme=theme)
    left, right = panels(ax, (0.0, 0.0, 0.46, 1.0), (0.54, 0.0, 0.46, 1.0))
    first = p.index(max(p))
    colours = [palette(ax)[x < 0] for x in z], [palette(ax)[2]] * len(p)
    for panel, values, chosen, title in zip((left, right), (z, p), colours, ("logits", "probabilities"), strict=True):
        bars = panel.barh(range(len(z)), values, color=chosen, edgecolor=paper(ax), height=0.72)
        bars[first].set(edgecolor=ink(ax), linewidth=2.5)
        for bar, x in zip(bars, values, strict=True):
            bar.set_hatch("///" if x < 0 else "")
            panel.annotate(
                written(x), (x, bar.get_y() + bar.get_height() / 2), (-4 if x < 0 else 4, 0), textcoords="offset points",
                ha="right" if x < 0 else "left", va="center", fontsize="small", color=ink(ax),
            )  # fmt: skip
        panel.set_xlabel(title)
        panel.set_ylim(len(z) - 0.4, -0.6)
        panel.spines["left"].set_visible(False)
        panel.axvline(0, color=ink(ax), linewidth=0.8)
        panel.tick_params(axis="y", length=0)
    left.set_yticks(range(len(z)), names)
    right.set_yticks([])
    left.set_xlim(_with_room(z, points_of(left)[0]))
    right.set(xlim=(0, 1.25), xticks=[0, 0.5, 1])
    return ax


def temperature_curves(
    logits: Any,
    temperatures: Any = None,
    *,
    entropy: bool = False,
    labels: Sequence[Any] | None = None,
    ax: Axes | None = None,
    theme: str = "light",
) -> Axes:
    """The probabilities softmax(logits / T) over the temperature T: all for the largest logit when cold, equal when hot.

    `logits` has shape (classes,); `temperatures` are at least two positive numbers, by default 0.05 to 20 evenly on the
    logarithmic axis. With `entropy`, a curve more has their entropy as a share of its maximum, the logarithm of the number of
    classes. Draws into `ax`, or into a figure of its own, in light or dark `theme`; returns the Axes.

    Raises a ValueError for logits that are no row of finite numbers, more than 28 classes, and temperatures not above 0.

    >>> ax = temperature_curves([2.0, 1.0, 0.0], temperatures=[0.5, 1.0, 2.0])
    >>> [round(float(p), 3) for p in ax.lines[0].get_ydata()]
    [0.867, 0.665, 0.506]
    """
    name = "temperature_curves"
    z = _row(logits, name, MOST_CURVES, "curves")
    given = [0.05 * 400 ** (i / 120) for i in range(121)] if temperatures is None else temperatures
    heat = sorted(floats(given, f"{name}: temperatures", 1, finite=True))
    if len({*heat}) < 2 or heat[0] <= 0:
        raise ValueError(f"{name}: temperatures are at least two different numbers above 0")
    names = class_names(labels, len(z), name)
    rows = [softmax(z, temperature=t).tolist() for t in heat]
    own, columns = ax is None, 1 + (len(names) > 14)
    ax = new_axes(ax, name, size=(5.0 + columns * (0.5 + 0.08 * max(map(len, names))), 4.0), theme=theme)
    for k, label in enumerate(names):
        colour = _visible(ax, k)
        ax.plot(heat, [row[k] for row in rows], color=colour, linestyle=LINES[k % 4], linewidth=2, label=label)
    if entropy:
        most = log(len(z)) or 1.0
        shares = [float(entropy_of([(x - max(z)) / t for x in z])) / most for t in heat]
        ax.plot(heat, shares, color=grey(ax), linewidth=3, alpha=0.6, label="entropy / ln n", zorder=1)
    ax.axhline(1 / len(z), color=grey(ax), linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    if heat[0] < 1.0 < heat[-1]:
        ax.axvline(1.0, color=grey(ax), linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    ax.set(xscale="log", xlim=(heat[0], heat[-1]), ylim=(-0.03, 1.03), xlabel="temperature", ylabel="probability")
    title = f"softmax of [{', '.join(map(written, z))}] by temperature"
    ax.set_title(title if len(title) <= 40 else "softmax by temperature")
    _plain_ticks(ax)
    place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)} if own else {"loc": "best"}
    legend(ax, **place, ncols=columns, frameon=False)
    return ax


def sigmoid_curve(low: float = -6.0, high: float = 6.0, *, ax: Axes | None = None, theme: str = "light") -> Axes:
    """The sigmoid 1 / (1 + e^-x) between `low` and `high`, its slope, and that it is the softmax of the two logits x and 0.

    The slope is sigmoid (1 - sigmoid), by backprop: a quarter at 0, nothing far away.
    Draws into `ax`, or into a figure of its own, in light or dark `theme`; returns the Axes.

    Raises a ValueError unless `low` and `high` are finite, the smaller one first.

    >>> ax = sigmoid_curve()
    >>> [line.get_label() for line in ax.lines[:3]]
    ['sigmoid(x)', 'its slope', 'softmax of (x, 0)']
    """
    name = "sigmoid_curve"
    points = _points(low, high, 120, name)
    x = Value(points)
    y = sigmoid(x)
    y.sum().backward()
    ax = new_axes(ax, name, theme=theme)
    positive, negative, *_ = palette(ax)
    ax.plot(points, y.tolist(), color=positive, linewidth=2.5, label="sigmoid(x)")
    ax.plot(points, x.grad.tolist(), color=negative, linewidth=2, linestyle=LINES[1], label="its slope")
    few = points[::10]
    two = softmax([[a, 0.0] for a in few]).tolist()
    look: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 8, "markerfacecolor": "none"}
    ax.plot(
        few, [p for p, _ in two], **look, markeredgecolor=ink(ax), markeredgewidth=1.3, clip_on=False, label="softmax of (x, 0)"
    )
    ax.axhline(0.5, color=grey(ax), linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    ax.axvline(0.0, color=grey(ax), linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    ax.set(xlim=(low, high), ylim=(-0.03, 1.05), xlabel="x", ylabel="probability", yticks=[0, 0.25, 0.5, 0.75, 1])
    legend(ax, loc="best", frameon=False)
    return ax


def exp_curve(
    logits: Any = (1.5, 0.5, -1.0), *, labels: Sequence[Any] | None = None, ax: Axes | None = None, theme: str = "light"
) -> Axes:
    """e^z with the logits on it, and how their exponentials, stacked and divided by their sum, become the probabilities.

    `logits` has shape (classes,). The two parts are Axes inside of `ax`: its `child_axes`.
    Draws into `ax`, or into a figure of its own, in light or dark `theme`; returns the Axes.

    Raises a ValueError for logits that are no row of finite numbers, more than 7 classes, and logits beyond 100, on either
    side: the softmax of logits is that of their differences, so subtract the largest one before.

    >>> ax = exp_curve([1.0, 0.0])
    >>> [round(float(bar.get_height()), 3) for bar in ax.child_axes[1].patches]
    [0.731, 0.269]
    """
    name = "exp_curve"
    z = _row(logits, name, MOST_SHARES, "shares")
    if max(map(abs, z)) > 100:
        raise ValueError(f"{name}: {written(max(z, key=abs))} is too far out to be seen; subtract the largest logit from all")
    names = class_names(labels, len(z), name)
    shares = softmax(z).tolist()
    ax = new_axes(ax, name, size=(7.5, 5.0), theme=theme)
    width, height = points_of(ax)
    columns = 1 + (width > 400)
    foot = min(0.6, (44 + 15 * -(-len(z) // columns)) / height)  # room for the legend
    gap = min(0.3, 40 / width)  # and for the ticks of the second panel
    share = 0.72 * (1 - gap)
    left, right = panels(ax, (0.0, foot, share, 1 - foot), (share + gap, foot, 1 - gap - share, 1 - foot))
    room = 0.15 * (max(z) - min(z)) + 0.5
    points = _points(min(z) - room, max(z) + 0.25 * room, 120, name)
    left.plot(points, [exp(a) for a in points], color=ink(ax), linewidth=2)
    below = 0.0
    for k, (logit, share, label) in enumerate(zip(z, shares, names, strict=True)):
        colour, hatch = _visible(ax, k), ("", "///", "...", "\\\\\\", "xxx", "++", "oo")[k]
        left.plot([logit, logit], [0.0, exp(logit)], color=colour, linewidth=3, linestyle=LINES[k % 4])
        text = f"{label}: $e^{{{written(logit)}}}$ = {written(exp(logit))}, share {written(share)}"
        left.plot([logit], [exp(logit)], color=colour, marker="osD^vPX"[k], markersize=8, linestyle="none", label=text)
        right.bar([0], [share], bottom=below, color=colour, edgecolor=paper(ax), hatch=hatch, width=0.7)
        if share >= 0.07:
            face = {"facecolor": paper(ax), "edgecolor": "none", "pad": 1.5}
            right.text(
                0, below + share / 2, written(share), ha="center", va="center", color=ink(ax), fontsize="small", bbox=face
            )
        below += share
    left.set(xlabel="logit z", ylabel="$e^z$", xlim=(points[0], points[-1]), ylim=(0, None))
    right.set(xlim=(-0.5, 0.5), ylim=(0, 1), xticks=[], yticks=[0, 0.25, 0.5, 0.75, 1])
    right.set_xlabel("shares")
    handles, texts = left.get_legend_handles_labels()
    legend(ax, handles=handles, labels=texts, loc="lower center", ncols=columns, frameon=False, borderaxespad=0)
    return ax


def softmax_jacobian(logits: Any, *, labels: Sequence[Any] | None = None, ax: Axes | None = None, theme: str = "light") -> Axes:
    """The derivative of every probability by every logit as a heat map: dp_i/dz_j = p_i ([i = j] - p_j).

    `logits` has shape (classes,). A logit raises its own probability and lowers all others, so that each row and each column
    sums to 0. Up to 12 classes the numbers stand in the cells. The matrix is that of `tg.jacobian`, by backprop.
    Draws into `ax`, or into a figure of its own, in light or dark `theme`; returns the Axes.

    Raises a ValueError for logits that are no row of finite numbers.

    >>> ax = softmax_jacobian([0.0, 0.0])
    >>> ax.images[0].get_array().tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    name = "softmax_jacobian"
    z = _row(logits, name, inf, "rows")
    n = len(z)
    matrix = jacobian(softmax, z).tolist()
    names = class_names(labels, n, name)
    ax = new_axes(ax, name, size=(5.6, 4.8), theme=theme)
    largest = max(abs(x) for row in matrix for x in row) or 1.0
    image = ax.imshow(matrix, cmap=diverging(ax), vmin=-largest, vmax=largest)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="logit", ylabel="probability")
    ax.set_title("softmax Jacobian: rows sum to 0")
    bar = ax.figure.colorbar(image, cax=dressed(ax.inset_axes((1.04, 0.0, 0.045, 1.0)), ink(ax), paper(ax)))
    bar.outline.set_visible(False)
    if n <= MOST_NUMBERS:
        ax.set_xticks(range(n), [f"$z_{{{k}}}$" for k in range(n)] if labels is None else names)
        ax.set_yticks(range(n), [f"$p_{{{k}}}$" for k in range(n)] if labels is None else names)
        ax.tick_params(axis="x", rotation=90 if labels is not None and max(map(len, names)) > 24 / n else 0)
        size = min(10.0, 0.25 * points_of(ax)[0] / n)
        for i, j in product(range(n), repeat=2):
            text = ax.text(j, i, short(matrix[i][j]), ha="center", va="center", fontsize=size)
            text.set_color(readable(image.to_rgba(matrix[i][j])))
    return ax


# --- parts


def _row(logits: Any, name: str, most: float, what: str) -> list[float]:
    """The logits as one row of floats."""
    z = floats(logits, f"{name}: logits", 1, finite=True)
    if not z:
        raise ValueError(f"{name}: there are no logits")
    if len(z) > most:
        raise ValueError(f"{name}: nobody can tell {len(z)} {what} apart; give at most {most} logits")
    return z


def _points(low: float, high: float, steps: int, name: str) -> list[float]:
    """Points from low to high, both among them."""
    low, high = floats([low, high], f"{name}: low and high", 1, finite=True)
    if not low < high:
        raise ValueError(f"{name}: low is below high, and not {written(low)} and {written(high)}")
    return [low + (high - low) * i / steps for i in range(steps + 1)]


def _visible(ax: Axes, k: int) -> str:
    """The colour of the k-th curve, towards ink where it is too near that of the paper."""
    colour = palette(ax)[k % 7]
    while contrast(colour, paper(ax)) < 3:
        colour = mixed(colour, ink(ax), 0.1)
    return colour


def _with_room(z: list[float], width: float) -> tuple[float, float]:
    """Limits for bars of these lengths on an axis of so many points, with room for the numbers beyond their ends."""
    before, behind = (max((8 + 6.5 * len(written(x)) for x in side), default=0.0) for side in _by_sign(z))
    low, high = min(0.0, *z), max(0.0, *z)
    point = (high - low or 1.0) / max(width - before - behind, 0.3 * width)
    return low - before * point, high + behind * point


def _by_sign(z: list[float]) -> tuple[list[float], list[float]]:
    return [x for x in z if x < 0], [x for x in z if x >= 0]


def _plain_ticks(ax: Axes) -> None:
    """0.1, 1 and 10 instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
