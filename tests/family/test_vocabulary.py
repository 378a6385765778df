"""Linear and cross-entropy in one: against the two ops and against the definition on decimals; memory; PyTorch."""

import re
import tracemalloc
from decimal import Decimal
from math import fsum, nan

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.softmax_truth import Row, ulps
from tinygrad_sm import nd


def own(x):
    x = np.asarray(x)
    return nd.reshape(nd.asarray(x.ravel().tolist(), dtype=nd.float64 if x.dtype.kind == "f" else nd.int64), x.shape)


MAKE = {"nd": own, "numpy": np.asarray, "strict": array_api_strict.asarray}


def array(x):
    x = x.data if isinstance(x, tg.Value) else x
    return np.reshape(x.tolist() if hasattr(x, "tolist") else np.asarray(x), np.shape(x) if isinstance(x, float) else x.shape)


def by_hand(g, x, weight, bias, labels, ignored, smoothing, reduction):
    """Loss and gradients from the definition, in numpy, of rows in a matrix."""
    z = x @ weight.T + bias
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    rows, classes = z.shape
    t = np.full(z.shape, smoothing / classes)
    t[range(rows), np.where(ignored, 0, labels)] += 1.0 - smoothing
    losses = np.where(ignored, 0.0, -(t * np.log(p)).sum(axis=1))
    whole = {"none": 1, "sum": 1, "batchmean": max(rows, 1), "mean": max((~ignored).sum(), 1)}[reduction]
    flow = np.where(ignored, 0.0, (g if reduction == "none" else g * np.ones(rows)) / whole)
    slopes = (p - t) * flow[:, None]
    loss = losses if reduction == "none" else losses.sum() / whole
    return loss, slopes @ weight, slopes.T @ x, slopes.sum(axis=0)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    lead = draw(st.sampled_from([(), (1,), (5,), (2, 3), (0,)]))
    width, classes = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    labels = rng.integers(0, classes, size=lead)
    ignore_index = draw(st.sampled_from([None, -1, 0]))
    if ignore_index == -1:
        labels = np.where(rng.random(lead) < 0.4, -1, labels)
    options = {
        "chunk": draw(st.sampled_from([None, 1, 2, 4])),
        "ignore_index": ignore_index,
        "label_smoothing": draw(st.sampled_from([0.0, 0.0, 0.1, 1.0])),
        "reduction": draw(st.sampled_from(["mean", "sum", "none", "batchmean"])),
    }
    x, weight, bias = (2.0 * rng.normal(size=s) for s in ((*lead, width), (classes, width), (classes,)))
    g = rng.normal(size=lead if options["reduction"] == "none" else ())
    return g, x, weight, bias if draw(st.booleans()) else None, labels, options


def run(make, g, x, weight, bias, labels, op=tg.linear_cross_entropy, **options):
    """The loss, and the gradients of x, weight and bias."""
    inputs = [None if a is None else tg.Value(make(a)) for a in (x, weight, bias)]
    labels = make(labels) if np.shape(labels) else int(labels)
    loss = op(*inputs, labels, **options)
    wanted = [v for v in inputs if v is not None]
    return [loss.data, *tg.grad(loss, wanted, grad_output=make(g) if loss.shape else float(g))]


