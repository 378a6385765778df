"""compare: what it judges and in which unit, what it says, and what it refuses. (What it catches: test_planted_bugs.)"""

import json
import math
import random
from decimal import Decimal

import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.check import compare, judging, truth
from tinygrad_sm.check.judging import Case


@tg.fused
def swish(xp, x):
    return x / (1.0 + xp.exp(-x))


@swish.backward
def _(xp, g, out, x):
    s = tg.sigmoid(x)
    return g * (s + out * tg.sigmoid(-x))


@tg.fused
def bare(xp, x):
    """No rule: its body is recorded."""
    return xp.exp(x) * 2.0


def off_by(ulps, conditioned=False):
    """x - y whose kernel is `ulps` of the result too large."""

    @tg.fused(conditioned=conditioned)
    def gap(xp, x, y):
        return x - y

    gap.kernel(nd.Array)(lambda x, y: nd.asarray([v + ulps * math.ulp(v) for v in (x - y).tolist()]))
    gap.backward(lambda xp, g, out, x, y: (g, -g))
    return gap


# --- units


@pytest.mark.parametrize(("ulps", "ok"), [(0, True), (7, True), (9, False), (-9, False), (1000, False)])
def test_values_are_judged_in_units_of_the_exact_value(ulps, ok):
    comparison = compare(off_by(ulps), [1.5, 300.0], [1.25, 1.0])
    assert comparison.ok is ok and comparison.max_ulp == {"value": abs(ulps), "grad": 0.0}


def test_a_conditioned_op_is_forgiven_what_a_rounding_of_its_inputs_changes():
    x, y = [1.0], [1.0 - 2.0**-40]
    assert not compare(off_by(2**10), x, y)
    comparison = compare(off_by(2**10, conditioned=True), x, y)
    assert comparison and comparison.max_ulp["value"] == 2.0**10 * math.ulp(2.0**-40) / math.ulp(
        1.9
    )  # that of 1 + (1 - 2**-40)
    assert not compare(off_by(2**45, conditioned=True), x, y)
    assert compare(off_by(9, conditioned=True), [3.0], [1.0]).max_ulp["value"] < 9  # the unit of 3 + 1, not of 2


def test_a_conditioned_gradient_is_forgiven_as_well():
    def rule(ulps):
        def squared_gap(xp, x, y):
            return xp.square(x - y)

        op = tg.fused(squared_gap, conditioned=True)
        op.backward(lambda xp, g, out, x, y: (2.0 * g * (x - y) * (1.0 + ulps * 2.0**-52), -2.0 * g * (x - y)))
        return op

    near, far = ([1.0, 1.0], [1.0 - 2.0**-20, 1.0 + 2.0**-21]), ([1.0], [-8.0])
    assert compare(rule(1000), *near) and not compare(rule(1000), *far)
    op = rule(1000)
    op._conditioned = lambda name, x, y: name == "y"  # of one gradient only
    comparison = compare(op, *near)
    assert {x.input for x in comparison.findings if x.ulp > comparison.limit} == {"x"}


