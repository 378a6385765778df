"""Divergences and the entropy: against mpmath's plain definitions on rows near each other, far apart and infinite."""

import math
import random
from math import inf, nan

import array_api_strict
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

import tinygrad_sm as tg
from tests.helpers.graphs import ops_of
from tests.helpers.softmax_truth import ulps
from tinygrad_sm import nd
from tinygrad_sm.family import nearby

PAIRS = ("kl_div", "reverse_kl_div")
DIGITS = 120
MANY = 700  # 1 + exp(-1400) is not 1


def many_digits(test):
    """For tests of logits hundreds apart."""
    return mp.workdps(MANY)(test)


def rows_of(rng, n, scale=1.0):
    return [rng.gauss(0.0, scale) for _ in range(n)]


# --- the plain definitions


def probabilities(logits):
    terms = [mpmath.exp(z - max(logits)) for z in logits]
    return [e / mpmath.fsum(terms) for e in terms]


def slope(p, w):
    mean = mpmath.fsum(a * b for a, b in zip(p, w, strict=True))
    return [a * (b - mean) for a, b in zip(p, w, strict=True)]


class Pair:
    """The divergence of two rows of logits, its gradients, and the magnitude of what a rounding of the logits changes."""

    def __init__(self, z, x):
        self.z, self.x = [mpf(v) for v in z], [mpf(v) for v in x]
        self.t, self.p = probabilities(self.z), probabilities(self.x)
        self.value = mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(self.t, self.p, strict=True))
        self.by_other = [b - a for a, b in zip(self.t, self.p, strict=True)]
        self.by_weights = slope(self.t, [a - b for a, b in zip(self.z, self.x, strict=True)])

    def unit_of_value(self):
        parts = zip(self.by_other + self.by_weights, self.x + self.z, strict=True)
        return mpmath.fsum(abs(g * v) for g, v in parts)

    def units_by_other(self):
        """Row i: |d(p_i - t_i) / dx_k| |x_k| + |d(p_i - t_i) / dz_k| |z_k|, summed over k."""
        return [self._change(self.p, self.x, i) + self._change(self.t, self.z, i) for i in range(len(self.z))]

    def units_by_weights(self):
        w = [a - b for a, b in zip(self.z, self.x, strict=True)]
        mean = mpmath.fsum(a * b for a, b in zip(self.t, w, strict=True))
        far = [v - mean for v in w]
        of_w = [self._change(self.t, self.z, i) + self._change(self.t, self.x, i) for i in range(len(w))]
        # d/dz_k of t_i (w_i - mean) beside that of w: t_i (far_i [i = k] - t_k far_i - t_k far_k)
        n = range(len(w))
        return [
            of_w[i]
            + self.t[i] * mpmath.fsum(abs(((i == k) - self.t[k]) * far[i] - self.t[k] * far[k]) * abs(self.z[k]) for k in n)
            for i in n
        ]

    @staticmethod
    def _change(p, logits, i):
        return p[i] * mpmath.fsum(abs(((i == k) - p[k]) * v) for k, v in enumerate(logits))


def both(op, z, x, make=lambda row: row):
    """(value, gradient for the weighing logits, gradient for the other), and the truth about them."""
    a, b = tg.Value(make(z)), tg.Value(make(x))
    loss = op(a, b)
    gradients = [g.tolist() for g in tg.grad(loss, [a, b])]
    if op is tg.reverse_kl_div:
        return float(loss), *gradients[::-1], Pair(x, z)
    return float(loss), *gradients, Pair(z, x)


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(DIGITS):
        yield


# --- two rows of logits


@pytest.mark.parametrize("make", [list, np.asarray], ids=["nd", "numpy"])
@pytest.mark.parametrize("name", PAIRS)
@many_digits
def test_hard_rows_are_right_to_the_last_digits(name, make):
    for case, (z, x), keywords in tg.fused_ops[name].hard_cases():
        if keywords or (make is np.asarray and "tail" in case):  # numpy's softmax has no digits left below 1e-308
            continue
        value, by_weights, by_other, truth = both(tg.fused_ops[name], z, x, make)
        assert ulps(value, truth.value, truth.unit_of_value()) <= 3, case
        assert max(map(ulps, by_other, truth.by_other, truth.units_by_other())) <= 4, case
        assert max(map(ulps, by_weights, truth.by_weights, truth.units_by_weights())) <= 4, case


