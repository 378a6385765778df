"""Plain data element by element: 1 in one place after the other, lists in a shape again, and where two things differ."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from tinygrad_sm.graph.namespaces import is_array, namespace_of, shape
from tinygrad_sm.graph.value import filled_like
from tinygrad_sm.nd.shapes import flatten


def unit_seeds(data: Any) -> Iterator[Any]:
    """1 in one element after the other and 0 elsewhere, in the shape and type of `data`: what to send back for a Jacobian."""
    if type(data) is float:
        yield 1.0
        return
    xp = namespace_of([data])
    sizes = shape(data)
    places = xp.reshape(xp.arange(prod(sizes)), sizes)
    one, zero = filled_like(data, 1.0), filled_like(data, 0.0)
    yield from (xp.where(xp.equal(places, i), one, zero) for i in range(prod(sizes)))


def sizes_of(data: Any) -> tuple[int, ...]:
    """The shape of plain data or of nested lists, whatever their elements are.

    >>> sizes_of([[1.0, 2.0, 3.0]]), sizes_of(5.0)
    ((1, 3), ())
    """
    if isinstance(data, list):
        return (len(data), *sizes_of(data[0])) if data else (0,)
    return shape(data) if is_array(data) else ()


def shaped(flat: list[float], sizes: tuple[int, ...]) -> Any:
    """Elements in row-major order as nested lists of that shape; the only one where there is no axis.

    >>> shaped([1.0, 2.0, 3.0, 4.0], (2, 2)), shaped([5.0], ())
    ([[1.0, 2.0], [3.0, 4.0]], 5.0)
    """
    for n in sizes[:0:-1]:
        flat = [flat[i : i + n] for i in range(0, len(flat), n)]  # type: ignore[misc]
    return flat if sizes else flat[0]


def differing(a: Any, b: Any) -> Iterator[tuple[float, float]]:
    """The elements of plain data of one shape where the two differ; nan and nan do not.

    >>> [*differing([1.0, 2.0, float("nan")], [1.0, 2.5, float("nan")])]
    [(2.0, 2.5)]
    """
    for x, y in zip(flatten(a)[0], flatten(b)[0], strict=True):
        if x != y and (x == x or y == y):
            yield float(x), float(y)
