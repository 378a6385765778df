"""Poles, ties, overflow and what lies at infinity: one readable table, on every kind of numbers."""

import math
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.kinds import EXACT, FLOAT, KINDS, NUMPY, NUMPY32, Kind, assert_close, assert_same_kind

inf, nan = math.inf, math.nan
TENTHS = [0.1, 0.1, 0.1]  # their mean rounds
FIFTHS = [mpmath.mpf(3) / 5, mpmath.mpf(4) / 5]
HUGE = 2.0**600  # its square is beyond the largest float


@dataclass
class Edge:
    """`call` at `x` gives `value`, and the gradient by x is `gradient`. `floats`: not for decimals, which reach farther."""

    label: str
    call: Any
    x: Any
    value: Any
    gradient: Any
    floats: bool = False


def power(exponent: float) -> Any:
    return lambda x: tg.pow(x, exponent)


def to_the(base: float) -> Any:
    return lambda y: tg.pow(base, y)


def masked(function: Any, above: float = 0.0) -> Any:
    return lambda x: tg.where(tg.equal(tg.maximum(x, above), above), 0.0, function(x))


EDGES = [
    # ties: the shares sum to 1
    Edge("maximum(x, x)", lambda x: tg.maximum(x, x), 1.0, 1.0, 1.0),
    Edge("minimum(x, x)", lambda x: tg.minimum(x, x), 1.0, 1.0, 1.0),
    Edge("maximum(x, 0)", lambda x: tg.maximum(x, 0.0), 0.0, 0.0, 0.5),
    Edge("minimum(0, x)", lambda x: tg.minimum(0.0, x), 0.0, 0.0, 0.5),
    Edge("maximum(x, nan)", lambda x: tg.maximum(x, nan), 1.0, nan, 0.0),
    Edge("minimum(x, inf)", lambda x: tg.minimum(x, inf), 1.0, 1.0, 1.0),
    Edge("max, two tie", tg.max, [1.0, 2.0, 2.0], 2.0, [0.0, 0.5, 0.5]),
    Edge("max, four tie", tg.max, [2.0, 2.0, 2.0, 2.0], 2.0, [0.25, 0.25, 0.25, 0.25]),
    Edge("min, two tie", tg.min, [1.0, 1.0, 2.0], 1.0, [0.5, 0.5, 0.0]),
    Edge("max of infinities", tg.max, [inf, inf, 0.0], inf, [0.5, 0.5, 0.0]),
    Edge("min of all -inf", tg.min, [-inf, -inf], -inf, [0.5, 0.5]),
    Edge("max with nan", tg.max, [1.0, nan], nan, [0.0, 0.0]),
    # corners
    Edge("relu(0)", tg.relu, 0.0, 0.0, 0.0),
    Edge("relu(-inf)", tg.relu, -inf, 0.0, 0.0),
    Edge("relu(inf)", tg.relu, inf, inf, 1.0),
    Edge("relu(nan)", tg.relu, nan, nan, 0.0),
    Edge("leaky_relu(0)", lambda x: tg.leaky_relu(x, negative_slope=0.25), 0.0, 0.0, 0.25),
    Edge("elu(0)", lambda x: tg.elu(x, alpha=2.0), 0.0, 0.0, 2.0),
    Edge("elu(1000)", tg.elu, 1000.0, 1000.0, 1.0),
    Edge("elu(-inf)", tg.elu, -inf, -1.0, 0.0),
    Edge("abs(0)", tg.abs, 0.0, 0.0, 0.0),
    Edge("abs(-inf)", tg.abs, -inf, inf, -1.0),
    Edge("sign(0)", tg.sign, 0.0, 0.0, 0.0),
    Edge("clip at its lower end", lambda x: tg.clip(x, min=-1.0, max=1.0), -1.0, -1.0, 1.0),
    Edge("clip at its upper end", lambda x: tg.clip(x, min=-1.0, max=1.0), 1.0, 1.0, 1.0),
    Edge("clip without ends", tg.clip, 3.0, 3.0, 1.0),
    Edge("clip with one end", lambda x: tg.clip(x, max=1), 3.0, 1.0, 0.0),
    # lengths and spreads
    Edge("norm(0)", tg.norm, [0.0, 0.0], 0.0, [0.0, 0.0]),
    Edge("norm of one 0", tg.norm, 0.0, 0.0, 0.0),
    Edge("norm of one number", tg.norm, -3.0, 3.0, -1.0),
    Edge("norm, huge", tg.norm, [3 * HUGE, 4 * HUGE], 5 * HUGE, FIFTHS),
    Edge("norm, tiny", tg.norm, [3 / HUGE, 4 / HUGE], 5 / HUGE, FIFTHS),
    Edge("norm, subnormal", tg.norm, [0.0, 5e-324], 5e-324, [0.0, 1.0]),
    Edge("norm with inf", tg.norm, [1.0, -inf], inf, [0.0, nan]),
    Edge("norm with nan", tg.norm, [1.0, nan], nan, [nan, nan]),
    Edge("std of a constant", tg.std, [1.0, 1.0], 0.0, [0.0, 0.0]),
    Edge("std of tenths", tg.std, TENTHS, 0.0, [0.0, 0.0, 0.0]),
    Edge("std of one number", tg.std, 7.0, 0.0, 0.0),
    Edge("std, huge", tg.std, [HUGE, 3 * HUGE], HUGE, [-0.5, 0.5]),
    Edge("std, tiny", tg.std, [1 / HUGE, 3 / HUGE], 1 / HUGE, [-0.5, 0.5]),
    Edge("std, nothing left", lambda x: tg.std(x, correction=1), [2.0], nan, [nan]),
    Edge("var of tenths", tg.var, TENTHS, 0.0, [0.0, 0.0, 0.0]),
    Edge("var, nothing left", lambda x: tg.var(x, correction=2), [2.0, 3.0], nan, [nan, nan]),
    # products
    Edge("prod without 0", tg.prod, [2.0, 5.0, 3.0], 30.0, [15.0, 6.0, 10.0]),
    Edge("prod with one 0", tg.prod, [2.0, 0.0, 3.0], 0.0, [0.0, 6.0, 0.0]),
    Edge("prod with two 0", tg.prod, [0.0, 0.0, 3.0], 0.0, [0.0, 0.0, 0.0]),
    Edge("prod of one 0", tg.prod, [0.0], 0.0, [1.0]),
    Edge("prod of a number", tg.prod, 0.0, 0.0, 1.0),
    # powers
    Edge("0 ** 0 by the base", power(0), 0.0, 1.0, 0.0),
    Edge("nan ** 0", power(0.0), nan, 1.0, 0.0),
    Edge("inf ** 0", power(0), inf, 1.0, 0.0),
    Edge("x ** 1 at 0", power(1), 0.0, 0.0, 1.0),
    Edge("x ** 2 at 0", power(2), 0.0, 0.0, 0.0),
    Edge("x ** 0.5 at 0", power(0.5), 0.0, 0.0, inf),
    Edge("x ** -1 at 0", power(-1), 0.0, inf, -inf),
    Edge("x ** -2 at 0", power(-2), 0.0, inf, -inf),
    Edge("(-2) ** 3", power(3), -2.0, -8.0, 12.0),
    Edge("(-2) ** -1", power(-1.0), -2.0, -0.5, -0.25),
    Edge("(-8) ** (1/3)", power(1 / 3), -8.0, nan, nan),
    Edge("0 ** 0 by the exponent", to_the(0.0), 0.0, 1.0, 0.0),
    Edge("0 ** 2 by the exponent", to_the(0.0), 2.0, 0.0, 0.0),
    Edge("0 ** -1 by the exponent", to_the(0), -1.0, inf, -inf),
    Edge("(-2) ** 2 by the exponent", to_the(-2.0), 2.0, 4.0, nan),
    Edge("2 ** 3 by the exponent", to_the(2), 3.0, 8.0, 8 * mpmath.log(2)),
    Edge("1 ** inf", to_the(1.0), inf, 1.0, 0.0),
    Edge("x ** x at 0", lambda x: tg.pow(x, x), 0.0, 1.0, 0.0),
    Edge("10.0 ** 400", to_the(10.0), 400.0, inf, inf, floats=True),
    # poles
    Edge("sqrt(0)", tg.sqrt, 0.0, 0.0, inf),
    Edge("sqrt(-1)", tg.sqrt, -1.0, nan, nan),
    Edge("sqrt(inf)", tg.sqrt, inf, inf, 0.0),
    Edge("log(0)", tg.log, 0.0, -inf, inf),
    Edge("log(-0)", tg.log, -0.0, -inf, -inf),
    Edge("log(-1)", tg.log, -1.0, nan, -1.0),
    Edge("log(inf)", tg.log, inf, inf, 0.0),
    Edge("log1p(-1)", tg.log1p, -1.0, -inf, inf),
    Edge("log1p(-2)", tg.log1p, -2.0, nan, -1.0),
    Edge("1 / 0", lambda x: tg.divide(1.0, x), 0.0, inf, -inf),
    Edge("-1 / 0", lambda x: tg.divide(-1, x), 0.0, -inf, inf),
    Edge("1 / -0", lambda x: tg.divide(1.0, x), -0.0, -inf, -inf),
    Edge("x / -0", lambda x: tg.divide(x, -0.0), 2.0, -inf, -inf),
    Edge("x / 0", lambda x: tg.divide(x, 0.0), 2.0, inf, inf),
    Edge("0 / 0 by the numerator", lambda x: tg.divide(x, 0.0), 0.0, nan, inf),
    Edge("0 / 0 by the denominator", lambda x: tg.divide(0.0, x), 0.0, nan, nan),
    Edge("x / x at 0", lambda x: tg.divide(x, x), 0.0, nan, nan),
    # overflow and saturation
    Edge("exp(1000)", tg.exp, 1000.0, inf, inf, floats=True),
    Edge("exp(-inf)", tg.exp, -inf, 0.0, 0.0),
    Edge("expm1(1000)", tg.expm1, 1000.0, inf, inf, floats=True),
    Edge("expm1(-1000)", tg.expm1, -1000.0, -1.0, 0.0, floats=True),
    Edge("expm1(-40)", tg.expm1, -40.0, mpmath.expm1(-40), mpmath.exp(-40)),
    Edge("square, huge", tg.square, 1e200, inf, 2e200, floats=True),
    Edge("tanh(1000)", tg.tanh, 1000.0, 1.0, 0.0, floats=True),
    Edge("tanh(-inf)", tg.tanh, -inf, -1.0, 0.0),
    Edge("tanh(20)", tg.tanh, 20.0, mpmath.tanh(20), mpmath.sech(20) ** 2),
    Edge("tanh(-20)", tg.tanh, -20.0, -mpmath.tanh(20), mpmath.sech(20) ** 2),
    Edge("gelu(-10)", tg.gelu, -10.0, -10 * mpmath.ncdf(-10), mpmath.ncdf(-10) - 10 * mpmath.npdf(10)),
    Edge("gelu(40)", tg.gelu, 40.0, 40.0, 1.0, floats=True),
    Edge("erf(inf)", tg.erf, inf, 1.0, 0.0),
    Edge("erfc(10)", tg.erfc, 10.0, mpmath.erfc(10), -2 * mpmath.exp(-100) / mpmath.sqrt(mpmath.pi)),
    Edge("erfc(-inf)", tg.erfc, -inf, 2.0, 0.0),
    Edge("sin(inf)", tg.sin, inf, nan, nan),
    Edge("cos(inf)", tg.cos, inf, nan, nan),
    # what is masked stays masked: nothing flows into the pole behind it
    Edge("masked log at 0", masked(tg.log), 0.0, 0.0, 0.0),
    Edge("masked log below", masked(tg.log), -2.0, 0.0, 0.0),
    Edge("masked log above", masked(tg.log), 2.0, mpmath.log(2), 0.5),
    Edge("masked sqrt at 0", masked(tg.sqrt), 0.0, 0.0, 0.0),
    Edge("masked sqrt below", masked(tg.sqrt), -2.0, 0.0, 0.0),
    Edge("masked log1p at -1", masked(tg.log1p, -1.0), -1.0, 0.0, 0.0),
    Edge("masked 1 / x", masked(lambda x: tg.divide(1.0, x)), 0.0, 0.0, 0.0),
    Edge("masked x / 0", masked(lambda x: tg.divide(x, 0.0)), 0.0, 0.0, 0.0),
    Edge("masked x / x", masked(lambda x: tg.divide(x, x)), 0.0, 0.0, 0.0),
    Edge("masked x ** 0.5", masked(power(0.5)), 0.0, 0.0, 0.0),
    Edge("masked x ** 0.5 below", masked(power(0.5)), -2.0, 0.0, 0.0),
    Edge("masked x ** -1", masked(power(-1)), 0.0, 0.0, 0.0),
    Edge("masked 0 ** y", masked(to_the(0.0), -1.0), -1.0, 0.0, 0.0),
    Edge("masked x ** x", masked(lambda x: tg.pow(x, x)), -2.0, 0.0, 0.0),
]


