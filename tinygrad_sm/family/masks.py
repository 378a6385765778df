"""Masks: what a causal one shows, and data with what is masked left out."""

from __future__ import annotations

from typing import Any

ALIGNMENTS = ("lower-right", "upper-left")


def offset(rows: int, columns: int, align: str) -> int:
    """How many entries more than the first i + 1 row i of a causal mask sees (fewer, if negative)."""
    return columns - rows if align == "lower-right" else 0


def causal_mask(xp: Any, rows: int, columns: int, align: str = "lower-right") -> Any:
    """True where an entry is seen: row i sees the first i + 1 + offset.

    "lower-right": the last row sees every entry, as when the newest queries meet all keys so far; a row that lies before the
    first entry sees nothing. "upper-left": the first row sees the first entry.
    """
    last = xp.arange(rows) + offset(rows, columns, align)
    return xp.less_equal(xp.expand_dims(xp.arange(columns), axis=0), xp.expand_dims(last, axis=1))


def alignment(align: str, name: str) -> None:
    """One of the two words."""
    if align not in ALIGNMENTS:
        raise ValueError(f"{name}: align is {' or '.join(ALIGNMENTS)}, not {align!r}")


def kept(xp: Any, where: Any, x: Any, other: Any) -> Any:
    """x where the mask is true and `other` elsewhere; without a mask x as it is."""
    return x if where is None else xp.where(where, x, other)
