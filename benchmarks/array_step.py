"""One training step of a 64-32-10 network on a batch of 32: relu, softmax cross-entropy, SGD; in milliseconds.

    array_step.py tinygrad_sm|by-hand STEPS

`by-hand` is the same step without an engine: lists of rows, every product a dot product of two of them, as fast as the
standard library allows. Weights are kept transposed (a row for each output), so that only the gradients need transposing.
"""

import math
import random
import statistics
import sys
from itertools import pairwise, repeat
from operator import add, mul
from time import process_time

from workload import report

_, contender, steps = sys.argv
WIDTHS, BATCH, RATE = (64, 32, 10), 32, 0.1

draw = random.Random(0)
X = [[draw.gauss(0.0, 1.0) for _ in range(WIDTHS[0])] for _ in range(BATCH)]
labels = [draw.randrange(WIDTHS[-1]) for _ in range(BATCH)]
W1, W2 = ([[draw.gauss(0.0, n**-0.5) for _ in range(n)] for _ in range(m)] for n, m in pairwise(WIDTHS))
b1, b2 = ([0.0] * m for m in WIDTHS[1:])


def with_the_engine():
    import tinygrad_sm as tg

    inputs = tg.nd.asarray(X)
    w1, w2 = (tg.Value([*zip(*W, strict=True)]) for W in (W1, W2))
    c1, c2 = tg.Value(b1), tg.Value(b2)

    def step():
        hidden = (inputs @ w1 + c1).relu()
        loss = tg.cross_entropy(hidden @ w2 + c2, labels)
        loss.backward(free=True)
        for p in (w1, c1, w2, c2):
            p.data = p.data - RATE * p.grad
            p.zero_grad()
        return float(loss)

    return step


def by_hand():
    w1, c1, w2, c2 = W1, b1, W2, b2
    sumprod = getattr(math, "sumprod", None)  # CPython 3.12

    def dots(row, columns):
        """The dot products of a row with every column."""
        return [*map(sumprod, repeat(row), columns)] if sumprod else [sum(map(mul, row, c)) for c in columns]

    def step():
        nonlocal w1, c1, w2, c2
        hidden = [[z if z > 0.0 else 0.0 for z in map(add, dots(x, w1), c1)] for x in X]
        logits = [[*map(add, dots(h, w2), c2)] for h in hidden]
        loss, g_logits = 0.0, []
        for row, label in zip(logits, labels, strict=True):
            top = max(row)
            powers = [math.exp(z - top) for z in row]
            total = sum(powers)
            loss += math.log(total) + top - row[label]
            g = [p / (total * BATCH) for p in powers]
            g[label] -= 1.0 / BATCH
            g_logits.append(g)
        columns = [*zip(*w2, strict=True)]
        g_hidden = [
            [g if h > 0.0 else 0.0 for g, h in zip(dots(row, columns), hs, strict=True)]
            for row, hs in zip(g_logits, hidden, strict=True)
        ]
        w2, c2 = updated(w2, c2, g_logits, [*zip(*hidden, strict=True)])
        w1, c1 = updated(w1, c1, g_hidden, [*zip(*X, strict=True)])
        return loss / BATCH

    def updated(w, c, g_outputs, inputs):
        gs = [*zip(*g_outputs, strict=True)]
        w = [[v - RATE * d for v, d in zip(row, dots(g, inputs), strict=True)] for row, g in zip(w, gs, strict=True)]
        return w, [b - RATE * sum(g) for b, g in zip(c, gs, strict=True)]

    return step


step = {"tinygrad_sm": with_the_engine, "by-hand": by_hand}[contender]()
seconds = []
for _ in range(int(steps) + 5):
    start = process_time()
    loss = step()
    seconds.append(process_time() - start)
report(1000 * statistics.median(seconds[5:]), check=loss)
