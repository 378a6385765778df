"""Wrong use gets a sentence: what was wrong, with the names and shapes in it, and never an error from the inside."""

import builtins
import re

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.every_op import CALLS, A, every_op, operation
from tinygrad_sm import nd

V = tg.Value
TWO, THREE, MATRIX = [1.0, 2.0], [1.0, 2.0, 3.0], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def result():
    """A Value of two elements that has a history."""
    return V(TWO) * 2.0


# What the user writes | the error | words of its message, with .* for some more between them.
CASES = """
# making a Value
V("3.5") | TypeError | Value: needs a number, a list or an array of numbers, not '3.5' (of type str)
V(None) | TypeError | Value: needs a number, a list or an array of numbers, not None
V({"a": 1.0}) | TypeError | Value: needs a number, a list or an array of numbers, not {'a': 1.0}
V({*range(99)}) | TypeError | ...
V(["a", "b"]) | TypeError | Value: an array holds numbers, not 'a'
V([1.0, None]) | TypeError | Value: an array holds numbers, not None
V([[1.0, 2.0], [3.0]]) | ValueError | Value: ragged lists: parts of shapes (1,) and (2,)
V(1j) | TypeError | Value: complex numbers are not supported, and got 1j
V(np.ones(2) * 1j) | TypeError | Value: needs real numbers, and got an array of complex128
V(np.asarray(["a"])) | TypeError | Value: needs real numbers, and got an array of <U1
V(np.asarray([None])) | TypeError | Value: needs real numbers, and got an array of object
V(True) | TypeError | Value: True is a truth value and no number to differentiate; write 1.0
V([True, False]) | TypeError | Value: an array of bools is a mask
V(V(1.0)) | TypeError | Value: this is a Value already; use v.detach()
V([V(1.0), V(2.0)]) | TypeError | Value: a list of Values; use tg.stack(...)
V([[1.0, V(1.0)]]) | TypeError | Value: a list of Values; use tg.stack(...)
# operands
V(TWO) + THREE | ValueError | add: shapes (2,) and (3,)
V(MATRIX) * V(TWO) | ValueError | multiply: shapes (2, 3) and (2,)
V(np.ones(2)) - np.ones(3) | ValueError | subtract: .*(2,) and (3,)
V(MATRIX) @ V(MATRIX) | ValueError | matmul: shapes (2, 3) and (2, 3) do not fit
V(MATRIX) @ 2.0 | ValueError | matmul: .*need at least one axis (use * for numbers)
tg.where([True, False], V(THREE), 0.0) | ValueError | where: .*(2,) .*(3,)
V(TWO) * np.ones(2) | TypeError | multiply: arrays of two libraries, tinygrad_sm.nd and numpy
V(TWO) * nd.exact(TWO) | TypeError | multiply: .*exact
V(1.0) + "a" | TypeError | unsupported operand .*'Value' and 'str'
tg.exp("a") | TypeError | exp: needs a number, a list or an array of numbers, not 'a'
V(1.0) * None | TypeError | unsupported operand .*'Value' and 'NoneType'
tg.exp(None) | TypeError | exp: needs a number, .*not None
V(1.0) * 1j | TypeError | multiply: complex numbers are not supported, and got 1j
tg.sum([V(1.0), V(2.0)]) | TypeError | sum: a list of Values; use tg.stack(...)
V(TWO) + [V(1.0), 2.0] | TypeError | add: a list of Values; use tg.stack(...)
V(TWO) + [[1.0], TWO] | ValueError | add: ragged lists
V(2.0) ** "2" | TypeError | unsupported operand .*'Value' and 'str'
V(2.0) // 2 | TypeError | unsupported operand
np.exp(V(np.ones(2))) | TypeError | Value
np.asarray(V(TWO)) | TypeError | v.data
# arguments
V(TWO).sum(dim=0) | TypeError | sum: has no dim; it takes (x, axis, keepdims)
tg.softmax(TWO, dim=-1) | TypeError | softmax: has no dim; it takes (z, axis
tg.exp(1.0, 2.0) | TypeError | exp: 2 arguments are too many; it takes (x)
tg.multiply(1.0) | TypeError | multiply: needs (a, b), and got 1 input
tg.exp() | TypeError | exp: needs (x), and got 0 input
tg.cross_entropy(TWO) | TypeError | cross_entropy: needs (logits, targets
tg.exp(1.0, x=2.0) | TypeError | exp: x was given twice
V(TWO).sum(0, axis=0) | TypeError | sum: axis was given twice
V(TWO).sum(axis=V(0.0)) | TypeError | sum: axis is a setting and has no gradient; give plain data
tg.maximum(TWO) | TypeError | maximum: needs (a, b), and got 1 input
# axes and shapes
V(MATRIX).sum(axis=2) | AxisError | sum: axis 2 is out of range for 2 dimension(s), from -2 to 1
tg.softmax(MATRIX, axis=-3) | AxisError | softmax: axis -3 is out of range for 2
V(np.ones(2)).mean(axis=1) | AxisError | mean: axis 1 is out of
V(MATRIX).sum(axis=0.5) | TypeError | sum: an axis is an int, not 0.5
V(MATRIX).sum(axis=(0, 0)) | ValueError | sum: the same axis twice in (0, 0)
tg.softmax(V(1.0)) | AxisError | softmax: axis -1 of a 0-d input, which has no axes
V(THREE).reshape(2, 2) | ValueError | reshape: 3 elements of shape (3,) do not fit shape (2, 2)
V(THREE).reshape(-1, -1) | ValueError | reshape: .*(-1, -1)
V(THREE).reshape("a") | TypeError | a shape is an int or a tuple of ints, not 'a'
tg.broadcast_to(V(THREE), (2, 2)) | ValueError | broadcast_to: .*(3,).*(2, 2)
V(MATRIX).permute_dims((0, 0)) | ValueError | permute_dims
V(MATRIX).squeeze(axis=0) | ValueError | squeeze: .*axis 0
V(TWO).T | ValueError | T is for matrices and this Value has shape (2,)
V(TWO).mT | ValueError | matrix_transpose: swaps the last two axes, and shape (2,)
tg.concat([V(MATRIX), V(THREE)]) | ValueError | concat: shapes (2, 3) and (3,)
tg.stack([V(TWO), V(THREE)]) | ValueError | stack: .*(2,).*(3,)
tg.concat([]) | ValueError | concat: no arrays
tg.split(V(THREE), 2) | ValueError | split: axis 0 of size 3 does not split into 2
tg.einsum("ij,jk->ik", V(MATRIX), V(MATRIX)) | ValueError | einsum: .*'j'.*3.*2
tg.dot(V(MATRIX), V(MATRIX)) | ValueError | dot: takes two vectors, and got shapes (2, 3) and (2, 3)
# indices
V(TWO)[7] | IndexError | index 7 is out of range for axis 0
V(np.ones(2))[7] | IndexError | index 7 is out of
V(TWO)[0, 0] | IndexError | 2 indices
V(1.0)[0] | IndexError | shape ()
V(TWO)["a"] | TypeError | an index is an int, a slice, ..., None or an array of ints or bools, not 'a'
V(TWO)[V(0.0)] | TypeError | not a Value
V(TWO)[0] = 1.0 | TypeError | a Value never changes in place: build a new one
V(TWO)[0] += 1.0 | TypeError | tg.where(mask, new, old)
tg.take(V(TWO), [0, 2]) | IndexError | take: index 2 is out of range for an axis of size 2
tg.take(V(TWO), [0.0]) | TypeError | take: indices are ints
tg.one_hot([0, 3], 3) | IndexError | one_hot: index 3 is out of range
# numbers of one element
float(V(TWO)) | ValueError | only a Value of one element is a number, and this one has shape (2,)
int(V(TWO)) | ValueError | only a Value of one element is a number
V(TWO).item() | ValueError | only a Value of one element is a number
f"{V(TWO):.2f}" | ValueError | only a Value of one element is a number
bool(V(TWO)) | ValueError | the truth of shape (2,) is ambiguous; .*tg.equal
1 if V(TWO) else 2 | ValueError | the truth of shape (2,) is ambiguous
len(V(1.0)) | TypeError | a Value that is a single number has no len()
[*V(1.0)] | TypeError | a Value that is a single number has no elements
max(V(1.0)) | TypeError | a Value that is a single number has no elements
# comparing
V(1.0) == 1.0 | TypeError | tg.equal(v, x) compares the numbers
1 == V(1.0) | TypeError | tg.equal
V(1.0) != 1.0 | TypeError | tg.equal
V(TWO) == TWO | TypeError | tg.equal
V(np.ones(2)) == np.ones(2) | TypeError | tg.equal
np.ones(2) == V(np.ones(2)) | TypeError | tg.equal
1.0 in [V(1.0)] | TypeError | tg.equal
1.0 in V(TWO) | TypeError | tg.equal
V(1.0) < "a" | TypeError | '<' not supported
V(TWO) < THREE | ValueError | less: shapes (2,) and (3,)
# going back
result().backward() | ValueError | backward: the output has shape (2,); reduce it to one number first
result().backward(THREE) | ValueError | backward: a gradient of shape (3,) for shape (2,)
V(1.0).backward(TWO) | ValueError | backward: a gradient of shape (2,) for shape ()
V(1.0).backward("a") | TypeError | backward: needs a number, .*not 'a'
V(1.0, requires_grad=False).backward() | ValueError | backward: .*depends on nothing that requires
no_grad_result().backward() | ValueError | backward: .*depends on nothing that requires
tg.grad(result(), V(1.0)) | ValueError | grad: the output has shape (2,); reduce it to one number first
tg.grad(result(), V(1.0), grad_output=MATRIX) | ValueError | grad: a gradient of shape (2, 3) for
tg.grad(result(), V(1.0), grad_output=np.ones(2)) | TypeError | grad: arrays of two libraries
tg.grad(3.0, V(1.0)) | TypeError | grad: needs a Value computed from Values, not 3.0
tg.grad(V(1.0) * 2, 3.0) | TypeError | grad: differentiates with respect to Values, and got 3.0
tg.grad(V(1.0) * 2, TWO) | TypeError | grad: differentiates with respect to Values, and got 1.0
V(TWO).grad = THREE | ValueError | grad: a gradient of shape (3,) for shape (2,)
V(TWO).grad = "a" | TypeError | grad: needs a number
V(TWO).data = THREE | ValueError | data: shape (3,) for a Value of shape (2,)
result().data = TWO | AttributeError | the result of multiply
V(TWO).data = "a" | TypeError | data: needs a number
V(TWO).shape = (1, 2) | AttributeError | shape
V(1.0).gradient | AttributeError | 'Value' object has no attribute 'gradient'
tg.hessian(lambda x: x * 2, TWO) | ValueError | the output has shape (2,)
tg.value_and_grad(lambda x: x * 2)(TWO) | ValueError | the output has shape (2,)
tg.jvp(lambda x: x * 2, TWO, THREE) | ValueError | jvp: a gradient of shape (3,) for shape (2,)
tg.vjp(lambda x: x * 2, TWO, THREE) | ValueError | a gradient of shape (3,) for shape (2,)
tg.jacobian(lambda x: [x[0], x[1]], TWO) | TypeError | the function's result: a list of Values; use tg.stack
tg.jacobian(lambda x: None, TWO) | TypeError | the function's result: needs a number
tg.jacobian(lambda x: x, "a") | TypeError | jacobian: needs a number
# the family
tg.softmax([True, False]) | TypeError | softmax: got booleans, which look like a mask
tg.cross_entropy(MATRIX, [0, 3]) | LabelError | label 3 at position 1 is out of range for 3 classes, 0 to 2
tg.cross_entropy(MATRIX, [-1, 0]) | LabelError | label -1 at position 0 is out of range for 3 classes
tg.cross_entropy(THREE, 3) | LabelError | label 3 is out of range for 3 classes
tg.cross_entropy(MATRIX, [0.0, 1.0]) | TypeError | floats of shape (2,)
tg.cross_entropy(MATRIX, [[0], [1]]) | ValueError | class indices of shape (2, 1) for logits of shape (2, 3)
tg.cross_entropy(MATRIX, [True, False]) | TypeError | not bool
tg.cross_entropy(MATRIX, [[1, 0, 0], [0, 1, 0]]) | ValueError | one-hot targets.*give floats
tg.cross_entropy(MATRIX, [0]) | ValueError | class indices of shape (1,) for logits of shape (2, 3)
tg.cross_entropy(TWO, [-0.5, 1.5]) | ValueError | target probabilities are not negative
tg.cross_entropy(MATRIX, None) | TypeError | cross_entropy: needs a number
tg.cross_entropy(MATRIX, [0, 1], reduction="avg") | ValueError | reduction is one of .*, not 'avg'
tg.binary_cross_entropy(TWO, [0.0, 2.0]) | ValueError | targets are between 0 and 1
tg.binary_cross_entropy(TWO, THREE) | ValueError | targets of shape (3,) for logits of shape (2,)
# ops of one's own
tg.primitive(3) | TypeError | an op is made of a Python function, forward(xp, *inputs, **settings)
tg.fused(len) | TypeError | an op is made of a Python function
"""


