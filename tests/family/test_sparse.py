"""sparsemax, 1.5-entmax and their losses against exact fractions and mpmath, which know them from their definitions alone."""

import math
from fractions import Fraction

import array_api_strict
import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

import tinygrad_sm as tg
from tests.helpers.softmax_truth import ulps
from tinygrad_sm import nd
from tinygrad_sm.check import compare

INF, NAN = math.inf, math.nan
OPS = {"sparsemax": tg.sparsemax, "entmax15": tg.entmax15}
LOSSES = {"sparsemax_loss": tg.sparsemax_loss, "entmax15_loss": tg.entmax15_loss}
every_op = pytest.mark.parametrize("name", OPS)
every_loss = pytest.mark.parametrize("name", LOSSES)
mp.dps = 80

# --- the truth


def support(row, scale):
    """The i for which what all classes above i would get, if the threshold were at i, is less than 1."""
    return [i for i, z in enumerate(row) if sum(max(y - z, 0) ** scale for y in row) < scale**scale]


def exact_sparsemax(row):
    """(p, tau) in fractions."""
    row = [*map(Fraction, row)]
    inside = support(row, 1)
    tau = (sum(row[i] for i in inside) - 1) / len(inside)
    return [z - tau if i in inside else Fraction(0) for i, z in enumerate(row)], tau


def exact_entmax15(row):
    """(p, tau) of half the logits, in 80 digits."""
    inside = support([*map(Fraction, row)], 2)
    with mp.workdps(120):
        x = [mpf(z) / 2 for z in row]
        mean = mpmath.fsum(x[i] for i in inside) / len(inside)
        spread = mpmath.fsum((x[i] - mean) ** 2 for i in inside)
        tau = mean - mpmath.sqrt((1 - spread) / len(inside))
        return [(v - tau) ** 2 if i in inside else mpf(0) for i, v in enumerate(x)], tau


def number(x):
    return mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else x


def exact(name, row):
    p, _ = (exact_sparsemax if name.startswith("sparsemax") else exact_entmax15)(row)
    return [*map(number, p)]


def weights(name, row):
    """q with the Jacobian diag(q) - q q^T / sum(q)."""
    with mp.workdps(100):
        return [mpmath.sqrt(p) if name.startswith("entmax") else mpf(p > 0) for p in exact(name, row)]


def exact_gradient(name, row, g):
    q = weights(name, row)
    with mp.workdps(100):
        mean = mpmath.fsum(a * b for a, b in zip(q, g, strict=True)) / mpmath.fsum(q)
        return [a * (b - mean) for a, b in zip(q, g, strict=True)]


def exact_loss(name, row, targets):
    """<p - t, z> + Omega(t) - Omega(p), Fenchel and Young's loss as it stands."""
    with mp.workdps(200):
        p = exact(name, row)
        if name.startswith("sparsemax"):
            omega = [v * v / 2 for v in p], [mpf(t) ** 2 / 2 for t in targets]
        else:
            omega = [4 * v ** mpf("1.5") / 3 for v in p], [4 * mpf(t) ** mpf("1.5") / 3 for t in targets]
        inner = mpmath.fsum((v - t) * mpf(z) for v, t, z in zip(p, targets, row, strict=True))
        return inner + mpmath.fsum(omega[1]) - mpmath.fsum(omega[0])


def one_hot(label, n):
    return [float(i == label) for i in range(n)]


# --- rows

FRACTION = st.integers(-24, 24).map(lambda n: n / 8)  # ties, and classes exactly on the edge


@st.composite
def rows(draw, least=1):
    """Near each other or far apart, with ties or without, and anywhere."""
    near = st.lists(st.floats(-1.5, 1.5) | FRACTION, min_size=least, max_size=8)
    scale = draw(st.sampled_from([1.0, 1.0, 1e-3, 20.0]))
    offset = draw(st.sampled_from([0.0, 0.0, 3.0, -1e8, 1e12]))
    return [offset + scale * z for z in draw(near)]


@st.composite
def labelled(draw):
    row = draw(rows(least=2))
    return row, draw(st.integers(0, len(row) - 1))


