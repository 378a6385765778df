"""What the family accepts: one pass over the data in front of an op, and sentences for what does not fit."""

from __future__ import annotations

from math import inf, prod
from numbers import Integral, Real
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family.reduction import readable, whole_of
from tinygrad_sm.graph.namespaces import SCALARS, as_data, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.nd.shapes import Shape, all_axes, broadcast_shapes, flatten, row_major
from tinygrad_sm.ops.helpers import is_traced

EMPTY = ("zero", "nan", "raise")
REDUCTIONS = ("mean", "sum", "none", "batchmean")
ROUNDING = 1e-6  # how far beyond its bound a float of single precision may be rounded


class LabelError(IndexError, ValueError):
    """A class index that names no class: `label`, its `position` among the targets, and the number of `classes`."""

    def __init__(self, op: str, label: int, position: Shape, classes: int) -> None:
        where = f" at position {position[0] if len(position) == 1 else position}" if position else ""
        super().__init__(f"{op}: label {label}{where} is out of range for {classes} classes, 0 to {classes - 1}")
        self.op, self.label, self.position, self.classes = op, label, position, classes

    def __reduce__(self) -> Any:
        return LabelError, (self.op, self.label, self.position, self.classes)


def numbers(x: Any, name: str, what: str = "logits") -> Any:
    """Numbers as floats; bools are refused, since a mask was meant."""
    _no_mask(x, namespace_of([x], name), name, what)
    return as_data(x, name)


def one_kind(a: Any, b: Any, name: str) -> None:
    """Refuses floats beside decimals: which of the two they are to be is the user's to say."""
    if {type(a), type(b)} == {nd.Array, nd.Decimals} and kind_of(a) == kind_of(b):
        raise TypeError(f"{name}: got an array of floats beside one of decimals; lift the floats with tg.nd.exact first")


def _no_mask(x: Any, xp: Any, name: str, what: str) -> None:
    if kind_of(x, xp) == "bool":
        raise TypeError(f"{name}: got booleans, which look like a mask; {what} are numbers")


def logits_along(x: Any, axis: Any, name: str) -> Any:
    """Logits that have the axis (None for all of them)."""
    x = numbers(x, name)
    all_axes(axis, len(shape(x)), name)
    return x


def one_axis_or_all(x: Any, axis: Any, name: str) -> Any:
    """Logits for functions along an axis that is an int, or None for all of them."""
    if isinstance(axis, (tuple, list)):
        raise TypeError(f"{name}: axis is an int, or None for all elements, and not {axis!r}")
    return logits_along(x, axis, name)


def mask(xp: Any, where: Any, sizes: Shape, name: str, what: str = "logits") -> Any:
    """Bools that broadcast to the shape of what they mask; True is kept."""
    if kind_of(where, xp) != "bool":
        given = f"{where!r}" if type(where) in SCALARS else f"an array of {where.dtype}"
        raise TypeError(f"{name}: where is a mask of bools, True for what is kept, not {given}")
    if broadcast_shapes(f"{name}: where and the {what}", shape(where), sizes) != sizes:
        raise ValueError(f"{name}: where has shape {shape(where)}, and the {what} have only {sizes}")
    return xp.asarray(where) if type(where) is bool else where


def temperature(xp: Any, t: Any, sizes: Shape, axis: Any, name: str) -> Any:
    """A positive number, or one for each row: an array that broadcasts to the logits and has one element along the axis."""
    if t is None:
        raise TypeError(f"{name}: temperature is a number, or one for each row, and not None; 1.0 changes nothing")
    t = numbers(t, name, "values of temperature")
    if type(t) is not float:
        given = shape(t)
        lead = len(sizes) - len(given)
        if broadcast_shapes(f"{name}: temperature and logits", given, sizes) != sizes or any(
            at >= lead and given[at - lead] != 1 for at in all_axes(axis, len(sizes), name)
        ):
            raise ValueError(
                f"{name}: a temperature is one number, or one for each row with 1 along axis {axis}; got shape {given} for "
                f"logits of shape {sizes}"
            )
    if some(xp, xp.logical_not(t > 0.0) if type(t) is not float else not t > 0.0):  # nan too
        raise ValueError(f"{name}: a temperature is positive" + (f", and this one is {t}" if type(t) is float else ""))
    return t


