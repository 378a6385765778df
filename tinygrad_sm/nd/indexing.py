"""What `array[key]` means: each axis becomes the offsets at which its elements sit."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from tinygrad_sm.nd.shapes import Shape, broadcast_shapes, flatten, row_major, stretch

Axes = list[range | Sequence[int]]


def resolve(key: Any, shape: Shape) -> tuple[int, Axes, Shape]:
    """(start, axes, shape of the result) for `gather`.

    `key` holds ints, slices, `...`, None, and arrays or lists of ints or bools, with numpy's meaning: index arrays broadcast
    together; their axes stand where the first of them stood, or in front when something stood between them.
    """
    items = _every_axis(key if isinstance(key, tuple) else (key,), shape)
    strides = iter(zip(range(len(shape)), shape, row_major(shape), strict=True))
    by_array = any(isinstance(item, _Indices) for item in items)
    start, axes, sizes = 0, [], []  # type: int, Axes, list[int]
    columns: list[_Indices] = []
    places: list[int] = []  # where the index arrays stand in the key
    first = 0  # and which axis of the result they become
    for place, item in enumerate(items):
        if item is Ellipsis:  # even where it stands for no axis, it stands between index arrays
            continue
        if item is None:
            axes.append(range(1))
            sizes.append(1)
            continue
        axis, n, step = next(strides)
        if isinstance(item, slice):
            picked = range(n)[item]
            axes.append(range(picked.start * step, picked.stop * step, picked.step * step))
            sizes.append(len(picked))
        elif by_array:  # an int beside index arrays is one of them
            indices = item if isinstance(item, _Indices) else _Indices([item], ())
            first = len(axes)
            places.append(place)
            columns.append(_Indices([i * step for i in _all_inside(indices.flat, n, axis, shape)], indices.shape))
        else:
            start += _inside(item, n, axis, shape) * step
    if columns:
        if places[-1] - places[0] >= len(places):
            first = 0
        try:
            common = broadcast_shapes("indexing", *(c.shape for c in columns))
        except ValueError as error:
            raise IndexError(str(error)) from None
        axes.insert(first, [*map(sum, zip(*(stretch(c.flat, c.shape, common) for c in columns), strict=True))])
        sizes[first:first] = common
    return start, axes, tuple(sizes)


class _Indices:
    """An index array: its entries and its shape. A mask, until it is written as the indices of its true places."""

    def __init__(self, flat: list, shape: Shape, is_mask: bool = False) -> None:
        self.flat, self.shape, self.is_mask = flat, shape, is_mask


def _every_axis(items: tuple, shape: Shape) -> list:
    """The key with slices after its `...` and masks turned into index arrays, so that it names every axis."""
    written = [_read(item) if _is_array(item) else item for item in items]
    covered = sum(map(_axes_of, written))
    if covered > len(shape):
        raise IndexError(f"{covered} indices for the {len(shape)} axes of shape {shape}")
    dots = [i for i, item in enumerate(written, 1) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index has at most one ...")
    at = dots[0] if dots else len(written)
    written[at:at] = [slice(None)] * (len(shape) - covered)
    for i in reversed(range(len(written))):
        if isinstance(written[i], _Indices) and written[i].is_mask:
            written[i : i + 1] = _true_places(written[i], sum(map(_axes_of, written[:i])), shape)
    return written


def _is_array(item: Any) -> bool:
    return isinstance(item, (list, tuple, range, bool)) or hasattr(item, "shape")


def _axes_of(item: Any) -> int:
    """How many axes an item of the key names: none, one, or all those that a mask covers."""
    if item is None or item is Ellipsis:
        return 0
    return len(item.shape) if isinstance(item, _Indices) and item.is_mask else 1


def _read(item: Any) -> Any:
    """A list or array of the key: an index array, a mask, or the number in a 0-d array."""
    flat, own = flatten(item)
    if {*map(type, flat)} == {bool} or (not flat and str(getattr(item, "dtype", "")).endswith("bool")):
        return _Indices(flat, own, is_mask=True)
    return _Indices(flat, own) if own else flat[0]


def _true_places(mask: _Indices, axis: int, shape: Shape) -> list[_Indices]:
    """For each axis that a mask covers, the indices of its true places."""
    own = mask.shape
    if own != shape[axis : axis + len(own)] or not own:
        raise IndexError(f"a mask of shape {own} on axis {axis} of an array of shape {shape}")
    chosen = [i for i, wanted in enumerate(mask.flat) if wanted]
    return [_Indices([i // step % n for i in chosen], (len(chosen),)) for n, step in zip(own, row_major(own), strict=True)]


def _all_inside(flat: list, n: int, axis: int, shape: Shape) -> list[int]:
    """Indices counted from the front; the checks are done on the whole list where it holds nothing but ints."""
    if {*map(type, flat)} == {int} and -n <= min(flat) and max(flat) < n:
        return [i % n for i in flat]
    return [_inside(i, n, axis, shape) for i in flat]


def _inside(item: Any, n: int, axis: int, shape: Shape) -> int:
    """An index counted from the front, if axis `axis` of `shape`, which has `n` places, has it."""
    try:
        i = index(item)
    except TypeError:
        raise TypeError(f"an index is an int, a slice, ..., None or an array of ints or bools, not {item!r}") from None
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of range for axis {axis} of shape {shape}")
    return i % n
