"""DIFFERENCES.md: what is said to be answered here is answered, and elsewhere too."""

import doctest
import re
from math import inf, nan
from pathlib import Path

import pytest

import tinygrad_sm as tg

PAGE = Path(tg.__file__).parent.parent / "DIFFERENCES.md"
TEXT = PAGE.read_text()


def rows():
    """case, call, here, elsewhere, why of each row of each table."""
    lines = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| case ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


ROWS = rows()
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])


@pytest.fixture(scope="module")
def names():
    """What the example at the top of the page defines."""
    example = doctest.DocTestParser().get_doctest(TEXT, {}, PAGE.name, str(PAGE), 0)
    runner = doctest.DocTestRunner()
    assert runner.run(example, clear_globs=False).failed == 0
    return example.globs


def answer(call):
    """What a call gives, on one line, or the type of its error."""
    try:
        given = call()
    except Exception as error:
        return type(error).__name__
    return re.sub(r"\s+", " ", repr(given))


def test_the_page_is_read_whole():
    assert len(ROWS) >= 48 and all(len(row) == 5 and all(row) for row in ROWS)
    assert len({row[0] for row in ROWS}) == len({row[1] for row in ROWS}) == len(ROWS)


@every_row
def test_here(names, row):
    """To 12 digits, since exp and log are those of the C library."""
    _, call, here, _, _ = row
    got = answer(lambda: eval(call.strip("`"), names))
    number = r"-?\d+\.?\d*(?:e[-+]\d+)?"
    assert re.sub(number, "#", got) == re.sub(number, "#", here.strip("`"))
    pairs = zip(re.findall(number, got), re.findall(number, here), strict=True)
    assert all(float(a) == pytest.approx(float(b), rel=1e-12, abs=1e-300) for a, b in pairs)


# --- the same calls elsewhere

ELSEWHERE = re.compile(r"(torch|scipy|entmax) `([^`]+)`")  # these are installed for the heavy tests; jax, optax, keras are not
RUN = [(row[0], library, said) for row in ROWS for library, said in ELSEWHERE.findall(row[3])]


