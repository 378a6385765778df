"""Whatever is passed to a function, it answers, or says in a sentence of its own what is wrong."""

import inspect
import random
import traceback
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd

ANYTHING = [
    *(None, "a", b"x", {}, object(), 1j, slice(0, 1), ..., len, float, nd.float64, Fraction(1, 3)),
    *(True, 0, 3, -1, -7, 99, 2.5, float("nan"), float("inf"), Decimal("0.1"), Decimal("nan")),
    *((), (1,), (0, 0), (-1,), (99,), [], [0], [1.5], [None], ["x"], [[1], [1, 2]], range(2)),
    *(nd.asarray([1.0, 2.0]), nd.asarray([[1, 2], [3, 4]]), nd.asarray([True, False]), nd.zeros((0, 3))),
    *(
        nd.asarray(2.0),
        nd.asarray(1),
        nd.exact([1, 2]),
        nd.exact(0.1, 15),
        tg.Value(2.0),
        tg.Value([1.0, 2.0]),
        [tg.Value(1.0)],
    ),
    *(np.float32(2), np.int64(1), np.True_, np.ones(2), np.array(["a"]), np.array([1j]), np.zeros((2, 0), int)),
]
SWITCHES = {"keepdims", "copy", "descending", "stable", "endpoint", "include_initial"}  # these take what is true or not
KERNELS = {"along", "reduce_along"}  # for the library itself: they take a function
NAMES = [name for name in dir(nd) if inspect.isfunction(getattr(nd, name)) and name not in KERNELS]
# These speak of arrays, dtypes, digits and indices themselves.
WITHOUT_NAME = ("asarray", "exact", "decimal", "scatter_add", "scatter_add_along_axis")


def misuse(function, rng):
    positional, keywords = [], {}
    for name, parameter in inspect.signature(function).parameters.items():
        value = rng.choice([True, False]) if name in SWITCHES else rng.choice(ANYTHING)
        if parameter.default is parameter.empty or parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        elif rng.random() < 0.5:
            keywords[name] = value
    return positional, keywords


def complaint(function, positional, keywords):
    try:
        function(*positional, **keywords)
    except (TypeError, ValueError, IndexError) as error:
        return error


@pytest.mark.parametrize("name", NAMES)
def test_errors_are_sentences(name):
    function, rng = getattr(nd, name), random.Random(name)
    for _ in range(100):
        positional, keywords = misuse(function, rng)
        error = complaint(function, positional, keywords)
        if error is not None:
            where = traceback.extract_tb(error.__traceback__)[-1]
            call = f"{name}(*{positional}, **{keywords}): {error!r}"
            assert where.line.startswith("raise ") and "/nd/" in where.filename.replace("\\", "/"), call
            assert name in str(error) or name in WITHOUT_NAME or "index" in str(error), call
