"""The kinds of numbers that every op takes, what tells two of them apart, and how near to the truth each of them gets."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from typing import Any

import array_api_strict
import mpmath
import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd

DIGITS = 50
WIDE = Context(prec=120, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])  # for judging, wider than what is judged
mpmath.mp.dps = 100


@dataclass(frozen=True)
class Kind:
    """A kind of numbers: how to make them of a numpy array of floats, and the relative error that they may have."""

    name: str
    make: Callable[[Any], Any]
    tolerance: float

    def __repr__(self) -> str:
        return self.name

    def __call__(self, numbers: Any) -> Any:
        return self.make(np.asarray(numbers, dtype=np.float64))

    @property
    def is_exact(self) -> bool:
        return self.name == "exact"


def own(numbers: np.ndarray) -> nd.Array:
    return nd.reshape(nd.asarray(numbers.ravel().tolist(), dtype=nd.float64), numbers.shape)


def exact(numbers: np.ndarray, digits: int = DIGITS) -> nd.Array:
    """Decimals of floats, ints, or an object array of Decimals."""
    return nd.reshape(nd.asarray(numbers.ravel().tolist(), dtype=nd.dtypes.decimal(digits)), numbers.shape)


FLOAT = Kind("float", lambda numbers: own(numbers) if numbers.shape else float(numbers), 1e-12)
OWN = Kind("nd", own, 1e-12)
EXACT = Kind("exact", exact, 1e-40)
NUMPY = Kind("numpy", np.array, 1e-12)
NUMPY32 = Kind("float32", lambda numbers: numbers.astype(np.float32), 1e-5)
STRICT = Kind("strict", array_api_strict.asarray, 1e-12)

ARRAYS = (OWN, EXACT, NUMPY, NUMPY32, STRICT)
KINDS = (FLOAT, *ARRAYS)

every_kind = pytest.mark.parametrize("kind", KINDS, ids=repr)
every_array = pytest.mark.parametrize("kind", ARRAYS, ids=repr)


def kinds_for(shapes: Iterable[tuple[int, ...]]) -> tuple[Kind, ...]:
    """All kinds; the Python floats among them only if everything is a single number."""
    return ARRAYS if any(shapes) else KINDS


def assert_same_kind(got: Any, like: Any) -> None:
    """Type, element type and shape are the same. (numpy's 0-d arrays turn into scalars of their element type.)"""
    if type(like) is float:
        assert type(got) is float
        return
    assert got.dtype == like.dtype
    assert tuple(got.shape) == tuple(like.shape)
    if isinstance(like, (np.ndarray, np.generic)):
        assert isinstance(got, (np.ndarray, np.generic))
    else:
        assert type(got) is type(like)


# --- reading and judging

to_decimals = np.frompyfunc(lambda x: x if isinstance(x, Decimal) else _as_decimal(x), 1, 1)
to_mpmath = np.frompyfunc(lambda x: mpmath.mpf(x) if isinstance(x, float) else mpmath.mpf(str(x)), 1, 1)


def _as_decimal(x: Any) -> Decimal:
    return Decimal(mpmath.nstr(x, 110)) if isinstance(x, mpmath.mpf) else Decimal(float(x))


def read(x: Any) -> np.ndarray:
    """The numbers of any kind (or of a Value) as a numpy array of Decimals, exactly."""
    x = x.data if isinstance(x, tg.Value) else x
    shape = np.shape(x) if isinstance(x, (list, tuple)) else tuple(getattr(x, "shape", ()))
    nested = np.asarray(x).tolist() if isinstance(x, array_api_strict._array_object.Array) else x
    flat = np.array(getattr(nested, "tolist", lambda: nested)(), dtype=object).reshape(-1)
    return np.asarray(to_decimals(flat), dtype=object).reshape(shape)


def objects(x: Any) -> np.ndarray:
    """A numpy array of objects, also of a single one."""
    return np.asarray(x, dtype=object)


def assert_close(got: Any, want: Any, tolerance: float, floor: float = 0.0) -> None:
    """Every number lies within tolerance * max(|wanted|, floor) of the wanted one; nan is nan and inf is inf."""
    got, want = read(got), np.asarray(to_decimals(objects(want)), dtype=object)
    assert got.shape == want.shape
    with localcontext(WIDE):
        for place, (a, b) in enumerate(zip(got.ravel().tolist(), want.ravel().tolist(), strict=True)):
            if b.is_finite() and a.is_finite():
                good = abs(a - b) <= Decimal(tolerance) * max(abs(b), Decimal(floor))
            else:
                good = (a.is_nan() and b.is_nan()) or a == b
            assert good, f"element {place}: got {a:.60g}, want {b:.60g}"
