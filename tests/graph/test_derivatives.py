"""grad, value_and_grad, vjp, jvp, jacobian, hessian and hvp against formulas and against numpy, on every kind of number."""

import math
from collections.abc import Callable

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.every_op import call, every_op
from tinygrad_sm import nd

LIBRARIES = {
    "nd": nd.asarray,
    "decimals": nd.exact,
    "numpy": lambda x: np.asarray(x, dtype=np.float64),
    "strict": lambda x: strict.asarray(x, dtype=strict.float64),
}


@pytest.fixture(params=LIBRARIES)
def array(request) -> Callable:
    return LIBRARIES[request.param]


def close(data, expected) -> bool:
    """Whether data of any kind is `expected` (numpy or lists) but for a few roundings."""
    given = np.asarray(tg.Value(data).tolist(), dtype=np.float64)
    expected = np.asarray(expected, dtype=np.float64)
    return given.shape == expected.shape and np.allclose(given, expected, rtol=1e-12, atol=1e-14)


# --- grad


def test_grad_gives_one_for_one_and_a_list_for_a_sequence():
    x, y = tg.Value(2.0), tg.Value(5.0)
    z = x * x * y
    assert tg.grad(z, x) == 20.0 and tg.grad(z, [x]) == [20.0] and tg.grad(z, (y, x)) == [4.0, 20.0]
    assert tg.grad(z, [x, x]) == [20.0, 20.0] and tg.grad(z, []) == []
    assert tg.grad(z, (v for v in (x, y))) == [20.0, 4.0]
    assert tg.grad(z, z) == 1.0 and tg.grad(z, [z, x, z.inputs[0]]) == [1.0, 20.0, 5.0]


def test_grad_touches_no_grad():
    x = tg.Value(2.0)
    y = x * x
    z = y * y
    z.backward()
    before = (x.grad, y.grad, z.grad)
    assert tg.grad(z, [x, y]) == [32.0, 8.0]
    tg.grad(z, x, create_graph=True)
    assert (x.grad, y.grad, z.grad) == before
    x.zero_grad()
    tg.grad(z, x)
    assert not x.has_grad


def test_grad_of_what_was_not_reached_is_zero_of_its_kind(array):
    x, far = tg.Value(array([1.0, 2.0])), tg.Value(array([[1.0, 2.0, 3.0]]))
    constant = tg.Value(array([4.0, 5.0]), requires_grad=False)
    y = (x * constant).sum()
    for gradient in (tg.grad(y, far), *tg.grad(y, [far])):
        assert type(gradient) is type(far.data) and close(gradient, [[0.0, 0.0, 0.0]])
    assert close(tg.grad(y, constant), [0.0, 0.0])
    assert tg.grad(y, tg.Value(1.0)) == 0.0 and type(tg.grad(y, tg.Value(1.0))) is float
    graph = tg.grad(y, far, create_graph=True)
    assert isinstance(graph, tg.Value) and not graph.requires_grad and graph.shape == (1, 3)
    assert close(tg.grad(tg.Value(array([1.0, 1.0]), requires_grad=False).sum(), x), [0.0, 0.0])


def test_grad_output_is_what_flows_in(array):
    x = tg.Value(array([1.0, 2.0, 3.0]))
    y = x * x
    for flows_in, expected in (
        (array([1.0, 10.0, 100.0]), [2.0, 40.0, 600.0]),
        ([1.0, 10.0, 100.0], [2.0, 40.0, 600.0]),
        ([1, 10, 100], [2.0, 40.0, 600.0]),
        (2.0, [4.0, 8.0, 12.0]),  # a number stands for itself everywhere
        (2, [4.0, 8.0, 12.0]),
        (tg.Value(array([1.0, 10.0, 100.0])), [2.0, 40.0, 600.0]),
    ):
        gradient = tg.grad(y, x, grad_output=flows_in)
        assert type(gradient) is type(x.data) and close(gradient, expected)
    for wrong in ([1.0], [[1.0, 2.0, 3.0]], array([[1.0], [2.0], [3.0]])):
        with pytest.raises(ValueError, match=r"grad: a gradient of shape .* for shape \(3,\)"):
            tg.grad(y, x, grad_output=wrong)
    with pytest.raises(ValueError, match=r"grad: the output has shape \(3,\); reduce it to one number first"):
        tg.grad(y, x)


