"""The command `tinygrad-sm`."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

import tinygrad_sm as tg

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Autodiff in pure Python in which softmax is an op.")


@app.callback()
def _root() -> None:
    """Autodiff in pure Python in which softmax is an op of the graph."""


@app.command()
def demo() -> None:
    """Softmax and cross-entropy built two ways, composed and fused, side by side."""
    console = Console()
    logits = [2.0, 1.0, 0.5]
    fused, composed = tg.Value(logits, name="logits"), tg.Value(logits, name="logits")
    loss, same_loss = tg.cross_entropy(fused, 0), tg.cross_entropy.composed(composed, 0)
    loss.backward()
    same_loss.backward()

    table = Table(title="cross-entropy of three logits, target class 0")
    for heading in ("class", "logit", "probability", "gradient, fused", "gradient, composed"):
        table.add_column(heading, justify="right")
    columns = (logits, tg.softmax(logits).tolist(), fused.grad.tolist(), composed.grad.tolist())
    for i, (z, p, g, h) in enumerate(zip(*columns, strict=True)):
        table.add_row(str(i), f"{z:g}", f"{p:.6f}", f"{g:+.15f}", f"{h:+.15f}")
    console.print(table)
    difference = max(abs(g - h) for g, h in zip(columns[2], columns[3], strict=True))
    console.print(f"loss {loss:.6f}; one fused node against {_count(same_loss)} primitive ones")
    console.print(f"largest difference between the two gradients: {difference:.1e}")
    console.print()

    sure = tg.Value([40.0, 0.0])
    loss = tg.cross_entropy(sure, 0)
    loss.backward()
    gradient = ", ".join(f"{g:.6e}" for g in sure.grad.tolist())
    console.print("A confident prediction: logits [40, 0], target 0. Most libraries say loss 0;")
    console.print(f"it is {loss:.6e}, with gradient [{gradient}].")


def _count(output: tg.Value) -> int:
    """How many ops lead to `output`."""
    from tinygrad_sm.graph import sweep

    return sum(node.op is not None for node, _, _ in sweep(output, tg.nd.ones_like(output.data)))


def main() -> None:
    """Entry point of the command."""
    app()


if __name__ == "__main__":
    main()
