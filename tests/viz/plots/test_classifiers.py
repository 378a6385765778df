"""Pictures of classifiers, read back: regions and points, counts, and calibration against exact fractions."""

import sys
from fractions import Fraction
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.figures import every_axes, outside, overlapping, texts_of, unreadable
from tinygrad_sm.viz import plots
from tinygrad_sm.viz.plots import classifiers

heavy = pytest.mark.heavy

POINTS = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [3.0, 1.0], [1.0, 3.0]]
CLASSES = [0, 0, 0, 1, 1, 1]


def diagonal(X):
    """Class 1 beyond the line x + y = 2."""
    return X @ [[0.0, 1.0], [0.0, 1.0]] + [2.0, 0.0]


def three(X):
    return X @ [[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]


PROBABILITIES = [[0.9, 0.1], [0.8, 0.2], [0.35, 0.65], [0.55, 0.45], [0.1, 0.9]]

PLOTS = {
    "decision_regions": lambda **k: plots.decision_regions(three, POINTS, [0, 0, 1, 1, 2, 2], resolution=20, **k),
    "confusion_matrix": lambda **k: plots.confusion_matrix([0, 1, 2, 2, 1, 0], [0, 1, 2, 1, 1, 2], **k),
    "reliability_diagram": lambda **k: plots.reliability_diagram(PROBABILITIES, [0, 0, 1, 1, 1], **k),
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


# --- decision regions


def colours_of(ax):
    """The image: rows of (r, g, b, opacity)."""
    return np.asarray(ax.images[0].get_array())


def grid_of(ax, n):
    """The points that the pixels of the image stand for."""
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    return [[(x0 + (x1 - x0) * i / (n - 1), y0 + (y1 - y0) * j / (n - 1)) for i in range(n)] for j in range(n)]


@heavy
def test_each_point_has_the_colour_of_its_class_and_the_opacity_of_its_probability(mpl):
    from matplotlib.colors import to_rgb

    n = 23
    ax = plots.decision_regions(three, POINTS, [0, 0, 1, 1, 2, 2], resolution=n)
    image = colours_of(ax)
    assert image.shape == (n, n, 4) and ax.images[0].origin == "lower"
    for row, pixels in zip(grid_of(ax, n), image, strict=True):
        for point, pixel in zip(row, pixels, strict=True):
            p = np.exp(np.array(point) @ [[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]])
            p /= p.sum()
            sure = (p.max() - 1 / 3) / (1 - 1 / 3)
            if np.sort(p)[-1] - np.sort(p)[-2] > 1e-9:
                assert tuple(pixel[:3]) == pytest.approx(to_rgb(classifiers.class_colour(ax, int(p.argmax()))))
            assert pixel[3] == pytest.approx(0.08 + 0.47 * sure)
    left, right, bottom, top = ax.images[0].get_extent()
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    half = (x1 - x0) / (n - 1) / 2, (y1 - y0) / (n - 1) / 2  # a pixel is around its point
    assert (left, right, bottom, top) == pytest.approx((x0 - half[0], x1 + half[0], y0 - half[1], y1 + half[1]))


@heavy
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_the_line_is_where_both_classes_have_the_same_probability(scale, mpl):
    ax = plots.decision_regions(lambda X: diagonal(X) * scale, POINTS, CLASSES, resolution=20)
    vertices = np.concatenate([path.vertices for c in ax.collections for path in c.get_paths() if len(path.vertices) > 8])
    lines = [v for c in ax.collections if "Contour" in type(c).__name__ for path in c.get_paths() for v in path.vertices]
    assert len(lines) > 10 and len(vertices)
    assert np.array(lines).sum(axis=1) == pytest.approx(2.0)


@heavy
def test_there_is_a_line_between_any_two_regions(mpl):
    ax = plots.decision_regions(three, POINTS, [0, 0, 1, 1, 2, 2], resolution=20)
    lines = [v for c in ax.collections if "Contour" in type(c).__name__ for path in c.get_paths() for v in path.vertices]
    logits = np.array(lines) @ [[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]
    best = np.argsort(-logits)[:, :2]
    assert {tuple(sorted(pair)) for pair in best.tolist()} == {(0, 1), (0, 2), (1, 2)}


@heavy
def test_points_have_the_marker_and_the_colour_of_their_class_and_names_in_the_legend(mpl):
    from matplotlib.colors import to_hex

    ax = plots.decision_regions(diagonal, POINTS, CLASSES, labels=["below", "above"], resolution=5)
    scattered = [c for c in ax.collections if "Contour" not in type(c).__name__]
    assert [c.get_offsets().tolist() for c in scattered] == [POINTS[:3], POINTS[3:]]
    assert [to_hex(c.get_facecolor()[0]).upper() for c in scattered] == ["#0072B2", "#D55E00"]
    shapes = {c.get_paths()[0].vertices.tobytes() for c in scattered}
    assert len(shapes) == 2
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["below", "above"]
    assert ax.get_title() == "100 % of 6 points right"
    assert plots.decision_regions(diagonal, POINTS, [1, *CLASSES[1:]], resolution=5).get_title() == "83.3 % of 6 points right"


@heavy
@pytest.mark.parametrize(
    "same",
    [
        lambda X: tg.softmax(diagonal(X)),
        lambda X: tg.log_softmax(diagonal(X)),
        lambda X: diagonal(X)[:, 1] - diagonal(X)[:, 0],
        lambda X: (diagonal(X)[:, 1] - diagonal(X)[:, 0]).tolist(),
        lambda X: diagonal(X)[:, 1:] - diagonal(X)[:, :1],
        lambda X: tg.Value(diagonal(X)),
        lambda X: np.asarray(diagonal(X).tolist(), dtype=np.float64),
    ],
)
def test_probabilities_and_one_logit_give_the_same_picture_as_logits(same, mpl):
    a, b = (plots.decision_regions(f, POINTS, CLASSES, resolution=9) for f in (diagonal, same))
    assert colours_of(a) == pytest.approx(colours_of(b), abs=1e-12) and a.get_title() == b.get_title()


@heavy
@pytest.mark.parametrize("kind", ["lists", "ints", "nd", "numpy", "float32", "torch", "a numpy network", "a torch network"])
def test_networks_and_points_of_every_library(kind, mpl):
    tg.manual_seed(1)
    model = tg.nn.MLP([2, 4, 2])
    X, y = {
        "lists": (POINTS, CLASSES),
        "ints": ([[int(a) for a in row] for row in POINTS], CLASSES),
        "nd": (tg.nd.asarray(POINTS), tg.nd.asarray(CLASSES)),
        "numpy": (np.array(POINTS), np.array(CLASSES)),
        "float32": (np.array(POINTS, dtype=np.float32), np.array(CLASSES, dtype=np.uint8)),
    }.get(kind, (POINTS, CLASSES))
    expected = colours_of(plots.decision_regions(model, POINTS, CLASSES, resolution=6))
    network = model
    if kind == "a numpy network":
        network = model.to(np)
    if kind == "torch":
        import torch

        X, y = torch.tensor(POINTS), torch.tensor(CLASSES)
    if kind == "a torch network":
        import torch

        network = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Dropout(0.9), torch.nn.Linear(4, 2))
        for layer, own in ((network[0], model.layers[0]), (network[3], model.layers[1])):
            layer.weight.data, layer.bias.data = torch.tensor(own.weight.tolist()), torch.tensor(own.bias.tolist())
    got = colours_of(plots.decision_regions(network, X, y, resolution=6))
    assert got == pytest.approx(expected, abs=1e-6)


@heavy
def test_a_network_predicts_while_it_is_asked_and_trains_again_afterwards(mpl):
    seen = []

    class Spy(tg.nn.Module):
        def forward(self, x):
            seen.append((self.training, isinstance(x, tg.Value)))
            return diagonal(x)

    model = tg.nn.Sequential(Spy(), tg.nn.Dropout(0.9))
    model[1].training = False
    plots.decision_regions(model, POINTS, CLASSES, resolution=40)
    assert {*seen} == {(False, False)} and len(seen) > 2  # in batches
    assert [m.training for m in model.modules()] == [True, True, False]


@heavy
def test_of_several_features_two_are_drawn_and_the_others_are_at_their_mean(mpl):
    asked = []

    def model(X):
        asked.append(X.tolist())
        return X @ [[0.0, 1.0], [0.0, 0.0], [0.0, 1.0]] - [1.5, 0.0]

    X = [[0.0, 10.0, 1.0], [1.0, 20.0, 2.0], [2.0, 60.0, 0.0]]
    names = ["a", "b", "c"]
    ax = plots.decision_regions(model, X, [0, 1, 1], features=(2, 0), feature_names=names, resolution=4)
    assert asked[0] == X
    grid = [row for batch in asked[1:] for row in batch]
    assert len(grid) == 16 and {row[1] for row in grid} == {30.0}
    first = [row[2] for row in grid]
    assert first[:4] == sorted({*first}) and len({row[0] for row in grid[:4]}) == 1
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("c", "a")
    assert [c.get_offsets().tolist() for c in ax.collections if "Contour" not in type(c).__name__] == [
        [[1.0, 0.0]],
        [[2.0, 1.0], [0.0, 2.0]],
    ]
    assert "other features at their mean" in ax.get_title()


@heavy
def test_one_class_alone_and_one_point_alone_are_drawn(mpl):
    ax = plots.decision_regions(lambda X: [[1.0, 0.0]] * len(X), [[5.0, 5.0]], [0], resolution=3)
    assert ax.get_title() == "100 % of 1 points right" and len(ax.collections) == 1


@heavy
def test_many_classes_differ_in_colour_or_marker(mpl):
    from tinygrad_sm.viz.plots.axes import new_axes

    for theme in ("light", "dark"):
        ax = new_axes(None, "plot", theme=theme)
        looks = {(classifiers.class_colour(ax, k), classifiers.MARKERS[k % len(classifiers.MARKERS)]) for k in range(30)}
        assert len(looks) == 30 and len({classifiers.class_colour(ax, k) for k in range(18)}) == 18


X4 = [[1.0, 2.0, 3.0, 4.0]]


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "sentence"),
    [
        ((3, POINTS, CLASSES), {}, TypeError, "the first argument is a network or a function"),
        ((tg.nn.MLP, POINTS, CLASSES), {}, TypeError, "the first argument is a network or a function"),
        ((diagonal, [], []), {}, ValueError, "needs rows of numbers"),
        ((diagonal, [1.0, 2.0], CLASSES), {}, ValueError, "X: needs rows of numbers, and got shape"),
        ((diagonal, "ab", CLASSES), {}, TypeError, "X"),
        ((diagonal, [[1.0, nan]], [0]), {}, ValueError, "X: a picture needs finite numbers"),
        ((diagonal, [[1.0]], [0]), {}, ValueError, "X has one feature, and regions of a plane need two"),
        ((diagonal, X4, [0]), {}, ValueError, r"X has 4 features; say which two to draw, such as features=\(0, 1\)"),
        ((diagonal, X4, [0]), {"features": (0, 4)}, ValueError, "two different columns of X, from 0 to 3"),
        ((diagonal, X4, [0]), {"features": (1, 1)}, ValueError, "two different columns of X"),
        ((diagonal, X4, [0]), {"features": (0, 1, 2)}, ValueError, "features are two columns"),
        ((diagonal, X4, [0]), {"features": (-1, 1)}, ValueError, "a feature is a whole number"),
        ((diagonal, X4, [0]), {"features": "ab"}, ValueError, "features are two columns"),
        ((diagonal, POINTS, CLASSES[:-1]), {}, ValueError, "y has 5 classes for 6 rows"),
        ((diagonal, POINTS, [0.0] * 6), {}, TypeError, "y holds class indices, whole numbers from 0, and 0.0 is none"),
        ((diagonal, POINTS, [*"abcdef"]), {}, TypeError, "y holds class indices, whole numbers from 0, and 'a' is none"),
        ((diagonal, POINTS, [[0]] * 6), {}, ValueError, r"y is one class index for each row, and got shape \(6, 1\)"),
        ((diagonal, POINTS, [0, 0, 0, 0, 2, 0]), {}, tg.LabelError, "label 2 at position 4 is out of range for 2 classes"),
        ((diagonal, POINTS, [0, 0, 0, 0, 0, -1]), {}, tg.LabelError, "label -1 at position 5"),
        ((diagonal, POINTS, CLASSES), {"resolution": 1}, ValueError, "resolution is a whole number of at least 2"),
        ((diagonal, POINTS, CLASSES), {"labels": ["a"]}, ValueError, "1 labels for 2 classes"),
        (
            (diagonal, POINTS, CLASSES),
            {"feature_names": ["a"]},
            ValueError,
            "feature_names is a list with a name for each of 2",
        ),
        ((lambda X: 3.0, POINTS, CLASSES), {}, ValueError, "as many rows of logits, and gave a single number"),
        ((lambda X: [1.0, 2.0], POINTS, CLASSES), {}, ValueError, "for 6 rows .* gave 2 entries"),
        ((lambda X: "no", POINTS, CLASSES), {}, TypeError, "the outputs of the network"),
        ((lambda X: [[nan, 0.0]] * len(X), POINTS, CLASSES), {}, ValueError, "the outputs of the network: .*finite"),
        ((lambda X: [[[1.0, 0.0]]] * len(X), POINTS, CLASSES), {}, ValueError, r"gave shape \(6, 1, 2\)"),
        ((lambda X: tg.sigmoid(X @ [1.0, 1.0]), POINTS, CLASSES), {}, ValueError, "as probabilities do"),
    ],
)
def test_wrong_decision_regions_end_in_a_sentence(arguments, keywords, error, sentence):
    with pytest.raises(error, match=f"^decision_regions: .*{sentence}"):
        plots.decision_regions(*arguments, **keywords)


