"""Indexing and gathering on every kind of arrays, against numpy, and their gradients against numpy's own scattering."""

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

import tinygrad_sm as tg
from tests.helpers.kinds import ARRAYS, EXACT, NUMPY, OWN, assert_close, assert_same_kind, every_array
from tinygrad_sm.graph.namespaces import namespace_of
from tinygrad_sm.ops import gathering
from tinygrad_sm.ops.gathering import getitem, scatter

SHAPE = (3, 4, 2)
X = np.arange(24.0).reshape(SHAPE) / 8
MASK = np.arange(24).reshape(SHAPE) % 5 < 2

KEYS = [
    0,
    -1,
    np.int64(1),
    slice(None),
    slice(None, None, -1),
    slice(2, 0, -1),
    slice(1, 100),
    slice(-100, 2),
    slice(3, 1),
    ...,
    None,
    (),
    (1, 2, 1),
    (-1, ..., 0),
    (slice(None), slice(1, None, 2), 1),
    (..., None, slice(None, None, -1)),
    (None, 1, None, ..., None),
    [0, 2, 0],
    ([0, 2], [1, 1]),
    ([[0], [2]], [[1, 3, 1]]),
    (slice(None), [3, 0, 3, -1]),
    ([0, 2], slice(None), [1, 0]),
    (slice(None), [0, 1], [1, 0]),
    (1, [3, 3]),
    ([1, 1], 2),
    ([0, 2], None, [1, 3]),
    (..., [1, 0, 1]),
    (0, ..., [1, 1]),
    np.array([2, 2, 0]),
    np.array([[0, 1], [2, 2]]),
    (np.array(1), slice(None), 0),
    MASK,
    MASK[:, :, 0],
    (MASK[:, 0, 0],),
    [True, False, True],
    (slice(None), [False, True, True, False], 1),
    (slice(None), MASK[0]),
    np.zeros(SHAPE, dtype=bool),
    ([],),
    (slice(None), np.array([], dtype=np.int64)),
]


def check(key, kind):
    """Value, gradient and second derivative of x[key]."""
    want = X[key]
    weights = np.reshape(np.arange(1.0, want.size + 1), want.shape)
    want_gradient = np.zeros(SHAPE)
    np.add.at(want_gradient, key, weights)
    x = tg.Value(kind(X))
    y = x[key]
    assert y.op is getitem
    assert_close(y, want, 0)
    assert_same_kind(y.data, kind(want))
    g = tg.grad(y, x, grad_output=kind(weights))
    assert_same_kind(g, x.data)
    assert_close(g, want_gradient, 0)
    seed = tg.Value(kind(weights))  # the rule is linear in what flows in, and its transpose is indexing again
    recorded = tg.grad(y, x, grad_output=seed, create_graph=True)
    back = tg.grad(recorded, seed, grad_output=kind(X))
    assert_same_kind(back, kind(want))
    assert_close(back, want, 0)


@every_array
@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_keys(key, kind):
    check(key, kind)


@settings(max_examples=60, deadline=None)
@given(st.one_of(of_numpy.basic_indices(SHAPE, allow_newaxis=True), of_numpy.integer_array_indices(SHAPE)))
def test_any_key(key):
    for kind in ARRAYS:
        check(key, kind)


@every_array
def test_masks_and_indices_of_the_same_library(kind):
    """Comparisons, argmax and argsort give keys for their own kind."""
    x = tg.Value(kind([3.0, 1.0, 2.0]))
    for key, want in ((x > 1.5, [3.0, 2.0]), (tg.argsort(x), [1.0, 2.0, 3.0]), (tg.argmax(x), 3.0)):
        y = x[key]
        assert_close(y, np.array(want), 0)
        assert_same_kind(tg.grad(tg.sum(y * y), x), x.data)


def test_single_numbers():
    x = tg.Value(2.0)
    for key, shape in (((), ()), (..., ()), (None, (1,)), ((None, None), (1, 1))):
        assert x[key].shape == shape
        assert tg.grad(tg.sum(x[key] * 3.0), x) == 3.0


