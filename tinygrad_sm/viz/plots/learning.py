"""Pictures of learning: losses and accuracies by epoch, and what a gradient check found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, floor, inf, isfinite, log10
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_sm.check import Comparison, Report
from tinygrad_sm.check.reports import place
from tinygrad_sm.check.verdicts import FAIL, INCONCLUSIVE, KINK, PASS
from tinygrad_sm.nd.shapes import brief
from tinygrad_sm.viz.plots.axes import MINUS, floats, grey, ink, legend, mixed, new_axes, palette, panels, paper, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# --- curves by epoch


def loss_curves(history: Any, *, log: bool = False, ax: Axes | None = None, theme: str = "light") -> Axes:
    """The mean loss of each epoch, of the training and the validation rows, from what `tg.fit` returned; returns the Axes.

    The best epoch, that of the smallest validation loss (training loss without validation rows), is marked. `log=True` gives
    the losses a logarithmic axis. `history` is anything with lists named as those of `tg.History`, also a dictionary.
    Raises a TypeError for anything else, and a ValueError without epochs, and for losses on a logarithmic axis that are not
    above 0.

    >>> ax = loss_curves({"loss": [0.9, 0.5, 0.3], "validation_loss": [0.8, 0.6, 0.7]})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['training', 'validation', 'best: 0.6 in epoch 2']
    """
    name = "loss_curves"
    curves = _curves(history, "loss", name)
    if log:
        for which, losses in curves.items():
            for epoch, x in enumerate(losses, 1):
                if x <= 0:
                    raise ValueError(f"{name}: log=True needs losses above 0, and the {which} loss of epoch {epoch} is {x}")
    ax = new_axes(ax, name, theme=theme)
    if log:
        ax.set_yscale("log")
    _draw_curves(ax, curves, min, lambda x: written(x, 4))
    ax.set(ylabel="loss")
    return ax


def accuracy_curves(history: Any, *, ax: Axes | None = None, theme: str = "light") -> Axes:
    """The accuracy of each epoch, of the training and the validation rows, from what `tg.fit` returned; returns the Axes.

    The best epoch, the first with the largest validation accuracy (training accuracy without validation rows), is marked.
    `history` and errors are as for `loss_curves`; a history without accuracies, such as that of numbers, is a ValueError.

    >>> ax = accuracy_curves({"accuracy": [0.5, 0.75, 0.75]})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['training', 'best: 75 % in epoch 2']
    """
    curves = _curves(history, "accuracy", "accuracy_curves")
    ax = new_axes(ax, "accuracy_curves", theme=theme)
    from matplotlib.ticker import PercentFormatter

    _draw_curves(ax, curves, max, lambda x: f"{written(100 * x, 4)} %")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    ax.set(ylabel="accuracy")
    return ax


def _curves(history: Any, key: str, name: str) -> dict[str, list[float]]:
    """The lists of training and validation, those that are there."""
    found: dict[str, list[float]] = {}
    for which, full in (("training", key), ("validation", f"validation_{key}")):
        numbers = history.get(full, ()) if isinstance(history, Mapping) else getattr(history, full, ())
        if isinstance(numbers, (str, bytes)) or not hasattr(numbers, "__len__"):
            raise TypeError(f"{name}: needs the History that tg.fit returns, not {brief(history)}")
        if len(numbers):
            found[which] = floats([*numbers], f"{name}: {full}", 1)
    if found:
        return found
    known = ("loss", "accuracy")
    if isinstance(history, Mapping) or any(hasattr(history, x) for x in known):
        raise ValueError(f"{name}: the history has no {key} of any epoch")
    raise TypeError(f"{name}: needs the History that tg.fit returns, not {brief(history)}")


def _draw_curves(ax: Axes, curves: dict[str, list[float]], choose: Callable[..., Any], text: Callable[[float], str]) -> None:
    from matplotlib.ticker import MaxNLocator

    styles = {"training": ("-", "o"), "validation": ("--", "s")}
    few = max(map(len, curves.values())) <= 40
    for (which, numbers), colour in zip(curves.items(), palette(ax), strict=False):
        line, marker = styles[which]
        lost = sum(not isfinite(x) for x in numbers)
        label = which + (f" ({lost} not finite)" if lost else "")
        dots = {"marker": marker, "markersize": 3.5} if few else {}
        ax.plot(range(1, len(numbers) + 1), numbers, line, color=colour, linewidth=1.6, label=label, **dots)
    deciding = curves.get("validation") or curves["training"]
    finite = [(x, epoch) for epoch, x in enumerate(deciding, 1) if isfinite(x)]
    if finite:
        best, epoch = choose(finite, key=lambda pair: pair[0])
        label = f"best: {text(best)} in epoch {epoch}"
        ring = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgewidth": 1.4}
        ax.plot([epoch], [best], linestyle="none", color=ink(ax), label=label, zorder=4, **ring)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", xlim=(0.5, max(map(len, curves.values())) + 0.5))
    ax.grid(axis="y", color=mixed(ink(ax), paper(ax), 0.85), linewidth=0.6)
    legend(ax)


# --- a gradient check


class Point(NamedTuple):
    """One element that was judged: what it is called, what came and what should have come, the verdict, and the error."""

    where: str
    got: Any
    exact: Any
    verdict: str
    error: float
    uncertainty: float = 0.0


MARKS = {PASS: ("o", 0, 22), KINK: ("D", 2, 30), INCONCLUSIVE: ("^", 4, 36), FAIL: ("X", 1, 60)}  # marker, colour, size


def gradient_check(report: Report | Comparison, *, ax: Axes | None = None, theme: str = "light") -> Axes:
    """What `tg.gradcheck` or `tg.compare` found, element by element; returns the Axes, whose two panels are its `child_axes`.

    Above, each gradient against what it should be: right ones are on the dashed line. Below, the error: of a Report relative
    to the larger of the two numbers (a dash is how far what it should be is known), of a Comparison in units in the last
    place, beside the limit. Verdicts have a shape and a colour, and a ring is around the worst. The axes are logarithmic
    where the numbers differ much in size. Numbers that are not finite are counted and cannot be shown.
    Raises a TypeError for anything else, and a ValueError for a report without elements.

    >>> import tinygrad_sm as tg
    >>> report = tg.gradcheck(lambda x: x * x * x, 2.0, gradient=lambda x: 2 * x * x)
    >>> ax = gradient_check(report)
    >>> print(ax.get_title())
    gradcheck: NOT OK, 1 FAIL
    worst: x is 8, should be 12
    """
    name = "gradient_check"
    points, worst, title, axis, unit, limit = _judged(report, name)
    ax = new_axes(ax, name, size=(6.0, 6.0), theme=theme)
    ax.set_title(f"{title}\nworst: {worst.where} {_told(worst, 'ulp' if limit else 'relative')}", fontsize="medium")
    above, below = panels(ax, (0, 0.36, 1, 0.64), (0, 0, 1, 0.28))
    colours = palette(ax)
    shown = [p for p in points if _is_finite(p.got) and _is_finite(p.exact)]
    for verdict, (marker, colour, size) in MARKS.items():
        own = [p for p in shown if p.verdict == verdict]
        if own:
            style = {"marker": marker, "color": colours[colour], "s": size, "linewidths": 0.5, "edgecolors": paper(ax)}
            xs = [float(p.exact) for p in own]
            above.scatter(xs, [float(p.got) for p in own], label=f"{len(own)} {verdict}", zorder=3, **style)
            below.scatter(xs, [p.error for p in own], zorder=3, **style)
    sizes = [(p, _size(p)) for p in shown]
    known = {float(p.exact): p.uncertainty / x for p, x in sizes if x and p.uncertainty > unit * x}
    if known:
        dash = {"marker": "_", "s": 110, "color": grey(ax), "zorder": 2}
        below.scatter([*known], [*known.values()], **dash)
        above.scatter([], [], label="below: so far known", **dash)
    if lost := len(points) - len(shown):
        above.plot([], [], " ", label=f"{lost} not finite, not shown")
    if worst in shown:
        ring = {"marker": "o", "s": 170, "facecolors": "none", "edgecolors": ink(ax), "linewidths": 1.2, "zorder": 4}
        above.scatter([float(worst.exact)], [float(worst.got)], label="worst", **ring)
        below.scatter([float(worst.exact)], [worst.error], **ring)
    if limit:
        below.axhline(limit, color=ink(ax), linestyle=":", linewidth=1.2)
        below.text(0.995, limit, f"limit {limit:g}", color=ink(ax), transform=below.get_yaxis_transform(), **ABOVE)

    _number_scale(above, below, [float(x) for p in shown for x in (p.got, p.exact)])
    errors = [p.error for p in shown if p.error < inf]
    _error_scale(below, max([*errors, *known.values(), 1.5 * limit, 10 * unit]), unit)
    above.plot(
        above.get_xlim(), above.get_xlim(), color=ink(ax), linestyle="--", linewidth=1.0, zorder=1, scalex=False, scaley=False
    )
    above.set(ylabel=axis)
    below.set(xlabel="what it should be", ylabel="error in ulp" if limit else "relative error")
    for panel in (above, below):
        panel.xaxis.label.set_color(ink(ax))
        panel.yaxis.label.set_color(ink(ax))
    above.tick_params(labelbottom=False)
    legend(above)
    return ax


ABOVE: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": "small"}


def _judged(report: Any, name: str) -> tuple[list[Point], Point, str, str, float, float]:
    """Points, the worst of them, a title, what is drawn upwards, the unit of errors and their limit (0: none)."""
    if isinstance(report, Report):
        points = [
            Point(place(e.name, e.place), e.gradient, e.exact, e.verdict, e.difference, float(e.uncertainty))
            for e in report.elements
        ]
        if report.worst is None:
            raise ValueError(f"{name}: the report has no elements")
        counts = ", ".join(f"{n} {verdict}" for verdict, n in report.counts.items() if n)
        title = f"gradcheck: {'ok' if report.ok else 'NOT OK'}, {counts}"
        return points, points[report.elements.index(report.worst)], title, "gradient", 1e-16, 0.0
    if isinstance(report, Comparison):
        verdicts = [PASS if f.ulp <= report.limit else FAIL for f in report.findings]
        points = [Point(f.where, f.got, f.exact, v, f.ulp) for f, v in zip(report.findings, verdicts, strict=True)]
        figures = ", ".join(f"{quantity} {written(ulp, 2)}" for quantity, ulp in report.max_ulp.items())
        title = f"{report.name} is {'right' if report.ok else 'WRONG'}: at most {figures} ulp"
        return points, points[report.findings.index(report.worst)], title, "value or gradient", 1.0, report.limit
    raise TypeError(f"{name}: needs what tg.gradcheck or tg.compare returned, not {brief(report)}")


def _is_finite(x: Any) -> bool:
    return not isinstance(x, str) and isfinite(float(x))


def _size(point: Point) -> float:
    return max(abs(float(point.exact)), abs(float(point.got)))


def _told(point: Point, unit: str) -> str:
    """Both numbers with as many digits as it takes to see a difference; where it takes too many, the error."""
    if isinstance(point.got, str):  # of shapes that differ
        return f"is {point.got}, should be {point.exact}"
    for digits in range(4, 13):
        got, exact = (f"{float(x):.{digits}g}".replace("-", MINUS) for x in (point.got, point.exact))
        if got != exact:
            return f"is {got}, should be {exact}"
    return f"is {written(float(point.got))}, error {written(point.error, 2)} {unit}"


def _number_scale(above: Axes, below: Axes, numbers: list[float]) -> None:
    """Both axes of the upper panel and the lower one's axis of numbers alike, logarithmic where sizes differ much."""
    sizes = [abs(x) for x in numbers if x]
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    if not sizes or max(sizes) <= 1000 * min(sizes):
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        above.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
        below.set(xlim=(low - margin, high + margin))
        return
    linear = max(min(sizes), 1e-12 * max(sizes))
    low, high = min(3 * low, -linear), max(3 * high, linear)
    first, last = ceil(log10(linear)) + 1, floor(log10(max(sizes)))
    powers = range(last, first - 1, -max(ceil((last - first + 1) / 4), 1))
    ticks = {0.0: "0"}
    for k in powers:
        ticks |= {10.0**k: f"$10^{{{k}}}$", -(10.0**k): f"$-10^{{{k}}}$"}
    for panel, axes in ((above, "xy"), (below, "x")):
        for axis in axes:
            _symlog(panel, axis, linear, {x: text for x, text in ticks.items() if low <= x <= high})
            panel.set(**{f"{axis}lim": (low, high)})


def _error_scale(panel: Axes, largest: float, unit: float) -> None:
    """Errors upwards: evenly up to a unit, logarithmically beyond."""
    first, decades = round(log10(unit)), ceil(log10(largest / unit))
    ticks = {0.0: "0"} | {10.0**k: f"$10^{{{k}}}$" for k in range(first, first + decades + 1, ceil((decades + 1) / 4))}
    _symlog(panel, "y", unit, ticks, max(0.6, decades / 8))
    panel.set(ylim=(-0.5 * unit, unit * (largest / unit) ** 1.15 * 3))


def _symlog(panel: Axes, axis: str, linear: float, ticks: dict[float, str], width: float = 0.6) -> None:
    """An axis that is logarithmic from `linear` on, on both sides of 0, with these ticks alone; `width` decades up to there."""
    from matplotlib.ticker import NullLocator

    getattr(panel, f"set_{axis}scale")("symlog", linthresh=linear, linscale=width)
    getattr(panel, f"set_{axis}ticks")([*ticks], [*ticks.values()])
    getattr(panel, f"{axis}axis").set_minor_locator(NullLocator())
