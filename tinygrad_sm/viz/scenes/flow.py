"""What flows back through a scene: the gradient that reaches each node, what each edge brings, and the local derivatives.

All of it is the engine's own: one sweep for the gradients and the contributions, and the op's own rule for a local derivative.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.traversal import sweep
from tinygrad_sm.graph.value import plain, recording, seed_for
from tinygrad_sm.nd.shapes import flatten
from tinygrad_sm.viz.scenes.elements import shaped, unit_seeds
from tinygrad_sm.viz.scenes.folding import Folded
from tinygrad_sm.viz.scenes.scene import Node, Scene

MOST = 256  # entries that a Jacobian may have to be worth looking at


class Flow:
    """One pass back from an output: by id of node, and by id of edge.

    `gradients` and `contributions` are plain data; what no gradient reaches is not in them. `order` has the ids of nodes as
    the sweep came to them. In the flow of two outputs at once, a gradient may be a dict with one by the title of each side.
    """

    def __init__(self, gradients: dict[str, Any], contributions: dict[str, Any], order: list[str]) -> None:
        self.gradients, self.contributions, self.order = gradients, contributions, order

    def through(self, folded: Scene) -> Flow:
        """The same flow, of a full scene, as it goes through a folded one.

        The gradient of a folded node is that of its result, if it has but one, and what an edge into it brings is the sum of
        what those edges bring for which it stands.
        """
        gradients: dict[str, Any] = {}
        contributions: dict[str, Any] = {}
        boxes = [node for node in folded.nodes.values() if isinstance(node, Folded) and len(node.gives) == 1]
        of = {box.gives[0].id: box.id for box in boxes}
        for me in self.order:
            if (drawn := of.get(me, me)) in folded.nodes:
                gradients[drawn] = self.gradients[me]
        for edge in folded.edges:
            amounts = [self.contributions[me] for me in edge.members or (edge.id,) if me in self.contributions]
            if amounts:
                contributions[edge.id] = sum(amounts[1:], amounts[0])
        return Flow(gradients, contributions, [*gradients])


def flow_of(scene: Scene, output: Value, grad_output: Any = None, twins: Mapping[Value, Value] | None = None) -> Flow:
    """The flow back from `output`, a node of the scene; `grad_output` (its shape) flows in, or 1 into a single number.

    In a folded scene it is that of the full one, as far as it is drawn. `twins` are leaves that are not in the scene, each with
    the one that is drawn for it. Nobody's `.grad` is touched. An output that depends on nothing differentiable has an empty
    flow. Raises a ValueError for an output of several elements without `grad_output`.

    >>> import tinygrad_sm as tg
    >>> from tinygrad_sm.viz.scenes.scene import scene_of
    >>> x = tg.Value(3.0)
    >>> y = x * x + x
    >>> flow = flow_of(scene_of(y), y)
    >>> flow.gradients["n0"], flow.contributions, flow.order
    (7.0, {'n2_0': 1.0, 'n2_1': 1.0, 'n1_0': 3.0, 'n1_1': 3.0}, ['n2', 'n1', 'n0'])
    """
    if scene.full is not None:
        return flow_of(scene.full, output, grad_output, twins).through(scene)
    gradients: dict[str, Any] = {}
    contributions: dict[str, Any] = {}
    seed = seed_for(output, plain(grad_output), "draw")
    if output.requires_grad:
        ids = {node.value: node.id for node in scene.nodes.values() if node.value is not None}
        ids = {twin: ids[x] for twin, x in (twins or {}).items() if x in ids} | ids
        for value, gradient, amounts in sweep(output, seed):
            me = ids.get(value)
            if me is None:  # drawn as part of something else
                continue
            gradients[me] = gradient
            contributions.update((f"{me}_{place}", amount) for place, amount in enumerate(amounts) if amount is not None)
    return Flow(gradients, contributions, [*gradients])


def gradient_of(node: Node, flow: Flow | None) -> tuple[bool, Any]:
    """Whether a node can have a gradient, and the gradient: that of the flow, or what its Value holds; None where none arrived.

    Plain data, constants and folded nodes with several results can have none.
    """
    result = node if not isinstance(node, Folded) else node.gives[0] if len(node.gives) == 1 else None
    if result is None or result.value is None or not result.value.requires_grad:
        return False, None
    if flow is not None:
        return True, flow.gradients.get(node.id)
    return True, result.value.grad if result.value.has_grad else None


class Local:
    """The local derivative of a node by one of its operands.

    `kind` is "slope" (one number), "slopes" (an elementwise op: one number an element, in the operand's shape), or "jacobian"
    (rows are elements of the result, columns those of the operand). `data` is plain: a float, or nested lists of floats.
    """

    __slots__ = ("data", "kind")

    def __init__(self, kind: str, data: Any) -> None:
        self.kind, self.data = kind, data


def locals_of(node: Node) -> Mapping[int, Local]:
    """The local derivatives of a node by the places of its operands; without those whose Jacobian has more than 256 entries.

    They are what the op's rule gives for 1 flowing into one element of the result after the other.

    >>> import tinygrad_sm as tg
    >>> from tinygrad_sm.viz.scenes.scene import scene_of
    >>> x = tg.Value(3.0)
    >>> locals_of(scene_of(x * 2.0).nodes["n1"])[0].data
    2.0
    """
    value = node.value
    if value is None or value.op is None:
        return {}
    wanted = [i for i, x in enumerate(value.inputs) if isinstance(x, Value) and x.requires_grad]
    size, sizes = value.size, {i: prod(shape(value._saved[i])) for i in wanted}
    small = [i for i in wanted if sizes[i] * size <= MOST]
    if not small or not size:
        return {}
    with recording(False):
        rows = [value.op.contributions(value, seed) for seed in unit_seeds(value.data)]
    return {i: _local([flatten(row[i])[0] for row in rows], shape(value.data), shape(value._saved[i])) for i in small}


def _local(rows: list[list[float]], out: tuple[int, ...], given: tuple[int, ...]) -> Local:
    if out == given == ():
        return Local("slope", rows[0][0])
    if out == given and all(not x for i, row in enumerate(rows) for j, x in enumerate(row) if i != j):
        return Local("slopes", shaped([row[i] for i, row in enumerate(rows)], given))
    return Local("jacobian", rows)
