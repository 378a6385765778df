"""One training step of a 64-32-10 network on 32 digits: relu, softmax cross-entropy, SGD; in milliseconds.

    digits_step.py tinygrad_sm|by-hand|micrograd|in-turns STEPS

`by-hand` is the same step without an engine: lists of rows, every product a dot product of two of them, as fast as the
standard library allows. `micrograd` has one Value for each number, as its own networks do, with exp and log added.
`in-turns` takes a step of tinygrad_sm and one by hand in turns, and reports the median of their ratios: a machine that changes
its speed from one second to the next disturbs that the least.
"""

import csv
import math
import random
import statistics
import sys
from itertools import islice, pairwise, repeat
from operator import add, mul
from pathlib import Path
from time import process_time

from workload import report

_, contender, steps = sys.argv
WIDTHS, BATCH, RATE = (64, 32, 10), 32, 0.1
CHECKED = 3  # the loss of this step must be the same for all

with (Path(__file__).parent.parent / "tinygrad_sm" / "datasets" / "digits.csv").open() as file:
    rows = [[int(cell) for cell in row] for row in islice(csv.reader(file), 1, BATCH + 1)]
X = [[pixel / 16 for pixel in row[:-1]] for row in rows]
labels = [row[-1] for row in rows]
draw = random.Random(0)
W1, W2 = ([[draw.gauss(0.0, n**-0.5) for _ in range(n)] for _ in range(m)] for n, m in pairwise(WIDTHS))
b1, b2 = ([0.0] * m for m in WIDTHS[1:])


def with_the_engine():
    import tinygrad_sm as tg

    inputs = tg.nd.asarray(X)
    model = tg.nn.MLP(WIDTHS)
    model.load_state_dict({"layers.0.weight": W1, "layers.0.bias": b1, "layers.1.weight": W2, "layers.1.bias": b2})
    optimizer = tg.optim.SGD(model.parameters(), lr=RATE)

    def step():
        loss = tg.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward(free=True)
        optimizer.step()
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


def one_value_a_number():
    from micrograd.engine import Value

    def exp(x):
        out = Value(math.exp(x.data), (x,), "exp")

        def backward():
            x.grad += out.data * out.grad

        out._backward = backward
        return out

    def log(x):
        out = Value(math.log(x.data), (x,), "log")

        def backward():
            x.grad += out.grad / x.data

        out._backward = backward
        return out

    layers = [([[*map(Value, row)] for row in w], [*map(Value, b)]) for w, b in ((W1, b1), (W2, b2))]
    parameters = [p for w, b in layers for p in (*(p for row in w for p in row), *b)]

    def outputs(layer, x):
        return [sum((w * v for w, v in zip(row, x, strict=True)), b) for row, b in zip(*layer, strict=True)]

    def step():
        loss = Value(0.0)
        for x, label in zip(X, labels, strict=True):
            logits = outputs(layers[1], [z.relu() for z in outputs(layers[0], x)])
            loss = loss + log(sum((exp(z) for z in logits), Value(0.0))) - logits[label]
        loss = loss * (1.0 / BATCH)
        for p in parameters:
            p.grad = 0.0
        loss.backward()
        for p in parameters:
            p.data -= RATE * p.grad
        return loss.data

    return step


def timed(step):
    start = process_time()
    loss = step()
    return process_time() - start, loss


def in_turns(count):
    ours, hand = with_the_engine(), by_hand()
    pairs = [(timed(ours), timed(hand)) for _ in range(count)]
    ratios = [a / b for (a, _), (b, _) in pairs[5:]]
    report(statistics.median(ratios), check=pairs[CHECKED - 1][0][1] - pairs[CHECKED - 1][1][1] < 1e-12)


def alone(step, count, warm):
    seconds, losses = zip(*(timed(step) for _ in range(max(count + warm, CHECKED))), strict=True)
    report(1000 * statistics.median(seconds[warm:]), check=losses[CHECKED - 1])


if contender == "in-turns":
    in_turns(int(steps) + 5)
elif contender == "micrograd":
    alone(one_value_a_number(), int(steps), 0)
else:
    alone({"tinygrad_sm": with_the_engine, "by-hand": by_hand}[contender](), int(steps), 5)
