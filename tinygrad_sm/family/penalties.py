"""Terms that are added to a loss, and say nothing about the targets."""

from __future__ import annotations

from math import inf, log1p
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family import checks, core
from tinygrad_sm.family.hard import rows
from tinygrad_sm.family.probabilities import logsumexp, softmax
from tinygrad_sm.family.reduction import reduced, share
from tinygrad_sm.graph import fused
from tinygrad_sm.ops.helpers import count, keep


@fused(conditioned=True)
def z_loss(xp, logits, *, coefficient=1e-4, axis=-1, reduction="mean"):
    """coefficient * logsumexp(z)^2: keeps the logits from drifting away together, which cross-entropy does not notice.

    `axis` is that of the classes (an int, a tuple, None for all), `coefficient` a number of 0 or more. `reduction`: "mean" over
    the rows (0 for none), "sum", or "none"; "batchmean" is "mean". Raises an `AxisError` for an axis that z lacks and a
    ValueError for a negative coefficient. (Chowdhery et al., PaLM, JMLR 24, 2023, section 5)

    Rule: 2 coefficient logsumexp(z) softmax(z), and 0 in a row that is all -inf.

    The chain rule; the gradient of logsumexp is the softmax.

    >>> import tinygrad_sm as tg
    >>> print(f"{tg.z_loss([[2.0, 1.0, 0.5]]):.9f}")
    0.000607311
    """
    return reduced(xp, coefficient * xp.square(logsumexp(logits, axis=axis)), reduction)


@z_loss.backward
def _(xp, g, out, logits, *, coefficient, axis, reduction):
    g = share(g, count(logits, None) // max(count(logits, axis), 1), reduction)
    g = keep(xp, g, logits, axis) if reduction == "none" else g
    if type(logits) is nd.Array:
        slopes = nd.along("z_loss", logits, axis, _slopes)
    else:
        z = logsumexp(logits, axis=axis, keepdims=True)
        slopes = xp.where(xp.equal(z, -inf), 0.0, z * softmax(logits, axis=axis))
    return slopes * (2.0 * coefficient * g)


def _slopes(row):
    """logsumexp(z) softmax(z) from the same exponentials."""
    row, m, e, s = core.exponentials(row)
    if s != s and max(row) == -inf:
        return [0.0] * len(row)
    z, whole = m + log1p(s), 1.0 + s
    return [v / whole * z for v in e]


@z_loss.prepare
def _(xp: Any, logits: Any, *, coefficient: Any, axis: Any, reduction: str) -> tuple:
    checks.reduction(reduction, "z_loss")
    checks.setting(coefficient, "z_loss", "coefficient")
    return (checks.logits_along(logits, axis, "z_loss"),)


@z_loss.hard_inputs
def _():
    for name, row in rows(4):
        yield name, (row,), {"reduction": "sum"}
    z = [[0.3, -1.7, 2.25], [40.0, 0.0, 1.0]]
    for axis in (0, None, (0, 1)):
        yield f"axis {axis}", (z,), {"axis": axis, "coefficient": 2.0}
    yield "none", (z,), {"reduction": "none"}
    yield "nearly 0", ([-1.0986122886681098] * 3,)
