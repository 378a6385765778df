"""Shapes without data: axes, broadcasting, and which place of a flat list an element sits in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, product, zip_longest
from operator import index
from typing import Any

Shape = tuple[int, ...]

PLAIN = frozenset({bool, int, float})  # the types of Python numbers


class AxisError(ValueError, IndexError):
    """An axis that the array does not have."""


def brief(x: Any) -> str:
    """The repr of what came, as a sentence about it can bear: whole data sets come, too."""
    text = repr(x)
    return text if len(text) <= 60 else text[:57] + "..."


def whole(x: int, name: str, what: str) -> int:
    """An int, also one in a 0-d array; the error says what of which function it should have been."""
    try:
        return index(x)
    except TypeError:
        raise TypeError(f"{name}: {what} is an int, not {x!r}") from None


def whole_number(x: Any, what: str, least: int = 1) -> int:
    """A whole number that is not below `least`, as Python's int: of any library, but no bool and no float."""
    with suppress(TypeError):
        if not isinstance(x, bool) and (n := index(x)) >= least:
            return n
    raise ValueError(f"{what} is a whole number of at least {least}, not {brief(x)}")


def as_shape(shape: int | Iterable[int], name: str = "shape") -> Shape:
    """A shape given as an int or as any iterable of ints, as a tuple."""
    try:
        return tuple(map(index, shape)) if isinstance(shape, Iterable) else (index(shape),)
    except TypeError:
        raise TypeError(f"{name}: a shape is an int or a tuple of ints, not {shape!r}") from None


def sizes_of(shape: int | Iterable[int], name: str) -> Shape:
    """The shape of an array to be made, which has no negative sizes."""
    sizes = as_shape(shape, name)
    if sizes and min(sizes) < 0:
        raise ValueError(f"{name}: a shape has no negative sizes: {sizes}")
    return sizes


def one_axis(axis: int, ndim: int, name: str) -> int:
    """`axis` counted from the front; negative ones count from the back."""
    if isinstance(axis, bool):
        raise TypeError(f"{name}: an axis is an int, not {axis}")
    number = whole(axis, name, "an axis")
    if -ndim <= number < ndim:
        return number % ndim
    if ndim == 0:
        raise AxisError(f"{name}: axis {number} of a 0-d input, which has no axes")
    raise AxisError(f"{name}: axis {number} is out of range for {ndim} dimension(s), from {-ndim} to {ndim - 1}")


def all_axes(axis: int | Sequence[int] | None, ndim: int, name: str) -> Shape:
    """The axes meant by `axis` (an int, a tuple, or None for all of them), counted from the front and sorted."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, (bool, list)):  # a mask, or one of its elements, in the place of the axis
        raise TypeError(f"{name}: an axis is an int, a tuple of ints or None, not {brief(axis)}")
    axes = sorted(one_axis(a, ndim, name) for a in (axis if isinstance(axis, tuple) else (axis,)))
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name}: the same axis twice in {axis}")
    return tuple(axes)


def reduced_shape(shape: Shape, axes: Shape, keepdims: bool) -> Shape:
    """The shape that is left when `axes` are reduced."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """The common shape that all `shapes` stretch to; the error names the op and every shape."""
    ndim = max(map(len, shapes))
    padded = [(1,) * (ndim - len(s)) + s for s in shapes]
    result = []
    for sizes in zip(*padded, strict=True):
        wanted = {n for n in sizes if n != 1}
        if len(wanted) > 1:
            raise ValueError(f"{name}: shapes {' and '.join(map(str, shapes))} do not fit together")
        result.append(wanted.pop() if wanted else 1)
    return tuple(result)


def row_major(shape: Shape) -> Shape:
    """How far one step along each axis moves in the flat list."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def gather(flat: list, start: int, axes: Sequence[range | Sequence[int]]) -> list:
    """The elements at `start` plus one offset of every axis, in row-major order.

    This one function is indexing, transposing, flipping and broadcasting: they differ in the offsets only.
    A last axis that is a `range` is read with list slices, at the speed of C.
    """
    if not axes:
        return [flat[start]]
    *outer, last = axes
    offsets = [start]
    for axis in outer:
        offsets = [o + a for o in offsets for a in axis]
    if not isinstance(last, range):
        return [flat[o + a] for o in offsets for a in last]
    n, step = len(last), last.step
    if n == 0:  # an empty range may start before 0
        return []
    if n == 1:
        return [flat[o + last.start] for o in offsets]
    picked: list = []
    for o in offsets:
        first = o + last.start
        stop = first + n * step
        picked += flat[first : stop if stop >= 0 else None : step]
    return picked


def stretch(flat: list, shape: Shape, target: Shape) -> list:
    """The flat list of an array of `shape` broadcast to `target`, which must fit."""
    if shape == target:
        return flat
    if 0 in target:
        return []
    block = 1  # axis by axis from the last: each block of what lies within the axis is copied as often as it stretches
    for n, m in zip_longest(reversed(shape), reversed(target), fillvalue=1):
        if n != m:
            copies: list = []
            for start in range(0, len(flat), block):
                copies += flat[start : start + block] * m
            flat = copies
        block *= m
    return flat


def flatten(x: Any) -> tuple[list, Shape]:
    """The elements of nested lists, or of any library's array, in row-major order, and the shape that they share."""
    if isinstance(x, (list, tuple, range)):
        if PLAIN.issuperset(map(type, x)):  # the innermost lists, at the speed of C
            return [*x], (len(x),)
        parts = [flatten(v) for v in x]
        shapes = {shape for _, shape in parts}
        if len(shapes) > 1:
            raise ValueError(f"ragged lists: parts of shapes {' and '.join(map(str, sorted(shapes)))} in one list")
        return [*chain.from_iterable(flat for flat, _ in parts)], (len(parts), *shapes.pop())
    if hasattr(x, "_flat"):
        return x._flat, x.shape
    if hasattr(x, "tolist"):
        if getattr(x, "requires_grad", False):
            raise TypeError("an array keeps no gradient; say x.detach() for the numbers alone")
        shape = tuple(getattr(x, "shape", ()))
        return ([], shape) if 0 in shape else flatten(x.tolist())  # lists cannot tell (0, 3) from (0,)
    if hasattr(x, "__array_namespace__"):  # array-api-strict gives single elements only
        is_a = partial(x.__array_namespace__().isdtype, x.dtype)
        kind = bool if is_a("bool") else int if is_a("integral") else float
        return [kind(x[place]) for place in product(*map(range, x.shape))], tuple(x.shape)
    return [x], ()
