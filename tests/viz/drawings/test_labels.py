"""Texts in pictures: numbers keep what matters, and no name breaks a picture."""

import html
import math
import sys
from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import tinygrad_sm as tg
from tests.helpers.drawings import AWKWARD, read
from tinygrad_sm.viz import draw
from tinygrad_sm.viz.drawings.labels import cut, escaped, number, printable, setting

TEXT = st.lists(st.integers(0, sys.maxunicode).map(chr), min_size=1).map("".join) | st.sampled_from(AWKWARD)


@given(st.floats())
def test_a_number_keeps_four_digits(x):
    shown = number(x)
    assert len(shown) <= 11
    if math.isfinite(x):
        assert math.isclose(float(shown), x, rel_tol=5.1e-4, abs_tol=0.0) or abs(x) < 1e-307 or abs(x) > 1.797e308
        assert (float(shown) == 0.0) == (x == 0.0)
    else:
        assert shown in ("nan", "inf", "-inf")


@given(st.integers(-(10**300), 10**300))
def test_a_whole_number_keeps_all_its_digits_while_they_are_few(n):
    assert number(n) == (str(n) if abs(n) < 10**9 else f"{n:.4g}")


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        (1e-07, "1e-07"),
        (0.1 + 0.2, "0.3"),
        (-0.0, "0"),
        (Decimal("-0"), "0"),
        (10**5000, "1.000e+5000"),
        (-(10**8), "-100000000"),
        (True, "True"),
        (Decimal("Infinity"), "inf"),
        (Decimal("-Infinity"), "-inf"),
        (Decimal("NaN"), "nan"),
        (Decimal("0E-60"), "0"),
        (Decimal("-1E-400"), "-1e-400"),
        (Decimal("1E+400"), "1e+400"),
        (Decimal(1) / Decimal(3), "0.3333"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_numbers(x, shown):
    assert number(x) == shown


@given(TEXT)
def test_escaping_can_be_undone_and_leaves_nothing_to_interpret(name):
    shown = printable(name)
    assert html.unescape(escaped(shown)) == shown
    assert not {*'<>"\\'} & {*escaped(shown)}
    shown.encode()


@settings(deadline=None)
@given(TEXT)
def test_any_name_can_be_drawn(name):
    (node,) = read(draw(tg.Value(1.0, name=name)))[0].values()
    whole = printable(name).replace("\u00a0", " ")
    role = "parameter" if name.find(".", 1) > 0 else "input"  # a path is that of a parameter
    assert node.title == f"{cut(whole)}  {role}"
    tooltip = html.unescape(node.tooltip.replace(4 * "&#92;", "&#92;"))
    assert tooltip == cut(f"{whole}: {role}, shape (), value 1", 500)


@settings(deadline=None)
@given(TEXT)
def test_any_name_of_plain_data_can_be_drawn(name):
    data = tg.nd.asarray([1.0, 2.0])
    node = read(draw(tg.Value([0.0, 1.0]) * data, names={name: data}))[0]["n1c1"]
    assert node.title == cut(printable(name)).replace("\u00a0", " ") + "  constant"


def test_a_long_name_is_cut_and_the_tooltip_keeps_it():
    name = "layer" * 20
    (node,) = read(draw(tg.Value(1.0, name=name)))[0].values()
    assert node.title == name[:31] + "…  input" and node.tooltip.startswith(name + ":")
    (node,) = read(draw(tg.Value(1.0, name=name * 10_000)))[0].values()
    assert len(node.tooltip) == 500


def test_control_characters_are_written_out():
    assert printable("a\n\x00\ud800\u202e") == "a\\n\\x00\\ud800\\u202e"
    assert printable("न\u200dम é∇") == "न\u200dम é∇"


def test_a_backslash_stands_alone():
    """dot takes backslash and N in a label for the name of the node, also when the backslash is written as an entity."""
    (line,) = (line for line in draw(tg.Value(1.0, name="a\\N")).source.splitlines() if "n0 [" in line)
    assert "<FONT>&#92;</FONT>N" in line
    assert f'tooltip="a{4 * "&#92;"}N: input' in line  # of which dot leaves one


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        (slice(None), ":"),
        (slice(1, None), "1:"),
        (slice(None, -1, 2), ":-1:2"),
        ((slice(None), ...), "(:, ...)"),
        ((1,), "(1,)"),
        ([0, 2], "[0, 2]"),
        (None, "None"),
        ("mean", "'mean'"),
        (0.1, "0.1"),
        (tg.nd.asarray([True, False]), "array of shape (2,)"),
        (float, "float"),
    ],
)
def test_settings(x, shown):
    assert setting(x) == shown
