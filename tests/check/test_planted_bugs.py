"""Every bug planted in a rule that changes the result is caught, down to a factor of 1 + 1e-14; a right rule passes."""

import random

import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.check import compare, truth


def right(p, z, g):
    return tg.vjp(tg.softmax, z, g)[1]


def last_doubled(gradient):
    return nd.concat([gradient[:-1], 2.0 * gradient[-1:]])


BUGS = {
    "zero": lambda p, z, g: 0.0 * right(p, z, g),
    "sign flipped": lambda p, z, g: -right(p, z, g),
    "dot term missing": lambda p, z, g: p * g,
    "times 1.0005": lambda p, z, g: 1.0005 * right(p, z, g),
    "times 1.1": lambda p, z, g: 1.1 * right(p, z, g),
    "times 1 + 1e-9": lambda p, z, g: (1.0 + 1e-9) * right(p, z, g),
    "times 1 + 1e-14": lambda p, z, g: (1.0 + 1e-14) * right(p, z, g),
    "tail zeroed": lambda p, z, g: nd.where(p < 1e-5, 0.0, right(p, z, g)),
    "last entry doubled": lambda p, z, g: last_doubled(right(p, z, g)),
    "square of what flows in": lambda p, z, g: right(p, z, g * g),  # the same for a one-hot g
    "cube of what flows in": lambda p, z, g: right(p, z, g * g * g),  # also for any of 1 and -1
    "magnitude of what flows in": lambda p, z, g: right(p, z, nd.abs(g)),
}


def with_rule(gradient):
    """softmax with another rule: `gradient(probabilities, logits, g)`."""

    @tg.fused
    def softmax(xp, z):
        e = xp.exp(z - tg.constant(xp.max(z, axis=-1, keepdims=True)))
        return e / xp.sum(e, axis=-1, keepdims=True)

    softmax.kernel(nd.Array)(lambda z: tg.softmax(z))
    softmax.backward(lambda xp, g, p, z: gradient(p, z, g))
    return softmax


def logits(n, scale):
    rng = random.Random(f"{n} {scale}")
    return nd.asarray([rng.gauss(0.0, scale) for _ in range(n)])


def is_changed(gradient, z):
    """Whether the rule gives anything but the right gradient for what flows in: the numbers 1.5 and -1 in turns."""
    p, g = tg.softmax(z), nd.asarray([(1.5, -1.0)[i % 2] for i in range(z.size)])
    return gradient(p, z, g).tolist() != right(p, z, g).tolist()


def check(bug, n, scale):
    z = logits(n, scale)
    comparison = compare(with_rule(BUGS[bug]), z)
    changed = is_changed(BUGS[bug], z)
    assert changed or bug == "tail zeroed"  # nothing is in a tail at scale 1
    assert comparison.ok is not changed, comparison
    assert comparison.max_ulp["value"] <= 4
    if changed:
        assert comparison.worst.quantity == "grad" and comparison.max_ulp["grad"] > 20


@pytest.mark.parametrize("scale", [1.0, 10.0])
@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("bug", BUGS)
def test_bugs_in_the_rule_of_softmax(bug, n, scale):
    check(bug, n, scale)


@pytest.fixture(scope="module")
def truths():
    """The definition on decimals is the same whatever is planted in the rule, so it runs once for each row of logits."""
    known, run = {}, truth.run

    def once(function, inputs, keywords, **how):
        key = function.__name__, *inputs[0].tolist(), *how.items()
        return known[key] if key in known else known.setdefault(key, run(function, inputs, keywords, **how))

    return once


@pytest.mark.heavy
@pytest.mark.parametrize(("n", "scale"), [(1000, 1.0), (1000, 10.0), (5000, 10.0)])
@pytest.mark.parametrize("bug", BUGS)
def test_bugs_in_the_rule_of_softmax_of_many_logits(monkeypatch, truths, bug, n, scale):
    monkeypatch.setattr(truth, "run", truths)
    check(bug, n, scale)


@pytest.mark.parametrize(("n", "scale"), [(5, 1.0), (5, 10.0), (10, 1.0), (10, 10.0), (1000, 1.0)])
def test_the_right_rule_passes(n, scale):
    comparison = compare(with_rule(right), logits(n, scale))
    assert comparison and comparison.max_ulp["grad"] < 8


@pytest.mark.heavy
@pytest.mark.parametrize(("n", "scale"), [(1000, 10.0), (5000, 1.0), (5000, 10.0)])
def test_the_right_rule_passes_for_many_logits(n, scale):
    assert compare(with_rule(right), logits(n, scale))


def test_the_tail_is_where_it_should_be():
    """The bug that zeroes it is planted where it does something, and where it does nothing."""
    found = {is_changed(BUGS["tail zeroed"], logits(n, scale)) for n in (5, 10) for scale in (1.0, 10.0)}
    assert found == {True, False}


# --- cross-entropy


