"""What is written in a picture: numbers that stay short and true, and the HTML-like tables of DOT that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import isfinite
from typing import Any

from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import SCALARS, is_array, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import nested_lists

FEW = 6  # arrays of up to so many elements show them all
LONG = 32  # characters, after which a text is cut

# Colours of Okabe and Ito, which differ for every eye, as the background of black text.
COLOURS = {"input": "#56B4E9", "parameter": "#E69F00", "constant": "#DDDDDD", "op": "#F2F2F2"}
GREY = "#595959"

# --- numbers


def number(x: Any) -> str:
    """A number with four significant digits, and a whole one with all of them unless there are many.

    >>> number(0.1 + 0.2), number(1e-07), number(123456), number(True)
    ('0.3', '1e-07', '123456', 'True')
    """
    if isinstance(x, bool):
        return str(x)
    if isinstance(x, int):
        if abs(x) < 10**9:
            return str(x)
        from decimal import Decimal  # a float holds no more than 1e308

        return number(Decimal(x))
    rounded = float(x)  # of a Decimal that no float comes near, the digits are its own
    return f"{rounded:.4g}" if isfinite(rounded) and (rounded or not x) else f"{x:.4g}".lower().replace("infinity", "inf")


def statistics(data: Any) -> dict[str, str]:
    """What to write about plain data: all of it under "" when it is small, otherwise its min, mean and max.

    >>> statistics(1e-07)
    {'': '1e-07'}
    >>> import tinygrad_sm as tg
    >>> statistics(tg.arange(10.0))
    {'min': '0', 'mean': '4.5', 'max': '9'}
    """
    sizes = shape(data)
    size = 1
    for n in sizes:
        size *= n
    if type(data) in SCALARS:
        return {"": number(data)}
    if size <= FEW:
        return {"": _elements(nested_lists(data), len(sizes))}
    import warnings

    xp, kind = namespace_of([data]), kind_of(data)
    if kind == "bool":
        return {"True": f"{nested_lists(xp.count_nonzero(data), flat=True)} of {size}"}
    names = ("min", "max") if kind == "integral" else ("min", "mean", "max")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the mean of inf and -inf is nan is seen in the picture
        return {name: number(nested_lists(getattr(xp, name)(data), flat=True)) for name in names}


def _elements(nested: Any, ndim: int = 0) -> str:
    """The elements in brackets, a matrix with a line for each row."""
    if not isinstance(nested, list):
        return number(nested)
    gap = ",\n\u00a0" if ndim == 2 else ", "
    return f"[{gap.join(map(_elements, nested))}]"


# --- text


def printable(text: str) -> str:
    r"""Text without characters that would break a picture: these are written as Python writes them, such as \n."""
    return "".join(c if c.isprintable() or c in "\u200c\u200d" else ascii(c)[1:-1] for c in text)  # joiners shape letters


def cut(text: str, length: int = LONG) -> str:
    """Text of at most `length` characters, with an ellipsis where it goes on."""
    return text if len(text) <= length else text[: length - 1] + "…"


def escaped(text: str) -> str:
    """Text without the characters that mean something in DOT and in XML."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\\", "&#92;")):
        text = text.replace(character, entity)
    return text


def setting(x: Any) -> str:
    """A setting of an op as its caller wrote it, or nearly so: keys as in brackets, arrays by their shapes."""
    if isinstance(x, slice):
        parts = ["" if part is None else setting(part) for part in (x.start, x.stop, x.step)]
        return ":".join(parts if x.step is not None else parts[:2])
    if isinstance(x, (tuple, list)):
        inside = ", ".join(map(setting, x))
        return f"[{inside}]" if isinstance(x, list) else f"({inside}{',' * (len(x) == 1)})"
    if type(x) in SCALARS:
        return number(x)
    if is_array(x):
        return f"array of shape {shape(x)}"
    if x is Ellipsis:
        return "..."
    return repr(x) if isinstance(x, str) else str(getattr(x, "__name__", x))


