"""What is true to the last bit: the order of the logits, a common shift, two classes, one-hot targets, and signs."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg

ROWS = st.lists(st.floats(-800.0, 800.0) | st.floats(-1e300, 1e300) | st.integers(-3, 3).map(float), min_size=1, max_size=12)
LABELS = st.integers(0, 10**6)
OPS = (tg.softmax, tg.log_softmax)


def bits(array):
    """The floats, told apart to the last bit."""
    return [v.hex() for v in array.tolist()]


@settings(deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_permuted_logits_give_the_permuted_result(row, random):
    order = random.sample(range(len(row)), len(row))
    permuted = [row[i] for i in order]
    for op in OPS:
        result = bits(op(row))
        assert bits(op(permuted)) == [result[i] for i in order]
    assert float(tg.logsumexp(permuted)) == float(tg.logsumexp(row))


@settings(deadline=None)
@given(ROWS, st.randoms(use_true_random=False), LABELS)
def test_permuted_classes_give_the_same_loss(row, random, label):
    order = random.sample(range(len(row)), len(row))
    place = label % len(row)
    moved = tg.cross_entropy([row[i] for i in order], order.index(place))
    assert float(moved) == float(tg.cross_entropy(row, place))


@settings(deadline=None)
@given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=8), st.integers(-(2**50), 2**50), LABELS)
def test_an_exact_shift_changes_nothing(numbers, shift, label):
    scale = 2.0**-10
    row, moved = [n * scale for n in numbers], [(n + shift) * scale for n in numbers]
    for op in OPS:
        assert bits(op(row)) == bits(op(moved))
    label %= len(row)
    assert float(tg.cross_entropy(row, label)) == float(tg.cross_entropy(moved, label))


@settings(deadline=None, max_examples=500)
@given(st.floats(allow_nan=False) | st.floats(-800.0, 800.0) | st.floats(-1.0, 1.0))
def test_two_classes_are_the_sigmoid(z):
    yes, no = tg.softmax([z, 0.0]).tolist()
    assert (yes, no) == (tg.sigmoid(z), tg.sigmoid(-z))
    assert tg.log_softmax([z, 0.0]).tolist() == [tg.log_sigmoid(z), tg.log_sigmoid(-z)]
    assert float(tg.logsumexp([z, 0.0])) == tg.softplus(z)
    assert float(tg.cross_entropy([z, 0.0], 0)) == tg.binary_cross_entropy(z, 1.0) == tg.softplus(-z)


@settings(deadline=None)
@given(ROWS)
def test_probabilities_sum_to_one(row):
    p = tg.softmax(row).tolist()
    assert abs(math.fsum(p) - 1.0) <= math.ulp(1.0)
    assert all(0.0 <= v <= 1.0 for v in p)
    assert all(v > 0.0 for v, z in zip(p, row, strict=True) if z > max(row) - 740.0), "0 only below the smallest float"


@settings(deadline=None)
@given(ROWS, LABELS)
def test_losses_are_never_negative(row, label):
    label %= len(row)
    loss = float(tg.cross_entropy(row, label))
    others = [math.exp(z - row[label]) if z - row[label] < 700.0 else math.inf for i, z in enumerate(row) if i != label]
    assert (loss > 0.0) == (sum(others) > 0.0), "0 only where the true loss is smaller than every float"
    assert float(tg.cross_entropy(row, tg.softmax(row))) >= 0.0
    assert all(v <= 0.0 for v in tg.log_softmax(row).tolist())
    assert all(tg.binary_cross_entropy(z, t) >= 0.0 for z in row for t in (0.0, 0.3, 1.0))


@settings(deadline=None)
@given(ROWS, LABELS)
def test_one_hot_probabilities_are_the_label(row, label):
    label %= len(row)
    z = tg.Value(row)
    by_index = tg.cross_entropy(z, label)
    by_probability = tg.cross_entropy(z, [float(i == label) for i in range(len(row))])
    assert by_probability.item() == by_index.item()
    assert tg.grad(by_probability, z).tolist() == tg.grad(by_index, z).tolist()


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-50.0, 50.0), min_size=3, max_size=3), min_size=2, max_size=5))
def test_every_axis_reads_the_same_rows(rows):
    columns = [*map(list, zip(*rows, strict=True))]
    for op in (*OPS, tg.logsumexp):
        assert op(rows, axis=0).tolist() == (op(columns).tolist() if op is tg.logsumexp else op(columns).T.tolist())
        assert [op(row).tolist() for row in rows] == op(rows).tolist()
        flat = [z for row in rows for z in row]
        everything = op(rows, axis=None)
        assert everything.tolist() == op(rows, axis=(1, 0)).tolist()
        assert tg.flatten(everything).tolist() == (tg.flatten(op(flat)).tolist())
