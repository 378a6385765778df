"""The notebooks: kept without outputs, in one form and one style; what they show in a notebook is one picture each."""

import ast
import json
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
ALLOWED = sys.stdlib_module_names | {"tinygrad_sm", "matplotlib"}
PLACES = re.compile(r"(?<![\w.:/}\\])~?/[a-z]\w*/\w|~/\w|\b[A-Za-z]:\\", re.IGNORECASE)  # that only one machine has


def tidied(text: str) -> str:
    spec = spec_from_file_location("tidy", FOLDER / "tidy.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.tidied(text)


def problems(name: str, text: str) -> list[str]:
    """What is wrong with a notebook's style; nothing, one hopes."""
    found = []
    if not re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", name):
        found.append("the name is no number and small letters")
    if len(text.encode()) > 300_000:
        found.append("larger than 300 kB")
    if text != tidied(text):
        found.append("not as python notebooks/tidy.py writes it")
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    if cells[0][0] != "markdown" or not re.match(r"# \S", cells[0][1]):
        found.append("the first cell is no title")
    asserts = 0
    for i, (kind, source) in enumerate(cells):
        if PLACES.search(source):
            found.append(f"cell {i} names a place on one machine")
        if kind == "markdown":
            if len(source) > 800:
                found.append(f"cell {i} is a long read")
            continue
        try:
            tree = ast.parse(source)
        except SyntaxError:
            found.append(f"cell {i} is not plain Python")
            continue
        found += [f"cell {i} imports {module}" for module in imported(tree) if module.partition(".")[0] not in ALLOWED]
        asserts += sum(isinstance(node, ast.Assert) for node in ast.walk(tree))
    if asserts < 3:
        found.append("it asserts hardly anything")
    return found


def imported(tree: ast.AST) -> list[str]:
    """The names of the modules that code imports."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append("." * node.level + (node.module or ""))
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_style(path):
    assert problems(path.name, path.read_text(encoding="utf-8")) == []


def test_there_are_notebooks_and_the_readme_lists_them():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert NOTEBOOKS
    assert [path.name for path in NOTEBOOKS] == re.findall(r"\]\((\w+\.ipynb)\)", readme)


# --- the test of the test

CODE = "assert 1\nassert 2\nassert 3"


def notebook(*cells: str) -> str:
    """A tidy notebook of cells, of which those that begin with # are text."""
    kinds = ["markdown" if cell.startswith("#") else "code" for cell in cells]
    return tidied(json.dumps({"cells": [{"cell_type": k, "source": c} for k, c in zip(kinds, cells, strict=True)]}))


def test_a_good_notebook_passes():
    text = notebook("# Title, ∂ and é, $a/b/c$, https://a.org/b/c", "import math\nimport tinygrad_sm as tg\n" + CODE)
    assert problems("02_good.ipynb", text) == [] and "∂ and é" in text


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("good.ipynb", notebook("# Title", CODE), "name"),
        ("02_Good.ipynb", notebook("# Title", CODE), "name"),
        ("02_good.ipynb", notebook("# Title" + 300_000 * " x", CODE), "300 kB"),
        ("02_good.ipynb", notebook(CODE), "title"),
        ("02_good.ipynb", notebook("## Title", CODE), "title"),
        ("02_good.ipynb", notebook("# Title", CODE, "# Words" + 800 * "s"), "long read"),
        ("02_good.ipynb", notebook("# Title", CODE, "open('/home/me/x')"), "machine"),
        ("02_good.ipynb", notebook("# Title", CODE, "open('~/x')"), "machine"),
        ("02_good.ipynb", notebook("# In C:\\data", CODE), "machine"),
        ("02_good.ipynb", notebook("# Title", CODE, "import numpy.linalg"), "imports numpy.linalg"),
        ("02_good.ipynb", notebook("# Title", CODE, "def f():\n    from torch.nn import Linear"), "imports torch.nn"),
        ("02_good.ipynb", notebook("# Title", CODE, "from . import x"), "imports ."),
        ("02_good.ipynb", notebook("# Title", CODE, "!pip install x"), "plain Python"),
        ("02_good.ipynb", notebook("# Title", "assert 1\nassert 2"), "asserts"),
        ("02_good.ipynb", notebook("# Title", CODE).replace("null", "7"), "tidy"),
        ("02_good.ipynb", notebook("# Title", CODE).replace('"outputs": []', '"outputs": [{}]'), "tidy"),
        ("02_good.ipynb", notebook("# Title", CODE).replace('"python3"', '"my_environment"'), "tidy"),
        ("02_good.ipynb", notebook("# Title", CODE).rstrip(), "tidy"),
    ],
)
def test_a_bad_notebook_is_found_out(name, text, problem):
    assert any(problem in found for found in problems(name, text)), problems(name, text)


def test_tidying_keeps_text_and_code():
    before = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))
    messy = json.loads(json.dumps(before))
    for count, cell in enumerate(messy["cells"]):
        cell["source"] = "".join(cell["source"]) + "\n"
        cell["metadata"] = {"collapsed": True}
        if cell["cell_type"] == "code":
            cell |= {"execution_count": count, "outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]}
    messy["cells"].append({"cell_type": "code", "source": "", "outputs": [], "metadata": {}})
    assert json.loads(tidied(json.dumps(messy))) == before


# --- what a notebook shows


@pytest.fixture(scope="module")
def shown():
    """What a real kernel sends for a drawing and for a player."""
    import nbformat
    from nbclient import NotebookClient

    sources = ["import tinygrad_sm as tg\nx = tg.Value(3.0, name='x')\ny = x * x", "tg.draw(y)", "tg.player(y)", "tg.draw(y)"]
    kept = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(kept, timeout=120, kernel_name="python3").execute()
    return [cell["outputs"][0]["data"] for cell in kept.cells[1:]]


@pytest.mark.heavy
def test_a_drawing_is_one_svg_and_a_player_is_one_iframe(shown):
    drawing, player, again = shown
    assert [drawing["text/html"].count(f"<{tag}") for tag in ("svg", "iframe", "script", "img")] == [1, 0, 0, 0]
    assert player["text/html"].count("<iframe") == 1 and 'sandbox="allow-scripts"' in player["text/html"]
    assert not re.search(r"<svg|<script", re.sub(r'srcdoc="[^"]*"', "", player["text/html"]))
    for data in shown:
        assert {*data} == {"text/plain", "text/html"} and "multiply" in data["text/plain"]
    ids = [{*re.findall(r'\bid="([^"]+)"', data["text/html"])} for data in (drawing, again)]
    assert ids[0] and not ids[0] & ids[1]
