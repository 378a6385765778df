"""A data set in two parts: one to learn from, and one that the model has never seen, to judge it by."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import ceil
from typing import Any

from tinygrad_sm.datasets.arguments import count, generator
from tinygrad_sm.datasets.dataset import Dataset
from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import is_array, namespace_of
from tinygrad_sm.nd.shapes import flatten

NAME = "train_test_split"


def train_test_split(*arrays: Any, test_size: float = 0.25, seed: int | None = 0, stratify: Any = None) -> list:
    """The same random rows of every array for training, and the rest for testing, as in `X_train, X_test, y_train, y_test`.

    The arrays may be lists, tuples or arrays of any library, all with the same number of rows, and stay what they are; a
    `Dataset` counts as its X and y. `test_size` is a share between 0 and 1 (rounded up to whole rows) or a number of rows.
    `stratify` is True (by the last array) or one label a row: every class then has its share of both parts, as near as whole
    rows allow, and never none. With `seed=None` the numbers come from those of `tg.manual_seed`. The order of the results is
    scikit-learn's. Raises a ValueError where a part, or a class in a part, would be left empty.

    >>> import tinygrad_sm as tg
    >>> tg.datasets.train_test_split([1, 2, 3, 4], ["a", "b", "c", "d"])
    [[1, 2, 4], [3], ['a', 'b', 'd'], ['c']]
    >>> X_train, X_test, y_train, y_test = tg.datasets.train_test_split(tg.datasets.load_digits(), stratify=True)
    >>> X_train.shape, y_test.shape
    ((1347, 64), (450,))
    """
    parts = [part for a in arrays for part in (a if isinstance(a, Dataset) else (a,))]
    rows = [_rows(part) for part in parts]
    if not rows:
        raise TypeError(f"{NAME}: needs at least one array")
    if len({*rows}) > 1:
        raise ValueError(f"{NAME}: arrays of different lengths, {' and '.join(map(str, rows))} rows")
    n = rows[0]
    n_test = _size_of_test(test_size, n)
    draw = generator(NAME, seed)
    if stratify is None or stratify is False:
        order = [*range(n)]
        draw.shuffle(order)
        test, train = order[:n_test], order[n_test:]
    else:
        test, train = _by_class(_labels(parts[-1] if stratify is True else stratify, n), n_test, draw)
    return [_picked(part, indices) for part in parts for indices in (train, test)]


def _rows(x: Any) -> int:
    if isinstance(x, Value):
        raise TypeError(f"{NAME}: splits plain data, not a Value; give v.data")
    if isinstance(x, (list, tuple)):
        return len(x)
    if not is_array(x):
        raise TypeError(f"{NAME}: splits lists, tuples and arrays, not {type(x).__name__}; make it one of them first")
    if not x.shape:
        raise ValueError(f"{NAME}: an array of shape () has no rows")
    return int(x.shape[0])


def _size_of_test(size: Any, n: int) -> int:
    """How many of `n` rows are for testing."""
    if isinstance(size, float):
        if not 0.0 < size < 1.0:
            raise ValueError(f"{NAME}: test_size is a share between 0 and 1 or a number of rows, not {size!r}")
        number = ceil(size * n)
    else:
        number = count(NAME, "test_size (or a share such as 0.25)", size)
    if not 0 < number < n:
        raise ValueError(
            f"{NAME}: test_size={size!r} of {n} rows leaves none to train on; give more rows or a smaller test_size"
        )
    return number


def _labels(labels: Any, n: int) -> list:
    """The class of every row."""
    flat, shape = flatten(labels)
    if shape != (n,):
        raise ValueError(f"{NAME}: stratify needs one label a row, shape ({n},), and got shape {shape}")
    return flat


def _by_class(labels: Sequence, n_test: int, draw: random.Random) -> tuple[list[int], list[int]]:
    """Indices for testing and for training with the same mix of classes."""
    members: dict[Any, list[int]] = {}
    for i, label in enumerate(labels):
        members.setdefault(label, []).append(i)
    for label, group in members.items():
        if len(group) < 2:
            raise ValueError(f"{NAME}: class {label!r} has a single row, and stratify needs two: one to train and one to test")
        draw.shuffle(group)
    if not len(members) <= n_test <= len(labels) - len(members):
        raise ValueError(
            f"{NAME}: {len(labels) - n_test} rows to train and {n_test} to test do not hold each of the {len(members)} classes "
            "that stratify keeps; choose another test_size"
        )
    shares = _shares([*map(len, members.values())], n_test)
    test = [i for group, k in zip(members.values(), shares, strict=True) for i in group[:k]]
    train = [i for group, k in zip(members.values(), shares, strict=True) for i in group[k:]]
    draw.shuffle(test)
    draw.shuffle(train)
    return test, train


def _shares(sizes: Sequence[int], seats: int) -> list[int]:
    """`seats` divided among groups in proportion to their sizes, with at least one seat and one left over for each.

    Hamilton's method: whole parts first, then one more (or, after rounding up to one, one less) where it is due most.
    """
    n = sum(sizes)
    shares = [max(seats * size // n, 1) for size in sizes]

    def due(k: int) -> int:  # n times what is missing from the exact share
        return seats * sizes[k] - shares[k] * n

    while sum(shares) < seats:
        shares[max((k for k, size in enumerate(sizes) if shares[k] < size - 1), key=due)] += 1
    while sum(shares) > seats:
        shares[min((k for k in range(len(sizes)) if shares[k] > 1), key=due)] -= 1
    return shares


def _picked(x: Any, indices: list[int]) -> Any:
    """The rows at `indices`, in the kind of `x`."""
    if isinstance(x, (list, tuple)):
        rows = [x[i] for i in indices]
        return rows if isinstance(x, list) else tuple(rows)
    xp = namespace_of([x], NAME)
    return xp.take(x, xp.asarray(indices), axis=0)
