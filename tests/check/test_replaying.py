"""Functions that close over arrays of floats: their recorded graph is judged on decimals, and a leak does not hide in it."""

import random

import pytest

import tinygrad_sm as tg
from tests.helpers.wrong_rules import BUGS, ESTIMATED, logits, softmax_with
from tinygrad_sm import nd
from tinygrad_sm.check import gradcheck
from tinygrad_sm.nn import MLP
from tinygrad_sm.ops.shapes import astype

W = nd.asarray([[0.3, -1.2], [2.1, 0.7], [-0.4, 1.9]])
X = [1.0, -2.0, 3.0]
ROWS = [[0.5, -1.0, 2.0], [1.0, 0.3, -0.2]]
LARGE = nd.asarray([[random.Random(9 * i + j).gauss(0.0, 1.0) for j in range(3)] for i in range(70)])


def arrays(kind):
    """W, X and a mask as arrays of a library, or as they are."""
    mask = [True, False]
    if kind == "nd":
        return W, nd.asarray(X), nd.asarray(mask)
    import numpy as np

    return np.asarray(W.tolist(), dtype=kind), np.asarray(X, dtype=kind), np.asarray(mask)


def replayed(report):
    return "recorded graph" in report.method and "estimated" not in report.method


@pytest.mark.parametrize("kind", ["nd", "float64", "float32"])
@pytest.mark.parametrize(
    "f",
    [
        lambda x, w, mask: (x @ w).sum(),
        lambda x, w, mask: tg.cross_entropy(tg.tanh(x @ tg.Value(w)), 1),
        lambda x, w, mask: tg.softmax(x @ w, where=mask, temperature=w[0, 0]),
        lambda x, w, mask: tg.concat([x @ w, x * w[:, 0]])[[0, 2, 2]].std(),
        lambda x, w, mask: tg.where(mask, x @ w, w[1]).logsumexp(),
    ],
)
def test_arrays_that_f_closes_over_are_lifted(f, kind):
    w, x, mask = arrays(kind)
    report = gradcheck(lambda x: f(x, w, mask), x, order=2 if kind == "nd" else 1)
    assert report and replayed(report) and report.counts["PASS"] == 3


def test_what_stands_on_decimals_by_itself_is_not_replayed():
    assert not replayed(gradcheck(lambda x: (x * 0.1).sum(), X))


def test_a_model_by_its_inputs_and_by_its_parameters():
    model = MLP([3, 2, 2])
    before = [p.data for p in model.parameters()]
    by_input = gradcheck(lambda x: tg.cross_entropy(model(x), [0, 1]), ROWS)
    by_parameters = gradcheck(lambda *_: tg.cross_entropy(model(nd.asarray(ROWS)), [0, 1]), *model.parameters())
    assert by_input and replayed(by_input)
    assert by_parameters and replayed(by_parameters) and len(by_parameters.elements) == 14
    assert any(float(e.exact) for e in by_parameters.elements if e.input == 0)
    assert all(p.data is data and not p.has_grad for p, data in zip(model.parameters(), before, strict=True))


def test_a_parameter_that_f_uses_directly_is_the_input():
    w = tg.Value(3.0)
    report = gradcheck(lambda _: w * w, w)
    assert report and report.worst.gradient == 6.0
    assert not gradcheck(lambda _: w * w.detach(), w)


@pytest.mark.parametrize("bug", ["times 1 + 1e-8", "times 1 + 1e-14", "one entry doubled", "zero"])
def test_rules_on_the_way_are_judged_on_decimals(bug):
    spoiled = softmax_with(BUGS[bug])
    report = gradcheck(lambda x: spoiled(x @ W), X)
    assert not report and replayed(report) and "also on decimals" in report.worst.note


LEAKS = {
    "a plain number": lambda x: (x @ W).sum() * float(x[0]),
    "detached": lambda x: ((x * x.detach()) @ W).sum(),
    "constant": lambda x: ((x * tg.constant(x)) @ W).sum(),
    "data": lambda x: ((x * x.data) @ W).sum(),
    "a small part": lambda x: (x @ W).sum() + 1e-5 * x[1].detach() ** 2,
    "one output of several": lambda x: (x @ W, tg.sum(x.detach() * W[:, 0])),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_no_constant(leak):
    report = gradcheck(LEAKS[leak], X)
    assert report.counts["FAIL"] and ESTIMATED in report.method
    assert "otherwise than what it recorded" in report.remarks[-2 if "Taylor" in report.remarks[-1] else -1]


def test_a_leak_among_many_coordinates():
    z = logits(70, 1.0)
    assert replayed(gradcheck(lambda x: tg.logsumexp(x @ LARGE), z))
    report = gradcheck(lambda x: tg.logsumexp(x @ LARGE) + 1e-3 * x[3].detach() ** 2, z)
    assert [k for k, verdict in enumerate(report.verdicts[0]) if verdict == "FAIL"] == [3]


def test_where_rounding_could_hide_a_leak_nothing_is_settled():
    report = gradcheck(lambda x: ((1e18 + x @ W) - 1e18).sum(), X)
    assert report.counts["INCONCLUSIVE"] == 3 and ESTIMATED in report.method


def test_a_mask_is_no_constant_at_a_kink():
    weights = nd.asarray([1.0, 2.0])
    assert gradcheck(lambda x: tg.relu(x) * weights, [0.0, 2.0], order=2).verdicts == [["KINK", "PASS"]]
    masked = gradcheck(lambda x: tg.where(x > 0.0, x, 0.0) * weights, [0.0, 2.0])
    assert masked.verdicts == [["KINK", "PASS"]] and ESTIMATED in masked.method
    jump = gradcheck(lambda x: tg.where(x > 0.0, x + 1.0, 0.0) * weights, [0.0, 2.0])
    assert jump.verdicts[0][0] == "INCONCLUSIVE"


def test_a_conversion_between_types_of_floats_is_left_out():
    import numpy as np

    weights = np.asarray([1.0, 2.0, 3.0], dtype="float32")
    x = np.asarray(X, dtype="float32")
    assert replayed(gradcheck(lambda x: astype(x * weights, dtype=np.float64).logsumexp(), x))


def test_noise_that_f_holds_besides_is_frozen():
    noise = tg.Value([0.0, 2.0, 2.0], requires_grad=False)
    assert replayed(gradcheck(lambda x: tg.exp((x * noise) @ W), X))