@pytest.mark.parametrize(
    ("conditioned", "wrong"),
    [
        (False, {"x", "y"}),
        (True, set()),
        (lambda name, x, y: name == "x", set()),
        (lambda name, x, y: name == "y", {"x"}),  # d2 / dx dx has nothing to do with y
        (lambda name, x, y: name == "", {"x", "y"}),
        (lambda name, x, y: min(x.tolist()) > 10.0, {"x", "y"}),
        (lambda name, x, y: min(x.tolist()) < 10.0, set()),
    ],
)
def test_a_second_derivative_is_conditioned_if_either_gradient_is(conditioned, wrong):
    """(x - y)^3, whose derivatives of d / dx are 1000 units too large: what a rounding of x or y changes is far more."""

    @tg.fused(conditioned=conditioned)
    def cubed_gap(xp, x, y):
        return (x - y) * (x - y) * (x - y)

    @cubed_gap.keeping
    def _(xp, x, y):
        return (x - y) * (x - y) * (x - y), {"gap": x - y}  # what is kept is no setting

    @cubed_gap.backward
    def _(xp, g, out, x, y, gap=None):
        d = x - y
        slip = 6.0 * d * (d - tg.constant(d)) * (1000 * 2.0**-52)
        return g * (3.0 * d * d + slip), -3.0 * g * d * d

    comparison = compare(cubed_gap, [1.0], [1.0 - 2.0**-20], order=2)
    assert {(x.quantity, x.input) for x in comparison.findings if x.ulp > 8.0} == {("second", name) for name in wrong}


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_judged_in_the_type_of_the_input(kind):
    unit = float(np.finfo(kind).eps)

    def op(ulps):
        @tg.fused
        def double(xp, x):
            return x + x

        double.backward(lambda xp, g, out, x: g * 2.0 * (1.0 + ulps * unit))
        return double

    x = np.asarray([1.0, 3.0], dtype=kind)
    assert compare(op(0), x).max_ulp == {"value": 0.0, "grad": 0.0}
    assert 4 <= compare(op(4), x).max_ulp["grad"] <= 8
    assert not compare(op(20), x)
    assert compare(tg.softmax, np.asarray([[1.0, 2.0, 3.5]], dtype=kind), order=2)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["float64", "float32", "bfloat16"])
def test_judged_in_the_types_of_torch(kind):
    import torch

    z = torch.tensor([[1.0, 2.0, 3.5], [0.0, 0.5, -1.0]], dtype=getattr(torch, kind))
    assert compare(tg.softmax, z, order=2) and compare(tg.cross_entropy, z, torch.tensor([2, 0]))


def test_the_contraction_with_what_flows_in_is_forgiven_and_nothing_else():
    """out = (1e8 x, x): a dense g may cancel, so the unit is that of 1e8; alone, each output is judged by itself."""

    def op(error_of_both, error_of_second):
        @tg.fused
        def two(xp, x):
            return xp.stack([x * 1e8, x])

        def rule(xp, g, out, x):
            both = g[0].item() != 0 and g[1].item() != 0
            slip = error_of_both if both else error_of_second
            return 1e8 * g[0] + g[1] + slip

        two.backward(rule)
        return two

    x = nd.asarray(1.0)
    assert compare(op(math.ulp(1e8), 0.0), x)
    assert not compare(op(0.0, math.ulp(1e8)), x)


@pytest.mark.parametrize("seed", range(8))
def test_what_a_sum_of_both_signs_cancels_is_forgiven(seed):
    @tg.fused
    def four(xp, x):
        return xp.stack([x, x, x, x])

    def rule(xp, g, out, x):
        dense = 0.0 not in g.tolist()
        return xp.sum(g) + dense * 6.0 * math.ulp(math.fsum(map(abs, g.tolist())))

    four.backward(rule)
    assert compare(four, nd.asarray(1.0), seed=seed).max_ulp["grad"] == pytest.approx(6.0)


@pytest.mark.parametrize("seed", range(8))
def test_a_dense_second_derivative_is_forgiven_what_its_parts_are(seed):
    """Both directions of the line x + y = t, along which nothing bends: 4 units of the gradient for each."""

    @tg.fused
    def total(xp, x):
        return xp.sum(x)

    def rule(xp, g, out, x):
        t = xp.sum(x)
        return g * (xp.ones_like(x) + 4 * 2.0**-52 * (t - tg.constant(t)))

    total.backward(rule)
    comparison = compare(total, [1.0, 2.0], seed=seed, order=2)
    assert comparison and comparison.max_ulp["second"] >= 4.0


