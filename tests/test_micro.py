"""Programs written for micrograd run on `tinygrad_sm.micro` with other import lines and give micrograd's own numbers."""

import copy
import gc
import math
import random
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from micrograd.engine import Value as TheirValue

import tinygrad_sm as tg
from tinygrad_sm.micro import MLP, Layer, Neuron, Value

# Each program puts what it wants compared into `seen`: numbers and texts, in lists, tuples and dicts as it likes.
PROGRAMS = {
    "every operator": """
from micrograd.engine import Value

p, q = Value(2.5), Value(-1.5)
r = p * q + q**3
r += r + 2
r += 3 - r + -p
s = r * 3 + (q - p).relu()
s -= 7 * s + (p + q).relu() / 4
t = (r - s) / 2.5 + 10 / s - 1 / (p - q)
u = t**2 * 0.5 + 2.0**-1 * p - 1
u += 6 / u - u / 6 + u**-2 + (u * u + 1) ** 0.5
u.backward()
seen = [v.data for v in (r, s, t, u)], [v.grad for v in (p, q, s, t, u)]
""",
    "ints among the operands": """
from micrograd.engine import Value

a, b = Value(3), Value(-2)
c = sum([a, b, a * b]) - 4
d = 1 - c * 2 + 3 * (a - 1) - 5 / (b - 1) + (-a) ** 2 + True * b
d.backward()
seen = [d.data, c.data, a.grad, b.grad, c.grad]
""",
    "a node used many times": """
from micrograd.engine import Value

x = Value(1.25)
y = x + x
z = y * y * x + y.relu() * y - y
w = z + z * z
w.backward()
seen = [w.data, x.grad, y.grad, z.grad]
""",
    "relu on both sides of zero and at it": """
from micrograd.engine import Value

seen = []
for number in (-2.0, -0.0, 0, 0.0, 1e-300, 3.5):
    x = Value(number)
    y = (x.relu() * 3 + x).relu()
    y.backward()
    seen += [y.data, x.grad]
""",
    "steps taken by hand": """
from micrograd.engine import Value

a, b = Value(2.0), Value(-3.0)
c = a * b
d = (c + 10.0).relu() * a + c / b
order = []
def visit(v):
    if v not in order:
        for child in v._prev:
            visit(child)
        order.append(v)
visit(d)
d.grad = 1.0
for node in reversed(order):
    node._backward()
seen = [v.grad for v in (a, b, c, d)], len(order)
""",
    "an optimizer of its own, with its state on the parameters": """
import random
from micrograd.engine import Value
from micrograd.nn import MLP

random.seed(3)
model = MLP(3, [4, 1])
for p in model.parameters():
    p.m = p.v = 0.0
seen = []
for step in range(1, 6):
    loss = sum((model([a, 1.0, -a]) - 2 * a) ** 2 for a in (-1.0, 0.5, 2.0))
    model.zero_grad()
    loss.backward()
    for p in model.parameters():
        p.m = 0.9 * p.m + 0.1 * p.grad
        p.v = 0.99 * p.v + 0.01 * p.grad**2
        p.data -= 0.05 * (p.m / (1 - 0.9**step)) / ((p.v / (1 - 0.99**step)) ** 0.5 + 1e-8)
    seen.append((loss.data, [p.data for p in model.parameters()]))
""",
    "a Value among other objects": """
from micrograd.engine import Value

def affine(x, slope, bias=None):
    return x * slope + bias if bias else x * slope

zero = Value(0.0)
result = affine(Value(2.0), Value(3.0), zero)  # a bias of 0 is a bias
result.backward()
seen = [result.data, zero.grad, zero in [0.0, zero], [zero, 1].index(zero), zero == 0.0, zero != zero, {zero: "key"}[zero]]
""",
    "numpy's numbers and arrays of Values": """
import numpy as np
from micrograd.engine import Value

x = np.linspace(-1.0, 1.0, 5)
w, b = Value(0.5), Value(np.float32(0.25))
errors = x * w + b - np.array([1.0, 0.0, 2.0, -1.0, 0.5])
loss = (errors**2).sum() * np.float64(0.2) + np.dot(np.array([w, b]), np.array([2.0, 3.0])) - np.int64(1)
loss.backward()
w.data -= np.float64(0.1) * w.grad
again = (w * np.float64(2.0)) ** np.float64(2.0)
again.backward()
seen = [loss.data, w.data, w.grad, b.grad, again.data, [e.grad for e in errors]]
""",
}

