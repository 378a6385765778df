"""`tinygrad-sm check`: the family against the truth, a person's own op, and how accurate all of it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from decimal import localcontext
from difflib import get_close_matches
from functools import partial
from math import isfinite
from pathlib import Path
from random import Random
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import tinygrad_sm as tg
from tinygrad_sm.check import Comparison, Report, truth
from tinygrad_sm.check.measuring import accuracy_table
from tinygrad_sm.check.truth import flat
from tinygrad_sm.cli import results
from tinygrad_sm.cli.calling import blamed, filled, one_each, scaled, sizes_of, where_defined
from tinygrad_sm.cli.finding import find
from tinygrad_sm.cli.shared import sentences
from tinygrad_sm.family import hard
from tinygrad_sm.graph import Fused

Row = Callable[[Random, int], list[float]]
MARGIN = 40.0  # at which p - 1 has lost all its digits, and nothing else shows it
ORDINARY = "scale 1"
LOSS = 1e6  # ulp: a loss of digits that ordinary inputs may show, such as near a root of the gradient
DIGITS = 20  # in which formulas that are right agree on decimals
STOPPED = 130  # what a shell expects of a program that Ctrl-C ended


def check(
    target: Annotated[
        str | None,
        typer.Argument(help="One op of the family, such as softmax, or your own: module:function or file.py:function."),
    ] = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="Inputs to make: their shape, such as 3,4; once an input if they differ.")
    ] = None,
    order: Annotated[int, typer.Option(min=1, max=2, help="2: second derivatives, too.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the inputs, and of what flows back in.")] = 0,
    accuracy: Annotated[bool, typer.Option("--accuracy", help="The largest errors, beside those of other libraries.")] = False,
    thorough: Annotated[bool, typer.Option("--thorough", help="With --accuracy: ten times the inputs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON, for other programs.")] = False,
) -> None:
    """Prove the fused ops, or one of your own, against the exact value of their definitions.

    Without arguments the whole family, on inputs that are hard for it. Ends with exit code 0 if all is right, and 1 if not.
    """
    with sentences(), _stoppable():
        if accuracy and (target is not None or shape or order != 1):
            raise ValueError("--accuracy measures the family: it takes neither an op nor a shape nor an order")
        if thorough and not accuracy:
            raise ValueError("--thorough goes with --accuracy")
        if target is None and shape:
            raise ValueError("--shape is that of the inputs of one op: tinygrad-sm check softmax --shape 3,4")
        with redirect_stdout(sys.stderr) if as_json else nullcontext():  # what the code under test prints is no JSON
            if accuracy:
                result = _accuracy(thorough, seed)
            elif target is None:
                result = _family(order, seed)
            else:
                result = _one(target, [*map(sizes_of, shape or ())], order, seed)
        if as_json:
            typer.echo(json.dumps(_finite({"ok": result.ok, **result.plain}), indent=2, allow_nan=False))
        else:
            result.show(results.console_of())
    if not result.ok:
        raise typer.Exit(1)


class Result(NamedTuple):
    """Whether all is right, the same as plain data for JSON, and how a person is shown it."""

    ok: bool
    plain: dict[str, Any]
    show: Callable[[Console], None]


def _finite(x: Any) -> Any:
    """Plain data with text in place of the numbers that JSON has none for."""
    if isinstance(x, dict):
        return {key: _finite(part) for key, part in x.items()}
    if isinstance(x, (list, tuple)):
        return [*map(_finite, x)]
    return repr(x) if isinstance(x, float) and not isfinite(x) else x


def _accuracy(thorough: bool, seed: int) -> Result:
    """How accurate the family is, beside other libraries."""
    with _bar("measuring") as step:
        found = accuracy_table(step, thorough=thorough, seed=seed)
    return Result(found.ok, found.to_dict(), lambda console: results.show_accuracy(console, found))


def _family(order: int, seed: int) -> Result:
    """Every op on its hard inputs."""
    ops = {name: op for name, op in tg.fused_ops.items() if op.hard_cases()}
    found = {}
    with _bar("checking") as step:
        for done, (name, op) in enumerate(ops.items()):
            step(done, len(ops), name)
            found[name] = tg.compare(op, order=order, seed=seed)
    plain = {"ops": [comparison.to_dict() for comparison in found.values()]}
    return Result(all(found.values()), plain, lambda console: results.show_family(console, found))


def _one(target: str, shapes: Sequence[tuple[int, ...]], order: int, seed: int) -> Result:
    """An op on inputs of the shapes, or on its own hard inputs; any other function by its differences."""
    thing = _found(target)
    if isinstance(thing, Fused):
        comparison, lossy = _compared(thing, target, shapes, order, seed)
        excused = lossy if shapes else []
        right = all(f.ulp <= comparison.limit or f.case in excused for f in comparison.findings)
        as_plain = {"ops": [{**comparison.to_dict(), "ok": right, "loses_digits_on": lossy}]}
        return Result(right, as_plain, lambda console: results.show_op(console, comparison, seed, lossy, excused))
    found = _differentiated(thing, target, shapes, order, seed)
    plain = {"function": target, "checks": [{"inputs": name, **report.to_dict()} for name, report in found.items()]}
    return Result(all(found.values()), plain, lambda console: results.show_reports(console, target, found))


def _compared(op: Fused, target: str, shapes: Sequence[tuple[int, ...]], order: int, seed: int) -> tuple[Comparison, list[str]]:
    """The op against the truth, on all its inputs; and those on which its formulas are right and only digits are lost.

    Hard inputs that the op was given are a promise to keep the digits. Those made for a shape are not: there a definition as
    textbooks have it, run on floats, loses some, and that is no mistake.
    """
    with blamed(f"the hard inputs of {op.name} cannot be made"):
        own = op.hard_cases()
    cases = [(name, tuple(inputs), {}) for name, inputs in _inputs(op, target, shapes, seed)] if shapes else own
    hint = "" if own else f"give it inputs that fit with @{op.name}.hard_inputs, and "
    hint += f"leave out --shape: tinygrad-sm check {target} takes its hard inputs"
    if not cases:
        raise ValueError(
            f"{op.name} has no hard inputs of its own: add some with @{op.name}.hard_inputs, or give the shape of its input, "
            f"tinygrad-sm check {target} --shape 3,4"
        )
    parts: list[Comparison] = []
    lossy: list[str] = []
    with _bar(f"checking {op.name}:") as step:
        for done, (name, inputs, params) in enumerate(cases):
            step(done, len(cases), name)
            if shapes:
                inputs = (*where_defined(op.composed, op.name, inputs, hint),)
            with blamed(f"{op.name} cannot be judged on {name!r}"):
                parts.append(tg.compare(op, *inputs, order=order, seed=seed, params=params))
                if not parts[-1] and _formulas_right(op, parts[-1], inputs, params, ordinary=name == ORDINARY):
                    lossy.append(name)
    findings = [f._replace(case=name) for (name, *_), part in zip(cases, parts, strict=True) for f in part.findings]
    names, digits = [name for name, *_ in cases], max(part.digits for part in parts)
    return Comparison(op.name, findings, names, parts[0].limit, seed, digits), lossy


def _formulas_right(
    op: Fused, comparison: Comparison, inputs: Sequence[Any], params: dict[str, Any], *, ordinary: bool
) -> bool:
    """Whether the rule, run on decimals as the definition is, gives the same gradients, so that only floats lose digits.

    An op with a forward of its own for these arrays promises its digits, and so does any op for ordinary inputs, up to `LOSS`.
    """
    if not op.kernels.keys().isdisjoint(map(type, inputs)) or (ordinary and comparison.worst.ulp > LOSS):
        return False
    optional = {key: x for key, x in params.items() if key in op.input_names}
    call = partial(op, **{key: x for key, x in params.items() if key not in optional})
    runs = [truth.run(call, inputs, optional, order=2, fused=fused) for fused in (False, True)]
    flow = [0.75 + (7 * i) % 5 for i in range(runs[0].output.size)]
    gradients = [run.gradients(truth.filled_with(run.output.data, flow), create_graph=True) for run in runs]
    second = [tg.grad(sum((g * g).sum() for g in found), run.leaves) for run, found in zip(runs, gradients, strict=True)]
    pairs = [*zip(*([x.data for x in found] for found in gradients), strict=True), *zip(*second, strict=True)]
    return all(_alike(*two) for exact, got in pairs for two in zip(flat(exact), flat(got), strict=True))


def _alike(a: Any, b: Any) -> bool:
    """Two decimals that differ by no more than their last digits."""
    with localcontext(prec=60):
        return a == b or abs(a - b) <= abs(a).scaleb(-DIGITS)


def _differentiated(function: Any, target: str, shapes: Sequence[tuple[int, ...]], order: int, seed: int) -> dict[str, Report]:
    """The gradient of a function at several points."""
    if not shapes:
        raise ValueError(f"give the shape of what {target} takes: tinygrad-sm check {target} --shape 3,4")
    found: dict[str, Report] = {}
    cases = [*_inputs(function, target, shapes, seed)]
    with _bar(f"checking {target}:") as step:
        for done, (name, inputs) in enumerate(cases):
            step(done, len(cases), name)
            inputs = [*where_defined(function, target, inputs, "check a function of numbers alone that adds the labels itself")]
            with blamed(f"{target} cannot be judged on {name!r}"):
                found[name] = tg.gradcheck(function, *inputs, order=order, seed=seed)
    return found


# --- what is checked


def _found(target: str) -> Any:
    """The op or function of that name."""
    if target in tg.fused_ops:
        return tg.fused_ops[target]
    if ":" not in target:
        if target.endswith(".py") or Path(f"{target}.py").is_file():
            raise ValueError(f"{target} is a file: name the op in it, as in tinygrad-sm check {target}:my_op")
        near = get_close_matches(target, tg.fused_ops, cutoff=0.65)
        hint = f"did you mean {' or '.join(near)}?" if near else "`tinygrad-sm check` shows them all."
        raise ValueError(f"there is no op {target!r} in the family; {hint} An op of your own is written module:function")
    thing = find(target)
    if isinstance(thing, type):
        raise ValueError(f"{target} is a class; check takes a fused op or a function")
    if not callable(thing):
        raise ValueError(f"{target} is {tg.nd.shapes.brief(thing)}; check takes a fused op or a function")
    return thing


# --- inputs


ROWS: dict[str, Row] = {
    ORDINARY: scaled(1.0),
    "scale 10": scaled(10.0),
    f"{MARGIN:g} above": lambda rng, n: hard.dominant(rng, n, MARGIN),
    f"{MARGIN:g} below": lambda rng, n: hard.dominant(rng, n, -MARGIN),
}


def _inputs(thing: Any, target: str, shapes: Sequence[tuple[int, ...]], seed: int) -> Iterator[tuple[str, list[Any]]]:
    """Inputs of the shapes, easy and hard; one shape is that of every input."""
    shapes = one_each(thing, target, shapes)
    rng = Random(seed)
    for name, row in ROWS.items():
        yield name, [filled(sizes, partial(row, rng)) for sizes in shapes]


# --- what a person sees meanwhile


@contextmanager
def _bar(doing: str) -> Iterator[Callable[[int, int, str], None]]:
    """A function of how much is done, of how much, and what is next; shown by a bar on the error stream of a terminal."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=None)

        def step(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=f"{doing} {what}")

        yield step


@contextmanager
def _stoppable() -> Iterator[None]:
    """Inside, Ctrl-C ends the command with a sentence."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Stopped before the check was complete: nothing is proven.", err=True)
        raise typer.Exit(STOPPED) from None
