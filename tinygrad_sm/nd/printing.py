"""How arrays look: aligned columns, short numbers, long arrays cut in the middle."""

from __future__ import annotations

from typing import Any

from tinygrad_sm.nd.shapes import Shape

EDGE = 3  # entries shown at each end of an axis that is cut
WHOLE = 1000  # arrays up to this size are shown whole


def render(flat: list, shape: Shape, prefix: str, suffix: str) -> str:
    """The text of an array between `prefix` and `suffix`."""
    if not shape:
        return f"{prefix}{_plain(flat[0])}{suffix}"
    cut = len(flat) > WHOLE
    shown = [_text(v) for v in flat] if not cut else None
    width = max(map(len, shown), default=0) if shown and len(shape) > 1 else 0  # columns line up, a single row has none

    def block(start: int, axis: int) -> str:
        n = shape[axis]
        step = 1
        for size in shape[axis + 1 :]:
            step *= size
        places = [*range(n)] if not cut or n <= 2 * EDGE else [*range(EDGE), None, *range(n - EDGE, n)]
        if axis == len(shape) - 1:
            parts = ["..." if i is None else (shown[start + i] if shown else _text(flat[start + i])) for i in places]
            return f"[{', '.join(p.rjust(width) for p in parts)}]"
        gap = ",\n" * (len(shape) - 1 - axis) + " " * (len(prefix) + axis + 1)
        return (
            "["
            + gap.replace(",\n,\n", ",\n\n").join("..." if i is None else block(start + i * step, axis + 1) for i in places)
            + "]"
        )

    return prefix + block(0, 0) + suffix


def _plain(x: Any) -> str:
    """One number alone, in full."""
    return repr(x) if isinstance(x, float) else str(x)


def _text(x: Any) -> str:
    """One number among others: eight significant digits of a float."""
    if not isinstance(x, float):
        return str(x)
    short = repr(x)
    if len(short) <= 10:
        return short
    eight = f"{x:.8g}"
    return eight if any(c in eight for c in ".en") else eight + ".0"
