"""Where binary cross-entropies and divergences of different libraries part ways: one row a case, with what is answered here."""

from math import exp, fsum, inf, isnan, log, log1p, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.tables import NUMPY, OWN, assert_same, every_form, log_probabilities, numbers
from tinygrad_sm import nd

# --- yes or no


@every_form
@pytest.mark.parametrize(
    ("z", "t", "loss", "slope"),
    [
        (inf, 1.0, 0.0, 0.0),
        (-inf, 0.0, 0.0, 0.0),
        (inf, 0.0, inf, 1.0),
        (-inf, 1.0, inf, -1.0),
        (inf, 0.5, inf, 0.5),
        (-800.0, 1.0, 800.0, -1.0),
        (800.0, 1.0, 0.0, 0.0),
        (0.0, 1.0, log(2.0), -0.5),
        (nan, 1.0, nan, nan),
    ],
)
def test_answers_at_infinite_logits(z, t, loss, slope, form):
    targets = form.make([t])
    got, (gradient,) = form.run(tg.binary_cross_entropy, [z], targets)
    assert_same(got, loss)
    if form in (OWN, NUMPY) and not isnan(slope):
        assert_same(gradient, [slope])


@every_form
@pytest.mark.parametrize(
    ("p", "t", "loss", "slope"),
    [
        (0.0, 1.0, inf, -inf),
        (1.0, 0.0, inf, inf),
        (0.0, 0.0, 0.0, None),
        (1.0, 1.0, 0.0, None),
        (0.25, 1.0, log(4.0), -4.0),
        (0.25, 0.0, -log1p(-0.25), 4 / 3),
        (1e-300, 1.0, -log(1e-300), -1e300),
    ],
)
def test_answers_from_probabilities(p, t, loss, slope, form):
    """Infinite where it is infinite: PyTorch says 100, keras 16.118."""
    targets = form.make([t])
    got, (gradient,) = form.run(tg.binary_cross_entropy, [p], targets, from_logits=False)
    assert_same(got, loss)
    if slope is not None and form in (OWN, NUMPY):
        assert_same(gradient, [slope])


@pytest.mark.parametrize("make", [list, nd.asarray, np.asarray], ids=["lists", "nd", "numpy"])
@pytest.mark.parametrize("wrong", [2.0, -0.5, 1.5])
def test_answers_lie_between_no_and_yes(wrong, make):
    for options in ({}, {"from_logits": False}):
        with pytest.raises(ValueError, match=r"binary_cross_entropy: .*between 0 and 1"):
            tg.binary_cross_entropy(make([0.5]), make([wrong]), **options)
    with pytest.raises(ValueError, match="binary_cross_entropy: "):
        tg.binary_cross_entropy(make([wrong]), make([1.0]), from_logits=False)


# --- divergences

A, B = [[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], [[0.5, 0.5, 2.0], [1.0, 1.0, 1.0]]


def kl_by_hand(a, b):
    p, q = log_probabilities(a), log_probabilities(b)
    return fsum(exp(x) * (x - y) for x, y in zip(p, q, strict=True))


@every_form
def test_the_mean_of_divergences_is_over_rows(form):
    """PyTorch's "mean" divides by the number of elements."""
    rows = [kl_by_hand(a, b) for a, b in zip(A, B, strict=True)]
    wanted = {
        "none": rows,
        "sum": fsum(rows),
        "mean": fsum(rows) / 2,
        "batchmean": fsum(rows) / 2,
        "elementmean": fsum(rows) / 6,
    }
    for reduction, value in wanted.items():
        got, _ = form.run(tg.kl_div, (A, B), reduction=reduction)
        assert_same(got, value)
        p, q = (form.make([[exp(v) for v in log_probabilities(row)] for row in x]) for x in (A, B))
        assert_same(form.run(tg.kl_div_probabilities, (p, q), reduction=reduction)[0], value, rel=1e-10)
    assert_same(form.run(tg.kl_div, (A, B))[0], wanted["batchmean"])


@every_form
@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ([0.0, -inf], [0.0, -inf], 0.0),
        ([0.0, 0.0, -inf], [0.0, 0.0, -inf], 0.0),
        ([0.0, -inf], [0.0, 0.0], log(2.0)),
        ([0.0, 0.0], [0.0, -inf], inf),
        ([0.0, -inf, 1.0], [1.0, 0.0, -inf], inf),
        ([5.0, 5.0], [5.0, 5.0], 0.0),
    ],
)
def test_divergences_at_infinite_logits(a, b, wanted, form):
    assert_same(form.run(tg.kl_div, (a, b), reduction="sum")[0], wanted)


