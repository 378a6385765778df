"""`tinygrad-sm train --load`: what a trained network says of the rows of another table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

import tinygrad_sm as tg
from tinygrad_sm.cli import shared
from tinygrad_sm.cli.cells import TableError
from tinygrad_sm.cli.classifier import Classifier
from tinygrad_sm.cli.table import Table, first_row, read_table
from tinygrad_sm.files import write_whole

SHOWN = 20  # rows in the terminal
Guess = tuple[str, float]  # a class and its probability


def classify(
    console: Console, load: Path, data: Path, *, target: str | None, header: bool | None, xp: Any, out: Path | None, quiet: bool
) -> None:
    """Prints or writes the class of each row of `data` by the network in `load`, and how often it is right if that is known."""
    if out:
        shared.must_be_writable(out, other_than=(load, data))
    trained = Classifier.load(load, xp)
    if target not in (None, trained.target):
        raise ValueError(f"{load.name} has learnt the column {trained.target!r}, not {target!r}; leave --target out")
    table, note = table_for(trained, data, header)
    targets = _targets(trained, table)
    found = trained.guesses(trained.standardised(table))
    guesses = [(trained.classes[k], probability) for k, probability in found]

    if not quiet:
        rows = f"{len(guesses):,} row{'s' * (len(guesses) != 1)}"
        console.print(f"{data.name}: {rows}; {load.name} predicts {shared.shown(trained.target)}")
        if note:
            console.print(note)
    if out:
        write_whole(out, as_csv(guesses))
        console.print(f"The class of each row and its probability are in {out}", soft_wrap=True)
    else:
        _show(console, table, guesses)
    if targets is not None:
        predictions = [k for k, _ in found]
        if not quiet:
            console.print(shared.confusion(targets, predictions, trained.classes, console.width))
        console.print(f"accuracy: {100 * tg.accuracy(predictions, targets):.1f} %", style="bold")


def table_for(trained: Classifier, data: Path, header: bool | None = None) -> tuple[Table, str]:
    """A table with the columns that a classifier learnt from, in its order, and a line about what was made of the columns.

    Columns go by their names, and by their order where either table has no names. The classes come along where they are
    there. Raises a TableError that names the column that is missing, or says how many there should be.
    """
    columns, first = trained.columns, first_row(data)
    if trained.has_header and header is not False and (header or not {*columns}.isdisjoint(first)):
        target = trained.target if trained.target in first else None
        others = [j for j, name in enumerate(first, 1) if name != target and name not in columns]
        _refuse_missing(columns, first, data.name)
        table = read_table(data, target, header=True, ignore=others)
        places = [table.columns.index(name) for name in columns]
        table.columns, table.X = columns, [[row[j] for j in places] for row in table.X]
        return table, _note_of(table.ignored)

    number, others = (None, []) if trained.has_header else _places_of_old(trained, len(first))
    if len(first) - len(others) - (number is not None) != len(columns):
        names = f" ({shared.listed(columns)})" if trained.has_header else ""
        columns_here = f"{len(first)} column{'s' * (len(first) != 1)}"
        raise TableError(f"{data.name} has {columns_here}, none of a known name, and the network needs {len(columns)}{names}")
    table = read_table(data, number, header=header, ignore=others)
    if trained.has_header and table.has_header:
        _refuse_missing(columns, table.columns, data.name)
    table.columns = columns
    note = "The columns are taken in their order, as they have no names." if trained.has_header else _note_of(table.ignored)
    return table, note


def _places_of_old(trained: Classifier, width: int) -> tuple[int | None, list[int]]:
    """The numbers of the classes and of the ignored columns, where they were in the table without names that was learnt from.

    A table that is narrower by one has no classes, and one that is narrower still no ignored columns either.
    """
    others = {*trained.columns, *trained.ignored}
    if width not in (len(others), len(others) + 1):
        return None, []
    names = [f"column {j}" for j in range(1, len(others) + 2)]
    names = [name for name in names if width > len(others) or name in others]
    number = next((j for j, name in enumerate(names, 1) if name not in others), None)
    return number, [j for j, name in enumerate(names, 1) if name in trained.ignored]


def _note_of(ignored: Sequence[str]) -> str:
    return f"Not learnt from, and so ignored: {shared.listed(ignored)}" if ignored else ""


def _refuse_missing(columns: Sequence[str], there: Sequence[str], name: str) -> None:
    missing = next((column for column in columns if column not in there), None)
    if missing is not None:
        what = f"no column is called {shared.shown(missing)!r}, which the network needs"
        raise TableError(f"{name}: {what}; it takes {shared.listed(columns)}")


def _targets(trained: Classifier, table: Table) -> list[int] | None:
    """The class of each row by its number, where the table has them."""
    if table.labels is None:
        return None
    numbers = {name: k for k, name in enumerate(trained.classes)}
    for line, label in zip(table.row_numbers, table.labels, strict=True):
        if label not in numbers:
            known = shared.listed(trained.classes)
            what = f"line {line} has the class {shared.shown(label)!r}, which the network does not know"
            raise TableError(f"{Path(table.path).name}: {what}; it knows {known}")
    return [numbers[label] for label in table.labels]


def as_csv(guesses: Sequence[Guess]) -> str:
    """Classes and probabilities as the text of a CSV file with a header.

    >>> print(as_csv([("setosa", 0.75), ("a, b", 1.0)]), end="")
    class,probability
    setosa,0.750000
    "a, b",1.000000
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("class", "probability"))
    writer.writerows((name, f"{probability:.6f}") for name, probability in guesses)
    return stream.getvalue()


def _show(console: Console, table: Table, guesses: Sequence[Guess]) -> None:
    """The first rows as a table in the terminal."""
    grid = Grid(box=box.SIMPLE_HEAD)
    grid.add_column("line", justify="right", style="dim")
    grid.add_column("class")
    grid.add_column("probability", justify="right")
    for line, (name, probability) in zip(table.row_numbers[:SHOWN], guesses, strict=False):
        grid.add_row(str(line), Text(shared.shown(name)), f"{probability:.3f}")
    console.print(grid)
    if len(guesses) > SHOWN:
        console.print(f"These are the first {SHOWN} of {len(guesses):,} rows; --out predictions.csv writes all of them.")
