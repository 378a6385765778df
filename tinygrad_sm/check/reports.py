"""What a check says: tables of plain text, numbers at a length that shows where they differ, and names of places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Context, Decimal
from typing import Any


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], right: Iterable[int] = ()) -> str:
    """Rows under headings in columns as wide as they need be; the columns at `right` stand to the right.

    >>> print(table(["quantity", "ulp"], [["value", "1.2"], ["gradient", "13.0"]], right=[1]))
    quantity   ulp
    --------  ----
    value      1.2
    gradient  13.0
    """
    cells = [[*map(str, row)] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    to_the_right = {*right}
    lines = (
        "  ".join(
            cell.rjust(width) if i in to_the_right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def number(x: Decimal | float, digits: int = 20) -> str:
    """A number for a reader: a float as Python writes it, a decimal with so many digits.

    >>> number(0.1), number(Decimal(2) / 3, digits=5), number(Decimal("1e-304"))
    ('0.1', '0.66667', '1E-304')
    """
    if not isinstance(x, Decimal):
        return repr(float(x))
    return str(Context(prec=digits).plus(x).normalize(Context(prec=digits)) if x.is_finite() else x).replace("Infinity", "inf")


def amount(x: float) -> str:
    """An error in units in the last place: a digit behind the point is enough.

    >>> amount(0.0), amount(3.456), amount(509.7), amount(3.6e15)
    ('0', '3.5', '510', '3.6e+15')
    """
    return "0" if x == 0 else f"{x:.1f}" if x < 100 else f"{x:.0f}" if x < 1e4 else f"{x:.1e}"


def place(name: str, index: Sequence[int]) -> str:
    """An element as one writes it: `z[0, 3]`, or `z` of a single number.

    >>> place("z", (0, 3)), place("z", ())
    ('z[0, 3]', 'z')
    """
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def index_of(position: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The index in an array of that shape of an element of its row-major order.

    >>> index_of(5, (2, 3))
    (1, 2)
    """
    index: list[int] = []
    for size in reversed(shape):
        position, at = divmod(position, size)
        index.append(at)
    return tuple(reversed(index))


@contextmanager
def blaming(what: str, *known: str) -> Iterator[None]:
    """Errors of a user's own function in a sentence that says whose they are; those that begin as `known` do say so already.

    >>> with blaming("compare: the rule of swish"):
    ...     1 / 0
    Traceback (most recent call last):
    TypeError: compare: the rule of swish failed: ZeroDivisionError: division by zero
    """
    try:
        yield
    except Exception as error:
        if known and str(error).startswith(known):
            raise
        kind = next((kind for kind in (IndexError, ValueError) if isinstance(error, kind)), TypeError)
        raise kind(f"{what} failed: {type(error).__name__}: {error}") from error