def reduction(kind: str, name: str, words: tuple[str, ...] = REDUCTIONS) -> None:
    """One of the words."""
    if kind not in words:
        raise ValueError(f"{name}: reduction is one of {', '.join(words)}, not {kind!r}")


def loss_settings(name: str, kind: str, ignore_index: Any, empty: str) -> None:
    """What losses of class indices have in common."""
    reduction(kind, name)
    if empty not in EMPTY:
        raise ValueError(f"{name}: empty is one of {', '.join(EMPTY)}, not {empty!r}")
    if ignore_index is not None and (isinstance(ignore_index, bool) or not isinstance(ignore_index, Integral)):
        raise TypeError(f"{name}: ignore_index is a class index, an int, not {ignore_index!r}")


def fraction(x: Any, name: str, what: str) -> None:
    """A plain number from 0 to 1."""
    _number(x, name, what)
    if not 0.0 <= x <= 1.0:  # nan too
        raise ValueError(f"{name}: {what} is from 0 to 1, and this one is {x}")


def setting(x: Any, name: str, what: str) -> None:
    """A plain number of 0 or more."""
    _number(x, name, what)
    if not x >= 0.0:  # nan too
        raise ValueError(f"{name}: {what} is not negative, and this one is {x}")


def _number(x: Any, name: str, what: str) -> None:
    if isinstance(x, bool) or not isinstance(x, Real):
        raise TypeError(f"{name}: {what} is a number, not {x!r}")


def class_weights(xp: Any, weight: Any, classes: int, name: str, validate: bool = True, what: str = "weight") -> Any:
    """One number of 0 or more a class; None for none."""
    if weight is None:
        return None
    weight = numbers(weight, name, f"values of {what}")
    if shape(weight) != (classes,):
        raise ValueError(f"{name}: {what} is one number a class, of shape {(classes,)}; got shape {shape(weight)}")
    if validate:
        not_negative(xp, weight, name, what)
    return weight


def not_negative(xp: Any, weight: Any, name: str, what: str) -> None:
    """Refuses weights below 0, inf and nan."""
    if some(xp, not 0.0 <= weight < inf if type(weight) is float else xp.logical_not((weight >= 0.0) & (weight < inf))):
        raise ValueError(f"{name}: {what} is made of numbers of 0 or more, all of them finite, and some are not")


def weights_like(xp: Any, weight: Any, sizes: Shape, name: str, what: str) -> Any:
    """Numbers of 0 or more that broadcast to the shape of what they weigh; None for none."""
    if weight is None:
        return None
    weight = numbers(weight, name, f"values of {what}")
    if broadcast_shapes(f"{name}: {what} and logits", shape(weight), sizes) != sizes:
        raise ValueError(f"{name}: {what} has shape {shape(weight)}, and the logits have only {sizes}")
    not_negative(xp, weight, name, what)
    return weight


def between_0_and_1(xp: Any, p: Any, name: str) -> None:
    """Refuses what is no probability. (nan passes: it is an answer.)"""
    if some(xp, (p < 0.0) | (p > 1.0)):
        raise ValueError(
            f"{name}: probabilities lie between 0 and 1, and some do not; these look like logits: use from_logits=True"
        )


def something(xp: Any, x: Any, targets: Any, weight: Any, axis: int, ignore_index: int | None, kind: str, name: str) -> None:
    """Refuses a mean of no rows, of ignored ones alone, and of those of weight 0."""
    kept, x, targets = readable(xp, x, targets, ignore_index, axis)
    whole = whole_of(xp, x, targets, weight, kept, axis, kind)
    nothing = 0 in shape(x) or (whole is not None and some(xp, xp.equal(whole, 0.0)))
    if nothing and kind in ("mean", "batchmean"):
        raise ValueError(
            f"{name}: there is nothing to take the mean of: no rows, all ignored, or all of weight 0; with empty='zero' it is 0"
        )


