"""Element-wise functions beside numpy's: every function, every kind of operand, every edge of IEEE arithmetic."""

import inspect
import math
import operator
from decimal import Decimal
from itertools import product

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.nd_arrays import PYTHON, arrays, broadcastable, by_bits, floats, near, same, sound, wild_floats
from tinygrad_sm import nd

many = settings(deadline=None, max_examples=25)
inf, nan = math.inf, math.nan

# How far the C library and numpy may be apart, in units in the last place.
ULPS = {
    **dict.fromkeys("exp expm1 log log1p log2 log10 sin cos tan sinh cosh tanh atan".split(), 4),
    **dict.fromkeys("abs positive negative sign sqrt square floor ceil trunc round isnan isinf isfinite".split(), 0),
}
NUMPY = {"atan": np.arctan, "round": np.rint, "pow": np.power}
REAL = "add subtract multiply divide remainder maximum minimum equal not_equal less less_equal greater greater_equal".split()
LOGICAL = "logical_and logical_or logical_xor".split()


def numpys(name):
    return NUMPY.get(name) or getattr(np, name)


# --- one operand


@pytest.mark.parametrize("name", ULPS)
@many
@given(x=arrays((7,), np.float64, wild_floats))
def test_of_any_floats(name, x):
    with np.errstate(all="ignore"):  # numpy warns of what is nan or inf by right
        expected = numpys(name)(x)
    ours = getattr(nd, name)(nd.asarray(x))
    same(ours, expected, ULPS[name])
    if ULPS[name] == 0:
        assert by_bits(ours) == by_bits(expected)
    for value, result in zip(x.tolist(), ours.tolist(), strict=True):  # a plain float gives the same plain number
        alone = getattr(nd, name)(value)
        assert type(alone) is type(result) and repr(alone) == repr(result)


@pytest.mark.parametrize("name", ["erf", "erfc"])
@given(x=wild_floats)
def test_error_functions(name, x):
    assert near(getattr(nd, name)(nd.asarray([x])).tolist()[0], getattr(math, name)(x))
    assert near(getattr(nd, name)(x), getattr(math, name)(x))


@pytest.mark.parametrize("name", ULPS)
@many
@given(x=arrays(kind=np.int64) | arrays(kind=np.bool_) | arrays(kind=np.float64))
def test_of_any_kind_and_shape(name, x):
    if x.dtype == bool and name not in ("isnan", "isinf", "isfinite"):
        x, ours = x.astype(int), nd.asarray(x)  # bools compute as ints
    else:
        ours = nd.asarray(x)
    with np.errstate(all="ignore"):
        expected = numpys(name)(x)
    if x.dtype == int and name in ("floor", "ceil", "trunc", "round"):
        expected = expected.astype(int)
    same(getattr(nd, name)(ours), expected, ULPS[name])


@given(arrays(kind=np.bool_))
def test_logical_not(x):
    same(nd.logical_not(nd.asarray(x)), np.logical_not(x))
    same(~nd.asarray(x), ~x)


@given(arrays(kind=np.float64))
def test_operators_of_one_operand(x):
    ours = nd.asarray(x)
    same(-ours, -x)
    same(+ours, +x)
    same(abs(ours), abs(x))


# --- two operands


@pytest.mark.parametrize("name", [*REAL, "pow"])
@many
@given(drawn=broadcastable([np.float64, np.float64], wild_floats))
def test_of_any_two_floats(name, drawn):
    with np.errstate(all="ignore"):
        expected = numpys(name)(*drawn)
    if name == "pow":  # numpy takes the square root, which is nan at -inf, where IEEE's pow is inf
        expected = np.where((drawn[0] == -np.inf) & (drawn[1] == 0.5), np.inf, expected)
    same(getattr(nd, name)(*map(nd.asarray, drawn)), expected, 2 if name == "pow" else 0)


