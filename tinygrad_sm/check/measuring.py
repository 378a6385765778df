"""How accurate the softmax family is: its largest errors on inputs of every kind, beside those of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Context, Decimal
from functools import partial
from itertools import cycle
from math import fsum, inf, isinf, log
from random import Random
from typing import Any, NamedTuple

from tinygrad_sm import family
from tinygrad_sm.check import recorded, truth
from tinygrad_sm.check.reports import amount, table
from tinygrad_sm.check.truth import flat
from tinygrad_sm.check.units import DOUBLE
from tinygrad_sm.graph import Value, grad

Row = list[float]
Progress = Callable[[int, int, str], None]

LIMITS = {  # in ulp; logsumexp in that of the larger of its terms, the largest logit and the rest; kl_div relative
    "softmax": 4.0,
    "log_softmax": 3.0,
    "logsumexp": 2.0,
    "cross_entropy": 3.0,
    "cross_entropy gradient": 4.0,
    "soft cross_entropy": 3.0,
    "sigmoid": 3.0,
    "softplus": 3.0,
    "log_sigmoid": 3.0,
    "BCE, target 0": 3.0,
    "BCE, target 1": 3.0,
    "BCE, target 0.3": 3.0,
    "confident loss": 3.0,
    "confident gradient": 3.0,
    "kl_div": 1e-14,
}


SINGLE = 60  # logits from each interval
PAIRS = 20  # of rows near each other


class Figure(NamedTuple):
    """The largest error of one quantity on one kind of inputs, in ulp (kl_div: relative), and the recorded ones of others."""

    quantity: str
    inputs: str
    error: float
    limit: float
    scipy: float | None
    torch: float | None
    jax: float | None


class Accuracy:
    """What `accuracy_table` measured: true if every error is within its limit. Print it for a table."""

    def __init__(self, figures: list[Figure], seed: int) -> None:
        self.figures, self.seed = figures, seed

    @property
    def ok(self) -> bool:
        """Whether every error is within its limit."""
        return all(x.error <= x.limit for x in self.figures)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def largest(self) -> dict[str, float]:
        """The largest error of each quantity over all inputs."""
        return {
            q: max(x.error for x in self.figures if x.quantity == q) for q in dict.fromkeys(x.quantity for x in self.figures)
        }

    def table(self) -> str:
        """One row a quantity and kind of inputs."""
        headings = ["quantity", "inputs", "ours", "limit", *recorded.LIBRARIES, ""]
        rows: list[list[str]] = []
        last = ""
        for x in self.figures:
            others = ["" if other is None else _shown(other, x.quantity) for other in (x.scipy, x.torch, x.jax)]
            verdict = "" if x.error <= x.limit else "TOO LARGE"
            name, last = "" if x.quantity == last else x.quantity, x.quantity
            rows.append([name, x.inputs, _shown(x.error, x.quantity), f"{x.limit:g}", *others, verdict])
        return table(headings, rows, right=range(2, 7))

    def summary(self) -> str:
        """One row a quantity: its largest error over all inputs, and on which."""
        rows = []
        for quantity, error in self.largest.items():
            where = next(x for x in self.figures if x.quantity == quantity and x.error == error)
            others = [[x for x in column if x is not None] for column in zip(*self._recorded(quantity), strict=True)]
            theirs = [_shown(max(column), quantity) if column else "" for column in others]
            rows.append([quantity, _shown(error, quantity), where.inputs, f"{where.limit:g}", *theirs])
        return table(["largest of all", "ours", "for", "limit", *recorded.LIBRARIES], rows, right=(1, 3, 4, 5, 6))

    def _recorded(self, quantity: str) -> list[recorded.Figures]:
        return [(x.scipy, x.torch, x.jax) for x in self.figures if x.quantity == quantity]

    def __str__(self) -> str:
        return (
            f"{self.table()}\n\n{self.summary()}\n\n"
            "Largest errors in units in the last place of the exact value, found with decimals; of kl_div relative errors, of\n"
            "logsumexp (ours) in the unit of the larger of its terms, the largest logit and the rest. Ours are measured now,\n"
            f"with seed {self.seed}; recorded on inputs like these: {recorded.VERSIONS}."
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON; an infinite error is text."""
        figures = [{key: "inf" if x == inf else x for key, x in figure._asdict().items()} for figure in self.figures]
        return {"ok": self.ok, "seed": self.seed, "recorded": recorded.VERSIONS, "figures": figures}


