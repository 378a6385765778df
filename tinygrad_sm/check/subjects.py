"""The function under test and the point at which it is: run on floats of the inputs' own kind, or on decimals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import isfinite, nan, ulp
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.check.truth import filled_with, flat, is_floating, lifted
from tinygrad_sm.check.units import precision_of
from tinygrad_sm.graph import Value, composed, grad, history
from tinygrad_sm.graph.composition import Fused
from tinygrad_sm.graph.namespaces import as_data, is_array, kind_of, shape
from tinygrad_sm.graph.value import leaf, plain, recording
from tinygrad_sm.nd.shapes import brief

DIGITS = 30  # enough to know how large something is
REFUSALS = (ValueError, ArithmeticError)  # what a function says to numbers outside of its domain


class LeavesOpsError(Exception):
    """The function leaves the ops of tinygrad_sm, so that decimals cannot follow it; the text says where."""


class _Watched:
    """What a leaf of decimals refuses: to become a float and so leave the graph with sixteen digits."""

    __slots__ = ()

    def __float__(self) -> float:
        raise LeavesOpsError("it converts a Value to a plain number")

    __int__ = __float__
    item = tolist = __float__

    def __bool__(self) -> bool:
        return any(flat(self))

    def __format__(self, spec: str) -> str:
        return str(plain(self))


class Subject:
    """A function at a point. Its differentiated coordinates are one flat list of numbers, over all inputs that hold floats.

    It gets Values; but with `gradient`, a function of the same inputs that gives its gradient, each input in the kind it was
    given. Ints and bools are labels and masks, handed on as they are, unless there is nothing else.
    """

    def __init__(self, f: Callable[..., Any], inputs: Sequence[Any], gradient: Callable[..., Any] | None = None) -> None:
        self.f, self.by_hand = f, gradient
        self.replays = False  # on decimals it computes what was recorded on floats
        self.forgotten: list[int] = []  # the outputs that are no Values, beside others that are
        self._size: int | None = None  # of all outputs
        self._held: dict[int, int] | None = None
        floating = [is_floating(x) and (not isinstance(x, Value) or x.requires_grad) for x in inputs]
        if not any(floating):
            floating = [is_number(x) for x in inputs]
        if not any(floating):
            raise ValueError("gradcheck: none of the inputs is a number, a list or an array that could be differentiated")
        self.inputs = [as_data(plain(x), "gradcheck") if moves else x for x, moves in zip(inputs, floating, strict=True)]
        self.classes = [type(x) if isinstance(x, Value) else None if gradient else Value for x in inputs]
        self.differentiated = [i for i, moves in enumerate(floating) if moves]
        self.parameters = {i: x for i in self.differentiated if isinstance(x := inputs[i], Value) and x.op is None}
        self.start = [x for i in self.differentiated for x in flat(self.inputs[i])]
        if not self.start:
            raise ValueError("gradcheck: the inputs have no elements")
        names = getattr(f, "input_names", None) or _parameters(f)
        self.names = [getattr(x, "name", None) or (names[i] if i < len(names) else f"input {i}") for i, x in enumerate(inputs)]

    def where(self, coordinate: int) -> tuple[int, int]:
        """The input to which a coordinate belongs, and its place in the row-major order of that."""
        for i in self.differentiated:
            size = len(flat(self.inputs[i]))
            if coordinate < size:
                return i, coordinate
            coordinate -= size
        raise IndexError(coordinate)

    def arguments(self, numbers: Sequence[Any], digits: int | None = None) -> list[Any]:
        """The inputs with these numbers at the differentiated coordinates, on floats or on decimals."""
        arguments, begin = [], 0
        for i, (x, cls) in enumerate(zip(self.inputs, self.classes, strict=True)):
            if i in self.differentiated:
                end = begin + len(flat(x))
                part, begin = numbers[begin:end], end
                data = filled_with(x, part) if digits is None else nd.reshape(nd.exact([*part], digits), shape(x))
                kind = cls if digits is None or cls is None else _watched(cls)
                arguments.append(data if kind is None else leaf(data, kind))
            elif digits is not None and is_floating(x):
                exact = lifted(x, digits)
                arguments.append(leaf(exact, type(x), requires_grad=False) if isinstance(x, Value) else exact)
            else:
                arguments.append(x)
        return arguments

    def outputs(self, arguments: Sequence[Any]) -> list[Any]:
        """What the function gives, as a list of outputs that are numbers."""
        try:
            result = self._run(arguments)
        except LeavesOpsError:
            raise
        except Exception as error:
            if any(type(plain(x)) is nd.Decimals for x in arguments) and nd.Decimals not in map(type, self.inputs):
                raise LeavesOpsError(f"on decimals: {type(error).__name__}: {error}") from error
            raise
        results = [*result] if isinstance(result, (tuple, list)) else [result]
        for y in results:
            if not (isinstance(y, Value) or is_array(y) or is_number(y) or hasattr(y, "__float__")):
                raise TypeError(f"gradcheck: f returns numbers, arrays or Values, and gave {brief(y)}")
        if self.by_hand is None:
            values = [y for y in results if isinstance(y, Value)]
            self.forgotten = [k for k, y in enumerate(results) if not isinstance(y, Value)]
            if not values:
                raise TypeError(
                    f"gradcheck: f returned {brief(result)}, which remembers nothing, so that there is no gradient to judge; "
                    "compute it with ops of tinygrad_sm on the Values that f gets, or hand over gradient="
                )
            return values
        if len(results) != 1 or len(flat(results[0])) != 1:
            raise ValueError(f"gradcheck: with gradient= the function gives one number, and this one gave {brief(result)}")
        return results

    def _run(self, arguments: Sequence[Any]) -> Any:
        """f, for which inputs that are leaves, such as the parameters of a model it closes over, are these arguments."""
        before = [(x, x._data) for x in self.parameters.values()]
        try:
            for i, x in self.parameters.items():
                x._data = plain(arguments[i])
            result = self.f(*arguments)
        finally:
            for x, data in before:
                x._data = data
        if self.parameters:
            stand_in = {id(x): arguments[i] for i, x in self.parameters.items()}
            results = [*result] if isinstance(result, (tuple, list)) else [result]
            results = [stand_in.get(id(y), y) for y in results]
            for node in (node for y in results if isinstance(y, Value) for node in history(y)):
                _replace_inputs(node, stand_in)
            return results
        return result

    def values(self, numbers: Sequence[Any], digits: int | None = None) -> list[Any]:
        """The elements of all outputs, in one list; nan where f refuses numbers that were moved out of its domain."""
        moved = self._size is not None and any(a != b for a, b in zip(numbers, self.start, strict=True))
        arguments = self.arguments(numbers, digits)
        try:
            with recording(False):
                outputs = self.outputs(arguments)
        except (LeavesOpsError, *REFUSALS) as error:
            refused = isinstance(error, REFUSALS) or isinstance(error.__cause__, REFUSALS)
            if moved and refused:
                return [nan if digits is None else Decimal(nan)] * (self._size or 0)
            raise
        if digits is not None:
            require_decimals(outputs)
        values = [v for y in outputs for v in (flat(y) if isinstance(y, Value) or is_array(y) else [float(y)])]
        self._size = len(values)
        return values

    @property
    def held(self) -> dict[int, int]:
        """The coordinates that f refuses to have moved both ways: 1 if it takes them larger, -1 smaller, 0 neither."""
        if self._held is None:
            self._held = {}
            here, moves = self.values(self.start), self.visible()
            if all(map(isfinite, here)):
                up, down = (self._refused(range(len(moves)), [side * h for h in moves]) for side in (1, -1))
                self._held = {k: (k not in up) - (k not in down) for k in up | down}
        return self._held

    def visible(self) -> list[float]:
        """For each coordinate a move that its floats can just see."""
        precisions = [precision_of(self.inputs[i]) for i in self.differentiated for _ in flat(self.inputs[i])]
        numbers = zip(map(float, self.start), precisions, strict=True)
        return [max(1e-9 * min(abs(x) or 1.0, 1.0), 64 * max(ulp(x), precision.ulp(x))) for x, precision in numbers]

    def _refused(self, group: Sequence[int], moves: Sequence[float]) -> set[int]:
        """Those of a group that f refuses to have moved so, by halves."""
        numbers = [float(x) for x in self.start]
        for k in group:
            numbers[k] += moves[k]
        try:
            with recording(False):
                self.outputs(self.arguments(numbers))
        except REFUSALS:
            middle = len(group) // 2
            halves = (group[:middle], group[middle:]) if middle else ()
            return set(group) if not halves else set().union(*(self._refused(half, moves) for half in halves))
        return set()

    def changes_its_inputs(self, flow: Sequence[float]) -> bool:
        """Whether a run, forward and backward, leaves other numbers in the inputs than it found there."""
        arguments = self.arguments(self.start)
        if self.by_hand is not None:
            self.outputs(arguments)
            self.by_hand(*arguments)
        else:
            with recording(True):
                outputs = self.outputs(arguments)
            pulled(outputs, [arguments[i] for i in self.differentiated], flow)
        left = [v for i in self.differentiated for v in flat(arguments[i])]
        found = [v for i in self.differentiated for v in flat(filled_with(self.inputs[i], flat(self.inputs[i])))]
        return any(a != b and not (a != a and b != b) for a, b in zip(left, found, strict=True))

    def gradients(self, flows: Sequence[Sequence[float]], numbers: Sequence[Any], digits: int | None = None) -> list[list]:
        """For each of `flows`, one number an element of all outputs, the gradient at all coordinates."""
        arguments = self.arguments(numbers, digits)
        if self.by_hand is not None:
            given = self.by_hand(*arguments)
            row = self._checked(given, digits)
            return [[flow[0] * v if flow[0] != 1.0 else v for v in row] for flow in flows]
        with recording(True):
            outputs = self.outputs(arguments)
        leaves = [arguments[i] for i in self.differentiated]
        return [pulled(outputs, leaves, flow) for flow in flows]

    def magnitudes(self, flow: Sequence[float], numbers: Sequence[Any]) -> list | None:
        """The gradients' sizes before anything cancelled: absolute values at every meeting of the graph of primitives."""
        if self.by_hand is not None:
            return None
        arguments = self.arguments(numbers, DIGITS)
        with composed(), recording(True):
            outputs, begin = self.outputs(arguments), 0
            sums: dict[int, Any] = {}
            for y in outputs:
                part, begin = flow[begin : begin + y.size], begin + y.size
                sums[id(y)] = nd.abs(filled_with(y._data, part)) + sums.get(id(y), 0.0)
            nodes = {id(node): node for y in outputs for node in history(y) if node.requires_grad}
            for node in sorted(nodes.values(), key=lambda node: node._order):  # newest first
                if node.op is None or id(node) not in sums:
                    continue
                for x, amount in zip(node.inputs, node.op.contributions(node, sums[id(node)]), strict=True):
                    if amount is not None:
                        sums[id(x)] = nd.abs(amount) + sums.get(id(x), 0.0)
        leaves = [arguments[i] for i in self.differentiated]
        return [v for x in leaves for v in (flat(sums[id(x)]) if id(x) in sums else [0.0] * x.size)]

    def promises_digits(self) -> bool:
        """Whether this is a single fused op of the inputs, one that does not say that it subtracts what they say."""
        if self.by_hand is not None:
            return False
        with recording(True):
            outputs = self.outputs(self.arguments(self.start))
        node, *others = outputs
        op, inputs = node.op, [x for x in node.inputs if isinstance(x, Value)]
        if others or not isinstance(op, Fused) or any(x.op is not None for x in inputs):
            return False
        return not any(op.is_conditioned(name, node._saved, node._params or {}) for name in op.input_names)

    def _checked(self, given: Any, digits: int | None) -> list:
        """The gradient that the user's function gave, one for each input that is differentiated, in one list."""
        many = isinstance(given, (tuple, list)) and len(self.differentiated) > 1
        parts = [*given] if many else [given]
        if len(parts) != len(self.differentiated):
            raise ValueError(
                f"gradcheck: gradient= gave {len(parts)} gradient(s) for {len(self.differentiated)} inputs; "
                "return a tuple with one for each"
            )
        row = []
        for i, part in zip(self.differentiated, parts, strict=True):
            part = plain(part)
            part = nd.asarray(part) if isinstance(part, (list, tuple)) else part
            if shape(part) != shape(self.inputs[i]):
                raise ValueError(
                    f"gradcheck: gradient= gave shape {shape(part)} for {self.names[i]} of shape {shape(self.inputs[i])}"
                )
            if digits is not None and type(part) is not nd.Decimals:
                raise LeavesOpsError("gradient= gives floats")
            row += flat(part)
        return row

    def derivative(self, flow: Sequence[float], slanted: bool) -> Subject:
        """The gradient of this function, as a function: its own check is one of the second derivatives.

        Slanted, what flows in depends on the inputs, as it does where the function is part of another: a rule must not drop
        its derivative.
        """
        at = [float(v) for v in self.values(self.start)] if slanted else []
        slants = [g / (1.0 + abs(v)) for g, v in zip(flow, at, strict=slanted)]

        def gradient(*arguments: Any) -> list[Value]:
            leaves = [arguments[i] for i in self.differentiated]
            with recording(True):
                outputs, begin, total = self.outputs(arguments), 0, None
                for y in outputs:
                    here, begin = slice(begin, begin + y.size), begin + y.size
                    if y.requires_grad:
                        g = filled_with(y._data, flow[here])
                        g = g + y * filled_with(y._data, slants[here]) if slants else g
                        gs = grad(y, leaves, grad_output=g, create_graph=True)
                        total = gs if total is None else [a + b for a, b in zip(total, gs, strict=True)]
            return [leaf(filled_with(x._data, [0.0] * x.size)) for x in leaves] if total is None else total

        inputs = [leaf(x, cls) if i in self.differentiated and cls else x for i, (x, cls) in enumerate(self._kinds())]
        twin = Subject(gradient, inputs)
        twin.names, twin.replays, twin._held = self.names, self.replays, self.held
        return twin

    def _kinds(self) -> list[tuple[Any, Any]]:
        return [*zip(self.inputs, self.classes, strict=True)]