# --- confusion matrix


def numbers_in(ax):
    n = len(ax.get_yticks())
    flat = [text.get_text() for text in ax.texts]
    return [flat[i : i + n] for i in range(0, n * n, n)]


@heavy
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_cells_count_what_was_taken_for_what(data):
    n = data.draw(st.integers(1, 5))
    pairs = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1, max_size=30))
    true, predicted = zip(*pairs, strict=True)
    ax = plots.confusion_matrix([*true], [*predicted], labels=[f"c{k}" for k in range(n)])
    assert numbers_in(ax) == [[str(pairs.count((i, j))) for j in range(n)] for i in range(n)]
    assert [t.get_text() for t in ax.get_yticklabels()] == [t.get_text() for t in ax.get_xticklabels()]
    right = sum(i == j for i, j in pairs)
    assert ax.get_title().endswith(f"({right} of {len(pairs)} right)")
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true class", "predicted class")
    assert ax.yaxis_inverted() and not ax.xaxis_inverted()


@heavy
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_right_ones_and_mistakes_differ_in_colour_and_deepen_with_their_share(theme, mpl):
    true, predicted = [0] * 10 + [1] * 10, [0] * 9 + [1] + [1] * 6 + [0] * 4
    ax = plots.confusion_matrix(true, predicted, theme=theme)
    cells = np.asarray(ax.images[0].get_array())
    good, bad = (np.array(mpl.colors.to_rgb(c)) for c in classifiers.palette(ax)[:2])

    def distance(cell, colour):
        return np.abs(cell - colour).sum()

    assert distance(cells[0, 0], good) < distance(cells[1, 1], good)  # 90 % and 60 %
    assert distance(cells[1, 0], bad) < distance(cells[0, 1], bad)  # 40 % and 10 %
    assert distance(cells[0, 0], good) < distance(cells[0, 0], bad) and distance(cells[1, 0], bad) < distance(cells[1, 0], good)
    assert unreadable(ax.figure) == []


