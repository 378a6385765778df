"""The steps of the player as data: every number is the engine's, and the sentences say what the numbers are."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.drawings import AWKWARD, random_graph
from tests.helpers.every_op import CALLS, A, every_op
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.viz.drawings.labels import number
from tinygrad_sm.viz.examples import EXAMPLES
from tinygrad_sm.viz.players.quantities import Quantities, line
from tinygrad_sm.viz.players.steps import HABITS, labels_of, listed, trace_of
from tinygrad_sm.viz.scenes.expansion import expanded
from tinygrad_sm.viz.scenes.flow import flow_of
from tinygrad_sm.viz.scenes.folding import fold
from tinygrad_sm.viz.scenes.scene import Names, scene_of


class Played:
    """A Value's trace, and what there is in it by name."""

    def __init__(self, output, names=None, grad_output=None, **folding):
        self.full = scene_of(output, names=Names(names))
        self.scene = fold(self.full, repeats=False, **folding) if folding else self.full
        self.flow = flow_of(self.scene, output, grad_output)
        self.held = Quantities()
        self.trace = trace_of(self.scene, self.flow, output, self.held)
        self.steps = self.trace["steps"]
        self.nodes = {node["id"]: node for node in self.trace["nodes"]}
        self.parts = [part for step in self.steps for part in step.get("moments", ())]

    def pairs(self):
        return [(step, part) for step in self.steps for part in step.get("moments", ())]

    def floats(self, i):
        """All entries of a quantity as floats, as they were."""
        return [float(x) for x in self.held.entries[i]["reprs"]]

    def texts(self):
        return [step["text"] for step in self.steps] + [part["text"] for part in self.parts]


def flat(data):
    return [float(x) for x in np.asarray(nested_lists(data)).reshape(-1)]


def same(a, b):
    return len(a) == len(b) and all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))


def whole(played, output):
    """Whether everything that is said of gradients and values is what the engine says."""
    values = {node.value: node.id for node in played.full.nodes.values() if node.value is not None}
    leaves = [value for value in values if value.op is None and value.requires_grad]
    if output.requires_grad and output.size == 1:
        for value, gradient in zip(leaves, tg.grad(output, leaves), strict=True):
            shown = played.nodes[values[value]]["gradient"]
            if shown is None:
                assert flat(gradient) == [0.0] * value.size
            elif value.size <= 256:
                assert same(played.floats(shown), flat(gradient))
    for value, me in values.items():
        if value.op is not None and value.size <= 256:
            assert same(played.floats(played.nodes[me]["value"]), flat(value.data))
    last = {}
    for part in played.parts:
        count, total = last.get(part["to"], (0, None))
        assert part["count"][0] == count + 1
        assert part["final"] == (part["count"][0] == part["count"][1])
        if "facts" not in played.held.entries[part["total"]]:
            came = played.floats(part["contribution"])
            sums = came if total is None else [x + y for x, y in zip(played.floats(total), came, strict=True)]
            assert same(sums, played.floats(part["total"]))
        last[part["to"]] = part["count"][0], part["total"]
    for to, (count, total) in last.items():
        assert count == next(part["count"][1] for part in played.parts if part["to"] == to)
        assert total == played.nodes[to]["gradient"]


# --- the numbers


PLAYED = [(name, form) for name in sorted(EXAMPLES) for form in ("fused", "composed")]
PLAYED.remove(("transformer", "composed"))  # takes long, and shows nothing that the others do not


@pytest.mark.parametrize(("name", "form"), PLAYED)
def test_an_example_plays_with_the_numbers_of_the_engine(name, form):
    output, names = EXAMPLES[name]()
    if form == "composed":
        output = expanded(output).output
    whole(Played(output, names), output)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_a_random_graph_plays_with_the_numbers_of_the_engine(seed):
    output = random_graph(seed)
    played = Played(output)
    whole(played, output)
    ops = [step["node"] for step in played.steps if step["kind"] == "forward"]
    assert ops == [node.id for node in played.scene.nodes.values() if not node.is_leaf]
    back = [step["node"] for step in played.steps if step["kind"] == "backward"]
    assert back == [me for me in played.flow.order if not played.scene.nodes[me].is_leaf]


