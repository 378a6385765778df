"""What is drawn: every Value and every operand once, with the right words and numbers, the same in every process."""

import os
import subprocess
import sys
from decimal import Decimal

import array_api_strict
import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.drawings import Edge, random_graph, read
from tests.helpers.every_op import call, every_op
from tests.helpers.graphs import nodes_of
from tinygrad_sm import micro, nd
from tinygrad_sm.graph import Op, history
from tinygrad_sm.viz import draw
from tinygrad_sm.viz.drawings.themes import LIGHT

# --- nodes and edges


def test_a_square_has_two_edges():
    x = tg.Value(3.0, name="x")
    nodes, edges = read(draw(x * x + x))
    assert [node.title for node in nodes.values()] == ["x  input", "multiply", "add  output"]
    assert edges == [
        Edge("n0", "n1", 0, False),
        Edge("n0", "n1", 1, False),
        Edge("n1", "n2", 0, False),
        Edge("n0", "n2", 1, False),
    ]


def test_a_leaf_is_drawn_alone():
    drawing = draw(tg.Value(2.0))
    assert (repr(drawing), *map(len, read(drawing))) == ("Drawing(1 node, 0 edges)", 1, 0)


@pytest.mark.parametrize("seed", range(40))
def test_every_value_and_every_operand_is_drawn_once(seed):
    output = random_graph(seed)
    drawing = draw(output)
    nodes, edges = read(drawing)
    values = sorted(nodes_of(output), key=lambda v: -v._order)
    assert history(output) == values and values[-1] is output
    ids = {v: f"n{i}" for i, v in enumerate(values)}
    constants = [f"{ids[v]}c{i}" for v in values for i, x in enumerate(v.inputs) if not isinstance(x, tg.Value)]
    assert {*nodes} == {*ids.values(), *constants}
    expected = []
    for v in values:
        for i, x in enumerate(v.inputs):
            is_value = isinstance(x, tg.Value)
            tail = ids[x] if is_value else f"{ids[v]}c{i}"
            expected.append(Edge(tail, ids[v], i if len(v.inputs) > 1 else None, not (is_value and x.requires_grad)))
    assert edges == expected
    assert repr(drawing) == f"Drawing({len(nodes)} node{'s' * (len(nodes) > 1)}, {len(edges)} edge{'s' * (len(edges) != 1)})"


@pytest.mark.parametrize("name", every_op())
def test_every_op_can_be_drawn(name):
    inputs, output = call(name, tg.Value)
    for stage in ("before", "after"):
        for out in output if isinstance(output, list) else [output]:
            nodes, edges = read(draw(out))
            assert f"n{len(history(out)) - 1}" in nodes
            if inputs and out.op is not None:
                assert len(edges) >= len(inputs) and nodes[edges[-1].head].title.split()[0] == out.op.name
            if stage == "before" and out.requires_grad:
                out.backward(nd.ones_like(out.data) if out.shape else 1.0)


def test_operands_stand_in_order_under_their_names():
    loss = tg.cross_entropy(tg.Value([2.0, 1.0, 0.5]), 0)
    x = tg.Value(1.0)
    assert read(draw(loss))[0]["n1"].ports == ["logits", "targets"]
    assert read(draw(x - 2.0))[0]["n1"].ports == ["0", "1"]
    assert read(draw(tg.stack([x, 1.0, x])))[0]["n1"].ports == ["0", "1", "2"]
    assert read(draw(x.tanh()))[0]["n1"].ports == []


def test_an_optional_input_that_was_not_given_is_not_drawn():
    @tg.primitive
    def scaled(xp, x, weight=None, bias=None):
        return x + bias

    scaled.vjps(lambda xp, g, *_: g, lambda xp, g, *_: g, lambda xp, g, *_: g)
    x = tg.Value(1.0)
    nodes, edges = read(draw(scaled(x, bias=x)))
    assert nodes["n1"].ports == ["x", "bias"]
    assert edges == [Edge("n0", "n1", 0, False), Edge("n0", "n1", 1, False)]


# --- what stands in a node


