"""The focal losses, binary cross-entropy with weights and from probabilities, and z_loss: identities and edges."""

import math
from math import exp, inf, log, log1p

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_sm as tg
from tinygrad_sm import nd

Z = [[0.5, 2.0, -1.0], [1.0, 1.0, 3.0], [-2.0, 0.0, 0.25], [4.0, -4.0, 0.0]]
LABELS = [1, 0, 2, 1]
MAKERS = {"nd": nd.asarray, "numpy": np.asarray, "strict": array_api_strict.asarray}
every_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
FORMS = {"fused": lambda op: op, "composed": lambda op: op.composed}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
logits = st.lists(st.floats(-30, 30), min_size=2, max_size=5)


def close(wanted, rel=1e-12):
    return pytest.approx(wanted, rel=rel, abs=1e-300)


def numbers(x):
    return np.asarray(tg.Value(x).tolist() if not isinstance(x, tg.Value) else x.tolist(), dtype=float).tolist()


# --- focal


@every_maker
@every_form
@pytest.mark.parametrize("gamma", [0, 0.5, 2.0, 5])
def test_focal_loss_by_hand(form, make, gamma):
    z, alpha = tg.Value(make(Z)), [0.5, 2.0, 1.0]
    losses, slopes = [], []
    for row, label in zip(Z, LABELS, strict=True):
        p = [exp(v) / math.fsum(map(exp, row)) for v in row]
        q, u = math.fsum(v for i, v in enumerate(p) if i != label), -log(p[label])
        losses.append(alpha[label] * q**gamma * u)
        pull = alpha[label] * (q**gamma + gamma * q ** (gamma - 1) * p[label] * u)
        slopes.append([pull * (v - (i == label)) for i, v in enumerate(p)])
    out = form(tg.focal_loss)(z, make(LABELS), gamma=gamma, alpha=make(alpha), reduction="none")
    assert numbers(out) == close(losses)
    for got, wanted in zip(numbers(tg.grad(out.sum(), z)), slopes, strict=True):
        assert got == pytest.approx(wanted, rel=1e-11)
    assert float(form(tg.focal_loss)(z, make(LABELS), gamma=gamma, alpha=make(alpha))) == close(math.fsum(losses) / 4)
    halved = form(tg.focal_loss)(z, make(LABELS), gamma=gamma, alpha=0.5, reduction="sum")
    assert float(halved) == close(0.5 * float(tg.focal_loss(z, make(LABELS), gamma=gamma, reduction="sum")))


@given(logits, st.data())
def test_focal_loss_without_focus_is_cross_entropy(row, data):
    label = data.draw(st.integers(0, len(row) - 1))
    z = tg.Value(row)
    focal, plain = tg.focal_loss(z, label, gamma=0.0), tg.cross_entropy(z, label)
    assert focal.item() == pytest.approx(plain.item(), rel=1e-14)
    assert tg.grad(focal, z).tolist() == pytest.approx(tg.grad(plain, z).tolist(), rel=1e-14)
    harder = tg.focal_loss(z, label, gamma=2.0).item()
    assert 0.0 <= harder <= plain.item()


@given(st.floats(-40, 40), st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5]), st.booleans())
def test_yes_or_no_is_two_classes_with_a_logit_of_0(logit, gamma, yes):
    z, pair = tg.Value(logit), tg.Value([0.0, logit])
    binary = tg.binary_focal_loss(z, float(yes), gamma=gamma, alpha=0.25)
    alpha = [0.75, 0.25]
    classes = tg.focal_loss(pair, int(yes), gamma=gamma, alpha=alpha)
    assert binary.item() == pytest.approx(classes.item(), rel=1e-13)
    assert tg.grad(binary, z) == pytest.approx(float(tg.grad(classes, pair)[1]), rel=1e-13)
    plain = tg.binary_focal_loss(z, float(yes), gamma=0)
    assert plain.item() == pytest.approx(tg.binary_cross_entropy(z, float(yes)).item(), rel=1e-14)


