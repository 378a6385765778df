"""Arrays of tinygrad_sm.nd beside numpy's: drawing them, and saying that they are the same."""

import math
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_sm import nd

PYTHON = {0: bool, 1: int, 2: float, 3: Decimal}  # rank of the element type: the type of every element
KINDS = {"b": nd.bool, "i": nd.int64, "u": nd.int64, "f": nd.float64}

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
axes_lists = st.lists(st.integers(-4, 3), max_size=3).map(tuple)

floats = st.floats(-1e3, 1e3, width=32) | st.sampled_from([0.0, -0.0, 1.0, 1.0, -2.0])  # with ties
wild_floats = st.floats() | st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, -1.7e308, 1.7e308, 1.0])
ints = st.integers(-9, 9)
ELEMENTS = {np.float64: floats, np.int64: ints, np.bool_: st.booleans()}


@st.composite
def arrays(draw: Any, shape: Any = shapes, kind: Any = None, elements: Any = None) -> np.ndarray:
    """A numpy array of floats, ints or bools."""
    dtype = kind or draw(st.sampled_from([*ELEMENTS]))
    size = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    count = math.prod(size)
    flat = draw(st.lists(ELEMENTS[dtype] if elements is None else elements, min_size=count, max_size=count))
    return np.array(flat, dtype=dtype).reshape(size)


def numbered(shape: Any = shapes, kinds: Any = tuple(ELEMENTS)) -> Any:
    """Arrays of the numbers 0, 1, 2, ... (of every third True), for tests of where elements go."""

    def build(size: Any, kind: Any) -> np.ndarray:
        flat = np.arange(math.prod(size)).reshape(size)
        return flat % 3 == 0 if kind is np.bool_ else flat.astype(kind)

    return st.builds(build, shape if isinstance(shape, st.SearchStrategy) else st.just(shape), st.sampled_from(kinds))


@st.composite
def broadcastable(draw: Any, kinds: Any, elements: Any = None) -> list[np.ndarray]:
    """Arrays of the given kinds (None: any) whose shapes fit together."""
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=len(kinds), min_side=0, max_side=3, max_dims=3))
    return [draw(arrays(shape, kind, elements)) for shape, kind in zip(drawn.input_shapes, kinds, strict=True)]


@st.composite
def arrays_and_axes(draw: Any, kind: Any = None, elements: Any = None) -> tuple[np.ndarray, Any]:
    """An array and an axis of a reduction: None, an int, or a tuple of any length in any order."""
    x = draw(arrays(kind=kind, elements=elements))
    everything = draw(st.permutations(range(x.ndim)))
    some = everything[: draw(st.integers(0, x.ndim))]
    axes = tuple(a - x.ndim * draw(st.integers(0, 1)) for a in some)
    return x, draw(st.sampled_from([None, axes, *axes]))


def sound(x: Any) -> None:
    """Whether an array keeps what it promises about itself."""
    assert isinstance(x, nd.Array)
    assert type(x) is (nd.Decimals if x.dtype.rank == 3 else nd.Array)
    assert type(x.shape) is tuple and all(type(n) is int for n in x.shape)
    assert len(x._flat) == math.prod(x.shape) == x.size
    assert {*map(type, x._flat)} <= {PYTHON[x.dtype.rank]}


def same(ours: Any, theirs: Any, ulps: int = 0) -> None:
    """That an array is sound and has the shape, the kind and (within `ulps`) the elements of numpy's."""
    sound(ours)
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert ours.dtype is KINDS[theirs.dtype.kind]
    for place, x, y in zip(product(*map(range, ours.shape)), ours._flat, theirs.ravel().tolist(), strict=True):
        assert near(x, y, ulps), f"{x!r} is not {y!r} at {place}"


def near(x: Any, y: Any, ulps: int = 0) -> bool:
    """Whether two numbers are equal to within `ulps`; nan is nan."""
    return x == y or (x != x and y != y) or (ulps > 0 and abs(x - y) <= ulps * math.ulp(y))


def by_bits(x: Any) -> Any:
    """Something that tells 0.0 from -0.0 and has nan equal to nan."""
    return [repr(v) for v in np.asarray(x).ravel().tolist()]
