"""Reading a person's table: what is understood, and the sentence for everything that is not."""

import csv
import math
import os
import re
import struct
from contextlib import contextmanager
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinygrad_sm.cli import cells
from tinygrad_sm.cli.cells import DELIMITERS, TableError
from tinygrad_sm.cli.table import TextColumnError, apply, class_names, classes_of, first_row, read_table, standardise


@pytest.fixture
def save(tmp_path):
    """Writes a file of text (or bytes) and gives its path."""

    def write(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def table_of(save, content, target=None, header=None):
    """Columns, numbers and labels."""
    table = read_table(save(content), target, header=header)
    assert len(table.X) == len(table.row_numbers) and {len(row) for row in table.X} == {len(table.columns)}
    return table.columns, table.X, table.labels


# --- what is understood

FLOWERS = (["a", "b"], [[1.0, 2.5], [3.0, 4.0]], ["x", "y"])
UNDERSTOOD = {
    "commas": ("a,b,k\n1,2.5,x\n3,4,y\n", "k", FLOWERS),
    "semicolons": ("a;b;k\n1;2.5;x\n3;4;y\n", "k", FLOWERS),
    "tabs": ("a\tb\tk\n1\t2.5\tx\n3\t4\ty\n", "k", FLOWERS),
    "bars": ("a|b|k\n1|2.5|x\n3|4|y\n", "k", FLOWERS),
    "decimal commas": ("a;b;k\n1;2,5;x\n3;4;y\n", "k", FLOWERS),
    "decimal commas and tabs": ("a\tb\tk\n1\t2,5\tx\n3\t4\ty\n", "k", FLOWERS),
    "decimal commas, one with three digits": ("a;k\n1,250;x\n2,5;y\n", "k", (["a"], [[1.25], [2.5]], ["x", "y"])),
    "decimal commas, the last with three digits": ("a;k\n2,5;x\n1,250;y\n", "k", (["a"], [[2.5], [1.25]], ["x", "y"])),
    "a decimal comma that cannot be between thousands": (
        "a;k\n0,250;x\n-0,125;y\n",
        "k",
        (["a"], [[0.25], [-0.125]], ["x", "y"]),
    ),
    "decimal points beside a text with comma": ("a;k\n1.5;x,y\n2;y\n", "k", (["a"], [[1.5], [2.0]], ["x,y", "y"])),
    "labels like 1,5 and points in the numbers": ("a;k\n1.5;1,5\n2;2,5\n", 2, (["a"], [[1.5], [2.0]], ["1,5", "2,5"])),
    "CRLF": ("a,b,k\r\n1,2.5,x\r\n3,4,y\r\n", "k", FLOWERS),
    "CR alone, from old spreadsheets": ("a,b,k\r1,2.5,x\r3,4,y\r", "k", FLOWERS),
    "no line end at the end": ("a,b,k\n1,2.5,x\n3,4,y", "k", FLOWERS),
    "byte order mark": ("\ufeffa,b,k\n1,2.5,x\n3,4,y\n", "k", FLOWERS),
    "byte order mark at a target": ("\ufeffk,a,b\nx,1,2.5\ny,3,4\n", "k", FLOWERS),
    "spaces": (" a , b , k \n 1 ,\t2.5 , x \n3, 4 ,y\n", " k ", FLOWERS),
    "quotes": ('"a","b","k"\n"1","2.5","x"\n"3",4,y\n', "k", FLOWERS),
    "quotes between spaces": ('"a" , "b" , "k"\n1 , "2.5" , "x"\n3 , 4 , "y" \n', "k", FLOWERS),
    "blank lines": ("\n\na,b,k\n\n1,2.5,x\n   \n,,\n3,4,y\n\n", "k", FLOWERS),
    "target in front": ("k,a,b\nx,1,2.5\ny,3,4\n", "k", FLOWERS),
    "target in the middle": ("a,k,b\n1,x,2.5\n3,y,4\n", "k", FLOWERS),
    "target by number": ("a,k,b\n1,x,2.5\n3,y,4\n", 2, FLOWERS),
    "target by number as text": ("a,k,b\n1,x,2.5\n3,y,4\n", "2", FLOWERS),
    "no header": ("1,2.5,x\n3,4,y\n", 3, (["column 1", "column 2"], *FLOWERS[1:])),
    "no header, a blank line first": ("\n1,2.5,x\n3,4,y\n", "3", (["column 1", "column 2"], *FLOWERS[1:])),
    "no target": ("a,b\n1,2.5\n3,4\n", None, (*FLOWERS[:2], None)),
    "no target and no header": ("1,2.5\n3,4\n", None, (["column 1", "column 2"], FLOWERS[1], None)),
    "a single column": ("a\n1\n3\n", None, (["a"], [[1.0], [3.0]], None)),
    "a single row": ("a,b,k\n1,2.5,x\n", "k", (["a", "b"], [[1.0, 2.5]], ["x"])),
    "a single row without header": ("1,2.5,x\n", 3, (["column 1", "column 2"], [[1.0, 2.5]], ["x"])),
    "a header above the classes alone": (
        "1,2,digit\n3,4,0\n5,6,1\n",
        "digit",
        (["1", "2"], [[3.0, 4.0], [5.0, 6.0]], ["0", "1"]),
    ),
    "labels that are numbers": ("a,k\n1,0\n2,1\n", "k", (["a"], [[1.0], [2.0]], ["0", "1"])),
    "labels that are numbers, by number": ("a,k\n1,0\n2,1\n", 2, (["a"], [[1.0], [2.0]], ["0", "1"])),
    "labels as they are written": (
        "a,k\n1,01\n2,1.0\n3,1e999\n4,None\n5,Na\n",
        "k",
        (["a"], [[1.0], [2.0], [3.0], [4.0], [5.0]], ["01", "1.0", "1e999", "None", "Na"]),
    ),
    "labels with commas, quotes and lines": ('a,k\n1,"x, ""y"""\n2,"x\ny"\n', "k", (["a"], [[1.0], [2.0]], ['x, "y"', "x\ny"])),
    "labels with the lines of another system": ('a,k\r\n1,"x\r\ny"\r\n2,z\r\n', "k", (["a"], [[1.0], [2.0]], ["x\r\ny", "z"])),
    "a delimiter told by the target": ("x,y;k\n1,5;u\n2,5;w\n", "k", (["x,y"], [[1.5], [2.5]], ["u", "w"])),
    "a delimiter told by the lengths": ("7;a,2,3,4\n8;b\n", 2, (["column 1"], [[7.0], [8.0]], ["a,2,3,4", "b"])),
    "a delimiter told by the numbers": ("1,5;2\n3,5;4\n", None, (["column 1", "column 2"], [[1.5, 2.0], [3.5, 4.0]], None)),
    "labels of which some are numbers": ("2,x\n3,1\n4,b\n", 2, (["column 1"], [[2.0], [3.0], [4.0]], ["x", "1", "b"])),
    "a column without a name": (",a,k\n0,1,x\n1,2,y\n", "k", (["column 1", "a"], [[0.0, 1.0], [1.0, 2.0]], ["x", "y"])),
    "a column without a name, target by number": (
        ",a,k\n0,1,x\n1,2,y\n",
        3,
        (["column 1", "a"], [[0.0, 1.0], [1.0, 2.0]], ["x", "y"]),
    ),
    "elements as names": ("Na,Inf,k\n1,2.5,x\n3,4,y\n", "k", (["Na", "Inf"], *FLOWERS[1:])),
    "all ways to write a number": (
        "a,k\n+1,x\n-.5,x\n1e3,x\n2E-3,y\n007,y\n1.,y\n",
        "k",
        (["a"], [[1.0], [-0.5], [1000.0], [0.002], [7.0], [1.0]], ["x"] * 3 + ["y"] * 3),
    ),
    "names from all over": ("größe,温度,класс\n1,2.5,x\n3,4,y\n", "класс", (["größe", "温度"], *FLOWERS[1:])),
    "a number for a target that is the name of the same column": (
        "1,2\n5,x\n6,y\n",
        "2",
        (["column 1"], [[1.0], [5.0], [6.0]], ["2", "x", "y"]),
    ),
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_understood(save, name):
    content, target, wanted = UNDERSTOOD[name]
    assert table_of(save, content, target) == wanted


def test_header_decides(save):
    numbers = "1,2\n3,4\n5,6\n"
    assert table_of(save, numbers, header=True) == (["1", "2"], [[3.0, 4.0], [5.0, 6.0]], None)
    assert table_of(save, numbers, 2, header=True) == (["1"], [[3.0], [5.0]], ["4", "6"])
    assert table_of(save, "a,b\n1,x\n2,y\n", 2, header=True) == (["a"], [[1.0], [2.0]], ["x", "y"])
    assert table_of(save, "1,b\n1,x\n2,y\n", 2, header=False) == (["column 1"], [[1.0], [1.0], [2.0]], ["b", "x", "y"])
    with pytest.raises(TableError, match=re.escape("line 1, column 'column 1': 'a'")):
        table_of(save, "a,b\n1,x\n2,y\n", 2, header=False)


def test_how_the_file_was_understood(save):
    tables = [read_table(save(content), 2) for content in ("a;k\n1;x\n2;y\n", "1|x\n2|y\n", "a\tk\n1\tx\n", "1,x\n2,y\n")]
    assert [(table.has_header, table.delimiter) for table in tables] == [(True, ";"), (False, "|"), (True, "\t"), (False, ",")]


def test_ignored_columns_are_not_read(save):
    content = "city,a,,k\nRome,1,?,x\nOslo,2,,y\n"
    table = read_table(save(content), "k", ignore=["city", "column 3"])
    assert (table.columns, table.X, table.labels, table.has_header) == (["a"], [[1.0], [2.0]], ["x", "y"], True)
    assert table.ignored == ["city", "column 3"]
    table = read_table(save("1,2\n3,4\n"), ignore=["2"])
    assert (table.columns, table.X, table.ignored) == (["column 1"], [[1.0], [3.0]], ["column 2"])
    table = read_table(save("1,2\n3,4\n"), ignore=[2], header=True)
    assert (table.columns, table.X, table.ignored) == (["1"], [[3.0]], ["2"])
    with pytest.raises(TableError, match="column 'a' holds text such as 'z'"):
        read_table(save("a,b,k\nz,1,x\nz,2,y\n"), "k", ignore=["b"])
    with pytest.raises(TableError, match=r"has no columns to learn from, 4 columns with the target in all, 3 ignored$"):
        read_table(save(content), "k", ignore=["city", "a", "column 3"])


TOWNS = "7,Rome,1,x\n8,Oslo,2,y\n9,Bern,3,y\n"


@pytest.mark.parametrize(
    ("head", "target", "ignore", "columns"),
    [
        ("id,city,a,k\n", "k", ["id", "city"], ["a"]),
        ("id,city,a,k\n", "k", ["2", 1, "1"], ["a"]),
        ("id,city,a,k\n", 4, ["city"], ["id", "a"]),
        ("id,city,a,k\n", "4", [2], ["id", "a"]),  # the line of names is told from the columns that stay
        ("id,city,2020,k\n", 4, ["id", "city"], ["2020"]),  # or from the names that are ignored
        ("", 4, ["2"], ["column 1", "column 3"]),
        ("", 4, ["2", "1"], ["column 3"]),
    ],
)
def test_columns_are_ignored_by_name_or_number(save, head, target, ignore, columns):
    table = read_table(save(head + TOWNS), target, ignore=ignore)
    numbers = {"id": [7, 8, 9], "a": [1, 2, 3], "2020": [1, 2, 3], "column 1": [7, 8, 9], "column 3": [1, 2, 3]}
    assert (table.columns, table.labels, table.has_header) == (columns, ["x", "y", "y"], bool(head))
    assert [*map(list, zip(*table.X, strict=True))] == [numbers[name] for name in columns]


@pytest.mark.parametrize(
    ("content", "target", "ignore", "words"),
    [
        (
            "id,city,a,k\n" + TOWNS,
            "k",
            "cty",
            "no column is called 'cty'; the first line has 'id', 'city', 'a', 'k'; did you mean",
        ),
        ("id,city,a,k\n" + TOWNS, "k", "5", "--ignore 5 is no column; their numbers go from 1 to 4"),
        ("id,city,a,k\n" + TOWNS, "k", 0, "--ignore 0 is no column"),
        ("id,city,a,k\n" + TOWNS, "k", "k", "--ignore k is the target"),
        ("id,city,a,k\n" + TOWNS, 4, "4", "--ignore 4 is the target"),
        ("1,3,2,k\n5,4,7,a\n7,6,8,b\n", "k", "3", "--ignore 3 is the name of one column and the number of another"),
        ("1,2,3\n4,5,6\n", 3, "id", "no column is called 'id', since the first line ('1', '2', '3') has numbers"),
    ],
)
def test_columns_that_cannot_be_ignored(save, content, target, ignore, words):
    with pytest.raises(TableError, match=re.escape(words)):
        read_table(save(content), target, ignore=[ignore])


SPACES = "; are its cells separated by spaces? Put commas between them"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("kind", "no column is called 'kind'; the first line has 'length kind'" + SPACES),
        ("length kin", "the first line has 'length kind'" + SPACES),
        ("2", "target 2 is no column; their numbers go from 1 to 1" + SPACES),
        ("1", "no columns to learn from, 1 column with the target in all" + SPACES),
    ],
)
def test_spaces_are_no_delimiter_and_it_is_said(save, target, words):
    with pytest.raises(TableError, match=re.escape(words) + "$"):
        read_table(save("length kind\n1.5 x\n2 y\n"), target)
    with pytest.raises(TableError) as caught:
        read_table(save("length of it,kind\n1.5,x\n2,y\n"), "zzz")
    assert "spaces" not in str(caught.value)


