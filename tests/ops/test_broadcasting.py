"""Operands of different shapes: the gradient of each has its own shape, and sums what was repeated."""

from decimal import localcontext
from math import prod

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.kinds import ARRAYS, EXACT, WIDE, assert_close, assert_same_kind, every_array, objects, read
from tests.ops.table import BINARY

PAIRS = [
    ((), (2, 3)),
    ((3,), (2, 3)),
    ((1, 3), (4, 3)),
    ((4, 1), (1, 3)),
    ((2, 1, 3), (4, 1)),
    ((1,), (3,)),
    ((1, 1), ()),
    ((0, 3), (3,)),
    ((0, 3), (1,)),
    ((1, 0), (2, 1)),
    ((), (0, 3)),
]
SHAPES = [*PAIRS, *((b, a) for a, b in PAIRS)]


def numbers(shape: tuple[int, ...], salt: int) -> np.ndarray:
    """Positive, and no two alike in one array or in two of different salt."""
    return np.reshape([((29 * i + 13 * salt) % 64 + 1 + salt / 4) / 16 for i in range(prod(shape))], shape)


def summed_to(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What broadcasting repeated, added up; written without axes in mind, place by place."""
    total = np.full(shape, 0, dtype=object)
    stretched = np.broadcast_to(np.reshape(np.arange(prod(shape)), shape), gradient.shape)
    with localcontext(WIDE):
        for place in np.ndindex(gradient.shape):
            total.ravel()[stretched[place]] += gradient[place]
    return total


def wanted(call, xs: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Value and gradients, from operands that already have the common shape; the gradient test of equal shapes covers those."""
    shape = np.broadcast_shapes(*(x.shape for x in xs))
    values = [tg.Value(EXACT(np.broadcast_to(x, shape))) for x in xs]
    output = call(*values)
    gradients = tg.grad(output, values, grad_output=EXACT(numbers(shape, 5)))
    return read(output), [summed_to(read(g), x.shape) for g, x in zip(gradients, xs, strict=True)]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_both_operands(name, shapes):
    call = BINARY[name][0]
    xs = [numbers(shape, salt) for salt, shape in enumerate(shapes)]
    value, gradients = wanted(call, xs)
    for kind in ARRAYS:
        values = [tg.Value(kind(x)) for x in xs]
        output = call(*values)
        assert_close(output, value, kind.tolerance, 0.1)
        recorded = tg.grad(output, values, grad_output=kind(numbers(output.shape, 5)), create_graph=True)
        output.backward(kind(numbers(output.shape, 5)))
        for x, g, want in zip(values, recorded, gradients, strict=True):
            assert_same_kind(x.grad, x.data)
            assert_close(x.grad, want, kind.tolerance * 10, 0.1)
            assert_close(g, want, kind.tolerance * 10, 0.1)
        if output.size:
            once_more = tg.grad(tg.sum(recorded[0]) + tg.sum(recorded[1]), values)
            for x, g in zip(values, once_more, strict=True):
                assert_same_kind(g, x.data)


@every_array
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 3)], ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_a_single_float_beside_an_array(name, shape, kind):
    """A Value of a Python float keeps a float's gradient, beside whatever array."""
    call, x, c = BINARY[name][0], numbers(shape, 0), 0.8125
    for flipped in (False, True):

        def ordered(a, b, flipped=flipped):
            return call(b, a) if flipped else call(a, b)

        value, (of_array, of_float) = wanted(ordered, [x, np.array(c)])
        array, single = tg.Value(kind(x)), tg.Value(c)
        output = ordered(array, single)
        assert_same_kind(output.data, kind(np.zeros(shape)))
        assert_close(output, value, kind.tolerance, 0.1)
        recorded = tg.grad(output, [array, single], grad_output=kind(numbers(shape, 5)), create_graph=True)
        plain = tg.grad(output, [array, single], grad_output=kind(numbers(shape, 5)))
        for first, second in (plain, recorded):
            assert_same_kind(getattr(first, "data", first) if first is recorded[0] else first, array.data)
            assert type(second if second is plain[1] else second.data) is float
            assert_close(first, of_array, kind.tolerance * 10, 0.1)
            # the float's own gradient is a float, also of decimals
            assert_close(second, of_float, max(kind.tolerance * 10, 1e-14), 1)


@every_array
def test_where_broadcasts_all_three(kind):
    a, b = tg.Value(kind([[1.0], [2.0]])), tg.Value(kind(5.0))
    mask = tg.equal(kind([1.0, 0.0, 1.0]), 1.0)
    out = tg.where(mask, a, b)
    assert_close(out, np.array([[1.0, 5.0, 1.0], [2.0, 5.0, 2.0]]), 0)
    weights = [[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]
    of_a, of_b = tg.grad(out, [a, b], grad_output=kind(weights))
    assert_close(of_a, np.array([[5.0], [40.0]]), 0)
    assert_close(of_b, np.array(18.0), 0)
    assert_same_kind(of_a, a.data)
    assert_same_kind(of_b, b.data)


@every_array
@pytest.mark.parametrize("condition", [True, False, 1, 0.0])
def test_where_takes_a_single_condition(kind, condition):
    a, b = tg.Value(kind([1.0, 2.0])), tg.Value(3.0)
    out = tg.where(condition, a, b)
    assert_close(out, np.array([1.0, 2.0] if condition else [3.0, 3.0]), 0)
    of_a, of_b = tg.grad(tg.sum(out), [a, b])
    assert_close(of_a, np.array([1.0, 1.0] if condition else [0.0, 0.0]), 0)
    assert of_b == (0.0 if condition else 2.0)


@pytest.mark.parametrize(
    ("first", "second"), [((2, 1, 2, 3), (4, 3, 2)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,)), ((1, 2, 3), (0, 3, 2))], ids=str
)
def test_batches_of_matrices(first, second):
    """The gradients of a broadcast product are those of the product repeated, added up."""
    x, y = numbers(first, 0), numbers(second, 1)
    want = np.matmul(x, y)
    g = numbers(want.shape, 5)
    batch = want.shape[: len(want.shape) - (len(first) > 1) - (len(second) > 1)]
    rows = np.broadcast_to(x[None, :] if len(first) == 1 else x, (*batch, *((1, 3) if len(first) == 1 else (2, 3))))
    columns = np.broadcast_to(y[:, None] if len(second) == 1 else y, (*batch, *((3, 1) if len(second) == 1 else (3, 2))))
    whole = np.reshape(g, (*batch, rows.shape[-2], columns.shape[-1]))
    of_rows, of_columns = whole @ np.swapaxes(columns, -1, -2), np.swapaxes(rows, -1, -2) @ whole
    of_x = summed_to(objects(of_rows[..., 0, :] if len(first) == 1 else of_rows), first)
    of_y = summed_to(objects(of_columns[..., 0] if len(second) == 1 else of_columns), second)
    for kind in ARRAYS:
        values = [tg.Value(kind(x)), tg.Value(kind(y))]
        out = values[0] @ values[1]
        assert_close(out, objects(want), max(kind.tolerance, 1e-12), 1)
        for value, got, wanted_gradient in zip(values, tg.grad(out, values, grad_output=kind(g)), (of_x, of_y), strict=True):
            assert_same_kind(got, value.data)
            assert_close(got, wanted_gradient.astype(float), max(kind.tolerance, 1e-12), 1)
