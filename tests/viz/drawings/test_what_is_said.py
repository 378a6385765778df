"""That a picture and its text say whose numbers they show: ranges, signs, frames, rows of equal blocks, and two sides."""

import re
import subprocess
from decimal import Decimal
from xml.etree import ElementTree

import pytest

import tinygrad_sm as tg
from tests.helpers.drawings import NODE, read
from tinygrad_sm import nd
from tinygrad_sm.viz import draw
from tinygrad_sm.viz.drawings.digraphs import MANY
from tinygrad_sm.viz.drawings.labels import span
from tinygrad_sm.viz.drawings.themes import DARK, LIGHT


def label_of(drawing, node: str) -> ElementTree.Element:
    return next(ElementTree.fromstring(found[1]) for found in NODE.findall(drawing.source) if found[0] == node)


def row_of(drawing, node: str) -> dict[str, str]:
    """The cells of a line of the text by their headings."""
    heading, *lines = drawing.text().splitlines()
    (line,) = (line for line in lines if line.split("  ")[0] == node)
    words = re.split(r"\s{2,}", heading)
    starts = [heading.index(word) for word in words]
    return {"line": line, **{word: line[start:] for word, start in zip(words, starts, strict=True)}}


# --- local derivatives and contributions of arrays that are not shown whole


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x: x.sum(), ["∂ all 1\nall 3"]),
        (lambda x: x.max(), ["∂ 0 … 1\n0 … 3"]),
        (lambda x: -x.mean(), ["∂ all 0.025\nall -0.075"]),
    ],
)
def test_the_local_derivatives_of_a_long_vector_are_a_range(make, said):
    x = tg.Value([*map(float, range(40))])
    assert read(draw(make(x), locals=True, grad_output=3.0))[0]["n1"].ports == said


def test_a_jacobian_that_is_not_shown_whole_has_its_shape_and_its_range():
    x = tg.Value([[1.0, 2.0, 3.0]] * 6)
    (said,) = read(draw(x.sum(axis=0), locals=True, grad_output=1.0))[0]["n1"].ports
    assert said.startswith("∂ (3, 18) array, 0 … 1\n+ all 1")


def test_a_map_without_numbers_has_its_scale_above_it():
    x = tg.Value([[float(i - j) for j in range(7)] for i in range(2)])
    (operand, _) = read(draw((x * tg.Value(nd.full((2, 7), 0.5))).sum(), locals=True, view="both"))[0]["n2"].ports
    assert operand == "0\n∂ all 0.5\n+ all 0.5"
    told = read(draw((x * x).sum(), locals=True))[0]["n1"].ports[0]
    assert told == "0\n∂ -6 … 1\n+ -6 … 1"


@pytest.mark.parametrize("numbers", [[1, 3], [1] * 30, [[1, 2]] * 8])
def test_decimals_have_local_derivatives(numbers):
    exact = [[Decimal(x) for x in row] if isinstance(row, list) else Decimal(row) for row in numbers]
    y = tg.Value(nd.asarray(exact)).sum()
    (said,) = read(draw(y, locals=True))[0]["n1"].ports
    assert said.startswith("∂") and "1" in said


def test_zero_has_no_sign_and_equal_ends_are_one():
    x, zero = tg.Value(0.0), tg.Value(-0.0)
    assert read(draw(x * zero, locals=True))[0]["n2"].ports == ["0\n∂ 0\n0", "1\n∂ 0\n0"]
    assert (span(-0.0, 0.0), span(1.0, 1.00001), span(1.0, 1.00001, 8)) == ("all 0", "all 1", "1 … 1.00001")


# --- frames


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("sizes", [(1, 7), (3, 7), (7, 3), (2, 3, 5), (9,)])
def test_a_map_is_framed_matrix_by_matrix(sizes, theme):
    name = "light" if theme is LIGHT else "dark"
    drawing = draw(tg.Value(nd.zeros(sizes), requires_grad=False), theme=name)
    table = label_of(drawing, "n0").find(".//TABLE//TABLE")
    rows = [row for row in table if len(row) == sizes[-1]]
    height = sizes[-2] if len(sizes) > 1 else 1
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            ends = {"T": i % height == 0, "B": i % height == height - 1, "L": j == 0, "R": j == sizes[-1] - 1}
            assert {*entry.get("SIDES", "")} == {side for side, is_end in ends.items() if is_end}
            assert (entry.get("COLOR") == theme["group_line"]) == any(ends.values()) == (entry.get("BORDER") == "1")
    told = label_of(draw(tg.Value([0.0, 0.0]), theme=name), "n0").find(".//TABLE//TABLE")
    assert (told.get("BORDER"), told.get("COLOR")) == ("1", theme["group_line"])


