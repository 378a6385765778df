"""Cases in which one or another small engine fails, numbered, each with what is right."""

import gc
import math
import operator
import re

import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import micro
from tinygrad_sm.graph import sweep

inf, nan = math.inf, math.nan


def slope(f, *points):
    """The gradient of f at plain points: a float or nested lists for each."""
    leaves = [*map(tg.Value, points)]
    gradients = [tg.Value(g).tolist() for g in tg.grad(tg.sum(f(*leaves)), leaves)]
    return gradients[0] if len(gradients) == 1 else gradients


def numbers(x):
    """Plain data or a Value as a float or nested lists."""
    return x.tolist() if hasattr(x, "tolist") else x


def chain(n):
    x = y = tg.Value(1.0)
    for _ in range(n):
        y = y + 1
    y.backward()
    return y.data, x.grad


def sum_of_products():
    parameters = [tg.Value(1.0) for _ in range(2000)]
    sum(p * p for p in parameters).backward()
    return {p.grad for p in parameters}


def backward_twice():
    x = tg.Value(3.0)
    z = 2 * x * x
    z.backward()
    first = x.grad
    z.backward()
    return first, x.grad


def backward_of_two_losses():
    x = tg.Value(3.0)
    y = x * x
    z = 2 * y
    y.backward()
    z.backward()
    return x.grad


def nodes_of_shared_squares():
    y = tg.Value(1.0)
    for _ in range(60):
        y = y * y
    return len([*sweep(y, 1.0)])


def rebinding():
    x = tg.Value(3.0)
    y = x * x
    x.data = 100.0
    y.backward()
    return x.grad


def switches_after_an_exception():
    x = tg.Value([1.0, 2.0])
    for switch in (tg.no_grad(), tg.composed()):
        with pytest.raises(IndexError), switch:
            tg.softmax(x)[7]
    y = tg.softmax(x)
    return y.requires_grad, y.op.name


def left_to_the_collector():
    gc.disable()
    try:
        gc.collect()
        x = tg.Value(1.0)
        for _ in range(100):
            y = x * x + x
        del y
        never = gc.collect()
        y = x * x + x
        y.backward()
        del y, x
        return never, gc.collect()
    finally:
        gc.enable()


def squared(x):
    return x * x


def naive_loss(z):
    """The teaching foil: the logarithm of a softmax that underflows."""
    e = tg.exp(z - tg.constant(tg.max(z)))
    return -tg.log(e / tg.sum(e))[1]


def raised(call):
    """The error that a call ends in."""
    try:
        return call()
    except Exception as error:
        return error


def gradient_check(f, x, given):
    """Whether a gradient given by hand passes for that of f at x, and the right one does."""
    return bool(tg.gradcheck(f, x, gradient=lambda _: given)), bool(tg.gradcheck(f, x))


TWO = [[1.0, 2.0, 0.5], [0.0, 1.0, 3.0]]  # two rows of logits: with label 2 the first costs 1.9644
X2, X3 = [1.0, 2.0], [1.0, 2.0, 3.0]
ROWS = [[1.0, 2.0, 0.5], [0.0, 1.0, 3.0]]
TINY = math.exp(-40.0)  # the loss of logits [40, 0] and label 0 is log1p of this

