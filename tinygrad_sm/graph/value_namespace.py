"""The namespace that bodies and rules get when they run on Values, and so record a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_sm.graph.namespaces import SCALARS
from tinygrad_sm.graph.value import Value, leaf, plain

if TYPE_CHECKING:
    from tinygrad_sm.graph.op import Op

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
_COPIED = {"asarray": 0, "full": 1, "full_like": 1}  # the place of the argument that these copy into a constant
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
            function, wrap, copied = getattr(self.base, name), name in _CONSTANTS, _COPIED.get(name)

            def found(*args: Any, **keywords: Any) -> Any:
                if copied is not None and any(isinstance(x, Value) and x.requires_grad for x in args[copied:]):
                    raise TypeError(f"xp.{name} makes a constant: of a Value it would lose the gradient")
                result = function(*map(plain, args), **{k: plain(x) for k, x in keywords.items()})
                return wrapped(result) if wrap else result

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


def wrapped(x: Any) -> Any:
    """A constant array as a Value without a gradient; numbers and None need no wrapping."""
    return x if type(x) in SCALARS or x is None else leaf(x, requires_grad=False)
