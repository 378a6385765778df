"""The rules against differences of the fused ops themselves on 90 decimal digits, where a step of 1e-25 is exact to 1e-50."""

from decimal import Decimal

import mpmath
import pytest
from mpmath import mp

import tinygrad_sm as tg
from tests.helpers import softmax_truth as truth
from tests.helpers.graphs import ops_of
from tinygrad_sm import nd

DIGITS = 90
STEP = nd.exact(Decimal("1e-25"), DIGITS)
CLOSE = Decimal("1e-40")

Z = [0.3, -1.7, 2.25, 0.3]
WIDE = [0.0, 40.0, -3.0, 39.5]
T = [0.1, 0.0, 0.65, 0.25]
INSIDE = [0.1, 0.5, 0.15, 0.25]
ROWS = [[0.5, -2.0], [3.0, 0.25], [-1.0, 1.0]]
PROBABILITIES = [[0.25, 0.75], [1.0, 0.0], [0.4, 0.9]]
INNER = [[0.25, 0.75], [0.875, 0.125], [0.4, 0.6]]
MASK = [True, False, True, True]
ROW_MASK = [[True, True], [False, True], [False, False]]
WEIGHTS = [0.7, -0.2, 1.3, 0.4, -1.1, 0.9, 0.5, -0.3]


def exact(x):
    return nd.exact(x, DIGITS)


def weighted(y):
    """One number that depends on every element of y."""
    flat = tg.reshape(y, (-1,))
    return tg.sum(flat * exact(WEIGHTS[: flat.shape[0]]))


def from_probabilities(p, targets, **settings):
    return tg.cross_entropy(p, targets, from_logits=False, **settings)


