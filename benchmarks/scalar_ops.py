"""One scalar operation, forward and backward, in nanoseconds.

    scalar_ops.py MODULE chain|mixed on|off REPEATS

The collector runs as Python runs it, or not at all while the clock runs.

`chain` is y = a * y + x, 900 operations deep (micrograd recurses, and breaks at a thousand); `mixed` an expression of sixty
operations of all kinds.
"""

import gc
import sys
from time import process_time

from workload import micrograd_names, report

_, module, expression, collector, repeats = sys.argv
Value, _ = micrograd_names(module)


def chain():
    a, x, y = Value(0.999), Value(0.5), Value(1.0)
    for _ in range(450):
        y = a * y + x
    return y, a


def mixed():
    a, b = Value(0.7), Value(-0.4)
    c = a
    for _ in range(6):
        t = c * b + a
        u = (t - b / 2).relu()
        c = 0.5 * u + (a - t) ** 2 / 8
    return c, a


build, operations, batch = {"chain": (chain, 900, 2), "mixed": (mixed, 60, 30)}[expression]


def run(times):
    for _ in range(times):
        output, leaf = build()
        output.backward()
    return leaf.grad


run(5 * batch)
if collector == "off":
    gc.disable()
seconds = 0.0
for _ in range(int(repeats)):
    if collector == "off":
        gc.collect()  # micrograd's graphs wait for it, ours are gone
    start = process_time()
    check = run(batch)
    seconds += process_time() - start
report(seconds / (int(repeats) * batch * operations) * 1e9, check)