@heavy
def test_shares_of_the_true_class(mpl):
    true, predicted = [0] * 3 + [1] * 1000, [0, 0, 1] + [1] * 999 + [0]
    ax = plots.confusion_matrix(true, predicted, normalize=True, labels=["a", "b", "never"])
    assert numbers_in(ax) == [["67 %", "33 %", "0 %"], ["<1 %", ">99 %", "0 %"], ["–"] * 3]


@heavy
def test_outputs_instead_of_classes_and_every_kind_of_array(mpl):
    outputs = [[2.0, 1.0, 0.0], [0.0, 0.0, 5.0], [1.0, 1.0, 0.0]]
    expected = [["2", "0", "0"], ["0", "0", "0"], ["0", "0", "1"]]
    for given_outputs in (outputs, np.array(outputs), tg.nd.asarray(outputs), tg.Value(outputs)):
        assert numbers_in(plots.confusion_matrix([0, 2, 0], given_outputs)) == expected
    for kind in (np.array, tg.nd.asarray, tuple):
        assert numbers_in(plots.confusion_matrix(kind([0, 2, 0]), kind([0, 2, 0]))) == expected


@heavy
@pytest.mark.parametrize("n", [2, 10, 20, 40])
def test_numbers_stay_inside_their_cells_or_are_left_out(n, mpl):
    true = [k for k in range(n) for _ in range(37)]
    predicted = [(k + (i % 7 == 0)) % n for i, k in enumerate(true)]
    labels = [f"a rather long name {k}" for k in range(n)] if n <= 10 else None
    ax = plots.confusion_matrix(true, predicted, labels=labels, normalize=n == 10)
    figure = ax.figure
    assert outside(figure) == [] and overlapping(figure) == []
    width, height = (abs(x) for x in ax.transData.transform((1, 1)) - ax.transData.transform((0, 0)))
    for text in ax.texts:
        box = text.get_window_extent()
        assert box.width < width and box.height < height
    assert bool(ax.texts) == (n < 40)


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "sentence"),
    [
        (([0, 1], [0]), {}, ValueError, "y_true has 2 classes for 1 rows"),
        (([], []), {}, ValueError, "y_predicted is empty"),
        (([0, 1], tg.nn.MLP([2, 2])), {}, TypeError, r"of a network take tg.predict\(model, X\)"),
        (([0, 1], [0.0, 1.0]), {}, TypeError, "y_predicted holds class indices"),
        (([0.5, 1.0], [0, 1]), {}, TypeError, "y_true holds class indices"),
        (([0, -1], [0, 1]), {}, ValueError, "y_true holds class indices, whole numbers from 0, and at position 1 there is -1"),
        (([0, 1], [0, 2]), {"labels": ["a", "b"]}, tg.LabelError, "label 2 at position 1 is out of range for 2 classes"),
        (([0, 3], [[1.0, 2.0, 0.0]] * 2), {}, tg.LabelError, "label 3 at position 1 is out of range for 3 classes"),
        (([0, 1], [0, 1]), {"labels": "ab"}, TypeError, "labels is a list with a name for each class"),
        (([0, 1], [0, 1]), {"labels": 3}, TypeError, "labels is a list with a name for each class"),
        (([0, 1], [[0, 1], [1]]), {}, ValueError, "ragged"),
    ],
)
def test_wrong_confusion_matrices_end_in_a_sentence(arguments, keywords, error, sentence):
    with pytest.raises(error, match=f"^confusion_matrix: .*{sentence}"):
        plots.confusion_matrix(*arguments, **keywords)


