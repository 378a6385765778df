"""`tinygrad-sm draw`: what its target means, what is passed on, what is written where, and the sentence for every slip."""

import math
import sys
import webbrowser
from pathlib import Path
from types import SimpleNamespace

import pytest

import tinygrad_sm as tg
from tinygrad_sm.cli import drawings, pictures
from tinygrad_sm.viz.examples import EXAMPLES

ENGINE = """#!/bin/sh
echo '<svg xmlns="http://www.w3.org/2000/svg" width="10pt" height="10pt">'
grep -oE '(\\[| )id=\\w+' | sed 's/.id=\\(.*\\)/<g id="\\1"\\/>/'
echo '</svg>'
"""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """A program that lays nothing out and yet gives a picture with everything in it."""
    folder = tmp_path.parent / f"{tmp_path.name}_engine"
    folder.mkdir()
    (folder / "dot").write_text(ENGINE)
    (folder / "dot").chmod(0o755)
    monkeypatch.setenv("TINYGRAD_SM_DOT", str(folder / "dot"))
    return folder / "dot"


@pytest.fixture
def calls(monkeypatch):
    """What the command passes to `draw`, which draws nothing: (value, settings) of each call."""
    found = []

    def draw(value, **settings):
        found.append((value, settings))
        scene = SimpleNamespace(nodes={f"n{i}": 0 for i in range(1200)}, edges=[0])
        save = lambda path: Path(path).write_text("saved")  # noqa: E731
        return SimpleNamespace(source="the DOT", text=lambda **_: "the text", svg=lambda: "the SVG", save=save, scene=scene)

    monkeypatch.setattr(tg, "draw", draw)
    return found


def subject(target, *shapes, seed=0):
    return pictures.subject_of(target, shapes, seed, "draw")


# --- what a target means


@pytest.mark.parametrize("arguments", ["", "--view both"])
def test_without_a_target_every_example_is_listed(terminal, arguments):
    result = terminal(f"draw {arguments}")
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert result.exit_code == 0 and max(map(len, lines)) <= 80 and not terminal.files()
    for name, example in EXAMPLES.items():
        assert f"{name:17}  {example.__doc__.splitlines()[0]}" in lines


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_meant_by_its_name(name):
    value, names = EXAMPLES[name]()
    for spelling in (name, name.replace("-", "_")):
        got = subject(spelling)
        assert got.value.tolist() == value.tolist() and got.value.op is value.op and {*got.names} == {*names}
        assert got.grad_output is None and not got.value.has_grad


@pytest.mark.parametrize(
    ("target", "op", "data", "named"),
    [
        ("mine:y", "add", 12.0, {"x", "y", "model"}),
        ("mine.py:y", "add", 12.0, {"x", "y", "model"}),
        ("mine:x", None, 3.0, {"x"}),
        ("mine:Holder.inner", "multiply", 15.0, {"x"}),
        ("mine:loss", "sum", None, {"model"}),
        ("mine:named", "cross_entropy", math.log1p(math.exp(-1.0)), {"logits", "model"}),
        ("mine:cut_off", None, 6.0, {"x"}),
    ],
)
def test_a_value_of_ones_own_and_its_names(terminal, target, op, data, named):
    value, names, grad_output = subject(target)
    assert (value.op and value.op.name) == op and named <= {*names} and grad_output is None
    assert data is None or float(value) == pytest.approx(data, rel=1e-15)
    assert names["model"] is sys.modules["mine"].model


def test_what_is_named_by_a_network(terminal):
    value, names, _ = subject("mine:named_by_network")
    assert isinstance(names, tg.nn.Linear) and value.op.name == "sum"


def test_names_of_a_function_come_before_those_of_the_file(terminal):
    (terminal.path / "mine.py").write_text(
        "import tinygrad_sm as tg\nx = tg.Value(1.0)\ndef f():\n    x = tg.Value(2.0)\n    return x * x, locals()\n"
    )
    value, names, _ = subject("mine:f")
    assert names["x"] is value.inputs[0]


def leaves(value):
    return {x.name: x for x in value.inputs if isinstance(x, tg.Value)}


@pytest.mark.parametrize(
    ("target", "shapes", "named"),
    [
        ("softmax", ["3"], {"z": (3,)}),
        ("logsumexp", ["2,3"], {"z": (2, 3)}),
        ("attention", ["3,2"], {"q": (3, 2), "k": (3, 2), "v": (3, 2)}),
        ("tinygrad_sm:exp", ["()"], {"x": ()}),
        ("mine:several", ["2"], {"x": (2,)}),
        ("mine:several", ["2", "3"], {"x0": (2,)}),
    ],
)
def test_functions_of_arrays(terminal, target, shapes, named):
    value = subject(target, *shapes).value
    assert {name: x.shape for name, x in leaves(value).items()} == named