def _shown(error: float, quantity: str) -> str:
    return f"{error:.1e}" if quantity == "kl_div" else amount(error)


def accuracy_table(progress: Progress | None = None, *, thorough: bool = False, seed: int = 0) -> Accuracy:
    """Measures the family's largest errors against exact decimals, on our own arrays.

    `progress(done, total, what)` is called before each kind of inputs and at the end. `thorough` takes ten times the inputs.
    """
    times = 10 if thorough else 1
    steps: list[tuple[str, Callable[[Random], Iterator[tuple[str, float]]]]] = [
        *((name, partial(_of_logits, name, times)) for name in FAMILIES),
        *((_interval(ends), partial(_of_single, ends, SINGLE * times)) for ends in recorded.INTERVALS),
        *((f"true loss {loss}", partial(_confident, margin)) for loss, margin in CONFIDENT.items()),
        *((delta, partial(_divergence, float(delta), PAIRS * times)) for delta in DELTAS),
    ]
    found: dict[tuple[str, str], float] = {}
    for done, (inputs, measured) in enumerate(steps):
        if progress is not None:
            progress(done, len(steps), inputs)
        for quantity, error in measured(Random(f"{seed} {inputs}")):
            found[quantity, inputs] = max(found.get((quantity, inputs), 0.0), error)
    if progress is not None:
        progress(len(steps), len(steps), "")
    figures = [Figure(q, inputs, error, LIMITS[q], *recorded.figures(q, inputs)) for (q, inputs), error in found.items()]
    return Accuracy(sorted(figures, key=lambda x: [*LIMITS].index(x.quantity)), seed)


# --- logits


def _normal(rng: Random, n: int, scale: float, offset: float = 0.0) -> Row:
    return [rng.gauss(0.0, scale) + offset for _ in range(n)]


def _margin(rng: Random, n: int, margin: float) -> Row:
    """One logit about `margin` above the others, in any place."""
    row = [*_normal(rng, n - 1, 0.3), margin]
    rng.shuffle(row)
    return row


def _tail(rng: Random, n: int, near: float, far: float) -> Row:
    return [0.0, *(rng.uniform(far, near) for _ in range(n - 1))]


def _log_p(rng: Random, n: int) -> Row:
    """Logarithms of probabilities, so that logsumexp is nearly 0."""
    weights = [rng.random() + 1e-9 for _ in range(n)]
    return [log(w / fsum(weights)) for w in weights]


FAMILIES: dict[str, Callable[[Random, int], Row]] = {
    **{f"scale {s:g}": partial(_normal, scale=s) for s in (1e-6, 1.0, 30.0, 700.0, 10000.0)},
    **{f"margin {m:g}": partial(_margin, margin=m) for m in (10.0, 30.0, 36.0, 37.0, 40.0, 46.0517, 100.0, 700.0)},
    "tail -700..-745": partial(_tail, near=-700.0, far=-745.0),
    "tail -745..-1000": partial(_tail, near=-745.2, far=-1000.0),
    **{f"offset {c}": partial(_normal, scale=1.0, offset=float(c)) for c in ("1e8", "1e12", "-1e15")},
    "ties": lambda rng, n: [rng.choice((-1.0, 0.0, 0.5, 2.0, 2.0)) for _ in range(n)],
    "mixed magnitudes": lambda rng, n: [rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-3.0, 3.0) for _ in range(n)],
    "log p": _log_p,
    "largest floats": lambda rng, n: rng.sample([1e308, -1e308, 1.7e308, 0.0, 1e308], n),
}
LONG = {"scale 1", "scale 30", "margin 40", "offset 1e8", "log p"}  # also with a thousand logits


def _rows(name: str, rng: Random, times: int) -> Iterator[list[Row]]:
    """Lists of rows, each of one length."""
    for n in (2,) if name == "largest floats" else (1, 2, 3, 10):
        yield [FAMILIES[name](rng, n) for _ in range(12 * times)]
    if name in LONG:
        yield [FAMILIES[name](rng, 1000) for _ in range(times)]


