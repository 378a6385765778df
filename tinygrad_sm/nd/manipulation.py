"""Making arrays, and moving their elements about."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from math import ceil as round_up
from math import isfinite, prod
from typing import Any

from tinygrad_sm.nd.array import Array, asarray, make, offsets, operand
from tinygrad_sm.nd.dtypes import DType, bool_, float64, int64, promote
from tinygrad_sm.nd.elementwise import where
from tinygrad_sm.nd.indexing import resolve
from tinygrad_sm.nd.shapes import (
    PLAIN,
    Shape,
    all_axes,
    as_shape,
    broadcast_shapes,
    gather,
    one_axis,
    sizes_of,
    stretch,
    whole,
)

# --- making


def full(shape: int | Sequence[int], fill_value: Any, *, dtype: DType | None = None) -> Array:
    """An array of `shape` with one number everywhere."""
    return _filled("full", shape, fill_value, dtype)


def _filled(name: str, shape: int | Sequence[int], fill_value: Any, dtype: DType | None) -> Array:
    sizes, value = sizes_of(shape, name), operand(name, fill_value, dtype)
    if value.size != 1:
        raise ValueError(f"{name}: fills with one number, and got shape {value.shape}")
    return make(value._flat * prod(sizes), sizes, value.dtype)


def zeros(shape: int | Sequence[int], *, dtype: DType | None = None) -> Array:
    """An array of zeros (floats unless `dtype` says otherwise)."""
    return _filled("zeros", shape, 0, float64 if dtype is None else dtype)


def ones(shape: int | Sequence[int], *, dtype: DType | None = None) -> Array:
    """An array of ones (floats unless `dtype` says otherwise)."""
    return _filled("ones", shape, 1, float64 if dtype is None else dtype)


def full_like(x: Any, /, fill_value: Any, *, dtype: DType | None = None) -> Any:
    """An array of the shape and element type of `x` with one number everywhere; a plain float for a plain float."""
    return _filled_like("full_like", x, fill_value, dtype)


def _filled_like(name: str, x: Any, fill_value: Any, dtype: DType | None) -> Any:
    if type(x) is float and dtype is None:
        return float(fill_value) if type(fill_value) in PLAIN else _filled(name, (), fill_value, float64).item()
    x = operand(name, x)
    return _filled(name, x.shape, fill_value, x.dtype if dtype is None else dtype)


def zeros_like(x: Any, /, *, dtype: DType | None = None) -> Any:
    """Zeros of the shape and element type of `x`."""
    return _filled_like("zeros_like", x, 0, dtype)


def ones_like(x: Any, /, *, dtype: DType | None = None) -> Any:
    """Ones of the shape and element type of `x`."""
    return _filled_like("ones_like", x, 1, dtype)


def arange(start: float, /, stop: float | None = None, step: float = 1, *, dtype: DType | None = None) -> Array:
    """Numbers from `start` (0 when only the end is given) up to, but without, `stop`.

    >>> from tinygrad_sm import nd
    >>> nd.arange(3)
    array([0, 1, 2])
    """
    start, stop, step = (as_number("arange", v) for v in ((0, start, step) if stop is None else (start, stop, step)))
    if step == 0 or not all(map(isfinite, (start, stop, step))):
        raise ValueError(f"arange: from {start} to {stop} in steps of {step} is no finite number of elements")
    if type(start) is type(stop) is type(step) is int:
        return operand("arange", [*range(start, stop, step)], int64 if dtype is None else dtype)
    count = builtins.max(round_up((stop - start) / step), 0)
    return operand("arange", [start + i * step for i in range(count)], float64 if dtype is None else dtype)


def as_number(name: str, x: Any) -> Any:
    """An int or a float, also out of a 0-d array."""
    array = operand(name, x)
    if array.shape or array.dtype.rank == 3:
        raise TypeError(f"{name}: needs numbers, not {x!r}")
    return array.item()


def linspace(start: float, stop: float, /, num: int, *, dtype: DType | None = None, endpoint: bool = True) -> Array:
    """`num` floats evenly spaced from `start` to `stop`, both included unless `endpoint` is false."""
    first, last = (float(as_number("linspace", v)) for v in (start, stop))
    (count,) = sizes_of((num,), "linspace")
    steps = (count - 1 if endpoint else count) or 1
    flat = [first + (last - first) * i / steps for i in range(count)]
    if endpoint and count > 1:
        flat[-1] = last
    return operand("linspace", flat, float64 if dtype is None else dtype)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: DType | None = None) -> Array:
    """Ones on the k-th diagonal and zeros elsewhere."""
    rows, columns = sizes_of((n_rows, n_rows if n_cols is None else n_cols), "eye")
    offset = whole(k, "eye", "k")
    flat = [j - i == offset for i in range(rows) for j in range(columns)]
    return operand("eye", make(flat, (rows, columns), bool_), float64 if dtype is None else dtype)


def astype(x: Any, dtype: DType, /, *, copy: bool = True) -> Array:
    """The elements as another type; floats become ints towards zero, decimals become the nearest floats."""
    return operand("astype", x, dtype)


# --- moving


def reshape(x: Any, /, shape: int | Sequence[int], *, copy: bool | None = None) -> Any:
    """The same elements in the same order with another shape; one size may be -1 and is worked out.

    >>> from tinygrad_sm import nd
    >>> nd.reshape(nd.arange(4), (2, -1))
    array([[0, 1],
           [2, 3]])
    """
    array = operand("reshape", x)
    sizes = list(as_shape(shape, "reshape"))
    if sizes.count(-1) == 1:
        known = prod(n for n in sizes if n != -1)
        if known and array.size % known == 0:
            sizes[sizes.index(-1)] = array.size // known
    if prod(sizes) != array.size or builtins.any(n < 0 for n in sizes):
        raise ValueError(f"reshape: {array.size} elements of shape {array.shape} do not fit shape {as_shape(shape)}")
    return x if type(x) is float and not sizes else make(array._flat, tuple(sizes), array.dtype)


def permute_dims(x: Any, /, axes: Sequence[int]) -> Array:
    """The axes in another order."""
    x = operand("permute_dims", x)
    if not isinstance(axes, (tuple, list)):
        raise TypeError(f"permute_dims: axes is a tuple with every axis of shape {x.shape}, not {axes!r}")
    order = [one_axis(a, x.ndim, "permute_dims") for a in axes]
    if sorted(order) != [*range(x.ndim)]:
        raise ValueError(f"permute_dims: {tuple(axes)} is no order of the {x.ndim} axes of shape {x.shape}")
    every = offsets(x.shape)
    return make(gather(x._flat, 0, [every[a] for a in order]), tuple(x.shape[a] for a in order), x.dtype)


def matrix_transpose(x: Array, /) -> Array:
    """The last two axes swapped."""
    x = operand("matrix_transpose", x)
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose: swaps the last two axes, and shape {x.shape} has fewer")
    return x.mT


def broadcast_to(x: Any, /, shape: int | Sequence[int]) -> Any:
    """`x` stretched to `shape`."""
    array, target = operand("broadcast_to", x), sizes_of(shape, "broadcast_to")
    if broadcast_shapes("broadcast_to", array.shape, target) != target:
        raise ValueError(f"broadcast_to: shape {array.shape} does not stretch to {target}")
    return x if type(x) is float and not target else make(stretch(array._flat, array.shape, target), target, array.dtype)


def expand_dims(x: Any, /, axis: int | Sequence[int] = 0) -> Array:
    """New axes of size 1, at the places `axis` of the result."""
    x = operand("expand_dims", x)
    new = axis if isinstance(axis, (tuple, list)) else (axis,)
    count = len(new)
    places = all_axes(new, x.ndim + count, "expand_dims")
    sizes = iter(x.shape)
    return make(x._flat, tuple(1 if i in places else next(sizes) for i in range(x.ndim + count)), x.dtype)


def squeeze(x: Any, /, axis: int | Sequence[int] | None = None) -> Array:
    """Without the axes `axis` (None: all) of size 1."""
    x = operand("squeeze", x)
    places = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else all_axes(axis, x.ndim, "squeeze")
    if builtins.any(x.shape[i] != 1 for i in places):
        raise ValueError(f"squeeze: axis {axis} of shape {x.shape} is not of size 1")
    return make(x._flat, tuple(n for i, n in enumerate(x.shape) if i not in places), x.dtype)


def flip(x: Any, /, *, axis: int | Sequence[int] | None = None) -> Array:
    """The elements in reverse order along `axis` (None: every axis)."""
    x = operand("flip", x)
    places = all_axes(axis, x.ndim, "flip")
    every = [a[::-1] if i in places else a for i, a in enumerate(offsets(x.shape))]
    return make(gather(x._flat, 0, every), x.shape, x.dtype)


def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Array:
    """Arrays joined along an axis that they have (None: flattened first); the other sizes must agree."""
    parts = _parts("concat", arrays)
    if axis is None:
        parts, axis = [reshape(p, (-1,)) for p in parts], 0
    at = one_axis(axis, parts[0].ndim, "concat")
    if len({p.shape[:at] + p.shape[at + 1 :] for p in parts}) > 1 or len({p.ndim for p in parts}) > 1:
        raise ValueError(f"concat: shapes {' and '.join(str(p.shape) for p in parts)} differ beside axis {axis}")
    dtype = parts[0].dtype
    for p in parts[1:]:
        dtype = promote(dtype, p.dtype, "concat")
    parts = [asarray(p, dtype=dtype) for p in parts]
    blocks = [prod(p.shape[at:]) for p in parts]
    flat: list = []
    for i in range(prod(parts[0].shape[:at])):
        for p, block in zip(parts, blocks, strict=True):
            flat += p._flat[i * block : (i + 1) * block]
    shape = parts[0].shape
    return make(flat, (*shape[:at], builtins.sum(p.shape[at] for p in parts), *shape[at + 1 :]), dtype)


def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Array:
    """Arrays of one shape joined along a new axis."""
    parts = _parts("stack", arrays)
    if len({p.shape for p in parts}) > 1:
        raise ValueError(f"stack: shapes {' and '.join(str(p.shape) for p in parts)} differ")
    at = one_axis(axis, parts[0].ndim + 1, "stack")
    return concat([expand_dims(p, axis=at) for p in parts], axis=at)


def _parts(name: str, arrays: Sequence[Any]) -> list[Array]:
    try:
        given = [*arrays]
    except TypeError:
        raise TypeError(f"{name}: needs a list or tuple of arrays, not {arrays!r}") from None
    if not given:
        raise ValueError(f"{name}: no arrays")
    return [operand(name, a) for a in given]


def tril(x: Any, /, *, k: int = 0) -> Array:
    """The lower triangle: zero above the k-th diagonal."""
    x, below = _below("tril", x, whole(k, "tril", "k") + 1)
    return where(below, x, x.dtype.lift(0))


def triu(x: Any, /, *, k: int = 0) -> Array:
    """The upper triangle: zero below the k-th diagonal."""
    x, below = _below("triu", x, whole(k, "triu", "k"))
    return where(below, x.dtype.lift(0), x)


def _below(name: str, x: Any, k: int) -> tuple[Array, Array]:
    """`x` as an array, and a mask of what lies below the k-th diagonal of its matrices."""
    x = operand(name, x)
    if x.ndim < 2:
        raise ValueError(f"{name}: needs a matrix and got shape {x.shape}")
    rows, columns = x.shape[-2:]
    flat: list = []
    for i in range(rows):
        n = builtins.min(builtins.max(i + k, 0), columns)
        flat += [True] * n + [False] * (columns - n)
    return x, make(flat, (rows, columns), bool_)


# --- picking and putting


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Array:
    """The slices of `x` at `indices` along `axis`; negative indices count from the end."""
    x = operand("take", x)
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take: shape {x.shape} needs an axis")
        axis = 0
    at = one_axis(axis, x.ndim, "take")
    return x[(slice(None),) * at + (_indices("take", indices),)]


def _indices(name: str, indices: Any) -> Array:
    array = operand(name, indices)
    if array.dtype is not int64 and array.size:
        raise TypeError(f"{name}: indices are ints, not {array.dtype}")
    return asarray(array, dtype=int64)


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Array:
    """For each place of `indices`, the element of `x` at that index along `axis`; the other axes broadcast."""
    x = operand("take_along_axis", x)
    return x[_along_axis("take_along_axis", x.shape, indices, axis)]


def _along_axis(name: str, shape: Shape, indices: Any, axis: int) -> tuple:
    """The key that reads one element along `axis` at each place of `indices`."""
    indices = _indices(name, indices)
    at = one_axis(axis, len(shape), name)
    if indices.ndim != len(shape):
        raise ValueError(f"{name}: indices of shape {indices.shape} for shape {shape}; both need the same number of axes")
    if any(n != m and 1 not in (n, m) for d, (n, m) in enumerate(zip(indices.shape, shape, strict=True)) if d != at):
        raise ValueError(f"{name}: indices of shape {indices.shape} for shape {shape} do not fit beside axis {axis}")
    grids = (make([*range(n)], tuple(n if i == d else 1 for i in range(len(shape))), int64) for d, n in enumerate(shape))
    return tuple(indices if d == at else grid for d, grid in enumerate(grids))


def scatter_add(values: Any, key: Any, shape: Shape) -> Array:
    """Zeros of `shape` with `values` added at `[key]`; places named twice get both. The transpose of indexing."""
    values, shape = operand("scatter_add", values), sizes_of(shape, "scatter_add")
    if values.dtype is bool_:
        values = asarray(values, dtype=int64)
    start, axes, picked = resolve(key, shape)
    if broadcast_shapes("scatter_add", values.shape, picked) != picked:
        raise ValueError(f"scatter_add: values of shape {values.shape} do not stretch to shape {picked} of the places")
    source = stretch(values._flat, values.shape, picked)
    places = gather(range(prod(shape)), start, axes)  # type: ignore[arg-type]
    flat = [values.dtype.lift(0)] * prod(shape)
    if len(set(places)) == len(places):
        for place, v in zip(places, source, strict=True):
            flat[place] = v
    else:
        arrived: dict[int, list] = {}
        for place, v in zip(places, source, strict=True):
            arrived.setdefault(place, []).append(v)
        for place, terms in arrived.items():
            flat[place] = values.dtype.total(terms)
    return make(flat, shape, values.dtype)


def scatter_add_along_axis(values: Any, indices: Any, shape: Shape, *, axis: int = -1) -> Array:
    """The transpose of `take_along_axis`."""
    values, shape = operand("scatter_add_along_axis", values), sizes_of(shape, "scatter_add_along_axis")
    return scatter_add(values, _along_axis("scatter_add_along_axis", shape, indices, axis), shape)