# --- calibration


def error_by_fractions(rows, y, bins):
    """The definition, with the accuracy and the confidence of each bin, in exact numbers."""
    inside = {}
    for row, target in zip(rows, y, strict=True):
        top = max(row)
        b = next((b for b in range(bins) if Fraction(top) <= Fraction((b + 1) / bins)), bins - 1)
        inside.setdefault(b, []).append((Fraction(top), row.index(top) == target))
    total = Fraction(0)
    for members in inside.values():
        n = len(members)
        accuracy, confidence = Fraction(sum(hit for _, hit in members), n), sum(p for p, _ in members) / n
        total += Fraction(n, len(rows)) * abs(accuracy - confidence)
    return total


@st.composite
def classified(draw):
    classes = draw(st.integers(1, 4))
    n = draw(st.integers(1, 12))
    rows = []
    for _ in range(n):
        weights = draw(st.lists(st.integers(0, 20), min_size=classes, max_size=classes).filter(any))
        rows.append([w / sum(weights) for w in weights])
    return rows, [draw(st.integers(0, classes - 1)) for _ in range(n)], draw(st.integers(1, 25))


@settings(max_examples=40, deadline=None)
@given(classified())
def test_the_error_is_that_of_exact_fractions(case):
    rows, y, bins = case
    assert plots.expected_calibration_error(rows, y, bins=bins) == pytest.approx(
        float(error_by_fractions(rows, y, bins)), abs=1e-15
    )


