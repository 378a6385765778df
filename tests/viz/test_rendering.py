"""Pictures: which program draws, what counts as a picture, files, and notebooks."""

import os
import re
import subprocess
import sys
import time
import venv
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import graphviz
import pytest

import tinygrad_sm as tg
from tests.helpers.drawings import AWKWARD
from tinygrad_sm.viz import draw, rendering
from tinygrad_sm.viz.engines import engines_after
from tinygrad_sm.viz.rendering import FONT, find_engine, render

SVG = """<?xml version="1.0"?>
<svg width="720pt" height="72pt" xmlns="http://www.w3.org/2000/svg"><g id="n0"/><text font-family="DejaVu Sans">x</text>{}</svg>
"""
WHOLE = SVG.format("")
PNG = b"\x89PNG....IEND\xaeB`\x82"
PDF = b"%PDF....%%EOF\n"
AGAIN = ["-Gnewrank=true", "-Gsplines=line"]


@pytest.fixture
def no_engine(monkeypatch, tmp_path):
    """A system without any program that draws; returns a folder with an empty one for PATH, scripts and libraries."""
    for folder in ("bin", "scripts", "library"):
        (tmp_path / folder).mkdir()

    def distribution(name):
        for found in metadata.Distribution.discover(name=name, path=[str(tmp_path / "library")]):
            return found
        raise metadata.PackageNotFoundError(name)

    monkeypatch.delenv("TINYGRAD_SM_DOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("sysconfig.get_path", lambda *_: str(tmp_path / "scripts"))
    monkeypatch.setattr("importlib.metadata.distribution", distribution)
    return tmp_path


def program(path: Path, script: str) -> str:
    """An executable that runs a shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def answering(path: Path, svg: str = WHOLE, png: bytes = PNG, pdf: bytes = PDF, status: int = 0, stderr="dot: trouble") -> str:
    """An executable that gives these answers whatever it is asked to draw, and writes down what it was asked."""
    for kind, data in (("svg", svg.encode()), ("png", png), ("pdf", pdf), ("stderr", stderr.encode())):
        path.with_name(f"{path.name}.{kind}").write_bytes(data)
    script = f"""
        echo "$@" >>{path}.options
        /bin/cat >{path}.asked
        /bin/cat {path}.stderr >&2
        /bin/cat {path}.${{2#-T}}
        exit {status}"""
    return program(path, script)


def options_of(path: Path) -> list[list[str]]:
    """The options of each run of a program that was `answering`."""
    asked = path.with_name(f"{path.name}.options")
    return [line.split() for line in asked.read_text().splitlines()] if asked.exists() else []


def library(folder: Path, version: str = "2.0.4", body: str = "") -> None:
    """A package pygraphviz that draws what it was asked in words."""
    (folder / f"pygraphviz-{version}.dist-info").mkdir()
    (folder / f"pygraphviz-{version}.dist-info" / "METADATA").write_text(f"Name: pygraphviz\nVersion: {version}\n")
    (folder / "pygraphviz.py").write_text(
        f"""
class AGraph:
    def __init__(self, string):
        self.string = string
        {body}
    def draw(self, format, prog, args):
        assert prog == "dot"
        if format == "svg":
            return {WHOLE!r}.replace("{{}}", "").replace(">x<", f">library {{len(self.string)}} {{args}}<").encode()
        return f"{{format}} {{args}} ".encode() + ({PNG!r} if format == "png" else {PDF!r})
"""
    )


# --- which program


def test_the_order_in_which_programs_are_found(no_engine, monkeypatch):
    bin_, scripts = no_engine / "bin", no_engine / "scripts"
    with pytest.raises(FileNotFoundError, match=re.escape("pip install 'tinygrad_sm[dot]'")):
        find_engine()
    library(no_engine / "library")
    assert find_engine() == find_engine("pygraphviz") == "pygraphviz"
    extra = program(scripts / "graphviz-pure", "")
    assert find_engine() == find_engine("graphviz-pure") == extra
    dot = program(bin_ / "dot", "")
    assert find_engine() == dot
    assert [*engines_after(dot)] == [extra, "pygraphviz"] and [*engines_after(extra)] == [dot, "pygraphviz"]
    own = program(no_engine / "mine", "")
    monkeypatch.setenv("TINYGRAD_SM_DOT", own)
    assert find_engine() == own
    assert find_engine("dot") == find_engine(Path(dot)) == find_engine(os.fsencode(dot)) == dot
    monkeypatch.setenv("TINYGRAD_SM_DOT", "")
    assert find_engine() == dot


def test_a_program_that_is_not_there(no_engine, monkeypatch):
    program(no_engine / "bin" / "dot", "")
    for name in ("nowhere", "pygraphviz", "graphviz-pure"):
        with pytest.raises(FileNotFoundError, match=f"engine names '{name}', and there is no such program"):
            find_engine(name)
    monkeypatch.setenv("TINYGRAD_SM_DOT", "/nowhere/dot")
    with pytest.raises(FileNotFoundError, match=r"variable TINYGRAD_SM_DOT names '/nowhere/dot'"):
        find_engine()
    with pytest.raises(TypeError, match=r"^draw: engine is the name or the path of a program, not 3$"):
        find_engine(3)


def test_a_python_that_cannot_start_another_has_no_library(no_engine, monkeypatch):
    library(no_engine / "library")
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(FileNotFoundError, match="pip install"):
        find_engine()


@pytest.mark.parametrize("version", ["1.14", "0.9", "none"])
def test_a_library_without_a_layout_of_its_own_does_not_count(no_engine, version):
    library(no_engine / "library", version)
    with pytest.raises(FileNotFoundError, match="pip install"):
        find_engine()


def test_without_any_program(no_engine, tmp_path):
    drawing = draw(tg.Value(1.0))
    with pytest.raises(FileNotFoundError, match="install the Graphviz of your system"):
        drawing.svg()
    with pytest.raises(FileNotFoundError, match="pip install"):
        drawing.save(tmp_path / "x.svg")
    assert not (tmp_path / "x.svg").exists()
    assert drawing.save(tmp_path / "x.dot").read_text() == drawing.source
    bundle = drawing._repr_mimebundle_()
    assert [*bundle] == ["text/plain"] and bundle["text/plain"].startswith("Drawing(1 node, 0 edges)")
    assert "without a picture: draw: a picture needs the program dot" in bundle["text/plain"]


# --- a Python without PATH

SCRIPT = """
import tinygrad_sm as tg
x = tg.Value(2.0)
try:
    print(tg.draw(x if {one} else tg.softmax(tg.stack([x * x, x]))).svg())
except Exception as error:
    print(type(error).__name__, error, sep=": ")
    print([*tg.draw(x)._repr_mimebundle_()])
"""


@pytest.fixture
def bare(tmp_path):
    """A fresh environment with this package and graphviz alone; returns its scripts, and what runs `SCRIPT` with PATH empty."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    for package in (tg, graphviz):
        (tmp_path / package.__name__).symlink_to(Path(package.__file__).parent)
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")

    def run(one: bool = True) -> str:
        environment = {"PATH": "", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}
        command = [scripts / "python", "-c", SCRIPT.format(one=one)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    return scripts, run


def test_an_empty_path_explains_itself_and_the_extra_is_enough(bare):
    scripts, run = bare
    sentence, keys = run().splitlines()
    assert sentence == (
        "FileNotFoundError: draw: a picture needs the program dot, and it was not found: "
        "pip install 'tinygrad_sm[dot]', or install the Graphviz of your system"
    )
    assert keys == "['text/plain']"
    answering(scripts / "graphviz-pure")
    assert '<g id="n0"/>' in run()


@pytest.mark.heavy
def test_the_real_extra_draws_without_path(bare):
    scripts, run = bare
    (scripts / "graphviz-pure").symlink_to(find_engine("graphviz-pure"))
    assert len(of_class(run(one=False), "node")) == 4


# --- what counts as a picture


SOURCE = f'digraph {{ n0 [label="ŷ" fontname="{FONT}"] }}'


@pytest.mark.parametrize("status", [0, 1])
def test_a_whole_picture_counts_whatever_the_program_says(tmp_path, status):
    svg = render(SOURCE, engine=answering(tmp_path / "dot", status=status), ids=["n0"]).decode()
    assert svg == WHOLE.replace(FONT, f"{FONT}, Verdana, Arial, Helvetica, sans-serif")
    assert (tmp_path / "dot.asked").read_text(encoding="utf-8") == SOURCE
    assert options_of(tmp_path / "dot") == [["-Kdot", "-Tsvg"]]
    assert render(SOURCE, "png", engine=tmp_path / "dot", ids=["n0"]) == PNG
    assert render(SOURCE, "pdf", engine=tmp_path / "dot", ids=iter(["n0"])) == PDF


TORN = {
    "svg": ["", WHOLE[:-9], WHOLE.replace("n0", "n1"), WHOLE.replace("<text", "<test")],
    "png": [b"", PNG[:-1]],
    "pdf": [b"%PDF"],
}


@pytest.mark.parametrize(("kind", "answer"), [(kind, answer) for kind, answers in TORN.items() for answer in answers])
@pytest.mark.parametrize("status", [0, 1])
def test_half_a_picture_is_an_error(tmp_path, kind, answer, status):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "dot", **{kind: answer}, status=status))
    with pytest.raises(RuntimeError, match=rf"^draw: \S+/dot gave no whole {kind}.*: dot: trouble$"):
        drawing.save(tmp_path / f"x.{kind}")
    assert not (tmp_path / f"x.{kind}").exists()


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
@pytest.mark.parametrize("lost", ["n0", "n0_1"])
def test_a_lost_node_or_edge_is_an_error(tmp_path, kind, lost):
    engine = answering(tmp_path / "dot", svg=SVG.format('<g id="n0_1"/>').replace(f'"{lost}"', '"other"'), stderr="")
    with pytest.raises(RuntimeError, match=rf"no whole {kind}, not with straight edges either: {lost} is missing$"):
        render(SOURCE, kind, engine=engine, ids=["n0", "n0_1"])


# what it says on stderr, how it ends, what it draws, and what the user is told
COMPLAINTS = [
    ("Warning: no value for width\n\nError: trouble in init_rank\nmore\n", "exit 1", "", "Error: trouble in init_rank"),
    ("Warning: old font\npyenv: dot: command not found\n", "exit 127", "", "pyenv: dot: command not found"),
    ("shortest.c:324: triangulation failed\nError: in routesplines\n", "exit 1", "", "Error: in routesplines"),
    ("Warning: old font\n", "exit 3", "", "exit status 3: Warning: old font"),
    ("Warning: old font\n", "exit 0", "", "Warning: old font"),
    ("", "exit 3", "", "exit status 3"),
    ("", "kill -ABRT $$", "", "it was ended by SIGABRT"),
    ("Fontconfig warning: x\n", "kill -SEGV $$", "", "it was ended by SIGSEGV: Fontconfig warning: x"),
    ("", "exit 0", "", "it is empty"),
    ("", "exit 0", WHOLE.replace("svg ", "html ").replace("/svg", "/html"), "it is html"),
    ("", "exit 0", WHOLE[:-9], "it breaks off: .* line [23], column .*"),
    ("", "exit 0", WHOLE.replace("n0", "n1"), "n0 is missing"),
    ("", "exit 0", WHOLE.replace('id="n0"', ""), "n0 is missing, and 1 more"),
    ("\udce9", "exit 0", "", "\N{REPLACEMENT CHARACTER}"),
]


@pytest.mark.parametrize(("stderr", "end", "svg", "told"), COMPLAINTS)
def test_the_line_that_tells_most(tmp_path, stderr, end, svg, told):
    (tmp_path / "stderr").write_bytes(stderr.encode(errors="surrogateescape"))
    (tmp_path / "svg").write_text(svg)
    engine = program(tmp_path / "dot", f"/bin/cat {tmp_path}/stderr >&2; /bin/cat {tmp_path}/svg; {end}")
    with pytest.raises(RuntimeError) as caught:
        render("digraph {}", engine=engine, ids=["n0", "n1"] if "1 more" in told else ["n0"])
    assert re.fullmatch(f"draw: {engine} gave no whole svg, not with straight edges either: {told}", str(caught.value))


# --- trying again


def test_what_is_not_whole_is_tried_with_straight_edges(tmp_path):
    for name in ("dot", "again"):
        answering(tmp_path / name, svg=WHOLE if name == "again" else "")
    engine = program(tmp_path / "both", f'case "$*" in *splines*) exec {tmp_path}/again "$@";; esac; exec {tmp_path}/dot "$@"')
    assert b"n0" in render("digraph {}", engine=engine, ids=["n0"])
    assert render("digraph {}", "png", engine=engine, ids=["n0"]) == PNG
    assert options_of(tmp_path / "dot") == 2 * [["-Kdot", "-Tsvg"]]
    again = ["-Kdot", "-Tsvg", *AGAIN]
    assert options_of(tmp_path / "again") == [again, again, ["-Kdot", "-Tpng", *AGAIN, "-Gdpi=192"]]


BROKEN = {
    "is no program": None,
    "is not found by pyenv": "echo 'pyenv: dot: command not found' >&2; exit 127",
    "gives nothing": "exit 0",
    "gives half": f"echo '{WHOLE[:-9]}'",
    "loses a node": f"echo '{WHOLE.replace('n0', 'n1')}'",
    "crashes": "kill -ABRT $$",
    "closes its input": "exec 0<&-; exit 1",
}


@pytest.fixture(params=BROKEN)
def broken(request, no_engine) -> str:
    path = no_engine / "bin" / "dot"
    if script := BROKEN[request.param]:
        return program(path, script)
    path.write_bytes(b"\x00\x01\x02")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_broken_dot_on_path_is_passed_over(broken, no_engine, kind):
    answering(no_engine / "scripts" / "graphviz-pure")
    picture = render("digraph {}", kind, ids=["n0"])
    assert (b"n0" in picture) if kind == "svg" else (picture == PNG)


def test_a_broken_program_that_was_asked_for_by_name_is_not_passed_over(broken, no_engine, monkeypatch):
    answering(no_engine / "scripts" / "graphviz-pure")
    for name in ("dot", broken, Path(broken)):
        with pytest.raises(RuntimeError, match=f"^draw: {broken} "):
            render("digraph {}", engine=name, ids=["n0"])
    monkeypatch.setenv("TINYGRAD_SM_DOT", "dot")
    with pytest.raises(RuntimeError, match=f"^draw: {broken} "):
        render("digraph {}", ids=["n0"])
    assert options_of(no_engine / "scripts" / "graphviz-pure") == []


def test_when_all_fail_the_first_is_told_of(broken, no_engine):
    answering(no_engine / "scripts" / "graphviz-pure", svg="", stderr="the other")
    library(no_engine / "library", body="raise ValueError('the last')")
    with pytest.raises(RuntimeError, match=f"^draw: {broken} (does not run: Exec format error|gave no whole svg)"):
        render("digraph {}", ids=["n0"])


# --- the library


def test_the_library_draws_in_a_python_of_its_own(no_engine):
    library(no_engine / "library")
    assert f">library {len(SOURCE)} <" in render(SOURCE, ids=["n0"]).decode()
    assert render(SOURCE, "png", ids=["n0"]).startswith(b"png -Gdpi=192 ")
    assert render(SOURCE, "pdf", ids=["n0"]).startswith(b"pdf  ")
    assert "pygraphviz" not in sys.modules


def test_a_file_of_that_name_in_the_current_folder_is_not_the_library(no_engine, monkeypatch):
    library(no_engine / "library")
    (no_engine / "pygraphviz.py").write_text("raise ValueError('not me')")
    monkeypatch.chdir(no_engine)
    assert b">library" in render(SOURCE, ids=["n0"])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import os; os.abort()", "it was ended by SIGABRT"),
        ("raise ValueError('a layout error.')", "ValueError: a layout error."),
    ],
)
def test_a_library_that_fails_takes_nothing_with_it(no_engine, body, told):
    library(no_engine / "library", body=body)
    with pytest.raises(RuntimeError, match=f"^draw: pygraphviz gave no whole svg, not with straight edges either: {told}$"):
        render("digraph {}")


