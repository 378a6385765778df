"""Pictures of a classifier: where it decides for which class, what it confuses, and whether its confidence can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import fsum
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_sm import nd
from tinygrad_sm.family import LabelError, softmax
from tinygrad_sm.graph import no_grad
from tinygrad_sm.graph.namespaces import as_data, is_array, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import brief, flatten, whole_number
from tinygrad_sm.ops.helpers import moved_like
from tinygrad_sm.viz.labels import cut, printable
from tinygrad_sm.viz.plots.axes import floats, grey, ink, legend, mixed, new_axes, palette, paper, percent, readable, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "os^DvPX<>p"
BATCH = 1024  # rows that a network is given at a time
SUM = 1e-3  # how far from 1 the probabilities of a row may sum

# --- decision regions


def decision_regions(
    model: Callable[[Any], Any],
    X: Any,
    y: Any,
    *,
    features: Sequence[int] | None = None,
    feature_names: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    resolution: int = 100,
    ax: Axes | None = None,
    theme: str = "light",
) -> Axes:
    """The class that `model` decides for at each point of the plane, with the points `X` of the classes `y`; returns the Axes.

    The paler a region, the less sure the network: the opacity is the probability of the class that wins. Lines are where two
    classes have the same. Each class has a colour and a marker. `model` is any function of rows (n, features) that gives logits
    (n, classes), probabilities (n, classes), or the logit of class 1 alone, (n,) or (n, 1). A Module is in `eval()` meanwhile.

    Of more than two features give two, as `features=(0, 2)`: the plane is the one where the others are at their mean. `labels`
    are the names of the classes. The network is asked at `resolution` times `resolution` points.
    Raises a ValueError or a TypeError for what does not fit together, and a `LabelError` for a class without an output.

    >>> import tinygrad_sm as tg
    >>> X, y = tg.datasets.make_moons(60)
    >>> ax = decision_regions(lambda X: X @ [[0.0, 0.0], [0.0, -5.0]], X, y, resolution=20)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['0', '1']
    """
    name = "decision_regions"
    _must_be_callable(model, name)
    rows = floats(X, f"{name}: X", 2, finite=True)
    if not rows:
        raise ValueError(f"{name}: X has no rows")
    first, second = _two_of(features, len(rows[0]), name)
    like = _like(model, X)
    at_points = _probabilities(model, rows, like, name)
    classes = len(at_points[0])
    targets = _classes(y, f"{name}: y", rows=len(rows), classes=classes)
    names = _names(labels, classes, name)
    resolution = whole_number(resolution, f"{name}: resolution", 2)

    centre = [fsum(column) / len(rows) for column in zip(*rows, strict=True)]
    xs, ys = (_ticks([row[i] for row in rows], resolution) for i in (first, second))
    grid = [[*centre] for _ in range(resolution**2)]
    for row, (b, a) in zip(grid, ((b, a) for b in ys for a in xs), strict=True):
        row[first], row[second] = a, b
    p = _probabilities(model, grid, like, name)

    ax = new_axes(ax, name, size=(6.0, 4.6), theme=theme)
    _regions(ax, p, classes, xs, ys)
    for k in range(classes):
        own = [row for row, target in zip(rows, targets, strict=True) if target == k]
        if own:
            colour, marker = class_colour(ax, k), MARKERS[k % len(MARKERS)]
            shown = [row[first] for row in own], [row[second] for row in own]
            ax.scatter(*shown, s=28, color=colour, marker=marker, edgecolors=paper(ax), linewidths=0.6, label=names[k], zorder=3)
    right = sum(_best(row) == target for row, target in zip(at_points, targets, strict=True))
    title = f"{percent(right, len(rows))} of {len(rows)} points right"
    if len(rows[0]) > 2:
        title += "; regions: other features at their mean"
    ax.set_title(title, fontsize="medium")
    axis_names = _feature_names(feature_names, len(rows[0]), name)
    ax.set(xlabel=axis_names[first], ylabel=axis_names[second], xlim=(xs[0], xs[-1]), ylim=(ys[0], ys[-1]))
    legend(ax, title="class", title_fontproperties={"size": "small"}).get_title().set_color(ink(ax))
    return ax


def class_colour(ax: Axes, k: int) -> str:
    """The colour of class k: after those of the palette come darker and paler ones."""
    colours = palette(ax)[:6]  # the last is that of the ink
    colour, shade = colours[k % len(colours)], k // len(colours) % 3
    return (colour, mixed(colour, ink(ax), 0.5), mixed(colour, paper(ax), 0.5))[shade]


def _regions(ax: Axes, p: list[list[float]], classes: int, xs: list[float], ys: list[float]) -> None:
    """The winning class at each point of the grid as colour, its probability as opacity, and the lines between the classes."""
    from matplotlib.colors import to_rgb

    colours = [to_rgb(class_colour(ax, k)) for k in range(classes)]
    winners = [_best(row) for row in p]
    sure = [(row[k] - 1 / classes) / (1 - 1 / classes) for row, k in zip(p, winners, strict=True)]  # from 0 to 1
    cells = [(*colours[k], 0.08 + 0.47 * min(max(x, 0.0), 1.0)) for k, x in zip(winners, sure, strict=True)]
    n = len(xs)
    half = [(axis[1] - axis[0]) / 2 for axis in (xs, ys)]
    extent = (xs[0] - half[0], xs[-1] + half[0], ys[0] - half[1], ys[-1] + half[1])
    image = [cells[i : i + n] for i in range(0, n * n, n)]
    ax.imshow(image, origin="lower", extent=extent, aspect="auto", interpolation="bilinear", zorder=0)
    for k in {*winners} if len({*winners}) > 1 else ():
        lead = [row[k] - max(row[:k] + row[k + 1 :]) for row in p]
        margins = [lead[i : i + n] for i in range(0, n * n, n)]
        ax.contour(xs, ys, margins, levels=[0.0], colors=ink(ax), linewidths=1.1, zorder=2)


def _ticks(column: list[float], n: int) -> list[float]:
    """n numbers evenly from a little below the smallest to a little above the largest."""
    low, high = min(column), max(column)
    margin = 0.08 * (high - low) or 0.5
    low, high = low - margin, high + margin
    return [low + (high - low) * i / (n - 1) for i in range(n)]


def _two_of(features: Sequence[int] | None, width: int, name: str) -> tuple[int, int]:
    if width < 2:
        raise ValueError(f"{name}: X has one feature, and regions of a plane need two")
    if features is None:
        if width > 2:
            raise ValueError(f"{name}: X has {width} features; say which two to draw, such as features=(0, 1)")
        return 0, 1
    if not isinstance(features, (tuple, list)) or len(features) != 2:
        raise ValueError(f"{name}: features are two columns of X, such as (0, 1), not {brief(features)}")
    first, second = (whole_number(i, f"{name}: a feature", 0) for i in features)
    if first == second or max(first, second) >= width:
        raise ValueError(f"{name}: features are two different columns of X, from 0 to {width - 1}, not {features}")
    return first, second


# --- asking a network


@contextmanager
def predicting(model: Any) -> Iterator[None]:
    """Inside, the modules of a network are in `eval()`; afterwards each is as it was."""
    before = [(module, module.training) for module in (model.modules() if hasattr(model, "modules") else ())]
    try:
        for module, _ in before:
            module.training = False
        yield
    finally:
        for module, was in before:
            module.training = was


def _must_be_callable(model: Any, name: str) -> None:
    if not callable(model) or isinstance(model, type):
        raise TypeError(f"{name}: the first argument is a network or a function of rows that gives logits, not {brief(model)}")


def _like(model: Any, X: Any) -> Any:
    """An array in the library and element type that a network computes in."""
    parameters = model.parameters() if hasattr(model, "parameters") else ()
    own = next((p.data for p in parameters if shape(p)), None)
    data = plain(X.to_numpy() if hasattr(X, "to_numpy") else X)
    return own if own is not None else as_data(data) if is_array(data) else nd.zeros(1)


def _probabilities(model: Any, rows: list[list[float]], like: Any, name: str) -> list[list[float]]:
    """The probabilities of the classes for rows, whether the network gives these, logits, or one logit a row."""
    parts: list[Any] = []
    with predicting(model), no_grad():
        for i in range(0, len(rows), BATCH):
            some = rows[i : i + BATCH]
            found = floats(model(moved_like(nd.asarray(some), like)), f"{name}: the outputs of the network", finite=True)
            if not isinstance(found, list) or len(found) != len(some):
                got = f"{len(found)} entries" if isinstance(found, list) else "a single number"
                raise ValueError(f"{name}: for {len(some)} rows the network should give as many rows of logits, and gave {got}")
            parts += found
    _, sizes = flatten(parts)
    if len(sizes) == 1 or sizes[1:] == (1,):
        logits = [x[0] if isinstance(x, list) else x for x in parts]
        if 0.0 <= min(logits) and 0.0 < max(logits) <= 1.0:
            raise ValueError(
                f"{name}: one output a row is taken as the logit of class 1, and these all lie between 0 and 1 as probabilities "
                "do; give a function without the sigmoid, or two columns, 1 - p and p"
            )
        return softmax([[0.0, z] for z in logits]).tolist()
    if len(sizes) != 2 or not sizes[1]:
        raise ValueError(f"{name}: the network should give logits of shape (n, classes), and gave shape {sizes}")
    return parts if all(map(_is_distribution, parts)) else softmax(parts).tolist()


def _is_distribution(row: list[float]) -> bool:
    return min(row) >= 0.0 and abs(fsum(row) - 1.0) <= SUM


def _best(row: Sequence[float]) -> int:
    """The place of the largest, the first of equals."""
    return max(range(len(row)), key=row.__getitem__)


# --- classes and their names


def _classes(y: Any, what: str, *, rows: int | None = None, classes: int | None = None) -> list[int]:
    """Class indices as ints: one for each of the rows, each below the number of classes, where these are known."""
    flat, sizes = flatten(plain(y.to_numpy() if hasattr(y, "to_numpy") else y))
    wrong = next((x for x in flat if not isinstance(x, int)), None)
    if wrong is not None:
        raise TypeError(f"{what} holds class indices, whole numbers from 0, and {brief(wrong)} is none")
    if len(sizes) != 1:
        raise ValueError(f"{what} is one class index for each row, and got shape {sizes}")
    if rows is not None and len(flat) != rows:
        raise ValueError(f"{what} has {len(flat)} classes for {rows} rows; there should be one for each")
    if not flat:
        raise ValueError(f"{what} is empty")
    for i, k in enumerate(flat):
        if classes is not None and not 0 <= k < classes:
            raise LabelError(what.partition(":")[0], int(k), (i,), classes)
        if k < 0:
            raise ValueError(f"{what} holds class indices, whole numbers from 0, and at position {i} there is {k}")
    return [*map(int, flat)]


def _names(labels: Sequence[str] | None, classes: int, name: str) -> list[str]:
    """The names of the classes, their numbers where there are none."""
    if labels is None:
        return [str(k) for k in range(classes)]
    return _as_texts(labels, classes, f"{name}: labels are the names of the {classes} classes")


def _feature_names(names: Sequence[str] | None, width: int, name: str) -> list[str]:
    if names is None:
        return [f"feature {i}" for i in range(width)]
    return _as_texts(names, width, f"{name}: feature_names are the names of the {width} columns of X")


def _as_texts(texts: Any, n: int, what: str) -> list[str]:
    if isinstance(texts, str) or not hasattr(texts, "__iter__"):
        raise TypeError(f"{what}, in a list, not {brief(texts)}")
    shown = [cut(printable(str(text)).replace("$", r"\$"), 24) for text in texts]  # a $ would begin a formula
    if len(shown) != n:
        raise ValueError(f"{what}, and got {len(shown)}")
    return shown


# --- confusion matrix


def confusion_matrix(
    y_true: Any,
    y_predicted: Any,
    *,
    labels: Sequence[str] | None = None,
    normalize: bool = False,
    ax: Axes | None = None,
    theme: str = "light",
) -> Axes:
    """How often each class was taken for which: a row for each true class, a column for each predicted one; returns the Axes.

    `y_predicted` are classes, as `tg.predict(model, X)` gives them, or outputs with an axis of classes, of which the largest
    counts. Right ones are on the diagonal in one colour, mistakes beside it in another; both are the deeper, the larger their
    share of the true class. Cells show how many there are, and with `normalize=True` the share of the true class.
    Raises a TypeError for what are no classes, a ValueError unless there is one for each, and a `LabelError` for one without
    a name.

    >>> ax = confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1], labels=["cat", "dog"])
    >>> ax.get_title()
    'accuracy 75 % (3 of 4 right)'
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '0', '2']
    """
    name = "confusion_matrix"
    if callable(y_predicted) and not is_array(y_predicted):
        raise TypeError(f"{name}: y_predicted are classes; of a network take tg.predict(model, X)")
    outputs = plain(y_predicted.to_numpy() if hasattr(y_predicted, "to_numpy") else y_predicted)
    known = None if labels is None else len(_as_texts(labels, len([*labels]), name)) if hasattr(labels, "__iter__") else 0
    if len(flatten(outputs)[1]) == 2:
        scores = floats(outputs, f"{name}: y_predicted", 2)
        known = len(scores[0]) if scores else 0
        predicted = [_best(row) for row in scores]
    else:
        predicted = _classes(outputs, f"{name}: y_predicted", classes=known)
    true = _classes(y_true, f"{name}: y_true", rows=len(predicted), classes=known)
    classes = known or max(*true, *predicted) + 1
    names = _names(labels, classes, name)
    counts = [[0] * classes for _ in range(classes)]
    for i, j in zip(true, predicted, strict=True):
        counts[i][j] += 1

    side = min(max(3.2, 1.8 + 0.45 * classes), 12.0)
    ax = new_axes(ax, name, size=(side + 0.6, side), theme=theme)
    _cells(ax, counts, normalize)
    ax.set_xticks(range(classes), names, rotation=90 if classes * max(map(len, names)) > 40 else 0)
    ax.set_yticks(range(classes), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    right = sum(counts[k][k] for k in range(classes))
    ax.set_title(f"accuracy {percent(right, len(true))} ({right} of {len(true)} right)", fontsize="medium")
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax


def _cells(ax: Axes, counts: list[list[int]], normalize: bool) -> None:
    from matplotlib.colors import to_rgb

    n, (good, bad, *_) = len(counts), palette(ax)
    shares = [[c / sum(row) if c else 0.0 for c in row] for row in counts]
    empty = mixed(ink(ax), paper(ax), 0.94)
    colours = [
        [mixed(empty, good if i == j else bad, (0.15 + 0.85 * s) if s else 0.0) for j, s in enumerate(row)]
        for i, row in enumerate(shares)
    ]
    ax.imshow([[to_rgb(colour) for colour in row] for row in colours], aspect="equal", interpolation="nearest")
    for edge in range(1, n):  # gaps between the cells
        ax.axhline(edge - 0.5, color=paper(ax), linewidth=1.5)
        ax.axvline(edge - 0.5, color=paper(ax), linewidth=1.5)
    texts = [[percent(c, sum(row)).removesuffix(" %") if normalize else str(c) for c in row] for row in counts]
    width, height = (0.8 * inches * 72 / n for inches in _inches(ax))
    size = min(11.0, height / 1.4, width / (0.62 * max(len(text) for row in texts for text in row)))
    for i in range(n):
        for j in range(n):
            if size >= 4.0:  # smaller ones are dust
                ax.text(j, i, texts[i][j], color=readable(colours[i][j]), fontsize=size, ha="center", va="center")


def _inches(ax: Axes) -> tuple[float, float]:
    """How large the square of an Axes will be, about."""
    box, (width, height) = ax.get_position(), ax.figure.figure.get_size_inches()
    side = min(box.width * width, box.height * height)
    return side, side


# --- calibration


class Bin(NamedTuple):
    """The rows whose confidence lies between `low` and `high`: how many, how many of them right, and their confidences' sum."""

    low: float
    high: float
    rows: int
    right: int
    total: float

    @property
    def accuracy(self) -> float:
        """The share of rows whose most likely class is the true one; of a bin without rows nan."""
        return self.right / self.rows if self.rows else float("nan")

    @property
    def confidence(self) -> float:
        """The mean of the confidences; of a bin without rows nan."""
        return self.total / self.rows if self.rows else float("nan")


