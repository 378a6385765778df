"""What flows back, in a picture: views, local derivatives, clusters, cells with ids, legends; two graphs side by side."""

import re
from math import nan
from xml.etree import ElementTree

import pytest

import tinygrad_sm as tg
from tests.helpers.drawings import NODE, Edge, random_graph, read, read_all
from tinygrad_sm import nd
from tinygrad_sm.viz import draw
from tinygrad_sm.viz.drawings.digraphs import digraph, ids_of
from tinygrad_sm.viz.drawings.labels import number
from tinygrad_sm.viz.drawings.themes import LIGHT
from tinygrad_sm.viz.scenes.flow import flow_of
from tinygrad_sm.viz.scenes.scene import Names, scene_of


def square():
    x = tg.Value(3.0, name="x")
    return x, x * x + x


# --- views


def test_the_way_of_gradients():
    _, y = square()
    forward = [Edge("n0", "n1", 0, id="n1_0"), Edge("n0", "n1", 1, id="n1_1")]
    forward += [Edge("n1", "n2", 0, id="n2_0"), Edge("n0", "n2", 1, id="n2_1")]
    backward = [edge._replace(tail=edge.tail, back=True, id=f"{edge.id}_back") for edge in forward]
    assert read_all(draw(y)).edges == forward
    assert read_all(draw(y, view="backward")).edges == backward
    assert read_all(draw(y, view="both")).edges == [edge for pair in zip(forward, backward, strict=True) for edge in pair]


@pytest.mark.parametrize("view", ["graph", "backward", "both"])
@pytest.mark.parametrize("seed", range(10))
def test_all_ids_are_in_the_text(view, seed):
    y = random_graph(seed)
    picture = read_all(draw(y, view=view, grad_output=1.0))
    assert [*picture.nodes, *(edge.id for edge in picture.edges)] == ids_of(scene_of(y), view)
    back = {edge.id.removesuffix("_back") for edge in picture.edges if edge.back}
    assert back == ({edge.id for edge in scene_of(y).edges if edge.carries} if view != "graph" else set())


def test_a_sweep_of_its_own_is_shown_and_nobodys_gradient_is_touched():
    x, y = square()
    for view in ("backward", "both"):
        assert [node.facts["grad"] for node in read(draw(y, view=view))[0].values()] == [["7"], ["1"], ["1"]]
    assert read(draw(y, locals=True))[0]["n0"].facts["grad"] == ["7"]
    assert read(draw(y, grad_output=2.0))[0]["n0"].facts["grad"] == ["14"]
    assert not x.has_grad and read(draw(y))[0]["n0"].facts["grad"] == [""]
    y.backward()
    y.backward()
    assert [read(draw(y, view=view))[0]["n0"].facts["grad"] for view in ("graph", "both")] == [["14"], ["7"]]


def test_what_no_gradient_reaches_is_a_ghost():
    x, c = tg.Value([1.0, 2.0], name="x"), tg.Value(3.0, name="c", requires_grad=False)
    y = (x * c * 2.0).sum()
    nodes, edges = read(draw(y, view="backward"))
    ghosts = {name for name, node in nodes.items() if LIGHT["ghost"] in node_source(draw(y, view="backward"), name)}
    assert ghosts == {"n1", "n3c1"} and nodes["n1"].facts["value"] == ["3"]
    assert [edge.ghost for edge in edges] == [edge.dotted for edge in edges] == [False, True, False, True, False]
    lonely = read(draw(c * 2.0, view="backward"))
    assert all(edge.ghost for edge in lonely[1]) and "grad" not in lonely[0]["n0"].facts


def test_an_operand_that_gets_nothing_is_a_ghost():
    @tg.primitive
    def first(xp, a, b):
        return a + 0.0 * b

    @first.backward
    def _(xp, g, out, a, b):
        return g, None

    x = tg.Value(1.0)
    edges = read(draw(first(x, x * 2.0), view="both"))[1]
    assert [edge.ghost for edge in edges if edge.back] == [True, False, True]


def node_source(drawing, name: str) -> str:
    return next(line for line in drawing.source.splitlines() if line.strip().startswith(f"{name} ["))