@pytest.mark.parametrize("name", every_op())
def test_every_op_plays(name):
    op = getattr(tg, name, None) or __import__("tinygrad_sm.graph.value_namespace", fromlist=["_OPS"])._OPS[name]
    inputs, settings = CALLS.get(name, ((A,), {}))

    def value(x):
        is_floats = isinstance(x, float) or (isinstance(x, list) and isinstance(np.asarray(x).flat[0], np.floating))
        return tg.Value(x) if is_floats else x

    values = [value(x) for x in inputs]
    output = op(values, **settings) if op.variadic else op.again(values, {**op._settings, **settings})
    if isinstance(output, list):
        output = output[0]
    seed = 1.0 if output.size > 1 else None
    played = Played(output, grad_output=seed)
    whole(played, output)
    assert played.steps[-1]["kind"] == "end" and json.dumps(played.trace, allow_nan=False)


def test_single_numbers_multiply():
    x, w = tg.Value(0.1), tg.Value(-7.3)
    played = Played(tg.tanh(x * w + x) / w)
    for step, part in played.pairs():
        assert part["local"]["kind"] == "slope"
        product = played.floats(step["incoming"])[0] * played.floats(part["local"]["value"])[0]
        assert math.isclose(product, played.floats(part["contribution"])[0], rel_tol=1e-12)


def test_jacobians_carry_the_incoming_gradient_to_the_contribution():
    output, names = EXAMPLES["cross-entropy"]()
    played = Played(expanded(output).output, names)
    kinds = set()
    for step, part in played.pairs():
        local, g = part["local"], np.array(played.floats(step["incoming"]))
        jacobian = np.array(played.floats(local["value"]))
        sizes = played.held.entries[local["value"]]["shape"]
        product = g @ jacobian.reshape(sizes) if local["kind"] == "jacobian" else g * jacobian
        np.testing.assert_allclose(product.reshape(-1), played.floats(part["contribution"]), rtol=1e-12, atol=1e-15)
        kinds.add(local["kind"])
    assert kinds == {"slope", "slopes", "jacobian"}


def test_another_sum_is_refused():
    x = tg.Value(3.0)
    y = x * x
    scene = scene_of(y)
    flow = flow_of(scene, y)
    flow.contributions["n1_0"] = 4.0
    with pytest.raises(AssertionError, match="does not sum to its gradient"):
        trace_of(scene, flow, y, Quantities())


def test_texts_are_the_numbers_as_drawings_write_them_and_every_digit_is_beside():
    played = Played(tg.Value(1 / 3, name="x") * tg.Value([[0.1, 2e-7], [123456.0, -1 / 7]], name="w"), grad_output=1 / 9)
    for held in played.held.entries:
        assert held.get("texts", [held["text"]]) == [number(float(x)) for x in held["reprs"]]
    assert played.floats(played.nodes["n1"]["value"]) == [0.1, 2e-7, 123456.0, -1 / 7]
    assert played.held.entries[played.nodes["n1"]["value"]]["levels"] == [0, 0, 100, 0]


# --- the sentences


def test_every_sentence_of_x_squared_plus_x():
    x = tg.Value(3.0)
    played = Played(x * x + x, {"x": x})
    assert [(step["kind"], step["heading"], step["text"]) for step in played.steps] == [
        ("start", "Start", "These are given: x = 3."),
        ("forward", "Forward: multiply", "multiply takes x (3) and x (3) and gives 9."),
        ("forward", "Forward: add", "add takes multiply (9) and x (3) and gives 12."),
        ("seed", "Seed: add", "The pass back begins at add: d add / d add = 1."),
        ("backward", "Backward: add", "add takes the incoming 1 and passes back 1 to multiply and 1 to x. "
         "The gradient of multiply (1) is complete."),
        ("backward", "Backward: multiply", "multiply takes the incoming 1 and passes back 3 to x and 3 to x. "
         "The gradient of x (7) is complete."),
        ("end", "End", "Every gradient is complete: d add / d x = 7."),
    ]  # fmt: skip
    assert [part["text"] for part in played.parts] == [
        "add passes 1 back to multiply: incoming 1 times local derivative 1 = 1. That is the whole gradient of multiply.",
        "add passes 1 back to x: incoming 1 times local derivative 1 = 1. x has 1 so far, 1 of 3.",
        "multiply passes 3 back to x: incoming 1 times local derivative 3 = 3. x has 4 so far, 2 of 3.",
        "multiply passes 3 back to x: incoming 1 times local derivative 3 = 3. x has 7 now, 3 of 3: its gradient is complete.",
    ]
    assert [part["edge"] for part in played.parts] == ["n2_0", "n2_1", "n1_0", "n1_1"]
    assert played.steps[5]["habit"].startswith("Multiplication swaps") and played.steps[5]["rule"] == "Rule: g b; g a."


