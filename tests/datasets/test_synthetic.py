"""The sets made by formula: where the points lie without noise, what the noise does, and that nothing changes between runs."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.datasets import Dataset, make_blobs, make_moons, make_spirals

MAKERS = [make_blobs, make_moons, make_spirals]
every_maker = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)


def points(data):
    """The points of each class."""
    X, y = map(np.asarray, data)
    return [X[y == k] for k in range(len(data.target_names))]


@every_maker
def test_the_pair(make):
    data = make()
    assert isinstance(data, Dataset)
    assert (data.X.shape, data.X.dtype, data.y.shape, data.y.dtype) == ((100, 2), nd.float64, (100,), nd.int64)
    assert data.feature_names == ("x0", "x1") and data.target_names == tuple("012"[: len(data.target_names)])
    assert make.__name__ in data.source


@every_maker
def test_seeds(make):
    same, again, other = make(seed=3), make(seed=3), make(seed=4)
    assert same.X.tolist() == again.X.tolist() and same.y.tolist() == again.y.tolist()
    assert same.X.tolist() != other.X.tolist() and same.y.tolist() != other.y.tolist()
    assert make().X.tolist() == make(seed=0).X.tolist()


@every_maker
def test_without_a_seed_the_numbers_are_those_of_manual_seed(make):
    tg.manual_seed(5)
    first, second = make(seed=None).X.tolist(), make(seed=None).X.tolist()
    tg.manual_seed(5)
    assert first == make(seed=None).X.tolist() != second


@pytest.mark.parametrize(
    ("make", "labels", "point"),
    [
        (make_blobs, [2, 1, 0, 1, 0, 2], [0.994003524, -1.476018135]),
        (make_moons, [0, 1, 1, 1, 0, 0], [-1.100738242, 0.277742934]),
        (make_spirals, [2, 2, 0, 1, 2, 0], [0.330875986, 0.616863909]),
    ],
)
def test_the_numbers_of_every_run(make, labels, point):
    X, y = make(30)
    assert y.tolist()[:6] == labels
    assert X.tolist()[0] == pytest.approx(point, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(4, 40), classes=st.integers(1, 4), seed=st.integers(-5, 5))
def test_classes_are_balanced(n, classes, seed):
    for data in (make_blobs(n, classes, seed=seed), make_spirals(n, classes, seed=seed), make_moons(n, seed=seed)):
        counts = Counter(data.y.tolist())
        assert len(data.X) == len(data.y) == n
        assert sorted(counts) == [*range(len(data.target_names))]
        assert max(counts.values()) - min(counts.values()) <= 1


@every_maker
def test_the_order_is_random(make):
    y = make(300).y.tolist()
    changes = sum(a != b for a, b in pairwise(y))
    assert changes > 100  # sorted, there would be one or two


def test_moons_without_noise_are_half_circles():
    upper, lower = points(make_moons(200, noise=0))
    assert np.hypot(*upper.T) == pytest.approx(1)
    assert np.hypot(*(lower - [1, 0.5]).T) == pytest.approx(1)
    assert upper[:, 1].min() == pytest.approx(0, abs=1e-12) and lower[:, 1].max() == pytest.approx(0.5)
    angles = np.sort(np.arccos(np.clip(upper[:, 0], -1, 1)))
    assert np.diff(angles) == pytest.approx(math.pi / 99, abs=1e-7)
    assert angles[[0, -1]] == pytest.approx([0, math.pi], abs=1e-7)
    assert (lower[:, 0].min(), lower[:, 0].max()) == pytest.approx((0, 2))


def test_spirals_without_noise_wind_about_the_origin():
    for k, arm in enumerate(points(make_spirals(30, 3, noise=0, turns=1.25))):
        radii = np.hypot(*arm.T)
        assert np.sort(radii) == pytest.approx(np.arange(1, 11) / 10)
        angles = 2 * math.pi * (k / 3 + 1.25 * radii)
        assert np.cos(angles) * radii == pytest.approx(arm[:, 0])
        assert np.sin(angles) * radii == pytest.approx(arm[:, 1])


def test_blobs_without_spread_are_their_centers():
    centers = [[0, 1, 2], [3, 4, 5]]
    found = points(make_blobs(9, centers, cluster_std=0))
    assert [np.unique(blob, axis=0).tolist() for blob in found] == [[c] for c in centers]
    drawn = points(make_blobs(8, 4, n_features=5, cluster_std=0))
    assert {blob.shape for blob in drawn} == {(2, 5)}
    assert all(np.abs(blob).max() <= 10 for blob in drawn)
    assert max(np.abs(blob).max() for blob in drawn) > 5
    assert make_blobs(centers=np.asarray(centers)).X.shape == (100, 3)


def test_the_noise_is_normal_of_the_size_that_was_asked_for():
    n = 4000
    near, far = points(make_blobs(n, [[0, 0], [9, 9]], cluster_std=[0.5, 2.0]))
    assert near.std(axis=0) == pytest.approx([0.5, 0.5], rel=0.1)
    assert (far - 9).std(axis=0) == pytest.approx([2, 2], rel=0.1)
    assert (np.abs(near) < 0.5).mean() == pytest.approx(0.683, abs=0.03)
    upper, lower = points(make_moons(n, noise=0.05))
    assert np.hypot(*upper.T).std() == pytest.approx(0.05, rel=0.1)
    assert np.hypot(*(lower - [1, 0.5]).T).std() == pytest.approx(0.05, rel=0.1)
    arm, *_ = points(make_spirals(n, 2, noise=0.2, turns=0.5))
    radii = np.hypot(*arm.T)
    off = np.angle((arm[:, 0] + 1j * arm[:, 1]) * np.exp(-1j * math.pi * radii))
    assert off.std() == pytest.approx(0.2, rel=0.1)


WRONG = """
make_moons(1) | ValueError | make_moons: n_samples is a whole number from 2 on, not 1
make_moons(True) | ValueError | make_moons: n_samples is a whole number
make_moons(10.0) | TypeError | make_moons: n_samples is an int, not 10.0
make_moons((50, 50)) | TypeError | make_moons: n_samples is an int, not (50, 50)
make_moons(noise=-1) | ValueError | make_moons: noise is a standard deviation and not negative
make_moons(noise=float("nan")) | ValueError | make_moons: noise is a finite number, not nan
make_moons(noise=float("inf")) | ValueError | make_moons: noise is a finite number, not inf
make_moons(noise="a") | TypeError | make_moons: noise is a number, not 'a'
make_moons(noise=None) | TypeError | make_moons: noise is a number, not None
make_moons(seed=0.5) | TypeError | make_moons: a seed is an int, not 0.5
make_spirals(2, 3) | ValueError | make_spirals: n_samples is a whole number from 3 on, not 2
make_spirals(9, 0) | ValueError | make_spirals: classes is a whole number from 1 on, not 0
make_spirals(turns=float("inf")) | ValueError | make_spirals: turns is a finite number
make_spirals(noise=-0.1) | ValueError | make_spirals: noise is a standard deviation
make_blobs(9, 0) | ValueError | make_blobs: centers is a whole number from 1 on, not 0
make_blobs(9, 2.5) | TypeError | make_blobs: centers is an int, not 2.5
make_blobs(9, True) | ValueError | make_blobs: centers is a whole number
make_blobs(9, [1.0, 2.0]) | ValueError | make_blobs: centers is a number, or a list of points
make_blobs(9, []) | ValueError | make_blobs: centers is a number, or a list of points
make_blobs(9, [[], []]) | ValueError | make_blobs: centers is a number, or a list of points
make_blobs(9, [[0.0, float("nan")]]) | ValueError | make_blobs: centers is a number, or a list of points
make_blobs(9, [[0, 0], [1]]) | ValueError | make_blobs: ragged lists
make_blobs(9, "two") | TypeError | make_blobs: an array holds numbers, not 'two'
make_blobs(9, 2, n_features=0) | ValueError | make_blobs: n_features is a whole number from 1 on, not 0
make_blobs(9, 2, cluster_std=[1.0]) | ValueError | make_blobs: cluster_std is one number or one for each of 2 centers
make_blobs(9, 2, cluster_std=[1.0, -1.0]) | ValueError | make_blobs: cluster_std is a standard deviation
make_blobs(1, 2) | ValueError | make_blobs: n_samples is a whole number from 2 on, not 1
"""


@pytest.mark.parametrize("case", WRONG.strip().splitlines())
def test_wrong_use_gets_a_sentence(case):
    code, error, words = case.split(" | ")
    with pytest.raises((ValueError, TypeError)) as caught:
        eval(code)
    assert type(caught.value).__name__ == error
    assert words in str(caught.value)
