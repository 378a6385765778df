"""The truth: decimals with digits enough, beside mpmath; floats lifted exactly; units in the last place beside numpy's."""

import math
from decimal import Decimal
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.check import truth
from tinygrad_sm.check.reports import amount, index_of, number, place, table
from tinygrad_sm.check.units import DOUBLE, precision_of

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TYPES = [np.float64, np.float32, np.float16]


def near(got, exact, digits=40):
    """Whether a Decimal has that many digits of what mpmath found."""
    with mp.workdps(800):
        return abs(mpf(str(got)) - exact) <= abs(exact) * mpf(10) ** -digits


# --- digits


def losses():
    """(margin, -log of the probability of the larger of two logits, its gradient), by mpmath."""
    for margin in (0.5, 37.0, 46.05, 100.0, 350.0, 700.0, 745.0):
        with mp.workdps(800):
            e = mpmath.exp(-mpf(margin))
            yield margin, mpmath.log(1 + e), -e / (1 + e)


@pytest.mark.parametrize(("margin", "loss", "slope"), [*losses()])
def test_a_confident_prediction_has_its_digits(margin, loss, slope):
    run = truth.run(tg.cross_entropy, [[0.0, margin], 1])
    assert near(run.output.item(), loss)
    assert near(run.gradients(1.0)[0][1].item(), slope)
    assert run.digits >= 50 + margin / math.log(10) - 1


@tg.fused
def below_one(xp, x):
    """The result does not show how near to 1 tanh is."""
    return 1.0 - xp.tanh(x)


@tg.fused
def plain_softplus(xp, x):
    return xp.log(1.0 + xp.exp(x))


@tg.fused
def below_one_by_erf(xp, x):
    return 1.0 - xp.erf(x)


@pytest.mark.parametrize("x", [0.5, 30.0, 100.0, 300.0])
def test_digits_suffice_for_what_saturates(x):
    with mp.workdps(800):
        assert near(truth.run(below_one, [x]).output.item(), 2 / (1 + mpmath.exp(2 * mpf(x))))
        assert near(truth.run(plain_softplus, [-x]).output.item(), mpmath.log1p(mpmath.exp(-mpf(x))))


@pytest.mark.parametrize("x", [5.0, 12.0, 25.0])
def test_digits_suffice_for_the_error_function(x):
    with mp.workdps(800):
        assert near(truth.run(below_one_by_erf, [x]).output.item(), mpmath.erfc(mpf(x)))


def test_digits_grow_only_as_needed():
    assert truth.run(tg.softmax, [[1.0, 2.0, 3.0]]).digits == truth.FIRST
    assert truth.run(tg.softmax, [[0.0, 1e4]]).digits <= truth.SURE + 2 * truth.FARTHEST
    assert truth.run(tg.softmax, [[1.0, 2.0]], digits=200).digits == 200


@tg.fused
def root(xp, x):
    return xp.sqrt(x)


def test_digits_of_second_derivatives_count_what_they_pass_through():
    """The square root of 1e-40 is 1e-20; its slope, on the way to the second derivative, 5e19."""
    first, second = (truth.run(root, [1e-40], order=order).digits for order in (1, 2))
    assert truth.SURE + 40 <= first <= truth.SURE + 42 and first + 19 <= second <= first + 160


def test_noise_is_what_may_be_left_of_a_zero():
    @tg.fused
    def nothing(xp, x):
        return x / 3.0 * 3.0 - x

    run = truth.run(nothing, [nd.asarray(0.7)])
    assert 0 < abs(run.output.item()) <= run.noise <= Decimal("1e-40")
    assert run.digits == truth.FIRST  # it is not taken for a number that is small


# --- inputs


ARRAYS = [
    0.1,
    [0.1, -2.5],
    [[0.1, 2.0], [3.0, 1e-300]],
    [1, 0.5],
    nd.asarray([0.1]),
    tg.Value([0.1, 0.2]),
    np.asarray([0.1, 0.7]),
    np.asarray([[0.1], [0.7]], dtype=np.float32),
    np.float16(0.1),
    np.asarray(0.3),
]


@pytest.mark.parametrize("x", ARRAYS, ids=str)
def test_floats_are_lifted_exactly(x):
    exact = truth.lifted(x, 60)
    plain = x.data if isinstance(x, tg.Value) else x
    assert truth.is_floating(x) and isinstance(exact, nd.Decimals) and exact.shape == np.shape(plain)
    floats = np.asarray(plain, dtype=None).ravel().tolist()
    assert [Fraction(d) for d in truth.flat(exact)] == [Fraction(f) for f in floats]


@pytest.mark.parametrize("x", [1, True, [1, 2], [[True, False]], np.asarray([1, 2]), np.asarray([True]), None, "mean"], ids=str)
def test_labels_masks_and_settings_are_no_floats(x):
    assert not truth.is_floating(x)


def test_labels_and_masks_of_any_library_stand_beside_decimals():
    logits, labels = np.asarray([[1.0, 2.0], [0.0, 3.0]]), np.asarray([1, 0])
    run = truth.run(tg.cross_entropy, [logits, labels])
    assert isinstance(run.output.data, nd.Decimals) and [x.shape for x in run.leaves] == [(2, 2)]


def test_a_value_without_gradient_is_a_constant():
    run = truth.run(tg.cross_entropy, [[1.0, 2.0], tg.Value([0.5, 0.5], requires_grad=False)])
    assert len(run.leaves) == 1 and len(run.gradients(1.0)) == 1