def kinds(edge: Edge) -> list[Kind]:
    """All kinds that hold the numbers of this edge."""
    chosen = [k for k in KINDS if not (edge.floats and k is EXACT) and (k is not FLOAT or np.ndim(edge.x) == 0)]
    numbers = [abs(float(v)) for v in (*np.ravel(edge.x), *np.ravel(edge.value), *np.ravel(edge.gradient))]
    if any(0 < v < 1e-37 or 1e38 < v < inf for v in numbers):
        chosen.remove(NUMPY32)
    return chosen


EVERY = [(edge, kind) for edge in EDGES for kind in kinds(edge)]


@pytest.mark.parametrize(("edge", "kind"), EVERY, ids=[f"{edge.label}-{kind}" for edge, kind in EVERY])
def test_edges(edge, kind):
    x = tg.Value(kind(edge.x))
    tolerance = kind.tolerance if kind.is_exact else kind.tolerance / 5
    with np.errstate(all="ignore"):  # numpy warns at a pole, and rightly
        assert_close(edge.call(x.data), edge.value, tolerance)
        y = edge.call(x)
        assert_close(y, edge.value, tolerance)
        gradient = tg.grad(y, x)
        recorded = tg.grad(edge.call(x), x, create_graph=True)  # the same rule, on Values
        second = tg.grad(tg.sum(recorded), x) if recorded.requires_grad else x.data
    assert_same_kind(gradient, x.data)
    assert_close(gradient, edge.gradient, tolerance)
    assert_same_kind(recorded.data, x.data)
    assert_close(recorded, edge.gradient, tolerance)
    assert_same_kind(second, x.data)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_a_masked_pole_stays_masked_in_every_order(kind):
    x = tg.Value(kind(0.0))
    for function in (tg.log, tg.sqrt, lambda x: 1.0 / x, lambda x: x**0.5, lambda x: x**-1.0):
        with np.errstate(all="ignore"):
            y = masked(function)(x)
            for _ in range(3):
                y = tg.grad(y, x, create_graph=True)
                assert_close(y, 0.0, 0)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_a_gradient_that_is_zero_still_has_a_derivative(kind):
    """The guard at poles is for poles alone: d/dg of g / x is 1 / x also at g = 0."""
    for call, slope in (
        (tg.log, 0.5),
        (tg.sqrt, 0.5 / mpmath.sqrt(2)),
        (tg.log1p, mpmath.mpf(1) / 3),
        (lambda x: 3.0 / x, -0.75),
        (lambda x: x / 4.0, 0.25),
        (lambda x: x**3, 12.0),
        (lambda x: 2**x, 4 * mpmath.log(2)),
    ):
        x, g = tg.Value(kind(2.0)), tg.Value(kind(0.0))
        assert_close(tg.grad(tg.grad(call(x), x, grad_output=g, create_graph=True), g), slope, kind.tolerance)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_at_a_pole_no_slope_is_made_up(kind):
    """There the derivative by what flows in is infinite or, if nothing flows, 0; never a number between."""
    for call, slope in ((tg.log, inf), (tg.sqrt, inf), (lambda x: 1.0 / x, -inf), (lambda x: x**0.5, inf)):
        for inflow, want in ((1.0, slope), (0.0, 0.0)):
            x, g = tg.Value(kind(0.0)), tg.Value(kind(inflow))
            with np.errstate(all="ignore"):
                assert_close(tg.grad(tg.grad(call(x), x, grad_output=g, create_graph=True), g), want, 0)


