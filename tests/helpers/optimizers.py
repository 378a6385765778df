"""The formulas of the optimizers as the papers write them, one number at a time, and every combination of their switches."""

from decimal import Decimal, localcontext
from itertools import product

import numpy as np

from tests.helpers.kinds import WIDE
from tinygrad_sm import optim

START = np.asarray([[0.7, -1.3, 2.1], [5.5, -0.4, 0.9]])
GRADIENTS = [
    np.asarray([[0.3, -2.0, 0.1], [7.0, 0.02, -1.1]]),
    np.asarray([[-0.2, -1.0, 0.4], [-3.0, 0.05, 0.6]]),
    np.asarray([[1.5, 0.7, -0.8], [2.0, -0.01, 0.3]]),
    np.asarray([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]),
]


def decimal(x):
    """The settings as exact numbers."""
    return tuple(map(decimal, x)) if isinstance(x, tuple) else x if isinstance(x, bool) else Decimal(x)


def sgd(p, gradients, lr, momentum, dampening, nesterov, weight_decay):
    b = None
    for g in gradients:
        g = g + weight_decay * p
        b = g if b is None else momentum * b + (1 - dampening) * g
        p = p - lr * (g + momentum * b if nesterov else b if momentum else g)
    return p


def adam(p, gradients, lr, betas, eps, weight_decay, amsgrad, decoupled=False):
    m = v = largest = Decimal(0)
    for t, g in enumerate(gradients, 1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        largest = max(largest, v)
        m_hat, v_hat = m / (1 - betas[0] ** t), (largest if amsgrad else v) / (1 - betas[1] ** t)
        p = p - lr * m_hat / (v_hat.sqrt() + eps)
    return p


def adamw(*args, **settings):
    return adam(*args, **settings, decoupled=True)


def rmsprop(p, gradients, lr, alpha, eps, weight_decay, momentum, centered):
    v = mean = b = Decimal(0)
    for g in gradients:
        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        b = momentum * b + g / ((v - mean**2 if centered else v).sqrt() + eps)
        p = p - lr * b
    return p


FORMULAS = {optim.SGD: sgd, optim.Adam: adam, optim.AdamW: adamw, optim.RMSprop: rmsprop}
SWITCHES = {
    optim.SGD: {"momentum": [0, 0.9], "dampening": [0, 0.25], "nesterov": [False, True], "weight_decay": [0, 0.125]},
    optim.Adam: {
        "betas": [(0.9, 0.999), (0.0, 0.5)],
        "weight_decay": [0, 0.125],
        "amsgrad": [False, True],
        "eps": [1e-8, 0.25],
    },
    optim.RMSprop: {
        "alpha": [0.99, 0.5],
        "weight_decay": [0, 0.125],
        "momentum": [0, 0.9],
        "centered": [False, True],
        "eps": [0.01],
    },
}
SWITCHES[optim.AdamW] = SWITCHES[optim.Adam]


def combinations(optimizer):
    """Every combination of the switches that the optimizer takes."""
    names, values = zip(*SWITCHES[optimizer].items(), strict=True)
    found = [{"lr": 0.0625, **dict(zip(names, chosen, strict=True))} for chosen in product(*values)]
    return [s for s in found if not s.get("nesterov") or (s["momentum"] and not s["dampening"])]


CASES = [(optimizer, settings) for optimizer in FORMULAS for settings in combinations(optimizer)]
FULL = [(optimizer, combinations(optimizer)[-1]) for optimizer in FORMULAS]  # everything switched on


def train(optimizer, parameters, gradients):
    """One step for each row of gradients."""
    for row in gradients:
        for p, g in zip(parameters, row, strict=True):
            p.grad = g
        optimizer.step()


def expected(optimizer, settings, start, gradients):
    """What the formula gives for each of the numbers."""
    with localcontext(WIDE):
        own = {key: decimal(x) for key, x in settings.items()}
        of_one = np.frompyfunc(lambda p, *g: FORMULAS[optimizer](Decimal(p), [*map(Decimal, g)], **own), 1 + len(gradients), 1)
        return of_one(start, *gradients)
