"""Optimizers, schedules of the learning rate and clipping, with PyTorch's names and formulas, for Values of any library.

>>> import tinygrad_sm as tg
>>> w = tg.Value([3.0, -1.0])
>>> optimizer = tg.optim.SGD([w], lr=0.125, momentum=0.5)
>>> for _ in range(40):
...     optimizer.zero_grad()
...     (w * w).sum().backward()
...     optimizer.step()
>>> print(f"{(w * w).sum():.6f}")
0.000000
"""

import typing as _typing

from tinygrad_sm.optim.clipping import clip_grad_norm, clip_grad_value
from tinygrad_sm.optim.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from tinygrad_sm.optim.schedulers import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm",
    "clip_grad_value",
]

_IN_PYTORCH = {
    "lr_scheduler": "the schedules are in tg.optim itself, such as tg.optim.StepLR",
    "clip_grad_norm_": "it is tg.optim.clip_grad_norm, without the underscore",
}

if not _typing.TYPE_CHECKING:  # or a type checker would take any name for one of the module's

    def __getattr__(name):
        if name in _IN_PYTORCH:
            raise AttributeError(f"tg.optim has no {name}: {_IN_PYTORCH[name]}", name=None)  # or Python would guess another
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
