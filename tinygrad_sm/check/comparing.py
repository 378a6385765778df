"""compare: a fused op on floats against the exact value of its definition, element by element, in units in the last place."""

from __future__ import annotations

from contextvars import Context
from decimal import Decimal
from math import isfinite
from typing import Any

from tinygrad_sm.check import truth
from tinygrad_sm.check.judging import Case, Finding
from tinygrad_sm.check.reports import amount, blaming, number, table
from tinygrad_sm.check.truth import is_floating
from tinygrad_sm.graph import Fused, Value

LIMIT = 8.0  # correct code measures 1 to 6, the smallest of the planted bugs, a factor of 1 + 1e-14, 40 and more


class Comparison:
    """What `compare` found: true if no element is farther from the truth than the limit. Print it for a table.

    `worst` is the element farthest off, `findings` has the worst one of each case and quantity, and `max_ulp` maps "value",
    "grad" and, for order 2, "second" to the largest errors.
    """

    def __init__(self, name: str, findings: list[Finding], cases: list[str], limit: float, seed: int, digits: int) -> None:
        self.name, self.findings, self.cases, self.limit, self.seed, self.digits = name, findings, cases, limit, seed, digits

    @property
    def ok(self) -> bool:
        """Whether every element is within the limit."""
        return all(x.ulp <= self.limit for x in self.findings)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def worst(self) -> Finding:
        """The element farthest from the truth."""
        return max(self.findings, key=lambda x: x.ulp)

    @property
    def max_ulp(self) -> dict[str, float]:
        """The largest error of each quantity in units in the last place."""
        quantities = dict.fromkeys(x.quantity for x in self.findings)
        return {q: max(x.ulp for x in self.findings if x.quantity == q) for q in quantities}

    def table(self) -> str:
        """One row a case and quantity: the error of the worst element, where it is, and both numbers."""
        named = any(self.cases)
        headings = ["case", "quantity", "ulp", "worst at", "got", "exact", ""][not named :]
        rows = []
        for x in self.findings:
            verdict = "" if x.ulp <= self.limit else "WRONG"
            numbers = [n if isinstance(n, str) else number(n) for n in (x.got, x.exact)]
            rows.append([x.case, x.quantity, amount(x.ulp), x.where, *numbers, verdict][not named :])
        return table(headings, rows, right=[1 + named])

    def __str__(self) -> str:
        figures = ", ".join(f"{quantity} {amount(ulp)}" for quantity, ulp in self.max_ulp.items())
        verdict = "right" if self.ok else "WRONG"
        limits = f"limit {self.limit:g}, {self.digits} digits, seed {self.seed}"
        return f"{self.table()}\n{self.name} is {verdict}: at most {figures} ulp ({limits})"

    def __repr__(self) -> str:
        return f"<Comparison of {self.name}: {'ok' if self.ok else 'wrong'}, {self.max_ulp}>"

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON: numbers are text where JSON has none for them."""
        findings = [{key: _jsonable(x) for key, x in finding._asdict().items()} for finding in self.findings]
        return {
            "op": self.name,
            "ok": self.ok,
            "max_ulp": {q: _jsonable(ulp) for q, ulp in self.max_ulp.items()},
            "limit": self.limit,
            "seed": self.seed,
            "digits": self.digits,
            "cases": self.cases,
            "worst": findings[self.findings.index(self.worst)],
            "findings": findings,
        }


def _jsonable(x: Any) -> Any:
    if isinstance(x, Decimal) or (isinstance(x, float) and not isfinite(x)):
        return number(x)
    return [*x] if isinstance(x, tuple) else x


def compare(
    op: Fused,
    *inputs: Any,
    order: int = 1,
    seed: int = 0,
    params: dict[str, Any] | None = None,
    limit: float = LIMIT,
) -> Comparison:
    """A fused op against the truth: its composed definition run on decimals, forward and backward.

    `inputs` are numbers, lists, arrays or Values; those of floats get a gradient. `params` are its keywords: settings, and
    optional inputs, which are judged too. Without inputs the op's own hard inputs are judged, all of them. The numbers are
    judged in the type of the inputs. With `order=2` second derivatives are judged, too: by the inputs, and by what flows in.

    A value may be `limit` units in the last place off. So may each entry of a gradient, in the unit of sum |J| |g| with the
    exact Jacobian J: what the contraction with g cancels is forgiven, and nothing else. Each output alone flows in (of many,
    a sample drawn from `seed`) and all of them together, with small and with large numbers of either sign. An op made with
    `conditioned=True` is also forgiven what a rounding of its inputs would change. Where an input is infinite or nan and the
    definition gives nan, it says nothing, and the result is not judged. Arrays of other libraries (numpy, torch) have no
    kernel, so that values of wide rows of logits lose their range times eps there, and are called wrong.

    Raises a TypeError for anything but a fused op, for which there is `tg.gradcheck`, and for one whose definition cannot be
    run on decimals, and a ValueError when there is nothing to judge. An op of your own that fails is told as such, by name.

    >>> import tinygrad_sm as tg
    >>> @tg.fused(conditioned=True)  # the gradient has a root near -1.28
    ... def swish(xp, x):
    ...     return x / (1.0 + xp.exp(-x))
    >>> @swish.backward
    ... def _(xp, g, out, x):
    ...     s = tg.sigmoid(x)
    ...     return g * (s + out * (1.0 - s)) * 1.00000001
    >>> comparison = compare(swish, [1.0, 2.0])
    >>> comparison.ok, comparison.max_ulp["value"] < 2, comparison.max_ulp["grad"] > 1e6
    (False, True, True)
    """
    if not isinstance(op, Fused):
        raise TypeError(f"compare: judges a fused op, made by tg.fused, and got {op!r}; tg.gradcheck takes any function")
    if order not in (1, 2):
        raise ValueError(f"compare: order is 1 or 2 (second derivatives, too), not {order!r}")
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0:
        raise ValueError(f"compare: limit is how many units in the last place are forgiven, more than 0, not {limit!r}")
    params = {} if params is None else params
    if not isinstance(params, dict):
        raise TypeError(f"compare: params is a dictionary of the keywords of {op.name}, not {params!r}")
    unknown = [key for key in params if key not in (*op.input_names, *op.setting_names)]
    if unknown:
        raise TypeError(f"compare: {op.name} has no {unknown[0]}; params are its keywords")
    cases = [("", inputs, params)] if inputs else _hard_cases(op, params)
    if not cases:
        raise ValueError(
            f"compare: {op.name} has no hard inputs of its own; give inputs, as in compare({op.name}, [1.0, 2.0]), or add "
            f"some with @{op.name}.hard_inputs"
        )
    judged = [Context().run(_judged, op, *case, order=order, seed=seed, limit=limit) for case in cases]
    findings = [finding for case in judged for finding in case.findings.values()]
    if not findings:
        raise ValueError(f"compare: {op.name} has no elements here; give inputs that are not empty")
    digits = max(case.exact.digits for case in judged)
    return Comparison(op.name, findings, [name for name, *_ in cases], limit, seed, digits)


def _hard_cases(op: Fused, params: dict[str, Any]) -> list[tuple[str, tuple, dict[str, Any]]]:
    with blaming(f"compare: @{op.name}.hard_inputs, which yields (name, inputs) or (name, inputs, keywords),"):
        return [(name, args, {**own, **params}) for name, args, own in op.hard_cases()]


def _judged(op: Fused, name: str, inputs: Any, keywords: dict[str, Any], **how: Any) -> Case:
    """One case, in a context where every switch is as it is by default."""
    if inputs and not any(map(is_floating, (*inputs, *keywords.values()))):  # ints alone are no labels
        inputs = (_as_floats(inputs[0]), *inputs[1:])
    case = Case(op, name, inputs, keywords, **how)
    case.judge()
    if case.doubtful:
        case = Case(op, name, inputs, keywords, **how, digits=case.exact.digits + 2 * truth.FARTHEST)
        case.judge()
    return case


def _as_floats(x: Any) -> Any:
    """Ints as floats, as a Value of them would hold them; masks and anything else as they are."""
    try:
        return Value(x)
    except TypeError:
        return x
