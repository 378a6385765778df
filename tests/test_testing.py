"""What users' tests import: an assertion that shows the table, and strategies that give what they promise."""

import math
import subprocess
import sys

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tinygrad_sm import testing


def test_a_right_gradient_returns_its_report():
    assert testing.assert_gradients(tg.softmax, [1.0, 2.0], order=2, seed=5).seed == 5


def test_a_wrong_gradient_raises_with_the_table():
    with pytest.raises(AssertionError, match="FAIL") as caught:
        testing.assert_gradients(lambda x: x * x, 3.0, gradient=lambda x: x)
    assert caught.value.report.worst.gradient == 3.0


def test_what_nothing_is_known_about_is_no_pass():
    with pytest.raises(testing.GradientError, match="jumps"):
        testing.assert_gradients(lambda x: math.floor(float(x)) * 1.0, 1.0, gradient=lambda x: 0.0)


def test_importing_it_does_not_load_hypothesis():
    code = "import sys, tinygrad_sm.testing; print('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_without_hypothesis_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ModuleNotFoundError, match="pip install hypothesis"):
        testing.logits()


ROWS = {
    "logits": (testing.logits, lambda z: all(abs(x) <= 5e4 for x in z)),
    "margins": (testing.margins, lambda z: len(z) > 1 and sorted(z)[-1] - sorted(z)[-2] >= 4.0),
    "tails": (testing.tails, lambda z: max(z) == 0.0 and all(x == 0.0 or -760.0 <= x <= -100.0 for x in z)),
    "ties": (testing.ties, lambda z: len({*z}) < len(z)),
    "hard": (testing.hard_logits, lambda z: all(map(math.isfinite, z))),
    "probabilities": (testing.probabilities, lambda z: min(z) >= 0.0 and abs(math.fsum(z) - 1.0) < 1e-12),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("n", [None, 4])
def test_rows_are_what_they_promise(name, n):
    strategy, holds = ROWS[name]

    @settings(max_examples=50)
    @given(strategy(n))
    def test(row):
        assert type(row) is list and all(type(x) is float for x in row)
        assert len(row) == n if n else 1 <= len(row) <= 8
        assert holds(row)

    test()


FIRST_FOUND = settings(max_examples=5_000, derandomize=True, database=None, phases=[Phase.generate])

REACHED = {  # each kind of row that a family goes wrong on can be drawn
    "large logits": (testing.logits(), lambda z: max(map(abs, z)) > 1e3),
    "small logits": (testing.logits(), lambda z: 0.0 < max(map(abs, z)) < 1e-5),
    "a margin of 700": (testing.margins(2), lambda z: max(z) > 690.0),
    "subnormal probabilities": (testing.tails(3), lambda z: any(0.0 < p < 2.0**-1022 for p in tg.softmax(z).tolist())),
    "ties of the largest": (testing.ties(), lambda z: z.count(max(z)) > 1),
    "far from 0": (testing.hard_logits(2), lambda z: min(map(abs, z)) > 1e7),
    "one hot": (testing.probabilities(3), lambda t: 1.0 in t),
    "a zero among probabilities": (testing.probabilities(3), lambda t: 0.0 in t and 1.0 not in t),
    "an empty mask": (testing.masked_logits(empty=True), lambda row: not any(row[1])),
    "a partial mask": (testing.masked_logits(), lambda row: any(row[1]) and not all(row[1])),
    "the last label": (testing.labels(4), lambda t: t == 3),
}


@pytest.mark.parametrize("name", REACHED)
def test_what_is_hard_is_drawn(name):
    strategy, predicate = REACHED[name]
    assert predicate(find(strategy, predicate, settings=FIRST_FOUND))


@settings(max_examples=30)
@given(st.data())
def test_batches_masks_and_labels_fit(data):
    rows = data.draw(testing.logit_rows(rows=3))
    assert len(rows) == 3 and len({len(row) for row in rows}) == 1
    targets = data.draw(testing.labels(len(rows[0]), rows=3))
    assert float(tg.cross_entropy(rows, targets)) >= 0.0
    z, mask = data.draw(testing.masked_logits(5))
    assert len(z) == len(mask) == 5 and any(mask)
    assert max(map(abs, data.draw(testing.logits(3, scale=2.0)))) <= 10.0
    assert max(data.draw(testing.margins(3, largest=20.0))) <= 21.0


@settings(max_examples=20, deadline=None)
@given(testing.hard_logits(3))
def test_they_serve_a_users_property(z):
    assert float(sum(tg.softmax(z))) == pytest.approx(1.0, abs=1e-15)
