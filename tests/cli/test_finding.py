"""A person's op by its name: where it is looked for, and the sentence for every slip."""

import random
import re
import sys

import pytest

from tinygrad_sm.cli.finding import blame, find

FILES = {
    "losses_of_mine.py": "def loss(z):\n    return 1\nclass Kind:\n    def method(self): return 2\n",
    "random.py": "mine = True\n",
    "with-dash.py": "x = 3\n",
    "folder_of_mine/plain.py": "import beside_plain\nx = beside_plain.x\n",
    "folder_of_mine/beside_plain.py": "x = 4\n",
    "package_of_mine/__init__.py": "",
    "package_of_mine/ops.py": "from .constants import k as x\n",
    "package_of_mine/constants.py": "k = 5\n",
    "needs_more.py": "import no_such_thing_anywhere\n",
    "divides.py": "\nx = 1 / 0\n",
    "unwritten.py": "def (\n",
    "ends.py": "raise SystemExit('usage')\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("with-dash.py:x", 3),
        ("random:mine", True),
        ("random.py:mine", True),
        ("folder_of_mine/plain.py:x", 4),
        ("folder_of_mine.plain:x", 4),
        ("package_of_mine.ops:x", 5),
        ("package_of_mine/ops.py:x", 5),
        ("math:pi", 3.141592653589793),
    ],
)
def test_what_is_found(target, wanted):
    assert find(target) == wanted


def test_functions_methods_and_whole_paths(folder):
    assert find("losses_of_mine:loss")(0) == 1
    assert find("losses_of_mine:Kind.method")(None) == 2
    assert find(f"{folder}/losses_of_mine.py:loss") is find("losses_of_mine:loss")  # run once


def test_a_file_shadows_nothing(folder):
    find("random.py:mine")
    import random as again

    assert again is random and not hasattr(again, "mine")
    assert sys.path[0] != str(folder) and str(folder) in sys.path  # nor do the files beside it


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (":x", "':x' names nothing: write module:function, such as losses:my_loss for my_loss in losses.py"),
        ("losses_of_mine:", "'losses_of_mine:' names nothing"),
        ("nowhere_at_all:x", "there is no module nowhere_at_all, neither in "),
        ("nowhere.py:x", "there is no file nowhere.py, seen from "),
        ("folder_of_mine/nowhere:x", "there is no file folder_of_mine/nowhere, seen from "),
        ("losses_of_mine:los", "losses_of_mine has no los; did you mean loss?"),
        ("losses_of_mine:zzz", "losses_of_mine has no zzz"),
        ("needs_more:x", "needs_more needs no_such_thing_anywhere, which is not installed"),
        ("divides:x", "divides cannot be imported: ZeroDivisionError: division by zero ("),
        ("unwritten:x", "unwritten cannot be imported: SyntaxError: invalid syntax ("),
        ("ends:x", "ends cannot be imported: SystemExit: usage ("),
    ],
)
def test_slips_are_sentences(target, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}.*\\Z"):
        find(target)


@pytest.mark.parametrize(("module", "line"), [("divides", 2), ("unwritten", 1), ("ends", 1)])
def test_the_line_that_failed(module, line):
    with pytest.raises(ValueError, match=rf"{module}\.py, line {line}\)$"):
        find(f"{module}:x")


def test_a_cause_is_blamed_at_its_own_line():
    def fails():
        try:
            raise KeyError("k")
        except KeyError as error:
            raise TypeError("two\nlines") from error

    with pytest.raises(TypeError) as caught:
        fails()
    assert blame(caught.value).startswith("TypeError: two lines (") and blame(caught.value).count("line ") == 1
