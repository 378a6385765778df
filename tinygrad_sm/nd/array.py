"""The n-d array: a flat list, a shape and an element type. Arrays never change, so they share their lists freely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import repeat
from math import prod
from operator import index
from typing import Any

from tinygrad_sm.nd import floats
from tinygrad_sm.nd.dtypes import COMPARISONS, DType, bool_, decimal, float64, int64, of_scalar, promote
from tinygrad_sm.nd.indexing import resolve
from tinygrad_sm.nd.printing import render
from tinygrad_sm.nd.shapes import Shape, broadcast_shapes, flatten, gather, row_major, stretch


class Array:
    """An n-d array in pure Python; make one with `asarray`.

    It follows the Python Array API: operators work element by element and broadcast, `shape`, `dtype`, `T` and `mT` are
    attributes, everything else is a function of `tinygrad_sm.nd`. A 0-d array converts, compares and formats as a number.
    Arrays are immutable.

    >>> from tinygrad_sm import nd
    >>> nd.asarray([[1.0, 2.0], [3.0, 4.0]]) * 10
    array([[10.0, 20.0],
           [30.0, 40.0]])
    """

    __slots__ = ("_flat", "dtype", "shape")
    __array_priority__ = 1000  # numpy's operators step aside for ours
    __array_ufunc__ = None
    _flat: list
    shape: Shape
    dtype: DType

    def __init__(self, *_: object) -> None:
        raise TypeError("make arrays with nd.asarray(...), nd.zeros(...) and the like")

    # --- what it is

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return len(self._flat)

    @property
    def T(self) -> Array:
        """The transpose of a matrix."""
        if len(self.shape) != 2:
            raise ValueError(f"T is for matrices and this array has shape {self.shape}; mT swaps the last two axes")
        return self.mT

    @property
    def mT(self) -> Array:
        """The last two axes swapped."""
        if len(self.shape) < 2:
            raise ValueError(f"mT swaps the last two axes and shape {self.shape} has fewer")
        axes = offsets(self.shape)
        return make(gather(self._flat, 0, [*axes[:-2], axes[-1], axes[-2]]), swapped(self.shape), self.dtype)

    def item(self) -> Any:
        """The only element, as a Python number."""
        if len(self._flat) != 1:
            raise ValueError(f"item() is for one element and this array has shape {self.shape}")
        return self._flat[0]

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers; a plain number for a 0-d array."""
        if not self.shape:
            return self._flat[0]
        nested: list = self._flat
        for n in reversed(self.shape[1:]):
            rows = len(nested) // n if n else prod(self.shape[: self.shape.index(0)])
            nested = [nested[i * n : (i + 1) * n] for i in range(rows)]
        return list(nested)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        from tinygrad_sm import nd  # the package gathers what is above this module

        return nd

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np  # asked for by numpy itself

        kinds = {bool_: "bool", int64: "int64", float64: "float64"}
        return np.asarray(self.tolist(), dtype=dtype or kinds.get(self.dtype, object)).reshape(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    def __getitem__(self, key: Any) -> Array:
        start, axes, shape = resolve(key, self.shape)
        return make(gather(self._flat, start, axes), shape, self.dtype)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("arrays of tinygrad_sm never change; build a new one, for example with nd.where(mask, new, old)")

    # --- as a number

    def __bool__(self) -> bool:
        return bool(self._only("a truth value"))

    def __float__(self) -> float:
        return float(self._only("a float"))

    def __int__(self) -> int:
        return int(self._only("an int"))

    def __index__(self) -> int:
        return index(self._only("an index"))

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._only("a rounded number"), digits)

    def __format__(self, spec: str) -> str:
        return format(self._only("a formatted number") if spec else str(self), spec)

    def _only(self, what: str) -> Any:
        if len(self._flat) != 1:
            raise ValueError(f"{what} needs one element and this array has shape {self.shape}")
        return self._flat[0]

    def __repr__(self) -> str:
        return render(self._flat, self.shape, "array(", self._suffix())

    def __str__(self) -> str:
        return render(self._flat, self.shape, "", "")

    def _suffix(self) -> str:
        return f", shape={self.shape})" if 0 in self.shape else ")"

    def __copy__(self) -> Array:
        return self

    def __deepcopy__(self, memo: dict) -> Array:
        return self

    def __reduce__(self) -> Any:
        return make, (self._flat, self.shape, self.dtype)

    # --- operators

    __hash__ = None  # type: ignore[assignment]  # == compares element by element

    def __add__(self, other: Any) -> Any:
        return binary("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return binary("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return binary("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return binary("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return binary("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return binary("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return binary("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return binary("divide", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return binary("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return binary("floor_divide", other, self)

    def __mod__(self, other: Any) -> Any:
        return binary("remainder", self, other)

    def __rmod__(self, other: Any) -> Any:
        return binary("remainder", other, self)

    def __pow__(self, other: Any) -> Any:
        return binary("pow", self, other)

    def __rpow__(self, other: Any) -> Any:
        return binary("pow", other, self)

    def __matmul__(self, other: Any) -> Any:
        return matmul(self, other) if isinstance(other, Array) else NotImplemented

    def __neg__(self) -> Array:
        return unary("negative", self)

    def __pos__(self) -> Array:
        return self

    def __abs__(self) -> Array:
        return unary("abs", self)

    def __invert__(self) -> Array:
        return unary("logical_not", self)

    def __and__(self, other: Any) -> Any:
        return binary("logical_and", self, other)

    def __or__(self, other: Any) -> Any:
        return binary("logical_or", self, other)

    def __xor__(self, other: Any) -> Any:
        return binary("logical_xor", self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __eq__(self, other: Any) -> Any:
        return binary("equal", self, other)

    def __ne__(self, other: Any) -> Any:
        return binary("not_equal", self, other)

    def __lt__(self, other: Any) -> Any:
        return binary("less", self, other)

    def __le__(self, other: Any) -> Any:
        return binary("less_equal", self, other)

    def __gt__(self, other: Any) -> Any:
        return binary("greater", self, other)

    def __ge__(self, other: Any) -> Any:
        return binary("greater_equal", self, other)


class Decimals(Array):
    """An array of `decimal.Decimal`, every result of which is right to its number of digits; make one with `exact`.

    Python numbers next to it are lifted exactly: 0.1 is the binary float, all 55 digits of it.

    >>> from tinygrad_sm import nd
    >>> nd.exp(nd.exact([1], digits=30))
    decimals([2.71828182845904523536028747135], digits=30)
    """

    __slots__ = ()

    @property
    def digits(self) -> int:
        """The number of significant digits."""
        return self.dtype.digits  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return render(self._flat, self.shape, "decimals(", f", digits={self.digits}" + self._suffix())


def make(flat: list, shape: Shape, dtype: DType) -> Array:
    """An array from its parts, unchecked."""
    cls = Decimals if dtype.rank == 3 else Array
    array = object.__new__(cls)
    array._flat, array.shape, array.dtype = flat, shape, dtype
    return array


def offsets(shape: Shape) -> list[range]:
    """For each axis, where its elements sit in the flat list, relative to the first."""
    return [range(0, n * step, step) for n, step in zip(shape, row_major(shape), strict=True)]


def swapped(shape: Shape) -> Shape:
    """A shape with its last two sizes swapped."""
    return (*shape[:-2], shape[-1], shape[-2])


def asarray(x: Any, /, *, dtype: DType | None = None, copy: bool | None = None) -> Array:
    """An array of a number, of (nested) lists of numbers or arrays, or of any object with `tolist` such as numpy's.

    The element type is the highest one found (bool < int < float < decimal) unless `dtype` says otherwise. Ragged lists are
    a ValueError, anything that is no number a TypeError.

    >>> from tinygrad_sm import nd
    >>> nd.asarray([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if not isinstance(x, Array):
        flat, shape = flatten(x)
        found = {of_scalar(v) for v in flat}
        if None in found:
            wrong = next(v for v in flat if of_scalar(v) is None)
            raise TypeError(f"an array holds numbers, not {wrong!r} ({type(wrong).__name__})")
        own = max(found, key=lambda t: t.rank, default=float64)  # type: ignore[union-attr]
        assert own is not None
        if own.rank == 3 and dtype is None:
            dtype = decimal(max(50, *(len(v.as_tuple().digits) for v in flat if isinstance(v, Decimal))))
        target = dtype or own
        if {type(v) for v in flat} != {_PYTHON[target.rank]} or target.rank == 3:
            flat = [target.lift(v) for v in flat]
        return make(flat, shape, target)
    if dtype is None or dtype is x.dtype:
        return x
    return make([*map(dtype.lift, x._flat)], x.shape, dtype)


_PYTHON = (bool, int, float, Decimal)


def exact(x: Any, digits: int = 50) -> Array:
    """`x` (numbers, lists, an array) as decimals with `digits` digits, every binary float exactly as it is.

    >>> from tinygrad_sm import nd
    >>> nd.exact(2) / 3
    decimals(0.66666666666666666666666666666666666666666666666667, digits=50)
    """
    return asarray(asarray(x), dtype=decimal(digits))


# --- the two ways through which every element-wise operation goes

_NEEDS_FLOAT = floats.FUNCTIONS.keys() - {"abs", "positive", "negative", "sign", "floor", "ceil", "trunc", "round"}


def unary(name: str, x: Any) -> Any:
    """One kernel over every element; a plain float gives a plain float."""
    if type(x) is float:
        return _SCALAR[name](x)
    if not isinstance(x, Array):
        dtype = of_scalar(x)
        if dtype is not None and dtype.rank < 3:
            return unary(name, float(x)) if name in _NEEDS_FLOAT else make([x], (), dtype).dtype.unary[name]([x])[0]
        x = asarray(x)
    if x.dtype.rank < 2 and (name in _NEEDS_FLOAT or name not in x.dtype.unary):
        x = asarray(x, dtype=float64 if name in _NEEDS_FLOAT or name.startswith("is") else int64)
    kernel = x.dtype.unary.get(name)
    if kernel is None:
        raise TypeError(f"{name} is not defined for elements of type {x.dtype}")
    flat = kernel(x._flat)
    return make(flat, x.shape, bool_ if name in _TO_BOOL else x.dtype)


_TO_BOOL = {"isnan", "isinf", "isfinite", "logical_not"}
_COMPARE = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
_SCALAR = {name: guarded for name, (_, guarded) in floats.FUNCTIONS.items()}
SCALAR_PAIR = COMPARISONS | {name: guarded for name, (_, guarded) in floats.OPERATIONS.items()}


def binary(name: str, x: Any, y: Any) -> Any:
    """One kernel over every pair of elements, broadcast; two plain numbers give a plain number.

    Returns NotImplemented for an operand that is neither a number nor an array, as an operator must.
    """
    if not isinstance(x, Array):
        if not isinstance(y, Array):
            return _plain_binary(name, x, y)
        if of_scalar(x) is None:
            return NotImplemented
        dtype = _result_type(name, y.dtype, of_scalar(x))
        shape, a, b = y.shape, repeat(dtype.lift(x)), _as(y, dtype)
    elif not isinstance(y, Array):
        if of_scalar(y) is None:
            return NotImplemented
        dtype = _result_type(name, x.dtype, of_scalar(y))
        shape, a, b = x.shape, _as(x, dtype), repeat(dtype.lift(y))
    else:
        dtype = _result_type(name, x.dtype, y.dtype)
        shape, a, b = x.shape, _as(x, dtype), _as(y, dtype)
        if shape != y.shape:
            shape = broadcast_shapes(name, x.shape, y.shape)
            a, b = stretch(a, x.shape, shape), stretch(b, y.shape, shape)
    kernel = dtype.binary.get(name)
    if kernel is None:
        raise TypeError(f"{name} is not defined for elements of type {dtype}")
    return make(kernel(a, b), shape, bool_ if name in _COMPARE else dtype)


def _as(x: Array, dtype: DType) -> list:
    return x._flat if x.dtype is dtype else [*map(dtype.lift, x._flat)]


def _result_type(name: str, a: DType, b: DType | None) -> DType:
    """The type to compute in: the higher of the two; floats for quotients, at least ints for arithmetic on bools."""
    assert b is not None
    # a Python float next to decimals is lifted exactly, so a number never meets promote's refusal of float arrays
    dtype = promote(a, b, name) if not (a.rank == 3 and b.rank == 2) else a
    if dtype.rank < 2 and name == "divide":
        return float64
    if dtype.rank == 0 and name not in _COMPARE and not name.startswith("logical"):
        return int64
    return dtype


def _plain_binary(name: str, x: Any, y: Any) -> Any:
    """Two Python numbers."""
    if type(x) is float and type(y) is float and name in SCALAR_PAIR:
        return SCALAR_PAIR[name](x, y)
    dtypes = [of_scalar(v) for v in (x, y)]
    if None in dtypes:
        wrong = (x, y)[dtypes.index(None)]
        raise TypeError(f"{name}: needs numbers or arrays, not {wrong!r} ({type(wrong).__name__})")
    dtype = _result_type(name, *dtypes)  # type: ignore[arg-type]
    if dtype.rank == 3:
        return binary(name, asarray(x), y)
    return dtype.binary[name]([dtype.lift(x)], [dtype.lift(y)])[0]


def matmul(x: Array, y: Array, /) -> Array:
    """The matrix product of the last two axes, broadcast over the others; vectors count as a row or a column.

    Raises a ValueError with both shapes when the inner sizes differ.

    >>> from tinygrad_sm import nd
    >>> nd.asarray([[1.0, 2.0], [3.0, 4.0]]) @ nd.asarray([1.0, 1.0])
    array([3.0, 7.0])
    """
    if not (isinstance(x, Array) and isinstance(y, Array)) or not x.shape or not y.shape:
        shapes = [v.shape if isinstance(v, Array) else () for v in (x, y)]
        raise ValueError(f"matmul: shapes {shapes[0]} and {shapes[1]}; both need at least one axis")
    dtype = promote(x.dtype, y.dtype, "matmul")
    left = (1, *x.shape) if len(x.shape) == 1 else x.shape
    right = (*y.shape, 1) if len(y.shape) == 1 else y.shape
    (m, k), (k2, n) = left[-2:], right[-2:]
    if k != k2:
        raise ValueError(f"matmul: shapes {x.shape} and {y.shape} do not fit together: {k} and {k2} should be equal")
    batch = broadcast_shapes("matmul", left[:-2], right[:-2])
    a = stretch(_as(x, dtype), left, (*batch, m, k))
    b = stretch(_as(y, dtype), right, (*batch, k, n))
    flat: list = []
    dot = dtype.dot
    for i in range(prod(batch)):
        rows = [a[s : s + k] for s in range(i * m * k, (i + 1) * m * k, k)] if k else [[]] * m
        block = b[i * k * n : (i + 1) * k * n]
        columns = [block[j::n] for j in range(n)]
        flat += [dot(row, column) for row in rows for column in columns]
    if k == 0:  # empty sums come out as the int 0
        flat = [*map(dtype.lift, flat)]
    return make(flat, batch + x.shape[-2:-1] * (len(x.shape) > 1) + y.shape[-1:] * (len(y.shape) > 1), dtype)


def is_sequence(x: Any) -> bool:
    """Whether `x` is a list or tuple, which stands for an array wherever one is wanted."""
    return isinstance(x, Sequence) and not isinstance(x, str)