def some(xp: Any, marked: Any) -> bool:
    """Whether anything is marked; not inside `jax.jit`, where even what is made of plain arrays has no numbers yet."""
    found = marked if type(marked) is bool else xp.any(marked)
    return not is_traced(found) and bool(found)


def probabilities(xp: Any, p: Any, axis: int, name: str, kept: Any = None) -> None:
    """Refuses what no softmax gives: entries outside [0, 1], and rows that do not sum to 1. (nan passes: it is an answer.)"""
    if kept is not None:
        p = xp.where(xp.expand_dims(kept, axis=axis), p, 1.0 / shape(p)[axis])
    if some(xp, (p < 0.0) | (p > 1.0 + ROUNDING)):
        raise ValueError(
            f"{name}: probabilities lie between 0 and 1, and some do not; these look like logits: use from_logits=True"
        )
    problem = f"{name}: probabilities sum to 1 along axis {axis}, and one row sums to"
    _sums_to_1(xp, p, axis, problem, "for logits use from_logits=True")


def _sums_to_1(xp: Any, p: Any, axis: int, problem: str, remedy: str) -> None:
    far = xp.abs(xp.sum(p, axis=axis) - 1.0)
    if some(xp, far > slack(xp, p)):
        wrong = next(s for s in flatten(nested_lists(xp.sum(p, axis=axis)))[0] if abs(s - 1) > slack(xp, p))
        raise ValueError(f"{problem} {float(wrong):.6g}; {remedy}")


def slack(xp: Any, p: Any) -> float:
    """How far from 1 the sum of a row may lie: a thousandth, and more for numbers of half a float's width."""
    return max(1e-3, 8.0 * float(xp.finfo(p.dtype).eps)) if hasattr(xp, "finfo") else 1e-3


def log_probabilities(xp: Any, x: Any, name: str, axis: int, kept: Any = None) -> None:
    """Refuses what is no logarithm of a probability."""
    x = x if kept is None else xp.where(xp.expand_dims(kept, axis=axis), x, 0.0)
    if some(xp, x > ROUNDING):
        raise ValueError(
            f"{name}: log-probabilities are not positive, and some are; of logits take tg.log_softmax, "
            "and for probabilities use tg.cross_entropy(..., from_logits=False)"
        )


def class_targets(
    xp: Any,
    targets: Any,
    sizes: Shape,
    axis: int,
    name: str,
    what: str = "logits",
    *,
    ignore_index: int | None = None,
    validate: bool = True,
) -> Any:
    """Targets for `what` of shape `sizes`: ints are class indices, floats of the same shape are probabilities."""
    if not sizes[axis] or kind_of(targets, xp) != "real floating" or shape(targets) != sizes:
        other = f"probabilities (floats of shape {sizes})"
        return class_indices(xp, targets, sizes, axis, name, what, other, ignore_index=ignore_index, validate=validate)
    if ignore_index is not None:
        raise ValueError(f"{name}: ignore_index is for class indices, and these targets are probabilities")
    if validate:
        if some(xp, targets < 0.0):
            raise ValueError(f"{name}: target probabilities are not negative, and some are")
        problem = f"{name}: target probabilities sum to 1 along axis {axis}, and one row sums to"
        remedy = "validate=False takes them as they are; for several yes-or-no answers a row use tg.binary_cross_entropy"
        _sums_to_1(xp, targets, axis, problem, remedy)
    return targets


