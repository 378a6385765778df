"""Pictures of a classifier: where it decides for which class, and what it confuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum, log
from typing import TYPE_CHECKING, Any

from tinygrad_sm import nd
from tinygrad_sm.family import LabelError, softmax
from tinygrad_sm.graph import no_grad
from tinygrad_sm.graph.namespaces import as_data, is_array, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import brief, flatten, whole_number
from tinygrad_sm.nn.module import mode
from tinygrad_sm.ops.helpers import moved_like
from tinygrad_sm.viz.plots.axes import (
    class_names,
    floats,
    ink,
    legend,
    mixed,
    new_axes,
    palette,
    paper,
    percent,
    readable,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "os^Dv<>PX*"
MOST = 30  # classes of whose pairs each has its number
BATCH = 1024  # rows that a network is given at a time
SUM = 1e-3  # how far from 1 the probabilities of a row may sum
TINY = 5e-324  # the smallest float, since 0 has no logarithm

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
    ['class 0', 'class 1']
    """
    name = "decision_regions"
    _must_be_callable(model, name)
    rows = floats(X, f"{name}: X", 2, finite=True)
    if not rows:
        raise ValueError(f"{name}: X has no rows")
    first, second = _two_of(features, len(rows[0]), name)
    axis_names = _feature_names(feature_names, len(rows[0]), name)
    like = like_of(model, X)
    at_points = _logits(model, rows, like, name)
    classes = len(at_points[0])
    targets = class_indices(y, f"{name}: y", rows=len(rows), classes=classes)
    names = class_names(labels, classes, name)
    resolution = whole_number(resolution, f"{name}: resolution", 2)

    centre = [fsum(column) / len(rows) for column in zip(*rows, strict=True)]
    xs, ys = (_ticks([row[i] for row in rows], resolution) for i in (first, second))
    grid = [[*centre] for _ in range(resolution**2)]
    for row, (b, a) in zip(grid, ((b, a) for b in ys for a in xs), strict=True):
        row[first], row[second] = a, b
    logits = _logits(model, grid, like, name)

    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if ax is None else {}  # where it hides no point
    ax = new_axes(ax, name, size=(6.0, 4.2), theme=theme)
    _regions(ax, logits, xs, ys)
    for k in range(classes):
        own = [row for row, target in zip(rows, targets, strict=True) if target == k]
        if own:
            colour, marker = class_colour(ax, k), MARKERS[k % len(MARKERS)]
            shown = [row[first] for row in own], [row[second] for row in own]
            size = 52 if marker in "PX*" else 34  # these are thin
            ax.scatter(
                *shown, s=size, color=colour, marker=marker, edgecolors="white", linewidths=0.6, label=names[k], zorder=3
            )
    right = sum(best(row) == target for row, target in zip(at_points, targets, strict=True))
    title = f"{percent(right, len(rows))} of {len(rows)} points right"
    if len(rows[0]) > 2:
        title += "; regions: other features at their mean"
    ax.set_title(title, fontsize="medium")
    ax.set(xlabel=axis_names[first], ylabel=axis_names[second], xlim=(xs[0], xs[-1]), ylim=(ys[0], ys[-1]))
    legend(ax, **beside)
    return ax


def class_colour(ax: Axes, k: int) -> str:
    """The colour of class k: after those of the palette come darker and paler ones."""
    colours = palette(ax)[:6]  # the last is that of the ink
    colour, shade = colours[k % len(colours)], k // len(colours) % 3
    return (colour, mixed(colour, ink(ax), 0.5), mixed(colour, paper(ax), 0.5))[shade]


def _regions(ax: Axes, logits: list[list[float]], xs: list[float], ys: list[float]) -> None:
    """The winning class at each point of the grid as colour, its probability as opacity, and the lines between the classes."""
    from matplotlib.colors import to_rgb

    least = 1 / len(logits[0])
    colours = [to_rgb(class_colour(ax, k)) for k in range(len(logits[0]))]
    winners = [best(row) for row in logits]
    sure = [(max(row) - least) / (1 - least) for row in softmax(logits).tolist()]  # from 0 to 1
    cells = [(*colours[k], 0.08 + 0.47 * min(max(x, 0.0), 1.0)) for k, x in zip(winners, sure, strict=True)]
    n = len(xs)
    half = [(axis[1] - axis[0]) / 2 for axis in (xs, ys)]
    extent = (xs[0] - half[0], xs[-1] + half[0], ys[0] - half[1], ys[-1] + half[1])
    image = [cells[i : i + n] for i in range(0, n * n, n)]
    ax.imshow(image, origin="lower", extent=extent, aspect="auto", interpolation="bilinear", zorder=0)
    for k in {*winners} if len({*winners}) > 1 else ():
        lead = [row[k] - max(row[:k] + row[k + 1 :]) for row in logits]
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


def _must_be_callable(model: Any, name: str) -> None:
    if not callable(model) or isinstance(model, type):
        raise TypeError(f"{name}: the first argument is a network or a function of rows that gives logits, not {brief(model)}")


