"""The data of a training run: inputs and targets as arrays of the network's library, and rows picked from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.graph.namespaces import from_lists, is_array, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import brief, flatten
from tinygrad_sm.ops.helpers import moved

NUMBERS = ("real floating", "integral", "bool")


def sample_of(model: Any, X: Any, optimizer: Any = None) -> Any:
    """An array in the library and element type that a network computes in: its first parameter that is an array.

    A function tells of no parameters; then it is those of the optimizer, or X itself if that is an array, that decide.
    """
    parameters = [*model.parameters()] if hasattr(model, "parameters") else []
    parameters += [p for group in getattr(optimizer, "param_groups", ()) for p in group["params"]]
    X = plain(X)
    other = X if is_array(X) and kind_of(X) in NUMBERS else nd.zeros(1)
    return next((p.data for p in parameters if p.shape), other)


def as_rows(x: Any, like: Any, name: str) -> Any:
    """Rows of numbers (lists, or an array of any library) in the library of `like`: ints as int64, floats of its type."""
    xp, data = namespace_of([like]), plain(x)
    data = data.to_numpy() if hasattr(data, "to_numpy") else data  # a table of pandas or polars
    if getattr(getattr(data, "dtype", None), "kind", None) in ("M", "m"):  # as lists they would be ints without a unit
        raise TypeError(f"{name} holds dates or times, and needs numbers, such as the days since the first one")
    if not is_array(data) or kind_of(data) not in NUMBERS:
        data = from_lists(_rows_in(data, name), nd, name)
    elif namespace_of([data]) is not xp:
        flat, sizes = flatten(data)
        data = nd.reshape(nd.asarray(flat), sizes)
    if not shape(data):
        raise ValueError(f"{name}: needs rows, and got a single number")
    data = moved(data, xp)
    kind = kind_of(data, xp)
    dtype = xp.int64 if kind == "integral" else like.dtype if kind == kind_of(like, xp) else data.dtype
    return data if data.dtype == dtype else xp.astype(data, dtype)


def _rows_in(data: Any, name: str) -> list:
    """The rows as lists and numbers."""
    if isinstance(data, (str, bytes, dict, set)) or not hasattr(data, "__iter__"):
        raise TypeError(f"{name}: needs rows, in a list or an array, and got {type(data).__name__}")
    rows = [row.tolist() if hasattr(row, "tolist") else row for row in map(plain, data)]
    text = next((row for row in rows if isinstance(row, str)), None)
    if text is not None:
        raise TypeError(
            f"{name} holds text, such as {text!r}, and classes are numbers from 0: "
            "with names = sorted(set(y)), give [names.index(label) for label in y]"
        )
    return rows


def must_be_finite(x: Any, xp: Any, name: str) -> None:
    """An error that names the first place of a number that is none."""
    if kind_of(x, xp) != "real floating" or bool(xp.all(xp.isfinite(x))):
        return
    flat, sizes = flatten(x)
    place = next(i for i, number in enumerate(flat) if not -float("inf") < number < float("inf"))
    row, column = divmod(place, len(flat) // sizes[0])
    where = "" if len(sizes) == 1 else f", {'column' if len(sizes) == 2 else 'element'} {column}"
    raise ValueError(f"{name} holds {flat[place]} in row {row}{where}")


def inputs_of(X: Any, like: Any, name: str) -> Any:
    """The inputs; every number must be finite."""
    X = as_rows(X, like, f"{name}: X")
    must_be_finite(X, namespace_of([like]), f"{name}: X")
    return X


def rows_of(X: Any, y: Any, like: Any, name: str) -> tuple[Any, Any]:
    """Inputs and targets, one of each for every row."""
    X, y = inputs_of(X, like, name), as_rows(y, like, f"{name}: y")
    must_be_finite(y, namespace_of([like]), f"{name}: y")
    n, m = shape(X)[0], shape(y)[0]
    if n != m:
        raise ValueError(f"{name}: X has {n} rows and y has {m}; there should be one target for each row")
    if not n:
        raise ValueError(f"{name}: X and y have no rows")
    return X, y


def picked(x: Any, xp: Any, rows: Sequence[int]) -> Any:
    """Some rows, in the order given."""
    return xp.take(x, xp.asarray(rows, dtype=xp.int64), axis=0)


def batches(n: int, size: int, order: Sequence[int] | None = None) -> Iterator[Sequence[int]]:
    """The numbers of n rows in batches, in order or in the one given."""
    rows = range(n) if order is None else order
    return (rows[start : start + size] for start in range(0, n, size))


def must_be_callable(model: Any, name: str) -> None:
    """A network, or a function of a batch of inputs."""
    if not callable(model):
        raise TypeError(f"{name}: needs a network, such as tg.nn.MLP([64, 32, 10]), and got {brief(model)}")
    must_be_no_class(model, f"{name}: the network")


def must_be_no_class(x: Any, what: str) -> None:
    """An error for `CrossEntropyLoss` where `CrossEntropyLoss()` was meant: a class can be called, too."""
    if isinstance(x, type):
        raise TypeError(f"{what} is the class {x.__name__} itself; write {x.__name__}(...)")


def right_ones(outputs: Any, targets: Any, xp: Any) -> int | None:
    """How many rows have their largest output at the class of the target; None where targets are no classes."""
    outputs = plain(outputs)
    if not is_array(outputs):
        return None
    if kind_of(targets, xp) != "integral" or shape(outputs)[:-1] != shape(targets) or not shape(outputs)[-1:] > (1,):
        return None
    return int(xp.sum(xp.astype(xp.equal(xp.argmax(outputs, axis=-1), targets), xp.int64)))


Loss = Callable[[Any, Any], Any]
