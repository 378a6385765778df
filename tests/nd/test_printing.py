"""How arrays look, as a person would want to read them."""

import math

import pytest
from hypothesis import given, settings

from tests.helpers.nd_arrays import arrays, near, wild_floats
from tinygrad_sm import nd

inf, nan = math.inf, math.nan

LOOKS = [
    (nd.asarray(1 / 3), "array(0.3333333333333333)"),
    (nd.asarray(3), "array(3)"),
    (nd.asarray(True), "array(True)"),
    (nd.asarray([0.1, 1 / 3, -2.0, 1e-17, 0.1 + 0.2]), "array([0.1, 0.33333333, -2.0, 1e-17, 0.3])"),
    (nd.asarray([123456789.0, 1e15, 1e16, 12345678901.5]), "array([123456789.0, 1000000000000000.0, 1e+16, 1.2345679e+10])"),
    (nd.asarray([nan, inf, -inf, -0.0]), "array([nan, inf, -inf, -0.0])"),
    (nd.asarray([1, -200, 2**70]), "array([1, -200, 1180591620717411303424])"),
    (
        nd.asarray([[1.0, 2.0], [3.0, 4.0]]),
        """
array([[1.0, 2.0],
       [3.0, 4.0]])""",
    ),
    (
        nd.asarray([[0.1, -1 / 3, 2.0], [10.5, -200.125, inf]]),
        """
array([[ 0.1,   -0.33333333,   2.0],
       [10.5, -200.125,      inf]])""",
    ),
    (
        nd.asarray([[1e-300, 1.0], [1e300, -2.5]]),
        """
array([[1e-300,  1.0],
       [1e+300, -2.5]])""",
    ),
    (
        nd.asarray([[1, -200], [30000, 4]]),
        """
array([[    1, -200],
       [30000,    4]])""",
    ),
    (
        nd.asarray([[True, False], [False, False]]),
        """
array([[ True, False],
       [False, False]])""",
    ),
    (
        nd.reshape(nd.arange(8), (2, 2, 2)),
        """
array([[[0, 1],
        [2, 3]],

       [[4, 5],
        [6, 7]]])""",
    ),
    (
        nd.reshape(nd.arange(4), (2, 1, 2, 1)),
        """
array([[[[0],
         [1]]],


       [[[2],
         [3]]]])""",
    ),
    (nd.zeros((0,)), "array([], shape=(0,))"),
    (nd.zeros((2, 0, 3)), "array([], shape=(2, 0, 3))"),
    (nd.zeros((0, 2), dtype=nd.int64), "array([], shape=(0, 2), dtype=int64)"),
    (nd.zeros((0,), dtype=nd.bool), "array([], shape=(0,), dtype=bool)"),
    (nd.exact([], 20), "decimals([], digits=20, shape=(0,))"),
    (nd.exact([1, 20], 10) / 3, "decimals([0.3333333333, 6.666666667], digits=10)"),
    (nd.exact(0.5, 10), "decimals(0.5, digits=10)"),
    (
        nd.exact([[1, 20], [3, 4]], 10) / 3,
        """
decimals([[0.3333333333, 6.666666667],
          [1,            1.333333333]], digits=10)""",
    ),
    (nd.arange(1001), "array([0, 1, 2, ..., 998, 999, 1000])"),
    (
        nd.reshape(nd.arange(1200.0), (400, 3)),
        """
array([[   0.0,    1.0,    2.0],
       [   3.0,    4.0,    5.0],
       [   6.0,    7.0,    8.0],
       ...,
       [1191.0, 1192.0, 1193.0],
       [1194.0, 1195.0, 1196.0],
       [1197.0, 1198.0, 1199.0]])""",
    ),
    (
        nd.reshape(nd.arange(1200), (2, 600)),
        """
array([[  0,   1,   2, ...,  597,  598,  599],
       [600, 601, 602, ..., 1197, 1198, 1199]])""",
    ),
    (
        nd.arange(30) + 1000000,
        """
array([1000000, 1000001, 1000002, 1000003, 1000004, 1000005, 1000006, 1000007, 1000008, 1000009,
       1000010, 1000011, 1000012, 1000013, 1000014, 1000015, 1000016, 1000017, 1000018, 1000019,
       1000020, 1000021, 1000022, 1000023, 1000024, 1000025, 1000026, 1000027, 1000028, 1000029])""",
    ),
]


@pytest.mark.parametrize(("array", "look"), LOOKS, ids=range(len(LOOKS)))
def test_looks(array, look):
    assert repr(array) == look.lstrip("\n")


def test_the_text_is_the_bare_list():
    assert str(nd.asarray([[1.0, 2.0], [3.5, 4.0]])) == "[[1.0, 2.0],\n [3.5, 4.0]]"
    assert f"{nd.asarray([1, 2])}" == "[1, 2]"
    assert f"{nd.asarray(2.5):.3f} {nd.asarray(2.5)}" == "2.500 2.5"
    assert str(nd.exact([1, 2]) / 4) == "[0.25, 0.5]"


def test_large_arrays_are_cut_on_every_axis():
    text = repr(nd.zeros((20, 20, 20)))
    assert text.count("0.0") == 6**3
    assert len(text.splitlines()) == 6 * 7 + 6 + 1
    assert repr(nd.zeros((2, 2, 300))).count("0.0") == 2 * 2 * 6


@settings(deadline=None)
@given(arrays(kind=None) | arrays(elements=wild_floats, kind=float))
def test_what_is_shown_is_what_is_there(x):
    """Evaluated, the text gives the array back: ints and bools as they are, floats to eight significant digits."""
    text = repr(nd.asarray(x))
    assert max(map(len, text.splitlines())) <= 110
    if x.size:
        back = eval(text, {"array": nd.asarray, "nan": nan, "inf": inf})
        assert back.shape == x.shape and back.dtype is nd.asarray(x).dtype
        for shown, value in zip(back._flat, x.ravel().tolist(), strict=True):
            assert near(shown, value) or abs(shown - value) <= 5.1e-8 * abs(value)
        assert not any(line.endswith(" ") for line in text.splitlines())