def test_gradients_arrive_at_their_own_row():
    x = tg.Value(2.0)
    source = draw(x * x, view="both").source
    assert "n0:e -> n1:i0:w" in source and "n0:grad:e -> n1:i0:w" in source
    (row,) = (
        row for row in ElementTree.fromstring(NODE.search(source)[2]).iter("TR") if row.find("TD[@PORT='grad']") is not None
    )
    assert row[-1].get("PORT") == "grad"
    bare = draw(x * x, view="both", grads=False).source
    assert "grad" not in bare and bare.count("n0:e -> n1:i0:w") == 2


def test_top_to_bottom():
    _, y = square()
    source = draw(y, direction="TB", view="both").source
    assert "rankdir=TB" in source and "n1:s -> n2:i0:n" in source and ":e" not in source
    table = ElementTree.fromstring(NODE.findall(source)[1][1])
    assert [len(row.findall("TD")) for row in table.findall("TR")] == [2, 1]
    assert read(draw(y, direction="TB"))[0] == read(draw(y))[0]


# --- local derivatives and contributions


def test_local_derivatives_and_contributions_of_numbers():
    x, w = tg.Value(3.0), tg.Value(-2.0)
    y = x * w
    nodes, _ = read(draw(y * 4.0, locals=True))
    assert nodes["n2"].ports == ["0\n∂ -2\n-8", "1\n∂ 3\n+12"]
    assert nodes["n3"].ports == ["0\n∂ 4\n+4", "1"]
    assert read(draw(x.exp(), locals=True))[0]["n1"].ports == ["∂ 20.09\n+20.09"]
    assert read(draw(x * 2.0))[0]["n1"].ports == ["0", "1"]


@pytest.mark.parametrize("seed", range(10))
def test_contributions_are_those_of_the_sweep(seed):
    y = random_graph(seed)
    flow = flow_of(scene_of(y), y)
    picture = read_all(draw(y, view="both", locals=True))
    for edge in scene_of(y).edges:
        if edge.id in flow.contributions and not y.shape:
            head = picture.nodes[edge.head]
            amount = flow.contributions[edge.id]
            port = head.ports[[x.id for x in scene_of(y).nodes[edge.head].operands].index(edge.id)]
            if not getattr(amount, "shape", ()):
                assert port.splitlines()[-1] == f"{'' if number(amount).startswith('-') else '+'}{number(amount)}"


def test_local_derivatives_of_arrays():
    z = tg.Value([2.0, 1.0, 0.1])
    loss = tg.cross_entropy(z, 0)
    (logits, targets) = read(draw(loss, locals=True))[0]["n1"].ports
    assert logits == "logits\n∂ -0.341 0.2424 0.09857\n+ -0.341 0.2424 0.09857" and targets == "targets"
    p = read(draw(z.softmax(), locals=True, grad_output=[1.0, 0.0, 0.0]))[0]["n1"].ports
    jacobian = tg.jacobian(tg.softmax, [2.0, 1.0, 0.1]).tolist()
    rows = "\n".join(" ".join(map(number, row)) for row in jacobian)
    assert p == [f"∂ {rows}\n+ {' '.join(map(number, jacobian[0]))}"]
    slopes = read(draw(tg.exp(z).sum(), locals=True))[0]["n1"].ports
    assert slopes == ["∂ 7.389 2.718 1.105\n+ 7.389 2.718 1.105"]
    x = tg.Value([[1.0, 2.0], [3.0, 4.0]])
    assert read(draw(x.sum(), locals=True))[0]["n1"].ports == ["∂ 1 1\n1 1\n+ 1 1\n1 1"]
    wide = tg.Value([*map(float, range(14))])
    ports = read(draw(wide.softmax(), locals=True, grad_output=nd.zeros(14)))[0]["n1"].ports
    assert ports == ["∂ (14, 14) array, -0.147 … 0.2325\nall 0"]


# --- what is left out, and how many digits


def test_values_gradients_and_heat_maps_may_be_left_out():
    x = tg.Value([1.0, -2.0, 1.0 / 3.0], name="x")
    x.sum().backward()
    facts = {"shape": ["(3,)"], "value": ["1 -2 0.3333"], "grad": ["1 1 1"]}
    assert read(draw(x))[0]["n0"].facts == facts
    assert read(draw(x, values=False))[0]["n0"].facts == {name: facts[name] for name in ("shape", "grad")}
    assert read(draw(x, grads=False))[0]["n0"].facts == {name: facts[name] for name in ("shape", "value")}
    assert [*read(draw(x, values=False, grads=False))[0]["n0"].facts] == ["shape"]
    assert read(draw(x, heatmaps=False))[0]["n0"].facts["value"] == ["[1, -2, 0.3333]"]
    assert read(draw(x, precision=2))[0]["n0"].facts["value"] == ["1 -2 0.33"]
    long = tg.Value([*map(float, range(8))])
    for options in ({"heatmaps": False}, {"theme": "print"}):
        assert read(draw(long, **options))[0]["n0"].facts["value"] == ["0", "3.5", "7"]
    assert read(draw(x, theme="print"))[0]["n0"].facts == facts


