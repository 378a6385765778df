"""Element-wise ops. Where a derivative has a choice it is stated: relu'(0) = 0, ties of maximum share, x ** 0 has slope 0."""

from __future__ import annotations

from numbers import Real

from tinygrad_sm import nd
from tinygrad_sm.graph import primitive
from tinygrad_sm.graph.namespaces import SCALARS
from tinygrad_sm.graph.value import plain
from tinygrad_sm.ops.helpers import divisor, gaussian, lifted, magnitude, over, special, sqrt_of, sqrt_of_pi, times

# --- arithmetic


@primitive
def add(xp, a, b):
    """a + b. Rule: g; g."""
    return a + b


add.vjps(lambda xp, g, out, a, b: g, lambda xp, g, out, a, b: g)


@primitive
def subtract(xp, a, b):
    """a - b. Rule: g; -g."""
    return a - b


subtract.vjps(lambda xp, g, out, a, b: g, lambda xp, g, out, a, b: -g)


@primitive
def multiply(xp, a, b):
    """a * b. Rule: g b; g a."""
    return a * b


multiply.vjps(lambda xp, g, out, a, b: g * b, lambda xp, g, out, a, b: g * a)


@primitive
def divide(xp, a, b):
    """a / b. Rule: g / b; -g a / b^2."""
    return a / b


def _by_denominator(xp, g, out, a, b):
    b = divisor(xp, g, b)
    return -xp.divide(g, b) * xp.divide(a, b)


divide.vjps(lambda xp, g, out, a, b: over(xp, g, b), _by_denominator)


@primitive
def negative(xp, x):
    """-x. Rule: -g."""
    return -x


negative.vjps(lambda xp, g, out, x: -g)


@primitive
def pow(xp, a, b):
    """a ** b as IEEE's pow: nan, never complex, for a negative base to a fraction. Rule: g b a^(b-1), 0 for b = 0; g out log a.

    The derivative by b at a = 0 is 0 for b >= 0, and nan for a negative a.
    """
    return xp.pow(a, b)


def _by_base(xp, g, out, a, b):
    if type(b) in SCALARS and not b:
        return xp.zeros_like(a)  # a ** 0 is 1 everywhere
    if isinstance(plain(a), nd.Decimals):
        b = lifted(xp, b, a)  # the difference of two floats would be rounded
    return times(xp, g * b, xp.pow(a, b - 1))


def _by_exponent(xp, g, out, a, b):
    a = lifted(xp, a, out)
    at_zero = xp.logical_and(xp.equal(a, 0.0), b >= 0.0)
    return times(xp, g, out * xp.log(xp.where(at_zero, 1.0, a)))


pow.vjps(_by_base, _by_exponent)


@primitive
def square(xp, x):
    """x * x. Rule: 2 g x."""
    return x * x


square.vjps(lambda xp, g, out, x: g * 2.0 * x)


@primitive
def abs(xp, x):
    """|x|. Rule: g sign(x), 0 at 0."""
    return xp.abs(x)


abs.vjps(lambda xp, g, out, x: g * xp.sign(x))


@primitive
def sign(xp, x):
    """-1, 0 or 1. Rule: 0."""
    return xp.sign(x)


sign.vjps(lambda xp, g, out, x: xp.zeros_like(x))

# --- exponentials and logarithms


@primitive
def exp(xp, x):
    """e ** x. Rule: g out."""
    return xp.exp(x)


exp.vjps(lambda xp, g, out, x: g * out)


@primitive
def expm1(xp, x):
    """e ** x - 1, accurate near 0. Rule: g e^x."""
    return xp.expm1(x)


expm1.vjps(lambda xp, g, out, x: g * xp.exp(x))


@primitive
def log(xp, x):
    """The natural logarithm; -inf at 0, nan below. Rule: g / x."""
    return xp.log(x)


log.vjps(lambda xp, g, out, x: over(xp, g, x))


@primitive
def log1p(xp, x):
    """log(1 + x), accurate near 0. Rule: g / (1 + x)."""
    return xp.log1p(x)


log1p.vjps(lambda xp, g, out, x: over(xp, g, 1.0 + x))


@primitive
def sqrt(xp, x):
    """The square root; its slope at 0 is inf. Rule: g / (2 out)."""
    return xp.sqrt(x)


sqrt.vjps(lambda xp, g, out, x: over(xp, g, 2.0 * out))

# --- trigonometric and hyperbolic functions, erf


@primitive
def sin(xp, x):
    """The sine of an angle in radians. Rule: g cos(x)."""
    return xp.sin(x)


sin.vjps(lambda xp, g, out, x: g * xp.cos(x))


@primitive
def cos(xp, x):
    """The cosine of an angle in radians. Rule: -g sin(x)."""
    return xp.cos(x)


cos.vjps(lambda xp, g, out, x: -g * xp.sin(x))


@primitive
def tanh(xp, x):
    """The hyperbolic tangent. Rule: 4 g e / (1 + e)^2 with e = exp(-2 |x|).

    This is g (1 - out^2) without the cancellation that makes it 0 for |x| > 19.
    """
    return xp.tanh(x)


