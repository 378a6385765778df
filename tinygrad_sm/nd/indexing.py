"""What `array[key]` means: each axis becomes the offsets at which its elements sit."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
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
        if item is None:
            axes.append((0,))
            sizes.append(1)
            continue
        axis, n, step = next(strides)
        if isinstance(item, slice):
            picked = range(n)[item]
            axes.append(range(picked.start * step, picked.stop * step, picked.step * step))
            sizes.append(len(picked))
        elif by_array:  # an int beside index arrays is one of them
            indices = item if isinstance(item, _Indices) else _Indices([item], ())
            first = first if places else len(axes)
            places.append(place)
            columns.append(_Indices([_inside(i, n, axis, shape) * step for i in indices.flat], indices.shape))
        else:
            start += _inside(item, n, axis, shape) * step
    if columns:
        if places[-1] - places[0] >= len(places):
            first = 0
        common = broadcast_shapes("indexing", *(c.shape for c in columns))
        size = prod(common)
        whole = (stretch(c.flat, c.shape, common) for c in columns)
        axes.insert(first, [*map(sum, zip(*(w if len(w) == size else w * size for w in whole), strict=True))])
        sizes[first:first] = common
    return start, axes, tuple(sizes)


class _Indices:
    """An index array: its entries and its shape."""

    def __init__(self, flat: list, shape: Shape) -> None:
        self.flat, self.shape = flat, shape


def _every_axis(items: tuple, shape: Shape) -> list:
    """The key with masks turned into index arrays and `...` written out, so that it names every axis."""
    written: list = []
    for item in items:
        written += _classify(item, shape, len(written)) if _is_array(item) else [item]
    used = sum(item is not None and item is not Ellipsis for item in written)
    if used > len(shape):
        raise IndexError(f"{used} indices for an array of shape {shape}")
    dots = [i for i, item in enumerate(written) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index has at most one ...")
    at = dots[0] if dots else len(written)
    written[at : at + len(dots)] = [slice(None)] * (len(shape) - used)
    return written


def _is_array(item: Any) -> bool:
    return isinstance(item, (list, range, bool)) or hasattr(item, "shape")


def _classify(item: Any, shape: Shape, axis: int) -> list:
    """The index arrays that one list or array of the key stands for: one, or for a mask one an axis that it covers."""
    flat, own = flatten(item)
    if (flat and isinstance(flat[0], bool)) or str(getattr(item, "dtype", "")) == "bool":
        if own != shape[axis : axis + len(own)] or not own:
            raise IndexError(f"a mask of shape {own} on axis {axis} of an array of shape {shape}")
        chosen = [i for i, wanted in enumerate(flat) if wanted]
        return [_Indices([i // step % n for i in chosen], (len(chosen),)) for n, step in zip(own, row_major(own))]  # noqa: B905
    return [_Indices(flat, own)] if own else flat


def _inside(item: Any, n: int, axis: int, shape: Shape) -> int:
    """An index counted from the front, if axis `axis` of `shape`, which has `n` places, has it."""
    try:
        i = index(item)
    except TypeError:
        raise TypeError(f"an index is an int, a slice, ..., None or an array of ints or bools, not {item!r}") from None
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of range for axis {axis} of shape {shape}")
    return i % n
