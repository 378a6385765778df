"""`tinygrad-sm check`: what is right, what is wrong, what it prints where, and a sentence for every slip."""

import io
import json
import random
import re
import sys
from decimal import Decimal
from types import MappingProxyType

import pytest
from rich.console import Console
from typer.testing import CliRunner

import tinygrad_sm as tg
from tinygrad_sm.check import Comparison, Finding
from tinygrad_sm.check.measuring import Accuracy, Figure
from tinygrad_sm.cli import app, results
from tinygrad_sm.cli.check import ROWS

OPS = """
import math
import tinygrad_sm as tg
print("printed while imported")

@tg.fused
def cube(xp, x):
    return x * x * x
@cube.backward
def _(xp, g, out, x):
    return 3.0 * g * x * x

@tg.fused
def wrong_softmax(xp, z, *, axis=-1):
    return tg.softmax(z, axis=axis)
@wrong_softmax.backward
def _(xp, g, p, z, *, axis=-1):
    return p * g

@tg.fused
def slightly(xp, x):
    return x * x
@slightly.backward
def _(xp, g, out, x):
    return 2.0 * g * x * (1.0 + 1e-13)

def probabilities(xp, z):
    e = xp.exp(z - tg.constant(xp.max(z, axis=-1, keepdims=True)))
    return e / xp.sum(e, axis=-1, keepdims=True)
def rule(xp, g, p, z):
    return p * (g - xp.sum(g * p, axis=-1, keepdims=True))
@tg.fused
def textbook(xp, z):
    return probabilities(xp, z)
textbook.backward(rule)
@tg.fused
def textbook_slightly_off(xp, z):
    return probabilities(xp, z)
textbook_slightly_off.backward(lambda xp, g, p, z: rule(xp, g, p, z) * (1.0 + 1e-14))
@tg.fused
def textbook_with_kernel(xp, z):
    return probabilities(xp, z)
textbook_with_kernel.backward(rule)
textbook_with_kernel.kernel(tg.nd.Array)(lambda z: probabilities(tg.nd, z) * (1.0 + 1e-10))
@tg.fused
def textbook_with_inputs(xp, z):
    return probabilities(xp, z)
textbook_with_inputs.backward(rule)
textbook_with_inputs.hard_inputs(lambda: [("margin 40", ([40.0, 0.0, 1.0],))])

@tg.fused
def root(xp, x):
    return xp.sqrt(x)
@root.backward
def _(xp, g, out, x):
    return g / (2.0 * out)

@tg.fused
def product(xp, a, b):
    return a * b
@product.backward
def _(xp, g, out, a, b):
    return g * b, g * a

@tg.fused
def labelled(xp, z, t):
    return tg.nll_loss(z, t)
@labelled.backward
def _(xp, g, out, z, t):
    return g * z, None

@tg.fused
def with_inputs(xp, x):
    return x * x
@with_inputs.backward
def _(xp, g, out, x):
    return 2.0 * g * x
@with_inputs.hard_inputs
def _():
    yield "my own", ([1.0, 2.0],)
    yield "and huge", ([1e150],)

@tg.fused
def breaks(xp, x):
    return x * x
@breaks.backward
def _(xp, g, out, x):
    return undefined * x

def good(z): return tg.sum(tg.softmax(z) * z)
def of_logs(z): return tg.sum(tg.log(z))
def bad(z): return tg.sum(tg.constant(z) * z)
def two(a, b): return tg.sum(a * b)
def forgets(z): return math.fsum(map(float, z))
def nowhere(z): return tg.log(-abs(z))
class Kind: pass
number = 3
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command beside a file of a person's ops, as in a terminal of 80 columns."""
    (tmp_path / "ops_of_mine.py").write_text(OPS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delitem(sys.modules, "ops_of_mine", raising=False)
    return lambda arguments: CliRunner().invoke(app, ["check", *arguments.replace("mine:", "ops_of_mine:").split()])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("mine:cube --shape 2,3", 0, "cube is right: at most value"),
        ("mine:cube --shape ()", 0, "cube is right"),
        ("mine:cube --shape 2 --order 2", 0, "second derivative"),
        ("mine:wrong_softmax --shape 3,4", 1, "wrong_softmax is WRONG on '40 above': d out["),
        ("ops_of_mine.py:wrong_softmax --shape 3", 1, "wrong_softmax is WRONG"),
        ("mine:slightly --shape 3", 1, "slightly is WRONG"),
        ("mine:textbook --shape 2,4", 0, "textbook is right, but loses digits"),
        ("mine:textbook_slightly_off --shape 2,4", 1, "textbook_slightly_off is WRONG"),
        ("mine:textbook_with_kernel --shape 2,4", 1, "textbook_with_kernel is WRONG"),
        ("mine:textbook_with_inputs", 1, "The formula is right, as a run on decimals shows, but digits are lost"),
        ("mine:root --shape 3", 0, "root is right"),
        ("mine:product --shape 2,3", 0, "product is right"),
        ("mine:product --shape 3 --shape 2x3", 0, "product is right"),
        ("mine:with_inputs", 0, "and what the op and its rule gave on 2 sets of inputs"),
        ("mine:good --shape 2,3", 0, "The gradient of ops_of_mine:good is right."),
        ("mine:of_logs --shape 3", 0, "is right."),
        ("mine:two --shape 3", 0, "is right."),
        ("mine:bad --shape 3", 1, "The gradient of ops_of_mine:bad is WRONG."),
        ("sigmoid", 0, "sigmoid is right"),
    ],
)
def test_right_and_wrong(run, arguments, code, said):
    result = run(arguments)
    assert result.exit_code == code, result.output
    assert said in " ".join(result.stdout.split()) and not result.stderr
    assert ("WRONG" in result.stdout) == (code == 1)
    assert "\x1b" not in result.stdout
    tables = [line for line in result.stdout.splitlines() if not re.match(r"\w+ is (right|WRONG)|farthest", line)]
    assert max(map(len, tables)) <= 80


