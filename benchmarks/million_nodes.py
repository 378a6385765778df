"""A chain of very many scalar operations, forward and backward: bytes for each node at the peak, or seconds.

million_nodes.py MODULE bytes|seconds OPERATIONS
"""

import resource
import sys
from time import process_time

from workload import micrograd_names, report

_, module, figure, operations = sys.argv
Value, _ = micrograd_names(module)


def peak():
    """The largest memory that the process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


a, x, y = Value(0.5), Value(1.0), Value(1.0)
before, start = peak(), process_time()
for _ in range(int(operations) // 2):
    y = a * y + x
y.backward()
seconds, bytes_a_node = process_time() - start, (peak() - before) / int(operations)
assert abs(x.grad - 2.0) < 1e-12  # the sum of 0.5 ** i
report(seconds if figure == "seconds" else bytes_a_node, check=a.grad)