def test_the_frame_of_a_map_keeps_away_from_round_corners():
    x, w = tg.Value([0.0, 1.0]), tg.Value([0.0, 1.0], name="weight")
    drawing = draw(x * w)
    pads = [
        [cell.get("CELLPADDING") for cell in label_of(drawing, n).iter("TD") if cell.find("TABLE/TR/TD[@BGCOLOR]") is not None]
        for n in ("n0", "n1")
    ]
    assert pads == [["5"], [None]]


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("columns", [2, 7])
def test_a_gradient_arrives_where_it_crosses_nothing(direction, columns):
    x = tg.Value(nd.ones((3, columns)))
    drawing = draw((x * x).sum(), direction=direction, view="both")
    body = label_of(drawing, "n0").find(".//TABLE")
    arrives = [any("PORT" in cell.attrib for cell in row) for row in body.findall("TR")]
    assert arrives.count(True) == 1
    assert arrives[-1] == (direction == "TB" or columns == 2)


# --- rows of equal blocks


def repeated():
    h = tg.Value(0.5, name="x")
    for _ in range(12):
        h = tg.tanh(h * 1.1)
    return h


def test_the_text_says_whose_numbers_a_row_of_blocks_shows():
    drawing = draw(repeated(), repeats=True)
    frame = next(group.times for group in drawing.scene.groups)
    assert row_of(drawing, "n1")["in"] == f"x{frame}, numbers of the first"
    assert row_of(drawing, "n2")["in"] == f"x{frame}, numbers of the first"
    assert row_of(drawing, "n23")["operands"].startswith("the last n2, 1.1")
    assert row_of(drawing, "n24")["operands"].startswith("n23 ")
    assert "numbers of the first" not in draw(repeated(), repeats=False).text()


def test_an_operand_from_the_middle_of_a_row_says_which_it_is():
    h, all_of_them = tg.Value(0.5, name="x"), []
    for _ in range(6):
        h = tg.tanh(h * 1.1)
        all_of_them.append(h)
    drawing = draw(tg.exp(h) + all_of_them[2], repeats=True)
    assert {*re.findall(r"the last n2|n2 no\. \d", drawing.text())} == {"the last n2", "n2 no. 3"}


def blocks():
    class Block(tg.nn.Module):
        def __init__(self):
            self.dense = tg.nn.Linear(3, 3)

        def forward(self, x):
            return x + self.dense(x).tanh()

    model = tg.nn.Sequential(*[Block() for _ in range(3)])
    return model, model(tg.Value([1.0, 2.0, 3.0], name="x")).sum()


def test_a_box_of_equal_modules_says_whose_numbers_it_shows():
    model, y = blocks()
    drawing = draw(y, names=model, collapse="Block")
    (box,) = (node for node in read(drawing)[0].values() if "Block()" in node.title)
    assert box.title == "0  Block()  x3, numbers of the first\n3 ops, 12 parameters each"
    assert row_of(drawing, "0")["in"] == "x3 in Sequential(), numbers of the first"
    (total,) = (line for line in drawing.text().splitlines() if "output" in line or " sum " in line)
    assert "the last 0" in total
    unrolled = read(draw(y, names=model, collapse="Block", repeats=False))[0].values()
    assert all("each" not in node.title and "numbers" not in node.title for node in unrolled)


def test_modules_within_equal_modules_are_in_the_text():
    model, y = blocks()
    drawing = draw(y, names=model, repeats=True)
    assert row_of(drawing, "0.dense.weight")["in"] == "0.dense in 0 x3, numbers of the first"


def test_what_is_older_says_nothing_of_plain_numbers():
    y = tg.Value(0.1)
    for i in range(20):
        y = (tg.sin, tg.exp, tg.cos, tg.tanh)[i * i % 7 % 4](y)
    (older,) = (node for node in read(draw(y, max_nodes=5, repeats=False))[0].values() if "older" in node.title)
    assert "shape" not in older.facts
    (older,) = (
        node
        for node in read(draw(tg.stack([y, y]).exp().sin(), max_nodes=2, repeats=False))[0].values()
        if "older" in node.title
    )
    assert older.facts["shape"] == ["(2,)"]


# --- rebound leaves, and two sides


def test_the_text_has_all_numbers_of_a_leaf_that_was_rebound():
    w = tg.Value(2.0, name="w")
    y = w * w
    w.data = 5.0
    z = y * w
    assert row_of(draw(z), "w")["value"].startswith("2, then 5 ") or draw(z).text().splitlines()[1].endswith("2, then 5")
    w.data = 7.0
    assert "2, then 5, now 7" in draw(z).text() and "2, then" not in draw(z, values=False).text()


def test_the_numbers_of_a_line_of_text_are_whole_and_lists_of_operands_are_not():
    x = tg.Value([[1.0 / 3.0, 2.0 / 3.0, 1.0 / 7.0], [1.0 / 9.0, 1.0 / 11.0, 1.0 / 13.0]], name="x")
    leaves = [tg.Value(float(i), name=f"leaf number {i}") for i in range(30)]
    lines = draw(x.sum() + tg.stack(leaves).sum(), precision=9).text().splitlines()
    assert any("[[0.333333333, 0.666666667, 0.142857143], [0.111111111, 0.0909090909, 0.0769230769]]" in line for line in lines)
    (stack,) = (line for line in lines if " stack " in line)
    assert "…" in stack and "leaf number 9" not in stack
    assert "all 1" in draw(tg.Value(nd.ones((3, 3)))).text()


