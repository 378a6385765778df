"""Arrays of decimals: right to the last digit, whatever was asked, and out of reach of floats and of the thread's context."""

import decimal
import math
import random
from decimal import Decimal

import mpmath
import pytest
from mpmath import mp, mpf

from tests.helpers.nd_arrays import sound
from tinygrad_sm import nd
from tinygrad_sm.nd.array import make

DIGITS = [15, 50, 120]
nan, inf = Decimal("nan"), Decimal("inf")


def numbers(digits, lowest, highest, count=8):
    """Decimals between two bounds, half of them with few digits and half with all; the same in every run."""
    rng = random.Random(digits)
    span = Decimal(highest) - Decimal(lowest)
    with decimal.localcontext(prec=digits):
        return [lowest + span * Decimal(rng.randrange(10**d)) / 10**d for d in (1, digits - 2) for _ in range(count // 2)]


def true(x):
    return mpf(str(x))


def right(result, expected, digits, ulps=1):
    """That every element is within so many units in the last of `digits` digits of mpmath's."""
    sound(result)
    assert result.dtype is nd.decimal(digits)
    for x, y in zip(result._flat, expected, strict=True):
        assert len(x.as_tuple().digits) <= digits
        assert abs(true(x) - y) <= ulps * abs(y) * mpf(10) ** (1 - digits), f"{x} is not {y}"


# --- every function

ONE = {
    "abs": (-9, 9, abs),
    "negative": (-9, 9, lambda x: -x),
    "square": (-9, 9, lambda x: x * x),
    "sign": (-9, 9, mpmath.sign),
    "floor": (-99, 99, mpmath.floor),
    "ceil": (-99, 99, mpmath.ceil),
    "trunc": (-99, 99, lambda x: mpf(int(x))),
    "round": (-99, 99, mpmath.nint),
    "exp": (-200, 200, mpmath.exp),
    "expm1": (-2, 2, mpmath.expm1),
    "log": (Decimal("0.001"), 1000, mpmath.log),
    "log1p": (Decimal("-0.9"), 9, mpmath.log1p),
    "log2": (Decimal("0.001"), 1000, lambda x: mpmath.log(x, 2)),
    "log10": (Decimal("0.001"), 1000, mpmath.log10),
    "sqrt": (0, 1000, mpmath.sqrt),
    "sin": (-9, 9, mpmath.sin),
    "cos": (-9, 9, mpmath.cos),
    "tan": (-9, 9, mpmath.tan),
    "sinh": (-9, 9, mpmath.sinh),
    "cosh": (-9, 9, mpmath.cosh),
    "tanh": (-9, 9, mpmath.tanh),
    "atan": (-9, 9, mpmath.atan),
    "erf": (-9, 9, mpmath.erf),
    "erfc": (-9, 9, mpmath.erfc),
}
TWO = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "maximum": max,
    "minimum": min,
}
COMPARISONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]


def test_no_function_is_forgotten():
    every = nd.decimal(50).unary.keys() | nd.decimal(50).binary.keys()
    assert every == ONE.keys() - {"square"} | TWO.keys() | {*COMPARISONS, "positive", "isnan", "isinf", "isfinite"}
    missing = nd.float64.unary.keys() | nd.float64.binary.keys()
    assert missing - every == {"remainder", "floor_divide"}


@pytest.mark.parametrize("digits", DIGITS)
@pytest.mark.parametrize("name", ONE)
def test_of_one_operand(name, digits):
    lowest, highest, truth = ONE[name]
    x = numbers(digits, lowest, highest)
    with mp.workdps(2 * digits + 20):
        right(getattr(nd, name)(nd.exact([x[:4], x[4:]], digits)), [truth(true(v)) for v in x], digits)


@pytest.mark.parametrize("digits", DIGITS)
@pytest.mark.parametrize("name", TWO)
def test_of_two_operands(name, digits):
    x, y = numbers(digits, Decimal("0.1"), 9), numbers(digits, Decimal("-9.5"), 7)[::-1]
    with mp.workdps(2 * digits + 20):
        right(
            getattr(nd, name)(nd.exact(x, digits), nd.exact(y, digits)), [*map(TWO[name], map(true, x), map(true, y))], digits
        )
        row, column = nd.exact(x, digits), nd.exact([[y[0]], [y[1]]], digits)
        right(getattr(nd, name)(row, column), [TWO[name](true(a), true(b)) for b in y[:2] for a in x], digits)


