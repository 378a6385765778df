"""Sampling a class with a gradient: the softmax of logits with noise, whose largest is each class as often as softmax says."""

from __future__ import annotations

from functools import partial
from math import log
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks
from tinygrad_sm.family.hard import rows
from tinygrad_sm.family.labels import is_class
from tinygrad_sm.family.probabilities import softmax
from tinygrad_sm.graph import Fused, constant
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.nd.shapes import broadcast_shapes, one_axis
from tinygrad_sm.ops.creation import rand
from tinygrad_sm.ops.helpers import as_plain, moved_like


class Sampled(Fused):
    """A fused op that draws the noise it is not given before anything else, so that noise is an input like any other.

    The node holds it, and value, composition and gradient are those of one sample.
    """

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        z = args[0] if args else keywords.get("z")
        if z is not None and keywords.get("noise") is None:
            keywords["noise"] = gumbel_noise(checks.numbers(as_plain(z, self.name), self.name))
        return super().__call__(*args, **keywords)


def gumbel_noise(like: Any) -> Any:
    """-log(-log u) for even u, in the shape and library of `like`, from the generator that `manual_seed` seeds.

    u lies inside (0, 1): a drawn 0 counts for 2^-54, half of the next one, so that the noise is finite.
    """
    even = rand(shape(like))
    return moved_like(nd.array.make([-log(-log(u or 2.0**-54)) for u in even._flat], even.shape, even.dtype), like)


@partial(Sampled, conditioned=True)  # the sum of logits and noise is rounded
def gumbel_softmax(xp, z, noise=None, temperature=1.0, *, hard=False, axis=-1):
    """softmax((z + noise) / T) along `axis`: a nearly one-hot sample of a class, through which gradients flow. Shape of z.

    With Gumbel noise, which is drawn where none is given (from the generator that `manual_seed` seeds), each class is the
    largest as often as softmax(z) says, whatever the temperature; near 0 it makes the sample one-hot, and large it makes it
    even. `noise` broadcasts to z; it and the `temperature` (positive, or one for each row) may be Values. `hard=True` gives
    one-hot rows (the first of equals), with the gradient of the soft ones: what is called straight-through, and what
    `gradcheck` and `compare` take for the truth.
    Raises a ValueError for shapes that do not fit and for temperatures that are not positive, an `AxisError` for an axis that
    z lacks, and for anything but one axis with `hard=True` a TypeError. Inside `jax.jit` give the noise: drawn there, it
    would be the same at every call.

    Rule: that of softmax at z + noise: p (g - sum(g p)) / T for z and for the noise, p the soft sample.

    z and noise enter as their sum, whose slopes by either are 1. Hard rows are p + constant(one_hot - p).
    (Jang, Gu and Poole, 1611.01144; Maddison, Mnih and Teh, 1611.00712; Bengio et al., 1308.3432)

    >>> import tinygrad_sm as tg
    >>> tg.gumbel_softmax([1.0, 2.0, 0.0], noise=[0.5, -1.0, 0.25], temperature=0.5)
    array([0.68967209, 0.25371618, 0.056611732])
    >>> tg.manual_seed(0)
    >>> tg.gumbel_softmax([1.0, 2.0, 0.0], hard=True)
    array([0.0, 1.0, 0.0])
    """
    noisy = z + noise
    soft = softmax(noisy, temperature=temperature, axis=axis)
    if not hard:
        return soft
    chosen = is_class(xp, xp.argmax(noisy, axis=axis), z, axis)
    return soft + constant(xp.where(chosen, 1.0 - soft, -soft))  # p + (1 - p) is 1 also in floats


@gumbel_softmax.backward
def _(xp, g, out, z, noise=None, temperature=1.0, *, hard, axis):
    noisy = z + noise
    soft = softmax(noisy, temperature=temperature, axis=axis) if hard else out
    of_noisy, _, of_temperature = softmax.rule(xp, g, soft, noisy, None, temperature, axis=axis)
    return of_noisy, of_noisy, of_temperature


@gumbel_softmax.prepare
def _(xp: Any, z: Any, noise: Any = None, temperature: Any = 1.0, *, hard: bool, axis: Any) -> tuple:
    name = "gumbel_softmax"
    z, noise = checks.logits_along(z, axis, name), checks.numbers(noise, name, "noise")
    sizes = shape(z)
    if broadcast_shapes(f"{name}: noise and logits", shape(noise), sizes) != sizes:
        raise ValueError(f"{name}: noise has shape {shape(noise)}, and the logits have only {sizes}")
    if not isinstance(hard, bool):
        raise TypeError(f"{name}: hard is True or False; noise and temperature are given by keyword")
    if hard:
        one_axis(axis, len(sizes), f"{name} with hard=True")
    return z, noise, checks.temperature(xp, temperature, sizes, axis, name)


@gumbel_softmax.hard_inputs
def _():
    noise = [0.5, -1.0, 0.25, 3.0, 0.125]
    for name, row in rows():
        yield name, (row,), {"noise": noise}
    ordinary = [0.25, -1.25, 0.875, 0.125, -0.5]  # whose sums with the noise are floats
    for margin in (10.0, 40.0, 490.0):
        yield f"noise of margin {margin:g}", (ordinary,), {"noise": [0.5, margin, -0.25, 0.125, 0.0], "temperature": 0.7}
    matrix = [ordinary, ordinary[::-1]]
    yield "temperatures of rows", (matrix,), {"noise": noise, "temperature": [[0.5], [3.0]]}
    yield "hard", (matrix,), {"noise": noise, "hard": True}
    yield "hard, first axis", (matrix,), {"noise": [[0.1] * 5, [0.0] * 5], "hard": True, "axis": 0, "temperature": 2.0}
