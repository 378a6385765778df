"""Functions that leave our ops: differences of floats judge them, or say that they cannot."""

import math

import pytest

import tinygrad_sm as tg
from tests.helpers.wrong_rules import BUGS, ESTIMATED, EXACT, by, changed, logits, softmax_with
from tinygrad_sm.check import gradcheck


def test_functions_that_leave_the_ops_are_estimated_and_say_why():
    for f, why in (
        (lambda x: x * float(x), "converts a Value"),
        (lambda x: x * x.item(), "converts a Value"),
        (lambda x: x * math.exp(x.data), "moves"),
        (lambda x: x * math.exp(x), "converts a Value"),
    ):
        report = gradcheck(f, 1.5)
        assert by(report) == ESTIMATED and report.verdicts == ["FAIL"]
        assert why in report.remarks[0]


def test_an_op_that_gives_floats_leaves_them():
    @tg.primitive
    def half(xp, x):
        return 0.5 * float(x)

    half.vjps(lambda xp, g, out, x: 0.5 * g)
    report = gradcheck(lambda x: x * half(x), 1.5)
    assert report and by(report) == ESTIMATED and "half gives floats on decimals" in report.remarks[0]


def test_branches_and_prints_do_not_leave_them():
    def f(x):
        assert f"{x:.2f} {x}"
        return x * x if x > 1.0 and x else tg.exp(x)

    report = gradcheck(f, 1.5)
    assert report and by(report) == EXACT


@pytest.mark.parametrize("n", [5, 10, 100])
def test_opaque_rules_at_scale_one(n):
    weights, right = logits(n, 1.0, seed=1), softmax_with(opaque=True)
    report = gradcheck(lambda z: (right(z) * weights).sum(), logits(n, 1.0))
    assert by(report) == ESTIMATED and report.counts["FAIL"] == 0
    assert report.counts["INCONCLUSIVE"] <= 0.05 * n


OPAQUE = {
    "softmax": lambda z: [math.exp(v) / math.fsum(map(math.exp, z)) for v in z],
    "log": lambda z: [math.log(1.5 + math.cos(v)) for v in z],
    "tanh": lambda z: [math.tanh(v) * v for v in z],
    "gamma": lambda z: [math.lgamma(abs(v) + 1.0) for v in z],
}


@pytest.mark.parametrize("name", OPAQUE)
def test_at_most_a_twentieth_is_inconclusive_at_scale_one(name):
    """The truth here is mpmath's derivative."""
    import mpmath

    exact = {
        "softmax": lambda z, w: [float(p * (g - s)) for p, g in zip(OPAQUE["softmax"](z), w, strict=True)
                                 for s in [math.fsum(a * b for a, b in zip(OPAQUE["softmax"](z), w, strict=True))]],
        "log": lambda z, w: [-math.sin(v) / (1.5 + math.cos(v)) * g for v, g in zip(z, w, strict=True)],
        "tanh": lambda z, w: [(math.tanh(v) + v / math.cosh(v) ** 2) * g for v, g in zip(z, w, strict=True)],
        "gamma": lambda z, w: [float(mpmath.digamma(abs(v) + 1)) * math.copysign(g, v * g) for v, g in zip(z, w, strict=True)],
    }[name]  # fmt: skip
    total = unsure = 0
    for seed in range(2):
        z, w = logits(20, 1.0, seed), logits(20, 1.0, seed + 9)
        report = gradcheck(
            lambda x, w=w: math.fsum(a * b for a, b in zip(OPAQUE[name]([*map(float, x)]), w, strict=True)),
            z,
            gradient=lambda x, w=w: exact([*map(float, x)], w),
        )
        assert by(report) == ESTIMATED and report.counts["FAIL"] == 0
        total, unsure = total + 20, unsure + report.counts["INCONCLUSIVE"]
    assert unsure <= 0.05 * total


