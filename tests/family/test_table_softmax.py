"""Where softmax, log_softmax and logsumexp of different libraries part ways: one row a case, with what is answered here.

Values and gradients, fused and composed, on our arrays and numpy's. What a row of other libraries answers, and why it is
otherwise here, is in DIFFERENCES.md.
"""

from math import exp, fsum, inf, log, log1p, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.tables import COMPOSED, FORMS, NUMPY, OWN, assert_same, counting, every_form, numbers
from tinygrad_sm import nd

OPS = (tg.softmax, tg.log_softmax, tg.logsumexp)
every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
LN2 = log(2.0)


def by_formula(z, p, log_p, lse):
    """What each op gives for a row whose probabilities are known, and its gradient for the upstream 1, 2, 3, ..."""
    g = counting((len(z),))
    mean = fsum(a * b for a, b in zip(p, g, strict=True))
    return {
        "softmax": (p, [q * (a - mean) for q, a in zip(p, g, strict=True)]),
        "log_softmax": (log_p, [a - q * sum(g) for q, a in zip(p, g, strict=True)]),
        "logsumexp": (lse, p),
    }


Q = 1.0 / (1.0 + exp(-1.0))
LSE = log1p(exp(1.0))
FINITE = {  # row: logits, softmax, log_softmax, logsumexp
    "ordinary": ([0.0, 1.0], [1 - Q, Q], [-LSE, 1 - LSE], LSE),
    "one element": ([3.0], [1.0], [0.0], 3.0),
    "[0, -inf]": ([0.0, -inf], [1.0, 0.0], [0.0, -inf], 0.0),
    "-inf among finite ones": ([-inf, 0.0, -inf, 1.0], [0.0, 1 - Q, 0.0, Q], [-inf, -LSE, -inf, 1 - LSE], LSE),
    "[1e308, 1e308]": ([1e308, 1e308], [0.5, 0.5], [-LN2, -LN2], 1e308),
    "[1e308, -1e308]": ([1e308, -1e308], [1.0, 0.0], [0.0, -inf], 1e308),
    "[-1e308, -1e308]": ([-1e308, -1e308], [0.5, 0.5], [-LN2, -LN2], -1e308),
    "[1000, 0]": ([1000.0, 0.0], [1.0, 0.0], [0.0, -1000.0], 1000.0),
}
AT_ONE_INFINITY = {  # the limit, which a kernel knows: the definition gives nan, as it does in all other libraries
    "[inf, 0]": ([inf, 0.0], [1.0, 0.0], [0.0, -inf], inf),
    "[0, inf, -inf]": ([0.0, inf, -inf], [0.0, 1.0, 0.0], [-inf, 0.0, -inf], inf),
    "[inf]": ([inf], [1.0], [0.0], inf),
}
WITHOUT_ANSWER = {  # nan has no gradient worth a promise, except logsumexp's
    "all -inf": ([-inf, -inf], [nan, nan], [nan, nan], -inf, [0.0, 0.0]),
    "[inf, inf]": ([inf, inf], [nan, nan], [nan, nan], inf, [nan, nan]),
    "nan": ([0.0, nan], [nan, nan], [nan, nan], nan, [nan, nan]),
    "nan beside inf": ([inf, nan], [nan, nan], [nan, nan], nan, [nan, nan]),
    "nan beside -inf": ([-inf, nan], [nan, nan], [nan, nan], nan, [nan, nan]),
}


@every_op
@every_form
@pytest.mark.parametrize("row", FINITE)
def test_rows(row, form, op):
    z = FINITE[row][0]
    wanted, gradient = by_formula(*FINITE[row])[op.name]
    got, (slopes,) = form.run(op, z)
    assert_same(got, wanted)
    assert_same(slopes, gradient, rel=1e-11)


@every_op
@pytest.mark.parametrize("row", AT_ONE_INFINITY)
def test_the_limit_at_one_infinity(row, op):
    z = AT_ONE_INFINITY[row][0]
    wanted, gradient = by_formula(*AT_ONE_INFINITY[row])[op.name]
    got, (slopes,) = OWN.run(op, z)
    assert_same(got, wanted)
    assert_same(slopes, gradient)


