"""What the family accepts: one pass over the data in front of an op, and sentences for what does not fit."""

from __future__ import annotations

from math import prod
from typing import Any

from tinygrad_sm.graph.namespaces import SCALARS, as_data, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.nd.shapes import Shape, all_axes, row_major

REDUCTIONS = ("mean", "sum", "none", "batchmean")


class LabelError(IndexError, ValueError):
    """A class index that names no class: `label`, its `position` among the targets, and the number of `classes`."""

    def __init__(self, op: str, label: int, position: Shape, classes: int) -> None:
        where = f" at position {position[0] if len(position) == 1 else position}" if position else ""
        super().__init__(f"{op}: label {label}{where} is out of range for {classes} classes, 0 to {classes - 1}")
        self.op, self.label, self.position, self.classes = op, label, position, classes

    def __reduce__(self) -> Any:
        return LabelError, (self.op, self.label, self.position, self.classes)


def logits(x: Any, name: str) -> Any:
    """Numbers as floats; bools are refused, since a mask was meant."""
    if kind_of(x, namespace_of([x], name)) == "bool":
        raise TypeError(f"{name}: got booleans, which look like a mask; logits are numbers")
    return as_data(x, name)


def logits_along(x: Any, axis: Any, name: str) -> Any:
    """Logits that have the axis (None for all of them)."""
    x = logits(x, name)
    all_axes(axis, len(shape(x)), name)
    return x


def reduction(kind: str, name: str) -> None:
    """One of the four words."""
    if kind not in REDUCTIONS:
        raise ValueError(f"{name}: reduction is one of {', '.join(REDUCTIONS)}, not {kind!r}")


def class_targets(xp: Any, targets: Any, sizes: Shape, axis: int, name: str) -> Any:
    """Targets for logits of shape `sizes`: ints are class indices, floats of the same shape are probabilities."""
    kind, given = kind_of(targets, namespace_of([targets], name)), shape(targets)
    rows, classes = sizes[:axis] + sizes[axis + 1 :], sizes[axis]
    if not classes:
        raise ValueError(f"{name}: logits of shape {sizes} have no classes along axis {axis}")
    if given == rows and 0 in rows and kind == "real floating":  # an empty list cannot say what it holds
        return xp.astype(targets, xp.int64)
    if kind == "integral":
        if given != rows:
            raise ValueError(
                f"{name}: class indices of shape {given} for logits of shape {sizes}; there should be one for each row, "
                f"so {_remedy(given, rows, sizes)}"
            )
        indices = xp.asarray(targets) if type(targets) is int else targets
        _in_range(xp, indices, classes, name)
        return indices
    if kind == "real floating" and given == sizes:
        if bool(xp.any(targets < 0.0)):
            raise ValueError(f"{name}: target probabilities are not negative, and some are")
        return targets
    raise TypeError(
        f"{name}: targets are class indices (ints of shape {rows}) or probabilities (floats of shape {sizes}), "
        f"not {'floats' if kind == 'real floating' else kind} of shape {given}"
        + ("; these look like class indices: convert them to ints" if given == rows else "")
    )


def _remedy(given: Shape, rows: Shape, sizes: Shape) -> str:
    if given == sizes:
        return "for one-hot targets, which are probabilities, give floats"
    return f"reshape them to {rows}" if prod(given) == prod(rows) else f"they need shape {rows}"


def _in_range(xp: Any, labels: Any, classes: int, name: str) -> None:
    flat = nested_lists(xp.reshape(labels, (-1,)))
    if flat and not 0 <= min(flat) <= max(flat) < classes:
        place, label = next((i, v) for i, v in enumerate(flat) if not 0 <= v < classes)
        sizes = shape(labels)
        position = tuple(place // step % n for n, step in zip(sizes, row_major(sizes), strict=True))
        raise LabelError(name, int(label), position, classes)


def answers(xp: Any, targets: Any, logits: Any, name: str) -> Any:
    """Targets of yes-or-no questions: between 0 and 1, in the shape of the logits; yes and no may be bools or ints."""
    if shape(targets) != shape(logits):
        raise ValueError(f"{name}: targets of shape {shape(targets)} for logits of shape {shape(logits)}")
    if type(targets) in SCALARS:
        targets = float(targets)
    elif kind_of(targets, xp) != "real floating":
        targets = xp.astype(targets, logits.dtype)
    if bool(xp.any((targets < 0.0) | (targets > 1.0))):
        raise ValueError(f"{name}: targets are between 0 and 1, and some are not")
    return targets