MOONS = """
import random
from micrograd.engine import Value
from micrograd.nn import MLP

random.seed(1337)
model = MLP(2, [16, 16, 1])

def loss():
    inputs = [list(map(Value, row)) for row in X]
    scores = list(map(model, inputs))
    losses = [(1 + -yi * score).relu() for yi, score in zip(y, scores)]
    data_loss = sum(losses) * (1.0 / len(losses))
    reg_loss = 1e-4 * sum((p * p for p in model.parameters()))
    accuracy = [(yi > 0) == (score.data > 0) for yi, score in zip(y, scores)]
    return data_loss + reg_loss, sum(accuracy) / len(accuracy)

seen = []
for k in range(6):
    total_loss, acc = loss()
    model.zero_grad()
    total_loss.backward()
    learning_rate = 1.0 - 0.9 * k / 100
    for p in model.parameters():
        p.data -= learning_rate * p.grad
    seen.append((total_loss.data, acc, [p.grad for p in model.parameters()], [p.data for p in model.parameters()]))
"""

TRACE = """
from micrograd.engine import Value
from micrograd.nn import Neuron

def trace(root):
    nodes, edges = set(), set()
    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)
    build(root)
    return nodes, edges

a, b = Value(2.0), Value(-3.0)
c = a * b + 10 - a / 4
out = (c * c - 2 * c.relu()) * 0.5 - (1 - a) ** 2 + 8 / (a * a) - b**1.0
out.backward()

def text(v):
    return f"{{ data {v.data:.4f} | grad {v.grad:.4f} }} {v._op}"

nodes, edges = trace(out)
seen = sorted(map(text, nodes)), sorted((text(child), text(v)) for child, v in edges)
"""


def run(program: str, own: bool, **names) -> dict:
    """The program's names at its end, on our engine or on micrograd."""
    if own:
        program, changed = re.subn(r"from micrograd\.(engine|nn) import", "from tinygrad_sm.micro import", program)
        assert changed
    random.seed(0)
    exec(program, names)
    return names


def check(ours, theirs, where=""):
    """The same structure with the same texts, and numbers that agree to 1e-12."""
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), where
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            check(a, b, f"{where}[{i}]")
    elif isinstance(theirs, (str, bool)):
        assert ours == theirs, where
    else:
        assert math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-12), f"{where}: {ours} and {theirs}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gives_micrograds_numbers(name):
    ours, theirs = run(PROGRAMS[name], own=True), run(PROGRAMS[name], own=False)
    check(ours["seen"], theirs["seen"])


def moons(n: int) -> tuple[list[list[float]], list[int]]:
    """Two half circles, one in the other, a little out of shape; labels -1 and 1 in turn."""
    noise = random.Random(7)
    points = []
    for i in range(n):
        angle = math.pi * i / (n - 1)
        x, y = math.cos(angle), math.sin(angle)
        points.append([noise.gauss(1 - x if i % 2 else x, 0.1), noise.gauss(0.5 - y if i % 2 else y, 0.1)])
    return points, [2 * (i % 2) - 1 for i in range(n)]


