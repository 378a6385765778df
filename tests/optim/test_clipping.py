"""Clipping against the norm in exact arithmetic, for every kind of numbers, near overflow and with wrong input."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.kinds import EXACT, FLOAT, NUMPY32, WIDE, assert_close, assert_same_kind, every_kind, read
from tinygrad_sm import nd, optim

GRADIENTS = np.asarray([[0.3, -2.0, 0.125], [7.0, 0.02, -1.0]])


def with_gradients(*gradients):
    """A parameter for each gradient."""
    values = [tg.Value(g * 0.0 + 1.0 if type(g) is float else g) for g in gradients]
    for v, g in zip(values, gradients, strict=True):
        v.grad = g
    return values


def norm_of(*gradients):
    """The Euclidean norm of all elements, in decimals."""
    with localcontext(WIDE):
        return sum((x * x for g in gradients for x in read(g).ravel().tolist()), Decimal(0)).sqrt()


@every_kind
@pytest.mark.parametrize("max_norm", [0.5, 2.0, 1e6])
def test_the_norm_of_all_together_and_gradients_of_that_length(kind, max_norm):
    a, b = (0.3, -2.0) if kind is FLOAT else (GRADIENTS, -2.5)
    values = with_gradients(kind(a), kind(b))
    gradients = [v.grad for v in values]
    true = norm_of(*gradients)
    untouched = tg.Value(kind(1.0))
    norm = optim.clip_grad_norm(iter([*values, untouched]), max_norm)
    assert type(norm) is float and norm == pytest.approx(float(true), rel=1e-6 if kind is NUMPY32 else 1e-14)
    assert not untouched.has_grad
    scale = min(1.0, max_norm / (float(true) + 1e-6))
    for v, g in zip(values, gradients, strict=True):
        assert_same_kind(v.grad, g)
        with localcontext(WIDE):
            wanted = np.vectorize(lambda x: x * Decimal(scale), otypes=[object])(read(g))
        assert_close(v.grad, wanted, max(kind.tolerance, 1e-12))


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6), st.floats(0, 1e3))
@settings(max_examples=50)
def test_never_longer_than_asked_and_never_turned(gradients, max_norm):
    values = with_gradients(nd.asarray(gradients[:2]), *gradients[2:])
    norm = optim.clip_grad_norm(values, max_norm)
    clipped = [*values[0].grad.tolist(), *(v.grad for v in values[1:])]
    assert norm == pytest.approx(math.hypot(*gradients), rel=1e-14)
    assert math.hypot(*clipped) <= max_norm * (1 + 1e-12)
    if norm + 1e-6 < max_norm:
        assert clipped == gradients
    else:
        shrunk = max_norm / (norm + 1e-6)
        assert clipped == pytest.approx([g * min(1.0, shrunk) for g in gradients], abs=1e-300)


@pytest.mark.parametrize("size", [1e300, 1e-300, 1e160, 5e-324])
def test_neither_huge_nor_tiny_gradients_leave_the_range(size):
    values = with_gradients(nd.asarray([3 * size, 4 * size]), 12 * size, np.asarray([84 * size]))
    assert optim.clip_grad_norm(values, 1.0) == pytest.approx(85 * size)
    if size > 1:
        assert values[0].grad.tolist() == pytest.approx([3 / 85, 4 / 85])


def test_measuring_changes_nothing():
    (v,) = with_gradients(nd.asarray([3.0, 4.0]))
    assert optim.clip_grad_norm([v], math.inf) == 5.0 and v.grad.tolist() == [3.0, 4.0]
    assert optim.clip_grad_norm([tg.Value(1.0)], 1.0) == 0.0
    assert optim.clip_grad_norm([], 1.0) == 0.0


def test_a_norm_of_zero_takes_everything():
    (v,) = with_gradients(nd.asarray([3.0, 4.0]))
    optim.clip_grad_norm([v], 0)
    assert v.grad.tolist() == [0.0, 0.0]


@every_kind
def test_values_are_held_between_the_limits(kind):
    g = kind(-2.0 if kind is FLOAT else GRADIENTS)
    (v,) = with_gradients(g)
    untouched = tg.Value(kind(1.0))
    assert optim.clip_grad_value(iter([v, untouched]), 0.5) is None
    assert_same_kind(v.grad, g)
    assert_close(v.grad, -0.5 if kind is FLOAT else GRADIENTS.clip(-0.5, 0.5), 1e-7 if kind is NUMPY32 else 1e-15)
    assert not untouched.has_grad


def test_what_clipping_returns_is_new():
    g = np.asarray([3.0, 4.0])
    (v,) = with_gradients(g)
    optim.clip_grad_norm([v], 1.0)
    optim.clip_grad_value([v], 0.1)
    assert g.tolist() == [3.0, 4.0]


def test_a_nan_stays_under_limits():
    (v,) = with_gradients(nd.asarray([math.nan, math.inf, -3.0]))
    optim.clip_grad_value([v], 2)
    assert math.isnan(v.grad.tolist()[0]) and v.grad.tolist()[1:] == [2.0, -2.0]


def test_decimals_are_scaled_as_decimals():
    (v,) = with_gradients(EXACT(GRADIENTS))
    optim.clip_grad_norm([v], 1.0)
    assert isinstance(v.grad, nd.Decimals)


V = tg.Value(1.0)
WRONG = """
optim.clip_grad_norm(V, 1.0) | TypeError | clip_grad_norm: params is a list or generator of Values
optim.clip_grad_norm([V, V], 1.0) | ValueError | clip_grad_norm: parameter 1 is there twice
optim.clip_grad_norm([V * 2.0], 1.0) | ValueError | clip_grad_norm: parameter 0 is the result of multiply
optim.clip_grad_norm([V], -1.0) | ValueError | clip_grad_norm: max_norm is -1.0
optim.clip_grad_norm([V], math.nan) | ValueError | clip_grad_norm: max_norm is nan
optim.clip_grad_norm([V], V) | TypeError | clip_grad_norm: max_norm is a plain number, not of type Value
optim.clip_grad_value([1.0], 1.0) | TypeError | clip_grad_value: parameter 0 is no Value but of type float
optim.clip_grad_value([V], -1.0) | ValueError | clip_grad_value: limit is -1.0
"""


@pytest.mark.parametrize("line", [line for line in WRONG.splitlines() if line])
def test_wrong_use_gets_a_sentence(line):
    source, error, words = (part.strip() for part in line.split(" | "))
    with pytest.raises({"TypeError": TypeError, "ValueError": ValueError}[error]) as caught:
        eval(source)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([math.nan], "the norm of all gradients is nan, and that of parameter 1 (w) is nan"),
        ([-math.inf], "the norm of all gradients is inf, and that of parameter 1 (w) is inf"),
        ([1.7e308, 1.7e308], "the norm of all gradients is inf, and that of parameter 1 (w) is inf"),
    ],
)
def test_a_norm_that_is_no_number_is_refused_and_changes_nothing(bad, words):
    values = with_gradients(8.0, nd.asarray(bad))
    values[1].name = "w"
    with pytest.raises(ValueError, match="clip_grad_norm") as caught:
        optim.clip_grad_norm(values, 1.0)
    assert words in str(caught.value)
    assert values[0].grad == 8.0