@every_form
@pytest.mark.parametrize("row", WITHOUT_ANSWER)
def test_rows_without_an_answer(row, form):
    z, p, log_p, lse, slopes = WITHOUT_ANSWER[row]
    assert_same(form.run(tg.softmax, z)[0], p)
    assert_same(form.run(tg.log_softmax, z)[0], log_p)
    got, (gradient,) = form.run(tg.logsumexp, z)
    assert_same(got, lse)
    if form not in (COMPOSED, FORMS[-1]):
        assert_same(gradient, slopes)


@every_op
def test_nan_spoils_its_own_row_alone(op):
    rows = [[nan, 1.0], [0.0, 1.0]]
    for form in FORMS:
        both, (gradient,) = form.run(op, rows)
        alone, (slopes,) = form.run(op, rows[1], upstream=counting(np.shape(both))[1])
        assert_same(both[1], alone)
        assert_same(gradient[1], slopes)


def test_second_derivative_of_logsumexp_in_a_row_that_is_all_minus_infinity():
    z = tg.Value([[-inf, -inf], [0.0, 1.0]])
    slope = tg.grad(tg.logsumexp(z).sum(), z, create_graph=True)
    assert_same(tg.grad(slope, z, grad_output=[[1.0, 2.0], [1.0, 2.0]]), [[0.0, 0.0], [-Q * (1 - Q), Q * (1 - Q)]])


# --- kinds and shapes


@every_op
def test_ints_are_promoted_and_bools_are_refused(op):
    for ints in ([0, 1], nd.asarray([0, 1]), np.asarray([0, 1]), np.asarray([0, 1], dtype=np.int32)):
        out = op(ints)
        assert_same(out, op([0.0, 1.0]))
        assert "float64" in str(out.dtype)
    for mask in (True, [True, False], nd.asarray([True, False]), np.asarray([True, False])):
        with pytest.raises(TypeError, match=f"{op.name}: .*mask"):
            op(mask)


@pytest.mark.parametrize(("op", "wanted"), [(tg.softmax, 1.0), (tg.log_softmax, 0.0), (tg.logsumexp, 3.0)], ids=str)
def test_a_single_number_has_no_axis_but_none(op, wanted):
    for number in (3.0, 3, nd.asarray(3.0), np.asarray(3.0)):
        assert float(op(number, axis=None)) == wanted
        x = tg.Value(number)
        assert float(tg.grad(op(x, axis=None), x)) == (op is tg.logsumexp)
        for axis in (-1, 0):
            with pytest.raises(tg.AxisError, match=rf"{op.name}: .*0.d|{op.name}: .*0 dim"):
                op(number, axis=axis)


EMPTY = [  # shape, axis, shape of logsumexp
    ((0,), -1, ()),
    ((0,), None, ()),
    ((0, 3), -1, (0,)),
    ((0, 3), 0, (3,)),
    ((2, 0), -1, (2,)),
    ((2, 0), None, ()),
    ((2, 0, 3), 1, (2, 3)),
]


@every_op
@pytest.mark.parametrize(("sizes", "axis", "reduced"), EMPTY)
@pytest.mark.parametrize("zeros", [nd.zeros, np.zeros], ids=["nd", "numpy"])
@pytest.mark.parametrize("how", ["fused", "composed"])
def test_empty_axes(how, zeros, sizes, axis, reduced, op):
    z = tg.Value(zeros(sizes))
    with np.errstate(divide="ignore"):  # log(0) of an empty sum
        out = (op if how == "fused" else op.composed)(z, axis=axis)
        slopes = tg.grad(out.sum(), z)
    assert out.shape == (reduced if op is tg.logsumexp else sizes)
    assert slopes.shape == sizes
    if op is tg.logsumexp:
        assert set(np.ravel(numbers(out))) <= {-inf}