@pytest.mark.parametrize("seed", range(8))
def test_what_the_directions_of_a_second_derivative_cancel_is_forgiven(seed):
    """1e8 (x - y)^2 does not bend along x = y, where two of 2e8 cancel, of which one is 6 units off."""

    @tg.fused
    def steep(xp, x, y):
        return (x - y) * (x - y) * 1e8

    def rule(xp, g, out, x, y):
        slope = g * 2e8 * (x - y)
        return slope + 6.0 * math.ulp(2e8) * (x - tg.constant(x)), -slope

    steep.backward(rule)
    comparison = compare(steep, 1.0, 1.0 - 2.0**-20, seed=seed, order=2)
    assert comparison and comparison.max_ulp["second"] == pytest.approx(6.0)


@pytest.mark.parametrize(("conditioned", "wrong"), [(False, {"x", "y"}), (True, set()), (lambda name, *_: name == "y", {"x"})])
@pytest.mark.parametrize(("units", "far"), [(1000, 1.0), (2**28, 2.0**10)])  # a rounding of 1024 changes 1024 times as much
@pytest.mark.parametrize("large", [False, True])
def test_a_derivative_by_what_flows_in_is_forgiven_what_a_rounding_changes(monkeypatch, large, units, far, conditioned, wrong):
    def squared_gap(xp, x, y):
        return xp.square(x - y)

    def rule(xp, g, out, x, y):
        slope = 2.0 * (x - y)
        amount = g * slope + units * 2.0**-52 * tg.constant(slope) * (g - tg.constant(g))
        return amount, -amount

    if large:
        monkeypatch.setattr(judging, "SMALL", 0)
        monkeypatch.setattr(judging, "FEW", 0)
    op = tg.fused(squared_gap, conditioned=conditioned)
    op.backward(rule)
    comparison = compare(op, [far, 3.0 * far], [far - 2.0**-20, 3.0 * far + 2.0**-19], order=2)
    assert {x.input for x in comparison.findings if x.ulp > 8.0} == wrong


def test_a_derivative_by_what_flows_in_is_judged_for_each_input_alone():
    """1e8 x + y: a small error of what belongs to y is nothing beside 1e8, and is found all the same."""

    @tg.fused
    def line(xp, x, y):
        return 1e8 * x + y

    line.backward(lambda xp, g, out, x, y: (1e8 * g, g + 1000 * 2.0**-52 * (g - tg.constant(g))))
    comparison = compare(line, [1.0, 2.0], [3.0, 5.0], order=2)
    assert {(x.quantity, x.input) for x in comparison.findings if x.ulp > 8.0} == {("second", "y")}
    assert comparison.worst.where.startswith("d2 out / d y d g[") and len(comparison.worst.index) == 1


@pytest.mark.parametrize(("x", "slope"), [([1e-3, 2.0], 1e307), (np.asarray([0.5, 1.0], dtype=np.float16), 3000.0)])
def test_what_flows_in_is_not_so_large_that_the_gradient_overflows(x, slope):
    @tg.fused
    def steep(xp, x):
        return x * slope

    steep.backward(lambda xp, g, out, x: g * slope)
    assert compare(steep, x, order=2)


@pytest.mark.parametrize("seed", range(4))
def test_errors_of_subnormal_numbers_grow_with_what_flows_in(seed):
    assert compare(tg.softmax, [0.0, -735.0, -730.0], seed=seed) and compare(tg.logsumexp, [0.0, -735.0], seed=seed)


def test_estimated_magnitudes_are_near_the_sums():
    rng = random.Random(3)
    matrix = [[rng.gauss(0.0, 10.0 ** rng.uniform(-3, 3)) for _ in range(200)] for _ in range(5)]
    exact = [sum(map(abs, row)) for row in matrix]

    def linear(c):
        return [nd.asarray([math.fsum(a * b for a, b in zip(row, c, strict=True)) for row in matrix])]

    for seed in range(20):
        (found,) = judging._magnitudes(linear, 200, random.Random(seed))
        assert all(0.25 < a / b < 4 for a, b in zip(found.tolist(), exact, strict=True))
    small = judging._magnitudes(lambda c: [nd.asarray([c[0] - 2 * c[1]])], 2, rng)
    assert small[0].tolist() == [3.0]


