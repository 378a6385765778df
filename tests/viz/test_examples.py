"""The built-in examples: what each one computes, that it computes it again and again, and that it touches nothing else."""

import math
import random
import re

import pytest

import tinygrad_sm as tg
from tinygrad_sm.cli.calling import required
from tinygrad_sm.graph import history
from tinygrad_sm.viz.examples import EXAMPLES
from tinygrad_sm.viz.scenes.scene import Names, scene_of

P = 1.0 / (1.0 + math.exp(-2.0) + math.exp(-3.0))  # of the first of [2, 1, 0.5] at temperature 0.5
MEAN = 2.0 - math.exp(-2.0) * P - 1.5 * math.exp(-3.0) * P  # of those logits under those probabilities
TEACHER, STUDENT = (1.5, 0.5, -0.5), (0.25, 0.5, 0.0)  # logits at temperature 2


def logsumexp(row):
    return math.log(math.fsum(map(math.exp, row)))


def divergence(target, given):
    p = [math.exp(x - logsumexp(target)) for x in target]
    return sum(q * (a - b) for q, a, b in zip(p, target, given, strict=True)) - logsumexp(target) + logsumexp(given)


def smoothed(row, targets):
    return sum((0.9 * t + 0.025) * (logsumexp(row) - x) for x, t in zip(row, targets, strict=True))


KNOWN = {
    "square": (12.0, {"x": 7.0}),
    "neuron": (math.tanh(1.0), {"w1": 2.0 / math.cosh(1.0) ** 2, "w2": 0.0, "b": 1.0 / math.cosh(1.0) ** 2}),
    "second-derivative": (12.0, {"x": 12.0}),
    "softmax": (1.0 / (1.0 + math.exp(-1.0) + math.exp(-1.5)), {}),
    "temperature": (P, {"temperature": -P * (2.0 - MEAN) / 0.25}),
    "sparsemax": (0.75, {"logits": [0.5, -0.5, 0.0]}),
    "soft-targets": (
        (smoothed([2.0, 1.0, 0.5, -1.0], [0.7, 0.1, 0.1, 0.1]) + smoothed([0.0, 3.0, -2.0, 1.0], [0.0, 1.0, 0.0, 0.0])) / 2,
        {},
    ),
    "distillation": (4.0 * divergence(TEACHER, STUDENT), {}),
    "logistic": (math.log(2.0), {"weight": [-0.25, 0.75], "bias": -0.5}),
}


def test_names_are_words_with_hyphens():
    assert len(EXAMPLES) >= 10 and all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in EXAMPLES)
    assert next(iter(EXAMPLES)) == "square" and len({*EXAMPLES.values()}) == len(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_one_number_with_names_and_a_line_that_says_what_it_shows(name):
    value, names = EXAMPLES[name]()
    line = EXAMPLES[name].__doc__
    assert line.endswith(".") and "\n" not in line and len(line) + 19 <= 80  # beside its name in a terminal
    assert not required(EXAMPLES[name])
    assert value.size == 1 and math.isfinite(value) and value.requires_grad and not value.has_grad
    assert any(x is value for x in names.values())
    nodes = scene_of(value, names=Names(names)).nodes.values()
    unnamed = [node for node in nodes if node.role in ("input", "parameter") and not node.name]
    assert not unnamed


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_the_same_each_time_and_draws_no_random_numbers_of_others(name):
    tg.manual_seed(5)
    random.seed(5)
    expected = tg.rand(3).tolist(), random.random()
    tg.manual_seed(5)
    random.seed(5)
    first, _ = EXAMPLES[name]()
    assert (tg.rand(3).tolist(), random.random()) == expected
    second, _ = EXAMPLES[name]()
    assert [x.tolist() for x in history(first)] == [x.tolist() for x in history(second)]
    assert not {*history(first)} & {*history(second)}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_of_an_example(name):
    value, names = EXAMPLES[name]()
    result, gradients = KNOWN[name]
    assert float(value) == pytest.approx(result, rel=1e-14)
    value.backward()
    for leaf, gradient in gradients.items():
        got = names[leaf].grad
        assert (got if isinstance(got, float) else got.tolist()) == pytest.approx(gradient, rel=1e-13, abs=1e-15)


def test_the_gradient_of_cross_entropy_is_p_less_y():
    loss, names = EXAMPLES["cross-entropy"]()
    loss.backward()
    p, y = tg.softmax(names["logits"].data).tolist(), [float(i == names["target"]) for i in range(3)]
    assert names["logits"].grad.tolist() == pytest.approx([a - b for a, b in zip(p, y, strict=True)], rel=1e-14)


@pytest.mark.parametrize("name", EXAMPLES)
def test_gradients_of_an_example_are_those_of_its_composition(name):
    fused, names = EXAMPLES[name]()
    with tg.composed():
        composed, others = EXAMPLES[name]()
    leaves = [key for key, x in names.items() if isinstance(x, tg.Value) and x.op is None and x.requires_grad]
    fused.backward()
    composed.backward()
    pairs = [(names[key], others[key]) for key in leaves]
    if "model" in names:
        pairs += [*zip(names["model"].parameters(), others["model"].parameters(), strict=True)]
    assert pairs
    for a, b in pairs:
        assert tg.nd.all(tg.nd.abs(tg.nd.asarray(a.grad) - tg.nd.asarray(b.grad)) <= 1e-12), name


@pytest.mark.parametrize("name", ["mlp", "digits", "transformer"])
def test_networks_are_drawn_by_module(name):
    value, names = EXAMPLES[name]()
    scene = scene_of(value, names=Names(names))
    paths = {group.path for group in scene.groups}
    assert {f"model.{path}" for path, x in names["model"].named_modules() if path and isinstance(x, tg.nn.Linear)} <= paths
    parameters = {node.name for node in scene.nodes.values() if node.role == "parameter"}
    assert parameters == {f"model.{path}" for path, _ in names["model"].named_parameters()}


def test_the_blocks_of_the_transformer_are_built_alike():
    value, names = EXAMPLES["transformer"]()
    scene = scene_of(value, names=Names(names))
    blocks = [group for group in scene.groups if group.title.startswith("Block")]
    built = [[node.title for node in scene.members_of(group)] for group in blocks]
    assert len(blocks) == 3 and built[0] == built[1] == built[2] and len(built[0]) > 20
