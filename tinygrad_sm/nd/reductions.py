"""Reductions over any axes, sorting and running sums. Sums are rounded once, whatever the order of their terms."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Sequence
from math import prod as product
from typing import Any

from tinygrad_sm.nd import elementwise
from tinygrad_sm.nd.array import Array, asarray, make, offsets
from tinygrad_sm.nd.dtypes import DType, bool_, decimal, float64, int64
from tinygrad_sm.nd.shapes import Shape, all_axes, gather, reduced_shape

Axis = int | Sequence[int] | None


def _rows(x: Array, axes: Shape) -> Iterable[Sequence]:
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
    return (flat[i * block + j : (i + 1) * block : inner] for i in range(count) for j in range(inner))


def _reduce(name: str, x: Any, axis: Axis, keepdims: bool, dtype: DType | None, kernel: Callable[[Sequence], Any]) -> Any:
    """One kernel over each row. A plain float stays one."""
    array = asarray(x)
    axes = all_axes(axis, array.ndim, name)
    flat = [*map(kernel, _rows(array, axes))]
    if type(x) is float:
        return flat[0]
    return make(flat, reduced_shape(array.shape, axes, keepdims), dtype or array.dtype)


def _summable(x: Any) -> Array:
    """bools count as ints."""
    x = asarray(x)
    return asarray(x, dtype=int64) if x.dtype is bool_ else x


def _floating(x: Any) -> Any:
    if type(x) is float:
        return x
    x = asarray(x)
    return asarray(x, dtype=float64) if x.dtype.rank < 2 else x


def sum(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum over `axis` (None: all axes); 0 for no elements.

    Float sums are exact before they are rounded (`math.fsum`), so they do not depend on the order of the terms.

    >>> from tinygrad_sm import nd
    >>> nd.sum(nd.asarray([[1e16, 1.0], [1.0, -1e16]]))
    array(2.0)
    """
    if type(x) is not float:
        x = _summable(x)
    return _reduce("sum", x, axis, keepdims, None, _dtype(x).total)


def prod(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The product over `axis`; 1 for no elements."""
    if type(x) is not float:
        x = _summable(x)
    return _reduce("prod", x, axis, keepdims, None, _dtype(x).product)


def _dtype(x: Any) -> DType:
    return float64 if type(x) is float else x.dtype


def max(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest element over `axis`; nan if there is one. No elements are a ValueError."""
    return _extreme("max", x, axis, keepdims, "largest")


def min(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The smallest element over `axis`; nan if there is one. No elements are a ValueError."""
    return _extreme("min", x, axis, keepdims, "smallest")


def _extreme(name: str, x: Any, axis: Axis, keepdims: bool, which: str) -> Any:
    if type(x) is not float:
        x = asarray(x)
        _not_empty(name, x, axis)
    return _reduce(name, x, axis, keepdims, None, getattr(_dtype(x), which))


def _not_empty(name: str, x: Array, axis: Axis) -> None:
    if 0 in [x.shape[a] for a in all_axes(axis, x.ndim, name)]:
        raise ValueError(f"{name}: no elements along axis {axis} of shape {x.shape}")


def mean(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean over `axis`; nan for no elements."""
    x = _floating(x)
    return elementwise.divide(sum(x, axis=axis, keepdims=keepdims), _count("mean", x, axis))


def _count(name: str, x: Any, axis: Axis) -> float:
    shape = () if type(x) is float else x.shape
    return float(product(shape[a] for a in all_axes(axis, len(shape), name)))


def var(x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The variance over `axis`: squared distances from the mean, divided by their number less `correction`."""
    x = _floating(x)
    distances = x - mean(x, axis=axis, keepdims=True)
    count = builtins.max(_count("var", x, axis) - correction, 0.0)
    return elementwise.divide(sum(distances * distances, axis=axis, keepdims=keepdims), count)


def std(x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The square root of the variance."""
    return elementwise.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def all(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every element over `axis` is true (not zero)."""
    return _reduce("all", asarray(x), axis, keepdims, bool_, builtins.all)


def any(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether some element over `axis` is true (not zero)."""
    return _reduce("any", asarray(x), axis, keepdims, bool_, builtins.any)


def count_nonzero(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements over `axis` are not zero."""
    return sum(elementwise.not_equal(asarray(x), 0), axis=axis, keepdims=keepdims)


def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The index of the largest element along `axis` (None: in the flattened array), the first one at ties.

    >>> from tinygrad_sm import nd
    >>> nd.argmax(nd.asarray([[1.0, 3.0], [4.0, 2.0]]), axis=1)
    array([1, 0])
    """
    return _extreme_index("argmax", x, axis, keepdims, "largest")


def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The index of the smallest element along `axis` (None: in the flattened array), the first one at ties."""
    return _extreme_index("argmin", x, axis, keepdims, "smallest")


def _extreme_index(name: str, x: Any, axis: int | None, keepdims: bool, which: str) -> Array:
    x = asarray(x)
    _not_empty(name, x, axis)
    extreme, is_nan = getattr(x.dtype, which), x.dtype.is_nan

    def place(row: Sequence) -> int:
        best = extreme(row)
        return next(i for i, v in enumerate(row) if is_nan(v)) if is_nan(best) else row.index(best)

    return _reduce(name, x, axis, keepdims, int64, place)


def along(name: str, x: Any, axis: Axis, kernel: Callable[[list], list], dtype: DType | None = None) -> Array:
    """Every row along `axis` (of the elements along several axes) replaced by `kernel` of it, which keeps its length."""
    x = asarray(x)
    axes = all_axes(axis, x.ndim, name)
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    flat = [v for row in _rows(x, axes) for v in kernel([*row])]
    if axes and kept and kept[-1] > axes[0]:  # the rows were read across: put their elements back where they came from
        order = kept + axes
        every = offsets(tuple(x.shape[i] for i in order))
        flat = gather(flat, 0, [every[order.index(i)] for i in range(x.ndim)])
    return make(flat, x.shape, dtype or x.dtype)


def reduce_along(
    name: str, x: Any, axis: Axis, kernel: Callable[[list], Any], *, keepdims: bool = False, dtype: DType | None = None
) -> Array:
    """Every row along `axis` (of the elements along several axes) reduced to one number by `kernel`."""
    return _reduce(name, asarray(x), axis, keepdims, dtype, lambda row: kernel([*row]))


def cumulative_sum(x: Any, /, *, axis: int | None = None) -> Array:
    """The sums of the first 1, 2, ... elements along `axis`, each with the rounding errors before it put back."""
    x = _summable(x)
    if axis is None and x.ndim != 1:
        raise ValueError(f"cumulative_sum: shape {x.shape} needs an axis")
    return along("cumulative_sum", x, axis, x.dtype.running_totals)


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The indices that sort along `axis`; equal elements keep their order and nan comes last."""
    x = asarray(x)
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
    x = asarray(x)
    is_nan, has_nan = x.dtype.is_nan, x.dtype.has_nan

    def ordered(row: list) -> list:
        if not has_nan(row):
            return sorted(row, reverse=descending)
        return sorted((v for v in row if not is_nan(v)), reverse=descending) + [v for v in row if is_nan(v)]

    return along("sort", x, axis, ordered)


def pi_like(x: Any, /) -> Any:
    """pi as a number of x's kind: a float, or a 0-d array of decimals with as many digits as x has."""
    dtype = getattr(x, "dtype", float64)
    return make([dtype.number.pi()], (), decimal(dtype.digits)) if dtype.rank == 3 else 3.141592653589793