SCALAR_FUNCTIONS = {
    "softmax": (lambda z: weighted(tg.softmax(z)), Z),
    "softmax, far apart": (lambda z: weighted(tg.softmax(z)), WIDE),
    "softmax, all axes": (lambda z: weighted(tg.softmax(z, axis=None)), ROWS),
    "softmax, first axis": (lambda z: weighted(tg.softmax(z, axis=0)), ROWS),
    "log_softmax": (lambda z: weighted(tg.log_softmax(z)), Z),
    "log_softmax, far apart": (lambda z: weighted(tg.log_softmax(z)), WIDE),
    "logsumexp": (lambda z: tg.logsumexp(z), Z),
    "logsumexp, first axis": (lambda z: weighted(tg.logsumexp(z, axis=0)), ROWS),
    "softmax, masked": (lambda z: weighted(tg.softmax(z, where=MASK)), Z),
    "softmax, in its temperature": (lambda t: weighted(tg.softmax(exact(Z), temperature=t)), 0.7),
    "softmax, of rows with a temperature each": (
        lambda t: weighted(tg.softmax(exact(ROWS), where=ROW_MASK, temperature=t)),
        [[0.7], [2.5], [1.0]],
    ),
    "softmax, in both": (lambda x: weighted(tg.softmax(x[0], temperature=x[1, 2])), [Z, INSIDE]),
    "log_softmax, masked": (lambda z: weighted(tg.where(MASK, tg.log_softmax(z, where=MASK), 0.0)), Z),
    "log_softmax, in its temperature": (lambda t: weighted(tg.log_softmax(exact(WIDE), temperature=t)), 0.7),
    "log_softmax, in both": (lambda x: weighted(tg.log_softmax(x[0], temperature=x[1, 2])), [Z, INSIDE]),
    "logsumexp, masked": (lambda z: tg.logsumexp(z, where=MASK) ** 2, Z),
    "logsumexp, masked rows": (
        lambda z: weighted(tg.where([True, True, False], tg.logsumexp(z, where=ROW_MASK), 0.0)),
        ROWS,
    ),
    "logsumexp, in both": (lambda x: tg.logsumexp(x[0], where=MASK, temperature=x[1, 2]), [Z, INSIDE]),
    "softmin": (lambda z: weighted(tg.softmin(z)), Z),
    "softmin, in both": (lambda x: weighted(tg.softmin(x[0], where=MASK, temperature=x[1, 2])), [Z, INSIDE]),
    "causal_softmax": (lambda z: weighted(tg.causal_softmax(z)), ROWS),
    "causal_softmax, upper left": (lambda z: weighted(tg.causal_softmax(z, align="upper-left")), ROWS),
    "sigmoid": (lambda z: weighted(tg.sigmoid(z)), Z),
    "log_sigmoid": (lambda z: weighted(tg.log_sigmoid(z)), Z),
    "softplus": (lambda z: weighted(tg.softplus(z)), Z),
    "silu": (lambda z: weighted(tg.silu(z)), Z),
    "cross_entropy, index": (lambda z: tg.cross_entropy(z, 2), Z),
    "cross_entropy, confident": (lambda z: tg.cross_entropy(z, 1), WIDE),
    "cross_entropy, first axis": (lambda z: tg.cross_entropy(z, [2, 0], axis=0, reduction="sum"), ROWS),
    "cross_entropy, mean": (lambda z: tg.cross_entropy(z, [1, 0, 0]), ROWS),
    "cross_entropy, none": (lambda z: weighted(tg.cross_entropy(z, [1, 0, 0], reduction="none")), ROWS),
    "cross_entropy, probabilities": (lambda z: tg.cross_entropy(z, exact(T)), Z),
    "cross_entropy, in the targets": (lambda t: tg.cross_entropy(exact(Z), t), INSIDE),
    "cross_entropy, in both": (lambda x: tg.cross_entropy(x[0], x[1]), [Z, INSIDE]),
    "cross_entropy, probabilities that sum to anything": (
        lambda z: tg.cross_entropy(z, exact(PROBABILITIES), validate=False),
        ROWS,
    ),
    "binary_cross_entropy": (lambda z: tg.binary_cross_entropy(z, exact(PROBABILITIES)), ROWS),
    "binary_cross_entropy, none": (lambda z: weighted(tg.binary_cross_entropy(z, exact(T), reduction="none")), Z),
    "binary_cross_entropy, in the targets": (lambda t: tg.binary_cross_entropy(exact(Z), t, reduction="sum"), INSIDE),
    "binary_cross_entropy, in both": (lambda x: tg.binary_cross_entropy(x[0], x[1]), [Z, INSIDE]),
    "cross_entropy from probabilities, index": (lambda p: tg.cross_entropy(p, 2, from_logits=False), INSIDE),
    "cross_entropy from probabilities, none": (lambda p: weighted(from_probabilities(p, [1, 0, 0], reduction="none")), INNER),
    "cross_entropy from probabilities, first axis": (
        lambda p: from_probabilities(tg.matrix_transpose(p), [1, 0, 0], axis=0),
        INNER,
    ),
    "cross_entropy from probabilities to probabilities": (lambda p: from_probabilities(p, exact(T)), INSIDE),
    "cross_entropy from probabilities, in the targets": (lambda t: from_probabilities(exact(INSIDE), t), [0.5, 0.2, 0.1, 0.2]),
    "cross_entropy from probabilities, in both": (lambda x: from_probabilities(x[0], x[1]), [INSIDE, [0.5, 0.2, 0.1, 0.2]]),
    "cross_entropy of a softmax": (lambda z: from_probabilities(tg.softmax(z), 2), Z),
    "nll_loss": (lambda x: tg.nll_loss(x, 2) ** 2, [-0.3, -1.7, -2.25, -0.3]),
    "nll_loss, none": (
        lambda x: weighted(tg.nll_loss(x, [1, 0, 1], reduction="none") ** 2),
        [[-0.5, -2.0], [-3.0, -0.25], [-1.0, -9.0]],
    ),
    "nll_loss of log_softmax": (lambda z: tg.nll_loss(tg.log_softmax(z, axis=0), [2, 0], axis=0, reduction="sum"), ROWS),
    "mse_loss": (lambda x: tg.mse_loss(x, exact(PROBABILITIES)), ROWS),
    "mse_loss, none": (lambda x: weighted(tg.mse_loss(x, exact(T), reduction="none")), Z),
    "mse_loss, in both": (lambda x: tg.mse_loss(x[0], x[1], reduction="sum") ** 2, [Z, WIDE]),
    "hinge_loss": (lambda s: tg.hinge_loss(s, [[1, -1], [-1, 1], [1, 1]], margin=1.5) ** 2, ROWS),
    "hinge_loss, none": (lambda s: weighted(tg.hinge_loss(s, [1, -1, -1, 1], reduction="none") ** 2), Z),
    "hinge_loss, classes": (lambda s: tg.hinge_loss(s, [1, 0, 0], margin=3) ** 2, ROWS),
    "hinge_loss, first axis": (lambda s: weighted(tg.hinge_loss(s, [2, 0], axis=0, reduction="none") ** 2), ROWS),
}


