"""`tinygrad-sm draw`: the graph behind an example, or behind a person's own Value, as a picture or as text."""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated, Any

import typer

import tinygrad_sm as tg
from tinygrad_sm.cli import pictures
from tinygrad_sm.cli.shared import sentences

STDOUT = Path("-")


class View(enum.StrEnum):
    """What a picture shows: the computation, what flows back, or the one over the other."""

    graph = "graph"
    backward = "backward"
    both = "both"


class Theme(enum.StrEnum):
    """The colours; auto follows the reader's system."""

    auto = "auto"
    light = "light"
    dark = "dark"
    print = "print"


class Direction(enum.StrEnum):
    """Which way the computation runs."""

    LR = "LR"
    TB = "TB"


class Kind(enum.StrEnum):
    """What a file holds."""

    svg = "svg"
    png = "png"
    pdf = "pdf"
    html = "html"
    dot = "dot"
    txt = "txt"


def draw(
    target: Annotated[str | None, typer.Argument(help=pictures.TARGET)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file; its suffix picks the format. - is the standard output.")
    ] = None,
    kind: Annotated[Kind | None, typer.Option("--format", help="The format, where -o does not say it.")] = None,
    text: Annotated[bool, typer.Option("--text", help="As text in the terminal, and no file unless -o names one.")] = False,
    view: Annotated[View, typer.Option(help="What is shown.")] = View.graph,
    slopes: Annotated[bool, typer.Option("--locals", help="The local derivative of every operand, and what it adds.")] = False,
    beside: Annotated[bool, typer.Option("--beside", help="Beside it, the same with every fused op composed.")] = False,
    collapse: Annotated[
        list[str] | None,
        typer.Option(help="Draw modules as one box each: a depth (0: the outermost), or a path or a class; repeatable."),
    ] = None,
    repeats: Annotated[
        bool | None, typer.Option("--repeats/--no-repeats", help="Fold blocks that are built alike into one.")
    ] = None,
    max_nodes: Annotated[int, typer.Option(min=1, help="Above so many nodes modules are collapsed.")] = 300,
    direction: Annotated[Direction, typer.Option(help="From left to right, or from top to bottom.")] = Direction.LR,
    theme: Annotated[Theme, typer.Option(help="The colours.")] = Theme.auto,
    precision: Annotated[int, typer.Option(min=1, max=17, help="Significant digits.")] = 4,
    legend: Annotated[bool, typer.Option("--legend", help="Say what borders and lines mean.")] = False,
    title: Annotated[str | None, typer.Option(help="Above the picture.")] = None,
    backward: Annotated[bool, typer.Option("--backward/--no-backward", help="Run backward first, unless it has run.")] = True,
    shape: Annotated[list[str] | None, typer.Option(help=pictures.SHAPE)] = None,
    seed: Annotated[int, typer.Option(help="Of the random inputs.")] = 0,
    engine: Annotated[str | None, typer.Option(help="The program that lays out, such as dot.")] = None,
    browser: Annotated[bool, typer.Option("--open", help="Show the picture in the browser.")] = False,
) -> None:
    """Draw the graph of a computation: every value, every gradient, every edge.

    Without a target, lists the examples.
    """
    with sentences():
        if target is None:
            pictures.show_examples("draw")
            return
        piped = out == STDOUT or (text and out is None)
        kind = _kind(out, kind, text)
        with redirect_stdout(sys.stderr) if piped else nullcontext():  # what a person's code prints is no part of the picture
            subject = pictures.subject_of(target, shape or (), seed, "draw")
            path = None if piped else pictures.destination(out, target, f".{kind}")
            if backward:
                pictures.with_gradients(subject)
            drawing = tg.draw(
                subject.value,
                names=subject.names,
                view=view.value,
                locals=slopes,
                beside=beside or None,
                collapse=collapsed(collapse or ()),
                repeats=repeats,
                grad_output=subject.grad_output,
                direction=direction.value,
                theme=theme.value,
                precision=precision,
                legend=legend,
                title=title,
                max_nodes=max_nodes,
                engine=engine,
            )
        _put(drawing, path, kind, also_as_text=text)
        if note := pictures.note_on(subject) if backward or view is not View.graph or slopes else "":
            typer.echo(note, err=piped)
        if browser and path and not pictures.open_in_browser(path):
            typer.echo(f"There is no browser here; the picture is at {path.resolve().as_uri()}", err=True)


def _kind(out: Path | None, kind: Kind | None, text: bool) -> Kind:
    """The format that is asked for, by --format, by the suffix of the file, or by --text."""
    if out is None or out == STDOUT:
        kind = kind or (Kind.txt if text else Kind.dot if out else Kind.svg)
        if text and kind is not Kind.txt:
            raise ValueError(f"--text is text and --format {kind} is not: give one of the two")
        if out and kind not in (Kind.svg, Kind.dot, Kind.txt):
            raise ValueError(f"-o - writes text: --format svg, dot or txt, and not {kind}")
        return kind
    suffix = out.suffix.lower().removeprefix(".").replace("gv", "dot")
    if suffix not in {*Kind}:
        raise ValueError(
            f"-o: the suffix picks the format ({', '.join(f'.{k}' for k in Kind)}), and {out} has {suffix or 'none'}"
        )
    if kind not in (None, suffix):
        raise ValueError(f"-o {out} and --format {kind} are two formats: leave out --format")
    return Kind(suffix)


def collapsed(parts: Sequence[str]) -> Any:
    """A depth, one or several paths and classes, or None."""
    if len(parts) == 1:
        return int(parts[0]) if parts[0].isdecimal() else parts[0]
    if any(part.isdecimal() for part in parts):
        raise ValueError(f"--collapse is one depth, or paths and classes, and not {' and '.join(parts)}")
    return [*parts] or None


def _put(drawing: tg.viz.Drawing, path: Path | None, kind: Kind, *, also_as_text: bool) -> None:
    """Writes the picture, or prints it; where there is no program that lays graphs out, its text form takes its place."""
    try:
        if path is None:
            typer.echo(drawing.source if kind is Kind.dot else drawing.svg() if kind is Kind.svg else _text(drawing))
            return
        drawing.save(path)
    except FileNotFoundError:  # of the program: the folder was there a moment ago
        if path is not None:
            typer.echo(_text(drawing))
        raise
    except RuntimeError as error:  # the program fails
        raise ValueError(str(error)) from None
    if also_as_text:
        typer.echo(_text(drawing))
    nodes, edges = len(drawing.scene.nodes), len(drawing.scene.edges)
    typer.echo(f"{path}: {nodes:,} node{'s' * (nodes != 1)}, {edges:,} edge{'s' * (edges != 1)}")


def _text(drawing: tg.viz.Drawing) -> str:
    """The text form: as wide as the terminal, or as it is where a program reads it."""
    return drawing.text(width=get_terminal_size().columns if sys.stdout.isatty() else None)
