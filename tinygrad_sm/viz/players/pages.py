"""The player's page: pictures, steps and script put together into one HTML file that fetches nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

from tinygrad_sm.viz.drawings import tables, themes
from tinygrad_sm.viz.drawings.labels import escaped

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SCRIPTS = ("graph.js", "numbers.js", "page.js")
_SVG = "{http://www.w3.org/2000/svg}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_DIGIT = 0.636  # of the font size: a digit in the font that pictures are laid out with
_WIDER = {"+": 0.838, "…": 1.0}  # what is wider among the characters of numbers
_MORE = {  # a halo around the node in focus, and the frames of nodes not yet computed
    "light": {"halo": "#b87a00", "faint": "#c9c9c9"},
    "dark": {"halo": "#f0e442", "faint": "#4a4a4a"},
}


def page_of(title: str, theme: str, views: Sequence[Mapping[str, Any]], data: Mapping[str, Any], checks: str) -> str:
    """The page as HTML text. A view is a mapping with `key`, `title`, `caption`, `svg` and `steps`; `data` is for the script.

    The security policy lets this script and this style run and nothing else, and nothing be fetched.
    """
    import json
    import re

    named = {name: f"var(--{name})" for name in themes.LIGHT}
    style = "\n".join((_variables(), _heat(), themes.css(named, ".stage"), _part("page.css")))
    script = "'use strict';\n{\n" + "\n".join(map(_part, _SCRIPTS)) + "}\n"
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; base-uri 'none'"
    parts = {
        "title": escaped(title),
        "theme": theme,
        "policy": f"{policy}; form-action 'none'",
        "style": style,
        "script": script,
        "views": "\n".join(map(_figure, views)),
        "tables": "\n".join(_table_of_steps(view, len(views) > 1) for view in views),
        "checks": checks,
        "data": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _part("page.html"))


def _part(name: str) -> str:
    from importlib.resources import files

    # as text, so that line ends are \n, as in the hashes
    return files("tinygrad_sm.viz.players").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The name of an inline script or style in a security policy."""
    from base64 import b64encode
    from hashlib import sha256

    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _variables() -> str:
    """The colours of the light and the dark theme as CSS variables; paper is light."""
    light, dark = (
        ";".join(f"--{name}:{colour}" for name, colour in {**theme, **_MORE[key]}.items()) + f";color-scheme:{key}"
        for key, theme in (("light", themes.LIGHT), ("dark", themes.DARK))
    )
    return (
        f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root[data-theme=auto]{{{dark}}}}}\n"
        f":root[data-theme=dark]{{{dark}}}\n@media print{{:root:root[data-theme]{{{light}}}}}"
    )


def _heat() -> str:
    """The colours of heat maps in steps, as classes: cells of a table, and shapes of a picture."""
    steps = [
        (word, i, themes.shade(sign * i / 10, themes.LIGHT)) for word, sign in (("up", 1), ("down", -1)) for i in range(1, 11)
    ]
    rules = [
        f".{word}{i}{{background:{colour};fill:{colour}!important}}"
        for word, i, colour in (*steps, ("at", 0, themes.LIGHT["zero"]))
    ]
    undefined = themes.LIGHT["undefined"]
    return "".join((*rules, f".undefined{{background:{undefined};fill:{undefined}!important}}.empty{{fill:none!important}}"))


def _figure(view: Mapping[str, Any]) -> str:
    return (
        f'<figure class="view" id="view-{view["key"]}" aria-label="{escaped(view["title"])}">'
        f'<figcaption>{view["caption"]}</figcaption><div class="scroll">{view["svg"]}</div></figure>'
    )


def _table_of_steps(view: Mapping[str, Any], is_titled: bool) -> str:
    rows = []
    for i, step in enumerate(view["steps"], 1):
        parts = [part["text"] for part in step.get("moments", [])] or [step["text"]]
        for j, text in enumerate(parts, 1):
            place = f"{i}.{j}" if len(parts) > 1 else f"{i}"
            rows.append(f"<tr><td>{place}</td><td>{escaped(step['heading'])}</td><td>{escaped(text)}</td></tr>")
    caption = f"<caption>{escaped(view['title'])}</caption>" if is_titled else ""
    head = '<tr><th scope="col">Step</th><th scope="col">What</th><th scope="col">In words</th></tr>'
    return f"<table>{caption}<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


# --- the picture