def test_inputs_are_random_and_the_same_for_the_same_seed(terminal):
    def inputs(*arguments, **seed):
        return [x.tolist() for x in leaves(subject(*arguments, **seed).value.inputs[0]).values()]

    assert inputs("mine:product", "2", "3,2", seed=1)[0] != inputs("mine:product", "2", "3,2", seed=2)[0]
    a, b = inputs("mine:product", "2", "3,2")
    assert inputs("mine:product", "2", "3,2") == [a, b] and len(a) == 2 and [*map(len, b)] == [2, 2, 2]
    assert all(abs(x) < 6 for row in [a, *b] for x in row) and len({x for row in [a, *b] for x in row}) == 8


def test_where_random_numbers_give_nan_their_absolute_values_are_taken(terminal):
    value, names, _ = subject("mine:of_logs", "50")
    assert math.isfinite(value) and min(names["z"].tolist()) > 0


def test_a_network_takes_a_shape(terminal):
    value, names, grad_output = subject("mine:model", "5,4")
    assert value.shape == (5, 2) and names["model"].layers[1].weight in value.inputs
    assert grad_output == 1.0


# --- gradients


def test_backward_runs_first(terminal):
    got = pictures.with_gradients(subject("mine:y"))
    assert got.value.has_grad and sys.modules["mine"].x.grad == 2.0 + 7.0  # 2 were there, of the program's own backward


def test_gradients_of_ones_own_program_stay_as_they_are(terminal):
    pictures.with_gradients(subject("mine:learnt"))
    assert sys.modules["mine"].x.grad == 2.0


def test_gradients_of_several_numbers_are_those_of_their_sum(terminal):
    got = pictures.with_gradients(subject("logsumexp", "2,3"))
    (z,) = leaves(got.value).values()
    expected = [[math.exp(x) / math.fsum(map(math.exp, row)) for x in row] for row in z.tolist()]
    for row, wanted in zip(z.grad.tolist(), expected, strict=True):
        assert row == pytest.approx(wanted, rel=1e-14)
    assert pictures.note_on(got) == "The result has shape (2,); the gradients are those of the sum of its elements."
    assert pictures.note_on(subject("mine:y")) == pictures.note_on(subject("mine:flat")) == ""


def test_what_has_no_gradient_is_drawn_all_the_same(terminal, calls):
    assert terminal("draw mine:cut_off").exit_code == 0 and not calls[0][0].has_grad


@pytest.mark.parametrize(
    ("arguments", "has_grad", "note"),
    [
        ("softmax --shape 3", True, True),
        ("softmax --shape 3 --no-backward", False, False),
        ("softmax --shape 3 --no-backward --view both", False, True),
        ("softmax --shape 3 --no-backward --locals", False, True),
        ("square", True, False),
        ("square --no-backward", False, False),
    ],
)
def test_of_what_the_gradients_are(terminal, calls, arguments, has_grad, note):
    result = terminal(f"draw {arguments}")
    assert calls[0][0].has_grad is has_grad
    assert ("The result has shape (3,)" in result.stdout) is note


# --- what is passed on

DEFAULTS = {
    "view": "graph",
    "locals": False,
    "beside": None,
    "collapse": None,
    "repeats": None,
    "legend": False,
    "grad_output": None,
    "direction": "LR",
    "theme": "auto",
    "precision": 4,
    "title": None,
    "max_nodes": 300,
    "engine": None,
}


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ("", {}),
        *((f"--view {view}", {"view": view}) for view in ("graph", "backward", "both")),
        *((f"--theme {theme}", {"theme": theme}) for theme in ("auto", "light", "dark", "print")),
        ("--locals", {"locals": True}),
        ("--beside", {"beside": True}),
        ("--collapse 0", {"collapse": 0}),
        ("--collapse 2", {"collapse": 2}),
        ("--collapse layers.0", {"collapse": "layers.0"}),
        ("--collapse layers.0 --collapse Linear", {"collapse": ["layers.0", "Linear"]}),
        ("--repeats", {"repeats": True}),
        ("--no-repeats", {"repeats": False}),
        ("--legend", {"legend": True}),
        ("--max-nodes 20", {"max_nodes": 20}),
        ("--direction TB", {"direction": "TB"}),
        ("--precision 7", {"precision": 7}),
        ("--title My", {"title": "My"}),
        ("--engine dot", {"engine": "dot"}),
        ("--seed 4", {}),
    ],
)
def test_options_reach_draw(terminal, calls, options, passed):
    result = terminal(f"draw square {options}")
    ((value, settings),) = calls
    assert result.exit_code == 0 and {*settings.pop("names")} == {"x", "y"} and value.op.name == "add"
    assert settings == DEFAULTS | passed
    assert {type(x) for x in settings.values()} <= {str, int, bool, list, type(None)}


