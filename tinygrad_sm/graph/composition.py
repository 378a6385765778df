"""Fused ops: a definition in primitives, the body, and a rule derived by hand; and the switch between the two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from tinygrad_sm.graph.op import F, Op

_composed = ContextVar("tinygrad_sm_composed", default=False)
is_composed = _composed.get


@contextmanager
def composed() -> Iterator[None]:
    """Inside, fused ops record the primitives of their bodies instead of one node with a rule of its own.

    >>> import tinygrad_sm as tg
    >>> with tg.composed():
    ...     tg.softmax(tg.Value([1.0, 2.0])).op.name
    'divide'
    """
    token = _composed.set(True)
    try:
        yield
    finally:
        _composed.reset(token)


class Fused(Op):
    """An op whose forward is its definition in primitives and whose rule was derived by hand.

    A `conditioned` op subtracts what its inputs say (logsumexp its two terms, a soft cross-entropy p - t), so that no method
    keeps every digit: `tg.compare` judges it in the unit of what a rounding of its inputs would change, where that is larger.
    Where that is so for some calls or gradients only, `conditioned` is a function `(name, *inputs, **settings)` that says so,
    of the value if `name` is "", else of the gradient of the input of that name.
    """

    def __init__(self, body: Callable[..., Any], conditioned: bool | Callable[..., bool] = False) -> None:
        super().__init__(body)
        self.kernels: dict[type, Callable[..., Any]] = {}
        self._conditioned = conditioned
        self._hard: Callable[[], Iterable[tuple]] = tuple

    def kernel(self, *types: type) -> Callable[[F], F]:
        """Decorates a forward for data of exactly these types: `function(*inputs, **settings)` on plain data."""

        def decorate(function: F) -> F:
            self.kernels.update(dict.fromkeys(types, function))
            return function

        return decorate

    def is_conditioned(self, name: str, inputs: Sequence, settings: Mapping[str, Any]) -> bool:
        """Whether a call's value (`name` ""), or the gradient of the input of that name, hangs on the inputs' last digits."""
        if not callable(self._conditioned):
            return self._conditioned
        own = {key: settings[key] for key in self.setting_names if key in settings}  # without what was kept for the rule
        return self._conditioned(name, *inputs, **{**self._settings, **own})

    def hard_inputs(self, function: F) -> F:
        """Decorates what yields the inputs on which the op is hard to get right: (name, inputs) or (name, inputs, keywords)."""
        self._hard = function
        return function

    def hard_cases(self) -> list[tuple[str, tuple, dict[str, Any]]]:
        """The hard inputs, each as (name, inputs, keywords); none for an op that was given none."""
        return [(name, tuple(inputs), dict(*keywords)) for name, inputs, *keywords in self._hard()]

    def composed(self, *args: Any, **keywords: Any) -> Any:
        """The same call, with the primitives of the body recorded instead of one node."""
        with composed():
            return self(*args, **keywords)

    def _expands(self) -> bool:
        return is_composed() or (self.rule is None and self.rules is None)

    def _forward_for(self, data: Sequence) -> Callable[..., Any]:
        kernel = None if is_composed() else self.kernels.get(type(data[0]))
        return self.forward if kernel is None else lambda xp, *inputs, **settings: kernel(*inputs, **settings)


def fused(
    body: Callable[..., Any] | None = None, *, register: bool = False, conditioned: bool | Callable[..., bool] = False
) -> Any:
    """Makes a fused op of its definition `body(xp, *inputs, **settings)`; `@op.backward` decorates the rule.

    Called normally the op is one node with that rule; `op.composed(...)`, or anything inside `tg.composed()`, records the
    body's primitives. Without a rule it always does. With `register=True` the op joins `tg.fused_ops`, the registry that
    tests, checks and the gallery go through. `@op.hard_inputs` gives it inputs for `tg.compare`, and `conditioned=True` says
    that it subtracts what its inputs say, so that some digits are lost before it begins.

    >>> import tinygrad_sm as tg
    >>> @tg.fused(conditioned=True)  # its gradient has a root near -1.28
    ... def swish(xp, x):
    ...     return x / (1.0 + xp.exp(-x))
    >>> @swish.backward
    ... def _(xp, g, out, x):
    ...     s = tg.sigmoid(x)
    ...     return g * (s + out * (1.0 - s))
    >>> round(tg.grad(swish(x := tg.Value(1.0)), x), 6)
    0.927671
    """

    def decorate(function: Callable[..., Any]) -> Fused:
        op = Fused(function, conditioned)
        if register:
            register_fused(op)
        return op

    return decorate if body is None else decorate(body)


_FUSED: dict[str, Fused] = {}
fused_ops: Mapping[str, Fused] = MappingProxyType(_FUSED)


def register_fused(*ops: Fused) -> None:
    """Adds fused ops to `fused_ops`; the name must be free."""
    for op in ops:
        if _FUSED.setdefault(op.name, op) is not op:
            raise ValueError(f"fused_ops has a {op.name} already; give yours another name")