def test_large_jacobians_are_judged_like_small_ones(monkeypatch):
    z = [0.3, -1.0, 2.5, 0.0, 7.0]
    whole = compare(tg.softmax, z)
    monkeypatch.setattr(judging, "SMALL", 0)
    monkeypatch.setattr(judging, "FEW", 0)
    sampled = compare(tg.softmax, z)
    assert whole and sampled and sampled.max_ulp["value"] == whole.max_ulp["value"]
    assert compare(off_by(2**10, conditioned=True), [1.0], [1.0 - 2.0**-40])
    assert not compare(off_by(2**10), [1.0], [1.0 - 2.0**-40])
    assert compare(tg.logsumexp, [math.log(0.25), math.log(0.75)], order=2)


def test_what_a_rounding_changes_is_the_same_for_large_jacobians(monkeypatch):
    """Inputs near 300, whose rounding changes 300 times what that of inputs near 1 would."""
    op, x, y = off_by(2**10, conditioned=True), [300.0, -1.0], [300.0 - 2.0**-20, 2.0]
    whole = Case(op, "", [x, y], {}, order=1, seed=0, limit=8.0)
    whole.judge()
    monkeypatch.setattr(judging, "SMALL", 0)
    sampled = Case(op, "", [x, y], {}, order=1, seed=0, limit=8.0)
    sampled.judge()
    assert whole.rows is not None and sampled.rows is None
    sums = [Decimal(x[i]) * s - Decimal(y[i]) * t for i, (s, t) in enumerate([(1, -1), (-1, -1)])]
    assert whole._shaken_values() == sampled._shaken_values() == sums


def test_the_largest_and_the_smallest_output_are_in_every_sample():
    case = Case(tg.softmax, "", [[1.0, 2.0]], {}, order=1, seed=0, limit=8.0)
    numbers = [Decimal(abs(i - 40) + 1) for i in range(100)]
    assert {40, 99} <= {*case._sample(numbers)} and len(case._sample(numbers)) == judging.SAMPLE
    assert case._sample(numbers[:3]) == [0, 1, 2]
    assert {1, 2} <= {*case._sample([Decimal("nan"), Decimal(1), Decimal(9), *[Decimal(5)] * 20])}


def test_the_noise_of_a_zero_is_told_from_a_number():
    @tg.fused
    def nothing(xp, x):
        return x / 3.0 * 3.0 - x

    nothing.kernel(nd.Array)(lambda x: nd.zeros_like(x))
    nothing.backward(lambda xp, g, out, x: g * 0.0)
    assert compare(nothing, [0.1, 7.0])
    nothing.kernel(nd.Array)(lambda x: nd.zeros_like(x) + 1e-30)
    assert not compare(nothing, [0.1, 7.0])


# --- inputs


def test_every_kind_of_input():
    for z in ([1.0, 2.0], (1.0, 2.0), [1, 2], nd.asarray([1.0, 2.0]), tg.Value([1.0, 2.0]), np.asarray([1.0, 2.0])):
        assert compare(tg.softmax, z).max_ulp.keys() == {"value", "grad"}
    for x in (1.5, 2, tg.Value(1.5), np.float64(1.5), nd.asarray(1.5)):
        assert compare(swish, x, order=2)
    assert compare(bare, [1.0, 2.0])


def test_floats_are_judged_and_labels_are_not():
    logits = [[1.0, 2.0, 0.0], [0.5, 0.5, 3.0]]
    by_label = compare(tg.cross_entropy, logits, [2, 0])
    soft = compare(tg.cross_entropy, np.asarray(logits), [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]], order=2)
    assert [x.input for x in by_label.findings] == ["", "logits"]
    assert [x.input for x in soft.findings] == ["", "logits", "targets", "logits", "targets"]
    constant = compare(tg.cross_entropy, logits, tg.Value([[0.2, 0.3, 0.5]] * 2, requires_grad=False))
    assert by_label and soft and constant and [x.input for x in constant.findings] == ["", "logits"]


