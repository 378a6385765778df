"""For the tests of users: a gradient check that pytest understands, and hypothesis strategies for logits that are hard.

The strategies give plain lists, which every op takes, and shrink to short rows of zeros. They need the package `hypothesis`.

>>> import tinygrad_sm as tg
>>> from tinygrad_sm import testing
>>> from hypothesis import given
>>> @given(testing.logits())
... def test_they_sum_to_one(z):
...     assert abs(sum(tg.softmax(z)) - 1.0) < 1e-15 * len(z)
>>> test_they_sum_to_one()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_sm.check import gradcheck

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tinygrad_sm.check import Report

__all__ = [
    "GradientError",
    "assert_gradients",
    "hard_logits",
    "labels",
    "logit_rows",
    "logits",
    "margins",
    "masked_logits",
    "probabilities",
    "tails",
    "ties",
]

SCALES = (1e-6, 1.0, 10.0, 30.0, 700.0, 1e4)
LONGEST = 8


class GradientError(AssertionError):
    """A gradient is wrong, or nothing could be said about it; `report` has every element."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"the gradient did not pass\n{report}")
        self.report = report


def assert_gradients(f: Callable[..., Any], *inputs: Any, **keywords: Any) -> Report:
    """Checks the gradient of `f` at `inputs` as `tg.gradcheck` does, with its keywords, and returns the report.

    Raises a GradientError, an AssertionError that shows the table and carries the `report`, unless every element passes.

    >>> import tinygrad_sm as tg
    >>> assert_gradients(tg.logsumexp, [1.0, 2.0, 3.0], order=2).counts["PASS"]
    3
    """
    report = gradcheck(f, *inputs, **keywords)
    if not report:
        raise GradientError(report)
    return report


def logits(n: int | None = None, scale: float | None = None) -> SearchStrategy[list[float]]:
    """Rows of `n` logits (1 to 8, if not given) of about that scale, or of any scale from 1e-6 to 1e4.

    >>> from hypothesis import given
    >>> @given(logits(3, scale=10.0))
    ... def test(z):
    ...     assert len(z) == 3 and all(abs(x) <= 50.0 for x in z)
    >>> test()
    """
    st = _strategies()
    if scale is not None:
        return _row(n, _number(5.0 * scale))
    return st.sampled_from(SCALES).flatmap(lambda s: _row(n, _number(5.0 * s)))


def logit_rows(rows: int | None = None, n: int | None = None, scale: float | None = None) -> SearchStrategy[list[list[float]]]:
    """Matrices of logits, as lists of rows of one length: a batch for a loss.

    >>> from hypothesis import given
    >>> @given(logit_rows(rows=2, n=3))
    ... def test(z):
    ...     assert [len(row) for row in z] == [3, 3]
    >>> test()
    """
    st = _strategies()

    def batch(size: tuple[int, int]) -> Any:
        return st.lists(logits(size[1], scale), min_size=size[0], max_size=size[0])

    return st.tuples(_size(rows), _size(n)).flatmap(batch)


def masked_logits(n: int | None = None, *, empty: bool = False) -> SearchStrategy[tuple[list[float], list[bool]]]:
    """Rows of logits, each with a mask that is true for those that are kept: at least one, unless `empty`.

    >>> from hypothesis import given
    >>> @given(masked_logits())
    ... def test(row):
    ...     z, mask = row
    ...     assert len(z) == len(mask) and any(mask)
    >>> test()
    """
    st = _strategies()

    def masked(z: list[float]) -> Any:
        masks = st.lists(st.booleans(), min_size=len(z), max_size=len(z))
        return st.tuples(st.just(z), masks if empty else masks.filter(any))

    return logits(n).flatmap(masked)


