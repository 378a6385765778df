"""gradcheck: is the gradient of a function the derivative of its values?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from math import isfinite
from random import Random
from typing import Any

from tinygrad_sm.check.estimate import estimate, hides_a_number, taylor
from tinygrad_sm.check.noise import bound
from tinygrad_sm.check.proof import Flow, Proof, attempted, prove
from tinygrad_sm.check.replaying import replaying
from tinygrad_sm.check.subjects import LeavesOpsError, Subject
from tinygrad_sm.check.truth import flat
from tinygrad_sm.check.units import precision_of
from tinygrad_sm.check.verdicts import KINK, Element, Report
from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import is_array, shape
from tinygrad_sm.graph.value import plain, recording

CHANGED = "f changed its input in place"
FACTORS = (2.0, 16.0, -16.0)  # powers of two, with which only subnormal numbers round
ALL = 8  # up to so many outputs each is judged alone; of more, a sample


def gradcheck(
    f: Callable[..., Any], *inputs: Any, order: int = 1, seed: int = 0, gradient: Callable[..., Any] | None = None
) -> Report:
    """Judges the gradient of `f` at `inputs`, element by element, and with `order=2` the gradient of the gradient.

    `f` gets the inputs (numbers, lists, arrays of any library, Values) as Values and returns one or several Values of any
    shape: each element of a few, and random sums of all, are differentiated. Ints and bools among floats are labels and masks.
    Or `f` is any function of plain data that gives one number, and `gradient` a function of the same inputs that gives its
    gradient: one for a single input, else a tuple. Then each input arrives in the kind it was given, a list as an array of
    `tinygrad_sm.nd`.

    A function made of our ops runs on decimals: its rules must agree with exact differences to 25 digits, and the run in the
    inputs' own type with these, as far as such floats go. If f closes over arrays of floats, or a model does, the graph that it
    recorded runs on decimals instead. A leaf Value among the inputs, such as a parameter of a model, may be used by f directly:
    `gradcheck(lambda *_: loss(model(x), y), *model.parameters())`.

    A function that leaves our ops is held against differences whose noise is measured and bounded, and an element that they
    cannot settle is INCONCLUSIVE. A kink at which the gradient lies between the slopes of the two sides is valid, and so must
    the sum over a tie be. At the edge of the domain, where f raises a ValueError for numbers beside the inputs, the other side
    counts; an element that f takes no other number for is not judged, and a remark says so. The report is true only if
    everything is right; it also looks at the values on floats beside those on decimals, for two runs that differ, for inputs
    that were changed, and for a rule that is not linear in what flows in. In second order what flows in depends on the inputs.

    Raises a TypeError when there is no gradient to judge, and a ValueError when there is nothing to differentiate.

    >>> import tinygrad_sm as tg
    >>> bool(tg.gradcheck(lambda x: (x * tg.softmax(x)).sum(), [1.0, 2.0, 3.0]))
    True
    >>> report = tg.gradcheck(lambda x: x * x * x, 2.0, gradient=lambda x: 2 * x * x)
    >>> report.ok, report.worst.gradient, float(report.worst.exact)
    (False, 8.0, 12.0)
    """
    if not callable(f):
        raise TypeError(f"gradcheck: the first argument is the function, gradcheck(f, *inputs), and not {f!r}")
    if not inputs:
        raise TypeError("gradcheck: give the inputs at which the gradient is judged, gradcheck(f, *inputs)")
    if order not in (1, 2):
        raise ValueError(f"gradcheck: order is 1 or 2, not {order!r}")
    if gradient is not None and order == 2:
        raise ValueError("gradcheck: gradient= is judged in first order only; give the gradient as f for the second")
    before = [_numbers(x) for x in inputs]
    subject = Subject(f, inputs, gradient)
    rng = Random(seed)
    elements, method, problems, remarks, subject = _judged(subject, 1, rng)
    methods = [method]
    if order == 2 and not any(problem.startswith("two runs") for problem in problems):
        flow = _dense([float(v) for v in subject.values(subject.start)], rng)
        kinks = any(e.verdict == KINK for e in elements)  # of the slant's own derivative nothing is known there
        second = subject.derivative(flow, slanted=not kinks)
        try:
            if not all(map(isfinite, second.gradients([_dense(second.start, rng)], second.start)[0])):
                second = subject.derivative(flow, slanted=False)
        except (TypeError, ValueError, AttributeError) as error:
            problems.append(f"the gradient cannot be differentiated: {error}")
        else:
            more = _judged(second, 2, rng)
            elements, methods = elements + more[0], [*methods, more[1]]
            problems += [f"second derivative: {problem}" for problem in more[2]]
            remarks += [f"second derivative: {remark}" for remark in more[3]]
    if CHANGED not in problems and not _alike(before, [_numbers(x) for x in inputs]):
        problems.append(CHANGED)
    remarks += [f"output {k} remembers nothing, so that it has no gradient to judge" for k in subject.forgotten]
    unmoved = dict.fromkeys(subject.names[subject.where(k)[0]] for k, side in subject.held.items() if side == 0)
    remarks += [f"input `{name}` cannot be moved; give it as Value(.., requires_grad=False)" for name in unmoved]
    shapes = [shape(x) if i in subject.differentiated else None for i, x in enumerate(subject.inputs)]
    plain_inputs = [name for name, s in zip(subject.names, shapes, strict=True) if s is None]
    if plain_inputs:
        remarks.append(f"not differentiated: {', '.join(plain_inputs)}")
    return Report(elements, shapes, "; ".join(dict.fromkeys(methods)), problems, remarks, seed)


def _judged(subject: Subject, order: int, rng: Random) -> tuple[list[Element], str, list[str], list[str], Subject]:
    """Elements, method, problems and remarks of one order, and the subject as it was judged."""
    values = [float(v) for v in subject.values(subject.start)]
    flows = _flows(values, rng)
    problems = _behaviour(subject, values, flows)
    proof, reasons = _proof(subject, flows[0][1], order, rng)
    proved = None
    if proof is not None:
        try:
            proved = prove(proof, flows, order)
        except LeavesOpsError as error:
            reasons = [str(error)]
    if proof is None or proved is None:
        elements = estimate(subject, flows, order, rng)
        method = "estimated by differences"
        remarks = [f"f leaves the ops of tinygrad_sm: {reason}" for reason in reasons]
    else:
        (elements, remarks), subject = proved, proof.subject
        problems += _values_off(proof, values) if order == 1 else []
        graph = "of the recorded graph, the arrays it closes over lifted, " if subject.replays else ""
        method = f"exact differences {graph}on decimals of {proof.digits} digits"
    if all(e.verdict != KINK for e in elements):
        remarks += _second_opinion(subject, flows[0][1], rng)
    return elements, method, problems, remarks, subject


def _proof(subject: Subject, flow: Sequence[float], order: int, rng: Random) -> tuple[Proof | None, list[str]]:
    """The subject on decimals, as it runs or else as it was recorded; or None, and why not."""
    reasons = []
    for candidate in (lambda: subject, lambda: replaying(subject)):
        try:
            proof = Proof(candidate(), rng)
            if not proof.subject.replays or not hides_a_number(proof, flow, order, rng):
                return proof, []
            reasons.append("its values move otherwise than what it recorded")
        except LeavesOpsError as error:
            reasons.append(str(error))
        if subject.by_hand is not None or subject.replays:
            break
    return None, [*dict.fromkeys(reasons)]


def _flows(values: Sequence[float], rng: Random) -> list[Flow]:
    """What flows into the outputs: random sums of all of them, and each alone, or some."""
    if len(values) == 1:
        return [("1", [1.0])]
    finite = [k for k, y in enumerate(values) if isfinite(y)]
    if len(finite) > ALL:
        extremes = {max(finite, key=values.__getitem__), min(finite, key=values.__getitem__)}
        finite = sorted({*extremes, rng.choice(finite)})
    flows: list[Flow] = [("random", _dense(values, rng))]
    return flows + [(f"1 at output {k}", [float(i == k) for i in range(len(values))]) for k in finite]


def _dense(values: Sequence[float], rng: Random) -> list[float]:
    """Random eighths, which every type of floats holds exactly; nothing into an output that is not finite."""
    return [rng.choice((-1, 1)) * rng.randint(3, 13) / 8 if isfinite(y) else 0.0 for y in values]


def _behaviour(subject: Subject, values: Sequence[float], flows: Sequence[Flow]) -> list[str]:
    """What is wrong in sentences: two runs that differ, a rule that is not linear in what flows in."""
    raw = [flow for _, flow in flows[:1]]
    first, again = subject.gradients(raw, subject.start), subject.gradients(raw, subject.start)
    if not _alike(values, [float(v) for v in subject.values(subject.start)]) or not _alike(first[0], again[0]):
        return ["two runs of f at the same inputs differ: fix its random numbers, or its state, before it is judged"]
    problems = [CHANGED] if subject.changes_its_inputs(raw[0]) else []
    if subject.by_hand is not None:
        return problems
    nothing, *scaled = subject.gradients([[c * g for g in raw[0]] for c in (0.0, *FACTORS)], subject.start)
    if any(nought and isfinite(a) for a, nought in zip(first[0], nothing, strict=True)):  # 0 times an infinite slope is nan
        problems.append("the gradient is not 0 when 0 flows in")
    precisions = [precision_of(subject.inputs[i]) for i in subject.differentiated]
    tiny = max(1e-30, 64 * 2.0 ** max(p.lowest for p in precisions))  # products of subnormal numbers round
    large = 2.0 ** (min(p.highest for p in precisions) - 8)  # what is on the way may be larger yet, and overflow
    for c, row in zip(FACTORS, scaled, strict=True):
        if any(b != c * a and abs(b - c * a) > tiny and abs(c * a) < large for a, b in zip(first[0], row, strict=True)):
            problems.append(
                f"the gradient is not {c:g} times as large when {c:g} times as much flows in: the rule is not linear"
            )
            break
    return problems


def _values_off(proof: Proof, values: Sequence[float]) -> list[str]:
    """A value that floats get wrong, in a sentence: its gradient may be right, and is that of another function."""
    subject, unit = proof.subject, Decimal(2.0 ** (1 - proof.precision.bits))
    kept = int(proof.precision.bits * 0.30103)
    coarse = [attempted(partial(subject.values, proof.start, max(1, kept - fewer))) or proof.here for fewer in (2, 1)]
    for k, (got, exact) in enumerate(zip(values, proof.here, strict=True)):
        if not exact.is_finite() or abs(exact) >= proof.most:
            continue
        lost = max(4 * abs(row[k] - exact) if row[k].is_finite() else Decimal(0) for row in coarse)
        allowed = max(abs(exact) * max(Decimal("1e-8"), 1000 * unit), lost, proof.least)
        off = not isfinite(got) or abs(Decimal(got) - exact) > allowed
        if off and not (isfinite(got) and abs(Decimal(got) - exact) <= _rounding(subject, k, float(unit), len(values))):
            return [f"output {k} is {got!r} on floats, and {float(exact)!r} on decimals"]
    return []


def _rounding(subject: Subject, k: int, unit: float, size: int) -> float:
    """What rounding on the way may do to an output."""
    with recording(True):
        outputs = subject.outputs(subject.arguments(subject.start))
    recorded = [y for y in outputs if isinstance(y, Value)]
    return 64 * bound(recorded, [float(i == k) for i in range(size)], unit) if len(recorded) == len(outputs) else 0.0


def _second_opinion(subject: Subject, flow: Sequence[float], rng: Random) -> list[str]:
    """Taylor's remainder along a random direction, which needs no step size: 2 is what a right gradient has."""
    held = [subject.held.get(k, 1) for k in range(len(subject.start))]
    direction = [s * rng.random() * min(1.0, abs(float(x)) or 1.0) for s, x in zip(held, subject.start, strict=True)]
    slope = sum(float(g) * v for g, v in zip(subject.gradients([flow], subject.start)[0], direction, strict=True))

    def value(h: float) -> float:
        numbers = [float(x) + h * v for x, v in zip(subject.start, direction, strict=True)]
        return sum(g * float(y) for g, y in zip(flow, subject.values(numbers), strict=True) if g)

    order = taylor(value, slope)
    return (
        [] if order is None else [f"Taylor's remainder vanishes with order {order:.2f}; a right gradient's does with 2 or more"]
    )


def _numbers(x: Any) -> list:
    """The numbers of an input as they are now, to see later whether somebody changed them."""
    x = plain(x)
    if isinstance(x, (list, tuple)):
        return [v for part in x for v in _numbers(part)]
    return [*flat(x)] if is_array(x) or isinstance(x, Value) else [x]


def _alike(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))
