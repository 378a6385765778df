"""The two real sets, against what their authors published about them, and the pair that every set is."""

import copy
import hashlib
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.datasets import Dataset, load_digits, load_iris

FOLDER = Path(tg.__file__).parent / "datasets"


def test_digits_are_those_of_the_repository():
    X, y = load_digits()
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((1797, 64), nd.float64, (1797,), nd.int64)
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # from the repository's description of the test file
    assert [Counter(y.tolist())[k] for k in range(10)] == counts
    pixels = X.tolist()
    assert {pixel for row in pixels for pixel in row} == {float(v) for v in range(17)}
    rows = "".join(f"{','.join(f'{pixel:.0f}' for pixel in row)},{k}\n" for row, k in zip(pixels, y.tolist(), strict=True))
    original = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"  # of the lines of the original
    assert hashlib.sha256(rows.encode()).hexdigest() == original


def test_iris_is_that_of_the_paper():
    X, y = load_iris()
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((150, 4), nd.float64, (150,), nd.int64)
    assert y.tolist() == [0] * 50 + [1] * 50 + [2] * 50
    assert X.tolist()[34] == [4.9, 3.1, 1.5, 0.2]  # the two that the repository's own file has wrong
    assert X.tolist()[37] == [4.9, 3.6, 1.4, 0.1]
    lengths, classes = np.asarray(X), np.asarray(y)
    published = {  # least, largest, mean, standard deviation and correlation with the class, from the description
        "sepal_length_cm": (4.3, 7.9, 5.84, 0.83, 0.7826),
        "sepal_width_cm": (2.0, 4.4, 3.05, 0.43, -0.4194),
        "petal_length_cm": (1.0, 6.9, 3.76, 1.76, 0.9490),
        "petal_width_cm": (0.1, 2.5, 1.20, 0.76, 0.9565),
    }
    assert load_iris().feature_names == tuple(published)
    for j, (low, high, mean, std, correlation) in enumerate(published.values()):
        column = lengths[:, j]
        assert (column.min(), column.max()) == (low, high)
        assert column.mean() == pytest.approx(mean, abs=0.01)
        assert column.std(ddof=1) == pytest.approx(std, abs=0.01)
        assert np.corrcoef(column, classes)[0, 1] == pytest.approx(correlation, abs=0.01)
    means = np.round([lengths[classes == k].mean(axis=0) for k in range(3)], 3).tolist()  # table I of the paper
    assert means == [[5.006, 3.428, 1.462, 0.246], [5.936, 2.77, 4.26, 1.326], [6.588, 2.974, 5.552, 2.026]]


def test_names():
    assert load_digits().feature_names[:9] == (*(f"pixel_0_{j}" for j in range(8)), "pixel_1_0")
    assert load_digits().target_names == tuple("0123456789")
    assert load_iris().target_names == ("setosa", "versicolor", "virginica")


@pytest.mark.parametrize("load", [load_digits, load_iris])
def test_origin_and_licence_are_said(load):
    sources = (FOLDER / "SOURCES.md").read_text(encoding="utf-8")
    doi = load().source.partition("https://doi.org/")[2].partition(";")[0]
    assert doi in sources and "CC BY 4.0" in load().source and "CC BY 4.0" in sources


@pytest.mark.parametrize("name", ["digits.csv", "iris.csv"])
def test_the_files_are_plain_tables_of_modest_size(name):
    content = (FOLDER / name).read_bytes()
    assert content.isascii() and content.endswith(b"\n") and b"\r" not in content
    assert len(content) < 300_000
    assert len({line.count(b",") for line in content.splitlines()}) == 1


def test_a_dataset_is_a_pair_with_names():
    data = load_iris()
    X, y = data
    assert isinstance(data, tuple) and len(data) == 2
    assert data.X is X is data[0] and data.y is y is data[1]
    assert repr(data) == "Dataset(X of shape (150, 4), y of shape (150,), 3 classes: setosa, versicolor, virginica)"
    assert repr(load_digits()).endswith("10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)")
    many = Dataset(X, y, target_names=[*map(str, range(11))])
    assert repr(many).endswith("11 classes: 0, 1, 2, ..., 10)")
    assert "\n" not in repr(many)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))])
def test_a_copy_is_the_same_dataset(again):
    data = load_iris()
    other = again(data)
    assert type(other) is Dataset and other.X.tolist() == data.X.tolist() and other.y.tolist() == data.y.tolist()
    assert vars(other) == vars(data) and repr(other) == repr(data)


def test_what_a_user_changes_stays_with_that_user():
    load_iris().target_names = ()
    assert len(load_iris().target_names) == 3