@pytest.mark.parametrize("container", ["lists", "numpy"])
def test_training_on_moons_goes_the_same_way_step_by_step(container):
    X, y = moons(16)
    if container == "numpy":  # what a data set's maker hands out
        X, y = np.array(X), np.array(y)
    ours, theirs = run(MOONS, own=True, X=X, y=y), run(MOONS, own=False, X=X, y=y)
    assert repr(ours["model"]) == repr(theirs["model"])
    assert len(theirs["seen"]) == 6 and theirs["seen"][-1][0] < theirs["seen"][0][0]  # it learns
    check(ours["seen"], theirs["seen"])
    assert all(type(p.data) is float for p in ours["model"].parameters())


def test_a_walk_through_prev_and_op_sees_the_same_graph():
    ours, theirs = run(TRACE, own=True), run(TRACE, own=False)
    assert ours["seen"] == theirs["seen"]

    def counted(seen):
        nodes = Counter((v._op, v.data, v.grad) for v in seen["nodes"])
        edges = Counter((a._op, a.data, a.grad, b._op, b.data, b.grad) for a, b in seen["edges"])
        return nodes, edges

    assert counted(ours) == counted(theirs)  # all numbers in it are exact in binary
    assert len(theirs["nodes"]) > 30


@pytest.mark.parametrize(
    ("expression", "symbol"),
    [("a + 1", "+"), ("a * a", "*"), ("a**2", "**2"), ("a**2.0", "**2.0"), ("1 / a", "*"), ("a.relu()", "ReLU"), ("a", "")],
)
def test_op_is_micrograds_symbol(expression, symbol):
    assert eval(expression, {"a": Value(2.0)})._op == eval(expression, {"a": TheirValue(2.0)})._op == symbol


# Random programs: each line takes two of the numbers before it, or one of them and a constant.

EXACT = {
    "a + b": lambda a, b, k: a + b,
    "a - b": lambda a, b, k: a - b,
    "a * b": lambda a, b, k: a * b,
    "-a": lambda a, b, k: -a,
    "relu": lambda a, b, k: a.relu() - b.relu(),
    "a + k": lambda a, b, k: a + k,
    "k + a": lambda a, b, k: k + a,
    "a - k": lambda a, b, k: a - k,
    "k - a": lambda a, b, k: k - a,
    "a * k": lambda a, b, k: a * k,
    "k * a": lambda a, b, k: k * a,
    "a / 4": lambda a, b, k: a / 4,
    "square": lambda a, b, k: a**2,
    "cube": lambda a, b, k: a**3,
    "power 0": lambda a, b, k: (a * a + 1) ** 0 + a**1,
    "sum": lambda a, b, k: sum([a, b, a], k * b),
}
ROUNDED = EXACT | {
    "a / b": lambda a, b, k: a / b,
    "a / k": lambda a, b, k: a / k,
    "k / a": lambda a, b, k: k / a,
    "root": lambda a, b, k: (a * a + 0.5) ** 0.5,
    "to the -1.5": lambda a, b, k: (a.relu() + 0.25) ** -1.5,
}


def programs(operations, numbers):
    line = st.tuples(st.sampled_from(sorted(operations)), st.integers(0, 99), st.integers(0, 99), numbers)
    return st.tuples(st.lists(numbers, min_size=1, max_size=4), st.lists(line, min_size=1, max_size=12))


def executed(kind, operations, program):
    numbers, lines = program
    values = [kind(x) for x in numbers]
    for name, i, j, k in lines:
        n = len(values)
        values.append(operations[name](values[n - 1 - i % n], values[n - 1 - j % n], k))
    values[-1].backward()
    return [v.data for v in values], [v.grad for v in values]


@given(programs(EXACT, st.integers(-3, 3)))
@settings(deadline=None, max_examples=200)
def test_random_programs_agree_exactly_where_floats_are_exact(program):
    data, gradients = executed(TheirValue, EXACT, program)
    assume(all(abs(x) < 2**40 for x in data + gradients))  # and all are multiples of 2^-k for a small k
    assert executed(Value, EXACT, program) == (data, gradients)


