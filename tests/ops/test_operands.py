"""What may stand beside a Value, and what comes out: constants of every sort, arrays on the left, functions and methods."""

import operator
from decimal import Decimal
from fractions import Fraction

import array_api_strict
import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.kinds import (
    ARRAYS,
    EXACT,
    FLOAT,
    NUMPY,
    OWN,
    STRICT,
    assert_close,
    assert_same_kind,
    every_array,
    every_kind,
    read,
)
from tests.ops.table import BINARY, CASES, UNARY
from tinygrad_sm.graph.namespaces import namespace_of
from tinygrad_sm.ops import METHODS

OPERATORS = {
    "+": (operator.add, tg.add),
    "-": (operator.sub, tg.subtract),
    "*": (operator.mul, tg.multiply),
    "/": (operator.truediv, tg.divide),
    "**": (operator.pow, tg.pow),
}
X = [[1.0, 2.5, 0.5], [3.0, 0.25, 1.5]]
SINGLE_CONSTANTS = [2, -3, 0.5, True, np.float64(1.5), np.int64(2), Fraction(1, 4)]


def gradient(call, x):
    y = call(x)
    return y, tg.grad(tg.sum(y), x)


@every_kind
@pytest.mark.parametrize("constant", SINGLE_CONSTANTS, ids=lambda c: f"{type(c).__name__}({c})")
@pytest.mark.parametrize("symbol", OPERATORS)
def test_a_single_constant_on_either_side(symbol, constant, kind):
    if kind in (OWN, EXACT, STRICT) and isinstance(constant, (np.generic, bool)):
        return  # a number of numpy's is of another library, and strict takes no bools
    operate, op = OPERATORS[symbol]
    x = tg.Value(kind(0.75 if kind is FLOAT else X))
    with np.errstate(all="ignore"):  # powers of negative numbers
        for constant_first in (False, True):

            def call(x, c, function, flipped=constant_first):
                return function(c, x) if flipped else function(x, c)

            y, g = gradient(lambda x: call(x, constant, operate), x)
            same, want = gradient(lambda x: call(x, float(constant), op), x)
            assert type(y) is tg.Value
            assert y.op is op
            assert y.inputs[constant_first] is x
            assert_same_kind(g, x.data)
            assert_close(y, read(same), kind.tolerance)
            assert_close(g, read(want), kind.tolerance)


@every_array
@pytest.mark.parametrize("name", [n for n in BINARY if n != "pow"])
def test_lists_and_arrays_as_constants(name, kind):
    op, x = BINARY[name][0], tg.Value(kind(X))
    other = [[2.0, 1.0, 4.0], [0.5, 0.75, 8.0]]
    wanted = gradient(lambda x: op(x, tg.Value(kind(other))), x)
    constants = [kind(other), tg.Value(kind(other), requires_grad=False), tg.constant(tg.Value(kind(other)))]
    for constant in constants if kind.is_exact else [other, *constants]:  # decimals refuse a list, which is of floats
        for got, want in zip(gradient(lambda x, c=constant: op(x, c), x), wanted, strict=True):
            assert_close(got, read(want), kind.tolerance)


@pytest.mark.parametrize("kind", [OWN, EXACT, NUMPY], ids=repr)
@pytest.mark.parametrize("constant", [[[2, 0, 3]], [[True, False, True]]], ids=["ints", "bools"])
@pytest.mark.parametrize("name", [*BINARY])
def test_arrays_of_ints_and_bools_as_operands(name, constant, kind):
    """Also where the rule takes a function of them (log, an equality): nothing is cut to a whole number on the way."""
    op, x = BINARY[name][0], tg.Value(kind([[-0.5], [2.5]]))
    xp = namespace_of([x.data])
    given, floats = xp.asarray(constant), kind(constant)
    with np.errstate(all="ignore"):  # divisions by 0 and powers of negative numbers
        for got, want in (
            (gradient(lambda x: op(x, given), x), gradient(lambda x: op(x, floats), x)),
            (gradient(lambda x: op(given, x), x), gradient(lambda x: op(floats, x), x)),
        ):
            assert_same_kind(got[1], x.data)
            for a, b in zip(got, want, strict=True):
                assert_close(a, read(b), 1e-15)


