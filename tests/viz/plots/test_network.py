"""The diagram of a network says what the network is: its units, weights and, for one row of inputs, its numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.figures import outside, overlapping, texts_of, unreadable
from tinygrad_sm import nn
from tinygrad_sm.viz.plots import mlp_diagram

pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True)
def mpl():
    import matplotlib

    matplotlib.use("Agg")
    return matplotlib


def lines(ax, kind):
    """The lines of one kind: ends and widths."""
    found = [c for c in ax.collections if c.get_label() == kind]
    assert len(found) <= 1
    return [
        ([tuple(map(float, p)) for p in s], float(w))
        for c in found
        for s, w in zip(c.get_segments(), c.get_linewidths(), strict=True)
    ]


def circles(ax):
    """The units by column, from top to bottom: their circles."""
    found = [p for p in ax.patches if type(p).__name__ == "Circle" and p.radius > 0.1]
    columns = sorted({p.center[0] for p in found})
    return [sorted((p for p in found if p.center[0] == x), key=lambda p: -p.center[1]) for x in columns]


def squares(ax):
    return [
        (p.get_x() + p.get_width() / 2, p.get_y() + p.get_height() / 2) for p in ax.patches if type(p).__name__ == "Rectangle"
    ]


def said(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def text_in(ax, circle):
    found = [t.get_text() for t in ax.texts if t.get_position() == pytest.approx(circle.center)]
    assert len(found) == 1
    return found[0]


def close(a, b):
    return a == pytest.approx(b, abs=1e-9)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("with_x", [False, True])
@pytest.mark.parametrize("sizes", [[2, 3, 2], [4, 8, 3], [64, 32, 10], [3, 1], [4, 3], [1, 1], [2, 2, 2, 2, 2, 2]])
def test_every_text_is_whole_alone_and_readable(sizes, with_x, theme):
    x = [(-3.7) ** i for i in range(sizes[0])] if with_x and sizes[0] < 9 else [1.0] * sizes[0] if with_x else None
    figure = mlp_diagram(nn.MLP(sizes, activation="tanh"), x, theme=theme).figure
    assert len(texts_of(figure)) > sum(min(n, 8) for n in sizes)
    assert outside(figure) == [] and overlapping(figure) == [] and unreadable(figure) == []
    assert figure.get_size_inches().max() <= 13.01


@settings(max_examples=8, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=4),
    max_units=st.integers(2, 9),
    numbers=st.sampled_from([None, False]),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_lines_are_the_weights(sizes, max_units, numbers, bias, seed):
    tg.manual_seed(seed)
    model = nn.MLP(sizes, bias=bias)
    ax = mlp_diagram(model, max_units=max_units, numbers=numbers)
    shown = [n if n <= max_units else max_units for n in sizes]
    columns = circles(ax)
    softmax = sizes[-1] > 1
    assert [len(c) for c in columns] == shown + shown[-1:] * softmax
    where = [[*range(n)] if n <= max_units else [*range(max_units - 1), n - 1] for n in sizes]

    wanted = {}
    for layer, tails, heads, of_tails, of_heads in zip(model.layers, columns, columns[1:], where, where[1:], strict=False):
        weight = layer.weight.tolist()
        for j, head in zip(of_heads, heads, strict=True):
            for i, tail in zip(of_tails, tails, strict=True):
                wanted[tail.center, head.center] = weight[j][i]
            if bias:
                square = next(place for place in squares(ax) if close(place[0], tails[0].center[0]))
                assert square[1] < tails[-1].center[1] - 0.9
                wanted[square, head.center] = layer.bias.tolist()[j]
    found = {}
    for kind, sign in (("weight > 0", 1), ("weight < 0", -1), ("weight 0", 0)):
        for (tail, head), width in lines(ax, kind):
            key = next(k for k in wanted if close(k[0], tail) and close(k[1], head))
            assert key not in found and np.sign(wanted[key]) == sign
            found[key] = width
    assert found.keys() == wanted.keys()
    weights, widths = np.array([(abs(w), found[key]) for key, w in wanted.items()]).T
    if weights.size > 1:
        slope, least = np.polyfit(weights, widths, 1)
        assert slope > 0 and least > 0 and widths == pytest.approx(slope * weights + least)

    every_pair = {(z.center, p.center) for z in columns[-2] for p in columns[-1]} if softmax else set()
    drawn = [ends for ends, _ in lines(ax, "normalisation")]
    assert len(drawn) == len(every_pair) and all(any(close(a, z) and close(b, p) for z, p in every_pair) for a, b in drawn)
    assert outside(ax.figure) == [] and overlapping(ax.figure) == []


def test_signs_are_told_by_dashes_as_well_as_by_colours():
    model = nn.Linear(3, 2, bias=False)
    model.weight.data = tg.nd.asarray([[1.0, -2.0, 0.0], [-1.0, 0.5, 0.0]])
    ax = mlp_diagram(model)
    by_kind = {c.get_label(): c for c in ax.collections}
    assert {*by_kind} == {"weight > 0", "weight < 0", "weight 0", "normalisation"}
    dashes = {label: c.get_linestyle()[0][1] for label, c in by_kind.items()}
    assert dashes["weight > 0"] is None and all(dashes[kind] for kind in by_kind if kind != "weight > 0")
    assert len({tuple(c.get_color()[0]) for c in by_kind.values()}) == 3  # grey twice
    assert [len(lines(ax, kind)) for kind in ("weight > 0", "weight < 0", "weight 0")] == [2, 2, 2]
    assert max(width for _, width in lines(ax, "weight 0")) < 0.5 and outside(ax.figure) == overlapping(ax.figure) == []
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["weight > 0", "weight < 0", "weight 0", "normalisation"]
    styles = {t.get_text(): line for t, line in zip(ax.get_legend().get_texts(), ax.get_legend().get_lines(), strict=True)}
    assert all((styles[kind].is_dashed()) == bool(dashes[kind]) for kind in styles)


@pytest.mark.parametrize("activation", ["relu", "tanh", tg.gelu, nn.Sigmoid(), np.negative])
def test_the_numbers_in_the_circles_are_those_of_the_network(activation):
    tg.manual_seed(1)
    model = nn.MLP([3, 4, 3], activation=activation if activation is not np.negative else lambda x: -x)
    x = [0.5, -1.25, 2.0]
    ax = mlp_diagram(model, x)
    first, second = [(np.array(p.weight.tolist()), np.array(p.bias.tolist())) for p in model.layers]
    by_hand = {
        "relu": lambda v: np.maximum(v, 0),
        "tanh": np.tanh,
        np.negative: np.negative,
    }.get(activation, lambda v: np.array(activation(v.tolist()).tolist()))
    h = by_hand(first[0] @ x + first[1])
    z = second[0] @ h + second[1]
    p = np.exp(z) / np.exp(z).sum()
    for column, values in zip(circles(ax), (x, h, z, p), strict=True):
        shown = [float(text_in(ax, c).replace("−", "-")) for c in column]
        assert shown == pytest.approx(values, abs=5.001e-3)
    widths = [c.get_linewidth() for c in circles(ax)[-1]]
    assert widths.index(max(widths)) == int(np.argmax(p)) and sorted(widths)[-2] < max(widths) / 2
    assert [t for t in said(ax) if t.startswith("class")] == ["class 0", "class 1", "class 2"]


def test_the_darker_the_circle_the_larger_the_number():
    model = nn.Linear(3, 2)
    inputs = circles(mlp_diagram(model, [0.0, 1.0, -2.0]))[0]
    faces = [c.get_facecolor()[:3] for c in inputs]
    assert faces[0] == (1.0, 1.0, 1.0) and sum(faces[2]) < sum(faces[1]) < 3.0
    assert faces[1][2] > faces[1][0] and faces[2][0] > faces[2][2]  # blue, and orange


@pytest.mark.parametrize("x", [[[0.5, 1.0]], (0.5, 1), np.array([0.5, 1.0]), np.array([[0.5, 1.0]]), tg.Value([0.5, 1.0])])
def test_one_row_of_any_kind(x):
    tg.manual_seed(2)
    model = nn.MLP([2, 2])
    model = model.to(np) if isinstance(x, np.ndarray) else model
    ax = mlp_diagram(model, x)
    assert [text_in(ax, c) for c in circles(ax)[0]] == ["0.50", "1.00"]


def test_the_headings_tell_what_each_column_is():
    def headings(model, **settings):
        ax = mlp_diagram(model, **settings)
        top = max(t.get_position()[1] for t in ax.texts)
        return [t.get_text() for t in ax.texts if t.get_position()[1] == top]

    assert headings(nn.MLP([2, 3, 2])) == ["input", "hidden", "logits", "softmax"]
    assert headings(nn.MLP([2, 3, 4, 2])) == ["input", "hidden 1", "hidden 2", "logits", "softmax"]
    assert headings(nn.MLP([2, 1])) == ["input", "output"]
    assert headings(nn.Sequential(nn.Linear(2, 2), nn.LogSoftmax())) == ["input", "logits", "log softmax"]
    assert "relu" in said(mlp_diagram(nn.MLP([2, 3, 2])))
    assert said(mlp_diagram(nn.MLP([20, 3, 2]), max_units=5)).count("20 in all") == 1
    assert "tanh, 9 in all" in said(mlp_diagram(nn.MLP([2, 9, 2], activation="tanh")))


def test_of_many_units_the_first_and_the_last_are_drawn():
    ax = mlp_diagram(nn.MLP([20, 2]), max_units=4)
    assert [text_in(ax, c) for c in circles(ax)[0]] == ["$x_{0}$", "$x_{1}$", "$x_{2}$", "$x_{19}$"]
    dots = [p for p in ax.patches if type(p).__name__ == "Circle" and p.radius < 0.1]
    ys = [c.center[1] for c in circles(ax)[0]]
    assert len(dots) == 3 and all(ys[3] < p.center[1] < ys[2] for p in dots)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(3, 4), tg.tanh, nn.Dropout(0.5), nn.Linear(4, 2), nn.Softmax()),
        nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Linear(4, 2), tg.softmax),
        nn.Sequential(nn.MLP([3, 4, 2], activation="tanh"), nn.Softmax(axis=1)),
        nn.MLP([3, 4, 2], activation="tanh"),
    ],
)
def test_the_same_network_in_other_words(model):
    reference = nn.MLP([3, 4, 2], activation="tanh")
    for p, q in zip(model.parameters(), reference.parameters(), strict=True):
        q.data = p.data
    x = [0.3, -0.8, 1.5]
    assert said(mlp_diagram(model, x)) == said(mlp_diagram(reference, x))


def test_the_log_softmax_is_shown_as_such():
    model = nn.Sequential(nn.Linear(2, 2), nn.LogSoftmax())
    ax = mlp_diagram(model, [1.0, 2.0])
    shown = [float(text_in(ax, c).replace("−", "-")) for c in circles(ax)[-1]]
    assert shown == pytest.approx(model([1.0, 2.0]).tolist(), abs=5.001e-3)


def test_weights_are_written_where_there_is_room():
    def written(ax):
        return sorted(float(t.replace("−", "-")) for t in said(ax) if t[0] in "+−")

    model = nn.MLP([2, 3, 2])
    every = sorted(x for p in model.parameters() for x in np.ravel(p.tolist()))
    assert written(mlp_diagram(model)) == pytest.approx(every, abs=5.001e-3)
    assert written(mlp_diagram(model, numbers=False)) == [] and written(mlp_diagram(nn.MLP([4, 8, 3]))) == []
    assert len(written(mlp_diagram(nn.MLP([4, 8, 3]), numbers=True))) == 4 * 8 + 8 + 8 * 3 + 3
    from matplotlib.figure import Figure

    small = mlp_diagram(model, ax=Figure(figsize=(3, 2)).add_subplot())
    assert written(small) == [] and overlapping(small.figure) == []
    large = mlp_diagram(nn.MLP([4, 8, 3]), numbers=True)
    assert overlapping(large.figure) == [] and outside(large.figure) == []


def test_the_place_of_a_weight_is_on_its_line():
    model = nn.Linear(2, 3)
    model.weight.data = tg.nd.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    model.bias.data = tg.nd.asarray([7.0, 8.0, 9.0])
    ax = mlp_diagram(model)
    tails = [c.center for c in circles(ax)[0]] + squares(ax)
    heads = [c.center for c in circles(ax)[1]]
    for j, head in enumerate(heads):
        for i, tail in enumerate(tails):
            w = (1, 2, 7, 3, 4, 8, 5, 6, 9)[3 * j + i]
            x, y = next(t.get_position() for t in ax.texts if t.get_text() == f"+{w}.00")
            share = (x - tail[0]) / (head[0] - tail[0])
            assert 0 < share < 0.5 and close(y, tail[1] + share * (head[1] - tail[1]))


def test_labels_name_the_classes():
    ax = mlp_diagram(nn.MLP([2, 12]), labels=[f"${k}$" for k in range(12)])
    assert [t for t in said(ax) if t.startswith(r"\$")] == [rf"\${k}\$" for k in (0, 1, 2, 3, 4, 5, 6, 11)]
    assert outside(ax.figure) == []


class Twice(nn.MLP):
    def forward(self, x):
        return super().forward(x) * 2


def infinite():
    model = nn.Linear(2, 2)
    model.weight.data = tg.nd.asarray([[1.0, float("inf")], [1.0, 1.0]])
    return model


@pytest.mark.parametrize(
    ("model", "settings", "kind", "says"),
    [
        (Twice([2, 2]), {}, TypeError, "cannot draw Twice"),
        (nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), {}, TypeError, "cannot draw LayerNorm"),
        (nn.Sequential(nn.Tanh(), nn.Linear(2, 2)), {}, TypeError, "begins with Tanh"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(), nn.Linear(2, 2)), {}, TypeError, "after softmax"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(axis=0)), {}, TypeError, "axis=0.* does not go over the classes"),
        (nn.Sequential(), {}, TypeError, "no Linear layer"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3)), {}, ValueError, "gives 3 outputs, and the next takes 2"),
        ("model", {}, TypeError, "cannot draw 'model'"),
        (nn.MLP, {}, TypeError, "cannot draw .*MLP"),
        (tg.softmax, {}, TypeError, "begins with softmax"),
        (infinite(), {}, ValueError, "weight of layer 0: a picture needs finite numbers"),
        (nn.MLP([2, 2]), {"x": [1.0, 2.0, 3.0]}, ValueError, "x is one row of 2 inputs"),
        (nn.MLP([2, 2]), {"x": [[1.0, 2.0], [3.0, 4.0]]}, ValueError, "x is one row of 2 inputs"),
        (nn.MLP([2, 2]), {"x": [float("nan"), 1.0]}, ValueError, "finite"),
        (nn.MLP([2, 2]), {"x": 3.0}, ValueError, "x is one row of 2 inputs"),
        (nn.MLP([2, 2]), {"max_units": 1}, ValueError, "max_units is a whole number of at least 2, not 1"),
        (nn.MLP([2, 2]), {"max_units": 2.5}, ValueError, "max_units is a whole number"),
        (nn.MLP([2, 2]), {"labels": ["a"]}, ValueError, "1 labels for 2 classes"),
        (nn.Sequential(nn.Linear(2, 2), lambda h: h[0:1]), {"x": [1.0, 2.0]}, ValueError, "makes 1 numbers of 2"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(model, settings, kind, says):
    with pytest.raises(kind, match=rf"^mlp_diagram: .*{says}"):
        mlp_diagram(model, **settings)
