"""`tinygrad-sm demo`: the main job, a softmax classifier of real digits, and a look inside."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.console import Console

import tinygrad_sm as tg
from tinygrad_sm.cli import shared

SHADES = " ░▒▓█"


def demo(
    array: Annotated[shared.Library, typer.Option(help="The arrays to compute on.")] = shared.Library.nd,
    epochs: Annotated[int, typer.Option(min=1, help="How often to go through the training images.")] = 15,
    seed: Annotated[int, typer.Option(help="Of the split, the weights and the order of the images.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder for the drawing.")] = Path("tinygrad_sm_demo"),
) -> None:
    """Train a softmax classifier of handwritten digits, check its gradients, and draw a graph."""
    with shared.sentences():
        console = Console(highlight=False, markup=False, emoji=False)
        out.mkdir(parents=True, exist_ok=True)  # before anything takes long
        xp = shared.library(array)
        digits = tg.datasets.load_digits()
        X_train, X_test, y_train, y_test = tg.datasets.train_test_split(
            digits.X / 16.0, digits.y, test_size=0.2, seed=seed, stratify=True
        )
        tg.manual_seed(seed)
        model = tg.nn.MLP([64, 32, 10], activation="relu").to(xp)

        console.print(f"Handwritten digits and a softmax classifier, on {shared.named(xp)}", style="bold", end="\n\n")
        console.print(f"{len(digits.y):,} images of 8x8 pixels (UCI): {len(y_train):,} to learn from, {len(y_test)} held out")
        console.print(f"to be tested on (a stratified split by seed {seed}).", end="\n\n")
        console.print(model, end="\n\n")
        _learn(model, X_train, y_train, epochs, seed)
        _show_test(console, model, X_test, y_test)
        _show_gradients(console, model, X_train[:32], y_train[:32], xp)
        _show_graph(console, out)


def _learn(model: Any, X: Any, y: Any, epochs: int, seed: int) -> None:
    """Adam with a learning rate that falls to 0 along a cosine; a tenth of the images watches."""
    optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
    scheduler = tg.optim.CosineAnnealingLR(optimizer, epochs)
    start = perf_counter()
    tg.fit(model, X, y, epochs=epochs, optimizer=optimizer, scheduler=scheduler, seed=seed, validation=0.1)
    print(f"trained in {perf_counter() - start:.1f} s")


def _show_test(console: Console, model: Any, X: Any, y: Any) -> None:
    """The confusion matrix, the mistake that the network was surest of, and the accuracy."""
    outputs = tg.predict(model, X, outputs=True)
    probabilities, targets = tg.softmax(outputs).tolist(), y.tolist()
    predictions = tg.argmax(outputs, axis=-1).tolist()
    console.print()
    console.print(shared.confusion(targets, predictions, [str(i) for i in range(10)]))
    wrong = [i for i, (t, p) in enumerate(zip(targets, predictions, strict=True)) if t != p]
    if wrong:
        worst = max(wrong, key=lambda i: probabilities[i][predictions[i]])
        _show_mistake(console, X[worst].tolist(), probabilities[worst], targets[worst])
    console.print(f"test accuracy: {100 * tg.accuracy(predictions, y):.1f} %", style="bold", end="\n\n")


def _show_mistake(console: Console, pixels: list[float], probabilities: list[float], target: int) -> None:
    """An image of the test, and what the network took it for."""
    guess = probabilities.index(max(probabilities))
    notes = {
        2: "the surest mistake:",
        3: f"taken for a {guess}, p = {probabilities[guess]:.3f}",
        4: f"it is a {target}, p = {probabilities[target]:.3f}",
    }
    for r in range(8):
        row = "".join(2 * SHADES[min(4, int(5 * x))] for x in pixels[8 * r : 8 * r + 8])
        console.print(f"    {row}    {notes.get(r, '')}")
    console.print()


def _show_gradients(console: Console, model: Any, X: Any, y: Any, xp: Any) -> None:
    """Fused against composed: the gradients of one batch, both ways."""
    X, y = xp.asarray(X.tolist()), xp.asarray(y.tolist())
    parameters = [*model.parameters()]
    fused = tg.grad(tg.cross_entropy(model(X), y), parameters)
    composed = tg.grad(tg.cross_entropy.composed(model(X), y), parameters)
    difference = max(float(xp.max(xp.abs(f - c))) for f, c in zip(fused, composed, strict=True))
    console.print("Cross-entropy as one fused op, and composed of primitives: on a batch of")
    console.print(
        f"{len(y)} images the largest difference of their {sum(p.size for p in parameters):,} gradients is {difference:.1e}.",
        end="\n\n",
    )


def _show_graph(console: Console, folder: Path) -> None:
    """The graph of a network that is small enough to read, with the ops as they are and composed of primitives."""
    written, problem = [], ""
    for name, switch in (("softmax_network", nullcontext()), ("softmax_network_composed", tg.composed())):
        tg.manual_seed(0)
        model = tg.nn.MLP([2, 3])
        with switch:
            loss = tg.cross_entropy(model(tg.Value([0.5, -1.0], name="x", requires_grad=False)), 2)
        loss.backward()
        drawing = tg.draw(loss, names={**dict(model.named_parameters()), "loss": loss})
        written.append(drawing.save(folder / f"{name}.dot"))
        try:
            written.append(drawing.save(folder / f"{name}.svg"))
        except (FileNotFoundError, RuntimeError) as error:  # no program that lays graphs out, or one that fails
            problem = str(error)
    console.print("The graph of a small softmax network, with values and gradients:")
    for path in written:
        console.print(f"    {path}", soft_wrap=True)
    if problem:
        console.print(f"No picture: {problem}", soft_wrap=True)
