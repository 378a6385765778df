"""Parity with optax 0.2.8 and jax.nn 0.10.2, in figures they gave in float64: with JAX they are 390 MB, too many for a test.

Each value was computed there by the function of that name on the inputs below, and its gradient pulled back from the upstream
1, 2, 3, ... in the shape of the result.
"""

from math import inf

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.tables import every_form

Z = [[0.5, 2.0, -1.0], [1.0, -0.5, 3.0]]
NEAR = [[0.125, 0.5, -0.25], [0.25, -0.125, 0.75]]
HOLE = [[0.5, 2.0, -1.0], [-inf, -0.5, 3.0]]
OTHER = [[1.0, -1.0, 0.5], [0.0, 0.25, 2.0]]
LABELS = [1, 0]
PROBABILITIES = [[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]]
ANSWERS = [[1.0, 0.0, 0.25], [0.0, 1.0, 0.5]]
DECISIONS = [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
SEEN = [[True, False, True], [True, True, False]]

FIGURES = {  # function: value, gradient
    "softmax_cross_entropy": (
        [1.4413112966572, 3.6531782071223],
        [[-0.024709607859963, 0.28559703458928, -0.26088742672931], [0.23222906934828, -1.9481826905652, 1.7159536212169]],
    ),
    "softmax_cross_entropy_with_integer_labels": (
        [0.24131129665716, 2.1531782071223],
        [[0.17529039214004, -0.21440296541072, 0.039112573270687], [-1.7677709306517, 0.051817309434803, 1.7159536212169]],
    ),
    "smooth_labels": (
        [0.39131129665716, 2.1365115404556],
        [[0.1419570588067, -0.14773629874406, 0.0057792399373541], [-1.6344375973184, -0.014849357231864, 1.6492869545502]],
    ),
    "safe_softmax_cross_entropy": (
        [1.4413112966572, 3.5297504182726],
        [[-0.024709607859963, 0.28559703458928, -0.26088742672931], [0.0, -1.9413755384973, 1.9413755384973]],
    ),
    "sigmoid_binary_cross_entropy": (
        [[0.47407698418011, 2.126928011043, 0.56326168751822], [1.3132616875182, 0.97407698418011, 1.5485873515737]],
        [[-0.37754066879815, 1.7615941559558, 0.056824264109985], [2.92423431452, -3.1122966560093, 2.7154447609346]],
    ),
    "sigmoid_focal_loss": (
        [[0.016893372629376, 1.2375586345661, 0.01699354313135], [0.52640122755854, 0.094352900214852, 2.7320831124249e-05]],
        [[-0.034484249337729, 1.6150705956727, 0.11830754244951], [2.304704169598, -0.65768977734323, -0.00047230776973242]],
    ),
    "sigmoid_focal_loss, gamma 0.5": (
        [[0.2912934651464, 1.9961387406594, 0.1624561403555], [1.1228645305602, 0.76850867230222, 0.010581101849396]],
        [[-0.32263653285609, 1.8912156022456, 0.59656296539886], [3.1042473260596, -3.1808386242202, -0.092206818154208]],
    ),
    "kl_divergence": (
        [0.41165828259258, 3.6531782071223],
        [[-0.024709607859963, 0.28559703458928, -0.26088742672931], [0.23222906934828, -1.9481826905652, 1.7159536212169]],
    ),
    "kl_divergence_with_log_targets": (
        [1.2626272778789, 0.11613000337878],
        [[-0.39880660082766, 0.70790145544071, -0.30909485461305], [0.025469724172626, -0.21366694490845, 0.18819722073583]],
    ),
    "kl_divergence_with_log_targets, by targets": (
        [1.2626272778789, 0.11613000337878],
        [[-0.043788043030795, -0.27786059422595, 0.32164863725674], [-0.048029931759652, 0.40292579195953, -0.35489586019988]],
    ),
    "multiclass_sparsemax_loss": (
        [0.09765625, 0.5625],
        [[0.3125, -0.3125, 0.0], [-1.5, 0.0, 1.5]],
    ),
    "projection_simplex": (
        [[0.3125, 0.6875, 0.0], [0.25, 0.0, 0.75]],
        [[-0.5, 0.5, 0.0], [-1.0, 0.0, 1.0]],
    ),
    "jax.nn.softmax, where": (
        [[0.81757447619364, 0.0, 0.18242552380636], [0.81757447619364, 0.18242552380636, 0.0]],
        [[-0.29829290414067, 0.0, 0.29829290414067], [-0.14914645207033, 0.14914645207033, 0.0]],
    ),
    "jax.nn.log_softmax": (
        [[-0.97407698418011, -0.07888973429255, -4.0181499279178], [-0.47407698418011, -2.5788897342925, -0.01814992791781]],
        [[-0.88770334399073, -4.4689927398513, 2.8381241103412], [0.88770334399073, 4.4689927398513, -2.8381241103412]],
    ),
    "jax.nn.logsumexp, where": (
        [0.70141327798275, 1.2014132779828],
        [[0.81757447619364, 0.0, 0.18242552380636], [1.6351489523873, 0.36485104761271, 0.0]],
    ),
}


def soft(z, form):
    return tg.cross_entropy(z, form.make(PROBABILITIES), reduction="none")


def focal(gamma, alpha):
    return lambda z, form: tg.binary_focal_loss(z, form.make(DECISIONS), gamma=gamma, alpha=alpha, reduction="none")


def divergence(z, form):
    return tg.kl_div_probabilities(form.make(PROBABILITIES), tg.softmax(z), reduction="none")


OURS = {  # the same here, and the input
    "softmax_cross_entropy": (soft, Z),
    "softmax_cross_entropy_with_integer_labels": (lambda z, form: tg.cross_entropy(z, LABELS, reduction="none"), Z),
    "smooth_labels": (lambda z, form: tg.cross_entropy(z, LABELS, label_smoothing=0.1, reduction="none"), Z),
    "safe_softmax_cross_entropy": (soft, HOLE),
    "sigmoid_binary_cross_entropy": (lambda z, form: tg.binary_cross_entropy(z, form.make(ANSWERS), reduction="none"), Z),
    "sigmoid_focal_loss": (focal(2.0, 0.25), Z),
    "sigmoid_focal_loss, gamma 0.5": (focal(0.5, None), Z),
    "kl_divergence": (divergence, Z),
    "kl_divergence_with_log_targets": (lambda z, form: tg.kl_div(form.make(OTHER), z, reduction="none"), Z),
    "kl_divergence_with_log_targets, by targets": (lambda z, form: tg.kl_div(z, form.make(Z), reduction="none"), OTHER),
    "multiclass_sparsemax_loss": (lambda z, form: tg.sparsemax_loss(z, LABELS, reduction="none"), NEAR),
    "projection_simplex": (lambda z, form: tg.sparsemax(z), NEAR),
    "jax.nn.softmax, where": (lambda z, form: tg.softmax(z, where=form.mask(SEEN)), Z),
    "jax.nn.log_softmax": (lambda z, form: tg.log_softmax(z, axis=0), Z),
    "jax.nn.logsumexp, where": (lambda z, form: tg.logsumexp(z, where=form.mask(SEEN)), Z),
}


def test_every_figure_is_compared():
    assert OURS.keys() == FIGURES.keys()


@every_form
@pytest.mark.parametrize("function", FIGURES)
def test_figures(function, form):
    ours, inputs = OURS[function]
    value, gradient = FIGURES[function]
    got, (slopes,) = form.run(lambda z: ours(z, form), inputs)
    assert np.allclose(got, value, rtol=1e-12, atol=1e-14)
    assert np.allclose(slopes, gradient, rtol=1e-12, atol=1e-13)