def test_arrays_in_sentences():
    z = tg.Value([2.0, 1.0, 0.5], name="z")
    w = tg.Value([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], name="w")
    texts = Played(tg.sum(tg.matmul(w, z)), {"w": w, "z": z}).texts()
    assert "These are given: z = [2, 1, 0.5] and w = a (2, 3) array from 1 to 6." in texts
    assert "matmul takes w (a (2, 3) array from 1 to 6) and z ([2, 1, 0.5]) and gives [5.5, 16]." in texts
    assert any(
        text.startswith("matmul passes [5, 7, 9] back to z: incoming [1, 1] times the Jacobian, 2 by 3,") for text in texts
    )


def test_what_is_too_large_for_its_jacobian_goes_through_the_rule():
    x = tg.Value(tg.reshape(tg.arange(300.0), (20, 15)), name="x")
    played = Played(tg.sum(tg.exp(x * 0.001)), {"x": x})
    by = {part["label"]: part for part in played.parts}
    assert by["x"]["local"] is None and "a vector-Jacobian product" in by["x"]["text"]
    held = played.held.entries[played.nodes["n0"]["value"]]
    assert held["facts"] == ["min", "mean", "max"] and held["texts"] == ["0", "149.5", "299"]
    assert held["reprs"] == ["0.0", "149.5", "299.0"] and held["text"] == "0 … 299"


@pytest.mark.parametrize(
    ("output", "names", "sentence"),
    [
        (lambda x: x, {}, "Every gradient is complete: d x / d x = 1."),
        (lambda x: x.detach() * 2.0, {}, "No gradient is wanted here, so nothing flows back."),
        (lambda x: x * 0.0 + 1.0, {}, "Every gradient is complete: d add / d x = 0."),
        (lambda x: tg.log(x - 3.0) * 0.0, {}, "at incoming 0 and local derivative inf the op's rule gives 0"),
        (lambda x: 1.0 / (x - 3.0), {}, "incoming 1 times local derivative -inf = -inf"),
        (lambda x: x * math.nan, {}, "incoming 1 times local derivative nan = nan"),
    ],
    ids=["a leaf", "no gradient", "zero", "a pole", "infinity", "nan"],
)
def test_at_the_edges(output, names, sentence):
    value = output(tg.Value(3.0, name="x"))
    assert any(sentence in text for text in Played(value, names).texts())


def test_a_given_gradient_is_the_seed():
    x = tg.Value([1.0, 2.0], name="x")
    played = Played(x * 3.0, grad_output=[10.0, 20.0])
    assert [step["text"] for step in played.steps if step["kind"] == "seed"] == [
        "The pass back begins at multiply with the gradient given: [10, 20]."
    ]
    assert played.floats(played.nodes["n0"]["gradient"]) == [30.0, 60.0]
    assert played.steps[-1]["text"] == "Every gradient is complete: that of x is [30, 60]."


def test_a_gradient_is_called_a_derivative_only_where_it_is_one():
    x = tg.Value(2.0, name="x")
    ends = [Played(x * 3.0, grad_output=seed).steps[-1]["text"] for seed in (None, 1.0, 5.0)]
    assert ends == ["Every gradient is complete: d multiply / d x = 3."] * 2 + ["Every gradient is complete: that of x is 15."]


def test_amounts_are_said_of_all_operands_or_of_none():
    x, w = tg.Value([[1.0, 2.0]] * 3, name="x"), tg.Value([[-0.123456, 7.654321]] * 3, name="w")
    steps = Played(tg.sum(x * tg.ones((3, 2)) * w)).steps
    back = next(step for step in steps if step["heading"] == "Backward: multiply #2")
    amounts = [part["text"] for part in back["moments"]]
    assert "a (3, 2) array from -0.1235 to 7.654" in amounts[0] and "a (3, 2) array from 1 to 2" in amounts[1]
    assert back["text"].startswith(
        "multiply #2 takes the incoming gradient and passes back contributions to multiply #1 and w."
    )


def test_equal_ones_share_what_a_maximum_routes():
    x = tg.Value([2.0, 2.0, 1.0], name="x")
    played = Played(tg.max(x))
    (back,) = (step for step in played.steps if step["kind"] == "backward")
    assert "equal ones share it" in back["habit"] and played.floats(played.nodes["n0"]["gradient"]) == [0.5, 0.5, 0.0]


def test_a_rebound_leaf_plays_with_what_was_computed_with():
    x = tg.Value(3.0, name="x")
    y = x * x
    x.data = 100.0
    assert Played(y).steps[0]["text"] == "These are given: x = 3."


