"""Colours: names, contrasts, and CSS that turns one theme into another."""

import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

import tinygrad_sm as tg
from tinygrad_sm.viz import draw
from tinygrad_sm.viz.drawings.themes import (
    DARK,
    FILLS,
    HEAT,
    LIGHT,
    PRINT,
    THEMES,
    contrast,
    css,
    follow_reader,
    ghostly,
    has_heat,
    shade,
)

INKS = ("ink", "muted", "backward_ink")
LINES = [name for name in LIGHT if name.endswith("_line")] + ["forward", "backward", "plain"]
FOR_EVERY_THEME = pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)


@FOR_EVERY_THEME
def test_every_theme_has_the_same_names_and_lower_case_colours(theme):
    assert theme.keys() == LIGHT.keys() and all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in theme.values())


def test_no_two_colours_of_the_light_theme_are_equal():
    assert len({*LIGHT.values()}) == len(LIGHT)
    shades = {shade(x / 10, LIGHT) for x in range(-10, 11)}
    assert not shades & {LIGHT[name] for name in LIGHT if name not in HEAT}  # CSS would change them too


def test_contrast_is_that_of_wcag():
    for grey, expected in (("#777777", 4.48), ("#767676", 4.54), ("#ff0000", 4.0), ("#0000ff", 8.59)):
        assert contrast(grey, "#ffffff") == pytest.approx(expected, abs=0.01) == contrast("#ffffff", grey)


@FOR_EVERY_THEME
def test_text_can_be_read_on_everything(theme):
    for own in (theme, ghostly(theme)):
        assert all(contrast(own[ink], own[fill]) >= 4.5 for ink in INKS for fill in FILLS)
        assert all(contrast(own["heat_ink"], shade(x / 10, own)) >= 4.5 for x in range(-10, 11))
        assert contrast(own["heat_ink"], own["undefined"]) >= 4.5


@FOR_EVERY_THEME
def test_lines_can_be_seen(theme):
    grounds = ("paper", "group", "inner_group")
    assert all(contrast(theme[line], theme[ground]) >= 3.0 for line in LINES for ground in grounds)


def test_print_needs_no_ink_for_grounds():
    assert {PRINT[name] for name in FILLS + HEAT} == {"#ffffff"}
    assert not has_heat(PRINT) and has_heat(LIGHT) and has_heat(DARK)


@given(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_more_is_bluer_and_less_is_more_orange(x, y):
    x, y = sorted((x, y))
    (red, _, blue), (more_red, _, more_blue) = ([int(shade(z, LIGHT)[i : i + 2], 16) for i in (1, 3, 5)] for z in (x, y))
    assert blue - red <= more_blue - more_red


def test_shades_end_in_the_named_colours():
    assert [shade(x, LIGHT) for x in (-1.0, 0.0, 1.0)] == [LIGHT[name] for name in ("negative", "zero", "positive")]
    assert shade(float("inf"), LIGHT) == LIGHT["positive"]


def test_css_turns_each_colour_into_that_of_the_theme():
    rules = dict(re.findall(r'\.x \[fill="(#\w+)"\]\{fill:(#\w+)\}', css(DARK, ".x")))
    strokes = dict(re.findall(r'\.x \[stroke="(#\w+)"\]\{stroke:(#\w+)\}', css(DARK, ".x")))
    assert rules == strokes == {LIGHT[name]: DARK[name] for name in LIGHT if LIGHT[name] != DARK[name]}
    assert len(css(DARK, ".x").splitlines()) == 2 * len(rules)
    assert css(LIGHT) == ""


def test_a_picture_that_follows_its_reader_has_a_rule_for_every_colour_in_it():
    svg = f'<path fill="{LIGHT["paper"]}" stroke="{LIGHT["op_line"]}"/><text fill="{LIGHT["heat_ink"]}"/>'
    rules = follow_reader(svg)
    assert f'[fill="{LIGHT["paper"]}"]{{fill:var(--tinygrad-sm-auto-paper,{LIGHT["paper"]})}}' in rules
    assert f'[stroke="{LIGHT["op_line"]}"]' in rules and f'[fill="{LIGHT["op_line"]}"]' not in rules
    assert rules.count(f"--tinygrad-sm-auto-paper:{DARK['paper']}") == 2
    assert "heat_ink" not in rules and "forward" not in rules


def colours_of(drawing) -> set[str]:
    return {*re.findall("#[0-9a-fA-F]{6}", drawing.source)}


@pytest.mark.parametrize("name", ["light", "dark", "print", "auto"])
def test_a_drawing_has_the_colours_of_its_theme_alone(name):
    model = tg.nn.Sequential(tg.nn.Linear(3, 2), tg.nn.ReLU())
    loss = tg.cross_entropy(model([[1.0, 2.0, 3.0]]), [0])
    theme = THEMES.get(name, LIGHT)
    known = {*theme.values(), *(shade(x / 10, theme) for x in range(-10, 11))}
    for view in ("graph", "backward", "both"):
        drawing = draw(loss, theme=name, view=view, locals=True, legend=True, names={"model": model})
        assert colours_of(drawing) <= known
    assert len(colours_of(drawing)) > 2
