"""A wrong rule, caught: "the derivative of softmax is p (1 - p)" is the diagonal of its Jacobian, and no more.

The values agree and the gradients do not: `tg.compare` names the worst entry, and the picture says how far apart the two are.
"""

import tinygrad_sm as tg


@tg.fused
def diagonal(xp, z):
    powers = xp.exp(z - tg.constant(xp.max(z)))
    return powers / xp.sum(powers)


@diagonal.backward
def _(xp, g, p, z):
    return g * p * (1 - p)


z = tg.Value([2.0, 1.0, 0.5], name="z")
comparison = tg.compare(diagonal, z)
drawing = tg.draw(diagonal(z), view="both", beside=True, grad_output=[1.0, 0.0, 0.0])
