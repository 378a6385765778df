"""Reductions over any axes, sorting and running sums beside numpy's; sums beside exact fractions."""

import math
import random
import re
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.nd_arrays import arrays, arrays_and_axes, by_bits, near, same, shapes, sound, wild_floats
from tinygrad_sm import nd

many = settings(deadline=None, max_examples=40)
inf, nan = math.inf, math.nan

finite = st.floats(allow_nan=False, allow_infinity=False)
hard_rows = st.lists(finite | st.sampled_from([1e308, -1e308, 1.7e308, -1.7e308, 5e-324, 1e16, 1.0, -1e16]), max_size=9)


def exact_sum(row):
    """The true sum rounded once; beyond the largest float, infinity."""
    total = sum(map(Fraction, row))
    try:
        return float(total)
    except OverflowError:
        return inf if total > 0 else -inf


# --- over any axes


@pytest.mark.parametrize("name", ["max", "min", "all", "any", "count_nonzero", "prod", "sum"])
@many
@given(drawn=arrays_and_axes(), keepdims=st.booleans())
def test_as_numpy(name, drawn, keepdims):
    x, axis = drawn
    ours = nd.asarray(x)
    if name in ("max", "min") and 0 in [x.shape[a] for a in np.arange(x.ndim)[[axis] if axis is not None else ()].flat]:
        with pytest.raises(ValueError, match=rf"{name}: no elements along axis .* of shape"):
            getattr(nd, name)(ours, axis=axis, keepdims=keepdims)
        return
    expected = np.asarray(getattr(np, name)(x, axis=axis, keepdims=keepdims))
    result = getattr(nd, name)(ours, axis=axis, keepdims=keepdims)
    if x.dtype == float and name in ("sum", "prod"):  # numpy's rounding errors depend on the order
        sound(result)
        scale = np.sum(np.abs(x)) if name == "sum" else np.max(np.abs(expected), initial=0)
        np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-14, atol=1e-14 * scale)
        assert result.dtype is nd.float64 and result.shape == expected.shape
    else:
        same(result, expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, for the mean of nothing
@pytest.mark.parametrize("name", ["mean", "var", "std"])
@many
@given(drawn=arrays_and_axes(), keepdims=st.booleans(), correction=st.sampled_from([0, 1, 0.5, 99]))
def test_means_as_numpy(name, drawn, keepdims, correction):
    x, axis = drawn
    settings = {"correction": correction} if name != "mean" else {}
    with np.errstate(all="ignore"):
        expected = np.asarray(getattr(np, name)(x, axis=axis, keepdims=keepdims, **settings))
    result = getattr(nd, name)(nd.asarray(x), axis=axis, keepdims=keepdims, **settings)
    sound(result)
    assert result.dtype is nd.float64 and result.shape == expected.shape
    np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-12, atol=1e-9)


@many
@given(arrays_and_axes(np.float64, wild_floats))
def test_nan_is_the_largest_and_the_smallest(drawn):
    x, axis = drawn
    ours = nd.asarray(x)
    if 0 not in x.shape:
        same(nd.max(ours, axis=axis), np.max(x, axis=axis))
        same(nd.min(ours, axis=axis), np.min(x, axis=axis))
    same(nd.any(ours, axis=axis), np.any(x, axis=axis))
    same(nd.all(ours, axis=axis), np.all(x, axis=axis))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@many
@given(x=arrays(shapes) | arrays(shapes, np.float64, wild_floats | st.just(nan)), data=st.data(), keepdims=st.booleans())
def test_index_of_the_extreme(name, x, data, keepdims):
    axis = data.draw(st.sampled_from([None, *range(-x.ndim, x.ndim)]))
    ours = nd.asarray(x)
    if 0 in (x.shape if axis is None else x.shape[axis : axis + 1 or None]):
        with pytest.raises(ValueError, match=rf"{name}: no elements along axis {axis} of shape"):
            getattr(nd, name)(ours, axis=axis, keepdims=keepdims)
    else:
        same(getattr(nd, name)(ours, axis=axis, keepdims=keepdims), getattr(np, name)(x, axis=axis, keepdims=keepdims))


# --- sums


