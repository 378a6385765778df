"""Reading by index, as numpy does it, and its transpose, adding back."""

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.helpers.nd_arrays import arrays, numbered, same, shapes
from tinygrad_sm import nd

many = settings(deadline=None, max_examples=100)


def with_ours(key):
    """The same key with arrays of ours, and with lists, in place of numpy's."""
    items = key if isinstance(key, tuple) else (key,)
    ours = tuple(nd.asarray(k) if isinstance(k, np.ndarray) else k for k in items)
    lists = tuple(k.tolist() if isinstance(k, np.ndarray) and k.size else k for k in items)
    return [key, ours, lists] if isinstance(key, tuple) else [key, *ours, *lists]


@st.composite
def keys(draw, shape):
    """Any key that fits `shape`: ints, slices, index arrays that broadcast, masks over one or more axes, None and `...`."""
    common = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    kinds = ["int", "slice", "array", "mask", "none", "dots", "stop"]
    items, axis = [], 0
    while axis < len(shape):
        n = shape[axis]
        kind = draw(st.sampled_from(kinds))
        if kind == "stop":
            break
        if kind == "none":
            items.append(None)
        elif kind == "dots":  # for any number of axes; once, and then the key goes on to the last axis
            items.append(...)
            axis += draw(st.integers(0, len(shape) - axis))
            kinds = ["int", "slice", "array", "mask", "none"]
        elif kind == "mask":
            covered = shape[axis : axis + draw(st.integers(1, 2))]
            items.append(draw(arrays(covered, np.bool_)))
            axis += len(covered)
        elif kind == "slice" or n == 0:
            edge = st.none() | st.integers(-n - 2, n + 2)
            items.append(slice(draw(edge), draw(edge), draw(st.sampled_from([None, 1, 2, 3, -1, -2, -3]))))
            axis += 1
        elif kind == "int":
            items.append(draw(st.integers(-n, n - 1)))
            axis += 1
        else:
            own = common[draw(st.integers(0, len(common))) :]
            own = tuple(draw(st.sampled_from([1, m])) for m in own)
            items.append(draw(arrays(own, np.int64, st.integers(-n, n - 1))))
            axis += 1
    return tuple(items) if len(items) != 1 or draw(st.booleans()) else items[0]


@st.composite
def arrays_and_keys(draw):
    x = draw(numbered())
    return x, draw(keys(x.shape))


def order_of(shape):
    """Ints that differ, not in their order."""
    return (np.arange(np.prod(shape, dtype=int)) * 7 % 31 - 11).reshape(shape)


@many
@given(arrays_and_keys())
def test_as_numpy(drawn):
    x, key = drawn
    try:
        expected = x[key]
    except IndexError:
        for k in with_ours(key):
            with pytest.raises(IndexError):
                nd.asarray(x)[k]
        return
    for k in with_ours(key):
        same(nd.asarray(x)[k], expected)


@many
@given(arrays_and_keys())
def test_scatter_add_is_the_transpose(drawn):
    """What numpy adds at the places; so that <scatter_add(v, key), x> = <v, x[key]>, exactly, on ints."""
    x, key = drawn
    try:
        picked = order_of(x.shape)[key]
    except IndexError:
        return
    values, expected = order_of(picked.shape), np.zeros(x.shape, int)
    np.add.at(expected, key, values)
    back = nd.scatter_add(nd.asarray(values), key, x.shape)
    same(back, expected)
    assert nd.sum(back * nd.asarray(order_of(x.shape))).item() == (values * picked).sum()
    same(nd.scatter_add(nd.asarray(values.astype(float)), key, x.shape), expected.astype(float))


def test_what_arrives_at_one_place_is_added_exactly():
    values = nd.asarray([1e16, 1.0, -1e16, 1.0])
    assert nd.scatter_add(values, [2, 2, 2, 0], (3,)).tolist() == [1.0, 0.0, 1.0]
    assert nd.scatter_add([True, True], [0, 0], 2).tolist() == [2, 0]
    assert nd.scatter_add(5.0, slice(None), (2, 2)).tolist() == [[5.0, 5.0], [5.0, 5.0]]
    exact = nd.scatter_add(nd.exact([0.1, 0.2, 0.3], 40), [1, 1, 0], (2,))
    assert exact.dtype is nd.decimal(40)
    assert exact.tolist() == (nd.exact([0.3, 0.1], 40) + nd.exact([0, 0.2], 40)).tolist()