# --- files that are no svg


def test_the_extra_has_fonts_of_its_own_and_no_pdf(tmp_path):
    extra = answering(tmp_path / "graphviz-pure")
    render(SOURCE, "png", engine=extra)
    assert (tmp_path / "graphviz-pure.asked").read_text(encoding="utf-8") == SOURCE.replace(FONT, "Arial")
    render(SOURCE, engine=extra)
    assert (tmp_path / "graphviz-pure.asked").read_text(encoding="utf-8") == SOURCE
    (tmp_path / "dot").symlink_to(extra)
    for name in ("dot", "graphviz-pure"):
        with pytest.raises(RuntimeError, match="for pdf install the Graphviz of your system"):
            render(SOURCE, "pdf", engine=tmp_path / name)


def test_a_pdf_is_drawn_by_whom_it_can_be(no_engine):
    answering(no_engine / "scripts" / "graphviz-pure")
    with pytest.raises(RuntimeError, match="for pdf install the Graphviz of your system"):
        render("digraph {}", "pdf")
    library(no_engine / "library")
    assert render("digraph {}", "pdf").startswith(b"pdf")
    answering(no_engine / "bin" / "dot")
    assert render("digraph {}", "pdf") == PDF


# width and height in points, the dpi asked for, and what becomes of it
SIZES = [
    ("720pt", "72pt", 192, 192),
    ("720.50pt", "72pt", 96.5, 96.5),
    ("72000pt", "72pt", 192, 16),  # 16,000 pixels
    ("72pt", "72000pt", 192, 16),
    ("7200pt", "7200pt", 192, 50),  # 5,000 x 5,000
    ("7200pt", "7200pt", 20, 20),
    ("0pt", "0pt", 192, 192),
    ("100%", "", 192, 192),
]