def test_what_leaves_the_decimals_is_an_error():
    with pytest.raises(TypeError, match="leaves the ops"):
        truth.run(lambda x: tg.Value(math.sin(float(x))), [1.0])


@pytest.mark.parametrize("like", [2.5, nd.asarray([[1.0, 2.0]]), nd.exact([1, 2], 30), np.ones((2, 1), np.float32)], ids=str)
def test_numbers_in_the_shape_of_another(like):
    n = len(truth.flat(like))
    made = truth.filled_with(like, [1.5, -2.0][:n])
    assert type(made) is type(like) and np.shape(made) == np.shape(like)
    assert [float(x) for x in truth.flat(made)] == [1.5, -2.0][:n]
    assert [float(x) for x in truth.flat(truth.one_hot_like(like, n - 1, 3.0))] == [0.0, 3.0][2 - n :]


# --- units in the last place


@given(FLOATS)
def test_units_are_those_of_the_standard_library(x):
    assert DOUBLE.ulp(x) == math.ulp(x)


@pytest.mark.parametrize("kind", TYPES)
@given(data=st.data())
def test_units_are_the_spacing_of_numpys_floats(kind, data):
    x = data.draw(st.floats(0.0, float(np.finfo(kind).max) / 2, width=np.finfo(kind).bits))
    assert precision_of(kind(1.0)).ulp(-x) == precision_of(kind(1.0)).ulp(x) == float(np.spacing(kind(x)))


@given(FLOATS, FLOATS)
def test_errors_are_exact(got, exact):
    wanted = abs(Fraction(got) - Fraction(exact)) / Fraction(math.ulp(exact))
    found = DOUBLE.error(got, Decimal(exact))
    assert found == pytest.approx(float(wanted), rel=1e-12) if wanted < 1e300 else found > 1e299


INF, NAN = math.inf, math.nan
LARGEST = 2**1024 - 2**971
EDGES = [
    (INF, "inf", 0.0),
    (-INF, "inf", INF),
    (NAN, "nan", 0.0),
    (NAN, "1", INF),
    (1.0, "nan", INF),
    (1.0, "inf", INF),
    (INF, "1e400", 0.0),
    (INF, "-1e400", INF),
    (INF, str(2**1024), 0.0),
    (INF, str(LARGEST), 1.0),
    (INF, str(LARGEST - 2**971), 2.0),
    (-INF, str(-LARGEST), 1.0),
    (INF, "1", INF),
    (float(LARGEST), str(LARGEST), 0.0),
    (float(LARGEST), str(2**1024), 1.0),
    (0.0, "1e-400", 0.0),
    (5e-324, "0", 1.0),
    (0.0, "-0.0", 0.0),
    (1.0, "1.0000000000000002220446049250313", 1.0),
]


@pytest.mark.parametrize(("got", "exact", "wanted"), EDGES)
def test_errors_at_the_edges(got, exact, wanted):
    found = DOUBLE.error(got, Decimal(exact))
    assert found == pytest.approx(wanted, abs=1e-9) if wanted < INF else found > 1e15


def test_a_larger_unit_forgives_more():
    assert DOUBLE.error(1e-16, Decimal("3e-16")) > 1e15
    assert DOUBLE.error(1e-16, Decimal("3e-16"), Decimal(1)) == pytest.approx(0.9, abs=0.01)
    assert DOUBLE.error(1.0, Decimal("1.1"), Decimal("1e-9")) == DOUBLE.error(1.0, Decimal("1.1"))


@pytest.mark.parametrize(("kind", "bits"), [(np.float64, 53), (np.float32, 24), (np.float16, 11)])
def test_precisions(kind, bits):
    info, found = np.finfo(kind), precision_of(np.ones(2, dtype=kind))
    assert (found.name, found.bits, 2.0**found.lowest) == (info.dtype.name, bits, float(info.smallest_subnormal))
    assert found.highest == info.maxexp
    assert found.ulp(math.inf) == found.ulp(1.5e308) == float(np.spacing(info.max / 2)) * 2  # numpy's own overflows
    assert precision_of(1.0) == precision_of(nd.asarray([1.0])) == precision_of(np.float64(1)) == DOUBLE


@pytest.mark.heavy
def test_precisions_of_torch():
    import torch

    for kind, bits, lowest in ((torch.float64, 53, -1074), (torch.float32, 24, -149), (torch.bfloat16, 8, -133)):
        found = precision_of(torch.ones(2, dtype=kind))
        assert (found.name, found.bits, found.lowest) == (str(kind).rpartition(".")[2], bits, lowest)


# --- words


def test_places_numbers_and_amounts_read_well():
    shape = (2, 3, 4)
    assert [index_of(i, shape) for i in range(24)] == [tuple(map(int, np.unravel_index(i, shape))) for i in range(24)]
    assert place("z", (0, 3)) == "z[0, 3]" and place("z", ()) == "z"
    assert number(Decimal("0.1234567890123456789012345")) == "0.1234567890123456789"
    assert number(Decimal("-Infinity")) == "-inf" and number(math.nan) == "nan"
    assert [amount(x) for x in (0.0, 0.004, 7.96, 509.7, 12345.0, math.inf)] == ["0", "0.0", "8.0", "510", "1.2e+04", "inf"]


def test_tables_have_straight_columns():
    lines = table(["a", "b"], [["long cell", 1], ["", 22]], right=[1]).splitlines()
    assert lines == ["a           b", "---------  --", "long cell   1", "           22"]
    assert table(["a"], []).splitlines() == ["a", "-"]