@pytest.mark.parametrize(
    ("confidence", "right", "of", "error"),
    [(0.75, 3, 4, 0.0), (0.5, 1, 2, 0.0), (1.0, 5, 5, 0.0), (0.8, 4, 5, 0.0), (0.75, 4, 4, 0.25), (1.0, 0, 3, 1.0)],
)
def test_known_errors(confidence, right, of, error):
    rows = [[confidence, 1 - confidence]] * of
    assert plots.expected_calibration_error(rows, [0] * right + [1] * (of - right)) == error


def test_bins_hold_their_right_edge_exactly():
    three_tenths = 0.1 + 0.2  # a little above 0.3
    for p, bin_of_four in ((0.25, 0), (0.5, 1), (0.5 + 2**-53, 2), (1.0, 3)):
        rest = (1 - p) / 4
        found = plots.calibration._binned([[p, rest, rest, rest, rest]], [0], 4, "f")
        assert [b.rows for b in found].index(1) == bin_of_four
    for p, bin_of_ten in ((0.3, 2), (0.7, 6), (0.8, 7), (0.9, 8), (three_tenths, 3)):
        rest = (1 - p) / 4
        found = plots.calibration._binned([[p, rest, rest, rest, rest]], [0], 10, "f")
        assert [b.rows for b in found].index(1) == bin_of_ten