@pytest.mark.parametrize("name", [*REAL, "pow"])
@many
@given(x=wild_floats, y=wild_floats)
def test_two_plain_floats(name, x, y):
    alone = getattr(nd, name)(x, y)
    result = getattr(nd, name)(nd.asarray([x]), nd.asarray([y])).tolist()[0]
    assert type(alone) is type(result) and repr(alone) == repr(result)
    for beside in (getattr(nd, name)(nd.asarray([x]), y), getattr(nd, name)(x, nd.asarray([y]))):
        assert repr(beside.tolist()[0]) == repr(result)


@pytest.mark.parametrize("name", REAL)
@many
@given(drawn=broadcastable([None, None]))
def test_of_two_of_any_kind(name, drawn):
    ours = [*map(nd.asarray, drawn)]
    if drawn[0].dtype == drawn[1].dtype == bool and name in ("add", "subtract", "multiply", "remainder", "maximum", "minimum"):
        drawn = [x.astype(int) for x in drawn]
    if drawn[1].dtype != float and drawn[0].dtype != float and name == "remainder" and not drawn[1].all():
        if 0 not in np.broadcast_shapes(drawn[0].shape, drawn[1].shape):
            with pytest.raises(ValueError, match="remainder: an integer by zero"):
                nd.remainder(*ours)
        return
    with np.errstate(all="ignore"):
        expected = numpys(name)(*drawn)
    same(getattr(nd, name)(*ours), expected)


@pytest.mark.parametrize("name", LOGICAL)
@many
@given(drawn=broadcastable([np.bool_, np.bool_]))
def test_logical(name, drawn):
    same(getattr(nd, name)(*map(nd.asarray, drawn)), numpys(name)(*drawn))


@many
@given(broadcastable([np.float64, np.float64], floats.filter(bool)))
def test_floor_divide(drawn):
    same(nd.floor_divide(*map(nd.asarray, drawn)), np.floor_divide(*drawn))


OPERATORS = {
    "add": operator.add,
    "pow": operator.pow,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "logical_and": operator.and_,
    "logical_or": operator.or_,
    "logical_xor": operator.xor,
}


@pytest.mark.parametrize("name", OPERATORS)
@many
@given(data=st.data())
def test_operators_are_the_functions(name, data):
    kind = np.bool_ if name.startswith("logical") else np.float64
    x, y = map(nd.asarray, data.draw(broadcastable([kind, kind])))
    number = data.draw(st.booleans() if kind is np.bool_ else floats)
    for a, b in ((x, y), (x, number), (number, x)):
        result, expected = OPERATORS[name](a, b), getattr(nd, name)(a, b)
        sound(result)
        assert by_bits(result) == by_bits(expected) and result.dtype is expected.dtype and result.shape == expected.shape


@many
@given(broadcastable([np.bool_, None, None]), st.data())
def test_where(drawn, data):
    condition, x, y = drawn
    ours = [*map(nd.asarray, drawn)]
    same(nd.where(*ours), np.where(condition, x, y))
    number = data.draw(floats)
    same(nd.where(ours[0], ours[1], number), np.where(condition, x, number))
    same(nd.where(ours[0], number, ours[2]), np.where(condition, number, y))
    same(nd.where(ours[0], number, -1.0), np.where(condition, number, -1.0))
    same(nd.where(True, ours[1], ours[2]), np.where(True, x, y))
    same(nd.where(nd.astype(ours[0], nd.float64) * 3, ours[1], ours[2]), np.where(condition, x, y))


@many
@given(broadcastable([np.float64, np.float64, np.float64]))
def test_clip(drawn):
    x, low, high = drawn
    a, b, c = map(nd.asarray, drawn)
    same(nd.clip(a, b, c), np.clip(x, low, high))
    same(nd.clip(a, -1.0, 1.0), np.clip(x, -1.0, 1.0))
    same(nd.clip(a, min=b), np.clip(x, low, None))
    same(nd.clip(a, max=c), np.clip(x, None, high))
    assert nd.clip(a) is a


# --- what numpy has no say in: (action, the exact result)

HUGE = 2**80
B, I, F = nd.asarray([True, False]), nd.asarray([3, -4]), nd.asarray([0.5, 2.0])

