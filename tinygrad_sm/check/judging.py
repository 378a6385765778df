"""One set of inputs of a fused op, judged: what it gives on floats beside what its definition gives on decimals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from math import inf, isfinite, isnan, pi, tan
from operator import mul
from random import Random
from typing import Any, NamedTuple

from tinygrad_sm import nd
from tinygrad_sm.check import truth
from tinygrad_sm.check.reports import blaming, index_of, place
from tinygrad_sm.check.truth import filled_with, flat, is_floating, one_hot_like
from tinygrad_sm.check.units import Precision, precision_of
from tinygrad_sm.graph import Fused, Value, composed, grad
from tinygrad_sm.graph.namespaces import is_array, namespace_of, shape
from tinygrad_sm.graph.value import plain, recording

DRAWS = 15  # from which a sum of magnitudes is estimated, where there are too many terms
SMALL = 10_000  # elements of a Jacobian that is built whole,
ROWS = 128  # and its rows
FEW = 16  # inputs, beyond which sums over second derivatives are estimated
SAMPLE = 6  # outputs or inputs taken of many
OPPOSITE = -16.0  # a power of two, so that what flows in has as few bits as before


class Finding(NamedTuple):
    """One element as it is and as it should be: `ulp` is the error in units in the last place."""

    case: str
    quantity: str  # value, grad or second
    input: str  # with respect to which; "" for a value
    index: tuple[int, ...]  # type: ignore[assignment]  # in the output or, of a derivative, in what it is taken by
    where: str  # for a reader, as "d out[1] / d z[0]"
    got: Any
    exact: Any
    ulp: float


class Case:
    """The op on one set of inputs, as they are given and on decimals; `findings` has the worst element of each quantity.

    `doubtful` says that an element was found wrong whose exact value may be the noise of a 0: more digits would tell.
    """

    def __init__(
        self,
        op: Fused,
        name: str,
        inputs: Sequence[Any],
        keywords: dict[str, Any],
        *,
        order: int,
        seed: int,
        limit: float,
        digits: int = truth.FIRST,
    ) -> None:
        self.op, self.name, self.order, self.limit, self.rng = op, name, order, limit, Random(seed)
        self.findings: dict[tuple[str, str], Finding] = {}
        self.doubtful = False
        optional = {key: x for key, x in keywords.items() if key in op.input_names}
        settings = {key: x for key, x in keywords.items() if key not in optional}
        args, named = _as_values(inputs, optional)
        self.args, self.settings = [plain(x) for x in (*args, *named.values())], settings
        self.names, self.leaves = _leaves(op, args, named)
        with blaming(f"compare: the forward of {op.name}", op.name, "compare"):
            self.out = op(*args, **named, **settings)
            self.values = {"out": plain(self.out)}
            if op._kept is not None:  # then a call that is not recorded takes another forward
                with recording(False):
                    self.values["plain out"] = plain(op(*args, **named, **settings))
        self.exact = self._run(inputs, optional, digits)
        self.finite = all(isfinite(x) for v in (*args, *named.values()) if isinstance(v, Value) for x in flat(v))
        self.target: nd.Array = self.exact.output.data
        self.xs: list[nd.Array] = [leaf.data for leaf in self.exact.leaves]
        self.sizes = [leaf.size for leaf in self.leaves]
        self.rows: list[list[nd.Array]] | None = None  # the exact Jacobian, where it is small: one row an output

    def _run(self, inputs: Sequence, optional: dict, digits: int) -> truth.Run:
        def definition(*args: Any, **keywords: Any) -> Any:
            return self.op(*args, **keywords, **self.settings)

        definition.__name__ = self.op.name
        try:
            return truth.run(definition, inputs, optional, order=self.order, digits=digits)
        except Exception as error:
            raise TypeError(
                f"compare: the definition of {self.op.name} does not run on decimals ({error}); write it with xp, operators "
                "and ops only, or use tg.gradcheck"
            ) from error

    def judge(self) -> None:
        """Value, gradient and second derivative, in this order."""
        n = self.target.size
        for where, got in self.values.items():
            if shape(got) != self.target.shape:
                self._note("value", "", (), f"the shape of {where}", str(shape(got)), str(self.target.shape), inf)
                return
        if self.leaves and n <= ROWS and n * sum(self.sizes) <= SMALL:
            self.rows = [self._exact_slopes(one_hot_like(self.target, j)) for j in range(n)]
        for where, got in self.values.items():
            self._compare("value", "", where, flat(got), self.target, None, self._shaken_values if self.leaves else None)
        if not (self.leaves and n):
            return
        for j, g in self._inflows():
            self._gradients(j, g)
        if self.order == 2:
            for j in self._sample(flat(self.target)):
                self._second_derivatives(j)
            self._by_what_flows_in()

    # --- what flows in

    def _inflows(self) -> Iterator[tuple[int | None, list[float]]]:
        """(j, one-hot) for each output or some of many, and (None, all of them together)."""
        n = self.target.size
        for j in range(n) if self.rows is not None else self._sample(flat(self.target)):
            yield j, [float(i == j) for i in range(n)]
        yield None, self._dense(n)

    def _sample(self, numbers: Sequence[Decimal]) -> list[int]:
        """The places of the largest and the smallest magnitude, and of a few others."""
        places = range(len(numbers))
        if len(places) <= SAMPLE:
            return [*places]
        known = [i for i in places if not numbers[i].is_nan()] or [0]
        ends = {choose(known, key=lambda i: numbers[i].copy_abs()) for choose in (min, max)}
        return sorted(ends | {*self.rng.sample(places, SAMPLE - len(ends))})

    def _dense(self, n: int) -> list[float]:
        """Numbers of both signs (a single one is negative), none its own power, of few bits, so that every type holds them."""
        numbers = [(-1.0, 1.0)[i % 2] * self.rng.choice((0.75, 1.25, 1.5, 1.75)) for i in range(n)]
        self.rng.shuffle(numbers)
        return numbers

    # --- gradients

    def _gradients(self, j: int | None, g: list[float]) -> None:
        """That for g and, if g is dense, for a larger one of the opposite signs: a rule may take its magnitude or clip it."""
        exact = self._contracted(j, g)
        terms = None if j is not None else self._terms(g)
        self._gradient(j, g, self._slopes(self.out, filled_with(plain(self.out), g)), exact, terms)
        if terms is not None:
            far = max((x for part in terms for x in flat(part) if x.is_finite()), default=0)
            factor = OPPOSITE if far < 2 ** min(self._precision(x).highest for x in self.leaves) // 32 else -1.0
            got = self._slopes(self.out, filled_with(plain(self.out), [factor * x for x in g]))
            self._gradient(j, g, got, exact, terms, factor)

    def _gradient(self, j: int | None, g: list[float], got: list, exact: list, terms: list | None, factor: float = 1.0) -> None:
        """What came for `factor` times g, judged as that for g: where floats are subnormal their errors grow with it."""
        shaken: list[nd.Array] = []  # computed once, if it is asked for at all
        for k, name in enumerate(self.names):

            def rounding(k: int = k) -> list[Decimal]:
                shaken.extend(() if shaken else self._shaken_gradient(g))
                return flat(shaken[k])

            where = f"d {self._output(j)} / d {name}"
            units = None if terms is None else flat(terms[k])
            found = [x / factor for x in flat(got[k])]
            self._compare("grad", name, where, found, exact[k], units, rounding, self.leaves[k])

    def _contracted(self, j: int | None, g: list[float]) -> list[nd.Array]:
        """The exact gradient for g."""
        if self.rows is None:
            return self._exact_slopes(filled_with(self.target, g))
        if j is not None:
            return self.rows[j]
        return [_total(row[k] * x for row, x in zip(self.rows, g, strict=True)) for k in range(len(self.xs))]

    def _terms(self, g: list[float]) -> list[nd.Array]:
        """sum_j |J_ji| |g_j| for each input i."""
        if self.rows is not None:
            return [_total(nd.abs(row[k] * x) for row, x in zip(self.rows, g, strict=True)) for k in range(len(self.xs))]
        return _magnitudes(lambda c: self._exact_slopes(filled_with(self.target, [*map(mul, c, g)])), len(g), self.rng)

    def _slopes(self, output: Value, g: Any = None, by: Value | None = None, **how: Any) -> Any:
        """What the op's own rule gives."""
        rule = "rule" if self.out.op is self.op else "gradient"  # without one, that of its body
        with blaming(f"compare: the {rule} of {self.op.name}", self.op.name, "the rule of"):
            return grad(output, self.leaves if by is None else by, grad_output=g, **how)

    def _exact_slopes(self, g: Any, **how: Any) -> list[Any]:
        with blaming(f"compare: the gradient of {self.op.name}'s definition on decimals"):
            return self.exact.gradients(g, **how)

    # --- what a rounding of the inputs changes

    def _shaken_values(self) -> list[Decimal]:
        return self._magnified(self.xs)

    def _magnified(self, vs: Sequence[nd.Array]) -> list[Decimal]:
        """sum_k |J_jk| |v_k| for each output j."""
        if self.rows is not None:
            return [_total(nd.sum(nd.abs(part * v)) for part, v in zip(row, vs, strict=True)).item() for row in self.rows]
        inflow = Value(filled_with(self.target, [1.0] * self.target.size))
        outflow = self._exact_slopes(inflow, create_graph=True)
        return self._pushed(outflow, inflow, vs)

    def _pushed(self, outflow: list[Value], inflow: Value, vs: Sequence[nd.Array]) -> list[Decimal]:
        """sum_k |A_jk| |v_k| for outflow = inflow A, which is linear: its derivative by what flows in is the jvp."""

        def along(c: list[float]) -> list[nd.Array]:
            return [grad(_dot(outflow, self._scaled(c, vs)), inflow)]

        return flat(_magnitudes(along, sum(self.sizes), self.rng)[0])

    def _shaken_gradient(self, g: list[float]) -> list[nd.Array]:
        """sum_k |d entry / d x_k| |x_k| for each entry of the gradient for g."""
        return self._curvature(self._exact_slopes(filled_with(self.target, g), create_graph=True), self.xs)

    def _curvature(self, gradients: list[Value], vs: Sequence[nd.Array]) -> list[nd.Array]:
        """sum_k |H_ik| |v_k|, where H are the derivatives of the gradients: symmetric, as second derivatives are."""

        def along(c: list[float]) -> list[nd.Array]:
            return grad(_dot(gradients, self._scaled(c, vs)), self.exact.leaves)

        return _magnitudes(along, sum(self.sizes), self.rng)

    def _scaled(self, c: Sequence[float], vs: Sequence[nd.Array]) -> list[nd.Array]:
        return [part * v for part, v in zip(self._parts(c, self.xs), vs, strict=True)]

    # --- second derivatives

    def _second_derivatives(self, j: int) -> None:
        """The derivative of <gradient of output j, v>, for v one-hot, and dense."""
        g, size = [float(i == j) for i in range(self.target.size)], sum(self.sizes)
        exact = self._exact_slopes(filled_with(self.target, g), create_graph=True)
        got = self._slopes(self.out, filled_with(plain(self.out), g), create_graph=True)
        self._gradient(j, g, got, [x.data for x in exact], None)  # on Values the rule may take another path
        for i in self._sample([x for gradient in exact for x in flat(gradient)]):
            self._second(j, i, [float(i == k) for k in range(size)], exact, got)
        self._second(j, None, self._dense(size), exact, got)

    def _second(self, j: int, i: int | None, v: list[float], exact: list[Value], got: list[Value]) -> None:
        vs = self._parts(v, self.xs)
        should = grad(_dot(exact, vs), self.exact.leaves)
        have = self._slopes(_dot(got, self._parts(v, [x.data for x in self.leaves])))
        terms = should if i is not None else self._curvature(exact, vs)
        height = sum(map(abs, v))  # what each one-hot is forgiven, added up
        by = "v" if i is None else self._input(i)
        others = self.names if i is None else [self.names[self._owner(i)[0]]]
        shaken: list[nd.Array] = []
        for k, name in enumerate(self.names):

            def rounding(k: int = k) -> list[Decimal]:
                shaken.extend(() if shaken else self._shaken_curvature(exact, vs))
                return flat(shaken[k])

            unit = nd.maximum(nd.abs(terms[k]), nd.abs(exact[k].data) * height)
            where = f"d2 {self._output(j)} / d {by} d {name}"
            self._compare("second", name, where, flat(have[k]), should[k], flat(unit), rounding, self.leaves[k], others)

    def _by_what_flows_in(self) -> None:
        """The derivative of <gradient, v> by g, which is J v: where it is lost, that of any function of the output is wrong."""
        flow, v = self._dense(self.target.size), self._dense(sum(self.sizes))
        exact_g, g = Value(filled_with(self.target, flow)), Value(filled_with(plain(self.out), flow))
        exact = self._exact_slopes(exact_g, create_graph=True)
        got = self._slopes(self.out, g, create_graph=True)
        exact_vs, vs = self._parts(v, self.xs), self._parts(v, [x.data for x in self.leaves])
        for k, name in enumerate(self.names):
            slope, exact_slope = _dot(got[k : k + 1], vs[k : k + 1]), _dot(exact[k : k + 1], exact_vs[k : k + 1])

            def rounding(along: Value = exact_slope) -> list[Decimal]:
                with composed():
                    second = grad(along, self.exact.leaves, create_graph=True)
                return self._pushed(second, exact_g, self.xs)

            units = self._magnified([v if i == k else 0.0 * v for i, v in enumerate(exact_vs)])
            have, should, where = self._slopes(slope, by=g), grad(exact_slope, exact_g), f"d2 out / d {name} d g"
            self._compare("second", name, where, flat(have), should, units, rounding, self.leaves[k])

    def _shaken_curvature(self, gradients: list[Value], vs: Sequence[nd.Array]) -> list[nd.Array]:
        """sum_k |d entry / d x_k| |x_k| for each entry of the derivative of <gradients, vs>: third derivatives."""
        with composed():
            second = grad(_dot(gradients, vs), self.exact.leaves, create_graph=True)
        return self._curvature(second, self.xs)

    # --- judging

    def _compare(
        self,
        quantity: str,
        name: str,
        where: str,
        got: list[float],
        exact: nd.Array,
        units: list[Decimal] | None,
        rounding: Callable[[], list[Decimal]] | None,
        leaf: Value | None = None,
        others: Sequence[str] = (),
    ) -> None:
        """Notes the worst element; what a rounding changes is looked up only where much depends on it."""
        exacts, precision = flat(exact), self._precision(leaf)
        errors = self._errors(got, exacts, units, precision)
        far = max(errors, default=0.0) > self.limit / 2
        if rounding is not None and far and any(map(self._is_conditioned, (name, *others))):
            shaken = rounding()
            units = [*map(_larger, shaken, exacts if units is None else units)]
            errors = self._errors(got, exacts, units, precision)
        if not errors:
            return
        at = max(range(len(errors)), key=errors.__getitem__)
        index, number = index_of(at, exact.shape), exacts[at]
        if errors[at] > self.limit and number.is_finite() and float(number) and number.copy_abs() <= self.exact.noise:
            self.doubtful = True
        self._note(quantity, name, index, place(where, index), got[at], number, errors[at])

    def _is_conditioned(self, name: str) -> bool:
        """Whether the op says so of its value (no name) or the gradient of that input, asked as its rule would be."""
        inputs, settings = self.args, self.settings
        if self.out.op is self.op:
            inputs, settings = self.out._saved, self.out._params or {}
        own = {key: x for key, x in settings.items() if key in self.op.setting_names}  # not what is kept for the rule
        with blaming(f"compare: conditioned of {self.op.name}"):
            return self.op.is_conditioned(name, inputs, own)

    def _precision(self, leaf: Value | None) -> Precision:
        """That of the output, or of the input that a gradient belongs to where this has fewer bits."""
        found = precision_of(plain(self.out))
        return found if leaf is None else min(found, precision_of(leaf.data), key=lambda p: p.bits)

    def _errors(self, got: list[float], exact: list[Decimal], units: list[Decimal] | None, precision: Precision) -> list[float]:
        every: Sequence[Decimal | None] = units or [None] * len(got)
        return [self._error(*three, precision) for three in zip(got, exact, every, strict=True)]

    def _error(self, got: float, exact: Decimal, unit: Decimal | None, precision: Precision) -> float:
        rounded = float(exact)
        if got == rounded or (isnan(rounded) and not self.finite):
            return 0.0
        return precision.error(got, exact, None if unit is None or unit.is_nan() else unit)

    def _note(self, quantity: str, name: str, index: tuple, where: str, got: Any, exact: Any, ulp: float) -> None:
        known = self.findings.get((quantity, name))
        if known is None or ulp > known.ulp:
            self.findings[quantity, name] = Finding(self.name, quantity, name, index, where, got, exact, ulp)

    # --- names and pieces

    def _output(self, j: int | None) -> str:
        return "out" if j is None else place("out", index_of(j, self.target.shape))

    def _input(self, i: int) -> str:
        """The element at `i` when those of all inputs stand in one row."""
        k, at = self._owner(i)
        return place(self.names[k], index_of(at, self.xs[k].shape))

    def _owner(self, i: int) -> tuple[int, int]:
        """Which input the element at `i` belongs to, and its place there."""
        k = 0
        while i >= self.sizes[k]:
            i, k = i - self.sizes[k], k + 1
        return k, i

    def _parts(self, numbers: Sequence[float], like: Sequence[Any]) -> list[Any]:
        """One row of numbers for all inputs, cut into the shapes and types of each."""
        ends = [sum(self.sizes[: k + 1]) for k in range(len(self.sizes))]
        cuts = zip(like, self.sizes, ends, strict=True)
        return [filled_with(x, numbers[end - size : end]) for x, size, end in cuts]


