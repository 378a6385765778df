"""Derivatives of every op on every kind of numbers, against differences taken with seventy digits.

A central difference with steps of 1e-20 errs by some 1e-40, so that it counts as the truth for decimals, too: no tolerance
hides a rule that is nearly right. The first order is held against differences of the values, each further one against
differences of the order below.
"""

import math
from decimal import Decimal, localcontext
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import tinygrad_sm as tg
from tests.helpers.kinds import (
    FLOAT,
    WIDE,
    assert_close,
    assert_same_kind,
    every_array,
    exact,
    kinds_for,
    objects,
    read,
    to_decimals,
)
from tests.ops.points import points
from tests.ops.table import CASES, Case

STEP = Decimal("1e-20")
DIGITS = 70
cases = pytest.mark.parametrize("case", CASES, ids=repr)


@cache
def weights(shape: tuple[int, ...], salt: int = 0) -> np.ndarray:
    """Numbers with short binary fractions, all different, that tell the places of an array apart."""
    return np.reshape([((7 * i + 5 * salt + 3) % 16 - 7.5) / 8 for i in range(prod(shape))], shape)


def decimals(x: Any) -> np.ndarray:
    return np.asarray(to_decimals(objects(x)), dtype=object)


def derivative(case: Case, xs: list, order: int, kind: Any) -> list:
    """The derivatives of the weighted sum of the outputs: by every operand, along a direction for each order above 1."""
    values = [tg.Value(x) for x in xs]
    output = case.call(*values)
    gradients = tg.grad(output, values, grad_output=kind(weights(output.shape)), create_graph=order > 1)
    for k in range(2, order + 1):
        directions = [kind(weights(x.shape, salt=k + i)) for i, x in enumerate(values)]
        along = [tg.sum(g * d) for g, d in zip(gradients, directions, strict=True)]
        total = along[0] if len(along) == 1 else along[0] + along[1] if len(along) == 2 else along[0] + along[1] + along[2]
        gradients = tg.grad(total, values, create_graph=k < order)
    return gradients


def difference_of_values(case: Case, xs: list[np.ndarray]) -> list[np.ndarray]:
    """The first derivatives, element by element."""

    def weighted(points: list[np.ndarray]) -> Decimal:
        output = read(case.call(*(exact(x, DIGITS) for x in points)))
        return sum(np.ravel(output * decimals(weights(output.shape))).tolist(), Decimal(0))

    results = []
    with localcontext(WIDE):
        for i, x in enumerate(xs):
            slopes = np.empty(x.shape, dtype=object)
            for place in np.ndindex(x.shape):
                ends = []
                for step in (STEP, -STEP):
                    moved = x.copy()
                    moved[place] += step
                    ends.append(weighted([*xs[:i], moved, *xs[i + 1 :]]))
                slopes[place] = (ends[0] - ends[1]) / (2 * STEP)
            results.append(slopes)
    return results


def difference_of_derivatives(case: Case, xs: list[np.ndarray], order: int) -> list[np.ndarray]:
    """The derivatives of this order, as differences of those of the order below along its direction."""
    ends = []
    with localcontext(WIDE):
        for step in (STEP, -STEP):
            moved = [objects(x + step * decimals(weights(x.shape, salt=order + i))) for i, x in enumerate(xs)]
            slopes = derivative(case, [exact(x, DIGITS) for x in moved], order - 1, lambda w: exact(w, DIGITS))
            ends.append([read(slope) for slope in slopes])
        return [objects((a - b) / (2 * STEP)) for a, b in zip(*ends, strict=True)]


