"""A bar where a person watches, few plain lines elsewhere, and silence when asked for."""

import os
import pty
import subprocess
import sys

import pytest

import tinygrad_sm as tg
from tests.training.networks import network, points

X, Y = points(6)


@pytest.mark.parametrize(("epochs", "least", "most"), [(1, 1, 1), (3, 3, 3), (20, 10, 20), (21, 10, 21), (300, 10, 21)])
def test_plain_lines_are_few(capsys, epochs, least, most):
    tg.fit(network(), X, Y, epochs=epochs)
    printed, errors = capsys.readouterr()
    lines = printed.splitlines()
    assert least <= len(lines) <= most and errors == ""
    assert f"{epochs}/{epochs}" in lines[-1]
    assert "\r" not in printed and "\x1b" not in printed
    assert max(map(len, lines)) <= 128


def test_the_lines_say_what_the_history_says(capsys):
    history = tg.fit(network(), X, Y, epochs=3, validation=(X, Y))
    for i, line in enumerate(capsys.readouterr().out.splitlines()):
        assert f"{i + 1}/3" in line
        for number in (history.loss[i], history.validation_loss[i]):
            assert f"{number:.3f}"[:-1] in line
        for share in (history.accuracy[i], history.validation_accuracy[i]):
            assert f"{100 * share:.1f}" in line


def test_regression_has_no_percentages(capsys):
    tg.fit(network(2, 3, 1), X, [[a] for a, _ in X], loss=tg.mse_loss, epochs=2)
    printed = capsys.readouterr().out
    assert "loss" in printed and "%" not in printed


def test_silence(capsys):
    tg.fit(network(), X, Y, epochs=3, validation=(X, Y), progress=False)
    tg.predict(network(), X)
    assert capsys.readouterr() == ("", "")


def test_silence_needs_no_rich():
    program = (
        "import sys, tinygrad_sm as tg\n"
        "tg.fit(tg.nn.MLP([1, 2]), [[0.0], [1.0]], [0, 1], validation=0.5, epochs=2, progress=False)\n"
        "assert 'rich' not in sys.modules, 'rich'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


PROGRAM = """
import tinygrad_sm as tg

model = tg.nn.MLP([1, 2])
history = tg.fit(model, [[0.0], [1.0]] * 8, [0, 1] * 8, epochs=7, batch_size=2, validation=0.25)
assert len(history.loss) == 7
print("afterwards")
try:
    tg.fit(model, [[0.0]] * 8, [0] * 8, loss=lambda o, t: tg.cross_entropy(o, t) * float("inf"))
except FloatingPointError as error:
    print(str(error)[:8])
"""


def test_a_person_sees_a_bar():
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    environment = {key: x for key, x in environment.items() if key not in ("NO_COLOR", "CI", "TTY_COMPATIBLE")}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 65536):
                seen += chunk
        except OSError:  # Linux says so when the other side has closed
            pass
        os.close(ours)
    text = seen.decode()
    assert process.returncode == 0, text
    assert "\x1b[" in text and "━" in text and "7/7" in text and "loss" in text
    assert text.index("━") < text.index("afterwards")
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 2  # the cursor comes back, also after an error
    assert text.rstrip().endswith("fit: the")