def reserves(trace: Mapping[str, Any], quantities: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """For each cell that the script fills, by its id, a text as wide as the widest that will be in it."""
    widest: dict[str, int] = {}

    def note(cell: str, text: str) -> None:
        digits = ceil(sum(_WIDER.get(character, _DIGIT) for character in text) / _DIGIT)
        widest[cell] = max(digits, widest.get(cell, 0))

    def note_gradient(node: str, i: int, count: Sequence[int]) -> None:
        held = quantities[i]
        if not is_heat_map(held["shape"]):
            note(f"{node}_grad", total_text(held["text"], count))
        elif tables.heat_of(held["shape"]) == "numbers":
            for entry, text in enumerate(held["texts"]):
                note(f"{node}_grad_{entry}", text)

    for step in trace["steps"]:
        if step["kind"] == "seed":
            note_gradient(step["node"], step["incoming"], (1, 1))
        for part in step.get("moments", ()):
            note_gradient(part["to"], part["total"], part["count"])
            held = quantities[part["contribution"]]
            if not held["shape"]:
                note(f"{part['edge']}_cell", signed(held["text"]))
    return {cell: "0" * digits for cell, digits in widest.items()}


def total_text(text: str, count: Sequence[int]) -> str:
    """A running total as it stands in a cell.

    >>> total_text("4", (2, 3)), total_text("7", (3, 3))
    ('4 (2/3)', '7')
    """
    return text if count[0] == count[1] else f"{text} ({count[0]}/{count[1]})"


def signed(text: str) -> str:
    """A contribution as it stands in a cell: "+3" or "-3"."""
    return text if text[0] == "-" else f"+{text}"


def is_heat_map(sizes: Sequence[int]) -> bool:
    """Whether a picture shows the gradient of something of a shape as a heat map, and not as text."""
    return bool(tables.heat_of(sizes))


def prepared(svg: str, key: str, trace: Mapping[str, Any], quantities: Sequence[Mapping[str, Any]]) -> str:
    """A picture as the page holds it: ids with the key of the view in front, no links and tooltips, and filled to the end."""
    from xml.etree import ElementTree

    ElementTree.register_namespace("", _SVG[1:-1])
    root = ElementTree.fromstring(svg)
    end = {**_last_contributions(trace, quantities), **_last_gradients(trace, quantities)}
    _thin_out(root)
    for element in root.iter():
        if me := element.get("id"):
            element.set("id", f"{key}-{me}")
            if me.startswith("a_") and me[2:] in end:
                _fill(element, *end[me[2:]])
    return ElementTree.tostring(root, encoding="unicode")


def _thin_out(element: Element) -> None:
    """Takes away links, tooltips, and what says nothing, so that the page stays small."""
    children: list[Element] = []
    for child in element:
        _thin_out(child)
        children += [*child] if child.tag == f"{_SVG}a" else [child] * (child.tag != f"{_SVG}title")
    element[:] = children
    if is_entry(element.get("id", "")):
        _as_rectangle(element)
    for name in ("font-family", f"{_XML}space"):
        element.attrib.pop(name, None)
    if element.get("text-anchor") == "start":
        del element.attrib["text-anchor"]
    element.tail = None
    if element.tag != f"{_SVG}text":
        element.text = None


def is_entry(me: str) -> bool:
    """Whether an id is that of an entry of a heat map.

    >>> is_entry("a_n3_grad_12"), is_entry("a_n3_grad"), is_entry("n3_0")
    (True, False, False)
    """
    return me.startswith("a_") and me.count("_") == 3 and me.rpartition("_")[2].isdigit()


def _as_rectangle(entry: Element) -> None:
    """Makes a rectangle of the polygon of an entry, or of the whole entry if there is nothing else in it: there are many."""
    shape = entry[0] if len(entry) and entry[0].tag == f"{_SVG}polygon" else None
    if shape is None:
        return
    corners = [tuple(map(float, pair.split(","))) for pair in shape.get("points", "").split()]
    x, y = (min(corner[i] for corner in corners) for i in (0, 1))
    width, height = (max(corner[i] for corner in corners) - low for i, low in enumerate((x, y)))
    box = entry if len(entry) == 1 else shape
    kept = {"fill": shape.get("fill", ""), **({"id": entry.get("id", "")} if box is entry else {})}
    box.clear()
    box.tag = f"{_SVG}rect"
    box.attrib.update(kept, x=f"{x:g}", y=f"{y:g}", width=f"{width:.2f}", height=f"{height:.2f}")


def _fill(cell: Element, text: str, level: int | None) -> None:
    """Writes into a cell where room was reserved: an entry of a heat map in the middle, other numbers at the right."""
    is_of_map = level is not None
    own = [cell, *_own(cell)]
    for element in own:
        if level is not None and element.tag == f"{_SVG}rect":
            element.set("fill", themes.shade(level / 100, themes.LIGHT))
    texts = [element for element in own if element.tag == f"{_SVG}text"]
    room = texts[-1].text or "" if texts else ""
    if not room or room.strip("0"):
        return
    reserved = texts[-1]
    width = len(room) * _DIGIT * float(reserved.get("font-size", "12"))
    reserved.set("x", f"{float(reserved.get('x', '0')) + width / (2 if is_of_map else 1):.2f}")
    reserved.set("text-anchor", "middle" if is_of_map else "end")
    reserved.set("class", "reserved")
    if not is_of_map:
        reserved.set("fill", themes.LIGHT["backward_ink"])
    reserved.text = text


def _own(cell: Element) -> Iterator[Element]:
    """The elements of a cell that are in no cell within it."""
    for child in cell:
        yield child
        if child.get("id") is None:
            yield from _own(child)


def _last_gradients(trace: Mapping[str, Any], quantities: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, int | None]]:
    found: dict[str, tuple[str, int | None]] = {}
    for node in trace["nodes"]:
        if node["gradient"] is not None:
            held = quantities[node["gradient"]]
            found[f"{node['id']}_grad"] = held["text"], None
            pairs = zip(held.get("texts", ()), held.get("levels", ()), strict=False)
            found.update((f"{node['id']}_grad_{i}", pair) for i, pair in enumerate(pairs))
    return found


def _last_contributions(trace: Mapping[str, Any], quantities: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, int | None]]:
    parts: Iterable[Mapping[str, Any]] = (part for step in trace["steps"] for part in step.get("moments", ()))
    held = ((part["edge"], quantities[part["contribution"]]) for part in parts)
    return {f"{edge}_cell": (signed(x["text"]), None) for edge, x in held if not x["shape"]}