def test_a_wrong_op_is_shown_with_both_numbers_and_a_right_one_with_the_reason(run):
    wrong = run("mine:wrong_softmax --shape 3").stdout
    assert re.search(r"got +1\.0\n +exact +\d\.\d+E-1\d", wrong) and "What is exact" in wrong and "looks right" not in wrong
    right = run("mine:cube --shape 3").stdout
    assert re.search(r"Why this can be trusted: the definition ran forward and\s+backward on\s+decimals", right)
    for inputs in ("scale 1", "scale 10", "40 above", "40 below"):
        assert inputs in right


def test_a_wide_terminal_shows_every_case_with_its_numbers(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert re.search(r"^case +quantity +ulp +worst at +got +exact", run("mine:cube --shape 3").stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("softmx", "there is no op 'softmx' in the family; did you mean softmax"),
        ("qqq", "there is no op 'qqq' in the family; `tinygrad-sm check` shows them all."),
        ("ops_of_mine", "ops_of_mine is a file: name the op in it, as in tinygrad-sm check ops_of_mine:my_op"),
        ("ops_of_mine.py", "ops_of_mine.py is a file"),
        ("no_such_module:x", "there is no module no_such_module, neither in"),
        ("mine:cub", "ops_of_mine has no cub; did you mean cube?"),
        ("mine:Kind --shape 3", "ops_of_mine:Kind is a class; check takes a fused op or a function"),
        ("mine:number", "ops_of_mine:number is 3; check takes a fused op or a function"),
        ("mine:cube", "cube has no hard inputs of its own: add some with @cube.hard_inputs, or give the shape"),
        ("mine:good", "give the shape of what ops_of_mine:good takes: tinygrad-sm check ops_of_mine:good --shape 3,4"),
        ("mine:cube --shape a", "--shape is written as 3,4 (rows, columns), and not as 'a'"),
        ("mine:cube --shape 0", "--shape has sizes of at least 1, and not 0"),
        ("mine:cube --shape 3,-1", "--shape has sizes of at least 1, and not 3,-1"),
        ("mine:cube --shape 1000,1000", "--shape 1000,1000 has 1,000,000 elements"),
        ("mine:cube --shape 3 --shape 3", "ops_of_mine:cube takes one input (x), and --shape gave 2"),
        ("mine:two --shape 3 --shape 3 --shape 3", "ops_of_mine:two takes 2 inputs (a, b), and --shape gave 3"),
        ("mine:labelled --shape 2,3", "give it inputs that fit with @labelled.hard_inputs, and leave out --shape"),
        ("cross_entropy --shape 2,3", "leave out --shape: tinygrad-sm check cross_entropy takes its hard inputs"),
        ("mine:two --shape 3 --shape 2", "ops_of_mine:two does not take random floats of shape (3,) and (2,) (ValueError"),
        ("mine:nowhere --shape 3", "ops_of_mine:nowhere gives nan for random floats of shape (3,)"),
        ("mine:breaks --shape 3", "NameError: name 'undefined' is not defined ("),
        ("mine:forgets --shape 3", "remembers nothing"),
        ("--shape 3", "--shape is that of the inputs of one op"),
        ("--thorough", "--thorough goes with --accuracy"),
        ("softmax --accuracy", "--accuracy measures the family"),
        ("--accuracy --order 2", "--accuracy measures the family"),
    ],
)
@pytest.mark.parametrize("as_json", ["", " --json"])
def test_slips_are_one_sentence(run, arguments, sentence, as_json):
    result = run(arguments + as_json)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    lines = [line for line in result.stderr.splitlines() if line != "printed while imported"]
    assert len(lines) == 1 and lines[0].startswith("Error: ") and sentence in lines[0]
    assert result.stdout in ("", "printed while imported\n")