CASES = [  # row, case, what is computed, what is wanted
    (
        26,
        "label -1 ignored: the mean is over the others",
        lambda: tg.cross_entropy(TWO, [2, -1], ignore_index=-1),
        1.9643687841079447,
    ),
    (
        26,
        "and without ignore_index -1 is no label",
        lambda: type(raised(lambda: tg.cross_entropy(TWO, [2, -1]))),
        tg.LabelError,
    ),
    (27, "all rows ignored", lambda: tg.cross_entropy(TWO, [-1, -1], ignore_index=-1), 0.0),
    (27, "all rows ignored, as nan", lambda: tg.cross_entropy(TWO, [-1, -1], ignore_index=-1, empty="nan"), nan),
    (27, "no rows", lambda: tg.cross_entropy(tg.zeros((0, 3)), []), 0.0),
    (
        27,
        "the gradient of ignored rows",
        lambda: slope(lambda z: tg.cross_entropy(z, [-1, -1], ignore_index=-1), TWO),
        [[0.0] * 3] * 2,
    ),
    (30, "1e-7 given as -5e-7", lambda: gradient_check(lambda x: x * 1e-7, 1.0, -5e-7), (False, True)),
    (30, "1e-6 given as -4e-6", lambda: gradient_check(lambda x: x * 1e-6, 1.0, -4e-6), (False, True)),
    (
        30,
        "[2, 4] given as [-0.0008, 12.8]",
        lambda: gradient_check(lambda x: tg.sum(x * x), X2, [-0.0008, 12.8]),
        (False, True),
    ),
    (30, "0.001 given as -0.008", lambda: gradient_check(lambda x: x * 0.001, 1.0, -0.008), (False, True)),
    (1, "a chain of 1000 additions", lambda: chain(1_000), (1_001.0, 1.0)),
    (1, "a chain of 50,000 additions", lambda: chain(50_000), (50_001.0, 1.0)),
    (2, "the sum of 2000 products", sum_of_products, {2.0}),
    (4, "y = y * y, 60 times, costs 61 visits", nodes_of_shared_squares, 61),
    (5, "backward twice: inner nodes are not stale", backward_twice, (12.0, 24.0)),
    (6, "two losses that share a node", backward_of_two_losses, 18.0),
    (7, "both operands of x * x are kept", lambda: len(squared(tg.Value(1.0)).inputs), 2),
    (10, "maximum(x, x)", lambda: slope(lambda x: tg.maximum(x, x), 1.0), 1.0),
    (10, "minimum(x, x)", lambda: slope(lambda x: tg.minimum(x, x), 1.0), 1.0),
    (11, "max at a tie shares", lambda: slope(tg.max, [1.0, 2.0, 2.0]), [0.0, 0.5, 0.5]),
    (11, "min at a tie shares", lambda: slope(tg.min, [1.0, 1.0, 2.0]), [0.5, 0.5, 0.0]),
    (12, "relu'(0) is 0", lambda: slope(tg.relu, 0.0), 0.0),
    (12, "relu'(0) is 0 in arrays", lambda: slope(tg.relu, [0.0, -0.0, 1.0]), [0.0, 0.0, 1.0]),
    (13, "relu(-inf), relu(nan)", lambda: [tg.relu(-inf), tg.relu(nan)], [0.0, nan]),
    (13, "relu of an array", lambda: tg.relu([-inf, nan, inf]), [0.0, nan, inf]),
    (14, "x ** 0 at 0", lambda: slope(lambda x: x**0, 0.0), 0.0),
    (14, "x ** 0.0 at 0, in an array", lambda: slope(lambda x: x**0.0, [0.0, 1.0]), [0.0, 0.0]),
    (15, "x ** 0.5 at 0", lambda: slope(lambda x: x**0.5, 0.0), inf),
    (15, "x ** 0.5 at 0, in an array", lambda: slope(lambda x: x**0.5, [0.0, 4.0]), [inf, 0.25]),
    (15, "sqrt at 0", lambda: [slope(tg.sqrt, 0.0), slope(tg.sqrt, [0.0])], [inf, [inf]]),
    (16, "(-8) ** (1/3) is never complex", lambda: numbers(tg.Value(-8.0) ** (1 / 3)), nan),
    (16, "nor its gradient", lambda: slope(lambda x: x ** (1 / 3), -8.0), nan),
    (16, "nor in an array", lambda: numbers(tg.Value([-8.0, 8.0]) ** (1 / 3)), [nan, 2.0]),
    (17, "d/dy 0 ** y", lambda: slope(lambda y: 0**y, 2.0), 0.0),
    (17, "d/dy (-2) ** y", lambda: slope(lambda y: (-2) ** y, 2.0), nan),
    (17, "Value ** Value", lambda: slope(operator.pow, 2.0, 3.0), [12.0, 8.0 * math.log(2.0)]),
    (17, "2 ** x", lambda: slope(lambda x: 2**x, 3.0), 8.0 * math.log(2.0)),
    (18, "prod with a zero", lambda: slope(tg.prod, [2.0, 0.0, 3.0]), [0.0, 6.0, 0.0]),
    (18, "prod with two zeros", lambda: slope(tg.prod, [2.0, 0.0, 0.0]), [0.0, 0.0, 0.0]),
    (19, "norm at 0", lambda: slope(tg.norm, [0.0, 0.0]), [0.0, 0.0]),
    (19, "std of equal numbers", lambda: slope(tg.std, [1.0, 1.0]), [0.0, 0.0]),
    (20, "where hides the pole of log", lambda: slope(lambda x: tg.where(x > 0, tg.log(x), 0.0), [0.0, 2.0]), [0.0, 0.5]),
    (20, "and of one number", lambda: slope(lambda x: tg.where(x > 0, tg.log(x), 0.0), 0.0), 0.0),
    (20, "and that of 1 / x and sqrt", lambda: slope(lambda x: tg.where(x > 0, 1 / x + tg.sqrt(x), 0.0), [0.0]), [0.0]),
    (21, "tanh far out", lambda: [slope(tg.tanh, x) for x in (1000.0, -1000.0)], [0.0, 0.0]),
    (21, "sigmoid far out", lambda: [slope(tg.sigmoid, x) for x in (1000.0, -1000.0)], [0.0, 0.0]),
    (21, "in numpy, without a warning", lambda: slope(tg.sigmoid, np.asarray([1000.0, -1000.0])), [0.0, 0.0]),
    (22, "cross-entropy, true loss 1000", lambda: [float(tg.cross_entropy([1000.0, 0.0], 1))], [1000.0]),
    (22, "its gradient", lambda: slope(lambda z: tg.cross_entropy(z, 1), [1000.0, 0.0]), [1.0, -1.0]),
    (22, "the composed loss", lambda: [float(tg.cross_entropy.composed([1000.0, 0.0], 1))], [1000.0]),
    (22, "its gradient", lambda: slope(lambda z: tg.cross_entropy.composed(z, 1), [1000.0, 0.0]), [1.0, -1.0]),
    (22, "the naive form stays what it is", lambda: float(naive_loss(tg.Value([1000.0, 0.0]))), inf),
    (23, "-inf on another logit", lambda: float(tg.cross_entropy([0.0, -inf, 0.0], 0)), math.log(2.0)),
    (23, "its gradient", lambda: slope(lambda z: tg.cross_entropy(z, 0), [0.0, -inf, 0.0]), [-0.5, 0.0, 0.5]),
    (23, "with probabilities", lambda: float(tg.cross_entropy([0.0, -inf, 0.0], [1.0, 0.0, 0.0])), math.log(2.0)),
    (24, "softmax of nothing but -inf is nan", lambda: tg.softmax([-inf, -inf]), [nan, nan]),
    (24, "logsumexp of nothing but -inf", lambda: float(tg.logsumexp([-inf, -inf])), -inf),
    (24, "its gradient", lambda: slope(tg.logsumexp, [-inf, -inf]), [0.0, 0.0]),
    (24, "other rows are untouched", lambda: numbers(tg.softmax([[-inf, -inf], [0.0, 0.0]]))[1], [0.5, 0.5]),
    (28, "a confident loss keeps its digits", lambda: float(tg.cross_entropy([40.0, 0.0], 0)), math.log1p(TINY)),
    (28, "and so does its gradient", lambda: slope(lambda z: tg.cross_entropy(z, 0), [40.0, 0.0]), [-TINY, TINY]),
    (29, "rebinding the data between forward and backward", rebinding, 6.0),
    (32, "(1, 3) + (4, 3)", lambda: slope(operator.add, np.ones((1, 3)), np.ones((4, 3))), [[[4.0] * 3], [[1.0] * 3] * 4]),
    (32, "in our arrays", lambda: slope(operator.add, [X3], [X3] * 4)[0], [[4.0, 4.0, 4.0]]),
    (34, "numpy array * Value", lambda: isinstance(np.ones(2) * tg.Value(2.0), tg.Value), True),
    (34, "its gradient", lambda: slope(lambda x: np.asarray(X2) * x, 2.0), 3.0),
    (34, "numpy number * Value", lambda: slope(lambda x: np.float64(3.0) * x, 2.0), 3.0),
    (34, "numpy matrix @ Value", lambda: slope(lambda x: np.ones((2, 2)) @ x, np.asarray(X2)), [2.0, 2.0]),
    (36, "an exception inside a switch", switches_after_an_exception, (True, "softmax")),
    (37, "broadcast_to (2, 3)", lambda: slope(lambda x: tg.broadcast_to(x, (2, 3)), X3), [2.0, 2.0, 2.0]),
    (38, "log is never fudged", lambda: [tg.log(1e-6), tg.log(1.0), tg.log(0.0)], [math.log(1e-6), 0.0, -inf]),
    (38, "nor its gradient", lambda: slope(tg.log, [1e-6, 0.0]), [1e6, inf]),
    (
        3,
        "drawing a graph 5,000 deep",
        lambda: len(tg.draw(repeated(5000, lambda y: y + 1.0), max_nodes=20_000).scene.nodes),
        10_001,
    ),
    (4, "drawing y = y * y 40 times", lambda: drawn(repeated(40, lambda y: y * y)), (41, 80)),
    (4, "and playing it", lambda: repr(tg.player(repeated(14, lambda y: y * y * 0.5))).endswith(" steps)"), True),
    (7, "edges drawn for x * x", lambda: edges_of_a_square(), [("n0", "n1", "0"), ("n0", "n1", "1")]),
    (8, "one program drawn six times", lambda: len({tg.draw(a_program()).source for _ in range(6)}), 1),
    (9, "1e-7 in the picture", lambda: ">1e-07<" in tg.draw(tg.Value(1e-7)).source, True),
    (40, "nothing is left to the cyclic collector", left_to_the_collector, (0, 0)),
    (41, "ints become floats", lambda: [*map(type, (tg.Value(3).data, slope(lambda x: x * x, 3)))], [float, float]),
    (41, "and lists of ints", lambda: slope(lambda x: x * x, [3, 4]), [6.0, 8.0]),
    (41, "and numpy's", lambda: slope(lambda x: x * x, np.asarray([3, 4])), [6.0, 8.0]),
]