def test_grad_output_can_be_differentiated_itself():
    x, flows_in = tg.Value([1.0, 2.0]), tg.Value([3.0, 4.0])
    gradient = tg.grad(x * x, x, grad_output=flows_in, create_graph=True)
    assert close(tg.grad(gradient.sum(), flows_in), [2.0, 4.0]) and close(tg.grad(gradient.sum(), x), [6.0, 8.0])
    assert type(tg.grad(x * x, x, grad_output=flows_in)) is nd.Array


def test_create_graph_goes_to_third_order_and_further():
    x = tg.Value(0.5)
    y = tg.sin(x) * tg.exp(x)
    for expected in (
        math.exp(0.5) * (math.sin(0.5) + math.cos(0.5)),
        math.exp(0.5) * 2.0 * math.cos(0.5),
        math.exp(0.5) * 2.0 * (math.cos(0.5) - math.sin(0.5)),
        math.exp(0.5) * -4.0 * math.sin(0.5),
    ):
        y = tg.grad(y, x, create_graph=True)
        assert float(y) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("f", [lambda x: tg.log(x) ** 2, lambda x: tg.log(x) / x, lambda x: (x - 1.0 / x) ** 2])
def test_second_derivatives_where_the_first_passes_through_zero(f):
    """At x = 1 what flows into the logarithm is 0, but its own derivative is not."""
    h = 1e-4
    slopes = [tg.value_and_grad(f)(x)[1] for x in (1.0 - h, 1.0 + h)]
    assert tg.hessian(f, 1.0) == pytest.approx((slopes[1] - slopes[0]) / (2 * h), rel=1e-6)
    assert tg.hvp(f, 1.0, 3.0) == pytest.approx(3.0 * tg.hessian(f, 1.0))


# --- functions of numbers

POINTS = {  # function: (at, value, first derivative, second derivative)
    "cube": (lambda x: x**3, 2.0, 8.0, 12.0, 12.0),
    "log": (tg.log, 4.0, math.log(4.0), 0.25, -0.0625),
    "sqrt": (tg.sqrt, 4.0, 2.0, 0.25, -1 / 32),
    "inverse": (lambda x: 1 / x, 2.0, 0.5, -0.25, 0.25),
    "quotient": (lambda x: x / (1 + x), 1.0, 0.5, 0.25, -0.25),
    "linear": (lambda x: 3 * x + 1, 2.0, 7.0, 3.0, 0.0),
    "constant": (lambda x: 5.0, 2.0, 5.0, 0.0, 0.0),
    "constant Value": (lambda x: tg.Value(5.0, requires_grad=False), 2.0, 5.0, 0.0, 0.0),
    "identity": (lambda x: x, 2.0, 2.0, 1.0, 0.0),
    "int": (lambda x: 3, 2, 3.0, 0.0, 0.0),
    "sigmoid": (tg.sigmoid, 0.0, 0.5, 0.25, 0.0),
    "softplus": (tg.softplus, 0.0, math.log(2.0), 0.5, 0.25),
}


@pytest.mark.parametrize(("f", "x", "value", "first", "second"), POINTS.values(), ids=POINTS)
def test_functions_of_one_number(f, x, value, first, second):
    near = pytest.approx
    assert tg.value_and_grad(f)(x) == (near(value), near(first))
    assert tg.vjp(f, x, 2.0) == (near(value), near(2.0 * first))
    assert tg.jvp(f, x, 2.0) == (near(value), near(2.0 * first))
    assert tg.jacobian(f, x) == near(first)
    assert tg.hessian(f, x) == near(second)
    assert tg.hvp(f, x, 2.0) == near(2.0 * second)
    results = (*tg.value_and_grad(f)(x), *tg.vjp(f, x, 2), *tg.jvp(f, x, 2), tg.jacobian(f, x), tg.hessian(f, x))
    assert {*map(type, results)} == {float}