def test_keywords_are_settings_or_inputs():
    assert compare(tg.cross_entropy, [[1.0, 2.0]], params={"targets": [1], "reduction": "none"})
    assert compare(tg.softmax, [[1.0, 2.0], [3.0, 5.0]], params={"axis": 0})


def test_a_gradient_is_judged_in_the_coarser_of_two_types():
    @tg.fused
    def scaled(xp, z, factor=1.0):
        return z * factor

    scaled.backward(lambda xp, g, out, z, factor=1.0: (g * factor, lambda: xp.sum(g * z)))
    z = np.asarray([0.1, 0.7, 3.3], dtype=np.float32)
    comparison = compare(scaled, z, params={"factor": 3.0})
    assert comparison and [x.input for x in comparison.findings] == ["", "z", "factor"]


def test_nan_where_the_definition_has_a_number_is_wrong_and_the_other_way_round():
    @tg.fused
    def root(xp, x):
        return xp.sqrt(x)

    root.backward(lambda xp, g, out, x: g * 0.5 / out)
    assert compare(root, [-1.0, 4.0]).max_ulp["value"] == 0.0
    root.kernel(nd.Array)(lambda x: nd.sqrt(nd.abs(x)))
    assert compare(root, [-1.0, 4.0]).max_ulp["value"] == math.inf
    root.kernel(nd.Array)(lambda x: nd.sqrt(x - 5.0))
    assert compare(root, [4.0]).max_ulp["value"] == math.inf


def test_the_rounding_of_several_inputs_adds_up():
    assert compare(off_by(2**6, conditioned=True), [1.0], [1.0 - 2.0**-40]).max_ulp["value"] < 1e-9
    total = Case(off_by(0, conditioned=True), "", [[3.0], [2.0]], {}, order=1, seed=0, limit=8.0)
    total.judge()
    assert total._shaken_values() == [Decimal(5)]
    row = Case(tg.mse_loss, "", [[1.0, -2.0], [2.0, 0.0]], {}, order=1, seed=0, limit=8.0)
    row.judge()
    assert row._shaken_values() == [Decimal(7)]  # |-1| |1| + |-2| |-2| and |1| |2| + |2| |0|


def test_nothing_to_differentiate_leaves_the_value():
    x = tg.Value([1.0, 2.0], requires_grad=False)
    assert compare(swish, x).max_ulp.keys() == {"value"}


def test_infinite_inputs():
    """The definition of softmax gives nan where a logit is inf, and says nothing then; -inf it answers for."""
    assert compare(tg.softmax, [0.0, math.inf])
    comparison = compare(tg.softmax, [0.3, 1.0, -math.inf])
    assert comparison and comparison.max_ulp["grad"] > 0

    @tg.fused
    def ours(xp, x):
        return xp.exp(x)

    ours.kernel(nd.Array)(lambda x: nd.exp(x) * 1.5)
    ours.backward(lambda xp, g, out, x: g * xp.exp(x))
    assert not compare(ours, [-math.inf, 1.0])
    ours.kernel(nd.Array)(lambda x: nd.exp(nd.abs(x)))
    comparison = compare(ours, [-math.inf])
    assert not comparison and comparison.worst.got == math.inf and comparison.worst.exact == 0


def test_switches_of_the_caller_do_not_count():
    with tg.no_grad(), tg.composed():
        assert not compare(off_by(1000), [3.0], [1.0])
        assert compare(swish, [1.0]).max_ulp.keys() == {"value", "grad"}


# --- hard inputs


