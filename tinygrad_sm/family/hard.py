"""Rows of logits on which softmax and its kin are hard to get right: margins, tails, offsets, ties and wide ranges.

A formula that is right for ordinary logits may have lost every digit here, so these are what each op of the family hands to
`tg.compare` as its hard inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

MARGINS = (10.0, 37.0, 100.0, 700.0)  # softmax - 1 has no digits beyond 37, exp(-746) is 0


def rows(n: int = 5) -> Iterator[tuple[str, list[float]]]:
    """(name, row of n logits) for each way to be hard; the same rows at every call."""
    rng = Random(0)
    for scale in (1.0, 1e-6, 30.0):
        yield f"scale {scale:g}", [rng.gauss(0.0, scale) for _ in range(n)]
    for margin in MARGINS:
        yield f"margin {margin:g}", dominant(rng, n, margin)
    yield "tail", [0.0] + [rng.uniform(-745.0, -700.0) for _ in range(n - 1)]
    yield "offset 1e8", [1e8 + rng.gauss(0.0, 3.0) for _ in range(n)]
    yield "ties", [rng.choice((-1.0, 0.5, 2.0, 2.0)) for _ in range(n)]
    yield "mixed magnitudes", [rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-3.0, 3.0) for _ in range(n)]


def dominant(rng: Random, n: int, margin: float) -> list[float]:
    """One logit about `margin` above the others, which are near each other, in any place."""
    row = [*(rng.gauss(0.0, 0.3) for _ in range(n - 1)), margin]
    rng.shuffle(row)
    return row


def elementwise() -> Iterator[tuple]:
    """(name, inputs) for functions of one logit at a time: both sides of 0, where exp rounds away, and where it vanishes."""
    for name, points in {
        "ordinary": [0.0, 1e-9, 0.3, 1.0, 2.5, 9.0],
        "margins": [*MARGINS, 20.5, 45.0],
        "tail": [700.0, 709.5, 730.0, 744.5, 746.0, 800.0],
        "tiny and huge": [5e-324, 1e-300, 1e-17, 1e17, 1e300],
    }.items():
        yield name, (points,)
        yield f"{name}, negative", ([-x for x in points],)
    yield "one number", (-1.7,)
    yield "matrix", ([[0.4, -38.0], [-0.6, 38.0]],)


def matrices(m: int, n: int) -> Iterator[tuple[str, list[list[float]]]]:
    """(name, m rows of n logits): each a way to be hard, its logits moved on by one place from row to row."""
    for name, row in rows(n):
        yield name, [row[i:] + row[:i] for i in range(1, m + 1)]


def along_an_axis() -> Iterator[tuple]:
    """(name, inputs, keywords) for functions of logits along an axis with a mask and a temperature."""
    for name, row in rows():
        yield name, (row,)
    ordinary, confident = [0.3, -1.2, 0.9, 0.1], [0.2, 40.0, -0.5, 0.1]
    matrix = [ordinary, confident, ordinary[::-1]]
    yield "first axis", (matrix,), {"axis": 0}
    yield "all axes", (matrix,), {"axis": None}
    keep = [True, False, True, True]
    yield "masked", ([*ordinary[:1], 1000.0, *ordinary[2:]],), {"where": keep}
    yield "masked, margin 40", (confident,), {"where": [True, True, False, True]}
    yield "masked rows", (matrix,), {"where": [keep, [False] * 4, keep[::-1]]}
    yield "temperature", (ordinary,), {"temperature": 0.7}
    yield "temperature, margin 490", ([0.25, 343.0, -0.5, 0.125],), {"temperature": 0.7}
    yield "temperatures of rows", (matrix,), {"temperature": [[0.5], [3.0], [1.0]], "where": keep}
