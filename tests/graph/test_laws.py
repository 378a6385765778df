"""The laws of the engine: each of them fails in some engine or other (DESIGN, ARCHITECTURE), and none may fail here."""

import gc
import random
from collections import Counter
from collections.abc import Callable, Iterator

import array_api_strict as strict
import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.engine import chain, kind
from tests.helpers.every_op import NEED_AXES, call, call_on_numbers, every_op
from tinygrad_sm import nd
from tinygrad_sm.graph import Op, sweep

LIBRARIES = {
    "nd": nd.asarray,
    "decimals": nd.exact,
    "numpy": lambda x: np.asarray(x, dtype=np.float64),
    "float32": lambda x: np.asarray(x, dtype=np.float32),
    "strict": lambda x: strict.asarray(x, dtype=strict.float64),
}


@pytest.fixture(params=LIBRARIES)
def array(request) -> Callable:
    return LIBRARIES[request.param]


def counting(name: str, runs: list) -> Op:
    """a * b, whose rules note in `runs` for which operand they ran."""

    @tg.primitive
    def product(xp, a, b):
        return a * b

    def rule(operand):
        def noted(xp, g, out, a, b):
            runs.append(operand)
            return g * (b if operand == "left" else a)

        return noted

    product.name = name
    product.vjps(rule("left"), rule("right"))
    return product


# --- no reference cycles


@pytest.fixture
def left_over() -> Iterator[Callable[[], int]]:
    """Counts what only the cyclic collector can free, of all that was made since the start of the test."""
    gc.disable()
    gc.freeze()  # so that a collection looks at the new objects only
    yield gc.collect
    gc.unfreeze()
    gc.enable()


def second_order(inputs: list, output: tg.Value) -> None:
    """First derivatives as numbers and as a graph, second derivatives, and all gradients kept."""
    loss = tg.sum(output * output)
    loss.backward()
    gradients = tg.grad(loss, inputs, create_graph=True)
    tg.grad(sum((tg.sum(g * g) for g in gradients), tg.Value(0.0)), inputs)


@pytest.mark.parametrize("name", every_op())
def test_graphs_of_every_op_are_freed_without_the_collector(name, left_over):
    calls = [lambda: call(name, tg.Value)] + [lambda: call_on_numbers(name)] * (name not in NEED_AXES)
    for made in calls:
        second_order(*made())  # whatever is made once and kept
    left_over()
    for made in calls:
        second_order(*made())
    if name in tg.fused_ops:
        with tg.composed():
            second_order(*calls[0]())
    assert left_over() == 0


def test_functions_made_of_gradients_leave_no_cycles_either(left_over):
    def f(x):
        return (x * x * x).sum()

    def everything():
        x = [1.0, 2.0]
        tg.value_and_grad(f)(x), tg.vjp(f, x, 1.0), tg.jvp(f, x, x), tg.jacobian(f, x), tg.hessian(f, x), tg.hvp(f, x, x)
        with pytest.raises(ValueError, match="do not fit"):
            tg.add(tg.Value(x), [1.0, 2.0, 3.0])

    everything()
    left_over()
    everything()
    assert left_over() == 0


# --- what a node holds


def test_inputs_are_the_operands_in_order_with_duplicates_and_plain_constants():
    x, y = tg.Value(2.0), tg.Value(3.0)
    assert (x - y).inputs == (x, y) and (y - x).inputs == (y, x)
    assert (x * x).inputs == (x, x)
    left, right = (5 - x).inputs
    assert type(left) is float and left == 5.0 and right is x
    row = nd.asarray([1.0, 2.0])
    v = tg.Value([3.0, 4.0])
    product = row * v
    assert type(product.inputs) is tuple and product.inputs[0] is row and product.inputs[1] is v
    joined = tg.concat([v, [9.0], v])
    assert joined.inputs[0] is joined.inputs[2] is v and type(joined.inputs[1]) is nd.Array
    assert v.inputs == () and v.op is None and product.op.name == "multiply" and product.op is tg.multiply


