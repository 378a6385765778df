"""A gradient against estimated slopes, for functions that leave our ops: every estimate with a bound for what is unsure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from math import fsum, inf, isfinite, isnan, sqrt
from random import Random
from typing import Any

from tinygrad_sm.check.differences import JUMP, KINK, UNDEFINED, Slope, arithmetic, ridders, sides
from tinygrad_sm.check.noise import bound, measured
from tinygrad_sm.check.proof import EACH, Flow, Proof, attempted
from tinygrad_sm.check.reports import index_of
from tinygrad_sm.check.subjects import Subject
from tinygrad_sm.check.truth import filled_with, flat
from tinygrad_sm.check.units import precision_of
from tinygrad_sm.check.verdicts import FAIL, INCONCLUSIVE, PASS, Element
from tinygrad_sm.check.verdicts import KINK as VALID_KINK
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.value import recording

PROJECTIONS = 3
ROUGHLY = 1e-2  # of the terms that add up to a slope, which floats must be able to see
NOWHERE = Slope(0.0, inf, 0.0, 0.0, UNDEFINED)
FOUND = 16  # of the coordinates that disagree so many are looked at one by one


def estimate(subject: Subject, flows: Sequence[Flow], order: int, rng: Random) -> list[Element]:
    """A verdict on every coordinate for each of the flows, from noise-aware differences."""
    gradients = subject.gradients([flow for _, flow in flows], subject.start)
    elements = []
    cache: dict[tuple, list[float]] = {}
    for (name, flow), got in zip(flows, gradients, strict=True):
        rough = Rough(subject, flow, [float(v) for v in got], rng, cache)
        for k, (value, error, verdict, note) in enumerate(rough.verdicts()):
            if subject.held.get(k) == 0:
                continue  # f refuses every other number
            i, place = subject.where(k)
            index = index_of(place, shape(subject.inputs[i]))
            elements.append(Element(order, name, subject.names[i], i, index, got[k], value, error, verdict, note))
    return elements


def hides_a_number(proof: Proof, flow: Sequence[float], order: int, rng: Random) -> bool:
    """Whether the values on floats move otherwise than the recorded graph on decimals.

    What f computed with plain numbers (`float(x)`, `x.detach()`, a mask) is a constant of the recorded graph. In first order
    it counts as hidden, too, where rounding hides it.
    """
    subject, everything = proof.subject, range(len(proof.start))
    sizes = [float(v) for v in attempted(lambda: subject.magnitudes(flow, subject.start)) or [0.0] * len(everything)]
    visible = ROUGHLY if order == 1 else inf
    with localcontext(arithmetic(proof.digits)):
        if len(everything) <= EACH:
            movable = [k for k in everything if subject.held.get(k) != 0]
            slopes = [proof.slope(k, flow) if k in movable else NOWHERE for k in everything]
            rough = Rough(subject, flow, [float(slope.value) for slope in slopes], rng, {})
            largest = max(*sizes, *(abs(float(slopes[k].value)) for k in movable), 0.0)
            for slope, (_, error, verdict, _) in ((slopes[k], rough.element(k)) for k in movable):
                kink = verdict == VALID_KINK and slope.kind != KINK
                if verdict == FAIL or kink or error > visible * largest:
                    return True
            return False
        rough = Rough(subject, flow, [], rng, {})
        for direction in (rough.direction(everything) for _ in range(PROJECTIONS)):
            exact = float(proof.stencil({k: Decimal(v) for k, v in enumerate(direction)})(flow).value)
            size = max(abs(exact), fsum(abs(s * v) for s, v in zip(sizes, direction, strict=True)))
            value, error = rough.slope(everything, direction, size)
            if abs(exact - value) > max(4 * error, 64 * rough.eps * size) or error > visible * size:
                return True
        return False


class Rough:
    """The contracted function of one flow, its noise, and what its gradient is said to be."""

    def __init__(self, subject: Subject, flow: Sequence[float], got: list[float], rng: Random, cache: dict) -> None:
        self.subject, self.flow, self.got, self.rng, self.cache = subject, flow, got, rng, cache
        self.start = [float(x) for x in subject.start]
        self.eps = max(2.0 ** (1 - precision_of(subject.inputs[i]).bits) for i in subject.differentiated)
        self.noise = measured(self._value, self.start, rng, self.eps, subject.held)
        if subject.by_hand is None:
            with recording(True):
                outputs = subject.outputs(subject.arguments(self.start))
            self.noise = max(self.noise, bound(outputs, flow, self.eps))

    def _value(self, numbers: Sequence[float]) -> float:
        key = tuple(numbers) if len(numbers) <= EACH else None  # all flows ask for the same places
        values = self.cache.get(key) if key else None
        if values is None:
            values = [float(y) for y in self.subject.values(numbers)]
            if key:
                self.cache[key] = values
        terms = [g * y for g, y in zip(self.flow, values, strict=True) if g]
        return fsum(terms) if all(map(isfinite, terms)) else sum(terms)

    def verdicts(self) -> list[tuple[float, float, str, str]]:
        """(slope, what it may be wrong by, verdict, sentence) for every coordinate."""
        everything = range(len(self.start))
        if len(self.start) <= EACH:
            return [self.element(k) for k in everything]
        results: list[Any] = [(v, inf, PASS, "") for v in self.got]
        found = {k for k in everything if not isfinite(self.got[k])}
        for _ in range(PROJECTIONS):
            verdict, left, unseen = self._search([k for k in everything if k not in found], found)
            results = [(v, min(e, u), *rest) for (v, e, *rest), u in zip(results, unseen, strict=True)]
            for k in left:
                results[k] = (self.got[k], inf, INCONCLUSIVE, "not looked at, since so many others disagree")
            if verdict == INCONCLUSIVE:
                note = "many coordinates at once give no sure slope"
                results = [(v, inf, INCONCLUSIVE, note) if r[2] == PASS else r for v, r in zip(self.got, results, strict=True)]
            if left:
                break
        for k in sorted(found):
            results[k] = self.element(k)
        return results

    def element(self, k: int) -> tuple[float, float, str, str]:
        """(slope, what it may be wrong by, verdict, sentence) for one coordinate, which is moved alone."""

        def phi(t: float) -> float:
            numbers = [*self.start]
            numbers[k] = t
            return self._value(numbers)

        like = self.subject.inputs[self.subject.where(k)[0]]

        def rounded(t: float) -> float:
            return t if self.eps == 2.0**-52 else float(flat(filled_with(like, [t] * len(flat(like))))[0])

        x, got = self.start[k], self.got[k]
        if not isfinite(phi(x)):
            return 0.0, inf, INCONCLUSIVE, "f has no finite value here"
        side = self.subject.held.get(k)
        value, error = ridders(phi, x, self.noise, self.eps, rounded, side)
        verdict = self._verdict(got, value, error)
        if verdict != PASS:
            if got == 0 and all(phi(rounded(x + h)) == phi(x) for h in (0.25, -0.25, 1e-3, -1e-3, 1e-6, -1e-6)):
                return 0.0, 0.0, PASS, ""
            two = sides(phi, x, self.noise, rounded) if side is None else None
            if two is not None:
                return self._at_a_kink(got, two)
        note = "the difference is not sure enough" if verdict == INCONCLUSIVE else ""
        return value, error, verdict, note

    def _at_a_kink(self, got: float, two: Slope) -> tuple[float, float, str, str]:
        if two.kind == JUMP:
            return two.value, inf, INCONCLUSIVE, "f jumps here, so it has no derivative"
        low, high = sorted((two.left, two.right))
        allowed = max(1e-6 * max(abs(low), abs(high)), 4 * two.error)
        text = f"kink: slopes {two.left:.6g} and {two.right:.6g}; {got:.6g} is "
        if low - allowed <= got <= high + allowed:
            return two.value, two.error, VALID_KINK, text + "a valid subgradient"
        return two.value, two.error, FAIL, text + "outside"

    def _verdict(self, got: float, value: float, error: float, rounding: float = 0.0) -> str:
        if isnan(got) and error < inf:
            return FAIL
        error *= 4
        if abs(got - value) > max(1e-8 * abs(value), 64 * self.eps * abs(value), error, rounding):
            return FAIL
        sure = error <= max(1e-6, 1e3 * self.eps) * max(abs(value), abs(got))
        return PASS if sure else INCONCLUSIVE

    # --- many coordinates at once

    def _search(self, every: list[int], found: set[int]) -> tuple[str, set[int], list[float]]:
        """Adds the coordinates that disagree to `found`, by halves of a random sum that does.

        Returns what the whole sum said, the coordinates that were too many to look at, and what the sum does not show of each.
        """
        direction = self.direction(every)
        whole, error = self._along(every, direction)
        groups = [every] if whole == FAIL else []
        while groups and len(found) < FOUND:
            group = groups.pop()
            if len(group) == 1:
                found.update(group)
                continue
            middle = len(group) // 2
            groups += [half for half in (group[:middle], group[middle:]) if self._along(half, direction)[0] == FAIL]
        unseen = [error / abs(v) if v else inf for v in direction]
        return whole, {k for group in groups for k in group} - found, unseen

    def direction(self, every: Sequence[int]) -> list[float]:
        """Random signs, times the typical size of each input."""
        direction, begin = [], 0
        held = self.subject.held
        for i in self.subject.differentiated:
            size = len(flat(self.subject.inputs[i]))
            part = self.start[begin : begin + size]
            typical = sqrt(fsum(x * x for x in part) / size) if size else 0.0
            direction += [held.get(begin + k, self.rng.choice((-1.0, 1.0))) * (typical or 1.0) for k in range(size)]
            begin += size
        return direction

    def _along(self, group: Sequence[int], direction: Sequence[float]) -> tuple[str, float]:
        """The verdict on a sum of a group, and what may be wrong with it unseen."""
        terms = [self.got[k] * direction[k] for k in group]
        size = fsum(map(abs, terms))
        value, error = self.slope(group, direction, size)
        return self._verdict(fsum(terms), value, error, 64 * self.eps * size), max(4 * error, 64 * self.eps * size)

    def slope(self, group: Sequence[int], direction: Sequence[float], size: float) -> tuple[float, float]:
        """The slope along a direction and what it may be wrong by; `size` is that of what adds up to it."""

        def phi(t: float) -> float:
            numbers = [*self.start]
            for k in group:
                numbers[k] += t * direction[k]
            return self._value(numbers)

        side = 1 if any(k in self.subject.held for k in group) else None
        return ridders(phi, 0.0, self.noise + self.eps / 2 * size, self.eps, side=side)


def taylor(value: Callable[[float], float], slope: float) -> float | None:
    """The order with which f(x + h v) - f(x) - h <g, v> vanishes, from h = 1e-3 and half of it; None where nothing is left."""
    from math import log2

    here = value(0.0)
    rest = [abs(value(h) - here - h * slope) for h in (1e-3, 5e-4)]
    noise = 1e-12 * (abs(here) + abs(slope))
    return log2(rest[0] / rest[1]) if all(isfinite(r) and r > noise for r in rest) else None
