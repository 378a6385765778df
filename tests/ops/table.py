"""One table of all ops: how to call each, the same in mpmath numbers, and from where to where it is tried.

What is computed independently is numpy's arithmetic on arrays of mpmath numbers: for shapes, sums and products numpy is right
by long use, and mpmath for the functions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp
import numpy as np

import tinygrad_sm as tg
from tinygrad_sm.ops import gathering

Shape = tuple[int, ...]
SINGLE: tuple[Shape, ...] = ((),)
ROWS: tuple[Shape, ...] = ((2, 3),)
BLOCK: tuple[Shape, ...] = ((2, 3, 2),)


@dataclass(frozen=True)
class Case:
    """One way of calling an op. Its `call` takes one array an operand, `truth` the same as numpy arrays of mpmath numbers.

    `between` are the ends within which each operand is tried (the last for all that follow); with `distinct` no two numbers
    are equal and none is 0, for ops with corners. `far` are single numbers for unary functions, which they must survive.
    `orders` says how many derivatives are held against differences.
    """

    name: str
    call: Callable[..., Any]
    truth: Callable[..., Any]
    shapes: tuple[Shape, ...] = ROWS
    between: tuple[tuple[float, float], ...] = ((-3, 3),)
    distinct: bool = False
    far: tuple[float, ...] = field(default=(), compare=False)
    orders: int = 2

    def __repr__(self) -> str:
        return f"{self.name}-{'-'.join('x'.join(map(str, s)) or 'single' for s in self.shapes)}"


def each(function: Callable) -> Callable:
    """A function of single numbers as one of numpy arrays of them."""
    return np.frompyfunc(function, function.__code__.co_argcount - len(function.__defaults__ or ()), 1)


def like(function: Callable, *args: Any, **settings: Any) -> Callable:
    """A numpy function with settings, which gives an array of objects also where the result is one."""
    return lambda *xs: np.asarray(function(*xs, *args, **settings), dtype=object)


def settings(function: Callable, **given: Any) -> Callable:
    """An op with its settings."""
    return lambda *xs: function(*xs, **given)


ANYWHERE = ((-3, 3),)
POSITIVE = ((0.25, 6),)
TINY = (0.0, 1e-30, -1e-30, 2.0**-40)
HUGE = (1e30, -1e30)
LOW, HIGH = -0.623046875, 1.126953125  # between the points that are tried

# name: (call, truth, between, far, distinct)
UNARY: dict[str, tuple] = {
    "negative": (tg.negative, lambda x: -x, ANYWHERE, TINY + HUGE, False),
    "square": (tg.square, lambda x: x * x, ANYWHERE, (*TINY, 1e15, -1e15), False),
    "abs": (tg.abs, lambda x: abs(x), ANYWHERE, TINY + HUGE, True),
    "sign": (tg.sign, lambda x: mp.sign(x), ANYWHERE, TINY + HUGE, True),
    "exp": (tg.exp, lambda x: mp.exp(x), ANYWHERE, (*TINY, -80.0, 80.0, -2000.0, 2000.0), False),
    "expm1": (tg.expm1, lambda x: mp.expm1(x), ANYWHERE, (*TINY, -80.0, 80.0, -2000.0, 2000.0), False),
    "log": (tg.log, lambda x: mp.log(x), POSITIVE, (1e-30, 1e30, 1.0), False),
    "log1p": (tg.log1p, lambda x: mp.log1p(x), ((-0.75, 6),), (*TINY, 1e30), False),
    "sqrt": (tg.sqrt, lambda x: mp.sqrt(x), POSITIVE, (0.0, 1e-30, 1e30), False),
    "sin": (tg.sin, lambda x: mp.sin(x), ANYWHERE, (*TINY, 1e4, -1e4), False),
    "cos": (tg.cos, lambda x: mp.cos(x), ANYWHERE, (*TINY, 1e4, -1e4), False),
    "tanh": (tg.tanh, lambda x: mp.tanh(x), ANYWHERE, (*TINY, 20.0, -20.0, 1000.0, -1000.0), False),
    "erf": (tg.erf, lambda x: mp.erf(x), ANYWHERE, (*TINY, 5.5, -5.5, 20.0, -20.0), False),
    "erfc": (tg.erfc, lambda x: mp.erfc(x), ANYWHERE, (*TINY, 5.5, -5.5, 20.0, -20.0), False),
    "relu": (tg.relu, lambda x: max(x, mp.mpf(0)), ANYWHERE, TINY + HUGE, True),
    "leaky_relu": (settings(tg.leaky_relu, negative_slope=0.25), lambda x: max(x, x / 4), ANYWHERE, TINY + HUGE, True),
    "elu": (settings(tg.elu, alpha=0.5), lambda x: max(x, 0) + mp.expm1(min(x, 0)) / 2, ANYWHERE, (*TINY, 1e30, -2000.0), True),
    "gelu": (tg.gelu, lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2, ANYWHERE, (*TINY, 12.0, -12.0, 1e30, -100.0), False),
    "clip": (settings(tg.clip, min=LOW, max=HIGH), lambda x: mp.mpf(min(max(x, LOW), HIGH)), ANYWHERE, TINY + HUGE, True),
}  # fmt: skip

# name: (call, truth, between, distinct)
BINARY: dict[str, tuple] = {
    "add": (tg.add, lambda a, b: a + b, ANYWHERE, False),
    "subtract": (tg.subtract, lambda a, b: a - b, ANYWHERE, False),
    "multiply": (tg.multiply, lambda a, b: a * b, ANYWHERE, False),
    "divide": (tg.divide, lambda a, b: a / b, ((-3, 3), (-3, -0.25)), False),
    "pow": (tg.pow, lambda a, b: a**b, ((0.25, 3), (-3, 3)), False),
    "maximum": (tg.maximum, lambda a, b: max(a, b), ANYWHERE, True),
    "minimum": (tg.minimum, lambda a, b: min(a, b), ANYWHERE, True),
}


def _spread(a: np.ndarray, axis: Any, keepdims: bool) -> np.ndarray:
    a = a - np.mean(a, axis=axis, keepdims=True)
    return np.sum(a * a, axis=axis, keepdims=keepdims)


def _count(a: np.ndarray, axis: Any) -> int:
    return np.size(a) // max(np.size(np.sum(a, axis=axis)), 1)


ROOT = np.frompyfunc(mp.sqrt, 1, 1)

# name: (truth(array, axis, keepdims), distinct)
REDUCTIONS: dict[str, tuple] = {
    "sum": (lambda a, axis, keepdims: np.sum(a, axis=axis, keepdims=keepdims), False),
    "mean": (lambda a, axis, keepdims: np.mean(a, axis=axis, keepdims=keepdims), False),
    "max": (lambda a, axis, keepdims: np.max(a, axis=axis, keepdims=keepdims), True),
    "min": (lambda a, axis, keepdims: np.min(a, axis=axis, keepdims=keepdims), True),
    "prod": (lambda a, axis, keepdims: np.prod(a, axis=axis, keepdims=keepdims), False),
    "var": (lambda a, axis, keepdims: _spread(a, axis, keepdims) / _count(a, axis), False),
    "std": (lambda a, axis, keepdims: ROOT(_spread(a, axis, keepdims) / _count(a, axis)), True),
    "norm": (lambda a, axis, keepdims: ROOT(np.sum(a * a, axis=axis, keepdims=keepdims)), True),
}
AXES = ((ROWS, None, False), (ROWS, 0, False), (ROWS, -1, True), (BLOCK, (0, 2), False), (BLOCK, (-1, 0), True))


def _elementwise() -> list[Case]:
    cases = []
    for name, (call, truth, between, far, distinct) in UNARY.items():
        for shapes in (SINGLE, ROWS):
            cases.append(Case(name, call, each(truth), shapes, between, distinct, far if shapes == SINGLE else (), orders=3))
    for name, (call, truth, between, distinct) in BINARY.items():
        for shapes in (SINGLE * 2, ROWS * 2):
            cases.append(Case(name, call, each(truth), shapes, between, distinct, orders=3))
    for n in (3, 2, 1, 0, -2):
        cases.append(Case("pow", lambda x, n=n: tg.pow(x, n), each(lambda x, n=n: x**n), ROWS, distinct=True, orders=3))
    cases.append(Case("pow", lambda x: tg.pow(x, 0.5), each(lambda x: mp.sqrt(x)), ROWS, POSITIVE, orders=3))
    cases.append(Case("pow", lambda x: tg.pow(2, x), each(lambda x: mp.mpf(2) ** x), SINGLE, orders=3))
    return cases


def _reductions() -> list[Case]:
    cases = []
    for name, (truth, distinct) in REDUCTIONS.items():
        orders = 3 if name in ("prod", "var", "norm") else 2
        for shapes, axis, keepdims in AXES:
            call = settings(getattr(tg, name), axis=axis, keepdims=keepdims)
            cases.append(Case(name, call, like(truth, axis, keepdims), shapes, distinct=distinct, orders=orders))
        if name != "std":  # of one number it has a corner everywhere
            cases.append(Case(name, getattr(tg, name), like(truth, None, False), SINGLE, distinct=distinct, orders=orders))
    for name, square_root in (("var", lambda x: x), ("std", ROOT)):
        cases.append(
            Case(
                name,
                settings(getattr(tg, name), axis=0, correction=1),
                lambda a, f=square_root: np.asarray(f(_spread(a, 0, False) / 2), dtype=object),
                ((3, 2),),
                distinct=True,
            )
        )
    for axis in (0, 1):
        cases.append(Case("cumulative_sum", settings(tg.cumulative_sum, axis=axis), like(np.cumsum, axis=axis), ROWS))
        for down in (False, True):
            step = slice(None, None, -1 if down else 1)
            key = (slice(None),) * axis + (step,)
            call = settings(tg.sort, axis=axis, descending=down)
            cases.append(Case("sort", call, lambda a, axis=axis, key=key: np.sort(a, axis=axis)[key], ROWS, distinct=True))
    cases.append(Case("cumulative_sum", tg.cumulative_sum, like(np.cumsum), ((4,),)))
    return cases


def _case(name: str, truth: Callable, shapes: tuple[Shape, ...] = ROWS, **given: Any) -> Case:
    """A case of an op of `tg` with settings."""
    return Case(name, settings(getattr(tg, name), **given), truth, shapes)


def _joined(function: Callable, **given: Any) -> Callable:
    return lambda *xs: function([*xs], **given)


SHAPES = [
    _case("reshape", lambda a: np.reshape(a, (3, 2)), shape=(3, -1)),
    _case("reshape", lambda a: np.reshape(a, (1, 1)), SINGLE, shape=(1, 1)),
    _case("flatten", lambda a: np.reshape(a, (-1,))),
    _case("permute_dims", lambda a: np.transpose(a, (2, 0, 1)), BLOCK, axes=(-1, 0, 1)),
    _case("matrix_transpose", lambda a: np.swapaxes(a, -1, -2), BLOCK),
    _case("broadcast_to", lambda a: np.broadcast_to(a, (4, 2, 3)), ((2, 1),), shape=(4, 2, 3)),
    _case("broadcast_to", lambda a: np.broadcast_to(a, (2, 3)), SINGLE, shape=(2, 3)),
    _case("expand_dims", lambda a: a[:, None], axis=1),
    _case("expand_dims", lambda a: a[..., None], axis=-1),
    _case("squeeze", lambda a: a[0, :, 0], ((1, 3, 1),)),
    _case("squeeze", lambda a: a[0], ((1, 3, 1),), axis=0),
    _case("flip", lambda a: a[::-1, ::-1]),
    _case("flip", lambda a: a[:, ::-1], axis=-1),
    _case("tril", lambda a: np.tril(a)),
    _case("tril", lambda a: np.tril(a, 1), BLOCK, k=1),
    _case("tril", lambda a: np.tril(a, -1), k=-1),
    Case("concat", _joined(tg.concat), lambda *xs: np.concatenate(xs), ((2, 2), (1, 2), (3, 2))),
    Case("concat", _joined(tg.concat, axis=-1), lambda *xs: np.concatenate(xs, axis=-1), ((2, 2), (2, 1))),
    Case("concat", _joined(tg.concat, axis=None), lambda *xs: np.concatenate(xs, axis=None), ((2, 2), (3,))),
    Case("stack", _joined(tg.stack), lambda *xs: np.stack(xs), ((3,), (3,))),
    Case("stack", _joined(tg.stack, axis=-1), lambda *xs: np.stack(xs, axis=-1), ((2, 2), (2, 2))),
    Case("stack", _joined(tg.stack), lambda *xs: np.array(xs, dtype=object), ((), ())),
    Case("split", lambda x: tg.split(x, 3, axis=-1)[1], lambda a: a[:, 1:2]),
    Case("split", lambda x: tg.split(x, [1, 1], axis=0)[2], lambda a: a[1:]),
]


def _linear(x: np.ndarray, weight: np.ndarray, bias: Any = 0) -> np.ndarray:
    return np.asarray(np.matmul(x, weight.T) + bias, dtype=object)


MATRICES = [
    *(
        Case("matmul", tg.matmul, like(np.matmul), shapes)
        for shapes in (
            ((2, 3), (3, 2)),
            ((3,), (3, 2)),
            ((2, 3), (3,)),
            ((3,), (3,)),
            ((2, 1, 2, 2), (3, 2, 2)),
            ((2,), (3, 2, 1)),
        )
    ),
    *(
        Case("linear", lambda x, w, *b: tg.linear(x, w, **({"bias": b[0]} if b else {})), _linear, shapes)
        for shapes in (
            ((2, 3), (4, 3)),
            ((2, 3), (4, 3), (4,)),
            ((3,), (2, 3), (2,)),
            ((2, 1, 3), (2, 3), (2,)),
            ((1, 1), (1, 1)),
        )
    ),
    Case("dot", tg.dot, like(np.dot), ((3,), (3,))),
    Case("outer", tg.outer, np.outer, ((2,), (3,))),
    *(
        Case("einsum", lambda *xs, s=s: tg.einsum(s, *xs), lambda *xs, s=s: np.asarray(np.einsum(s, *xs), dtype=object), shapes)
        for s, shapes in (
            ("ij,jk->ik", ((2, 3), (3, 2))),
            ("bij,bjk->bik", ((2, 1, 2), (2, 2, 2))),
            ("ij->ji", ROWS),
            ("ij", ROWS),
            ("ji", ROWS),
            ("ij->", ROWS),
            ("ij->j", ROWS),
            ("ii->i", ((3, 3),)),
            ("ii", ((3, 3),)),
            ("iij->j", ((2, 2, 3),)),
            ("i,j->ij", ((2,), (3,))),
            ("i,i", ((3,), (3,))),
            ("i,i->i", ((3,), (3,))),
            ("ij,ik->jk", ((2, 3), (2, 2))),
            ("ij,kj,k->i", ((2, 2), (3, 2), (3,))),
            (",i->i", ((), (3,))),
            ("ij,kl->", ((2, 2), (1, 3))),
        )
    ),
]

MASK = [[True, False, True], [False, False, True]]


def _where(a: Any, b: Any) -> Any:
    """A mask fits every kind when it is a comparison of that kind."""
    return tg.where(tg.equal(tg.sign(a), 1.0), a, b)


PICKING = [
    Case("where", _where, each(lambda a, b: a if a > 0 else b), ROWS * 2, distinct=True),
    Case("where", _where, each(lambda a, b: a if a > 0 else b), SINGLE * 2, distinct=True),
    *(
        Case("getitem", lambda x, key=key: gathering.getitem(x, key=key), lambda a, key=key: np.asarray(a[key], dtype=object))
        for key in (
            1,
            -1,
            slice(1, None),
            (slice(None), slice(None, None, -2)),
            (0, -1),
            (Ellipsis, 1),
            None,
            (slice(None), None, 2),
            ([0, 1, 0],),
            (slice(None), [2, 0, 2, 2]),
            ([0, 1], [2, 2]),
            ([[0], [1]], [[2, 1]]),
            (np.array(MASK),),
            (slice(None), [True, False, True]),
        )
    ),
    *(
        Case(
            "scatter",
            lambda g, key=key: gathering.scatter(g, key=key, shape=(2, 3)),
            lambda g, key=key: _added(g, key),
            (shape,),
        )
        for key, shape in (
            ((slice(None), [2, 0, 2, 2]), (2, 4)),
            ((slice(None), slice(1, 3)), (2, 2)),
            ((1,), (3,)),
            (([1, 1, 0], [2, 2, 0]), (3,)),
        )
    ),
    Case("take", lambda x: tg.take(x, [2, 0, 2, -1], axis=1), lambda a: a[:, [2, 0, 2, -1]]),
    Case("take", lambda x: tg.take(x, [[1, 1], [0, -2]], axis=0), lambda a: a[[[1, 1], [0, -2]]]),
    Case("take", lambda x: tg.take(x, 1, axis=-1), lambda a: a[:, 1]),
    Case("take", lambda x: tg.take(x, [3, 3, 0]), lambda a: a[[3, 3, 0]], ((4,),)),
    *(
        Case(
            "take_along_axis",
            lambda x, i=i, axis=axis: tg.take_along_axis(x, i, axis=axis),
            lambda a, i=i, axis=axis: np.take_along_axis(a, np.array(i), axis=axis),
        )
        for i, axis in (([[2, 2], [0, -1]], -1), ([[1, 0, 1]], 0), ([[1], [0], [1]], 0))
    ),
]


def _added(g: np.ndarray, key: tuple) -> np.ndarray:
    total = np.full((2, 3), mp.mpf(0), dtype=object)
    np.add.at(total, key, g)
    return total


CASES = [*_elementwise(), *_reductions(), *SHAPES, *MATRICES, *PICKING]

# Functions of plain data: name, call, truth.
PLAIN = [
    ("argmax", lambda x: tg.argmax(x), lambda a: np.argmax(a)),
    ("argmax", lambda x: tg.argmax(x, axis=0), lambda a: np.argmax(a, axis=0)),
    ("argmax", lambda x: tg.argmax(x, axis=-1, keepdims=True), lambda a: np.argmax(a, axis=-1)[:, None]),
    ("argsort", lambda x: tg.argsort(x), lambda a: np.argsort(a, kind="stable")),
    ("argsort", lambda x: tg.argsort(x, axis=0), lambda a: np.argsort(a, axis=0, kind="stable")),
    ("argsort", lambda x: tg.argsort(x, descending=True), lambda a: np.argsort(-a, kind="stable")),
    ("equal", lambda x: tg.equal(x, 1.0), lambda a: a == 1),
]
# Ops between kinds of numbers, and those that take no floats: they have tests of their own.
ELSEWHERE = {"as_float", "as_array", "astype", "one_hot"}