@pytest.mark.parametrize(
    ("bug", "n"),
    [
        *((bug, 5) for bug in BUGS),
        ("one entry doubled", 70),
        *(pytest.param(bug, 70, marks=pytest.mark.heavy) for bug in ("zero", "times 1.0005")),
    ],
)
def test_opaque_rules_with_planted_bugs(bug, n):
    z, weights = logits(n, 1.0), logits(n, 1.0, seed=1)
    if changed(BUGS[bug], z, weights) < 1e-7:
        return  # below what differences of floats can tell
    spoiled = softmax_with(BUGS[bug], opaque=True)
    report = gradcheck(lambda z: (spoiled(z) * weights).sum(), z)
    assert by(report) == ESTIMATED and report.counts["FAIL"]


def test_a_hand_derived_gradient_in_numpy():
    import numpy as np

    def loss(w):
        return float(np.log1p(np.exp(-w)).sum())

    w = np.asarray([0.5, -1.0, 2.0])
    assert gradcheck(loss, w, gradient=lambda w: -1.0 / (1.0 + np.exp(w)))
    report = gradcheck(loss, w, gradient=lambda w: -1.0 / (1.0 + np.exp(-w)))
    assert report.counts["FAIL"] == 3 and by(report) == ESTIMATED


def test_a_rule_that_does_not_run_on_decimals_is_held_against_exact_slopes():
    @tg.primitive
    def cube(xp, x):
        return x * x * x

    cube.vjps(lambda xp, g, out, x: g * xp.asarray([3.0 * float(v) ** 2 for v in x.tolist()]))
    report = gradcheck(cube, [1.1, 2.3])
    assert report and by(report) == EXACT
    assert "the rule does not run on decimals (" in report.remarks[0] and "judged on floats alone" in report.remarks[0]
    cube.vjps(lambda xp, g, out, x: g * xp.asarray([3.0000003 * float(v) ** 2 for v in x.tolist()]))
    assert gradcheck(cube, [1.1, 2.3]).counts["FAIL"] == 2


def test_a_value_that_rounding_made_constant_settles_nothing():
    """Nothing moves and nothing scatters, so that only the bound from the graph knows how large the rounding is."""

    @tg.primitive
    def half(xp, x):
        return 0.5 * float(x)

    half.vjps(lambda xp, g, out, x: 0.5 * g)
    report = gradcheck(lambda x: (1e18 + half(x)) - 1e18, 1.5)
    assert by(report) == ESTIMATED and report.verdicts == ["INCONCLUSIVE"]


@pytest.mark.parametrize("factor", [1.0, 1.001])
def test_values_computed_with_coarser_floats_are_no_certain_failure(factor):
    """Eight points 1e-9 apart are one number to float32: the noise shows farther away."""
    import numpy as np

    x = np.asarray([0.3, 1.0])
    report = gradcheck(lambda x: float(np.sum(np.float32(x) ** 2)), x, gradient=lambda x: 2 * x * factor)
    assert by(report) == ESTIMATED and not report and (report.counts["FAIL"] == 0) == (factor == 1.0)


def test_what_only_sums_have_seen_is_not_called_certain():
    """exp(-60) drowns in a sum of a hundred; the report says how much of it the sums would have missed."""
    z = [*logits(99, 1.0), -60.0]

    def value(x):
        m = max(map(float, x))
        return m + math.log(math.fsum(math.exp(float(v) - m) for v in x))

    def gradient(x):
        p = tg.softmax([float(v) for v in x]).tolist()
        return [*p[:-1], 0.0]

    report = gradcheck(value, z, gradient=gradient)
    assert by(report) == ESTIMATED and report.ok
    assert all(0.0 < e.uncertainty < 1e-3 for e in report.elements)
    last = report.elements[-1]
    assert abs(last.gradient - math.exp(-60.0 - value(z))) < last.uncertainty
    sure = gradcheck(lambda x: tg.logsumexp(x), z)
    relative = [e.uncertainty / abs(float(e.exact)) for e in sure.elements]
    assert 1e-25 < max(relative) < 1e-20 and len({*relative}) > 50
