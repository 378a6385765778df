"""Reads a person's table: a CSV file from a spreadsheet or another program, as rows of numbers and a class for each row."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import fsum, isfinite, sqrt
from sys import intern

from tinygrad_sm.cli.cells import Numbers, Row, TableError, is_missing, opened, rows_of

SHOWN = 5  # bad cells named in a message


class TextColumnError(TableError):
    """A column without a number in it; `option` is how the command calls it, by its name or its number from 1."""

    def __init__(self, sentence: str, option: str) -> None:
        super().__init__(sentence)
        self.option = option


@dataclass
class Table:
    """Rows of numbers, and the class of each row where the table was read with a target.

    `columns` are the names of the features (by number, as "column 3", where the file has none), `X` their numbers by row,
    `labels` the texts in the column `target` (None without one), and `row_numbers` the line of the file in which each row
    begins, counted from 1. `has_header` and `delimiter` say how the file was understood, and `ignored`
    names the columns that were left out.
    """

    path: str
    columns: list[str]
    X: list[list[float]]
    labels: list[str] | None = None
    row_numbers: list[int] = field(default_factory=list)
    target: str | None = None
    has_header: bool = False
    delimiter: str = ","
    ignored: list[str] = field(default_factory=list)


def read_table(
    path: str | os.PathLike[str],
    target: str | int | None = None,
    *,
    header: bool | None = None,
    ignore: Collection[str | int] = (),
) -> Table:
    """The table in a CSV file: numbers in every column but `target`, which holds the class of each row as any text.

    `target` is the name of a column or its number, counted from 1; None if the file has no classes. The first line is a header
    if the target is named in it, or if it has text above a column of numbers; `header` True or False decides instead. The
    columns in `ignore`, by name or number too, are left out, whatever they hold.
    Commas, semicolons, tabs and bars separate cells; where it is no comma, numbers may have a decimal comma. Text is UTF-8;
    cells may be quoted; blank lines and the spaces about cells do not count. The file is read once, from front to end.

    Raises a TableError that says what is wrong and in which line: a file that is no table, lines of unequal length, a target
    that is not there, a name used twice, and cells that are missing (empty, `?`, NA, nan, inf) or no numbers.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "flowers.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("length,width,species\\n5.1,3.5,setosa\\n6.3,3.3,virginica\\n")
    ...     table = read_table(path, "species")
    >>> table.columns, table.X, table.labels
    (['length', 'width'], [[5.1, 3.5], [6.3, 3.3]], ['setosa', 'virginica'])
    """
    target = target.strip() if isinstance(target, str) else target
    with opened(path) as (name, stream):
        delimiter, rows = rows_of(stream, target, name)
        return _read(rows, delimiter, str(path), name, target, header, ignore)


def first_row(path: str | os.PathLike[str]) -> list[str]:
    """The cells of the first line that is not blank, be it a header or not; an empty one is called by its number."""
    with opened(path) as (name, stream):
        _, rows = rows_of(stream, None, name)
        return _named(next(rows)[1])


def _read(
    rows: Iterator[Row],
    delimiter: str,
    path: str,
    name: str,
    target: str | int | None,
    header: bool | None,
    ignore: Collection[str | int],
) -> Table:
    first_line, first = next(rows)
    at, is_named = (None, False) if target is None else _place_of(target, first, header, name, "target")
    ignored = set()
    for column in ignore:
        j, by_name = _place_of(column, first, is_named or header, name, "--ignore")
        if j == at:
            raise TableError(f"{name}: --ignore {column} is the target, which has the classes to learn; take it off that list")
        is_named |= by_name
        ignored.add(j)
    features = [j for j in range(len(first)) if j != at and j not in ignored]
    if not features:
        counts = f"{_counted(len(first), 'column')} with the target in all" + (f", {len(ignored)} ignored" if ignored else "")
        raise TableError(f"{name} has no columns to learn from, {counts}{_hint_of_spaces(first)}")

    body = _Body(name, first, first_line, at, features, Numbers(delimiter))
    for line, cells in rows:
        body.add(line, cells)
    has_header = is_named or (body.looks_like_header() if header is None else header)
    columns = _named(first if has_header else [""] * len(first))
    _refuse_twins(columns, name)
    for what, wanted in [("target", target), *(("--ignore", column) for column in ignore)]:
        if wanted in columns and wanted.isdecimal() and columns.index(wanted) != int(wanted) - 1:
            raise TableError(f"{name}: {what} {wanted} is the name of one column and the number of another; rename that column")
    if has_header:
        if not body.row_numbers:
            raise TableError(f"{name} has a header and no rows below it")
    else:
        body.add_first()
    body.check(columns)
    names, target = [columns[j] for j in features], None if at is None else columns[at]
    left_out = [columns[j] for j in sorted(ignored)]
    return Table(path, names, body.X, body.labels, body.row_numbers, target, has_header, delimiter, left_out)


def _place_of(target: str | int, first: list[str], header: bool | None, name: str, what: str) -> tuple[int, bool]:
    """Where a column is, counted from 0, and whether it was found by its name. `what` it is wanted for is for messages."""
    if isinstance(target, int) or target.isdecimal():
        if isinstance(target, bool) or not 1 <= int(target) <= len(first):
            numbers = f"their numbers go from 1 to {len(first)}"
            raise TableError(f"{name}: {what} {target} is no column; {numbers}{_hint_of_spaces(first)}")
        return int(target) - 1, False
    if header is False:
        raise TableError(f"{name}: without a header no column is called {target!r}; give its number, 1 to {len(first)}")
    names = _named(first) if header else first
    if target in names:
        return names.index(target), True
    shown = ", ".join(map(_short, first[:10])) + (f" and {len(first) - 10} more" if len(first) > 10 else "")
    if header is None and all(is_missing(cell) or Numbers(";")(cell) is not None for cell in first):
        raise TableError(
            f"{name}: no column is called {target!r}, since the first line ({shown}) has numbers instead of names; "
            f"give the column's number, 1 to {len(first)}"
        )
    by_case = {} if _hint_of_spaces(first) else {cell.casefold(): cell for cell in reversed(first)}
    close = difflib.get_close_matches(target.casefold(), by_case, 1)
    hint = f"; did you mean {_short(by_case[close[0]])}?" if close else _hint_of_spaces(first)
    raise TableError(f"{name}: no column is called {target!r}; the first line has {shown}{hint}")


def _hint_of_spaces(first: list[str]) -> str:
    """A question for whoever made a table whose first line is a single cell of several words."""
    is_spaced = len(first) == 1 and " " in first[0]
    return "; are its cells separated by spaces? Put commas between them" if is_spaced else ""


def _named(cells: list[str]) -> list[str]:
    """The names in a header; a column without one is called by its number."""
    return [cell or f"column {j}" for j, cell in enumerate(cells, 1)]


def _refuse_twins(columns: list[str], name: str) -> None:
    places: dict[str, int] = {}
    for j, column in enumerate(columns, 1):
        if column in places:
            raise TableError(f"{name}: columns {places[column]} and {j} are both called {_short(column)}; rename one of them")
        places[column] = j


class _Body:
    """The rows below the first one, which waits until it is known whether it is a header."""

    def __init__(
        self, name: str, first: list[str], first_line: int, target: int | None, features: list[int], read: Numbers
    ) -> None:
        self.name, self.first, self.first_line = name, first, first_line
        self.target, self.features, self.read = target, features, read
        self.X: list[list[float]] = []
        self.labels: list[str] | None = None if target is None else []
        self.row_numbers: list[int] = []
        self.bad = [0] * len(first)  # cells of each column that are no numbers
        self.bad_cells: list[tuple[int, int, str]] = []  # line, column and text of the first few
        self.texts: dict[int, str] = {}  # one of each column that is no number and not missing

    def add(self, line: int, cells: list[str]) -> None:
        """One more row."""
        if len(cells) != len(self.first):
            counts = f"{_counted(len(cells), 'cell')} and line {self.first_line} has {len(self.first)}"
            raise TableError(f"{self.name}: line {line} has {counts}; every line needs the same number")
        if self.labels is not None and self.target is not None:
            label = cells[self.target]
            self.labels.append(intern(label))
            if is_missing(label):
                self._note(line, self.target, label)
        row = [self.read(cells[j]) for j in self.features]
        if None in row:
            for j, number in zip(self.features, row, strict=True):
                if number is None:
                    self._note(line, j, cells[j])
        self.X.append(row)  # type: ignore[arg-type]  # with a None in it, `check` raises
        self.row_numbers.append(line)

    def add_first(self) -> None:
        """The first line, which turned out to be a row like the others."""
        later, self.bad_cells = self.bad_cells, []
        self.add(self.first_line, self.first)
        self.bad_cells = (self.bad_cells + later)[:SHOWN]
        self.X.insert(0, self.X.pop())
        self.row_numbers.insert(0, self.row_numbers.pop())
        if self.labels is not None:
            self.labels.insert(0, self.labels.pop())

    def _note(self, line: int, column: int, text: str) -> None:
        self.bad[column] += 1
        if column not in self.texts and not is_missing(text):
            self.texts[column] = text
        if len(self.bad_cells) < SHOWN:
            self.bad_cells.append((line, column, text))

    def looks_like_header(self) -> bool:
        """Whether the first line has text above a column of numbers, and none of its own."""
        n, read = len(self.row_numbers), Numbers(self.read.delimiter)
        numeric = [j for j in self.features if 2 * self.bad[j] < n or not n]
        if self.labels and all(read(label) is not None for label in {*self.labels}):
            numeric.append(self.target or 0)
        numbers = [j for j in numeric if read(self.first[j]) is not None]
        texts = [j for j in numeric if j not in numbers and not is_missing(self.first[j])]
        if texts and numbers:
            raise TableError(
                f"{self.name}: line {self.first_line} may be a header or a row, for {_short(self.first[texts[0]])} "
                f"is text above numbers and {self.first[numbers[0]]!r} is a number; correct it, or say if there is a header"
            )
        return bool(texts)

    def check(self, columns: list[str]) -> None:
        """Raises the sentence about the cells that are no numbers, if there are any."""
        n = len(self.row_numbers)
        for j in self.features:
            if self.bad[j] == n > 1:
                what = f"holds text such as {_short(self.texts[j])}" if j in self.texts else "is empty"
                option = columns[j] if columns[j].isidentifier() and len(columns[j]) <= 30 else f"{j + 1}"
                raise TextColumnError(f"{self.name}: column {_short(columns[j])} {what}, and numbers are needed", option)
        if total := sum(self.bad):
            cells = [f"line {line}, column {_short(columns[j])}: {_short(text)}" for line, j, text in self.bad_cells]
            more = f"; and {total - len(cells)} more" if total > len(cells) else ""
            raise TableError(f"{self.name}: {_counted(total, 'cell')} missing or no number: {'; '.join(cells)}{more}")
        if doubt := self.read.doubt():
            raise TableError(f"{self.name}: {doubt}")


def _short(text: str) -> str:
    return "empty" if not text else repr(text if len(text) <= 30 else text[:27] + "...")


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


# --- classes


def class_names(labels: Sequence[str]) -> list[str]:
    """The different labels: numbers first, in the order of their values, then texts in the order of the alphabet.

    >>> class_names(["10", "9", "b", "a", "9"])
    ['9', '10', 'a', 'b']
    """
    read = Numbers(",")
    numbers = {label: number for label in {*labels} if (number := read(label)) is not None}
    return sorted(numbers, key=lambda label: (numbers[label], label)) + sorted({*labels} - {*numbers})


def classes_of(table: Table) -> list[str]:
    """The names of the classes of a table, in the order of `class_names`.

    Raises a TableError if there is a single class, if they are so many (more than half as many as rows) that these are no
    classes, and for numbers that are not whole of which some is there once: a measurement.
    """
    if table.labels is None:
        raise TableError(f"{table.path}: the table was read without a target, and so has no classes")
    names, n = class_names(table.labels), len(table.labels)
    if len(names) == 1:
        raise TableError(
            f"{table.path}: every row has the class {names[0]!r} in column {table.target!r}; there is nothing to tell apart"
        )
    read = Numbers(table.delimiter)
    numbers = [number for label in names if (number := read(label)) is not None]
    is_fine = not all(map(float.is_integer, numbers)) and 1 in Counter(table.labels).values()
    if 2 * len(names) > n or (is_fine and len(numbers) == len(names)):
        kind = "a measured number" if len(numbers) == len(names) else "a name for each row"
        raise TableError(
            f"{table.path}: column {table.target!r} has {len(names)} different entries in {n} rows and looks like {kind}; "
            "train tells classes apart"
        )
    return names


# --- scales


def standardise(X: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """The mean and the standard deviation (of the population) of every column; a constant column has the scale 1.

    >>> standardise([[1.0, 5.0], [3.0, 5.0]])
    ([2.0, 5.0], [1.0, 1.0])
    """
    if not X:
        raise TableError("standardise: there are no rows")
    scales = [_mean_and_scale(column, j) for j, column in enumerate(zip(*X, strict=True), 1)]
    return [mean for mean, _ in scales], [scale for _, scale in scales]


def _mean_and_scale(column: Sequence[float], number: int) -> tuple[float, float]:
    low, high, n = min(column), max(column), len(column)
    if low == high:  # rounding must not make a constant vary
        return low, 1.0
    try:
        mean = fsum(column) / n
    except OverflowError:
        mean = fsum(x / n for x in column)
    reach = max(high - mean, mean - low)  # taken out, so that no square is 0 or infinite
    if not isfinite(reach):
        raise TableError(
            f"standardise: column {number} goes from {low:g} to {high:g}, which is more than floats can tell apart"
        )
    return mean, (reach * sqrt(fsum(((x - mean) / reach) ** 2 for x in column) / n)) or reach


def apply(X: Sequence[Sequence[float]], means: Sequence[float], scales: Sequence[float]) -> list[list[float]]:
    """The rows with `means` taken off and divided by `scales`, as `standardise` gives them.

    >>> apply([[1.0, 5.0], [3.0, 5.0]], [2.0, 5.0], [1.0, 1.0])
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    for row in X:
        if len(row) != len(means):
            raise TableError(f"apply: a row of {_counted(len(row), 'number')}, and there are means for {len(means)}")
    return [[(x - m) / s for x, m, s in zip(row, means, scales, strict=True)] for row in X]
