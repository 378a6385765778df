"""What all plots share: an Axes of one's own or a new one, nothing global, and numbers of any kind."""

import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.figures import outside, overlapping, texts_of, unreadable
from tinygrad_sm.viz import plots
from tinygrad_sm.viz.plots import axes

heavy = pytest.mark.heavy

PLOTS = {
    "mlp_diagram": lambda **k: plots.mlp_diagram(tg.nn.MLP([2, 3, 2]), [0.5, -1.0], **k),
    "logits_vs_probabilities": lambda **k: plots.logits_vs_probabilities([2.0, 1.0, -1.0], **k),
    "temperature_curves": lambda **k: plots.temperature_curves([2.0, 1.0, -1.0], entropy=True, **k),
    "sigmoid_curve": lambda **k: plots.sigmoid_curve(**k),
    "exp_curve": lambda **k: plots.exp_curve(**k),
    "softmax_jacobian": lambda **k: plots.softmax_jacobian([2.0, 1.0, -1.0], **k),
}
every_plot = pytest.mark.parametrize("name", PLOTS)


@pytest.fixture
def mpl():
    import matplotlib

    matplotlib.use("Agg")
    return matplotlib


@pytest.fixture
def plt(mpl):
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


# --- where to draw


def test_importing_the_plots_does_not_import_matplotlib():
    code = "import sys, tinygrad_sm.viz.plots; print(*(m for m in sys.modules if m.startswith(('matplotlib', 'numpy'))))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@every_plot
def test_without_matplotlib_the_sentence_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(ImportError, match=rf"^{name}: plots need .*pip install 'tinygrad_sm\[plots\]'$"):
        PLOTS[name]()


@heavy
@every_plot
def test_nothing_global_changes(name, plt):
    before, figures = dict(plt.rcParams), plt.get_fignums()
    ax = PLOTS[name]()
    assert plt.get_fignums() == figures and dict(plt.rcParams) == before
    assert ax.figure.axes == [ax]


@heavy
@every_plot
def test_an_axes_that_is_given_is_drawn_into_and_returned(name, plt):
    figure, (one, other) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    assert PLOTS[name](ax=one) is one
    assert figure.axes == [one, other] and plt.get_fignums() == [figure.number]
    assert one.get_children() and not other.lines and not other.collections and not other.patches and not other.child_axes
    assert outside(figure) == [] and overlapping(figure) == []
    inner = plt.figure(layout="constrained", figsize=(12, 5)).subfigures(1, 2)[0].add_subplot()
    assert PLOTS[name](ax=inner) is inner


@heavy
@every_plot
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_is_whole_alone_and_readable(name, theme, mpl):
    figure = PLOTS[name](theme=theme).figure
    assert len(texts_of(figure)) > 8
    assert outside(figure) == []
    assert overlapping(figure) == []
    assert unreadable(figure) == []


@heavy
@every_plot
def test_an_axes_keeps_the_colours_that_it_has(name, plt):
    with plt.style.context("dark_background"):
        figure, ax = plt.subplots(figsize=(8, 6), layout="constrained")
    PLOTS[name](ax=ax)
    assert unreadable(figure) == [] and figure.get_facecolor()[:3] == (0.0, 0.0, 0.0)
    assert axes.palette(ax) == axes.ON_DARK and axes.paper(ax) == "#000000" and axes.ink(ax) == "#ffffff"


@heavy
def test_a_dark_theme_is_not_for_the_styles_of_others(plt):
    with plt.style.context("dark_background"):
        figure = plots.sigmoid_curve().figure
    assert figure.get_facecolor()[:3] == (1.0, 1.0, 1.0) and unreadable(figure) == []


@heavy
@every_plot
def test_what_is_no_axes_is_refused_in_a_sentence(name, plt):
    _, many = plt.subplots(1, 2)
    for wrong in (many, plt.figure(), 3, "ax"):
        with pytest.raises(TypeError, match=rf"^{name}: ax is one Axes of matplotlib"):
            PLOTS[name](ax=wrong)
    with pytest.raises(TypeError, match=rf"^{name}: ax is polar"):
        PLOTS[name](ax=plt.figure().add_subplot(projection="polar"))
    with pytest.raises(ValueError, match=rf"^{name}: theme is one of light, dark, not 'solarized'$"):
        PLOTS[name](theme="solarized")
    with pytest.raises(ValueError, match=rf"^{name}: theme is for a figure made here"):
        PLOTS[name](ax=many[0], theme="dark")


@heavy
def test_a_notebook_shows_the_axes_and_its_figure(mpl):
    from IPython.core import formatters

    ax = plots.sigmoid_curve()
    for shown in (ax, ax.figure):
        data, metadata = formatters.DisplayFormatter().format(shown)
        assert data["image/png"].startswith(b"\x89PNG") and metadata["image/png"] == {"width": 600, "height": 400}


@heavy
def test_a_figure_can_be_pickled_and_saved(mpl, tmp_path):
    import pickle

    figure = pickle.loads(pickle.dumps(plots.exp_curve().figure))
    for suffix in ("png", "svg", "pdf"):
        figure.savefig(tmp_path / f"x.{suffix}")
        assert (tmp_path / f"x.{suffix}").stat().st_size > 5000


# --- colours


