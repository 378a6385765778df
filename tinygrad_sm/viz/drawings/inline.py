"""What is done to the SVG that an engine wrote, so that it can stand in any page: a theme, ids of its own, words for it."""

from __future__ import annotations

import re

from tinygrad_sm.viz.drawings.labels import escaped
from tinygrad_sm.viz.drawings.themes import DARK, LIGHT, THEMES, follow_reader

_ID = re.compile(r'( id="|href="#|url\(#)(?=[^")])')
_SECURITY = "default-src 'none'; style-src 'unsafe-inline'"


def finished(svg: str, theme: str, about: str) -> str:
    """The `<svg>` element of an engine's output, with its description; in the theme "auto" as dark as its surroundings."""
    svg = svg[svg.index("<svg") :].replace(' xlink:href="#"', "")  # those that gave cells their ids
    head, body = svg.split(">", 1)
    style = f"\n<style>\n{follow_reader(body)}\n</style>" if theme == "auto" else ""
    return f'{head} class="tinygrad-sm-{theme}" role="img" aria-label="{escaped(about)}">{style}{body}'


def with_ids_of_its_own(svg: str, prefix: str) -> str:
    """The same picture with all of its ids, and what refers to them, behind a prefix: many may stand in one page."""
    return _ID.sub(rf"\g<1>{prefix}", svg)


def page(svg: str, theme: str, title: str, text: str) -> str:
    """A whole page of HTML that holds a picture, and what it says as text; it fetches nothing and runs nothing."""
    colours = THEMES.get(theme, LIGHT)
    rules = [f"body{{margin:1rem;background:{colours['paper']};color:{colours['ink']};font-family:sans-serif}}"]
    rules += ["main{overflow-x:auto}", "pre{overflow-x:auto}"]
    if theme == "auto":
        rules.append(f"@media (prefers-color-scheme:dark){{body{{background:{DARK['paper']};color:{DARK['ink']}}}}}")
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_SECURITY}">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escaped(title)}</title>",
            f"<style>{' '.join(rules)}</style>",
            f"<main>{svg}</main>",
            f"<details><summary>As text</summary><pre>{escaped(text)}</pre></details>",
            "</html>",
            "",
        )
    )
