"""What the commands share: the terminal, errors as sentences, and libraries of arrays by name."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinygrad_sm import files, nd
from tinygrad_sm.viz.drawings.labels import printable


class Library(enum.StrEnum):
    """The libraries that a network can be trained on."""

    nd = "nd"
    numpy = "numpy"


def library(name: Library) -> Any:
    """The library of that name; a sentence if it is not installed."""
    if name is Library.nd:
        return nd
    try:
        import numpy
    except ImportError:
        raise ValueError("numpy is not installed: pip install 'tinygrad_sm[numpy]'") from None
    return numpy


def named(xp: Any) -> str:
    """How a library is called in a sentence."""
    return "the standard library alone" if xp is nd else xp.__name__


@contextmanager
def sentences() -> Iterator[None]:
    """Inside, an error that tells a person what is wrong ends the command with its sentence and exit code 1."""
    try:
        yield
        return
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)  # without [Errno 17]
    except (ValueError, FloatingPointError) as error:
        said = str(error)
    text = "\n".join(map(printable, said.split("\n")))  # the name of a file may hold codes that command a terminal
    Console(stderr=True).print(Text.assemble(("Error:", "bold red"), " ", text), soft_wrap=True)
    raise typer.Exit(1)


def confusion(targets: Sequence[int], predictions: Sequence[int], names: Sequence[str], width: int = 80) -> Table:
    """A confusion matrix: a row for each true class, a column for each predicted one; the mistakes stand out.

    Where the names of the classes make it wider than `width`, the columns have their numbers instead; where that is still too
    wide, or the classes are more than 20, the pairs that were most often confused take its place.
    """
    counts = Counter(zip(targets, predictions, strict=True))
    if len(names) <= 20:
        for numbered in (False, True):
            table = _matrix(counts, names, numbered)
            if Console(width=10_000).measure(table).maximum <= width:
                return table
    return _confused_pairs(counts, names)


def _matrix(counts: Counter[tuple[int, int]], names: Sequence[str], numbered: bool) -> Table:
    heads = [f"{k + 1}" if numbered else shown(name) for k, name in enumerate(names)]
    title, padding = "rows: the true class, columns: predicted", (0, 0 if numbered else 1)
    table = Table(box=box.SIMPLE_HEAD, title=title, title_style="dim", padding=padding)
    table.add_column("", justify="right", style="bold")
    for head in heads:
        table.add_column(Text(head), justify="right")
    table.add_column("right", justify="right", style="dim")
    for i, name in enumerate(names):
        row = [counts[i, j] for j in range(len(names))]
        styles = ["green" if i == j else "bold red" if n else "dim" for j, n in enumerate(row)]
        cells = [Text(f"{n}" if n or i == j else "·", style) for j, (n, style) in enumerate(zip(row, styles, strict=True))]
        head = f"{shown(name)} {i + 1}" if numbered else heads[i]
        table.add_row(Text(head), *cells, f"{100 * row[i] / sum(row):.0f} %" if sum(row) else "")
    return table


def _confused_pairs(counts: Counter[tuple[int, int]], names: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="the pairs that were most often confused", title_style="dim", padding=(0, 1))
    for head in ("true class", "taken for", "times", "of"):
        table.add_column(head, justify="right" if head in ("times", "of") else "left")
    mistakes = [(i, j) for i, j in counts if i != j]
    for i, j in sorted(mistakes, key=lambda pair: (-counts[pair], pair))[:10]:
        total = sum(n for (k, _), n in counts.items() if k == i)
        table.add_row(Text(shown(names[i])), Text(shown(names[j])), Text(f"{counts[i, j]}", "bold red"), f"{total}")
    if not mistakes:
        table.add_row("none", "", "", "")
    return table


def shown(name: str, width: int = 24) -> str:
    """A name from a file as it fits into a line of a terminal, at most `width` cells of it.

    >>> shown("a name\\nin two lines"), shown("a name that does not come to an end")
    ('a name\\\\nin two lines', 'a name that …e to an end')
    """
    text = printable(name)
    if cell_len(text) <= width:
        return text
    half = (width - 1) // 2  # names that begin alike often end differently
    return set_cell_size(text, width - 1 - half) + "…" + set_cell_size(text[::-1], half)[::-1]


def listed(names: Sequence[str], most: int = 8, width: int = 24) -> str:
    """Names in a sentence: all of them, or the first few and the last.

    >>> listed("abc"), listed("abcdefghijk", most=4)
    ('a, b, c', 'a, b, c, ..., k (11 in all)')
    """
    if len(names) <= most:
        return ", ".join(shown(name, width) for name in names)
    return f"{listed(names[: most - 1], most, width)}, ..., {shown(names[-1], width)} ({len(names)} in all)"


def must_be_writable(path: Path, other_than: Iterable[Path] = ()) -> None:
    """Raises an OSError where no file could be written, or a ValueError where one would replace one of `other_than`.

    Before the work, since afterwards it would be in vain. Nothing is left behind.
    """
    files.must_be_writable(path)
    if path.exists() and any(other.exists() and path.samefile(other) for other in other_than):
        raise ValueError(f"{path} would be replaced by what comes out; give another name")