CASES = [
    # C's floor of a quotient; numpy has nan for an infinite dividend, the standard its infinity
    (lambda: nd.floor_divide([5.0, -5.0, 5.0, -5.0], [inf, inf, -inf, -inf]), [0.0, -1.0, -1.0, 0.0]),
    (lambda: nd.floor_divide([inf, -inf, inf], [2.0, 2.0, inf]), [inf, -inf, nan]),
    (lambda: nd.floor_divide([0.0, 1.0, -1.0], 0.0), [nan, inf, -inf]),
    (lambda: nd.floor_divide(1e308, 1e-10), inf),
    (lambda: nd.remainder([5.0, -5.0, inf, 1.0, -0.0, 3.0], [inf, inf, 2.0, 0.0, 3.0, -3.0]), [5.0, inf, nan, nan, 0.0, -0.0]),
    # ints have no size and no infinities
    (lambda: nd.asarray([HUGE, 7]) * HUGE, [HUGE * HUGE, 7 * HUGE]),
    (lambda: nd.asarray([HUGE, 7]) // 2, [2**79, 3]),
    (lambda: nd.asarray([HUGE + 1]) == nd.asarray([HUGE]), [False]),
    (lambda: nd.asarray([7, -7]) // nd.asarray([-2, 2]), [-4, -4]),
    (lambda: nd.asarray([7, -7]) % nd.asarray([-2, 2]), [-1, 1]),
    (lambda: nd.asarray([0, -3, 2]) ** nd.asarray([0, 3, 100]), [1, -27, 2**100]),
    (lambda: nd.isinf(nd.asarray([10**400, 1])), [False, False]),
    (lambda: nd.isfinite(nd.asarray([10**400])), [True]),
    (lambda: nd.isfinite(10**400), True),
    (lambda: nd.asarray([10**400]) * 1.0, [inf]),
    (lambda: nd.sqrt(nd.asarray([-(10**400), 10**400])), [nan, inf]),
    (lambda: nd.asarray([1, 0, -1]) / 0, [inf, nan, -inf]),
    (lambda: nd.asarray([1, 3]) / nd.asarray([2, 4]), [0.5, 0.75]),
    # nothing is complex, nothing raises
    (lambda: nd.asarray([-8.0, -8.0, 0.0, -0.0, -0.0, 2.0]) ** nd.asarray([1 / 3, 3.0, -1.0, -1.0, -2.0, 5000.0]),
     [nan, -512.0, inf, -inf, inf, inf]),
    (lambda: nd.asarray([-10.0, nan, 1.0, -1.0]) ** nd.asarray([999.0, 0.0, nan, inf]), [-inf, 1.0, 1.0, 1.0]),
    (lambda: nd.pow(-10.0, 999.0), -inf),
    (lambda: nd.pow(10.0, -999.0), 0.0),
    (lambda: nd.exp(1000.0), inf),
    (lambda: nd.expm1([1000.0, -1000.0]), [inf, -1.0]),
    (lambda: nd.log([0.0, -0.0, -1.0, inf]), [-inf, -inf, nan, inf]),
    (lambda: nd.log1p([-1.0, -2.0]), [-inf, nan]),
    (lambda: nd.sinh([1000.0, -1000.0]), [inf, -inf]),
    (lambda: nd.cosh(-1000.0), inf),
    (lambda: nd.sin([inf, -inf]), [nan, nan]),
    (lambda: nd.divide([0.0, 1.0, -1.0, 1.0, nan], [0.0, 0.0, 0.0, -0.0, 0.0]), [nan, inf, -inf, -inf, nan]),
    (lambda: nd.maximum([nan, 1.0], [1.0, nan]), [nan, nan]),
    (lambda: nd.minimum(nan, 1.0), nan),
    (lambda: nd.minimum(1.0, nan), nan),
    (lambda: nd.clip(nan, 0.0, 1.0), nan),
    (lambda: nd.clip(5.0, 0.0, nan), nan),
    (lambda: nd.clip(5, 0, 3), 3),
    (lambda: nd.round([0.5, 1.5, -0.5, 2.5, -0.0, inf, nan]), [0.0, 2.0, -0.0, 2.0, -0.0, inf, nan]),
    (lambda: nd.floor([-0.0, -0.5, 1e300, -inf]), [-0.0, -1.0, 1e300, -inf]),
    (lambda: nd.ceil([-0.5]), [-0.0]),
    (lambda: nd.sign([-0.0, 0.0, nan, -inf, 5e-324]), [0.0, 0.0, nan, -1.0, 1.0]),
    (lambda: nd.where(True, 1.0, 2.0), 1.0),
    (lambda: nd.where(0, 1, 2), 2),
    # plain numbers stay plain, whichever they are
    (lambda: nd.abs(True), 1),
    (lambda: nd.sign(-5), -1),
    (lambda: nd.negative(HUGE), -HUGE),
    (lambda: nd.isnan(nan), True),
    (lambda: nd.isnan(3), False),
    (lambda: nd.isfinite(True), True),
    (lambda: nd.exp(0), 1.0),
    (lambda: nd.sqrt(True), 1.0),
    (lambda: nd.square(-3), 9),
    (lambda: nd.square(0.5), 0.25),
    (lambda: nd.logical_not(True), False),
    (lambda: nd.add(1, 2), 3),
    (lambda: nd.add(True, True), 2),
    (lambda: nd.divide(1, 2), 0.5),
    (lambda: nd.divide(1, 0), inf),
    (lambda: nd.equal(1, 1.0), True),
    (lambda: nd.less(1.0, 2), True),
    (lambda: nd.logical_and(True, False), False),
    (lambda: nd.add(np.float32(0.5), 1), [1.5]),
    (lambda: nd.exp(np.zeros(2)), [1.0, 1.0]),
    (lambda: nd.add(np.ones(2), [1, 2]), [2.0, 3.0]),
    # promotion: bool < int < float, and a number adapts
    (lambda: B + B, [2, 0]),
    (lambda: B - True, [0, -1]),
    (lambda: -B, [-1, 0]),
    (lambda: B * I, [3, 0]),
    (lambda: I + 0.5, [3.5, -3.5]),
    (lambda: I * F, [1.5, -8.0]),
    (lambda: B * 0.5, [0.5, 0.0]),
    (lambda: I == 3.0, [True, False]),
    (lambda: B == 1, [True, False]),
    (lambda: B & True, [True, False]),
    (lambda: True ^ B, [False, True]),
    (lambda: nd.maximum(B, B), [1, 0]),
    (lambda: I > -3.5, [True, False]),
]  # fmt: skip


@pytest.mark.parametrize(("action", "expected"), CASES)
def test_cases(action, expected):
    result = action()
    if not isinstance(expected, list):
        assert type(result) is type(expected)
    flat = result._flat if isinstance(result, nd.Array) else [result]
    assert [*map(repr, flat)] == [*map(repr, expected if isinstance(expected, list) else [expected])]
    if isinstance(result, nd.Array):
        sound(result)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: nd.asarray([2, 0]) ** -1, ValueError, r"pow: an integer to a negative power \(2 \*\* -1\)"),
        (lambda: I // 0, ValueError, "floor_divide: an integer by zero"),
        (lambda: I % nd.asarray([0, 1]), ValueError, "remainder: an integer by zero"),
        (lambda: I & I, TypeError, "logical_and is not defined for elements of type int64"),
        (lambda: ~F, TypeError, "logical_not is not defined for elements of type float64"),
        (lambda: nd.logical_not(3), TypeError, "logical_not is not defined for elements of type int64"),
        (lambda: nd.zeros((2,)) + nd.zeros((3,)), ValueError, r"add: shapes \(2,\) and \(3,\) do not fit together"),
        (lambda: nd.zeros((2, 0)) < nd.zeros((3, 2)), ValueError, r"less: shapes \(2, 0\) and \(3, 2\)"),
        (lambda: nd.where(B, nd.zeros((3,)), 1.0), ValueError, r"where: shapes \(2,\) and \(3,\)"),
        (lambda: nd.clip(F, nd.zeros((3,)), None), ValueError, r"clip: .*shapes \(2,\) and \(3,\)"),
        (lambda: nd.add(F, "a"), TypeError, "add: an array holds numbers, not 'a'"),
        (lambda: nd.add(None, 1.0), TypeError, "add: an array holds numbers, not None"),
        (lambda: nd.exp("a"), TypeError, "exp: an array holds numbers, not 'a'"),
        (lambda: nd.exp([[1], [1, 2]]), ValueError, "exp: ragged"),
        (lambda: nd.where("a", 1.0, 2.0), TypeError, "where: an array holds numbers, not 'a'"),
        (lambda: nd.where(True, None, 2.0), TypeError, "where: an array holds numbers, not None"),
        (lambda: nd.square(1j), TypeError, "square: an array holds numbers, not 1j"),
    ],
)  # fmt: skip
def test_errors(action, error, message):
    with pytest.raises(error, match=message):
        action()