def test_the_gradient_is_empty_until_it_arrives():
    x = tg.Value(3.0, name="x")
    y = x * 0.0
    before = draw(y)
    y.backward()
    after = draw(y)
    x.zero_grad()
    assert [read(d)[0]["n0"].facts["grad"] for d in (before, after, draw(y))] == [[""], ["0"], [""]]
    assert read(before)[0]["n1"].facts == {"value": ["0"], "grad": [""]}
    assert read(after)[0]["n1"].facts == {"value": ["0"], "grad": ["1"]}
    y.backward(free=True)
    assert [read(draw(y))[0][f"n{i}"].facts["grad"] for i in range(2)] == [["0"], [""]]


def test_the_picture_stays_as_it_was():
    x = tg.Value(3.0)
    drawing = draw(x)
    x.data = 4.0
    assert read(drawing)[0]["n0"].facts["value"] == ["3"]


def test_a_leaf_shows_what_was_computed_with_and_what_it_holds_now():
    w = tg.Value(1.0, name="w")
    loss = (w - 3.0) ** 2
    loss.backward()
    assert [*read(draw(loss))[0]["n0"].facts.items()] == [("value", ["1"]), ("grad", ["-4"])]
    tg.optim.SGD([w], 0.5).step()
    nodes, _ = read(draw(loss))
    assert [*nodes["n0"].facts.items()] == [("value", ["1"]), ("now", ["3"]), ("grad", ["-4"])]
    assert [nodes[i].facts["value"] for i in ("n1", "n2")] == [["-2"], ["4"]]
    assert read(draw(w))[0]["n0"].facts["value"] == ["3"] and "now" not in read(draw(w))[0]["n0"].facts
    w.data = 1.0
    assert "now" not in read(draw(loss))[0]["n0"].facts  # it holds again what was computed with