def test_iteration_records_indexing():
    x = tg.Value([[1.0, 2.0], [3.0, 4.0]])
    first, second = x
    assert tg.grad(tg.sum(first * second), x).tolist() == [[3.0, 4.0], [1.0, 2.0]]


def test_what_is_named_twice_gets_both():
    x = tg.Value([1.0, 2.0])
    assert tg.grad(tg.sum(x[[0, 0, 0, 1]]), x).tolist() == [3.0, 1.0]
    assert tg.grad(tg.sum(tg.take(x, [1, 1, -1])), x).tolist() == [0.0, 3.0]
    assert tg.grad(tg.sum(tg.take_along_axis(x, [0, 0])), x).tolist() == [2.0, 0.0]


@every_array
def test_scatter(kind):
    g = tg.Value(kind([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]))
    total = scatter(g, key=(slice(None), [1, 0, 1]), shape=(2, 2))
    assert_close(total, np.array([[2.0, 5.0], [16.0, 40.0]]), 0)
    assert_close(tg.grad(total, g, grad_output=kind([[1.0, 2.0], [3.0, 4.0]])), np.array([[2.0, 1.0, 2.0], [4.0, 3.0, 4.0]]), 0)


@every_array
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(
    "indices", [1, [0], [1, 1, -1], [[0, 1], [-2, 1]], np.array([1, 0]), np.zeros((0,), dtype=np.int64)], ids=repr
)
def test_take(indices, axis, kind):
    x = tg.Value(kind(X))
    indices = np.asarray(indices).tolist() if kind is not NUMPY else indices
    y = tg.take(x, indices, axis=axis)
    want = np.take(X, np.asarray(indices, dtype=np.int64), axis=axis)
    assert_close(y, want, 0)
    expected = np.zeros(SHAPE)
    np.add.at(expected, (slice(None),) * (axis % 3) + (np.asarray(indices, dtype=np.int64),), np.ones(want.shape))
    g = tg.grad(tg.sum(y), x)
    assert_same_kind(g, x.data)
    assert_close(g, expected, 0)


@every_array
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_along_axis(axis, kind):
    shape = [3, 4, 2]
    shape[axis] = 5
    n = SHAPE[axis]
    indices = np.arange(np.prod(shape)).reshape(shape) * 7 % (2 * n) - n
    x = tg.Value(kind(X))
    given = namespace_of([x.data]).asarray(indices.tolist())
    y = tg.take_along_axis(x, given, axis=axis)
    want = np.take_along_axis(X, indices, axis=axis)
    assert_close(y, want, 0)
    weights = np.reshape(np.arange(1.0, want.size + 1), want.shape)
    expected = np.zeros(SHAPE)
    grid = [*np.ogrid[tuple(slice(s) for s in shape)]]
    grid[axis] = indices
    np.add.at(expected, tuple(grid), weights)
    g = tg.grad(y, x, grad_output=kind(weights))
    assert_same_kind(g, x.data)
    assert_close(g, expected, 0)


@every_array
def test_gathering_has_second_derivatives(kind):
    """The square of what is gathered: twice, for each time it is named."""
    x = tg.Value(kind([1.0, 2.0, 3.0]))
    for pick in (lambda x: tg.take(x, [0, 0, 2]), lambda x: tg.take_along_axis(x, [0, 0, 2]), lambda x: x[[0, 0, 2]]):
        hessian = tg.hessian(lambda x, pick=pick: tg.sum(pick(x) ** 2), x)
        assert_close(hessian, np.diag([4.0, 0.0, 2.0]), 1e-6)


# --- what does not fit