def test_what_flows_into_several_numbers_reaches_draw(terminal, calls):
    terminal("draw softmax --shape 3")
    assert calls[0][1] == DEFAULTS | {"names": {}, "grad_output": 1.0}


# --- what is written where


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ("square", "square.svg"),
        ("second_derivative", "second_derivative.svg"),
        ("mine:y", "y.svg"),
        ("mine.py:Holder.inner", "Holder.inner.svg"),
        ("square --format png", "square.png"),
        ("square -o a.pdf", "a.pdf"),
        ("square -o a.PNG", "a.PNG"),
        ("square -o a.gv --format dot", "a.gv"),
        ("square -o a.txt", "a.txt"),
        ("square --out a.html", "a.html"),
    ],
)
def test_the_file(terminal, calls, arguments, file):
    result = terminal(f"draw {arguments}")
    assert result.exit_code == 0 and terminal.files() == {file} and (terminal.path / file).read_text() == "saved"
    assert result.stdout == f"{file}: 1,200 nodes, 1 edge\n"


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ("mine:loss -o -", "the DOT\n"),
        ("mine:loss -o - --format svg", "the SVG\n"),
        ("mine:loss -o - --format txt", "the text\n"),
        ("mine:loss --text", "the text\n"),
        ("mine:loss --text -o -", "the text\n"),
        ("softmax --shape 3 -o -", "the DOT\n"),
    ],
)
def test_the_standard_output_holds_the_picture_alone(terminal, calls, arguments, printed):
    result = terminal(f"draw {arguments}")
    assert result.exit_code == 0 and result.stdout == printed and not terminal.files()
    assert "printed by loss" in result.stderr or "The result has shape (3,)" in result.stderr


def test_text_beside_a_file(terminal, calls):
    result = terminal("draw square --text -o a.svg")
    assert result.stdout == "the text\na.svg: 1,200 nodes, 1 edge\n" and terminal.files() == {"a.svg"}


def test_text_is_as_wide_as_the_terminal_and_whole_for_a_program(monkeypatch):
    drawing = tg.draw(tg.softmax(tg.Value([0.1, 0.2, 0.7], name="a name of some length")))
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert drawings._text(drawing) == drawing.text(width=50) != drawing.text()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert drawings._text(drawing) == drawing.text()


def test_without_a_program_that_lays_out_the_text_form_takes_its_place(terminal, monkeypatch):
    monkeypatch.setenv("TINYGRAD_SM_DOT", "no_such_program_anywhere")
    result = terminal("draw square")
    assert result.exit_code == 1 and not terminal.files()
    assert result.stdout == terminal("draw square --text").stdout != ""
    assert result.stderr.startswith("Error: draw: ") and "no_such_program_anywhere" in result.stderr
    assert terminal("draw square -o - --format svg").stdout == ""


def test_a_program_that_fails_is_a_sentence(terminal, engine):
    engine.write_text("#!/bin/sh\necho 'Error: out of paper' >&2; exit 1\n")
    for target in ("draw square", "draw square -o - --format svg"):
        result = terminal(target)
        assert result.exit_code == 1 and result.stderr.startswith("Error: draw: ") and "out of paper" in result.stderr
        assert result.stderr.count("\n") == 1 and not terminal.files()


# --- with the real `draw`


@pytest.mark.parametrize("arguments", ["mine:y", "mine:named --view both --locals", "mine:model --shape 2,4 --collapse 0"])
def test_pictures(terminal, engine, arguments):
    result = terminal(f"draw {arguments} -o a.svg")
    assert result.exit_code == 0, result
    text = (terminal.path / "a.svg").read_text()
    assert text.startswith(("<?xml", "<svg")) and text.count("<g id=") >= 2


def test_the_source_names_what_the_program_names(terminal):
    for target, words in {"y": "x y", "named": "logits", "loss": "model.layers.0.weight", "model --shape 2,4": "model"}.items():
        result = terminal(f"draw mine:{target} -o -")
        assert result.exit_code == 0 and all(f"{word}" in result.stdout for word in words.split()), result


# --- the browser


@pytest.fixture
def opened(monkeypatch):
    """The addresses that would have been opened."""
    found = []
    monkeypatch.setattr(webbrowser, "open", lambda address: found.append(address) or True)
    return found


