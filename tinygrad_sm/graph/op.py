"""Ops: a forward and its rule side by side, written once against an array namespace `xp`.

The same lines run on floats, on arrays of any library, on decimals, and on Values themselves: a rule that runs on Values
records a graph, and that is what second derivatives are made of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any, TypeVar

from tinygrad_sm import nd
from tinygrad_sm.graph.namespaces import SCALARS, as_operand, filled_like, is_array, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import Value, is_recording, leaf, next_order, plain
from tinygrad_sm.graph.value_namespace import values_of, wrapped

Rule = Callable[..., Any]
EXACT_INTS = 2**53  # larger ones have no exact float
LARGEST_FLOAT = int(sys.float_info.max)  # larger ints are inf
F = TypeVar("F", bound=Callable[..., Any])


class Op:
    """A function that can be differentiated. Made by `@primitive` and `@fused`, called like the function.

    The forward's positional parameters after `xp` are the inputs, each a Value or plain data; those with a default are given
    by keyword. Its keyword-only parameters are settings (an axis, a flag), never Values.
    """

    def __init__(self, forward: Callable[..., Any]) -> None:
        code = getattr(forward, "__code__", None)
        if code is None:
            raise TypeError(f"an op is made of a Python function, forward(xp, *inputs, **settings), and not of {forward!r}")
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
        without_defaults = len(self._settings) < len(self.setting_names)
        self._arity = -1 if self.variadic or without_defaults else self._required  # a call that needs no binding
        self._prepare: Callable[..., tuple] | None = None
        self._of_one = type(self) is Op and self._arity == 1
        self.rules: tuple[Rule, ...] | None = None  # one an operand
        self.rule: Rule | None = None  # or one for all of them
        self._kept: Callable[..., tuple[Any, dict[str, Any]]] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} op {self.name}>"

    def __reduce__(self) -> str:
        return self.__name__  # copied and pickled by name, as functions are

    @property
    def __signature__(self) -> Any:
        import inspect  # only help() asks; inspect takes long to import

        own = inspect.signature(self.forward)
        optional, others = {*self.input_names[self._required :]}, [*own.parameters.values()][1:]
        by_keyword = [p.replace(kind=p.KEYWORD_ONLY) for p in others if p.name in optional]
        return own.replace(parameters=[*(p for p in others if p.name not in optional), *by_keyword])

    # --- building one

    def vjps(self, *rules: Rule) -> None:
        """One rule an operand, `rule(xp, g, out, *inputs, **settings)`; only those of operands that want a gradient run."""
        if self.variadic or len(rules) != len(self.input_names):
            raise TypeError(f"{self.name}: {len(rules)} rules for the inputs of {self._takes()}; one each, or use .backward")
        self.rules = rules

    def backward(self, rule: F) -> F:
        """Decorates the rule for all operands at once.

        It returns the gradient of the one input, or a tuple with one entry an input: None where there is no gradient, a
        function of no arguments where it is expensive, which is called only when the gradient is wanted.
        """
        self.rule = rule
        return rule

    def keeping(self, function: F) -> F:
        """Decorates a forward for calls that are recorded: `function(xp, *inputs, **settings)` returns the result, and a
        dictionary of what the rule need not compute again.

        The rule gets these as keywords, whose defaults must say "not kept": there is nothing of them while its own derivative
        is recorded, since they are no Values.
        """
        self._kept = function
        return function

    def prepare(self, function: F) -> F:
        """Decorates a check of the plain data, `function(xp, *inputs, **settings)`, which returns the inputs to be used."""
        self._prepare, self._of_one = function, False
        return function

    # --- calling it

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        if self._of_one and len(args) == 1 and not keywords:  # tanh(x) of a number: the general path below, cut short
            x = args[0]
            if isinstance(x, Value) and type(x._data) is float and x.requires_grad and is_recording():
                saved = (x._data,)
                return record(type(x), self, self._compute(nd, saved, self._settings), args, saved, self._settings)
        if keywords or len(args) != self._arity:
            inputs, settings = self._bind(args, keywords)
        else:
            inputs, settings = args, self._settings
        data: Any = []
        cls: type[Value] | None = None
        tracked, numbers = False, True
        for x in inputs:
            if isinstance(x, Value):
                cls, tracked, x = cls or type(x), tracked or x.requires_grad, x._data
            numbers = numbers and type(x) is float
            data.append(x)
        xp = nd
        if not numbers:
            xp, data = self._operands(data)
        if self._prepare is not None:
            data = self._prepare(xp, *data, **settings)
        if cls is None:
            return self._compute(xp, data, settings)
        if self._expands():
            values = [x if isinstance(x, Value) else wrapped(d) for x, d in zip(inputs, data, strict=True)]
            return self.forward(values_of(xp), *values, **settings)
        if not (tracked and is_recording()):
            out = self._compute(xp, data, settings)
            result = leaf(out, cls, requires_grad=False)
            if not is_recording():
                result._params = {}  # this tells it from a leaf that somebody made
            return result
        if self._kept is None:
            out = self._compute(xp, data, settings)
        else:
            out, kept = self.with_kept(xp, data, settings)
            settings = {**settings, **kept}
        if len(data) > 1:
            inputs = [x if isinstance(x, Value) else d for x, d in zip(inputs, data, strict=True)]
        return record(cls, self, out, tuple(inputs), tuple(data), settings)

    def again(self, inputs: Sequence, params: dict[str, Any] | None) -> Any:
        """The call that a node records, `inputs` and `node._params`, made once more, perhaps with other inputs."""
        settings = {key: params[key] for key in self.setting_names} if params else {}
        if self.variadic:
            return self([*inputs], **settings)
        optional = dict(zip(self.input_names[self._required :], inputs[self._required :], strict=False))
        return self(*inputs[: self._required], **optional, **settings)

    def _bind(self, args: tuple, keywords: dict[str, Any]) -> tuple[Sequence, dict[str, Any]]:
        """Inputs and settings; settings may follow the required inputs by position, as in `x.sum(0)`."""
        if self.variadic:
            sequence = len(args) >= 1 and isinstance(args[0], (list, tuple))
            inputs, extra = ([*args[0]], args[1:]) if sequence else ([*args], ())
        else:
            inputs, extra = [*args[: self._required]], args[self._required :]
        if len(extra) > len(self.setting_names):
            raise TypeError(f"{self.name}: {len(args)} arguments are too many; it takes {self._takes()}")
        settings = {**self._settings, **dict(zip(self.setting_names, extra))}  # noqa: B905 (fewer is fine)
        optional, named = [*self._defaults], {}
        for key, x in keywords.items():
            if key in self.setting_names:
                if key in self.setting_names[: len(extra)]:
                    raise TypeError(f"{self.name}: {key} was given twice")
                settings[key] = x
            elif key in self.input_names:
                place = self.input_names.index(key)
                if place >= self._required:
                    optional[place - self._required] = x
                elif place >= len(inputs):
                    named[place] = x
                else:
                    raise TypeError(f"{self.name}: {key} was given twice")
            else:
                raise TypeError(f"{self.name}: has no {key}; it takes {self._takes()}")
        inputs += [named[place] for place in sorted(named)]
        if len(inputs) < self._required:
            raise TypeError(f"{self.name}: needs {self._takes()}, and got {len(inputs)} input(s)")
        for key, x in settings.items():
            if isinstance(x, Value):
                raise TypeError(f"{self.name}: {key} is a setting and has no gradient; give plain data, not a Value")
        if optional and any(x is not d for x, d in zip(optional, self._defaults, strict=True)):
            inputs += optional
        return inputs, settings

    def _takes(self) -> str:
        inputs = ["a list of arrays"] if self.variadic else self.input_names[: self._required]
        optional = [f"{name}=" for name in self.input_names[self._required :]]
        return f"({', '.join((*inputs, *self.setting_names, *optional))})"

    def _operands(self, data: list) -> tuple[Any, list]:
        """The library of the operands, and the operands as it takes them: lists become its arrays."""
        xp = namespace_of([x for x in data if x is not None and not isinstance(x, (list, tuple))], self.name)
        optional = range(self._required, len(self.input_names))
        exact = next((x for x in data if type(x) is nd.Decimals), None)  # lists beside decimals are lifted like numbers
        data = [x if x is None and i in optional else as_operand(x, xp, self.name, exact) for i, x in enumerate(data)]
        numbers = all(type(x) in SCALARS for x in data)
        if int in map(type, data) and (numbers or xp is not nd):  # our own arrays hold any int, and lift it themselves
            most = EXACT_INTS if numbers else LARGEST_FLOAT
            data = [nd.float64.lift(x) if type(x) is int and abs(x) > most else x for x in data]
        return xp, data

    def _expands(self) -> bool:
        return False

    def _forward_for(self, data: Sequence) -> Callable[..., Any]:
        return self.forward

    def with_kept(self, xp: Any, data: Sequence, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The forward on plain data, and what it keeps for the rule; nothing where a kernel takes the forward over."""
        if self._kept is None or self._forward_for(data) is not self.forward:
            return self._compute(xp, data, settings), {}
        return self._compute(xp, data, settings, self._kept)

    def _compute(self, xp: Any, data: Sequence, settings: dict[str, Any], forward: Callable[..., Any] | None = None) -> Any:
        """The forward on plain data, with errors that name the op and the shapes."""
        try:
            return ieee(forward or self._forward_for(data), xp, data, settings)
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            if str(error).startswith(self.name) and not isinstance(error, OverflowError):
                raise
            shapes = " and ".join(str(shape(x)) for x in data if x is not None)
            kinds = [kind for kind in (IndexError, ValueError, TypeError) if isinstance(error, kind)]
            kind = nd.AxisError if len(kinds) > 1 else (kinds or [ValueError])[0]  # numpy's own is both, too
            raise kind(f"{self.name}: {error} (inputs of shape {shapes})") from error

    # --- going back through it

    def contributions(self, node: Value, gradient: Any) -> tuple:
        """What `node`, made by this op, adds to the gradient of each of its inputs (None: that one needs none)."""
        inputs, saved = node.inputs, node._saved
        if type(gradient) is float and len(saved) == 1 and type(saved[0]) is float and inputs[0].requires_grad:
            # one number, such as tanh(x): the general path below, without what is for arrays
            rule = self.rules[0] if self.rules is not None else self.rule
            amount = ieee(rule, nd, (gradient, node._data, saved[0]), node._params or {}) if rule is not None else None
            if type(amount) is float:
                return (amount,)
        wanted = [isinstance(x, Value) and x.requires_grad for x in inputs]
        xp = namespace_of([x for x in saved if x is not None])
        settings = node._params or {}
        if isinstance(gradient, Value):
            if self._kept is not None:
                settings = {key: settings[key] for key in self.setting_names}
            xp = values_of(xp)
            arguments = [gradient, node, *(self._recorded(x, d) for x, d in zip(inputs, saved, strict=True))]
        else:
            arguments = [gradient, node._data, *saved]
        amounts = self._amounts(xp, arguments, settings, wanted)
        if isinstance(gradient, Value):
            amounts = [self._as_value(amount) if want else None for amount, want in zip(amounts, wanted, strict=True)]
        return tuple(fit(self, xp, amount, d) if want else None for amount, d, want in zip(amounts, saved, wanted, strict=True))

    def _amounts(self, xp: Any, arguments: list, settings: dict[str, Any], wanted: list[bool]) -> Sequence:
        """The gradient of each operand as the rules give it."""
        if self.rules is not None:
            rules = zip(self.rules, wanted)  # noqa: B905 (there are more rules where optional inputs were not given)
            amounts = tuple([ieee(rule, xp, arguments, settings) if want else None for rule, want in rules])
        elif (rule := self.rule) is None:
            raise TypeError(f"{self.name} has no rule: add one with @{self.name}.backward or {self.name}.vjps(...)")
        else:
            amounts = ieee(lambda *a, **s: _called(rule(*a, **s), wanted), xp, arguments, settings)
            if len(wanted) < len(amounts) <= len(self.input_names):
                amounts = amounts[: len(wanted)]
        if len(amounts) != len(wanted) or (len(wanted) == 1 and amounts[0] is None):
            returned = "None" if amounts and amounts[0] is None else f"{len(amounts)} gradient(s)"
            raise TypeError(f"the rule of {self.name} returned {returned} for {len(wanted)} input(s)")
        return amounts

    def _as_value(self, amount: Any) -> Any:
        """What a rule that records gave; plain data would lose its derivative, and only a zero has none."""
        if amount is None or isinstance(amount, Value):
            return amount
        if type(amount) in SCALARS and not amount:
            return leaf(0.0, requires_grad=False)
        raise TypeError(
            f"the rule of {self.name} returned plain data, {amount!r}, while its own derivative was recorded; "
            "compute it with xp and operators only"
        )

    def _recorded(self, x: Any, saved: Any) -> Any:
        """An operand as a rule that records sees it: every array a Value."""
        if not isinstance(x, Value):
            return wrapped(saved)
        if x._data is not saved:
            raise ValueError(
                f"{self.name}: the data of {x.name or 'an input'} was rebound after it was used, so the second "
                "derivative of what was recorded cannot be built; take it before rebinding"
            )
        return x


