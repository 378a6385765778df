"""Data made by formula: as many points as you like, of classes whose border is known, and the same in every run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import cos, pi, sin
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.datasets.arguments import count, deviation, finite, generator
from tinygrad_sm.datasets.dataset import Dataset
from tinygrad_sm.nd.array import operand

Points = list[tuple[Any, int]]  # each with its class


def make_blobs(
    n_samples: int = 100,
    centers: int | Sequence[Sequence[float]] = 3,
    *,
    n_features: int = 2,
    cluster_std: float | Sequence[float] = 1.0,
    seed: int | None = 0,
) -> Dataset:
    """Round clouds of points, one a class, of equal sizes (or as nearly as can be) and in random order.

    `centers` is their number, for centers drawn evenly from -10 to 10, or the points themselves, whose length then is that of
    a row. `cluster_std` is the standard deviation of every coordinate about its center, one for all or one each.
    With `seed=None` the numbers come from those of `tg.manual_seed`.

    >>> import tinygrad_sm as tg
    >>> tg.datasets.make_blobs(4, [[0, 0], [5, 5]], cluster_std=0)
    Dataset(X of shape (4, 2), y of shape (4,), 2 classes: 0, 1)
    """
    name, draw = "make_blobs", generator("make_blobs", seed)
    middles = operand(name, centers)
    if middles.ndim == 0:
        box = count(name, "centers", centers), count(name, "n_features", n_features)
        middles = nd.asarray([[draw.uniform(-10.0, 10.0) for _ in range(box[1])] for _ in range(box[0])])
    if middles.ndim != 2 or 0 in middles.shape or not nd.all(nd.isfinite(middles)):
        raise ValueError(f"{name}: centers is a number, or a list of points such as [[0, 0], [5, 5]], not {centers!r}")
    classes = len(middles)
    given = operand(name, cluster_std)
    if given.shape not in ((), (classes,)):
        raise ValueError(f"{name}: cluster_std is one number or one for each of {classes} centers, not {cluster_std!r}")
    spread = [deviation(name, "cluster_std", std) for std in nd.broadcast_to(given, (classes,)).tolist()]
    points: Points = []
    for k, size in enumerate(sizes(name, n_samples, classes)):
        points += [([draw.gauss(v, spread[k]) for v in middles[k].tolist()], k) for _ in range(size)]
    return shuffled(points, classes, draw, f"{name}(n_samples={n_samples}, {classes} centers, seed={seed})")


def make_moons(n_samples: int = 100, *, noise: float = 0.1, seed: int | None = 0) -> Dataset:
    """Two half circles of radius 1 that reach into each other: no straight line parts them.

    Class 0 is the upper half about (0, 0), class 1 the lower half about (1, 0.5); `noise` is the standard deviation of what
    is added to every coordinate. With `seed=None` the numbers come from those of `tg.manual_seed`.

    >>> import tinygrad_sm as tg
    >>> X, y = tg.datasets.make_moons(100, noise=0.05)
    >>> X.shape, int(tg.sum(y))
    ((100, 2), 50)
    """
    name, draw = "make_moons", generator("make_moons", seed)
    spread = deviation(name, "noise", noise)
    upper, lower = sizes(name, n_samples, 2)
    points: Points = [((cos(t), sin(t)), 0) for t in half_turn(upper)]
    points += [((1.0 - cos(t), 0.5 - sin(t)), 1) for t in half_turn(lower)]
    points = [([draw.gauss(v, spread) for v in point], k) for point, k in points]
    return shuffled(points, 2, draw, f"{name}(n_samples={n_samples}, noise={noise}, seed={seed})")


def make_spirals(
    n_samples: int = 100, classes: int = 3, *, noise: float = 0.1, turns: float = 0.75, seed: int | None = 0
) -> Dataset:
    """Arms that wind `turns` times about (0, 0), one a class: only a curved border parts them.

    The points of an arm lie at equal steps of the radius, up to 1; `noise` is the standard deviation of their angles in
    radians. With `seed=None` the numbers come from those of `tg.manual_seed`.

    >>> import tinygrad_sm as tg
    >>> tg.datasets.make_spirals(300, 3)
    Dataset(X of shape (300, 2), y of shape (300,), 3 classes: 0, 1, 2)
    """
    name, draw = "make_spirals", generator("make_spirals", seed)
    arms, spread, winding = count(name, "classes", classes), deviation(name, "noise", noise), finite(name, "turns", turns)
    points: Points = []
    for k, size in enumerate(sizes(name, n_samples, arms)):
        for i in range(1, size + 1):
            radius = i / size
            angle = draw.gauss(2 * pi * (k / arms + winding * radius), spread)
            points.append(((radius * cos(angle), radius * sin(angle)), k))
    return shuffled(points, arms, draw, f"{name}(n_samples={n_samples}, classes={classes}, noise={noise}, seed={seed})")


# --- what they share


def half_turn(steps: int) -> list[float]:
    """Angles at equal steps from 0 to pi."""
    return [pi * i / max(steps - 1, 1) for i in range(steps)]


def sizes(name: str, n_samples: Any, classes: int) -> list[int]:
    """How many samples each class gets: equal shares, and one more for the first ones while there are any left."""
    n = count(name, "n_samples", n_samples, least=classes)
    return [n // classes + (k < n % classes) for k in range(classes)]


def shuffled(points: Points, classes: int, draw: random.Random, source: str) -> Dataset:
    """The points in random order as a data set."""
    draw.shuffle(points)
    X = nd.asarray([[*map(float, point)] for point, _ in points])
    names = [f"x{i}" for i in range(X.shape[1])]
    return Dataset(X, nd.asarray([k for _, k in points]), names, [*map(str, range(classes))], f"made by {source}")
