"""What tables of edge cases share: a call fused and composed on every kind of array, and numbers compared to twelve digits."""

from contextlib import contextmanager
from math import exp, fsum, isnan, log
from typing import Any

import numpy as np
import pytest

import tinygrad_sm as tg
from tinygrad_sm import nd


@contextmanager
def fused():
    yield


class Form:
    """A way to run an op: its rule or its definition, on our arrays or numpy's."""

    def __init__(self, name: str, make: Any, switch: Any) -> None:
        self.name, self.make, self.switch = name, make, switch

    def __repr__(self) -> str:
        return self.name

    def run(self, f, inputs, *plain, upstream=None, **settings):
        """f of a Value (of several for a tuple) and what else it takes; with the gradients of <f, upstream>, one an input.

        The upstream gradient is 1, 2, 3, ... where it is not given. Numbers come back as floats and nested lists.
        """
        with np.errstate(all="ignore"), self.switch():  # numpy reports each infinity and nan that it makes
            values = [tg.Value(self.make(x)) for x in (inputs if isinstance(inputs, tuple) else (inputs,))]
            out = f(*values, *plain, **settings)
            g = counting(out.shape) if upstream is None else upstream
            gradients = tg.grad(out, values, grad_output=g if out.shape == () else self.make(g))
        return numbers(out), [numbers(x) for x in gradients]

    def mask(self, bools):
        """Bools in the library of the form."""
        return np.asarray(bools) if "numpy" in self.name else nd.asarray(bools)

    ints = mask


def counting(shape):
    """1, 2, 3, ... in nested lists of that shape."""
    flat = np.arange(1.0, 1.0 + np.prod(shape, dtype=int))
    return flat.reshape(shape).tolist()


def floats(x):
    return np.asarray(x, dtype=np.float64)


OWN = Form("nd", nd.asarray, fused)
NUMPY = Form("numpy", floats, fused)
COMPOSED = Form("composed", nd.asarray, tg.composed)
NUMPY_COMPOSED = Form("numpy composed", floats, tg.composed)
FORMS = (OWN, NUMPY, COMPOSED, NUMPY_COMPOSED)

every_form = pytest.mark.parametrize("form", FORMS, ids=repr)


def numbers(x: Any) -> Any:
    """A Value, array or number as a float or nested lists of floats."""
    x = x.data if isinstance(x, tg.Value) else x
    return x.tolist() if hasattr(x, "tolist") else x


def same(got: Any, wanted: Any, rel: float = 1e-12) -> bool:
    """Equal numbers, nested alike; nan equals nan, and infinities and zeros are met exactly."""
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(got, list) and len(got) == len(wanted) and all(same(g, w, rel) for g, w in zip(got, wanted, strict=True))
        )
    return isnan(got) if isnan(wanted) else got == pytest.approx(wanted, rel=rel, abs=0.0)


def assert_same(got: Any, wanted: Any, rel: float = 1e-12) -> None:
    got, wanted = numbers(got), numbers(wanted)
    assert same(got, wanted, rel), f"got {got}, want {wanted}"


def log_probabilities(z, temperature=1.0):
    """log softmax of one row, by the definition."""
    scaled = [v / temperature for v in z]
    top = max(scaled)
    return [v - top - log(fsum(exp(u - top) for u in scaled)) for v in scaled]
