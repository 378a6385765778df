"""The time that importing a package takes in a fresh interpreter, in milliseconds of CPU time.

    import_time.py MODULE [RUNS]

The runs are for the harness alone: a process imports once.
"""

import sys
from importlib import import_module
from time import process_time

from workload import report

start = process_time()
import_module(sys.argv[1])
report(1000 * (process_time() - start))