@pytest.mark.parametrize("gamma", [0.0, 0.01, 0.5, 1.0, 2.0])
def test_a_focal_loss_that_vanishes_has_no_gradient(gamma):
    """Also where q^(gamma - 1) is infinite: one class alone, a margin beyond the smallest float, an infinite logit."""
    for row, label in (([3.0], 0), ([0.0, 800.0], 1), ([inf, 0.0], 0)):
        z = tg.Value(row)
        loss = tg.focal_loss(z, label, gamma=gamma)
        assert (loss.item(), tg.grad(loss, z).tolist()) == (0.0, [0.0] * len(row))
        assert tg.hvp(lambda x, t=label: tg.focal_loss(x, t, gamma=gamma), row, [1.0] * len(row)).tolist() == [0.0] * len(row)
    for logit, target in ((800.0, 1.0), (-800.0, 0.0), (inf, 1.0), (-inf, 0.0)):
        z = tg.Value(logit)
        loss = tg.binary_focal_loss(z, target, gamma=gamma)
        assert (loss.item(), tg.grad(loss, z)) == (0.0, 0.0)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_hopeless_prediction(gamma):
    z = tg.Value([0.0, -inf, 1.0])
    loss = tg.focal_loss(z, 1, gamma=gamma)
    p = tg.softmax([0.0, 1.0]).tolist()
    assert (loss.item(), tg.grad(loss, z).tolist()) == (inf, close([p[0], -1.0, p[1]]))
    z = tg.Value([0.0, 800.0])
    loss = tg.focal_loss(z, 0, gamma=gamma)
    assert (loss.item(), tg.grad(loss, z).tolist()) == (800.0, [-1.0, 1.0])
    z = tg.Value(-800.0)
    loss = tg.binary_focal_loss(z, 1.0, gamma=gamma)
    assert (loss.item(), tg.grad(loss, z)) == (800.0, -1.0)


def test_a_confident_focal_loss_keeps_its_digits():
    """(1 - p)^2 (-log p) is nearly e^-3m at margin m."""
    z = tg.Value([100.0, 0.0])
    loss = tg.focal_loss(z, 0)
    assert loss.item() == close(exp(-300.0))
    assert tg.grad(loss, z).tolist() == close([-3.0 * exp(-300.0), 3.0 * exp(-300.0)])


# --- yes or no, with weights


@every_maker
@every_form
def test_binary_cross_entropy_with_weights_by_hand(form, make):
    zs, ts, weight, positive = [[0.5, -2.0], [3.0, 0.0]], [[1.0, 0.25], [0.0, 1.0]], [[2.0], [0.5]], [3.0, 0.25]
    z, t, w, v = (tg.Value(make(x)) for x in (zs, ts, weight, positive))
    out = form(tg.binary_cross_entropy)(z, t, weight=w, pos_weight=v, reduction="none")
    yes, no = (np.log1p(np.exp(s * np.asarray(zs))) for s in (-1.0, 1.0))
    s, t_, w_, v_ = 1.0 / (1.0 + np.exp(-np.asarray(zs))), np.asarray(ts), np.asarray(weight), np.asarray(positive)
    assert np.allclose(numbers(out), w_ * (v_ * t_ * yes + (1 - t_) * no), rtol=1e-14)
    of_z, of_t, of_w, of_v = (np.asarray(numbers(x)) for x in tg.grad(out.sum(), [z, t, w, v]))
    assert np.allclose(of_z, w_ * ((1 - t_) * s - v_ * t_ * (1 - s)), rtol=1e-13)
    assert np.allclose(of_t, w_ * (v_ * yes - no), rtol=1e-13)
    assert np.allclose(of_w, (v_ * t_ * yes + (1 - t_) * no).sum(axis=1, keepdims=True), rtol=1e-13)
    assert np.allclose(of_v, (w_ * t_ * yes).sum(axis=0), rtol=1e-13)
    mean = form(tg.binary_cross_entropy)(z, t, weight=w, pos_weight=v)
    assert float(mean) == close(math.fsum(np.ravel(numbers(out))) / 4)  # of the elements, whatever they weigh


