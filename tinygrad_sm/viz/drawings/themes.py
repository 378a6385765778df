"""The colours of pictures, by what they are for: a light, a dark and a print theme, and CSS that turns a light picture dark.

The hues are those of Okabe and Ito, which differ for every eye. Text has a contrast of at least 4.5 to 1 with its ground.
"""

from __future__ import annotations

from collections.abc import Mapping

Theme = Mapping[str, str]  # every theme has the same names, and no two colours of LIGHT are equal: CSS can tell them apart

LIGHT: Theme = {
    "paper": "#ffffff",
    "ink": "#1b1b1b",
    "muted": "#555555",  # words beside numbers
    "ghost": "#696969",  # what no gradient reaches
    "plain": "#737373",  # edges along which no gradient comes back
    "forward": "#0072b2",
    "backward": "#d55e00",
    "backward_ink": "#a34400",  # the same hue, dark enough for text
    "op": "#fefefe",
    "op_line": "#5e5e5e",
    "port": "#f0f0f0",
    "input": "#e1f1fb",
    "input_line": "#2b7cab",
    "parameter": "#fdeecb",
    "parameter_line": "#9a6700",
    "constant": "#efefee",
    "constant_line": "#6e6e6e",
    "fused": "#e0f3ec",
    "fused_line": "#00795a",
    "output": "#f9e6f0",
    "output_line": "#a3487c",
    "folded": "#e9e6f7",
    "folded_line": "#5b4fa2",
    "group": "#f8f9fb",  # a module, and one within it
    "inner_group": "#f1f3f7",
    "group_line": "#7b8494",
    "positive": "#4aa3df",  # the two ends of a heat map and its middle; black stands on all of them
    "negative": "#ee9a2b",
    "zero": "#fcfcfc",
    "heat_ink": "#000000",
    "undefined": "#c4c4c4",  # nan in a heat map
}

DARK: Theme = {
    **LIGHT,
    "paper": "#16181c",
    "ink": "#ececec",
    "muted": "#b4b4b4",
    "ghost": "#9a9a9a",
    "plain": "#8d8d8d",
    "forward": "#56b4e9",
    "backward": "#f28e3c",
    "backward_ink": "#ffab66",
    "op": "#22252b",
    "op_line": "#a6a6a6",
    "port": "#2d3138",
    "input": "#123246",
    "input_line": "#62b7e6",
    "parameter": "#40300c",
    "parameter_line": "#e0a52c",
    "constant": "#2b2b2c",
    "constant_line": "#9b9b9b",
    "fused": "#0f3a2e",
    "fused_line": "#35c09a",
    "output": "#43203a",
    "output_line": "#dd8fbd",
    "folded": "#2c2750",
    "folded_line": "#a79ff0",
    "group": "#1c1f25",
    "inner_group": "#23272f",
    "group_line": "#747d8c",
}

FILLS = ("paper", "op", "port", "input", "parameter", "constant", "fused", "output", "folded", "group", "inner_group")
HEAT = ("positive", "negative", "zero", "undefined")
PRINT: Theme = {
    **dict.fromkeys(LIGHT, "#000000"),
    **dict.fromkeys(FILLS + HEAT, "#ffffff"),
    **dict.fromkeys(("muted", "ghost", "plain", "group_line"), "#555555"),
}

THEMES = {"light": LIGHT, "dark": DARK, "print": PRINT}


def ghostly(theme: Theme) -> Theme:
    """A theme in which everything is grey on paper, for what is there and has no part in what is shown."""
    return {name: theme["paper" if name in FILLS + HEAT else "ghost"] for name in theme}


def has_heat(theme: Theme) -> bool:
    """Whether a theme has colours for the numbers of a heat map."""
    return theme["positive"] != theme["zero"]


def shade(x: float, theme: Theme) -> str:
    """The colour of `x`, from -1 to 1, in a heat map: in ten steps from the middle to either end.

    >>> shade(0.0, LIGHT) == LIGHT["zero"], shade(1.0, LIGHT) == LIGHT["positive"], shade(-0.5, LIGHT)
    (True, True, '#f5cb94')
    """
    end = theme["positive" if x > 0 else "negative"]
    share = round(min(abs(x), 1.0) * 10) / 10
    return "#" + "".join(
        f"{round(a + (b - a) * share):02x}" for a, b in zip(_channels(theme["zero"]), _channels(end), strict=True)
    )


def css(theme: Theme, scope: str = "") -> str:
    """Rules that give a picture drawn in LIGHT the colours of another theme, for all elements within the selector `scope`.

    >>> css({**LIGHT, "ink": "#eeeeee"}, "#picture").splitlines()
    ['#picture [fill="#1b1b1b"]{fill:#eeeeee}', '#picture [stroke="#1b1b1b"]{stroke:#eeeeee}']
    """
    changed = [(old, theme[name]) for name, old in LIGHT.items() if theme[name] != old]
    inside = f"{scope} " if scope else ""
    return "\n".join(
        f'{inside}[{attribute}="{old}"]{{{attribute}:{new}}}' for old, new in changed for attribute in ("fill", "stroke")
    )


def follow_reader(svg: str, name: str = "tinygrad-sm-auto") -> str:
    """Rules by which a picture drawn in LIGHT is dark where its reader's system or notebook is, for what has the class `name`.

    JupyterLab and VS Code say on the body of the page which theme they show, and are believed more than the system.
    """
    scope, changed = f".{name}", [(x, old) for x, old in LIGHT.items() if DARK[x] != old and f'"{old}"' in svg]
    dark = ";".join(f"--{name}-{x}:{DARK[x]}" for x, _ in changed)
    light_pages = '[data-jp-theme-light="true"]', ".vscode-light", ".vscode-high-contrast-light"
    dark_pages = '[data-jp-theme-light="false"]', ".vscode-dark", ".vscode-high-contrast:not(.vscode-high-contrast-light)"
    unless = "".join(f":not({page})" for page in light_pages)
    rules = [
        f"@media (prefers-color-scheme:dark){{{scope}:root,body{unless} {scope}{{{dark}}}}}",
        f"{','.join(f'body{page} {scope}' for page in dark_pages)}{{{dark}}}",
    ]
    rules += [
        f'{scope} [{attribute}="{old}"]{{{attribute}:var(--{name}-{x},{old})}}'
        for x, old in changed
        for attribute in ("fill", "stroke")
        if f'{attribute}="{old}"' in svg
    ]
    return "\n".join(rules)


def contrast(a: str, b: str) -> float:
    """The contrast of two colours as WCAG 2 defines it, from 1 to 21.

    >>> contrast("#000000", "#ffffff")
    21.0
    """
    high, low = sorted(map(_luminance, (a, b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    shares = (c / 255 for c in _channels(colour))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
