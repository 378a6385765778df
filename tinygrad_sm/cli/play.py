"""`tinygrad-sm play`: the player of an example's graph, or of a person's own, as one HTML file."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from tinygrad_sm.cli import pictures
from tinygrad_sm.cli.drawings import collapsed
from tinygrad_sm.cli.shared import sentences


class Theme(enum.StrEnum):
    """The colours at first; a key changes them."""

    auto = "auto"
    light = "light"
    dark = "dark"


def play(
    target: Annotated[str | None, typer.Argument(help=pictures.TARGET)] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file (default: the target's name, .html).")] = None,
    browser: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Show it in the browser (default: in a terminal).")
    ] = None,
    expand: Annotated[
        list[str] | None,
        typer.Option(help="Show only this op's composition beside it (default: every fused op's); repeatable."),
    ] = None,
    fused: Annotated[bool, typer.Option("--fused", help="Show the fused ops as they are, and no composition.")] = False,
    collapse: Annotated[
        list[str] | None,
        typer.Option(help="Draw modules as one box each: a depth (0: the outermost), or a path or a class; repeatable."),
    ] = None,
    max_nodes: Annotated[int, typer.Option(min=1, help="Above so many nodes modules are collapsed.")] = 300,
    theme: Annotated[Theme, typer.Option(help="The colours.")] = Theme.auto,
    title: Annotated[str | None, typer.Option(help="Above the player.")] = None,
    shape: Annotated[list[str] | None, typer.Option(help=pictures.SHAPE)] = None,
    seed: Annotated[int, typer.Option(help="Of the random inputs.")] = 0,
    engine: Annotated[str | None, typer.Option(help="The program that lays out, such as dot.")] = None,
) -> None:
    """Step through a computation and its backpropagation, number by number, in the browser.

    Writes one file that needs neither a server nor a network. Without a target, lists the examples.
    """
    with sentences():
        if target is None:
            pictures.show_examples("play")
            return
        if fused and expand:
            raise ValueError("--fused shows no composition and --expand shows one: give one of the two")
        subject = pictures.subject_of(target, shape or (), seed, "play")
        path = pictures.destination(out, target, ".html")
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"-o: the player is an HTML file, name.html, and not {path}")
        from tinygrad_sm.viz.players.playing import player

        try:
            page = player(
                subject.value,
                names=subject.names,
                expand=() if fused else expand or True,
                grad_output=subject.grad_output,
                theme=theme.value,
                title=title,
                collapse=collapsed(collapse or ()),
                max_nodes=max_nodes,
                engine=engine,
            )
            page.save(path)
        except RuntimeError as error:  # the program that lays out fails
            raise ValueError(str(error)) from None
        typer.echo(f"{path}: {path.stat().st_size / 1000:,.0f} kB, one file that needs no network")
        if note := pictures.note_on(subject):
            typer.echo(note)
        if (pictures.is_watched() if browser is None else browser) and pictures.open_in_browser(path):
            typer.echo("It opens in your browser.")
        else:
            typer.echo(f"Open it in a browser: {path.resolve().as_uri()}")