@given(programs(ROUNDED, st.floats(-3, 3).map(lambda x: round(x, 3))))
@settings(deadline=None, max_examples=200)
def test_random_programs_agree_to_rounding(program):
    try:
        data, gradients = executed(TheirValue, ROUNDED, program)
    except (ZeroDivisionError, OverflowError):  # where we go on with inf and nan
        assume(False)
    scale = max(1.0, *map(abs, data)) * max(1.0, *map(abs, gradients))  # sums in another order may cancel
    assume(scale < 1e30)
    ours = executed(Value, ROUNDED, program)
    for a, b in zip(ours[0] + ours[1], data + gradients, strict=True):
        assert math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12 * scale)


# --- the same things besides numbers


def test_repr_of_values_and_networks():
    a = Value(-4.0, label="a")
    b = (a * 2.5).relu() - 1.0
    b.backward()
    theirs = TheirValue(-4.0)
    assert repr(a) == str(a) == f"{a}" == "Value(data=-4.0, grad=0.0)" == repr(theirs).replace("grad=0", "grad=0.0")
    assert repr(b) == "Value(data=-1.0, grad=1.0)" and f"{b:.2f}" == "-1.00"
    assert (a.label, b.label) == ("a", "")
    b.label = "result"
    assert b.label == b.name == "result"
    assert repr(MLP(2, [3, 1])) == (
        "MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2)], Layer of [LinearNeuron(3)]]"
    )
    assert repr(Layer(1, 1)) == "Layer of [ReLUNeuron(1)]"
    assert repr(Neuron(5, nonlin=False)) == "LinearNeuron(5)"


def test_the_same_seed_gives_the_same_weights_in_the_same_order():
    random.seed(11)
    ours = MLP(3, [4, 4, 2])
    own_next = random.random()
    random.seed(11)
    theirs = run("from micrograd.nn import MLP", own=False)["MLP"]
    random.seed(11)
    theirs = theirs(3, [4, 4, 2])
    assert random.random() == own_next  # as many random numbers were drawn
    assert [p.data for p in ours.parameters()] == [p.data for p in theirs.parameters()]
    assert len(ours.parameters()) == 4 * 4 + 4 * 5 + 2 * 5
    assert [p.data for p in ours.layers[1].neurons[2].parameters()] == [
        p.data for p in theirs.layers[1].neurons[2].parameters()
    ]


# --- what differs on purpose


def test_repeated_backward_adds_up_in_the_leaves_only():
    x = Value(3.0)
    z = x * x * 2
    z.backward()
    assert x.grad == 12.0
    z.backward()
    assert (x.grad, z.grad) == (24.0, 1.0)

    theirs = TheirValue(3.0)
    z = theirs * theirs * 2
    z.backward()
    z.backward()
    assert theirs.grad == 36.0  # stale gradients of the inner node flow a second time


def test_two_losses_that_share_a_node():
    x = Value(3.0)
    y = x * x
    z = 2 * y
    y.backward()
    z.backward()
    assert x.grad == 6.0 + 12.0


@pytest.mark.parametrize("network", [lambda n: Neuron(n), lambda n: Layer(n, 3), lambda n: MLP(n, [3, 1])])
@pytest.mark.parametrize(("width", "given"), [(2, 5), (2, 1), (3, 0)])
def test_inputs_of_the_wrong_width_are_refused_with_both_numbers(network, width, given):
    with pytest.raises(ValueError, match=rf"\b{width}\b.*\b{given}\b"):
        network(width)([1.0] * given)
    network(width)([1.0] * width)


def test_deep_graphs_do_not_recurse():
    x = Value(1.0)
    y = x
    for _ in range(20_000):
        y = y + 1
    y.backward()
    assert (y.data, x.grad) == (20_001.0, 1.0)

    parameters = [Value(i / 1000) for i in range(3_000)]
    sum(p * p for p in parameters).backward()
    assert all(p.grad == 2 * p.data for p in parameters)


