"""Ops that a user writes with tg.primitive and tg.fused: what they may do, and what a wrong rule is told."""

import inspect
import math

import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.graph import Op, composition, sweep


def recorded(value: tg.Value) -> set[str]:
    """The names of the ops in the graph of a Value."""
    return {node.op.name for node, _, _ in sweep(value, tg.Value(1.0)) if node.op is not None}


# --- primitives


@tg.primitive
def cube(xp, x):
    """x * x * x."""
    return x * x * x


cube.vjps(lambda xp, g, out, x: g * 3.0 * x * x)


@pytest.mark.parametrize("data", [2.0, [2.0, 3.0], np.asarray([2.0, 3.0]), nd.exact([2.0])], ids=type)
def test_a_primitive_with_one_rule_works_to_any_order_on_all_numbers(data):
    x = tg.Value(data)
    y = cube(x)
    expected = np.asarray(x.tolist(), dtype=float)
    for value in (expected**3, 3 * expected**2, 6 * expected, np.full(expected.shape, 6.0)):
        assert np.asarray(y.tolist(), dtype=float).tolist() == value.tolist()
        y = tg.grad(y, x, grad_output=1.0, create_graph=True)
    assert cube(2.0) == 8.0 and cube([2.0]).tolist() == [8.0] and cube(np.ones(2)).tolist() == [1.0, 1.0]


def test_an_op_tells_about_itself():
    assert cube.name == cube.__name__ == "cube" and cube.__doc__ == "x * x * x." and repr(cube) == "<op op cube>"
    assert cube.input_names == ("x",) and str(inspect.signature(cube)) == "(x)"
    assert cube(tg.Value(2.0)).op is cube and repr(cube(tg.Value(2.0))) == "Value(8.0, op=cube)"


@tg.primitive
def scaled(xp, x, y, *, factor=2.0, flag=False):
    return x * y * factor


@scaled.backward
def _(xp, g, out, x, y, *, factor, flag):
    return g * y * factor, (lambda: g * x * factor)


def test_a_tuple_rule_with_entries_computed_on_demand_and_settings():
    x, y = tg.Value([1.0, 2.0]), tg.Value(3.0)
    for z in (scaled(x, y, factor=10.0), scaled(x, y, 10.0), scaled(y=y, x=x, factor=10.0), scaled(x, factor=10.0, y=y)):
        dx, dy = tg.grad(z.sum(), [x, y])
        assert z.tolist() == [30.0, 60.0] and dx.tolist() == [30.0, 30.0] and dy == 30.0
    assert scaled(x, 3.0).tolist() == [6.0, 12.0] and scaled(2.0, 3.0, flag=True) == 12.0


def test_none_entries_have_no_gradient():
    @tg.primitive
    def masked(xp, x, mask):
        return xp.where(mask, x, 0.0)

    @masked.backward
    def _(xp, g, out, x, mask):
        return xp.where(mask, g, 0.0), None

    x = tg.Value([1.0, 2.0])
    assert tg.grad(masked(x, [True, False]).sum(), x).tolist() == [1.0, 0.0]


@tg.primitive
def tempered(xp, x, temperature=1.0, *, sign=1.0):
    return xp.exp(sign * x / temperature)


@tempered.backward
def _(xp, g, out, x, temperature=1.0, *, sign):
    return g * out * sign / temperature, lambda: -g * out * sign * x / (temperature * temperature)


def test_an_input_with_a_default_is_given_by_keyword_and_has_its_own_gradient():
    x, t = tg.Value(2.0), tg.Value(4.0)
    y = tempered(x, temperature=t)
    assert y.inputs == (x, t)
    assert tg.grad(y, [x, t]) == pytest.approx([math.exp(0.5) / 4.0, -math.exp(0.5) * 2.0 / 16.0])
    assert tg.hessian(lambda t: tempered(2.0, temperature=t), 4.0) == pytest.approx(
        math.exp(0.5) * (4 / 64 + 4 / 256), rel=1e-12
    )
    assert tempered(x).inputs == (x,) and tg.grad(tempered(x), x) == pytest.approx(math.exp(2.0))
    assert tg.grad(tempered(x, temperature=4.0), x) == tg.grad(y, x)
    assert tempered(x, -1.0).op is tempered and float(tempered(x, -1.0)) == math.exp(-2.0)  # by position come the settings
    assert tg.grad(tempered(2.0, temperature=t), t) == tg.grad(y, t)


