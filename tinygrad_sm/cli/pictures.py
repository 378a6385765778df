"""What `draw` and `play` share: a target by its name as a Value to draw, the list of examples, and the browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

import tinygrad_sm as tg
from tinygrad_sm.cli.calling import blamed, filled, one_each, required, scaled, sizes_of, where_defined
from tinygrad_sm.cli.finding import find
from tinygrad_sm.cli.shared import must_be_writable
from tinygrad_sm.nd.shapes import brief
from tinygrad_sm.viz.examples import EXAMPLES

TARGET = (
    "An example (without one, they are listed), an op such as logsumexp with --shape, or your own: module:name or file.py:name."
)
SHAPE = "For a function of arrays: random inputs of this shape, such as 3,4; once an input if they differ."


class Subject(NamedTuple):
    """What is to be drawn: a Value, what names its parts, and what flows back into each element where there are several."""

    value: tg.Value
    names: Mapping[str, Any] | tg.nn.Module
    grad_output: float | None


def subject_of(target: str, shapes: Sequence[str], seed: int, command: str) -> Subject:
    """The Value that `target` means: an example, a Value, or the result of a function or of a network.

    A function gives its Value, or a pair of the Value and what names its parts, as in `return loss, locals()`. Without --shape
    it takes no arguments; with it, random numbers of those shapes. Raises a ValueError that says what is wrong.
    """
    sizes = [*map(sizes_of, shapes)]
    example = EXAMPLES.get(target.replace("_", "-"))
    if example and not (sizes and target in tg.fused_ops):
        if sizes:
            raise ValueError(f"{target} is an example with numbers of its own: leave out --shape")
        value, names = example()
    else:
        thing, around = (tg.fused_ops[target], {}) if target in tg.fused_ops else _found(target, command)
        value, names = _parts_of(_result(thing, target, sizes, seed, command))
        if not isinstance(value, tg.Value):
            several = "; of several Values, return tg.stack([...])" if isinstance(value, (list, tuple)) else ""
            raise ValueError(
                f"{target} returned {brief(value)} and no Value: let it return the Value to draw, or (value, locals()) "
                f"to have its variables named{several}"
            )
        if not isinstance(names, tg.nn.Module):
            names = {**names, **{name: x for name, x in around.items() if name not in names}}
    return Subject(value, names, None if value.size == 1 else 1.0)


def _found(target: str, command: str) -> tuple[Any, Mapping[str, Any]]:
    """What a person's `module:name` names, and everything else that has a name there."""
    if ":" not in target:
        if target.endswith(".py") or Path(f"{target}.py").is_file():
            raise ValueError(
                f"{target} is a file: name the Value or the function in it, as in tinygrad-sm {command} {target}:loss"
            )
        near = get_close_matches(target, {**EXAMPLES, **tg.fused_ops}, cutoff=0.65)
        hint = f"did you mean {' or '.join(near)}?" if near else f"`tinygrad-sm {command}` lists them."
        raise ValueError(f"there is no example {target!r}; {hint} What is your own is written module:name or file.py:name")
    return find(target), find(f"{target.rpartition(':')[0]}:__dict__")


def _result(thing: Any, target: str, sizes: Sequence[tuple[int, ...]], seed: int, command: str) -> Any:
    """A Value itself, or what a function gives: called without arguments, or with inputs of the shapes."""
    if isinstance(thing, tg.Value):
        if sizes:
            raise ValueError(f"{target} is a Value, which has its shape: leave out --shape")
        return thing
    if isinstance(thing, type) or not callable(thing):
        what = "a class" if isinstance(thing, type) else brief(thing)
        raise ValueError(f"{target} is {what}; {command} takes a Value, a function that returns one, or a network")
    names = required(thing)
    if sizes:
        return _called(thing, names, target, one_each(thing, target, sizes), seed)
    if names or isinstance(thing, tg.nn.Module):
        takes = f" ({', '.join(names)})" if names else ""
        raise ValueError(f"give the shape of what {target} takes{takes}: tinygrad-sm {command} {target} --shape 3,4")
    with blamed(f"{target} failed"):
        return thing()


def _called(
    function: Callable[..., Any], names: Sequence[str], target: str, sizes: Sequence[tuple[int, ...]], seed: int
) -> Any:
    """The function of random numbers, which are called what it calls them."""
    row = partial(scaled(1.0), Random(seed))
    hint = "give a function without arguments that makes inputs of its own, and leave out --shape"
    numbers = where_defined(
        lambda *inputs: _parts_of(function(*inputs))[0], target, [filled(shape, row) for shape in sizes], hint
    )
    words = names or [f"x{i}" for i in range(len(sizes))] if sizes[1:] else names or ["x"]
    with blamed(f"{target} failed"):
        return function(*(tg.Value(x, name=word) for x, word in zip(numbers, words, strict=True)))


def _parts_of(result: Any) -> tuple[Any, Any]:
    """The Value that a function returned, and the names that came with it."""
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], (Mapping, tg.nn.Module)):
        return result
    return result, {}


def with_gradients(subject: Subject) -> Subject:
    """The same after `backward`, unless it has gradients already: those of a person's own program stay as they are."""
    if subject.value.requires_grad and not subject.value.has_grad:
        with blamed("backward failed"):
            subject.value.backward(subject.grad_output)
    return subject


def note_on(subject: Subject) -> str:
    """Of what the gradients are where the result is no single number, in a sentence; else nothing."""
    if subject.grad_output is None or not subject.value.requires_grad:
        return ""
    return f"The result has shape {subject.value.shape}; the gradients are those of the sum of its elements."


def show_examples(command: str) -> None:
    """Prints every example with the first line of its docstring."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column()
    for name, example in EXAMPLES.items():
        table.add_row(name, (example.__doc__ or "").partition("\n")[0])
    console = Console(highlight=False, markup=False)
    console.print(f"Say what to {command}: an example, as in `tinygrad-sm {command} mlp`,\n")
    console.print(table)
    console.print(f"\nor your own, as in `tinygrad-sm {command} mine.py:loss`. More: tinygrad-sm {command} --help")


def destination(out: Path | None, target: str, suffix: str) -> Path:
    """Where the picture goes: `out`, or a file of the current folder that is called what the target is called.

    Raises an OSError where no file could be written: before the work, which would be in vain.
    """
    path = out or Path(target.rpartition(":")[2] + suffix)
    must_be_writable(path)
    return path


def open_in_browser(path: Path) -> bool:
    """Shows a file in the browser, and tells whether there is one.

    Without a screen only a browser in the terminal could be found, which would take the terminal over until somebody ends it;
    so there it is used only if the environment variable BROWSER asks for it.
    """
    import webbrowser

    has_screen = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not has_screen and not os.environ.get("BROWSER"):
        return False
    return webbrowser.open(path.resolve().as_uri())


def is_watched() -> bool:
    """Whether a person sees what is printed, and not a program or the log of a machine that builds and tests."""
    return sys.stdout.isatty() and not os.environ.get("CI")
