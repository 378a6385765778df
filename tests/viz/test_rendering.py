"""Pictures: which program draws, what counts as a picture, files, and notebooks."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tinygrad_sm as tg
from tests.helpers.drawings import AWKWARD, random_graph
from tinygrad_sm.viz import draw
from tinygrad_sm.viz.rendering import FONT, find_engine, render

SVG = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg"><g id="n0"/><text font-family="DejaVu Sans">x</text>{}</svg>
"""


@pytest.fixture
def no_engine(monkeypatch, tmp_path):
    """A system without any program that draws; returns an empty folder that is the PATH."""
    monkeypatch.delenv("TINYGRAD_SM_DOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("sysconfig.get_path", lambda *_: str(tmp_path / "scripts"))
    for folder in ("bin", "scripts"):
        (tmp_path / folder).mkdir()
    return tmp_path


def program(path: Path, script: str) -> str:
    """An executable that runs a shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def answering(path: Path, answer: str | bytes, status: int = 0) -> str:
    """An executable that prints `answer`, whatever it is given."""
    data = path.with_suffix(".answer")
    data.write_bytes(answer.encode() if isinstance(answer, str) else answer)
    return program(
        path, f"/bin/cat >{path}.asked; echo \"$@\" >{path}.options; echo 'dot: trouble' >&2; /bin/cat {data}; exit {status}"
    )


# --- which program


def test_the_order_in_which_programs_are_found(no_engine, monkeypatch):
    bin_, scripts = no_engine / "bin", no_engine / "scripts"
    with pytest.raises(FileNotFoundError, match=re.escape("pip install 'tinygrad_sm[dot]'")):
        find_engine()
    extra = program(scripts / "graphviz-pure", "")
    assert find_engine() == find_engine("graphviz-pure") == extra
    dot = program(bin_ / "dot", "")
    assert find_engine() == dot
    own = program(no_engine / "mine", "")
    monkeypatch.setenv("TINYGRAD_SM_DOT", own)
    assert find_engine() == own
    assert find_engine("dot") == find_engine(Path(dot)) == dot


def test_a_program_that_is_not_there(no_engine, monkeypatch):
    program(no_engine / "bin" / "dot", "")
    with pytest.raises(FileNotFoundError, match=r"engine names 'nowhere', and there is no such program"):
        find_engine("nowhere")
    monkeypatch.setenv("TINYGRAD_SM_DOT", "/nowhere/dot")
    with pytest.raises(FileNotFoundError, match=r"variable TINYGRAD_SM_DOT names '/nowhere/dot'"):
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
    assert [*bundle] == ["text/plain"] and bundle["text/plain"].startswith("Drawing(1 node, 0 edges) without a picture: draw: ")


# --- what counts as a picture


@pytest.mark.parametrize("status", [0, 1])
def test_a_whole_picture_counts_whatever_the_program_says(tmp_path, status):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "dot", SVG.format(""), status))
    svg = drawing.svg()
    assert svg.startswith("<svg") and svg.endswith("</svg>\n")
    assert f'"{FONT}, Verdana, Arial, Helvetica, sans-serif"' in svg
    assert (tmp_path / "dot.asked").read_text() == drawing.source


def torn(kind: str) -> list[str | bytes]:
    return {"svg": ["", SVG.format("")[:-9], SVG.format("").replace("n0", "n1")], "png": [b"", b"\x89PNG"], "pdf": ["%PDF"]}[
        kind
    ]


@pytest.mark.parametrize(("kind", "answer"), [(kind, answer) for kind in ("svg", "png", "pdf") for answer in torn(kind)])
@pytest.mark.parametrize("status", [0, 1])
def test_half_a_picture_is_an_error(tmp_path, kind, answer, status):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "dot", answer, status))
    with pytest.raises(RuntimeError, match=rf"gave no whole {kind}: dot: trouble"):
        drawing.save(tmp_path / f"x.{kind}")
    assert not (tmp_path / f"x.{kind}").exists()


def test_a_lost_edge_is_an_error(tmp_path):
    x = tg.Value(1.0)
    answer = SVG.format('<g id="n1"/>{}')
    whole = answer.format('<g id="n1_0"/>')
    assert draw(x.exp(), engine=answering(tmp_path / "dot", whole)).svg()
    with pytest.raises(RuntimeError, match="no whole svg"):
        draw(x.exp(), engine=answering(tmp_path / "dot", answer.format(""))).svg()


PNG = b"\x89PNG....IEND\xaeB`\x82"


def test_a_png_is_sharp_and_checked_when_the_program_complains(tmp_path):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "dot", PNG))
    assert drawing.save(tmp_path / "x.PNG").read_bytes() == PNG
    assert (tmp_path / "dot.options").read_text().split() == ["-Kdot", "-Tpng", "-Gdpi=192", "-Gsize=60,60"]
    with pytest.raises(RuntimeError, match="no whole svg"):  # of which it answers with a png
        draw(tg.Value(1.0), engine=answering(tmp_path / "dot", PNG, status=1)).save(tmp_path / "y.png")


def test_the_extra_has_fonts_of_its_own_and_no_pdf(tmp_path):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "graphviz-pure", PNG))
    drawing.save(tmp_path / "x.png")
    assert (tmp_path / "graphviz-pure.asked").read_text() == drawing.source.replace(FONT, "Arial") != drawing.source
    with pytest.raises(RuntimeError, match="for pdf install the Graphviz of your system"):
        drawing.save(tmp_path / "x.pdf")


def test_a_program_that_hangs_or_does_not_run(tmp_path):
    with pytest.raises(RuntimeError, match=r"took longer than 0\.1 s; draw fewer nodes with max_nodes="):
        render("digraph {}", engine=program(tmp_path / "slow", "exec /bin/sleep 30"), timeout=0.1)
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x00\x01\x02")
    broken.chmod(0o755)
    with pytest.raises(RuntimeError, match="does not run"):
        render("digraph {}", engine=str(broken))


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
    known = ".svg, .png, .pdf, .dot, .gv"
    assert str(caught.value) == f"save: the suffix picks the format ({known}), and {str(tmp_path / name)!r} has {has}"
    assert [*tmp_path.iterdir()] == []


def test_an_svg_file_is_what_svg_gives(tmp_path):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "dot", SVG.format("")))
    assert drawing.save(tmp_path / "x.svg").read_text() == drawing.svg()


def test_two_pictures_in_a_notebook_share_no_id(tmp_path):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "dot", SVG.format("")))
    first, second = (drawing._repr_mimebundle_() for _ in range(2))
    assert first["text/plain"] == "Drawing(1 node, 0 edges)"
    ids = [re.findall(r'id="(\w+)"', bundle["text/html"]) for bundle in (first, second)]
    assert [len(x) for x in ids] == [1, 1] and ids[0] != ids[1]
    assert [*drawing._repr_mimebundle_(include=["text/plain"])] == ["text/plain"]
    assert [*drawing._repr_mimebundle_(exclude=["text/html"])] == ["text/plain"]


def test_a_repr_never_raises(monkeypatch):
    drawing = draw(tg.Value(1.0))
    monkeypatch.setattr(type(drawing), "svg", lambda self: 1 / 0)
    assert "division by zero" in drawing._repr_mimebundle_()["text/plain"]


def test_the_user_may_change_the_graph(tmp_path):
    drawing = draw(tg.Value(1.0), engine=answering(tmp_path / "dot", SVG.format("")))
    drawing.dot.attr(bgcolor="lightyellow")
    drawing.svg()
    assert "bgcolor=lightyellow" in drawing.source and "bgcolor=lightyellow" in (tmp_path / "dot.asked").read_text()


# --- with real programs

XLINK = "{http://www.w3.org/1999/xlink}title"


@pytest.fixture(params=["default", "graphviz-pure"])
def engine(request) -> str:
    return find_engine(None if request.param == "default" else request.param)


def of_class(svg: str, name: str) -> list[ElementTree.Element]:
    return [x for x in ElementTree.fromstring(svg).iter() if x.get("class") == name]


@pytest.mark.heavy
def test_a_hundred_random_graphs_are_drawn_whole(engine, tmp_path):
    for seed in range(100):
        drawing = draw(random_graph(seed), max_nodes=300 if seed % 3 else 9, engine=engine)
        svg = drawing.svg()
        assert repr(drawing) == f"Drawing({len(of_class(svg, 'node'))} nodes, {len(of_class(svg, 'edge'))} edges)"


@pytest.mark.heavy
@pytest.mark.parametrize("name", AWKWARD, ids=ascii)
def test_a_name_is_seen_as_it_is(engine, name):
    svg = draw(tg.Value(1.0, name=name), engine=engine).svg()
    (node,) = of_class(svg, "node")
    seen = "".join("".join(x.itertext()) for x in node.iter("{http://www.w3.org/2000/svg}text")).replace("\u00a0", " ")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)
    assert seen.startswith(f"{shown[:31]}") and "input" in seen
    assert [x.get(XLINK) for x in node.iter() if x.get(XLINK)] == [f"{shown}: input, shape ()"]


@pytest.mark.heavy
def test_files_of_every_kind(engine, tmp_path):
    y = tg.Value([1.0, 2.0], name="x").softmax()
    drawing = draw(y, engine=engine)
    assert drawing.save(tmp_path / "x.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert ElementTree.parse(drawing.save(tmp_path / "x.svg")).getroot().tag.endswith("svg")
    if "pure" not in engine:
        assert drawing.save(tmp_path / "x.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.heavy
def test_the_widest_graph_that_is_drawn_by_default_fits_into_a_png(engine, tmp_path):
    y = tg.Value(1.0)
    for _ in range(310):
        y = y * 0.5
    data = draw(y, engine=engine).save(tmp_path / "x.png").read_bytes()
    assert max(int.from_bytes(data[i : i + 4]) for i in (16, 20)) <= 11520
