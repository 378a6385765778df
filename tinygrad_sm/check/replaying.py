"""The graph that a function recorded on floats, computed again on decimals: for functions that close over arrays of floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.check.subjects import Subject
from tinygrad_sm.check.truth import flat, is_floating, lifted
from tinygrad_sm.graph import Value, history
from tinygrad_sm.graph.namespaces import SCALARS, kind_of, shape
from tinygrad_sm.graph.value import leaf, plain, recording
from tinygrad_sm.ops.shapes import astype


def replaying(subject: Subject) -> Subject:
    """The same subject, which on decimals computes what was recorded of it on floats, all arrays it closes over lifted exactly.

    What f computed with plain numbers stays there what it was at the point, so that somebody must look whether it moves.
    """
    from copy import copy

    twin = copy(subject)
    twin.f, twin.replays = _replay(subject), True
    return twin


def _replay(subject: Subject) -> Callable[..., Any]:
    arguments = subject.arguments(subject.start)
    with recording(True):
        outputs = subject.outputs(arguments)
    nodes = {id(node): node for y in outputs for node in history(y)}
    oldest_first = sorted(nodes.values(), key=lambda node: node._order, reverse=True)
    leaves = {id(arguments[i]): i for i in subject.differentiated}
    constants: dict[int, dict[int, Any]] = {}  # the lifted ones of so many digits

    def replayed(*moved: Any) -> Any:
        digits = next((x.data.digits for x in moved if type(plain(x)) is nd.Decimals), None)
        if digits is None:
            return subject.f(*moved)
        known = constants.setdefault(digits, {})
        made = {id(node): moved[i] for node in oldest_first if (i := leaves.get(id(node))) is not None}

        def seen(x: Any) -> Any:
            if isinstance(x, Value) and id(x) in made:
                return made[id(x)]
            if id(x) not in known:
                known[id(x)] = _lifted(x, digits)
            return known[id(x)]

        for node in oldest_first:
            if node.op is not None:
                made[id(node)] = _called(node, [seen(x) for x in node.inputs])
        return [seen(y) for y in outputs]

    return replayed


def _called(node: Value, inputs: Sequence[Any]) -> Any:
    assert node.op is not None
    return inputs[0] if node.op is astype else node.op.again(inputs, node._params)  # decimals are wider than any floats


def _lifted(x: Any, digits: int) -> Any:
    """A constant of the graph; single numbers are lifted by what stands beside them."""
    if isinstance(x, Value):
        return leaf(_lifted(x.data, digits) if shape(x) else lifted(x, digits), type(x), requires_grad=False)
    if x is None or type(x) in SCALARS or type(x) is nd.Decimals:
        return x
    if is_floating(x):
        return lifted(x, digits)
    return nd.reshape(nd.asarray(flat(x), dtype=nd.bool if kind_of(x) == "bool" else nd.int64), shape(x))
