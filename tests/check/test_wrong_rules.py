"""gradcheck refuses wrong rules, and says which elements they spoil; the same rules without the bug pass."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.wrong_rules import BUGS, ESTIMATED, EXACT, by, changed, logits, softmax_with
from tinygrad_sm.check import gradcheck

heavy = pytest.mark.heavy
PLANTED = [
    *((bug, scale, 5) for bug in BUGS for scale in (1.0, 10.0)),
    *(pytest.param(bug, scale, 10, marks=heavy) for bug in BUGS for scale in (1.0, 10.0)),
    *(pytest.param(bug, 10.0, 1000, marks=heavy) for bug in ("the tail is 0", "one entry doubled", "times 1 + 1e-14")),
    *(pytest.param(bug, 1.0, 5000, marks=heavy) for bug in ("zero", "times 1 + 1e-14")),
]


@pytest.mark.parametrize(("bug", "scale", "n"), PLANTED)
def test_planted_bugs_are_caught(bug, scale, n):
    z, weights = logits(n, scale), logits(n, 1.0, seed=1)
    if not changed(BUGS[bug], z, weights):
        assert bug == "the tail is 0" and min(tg.softmax(z).tolist()) > 1e-5  # there is no tail
        return
    report = gradcheck(softmax_with(BUGS[bug]), z)
    assert not report and report.counts["FAIL"] and by(report) == EXACT
    assert "also on decimals" in report.worst.note


@pytest.mark.parametrize(
    ("n", "scale"),
    [(5, 1.0), (5, 10.0), (70, 10.0), pytest.param(1000, 10.0, marks=heavy), pytest.param(5000, 1.0, marks=heavy)],
)
def test_the_same_softmax_without_a_bug_passes(n, scale):
    weights = logits(n, 1.0, seed=1)
    right = softmax_with()
    assert gradcheck(lambda z: (right(z) * weights).sum(), logits(n, scale))


@pytest.mark.parametrize(
    ("bug", "n"),
    [
        *((bug, 5) for bug in BUGS),
        ("one entry doubled", 70),
        *(pytest.param(bug, 70, marks=heavy) for bug in ("zero", "the tail is 0")),
    ],
)
def test_the_elements_that_a_bug_spoils_are_the_ones_that_fail(bug, n):
    z, weights = logits(n, 10.0), logits(n, 1.0, seed=1)
    spoiled, right = softmax_with(BUGS[bug]), softmax_with()
    report = gradcheck(lambda z: (spoiled(z) * weights).sum(), z)
    a, b = (tg.vjp(op, z, weights)[1].tolist() for op in (spoiled, right))
    wrong = [k for k in range(n) if abs(a[k] - b[k]) > 1e-15 * abs(b[k]) and abs(a[k] - b[k]) > 0]
    assert [k for k, verdict in enumerate(report.verdicts[0]) if verdict == "FAIL"] == wrong


def test_an_entry_too_small_to_show_in_a_sum_of_all():
    """exp(-150) is 65 digits below the others."""
    z = [*logits(70, 1.0), -150.0]
    spoiled = softmax_with(BUGS["one entry doubled"])
    report = gradcheck(lambda z: spoiled(z)[0], z)
    assert report.verdicts == [["PASS"] * 70 + ["FAIL"]]


def test_p_minus_one_loses_a_confident_gradient():
    """The rule is right as mathematics, and on decimals; on floats it gives 0 at the target, not -2.7e-17."""
    target = tg.nd.asarray([True, False, False])

    @tg.fused
    def loss(xp, z):
        return tg.logsumexp(z) - z[0]

    @loss.backward
    def _(xp, g, out, z):
        p = tg.softmax(z)
        return g * xp.where(target, p - 1.0, p)

    assert gradcheck(loss, [4.0, 0.0, 1.0])
    confident = gradcheck(loss, [40.0, 0.0, 1.0])
    assert not confident and confident.verdicts == [["FAIL", "PASS", "PASS"]]


PEERS = {  # what one or another of today's checkers accepts: value, gradient there, wrong gradient
    "f' = 1e-7": (lambda x: 1e-7 * x, [1.0], [-5e-7]),
    "f' = 1e-6": (lambda x: 1e-6 * x, [1.0], [-4e-6]),
    "f' = 0.001": (lambda x: 0.001 * x, [1.0], [-0.008]),
    "an error orthogonal to a fixed direction": (lambda x: x * x, [1.0, 2.0], [-0.0008, 12.8]),
}


@pytest.mark.parametrize("case", PEERS)
@pytest.mark.parametrize("opaque", [False, True])
def test_what_peers_accept_is_rejected(case, opaque):
    f, x, wrong = PEERS[case]

    def leaving(x):
        return math.fsum(float(v) for v in f(x)) if opaque else tg.sum(f(x))

    report = gradcheck(leaving, x, gradient=lambda x: wrong)
    assert report.counts["FAIL"] == len(x) and by(report) == (ESTIMATED if opaque else EXACT)


def test_a_bug_in_the_second_derivative_alone():
    @tg.fused
    def half_square(xp, x):
        return 0.5 * x * x

    @half_square.backward
    def _(xp, g, out, x):
        return g * tg.constant(x)

    assert gradcheck(half_square, [1.0, 2.0])
    report = gradcheck(half_square, [1.0, 2.0], order=2)
    assert report.counts["FAIL"] == 2 and report.worst.order == 2


def test_a_rule_that_cannot_be_differentiated_is_a_problem():
    @tg.primitive
    def sinh(xp, x):
        return xp.sinh(x)

    sinh.vjps(lambda xp, g, out, x: g * xp.cosh(x))
    report = gradcheck(sinh, [1.0, 2.0], order=2)
    assert gradcheck(sinh, [1.0, 2.0])
    assert not report and report.counts["PASS"] == 2 and "cannot be differentiated: cosh" in report.problems[0]


def test_a_kernel_is_wrong_on_floats_only():
    @tg.fused
    def doubled(xp, x):
        return xp.exp(x)

    @doubled.backward
    def _(xp, g, out, x):
        return g * out

    assert gradcheck(doubled, [1.0, 2.0])
    doubled.kernel(tg.nd.Array)(lambda x: tg.exp(x) * (1.0 + 1e-7))
    report = gradcheck(doubled, [1.0, 2.0])
    assert report.counts["FAIL"] == 2 and "float run" in report.worst.note


@settings(deadline=None, max_examples=10)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=5), st.floats(1e-7, 10.0), st.integers(0, 4))
def test_any_error_of_one_entry_is_found(z, error, place):
    """The truth: the rule is right but for a factor 1 + error on one entry."""
    place %= len(z)

    @tg.fused
    def spoiled(xp, x):
        return xp.sum(xp.exp(x))

    @spoiled.backward
    def _(xp, g, out, x):
        factors = [1.0 + error * (k == place) for k in range(len(z))]
        return g * xp.exp(x) * xp.asarray(factors)

    report = gradcheck(spoiled, z)
    assert report.verdicts == [["FAIL" if k == place else "PASS" for k in range(len(z))]]
