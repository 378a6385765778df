"""What the workloads share: where micrograd's names are found, and the line in which a workload reports."""

import json
import sys
from importlib import import_module


def micrograd_names(module):
    """Value and MLP of micrograd, or of a module with its names; MLP is None where there is none."""
    if module == "micrograd":
        return import_module("micrograd.engine").Value, import_module("micrograd.nn").MLP
    found = import_module(module)
    return found.Value, getattr(found, "MLP", None)


def report(value, check=None):
    """Prints the figure, and a number that every contender must get."""
    print(json.dumps({"value": value, "check": check, "python": sys.version.split()[0]}))
