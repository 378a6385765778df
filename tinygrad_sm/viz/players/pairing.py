"""A graph and its expansion in step: which nodes go together, when both have done the same, how far apart their numbers are."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite
from typing import Any, NamedTuple

from tinygrad_sm.check.units import precision_of
from tinygrad_sm.graph import Fused, Value
from tinygrad_sm.graph.value import nested_lists, recording
from tinygrad_sm.nd.shapes import flatten
from tinygrad_sm.viz.drawings.labels import number
from tinygrad_sm.viz.players.quantities import Quantities
from tinygrad_sm.viz.players.steps import labels_of, trace_of
from tinygrad_sm.viz.scenes.expansion import Expansion
from tinygrad_sm.viz.scenes.flow import flow_of
from tinygrad_sm.viz.scenes.scene import Scene

_NO_ROUNDING = 1e6  # ulp; what differs more differs for another reason


class View:
    """One graph on the page: its scene as drawn, what flows back through it, and its steps."""

    def __init__(self, key: str, title: str, output: Value, full: Scene, scene: Scene, seed: Any, held: Quantities) -> None:
        self.key, self.title, self.output, self.scene = key, title, output, scene
        self.flow = flow_of(full, output, seed)
        drawn_flow = self.flow if scene is full else self.flow.through(scene)
        self.trace: dict[str, Any] = {"key": key, "title": title, **trace_of(scene, drawn_flow, output, held)}
        self.is_folded = scene is not full
        drawn = {member: node.id for node in scene.nodes.values() for member in (node.id, *node.members)}
        self.full_id_of = {node.value: node.id for node in full.nodes.values() if node.value is not None}
        self.id_of = {value: drawn[me] for value, me in self.full_id_of.items()}

    def gradient(self, value: Value) -> Any:
        """The gradient of a Value; None where none arrives."""
        return self.flow.gradients.get(self.full_id_of.get(value, ""))


class Difference(NamedTuple):
    """The largest difference between two forms of one thing, also in units in the last place of its largest entry.

    Where that cancels to nearly nothing, the units are those of the largest entry of what cancels in it.
    """

    what: str
    absolute: float
    ulp: float
    cancels: bool = False


def partners(first: View, second: View, expansion: Expansion) -> dict[str, dict[str, str]]:
    """For each view, by its key, the nodes of the other that go with its own: where one comes from, what stands for it."""
    back = {me: first.id_of[expansion.origins.get(value, value)] for value, me in second.id_of.items()}
    forth = {
        me: second.id_of[twin]
        for value, me in first.id_of.items()
        if (twin := expansion.twins.get(value, value)) in second.id_of
    }
    return {first.key: forth, second.key: back}


def inside(first: View, second: View, expansion: Expansion) -> dict[str, str]:
    """For each node that a fused op was expanded into, that op: its name, with a number where there are several of it."""
    labels = labels_of(first.scene)
    found = {}
    for value, me in second.id_of.items():
        origin = expansion.origins.get(value)
        if origin is not None and isinstance(origin.op, Fused) and (value.op is None or value.op.name != origin.op.name):
            node = first.scene.nodes[first.id_of[origin]]
            found[me] = node.title if node.name else labels[node.id]
    return found


def until(first: View, second: View, came_from: Mapping[str, str]) -> list[int]:
    """For each step of the first view, the step of the second after which all up to there is done."""
    last: dict[Any, int] = {}
    for i, step in enumerate(second.trace["steps"]):
        last[step["kind"], came_from.get(step["node"])] = i
    found, most = [], 0
    for step in first.trace["steps"]:
        most = max(most, last.get((step["kind"], step["node"]), 0))
        found.append(most)
    return found


def differences(first: View, second: View, expansion: Expansion) -> list[Difference]:
    """How far apart the two are, in the value of the output and in the gradient of each leaf."""
    labels = labels_of(first.scene)
    found = [_difference(f"value of {labels[first.id_of[first.output]]}", first.output.data, second.output.data)]
    for value in first.id_of:
        if value.op is None and (gradient := first.gradient(value)) is not None:
            other = second.gradient(expansion.twins.get(value, value))
            if other is not None:
                what = f"gradient of {labels[first.id_of[value]]}"
                difference = _difference(what, gradient, other)
                if _NO_ROUNDING <= difference.ulp < inf and (summed := _summed(first, value)):
                    again = _difference(what, gradient, other, summed)
                    difference = again._replace(cancels=True) if again.ulp < _NO_ROUNDING else difference
                found.append(difference)
    return found


def told(found: list[Difference]) -> str:
    """Differences in a sentence.

    >>> told([Difference("value of y", 0.0, 0.0), Difference("gradient of x", 2e-16, 1.0)])
    'Fused = composed: largest difference 2e-16, 1 ulp of the largest entry.'
    >>> told([Difference("value of y", 0.0, 0.0)])
    'Fused = composed, to the last bit.'
    """
    absolute, ulp = max(x.absolute for x in found), max(x.ulp for x in found)
    if not absolute:
        return "Fused = composed, to the last bit."
    sign = "=" if ulp < _NO_ROUNDING else "and"
    return f"Fused {sign} composed: largest difference {number(absolute, 2)}, {ulps(ulp)} ulp of the largest entry."


def ulps(x: float) -> str:
    """A number of units in the last place as text: whole where it is not small."""
    return number(round(x) if 10 <= x < 1e9 else x, 2)


def _difference(what: str, a: Any, b: Any, largest: float = 0.0) -> Difference:
    entries, others = (flatten(nested_lists(data))[0] for data in (a, b))
    absolute = max(map(_apart, entries, others), default=0.0)
    unit = precision_of(a).ulp(max([largest, *(abs(x) for x in (*entries, *others) if isfinite(x))]))
    return Difference(what, absolute, absolute / unit)


def _summed(view: View, leaf: Value) -> float:
    """The largest entry of what is summed up in the gradient of a leaf, or less: what rules give for |incoming gradient|."""
    found = 0.0
    with recording(False):
        for value in view.full_id_of:
            gradient = view.gradient(value)
            if value.op is None or gradient is None or not any(x is leaf for x in value.inputs):
                continue
            for x, amount in zip(value.inputs, value.op.contributions(value, abs(gradient)), strict=True):
                if x is leaf and amount is not None:
                    found = max([found, *(float(abs(entry)) for entry in flatten(nested_lists(amount))[0] if isfinite(entry))])
    return found


def _apart(x: Any, y: Any) -> float:
    """|x - y|; nothing between two nan, and everything between a nan, or an infinity, and something else."""
    if x == y or (x != x and y != y):
        return 0.0
    return float(abs(x - y)) if isfinite(x) and isfinite(y) else inf
