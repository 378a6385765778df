"""What a person sees while a network learns: a bar with the time left, or plain lines where nobody watches."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_sm.training.fitting import History

LINES = 20  # at most so many plain lines a run


class Silent:
    """Shows nothing."""

    def __init__(self, epochs: int, steps: int) -> None:
        self.epochs, self.steps = epochs, steps

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def step(self, epoch: int, numbers: str) -> None:
        """A step is done."""

    def epoch(self, history: History) -> None:
        """An epoch is done."""

    def say(self, text: str) -> None:
        """Something to know."""


class Lines(Silent):
    """A line an epoch, or fewer if there are many."""

    def __enter__(self) -> Lines:
        self.started = perf_counter()
        return self

    def epoch(self, history: History) -> None:
        """Its numbers and the time left."""
        done = len(history.loss)
        if done == self.epochs or not done % -(-self.epochs // LINES):
            self.say(f"{self.place(done)}  {summary(history)}{self.time_left(done)}")

    def time_left(self, done: int) -> str:
        """As the epochs so far took it."""
        left = (perf_counter() - self.started) / done * (self.epochs - done)
        return f"  {left:.0f} s left" if left else ""

    def place(self, epoch: int) -> str:
        """Which epoch it is, of how many."""
        return f"epoch {epoch:>{len(str(self.epochs))}}/{self.epochs}"

    def say(self, text: str) -> None:
        """Prints it."""
        print(text, flush=True)


class Bar(Lines):
    """The lines too, and below them a bar that grows with each step and shows the time left."""

    def __enter__(self) -> Bar:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().__enter__()
        columns = (TextColumn("{task.fields[place]}"), BarColumn(bar_width=None), TextColumn("{task.fields[numbers]}"))
        self.bar = Progress(*columns, TimeRemainingColumn(), transient=True)
        self.task = self.bar.add_task("", total=self.epochs * self.steps, place=self.place(1), numbers="")
        self.bar.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.__exit__(*error)

    def time_left(self, done: int) -> str:
        """The bar shows it."""
        return ""

    def step(self, epoch: int, numbers: str) -> None:
        """Grows."""
        self.bar.update(self.task, advance=1, place=self.place(epoch + 1), numbers=numbers)

    def say(self, text: str) -> None:
        """Prints it above the bar."""
        self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


def display(progress: bool, epochs: int, steps: int) -> Silent:
    """The fitting one."""
    watched = sys.stdout.isatty() or "ipykernel" in sys.modules
    return (Bar if watched else Lines)(epochs, steps) if progress else Silent(epochs, steps)


def numbers(loss: float, accuracy: float | None) -> str:
    """Loss and accuracy in a few characters, so that they stand below each other."""
    return f"loss {short(loss)}" + (f"  accuracy {100 * accuracy:.1f} %" if accuracy is not None else "")


def short(loss: float) -> str:
    """Six characters, or eight for a very small or large one."""
    return f"{loss:.4f}" if 1e-3 <= loss < 10 else f"{loss:.4g}" if 10 <= loss < 1e4 else f"{loss:.2e}"


def summary(history: History) -> str:
    """The numbers of the last epoch."""
    text = numbers(history.loss[-1], history.accuracy[-1] if history.accuracy else None)
    if history.validation_loss:
        text += f"  validation {short(history.validation_loss[-1])}"
    if history.validation_accuracy:
        text += f"  {100 * history.validation_accuracy[-1]:.1f} %"
    return text
