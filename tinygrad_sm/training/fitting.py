"""The training loop: batches in an order drawn by a seed, a step each, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from time import perf_counter
from typing import Any

from tinygrad_sm.datasets.arguments import generator
from tinygrad_sm.family import LabelError, cross_entropy
from tinygrad_sm.graph import Value, no_grad
from tinygrad_sm.graph.namespaces import is_array, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import brief, flatten, row_major, whole_number
from tinygrad_sm.nn import CrossEntropyLoss
from tinygrad_sm.nn.module import mode
from tinygrad_sm.ops.helpers import count
from tinygrad_sm.optim import Adam, Optimizer, ReduceLROnPlateau
from tinygrad_sm.training import diagnosis
from tinygrad_sm.training.batches import (
    Loss,
    batches,
    must_be_callable,
    must_be_no_class,
    picked,
    right_ones,
    rows_of,
    sample_of,
)
from tinygrad_sm.training.prediction import evaluate
from tinygrad_sm.training.progress import display, numbers


class History:
    """What a training run measured, an entry an epoch: `loss`, `accuracy`, `validation_loss`, `validation_accuracy`,
    `learning_rate` and `seconds`; and `step_loss`, an entry a step.

    Losses are means over the rows, accuracies shares from 0 to 1. Those of the training rows are taken as the rows are seen,
    while the network still learns; those of the validation rows after the epoch. The lists of what there is not (accuracy
    without classes, validation without rows for it) are empty. `interrupted` says whether Ctrl-C ended the run.
    """

    def __init__(self) -> None:
        self.loss: list[float] = []
        self.accuracy: list[float] = []
        self.validation_loss: list[float] = []
        self.validation_accuracy: list[float] = []
        self.learning_rate: list[float] = []
        self.seconds: list[float] = []
        self.step_loss: list[float] = []
        self.interrupted = False

    def __repr__(self) -> str:
        shown = {key: x[-1] for key, x in vars(self).items() if isinstance(x, list) and x and key[-4:] in ("loss", "racy")}
        text = ", ".join(f"{key}={x:.4g}" for key, x in shown.items() if key != "step_loss")
        n = len(self.loss)
        return f"History({n} epoch{'s' * (n != 1)}{', ' if text else ''}{text}{', interrupted' if self.interrupted else ''})"


def fit(
    model: Any,
    X: Any,
    y: Any,
    *,
    loss: Loss = cross_entropy,
    optimizer: Any = None,
    epochs: int = 10,
    batch_size: int = 32,
    validation: Any = None,
    scheduler: Any = None,
    seed: int = 0,
    progress: bool = True,
) -> History:
    """Trains a network on the rows of X and their targets y, and returns the `History` of it.

    X and y are lists or arrays of any library, moved to that of the network. `loss(outputs, targets)` gives one number.
    `optimizer` is Adam with a learning rate of 0.01 unless given; `scheduler` takes a step after each epoch, and one that
    wants a metric gets the loss (of the validation rows, if there are any). Each epoch goes through the rows in batches, in
    an order that `seed` draws anew. `validation` is a pair (X, y), or the share of the rows to keep back for it.
    `progress=True` shows a bar where a person watches, and plain lines otherwise.

    Ctrl-C ends the run after the step at hand, with the weights so far; a second one at once. Raises a ValueError for rows
    that do not fit, a `LabelError` for a label the network has no output for, both before anything is learnt; and a
    FloatingPointError, with the weights as they were before the step, when a loss or a gradient is not finite: the sentence
    says at which step, and which op first made it so; its `history` is that of the steps before.

    >>> import tinygrad_sm as tg
    >>> tg.manual_seed(0)
    >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
    >>> model = tg.nn.MLP([2, 8, 2], activation="tanh")
    >>> history = tg.fit(model, X, y, epochs=200, progress=False)
    >>> tg.accuracy(model, X, y)
    1.0
    """
    must_be_callable(model, "fit")
    _must_fit_together(model, loss, optimizer, scheduler)
    epochs, batch_size = whole_number(epochs, "fit: epochs"), whole_number(batch_size, "fit: batch_size")
    draw = generator("fit", seed)
    like = sample_of(model, X, optimizer)
    X, y = rows_of(X, y, like, "fit")
    xp = namespace_of([like])
    _try_out(model, loss, X, y, xp, "fit", batch_size)
    held_out: tuple[Any, Any] | None = None
    if isinstance(validation, (tuple, list)) and len(validation) == 2:
        held_out = rows_of(validation[0], validation[1], like, "fit: validation")
        _try_out(model, loss, *held_out, xp, "fit: validation", batch_size)
    elif validation is not None:
        (X, y), held_out = _kept_back(X, y, xp, validation, draw)
    if optimizer is None:
        optimizer = Adam(model.parameters(), lr=0.01)

    run = _Run(model, loss, optimizer, xp)
    history, n = run.history, shape(X)[0]
    order = [*range(n)]
    with mode(model, training=True), interrupts() as asked, display(progress, epochs, -(-n // batch_size)) as shown:
        try:
            for epoch in range(epochs):
                draw.shuffle(order)
                run.start(epoch)
                for rows in batches(n, batch_size, order):
                    run.step(picked(X, xp, rows), picked(y, xp, rows))
                    shown.step(epoch, numbers(*run.so_far()))
                    if asked():
                        raise KeyboardInterrupt
                run.finish(evaluate(model, loss, *held_out, xp, max(batch_size, 256)) if held_out else None)
                if isinstance(scheduler, ReduceLROnPlateau):
                    scheduler.step((history.validation_loss or history.loss)[-1])
                elif scheduler is not None:
                    scheduler.step()
                shown.epoch(history)
                if asked():
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            history.interrupted = True
            done = len(history.step_loss)
            shown.say(f"Interrupted in epoch {run.epoch + 1} of {epochs}, after {done} steps; the weights are those so far.")
    return history


class _Run:
    """The state of a training run: the step, and the sums of the epoch."""

    def __init__(self, model: Any, loss: Loss, optimizer: Any, xp: Any) -> None:
        self.model, self.loss, self.optimizer, self.xp = model, loss, optimizer, xp
        self.history = History()
        named = model.named_parameters() if hasattr(model, "named_parameters") else ()
        self.names = {id(p): name for name, p in named}
        self.epoch = 0
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def start(self, epoch: int) -> None:
        """The sums begin at nothing."""
        self.epoch, self.began = epoch, perf_counter()
        self.total, self.rows, self.right, self.targets = 0.0, 0, 0, 0
        self.classes = True

    def step(self, X: Any, y: Any) -> None:
        """Forward, backward, update."""
        with diagnosis.quiet(self.xp):
            outputs = self.model(X)
            loss = self.loss(outputs, y)
            _must_be_one_number(loss)
            value = float(loss)
            if not diagnosis.is_finite(value):
                raise self._lost(f"the loss turned {value}", diagnosis.of_forward(loss, self.names))
            self.optimizer.zero_grad()
            if loss.requires_grad:
                loss.backward(free=True)
            if not any(p.has_grad for p in self.parameters):
                raise ValueError(
                    "fit: the loss depends on no parameter of the optimizer; was it made for another network, are all "
                    "parameters frozen, or is this inside tg.no_grad()?"
                )
            for p in self.parameters:
                if p.has_grad and not diagnosis.is_finite(p.grad):
                    name = self.names.get(id(p)) or p.name or "a parameter"
                    raise self._lost(f"the gradient of {name} is not finite", diagnosis.of_backward(loss))
            self.optimizer.step()
        n = shape(y)[0]
        right = right_ones(outputs, y, self.xp)
        self.classes = self.classes and right is not None
        self.total, self.rows = self.total + value * n, self.rows + n
        self.right, self.targets = self.right + (right or 0), self.targets + count(y, None)
        self.history.step_loss.append(value)

    def _lost(self, what: str, whence: str) -> FloatingPointError:
        self.optimizer.zero_grad()
        error = FloatingPointError(
            f"fit: {what} at step {len(self.history.step_loss) + 1} (epoch {self.epoch + 1}); {whence}. "
            "The weights are those before this step"
        )
        error.history = self.history  # type: ignore[attr-defined]
        return error

    def so_far(self) -> tuple[float, float | None]:
        """Mean loss and accuracy of the epoch."""
        return self.total / self.rows, self.right / self.targets if self.classes else None

    def finish(self, validated: tuple[float, float | None] | None) -> None:
        """The numbers of the epoch go into the history."""
        history = self.history
        loss, accuracy = self.so_far()
        history.loss.append(loss)
        if accuracy is not None:
            history.accuracy.append(accuracy)
        if validated is not None:
            history.validation_loss.append(validated[0])
            if validated[1] is not None:
                history.validation_accuracy.append(validated[1])
        if "lr" in self.optimizer.defaults:
            history.learning_rate.append(self.optimizer.lr)
        history.seconds.append(perf_counter() - self.began)


def _must_fit_together(model: Any, loss: Any, optimizer: Any, scheduler: Any) -> None:
    """An error for a loss that is no function, and for an optimizer or a scheduler that is none or another's."""
    if not callable(loss):
        raise TypeError(f"fit: loss is a function of outputs and targets, such as tg.cross_entropy, not {brief(loss)}")
    must_be_no_class(loss, "fit: loss")
    must_be_no_class(scheduler, "fit: scheduler")
    if optimizer is None and not any(True for _ in getattr(model, "parameters", tuple)()):
        raise ValueError(
            "fit: the model has no parameters; where it uses some from elsewhere, give an optimizer of them, "
            "as optimizer=tg.optim.Adam([w, b])"
        )
    if not isinstance(optimizer, Optimizer | None):
        raise TypeError(f"fit: optimizer is one such as tg.optim.Adam(model.parameters(), lr=0.01), not {brief(optimizer)}")
    if not hasattr(scheduler, "step") and scheduler is not None:
        raise TypeError(f"fit: scheduler is one such as tg.optim.StepLR(optimizer, 10), not {brief(scheduler)}")
    if isinstance(scheduler, ReduceLROnPlateau) and scheduler.mode == "max":
        raise ValueError("fit: ReduceLROnPlateau is told the loss, which is to fall, so its mode should be 'min' and not 'max'")
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("fit: the scheduler belongs to another optimizer; give fit that one too, as optimizer=optimizer")