@pytest.mark.parametrize("digits", DIGITS)
def test_reductions(digits):
    rows = [numbers(digits, -9, 9), numbers(digits, Decimal("0.5"), 2)]
    x = nd.exact(rows, digits)
    with mp.workdps(2 * digits + 20):
        truths = [[*map(true, row)] for row in rows]
        means = [mpmath.fsum(row) / 8 for row in truths]
        variances = [mpmath.fsum((v - m) ** 2 for v in row) / 8 for row, m in zip(truths, means, strict=True)]
        right(nd.sum(x, axis=1), [mpmath.fsum(row) for row in truths], digits)
        right(nd.sum(x, axis=0), [mpmath.fsum(column) for column in zip(*truths, strict=True)], digits)
        right(nd.sum(x), [mpmath.fsum(truths[0] + truths[1])], digits)
        right(nd.prod(x, axis=1), [mpmath.fprod(row) for row in truths], digits)
        right(nd.mean(x, axis=1), means, digits, ulps=2)
        right(nd.var(x, axis=1), variances, digits, ulps=4)
        right(nd.std(x, axis=1), [*map(mpmath.sqrt, variances)], digits, ulps=4)
        right(nd.cumulative_sum(x, axis=1), [mpmath.fsum(row[: i + 1]) for row in truths for i in range(8)], digits)
        right(nd.max(x, axis=1), [max(row) for row in truths], digits)
        right(nd.sort(x, axis=1), [v for row in truths for v in sorted(row)], digits)
        right(x @ x.mT, [mpmath.fdot(a, b) for a in truths for b in truths], digits)
        right(nd.scatter_add(x, (slice(None), [0] * 8), (2, 1)), [mpmath.fsum(row) for row in truths], digits)
    assert nd.argmax(x, axis=1).tolist() == [row.index(max(row)) for row in rows]
    assert nd.count_nonzero(x * 0).item() == 0 and nd.all(x + 10) and not nd.any(x * 0)


@pytest.mark.parametrize("digits", DIGITS)
def test_sums_and_products_survive_cancellation(digits):
    big, small = Decimal(10) ** 300, Decimal(10) ** -300
    row = [big, small, -big, small, 1, -1]
    assert nd.sum(nd.exact(row, digits)).item() == 2 * small
    assert (nd.exact(row, digits) @ nd.exact([big, 1, big, 1, 1, 1], digits)).item() == 2 * small
    assert nd.cumulative_sum(nd.exact(row, digits)).tolist()[-1] == 2 * small


@pytest.mark.parametrize("digits", DIGITS)
def test_products_and_binary_logarithms_carry_more_digits(digits):
    row = numbers(digits, Decimal("0.5"), 2, count=400)
    with mp.workdps(2 * digits):
        right(nd.prod(nd.exact(row, digits)), [mpmath.fprod(map(true, row))], digits)
    powers = [*range(-50, 50)]
    assert nd.log2(2.0 ** nd.asarray(powers, dtype=nd.decimal(digits))).tolist() == powers


def test_the_variance_of_what_is_far_from_zero():
    assert nd.var(nd.exact([10**30 + n for n in (0, 2, 4, 10)], 15)).item() == 14


def test_pi():
    for digits in DIGITS:
        with mp.workdps(2 * digits):
            right(nd.pi_like(nd.exact(1, digits)), [mp.pi], digits)
        assert nd.pi_like(nd.exact([1], digits)).dtype is nd.decimal(digits)
    assert nd.pi_like(2.0) == nd.pi_like(nd.asarray([1.0])) == nd.pi_like(3) == math.pi


# --- what is put in


def test_numbers_are_lifted_exactly():
    tenth = Decimal.from_float(0.1)  # all 55 digits of the binary float
    assert nd.exact(0.1).item() == nd.exact([0.1])[0].item() == nd.exact(nd.asarray(0.1), 5).item() == tenth
    assert (nd.exact(1, 60) * 0.1).item() == (0.1 * nd.exact(1, 60)).item() == tenth
    assert nd.where(True, nd.exact([1]), 0.1).item() == 1
    assert nd.where(False, nd.exact([1]), 0.1).item() == tenth
    assert nd.maximum(nd.exact([0], 60), 0.1).item() == nd.clip(nd.exact([9], 60), None, 0.1).item() == tenth
    assert nd.full_like(nd.exact([1]), 0.1).item() == nd.full((1,), 0.1, dtype=nd.decimal(20)).item() == tenth
    assert nd.exact(2**200 + 1, 5).item() == 2**200 + 1
    assert nd.exact([2**60 + 1, 0.5]).tolist() == [2**60 + 1, Decimal("0.5")]
    assert nd.add(Decimal("0.25"), 0.5).item() == nd.add(0.5, Decimal("0.25")).item() == Decimal("0.75")
    assert nd.exact(-0.0).item().is_signed() and nd.exact(float("inf")).item() == inf


