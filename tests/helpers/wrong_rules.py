"""Wrong rules for softmax, and the right one, for those who check checkers."""

import math
import random

import tinygrad_sm as tg

EXACT, ESTIMATED = "exact", "estimated"


def by(report):
    return ESTIMATED if ESTIMATED in report.method else EXACT


def logits(n, scale, seed=0):
    rng = random.Random(n + seed)
    return [rng.gauss(0.0, scale) for _ in range(n)]


BUGS = {
    "zero": lambda xp, d, g, p: 0.0 * d,
    "flipped sign": lambda xp, d, g, p: -d,
    "missing dot term": lambda xp, d, g, p: p * g,
    "times 1.0005": lambda xp, d, g, p: d * 1.0005,
    "times 1.1": lambda xp, d, g, p: d * 1.1,
    "times 1 + 1e-8": lambda xp, d, g, p: d * (1.0 + 1e-8),
    "times 1 + 1e-14": lambda xp, d, g, p: d * (1.0 + 1e-14),
    "the tail is 0": lambda xp, d, g, p: xp.where(p < 1e-5, 0.0, d),
    "one entry doubled": lambda xp, d, g, p: xp.where(xp.equal(p, xp.min(p)), 2.0 * d, d),
}


def softmax_with(change=lambda xp, d, g, p: d, opaque=False):
    """softmax with a rule that `change` spoils; an opaque one computes with Python's own floats."""

    @tg.fused
    def spoiled(xp, z):
        if opaque:
            es = [math.exp(float(v)) for v in z]
            return xp.asarray([e / math.fsum(es) for e in es])
        e = xp.exp(z - xp.max(z))
        return e / xp.sum(e)

    @spoiled.backward
    def _(xp, g, p, z):
        return change(xp, p * (g - xp.sum(p * g)), g, p)

    return spoiled


def changed(change, z, weights):
    """Whether the bug changes the gradient of the weighted sum at all, and by how much relatively where it does most."""
    a, b = ([*tg.vjp(softmax_with(c), z, weights)[1]] for c in (change, lambda xp, d, g, p: d))
    return max(abs(float(x) - float(y)) / abs(float(y)) for x, y in zip(a, b, strict=True))