@every_array
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: tg.take(x, [0, 3], axis=0), "take: index 3 is out of range for an axis of size 3"),
        (lambda x: tg.take(x, -5, axis=1), "take: index -5 is out of range for an axis of size 4"),
        (lambda x: tg.take_along_axis(x, [[[7]]], axis=1), "take_along_axis: index 7 is out of range for an axis of size 4"),
        (lambda x: getitem(x, key=3), "getitem: .*index 3 is out of .* axis 0"),
        (lambda x: getitem(x, key=(0, -5)), "getitem: .*index -5 is out of .* axis 1"),
        (lambda x: getitem(x, key=[0, 9]), "getitem: .*index 9 is out of .* axis 0"),
        (lambda x: getitem(x, key=(0, 0, 0, 0)), "getitem: "),
        (lambda x: getitem(x, key=[True]), "getitem: "),
        (lambda x: getitem(x, key=(..., ...)), "getitem: "),
    ],
)
def test_out_of_range(call, message, kind):
    for x in (kind(X), tg.Value(kind(X))):
        with pytest.raises(IndexError, match=rf"^{message}"):
            call(x)


@every_array
@pytest.mark.parametrize("key", ["a", 1.5, (0, "a"), {}, 2.0, (slice(None), 0.5), [0.5], ["a"]], ids=repr)
def test_keys_that_are_none(key, kind):
    for x in (kind(X), tg.Value(kind(X))):
        with pytest.raises((TypeError, IndexError), match=r"^getitem: "):
            getitem(x, key=key)


@every_array
def test_values_are_no_keys(kind):
    x, i = tg.Value(kind([1.0, 2.0])), tg.Value(1.0)
    for call in (lambda: x[i], lambda: x[i, ...], lambda: x[[i]], lambda: x[i:]):
        with pytest.raises(TypeError, match=r"^getitem: "):
            call()


@every_array
@pytest.mark.parametrize("indices", [[0.0, 1.0], 1.5, [True, False], True, "a", None, {}], ids=repr)
def test_indices_are_ints(indices, kind):
    x = tg.Value(kind(X))
    for call in (lambda: tg.take(x, indices, axis=0), lambda: tg.take_along_axis(x, indices, axis=0)):
        with pytest.raises((TypeError, ValueError), match=r"^take"):
            call()
    with pytest.raises(TypeError, match=r"^one_hot: "):
        tg.one_hot(indices, 3)


@pytest.mark.parametrize("xp", [tg.nd, np], ids=["nd", "numpy"])
def test_one_hot(xp):
    assert tg.one_hot(1, 3).tolist() == [0.0, 1.0, 0.0]
    hot = tg.one_hot(xp.asarray([[0, 2], [1, 1]]), num_classes=3)
    assert hot.tolist() == [[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]]
    assert hot.dtype == xp.float64
    for labels, label in (([0, 3], 3), ([-1], -1), (7, 7)):
        with pytest.raises(IndexError, match=rf"^one_hot: .* {label} is out of range for 3 classes"):
            tg.one_hot(xp.asarray(labels), 3)
    for classes in (2.5, "a", None):
        with pytest.raises(TypeError, match=r"^one_hot: "):
            tg.one_hot(xp.asarray([0]), classes)


@pytest.mark.parametrize("kind", [OWN, EXACT, NUMPY], ids=repr)
@pytest.mark.parametrize("library", [tg.nd, np, array_api_strict], ids=["nd", "numpy", "strict"])
@pytest.mark.parametrize("key", [[2, 0], [True, False, True], []], ids=str)
def test_indices_may_come_from_another_library(key, library, kind):
    """They are read, not computed with."""
    x, i = tg.Value(kind(X)), library.asarray(key, dtype=None if key else library.int64)
    y = x[i]
    assert_close(y, X[np.asarray(i)], 0)
    g = tg.grad(tg.sum(y), x)
    assert_same_kind(g, x.data)
    assert_close(tg.sum(g), 8.0 * len(y.data.tolist()), 0)


def test_indices_are_not_looked_at_while_a_function_is_traced(monkeypatch):
    # jax traces what a traced function does to known indices, too; so it is the answer that tells
    monkeypatch.setattr(gathering, "is_traced", lambda x: np.asarray(x).dtype == bool)
    assert tg.take(np.array([1.0, 2.0]), np.array([1, 0])).tolist() == [2.0, 1.0]
    with pytest.raises(IndexError) as caught:  # numpy's own, since ours did not look
        tg.take(np.array([1.0, 2.0]), np.array([5]))
    assert "is out of range for an axis" not in str(caught.value)