@pytest.fixture(scope="module")
def calls():
    """What the other libraries are asked, by case and library."""
    import entmax
    import numpy as np
    import torch
    from scipy import special

    F = torch.nn.functional
    matmul, near = F.scaled_dot_product_attention, [1.0, 2.0, 3.000000001]
    ROW = np.asarray([k * k * 0.37 % 5 for k in range(37)])

    def t(numbers):
        return torch.tensor(numbers, dtype=torch.float64)

    def i(*numbers):
        return torch.tensor(numbers)

    def slope(f, numbers):
        z = t(numbers).requires_grad_()
        f(z).backward()
        return z.grad

    def ce(z, targets, **options):
        return F.cross_entropy(t(z), targets, **options)

    def bce(z, targets):
        return F.binary_cross_entropy_with_logits(t([z]), t([targets]))

    none = torch.zeros(1, 2, dtype=torch.bool)
    qkv = t([[1.0]]), t([[1.0], [1.0]]), t([[1.0], [3.0]])
    return {
        ("ints", "torch"): lambda: i(0, 1).softmax(-1),
        ("bools", "torch"): lambda: torch.tensor([True, False]).logsumexp(-1),
        ("bools", "scipy"): lambda: special.logsumexp(np.asarray([True, False])),
        ("a single number", "torch"): lambda: t(3.0).softmax(-1),
        ("the axis when none is given", "scipy"): lambda: special.softmax(np.ones((2, 2)))[0, 0],
        ("several axes", "torch"): lambda: F.softmax(t([[1.0, 1.0]]), (0, 1)),
        ("an empty row", "scipy"): lambda: special.softmax(np.asarray([])),
        ("one infinite logit", "torch"): lambda: t([inf, 0.0]).softmax(-1)[0],
        ("one infinite logit", "scipy"): lambda: special.softmax([inf, 0.0])[0],
        ("gradient of logsumexp where all is -inf", "torch"): lambda: slope(lambda z: z.logsumexp(-1), [-inf, -inf])[0],
        ("nothing left by the mask", "torch"): lambda: t([1.0, 2.0]).masked_fill(none[0] == 0, -inf).softmax(-1)[0],
        ("nan under the mask", "torch"): lambda: (t([0.0, nan]) + t([0.0, -inf])).softmax(-1)[0],
        ("attention that may look nowhere", "torch"): lambda: matmul(*qkv, attn_mask=none)[0, 0],
        ("causal attention of one new query", "torch"): lambda: matmul(*qkv, is_causal=True)[0, 0],
        ("a confident log-probability", "torch"): lambda: t([40.0, 0.0]).log_softmax(-1)[0],
        ("a confident log-probability", "scipy"): lambda: special.log_softmax([40.0, 0.0])[0],
        ("logits in another order", "torch"): lambda: bool(
            (t(ROW[::-1].copy()).softmax(-1) == t(ROW).softmax(-1).flip(0)).all()
        ),
        ("logits in another order", "scipy"): lambda: bool((special.softmax(ROW[::-1]) == special.softmax(ROW)[::-1]).all()),
        ("softplus of 30", "torch"): lambda: F.softplus(t(30.0)) - 30.0,
        ("the far tail of the sigmoid", "scipy"): lambda: special.expit(-710.0),
        ("a confident loss", "torch"): lambda: ce([[40.0, 0.0]], i(0)),
        ("its gradient", "torch"): lambda: slope(lambda z: F.cross_entropy(z, i(0)), [[40.0, 0.0]])[0, 0],
        ("a label too large", "torch"): lambda: ce([[1.0, 2.0]], i(7)),
        ("a label below 0", "torch"): lambda: ce([[1.0, 2.0]], i(-1)),
        ("the label -100", "torch"): lambda: ce([[1.0, 2.0], [3.0, 4.0]], i(0, -100)),
        ("labels of 32 bits", "torch"): lambda: ce([[1.0, 2.0]], i(0).int()),
        ("labels that are bools", "torch"): lambda: ce([[1.0, 2.0]], i(True)),
        ("labels in a column", "torch"): lambda: ce([[1.0, 2.0]], i([0])),
        ("labels that are floats", "torch"): lambda: ce([[1.0, 2.0]], t([0.0])),
        ("all rows ignored", "torch"): lambda: ce([[1.0, 2.0]], i(5), ignore_index=5),
        ("no rows", "torch"): lambda: F.cross_entropy(t([]).reshape(0, 2), i().long()),
        ("gradient of an ignored row", "torch"): lambda: slope(
            lambda z: F.cross_entropy(z, i(0, 9), ignore_index=9), [[1.0, 2.0], [nan, inf]]
        )[1, 0],
        ("mean with weights and probabilities", "torch"): lambda: ce([[0.0, 0.0]], t([[0.0, 1.0]]), weight=t([1.0, 3.0])),
        ("mean with weights and labels", "torch"): lambda: ce([[0.0, 0.0]], i(1), weight=t([1.0, 3.0])),
        ("label smoothing below 0", "torch"): lambda: ce([[0.0, 1.0]], i(0), label_smoothing=-0.1),
        ("a negative weight", "torch"): lambda: ce([[0.0, 1.0]], i(0), weight=t([-1.0, 1.0]), reduction="sum"),
        ("probabilities that sum to 2", "torch"): lambda: ce([[0.0, 0.0]], t([[0.0, 2.0]])),
        ("negative probabilities", "torch"): lambda: ce([[0.0, 1.0]], t([[1.5, -0.5]])),
        ("probability 0 where the logit is -inf", "torch"): lambda: ce([[0.0, 1.0, -inf]], t([[1.0, 0.0, 0.0]])),
        ("probabilities given to nll_loss", "torch"): lambda: F.nll_loss(t([[0.3, 0.7]]), i(1)),
        ("an infinite logit that is right", "torch"): lambda: bce(inf, 1.0),
        ("probability 0 of what happened", "torch"): lambda: F.binary_cross_entropy(t([0.0]), t([1.0])),
        ("an answer of 2", "torch"): lambda: bce(0.5, 2.0),
        ("rows that are nearly equal", "torch"): lambda: F.kl_div(
            t(near).log_softmax(-1), t([1.0, 2.0, 3.0]).log_softmax(-1), reduction="sum", log_target=True
        ),
        ("a class that is impossible in both", "torch"): lambda: F.kl_div(t([0.0, -inf]), t([1.0, 0.0]), reduction="sum"),
        ("a divergence of negative probabilities", "torch"): lambda: F.kl_div(t([0.5, 0.5]).log(), t([1.5, -0.5])),
        ("slopes of a divergence of probabilities", "torch"): lambda: slope(
            lambda p: F.kl_div(p.log(), t([1.0, 0.0]), reduction="sum"), [0.5, 0.5]
        )[0],
        ("the mean of divergences", "torch"): lambda: F.kl_div(t([[0.5, 0.5]]).log(), t([[0.25, 0.75]])),
        ("whole scores", "entmax"): lambda: entmax.sparsemax(i(2, 0)),
        ("one infinite score", "entmax"): lambda: entmax.sparsemax(t([inf, 0.0])),
        ("a class that is none", "entmax"): lambda: entmax.sparsemax_loss(t([[1.0, 0.0]]), i(5)),
    }


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("case", "library", "said"), RUN, ids=lambda cell: cell.replace("/", " "))
def test_elsewhere(calls, case, library, said):
    """As the page says it: an error's type, a word, or a number to the digits that are printed."""
    try:
        given = calls[case, library]()
    except Exception as error:
        given = type(error).__name__
    if isinstance(given, (str, bool)):
        assert str(given) == said
    elif said == "nan":
        assert float(given) != float(given)
    else:
        assert float(given) == pytest.approx(float(said), rel=1e-3, abs=0.0)


@pytest.mark.heavy
def test_nothing_is_asked_in_vain(calls):
    assert {*calls} == {(case, library) for case, library, _ in RUN}
