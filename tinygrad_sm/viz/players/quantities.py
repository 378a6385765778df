"""Numbers and arrays as plain data for a page: short text to read, and every digit beside it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, prod
from typing import Any

from tinygrad_sm.graph.namespaces import is_array, kind_of, namespace_of
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.nd.shapes import flatten
from tinygrad_sm.viz.drawings.labels import number, span
from tinygrad_sm.viz.scenes.elements import sizes_of

MOST = 256  # entries up to which an array is shown whole
FEW = 4  # entries up to which a vector is written out in a line


class Quantities:
    """The quantities of a page, each held once and referred to by its number."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._known: dict[Any, int] = {}

    def of(self, data: Any) -> int:
        """The number of a quantity: a float, an array of any library, or nested lists of floats."""
        sizes = sizes_of(data)
        if prod(sizes) > MOST:
            found = _summary(data, sizes)
        else:
            entries = flatten(nested_lists(data) if is_array(data) else data)[0]
            found = {"shape": [*sizes], "text": line(entries, sizes), "reprs": [*map(_repr, entries)]}
            if sizes:
                found["texts"] = [*map(number, entries)]
                found["levels"] = _levels(entries)
        key = (*sizes, *found["reprs"])
        if key not in self._known:
            self._known[key] = len(self.entries)
            self.entries.append(found)
        return self._known[key]

    def text(self, i: int) -> str:
        """What stands in a cell: the number, a short vector, or the smallest and the largest element."""
        return str(self.entries[i]["text"])

    def said(self, i: int) -> str:
        """What a sentence says of it."""
        sizes, text = self.entries[i]["shape"], self.text(i)
        if text.startswith("[") or not sizes:
            return text
        between = " from " + text.replace(" … ", " to ") if " … " in text else f" ({text})"
        return f"a {tuple(sizes)} array{between}"


def line(entries: Sequence[Any], sizes: Sequence[int]) -> str:
    """Elements in one line: all of a short vector, of others the smallest and the largest.

    >>> line([3.0], ()), line([0.5, 1.0], (2,)), line([1.0, 2.0, 3.0, 4.0], (2, 2))
    ('3', '[0.5, 1]', '1 … 4')
    """
    if not sizes:
        return number(entries[0])
    if len(sizes) == 1 and len(entries) <= FEW:
        return f"[{', '.join(map(number, entries))}]"
    if not entries:
        return "no elements"
    if isinstance(entries[0], bool):
        return f"True {sum(entries)} of {len(entries)}"
    if any(x != x for x in entries):
        return f"nan {sum(x != x for x in entries)} of {len(entries)}"
    return span(min(entries), max(entries))


def _summary(data: Any, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Of a large array its smallest, mean and largest element."""
    import warnings

    xp, kind = namespace_of([data]), kind_of(data)
    if kind == "bool":
        text = f"True {nested_lists(xp.count_nonzero(data), flat=True)} of {prod(sizes)}"
        return {"shape": [*sizes], "text": text, "reprs": [text]}
    names = ("min", "max") if kind == "integral" else ("min", "mean", "max")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the mean of inf and -inf is nan is seen in the page
        facts = [nested_lists(getattr(xp, name)(data), flat=True) for name in names]
    return {
        "shape": [*sizes],
        "text": span(facts[0], facts[-1]),
        "reprs": [*map(_repr, facts)],
        "facts": [*names],
        "texts": [*map(number, facts)],
    }


def _repr(x: Any) -> str:
    return repr(x) if isinstance(x, (bool, int, float)) else str(x)  # a Decimal with its digits alone


def _levels(entries: Sequence[Any]) -> list[int]:
    """How strong the colour of each element is, from -100 to 100: its share of the largest."""
    most = max((abs(x) for x in entries if isfinite(x)), default=0)
    share = [x / most if most and isfinite(x) else (x > 0) - (x < 0) for x in entries]  # nan: 0
    return [round(100 * float(x)) for x in share]
