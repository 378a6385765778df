"""Scenes: every Value and operand once, under the right names, in the right groups, the same in every process."""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.drawings import random_graph
from tests.helpers.every_op import call, every_op
from tests.helpers.graphs import nodes_of
from tinygrad_sm import micro, nn
from tinygrad_sm.graph import Fused
from tinygrad_sm.viz.scenes.expansion import expanded
from tinygrad_sm.viz.scenes.scene import Names, scene_of

# --- nodes and edges


def check(output):
    """A scene against the graph itself."""
    scene = scene_of(output)
    values = sorted(nodes_of(output), key=lambda v: -v._order)
    ids = {value: f"n{i}" for i, value in enumerate(values)}
    assert {node.value: node.id for node in scene.nodes.values() if node.value is not None} == ids
    assert [*scene.nodes] == [node.id for node in scene.nodes.values()]
    assert scene.outputs == [ids[output]] and scene.id_of(output) == ids[output]
    expected = []
    for value in values:
        node = scene.nodes[ids[value]]
        role = "fused" if isinstance(value.op, Fused) else "op" if value.op else "input" if value.requires_grad else "constant"
        assert (node.role, node.data, node.is_leaf) == (role, value.data, value.op is None) or node.data is value.data
        assert node.title == (value.op.name if value.op else role)
        own = []
        for i, x in enumerate(value.inputs):
            if x is None:
                continue
            is_value = isinstance(x, tg.Value)
            tail = ids[x] if is_value else f"{ids[value]}c{i}"
            if not is_value:
                assert (scene.nodes[tail].data is x, scene.nodes[tail].role, scene.nodes[tail].value) == (
                    True,
                    "constant",
                    None,
                )
            own.append((f"{ids[value]}_{i}", tail, ids[value], i, is_value and x.requires_grad))
        assert [(e.id, e.tail, e.head, e.place, e.carries) for e in node.operands] == own
        expected += node.operands
    assert scene.edges == expected
    place = {me: i for i, me in enumerate(scene.nodes)}
    assert all(place[edge.tail] < place[edge.head] for edge in scene.edges)
    assert len({*scene.nodes, *(edge.id for edge in scene.edges)}) == len(scene.nodes) + len(scene.edges)
    return scene


@pytest.mark.parametrize("name", every_op())
def test_every_op(name):
    _, output = call(name, tg.Value)
    for out in output if isinstance(output, list) else [output]:
        check(out)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_random_graphs(seed):
    check(random_graph(seed))


def test_other_kinds_of_values():
    check(micro.Value(2.0) * micro.Value(3.0) + 1)
    check(tg.softmax(tg.Value(np.asarray([1.0, 2.0])) * np.asarray([2.0, 3.0])))
    x = tg.Value(3.0)
    (g,) = tg.grad((x * x).tanh(), [x], create_graph=True)
    check(g * 2.0)
    with tg.no_grad():
        check(x * x)
    assert [node.role for node in check(tg.constant(x)).nodes.values()] == ["constant"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: x - 2.0, ["0", "1"]),
        (lambda x: tg.cross_entropy(x, 1), ["logits", "targets"]),
        (lambda x: tg.cross_entropy(x, 1, weight=[1.0, 2.0]), ["logits", "targets", "weight", "temperature"]),
        (lambda x: tg.softmax(x, temperature=x.sum()), ["z", "temperature"]),
        (lambda x: tg.stack([x, 1.0 * x, x]), ["0", "1", "2"]),
        (lambda x: tg.linear(x, [[1.0, 2.0]], bias=[3.0]), ["x", "weight", "bias"]),
    ],
)
def test_operands_have_their_words(make, words):
    scene = scene_of(make(tg.Value([1.0, 2.0])))
    assert [edge.word for edge in scene.nodes[scene.outputs[0]].operands] == words


def test_several_outputs():
    x = tg.Value(2.0)
    a, b = x.exp(), x * 2.0
    scene = scene_of(b, a)
    assert scene.outputs == ["n2", "n1"] and [node.title for node in scene.nodes.values()] == [
        "input",
        "exp",
        "constant",
        "multiply",
    ]


def test_a_leaf_has_the_data_of_each_use():
    w, data = tg.Value(1.0), []
    y = tg.Value(0.0)
    for i in range(3):
        w.data = float(i)
        data.append(w.data)
        y = y + w * w
    w.data = 9.0
    scene = scene_of(y)
    node = scene.nodes[scene.id_of(w)]
    assert node.used == data and node.data == data[-1] and node.value.data == 9.0
    assert scene_of(w).nodes["n0"].used == [9.0]


# --- names


def named(names, *values):
    found = Names(names)
    return [found.of(value) for value in values]


