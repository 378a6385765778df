"""Matrix products beside numpy's, of all shapes that fit and some that do not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.helpers.nd_arrays import arrays, same, sound
from tinygrad_sm import nd


@st.composite
def factors(draw, kind):
    """Two arrays of one kind that fit: vectors, matrices, batches that broadcast, with sizes from 0 up."""
    fitting = hnp.mutually_broadcastable_shapes(signature="(m?,k),(k,n?)->(m?,n?)", min_side=0, max_side=3, max_dims=2)
    left, right = draw(fitting).input_shapes
    return draw(arrays(left, kind)), draw(arrays(right, kind))


@settings(deadline=None, max_examples=200)
@given(factors(np.int64))
def test_ints_as_numpy(drawn):
    x, y = map(nd.asarray, drawn)
    for product in (x @ y, nd.matmul(x, y), nd.matmul(*(v.tolist() if v.size else nd.asarray(v) for v in drawn))):
        same(product, drawn[0] @ drawn[1])


@settings(deadline=None, max_examples=100)
@given(factors(np.float64))
def test_floats_as_numpy(drawn):
    x, y = drawn
    result, expected = nd.asarray(x) @ nd.asarray(y), x @ y
    sound(result)
    assert result.dtype is nd.float64 and result.shape == expected.shape
    bound = np.abs(x) @ np.abs(y)
    np.testing.assert_array_less(np.abs(np.asarray(result) - expected), 1e-14 * bound + 5e-324)


@settings(deadline=None, max_examples=50)
@given(factors(np.int64))
def test_decimals_are_exact(drawn):
    x, y = drawn
    tenth = nd.exact(x, 30) / 10
    result = tenth @ nd.exact(y, 30)
    sound(result)
    assert result.dtype is nd.decimal(30) and result.shape == (x @ y).shape
    assert [10 * v for v in result._flat] == (x @ y).ravel().tolist()


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([True, True], [True, True], 2),
        ([[1, 2]], [0.5, 0.25], [1.0]),
        ([2**80, 1], [2, 2**80], 3 * 2**80),
        ([math.inf, 1.0], [0.0, 1.0], math.nan),
        ([1e308, 1e308], [10.0, -10.0], math.nan),
        ([1e308, 1.0], [10.0, 1.0], math.inf),
        ([], [], 0.0),
        (nd.zeros((2, 0), dtype=nd.int64), nd.zeros((0, 1), dtype=nd.int64), [[0], [0]]),
    ],
)
def test_cases(x, y, expected):
    result = nd.matmul(x, y)
    sound(result)
    assert repr(result.tolist()) == repr(expected)


ROW, TABLE = nd.zeros((3,)), nd.zeros((2, 3))


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: TABLE @ TABLE, ValueError, r"matmul: shapes \(2, 3\) and \(2, 3\) do not fit together: 3 and 2"),
        (lambda: ROW @ TABLE, ValueError, r"matmul: shapes \(3,\) and \(2, 3\) do not fit together: 3 and 2"),
        (lambda: TABLE @ nd.zeros((4,)), ValueError, r"matmul: shapes \(2, 3\) and \(4,\) do not fit together: 3 and 4"),
        (lambda: nd.zeros((2, 1, 3)) @ nd.zeros((3, 3, 1)), ValueError, r"shapes \(2, 1, 3\) and \(3, 3, 1\) .* last two axes"),
        (lambda: TABLE @ 2.0, ValueError, r"matmul: shapes \(2, 3\) and \(\); both need at least one axis"),
        (lambda: 2.0 @ TABLE, ValueError, r"matmul: shapes \(\) and \(2, 3\); both need at least one axis"),
        (lambda: nd.matmul(2.0, 3.0), ValueError, r"matmul: shapes \(\) and \(\)"),
        (lambda: TABLE @ nd.exact(ROW), TypeError, "matmul: an array of floats with an array of decimals"),
        (lambda: nd.matmul(TABLE, "a"), TypeError, "matmul: an array holds numbers, not 'a'"),
    ],
)
def test_errors(action, error, message):
    with pytest.raises(error, match=message):
        action()


@given(st.data())
def test_inner_is_matmul_with_the_other_transposed(data):
    m, n, k = (data.draw(st.integers(0, 4)) for _ in range(3))
    numbers = st.floats(-1e3, 1e3)
    x, y = (
        nd.reshape(nd.asarray(data.draw(st.lists(numbers, min_size=r * k, max_size=r * k)), dtype=nd.float64), (r, k))
        for r in (m, n)
    )
    got = nd.inner(x, y)
    assert got.shape == (m, n) and got.dtype == nd.float64
    assert got.tolist() == nd.matmul(x, nd.matrix_transpose(y)).tolist()


def test_inner_of_other_shapes_and_kinds():
    x, y = nd.asarray([[[1, 2]], [[3, 4]]]), nd.asarray([[1, 0], [1, 1], [0, 2]])
    assert nd.inner(x, y).tolist() == np.inner(np.asarray(x.tolist()), np.asarray(y.tolist())).tolist()
    assert nd.inner(x, y).dtype == nd.int64
    assert nd.inner(nd.asarray([True, True]), nd.asarray([True, True])).item() == 2
    assert nd.inner(nd.asarray([1.0, 2.0]), nd.asarray([3.0, 4.0])).item() == 11.0
    exact = nd.inner(nd.exact([[0.1, 1e20, -1e20]]), nd.exact([[1.0, 1.0, 1.0]]))
    assert type(exact) is nd.Decimals and float(exact[0, 0]) == 0.1
    with pytest.raises(ValueError, match=r"inner: shapes \(2, 1, 2\) and \(3,\)"):
        nd.inner(x, nd.asarray([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="inner: shapes"):
        nd.inner(nd.asarray(1.0), x)
