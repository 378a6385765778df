"""The n-d array: a flat list, a shape and an element type. Arrays never change, so they share their lists freely."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, localcontext
from itertools import repeat
from math import prod
from operator import attrgetter
from typing import Any

from tinygrad_sm.nd import floats
from tinygrad_sm.nd.dtypes import COMPARISONS, DType, beside, bool_, decimal, float64, int64, of_scalar, promote
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

    def __getattr__(self, name: str) -> Any:
        from tinygrad_sm import nd  # the functions are built on this class

        hint = f"; it is a function, tg.nd.{name}(x)" if callable(getattr(nd, name, None)) else ""
        raise AttributeError(f"arrays of tinygrad_sm.nd have no {name!r}{hint}", name=name, obj=self)

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
        nested = [*self._flat]
        for axis in range(len(self.shape) - 1, 0, -1):
            n = self.shape[axis]
            nested = [nested[i * n : (i + 1) * n] for i in range(prod(self.shape[:axis]))]
        return nested

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        from tinygrad_sm import nd  # the package gathers what is above this module

        return nd

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np  # asked for by numpy itself

        if copy is False:
            raise ValueError("arrays of tinygrad_sm share no memory with numpy; leave out copy=False")
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

    def __contains__(self, x: Any) -> bool:
        equal = self == x
        return isinstance(equal, Array) and any(equal._flat)

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
        if self.dtype.rank > 1 or len(self._flat) != 1:
            raise TypeError(f"an index is one int, and not an array of shape {self.shape} of {self.dtype}")
        return int(self._flat[0])

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
        kind = "" if self.dtype.rank > 1 else f", dtype={self.dtype}"
        return f", shape={self.shape}{kind})" if 0 in self.shape else ")"

    def __copy__(self) -> Array:
        return self

    def __deepcopy__(self, memo: dict) -> Array:
        return self

    def __reduce__(self) -> Any:
        return make, (self._flat, self.shape, self.dtype)

    # --- operators

    def __hash__(self) -> int:
        if self.shape:
            raise TypeError("an array is no key, for == compares element by element; x.tolist() gives its numbers")
        return hash(self._flat[0])  # a single number is as good as the number itself

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
        other = _plain("matmul", other)
        return NotImplemented if other is None else matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        other = _plain("matmul", other)
        return NotImplemented if other is None else matmul(other, self)

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

    # Python rounds decimals to the digits, and as the context, of the thread; here it is lent one with room for all.

    def __format__(self, spec: str) -> str:
        with localcontext(_ROOMY):
            return super().__format__(spec)

    def __round__(self, digits: int | None = None) -> Any:
        with localcontext(_ROOMY):
            return super().__round__(digits)


_ROOMY = Context(MAX_PREC, ROUND_HALF_EVEN, MIN_EMIN, MAX_EMAX, capitals=1, clamp=0, flags=[], traps=[])


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
    if not (dtype is None or isinstance(dtype, DType)):
        raise TypeError(f"a dtype is one of nd.bool, nd.int64, nd.float64 and nd.decimal(digits), not {dtype!r}")
    if isinstance(x, Array):
        return x if dtype in (None, x.dtype) else make(_as(x, dtype), x.shape, dtype)
    flat, shape = flatten(x)
    kinds = {*map(type, flat)}
    own = _TYPES.get(kinds.pop()) if len(kinds) == 1 else None  # None: several types, or none, or unusual ones
    highest = own or _highest(x, flat)
    target = dtype or highest
    return make(flat if target is own else [*map(target.lift, flat)], shape, target)


_TYPES = {bool: bool_, int: int64, float: float64}


def _highest(x: Any, flat: list) -> DType:
    """The element type that holds all the numbers `flat`, which were found in `x`."""
    found = [of_scalar(v) for v in flat]
    if None in found:
        wrong = flat[found.index(None)]
        raise TypeError(f"an array holds numbers, not {wrong!r} ({type(wrong).__name__})")
    if decimal() in found:
        return decimal(_digits(x) or max(50, *(len(v.as_tuple().digits) for v in flat if isinstance(v, Decimal))))
    kind = str(getattr(x, "dtype", "")).rpartition(".")[2]  # all that an empty array of another library can tell
    empty = bool_ if kind == "bool" else int64 if kind.startswith(("int", "uint")) else float64
    return max(filter(None, found), key=attrgetter("rank"), default=empty)


def _digits(x: Any) -> int:
    """The most digits of the arrays of decimals in nested lists; 0 where there are none."""
    return x.digits if isinstance(x, Decimals) else max(map(_digits, x), default=0) if isinstance(x, (list, tuple)) else 0


def exact(x: Any, digits: int = 50) -> Array:
    """`x` (numbers, lists, an array) as decimals with `digits` digits, every binary float exactly as it is.

    >>> from tinygrad_sm import nd
    >>> nd.exact(2) / 3
    decimals(0.66666666666666666666666666666666666666666666666667, digits=50)
    """
    return asarray(x, dtype=decimal(digits))


def operand(name: str, x: Any, dtype: DType | None = None) -> Array:
    """`x` as an array, of `dtype` if one is given; the error names the function that wanted one."""
    if isinstance(x, Array) and dtype is None:
        return x
    try:
        return asarray(x, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


# --- the two ways through which every element-wise operation goes

_NEEDS_FLOAT = floats.FUNCTIONS.keys() - int64.unary.keys()
_TO_BOOL = {"isnan", "isinf", "isfinite", "logical_not", *COMPARISONS}


def unary(name: str, x: Any) -> Any:
    """One kernel over every element; a plain number gives a plain number."""
    if not isinstance(x, Array):
        result = unary(name, operand(name, x))
        return result._flat[0] if isinstance(x, (float, int)) else result
    if x.dtype.rank < 2:
        if name in _NEEDS_FLOAT:
            x = asarray(x, dtype=float64)
        elif x.dtype is bool_ and name not in bool_.unary:
            x = asarray(x, dtype=int64)
    kernel = x.dtype.unary.get(name)
    if kernel is None:
        raise TypeError(f"{name} is not defined for elements of type {x.dtype}")
    return make(kernel(x._flat), x.shape, bool_ if name in _TO_BOOL else x.dtype)


def binary(name: str, x: Any, y: Any) -> Any:
    """One kernel over every pair of elements, broadcast; two plain numbers give a plain number.

    Returns NotImplemented for an operand that is neither a number nor an array, as an operator must.
    """
    a: Iterable
    b: Iterable
    if isinstance(x, Array) and isinstance(y, Array):
        dtype = _computed_in(name, promote(x.dtype, y.dtype, name))
        shape, a, b = x.shape, _as(x, dtype), _as(y, dtype)
        if shape != y.shape:
            shape = broadcast_shapes(name, x.shape, y.shape)
            a, b = stretch(a, x.shape, shape), stretch(b, y.shape, shape)
    elif isinstance(x, Array) and (number := of_scalar(y)):
        dtype = _computed_in(name, beside(x.dtype, number, name))
        shape, a, b = x.shape, _as(x, dtype), repeat(dtype.lift(y))
    elif isinstance(y, Array) and (number := of_scalar(x)):
        dtype = _computed_in(name, beside(y.dtype, number, name))
        shape, a, b = y.shape, repeat(dtype.lift(x)), _as(y, dtype)
    else:
        return _unusual(name, x, y)
    kernel = dtype.binary.get(name)
    if kernel is None:
        raise TypeError(f"{name} is not defined for elements of type {dtype}")
    return make(kernel(a, b), shape, bool_ if name in _TO_BOOL else dtype)


def _as(x: Array, dtype: DType) -> list:
    return x._flat if x.dtype is dtype else [*map(dtype.lift, x._flat)]


def _computed_in(name: str, dtype: DType) -> DType:
    """Quotients are floats, and arithmetic on bools is done on ints."""
    if dtype.rank < 2 and name == "divide":
        return float64
    return int64 if dtype is bool_ and name not in bool_.binary else dtype


def _unusual(name: str, x: Any, y: Any) -> Any:
    """Two plain numbers, or an operand that has to become a number or an array first."""
    if of_scalar(x) and of_scalar(y):
        if isinstance(x, Decimal) or isinstance(y, Decimal):
            return binary(name, *(asarray(v) if isinstance(v, Decimal) else v for v in (x, y)))
        return binary(name, asarray(x), y)._flat[0]
    x, y = _plain(name, x), _plain(name, y)
    return NotImplemented if x is None or y is None else binary(name, x, y)


def _plain(name: str, x: Any) -> Any:
    """A number or an array, also of a list and of numpy's numbers; None for anything else, which may know better itself."""
    if isinstance(x, (list, tuple)):
        return operand(name, x)
    if isinstance(x, Array) or of_scalar(x):
        return x
    if not hasattr(x, "__array_namespace__"):
        return None
    if x.shape == () and hasattr(x, "tolist"):
        return x.tolist()
    raise TypeError(
        f"{name}: an array of tinygrad_sm.nd and one of {type(x).__module__.partition('.')[0]}; convert one of them first"
    )


