"""Wrong rules that the gradient checks of other engines let through: `compare` and `gradcheck` refuse each of them."""

import pytest

import tinygrad_sm as tg
from tinygrad_sm.check import compare, gradcheck

WRONG_RULES = {  # who lets it pass: definition, point, the right slopes, the wrong ones
    "autograd: 1e-7 given as -5e-7": (lambda x: x * 1e-7, 1.0, 1e-7, -5e-7),
    "jax: 1e-6 given as -4e-6": (lambda x: x * 1e-6, 1.0, 1e-6, -4e-6),
    "jax: an error across its one random direction": (lambda x: x * x, [1.0, 2.0], [2.0, 4.0], [-0.0008, 12.8]),
    "a textbook: 0.001 given as -0.008": (lambda x: x * 0.001, 1.0, 0.001, -0.008),
}


def made(body, slopes):
    """An op of that definition whose rule gives these slopes, whatever they should be."""

    @tg.fused
    def op(xp, x):
        return body(x)

    @op.backward
    def _(xp, g, out, x):
        return g * (x * 0.0 + (slopes if isinstance(slopes, float) else xp.asarray(slopes)))

    return op


@pytest.mark.parametrize("row", WRONG_RULES)
@pytest.mark.parametrize("check", [compare, gradcheck], ids=["compare", "gradcheck"])
def test_a_wrong_rule_is_refused_and_the_right_one_is_not(check, row):
    body, point, right, wrong = WRONG_RULES[row]
    assert check(made(body, right), point)
    assert not check(made(body, wrong), point)
