"""Things to draw, and reading drawings back: their DOT text as nodes and edges, and the tables in the nodes."""

import random
import re
from typing import NamedTuple
from xml.etree import ElementTree

import tinygrad_sm as tg

# Names that could break a picture.
AWKWARD = [
    "a <b> & \"c\" {|} 'd'",
    "\\N\\G\\l\\\\",
    "ends in \\",
    "&lt;&#65;&amp;",
    "<x>",
    "two\nlines\ttab\r",
    "\x00\x1b\x7f\ud800\ufffe\u202e",
    "日本語 ∇ ŷ é עברית नमस्ते",
    "]]> -- /* */ // # ; [ ]",
    " ",
]


def random_graph(seed: int) -> tg.Value:
    """A Value of some thirty ops on numbers, with shared nodes, constants of both kinds, and joins."""
    choose = random.Random(seed)
    values = [tg.Value(choose.random(), name=f"x{i}") for i in range(3)] + [tg.Value(0.5, requires_grad=False)]
    for _ in range(choose.randint(1, 30)):
        a, b = choose.choices(values[-6:], k=2)
        kind = choose.randrange(6)
        joined = tg.softmax(tg.stack([a, b, a]))[1] if kind == 0 else None
        made = (joined, a * b, a - 0.25, 0.5 + a, a.tanh(), a * a)[kind]
        values.append(made)
    return sum(values[4:], values[0])


NODE = re.compile(r'\t(\w+) \[label=<(<TABLE .*</TABLE>)> id=(\w+) tooltip="([^"]*)"\]')
EDGE = re.compile(r'\t(\w+):e -> (\w+)(?::i(\d+))?:w \[id=(\w+)( style=dashed)? tooltip="([^"]*)"\]')


class Edge(NamedTuple):
    """From a node to a node, at a port (None: it has but one operand)."""

    tail: str
    head: str
    port: int | None
    dashed: bool


class Node(NamedTuple):
    """Its title (name and op), what else is there by the word at its left, and the words at the ports."""

    title: str
    facts: dict[str, list[str]]
    ports: list[str]
    colour: str
    tooltip: str


def read(drawing) -> tuple[dict[str, Node], list[Edge]]:
    """The nodes by id and the edges of a drawing; every line of the text must be one of the two."""
    nodes, edges, ids = {}, [], []
    lines = drawing.source.splitlines()
    assert lines[0] == "digraph computation {" and lines[-1] == "}"
    for line in lines[4:-1]:
        if node := NODE.fullmatch(line):
            name, label, own_id, tooltip = node.groups()
            assert own_id == name
            nodes[name] = _node(label, tooltip)
        else:
            edge = EDGE.fullmatch(line)
            assert edge, line
            edges.append(Edge(edge[1], edge[2], None if edge[3] is None else int(edge[3]), bool(edge[5])))
            ids.append(edge[4])
    assert len({*ids, *nodes}) == len(ids) + len(nodes)
    return nodes, edges


def _node(label: str, tooltip: str) -> Node:
    table = ElementTree.fromstring(label.replace("<BR/>", "\n"))
    cells = [*table.iter("TD")]
    ports = [text(cell) for cell in cells if "PORT" in cell.attrib]
    assert [cell.get("PORT") for cell in cells if "PORT" in cell.attrib] == [f"i{i}" for i in range(len(ports))]
    body = table.find(".//TABLE") if ports else table
    rows = [[*row.iter("TD")] for row in body.findall("TR")]
    columns = {sum(int(cell.get("COLSPAN", 1)) for cell in row) for row in rows}
    assert len(columns) == 1
    facts = {text(row[0]): [text(cell) for cell in row[1:]] for row in rows[1:]}
    colour = rows[0][0].get("BGCOLOR") or table.get("BGCOLOR")
    return Node(text(rows[0][0]), facts, ports, colour, tooltip)


def text(element: ElementTree.Element) -> str:
    """What a reader sees."""
    return "".join(element.itertext()).replace("\u00a0", " ")
