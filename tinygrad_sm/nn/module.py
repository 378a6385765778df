"""Module: a network, or a part of one, whose parameters are the Values among its attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any, Self

from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import as_data, shape
from tinygrad_sm.graph.value import is_leaf, next_order, plain
from tinygrad_sm.ops.helpers import moved, moved_like


class LayerError(ValueError):
    """Inputs that a layer cannot take. The sentence begins with the place of the layer in the outermost network called."""

    def __init__(self, layer: Module, problem: str) -> None:
        super().__init__(problem)
        self.layer, self.problem, self.path = layer, problem, ""

    def __str__(self) -> str:
        return f"{self.path + ', ' if self.path else ''}{self.layer.title()}: {self.problem}"

    def __reduce__(self) -> Any:
        return LayerError, (self.layer, self.problem), {"path": self.path}

    def found_in(self, network: Module) -> None:
        """Notes under which name `network` has the layer."""
        self.path = next((path for path, part in network.named_modules() if part is self.layer), self.path)


class Call:
    """One call of a module: what has an order between `start` and `end`, which count down, was made in it."""

    __slots__ = ("end", "module", "start")

    def __init__(self, module: Module, start: int, end: int) -> None:
        self.module, self.start, self.end = module, start, end


def calls_of(value: Value) -> Sequence[Call]:
    """The calls of modules of which `value` is a result, inner ones first: what a drawing frames.

    >>> import tinygrad_sm as tg
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.ReLU())
    >>> [call.module.title() for call in calls_of(model([1.0, 2.0]))]
    ['ReLU()', 'Sequential()']
    """
    return getattr(value, "_calls", ())


def _note(call: Call, outputs: Any) -> None:
    """Remembers a call with those of its results that were computed in it; a sequence or mapping may hold several."""
    inside = [outputs]
    for _ in range(3):  # as deep as (output, (state, state))
        level, inside = inside, []
        for x in level:
            if isinstance(x, Value):
                if x.op is not None and call.end < x._order < call.start:
                    x._calls = [*calls_of(x), call]
            elif isinstance(x, (list, tuple)):
                inside += x
            elif isinstance(x, dict):
                inside += x.values()


class Module:
    """A network or a part of one: assign Values and Modules to attributes in `__init__`, and compute in `forward`.

    The parameters are the leaf Values among the attributes, also in sequences and mappings, and then those of the Modules
    there, under names such as `layers.0.weight`; both in the order of assignment. A Value with `requires_grad=False` is saved
    and moved with the others but not trained. Nothing need be registered and `super().__init__()` need not be called.

    >>> import tinygrad_sm as tg
    >>> class Scale(tg.nn.Module):
    ...     def __init__(self):
    ...         self.factor = tg.Value([1.0, 2.0])
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale
    Scale() with 2 parameters: factor (2,)
    >>> print(scale([3.0, 4.0]))
    [3.0, 8.0]
    """

    training = True
    _ran = False

    def forward(self, *inputs: Any, **settings: Any) -> Any:
        """What the module computes; a subclass defines it."""
        raise TypeError(f"{type(self).__name__} has no forward: define `def forward(self, x)`, which computes its output")

    def __call__(self, *inputs: Any, **settings: Any) -> Any:
        if not self._ran:
            for path, module in [*self.named_modules()]:
                _ = [*module._own(path)]  # afterwards nothing tells a lost parameter from a result kept for looking at
                module._ran = True
        start = next_order()
        try:
            outputs = self.forward(*inputs, **settings)
        except LayerError as error:
            error.found_in(self)
            raise
        if outputs is None:
            raise TypeError(f"{self.title()}: forward returned None; does it end in `return`?")
        _note(Call(self, start, next_order()), outputs)
        return outputs

    # --- what is in it

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Each module in here once, with its path ("" for this one), outer ones first."""
        return self._walk("", set())

    def modules(self) -> Iterator[Module]:
        """Each module in here once, this one first."""
        return (x for _, x in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """Each parameter once, with its path, such as `layers.0.weight`."""
        seen: set[Value] = set()
        for path, module in self.named_modules():
            for name, x in module._own(path):
                if x not in seen:
                    seen.add(x)
                    yield name, x

    def parameters(self) -> Iterator[Value]:
        """Each parameter once: what an optimizer takes."""
        return (x for _, x in self.named_parameters())

    def _walk(self, path: str, entered: set[int], *, again: bool = False, shown: bool = False) -> Iterator[tuple[str, Any]]:
        """This module and those in it, with paths.

        With `again`, what is shared comes under each of its names; with `shown`, functions come too that the repr shows.
        """
        entered.add(id(self))
        yield path, self
        for name, x in self._shown() if shown else _parts(self):
            if isinstance(x, Module):
                if id(x) not in entered:
                    yield from x._walk(_joined(path, name), entered, again=again, shown=shown)
            elif shown and not isinstance(x, (Value, Set)):
                yield _joined(path, name), x
        if again:
            entered.remove(id(self))

    def _own(self, path: str) -> Iterator[tuple[str, Value]]:
        """The parameters of this module itself, with paths."""
        for name, x in _parts(self):
            if isinstance(x, Value):
                if is_leaf(x):
                    yield _joined(path, name), x
                elif not self._ran:
                    raise TypeError(
                        f"{_joined(path, name)} of {type(self).__name__} is the result of {x.op.name if x.op else 'an op'}, so "
                        "training would not reach it; compute with plain data first, and then make the parameter, a Value"
                    )
            elif isinstance(x, Set):
                what = f"{_joined(path, name)} of {type(self).__name__} is a {type(x).__name__} of modules or Values"
                raise TypeError(f"{what}; keep them in a list: a set has no order")

    def _state(self) -> dict[str, Value]:
        """All parameters; what is shared stands under each of its names."""
        state: dict[str, Value] = {}
        for path, module in self._walk("", set(), again=True):
            for name, x in module._own(path):
                if state.setdefault(name, x) is not x:
                    raise ValueError(f"state_dict: two parameters are named {name!r}; a dict of them has keys without dots")
        return state

    # --- training

    def train(self, mode: bool = True) -> Self:
        """Switches to training, where Dropout drops; returns the module."""
        for module in [*self.modules()]:
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switches to prediction, where Dropout does nothing; returns the module."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forgets the gradients of all parameters."""
        for p in self.parameters():
            p.zero_grad()

    # --- weights in and out

    def state_dict(self) -> dict[str, Any]:
        """The data of all parameters by path. It stays as it is when training goes on, which binds new data."""
        return {path: x.data for path, x in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Self:
        """Takes the data of all parameters from `state` (arrays of any library, lists, numbers), and returns the module.

        Libraries and element types stay those of the module. Raises a KeyError that names the first parameter that `state`
        lacks or has too much, and a ValueError for the first of another shape; then nothing has changed. With
        `strict=False` only what both have is loaded.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict: needs arrays by name, as state_dict() gives them, not {type(state).__name__}")
        own = self._state()
        loaded = []
        for path, parameter in own.items():
            if path in state:
                loaded.append((parameter, _fitting(state[path], parameter, path)))
            elif strict:
                raise StateError(f"load_state_dict: the state has no {path!r} (shape {parameter.shape}), which the network has")
        extra = next((path for path in state if path not in own), None)
        if strict and extra is not None:
            raise StateError(f"load_state_dict: the state has {extra!r}, which the network has not")
        for parameter, data in loaded:
            parameter.data = data
        return self

    def to(self, xp: Any) -> Self:
        """Moves all parameters to a library of arrays, such as `numpy` or `tinygrad_sm.nd`, and returns the module.

        Single Python floats stay as they are, and element types too where the library has them. What moves forgets its
        gradient.
        """
        if not hasattr(xp, "asarray"):
            raise TypeError(f"to: needs a library of arrays, such as numpy or tinygrad_sm.nd, not {xp!r}")
        for p in self.parameters():
            p.data = moved(p.data, xp)
        return self

    # --- text

    def extra_repr(self) -> str:
        """What stands in brackets behind the name in the repr; a subclass may say more."""
        return ""

    def title(self) -> str:
        """The module without its parts, such as `Linear(64, 32)`."""
        return f"{type(self).__name__}({self.extra_repr()})"

    def _shown(self) -> Iterable[tuple[str, Any]]:
        """The parts that the repr goes through; a subclass may add functions."""
        return _parts(self)

    def __repr__(self) -> str:
        rows = [
            (path, part.title(), _shapes(part), f"{count:,}" if (count := _size(part)) else "")
            if isinstance(part, Module)
            else (path, getattr(part, "__name__", type(part).__name__), "", "")
            for path, part in self._walk("", set(), shown=True)
            if path
            and (not isinstance(part, Module) or _size(part) or all(isinstance(x, (Value, Set)) for _, x in part._shown()))
        ]
        own = _shapes(self)
        total = sum({x: x.size for part in self.modules() for _, x in _leaves(part)}.values())
        first = f"{self.title()} with {total:,} parameter{'s' * (total != 1)}" + (f": {own}" if own else "")
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
        lines = (f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {n:>{widths[3]}}".rstrip() for a, b, c, n in rows)
        return "\n".join((first, *lines))


class StateError(KeyError, ValueError):
    """Saved weights whose names are not those of the network."""

    __str__ = Exception.__str__  # a KeyError would put the sentence in quotes


def _parts(module: Module) -> Iterator[tuple[str, Any]]:
    """The modules and Values among the attributes, and in sequences and mappings of them, with their names.

    Also the sets that hold some, which is a mistake: who asks for parameters says so.
    """
    return _within(vars(module).items())


def _within(entries: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, Any]]:
    for name, x in entries:
        if isinstance(x, (Module, Value)):
            yield name, x
        elif isinstance(x, (Mapping, Sequence)) and not isinstance(x, _TEXTS):
            inside = x.items() if isinstance(x, Mapping) else enumerate(x)
            # first a look at what it is, since a list may hold a million numbers
            yield from _within((f"{name}.{key}", part) for key, part in inside if type(part) not in _NUMBERS)
        elif isinstance(x, Set) and any(_within((name, part) for part in x if type(part) not in _NUMBERS)):
            yield name, x


_NUMBERS = {float, int, bool, str, type(None)}  # the types of what lists hold the most of, and which holds nothing itself
_TEXTS = (str, bytes, bytearray, memoryview, range)  # sequences of nothing but letters and numbers


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fitting(given: Any, parameter: Value, path: str) -> Any:
    """Data of a state in the library and element type of the parameter."""
    data = as_data(plain(given), f"load_state_dict: {path!r}")
    if shape(data) != parameter.shape:
        raise ValueError(f"load_state_dict: {path!r} has shape {shape(data)} in the state and {parameter.shape} in the network")
    return moved_like(data, parameter.data)


def _leaves(module: Module) -> list[tuple[str, Value]]:
    return [(name, x) for name, x in _parts(module) if isinstance(x, Value) and x.op is None]


def _size(module: Module) -> int:
    return sum(x.size for _, x in _leaves(module))


def _shapes(module: Module) -> str:
    return ", ".join(f"{name} {x.shape}" for name, x in _leaves(module))


@contextmanager
def mode(model: Any, training: bool) -> Iterator[None]:
    """Inside, all modules of a network train, or predict; afterwards each is as it was. A function has none."""
    modules = [*model.modules()] if hasattr(model, "modules") else []
    before = [module.training for module in modules]
    for module in modules:
        module.training = training
    try:
        yield
    finally:
        for module, was in zip(modules, before, strict=True):
            module.training = was
