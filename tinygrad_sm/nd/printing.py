"""How arrays look: columns with their decimal points in line, short numbers, long arrays cut in the middle."""

from __future__ import annotations

from itertools import product
from operator import mul
from typing import Any

from tinygrad_sm.nd.shapes import Shape, row_major

EDGE = 3  # entries shown at each end of an axis that is cut
WHOLE = 1000  # arrays up to this size are shown whole
WIDTH = 100  # characters in a line, after which a row goes on in the next


def render(flat: list, shape: Shape, prefix: str, suffix: str) -> str:
    """The text of an array between `prefix` and `suffix`."""
    if not shape:
        return f"{prefix}{_alone(flat[0])}{suffix}"
    if 0 in shape:
        return f"{prefix}[]{suffix}"
    is_cut = len(flat) > WHOLE
    shown = [[*range(EDGE), None, *range(n - EDGE, n)] if is_cut and n > 2 * EDGE else [*range(n)] for n in shape]
    steps = row_major(shape)[:-1]
    starts = [sum(map(mul, place, steps)) for place in product(*shown[:-1]) if None not in place]
    columns = [["..." if j is None else _among_others(flat[start + j]) for start in starts] for j in shown[-1]]
    if len(shape) > 1:
        columns = [*map(_aligned, columns)]
    rows = iter([*zip(*columns, strict=True)])

    def block(axis: int) -> str:
        indent = "\n" + " " * (len(prefix) + axis + 1)
        if axis == len(shape) - 1:
            return f"[{indent.join(_lines(next(rows), WIDTH - len(indent)))}]"
        gap = "," + "\n" * (len(shape) - 2 - axis) + indent
        return f"[{gap.join('...' if i is None else block(axis + 1) for i in shown[axis])}]"

    return prefix + block(0) + suffix


def _aligned(texts: list[str]) -> list[str]:
    """The numbers of a column with their decimal points below each other."""
    points = [min(text.find(mark) % (len(text) + 1) for mark in ".eE") for text in texts]  # none is at -1, thus at the end
    shifted = [" " * (max(points) - point) + text for point, text in zip(points, texts, strict=True)]
    width = max(map(len, shifted))
    return [text.ljust(width) for text in shifted]


def _lines(cells: tuple[str, ...], width: int) -> list[str]:
    """The entries of a row with commas, in as many lines as they take."""
    lines = [""]
    for i, cell in enumerate(cells, 1):
        if lines[-1] and len(lines[-1]) + len(cell) > width:
            lines.append("")
        lines[-1] += (cell.rstrip() + "," * (i < len(cells))).ljust(len(cell) + 2)
    return [line.rstrip() for line in lines]


def _alone(x: Any) -> str:
    """One number alone, in full."""
    return repr(x) if isinstance(x, float) else str(x)


def _among_others(x: Any) -> str:
    """One number among others: eight significant digits of a float, all digits of a whole one."""
    if not isinstance(x, float):
        return str(x)
    full = repr(x)
    if len(full) <= (18 if x.is_integer() else 10):
        return full
    eight = f"{x:.8g}"
    return eight if any(c in eight for c in ".en") else eight + ".0"