@every_op
def test_probabilities(name):
    @settings(deadline=None, max_examples=60)
    @given(rows())
    @example([0.0, -1.0])  # on the edge
    @example([0.0, -2.0])
    @example([0.0, -1.0 + 2.0**-53])  # as near to it as a float can be
    @example([1.0, -1.0 + 2.0**-52])
    @example([0.1, -0.8999999999999997])  # whose difference is no float
    @example([0.3, -1.6999999999999995])
    @example([0.75, 0.5, 0.0])
    @example([0.1] * 50)
    @example([k / 16 for k in range(30)])
    def check(row):
        got = OPS[name](row).tolist()
        for a, b in zip(got, exact(name, row), strict=True):
            assert (a > 0) == (b > 0)
            assert ulps(a, b) <= 3
        assert abs(math.fsum(got) - 1) <= 4e-16 * len(row)

    check()


@every_op
def test_gradient(name):
    @settings(deadline=None, max_examples=30)
    @given(rows(), st.integers(0, 7), st.lists(FRACTION, min_size=8, max_size=8))
    def check(row, i, dense):
        hot = one_hot(i % len(row), len(row))
        z = tg.Value(row)
        out = OPS[name](z)
        q = [float(v) for v in weights(name, row)]
        for g in (hot, dense[: len(row)]):
            for j, (a, b) in enumerate(zip(tg.grad(out, z, grad_output=g).tolist(), exact_gradient(name, row, g), strict=True)):
                # what the contraction with g cancels is forgiven
                slopes = [q[j] * (float(k == j) - v / sum(q)) for k, v in enumerate(q)]
                assert ulps(a, b, sum(abs(s * u) for s, u in zip(slopes, g, strict=True))) <= 6

    check()


@every_loss
def test_losses(name):
    @settings(deadline=None, max_examples=40)
    @given(labelled())
    @example(([2.0, 1.0 + 2.0**-40], 0))  # nearly a margin, where the loss is tiny
    @example(([2.0, 2.0**-40], 0))
    @example(([0.1, -0.9 + 1e-9, -0.9 + 1e-8], 0))
    @example(([0.1, -1.9 + 1e-9, -1.9 + 1e-8], 0))
    @example(([2.0, 0.0], 0))
    @example(([1e8, -1e8, 0.5], 1))
    def check(case):
        row, label = case
        z = tg.Value(row)
        loss = LOSSES[name](z, label)
        true = exact_loss(name, row, one_hot(label, len(row)))
        assert loss.item() >= 0.0
        assert ulps(loss.item(), true) <= 6
        p = exact(name, row)
        with mp.workdps(100):
            slopes = [v - (i == label) for i, v in enumerate(p)]
        for a, b in zip(tg.grad(loss, z).tolist(), slopes, strict=True):
            assert ulps(a, b) <= 4

    check()


def test_the_loss_of_probabilities():
    @settings(deadline=None, max_examples=30)
    @given(rows(least=2), st.lists(st.integers(0, 8), min_size=8, max_size=8))
    def check(row, parts):
        parts = parts[: len(row)]
        parts[0] += 1
        t = [k / sum(parts) for k in parts]
        t[0] = 1.0 - math.fsum(t[1:])
        z, targets = tg.Value(row), tg.Value(t)
        loss = tg.sparsemax_loss(z, targets)
        p, tau = exact_sparsemax(row)
        ts = [*map(Fraction, t)]
        excess = 1 - sum(ts)  # of rounding
        inside = sum(v > 0 for v in p)
        true = sum((a - b) ** 2 for a, b in zip(p, ts, strict=True)) / 2
        true += sum(b * max(tau - Fraction(v), 0) for b, v in zip(ts, row, strict=True))
        assert loss.item() >= 0.0
        assert abs(Fraction(loss.item()) - true) <= Fraction(1e-15) * max(true, 1)
        of_z, of_t = (x.tolist() for x in tg.grad(loss, [z, targets]))
        for a, b, v, y in zip(p, ts, row, range(len(row)), strict=True):
            e = a - b
            assert abs(Fraction(of_z[y]) - (e - (excess / inside if a else 0))) <= Fraction(1e-15)
            slope = max(tau - Fraction(v), 0) - e
            assert abs(Fraction(of_t[y]) - slope) <= Fraction(1e-15) * max(1, *(abs(Fraction(x)) for x in row))

    check()


def test_a_one_hot_row_of_probabilities_is_its_class():
    for row in ([0.3, -0.2, 0.1], [2.0, 1.5, 0.0], [0.0, 5.0, 1.0]):
        for label in range(3):
            as_index = tg.value_and_grad(lambda z, label=label: tg.sparsemax_loss(z, label))(row)
            as_row = tg.value_and_grad(lambda z, label=label: tg.sparsemax_loss(z, one_hot(label, 3)))(row)
            assert nd.max(nd.abs(as_index[1] - as_row[1])).item() <= 3e-16
            assert abs(as_index[0].item() - as_row[0].item()) <= 1e-15


