"""Reductions over any axes, sorting and running sums. Sums are rounded once, whatever the order of their terms."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from math import pi
from math import prod as product
from typing import Any

from tinygrad_sm.nd import elementwise
from tinygrad_sm.nd.array import Array, Decimals, make, offsets, operand
from tinygrad_sm.nd.dtypes import DType, bool_, float64, int64
from tinygrad_sm.nd.manipulation import as_number, concat, zeros
from tinygrad_sm.nd.shapes import Shape, all_axes, gather, one_axis, reduced_shape

Axis = int | Sequence[int] | None


def _rows(x: Array, axes: Shape) -> list[list]:
    """The elements that each result is made of, in the order of the results."""
    flat, shape = x._flat, x.shape
    if not axes:
        return [[v] for v in flat]
    first, last = axes[0], axes[-1]
    if last - first != len(axes) - 1:  # a kept axis lies between reduced ones: bring the reduced ones to the end
        every = offsets(shape)
        kept = [every[i] for i in range(len(shape)) if i not in axes]
        flat = gather(flat, 0, kept + [every[i] for i in axes])
        count, length, inner = product(map(len, kept)), product(shape[i] for i in axes), 1
    else:
        count = product(shape[:first])
        length, inner = product(shape[first : last + 1]), product(shape[last + 1 :])
    block = length * inner
    return [flat[i * block + j : (i + 1) * block : inner] for i in range(count) for j in range(inner)]


def _reduce(name: str, x: Any, axis: Axis, keepdims: bool, dtype: DType | None, kernel: Callable[[list], Any]) -> Any:
    """One kernel over each row. A plain float stays one."""
    array = operand(name, x)
    axes = all_axes(axis, array.ndim, name)
    flat = [*map(kernel, _rows(array, axes))]
    if type(x) is float:
        return flat[0]
    return make(flat, reduced_shape(array.shape, axes, keepdims), array.dtype if dtype is None else dtype)


def _numbers(name: str, x: Any, dtype: DType | None = None, least: DType = int64) -> Any:
    """The elements as `dtype`, or as a type that is at least `least`: bools count as ints. A plain float stays one."""
    if type(x) is float and dtype is None:
        return x
    x = operand(name, x, dtype)
    return operand(name, x, least) if x.dtype.rank < least.rank else x


def _dtype(x: Any) -> DType:
    return float64 if type(x) is float else x.dtype


def sum(x: Any, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Any:
    """The sum over `axis` (None: all axes); 0 for no elements.

    Float sums are exact before they are rounded (`math.fsum`), so they do not depend on the order of the terms.

    >>> from tinygrad_sm import nd
    >>> nd.sum(nd.asarray([[1e16, 1.0], [1.0, -1e16]]))
    array(2.0)
    """
    return _total("sum", _numbers("sum", x, dtype), axis, keepdims)


def _total(name: str, x: Any, axis: Axis, keepdims: bool) -> Any:
    return _reduce(name, x, axis, keepdims, None, _dtype(x).total)


def prod(x: Any, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Any:
    """The product over `axis`; 1 for no elements."""
    x = _numbers("prod", x, dtype)
    return _reduce("prod", x, axis, keepdims, None, _dtype(x).product)


def max(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest element over `axis`; nan if there is one. No elements are a ValueError."""
    return _extreme("max", x, axis, keepdims, builtins.max)


