"""A folder with a person's program in it, in which commands run as in a terminal of 80 columns."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from tinygrad_sm.cli import app

COMMAND = typer.main.get_command(app)  # made once, as that takes longer than most commands

PROGRAM = """
import tinygrad_sm as tg

x = tg.Value(3.0)
y = x * x + x
model = tg.nn.MLP([4, 3, 2])
number, words = 3, "three words here"
learnt = x * 2.0
learnt.backward()

class Holder:
    inner = x * 5.0

def loss():
    print("printed by loss")
    return tg.sum(model([1.0, 2.0, 3.0, 4.0]) * 2.0)

def named():
    logits = tg.Value([2.0, 1.0])
    return tg.cross_entropy(logits, 0), locals()

def named_by_network():
    net = tg.nn.Linear(2, 1)
    return tg.sum(net([1.0, 2.0])), net

def product(a, b):
    return tg.sum(a * b)

def several(*inputs):
    return inputs[0] + 1.0

def of_logs(z):
    return tg.sum(tg.log(z)), {"z": z}

def nowhere(z):
    return tg.log(-abs(z))

def plain():
    return 3.5

def nothing():
    pass

def two():
    return x, y

def divides():
    return x / no_such_name

def cut_off():
    return tg.constant(x) * 2.0

def flat():
    return tg.constant([1.0, 2.0]) + tg.Value(1.0, requires_grad=False)

def spoilt():
    return tg.sum(misruled(x))

@tg.primitive
def misruled(xp, x):
    return x * 1.0
misruled.vjps(lambda xp, g, out, x: undefined)
"""


@pytest.fixture
def terminal(tmp_path, monkeypatch):
    """Runs the command in a folder of its own that holds `mine.py`; what is there besides is in `terminal.files()`."""
    (tmp_path / "mine.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COLUMNS", "80")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):  # no test opens a window
        monkeypatch.delenv(variable, raising=False)
    sys.modules.pop("mine", None)
    yield Folder(tmp_path)
    sys.modules.pop("mine", None)


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    exit_code: int
    stdout: str
    stderr: str


class Folder:
    """Where commands run, and what is in there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, arguments: str) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            COMMAND.main(arguments.split(), "tinygrad-sm")
        return Ended(end.value.code or 0, out.getvalue(), err.getvalue())

    def files(self) -> set[str]:
        """The files beside the program."""
        return {path.name for path in self.path.iterdir()} - {"mine.py", "__pycache__"}