@pytest.mark.parametrize("kind", KINDS[1:], ids=repr)
def test_second_derivatives_of_products_with_zeros(kind):
    hessians = {
        (2.0, 0.0, 3.0): [[0, 3, 0], [3, 0, 2], [0, 2, 0]],
        (0.0, 0.0, 3.0): [[0, 3, 0], [3, 0, 0], [0, 0, 0]],
        (0.0, 0.0, 0.0): [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        (2.0, 5.0, 3.0): [[0, 3, 5], [3, 0, 2], [5, 2, 0]],
    }
    for x, hessian in hessians.items():
        assert_close(tg.hessian(tg.prod, kind(x)), np.array(hessian, dtype=float), 1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_the_mixed_derivative_of_a_power_where_the_exponent_is_zero(kind):
    """d/dx of x ** y is y x^(y-1), whose derivative by y at y = 0 is 1 / x: 0 as a factor hides nothing."""
    x, y = tg.Value(kind(4.0)), tg.Value(kind(0.0))
    by_x, by_y = tg.grad(x**y, [x, y], create_graph=True)
    assert_close(by_x, 0.0, 0)
    assert_close(by_y, mpmath.log(4), kind.tolerance)
    assert_close(tg.grad(by_x, y), 0.25, kind.tolerance)
    assert_close(tg.grad(by_y, x), 0.25, kind.tolerance)


def test_ties_follow_their_order_when_sorted():
    x = tg.Value([2.0, 1.0, 2.0, 1.0])
    assert tg.grad(tg.sort(x), x, grad_output=[1.0, 2.0, 3.0, 4.0]).tolist() == [3.0, 1.0, 4.0, 2.0]
    assert tg.grad(tg.sort(x, descending=True), x, grad_output=[1.0, 2.0, 3.0, 4.0]).tolist() == [1.0, 3.0, 2.0, 4.0]


# --- what numpy is not made to warn about

SILENT = [
    *((f, x) for f in (tg.tanh, tg.sigmoid, tg.softplus, tg.elu, tg.gelu, tg.erf, tg.erfc) for x in (1e3, -1e3, 1e30, -1e30)),
    (tg.norm, [0.0, 0.0]),
    (tg.std, TENTHS),
    (tg.max, [nan, 1.0]),
    (tg.min, [inf, inf]),
    (tg.prod, [0.0, 0.0]),
    (lambda x: x**0, [0.0, 1.0]),
    (lambda x: x**2, [0.0, 1.0]),
    (lambda y: tg.pow([0.0, 2.0], y), [2.0, 0.0]),
    (masked(tg.sqrt), [0.0, 4.0]),
    (lambda x: tg.var(x, correction=2), [1.0, 2.0]),
]


@pytest.mark.parametrize("kind", [NUMPY, NUMPY32], ids=repr)
@pytest.mark.parametrize(("function", "x"), SILENT)
def test_numpy_has_nothing_to_warn_about(function, x, kind):
    """Warnings are errors here: value, gradient and second derivative compute nothing that they do not need."""
    x = tg.Value(kind(x))
    gradient = tg.grad(tg.sum(function(x)), x, create_graph=True)
    tg.grad(tg.sum(gradient), x)


# --- huge ints


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_ints_beyond_the_largest_float(kind):
    huge, x = 10**400, tg.Value(kind(2.0))
    for call, value, gradient in (
        (lambda: x * huge, inf, inf),
        (lambda: huge * x, inf, inf),
        (lambda: x + huge, inf, 1.0),
        (lambda: x - huge, -inf, 1.0),
        (lambda: huge - x, inf, -1.0),
        (lambda: x / huge, 0.0, 0.0),
        (lambda: tg.maximum(x, huge), inf, 0.0),
        (lambda: tg.minimum(x, -huge), -inf, 0.0),
    ):
        y = call()
        if not kind.is_exact:
            assert_close(y, value, 0)
            assert_close(tg.grad(y, x), gradient, 0)
        else:
            assert y.data.item().is_finite()


def test_an_int_that_no_float_holds_is_rounded_once():
    x = tg.Value(1.0)
    assert (x * (2**60 + 1)).data == float(2**60 + 1)
    assert (tg.Value(tg.nd.exact(1)) * (2**60 + 1)).data.item() == 2**60 + 1


def test_plain_floats_follow_ieee_without_exceptions():
    """The same through the functions, without any Value."""
    for got, want in (
        (tg.divide(1.0, 0.0), inf),
        (tg.divide(-1.0, 0.0), -inf),
        (tg.divide(1.0, -0.0), -inf),
        (tg.divide(0.0, 0.0), nan),
        (tg.divide(1, 0), inf),
        (tg.pow(0.0, -1.0), inf),
        (tg.pow(-8.0, 1 / 3), nan),
        (tg.pow(10.0, 400.0), inf),
        (tg.exp(1000.0), inf),
        (tg.log(0.0), -inf),
        (tg.log(-1.0), nan),
        (tg.sqrt(-1.0), nan),
        (tg.square(1e200), inf),
        (tg.elu(1000.0), 1000.0),
        (tg.gelu(-1e200), 0.0),
        (tg.norm(-inf), inf),
        (tg.std(inf), nan),
    ):
        assert type(got) is float
        assert_close(got, want, 0)


def test_operators_on_single_numbers_follow_ieee():
    for call, value, gradient in (
        (lambda x: x / 0, inf, inf),
        (lambda x: x / 0.0, inf, inf),
        (lambda x: 1 / (x - 2), inf, -inf),
        (lambda x: (x - 2) ** -1, inf, -inf),
        (lambda x: (x - 10) ** (1 / 3), nan, nan),
        (lambda x: (0 * x) / (0 * x), nan, nan),
        (lambda x: 10.0 ** (200 * x), inf, inf),
        (lambda x: (x * 1e200) * (x * 1e200), inf, inf),
    ):
        x = tg.Value(2.0)
        y = call(x)
        y.backward()
        assert type(y.data) is float
        assert type(x.grad) is float
        assert_close(y, value, 0)
        assert_close(x.grad, gradient, 0)