def min(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The smallest element over `axis`; nan if there is one. No elements are a ValueError."""
    return _extreme("min", x, axis, keepdims, builtins.min)


def _extreme(name: str, x: Any, axis: Axis, keepdims: bool, extreme: Callable[[list], Any]) -> Any:
    array = _not_empty(name, x, axis)
    is_nan, has_nan = array.dtype.is_nan, array.dtype.has_nan

    def nan_first(row: list) -> Any:
        return next(filter(is_nan, row)) if has_nan(row) else extreme(row)

    return _reduce(name, x, axis, keepdims, None, nan_first if has_nan(array._flat) else extreme)


def _not_empty(name: str, x: Any, axis: Axis) -> Array:
    array = operand(name, x)
    if 0 in [array.shape[a] for a in all_axes(axis, array.ndim, name)]:
        raise ValueError(f"{name}: no elements along axis {axis} of shape {array.shape}")
    return array


def mean(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean over `axis`; nan for no elements."""
    return _mean("mean", _numbers("mean", x, least=float64), axis, keepdims)


def _mean(name: str, x: Any, axis: Axis, keepdims: bool, correction: float = 0) -> Any:
    """The sum over the number of elements less `correction`, which is not below 0."""
    shape = () if type(x) is float else x.shape
    count = product(shape[a] for a in all_axes(axis, len(shape), name))
    return elementwise.divide(_total(name, x, axis, keepdims), float(builtins.max(count - as_number(name, correction), 0)))


def var(x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The variance over `axis`: squared distances from the mean, divided by their number less `correction`."""
    return _variance("var", x, axis, correction, keepdims)


def _variance(name: str, x: Any, axis: Axis, correction: float, keepdims: bool) -> Any:
    x = _numbers(name, x, least=float64)
    for _ in range(2):  # the second time takes off what the rounding of the mean has left
        x = x - _mean(name, x, axis, keepdims=True)
    return _mean(name, x * x, axis, keepdims, correction)


def std(x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The square root of the variance."""
    return elementwise.sqrt(_variance("std", x, axis, correction, keepdims))


def all(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every element over `axis` is true (not zero)."""
    return _reduce("all", operand("all", x), axis, keepdims, bool_, builtins.all)


def any(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether some element over `axis` is true (not zero)."""
    return _reduce("any", operand("any", x), axis, keepdims, bool_, builtins.any)


def count_nonzero(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements over `axis` are not zero."""
    nonzero = elementwise.not_equal(operand("count_nonzero", x), 0)
    return _reduce("count_nonzero", nonzero, axis, keepdims, int64, builtins.sum)


def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The index of the largest element along `axis` (None: in the flattened array), the first one at ties.

    >>> from tinygrad_sm import nd
    >>> nd.argmax(nd.asarray([[1.0, 3.0], [4.0, 2.0]]), axis=1)
    array([1, 0])
    """
    return _extreme_index("argmax", x, axis, keepdims, builtins.max)


def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The index of the smallest element along `axis` (None: in the flattened array), the first one at ties."""
    return _extreme_index("argmin", x, axis, keepdims, builtins.min)


def _extreme_index(name: str, x: Any, axis: int | None, keepdims: bool, extreme: Callable[[list], Any]) -> Array:
    array = _not_empty(name, x, axis)
    is_nan, has_nan = array.dtype.is_nan, array.dtype.has_nan

    def nan_first(row: list) -> int:
        return [*map(is_nan, row)].index(True) if has_nan(row) else row.index(extreme(row))

    def place(row: list) -> int:
        return row.index(extreme(row))

    return _reduce(name, array, axis, keepdims, int64, nan_first if has_nan(array._flat) else place)


def along(name: str, x: Any, axis: Axis, kernel: Callable[[list], list], dtype: DType | None = None) -> Array:
    """Every row along `axis` (of the elements along several axes) replaced by `kernel` of it, which keeps its length."""
    x = operand(name, x)
    axes = all_axes(axis, x.ndim, name)
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    flat = [v for row in _rows(x, axes) for v in kernel(row)]
    if axes and kept and kept[-1] > axes[0]:  # the rows were read across: put their elements back where they came from
        order = kept + axes
        every = offsets(tuple(x.shape[i] for i in order))
        flat = gather(flat, 0, [every[order.index(i)] for i in range(x.ndim)])
    return make(flat, x.shape, x.dtype if dtype is None else dtype)


def reduce_along(
    name: str, x: Any, axis: Axis, kernel: Callable[[list], Any], *, keepdims: bool = False, dtype: DType | None = None
) -> Array:
    """Every row along `axis` (of the elements along several axes) reduced to one number by `kernel`."""
    return _reduce(name, operand(name, x), axis, keepdims, dtype, kernel)


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False) -> Array:
    """The sums of the first 1, 2, ... elements along `axis`, each with the rounding errors before it put back.

    With `include_initial` a sum of no elements, 0, comes before the others.
    """
    x = operand("cumulative_sum", _numbers("cumulative_sum", x, dtype))
    if axis is None and x.ndim != 1:
        raise ValueError(f"cumulative_sum: shape {x.shape} needs an axis")
    at = one_axis(0 if axis is None else axis, x.ndim, "cumulative_sum")
    if include_initial:
        x = concat([zeros((*x.shape[:at], 1, *x.shape[at + 1 :]), dtype=x.dtype), x], axis=at)
    return along("cumulative_sum", x, at, x.dtype.running_totals)


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The indices that sort along `axis`; equal elements keep their order and nan comes last."""
    x = operand("argsort", x)
    is_nan, has_nan = x.dtype.is_nan, x.dtype.has_nan

    def order(row: list) -> list:
        if not has_nan(row):
            return sorted(range(len(row)), key=row.__getitem__, reverse=descending)
        numbers = [i for i, v in enumerate(row) if not is_nan(v)]
        rest = [i for i, v in enumerate(row) if is_nan(v)]
        return sorted(numbers, key=row.__getitem__, reverse=descending) + rest

    return along("argsort", x, axis, order, int64)


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The elements in order along `axis`; nan comes last."""
    x = operand("sort", x)
    is_nan, has_nan = x.dtype.is_nan, x.dtype.has_nan

    def ordered(row: list) -> list:
        if not has_nan(row):
            return sorted(row, reverse=descending)
        return sorted((v for v in row if not is_nan(v)), reverse=descending) + [v for v in row if is_nan(v)]

    return along("sort", x, axis, ordered)


def pi_like(x: Any, /) -> Any:
    """pi as a number of x's kind: a float, or a 0-d array of decimals with as many digits as x has."""
    return make([x.dtype.number.pi()], (), x.dtype) if isinstance(x, Decimals) else pi  # type: ignore[attr-defined]
