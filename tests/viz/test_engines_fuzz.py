"""Random graphs of every kind of node, laid out by each engine: the picture must be whole, nearly always at the first try."""

import random
import re
from xml.etree import ElementTree

import pytest

import tinygrad_sm as tg
from tests.helpers.drawings import AWKWARD, random_graph
from tinygrad_sm.viz import draw, rendering
from tinygrad_sm.viz.rendering import find_engine, render

LABEL = re.compile(r"label=<(?:[^<>]|<[^<>]*>)*>")  # it may hold anything, escaped
NODE = re.compile(r"^\s*(?!graph |node |edge )(\w+) \[", re.MULTILINE)
ID = re.compile(r'[\[ \t{]id="?(\w+)')
SVG = "{http://www.w3.org/2000/svg}"


def random_tensors(seed: int) -> tuple[tg.Value, dict]:
    """A loss of some twenty ops on arrays, fused and composed, with layers, masks and plain data; and names for them."""
    choose = random.Random(seed)
    rows, columns = choose.randint(1, 4), choose.choice([2, 3, 8])
    tg.manual_seed(seed)
    x = tg.Value(tg.randn(rows, columns), name=choose.choice(AWKWARD))
    model = tg.nn.MLP([columns, choose.choice([2, 5]), columns], activation=choose.choice(["relu", "tanh"]))
    scale = tg.Value(0.5, requires_grad=choose.random() < 0.5)
    values = [x, scale * x]
    for _ in range(choose.randint(1, 18)):
        a, b = choose.choices(values[-5:], k=2)
        makers = (
            lambda a, b: tg.softmax(a, axis=choose.choice([0, -1])),
            lambda a, b: a * a - b,
            lambda a, b: tg.where(a > 0.0, a, b),
            lambda a, b: a @ b.T @ a,
            lambda a, b: tg.attention(a, b, b, causal=True),
            lambda a, b: tg.concat([a, b, a], axis=0)[:rows],
            lambda a, b: (a + tg.randn(rows, columns)).tanh(),
            lambda a, b: a / (1.0 + tg.logsumexp(b, axis=-1, keepdims=True).square()),
            lambda a, b: model(a),
            lambda a, b: a * scale + 1e-07,
        )
        if choose.random() < 0.2:
            with tg.composed():
                values.append(choose.choice(makers)(a, b))
        else:
            values.append(choose.choice(makers)(a, b))
    targets = [choose.randrange(columns) for _ in range(rows)]
    loss = tg.cross_entropy(values[-1] + values[-2], targets, label_smoothing=choose.choice([0.0, 0.1]))
    if choose.random() < 0.7:
        loss.backward()
    return loss, {"model": model, "loss": loss, choose.choice(AWKWARD): values[1]}


def random_drawing(seed: int, engine: str) -> tg.viz.Drawing:
    """A random graph, drawn in one of the many ways."""
    choose = random.Random(seed)
    value, names = (random_graph(seed), None) if seed % 3 == 0 else random_tensors(seed)
    return draw(
        value,
        names=names if seed % 2 else None,
        max_nodes=choose.choice([300, 300, 9]),
        view=choose.choice(["graph", "backward", "both"]),
        locals=choose.random() < 0.3,
        beside=names is not None and choose.random() < 0.3,
        collapse=choose.choice([None, None, 0, 1]),
        direction=choose.choice(["LR", "LR", "TB"]),
        theme=choose.choice(["auto", "light", "dark", "print"]),
        engine=engine,
    )


def in_clusters(source: str, seed: int) -> str:
    """DOT text with some of its nodes in clusters, of which some are in others."""
    choose = random.Random(seed)
    free = NODE.findall(LABEL.sub("label=x", source))
    clusters = []
    while len(free) > 2:
        size = choose.randint(1, min(6, len(free)))
        inside = [clusters.pop()] if clusters and choose.random() < 0.4 else []
        start = choose.randrange(len(free) - size + 1)
        inside += free[start : start + size]
        name = f"cluster_{len(free)}"
        clusters.append(f'subgraph {name} {{ id={name} label="{name} &amp; {choose.randrange(9)}" {" ".join(inside)} }}\n')
        free = free[:start] + free[start + size + choose.randint(0, 3) :]
    return source.rstrip().removesuffix("}") + "".join(clusters) + "}"


def check(source: str, svg: str | bytes) -> None:
    """All that the DOT text names by an id is in the picture once, and there are as many nodes and edges as it says."""
    statements = LABEL.sub("label=x", source)
    tree = ElementTree.fromstring(svg)
    ids = [x.get("id") for x in tree.iter() if x.get("id")]
    classes = [x.get("class") for x in tree.iter(f"{SVG}g")]
    wanted = ID.findall(statements)
    nodes, edges, clusters = {*NODE.findall(statements)}, statements.count(" -> "), statements.count("subgraph cluster_")
    assert len({*ids}) == len(ids)
    assert {*wanted} <= {*ids}
    assert nodes and len(wanted) >= len(nodes) + edges + clusters
    assert (classes.count("node"), classes.count("edge"), classes.count("cluster")) == (len(nodes), edges, clusters)


@pytest.fixture
def runs(monkeypatch) -> list[tuple[str, ...]]:
    """The options of each run of an engine."""
    seen = []

    def run(program, kind, options, source, deadline):
        seen.append(options)
        return original(program, kind, options, source, deadline)

    original = rendering._run
    monkeypatch.setattr(rendering, "_run", run)
    return seen


@pytest.mark.heavy
@pytest.mark.parametrize("engine", ["dot", "graphviz-pure"])
@pytest.mark.parametrize("first", range(0, 300, 50))
def test_three_hundred_random_graphs_are_drawn_whole(engine, first, runs):
    program = find_engine(engine)  # fails where it is not installed
    for seed in range(first, first + 50):
        drawing = random_drawing(seed, program)
        check(drawing.source, drawing.svg())
        if "subgraph" not in drawing.source:
            source = in_clusters(drawing.source, seed)
            check(source, render(source, engine=program, ids=ID.findall(LABEL.sub("label=x", source))))
    assert sum(map(bool, runs)) <= 1  # of 100: our dialect of DOT is one that nearly always succeeds at the first try


def test_ten_random_graphs_are_drawn_whole(runs):
    try:
        program = find_engine()
    except FileNotFoundError as error:
        pytest.skip(f"{error}; the heavy tests demand both engines")
    for seed in range(10):
        drawing = random_drawing(seed, program)
        check(drawing.source, drawing.svg())
    assert runs == [()] * 10
