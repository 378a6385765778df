"""The text of a person's file as rows of cells, and cells as numbers: encodings, delimiters, quotes and decimal commas."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import TextIOWrapper
from itertools import chain, islice
from math import isfinite

DELIMITERS = ",;\t|"
SAMPLE = 200  # lines from which the delimiter is told
LONGEST = 10_000_000  # characters of a line
MISSING = {"", "?", "NA", "N/A", "na", "n/a", "NULL", "null", "#N/A"}
NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a zip archive; save the sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
    b"\x89PNG": "a PNG picture, and no table",
    b"\xff\xd8\xff": "a JPEG picture, and no table",
    b"%PDF": "a PDF, and no table",
    b"\xff\xfe": "text in UTF-16; save it as CSV (UTF-8)",
    b"\xfe\xff": "text in UTF-16; save it as CSV (UTF-8)",
}


Row = tuple[int, list[str]]  # the line in which it begins, and its cells


class TableError(ValueError):
    """What is wrong with a table, in a sentence for the person who made it."""


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[str, TextIOWrapper]]:
    """The name of a file for messages, and its text; what goes wrong with the file becomes a sentence."""
    name = os.path.basename(os.fspath(path)) or str(path)
    try:
        with open(path, "rb") as file, TextIOWrapper(file, "utf-8-sig", newline="") as stream:
            _refuse_other_formats(file.peek(64), name)
            yield name, stream
    except UnicodeDecodeError:
        raise TableError(f"{name}: {_where_not_utf8(path)} is not UTF-8 text; save the file as CSV (UTF-8)") from None
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise TableError(f"{path}: {'it is a folder' if isinstance(error, IsADirectoryError) else reason}") from None


def _refuse_other_formats(head: bytes, name: str) -> None:
    for start, what in NOT_TEXT.items():
        if head.startswith(start):
            raise TableError(f"{name} is {what}")


def _where_not_utf8(path: str | os.PathLike[str]) -> str:
    """The first line that does not decode, as a person counts. (A pipe cannot be read again.)"""
    if not os.path.isfile(path):
        return "the text"
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as lines:
        return next(f"line {number}" for number, line in enumerate(lines, 1) if re.search("[\udc80-\udcff]", line))


# --- lines into cells


def _checked(stream: TextIOWrapper, name: str) -> Iterator[str]:
    """The lines of a text, which must be text and must have lines, or one that never ends would fill the memory."""
    for number, line in enumerate(iter(partial(stream.readline, LONGEST), ""), 1):
        if len(line) == LONGEST:
            raise TableError(f"{name}: line {number} has {LONGEST} characters or more; this is no table")
        if "\0" in line:
            raise TableError(f"{name}: line {number} holds a zero byte, so this is no text; save the table as CSV (UTF-8)")
        yield line


def _rows(lines: Iterator[str], delimiter: str, name: str) -> Iterator[Row]:
    """The line in which a row begins, and its cells without the spaces about them; blank lines are left out."""
    exhausted = []

    def watched() -> Iterator[str]:
        yield from lines
        exhausted.append(True)

    reader = csv.reader(watched(), delimiter=delimiter, skipinitialspace=True)
    begin = 1
    try:
        for cells in reader:
            if exhausted:  # the reader went on beyond the end, in search of the other quote
                raise TableError(f"{name}: the quoted cell that begins in line {begin} has no end; close it with another quote")
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield begin, stripped
            begin = reader.line_num + 1
    except csv.Error as error:
        raise TableError(f"{name}: line {begin} is no CSV ({error}); is there a quote without its partner?") from None


def rows_of(stream: TextIOWrapper, target: str | int | None, name: str) -> tuple[str, Iterator[Row]]:
    """The delimiter of a file, and its rows, of which there is at least one."""
    lines = _checked(stream, name)
    sample = [*islice(lines, SAMPLE)]
    delimiter = _delimiter(sample, target)
    rows = _rows(chain(sample, lines), delimiter, name)
    first = next(rows, None)
    if first is None:
        raise TableError(f"{name} is empty")
    return delimiter, chain([first], rows)


def _delimiter(sample: list[str], target: str | int | None) -> str:
    """The delimiter under which the lines are most alike in length and hold most numbers (and the name of the target)."""
    is_name = isinstance(target, str) and not target.isdecimal()

    def fitness(delimiter: str) -> tuple[bool, float]:
        rows: list[list[str]] = []
        with suppress(TableError):  # the sample may end within a quoted cell
            rows.extend(cells for _, cells in _rows(iter(sample), delimiter, ""))
        if not rows or len(rows[0]) == 1:
            return False, 0.0
        alike = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
        read = Numbers(delimiter)
        numbers = [read(cell) is not None for row in rows for cell in row]
        return is_name and target in rows[0], alike + sum(numbers) / len(numbers)

    return max(DELIMITERS, key=fitness)


# --- cells into numbers


class Numbers:
    """Reads the numbers of one file, and notices where its decimal points and commas are in doubt.

    >>> read = Numbers(";")
    >>> read("3,5"), read("1e3"), read("n/a"), read("1e999")
    (3.5, 1000.0, None, None)
    """

    def __init__(self, delimiter: str) -> None:
        self.delimiter, self.may_have_commas = delimiter, delimiter != ","
        self.with_point = self.with_comma = ""  # the first of each
        self.is_decimal = False  # whether some comma cannot be between thousands

    def __call__(self, text: str) -> float | None:
        try:
            number = float(text)
        except ValueError:
            if not (self.may_have_commas and re.fullmatch(r"[+-]?\d+,\d+([eE][+-]?\d+)?", text)):
                return None
            number = float(text.replace(",", "."))
            self.with_comma = self.with_comma or text
            self.is_decimal |= not re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text)
        else:
            if self.may_have_commas and not self.with_point and "." in text:
                self.with_point = text
        return number if isfinite(number) and "_" not in text else None  # Python alone reads 1_000

    def doubt(self) -> str | None:
        """What is wrong with the commas of the file, if anything."""
        if self.with_comma and self.with_point:
            return f"{self.with_comma!r} has a decimal comma and {self.with_point!r} a decimal point; use one of the two"
        if self.with_comma and not self.is_decimal:
            plain = self.with_comma.replace(",", "")
            return f"{self.with_comma!r} may be {self.with_comma.replace(',', '.')} or {plain}; write it with a decimal point"
        return None


def is_missing(text: str) -> bool:
    """Whether a cell is empty or has one of the usual marks for what was not measured."""
    return text in MISSING or text.lower().lstrip("+-") in {"nan", "inf", "infinity"}