def repeated(times, f):
    y = tg.Value(0.5)
    for _ in range(times):
        y = f(y)
    return y


def drawn(value):
    scene = tg.draw(value).scene
    return len(scene.nodes), len(scene.edges)


def edges_of_a_square():
    x = tg.Value(3.0)
    drawing = tg.draw(x * x)
    return re.findall(r"(n\d):e -> (n\d):i(\d):w", drawing.source)


def a_program():
    x, w = tg.Value([1.0, 2.0], name="x"), tg.Value(0.5, name="w")
    return (tg.softmax(x * w + w) * x).sum()


def same(given, wanted):
    """Equal but for a rounding, with nan equal to nan, and lists by element."""
    if isinstance(wanted, (list, tuple)):
        return len(given) == len(wanted) and all(map(same, given, wanted))
    if not isinstance(wanted, float):
        return given == wanted
    return math.isnan(given) if math.isnan(wanted) else math.isclose(given, wanted, rel_tol=4e-16, abs_tol=0.0)


def names(cases):
    return [f"{number}: {case}" for number, case, *_ in cases]


@pytest.mark.parametrize(("computed", "wanted"), [case[2:] for case in CASES], ids=names(CASES))
def test_what_other_engines_get_wrong(computed, wanted):
    assert same(numbers(computed()), wanted)


