"""The HTML-like tables of DOT that nodes are made of: a title, numbers and heat maps, and a cell for each operand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, prod
from typing import Any, NamedTuple

from tinygrad_sm.graph.namespaces import SCALARS, kind_of, shape
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.viz.drawings.labels import FEW, elements, number, settings, shown, size_of, span, spread, statistics, tooltip
from tinygrad_sm.viz.drawings.themes import Theme, has_heat, shade
from tinygrad_sm.viz.scenes.elements import sizes_of
from tinygrad_sm.viz.scenes.flow import Local
from tinygrad_sm.viz.scenes.folding import Folded
from tinygrad_sm.viz.scenes.scene import Edge, Node

MOST = 80  # entries of a heat map
WIDEST = 10  # its rows, and its columns
TOLD = 16  # entries of a heat map that has its numbers in it
TOLD_WIDE = 6  # columns of such a one
FULL = 12  # digits where there is room for all that matter

FRAMES = {  # the outer border of each role, and whether there is a second one within
    "input": ('BORDER="1" STYLE="ROUNDED"', False),
    "parameter": ('BORDER="3"', False),
    "constant": ('BORDER="1" STYLE="DASHED"', False),
    "op": ('BORDER="1"', False),
    "fused": ('BORDER="1"', True),
    "output": ('BORDER="3"', True),
    "folded": ('BORDER="2" STYLE="ROUNDED"', False),
}


class Look(NamedTuple):
    """What is in a node and how it looks. `cells` gives cells their ids, and `reserve` makes room for a text by the id."""

    theme: Theme
    values: bool = True
    grads: bool = True
    heatmaps: bool = True
    precision: int = 4
    upright: bool = False  # operands are above a node and not at its left
    cells: bool = False
    reserve: Mapping[str, str] = {}


class Operand(NamedTuple):
    """What stands in the cell of an operand."""

    edge: Edge
    local: Local | None = None
    contribution: Any = None


Row = tuple[str, list[str]]  # a word, and the cells beside it

# --- nodes


def node_label(
    node: Node,
    look: Look,
    *,
    operands: Sequence[Operand] = (),
    wants_gradient: bool = False,
    gradient: Any = None,
    is_output: bool = False,
) -> str:
    """The label of a node: its name, its op or its role as a leaf, its settings, shape, value and gradient.

    `gradient` is None where none has arrived, and then its cell is empty; where two sides bring different ones, it has them
    by the titles of the sides. The ports of `operands` are called i0, i1, ...
    """
    role = "output" if is_output and node.role in ("op", "fused") else node.role
    rows = [*_facts(node, look, wants_gradient, gradient)]
    room = ' CELLPADDING="6"' if "ROUNDED" in FRAMES[role][0] else ""  # for the corners
    return framed(role, _body(_title(node, role, look), rows, look, room), look, operands)


def framed(role: str, body: str, look: Look, operands: Sequence[Operand] = ()) -> str:
    """A whole label: a body in the frame of its role, and the cells of its operands before it."""
    border, is_double = FRAMES[role]
    line = look.theme[f"{role}_line"]
    inner = _table(body, f'BORDER="{int(is_double)}" CELLPADDING="3" COLOR="{line}"')
    outer = f'{border} CELLPADDING="{2 * is_double}" COLOR="{line}" BGCOLOR="{look.theme[role]}"'
    if not operands:
        return f"<{_table(f'<TR><TD>{inner}</TD></TR>', outer)}>"
    ports = [_port(i, operand, look, len(operands) > 1) for i, operand in enumerate(operands)]
    if look.upright:
        rows = f'<TR>{"".join(ports)}</TR><TR><TD COLSPAN="{len(ports)}">{inner}</TD></TR>'
    else:
        beside = f'<TD ROWSPAN="{len(ports)}">{inner}</TD>'
        rows = "".join(f"<TR>{port}{'' if i else beside}</TR>" for i, port in enumerate(ports))
    return f"<{_table(rows, outer)}>"


def _title(node: Node, role: str, look: Look) -> str:
    """The name in bold, what it is, and its settings in small letters below."""
    parts = [f"<B>{shown(node.name or node.title)}</B>"] + [shown(node.title)] * bool(node.name)
    parts += [f"<B>x{node.times}</B>, numbers of the first"] * (node.times > 1)
    parts += [word(x, look) for x, is_so in (("fused", node.role == "fused"), ("output", role == "output")) if is_so]
    if isinstance(node, Folded):
        about = _counted(node.ops, "op") + f", {_counted(node.entries, 'parameter')}" * bool(node.entries)
        about += " each" * (node.times > 1)
    else:
        about = settings(node.value) if node.value is not None else ""
    below = f'<BR/><FONT POINT-SIZE="9">{shown(about, 48)}</FONT>' if about else ""
    return "&#160; ".join(parts) + below


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _facts(node: Node, look: Look, wants_gradient: bool, gradient: Any) -> Iterator[Row]:
    if isinstance(node, Folded):
        if any(shape(x.data) for x in (*node.takes, *node.gives)):
            ways = [", ".join(dict.fromkeys(str(shape(x.data)) for x in side)) for side in (node.takes, node.gives)]
            yield "shape", [cell(shown(" → ".join(filter(None, ways)), 60))]
    elif sizes := shape(node.data):
        yield "shape", [cell(str(sizes))]
    told = [(name, data, "ink") for name, data in versions(node)] if look.values and node.data is not None else []
    if look.grads and wants_gradient:  # an empty cell until a gradient has arrived, since none is not zero
        sides = gradient.items() if isinstance(gradient, dict) else [("", gradient)]
        told += [(f"grad {side}".strip(), data, "backward_ink") for side, data in sides]
    if not told:
        return
    kind = _kind(node.data, look)
    if kind == "spread":
        yield "", [cell(word(name, look)) for name in spread(node.data)]
    for name, data, ink in told:
        me = f"{node.id}_{name}".replace(" ", "_")
        if data is None:
            yield name, [_nothing(node.data, kind, look, me)]
            continue
        yield name, numbers(data, kind, look, me, ink)
        if kind == "colours":
            yield "", [cell(word(_range(data, look), look), look, f"{me}_range")]


def versions(node: Node) -> list[tuple[str, Any]]:
    """The data of a leaf when it was used, oldest first, and what it holds now where that is something else."""
    now = node.value.data if node.value is not None and node.is_leaf else node.data
    if not node.is_leaf or (len(node.used) == 1 and now is node.used[0]):
        return [("value", now)]
    told = [("value", node.used[0])]
    for name, data in [*(("then", data) for data in node.used[1:]), ("now", now)]:
        if _looks(data) != _looks(told[-1][1]):
            told.append((name, data))
    return told


def _looks(data: Any) -> Any:
    """What is equal for data that a picture shows alike."""
    return str(nested_lists(data)) if size_of(data) <= MOST else statistics(data)


def _body(title: str, rows: Sequence[Row], look: Look, room: str) -> str:
    width = max((len(cells) for _, cells in rows), default=1)
    text = f'<TR><TD COLSPAN="{width + 1}"{room}>{title}</TD></TR>' + "<HR/>" * bool(rows)
    gradients = [i for i, (name, _) in enumerate(rows) if name.startswith("grad")]
    lowest = len(rows) - 1
    arrival = None if not gradients else lowest if look.upright else gradients[0]  # where an edge crosses no other cell
    for i, (name, cells) in enumerate(rows):
        wide = f' COLSPAN="{width + 1 - len(cells)}"' if len(cells) < width else ""
        port = ' PORT="grad"' if i == arrival else ""
        last = cells[-1].replace("<TD", f"<TD{port}", 1)
        inset = ' CELLPADDING="5"' if room and "<TABLE" in last else ""  # of the frame of a map, from round corners
        held = "".join(x.replace("<TD", f"<TD{wide}{inset}", 1) for x in (*cells[:-1], last))
        text += f'<TR><TD ALIGN="LEFT">{word(name, look)}</TD>{held}</TR>'
    return text


# --- numbers


def heat_of(sizes: Sequence[int]) -> str:
    """Whether something of a shape is shown as a heat map: with "numbers", as "colours" alone, or "" for not at all."""
    size = prod(sizes)
    if not sizes or size < 2:
        return ""
    columns = sizes[-1]
    if size <= TOLD and columns <= TOLD_WIDE:
        return "numbers"
    return "colours" if size <= MOST and columns <= WIDEST and size // columns <= WIDEST else ""


def _kind(data: Any, look: Look) -> str:
    """How plain data is shown: "text", a table of "numbers" or of "colours", or the "spread" of its elements."""
    sizes = sizes_of(data)
    size = prod(sizes)
    if not sizes or size < 2:
        return "text"
    heat = heat_of(sizes) if look.heatmaps else ""
    if heat == "numbers" or (heat and has_heat(look.theme) and not _is_whole(data)):
        return heat
    return "text" if size <= FEW else "spread"


def numbers(data: Any, kind: str, look: Look, me: str, ink: str = "ink") -> list[str]:
    """The cells that show plain data in the way of `kind`: one with the id `me`, or three with what they say behind it."""
    if me in look.reserve:
        return [cell(coloured(shown(look.reserve[me], 99), ink, look), look, me)]
    if kind == "spread":
        return [cell(coloured(x, ink, look), look, f"{me}_{name}") for name, x in spread(data, look.precision).items()]
    if kind == "text":
        return [cell(coloured(elements(_nested(data), look.precision), ink, look), look, me)]
    return [cell(heat_map(data, look, me, told=kind == "numbers"), look, me)]


def _nothing(like: Any, kind: str, look: Look, me: str) -> str:
    """An empty cell; one that will be filled has room for what comes."""
    if look.cells and kind in ("numbers", "colours") and me not in look.reserve:
        return cell(heat_map(like, look, me, told=kind == "numbers", blank=True), look, me)
    return cell(coloured(shown(look.reserve.get(me, ""), 99), "backward_ink", look), look, me)


def heat_map(data: Any, look: Look, me: str, *, told: bool, blank: bool = False) -> str:
    """A framed table with a cell for each element, blue above zero and orange below; the leading axes go down.

    The colour is strongest at the largest magnitude, and nan is grey. Cells have the ids `me`_0, `me`_1, ... in C order.
    """
    sizes, theme = sizes_of(data), look.theme
    rows = _rows(data)
    top = max((abs(float(x)) for row in rows for x in row if isfinite(x)), default=0.0)
    plain = blank or not has_heat(theme) or _is_whole(data)
    height = sizes[-2] if len(sizes) > 1 else 1  # of a matrix; those of a stack stand apart
    text = ""
    for i, row in enumerate(rows):
        if i and not i % height:
            text += f'<TR><TD COLSPAN="{len(row)}" HEIGHT="4" CELLPADDING="0"></TD></TR>'
        text += "<TR>"
        for j, x in enumerate(row):
            k = i * len(row) + j
            fill = theme["zero"] if plain else shade(float(x) / (top or 1.0), theme) if x == x else theme["undefined"]
            size = (' WIDTH="36" HEIGHT="17"' * blank) if told else ' WIDTH="13" HEIGHT="13" FIXEDSIZE="TRUE"'
            if not told and (sides := _outer_sides(i % height, j, height, len(row))):
                size += f' BORDER="1" SIDES="{sides}" COLOR="{theme["group_line"]}"'
            about = "" if told and not look.cells else _linked(f"{me}_{k}", f"{_place(k, sizes)} {number(x, FULL)}")
            is_told = (told or not isfinite(x)) and not blank
            shown_as = look.reserve.get(f"{me}_{k}", _entry(x, look) if is_told else "")
            held = f'<FONT POINT-SIZE="{9 if told else 6}" COLOR="{theme["heat_ink"]}">{shown_as}</FONT>' if shown_as else ""
            text += f'<TD BGCOLOR="{fill}"{size}{about}>{held}</TD>'
        text += "</TR>"
    if told:
        size = f'BORDER="1" COLOR="{theme["group_line"]}" CELLSPACING="1" CELLPADDING="2"'
    else:  # squares, also where there is more room
        down = 13 * len(rows) + 4 * (text.count("<TR>") - len(rows))
        size = f'BORDER="0" CELLSPACING="0" CELLPADDING="0" FIXEDSIZE="TRUE" WIDTH="{13 * len(rows[0])}" HEIGHT="{down}"'
    return f'<TABLE CELLBORDER="0" ALIGN="RIGHT" VALIGN="TOP" {size}>{text}</TABLE>'


def _outer_sides(i: int, j: int, height: int, width: int) -> str:
    """Where an entry of a matrix is at its edge: the frame is made of cells, as dot misplaces that of a fixed table."""
    ends = i == 0, i == height - 1, j == 0, j == width - 1
    return "".join(side for side, is_end in zip("TBLR", ends, strict=True) if is_end)


def _entry(x: Any, look: Look) -> str:
    return number(int(x) if isinstance(x, bool) else x, look.precision)


def _range(data: Any, look: Look) -> str:
    """The smallest and the largest element, the scale of a heat map, and whether there is a nan."""
    if not isinstance(data, list) and kind_of(data) == "bool":
        return "False … True"
    elements = [x for row in _rows(data) for x in row]
    known = [x for x in elements if x == x]
    ends = [span(min(known), max(known), look.precision)] if known else []
    return ", ".join(ends + ["nan"] * (len(known) < len(elements)))


def _place(k: int, sizes: Sequence[int]) -> str:
    """The index of the element number k."""
    index: list[int] = []
    for n in reversed(sizes):
        k, i = divmod(k, n)
        index.insert(0, i)
    return f"{index}"


def _nested(data: Any) -> Any:
    return data if type(data) in SCALARS or isinstance(data, list) else nested_lists(data)


def _rows(data: Any) -> list[list[Any]]:
    """The elements in rows along the last axis."""
    sizes = sizes_of(data)
    rows = _nested(data) if len(sizes) > 1 else [_nested(data)]
    for _ in sizes[:-2]:
        rows = [row for part in rows for row in part]
    return rows


def _is_whole(data: Any) -> bool:
    """Whether the elements are whole numbers, such as classes, of which none is more than another."""
    return not isinstance(data, list) and type(data) not in SCALARS and kind_of(data) == "integral"


# --- the cell of an operand


def _port(i: int, operand: Operand, look: Look, named: bool) -> str:
    """The cell where an edge arrives: the operand's word, and on request what goes back to it."""
    edge = operand.edge
    lines = [cell(word(edge.word, look))] if named or not (operand.local or operand.contribution is not None) else []
    if operand.local is not None:
        lines.append(_with_sign("∂", operand.local.data, look, f"{edge.id}_local", is_matrix=operand.local.kind == "jacobian"))
    if operand.contribution is not None:
        lines.append(_with_sign("+", operand.contribution, look, f"{edge.id}_contribution", "backward_ink"))
    if reserved := look.reserve.get(f"{edge.id}_cell"):
        lines.append(cell(coloured(shown(reserved, 99), "backward_ink", look)))
    fill = f'{look.theme["port"]}"'
    if i:  # a line between two cells
        fill += f' BORDER="1" SIDES="{"L" if look.upright else "T"}" COLOR="{look.theme["group_line"]}"'
    about = _linked(f"{edge.id}_cell", edge.word) if look.cells else ""
    if len(lines) == 1:
        return lines[0].replace("<TD", f'<TD PORT="i{i}" BGCOLOR="{fill} CELLPADDING="3"{about}', 1)
    if look.upright:
        lines = [line.replace(' ALIGN="RIGHT"', "", 1) for line in lines]
    inner = _table("".join(f"<TR>{line}</TR>" for line in lines), 'BORDER="0" CELLPADDING="1"')
    return f'<TD PORT="i{i}" BGCOLOR="{fill} CELLPADDING="2"{about}>{inner}</TD>'