def test_numpys_kinds_of_keys():
    x = np.arange(24).reshape(2, 3, 4)
    ours = nd.asarray(x)
    for key in (
        np.int64(1),
        (np.int8(-1), np.uint8(2)),
        np.array(1),
        (slice(None), np.array([2, 0], dtype=np.uint8)),
        (slice(np.int64(1), None),),
        ([0, 1], [[2], [0]]),
        (1, slice(None), [0, 0]),
        ([0, 1], slice(None), 1),
        ([0], None, [1]),
        (slice(None), [0, 1, 2], None, [1, 1, 1]),
        (slice(None), [0, 1, 2], ..., [1, 1, 1]),  # even where ... stands for no axis
        (slice(None), [0, 1, 2], [1, 1, 1]),
        (None, slice(None), 0, [1, 1, 1]),
        [True, 0, 1],  # ints, unless all are bools
        (None, [0], [1]),
        (..., np.array([True, False, True, True])),
        (None, ..., np.array([True, False, True, True])),
        (0, np.ones((3, 4), bool)),
        ([True, False],),
        [True, False],
        [],
        ([], 1),
        np.zeros(0, int),
        np.zeros((2, 0), int),
        (),
        ...,
        None,
        ((1, 0), (2, 1)),
        (slice(None, None, -2), ..., slice(3, 0, -1)),
        (0, 0, slice(-9, None, -1)),
        (slice(1, None), slice(9, 5, -1), slice(None, None, -3)),
    ):
        same(ours[key], x[key])
    same(ours[nd.asarray(1), nd.asarray([0, 2])], x[1, [0, 2]])
    same(ours[range(2), range(1, 3)], x[[0, 1], [1, 2]])
    same(ours[ours > 7], x[x > 7])
    same(ours[:, array_api_strict.asarray([2, 0])], x[:, [2, 0]])
    same(ours[array_api_strict.asarray([True, False])], x[:1])


ONE, THREE = nd.zeros((3,)), nd.zeros((2, 3, 4))


@pytest.mark.parametrize(
    ("x", "key", "error", "message"),
    [
        (ONE, 3, IndexError, r"index 3 is out of range for axis 0 of shape \(3,\)"),
        (ONE, -4, IndexError, r"index -4 is out of range for axis 0 of shape \(3,\)"),
        (THREE, (0, [0, 5]), IndexError, r"index 5 is out of range for axis 1 of shape \(2, 3, 4\)"),
        (THREE, (..., -5), IndexError, r"index -5 is out of range for axis 2"),
        (nd.zeros((0,)), 0, IndexError, r"index 0 .* shape \(0,\)"),
        (THREE, (0, 0, 0, 0), IndexError, r"4 indices for the 3 axes of shape \(2, 3, 4\)"),
        (nd.asarray(1.0), 0, IndexError, r"1 indices for the 0 axes of shape \(\)"),
        (THREE, (..., 0, ...), IndexError, "at most one"),
        (THREE, ([0, 1], [0, 1, 2]), IndexError, r"shapes \(2,\) and \(3,\)"),
        (ONE, [True, False], IndexError, r"mask of shape \(2,\) on axis 0 of an array of shape \(3,\)"),
        (THREE, (..., [True, False]), IndexError, r"mask of shape \(2,\) on axis 2"),
        (THREE, np.ones((2, 4), bool), IndexError, r"mask of shape \(2, 4\)"),
        (ONE, True, IndexError, r"mask of shape \(\)"),
        (ONE, nd.asarray(False), IndexError, r"mask of shape \(\)"),
        (ONE, 1.0, TypeError, "an index is an int, a slice, ..., None or an array of ints or bools, not 1.0"),
        (ONE, [0.0, 1.0], TypeError, "not 0.0"),
        (ONE, nd.asarray([1.0]), TypeError, "not 1.0"),
        (ONE, "a", TypeError, "not 'a'"),
        (ONE, {}, TypeError, "not {}"),
        (ONE, [None], TypeError, "not None"),
        (ONE, [[0], [0, 1]], ValueError, "ragged"),
        (ONE, slice("a"), TypeError, "slice"),
        (ONE, slice(None, None, 0), ValueError, "zero"),
    ],
)
def test_errors(x, key, error, message):
    with pytest.raises(error, match=message):
        x[key]
    with pytest.raises(error, match=message):
        nd.scatter_add(0.0, key, x.shape)