@every_op
@every_form
def test_several_axes_and_no_axis(form, op):
    z = [[[0.5, 2.0], [1.0, -1.0]], [[3.0, 0.0], [-2.0, 0.25]]]
    for axis in ((0, 2), (2, 0), (-1, -3)):
        moved = np.moveaxis(np.asarray(z), (0, 2), (1, 2)).reshape(2, 4).tolist()
        got, (slopes,) = form.run(lambda z, axis=axis: op(z, axis=axis).sum(), z, upstream=1.0)
        wanted, (rows,) = form.run(lambda z: op(z).sum(), moved, upstream=1.0)
        assert_same(got, wanted)
        back = np.moveaxis(np.asarray(rows).reshape(2, 2, 2), (1, 2), (0, 2))
        assert np.allclose(slopes, back, rtol=0, atol=1e-13)
    whole, (slopes,) = form.run(op, z, axis=None)
    assert_same(np.asarray(whole).ravel().tolist(), np.ravel(form.run(op, np.ravel(z).tolist())[0]).tolist())
    alone, (slopes,) = form.run(lambda z: op(z, axis=()), z)
    assert_same(alone, z if op is tg.logsumexp else np.full((2, 2, 2), float(op is tg.softmax)).tolist())
    assert_same(slopes, counting((2, 2, 2)) if op is tg.logsumexp else np.zeros((2, 2, 2)).tolist())


@every_op
@pytest.mark.parametrize("make", [nd.asarray, np.asarray], ids=["nd", "numpy"])
def test_axes_that_are_refused(make, op):
    z = make([[1.0, 2.0]])
    for axis in (2, -3, (0, 2)):
        with pytest.raises(tg.AxisError, match=f"{op.name}: ") as error:
            op(z, axis=axis)
        assert isinstance(error.value, IndexError) and isinstance(error.value, ValueError)
    for axis in ((0, 0), (1, -1)):
        with pytest.raises(ValueError, match=f"{op.name}: .*twice"):
            op(z, axis=axis)
    for axis in (1.0, "1"):
        with pytest.raises(TypeError, match=f"{op.name}: "):
            op(z, axis=axis)


# --- masks

POISON = (nan, inf, -inf, 1e3)


@every_op
@every_form
@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_masked_entries_are_never_read(temperature, poison, form, op):
    """As if they were not there: the same digits, and a gradient of exactly 0."""
    z, where = [0.5, poison, -1.0, poison, 2.0], np.asarray([True, False, True, False, True])
    kept = [0.5, -1.0, 2.0]
    if op is tg.logsumexp:
        wanted, (few,) = form.run(op, kept, temperature=temperature)
        full = wanted
    else:
        wanted, (few,) = form.run(op, kept, temperature=temperature, upstream=[1.0, 3.0, 5.0])
        full = np.full(5, 0.0 if op is tg.softmax else -inf)
        full[where] = wanted
    mask = form.mask(where.tolist())
    got, (slopes,) = form.run(op, z, where=mask, temperature=temperature)
    assert_same(got, np.asarray(full).tolist())
    assert_same([slopes[0], slopes[2], slopes[4]], few)
    assert slopes[1] == slopes[3] == 0.0


@every_form
@pytest.mark.parametrize("op", [tg.softmax, tg.log_softmax], ids=lambda op: op.name)
def test_what_flows_into_masked_entries_is_lost(op, form):
    mask = form.mask([True, False, True])
    _, wanted = form.run(op, [0.5, 1.0, 2.0], where=mask, upstream=[1.0, 0.0, 3.0])
    for poison in (7.0, inf, nan) if form in (OWN, NUMPY) else (7.0,):
        assert_same(form.run(op, [0.5, 1.0, 2.0], where=mask, upstream=[1.0, poison, 3.0])[1], wanted)