def test_no_browser_is_looked_for_unless_asked(terminal, calls, opened, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    terminal("draw square")
    assert not opened
    terminal("draw square --open")
    assert opened == [(terminal.path / "square.svg").as_uri()]


def test_without_a_screen_it_says_where_the_picture_is(terminal, calls, opened):
    result = terminal("draw square --open")
    assert result.exit_code == 0 and not opened
    assert result.stderr == f"There is no browser here; the picture is at {(terminal.path / 'square.svg').as_uri()}\n"


@pytest.mark.parametrize(
    ("variable", "platform", "tried"),
    [
        ("DISPLAY", "linux", True),
        ("WAYLAND_DISPLAY", "linux", True),
        ("BROWSER", "linux", True),
        ("TERM", "linux", False),  # where only a browser in the terminal could be found, which would take it over
        ("TERM", "darwin", True),
        ("TERM", "win32", True),
    ],
)
def test_where_a_browser_is_tried(monkeypatch, opened, variable, platform, tried):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "something")
    monkeypatch.setattr(sys, "platform", platform)
    assert pictures.open_in_browser(Path("a.svg")) is tried and len(opened) == tried


# --- slips


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("sqare", "there is no example 'sqare'; did you mean square? What is your own is written module:name"),
        ("cross_entrpy", "did you mean cross_entropy"),
        ("sofmax", "did you mean softmax or log_softmax? What"),
        ("qqq", "there is no example 'qqq'; `tinygrad-sm draw` lists them."),
        ("mine.py", "mine.py is a file: name the Value or the function in it, as in tinygrad-sm draw mine.py:loss"),
        ("mine", "mine is a file: name the Value"),
        ("nowhere:y", "there is no module nowhere"),
        ("mine:yy", "mine has no yy; did you mean y"),
        ("mine:Holder", "mine:Holder is a class; draw takes a Value, a function that returns one, or a network"),
        ("mine:number", "mine:number is 3; draw takes"),
        ("mine:words", "mine:words is 'three words here'; draw takes"),
        ("mine:plain", "mine:plain returned 3.5 and no Value: let it return the Value to draw, or (value, locals())"),
        ("mine:nothing", "mine:nothing returned None and no Value"),
        (
            "mine:two",
            "and no Value: let it return the Value to draw, or (value, locals()) to have its variables named; of several",
        ),
        ("mine:divides", "mine:divides failed: NameError: name 'no_such_name' is not defined ("),
        ("mine:spoilt", "backward failed: NameError: name 'undefined' is not defined ("),
        ("mine:product", "give the shape of what mine:product takes (a, b): tinygrad-sm draw mine:product --shape 3,4"),
        ("mine:model", "give the shape of what mine:model takes (x): tinygrad-sm draw mine:model --shape 3,4"),
        ("logsumexp", "give the shape of what logsumexp takes (z): tinygrad-sm draw logsumexp --shape 3,4"),
        ("mine:product --shape 2 --shape 2 --shape 2", "mine:product takes 2 inputs (a, b), and --shape gave 3"),
        ("mine:product --shape 2 --shape 3", "mine:product does not take random floats of shape (2,) and (3,) (ValueError"),
        ("mine:nowhere --shape 3", "mine:nowhere gives nan for random floats of shape (3,)"),
        ("cross_entropy --shape 2,3", "give a function without arguments that makes inputs of its own"),
        ("mine:loss --shape 3", "mine:loss does not take random floats of shape (3,)"),
        ("mine:y --shape 3", "mine:y is a Value, which has its shape: leave out --shape"),
        ("square --shape 3", "square is an example with numbers of its own: leave out --shape"),
        ("softmax --shape a", "--shape is written as 3,4 (rows, columns), and not as 'a'"),
        ("softmax --shape 0", "--shape has sizes of at least 1, and not 0"),
        ("softmax --shape 1000,1000", "--shape 1000,1000 has 1,000,000 elements; at most 100,000 are made"),
        ("square -o a.jpg", "-o: the suffix picks the format (.svg, .png, .pdf, .html, .dot, .txt), and a.jpg has jpg"),
        ("square -o a", "and a has none"),
        ("square -o a.svg --format png", "-o a.svg and --format png are two formats"),
        ("square -o - --format png", "-o - writes text: --format svg, dot or txt, and not png"),
        ("square --text --format svg", "--text is text and --format svg is not"),
        ("square -o no/folder/a.svg", "there is no folder"),
        ("square --collapse 1 --collapse Linear", "--collapse is one depth, or paths and classes, and not 1 and Linear"),
        ("square --collapse Linear", "draw: "),
    ],
)
def test_slips_are_one_sentence(terminal, arguments, sentence):
    result = terminal(f"draw {arguments}")
    assert result.exit_code == 1, result
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1 and sentence in result.stderr
    assert not result.stdout and not terminal.files()


@pytest.mark.parametrize(
    "arguments", ["square softmax", "--view no", "square --max-nodes 0", "square --precision x", "--nonsense"]
)
def test_slips_of_the_command_line_itself(terminal, arguments):
    assert terminal(f"draw {arguments}").exit_code == 2


def test_help(terminal):
    result = terminal("draw --help")
    assert result.exit_code == 0 and max(map(len, result.stdout.splitlines())) <= 80
