"""The split: every row once, on one side, beside its label, in the kind it came in."""

import math
from collections import Counter
from itertools import pairwise, product

import array_api_strict
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.datasets import load_iris, make_blobs, train_test_split

KINDS = {
    "list": (lambda rows: rows, list),
    "tuple": (tuple, list),
    "nd": (nd.asarray, nd.Array.tolist),
    "numpy": (np.asarray, np.ndarray.tolist),
    "strict": (array_api_strict.asarray, lambda x: np.asarray(x).tolist()),
}
sizes = st.one_of(st.floats(0.01, 0.99), st.integers(1, 29))


def wanted(test_size, n):
    """The number of rows to test on, as scikit-learn defines it."""
    return math.ceil(test_size * n) if isinstance(test_size, float) else test_size


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 30), test_size=sizes, seed=st.integers(0, 5))
def test_every_row_goes_to_one_side_with_its_label(n, test_size, seed):
    count = wanted(test_size, n)
    X = [[i, -i] for i in range(n)]
    y = [f"row {i}" for i in range(n)]
    if count >= n:
        with pytest.raises(ValueError, match=f"of {n} rows leaves none to train on"):
            train_test_split(X, y, test_size=test_size, seed=seed)
        return
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=test_size, seed=seed)
    assert (len(X_train), len(X_test)) == (n - count, count)
    assert sorted(X_train + X_test) == X
    assert [f"row {i}" for i, _ in X_train] == y_train and [f"row {i}" for i, _ in X_test] == y_test


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(8,), (8, 2), (8, 2, 3)])
def test_arrays_stay_what_they_are(kind, shape):
    make, read = KINDS[kind]
    rows = np.arange(math.prod(shape)).reshape(shape).tolist()
    array = make(rows)
    train, test = train_test_split(array, seed=2)
    assert type(train) is type(test) is type(array)
    assert getattr(train, "dtype", None) == getattr(array, "dtype", None)
    assert [read(train), read(test)] == train_test_split(rows, seed=2)


def test_several_kinds_at_once():
    numbers = [*range(12)]
    parts = train_test_split(*(make(numbers) for make, _ in KINDS.values()), test_size=5)
    read = [KINDS[kind][1] for kind in KINDS for _ in range(2)]
    trains_and_tests = [f(part) for f, part in zip(read, parts, strict=True)]
    assert all(part == trains_and_tests[0] for part in trains_and_tests[::2]) and len(trains_and_tests[0]) == 7
    assert all(part == trains_and_tests[1] for part in trains_and_tests[1::2]) and len(trains_and_tests[1]) == 5


@pytest.mark.heavy
def test_tensors_of_torch():
    import torch

    X, y = torch.arange(16.0).reshape(8, 2), list(range(8))
    X_train, X_test, y_train, y_test = train_test_split(X, y)
    assert isinstance(X_train, torch.Tensor) and X_train.dtype == X.dtype
    assert (X_train[:, 0] / 2).tolist() == y_train and (X_test[:, 0] / 2).tolist() == y_test


def test_a_dataset_counts_as_its_two_parts():
    iris = load_iris()
    of_pair = [part.tolist() for part in train_test_split(*iris, seed=1)]
    assert [part.tolist() for part in train_test_split(iris, seed=1)] == of_pair
    assert [len(part) for part in of_pair] == [112, 38, 112, 38]


def test_seeds():
    rows = [*range(50)]
    assert train_test_split(rows) == train_test_split(rows, seed=0) != train_test_split(rows, seed=1)
    train, test = train_test_split(rows, test_size=0.5)
    assert train != sorted(train) and test != sorted(test)
    tg.manual_seed(7)
    first, second = train_test_split(rows, seed=None), train_test_split(rows, seed=None)
    tg.manual_seed(7)
    assert first == train_test_split(rows, seed=None) != second


# --- stratified


def best_deviation(counts, n_test):
    """The least sum of squared differences from the exact shares, over every way that leaves no class out."""
    n = sum(counts)
    ways = (way for way in product(*(range(1, c) for c in counts)) if sum(way) == n_test)
    return min(sum((k * n - n_test * c) ** 2 for k, c in zip(way, counts, strict=True)) for way in ways)


@settings(max_examples=60, deadline=None)
@example(counts=[2, 9], part=1.0, seed=0)  # the share of the small class is nearer to 2 than to 1
@given(counts=st.lists(st.integers(2, 9), min_size=1, max_size=4), part=st.floats(0, 1), seed=st.integers(0, 3))
def test_every_class_has_its_share(counts, part, seed):
    n, k = sum(counts), len(counts)
    n_test = k + round(part * (n - 2 * k))
    labels = [f"class {i}" for i, c in enumerate(counts) for _ in range(c)]
    rows = [*range(n)]
    train, test, y_train, y_test = train_test_split(rows, labels, test_size=n_test, stratify=True, seed=seed)
    assert sorted(train + test) == rows and len(test) == n_test
    assert [labels[i] for i in train] == y_train and [labels[i] for i in test] == y_test
    found = [Counter(y_test)[f"class {i}"] for i in range(k)]
    assert all(0 < f < c for f, c in zip(found, counts, strict=True))
    assert sum((f * n - n_test * c) ** 2 for f, c in zip(found, counts, strict=True)) == best_deviation(counts, n_test)