def _as_values(inputs: Sequence, keywords: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The inputs as the op is called with them: floats are fresh leaves, in the library of the arrays among them."""
    arrays = [plain(x) for x in (*inputs, *keywords.values()) if is_array(plain(x))]
    xp = namespace_of(arrays, "compare")
    dtype = next((x.dtype for x in arrays if is_floating(x)), None)

    def leaf(x: Any) -> Any:
        data = plain(x)
        if not is_floating(data):
            return data
        if isinstance(data, (list, tuple)) and xp is not nd:
            data = xp.asarray(data, dtype=dtype)
        return Value(data, requires_grad=not isinstance(x, Value) or x.requires_grad)

    return [leaf(x) for x in inputs], {key: leaf(x) for key, x in keywords.items()}


def _leaves(op: Fused, args: Sequence, named: dict[str, Any]) -> tuple[list[str], list[Value]]:
    """The names of the inputs that have a gradient, and these."""
    names = [f"input {i}" for i in range(len(args))] if op.variadic else [*op.input_names[: len(args)]]
    pairs = zip((*names, *named), (*args, *named.values()), strict=True)
    found = [(name, x) for name, x in pairs if isinstance(x, Value) and x.requires_grad]
    return [name for name, _ in found], [x for _, x in found]


def _dot(values: Sequence[Value], weights: Sequence[Any]) -> Value:
    """The sum of all products of Values with plain numbers of their shapes."""
    return _total((value * weight).sum() for value, weight in zip(values, weights, strict=True))


def _total(parts: Any) -> Any:
    parts = iter(parts)
    total = next(parts)
    for part in parts:
        total = total + part
    return total


def _larger(a: Decimal, b: Decimal) -> Decimal:
    return b if a.is_nan() or b.copy_abs() > a.copy_abs() else a


def _magnitudes(linear: Callable[[list[float]], list[nd.Array]], columns: int, rng: Random) -> list[nd.Array]:
    """sum_k |A_ik| of a linear map of which there is only `linear(c)` = A c; of many columns, an estimate.

    Cauchy's distribution is stable: with c_k drawn from it, sum_k A_ik c_k is distributed as one of them times
    sum_k |A_ik|, and the magnitude of one of them has the median 1. (Indyk, Journal of the ACM 53(3), 2006)
    """
    if columns <= FEW:
        unit_vectors = ([float(i == k) for i in range(columns)] for k in range(columns))
        return [_total(map(nd.abs, parts)) for parts in zip(*map(linear, unit_vectors), strict=True)]
    draws = [linear([tan(pi * (rng.random() - 0.5)) for _ in range(columns)]) for _ in range(DRAWS)]
    return [nd.sort(nd.abs(nd.stack(parts)), axis=0)[DRAWS // 2] for parts in zip(*draws, strict=True)]
