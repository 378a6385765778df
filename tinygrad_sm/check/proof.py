"""A gradient against exact differences: the function runs on decimals, so that there is no step size to choose and no noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, localcontext
from functools import partial
from itertools import takewhile
from math import inf
from random import Random
from typing import Any

from tinygrad_sm.check.differences import (
    EDGE,
    JUMP,
    KINK,
    SMOOTH,
    STEEP,
    STEP,
    UNDEFINED,
    Slope,
    arithmetic,
    exact_slope,
)
from tinygrad_sm.check.reports import index_of
from tinygrad_sm.check.subjects import LeavesOpsError, Subject, recorded, require_decimals
from tinygrad_sm.check.truth import FARTHEST, reach
from tinygrad_sm.check.units import precision_of
from tinygrad_sm.check.verdicts import FAIL, INCONCLUSIVE, PASS, RANK, Element
from tinygrad_sm.check.verdicts import KINK as VALID_KINK
from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import shape

SURE = 60  # digits of a value that are left when the step has taken its own
EACH = 64  # up to so many coordinates are moved one by one; beyond, many at once
FEW = 256  # up to so many they are moved one by one where much disagrees
WRONG = 8  # and of more, so many that disagree are looked at
SAMPLE = 4  # if each of so many of them disagrees, all are thought to, and nobody looks further
RULE = Decimal("1e-25")  # what a rule on decimals may be off by, relatively
FLOATS = 1e-8  # an error of the float run below this is rounding, or too small to be sure that it is not

Flow = tuple[str, Sequence[float]]


class Proof:
    """A subject on decimals of enough digits. Raises a LeavesOpsError if decimals cannot follow it."""

    def __init__(self, subject: Subject, rng: Random) -> None:
        self.subject, self.rng = subject, rng
        self.largest = Decimal(0)
        self.digits = self._enough_digits()
        self.start = [Decimal(x) for x in subject.start]
        self.here = subject.values(self.start, self.digits)
        self.scales = [min(abs(x), Decimal(1)) if x else Decimal(1) for x in self.start]
        self.precision = min((precision_of(subject.inputs[i]) for i in subject.differentiated), key=lambda p: p.bits)
        self.least = Decimal(2.0 ** (self.precision.lowest + self.precision.bits + 3))  # among such floats rounding is coarse
        self.most = Decimal(2) ** self.precision.highest / 2
        movable = [k for k in range(len(self.start)) if subject.held.get(k) != 0]
        self.sample = rng.sample(movable, min(SAMPLE, len(movable)))  # the same for every flow
        self._must_follow()
        self._singles: dict[int, Callable[[Sequence[float]], Slope]] = {}

    @property
    def singles(self) -> Iterable[int]:
        """The coordinates whose own slopes are known already."""
        return self._singles.keys()

    def slope(self, k: int, flow: Sequence[float]) -> Slope:
        """The slope along one coordinate."""
        scale = self.scales[k]
        stencil = self._singles.get(k) or self._singles.setdefault(k, self.stencil({k: scale}))
        found = stencil(flow)
        value, error, left, right, kind = found
        return Slope(value / scale, error / scale, left / scale, right / scale, kind)

    def _enough_digits(self) -> int:
        digits = SURE - STEP
        while True:
            try:
                outputs = recorded(self.subject, digits)
                require_decimals(outputs)
                largest, smallest = reach([y for y in outputs if isinstance(y, Value)])
                self.largest = Decimal(1).scaleb(largest)
                needed = SURE - STEP + largest - smallest
            except LeavesOpsError:
                if self.subject.by_hand is None:
                    raise
                return SURE - STEP + FARTHEST  # it takes no Values, so nothing can be seen of what it computes
            if needed <= digits:
                return digits
            digits = needed

    def _must_follow(self) -> None:
        """Raises if a move too small for floats has another slope than one that floats can see."""
        flow = [Decimal(self.rng.choice((-1, 1)) * self.rng.uniform(0.5, 1.5)) if y.is_finite() else 0 for y in self.here]
        visible, held = self.subject.visible(), self.subject.held
        with localcontext(arithmetic(self.digits)):
            moves = [
                Decimal(h * held.get(k, self.rng.choice((-1, 1))) * self.rng.uniform(0.5, 1.5)) for k, h in enumerate(visible)
            ]
            here = _contracted(flow, self.here)

            def value(t: Decimal) -> Decimal:
                moved = [x + t * Decimal(v) for x, v in zip(self.start, moves, strict=True)]
                return _contracted(flow, self.subject.values(moved, self.digits))

            for side in (Decimal(1), Decimal(-1)):
                near, far, tiny = value(side), value(2 * side), side * Decimal("1e-11")
                seen, unseen = (far - near) / side, (value(2 * tiny) - value(tiny)) / tiny
                rounding = abs(here / tiny) * Decimal(10) ** (10 - self.digits)
                curved = 10 * abs(far - 2 * near + here)
                if not abs(seen - unseen) > max(abs(seen), abs(unseen)) / 1000 + curved + rounding:
                    return  # on this side it follows; a kink just beside the point may spoil the other
            raise LeavesOpsError(
                "it does not follow moves that are too small for floats, so something in it computes with them"
            )

    def stencil(self, weights: dict[int, Decimal]) -> Callable[[Sequence[float]], Slope]:
        """The slopes along a direction, for whatever flows into the outputs: five values serve them all."""
        step = Decimal(1).scaleb(STEP)
        rows = [self.here if j == 0 else self.subject.values(self._moved(weights, j * step), self.digits) for j in range(-2, 3)]
        return lambda flow: exact_slope([_contracted(flow, row) for row in rows], step, self.digits, self.largest)

    def directions(self) -> list[tuple[dict[int, Decimal], Callable[[Sequence[float]], Slope]]]:
        """Two random directions in which everything moves, with their slopes."""
        every = [self.random_weights(range(len(self.start))) for _ in range(2)]
        return [(weights, self.stencil(weights)) for weights in every]

    def random_weights(self, group: Iterable[int]) -> dict[int, Decimal]:
        """A random direction along some coordinates, each in proportion to its scale, to a side where f takes it."""
        sides = {k: self.subject.held.get(k, self.rng.choice((-1, 1))) for k in group}
        return {k: Decimal(side * self.rng.uniform(0.5, 1.5)) * self.scales[k] for k, side in sides.items()}

    def _moved(self, weights: dict[int, Decimal], step: Decimal) -> list[Decimal]:
        numbers = [*self.start]
        for k, weight in weights.items():
            numbers[k] += step * weight
        return numbers


def _contracted(flow: Sequence[Any], values: Sequence[Decimal]) -> Decimal:
    return sum((Decimal(g) * y for g, y in zip(flow, values, strict=True) if g), Decimal(0))


def prove(proof: Proof, flows: Sequence[Flow], order: int) -> tuple[list[Element], list[str]]:
    """A verdict on every coordinate for each of the flows, from exact slopes; and remarks."""
    subject, start = proof.subject, proof.subject.start
    raw = [flow for _, flow in flows]
    with localcontext(arithmetic(proof.digits)):
        got = subject.gradients(raw, start)
        rules, remarks = _rules(proof, raw)
        directions = [] if len(start) <= EACH else proof.directions()
        sizes = [attempted(partial(subject.magnitudes, flow, start)) or [0] * len(start) for flow in raw]
        sizes = [[Decimal(v) for v in row] for row in sizes]
        forgiven = leniency(proof, raw, rules, sizes)
        elements = []
        for f, (name, flow) in enumerate(flows):
            rule = None if rules is None else [Decimal(v) for v in rules[f]]
            judge = Judge(proof, flow, rule, got[f], forgiven[f], sizes[f], order, directions)
            for k, slope, verdict, note in judge.all():
                i, place = subject.where(k)
                elements.append(
                    Element(
                        order,
                        name,
                        subject.names[i],
                        i,
                        index_of(place, shape(subject.inputs[i])),
                        got[f][k],
                        slope.value,
                        float(slope.error),
                        verdict,
                        note,
                    )
                )
    return elements, remarks


def _rules(proof: Proof, flows: Sequence[Sequence[float]]) -> tuple[list[list] | None, list[str]]:
    """What the rules give on decimals, if they run there."""
    try:
        return proof.subject.gradients(flows, proof.start, proof.digits), []
    except Exception as error:  # whatever a user's rule does when it meets decimals
        cause = error.__cause__ or error
        remark = f"the rule does not run on decimals ({type(cause).__name__}: {cause}): judged on floats alone"
        return None, [remark] if proof.subject.by_hand is None else []


def attempted(run: Callable[[], Any]) -> Any:
    """What it gives, or None."""
    try:
        return run()
    except Exception:  # whatever a user's rule does when it meets decimals of few digits, or numbers beside the point
        return None


def leniency(
    proof: Proof, flows: Sequence[Sequence[float]], rules: list[list] | None, sizes: list[list[Decimal]]
) -> list[list[Decimal]]:
    """For each flow and coordinate, what floats of this precision may lose to rounding on the way.

    Measured: what the same rules lose with a digit or two less than floats have, here and nearby. And the magnitude before
    anything cancelled, since a measured loss may be small by chance. Nothing is forgiven where the function is one fused op
    that promises its digits, and a single number flows into it.
    """
    start = proof.start
    forgiven = [[Decimal(0)] * len(start) for _ in flows]
    if rules is None:
        return forgiven
    nearby = [x * Decimal(1 + proof.rng.uniform(-1e-3, 1e-3)) for x in start]
    kept = int(proof.precision.bits * 0.30103)
    for point, exact in ((start, rules), (nearby, attempted(partial(proof.subject.gradients, flows, nearby, proof.digits)))):
        for digits in (max(1, kept - 2), max(1, kept - 1)):
            coarse = exact and attempted(partial(proof.subject.gradients, flows, point, digits))
            for losses, row, truth in zip(forgiven, coarse or [], exact or [], strict=bool(coarse)):
                for k, (a, b) in enumerate(zip(row, truth, strict=True)):
                    lost = 4 * abs(Decimal(a) - Decimal(b))
                    losses[k] = max(losses[k], abs(Decimal(b)) if lost.is_nan() else lost)
    unit = 64 * Decimal(2.0 ** (1 - proof.precision.bits))
    promised = proof.subject.promises_digits()
    for f, flow in enumerate(flows):
        if promised and sum(map(bool, flow)) == 1:
            forgiven[f] = [Decimal(0)] * len(start)
        else:
            forgiven[f] = [max(a, unit * b) for a, b in zip(forgiven[f], sizes[f], strict=True)]
    return forgiven


class Judge:
    """The verdicts for one flow: on what the rules give on decimals, and on what the float run gives."""

    def __init__(
        self,
        proof: Proof,
        flow: Sequence[float],
        rule: list[Decimal] | None,
        got: list,
        forgiven: list[Decimal],
        sizes: list[Decimal],
        order: int,
        directions: list,
    ) -> None:
        self.proof, self.flow, self.rule, self.forgiven = proof, flow, rule, forgiven
        self.order, self.directions = order, directions
        self.rounding = [Decimal(10) ** (2 * -STEP - proof.digits) * size for size in sizes]
        self.got = [Decimal(v) for v in got]
        self.claimed = self.got if rule is None else rule
        precision = proof.precision
        self.eps = Decimal(2.0 ** (1 - precision.bits))
        self.tiny = Decimal(2.0 ** (precision.lowest + precision.bits + 3)) * max(Decimal(1), *(Decimal(abs(g)) for g in flow))
        self.largest = Decimal(2) ** precision.highest
        self.natural = Decimal(0)
        self.value = abs(_contracted(flow, proof.here))
        self.seen: dict[int, Decimal] = {}  # what the best of the sums with this coordinate would not have shown

    def all(self) -> list[tuple[int, Slope, str, str]]:
        """(coordinate, its slope, verdict, sentence) for every coordinate."""
        found, unsettled = self._suspects() if self.directions else (range(len(self.claimed)), set())
        slopes = {k: self.proof.slope(k, self.flow) for k in found}
        sizes = [abs(v) for v in (*self.claimed, *(s.value for s in slopes.values())) if v.is_finite()]
        self.natural = max([self.value * Decimal("1e-20"), *sizes])
        results = []
        for k, claimed in enumerate(self.claimed):
            if self.proof.subject.held.get(k) == 0:
                continue  # f refuses every other number
            if k in unsettled:
                slope = Slope(Decimal("NaN"), inf, claimed, claimed, UNDEFINED)
                results.append((k, slope, INCONCLUSIVE, "not looked at, since so many others disagree"))
                continue
            # what the sums over many coordinates confirmed is the truth that the floats are held against
            slope = slopes.get(k) or Slope(claimed, abs(claimed) * RULE, claimed, claimed, SMOOTH)
            verdict = self._verdict(slope, k)
            if k not in slopes:
                slope = slope._replace(error=max(slope.error, self.seen.get(k, slope.error)))
            results.append((k, slope, *verdict))
        return self._kinks_together(results)

    def _kinks_together(self, results: list[tuple[int, Slope, str, str]]) -> list[tuple[int, Slope, str, str]]:
        """Of max at a tie each class may get from 0 to 1, but not all of them 1: kinks of a kind are moved together."""
        for convex in (True, False):
            kinks = [k for k, s, v, _ in results if v == VALID_KINK and s.kind == KINK and (s.right > s.left) is convex]
            if len(kinks) < 2:
                continue
            scale = min(self.proof.scales[k] for k in kinks)
            slope = self.proof.stencil(dict.fromkeys(kinks, scale))(self.flow)
            low, high = sorted((slope.left / scale, slope.right / scale))
            total = sum((self.got[k] for k in kinks), Decimal(0))
            allowed = Decimal(FLOATS) * max(abs(low), abs(high)) + sum(self.forgiven[k] for k in kinks) + self.tiny
            allowed += 100 * slope.error / scale + 1000 * self.eps * sum(abs(self.got[k]) for k in kinks)
            if slope.kind in (SMOOTH, KINK) and not low - allowed <= total <= high + allowed:
                note = (
                    f"kink: moved together they have slopes {float(low):.6g} and {float(high):.6g}, and get {float(total):.6g}"
                )
                results = [(k, s, FAIL, note) if k in kinks else (k, s, v, n) for k, s, v, n in results]
        return results

    def _verdict(self, slope: Slope, k: int) -> tuple[str, str]:
        on_floats = self._on_floats(slope, k)
        if self.rule is None:
            return on_floats
        on_decimals = self._at(slope, self.rule[k], max(RULE * abs(slope.value), 100 * slope.error, self.rounding[k]))
        if on_decimals[0] == FAIL:
            return FAIL, on_decimals[1] or "the rule is wrong, also on decimals"
        return max(on_decimals, on_floats, key=lambda found: RANK[found[0]])

    def _on_floats(self, slope: Slope, k: int) -> tuple[str, str]:
        got, exact = self.got[k], slope.value
        if got.is_infinite() and exact * got > 0 and abs(exact) >= self.largest / 2:
            return PASS, ""  # beyond the largest float
        allowed = max(Decimal(FLOATS) * abs(exact), 1000 * self.eps * abs(exact), self.tiny, self.forgiven[k])
        # of a slope that is 0 only in the limit, as that of relu(x)**2 at 0, the step leaves something
        if 100 * slope.error <= Decimal("1e-7") * max(self.value, Decimal(1)) / self.proof.scales[k]:
            allowed = max(allowed, 100 * slope.error)
        verdict, note = self._at(slope, got, allowed)
        if self.rule is None:
            unsure = verdict == FAIL and slope.kind in (SMOOTH, EDGE) and abs(got - exact) <= Decimal("1e-13") * self.natural
            return (INCONCLUSIVE, "too small beside the others to be sure") if unsure else (verdict, note)
        return verdict, note or ("the rule is right on decimals, the float run is not" if verdict == FAIL else "")

    def _at(self, slope: Slope, claimed: Decimal, allowed: Decimal) -> tuple[str, str]:
        """The verdict on a claimed derivative beside a slope, of which so much is forgiven."""
        kind, low, high = slope.kind, *sorted((slope.left, slope.right))
        if kind == UNDEFINED:
            return INCONCLUSIVE, "f has no finite value here"
        if kind == JUMP:
            return self._at_a_jump(slope, claimed)
        if kind == STEEP:
            infinite = claimed.is_infinite() and (claimed > 0) == (slope.value > 0)
            return (VALID_KINK, "infinitely steep") if infinite else (INCONCLUSIVE, "f seems infinitely steep here")
        if kind == KINK:
            sides = f"slopes {float(slope.left):.6g} and {float(slope.right):.6g}"
            if low - allowed <= claimed <= high + allowed:
                return VALID_KINK, f"kink: {sides}; {float(claimed):.6g} is a valid subgradient"
            return FAIL, f"kink: {sides}; {float(claimed):.6g} is outside"
        error = abs(claimed - slope.value)
        if not error <= allowed:
            return FAIL, ""
        unsure = 100 * slope.error
        largest = max(abs(claimed), *map(abs, (slope.value, slope.left, slope.right)))
        if 0 < largest * Decimal("1e-6") < unsure and unsure > RULE * self.natural + allowed:
            return INCONCLUSIVE, "the difference is not sure enough"
        return PASS, ""

    def _at_a_jump(self, slope: Slope, claimed: Decimal) -> tuple[str, str]:
        """A gradient that jumps up has any slope from those beside the jump to infinity."""
        if self.order == 1:
            return INCONCLUSIVE, "f jumps here, so it has no derivative"
        beside = (slope.left, slope.right)
        allowed = max(Decimal(FLOATS), 1000 * self.eps) * sum(map(abs, beside)) + abs(slope.value).scaleb(STEP - 15)
        valid = claimed >= min(beside) - allowed if slope.value > 0 else claimed <= max(beside) + allowed
        return (VALID_KINK, "the gradient jumps here; this is a slope of it") if valid else (FAIL, "the gradient jumps here")

    # --- many coordinates at once

    def _suspects(self) -> tuple[list[int], set[int]]:
        """The coordinates that disagree with their slopes, or have kinks; and those that were too many to look at.

        A random sum of slopes is right only if each of them is; where it is not, halves of it show where. A second kind of
        sum weighs the coordinates so that each counts alike, since the small ones drown in the first.
        """
        every = [k for k, v in enumerate(self.claimed) if v.is_finite()]
        found = {k for k, v in enumerate(self.claimed) if not v.is_finite()}.union(self.proof.singles)
        every = [k for k in every if k not in found]
        right = not found and all(self._confirmed(weights, stencil, every) for weights, stencil in self.directions)
        if not right and len(self.claimed) > FEW and (sample := self._all_wrong()):
            found.update(sample)
            return sorted(found), {*every} - found
        weighings = [] if right else [self.proof.random_weights]
        groups = [(every, weighing) for weighing in (*weighings, self._by_size)]
        wrong = 0
        while groups and wrong < WRONG:
            group, weighing = groups.pop()
            group = [k for k in group if k not in found]
            weights = weighing(group)
            if not group or self._confirmed(weights, self.proof.stencil(weights), group):
                continue
            if len(group) == 1:
                found.update(group)
                wrong += self.proof.slope(group[0], self.flow).kind in (SMOOTH, EDGE)
            else:
                middle = len(group) // 2
                groups += [(group[:middle], weighing), (group[middle:], weighing)]
        if groups and len(self.claimed) <= FEW:
            return [*range(len(self.claimed))], set()
        left = {k for group, _ in groups for k in group if len(group) < len(every)}
        return sorted(found), left - found

    def _all_wrong(self) -> list[int]:
        """A few coordinates, if each of them disagrees with its slope, as they do where a rule is wrong everywhere."""
        sample = self.proof.sample
        wrong = [*takewhile(lambda k: self._verdict(self.proof.slope(k, self.flow), k)[0] == FAIL, sample)]
        return sample if len(wrong) == len(sample) else []

    def _by_size(self, group: Sequence[int]) -> dict[int, Decimal]:
        sizes = {k: abs(self.claimed[k]) * self.proof.scales[k] for k in group}
        least = min((s for s in sizes.values() if s), default=Decimal(1))
        return {k: w * (least / sizes[k] if sizes[k] else 1) for k, w in self.proof.random_weights(group).items()}

    def _confirmed(
        self, weights: dict[int, Decimal], stencil: Callable[[Sequence[float]], Slope], group: Sequence[int]
    ) -> bool:
        """Whether the claimed derivatives of a group add up to the slope of all of them together."""
        slope = stencil(self.flow)
        terms = [self.claimed[k] * weights[k] for k in group]
        rounding = sum((self.rounding[k] * abs(w) for k, w in weights.items()), Decimal(0))
        allowed = max(RULE * abs(slope.value), 100 * slope.error, rounding)
        if self.rule is None:
            allowed = max(allowed, Decimal(FLOATS) * abs(slope.value), 64 * self.eps * sum(map(abs, terms)))
        confirmed = slope.kind in (SMOOTH, EDGE) and abs(sum(terms, Decimal(0)) - slope.value) <= allowed
        for k in group if confirmed else ():
            if weights[k]:
                unseen = allowed / abs(weights[k])
                self.seen[k] = min(unseen, self.seen.get(k, unseen))
        return confirmed