def test_colours_of_a_heat_map():
    x = tg.Value([[2.0, 0.0, -1.0], [float("nan"), float("inf"), float("-inf")]])
    ((two, zero, minus), (nan, inf, minus_inf)) = read(draw(x))[0]["n0"].heat["value"]
    assert (two, zero, nan) == (LIGHT["positive"], LIGHT["zero"], LIGHT["undefined"])
    assert (inf, minus_inf) == (LIGHT["positive"], LIGHT["negative"])
    assert minus not in (zero, LIGHT["negative"])
    assert {*read(draw(tg.zeros(2, 2) * tg.Value(1.0)))[0]["n1c0"].heat["value"][0]} == {LIGHT["zero"]}
    many = tg.Value([*map(float, range(1, 8)), float("nan")])
    assert read(draw(many))[0]["n0"].facts["value range"] == ["1 … 7, nan"]


def test_matrices_of_a_stack_stand_apart():
    gaps = [draw(tg.Value(nd.ones(shape))).source.count('HEIGHT="4"') for shape in ((4, 2), (2, 2), (2, 2, 2), (2, 3, 1, 2))]
    assert gaps == [0, 0, 1, 5]


def test_entries_of_a_heat_map_have_their_numbers_in_tooltips():
    x = tg.Value([[float(i * 5 + j) / 3.0 for j in range(5)] for i in range(4)])
    titles = re.findall('TITLE="([^"]*)"', draw(x).source)
    assert titles[:2] == ["[0, 0] 0", "[0, 1] 0.333333333333"] and titles[19] == "[3, 4] 6.33333333333" and len(titles) == 20


# --- clusters


def test_calls_of_modules_are_clusters():
    model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.ReLU(), tg.nn.Linear(3, 2))
    loss = tg.cross_entropy(model([[1.0, 2.0]]), [0])
    picture = read_all(draw(loss, names={"model": model}))
    assert picture.clusters == {
        "g0": "model  Sequential()",
        "g1": "model.0  Linear(2, 3)",
        "g2": "model.1  ReLU()",
        "g3": "model.2  Linear(3, 2)",
    }
    inside = {node.title.split()[0]: node.group for node in picture.nodes.values()}
    assert inside["model.0.weight"] == "g1" and inside["relu"] == "g2" and inside["cross_entropy"] == ""
    source = draw(loss).source
    fills = re.findall('fillcolor="(#......)".*? id=(g.)', source)
    assert {name: fill for fill, name in fills} == {
        "g0": LIGHT["group"],
        **dict.fromkeys(("g1", "g2", "g3"), LIGHT["inner_group"]),
    }
    assert source.count("labelloc=t") == 4  # that of the whole picture would be theirs, too
    assert source.index("cluster_g1") < source.index("cluster_g2") < source.index("cluster_g3")  # top to bottom


def test_a_module_as_one_box():
    model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.ReLU(), tg.nn.Linear(3, 2))
    x = nd.asarray([[1.0, 2.0]])
    loss = tg.cross_entropy(model(x), [0])
    picture = read_all(draw(loss, names={"model": model, "x": x}, collapse=0, view="backward"))
    box = picture.nodes["g0"]
    assert box.title == "model  Sequential()\n3 ops, 17 parameters" and box.facts["shape"] == ["(1, 2) → (1, 2)"]
    assert box.facts["grad"] == [" ".join(map(number, tg.grad(loss, loss.inputs[0]).tolist()[0]))]
    assert LIGHT["ghost"] not in node_source(draw(loss, collapse=0, view="backward"), "g0")
    loss.backward()
    assert read(draw(loss, collapse=0))[0]["g0"].facts["grad"] == box.facts["grad"]


