"""A scene as a table of plain text: what a terminal shows, and a page where there is no picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.viz.drawings import labels
from tinygrad_sm.viz.scenes.flow import Flow
from tinygrad_sm.viz.scenes.folding import Folded
from tinygrad_sm.viz.scenes.scene import Node, Scene

_HEADING = ("name", "op", "operands", "shape", "value", "grad", "in")
_AT_RIGHT = ("value", "grad")


def listing(
    scene: Scene, flow: Flow | None = None, *, values: bool = True, grads: bool = True, precision: int = 4
) -> list[str]:
    """The lines of a table: the words at the top, and every node with what it was computed from, oldest first.

    >>> import tinygrad_sm as tg
    >>> from tinygrad_sm.viz.scenes.scene import scene_of
    >>> x = tg.Value(3.0, name="x")
    >>> print(*listing(scene_of(x * x + 1.0)), sep="\\n")
    name  op        operands  value  grad
    x     input                   3
    n1    multiply  x, x          9
    n2    add       n1, 1        10
    """
    names = _names(scene)
    rows = []
    for node in scene.nodes.values():
        if node.id not in names:  # plain data, which stand where they are used
            continue
        operands = ", ".join(names.get(edge.tail) or _numbers(scene.nodes[edge.tail].data, precision) for edge in node.operands)
        chosen = labels.settings(node.value) if node.value is not None else ""
        rows.append(
            (
                names[node.id],
                f"{node.title} {chosen}".strip(),
                operands,
                str(shape(node.data)) if node.data is not None and shape(node.data) else "",
                _numbers(node.data, precision) if values else "",
                _gradient(node, flow, precision) if grads else "",
                (node.group.path or node.group.title) if node.group else "",
            )
        )
    return _aligned(rows)


def shortened(lines: Sequence[str], most: int = 30) -> list[str]:
    """The first and the last of many lines."""
    if len(lines) <= most:
        return [*lines]
    half = most // 2
    return [*lines[:half], f"… {len(lines) - 2 * half} more", *lines[-half:]]


def _names(scene: Scene) -> dict[str, str]:
    """What nodes are called in the table, by id: those of a name that others have too, or none, by their ids."""
    often = Counter(node.name for node in scene.nodes.values())
    return {
        node.id: labels.printable(node.name)
        if node.name and often[node.name] == 1
        else f"{labels.printable(node.name)} {node.id}".strip()
        for node in scene.nodes.values()
        if node.name or node.value is not None or node.data is None
    }


def _numbers(data: object, precision: int) -> str:
    """Plain data in a line."""
    if data is None:
        return ""
    facts = labels.statistics(data, precision)
    return facts[""] if "" in facts else " ".join(f"{key} {text}" for key, text in facts.items())


def _gradient(node: Node, flow: Flow | None, precision: int) -> str:
    value = node.value if not isinstance(node, Folded) else node.gives[0].value if len(node.gives) == 1 else None
    if flow is not None:
        return _numbers(flow.gradients.get(node.id), precision)
    return _numbers(value.grad, precision) if value is not None and value.requires_grad and value.has_grad else ""


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The rows in columns, without those that are empty, behind their heading."""
    kept = [i for i, word in enumerate(_HEADING) if word in ("name", "op", *_AT_RIGHT) or any(row[i] for row in rows)]
    table = [_HEADING, *(tuple(labels.cut(text, 48) for text in row) for row in rows)]
    widths = {i: max(len(row[i]) for row in table) for i in kept}
    return [
        "  ".join(f"{row[i]:>{widths[i]}}" if _HEADING[i] in _AT_RIGHT else f"{row[i]:<{widths[i]}}" for i in kept).rstrip()
        for row in table
    ]
