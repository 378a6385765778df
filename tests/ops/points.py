"""Points at which the ops of the table are tried: floats that every kind of numbers holds exactly."""

from math import prod

import numpy as np
from hypothesis import strategies as st

from tests.ops.table import Case

STEP = 256  # points are multiples of 1/256, which float32 holds too


def points(case: Case) -> st.SearchStrategy[list[np.ndarray]]:
    """One array an operand."""
    sizes = [prod(shape) for shape in case.shapes]
    between = [case.between[min(i, len(case.between) - 1)] for i in range(len(case.shapes))]
    if case.distinct:
        (low, high), *_ = between
        grid = st.integers(int(low * STEP), int(high * STEP)).filter(bool)
        flat = st.lists(grid, min_size=sum(sizes), max_size=sum(sizes), unique=True)
        ends = np.cumsum(sizes)[:-1]
        return flat.map(lambda numbers: np.split(np.array(numbers) / STEP, ends)).map(lambda xs: _shaped(xs, case))
    lists = [
        st.lists(st.integers(int(low * STEP), int(high * STEP)), min_size=n, max_size=n)
        for n, (low, high) in zip(sizes, between, strict=True)
    ]
    return st.tuples(*lists).map(lambda xs: _shaped([np.array(x) / STEP for x in xs], case))


def _shaped(xs: list[np.ndarray], case: Case) -> list[np.ndarray]:
    return [np.reshape(x, shape) for x, shape in zip(xs, case.shapes, strict=True)]