def test_optional_inputs_with_one_rule_each():
    @tg.primitive
    def shifted(xp, x, shift=0.0):
        return x + shift

    shifted.vjps(lambda xp, g, out, x, shift=0.0: g, lambda xp, g, out, x, shift: g)
    x, shift = tg.Value([1.0, 2.0]), tg.Value(3.0)
    assert tg.grad(shifted(x).sum(), x).tolist() == [1.0, 1.0]
    assert tg.grad(shifted(x, shift=shift).sum(), shift) == 2.0


def test_an_optional_input_may_be_none():
    @tg.primitive
    def weighted(xp, x, weight=None, bias=None):
        weight = 1.0 if weight is None else weight
        return x / weight + (0.0 if bias is None else bias)

    @weighted.backward
    def _(xp, g, out, x, weight=None, bias=None):
        return g if weight is None else g / weight, None, g

    x, bias = tg.Value(2.0), tg.Value(1.0)
    assert tg.grad(weighted(x), x) == 1.0 and tg.grad(weighted(x, bias=bias), [x, bias]) == [1.0, 1.0]
    assert tg.grad(weighted(x, weight=0.0), x) == math.inf  # IEEE, with the None beside it
    assert float(weighted(x, weight=0.0)) == math.inf
    with pytest.raises(TypeError, match="weighted: needs a number, a list or an array of numbers, not None"):
        weighted(None)


def test_a_variadic_op():
    @tg.primitive
    def total(xp, *parts, factor=1.0):
        return sum(parts) * factor

    @total.backward
    def _(xp, g, out, *parts, factor):
        return tuple(lambda: g * factor for _ in parts)

    x, y = tg.Value(1.0), tg.Value(2.0)
    assert tg.grad(total([x, y, x, 3.0], factor=2.0), [x, y]) == [4.0, 2.0]
    assert tg.grad(total(x, y), y) == 1.0


# --- fused ops


@tg.fused
def swish(xp, x, *, slope=1.0):
    return x / (1.0 + xp.exp(-slope * x))


@swish.backward
def _(xp, g, out, x, *, slope):
    s = tg.sigmoid(slope * x)
    return g * (s + slope * out * (1.0 - s))


def test_a_fused_op_is_one_node_or_its_primitives_with_the_same_gradients():
    x = tg.Value([0.5, -1.0])
    whole, parts = swish(x, slope=2.0).sum(), swish.composed(x, slope=2.0).sum()
    assert recorded(whole) == {"swish", "sum"} and recorded(parts) == {"multiply", "exp", "add", "divide", "sum"}
    with tg.composed():
        assert recorded(swish(x).sum()) == recorded(parts) | {"multiply"}
    for order in range(3):
        assert np.allclose(whole.tolist(), parts.tolist(), rtol=1e-14), order
        whole, parts = (tg.grad(y.sum(), x, create_graph=True) for y in (whole, parts))
    assert swish.composed(2.0) == swish(2.0) and type(swish(2.0)) is float


def test_a_fused_op_without_a_rule_records_its_body():
    @tg.fused
    def product(xp, x, y, scale=None):
        return x * y if scale is None else x * y * scale

    x, scale = tg.Value(2.0), tg.Value(5.0)
    assert recorded(product(x, 3.0)) == {"multiply"} and tg.grad(product(x, 3.0), x) == 3.0
    assert tg.grad(product(x, 3.0, scale=scale), scale) == 6.0
    assert product(2.0, 3.0) == 6.0
    constant = product(tg.Value(2.0, requires_grad=False), 3.0)
    assert isinstance(constant, tg.Value) and not constant.requires_grad and constant.inputs == ()
    rows = product(x, nd.asarray([1.0, 2.0]))
    assert tg.grad(rows.sum(), x) == 3.0