@pytest.mark.parametrize(
    ("head", "option"),
    [("city", "city"), ("größe", "größe"), ("the city", "2"), ("a-b", "2"), ("1990", "2"), ("", "2"), ("x" * 31, "2")],
)
def test_a_column_of_texts_says_what_the_option_takes(save, head, option):
    content = f"a,{head},k\n1,Rome,x\n2,Oslo,y\n"
    with pytest.raises(TextColumnError, match=r"and numbers are needed$") as caught:
        read_table(save(content), "k")
    assert caught.value.option == option
    assert read_table(save(content), "k", ignore=[option]).X == [[1.0], [2.0]]


def test_a_target_without_a_name(save):
    assert table_of(save, ",a\nx,1\ny,2\n", "column 1", header=True) == (["a"], [[1.0], [2.0]], ["x", "y"])
    with pytest.raises(TableError, match="no column is called 'column 1'"):
        read_table(save(",1\nx,2\ny,3\n"), "column 1")


def test_the_first_row(save):
    assert first_row(save("\n a ;;k\n1;2;3\n")) == ["a", "column 2", "k"]
    assert first_row(save('1,"2, 3"')) == ["1", "2, 3"]
    for content, words in ((b"", "t.csv is empty"), (PNG, "t.csv is a PNG picture"), (b"\xe9,1\n", "line 1 is not UTF-8")):
        with pytest.raises(TableError, match=words):
            first_row(save(content))


