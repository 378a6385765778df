"""What a gradient check found: a verdict on every element, and a report that a person reads at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tinygrad_sm.check.reports import number, place, table

PASS, KINK, INCONCLUSIVE, FAIL = "PASS", "KINK", "INCONCLUSIVE", "FAIL"  # from good to bad
RANK = {verdict: rank for rank, verdict in enumerate((PASS, KINK, INCONCLUSIVE, FAIL))}
SHOWN = 10


class Element(NamedTuple):
    """One entry of a gradient: what the function's own gradient says, what it should be and how sure that is, and why."""

    order: int  # 2: an entry of the gradient of the gradient
    flow: str  # what flowed into the outputs
    name: str  # of the input
    input: int
    place: tuple[int, ...]
    gradient: Any
    exact: Any
    uncertainty: float
    verdict: str
    note: str

    @property
    def difference(self) -> float:
        """|gradient - exact| relative to the larger of the two; inf where one of them is no finite number."""
        got, exact = float(self.gradient), float(self.exact)
        if got == exact or (got != got and exact != exact):
            return 0.0
        larger = max(abs(got), abs(exact))
        return abs(got - exact) / larger if larger < float("inf") and got - exact == got - exact else float("inf")


class Report:
    """The result of `tg.gradcheck`: true only if every element passes, or is a kink at which the gradient is a valid one.

    `elements` has them all, `worst` is the one to look at first, `verdicts` has for each input nested lists in its shape with
    the worst verdict on each element (None on one that f refuses to have moved), and `problems` says in sentences what is wrong
    besides, such as two runs that differ.
    """

    def __init__(
        self,
        elements: Sequence[Element],
        shapes: Sequence[tuple[int, ...] | None],
        method: str,
        problems: Sequence[str],
        remarks: Sequence[str],
        seed: int,
    ) -> None:
        self.elements, self.shapes, self.method, self.seed = [*elements], [*shapes], method, seed
        self.problems, self.remarks = [*problems], [*remarks]

    @property
    def ok(self) -> bool:
        """Whether every element passes or is a kink with a valid subgradient, and nothing else is wrong."""
        return bool(self.elements) and not self.problems and all(RANK[e.verdict] <= RANK[KINK] for e in self.elements)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def worst(self) -> Element | None:
        """The element with the worst verdict, and the largest relative difference among those."""
        return max(self.elements, key=lambda e: (RANK[e.verdict], e.difference), default=None)

    @property
    def counts(self) -> dict[str, int]:
        """How many elements of the inputs got each verdict: each of them its worst, where it was judged several times."""
        found = dict.fromkeys(RANK, 0)
        for e in self._by_place().values():
            found[e.verdict] += 1
        return found

    @property
    def verdicts(self) -> list[Any]:
        """For each input, nested lists in its shape with the worst verdict on each element; None where none is judged."""
        by_place = self._by_place()

        def nested(i: int, index: tuple[int, ...], rest: Sequence[int]) -> Any:
            if not rest:
                return by_place[i, index].verdict if (i, index) in by_place else None
            return [nested(i, (*index, k), rest[1:]) for k in range(rest[0])]

        return [None if shape is None else nested(i, (), shape) for i, shape in enumerate(self.shapes)]

    def _by_place(self) -> dict[tuple[int, tuple[int, ...]], Element]:
        worst: dict[tuple[int, tuple[int, ...]], Element] = {}
        for e in self.elements:
            key = e.input, e.place
            if key not in worst or (RANK[e.verdict], e.difference) > (RANK[worst[key].verdict], worst[key].difference):
                worst[key] = e
        return worst

    def table(self) -> str:
        """One line an input, with its worst element, and one for each of the first ten elements that do not just pass."""
        by_place = self._by_place()
        chosen = []
        for i in range(len(self.shapes)):
            own = sorted(
                (e for e in by_place.values() if e.input == i), key=lambda e: (RANK[e.verdict], e.difference), reverse=True
            )
            striking = [e for e in own if e.verdict != PASS]
            chosen += striking[:SHOWN] or own[:1]
        rows = [
            (
                ("" if e.order == 1 else "2nd ") + place(e.name, e.place),
                e.verdict,
                number(float(e.gradient)),
                number(e.exact, 17),
                f"{e.uncertainty:.0e}" if e.uncertainty else "0",
                f"{e.difference:.1e}",
                e.flow,
                e.note,
            )
            for e in chosen
        ]
        headings = ("worst element", "verdict", "gradient", "should be", "+-", "relative", "inflow", "")
        return table(headings, rows, right=(2, 3, 4, 5))

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {verdict}" for verdict, n in self.counts.items() if n)
        lines = [f"gradcheck: {'ok' if self.ok else 'NOT OK'}: {counts} ({self.method}; seed {self.seed})", self.table()]
        lines += [f"problem: {problem}" for problem in self.problems]
        lines += [f"note: {remark}" for remark in self.remarks]
        return "\n".join(lines)

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data that JSON can hold; exact numbers as text, with all their digits that count."""
        return {
            "ok": self.ok,
            "counts": self.counts,
            "method": self.method,
            "seed": self.seed,
            "problems": self.problems,
            "remarks": self.remarks,
            "elements": [
                {
                    **e._asdict(),
                    "place": [*e.place],
                    "gradient": repr(float(e.gradient)),
                    "exact": number(e.exact, 25),
                    "uncertainty": float(e.uncertainty),
                }
                for e in self.elements
            ],
        }