def test_fused_ops_inside_fused_ops_expand_too():
    @tg.fused
    def both(xp, x):
        return swish(x) + tg.softmax(x)

    both.vjps(lambda xp, g, out, x: g)

    x = tg.Value([1.0, 2.0])
    assert recorded(both(x).sum()) == {"both", "sum"}
    inside = recorded(both.composed(x).sum())
    assert "exp" in inside and not inside & {"both", "swish", "softmax"}


def test_kernels_go_by_exact_type_and_are_off_in_the_composition():
    ran = []

    @tg.fused
    def double(xp, x, *, times=2.0):
        ran.append("body")
        return x * times

    double.vjps(lambda xp, g, out, x, *, times: g * times)

    @double.kernel(nd.Array, float)
    def _(x, *, times):
        ran.append("kernel")
        return x * times

    class Other(nd.Array):
        __slots__ = ()

    x = tg.Value([1.0])
    cases = [
        (lambda: double(x), "kernel"),
        (lambda: double([1.0]), "kernel"),
        (lambda: double(tg.Value(1.0)), "kernel"),
        (lambda: double(np.ones(1)), "body"),
        (lambda: double(nd.exact([1])), "body"),
        (lambda: double.composed(x), "body"),
        (lambda: double.composed([1.0]), "body"),
        (lambda: tg.grad(double(x).sum(), x), "kernel"),
    ]
    for run, expected in cases:
        ran.clear()
        run()
        assert ran == [expected]


def keeping_op():
    """x^2 exp(x), whose rule takes the exponential that the forward kept, and the calls of either."""
    calls = []

    @tg.fused
    def op(xp, x, *, power=2.0):
        return xp.pow(x, power) * xp.exp(x)

    @op.keeping
    def _(xp, x, *, power):
        calls.append("kept")
        e = xp.exp(x)
        return xp.pow(x, power) * e, {"e": e}

    @op.backward
    def _(xp, g, out, x, *, power, e=None):
        calls.append("given" if e is not None else "computed")
        e = xp.exp(x) if e is None else e
        return g * (power * xp.pow(x, power - 1.0) + xp.pow(x, power)) * e

    return op, calls


@pytest.mark.parametrize("x", [0.75, [0.75, -2.0], np.asarray([0.75, -2.0])], ids=["float", "nd", "numpy"])
def test_what_a_forward_keeps_spares_the_rule_in_first_order_only(x):
    op, calls = keeping_op()
    op(x)  # nothing is recorded
    with tg.no_grad():
        op(tg.Value(x))
    op(tg.Value(x, requires_grad=False))
    composed = op.composed(tg.Value(x))
    assert calls == [] and composed.op.name == "multiply"
    z = tg.Value(x)
    y = op(z)
    ones = tg.Value(x) * 0.0 + 1.0
    first = tg.grad(y, z, grad_output=ones.data)
    assert calls == ["kept", "given"]
    again = tg.grad(y, z, grad_output=ones.data, create_graph=True)
    assert calls == ["kept", "given", "computed"]
    assert tg.Value(first).tolist() == again.tolist()
    wanted = [(v * v + 4 * v + 2) * math.exp(v) for v in (tg.reshape(x, shape=(-1,)).tolist() if type(x) is not float else [x])]
    second = tg.grad(again, z, grad_output=ones.data)
    assert tg.reshape(second, shape=(-1,)).tolist() == pytest.approx(wanted, rel=1e-13)


def test_what_was_kept_is_no_setting_in_a_drawing():
    op, _ = keeping_op()
    y = op(tg.Value([1.0, 2.0]), power=3.0)
    assert 'tooltip="op, power=3, shape (2,)"' in tg.draw(y).source


def test_register_joins_the_family_and_a_name_is_taken_once():
    before = dict(tg.fused_ops)

    def hat(xp, x):
        """1 - |x|."""
        return 1.0 - xp.abs(x)

    try:
        op = tg.fused(register=True)(hat)
        assert tg.fused_ops["hat"] is op and [*tg.fused_ops] == [*before, "hat"]
        with pytest.raises(ValueError, match="fused_ops has a hat already; give yours another name"):
            tg.fused(register=True)(hat)
        assert tg.fused_ops["hat"] is op
    finally:
        composition._FUSED.pop("hat")
    assert tg.fused(hat).name == "hat" and dict(tg.fused_ops) == before
    with pytest.raises(TypeError):
        tg.fused_ops["hat"] = op