def test_lines_are_counted_as_a_person_counts(save):
    content = 'a,k\n\n1,"x\ny"\n2,z\n\n\n3,w\n'
    table = read_table(save(content), "k")
    assert table.row_numbers == [3, 5, 8]
    assert table.target == "k" and table.path.endswith("t.csv")
    assert read_table(save("\n1,2\n3,4\n")).row_numbers == [2, 3]


@contextmanager
def pipe_with(content):
    """The path of a pipe from which `content` can be read, once."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


def test_a_pipe_is_read_once():
    with pipe_with(b"a,k\n1,x\n2,y\n") as path:
        assert read_table(path, "k").X == [[1.0], [2.0]]
    with pipe_with(b"a,k\n1,\xe9\n") as path, pytest.raises(TableError, match="the text is not UTF-8 text"):
        read_table(path, "k")


def test_a_delimiter_that_changes_beyond_the_sample_is_no_matter(save):
    rows = "".join(f"{i},{i % 7}.5,{'xy'[i % 2]}\n" for i in range(3000))
    columns, X, labels = table_of(save, "a,b,k\n" + rows, "k")
    assert (columns, len(X), X[-1], labels[-1]) == (["a", "b"], 3000, [2999.0, 3.5], "y")


def test_the_sample_may_end_within_a_quoted_cell(save):
    content = "a;b;k\n" + "1;2;x\n" * 190 + '3;4;"' + "line\n" * 50 + '"\n'
    _, X, labels = table_of(save, content, "k")
    assert len(X) == 191 and labels[-1].count("line") == 50


# --- what is not, and the words of the sentence

GOOD = "a,b,k\n1,2,x\n3,4,y\n"
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bytes(13)
REFUSED = {
    "empty": ("", None, "t.csv is empty"),
    "blank": ("\n  \n,,\n", None, "t.csv is empty"),
    "a byte order mark alone": ("\ufeff", None, "t.csv is empty"),
    "header only": ("a,b,k\n", "k", "has a header and no rows below it"),
    "header only, no target": ("a,b\n\n", None, "has a header and no rows below it"),
    "header only, by number": ("a,b,k\n", 3, "has a header and no rows below it"),
    "latin-1": (
        GOOD.encode() + "5,6,é\n".encode("latin-1"),
        "k",
        "t.csv: line 4 is not UTF-8 text; save the file as CSV (UTF-8)",
    ),
    "latin-1 in the header": ("größe,k\n1,x\n".encode("latin-1"), "k", "t.csv: line 1 is not UTF-8 text"),
    "latin-1 with CR alone": ("a,k\r1,x\r2,é\r".encode("latin-1"), "k", "t.csv: line 3 is not UTF-8 text"),
    "utf-16": (GOOD.encode("utf-16"), "k", "t.csv is text in UTF-16"),
    "utf-16 without a mark": (GOOD.encode("utf-16-le"), "k", "line 1 holds a zero byte"),
    "a picture": (PNG, None, "t.csv is a PNG picture"),
    "a workbook": (b"PK\x03\x04" + bytes(50), None, "t.csv is an Excel workbook"),
    "gzip": (b"\x1f\x8b\x08" + bytes(50), None, "t.csv is compressed by gzip"),
    "bytes": (bytes(range(256)), None, "t.csv: line 3 is not UTF-8 text"),
    "a zero byte": ("a,k\n1,x\n2,\0y\n", "k", "line 3 holds a zero byte"),
    "a zero byte far down": ("a,k\n" + "1,x\n" * 5000 + "2,\0\n", "k", "line 5002 holds a zero byte"),
    "short line": ("a,b,k\n1,2,x\n3,y\n", "k", "line 3 has 2 cells and line 1 has 3"),
    "long line": ("a,b,k\n1,2,x\n\n3,4,5,y\n", "k", "line 4 has 4 cells and line 1 has 3"),
    "one cell": ("a,b,k\n1,2,x\n3\n", "k", "line 3 has 1 cell and line 1 has 3"),
    "decimal commas among commas": ("a,k\n1,5,x\n2,5,y\n", "k", "line 2 has 3 cells and line 1 has 2"),
    "a quote left open": ('a,k\n1,"x\n2,y\n3,z\n', "k", "the quoted cell that begins in line 2 has no end"),
    "a quote left open for long": (
        'a,k\n1,"x\n' + "2,y\n" * 50_000,
        "k",
        "line 2 is no CSV (field larger than field limit (131072))",
    ),
    "a huge cell": ("a,k\n1," + "x" * 200_000 + "\n", "k", "line 2 is no CSV (field larger than field limit"),
    "a name twice": ("a,b,a,k\n1,2,3,x\n4,5,6,y\n", "k", "columns 1 and 3 are both called 'a'"),
    "the target twice": ("a,k,k\n1,x,x\n2,y,y\n", "k", "columns 2 and 3 are both called 'k'"),
    "a name twice, no target": ("a,a\n1,2\n3,4\n", None, "columns 1 and 2 are both called 'a'"),
    "unknown target": (GOOD, "kk", "no column is called 'kk'; the first line has 'a', 'b', 'k'; did you mean 'k'?"),
    "target in other case": ("a,Species\n1,x\n2,y\n", "SPECIES", "did you mean 'Species'?"),
    "target like nothing": (GOOD, "zzz", "the first line has 'a', 'b', 'k'"),
    "target among many": (",".join(f"c{j}" for j in range(99)) + "\n", "zz", "'c9' and 89 more"),
    "a target, and text of any kind": ("<html>" + "x" * 400 + "\n", "k", "the first line has '<html>"),
    "target by name, no header": (
        "1,2\n3,4\n",
        "k",
        "the first line ('1', '2') has numbers instead of names; give the column's number, 1 to 2",
    ),
    "target 0": (GOOD, 0, "target 0 is no column; their numbers go from 1 to 3"),
    "target 4": (GOOD, "4", "target 4 is no column; their numbers go from 1 to 3"),
    "target -1": (GOOD, -1, "target -1 is no column"),
    "target True": (GOOD, True, "target True is no column"),
    "target is nothing": (GOOD, "", "no column is called ''"),
    "years as names": (
        "k,3,2,x\na,4,5,1\nb,6,7,1\n",
        "3",
        "may be a header or a row, for 'x' is text above numbers and '3' is a number",
    ),
    "a typo in the first row": (
        "1,2.x,a\n3,4,b\n5,6,c\n",
        3,
        "line 1 may be a header or a row, for '2.x' is text above numbers and '1' is a number",
    ),
    "a name above the classes alone, by number": ("1,k\n3,0\n5,1\n", 2, "for 'k' is text above numbers and '1' is a number"),
    "a bad cell in the only row": ("a,b,k\n1,z,x\n", "k", "1 cell missing or no number: line 2, column 'b': 'z'"),
    "no features": ("k\nx\ny\n", "k", "t.csv has no columns to learn from, 1 column with the target in all"),
    "a delimiter that nobody knows": ("a:b:k\n1:2:x\n", "a:b:k", "has no columns to learn from"),
    "empty cell": ("a,b,k\n1,,x\n3,4,y\n", "k", "t.csv: 1 cell missing or no number: line 2, column 'b': empty"),
    "question mark": ("a,b,k\n1,2,x\n?,4,y\n", "k", "1 cell missing or no number: line 3, column 'a': '?'"),
    "nan": ("a,b,k\n1,2,x\n3,nan,y\n", "k", "line 3, column 'b': 'nan'"),
    "-inf": ("a,b,k\n1,2,x\n3,-inf,y\n", "k", "line 3, column 'b': '-inf'"),
    "NA": ("a,b,k\n1,2,x\n3,NA,y\n", "k", "line 3, column 'b': 'NA'"),
    "beyond floats": ("a,b,k\n1,2,x\n3,1e999,y\n", "k", "line 3, column 'b': '1e999'"),
    "underscores": ("a,b,k\n1,2,x\n3,1_000,y\n", "k", "line 3, column 'b': '1_000'"),
    "a long text": ("a,b,k\n1,2,x\n3," + "z" * 99 + ",y\n", "k", "column 'b': '" + "z" * 27 + "...'"),
    "thousands among commas": ('a,k\n"1,234",x\n2,y\n3,z\n', "k", "line 2, column 'a': '1,234'"),
    "missing class": ("a,k\n1,x\n2,\n", "k", "line 3, column 'k': empty"),
    "missing class, NA": ("a,k\n1,x\n2,NA\n", "k", "line 3, column 'k': 'NA'"),
    "missing class, nan": ("a,k\n1,x\n2,NaN\n", "k", "line 3, column 'k': 'NaN'"),
    "missing in the first row": ("1,?,x\n3,4,y\n5,6,z\n", 3, "line 1, column 'column 2': '?'"),
    "missing in the first and a later row": (
        "1,?,x\n3,4,y\n,6,z\n",
        3,
        "2 cells missing or no number: line 1, column 'column 2': '?'; line 3, column 'column 1': empty",
    ),
    "many bad cells": (
        "a,b,k\n" + "1,?,x\n" * 9 + "1,2,y\n",
        "k",
        "9 cells missing or no number: " + "; ".join(f"line {i}, column 'b': '?'" for i in range(2, 7)) + "; and 4 more",
    ),
    "five bad cells": ("a,b,k\n" + "1,?,x\n" * 5 + "1,2,y\n", "k", "line 6, column 'b': '?'$"),
    "a header above columns with holes": (
        "a,b,k\n1,?,x\n?,2,y\n3,4,z\n",
        3,
        "2 cells missing or no number: line 2, column 'b': '?'; line 3, column 'a': '?'",
    ),
    "a column of texts": (
        "a,city,k\n1,Rome,x\n2,Oslo,y\n",
        "k",
        "column 'city' holds text such as 'Rome', and numbers are needed",
    ),
    "an empty column": ("a,b,k\n1,,x\n2,,y\n", "k", "column 'b' is empty, and numbers are needed"),
    "a delimiter at the end of each line": ("a,k,\n1,x,\n2,y,\n", "k", "column 'column 3' is empty"),
    "classes without a target": ("a,k\n1,x\n2,y\n", None, "column 'k' holds text such as 'x'"),
    "decimal point and comma": ("a;b;k\n1,5;2.5;x\n1;2;y\n", "k", "'1,5' has a decimal comma and '2.5' a decimal point"),
    "thousands or decimals": ("a;k\n1,234;x\n2;y\n", "k", "'1,234' may be 1.234 or 1234"),
    "German thousands": ("a;k\n1.234,5;x\n2;y\n3;z\n", "k", "line 2, column 'a': '1.234,5'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(save, name):
    content, target, words = REFUSED[name]
    with pytest.raises(TableError) as caught:
        read_table(save(content), target)
    message = str(caught.value)
    assert message.endswith(words[:-1]) if words.endswith("$") else words in message
    assert "\n" not in message and len(message) < 500 and message.count("t.csv") == 1


def test_a_number_that_is_also_a_name(save):
    content = "1,3,2\n5,4,a\n7,6,b\n"
    with pytest.raises(TableError, match="target 3 is the name of one column and the number of another"):
        read_table(save(content), "3", header=True)
    assert table_of(save, content, 3, header=True)[2] == ["a", "b"]
    with pytest.raises(TableError, match="without a header no column is called 'k'; give its number, 1 to 3"):
        read_table(save("a,b,k\n1,2,x\n"), "k", header=False)


def test_a_line_without_end(save, monkeypatch):
    monkeypatch.setattr(cells, "LONGEST", 1000)
    with pytest.raises(TableError, match=r"t\.csv: line 2 has 1000 characters or more"):
        read_table(save("a,b\n" + "1," * 600))
    columns = ",".join(f"c{j}" for j in range(100))
    assert len(columns) < 1000
    assert len(table_of(save, columns + "\n" + "1," * 99 + "2\n")[0]) == 100


def test_no_file(tmp_path):
    with pytest.raises(TableError, match=r"nothing\.csv: there is no such file"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(TableError, match="it is a folder"):
        read_table(tmp_path)
    with pytest.raises(TableError, match="name too long"):
        read_table("x" * 5000)


# --- whatever csv.writer writes

blank = st.characters(codec="utf-8", exclude_characters="\0\ufeff", exclude_categories=["Cs"])
texts = st.text(blank, min_size=1, max_size=8).map(str.strip).filter(bool)
labels = texts.filter(lambda text: text.lower() not in {"?", "na", "n/a", "null", "#n/a", "nan", "inf", "infinity"})
labels = labels.filter(lambda text: text.lstrip("+-").lower() not in {"nan", "inf", "infinity"})
names = texts.filter(lambda text: not any(d in text for d in DELIMITERS))
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9).map(float)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_table_that_was_written_reads_the_same(tmp_path_factory, data):
    draw = data.draw
    width = draw(st.integers(1, 4))
    columns = draw(st.lists(names, min_size=width + 1, max_size=width + 1, unique=True))
    rows = draw(st.lists(st.tuples(st.lists(numbers, min_size=width, max_size=width), labels), min_size=1, max_size=6))
    at = draw(st.integers(0, width))
    target = columns[at]
    assume(not target.isdecimal())
    path = tmp_path_factory.getbasetemp() / "round.csv"
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    with open(path, "w", encoding=draw(st.sampled_from(["utf-8", "utf-8-sig"])), newline="") as file:
        writer = csv.writer(file, delimiter=draw(st.sampled_from(DELIMITERS)), quoting=quoting)
        writer.writerow(columns)
        for numbers_of_row, label in rows:
            cells = [*map(repr, numbers_of_row)]
            writer.writerow([*cells[:at], label, *cells[at:]])
    table = read_table(path, target)
    assert table.columns == columns[:at] + columns[at + 1 :]
    assert repr(table.X) == repr([row for row, _ in rows])
    assert table.labels == [label for _, label in rows]
    assert table.target == target


@settings(max_examples=60, deadline=None)
@given(
    content=st.binary(max_size=200) | st.text("ab12.,;\t|\"'\n\r ?-", max_size=80).map(str.encode),
    target=st.sampled_from([None, "a", 1, "2"]),
)
def test_any_bytes_give_a_table_or_a_sentence(tmp_path_factory, content, target):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        table = read_table(path, target)
    except TableError as error:
        message = str(error)
    else:
        message = "any.csv"
        assert table.X and all(type(v) is float and math.isfinite(v) for row in table.X for v in row)
        assert {len(row) for row in table.X} == {len(table.columns)}
        assert len(table.X) == len(table.row_numbers) == len(table.labels or table.X)
    assert message.startswith("any.csv") and "\n" not in message


# --- classes


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["b", "a", "b"], ["a", "b"]),
        (["10", "9", "-1", "9.5"], ["-1", "9", "9.5", "10"]),
        (["x", "2", "10", "1e1"], ["2", "10", "1e1", "x"]),
        (["1", "01", "1e0", "+1", "1.0"], ["+1", "01", "1", "1.0", "1e0"]),
        (["B", "a", "ä"], ["B", "a", "ä"]),
        (["1e999", "5"], ["5", "1e999"]),
    ],
)
def test_names_of_classes(given, wanted):
    assert class_names(given) == class_names(given[::-1]) == wanted


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["x"] * 5, "every row has the class 'x' in column 'k'; there is nothing to tell apart"),
        (
            ["1.5", "2", "3", "2", "7"],
            "column 'k' has 4 different entries in 5 rows and looks like a measured number; train tells classes apart",
        ),
        (["ann", "bob", "eve", "2", "2"], "has 4 different entries in 5 rows and looks like a name for each row; train tells"),
        (["1", "2", "1"], "2 different entries in 3 rows and looks like a measured number"),
        (["0.2"] * 5 + ["0.4"] * 5 + ["1"], "has 3 different entries in 11 rows and looks like a measured number"),
    ],
)
def test_what_are_no_classes(save, labels, words):
    table = read_table(save("a,k\n" + "".join(f"1,{label}\n" for label in labels)), "k")
    with pytest.raises(TableError, match=re.escape(words)):
        classes_of(table)


def test_classes(save):
    assert classes_of(read_table(save("a,k\n1,x\n2,y\n3,x\n4,y\n"), "k")) == ["x", "y"]  # half as many as rows
    for labels in (["0.5"] * 3 + ["1"] * 3, ["1.0"] * 5 + ["2.0"], ["0.5"] * 5 + ["x"]):
        assert len(classes_of(read_table(save("a,k\n" + "".join(f"1,{label}\n" for label in labels)), "k"))) == 2
    with pytest.raises(TableError, match="looks like a measured number"):  # with decimal commas
        classes_of(read_table(save("a;k\n" + "1;1,5\n" * 5 + "1;2,5\n"), "k"))
    with pytest.raises(TableError, match="read without a target"):
        classes_of(read_table(save("a\n1\n2\n")))


# --- scales


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=8))
def test_scales_are_those_of_exact_arithmetic(X):
    means, scales = standardise(X)
    for j, column in enumerate(zip(*X, strict=True)):
        exact = [*map(Fraction, column)]
        mean = sum(exact) / len(exact)
        std = math.sqrt(sum((x - mean) ** 2 for x in exact) / len(exact)) if len({*exact}) > 1 else 1.0
        assert means[j] == pytest.approx(float(mean), rel=1e-12, abs=1e-300)
        if std > 1e-6 * max(map(abs, column)) and std > 1e-100:
            assert scales[j] == pytest.approx(std, rel=1e-9)
        assert scales[j] > 0
    assert all(math.isfinite(v) for row in apply(X, means, scales) for v in row)


@pytest.mark.parametrize(
    ("column", "mean", "scale"),
    [
        ([0.1] * 3, 0.1, 1.0),
        ([0.1] * 7, 0.1, 1.0),
        ([1e-200, 3e-200], 2e-200, 1e-200),
        ([1e200, 3e200], 2e200, 1e200),
        ([1.7e308, 1.5e308], 1.6e308, 1e307),
        ([1e16, 1.0, -1e16, 2.0], 0.75, math.sqrt(5e31)),
        ([0.0, 0.0, 0.0, 5e-324], 0.0, 5e-324),
        ([7.0], 7.0, 1.0),
    ],
)
def test_scales_of_hard_columns(column, mean, scale):
    means, scales = standardise([[x] for x in column])
    assert means == pytest.approx([mean], rel=1e-12, abs=0) and scales == pytest.approx([scale], rel=1e-12, abs=0)


def test_standardised_columns_have_mean_0_and_scale_1():
    X = [[float(i * i), 5.0, -i / 7] for i in range(20)]
    rows = apply(X, *standardise(X))
    means, scales = standardise(rows)
    assert means == pytest.approx([0, 0, 0], abs=1e-15) and scales == pytest.approx([1, 1, 1], rel=1e-14)
    assert {row[1] for row in rows} == {0.0}


def test_scales_of_nothing_and_of_too_much():
    with pytest.raises(TableError, match="there are no rows"):
        standardise([])
    with pytest.raises(TableError, match="column 2 goes from"):
        standardise([[1.0, -1.7e308], *[[2.0, 1.7e308]] * 9])
    with pytest.raises(TableError, match="a row of 1 number, and there are means for 2"):
        apply([[1.0]], [0.0, 0.0], [1.0, 1.0])