def test_types_beside_decimals():
    x = nd.exact([1, 2], 20)
    for other, digits in (
        (3, 20),
        (0.5, 20),
        (True, 20),
        (Decimal(1) / 3, 20),  # a number adapts
        (nd.asarray([1, 2]), 20),
        (nd.asarray([True, False]), 20),
        (nd.exact([1, 2], 70), 70),
        (nd.exact([1, 2], 7), 20),
    ):
        for name in (*TWO, *COMPARISONS):
            for a, b in ((x, other), (other, x)):
                result = getattr(nd, name)(a, b)
                sound(result)
                assert result.dtype is (nd.decimal(digits) if name in TWO else nd.bool)
        for result in (nd.where([True, False], x, other), nd.where([True, False], other, x), nd.clip(x, other)):
            sound(result)
            assert result.dtype is nd.decimal(digits)
        if isinstance(other, nd.Array):
            assert (x @ other).dtype is nd.concat([x, other]).dtype is nd.stack([other, x]).dtype is nd.decimal(digits)


@pytest.mark.parametrize("name", [*TWO, *COMPARISONS, "matmul"])
def test_arrays_of_floats_do_not_mix_in(name):
    for a, b in ((nd.exact([1]), nd.asarray([0.5])), (nd.asarray([0.5]), nd.exact([1])), (nd.asarray(0.5), nd.exact([[1]]))):
        if name == "matmul" and not a.shape:
            continue
        with pytest.raises(TypeError, match=f"{name}: an array of floats with an array of decimals; lift .* exact()"):
            getattr(nd, name)(a, b)


@pytest.mark.parametrize(
    "action",
    [
        lambda f, d: nd.where([True], f, d),
        lambda f, d: nd.where([True], d, f),
        lambda f, d: nd.concat([f, d]),
        lambda f, d: nd.stack([d, f]),
        lambda f, d: nd.clip(f, d),
        lambda f, d: f * Decimal(2),
        lambda f, d: f @ d,
        lambda f, d: f == d,
    ],
)
def test_nor_anywhere_else(action):
    with pytest.raises(TypeError, match="an array of floats with an array of decimals"):
        action(nd.asarray([0.5]), nd.exact([1]))


@pytest.mark.parametrize("digits", [0, -1, 2.5, "9", None, [5]])
def test_digits_are_a_positive_int(digits):
    with pytest.raises(ValueError, match="the number of digits is a positive int"):
        nd.exact(1, digits)


@pytest.mark.parametrize("name", ["remainder", "floor_divide", "logical_and"])
def test_what_decimals_cannot_do(name):
    with pytest.raises(TypeError, match=rf"{name} is not defined for elements of type decimal\(50\)"):
        getattr(nd, name)(nd.exact([1]), nd.exact([2]))


# --- nothing passes through a float


class NoFloat(Decimal):
    """A decimal that no one may turn into a float."""

    def __float__(self):
        raise AssertionError("a decimal became a float")


class Refusing(type):
    """What `float` is to a module while it is watched: it tells floats, but makes none."""

    def __call__(cls, *_):
        raise AssertionError("a float was made")

    def __instancecheck__(cls, x):
        return isinstance(x, float)


@pytest.fixture
def guarded(monkeypatch):
    """An array of decimals that refuse; and where a float is made on the way, the test fails."""
    for module in ("array", "dtypes", "exactmath"):
        monkeypatch.setattr(f"tinygrad_sm.nd.{module}.float", Refusing("float", (), {}), raising=False)
    return make([NoFloat("0.3"), NoFloat("0.7")], (2,), nd.decimal(50))


def test_the_guard_guards(guarded):
    for action in (lambda: float(guarded[0]), lambda: math.exp(guarded[0]), lambda: nd.asarray([1, 0.5])):
        with pytest.raises(AssertionError, match="float"):
            action()


@pytest.mark.parametrize("name", [*ONE, "positive", "isnan", "isinf", "isfinite", *TWO, *COMPARISONS])
def test_elementwise_functions_use_no_float(name, guarded):
    if name in TWO or name in COMPARISONS:
        getattr(nd, name)(guarded, guarded)
        getattr(nd, name)(guarded, 2)
        getattr(nd, name)(0.5, guarded)
    else:
        getattr(nd, name)(guarded)


@pytest.mark.parametrize("name", "sum prod max min all any count_nonzero argmax argmin sort argsort cumulative_sum".split())
def test_reductions_use_no_float(name, guarded):
    getattr(nd, name)(guarded, axis=0)


def test_the_rest_uses_no_float(guarded):
    table = nd.reshape(guarded, (2, 1))
    nd.where([True, False], guarded, 0.5)
    nd.where([True, False], 1, guarded)
    nd.clip(guarded, 0.5, None)
    nd.concat([guarded, guarded, [1, 2]])
    nd.take(nd.stack([guarded, guarded]), [1], axis=0)
    nd.tril(table @ nd.matrix_transpose(table))
    nd.scatter_add(guarded, [0, 0], (3,))
    nd.full_like(guarded, 0.5)
    nd.zeros_like(guarded), nd.ones_like(guarded)
    nd.broadcast_to(nd.flip(nd.expand_dims(guarded, axis=1)), (2, 2))
    assert repr(guarded) and str(guarded) and f"{guarded[0]:.60f}" and round(guarded[0], 1)


