"""The graph behind a Value as a DOT graph: which nodes and edges there are, what they are called and where they meet.

The dialect of DOT is the part that all versions of Graphviz lay out without losing an edge: HTML-like labels, no labels on
edges, and compass points.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tinygrad_sm.graph import Value, history
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.viz import labels
from tinygrad_sm.viz.rendering import FONT

if TYPE_CHECKING:
    import graphviz


def graph_of(
    value: Value, names: dict[int, str], parameters: set[int], most: int
) -> tuple[graphviz.Digraph, list[str], list[str]]:
    """The DOT graph of what `value` was computed from, and the ids of its nodes and of its edges.

    `names` are by the id of what they name, `parameters` are ids, and at most `most` Values are drawn, the newest.
    """
    dot = _empty()
    nodes: list[str] = []
    edges: list[str] = []

    def add(me: str, label: str, tooltip: str) -> None:
        nodes.append(me)
        dot.node(me, label, id=me, tooltip=_tooltip(tooltip))

    everything = history(value)
    older = max(len(everything) - most, 0)
    ids = {node: "older" if i < older else f"n{i}" for i, node in enumerate(everything)}
    if older:
        add("older", labels.caption(f"… {older} older node{'s' * (older != 1)}"), "left out by max_nodes")

    used = _data_used(everything[older:])  # whatever uses a leaf is newer, so drawn if the leaf is
    for node in everything[older:]:
        me, operands = ids[node], [*_operands(node)]
        name = str(names.get(id(node)) or node.name or "")
        role = node.op.name if node.op is not None else _role(node, name, id(node) in parameters)
        words = [word for _, word, _ in operands] if len(operands) > 1 else []
        add(me, labels.value_label(node, name, role, words, used.get(node, ())), _about(node, name, role))
        for port, (place, word, x) in enumerate(operands):
            if isinstance(x, Value):
                source = ids[x]
            else:  # one node a use, since equal numbers need not be one thing
                source, its_name = f"{me}c{place}", names.get(id(x), "")
                add(source, labels.constant_label(x, its_name), f"{its_name or 'constant'}, shape {shape(x)}")
            edges.append(f"{me}_{place}")
            head = f"{me}:i{port}:w" if words else f"{me}:w"
            style = {} if isinstance(x, Value) and x.requires_grad else {"style": "dashed"}
            dot.edge(f"{source}:e", head, id=edges[-1], tooltip=_tooltip(f"operand {word} of {role}"), **style)
    return dot, nodes, edges


def _empty() -> graphviz.Digraph:
    try:
        import graphviz
    except ImportError:
        raise ImportError("draw: needs the package graphviz, which writes the DOT text: pip install graphviz") from None
    return graphviz.Digraph(
        "computation",
        graph_attr={"rankdir": "LR", "ranksep": "0.4", "nodesep": "0.2", "tooltip": " "},
        node_attr={"shape": "plain", "fontname": FONT, "fontsize": "12"},
        edge_attr={"arrowsize": "0.6", "color": labels.GREY},
    )


def _operands(node: Value) -> Iterator[tuple[int, str, Any]]:
    """What the op took: its place among the inputs, what it is called there, and itself; without optional ones not given."""
    op = node.op
    if op is None:
        return
    own_names = () if op.variadic or {*op.input_names} <= {"a", "b"} else op.input_names
    for i, x in enumerate(node.inputs):
        if x is not None:
            yield i, own_names[i] if own_names else str(i), x


def _data_used(nodes: Iterable[Value]) -> dict[Value, list[Any]]:
    """The data that each leaf had when it was used, oldest first: it may have been rebound between two uses, and since."""
    found: dict[Value, list[Any]] = {}
    for node in nodes:
        for x, data in zip(node.inputs, node._saved, strict=True):
            if isinstance(x, Value) and x.op is None:
                versions = found.setdefault(x, [])
                if not versions or versions[-1] is not data:
                    versions.append(data)
    return found


def _role(leaf: Value, name: str, is_parameter: bool) -> str:
    """What kind of leaf it is."""
    if not leaf.requires_grad:
        return "constant"
    path, _, last = name.rpartition(".")
    return "parameter" if is_parameter or path or last in ("weight", "bias") else "input"


def _about(node: Value, name: str, role: str) -> str:
    """What stands in the tooltip: all in full that the picture may have cut."""
    parts = (f"{name}: {role}" if name else role, labels.settings(node, in_full=True), f"shape {node.shape}")
    return ", ".join(filter(None, parts))


def _tooltip(text: str) -> str:
    shown = labels.escaped(labels.cut(labels.printable(text), 500))  # dot reads at most 16 kB
    return shown.replace("&#92;", 4 * "&#92;")  # of which dot, that looks for escapes twice, leaves one
