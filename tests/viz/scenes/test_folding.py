"""Folded scenes: nothing is lost, every edge has its ends, and equal blocks, modules and old nodes become what they should."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.drawings import random_graph
from tinygrad_sm import nd, nn
from tinygrad_sm.viz.scenes.expansion import expanded
from tinygrad_sm.viz.scenes.flow import flow_of
from tinygrad_sm.viz.scenes.folding import Folded, fold
from tinygrad_sm.viz.scenes.repetition import LONGEST
from tinygrad_sm.viz.scenes.scene import Names, scene_of


class Block(nn.Module):
    """A residual block."""

    def __init__(self, n=3):
        self.fc, self.n = nn.Linear(n, n), n

    def forward(self, x):
        return x + tg.relu(self.fc(x))


class Same(nn.Module):
    """A cell that is called again and again."""

    def __init__(self):
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)

    def forward(self, x, h):
        return tg.tanh(self.a(x) + self.b(h))


def stack(n, wrap=True):
    return (
        nn.Sequential(nn.Linear(2, 3), *[Block() for _ in range(n)], nn.Linear(3, 2)) if wrap else [Block() for _ in range(n)]
    )


def loss_of(model):
    return tg.cross_entropy(model(tg.Value([[1.0, -2.0]], name="x")), [1])


def loop(steps, step, start=3.0):
    y = tg.Value(start, name="x")
    for i in range(steps):
        y = step(y, i)
    return y


def sound(full, scene):
    """What every folded scene keeps."""
    assert [*scene.nodes] == [node.id for node in scene.nodes.values()]
    drawn = [me for node in scene.nodes.values() for me in node.members or (node.id,)]
    assert sorted(drawn) == sorted(full.nodes)  # nothing lost, nothing twice
    shown = {me: node.id for node in scene.nodes.values() for me in node.members or (node.id,)}
    assert scene.outputs == [shown[output] for output in full.outputs]
    for output, drawn in zip(full.outputs, scene.outputs, strict=True):
        assert scene.nodes[drawn].role == "folded" or drawn == output
    place = {me: i for i, me in enumerate(scene.nodes)}
    originals = {edge.id: edge for edge in full.edges}
    ids = [edge.id for edge in scene.edges]
    assert len({*ids, *scene.nodes, *(group.id for group in scene.groups)}) == len(ids) + len(scene.nodes) + len(scene.groups)
    assert [edge for node in scene.nodes.values() for edge in node.operands] == scene.edges
    for node in scene.nodes.values():
        assert [edge.head for edge in node.operands] == [node.id] * len(node.operands)
        places = [edge.place for edge in node.operands]
        assert places == sorted({*places})
        if node.role != "folded":  # every operand has come along
            assert [(e.id, e.place, e.word, e.carries) for e in node.operands] == [
                (e.id, e.place, e.word, e.carries) for e in full.nodes[node.id].operands
            ]
            assert node.data is full.nodes[node.id].data and node.value is full.nodes[node.id].value
    for edge in scene.edges:
        assert place[edge.tail] < place[edge.head]
        for one in (originals[me] for me in edge.members or (edge.id,)):
            assert (shown[one.tail], shown[one.head]) == (edge.tail, edge.head)
            assert (one.tail, one.carries) == (originals[edge.id].tail, edge.carries)
    joined = {(edge.tail, edge.head) for edge in scene.edges}
    for edge in full.edges:  # nor is an edge lost, unless it lies within, or leads from one equal block to the next
        tail, head = shown[edge.tail], shown[edge.head]
        box = scene.nodes[head]
        in_row = box.times > 1 or (box.group and any(group.times > 1 for group in box.group.chain()))
        if head == edge.head or (tail != head and box.role == "folded" and not in_row):
            assert (tail, head) in joined
    groups = {group.id: i for i, group in enumerate(scene.groups)}
    for i, group in enumerate(scene.groups):
        assert group.parent is None or groups[group.parent.id] < i
        assert scene.members_of(group) or (scene is full and group.kind == "side")  # two sides may be the same
    for node in scene.nodes.values():
        assert node.group is None or node.group in scene.groups
    for node in scene.nodes.values():
        if isinstance(node, Folded):
            assert len({n.id for n in node.gives}) == len(node.gives) and all(shown[n.id] == node.id for n in node.gives)
            assert (node.data is node.gives[0].data) if len(node.gives) == 1 else node.data is None
            assert all(shown[n.id] != node.id for n in node.takes)
    users = {edge.tail for edge in scene.edges}
    assert all(me in users or me in scene.outputs for me in scene.nodes)  # nothing is left without a use
    return scene


def folded(value, **keywords):
    full = scene_of(value)
    before = [(node, node.group, [*node.operands], node.members) for node in full.nodes.values()]
    scene = sound(full, fold(full, **keywords))
    assert before == [(node, node.group, [*node.operands], node.members) for node in full.nodes.values()]  # not touched
    assert all(group.times == 1 and group.kind != "repeat" for group in full.groups)
    return scene


def titles(scene):
    """What is drawn, plain data aside."""
    return [node.name or node.title for node in scene.nodes.values() if node.value is not None or node.role == "folded"]


def times(scene):
    return [(group.path or group.kind, group.times) for group in scene.groups if group.times > 1]


# --- equal blocks


@pytest.mark.parametrize(
    ("steps", "step", "drawn", "row"),
    [
        (5000, lambda y, i: -y, ["x", "negative", "negative"], 4999),
        (100, lambda y, i: y * 0.5 + 1.0, ["x", "multiply", "add", "multiply", "add"], 99),
        (30, lambda y, i: tg.tanh(tg.tanh(y) * 2.0), "x tanh multiply tanh tanh multiply tanh".split(), 29),
        (20, lambda y, i: y * y, ["x", "multiply", "multiply"], 19),
        (4, lambda y, i: -y, ["x", "negative", "negative"], 3),
        (3, lambda y, i: -y, ["x", "negative", "negative", "negative"], None),  # two steps and the output are no row
        (9, lambda y, i: -y if i % 2 else tg.exp(y), "x exp negative exp".split(), 4),
        (8, lambda y, i: y.sum() if i == 4 else -y, "x negative sum negative negative negative".split(), 4),
        (7, lambda y, i: y**2.0 if i == 6 else -y, ["x", "negative", "pow"], 6),
    ],
)
def test_the_steps_of_a_loop_are_drawn_once(steps, step, drawn, row):
    scene = folded(loop(steps, step), repeats=True)
    assert titles(scene) == drawn
    assert [group.times for group in scene.groups] == ([row] if row else [])
    if row:
        inside = scene.members_of(scene.groups[0])
        assert {len(node.members) for node in inside} == {row}
        assert all(node.members[0] == node.id for node in inside)  # the first


def test_what_all_steps_share_stands_outside_and_what_each_has_stands_within():
    w, cell = tg.Value([0.5] * 3, name="w"), Same()
    h = tg.Value([0.0] * 3, name="h")
    xs = [tg.Value([float(i), 1.0, 2.0]) for i in range(6)]
    for x in xs:
        h = cell(x * w, h)
    scene = folded(h.sum(), repeats=True)
    assert times(scene) == [("repeat", 6)]
    of = {node.name or node.title: node for node in scene.nodes.values()}
    assert len(of["input"].members) == 6 and of["input"].group.kind == "repeat" and of["input"].value is xs[0]
    assert of["w"].group is of["h"].group is of["a.weight"].group is None and not of["w"].members
    assert [node.title for node in scene.members_of(scene.groups[0])] == [
        "input",
        "multiply",
        "linear",
        "linear",
        "add",
        "tanh",
    ]


@pytest.mark.parametrize("n", [2, 3, 12])
def test_equal_modules_in_a_row_are_drawn_once(n):
    scene = folded(loss_of(stack(n)), repeats=True)
    assert times(scene) == [("1", n)]
    assert [node.title for node in scene.members_of(scene.groups[2])].count("linear") == 1
    weight = next(node for node in scene.nodes.values() if node.name == "1.fc.weight")
    assert len(weight.members) == n
    assert titles(scene)[:3] == ["0.weight", "0.bias", "1.fc.weight"]


def test_what_follows_a_row_hangs_on_what_stands_for_its_last_block():
    scene = folded(loss_of(stack(3)), repeats=True)
    last = next(node for node in scene.nodes.values() if node.title == "linear" and node.group.path == "4")
    tail = scene.nodes[last.operands[0].tail]
    assert (tail.title, tail.group.path, len(tail.members)) == ("add", "1", 3)


def test_a_block_of_several_modules():
    scene = folded(loss_of(nn.MLP([2, 3, 3, 3, 3, 2])), repeats=True)
    assert times(scene) == [("repeat", 3)]
    assert [node.title for node in scene.members_of(scene.groups[2]) if not node.is_leaf] == ["linear", "relu"]
    assert [group.path or group.kind for group in scene.groups[2:]] == ["repeat", "layers.1", "layers.4"]


def test_rows_within_rows():
    class Outer(nn.Module):
        def __init__(self):
            self.blocks, self.end = stack(4, wrap=False), nn.Linear(3, 3)

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return tg.tanh(self.end(x))

    scene = folded(loss_of(nn.Sequential(nn.Linear(2, 3), *[Outer() for _ in range(5)], nn.Linear(3, 2))), repeats=True)
    assert times(scene) == [("1", 5), ("1.blocks.0", 4)]
    assert {len(node.members) for node in scene.nodes.values() if node.name == "1.blocks.0.fc.weight"} == {20}

    def neuron(y, i):
        for _ in range(3):
            y = y * 0.5 + 1.0
        return y.tanh()

    scene = folded(-loop(7, neuron), repeats=True)
    assert [group.times for group in scene.groups] == [7, 3] and scene.groups[1].parent is scene.groups[0]


@pytest.mark.parametrize(
    ("make", "row"),
    [
        (lambda: [Block(), Block(), Block()], 3),
        (lambda: [Block(), nn.ReLU(), Block()], None),
        (lambda: [Block(), nn.Sequential(Block()), Block()], None),
        (lambda: [nn.Sequential(tg.exp), nn.Sequential(tg.tanh)], None),  # of the same name, and not the same inside
        (lambda: [nn.Softmax(axis=-1), nn.Softmax(axis=0)], None),
        (lambda: [nn.Softmax(), nn.Softmax()], 2),
        (lambda: [nn.Linear(3, 3), nn.Linear(3, 3, bias=False)], None),
    ],
)
def test_only_equal_blocks_are(make, row):
    scene = folded(loss_of(nn.Sequential(nn.Linear(2, 3), *make(), nn.Linear(3, 2))), repeats=True)
    assert [n for _, n in times(scene)] == ([row] if row else [])


@pytest.mark.parametrize(
    "output",
    [
        lambda a, b: a[3] * b[3] + a[1] * b[2],  # wires that differ
        lambda a, b: tg.stack([a[0] * b[0], a[1] * b[0], a[2] * b[1], a[3] * b[3]]).sum(),
    ],
)
def test_wires_that_differ_are_no_row(output):
    a = [tg.Value(float(i)) for i in range(4)]
    b = [tg.exp(x) for x in a]
    assert times(folded(output(a, b), repeats=True)) == []


def test_settings_shapes_and_flags_tell_blocks_apart():
    x = tg.Value([[1.0, 2.0], [3.0, 4.0]])
    y = x
    for i in range(6):
        y = tg.softmax(y, axis=i % 2)
    assert times(folded(y.sum(), repeats=True)) == [("repeat", 3)]
    y = x
    for i in range(6):
        y = tg.softmax(y, axis=int(i == 2), temperature=2.0)
    assert times(folded(y.sum(), repeats=True)) == [("repeat", 3)]
    y = x
    for i in range(6):
        y = y * tg.Value(1.0, requires_grad=i != 3)
    assert times(folded(y.sum(), repeats=True)) == [("repeat", 3)]
    scene = folded(sum((x[0, i % 2] for i in range(9)), start=x[1, 1]).exp(), repeats=True)  # another element each time
    assert times(scene) == [("repeat", 9)]


def test_steps_of_a_loop_may_have_many_ops():
    choose = random.Random(1)
    ops = [choose.choice([tg.tanh, tg.sin, tg.cos, tg.sigmoid]) for _ in range(LONGEST - 1)]

    def step(y, i):
        for op in ops:
            y = op(y)
        return y * 0.5

    assert 5 in [group.times for group in folded(loop(5, step).exp(), repeats=True).groups]


def test_a_row_may_feed_a_row_in_turn():
    def two_layers(order):
        x, states, total = tg.Value(1.0), [], tg.Value(0.0)
        for _ in range(5):
            x = tg.tanh(x)
            states.append(x)
        for i in order:
            total = (total + states[i]).sin()
        return total.exp()

    assert [group.times for group in folded(two_layers(range(5)), repeats=True).groups] == [5, 5]
    assert [group.times for group in folded(two_layers([1, 0, 2, 4, 3]), repeats=True).groups] == [5]


def test_a_first_step_that_begins_with_two_things_is_another_step():
    def step(y, i):
        return tg.tanh(y) * y

    for a, n in ((tg.Value(1.0), 5), (None, 4)):
        b = tg.Value(1.0)
        y = tg.tanh(b if a else tg.Value(1.0)) * b
        for i in range(4):
            y = step(y, i)
        assert [group.times for group in folded(y.exp(), repeats=True).groups] == [n]


def test_steps_of_growing_shape_are_no_row():
    y = tg.Value([1.0])
    for _ in range(5):
        y = tg.concat([y, y])
    assert not times(folded(y.sum(), repeats=True))


def test_a_row_into_a_folded_module():
    class Mean(nn.Module):
        def forward(self, *states):
            return sum(states[1:], states[0]) * (1.0 / len(states)) * states[0]

    states = [tg.Value(1.0)]
    for _ in range(5):
        states.append(tg.tanh(states[-1]))
    mean = Mean()(*states[1:])
    scene = folded((mean * states[-1]).exp(), repeats=True, collapse=0)
    (edge,) = scene.nodes["g0"].operands  # one, from what stands for the row, that knows the edges from its first only
    assert (scene.nodes[edge.tail].title, len(scene.nodes[edge.tail].members), len(edge.members)) == ("tanh", 5, 2)


def test_what_stands_beside_each_other_is_no_row():
    assert not times(folded(tg.stack([tg.Value(float(i)).exp() for i in range(9)]).sum(), repeats=True))


# --- modules


@pytest.mark.parametrize(
    ("collapse", "drawn"),
    [
        (0, ["", "cross_entropy"]),
        (1, ["x", "0", "1", "4", "cross_entropy"]),
        ("Sequential", ["", "cross_entropy"]),
        (nn.Sequential, ["", "cross_entropy"]),
        ([nn.Linear, "1"], ["x", "0", "1", "4", "cross_entropy"]),
        ("4", "x 0.weight 0.bias 1.fc.weight 1.fc.bias linear linear relu add 4 cross_entropy".split()),
        (["0", "4"], "x 0 1.fc.weight 1.fc.bias linear relu add 4 cross_entropy".split()),
        (
            lambda group: group.path == "1.fc",
            "x 0.weight 0.bias 4.weight 4.bias linear 1.fc relu add linear cross_entropy".split(),
        ),
    ],
)
def test_modules_become_one_node_each(collapse, drawn):
    scene = folded(loss_of(stack(3)), collapse=collapse)
    names = ["" if name == "Sequential()" else name for name in titles(scene)]
    assert sorted(names) == sorted([*drawn, *["x"] * (drawn[0] == "")])


def test_what_a_folded_module_says():
    model = stack(3)
    full = scene_of(loss_of(model), names=Names({"model": model}))
    scene = sound(full, fold(full, collapse="Block"))
    box = next(node for node in scene.nodes.values() if node.role == "folded")
    assert (box.name, box.title, box.times, box.ops, box.entries, box.value) == ("model.1", "Block()", 3, 3, 12, None)
    assert (len(box.members), box.group.path, [n.data.shape for n in box.takes]) == (15, "model", [(1, 3)])
    assert [n.title for n in box.gives] == ["add"] and box.data is box.gives[0].value.data
    assert (box.operands[0].place, box.operands[0].word) == (0, "") and box.operands[0].carries


def test_an_input_that_goes_in_several_times_comes_by_one_edge():
    class Twice(nn.Module):
        def forward(self, x, y):
            return x * y + x, x - y

    x = tg.Value(3.0, name="x")
    e = x.exp()
    a, b = Twice()(e, x)
    scene = folded(a * b, collapse=0)
    box = scene.nodes["g0"]
    assert [(edge.tail, edge.place, edge.members) for edge in box.operands] == [
        ("n1", 0, ("n2_0", "n3_1", "n4_0")),
        ("n0", 1, ("n2_1", "n4_1")),
    ]
    assert [(edge.tail, edge.place) for edge in scene.nodes[scene.outputs[0]].operands] == [("g0", 0), ("g0", 1)]
    assert (len(box.gives), box.data) == (2, None)
    output = scene.nodes["n5"].value
    flow, whole = flow_of(scene, output), flow_of(scene.full, output)
    assert flow.contributions[box.operands[0].id] == sum(whole.contributions[me] for me in box.operands[0].members)
    assert sum(flow.contributions[edge.id] for edge in scene.edges if edge.tail == "n1") == flow.gradients["n1"]
    assert "g0" not in flow.gradients and flow.order == ["n5", "n1", "n0"]


def test_a_parameter_from_outside_is_not_what_a_folded_module_takes():
    layer, x = nn.Linear(2, 2), tg.Value([1.0, 2.0], name="x")
    scene = folded(layer(layer(x)).sum(), collapse=0, repeats=False)
    assert [[node.name or node.title for node in scene.nodes[me].takes] for me in ("g0", "g1")] == [["x"], ["linear"]]
    assert [len(scene.nodes[me].operands) for me in ("g0", "g1")] == [3, 3]


def test_a_folded_module_is_as_old_as_what_was_computed_in_it():
    embedding, x = nn.Embedding(3, 2), tg.Value([1.0, 2.0], name="x")
    y = x.exp()
    assert titles(folded(y * embedding(1), collapse=0)) == ["x", "exp", "Embedding(3, 2)", "multiply"]


def test_the_flow_through_folded_modules():
    value = loss_of(stack(3))
    full = scene_of(value)
    whole = flow_of(full, value)
    scene = fold(full, collapse=1, repeats=False)
    flow = flow_of(scene, value)
    assert flow.order == [*flow.gradients]
    assert {*flow.order} == {node.id for node in scene.nodes.values() if node.value is not None or node.role == "folded"}
    for box in (node for node in scene.nodes.values() if node.role == "folded"):
        assert nd.all(flow.gradients[box.id] == whole.gradients[box.gives[0].id])
    x = next(node.id for node in full.nodes.values() if node.name == "x")
    assert nd.all(flow.contributions[scene.nodes["g1"].operands[0].id] == whole.gradients[x])


@pytest.mark.parametrize(
    ("keywords", "kind", "words"),
    [
        ({"max_nodes": 0}, ValueError, "draw: max_nodes is at least 1, not 0"),
        ({"max_nodes": 2.5}, TypeError, "draw: max_nodes is a whole number, not 2.5"),
        ({"repeats": 3}, TypeError, "draw: repeats is True, False or None, not 3"),
        ({"collapse": -1}, ValueError, "draw: collapse is a depth of at least 0, not -1"),
        (
            {"collapse": 1.5},
            TypeError,
            "draw: collapse is a depth, paths or class names of modules, or a function of a Group, not",
        ),
        ({"collapse": True}, TypeError, "draw: collapse is a depth"),
        ({"collapse": [1]}, TypeError, "draw: collapse is a depth"),
        (
            {"collapse": "layers.9"},
            ValueError,
            "draw: collapse has 'layers.9', which is no module here; there is 'Sequential', '0', ",
        ),
        ({"collapse": ["0", ""]}, ValueError, "draw: collapse has '', which is no module here"),
    ],
)
def test_wrong_use_gets_a_sentence(keywords, kind, words):
    with pytest.raises(kind) as caught:
        fold(scene_of(loss_of(stack(12))), **keywords)
    assert str(caught.value).startswith(words) and len(str(caught.value)) < 200


def test_paths_may_be_those_within_the_network():
    model = nn.MLP([2, 3, 2])
    full = scene_of(model(tg.Value([1.0, 2.0])), names=Names({"model": model}))
    for name in ("layers.0", "model.layers.0"):
        assert "model.layers.0" in titles(sound(full, fold(full, collapse=name)))
    with pytest.raises(ValueError, match=r"'0', which is no module here; there is 'model', 'model.layers.0', 'model.layers.1'"):
        fold(full, collapse="0")
    with pytest.raises(ValueError, match="there is none"):
        fold(scene_of(tg.Value(1.0)), collapse="0")
    assert titles(fold(scene_of(-tg.Value(1.0)), collapse=0)) == ["input", "negative"]


# --- too many nodes


def test_small_scenes_stay():
    for n in (10, 300):
        full = scene_of(loop(n - 1, lambda y, i: -y))
        assert fold(full, max_nodes=n) is full
        assert fold(full, max_nodes=n - 1) is not full
    assert fold(full, collapse=0, repeats=False).nodes.keys() == full.nodes.keys()
    assert not times(fold(full, repeats=False)) and len(fold(full, repeats=False, max_nodes=299).nodes) == 300


def test_equal_blocks_first_then_the_deepest_modules_then_the_oldest():
    full = scene_of(loss_of(stack(12)))
    drawn = {most: titles(sound(full, fold(full, max_nodes=most))) for most in range(2, 14)}
    assert "1.fc.weight" in drawn[13] and drawn[13].count("linear") == 3
    assert drawn[12] == drawn[11] == "0.weight 0.bias 13.weight 13.bias x linear 1.fc relu add linear cross_entropy".split()
    assert drawn[10] == drawn[5] == ["x", "0", "1", "13", "cross_entropy"]
    assert drawn[4] == drawn[3] == ["x", "Sequential()", "cross_entropy"]
    assert drawn[2] == ["… 1 older node", "Sequential()", "cross_entropy"]


def test_the_newest_nodes_and_the_outputs_stay():
    x = y = tg.Value(1.0)
    for i in range(10):
        y = y * x if i % 3 else (y + 2.0).exp()
    scene = folded(y, repeats=False, max_nodes=3)
    assert len([node for node in scene.nodes.values() if node.value is not None]) == 3
    assert next(iter(scene.nodes)) == "older" and scene.nodes["older"].title == f"… {len(scene.full.nodes) - 4 - 3} older nodes"
    z = x.exp()
    full = scene_of(z, (z * 2.0).sin().cos(), sides=("a", "b"))
    small = fold(full, max_nodes=1)
    assert small.outputs == full.outputs and {*small.outputs} < {*small.nodes}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([None, True, False]))
def test_random_graphs_stay_sound(seed, most, repeats):
    folded(random_graph(seed), max_nodes=most, repeats=repeats)


@st.composite
def networks(draw):
    kinds = st.sampled_from(["linear", "relu", "block", "same", "pair", "norm"])
    names = draw(st.lists(kinds, min_size=1, max_size=9))
    shared = Block()

    class Pair(nn.Module):
        def __init__(self):
            self.parts = [Block(), Block()]

        def forward(self, x):
            for part in self.parts:
                x = part(x)
            return x * 0.5

    make = {
        "linear": lambda: nn.Linear(3, 3),
        "relu": nn.ReLU,
        "block": Block,
        "same": lambda: shared,
        "pair": Pair,
        "norm": lambda: nn.LayerNorm(3),
    }
    return nn.Sequential(*(make[name]() for name in names))


@settings(max_examples=25, deadline=None)
@given(
    networks(), st.sampled_from([None, 0, 1, 2, lambda group: group.title.startswith("Block")]), st.integers(1, 60), st.data()
)
def test_random_networks_stay_sound(model, collapse, most, data):
    output = (model(tg.Value([[1.0, -2.0, 0.5]])) ** 2.0).sum()
    repeats = data.draw(st.sampled_from([None, True, False]))
    folded(output, collapse=collapse, max_nodes=most, repeats=repeats)
    twin = expanded(output)
    both = scene_of(output, twin.output, sides=("fused", "composed"), expansion=twin)
    sound(both, fold(both, collapse=collapse, max_nodes=max(most, 3), repeats=repeats))
    alone = scene_of(twin.output, expansion=twin)
    sound(alone, fold(alone, collapse=collapse, max_nodes=most, repeats=repeats))


def test_many_calls_within_calls():
    class Deep(nn.Module):
        def forward(self, x, depth):
            return -(self(x, depth - 1) if depth else x)

    full = scene_of(Deep()(tg.Value(1.0), 150).exp())
    assert len(full.groups) == 151
    for keywords in ({"collapse": 0}, {"max_nodes": 3}, {"collapse": "Deep"}):
        assert titles(sound(full, fold(full, **keywords))) == ["input", "Deep()", "exp"]
    assert len(titles(sound(full, fold(full, max_nodes=20, repeats=False)))) == 20


@pytest.mark.heavy
@pytest.mark.parametrize("repeats", [None, False])
def test_a_hundred_thousand_nodes(repeats):
    y, w = tg.Value(1.0), tg.Value(0.5)
    for i in range(50_000):
        y = (y * w if i % 7 else y / w) + 1.0
    assert len(folded(y, repeats=repeats).nodes) < 700
