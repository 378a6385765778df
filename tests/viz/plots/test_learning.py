"""Pictures of learning, read back: curves, checked gradients, and histograms by layer."""

import sys
from math import inf, nan, sin

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.figures import every_axes, outside, overlapping, texts_of, unreadable
from tinygrad_sm.check.verdicts import FAIL, INCONCLUSIVE, KINK, PASS, Element
from tinygrad_sm.viz import plots
from tinygrad_sm.viz.plots.histograms import _histogram

heavy = pytest.mark.heavy
HISTORY = {
    "loss": [2.0, 1.0, 0.5, 0.25],
    "accuracy": [0.25, 0.5, 0.75, 1.0],
    "validation_loss": [1.5, 0.75, 0.7, 0.9],
    "validation_accuracy": [0.5, 0.8, 0.8, 0.7],
}
X = [[1.0, -1.0], [0.5, 2.0], [-3.0, 0.25]]


def elements(*verdicts):
    rows = [(2.0, 2.0, PASS), (0.0, 0.5, KINK), (1.0, 1.001, INCONCLUSIVE), (8.0, 12.0, FAIL), (-8.0, 1e-9, FAIL)]
    return [
        Element(1, "1", "x", 0, (i,), got, exact, 1e-3 if verdict == INCONCLUSIVE else 0.0, verdict, "")
        for i, (got, exact, verdict) in enumerate(rows)
        if verdict in verdicts
    ]


def report(*verdicts):
    return tg.Report(elements(*verdicts), [(5,)], "by hand", [], [], 0)


def trained():
    tg.manual_seed(0)
    model = tg.nn.MLP([2, 3, 2])
    tg.cross_entropy(model(X), [0, 1, 1]).backward()
    return model


@tg.fused
def wrong_square(xp, x):
    return x * x


@wrong_square.backward
def _(xp, g, out, x):
    return g * 2.0000001 * x