def test_a_constant_value_stays_an_operand_but_gets_no_gradient():
    for x, c in ((tg.Value(2.0), tg.Value(3.0, requires_grad=False)), (tg.Value([2.0]), tg.Value([3.0], requires_grad=False))):
        for y in (x * c, c * x, x - c, c - x):
            y.backward()
            assert c in y.inputs and not c.has_grad
            assert c not in [node for node, _, _ in sweep(y, y.data)]
        assert float(x.grad) == 3.0 + 3.0 + 1.0 - 1.0
        assert not (c * c).requires_grad and (c * c).inputs == ()


# --- one sweep


def random_graph(seed: int, arrays: bool) -> tg.Value:
    """A graph that shares nodes at random."""
    chance = random.Random(seed)
    nodes = [tg.Value([chance.uniform(0.5, 1.5) for _ in range(3)] if arrays else chance.uniform(0.5, 1.5)) for _ in range(3)]
    for _ in range(40):
        a, b = chance.choices(nodes[-8:], k=2)
        nodes.append(chance.choice((lambda a, b: a * b, lambda a, b: a + b, lambda a, b: a / (b * b + 1.0), tg.maximum))(a, b))
        nodes[-1] = tg.tanh(nodes[-1])
    return tg.sum(tg.stack(nodes))


