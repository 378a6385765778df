"""A scene as a table of plain text: what a terminal shows, and a page where there is no picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.nd.shapes import whole_number
from tinygrad_sm.viz.drawings import labels
from tinygrad_sm.viz.drawings.tables import versions
from tinygrad_sm.viz.scenes.flow import Flow, gradient_of
from tinygrad_sm.viz.scenes.folding import Folded
from tinygrad_sm.viz.scenes.scene import Edge, Node, Scene

_HEADING = ("name", "op", "operands", "shape", "value", "grad", "in")
_AT_RIGHT = ("value", "grad")
_GAP = "  "
_LONGEST = {"name": 48, "op": 48, "operands": 48}  # characters of a cell; numbers have room for what is not a whole array
_LONGEST_NUMBERS = 160


def listing(
    scene: Scene, flow: Flow | None = None, *, values: bool = True, grads: bool = True, precision: int = 4
) -> list[tuple[str, ...]]:
    """The rows of a table: every node with what it was computed from, oldest first, below the words at the top.

    >>> import tinygrad_sm as tg
    >>> from tinygrad_sm.viz.scenes.scene import scene_of
    >>> x = tg.Value(3.0, name="x")
    >>> print(*aligned(listing(scene_of(x * x + 1.0))), sep="\\n")
    name  op        operands  value  grad
    x     input                   3
    n1    multiply  x, x          9
    n2    add       n1, 1        10
    """
    names = _names(scene)
    tails = {edge.id: edge.tail for edge in scene.full.edges} if scene.full else {}
    rows: list[tuple[str, ...]] = [_HEADING]
    for node in scene.nodes.values():
        if node.id not in names:  # plain data, which stand where they are used
            continue
        operands = ", ".join(_operand(edge, scene, names, tails, precision) for edge in node.operands)
        chosen = labels.settings(node.value) if node.value is not None else ""
        rows.append(
            (
                names[node.id],
                f"{node.title} {chosen}".strip(),
                operands,
                str(shape(node.data)) if node.data is not None and shape(node.data) else "",
                _in_turn(node, precision) if values else "",
                _gradient(gradient_of(node, flow)[1], precision) if grads else "",
                _place(node),
            )
        )
    return rows


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


def _operand(edge: Edge, scene: Scene, names: Mapping[str, str], tails: Mapping[str, str], precision: int) -> str:
    """What an operand is called, and which of several that are drawn as one it is; plain data by its numbers."""
    tail = scene.nodes[edge.tail]
    if tail.id not in names:
        return _numbers(tail.data, precision)
    source = tails.get(edge.members[0] if edge.members else edge.id, tail.id)
    n, times = _turn(tail, source)
    return names[tail.id] if n == 0 else f"the last {names[tail.id]}" if n == times - 1 else f"{names[tail.id]} no. {n + 1}"


def _turn(tail: Node, source: str) -> tuple[int, int]:
    """How many blocks after the first one a node of the full scene is, for which `tail` is drawn, and how many there are."""
    if source not in tail.members:
        return 0, 1
    if not isinstance(tail, Folded):
        return tail.members.index(source), len(tail.members)
    for first in tail.gives if tail.times > 1 else ():  # in a box the equals of a node stand behind it
        n = tail.members.index(source) - tail.members.index(first.id)
        if 0 <= n < tail.times:
            return n, tail.times
    return 0, 1


def _place(node: Node) -> str:
    """The module that a node is in, and the rows of equal blocks, of which it then has the numbers of the first."""
    around = [*node.group.chain()] if node.group else []
    named = [(group.path or group.title, group.times) for i, group in enumerate(around) if not i or group.times > 1]
    places = [("", node.times), *named]
    told = " in ".join(filter(None, (f"{name} {f'x{times}' * (times > 1)}".strip() for name, times in places)))
    return told + ", numbers of the first" * any(times > 1 for _, times in places)


def _in_turn(node: Node, precision: int) -> str:
    """The numbers of a node; of a leaf that was rebound all that it held, oldest first."""
    if node.data is None:
        return ""
    return ", ".join(f"{word} {_numbers(data, precision)}".removeprefix("value ") for word, data in versions(node))


def _gradient(gradient: Any, precision: int) -> str:
    """A gradient, or those of two sides."""
    if isinstance(gradient, dict):
        return ", ".join(f"{side} {_numbers(data, precision)}" for side, data in gradient.items())
    return _numbers(gradient, precision)


def _numbers(data: object, precision: int) -> str:
    """Plain data in a line."""
    if data is None:
        return ""
    facts = labels.statistics(data, precision)
    if len(facts) > 1 and len({*facts.values()}) == 1:
        return f"all {facts['min']}"
    return facts[""] if "" in facts else " ".join(f"{key} {text}" for key, text in facts.items())


def aligned(rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """The rows of `listing` in columns, without those that are empty; the longest are cut until `width` is enough for all."""
    kept = [i for i, word in enumerate(_HEADING) if word in ("name", "op", *_AT_RIGHT) or any(row[i] for row in rows[1:])]
    widths = {i: min(max(len(row[i]) for row in rows), _LONGEST.get(_HEADING[i], _LONGEST_NUMBERS)) for i in kept}
    if width is not None:
        room = whole_number(width, "text: width") - len(_GAP) * (len(kept) - 1)
        while sum(widths.values()) > room and (wide := [i for i in kept if widths[i] > len(_HEADING[i])]):
            widths[max(wide, key=widths.__getitem__)] -= 1
    cells = ([(labels.cut(row[i], widths[i]), i) for i in kept] for row in rows)
    return [
        _GAP.join(f"{text:>{widths[i]}}" if _HEADING[i] in _AT_RIGHT else f"{text:<{widths[i]}}" for text, i in row).rstrip()
        for row in cells
    ]