def test_a_box_with_two_results():
    class Twins(tg.nn.Module):
        def forward(self, x):
            return x.exp(), x.tanh()

    x = tg.Value(0.0, name="x")
    a, b = Twins()(x)
    drawing = draw(a * b + a, collapse=0, view="both", locals=True)
    box = read(drawing)[0]["g0"]
    assert not {"grad", "value", "shape"} & {*box.facts}  # all that goes in and out are plain numbers
    assert LIGHT["ghost"] not in node_source(draw(a * b, collapse=0, view="backward"), "g0")
    assert "Twins()" in drawing.text()


def test_repeated_blocks_are_drawn_once():
    h, w = tg.Value(0.0), tg.Value(0.5, name="w")
    for _ in range(30):
        h = (h * w).tanh()
    picture = read_all(draw(h, repeats=True))
    assert "x29, numbers of the first" in picture.clusters.values() and len(picture.nodes) < 10


# --- two beside each other


def test_a_fused_op_beside_its_definition():
    z = tg.Value([2.0, 1.0, 0.1], name="z")
    drawing = draw(tg.softmax(z), beside=True)
    picture = read_all(drawing)
    assert picture.clusters == {"s0": "fused", "s1": "composed"}
    groups = {node.title.split()[0]: node.group for node in picture.nodes.values()}
    assert groups["z"] == "" and groups["softmax"] == "s0" and groups["divide"] == "s1"
    caption = re.search("largest differences: value ([^,]*), gradient of z ([^<]*)<", drawing.source)
    assert all(float(x) < 1e-15 for x in caption.groups())
    assert drawing.source.index("cluster_s0") < drawing.source.index("cluster_s1")
    assert sum("  output" in node.title for node in picture.nodes.values()) == 2


def test_any_two_values_side_by_side():
    x, y = tg.Value(3.0, name="x"), tg.Value(3.0, name="x")
    drawing = draw(x * x, beside=(y**2.0) * 1.5 + 1.0, view="both")
    picture = read_all(drawing)
    assert [node.title for node in picture.nodes.values()].count("x  input") == 1
    assert [*picture.clusters.values()] == ["multiply", "add"]
    assert "largest differences: value 5.5, gradient of x 3<" in drawing.source
    assert {name: text for name, text in picture.nodes["n0"].facts.items() if "grad" in name} == {
        "grad multiply": ["6"],
        "grad add": ["9"],
    }
    assert "multiply 6, add 9" in drawing.text() and "gradient multiply 6, gradient add 9" in picture.nodes["n0"].tooltip
    z = x * 2.0  # shared, and not a leaf
    facts = read(draw(z * 5.0, beside=z * 7.0, view="both"))[0]["n1"].facts
    assert facts["grad first"] == ["5"] and facts["grad second"] == ["7"] and "grad" not in facts
    assert "largest" not in draw(x * x, beside=tg.Value([1.0, 2.0]) * x).source  # of another shape
    assert "value 0," in draw(x * nan, beside=x * nan * 1.0).source
    first, second = (x * nd.asarray(numbers) for numbers in ([0.0, nan, 1.0], [2.0, 3.0, 9.0]))
    assert "value nan, gradient of x nan<" in draw(first, beside=second).source
    named = draw(x * x, beside=x * 1.0, names={"a": x * x})
    assert [*read_all(named).clusters.values()] == ["first", "second"]


@pytest.mark.parametrize("names", ["softmax", ["softmax"], ("softmax",), {"softmax"}])
def test_some_fused_ops_are_expanded(names):
    z = tg.Value([2.0, 1.0])
    out = tg.sigmoid(tg.softmax(z))
    composed = [node.title.split()[0] for node in read(draw(out, beside=names))[0].values() if node.group == "s1"]
    assert "divide" in composed and "sigmoid" in composed and "softmax" not in composed


# --- cells with ids


def titled(drawing_source: str) -> set[str]:
    return {*re.findall(r' ID="(\w+)"', drawing_source)}


