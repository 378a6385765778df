"""The accurate core: softmax and its kin on one row of floats, to a few units in the last place.

With m the largest logit and e_i = exp(z_i - m), everything is made of s, the sum of the e_i without one largest:
p_i = e_i / (1 + s) and log p_i = (z_i - m) - log1p(s) (Blanchard, Higham and Higham, IMA J. Numer. Anal. 41(4), 2021,
algorithm 4.1). Two things make it sharper: z_i - m is kept with its rounding error, which is itself a float, and sums are
rounded once, so that the order of the logits plays no role.
"""

from __future__ import annotations

from math import exp, fsum, inf, isinf, log1p, nan

from tinygrad_sm import nd
from tinygrad_sm.nd.floats import has_nan, total

Row = list[float]

VANISHES = -746.0  # exp of this or less is nearer to 0 than to the smallest float


def exponentials(row: Row) -> tuple[Row, float, Row, float]:
    """(row, m, e, s), where s is nan if the row has no answer: nan in it, nothing but -inf, or several +inf.

    A single +inf stands for its limit, in which the others lie infinitely far below; the row that comes back says so.
    """
    m = max(row, default=-inf)
    if isinf(m):
        if row.count(inf) != 1 or has_nan(row):
            return row, m, [nan] * len(row), nan
        row, m = [0.0 if z == inf else -inf for z in row], 0.0
    # The error of d = z - m is (z - (d - b)) - (m + b) with b = d - z (Knuth), and exp(d + error) = exp(d) + exp(d) error.
    e = [0.0 if (d := z - m) <= VANISHES else (v := exp(d)) + v * ((z - (d - (b := d - z))) - (m + b)) for z in row]
    return row, m, e, fsum((*e, -1.0))  # fsum is exact until its end, so this is the sum without the 1 of a largest


def difference(z: float, m: float) -> tuple[float, float]:
    """z - m as the nearest float and what that lacks: their sum is exact."""
    d = z - m
    if isinf(d):
        return d, 0.0
    b = d - z
    return d, (z - (d - b)) - (m + b)


def softmax_row(row: Row) -> Row:
    """The probabilities."""
    _, _, e, s = exponentials(row)
    whole = 1.0 + s
    return [v / whole for v in e]


def log_softmax_row(row: Row) -> Row:
    """The logarithms of the probabilities."""
    row, m, _, s = exponentials(row)
    log_whole = log1p(s)
    return [fsum((*difference(z, m), -log_whole)) for z in row]


def logsumexp_row(row: Row) -> float:
    """The logarithm of the sum of the exponentials."""
    m = max(row, default=-inf)
    if isinf(m):
        return nan if has_nan(row) else m
    return m + log1p(exponentials(row)[3])


def index_loss(row: Row, label: int) -> float:
    """-log of the probability of one class, as a sum of terms that are not negative."""
    row, m, _, s = exponentials(row)
    d, error = difference(row[label], m)
    return fsum((-d, -error, log1p(s)))


def probability_loss(row: Row, targets: Row) -> float:
    """-sum of t log p, as a sum of terms that are not negative; t = 0 counts for 0 also where log p is -inf."""
    row, m, _, s = exponentials(row)
    far = [-t * part for z, t in zip(row, targets, strict=True) if t for part in difference(z, m)]
    return total((*far, log1p(s) * fsum(targets)))


def rows(x: nd.Array, axis: int) -> list[list]:
    """The elements along one axis, row by row, in the order in which a reduction over it gives its results."""
    return nd.reduce_along("rows", x, axis, list)._flat
