"""Gradients as values: `grad` and what is made of it. Each of them is a walk or two over the one sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

from tinygrad_sm.graph.namespaces import as_data, filled_like, namespace_of
from tinygrad_sm.graph.traversal import sweep
from tinygrad_sm.graph.value import Value, leaf, plain, recording, seed_for, seed_like

Function = Callable[..., Any]


def grad(output: Any, inputs: Value | Iterable[Value], *, grad_output: Any = None, create_graph: bool = False) -> Any:
    """The gradient of `output` with respect to `inputs`: one for one Value, a list for a sequence.

    `grad_output` (shape of `output`) is what flows in; without it `output` must have one element. Gradients are plain data
    with the shape and type of the input's data, zero for an input that was not reached; with `create_graph` they are Values
    that can be differentiated again. No `.grad` is touched. Raises a TypeError for anything but Values, and a ValueError for
    an output of several elements without `grad_output`.

    >>> import tinygrad_sm as tg
    >>> x = tg.Value(2.0)
    >>> g = tg.grad(x**3, x, create_graph=True)
    >>> tg.grad(g, x)
    12.0
    """
    one = isinstance(inputs, Value) or not isinstance(inputs, Iterable)
    wanted: list[Any] = [inputs] if one else list(inputs)
    for x in wanted:
        if not isinstance(x, Value):
            raise TypeError(f"grad: differentiates with respect to Values, and got {x!r}")
    seed = seed_for(output, grad_output if create_graph else plain(grad_output), "grad")
    if create_graph and not isinstance(seed, Value):
        seed = leaf(seed, requires_grad=False)
    with recording(create_graph):
        found = _reached(output, seed, wanted)
    gradients = [found[x._order] if x._order in found else _zero(x, create_graph) for x in wanted]
    return gradients[0] if one else gradients


def _reached(output: Value, seed: Any, wanted: list[Value]) -> dict[int, Any]:
    """The gradients of the wanted Values that the sweep reaches; it stops behind the oldest of them."""
    found: dict[int, Any] = {}
    orders = {x._order for x in wanted}
    if not output.requires_grad or not orders:
        return found
    oldest = max(orders)
    for node, gradient, _ in sweep(output, seed):
        if node._order in orders:
            found[node._order] = gradient
        if node._order >= oldest:
            break
    return found


def _zero(x: Value, create_graph: bool) -> Any:
    zero = filled_like(x._data, 0.0)
    return leaf(zero, requires_grad=False) if create_graph else zero


def _start(x: Any, name: str) -> Value:
    """A fresh leaf for the point at which a function is differentiated."""
    return leaf(as_data(plain(x), name))


def _output(f: Function, *points: Value) -> Value:
    """f's result as a Value, also where it does not depend on its argument."""
    with recording(True):  # also within no_grad
        y = f(*points)
    return y if isinstance(y, Value) else leaf(as_data(y, "the function's result"), requires_grad=False)


def value_and_grad(f: Function) -> Function:
    """A function of the same arguments as `f` that returns (f's value, its gradient), both plain data.

    `f` gives one number. One argument gives one gradient, several give a list. Keywords are passed on as they are.

    >>> import tinygrad_sm as tg
    >>> tg.value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    """

    def value_and_gradient(*xs: Any, **keywords: Any) -> tuple[Any, Any]:
        points = [_start(x, "value_and_grad") for x in xs]
        y = _output(lambda *p: f(*p, **keywords), *points)
        gradients = grad(y, points)
        return y._data, gradients[0] if len(xs) == 1 else gradients

    return value_and_gradient


def vjp(f: Function, x: Any, g: Any) -> tuple[Any, Any]:
    """(f(x), g times the Jacobian of f at x); `g` has the shape of f(x), the result that of x. Plain data.

    >>> import tinygrad_sm as tg
    >>> tg.vjp(lambda x: x * x, [1.0, 2.0], [1.0, 10.0])
    (array([1.0, 4.0]), array([2.0, 40.0]))
    """
    point = _start(x, "vjp")
    y = _output(f, point)
    return y._data, grad(y, point, grad_output=g)


def jvp(f: Function, x: Any, v: Any) -> tuple[Any, Any]:
    """(f(x), the Jacobian of f at x times v); `v` has the shape of x, the result that of f(x). Plain data.

    The vjp is linear in what flows in, so differentiating it by that, along v, gives the jvp: reverse mode twice.

    >>> import tinygrad_sm as tg
    >>> tg.jvp(lambda x: x * x, [1.0, 2.0], [1.0, 1.0])
    (array([1.0, 4.0]), array([2.0, 4.0]))
    """
    point = _start(x, "jvp")
    y = _output(f, point)
    v = seed_like(point._data, plain(v), "jvp")
    inflow = leaf(filled_like(y._data, 1.0))  # anything but 0, which is nan at a pole
    outflow = grad(y, point, grad_output=inflow, create_graph=True)
    return y._data, grad(outflow, inflow, grad_output=v)


def jacobian(f: Function, x: Any) -> Any:
    """All partial derivatives of f at x, with shape f(x).shape + x.shape. Plain data.

    >>> import tinygrad_sm as tg
    >>> tg.jacobian(lambda x: x * x, [1.0, 2.0])
    array([[2.0, 0.0],
           [0.0, 4.0]])
    """
    point = _start(x, "jacobian")
    return _rows(_output(f, point), point)


def hessian(f: Function, x: Any) -> Any:
    """All second derivatives of f, which gives one number, at x, with shape x.shape + x.shape. Plain data.

    >>> import tinygrad_sm as tg
    >>> tg.hessian(lambda x: x[0] * x[0] * x[1], [3.0, 5.0])
    array([[10.0, 6.0],
           [ 6.0, 0.0]])
    """
    point = _start(x, "hessian")
    return _rows(grad(_output(f, point), point, create_graph=True), point)


def _rows(y: Value, point: Value) -> Any:
    """The gradient of every element of y, stacked."""
    if type(y._data) is float:
        return grad(y, point)
    size = prod(y.shape)
    xp = namespace_of([y._data])
    places = xp.reshape(xp.arange(size), y.shape)
    seeds = (xp.where(xp.equal(places, i), xp.ones_like(y._data), xp.zeros_like(y._data)) for i in range(size))
    rows = [grad(y, point, grad_output=seed) for seed in seeds]
    if not rows:
        return xp.reshape(xp.zeros_like(y._data), y.shape + point.shape)
    if type(point._data) is float:
        rows = [xp.asarray(row) for row in rows]
    else:
        xp = namespace_of([point._data])  # that of a constant y may be another
    return xp.reshape(xp.stack(rows), y.shape + point.shape)


def hvp(f: Function, x: Any, v: Any) -> Any:
    """The Hessian of f, which gives one number, at x times v; shapes of x. Plain data.

    >>> import tinygrad_sm as tg
    >>> tg.hvp(lambda x: x[0] * x[0] * x[1], [3.0, 5.0], [1.0, 0.0])
    array([10.0, 6.0])
    """
    point = _start(x, "hvp")
    return grad(grad(_output(f, point), point, create_graph=True), point, grad_output=plain(v))