def test_a_rare_class_is_on_both_sides():
    labels = [0] * 1000 + [1] * 2
    *_, y_train, y_test = train_test_split(labels, labels, test_size=10, stratify=True)
    assert Counter(y_test) == {0: 9, 1: 1} and Counter(y_train) == {0: 991, 1: 1}


def test_both_sides_are_mixed_and_rows_of_a_class_are_drawn():
    X, y = load_iris()
    _, X_test, y_train, y_test = train_test_split(X, y, test_size=30, stratify=True)
    assert Counter(y_test.tolist()) == {0: 10, 1: 10, 2: 10}
    for part in (y_train, y_test):
        labels = part.tolist()
        assert sum(a != b for a, b in pairwise(labels)) > len(labels) / 3
    other = train_test_split(X, y, test_size=30, stratify=True, seed=1)[1]
    assert sorted(other.tolist()) != sorted(X_test.tolist())


@pytest.mark.parametrize("make", [list, tuple, nd.asarray, np.asarray, array_api_strict.asarray])
def test_labels_to_stratify_by(make):
    y = [0, 1] * 6
    rows = [*range(12)]
    assert train_test_split(rows, stratify=make(y)) == train_test_split(rows, y, stratify=True)[:2]
    assert train_test_split(rows, stratify=False) == train_test_split(rows)


WRONG = """
train_test_split() | TypeError | needs at least one array
train_test_split([1, 2], [1, 2, 3]) | ValueError | arrays of different lengths, 2 and 3 rows
train_test_split([]) | ValueError | test_size=0.25 of 0 rows leaves none
train_test_split([1]) | ValueError | test_size=0.25 of 1 rows leaves none to train on
train_test_split([1, 2], test_size=0.0) | ValueError | test_size is a share between 0 and 1 or a number of rows, not 0.0
train_test_split([1, 2], test_size=1.0) | ValueError | test_size is a share between 0 and 1
train_test_split([1, 2], test_size=float("nan")) | ValueError | test_size is a share between 0 and 1
train_test_split([1, 2], test_size=2) | ValueError | test_size=2 of 2 rows leaves none to train on
train_test_split([1, 2], test_size=0) | ValueError | test_size (or a share such as 0.25) is a whole number from 1 on, not 0
train_test_split([1, 2], test_size=True) | ValueError | is a whole number from 1 on, not True
train_test_split([1, 2], test_size="a") | TypeError | is an int, not 'a'
train_test_split([1, 2], seed="a") | TypeError | a seed is an int, not 'a'
train_test_split({1: 2}) | TypeError | splits lists, tuples and arrays, not dict
train_test_split("text") | TypeError | splits lists, tuples and arrays, not str
train_test_split(iter([1, 2])) | TypeError | splits lists, tuples and arrays, not list_iterator
train_test_split(nd.asarray(1.0)) | ValueError | an array of shape () has no rows
train_test_split(tg.Value([1.0, 2.0])) | TypeError | splits plain data, not a Value; give v.data
train_test_split([1, 2, 3], [0, 0, 1], stratify=True) | ValueError | class 1 has a single row
train_test_split([1, 2], stratify=[0, 0, 0]) | ValueError | one label a row, shape (2,), and got shape (3,)
train_test_split([1, 2], stratify=nd.zeros((2, 2))) | ValueError | one label a row, shape (2,), and got shape (2, 2)
train_test_split([1, 2, 3, 4], stratify=[0, 0, 1, 1], test_size=1) | ValueError | 3 rows to train and 1 to test do not
train_test_split([1, 2, 3, 4], stratify=[0, 0, 1, 1], test_size=3) | ValueError | 1 rows to train and 3 to test do not hold
"""


@pytest.mark.parametrize("case", WRONG.strip().splitlines())
def test_wrong_use_gets_a_sentence(case):
    code, error, words = case.split(" | ")
    with pytest.raises((ValueError, TypeError)) as caught:
        eval(code)
    assert type(caught.value).__name__ == error
    assert str(caught.value).startswith("train_test_split: ") and words in str(caught.value)


def test_the_split_of_a_made_set_keeps_its_points():
    X, y = make_blobs(40, [[0, 0], [9, 9]])
    X_train, X_test, y_train, y_test = train_test_split(X, y)
    assert sorted(X_train.tolist() + X_test.tolist()) == sorted(X.tolist())
    of = {tuple(row): label for row, label in zip(X.tolist(), y.tolist(), strict=True)}
    assert [of[tuple(row)] for row in X_train.tolist()] == y_train.tolist()
    assert [of[tuple(row)] for row in X_test.tolist()] == y_test.tolist()
