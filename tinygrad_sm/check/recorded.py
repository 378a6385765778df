"""Figures to stand beside: the largest errors of SciPy, PyTorch and JAX with Optax, measured once on inputs like ours.

Taken against 320-bit mpmath on glibc, in float64, in units in the last place of the exact result; 9e15 is what a result of 0
amounts to.
"""

from __future__ import annotations

from functools import cache

LIBRARIES = ("scipy 1.17", "torch 2.13", "jax 0.10")
VERSIONS = "scipy 1.17.1 (softplus: numpy 2.4.6), torch 2.13.0+cpu, jax 0.10.2 with optax 0.2.8"

_LOGITS = """
                    softmax       log_softmax    logsumexp        cross_entropy  gradient
scale 1           | 5.7 6.7 5.8 | 19 19 19     | 16 32 32       | 19 19 29     | 23 23 23
scale 30          | 130 130 130 | 9e15 9e15 9e15 | 5.2 23 23    | 9e15 9e15 9e15 | 9e15 9e15 9e15
scale 700         | 510 510 4.5e15 | 9e15 9e15 9e15 | 0.5 0.5 0.5 | 9e15 9e15 9e15 | 9e15 9e15 9e15
scale 10000       | 280 280 1.1e14 | 9e15 9e15 9e15 | 0.44 0.44 0.44 | 9e15 9e15 9e15 | 9e15 9e15 9e15
margin 10         | 9.3 11 11   | 2.8e4 2.8e4 2.8e4 | 0.5 0.6 0.7 | 2.8e4 2.8e4 1.3e5 | 2.2e4 2.2e4 2.2e4
margin 30         | 17 19 19    | 1e13 1e13 1e13 | 0.49 0.55 0.55 | 1e13 1e13 1.1e14 | 1e13 1e13 1e13
margin 36         | 34 34 36    | 4.1e15 4.1e15 4.1e15 | 0.5 0.5 0.5 | 4.1e15 4.1e15 9.1e15 | 4.1e15 4.1e15 4.1e15
margin 37         | 30 32 32    | 8.8e15 8.8e15 8.8e15 | 0.2 0.2 0.2 | 8.8e15 8.8e15 9e15 | 8.8e15 8.8e15 8.8e15
margin 40         | 29 29 29    | 9e15 9e15 9e15 | 0.01 0.01 0.01 | 9e15 9e15 9e15 | 9e15 9e15 9e15
margin 46.0517    | 31 32 32    | 9e15 9e15 9e15 | 0 0 0        | 9e15 9e15 9e15 | 9e15 9e15 9e15
margin 100        | 63 63 63    | 8.9e15 8.9e15 8.9e15 | 0 0 0  | 8.9e15 8.9e15 8.9e15 | 8.9e15 8.9e15 8.9e15
margin 700        | 490 490 490 | 8.9e15 8.9e15 8.9e15 | 0 0 0  | 8.9e15 8.9e15 8.9e15 | 8.9e15 8.9e15 8.9e15
tail -700..-745   | 0.58 0.6 4.4e15 | 8.9e15 8.9e15 8.9e15 | 2.1 8.9e15 8.9e15 | 8.9e15 8.9e15 8.9e15 | 8.9e15 8.9e15 8.9e15
tail -745..-1000  | 0.45 0.45 0.45 | 0.45 0.45 0.45 | 0.45 0.45 0.45 | 0.45 0.45 0.45 | 0.45 0.45 0.45
offset 1e8        | 2.2 3.0 2.8 | 2.3 2.1 2.1  | 0.49 0.49 0.49 | 1.7 1.7 5.6e7 | 2.2 5.6 2.8
log p             | 4.5 5.9 4.6 | 3.4 2.1 2.4  | 2.9e17 3.7e19 2.3e18 | 3.4 1.6 1.6 | 4.5 8.9 4.6
mixed magnitudes  | 510 510 1.7e15 | 9e15 9e15 9e15 | 0.81 0.95 0.63 | 9e15 9e15 9e15 | 9e15 9e15 9e15
"""

_SINGLE = """
                  [-1, 1]         [-30, -5]          [5, 30]           [19, 40]          [-745, -30]         [30, 745]
sigmoid         | 1.5 1.5 1.2   | 1.2 1.2 1.3      | 1.4 1.4 1.4     | 1.0 1.0 1.0     | 1.8e11 1.8e11 1.8e11 | 1.0 1.0 1.0
softplus        | 1.1 1.1 2.3   | 0.91 0.91 1.3    | 0.5 5.7e5 0.5   | 0.5 5.8e5 0.5   | 0.77 0.77 5.4e13  | 0.3 0.3 0.3
log_sigmoid     | 1.0 0.91 2.3  | 0.5 0.5 0.5      | 0.93 0.99 1.5   | 0.97 0.96 1.3   | 0.35 0.35 0.35    | 0.5 1.4 4.4e15
BCE, target 0   | - 2.7 2.3     | - 6.2e13 1.3     | - 0.5 0.5       | - 0.5 0.5       | - 9e15 2.2e15     | - 0.32 0.32
BCE, target 1   | - 1.0 2.4     | - 0.5 0.5        | - 0.98 1.4      | - 1.0 1.4       | - 0.31 0.31       | - 1.4 3.4e15
BCE, target 0.3 | - 2.0 3.0     | - 5.5 1.0        | - 1.6 2.1       | - 1.6 2.0       | - 3.5 0.5         | - 1.1 1.6
"""

INTERVALS = ((-1.0, 1.0), (-30.0, -5.0), (5.0, 30.0), (19.0, 40.0), (-745.0, -30.0), (30.0, 745.0))

# Relative errors of the divergence of softmax(z + delta noise) from softmax(z), 100 rows of ten logits. At 1e-8 torch's kl_div
# was negative in 41 of them, scipy's rel_entr in 44.
_DIVERGENCE = """
1     | 1.1e-13 1.0e-13 -
1e-2  | 2.0e-9 4.6e-9 -
1e-4  | 9.1e-5 1.2e-4 -
1e-6  | 0.33 2.3 -
1e-8  | 2.1e3 2.5e3 -
"""

Figures = tuple[float | None, ...]
NONE: Figures = (None, None, None)


@cache
def _read(text: str, columns: tuple[str, ...]) -> dict[tuple[str, str], Figures]:
    found = {}
    for line in text.strip("\n").splitlines():
        name, *cells = line.split("|")
        for column, cell in zip(columns, cells, strict=False):
            found[column, name.strip()] = tuple(None if x == "-" else float(x) for x in cell.split())
    return found


def figures(quantity: str, inputs: str) -> Figures:
    """The errors of scipy, torch and jax for a quantity and inputs; None where none was taken.

    >>> figures("softmax", "margin 40")
    (29.0, 29.0, 29.0)
    """
    columns = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy gradient")
    if quantity == "kl_div":
        return _read(_DIVERGENCE, ("kl_div",)).get((quantity, inputs), NONE)
    if (quantity, inputs) in (known := _read(_LOGITS, columns)):
        return known[quantity, inputs]
    intervals = tuple(f"[{a:g}, {b:g}]" for a, b in INTERVALS)
    return _read(_SINGLE, intervals).get((inputs, quantity), NONE)