def test_poles():
    for f, slope in ((tg.sqrt, math.inf), (tg.log, math.inf), (lambda x: 1 / x, -math.inf)):
        assert tg.jvp(f, 0.0, 2.0)[1] == tg.vjp(f, 0.0, 2.0)[1] == slope
        assert tg.jvp(f, [0.0, 0.0], [2.0, 1.0])[1].tolist() == [slope, slope]


# --- functions of arrays

M = [[2.0, -1.0, 0.5], [0.25, 3.0, 1.0]]
X = [0.5, 1.5, -2.0]


def test_a_linear_function_has_its_matrix_as_jacobian(array):
    m = array(M)

    def f(x):
        return tg.matmul(m, x)

    x = array(X)
    expected = np.asarray(M)
    assert close(tg.jacobian(f, x), expected) and type(tg.jacobian(f, x)) is type(x)
    value, back = tg.vjp(f, x, array([1.0, 2.0]))
    assert close(value, expected @ X) and close(back, np.asarray([1.0, 2.0]) @ expected)
    value, along = tg.jvp(f, x, [1.0, 2.0, 3.0])
    assert close(value, expected @ X) and close(along, expected @ [1.0, 2.0, 3.0])
    assert close(tg.hessian(lambda x: f(x).sum(), x), np.zeros((3, 3)))
    assert close(tg.hvp(lambda x: f(x).sum(), x, X), np.zeros(3))


def test_a_constant_function_has_zeros(array):
    x = array(M)
    for f in (lambda x: array(X), lambda x: tg.Value(array(X)), lambda x: [1.0, 2.0, 3.0]):
        assert close(tg.jacobian(f, x), np.zeros((3, 2, 3)))
        assert close(tg.jvp(f, x, array(M))[1], np.zeros(3)) and close(tg.vjp(f, x, 1.0)[1], np.zeros((2, 3)))
    assert close(tg.hessian(lambda x: 1.0, x), np.zeros((2, 3, 2, 3)))
    assert close(tg.hvp(lambda x: 1.0, x, x), np.zeros((2, 3)))
    assert tg.value_and_grad(lambda x: 1.0)(x)[0] == 1.0


def test_a_quadratic_form_has_the_symmetric_matrix_as_hessian(array):
    q = np.asarray([[2.0, 1.0, 0.0], [-1.0, 3.0, 0.5], [4.0, 0.0, 1.0]])

    def f(x):
        return tg.sum(x * tg.matmul(array(q.tolist()), x))

    x = array(X)
    value, gradient = tg.value_and_grad(f)(x)
    assert close(value, X @ q @ X) and close(gradient, (q + q.T) @ X) and type(gradient) is type(x)
    assert close(tg.hessian(f, x), q + q.T) and close(tg.hvp(f, x, [1.0, 0.0, -1.0]), (q + q.T) @ [1.0, 0.0, -1.0])


def test_matrices_in_and_out(array):
    x = array(M)
    squares = np.einsum("ik,jl->ijkl", np.eye(2), np.eye(3)) * 2.0 * np.asarray(M)[..., None, None]
    assert close(tg.jacobian(lambda x: x * x, x), squares)
    transposed = np.einsum("il,jk->ijkl", np.eye(3), np.eye(2))
    assert close(tg.jacobian(lambda x: x.mT, x), transposed)
    assert close(tg.jacobian(lambda x: x.sum(), x), np.ones((2, 3)))
    assert close(
        tg.jacobian(lambda x: x.sum(axis=0, keepdims=True), x), np.broadcast_to(np.eye(3)[None, :, None], (1, 3, 2, 3))
    )
    assert close(tg.hessian(lambda x: (x**3).sum(), x), squares * 3.0)
    assert close(tg.jvp(lambda x: x @ x.mT, x, x)[1], 2.0 * np.asarray(M) @ np.asarray(M).T)
    assert close(tg.jacobian(lambda x: tg.softmax(x, axis=1)[0], x)[:, 1, :], np.zeros((3, 3)))


def test_numbers_in_arrays_out_and_back(array):
    row = array(X)
    assert close(tg.jacobian(lambda t: t * row * t, 3.0), [6.0 * x for x in X])
    assert close(tg.jvp(lambda t: t * row * t, 3.0, 2.0)[1], [12.0 * x for x in X])
    assert tg.vjp(lambda t: t * row * t, 3.0, array([1.0, 1.0, 1.0]))[1] == pytest.approx(6.0 * sum(X))
    assert type(tg.vjp(lambda t: t * row * t, 3.0, 1.0)[1]) is float
    assert tg.jacobian(lambda x: x[:0], row).shape == (0, 3)