def test_names_of_locals():
    x, y, data = tg.Value(1.0), tg.Value(2.0, name="own"), np.asarray([1.0])
    layer = nn.Linear(1, 2)
    assert named({"x": x, "_": x, "data": data}, x, y, data) == ["x", "own", "data"]
    assert named({"_": x, "_1": x, "x": x, "other": x}, x) == ["x"]  # the first that does not begin like a notebook's own
    assert named({"_": x}, x) == ["_"]
    assert named({"y": y}, y) == ["y"]
    assert named({3: x, None: y, ("a",): layer}, x, y, layer.weight) == ["3", "None", "('a',).weight"]
    assert named({"text": "x", "n": 3, "f": len, "x": x}, x) == ["x"]
    assert named(None, x, layer.weight, data) == ["", "weight", ""]
    assert named({"w": layer.weight, "layer": layer}, layer.weight, layer.bias) == ["w", "layer.bias"]
    assert named(layer, layer.weight, layer) == ["weight", ""]


def test_names_of_modules_in_lists_and_mappings():
    blocks, heads = [nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1))], {"a": nn.Linear(1, 1)}
    x = tg.Value(1.0)
    scope = {"blocks": blocks, "heads": heads, "xs": [x], "_": blocks[0]}
    assert named(scope, blocks[0].weight, blocks[1][0].bias, heads["a"].weight, x) == [
        "blocks.0.weight",
        "blocks.1.0.bias",
        "heads.a.weight",
        "xs[0]",
    ]
    assert named({"net": [blocks, [[x]]]}, blocks[0].bias, blocks[0], x) == ["net[0].0.bias", "net[0].0", ""]
    assert not Names(scope).is_parameter(x)
    assert named({"numbers": [1.0] * 10, "self": scope, "x": x}, x) == ["x"]
    loop = [x]
    loop.append(loop)
    assert named({"loop": loop}, x) == ["loop[0]"]


def test_names_that_are_no_mapping():
    for wrong in ([1], "x", 3, tg.Value(1.0)):
        with pytest.raises(
            TypeError, match=r"^draw: names is a mapping of names to Values, such as locals\(\), or a Module, not"
        ):
            Names(wrong)


def test_names_hold_what_they_name():
    names = Names({"x": tg.Value(1.0)})
    gc.collect()
    assert {names.of(tg.Value(2.0)) for _ in range(50)} == {""}


def test_roles_of_leaves():
    layer, x = nn.Linear(2, 2), tg.Value([1.0, 2.0], name="x")
    own = tg.Value([1.0, 1.0], name="bias")
    dotted = tg.Value([1.0, 1.0], name="a.b")
    still = tg.Value([1.0, 1.0], requires_grad=False, name="still.weight")
    scene = scene_of(layer(x) * own + dotted + still, names=Names({"layer": layer}))
    assert {node.name: node.role for node in scene.nodes.values() if node.is_leaf} == {
        "layer.weight": "parameter",
        "layer.bias": "parameter",
        "x": "input",
        "bias": "parameter",
        "a.b": "parameter",
        "still.weight": "constant",
    }


# --- groups


def grouped(scene):
    """What is in each group itself, by its path."""
    return {
        (group.path, group.title.partition("(")[0]): [
            node.name or node.title for node in scene.nodes.values() if node.group is group
        ]
        for group in scene.groups
    }


def sound(scene):
    """Groups are nested, and each is drawn in."""
    assert [group.id for group in scene.groups if group.kind != "side"] == [
        f"g{i}" for i in range(sum(group.kind != "side" for group in scene.groups))
    ]
    seen = set()
    for group in scene.groups:
        assert group.parent is None or group.parent in seen
        assert group.depth == len([*group.chain()]) - 1 and scene.members_of(group)
        seen.add(group)
    assert all(node.group is None or node.group in seen for node in scene.nodes.values())
    return scene


def test_calls_of_modules_are_groups():
    model, x = nn.Sequential(nn.Linear(2, 3), nn.ReLU()), tg.Value([1.0, 2.0], name="x")
    scene = sound(scene_of(model(x).sum()))
    assert grouped(scene) == {
        ("", "Sequential"): [],
        ("0", "Linear"): ["0.weight", "0.bias", "linear"],
        ("1", "ReLU"): ["relu"],
    }
    scene = sound(scene_of(model(x).sum(), names=Names({"net": model})))
    assert [group.path for group in scene.groups] == ["net", "net.0", "net.1"]


def test_a_shared_module_called_twice():
    layer, x = nn.Linear(2, 2), tg.Value([1.0, 2.0])
    scene = sound(scene_of(layer(layer(x))))
    assert [(group.title, group.path, group.parent) for group in scene.groups] == [("Linear(2, 2)", "", None)] * 2
    assert [node.group for node in scene.nodes.values() if node.role == "parameter"] == [None, None]
    tied = nn.Sequential(layer, nn.ReLU(), layer)
    scene = sound(scene_of(tied(x)))
    outer = scene.groups[0]
    assert {node.group for node in scene.nodes.values() if node.role == "parameter"} == {outer}