def test_maximum_with_ints_does_not_cut_the_float():
    x = tg.Value(-0.5)
    assert tg.grad(tg.sum(tg.maximum(x, [0, 1])), x) == 0.0
    assert tg.grad(tg.sum(tg.minimum([0, -1], x)), x) == 1.0


def test_powers_with_ints_do_not_cut_the_float():
    y = tg.Value(-0.5)
    assert_close(tg.grad(tg.sum(tg.pow([4, 9], y)), y), np.log(4) / 2 + np.log(9) / 3, 1e-15)
    assert tg.grad(tg.sum(tg.pow([0, 1], tg.Value(0.5))), y) == 0.0


@pytest.mark.parametrize("xp", [tg.nd, np], ids=["nd", "numpy"])
@pytest.mark.parametrize("name", UNARY)
def test_plain_ints_are_numbers_too(name, xp):
    """Functions of them are floats, whole functions may stay ints; in both cases nothing is cut."""
    op = UNARY[name][0]
    with np.errstate(all="ignore"):  # the logarithm of 0
        got, want = op(xp.asarray([0, 1, 2])), op(xp.asarray([0.0, 1.0, 2.0]))
        assert_close(got, read(want), 1e-15)
        assert_close(op(2), read(op(2.0)), 0)


@every_array
def test_ends_of_clip_may_be_arrays(kind):
    x = tg.Value(kind([[-2.0, 0.5, 2.0]]))
    y = tg.clip(x, min=kind([[-1.0], [0.5]]), max=kind([1.0, 1.0, 4.0]))
    assert_close(y, np.array([[-1.0, 0.5, 2.0], [0.5, 0.5, 2.0]]), 0)
    g = tg.grad(tg.sum(y), x)
    assert_same_kind(g, x.data)
    assert_close(g, np.array([[0.0, 2.0, 2.0]]), 0)


@every_array
def test_einsum_takes_single_floats_and_lists_beside_arrays(kind):
    c, x = tg.Value(2.0), tg.Value(kind([1.0, 2.0, 3.0]))
    y = tg.einsum(",i->i", c, x)
    assert_same_kind(y.data, x.data)
    of_c, of_x = tg.grad(tg.sum(y), [c, x])
    assert of_c == 6.0
    assert type(of_c) is float
    assert_close(of_x, np.array([2.0, 2.0, 2.0]), 0)
    if not kind.is_exact:  # a list is an array of floats
        assert_close(tg.einsum("i,ij->j", x, [[1.0], [2.0], [4.0]]), np.array([17.0]), 0)


def test_numbers_of_other_classes():
    x = tg.Value(2.0)
    assert (x * Fraction(1, 2)).data == 1.0
    assert (Fraction(1, 2) * x).data == 1.0
    exact = tg.Value(tg.nd.exact(2))
    assert (exact * Decimal("0.1")).data.item() == Decimal("0.2")
    assert tg.grad(exact * Decimal("0.1"), exact).item() == Decimal("0.1")


# --- arrays on the left


@pytest.mark.parametrize("kind", [OWN, EXACT, NUMPY], ids=repr)
@pytest.mark.parametrize("symbol", [*OPERATORS, "@"])
def test_an_array_on_the_left(symbol, kind):
    operate, op = OPERATORS.get(symbol, (operator.matmul, tg.matmul))
    array, x = kind([[1.0, 2.0], [3.0, 0.5]]), tg.Value(kind([[2.0, 1.0], [0.5, 4.0]]))
    y = operate(array, x)
    assert type(y) is tg.Value
    assert y.op is op
    assert y.inputs[1] is x
    assert_close(y, read(operate(array, x.data)), 0)
    assert_same_kind(tg.grad(tg.sum(y), x), x.data)


def test_a_list_on_the_left():
    x = tg.Value([3.0, 4.0])
    for y, want in (
        ([1.0, 2.0] * x, [3.0, 8.0]),
        (operator.add([1.0, 2.0], x), [4.0, 6.0]),
        ([1, 2] - x, [-2.0, -2.0]),
        ([1.0, 2.0] @ x, 11.0),
    ):
        assert type(y) is tg.Value
        assert_close(y, np.array(want), 0)


