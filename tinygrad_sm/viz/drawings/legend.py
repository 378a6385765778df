"""The legend of a picture: what its shapes, lines and colours mean, as far as they are in it."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.viz.drawings.labels import shown
from tinygrad_sm.viz.drawings.tables import FRAMES, Look, coloured, framed
from tinygrad_sm.viz.drawings.themes import has_heat, shade
from tinygrad_sm.viz.scenes.scene import Scene

_ROLES = {
    "input": "input",
    "parameter": "parameter",
    "constant": "constant, which gets no gradient",
    "op": "op",
    "fused": "fused op: many primitives in one",
    "output": "output: what is drawn",
    "folded": "several nodes as one",
}


def legend_label(scene: Scene, view: str, look: Look, *, locals: bool = False) -> str:  # noqa: A002
    """The label of a node that explains the picture of a scene."""
    rows = "".join(
        f'<TR><TD>{sample}</TD><TD ALIGN="LEFT"><FONT POINT-SIZE="10">{shown(words, 60)}</FONT></TD><TD WIDTH="6"></TD></TR>'
        for sample, words in [*_roles(scene, look), *_lines(scene, view, look), *_numbers(scene, look, locals)]
    )
    line = look.theme["group_line"]
    return f'<<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" STYLE="ROUNDED" COLOR="{line}">{rows}</TABLE>>'


def _roles(scene: Scene, look: Look) -> Iterator[tuple[str, str]]:
    there = {node.role for node in scene.nodes.values() if node.id not in scene.outputs or node.is_leaf}
    there |= {"output" for output in scene.outputs if not scene.nodes[output].is_leaf}
    for role in FRAMES:
        if role in there:
            sample = framed(role, '<TR><TD WIDTH="18" HEIGHT="6"></TD></TR>', look)
            yield sample[1:-1], _ROLES[role]


def _lines(scene: Scene, view: str, look: Look) -> Iterator[tuple[str, str]]:
    there = {edge.carries for edge in scene.edges}
    if True in there and view != "backward":
        yield coloured("——→", "forward", look), "operand"
    if True in there and view != "graph":
        yield coloured("←– –", "backward", look), "gradient, back to the operand"
    if False in there:
        yield coloured("· · ·", "plain", look), "operand that gets no gradient"


def _numbers(scene: Scene, look: Look, locals: bool) -> Iterator[tuple[str, str]]:  # noqa: A002
    if look.grads:
        yield coloured("grad", "backward_ink", look), "gradient; empty until one has arrived"
    if (
        look.heatmaps
        and has_heat(look.theme)
        and any(shape(node.data) for node in scene.nodes.values() if node.data is not None)
    ):
        squares = "".join(f'<TD BGCOLOR="{shade(x / 2, look.theme)}" WIDTH="9" HEIGHT="9"></TD>' for x in range(-2, 3))
        table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{squares}</TR></TABLE>'
        yield table, "elements below and above zero"
    if locals:
        yield "∂", "local derivative of the op by the operand"
        yield coloured("+", "backward_ink", look), "what the operand's gradient gets from here"
