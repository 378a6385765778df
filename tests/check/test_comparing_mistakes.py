"""compare: mistakes of a caller, and of who wrote the op, each answered in a sentence that says whose it is."""

import math

import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd
from tinygrad_sm.check import compare


def test_only_fused_ops_are_compared():
    for op in (tg.exp, math.exp, lambda x: x, "softmax"):
        with pytest.raises(TypeError, match=r"compare: .*tg.gradcheck"):
            compare(op, [1.0])


def through_text(xp, x):
    return x * float(f"{x.data.tolist()[0]:e}") if isinstance(x.data.tolist()[0], float) else x * "no float"


@pytest.mark.parametrize(
    ("op", "inputs", "keywords", "error", "words"),
    [
        (tg.softmax, ([1.0],), {"order": 3}, ValueError, "order is 1 or 2"),
        (tg.softmax, ([1.0],), {"params": {"dim": 0}}, TypeError, "softmax has no dim"),
        (tg.softmax, ([],), {}, ValueError, "no elements"),
        (tg.softmax, ([[1.0, 2.0], [3.0]],), {}, ValueError, "length|shape|nested"),
        (tg.cross_entropy, ([1.0, 2.0], 7), {}, IndexError, "7"),
        (tg.fused(through_text), ([1.0],), {}, TypeError, "through_text does not run on decimals.*tg.gradcheck"),
        (tg.softmax, ([1.0],), {"params": ["axis"]}, TypeError, "params is a dictionary of the keywords of softmax"),
        (tg.softmax, ([1.0],), {"limit": 0}, ValueError, "limit is how many units.*not 0"),
        (tg.softmax, ([1.0],), {"limit": math.nan}, ValueError, "limit is how many units.*not nan"),
        (tg.softmax, ([1.0],), {"limit": "8"}, ValueError, "limit is how many units.*not '8'"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(op, inputs, keywords, error, words):
    with pytest.raises(error, match=words):
        compare(op, *inputs, **keywords)


def op_with(body=lambda xp, x: xp.exp(x), rule=lambda xp, g, out, x: g * out, kernel=None, **options):
    op = tg.fused(**options)(body) if options else tg.fused(body)
    op.name = op.__name__ = "mine"
    op.backward(rule)
    if kernel is not None:
        op.kernel(nd.Array)(kernel)
    return op


unruly = tg.primitive(lambda xp, x: xp.exp(x))
FAILS = {
    "a name in the rule": (op_with(rule=lambda xp, g, out, x: g * nowhere), "the rule of mine failed: NameError: name"),  # noqa: F821
    "its signature": (op_with(rule=lambda xp, g: g), "the rule of mine failed: TypeError: .* positional"),
    "a function xp lacks": (
        op_with(rule=lambda xp, g, out, x: xp.gamma(x)),
        "the rule of mine failed: AttributeError: .*gamma",
    ),
    "a shape": (op_with(rule=lambda xp, g, out, x: xp.reshape(g, (7,))), "the rule of mine failed: ValueError: reshape"),
    "what it returns": (op_with(rule=lambda xp, g, out, x: (g, g)), r"^the rule of mine returned 2 gradient\(s\)"),
    "when it records": (
        op_with(rule=lambda xp, g, out, x: g * out if isinstance(g, nd.Array) else g / {}["key"]),
        "the rule of mine failed: KeyError: 'key'",
    ),
    "the rule of the rule": (
        op_with(rule=lambda xp, g, out, x: g * op_with(rule=lambda *_: {}["key"])(x)),
        "the rule of mine failed: KeyError: 'key'",
    ),
    "the body": (op_with(body=lambda xp, x: xp.exp(x) * nowhere), "the forward of mine failed: NameError: name"),  # noqa: F821
    "the kernel": (op_with(kernel=lambda x: {}["key"]), "the forward of mine failed: KeyError: 'key'"),
    "its text": (op_with(kernel=lambda x: len(0)), "^mine: object of type 'int' has no len"),
    "a primitive in the body": (op_with(body=lambda xp, x: unruly(x)), "mine's definition on decimals failed: .*has no rule"),
    "conditioned": (
        op_with(rule=lambda xp, g, out, x: g, conditioned=lambda name, x: {}["key"]),
        "conditioned of mine failed: KeyError: 'key'",
    ),
}


@pytest.mark.parametrize(("op", "words"), FAILS.values(), ids=FAILS)
def test_mistakes_in_an_op_are_told_as_its_own(op, words):
    order = 1 if "definition" in words else 2
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        compare(op, [1.0, 2.0], order=order)
    assert "mine" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("row", ["one", ("one",), 7, ("one", [1.0], ["axis"])], ids=str)
def test_hard_inputs_of_another_form_are_told(row):
    op = op_with()
    op.hard_inputs(lambda: [row])
    with pytest.raises((TypeError, ValueError), match=r"compare: @mine.hard_inputs, which yields \(name, inputs\)"):
        compare(op)


def test_without_a_rule_the_gradient_is_that_of_the_body():
    bare = tg.fused(lambda xp, x: xp.exp(x) * 2.0)
    assert compare(bare, [1.0, -2.0], order=2).max_ulp.keys() == {"value", "grad", "second"}
    comparison = compare(tg.fused(lambda xp, x: xp.log(1.0 + xp.exp(x))), [-30.0])
    assert not comparison and {x.quantity for x in comparison.findings if x.ulp > 8.0} == {"value"}

    @tg.primitive
    def picky(xp, x):
        return xp.exp(x)

    picky.vjps(lambda xp, g, out, x: g * out if isinstance(g, nd.Decimals) else {}["key"])

    @tg.fused
    def careless(xp, x):
        return picky(x)

    with pytest.raises(TypeError, match="the gradient of careless failed: KeyError: 'key'"):
        compare(careless, [1.0])
