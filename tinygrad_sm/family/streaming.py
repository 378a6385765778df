"""Streaming softmax: logits that arrive in parts, of which a state of two numbers is kept instead of the logits themselves."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, inf, isinf, isnan, log1p, nan
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core, hard
from tinygrad_sm.family.labels import pulled_back
from tinygrad_sm.graph import constant, fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.value import Value
from tinygrad_sm.nd.floats import has_nan
from tinygrad_sm.nd.shapes import flatten, one_axis, whole_number
from tinygrad_sm.ops.helpers import as_plain


class OnlineSoftmax:
    """The softmax of a stream: what has been added is known by its largest logit m and by s, the sum of exp(z - m) less 1.

    All the exponentials together are e^m (1 + s). A part with a larger m' turns s into (1 + s) e^(m - m') and adds its own
    (Milakov and Gimelshein, 1805.02867); with the 1 of the largest left out of s, a stream with one logit far above the others
    keeps the digits of log(1 + s). Parts may come in any order, and states made apart can be merged: that changes results by
    rounding alone. nan makes all results nan, and infinite logits count as in `tg.logsumexp` and `tg.softmax` of the whole.
    Plain data without gradients; for those take `tg.online_softmax`.

    >>> stream = OnlineSoftmax([1.0, 3.0])
    >>> stream.add([2.0])
    >>> print(f"{stream.logsumexp():.6f} {stream.probability(3.0):.6f}")
    3.407606 0.665241
    >>> print(f"{OnlineSoftmax([1.0]).merge(OnlineSoftmax([3.0, 2.0])).logsumexp():.6f}")
    3.407606
    """

    __slots__ = ("largest", "others")

    def __init__(self, logits: Any = ()) -> None:
        self.largest, self.others = -inf, -1.0  # of nothing the exponentials together are 0
        self.add(logits)

    def __repr__(self) -> str:
        return f"OnlineSoftmax(largest={self.largest!r}, others={self.others!r})"

    def add(self, logits: Any) -> None:
        """Takes in more logits: a number, nested lists, or an array of any library."""
        self._add(*_state([*map(float, flatten(_data(logits, "OnlineSoftmax.add"))[0])]))

    def _add(self, largest: float, others: float) -> None:
        if largest > self.largest or isnan(largest):
            largest, others, self.largest, self.others = self.largest, self.others, largest, others
        self.others += (1.0 + others) * _ratio(largest, self.largest)

    def merge(self, other: OnlineSoftmax) -> OnlineSoftmax:
        """The state of two streams together, a new one. Raises a TypeError for anything but another `OnlineSoftmax`."""
        if not isinstance(other, OnlineSoftmax):
            raise TypeError(
                f"OnlineSoftmax.merge: takes another OnlineSoftmax, not {type(other).__name__}; to add logits use add"
            )
        both = OnlineSoftmax()
        for state in (self, other):
            both._add(state.largest, state.others)
        return both

    def logsumexp(self) -> float:
        """The logarithm of the sum of the exponentials of all logits so far; -inf for none."""
        return self.largest if isinf(self.largest) else self.largest + log1p(self.others)

    def probability(self, logit: float) -> float:
        """The share of one logit among all so far, of which it is one. A ValueError if it cannot be, being larger than all."""
        return float(self.probabilities(logit))

    def probabilities(self, logits: Any) -> Any:
        """The shares of some of the logits so far: an array in the shape of what was given, a float for a number."""
        data = _data(logits, "OnlineSoftmax.probabilities")
        if type(data) is float:
            return self._probability(data)
        flat, sizes = flatten(data)
        return nd.reshape(nd.asarray([self._probability(float(z)) for z in flat], dtype=nd.float64), sizes)

    def _probability(self, logit: float) -> float:
        if logit > self.largest:
            raise ValueError(f"OnlineSoftmax: {logit} is above every logit that was added, so it has no share; add it first")
        if self.largest == -inf or (self.largest == inf and self.others):  # 0 / 0, inf / inf
            return nan
        return _ratio(logit, self.largest) / (1.0 + self.others)


def _ratio(z: float, m: float) -> float:
    """e^(z - m), where two equal infinities make 1."""
    if z == m:
        return 1.0
    d, error = core.difference(z, m)
    return 0.0 if d <= core.VANISHES else (v := exp(d)) + v * error


def _data(logits: Any, name: str) -> Any:
    """Logits as floats; Values are refused, since their gradient would be lost."""
    if isinstance(logits, Value):
        raise TypeError(f"{name}: keeps no gradient; give the data of the Value, or use tg.online_softmax")
    return checks.numbers(as_plain(logits, name), name)


def _state(row: list[float]) -> tuple[float, float]:
    """The largest of some logits, and the exponentials of the others over its own."""
    m = max(row, default=-inf)
    if has_nan(row):
        return nan, nan
    return (m, row.count(m) - 1.0) if isinf(m) else (m, core.exponentials(row)[3])


@fused
def online_softmax(xp, z, *, axis=-1, chunk=1024):
    """softmax along `axis` (an int, or None for all elements) that reads the logits once, `chunk` at a time. Shape of z.

    The same numbers as `tg.softmax`, to rounding. Raises an `AxisError` for an axis that z lacks, a TypeError for several axes
    and for bools, and a ValueError for a chunk that is not at least 1. (Milakov and Gimelshein, 1805.02867)

    Rule: p (g - sum(g p)).

    After each chunk, m is the largest logit so far and s the sum of e^(z - m); a larger m' makes it s e^(m - m'). m carries no
    gradient, as it cancels in e^(z - m) / s: what is left is softmax, and so is the rule.

    >>> import tinygrad_sm as tg
    >>> tg.online_softmax([0.0, 4.0, 5.0], chunk=2)
    array([0.004901689, 0.26762315, 0.72747516])
    """
    m, s = None, 0.0
    for part in _chunks(xp, z, axis, chunk):
        largest = xp.max(constant(part), axis=axis, keepdims=True)
        largest = largest if m is None else xp.maximum(m, largest)
        shift = xp.where(xp.isfinite(largest), largest, 0.0)  # -inf - -inf would be nan
        s = (s if m is None else s * xp.exp(m - shift)) + xp.sum(xp.exp(part - shift), axis=axis, keepdims=True)
        m = largest
    return xp.exp(z) if m is None else xp.exp(z - shift) / s


def _chunks(xp, z, axis, chunk):
    """z in parts along the axis."""
    if not shape(z):
        yield z
        return
    z, axis = (xp.reshape(z, (-1,)), 0) if axis is None else (z, axis)
    at = one_axis(axis, len(shape(z)), "online_softmax")
    size = shape(z)[at]
    for start in range(0, size, chunk):
        yield z[(*(slice(None),) * at, slice(start, min(start + chunk, size)), ...)]


@online_softmax.backward
def _(xp, g, p, z, *, axis, chunk):
    return pulled_back(xp, p, g, axis)


@online_softmax.kernel(nd.Array)
def _(z, *, axis, chunk):
    return nd.along("online_softmax", z, axis, core.softmax_row)  # rows that are there at once can be summed with one rounding


@online_softmax.prepare
def _(xp: Any, z: Any, *, axis: Any, chunk: Any) -> tuple:
    whole_number(chunk, "online_softmax: chunk")
    return (checks.one_axis_or_all(z, axis, "online_softmax"),)


@online_softmax.hard_inputs
def _() -> Iterator[tuple]:
    for name, row in hard.rows():
        yield name, (row,), {"chunk": 2}
    matrix = [[0.3, -1.2, 0.9, 0.1], [0.2, 40.0, -0.5, 0.1], [0.1, 0.9, -1.2, 0.3]]
    yield "one at a time, rising", ([-700.0, -37.0, 0.0, 0.5, 1.0],), {"chunk": 1}
    yield "all at once", (matrix[0],)
    yield "first axis", (matrix,), {"axis": 0, "chunk": 2}
    yield "all axes", (matrix,), {"axis": None, "chunk": 5}