@pytest.mark.parametrize(("width", "height", "dpi", "given"), SIZES)
def test_a_png_is_sharp_and_no_larger_than_can_be_shown(tmp_path, width, height, dpi, given):
    engine = answering(tmp_path / "dot", svg=WHOLE.replace('width="720pt" height="72pt"', f'width="{width}" height="{height}"'))
    assert render("digraph {}", "png", engine=engine, dpi=dpi) == PNG
    assert options_of(tmp_path / "dot") == [["-Kdot", "-Tsvg"], ["-Kdot", "-Tpng", f"-Gdpi={given}"]]


@pytest.mark.parametrize("dpi", [0, -1, float("nan"), float("inf"), "192", None])
def test_a_dpi_that_is_none(tmp_path, dpi):
    with pytest.raises(ValueError, match=rf"^draw: dpi is a positive number, the pixels of an inch, not {dpi!r}$"):
        render("digraph {}", "png", engine=answering(tmp_path / "dot"), dpi=dpi)


# --- programs that hang, and much to read


def ends(pid: int) -> bool:
    """Whether a process is over within a few seconds."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":  # over, and nobody has asked
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


def hanging(path: Path) -> str:
    """A script that waits for a child of its own, as the `dot` of some systems does."""
    return program(path, f"/bin/sleep 600 & echo $! >{path}.pid; wait")


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    engine, pid = hanging(tmp_path / "slow"), tmp_path / "slow.pid"
    for timeout in (0.1, 1, 10, 60):
        with pytest.raises(RuntimeError) as caught:
            render("digraph {}", engine=engine, timeout=timeout)
        told = f"draw: {engine} took longer than {timeout} s; draw fewer nodes with max_nodes="
        assert str(caught.value) == told
        if pid.exists() and pid.read_text().strip():
            break
    assert ends(int(pid.read_text()))


def test_an_interrupt_ends_the_program_too(tmp_path, monkeypatch):
    engine, pid = hanging(tmp_path / "slow"), tmp_path / "slow.pid"

    def interrupted(self, *_):
        while not (pid.exists() and pid.read_text().strip()):
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr("subprocess.Popen.communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        render("digraph {}", engine=engine)
    assert ends(int(pid.read_text()))


@pytest.mark.parametrize("asked", [False, True])
def test_all_runs_share_one_timeout_and_a_slow_program_leaves_half_of_it_to_the_next(no_engine, monkeypatch, asked):
    dot = answering(no_engine / "bin" / "dot", svg="")
    answering(no_engine / "scripts" / "graphviz-pure", svg=WHOLE)
    now, given, real = 0.0, [], subprocess.Popen.communicate
    monkeypatch.setattr("time.monotonic", lambda: now)

    def slow_the_second_time(self, source, timeout):
        nonlocal now
        given.append(timeout)
        if len(given) == 2:
            now += timeout
            raise subprocess.TimeoutExpired(self.args, timeout)
        now += 5.0
        return real(self, source)

    monkeypatch.setattr("subprocess.Popen.communicate", slow_the_second_time)
    if asked:
        with pytest.raises(RuntimeError, match=r"bin/dot took longer than 60 s"):
            render("digraph {}", ids=["n0"], timeout=60.0, engine=dot)
        assert given == [60.0, 55.0]
    else:
        assert b"n0" in render("digraph {}", ids=["n0"], timeout=60.0)
        assert given == [30.0, 25.0, 30.0]


def test_much_to_write_and_to_read(tmp_path):
    much = WHOLE.replace("n0", "n" * 3_000_000)
    engine = answering(tmp_path / "dot", svg=much, stderr="Warning: x\n" * 100_000)
    source = f"digraph {{ {'x' * 3_000_000} }}"
    assert len(render(source, engine=engine, ids=["n" * 3_000_000])) > 3_000_000
    assert (tmp_path / "dot.asked").read_text() == source


def test_a_program_that_does_not_listen(tmp_path):
    engine = program(tmp_path / "deaf", "exec 0<&-; echo 'no reader' >&2; exit 1")
    with pytest.raises(RuntimeError, match="no reader"):
        render(f"digraph {{ {'x' * 3_000_000} }}", engine=engine)


def test_text_that_is_none_is_no_traceback(tmp_path):
    assert (
        render("digraph { a [label=\ud800] }", engine=answering(tmp_path / "dot"))
        and "label=?" in (tmp_path / "dot.asked").read_text()
    )


# --- files and notebooks


@pytest.mark.parametrize("name", ["x.gv", "x.dot", "x.DOT", "a.b.dot"])
def test_the_text_needs_no_program(no_engine, tmp_path, name):
    drawing = draw(tg.Value(1.0, name="ŷ"))
    path = drawing.save(str(tmp_path / name))
    assert path == tmp_path / name and path.read_text(encoding="utf-8") == drawing.source


@pytest.mark.parametrize(("name", "has"), [("x.gif", "'.gif'"), ("x", "none"), (".svg", "none"), ("x.svg.gz", "'.gz'")])
def test_an_unknown_suffix_gets_a_sentence(tmp_path, name, has):
    with pytest.raises(ValueError, match=r"^save: the suffix picks") as caught:
        draw(tg.Value(1.0)).save(tmp_path / name)
    known, told = str(caught.value).removeprefix("save: the suffix picks the format (").split("), and ")
    assert {*known.split(", ")} >= {".svg", ".png", ".pdf", ".dot", ".gv"}
    assert told == f"{str(tmp_path / name)!r} has {has}"
    assert [*tmp_path.iterdir()] == []


def test_an_svg_file_is_what_svg_gives(tmp_path):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "dot"))
    assert drawing.save(tmp_path / "x.svg").read_text() == drawing.svg()


def test_two_pictures_in_a_notebook_share_no_id(tmp_path):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "dot"))
    first, second = (drawing._repr_mimebundle_() for _ in range(2))
    assert first["text/plain"].startswith("Drawing(1 node, 0 edges)")
    ids = [re.findall(r'id="(\w+)"', bundle["text/html"]) for bundle in (first, second)]
    assert [len(x) for x in ids] == [1, 1] and ids[0] != ids[1]
    assert [*drawing._repr_mimebundle_(include=["text/plain"])] == ["text/plain"]
    assert [*drawing._repr_mimebundle_(exclude=["text/html"])] == ["text/plain"]


def test_a_repr_never_raises(monkeypatch):
    drawing = draw(tg.Value(1.0))
    monkeypatch.setattr(type(drawing), "svg", lambda self: 1 / 0)
    assert "division by zero" in drawing._repr_mimebundle_()["text/plain"]


def test_the_user_may_change_the_graph(tmp_path):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "dot"))
    drawing.dot.attr(bgcolor="lightyellow")
    drawing.svg()
    assert "bgcolor=lightyellow" in drawing.source and "bgcolor=lightyellow" in (tmp_path / "dot.asked").read_text()


# --- with real programs

XLINK = "{http://www.w3.org/1999/xlink}title"


@pytest.fixture(params=["dot", "graphviz-pure"])
def engine(request) -> str:
    """Each of the two engines; where one is not installed the test fails."""
    return find_engine(request.param)


def of_class(svg: str, name: str) -> list[ElementTree.Element]:
    return [x for x in ElementTree.fromstring(svg).iter() if x.get("class") == name]


@pytest.mark.heavy
@pytest.mark.parametrize("name", AWKWARD, ids=ascii)
def test_a_name_is_seen_as_it_is(engine, name):
    svg = draw(tg.Value(1.0, name=name), engine=engine).svg()
    (node,) = of_class(svg, "node")
    seen = "".join("".join(x.itertext()) for x in node.iter("{http://www.w3.org/2000/svg}text")).replace("\u00a0", " ")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)
    assert seen.startswith(f"{shown[:31]}") and "input" in seen
    assert [x.get(XLINK) for x in node.iter() if x.get(XLINK)] == [f"{shown}: input, shape (), value 1"]


@pytest.mark.heavy
def test_files_of_every_kind(engine, tmp_path):
    y = tg.Value([1.0, 2.0], name="x").softmax()
    drawing = draw(y, engine=engine)
    assert drawing.save(tmp_path / "x.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert ElementTree.parse(drawing.save(tmp_path / "x.svg")).getroot().tag.endswith("svg")
    if "pure" not in engine:
        assert drawing.save(tmp_path / "x.pdf").read_bytes().startswith(b"%PDF-")


def pixels(png: bytes) -> list[int]:
    return [int.from_bytes(png[i : i + 4]) for i in (16, 20)]


CHAIN = "digraph { rankdir=LR; node [shape=box width=10]; " + " ".join(f"n{i} -> n{i + 1};" for i in range(40)) + " }"
SQUARE = "digraph { nodesep=5 ranksep=5 " + " ".join(f"n{i}_{j} -> n{i + 1}_{j};" for i in range(9) for j in range(10)) + " }"


@pytest.mark.heavy
def test_a_large_graph_fits_into_a_png(engine):
    width, height = pixels(render(CHAIN, "png", engine=engine))
    assert abs(width - 16_000) <= 1 and height < 100
    width, height = pixels(render(SQUARE, "png", engine=engine))
    assert 0.99 * 25e6 < width * height < 1.01 * 25e6


@pytest.mark.heavy
def test_an_inch_has_the_pixels_that_were_asked_for(engine):
    sizes = [pixels(render("digraph { a -> b }", "png", engine=engine, dpi=dpi)) for dpi in (72, 144, 288)]
    for small, large in pairwise(sizes):
        assert all(abs(2 * a - b) <= 2 for a, b in zip(small, large, strict=True))


LOST = {
    "dot": """digraph { rankdir=LR
        subgraph cluster_0 { n29 n30 n32 }
        subgraph cluster_1 { n0 n1 n3 n9 }
        n0:e -> n2:w n0:e -> n3:w [constraint=false] n0:e -> n3:w [id=e label=x constraint=false]
        n2:e -> n13:w n9:e -> n15:w n9:e -> n16:w n13:e -> n18:w
        n18:e -> n24:w n19:e -> n24:w n19:e -> n30:w n21:e -> n32:w }""",  # 2.43 crashes
    "graphviz-pure": "digraph { subgraph cluster_0 { n0 n1 n2 } { rank=same n2 n3 } n0 -> n1 [id=e] }",
}


@pytest.mark.heavy
@pytest.mark.parametrize("name", LOST)
def test_what_an_engine_loses_it_finds_with_straight_edges(name, monkeypatch):
    assert b'id="e"' in render(LOST[name], engine=name, ids=["e"])
    monkeypatch.setattr(rendering, "_TRIES", rendering._TRIES[:1])
    with pytest.raises(RuntimeError, match="no whole svg"):
        render(LOST[name], engine=name, ids=["e"])
