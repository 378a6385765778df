"""What the family accepts: one pass over the data in front of an op, and sentences for what does not fit."""

from __future__ import annotations

from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.graph.namespaces import SCALARS, as_data, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.nd.shapes import all_axes, flatten

REDUCTIONS = ("mean", "sum", "none", "batchmean")


class LabelError(IndexError, ValueError):
    """A class index that names no class: `label`, its `position` among the targets, and the number of `classes`."""

    def __init__(self, op: str, label: int, position: tuple[int, ...], classes: int) -> None:
        where = f" at position {position[0] if len(position) == 1 else position}" if position else ""
        super().__init__(f"{op}: label {label}{where} is out of range for {classes} classes, 0 to {classes - 1}")
        self.label, self.position, self.classes = label, position, classes

    def __reduce__(self) -> Any:
        return IndexError, self.args


def logits(x: Any, name: str) -> Any:
    """Numbers as floats; bools are refused, since a mask was meant."""
    if kind_of(x) == "bool":
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


def class_targets(targets: Any, sizes: tuple[int, ...], axis: int, name: str) -> None:
    """Targets that fit logits of shape `sizes`: ints are class indices, floats of the same shape are probabilities."""
    kind, given = kind_of(targets), shape(targets)
    rows, classes = sizes[:axis] + sizes[axis + 1 :], sizes[axis]
    if kind == "integral":
        if given != rows:
            raise ValueError(
                f"{name}: class indices of shape {given} for logits of shape {sizes}; there should be one for each row, "
                f"shape {rows}" + (" (one-hot targets are probabilities: give floats)" if given == sizes else "")
            )
        _labels(targets, classes, name)
    elif kind == "real floating" and given == sizes:
        _not_negative(targets, name)
    elif kind == "bool":
        raise TypeError(f"{name}: targets are class indices (ints) or probabilities (floats), not bools")
    else:
        raise TypeError(
            f"{name}: targets are class indices (ints of shape {rows}) or probabilities (floats of shape {sizes}), "
            f"not {'floats' if kind == 'real floating' else kind} of shape {given}"
        )


def _labels(labels: Any, classes: int, name: str) -> None:
    flat, sizes = flatten(labels if type(labels) in SCALARS else nested_lists(labels))
    if flat and not (min(flat) >= 0 and max(flat) < classes):
        place, label = next((i, v) for i, v in enumerate(flat) if not 0 <= v < classes)
        position = tuple(place // step % n for n, step in zip(sizes, nd.shapes.row_major(sizes), strict=True))
        raise LabelError(name, label, position, classes)


def _not_negative(probabilities: Any, name: str) -> None:
    xp = namespace_of([probabilities])
    if bool(xp.any(xp.less(probabilities, xp.zeros_like(probabilities)))):
        raise ValueError(f"{name}: target probabilities are not negative, and some are")


def as_floats(x: Any, name: str) -> Any:
    """Targets as floats: yes and no may be given as bools or ints."""
    if type(x) in SCALARS:
        return float(x)
    xp = namespace_of([x])
    return xp.astype(x, xp.asarray(0.0).dtype) if kind_of(x, xp) == "bool" else as_data(x, name)


def unit_interval(x: Any, name: str) -> None:
    """Targets of a yes-or-no question: between 0 and 1."""
    xp = namespace_of([x])
    outside = xp.logical_or(xp.less(x, xp.zeros_like(x)), xp.greater(x, xp.ones_like(x)))
    if bool(xp.any(outside) if type(outside) is not bool else outside):
        raise ValueError(f"{name}: targets are between 0 and 1, and some are not")
