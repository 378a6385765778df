"""How much of a function's value is rounding: measured along a line, and bounded by the graph that recorded it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import comb, inf, isfinite, sqrt
from random import Random
from types import MappingProxyType

from tinygrad_sm.check.truth import filled_with, flat
from tinygrad_sm.graph import Value
from tinygrad_sm.graph.traversal import sweep

SAMPLES = 8


def measured(
    values: Callable[[Sequence[float]], float],
    point: Sequence[float],
    rng: Random,
    eps: float,
    held: Mapping[int, int] = MappingProxyType({}),
) -> float:
    """The standard deviation of the rounding of a value, from its differences on eight points so near that it is a line.

    Differences of order k take a smooth function's own change away and multiply independent noise by sqrt((2k)! / k!^2)
    (J. Moré and S. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33, 2011). At least half a unit of the value.
    A coordinate in `held` moves to its side only.

    >>> from random import Random
    >>> 1e-10 < measured(lambda x: round(x[0], 9), [1 / 3], Random(0), 2**-52) < 1e-8
    True
    """
    size = max(1.0, *map(abs, point))
    spacing = max(1e-9, 8 * eps) * size
    direction = [rng.uniform(-1.0, 1.0) if side is None else side * rng.random() for side in map(held.get, range(len(point)))]
    while True:
        line = [values([x + i * spacing * v for x, v in zip(point, direction, strict=True)]) for i in range(SAMPLES)]
        if len({*line}) > SAMPLES // 2 or spacing >= 1e-3 * size:
            break
        spacing *= 100  # too near: values computed with coarser floats than the point is made of are a staircase
    if not all(map(isfinite, line)):
        return inf
    floor, largest = eps / 2 * max(map(abs, line)), 0.0
    for k in range(1, 7):
        line = [b - a for a, b in pairwise(line)]
        if k >= 3:
            largest = max(largest, sqrt(sum(d * d for d in line) / len(line) / comb(2 * k, k)))
    return max(floor, largest)


def bound(outputs: Sequence[Value], flow: Sequence[float], eps: float) -> float:
    """What rounding every node of the graph once may do to the contracted outputs: sum |adjoint| ulp(node) / 2.

    (S. Linnainmaa, Taylor expansion of the accumulated rounding error, BIT 16, 1976.) It sees what a line cannot: a value
    that cancelled to a constant.
    """
    total, begin = 0.0, 0
    for y in outputs:
        part, begin = flow[begin : begin + y.size], begin + y.size
        if y.requires_grad and any(part):
            for node, gradient, _ in sweep(y, filled_with(y._data, part)):
                if node.op is not None:
                    terms = (abs(g * x) for g, x in zip(flat(gradient), flat(node), strict=True))
                    total += sum(t for t in terms if isfinite(t))
    return total * eps / 2
