"""gradcheck: right gradients pass, wrong ones fail, kinks are told from mistakes, and what cannot be judged is no pass."""

import json
import math
import random
from decimal import Decimal
from functools import partial
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
    "targets at the ends of what they may be": (tg.binary_cross_entropy, [0.3, -1.0], [1.0, 0.0]),
    "and the probabilities": (lambda p, t: tg.binary_cross_entropy(p, t, from_logits=False), [0.3, 0.8], [1.0, 0.0]),
    "focal loss of such": (tg.binary_focal_loss, [0.3, -1.0], [1.0, 0.0]),
    "soft targets that are hard": (tg.cross_entropy, [0.3, -1.0, 2.0], [1.0, 0.0, 0.0]),
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


@pytest.mark.parametrize(
    ("f", "x", "kink"),
    [
        (lambda x: tg.relu(x) ** 2, [0.0, 1.0], True),
        (lambda x: x * tg.abs(x), [0.0, 1.0], True),
        (lambda x: x**1.5, [0.0, 1.0], None),
        (tg.entmax15, [0.0, -2.0, -5.0], True),
        (lambda x: tg.silu(x) * tg.gelu(x), [0.0], False),
    ],
)
def test_a_slope_that_is_0_only_in_the_limit(f, x, kink):
    report = gradcheck(f, x)
    assert report and by(report) == EXACT and report.counts["PASS"] == len(x)
    if kink is not None:
        assert gradcheck(f, x, order=2).ok and ("KINK" in gradcheck(f, x, order=2).verdicts[0]) == kink


def test_what_the_step_leaves_of_a_slope_excuses_no_wrong_one():
    for wrong, ok in ((1e-6, False), (0.0, True)):
        assert gradcheck(lambda x: tg.relu(x) ** 2, 0.0, gradient=lambda x, wrong=wrong: wrong).ok == ok


# --- inputs that f refuses to have moved


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("targets", [[1.0, -1.0, 1.0], [1.0, -1.0, 1.0] * 30])
def test_what_cannot_be_moved_is_not_judged_and_a_remark_says_so(order, targets):
    scores = logits(len(targets), 1.0)
    report = gradcheck(tg.hinge_loss, scores, targets, order=order)
    assert report and report.verdicts == [["PASS"] * len(scores), [None] * len(targets)]
    assert "input `targets` cannot be moved; give it as Value(.., requires_grad=False)" in report.remarks
    assert "targets" not in str(report.table()) and report.counts["PASS"] == len(scores)
    given = gradcheck(tg.hinge_loss, scores, tg.Value(targets, requires_grad=False), order=order)
    assert given and given.verdicts[1] is None and not any("cannot be moved" in remark for remark in given.remarks)


@pytest.mark.parametrize("n", [2, pytest.param(33, marks=pytest.mark.heavy)])
def test_at_the_edge_of_what_targets_may_be_a_wrong_gradient_is_seen(n):
    """One side is enough: d BCE / d target is -logit."""
    z, targets = logits(n, 1.0), [float(i % 3 == 0) for i in range(n)]

    def op(wrong):
        @tg.fused
        def loss(xp, z, t):
            return tg.binary_cross_entropy(z, t, reduction="sum")

        @loss.backward
        def _(xp, g, out, z, t):
            return g * (tg.sigmoid(z) - t), g * xp.where(t > 0.5, wrong * z, -z)

        return loss

    assert gradcheck(op(-1.0), z, targets)
    report = gradcheck(op(-1.01), z, targets)
    assert report.verdicts == [["PASS"] * n, ["FAIL" if t else "PASS" for t in targets]]


def test_an_edge_that_is_infinitely_steep():
    """d (p log(p / q)) / dp is -inf at p = 0, and grows only as fast as a logarithm."""
    report = gradcheck(tg.kl_div_probabilities, [0.2, 0.8, 0.0], [0.3, 0.5, 0.2])
    assert report and report.verdicts == [["PASS", "PASS", "KINK"], ["PASS"] * 3] and not report.problems


def test_an_opaque_function_at_the_edge_of_its_domain():
    def entropy(p):
        return -math.fsum(x * math.log(x) + math.sqrt(1.0 - x) ** 4 for x in map(float, p))

    def slope(x):
        return -math.log(x) - 1.0 + 2.0 * (1.0 - x)

    def gradient(p, factor=1.0):
        return [factor * slope(x) if x == 1.0 else slope(x) for x in map(float, p)]

    for factor, verdict in ((1.0, "PASS"), (1.001, "FAIL")):
        report = gradcheck(entropy, [0.5, 1.0], gradient=lambda p, factor=factor: gradient(p, factor))
        assert by(report) == ESTIMATED and report.verdicts == [["PASS", verdict]]