def settings(node: Value, in_full: bool = False) -> str:
    """The settings that the op was called with, an axis always and others where they are not the default, or all of them."""
    defaults = node.op._settings if node.op is not None else {}
    shown = []
    for key, x in (node._params or {}).items():
        if node.op is not None and key not in node.op.setting_names:  # what the op kept for its rule
            continue
        text = setting(x)
        if key == "key":  # that of x[key]
            shown.append(f"[{text[1:-1].rstrip(',')}]" if isinstance(x, tuple) and x else f"[{text}]")
        elif in_full or (key == "axis" and x is not None) or key not in defaults or text != setting(defaults[key]):
            shown.append(f"{key}={text}")
    return ", ".join(shown)


# --- tables


def constant_label(data: Any, name: str | None) -> str:
    """The label of plain data that an op took: its name, if it has one, and its numbers."""
    facts = statistics(data)
    lines = [f"<B>{_text(name)}</B>"] if name else []
    lines += [] if "" in facts else [f"shape {shape(data)}"]
    return caption("<BR/>".join(lines + [_lines(f"{key} {text}".lstrip()) for key, text in facts.items()]))


def caption(html: str) -> str:
    """The label of a node that is no Value."""
    return _table(f"<TR><TD>{html}</TD></TR>", COLOURS["constant"], "DASHED")


def value_label(node: Value, name: str | None, role: str, operands: Sequence[str], used: Sequence[Any] = ()) -> str:
    """The label of a Value: its name, its op or its role as a leaf, shape, value and gradient.

    `operands` are the words at the ports i0, i1, ... on the left side, where the edges arrive. `used` is the data of a leaf
    when it was computed with, oldest first.
    """
    past = [facts for facts, _ in groupby(map(statistics, used or [node.data]))]
    now = past[-1] if not used or used[-1] is node.data else statistics(node.data)
    values = [("then" if i else "value", facts) for i, facts in enumerate(past)] + [("now", now)] * (now != past[-1])
    rows = [("shape", [str(node.shape)])] if node.shape else []
    rows += [("", [_grey(key) for key in now])] if "" not in now else []
    rows += [(word, [*map(_lines, facts.values())]) for word, facts in values]
    if node.requires_grad:  # an empty cell until a gradient has arrived, since none is not zero
        rows.append(("grad", [*map(_lines, statistics(node.grad).values())] if node.has_grad else [""]))

    title = f"<B>{_text(name or role)}</B>" + (f"&#160; {_text(role)}" if name else "")
    if chosen := settings(node):
        title += f'<BR/><FONT POINT-SIZE="9">{_text(chosen)}</FONT>'
    width = max(len(cells) for _, cells in rows)
    colour = COLOURS["op" if node.op is not None else role]
    body = f'<TR><TD COLSPAN="{width + 1}" BGCOLOR="{colour}">{title}</TD></TR><HR/>'
    for word, cells in rows:
        span = width + 1 - len(cells)
        row = "".join(f'<TD ALIGN="RIGHT" BALIGN="LEFT" COLSPAN="{span}">{cell}</TD>' for cell in cells)
        body += f'<TR><TD ALIGN="LEFT">{_grey(word)}</TD>{row}</TR>'
    if not operands:
        return _table(body, "white", "SOLID")
    inner = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3">{body}</TABLE>'
    beside = f'<TD CELLPADDING="0" ROWSPAN="{len(operands)}">{inner}</TD>'
    ports = (
        f'<TR><TD PORT="i{i}" BGCOLOR="{colour}">{_grey(_text(word))}</TD>{"" if i else beside}</TR>'
        for i, word in enumerate(operands)
    )
    return _table("".join(ports), "white", "SOLID")


def _table(rows: str, colour: str, style: str) -> str:
    return (
        f'<<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" STYLE="{style}" BGCOLOR="{colour}">{rows}</TABLE>>'
    )


def _grey(text: str) -> str:
    return f'<FONT COLOR="{GREY}" POINT-SIZE="10">{text}</FONT>' if text else ""  # dot takes no empty FONT


def _text(text: str) -> str:
    shown = escaped(cut(printable(text)))
    return shown.replace("&#92;", "<FONT>&#92;</FONT>")  # alone, since dot would take \\N for the name of the node


def _lines(text: str) -> str:
    return "<BR/>".join(map(escaped, text.split("\n")))