def _kept_back(X: Any, y: Any, xp: Any, validation: Any, draw: Random) -> Any:
    """The rows to learn from, and those that are kept back, a share of all."""
    if not isinstance(validation, float) or not 0.0 < validation < 1.0:
        got = validation if isinstance(validation, (int, float)) else f"of type {type(validation).__name__}"
        raise ValueError(f"fit: validation is a pair (X, y) or a share between 0 and 1, not {got}")
    n = shape(X)[0]
    kept = round(n * validation)
    if not 0 < kept < n:
        raise ValueError(f"fit: validation={validation} of {n} rows leaves no rows on one side")
    order = draw.sample(range(n), n)
    learn, keep = sorted(order[kept:]), sorted(order[:kept])
    return tuple((picked(X, xp, rows), picked(y, xp, rows)) for rows in (learn, keep))


def _try_out(model: Any, loss: Loss, X: Any, y: Any, xp: Any, name: str, batch_size: int) -> None:
    """Runs a batch through network and loss, with the smallest and the largest label in it: what does not fit shows here."""
    labels, sizes = flatten(y) if kind_of(y, xp) == "integral" else ([], shape(y))
    step = len(labels) // sizes[0] or 1
    extremes = [labels.index(label) // step for label in (min(labels), max(labels))] if labels else [0, -1 % sizes[0]]
    rows = [*dict.fromkeys((*extremes, *range(min(batch_size, sizes[0]))))][: max(batch_size, 2)]
    try:
        with mode(model, training=False), no_grad(), diagnosis.quiet(xp):
            outputs, targets = model(picked(X, xp, rows)), picked(y, xp, rows)
            if loss is cross_entropy or (isinstance(loss, CrossEntropyLoss) and "axis" not in loss.settings):
                _must_be_classes(outputs, targets, xp, name)
            _must_be_one_number(loss(outputs, targets))
    except LabelError as error:
        if error.label not in labels:  # of targets that the loss made itself
            raise
        place = labels.index(error.label)
        position = tuple(place // size % n for n, size in zip(sizes, row_major(sizes), strict=True))
        raise LabelError(name, error.label, position, error.classes) from None


def _must_be_classes(outputs: Any, targets: Any, xp: Any, name: str) -> None:
    """Refuses what cross-entropy would take, and learn nothing of use from."""
    given = shape(plain(outputs)) if is_array(plain(outputs)) else ()
    if given[-1:] == (1,):
        raise ValueError(
            f"{name}: with one output a row there is one class, and cross-entropy is always 0; for two classes take two "
            "outputs, or loss=tg.binary_cross_entropy with y of shape (n, 1); for numbers loss=tg.mse_loss"
        )
    if kind_of(targets, xp) == "real floating" and shape(targets) == given:
        sums = xp.sum(targets, axis=-1)
        if bool(xp.any(xp.abs(sums - 1.0) > 1e-3)):
            wrong = next(total for total in flatten(sums)[0] if not abs(total - 1.0) <= 1e-3)
            raise ValueError(
                f"{name}: targets of the outputs' shape are probabilities, and those of one row sum to {float(wrong):.6g}; for "
                "numbers take loss=tg.mse_loss, for several yes-or-no answers a row loss=tg.binary_cross_entropy"
            )


def _must_be_one_number(loss: Any) -> None:
    if not isinstance(loss, Value):
        raise TypeError(f"fit: the loss is of type {type(loss).__name__} and no Value, so nothing leads back to the weights")
    if loss.size != 1:
        raise ValueError(f"fit: the loss is one number, and this one has shape {loss.shape}; reduce it, for example by .mean()")


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Inside, a first Ctrl-C is only noted: the function that comes back tells of it. A second one interrupts at once."""
    import signal

    noted = False

    def note(number: int, frame: Any) -> None:
        nonlocal noted
        if noted:
            raise KeyboardInterrupt
        noted = True

    try:
        # elsewhere than in the main thread nothing can be noted, and a program with its own way of interrupting keeps it
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if ours:
            signal.signal(signal.SIGINT, note)
    except ValueError:
        ours = False
    try:
        yield lambda: noted
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
