"""The accuracy table: within its limits, beside the recorded figures, and red when an op loses digits."""

import json
import math
import random
from decimal import Decimal

import pytest

from tinygrad_sm import family, nd
from tinygrad_sm.check import measuring, recorded
from tinygrad_sm.check.measuring import Accuracy, Figure, accuracy_table


@pytest.fixture(scope="module")
def few():
    """The table of a few kinds of inputs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            measuring, "FAMILIES", {name: measuring.FAMILIES[name] for name in ("margin 10", "log p", "largest floats")}
        )
        patch.setattr(measuring, "LONG", set())
        patch.setattr(measuring, "SINGLE", 9)
        patch.setattr(measuring, "PAIRS", 4)
        steps = []
        return accuracy_table(lambda *step: steps.append(step)), steps


def test_every_figure_is_within_its_limit(few):
    table, _ = few
    assert table.ok and bool(table) and {x.quantity for x in table.figures} == {*measuring.LIMITS}
    assert all(0 <= x.error <= x.limit == measuring.LIMITS[x.quantity] for x in table.figures)


def test_it_shows_every_figure_beside_the_recorded_ones(few):
    table, _ = few
    found = {(x.quantity, x.inputs): x for x in table.figures}
    assert found["cross_entropy", "margin 10"][4:] == (2.8e4, 2.8e4, 1.3e5)
    assert found["softplus", "[19, 40]"].torch == 5.8e5 and found["BCE, target 0", "[-745, -30]"].scipy is None
    assert found["kl_div", "1e-8"].torch == 2.5e3 and found["soft cross_entropy", "margin 10"].jax is None
    text = str(table)
    for part in ("log p", "2.8e+04", "largest of all", recorded.VERSIONS, "seed 0"):
        assert part in text
    assert len(table.table().splitlines()) == len(table.figures) + 2
    assert len(table.summary().splitlines()) == len(measuring.LIMITS) + 2


def test_progress_counts_to_the_end(few):
    _, steps = few
    total = steps[0][1]
    assert [done for done, *_ in steps] == [*range(total + 1)] and {n for _, n, _ in steps} == {total}
    assert "margin 10" in {what for *_, what in steps}


def test_a_program_can_read_it(few):
    table, _ = few
    read = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert read["ok"] is True and len(read["figures"]) == len(table.figures) and read["figures"][0]["quantity"] == "softmax"
    broken = Accuracy([Figure("softmax", "x", math.inf, 4.0, None, None, None)], 0)
    assert not broken and json.loads(json.dumps(broken.to_dict(), allow_nan=False))["figures"][0]["error"] == "inf"
    assert "TOO LARGE" in broken.table()


def textbook(logits):
    """Softmax as everybody writes it: the rounding of z - max is 500 units at a margin of 700."""
    e = [[math.exp(z - max(row)) for z in row] for row in logits.tolist()]
    return nd.asarray([[x / sum(row) for x in row] for row in e])


@pytest.mark.parametrize(
    ("name", "kernel", "least"),
    [
        ("softmax", lambda z, *_, **__: textbook(z), 20),
        ("logsumexp", lambda z, *_, **__: nd.max(z, axis=-1) * (1.0 + 1e-15), 3),
    ],
)
def test_an_op_that_loses_digits_is_seen(monkeypatch, name, kernel, least):
    monkeypatch.setitem(getattr(family, name).kernels, nd.Array, kernel)
    found = measuring._of_logits("margin 100", 1, random.Random(0))
    assert max(error for quantity, error in found if quantity == name) > least


@pytest.fixture
def only_logits(monkeypatch):
    """A table of two kinds of logits and nothing else; gets a stand-in for what measures these."""
    for name, kinds in {"FAMILIES": {"scale 1": None, "scale 30": None}, "CONFIDENT": {}, "DELTAS": ()}.items():
        monkeypatch.setattr(measuring, name, kinds)
    monkeypatch.setattr(recorded, "INTERVALS", ())
    return lambda measured: monkeypatch.setattr(measuring, "_of_logits", measured)


def test_the_largest_error_counts(only_logits):
    """Of all rows, and in the summary of all kinds of inputs."""
    errors = {"scale 1": [1.0, 2.0, 0.5], "scale 30": [9.0, 0.0]}
    only_logits(lambda name, *_: (("softmax", error) for error in errors[name]))
    found = accuracy_table()
    assert {x.inputs: x.error for x in found.figures} == {"scale 1": 2.0, "scale 30": 9.0}
    assert not found and found.largest == {"softmax": 9.0}
    assert found.summary().splitlines()[-1].split() == ["softmax", "9.0", "scale", "30", "4", "130", "130", "130"]


def test_the_seed_draws_the_inputs_and_the_thorough_table_ten_times_as_many(only_logits):
    asked = []
    only_logits(lambda name, times, rng: asked.append((times, rng.random())) or [("softmax", 0.0)])
    for keywords in ({}, {"seed": 0}, {"seed": 1}, {"thorough": True}):
        accuracy_table(**keywords)
    first, again, other, thorough = (asked[i : i + 2] for i in range(0, 8, 2))
    assert first == again and {draw for _, draw in first}.isdisjoint(draw for _, draw in other)
    assert [times for times, _ in (*first, *thorough)] == [1, 1, 10, 10] and len({*first}) == 2


def test_a_divergence_below_zero_is_no_small_error(monkeypatch):
    monkeypatch.setattr(measuring, "relative_error", lambda got, exact: 0.0)
    monkeypatch.setitem(family.kl_div.kernels, nd.Array, lambda a, b, **_: -nd.ones(len(a)))
    assert dict(measuring._divergence(1e-8, 2, random.Random(0))) == {"kl_div": math.inf}


def test_relative_errors_are_exact():
    assert measuring.relative_error(0.1, Decimal("0.1")) == pytest.approx(5.55e-17, rel=1e-2)
    assert measuring.relative_error(3.0, Decimal(2)) == 0.5


@pytest.mark.parametrize("name", measuring.FAMILIES)
def test_the_rows_are_what_they_say(name):
    for rows in measuring._rows(name, random.Random(0), 1):
        assert {len(row) for row in rows} == {len(rows[0])} and all(type(x) is float for row in rows for x in row)
        spread = max(max(row) - min(row) for row in rows)
        if name.startswith("margin") and len(rows[0]) > 1:
            assert spread == pytest.approx(float(name.split()[1]), abs=3)
        if name.startswith("tail") and len(rows[0]) > 1:
            assert 700 <= spread <= 1000


def test_recorded_figures_are_there_for_inputs_that_are_measured():
    intervals = {f"[{a:g}, {b:g}]" for a, b in recorded.INTERVALS}
    found = 0
    for quantity in measuring.LIMITS:
        for inputs in (*measuring.FAMILIES, *intervals, *measuring.DELTAS):
            found += recorded.figures(quantity, inputs) != recorded.NONE
    assert found == 17 * 5 + 6 * 6 + 5


@pytest.mark.heavy
def test_the_whole_table():
    table = accuracy_table(seed=1)
    assert table, table.table()
    assert {x.inputs for x in table.figures} >= {*measuring.FAMILIES, *measuring.DELTAS}


@pytest.mark.heavy
def test_ten_times_as_many_of_some_inputs(monkeypatch):
    some = ("scale 30", "margin 40")
    monkeypatch.setattr(measuring, "FAMILIES", {name: measuring.FAMILIES[name] for name in some})
    monkeypatch.setattr(measuring, "LONG", set())
    monkeypatch.setattr(measuring, "DELTAS", ("1e-8",))
    monkeypatch.setattr(recorded, "INTERVALS", recorded.INTERVALS[:2])
    table = accuracy_table(thorough=True, seed=2)
    assert table, table.table()
