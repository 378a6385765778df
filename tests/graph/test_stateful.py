"""Random programs on Values, step by step beside a naive engine that shares nothing with ours.

The naive engine is forward mode: a node is a list of floats and, for every element of every leaf, a list of derivatives.
"""

import gc
import math
import operator
import weakref
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import tinygrad_sm as tg


class Dual:
    """Numbers and their derivatives by every element of every leaf."""

    def __init__(self, values: list[float], slopes: dict[tuple[int, int], list[float]]) -> None:
        self.values, self.slopes = values, slopes

    def apply(self, f: Callable, slope: Callable) -> "Dual":
        """f of every number, by the chain rule."""
        factors = [*map(slope, self.values)]
        return Dual([*map(f, self.values)], {k: [s * d for s, d in zip(factors, ds)] for k, ds in self.slopes.items()})  # noqa: B905

    def join(self, other: "Dual", f: Callable, by_self: Callable, by_other: Callable) -> "Dual":
        """f of every pair of numbers; a single number meets all of the others."""
        n = max(len(self.values), len(other.values))
        a, b = ([*x.values] * (n if len(x.values) == 1 else 1) for x in (self, other))
        slopes: dict = defaultdict(lambda: [0.0] * n)
        for x, by in ((self, by_self), (other, by_other)):
            for key, ds in x.slopes.items():
                ds = ds * (n if len(ds) == 1 else 1)
                slopes[key] = [s + by(u, v) * d for s, u, v, d in zip(slopes[key], a, b, ds, strict=True)]
        return Dual([*map(f, a, b)], dict(slopes))

    def total(self) -> "Dual":
        """The sum."""
        return Dual([sum(self.values)], {k: [sum(ds)] for k, ds in self.slopes.items()})

    def pick(self, i: int) -> "Dual":
        """One of the numbers."""
        return Dual([self.values[i]], {k: [ds[i]] for k, ds in self.slopes.items()})

    def softmax(self) -> "Dual":
        """e^z / sum of e^z, as it is written."""
        e = self.apply(math.exp, math.exp)
        return e.join(e.total(), operator.truediv, lambda a, b: 1 / b, lambda a, b: -a / b**2)


# name: (ours, naive). tanh keeps numbers and derivatives within bounds.
UNARY = {
    "sin": (tg.sin, lambda x: x.apply(math.sin, math.cos)),
    "square": (tg.square, lambda x: x.apply(lambda v: v * v, lambda v: 2 * v)),
    "negative": (lambda x: -x, lambda x: x.apply(lambda v: -v, lambda v: -1.0)),
    "affine": (lambda x: 2 - x * 0.5, lambda x: x.apply(lambda v: 2 - v / 2, lambda v: -0.5)),
    "power": (lambda x: x**3, lambda x: x.apply(lambda v: v**3, lambda v: 3 * v * v)),
    "exp": (tg.exp, lambda x: x.apply(math.exp, math.exp)),
    "sigmoid": (tg.sigmoid, lambda x: x.apply(lambda v: 1 / (1 + math.exp(-v)), lambda v: 1 / (2 + 2 * math.cosh(v)))),
    "relu": (tg.relu, lambda x: x.apply(lambda v: max(v, 0.0), lambda v: float(v > 0))),
    "sum": (tg.sum, Dual.total),
}
ON_ROWS = {
    "softmax": (tg.softmax, Dual.softmax),
    "first": (lambda x: x[0], lambda x: x.pick(0)),
    "last": (lambda x: x[-1], lambda x: x.pick(-1)),
    "cross_entropy": (
        lambda x: tg.cross_entropy(x, 1),
        lambda x: x.softmax().pick(1).apply(lambda p: -math.log(p), lambda p: -1 / p),
    ),
    "logsumexp": (tg.logsumexp, lambda x: x.apply(math.exp, math.exp).total().apply(math.log, lambda s: 1 / s)),
}
BINARY = {
    "add": (operator.add, operator.add, lambda a, b: 1.0, lambda a, b: 1.0),
    "subtract": (operator.sub, operator.sub, lambda a, b: 1.0, lambda a, b: -1.0),
    "multiply": (operator.mul, operator.mul, lambda a, b: b, lambda a, b: a),
    "divide": (
        lambda a, b: a / (b * b + 1),
        lambda a, b: a / (b * b + 1),
        lambda a, b: 1 / (b * b + 1),
        lambda a, b: -2 * a * b / (b * b + 1) ** 2,
    ),
}
numbers = st.floats(-2.0, 2.0).map(lambda x: round(x, 6))
data = numbers | st.lists(numbers, min_size=3, max_size=3)
place = st.integers(0, 10**6)


