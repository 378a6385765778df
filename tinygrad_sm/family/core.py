"""The accurate core: softmax and its kin on one row of floats, to a few units in the last place.

With m the largest logit and e_i = exp(z_i - m), everything is made of s, the sum of the e_i without one largest:
p_i = e_i / (1 + s) and log p_i = (z_i - m) - log1p(s) (Blanchard, Higham and Higham, IMA J. Numer. Anal. 41(4), 2021,
algorithm 4.1). Two things make it sharper: z_i - m is kept with its rounding error (the error of a difference is itself a
float), and sums are rounded once, so that the order of the logits plays no role.
"""

from __future__ import annotations

from math import exp, fsum, inf, isfinite, log1p, nan

from tinygrad_sm.nd.floats import has_nan

Row = list[float]


def shifted(row: Row) -> tuple[Row, Row, Row, float] | None:
    """(d, r, e, s): d + r = z - m exactly, e = exp(d + r), s = their sum without one largest. None if there is no m.

    m is missing in an empty row, in one with a nan, in one that is all -inf and in one with several +inf. A single +inf
    stands for its limit: the others are infinitely far below.
    """
    if not row or has_nan(row):
        return None
    m = max(row)
    k = row.index(m)
    if m == inf and row.count(inf) == 1:
        row, m = [0.0 if i == k else -inf for i in range(len(row))], 0.0
    if not isfinite(m):
        return None
    d = [z - m for z in row]
    if isfinite(min(d)):
        r = [(z - (v - (v - z))) - (m + (v - z)) for z, v in zip(row, d, strict=True)]
    else:  # inf - inf would be nan
        r = [(z - (v - (v - z))) - (m + (v - z)) if isfinite(v) else 0.0 for z, v in zip(row, d, strict=True)]
    e = [exp(v) * (1.0 + w) for v, w in zip(d, r, strict=True)]
    return d, r, e, fsum(e[:k] + e[k + 1 :])


def softmax_row(row: Row) -> Row:
    """The probabilities."""
    parts = shifted(row)
    if parts is None:
        return [nan] * len(row)
    _, _, e, s = parts
    total = 1.0 + s
    return [v / total for v in e]


def log_softmax_row(row: Row) -> Row:
    """The logarithms of the probabilities."""
    parts = shifted(row)
    if parts is None:
        return [nan] * len(row)
    d, r, _, s = parts
    log_total = log1p(s)
    return [fsum((v, w, -log_total)) for v, w in zip(d, r, strict=True)]


def logsumexp_row(row: Row) -> float:
    """The logarithm of the sum of the exponentials."""
    parts = shifted(row)
    if parts is None:
        return nan if has_nan(row) else max(row, default=-inf)
    return max(row) + log1p(parts[3])


def index_loss(row: Row, label: int) -> float:
    """-log of the probability of one class, as the sum of two terms that are not negative."""
    parts = shifted(row)
    if parts is None:
        return nan
    d, r, _, s = parts
    return fsum((-d[label], -r[label], log1p(s)))


def probability_loss(row: Row, targets: Row) -> float:
    """-sum of t log p, as a sum of terms that are not negative; t = 0 counts for 0 also where log p is -inf."""
    parts = shifted(row)
    if parts is None:
        return nan
    d, r, _, s = parts
    far = [-t * v for t, v in zip(targets, d, strict=True) if t] + [-t * w for t, w in zip(targets, r, strict=True) if t]
    return fsum((*far, log1p(s) * fsum(targets))) if all(map(isfinite, far)) else sum(far)