def _of_logits(name: str, times: int, rng: Random) -> Iterator[tuple[str, float]]:
    choices: tuple[Callable[[Row], float], ...] = (max, min, rng.choice)
    for rows in _rows(name, rng, times):
        for op in (family.softmax, family.log_softmax):
            yield op.name, _largest(op(rows), truth.run(op, [rows]).output)
        lse = flat(truth.run(family.logsumexp, [rows]).output)
        terms = [max(abs(max(row)), abs(float(x) - max(row))) for row, x in zip(rows, lse, strict=True)]
        yield "logsumexp", max(map(DOUBLE.error, flat(family.logsumexp(rows)), lse, terms))
        wide = any(isinf(max(row) - min(row)) for row in rows)
        labels = [row.index(choose(row)) for row, choose in zip(rows, cycle(choices), strict=False)]
        value, exact = Value(rows), truth.run(family.cross_entropy, [rows, labels], {"reduction": "none"})
        losses = family.cross_entropy(value, labels, reduction="none")
        yield "cross_entropy", _largest(losses, exact.output)
        ones = [1.0] * len(rows)
        yield "cross_entropy gradient", _largest(grad(losses, value, grad_output=ones), exact.gradients(ones)[0])
        targets = [_targets(rng, row, wide) for row in rows]
        exact = truth.run(family.cross_entropy, [rows, targets], {"reduction": "none"})
        yield "soft cross_entropy", _largest(family.cross_entropy(rows, targets, reduction="none"), exact.output)


def _targets(rng: Random, row: Row, wide: bool) -> Row:
    """Probabilities of which some are 0; where logits lie infinitely far apart, all of it on the largest."""
    if wide:
        return [float(i == row.index(max(row))) for i in range(len(row))]
    weights = [rng.random() * (rng.random() < 0.7) for _ in row]
    return [w / fsum(weights) for w in weights] if any(weights) else [1.0 / len(row)] * len(row)


def _largest(got: Any, exact: Any) -> float:
    return max(map(DOUBLE.error, flat(got), flat(exact)))


# --- single logits


def _interval(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:g}, {ends[1]:g}]"


def _of_single(ends: tuple[float, float], count: int, rng: Random) -> Iterator[tuple[str, float]]:
    zs = [rng.uniform(*ends) for _ in range(count)]
    for op in (family.sigmoid, family.softplus, family.log_sigmoid):
        yield op.name, _largest(op(zs), truth.run(op, [zs]).output)
    loss = family.binary_cross_entropy
    for target in (0.0, 1.0, 0.3):
        targets = [target] * count
        exact = truth.run(loss, [zs, targets], {"reduction": "none"})
        yield f"BCE, target {target:g}", _largest(loss(zs, targets, reduction="none"), exact.output)


# --- confident predictions, and rows near each other

CONFIDENT = {"1e-20": 46.0517018598809, "1e-304": 700.0}
DELTAS = ("1", "1e-2", "1e-4", "1e-6", "1e-8")


def _confident(margin: float, _: Random) -> Iterator[tuple[str, float]]:
    value, exact = Value([0.0, margin]), truth.run(family.cross_entropy, [[0.0, margin], 1])
    loss = family.cross_entropy(value, 1)
    yield "confident loss", _largest(loss, exact.output)
    yield "confident gradient", DOUBLE.error(grad(loss, value).tolist()[1], exact.gradients(1.0)[0]._flat[1])


def _divergence(delta: float, count: int, rng: Random) -> Iterator[tuple[str, float]]:
    rows = [_normal(rng, 10, 1.0) for _ in range(count)]
    near = [[x + delta * rng.gauss(0.0, 1.0) for x in row] for row in rows]
    exact = flat(truth.run(family.kl_div, [near, rows], {"reduction": "none"}).output)
    got = flat(family.kl_div(near, rows, reduction="none"))
    yield "kl_div", max(inf if x < 0 else relative_error(x, y) for x, y in zip(got, exact, strict=True))


def relative_error(got: float, exact: Decimal) -> float:
    """|got / exact - 1|."""
    wide = Context(prec=60)
    return abs(float(wide.subtract(wide.divide(Decimal(got), exact), Decimal(1))))