PLOTS = {
    "loss_curves": lambda **k: plots.loss_curves(HISTORY, **k),
    "accuracy_curves": lambda **k: plots.accuracy_curves(HISTORY, **k),
    "gradient_check": lambda **k: plots.gradient_check(report(PASS, KINK, INCONCLUSIVE, FAIL), **k),
    "activation_histograms": lambda **k: plots.activation_histograms(trained(), X, **k),
    "gradient_histograms": lambda **k: plots.gradient_histograms(trained(), **k),
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


# --- every picture


@every_plot
def test_without_matplotlib_the_sentence_says_what_to_install(name, monkeypatch):
    for module in [m for m in sys.modules if m.startswith("matplotlib")] + ["matplotlib", "matplotlib.axes"]:
        monkeypatch.setitem(sys.modules, module, None)
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
    figure, (one, other) = plt.subplots(1, 2, figsize=(13, 6), layout="constrained")
    assert PLOTS[name](ax=one) is one
    assert figure.axes == [one, other] and not other.lines and not other.collections and not other.patches
    assert outside(figure) == [] and overlapping(figure) == []
    with pytest.raises(TypeError, match=rf"^{name}: ax is one Axes of matplotlib"):
        PLOTS[name](ax=figure)


@heavy
@every_plot
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_is_whole_alone_and_readable(name, theme, mpl):
    figure = PLOTS[name](theme=theme).figure
    assert len(texts_of(figure)) > 8
    assert outside(figure) == [] and overlapping(figure) == [] and unreadable(figure) == []


# --- curves


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def curves_of(ax):
    return {line.get_label(): ([*line.get_xdata()], [*line.get_ydata()]) for line in ax.lines}


@heavy
@pytest.mark.parametrize("log", [False, True])
def test_losses_by_epoch_with_the_best_one_marked(log, mpl):
    ax = plots.loss_curves(HISTORY, log=log)
    found = curves_of(ax)
    assert found["training"] == ([1, 2, 3, 4], HISTORY["loss"])
    assert found["validation"] == ([1, 2, 3, 4], HISTORY["validation_loss"])
    assert found["best: 0.7 in epoch 3"] == ([3], [0.7])
    assert ax.get_yscale() == ("log" if log else "linear") and (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")
    assert [line.get_linestyle() for line in ax.lines[:2]] == ["-", "--"]
    assert ax.lines[0].get_color() != ax.lines[1].get_color() and ax.lines[0].get_marker() != ax.lines[1].get_marker()
    assert all(tick == int(tick) and tick >= 0 for tick in ax.get_xticks())


@heavy
def test_accuracies_by_epoch_with_the_first_best_one_marked(mpl):
    ax = plots.accuracy_curves(HISTORY)
    found = curves_of(ax)
    assert found["training"][1] == HISTORY["accuracy"] and found["validation"][1] == HISTORY["validation_accuracy"]
    assert found["best: 80 % in epoch 2"] == ([2], [0.8])
    ax.figure.draw_without_rendering()
    assert all(tick.get_text().endswith(" %") for tick in ax.get_yticklabels())


@heavy
def test_the_history_of_a_run(mpl):
    tg.manual_seed(0)
    history = tg.fit(tg.nn.MLP([2, 3, 2]), X * 4, [0, 1, 1] * 4, epochs=3, progress=False)
    ax = plots.loss_curves(history)
    assert curves_of(ax)["training"] == ([1, 2, 3], history.loss) and "validation" not in curves_of(ax)
    assert f"in epoch {history.loss.index(min(history.loss)) + 1}" in legend_of(ax)[-1]
    assert curves_of(plots.accuracy_curves(history))["training"][1] == history.accuracy


@heavy
def test_losses_that_are_not_finite_are_counted_and_never_best(mpl):
    ax = plots.loss_curves({"loss": np.array([1.0, nan, 0.5, -inf])})
    assert legend_of(ax) == ["training (2 not finite)", "best: 0.5 in epoch 3"]
    assert legend_of(plots.loss_curves({"loss": [nan]})) == ["training (1 not finite)"]


@pytest.mark.parametrize("function", [plots.loss_curves, plots.accuracy_curves])
@pytest.mark.parametrize(
    ("history", "error", "sentence"),
    [
        (tg.History(), ValueError, "the history has no (loss|accuracy) of any epoch"),
        ({}, ValueError, "the history has no (loss|accuracy) of any epoch"),
        ([0.5, 0.25], TypeError, "needs the History that tg.fit returns"),
        (None, TypeError, "needs the History that tg.fit returns"),
        ({"loss": "ab", "accuracy": "ab"}, TypeError, "needs the History that tg.fit returns"),
        ({"loss": 3.0, "accuracy": 3.0}, TypeError, "needs the History that tg.fit returns"),
        ({"loss": [[1.0]], "accuracy": [[1.0]]}, ValueError, "(loss|accuracy): needs a row of numbers"),
    ],
)
def test_wrong_histories_end_in_a_sentence(function, history, error, sentence):
    with pytest.raises(error, match=f"^{function.__name__}: {sentence}"):
        function(history)


def test_a_loss_of_0_has_no_logarithm():
    with pytest.raises(ValueError, match=r"^loss_curves: log=True .* validation loss of epoch 2 is 0.0$"):
        plots.loss_curves({"loss": [1.0], "validation_loss": [1.0, 0.0]}, log=True)


# --- gradient check


def points_of(panel):
    """What is scattered, by label or, below, in order."""
    return [(c.get_label(), c.get_offsets().tolist(), c.get_paths()[0].vertices.tobytes()) for c in panel.collections]


@heavy
def test_elements_of_a_report_by_verdict(mpl):
    given = elements(PASS, KINK, INCONCLUSIVE, FAIL)
    ax = plots.gradient_check(report(PASS, KINK, INCONCLUSIVE, FAIL))
    above, below = ax.child_axes
    by_label = {label: (places, shape) for label, places, shape in points_of(above)}
    assert by_label["1 PASS"][0] == [[2.0, 2.0]] and by_label["1 KINK"][0] == [[0.5, 0.0]]
    assert by_label["1 INCONCLUSIVE"][0] == [[1.001, 1.0]]
    assert by_label["2 FAIL"][0] == [[12.0, 8.0], [1e-9, -8.0]]  # what it should be, what it is
    assert by_label["worst"][0] == [[1e-9, -8.0]]
    verdicts = ("1 PASS", "1 KINK", "1 INCONCLUSIVE", "2 FAIL")
    assert len({by_label[v][1] for v in verdicts}) == 4
    colours = {c.get_label(): tuple(c.get_facecolor()[0]) for c in above.collections if c.get_label() in verdicts}
    assert len({*colours.values()}) == 4
    errors = {tuple(place) for _, places, _ in points_of(below) for place in places}
    assert errors >= {(float(e.exact), e.difference) for e in given}
    assert (1.001, 1e-3 / 1.001) in errors  # the uncertainty
    assert ax.get_title() == "gradcheck: NOT OK, 1 PASS, 1 KINK, 1 INCONCLUSIVE, 2 FAIL\nworst: x[4] is −8, should be 1e−09"
    assert above.get_xscale() == above.get_yscale() == below.get_xscale() == below.get_yscale() == "symlog"
    assert above.get_xlim() == above.get_ylim() == below.get_xlim()
    (line,) = [line for line in above.lines if line.get_linestyle() == "--"]
    assert [*line.get_xdata()] == [*line.get_ydata()] == [*above.get_xlim()]
    assert every_axes(ax.figure) == [ax, above, below]


@heavy
def test_everything_is_inside_the_panels(mpl):
    for shown in (
        report(PASS, FAIL),
        report(PASS),
        report(KINK),
        tg.compare(tg.softmax, [1.0, 2.0]),
        tg.compare(wrong_square, 3.0),
    ):
        ax = plots.gradient_check(shown)
        for panel in ax.child_axes:
            (x0, x1), (y0, y1) = panel.get_xlim(), panel.get_ylim()
            for _, places, _ in points_of(panel):
                assert all(x0 <= x <= x1 and y0 <= y <= y1 for x, y in places)
        assert outside(ax.figure) == [] and overlapping(ax.figure) == []


@heavy
def test_a_comparison_in_units_in_the_last_place(mpl):
    comparison = tg.compare(wrong_square, [1.0, -2.0, 300.0])
    ax = plots.gradient_check(comparison)
    above, below = ax.child_axes
    places = sorted(p for label, found, _ in points_of(above) for p in found if label != "worst")
    assert places == sorted([float(f.exact), float(f.got)] for f in comparison.findings)
    errors = {tuple(p) for _, found, _ in points_of(below) for p in found}
    assert errors == {(float(f.exact), f.ulp) for f in comparison.findings}
    assert [*below.lines[0].get_ydata()] == [comparison.limit] * 2
    assert ax.get_title().startswith("wrong_square is WRONG: at most value 0, grad")
    assert {"1 PASS", "1 FAIL", "worst"} == {*legend_of(above)} and below.get_ylabel() == "error in ulp"
    right = plots.gradient_check(tg.compare(tg.softmax, [1.0, 2.0]))
    assert right.get_title().startswith("softmax is right") and "FAIL" not in str(legend_of(right.child_axes[0]))


@heavy
def test_numbers_that_are_not_finite_are_counted(mpl):
    bad = [e._replace(gradient=nan) if e.verdict == FAIL else e for e in elements(PASS, FAIL)]
    ax = plots.gradient_check(tg.Report(bad, [(5,)], "by hand", [], [], 0))
    assert "2 not finite, not shown" in legend_of(ax.child_axes[0]) and "is nan, should be 12" in ax.get_title()
    assert "worst" not in legend_of(ax.child_axes[0])
    alone = plots.gradient_check(tg.Report(bad[1:], [(5,)], "by hand", [], [], 0))
    assert outside(alone.figure) == []


@heavy
@pytest.mark.parametrize(
    ("got", "exact", "says"), [(1.0, 1.0000001, "is 1, should be 1.0000001"), (1.0, 1.0, "is 1, error 0 relative")]
)
def test_numbers_are_told_apart(got, exact, says, mpl):
    one = Element(1, "1", "x", 0, (), got, exact, 0.0, PASS, "")
    assert plots.gradient_check(tg.Report([one], [()], "by hand", [], [], 0)).get_title().endswith(says)


@heavy
def test_what_the_checks_return_can_be_drawn(mpl):
    found = tg.gradcheck(lambda x: sin(x[0]) * x[1], [0.5, 3.0], gradient=lambda x: [2.0, sin(x[0])])
    ax = plots.gradient_check(found)
    assert ax.get_title().startswith("gradcheck: NOT OK, 1 PASS, 1 FAIL\nworst: ")
    shapes = tg.compare(_two_numbers, [1.0, 2.0])
    assert "not finite, not shown" in str(legend_of(plots.gradient_check(shapes).child_axes[0])) or shapes.ok


@tg.fused
def _two_numbers(xp, x):
    return x * 1.0


@_two_numbers.kernel(tg.nd.Array)
def _(x):
    return x[:1]


@pytest.mark.parametrize("wrong", [True, None, [1.0], tg.History()])
def test_no_report_ends_in_a_sentence(wrong):
    with pytest.raises(TypeError, match=r"^gradient_check: needs what tg.gradcheck or tg.compare returned, not "):
        plots.gradient_check(wrong)
    with pytest.raises(ValueError, match=r"^gradient_check: the report has no elements$"):
        plots.gradient_check(tg.Report([], [], "", [], [], 0))


# --- histograms


def labels_of(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def ridges_of(ax):
    """(values, edges, baseline) of the histograms, from top to bottom."""
    return [patch.get_data() for patch in ax.patches]


@heavy
def test_activations_are_those_of_the_layers(mpl):
    model = tg.nn.MLP([2, 3, 2])
    model.layers[0].weight.data = tg.nd.asarray([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    model.layers[0].bias.data = tg.nd.asarray([0.0, 0.0, -100.0])
    ax = plots.activation_histograms(model, X)
    hidden = [max(v, 0.0) for a, b in X for v in (a, b, -a - b - 100.0)]
    assert labels_of(ax) == ["layers.0 Linear(2, 3), relu\n55.6 % zeros, 1 of 3 units dead", "layers.1 Linear(3, 2)"]
    (first, edges, base), (_, outer, lowest) = ridges_of(ax)
    alive = [v for v in hidden if v]
    assert (edges[0], edges[-1]) == pytest.approx((min(alive), max(alive))) and (base, lowest) == (1, 0)
    logits = model(X).tolist()
    flat = [v for row in logits for v in row]
    assert (outer[0], outer[-1]) == pytest.approx((min(flat), max(flat)))
    assert max(first) == pytest.approx(1 + 0.86) and "3 rows" in ax.get_title()


@heavy
def test_layers_of_any_network_in_the_order_of_their_calls(mpl):
    class Twice(tg.nn.Module):
        def __init__(self):
            self.last = tg.nn.Linear(2, 2)
            self.shared = tg.nn.Linear(2, 2)

        def forward(self, x):
            x = tg.tanh(self.shared(x))
            x = self.shared(x)
            return {"logits": self.last(x + x * x)}

    assert labels_of(plots.activation_histograms(Twice(), X)) == [
        "shared Linear(2, 2), tanh",
        "shared Linear(2, 2) call 2",
        "last Linear(2, 2)",
    ]
    parts = tg.nn.Sequential(tg.nn.Linear(2, 4), tg.nn.GELU(), tg.nn.Dropout(0.9), tg.nn.LayerNorm(4), tg.nn.Linear(4, 3))
    names = [label.split("\n")[0] for label in labels_of(plots.activation_histograms(parts, np.array(X)))]
    assert names == ["0 Linear(2, 4), gelu", "3 LayerNorm(4, eps=1e-05)", "4 Linear(4, 3)"]
    assert parts.training and parts[2].training
    assert labels_of(plots.activation_histograms(tg.nn.Linear(2, 1), X)) == ["Linear(2, 1)"]


@heavy
def test_frozen_networks_and_ints_and_no_grad(mpl):
    model = tg.nn.MLP([2, 3, 2])
    for p in model.parameters():
        p.requires_grad = False
    with tg.no_grad():
        assert len(labels_of(plots.activation_histograms(model, X))) == 2
    words = tg.nn.Sequential(tg.nn.Embedding(5, 2), tg.nn.Linear(2, 2))
    for indices in ([1, 2, 4], np.array([1, 2, 4]), [[1, 2], [0, 1]]):
        assert labels_of(plots.activation_histograms(words, indices)) == ["0 Embedding(5, 2)", "1 Linear(2, 2)"]
    assert len(labels_of(plots.activation_histograms(tg.nn.MLP([2, 3, 2]).to(np), X))) == 2


@heavy
def test_gradients_are_those_of_the_parameters(mpl):
    model = trained()
    ax = plots.gradient_histograms(model)
    named = {name: np.abs(np.array(p.grad.tolist())).ravel() for name, p in model.named_parameters()}
    assert [label.split(" (")[0] for label in labels_of(ax)] == [*named]
    ridges, some_left = iter(ridges_of(ax)), [g[g > 0] for g in named.values()]
    for g in some_left:
        if len(g):
            _, edges, _ = next(ridges)
            assert edges[0] <= g.min() * (1 + 1e-9) and edges[-1] >= g.max() * (1 - 1e-9)
    assert ax.get_xscale() == "log"
    for label, g in zip(labels_of(ax), named.values(), strict=True):
        if (g > 0).any():
            assert f"median {np.median(g[g > 0]):.3g}".replace("-", "−") in label
        assert ("zeros" in label) == bool((g == 0).any())


@heavy
def test_gradients_by_name_of_every_kind(mpl):
    import torch

    unused = tg.Value([1.0])
    p = torch.nn.Linear(2, 2)
    p(torch.tensor(X)).sum().backward()
    assert labels_of(plots.gradient_histograms(p))[0].startswith("weight (2, 2)\nmedian ")
    ax = plots.gradient_histograms({"a": [1.0, 0.0, nan, inf], "b": unused, "c": np.array([[-2.0, 2.0]]), "d": [0.0]})
    assert labels_of(ax) == [
        "a (4,)\nmedian 1, 25 % zeros, 2 not finite",
        "b\nno gradient yet",
        "c (1, 2)\nmedian 2",
        "d (1,)\n100 % zeros",
    ]
    model = trained()
    assert labels_of(plots.gradient_histograms(model.named_parameters())) == labels_of(plots.gradient_histograms(model))
    assert plots.gradient_histograms({"costs $ and $": [1.0]}).figure.draw_without_rendering() is None


@heavy
def test_many_layers_are_not_too_many(mpl):
    figure = plots.gradient_histograms({f"layers.{i}.weight": [1.0, 10.0 ** (-i)] for i in range(24)}).figure
    assert outside(figure) == [] and overlapping(figure) == []


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("numbers", [[1.0], [3.0, 3.0], [0.5, 1.0, 2.0, 4.0, 4.0], [1e-300, 1.0]])
def test_every_number_is_in_one_bin(numbers, log):
    heights, edges = _histogram(numbers, 7, min(numbers), max(numbers), log)
    assert sum(heights) == len(numbers) and len(edges) == 8 and edges == sorted({*edges})
    slack = 1 + 1e-9
    for i, height in enumerate(heights):
        inside = sum(edges[i] / slack <= x <= edges[i + 1] * slack for x in numbers)
        assert height <= inside


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "sentence"),
    [
        ((lambda x: x, X), {}, TypeError, "the first argument is a network of tg.nn"),
        ((tg.nn.MLP, X), {}, TypeError, "the first argument is a network of tg.nn"),
        ((tg.nn.MLP([2, 2]), X), {"bins": 0}, ValueError, "bins is a whole number of at least 1"),
        ((tg.nn.MLP([2, 2]), [[1.0, nan]]), {}, ValueError, "X: a picture needs finite numbers"),
        ((tg.nn.MLP([2, 2]), []), {}, ValueError, "X needs rows of inputs"),
        ((tg.nn.MLP([2, 2]), 3.0), {}, ValueError, "X needs rows of inputs"),
        ((tg.nn.MLP([2, 2]), [["a"]]), {}, TypeError, "X"),
        ((tg.nn.Sequential(), X), {}, ValueError, "no layer of Sequential"),
    ],
)
def test_wrong_activations_end_in_a_sentence(arguments, keywords, error, sentence):
    with pytest.raises(error, match=f"^activation_histograms: .*{sentence}"):
        plots.activation_histograms(*arguments, **keywords)


@pytest.mark.parametrize(
    ("model", "error", "sentence"),
    [
        (tg.nn.MLP([2, 2]), ValueError, r"no parameter has a gradient yet; call loss.backward\(\) first"),
        (tg.nn.Sequential(), ValueError, "there are no parameters"),
        (3, TypeError, "needs a network, or names with parameters or gradients, not 3"),
        ("ab", TypeError, "needs a network"),
        (tg.Value([1.0]), TypeError, "needs a network"),
        (np.ones(3), TypeError, "needs a network"),
        ([tg.Value([1.0])], TypeError, "needs pairs of a name and a parameter"),
        ({"a": "text"}, TypeError, "a: "),
        ({"a": None}, ValueError, "no parameter has a gradient yet"),
    ],
)
def test_wrong_gradients_end_in_a_sentence(model, error, sentence):
    with pytest.raises(error, match=f"^gradient_histograms: {sentence}"):
        plots.gradient_histograms(model)