@every_form
@pytest.mark.parametrize(
    ("t", "p", "wanted"),
    [
        ([1.0, 0.0], [1.0, 0.0], 0.0),
        ([1.0, 0.0], [0.5, 0.5], log(2.0)),
        ([0.5, 0.5], [1.0, 0.0], inf),
        ([0.25, 0.75], [0.25, 0.75], 0.0),
        ([0.0, 1.0, 0.0], [0.5, 0.25, 0.25], log(4.0)),
    ],
)
def test_divergences_of_probabilities(t, p, wanted, form):
    assert_same(form.run(tg.kl_div_probabilities, (t, p), reduction="sum")[0], wanted)


@every_form
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "batchmean", "elementmean"])
def test_slopes_of_divergences(reduction, form):
    """p - t by the logits, and t (log t - log p - KL) by those of the targets."""
    by_a, by_b = [], []
    for row, (a, b) in enumerate(zip(A, B, strict=True), 1):
        t, p = log_probabilities(a), log_probabilities(b)
        share = {"none": row, "sum": 1.0, "elementmean": 1 / 6}.get(reduction, 1 / 2)
        kl = kl_by_hand(a, b)
        by_a.append([share * exp(x) * (x - y - kl) for x, y in zip(t, p, strict=True)])
        by_b.append([share * (exp(y) - exp(x)) for x, y in zip(t, p, strict=True)])
    _, gradients = form.run(tg.kl_div, (A, B), reduction=reduction)
    assert np.allclose(gradients, [by_a, by_b], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("form", [OWN, NUMPY], ids=repr)
def test_slopes_of_divergences_where_a_class_is_impossible(form):
    z = [0.0, -inf, 0.0]
    _, gradients = form.run(tg.kl_div, (z, z), reduction="sum")
    assert_same(gradients, [[0.0] * 3] * 2)
    _, (by_targets, by_logits) = form.run(tg.kl_div, (z, [0.0, 0.0, 0.0]), reduction="sum")
    assert_same(by_logits, [1 / 3 - 1 / 2, 1 / 3, 1 / 3 - 1 / 2])
    assert np.allclose(by_targets, 0.0, atol=1e-15)
    t, p = [0.75, 0.25], [0.5, 0.5]
    _, (by_t, by_p) = form.run(tg.kl_div_probabilities, (t, p), reduction="sum")
    assert_same(by_t, [log(1.5), log(0.5)])
    assert_same(by_p, [1 - 1.5, 1 - 0.5])
    t, p = [1.0, 0.0], [0.5, 0.5]
    _, (_, by_p) = form.run(tg.kl_div_probabilities, (t, p), reduction="sum")
    assert_same(by_p, [1 - 2.0, 1 - 0.0])  # those of t log(t / p) - t + p, which a normalised row feels as -t / p


def test_divergences_refuse_what_is_no_distribution():
    for t, p in (([1.5, -0.5], [0.5, 0.5]), ([0.5, 0.5], [1.5, -0.5]), ([0.5, 0.6], [0.5, 0.5]), ([0.5, 0.5], [2.0, 2.0])):
        for make in (list, nd.asarray, np.asarray):
            with pytest.raises(ValueError, match="kl_div_probabilities: "):
                tg.kl_div_probabilities(make(t), make(p))
    with pytest.raises(ValueError, match=r"kl_div: reduction .*elementmean"):
        tg.kl_div(A, B, reduction="average")


@given(st.lists(st.tuples(st.floats(-700, 700), st.floats(-1e-7, 1e-7)), min_size=1, max_size=6))
def test_a_divergence_is_never_negative(pairs):
    a, b = [x for x, _ in pairs], [x + d for x, d in pairs]
    assert numbers(tg.kl_div(a, b, reduction="sum")) >= 0.0
    assert numbers(tg.kl_div(a, a, reduction="sum")) == 0.0