@pytest.mark.parametrize("make", [list, np.asarray, array_api_strict.asarray], ids=["nd", "numpy", "strict"])
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10])
def test_rows_near_each_other_keep_their_divergence(name, distance, make):
    rng = random.Random(f"{name} {distance}")
    for n in (2, 10, 50):
        for _ in range(3):
            z = rows_of(rng, n)
            x = [v + distance * rng.gauss(0.0, 1.0) for v in z]
            loss = float(tg.fused_ops[name](make(z), make(x)))
            exact = Pair(z, x).value if name == "kl_div" else Pair(x, z).value
            assert loss > 0.0
            assert abs(mpf(loss) - exact) <= 1e-14 * exact


@pytest.mark.parametrize("name", PAIRS)
@many_digits
def test_two_confident_rows(name):
    """Both sure of class 0, one a little more: the divergence is 1e-302 of a difference of 1e-304, and p - t is 0 in floats."""
    for z, x in (
        [[0.0, -40.0], [0.0, -50.0]],
        [[700.0, 0.0], [699.0, 0.5]],
        [[0.0, -740.0], [0.0, -1400.0]],
        [[0.1, 0.1, -740.3], [0.1, 0.1, -1400.7]],
    ):
        value, by_weights, by_other, truth = both(tg.fused_ops[name], z, x)
        assert value > 0 and ulps(value, truth.value) <= 4
        assert max(map(ulps, by_other, truth.by_other)) <= 4
        assert max(map(ulps, by_weights, truth.by_weights)) <= 4


LOGIT = st.floats(-40.0, 40.0) | st.integers(-3, 3).map(float)


@st.composite
def two_rows(draw):
    n = draw(st.integers(1, 6))
    row = st.lists(LOGIT, min_size=n, max_size=n)
    z = draw(row)
    near = st.lists(st.sampled_from([0.0, 1e-9, -1e-7, 1e-12]), min_size=n, max_size=n)
    return z, draw(row | near.map(lambda d: [a + b for a, b in zip(z, d, strict=True)]))


@settings(deadline=None, max_examples=60)
@given(two_rows(), st.randoms(use_true_random=False))
def test_properties_of_the_divergence(pair, rng):
    z, x = pair
    order = rng.sample(range(len(z)), len(z))
    shuffled = [[row[i] for i in order] for row in pair]
    for op in (tg.kl_div, tg.reverse_kl_div):
        loss = float(op(z, x))
        assert loss >= 0.0
        assert float(op(z, z)) == 0.0
        if loss == 0.0:  # the same row, but for a shift
            with mp.workdps(60):
                assert abs(Pair(z, x).value) < 5e-324 + 1e-32 * max(map(abs, z + x))
        a, b = tg.Value(z), tg.Value(x)
        gradients = [g.tolist() for g in tg.grad(op(a, b), [a, b])]
        a, b = (tg.Value(row) for row in shuffled)
        again = op(a, b)
        assert again.item() == loss  # bit for bit
        if len({*z}) == len({*x}) == len(z):  # equal logits may stand for each other
            assert [g.tolist() for g in tg.grad(again, [a, b])] == [[g[i] for i in order] for g in gradients]
    assert float(tg.kl_div(z, x)) == float(tg.reverse_kl_div(x, z))


def test_an_exact_shift_changes_nothing():
    z, x = [0.5, -1.25, 3.0], [0.25, 2.0, -0.75]
    assert float(tg.kl_div([v + 1024.0 for v in z], [v - 512.0 for v in x])) == float(tg.kl_div(z, x))
    assert float(tg.kl_div(z, [v + 8.0 for v in z])) == 0.0
    other = [0.1, 0.7, -0.3]  # from which a shift by 2^27 leaves no exact distance
    a, b = tg.Value(z), tg.Value([v + 2.0**27 for v in z])
    near, far = (tg.grad(tg.kl_div(v, other), v).tolist() for v in (a, b))
    assert far == pytest.approx(near, rel=1e-14)