def expected_calibration_error(probabilities: Any, y: Any, *, bins: int = 10) -> float:
    """How far confidence and accuracy differ: sum over bins of rows in the bin / all rows * |accuracy - confidence|.

    The confidence of a row is its largest probability, and its prediction the class of that, the first of equals. The bins
    are equally wide; each holds its right edge and not its left one, so that 0.3 is in (0.2, 0.3] of ten; the first one also 0.
    A bin without rows adds nothing. `probabilities` have shape (n, classes), and `y` are n classes.
    Raises a ValueError for what are no probabilities, a TypeError for what are no classes, a `LabelError` for a class without
    a probability. (Guo et al., On calibration of modern neural networks, ICML 2017, equation 3; they take 15 bins)

    >>> sure = [[0.75, 0.25]] * 4
    >>> expected_calibration_error(sure, [0, 0, 0, 1]), expected_calibration_error(sure, [0, 0, 0, 0])
    (0.0, 0.25)
    """
    return _error_of(_binned(probabilities, y, bins, "expected_calibration_error"))


def reliability_diagram(
    probabilities: Any, y: Any, *, bins: int = 10, ax: Axes | None = None, theme: str = "light"
) -> Axes:
    """Accuracy against confidence, with the expected calibration error (ECE) as title; returns the Axes.

    Rows are put into `bins` by the probability of their most likely class, as `expected_calibration_error` does. A bar is the
    accuracy of a bin; what is missing to the mean confidence, or too much, is hatched. The bars of a network whose confidence
    can be trusted end at the dashed diagonal. A bin without rows has no bar. Below, in an Axes of its own (`ax.child_axes`),
    is the share of the rows in each bin. Raises what `expected_calibration_error` raises.

    >>> ax = reliability_diagram([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], [0, 1, 1, 1])
    >>> ax.get_title()
    'ECE 35 % (10 bins)'
    """
    name = "reliability_diagram"
    found = _binned(probabilities, y, bins, name)
    n = sum(b.rows for b in found)
    ax = new_axes(ax, name, size=(5.0, 5.2), theme=theme)
    own, gap, *_ = palette(ax)
    width = 1 / len(found)
    edge = {"edgecolor": paper(ax), "linewidth": 0.8}
    full = [b for b in found if b.rows]
    at = [(b.low + b.high) / 2 for b in full]
    ax.bar(at, [b.accuracy for b in full], width, color=own, label="accuracy", zorder=2, **edge)
    heights, bottoms = [abs(b.accuracy - b.confidence) for b in full], [min(b.accuracy, b.confidence) for b in full]
    hatched = {"facecolor": "none", "edgecolor": gap, "hatch": "////", "linewidth": 1.0}
    ax.bar(at, heights, width, bottom=bottoms, label="gap to confidence", zorder=3, **hatched)
    ax.plot([0, 1], [0, 1], "--", color=ink(ax), linewidth=1.2, label="as sure as right", zorder=4)
    ax.set_title(f"ECE {written(100 * _error_of(found))} % ({len(found)} bins)", fontsize="medium")
    ax.set(xlabel="confidence: the largest probability", xlim=(0, 1), ylim=(-0.34, 1.02), yticks=[0, 0.2, 0.4, 0.6, 0.8, 1])
    ax.set_ylabel("accuracy", y=0.625)
    ax.spines["left"].set_bounds(0, 1)
    legend(ax, loc="upper left")

    below = ax.inset_axes((0, 0, 1, 0.18), sharex=ax, zorder=1)
    below.bar([(b.low + b.high) / 2 for b in found], [b.rows / n for b in found], width, color=grey(ax), **edge)
    return ax


