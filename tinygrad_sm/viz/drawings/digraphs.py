"""A scene as a DOT graph: nodes, edges, clusters, a legend.

The dialect of DOT is the part that all versions of Graphviz lay out without losing an edge: HTML-like labels, no labels on
edges, and compass points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.viz.drawings import labels, tables
from tinygrad_sm.viz.drawings.legend import legend_label
from tinygrad_sm.viz.drawings.tables import Look, Operand
from tinygrad_sm.viz.drawings.themes import LIGHT, Theme, ghostly
from tinygrad_sm.viz.rendering import FONT
from tinygrad_sm.viz.scenes.elements import shaped
from tinygrad_sm.viz.scenes.flow import Flow, Local, gradient_of, locals_of
from tinygrad_sm.viz.scenes.folding import Folded
from tinygrad_sm.viz.scenes.scene import Edge, Group, Node, Scene

if TYPE_CHECKING:
    import graphviz

MANY = 50  # edges that begin at one node, above which dot would be at it for minutes, so that its steps are limited
_HURRIED = {"nslimit": "0.3", "nslimit1": "0.3"}  # times the number of nodes
_COMPASS = {"LR": ("e", "w"), "TB": ("s", "n")}


def digraph(
    scene: Scene,
    *,
    flow: Flow | None = None,
    view: str = "graph",
    direction: str = "LR",
    values: bool = True,
    grads: bool = True,
    locals: bool = False,  # noqa: A002
    heatmaps: bool = True,
    theme: Theme = LIGHT,
    precision: int = 4,
    title: str = "",
    caption: str = "",
    legend: bool = False,
    cells: bool = False,
    reserve: Mapping[str, str] | None = None,
) -> graphviz.Digraph:
    """The DOT graph of a scene, with the gradients of `flow`, or those that the Values hold if there is none.

    Every node and edge has its id in the scene also in the picture; an edge of a gradient has the id of its operand and
    `_back`. A picture made of it has elements with these ids, and with `cells` (each as `a_` and the id):

    - `n3_value` and `n3_grad`, of which an array that is shown as a table has one for each element, `n3_grad_0` and so on in C
      order; `n3_grad_range` is the smallest and largest element below colours without numbers, and of larger arrays there are
      `n3_grad_min`, `n3_grad_mean` and `n3_grad_max`.
    - `n3_0_cell` for an operand, and in it with `locals` `n3_0_local` and `n3_0_contribution`.

    `reserve` has texts by such ids: the cell has this text alone (below the word of an operand), to be replaced by others that
    are not wider.

    >>> import tinygrad_sm as tg
    >>> from tinygrad_sm.viz.scenes.scene import scene_of
    >>> x = tg.Value(3.0, name="x")
    >>> "n0:e -> n1:i1:w" in digraph(scene_of(x * x)).source
    True
    """
    look = Look(theme, values, grads, heatmaps, precision, direction == "TB", cells, reserve or {})
    faint = look._replace(theme=ghostly(theme))
    graphs: dict[Group | None, graphviz.Digraph] = {None: _empty(theme, direction, title, caption)}
    if max(Counter(edge.tail for edge in scene.edges).values(), default=0) > MANY:
        graphs[None].graph_attr.update(_HURRIED)
    inside: dict[Group | None, list[Group]] = {None: []}
    for group in scene.groups:
        graphs[group], inside[group] = _cluster(group, theme), []
        inside[group.parent].append(group)

    have_grads: set[str] = set()
    for node in scene.nodes.values():
        is_ghost = view == "backward" and not _is_reached(node, flow)
        operands = [*_operands(node, flow, locals)] if len(node.operands) > 1 or locals or cells else []
        has, gradient = gradient_of(node, flow)
        if has and grads:
            have_grads.add(node.id)
        label = tables.node_label(
            node,
            faint if is_ghost else look,
            operands=operands,
            wants_gradient=has,
            gradient=gradient,
            is_output=node.id in scene.outputs,
        )
        graphs[node.group].node(node.id, label, id=node.id, tooltip=labels.tooltip(_about(node, gradient, values, grads)))

    for outer in (*reversed(scene.groups), None):  # inner ones first
        for group in inside[outer]:
            graphs[outer].subgraph(graphs[group])
    whole = graphs[None]
    if legend:
        whole.node("legend", legend_label(scene, view, look, locals=locals), id="legend", tooltip=" ")
        if tail := _before_legend(scene):
            whole.edge(tail, "legend", style="invis", weight="0")
    ends = _COMPASS[direction]
    ports = {edge.id: f":i{i}" for node in scene.nodes.values() for i, edge in enumerate(node.operands)}
    for edge in scene.edges:
        for way, style in _ways(edge, view, flow, theme):
            head, tail = scene.nodes[edge.head], edge.tail + ":grad" * bool(way and edge.tail in have_grads)
            port = ports[edge.id] if len(head.operands) > 1 or locals or cells else ""
            about = f"operand {edge.word} of {head.name or head.title}"
            whole.edge(
                f"{tail}:{ends[0]}",
                f"{edge.head}{port}:{ends[1]}",
                id=edge.id + way,
                tooltip=labels.tooltip(about),
                **style,
            )
    return whole


def ids_of(scene: Scene, view: str = "graph") -> list[str]:
    """The ids of the nodes and edges that a picture of the scene must have."""
    return [*scene.nodes, *(edge.id + way for edge in scene.edges for way, _ in _ways(edge, view, None, LIGHT))]


def _empty(theme: Theme, direction: str, title: str, caption: str) -> graphviz.Digraph:
    try:
        import graphviz
    except ImportError:
        raise ImportError("draw: needs the package graphviz, which writes the DOT text: pip install graphviz") from None
    lines = [f"<B>{labels.shown(title, 100)}</B>"] * bool(title)
    lines += [f'<FONT POINT-SIZE="10" COLOR="{theme["muted"]}">{labels.shown(caption, 300)}</FONT>'] * bool(caption)
    about = {"label": f"<{'<BR/>'.join(lines)}>", "labelloc": "t" if title else "b"} if lines else {}
    font = {"fontname": FONT, "fontcolor": theme["ink"]}
    return graphviz.Digraph(
        "computation",
        graph_attr={
            "rankdir": direction,
            "ranksep": "0.4",
            "nodesep": "0.2",
            "bgcolor": theme["paper"],
            "pad": "0.1",
            "tooltip": " ",
            **font,
            **about,
        },
        node_attr={"shape": "plain", "fontsize": "12", **font},
        edge_attr={"arrowsize": "0.6", "color": theme["forward"]},
    )


def _cluster(group: Group, theme: Theme) -> graphviz.Digraph:
    import graphviz

    heading = group.path or group.title
    parts = [f"<B>{labels.shown(heading, 60)}</B>"] * bool(heading) + [labels.shown(group.title, 60)] * (heading != group.title)
    parts += [f"<B>x{group.times}</B>, numbers of the first"] * (group.times > 1)
    return graphviz.Digraph(
        f"cluster_{group.id}",
        graph_attr={
            "id": group.id,
            "label": f"<{'&#160; '.join(parts)}>",
            "labeljust": "l",
            "labelloc": "t",
            "fontsize": "11",
            "style": "rounded,filled",
            "fillcolor": theme["inner_group" if group.depth % 2 else "group"],
            "color": theme["group_line"],
            "margin": "10",
            "tooltip": labels.tooltip(heading if heading == group.title else f"{heading}: {group.title}"),
        },
    )


def _before_legend(scene: Scene) -> str | None:
    """The node that the legend follows: so it stands beside the output, or beyond that of the first side, where room is."""
    first, *others = scene.outputs
    if others:
        return first
    depth: dict[str, int] = {}
    for node in scene.nodes.values():
        depth[node.id] = max((depth.get(edge.tail, 0) + 1 for edge in node.operands), default=0)
    tails = [edge.tail for edge in scene.nodes[first].operands]
    return max(tails, key=lambda tail: depth.get(tail, 0), default=None)


def _operands(node: Node, flow: Flow | None, locals: bool) -> Iterator[Operand]:  # noqa: A002
    slopes = locals_of(node) if locals else {}
    for edge in node.operands:
        contribution = flow.contributions.get(edge.id) if locals and flow is not None else None
        local = slopes.get(edge.place)
        if local is not None and local.kind == "jacobian" and len(local.data) == 1 and contribution is not None:
            local = Local("slopes", shaped(local.data[0], shape(contribution)))  # of a single number, so like the operand
        yield Operand(edge, local, contribution)


def _is_reached(node: Node, flow: Flow | None) -> bool:
    """Whether a gradient comes to a node, or to something in it."""
    return flow is not None and (
        node.id in flow.gradients or (isinstance(node, Folded) and any(edge.id in flow.contributions for edge in node.operands))
    )


def _ways(edge: Edge, view: str, flow: Flow | None, theme: Theme) -> Iterator[tuple[str, dict[str, str]]]:
    """The lines that are drawn for an edge: what their ids end in, and their styles."""
    if view != "backward":
        yield "", {} if edge.carries else {"style": "dotted", "color": theme["plain"]}
    elif not edge.carries:
        yield "", {"style": "dotted", "color": theme["ghost"], "dir": "none"}
    if view != "graph" and edge.carries:
        is_ghost = flow is not None and edge.id not in flow.contributions
        yield "_back", {"dir": "back", "style": "dashed", "color": theme["ghost" if is_ghost else "backward"]}


def _about(node: Node, gradient: object, values: bool, grads: bool) -> str:
    """What stands in the tooltip: all in full that the picture may have cut."""
    parts = [f"{node.name}: {node.title}" if node.name else node.title]
    if node.value is not None:
        parts.append(labels.settings(node.value, in_full=True))
    if node.data is not None:
        parts.append(f"shape {shape(node.data)}")
    sides = gradient.items() if isinstance(gradient, dict) else [("", gradient)]
    told = [("value", node.data)] * values + [(f"gradient {side}".strip(), data) for side, data in sides] * grads
    for word, data in told:
        if data is not None and not shape(data):
            parts.append(f"{word} {labels.statistics(data, tables.FULL)['']}")
    return ", ".join(filter(None, parts))
