"""What an array is: made of anything, read back, a number when it is 0-d, never changed, one citizen among others."""

import copy
import math
import pickle
from decimal import Decimal
from fractions import Fraction

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.nd_arrays import arrays, same, shapes, sound
from tinygrad_sm import nd

grid = nd.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


# --- made of anything and read back


@settings(deadline=None)
@given(arrays())
def test_numpy_there_and_back(x):
    ours = nd.asarray(x)
    same(ours, x)
    assert ours.tolist() == x.tolist()
    back = np.asarray(ours)
    assert back.dtype == x.dtype and back.shape == x.shape and (back == x).all()
    assert nd.asarray(ours) is nd.asarray(ours, dtype=ours.dtype) is ours
    if 0 not in x.shape:  # lists cannot tell (0, 3) from (0,)
        same(nd.asarray(x.tolist()), x)


@settings(deadline=None)
@given(shapes)
def test_lists_of_shapes_with_zeros(shape):
    assert nd.zeros(shape).tolist() == np.zeros(shape).tolist()


@pytest.mark.parametrize(
    ("x", "shape", "dtype"),
    [
        (3, (), nd.int64),
        (True, (), nd.bool),
        (2.5, (), nd.float64),
        (Decimal("0.1"), (), nd.decimal(50)),
        (Decimal("1" * 60), (), nd.decimal(60)),
        ([], (0,), nd.float64),
        ([[], []], (2, 0), nd.float64),
        ([1, 2.0], (2,), nd.float64),
        ([True, 2], (2,), nd.int64),
        ([True, 0.5], (2,), nd.float64),
        ([0.5, Decimal(1)], (2,), nd.decimal(50)),
        ((1, 2), (2,), nd.int64),
        (range(3), (3,), nd.int64),
        ([range(2), (3, 4)], (2, 2), nd.int64),
        ([grid, grid], (2, 2, 3), nd.float64),
        ([grid[0, 0], 2.0], (2,), nd.float64),
        ([nd.exact(1, 15), 2], (2,), nd.decimal(15)),
        ([[nd.exact(1, 15)], [nd.exact(2, 120)]], (2, 1), nd.decimal(120)),
        (np.float32(0.5), (), nd.float64),
        (np.int8(5), (), nd.int64),
        (np.True_, (), nd.bool),
        ([np.float64(1), np.int32(2)], (2,), nd.float64),
        ([np.arange(3), np.arange(3)], (2, 3), nd.int64),
        (np.zeros((2, 0), int), (2, 0), nd.int64),
        (np.zeros((0, 2), np.uint8), (0, 2), nd.int64),
        (np.zeros((0, 2), bool), (0, 2), nd.bool),
        (np.ones((2, 2), np.float16), (2, 2), nd.float64),
        ([2**70], (1,), nd.int64),
        (array_api_strict.ones((2, 2)), (2, 2), nd.float64),
        (array_api_strict.asarray(3), (), nd.int64),
        ([array_api_strict.asarray([True, False])], (1, 2), nd.bool),
        (type("Half", (float,), {})(0.5), (), nd.float64),
    ],
)
def test_asarray(x, shape, dtype):
    array = nd.asarray(x)
    sound(array)
    assert array.shape == shape and array.dtype is dtype


