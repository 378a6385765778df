"""Schedulers: the learning rate as a function of the epoch, with PyTorch's names and PyTorch's formulas.

Call `scheduler.step()` after each epoch. Every rate is its formula at the epoch, so no rounding errors pile up; and where
somebody else has changed a rate since (a second scheduler, or you), the schedule goes on from there, scaled alike.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_sm.nd.shapes import whole_number
from tinygrad_sm.optim.checks import number
from tinygrad_sm.optim.optimizers import Optimizer


class LRScheduler:
    """What all schedulers share. One of your own defines `factor`, by which the rate at the start is multiplied.

    >>> import tinygrad_sm as tg
    >>> class Inverse(tg.optim.LRScheduler):
    ...     def factor(self, epoch):
    ...         return 1 / (1 + epoch)
    >>> optimizer = tg.optim.SGD([tg.Value(1.0)], lr=0.5)
    >>> scheduler = Inverse(optimizer)
    >>> scheduler.step()
    >>> scheduler.last_epoch, scheduler.get_last_lr()
    (1, [0.25])
    """

    _unsaved = {"optimizer", "schedulers", "lr_lambda"}

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{self._name}: needs an optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.base_lrs = self._rates_now()
        for group, lr in zip(optimizer.param_groups, self.base_lrs, strict=True):
            group.setdefault("initial_lr", lr)
        self._last_lr = self.base_lrs
        self.last_epoch = -1
        LRScheduler.step(self)

    def factor(self, epoch: int) -> float:
        """What the rate at the start is multiplied by in this epoch, which counts from 0."""
        return 1.0

    def rates(self, epoch: int, base_lrs: list[float]) -> list[float]:
        """The rate of each group in this epoch."""
        factor = self.factor(epoch)
        return [base * factor for base in base_lrs]

    def step(self) -> None:
        """To the next epoch."""
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise ValueError(
                f"{self._name}: made for {len(self.base_lrs)} groups of parameters, and there are {len(groups)} now"
            )
        epoch = self.last_epoch + 1
        bases = [
            base if lr == last else base * (lr / last) if last else lr
            for lr, base, last in zip(self._rates_now(), self.base_lrs, self._last_lr, strict=True)
        ]
        rates = [number(f"{self._name}: the lr of epoch {epoch}", lr) for lr in self.rates(epoch, bases)]
        self.last_epoch, self.base_lrs = epoch, bases
        self._write(rates)

    def get_last_lr(self) -> list[float]:
        """The rates that were set last, one a group."""
        return [*self._last_lr]

    def state_dict(self) -> dict[str, Any]:
        """The progress and the settings, without the optimizer and without functions."""
        saved = {key: x for key, x in vars(self).items() if key not in self._unsaved}
        return {key: [*x] if isinstance(x, list) else x for key, x in saved.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from such a state; an optimizer that is still at its start gets the rate of then, too."""
        own = self.state_dict()
        if not isinstance(state_dict, dict) or state_dict.keys() != own.keys():
            raise ValueError(f"{self._name}.load_state_dict: needs what state_dict() gave, a dict of {sorted(own)}")
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ValueError(
                f"{self._name}.load_state_dict: rates of {len(state_dict['base_lrs'])} groups, not {len(own['base_lrs'])}"
            )
        untouched = self._rates_now() == self._last_lr
        vars(self).update({key: [*x] if isinstance(x, list) else x for key, x in state_dict.items()})
        if untouched:
            self._write(self._last_lr)

    def _rates_now(self) -> list[float]:
        return [number(f"{self._name}: lr", group["lr"]) for group in self.optimizer.param_groups]

    def _write(self, rates: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr = rates

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        shown = {key: x for key, x in vars(self).items() if not key.startswith("_") and key not in self._unsaved | {"base_lrs"}}
        return f"{self._name}({', '.join(f'{key}={x}' for key, x in shown.items())}, lr={'|'.join(map(str, self._last_lr))})"


class LambdaLR(LRScheduler):
    """The rate at the start times `lr_lambda(epoch)`; a list of functions has one for each group.

    >>> import tinygrad_sm as tg
    >>> optimizer = tg.optim.SGD([tg.Value(1.0)], lr=0.5)
    >>> scheduler = tg.optim.LambdaLR(optimizer, lambda epoch: 0.5**epoch)
    >>> scheduler.step()
    >>> optimizer.param_groups[0]["lr"]
    0.25
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]) -> None:
        self.lr_lambda = lr_lambda
        functions = lr_lambda if isinstance(lr_lambda, (list, tuple)) else [lr_lambda]
        if not all(map(callable, functions)):
            raise TypeError("LambdaLR: lr_lambda is a function of the epoch, or a list of them, one for each group")
        super().__init__(optimizer)

    def rates(self, epoch: int, base_lrs: list[float]) -> list[float]:
        """The rate of each group in this epoch."""
        functions = self.lr_lambda if isinstance(self.lr_lambda, (list, tuple)) else [self.lr_lambda] * len(base_lrs)
        if len(functions) != len(base_lrs):
            raise ValueError(f"LambdaLR: {len(functions)} functions for {len(base_lrs)} groups of parameters")
        return [base * function(epoch) for base, function in zip(base_lrs, functions, strict=True)]


class StepLR(LRScheduler):
    """Times `gamma` after every `step_size` epochs: gamma^(epoch // step_size).

    >>> import tinygrad_sm as tg
    >>> scheduler = tg.optim.StepLR(tg.optim.SGD([tg.Value(1.0)], lr=1.0), step_size=2, gamma=0.5)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = whole_number(step_size, "StepLR: step_size"), number("StepLR: gamma", gamma)
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        """gamma^(epoch // step_size)."""
        return self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """Times `gamma` at each of the `milestones`, which are epochs; one that is there twice counts twice."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(_milestones("MultiStepLR", milestones))
        self.gamma = number("MultiStepLR: gamma", gamma)
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        """gamma^(number of milestones reached)."""
        return self.gamma ** bisect_right(self.milestones, epoch)


class ExponentialLR(LRScheduler):
    """Times `gamma` after every epoch: gamma^epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = number("ExponentialLR: gamma", gamma)
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        """gamma^epoch."""
        return self.gamma**epoch


class LinearLR(LRScheduler):
    """The warm-up: the factor goes along a line from `start_factor` to `end_factor` in `total_iters` epochs and stays."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor = number("LinearLR: start_factor", start_factor)
        self.end_factor = number("LinearLR: end_factor", end_factor)
        self.total_iters = whole_number(total_iters, "LinearLR: total_iters")
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        """start + (end - start) epoch / total."""
        done = min(epoch / self.total_iters, 1.0)
        return self.start_factor * (1.0 - done) + self.end_factor * done


class CosineAnnealingLR(LRScheduler):
    """Down along half a cosine from the rate at the start to `eta_min` in `T_max` epochs, and up again in as many.

    eta_min + (lr - eta_min) (1 + cos(pi epoch / T_max)) / 2. From Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient
    Descent with Warm Restarts".
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = whole_number(T_max, "CosineAnnealingLR: T_max")
        self.eta_min = number("CosineAnnealingLR: eta_min", eta_min)
        super().__init__(optimizer)

    def rates(self, epoch: int, base_lrs: list[float]) -> list[float]:
        """The rate of each group in this epoch."""
        part = (1.0 + math.cos(math.pi * epoch / self.T_max)) / 2.0
        return [self.eta_min + (base - self.eta_min) * part for base in base_lrs]


class SequentialLR(LRScheduler):
    """One scheduler after the other: the next one takes over at each of the `milestones` and counts its epochs from there.

    >>> import tinygrad_sm as tg
    >>> optimizer = tg.optim.SGD([tg.Value(1.0)], lr=1.0)
    >>> warm_up = tg.optim.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = tg.optim.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = tg.optim.SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        self.schedulers, self.milestones = [*schedulers], _milestones("SequentialLR", milestones)
        if self.milestones != sorted(self.milestones) or len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(self.schedulers)} schedulers need {len(self.schedulers) - 1} milestones "
                f"in ascending order, not {self.milestones}"
            )
        for i, scheduler in enumerate(self.schedulers):
            if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
                raise TypeError(f"SequentialLR: scheduler {i} is no schedule of epochs but of type {type(scheduler).__name__}")
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: scheduler {i} belongs to another optimizer")
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]  # the schedulers have set it, each to its own start
        super().__init__(optimizer)

    def rates(self, epoch: int, base_lrs: list[float]) -> list[float]:
        """Those of the scheduler whose turn it is."""
        i = bisect_right(self.milestones, epoch)
        return self.schedulers[i].rates(epoch - (self.milestones[i - 1] if i else 0), base_lrs)


class ReduceLROnPlateau(LRScheduler):
    """Times `factor` once a metric has not become better for more than `patience` epochs; `step(metric)` tells the metric.

    Better is below best * (1 - threshold) in `mode` "min" and above best * (1 + threshold) in "max"; with
    `threshold_mode="abs"` the threshold is a distance. After a reduction `cooldown` epochs do not count. No rate goes below
    `min_lr` (a number, or a list with one for each group), and one that would change by no more than `eps` stays.

    >>> import tinygrad_sm as tg
    >>> optimizer = tg.optim.SGD([tg.Value(1.0)], lr=1.0)
    >>> scheduler = tg.optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        for what, x, known in (("mode", mode, ("min", "max")), ("threshold_mode", threshold_mode, ("rel", "abs"))):
            if x not in known:
                raise ValueError(f"{name}: {what} is {known[0]!r} or {known[1]!r}, not {x!r}")
        super().__init__(optimizer)
        self.mode, self.threshold_mode = mode, threshold_mode
        self.reduction = number(f"{name}: factor", factor, below=1.0)
        self.patience = whole_number(patience, f"{name}: patience", least=0)
        self.cooldown = whole_number(cooldown, f"{name}: cooldown", least=0)
        self.threshold, self.eps = number(f"{name}: threshold", threshold), number(f"{name}: eps", eps)
        least = [*min_lr] if isinstance(min_lr, (list, tuple)) else [min_lr] * len(self.base_lrs)
        if len(least) != len(self.base_lrs):
            raise ValueError(f"{name}: {len(least)} numbers in min_lr for {len(self.base_lrs)} groups of parameters")
        self.min_lrs = [number(f"{name}: min_lr", x) for x in least]
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """To the next epoch, with the metric (a number, or a Value or array of one element) of the last one."""
        current = float(metrics)
        self.last_epoch += 1
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        rates = self._rates_now()
        if self.num_bad_epochs > self.patience:
            reduced = [max(lr * self.reduction, least) for lr, least in zip(rates, self.min_lrs, strict=True)]
            rates = [new if lr - new > self.eps else lr for lr, new in zip(rates, reduced, strict=True)]
            self.num_bad_epochs, self.cooldown_counter = 0, self.cooldown
        self._write(rates)

    def _is_better(self, metric: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        bound = self.best * (1.0 + sign * self.threshold) if self.threshold_mode == "rel" else self.best + sign * self.threshold
        return metric > bound if self.mode == "max" else metric < bound


def _milestones(name: str, x: Any) -> list[int]:
    if not isinstance(x, (list, tuple)):
        raise TypeError(f"{name}: milestones is a list of epochs, not of type {type(x).__name__}")
    return [whole_number(epoch, f"{name}: each milestone", least=0) for epoch in x]
