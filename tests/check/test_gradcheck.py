"""gradcheck: right gradients pass, wrong ones fail, kinks are told from mistakes, and what cannot be judged is no pass."""

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tinygrad_sm.check import gradcheck

EXACT, ESTIMATED = "exact", "estimated"


def by(report):
    return ESTIMATED if ESTIMATED in report.method else EXACT


def logits(n, scale, seed=0):
    rng = random.Random(n + seed)
    return [rng.gauss(0.0, scale) for _ in range(n)]


# --- what other checkers reject: correct code at uncomfortable points

CORRECT = {
    "log near 0": (tg.log, [1e-7, 1e-5, 1e-3]),
    "log at 1e-300": (tg.log, [1e-300]),
    "sqrt near 0": (tg.sqrt, [1e-6]),
    "softmax far from 0": (tg.softmax, [1e8, 1e8 + 1, 1e8 + 2]),
    "cube of 1e4": (lambda x: x**3, [1e4]),
    "exp of 30": (tg.exp, 30.0),
    "low temperature": (lambda z: tg.softmax(z / 1e-3), [0.1, 0.2, 0.1005]),
    "a gradient that cancels": (lambda z: tg.softmax(z) * 1e12, [0.0, 0.0]),
    "a gradient that is 0": (lambda z: tg.softmax(z).sum(), [1.0, 2.0, 3.0]),
    "a large sum": (lambda z: tg.logsumexp(z) * 1e8, [1.0, 2.0]),
    "sharp but smooth": (lambda x: tg.softplus(1000 * x), [0.0, 1e-3, 0.5]),
    "two that differ by one ulp": (lambda x: x.max(), [0.3, 0.1 + 0.2]),
    "confident": (lambda z: tg.cross_entropy(z, 0), [700.0, 0.0, 1.0]),
    "two inputs, a number and a matrix": (lambda a, b: a * tg.tanh(b), 1.5, [[0.5, 2.0]]),
    "labels": (tg.cross_entropy, [[1.0, 2.0], [0.0, 3.0]], [0, 1]),
    "masked, minus infinity": (lambda z: tg.log_softmax(tg.where([True, False, True], z, -math.inf)), [1.0, 2.0, 3.0]),
    "several outputs": (lambda x: (tg.exp(x), x.sum()), [1.0, 2.0]),
    "a zero factor": (lambda x: x.prod(), [2.0, 0.0, 3.0]),
    "ints": (lambda x: x * x, 3),
    "nothing reaches it": (lambda x, y: x * 2.0, [1.0], [5.0]),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("case", CORRECT)
def test_correct_code_passes(case, order):
    report = gradcheck(CORRECT[case][0], *CORRECT[case][1:], order=order)
    assert report.ok and by(report) == EXACT
    assert report.counts["INCONCLUSIVE"] == report.counts["FAIL"] == report.counts["KINK"] == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_arrays_are_judged_in_their_own_type(dtype):
    import numpy as np

    z = np.asarray([1.0, 2.0, 3.5], dtype=dtype)
    report = gradcheck(tg.softmax, z, order=2)
    assert report.ok and by(report) == EXACT
    assert type(gradcheck(tg.exp, z).worst.gradient) is float


# --- kinks

KINKS = {
    "relu at 0 and beside it": (tg.relu, [0.0, 1e-7, -1e-7], ["KINK", "PASS", "PASS"]),
    "abs": (tg.abs, [0.0, 1.0], ["KINK", "PASS"]),
    "ties of max": (lambda x: x.max(), [1.0, 2.0, 2.0], ["PASS", "KINK", "KINK"]),
    "the norm of 0": (lambda x: x.norm(), [0.0, 0.0], ["KINK", "KINK"]),
    "sharp": (lambda x: tg.softplus(1000 * x), [0.0], ["PASS"]),
}


@pytest.mark.parametrize("case", KINKS)
def test_kinks_are_recognised_and_a_subgradient_is_valid(case):
    f, x, verdicts = KINKS[case]
    report = gradcheck(f, x)
    assert report.verdicts == [verdicts] and report.ok and by(report) == EXACT
    for e in report.elements:
        assert ("valid subgradient" in e.note) == (e.verdict == "KINK")


@pytest.mark.parametrize(("at_zero", "verdict"), [(-0.1, "FAIL"), (0.0, "KINK"), (0.4, "KINK"), (1.0, "KINK"), (1.1, "FAIL")])
@pytest.mark.parametrize("opaque", [False, True])
def test_at_a_kink_only_what_lies_between_the_slopes_is_a_gradient(at_zero, verdict, opaque):
    def ramp(x):
        return max(float(x), 0.0) if opaque else tg.relu(x)

    report = gradcheck(ramp, 0.0, gradient=lambda x: at_zero)
    assert report.worst.verdict == verdict and report.ok == (verdict == "KINK")
    assert "slopes 0 and 1" in report.worst.note
    assert by(report) == (ESTIMATED if opaque else EXACT)


@pytest.mark.parametrize("opaque", [False, True])
def test_a_jump_is_no_kink(opaque):
    step = (lambda x: math.floor(float(x)) * 1.0) if opaque else (lambda x: tg.where(tg.Value(x) < 1.0, 0.0, x * 0.0 + 1.0))
    report = gradcheck(step, 1.0, gradient=lambda x: 0.0)
    assert report.worst.verdict == "INCONCLUSIVE" and "jumps" in report.worst.note and not report


def test_a_kink_is_a_jump_of_the_gradient():
    report = gradcheck(tg.abs, [0.0, 1.0], order=2)
    assert report and "jumps" in next(e.note for e in report.elements if (e.order, e.verdict) == (2, "KINK"))


def test_an_infinite_slope_is_right_only_where_f_is_that_steep():
    assert gradcheck(tg.sqrt, [0.0]).verdicts == [["KINK"]]
    assert gradcheck(lambda x: x * x, 1.0, gradient=lambda x: math.inf).worst.verdict == "FAIL"


def test_many_coordinates_with_kinks_among_them():
    x = [max(0.0, math.sin(i)) for i in range(80)]
    report = gradcheck(lambda x: tg.relu(x).sum(), x)
    assert report.verdicts == [["KINK" if v == 0.0 else "PASS" for v in x]]


# --- wrong rules

BUGS = {
    "zero": lambda xp, d, g, p: 0.0 * d,
    "flipped sign": lambda xp, d, g, p: -d,
    "missing dot term": lambda xp, d, g, p: p * g,
    "times 1.0005": lambda xp, d, g, p: d * 1.0005,
    "times 1.1": lambda xp, d, g, p: d * 1.1,
    "times 1 + 1e-8": lambda xp, d, g, p: d * (1.0 + 1e-8),
    "times 1 + 1e-14": lambda xp, d, g, p: d * (1.0 + 1e-14),
    "the tail is 0": lambda xp, d, g, p: xp.where(p < 1e-5, 0.0, d),
    "one entry doubled": lambda xp, d, g, p: xp.where(xp.equal(p, xp.min(p)), 2.0 * d, d),
}


def softmax_with(change=lambda xp, d, g, p: d, opaque=False):
    """softmax with a rule that `change` spoils; an opaque one computes with Python's own floats."""

    @tg.fused
    def spoiled(xp, z):
        if opaque:
            es = [math.exp(float(v)) for v in z]
            return xp.asarray([e / math.fsum(es) for e in es])
        e = xp.exp(z - xp.max(z))
        return e / xp.sum(e)

    @spoiled.backward
    def _(xp, g, p, z):
        return change(xp, p * (g - xp.sum(p * g)), g, p)

    return spoiled


def changed(change, z, weights):
    """Whether the bug changes the gradient of the weighted sum at all, and by how much relatively where it does most."""
    a, b = ([*tg.vjp(softmax_with(c), z, weights)[1]] for c in (change, lambda xp, d, g, p: d))
    return max(abs(float(x) - float(y)) / abs(float(y)) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("n", [5, 10, pytest.param(1000, marks=pytest.mark.heavy), pytest.param(5000, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("scale", [1.0, 10.0])
@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_caught(bug, scale, n):
    z, weights = logits(n, scale), logits(n, 1.0, seed=1)
    if not changed(BUGS[bug], z, weights):
        assert bug == "the tail is 0" and min(tg.softmax(z).tolist()) > 1e-5  # there is no tail
        return
    report = gradcheck(softmax_with(BUGS[bug]), z)
    assert not report and report.counts["FAIL"] and by(report) == EXACT
    assert "also on decimals" in report.worst.note


@pytest.mark.parametrize("n", [5, 70, pytest.param(5000, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_the_same_softmax_without_a_bug_passes(scale, n):
    weights = logits(n, 1.0, seed=1)
    right = softmax_with()
    assert gradcheck(lambda z: (right(z) * weights).sum(), logits(n, scale))


def sizes(large):
    """All bugs at n = 5; where many coordinates are moved at once, two of them lightly and the others in the heavy run."""
    light = ("one entry doubled", "zero")
    return [
        *((bug, 5) for bug in BUGS),
        *((bug, large) for bug in light),
        *(pytest.param(bug, large, marks=pytest.mark.heavy) for bug in BUGS if bug not in light),
    ]


@pytest.mark.parametrize(("bug", "n"), sizes(70))
def test_the_elements_that_a_bug_spoils_are_the_ones_that_fail(bug, n):
    z, weights = logits(n, 10.0), logits(n, 1.0, seed=1)
    spoiled, right = softmax_with(BUGS[bug]), softmax_with()
    report = gradcheck(lambda z: (spoiled(z) * weights).sum(), z)
    a, b = (tg.vjp(op, z, weights)[1].tolist() for op in (spoiled, right))
    wrong = [k for k in range(n) if abs(a[k] - b[k]) > 1e-15 * abs(b[k]) and abs(a[k] - b[k]) > 0]
    assert [k for k, verdict in enumerate(report.verdicts[0]) if verdict == "FAIL"] == wrong


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


# --- beyond our ops


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
    for seed in range(3):
        z, w = logits(20, 1.0, seed), logits(20, 1.0, seed + 9)
        report = gradcheck(
            lambda x, w=w: math.fsum(a * b for a, b in zip(OPAQUE[name]([*map(float, x)]), w, strict=True)),
            z,
            gradient=lambda x, w=w: exact([*map(float, x)], w),
        )
        assert by(report) == ESTIMATED and report.counts["FAIL"] == 0
        total, unsure = total + 20, unsure + report.counts["INCONCLUSIVE"]
    assert unsure <= 0.05 * total


@pytest.mark.parametrize(("bug", "n"), sizes(70))
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
    assert by(gradcheck(cube, [1.1, 2.3])) == EXACT
    assert gradcheck(cube, [1.1, 2.3])
    cube.vjps(lambda xp, g, out, x: g * xp.asarray([3.0000003 * float(v) ** 2 for v in x.tolist()]))
    assert gradcheck(cube, [1.1, 2.3]).counts["FAIL"] == 2


# --- what else can be wrong


def test_two_runs_that_differ():
    rng = random.Random(0)
    report = gradcheck(lambda x: x * rng.random(), [1.0, 2.0])
    assert not report and "two runs" in report.problems[0]


def test_an_input_that_is_changed():
    import numpy as np

    mask = np.asarray([True, False])

    def f(x, mask):
        mask[0] = False
        return x * 2.0

    report = gradcheck(f, np.asarray([1.0, 2.0]), mask)
    assert not report and "changed its input" in report.problems[0]


@pytest.mark.parametrize(
    ("rule", "text"),
    [(lambda xp, g, out, x: g + 1.0, "0 flows in"), (lambda xp, g, out, x: g * xp.abs(g), "twice")],
)
def test_a_rule_that_is_not_linear(rule, text):
    @tg.primitive
    def same(xp, x):
        return x * 1.0

    same.vjps(rule)
    report = gradcheck(same, [1.0, 2.0])
    assert not report and any(text in problem for problem in report.problems)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: gradcheck(lambda x: 3.0, [1.0]), TypeError, "remembers nothing"),
        (lambda: gradcheck(lambda x: float(x), 1.0), TypeError, "gradient="),
        (lambda: gradcheck(lambda x: "no", 1.0), TypeError, "numbers, arrays or Values"),
        (lambda: gradcheck(tg.exp), TypeError, "give the inputs"),
        (lambda: gradcheck([1.0], tg.exp), TypeError, "first argument"),
        (lambda: gradcheck(tg.exp, tg.nd.zeros((0,))), ValueError, "no elements"),
        (lambda: gradcheck(tg.exp, [True]), ValueError, "could be differentiated"),
        (lambda: gradcheck(tg.exp, "abc"), ValueError, "could be differentiated"),
        (lambda: gradcheck(tg.exp, 1.0, order=3), ValueError, "order is 1 or 2"),
        (lambda: gradcheck(tg.exp, 1.0, order=2, gradient=tg.exp), ValueError, "first order"),
        (lambda: gradcheck(tg.exp, [1.0, 2.0], gradient=tg.exp), ValueError, "one number"),
        (lambda: gradcheck(tg.sum, [1.0, 2.0], gradient=lambda x: [1.0]), ValueError, r"shape \(1,\)"),
        (lambda: gradcheck(lambda x, y: x * y, 1.0, 2.0, gradient=lambda x, y: y), ValueError, "1 gradient"),
    ],
)
def test_wrong_use_is_a_sentence(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_an_error_of_the_function_is_its_own():
    with pytest.raises(ZeroDivisionError):
        gradcheck(lambda x: x * (1 / 0), 1.0)


# --- the report


def test_a_report_can_be_read_and_queried():
    spoiled = softmax_with(BUGS["flipped sign"])
    report = gradcheck(lambda z, w: (spoiled(z) * w).sum(), [1.0, 2.0, 3.0], [0.5, 0.0, 1.0], seed=7)
    assert not report and not report.ok and report.seed == 7
    assert report.counts == {"PASS": 3, "KINK": 0, "INCONCLUSIVE": 0, "FAIL": 3}
    assert report.verdicts == [["FAIL"] * 3, ["PASS"] * 3]
    worst = report.worst
    assert (worst.name, worst.verdict, worst.order) == ("z", "FAIL", 1)
    exact = tg.vjp(tg.softmax, [1.0, 2.0, 3.0], [0.5, 0.0, 1.0])[1].tolist()
    for e in report.elements[:3]:
        assert float(e.exact) == pytest.approx(exact[e.place[0]], rel=1e-14)
        assert float(e.gradient) == pytest.approx(-exact[e.place[0]], rel=1e-14)
    text = str(report)
    assert "NOT OK" in text and "seed 7" in text and "z[0]" in text and "FAIL" in report.table()
    assert json.loads(json.dumps(report.to_dict()))["counts"]["FAIL"] == 3


def test_a_second_opinion_is_given():
    report = gradcheck(lambda x: tg.exp(x).sum(), [0.5, 1.0])
    assert "2.0" in report.remarks[0]


def test_the_shape_of_verdicts_is_that_of_the_inputs():
    report = gradcheck(lambda a, b, labels: (a * b).sum(), [[1.0, 2.0]], 3.0, [1, 0])
    assert report.verdicts == [[["PASS", "PASS"]], "PASS", None] and "labels" in report.remarks[-1]


def test_the_same_seed_gives_the_same_report():
    a, b = (str(gradcheck(tg.logsumexp, logits(70, 1.0), seed=3)) for _ in range(2))
    assert a == b


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
