"""gradcheck: right gradients pass, wrong ones fail, kinks are told from mistakes, and what cannot be judged is no pass."""

import json
import math
import random
from decimal import Decimal
from types import SimpleNamespace

import pytest

import tinygrad_sm as tg
from tests.helpers.wrong_rules import BUGS, ESTIMATED, EXACT, by, logits, softmax_with
from tinygrad_sm.check import gradcheck
from tinygrad_sm.check.differences import Slope
from tinygrad_sm.check.proof import Judge

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
    "a minimum at 0": (lambda x: x * x, 0.0),
    "nothing reaches it": (lambda x, y: x * 2.0, [1.0], [5.0]),
}


@pytest.mark.parametrize("case", CORRECT)
def test_correct_code_passes(case):
    report = gradcheck(CORRECT[case][0], *CORRECT[case][1:], order=2)
    assert {e.order for e in report.elements} == {1, 2}
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


@pytest.mark.parametrize("name", ["norm", "std"])
def test_norms_of_nothing_are_kinks_in_both_orders(name):
    report = gradcheck(lambda x: getattr(x, name)(), [0.0, 0.0], order=2)
    assert report and {(e.order, e.verdict) for e in report.elements} >= {(1, "KINK"), (2, "KINK")}


def test_a_second_derivative_that_is_lost_at_a_kink_fails():
    """The square of the norm is smooth, and its second derivative 2, but the norm has none to give at 0."""
    assert gradcheck(lambda x: x.norm() ** 2, [0.0, 0.0]).verdicts == [["PASS", "PASS"]]
    assert gradcheck(lambda x: x.norm() ** 2, [0.0, 0.0], order=2).verdicts == [["FAIL", "FAIL"]]


@pytest.mark.parametrize(("error", "verdict"), [("1e-3", "INCONCLUSIVE"), ("1e-12", "PASS")])
def test_an_exact_slope_that_is_unsure_settles_nothing(error, verdict):
    one = Decimal(1)
    slope = Slope(one, Decimal(error), one, one, "smooth")
    judge = SimpleNamespace(order=1, natural=one)
    assert Judge._at(judge, slope, one, Decimal("1e-8"))[0] == verdict


def test_an_infinite_slope_is_right_only_where_f_is_that_steep():
    assert gradcheck(tg.sqrt, [0.0]).verdicts == [["KINK"]]
    assert gradcheck(lambda x: x * x, 1.0, gradient=lambda x: math.inf).worst.verdict == "FAIL"


def test_many_coordinates_with_kinks_among_them():
    x = [max(0.0, math.sin(i)) for i in range(66)]
    report = gradcheck(lambda x: tg.relu(x).sum(), x)
    assert report.verdicts == [["KINK" if v == 0.0 else "PASS" for v in x]]


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
    a, b = (str(gradcheck(tg.logsumexp, logits(5, 1.0), seed=3)) for _ in range(2))
    assert a == b