def test_cells_have_ids_on_request():
    x = tg.Value([1.0, 2.0], name="x")
    y = (x * 3.0).sum()
    scene = scene_of(y)
    assert titled(digraph(scene).source) == set()
    found = titled(digraph(scene, flow=flow_of(scene, y), cells=True, locals=True).source)
    assert found >= {f"n{i}_{what}" for i in range(3) for what in ("value", "grad")}
    assert found >= {"n0_value_0", "n0_value_1", "n0_grad_1", "n1_0_cell", "n1_1_cell", "n2_0_cell"}
    assert "n1_0_cell" in titled(digraph(scene_of(x.exp()), cells=True).source)
    assert found >= {"n1_0_local", "n1_0_contribution", "n2_0_local_1", "n2_0_contribution_0"}
    blank = digraph(scene, cells=True).source
    assert titled(blank) >= {"n0_grad", "n0_grad_0", "n0_grad_1", "n2_grad"}
    large = scene_of(tg.Value([0.0] * 99).exp())
    assert titled(digraph(large, cells=True).source) >= {"n0_value_min", "n1_value_mean", "n1_value_max", "n1_grad"}
    middle = scene_of(tg.Value([0.0] * 9).exp())
    assert titled(digraph(middle, cells=True).source) >= {"n0_value", "n0_value_8", "n0_value_range", "n0_grad_8"}


def test_cells_have_room_for_what_comes():
    x = tg.Value([1.0, 2.0], name="x")
    scene = scene_of(x * 3.0)
    texts = {"n0_grad": "-0.1234 … 5", "n1_value": "a < b", "n1_0_cell": "-99.99"}
    source = digraph(scene, cells=True, reserve=texts).source
    assert ">-0.1234 … 5</FONT>" in source and ">a &lt; b<" in source and ">-99.99</FONT>" in source
    assert not {"n0_grad_0", "n1_value_0"} & titled(source) and "n0_value_0" in titled(source)


def test_the_composed_side_has_the_gradients_that_came_to_the_fused_one():
    z = tg.Value([1.0, 2.0, 0.5], name="z")
    loss = (tg.log_softmax(z * 2.0)[0] * 3.0).exp()
    assert not any(node.facts.get("grad", [""]) != [""] for node in read(draw(loss, beside=True))[0].values())
    loss.backward(0.5)
    before = z.grad
    drawings = draw(loss, beside=True), draw(loss, beside=True, view="both", grad_output=0.5)
    held, swept = ({me: node.facts.get("grad") for me, node in read(drawing)[0].items()} for drawing in drawings)
    assert held == swept and z.grad is before
    assert sum(text not in (None, [""]) for text in held.values()) > 10


# --- legends, titles and all of them together


def test_a_legend_says_what_is_there():
    x, y = square()
    whole = draw(y, legend=True).source
    assert "legend [label=" in whole and "legend" not in draw(y).source
    for words, there in (
        ("input", True),
        ("op", True),
        ("output: what is drawn", True),
        ("parameter", False),
        ("fused", False),
    ):
        assert (f">{words}" in legend_of(whole)) == there, words
    assert "back to the operand" not in legend_of(whole) and "below and above zero" not in legend_of(whole)
    more = draw(tg.softmax(x * tg.Value([1.0, 2.0]))[0], legend=True, view="both", locals=True).source
    for words in ("fused op", "back to the operand", "local derivative", "below and above zero"):
        assert words in legend_of(more)
    assert "back to the operand" in draw(y, legend=True, view="backward").source
    nodes, _ = read(draw(y, legend=True))
    assert [*nodes] == ["n0", "n1", "n2"]


def test_a_legend_stands_beside_the_output():
    def before(source):
        return re.findall(r"(\w+) -> legend ", source)

    x = tg.Value(2.0)
    late = x.exp().exp()
    assert before(draw(x * late, legend=True).source) == ["n2"] and before(draw(x * late).source) == []
    assert before(draw(x, legend=True).source) == []  # with nothing else there, it has no place to keep
    y = tg.softmax(tg.Value([1.0, 2.0]))
    drawing = draw(y, beside=True, legend=True)
    assert before(drawing.source) == [drawing.scene.outputs[0]]


def legend_of(source: str) -> str:
    return next(line for line in source.splitlines() if line.strip().startswith("legend ["))


def test_a_title_stands_above_and_a_caption_below():
    x, y = square()
    source = draw(y, title='<b> & "q" \\N').source
    assert "&lt;b&gt; &amp; &quot;q&quot; <FONT>&#92;</FONT>N" in source and "labelloc=t" in source
    assert "labelloc=b" in draw(y, locals=True).source and "labelloc" not in draw(x).source


def test_a_digraph_of_a_scene_without_a_flow_has_the_gradients_that_values_hold():
    _, y = square()
    y.backward()
    assert draw(y, names={"y": y}).source == digraph(scene_of(y, names=Names({"y": y}))).source
