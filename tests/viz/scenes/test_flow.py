"""What flows back: against the engine's own gradients, Jacobians and central differences, for every op and kind of data."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.drawings import random_graph
from tests.helpers.every_op import CALLS, A, call, call_on_numbers, every_op, operation
from tests.helpers.every_op import _first as first_type
from tinygrad_sm import micro, nd
from tinygrad_sm.graph.namespaces import namespace_of
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.viz.scenes.flow import MOST, flow_of, locals_of
from tinygrad_sm.viz.scenes.scene import scene_of


def flat(x):
    return [y for row in x for y in flat(row)] if isinstance(x, list) else [x]


def numbers(data):
    return flat([data] if type(data) is float else nested_lists(data))


def outputs_of(output):
    return output if isinstance(output, list) else [output]


def seed_of(value):
    """Some gradient, different everywhere."""
    if type(value.data) is float:
        return 0.75
    xp = namespace_of([value.data])
    return xp.reshape(0.5 + 0.25 * xp.astype(xp.arange(value.size), value.dtype), value.shape)


def check(output, seed=None):
    """A flow against `tg.grad`, and its own sums."""
    scene = scene_of(output)
    before = {node.id: node.value.has_grad for node in scene.nodes.values() if node.value is not None}
    flow = flow_of(scene, output, seed)
    assert before == {node.id: node.value.has_grad for node in scene.nodes.values() if node.value is not None}
    reached = {me: scene.nodes[me].value for me in flow.order}
    assert flow.order == [*flow.gradients] and flow.order[0] == scene.outputs[0]
    orders = [value._order for value in reached.values()]
    assert orders == sorted(orders)  # newest first
    expected = tg.grad(output, [*reached.values()], grad_output=seed)
    for (me, value), gradient in zip(reached.items(), expected, strict=True):
        assert numbers(flow.gradients[me]) == numbers(gradient), me
        assert type(flow.gradients[me]) is type(value.data)
    incoming = {}
    for edge in scene.edges:
        assert (edge.id in flow.contributions) == (edge.carries and edge.head in reached)
        if edge.id in flow.contributions:
            assert edge.tail in reached
            incoming.setdefault(edge.tail, []).append(numbers(flow.contributions[edge.id]))
    assert {*incoming} == {*flow.order[1:]}
    for me, amounts in incoming.items():
        for gradient, entries in zip(numbers(flow.gradients[me]), zip(*amounts, strict=True), strict=True):
            room = 1e-15 * len(entries) * sum(map(abs, entries))  # they may cancel
            assert gradient == pytest.approx(float(sum(map(Fraction, entries))), rel=0, abs=room + 1e-300)
    return scene, flow


@pytest.mark.parametrize("name", every_op())
def test_every_op(name):
    _, output = call(name, tg.Value)
    for out in outputs_of(output):
        if out.requires_grad:
            check(out, seed_of(out))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_random_graphs(seed):
    check(random_graph(seed))


def test_values_of_micrograd_and_arrays_of_numpy():
    a, b = micro.Value(-4.0), micro.Value(2.0)
    scene, _ = check((a * b + b**3 + (a + b).relu()) / (a - 1.0))
    assert scene.nodes["n0"].value is a
    x = tg.Value(np.asarray([[1.0, 2.0], [3.0, 4.0]]))
    scene, flow = check(tg.softmax(x @ x.T) * 2.0, np.ones((2, 2)))
    assert {type(g) for g in flow.gradients.values()} == {np.ndarray}


@pytest.mark.heavy
def test_arrays_of_torch():
    import torch

    x = tg.Value(torch.asarray([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64))
    scene, flow = check((tg.softmax(x @ x.T) * x).sum())
    assert isinstance(flow.gradients["n0"], torch.Tensor)
    assert locals_of(scene.nodes["n3"])[0].kind == "jacobian"


def test_only_what_the_gradient_reaches_is_in_the_flow():
    x, c = tg.Value(3.0), tg.Value(2.0, requires_grad=False)
    y = x * c + tg.constant(x) + 1.0
    scene, flow = check(y)
    assert "n1" not in flow.gradients and [e.carries for e in scene.nodes["n2"].operands] == [True, False]
    both = scene_of(y, x.exp(), sides=("a", "b"))
    assert both.outputs[1] not in flow_of(both, y).gradients
    with tg.no_grad():
        still = x * 2.0
    assert flow_of(scene_of(still), still).gradients == {}


def test_wrong_gradients_get_a_sentence():
    y = tg.Value([1.0, 2.0]) * 2.0
    with pytest.raises(ValueError, match=r"^draw: the output has shape \(2,\)"):
        flow_of(scene_of(y), y)
    with pytest.raises(ValueError, match=r"^draw: a gradient of shape \(3,\) for shape \(2,\)"):
        flow_of(scene_of(y), y, [1.0, 2.0, 3.0])


def test_nothing_is_written_into_grad():
    x = tg.Value(3.0)
    y = x * x
    y.backward()
    flow_of(scene_of(y), y, 10.0)
    assert (x.grad, y.grad) == (6.0, 1.0)


def test_it_goes_back_through_what_was_computed_with():
    w = tg.Value(3.0)
    y = w * w
    w.data = 100.0
    scene = scene_of(y)
    assert flow_of(scene, y).gradients["n0"] == 6.0
    assert locals_of(scene.nodes["n1"])[0].data == 3.0


# --- local derivatives


def as_matrix(local, size):
    """A local derivative as a matrix, one row an element of the result."""
    if local.kind == "jacobian":
        return local.data
    slopes = flat([local.data])
    return [[s if i == j else 0.0 for j in range(len(slopes))] for i, s in enumerate(slopes)]


@pytest.mark.parametrize("name", every_op())
def test_local_derivatives_of_every_op_are_its_jacobians(name):
    given, keywords = CALLS.get(name, ((A,), {}))
    op, (_, output) = operation(name), call(name, tg.Value)
    if isinstance(output, list) or output.op is None or output.op.name != name:
        return
    node = scene_of(output).nodes
    node = node[[*node][-1]]
    found = locals_of(node)
    wanted = [i for i, x in enumerate(output.inputs) if isinstance(x, tg.Value) and x.requires_grad]
    assert [*found] == [i for i in wanted if output.inputs[i].size * output.size <= MOST]
    for i, local in found.items():
        inputs = [tg.Value(x) if first_type(x) is float else x for x in given]
        jacobian = tg.jacobian(lambda v, i=i, inputs=inputs: op(*inputs[:i], v, *inputs[i + 1 :], **keywords), given[i])
        matrix = as_matrix(local, output.size)
        assert (len(matrix), {len(row) for row in matrix}) == (output.size, {output.inputs[i].size})
        assert flat(matrix) == pytest.approx(numbers(jacobian), rel=1e-14, abs=1e-300)
        assert (local.kind == "slope") == (output.shape == output.inputs[i].shape == ())


@pytest.mark.parametrize(
    "name", [name for name in every_op() if name in ("multiply", "tanh", "pow", "exp", "divide", "where", "clip")]
)
def test_local_derivatives_on_numbers_are_slopes(name):
    _, output = call_on_numbers(name)
    scene = scene_of(output)
    found = locals_of(scene.nodes[scene.outputs[0]])
    assert {local.kind for local in found.values()} == {"slope"}
    assert [local.data for local in found.values()] == tg.grad(output, [output.inputs[i] for i in found])


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda x: x * 2.0, {0: ("slopes", [2.0, 2.0, 2.0])}),
        (lambda x: x * x, {0: ("slopes", [1.0, 2.0, 3.0]), 1: ("slopes", [1.0, 2.0, 3.0])}),
        (lambda x: x.sum(), {0: ("jacobian", [[1.0, 1.0, 1.0]])}),
        (lambda x: x.cumulative_sum(), {0: ("jacobian", [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])}),
        (lambda x: x + tg.Value(1.0), {0: ("slopes", [1.0, 1.0, 1.0]), 1: ("jacobian", [[1.0], [1.0], [1.0]])}),
        (lambda x: x[1], {0: ("jacobian", [[0.0, 1.0, 0.0]])}),
        (lambda x: tg.relu(x - 2.0), {0: ("slopes", [0.0, 0.0, 1.0])}),
    ],
)
def test_kinds_of_local_derivatives(function, kinds):
    scene = scene_of(function(tg.Value([1.0, 2.0, 3.0])))
    found = locals_of(scene.nodes[scene.outputs[0]])
    assert {place: (local.kind, local.data) for place, local in found.items()} == kinds


def test_slopes_have_the_shape_of_the_operand():
    x = tg.Value([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    (local,) = locals_of(scene_of(x * 2.0).nodes["n1"]).values()
    assert (local.kind, local.data) == ("slopes", [[2.0] * 3] * 2)


def test_large_jacobians_are_left_out():
    x, y = tg.Value(tg.ones(16)), tg.Value(tg.ones(17))
    assert [*locals_of(scene_of(x * 2.0).nodes["n1"])] == [0]
    assert locals_of(scene_of(y * 2.0).nodes["n1"]) == {}
    assert [*locals_of(scene_of(y * tg.Value(2.0)).nodes["n2"])] == [1]  # 17 by 1
    assert locals_of(scene_of(tg.Value(nd.zeros((0, 3))) * 2.0).nodes["n1"]) == {}
    assert locals_of(scene_of(x).nodes["n0"]) == {}


@pytest.mark.parametrize("name", ["attention", "linear_cross_entropy"])
def test_ops_that_keep_data_for_their_rule(name):
    _, output = call(name, tg.Value)
    scene = scene_of(output)
    before = dict(output._params)
    assert locals_of(scene.nodes[scene.outputs[0]]) and output._params == before
    assert tg.grad(output, output.inputs[0], grad_output=seed_of(output)) is not None


def test_second_derivatives():
    x = tg.Value([0.5, -1.0, 2.0])
    (g,) = tg.grad((tg.softmax(x) * x).sum(), [x], create_graph=True)
    check((g * g).sum())