@pytest.mark.parametrize("arguments", ["--order 3", "softmax softmax", "--seed x", "--nonsense"])
def test_slips_of_the_command_line_itself(run, arguments):
    assert run(arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "ok"),
    [("mine:cube --shape 2,3", True), ("mine:wrong_softmax --shape 3", False), ("softplus", True)],
)
def test_json_of_an_op(run, arguments, ok):
    result = run(f"{arguments} --json")
    found = json.loads(result.stdout)  # and nothing besides: what the module prints goes to the other stream
    assert found["ok"] is ok and result.exit_code == (not ok)
    (op,) = found["ops"]
    assert op["ok"] is ok and {"value", "grad"} <= {*op["max_ulp"]} and op["worst"] in op["findings"]
    assert {finding["case"] for finding in op["findings"]} <= {*op["cases"]}
    if "shape" in arguments:
        assert op["cases"] == ["scale 1", "scale 10", "40 above", "40 below"]


def test_inputs_are_easy_and_hard():
    rows = {name: sorted(row(random.Random(0), 9)) for name, row in ROWS.items()}
    assert rows["scale 1"] != rows["scale 10"] and max(map(abs, rows["scale 1"])) < 5 < max(map(abs, rows["scale 10"]))
    assert rows["40 above"][-1] == 40.0 and rows["40 above"][-2] < 3 and rows["40 below"][0] == -40.0


def test_each_case_has_its_own_figures(run):
    rows = re.findall(r"^ (scale 1|40 above) +\S+ +(\S+) +WRONG", run("mine:wrong_softmax --shape 3").stdout, re.MULTILINE)
    assert len(rows) == 2 and float(rows[0][1]) < 1e20 < float(rows[1][1])


def test_json_of_a_function(run):
    found = json.loads(run("mine:bad --shape 3 --json").stdout)
    assert found["ok"] is False and found["function"] == "ops_of_mine:bad"
    assert [check["inputs"] for check in found["checks"]] == ["scale 1", "scale 10", "40 above", "40 below"]


def test_the_seed_matters(run):
    worst = [json.loads(run(f"mine:cube --shape 3 --json --seed {seed}").stdout)["ops"][0] for seed in (0, 0, 1)]
    assert worst[0] == worst[1]
    assert all(a["got"] != b["got"] for a, b in zip(worst[0]["findings"], worst[2]["findings"], strict=True))
    assert [op["seed"] for op in worst] == [0, 0, 1]


# --- the family


@pytest.fixture
def few(monkeypatch):
    """A family of two ops, so that checking it takes no time."""
    monkeypatch.setattr(tg, "fused_ops", {name: tg.fused_ops[name] for name in ("nll_loss", "mse_loss")})


