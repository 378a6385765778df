"""The truth: a function run on decimals, through the same engine, with as many digits as it takes.

With 50 digits, 1 + 1e-304 is 1 and the loss of a confident prediction 0; with 100 and 200 digits it still is, so that waiting
until the digits no longer change would settle on a wrong number. What tells is the range of the numbers on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from math import log
from typing import Any, NamedTuple

from tinygrad_sm import nd
from tinygrad_sm.graph import Value, composed, grad, history
from tinygrad_sm.graph.namespaces import SCALARS, filled_like, is_array, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import plain

FIRST = 64  # digits of the first run; enough for most
SURE = 50  # digits that are left where the farthest numbers meet
FARTHEST = 330  # what is smaller than 1e-330 is nothing to a float

# How far from 1 these get, as a power of ten: the result itself does not show it.
_SATURATING = {"tanh": lambda x: 2 * abs(x) / log(10), "erf": lambda x: x * x / log(10)}


class Run(NamedTuple):
    """A function's output on decimals, the inputs it was computed from (Values where they are floats), and the digits."""

    output: Value
    inputs: list[Any]
    keywords: dict[str, Any]
    digits: int
    noise: Decimal = Decimal(0)  # a result as small as this may be what is left of an exact 0

    @property
    def leaves(self) -> list[Value]:
        """The inputs that have a gradient, keywords last."""
        return [x for x in (*self.inputs, *self.keywords.values()) if isinstance(x, Value) and x.requires_grad]

    def gradients(self, g: Any, create_graph: bool = False) -> list[Any]:
        """The gradient of each of the leaves when `g` (the shape of the output; Decimals or plain numbers) flows in."""
        with composed():
            return grad(self.output, self.leaves, grad_output=g, create_graph=create_graph)


def run(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    keywords: dict[str, Any] | None = None,
    *,
    order: int = 1,
    fused: bool = False,
    digits: int = FIRST,
) -> Run:
    """`function(*inputs, **keywords)` on decimals, its fused ops expanded into primitives unless `fused`.

    The digits, `digits` or more, suffice for derivatives of that order. Raises a TypeError when the result did not come out
    as decimals.

    >>> import tinygrad_sm as tg
    >>> run(tg.logsumexp, [[0.0, -700.0]]).digits > 350
    True
    """
    while True:
        done, orders = _watched(function, inputs, keywords or {}, digits, fused, order)
        if residues := {n for n in orders if abs(n - max(orders) + digits) <= 5}:
            # They may be what rounding left of a 0, and then they are elsewhere with other digits.
            orders = orders - residues | residues & _watched(function, inputs, keywords or {}, digits + 12, fused, order)[1]
        largest, smallest = _ends(orders)
        needed = SURE + largest - smallest
        if needed <= digits:
            return done._replace(noise=Decimal(1).scaleb(largest + 4 - digits))
        digits = needed


def _watched(
    function: Callable[..., Any], inputs: Sequence[Any], keywords: dict[str, Any], digits: int, fused: bool, order: int
) -> tuple[Run, set[int]]:
    """A run with so many digits, and the powers of ten it came by."""
    done = _run(function, inputs, keywords, digits, fused)
    values = [done.output]
    if order > 1 and done.leaves:
        size = done.output.size
        uneven = filled_with(done.output.data, [1 + i / size for i in range(size)])  # an even one might cancel to 0
        values += done.gradients(uneven, create_graph=True)
    return done, powers_of_ten(values)


def _run(function: Callable[..., Any], inputs: Sequence[Any], keywords: dict[str, Any], digits: int, fused: bool) -> Run:
    args = [_leaf(x, digits) for x in inputs]
    named = {key: _leaf(x, digits) for key, x in keywords.items()}
    if fused:
        output = function(*args, **named)
    else:
        with composed():
            output = function(*args, **named)
    if type(plain(output)) is not nd.Decimals:
        name = getattr(function, "__name__", "the function")
        raise TypeError(f"{name}: given decimals it returned {plain(output)!r}; somewhere it leaves the ops of tinygrad_sm")
    if not isinstance(output, Value):
        output = Value(output, requires_grad=False)
    return Run(output, args, named, digits)


def _leaf(x: Any, digits: int) -> Any:
    """An input as the exact run takes it: floats a leaf of decimals, other numbers an array of our own, the rest as it is."""
    if not is_floating(x):
        return _own(x)
    return Value(lifted(x, digits), requires_grad=not isinstance(x, Value) or x.requires_grad)


def is_floating(x: Any) -> bool:
    """Whether `x` (a number, list, array or Value) holds floats, and so has a gradient; ints and bools are labels and masks."""
    x = plain(x)
    if isinstance(x, (list, tuple)):
        return any(map(is_floating, x))
    return isinstance(x, (float, Decimal)) or ((is_array(x) or type(x) in SCALARS) and kind_of(x) == "real floating")


def lifted(x: Any, digits: int) -> nd.Array:
    """The floats of `x` (a number, list, array of any library, or Value) as decimals, each exactly what it is."""
    x = plain(x)
    if isinstance(x, (list, tuple)):
        return nd.exact(x, digits)
    return nd.reshape(nd.exact(flat(x), digits), shape(x))


def _own(x: Any) -> Any:
    if is_array(x) and not isinstance(x, nd.Array):
        kind = nd.bool if kind_of(x) == "bool" else nd.int64
        return nd.reshape(nd.asarray(flat(x), dtype=kind), shape(x))
    return x


def flat(x: Any) -> list[Any]:
    """The elements of a number, array or Value as Python numbers (or Decimals) in row-major order."""
    x = plain(x)
    if isinstance(x, nd.Array):
        return x._flat
    if not is_array(x):
        return [x]
    return namespace_of([x]).reshape(x, (-1,)).tolist()


def reach(values: Iterable[Value]) -> tuple[int, int]:
    """The powers of ten of the largest and the smallest number of a computation, 1 among them; at most FARTHEST."""
    return _ends(powers_of_ten(values))


def _ends(orders: set[int]) -> tuple[int, int]:
    return min(max(orders), FARTHEST), max(min(orders), -FARTHEST)


def powers_of_ten(values: Iterable[Value]) -> set[int]:
    """Those of all numbers that the Values were computed from, of themselves, and of 1."""
    found = {0}
    for node in {id(node): node for value in values for node in history(value)}.values():
        if type(node.data) is nd.Decimals:
            found.update(x.adjusted() for x in node.data._flat if x and x.is_finite())
        if node.op is not None and node.op.name in _SATURATING:
            distance = _SATURATING[node.op.name]
            found.update(-int(min(distance(float(x)), FARTHEST)) for x in flat(node.inputs[0]))
    return found


def one_hot_like(x: Any, place: int, height: float = 1.0) -> Any:
    """Zeros in the shape, type and library of `x`, and `height` at one place of the row-major order."""
    numbers = [0.0] * len(flat(x))
    numbers[place] = height
    return filled_with(x, numbers)


def filled_with(x: Any, numbers: Sequence[float]) -> Any:
    """These numbers, in row-major order, in the shape, type and library of `x`."""
    if type(x) is float:
        return float(numbers[0])
    if isinstance(x, nd.Array):
        return nd.reshape(nd.asarray([*numbers], dtype=x.dtype), x.shape)
    xp = namespace_of([x])
    return filled_like(x, 0.0) + xp.reshape(xp.asarray([*numbers], dtype=x.dtype), shape(x))