def pulled(outputs: Sequence[Value], leaves: Sequence[Value], flow: Sequence[float]) -> list:
    """What arrives at the leaves, in one list, when `flow`, one number an element of all outputs, flows back."""
    begin, total = 0, None
    for y in outputs:
        part, begin = flow[begin : begin + y.size], begin + y.size
        if y.requires_grad:
            row = [v for g in grad(y, leaves, grad_output=filled_with(y._data, part)) for v in flat(g)]
            total = row if total is None else [a + b for a, b in zip(total, row, strict=True)]
    return [0.0] * sum(x.size for x in leaves) if total is None else total


def _replace_inputs(node: Value, stand_in: dict[int, Value]) -> None:
    if not any(id(x) in stand_in for x in node.inputs):
        return
    if node._right_data is None:
        node._left = tuple([stand_in.get(id(x), x) for x in node._left])
    else:
        node._left, node._right = (stand_in.get(id(x), x) for x in (node._left, node._right))


def require_decimals(outputs: Sequence[Any]) -> None:
    """Raises when something on the way from decimals to the outputs came out as floats."""
    for y in outputs:
        if type(plain(y)) is not nd.Decimals:
            raise LeavesOpsError(f"on decimals it gives {brief(plain(y))}")
        if isinstance(y, Value):
            for node in history(y):
                if node.requires_grad and type(node._data) is not nd.Decimals:
                    raise LeavesOpsError(f"{node.op.name if node.op else 'a Value'} gives floats on decimals")


def recorded(subject: Subject, digits: int) -> list[Value]:
    """The outputs on decimals with all primitives of the fused ops on the way, to look at what numbers occurred."""
    arguments = subject.arguments(subject.start, digits)
    arguments = [leaf(x) if type(x) is nd.Decimals else x for x in arguments]
    with composed(), recording(True):
        return subject.outputs(arguments)


def is_number(x: Any) -> bool:
    """Whether `x` (a number, list, array or Value) holds real numbers that could be differentiated; bools are none."""
    x = plain(x)
    if isinstance(x, (list, tuple)):
        return bool(x) and all(map(is_number, x))
    if is_array(x):
        return kind_of(x) in ("integral", "real floating")
    return isinstance(x, (int, float)) and not isinstance(x, bool)


def _watched(cls: type[Value]) -> type[Value]:
    return type(cls.__name__, (_Watched, cls), {"__slots__": ()})


def _parameters(f: Callable[..., Any]) -> tuple[str, ...]:
    code = getattr(f, "__code__", None)
    return () if code is None else code.co_varnames[: code.co_argcount]
