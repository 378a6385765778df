"""Making arrays and moving their elements about, beside numpy."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.helpers.nd_arrays import arrays, numbered, same, shapes, sound
from tinygrad_sm import nd

many = settings(deadline=None, max_examples=50)


# --- moving


@many
@given(numbered(), st.data())
def test_reshape(x, data):
    ours = nd.asarray(x)
    factors = [n for n in range(1, x.size + 1) if x.size % n == 0] or [0]
    shape = (a := data.draw(st.sampled_from(factors)), x.size // a if a else 3)
    for wanted in (shape, (*shape, 1), (1, *shape), [-1], -1, x.shape, *([(shape[0], -1)] if x.size else [])):
        same(nd.reshape(ours, wanted), x.reshape(wanted))


@many
@given(numbered(), st.data())
def test_permute_dims(x, data):
    axes = data.draw(st.permutations(range(x.ndim)))
    some_negative = tuple(a - x.ndim * (a % 2) for a in axes)
    same(nd.permute_dims(nd.asarray(x), some_negative), np.transpose(x, axes))
    same(nd.permute_dims(nd.asarray(x), list(axes)), np.transpose(x, axes))


@many
@given(numbered(), st.data())
def test_flip(x, data):
    axes = tuple(data.draw(st.permutations(range(x.ndim)))[: data.draw(st.integers(0, x.ndim))])
    for axis in (None, axes, *(a - x.ndim for a in axes)):
        same(nd.flip(nd.asarray(x), axis=axis), np.flip(x, axis=axis))


@many
@given(numbered(), st.data())
def test_expand_dims_and_squeeze(x, data):
    axis = data.draw(st.integers(-x.ndim - 1, x.ndim))
    larger = nd.expand_dims(nd.asarray(x), axis=axis)
    same(larger, np.expand_dims(x, axis))
    same(nd.squeeze(larger, axis), x)
    places = tuple(data.draw(st.permutations(range(x.ndim + 2)))[:2])
    larger = nd.expand_dims(nd.asarray(x), axis=places)
    same(larger, np.expand_dims(x, places))
    same(nd.squeeze(larger, places), x)
    same(nd.squeeze(larger), np.squeeze(x))
    same(nd.squeeze(larger, ()), np.expand_dims(x, places))


@many
@given(hnp.mutually_broadcastable_shapes(num_shapes=1, base_shape=(2, 0, 3)) | hnp.mutually_broadcastable_shapes(num_shapes=1))
def test_broadcast_to(drawn):
    (shape,), target = drawn
    x = np.arange(math.prod(shape)).reshape(shape)
    if np.broadcast_shapes(shape, target) == target:
        same(nd.broadcast_to(nd.asarray(x), target), np.broadcast_to(x, target))


@many
@given(numbered(shapes.filter(len)), st.data())
def test_concat_and_stack(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    sizes = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    parts = [x]
    for n in sizes:
        shape = (*x.shape[: axis % x.ndim], n, *x.shape[axis % x.ndim + 1 :])
        parts.append(data.draw(arrays(shape)))
    ours = [*map(nd.asarray, parts)]
    numpys = [*parts]
    if not all(p.dtype == bool for p in parts):  # numpy keeps the bools out of ints, and so do we
        numpys = [p.astype(int) if p.dtype == bool else p for p in parts]
    same(nd.concat(ours, axis=axis), np.concatenate(numpys, axis=axis))
    same(nd.concat(tuple(ours), axis=None), np.concatenate(numpys, axis=None))
    at = data.draw(st.integers(-x.ndim - 1, x.ndim))
    same(nd.stack([ours[0], ours[0], ours[0]], axis=at), np.stack([x, x, x], axis=at))


@many
@given(numbered(shapes.filter(lambda s: len(s) > 1)), st.integers(-4, 4))
def test_triangles(x, k):
    same(nd.tril(nd.asarray(x), k=k), np.tril(x, k=k))
    same(nd.triu(nd.asarray(x), k=k), np.triu(x, k=k))


def test_triangles_of_infinities_and_decimals():
    bad = nd.asarray([[1.0, math.inf], [math.nan, 2.0]])
    assert nd.tril(bad, k=-1)[0].tolist() == [0.0, 0.0]
    assert nd.triu(bad).tolist() == [[1.0, math.inf], [0.0, 2.0]]
    exact = nd.tril(nd.exact([[1, 2], [3, 4]], 20))
    assert exact.dtype is nd.decimal(20) and exact.tolist() == [[1, 0], [3, 4]]


# --- making


@many
@given(shapes, st.sampled_from([0.5, 3, True, nd.asarray(2), nd.asarray([2.5])]))
def test_full(shape, value):
    for dtype in (None, nd.float64, nd.int64, nd.bool, nd.decimal(20)):
        array = nd.full(shape, value, dtype=dtype)
        sound(array)
        assert array.shape == shape and array.dtype is (dtype or nd.asarray(value).dtype)
        assert all(v == array.dtype.lift(nd.asarray(value).item()) for v in array._flat)
        like = nd.full_like(nd.zeros(shape, dtype=nd.int64), value, dtype=dtype)
        assert like.shape == shape and like.dtype is (dtype or nd.int64)
    same(nd.zeros(shape), np.zeros(shape))
    same(nd.ones(shape, dtype=nd.int64), np.ones(shape, int))
    same(nd.zeros_like(nd.ones(shape, dtype=nd.bool)), np.zeros(shape, bool))
    same(nd.ones_like(nd.zeros(shape)), np.ones(shape))


def test_like_a_plain_float():
    assert type(nd.zeros_like(0.5)) is type(nd.full_like(0.5, 3)) is float
    assert nd.full_like(0.5, 3) == 3.0 and nd.ones_like(0.5) == 1.0
    assert nd.ones_like(0.5, dtype=nd.int64).tolist() == 1


def test_shapes_are_ints_or_anything_with_ints():
    for shape in (3, [3], (3,), iter([3]), np.array([3]), nd.asarray([3]), (nd.asarray(3),), (np.int64(3),)):
        assert nd.zeros(shape).shape == (3,)


@many
@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(-3, 3).filter(bool))
def test_arange(start, stop, step):
    same(nd.arange(start, stop, step), np.arange(start, stop, step))
    same(nd.arange(stop), np.arange(stop))
    same(nd.arange(start, stop), np.arange(start, stop))
    same(nd.arange(start / 2, stop, step / 4), np.arange(start / 2, stop, step / 4))
    same(nd.arange(start, stop=stop, step=step, dtype=nd.float64), np.arange(start, stop, step, dtype=float))


def test_arange_of_large_ints():
    assert nd.arange(0, 10**17 + 1, 10**17).tolist() == [0, 10**17]
    assert nd.arange(2**80, 2**80 + 2).tolist() == [2**80, 2**80 + 1]
    assert nd.arange(nd.asarray(2)).tolist() == [0, 1]
    assert nd.arange(3.0).tolist() == [0.0, 1.0, 2.0]


@many
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(0, 6), st.booleans())
def test_linspace(start, stop, num, endpoint):
    result = nd.linspace(start, stop, num, endpoint=endpoint)
    sound(result)
    assert result.dtype is nd.float64 and result.shape == (num,)
    np.testing.assert_allclose(result.tolist(), np.linspace(start, stop, num, endpoint=endpoint), rtol=1e-12, atol=1e-9)
    if num > 1:
        assert result[0] == start and (not endpoint or result[-1] == stop)


@many
@given(st.integers(0, 4), st.none() | st.integers(0, 4), st.integers(-5, 5))
def test_eye(rows, columns, k):
    same(nd.eye(rows, columns, k=k), np.eye(rows, columns, k=k))
    same(nd.eye(rows, columns, k=k, dtype=nd.bool), np.eye(rows, columns, k=k, dtype=bool))


# --- errors

X = nd.zeros((2, 3))


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: nd.reshape(X, (4, 2)), ValueError, r"reshape: 6 elements of shape \(2, 3\) do not fit shape \(4, 2\)"),
        (lambda: nd.reshape(X, (4, -1)), ValueError, r"reshape: 6 elements .* shape \(4, -1\)"),
        (lambda: nd.reshape(X, (-1, -1)), ValueError, r"reshape: .* \(-1, -1\)"),
        (lambda: nd.reshape(X, (-2, -3)), ValueError, r"reshape: .* \(-2, -3\)"),
        (lambda: nd.reshape(nd.zeros((0, 2)), (0, -1)), ValueError, r"reshape: 0 elements"),
        (lambda: nd.reshape(X, "ab"), TypeError, "reshape: a shape is an int or a tuple of ints, not 'ab'"),
        (lambda: nd.reshape(X, None), TypeError, "reshape: a shape is an int or a tuple of ints, not None"),
        (lambda: nd.permute_dims(X, (0, 0)), ValueError, r"permute_dims: \(0, 0\) is no order of the 2 axes"),
        (lambda: nd.permute_dims(X, (0,)), ValueError, r"permute_dims: \(0,\) is no order of the 2 axes"),
        (lambda: nd.permute_dims(X, (0, 2)), nd.AxisError, "permute_dims: axis 2 is out of range"),
        (lambda: nd.permute_dims(X, 1), TypeError, "permute_dims: axes is a tuple"),
        (lambda: nd.matrix_transpose([1.0]), ValueError, r"matrix_transpose: .* shape \(1,\)"),
        (lambda: nd.broadcast_to(X, (3, 3)), ValueError, r"broadcast_to: shapes \(2, 3\) and \(3, 3\)"),
        (lambda: nd.broadcast_to(X, (3,)), ValueError, r"broadcast_to: shape \(2, 3\) does not stretch to \(3,\)"),
        (lambda: nd.broadcast_to(X, (1, 3)), ValueError, r"broadcast_to: shape \(2, 3\) does not stretch to \(1, 3\)"),
        (lambda: nd.broadcast_to(1.0, (-1,)), ValueError, r"broadcast_to: .*negative sizes"),
        (lambda: nd.expand_dims(X, axis=4), nd.AxisError, "expand_dims: axis 4"),
        (lambda: nd.expand_dims(X, axis=(0, 0)), ValueError, "expand_dims: the same axis twice"),
        (lambda: nd.squeeze(X, 0), ValueError, r"squeeze: axis 0 of shape \(2, 3\) is not of size 1"),
        (lambda: nd.squeeze(X, 2), nd.AxisError, "squeeze: axis 2"),
        (lambda: nd.flip(X, axis=2), nd.AxisError, "flip: axis 2"),
        (lambda: nd.flip(X, axis=[0]), TypeError, r"flip: an axis is an int, a tuple of ints or None, not \[0\]"),
        (lambda: nd.squeeze(X, True), TypeError, "squeeze: an axis is an int, a tuple of ints or None, not True"),
        (lambda: nd.expand_dims(X, axis=False), TypeError, "expand_dims: an axis is an int, not False"),
        (lambda: nd.concat([X, X], axis=True), TypeError, "concat: an axis is an int, not True"),
        (lambda: nd.concat([]), ValueError, "concat: no arrays"),
        (lambda: nd.concat(3), TypeError, "concat: needs a list or tuple of arrays, not 3"),
        (lambda: nd.concat([X, X[0]]), ValueError, r"concat: shapes \(2, 3\) and \(3,\) differ beside axis 0"),
        (lambda: nd.concat([X, X.T]), ValueError, r"concat: shapes \(2, 3\) and \(3, 2\) differ beside axis 0"),
        (lambda: nd.concat([1.0, 2.0]), nd.AxisError, "concat: axis 0 of a 0-d input"),
        (lambda: nd.concat([X, nd.exact(X)]), TypeError, "concat: an array of floats with an array of decimals"),
        (lambda: nd.concat(["a"]), TypeError, "concat: an array holds numbers"),
        (lambda: nd.stack([]), ValueError, "stack: no arrays"),
        (lambda: nd.stack([X, X.T]), ValueError, r"stack: shapes \(2, 3\) and \(3, 2\) differ"),
        (lambda: nd.stack([X, X], axis=3), nd.AxisError, "stack: axis 3 is out of range for 3 dimension"),
        (lambda: nd.tril([1.0]), ValueError, r"tril: needs a matrix and got shape \(1,\)"),
        (lambda: nd.triu(X, k=0.5), TypeError, "triu: k is an int, not 0.5"),
        (lambda: nd.zeros((-1,)), ValueError, r"zeros: a shape has no negative sizes: \(-1,\)"),
        (lambda: nd.ones(2.0), TypeError, "ones: a shape is an int or a tuple of ints, not 2.0"),
        (lambda: nd.full((2,), [1, 2]), ValueError, r"full: fills with one number, and got shape \(2,\)"),
        (lambda: nd.full((2,), None), TypeError, "full: an array holds numbers, not None"),
        (lambda: nd.full_like(X, "a"), TypeError, "full_like: an array holds numbers, not 'a'"),
        (lambda: nd.zeros((2,), dtype=float), TypeError, "zeros: a dtype is one of nd.bool"),
        (lambda: nd.arange(0, 1, 0), ValueError, "arange: from 0 to 1 in steps of 0"),
        (lambda: nd.arange(math.inf), ValueError, "arange: from 0 to inf"),
        (lambda: nd.arange(math.nan, 2), ValueError, "arange: from nan to 2"),
        (lambda: nd.arange("a"), TypeError, "arange: an array holds numbers"),
        (lambda: nd.arange([1]), TypeError, r"arange: needs numbers, not \[1\]"),
        (lambda: nd.linspace(0, 1, -1), ValueError, "linspace: .*negative"),
        (lambda: nd.linspace(0, 1, 2.5), TypeError, "linspace: a shape is an int"),
        (lambda: nd.eye(-1), ValueError, "eye: .*negative"),
        (lambda: nd.eye(2, k="a"), TypeError, "eye: k is an int, not 'a'"),
        (lambda: nd.astype([1.5], float), TypeError, "astype: a dtype is one of nd.bool"),
        (lambda: nd.astype([math.inf], nd.int64), ValueError, "astype: int64: inf has no place among the ints"),
    ],
)
def test_errors(action, error, message):
    with pytest.raises(error, match=message):
        action()


def test_axis_errors_are_what_both_python_and_numpy_raise():
    assert issubclass(nd.AxisError, ValueError) and issubclass(nd.AxisError, IndexError)


def test_all_orders_of_four_axes():
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    for axes in permutations(range(4)):
        same(nd.permute_dims(nd.asarray(x), axes), np.transpose(x, axes))