@settings(deadline=None, max_examples=300)
@given(hard_rows, st.randoms(use_true_random=False))
def test_sums_are_exact_and_know_no_order(row, random):
    expected = exact_sum(row)
    assert nd.sum(nd.asarray(row)).item() == expected
    shuffled = [*row]
    random.shuffle(shuffled)
    assert nd.sum(nd.asarray(shuffled)).item() == expected
    try:
        assert math.fsum(row) == expected
    except OverflowError:  # where ours does not give up
        assert max(map(abs, row)) > 1e307


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1e308, 1e308, -1e308], 1e308),
        ([1e308, 1e308, -1e308, -1e308], 0.0),
        ([1.7e308, 1.7e308, -1.7e308, -1.7e308, 5e-324], 5e-324),
        ([1e308] * 9, inf),
        ([-1e308] * 9, -inf),
        ([1e308, 1e308, -inf], -inf),
        ([-1e308, -1e308, inf], inf),
        ([1e308, 1e308, nan], nan),
        ([inf, -inf], nan),
        ([inf, -inf, nan], nan),
        ([inf, nan], nan),
        ([inf, 1.0], inf),
        ([], 0.0),
        ([2.0**1023, 2.0**1023, -(2.0**971)], 1.7976931348623157e308),
        ([2.0**1023, 2.0**1023, -(2.0**971), 2.0**969], 1.7976931348623157e308),
        ([2.0**1023, 2.0**1023, -(2.0**970)], inf),  # halfway, to even
    ],
)
def test_hard_sums(row, expected):
    assert near(nd.sum(nd.asarray(row)).item(), expected)
    assert near(nd.sum(nd.asarray(row[::-1])).item(), expected)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (lambda: nd.sum([2**80, 1, -(2**80)]), 1),
        (lambda: nd.sum([True, True]), 2),
        (lambda: nd.sum([[]]), 0.0),
        (lambda: nd.prod([]), 1.0),
        (lambda: nd.prod([True, True]), 1),
        (lambda: nd.prod([2**80, 2**80]), 2**160),
        (lambda: nd.prod([1e200, 1e200, 0.5]), inf),
        (lambda: nd.prod([inf, 0.0]), nan),
        (lambda: nd.sum([1, 2], dtype=nd.float64), 3.0),
        (lambda: nd.sum([0.5, 0.7], dtype=nd.int64), 0),
        (lambda: nd.prod([0.5, 2.7], dtype=nd.int64), 0),
        (lambda: nd.mean([1, 2]), 1.5),
        (lambda: nd.mean([True, False]), 0.5),
        (lambda: nd.mean([]), nan),
        (lambda: nd.var([5.0]), 0.0),
        (lambda: nd.var([5.0], correction=1), nan),
        (lambda: nd.var([1.0, 2.0], correction=2), inf),
        (lambda: nd.var([0.1] * 10), 0.0),
        (lambda: nd.var([1e16, 1e16 + 2.0, 1e16 + 2.0, 1e16 + 2.0]), 0.75),  # although the mean is no float
        (lambda: nd.std([]), nan),
        (lambda: nd.std([1.0, inf]), nan),
        (lambda: nd.var([1e308, -1e308]), inf),
        (lambda: nd.all([]), True),
        (lambda: nd.any([]), False),
        (lambda: nd.any([nan]), True),
        (lambda: nd.count_nonzero([0.0, -0.0, nan, 2.0]), 2),
        (lambda: nd.count_nonzero([True, False, True]), 2),
        (lambda: nd.max([True, False]), True),
        (lambda: nd.max([1.0, nan, 2.0]), nan),
        (lambda: nd.min([1.0, nan]), nan),
        (lambda: nd.argmin([1.0, nan, 0.0, nan]), 1),
        (lambda: nd.max([-inf, inf]), inf),  # of which the sum is nan
        (lambda: nd.argmin([inf, -inf]), 1),
        (lambda: nd.sort([inf, -inf])[0], -inf),
        (lambda: nd.sort([0.0, -0.0], descending=True)[0], 0.0),  # equal, so they stay as they were
        (lambda: nd.argsort([1.0, 1.0], descending=True)[0], 0),
        (lambda: nd.argmax([0.0, -0.0]), 0),
        (lambda: nd.argmin([0.0, -0.0]), 0),
        (lambda: nd.argmax(5.0), 0),
        (lambda: nd.argmax([[1.0, nan], [nan, inf]]), 1),
    ],
)
def test_cases(action, expected):
    result = action()
    sound(result)
    assert result.shape == () and repr(result.item()) == repr(expected)


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "min"])
def test_a_plain_float_stays_one(name):
    result = getattr(nd, name)(0.1)
    assert type(result) is float and result == 0.1
    assert type(nd.var(0.1)) is float and nd.var(0.1) == nd.std(0.1) == 0.0


# --- sorting


@pytest.mark.parametrize("descending", [False, True])
@many
@given(x=arrays(shapes.filter(len)) | arrays(shapes.filter(len), np.float64, wild_floats | st.just(nan)), data=st.data())
def test_sort(x, data, descending):
    """In order, nan last, equal elements in their own order."""
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    ours = nd.asarray(x)
    keys = -x.astype(float) if descending else x
    order = np.argsort(keys, axis=axis, stable=True)
    same(nd.argsort(ours, axis=axis, descending=descending), order)
    ordered = nd.sort(ours, axis=axis, descending=descending)
    same(ordered, np.take_along_axis(x, order, axis=axis))
    assert by_bits(ordered) == by_bits(np.take_along_axis(x, order, axis=axis))
    if axis == -1:
        same(nd.argsort(ours, descending=descending), order)
        same(nd.sort(ours, descending=descending), np.take_along_axis(x, order, axis=axis))


