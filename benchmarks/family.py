"""An op of the softmax family, fused against composed: forward and backward of both in turns, and the median of the ratios.

    family.py nd|numpy ROWS CLASSES OP TURNS
    family.py memory ROWS CLASSES

`memory` is the peak of linear_cross_entropy, forward and backward, beyond its inputs and gradients, in kilobytes.
"""

import random
import statistics
import sys
import tracemalloc
from time import process_time

from workload import report

WIDTH = 64  # of what attention and linear_cross_entropy multiply; 8 on our own arrays
PAIRS = "kl_div reverse_kl_div binary_cross_entropy binary_focal_loss mse_loss kl_div_probabilities".split()
LABELS = "cross_entropy nll_loss focal_loss hinge_loss sparsemax_loss entmax15_loss".split()
ALONE = (
    "softmax log_softmax logsumexp softmin causal_softmax sparsemax entmax15 online_softmax entropy z_loss sigmoid log_sigmoid "
    "softplus silu".split()
)
OPS = (*ALONE, "gumbel_softmax", *LABELS, *PAIRS, "attention", "linear_cross_entropy")


def logits(*shape):
    """Nested lists of normal numbers, the same at every call."""
    draw = random.Random(0)

    def nested(sizes):
        return [nested(sizes[1:]) for _ in range(sizes[0])] if sizes else draw.gauss(0.0, 2.0)

    return nested(shape)


def case(tg, name, rows, classes, width):
    """What is differentiated, what else is given, and the settings."""
    labels = [(7 * i) % classes for i in range(rows)]
    if name == "attention":
        batch = 8 if width == WIDTH else 1
        return [logits(batch, rows, width), logits(batch, classes, width), logits(batch, classes, width)], [], {}
    if name == "linear_cross_entropy":
        return [logits(rows, width), logits(classes, width), logits(classes)], [labels], {}
    z = logits(rows, classes)
    if name == "nll_loss":
        return [tg.log_softmax(z).tolist()], [labels], {}
    if name == "gumbel_softmax":
        return [z], [], {"noise": z}
    if name == "kl_div_probabilities":
        return [tg.softmax(z[::-1]).tolist(), tg.softmax(z).tolist()], [], {}
    if name in PAIRS:
        other = tg.sigmoid(z[::-1]).tolist() if name.startswith("binary") else z[::-1]
        return [z, other], [], {}
    return [z], [labels] if name in LABELS else [], {}


def step(tg, xp, name, rows, classes, width):
    """A function that runs the op, fused or composed, forward and backward; it returns the first gradient."""
    op = tg.fused_ops[name]
    arrays, others, settings = case(tg, name, rows, classes, width)
    arrays, others = [[xp.asarray(x) for x in part] for part in (arrays, others)]
    settings = {key: xp.asarray(x) for key, x in settings.items()}
    shape = op(*arrays, *others, **settings).shape
    flow = None if shape == () else xp.reshape(xp.asarray([i % 7 - 3.0 for i in range(_size(shape))]), shape)

    def run(function):
        values = [*map(tg.Value, arrays)]
        function(*values, *others, **settings).backward(flow, free=True)
        return values[0].grad

    return lambda: run(op), lambda: run(op.composed)


def _size(shape):
    size = 1
    for n in shape:
        size *= n
    return size


def timed(run):
    start = process_time()
    run()
    return process_time() - start


def in_turns(xp, name, rows, classes, turns):
    import tinygrad_sm as tg

    fused, composed = step(tg, xp, name, rows, classes, 8 if xp is tg.nd else WIDTH)
    a, b = (xp.sum(run() ** 2) ** 0.5 for run in (fused, composed))
    assert abs(a - b) <= 1e-9 * abs(a), (name, float(a), float(b))
    timed(fused), timed(composed)
    report(statistics.median(timed(fused) / max(timed(composed), 1e-9) for _ in range(turns)))


def memory(rows, classes):
    import numpy as np

    import tinygrad_sm as tg

    x, weight = np.ones((rows, 16)), np.ones((classes, 16))
    labels = np.arange(rows) % classes
    for _ in range(2):  # the first time imports and caches
        values = [tg.Value(x), tg.Value(weight)]
        tracemalloc.start()
        tg.linear_cross_entropy(*values, None, labels).backward(free=True)
        kept = sum(v.grad.nbytes for v in values)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    report((peak - kept) / 1024)


def main():
    what, *arguments = sys.argv[1:]
    if what == "memory":
        memory(*map(int, arguments[:2]))
    else:
        from importlib import import_module

        xp = import_module({"nd": "tinygrad_sm.nd", "numpy": "numpy"}[what])
        rows, classes, name, turns = arguments
        in_turns(xp, name, int(rows), int(classes), int(turns))


if __name__ == "__main__":
    main()