@pytest.mark.parametrize("arrays", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_sweep_yields_each_node_once_newest_first_and_its_contributions_add_up(seed, arrays):
    output = random_graph(seed, arrays)
    walked = list(sweep(output, nd.asarray(1.0)))
    nodes = [node for node, _, _ in walked]
    assert nodes[0] is output and len(set(nodes)) == len(nodes)
    age = {node: i for i, node in enumerate(nodes)}
    received = dict.fromkeys(nodes, 0.0)
    for node, _, contributions in walked:
        assert len(contributions) == len(node.inputs)
        for x, amount in zip(node.inputs, contributions, strict=True):
            assert (amount is None) == (not isinstance(x, tg.Value))
            if amount is not None:
                assert age[x] > age[node]
                received[x] = received[x] + amount
    output.backward()
    for node, gradient, _ in walked[1:]:
        assert nd.asarray(gradient - received[node]).tolist() == nd.zeros(node.shape).tolist()
        assert nd.asarray(gradient - node.grad).tolist() == nd.zeros(node.shape).tolist()


@pytest.mark.parametrize("made", [float, lambda x: nd.asarray([x, x])], ids=["floats", "arrays"])
def test_each_rule_runs_once_per_node_and_only_for_operands_that_want_a_gradient(made):
    runs = []
    product = counting("product", runs)
    x, constant = tg.Value(made(2.0)), tg.Value(made(5.0), requires_grad=False)
    shared = product(x, constant)
    total = product(shared, shared) + product(made(3.0), shared)
    assert runs == []  # nothing of the backward pass is prepared in the forward pass
    tg.grad(total, x, grad_output=made(1.0))
    assert Counter(runs) == {"left": 2, "right": 2}


def test_expensive_entries_of_a_rule_are_not_computed_for_constants():
    runs = []

    @tg.primitive
    def product(xp, a, b):
        return a * b

    @product.backward
    def _(xp, g, out, a, b):
        return lambda: runs.append("left") or g * b, lambda: runs.append("right") or g * a

    x = tg.Value([1.0, 2.0])
    tg.grad(product([3.0, 4.0], x).sum(), x)
    assert runs == ["right"]


def test_grad_stops_behind_the_oldest_wanted_value():
    runs = []
    product = counting("product", runs)
    x = tg.Value(2.0)
    bottom = product(x, product(x, x))
    middle = tg.exp(bottom)
    top = product(middle, 3.0)
    assert tg.grad(top, middle) == 3.0 and runs == ["left"]


def test_a_matmul_with_constant_data_makes_no_gradient_for_the_data():
    sizes = []

    class Spy:
        def __getattr__(self, name):
            if name == "matmul":
                return lambda a, b: sizes.append(a.shape) or nd.matmul(a, b)
            return getattr(nd, name)

    of_data, of_weights = tg.matmul.rule(Spy(), nd.ones((32, 10)), None, nd.ones((32, 64)), nd.ones((64, 10)))
    assert sizes == []
    assert of_weights().shape == (64, 10) and sizes == [(64, 32)] and callable(of_data)


# --- size


def test_a_long_chain_of_numbers_needs_no_recursion():
    x, y = chain(100_000)
    y.backward()
    assert x.grad == 100_001.0
    del y  # must not recurse either
    x, y = chain(10_000)
    assert tg.grad(tg.grad(y * y, x, create_graph=True), x) == 2.0 * 10_001.0**2


@pytest.mark.heavy
def test_a_chain_of_a_million_numbers():
    x, y = chain(1_000_000)
    y.backward(free=True)
    assert x.grad == 1_000_001.0 and y.inputs[0]._grad is None
    del y


def test_a_long_chain_of_arrays():
    x = tg.Value([1.0, 2.0])
    y = x
    for _ in range(3_000):
        y = tg.tanh(y * 1.0) + x
    y.sum().backward()
    assert np.isfinite(x.grad.tolist()).all()


def test_a_sum_of_2000_products():
    parameters = [tg.Value(float(i)) for i in range(2_000)]
    loss = sum(p * p for p in parameters)
    loss.backward()
    assert [p.grad for p in parameters] == [2.0 * i for i in range(2_000)]


def test_a_value_that_2000_nodes_use():
    x = tg.Value(2.0)
    tg.stack([x * i for i in range(2_000)]).sum().backward()
    assert x.grad == sum(range(2_000))


def test_sharing_costs_one_visit_a_node_and_not_one_a_path():
    y = x = tg.Value(1.0)
    for _ in range(60):
        y = y * y
    assert len(list(sweep(y, 1.0))) == 61
    assert tg.grad(y, x) == 2.0**60


# --- accumulation


def test_leaves_add_up_and_inner_nodes_start_from_zero():
    x = tg.Value(3.0)
    z = x * x * 2
    z.backward()
    z.backward()
    assert x.grad == 24.0 and z.grad == 1.0 and z.inputs[0].grad == 2.0
    x.zero_grad()
    assert x.grad == 0.0 and not x.has_grad
    y = x * x
    w = 2 * y
    y.backward()
    w.backward()
    assert x.grad == 18.0 and y.grad == 2.0


def test_free_keeps_no_gradient_but_those_of_the_leaves():
    x = tg.Value([1.0, 2.0])
    y = x * x
    loss = y.sum()
    loss.backward()
    assert y.has_grad and loss.has_grad
    loss.backward(free=True)
    assert not y.has_grad and not loss.has_grad and x.grad.tolist() == [4.0, 8.0]


def test_backward_of_a_leaf():
    x = tg.Value(3.0)
    x.backward()
    x.backward(2.0)
    assert x.grad == 3.0


def test_an_error_in_a_rule_leaves_no_half_of_a_gradient():
    @tg.primitive
    def broken(xp, x):
        return x * 1.0

    @broken.backward
    def _(xp, g, out, x):
        raise RuntimeError("broken rule")

    x, y = tg.Value(1.0), tg.Value(2.0)
    loss = broken(y) + x * 3.0
    with pytest.raises(RuntimeError, match="broken rule"):
        loss.backward()
    assert not x.has_grad and not y.has_grad


# --- what was recorded stays true


def test_rebinding_the_data_of_a_leaf_leaves_the_recorded_gradient_alone(array):
    x = tg.Value(array([3.0, 1.0]))
    y = (x * x).sum()
    x.data = array([100.0, 100.0])
    y.backward()
    assert x.grad.shape == (2,) and tg.Value(x.grad).tolist() == [6.0, 2.0]


def test_rebinding_a_number():
    x = tg.Value(3.0)
    y = x * x
    x.data = 100
    assert tg.grad(y, x) == 6.0 and type(x.data) is float
    with pytest.raises(ValueError, match="multiply: the data of an input was rebound"):
        tg.grad(y, x, create_graph=True)
    x.name = "weight"
    with pytest.raises(ValueError, match="weight was rebound"):
        tg.grad(y, x, create_graph=True)
    y = x * x
    assert tg.grad(y, x) == 200.0


def test_only_leaves_can_be_rebound_and_only_to_their_shape():
    x = tg.Value([1.0, 2.0])
    with pytest.raises(AttributeError, match="result of multiply"):
        (x * x).data = nd.asarray([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape \(3,\) for a Value of shape \(2,\)"):
        x.data = [1.0, 2.0, 3.0]
    x.backward([1.0, 1.0])
    x.data = np.asarray([1.0, 2.0])  # another library: the old gradient would not fit
    assert not x.has_grad and isinstance(x.grad, np.ndarray)


# --- the gradient has the shape, type and library of the data


def test_gradients_are_of_the_kind_of_the_data(array):
    row, matrix, number = tg.Value(array([1.0, 2.0, 3.0])), tg.Value(array([[1.0], [2.0]])), tg.Value(2.0)
    for f in (
        lambda: (row * matrix * number).sum(),
        lambda: tg.mean(matrix / row - number),
        lambda: tg.sum(tg.where(row > 1.5, matrix, number)),
        lambda: tg.sum(matrix @ tg.expand_dims(row, axis=0)) * number,
        lambda: tg.sum(tg.maximum(row, number) ** 2) + matrix.sum(),
        lambda: tg.logsumexp(row * number) + tg.softmax(matrix, axis=0)[0, 0],
    ):
        f().backward()
        for order in (1, 2):
            loss = f()
            if order == 2:
                loss = sum(tg.sum(g * g) for g in tg.grad(loss, [row, matrix, number], create_graph=True))
            for x, gradient in zip((row, matrix, number), tg.grad(loss, [row, matrix, number]), strict=True):
                assert kind(gradient) == kind(x.data)
    for x in (row, matrix, number):
        assert kind(x.grad) == kind(x.data)


def test_two_precisions_in_one_op_keep_their_own_gradients():
    single, double = tg.Value(np.ones((2, 3), np.float32)), tg.Value(np.ones(3))
    (single * double).sum().backward()
    assert single.grad.dtype == np.float32 and double.grad.dtype == np.float64
    assert single.grad.tolist() == [[1.0] * 3] * 2 and double.grad.tolist() == [2.0] * 3


def test_a_gradient_before_any_has_arrived_is_zero_of_the_same_kind(array):
    for x in (tg.Value(array([[1.0, 2.0]])), tg.Value(2.0)):
        assert not x.has_grad and kind(x.grad) == kind(x.data) and not any(nd.asarray(tg.Value(x.grad).tolist())._flat)
        x.grad = 0
        assert x.has_grad and kind(x.grad) == kind(x.data)
        x.grad = tg.Value(x.data)
        assert kind(x.grad) == kind(x.data) and tg.Value(x.grad).tolist() == x.tolist()
        x.grad = None
        assert not x.has_grad


def test_numbers_stay_python_floats():
    x = tg.Value(3)
    y = tg.exp(x / 2 - 1) ** 2 + abs(-x) * 2
    assert type(x.data) is type(y.data) is type(tg.grad(y, x)) is float


# --- decimals


def lifted_samples(digits: int) -> Callable:
    """The sample inputs plus a third of 10**-20, which no float beside them could hold."""
    return lambda x: tg.Value(nd.exact(x, digits) + nd.exact(1, digits) / (3 * 10**20))


@pytest.mark.parametrize("name", [name for name in every_op() if name not in ("as_float", "as_array", "astype")])
def test_ops_on_decimals_never_pass_through_a_float(name):
    """50 digits agree with 80 digits in value, gradient and second derivative: a float on the way would leave 16."""
    results = []
    for digits in (50, 80):
        inputs, output = call(name, lifted_samples(digits))
        first = tg.grad(tg.sum(output * output), inputs, create_graph=True)
        second = tg.grad(sum(tg.sum(g * g) for g in first), inputs)
        results.append([output.data, *(g.data for g in first), *second])
    for rough, fine in zip(*results, strict=True):
        assert isinstance(rough, nd.Decimals) and rough.digits == 50 and rough.shape == fine.shape
        error = nd.abs(nd.exact(rough, 80) - fine)
        assert bool(nd.all(error <= 1e-40 * (1.0 + nd.abs(fine))))