@pytest.mark.parametrize(
    ("values", "key", "shape", "message"),
    [
        (nd.zeros((2,)), [0, 1, 2], (3,), r"scatter_add: shapes \(2,\) and \(3,\)"),
        (nd.zeros((2, 1)), [0], (3,), r"scatter_add: values of shape \(2, 1\) do not stretch to shape \(1,\)"),
        (1.0, 0, (-3,), r"scatter_add: .*negative sizes: \(-3,\)"),
    ],
)
def test_errors_of_scatter_add(values, key, shape, message):
    with pytest.raises(ValueError, match=message):
        nd.scatter_add(values, key, shape)


# --- take and take_along_axis


@many
@given(numbered(shapes.filter(lambda s: len(s) and 0 not in s)), st.data())
def test_take(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    n = x.shape[axis]
    indices = data.draw(arrays(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0), np.int64, st.integers(-n, n - 1)))
    expected = np.take(x, indices, axis=axis)
    for given_as in (indices, nd.asarray(indices), indices.tolist()) if indices.size else (indices,):
        same(nd.take(nd.asarray(x), given_as, axis=axis), expected)
    if x.ndim == 1:
        same(nd.take(nd.asarray(x), indices), expected)


@st.composite
def along_an_axis(draw):
    x = draw(numbered(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)))
    axis = draw(st.integers(-x.ndim, x.ndim - 1))
    shape = [draw(st.sampled_from([1, n])) for n in x.shape]
    shape[axis] = draw(st.integers(0, 4))
    n = x.shape[axis]
    return x, draw(arrays(tuple(shape), np.int64, st.integers(-n, n - 1))), axis


@many
@given(along_an_axis())
def test_take_along_axis(drawn):
    x, indices, axis = drawn
    same(nd.take_along_axis(nd.asarray(x), nd.asarray(indices), axis=axis), np.take_along_axis(x, indices, axis=axis))
    if axis in (-1, x.ndim - 1):
        same(nd.take_along_axis(nd.asarray(x), indices), np.take_along_axis(x, indices, axis=-1))


@many
@given(along_an_axis())
def test_scatter_add_along_axis_is_the_transpose(drawn):
    x, indices, axis = drawn
    x = order_of(x.shape)
    picked = np.take_along_axis(x, indices, axis=axis)
    values = order_of(picked.shape)
    back = nd.scatter_add_along_axis(nd.asarray(values), nd.asarray(indices), x.shape, axis=axis)
    assert back.shape == x.shape
    assert nd.sum(back * nd.asarray(x)).item() == (values * picked).sum()


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: nd.take(THREE, [0]), ValueError, r"take: shape \(2, 3, 4\) needs an axis"),
        (lambda: nd.take(ONE, [0.5], axis=0), TypeError, "take: indices are ints, not float64"),
        (lambda: nd.take(ONE, [True], axis=0), TypeError, "take: indices are ints, not bool"),
        (lambda: nd.take(ONE, [3], axis=0), IndexError, r"index 3 is out of range for axis 0 of shape \(3,\)"),
        (lambda: nd.take(ONE, [0], axis=1), nd.AxisError, "take: axis 1 is out of range"),
        (lambda: nd.take(1.0, [0], axis=0), nd.AxisError, "take: axis 0 of a 0-d input"),
        (lambda: nd.take_along_axis(THREE, [0]), ValueError, r"take_along_axis: indices of shape \(1,\) for shape \(2, 3, 4\)"),
        (lambda: nd.take_along_axis(THREE, nd.zeros((2, 2, 4), dtype=nd.int64)), ValueError, "do not fit beside axis -1"),
        (lambda: nd.take_along_axis(ONE, [1.0]), TypeError, "take_along_axis: indices are ints, not float64"),
        (lambda: nd.scatter_add_along_axis(1.0, [3], (3,)), IndexError, "index 3 is out of range"),
        (lambda: nd.scatter_add_along_axis(ONE, [[1]], (3,)), ValueError, "scatter_add_along_axis: indices of shape"),
    ],
)
def test_errors_of_take(action, error, message):
    with pytest.raises(error, match=message):
        action()