@pytest.mark.parametrize(
    ("x", "dtype", "expected"),
    [
        ([1, 2], nd.float64, [1.0, 2.0]),
        ([1.9, -1.9], nd.int64, [1, -1]),
        ([0.0, 2.0, math.nan], nd.bool, [False, True, True]),
        ([True], nd.float64, [1.0]),
        ([2**60 + 1, 0.5], nd.decimal(30), [Decimal(2**60 + 1), Decimal("0.5")]),
        ([10**400, -(10**400)], nd.float64, [math.inf, -math.inf]),
        ([Decimal("1e400"), Decimal("0.1")], nd.float64, [math.inf, 0.1]),
        ([], nd.int64, []),
        (grid, nd.int64, [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_asarray_with_dtype(x, dtype, expected):
    array = nd.asarray(x, dtype=dtype)
    sound(array)
    assert array.dtype is dtype and array.tolist() == expected
    assert nd.astype(x, dtype).tolist() == expected


@pytest.mark.parametrize(
    ("x", "dtype", "error", "message"),
    [
        ([[1], [1, 2]], None, ValueError, r"ragged lists: parts of shapes \(1,\) and \(2,\)"),
        ([1, [2]], None, ValueError, "ragged"),
        ("ab", None, TypeError, "numbers, not 'ab' \\(str\\)"),
        (["1.5"], nd.float64, TypeError, "numbers, not '1.5'"),
        (None, None, TypeError, "numbers, not None"),
        ([1.0, None], None, TypeError, "numbers, not None"),
        (1j, None, TypeError, "complex"),
        ([{}], None, TypeError, "dict"),
        (np.array(["a"]), None, TypeError, "str"),
        (np.array([1j]), None, TypeError, "complex"),
        ([math.nan], nd.int64, ValueError, "nan has no place among the ints"),
        ([math.inf], nd.int64, ValueError, "inf has no place among the ints"),
        ([1], float, TypeError, "nd.float64"),
        ([1], "float64", TypeError, "nd.float64"),
        (tg.Value(2.0), None, TypeError, "gradient"),
        ([tg.Value(2.0)], None, TypeError, "gradient"),
    ],
)
def test_asarray_refuses(x, dtype, error, message):
    with pytest.raises(error, match=message):
        nd.asarray(x, dtype=dtype)


def test_lists_that_were_given_or_taken_are_not_the_arrays_own():
    given = [1.0, 2.0]
    array = nd.asarray(given)
    taken = array.tolist()
    given[0] = taken[1] = 9.0
    assert array.tolist() == [1.0, 2.0]


def test_numpy_asks_for_what_cannot_be():
    assert np.asarray(grid, dtype=np.float32).dtype == np.float32
    assert np.asarray(nd.exact([1, 2])).dtype == object
    with pytest.raises(ValueError, match="no memory"):
        np.array(grid, copy=False)


# --- what it is


def test_attributes():
    assert (grid.shape, grid.ndim, grid.size, grid.dtype, len(grid)) == ((2, 3), 2, 6, nd.float64, 2)
    assert grid.T.tolist() == grid.mT.tolist() == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    assert [row.tolist() for row in grid] == grid.tolist()
    assert 5.0 in grid and 7.0 not in grid and None not in grid
    assert nd.asarray([5.0]).item() == 5.0
    assert grid.__array_namespace__() is nd


@settings(deadline=None)
@given(arrays(shapes.filter(lambda s: len(s) >= 2)))
def test_matrix_transpose(x):
    same(nd.asarray(x).mT, x.mT)
    same(nd.matrix_transpose(nd.asarray(x)), x.mT)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: grid[0].T, ValueError, r"T is for matrices and this array has shape \(3,\)"),
        (lambda: grid[0].mT, ValueError, r"mT swaps the last two axes and shape \(3,\)"),
        (lambda: grid.item(), ValueError, r"shape \(2, 3\)"),
        (lambda: len(grid[0, 0]), TypeError, "0-d"),
        (lambda: iter(grid[0, 0]), TypeError, "0-d"),
        (lambda: bool(grid), ValueError, r"truth value .* shape \(2, 3\)"),
        (lambda: bool(nd.zeros((0,))), ValueError, r"truth value .* shape \(0,\)"),
        (lambda: float(grid), ValueError, r"float .* shape \(2, 3\)"),
        (lambda: int(grid), ValueError, r"int .* shape \(2, 3\)"),
        (lambda: round(grid), ValueError, r"shape \(2, 3\)"),
        (lambda: f"{grid:.2f}", ValueError, r"shape \(2, 3\)"),
        (lambda: [1, 2][nd.asarray(1.0)], TypeError, "index"),
        (lambda: [1, 2][nd.asarray([0, 1])], TypeError, "index"),
        (lambda: hash(grid), TypeError, r"an array is no key.* x\.tolist\(\)"),
        (lambda: grid.mean(), AttributeError, r"no 'mean'; it is a function, tg\.nd\.mean\(x\)"),
        (lambda: grid.size_, AttributeError, r"no 'size_'$"),
        (lambda: grid.__setitem__(0, 1.0), TypeError, "never change.*nd.where"),
        (lambda: nd.Array([1.0]), TypeError, "nd.asarray"),
        (lambda: setattr(grid, "name", "x"), AttributeError, "name"),
    ],
)
def test_what_is_refused_in_a_sentence(action, error, message):
    with pytest.raises(error, match=message):
        action()


def test_nothing_is_changed_in_place():
    x = y = nd.asarray([1.0, 2.0])
    x += 1.0
    assert (x.tolist(), y.tolist()) == ([2.0, 3.0], [1.0, 2.0])


# --- a 0-d array is a number


@given(st.floats() | st.integers() | st.booleans())
def test_as_a_number(value):
    x = nd.asarray(value)
    assert bool(x) == bool(value)
    assert repr(x.item()) == repr(value) and type(x.item()) is type(value)
    if abs(value) <= 1e300:
        assert float(x) == float(value) and int(x) == int(value)
        assert round(x, 2) == round(value, 2) and round(x) == round(value)
        assert (x == value) is not (x != value) and x <= value and not x > value
        assert f"{x:.3e}" == f"{float(value):.3e}" if type(value) is float else f"{value}"
    assert f"{x}" == str(x) == (repr(value) if isinstance(value, float) else str(value))


def test_as_an_index():
    assert [10, 20, 30][nd.asarray(1)] == 20
    assert [*range(5)][nd.asarray(1) : nd.asarray(4)] == [1, 2, 3]
    assert nd.zeros((nd.asarray(2), np.int64(3))).shape == (2, 3)


def test_decimals_as_numbers_whatever_the_context():
    import decimal

    x = nd.exact(Decimal("123.456789012345678901234567895"), 30)
    expected = (float(x), int(x), "123.45678901234567890123456790", "123.46")
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_DOWN) as context:
        context.traps = dict.fromkeys(context.traps, True)
        before = repr(context)
        assert (float(x), int(x), f"{x:.26f}", str(round(x, 2))) == expected
        assert bool(x) and x > 123 and f"{x}" == str(x) == "123.456789012345678901234567895"
        assert repr(context) == before


