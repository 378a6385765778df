"""The accurate core: softmax and its kin on one row of floats, to a few units in the last place.

With m the largest logit and e_i = exp((z_i - m) / t), everything is made of s, the sum of the e_i without one largest:
p_i = e_i / (1 + s) and log p_i = (z_i - m) / t - log1p(s) (Blanchard, Higham and Higham, IMA J. Numer. Anal. 41(4), 2021,
algorithm 4.1). Two things make it sharper: (z_i - m) / t is kept with its rounding error, which is itself a float, and sums
are rounded once, so that the order of the logits plays no role. The temperature t costs nothing where it is 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress
from math import exp, frexp, fsum, inf, isinf, ldexp, log1p, nan

from tinygrad_sm import nd
from tinygrad_sm.nd.floats import has_nan, total

Row = list[float]

VANISHES = -746.0  # exp of this or less is nearer to 0 than to the smallest float
SPLITTER = 2.0**27 + 1.0  # parts a float into two of half its digits, whose products are exact
FAR = -1e290  # so far below the largest, the rounding error of a difference says nothing


def exponentials(row: Row, t: float = 1.0) -> tuple[Row, float, Row, float]:
    """(row, m, e, s), where s is nan if the row has no answer: nan in it, nothing but -inf, or several +inf.

    A single +inf stands for its limit, in which the others lie infinitely far below; the row that comes back says so.
    """
    m = max(row, default=-inf)
    if isinf(m):
        if row.count(inf) != 1 or has_nan(row):
            return row, m, [nan] * len(row), nan
        row, m = [0.0 if z == inf else -inf for z in row], 0.0
    # exp(d + error) = exp(d) + exp(d) error
    if t == 1.0:  # `difference` written out, since this is where the time goes
        e = [0.0 if (d := z - m) <= VANISHES else (v := exp(d)) + v * ((z - (d - (b := d - z))) - (m + b)) for z in row]
    else:
        e = _exponentials(quotients(row, m, t))
    return row, m, e, fsum((*e, -1.0))  # fsum is exact until its end, so this is the sum without the 1 of a largest


def _exponentials(pairs: list[tuple[float, float]]) -> Row:
    return [0.0 if q <= VANISHES else (v := exp(q)) + v * error for q, error in pairs]


def difference(z: float, m: float, t: float = 1.0) -> tuple[float, float]:
    """(z - m) / t as the nearest float and what that lacks: for t = 1 their sum is exact. (Knuth)"""
    if t != 1.0:
        return quotients([z], m, t)[0]
    d = z - m
    if isinf(d):
        return d, 0.0
    b = d - z
    return d, (z - (d - b)) - (m + b)


def quotients(row: Row, m: float, t: float) -> list[tuple[float, float]]:
    """(z - m) / t for each z of a row, as a float near it and what that lacks, where exp of it is neither 0 nor inf.

    With q the rounded quotient of the exact difference d + rest, that is (d - q t + rest) / t, where q t is exact too. (Dekker)
    """
    if 1e-200 < t < 1e200:  # the same in less time: of q = h + l, where h has half the digits, (d - h t + rest) / t - l
        t1, t2 = _halves(t)
        return [
            (q, ((d - (h := (c := SPLITTER * q) - (c - q)) * t1) - h * t2 + ((z - (d - (b := d - z))) - (m + b))) / t - (q - h))
            if VANISHES < (q := (d := z - m) / t) < -VANISHES
            else (q, 0.0)
            for z in row
        ]
    part, k = frexp(t)
    if k < -1000 or isinf(t):
        return [((z - m) / t, 0.0) for z in row]
    scale = ldexp(1.0, -k)  # t scale = part, between 1/2 and 1, so that no product is too large or too small
    t1, t2 = _halves(part)
    pairs = []
    for z in row:
        d = z - m
        q, error = d / t, 0.0
        if VANISHES < q < -VANISHES:
            b = d - z
            rest = (z - (d - b)) - (m + b)
            c = SPLITTER * q
            q1 = c - (c - q)
            q2 = q - q1
            product = q * part
            beyond = ((q1 * t1 - product) + q1 * t2 + q2 * t1) + q2 * t2
            error = ((d * scale - product) - beyond + rest * scale) / part
        pairs.append((q, error))
    return pairs


def _halves(x: float) -> tuple[float, float]:
    """x as the sum of two floats of half the digits. (Veltkamp)"""
    c = SPLITTER * x
    first = c - (c - x)
    return first, x - first


def softmax_row(row: Row, t: float = 1.0) -> Row:
    """The probabilities."""
    _, _, e, s = exponentials(row, t)
    whole = 1.0 + s
    return [v / whole for v in e]


def log_softmax_row(row: Row, t: float = 1.0) -> Row:
    """The logarithms of the probabilities."""
    if t != 1.0 and not isinf(m := max(row, default=inf)):  # the quotients serve twice
        pairs = quotients(row, m, t)
        log_whole = log1p(fsum((*_exponentials(pairs), -1.0)))
        return [q - (log_whole - error) for q, error in pairs]
    row, m, _, s = exponentials(row, t)
    log_whole = log1p(s)  # not negative, as the differences are not positive: nothing cancels
    if t != 1.0:
        return [q - (log_whole - error) for q, error in quotients(row, m, t)]
    return [(d := z - m) - (log_whole if d < FAR else log_whole - ((z - (d - (b := d - z))) - (m + b))) for z in row]


def logsumexp_row(row: Row, t: float = 1.0) -> float:
    """The logarithm of the sum of the exponentials."""
    m = max(row, default=-inf)
    if isinf(m):
        return nan if has_nan(row) else m
    log_whole = log1p(exponentials(row, t)[3])
    return m + log_whole if t == 1.0 else fsum((*quotients([m], 0.0, t)[0], log_whole))


def index_loss(row: Row, label: int, t: float = 1.0) -> float:
    """-log of the probability of one class, as a sum of terms that are not negative."""
    row, m, _, s = exponentials(row, t)
    d, error = difference(row[label], m, t)
    return fsum((-d, -error, log1p(s)))


def probability_loss(row: Row, targets: Row, t: float = 1.0) -> float:
    """-sum of the targets times log p, as a sum of terms that are not negative; a target of 0 counts for 0 also where
    log p is -inf."""
    row, m, _, s = exponentials(row, t)
    far = [-y * part for z, y in zip(row, targets, strict=True) if y for part in difference(z, m, t)]
    return total((*far, log1p(s) * fsum(targets)))


def filled(values: Iterable[float], mask: list[bool], fill: float) -> Row:
    """The values where the mask is true, one after the other, and `fill` elsewhere."""
    each = iter(values)
    return [next(each) if keep else fill for keep in mask]


def kept(row: Row, mask: list[bool]) -> Row:
    """The elements where the mask is true; the others are never looked at."""
    return [*compress(row, mask)]


def rows(x: nd.Array, axis: int) -> list[list]:
    """The elements along one axis, row by row, in the order in which a reduction over it gives its results."""
    return nd.reduce_along("rows", x, axis, list)._flat