def like_of(model: Any, X: Any) -> Any:
    """An array in the library and element type that a network computes in."""
    parameters = model.parameters() if hasattr(model, "parameters") else ()
    own = next((p.data for p in parameters if shape(p)), None)
    data = plain(X.to_numpy() if hasattr(X, "to_numpy") else X)
    return own if own is not None else as_data(data) if is_array(data) else nd.zeros(1)


def _logits(model: Any, rows: list[list[float]], like: Any, name: str) -> list[list[float]]:
    """The logits of the classes for rows, whether the network gives these, one logit a row, or probabilities."""
    parts: list[Any] = []
    with mode(model, training=False), no_grad():
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
        if min(logits) >= 0.0 and 0.0 < max(logits) <= 1.0:
            raise ValueError(
                f"{name}: one output a row is taken as the logit of class 1, and these all lie between 0 and 1 as "
                "probabilities do; give a function without the sigmoid, or two columns, 1 - p and p"
            )
        return [[0.0, z] for z in logits]
    if len(sizes) != 2:
        raise ValueError(f"{name}: the network should give logits of shape (n, classes), and gave shape {sizes}")
    return [[log(max(p, TINY)) for p in row] for row in parts] if all(map(is_distribution, parts)) else parts


def is_distribution(row: list[float]) -> bool:
    """Whether a row holds probabilities that sum to 1."""
    return min(row) >= 0.0 and abs(fsum(row) - 1.0) <= SUM


def best(row: Sequence[float]) -> int:
    """The place of the largest, the first of equals."""
    return max(range(len(row)), key=row.__getitem__)


# --- classes and their names


def class_indices(y: Any, what: str, *, rows: int | None = None, classes: int | None = None) -> list[int]:
    """Class indices as ints: one for each of the rows, each below the number of classes, where these are known."""
    flat, sizes = _flat(y, what)
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


def _flat(x: Any, what: str) -> tuple[list[Any], tuple[int, ...]]:
    """The elements of a Value, an array, lists or a table of another library, and their shape."""
    try:
        return flatten(plain(x.to_numpy() if hasattr(x, "to_numpy") else x))
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def _feature_names(names: Any, width: int, name: str) -> list[str]:
    if names is None:
        return [f"feature {i}" for i in range(width)]
    if not isinstance(names, (list, tuple)) or len(names) != width:
        raise ValueError(f"{name}: feature_names is a list with a name for each of {width} columns of X, not {brief(names)}")
    return class_names(names, width, name)


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
    share of the true class. Cells show how many there are, and with `normalize=True` the share of the true class; of more than
    30 classes the colours alone are shown.
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
    known = None if labels is None or not hasattr(labels, "__len__") else len(labels)
    if len(_flat(y_predicted, f"{name}: y_predicted")[1]) == 2:
        scores = floats(y_predicted, f"{name}: y_predicted", 2)
        known = len(scores[0]) if scores else 0
        predicted = [best(row) for row in scores]
    else:
        predicted = class_indices(y_predicted, f"{name}: y_predicted", classes=known)
    true = class_indices(y_true, f"{name}: y_true", rows=len(predicted), classes=known)
    classes = known or max(*true, *predicted) + 1
    names = [*map(str, range(classes))] if labels is None else class_names(labels, classes, name)
    counts = [[0] * classes for _ in range(classes)]
    for i, j in zip(true, predicted, strict=True):
        counts[i][j] += 1

    longest = max(map(len, names))
    side, label = min(max(2.4, 0.46 * classes), 11.0), 0.09 * longest  # inches, of the matrix and of its labels
    turned = longest > 6 * side / classes * 2
    ax = new_axes(ax, name, size=(side + label + 1.2, side + label * turned + 1.0), theme=theme)
    cell = 0.8 * 72 * _side(ax) / classes  # in points, about
    _cells(ax, counts, normalize, cell)
    size = min(10.0, 0.8 * cell)
    ax.set_xticks(range(classes), names, rotation=90 if turned else 0, fontsize=size)
    ax.set_yticks(range(classes), names, fontsize=size)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    right = sum(counts[k][k] for k in range(classes))
    ax.set_title(f"accuracy {percent(right, len(true))} ({right} of {len(true)} right)", fontsize="medium")
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax


def _cells(ax: Axes, counts: list[list[int]], normalize: bool, cell: float) -> None:
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
    texts = [[_share(c, sum(row)) if normalize else str(c) for c in row] for row in counts]
    size = min(11.0, cell / 1.4, cell / (0.62 * max(len(text) for row in texts for text in row)))
    if n > MOST or size < 4.0:  # dust
        return
    for i in range(n):
        for j in range(n):
            ax.text(j, i, texts[i][j], color=readable(colours[i][j]), fontsize=size, ha="center", va="center")


def _share(count: int, rows: int) -> str:
    return percent(count, rows, 0) if rows else "\N{EN DASH}"


def _side(ax: Axes) -> float:
    """How many inches the square in an Axes will have on a side, about: it is laid out when it is drawn."""
    box, (width, height) = ax.get_position(), ax.figure.figure.get_size_inches()
    return min(box.width * width, box.height * height)
