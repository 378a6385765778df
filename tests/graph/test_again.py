"""`Op.again`: the call that a node records, made once more."""

import pytest

import tinygrad_sm as tg
from tests.helpers.every_op import call, call_on_numbers, every_op
from tinygrad_sm import nd
from tinygrad_sm.graph.value import nested_lists


def lists(value):
    return value.data if type(value.data) is float else nested_lists(value.data)


def again(node, inputs=None):
    return node.op.again(node.inputs if inputs is None else inputs, node._params)


def own_settings(node):
    return {key: repr(x) for key, x in (node._params or {}).items() if key in node.op.setting_names}


@pytest.mark.parametrize("name", every_op())
def test_every_op_with_the_same_inputs(name):
    _, output = call(name, tg.Value)
    for node in output if isinstance(output, list) else [output]:
        twin = again(node)
        assert twin is not node and lists(twin) == lists(node)
        assert twin.op is node.op and own_settings(twin) == own_settings(node)
        assert len(twin.inputs) == len(node.inputs)
        assert all(a is b for a, b in zip(twin.inputs, node.inputs, strict=True) if isinstance(b, tg.Value))


@pytest.mark.parametrize("name", ["multiply", "pow", "tanh", "sigmoid", "clip", "leaky_relu", "maximum", "sum"])
def test_numbers(name):
    _, output = call_on_numbers(name)
    assert lists(again(output)) == lists(output)


def test_other_inputs_and_the_same_settings():
    x = tg.Value([[1.0, 2.0], [3.0, 5.0]])
    other = tg.Value([[0.5, 1.0], [2.0, 8.0]])
    for node, expected in (
        (tg.softmax(x, axis=0, temperature=2.0), tg.softmax(other, axis=0, temperature=2.0)),
        (x.sum(axis=1, keepdims=True), other.sum(axis=1, keepdims=True)),
        (x[1, 0], other[1, 0]),
        (tg.concat([x, x], axis=1), tg.concat([other, other], axis=1)),
    ):
        inputs = [other if a is x else a for a in node.inputs]
        assert lists(again(node, inputs)) == lists(expected)


def test_optional_inputs_given_and_not_given():
    x, w = tg.Value([2.0, 3.0]), tg.Value([[1.0, 2.0]])

    @tg.primitive
    def scaled(xp, x, weight=None, bias=None, *, by=1.0):
        return (x if weight is None else x * weight) * by + (0.0 if bias is None else bias)

    scaled.vjps(lambda xp, g, *_, by=1.0: g, lambda xp, g, *_, by=1.0: g, lambda xp, g, *_, by=1.0: g)
    for node in (
        scaled(x),
        scaled(x, by=3.0),
        scaled(x, weight=x),
        scaled(x, bias=x, by=2.0),
        scaled(x, bias=x, weight=2.0),
        tg.linear(x, w),
        tg.linear(x, w, bias=tg.Value([0.5])),
        tg.cross_entropy(x, 1, weight=[0.25, 0.75]),
        tg.softmax(x, where=[True, False]),
    ):
        assert lists(again(node)) == lists(node) and again(node).inputs[:1] == (x,)


def test_what_was_kept_for_the_rule_is_made_anew():
    q = tg.Value([[1.0, 2.0], [0.5, -1.0]])
    node = tg.attention(q, q, q, causal=True)
    twin = again(node, [q * 2.0, q, q])
    expected = tg.attention(q * 2.0, q, q, causal=True)
    assert lists(twin) == lists(expected)
    assert {*twin._params} == {*expected._params} and own_settings(twin) == own_settings(expected)
    assert nested_lists(tg.grad(twin.sum(), q)) == nested_lists(tg.grad(expected.sum(), q))


def test_inside_composed_and_no_grad():
    z = tg.Value([1.0, 2.0])
    node = tg.softmax(z)
    with tg.composed():
        assert again(node).op.name == "divide"
    with tg.no_grad():
        assert again(node).op is None
    assert again(node, [nd.asarray([1.0, 2.0])]).tolist() == pytest.approx(node.tolist())  # plain data gives plain data
