"""Arrays from nothing, and random numbers that can be had again."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tinygrad_sm import nd


@pytest.mark.parametrize("make", [tg.zeros, tg.ones, tg.rand, tg.randn])
@pytest.mark.parametrize(
    ("sizes", "shape"),
    [((), ()), ((3,), (3,)), ((2, 3), (2, 3)), (((2, 3),), (2, 3)), (([2],), (2,)), ((0, 2), (0, 2)), (((),), ())],
)
def test_shapes(make, sizes, shape):
    x = make(*sizes)
    assert type(x) is nd.Array
    assert x.shape == shape
    assert x.dtype is nd.float64


@pytest.mark.parametrize("make", [tg.zeros, tg.ones, tg.rand, tg.randn])
@pytest.mark.parametrize("sizes", [(2.5,), ("a",), (None,), (-1,), (2, -1), ((2, -3),)], ids=repr)
def test_shapes_that_are_none(make, sizes):
    with pytest.raises((TypeError, ValueError), match="shape"):
        make(*sizes)


def test_contents():
    assert tg.zeros(2).tolist() == [0.0, 0.0]
    assert tg.ones(1, 2).tolist() == [[1.0, 1.0]]
    assert tg.full((2,), 7).tolist() == [7.0, 7.0]
    assert tg.full(2, 0.5).dtype is nd.float64
    assert tg.arange(3).tolist() == [0, 1, 2]
    assert tg.arange(3).dtype is nd.int64
    assert tg.arange(1.0, 2.0, 0.25).tolist() == [1.0, 1.25, 1.5, 1.75]
    assert tg.arange(5, 0, -2).tolist() == [5, 3, 1]
    assert tg.arange(0).shape == (0,)
    with pytest.raises(ValueError, match=r"^arange: the step is 0"):
        tg.arange(0, 5, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 20))
def test_seeds_repeat(seed, n):
    """With a seed of its own, or after manual_seed; and the two streams do not touch each other."""
    for draw in (tg.rand, tg.randn):
        assert draw(n, seed=seed).tolist() == draw(n, seed=seed).tolist()
        tg.manual_seed(seed)
        first = [draw(n).tolist(), tg.rand(3).tolist()]
        tg.manual_seed(seed)
        again = [draw(n).tolist(), *([] if draw(2, seed=1) is None else [tg.rand(3).tolist()])]
        assert first == again


def test_seeds_differ():
    assert tg.rand(5, seed=1).tolist() != tg.rand(5, seed=2).tolist()
    assert tg.rand(5).tolist() != tg.rand(5).tolist()


def test_manual_seed_forgets_half_drawn_pairs():
    """Normal numbers are drawn in pairs; the second half must not survive a new seed."""
    tg.manual_seed(0)
    first = tg.randn(3).tolist()
    tg.manual_seed(0)
    assert tg.randn(1).tolist() + tg.randn(2).tolist() == first


def test_distributions():
    even, normal = tg.rand(4000, seed=0).tolist(), tg.randn(4000, seed=0).tolist()
    assert min(even) >= 0.0 and max(even) < 1.0
    assert abs(math.fsum(even) / 4000 - 0.5) < 0.03
    assert abs(math.fsum(normal)) / 4000 < 0.08
    assert abs(math.fsum(x * x for x in normal) / 4000 - 1.0) < 0.12