def test_the_hard_inputs_of_an_op_are_all_judged():
    @tg.fused
    def doubled(xp, x, scale=1.0, *, axis=-1):
        return x * 2.0 * scale

    doubled.backward(lambda xp, g, out, x, scale=1.0, **_: (g * 2.0 * scale, lambda: g * x * 2.0))
    with pytest.raises(ValueError, match=r"doubled has no hard inputs.*@doubled.hard_inputs"):
        compare(doubled)

    @doubled.hard_inputs
    def _():
        yield "one", [[1.0, 2.0]]
        yield "two", [[3e-100]], {"scale": 2.0, "axis": 0}

    comparison = compare(doubled)
    assert comparison and comparison.cases == ["one", "two"] and comparison.digits >= truth.SURE + 100
    assert [(x.case, x.quantity, x.input) for x in comparison.findings] == [
        ("one", "value", ""),
        ("one", "grad", "x"),
        ("two", "value", ""),
        ("two", "grad", "x"),
        ("two", "grad", "scale"),
    ]
    settings = compare(doubled, params={"scale": 2})  # which goes before its own
    assert settings and "scale" not in {x.input for x in settings.findings}
    doubled.kernel(nd.Array)(lambda x, scale=1.0, axis=-1: x * 2.0 * scale * (1.0 + 1e-12 * (x.size == 1)))
    comparison = compare(doubled)
    assert not comparison and comparison.worst.case == "two"
    assert "two" in comparison.table() and comparison.table().count("WRONG") == 1


@pytest.mark.parametrize("name", [name for name, op in tg.fused_ops.items() if op.hard_cases()])
@pytest.mark.heavy
def test_the_family_on_its_hard_inputs(monkeypatch, name):
    monkeypatch.setattr(judging, "SAMPLE", 2)  # outputs and directions of each second derivative
    comparison = compare(tg.fused_ops[name], order=2)
    assert comparison, comparison.worst


# --- what it says


def test_the_worst_element_is_named_with_both_numbers():
    @tg.fused
    def halves(xp, x):
        return x * 0.5

    def rule(xp, g, out, x):
        return g * 0.5 * xp.asarray([[1.0, 1.0], [1.0, 1.0 + 1e-10]])

    halves.backward(rule)
    comparison = compare(halves, [[1.0, 2.0], [3.0, 4.0]], seed=7)
    worst = comparison.worst
    assert (worst.quantity, worst.input, worst.index, worst.case) == ("grad", "x", (1, 1), "")
    assert float(worst.got) / float(worst.exact) == pytest.approx(1.0 + 1e-10, abs=1e-15)
    assert worst.where in ("d out[1, 1] / d x[1, 1]", "d out / d x[1, 1]")
    assert worst.ulp == comparison.max_ulp["grad"] == pytest.approx(1e-10 / 2.0**-52, rel=0.6)
    text = str(comparison)
    for part in (repr(worst.got), str(worst.exact), worst.where, "WRONG", "seed 7", "limit 8", "halves"):
        assert part in text
    assert "wrong" in repr(comparison) and comparison.seed == 7 and comparison.digits >= 50


def test_it_is_true_only_up_to_the_limit():
    assert compare(off_by(9), [3.0], [1.0], limit=9.0) and not compare(off_by(9), [3.0], [1.0], limit=8.9)
    comparison = compare(swish, [1.0])
    assert bool(comparison) is comparison.ok is True and comparison.limit == 8.0 and "right" in str(comparison)


def test_a_program_can_read_it():
    for comparison in (compare(swish, [1.0, -3.0], order=2), compare(off_by(1e300), [3.0], [1.0])):
        read = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
        assert read["ok"] is comparison.ok and read["op"] == comparison.name and read["worst"] in read["findings"]
        assert {x["quantity"] for x in read["findings"]} == comparison.max_ulp.keys()
    assert read["worst"]["index"] == [0] and read["max_ulp"]["value"] > 1e299


def test_the_same_seed_gives_the_same_comparison():
    rng = random.Random(0)
    z = [rng.gauss(0.0, 1.0) for _ in range(12)]
    a, b = (compare(tg.softmax, z, order=2, seed=1).to_dict() for _ in range(2))
    flows = [Case(tg.softmax, "", [z], {}, order=1, seed=seed, limit=8.0)._dense(12) for seed in (1, 1, 2)]
    assert a == b and flows[0] == flows[1] != flows[2]
    assert [x < 0.0 for x in flows[0]] != [x < 0.0 for x in flows[2]]