@pytest.mark.parametrize("xp", [nd, np], ids=["nd", "numpy"])
@pytest.mark.parametrize("trains", [True, False])
def test_a_leaf_used_with_one_value_and_then_with_another(xp, trains):
    first = xp.asarray([0.0, 1.0])
    x = tg.Value(first, requires_grad=trains)
    w = tg.Value(2.0)
    output = (x * w + x).sum()
    x.data = xp.asarray([1.0, 2.0])
    output = output + (x * w).sum()
    for now in ({}, {"now": ["7 8"]}):
        nodes, _ = read(draw(output))
        values = {key: text for key, text in nodes["n0"].facts.items() if key in ("value", "then", "now")}
        assert values == {"value": ["0 1"], "then": ["1 2"], **now}
        x.data = xp.asarray([7.0, 8.0])
    x.data = first
    assert read(draw(output))[0]["n0"].facts["now"] == ["0 1"]
    long = tg.Value(xp.asarray([*map(float, range(99))]))
    output = long.sum()
    long.data = long.data + 1.0
    facts = read(draw(output))[0]["n0"].facts
    assert [facts[key] for key in ("", "value", "now")] == [["min", "mean", "max"], ["0", "49", "98"], ["1", "50", "99"]]


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (1e-07, {"value": ["1e-07"]}),
        (-0.123456, {"value": ["-0.1235"]}),
        (float("nan"), {"value": ["nan"]}),
        (Decimal("1e-400"), {"value": ["1e-400"]}),
        (Decimal("-0.25"), {"value": ["-0.25"]}),
        ([1.0, 2.5e-9], {"shape": ["(2,)"], "value": ["1 2.5e-09"]}),
        ([[1.0, 2.0], [3.0, 4.0]], {"shape": ["(2, 2)"], "value": ["1 2\n3 4"]}),
        ([[[1.0]], [[2.0]]], {"shape": ["(2, 1, 1)"], "value": ["1\n2"]}),
        ([[7.5]], {"shape": ["(1, 1)"], "value": ["[[7.5]]"]}),
        (np.asarray([1.5, -2.0], dtype=np.float32), {"shape": ["(2,)"], "value": ["1.5 -2"]}),
        (np.asarray(0.1), {"value": ["0.1"]}),
        (np.zeros((0, 3)), {"shape": ["(0, 3)"], "value": ["[]"]}),
        ([*map(float, range(6))], {"shape": ["(6,)"], "value": ["0 1 2 3 4 5"]}),
        (np.arange(8.0), {"shape": ["(8,)"], "value": [""], "value range": ["0 … 7"]}),
        ([*map(float, range(7))], {"shape": ["(7,)"], "value": [""], "value range": ["0 … 6"]}),
        (np.ones((10, 8)), {"shape": ["(10, 8)"], "value": [""], "value range": ["all 1"]}),
        (np.ones((10, 9)), {"shape": ["(10, 9)"], "": ["min", "mean", "max"], "value": ["1", "1", "1"]}),
        (np.ones((11, 2)), {"shape": ["(11, 2)"], "": ["min", "mean", "max"], "value": ["1", "1", "1"]}),
        (np.arange(11.0), {"shape": ["(11,)"], "": ["min", "mean", "max"], "value": ["0", "5", "10"]}),
        (array_api_strict.ones((3, 3)), {"shape": ["(3, 3)"], "value": ["1 1 1\n1 1 1\n1 1 1"]}),
        (nd.exact([1] * 7), {"shape": ["(7,)"], "value": [""], "value range": ["all 1"]}),
        (nd.exact([1] * 11), {"shape": ["(11,)"], "": ["min", "mean", "max"], "value": ["1", "1", "1"]}),
        (np.asarray([np.inf, -np.inf] * 8), {"shape": ["(16,)"], "": ["min", "mean", "max"], "value": ["-inf", "nan", "inf"]}),
        (np.asarray([np.inf, 1.0] * 4), {"shape": ["(8,)"], "value": ["inf inf inf inf"], "value range": ["1 … inf"]}),
    ],
)
def test_numbers_of_every_kind(data, facts):
    (node,) = read(draw(tg.Value(data, requires_grad=False)))[0].values()
    assert node.facts == facts
    x = tg.Value(data)
    (node,) = read(draw(x))[0].values()
    assert node.facts == {**facts, "grad": [""]}
    x.grad = x.data
    (node,) = read(draw(x))[0].values()
    ranges = {"grad range": facts["value range"]} if "value range" in facts else {}
    assert node.facts == {**facts, "grad": facts["value"], **ranges}


def test_a_gradient_may_need_more_room_than_its_value():
    x = tg.Value([*map(float, range(99))])
    (x * x).sum().backward()
    assert read(draw(x))[0]["n0"].facts["grad"] == ["0", "98", "196"]


def test_plain_data_are_nodes_one_a_use():
    x = tg.Value(3.0)
    nodes, edges = read(draw(2.0 * x + 2.0))
    for name in ("n1c0", "n2c1"):
        assert (nodes[name].title, nodes[name].facts) == ("constant", {"value": ["2"]})
    assert edges[0] == Edge("n1c0", "n1", 0, True)
    mask = read(draw(tg.where([True, False] * 4, x, 0.0)))[0]
    assert mask["n1c0"].facts == {"shape": ["(8,)"], "value": [""], "value range": ["False … True"]}
    blue, white = LIGHT["positive"], LIGHT["zero"]
    assert mask["n1c0"].heat["value"] == [[blue, white] * 4] and mask["n1c2"].facts == {"value": ["0"]}
    wide = read(draw(tg.where([True, False] * 50, x, 0.0)))[0]["n1c0"]
    assert wide.facts == {"shape": ["(100,)"], "": ["True"], "value": ["50 of 100"]}
    for often, facts in ((2, {"value": ["0 1 0 1"]}), (4, {"": ["min", "max"], "value": ["0", "1"]})):
        picked = read(draw(tg.take(tg.Value([1.0, 2.0]), [*range(2)] * often)))[0]["n1c1"]
        assert picked.facts == {"shape": [f"({2 * often},)"], **facts}
        assert {x for row in picked.heat.get("value", ()) for x in row} <= {white}  # a class is no more than another