def test_it_is_the_cross_entropy_less_the_entropy():
    rng = random.Random("identity")
    for n in (2, 5):
        z, x = rows_of(rng, n), rows_of(rng, n)
        rest = tg.cross_entropy(x, tg.softmax(z)) - tg.entropy(z)
        assert float(tg.kl_div(z, x)) == pytest.approx(float(rest), rel=1e-12)


# (target_logits, logits): (kl_div, reverse_kl_div, gradient of kl_div for the logits)
E = math.e
EDGES = {
    "both exclude a class": (([0.0, -inf, 0.0], [0.0, -inf, 0.0]), (0.0, 0.0, [0.0, 0.0, 0.0])),
    "the target excludes one": (([0.0, -inf], [0.0, 0.0]), (math.log(2.0), inf, [-0.5, 0.5])),
    "the other excludes one": (([0.0, 0.0], [0.0, -inf]), (inf, math.log(2.0), [0.5, -0.5])),
    "and the target is nearly sure": (([0.0, -1000.0], [0.0, -inf]), (inf, 0.0, [0.0, 0.0])),
    "each excludes what the other has": (([0.0, -inf], [-inf, 0.0]), (inf, inf, [-1.0, 1.0])),
    "one +inf is a limit": (([inf, 0.0], [0.0, 0.0]), (math.log(2.0), inf, [-0.5, 0.5])),
    "+inf in both": (([inf, 0.0], [inf, 1.0]), (0.0, 0.0, [0.0, 0.0])),
    "far apart": (([0.0, -2000.0], [0.0, -1000.0]), (0.0, 0.0, [0.0, 0.0])),
    "beyond the floats": (([1e308, -1e308], [1e308, -1e308]), (0.0, 0.0, [0.0, 0.0])),
    "and the other way": (([1e308, -1e308], [-1e308, 1e308]), (inf, inf, [-1.0, 1.0])),
    "surprised": (([0.0, -1000.0], [-1000.0, 0.0]), (1000.0, 1000.0, [-1.0, 1.0])),
    "nothing": (([-inf, -inf], [0.0, 0.0]), (nan, nan, [nan, nan])),
    "nan": (([nan, 0.0], [0.0, 0.0]), (nan, nan, [nan, nan])),
    "one class": (([3.0], [-1.0]), (0.0, 0.0, [0.0])),
    "no classes": (([], []), (0.0, 0.0, [])),
}


LIMITS = {"one +inf is a limit", "+inf in both"}  # of our own arrays; others say nan


@pytest.mark.parametrize(
    ("case", "make"), [(case, make) for case in EDGES for make in (list, np.asarray) if make is list or case not in LIMITS]
)
def test_edges(case, make):
    (z, x), (forward, reverse, gradient) = EDGES[case]
    with np.errstate(all="ignore"):
        b = tg.Value(make(x))
        loss = tg.kl_div(make(z), b)
        got = [float(loss), float(tg.reverse_kl_div(make(z), make(x))), *tg.grad(loss, b).tolist()]
    assert got == pytest.approx([forward, reverse, *gradient], rel=1e-15, abs=0.0, nan_ok=True)


def test_gradients_of_excluded_classes_are_0():
    for op in (tg.kl_div, tg.reverse_kl_div):
        a, b = tg.Value([0.0, -inf, 1.0]), tg.Value([0.5, -inf, 0.0])
        without = tg.Value([0.0, 1.0]), tg.Value([0.5, 0.0])
        for got, wanted in zip(tg.grad(op(a, b), [a, b]), tg.grad(op(*without), [*without]), strict=True):
            assert got.tolist() == [wanted[0], 0.0, wanted[1]]


# --- shapes


Z = [[0.5, -2.0, 1.0], [3.0, 0.25, 0.5]]
X = [[-1.0, 1.0, 0.0], [2.5, 0.5, 1.5]]


