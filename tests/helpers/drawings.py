"""Things to draw, and reading drawings back: their DOT text as nodes and edges, and the tables in the nodes."""

import random
import re
from typing import NamedTuple
from xml.etree import ElementTree

import tinygrad_sm as tg
from tinygrad_sm.viz.drawings.themes import LIGHT

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


NODE = re.compile(r'\t+(\w+) \[label=<(<TABLE .*</TABLE>)> id=(\w+) tooltip="([^"]*)"\]')
EDGE = re.compile(r'\t(\w+)(?::grad)?:[es] -> (\w+)(?::i(\d+))?:[wn] \[(.*) tooltip="[^"]*"\]')
CLUSTER = re.compile(r"\t+subgraph cluster_(\w+) \{")
OUTER = re.compile(r"\t(?:graph|node|edge) \[.*\]")


class Edge(NamedTuple):
    """From a node to a node, at a port (None: it has but one operand); along which no gradient comes if it is dotted."""

    tail: str
    head: str
    port: int | None
    dotted: bool = False
    back: bool = False  # it is the way of a gradient
    ghost: bool = False
    id: str = ""


class Node(NamedTuple):
    """What a reader sees of a node."""

    title: str  # its name, op and settings
    facts: dict[str, list[str]]  # cells by the word at their left; a heat map has a line for each row
    ports: list[str]
    colour: str
    tooltip: str
    border: tuple[str, str, str]  # width and style of the outer border, width of the inner one
    heat: dict[str, list[list[str]]]  # the colours of heat maps by the same words
    group: str


class Picture(NamedTuple):
    """All of a drawing: nodes and clusters by id (a cluster's is its title), edges."""

    nodes: dict[str, Node]
    edges: list[Edge]
    clusters: dict[str, str]


def read(drawing) -> tuple[dict[str, Node], list[Edge]]:
    """The nodes by id and the edges of a drawing, without their ids."""
    picture = read_all(drawing)
    return picture.nodes, [edge._replace(id="") for edge in picture.edges]


def read_all(drawing) -> Picture:
    """What is in the DOT text of a drawing, of which every line must be understood."""
    found = Picture({}, [], {})
    lines = drawing.source.splitlines()
    assert lines[0] == "digraph computation {" and lines[-1] == "}"
    around: list[str] = []
    for line in lines[1:-1]:
        if node := NODE.fullmatch(line):
            name, label, own_id, tooltip = node.groups()
            assert own_id == name
            if name != "legend":
                found.nodes[name] = _node(label, tooltip, around[-1] if around else "")
        elif re.fullmatch(r"\t\w+ -> legend \[style=invis weight=0\]", line):
            assert found.nodes  # it only keeps the legend in its place
        elif edge := EDGE.fullmatch(line):
            found.edges.append(_edge(edge))
        elif cluster := CLUSTER.fullmatch(line):
            around.append(cluster[1])
        elif line.strip() == "}":
            around.pop()
        elif around and line.startswith("\t" * (len(around) + 1) + "graph ["):
            found.clusters[around[-1]] = _seen(re.search(r"label=<(.*?)> labeljust", line)[1])
        else:
            assert OUTER.fullmatch(line), line
    assert not around
    ids = [*found.nodes, *(edge.id for edge in found.edges)]
    assert len({*ids}) == len(ids)
    return found


def _edge(match: re.Match[str]) -> Edge:
    about = dict(re.findall(r'(\w+)="?([^"\s]*)"?', match[4]))
    back = about.get("dir") == "back"
    assert (about.get("style") == "dashed") == back == about["id"].endswith("_back")
    port = None if match[3] is None else int(match[3])
    ghost = about.get("color") == LIGHT["ghost"]
    return Edge(match[1], match[2], port, about.get("style") == "dotted", back, ghost, about["id"])


def _node(label: str, tooltip: str, group: str) -> Node:
    table = ElementTree.fromstring(label.replace("<BR/>", "\n"))
    cells = table.findall("TR/TD")
    ports = [cell for cell in cells if "PORT" in cell.attrib]
    assert [cell.get("PORT") for cell in ports] == [f"i{i}" for i in range(len(ports))]
    (body,) = (cell.find("TABLE") for cell in cells if "PORT" not in cell.attrib)
    rows = [[*row.iter("TD")] if i == 0 else row.findall("TD") for i, row in enumerate(body.findall("TR"))]
    columns = {sum(int(cell.get("COLSPAN", 1)) for cell in row) for row in rows}
    assert len(columns) == 1
    facts: dict[str, list[str]] = {}
    heat = {}
    last = ""
    for word, *values in rows[1:]:
        last = text(word) or (f"{last} range" if last in heat else "")
        facts[last] = [text(cell) for cell in values]
        if (squares := values[0].find("TABLE")) is not None:
            heat[last] = [[x.get("BGCOLOR") for x in row] for row in squares if row[0].get("BGCOLOR")]
    border = table.get("BORDER"), table.get("STYLE", "SOLID"), body.get("BORDER")
    return Node(text(rows[0][0]), facts, [text(cell) for cell in ports], table.get("BGCOLOR"), tooltip, border, heat, group)


def text(element: ElementTree.Element) -> str:
    """What a reader sees; the elements of a table within are apart."""
    table = element.find("TABLE")
    if table is None:
        return "".join(element.itertext()).replace("\u00a0", " ")
    return "\n".join(filter(None, (" ".join(filter(None, map(text, row))) for row in table)))


def _seen(label: str) -> str:
    return text(ElementTree.fromstring(f"<TD>{label}</TD>".replace("<BR/>", "\n")))