def _binned(probabilities: Any, y: Any, bins: int, name: str) -> list[Bin]:
    """The rows in bins by the probability of their most likely class."""
    bins = whole_number(bins, f"{name}: bins")
    sizes = flatten(probabilities)[1] if isinstance(probabilities, (list, tuple)) else shape(plain(probabilities))
    if len(sizes) == 1:
        raise ValueError(f"{name}: needs the probabilities of all classes, (n, classes); of p alone give [[1 - p, p], ...]")
    rows = floats(probabilities, f"{name}: probabilities", 2, finite=True)
    for i, row in enumerate(rows):
        if not row or not _is_distribution(row):
            total = f"sums to {written(fsum(row))}" if row and min(row) >= 0 else "has some below 0"
            raise ValueError(f"{name}: probabilities of a row sum to 1, and row {i} {total}; of logits take tg.softmax first")
    targets = _classes(y, f"{name}: y", rows=len(rows), classes=len(rows[0]) if rows else None)
    inside: list[list[float]] = [[] for _ in range(bins)]
    right = [0] * bins
    for row, target in zip(rows, targets, strict=True):
        k = _best(row)
        over, under = row[k].as_integer_ratio()
        at = min(max(-(-over * bins // under) - 1, 0), bins - 1)  # the ceiling, exactly: no edge is rounded
        inside[at].append(row[k])
        right[at] += k == target
    return [Bin(b / bins, (b + 1) / bins, len(inside[b]), right[b], fsum(inside[b])) for b in range(bins)]


def _error_of(bins: list[Bin]) -> float:
    """sum n_b/n |accuracy_b - confidence_b|, where n_b cancels."""
    return fsum(abs(b.right - b.total) for b in bins) / sum(b.rows for b in bins)