@every_form
def test_weights_of_0_hide_infinite_losses(form):
    op = form(tg.binary_cross_entropy)
    assert float(op([inf, 0.0], [0.0, 1.0], weight=[0.0, 1.0], reduction="sum")) == close(log(2.0))
    assert float(op([-inf, 0.0], [1.0, 1.0], pos_weight=[0.0, 1.0], reduction="sum")) == close(log(2.0))
    assert float(op([inf, 0.0], [0.0, 1.0], weight=[0.5, 1.0], reduction="sum")) == inf


OF_PROBABILITIES = [  # p, target, loss, gradient
    (0.0, 1.0, inf, -inf),
    (0.0, 0.0, 0.0, 1.0),
    (1.0, 1.0, 0.0, -1.0),
    (1.0, 0.0, inf, inf),
    (0.25, 1.0, log(4.0), -4.0),
    (0.25, 0.0, -log1p(-0.25), 4.0 / 3.0),
    (0.25, 0.5, 0.5 * (log(4.0) - log1p(-0.25)), -4.0 / 3.0),
    (1e-300, 0.0, 1e-300, 1.0),
    (0.0, 0.5, inf, -inf),
]


@every_form
@pytest.mark.parametrize("make", [float, lambda v: nd.asarray([v]), lambda v: np.asarray([v])], ids=["float", "nd", "numpy"])
@pytest.mark.parametrize(("p", "target", "loss", "gradient"), OF_PROBABILITIES)
def test_yes_or_no_from_probabilities(form, make, p, target, loss, gradient):
    with np.errstate(all="ignore" if math.isinf(loss) else "raise", under="ignore"):
        x = tg.Value(make(p))
        out = form(tg.binary_cross_entropy)(x, make(target), from_logits=False, reduction="sum")
        slope = tg.grad(out, x)
    assert float(out) == close(loss)
    if form is FORMS["fused"]:
        assert (slope if type(slope) is float else float(slope[0])) == close(gradient)


@given(st.floats(-30, 30), st.floats(0, 1))
def test_logits_and_probabilities_tell_the_same_where_both_have_digits(logit, target):
    p = tg.sigmoid(logit)
    if 1e-3 < p < 1 - 1e-3:
        from_p = tg.binary_cross_entropy(p, target, from_logits=False)
        assert from_p == pytest.approx(tg.binary_cross_entropy(logit, target), rel=1e-12)


# --- z_loss


@every_maker
@every_form
@pytest.mark.parametrize("axis", [-1, 0, None, (0, 1)])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "batchmean"])
def test_z_loss_is_the_square_of_logsumexp(form, make, axis, reduction):
    z, twin = tg.Value(make(Z)), tg.Value(make(Z))
    out = form(tg.z_loss)(z, coefficient=0.5, axis=axis, reduction=reduction)
    squares = 0.5 * tg.square(tg.logsumexp(twin, axis=axis))
    wanted = squares if reduction == "none" else squares.sum() if reduction == "sum" else squares.mean()
    assert np.allclose(numbers(out), numbers(wanted), rtol=1e-14)
    assert np.allclose(numbers(tg.grad(out.sum(), z)), numbers(tg.grad(wanted.sum(), twin)), rtol=1e-12)


@pytest.mark.parametrize("make", [nd.asarray, np.asarray], ids=["nd", "numpy"])
def test_z_loss_at_the_edges(make):
    z = tg.Value(make([[-inf, -inf], [0.0, -inf], [0.0, 0.0]]))
    with np.errstate(all="ignore"):
        out = tg.z_loss(z, coefficient=1.0, reduction="none")
        assert out.tolist() == [inf, 0.0, close(log(2.0) ** 2)]
        assert numbers(tg.grad(out, z, grad_output=make([1.0, 1.0, 1.0]))) == [[0.0, 0.0], [0.0, 0.0], close([log(2.0)] * 2)]
    assert float(tg.z_loss(make([[1.0]])[:0])) == 0.0
    assert float(tg.z_loss(make([[1.0, 2.0]]), coefficient=0)) == 0.0