def no_grad_result():
    with tg.no_grad():
        return V(1.0) * 2.0


def words_of(text):
    """The words as a pattern: only .* is special."""
    return ".*".join(map(re.escape, text.split(".*")))


ROWS = [line.split(" | ") for line in CASES.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(("written", "error", "words"), ROWS, ids=[row[0] for row in ROWS])
def test_wrong_use(written, error, words):
    wanted = {"AxisError": tg.AxisError, "LabelError": tg.LabelError}.get(error) or getattr(builtins, error)
    with pytest.raises(wanted, match=words_of(words)) as caught:
        exec(written, globals())
    assert caught.type is wanted  # and not a class below


def test_label_error_tells_the_label_its_place_and_the_number_of_classes():
    with pytest.raises(tg.LabelError) as caught:
        tg.cross_entropy(MATRIX, [0, 7])
    error = caught.value
    assert (error.label, error.position, error.classes) == (7, (1,), 3)
    assert isinstance(error, IndexError) and isinstance(error, ValueError)


BAD = ["text", b"bytes", None, {}, {1.0}, object(), 1j, ["a"], [None], [[1.0], [1.0, 2.0]], [V(1.0)], lambda: 1.0]


@pytest.mark.parametrize("name", every_op())
def test_every_op_refuses_what_is_no_number_in_every_place(name):
    inputs, settings = CALLS.get(name, ((A,), {}))
    for place in range(len(inputs)):
        for bad in BAD:
            if bad is None and (name, place) == ("linear_cross_entropy", 2):
                continue  # there need be no bias
            given = [bad if i == place else x for i, x in enumerate(inputs)]
            if operation(name).variadic:
                given = [given]
            with pytest.raises((TypeError, ValueError), match=f"^{name}: "):
                operation(name)(*given, **settings)


@pytest.mark.parametrize("name", [name for name in every_op() if "axis" in operation(name).setting_names])
@pytest.mark.parametrize("library", [nd, np], ids=["nd", "numpy"])
def test_every_op_refuses_what_is_no_axis(name, library):
    inputs, settings = CALLS.get(name, ((A,), {}))
    given = [library.asarray(x) for x in inputs]
    for axis in ("text", 0.5, 9, -9, (0, 0), object(), V(1.0)):
        with pytest.raises((TypeError, ValueError), match=f"^{name}: "):
            operation(name)(*([given] if operation(name).variadic else given), **settings | {"axis": axis})


def test_an_update_in_place_under_no_grad_is_refused_and_changes_nothing():
    w = p = tg.Value([1.0, 2.0])
    with tg.no_grad(), pytest.raises(TypeError, match=r"write p\.data = p\.data - lr \* p\.grad"):
        w -= 0.5
    assert w is p and w.data.tolist() == [1.0, 2.0]
    w -= 0.5  # elsewhere it is a new Value
    assert w.op.name == "subtract"
    with tg.no_grad():
        w -= 0.5
    assert w.data.tolist() == [0.0, 1.0]