def matmul(x: Any, y: Any, /) -> Array:
    """The matrix product of the last two axes, broadcast over the others; vectors count as a row or a column.

    Raises a ValueError with both shapes when the inner sizes differ.

    >>> from tinygrad_sm import nd
    >>> nd.asarray([[1.0, 2.0], [3.0, 4.0]]) @ nd.asarray([1.0, 1.0])
    array([3.0, 7.0])
    """
    x, y = operand("matmul", x), operand("matmul", y)
    if not x.shape or not y.shape:
        raise ValueError(f"matmul: shapes {x.shape} and {y.shape}; both need at least one axis")
    dtype = promote(x.dtype, y.dtype, "matmul")
    dtype = int64 if dtype is bool_ else dtype
    left = (1, *x.shape) if len(x.shape) == 1 else x.shape
    right = (*y.shape, 1) if len(y.shape) == 1 else y.shape
    (m, k), (k2, n) = left[-2:], right[-2:]
    if k != k2:
        raise ValueError(f"matmul: shapes {x.shape} and {y.shape} do not fit together: {k} and {k2} should be equal")
    try:
        batch = broadcast_shapes("matmul", left[:-2], right[:-2])
    except ValueError:
        raise ValueError(f"matmul: shapes {x.shape} and {y.shape} do not fit together before the last two axes") from None
    a = stretch(_as(x, dtype), left, (*batch, m, k))
    b = stretch(_as(y, dtype), right, (*batch, k, n))
    flat: list = []
    for i in range(prod(batch)):
        rows = [a[s : s + k] for s in range(i * m * k, (i + 1) * m * k, k)] if k else [[]] * m
        block = b[i * k * n : (i + 1) * k * n]
        columns = [block[j::n] for j in range(n)]
        flat += dtype.dots(rows, columns)
    if k == 0:  # empty sums come out as the int 0
        flat = [*map(dtype.lift, flat)]
    return make(flat, batch + x.shape[-2:-1] * (len(x.shape) > 1) + y.shape[-1:] * (len(y.shape) > 1), dtype)


