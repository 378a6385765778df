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