@settings(max_examples=80, deadline=None)
@given(cases(), st.sampled_from([*MAKE]))
def test_the_definition_in_numpy(case, library):
    g, x, weight, bias, labels, options = case
    rows, flat = x.reshape(-1, x.shape[-1]), labels.reshape(-1)
    ignored = flat == options["ignore_index"] if options["ignore_index"] is not None else np.zeros(flat.shape, dtype=bool)
    filled = np.zeros(len(weight)) if bias is None else bias
    flow = g.reshape(-1) if options["reduction"] == "none" else g
    want = by_hand(flow, rows, weight, filled, flat, ignored, options["label_smoothing"], options["reduction"])
    got = run(MAKE[library], g, x, weight, bias, labels, **options)
    shapes = [labels.shape if options["reduction"] == "none" else (), x.shape, weight.shape, weight.shape[:1]]
    for a, b, size in zip(got, want, shapes, strict=False):
        a = array(a)
        assert a.shape == size
        np.testing.assert_allclose(a, np.reshape(b, size), rtol=1e-11, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(cases())
def test_the_composed_form_on_decimals(case):
    g, x, weight, bias, labels, options = case
    make = lambda a: own(a) if np.asarray(a).dtype.kind == "i" else nd.exact(own(a))  # noqa: E731
    for op in (tg.linear_cross_entropy.composed, linear_then_cross_entropy):
        fused, other = (
            run(make, nd.exact(own(g)), x, weight, bias, labels, op=o, **options) for o in (tg.linear_cross_entropy, op)
        )
        for a, b in zip(fused, other, strict=True):
            assert a.shape == b.shape and all(abs(v - w) <= Decimal("1e-40") for v, w in zip(a._flat, b._flat, strict=True))


def linear_then_cross_entropy(x, weight, bias, labels, *, chunk, **options):
    logits = tg.linear(x, weight) if bias is None else tg.linear(x, weight, bias=bias)
    return tg.cross_entropy(logits, labels, **options)


@pytest.mark.parametrize("margin", [10.0, 37.0, 100.0, 700.0])
def test_a_confident_row_keeps_its_digits(margin):
    """Loss and gradient of the target are those of the exact logits, where 1 - p is 0 for a float."""
    weight = [[margin], [0.25], [-0.5]]
    x, w, b = tg.Value([[1.0]]), tg.Value(weight), tg.Value([0.0] * 3)
    loss = tg.linear_cross_entropy(x, w, b, [0])
    loss.backward()
    row = Row([z for (z,) in weight])
    slopes = row.index_gradient(0)
    assert ulps(loss.item(), row.index_loss(0)) <= 4
    assert all(ulps(got, want) <= 4 for got, want in zip(b.grad.tolist(), slopes, strict=True))
    assert [v for (v,) in w.grad.tolist()] == b.grad.tolist()  # times 1
    assert ulps(x.grad.item(), sum(s * z for s, (z,) in zip(slopes, weight, strict=True))) <= 8


@pytest.mark.parametrize("make", [own, np.asarray], ids=["nd", "numpy"])
@pytest.mark.parametrize("op", [tg.linear_cross_entropy, tg.linear_cross_entropy.composed], ids=["fused", "composed"])
def test_an_ignored_row_is_never_read(make, op):
    x = np.array([[1.0, 2.0], [nan, 1e300], [0.5, -1.0]])
    weight, bias = np.array([[1.0, 0.5], [-1.0, 0.25]]), np.array([0.0, 1.0])
    loss, of_x, of_weight, of_bias = run(make, np.array(1.0), x, weight, bias, np.array([0, -7, 1]), op=op, ignore_index=-7)
    kept = run(make, np.array(1.0), x[[0, 2]], weight, bias, np.array([0, 1]), op=op)
    assert array(of_x)[1].tolist() == [0.0, 0.0]
    for a, b in zip((loss, array(of_x)[[0, 2]], of_weight, of_bias), kept, strict=True):
        np.testing.assert_allclose(array(a) if not isinstance(a, np.ndarray) else a, array(b), rtol=1e-13)


def test_nothing_to_take_the_mean_of():
    x, weight = tg.Value([[1.0], [2.0]]), tg.Value([[1.0], [3.0]])
    for options, want in (({}, 0.0), ({"empty": "nan"}, nan)):
        loss = tg.linear_cross_entropy(x, weight, None, [-1, -1], ignore_index=-1, **options)
        assert str(loss.item()) == str(want)
        assert all(not array(g).any() for g in tg.grad(loss, [x, weight]))
    with pytest.raises(ValueError, match="linear_cross_entropy: there is nothing to take the mean of"):
        tg.linear_cross_entropy(x, weight, None, [-1, -1], ignore_index=-1, empty="raise")


@pytest.mark.parametrize(
    "options", [{}, {"chunk": 1, "reduction": "none"}, {"chunk": 2, "label_smoothing": 0.2, "ignore_index": 2}]
)
def test_second_derivatives(options):
    """Hessian-vector products against differences of gradients on decimals."""
    rng = np.random.default_rng(3)
    given_inputs = [nd.exact(rng.normal(size=s).tolist()) for s in ((3, 2), (4, 2), (4,))]
    for i, point in enumerate(given_inputs):
        u = nd.exact(rng.normal(size=point.shape).tolist())

        def f(v, at=i):
            inputs = [v if n == at else y for n, y in enumerate(given_inputs)]
            return (tg.linear_cross_entropy(*inputs, [1, 2, 0], **options) ** 2).sum()

        def slope(t, f=f, u=u, point=point):
            moved = tg.Value(point + t * u)
            return tg.grad(f(moved), moved)

        h = nd.exact(1) / 10**12
        got, want = tg.hvp(f, point, u), (slope(h) - slope(-h)) / (2 * h)
        assert all(abs(a - b) <= Decimal("1e-20") for a, b in zip(got._flat, want._flat, strict=True))


def extra(make, rows, classes, chunk):
    """The peak of memory in a step, beyond the gradients."""
    x, weight, bias = (make(np.ones(s)) for s in ((rows, 2), (classes, 2), (classes,)))
    labels = make(np.arange(rows) % classes)

    def step():
        values = [tg.Value(v) for v in (x, weight, bias)]
        tg.linear_cross_entropy(*values, labels, chunk=chunk).backward()

    step()
    tracemalloc.start()
    step()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize(("make", "rows", "classes"), [(own, 8, 120), (np.asarray, 128, 400)], ids=["nd", "numpy"])
def test_memory_does_not_grow_with_rows_times_classes(make, rows, classes):
    small, middle, large = (extra(make, n * rows, classes, 4) for n in (1, 2, 4))
    whole = extra(make, 4 * rows, classes, 4 * rows)
    per_row = (large - small) / (3 * rows)
    assert per_row < 8 * classes / 4  # bytes: the floats of a row of logits would be 8 * classes
    assert middle < small + 1.5 * (large - small) and whole > 2 * large  # so the measurement sees the logits


def test_by_default_the_logits_of_a_portion_fill_about_two_megabytes():
    classes = 2**15
    x, weight = np.ones((64, 1)), np.zeros((classes, 1))
    tracemalloc.start()
    tg.linear_cross_entropy(tg.Value(x), tg.Value(weight), None, np.zeros(64, dtype=int)).backward()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 64 * classes * 8


def test_types_stay_and_data_without_gradients_is_plain():
    x, weight, bias = (np.ones(s, dtype=np.float32) for s in ((3, 2), (4, 2), (4,)))
    values = [tg.Value(v) for v in (x, weight, bias)]
    loss = tg.linear_cross_entropy(*values, [0, 1, 2])
    loss.backward()
    assert loss.dtype == np.float32 and all(v.grad.dtype == np.float32 for v in values)
    assert float(tg.linear_cross_entropy(x, weight, None, [0, 1, 2])) == pytest.approx(np.log(4), rel=1e-6)
    assert tg.linear_cross_entropy([1], [[1], [2]], None, 0).item() == pytest.approx(
        np.log1p(np.e)
    )  # one row; ints are numbers


def test_the_loss_is_a_sum_rounded_once_on_our_own_arrays():
    rng = np.random.default_rng(0)
    x, weight, labels = rng.normal(size=(7, 2)).tolist(), rng.normal(size=(3, 2)).tolist(), [0, 1, 2, 0, 1, 2, 0]
    losses = tg.linear_cross_entropy(x, weight, None, labels, chunk=2, reduction="none").tolist()
    assert losses == [tg.cross_entropy(tg.linear(row, weight), t).item() for row, t in zip(x, labels, strict=True)]
    assert tg.linear_cross_entropy(x, weight, None, labels, chunk=3, reduction="sum").item() == pytest.approx(
        fsum(losses), rel=4e-16
    )


X, W = [[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda: tg.linear_cross_entropy(X, W, None, [3]), tg.LabelError, "linear_cross_entropy: label 3 at position 0"),
        (lambda: tg.linear_cross_entropy(X, W, None, [-1]), tg.LabelError, "out of range for 3 classes, 0 to 2"),
        (lambda: tg.linear_cross_entropy(X, W, None, [-2], ignore_index=-1), tg.LabelError, "label -2"),
        (lambda: tg.linear_cross_entropy(X, W, None, [1.0]), TypeError, "linear_cross_entropy: targets are class indices"),
        (
            lambda: tg.linear_cross_entropy(X, W, None, [0, 1]),
            ValueError,
            "class indices of shape (2,) for logits of shape (1, 3)",
        ),
        (
            lambda: tg.linear_cross_entropy([[1.0]], W, None, [0]),
            ValueError,
            "inputs of shape (1, 1) and a weight of shape (3, 2)",
        ),
        (lambda: tg.linear_cross_entropy(X, [1.0, 2.0], None, [0]), ValueError, "(..., D) and (V, D) would fit, D at least 1"),
        (lambda: tg.linear_cross_entropy(1.0, W, None, 0), ValueError, "inputs of shape () and a weight"),
        (lambda: tg.linear_cross_entropy(X, W, [1.0], [0]), ValueError, "a bias of shape (1,) for a weight of shape (3, 2)"),
        (lambda: tg.linear_cross_entropy(X, W, 1.0, [0]), ValueError, "a bias of shape () for a weight of shape (3, 2)"),
        (
            lambda: tg.linear_cross_entropy(X, W, None, [0], chunk=0),
            ValueError,
            "linear_cross_entropy: chunk is a whole number of at least 1, not 0",
        ),
        (
            lambda: tg.linear_cross_entropy(X, W, None, [0], reduction="max"),
            ValueError,
            "linear_cross_entropy: reduction is one of",
        ),
        (
            lambda: tg.linear_cross_entropy(X, W, None, [0], label_smoothing=1.5),
            ValueError,
            "linear_cross_entropy: label_smoothing",
        ),
        (lambda: tg.linear_cross_entropy(X, W, None, [0], empty="none"), ValueError, "linear_cross_entropy: empty"),
        (lambda: tg.linear_cross_entropy([[True, False]], W, None, [0]), TypeError, "linear_cross_entropy: got booleans"),
        (
            lambda: tg.linear_cross_entropy(None, W, None, [0]),
            TypeError,
            "linear_cross_entropy: needs a number, a list or an array",
        ),
        (lambda: tg.linear_cross_entropy(X, W, [0]), TypeError, "linear_cross_entropy: needs (x, weight, bias, targets"),
    ],
)
def test_wrong_use_ends_in_a_sentence(use, error, message):
    with pytest.raises(error, match=re.escape(message)):
        use()


@pytest.mark.heavy
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_against_torch(reduction, smoothing):
    import torch

    rng = np.random.default_rng(2)
    x, weight, bias = (rng.normal(size=s) for s in ((6, 3), (5, 3), (5,)))
    labels = np.array([0, -100, 3, 4, -100, 1])
    inputs = [torch.tensor(v, requires_grad=True) for v in (x, weight, bias)]
    logits = torch.nn.functional.linear(*inputs)
    options = {"reduction": reduction, "label_smoothing": smoothing}
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels), **options)
    g = rng.normal(size=tuple(loss.shape))
    loss.backward(torch.tensor(g))
    want = [loss.detach().numpy(), *(v.grad.numpy() for v in inputs)]
    for make in (own, np.asarray, torch.tensor):
        for a, b in zip(run(make, g, x, weight, bias, labels, ignore_index=-100, chunk=4, **options), want, strict=True):
            np.testing.assert_allclose(array(a), b, rtol=1e-11, atol=1e-14)
