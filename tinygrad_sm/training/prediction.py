"""What a trained network says, and how often it is right."""

from __future__ import annotations

from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.family.checks import class_indices
from tinygrad_sm.graph import no_grad
from tinygrad_sm.graph.namespaces import is_array, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import whole_number
from tinygrad_sm.nn.module import mode
from tinygrad_sm.ops.helpers import as_plain, count, moved
from tinygrad_sm.training.batches import (
    Loss,
    as_rows,
    batches,
    inputs_of,
    must_be_callable,
    picked,
    right_ones,
    sample_of,
)
from tinygrad_sm.training.diagnosis import quiet


def predict(model: Any, X: Any, *, outputs: bool = False, batch_size: int = 256) -> Any:
    """The most likely class of each row of X, as an array of ints; with `outputs=True` what the network gives, as it is.

    X are rows of inputs: lists, or an array of any library. The network computes in its own, and the answer is in that of X
    (for lists in that of the network). Nothing is recorded, and Dropout does nothing. The class is that of the largest output,
    be it a logit or a probability; the first of equals. Raises a ValueError for a network with one output a row, which has
    no classes to choose from.

    >>> import tinygrad_sm as tg
    >>> tg.predict(lambda x: x @ [[1.0, 0.0], [0.0, 1.0]], [[3.0, 1.0], [0.0, 2.0]])
    array([0, 1])
    """
    must_be_callable(model, "predict")
    batch_size = whole_number(batch_size, "predict: batch_size")
    X = plain(X.to_numpy() if hasattr(X, "to_numpy") else X)
    like = sample_of(model, X)
    xp = namespace_of([like])
    library = namespace_of([X]) if is_array(X) else xp
    X = inputs_of(X, like, "predict")
    if not shape(X)[0]:
        raise ValueError("predict: X has no rows")
    with mode(model, training=False), no_grad():
        parts = [_one_a_row(model(picked(X, xp, rows)), len(rows)) for rows in batches(shape(X)[0], batch_size)]
    found = xp.concat(parts, axis=0)
    if outputs:
        return moved(found, library)
    if len(shape(found)) < 2 or shape(found)[-1] < 2:
        hint = "" if len(shape(X)) > 1 else f"; and X of shape {shape(X)} is rows of one number: for a single row give [x]"
        raise ValueError(
            f"predict: the network gives outputs of shape {shape(found)}, one number a row, so there are no classes to "
            f"choose from; outputs=True gives the numbers{hint}"
        )
    return moved(xp.argmax(found, axis=-1), library)


def accuracy(model: Any, X: Any, y: Any = None, *, batch_size: int = 256) -> float:
    """The share of rows, from 0 to 1, whose most likely class is the target: `accuracy(model, X, y)`.

    Also `accuracy(predictions, y)`, where the predictions are classes (ints or bools of the shape of y), or logits or
    probabilities (floats with an axis of classes more). Raises a ValueError where shapes do not fit, a TypeError for targets
    that are neither ints nor bools, and a `LabelError` for a target that no output stands for.

    >>> import tinygrad_sm as tg
    >>> tg.accuracy([0, 1, 2, 2], [0, 1, 2, 0])
    0.75
    """
    if y is not None:
        found, targets = predict(model, X, outputs=True, batch_size=batch_size), y
        if len(shape(found)) < 2 or shape(found)[-1] < 2:
            raise ValueError(
                f"accuracy: the network gives outputs of shape {shape(found)}, one number a row; for yes-or-no answers write "
                "tg.accuracy(tg.predict(model, X, outputs=True) > 0, y), with y in the shape of the outputs"
            )
    elif callable(model) and not is_array(model):
        raise TypeError("accuracy: needs the targets too, as accuracy(model, X, y)")
    else:
        found, targets = as_plain(model, "accuracy"), X
    like = found if is_array(found) else nd.asarray([found])
    xp, targets = namespace_of([like]), as_rows(targets, like, "accuracy: targets")
    if not count(targets, None):
        raise ValueError("accuracy: there are no targets")
    found, targets = (xp.astype(x, xp.int64) if kind_of(x, xp) == "bool" else x for x in (found, targets))
    if kind_of(targets, xp) != "integral":
        raise TypeError("accuracy: the targets are classes, given as ints")
    right = right_ones(found, targets, xp)
    if right is not None:
        class_indices(xp, targets, shape(found), len(shape(targets)), "accuracy", "outputs")
    else:
        if kind_of(found, xp) != "integral" or shape(found) != shape(targets):
            raise ValueError(
                f"accuracy: predictions of shape {shape(found)} for targets of shape {shape(targets)}; they should be classes "
                "(ints, of the shape of the targets) or outputs (with an axis of two or more classes besides)"
            )
        right = int(xp.sum(xp.astype(xp.equal(found, targets), xp.int64)))
    return right / count(targets, None)


def _one_a_row(outputs: Any, rows: int) -> Any:
    outputs = plain(outputs)
    if not is_array(outputs) or shape(outputs)[:1] != (rows,):
        got = f"shape {shape(outputs)}" if is_array(outputs) else f"type {type(outputs).__name__}"
        raise ValueError(f"predict: the network should give an array with an entry for each of {rows} rows, and gave {got}")
    return outputs


def evaluate(model: Any, loss: Loss, X: Any, y: Any, xp: Any, batch_size: int) -> tuple[float, float | None]:
    """Mean loss, and accuracy where targets are classes."""
    total = 0.0
    right: int | None = 0
    with mode(model, training=False), no_grad(), quiet(xp):
        for rows in batches(shape(X)[0], batch_size):
            outputs, targets = model(picked(X, xp, rows)), picked(y, xp, rows)
            total += float(loss(outputs, targets)) * len(rows)
            hits = right_ones(outputs, targets, xp)
            right = None if hits is None or right is None else right + hits
    return total / shape(X)[0], None if right is None else right / count(y, None)
