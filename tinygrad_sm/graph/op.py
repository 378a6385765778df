"""Ops: a forward and its rule side by side, written once against an array namespace `xp`.

The same lines run on floats, on arrays of any library, on decimals, and on Values themselves: a rule that runs on Values
records a graph, and that is what second derivatives are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, TypeVar

from tinygrad_sm import nd
from tinygrad_sm.graph.namespaces import SCALARS, as_operand, filled_like, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import Value, is_recording, leaf, next_order, plain

Rule = Callable[..., Any]
F = TypeVar("F", bound=Callable[..., Any])

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


class Op:
    """A function that can be differentiated. Made by `@primitive` and `@fused`, called like the function.

    The forward's positional parameters after `xp` are the inputs, each a Value or plain data; those with a default are given
    by keyword. Its keyword-only parameters are settings (an axis, a flag), never Values.
    """

    def __init__(self, forward: Callable[..., Any]) -> None:
        code = forward.__code__
        names, n = code.co_varnames, code.co_argcount
        self.forward = forward
        self.name: str = forward.__name__
        self.__name__, self.__doc__, self.__module__ = forward.__name__, forward.__doc__, forward.__module__
        self.__wrapped__ = forward
        self.input_names = names[1:n]
        self.setting_names = names[n : n + code.co_kwonlyargcount]
        self.variadic = bool(code.co_flags & 0x04)
        self._defaults = forward.__defaults__ or ()
        self._required = len(self.input_names) - len(self._defaults)
        self._settings: dict[str, Any] = forward.__kwdefaults__ or {}
        self._prepare: Callable[..., tuple] | None = None
        self.rules: tuple[Rule, ...] | None = None  # one an operand
        self.rule: Rule | None = None  # or one for all of them

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} op {self.name}>"

    @property
    def __signature__(self) -> Any:
        import inspect  # only help() asks; inspect takes long to import

        own = inspect.signature(self.forward)
        return own.replace(parameters=[*own.parameters.values()][1:])

    # --- building one

    def vjps(self, *rules: Rule) -> None:
        """One rule an operand, `rule(xp, g, out, *inputs, **settings)`; only those of operands that want a gradient run."""
        self.rules = rules

    def backward(self, rule: F) -> F:
        """Decorates the rule for all operands at once.

        It returns the gradient of the one input, or a tuple with one entry an input: None where there is no gradient, a
        function of no arguments where it is expensive, which is called only when the gradient is wanted.
        """
        self.rule = rule
        return rule

    def prepare(self, function: F) -> F:
        """Decorates a check of the plain data, `function(xp, *inputs, **settings)`, which returns the inputs to be used."""
        self._prepare = function
        return function

    # --- calling it

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        inputs, settings = self._bind(args, keywords)
        return self._apply(inputs, settings)

    def _bind(self, args: tuple, keywords: dict[str, Any]) -> tuple[list, dict[str, Any]]:
        """Inputs and settings; settings may follow the required inputs by position, as in `x.sum(0)`."""
        if self.variadic:
            sequence = len(args) >= 1 and isinstance(args[0], (list, tuple))
            inputs, extra = ([*args[0]], args[1:]) if sequence else ([*args], ())
        else:
            inputs, extra = [*args[: self._required]], args[self._required :]
        if len(extra) > len(self.setting_names):
            raise TypeError(f"{self.name}: {len(args)} arguments are too many; it takes {self._takes()}")
        settings = {**self._settings, **dict(zip(self.setting_names, extra))}  # noqa: B905 (fewer is fine)
        optional = [*self._defaults]
        for key, x in keywords.items():
            if key in self.setting_names:
                if key in self.setting_names[: len(extra)]:
                    raise TypeError(f"{self.name}: {key} was given twice")
                settings[key] = x
            elif key in self.input_names:
                place = self.input_names.index(key)
                if place >= self._required:
                    optional[place - self._required] = x
                elif place == len(inputs):
                    inputs.append(x)
                else:
                    raise TypeError(f"{self.name}: {key} was given twice, or out of order")
            else:
                raise TypeError(f"{self.name}: has no {key}; it takes {self._takes()}")
        if len(inputs) < self._required:
            raise TypeError(f"{self.name}: needs {self._takes()}, and got {len(inputs)} input(s)")
        for key, x in settings.items():
            if isinstance(x, Value):
                raise TypeError(f"{self.name}: {key} is a setting and has no gradient; give plain data, not a Value")
        if optional and any(x is not d for x, d in zip(optional, self._defaults, strict=True)):
            inputs += optional
        return inputs, settings

    def _takes(self) -> str:
        inputs = f"*{self.input_names or 'arrays'}" if self.variadic else ", ".join(self.input_names)
        return f"({inputs}{'; ' if self.setting_names else ''}{', '.join(self.setting_names)})"

    def _apply(self, inputs: list, settings: dict[str, Any]) -> Any:
        data, cls, tracked = [], None, False
        for x in inputs:
            if isinstance(x, Value):
                data.append(x._data)
                cls = cls or type(x)
                tracked = tracked or x.requires_grad
            else:
                data.append(x)
        xp = namespace_of([x for x in data if not isinstance(x, (list, tuple)) and x is not None], self.name)
        data = [as_operand(x, xp, self.name) for x in data]
        if self._prepare is not None:
            data = [*self._prepare(xp, *data, **settings)]
        if cls is None:
            return self._compute(xp, data, settings)
        if self._expands():
            values = [x if isinstance(x, Value) else _wrapped(d) for x, d in zip(inputs, data, strict=True)]
            return self.forward(values_of(xp), *values, **settings)
        out = self._compute(xp, data, settings)
        if not (tracked and is_recording()):
            return leaf(out, cls, requires_grad=False)
        kept = tuple(x if isinstance(x, Value) else d for x, d in zip(inputs, data, strict=True))
        return record(cls, self, out, kept, tuple(data), settings)

    def _expands(self) -> bool:
        return False

    def _compute(self, xp: Any, data: list, settings: dict[str, Any]) -> Any:
        """The forward on plain data, with errors that name the op and the shapes."""
        try:
            return ieee(self.forward, xp, data, settings)
        except (TypeError, ValueError, IndexError) as error:
            if str(error).startswith(self.name):
                raise
            shapes = " and ".join(str(shape(x)) for x in data if x is not None)
            kind = next(k for k in (IndexError, ValueError, TypeError) if isinstance(error, k))
            raise kind(f"{self.name}: {error} (inputs of shape {shapes})") from error

    # --- going back through it

    def contributions(self, node: Value, gradient: Any) -> tuple:
        """What `node`, made by this op, adds to the gradient of each of its inputs (None: that one needs none)."""
        inputs, saved = node.inputs, node._saved
        if type(gradient) is float and self.rules is not None and len(saved) == 2:  # scalars: most nodes of such programs
            (left, right), (a, b), (rule_a, rule_b), out = inputs, saved, self.rules, node._data
            try:
                amount_a = rule_a(nd, gradient, out, a, b) if isinstance(left, Value) and left.requires_grad else None
                amount_b = rule_b(nd, gradient, out, a, b) if isinstance(right, Value) and right.requires_grad else None
            except (ZeroDivisionError, OverflowError):
                pass
            else:
                if (amount_a is None or type(amount_a) is float is type(a)) and (
                    amount_b is None or type(amount_b) is float is type(b)
                ):
                    return amount_a, amount_b
        wanted = [isinstance(x, Value) and x.requires_grad for x in inputs]
        xp = namespace_of([x for x in saved if x is not None])
        if isinstance(gradient, Value):
            xp = values_of(xp)
            arguments = [gradient, node, *(self._recorded(x, d) for x, d in zip(inputs, saved, strict=True))]
        else:
            arguments = [gradient, node._data, *saved]
        return tuple(
            fit(self, xp, amount, d) if want else None
            for amount, d, want in zip(self._amounts(xp, arguments, node._params or {}, wanted), saved, wanted, strict=True)
        )

    def _amounts(self, xp: Any, arguments: list, settings: dict[str, Any], wanted: list[bool]) -> list:
        """The gradient of each operand as the rules give it."""
        if self.rules is not None:
            return [
                ieee(rule, xp, arguments, settings) if want else None for rule, want in zip(self.rules, wanted, strict=True)
            ]
        if self.rule is None:
            raise TypeError(f"{self.name} has no rule: add one with @{self.name}.backward or {self.name}.vjps(...)")
        amounts = ieee(self.rule, xp, arguments, settings)
        if not isinstance(amounts, tuple):
            amounts = (amounts,)
        if len(amounts) != len(wanted):
            if len(amounts) > len(wanted) and not self.variadic and len(amounts) <= len(self.input_names):
                amounts = amounts[: len(wanted)]  # optional inputs that were not given
            else:
                raise TypeError(f"the rule of {self.name} returned {len(amounts)} gradients for {len(wanted)} inputs")
        return [amount() if want and callable(amount) else amount for amount, want in zip(amounts, wanted, strict=True)]

    def _recorded(self, x: Any, saved: Any) -> Any:
        """An operand as a rule that records sees it: every array a Value."""
        if not isinstance(x, Value):
            return _wrapped(saved)
        if x._data is not saved:
            raise ValueError(
                f"{self.name}: the data of {x.name or 'an input'} was rebound after it was used, so the second "
                "derivative of what was recorded cannot be built; take it before rebinding"
            )
        return x


def ieee(function: Callable[..., Any], xp: Any, arguments: list, settings: dict[str, Any]) -> Any:
    """`function(xp, *arguments)`; plain floats follow IEEE where Python's operators raise.

    1.0 / 0.0 is inf on every array but an error between Python floats. Trying costs nothing; the rare case runs again on
    0-d arrays, whose operators follow the standard.
    """
    try:
        return function(xp, *arguments, **settings)
    except (ZeroDivisionError, OverflowError):
        if xp is not nd or not all(type(x) in SCALARS for x in arguments):
            raise
        results = function(nd, *map(_as_0d, arguments), **settings)
        return tuple(map(_as_number, results)) if isinstance(results, tuple) else _as_number(results)


def _as_0d(x: Any) -> Any:
    return nd.asarray(x)


def _as_number(x: Any) -> Any:
    if callable(x):
        return lambda: _as_number(x())
    return float(x) if isinstance(x, nd.Array) else x


def _wrapped(x: Any) -> Any:
    """A constant array as a Value without a gradient; numbers and None need no wrapping."""
    return x if type(x) in SCALARS or x is None else leaf(x, requires_grad=False)


def record(cls: type[Value], op: Op, data: Any, inputs: tuple, saved: tuple, settings: dict[str, Any] | None) -> Value:
    """A new node of the graph."""
    if type(data) is not float and type(data) in (int, bool, complex):
        if type(data) is complex:
            raise ValueError(f"{op.name}: the result {data} is complex; Values are real (use xp.pow for powers)")
        data = float(data)
    node: Value = object.__new__(cls)
    node._data, node.op, node.inputs, node._saved, node._params = data, op, inputs, saved, settings or None
    node._grad = node.name = None
    node._order = next_order()
    node.requires_grad = True
    return node


def fit(op: Op, xp: Any, amount: Any, like: Any) -> Any:
    """A gradient in the shape, type and library of the input `like`: broadcasting is undone here and nowhere else."""
    data = plain(amount)
    if data is None:
        return None
    if type(data) is type(like) and (type(data) is float or (data.shape == like.shape and data.dtype == like.dtype)):
        return amount
    if type(data) in SCALARS:
        if type(data) is not float:
            amount, data = float(amount), float(data)
        if type(like) is float:
            return amount
        if shape(like) != ():
            raise ValueError(f"the rule of {op.name} returned a number for an input of shape {shape(like)}")
        return filled_like(like, amount) if data is amount else xp.as_array(amount, like=like)
    if type(data) is complex:
        raise ValueError(f"the rule of {op.name} returned the complex number {data}; use xp.pow for powers")
    given, wanted = shape(data), shape(like)
    if given != wanted:
        lead = len(given) - len(wanted)
        if lead < 0 or any(w not in (1, n) for n, w in zip(given[lead:], wanted, strict=True)):
            raise ValueError(f"the rule of {op.name} returned a gradient of shape {given} for an input of shape {wanted}")
        stretched = (i for i, (n, w) in enumerate(zip(given[lead:], wanted, strict=True), lead) if n != w)
        amount = xp.reshape(xp.sum(amount, axis=(*range(lead), *stretched)), wanted)
    if type(like) is float:
        return xp.as_float(amount) if isinstance(amount, Value) else float(amount)
    return amount if plain(amount).dtype == like.dtype else xp.astype(amount, like.dtype)


class Fused(Op):
    """An op whose forward is its definition in primitives and whose rule was derived by hand."""

    def __init__(self, body: Callable[..., Any]) -> None:
        super().__init__(body)
        self.kernels: dict[type, Callable[..., Any]] = {}

    def kernel(self, *types: type) -> Callable[[F], F]:
        """Decorates a forward for data of exactly these types: `function(*inputs, **settings)` on plain data."""

        def decorate(function: F) -> F:
            self.kernels.update(dict.fromkeys(types, function))
            return function

        return decorate

    def composed(self, *args: Any, **keywords: Any) -> Any:
        """The same call, with the primitives of the body recorded instead of one node."""
        with composed():
            return self(*args, **keywords)

    def _expands(self) -> bool:
        return is_composed() or (self.rule is None and self.rules is None)

    def _compute(self, xp: Any, data: list, settings: dict[str, Any]) -> Any:
        kernel = self.kernels.get(type(data[0]))
        if kernel is None or is_composed():
            return super()._compute(xp, data, settings)
        return kernel(*data, **settings)


def primitive(forward: Callable[..., Any]) -> Op:
    """Makes an op of `forward(xp, *inputs, **settings)`; give it rules with `.vjps(...)` or `@op.backward`.

    >>> import tinygrad_sm as tg
    >>> @tg.primitive
    ... def cube(xp, x):
    ...     return x * x * x
    >>> cube.vjps(lambda xp, g, out, x: g * 3.0 * x * x)
    >>> x = tg.Value(2.0)
    >>> tg.grad(cube(x), x)
    12.0
    """
    return Op(forward)


def fused(body: Callable[..., Any] | None = None, *, register: bool = False) -> Any:
    """Makes a fused op of its definition `body(xp, *inputs, **settings)`; `@op.backward` decorates the rule.

    Called normally the op is one node with that rule; `op.composed(...)`, or anything inside `tg.composed()`, records the
    body's primitives. Without a rule it always does. With `register=True` the op joins `tg.fused_ops`, the registry that
    tests, checks and the gallery go through.

    >>> import tinygrad_sm as tg
    >>> @tg.fused
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
        op = Fused(function)
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