def inner(x: Any, y: Any, /) -> Array:
    """The sums of products of each row of x with each row of y, along the last axis of both: x y^T for matrices.

    numpy has it under this name; the Array API does not. Raises a ValueError with both shapes when the rows differ in length.

    >>> from tinygrad_sm import nd
    >>> nd.inner(nd.asarray([[1.0, 2.0], [3.0, 4.0]]), nd.asarray([[1.0, 1.0], [0.0, 2.0], [1.0, 0.0]]))
    array([[3.0, 4.0, 1.0],
           [7.0, 8.0, 3.0]])
    """
    x, y = operand("inner", x), operand("inner", y)
    if not x.shape or not y.shape or x.shape[-1] != y.shape[-1]:
        raise ValueError(f"inner: shapes {x.shape} and {y.shape}; their last axes should be equal")
    dtype, k = promote(x.dtype, y.dtype, "inner"), x.shape[-1]
    dtype = int64 if dtype is bool_ else dtype
    left, right = (
        [flat[s : s + k] for s in range(0, len(flat), k)] if k else [[]] * prod(v.shape[:-1])
        for v in (x, y)
        for flat in (_as(v, dtype),)
    )
    flat = dtype.dots(left, right)
    return make(flat if k else [*map(dtype.lift, flat)], x.shape[:-1] + y.shape[:-1], dtype)
