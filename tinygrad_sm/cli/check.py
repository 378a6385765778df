"""`tinygrad-sm check`: the family against the truth, a person's own op, and how accurate all of it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from math import prod
from random import Random
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import tinygrad_sm as tg
from tinygrad_sm.check import reports
from tinygrad_sm.check.comparing import Comparison
from tinygrad_sm.check.measuring import accuracy_table
from tinygrad_sm.cli.finding import find
from tinygrad_sm.cli.shared import sentences
from tinygrad_sm.family import hard
from tinygrad_sm.graph import Fused

MARGIN = 40.0  # at which p - 1 has lost all its digits, and nothing else shows it


def check(
    target: Annotated[
        str | None,
        typer.Argument(help="One op of the family, such as softmax, or module:function for your own, found from here."),
    ] = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="The shape of its inputs, such as 3,4; once an input if they differ.")
    ] = None,
    order: Annotated[int, typer.Option(min=1, max=2, help="2: second derivatives, too.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the inputs, and of what flows back in.")] = 0,
    accuracy: Annotated[bool, typer.Option("--accuracy", help="The largest errors, beside those of other libraries.")] = False,
    thorough: Annotated[bool, typer.Option("--thorough", help="With --accuracy: ten times the inputs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON, for other programs.")] = False,
) -> None:
    """Prove the fused ops against the exact value of their definitions; ends with exit code 1 if one is wrong."""
    with sentences():
        console = Console(highlight=False, markup=False, emoji=False)
        if accuracy:
            if target or shape:
                raise ValueError("--accuracy measures the family, and takes neither an op nor a shape")
            right = _accuracy(console, thorough, seed, as_json)
        elif thorough:
            raise ValueError("--thorough goes with --accuracy")
        elif target is None:
            if shape:
                raise ValueError(
                    "--shape says what an op is checked with: name one, such as `tinygrad-sm check softmax --shape 3,4`"
                )
            right = _family(console, order, seed, as_json)
        else:
            right = _one(console, target, [*map(_sizes, shape or ())], order, seed, as_json)
    if not right:
        raise typer.Exit(1)


# --- the family


def _family(console: Console, order: int, seed: int, as_json: bool) -> bool:
    """Every op on its hard inputs, in one table."""
    names = [name for name, op in tg.fused_ops.items() if op.hard_cases()]
    work = ((name, partial(tg.compare, tg.fused_ops[name], order=order, seed=seed)) for name in names)
    found = dict(zip(names, _each(work, len(names)), strict=True))
    right = all(found.values())
    if as_json:
        _print_json({"ok": right, "ops": [comparison.to_dict() for comparison in found.values()]})
        return right
    console.print(_summary(list(found.values())))
    for comparison in found.values():
        if not comparison.ok:
            console.print(str(comparison), soft_wrap=True)
    cases = sum(len(comparison.cases) for comparison in found.values())
    wrong = [name for name, comparison in found.items() if not comparison]
    verdict = f"wrong: {', '.join(wrong)}" if wrong else f"{len(found)} ops are right on {cases} hard inputs"
    console.print(Text(verdict, "bold red" if wrong else "bold green"))
    console.print(
        "Errors are in units in the last place (ulp) of the exact result, which the definition of each op gives", style="dim"
    )
    console.print(
        f"on decimals of up to {max(c.digits for c in found.values())} digits. One op in full: tinygrad-sm check softmax",
        style="dim",
    )
    return right


def _summary(comparisons: Sequence[Comparison]) -> Table:
    quantities = list(dict.fromkeys(q for comparison in comparisons for q in comparison.max_ulp))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("op", style="cyan", no_wrap=True)
    table.add_column("inputs", justify="right")
    for quantity in quantities:
        table.add_column(f"{quantity}, ulp", justify="right")
    table.add_column("hardest input")
    table.add_column("")
    for c in comparisons:
        figures = [reports.amount(c.max_ulp[q]) if q in c.max_ulp else "" for q in quantities]
        table.add_row(
            c.name, f"{len(c.cases)}", *figures, Text(c.worst.case), Text("ok", "green") if c else Text("WRONG", "bold red")
        )
    return table


# --- one op, or a function of one's own


def _one(console: Console, target: str, shapes: list[tuple[int, ...]], order: int, seed: int, as_json: bool) -> bool:
    """An op on inputs of the shapes, or on its hard inputs; any other function by gradcheck."""
    thing = _found(target)
    if isinstance(thing, Fused) and not shapes:
        results = [tg.compare(thing, order=order, seed=seed)]
    else:
        judge: Callable[..., Any] = tg.compare if isinstance(thing, Fused) else tg.gradcheck
        inputs = [*_inputs(thing, shapes, target, seed)]
        work = ((name, partial(judge, thing, *args, order=order, seed=seed)) for name, args in inputs)
        results = [*_each(work, len(inputs))]
    right = all(results)
    if as_json:
        names = [name for name, _ in inputs] if shapes else [""]
        _print_json({"ok": right, "checks": [{"inputs": n, **r.to_dict()} for n, r in zip(names, results, strict=True)]})
        return right
    for k, result in enumerate(results):
        if shapes:
            console.print(Text(f"{'' if not k else chr(10)}inputs: {inputs[k][0]}", "bold"))
        console.print(str(result), soft_wrap=True)
    return right


def _found(target: str) -> Any:
    if ":" in target:
        thing = find(target)
    elif target in tg.fused_ops:
        thing = tg.fused_ops[target]
    else:
        raise ValueError(
            f"there is no op {target!r} in the family; `tinygrad-sm check` shows them all, and module:function names your own"
        )
    if not callable(thing) or isinstance(thing, type):
        raise ValueError(f"{target} is no function or op, but {thing!r}")
    return thing


def _sizes(text: str) -> tuple[int, ...]:
    """`3,4` as a shape; nothing or () is that of a single number."""
    inner = text.strip().strip("()[]").strip().rstrip(",")
    try:
        sizes = tuple(int(part) for part in inner.replace("x", ",").split(",")) if inner else ()
    except ValueError:
        raise ValueError(f"--shape is written as 3,4 (rows, columns), and not as {text!r}") from None
    if any(n < 1 for n in sizes):
        raise ValueError(f"--shape has sizes of at least 1, and not {text}")
    return sizes


def _inputs(thing: Any, shapes: list[tuple[int, ...]], target: str, seed: int) -> Iterator[tuple[str, list[Any]]]:
    """Inputs of the shapes, easy and hard: of one op all alike if there is one shape, of a function one for each shape."""
    if not shapes:
        raise ValueError(f"give the shape of what {target} takes: tinygrad-sm check {target} --shape 3,4")
    if isinstance(thing, Fused):
        wanted = 1 if thing.variadic else thing._required
        if len(shapes) == 1:
            shapes = shapes * wanted
        if len(shapes) != wanted:
            raise ValueError(
                f"{thing.name} takes {wanted} inputs ({', '.join(thing.input_names)}), and --shape gave {len(shapes)}"
            )
    rng = Random(seed)
    for scale in (1.0, 10.0):
        yield (
            f"scale {scale:g}",
            [_filled(sizes, lambda n, scale=scale: [rng.gauss(0.0, scale) for _ in range(n)]) for sizes in shapes],
        )
    yield f"margin {MARGIN:g}", [_filled(sizes, lambda n: hard.dominant(rng, n, MARGIN)) for sizes in shapes]


def _filled(sizes: tuple[int, ...], row: Callable[[int], list[float]]) -> Any:
    """Rows along the last axis, as an array; a float where there is no axis."""
    if not sizes:
        return row(1)[0]
    return tg.nd.reshape(tg.nd.asarray([x for _ in range(prod(sizes[:-1])) for x in row(sizes[-1])]), sizes)


# --- how accurate, beside others


def _accuracy(console: Console, thorough: bool, seed: int, as_json: bool) -> bool:
    with _bar() as bar:
        task = bar.add_task("")
        found = accuracy_table(
            lambda done, of, what: bar.update(task, completed=done, total=of, description=what), thorough=thorough, seed=seed
        )
    if as_json:
        _print_json(found.to_dict())
    else:
        console.print(str(found), soft_wrap=True)
    return found.ok


# --- what a person sees meanwhile


def _bar() -> Progress:
    """A bar on the error stream, where a terminal shows it."""
    columns = (TextColumn("checking {task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _each(work: Iterable[tuple[str, Callable[[], Any]]], total: int) -> Iterator[Any]:
    """The results of pieces of work, each shown by its name while it runs."""
    with _bar() as bar:
        task = bar.add_task("", total=total)
        for name, run in work:
            bar.update(task, description=name)
            yield run()
            bar.advance(task)


def _print_json(what: Any) -> None:
    typer.echo(json.dumps(what, indent=2, allow_nan=False))