@pytest.mark.parametrize("name", [*PAIRS, "kl_div_probabilities", "entropy"])
@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 1), (-1,), None])
def test_reductions_and_axes(name, axis):
    op, rng = tg.fused_ops[name], random.Random(name)
    rows = [[rows_of(rng, 3) for _ in range(2)] for _ in op.input_names]
    if name == "kl_div_probabilities":
        rows = [tg.softmax(x, axis=axis).tolist() for x in rows]
    array = [np.asarray(x) for x in rows]
    lines = [x.reshape(1, 6) if axis in (None, (0, 1)) else x.T if axis == 0 else x for x in array]
    each = [float(op(*(x[i].tolist() for x in lines))) for i in range(len(lines[0]))]
    assert min(each) > 0.01
    shape = {0: (3,), -1: (2,), 1: (2,), (-1,): (2,)}.get(axis, ())
    none = op(*rows, axis=axis, reduction="none")
    assert none.shape == shape
    assert np.asarray(none.tolist()).ravel().tolist() == pytest.approx(each, rel=1e-15)
    total = math.fsum(each)
    wholes = {"sum": 1, "mean": len(each), "batchmean": len(each), "elementmean": 6}
    for reduction, whole in wholes.items():
        values = [tg.Value(x) for x in rows]
        loss = op(*values, axis=axis, reduction=reduction)
        assert float(loss) == pytest.approx(total / whole, rel=1e-15)
        again = [tg.Value(x) for x in rows]
        summed = op(*again, axis=axis, reduction="none").sum()
        for got, wanted in zip(tg.grad(loss, values), tg.grad(summed, again), strict=True):
            assert np.allclose(np.asarray(got.tolist()), np.asarray(wanted.tolist()) / whole, rtol=1e-14, atol=0)
    default = "none" if name == "entropy" else "batchmean"
    assert op(*rows, axis=axis).tolist() == op(*rows, axis=axis, reduction=default).tolist()


def test_no_rows_and_single_numbers():
    empty = nd.zeros((0, 3))
    assert float(tg.kl_div(empty, empty)) == 0.0
    assert tg.kl_div(empty, empty, reduction="none").shape == (0,)
    assert tg.kl_div(2.0, 3.0, axis=None) == tg.entropy(2.0, axis=None) == 0.0
    assert tg.kl_div_probabilities(1.0, 1.0, axis=None) == 0.0


