"""`tinygrad-sm play`: what is passed on to the player, where its page goes, and when a browser is opened."""

import os
import subprocess
import sys
import webbrowser
from types import SimpleNamespace

import pytest

from tinygrad_sm.cli import pictures
from tinygrad_sm.viz.examples import EXAMPLES

DEFAULTS = {
    "expand": True,
    "grad_output": None,
    "theme": "auto",
    "title": None,
    "collapse": None,
    "max_nodes": 300,
    "engine": None,
}


@pytest.fixture
def calls(monkeypatch):
    """What the command passes to `player`, which makes a page of a thousand characters: (value, settings) of each call."""
    found = []

    def player(value, **settings):
        found.append((value, settings))
        return SimpleNamespace(save=lambda path: path.write_text("." * 1000))

    monkeypatch.setitem(sys.modules, "tinygrad_sm.viz.players.playing", SimpleNamespace(player=player))
    return found


@pytest.fixture
def opened(monkeypatch):
    """The addresses that were opened, on a machine with a screen."""
    found = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda address: found.append(address) or True)
    return found


def test_without_a_target_every_example_is_listed(terminal):
    result = terminal("play")
    assert result.exit_code == 0 and not terminal.files() and max(map(len, result.stdout.splitlines())) <= 80
    assert all(f"\n{name} " in result.stdout for name in EXAMPLES) and "tinygrad-sm play mlp" in result.stdout


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ("", {}),
        ("--fused", {"expand": ()}),
        ("--expand softmax", {"expand": ["softmax"]}),
        ("--expand softmax --expand linear", {"expand": ["softmax", "linear"]}),
        ("--theme dark", {"theme": "dark"}),
        ("--title My", {"title": "My"}),
        ("--collapse 0", {"collapse": 0}),
        ("--collapse layers.0 --collapse MLP", {"collapse": ["layers.0", "MLP"]}),
        ("--max-nodes 20", {"max_nodes": 20}),
        ("--engine dot", {"engine": "dot"}),
    ],
)
def test_options_reach_the_player(terminal, calls, options, passed):
    result = terminal(f"play square {options}")
    ((value, settings),) = calls
    assert result.exit_code == 0 and {*settings.pop("names")} == {"x", "y"} and value.op.name == "add"
    assert settings == DEFAULTS | passed and not value.has_grad  # the player's sweep is its own
    assert {type(x) for x in settings.values()} <= {str, int, bool, list, tuple, type(None)}


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ("square", "square.html"),
        ("mine.py:y", "y.html"),
        ("mine:named -o a.html", "a.html"),
        ("square --out a.HTM", "a.HTM"),
    ],
)
def test_the_page(terminal, calls, arguments, file):
    result = terminal(f"play {arguments}")
    address = (terminal.path / file).as_uri()
    assert result.exit_code == 0 and terminal.files() == {file}
    assert result.stdout == f"{file}: 1 kB, one file that needs no network\nOpen it in a browser: {address}\n"


def test_several_numbers(terminal, calls):
    result = terminal("play mine:model --shape 5,4")
    ((value, settings),) = calls
    assert value.shape == (5, 2) and settings["grad_output"] == 1.0
    assert "The result has shape (5, 2); the gradients are those of the sum of its elements." in result.stdout


@pytest.mark.parametrize(
    ("option", "watched", "opens"),
    [("", True, True), ("", False, False), ("--open", False, True), ("--no-open", True, False)],
)
def test_the_browser_opens_where_a_person_looks_on(terminal, calls, opened, monkeypatch, option, watched, opens):
    monkeypatch.setattr(pictures, "is_watched", lambda: watched)
    result = terminal(f"play square {option}")
    address = (terminal.path / "square.html").as_uri()
    assert opened == [address] * opens
    assert result.stdout.splitlines()[1] == ("It opens in your browser." if opens else f"Open it in a browser: {address}")


@pytest.mark.parametrize(("is_terminal", "ci", "watched"), [(True, "", True), (True, "true", False), (False, "", False)])
def test_who_looks_on(monkeypatch, is_terminal, ci, watched):
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: is_terminal))
    monkeypatch.setenv("CI", ci)
    assert pictures.is_watched() is watched


@pytest.mark.parametrize("found", [True, False])
def test_without_a_browser_it_says_where_the_page_is(terminal, calls, opened, monkeypatch, found):
    if found:  # a screen, and nothing that shows a page
        monkeypatch.setattr(webbrowser, "open", lambda address: False)
    else:
        monkeypatch.delenv("DISPLAY")
    result = terminal("play square --open")
    assert result.exit_code == 0 and not opened
    assert result.stdout.splitlines()[1] == f"Open it in a browser: {(terminal.path / 'square.html').as_uri()}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("sqare", "there is no example 'sqare'; did you mean square?"),
        ("mine", "mine is a file: name the Value or the function in it, as in tinygrad-sm play mine:loss"),
        ("mine:number", "mine:number is 3; play takes a Value"),
        ("mine:model", "tinygrad-sm play mine:model --shape 3,4"),
        ("square -o a.svg", "-o: the player is an HTML file, name.html, and not a.svg"),
        ("square -o -", "-o: the player is an HTML file, name.html, and not -"),
        ("square -o no/folder/a.html", "there is no folder"),
        ("square --fused --expand softmax", "--fused shows no composition and --expand shows one"),
        ("square --collapse 1 --collapse Linear", "--collapse is one depth"),
    ],
)
def test_slips_are_one_sentence(terminal, calls, arguments, sentence):
    result = terminal(f"play {arguments}")
    assert result.exit_code == 1 and not result.stdout and not terminal.files() and not calls
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1 and sentence in result.stderr


@pytest.mark.parametrize("error", [FileNotFoundError("draw: no program"), RuntimeError("draw: no program")])
def test_a_program_that_is_not_there_or_fails_is_a_sentence(terminal, monkeypatch, error):
    def player(value, **settings):
        raise error

    monkeypatch.setitem(sys.modules, "tinygrad_sm.viz.players.playing", SimpleNamespace(player=player))
    result = terminal("play square")
    assert result.exit_code == 1 and result.stderr == "Error: draw: no program\n" and not result.stdout


@pytest.mark.parametrize("arguments", ["square softmax", "square --theme pink", "square --max-nodes 0"])
def test_slips_of_the_command_line_itself(terminal, arguments):
    assert terminal(f"play {arguments}").exit_code == 2


def test_help(terminal):
    result = terminal("play --help")
    assert result.exit_code == 0 and max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.heavy
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_has_a_player(terminal, name):
    result = terminal(f"play {name}")
    assert result.exit_code == 0, result
    text = (terminal.path / f"{name}.html").read_text()
    assert "<svg" in text and "http-equiv" in text and "</html>" in text


@pytest.mark.heavy
def test_in_a_terminal_without_a_screen_nothing_takes_the_terminal_over(tmp_path):
    import pty

    browser = tmp_path / "www-browser"
    browser.write_text("#!/bin/sh\ntouch opened; sleep 600\n")  # a browser in the terminal, which waits for keys
    browser.chmod(0o755)
    kept = {name: x for name, x in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "CI")}
    environment = kept | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "TERM": "xterm"}
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tinygrad_sm", "play", "square"]
    subprocess.run(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=environment, check=True, timeout=60)
    os.close(theirs)
    printed = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "Open it in a browser: file:///" in printed.replace("\r\n", "") and not (tmp_path / "opened").exists()
