"""`tinygrad-sm train`: a softmax classifier of a person's own table, trained, tested and saved; or one that was, put to use."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.console import Console

import tinygrad_sm as tg
from tinygrad_sm.cli import shared
from tinygrad_sm.cli.cells import TableError
from tinygrad_sm.cli.classifier import Classifier
from tinygrad_sm.cli.classifying import classify
from tinygrad_sm.cli.table import Table, TextColumnError, classes_of, read_table, standardise
from tinygrad_sm.nn.layers import ACTIVATIONS

STEPS = 600  # that a small table needs; how many epochs these are depends on its rows
WATCHED = 500  # rows to learn from, of which a tenth can be spared to watch the training
MOST_WEIGHTS = 5_000_000
OF_TRAINING = "ignore hidden activation epochs batch_size learning_rate held_out seed save".split()
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass
class Plan:
    """How to train: the settings that a person chose."""

    hidden: list[int]
    activation: str
    epochs: int | None
    batch_size: int
    learning_rate: float
    held_out: float
    seed: int
    xp: Any
    quiet: bool


def train(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="A CSV file: numbers, and a column of classes.", show_default=False)],
    target: Annotated[str | None, typer.Option(help="The column of the classes: its name, or its number from 1.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="<str>", help="Columns to leave out, such as colour,id.")] = None,
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="Whether the first line has names.", show_default="find out"),
    ] = None,
    hidden: Annotated[str, typer.Option(help='Widths of the hidden layers, such as "32,16"; "" for none.')] = "32",
    activation: Annotated[str, typer.Option(help=f"Between the layers: {', '.join(ACTIVATIONS)}.")] = "relu",
    epochs: Annotated[
        int | None,
        typer.Option(min=1, metavar="<int>", help="How often to go through the rows.", show_default="5 to 50, by their number"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, metavar="<int>", help="Rows a step.")] = 32,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", "--lr", help="Of Adam; it falls to 0 along a cosine.")
    ] = 0.01,
    held_out: Annotated[float, typer.Option("--test", help="The share of the rows that is held out to test.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the split, the weights and the order of the rows.")] = 0,
    array: Annotated[shared.Library, typer.Option(help="The arrays to compute on.")] = shared.Library.nd,
    save: Annotated[Path | None, typer.Option(help="Where the network goes.", show_default="DATA.safetensors")] = None,
    load: Annotated[Path | None, typer.Option(help="A network that was trained: predict with it.")] = None,
    out: Annotated[Path | None, typer.Option(help="With --load: a CSV file for all predictions.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the results.")] = False,
) -> None:
    """Train a softmax classifier on a table of your own, or predict with one.

    tinygrad-sm train --data flowers.csv --target species

    tinygrad-sm train --load flowers.safetensors --data new.csv
    """
    with shared.sentences():
        console = Console(highlight=False, markup=False, emoji=False)
        xp = shared.library(array)
        if load is not None:
            _refuse_options_of_training(context)
            classify(console, load, data, target=target, header=header, xp=xp, out=out, quiet=quiet)
            return
        if target is None:
            raise ValueError("--target is missing: the name of the column that holds the classes, or its number from 1")
        if out is not None:
            raise ValueError("--out is for predictions, with --load; where the network goes is --save")
        widths = _widths(hidden)
        plan = Plan(widths, activation, epochs, batch_size, learning_rate, held_out, seed, xp, quiet)
        _check(plan)
        save = save or Path(f"{data.stem}.safetensors")
        shared.must_be_writable(save, other_than=[data])
        table = _table(data, target, header, ignore or [])
        _learn_and_save(console, table, plan, save)


# --- options


def _refuse_options_of_training(context: typer.Context) -> None:
    for name in OF_TRAINING:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--test" if name == "held_out" else f"--{name.replace('_', '-')}"
            raise ValueError(
                f"--load predicts with a network that was trained before, so {option} has no meaning; leave it out"
            )


def _widths(text: str) -> list[int]:
    """The widths in a text such as "32,16"."""
    parts = text.replace(",", " ").split()
    if not all(part.isdecimal() and 0 < len(part) < 10 and int(part) > 0 for part in parts):
        raise ValueError(
            f'--hidden: widths of layers are whole numbers, such as "32" or "32,16", and "" for none, not {text!r}'
        )
    return [*map(int, parts)]


def _table(data: Path, target: str, header: bool | None, ignore: list[str]) -> Table:
    columns = [part.strip() for text in ignore for part in text.split(",") if part.strip()]
    try:
        return read_table(data, target, header=header, ignore=columns)
    except TextColumnError as error:
        raise TableError(f"{error}; leave it out with --ignore {','.join([*columns, error.option])}") from None


def _check(plan: Plan) -> None:
    if plan.activation not in ACTIVATIONS:
        raise ValueError(f"--activation: {plan.activation!r} is none of {', '.join(ACTIVATIONS)}")
    if not 0.0 < plan.held_out < 1.0:
        raise ValueError(f"--test: a share between 0 and 1 is held out, such as 0.2, not {plan.held_out:g}")
    if not 0.0 < plan.learning_rate < float("inf"):
        raise ValueError(f"--learning-rate: a number above 0, such as 0.01, not {plan.learning_rate:g}")


# --- training


def _learn_and_save(console: Console, table: Table, plan: Plan, save: Path) -> None:
    classes = classes_of(table)
    labels = [*map({name: k for k, name in enumerate(classes)}.__getitem__, table.labels or [])]
    learn, test = _split(table, classes, labels, plan)
    means, scales = standardise([table.X[i] for i in learn])
    tg.manual_seed(plan.seed)
    network = _network([len(means), *plan.hidden, len(classes)], plan)
    trained = Classifier(table.columns, table.has_header, table.target or "", classes, means, scales, network, table.ignored)
    rows = trained.standardised(table)
    if not plan.quiet:
        _tell(console, table, classes, labels, learn, test, plan)
        console.print(network, end="\n\n")

    try:
        history = _fit(console, network, [rows[i] for i in learn], [labels[i] for i in learn], plan)
        predictions = [k for k, _ in trained.guesses([rows[i] for i in test])]
    except FloatingPointError as error:
        reason = str(error).removeprefix("fit: ").partition("; ")[0]
        hint = f"try a smaller --learning-rate than {plan.learning_rate:g}"
        raise FloatingPointError(f"{reason}, so nothing was saved; {hint}") from None
    trained.save(save)

    targets = [labels[i] for i in test]
    commonest = max(range(len(classes)), key=Counter(labels[i] for i in learn).__getitem__)
    if not plan.quiet:
        console.print()
        console.print(shared.confusion(targets, predictions, classes, console.width))
    console.print(f"test accuracy: {100 * tg.accuracy(predictions, targets):.1f} %", style="bold")
    share = 100 * tg.accuracy([commonest] * len(targets), targets)
    console.print(f"(always guessing {shared.shown(classes[commonest])} would give {share:.1f} %)", end="\n\n")
    what = "What was learnt before the interruption" if history.interrupted else "The network"
    console.print(f"{what} is in {save}", soft_wrap=True)
    if not plan.quiet:
        console.print(f"To predict with it: tinygrad-sm train --load {save} --data NEW.csv", soft_wrap=True)


def _split(table: Table, classes: list[str], labels: list[int], plan: Plan) -> tuple[list[int], list[int]]:
    """The rows to learn from and those to be tested on, with the same mix of classes."""
    name, counts = Path(table.path).name, Counter(labels)
    for k, count in sorted(counts.items()):
        if count == 1:
            raise ValueError(
                f"{name}: class {shared.shown(classes[k])!r} has a single row, line {table.row_numbers[labels.index(k)]}, and "
                "needs two: one to learn from and one to be tested on; add more, or leave it out"
            )
    try:
        learn, test = tg.datasets.train_test_split(
            [*range(len(labels))], test_size=plan.held_out, seed=plan.seed, stratify=labels
        )
    except ValueError:
        raise ValueError(
            f"{name}: {len(labels)} rows of {len(classes)} classes are too few to hold out a share of {plan.held_out:g} with "
            "each class on both sides; give more rows, or another --test"
        ) from None
    return learn, test


def _network(sizes: list[int], plan: Plan) -> Any:
    total = sum((n + 1) * m for n, m in pairwise(sizes))
    if total > MOST_WEIGHTS:
        raise ValueError(f"--hidden: a network of {total:,} weights is too large to train here; at most {MOST_WEIGHTS:,}")
    return tg.nn.MLP(sizes, activation=plan.activation).to(plan.xp)


def _tell(
    console: Console, table: Table, classes: list[str], labels: list[int], learn: list[int], test: list[int], plan: Plan
) -> None:
    """What was understood of the table, and what will be done with it."""
    names = "names in the first line" if table.has_header else "no names of columns"
    console.print(f"{Path(table.path).name}: {len(labels):,} rows, {DELIMITERS[table.delimiter]} between cells, {names}.")
    console.print(f"{len(table.columns)} columns to learn from: {shared.listed(table.columns)}")
    if table.ignored:
        console.print(f"Ignored: {shared.listed(table.ignored)}")
    counts = Counter(labels)
    mix = shared.listed([f"{shared.shown(name)} ({counts[k]:,})" for k, name in enumerate(classes)], most=12, width=40)
    console.print(f"{len(classes)} classes in {shared.shown(table.target or '')}: {mix}")
    constant = [name for j, name in enumerate(table.columns) if len({table.X[i][j] for i in learn}) == 1]
    if constant:
        console.print(f"The same in every row to learn from, and so of no use: {shared.listed(constant)}")
    console.print(f"{len(learn):,} rows to learn from, {len(test):,} to be tested on: a stratified split by seed {plan.seed}.")
    console.print("Columns are standardised by means and deviations of the rows to learn from.", end="\n\n")


def _fit(console: Console, network: Any, rows: list[list[float]], labels: list[int], plan: Plan) -> tg.History:
    """Adam with a learning rate that falls to 0 along a cosine."""
    steps = -(-len(rows) // plan.batch_size)
    epochs = plan.epochs or min(max(round(STEPS / steps), 5), 50)
    optimizer = tg.optim.Adam(network.parameters(), lr=plan.learning_rate)
    scheduler = tg.optim.CosineAnnealingLR(optimizer, epochs)
    start = perf_counter()
    history = tg.fit(
        network,
        rows,
        labels,
        optimizer=optimizer,
        scheduler=scheduler,
        epochs=epochs,
        batch_size=plan.batch_size,
        validation=0.1 if len(rows) >= WATCHED else None,
        seed=plan.seed,
        progress=not plan.quiet,
    )
    if not plan.quiet:
        console.print(f"trained in {perf_counter() - start:.1f} s on {shared.named(plan.xp)}")
    return history
