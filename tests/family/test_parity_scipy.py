"""Parity with SciPy, on rows that are not hard: values to 1e-12. What is otherwise there is in DIFFERENCES.md."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_sm as tg

pytestmark = pytest.mark.heavy

matrices = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(st.floats(-20, 20), min_size=n, max_size=n), min_size=1, max_size=4)
)
axes = st.sampled_from([None, 0, 1, -1, (0, 1), (1, 0)])


@pytest.fixture(scope="module")
def special():
    import scipy.special

    return scipy.special


def close(got, wanted, rel=1e-12):
    got = np.asarray(got.tolist() if hasattr(got, "tolist") else got)
    assert got.shape == np.shape(wanted)
    np.testing.assert_allclose(got, wanted, rtol=rel, atol=1e-13)


@given(matrices, axes)
def test_softmax_and_its_kin(special, z, axis):
    x = np.asarray(z)
    for data in (z, x):
        close(tg.softmax(data, axis=axis), special.softmax(x, axis=axis))
        close(tg.log_softmax(data, axis=axis), special.log_softmax(x, axis=axis))
        for keepdims in (False, True):
            wanted = special.logsumexp(x, axis=axis, keepdims=keepdims)
            close(tg.logsumexp(data, axis=axis, keepdims=keepdims), wanted)


@given(matrices, st.data())
def test_masked_logsumexp_is_that_with_weights_of_zero_and_one(special, z, data):
    mask = [[data.draw(st.booleans()) for _ in row] for row in z]
    with np.errstate(divide="ignore"):
        wanted = special.logsumexp(np.asarray(z), b=np.asarray(mask, dtype=float), axis=-1)
    close(tg.logsumexp(z, where=tg.nd.asarray(mask)), wanted)


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=8))
def test_elementwise(special, z):
    x = np.asarray(z)
    for data in (z, x):
        close(tg.sigmoid(data), special.expit(x))
        close(tg.log_sigmoid(data), special.log_expit(x))
        close(tg.softplus(data), np.logaddexp(0.0, x))


@given(matrices, st.data())
def test_divergences_and_entropy(special, z, data):
    other = [[data.draw(st.floats(-5, 5)) for _ in row] for row in z]
    small = (np.asarray(z) / 5).tolist()
    t, p = special.softmax(small, axis=-1), special.softmax(other, axis=-1)
    close(tg.kl_div(small, other, reduction="none"), special.rel_entr(t, p).sum(-1), rel=1e-9)
    close(tg.kl_div_probabilities(t, p, reduction="none"), special.kl_div(t, p).sum(-1), rel=1e-9)
    close(tg.reverse_kl_div(small, other, reduction="none"), special.rel_entr(p, t).sum(-1), rel=1e-9)
    close(tg.entropy(small, reduction="none"), special.entr(t).sum(-1), rel=1e-11)
    close(tg.cross_entropy(other, t, reduction="none"), -special.xlogy(t, p).sum(-1), rel=1e-11)


@given(st.floats(0, 1), st.floats(1e-6, 1 - 1e-6))
def test_binary_cross_entropy_of_probabilities(special, t, p):
    wanted = -special.xlogy(t, p) - special.xlog1py(1 - t, -p)
    close(tg.binary_cross_entropy([p], [t], from_logits=False), wanted, rel=1e-11)