def wrong():
    @tg.fused
    def diagonal(xp, z):
        powers = xp.exp(z - tg.constant(xp.max(z)))
        return powers / xp.sum(powers)

    @diagonal.backward
    def _(xp, g, p, z):
        return g * p * (1 - p)

    z = tg.Value([2.0, 1.0, 0.5], name="z")
    return z, diagonal(z)


@pytest.mark.parametrize("options", [{}, {"repeats": True}])
def test_two_sides_that_differ_show_the_gradients_of_both(options):
    z, p = wrong()
    drawing = draw(p, beside=True, view="both", grad_output=[1.0, 0.0, 0.0], **options)
    facts = read(drawing)[0]["n0"].facts
    right = tg.grad(tg.softmax(z), z, grad_output=[1.0, 0.0, 0.0]).tolist()
    assert facts["grad fused"] == ["0.2335 0 0"]
    assert facts["grad composed"] == [" ".join(f"{x:.4g}" for x in right)] and "grad" not in facts
    assert row_of(drawing, "z")["line"].endswith("fused [0.2335, 0, 0], composed [0.2335, -0.1453, -0.08815]")
    assert drawing.source.count('PORT="grad"') == len(
        [n for n in read(drawing)[0].values() if {"grad", "grad fused"} & {*n.facts}]
    )


def test_two_sides_that_agree_but_for_rounding_show_one_gradient():
    z = tg.Value([2.0, 1.0, 0.5], name="z")
    for grad_output in ([1.0, 0.0, 0.0], [0.3, -0.7, 11.0]):
        facts = read(draw(tg.softmax(z), beside=True, view="both", grad_output=grad_output))[0]["n0"].facts
        assert [name for name in facts if "grad" in name] == ["grad"]


def test_a_node_of_one_side_has_the_gradient_of_its_side_and_a_shared_one_that_of_both():
    x, twin = tg.Value(3.0, name="x"), tg.Value(3.0, name="x")
    y = x + twin
    facts = read(draw(y, beside=twin * 5.0 + 1.0, view="both", locals=True))[0]
    assert [node.ports[0] for node in facts.values() if node.title.startswith("multiply")] == ["0\n∂ 5\n+5"]
    assert any("grad" in name for name in facts["n0"].facts)
    first = tg.Value(2.0, name="a")
    inner = first * 2.0
    drawn = read(draw(inner * 3.0, beside=inner * 3.0 * (1.0 + 1e-9), view="both"))[0]
    assert drawn["n0"].facts["grad"] == ["6"]


def test_the_gradients_of_one_sweep_are_those_of_the_first_side_where_both_agree_but_for_rounding():
    x = tg.Value(1.0, name="x")
    drawing = draw(x * 3.0, beside=x * 3.0000000003, view="both", precision=12)
    assert read(drawing)[0]["n0"].facts["grad"] == ["3"]


@pytest.mark.parametrize("far", [float("inf"), float("nan"), 1.001])
def test_gradients_that_no_rounding_explains_are_both_shown(far):
    x = tg.Value([1.0, 1.0], name="x")
    facts = read(draw((x * nd.asarray([1.0, 3.0])).sum(), beside=(x * nd.asarray([far, 3.0])).sum() + 0.0, view="both"))[0][
        "n0"
    ].facts
    assert [name for name in facts if "grad" in name] == ["grad sum", "grad add"]


# --- the time that dot takes


def hub(n: int) -> tg.Value:
    x = tg.Value(1.0, name="x")
    h = tg.sin(x)
    for i in range(n):
        h = h * x if i % 3 else h + x
    return h


def test_the_steps_of_dot_are_limited_where_one_node_has_many_edges():
    few, many = (draw(hub(n), repeats=False).source for n in (MANY - 1, MANY))
    assert "nslimit" not in few and "nslimit=0.3 nslimit1=0.3" in many
    leaves = tg.stack([tg.Value(float(i)) for i in range(100)]).sum()
    assert "nslimit" not in draw(leaves).source  # edges of many nodes are no trouble
    assert len(read(draw(hub(MANY), repeats=False))[0]) == MANY + 2


@pytest.mark.heavy
@pytest.mark.parametrize("engine", ["dot", "graphviz-pure"])
def test_a_large_graph_with_one_leaf_everywhere_is_drawn(engine):
    assert draw(hub(290), repeats=False, engine=engine).svg().endswith("</svg>\n")


@pytest.mark.heavy
@pytest.mark.parametrize("engine", ["dot", "graphviz-pure"])
def test_no_engine_complains_of_the_frames(engine):
    from tinygrad_sm.viz.engines import command, find_engine

    x = tg.Value([[float(i - j) for j in range(7)] for i in range(3)])
    source = draw((x * x).sum(), locals=True, view="both").source
    done = subprocess.run([*command(find_engine(engine), "svg")], input=source.encode(), capture_output=True, check=True)
    assert b"size too small" not in done.stderr