# --- the thread's context


def everything():
    x = nd.exact([[Decimal("0.123456789012345678901234567890"), 2, 3], [4, Decimal("5.5"), 6]], 40)
    results = [getattr(nd, name)(x) for name in ONE]
    results += [getattr(nd, name)(x, x[:1] / 3) for name in (*TWO, *COMPARISONS)]
    results += [
        getattr(nd, name)(x, axis=0) for name in ("sum", "prod", "mean", "std", "max", "argmin", "sort", "cumulative_sum")
    ]
    bad = nd.exact([nan, inf, -inf, 0, Decimal("snan")])
    results += [getattr(nd, name)(bad) for name in ONE]
    results += [getattr(nd, name)(bad, nd.expand_dims(bad, axis=1)) for name in (*TWO, *COMPARISONS)]
    results += [nd.max(bad), nd.sort(bad), nd.argsort(bad), nd.argmax(bad), nd.sum(bad), nd.prod(bad), nd.cumulative_sum(bad)]
    results += [
        bad == 0.5,
        bad < 1,
        x @ nd.matrix_transpose(x),
        nd.exact(0.1) + 0.1,
        nd.asarray(bad, dtype=nd.float64),
    ]
    return [repr(v) for v in results]


def test_it_neither_influences_nor_is_changed():
    expected = everything()
    hostile = decimal.Context(prec=3, rounding=decimal.ROUND_UP, Emin=-3, Emax=3, traps=[*decimal.Context().traps])
    with decimal.localcontext(hostile) as context:
        before = repr(context)
        assert everything() == expected
        assert repr(context) == before


# --- the edges


def test_edges_are_ieees():
    assert [str(v) for v in nd.divide(nd.exact([1, -1, 0]), 0).tolist()] == ["Infinity", "-Infinity", "NaN"]
    assert nd.divide(nd.exact(1), inf).item() == 0
    assert [str(v) for v in nd.log(nd.exact([0, -1])).tolist()] == ["-Infinity", "NaN"]
    assert [str(v) for v in nd.sqrt(nd.exact([-1, inf])).tolist()] == ["NaN", "Infinity"]
    assert [str(v) for v in nd.pow(nd.exact([-8, -8, 0]), nd.exact([3, Decimal("0.5"), -1])).tolist()] == [
        "-512",
        "NaN",
        "Infinity",
    ]
    assert [str(v) for v in nd.maximum(nd.exact([nan, 1]), nd.exact([1, nan])).tolist()] == ["NaN", "NaN"]
    assert [str(v) for v in nd.minimum(nd.exact([inf, 1]), nd.exact([1, -inf])).tolist()] == ["1", "-Infinity"]
    assert [str(v) for v in nd.sign(nd.exact([-inf, 0, nan, 7])).tolist()] == ["-1", "0", "NaN", "1"]


def test_nan_comes_last_and_counts_as_the_extreme():
    x = nd.exact([3, nan, 1, inf, nan, -inf])
    assert [str(v) for v in nd.sort(x).tolist()] == ["-Infinity", "1", "3", "Infinity", "NaN", "NaN"]
    assert [str(v) for v in nd.sort(x, descending=True).tolist()] == ["Infinity", "3", "1", "-Infinity", "NaN", "NaN"]
    assert nd.argsort(x).tolist() == [5, 2, 0, 3, 1, 4]
    assert nd.argmax(x).item() == nd.argmin(x).item() == 1
    assert nd.max(x).item().is_nan() and nd.min(x).item().is_nan()
    assert not nd.any(x == nan) and (x != nan).tolist() == [True] * 6 and not nd.any(x < nan) and not nd.any(nan >= x)
    assert nd.isnan(x).tolist() == [False, True, False, False, True, False]


def test_attributes():
    x = nd.exact([1, 2], 33)
    assert isinstance(x, nd.Decimals) and isinstance(x, nd.Array) and x.digits == 33
    assert nd.exact(x).digits == 50 and nd.exact(x, 70).tolist() == x.tolist()
    assert nd.exact(x, 33) is not None and nd.asarray(x) is x
    assert nd.astype(x, nd.float64).tolist() == [1.0, 2.0] and type(nd.astype(x, nd.float64)) is nd.Array
    assert nd.astype(nd.exact([Decimal("2.9")]), nd.int64).tolist() == [2]
    assert float(nd.exact(Decimal("1e400"))) == math.inf
