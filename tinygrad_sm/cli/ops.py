"""`tinygrad-sm ops`: every op with what it computes and its rule, and one op in full, as the ops themselves say."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from itertools import groupby
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

import tinygrad_sm.family
import tinygrad_sm.ops
from tinygrad_sm.cli.shared import sentences
from tinygrad_sm.graph import Fused, Op

END = r"(?<!\.)\.(?= |$)"  # of a sentence: "..." is none
FLOORS = {"": tinygrad_sm.ops, "softmax family: ": tinygrad_sm.family}


def every_op() -> dict[str, tuple[str, Op]]:
    """The ops by name, each with its kind: the floor and the file that it lives in."""
    found: dict[str, tuple[str, Op]] = {}
    for floor, package in FLOORS.items():
        for file in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{file.name}")
            kind = floor + file.name.replace("_", " ")
            own = (x for x in vars(module).values() if isinstance(x, Op) and x.__module__ == module.__name__)
            found |= {op.name: (kind, op) for op in own}
    return found


def rows() -> list[tuple[str, str, str, str]]:
    """(kind, name, what it computes, its rule) of every op, kind by kind."""
    return [(kind, name, *summary(op)) for name, (kind, op) in every_op().items()]


def summary(op: Op) -> tuple[str, str]:
    """The first sentence of an op's docstring, and the one that begins with "Rule:"."""
    text = " ".join((op.__doc__ or "").split())
    what, rule = (re.search(pattern, text) for pattern in (rf"^(?!Rule:)(.+?){END}", rf"Rule: (.+?){END}"))
    return what[1] if what else "", rule[1] if rule else ""


def command(console: Console, name: str | None = None) -> None:
    """Prints one table a kind or, with a name, that op in full. Raises a ValueError for a name that no op has."""
    if name is None:
        for kind, members in groupby(rows(), key=lambda row: row[0]):
            console.print(_table(kind, [row[1:] for row in members]))
        return
    known = every_op()
    if name not in known:
        near = get_close_matches(name, known, cutoff=0.65)
        hint = f"did you mean {' or '.join(near)}?" if near else "`tinygrad-sm ops` lists them all"
        raise ValueError(f"there is no op named {name!r}; {hint}")
    _print_in_full(console, *known[name])


def ops(name: Annotated[str | None, typer.Argument(help="One op in full, such as softmax.")] = None) -> None:
    """The ops and their rules; with a name, that op in full."""
    with sentences():
        command(Console(), name)


def _table(kind: str, members: list[tuple[str, str, str]]) -> Table:
    table = Table(title=kind, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    table.add_column("op", no_wrap=True, style="cyan", min_width=20)
    table.add_column("what it computes", ratio=1)
    table.add_column("rule", ratio=1)
    for member in members:
        table.add_row(*map(Text, member))
    return table


def _print_in_full(console: Console, kind: str, op: Op) -> None:
    console.print(Text.assemble((op.name, "bold cyan"), str(inspect.signature(op))))
    console.print(Text(kind, style="dim"))
    for paragraph in inspect.cleandoc(op.__doc__ or "").split("\n\n"):
        console.print(Text("\n" + (paragraph if ">>>" in paragraph else " ".join(paragraph.split()))))
    if isinstance(op, Fused):
        _print_code(console, f"The definition, which {op.name}.composed(...) records", [op.forward])
    _print_code(console, "The rule", op.rules or [rule for rule in [op.rule] if rule])


def _print_code(console: Console, title: str, functions: Sequence[Callable[..., Any]]) -> None:
    from rich.syntax import Syntax  # loads a library of lexers, which the other commands can do without

    console.print(Text(f"\n{title}:\n", style="bold"))
    for source in dict.fromkeys(map(source_of, functions)):  # one statement may make the rules of all operands
        console.print(Syntax(source, "python", background_color="default", word_wrap=True))


def source_of(function: Callable[..., Any]) -> str:
    """The source of a function without its docstring; of a lambda the lines it stands in."""
    source = textwrap.dedent(inspect.getsource(function)).rstrip()
    if not function.__doc__:
        return source
    lines, docstring = source.splitlines(), ast.parse(source).body[0].body[0]  # type: ignore[attr-defined]
    return "\n".join(lines[: docstring.lineno - 1] + lines[docstring.end_lineno :])
