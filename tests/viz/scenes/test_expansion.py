"""The same graph with fused ops as their definitions: the same numbers and gradients, and everything else shared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.drawings import random_graph
from tests.helpers.every_op import call, every_op
from tests.viz.scenes.test_flow import numbers, outputs_of, seed_of
from tinygrad_sm import micro, nn
from tinygrad_sm.graph import Fused, history
from tinygrad_sm.viz.scenes.expansion import expanded
from tinygrad_sm.viz.scenes.scene import Names, scene_of


def check(output, ops=None):
    """An expansion against the graph it is of."""
    old = history(output)
    expansion = expanded(output, ops)
    twin = expansion.output
    new = history(twin)
    made = [value for value in new if value not in {*old}]
    assert {*made} <= {*expansion.origins} and {*expansion.origins.values()} <= {*old}
    assert not any(isinstance(value.op, Fused) and (ops is None or value.op.name in ops) for value in new)
    assert [x for x in new if x.op is None and x in expansion.twins.values()] == []  # nothing was rebound
    opened = {x for x in old if isinstance(x.op, Fused) and (ops is None or x.op.name in ops)}
    above = {*opened}
    for value in old:  # everything that was made of something expanded is new, and nothing else
        if any(isinstance(x, tg.Value) and x in above for x in value.inputs):
            above.add(value)
    assert {*expansion.twins} == above and all(x in {*new} or x not in {*old} for x in expansion.twins.values())
    assert (twin is output) == (not above)
    shared = [value for value in new if value in {*old}]
    assert not {*shared} & above
    assert numbers(twin.data) == pytest.approx(numbers(output.data), rel=1e-13, abs=1e-15)
    assert type(twin.data) is type(output.data) and twin.shape == output.shape
    leaves = [value for value in old if value.op is None and value.requires_grad and value in {*new}]
    if output.requires_grad and twin.requires_grad:
        seed = seed_of(output)
        for a, b in zip(tg.grad(output, leaves, grad_output=seed), tg.grad(twin, leaves, grad_output=seed), strict=True):
            assert numbers(b) == pytest.approx(numbers(a), rel=1e-11, abs=1e-13)
    assert [x.op and x.op.name for x in old] == [x.op and x.op.name for x in history(output)]
    return expansion


@pytest.mark.parametrize("name", every_op())
def test_every_op(name):
    _, output = call(name, tg.Value)
    for out in outputs_of(output):
        expansion = check(out * 2.0)
        assert (expansion.output.inputs[0] is out) == (not expansion.twins)
        check(out, ops={"softmax", "log_softmax"})


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([None, {"softmax"}, {"none"}]))
def test_random_graphs(seed, ops):
    check(random_graph(seed), ops)


def test_only_the_ops_that_are_named():
    z = tg.Value([1.0, 2.0, 0.5])
    p = tg.softmax(z)
    loss = (tg.sigmoid(p) * 2.0).sum()
    twin = check(loss, ["sigmoid"]).output
    assert p in history(twin) and next(x.op.name for x in history(twin) if x.op) == "softmax"
    assert check(loss, "none").output is loss


def test_what_is_not_made_of_something_expanded_is_shared():
    x, w = tg.Value([1.0, 2.0]), tg.Value([0.5, 0.25])
    hidden = tg.tanh(x * w)
    loss = tg.cross_entropy(hidden, 1) + hidden.sum()
    expansion = check(loss)
    assert {x, w, hidden, hidden.inputs[0]} < {*history(expansion.output)}
    (ce,) = [v for v in history(loss) if v.op and v.op.name == "cross_entropy"]
    assert {expansion.origins[v] for v in history(expansion.output) if v in expansion.origins} == {ce, loss}


def test_a_leaf_that_was_rebound_is_computed_with_as_it_was():
    w = tg.Value([1.0, 2.0], name="w")
    first = tg.softmax(w)
    old = w.data
    w.data = [3.0, -1.0]
    loss = (first * tg.softmax(w)).sum()
    w.data = [0.0, 0.0]
    expansion = expanded(loss)
    assert numbers(expansion.output.data) == pytest.approx(numbers(loss.data), rel=1e-14)
    leaves = [x for x in history(expansion.output) if x.op is None and x.requires_grad]
    assert sorted(numbers(x.data) for x in leaves) == [[1.0, 2.0], [3.0, -1.0]] and {x.name for x in leaves} == {"w"}
    assert old is not w.data and all(expansion.origins[x] is w for x in leaves)
    assert [node.name for node in scene_of(expansion.output, expansion=expansion).nodes.values() if node.value in leaves] == [
        "w",
        "w",
    ]


def test_settings_optional_inputs_and_kept_data_come_along():
    x, t = tg.Value([[1.0, 2.0, 4.0]]), tg.Value(2.0)
    check(tg.softmax(x, axis=0, temperature=t) * 1.5)
    check(tg.softmax(x, where=[[True, False, True]], temperature=0.5).sum())
    check(tg.cross_entropy(x, [2], weight=[1.0, 2.0, 3.0], label_smoothing=0.1, reduction="none"))
    check(tg.nn.MultiHeadAttention(4, 2)(tg.Value([[[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.5, 2.0]]])).sum())
    check(tg.attention(tg.Value([[1.0, 2.0]]), tg.Value([[0.5, 1.0]]), tg.Value([[3.0, 4.0]]), causal=True))


def test_a_users_own_op_and_an_op_that_is_never_one_node():
    @tg.fused
    def halved(xp, x, *, by=2.0):
        return tg.sigmoid(x) / by

    @halved.backward
    def _(xp, g, out, x, *, by=2.0):
        s = tg.sigmoid(x)
        return g * s * (1.0 - s) / by

    x = tg.Value([1.0, -2.0])
    assert "sigmoid" not in [v.op.name for v in history(check(halved(x, by=4.0)).output) if v.op]
    twin = expanded(tg.sigmoid(halved(x, by=4.0)), ["halved"]).output  # what is in it is expanded with it
    assert [v.op.name for v in history(twin) if isinstance(v.op, Fused)] == ["sigmoid"]


def test_numbers_micrograd_and_numpy():
    check(tg.sigmoid(tg.Value(0.3)) * 2.0)
    x = micro.Value(0.5)
    twin = check(tg.sigmoid(x) + x).output
    assert type(twin) is micro.Value
    check(tg.softmax(tg.Value(np.asarray([1.0, 2.0]))) * 2.0)


@pytest.mark.heavy
def test_torch():
    import torch

    check(tg.cross_entropy(tg.Value(torch.asarray([[1.0, 2.0]], dtype=torch.float64)), torch.asarray([1])))


def test_graphs_of_second_derivatives():
    x = tg.Value([0.5, -1.0, 2.0])
    (g,) = tg.grad((tg.softmax(x) * x).sum(), [x], create_graph=True)
    twin = check((g * g).sum()).output
    assert tg.grad(twin, x) is not None


def test_what_was_recorded_is_not_touched_and_nothing_depends_on_the_switches():
    loss = tg.cross_entropy(tg.Value([1.0, 2.0]), 0)
    inputs, params = loss.inputs, loss._params
    with tg.no_grad():
        twin = expanded(loss).output
    assert twin.op is not None and loss.inputs is inputs and loss._params is params
    with tg.composed():
        assert expanded(loss, []).output is loss
        assert tg.softmax(tg.Value([1.0, 2.0])).op.name == "divide"


def test_names_and_groups_follow():
    model = nn.Sequential(nn.Linear(2, 3), nn.Softmax(), nn.Linear(3, 2))
    x = tg.Value([1.0, 2.0])
    loss = tg.cross_entropy(model(x), 1)
    expansion = expanded(loss)
    names = Names({"x": x, "loss": loss, "model": model})
    scene = scene_of(expansion.output, names=names, expansion=expansion)
    assert [group.path for group in scene.groups] == ["model", "model.0", "model.1", "model.2"]
    inside = {group.path: [node.title for node in scene.members_of(group)] for group in scene.groups}
    assert inside["model.0"][:2] == ["parameter", "parameter"] and inside["model.0"][-2:] == ["matmul", "add"]
    assert inside["model.1"][-2:] == ["sum", "divide"] and scene.nodes[scene.outputs[0]].name == "loss"
    assert {"model.0.weight", "model.2.bias", "x"} <= {node.name for node in scene.nodes.values()}


def test_both_beside_each_other():
    z = tg.Value([1.0, 2.0, 0.5], name="z")
    h = tg.tanh(z)
    p = tg.softmax(h)
    expansion = expanded(p)
    scene = scene_of(p, expansion.output, sides=("fused", "composed"), expansion=expansion, names=Names({"p": p}))
    where = {node.title: node.group and node.group.title for node in scene.nodes.values()}
    assert where["tanh"] is None and where["softmax"] == "fused" and where["divide"] == where["exp"] == "composed"
    assert [scene.nodes[output].name for output in scene.outputs] == ["p", "p"]
    assert sum(node.value is z for node in scene.nodes.values()) == 1


def test_a_chain_of_many_does_not_recurse():
    y = tg.Value(1.0)
    for _ in range(3000):
        y = tg.sigmoid(y)
    assert numbers(expanded(y).output.data) == pytest.approx(numbers(y.data), rel=1e-13)