def test_the_family_in_one_table(run, few):
    result = run("")
    assert result.exit_code == 0 and not result.stderr
    assert re.search(r"^ nll_loss +\d+ +[\d.]+ +[\d.]+ +ok +\w", result.stdout, re.MULTILINE)
    assert "2 ops are right on " in result.stdout and max(map(len, result.stdout.splitlines())) <= 80
    found = json.loads(run("--json").stdout)
    assert found["ok"] and [op["op"] for op in found["ops"]] == ["nll_loss", "mse_loss"]


def test_a_wrong_op_of_the_family(run, monkeypatch):
    @tg.fused
    def doubled(xp, x):
        return x + x

    @doubled.backward
    def _(xp, g, out, x):
        return g

    @doubled.hard_inputs
    def _():
        yield "one", ([1.0, 2.0],)

    monkeypatch.setattr(tg, "fused_ops", MappingProxyType({"doubled": doubled, "mse_loss": tg.mse_loss}))
    result = run("")
    assert result.exit_code == 1 and result.stdout.count("WRONG: doubled\n") == 1
    assert re.search(r"doubled is WRONG on 'one': d out.* / d x.*\n +got +\S+\n +exact +\S+\n", result.stdout)
    assert json.loads(run("--json").stdout)["ok"] is False


@pytest.mark.parametrize("width", [60, 70, 80, 100, 200])
def test_the_table_fits_and_shows_every_verdict(width):
    long = "a name of an input that goes on and on and on"
    ulps = {"value": 0.5, "grad": 123.0, "second": 7.5e15}
    findings = [Finding(long, q, "", (0,), "out[0]", 1.0, Decimal(1), ulp) for q, ulp in ulps.items()]
    found = {
        name: Comparison(name, findings, [long], limit, 0, 60)
        for name, limit in {"kl_div_probabilities": 8.0, "mse_loss": 1e16}.items()
    }
    console = Console(file=io.StringIO(), width=width)
    results.show_family(console, found)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines[:6])) <= width
    assert [line.split()[:6] for line in lines if "7.5e+15" in line][:2] == [
        ["kl_div_probabilities", "1", "0.5", "123", "7.5e+15", "WRONG"],
        ["mse_loss", "1", "0.5", "123", "7.5e+15", "ok"],
    ]
    assert any(" a name of" in line for line in lines[:5]) == (width >= 80)
    assert (f"ok     {long}" in console.file.getvalue()) == (width > 100)


def test_ctrl_c_ends_with_a_sentence(run, few, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(tg, "compare", stopped)
    result = run("")
    assert result.exit_code == 130 and result.stderr == "Stopped before the check was complete: nothing is proven.\n"
    assert not result.stdout


# --- accuracy


@pytest.mark.parametrize(("width", "lines_of_names"), [(80, True), (200, False)])
@pytest.mark.parametrize("error", [1.0, float("inf")])
def test_accuracy(run, monkeypatch, width, lines_of_names, error):
    figures = [
        Figure("softmax", "scale 1", 1.5, 4.0, 5.7, 6.7, 4.5e15),
        Figure("softmax", "margin 40", error, 4.0, 29.0, None, None),
        Figure("kl_div", "1e-8", 2e-16, 1e-14, 2e3, 2e3, None),
    ]
    monkeypatch.setattr("tinygrad_sm.cli.check.accuracy_table", lambda step, **how: Accuracy(figures, how["seed"]))
    monkeypatch.setenv("COLUMNS", str(width))
    result = run("--accuracy --seed 3")
    assert result.exit_code == (error > 4) and max(map(len, result.stdout.splitlines())) <= width
    assert ("softmax\n  scale 1 " in result.stdout) == lines_of_names
    assert "4.5e+15" in result.stdout and "2.0e-16" in result.stdout and "seed 3" in " ".join(result.stdout.split())
    assert bool(re.search("WRONG|TOO LARGE", result.stdout)) == (error > 4)
    found = json.loads(run("--accuracy --json").stdout)
    assert found["ok"] is (error < 4) and len(found["figures"]) == 3


@pytest.mark.heavy
def test_the_whole_family(run):
    result = run("")
    assert result.exit_code == 0, result.output
    assert f"{len(tg.fused_ops)} ops are right on " in result.stdout and max(map(len, result.stdout.splitlines())) <= 80
    assert run("--accuracy --json").exit_code == 0
