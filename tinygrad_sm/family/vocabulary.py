"""Cross-entropy of a layer of weighted sums over many classes, whose logits are never held all at once."""

from __future__ import annotations

from functools import partial
from typing import Any

from tinygrad_sm.family import checks, hard
from tinygrad_sm.family.cross_entropies import cross_entropy
from tinygrad_sm.family.reduction import readable, reduced, share_of_rows, whole_of
from tinygrad_sm.graph import Value
from tinygrad_sm.graph.composition import Fused
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.nd.shapes import whole_number
from tinygrad_sm.ops.linalg import linear

AT_ONCE = 2**18  # logits: two megabytes, about what the caches of a processor hold


class _Fused(Fused):
    """A fused op whose bias, though it stands in the middle, may be None: a single 0 then."""

    def _operands(self, data: list) -> tuple[Any, list]:
        return super()._operands(
            [0.0 if x is None and name == "bias" else x for name, x in zip(self.input_names, data, strict=True)]
        )


@partial(_Fused, conditioned=True)
def linear_cross_entropy(
    xp, x, weight, bias, targets, *, chunk=None, ignore_index=None, label_smoothing=0.0, reduction="mean", empty="zero"
):
    """cross_entropy(x W^T + b, targets) for many classes V, without ever holding a logit for each of N rows and V classes.

    `x` has shape (..., D), `weight` (V, D), `bias` (V,) or is None, and `targets` are class indices, one a row of x. The rows
    are taken `chunk` at a time, forward and backward (by default so many that their logits fill two megabytes), so that the
    memory beside inputs and gradients does not grow with N. `ignore_index`, `label_smoothing`, `reduction` and `empty` are as
    for `cross_entropy`, and so are the errors; a ValueError for shapes that do not fit.

    Rule: with G = (softmax(z) - onehot(t)) g_n for the rows of a chunk: G W; the sum over the chunks of G^T x; and of the
    sums of G over its rows.

    The loss of row n is a function of its logits z_n = W x_n + b alone, so that the gradients are those of `cross_entropy`,
    handed on by the rule of `linear`, and those of W and b are sums over the rows, in whatever portions. What flows into each
    row, g_n, must be in G before that sum. Where a single number is made of the losses, the gradients for g = 1 come with the
    forward, from the same logits, and are kept for the rule.
    (Liger-Kernel, 2410.10989; Wijmans et al., Cut Your Losses, 2411.09009)

    >>> import tinygrad_sm as tg
    >>> x, weight = tg.Value([[1.0, 2.0], [0.5, -1.0]]), [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    >>> loss = tg.linear_cross_entropy(x, weight, None, [2, 0])
    >>> print(f"{loss:.6f}", f"{tg.cross_entropy(tg.linear(x, weight), [2, 0]):.6f}")
    0.435987 0.435987
    """
    settings = {"ignore_index": ignore_index, "reduction": reduction, "empty": empty}
    if isinstance(x, Value):  # the definition, whatever the chunks are
        _, some_x, labels = readable(xp, x, targets, ignore_index, -1)
        losses = cross_entropy(_logits(some_x, weight, bias), labels, label_smoothing=label_smoothing, reduction="none")
        return _reduced(xp, losses, x, targets, settings)
    parts = []
    for some_x, labels in _portions(xp, weight, chunk, *_rows(xp, x, targets, ignore_index)):
        parts.append(_losses(_logits(some_x, weight, bias), labels, label_smoothing))
    return _reduced(xp, xp.reshape(xp.concat(parts), shape(targets)), x, targets, settings)


@linear_cross_entropy.keeping
def _(xp, x, weight, bias, targets, **settings):
    if settings["reduction"] == "none":
        return linear_cross_entropy.forward(xp, x, weight, bias, targets, **settings), {}
    losses: list = []
    one = xp.ones_like(xp.sum(weight))
    slopes = _slopes(xp, one, x, weight, bias, targets, settings, losses)
    losses = xp.reshape(xp.concat(losses), shape(targets))
    return _reduced(xp, losses, x, targets, settings), {"slopes": slopes}


@linear_cross_entropy.backward
def _(xp, g, out, x, weight, bias, targets, *, slopes=None, **settings):
    if slopes is None:
        return *_slopes(xp, g, x, weight, bias, targets, settings), None
    return *(g * slope for slope in slopes), None  # a single g, and they are those for 1