# --- rules that are wrong


def with_rule(rule, inputs: int = 1) -> Op:
    """An op of one or two inputs with that rule."""
    if inputs == 1:

        def wobble(xp, x):
            return x * 1.0
    else:

        def wobble(xp, x, y):
            return x * y

    op = tg.primitive(wobble)
    op.backward(rule)
    return op


WRONG = {  # what the rule does: (the rule, the inputs, the error, words of the message)
    "wrong shape": (lambda xp, g, out, x: g[:1], [[1.0, 2.0]], ValueError, "gradient of shape (1,) for an input of shape (2,)"),
    "too many axes": (lambda xp, g, out, x: xp.stack([g, g])[:, :1], [[1.0, 2.0]], ValueError, "of shape (2, 1) for an input"),
    "number for an array": (lambda xp, g, out, x: 1.0, [[1.0, 2.0]], ValueError, "a number for an input of shape (2,)"),
    "int for an array": (lambda xp, g, out, x: 1, [[1.0, 2.0]], ValueError, "a number for an input of shape (2,)"),
    "nothing": (lambda xp, g, out, x: None, [[1.0, 2.0]], TypeError, "returned None for 1 input"),
    "nothing for a number": (lambda xp, g, out, x: None, [2.0], TypeError, "returned None for 1 input"),
    "nothing for two": (lambda xp, g, out, x, y: None, [1.0, 2.0], TypeError, "returned None for 2 input"),
    "an empty tuple": (lambda xp, g, out, x: (), [2.0], TypeError, "returned 0 gradient(s) for 1 input"),
    "one for two": (lambda xp, g, out, x, y: g, [1.0, 2.0], TypeError, "returned 1 gradient(s) for 2 input(s)"),
    "two for one": (lambda xp, g, out, x: (g, g), [1.0], TypeError, "returned 2 gradient(s) for 1 input"),
    "three for two": (lambda xp, g, out, x, y: (g, g, g), [1.0, 2.0], TypeError, "returned 3 gradient(s) for 2 input(s)"),
    "a list for two": (lambda xp, g, out, x, y: [g, g], [1.0, 2.0], TypeError, "returned 1 gradient(s) for 2 input(s)"),
    "complex": (lambda xp, g, out, x: (-8.0) ** (1 / 3), [2.0], TypeError, "xp.pow"),
    "complex array": (lambda xp, g, out, x: g * 1j, [np.ones(2)], TypeError, "xp.pow"),
    "text": (lambda xp, g, out, x: "g", [2.0], TypeError, "returned 'g'"),
    "a list": (lambda xp, g, out, x: [1.0, 2.0], [[1.0, 2.0]], TypeError, "returned [1.0, 2.0]"),
    "another library": (lambda xp, g, out, x: np.ones(2), [[1.0, 2.0]], TypeError, "two libraries, numpy and tinygrad_sm.nd"),
}