def test_numbers_are_floats_and_follow_ieee():
    assert all(type(v.data) is float for v in (Value(2), Value(True), Value(np.float32(2)), Value(2) * 3, Value(np.array(2))))
    assert (Value(0.0) ** -1).data == (1 / Value(0.0)).data == (Value(1.0) / 0).data == math.inf
    assert math.isnan(((Value(-8.0)) ** (1 / 3)).data)
    x = Value(0.0)
    (x**0).backward()
    assert x.grad == 0.0


@pytest.mark.parametrize("wrong", ["3", b"3", None, [1.0], 1j, np.array([1.0, 2.0]), Value(3.0)])
def test_what_is_no_single_number_is_refused(wrong):
    with pytest.raises(TypeError, match="single number"):
        Value(wrong)
    x = Value(1.0)
    with pytest.raises(TypeError, match="single number"):
        x.data = wrong
    if not isinstance(wrong, Value):
        for operation in (lambda: x + wrong, lambda: x * wrong, lambda: x / wrong):
            with pytest.raises(TypeError, match="single number"):
                operation()
    assert x.data == 1.0


def test_a_power_is_a_plain_number():
    with pytest.raises(TypeError, match="plain number"):
        Value(2.0) ** Value(3.0)
    x = Value(3.0)
    y = 2**x  # micrograd has no such operator
    y.backward()
    assert y.data == 8.0 and math.isclose(x.grad, 8 * math.log(2)) and isinstance(y._op, str)


def test_a_history_cannot_be_made_up():
    a = Value(1.0)
    with pytest.raises(TypeError, match=r"tg\.primitive"):
        Value(math.tanh(1.0), (a,), "tanh")
    with pytest.raises(AttributeError, match="rebind the data of a leaf"):
        (a + 1).data = 5.0
    b = a.tanh()  # it is there
    assert b._op == "tanh" and b._prev == {a}


# --- with the rest of the engine


class Own(Value):
    """A user's own class."""


@pytest.mark.parametrize("other", [tg.Value(3.0), Own(3.0)], ids=["tg.Value", "a class of the user's"])
@pytest.mark.parametrize(
    ("operation", "slope"),
    [
        (lambda a, b: a * b, 2.0),
        (lambda a, b: b * a, 2.0),
        (lambda a, b: a + b, 1.0),
        (lambda a, b: b - a, 1.0),
        (lambda a, b: a - b, -1.0),
        (lambda a, b: a / b, -2.0 / 9.0),
        (lambda a, b: b / a, 0.5),
    ],
)
def test_values_of_other_classes_keep_their_history(operation, slope, other):
    a = Value(2.0)
    da, db = tg.grad(operation(a, other), [a, other])
    assert math.isclose(db, slope, rel_tol=1e-15) and da != 0.0


def test_higher_derivatives_and_no_grad():
    x = Value(3.0)
    first = tg.grad(x**3 / 3 - 2 * x, x, create_graph=True)
    assert first.data == 7.0
    assert tg.grad(first, x) == 6.0
    with tg.no_grad():
        y = x * 2 + 1
    assert y.data == 7.0 and y._op == "" and y._prev == set()


def test_a_network_can_be_copied():
    model = MLP(2, [2, 1])
    model([1.0, 2.0]).backward()
    twin = copy.deepcopy(model)
    assert [p.data for p in twin.parameters()] == [p.data for p in model.parameters()]
    twin.parameters()[0].data += 1.0
    assert twin.parameters()[0].data == model.parameters()[0].data + 1.0


def test_a_layer_of_one_neuron_in_the_middle():
    model = MLP(2, [1, 3, 1])
    out = model((0.5, -0.25))
    out.backward()
    assert isinstance(out, Value) and len(model.parameters()) == 3 + 6 + 4


def test_a_dropped_graph_leaves_nothing_to_the_collector():
    model = MLP(2, [4, 1])
    gc.collect()
    gc.disable()
    try:
        loss = sum((model([0.1 * i, 1.0]) - 1) ** 2 for i in range(5))
        loss.backward()
        del loss
        assert gc.collect() == 0
    finally:
        gc.enable()
