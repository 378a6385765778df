"""Slopes and their uncertainty: exact ones to 35 digits, estimated ones never wrong by more than they say."""

import math
import random
from decimal import Decimal, localcontext

import mpmath
import pytest

import tinygrad_sm as tg
from tinygrad_sm.check import differences, noise

DIGITS = 80


def slope_of(f, x, step="1e-20"):
    with localcontext(differences.arithmetic(DIGITS)):
        h = Decimal(step)
        values = [Decimal(mpmath.nstr(f(mpmath.mpf(x) + j * mpmath.mpf(step)), DIGITS + 5)) for j in range(-2, 3)]
        return differences.exact_slope(values, h, DIGITS)


@pytest.mark.parametrize("name", ["exp", "sin", "tanh", "atan", "log1p"])
def test_the_exact_slope_is_right_to_35_digits(name):
    with mpmath.workdps(DIGITS + 20):
        f = getattr(mpmath, name)
        slope = slope_of(f, 0.7)
        error = abs(mpmath.mpf(str(slope.value)) - mpmath.diff(f, mpmath.mpf(0.7)))
        assert slope.kind == "smooth" and error < 1e-35
        assert error <= mpmath.mpf(str(slope.error))


PLACES = {
    "kink": (abs, 0.0, "kink", -1.0, 1.0),
    "a small kink": (lambda x: x + 1e-9 * abs(x), 0.0, "kink", 1 - 1e-9, 1 + 1e-9),
    "a kink in a curve": (lambda x: x * x + abs(x), 0.0, "kink", -1.0, 1.0),
    "jump": (lambda x: 3.0 * x + (x > 0), 0.0, "jump", 3.0, 3.0),
    "a jump with its middle": (lambda x: 3.0 * x + mpmath.sign(x), 0.0, "jump", 3.0, 3.0),
    "smooth but sharp": (lambda x: mpmath.tanh(1e6 * x), 0.0, "smooth", 1e6, 1e6),
    "no slope": (lambda x: x * x, 0.0, "smooth", 0.0, 0.0),
    "constant": (lambda x: mpmath.mpf(4), 1.0, "smooth", 0.0, 0.0),
    "cusp": (lambda x: mpmath.sqrt(abs(x)), 0.0, "steep", None, None),
}


@pytest.mark.parametrize("case", PLACES)
def test_what_kind_of_place_it_is(case):
    f, x, kind, left, right = PLACES[case]
    with mpmath.workdps(DIGITS + 20):
        slope = slope_of(f, x)
    assert slope.kind == kind
    if left is not None:
        assert (float(slope.left), float(slope.right)) == pytest.approx((left, right), rel=1e-12, abs=1e-18)


def test_at_the_edge_of_the_domain_one_side_counts():
    nan = Decimal("NaN")
    with localcontext(differences.arithmetic(DIGITS)):
        h = Decimal("1e-20")
        edge = differences.exact_slope([nan, nan, Decimal(1), 1 + 2 * h + h * h, 1 + 4 * h + 4 * h * h], h, DIGITS)
        steep = differences.exact_slope([nan, nan, Decimal(0), h.sqrt(), (2 * h).sqrt()], h, DIGITS)
        nowhere = differences.exact_slope([nan, nan, nan, nan, nan], h, DIGITS)
    assert edge.kind == "edge" and abs(edge.value - 2) < Decimal("1e-19")
    assert steep.kind == "steep" and steep.value > 0
    assert nowhere.kind == "undefined"