def steps(x):
    """x a step further and a step back along each of its coordinates."""
    for i in range(x.size):
        hot = nd.reshape(nd.equal(nd.arange(x.size), i), x.shape)
        yield nd.where(hot, x + STEP, x), nd.where(hot, x - STEP, x)


def flat(x):
    return nd.reshape(x, (-1,)).tolist()


def agree(got, wanted):
    assert len(got) == len(wanted)
    assert all(abs(a - b) <= CLOSE * (1 + abs(b)) for a, b in zip(got, wanted, strict=True)), (got, wanted)


@pytest.mark.parametrize("name", SCALAR_FUNCTIONS)
def test_gradient(name):
    f, at = SCALAR_FUNCTIONS[name]
    x = exact(at)
    differences = [((f(a) - f(b)) / (2 * STEP)).item() for a, b in steps(x)]
    agree(flat(tg.value_and_grad(f)(x)[1]), differences)


@pytest.mark.parametrize("name", SCALAR_FUNCTIONS)
def test_second_derivatives(name):
    f, at = SCALAR_FUNCTIONS[name]
    x = exact(at)

    def gradient(point):
        return tg.value_and_grad(f)(point)[1]

    rows = [(gradient(a) - gradient(b)) / (2 * STEP) for a, b in steps(x)]
    hessian = tg.hessian(f, x)
    agree(flat(hessian), [v for row in rows for v in flat(row)])
    direction = exact(WEIGHTS[: x.size])
    product = nd.reshape(nd.reshape(hessian, (x.size, x.size)) @ direction, x.shape)
    agree(flat(tg.hvp(f, x, nd.reshape(direction, x.shape))), flat(product))


@pytest.mark.parametrize("row", [Z, WIDE, [0.0, 700.0], [1e8, 1e8 + 1, 1e8 - 3]])
def test_values_on_decimals(row):
    """60 digits of the truth on `nd.exact`, fused and composed, whatever the range."""
    z, true = nd.exact(row, 60), truth.Row(row)
    t = nd.exact([1.0 / len(row)] * len(row), 60)
    with mp.workdps(true.digits + 60):
        for form in (lambda op: op, lambda op: op.composed):
            agree_with_mpmath(form(tg.softmax)(z), true.softmax())
            agree_with_mpmath(form(tg.log_softmax)(z), true.log_softmax())
            agree_with_mpmath(form(tg.logsumexp)(z), [true.logsumexp()])
            agree_with_mpmath(form(tg.cross_entropy)(z, 1), [true.index_loss(1)])
            agree_with_mpmath(form(tg.cross_entropy)(z, t), [true.soft_loss([1.0 / len(row)] * len(row))])
            agree_with_mpmath(form(tg.sigmoid)(z), map(truth.sigmoid, true.logits))
            agree_with_mpmath(form(tg.softplus)(z), map(truth.softplus, true.logits))


def agree_with_mpmath(got, wanted):
    for a, b in zip(flat(got), wanted, strict=True):
        assert abs(mpmath.mpf(str(a)) - b) <= abs(b) * mpmath.mpf(10) ** -50, (a, b)


# --- graphs of graphs


def test_second_derivatives_of_fused_ops_record_fused_ops():
    z = tg.Value(Z)
    gradient = tg.grad(tg.cross_entropy(z, 1), z, create_graph=True)
    assert tg.softmax in ops_of(gradient)


@pytest.mark.parametrize("name", SCALAR_FUNCTIONS)
def test_composed_leaves_no_fused_node_at_any_order(name):
    f, at = SCALAR_FUNCTIONS[name]
    x = tg.Value(exact(at))
    with tg.composed():
        y = f(x)
        gradient = tg.grad(y, x, create_graph=True)
        second = tg.grad(gradient.sum(), x, create_graph=True)
    for graph in (y, gradient, second):
        assert not [op for op in ops_of(graph) if isinstance(op, tg.graph.Fused)]
    agree(flat(gradient.data), flat(tg.value_and_grad(f)(exact(at))[1]))


def test_a_fused_op_in_a_users_body_expands_with_it():
    @tg.fused
    def focal(xp, z):
        return -tg.log_softmax(z) * (1.0 - tg.softmax(z))

    out = focal.composed(tg.Value(Z))
    assert {op.name for op in ops_of(out)}.isdisjoint({"focal", "softmax", "log_softmax"})
    agree(flat(exact(out.data)), flat(exact(focal(tg.Value(Z)).data)))
