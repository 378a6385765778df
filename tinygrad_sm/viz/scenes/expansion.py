"""A recorded graph once more, with its fused ops as the primitives of their definitions: what stands beside it in a picture."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext

from tinygrad_sm.graph import Fused, Value, composed, history
from tinygrad_sm.graph.value import leaf, next_order, recording


class Expansion:
    """`output`, recorded anew, and where its Values come from.

    `origins` has the old Value of each that was recorded anew, `twins` the new one of each result that was. What was made of
    nothing expanded is shared by both graphs: the very same Values.
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
    versions: dict[tuple[Value, int], Value] = {}  # of leaves, by the data that they had
    for value in history(output):
        op = value.op
        if op is None:
            continue
        opens = isinstance(op, Fused) and (ops is None or op.name in ops)
        inputs = [twins.get(x, x) if isinstance(x, Value) else x for x in value.inputs]
        for i, (x, data) in enumerate(zip(value.inputs, value._saved, strict=True)):
            if isinstance(x, Value) and x.op is None and x._data is not data:
                if (x, id(data)) not in versions:
                    versions[x, id(data)] = leaf(data, type(x), x.requires_grad, x.name)
                    origins[versions[x, id(data)]] = x
                inputs[i] = versions[x, id(data)]
        if not opens and all(new is old for new, old in zip(inputs, value.inputs, strict=True)):
            continue
        before = next_order()
        with recording(True), composed() if opens else nullcontext():
            twin = op.again(inputs, value._params)
        if not isinstance(twin, Value):  # the definition made plain data of it
            twin = leaf(twin, requires_grad=False)
        twins[value] = twin
        waiting = [twin]
        while waiting:
            new = waiting.pop()
            if new._order < before and new not in origins:  # orders count down
                origins[new] = value
                waiting += (x for x in new.inputs if isinstance(x, Value))
    return Expansion(twins.get(output, output), origins, twins)