def _slopes(xp, g, x, weight, bias, targets, settings, losses=None):
    """The gradients of x, weight and bias, portion by portion; the losses of its rows are put into `losses` on the way."""
    kept, readable_x, labels = readable(xp, x, targets, settings["ignore_index"], -1)
    whole = whole_of(xp, readable_x, labels, None, kept, -1, settings["reduction"])
    g = share_of_rows(xp, g, x, -1, settings["reduction"], kept, whole)
    flows = (xp.reshape(g, (-1,)),) if shape(g) else ()
    options = {
        **cross_entropy._settings,
        "label_smoothing": settings["label_smoothing"],
        "reduction": "none" if flows else "sum",
    }
    rows = _rows(xp, x, targets, settings["ignore_index"])
    of_x, of_weight, of_bias = [], 0.0, 0.0
    for some_x, some_labels, *flow in _portions(xp, weight, settings["chunk"], *rows, *flows):
        logits = _logits(some_x, weight, bias)
        kept_for_rule = {}
        if losses is not None:
            some_losses, kept_for_rule = cross_entropy.with_kept(xp, (logits, some_labels), {**options, "reduction": "none"})
            losses.append(some_losses)
        pull, *_ = cross_entropy.rule(xp, *(flow or [g]), None, logits, some_labels, **options, **kept_for_rule)
        of_x.append(xp.matmul(pull, weight))
        of_weight = of_weight + xp.matmul(xp.matrix_transpose(pull), some_x)
        of_bias = of_bias + xp.sum(pull, axis=0)
    return xp.reshape(xp.concat(of_x), shape(x)), of_weight, of_bias


def _losses(logits, labels, label_smoothing):
    return cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none", validate=False)


def _reduced(xp, losses, x, targets, settings):
    kept, x, labels = readable(xp, x, targets, settings["ignore_index"], -1)
    losses = losses if kept is None else xp.where(kept, losses, 0.0)
    whole = whole_of(xp, x, labels, None, kept, -1, settings["reduction"])
    return reduced(xp, losses, settings["reduction"], whole, settings["empty"])


def _logits(x, weight, bias):
    return linear(x, weight) if type(bias) is float else linear(x, weight, bias=bias)


def _rows(xp, x, targets, ignore_index):
    """x and the labels, one row after the other."""
    _, x, labels = readable(xp, x, targets, ignore_index, -1)
    return xp.reshape(x, (-1, shape(x)[-1])), xp.reshape(labels, (-1,))


def _portions(xp, weight, chunk, *arrays):
    """The same rows of all `arrays`, `chunk` of them at a time; one portion at least."""
    rows = shape(arrays[0])[0]
    step = chunk or max(AT_ONCE // shape(weight)[0], 1)
    for start in range(0, max(rows, 1), step):
        rest = slice(start, min(start + step, rows))
        yield [x[rest, ...] for x in arrays]


@linear_cross_entropy.hard_inputs
def _():
    bias = [0.25, -0.5, 0.125, 1.0]
    for name, row in hard.rows(4):  # the first x finds these logits, near enough
        weight = [[z, 0.5 * i] for i, z in enumerate(row)]
        yield name, ([[1.0, 0.25], [1.0, 0.0]], weight, bias, [row.index(max(row)), 3]), {}
    x, weight, labels = [[0.3, -1.2], [0.9, 0.1], [-0.4, 0.8]], [[0.7, 0.2], [-1.1, 0.5], [0.6, 30.0]], [2, 0, 2]
    yield "no bias", (x, weight, None, labels), {}
    yield "one row", (x[2], weight, bias[:3], 2), {}
    yield "portions", (x, weight, bias[:3], labels), {"chunk": 2, "reduction": "none"}
    yield "an ignored row", (x, weight, bias[:3], [2, -1, 0]), {"ignore_index": -1, "chunk": 1, "reduction": "none"}
    yield "smoothed", (x, weight, bias[:3], labels), {"label_smoothing": 0.1, "reduction": "sum"}


@linear_cross_entropy.prepare
def _(xp: Any, x: Any, weight: Any, bias: Any, targets: Any, **settings: Any) -> tuple:
    name = "linear_cross_entropy"
    x, weight, bias = (
        checks.numbers(x, name, "inputs"),
        checks.numbers(weight, name, "weights"),
        checks.numbers(bias, name, "biases"),
    )
    sizes = shape(weight)
    if len(sizes) != 2 or not shape(x) or shape(x)[-1] != sizes[1] or not sizes[1]:
        raise ValueError(
            f"{name}: inputs of shape {shape(x)} and a weight of shape {sizes}; (..., D) and (V, D) would fit, D at least 1"
        )
    if shape(bias) != sizes[:1] and not (type(bias) is float and not bias):
        raise ValueError(
            f"{name}: a bias of shape {shape(bias)} for a weight of shape {sizes}; it should be {sizes[:1]} or None"
        )
    if settings["chunk"] is not None:
        whole_number(settings["chunk"], f"{name}: chunk")
    ignore_index, reduction = settings["ignore_index"], settings["reduction"]
    checks.loss_settings(name, reduction, ignore_index, settings["empty"])
    checks.fraction(settings["label_smoothing"], name, "label_smoothing")
    logits = (*shape(x)[:-1], sizes[0])
    targets = checks.class_indices(xp, targets, logits, len(logits) - 1, name, ignore_index=ignore_index)
    if settings["empty"] == "raise":
        checks.something(xp, x, targets, None, len(logits) - 1, ignore_index, reduction, name)
    return x, weight, bias, targets