class Programs(RuleBasedStateMachine):
    """`nodes` pairs each Value with its naive twin; `gradients` is what every leaf should have gathered."""

    def __init__(self) -> None:
        super().__init__()
        gc.disable()
        self.nodes: list[tuple[tg.Value, Dual]] = []
        self.leaves: dict[int, tg.Value] = {}
        self.gradients: dict[int, list[float] | None] = {}
        self.made: list[weakref.ref] = []
        self.never_rebound = True

    def choose(self, i: int) -> tuple[tg.Value, Dual]:
        return self.nodes[i % len(self.nodes)]

    def keep(self, value: tg.Value, dual: Dual) -> None:
        if not all(abs(v) < 3.0 for v in dual.values):
            value, dual = tg.tanh(value), dual.apply(math.tanh, lambda v: 1 / math.cosh(v) ** 2)
        self.nodes.append((value, dual))
        self.made.append(weakref.ref(value))

    # --- building

    @initialize(x=data, y=data)
    def start(self, x, y) -> None:
        self.leaf(x)
        self.leaf(y)

    @rule(x=data)
    def leaf(self, x) -> None:
        key = len(self.leaves)
        self.leaves[key], self.gradients[key] = tg.Value(x), None
        self.nodes.append((self.leaves[key], self.variable(key, x)))

    def variable(self, key: int, x) -> Dual:
        row = x if isinstance(x, list) else [x]
        n = range(len(row))
        return Dual(row, {(key, i): [float(i == j) for j in n] for i in n})

    @rule(i=place, name=st.sampled_from([*UNARY, *ON_ROWS]), composed=st.booleans())
    def unary(self, i, name, composed) -> None:
        value, dual = self.choose(i)
        if name in UNARY or value.shape == (3,):
            ours, naive = (UNARY | ON_ROWS)[name]
            with tg.composed() if composed else nullcontext():
                self.keep(ours(value), naive(dual))

    @rule(i=place, j=place, name=st.sampled_from([*BINARY]))
    def binary(self, i, j, name) -> None:
        (x, dx), (y, dy) = self.choose(i), self.choose(j)
        ours, *naive = BINARY[name]
        self.keep(ours(x, y), dx.join(dy, *naive))

    @rule(i=place, j=place, how=st.sampled_from(["detach", "no_grad", "constant", "plain"]))
    def without_gradient(self, i, j, how) -> None:
        (x, dx), (y, dy) = self.choose(i), self.choose(j)
        if how == "no_grad":
            with tg.no_grad():
                self.keep(x + y, Dual(dx.join(dy, *BINARY["add"][1:]).values, {}))
        else:
            still = {"detach": tg.Value.detach, "constant": tg.constant, "plain": lambda v: v.data}[how](x)
            self.keep(still * y, Dual(dx.values, {}).join(dy, *BINARY["multiply"][1:]))

    # --- gradients

    def expected(self, dual: Dual, key: int, flows_in: list[float]) -> list[float]:
        n = len(self.nodes_of(key))
        return [sum(g * d for g, d in zip(flows_in, dual.slopes.get((key, i), [0.0] * 3))) for i in range(n)]  # noqa: B905

    def nodes_of(self, key: int) -> list[float]:
        x = self.leaves[key].tolist()
        return x if isinstance(x, list) else [x]

    @rule(i=place, g=st.lists(numbers, min_size=3, max_size=3), free=st.booleans())
    def backward(self, i, g, free) -> None:
        value, dual = self.choose(i)
        g = g if value.shape else g[:1]
        if value.requires_grad:
            value.backward(g if value.shape else g[0], free=free)
            reached = {key for key, _ in dual.slopes}
            for key in reached:
                old = self.gradients[key] or [0.0] * len(self.nodes_of(key))
                self.gradients[key] = [a + b for a, b in zip(old, self.expected(dual, key, g), strict=True)]
        else:
            assert not dual.slopes

    @rule(i=place, create_graph=st.booleans())
    def grad(self, i, create_graph) -> None:
        value, dual = self.choose(i)
        gradients = tg.grad(value, [*self.leaves.values()], grad_output=1.0, create_graph=create_graph and self.never_rebound)
        for key, gradient in zip(self.leaves, gradients, strict=True):
            assert alike(gradient, self.expected(dual, key, [1.0] * len(dual.values)))

    @rule(i=place)
    def zero_grad(self, i) -> None:
        key = i % len(self.leaves)
        self.leaves[key].zero_grad()
        self.gradients[key] = None

    @rule(i=place, x=st.lists(numbers, min_size=3, max_size=3))
    def rebind(self, i, x) -> None:
        """What is computed later sees the new data, what was recorded keeps the old."""
        key = i % len(self.leaves)
        leaf = self.leaves[key]
        x = x if leaf.shape else x[0]
        leaf.data = x
        self.never_rebound = False
        self.nodes = [(v, self.variable(key, x) if v is leaf else dual) for v, dual in self.nodes]

    @precondition(lambda self: len(self.nodes) > len(self.leaves))
    @rule(i=place)
    def drop(self, i) -> None:
        inner = [k for k, (value, _) in enumerate(self.nodes) if value.op is not None or not value.requires_grad]
        if inner:
            del self.nodes[inner[i % len(inner)]]

    # --- what always holds

    @invariant()
    def leaves_have_gathered_their_gradients(self) -> None:
        for key, gradient in self.gradients.items():
            assert self.leaves[key].has_grad == (gradient is not None)
            assert alike(self.leaves[key].grad, gradient or [0.0] * len(self.nodes_of(key)))

    def teardown(self) -> None:
        try:
            assert all(alike(value, dual.values) for value, dual in self.nodes)
            self.nodes.clear()
            self.leaves.clear()
            assert not any(ref() is not None for ref in self.made)  # all freed, with the collector switched off
        finally:
            gc.enable()


def alike(ours, naive: list[float]) -> bool:
    """Whether a Value, array or float holds these numbers, but for roundings on the scale of the largest."""
    given = ours.tolist() if hasattr(ours, "tolist") else ours
    given = given if isinstance(given, list) else [given]
    scale = max(1.0, *map(abs, naive))
    return len(given) == len(naive) and all(abs(a - b) <= 1e-7 * scale for a, b in zip(given, naive, strict=True))


Programs.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPrograms = Programs.TestCase
