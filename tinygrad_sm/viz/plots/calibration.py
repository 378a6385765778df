"""Calibration: is a classifier right as often as it is sure? The expected calibration error, and its diagram."""

from __future__ import annotations

from bisect import bisect_left
from math import fsum
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import flatten, whole_number
from tinygrad_sm.viz.plots.axes import dressed, floats, grey, ink, legend, new_axes, palette, paper, percent, written
from tinygrad_sm.viz.plots.classifiers import best, class_indices, is_distribution

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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


def reliability_diagram(probabilities: Any, y: Any, *, bins: int = 10, ax: Axes | None = None, theme: str = "light") -> Axes:
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
    legend(ax, bbox_to_anchor=(0, 0.25, 1, 0.75))

    below = ax.inset_axes((0, 0, 1, 0.18), sharex=ax, zorder=1)
    below.bar([(b.low + b.high) / 2 for b in found], [b.rows / n for b in found], width, color=grey(ax), **edge)
    dressed(below, ink(ax), paper(ax))
    below.patch.set_visible(False)
    below.spines[["top", "right"]].set_visible(False)
    highest = max(b.rows for b in found)
    below.set(ylim=(0, 1.3 * highest / n), yticks=[highest / n], yticklabels=[percent(highest, n, 0)])
    below.set_ylabel("rows", color=ink(ax))
    below.tick_params(axis="x", length=0, labelbottom=False)
    return ax


def _binned(probabilities: Any, y: Any, bins: int, name: str) -> list[Bin]:
    """The rows in bins by the probability of their most likely class."""
    bins = whole_number(bins, f"{name}: bins")
    sizes = flatten(probabilities)[1] if isinstance(probabilities, (list, tuple)) else shape(plain(probabilities))
    if len(sizes) == 1:
        raise ValueError(f"{name}: needs the probabilities of all classes, (n, classes); of p alone give [[1 - p, p], ...]")
    rows = floats(probabilities, f"{name}: probabilities", 2, finite=True)
    for i, row in enumerate(rows):
        if not row or not is_distribution(row):
            total = f"sums to {written(fsum(row))}" if row and min(row) >= 0 else "has some below 0"
            raise ValueError(f"{name}: probabilities of a row sum to 1, and row {i} {total}; of logits take tg.softmax first")
    targets = class_indices(y, f"{name}: y", rows=len(rows), classes=len(rows[0]) if rows else None)
    edges = [(b + 1) / bins for b in range(bins)]
    inside: list[list[float]] = [[] for _ in range(bins)]
    right = [0] * bins
    for row, target in zip(rows, targets, strict=True):
        k = best(row)
        at = min(bisect_left(edges, row[k]), bins - 1)  # the first bin whose right edge is not below
        inside[at].append(row[k])
        right[at] += k == target
    return [Bin(b / bins, (b + 1) / bins, len(inside[b]), right[b], fsum(inside[b])) for b in range(bins)]


def _error_of(bins: list[Bin]) -> float:
    """sum n_b/n |accuracy_b - confidence_b|, where n_b cancels."""
    return fsum(abs(b.right - b.total) for b in bins) / sum(b.rows for b in bins)