def test_numbers_of_numpy_on_the_left():
    for x in (tg.Value(3.0), tg.Value(np.array([3.0, 3.0]))):
        for symbol, (operate, op) in OPERATORS.items():
            y = operate(np.float64(2.0), x)
            assert type(y) is tg.Value, symbol
            assert y.op is op
            assert_same_kind(tg.grad(tg.sum(y), x), x.data)


def test_array_api_strict_wants_the_value_on_the_left():
    array, x = STRICT([1.0, 2.0]), tg.Value(STRICT([3.0, 4.0]))
    assert_close(x * array, np.array([3.0, 8.0]), 0)
    assert_close(tg.multiply(array, x), np.array([3.0, 8.0]), 0)
    with pytest.raises(TypeError):
        array * x


# --- nothing to differentiate


@pytest.mark.parametrize("case", [c for c in CASES if c.shapes in (((2, 3),), ((2, 3), (2, 3)))], ids=repr)
def test_plain_data_in_plain_data_out(case):
    for kind in ARRAYS:
        out = case.call(*(kind(np.abs(X)) for _ in case.shapes))
        assert not isinstance(out, tg.Value)
        assert type(out) is type(kind(0.0)) or isinstance(out, np.generic)
        assert namespace_of([out]) is namespace_of([kind(0.0)])


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_floats_in_floats_out(name):
    op = (UNARY.get(name) or BINARY[name])[0]
    operands = (0.5,) if name in UNARY else (0.5, 0.25)
    assert type(op(*operands)) is float
    assert type(op(*map(tg.Value, operands)).data) is float


def test_constants_give_constants():
    for x in (tg.Value(2.0, requires_grad=False), tg.Value([2.0], requires_grad=False)):
        y = tg.exp(x) * x
        assert type(y) is tg.Value
        assert y.op is None
        assert not y.requires_grad
    with tg.no_grad():
        assert tg.sum(tg.Value([1.0])).op is None


def test_inputs_keep_their_order_and_duplicates():
    x, y = tg.Value([1.0, 2.0]), tg.Value([3.0, 4.0])
    assert (y - x).inputs == (y, x)
    assert (x * x).inputs == (x, x)
    assert tg.concat([x, y, x]).inputs == (x, y, x)
    assert tg.grad(tg.sum(tg.concat([x, y, x])), [x, y])[0].tolist() == [2.0, 2.0]
    assert tg.where([True, False], x, x).inputs[1:] == (x, x)


# --- methods

CALLS = {
    # method: the positional and keyword arguments to try; nothing but the Value where it is not here
    "sum": [(), (0,), ((0, 1),), (-1, True)],
    "max": [(), (0,)],
    "sort": [(), (0,), (-1, True)],
    "cumulative_sum": [(0,)],
    "clip": [(0.75, 2.0), (None, 1.0)],
    "leaky_relu": [(), (0.25,)],
    "elu": [(0.5,)],
    "permute_dims": [((1, 0),)],
    "broadcast_to": [((2, 2, 3),)],
    "expand_dims": [(), (1,)],
    "flip": [(), (0,)],
    "tril": [(), (1,)],
    "take": [([0, 2], 1)],
    "take_along_axis": [([[0], [2]],), ([[0, 1, 0]], 0)],
    "matmul": [([[1.0], [2.0], [4.0]],)],
    "argmax": [(), (0,), (1, True)],
    "squeeze": [()],
    "split": [(3,)],
}
SPECIAL = {"reshape", "dot", "outer", "astype", "split"}


@pytest.mark.parametrize("name", sorted(METHODS.keys() - SPECIAL))
def test_methods_are_functions(name):
    x = tg.Value(X)
    for arguments in CALLS.get(name, [()]):
        of_method, of_function = getattr(x, name)(*arguments), getattr(tg, name)(x, *arguments)
        assert type(of_method) is type(of_function)
        assert_close(of_method, read(of_function), 0)
        if isinstance(of_method, tg.Value):
            assert of_method.op is of_function.op
            assert_close(tg.grad(tg.sum(of_method), x), read(tg.grad(tg.sum(of_function), x)), 0)