def test_results_in_tuples_and_mappings_and_the_parts_of_one():
    class Two(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(2, 2)

        def forward(self, x):
            y = self.inner(x)
            return {"a": y.exp(), "b": (y * 2.0, y)}

    both = Two()(tg.Value([1.0, 2.0], name="x"))
    scene = sound(scene_of(both["a"]))
    assert grouped(scene) == {("", "Two"): ["exp"], ("inner", "Linear"): ["inner.weight", "inner.bias", "linear"]}
    scene = sound(scene_of(both["b"][0]))
    assert grouped(scene)["", "Two"] == ["constant", "multiply"]
    scene = sound(scene_of((both["a"] * both["b"][0]).sum()))
    assert [group.title for group in scene.groups] == ["Two()", "Linear(2, 2)"]


def test_dropout_in_training_and_calls_without_recording():
    model, x = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)), tg.Value([1.0, 2.0])
    scene = sound(scene_of(model.train()(x)))
    assert ("1", "Dropout") in grouped(scene)
    assert [group.path for group in sound(scene_of(model.eval()(x))).groups] == ["", "0"]  # nothing was made in it
    with tg.no_grad():
        still = model(x)
    assert scene_of(still * tg.Value(2.0)).groups == []


def test_modules_within_modules_within_modules():
    class Deep(nn.Module):
        def forward(self, x, depth):
            return -(self(x, depth - 1) if depth else x)

    scene = sound(scene_of(Deep()(tg.Value(1.0), 100)))
    assert [group.depth for group in scene.groups] == [*range(101)]
    assert [node.group.depth for node in scene.nodes.values() if node.group] == [*range(100, -1, -1)]


def test_sides():
    z, w = tg.Value([1.0, 2.0], name="z"), tg.Value([0.5, 0.5], name="w")
    twin = tg.Value([0.5, 0.5], name="w")
    scene = sound(scene_of(tg.softmax(z * w), tg.exp(z * twin), sides=("a", "b")))
    assert [(group.id, group.kind, group.title) for group in scene.groups] == [("s0", "side", "a"), ("s1", "side", "b")]
    assert [node.name for node in scene.nodes.values() if node.group is None] == ["z", "w"]  # equal leaves are one
    twin.data = [0.5, 0.75]
    scene = scene_of(tg.softmax(z * w), tg.exp(z * twin), sides=("a", "b"))
    assert [node.name for node in scene.nodes.values()].count("w") == 2


def test_modules_on_both_sides():
    model = nn.Sequential(nn.Linear(2, 2), nn.Softmax())
    y = model(tg.Value([1.0, 2.0], name="x"))
    expansion = expanded(y)
    scene = sound(scene_of(y, expansion.output, sides=("fused", "composed"), expansion=expansion))
    of = {side.title: [group.path for group in scene.groups if group.parent is side] for side in scene.groups[:2]}
    assert of == {"fused": [""], "composed": [""]}


# --- large and the same everywhere

PROGRAM = """
import tinygrad_sm as tg
from tinygrad_sm.viz.scenes.scene import Names, scene_of
from tinygrad_sm.viz.scenes.folding import fold
tg.manual_seed(3)
model = tg.nn.MLP([2, 3, 3, 3, 2])
x = tg.Value([1.0, 2.0], name="x")
loss = tg.cross_entropy(model(x) + x * 2.0, 1)
full = scene_of(loss, names=Names(locals()))
chosen = {"model.layers.0", "model.layers.3"}
for scene in (full, fold(full, repeats=True), fold(full, collapse=chosen), fold(full, max_nodes=4)):
    for node in scene.nodes.values():
        print(node.id, node.role, node.title, node.name, node.members, node.group and node.group.id, node.times)
    for edge in scene.edges:
        print(edge.id, edge.tail, edge.head, edge.place, edge.word, edge.carries, edge.members)
    for group in scene.groups:
        print(group.id, group.path, group.title, group.times, group.parent and group.parent.id)
"""


def test_the_same_in_every_process():
    texts = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "27")
    }
    assert len(texts) == 1 and "model.layers.0.weight" in texts.pop()


def test_nothing_is_left_to_the_collector():
    model = nn.Sequential(nn.Linear(2, 3), nn.Softmax())
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            y = model(tg.Value([1.0, 2.0])).sum()
            expansion = expanded(y)
            scene = scene_of(y, expansion.output, sides=("a", "b"), expansion=expansion, names=Names({"model": model}))
            del scene, expansion, y
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_long_chain():
    y = tg.Value(1.0)
    for _ in range(10_000):
        y = -y
    assert len(scene_of(y).nodes) == 10_001


@pytest.mark.heavy
def test_a_million_nodes():
    x = y = tg.Value(1.0)
    for _ in range(1_000_000):
        y = y + x
    assert len(scene_of(y).nodes) == 1_000_001