def cross_entropy_with(gradient, slips=1.0):
    """The loss of one row with the rule `gradient(probabilities, label)`; its kernel is off by a factor."""

    @tg.fused
    def loss(xp, z, label):
        return -xp.take(tg.log_softmax(z), label)

    loss.kernel(nd.Array)(lambda z, label: tg.cross_entropy(z, label) * slips)
    loss.backward(lambda xp, g, out, z, label: (gradient(tg.softmax(z), label.item()) * g, None))
    return loss


def p_minus_one(p, label):
    return p - nd.asarray([float(i == label) for i in range(p.size)])


def minus_the_others(p, label):
    others = nd.asarray([float(i != label) for i in range(p.size)]) * p
    return others - nd.asarray([float(i == label) for i in range(p.size)]) * nd.sum(others)


@pytest.mark.parametrize(("margin", "wrong"), [(0.5, False), (10.0, True), (40.0, True), (100.0, True)])
def test_p_minus_one_is_caught_where_it_has_lost_its_digits(margin, wrong):
    row, label = [0.0, margin, 0.3], nd.asarray(1)
    got = p_minus_one(tg.softmax(row), 1)[1].item()
    assert (got == 0.0) is (margin >= 40.0)
    comparison = compare(cross_entropy_with(p_minus_one), row, label)
    assert comparison.ok is not wrong
    assert compare(cross_entropy_with(minus_the_others), row, label)
    if wrong:
        assert (comparison.worst.quantity, comparison.worst.input, comparison.worst.index) == ("grad", "z", (1,))
        assert comparison.worst.got == got


def test_a_kernel_that_is_wrong_in_the_thirteenth_digit_is_caught():
    comparison = compare(cross_entropy_with(minus_the_others, slips=1 + 1e-13), [0.0, 2.0], nd.asarray(1))
    assert not comparison and comparison.worst.quantity == "value" and comparison.max_ulp["grad"] <= 2


# --- bugs that only one kind of check sees


def test_a_gradient_that_is_dropped_is_caught():
    @tg.fused
    def scaled(xp, z, temperature=1.0):
        return z / temperature

    scaled.backward(lambda xp, g, out, z, temperature=1.0: (g / temperature, None))
    comparison = compare(scaled, [1.0, 2.0], params={"temperature": 2.0})
    assert not comparison and comparison.worst.input == "temperature"
    assert compare(scaled, [1.0, 2.0])


def test_a_rule_that_is_right_once_is_caught_at_the_second_derivative():
    @tg.fused
    def cube(xp, x):
        return x * x * x

    cube.backward(lambda xp, g, out, x: g * 3.0 * tg.constant(x) * x)
    assert compare(cube, [1.5, -2.0])
    comparison = compare(cube, [1.5, -2.0], order=2)
    assert not comparison and comparison.worst.quantity == "second"
    cube.backward(lambda xp, g, out, x: g * 3.0 * x * x)
    assert compare(cube, [1.5, -2.0], order=2)


