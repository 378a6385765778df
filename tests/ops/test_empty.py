"""Arrays without elements or without axes: a defined result with a gradient of the right shape, or a sentence."""

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.kinds import EXACT, OWN, assert_close, assert_same_kind, every_array
from tests.ops.table import BINARY, UNARY
from tinygrad_sm.ops import gathering

nan = float("nan")

# name, call, shapes of the operands, and the result (a shape, or numbers), or the error
NOTHING = [
    *((name, call, ((0, 3),), (0, 3)) for name, (call, *_) in UNARY.items()),
    *((name, call, ((0, 3), (0, 3)), (0, 3)) for name, (call, *_) in BINARY.items()),
    ("sum", tg.sum, ((0, 3),), 0.0),
    ("sum", lambda x: tg.sum(x, axis=0), ((0, 3),), [0.0, 0.0, 0.0]),
    ("sum", lambda x: tg.sum(x, axis=1), ((0, 3),), (0,)),
    ("sum", lambda x: tg.sum(x, axis=(), keepdims=True), ((0, 3),), (0, 3)),
    ("mean", tg.mean, ((0, 3),), nan),
    ("mean", lambda x: tg.mean(x, axis=0), ((0, 2),), [nan, nan]),
    ("mean", lambda x: tg.mean(x, axis=1), ((0, 3),), (0,)),
    ("max", tg.max, ((0, 3),), ValueError),
    ("min", lambda x: tg.min(x, axis=0), ((0, 3),), ValueError),
    ("max", lambda x: tg.max(x, axis=1), ((0, 3),), (0,)),
    ("prod", tg.prod, ((0, 3),), 1.0),
    ("prod", lambda x: tg.prod(x, axis=0), ((0, 2),), [1.0, 1.0]),
    ("prod", lambda x: tg.prod(x, axis=1), ((0, 3),), (0,)),
    ("var", tg.var, ((0, 3),), nan),
    ("var", lambda x: tg.var(x, axis=1), ((0, 3),), (0,)),
    ("std", tg.std, ((0, 3),), nan),
    ("std", lambda x: tg.std(x, axis=1, keepdims=True), ((0, 3),), (0, 1)),
    ("norm", tg.norm, ((0, 3),), 0.0),
    ("norm", lambda x: tg.norm(x, axis=0), ((0, 2),), [0.0, 0.0]),
    ("norm", lambda x: tg.norm(x, axis=1), ((0, 3),), (0,)),
    ("cumulative_sum", lambda x: tg.cumulative_sum(x, axis=0), ((0, 3),), (0, 3)),
    ("sort", tg.sort, ((3, 0),), (3, 0)),
    ("sort", lambda x: tg.sort(x, axis=0, descending=True), ((0, 3),), (0, 3)),
    ("reshape", lambda x: tg.reshape(x, (3, 0, 2)), ((0, 3),), (3, 0, 2)),
    ("reshape", lambda x: tg.reshape(x, (0, -1)), ((0, 3),), ValueError),
    ("flatten", tg.flatten, ((0, 3),), (0,)),
    ("permute_dims", lambda x: tg.permute_dims(x, (1, 0)), ((0, 3),), (3, 0)),
    ("matrix_transpose", tg.matrix_transpose, ((0, 3),), (3, 0)),
    ("broadcast_to", lambda x: tg.broadcast_to(x, (2, 0, 3)), ((0, 3),), (2, 0, 3)),
    ("broadcast_to", lambda x: tg.broadcast_to(x, (0, 3)), ((1, 3),), (0, 3)),
    ("expand_dims", lambda x: tg.expand_dims(x, axis=1), ((0, 3),), (0, 1, 3)),
    ("squeeze", tg.squeeze, ((1, 0),), (0,)),
    ("flip", tg.flip, ((0, 3),), (0, 3)),
    ("tril", tg.tril, ((0, 3),), (0, 3)),
    ("concat", lambda x, y: tg.concat([x, y]), ((0, 3), (2, 3)), (2, 3)),
    ("concat", lambda x, y: tg.concat([x, y]), ((0, 3), (0, 3)), (0, 3)),
    ("stack", lambda x, y: tg.stack([x, y], axis=1), ((0, 3), (0, 3)), (0, 2, 3)),
    ("split", lambda x: tg.split(x, 2)[1], ((0, 3),), (0, 3)),
    ("split", lambda x: tg.split(x, [0, 0])[1], ((2, 3),), (0, 3)),
    ("matmul", tg.matmul, ((0, 3), (3, 2)), (0, 2)),
    ("matmul", tg.matmul, ((2, 0), (0, 1)), [[0.0], [0.0]]),
    ("dot", tg.dot, ((0,), (0,)), 0.0),
    ("outer", tg.outer, ((0,), (3,)), (0, 3)),
    ("einsum", lambda x, y: tg.einsum("ij,jk->ik", x, y), ((1, 0), (0, 2)), [[0.0, 0.0]]),
    ("getitem", lambda x: gathering.getitem(x, key=slice(0, 0)), ((2, 3),), (0, 3)),
    ("getitem", lambda x: gathering.getitem(x, key=([],)), ((2, 3),), (0, 3)),
    ("getitem", lambda x: gathering.getitem(x, key=(slice(None), [])), ((2, 3),), (2, 0)),
    ("getitem", lambda x: gathering.getitem(x, key=0), ((0, 3),), IndexError),
    ("take", lambda x: tg.take(x, [], axis=1), ((2, 3),), (2, 0)),
    ("take", lambda x: tg.take(x, [0], axis=0), ((0, 3),), IndexError),
    ("take_along_axis", lambda x: tg.take_along_axis(x, [[], []], axis=1), ((2, 3),), (2, 0)),
]
# the same for single numbers
SINGLE = [
    ("sum", lambda x: tg.sum(x, axis=()), 2.0),
    ("std", tg.std, 0.0),
    ("sort", tg.sort, ValueError),
    ("reshape", lambda x: tg.reshape(x, ()), 2.0),
    ("flatten", tg.flatten, [2.0]),
    ("permute_dims", lambda x: tg.permute_dims(x, ()), 2.0),
    ("matrix_transpose", tg.matrix_transpose, ValueError),
    ("broadcast_to", lambda x: tg.broadcast_to(x, ()), 2.0),
    ("expand_dims", lambda x: tg.expand_dims(x, axis=0), [2.0]),
    ("squeeze", tg.squeeze, 2.0),
    ("flip", tg.flip, 2.0),
    ("tril", tg.tril, ValueError),
    ("concat", lambda x: tg.concat([x]), ValueError),
    ("stack", lambda x: tg.stack([x, x]), [2.0, 2.0]),
    ("split", lambda x: tg.split(x, 1), ValueError),
    ("matmul", lambda x: tg.matmul(x, x), ValueError),
    ("dot", lambda x: tg.dot(x, x), ValueError),
    ("outer", lambda x: tg.outer(x, x), ValueError),
    ("einsum", lambda x: tg.einsum(",", x, x), 4.0),
    ("getitem", lambda x: gathering.getitem(x, key=()), 2.0),
    ("getitem", lambda x: gathering.getitem(x, key=...), 2.0),
    ("getitem", lambda x: gathering.getitem(x, key=None), [2.0]),
    ("getitem", lambda x: gathering.getitem(x, key=0), IndexError),
    ("take", lambda x: tg.take(x, 0, axis=0), ValueError),
    ("take_along_axis", lambda x: tg.take_along_axis(x, [0], axis=0), ValueError),
]