def ieee(function: Callable[..., Any], xp: Any, arguments: Sequence, settings: dict[str, Any]) -> Any:
    """`function(xp, *arguments)`; plain floats follow IEEE where Python's operators raise.

    1.0 / 0.0 is inf on every array but an error between Python floats. Trying costs nothing; the rare case runs again on
    0-d arrays, whose operators follow the standard.
    """
    try:
        return function(xp, *arguments, **settings)
    except (ZeroDivisionError, OverflowError):
        if xp is not nd or not all(type(x) in SCALARS or x is None for x in arguments):
            raise
        results = function(nd, *map(_as_0d, arguments), **settings)
        return tuple(map(_as_number, results)) if isinstance(results, tuple) else _as_number(results)


def _as_0d(x: Any) -> Any:
    return None if x is None else nd.asarray(x)


def _as_number(x: Any) -> Any:
    return float(x) if isinstance(x, nd.Array) else x


def _called(amounts: Any, wanted: list[bool]) -> tuple:
    """The entries of a rule's answer, those that are functions called where they are wanted."""
    entries = amounts if isinstance(amounts, tuple) else (amounts,)
    return tuple(x() if want and callable(x) else x for x, want in zip(entries, chain(wanted, repeat(False))))  # noqa: B905


def record(cls: type[Value], op: Op, data: Any, inputs: tuple, saved: tuple, settings: dict[str, Any] | None) -> Value:
    """A new node of the graph."""
    if type(data) is int or type(data) is bool:
        data = float(data)
    elif type(data) is not float and not is_array(data):
        raise TypeError(f"{op.name}: the result is {data!r}; Values hold real numbers or arrays (use xp.pow for powers)")
    node: Value = object.__new__(cls)
    node._data, node.op, node._left, node._left_data, node._params = data, op, inputs, saved, settings or None
    node._right = node._right_data = None
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
    if not is_array(data) or kind_of(data) not in ("real floating", "integral"):
        raise TypeError(f"the rule of {op.name} returned {data!r}; a gradient is real numbers (use xp.pow for powers)")
    namespace_of((data, like), f"the rule of {op.name}")
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


def is_integer(x: Any) -> bool:
    """Whether `x` (plain or Value) holds ints: indices and labels, and nothing to differentiate."""
    return kind_of(plain(x)) == "integral"
