"""The training step of micrograd's demo: an MLP 2-16-16-1 on a hundred points, one node a scalar operation.

    moons_step.py MODULE on|off STEPS

`MODULE` has the Value and MLP; the collector runs as Python runs it, or not at all.
"""

import gc
import math
import random
import statistics
import sys
from time import process_time

from workload import micrograd_names, report

_, module, collector, steps = sys.argv
Value, MLP = micrograd_names(module)

noise = random.Random(7)
X, y = [], []
for i in range(100):
    angle = math.pi * i / 99
    px, py = math.cos(angle), math.sin(angle)
    X.append([noise.gauss(1 - px if i % 2 else px, 0.1), noise.gauss(0.5 - py if i % 2 else py, 0.1)])
    y.append(2 * (i % 2) - 1)

random.seed(1337)
model = MLP(2, [16, 16, 1])


def loss():
    scores = [model([Value(x) for x in row]) for row in X]
    losses = [(1 + -label * score).relu() for label, score in zip(y, scores, strict=True)]
    return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())


if collector == "off":
    gc.disable()
seconds = []
for k in range(int(steps) + 2):
    start = process_time()
    total = loss()
    model.zero_grad()
    total.backward()
    for p in model.parameters():
        p.data -= (1.0 - 0.9 * k / 100) * p.grad
    seconds.append(process_time() - start)
report(1000 * statistics.median(seconds[2:]), check=total.data)  # two steps to warm up: the first has no old graph to drop