@pytest.mark.parametrize(
    ("make", "title"),
    [
        (lambda x: x.sum(axis=1), "sum\naxis=1"),
        (lambda x: x.sum(axis=(0, 1), keepdims=True), "sum\naxis=(0, 1), keepdims=True"),
        (lambda x: x.sum(), "sum"),
        (lambda x: x.softmax(), "softmax\naxis=-1"),
        (lambda x: x.leaky_relu(), "leaky_relu"),
        (lambda x: x.leaky_relu(0.25), "leaky_relu\nnegative_slope=0.25"),
        (lambda x: x[0], "getitem\n[0]"),
        (lambda x: x[:, 1:], "getitem\n[:, 1:]"),
        (lambda x: x[..., ::-1], "getitem\n[..., ::-1]"),
        (lambda x: x[(1,)], "getitem\n[1]"),
        (lambda x: x[[0, 1]], "getitem\n[[0, 1]]"),
        (lambda x: x[()], "getitem\n[()]"),
        (lambda x: x.reshape(3, 2), "reshape\nshape=(3, 2)"),
        (lambda x: x.reshape(-1), "reshape\nshape=-1"),
        (lambda x: tg.cross_entropy(x, [0, 1], reduction="sum"), "cross_entropy\naxis=-1, reduction='sum'"),
    ],
)
def test_settings_are_shown(make, title):
    nodes, _ = read(draw(make(tg.Value([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))))
    assert nodes["n1"].title.replace("  fused", "").replace("  output", "") == title


def test_the_tooltip_has_all_settings():
    nodes, _ = read(draw(tg.Value([1.0, 2.0]).sum() / 9.0))
    assert nodes["n1"].tooltip == "sum, axis=None, keepdims=False, shape (), value 3"
    assert nodes["n2"].tooltip == "divide, shape (), value 0.333333333333"


# --- names and roles


def test_names_win_over_the_name_of_the_value():
    x = tg.Value(1.0, name="own")
    y = x * 2.0
    names = {"_7": y, "alias": y, "n": 3, "text": "x", "x": x, "later": x}
    nodes, _ = read(draw(y, names=names))
    assert [nodes[i].title for i in ("n0", "n1")] == ["x  input", "alias  multiply  output"]
    assert read(draw(y))[0]["n0"].title == "own  input"
    assert read(draw(y, names={"_7": y}))[0]["n1"].title == "_7  multiply  output"
    assert read(draw(y, names={}))[0]["n0"].title == "own  input"


def test_names_are_no_matter_of_equality():
    array = np.asarray([1.0, 2.0])
    x, y = tg.Value(array), tg.Value(1.0)
    assert read(draw(x * array, names={"a": array}))[0]["n1c1"].title == "a  constant"
    assert read(draw(y * 1.0, names={"one": 1.0}))[0]["n1c1"].title == "constant"


def test_parameters_of_a_module():
    model = tg.nn.Linear(3, 2)
    model.scale = tg.Value(2.0)
    x = nd.asarray([[1.0, 2.0, 3.0]])
    out = model(x) * model.scale
    for names, prefix in ((model, ""), ({"model": model, "x": x}, "model."), (dict(model.named_parameters()), None)):
        nodes, _ = read(draw(out, names=names))
        titles = {node.title for node in nodes.values()}
        assert titles >= {f"{prefix or ''}bias  parameter", f"{prefix or ''}scale  parameter"}
        assert ("x  constant" in titles) == (prefix == "model.")


def test_roles_differ_in_words_shapes_and_colours():
    a, b = tg.Value(1.0, name="a"), tg.Value(1.0, name="layers.0.weight")
    c, d = tg.Value(1.0, requires_grad=False), tg.Value(2.0, name="bias", requires_grad=False)
    nodes, _ = read(draw((a + b + c + d).sigmoid() * 2.0))
    leaves = [nodes[f"n{i}"] for i in range(4)]
    assert [x.title for x in leaves] == ["a  input", "layers.0.weight  parameter", "constant", "bias  constant"]
    assert [nodes[i].title for i in ("n4", "n7", "n8")] == ["add", "sigmoid  fused", "multiply  output"]
    kinds = [leaves[0], leaves[1], leaves[2], nodes["n4"], nodes["n7"], nodes["n8"]]
    assert len({x.colour for x in kinds}) == len({x.border for x in kinds}) == 6
    assert leaves[2].border == leaves[3].border == nodes["n8c1"].border
    assert ["grad" in x.facts for x in leaves] == [True, True, False, False]


def test_an_op_may_be_called_like_a_role():
    twice = Op(lambda xp, x: x + x)
    twice.name = "input"
    twice.vjps(lambda xp, g, out, x: 2.0 * g)
    nodes, _ = read(draw(twice(tg.Value(1.0)) * 1.0 * 1.0))
    assert nodes["n1"].border == nodes["n2"].border != nodes["n0"].border


def test_values_of_micrograd():
    a = micro.Value(2.0, label="a")
    nodes, edges = read(draw((a * a + 3).relu()))
    assert nodes["n0"].title == "a  input" and len(edges) == 5


# --- large graphs


def test_a_long_chain_draws():
    y = tg.Value(1.0)
    for _ in range(5000):
        y = -y
    assert repr(draw(y, max_nodes=10_000)) == "Drawing(5001 nodes, 5000 edges)"


def test_shared_nodes_are_drawn_once():
    y = tg.Value(1.0)
    for _ in range(40):
        y = y * y
    assert repr(draw(y)) == "Drawing(41 nodes, 80 edges)"


def test_a_large_graph_is_folded():
    y = tg.Value(1.0)
    for _ in range(400):
        y = y * 0.5
    assert len(read(draw(y))[0]) < 10
    assert len(read(draw(y, max_nodes=1000))[0]) == 801
    few = read(draw(y, max_nodes=20, repeats=False))[0]
    assert len(few) < 50 and any("op" in node.title for node in few.values())


# --- the same text everywhere

PROGRAM = """
import tinygrad_sm as tg
from tinygrad_sm.viz import draw
from tinygrad_sm.viz.drawings.themes import LIGHT
x, w = tg.Value([1.0, 2.0, 3.0], name="x"), tg.Value(0.5)
y = (x * w + x * w).softmax() * x
y.sum().backward()
print(draw(y, names=locals()).source)
"""


def test_the_text_is_the_same_in_every_process():
    texts = {
        subprocess.run(
            [sys.executable, "-c", "import tinygrad_sm as tg; tg.Value(0.0)\n" * i + PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": str(i)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for i in (0, 1)
    }
    assert len(texts) == 1 and "n6 [label" in texts.pop()


# --- wrong use


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x: draw([x]), TypeError, "draw: takes a Value, not list"),
        (lambda x: draw(1.0), TypeError, "draw: takes a Value, not float"),
        (lambda x: draw(x, names=[x]), TypeError, "draw: names is a mapping"),
        (lambda x: draw(x, max_nodes=0), ValueError, "draw: max_nodes is at least 1, not 0"),
        (lambda x: draw(x, max_nodes=2.5), TypeError, "draw: max_nodes is a whole number, not 2.5"),
        (lambda x: draw(x, view="back"), ValueError, "draw: view is 'graph', 'backward' or 'both', not 'back'"),
        (lambda x: draw(x, view=None), TypeError, "draw: view is 'graph', 'backward' or 'both', not None"),
        (lambda x: draw(x, direction="RL"), ValueError, "draw: direction is 'LR' or 'TB', not 'RL'"),
        (lambda x: draw(x, theme="blue"), ValueError, "draw: theme is 'auto', 'light', 'dark' or 'print', not 'blue'"),
        (lambda x: draw(x, theme=["auto"]), TypeError, "draw: theme is"),
        (lambda x: draw(x, precision=0), ValueError, "draw: precision is a number of digits from 1 to 17, not 0"),
        (lambda x: draw(x, precision="4"), TypeError, "draw: precision is a number of digits, not '4'"),
        (lambda x: draw(x, grad_output=[1.0, 2.0]), ValueError, "draw: grad_output is a number or has the shape () of the out"),
        (
            lambda x: draw(tg.stack([x, x]), grad_output=[1.0, 2.0, 3.0], view="both"),
            ValueError,
            "draw: grad_output is a number or has the shape (2,) of the output, and is not [1.0, 2.0, 3.0]",
        ),
        (
            lambda x: draw(x.sigmoid(), beside=tg.stack([x, x]), grad_output=nd.ones(1)),
            ValueError,
            "draw: grad_output is a number or has the shape () of the output",
        ),
        (
            lambda x: draw(tg.stack([x, x]), beside=tg.stack([x, x, x]), grad_output=[1.0, 2.0]),
            ValueError,
            "draw: grad_output is a number or has the shape (3,) of the output",
        ),
        (lambda x: draw(x, grad_output="1"), TypeError, "draw: grad_output: needs a number"),
        (lambda x: draw(x, locals=locals()), TypeError, "draw: locals is True or False, not {"),
        (lambda x: draw(x, locals={"x": 1}), TypeError, "draw: locals is True or False, not {'x': 1}; names come by names=loc"),
        (lambda x: draw(x, values=1), TypeError, "draw: values is True or False, not 1"),
        (lambda x: draw(x, grads=None), TypeError, "draw: grads is True or False, not None"),
        (lambda x: draw(x, heatmaps="no"), TypeError, "draw: heatmaps is True or False, not 'no'"),
        (lambda x: draw(x, legend=nd.ones(2)), TypeError, "draw: legend is True or False, not "),
        (lambda x: draw(x, view=np.ones(2)), TypeError, "draw: view is 'graph', 'backward' or 'both', not array("),
        (lambda x: draw(x, theme=np.ones(2)), TypeError, "draw: theme is 'auto', 'light', 'dark' or 'print', not array("),
        (lambda x: draw(x, direction=x), TypeError, "draw: direction is 'LR' or 'TB', not "),
        (lambda x: draw(tg.nn.Linear(2, 3)), TypeError, "draw: takes a Value, not Linear; call it and draw the result: tg.dr"),
        (lambda x: draw(tg.sin), TypeError, "draw: takes a Value, not Op; call it and draw the result: tg.draw(model(x))"),
        (lambda x: draw(tg.stack([x, x]), view="both"), ValueError, "draw: the output has shape (2,)"),
        (lambda x: draw(x * 2.0, beside=True), ValueError, "draw: beside expands fused ops, and here is none"),
        (lambda x: draw(x, beside=True), ValueError, "draw: beside expands fused ops, and nothing was recorded"),
        (lambda x: draw(unrecorded(x), beside="sigmoid"), ValueError, "draw: beside expands fused ops, and nothing was rec"),
        (
            lambda x: draw(x.sigmoid(), beside="tanh"),
            ValueError,
            "draw: beside has 'tanh', and no fused op of that name is here; there is 'sigmoid'",
        ),
        (lambda x: draw(x.sigmoid(), beside=[]), ValueError, "draw: beside expands fused ops"),
        (lambda x: draw(x, beside=x), ValueError, "draw: beside is the Value itself"),
        (lambda x: draw(x, beside=3), TypeError, "draw: beside is True, names of fused ops, or another Value, not 3"),
        (lambda x: draw(x, beside=[x]), TypeError, "draw: beside is True, names of fused ops"),
        (lambda x: draw(x, collapse=2.5), TypeError, "draw: collapse is a depth"),
        (lambda x: draw(x, collapse="layer"), ValueError, "draw: collapse has 'layer'"),
        (lambda x: draw(x, repeats="yes"), TypeError, "draw: repeats is True, False or None"),
    ],
)
def test_wrong_use_gets_a_sentence(call, kind, words):
    with pytest.raises(kind) as caught:
        call(tg.Value(1.0))
    assert str(caught.value).startswith(words)


def unrecorded(x: tg.Value) -> tg.Value:
    with tg.no_grad():
        return x.sigmoid()


def test_without_the_package_graphviz(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match="pip install graphviz"):
        draw(tg.Value(1.0))