@every_op
@every_form
@pytest.mark.parametrize("poison", POISON)
def test_a_fully_masked_row(poison, form, op):
    z, mask = [[0.0, 1.0], [poison, -poison]], [[True, True], [False, False]]
    where = form.mask(mask)
    temperature = [[2.0], [3.0]]
    out, (slopes, by_temperature) = form.run(lambda z, t: op(z, where=where, temperature=t), (z, temperature))
    empty = {"softmax": [0.0, 0.0], "log_softmax": [-inf, -inf], "logsumexp": -inf}[op.name]
    assert_same(out[1], empty)
    assert slopes[1] == [0.0, 0.0]
    assert by_temperature[1] == [0.0]
    assert_same(out[0], form.run(op, z[0], temperature=2.0)[0])


@every_op
def test_masks_broadcast_and_are_masks(op):
    z = [[0.0, 1.0, 5.0], [2.0, 3.0, 7.0]]
    narrow, wide = nd.asarray([True, True, False]), nd.asarray([[True, True, False]] * 2)
    assert_same(op(z, where=narrow), op(z, where=wide))
    assert_same(op(z, where=[True, True, False]), op(z, where=wide))
    assert_same(op(z, where=True), op(z))
    for wrong, error in (([1, 1, 0], TypeError), ([1.0, 1.0, 0.0], TypeError), ([True, False], ValueError)):
        with pytest.raises(error, match=f"{op.name}: "):
            op(z, where=wrong)
    with pytest.raises(ValueError, match=f"{op.name}: "):
        op(z[0], where=wide)


@every_op
def test_a_row_masked_by_minus_infinity_stays_what_it_was(op):
    """All -inf is a row without an answer, and only a mask says that it is meant."""
    for z in ([-inf, -inf], np.asarray([-inf, -inf])):
        with np.errstate(all="ignore"):
            out = np.ravel(numbers(op(z)))
    assert np.all(out == -inf) if op is tg.logsumexp else np.all(np.isnan(out))


@every_form
def test_softmin_is_the_softmax_of_what_is_negated(form):
    z, mask = [0.5, nan, -1.0, 3.0], form.mask([True, False, True, True])
    wanted, (slopes,) = form.run(tg.softmax, [-v for v in z], where=mask, temperature=0.5)
    got, (negated,) = form.run(tg.softmin, z, where=mask, temperature=0.5)
    assert_same(got, wanted)
    assert_same(negated, [-v for v in slopes])


# --- what holds for every row

logits = st.lists(st.floats(-800, 800, width=64), min_size=1, max_size=9)


@given(logits, st.data())
def test_permuted_logits_give_the_permuted_bits(z, data):
    """With a mask, a temperature and a gradient, too."""
    order = data.draw(st.permutations(range(len(z))))
    mask = data.draw(st.lists(st.booleans(), min_size=len(z), max_size=len(z)))
    g = data.draw(st.lists(st.floats(-3, 3), min_size=len(z), max_size=len(z)))
    t = data.draw(st.sampled_from([1.0, 0.7, 3.0]))

    def moved(row):
        return [row[i] for i in order]

    for op in OPS:
        upstream = [g, moved(g)] if op is not tg.logsumexp else [g[0]] * 2
        runs = [
            OWN.run(op, row, where=nd.asarray(m), temperature=t, upstream=up)
            for row, m, up in ((z, mask, upstream[0]), (moved(z), moved(mask), upstream[1]))
        ]
        (out, (slopes,)), (out2, (slopes2,)) = runs
        assert out2 == (out if op is tg.logsumexp else moved(out))
        assert slopes2 == moved(slopes)


@given(st.floats(-1000, 1000))
def test_two_classes_are_the_sigmoid_bit_for_bit(z):
    assert tg.softmax([z, 0.0])[0].item() == tg.sigmoid(z)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=6), st.floats(0.05, 20.0))
def test_a_temperature_divides_the_logits(z, t):
    for op in OPS:
        for form in (OWN, NUMPY):
            got, (slopes,) = form.run(op, z, temperature=t)
            wanted, (plain,) = form.run(op, [v / t for v in z])
            assert np.allclose(got, wanted, rtol=1e-10, atol=1e-12)
            assert np.allclose(slopes, np.asarray(plain) / t, rtol=1e-9, atol=1e-10)