@tanh.vjps
def _(xp, g, out, x):
    e = xp.exp(-2.0 * magnitude(xp, x))
    return g * (4.0 * e / ((1.0 + e) * (1.0 + e)))


@primitive
def erf(xp, x):
    """The error function. Rule: 2 g exp(-x^2) / sqrt(pi)."""
    return special(xp, "erf", x)


erf.vjps(lambda xp, g, out, x: g * (gaussian(xp, x) * (2.0 / sqrt_of_pi(x))))


@primitive
def erfc(xp, x):
    """1 - erf(x), accurate where erf is nearly 1. Rule: -2 g exp(-x^2) / sqrt(pi)."""
    return special(xp, "erfc", x)


erfc.vjps(lambda xp, g, out, x: g * (gaussian(xp, x) * (-2.0 / sqrt_of_pi(x))))

# --- activations (sigmoid and its kin are in the softmax family)


@primitive
def relu(xp, x):
    """max(x, 0). Rule: g where x > 0, 0 elsewhere, at 0 too."""
    return xp.maximum(x, 0.0)


relu.vjps(lambda xp, g, out, x: xp.where(x > 0.0, g, 0.0))


@primitive
def leaky_relu(xp, x, *, negative_slope=0.01):
    """x above 0 and negative_slope * x below. Rule: g where x > 0, g * negative_slope elsewhere."""
    return xp.where(x > 0.0, x, _number(negative_slope) * x)


leaky_relu.vjps(lambda xp, g, out, x, *, negative_slope: xp.where(x > 0.0, g, g * negative_slope))


@primitive
def elu(xp, x, *, alpha=1.0):
    """x above 0 and alpha (e^x - 1) below. Rule: g where x > 0, g alpha e^x elsewhere. (Clevert et al., 1511.07289)"""
    return xp.where(x > 0.0, x, _number(alpha) * xp.expm1(_nonpositive(xp, x)))


elu.vjps(lambda xp, g, out, x, *, alpha: xp.where(x > 0.0, g, g * (alpha * xp.exp(_nonpositive(xp, x)))))


def _number(setting):
    if not isinstance(setting, Real):
        raise TypeError(f"the slope below 0 is a number, not {setting!r}")
    return setting


def _nonpositive(xp, x):
    """x where it is not positive and 0 elsewhere, so that the branch that is not taken does not overflow."""
    return xp.where(x > 0.0, 0.0, x)


@primitive
def gelu(xp, x):
    """x Phi(x), Phi the normal distribution function, exact (not the tanh formula). Rule: g (Phi(x) + x phi(x)).

    Phi(x) = erfc(-x / sqrt(2)) / 2 keeps its digits in the left tail. (Hendrycks and Gimpel, 1606.08415)
    """
    return x * _normal_cdf(x)


@gelu.vjps
def _(xp, g, out, x):
    root = sqrt_of(2.0, x)
    density = gaussian(xp, x / root) * (1.0 / (root * sqrt_of_pi(x)))
    return g * (_normal_cdf(x) + x * density)


def _normal_cdf(x):
    return 0.5 * erfc(-x / sqrt_of(2.0, x))


# --- choosing


@primitive
def maximum(xp, a, b):
    """The larger of two; nan if either is. Rule: g to the larger one, half each at a tie."""
    return xp.maximum(a, b)


maximum.vjps(lambda xp, g, out, a, b: _to_winner(xp, g, a > b, a, b), lambda xp, g, out, a, b: _to_winner(xp, g, b > a, a, b))


@primitive
def minimum(xp, a, b):
    """The smaller of two; nan if either is. Rule: g to the smaller one, half each at a tie."""
    return xp.minimum(a, b)


minimum.vjps(lambda xp, g, out, a, b: _to_winner(xp, g, a < b, a, b), lambda xp, g, out, a, b: _to_winner(xp, g, b < a, a, b))


def _to_winner(xp, g, wins, a, b):
    return xp.where(wins, g, xp.where(xp.equal(a, b), 0.5 * g, 0.0))


@primitive
def clip(xp, x, *, min=None, max=None):
    """x held between min and max, either of which may be None. Rule: g where min <= x <= max, 0 elsewhere."""
    return xp.clip(x, min, max)


@clip.vjps
def _(xp, g, out, x, *, min, max):
    return xp.where(xp.equal(out, x), g, 0.0)


@primitive
def where(xp, condition, a, b):
    """a where the condition holds and b elsewhere. Rule: no gradient; g where it holds; g where it does not."""
    return xp.where(condition, a, b)


@where.prepare
def _(xp, condition, a, b):
    if type(condition) in SCALARS and xp is not nd:  # the standard wants an array
        condition = xp.asarray(bool(condition))
    return condition, a, b


where.vjps(
    lambda xp, g, out, condition, a, b: None,
    lambda xp, g, out, condition, a, b: xp.where(condition, g, 0.0),
    lambda xp, g, out, condition, a, b: xp.where(condition, 0.0, g),
)