def test_errors_of_different_bins_do_not_cancel_and_those_of_one_bin_do():
    rows, y = [[0.95, 0.05], [0.55, 0.45]], [1, 0]  # too sure, and not sure enough
    assert plots.expected_calibration_error(rows, y) == pytest.approx((0.95 + 0.45) / 2)
    assert plots.expected_calibration_error(rows, y, bins=1) == pytest.approx(abs(1 - 1.5) / 2)


def test_the_first_of_equal_probabilities_is_the_prediction():
    assert plots.expected_calibration_error([[0.5, 0.5]], [0]) == 0.5
    assert plots.expected_calibration_error([[0.5, 0.5], [0.5, 0.5]], [0, 1]) == 0.0


@pytest.mark.parametrize("kind", [tuple, np.array, tg.nd.asarray, tg.Value, lambda x: np.array(x, dtype=np.float32)])
def test_probabilities_of_every_kind(kind):
    y = [0, 0, 1, 1, 1]
    expected = plots.expected_calibration_error(PROBABILITIES, y)
    assert plots.expected_calibration_error(kind(PROBABILITIES), np.array(y)) == pytest.approx(expected, abs=1e-7)


@heavy
def test_bars_are_accuracies_and_gaps_end_at_the_confidence(mpl):
    ax = plots.reliability_diagram(PROBABILITIES, [0, 0, 1, 1, 1], bins=5)
    accuracy, gaps = ax.containers
    # confidences 0.55, 0.65 | 0.8 | 0.9, 0.9 in (0.4, 0.6], (0.6, 0.8], (0.8, 1]
    assert [(b.get_x(), b.get_width(), b.get_height()) for b in accuracy] == [
        pytest.approx((0.4, 0.2, 0.0)),
        pytest.approx((0.6, 0.2, 1.0)),
        pytest.approx((0.8, 0.2, 1.0)),
    ]
    confidences = [0.55, 0.725, 0.9]
    for bar, gap, confidence in zip(accuracy, gaps, confidences, strict=True):
        low, high = sorted((bar.get_height(), confidence))
        assert (gap.get_y(), gap.get_y() + gap.get_height()) == pytest.approx((low, high))
        assert gap.get_hatch() and not bar.get_hatch()
    assert (
        ax.get_title() == f"ECE {100 * plots.expected_calibration_error(PROBABILITIES, [0, 0, 1, 1, 1], bins=5):.3g} % (5 bins)"
    )
    diagonal_line = next(line for line in ax.lines if len(line.get_xdata()) == 2)
    assert [*diagonal_line.get_xdata()] == [*diagonal_line.get_ydata()] == [0, 1] and diagonal_line.get_linestyle() == "--"
    (below,) = ax.child_axes
    assert [b.get_height() for b in below.patches] == pytest.approx([0, 0, 0.2, 0.4, 0.4])
    assert sum(b.get_height() for b in below.patches) == pytest.approx(1.0)
    assert every_axes(ax.figure) == [ax, below]


