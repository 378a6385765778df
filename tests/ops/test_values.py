"""What every op computes, on every kind of numbers, against mpmath."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

import tinygrad_sm as tg
from tests.helpers.kinds import KINDS, NUMPY32, Kind, assert_close, every_array, kinds_for, objects, to_mpmath
from tests.ops.points import points
from tests.ops.table import CASES, ELSEWHERE, PLAIN, Case
from tinygrad_sm import nd
from tinygrad_sm.graph import Op
from tinygrad_sm.ops import elementwise, gathering, linalg, reductions, shapes
from tinygrad_sm.ops.helpers import moved

MODULES = (elementwise, reductions, shapes, linalg, gathering)
cases = pytest.mark.parametrize("case", CASES, ids=repr)


def truth_of(case: Case, xs: list[np.ndarray]) -> np.ndarray:
    return objects(case.truth(*(to_mpmath(objects(x)) for x in xs)))


def test_every_op_has_a_row():
    """An op is tested only if it stands in the table: a new one fails here until it does."""
    public = {
        name.strip("_")
        for module in MODULES
        for name, thing in vars(module).items()
        if isinstance(thing, Op) or (callable(thing) and thing.__module__ == module.__name__ and not name.startswith("_"))
    }
    rows = {case.name for case in CASES} | {name for name, *_ in PLAIN} | ELSEWHERE
    assert rows >= public - {""}
    assert public >= rows


def test_docstrings_state_the_rule_in_their_first_line():
    ops = [thing for module in MODULES for thing in vars(module).values() if isinstance(thing, Op)]
    assert [op.name for op in ops if "Rule: " not in op.__doc__.splitlines()[0]] == []


def check_values(case: Case, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(points(case))
    def check(xs):
        want = truth_of(case, xs)
        floor = max([1e-2, *(abs(float(w)) / 10 for w in want.ravel())])
        for kind in kinds_for(case.shapes):
            got = case.call(*map(kind, xs))
            assert_close(got, want, kind.tolerance, floor)
            of_values = case.call(*(tg.Value(kind(x)) for x in xs))
            assert_close(of_values, want, kind.tolerance, floor)
            assert type(of_values) is tg.Value

    check()


@cases
def test_values(case):
    check_values(case, examples=4)


@pytest.mark.heavy
@cases
def test_values_at_many_points(case):
    check_values(case, examples=50)


FAR = [(case, x) for case in CASES for x in case.far]


@pytest.mark.parametrize(("case", "x"), FAR, ids=[f"{case.name}-{x:g}" for case, x in FAR])
def test_values_far_out(case, x):
    """At tiny and huge numbers, to the same relative accuracy; what is beyond the largest float is inf."""
    for kind in KINDS:
        point = kind(np.float32(x) if kind is NUMPY32 else x)
        exactly = to_mpmath(objects(float(point)))
        want = objects(case.truth(exactly))
        limit, smallest = (3.4e38, 1e-37) if kind is NUMPY32 else (1.79e308, 1e-300)
        if not kind.is_exact and abs(want[()]) > limit:
            want = objects(mpmath.sign(want[()]) * mpmath.inf)
        with np.errstate(over="ignore"):  # numpy warns where the true result has no float
            got = case.call(point)
        assert_close(got, want, kind.tolerance, 0 if kind.is_exact else smallest)


@every_array
@pytest.mark.parametrize(("name", "call", "truth"), PLAIN)
def test_functions_of_plain_data(name, call, truth, kind: Kind):
    x = [[1.0, 3.0, 1.0, 3.0], [2.0, 2.0, -1.0, 0.5]]
    want = truth(np.array(x))
    for got in (call(kind(x)), call(tg.Value(kind(x)))):
        assert not isinstance(got, tg.Value)
        assert_close(got, objects(want).astype(float), 0)


@every_array
def test_nan_sorts_last(kind):
    x = kind([2.0, np.nan, 1.0])
    for descending, want in ((False, [2, 0, 1]), (True, [0, 2, 1])):
        assert_close(tg.argsort(x, descending=descending), np.array(want, dtype=float), 0)
        assert_close(tg.sort(x, descending=descending), np.array([2.0, np.nan, 1.0])[want], 0)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("xp", [tg.nd, np], ids=["nd", "numpy"])
@pytest.mark.parametrize("numbers", [[3, 1, 2, 1], [True, False, True]])
def test_integers_and_bools_sort(numbers, xp, descending):
    want = sorted(range(len(numbers)), key=lambda i: -numbers[i] if descending else numbers[i])
    assert tg.argsort(xp.asarray(numbers), descending=descending).tolist() == want
    assert tg.sort(xp.asarray(numbers), descending=descending).tolist() == sorted(numbers, reverse=descending)


def test_pi_of_the_error_function_is_computed():
    """At fifty digits a float's pi, or a float's root of two, would be wrong in the seventeenth."""
    x = tg.Value(tg.nd.exact(1))
    with mpmath.workdps(60):
        slope = 2 * mpmath.exp(-1) / mpmath.sqrt(mpmath.pi)
        density = mpmath.exp(mpmath.mpf(-1) / 2) / mpmath.sqrt(2 * mpmath.pi)
        assert_close(tg.grad(tg.erf(x), x), slope, 1e-48)
        assert_close(tg.grad(tg.erfc(x), x), -slope, 1e-48)
        assert_close(tg.grad(tg.gelu(x), x), mpmath.ncdf(1) + density, 1e-48)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64", "bool"])
def test_moving_to_another_library_keeps_the_kind_of_numbers(dtype):
    given = np.array([[0, 1], [1, 1]], dtype=dtype)
    ours = moved(given, nd)
    assert ours.dtype == {"b": nd.bool, "i": nd.int64, "u": nd.int64, "f": nd.float64}[given.dtype.kind]
    assert ours.tolist() == given.tolist()
    assert moved(ours, np).tolist() == given.tolist()