def margins(n: int | None = None, largest: float = 745.0) -> SearchStrategy[list[float]]:
    """Rows in which one logit is 5 to `largest` above the others: confident predictions, whose loss is near 0.

    Beyond a margin of 37, `1 - p` is 0 in floats; `1 + exp(-margin)` is 1.

    >>> from hypothesis import given
    >>> @given(margins(3))
    ... def test(z):
    ...     low, middle, high = sorted(z)
    ...     assert high - middle >= 4.0
    >>> test()
    """
    st = _strategies()

    def dominated(parts: tuple[list[float], float, int]) -> list[float]:
        row, margin, place = parts
        row = [*row]
        row[place % len(row)] = max(row) + margin
        return row

    row = _row(n, _number(0.5), least=2)
    heights = st.sampled_from((10.0, 30.0, 37.0, 40.0, 100.0, 700.0)) | st.floats(5.0, largest)
    return st.tuples(row, heights.filter(lambda h: h <= largest), st.integers(0, LONGEST)).map(dominated)


def tails(n: int | None = None) -> SearchStrategy[list[float]]:
    """Rows whose logits lie up to 760 below the largest, where probabilities are tiny, subnormal, or 0.

    >>> from hypothesis import given
    >>> @given(tails())
    ... def test(z):
    ...     assert max(z) == 0.0 and all(x == 0.0 or x <= -100.0 for x in z)
    >>> test()
    """
    st = _strategies()
    low = st.floats(-760.0, -700.0) | st.floats(-760.0, -100.0)
    return st.tuples(_row(n, low), st.integers(0, LONGEST)).map(
        lambda parts: [0.0 if i == parts[1] % len(parts[0]) else x for i, x in enumerate(parts[0])]
    )


def ties(n: int | None = None) -> SearchStrategy[list[float]]:
    """Rows of which some logits are equal, often the largest ones: kinks of max and its kin.

    >>> from hypothesis import given
    >>> @given(ties(4))
    ... def test(z):
    ...     assert len({*z}) < len(z)
    >>> test()
    """
    st = _strategies()

    def few(size: int) -> Any:
        levels = st.lists(_number(5.0), min_size=max(1, size - 1), max_size=max(1, size - 1))
        return levels.flatmap(lambda some: st.permutations([max(some), *some]))

    return _size(n, least=2).flatmap(few)


def hard_logits(n: int | None = None) -> SearchStrategy[list[float]]:
    """Rows of any of these kinds, and some far from 0: 1e8 and more is added to all.

    >>> from hypothesis import given
    >>> @given(hard_logits())
    ... def test(z):
    ...     assert all(abs(x) < 1e13 for x in z)
    >>> test()
    """
    st = _strategies()
    offsets = st.sampled_from((1e8, -1e8, 1e12))
    shifted = st.tuples(logits(n, 1.0), offsets).map(lambda parts: [x + parts[1] for x in parts[0]])
    return logits(n) | margins(n) | tails(n) | ties(n) | shifted


def labels(classes: int, rows: int | None = None) -> SearchStrategy[Any]:
    """A class index below `classes`, or a list of one for each of `rows`.

    >>> from hypothesis import given
    >>> @given(labels(5, rows=2))
    ... def test(targets):
    ...     assert len(targets) == 2 and all(0 <= t < 5 for t in targets)
    >>> test()
    """
    st = _strategies()
    one = st.integers(0, classes - 1)
    return one if rows is None else st.lists(one, min_size=rows, max_size=rows)


def probabilities(n: int | None = None) -> SearchStrategy[list[float]]:
    """Rows that sum to 1 up to rounding, with zeros among them, and sometimes all on one class: soft targets.

    >>> from hypothesis import given
    >>> @given(probabilities())
    ... def test(t):
    ...     assert min(t) >= 0.0 and abs(sum(t) - 1.0) < 1e-12
    >>> test()
    """
    st = _strategies()
    parts = _row(n, st.integers(0, 20).map(float) | st.floats(1e-6, 1.0)).filter(any)
    return parts.map(lambda row: [x / sum(row) for x in row])


def _strategies() -> Any:
    try:
        from hypothesis import strategies
    except ImportError:
        raise ModuleNotFoundError("the strategies of tinygrad_sm.testing need hypothesis: pip install hypothesis") from None
    return strategies


def _number(largest: float) -> Any:
    return _strategies().floats(-largest, largest)


def _size(n: int | None, least: int = 1) -> Any:
    st = _strategies()
    return st.integers(least, LONGEST) if n is None else st.just(n)


def _row(n: int | None, element: Any, least: int = 1) -> Any:
    st = _strategies()
    return st.lists(element, min_size=n or least, max_size=n or LONGEST)
