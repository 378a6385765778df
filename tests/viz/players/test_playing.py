"""The player as Python sees it: what it takes, what it says when that is wrong, and the page as text. (The page in a browser:
test_player_in_browser.py.)"""

import base64
import hashlib
import html
import json
import math
import re
import stat
import webbrowser
from html.parser import HTMLParser

import pytest

import tinygrad_sm as tg
from tests.helpers.drawings import AWKWARD
from tinygrad_sm.graph import Value
from tinygrad_sm.viz.examples import EXAMPLES
from tinygrad_sm.viz.players.pages import is_entry, is_heat_map, signed, total_text
from tinygrad_sm.viz.players.pairing import Difference, _difference, differences, told, ulps
from tinygrad_sm.viz.players.playing import Player, player
from tinygrad_sm.viz.rendering import find_engine
from tinygrad_sm.viz.scenes.expansion import expanded


@pytest.fixture(autouse=True, scope="module")
def engine():
    """Pages need a program that lays graphs out; the heavy tests demand one."""
    try:
        return find_engine()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def square() -> tuple[Value, dict]:
    x = Value(3.0)
    return x * x + x, {"x": x}


def page_of(value, **keywords) -> str:
    return player(value, **keywords).html


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


class Tags(HTMLParser):
    """The elements of a page, with their attributes, and the text of each kind."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.texts: dict[str, list[str]] = {}
        self.open = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.open = tag
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.setdefault(self.open, []).append(data)


# --- arguments


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda v: player(3.0), TypeError, "player: takes a Value, not float"),
        (lambda v: player([v]), TypeError, "player: takes a Value, not list; of several Values play tg.stack"),
        (lambda v: player(v, theme="blue"), ValueError, "player: theme is 'auto', 'light', 'dark', not 'blue'"),
        (lambda v: player(v, title=3), TypeError, "player: title is a text, not 3"),
        (lambda v: player(v, expand=["softmx"]), ValueError, "'softmx', which is no fused op here; there is softmax"),
        (lambda v: player(v, expand="relu"), ValueError, "player: expand has 'relu'"),
        (lambda v: player(v, expand=3), TypeError, "player: expand is True, False or names of fused ops, not 3"),
        (lambda v: player(v, names=3), TypeError, "player: names is a mapping"),
        (lambda v: player(v, max_nodes=0), ValueError, "player: max_nodes is at least 1"),
        (lambda v: player(v, max_nodes="a"), TypeError, "player: max_nodes is a whole number"),
        (lambda v: player(v, collapse="nowhere"), ValueError, "player: collapse has 'nowhere'"),
        (lambda v: player(v * Value([1.0, 2.0])), ValueError, "player: the output has shape .2,.; reduce it"),
        (lambda v: player(v, grad_output=[1.0, 2.0]), ValueError, "player: a gradient of shape .2,. for shape"),
        (lambda v: player(v, engine="no-such-program").html, FileNotFoundError, "no-such-program"),
    ],
)  # fmt: skip
def test_mistakes_end_in_one_sentence(call, error, sentence):
    value = tg.softmax(Value([1.0, 2.0]))[0]
    with pytest.raises(error, match=sentence) as caught:
        call(value)
    assert "\n" not in str(caught.value)


def test_what_expand_chooses():
    z = Value([2.0, 1.0], name="z")
    loss = tg.cross_entropy(tg.log_softmax(z), 0) + tg.sum(tg.softmax(z))
    counts = {repr(expand): repr(player(loss, expand=expand)) for expand in (True, False, (), [], "softmax", ["softmax"])}
    assert counts["False"] == counts["()"] == counts["[]"]
    assert counts["'softmax'"] == counts["['softmax']"] != counts["True"]
    assert " and " in counts["True"] and " and " not in counts["False"]
    assert repr(player(square()[0])) == "Player(add: 7 steps)"


def test_nobodys_gradient_is_touched_and_gradients_held_are_not_shown():
    value, names = square()
    page = page_of(value, names=names)
    assert not names["x"].has_grad
    value.backward()
    names["x"].grad = 0.125
    assert page_of(value, names=names) == page


def test_the_page_is_of_the_moment_it_was_asked_for():
    value, names = square()
    playing = player(value, names=names)
    names["x"].data = 77.0
    assert data_of(playing.html)["views"][0]["steps"][0]["text"] == "These are given: x = 3."


# --- the page


def test_a_page_holds_everything_and_refers_to_nothing():
    value, names = EXAMPLES["cross-entropy"]()
    page = page_of(value, names=names)
    tags = Tags(page)
    for tag, attributes in tags.found:
        assert tag not in ("iframe", "img", "object", "embed", "base", "a")
        for name in ("src", "href", "xlink:href", "srcset", "action", "style", "onclick", "onload"):
            assert attributes.get(name, "data:,") == "data:,", (tag, name)
    script = re.findall(r"<script>(.*?)</script>", page, re.S)
    style = re.findall(r"<style>(.*?)</style>", page, re.S)
    assert len(script) == len(style) == 1
    assert not re.search(r"@import|url\((?!#)|http(?!://www\.w3\.org/)", style[0])
    (policy,) = (x["content"] for _, x in tags.found if x.get("http-equiv") == "Content-Security-Policy")
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (*style, *script)]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert "innerHTML" not in script[0] and "eval(" not in script[0]
    ids = [x["id"] for _, x in tags.found if "id" in x]
    assert len(ids) == len({*ids})
    assert page.count("<svg ") - page.count('<svg viewBox="0 0 16 16"') == 2


@pytest.mark.parametrize("name", [*AWKWARD, "</script><script>alert(1)</script>", "<!--", "{{data}}", "'\"><img src=x>"])
def test_names_and_titles_are_never_markup(name):
    x = Value(3.0, name=name)
    plain = page_of(Value(3.0, name="x") * 2.0, title="plain")
    page = page_of(x * 2.0, title=name)
    assert [tag for tag, _ in Tags(page).found if tag not in ("text", "path", "polygon")] == [
        tag for tag, _ in Tags(plain).found if tag not in ("text", "path", "polygon")
    ]
    page.encode()
    assert data_of(page)["views"][0]["nodes"][0]["label"].strip() or not name.strip()


def test_every_step_is_in_the_table_for_print_and_for_pages_without_scripts():
    value, names = EXAMPLES["cross-entropy"]()
    page = page_of(value, names=names)
    data = data_of(page)
    table = re.search(r'<details class="all" id="all" open>(.*?)</details>', page, re.S)[1]
    cells = [html.unescape(text) for text in re.findall(r"<td>(.*?)</td>", table)]
    for view in data["views"]:
        for step in view["steps"]:
            for text in [part["text"] for part in step.get("moments", [])] or [step["text"]]:
                assert text in cells
    assert table.count("<tr>") == 2 + sum(
        max(1, len(step.get("moments", []))) for view in data["views"] for step in view["steps"]
    )


def test_without_scripts_the_picture_shows_the_end():
    value, names = square()
    page = page_of(value, names=names)
    reserved = re.findall(r'class="reserved"[^>]*>([^<]*)<', page)
    assert sorted(reserved) == sorted(["7", "1", "1", "+3", "+3", "+1", "+1"])
    assert not re.search(r">0{2,}<", page)  # no room left that was not filled


def test_the_same_page_each_time():
    value, names = EXAMPLES["attention"]()
    assert page_of(value, names=names) == page_of(value, names=names)


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_the_theme_is_that_of_the_page(theme):
    assert f'<html lang="en" data-theme="{theme}">' in page_of(square()[0], theme=theme)


# --- two forms in step


@pytest.mark.parametrize("name", ["cross-entropy", "softmax", "mlp", "attention", "temperature"])
def test_fused_and_composed_are_in_step(name):
    value, names = EXAMPLES[name]()
    data = data_of(page_of(value, names=names))
    first, second = data["views"]
    until, partners = data["until"], data["partners"]
    assert len(until) == len(first["steps"]) and until == sorted(until) and until[0] == 0
    assert until[-1] == len(second["steps"]) - 1
    kinds = [step["kind"] for step in second["steps"]]
    assert until[[step["kind"] for step in first["steps"]].index("seed")] == kinds.index("seed")
    values = {view["key"]: {node["id"]: node["value"] for node in view["nodes"]} for view in data["views"]}
    for mine, other in partners["fused"].items():  # a twin has the same value, within rounding
        a, b = (data["quantities"][i]["reprs"] for i in (values["fused"][mine], values["composed"][other]))
        assert [float(x) for x in a] == pytest.approx([float(x) for x in b], rel=1e-9, abs=1e-12)
        assert partners["composed"][other] == mine
    ops = {view["key"]: {node["id"]: node["op"] for node in view["nodes"]} for view in data["views"]}
    for me, origin in partners["composed"].items():  # what is no expansion of a fused op is the same op
        if me in data["inside"]:
            assert ops["fused"][origin] in {*tg.fused_ops, "linear"}
        else:
            assert ops["composed"][me] == ops["fused"][origin]
    assert data["inside"]


def test_a_branch_that_both_forms_share_does_not_turn_back_time():
    z, x = Value([1.0, 2.0], name="z"), Value(3.0, name="x")
    p = tg.softmax(z)
    branch = x * x  # newer than softmax, and older than what softmax is expanded into
    data = data_of(page_of(tg.sum(p) * branch))
    headings = [step["heading"] for step in data["views"][1]["steps"]]
    assert headings.index("Forward: multiply #1") < headings.index("Forward: exp")
    assert data["until"] == sorted(data["until"])


def test_the_difference_is_that_of_two_runs():
    z = Value([1000.0, 0.1, -3.0], name="z")
    loss = tg.cross_entropy(z * 0.37, 1)
    twin = expanded(loss).output
    page = page_of(loss)
    absolute = max(abs(a - b) for a, b in zip(tg.grad(loss, z).tolist(), tg.grad(twin, z).tolist(), strict=True))
    sentence = html.unescape(re.search(r"<b>Composed</b>, of primitives\. (.*?)</figcaption>", page)[1])
    if absolute == 0.0 and loss.item() == twin.item():
        assert sentence == "Fused = composed, to the last bit."
    else:
        assert f"{max(absolute, abs(loss.item() - twin.item())):.2g}" in sentence


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([Difference("value of y", 0.0, 0.0)], "Fused = composed, to the last bit."),
        (
            [Difference("a", 2.2e-16, 1.0), Difference("b", 1e-17, 3.0)],
            "Fused = composed: largest difference 2.2e-16, 3 ulp of the largest entry.",
        ),
        ([Difference("a", 0.5, 1e15)], "Fused and composed: largest difference 0.5, 1e+15 ulp of the largest entry."),
    ],
)
def test_differences_in_a_sentence(found, sentence):
    assert told(found) == sentence
    assert ulps(123.4) == "123" and ulps(0.51) == "0.51"


@pytest.mark.parametrize(
    ("a", "b", "absolute", "ulp"),
    [
        (1.0, 1.0 + 2**-52, 2**-52, 1.0),
        ([1.0, 0.0], [1.0, 2**-60], 2**-60, 2**-8),  # not of the entry that is nearly 0
        ([0.0, 0.0], [0.0, 0.0], 0.0, 0.0),
        ([math.nan, math.inf], [math.nan, math.inf], 0.0, 0.0),
        ([1.0, math.nan], [1.0, 2.0], math.inf, math.inf),
        ([1.0, math.inf], [1.0, 2.0], math.inf, math.inf),
        ([], [], 0.0, 0.0),
    ],
)
def test_differences_are_in_ulp_of_the_largest_entry(a, b, absolute, ulp):
    first, second = (x if isinstance(x, float) else tg.nd.asarray(x, dtype=tg.nd.float64) for x in (a, b))
    assert _difference("x", first, second) == Difference("x", absolute, ulp)


def test_what_cancels_to_nothing_is_measured_by_what_cancels():
    bias = Value([0.1], name="bias")  # an equal shift of all logits changes nothing
    loss = tg.cross_entropy(Value([1.6, 0.0, -0.9, 1.0, 0.5], requires_grad=False) + bias, 1)
    stage = player(loss)._stage
    found = {x.what: x for x in differences(*stage.views, stage._expansion)}
    assert 0.0 < found["gradient of bias"].absolute < 1e-15
    assert found["gradient of bias"].ulp < 10 and found["gradient of bias"].cancels
    assert told([*found.values()]).startswith("Fused = composed") and " of what cancels in it</td>" in page_of(loss)


def test_a_wrong_rule_is_seen_in_the_difference():
    @tg.fused
    def cube(xp, x):
        return x * x * x

    @cube.backward
    def _(xp, g, out, x):
        return g * 2.0 * x * x

    page = page_of(tg.sum(cube(Value([2.0, 1.0], name="x"))))
    assert "Fused and composed: largest difference 4" in page
    assert "<td>gradient of x</td><td>4</td>" in page


# --- files, browsers, notebooks


def test_save_writes_the_page(tmp_path):
    playing = player(square()[0])
    path = playing.save(tmp_path / "a.html")
    assert path == tmp_path / "a.html" and path.read_text(encoding="utf-8") == playing.html


class Browser:
    """What webbrowser.get() gives."""

    def __init__(self, opens: bool = True) -> None:
        self.opens, self.asked = opens, []

    def open(self, url):
        self.asked.append(url)
        return self.opens


@pytest.mark.parametrize("opens", [True, False])
def test_show_opens_a_private_file(monkeypatch, capsys, opens):
    browser = Browser(opens)
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    path = player(square()[0]).show()
    assert browser.asked == [path.as_uri()]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert capsys.readouterr().out == ("" if opens else f"There is no browser here; open {path} in one.\n")


@pytest.mark.parametrize("kind", ["none", "terminal"])
def test_show_says_where_the_page_is_when_there_is_no_browser_with_windows(monkeypatch, capsys, kind):
    monkeypatch.delenv("BROWSER", raising=False)

    def get():
        if kind == "none":
            raise webbrowser.Error("could not locate runnable browser")
        return webbrowser.GenericBrowser("false")

    monkeypatch.setattr(webbrowser, "get", get)
    path = player(square()[0]).show()
    assert path.is_file() and str(path) in capsys.readouterr().out


def test_a_notebook_shows_a_frame_that_may_run_its_script_only():
    playing = player(square()[0], title="x & <y>")
    bundle = playing._repr_mimebundle_()
    assert bundle["text/plain"] == repr(playing) == "Player(add: 7 steps)"
    (frame,) = (attributes for tag, attributes in Tags(bundle["text/html"]).found if tag == "iframe")
    assert frame["sandbox"] == "allow-scripts" and frame["title"] == "x & <y>" and frame["srcdoc"] == playing.html
    assert playing._repr_html_() == bundle["text/html"]
    assert "text/html" not in playing._repr_mimebundle_(include=["text/plain"])
    assert "text/html" not in playing._repr_mimebundle_(exclude={"text/html"})


def test_a_notebook_without_an_engine_says_so():
    playing = player(square()[0], engine="no-such-program")
    bundle = playing._repr_mimebundle_()
    assert [*bundle] == ["text/plain"] and "no-such-program" in bundle["text/plain"]
    assert playing._repr_html_() is None
    with pytest.raises(FileNotFoundError):
        playing.show()


# --- cells


def test_room_in_cells():
    assert [total_text("4", (2, 3)), total_text("7", (3, 3)), signed("-3"), signed("3")] == ["4 (2/3)", "7", "-3", "+3"]
    assert [is_heat_map(x) for x in ([], [1], [2], [4, 4], [10, 8], [11, 2], [2, 11], [80])] == [
        False, False, True, True, True, False, False, False,
    ]  # fmt: skip
    assert [me for me in ("a_n1_grad_0", "a_n1_0_cell", "a_n1_value", "n1_0", "a_n1c0_value_12") if is_entry(me)] == [
        "a_n1_grad_0", "a_n1c0_value_12",
    ]  # fmt: skip


def test_it_is_a_player():
    assert isinstance(player(square()[0]), Player)