@heavy
def test_a_diagram_with_all_rows_in_one_bin_is_whole(mpl):
    figure = plots.reliability_diagram([[1.0, 0.0]] * 3, [0, 0, 0]).figure
    assert outside(figure) == [] and overlapping(figure) == [] and unreadable(figure) == []


@pytest.mark.parametrize("function", [plots.expected_calibration_error, plots.reliability_diagram])
@pytest.mark.parametrize(
    ("arguments", "bins", "error", "sentence"),
    [
        (([0.5, 0.5], [0, 1]), 10, ValueError, r"of p alone give \[\[1 - p, p\], ...\]"),
        (([[2.0, 1.0]], [0]), 10, ValueError, "row 0 sums to 3; of logits take tg.softmax first"),
        (([[0.5, 0.5], [1.5, -0.5]], [0, 0]), 10, ValueError, "row 1 has some below 0; of logits"),
        (([[nan, 0.5]], [0]), 10, ValueError, "finite"),
        (([], []), 10, ValueError, "needs"),
        (([[0.5, 0.5]], [2]), 10, tg.LabelError, "label 2 at position 0 is out of range for 2 classes"),
        (([[0.5, 0.5]], [0, 1]), 10, ValueError, "y has 2 classes for 1 rows"),
        (([[0.5, 0.5]], [0.0]), 10, TypeError, "y holds class indices"),
        (([[0.5, 0.5]], [0]), 0, ValueError, "bins is a whole number of at least 1"),
        (([[0.5, 0.5]], [0]), 2.5, ValueError, "bins is a whole number of at least 1"),
    ],
)
def test_wrong_calibrations_end_in_a_sentence(function, arguments, bins, error, sentence):
    with pytest.raises(error, match=f"^{function.__name__}: .*{sentence}"):
        function(*arguments, bins=bins)
