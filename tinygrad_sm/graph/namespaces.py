"""Which library a piece of plain data belongs to, found by its exact type, and the data that a Value may hold."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.nd.shapes import brief

SCALARS = frozenset({float, int, bool})

# One look-up an op. A library joins when its first array is seen.
_NAMESPACES: dict[type, Any] = {nd.Array: nd, nd.Decimals: nd}


def namespace_of(operands: Iterable[Any], name: str = "this op") -> Any:
    """The Array API namespace of the arrays among `operands`; `tinygrad_sm.nd`, which takes floats too, if there are none.

    Raises a TypeError when the arrays are of two libraries.
    """
    found = None
    for x in operands:
        kind = type(x)
        if kind in SCALARS:
            continue
        xp = _NAMESPACES.get(kind) or _discover(x, name)
        if xp is None:  # a number of another class
            continue
        if found is not None and xp is not found:
            raise TypeError(f"{name}: arrays of two libraries, {found.__name__} and {xp.__name__}; convert one of them first")
        found = xp
    return found or nd


def _discover(x: Any, name: str) -> Any:
    kind = type(x)
    if kind.__module__.partition(".")[0] == "torch":  # its own namespace is not the standard's
        try:
            import array_api_compat
        except ImportError:
            message = f"{name}: torch arrays need the package array-api-compat: pip install 'tinygrad_sm[torch]'"
            raise ModuleNotFoundError(message) from None
        xp = array_api_compat.array_namespace(x)
    elif hasattr(kind, "__array_namespace__"):
        xp = x.__array_namespace__()
    else:
        _refuse_oddities(x, name)
        return None
    _NAMESPACES[kind] = xp
    return xp


def is_array(x: Any) -> bool:
    """Whether `x` is an array of any library, and not a number or a list."""
    return type(x) in _NAMESPACES or hasattr(x, "__array_namespace__") or hasattr(type(x), "__torch_function__")


def shape(x: Any) -> tuple[int, ...]:
    """The shape of an array or Value; () for a number, which has none of its own."""
    return () if type(x) in SCALARS else tuple(x.shape)


def as_operand(x: Any, xp: Any, name: str, exact: nd.Decimals | None = None) -> Any:
    """What an op computes with: lists become arrays of the library (and precision) beside them, numbers and arrays stay."""
    if type(x) in SCALARS or type(x) in _NAMESPACES:
        return x
    if isinstance(x, (list, tuple)):
        array = from_lists(x, xp, name)
        return array if exact is None or array.dtype.rank < 2 else nd.exact(array, exact.digits)
    _refuse_oddities(x, name)
    number = _number(x)
    return number if xp is nd or is_array(x) else float(number)


def from_lists(nested: Any, xp: Any, name: str) -> Any:
    """An array of nested lists of numbers. Values in them are refused: they would lose their history."""
    from tinygrad_sm.graph.value import Value  # it imports this module

    if any(issubclass(kind, Value) for kind in _element_types(nested)):
        raise TypeError(f"{name}: a list of Values; use tg.stack(...) to join them with their history")
    try:
        return xp.asarray(nested)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def _element_types(nested: Any) -> set[type]:
    types = {*map(type, nested)}
    if types & {list, tuple}:
        types.update(*(_element_types(part) for part in nested if isinstance(part, (list, tuple))))
    return types


def as_data(x: Any, name: str = "Value") -> Any:
    """What a Value holds: a float, or an array of floats of any library. Ints become floats.

    Raises a TypeError for anything else; a mask of bools is no number to differentiate.
    """
    if type(x) is float:
        return x
    if isinstance(x, bool):
        raise TypeError(f"{name}: {x} is a truth value and no number to differentiate; write {float(x)} if you mean it")
    if isinstance(x, (list, tuple)):
        x = from_lists(x, nd, name)
    if not is_array(x):
        _refuse_oddities(x, name)
        x = _number(x)
        return float(x) if type(x) in SCALARS else x
    xp = _NAMESPACES.get(type(x)) or _discover(x, name)
    kind = kind_of(x, xp)
    if kind == "bool":
        raise TypeError(f"{name}: an array of bools is a mask and not numbers to differentiate; convert it to floats first")
    if kind == "integral":
        return nd.astype(x, nd.float64) if xp is nd else xp.astype(x, xp.asarray(0.0).dtype)
    if kind != "real floating":
        raise TypeError(f"{name}: needs real numbers, and got an array of {x.dtype}")
    return x


def _number(x: Any) -> Any:
    """Numbers of other classes: a Decimal becomes a 0-d exact array, a fraction a float."""
    if isinstance(x, Decimal):
        return nd.exact(x)
    return x if is_array(x) else nd.float64.lift(x)


def _refuse_oddities(x: Any, name: str) -> None:
    if is_array(x) or isinstance(x, (Real, Decimal)):
        return
    if isinstance(x, complex):
        raise TypeError(f"{name}: complex numbers are not supported, and got {x}")
    raise TypeError(f"{name}: needs a number, a list or an array of numbers, not {brief(x)} (of type {type(x).__name__})")


def kind_of(x: Any, xp: Any = None) -> str:
    """bool, integral, real floating or complex floating: what the elements of `x` are."""
    if type(x) in SCALARS:
        return {float: "real floating", int: "integral", bool: "bool"}[type(x)]
    if isinstance(x, nd.Array):
        return ("bool", "integral", "real floating", "real floating")[x.dtype.rank]
    xp = xp or namespace_of([x])
    kinds = ("bool", "integral", "real floating", "complex floating")
    return next((k for k in kinds if xp.isdtype(x.dtype, k)), "other")


def filled_like(x: Any, number: float) -> Any:
    """`number` in the shape, type and library of `x`."""
    return number if type(x) is float else namespace_of([x]).full_like(x, number)