@every_op
@pytest.mark.parametrize("row", [[0.3, -1.2, 0.9, 0.1], [0.0, 3.0, -5.0, 2.75]])
def test_second_derivatives(name, row):
    """Of the rule as of the definition, also beside classes that get nothing."""
    z, weights = tg.Value(nd.exact(row, 60)), nd.exact([0.7, -0.2, 1.3, 0.4], 60)

    def second(op):
        slope = tg.grad(op(z), z, grad_output=weights, create_graph=True)
        return tg.grad((slope * slope * weights).sum(), z)

    assert nd.max(nd.abs(second(OPS[name]) - second(OPS[name].composed))).item() < 1e-50


OTHERS = {
    "numpy": (np, np.float64, 1e-14),
    "float32": (np, np.float32, 2e-6),
    "strict": (array_api_strict, array_api_strict.float64, 1e-14),
}


@pytest.mark.parametrize("library", OTHERS)
@pytest.mark.parametrize("op", [*OPS.values(), *LOSSES.values()], ids=[*OPS, *LOSSES])
def test_the_rule_is_that_of_the_definition_on_other_arrays(op, library):
    xp, dtype, rounding = OTHERS[library]
    z = tg.Value(
        xp.asarray([[0.3, -1.2, 0.9, 0.1], [0.0, 3.0, -5.0, 2.75], [1.0, 1.0, 1.0, 0.9], [0.5, 0.6, 0.7, 0.8]], dtype=dtype)
    )
    labels = [xp.asarray([2, 0, 3, 1])] if op in LOSSES.values() else []
    for axis in (0, 1):
        by_rule, by_definition = (
            tg.grad((y * y).sum(), z) for y in (form(z, *labels, axis=axis) for form in (op, op.composed))
        )
        assert by_rule.dtype == dtype
        assert float(xp.max(xp.abs(by_rule - by_definition))) <= rounding


# --- laws


@every_op
@settings(deadline=None, max_examples=40)
@given(rows(), st.randoms(use_true_random=False))
def test_the_order_of_the_classes_plays_no_role(name, row, random):
    order = [*range(len(row))]
    random.shuffle(order)
    p = OPS[name](row).tolist()
    assert OPS[name]([row[i] for i in order]).tolist() == [p[i] for i in order]


@every_op
@settings(deadline=None, max_examples=40)
@given(st.lists(FRACTION, min_size=1, max_size=6), st.integers(-(2**30), 2**30))
def test_an_exact_shift_changes_nothing(name, row, offset):
    assert OPS[name]([z + offset for z in row]).tolist() == OPS[name](row).tolist()


@every_loss
def test_no_loss_beyond_the_margin(name):
    margin = 1.0 if name == "sparsemax_loss" else 2.0
    for others in ([0.0], [0.0, -0.5, 0.0]):
        z = tg.Value([margin, *others])
        loss = LOSSES[name](z, 0)
        assert loss.item() == 0.0
        assert tg.grad(loss, z).tolist() == [0.0] * (1 + len(others))
        assert LOSSES[name]([margin * (1 - 1e-9), *others], 0).item() > 0.0


@pytest.mark.parametrize("op", [*OPS.values(), *LOSSES.values()], ids=[*OPS, *LOSSES])
@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.heavy)])
def test_right_on_its_hard_inputs(op, order):
    comparison = compare(op, order=order)
    assert comparison, comparison
    assert max(comparison.max_ulp.values()) <= 4


# --- edges

