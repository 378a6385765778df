"""Every fused op of the family against the composition that specifies it: value, gradient and second derivative.

On 60 decimal digits the two agree to 45, so the hand-written rule is the derivative of the definition; on the arrays of
others they agree to rounding, so the rule is right there too.
"""

from decimal import Decimal
from math import prod

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.graphs import ops_of
from tinygrad_sm import nd
from tinygrad_sm.check.truth import is_floating, lifted
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.nd.shapes import flatten

KINDS = {
    "nd": (nd, nd.asarray, 1e-11),
    "exact": (nd, lambda x: nd.exact(x, 60), Decimal("1e-45")),
    "numpy": (np, lambda x: np.asarray(x, dtype=np.float64), 1e-11),
    "numpy float32": (np, lambda x: np.asarray(x, dtype=np.float32), 2e-4),
    "strict": (array_api_strict, lambda x: array_api_strict.asarray(x, dtype=array_api_strict.float64), 1e-11),
}
LOGIT = st.floats(-30.0, 30.0) | st.integers(-2, 2).map(float)
SHAPES = st.sampled_from([(3,), (1,), (2, 3), (3, 1), (2, 3, 2), (2, 1, 2, 2)])


def nested(numbers, shape):
    """A flat list as nested lists."""
    return nd.reshape(nd.asarray(numbers), shape).tolist()


@st.composite
def arrays(draw, shape, element=LOGIT):
    return nested(draw(st.lists(element, min_size=prod(shape), max_size=prod(shape))), shape)


@st.composite
def one_axis(draw, shape):
    return draw(st.integers(-len(shape), len(shape) - 1))


@st.composite
def axes(draw, shape):
    """An int, several axes of either sign, none at all, or None."""
    several = st.lists(st.integers(0, len(shape) - 1), unique=True).map(
        lambda chosen: tuple(a - len(shape) * (a % 2) for a in chosen)
    )
    return draw(one_axis(shape) | several | st.none())


# Each strategy draws (inputs that get a gradient, what else is given by position, settings).


@st.composite
def elementwise(draw):
    return [draw(arrays(draw(SHAPES)))], [], {}


@st.composite
def along_axes(draw, keepdims=False):
    shape = draw(SHAPES)
    options = {"axis": draw(axes(shape))} | ({"keepdims": draw(st.booleans())} if keepdims else {})
    if draw(st.booleans()):
        options |= {"where": draw(arrays(shape, st.booleans())), "temperature": draw(st.sampled_from([1.0, 0.4, 3]))}
    return [draw(arrays(shape))], [], options


@st.composite
def scores(draw):
    shape = draw(SHAPES.filter(lambda shape: len(shape) > 1))
    return [draw(arrays(shape))], [], {"align": draw(st.sampled_from(["lower-right", "upper-left"]))}


REDUCTIONS = st.sampled_from(["mean", "sum", "none", "batchmean"])
PROBABILITY = st.floats(0.0, 1.0) | st.sampled_from([0.0, 1.0])


@st.composite
def rows_of_classes(draw, least=1):
    """A shape, an axis of at least that many classes, and the class indices for it."""
    shape = draw(SHAPES.filter(lambda shape: max(shape) >= least))
    axis = draw(one_axis(shape).filter(lambda axis: shape[axis] >= least))
    at = axis % len(shape)
    labels = draw(arrays(shape[:at] + shape[at + 1 :], st.integers(0, shape[at] - 1)))
    return shape, labels, {"axis": axis, "reduction": draw(REDUCTIONS)}


@st.composite
def classification(draw):
    """Logits, or probabilities, with class indices (nested lists, or an int for a single row) or with probabilities."""
    shape, labels, options = draw(rows_of_classes())
    if draw(st.booleans()):
        given = draw(arrays(shape))
    else:
        weights = np.asarray(draw(arrays(shape, st.floats(0.01, 1.0))))
        given = (weights / weights.sum(axis=options["axis"], keepdims=True)).tolist()
        options["from_logits"] = False
    if draw(st.booleans()):
        return [given, draw(arrays(shape, PROBABILITY))], [], options | {"validate": False}
    return [given], [labels], options


@st.composite
def log_probabilities(draw):
    shape, labels, options = draw(rows_of_classes())
    return [draw(arrays(shape, LOGIT.map(lambda z: -abs(z))))], [labels], options


@st.composite
def pairs(draw, target, **options):
    """Two arrays of one shape, which both get a gradient."""
    shape = draw(SHAPES)
    options = {name: draw(option) for name, option in options.items()}
    return [draw(arrays(shape)), draw(arrays(shape, target))], [], options | {"reduction": draw(REDUCTIONS)}


@st.composite
def scores_of_classes(draw):
    shape, labels, options = draw(rows_of_classes(least=2))
    return [draw(arrays(shape))], [labels], options | {"margin": draw(MARGIN)}


SIGN = st.sampled_from([-1.0, 1.0])
MARGIN = st.sampled_from([0, 0.5, 1.0, 3.25])