def test_a_function_that_leaves_the_ops_only_beside_the_point():
    report = gradcheck(lambda x: x * 2.0 if x >= 1.5 else x * 2.0 + 0.0 * float(x), 1.5)
    assert report and by(report) == ESTIMATED


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


TIES = {
    "all of it to each": (lambda xp, z: xp.max(z), lambda xp, g, out, z: xp.where(xp.equal(z, out), g, 0.0)),
    "none to any": (lambda xp, z: xp.max(z), lambda xp, g, out, z: 0.0 * g * z),
    "all of it to each least": (lambda xp, z: xp.min(z), lambda xp, g, out, z: xp.where(xp.equal(z, out), g, 0.0)),
}


@pytest.mark.parametrize("case", TIES)
def test_what_a_tie_gets_is_one_in_all(case):
    body, rule = TIES[case]
    op = tg.fused(body)
    op.backward(rule)
    assert gradcheck(op, [2.0, 2.0, 2.0]).verdicts == [["FAIL"] * 3]
    assert gradcheck(lambda x: x.max() + x.min(), [2.0, 2.0, 0.5, 0.5, 1.0])
    assert gradcheck(lambda x: tg.relu(x).sum() * 3.0 + tg.abs(x).sum(), [0.0] * 4)


@pytest.mark.parametrize("opaque", [False, True])
def test_a_jump_is_no_kink(opaque):
    step = (lambda x: math.floor(float(x)) * 1.0) if opaque else (lambda x: tg.where(tg.Value(x) < 1.0, 0.0, x * 0.0 + 1.0))
    report = gradcheck(step, 1.0, gradient=lambda x: 0.0)
    assert report.worst.verdict == "INCONCLUSIVE" and "jumps" in report.worst.note and not report


def test_a_kink_is_a_jump_of_the_gradient():
    report = gradcheck(tg.abs, [0.0, 1.0], order=2)
    assert report and "jumps" in next(e.note for e in report.elements if (e.order, e.verdict) == (2, "KINK"))


@pytest.mark.parametrize(("second", "ok"), [(0.0, True), (5.0, True), (-1e-6, False), (-5.0, False)])
def test_a_gradient_that_jumps_up_falls_nowhere(second, ok):
    @tg.fused
    def ramp(xp, x):
        return tg.relu(x)

    # at 0 the gradient is 0, and so is what this adds to it, but not its derivative
    ramp.backward(lambda xp, g, out, x: xp.where(xp.equal(x, 0.0), second * g * x, xp.where(x > 0.0, g, 0.0 * g)))
    for factor in (1.0, -1.0):
        report = gradcheck(lambda x, factor=factor: ramp(x).sum() * factor, [0.0, 1.0], order=2)
        assert report.ok == ok and report.verdicts == [["KINK" if ok else "FAIL", "PASS"]]


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


@pytest.mark.parametrize(("error", "verdict"), [("1e-3", "FAIL"), ("1e-9", "PASS")])
def test_only_a_small_rest_of_the_step_is_forgiven_on_floats(error, verdict):
    one, nothing = Decimal(1), Decimal(0)
    judge = SimpleNamespace(order=1, natural=one, value=one, rule=[one], got=[one + Decimal(error) * 50], forgiven=[nothing])
    judge.largest, judge.eps, judge.tiny, judge.proof = (
        Decimal(2) ** 1024,
        Decimal(2) ** -52,
        nothing,
        SimpleNamespace(scales=[one]),
    )
    judge._at = partial(Judge._at, judge)
    assert Judge._on_floats(judge, Slope(one, Decimal(error), one, one, "smooth"), 0)[0] == verdict


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


def one(xp, z):
    m = tg.constant(xp.max(z))
    return m + xp.log(xp.sum(xp.exp(z - m)))


NOT_LINEAR = {
    "the magnitude of what flows in": lambda xp, g: xp.abs(g),
    "only what is positive": lambda xp, g: xp.where(g < 0.0, 0.0, g),
    "doubled where negative": lambda xp, g: xp.where(g < 0.0, 2.0 * g, g),
    "clipped": lambda xp, g: xp.where(g > 5.0, 5.0, g),
    "its square": lambda xp, g: g * g,
}


