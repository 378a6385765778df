"""What a person sees of a check: tables as wide as the terminal, and beside each error both numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinygrad_sm.check import Comparison, Finding, Report, reports
from tinygrad_sm.check.measuring import Accuracy
from tinygrad_sm.check.verdicts import FAIL, PASS

SHOWN = 10  # elements that are wrong
HARDEST = "hardest input"
QUANTITIES = {"value": "value", "grad": "gradient", "second": "second derivative"}


def console_of(stream: Any = None) -> Console:
    """A console as wide as its terminal; what goes into a file or a pipe has no edge, unless COLUMNS says so."""
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console.width = 1000
    return console


def show_family(console: Console, found: Mapping[str, Comparison]) -> None:
    """One table of all ops, what is wrong in full, and a verdict."""
    console.print(_summary("op", {c.name: _row(c.findings, c.limit, len(c.cases)) for c in found.values()}, console.width))
    wrong = [c for c in found.values() if not c]
    for c in wrong:
        _show_wrong(console, c, [f for f in c.findings if not f.ulp <= c.limit])
    cases = sum(len(c.cases) for c in found.values())
    if wrong:
        console.print(Text(f"WRONG: {', '.join(c.name for c in wrong)}", "bold red"), soft_wrap=True)
    else:
        console.print(Text(f"{len(found)} ops are right on {cases} hard inputs.", "bold green"))
    digits = max(c.digits for c in found.values())
    _explain(
        console,
        "Errors are in units in the last place (ulp) of the exact result: the definition of each op, run on decimals of up to "
        f"{digits} digits. The limit is {next(iter(found.values())).limit:g}. One op in full: tinygrad-sm check softmax",
    )


def show_op(console: Console, c: Comparison, seed: int, lossy: Sequence[str] = (), excused: Sequence[str] = ()) -> None:
    """One op: a line for each set of inputs, the elements that are wrong or the worst one, and why that is to be trusted.

    On the `lossy` inputs its formulas are right, and only digits are lost; of these, some are `excused`.
    """
    whole = "" if excused else c.table()
    wrong = [f for f in c.findings if not f.ulp <= c.limit and f.case not in excused]
    if whole and max(map(cell_len, whole.split("\n"))) <= console.width:
        console.print(f"{whole}\n")
    else:
        rows = {name: _row([f for f in c.findings if f.case == name], c.limit) for name in c.cases}
        for name in excused:
            rows[name]["verdict"] = Text("loses digits", "yellow")
        console.print(_summary("inputs", rows, console.width))
        if not wrong and c.worst.ulp:
            _show_finding(console, "farthest off", c.worst)
            console.print()
        _show_wrong(console, c, wrong)
    figures = ", ".join(f"{QUANTITIES[q]} {reports.amount(ulp)}" for q, ulp in c.max_ulp.items())
    verdict = Text(f"{c.name} is {'WRONG' if wrong else 'right'}", "bold red" if wrong else "bold green")
    if excused and not wrong:
        verdict.append(", but loses digits", "bold yellow")
    console.print(verdict.append(f": at most {figures} ulp off (limit {c.limit:g}).", "not bold default"), soft_wrap=True)
    ran = f"the definition ran forward and backward on decimals of up to {c.digits} digits"
    if excused and not wrong:
        names = ", ".join(map(repr, excused))
        _explain(
            console,
            f"Run on decimals, its rule and the derivative of its definition agree on all inputs ({c.digits} digits, seed "
            f"{seed}). On floats digits are lost on {names}: something subtracts numbers that are nearly alike, such as "
            "1 - p, or takes the exponential of a rounded difference. The hard inputs that an op carries, "
            f"@{c.name}.hard_inputs, are judged strictly.",
        )
    elif not wrong:
        inputs = f"{len(c.cases)} sets of inputs" if c.cases[1:] else "the inputs"
        _explain(
            console,
            f"Why this can be trusted: {ran}, and what the op and its rule gave on {inputs} was held against that, element by "
            f"element, in units in the last place (ulp; seed {seed}).",
        )
    else:
        _explain(console, f"What is exact: {ran}. An ulp is one unit in the last place of a float (seed {seed}).")
        if {f.case for f in wrong} <= {*lossy}:
            _explain(console, DIGITS)


DIGITS = (
    "The formula is right, as a run on decimals shows, but digits are lost: something subtracts numbers that are nearly alike, "
    "such as p - 1. Where the mathematics itself subtracts what the inputs say, @tg.fused(conditioned=True) says so."
)


def show_reports(console: Console, name: str, found: Mapping[str, Report]) -> None:
    """A function that is no fused op, judged by its differences at one or several points."""
    shown = dict.fromkeys(verdict for report in found.values() for verdict, n in report.counts.items() if n)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("inputs", style="cyan", no_wrap=True)
    for verdict in shown:
        table.add_column(verdict, justify="right")
    table.add_column("")
    for inputs, report in found.items():
        sign = Text("ok", "green") if report else Text("NOT OK", "bold red")
        table.add_row(Text(inputs), *(f"{report.counts[verdict]}" for verdict in shown), sign)
    console.print(table)
    for inputs, report in [case for case in found.items() if not case[1]][:1]:
        _show_report(console, inputs, report)
    wrong = any(report.counts[FAIL] or report.problems for report in found.values())
    right = all(found.values())
    verdict = "right" if right else "WRONG" if wrong else "NOT PROVEN"
    console.print(Text(f"The gradient of {name} is {verdict}.", "bold green" if right else "bold red"), soft_wrap=True)
    methods = dict.fromkeys(re.sub(r" of \d+ digits", "", report.method) for report in found.values())
    _explain(console, f"Method: {'; '.join(methods)} (seed {next(iter(found.values())).seed}).")
    leaves = dict.fromkeys(x for report in found.values() for x in report.remarks if "leaves the ops" in x)
    for remark in leaves:
        _explain(console, f"note: {remark}")


def _show_report(console: Console, inputs: str, report: Report) -> None:
    """What does not pass, with both numbers, problems and notes."""
    console.print(Text(f"on {inputs!r}:", "bold"))
    striking = [e for e in report.elements if e.verdict != PASS]
    for e in striking[:SHOWN]:
        order = "second derivative at " if e.order == 2 else ""
        note = f" ({e.note})" if e.note else ""
        console.print(f"{e.verdict}: {order}{reports.place(e.name, e.place)}, inflow {e.flow}{note}", soft_wrap=True)
        gradient, exact = reports.number(float(e.gradient)), reports.number(e.exact, 17)
        console.print(f"    gradient   {gradient}\n    should be  {exact}", soft_wrap=True)
    if striking[SHOWN:]:
        console.print(f"... and {len(striking) - SHOWN} more")
    for line in [f"problem: {x}" for x in report.problems] + [f"note: {x}" for x in report.remarks]:
        console.print(Text(line))
    console.print()


def show_accuracy(console: Console, found: Accuracy) -> None:
    """The largest errors beside those of others, quantity by quantity where the terminal is narrow."""
    if max(map(cell_len, str(found).split("\n"))) <= console.width:
        console.print(str(found))
        return
    rows: list[list[str]] = []
    for quantity, largest in found.largest.items():
        rows += [[], [quantity, *[""] * 5, ""]] if rows else [[quantity, *[""] * 6]]
        own = [x for x in found.figures if x.quantity == quantity]
        for x in own:
            figures = [_error(e, quantity) for e in (x.error, x.scipy, x.torch, x.jax)]
            verdict = "" if x.error <= x.limit else "WRONG"
            rows.append([f"  {x.inputs}", figures[0], f"{x.limit:g}", *figures[1:], verdict])
        rows.append(["  largest of all", _error(largest, quantity), f"{own[0].limit:g}", *[""] * 4])
    rows = [row or [""] * 7 for row in rows]
    console.print(reports.table(["", "ours", "limit", "scipy", "torch", "jax", ""], rows, right=range(1, 6)))
    console.print()
    _explain(console, " ".join(str(found).rpartition("\n\n")[2].split()))


def _error(x: float | None, quantity: str) -> str:
    return "" if x is None else f"{x:.1e}" if quantity == "kl_div" else reports.amount(x)


def _row(findings: Sequence[Finding], limit: float, cases: int | None = None) -> dict[str, Any]:
    """The cells of one row: the largest error of each quantity, whether it is right, and the hardest input of several."""
    worst = max(findings, key=lambda f: f.ulp, default=None)
    errors: dict[str, float] = {}
    for f in findings:
        errors[f.quantity] = max(errors.get(f.quantity, 0.0), f.ulp)
    right = all(ulp <= limit for ulp in errors.values())
    row: dict[str, Any] = {"inputs": f"{cases}"} if cases is not None else {}
    row |= {q: reports.amount(ulp) for q, ulp in errors.items()}
    row["verdict"] = Text("ok", "green") if right else Text("WRONG", "bold red")
    return row | ({HARDEST: Text(worst.case)} if cases is not None and worst else {})


def _summary(heading: str, rows: Mapping[str, Mapping[str, Any]], width: int) -> Table:
    """Rows by name. Where the terminal is too narrow, the names of the hardest inputs end in dots, or stay away."""
    keys = [key for key in ("inputs", *QUANTITIES, "verdict", HARDEST) if any(key in row for row in rows.values())]
    columns = {key: ["" if key == "verdict" else key, *(str(row.get(key, "")) for row in rows.values())] for key in keys}
    needed = {key: max(map(cell_len, column)) for key, column in columns.items()}
    room = width - 2 - max(map(cell_len, (heading, *rows))) - sum(2 + n for key, n in needed.items() if key != HARDEST) - 2
    if room < len(HARDEST):
        keys = [key for key in keys if key != HARDEST]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(heading, style="cyan", no_wrap=True)
    for key in keys:
        table.add_column(columns[key][0], justify="left" if key in ("verdict", HARDEST) else "right", no_wrap=True)
    for name, row in rows.items():
        cells = [row.get(key, "") for key in keys]
        if HARDEST in keys:
            cells[-1].truncate(room, overflow="ellipsis")
        table.add_row(Text(name or "as given"), *cells)
    return table


def _show_wrong(console: Console, c: Comparison, wrong: list[Finding]) -> None:
    """The elements that are wrong, the worst first."""
    wrong = sorted(wrong, key=lambda f: -f.ulp)
    for finding in wrong[:SHOWN]:
        _show_finding(console, f"{c.name} is WRONG", finding)
    if wrong[SHOWN:]:
        console.print(f"... and {len(wrong) - SHOWN} more")
    if wrong:
        console.print()


def _show_finding(console: Console, what: str, f: Finding) -> None:
    """Where it is, and both numbers, one under the other so that they can be compared."""
    got, exact = (x if isinstance(x, str) else reports.number(x) for x in (f.got, f.exact))
    on = f" on {f.case!r}" if f.case else ""
    style = "red" if "WRONG" in what else ""
    console.print(Text(f"{what}{on}: {f.where}, {reports.amount(f.ulp)} ulp", style), soft_wrap=True)
    console.print(f"    got    {got}\n    exact  {exact}", soft_wrap=True)


def _explain(console: Console, text: str) -> None:
    console.print(Text(text, "dim"))
