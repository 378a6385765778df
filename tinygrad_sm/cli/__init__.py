"""The command `tinygrad-sm`: what the package can do, from a terminal."""

from __future__ import annotations

import typer

import tinygrad_sm as tg
from tinygrad_sm.cli import check, demo, drawings, ops, play, train

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    help="Autodiff in pure Python in which softmax is an op of the graph. Begin with `tinygrad-sm demo`.",
    epilog="Every command explains itself: tinygrad-sm train --help",
)
app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("check")(check.check)
app.command("draw")(drawings.draw)
app.command("play")(play.play)
app.command("ops")(ops.ops)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tinygrad_sm {tg.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Entry point of the command."""
    app()
