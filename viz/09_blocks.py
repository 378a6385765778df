"""A deep network, its twelve equal blocks drawn once: "x12"."""

import tinygrad_sm as tg


class Block(tg.nn.Module):
    def __init__(self, width):
        self.linear = tg.nn.Linear(width, width)

    def forward(self, x):
        return x + tg.tanh(self.linear(x))


blocks = tg.nn.Sequential(*(Block(3) for _ in range(12)))
x = tg.Value([0.5, -1.0, 2.0])
loss = tg.cross_entropy(blocks(x), 2)

drawing = tg.draw(loss, names=globals(), repeats=True, view="both")
