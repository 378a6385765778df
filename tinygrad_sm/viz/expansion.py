"""A recorded graph once more, with its fused ops as the primitives of their definitions: what stands beside it in a picture."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from typing import Any

from tinygrad_sm.graph import Fused, Value, composed, history
from tinygrad_sm.graph.value import leaf, recording


class Expansion:
    """`output`, recorded anew, and where its Values come from.

    `origins` has the old Value of each that was recorded anew, `twins` the new one that stands for an old one. What was made
    of nothing expanded is shared by both graphs: the very same Values.
    """

    def __init__(self, output: Value, origins: dict[Value, Value], twins: dict[Value, Value]) -> None:
        self.output, self.origins, self.twins = output, origins, twins


def expanded(output: Value, ops: Collection[str] | None = None) -> Expansion:
    """The graph of `output` with its fused ops expanded all the way down: all of them, or those whose names are in `ops`.

    A leaf that was rebound since it was used is computed with as it was.

    >>> import tinygrad_sm as tg
    >>> z = tg.Value([1.0, 2.0])
    >>> twin = expanded(tg.softmax(z)).output
    >>> twin.op.name, [x.op.name for x in twin.inputs], history(twin)[0] is z
    ('divide', ['exp', 'sum'], True)
    """
    twins: dict[Value, Value] = {}
    origins: dict[Value, Value] = {}
    for value in history(output):
        op = value.op
        if op is None:
            continue
        opens = isinstance(op, Fused) and (ops is None or op.name in ops)
        inputs = [_as_used(x, data, twins, origins) for x, data in zip(value.inputs, value._saved, strict=True)]
        if not opens and all(new is old for new, old in zip(inputs, value.inputs, strict=True)):
            continue
        with recording(True), composed() if opens else nullcontext():
            twin = op.again(inputs, value._params)
        if not isinstance(twin, Value):  # the definition made plain data of it
            twin = leaf(twin, requires_grad=False)
        twins[value] = twin
        known = {*map(id, inputs)}
        for new in history(twin):
            if new._order < value._order and new not in origins and id(new) not in known:
                origins[new] = value
    return Expansion(twins.get(output, output), origins, twins)


def _as_used(x: Any, data: Any, twins: dict[Value, Value], origins: dict[Value, Value]) -> Any:
    """An input as it was when it was used."""
    if not isinstance(x, Value) or x in twins:
        return twins[x] if isinstance(x, Value) else x
    if x.op is None and x._data is not data:
        twins[x] = leaf(data, type(x), x.requires_grad, x.name)
        origins[twins[x]] = x
        return twins[x]
    return x
