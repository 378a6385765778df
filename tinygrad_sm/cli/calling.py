"""Calling a person's function with inputs made for it: shapes as they are written, numbers, and its errors as sentences."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from random import Random
from typing import Any

import tinygrad_sm as tg
from tinygrad_sm.check.truth import flat
from tinygrad_sm.cli.finding import blame

LARGEST = 100_000  # elements of an input: pure Python takes its time, and decimals take more


def sizes_of(text: str) -> tuple[int, ...]:
    """`3,4` as a shape; nothing or () is that of a single number.

    >>> sizes_of("3,4"), sizes_of("(5,)"), sizes_of("2x3"), sizes_of("()")
    ((3, 4), (5,), (2, 3), ())
    """
    inner = text.strip().strip("()[]").strip().rstrip(",")
    try:
        sizes = tuple(int(part) for part in inner.replace("x", ",").split(",")) if inner else ()
    except ValueError:
        raise ValueError(f"--shape is written as 3,4 (rows, columns), and not as {text!r}") from None
    if any(n < 1 for n in sizes):
        raise ValueError(f"--shape has sizes of at least 1, and not {text}")
    if prod(sizes) > LARGEST:
        raise ValueError(f"--shape {text} has {prod(sizes):,} elements; at most {LARGEST:,} are made")
    return sizes


def required(thing: Any) -> list[str]:
    """The names of the inputs that a call must give; none where that cannot be known."""
    try:
        parameters = inspect.signature(thing.forward if isinstance(thing, tg.nn.Module) else thing).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]


def one_each(thing: Any, target: str, shapes: Sequence[tuple[int, ...]]) -> Sequence[tuple[int, ...]]:
    """A shape for every input of a function; a single one is that of all."""
    names = required(thing)
    if len(shapes) == 1:
        shapes = [*shapes] * max(len(names), 1)
    if names and len(shapes) != len(names):
        takes = f"{len(names)} inputs ({', '.join(names)})" if names[1:] else f"one input ({names[0]})"
        raise ValueError(f"{target} takes {takes}, and --shape gave {len(shapes)}")
    return shapes


def filled(sizes: tuple[int, ...], row: Callable[[int], list[float]]) -> Any:
    """Rows along the last axis, as an array; a float where there is no axis."""
    if not sizes:
        return row(1)[0]
    return tg.nd.reshape(tg.nd.asarray([x for _ in range(prod(sizes[:-1])) for x in row(sizes[-1])]), sizes)


def scaled(scale: float) -> Callable[[Random, int], list[float]]:
    """A function that draws rows of normal numbers of that standard deviation."""
    return lambda rng, n: [rng.gauss(0.0, scale) for _ in range(n)]


def where_defined(function: Callable[..., Any], name: str, inputs: Sequence[Any], hint: str) -> Sequence[Any]:
    """The inputs or, of a function that gives nan there, as a logarithm does, their absolute values.

    Raises a ValueError that says what to do when a call fails, as it does where labels were meant.
    """
    sizes = " and ".join(str(tuple(getattr(x, "shape", ()))) for x in inputs)
    for numbers in (inputs, [abs(x) for x in inputs]):
        try:
            with tg.no_grad():
                result = function(*map(tg.Value, numbers))
        except Exception as error:
            raise ValueError(f"{name} does not take random floats of shape {sizes} ({blame(error)}); {hint}") from None
        outputs = result if isinstance(result, (list, tuple)) else [result]
        if not any(x != x for y in outputs for x in flat(y)):
            return numbers
    raise ValueError(f"{name} gives nan for random floats of shape {sizes}; {hint}")


@contextmanager
def blamed(what: str) -> Iterator[None]:
    """Inside, an error of a person's code is a sentence."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{what}: {blame(error)}") from None
