"""The textbook's p - y against the exact gradient, on hard inputs: where the network is sure, no digit of it is right."""

import tinygrad_sm as tg
from tinygrad_sm.viz import plots


@tg.fused
def textbook(xp, z):
    return -tg.log_softmax(z)[0]


@textbook.backward
def _(xp, g, loss, z):
    p = tg.softmax(z)
    return g * xp.concat([p[:1] - 1, p[1:]])


@textbook.hard_inputs
def _():
    for margin in range(0, 60, 4):
        yield f"margin {margin}", ([float(margin), 0.0, -1.0],)


ax = plots.gradient_check(tg.compare(textbook))