def test_methods_by_keyword():
    x = tg.Value(X)
    assert x.sum(axis=(0, 1), keepdims=True).shape == (1, 1)
    assert x.max(axis=-1).shape == (2,)
    assert x.clip(max=1.0).data.tolist() == tg.clip(x, max=1.0).data.tolist()
    assert [part.shape for part in x.split([1], axis=1)] == [(2, 1), (2, 2)]
    assert x.std(axis=0, correction=1).shape == (3,)


def test_reshape_takes_sizes_or_a_shape():
    x = tg.Value(X)
    for y in (
        x.reshape(3, 2),
        x.reshape((3, 2)),
        x.reshape([3, 2]),
        x.reshape(3, -1),
        tg.reshape(x, (3, -1)),
        tg.reshape(x, shape=(3, 2)),
    ):
        assert y.shape == (3, 2)
    assert x.reshape(-1).shape == x.reshape((-1,)).shape == x.flatten().shape == (6,)
    assert tg.Value(2.0).reshape().shape == ()
    assert x[:1, :1].reshape(()).shape == ()


def test_transposes():
    x = tg.Value(X)
    assert x.T.shape == x.mT.shape == (3, 2)
    assert x.T.op is x.mT.op
    assert tg.Value(np.ones((4, 2, 3))).mT.shape == (4, 3, 2)
    with pytest.raises(ValueError, match=r"T is for matrices"):
        _ = tg.Value([1.0]).T


def test_products_as_methods():
    a, b = tg.Value([1.0, 2.0]), tg.Value([3.0, 5.0])
    assert float(a.dot(b)) == float(a @ b) == 13.0
    assert a.outer(b).data.tolist() == [[3.0, 5.0], [6.0, 10.0]]


# --- kinds of numbers


def test_astype():
    for x, dtype in (
        (np.array([0.1, 2.0]), np.float32),
        (np.array([0.1, 2.0], dtype=np.float32), np.float64),
        (array_api_strict.asarray([0.1, 2.0]), array_api_strict.float32),
        (tg.nd.asarray([0.1, 2.0]), tg.nd.dtypes.decimal(30)),
        (tg.nd.exact([0.5, 2.0]), tg.nd.float64),
    ):
        v = tg.Value(x)
        y = tg.astype(v, dtype)
        assert y.dtype == dtype
        g = tg.grad(tg.sum(y * y), v, create_graph=True)
        assert_same_kind(g.data, x)
        assert_close(g, read(x) * 2, 1e-7)
        assert_same_kind(tg.grad(tg.sum(g), v), x)
    single = tg.Value(3.0)
    assert tg.grad(tg.astype(single, tg.nd.dtypes.decimal(30)), single) == 1.0


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.complex128])
def test_astype_gives_floats_only(dtype):
    for x in (np.ones(2), tg.Value(np.ones(2))):
        with pytest.raises(TypeError, match=r"^astype: .* is no type of floats"):
            tg.astype(x, dtype)


def test_astype_of_another_library():
    with pytest.raises(TypeError, match=r"^astype: "):
        tg.astype(tg.Value([1.0]), np.float32)
    with pytest.raises(TypeError, match=r"^astype: "):
        tg.astype(tg.Value([1.0]), "float64")


@pytest.mark.parametrize("kind", ARRAYS, ids=repr)
def test_between_a_float_and_an_array(kind):
    from tinygrad_sm.ops.shapes import as_array, as_float

    x = tg.Value(kind(1.25))
    y = as_float(x)
    assert type(y.data) is float
    g = tg.grad(y * y, x, create_graph=True)
    assert_same_kind(g.data, x.data)
    assert_close(g, 2.5, 0)
    assert_close(tg.grad(g, x), 2.0, 0)
    single = tg.Value(1.25)
    for like in (kind(0.0), kind(np.zeros((2, 3)))):
        z = as_array(single, like=like)
        assert_same_kind(z.data, like)
        g = tg.grad(tg.sum(z * z), single, create_graph=True)
        assert type(g.data) is float
        assert g.data == 2.5 * z.size
        assert tg.grad(g, single) == 2.0 * z.size