def test_several_of_a_kind_have_numbers():
    x = tg.Value(2.0)
    scene = scene_of((x * 3.0) * (x * 3.0) + tg.Value(1.0))
    assert [*labels_of(scene).values()] == [
        "input #1",
        "3",
        "multiply #1",
        "3",
        "multiply #2",
        "multiply #3",
        "input #2",
        "add",
    ]


@pytest.mark.parametrize("name", AWKWARD)
def test_names_in_sentences_are_printable(name):
    x = tg.Value(2.0, name=name)
    played = Played(x * x)
    assert all(text.isprintable() for text in played.texts())
    assert json.dumps(played.trace).encode()


def test_habits_are_of_ops_that_are_there_and_hold():
    assert {*HABITS} <= {*every_op()}
    p = tg.Value([0.2, 0.8])
    loss = tg.cross_entropy(p, 0, from_logits=False)
    (back,) = (step for step in Played(loss).steps if step["kind"] == "backward")
    assert back["habit"] == "" and back["rule"].startswith("Rule: ")  # p - y is the gradient of logits only
    (back,) = (step for step in Played(tg.cross_entropy(p, 0)).steps if step["kind"] == "backward")
    assert "p - y" in back["habit"]


def test_an_op_without_a_docstring_plays_without_a_rule():
    @tg.primitive
    def double(xp, x):
        return x + x

    double.vjps(lambda xp, g, out, x: g + g)
    (back,) = (step for step in Played(double(tg.Value(1.0))).steps if step["kind"] == "backward")
    assert (back["habit"], back["rule"]) == ("", "")


# --- folded


def test_a_folded_module_plays_as_one_step():
    model = tg.nn.MLP([2, 3, 2])
    loss = tg.cross_entropy(model(tg.Value([[1.0, 2.0]], name="x")), [0])
    played = Played(loss, {"model": model}, collapse=0)
    texts = played.texts()
    assert [step["heading"] for step in played.steps if step["kind"] == "forward"] == [
        "Forward: model",
        "Forward: cross_entropy",
    ]
    assert any("through the ops that are folded in it" in text for text in texts)
    full = Played(loss, {"model": model})
    gradients = [
        {node["label"]: x.floats(node["gradient"]) for node in x.trace["nodes"] if node["label"] == "x"} for x in (played, full)
    ]
    assert gradients[0] == gradients[1]


def test_a_long_chain_folds_and_plays():
    x = y = tg.Value(1.0, name="x")
    for i in range(2000):
        y = y * 1.001 + x if i % 7 else y * 0.5
    played = Played(y, {"x": x}, max_nodes=50)
    assert len(played.trace["nodes"]) < 120 and played.trace["nodes"][0]["role"] == "folded"
    assert all(part["count"][0] <= part["count"][1] for part in played.parts)
    assert any(
        re.search(r"\. 1 of \d+ for … \d+ older nodes\.", text) for text in played.texts()
    )  # no total, as it stands for several Values


# --- quantities


@pytest.mark.parametrize(
    ("entries", "sizes", "text"),
    [
        ([0.1 + 0.2], (), "0.3"),
        ([1.0, 2.0], (2,), "[1, 2]"),
        ([1.0, 2.0], (1, 2), "1 … 2"),
        ([5.0] * 9, (9,), "all 5"),
        ([1.0, math.nan] * 4, (8,), "nan 4 of 8"),
        ([True, False] * 4, (8,), "True 4 of 8"),
        ([-math.inf, 0.0] * 4, (8,), "-inf … 0"),
        ([], (0, 2), "no elements"),
    ],
)
def test_a_quantity_in_a_line(entries, sizes, text):
    assert line(entries, sizes) == text


@pytest.mark.parametrize(
    "data",
    [tg.zeros((20, 20)), np.full((300,), np.nan), np.arange(300), np.zeros(300, dtype=bool), tg.full((17, 17), math.inf)],
    ids=["zeros", "nan", "ints", "mask", "inf"],
)
def test_large_arrays_are_summed_up_in_json(data):
    held = Quantities()
    entry = held.entries[held.of(data)]
    assert len(entry["reprs"]) <= 3 and json.dumps(entry, allow_nan=False)


def test_equal_quantities_are_held_once():
    held = Quantities()
    assert held.of(3.0) == held.of(tg.nd.asarray(3.0)) != held.of([3.0]) != held.of([[3.0]])
    assert held.of(0.0) != held.of(-0.0)
    assert held.of(tg.nd.exact([0.1])) != held.of([0.1])  # every digit of a decimal


def test_lists_in_sentences():
    assert listed([]) == "" and listed(["a", "b"]) == "a and b"