def class_indices(
    xp: Any,
    targets: Any,
    sizes: Shape,
    axis: int,
    name: str,
    what: str = "logits",
    other: str = "",
    *,
    ignore_index: int | None = None,
    validate: bool = True,
) -> Any:
    """One int for each row of the `what`; the error for anything else says which `other` targets there could be."""
    kind, given = kind_of(targets, xp), shape(targets)
    rows, classes = sizes[:axis] + sizes[axis + 1 :], sizes[axis]
    if not classes:
        raise ValueError(f"{name}: {what} of shape {sizes} have no classes along axis {axis}")
    if given == rows and 0 in rows and kind == "real floating":  # an empty list cannot say what it holds
        return xp.astype(targets, xp.int64)
    if kind == "integral":
        if given != rows:
            one_hot = given == sizes and "probabilities" in other
            raise ValueError(
                f"{name}: class indices of shape {given} for {what} of shape {sizes}; there should be one for each row, so "
                + ("for one-hot targets, which are probabilities, give floats" if one_hot else _remedy(given, rows))
            )
        indices = xp.asarray(targets) if type(targets) is int else targets
        if validate:
            _in_range(xp, indices, classes, name, ignore_index)
        return indices
    hint = ""
    if given == rows:
        measured = kind == "real floating" and some(xp, xp.not_equal(xp.floor(targets), targets))
        hint = "; to predict numbers take tg.mse_loss" if measured else "; these look like class indices: convert them to ints"
    raise TypeError(
        f"{name}: targets are class indices (ints of shape {rows})" + (f" or {other}" if other else "") + ", "
        f"not {'floats' if kind == 'real floating' else kind} of shape {given}{hint}"
    )


def _remedy(given: Shape, rows: Shape) -> str:
    return f"reshape them to {rows}" if prod(given) == prod(rows) else f"they need shape {rows}"


def _in_range(xp: Any, labels: Any, classes: int, name: str, ignore_index: int | None) -> None:
    row = xp.reshape(labels, (-1,))
    flat = [] if is_traced(row) else nested_lists(row)
    if flat and not 0 <= min(flat) <= max(flat) < classes:
        wrong = ((i, v) for i, v in enumerate(flat) if not 0 <= v < classes and v != ignore_index)
        place, label = next(wrong, (-1, 0))
        if place < 0:
            return
        sizes = shape(labels)
        position = tuple(place // step % n for n, step in zip(sizes, row_major(sizes), strict=True))
        raise LabelError(name, int(label), position, classes)


def answers(xp: Any, targets: Any, logits: Any, name: str) -> Any:
    """Targets of yes-or-no questions: between 0 and 1, in the shape of the logits; yes and no may be bools or ints."""
    _same_shape(shape(targets), shape(logits), f"{name}: targets of shape {shape(targets)} for logits of shape {shape(logits)}")
    targets = _floats_like(xp, targets, logits)
    if some(xp, (targets < 0.0) | (targets > 1.0)):
        raise ValueError(f"{name}: targets are between 0 and 1, and some are not")
    return targets


def signs(xp: Any, targets: Any, scores: Any, name: str) -> Any:
    """Targets of yes-or-no questions as -1 and 1, in the shape of the scores."""
    if kind_of(targets, xp) == "bool":
        raise TypeError(f"{name}: targets of the scores' shape are -1 and 1, not bools; write 2 * t - 1 of ints")
    targets = _floats_like(xp, targets, scores)
    if some(xp, xp.not_equal(xp.abs(targets), 1.0)):
        raise ValueError(f"{name}: targets of the scores' shape are -1 and 1, and some are not; write 2 * t - 1 of 0 and 1")
    return targets


def numbers_like(xp: Any, targets: Any, predictions: Any, name: str) -> Any:
    """Targets that are numbers in the shape of the predictions, without broadcasting: (n,) against (n, 1) would be n * n."""
    _no_mask(targets, xp, name, "targets")
    given, wanted = shape(targets), shape(predictions)
    _same_shape(given, wanted, f"{name}: targets of shape {given} for predictions of shape {wanted}")
    return _floats_like(xp, targets, predictions)


def _same_shape(given: Shape, wanted: Shape, problem: str) -> None:
    if given != wanted:
        raise ValueError(problem + (f"; reshape them to {wanted}" if prod(given) == prod(wanted) else ""))


def _floats_like(xp: Any, targets: Any, like: Any) -> Any:
    """Floats as they are, ints and bools as floats of the kind of `like`."""
    if type(targets) in SCALARS:
        return float(targets)
    if kind_of(targets, xp) == "real floating":
        return targets
    return xp.astype(targets, xp.asarray(0.0).dtype if type(like) is float else like.dtype)