def _with_sign(sign: str, data: Any, look: Look, me: str, ink: str = "ink", is_matrix: bool = False) -> str:
    """A local derivative behind ∂ or a contribution behind +: a number, a heat map with its range, or the range alone."""
    kind, sizes = _kind(data, look), sizes_of(data)
    if kind in ("numbers", "colours"):
        held, sign = heat_map(data, look, me, told=kind == "numbers"), coloured(sign, ink, look)
        if kind == "numbers":  # the two stay together in a cell that is wider or higher
            rows = f'<TR><TD ALIGN="RIGHT">{sign}</TD><TD>{held}</TD></TR>'
        else:
            about = f"{sign} {word(_range(data, look), look)}"
            rows = f'<TR><TD ALIGN="RIGHT" VALIGN="BOTTOM">{about}</TD></TR><TR><TD>{held}</TD></TR>'
        return cell(_table(rows, 'BORDER="0" CELLPADDING="1"'), look, me)
    text = elements(_nested(data), look.precision) if kind == "text" else f"{sizes} array, " * is_matrix + _range(data, look)
    if sign == "∂":
        text = f"∂ {text}"
    elif not sizes and text[0] != "-" and text != "0":
        text = f"+{text}"
    return cell(coloured(text, ink, look), look, me)


# --- parts of tables


def cell(held: str, look: Look | None = None, me: str = "") -> str:
    """A cell at the right; with an id where the picture's cells have them."""
    about = f"{_linked(me, me)}" if look is not None and look.cells and me else ""
    return f'<TD ALIGN="RIGHT"{about}>{held}</TD>'


def word(text: str, look: Look) -> str:
    """A word beside a number, small and grey."""
    return f'<FONT COLOR="{look.theme["muted"]}" POINT-SIZE="9">{shown(text)}</FONT>' if text else ""  # dot takes no empty FONT


def coloured(text: str, ink: str, look: Look) -> str:
    """Text in a colour of the theme."""
    return text if ink == "ink" or not text else f'<FONT COLOR="{look.theme[ink]}">{text}</FONT>'


def _linked(me: str, title: str) -> str:
    """The attributes that make dot give a cell an id; drawings leave out the link again."""
    return f' ID="{me}" HREF="#" TITLE="{tooltip(title)}"'


def _table(rows: str, attributes: str) -> str:
    return f'<TABLE CELLBORDER="0" CELLSPACING="0" {attributes}>{rows}</TABLE>'
