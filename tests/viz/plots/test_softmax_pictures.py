"""The pictures of softmax show the numbers of softmax, read back from what was drawn."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.figures import outside, overlapping, texts_of, unreadable
from tinygrad_sm.viz import plots

pytestmark = pytest.mark.heavy

ROWS = st.lists(st.floats(-20, 20), min_size=1, max_size=7)


@pytest.fixture(autouse=True)
def mpl():
    import matplotlib

    matplotlib.use("Agg")
    return matplotlib


def softmax(z, t=1.0):
    """Softmax by numpy."""
    e = np.exp((np.array(z) - max(z)) / t)
    return e / e.sum()


def good(ax):
    return outside(ax.figure) == [] and overlapping(ax.figure) == [] and unreadable(ax.figure) == []


# --- bars


@settings(max_examples=6, deadline=None)
@given(ROWS)
def test_the_bars_are_the_logits_and_their_probabilities(z):
    ax = plots.logits_vs_probabilities(z)
    left, right = ax.child_axes
    assert [float(bar.get_width()) for bar in left.patches] == z
    p = [float(bar.get_width()) for bar in right.patches]
    assert p == pytest.approx(softmax(z), abs=1e-12) and sum(p) == pytest.approx(1)
    for bars in (left.patches, right.patches):
        assert [bar.get_y() + bar.get_height() / 2 for bar in bars] == pytest.approx(range(len(z)))
        outlined = [bar.get_linewidth() > 2 for bar in bars]
        assert outlined.index(True) == int(np.argmax(p)) and sum(outlined) == 1
    assert [bool(bar.get_hatch()) for bar in left.patches] == [x < 0 for x in z]
    low, high = left.get_xlim()
    assert low <= min([0.0, *z]) and high >= max([0.0, *z]) and right.get_xlim()[1] > 1
    assert left.get_ylim()[0] > left.get_ylim()[1]  # class 0 at the top
    assert [t.get_text() for t in left.get_yticklabels()] == [f"class {k}" for k in range(len(z))]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "z", [[2.0, 1.0, -1.0], [0.0], [0.0, 0.0], [-5.0, -6.0], [3.0, 4.0], [1e6, -1e-6], [i / 3 - 8 for i in range(50)]]
)
def test_bars_are_read_well(z, theme):
    ax = plots.logits_vs_probabilities(z, theme=theme)
    assert good(ax)
    for panel, values in zip(ax.child_axes, (z, softmax(z)), strict=True):
        shown = [float(t.get_text().replace("−", "-")) for t in panel.texts]
        assert shown == pytest.approx(values, rel=5.1e-3)


# --- temperature


@settings(max_examples=5, deadline=None)
@given(ROWS, st.lists(st.floats(0.01, 100), min_size=2, max_size=9, unique=True))
def test_the_curves_are_softmax_at_each_temperature(z, temperatures):
    ax = plots.temperature_curves(z, temperatures, entropy=True)
    curves = ax.lines[: len(z)]
    heat = sorted(temperatures)
    rows = np.array([softmax(z, t) for t in heat])
    for k, curve in enumerate(curves):
        assert list(curve.get_xdata()) == heat and list(curve.get_ydata()) == pytest.approx(rows[:, k], abs=1e-12)
    logs = np.log(np.where(rows > 0, rows, 1))
    shares = -(rows * logs).sum(axis=1) / (np.log(len(z)) or 1)
    assert list(ax.lines[len(z)].get_ydata()) == pytest.approx(shares, abs=1e-9)
    assert ax.get_xscale() == "log" and ax.get_xlim() == pytest.approx((heat[0], heat[-1]))
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [f"class {k}" for k in range(len(z))] + ["entropy / ln n"]


def test_no_two_curves_look_alike_without_their_colours_or_in_them():
    ax = plots.temperature_curves([i / 5 for i in range(28)])
    curves = ax.lines[:28]
    assert (
        len(
            {
                (c.get_color(), c.get_linestyle(), c._unscaled_dash_pattern[1] and tuple(c._unscaled_dash_pattern[1]))
                for c in curves
            }
        )
        == 28
    )
    four = [c._unscaled_dash_pattern[1] for c in curves[:4]]
    assert all(a != b for i, a in enumerate(four) for b in four[:i])
    assert good(ax)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_temperature_curves_are_read_well(theme):
    ax = plots.temperature_curves([2.0, 1.0, 0.0, -1.0], entropy=True, labels=["cat", "dog", "owl", "a long name"], theme=theme)
    assert good(ax) and len(texts_of(ax.figure)) > 10
    assert min(ax.lines[0].get_xdata()) == 0.05 and max(ax.lines[0].get_xdata()) == pytest.approx(20)
    assert "entropy / ln n" not in [t.get_text() for t in plots.temperature_curves([1.0, 2.0]).get_legend().get_texts()]


# --- curves


def test_the_sigmoid_its_slope_and_softmax():
    ax = plots.sigmoid_curve(-4.0, 8.0)
    curve, slope, points = ax.lines[:3]
    x = np.array(curve.get_xdata())
    assert (x[0], x[-1]) == (-4.0, 8.0)
    y = 1 / (1 + np.exp(-x))
    assert list(curve.get_ydata()) == pytest.approx(y, abs=1e-14)
    assert list(slope.get_ydata()) == pytest.approx(y * (1 - y), abs=1e-14)
    few = np.array(points.get_xdata())
    assert len(few) == 13 and list(points.get_ydata()) == pytest.approx(1 / (1 + np.exp(-few)), abs=1e-14)
    assert slope.is_dashed() and not curve.is_dashed() and good(ax)
    assert good(plots.sigmoid_curve(2.0, 6.0, theme="dark"))


@settings(max_examples=6, deadline=None)
@given(ROWS)
def test_the_shares_are_the_probabilities_and_fill_the_column(z):
    ax = plots.exp_curve(z)
    left, right = ax.child_axes
    curve = left.lines[0]
    assert list(curve.get_ydata()) == pytest.approx(np.exp(curve.get_xdata()), rel=1e-12)
    assert curve.get_xdata()[0] < min(z) and curve.get_xdata()[-1] > max(z)
    stems, tips = left.lines[1::2], left.lines[2::2]
    for logit, stem, tip in zip(z, stems, tips, strict=True):
        assert list(stem.get_xdata()) == [logit] * 2 and list(stem.get_ydata()) == pytest.approx([0, np.exp(logit)])
        assert list(tip.get_ydata()) == pytest.approx([np.exp(logit)])
    shares = [float(bar.get_height()) for bar in right.patches]
    assert shares == pytest.approx(softmax(z), abs=1e-12)
    assert [bar.get_y() for bar in right.patches] == pytest.approx(np.cumsum([0.0, *shares[:-1]]), abs=1e-12)
    assert len({bar.get_hatch() for bar in right.patches}) == len({tip.get_marker() for tip in tips}) == len(z)
    assert overlapping(ax.figure) == [] and outside(ax.figure) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("z", [[1.5, 0.5, -1.0], [0.0], [1.0, 1.0], [-40.0, 40.0], [2, 1, 0, -1, 0.5, 0.6, 1.9]])
def test_the_exponentials_are_read_well(z, theme):
    from matplotlib.figure import Figure

    ax = plots.exp_curve(z, theme=theme)
    assert good(ax) and good(plots.exp_curve(z, ax=Figure(figsize=(3.6, 4.2), layout="constrained").add_subplot()))
    assert len(ax.get_legend().get_texts()) == len(z)


# --- Jacobian


def exact_jacobian(z):
    """p_i ([i = j] - p_j), in fractions."""
    e = [Fraction(float(np.exp(x - max(z)))) for x in z]
    p = [x / sum(e) for x in e]
    return [[float(p[i] * ((i == j) - p[j])) for j in range(len(z))] for i in range(len(z))]


@settings(max_examples=5, deadline=None)
@given(ROWS)
def test_the_heat_map_is_the_jacobian(z):
    ax = plots.softmax_jacobian(z)
    image = ax.images[0]
    cells = np.array(image.get_array())
    assert cells.tolist() == [pytest.approx(row, abs=1e-15, rel=1e-9) for row in exact_jacobian(z)]
    assert cells.sum(axis=1) == pytest.approx(0, abs=1e-12) and cells.sum(axis=0) == pytest.approx(0, abs=1e-12)
    low, high = image.get_clim()
    assert low == -high and high > 0 and high >= abs(cells).max()
    shown = {t.get_position(): float(t.get_text().replace("−", "-")) for t in ax.texts}
    for i, j in np.ndindex(cells.shape):
        assert shown[j, i] == pytest.approx(cells[i, j], abs=5.01e-3 * (abs(cells[i, j]) >= 5e-3), rel=0.51)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("n", [1, 2, 4, 12, 13, 40])
def test_the_heat_map_is_read_well(n, theme):
    ax = plots.softmax_jacobian([i / 3 for i in range(n)], theme=theme)
    assert good(ax) and len(ax.texts) == (n * n if n <= 12 else 0)
    labelled = plots.softmax_jacobian([i / 3 for i in range(n)], labels=[f"a long name {k}" for k in range(n)], theme=theme)
    assert good(labelled)


def test_numbers_stand_out_on_every_cell():
    from tinygrad_sm.viz.plots.axes import contrast

    for theme in ("light", "dark"):
        ax = plots.softmax_jacobian([3.0, 2.5, 2.0, 1.0, 0.0], theme=theme)
        for text in ax.texts:
            j, i = text.get_position()
            assert contrast(text.get_color(), ax.images[0].to_rgba(ax.images[0].get_array()[i, j])) >= 4.5


# --- what goes in

ONE_ROW = {
    "logits_vs_probabilities": plots.logits_vs_probabilities,
    "temperature_curves": plots.temperature_curves,
    "exp_curve": plots.exp_curve,
    "softmax_jacobian": plots.softmax_jacobian,
}
MOST = {"logits_vs_probabilities": 50, "temperature_curves": 28, "exp_curve": 7}


@pytest.mark.parametrize("name", ONE_ROW)
def test_logits_of_any_kind(name):
    import torch

    z = [2.0, 1.0, -1.0]
    kinds = [z, tuple(z), np.array(z, dtype=np.float32), tg.Value(z), tg.nd.asarray(z), [tg.Value(x) for x in z]]
    texts = [[t.get_text() for t in texts_of(ONE_ROW[name](kind).figure)] for kind in [*kinds, torch.tensor(z)]]
    assert texts == [texts[0]] * 7


@pytest.mark.parametrize("name", ONE_ROW)
def test_what_is_no_row_of_logits_is_refused_in_a_sentence(name):
    for wrong in ([[1.0, 2.0]], 3.0, [], [1.0, float("nan")], [1.0, -float("inf")]):
        with pytest.raises(ValueError, match=rf"^{name}: "):
            ONE_ROW[name](wrong)
    with pytest.raises(TypeError, match=rf"^{name}: logits: needs a number"):
        ONE_ROW[name]("abc")
    with pytest.raises(ValueError, match=rf"^{name}: 1 labels for 2 classes$"):
        ONE_ROW[name]([1.0, 2.0], labels=["a"])
    if name in MOST:
        ONE_ROW[name]([0.0] * MOST[name])
        with pytest.raises(
            ValueError, match=rf"^{name}: nobody can tell {MOST[name] + 1} .* give at most {MOST[name]} logits$"
        ):
            ONE_ROW[name]([0.0] * (MOST[name] + 1))


@pytest.mark.parametrize("wrong", [[1.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0], [1.0, float("inf")], 3.0, [[1.0, 2.0]]])
def test_wrong_temperatures(wrong):
    with pytest.raises(ValueError, match=r"^temperature_curves: temperatures"):
        plots.temperature_curves([1.0, 2.0], wrong)


def test_wrong_ranges_and_logits_too_far_out():
    for low, high in ((1.0, 1.0), (2.0, 1.0), (0.0, float("inf"))):
        with pytest.raises(ValueError, match=r"^sigmoid_curve: low"):
            plots.sigmoid_curve(low, high)
    with pytest.raises(ValueError, match=r"^exp_curve: −1000 is too far out"):
        plots.exp_curve([1.0, -1000.0])