ERRORS = [  # row, case, calls, error, words of the message
    (16, "a rule that gives a complex number", lambda: complex_rule(), TypeError, ["complex_rule", "xp.pow"]),
    (25, "label 7 of 3", lambda: tg.cross_entropy(ROWS, [1, 7]), ValueError, ["label 7", "position 1", "3 classes"]),
    (25, "label -1", lambda: tg.cross_entropy(ROWS, [-1, 1]), ValueError, ["label -1", "position 0", "3 classes"]),
    (25, "label 7, composed", lambda: tg.cross_entropy.composed(ROWS, [1, 7]), ValueError, ["label 7", "position 1"]),
    (25, "label 7, in numpy", lambda: tg.cross_entropy(np.asarray(ROWS), np.asarray([1, 7])), ValueError, ["label 7"]),
    (31, "a layer of 2 inputs on 5", lambda: micro.Layer(2, 3)([1.0] * 5), ValueError, ["2", "5"]),
    (31, "a neuron of 2 inputs on 1", lambda: micro.Neuron(2)([1.0]), ValueError, ["2", "1"]),
    (33, "text", lambda: tg.Value("a") + tg.Value("b"), TypeError, ["a number", "'a'"]),
    (35, "(2, 3) + (2, 4)", lambda: tg.Value([X3] * 2) + tg.ones(2, 4), ValueError, ["add", "(2, 3)", "(2, 4)"]),
    (35, "in numpy", lambda: tg.Value(np.ones((2, 3))) + np.ones((2, 4)), ValueError, ["add", "(2, 3)", "(2, 4)"]),
    (35, "(2, 3) @ (2, 3)", lambda: tg.Value([X3] * 2) @ tg.ones(2, 3), ValueError, ["matmul", "(2, 3)"]),
]


def complex_rule():
    @tg.primitive
    def complex_rule(xp, x):
        return xp.pow(x, 1 / 3)

    complex_rule.vjps(lambda xp, g, out, x: g * x ** (-2 / 3))
    return slope(complex_rule, -8.0)


@pytest.mark.parametrize(("call", "error", "words"), [case[2:] for case in ERRORS], ids=names(ERRORS))
def test_what_other_engines_let_pass(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words)


def test_every_row_of_the_engine_is_here():
    assert {case[0] for case in CASES + ERRORS} == {*range(1, 42)} - {39}  # which has no counterpart
