"""Small networks and data, and the loop that `fit` is held against."""

import random
from functools import cache

import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.graph.namespaces import namespace_of

LIBRARIES = {"nd": nd, "numpy": np}
every_library = pytest.mark.parametrize("xp", LIBRARIES.values(), ids=LIBRARIES)


def network(*sizes, xp=nd, **settings):
    """An MLP with the same weights in every run; 2 inputs, 4 hidden units and 2 classes unless told otherwise."""
    tg.manual_seed(7)
    return tg.nn.MLP([*(sizes or (2, 4, 2))], **settings).to(xp)


def points(n, classes=2, seed=3):
    """Rows of two numbers, and labels of which each occurs."""
    draw = random.Random(seed)
    return [[draw.gauss(0.0, 1.0), draw.gauss(0.0, 1.0)] for _ in range(n)], [i % classes for i in range(n)]


def weights(model):
    """All weights as nested lists, which `==` compares bit for bit."""
    return {path: data.tolist() for path, data in model.state_dict().items()}


def by_hand(model, X, y, *, optimizer, loss=tg.cross_entropy, epochs=1, batch_size=32, seed=0, steps=None):
    """The loop that a person would write, ended after so many steps; the loss of each step."""
    xp = namespace_of([next(model.parameters()).data])
    draw, order, losses = random.Random(seed), [*range(len(X))], []
    for _ in range(epochs):
        draw.shuffle(order)
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            if len(losses) == steps:
                return losses
            optimizer.zero_grad()
            value = loss(model(xp.asarray([X[i] for i in rows])), xp.asarray([y[i] for i in rows]))
            value.backward()
            optimizer.step()
            losses.append(value.item())
    return losses


X, Y = points(11)


def quiet(model, X=X, y=Y, **settings):
    """`fit` for an epoch without a word."""
    return tg.fit(model, X, y, **{"progress": False, "epochs": 1} | settings)


@cache
def usual(xp=nd, batch_size=4):
    """The run that others are held against."""
    return quiet(network(xp=xp), batch_size=batch_size)
