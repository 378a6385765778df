"""Histograms by layer: what a network's layers give for some inputs, and the gradients of its parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite, isqrt, log10
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_sm import nd
from tinygrad_sm.graph import Value, history
from tinygrad_sm.graph.namespaces import is_array, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import plain, recording
from tinygrad_sm.nd.shapes import Shape, brief, flatten, whole_number
from tinygrad_sm.nn import Module
from tinygrad_sm.nn.module import calls_of, mode
from tinygrad_sm.ops.helpers import moved, moved_like
from tinygrad_sm.viz.drawings.labels import cut, printable
from tinygrad_sm.viz.plots.axes import floats, grey, ink, mixed, new_axes, palette, paper, percent, written
from tinygrad_sm.viz.plots.classifiers import like_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 0.86  # of a histogram, where 1 is the distance of two


class Row(NamedTuple):
    """One histogram: its name, and the numbers in it."""

    name: str
    numbers: list[float]
    shape: Shape


def activation_histograms(model: Module, X: Any, *, bins: int = 40, ax: Axes | None = None, theme: str = "light") -> Axes:
    """What each layer of `model` gives for the inputs `X`, a histogram each, the first layer on top; returns the Axes.

    A layer is a Module without others in it. An activation function behind it, and any other op of one input that keeps the
    shape, counts as a part of it. Exact zeros, as ReLUs give them, are not in the histogram: beside it stand their share and
    how many units are dead, 0 for every row of X. All histograms are equally high, with `bins` bins, or fewer where there are
    few numbers. The network is in `eval()` meanwhile.
    Raises a TypeError for a `model` that is no Module of `tg.nn`, and a ValueError when no layer computed anything.

    >>> import tinygrad_sm as tg
    >>> tg.manual_seed(0)
    >>> ax = activation_histograms(tg.nn.MLP([2, 3, 2]), [[1.0, -1.0], [0.5, 2.0]])
    >>> [text.get_text().split("\\n")[0] for text in ax.get_yticklabels()]
    ['layers.0 Linear(2, 3), relu', 'layers.1 Linear(3, 2)']
    """
    name = "activation_histograms"
    if not isinstance(model, Module):
        raise TypeError(f"{name}: the first argument is a network of tg.nn, not {brief(model)}")
    bins = whole_number(bins, f"{name}: bins")
    inputs = _inputs(model, X, name)
    with mode(model, training=False), recording(True):
        outputs = model(inputs)
    rows = [Row(label, flatten(plain(x))[0], x.shape) for label, x in _layers(model, outputs)]
    if not rows:
        raise ValueError(f"{name}: no layer of {model.title()} computed anything from X that can be drawn")
    ax = _ridges(ax, name, theme, rows, bins, [", ".join(_left_out(row, units=True)) for row in rows])
    ax.set(xlabel="activation")
    ax.set_title(f"activations by layer, for {shape(inputs)[0]} rows", fontsize="medium")
    return ax


def gradient_histograms(model: Any, *, bins: int = 40, ax: Axes | None = None, theme: str = "light") -> Axes:
    """The sizes of the gradients that `backward` left in the parameters of `model`, a histogram for each; returns the Axes.

    The axis is logarithmic, so that gradients that vanish or explode from layer to layer wander to the left or to the right.
    Beside each histogram stand the median of the sizes, and the share of exact zeros, which are not in it. `model` is a Module,
    or names with Values, as `model.named_parameters()` gives them, or with gradients, as pairs or in a dictionary.
    Raises a TypeError for anything else, and a ValueError when no gradient has arrived.

    >>> import tinygrad_sm as tg
    >>> w = tg.Value([1.0, 2.0, 3.0])
    >>> (w * w * [1.0, 1.0, 0.0]).sum().backward()
    >>> ax = gradient_histograms({"w": w})
    >>> print(ax.get_yticklabels()[0].get_text())
    w (3,)
    median 3, 33.3 % zeros
    """
    from statistics import median  # slow to import

    name = "gradient_histograms"
    bins = whole_number(bins, f"{name}: bins")
    rows, notes = [], []
    for label, x in _named(model, name):
        gradient = _gradient(x)
        flat, sizes = ([], ()) if gradient is None else flatten(floats(gradient, f"{name}: {label}"))
        row = Row(f"{label} {sizes}" if sizes else label, [*map(abs, flat)], sizes)
        middle = [f"median {written(median(own))}"] if (own := [g for g in row.numbers if g and isfinite(g)]) else []
        rows.append(row)
        notes.append("no gradient yet" if gradient is None else ", ".join(middle + _left_out(row, units=False)))
    if not any(row.numbers for row in rows):
        raise ValueError(f"{name}: no parameter has a gradient yet; call loss.backward() first")
    ax = _ridges(ax, name, theme, rows, bins, notes, log=True)
    ax.set(xlabel="size of the gradient")
    ax.set_title("gradients by parameter", fontsize="medium")
    return ax


# --- what a layer gives


def _inputs(model: Module, X: Any, name: str) -> Any:
    """X in the library of the network, as a Value, so that all that is computed from it is recorded; ints stay plain."""
    data = plain(X.to_numpy() if hasattr(X, "to_numpy") else X)
    flat, sizes = flatten(data if is_array(data) else floats(data, f"{name}: X") if not _are_ints(data) else data)
    given = nd.reshape(nd.asarray(flat), sizes)
    if not sizes or not flat:
        raise ValueError(f"{name}: X needs rows of inputs, and has shape {sizes}")
    like = like_of(model, given)
    if kind_of(given) == "integral":
        return moved(given, namespace_of([like]))
    floats(given, f"{name}: X", finite=True)
    return Value(moved_like(given, like))


def _are_ints(data: Any) -> bool:
    try:
        return {*map(type, flatten(data)[0])} == {int}
    except ValueError:  # of ragged lists
        return False


def _layers(model: Module, outputs: Any) -> Iterator[tuple[str, Value]]:
    """The results of the innermost Modules in the order of their calls, each after the functions that are applied to it."""
    results = outputs.values() if isinstance(outputs, Mapping) else outputs if isinstance(outputs, (list, tuple)) else [outputs]
    nodes: dict[int, Value] = {node._order: node for x in results if isinstance(x, Value) for node in history(x)}
    uses: dict[int, list[Value]] = {}
    after: list[Value]
    for node in nodes.values():
        for x in node.inputs:
            if isinstance(x, Value):
                uses.setdefault(x._order, []).append(node)
    paths = {module: path for path, module in model.named_modules()}
    calls: Counter[Module] = Counter()
    covered: set[int] = set()
    for order in sorted(nodes, reverse=True):  # the oldest first
        for call in calls_of(nodes[order]):
            layer = call.module
            if order in covered or any(inner is not layer for inner in layer.modules()):
                continue
            calls[layer] += 1
            label = f"{paths.get(layer, '')} {layer.title()}".strip() + (f" call {calls[layer]}" if calls[layer] > 1 else "")
            value = nodes[order]
            while len(after := uses.get(value._order, [])) == 1 and _keeps_the_shape(after[0], value):
                value = after[0]
                covered.add(value._order)
                label += f", {value.op.name}"  # type: ignore[union-attr]
            yield label, value


def _keeps_the_shape(node: Value, x: Value) -> bool:
    return len(node.inputs) == 1 and node.shape == x.shape


# --- gradients by name


def _named(model: Any, name: str) -> list[tuple[str, Any]]:
    """Names with parameters or gradients."""
    pairs = model.named_parameters() if hasattr(model, "named_parameters") else model
    pairs = pairs.items() if isinstance(pairs, Mapping) else pairs
    if not isinstance(pairs, Iterable) or is_array(pairs) or isinstance(pairs, (str, bytes, Value)):
        raise TypeError(f"{name}: needs a network, or names with parameters or gradients, not {brief(model)}")
    found = [*pairs]
    for pair in found:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise TypeError(f"{name}: needs pairs of a name and a parameter, as from named_parameters(), not {brief(pair)}")
    if not found:
        raise ValueError(f"{name}: there are no parameters")
    return found


def _gradient(x: Any) -> Any:
    """The gradient that a parameter of ours or of torch has, None without one; plain data is a gradient itself."""
    if isinstance(x, Value):
        return x.grad if x.has_grad else None
    return x.grad if getattr(x, "requires_grad", False) else x


# --- what is drawn


def _left_out(row: Row, *, units: bool) -> list[str]:
    """How many numbers are not in the histogram, and of `units` how many are 0 in every row."""
    n, zeros = len(row.numbers), row.numbers.count(0.0)
    said = [f"{percent(zeros, n)} zeros"] if zeros else []
    if units and zeros and len(row.shape) > 1:
        width = row.shape[-1]
        dead = sum(not any(row.numbers[i::width]) for i in range(width))
        said.append(f"{dead} of {width} units dead")
    lost = sum(not isfinite(x) for x in row.numbers)
    return said + ([f"{lost} not finite"] if lost else [])


def _ridges(ax: Any, name: str, theme: str, rows: list[Row], bins: int, notes: list[str], log: bool = False) -> Axes:
    """A histogram for each row, one above the other, over one axis of numbers."""
    shown = [[x for x in row.numbers if x and isfinite(x)] for row in rows]
    everything = [x for numbers in shown for x in numbers]
    low, high = min(everything, default=1.0), max(everything, default=1.0)
    n = len(rows)
    ax = new_axes(ax, name, size=(7.0, min(max(2.4, 1.2 + 0.6 * n), 16.0)), theme=theme)
    if log:
        ax.set_xscale("log")
    colour = palette(ax)[0]
    for base, numbers in zip(range(n - 1, -1, -1), shown, strict=True):
        ax.axhline(base, color=mixed(ink(ax), paper(ax), 0.75), linewidth=0.8, zorder=1)
        if numbers:
            heights, edges = _histogram(numbers, min(bins, 4 + isqrt(4 * len(numbers))), low, high, log)
            values = [base + HEIGHT * h / max(heights) for h in heights]
            ax.stairs(values, edges, baseline=base, fill=True, color=colour, zorder=2)
    if not log and low < 0 < high:
        ax.axvline(0.0, color=grey(ax), linewidth=0.8, linestyle=":", zorder=3)
    names = [cut(printable(row.name), 60).replace("$", r"\$") for row in rows]  # between two $ matplotlib reads TeX
    texts = [f"{name}\n{note}" if note else name for name, note in zip(names, notes, strict=True)]
    ax.set_yticks(range(n - 1, -1, -1), texts, fontsize="small", va="bottom", linespacing=1.15)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set(ylim=(-0.1, n))
    return ax


def _histogram(numbers: list[float], bins: int, low: float, high: float, log: bool) -> tuple[list[int], list[float]]:
    """How many of the numbers are in each bin between the smallest and the largest, and the edges of the bins.

    The bins are equally wide, on a logarithmic axis there; all bins together are no narrower than a hundredth of low to high.
    """
    place = log10 if log else float
    xs = [place(x) for x in numbers]
    start, end = min(xs), max(xs)
    least = (place(high) - place(low)) / 100 or 0.02 * max(abs(start), 1.0)
    if end - start < least:
        start, end = (start + end - least) / 2, (start + end + least) / 2
    heights = [0] * bins
    for x in xs:
        heights[min(int((x - start) / (end - start) * bins), bins - 1)] += 1
    edges = [start + (end - start) * i / bins for i in range(bins + 1)]
    return heights, [10.0**x for x in edges] if log else edges