def test_several_arguments_and_keywords():
    f = tg.value_and_grad(lambda x, y, *, power=1: (x * y**power).sum())
    value, (dx, dy) = f([1.0, 2.0], [3.0, 4.0], power=2)
    assert float(value) == 41.0 and dx.tolist() == [9.0, 16.0] and dy.tolist() == [6.0, 16.0]
    assert tg.value_and_grad(lambda x, y: x * y)(2, 3.0) == (6.0, [3.0, 2.0])


def test_the_point_may_be_a_value_and_stays_untouched():
    x = tg.Value([1.0, 2.0])
    assert tg.jacobian(lambda y: y * x, x).tolist() == [[1.0, 0.0], [0.0, 2.0]]
    assert tg.hvp(lambda y: (y * y * x).sum(), x, tg.Value([1.0, 0.0])).tolist() == [2.0, 0.0]
    assert not x.has_grad
    point = np.ones(2)
    tg.value_and_grad(lambda y: (y * y).sum())(point)
    assert point.tolist() == [1.0, 1.0]


def test_gradients_inside_functions_that_are_differentiated():
    def slope(x):  # the derivative of x**3
        return tg.grad(x**3, x, create_graph=True)

    assert tg.value_and_grad(slope)(2.0) == (12.0, 12.0)
    assert tg.hessian(slope, 2.0) == 6.0
    assert tg.jacobian(lambda x: tg.grad((x**3).sum(), x, create_graph=True), [1.0, 2.0]).tolist() == [[6.0, 0.0], [0.0, 12.0]]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.2, 3.0), min_size=2, max_size=4), st.data())
def test_jvp_vjp_and_hvp_agree_with_jacobian_and_hessian(x, data):
    vectors = st.lists(st.floats(-2.0, 2.0), min_size=len(x), max_size=len(x))
    v, g = data.draw(vectors), data.draw(vectors)

    def f(x):
        return tg.softmax(tg.log(x) * x) + tg.cumulative_sum(x, axis=0) / x

    jacobian = np.asarray(tg.jacobian(f, x).tolist())
    assert np.allclose(tg.jvp(f, x, v)[1].tolist(), jacobian @ v, atol=1e-12)
    assert np.allclose(tg.vjp(f, x, g)[1].tolist(), g @ jacobian, atol=1e-12)

    def loss(x):
        return (f(x) ** 2).sum()

    hessian = np.asarray(tg.hessian(loss, x).tolist())
    assert np.allclose(hessian, hessian.T, atol=1e-9)
    assert np.allclose(tg.hvp(loss, x, v).tolist(), hessian @ v, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in every_op() if name not in ("as_float", "as_array", "astype")])
def test_first_and_second_derivatives_of_every_op_against_exact_differences(name):
    """On decimals a central difference is right to 30 digits, so a wrong rule of either order cannot hide.

    The direction is along all inputs at once; 1e-20 is far below the distances between the sample inputs.
    """
    step = nd.exact(1, 80) / 10**20

    def loss(amount, order):
        """The value (order 0) or the slope (order 1) at the inputs + amount * direction."""
        direction = []

        def moved(x):
            place = nd.exact(x, 80)
            direction.append(nd.sin(place + len(direction)))
            return tg.Value(place + direction[-1] * amount)

        inputs, output = call(name, moved)
        value = tg.sum(output * tg.sin(output + 0.5))
        gradients = tg.grad(value, inputs, create_graph=True)
        slope = sum(tg.sum(g * d) for g, d in zip(gradients, direction, strict=True))
        curve = sum(tg.sum(tg.Value(g) * d) for g, d in zip(tg.grad(slope, inputs), direction, strict=True))
        return (value.data, slope.data, curve.data)[order]

    for order in (0, 1):
        difference = (loss(step, order) - loss(-step, order)) / (2 * step)
        assert float(nd.abs(difference - loss(0, order + 1))) < 1e-25
