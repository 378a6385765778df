"""The softmax family as mpmath computes it from the plain definitions, and errors in units in the last place.

Nothing is shifted, split or rearranged here: there are digits enough for log(sum(exp(z))) - z_t as it stands.
"""

import math

import mpmath
from mpmath import mp, mpf

FARTHEST = 1100  # what lies this far below the largest logit is beyond the smallest float, whatever is done with it


def digits_for(*numbers: float) -> int:
    """Enough for 1 + exp(-span) to differ from 1 by 40 digits, and for the difference of two numbers to be exact."""
    largest, smallest = max(numbers), min(numbers)
    span = min(largest / 2 - smallest / 2, FARTHEST) * 2
    magnitude = max(0.0, math.log10(max(abs(largest), abs(smallest), 1.0)))
    return 60 + int(span / math.log(10) + magnitude)


class Row:
    """softmax and its kin of one row of floats, divided by a temperature."""

    def __init__(self, logits, temperature=1.0):
        with mp.workdps(digits_for(*logits, max(logits) / temperature, min(logits) / temperature)):
            self.digits = mp.dps
            self.logits = [mpf(z) / mpf(temperature) for z in logits]
            self.top = max(self.logits)
            # exp(1e15) is a number to mpmath but exp(1e308) is not, so that the largest logit is divided out, exactly
            near = [z - self.top for z in self.logits]
            self.terms = [mpmath.exp(d) if d > -3 * FARTHEST else mpf(0) for d in near]
            self.total = mpmath.fsum(self.terms)

    def softmax(self):
        with mp.workdps(self.digits):
            return [e / self.total for e in self.terms]

    def logsumexp(self):
        with mp.workdps(self.digits):
            return self.top + mpmath.log(self.total)

    def log_softmax(self):
        with mp.workdps(self.digits):
            return [z - self.top - mpmath.log(self.total) for z in self.logits]

    def index_loss(self, label):
        with mp.workdps(self.digits):
            return -self.log_softmax()[label]

    def index_gradient(self, label):
        with mp.workdps(self.digits):
            return [p - (i == label) for i, p in enumerate(self.softmax())]

    def soft_loss(self, targets):
        with mp.workdps(self.digits):
            return -mpmath.fsum(mpf(t) * v for t, v in zip(targets, self.log_softmax(), strict=True))

    def soft_gradient(self, targets):
        """The gradient, and the magnitude of the two terms whose difference each entry is."""
        with mp.workdps(self.digits):
            ts, p = [mpf(t) for t in targets], self.softmax()
            all_t = mpmath.fsum(ts)
            exact = [q * all_t - t for q, t in zip(p, ts, strict=True)]
            terms = [q * (all_t - t) + t * (1 - q) for q, t in zip(p, ts, strict=True)]
            return exact, terms


def of_one(function, *numbers):
    """`function` of mpmath numbers, with digits enough for exp(-|z|) beside 1."""
    with mp.workdps(digits_for(0.0, *numbers)):
        return function(*map(mpf, numbers))


def sigmoid(z):
    return 1 / (1 + mpmath.exp(-z)) if z > -2 * FARTHEST else mpf(0)


def softplus(z):
    return z if z > 2 * FARTHEST else mpmath.log(1 + mpmath.exp(z)) if z > -2 * FARTHEST else mpf(0)


def binary_loss(z, t):
    return t * softplus(-z) + (1 - t) * softplus(z)


def binary_gradient(z, t):
    return sigmoid(z) - t


def surprise(probabilities, targets):
    """-sum of t log p, where t is not 0."""
    with mp.workdps(60):
        return -mpmath.fsum(mpf(t) * mpmath.log(mpf(p)) for p, t in zip(probabilities, targets, strict=True) if t)


def ulps(got, exact, unit=None):
    """The error of `got` in units in the last place of the exact result (or of `unit`, where that is the larger)."""
    rounded = float(exact)
    if got == rounded:
        return 0.0
    if not math.isfinite(got) or not math.isfinite(rounded):
        return math.inf
    size = max(math.ulp(rounded), math.ulp(float(unit)) if unit is not None else 0.0)
    with mp.workdps(60 + max(0, int(-math.log10(size)))):
        return float(abs(mpf(got) - exact) / mpf(size))