CALLS = {
    "softmax": along_axes(),
    "log_softmax": along_axes(),
    "logsumexp": along_axes(keepdims=True),
    "softmin": along_axes(),
    "causal_softmax": scores(),
    "sigmoid": elementwise(),
    "log_sigmoid": elementwise(),
    "softplus": elementwise(),
    "silu": elementwise(),
    "cross_entropy": classification(),
    "nll_loss": log_probabilities(),
    "binary_cross_entropy": pairs(PROBABILITY),
    "mse_loss": pairs(LOGIT),
    "hinge_loss": pairs(SIGN, margin=MARGIN) | scores_of_classes(),
}


def on_decimals(op, form, digits, inputs, keywords):
    """Value, gradients by all that is differentiated, and their derivatives along a direction; as lists of decimals."""

    def leaf(x):
        return tg.Value(lifted(x, digits)) if is_floating(x) else x

    args = [leaf(x) for x in inputs]
    named = {key: leaf(x) if key in op.input_names else x for key, x in keywords.items()}
    leaves = [x for x in (*args, *named.values()) if isinstance(x, tg.Value)]

    def direction(x):
        return lifted(weights(x, lambda lists: lists), digits)

    out = form(*args, **named)
    gradients = tg.grad(out, leaves, grad_output=direction(out.data), create_graph=True)
    along = sum((tg.sum(g * direction(g.data)) for g in gradients), start=0.0)
    second = tg.grad(along, leaves)
    return [numbers(x) for x in (out.data, *(g.data for g in gradients), *second)]


@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted(tg.fused_ops))
def test_on_decimals_at_the_hard_inputs(name):
    """The rule is the derivative of the definition, also where floats could not tell: to 30 digits of what is no rounding."""
    op, cases = tg.fused_ops[name], tg.fused_ops[name].hard_cases()
    assert cases, f"{name} needs hard inputs, with @{name}.hard_inputs"
    for case, inputs, keywords in cases:
        fused, composed = (on_decimals(op, form, 800, inputs, keywords) for form in (op, op.composed))
        for got, wanted in zip(fused, composed, strict=True):
            for a, b in zip(got, wanted, strict=True):
                assert same_decimals(a, b), (case, a, b)


def same_decimals(a, b):
    return a == b or abs(a - b) <= Decimal("1e-30") * abs(b) + Decimal("1e-350")


def test_every_op_of_the_family_is_here_or_in_a_file_of_its_own():
    """Hard inputs, which every op has, are tested above; what draws its inputs below is listed here."""
    assert {*CALLS} <= {*tg.fused_ops}


def weights(like, make):
    """Numbers without a pattern in the shape of `like`."""
    shape = () if type(like) is float else tuple(like.shape)
    flat = [(7 * i + 3) % 11 / 11 - 0.4 for i in range(prod(shape))]
    return flat[0] if type(like) is float else make(nested(flat, shape))


def derivatives(op, make, inputs, rest, options):
    """Value, gradients, and second derivatives along a direction, all as plain data."""
    xs = [tg.Value(make(x)) for x in inputs]
    out = op(*xs, *rest, **options)
    gradients = tg.grad(out, xs, grad_output=weights(out.data, make), create_graph=True)
    along = [(g * weights(x.data, make)).sum() for g, x in zip(gradients, xs, strict=True)]
    second = tg.grad(along[0] if len(along) == 1 else along[0] + along[1], xs)
    for x, g, h in zip(xs, gradients, second, strict=True):
        assert type(x.data) is type(g.data) is type(h) or x.data.ndim == 0  # numpy's 0-d results are scalars
        assert x.dtype == g.dtype == (float if type(h) is float else h.dtype)
    return out, [out.data, *(g.data for g in gradients), *second]


def numbers(x):
    return flatten(nested_lists(x) if hasattr(x, "shape") else x)[0]


def check(name, make, tolerance, inputs, rest, options):
    op = tg.fused_ops[name]
    fused, by_rule = derivatives(op, make, inputs, rest, options)
    composed, by_definition = derivatives(op.composed, make, inputs, rest, options)
    assert fused.op is op
    assert not any(isinstance(o, tg.graph.Fused) for o in ops_of(composed))
    for got, wanted in zip(by_rule, by_definition, strict=True):
        for a, b in zip(numbers(got), numbers(wanted), strict=True):
            assert a == b or abs(a - b) <= tolerance * (1 + abs(b)), (got, wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CALLS)
def test_on_arrays(name, kind):
    xp, make, tolerance = KINDS[kind]

    @settings(deadline=None, max_examples=12)
    @given(CALLS[name], st.booleans())
    def check_one(call, listed):
        inputs, rest, options = call
        check(name, make, tolerance, inputs, rest if listed else [xp.asarray(x) for x in rest], options)

    check_one()


SECOND_NUMBER = {"binary_cross_entropy": PROBABILITY, "mse_loss": LOGIT, "hinge_loss": SIGN}


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("causal_softmax", "cross_entropy", "nll_loss")])
def test_on_single_numbers(name):
    @settings(deadline=None, max_examples=50)
    @given(LOGIT, SECOND_NUMBER.get(name, st.none()))
    def check_one(z, t):
        elementwise = t is not None or name in ("sigmoid", "log_sigmoid", "softplus", "silu")
        check(name, float, 1e-12, [z] if t is None else [z, t], [], {} if elementwise else {"axis": None})

    check_one()