@heavy
def test_colours_stand_out_and_numbers_are_read_on_every_cell(mpl):
    for theme in ("light", "dark"):
        ax = axes.new_axes(None, "plot", theme=theme)
        paper = axes.paper(ax)
        assert axes.contrast(axes.ink(ax), paper) > 12 and axes.contrast(axes.grey(ax), paper) > 4.5
        assert all(axes.contrast(colour, paper) >= 3 for colour in axes.palette(ax)[:4])
        map_ = axes.diverging(ax)
        assert all(axes.contrast(axes.readable(map_(i)), map_(i)) >= 4.5 for i in range(256))
        assert axes.contrast(map_(128), paper) < 1.02 and len({*axes.palette(ax)}) == 7
    assert axes.contrast("white", "black") == pytest.approx(21) and axes.contrast("#777777", "white") == pytest.approx(
        4.48, abs=5e-3
    )


@heavy
def test_a_clear_axes_has_the_paper_of_its_figure(mpl):
    ax = axes.new_axes(None, "plot", theme="dark")
    ax.patch.set_alpha(0)
    assert axes.paper(ax) == axes.THEMES["dark"][1].lower()


# --- numbers

ROWS = [[1.0, 2.0], [3.0, 4.0]]


def some(kind):
    if kind == "torch":
        import torch

        return torch.tensor(ROWS, requires_grad=True)
    return {
        "lists": [[1, 2], (3.0, 4)],
        "nd": tg.nd.asarray(ROWS),
        "Value": tg.Value(ROWS),
        "lists of Values": [[tg.Value(1.0), 2], tg.Value([3, 4])],
        "numpy": np.array(ROWS, dtype=np.float32),
        "ints of numpy": np.array(ROWS, dtype=int),
        "rows of numpy": [np.array([1, 2]), np.array([3.0, 4.0])],
        "decimals": tg.nd.asarray([[Decimal(1), Decimal(2)], [Decimal(3), Decimal(4)]]),
        "Value of numpy": tg.Value(np.array(ROWS)),
        "ranges": [range(1, 3), range(3, 5)],
    }[kind]


KINDS = ["lists", "nd", "Value", "lists of Values", "numpy", "ints of numpy", "rows of numpy", "decimals", "Value of numpy"]


@pytest.mark.parametrize("kind", [*KINDS, "ranges", pytest.param("torch", marks=heavy)])
def test_numbers_of_any_kind_are_floats(kind):
    found = axes.floats(some(kind), "plot: X", 2)
    assert found == ROWS and {type(x) for row in found for x in row} == {float}


@pytest.mark.parametrize(
    ("x", "ndim", "kind", "says"),
    [
        ([[1.0]], 1, ValueError, r"^plot: X: needs a row of numbers, and got shape \(1, 1\)$"),
        (3.0, 1, ValueError, r"^plot: X: needs a row of numbers, and got shape \(\)$"),
        ([1.0], 2, ValueError, r"^plot: X: needs rows of numbers, and got shape \(1,\)$"),
        ([1.0, float("nan")], 1, ValueError, "^plot: X: a picture needs finite numbers, and one is nan$"),
        ([1.0, -float("inf")], 1, ValueError, "^plot: X: a picture needs finite numbers, and one is -inf$"),
        ("abc", 1, TypeError, "^plot: X: needs a number, a list or an array of numbers, not 'abc'"),
        (None, 1, TypeError, "^plot: X: needs a number"),
        ([1.0, [2.0]], 1, ValueError, "^plot: X: ragged"),
        ([True], 1, TypeError, "^plot: X: an array of bools is a mask"),
    ],
)
def test_what_is_no_numbers_is_refused(x, ndim, kind, says):
    with pytest.raises(kind, match=says):
        axes.floats(x, "plot: X", ndim, finite=True)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        *[(0.0, "0.00"), (-0.005, "−0.01"), (9.994, "9.99"), (9.996, "10.0"), (-99.94, "−99.9"), (99.96, "100")],
        *[(9999.4, "9999"), (9999.6, "1e4"), (-123456.0, "−1e5"), (0.00499, "5e−3"), (-1e-300, "−1e−300"), (1.0, "1.00")],
    ],
)
def test_short_numbers(x, text):
    assert axes.short(x) == text


@pytest.mark.parametrize(("x", "text"), [(-0.12345, "−0.123"), (2.0, "2"), (1e-9, "1e−09"), (float("-inf"), "−inf")])
def test_written_numbers(x, text):
    assert axes.written(x) == text


def test_names_of_classes():
    assert axes.class_names(None, 2, "plot") == ["class 0", "class 1"]
    assert axes.class_names(np.array(["a", "b"]), 2, "plot") == ["a", "b"] and axes.class_names((1, 2.5), 2, "plot") == [
        "1",
        "2.5",
    ]
    assert axes.class_names(["$a$", "b\n"], 2, "plot") == [r"\$a\$", r"b\n"]
    with pytest.raises(ValueError, match=r"^plot: 3 labels for 2 classes$"):
        axes.class_names("a b c".split(), 2, "plot")
    for wrong in ("ab", 3, {"a": 1, "b": 2}):
        with pytest.raises(TypeError, match=r"^plot: labels is a list with a name for each class"):
            axes.class_names(wrong, 2, "plot")