@pytest.mark.parametrize("case", NOT_LINEAR)
def test_a_rule_of_a_single_output_that_is_not_linear(case):
    op = tg.fused(one)
    op.backward(lambda xp, g, out, z: NOT_LINEAR[case](xp, g) * tg.softmax(z))
    report = gradcheck(op, [0.3, -1.2, 0.9])
    assert not report and "not linear" in report.problems[0] and len(report.problems) == 1
    op.backward(lambda xp, g, out, z: g * tg.softmax(z))
    assert gradcheck(op, [0.3, -1.2, 0.9])


def test_tails_of_float16_are_linear_up_to_rounding():
    import numpy as np

    assert gradcheck(tg.softmax, np.asarray([0, -9.0, -10.5, -12], dtype=np.float16))
    with np.errstate(over="ignore"):  # sixteen times the gradient is beyond the largest one
        assert gradcheck(lambda x: x * 8000.0, np.asarray([1.0, 2.0], dtype=np.float16))


KERNELS = {
    "times 1.1": (lambda p: p * 1.1, "on decimals"),
    "plus 0.1": (lambda p: p + 0.1, "on decimals"),
    "nan in one entry": (lambda p: tg.nd.where(p < 0.2, math.nan, p), "nan on floats"),
}


@pytest.mark.parametrize("case", KERNELS)
def test_values_that_floats_get_wrong(case):
    """The rule computes them again, so that the gradient is right."""
    change, text = KERNELS[case]

    @tg.fused
    def spoiled(xp, z):
        e = xp.exp(z - tg.constant(xp.max(z)))
        return e / xp.sum(e)

    @spoiled.backward
    def _(xp, g, out, z):
        p = tg.softmax(z)
        return p * (g - xp.sum(g * p))

    assert gradcheck(spoiled, [0.3, -1.2, 0.9])
    spoiled.kernel(tg.nd.Array)(lambda z: change(tg.softmax(z)))
    report = gradcheck(spoiled, [0.3, -1.2, 0.9])
    assert not report and text in report.problems[0] and report.counts["FAIL"] == 0


def test_values_that_rounding_spoils_are_not_wrong():
    import numpy as np

    @tg.fused
    def there_and_back(xp, x):
        return (x + 1e12) - 1e12

    there_and_back.backward(lambda xp, g, out, x: g)
    assert gradcheck(there_and_back, [1.0 / 3.0, 0.7])
    x = [1e8 + 1, 1e8 + 2, 1e8 + 4]
    assert not gradcheck(lambda x: x.var(), x).problems
    assert not gradcheck(lambda x: ((x + 1e12) - 1e12) * x, [1.0, 2.0]).problems
    assert not gradcheck(lambda x: x.var(), np.asarray([1001.0, 1002.0, 1004.0], dtype=np.float32)).problems


def test_a_rule_that_changes_an_input():
    import numpy as np

    @tg.primitive
    def double(xp, x):
        return x * 2.0

    def rule(xp, g, out, x):
        if isinstance(x, np.ndarray):
            x[0] += 1e-3
        return g * 2.0

    double.vjps(rule)
    assert gradcheck(double, np.asarray([1.0, 2.0])).problems == ["f changed its input in place"]
    assert not gradcheck(double, [1.0, 2.0]).problems


def test_a_function_of_plain_arrays_that_changes_its_input():
    import numpy as np

    def f(x):
        value = float((x * x).sum())
        x[0] = 3.0
        return value

    report = gradcheck(f, np.asarray([1.0, 2.0]), gradient=lambda x: 2 * x)
    assert not report and report.problems == ["f changed its input in place"]


def test_a_rule_that_drops_the_derivative_of_what_flows_in():
    """It shows where the op stands within another: of its own outputs alone, the second derivative is right."""

    @tg.fused
    def cube(xp, x):
        return x * x * x

    cube.backward(lambda xp, g, out, x: 3.0 * tg.constant(g) * x * x)
    for x in (1.7, [1.7, 0.3]):
        report = gradcheck(cube, x, order=2)
        assert not report and {e.order for e in report.elements if e.verdict == "FAIL"} == {2}
    cube.backward(lambda xp, g, out, x: 3.0 * g * x * x)
    assert gradcheck(cube, [1.7, 0.3], order=2)


def test_an_output_that_remembers_nothing_is_remarked():
    report = gradcheck(lambda x: ((x * x).sum(), 3.0), [1.0, 2.0])
    assert report and any("output 1 remembers nothing" in remark for remark in report.remarks)


@pytest.mark.parametrize(
    ("rule", "text"),
    [(lambda xp, g, out, x: g + 1.0, "0 flows in"), (lambda xp, g, out, x: g * xp.abs(g), "2 times as")],
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