@pytest.mark.parametrize(("rule", "data", "error", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_rule_is_named(rule, data, error, words):
    inputs = [*map(tg.Value, data)]
    y = with_rule(rule, len(inputs))(*inputs)
    with pytest.raises(error, match=r"the rule of wobble") as caught:
        y.backward(1.0)
    assert words in str(caught.value)
    assert not any(x.has_grad for x in inputs)


@pytest.mark.parametrize("answer", [2, True, nd.asarray(2.0), np.float64(2.0)], ids=type)
def test_a_number_of_another_kind_becomes_a_float(answer):
    x = tg.Value(3.0)
    gradient = tg.grad(with_rule(lambda xp, g, out, x: answer)(x), x)
    assert type(gradient) is float and gradient == float(answer)


def test_an_array_of_ints_becomes_floats():
    x = tg.Value(np.ones(2))
    gradient = tg.grad(with_rule(lambda xp, g, out, x: np.asarray([1, 2]))(x).sum(), x)
    assert gradient.dtype == np.float64 and gradient.tolist() == [1.0, 2.0]


def test_a_broadcast_gradient_is_summed_back_in_every_rule():
    x = tg.Value([[1.0], [2.0]])
    op = with_rule(lambda xp, g, out, x: xp.broadcast_to(g, (4, 2, 3)))
    assert tg.grad(op(x).sum(), x).tolist() == [[12.0], [12.0]]
    assert tg.grad(op(tg.Value(1.0)) * 1.0, x).tolist() == [[0.0], [0.0]]


def test_an_op_without_a_rule_says_how_to_add_one():
    @tg.primitive
    def bare(xp, x):
        return x * 1.0

    with pytest.raises(TypeError, match=r"bare has no rule: add one with @bare.backward or bare.vjps"):
        bare(tg.Value(1.0)).backward()


@pytest.mark.parametrize("rules", [0, 1, 3])
def test_the_number_of_rules_must_fit_the_inputs(rules):
    with pytest.raises(TypeError, match=rf"scaled: {rules} rules for the inputs of \(x, y"):
        tg.primitive(scaled.forward).vjps(*[lambda xp, g, out, x, y: g] * rules)


def test_a_rule_follows_ieee_on_plain_numbers():
    """Also in the entries that are functions."""
    x, y = tg.Value(0.0), tg.Value(2.0)
    op = with_rule(lambda xp, g, out, x, y: (lambda: g / x, g * 10.0**200 ** (1 + x)), 2)
    assert tg.grad(op(x, y), x) == math.inf
    op = with_rule(lambda xp, g, out, x: g / x)
    assert tg.grad(op(x), x) == math.inf and tg.grad(op(tg.Value([0.0])).sum(), x) == 0.0


def test_what_a_rule_may_not_do_when_its_derivative_is_wanted():
    @tg.primitive
    def hyperbolic(xp, x):
        return xp.cosh(x)

    hyperbolic.vjps(lambda xp, g, out, x: g * xp.sinh(x))
    x = tg.Value(1.0)
    assert tg.grad(hyperbolic(x), x) == math.sinh(1.0)
    with pytest.raises(
        AttributeError, match="sinh is no op of tinygrad_sm: a rule or body that used it would lose its gradient"
    ):
        tg.grad(hyperbolic(x), x, create_graph=True)

    for answer in (2.0, nd.asarray(2.0)):
        y = with_rule(lambda xp, g, out, x, answer=answer: answer)(x)
        assert tg.grad(y, x) == 2.0
        with pytest.raises(TypeError, match=r"rule of wobble returned plain data, .*2\.0.*, while its own"):
            tg.grad(y, x, create_graph=True)
    zero = tg.grad(with_rule(lambda xp, g, out, x: 0.0)(x), x, create_graph=True)
    assert isinstance(zero, tg.Value) and tg.grad(zero, x) == 0.0


def test_a_body_may_use_ops_only():
    @tg.fused
    def body(xp, x):
        return xp.cosh(x)

    with pytest.raises(AttributeError, match="cosh is no op of tinygrad_sm"):
        body(tg.Value(1.0))
    assert body(1.0) == math.cosh(1.0)


@pytest.mark.parametrize("name", ["asarray", "full_like", "full"])
def test_namespaces_of_values_copy_no_value_into_a_constant(name):
    arguments = {"asarray": (), "full_like": (nd.ones(2),), "full": ((2,),)}[name]

    @tg.fused
    def through(xp, x):
        return getattr(xp, name)(*arguments, x) * x

    with pytest.raises(TypeError, match=f"xp.{name} makes a constant: of a Value it would lose the gradient"):
        through(tg.Value(3.0))
    assert through(tg.Value(3.0, requires_grad=False)).tolist() in ([9.0, 9.0], 9.0)


# --- forwards that are wrong


@pytest.mark.parametrize("result", [None, "text", [1.0], 1j], ids=repr)
def test_a_forward_returns_numbers(result):
    @tg.primitive
    def odd(xp, x):
        return result

    with pytest.raises(TypeError, match=r"odd: the result is .*; Values hold real numbers or arrays"):
        odd(tg.Value(1.0))
