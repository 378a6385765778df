"""The gallery: every script draws what its committed pictures show, and the README shows all of it."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "viz"
PICTURES = FOLDER / "pictures"


def _gallery():
    spec = spec_from_file_location("gallery", FOLDER / "all.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gallery = _gallery()
SCRIPTS = gallery.scripts()
PLOTS = [script for script in SCRIPTS if "plots." in script.read_text(encoding="utf-8")]
DRAWINGS = [script for script in SCRIPTS if script not in PLOTS]


def expected_files() -> set[str]:
    """The names of the pictures that the scripts leave, by what they assign to."""
    names = set()
    for script in SCRIPTS:
        made = [k for k in gallery.SUFFIXES if re.search(rf"^{k} = ", script.read_text(encoding="utf-8"), re.M)]
        assert made, f"{script.name} leaves nothing to save"
        names |= {script.stem + suffix for kind in made for suffix in gallery.SUFFIXES[kind]}
    return names


def lines(dot: str) -> list[str]:
    """DOT text as it is on every machine."""
    return comparable(dot).splitlines()


def comparable(text: str) -> str:
    """Text without what another processor or C library may round otherwise: what is left of 1 after 1 is taken off."""
    return re.sub(r"(?<![\w.#])-?\d(?:\.\d+)?e-(?:1[4-9]|[2-9]\d)\b", "0", text)


@pytest.mark.parametrize("script", DRAWINGS, ids=lambda script: script.stem)
def test_the_committed_picture_is_what_the_script_draws(script):
    made = gallery.run(script)
    if "drawing" in made:
        kept = (PICTURES / f"{script.stem}.dot").read_text(encoding="utf-8")
        changed = [line for line in lines(made["drawing"].source) if line not in lines(kept)]
        assert lines(made["drawing"].source) == lines(kept), f"stale: python viz/all.py {script.stem}; {changed[:1]}"


@pytest.mark.heavy
@pytest.mark.parametrize("script", DRAWINGS, ids=lambda script: script.stem)
def test_the_committed_svg_shows_its_dot(script):
    from tinygrad_sm.viz.rendering import render

    if (dot := PICTURES / f"{script.stem}.dot").exists():
        fresh = render(dot.read_text(encoding="utf-8"), "svg", engine="graphviz-pure").decode()
        assert words(dot.with_suffix(".svg").read_text(encoding="utf-8")) == words(fresh)


@pytest.mark.heavy
@pytest.mark.parametrize("page", sorted(PICTURES.glob("*.html")), ids=lambda path: path.stem)
def test_the_committed_player_is_what_the_script_plays(page, monkeypatch):
    monkeypatch.setenv("TINYGRAD_SM_DOT", "graphviz-pure")
    fresh = gallery.run(FOLDER / f"{page.stem}.py")["player"].html
    is_fresh = told(page.read_text(encoding="utf-8")) == told(fresh)
    assert is_fresh, f"stale: python viz/all.py {page.stem}"


def told(html: str) -> str:
    """A page without numbers in full and without places, which hang on the processor and on the program that laid it out."""
    html = re.sub(r'<script type="application/json".*?</script>', "", html, flags=re.DOTALL)
    html = re.sub(r"<svg.*?</svg>", lambda svg: str(words(svg[0])), html, flags=re.DOTALL)
    return comparable(html)


def words(svg: str) -> list[str]:
    """What a reader reads in a picture, and the ids of what is in it."""
    return re.findall(r'<text[^>]*>([^<]*)</text>|<g id="([^"]+)"', svg)


@pytest.mark.heavy
@pytest.mark.parametrize("script", PLOTS, ids=lambda script: script.stem)
def test_the_plots_run(script, tmp_path):
    figure = gallery.run(script)["ax"].figure
    figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5_000


def test_the_pictures_are_those_of_the_scripts_and_no_others():
    assert {path.name for path in PICTURES.iterdir()} == expected_files()


def test_the_pictures_are_small():
    sizes = {path.name: path.stat().st_size for path in PICTURES.iterdir()}
    assert [name for name, size in sizes.items() if size >= 600_000] == []
    assert sum(sizes.values()) < 3_000_000


def test_the_readme_shows_everything_in_order():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert [link for link in links if "://" not in link and not (FOLDER / link).exists()] == []
    assert [link for link in links if link.endswith(".py")] == [script.name for script in SCRIPTS]
    shown = re.findall(r"!\[[^\]]+\]\(pictures/([^)]+)\)", text)
    first = {script.stem: f"{script.stem}.{'svg' if script in DRAWINGS else 'png'}" for script in SCRIPTS}
    assert shown == [picture for picture in first.values() if picture in expected_files()]
    players = [link for link in links if link.endswith(".html")]
    assert sorted(players) == sorted(f"pictures/{name}" for name in expected_files() if name.endswith(".html"))


def test_the_code_in_the_readme_is_that_of_the_scripts():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for script, code in re.findall(r"\]\((\w+\.py)\)\n\n```python\n(.*?)\n```", text, re.DOTALL):
        assert {*code.splitlines()} <= {*(FOLDER / script).read_text(encoding="utf-8").splitlines()}, script
    assert text.count("```python") == len(SCRIPTS)


def test_the_wrong_rule_in_the_readme_is_caught():
    comparison = gallery.run(FOLDER / "08_wrong_rule.py")["comparison"]
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert not comparison.ok
    assert without_numbers(str(comparison)) in without_numbers(text)


def without_numbers(text: str) -> str:
    return re.sub(r"[-+.\d]+(?:[eE][-+]?\d+)?| +", " ", text)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_is_short_and_says_what_to_see(script):
    text = script.read_text(encoding="utf-8")
    assert re.match(r'"""[A-Z"\w]', text) and 3 <= text.count("\n") <= 34
    assert not re.search(r"\bsave\(|savefig|argparse|sys\.", text)
