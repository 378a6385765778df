"""What a notebook and a page get: pictures with ids of their own, in the reader's theme, and text where there is no picture."""

import re
from xml.etree import ElementTree

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import tinygrad_sm as tg
from tests.helpers.drawings import AWKWARD
from tinygrad_sm.viz import draw
from tinygrad_sm.viz.drawings import drawing as module
from tinygrad_sm.viz.drawings.drawing import Drawing
from tinygrad_sm.viz.drawings.inline import finished, with_ids_of_its_own
from tinygrad_sm.viz.drawings.text import shortened
from tinygrad_sm.viz.drawings.themes import DARK, LIGHT

SVG = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE svg>
<svg width="8pt" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
<g id="n0" class="node"><title>n0</title><g id="a_n0"><a xlink:href="#" xlink:title="x &quot;id=&quot;">
<clipPath id="clip_0"/><path fill="{LIGHT["paper"]}" clip-path="url(#clip_0)"/><use href="#n0"/><use xlink:href="#n0"/>
</a></g></g></svg>
"""


@pytest.fixture
def picture(monkeypatch):
    """Draws a Value with an engine that always gives the same picture."""
    monkeypatch.setattr("tinygrad_sm.viz.drawings.drawing.render", lambda source, kind, **_: SVG.encode())

    def made(value=None, **options) -> Drawing:
        return draw(tg.Value(3.0, name="x") if value is None else value, **options)

    return made


# --- ids


def test_two_pictures_in_a_notebook_share_no_id(picture):
    drawing = picture()
    first, second = (drawing._repr_mimebundle_()["text/html"] for _ in range(2))
    for html in (first, second):
        svg = ElementTree.fromstring(html)[0]
        ids = {x.get("id") for x in svg.iter()} - {None}
        used = {*re.findall(r'(?:href="|url\()#([^")]*)', html)}
        assert len(ids) == 3 and used <= ids, (used, ids)
    ids = [{*re.findall(r' id="([^"]*)"', html)} for html in (first, second)]
    assert not ids[0] & ids[1]
    assert html.count("<svg") == 1 and html.startswith('<div style="overflow-x: auto"><svg')


def test_everything_that_refers_to_an_id_goes_along():
    whole = with_ids_of_its_own(SVG, "p_")
    for part in ('id="p_n0"', 'id="p_a_n0"', 'id="p_clip_0"', "url(#p_clip_0)", ' href="#p_n0"', 'xlink:href="#p_n0"'):
        assert part in whole, part
    assert 'xlink:href="#"' in whole and "<title>n0</title>" in whole and "&quot;id=&quot;" in whole


def test_the_picture_has_words_for_those_who_do_not_see_it(picture):
    drawing = picture()
    svg = ElementTree.fromstring(drawing.svg())
    assert svg.get("role") == "img" and svg.get("aria-label") == "Computation graph of 1 node, 0 edges"
    assert 'xlink:href="#"' not in drawing.svg() and 'xlink:href="#n0"' in drawing.svg()


# --- what is in the bundle


def test_the_bundle_has_the_picture_and_the_text(picture):
    bundle = picture()._repr_mimebundle_()
    assert [*bundle] == ["text/plain", "text/html"]
    lines = ["Drawing(1 node, 0 edges)", "name  op     value  grad", "x     input      3"]
    assert bundle["text/plain"] == "\n".join(lines)


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({}, ["text/plain", "text/html"]),
        ({"include": ["text/plain"]}, ["text/plain"]),
        ({"include": {"text/html"}}, ["text/html"]),
        ({"exclude": ["text/html"]}, ["text/plain"]),
        ({"exclude": ("text/plain",)}, ["text/html"]),
        ({"include": ["image/png"]}, []),
        ({"include": ["text/html", "text/plain"], "exclude": ["text/plain"]}, ["text/html"]),
    ],
)
def test_include_and_exclude_are_honoured(picture, options, kinds):
    assert [*picture()._repr_mimebundle_(**options)] == kinds


@pytest.mark.parametrize("error", [FileNotFoundError("draw: pip install it"), ZeroDivisionError("oh"), AssertionError()])
def test_a_repr_never_raises(monkeypatch, error):
    def fails(self):
        raise error

    monkeypatch.setattr(Drawing, "svg", fails)
    bundle = draw(tg.Value(3.0, name="x"))._repr_mimebundle_()
    assert [*bundle] == ["text/plain"]
    assert bundle["text/plain"].splitlines()[2:] == ["x     input      3", f"(without a picture: {error})"]
    assert [*draw(tg.Value(3.0))._repr_mimebundle_(include=["text/html"])] == ["text/plain"]


# --- themes


def test_the_auto_theme_follows_the_reader(picture):
    svg = picture().svg()
    (style,) = re.findall("<style>(.*?)</style>", svg, re.DOTALL)
    assert "prefers-color-scheme:dark" in style and DARK["paper"] in style
    for page in ('[data-jp-theme-light="false"]', ".vscode-dark", ':not([data-jp-theme-light="true"])', ":not(.vscode-light)"):
        assert page in style
    assert svg.startswith("<svg ") and ' class="tinygrad-sm-auto"' in svg.split(">")[0]
    for theme in ("light", "dark", "print"):
        other = picture(theme=theme).svg()
        assert "<style>" not in other and ".tinygrad-sm-auto" in style and 'class="tinygrad-sm-auto"' not in other


# --- pages


def test_a_page_is_self_contained(picture, tmp_path):
    path = picture(tg.Value(3.0, name="</title><script>alert(1)</script>")).save(tmp_path / "x.html")
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and page.count("<svg") == 1
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert "<script" not in page and not re.findall(r'(?:src|href)="(?!#)', page)
    assert "As text</summary>" in page and "&lt;script&gt;" in page and "prefers-color-scheme:dark" in page.split("<main>")[0]
    dark = picture(theme="dark").save(tmp_path / "y.html").read_text(encoding="utf-8")
    assert f"background:{DARK['paper']}" in dark and "prefers-color-scheme" not in dark


def test_finished_is_what_comes_after_the_declaration():
    assert finished(SVG, "light", 'a "b"').startswith('<svg width="8pt"')
    assert 'aria-label="a &quot;b&quot;"' in finished(SVG, "light", 'a "b"')


# --- the text form


def test_the_text_form():
    x, w = tg.Value(3.0, name="x"), tg.Value([1.0, 2.0], name="layer.weight")
    y = (x * w + 1.0).sum()
    y.backward()
    assert draw(y, names={"y": y}).text().splitlines() == [
        "name          op         operands         shape   value    grad",
        "x             input                                   3       3",
        "layer.weight  parameter                   (2,)   [1, 2]  [3, 3]",
        "n2            multiply   x, layer.weight  (2,)   [3, 6]  [1, 1]",
        "n3            add        n2, 1            (2,)   [4, 7]  [1, 1]",
        "y             sum        n3                          11       1",
    ]


def test_the_text_form_of_many_elements_groups_and_same_names():
    a, b = tg.Value([*map(float, range(9))], name="x"), tg.Value(2.0, name="x")
    model = tg.nn.ReLU()
    lines = draw(model(a * b), view="both", grad_output=tg.nd.ones(9)).text().splitlines()
    assert lines[0].split() == ["name", "op", "operands", "shape", "value", "grad", "in"]
    assert lines[1].startswith("x n0  input") and "min 0 mean 4 max 8" in lines[1]
    assert lines[3].split()[2:4] == ["x", "n0,"] and lines[4].endswith("all 1  ReLU()")


def test_the_text_form_leaves_out_what_the_picture_does():
    x = tg.Value(1.0 / 3.0, name="x")
    x.grad = 5.0
    assert draw(x, values=False, grads=False).text().splitlines()[1] == "x     input"
    assert draw(x, precision=2).text().splitlines()[1].split() == ["x", "input", "0.33", "5"]


@settings(deadline=None, max_examples=30)
@given(st.integers(40, 140), st.lists(st.text("abc", min_size=1, max_size=70), min_size=1, max_size=4))
def test_the_text_form_fits_into_a_width(width, names):
    y = tg.Value([0.5, -1.0, 1e-9], name="x")
    for name in names:
        y = tg.Value([1.25, 2.5, 3.0], name=name) * y
    drawing = draw(y, view="both", grad_output=1.0)
    whole, lines = drawing.text().splitlines(), drawing.text(width=width).splitlines()
    assert max(map(len, lines)) <= width
    if max(map(len, whole)) <= width:
        assert lines == whole
    for line, full in zip(lines, whole, strict=True):
        cut = [part.removesuffix("…") for part in line.split("  ") if part.strip()]
        assert all(part.strip() in full for part in cut)  # nothing is said that is not so


def test_a_width_cuts_the_longest_first_and_no_heading():
    lines = draw(tg.Value([0.125, 0.25, 0.5], name="x") * 2.0).text(width=44).splitlines()
    assert lines == [
        "name  op      operands  shape    value  grad",
        "x     input             (3,)   [0.125…",
        "n1    multi…  x, 2      (3,)   [0.25,…",
    ]
    assert draw(tg.Value(1.0)).text(width=1).splitlines()[0] == "name  op  value  grad"
    for width in (0, -3, 1.5, True, "80"):
        with pytest.raises(ValueError, match=r"^text: width is a whole number of at least 1, not "):
            draw(tg.Value(1.0)).text(width=width)


def test_the_dots_of_a_png_are_asked_for_in_save(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(module, "render", lambda source, kind, **settings: asked.append((kind, settings["dpi"])) or b"picture")
    drawing = draw(tg.Value(1.0))
    assert drawing.save(tmp_path / "a.png", dpi=50).read_bytes() == b"picture"
    drawing.save(tmp_path / "b.png")
    assert asked == [("png", 50), ("png", 192.0)]


@pytest.mark.parametrize("name", AWKWARD, ids=ascii)
def test_a_name_stays_in_its_line_of_text(name):
    lines = draw(tg.Value(1.0, name=name)).text().splitlines()
    assert len(lines) == 2 and lines[1].endswith("1")


def test_the_text_of_a_folded_module_and_of_a_file(tmp_path):
    model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.ReLU())
    drawing = draw(model(tg.Value([1.0, 2.0])).sum(), names={"model": model}, collapse=0, view="both")
    (line,) = (line for line in drawing.text().splitlines() if line.startswith("model"))
    assert "Sequential()" in line and line.endswith("[1, 1, 1]")
    assert drawing.save(tmp_path / "x.txt").read_text(encoding="utf-8") == drawing.text() + "\n"


def test_long_texts_are_shortened():
    lines = [*map(str, range(100))]
    assert shortened(lines, 4) == ["0", "1", "… 96 more", "98", "99"]
    assert shortened(lines[:4], 4) == lines[:4]
    y = tg.Value(1.0)
    for _ in range(200):
        y = -y
    assert len(draw(y)._repr_mimebundle_(exclude=["text/html"])["text/plain"].splitlines()) <= 32