# --- the types, for every function and every pair of kinds


OPERANDS = [True, 3, 0.5, Decimal("0.5"), B, I, F, nd.exact([0.5, 2]), nd.zeros((0, 1))]


@pytest.mark.parametrize("name", [*ULPS, "erf", "erfc"])
def test_types_of_one_operand(name):
    """A plain number gives the plain number that is in the result of an array of it."""
    for x in OPERANDS:
        result = getattr(nd, name)(x)
        if isinstance(x, nd.Array | Decimal):
            sound(result)
            assert (result.dtype is nd.bool) == name.startswith("is")
        else:
            assert type(result) is PYTHON[getattr(nd, name)([x]).dtype.rank]


@pytest.mark.parametrize("name", [*REAL, "pow"])
def test_types_of_two_operands(name):
    """The higher type of the two, at least ints, and floats for quotients; comparisons give bools."""
    for x, y in product(OPERANDS, [*OPERANDS[:4], nd.abs(I), F, B | True, nd.exact([1, 2]), nd.zeros((0, 1))]):
        ranks = [nd.asarray(v).dtype.rank for v in (x, y)]
        float_arrays = [v for v, rank in zip((x, y), ranks, strict=True) if rank == 2 and isinstance(v, nd.Array)]
        if 3 in ranks and (name == "remainder" or float_arrays):
            with pytest.raises(TypeError, match=name):
                getattr(nd, name)(x, y)
            continue
        result = getattr(nd, name)(x, y)
        if not any(isinstance(v, nd.Array | Decimal) for v in (x, y)):
            assert type(result) in (bool, int, float)
            result = nd.asarray(result)
        sound(result)
        rank = 0 if name in REAL[REAL.index("equal") :] else max(*ranks, 2 if name == "divide" else 1)
        assert result.dtype.rank == rank, f"{name}({x!r}, {y!r})"


# --- the standard's signatures


STANDARD = [name for name in dir(nd) if inspect.isfunction(getattr(nd, name)) and hasattr(array_api_strict, name)]


@pytest.mark.parametrize("name", STANDARD)
def test_signatures_are_the_standards(name):
    """Every parameter of the standard's but `device` is there, as positional or as keyword as it is there."""
    ours = inspect.signature(getattr(nd, name)).parameters
    theirs = inspect.signature(getattr(array_api_strict, name)).parameters
    positional = inspect.Parameter.POSITIONAL_ONLY
    assert [p.kind for p in ours.values() if p.kind is positional] == [p.kind for p in theirs.values() if p.kind is positional]
    for key, parameter in theirs.items():
        if parameter.kind is not positional and key != "device":
            assert ours[key].kind is parameter.kind, key
            assert parameter.default in (parameter.empty, ours[key].default), key
    assert getattr(nd, name).__name__ == name
    assert getattr(nd, name).__doc__


def test_what_the_standard_has_is_here():
    assert len(STANDARD) > 80
    assert (nd.pi, nd.e, nd.inf, nd.newaxis) == (math.pi, math.e, inf, None)
    assert nd.nan != nd.nan