# --- the namespace of Values

_OPS: dict[str, Op] = {}


def register_ops(*ops: Op) -> None:
    """Makes ops known to the namespace of Values, so that bodies and rules record them as `xp.<name>`."""
    _OPS.update((op.name, op) for op in ops)


# What has no derivative, or none but zero: computed on the data. Any other name that is no op is an error, since a silent
# pass-through would lose the gradient. The second set gives arrays of floats, which stay among Values as constants.
_MASKS = frozenset(
    "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_not logical_xor isnan isinf "
    "isfinite all any argmax argmin argsort count_nonzero arange isdtype".split()
)
_CONSTANTS = frozenset("zeros_like ones_like full_like zeros ones full eye asarray floor ceil round trunc pi_like".split())
_NAMES = frozenset("pi e inf nan newaxis float64 float32 int64 int32 bool".split())


class ValueNamespace:
    """The Array API namespace of Values over a library `base`: every name is an op, or is known to have no gradient."""

    def __init__(self, base: Any) -> None:
        self.base = base
        self.__name__ = f"Values of {base.__name__}"

    def __getattr__(self, name: str) -> Any:
        found: Any
        if name in _OPS:
            found = _OPS[name]
        elif name in _NAMES:
            found = getattr(self.base, name)
        elif name in _MASKS or name in _CONSTANTS:
            function, wrap = getattr(self.base, name), name in _CONSTANTS

            def found(*args: Any, **keywords: Any) -> Any:
                result = function(*map(plain, args), **{k: plain(x) for k, x in keywords.items()})
                return _wrapped(result) if wrap else result

        else:
            raise AttributeError(f"{name} is no op of tinygrad_sm: a rule or body that used it would lose its gradient")
        setattr(self, name, found)
        return found


_VALUE_NAMESPACES: dict[Any, ValueNamespace] = {}


def values_of(xp: Any) -> ValueNamespace:
    """The namespace of Values whose data is of the library `xp`."""
    try:
        return _VALUE_NAMESPACES[xp]
    except KeyError:
        return _VALUE_NAMESPACES.setdefault(xp, ValueNamespace(xp))


def is_integer(x: Any) -> bool:
    """Whether `x` (plain or Value) holds ints: indices and labels, and nothing to differentiate."""
    return kind_of(plain(x)) == "integral"