def check_derivatives(case: Case, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(points(case))
    def check(xs):
        start = [decimals(x) for x in xs]
        for order in range(1, case.orders + 1):
            want = difference_of_values(case, start) if order == 1 else difference_of_derivatives(case, start, order)
            size = max([0.5, *(abs(float(w)) for slopes in want for w in slopes.ravel())])
            for kind in kinds_for(case.shapes):
                of_kind = [kind(x) for x in xs]
                got = derivative(case, of_kind, order, kind)
                tolerance = 1e-28 if kind.is_exact else kind.tolerance * 4**order
                for g, w, x in zip(got, want, of_kind, strict=True):
                    assert_same_kind(g, x)
                    assert_close(g, w, tolerance, size / 4)

    check()


@cases
def test_derivatives(case):
    check_derivatives(case, examples=2)


@pytest.mark.heavy
@cases
def test_derivatives_at_many_points(case):
    check_derivatives(case, examples=15)


@cases
def test_forward_mode_agrees(case):
    """jvp is the jacobian times the direction, and what differences of the values say."""

    @settings(max_examples=1, deadline=None)
    @given(points(case))
    def check(xs):
        for i, shape in enumerate(case.shapes):

            def f(x, i=i, xs=xs):
                return case.call(*(exact(y, DIGITS) for y in xs[:i]), x, *(exact(y, DIGITS) for y in xs[i + 1 :]))

            x, v = exact(xs[i], DIGITS), exact(weights(shape), DIGITS)
            output, along = tg.jvp(f, x, v)
            with localcontext(WIDE):
                there, back = (f(exact(objects(decimals(xs[i]) + s * decimals(weights(shape))), DIGITS)) for s in (STEP, -STEP))
                want = objects((read(there) - read(back)) / (2 * STEP))
                assert_close(output, read(f(x)), 0)
                assert_close(along, want, 1e-28, 0.25)
                jacobian = read(tg.jacobian(f, x)).reshape((*output.shape, -1))
                assert_close(along, objects(jacobian @ read(v).ravel()), 1e-40, 0.25)

    check()


# --- where a trick with |x|, a mask or a division could spoil a higher derivative


def _half_root_of_pi(x: tg.Value) -> Any:
    return tg.nd.sqrt(tg.nd.pi_like(x.data)) / 2 if isinstance(x.data, tg.nd.Decimals) else math.sqrt(math.pi) / 2


AT_ZERO = {
    # name: (function, its derivatives at 0 from the first on)
    "tanh": (tg.tanh, [1, 0, -2, 0, 16]),
    "erf": (lambda x: tg.erf(x) * _half_root_of_pi(x), [1, 0, -2, 0, 12]),
    "erfc": (lambda x: tg.erfc(x) * -_half_root_of_pi(x), [1, 0, -2, 0, 12]),
    "exp": (tg.exp, [1, 1, 1, 1, 1]),
    "expm1": (tg.expm1, [1, 1, 1, 1, 1]),
    "log1p": (tg.log1p, [1, -1, 2, -6, 24]),
    "sin": (tg.sin, [1, 0, -1, 0, 1]),
    "cos": (tg.cos, [0, -1, 0, 1, 0]),
    "square": (tg.square, [0, 2, 0, 0]),
    "x ** 4": (lambda x: x**4, [0, 0, 0, 24, 0, 0]),
    "x ** 3": (lambda x: x**3, [0, 0, 6, 0, 0]),
    "x ** 1": (lambda x: x**1, [1, 0, 0, 0]),
    "x ** 0": (lambda x: x**0, [0, 0, 0, 0]),
    "2 ** x": (lambda x: 2**x, [float(np.log(2)), float(np.log(2) ** 2)]),
    "x * x * x": (lambda x: x * x * x, [0, 0, 6, 0]),
    "1 / (1 + x)": (lambda x: 1 / (1 + x), [-1, 2, -6]),
    "var of x and 0": (lambda x: tg.var(tg.stack([x, 0 * x])), [0, 0.5, 0]),
    "product of x, x, 3": (lambda x: tg.prod(tg.stack([x, x, 3 + 0 * x])), [0, 6, 0]),
    "norm of x and 2": (lambda x: tg.norm(tg.stack([x, 2 + 0 * x])), [0, 0.5]),
    "softplus": (tg.softplus, [0.5, 0.25, 0, -0.125]),
}


@pytest.mark.parametrize("kind", [FLOAT, *every_array.args[1]], ids=repr)
@pytest.mark.parametrize("name", AT_ZERO)
def test_higher_derivatives_at_zero(name, kind):
    f, wanted = AT_ZERO[name]
    x = tg.Value(kind(0.0))
    y = f(x)
    for want in wanted:
        y = tg.grad(y, x, create_graph=True)
        assert_same_kind(y.data, x.data)
        assert_close(y, float(want), 1e-14 if kind.name != "float32" else 1e-5, 1)