# --- copies


@pytest.mark.parametrize("x", [grid, nd.asarray([1, 2]), nd.asarray(True), nd.exact([[0.1]], 70), nd.zeros((0, 2))], ids=repr)
def test_copies_and_pickles(x):
    for other in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), copy.deepcopy([x])[0]):
        sound(other)
        assert other.dtype is x.dtype and other.shape == x.shape and other.tolist() == x.tolist()


@pytest.mark.parametrize("dtype", [nd.bool, nd.int64, nd.float64, nd.decimal(50), nd.decimal(7)], ids=repr)
def test_element_types_are_one_object_each(dtype):
    assert pickle.loads(pickle.dumps(dtype)) is copy.deepcopy(dtype) is copy.copy(dtype) is dtype
    assert isinstance(dtype, nd.DType)
    assert repr(dtype) in ("bool", "int64", "float64", "decimal(50)", "decimal(7)")


# --- beside the numbers and arrays of others


@pytest.mark.parametrize("three", [3, 3.0, True + 2, np.float64(3), np.float32(3), np.int64(3), np.array(3.0)], ids=repr)
def test_numbers_on_both_sides(three):
    for result, expected in (
        (grid + three, [[4, 5, 6], [7, 8, 9]]),
        (three - grid, [[2, 1, 0], [-1, -2, -3]]),
        (grid * three, [[3, 6, 9], [12, 15, 18]]),
        (three * grid, [[3, 6, 9], [12, 15, 18]]),
        (12 / (grid * three), [[4, 2, 12 / 9], [1, 12 / 15, 12 / 18]]),
        (three**grid, [[3, 9, 27], [81, 243, 729]]),
        (grid // three, [[0, 0, 1], [1, 1, 2]]),
        (three % grid, [[0, 1, 0], [3, 3, 3]]),
    ):
        sound(result)
        assert result.tolist() == expected
    assert (grid == three).tolist() == (three == grid).tolist() == [[False, False, True], [False] * 3]
    assert (three < grid).tolist() == (grid > three).tolist() == [[False] * 3, [True] * 3]


def test_lists_on_both_sides():
    row = [1, 2, 3]
    assert (grid + row).tolist() == (row + grid).tolist() == [[2.0, 4.0, 6.0], [5.0, 7.0, 9.0]]
    assert (grid == [1, 5, 3]).tolist() == [[True, False, True], [False, True, False]]
    assert (grid @ [1.0, 0.0, 0.0]).tolist() == [1.0, 4.0]
    assert ([[1.0, 1.0]] @ grid).tolist() == [[5.0, 7.0, 9.0]]


@pytest.mark.parametrize(
    "action",
    [
        lambda a: grid + a,
        lambda a: a + grid,
        lambda a: grid == a,
        lambda a: a == grid,
        lambda a: a < grid,
        lambda a: grid @ a.T,
        lambda a: a.T @ grid,
    ],
)
def test_arrays_of_another_library_are_refused(action):
    """Above all ==, for which Python would answer False."""
    with pytest.raises(TypeError, match=r"an array of tinygrad_sm.nd and one of numpy; convert one of them first"):
        action(np.ones((2, 3)))


@pytest.mark.parametrize("other", ["a", None, {}, 1j, Fraction(1, 2)], ids=repr)
def test_what_is_no_number(other):
    assert (grid == other) is False and (grid != other) is True
    for action in (lambda: grid + other, lambda: other + grid, lambda: grid < other, lambda: grid @ other):
        with pytest.raises(TypeError):
            action()


def test_the_operand_that_knows_better_is_asked():
    class Other:
        def __radd__(self, x):
            return "radd"

        def __rmatmul__(self, x):
            return "rmatmul"

        def __eq__(self, x):
            return "eq"

    assert (grid + Other(), grid @ Other(), grid == Other()) == ("radd", "rmatmul", "eq")
    assert isinstance(grid * tg.Value(2.0), tg.Value)


def test_single_numbers_are_keys():
    labels = nd.asarray([2, 0, 2, 1])
    assert {0: "a", 1: "b", 2: "c"}[labels[0]] == "c"
    assert len({*labels}) == 3
    assert hash(nd.asarray(0.5)) == hash(0.5)