def check(name, call, xs, want):
    values = [tg.Value(x) for x in xs]
    if isinstance(want, type):
        with pytest.raises(want, match=rf"^{name}: ") as caught:
            call(*values)
        assert "unpack" not in str(caught.value)
        return
    output = call(*values)
    if isinstance(want, tuple):
        assert output.shape == want
    else:
        assert_close(output, np.array(want), 0)
    plain = call(*xs)
    assert tuple(getattr(plain, "shape", ())) == output.shape
    for x, g in zip(xs, tg.grad(tg.sum(output), values, create_graph=True), strict=True):
        assert_same_kind(g.data, x)
    for x, g in zip(xs, tg.grad(tg.sum(output), values), strict=True):
        assert_same_kind(g, x)


@every_array
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")  # numpy's, of the mean of nothing
@pytest.mark.parametrize(("name", "call", "shapes", "want"), NOTHING)
def test_no_elements(name, call, shapes, want, kind):
    check(name, call, [kind(np.ones(shape)) for shape in shapes], want)


@every_array
@pytest.mark.parametrize(("name", "call", "want"), SINGLE)
def test_no_axes(name, call, want, kind):
    check(name, call, [kind(2.0)], want)


@pytest.mark.parametrize(("name", "call", "want"), SINGLE)
def test_python_floats(name, call, want):
    check(name, call, [2.0], want)


@pytest.mark.parametrize("x", [2.0, OWN(2.0), EXACT(2.0)], ids=repr)  # numpy lets an axis of a number pass
def test_a_number_has_no_axis(x):
    for op in (tg.sum, tg.mean, tg.max, tg.min, tg.prod, tg.var, tg.std, tg.norm, tg.cumulative_sum, tg.flip, tg.argmax):
        for axis in (0, -1):
            with pytest.raises(tg.AxisError, match=rf"^{op.__name__}: .* 0-d input"):
                op(x, axis=axis)


@every_array
def test_plain_functions_of_nothing(kind):
    assert tuple(tg.argsort(kind(np.ones((0, 3)))).shape) == (0, 3)
    assert tuple(tg.argmax(kind(np.ones((0, 3))), axis=1).shape) == (0,)
    assert tuple(tg.equal(kind(np.ones((0, 3))), 1.0).shape) == (0, 3)
    assert int(tg.argmax(kind(2.0))) == 0
    for call in (lambda x: tg.argmax(x), lambda x: tg.argmax(x, axis=0)):
        with pytest.raises(ValueError, match=r"^argmax: "):
            call(kind(np.ones((0, 3))))
    assert tuple(tg.one_hot([], 3).shape) == (0, 3)