SPECIAL = [
    ([], [], []),
    ([3.0], [1.0], [1.0]),
    ([0.0, -INF], [1.0, 0.0], [1.0, 0.0]),
    ([0.0, -INF, 0.0], [0.5, 0.0, 0.5], [0.5, 0.0, 0.5]),
    ([INF, 0.0], [1.0, 0.0], [1.0, 0.0]),
    ([INF, -INF, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
    ([INF, INF], [NAN, NAN], [NAN, NAN]),
    ([-INF, -INF], [NAN, NAN], [NAN, NAN]),
    ([NAN, 0.0], [NAN, NAN], [NAN, NAN]),
    ([0.0, NAN, 5.0], [NAN] * 3, [NAN] * 3),
    ([INF, NAN], [NAN, NAN], [NAN, NAN]),
    ([1e308, -1e308], [1.0, 0.0], [1.0, 0.0]),
    ([1e308, 1e308], [0.5, 0.5], [0.5, 0.5]),
    ([5e-324, 0.0], [0.5, 0.5], [0.5, 0.5]),
    ([2, 1], [1.0, 0.0], exact("entmax15", [2, 1])),
]


def same(got, wanted):
    return len(got) == len(wanted) and all(
        (math.isnan(a) and math.isnan(b)) or abs(a - b) <= 2e-16 for a, b in zip(got, map(float, wanted), strict=True)
    )


@pytest.mark.parametrize(("row", "sparse", "entmax"), SPECIAL)
def test_special_rows(row, sparse, entmax):
    for op, wanted in ((tg.sparsemax, sparse), (tg.entmax15, entmax)):
        assert same(op(row).tolist(), wanted)
        assert same(op([row, row]).tolist()[1], wanted)  # a row spoils no other
        z = tg.Value(row)
        gradient = tg.grad(op(z), z, grad_output=[*map(float, range(len(row)))]).tolist()
        if row and not math.isnan(wanted[0]):
            assert not any(map(math.isnan, gradient)) and abs(math.fsum(gradient)) < 1e-15
        elif row:
            assert all(map(math.isnan, gradient))


@every_op
def test_what_other_libraries_cannot_say_by_themselves(name):
    for xp in (np, array_api_strict):
        for row in ([0.0, -INF, -0.5], [NAN, 0.0], [], [3.0], [0.0, -1e300]):
            assert same([float(v) for v in OPS[name](xp.asarray(row, dtype=xp.float64))], OPS[name](row).tolist())


@every_op
def test_on_the_edge_the_gradient_is_that_of_one_side(name):
    z = tg.Value([0.0, -1.0 if name == "sparsemax" else -2.0])
    out = OPS[name](z)
    assert out.tolist() == [1.0, 0.0]
    assert tg.grad(out, z, grad_output=[1.0, 0.0]).tolist() == [0.0, 0.0]
    assert tg.grad(OPS[name].composed(z), z, grad_output=[1.0, 0.0]).tolist() == [0.0, 0.0]


@every_loss
def test_losses_of_special_rows(name):
    loss = LOSSES[name]
    for row, label, value, gradient in (
        ([0.0, -INF], 0, 0.0, [0.0, 0.0]),
        ([0.0, -INF], 1, INF, [1.0, -1.0]),
        ([INF, 0.0], 0, 0.0, [0.0, 0.0]),
        ([INF, 0.0], 1, INF, [1.0, -1.0]),
        ([3.0], 0, 0.0, [0.0]),
    ):
        z = tg.Value(row)
        out = loss(z, label)
        assert out.item() == value and tg.grad(out, z).tolist() == gradient
    for row in ([NAN, 0.0], [-INF, -INF], [INF, INF]):
        assert math.isnan(loss(row, 0).item())
    assert tg.sparsemax_loss([0.0, -INF], [1.0, 0.0]).item() == 0.0
    x = tg.Value(np.asarray([0.0, -INF]))
    for form in (tg.sparsemax_loss, tg.sparsemax_loss.composed):
        out = form(x, np.asarray([1.0, 0.0]))
        assert out.item() == 0.0 and tg.grad(out, x).tolist() == [0.0, 0.0]
    assert math.isnan(tg.sparsemax_loss([NAN, 0.0], [1.0, 0.0]).item())


@every_loss
def test_reductions_and_axes(name):
    loss, z, labels = LOSSES[name], [[0.5, 0.0, -0.3], [0.0, 0.2, 3.0]], [1, 2]
    each = [loss(row, label).item() for row, label in zip(z, labels, strict=True)]
    assert loss(z, labels, reduction="none").tolist() == each
    assert loss(z, labels, reduction="sum").item() == math.fsum(each)
    assert loss(z, labels).item() == loss(z, labels, reduction="batchmean").item() == math.fsum(each) / 2
    assert loss([[*x] for x in zip(*z, strict=True)], labels, axis=0, reduction="none").tolist() == each
    assert loss(nd.zeros((0, 3)), []).item() == 0.0


@every_op
def test_axes(name):
    op, z = OPS[name], [[0.5, 0.0, -0.3], [0.0, 0.2, 0.1]]
    assert op(z).tolist() == [op(row).tolist() for row in z]
    assert op(z, axis=0).tolist() == [[*x] for x in zip(*(op([*c]).tolist() for c in zip(*z, strict=True)), strict=True)]
    assert [v for row in op(z, axis=None).tolist() for v in row] == op(z[0] + z[1]).tolist()
    assert op(2.5, axis=None) == 1.0
    x = tg.Value(2.5)
    assert tg.grad(op(x, axis=None), x) == tg.grad(op.composed(x, axis=None), x) == 0.0
    for xp in (np, array_api_strict):
        for axis in (0, 1, None):
            got = op(xp.asarray(z), axis=axis)
            assert np.allclose(np.asarray(got.tolist() if xp is np else got), op(z, axis=axis).tolist(), atol=1e-15)
    assert str(op(np.asarray(z, dtype=np.float32)).dtype) == "float32"


MISTAKES = [
    (lambda: tg.sparsemax(1.0), tg.AxisError, "sparsemax: axis -1 of a 0-d input"),
    (lambda: tg.entmax15([1.0, 2.0], axis=1), tg.AxisError, "entmax15: axis 1 is out of range"),
    (lambda: tg.sparsemax([[1.0]], axis=(0, 1)), TypeError, "sparsemax: axis is an int, or None for all elements"),
    (lambda: tg.entmax15([True, False]), TypeError, "entmax15: got booleans"),
    (lambda: tg.sparsemax_loss([True, False], 0), TypeError, "sparsemax_loss: got booleans"),
    (lambda: tg.sparsemax_loss([1.0, 2.0], 2), tg.LabelError, "sparsemax_loss: label 2"),
    (lambda: tg.entmax15_loss([1.0, 2.0], -1), tg.LabelError, "entmax15_loss: label -1"),
    (lambda: tg.entmax15_loss([1.0, 2.0], [0.5, 0.5]), TypeError, "entmax15_loss: targets are class indices"),
    (lambda: tg.sparsemax_loss([1.0, 2.0], [0.5, 0.6]), ValueError, "sparsemax_loss: target probabilities sum to 1"),
    (lambda: tg.sparsemax_loss([1.0, 2.0], [-0.5, 1.5]), ValueError, "sparsemax_loss: target probabilities are not negative"),
    (lambda: tg.sparsemax_loss([[1.0, 2.0]], [[0]]), ValueError, "sparsemax_loss: class indices of shape"),
    (lambda: tg.sparsemax_loss([1.0, 2.0], 0, reduction="total"), ValueError, "sparsemax_loss: reduction is one of"),
    (lambda: tg.entmax15_loss([1.0, 2.0], 0, reduction="total"), ValueError, "entmax15_loss: reduction is one of"),
    (lambda: tg.entmax15_loss([1.0, 2.0], 0, axis=1), tg.AxisError, "entmax15_loss: axis 1"),
    (lambda: tg.sparsemax_loss([1.0, 2.0], 0, axis=3), tg.AxisError, "sparsemax_loss: axis 3"),
]


@pytest.mark.parametrize(("call", "kind", "sentence"), MISTAKES)
def test_mistakes_end_in_a_sentence(call, kind, sentence):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(sentence)


# --- the package of the authors


@pytest.mark.heavy
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_against_the_package_entmax(n):
    import entmax
    import torch

    rng = np.random.default_rng(n)
    for scale in (0.2, 1.0, 8.0):
        z, g = rng.normal(0.0, scale, (5, n)), rng.normal(0.0, 1.0, (5, n))
        labels = rng.integers(0, n, 5)
        for ours, theirs in ((tg.sparsemax, entmax.sparsemax), (tg.entmax15, entmax.entmax15)):
            x, y = tg.Value(z.tolist()), torch.tensor(z, requires_grad=True)
            out, reference = ours(x), theirs(y)
            reference.backward(torch.tensor(g))
            assert np.allclose(out.tolist(), reference.detach().numpy(), atol=1e-13)
            assert np.allclose(tg.grad(out, x, grad_output=g.tolist()).tolist(), y.grad.numpy(), atol=1e-12)
        for ours, theirs in ((tg.sparsemax_loss, entmax.sparsemax_loss), (tg.entmax15_loss, entmax.entmax15_loss)):
            x, y = tg.Value(torch.tensor(z)), torch.tensor(z, requires_grad=True)
            loss, reference = ours(x, torch.tensor(labels), reduction="none"), theirs(y, torch.tensor(labels))
            reference.sum().backward()
            assert np.allclose(loss.data.numpy(), reference.detach().numpy(), atol=1e-12)
            assert np.allclose(tg.grad(loss.sum(), x).numpy(), y.grad.numpy(), atol=1e-12)
