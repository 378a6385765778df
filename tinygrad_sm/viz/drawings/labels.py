"""What is written in a picture: numbers that stay short and true, names and settings that no picture breaks on."""

from __future__ import annotations

from math import isfinite, prod
from typing import Any

from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import SCALARS, is_array, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import nested_lists

FEW = 6  # arrays of up to so many elements show them all, where there is no heat map
LONG = 32  # characters, after which a text is cut

# --- numbers


def number(x: Any, precision: int = 4) -> str:
    """A number with four significant digits, or `precision`, and a whole one with all of them unless there are many.

    The zero below zero is written as 0: its sign is no news to a reader.

    >>> number(0.1 + 0.2), number(1e-07), number(123456), number(True), number(-0.0)
    ('0.3', '1e-07', '123456', 'True', '0')
    """
    if isinstance(x, bool):
        return str(x)
    if isinstance(x, int):
        if abs(x) < 10**9:
            return str(x)
        from decimal import Decimal  # a float holds no more than 1e308

        return number(Decimal(x), precision)
    if not x:
        return "0"
    rounded = float(x)  # of a Decimal that no float comes near, the digits are its own
    if isfinite(rounded) and rounded:
        return f"{rounded:.{precision}g}"
    return f"{x:.{precision}g}".lower().replace("infinity", "inf")


def size_of(data: Any) -> int:
    """How many elements plain data has."""
    return prod(shape(data))


def statistics(data: Any, precision: int = 4) -> dict[str, str]:
    """What to write about plain data: all of it under "" when it is small, otherwise its min, mean and max.

    >>> statistics(1e-07)
    {'': '1e-07'}
    >>> import tinygrad_sm as tg
    >>> statistics(tg.arange(10.0))
    {'min': '0', 'mean': '4.5', 'max': '9'}
    """
    if type(data) in SCALARS:
        return {"": number(data, precision)}
    if size_of(data) <= FEW:
        return {"": elements(nested_lists(data), precision)}
    return spread(data, precision)


def spread(data: Any, precision: int = 4) -> dict[str, str]:
    """The min, mean and max of an array; of whole numbers without the mean; of a mask how many are true."""
    import warnings

    xp, kind = namespace_of([data]), kind_of(data)
    if kind == "bool":
        return {"True": f"{nested_lists(xp.count_nonzero(data), flat=True)} of {size_of(data)}"}
    names = ("min", "max") if kind == "integral" else ("min", "mean", "max")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the mean of inf and -inf is nan is seen in the picture
        return {name: number(nested_lists(getattr(xp, name)(data), flat=True), precision) for name in names}


def span(low: Any, high: Any, precision: int = 4) -> str:
    """From the smallest to the largest element, or what all of them are, as far as the digits tell.

    >>> span(-0.25, 3), span(2.0, 2.0)
    ('-0.25 … 3', 'all 2')
    """
    ends = number(low, precision), number(high, precision)
    return f"all {ends[0]}" if ends[0] == ends[1] else " … ".join(ends)


def elements(nested: Any, precision: int = 4) -> str:
    """The elements of nested lists in brackets."""
    if not isinstance(nested, list):
        return number(nested, precision)
    return f"[{', '.join(elements(part, precision) for part in nested)}]"


# --- text


def printable(text: str) -> str:
    r"""Text without characters that would break a picture: these are written as Python writes them, such as \n."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\u200c\u200d" else ascii(c)[1:-1] for c in text)  # joiners shape letters


def cut(text: str, length: int = LONG) -> str:
    """Text of at most `length` characters, with an ellipsis where it goes on."""
    return text if len(text) <= length else text[: length - 1] + "…"


def escaped(text: str) -> str:
    """Text without the characters that mean something in DOT and in XML."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\\", "&#92;")):
        text = text.replace(character, entity)
    return text


def shown(text: str, length: int = LONG) -> str:
    """Any text as a picture's table holds it: printable, cut and escaped."""
    safe = escaped(cut(printable(text), length))
    return safe.replace("&#92;", "<FONT>&#92;</FONT>")  # alone, since dot would take \\N for the name of the node


def tooltip(text: str) -> str:
    """Any text as the value of a tooltip attribute."""
    safe = escaped(cut(printable(text), 500))  # dot reads at most 16 kB
    return safe.replace("&#92;", 4 * "&#92;")  # of which dot, that looks for escapes twice, leaves one


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
    told = []
    for key, x in (node._params or {}).items():
        if node.op is not None and key not in node.op.setting_names:  # what the op kept for its rule
            continue
        text = setting(x)
        if key == "key":  # that of x[key]
            told.append(f"[{text[1:-1].rstrip(',')}]" if isinstance(x, tuple) and x else f"[{text}]")
        elif in_full or (key == "axis" and x is not None) or key not in defaults or text != setting(defaults[key]):
            told.append(f"{key}={text}")
    return ", ".join(told)
