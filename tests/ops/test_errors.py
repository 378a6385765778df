"""What does not fit is a sentence that names the op, and the shapes where they are to blame; nothing else ever comes out."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.kinds import NUMPY, OWN, STRICT, every_array
from tests.ops.table import BINARY, CASES, REDUCTIONS, UNARY
from tinygrad_sm.ops import METHODS, gathering, linalg, shapes

NAMES = sorted({case.name for case in CASES} | {"argmax", "argsort", "equal", "one_hot", "astype"})


def function(name):
    for module in (tg, gathering, linalg, shapes):
        if hasattr(module, name):
            return getattr(module, name)
    raise LookupError(name)


# name, call on arrays of ones, their shapes
MISFITS = [
    *((name, BINARY[name][0], ((2, 3), (2, 4))) for name in BINARY),
    *((name, BINARY[name][0], ((3,), (3, 2))) for name in BINARY),
    ("equal", tg.equal, ((2, 3), (2, 4))),
    ("where", lambda a, b: tg.where(tg.equal(a, 1.0), a, b), ((2, 3), (4,))),
    ("matmul", tg.matmul, ((2, 3), (2, 3))),
    ("matmul", tg.matmul, ((3,), (2, 3))),
    ("matmul", tg.matmul, ((2, 3), (2,))),
    ("matmul", tg.matmul, ((2,), (3,))),
    ("matmul", tg.matmul, ((2, 2, 3), (3, 3, 2))),
    ("dot", tg.dot, ((2,), (3,))),
    ("dot", tg.dot, ((2, 3), (3,))),
    ("outer", tg.outer, ((2, 3), (3,))),
    ("concat", lambda a, b: tg.concat([a, b]), ((2, 3), (2, 4))),
    ("concat", lambda a, b: tg.concat([a, b]), ((2, 3), (3,))),
    ("stack", lambda a, b: tg.stack([a, b]), ((2, 3), (3, 2))),
    ("reshape", lambda x: tg.reshape(x, (4, 5)), ((2, 3),)),
    ("broadcast_to", lambda x: tg.broadcast_to(x, (2, 4)), ((2, 3),)),
    ("broadcast_to", lambda x: tg.broadcast_to(x, (3,)), ((2, 3),)),
    ("einsum", lambda a, b: tg.einsum("ij,jk->ik", a, b), ((2, 3), (2, 3))),
    ("einsum", lambda x: tg.einsum("ii->i", x), ((2, 3),)),
    ("einsum", lambda x: tg.einsum("ijk->i", x), ((2, 3),)),
    ("squeeze", lambda x: tg.squeeze(x, axis=0), ((2, 3),)),
    ("tril", tg.tril, ((3,),)),
    ("matrix_transpose", tg.matrix_transpose, ((3,),)),
    ("take", lambda x: tg.take(x, [0]), ((2, 3),)),
    ("take_along_axis", lambda x: tg.take_along_axis(x, [0], axis=0), ((2, 3),)),
    ("cumulative_sum", lambda x: tg.cumulative_sum(x), ((2, 3),)),
    ("permute_dims", lambda x: tg.permute_dims(x, (0,)), ((2, 3),)),
    ("permute_dims", lambda x: tg.permute_dims(x, (0, 0)), ((2, 3),)),
]


@every_array
@pytest.mark.parametrize(("name", "call", "given_shapes"), MISFITS)
def test_shapes_that_do_not_fit(name, call, given_shapes, kind):
    for make in (lambda x: x, tg.Value):
        with pytest.raises(ValueError, match=rf"^{name}: ") as caught:
            call(*(make(kind(np.ones(s))) for s in given_shapes))
        for shape in given_shapes:
            assert str(shape) in str(caught.value)


@every_array
@pytest.mark.parametrize("axis", [2, -3, (0, 5), (0, 0), 0.5, "a"], ids=repr)
@pytest.mark.parametrize("name", [*REDUCTIONS, "sort", "argsort", "cumulative_sum", "flip", "argmax", "expand_dims", "squeeze"])
def test_axes_that_are_none(name, axis, kind):
    if name == "expand_dims" and axis in (2, -3):
        return
    with pytest.raises((ValueError, TypeError, IndexError), match=rf"^{name}: "):
        function(name)(tg.Value(kind(np.ones((1, 3)))), axis=axis)


def test_two_libraries():
    one, other = tg.Value(NUMPY([1.0])), tg.Value(OWN([1.0]))
    for call in (
        lambda: one + other,
        lambda: tg.maximum(one, other),
        lambda: tg.where(np.array([True]), other, 0.0),
        lambda: tg.concat([one, other]),
        lambda: one @ other,
        lambda: tg.einsum("i,i", one, other),
        lambda: tg.equal(STRICT([1.0]), np.ones(1)),
        lambda: tg.take(other, STRICT([1.0])),
    ):
        with pytest.raises(TypeError, match=r"^\w+: arrays of two libraries, "):
            call()


def test_decimals_and_floats():
    with pytest.raises(TypeError, match=r"^add: .* decimals"):
        tg.Value([1.0]) + tg.Value(tg.nd.exact([1]))


@pytest.mark.parametrize("junk", ["1", b"1", None, {"a": 1.0}, {1.0}, 1j, ["a"], [None], [[1.0], [1.0, 2.0]]], ids=repr)
@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("getitem", "scatter", "einsum", "flatten")])
def test_operands_that_are_no_numbers(name, junk):
    """As the first operand, and as the second of those that take two."""
    op = function(name)
    settings = {
        "one_hot": {"num_classes": 2},
        "reshape": {"shape": 1},
        "permute_dims": {"axes": (0,)},
        "split": {"sections": 1},
    }
    settings = settings | {"broadcast_to": {"shape": (2,)}, "astype": {"dtype": tg.nd.float64}}
    x = tg.Value([1.0])
    second = {"take": [0], "take_along_axis": [0]}.get(name, x)
    calls = [lambda: op(junk, **settings.get(name, {}))]
    if name in BINARY or name in ("matmul", "dot", "outer", "equal", "take", "take_along_axis"):
        calls = [lambda: op(junk, second), lambda: op(x, junk)]
    if name == "where":
        calls = [lambda: op(True, junk, x), lambda: op(True, x, junk), lambda: op(junk, x, x)]
    if name in ("concat", "stack"):
        calls = [lambda: op([x, junk]), lambda: op([junk])]
    for call in calls:
        with pytest.raises((TypeError, ValueError), match=rf"^{name}: "):
            call()


@pytest.mark.parametrize("junk", ["1", None, {"a": 1.0}, b"1"], ids=repr)
def test_operators_leave_what_is_no_number_to_python(junk):
    x = tg.Value(1.0)
    for call in (lambda: x + junk, lambda: junk - x, lambda: x**junk, lambda: junk @ x, lambda: x / junk):
        with pytest.raises(TypeError, match=r"unsupported operand|must be str|can't concat"):
            call()


SETTINGS = [
    ("sum", {"axis": 0}),
    ("sum", {"keepdims": True}),
    ("var", {"correction": 1}),
    ("clip", {"min": 0.0}),
    ("elu", {"alpha": 1.0}),
    ("leaky_relu", {"negative_slope": 0.1}),
    ("reshape", {"shape": 1}),
    ("permute_dims", {"axes": 0}),
    ("sort", {"descending": 1}),
    ("flip", {"axis": 0}),
    ("tril", {"k": 0}),
    ("expand_dims", {"axis": 0}),
    ("broadcast_to", {"shape": 1}),
]


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_a_value_is_no_setting(name, setting):
    """It would lose its gradient."""
    ((key, number),) = setting.items()
    with pytest.raises(TypeError, match=rf"^{name}: {key} is a setting and has no gradient"):
        function(name)(tg.Value([[1.0]]), **{key: tg.Value(float(number))})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: tg.exp(), "exp: needs"),
        (lambda x: tg.exp(x, x), "exp: "),
        (lambda x: tg.add(x), "add: needs"),
        (lambda x: tg.sum(x, 0, False, 1), "sum: .* too many"),
        (lambda x: tg.sum(x, 0, axis=0), "sum: axis was given twice"),
        (lambda x: tg.sum(x, axes=0), "sum: has no axes"),
        (lambda x: tg.reshape(x), "reshape"),
        (lambda x: tg.reshape(x, "ab"), "reshape: "),
        (lambda x: tg.reshape(x, (-1, -1)), "reshape: 4 elements"),
        (lambda x: tg.reshape(x, (-2, -2)), "reshape: 4 elements"),
        (lambda x: tg.concat([]), "concat: "),
        (lambda x: tg.stack([]), "stack: "),
        (lambda x: tg.split(x, 0), "split: "),
        (lambda x: tg.split(x, 3), "split: axis 0 of size 2 does not split into 3"),
        (lambda x: tg.split(x, "a"), "split: "),
        (lambda x: tg.split(x, None), "split: "),
        (lambda x: tg.split(x, [2, 1]), "split: the indices"),
        (lambda x: tg.split(x, [5]), "split: the indices"),
        (lambda x: tg.split(x, 1, axis=4), "split: axis 4"),
        (lambda x: tg.einsum(1, x), "einsum: needs subscripts"),
        (lambda x: tg.einsum("ij,jk", x), "einsum: .* 1 operand"),
        (lambda x: tg.einsum("i1", x), "einsum: "),
        (lambda x: tg.einsum("ij->ik", x), "einsum: the result"),
        (lambda x: tg.einsum("ij->ii", x), "einsum: the result"),
        (lambda x: tg.einsum("...", x), "einsum: "),
        (lambda x: tg.einsum("ij", None), "einsum: "),
        (lambda x: tg.einsum("ij", "ab"), "einsum: "),
        (lambda x: tg.einsum("i", [tg.Value(1.0)]), "einsum: a list of Values"),
        (lambda x: tg.clip(x, min="a"), "clip: "),
        (lambda x: tg.elu(x, alpha="a"), "elu: "),
        (lambda x: tg.leaky_relu(x, negative_slope={}), "leaky_relu: "),
        (lambda x: tg.var(x, correction="a"), "var: "),
        (lambda x: tg.std(x, correction=None), "std: "),
        (lambda x: tg.tril(x, k="a"), "tril: "),
        (lambda x: tg.permute_dims(x, 1), "permute_dims: "),
        (lambda x: tg.broadcast_to(x, "a"), "broadcast_to: "),
        (lambda x: tg.one_hot([0]), "one_hot"),
        (lambda x: tg.one_hot([0], 3, 4), "one_hot: "),
        (lambda x: tg.argmax(x, axis=5), "argmax: "),
        (lambda x: tg.argsort(x, axis="a"), "argsort: "),
        (lambda x: tg.sum([tg.Value(1.0)]), "sum: a list of Values"),
    ],
)
def test_sentences(call, message):
    with pytest.raises((TypeError, ValueError), match=rf"^{message}"):
        call(tg.Value([[1.0, 2.0], [3.0, 4.0]]))


# --- anything at all

JUNK = [
    *(
        "words",
        None,
        {},
        {"x": 1},
        b"",
        1j,
        object(),
        (),
        [],
        [[]],
        [[1.0], 2.0],
        0,
        1,
        -1,
        2,
        10**30,
        0.5,
        float("nan"),
        float("inf"),
    ),
    *(True, (0, 1), (1, 0), (-1, 5), [1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]], [0, 1], slice(None), ..., "ij->ji", "i,i"),
    *(np.ones(2), np.ones((2, 2)), np.array([0, 1]), np.array([True, False]), np.float64(2.0), np.zeros((0, 2)), tg.nd.float64),
    *(OWN(np.ones(2)), OWN(np.ones((2, 2))), OWN(2.0), tg.nd.exact([1, 2]), STRICT([1.0, 2.0])),
    *(tg.Value(1.0), tg.Value([1.0, 2.0]), tg.Value([[1.0, 2.0], [3.0, 4.0]]), tg.Value(np.ones(2)), tg.Value(np.ones((2, 2)))),
    *(tg.Value(STRICT([1.0, 2.0])), tg.Value(np.zeros((0, 2)))),
]
KEYWORDS = "axis keepdims shape axes min max alpha descending correction k num_classes dtype key sections like x a b".split()


def fuzz(examples: int, names: list[str], call) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(
        st.sampled_from(names),
        st.lists(st.sampled_from(JUNK), max_size=4),
        st.dictionaries(st.sampled_from(KEYWORDS), st.sampled_from(JUNK), max_size=2),
    )
    def check(name, arguments, keywords):
        with np.errstate(all="ignore"):
            try:
                out = call(name, arguments, keywords)
            except (TypeError, ValueError, IndexError) as error:
                text = str(error)
                assert text
                assert not re.search("unpack|has no attribute", text), text
                return
            if isinstance(out, tg.Value) and out.requires_grad and out.size:
                tg.grad(tg.sum(out), [x for x in (*arguments, *keywords.values()) if isinstance(x, tg.Value)])

    check()


def of_function(name, arguments, keywords):
    return function(name)(*arguments, **keywords)


def of_method(name, arguments, keywords):
    return getattr(tg.Value(np.arange(4.0).reshape(2, 2)), name)(*arguments, **keywords)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
def test_wrong_arguments_are_errors_in_a_sentence():
    fuzz(400, NAMES, of_function)
    fuzz(200, sorted(METHODS), of_method)


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
def test_wrong_arguments_are_errors_in_a_sentence_at_length():
    fuzz(20_000, NAMES, of_function)
    fuzz(5_000, sorted(METHODS), of_method)


def test_unary_ops_take_one_operand():
    for name, (op, *_) in UNARY.items():
        if name not in ("clip", "elu", "leaky_relu"):
            with pytest.raises(TypeError, match=rf"^{name}: "):
                op(1.0, 2.0)


@pytest.mark.parametrize(
    ("x", "weight", "bias", "words"),
    [
        ([1.0, 2.0], [[1.0, 2.0, 3.0]], None, r"linear: inputs of shape \(2,\) and a weight of shape \(1, 3\)"),
        (1.0, [[1.0]], None, r"linear: inputs of shape \(\)"),
        ([1.0, 2.0], [1.0, 2.0], None, r"linear: .* a weight of shape \(2,\); \(..., n\) and \(m, n\) would fit"),
        (
            [1.0, 2.0],
            [[1.0, 2.0]],
            [0.0, 0.0],
            r"linear: a bias of shape \(2,\) for a weight of shape \(1, 2\); it should be \(1,\)",
        ),
        ([1.0, 2.0], [[1.0, 2.0]], 0.0, r"linear: a bias of shape \(\)"),
    ],
)
def test_a_layer_that_does_not_fit(x, weight, bias, words):
    with pytest.raises(ValueError, match=words):
        tg.linear(x, weight) if bias is None else tg.linear(x, weight, bias=bias)