HALF = [0.5, 0.5]
MISTAKES = {
    "shapes": (lambda: tg.kl_div([0.0, 1.0], [0.0, 1.0, 2.0]), ValueError, r"^kl_div: .*\(2,\).*\(3,\).*same shape"),
    "broadcast": (lambda: tg.reverse_kl_div(Z, X[0]), ValueError, r"^reverse_kl_div: .*same shape"),
    "bools": (lambda: tg.kl_div([True, False], HALF), TypeError, "^kl_div: got booleans"),
    "axis": (lambda: tg.kl_div(HALF, HALF, axis=1), tg.AxisError, "^kl_div: axis 1"),
    "a number": (lambda: tg.kl_div(1.0, 2.0), tg.AxisError, "^kl_div: axis -1 of a 0-d input"),
    "reduction": (lambda: tg.kl_div(HALF, HALF, reduction="average"), ValueError, "^kl_div: reduction is one of .*elementmean"),
    "entropy's": (lambda: tg.entropy(HALF, reduction="all"), ValueError, "^entropy: reduction is one of"),
    "entropy of bools": (lambda: tg.entropy([True, False]), TypeError, "^entropy: got booleans"),
    "negative": (lambda: tg.kl_div_probabilities([-0.5, 1.5], HALF), ValueError, "^kl_div_probabilities: targets lie between"),
    "above 1": (lambda: tg.kl_div_probabilities(HALF, [0.0, 1.5]), ValueError, "probabilities lie between .*tg.kl_div"),
    "sums": (lambda: tg.kl_div_probabilities(HALF, [0.5, 0.25]), ValueError, "probabilities sum to 1 along axis -1"),
    "sums of targets": (lambda: tg.kl_div_probabilities([0.5, 0.25], HALF), ValueError, "targets sum to 1"),
    "sums of columns": (lambda: tg.kl_div_probabilities([HALF], [HALF], axis=0), ValueError, "sum to 1 along axis 0"),
    "shapes of those": (lambda: tg.kl_div_probabilities(HALF, [HALF]), ValueError, r"targets of shape \(2,\) and prob"),
    "their reduction": (lambda: tg.kl_div_probabilities(HALF, HALF, reduction=1), ValueError, "reduction is one of"),
    "their axis": (lambda: tg.kl_div_probabilities(HALF, HALF, axis=3), tg.AxisError, "^kl_div_probabilities: axis 3"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_end_in_a_sentence(mistake):
    call, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        call()


# --- two rows of probabilities


def truth_of_probabilities(t, p):
    t, p = [mpf(v) for v in t], [mpf(v) for v in p]
    return mpmath.fsum((a * mpmath.log(a / b) if a else 0) - a + b for a, b in zip(t, p, strict=True))


def test_probabilities_against_the_definition():
    rng = random.Random("probabilities")
    for distance in (10.0, 1.0, 1e-4, 1e-8, 1e-12):
        for n in (2, 3, 10):
            z = rows_of(rng, n)
            t, p = tg.softmax(z).tolist(), tg.softmax([v + distance * rng.gauss(0.0, 1.0) for v in z]).tolist()
            a, b = tg.Value(t), tg.Value(p)
            loss = tg.kl_div_probabilities(a, b)
            assert float(loss) >= 0.0 and ulps(float(loss), truth_of_probabilities(t, p)) <= 4
            by_t, by_p = tg.grad(loss, [a, b])
            assert max(map(ulps, by_t.tolist(), (mpmath.log(mpf(v) / w) for v, w in zip(t, p, strict=True)))) <= 3
            assert max(map(ulps, by_p.tolist(), ((mpf(w) - v) / w for v, w in zip(t, p, strict=True)))) <= 2
    for t, p in ([[1.0, 1e-300], [1.0, 3e-300]], [[1.0, 1e-20], [1.0, 1e-320]], [[1e-310, 1.0], [1.0, 1e-310]]):
        assert ulps(float(tg.kl_div_probabilities(t, p)), truth_of_probabilities(t, p)) <= 3


# (targets, probabilities): (value, gradient for the targets, gradient for the probabilities)
OF_PROBABILITIES = {
    "equal": (([0.3, 0.7], [0.3, 0.7]), (0.0, [0.0, 0.0], [0.0, 0.0])),
    "0 log 0": (([0.0, 1.0], [0.0, 1.0]), (0.0, [0.0, 0.0], [1.0, 0.0])),
    "a target of 0": (([0.0, 1.0], [0.5, 0.5]), (math.log(2.0), [-inf, math.log(2.0)], [1.0, -1.0])),
    "a probability of 0": (([0.5, 0.5], [0.0, 1.0]), (inf, [inf, -math.log(2.0)], [-inf, 0.5])),
    "a tiny one": (([0.5, 0.5], [5e-324, 1.0]), (math.log(0.5) - 0.5 * math.log(5e-324), None, None)),
    "one class": (([1.0], [1.0]), (0.0, [0.0], [0.0])),
    "nan": (([nan, 0.5], [0.5, 0.5]), (nan, [nan, 0.0], [nan, 0.0])),
}


@pytest.mark.parametrize("case", OF_PROBABILITIES)
@pytest.mark.parametrize("make", [list, np.asarray], ids=["nd", "numpy"])
def test_edges_of_probabilities(case, make):
    (t, p), (value, by_t, by_p) = OF_PROBABILITIES[case]
    a, b = tg.Value(make(t)), tg.Value(make(p))
    with np.errstate(all="ignore"):
        loss = tg.kl_div_probabilities(a, b)
        gradients = [g.tolist() for g in tg.grad(loss, [a, b])]
    assert float(loss) == pytest.approx(value, rel=1e-15, nan_ok=True)
    if by_t is not None:
        assert gradients[0] == pytest.approx(by_t, rel=1e-15, nan_ok=True)
        assert gradients[1] == pytest.approx(by_p, rel=1e-15, nan_ok=True)


def test_checks_of_probabilities_can_be_left_out_and_rounding_passes():
    loss = tg.kl_div_probabilities([2.0, 1.0], [1.0, 2.0], validate=False)
    assert float(loss) == pytest.approx(2 * math.log(2) - math.log(2))
    assert float(tg.kl_div_probabilities([1 / 3, 1 / 3, 1 / 3 + 1e-7], [0.2, 0.3, 0.5])) > 0
    assert float(tg.kl_div_probabilities([0, 1], [0.5, 0.5])) == math.log(2)  # one-hot targets may be ints


def test_probabilities_of_softmax_give_the_divergence_of_the_logits():
    rng = random.Random("softmax of logits")
    z, x = rows_of(rng, 4), rows_of(rng, 4)
    a, b = tg.Value(z), tg.Value(x)
    loss = tg.kl_div_probabilities(tg.softmax(a), tg.softmax(b))
    wanted = tg.kl_div(a, b)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-13)
    for got, want in zip(tg.grad(loss, [a, b]), tg.grad(wanted, [a, b]), strict=True):
        assert got.tolist() == pytest.approx(want.tolist(), rel=1e-12)


# --- one row


@many_digits
def test_entropy_against_the_definition():
    for case, (z,), keywords in tg.entropy.hard_cases():
        if keywords:
            continue
        value = tg.Value(z)
        h = tg.entropy(value)
        exact = [mpf(v) for v in z]
        p = probabilities(exact)
        assert ulps(h.item(), -mpmath.fsum(q * mpmath.log(q) for q in p)) <= 3, case
        unit = [
            q * mpmath.fsum(abs(v) * r for v, r in zip(exact, p, strict=True)) + q * abs(v)
            for q, v in zip(p, exact, strict=True)
        ]
        wanted = [-v for v in slope(p, exact)]
        assert max(map(ulps, tg.grad(h, value).tolist(), wanted, unit)) <= 4, case
        assert h.item() == tg.entropy(sorted(z)).item(), case  # bit for bit


@many_digits
def test_entropy_at_its_ends():
    for n in (1, 2, 7):
        assert float(tg.entropy([0.25] * n)) == pytest.approx(math.log(n), rel=1e-15)
    table = {(0.0, -inf): (0.0, [0.0, 0.0]), (inf, 0.0): (0.0, [0.0, 0.0]), (3.0,): (0.0, [0.0]), (): (0.0, [])}
    table[1e308, -1e308] = (0.0, [0.0, 0.0])
    for z, (value, gradient) in table.items():
        h = tg.entropy(v := tg.Value(list(z)))
        assert (h.item(), tg.grad(h, v).tolist()) == (value, gradient)
    for z in ([-inf, -inf], [nan, 0.0], [inf, inf]):
        assert math.isnan(tg.entropy(z))
    confident = tg.Value([0.0, -745.0])  # beyond the normal floats
    h = tg.entropy(confident)
    p = mpmath.exp(-745)
    assert ulps(h.item(), 746 * p) <= 1
    assert max(map(ulps, tg.grad(h, confident).tolist(), [-745 * p, 745 * p])) <= 1


# --- the definition itself, every kind of numbers, and second derivatives


KINDS = {
    "nd": (nd.asarray, 1e-11),
    "exact": (lambda x: nd.exact(x, 60), mpf("1e-40")),
    "numpy": (lambda x: np.asarray(x, dtype=np.float64), 1e-11),
    "float32": (lambda x: np.asarray(x, dtype=np.float32), 5e-4),
    "strict": (lambda x: array_api_strict.asarray(x, dtype=array_api_strict.float64), 1e-11),
}
INPUTS = {
    "kl_div": (Z, X),
    "reverse_kl_div": (Z, X),
    "kl_div_probabilities": ([[0.5, 0.25, 0.25], [0.1, 0.6, 0.3]], [[0.25, 0.25, 0.5], [0.3, 0.5, 0.2]]),
    "entropy": (Z,),
}


def derivatives(op, make, inputs, options):
    """Value, gradients, and second derivatives along a direction, as flat lists of mpmath numbers."""
    values = [tg.Value(make(x)) for x in inputs]
    out = op(*values, **options)
    gradients = tg.grad(out.sum(), values, create_graph=True)
    weights = [[0.7, -0.2, 1.3], [0.4, -1.1, 0.9]]
    along = [(g * make(weights)).sum() for g in gradients]
    second = tg.grad(along[0] if len(along) == 1 else along[0] + 0.5 * along[1], values)
    return out, [flat(x) for x in (out.data, *(g.data for g in gradients), *second)]


def flat(x):
    numbers = np.asarray(x.tolist() if hasattr(x, "tolist") else np.asarray(x).tolist(), dtype=object).ravel()
    return [mpf(v) if isinstance(v, float) else mpf(str(v)) for v in numbers]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", INPUTS)
def test_rules_are_those_of_the_definition(name, kind):
    make, tolerance = KINDS[kind]
    op = tg.fused_ops[name]
    for options in ({}, {"axis": 0, "reduction": "sum"}, {"axis": None, "reduction": "elementmean"}):
        options |= {"validate": False} if name == "kl_div_probabilities" else {}
        fused, by_rule = derivatives(op, make, INPUTS[name], options)
        composed, by_definition = derivatives(op.composed, make, INPUTS[name], options)
        assert fused.op in (op, tg.fused_ops[name]) and fused.dtype == composed.dtype == make([1.0]).dtype
        assert not any(isinstance(o, tg.graph.Fused) for o in ops_of(composed))
        for got, wanted in zip(by_rule, by_definition, strict=True):
            for a, b in zip(got, wanted, strict=True):
                assert abs(a - b) <= tolerance * (1 + abs(b))


@pytest.mark.parametrize("name", PAIRS)
def test_the_definition_on_decimals_is_the_plain_one(name):
    rng = random.Random(name)
    for z, x in ((rows_of(rng, 4), rows_of(rng, 4)), ([0.5, 40.0, 0.5], [1.0, -3.0, 39.0]), ([1.0, 1.0], [1.0, 1.0 + 1e-9])):
        a, b = tg.Value(nd.exact(z, 90)), tg.Value(nd.exact(x, 90))
        with tg.composed():
            loss = tg.fused_ops[name](a, b)
            gradients = tg.grad(loss, [a, b])
        truth = Pair(z, x) if name == "kl_div" else Pair(x, z)
        wanted = [truth.by_weights, truth.by_other][:: 1 if name == "kl_div" else -1]
        for got, want in zip([loss.data, *gradients], [[truth.value], *wanted], strict=True):
            for a, b in zip(flat(got), want, strict=True):
                assert abs(a - b) <= mpf("1e-60") * abs(b)


def test_the_entropy_on_decimals_is_the_plain_one():
    z = [0.5, 40.0, -3.0]
    a = tg.Value(nd.exact(z, 90))
    h = tg.entropy.composed(a)
    p = probabilities([mpf(v) for v in z])
    assert abs(flat(h.data)[0] + mpmath.fsum(q * mpmath.log(q) for q in p)) <= mpf("1e-85")
    for got, want in zip(flat(tg.grad(h, a)), slope(p, z), strict=True):
        assert abs(got + want) <= mpf("1e-60") * abs(want)


@pytest.mark.parametrize("name", PAIRS)
def test_second_derivatives_at_a_confident_class(name):
    """The Hessian of the divergence in the other logits is diag(p) - p p^T, of which 1 - p has no digits in floats."""
    z, x = [0.0, 45.0, 1.0], [0.5, 44.0, 0.25]
    op, fixed = (tg.kl_div, (z,)) if name == "kl_div" else (lambda a, b: tg.reverse_kl_div(b, a), (z,))
    b = tg.Value(x)
    rows = [tg.grad(g, b).tolist() for g in tg.grad(op(*fixed, b), b, create_graph=True)]
    p = probabilities([mpf(v) for v in x])
    for i, row in enumerate(rows):
        wanted = [p[i] * mpmath.fsum(q for k, q in enumerate(p) if k != i) if i == j else -p[i] * p[j] for j in range(3)]
        assert max(map(ulps, row, wanted)) <= 6


# --- the pieces


def test_above_tangent():
    points = [s * 10.0**k for k in range(-12, 2) for s in (-7.0, -3.5, 1.0, 6.9, 7.1)] + [0.0, -700.0, 0.7, -0.7]
    for x in points:
        exact = mpmath.exp(mpf(x)) - 1 - mpf(x)
        assert nearby.above_tangent(x) == nearby.above_tangent_of_one(x) >= 0.0
        assert ulps(nearby.above_tangent(x), exact) <= 4, x
    x = tg.Value(0.3)
    first = tg.grad(nearby.above_tangent(x), x, create_graph=True)
    assert first.item() == math.expm1(0.3) and tg.grad(first, x) == math.exp(0.3)


# --- PyTorch


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


@pytest.mark.heavy
@pytest.mark.parametrize("reduction", ["none", "sum", "batchmean"])
def test_like_torch(torch, reduction):
    rng = random.Random(reduction)
    z, x = ([rows_of(rng, 5, 3.0) for _ in range(4)] for _ in range(2))
    ours = [tg.Value(v) for v in (z, x)]
    theirs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (z, x)]
    F = torch.nn.functional
    log_t, log_p = (F.log_softmax(v, -1) for v in theirs)
    wanted = F.kl_div(log_p, log_t, reduction=reduction, log_target=True)
    reverse = F.kl_div(log_t, log_p, reduction=reduction, log_target=True)
    for op, want in ((tg.kl_div, wanted), (tg.reverse_kl_div, reverse)):
        want = want.sum(-1) if reduction == "none" else want
        got = op(*ours, reduction=reduction)
        assert np.allclose(np.asarray(got.tolist()), want.detach().numpy(), rtol=1e-12)
        for a, b in zip(tg.grad(got.sum(), ours), torch.autograd.grad(want.sum(), theirs, retain_graph=True), strict=True):
            assert np.allclose(np.asarray(a.tolist()), b.numpy(), rtol=1e-10, atol=1e-14)
    h, want = tg.entropy(ours[0]), torch.distributions.Categorical(logits=theirs[0]).entropy()
    assert np.allclose(np.asarray(h.tolist()), want.detach().numpy(), rtol=1e-12)
    slope_of_h = torch.autograd.grad(want.sum(), theirs[0])[0].numpy()
    assert np.allclose(np.asarray(tg.grad(h.sum(), ours[0]).tolist()), slope_of_h, rtol=1e-10, atol=1e-14)


@pytest.mark.heavy
def test_on_torch_tensors(torch):
    for name, inputs in INPUTS.items():
        values = [tg.Value(torch.tensor(x, dtype=torch.float64)) for x in inputs]
        own = [tg.Value(x) for x in inputs]
        loss, wanted = tg.fused_ops[name](*values).sum(), tg.fused_ops[name](*own).sum()
        assert float(loss) == pytest.approx(float(wanted), rel=1e-14)
        for got, want in zip(tg.grad(loss, values), tg.grad(wanted, own), strict=True):
            assert np.allclose(got.numpy(), np.asarray(want.tolist()), rtol=1e-12)


@pytest.mark.parametrize("form", [tg.kl_div_probabilities, tg.kl_div_probabilities.composed])
def test_the_slope_at_a_target_of_0(form):
    """From the right t log(t / p) leaves 0 with slope -inf; a class that neither has counts for nothing."""
    t, p = tg.Value([1.0, 0.0, 0.0]), tg.Value([0.5, 0.5, 0.0])
    form(t, p).backward()
    assert t.grad.tolist()[1:] == [-math.inf, 0.0] and p.grad.tolist() == [-1.0, 1.0, 1.0]