FLOWS = {
    "as it is": lambda xp, g: g,
    "its magnitude": lambda xp, g: xp.abs(g),
    "only if positive": lambda xp, g: xp.where(g < 0.0, 0.0, g),
    "doubled if negative": lambda xp, g: xp.where(g < 0.0, 2.0 * g, g),
    "clipped at 5": lambda xp, g: xp.where(g > 5.0, 5.0, g),
    "clipped at -5 and 5": lambda xp, g: xp.where(xp.abs(g) > 5.0, 5.0 * xp.sign(g), g),
    "a square": lambda xp, g: g * g,
    "1, whatever it is": lambda xp, g: xp.ones_like(g),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("flow", FLOWS)
def test_what_flows_into_a_single_output_is_of_either_sign_and_large(flow, seed):
    @tg.fused
    def total(xp, z):
        m = tg.constant(xp.max(z))
        return m + xp.log(xp.sum(xp.exp(z - m)))

    total.kernel(nd.Array)(lambda z: tg.logsumexp(z))
    total.backward(lambda xp, g, out, z: FLOWS[flow](xp, g) * tg.softmax(z))
    assert compare(total, [0.3, -1.2, 0.9], seed=seed).ok is (flow == "as it is")


@pytest.mark.parametrize("n", [2, 3, 200])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_flows_into_several_outputs_is_large_as_well(n, sign):
    clipped = with_rule(lambda p, z, g: right(p, z, nd.where(sign * g > 5.0, sign * 5.0, g)))
    assert not compare(clipped, logits(n, 1.0))


def kept(kernel=lambda z: tg.softmax(z), slip=0.0):
    """softmax that keeps its probabilities, of which the kernel and a call that is recorded know nothing."""

    @tg.fused
    def softmax(xp, z):
        e = xp.exp(z - tg.constant(xp.max(z)))
        return e / xp.sum(e)

    def rule(xp, g, out, z, p=None):
        recorded = isinstance(g, tg.Value)
        p = tg.softmax(z) if p is None else p
        return p * (g - xp.sum(g * p)) + (slip if recorded else 0.0)

    softmax.kernel(nd.Array)(kernel)
    softmax.keeping(lambda xp, z: (tg.softmax(z), {"p": tg.softmax(z)}))
    softmax.backward(rule)
    return softmax


@pytest.mark.parametrize(
    "kernel",
    [lambda z: tg.softmax(z) * 1.1, lambda z: tg.softmax(z) * (1.0 + 1e-14), lambda z: tg.softmax(z)[:1]],
)
def test_the_kernel_of_an_op_that_keeps_something_is_judged(kernel):
    z = [0.3, -1.2, 0.9]
    assert compare(kept(), z)
    comparison = compare(kept(kernel), z)
    assert not comparison and comparison.worst.quantity == "value"
    assert not compare(kept(kernel), tg.Value(z, requires_grad=False))


@pytest.mark.parametrize("x", [[-40.0, 1.0], -40.0, np.asarray([1.0, -40.0])])
def test_an_op_that_keeps_something_is_judged_where_nothing_is_recorded(x):
    """Its body, which loses its digits, is what plain numbers take, and what is kept for the rule does not lose them."""

    @tg.fused
    def softplus(xp, x):
        return xp.log(1.0 + xp.exp(x))

    softplus.backward(lambda xp, g, out, x, p=None: g * (tg.sigmoid(x) if p is None else p))
    softplus.keeping(lambda xp, x: (tg.softplus(x), {"p": tg.sigmoid(x)}))
    comparison = compare(softplus, x)
    assert not comparison and comparison.worst.where.startswith("plain out") and comparison.worst.got == 0.0
    assert comparison.max_ulp["grad"] < 4


def test_the_gradient_that_a_rule_records_is_judged_as_such():
    assert compare(kept(), [0.3, -1.2, 0.9], order=2) and compare(kept(slip=1e-9), [0.3, -1.2, 0.9])
    comparison = compare(kept(slip=1e-9), [0.3, -1.2, 0.9], order=2)
    assert {x.quantity for x in comparison.findings if x.ulp > 8.0} == {"grad"}


CUBES = {
    "as it is": lambda xp, g, out, x: 3.0 * g * x * x,
    "none": lambda xp, g, out, x: 3.0 * tg.constant(g) * x * x,
    "a part of it": lambda xp, g, out, x: 3.0 * x * x * (g + 1e-9 * (g - tg.constant(g))),
}


@pytest.mark.parametrize("x", [1.7, [1.5, -2.0], [[1.0], [3.0]]])
@pytest.mark.parametrize("flow", CUBES)
def test_a_rule_that_drops_the_derivative_by_what_flows_in_is_caught(flow, x):
    """Its own second derivative is right; that of its square is not, into whose rule something flows that depends on x."""

    @tg.fused
    def cube(xp, x):
        return x * x * x

    cube.backward(CUBES[flow])
    assert compare(cube, x)
    comparison = compare(cube, x, order=2)
    assert comparison.ok is (flow == "as it is")
    if not comparison:
        assert comparison.worst.quantity == "second" and comparison.worst.where.startswith("d2 out / d x d g")
    if type(x) is float:
        bend = tg.hessian(lambda x: cube(x) ** 2, x)
        assert (abs(bend / (30.0 * x**4) - 1.0) < 1e-12) is (flow == "as it is")


def test_a_derivative_by_what_flows_in_that_only_a_sum_lacks_is_caught():
    @tg.fused
    def softmax(xp, z):
        e = xp.exp(z - tg.constant(xp.max(z)))
        return e / xp.sum(e)

    softmax.kernel(nd.Array)(lambda z: tg.softmax(z))
    softmax.backward(lambda xp, g, p, z: p * (g - xp.sum(tg.constant(g) * p)))
    assert not compare(softmax, [0.3, -1.2, 0.9], order=2)
    softmax.backward(lambda xp, g, p, z: p * (g - xp.sum(g * p)))
    assert compare(softmax, [0.3, -1.2, 0.9], order=2)


def test_a_second_derivative_that_is_wrong_in_the_twelfth_digit_is_caught():
    @tg.fused
    def square(xp, x):
        return x * x

    square.backward(lambda xp, g, out, x: g * (2.0 * x + 1e-12 * (x - tg.constant(x))))
    assert compare(square, [1.5, -2.0])
    comparison = compare(square, [1.5, -2.0], order=2)
    assert not comparison and comparison.max_ulp["second"] > 1000


def test_a_result_of_another_shape_is_caught():
    @tg.fused
    def total(xp, x):
        return xp.sum(x, keepdims=True)

    total.kernel(nd.Array)(lambda x: nd.sum(x))
    total.backward(lambda xp, g, out, x: g * xp.ones_like(x))
    comparison = compare(total, [1.0, 2.0])
    assert not comparison and (comparison.worst.got, comparison.worst.exact) == ("()", "(1,)")
    assert "the shape of out" in str(comparison)
