"""`tinygrad-sm ops`: what it says of every op, in 80 columns, and of a name that is none."""

import io

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

import tinygrad_sm as tg
from tests.helpers.every_op import every_op, operation
from tinygrad_sm.cli.ops import command, ops, rows, source_of, summary
from tinygrad_sm.cli.ops import every_op as listed

PARTS = {"above_tangent", "logits_apart", "softmax_difference", "softmax_slope"}  # what rules of the family share
NAMES = sorted({*every_op(), *PARTS})
ROWS = {name: (kind, what, rule) for kind, name, what, rule in rows()}


def printed(name=None, width=80):
    console = Console(file=io.StringIO(), width=width)
    command(console, name)
    return console.file.getvalue()


def words(text):
    """The text without the places where lines were broken."""
    return "".join(text.split())


def test_every_op_is_listed_once():
    assert sorted(name for _, name, _, _ in rows()) == NAMES
    assert all(op is operation(name) for name, (_, op) in listed().items() if name not in PARTS)


@pytest.mark.parametrize("name", NAMES)
def test_every_op_says_what_it_is_and_its_rule(name):
    kind, what, rule = ROWS[name]
    assert kind and what and rule, f"{name} needs a docstring that begins with a sentence and has a 'Rule: ...' in it"
    assert "Rule:" not in what + rule and not what.endswith(".") and not rule.endswith(".")
    docstring = words(listed()[name][1].__doc__)
    assert words(what) in docstring and words(f"Rule: {rule}.") in docstring


SOME = """
add | elementwise | a + b | g; g
sigmoid | softmax family: logistic | 1 / (1 + e^-z), element by element: the probability of yes, softmax([z, 0])[0] \
| g s(z) s(-z)
nll_loss | softmax family: cross entropies | The negative log-likelihood: minus the log-probability of the target class, from \
log-probabilities | -g at the target, 0 elsewhere
cumulative_sum | reductions | The sums of the first 1, 2, ... elements along `axis` | the sums of the last ... elements of g
getitem | gathering | x[key], for ints, slices, `...`, None and arrays of ints or bools | zeros with g added at [key]
"""


@pytest.mark.parametrize("line", SOME.strip().splitlines())
def test_some_rows(line):
    name, *row = line.split(" | ")
    assert ROWS[name] == tuple(row)


@pytest.mark.parametrize(
    ("docstring", "wanted"),
    [
        (None, ("", "")),
        ("Rule: g.", ("", "g")),
        ("Half of x. Rule: g / 2.", ("Half of x", "g / 2")),
        ("x * 0.5, see e.g.this.\n\n    Rule: g\n    / 2. And more.\n    ", ("x * 0.5, see e.g.this", "g / 2")),
        ("No rule here.", ("No rule here", "")),
        ("no sentence", ("", "")),
    ],
)
def test_sentences_are_found(docstring, wanted):
    def op(xp, x):
        return x

    op.__doc__ = docstring
    assert summary(tg.primitive(op)) == wanted


def test_one_table_a_kind_in_80_columns():
    text = printed()
    assert max(map(len, text.splitlines())) <= 80
    kinds = [line.strip() for line in text.splitlines() if line.strip() in {kind for kind, *_ in ROWS.values()}]
    assert len(kinds) == len({*kinds}) == len({kind for kind, *_ in ROWS.values()})
    for name in NAMES:
        assert any(line.split()[:1] == [name] for line in text.splitlines()), name  # whole, on one line
    assert "softmax([z," in text and "0])[0]" in text  # brackets are no markup


@pytest.mark.parametrize("name", [*tg.fused_ops, "add", "where", "max", "matmul", "concat", "as_float"])
def test_one_op_in_full(name):
    text, op = words(printed(name)), operation(name)
    assert text.startswith(words(f"{name}(")) and words(ROWS[name][0]) in text
    assert words(op.__doc__) in text
    assert words(f"Thedefinition,which{name}.composed") in text if name in tg.fused_ops else "Thedefinition" not in text
    assert "Therule:" in text


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_has_a_source(name):
    op = listed()[name][1]
    for rule in op.rules or [op.rule]:
        assert "xp, g" in source_of(rule)


def test_softmax_in_full():
    text = printed("softmax", width=200)
    for line in (
        "softmax(z, *, axis=-1, where=None, temperature=1.0)",
        "softmax family: probabilities",
        ">>> tg.softmax([0.0, 4.0, 5.0])",
        "def softmax(xp, z, where=None, temperature=1.0, *, axis=-1):",
        "@softmax.backward",
    ):
        assert line in [printed_line.rstrip() for printed_line in text.splitlines()], line
    assert "Rule: p (g - sum(g p)) / T" in text
    assert text.count("Probabilities from logits") == 1  # the code is shown without its docstring


def test_rules_of_several_operands_are_shown_once_each():
    assert printed("add").count("add.vjps(") == 1
    text = printed("pow", width=200)
    assert text.count("def _by_base(") == text.count("def _by_exponent(") == 1


def test_source_without_docstring():
    assert source_of(operation("negative").forward) == "@primitive\ndef negative(xp, x):\n    return -x"
    lines = source_of(tg.logsumexp.forward).splitlines()
    assert lines[1].startswith("def logsumexp(") and lines[2].startswith("    ") and '"""' not in lines[2]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("softmx", "did you mean softmax or softmin or log_softmax?"),
        ("crossentropy", "cross_entropy"),
        ("hinge", "did you mean hinge_loss?"),
        ("qqq", "`tinygrad-sm ops` lists them all"),
        ("", "lists them all"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, hint):
    with pytest.raises(ValueError, match=f"^there is no op named '{name}'; .*") as caught:
        printed(name)
    assert hint in str(caught.value)


def test_as_a_command():
    app = typer.Typer()
    app.command()(ops)
    whole = CliRunner().invoke(app, [], terminal_width=80)
    assert whole.exit_code == 0 and "hinge_loss" in whole.output
    one = CliRunner().invoke(app, ["mse_loss"])
    assert one.exit_code == 0 and "Rule: 2 (x - t)" in one.output
    unknown = CliRunner().invoke(app, ["sofmax"])
    assert unknown.exit_code == 1 and "did you mean softmax" in " ".join(unknown.output.split())
    assert "Traceback" not in unknown.output
