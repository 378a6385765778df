"""sigmoid and its kin: the softmax of two classes, one of whose logits is 0.

Every form is made of exp(-|z|), which does not overflow; |z| is written with slope 1 at 0, so that derivatives of any
order are right there too.
"""

from __future__ import annotations

from math import exp, log1p
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, hard
from tinygrad_sm.graph import fused
from tinygrad_sm.ops.helpers import magnitude


@fused
def sigmoid(xp, z):
    """1 / (1 + e^-z), element by element: the probability of yes, softmax([z, 0])[0]. Rule: g s(z) s(-z).

    Below 0 it is e^z / (1 + e^z), the same number from an exponential that does not overflow.

    s' = e^-z / (1 + e^-z)^2 = s(z) s(-z), which keeps the digits that s (1 - s) loses.

    >>> import tinygrad_sm as tg
    >>> tg.sigmoid(0.0)
    0.5
    """
    e = xp.exp(-magnitude(xp, z))
    return xp.where(z < 0.0, e, 1.0) / (1.0 + e)


@sigmoid.backward
def _(xp, g, s, z):
    return g * (s * sigmoid(-z))


def _sigmoid(z: float) -> float:
    if z < 0.0:
        e = exp(z)
        return e / (1.0 + e)
    return 1.0 / (1.0 + exp(-z))


@fused
def softplus(xp, z):
    """log(1 + e^z), element by element: a smooth relu, with no threshold. Rule: g s(z), s the sigmoid.

    max(z, 0) + log1p(e^-|z|) neither overflows nor loses the tail.

    d log(1 + e^z) / dz = e^z / (1 + e^z) = s(z).

    >>> import tinygrad_sm as tg
    >>> tg.softplus(-800.0), tg.softplus(800.0)
    (0.0, 800.0)
    """
    return xp.where(z < 0.0, 0.0, z) + xp.log1p(xp.exp(-magnitude(xp, z)))


@softplus.backward
def _(xp, g, out, z):
    return g * sigmoid(z)


def _softplus(z: float) -> float:
    return log1p(exp(z)) if z < 0.0 else z + log1p(exp(-z))


@fused
def log_sigmoid(xp, z):
    """log(sigmoid(z)) = -softplus(-z), element by element. Rule: g s(-z), s the sigmoid.

    d log s(z) / dz = s'(z) / s(z) = s(-z).

    >>> import tinygrad_sm as tg
    >>> tg.log_sigmoid(-1000.0)
    -1000.0
    """
    return -softplus(-z)


@log_sigmoid.backward
def _(xp, g, out, z):
    return g * sigmoid(-z)


@fused(conditioned=lambda name, z: name == "z")
def silu(xp, z):
    """z sigmoid(z), element by element, also called swish. Rule: g (s(z) + silu(z) s(-z)), s the sigmoid.

    The product rule with s' = s(z) s(-z). The slope has a root near -1.28, where its two terms cancel.
    (Elfwing et al., 1702.03118; Ramachandran et al., 1710.05941)

    >>> import tinygrad_sm as tg
    >>> tg.silu(0.0)
    0.0
    """
    return z * sigmoid(z)


@silu.backward
def _(xp, g, out, z):
    return g * (sigmoid(z) + out * sigmoid(-z))


def _silu(z: float) -> float:
    if z < -700.0:  # where the sigmoid runs out of digits, but z times it does not yet
        half = exp(0.5 * z)
        return z * half * half
    return z * _sigmoid(z)


def _elementwise(op: Any, function: Any) -> None:
    """One float function as the kernel for floats and for our arrays of floats."""
    op.kernel(float)(function)
    op.kernel(nd.Array)(lambda z: nd.array.make([*map(function, z._flat)], z.shape, z.dtype))


_elementwise(sigmoid, _sigmoid)
_elementwise(softplus, _softplus)
_elementwise(log_sigmoid, lambda z: -_softplus(-z))
_elementwise(silu, _silu)

for _op in (sigmoid, softplus, log_sigmoid, silu):
    _op.prepare(lambda xp, z, name=_op.name: (checks.numbers(z, name),))
    _op.hard_inputs(hard.elementwise)