# --- running sums


@many
@given(arrays(shapes.filter(len)), st.data(), st.booleans())
def test_cumulative_sum(x, data, initial):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    expected = np.cumulative_sum(x, axis=axis, include_initial=initial)
    result = nd.cumulative_sum(nd.asarray(x), axis=axis, include_initial=initial)
    sound(result)
    assert result.dtype is (nd.float64 if x.dtype == float else nd.int64) and result.shape == expected.shape
    np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-13, atol=1e-9)
    if x.ndim == 1:
        assert nd.cumulative_sum(nd.asarray(x), include_initial=initial).tolist() == result.tolist()


def test_running_sums_put_their_errors_back():
    rng = random.Random(0)
    row = [rng.uniform(-1.0, 1.0) * 10.0 ** rng.randint(0, 9) for _ in range(1000)]
    expected = [float(total) for total in accumulate(map(Fraction, row))]
    for x, y in zip(nd.cumulative_sum(nd.asarray(row)).tolist(), expected, strict=True):
        assert abs(x - y) <= math.ulp(y)
    assert [*accumulate(row)][-1] != expected[-1]


def test_running_sums_of_what_overflows():
    assert nd.cumulative_sum([1.0, inf, 2.0]).tolist() == [1.0, inf, inf]
    assert nd.cumulative_sum([1e308, 1e308]).tolist() == [1e308, inf]
    assert repr(nd.cumulative_sum([inf, -inf, 1.0]).tolist()) == "[inf, nan, nan]"
    assert nd.cumulative_sum([True, True, False], dtype=nd.float64).tolist() == [1.0, 2.0, 2.0]
    assert nd.cumulative_sum([2**80, 1]).tolist() == [2**80, 2**80 + 1]


# --- kernels on rows


@many
@given(arrays_and_axes(np.float64), st.booleans())
def test_along_and_reduce_along(drawn, keepdims):
    x, axis = drawn
    ours = nd.asarray(x)
    reversed_rows = nd.along("backwards", ours, axis, lambda row: row[::-1])
    axes = axis if isinstance(axis, tuple) else None if axis is None else (axis,)
    same(reversed_rows, np.flip(x, axis=axes))  # the elements of several axes, read backwards, are flipped along each
    count = nd.reduce_along("count", ours, axis, len, keepdims=keepdims, dtype=nd.int64)
    same(count, np.sum(np.ones(x.shape, int), axis=axis, keepdims=keepdims))


# --- errors


@pytest.mark.parametrize(
    "name", "sum prod max min mean var std all any count_nonzero argmax argmin sort argsort cumulative_sum".split()
)
def test_errors_of_axes(name):
    function = getattr(nd, name)
    with pytest.raises(nd.AxisError, match=rf"{name}: axis 2 is out of range for 2 dimension\(s\), from -2 to 1"):
        function(nd.zeros((2, 3)), axis=2)
    with pytest.raises(nd.AxisError, match=f"{name}: axis -1 of a 0-d input, which has no axes"):
        function(1.0, axis=-1)
    with pytest.raises(TypeError, match=f"{name}: an axis is an int, not 1.5"):
        function(nd.zeros((2, 3)), axis=1.5)
    with pytest.raises(TypeError, match=f"{name}: an array holds numbers, not 'a'"):
        function("a", axis=0)
    for wrong in (True, False, [0], [True, False]):
        sentence = f"{name}: an axis is an int, (a tuple of ints or None, )?not {re.escape(str(wrong))}$"
        with pytest.raises(TypeError, match=sentence):
            function(nd.zeros((2, 3)), axis=wrong)
    if not name.startswith(("arg", "sort", "cum")):
        with pytest.raises(TypeError, match=f"^{name}: an axis is an int, not True$"):
            function(nd.zeros((2, 3)), axis=(0, True))
        with pytest.raises(ValueError, match=rf"{name}: the same axis twice in \(0, -2\)"):
            function(nd.zeros((2, 3)), axis=(0, -2))


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: nd.max([]), ValueError, r"max: no elements along axis None of shape \(0,\)"),
        (lambda: nd.cumulative_sum([[1.0]]), ValueError, r"cumulative_sum: shape \(1, 1\) needs an axis"),
        (lambda: nd.cumulative_sum(1.0), ValueError, r"cumulative_sum: shape \(\) needs an axis"),
        (lambda: nd.sum([nan], dtype=nd.int64), ValueError, "sum: int64: nan has no place"),
        (lambda: nd.sum([1.0], dtype=float), TypeError, "sum: a dtype is one of nd.bool"),
        (lambda: nd.var([1.0], correction="a"), TypeError, "var: an array holds numbers, not 'a'"),
        (lambda: nd.std([1.0], correction=[1]), TypeError, "std: needs numbers"),
    ],
)
def test_errors(action, error, message):
    with pytest.raises(error, match=message):
        action()