FUNCTIONS = {
    "exp": (math.exp, math.exp),
    "log": (lambda x: math.log(abs(x)), lambda x: 1 / x),
    "cube": (lambda x: x**3, lambda x: 3 * x * x),
    "cancelling": (lambda x: (1e8 + math.sin(x)) - 1e8, math.cos),
    "wave": (lambda x: math.sin(30 * x), lambda x: 30 * math.cos(30 * x)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_estimate_is_not_wrong_by_more_than_it_says(name):
    f, slope = FUNCTIONS[name]
    rng, wrong, useless = random.Random(0), 0, 0
    for _ in range(200):
        x = rng.choice((-1, 1)) * 10 ** rng.uniform(-3, 1)
        sigma = noise.measured(lambda v: f(v[0]), [x], rng, 2.0**-52)
        if name == "cancelling":
            sigma = max(sigma, 1e-8)  # as the graph would say
        value, error = differences.ridders(lambda t: f(t), x, sigma, 2.0**-52)
        wrong += abs(value - slope(x)) > 4 * error
        useless += error > 1e-5 * abs(slope(x)) and name != "cancelling"
    assert wrong == 0 and useless <= 10


def test_the_step_is_the_one_that_was_made():
    """Of a type with few digits, x + h is not x plus h."""

    def rounded(t):
        return round(t * 1024) / 1024

    value, error = differences.ridders(lambda t: 3.0 * t, rounded(1 / 3), 1e-16, 2.0**-10, rounded)
    assert abs(value - 3.0) <= max(error, 1e-12)


def test_noise_is_measured_within_a_factor():
    rng = random.Random(0)
    for size in (1e-12, 1e-6):
        ratios = []
        for _ in range(50):
            found = noise.measured(lambda x, size=size: math.sin(x[0]) + size * rng.gauss(0, 1), [0.5], rng, 2.0**-52)
            ratios.append(found / size)
        assert 0.7 < sum(ratios) / 50 < 2.5 and min(ratios) > 0.1
    assert noise.measured(lambda x: 5.0, [0.5], rng, 2.0**-52) == 5.0 * 2.0**-53
    assert noise.measured(lambda x: math.nan, [0.5], rng, 2.0**-52) == math.inf


def test_the_graph_bounds_the_rounding_of_a_value():
    """Against the exact value; a line alone cannot see a value that cancelled to a constant."""
    for seed in range(50):
        rng = random.Random(seed)
        z = [rng.gauss(0, 3) for _ in range(5)]
        with tg.composed():
            y = tg.log(tg.exp(tg.Value(z)).sum()) - z[0]
        with mpmath.workdps(50):
            exact = mpmath.log(mpmath.fsum(map(mpmath.exp, z))) - z[0]
            error = abs(mpmath.mpf(float(y)) - exact)
        assert error <= noise.bound([y], [1.0], 2.0**-52)
    x = tg.Value(1.0)
    assert noise.bound([(x + 1e10) - 1e10], [1.0], 2.0**-52) == pytest.approx((1e10 + 1) * 2.0**-53, rel=1e-6)


@pytest.mark.parametrize(
    ("f", "kind"), [(abs, "kink"), (lambda x: math.floor(x), "jump"), (math.exp, None), (lambda x: 0.0, None)]
)
def test_kinks_and_jumps_of_floats(f, kind):
    found = differences.sides(f, 0.0, 1e-16)
    assert (found and found.kind) == kind


def test_the_noise_of_a_staircase_is_found_farther_away():
    found = noise.measured(lambda x: round(x[0] + 1 / 3, 5), [1 / 3], random.Random(0), 2**-52)
    assert 1e-6 < found < 1e-5
    assert noise.measured(lambda x: 2.0, [1.0], random.Random(0), 2**-52) == 2**-52


@pytest.mark.parametrize("side", [1, -1])
def test_the_slope_of_one_side(side):
    def f(x):
        return math.exp(x) if (x - 0.5) * side >= 0.0 else math.nan

    value, error = differences.ridders(f, 0.5, 1e-16, 2**-52, side=side)
    assert abs(value - math.exp(0.5)) <= error < 1e-10
    assert differences.ridders(f, 0.5, 1e-16, 2**-52)[1] == math.inf


def test_noise_is_measured_on_the_side_that_is_there():
    def f(x):
        return math.nan if x[0] < 1.0 or x[1] > 0.0 else x[0] - x[1]

    assert noise.measured(f, [1.0, 0.0], random.Random(0), 2**-52, {0: 1, 1: -1}) < 1e-14


@pytest.mark.parametrize(("f", "kind"), [("x log x", "steep"), ("x sqrt x", "edge"), ("x + x x", "edge"), ("sqrt x", "steep")])
def test_how_steep_an_edge_is(f, kind):
    values = {"x log x": lambda x: x * x.ln() if x else x, "x sqrt x": lambda x: x * x.sqrt(), "x + x x": lambda x: x + x * x,
              "sqrt x": lambda x: x.sqrt()}[f]  # fmt: skip
    with localcontext(differences.arithmetic(DIGITS)):
        h = Decimal("1e-20")
        row = [Decimal("NaN")] * 2 + [values(j * h) for j in range(3)]
        assert differences.exact_slope(row, h, DIGITS).kind == kind
