"""The fused forms on floats and our own arrays, in units in the last place of the truth (mpmath), on hard inputs."""

import math
import random
from fractions import Fraction

import mpmath
import pytest

import tinygrad_sm as tg
from tests.helpers import softmax_truth as truth
from tests.helpers.softmax_truth import ulps

LIMITS = {
    "softmax": 4.0,
    "log_softmax": 3.0,
    "logsumexp": 2.0,  # in ulps of the larger of its terms m and log1p(s): where they cancel, their errors stay
    "cross_entropy": 3.0,
    "cross_entropy gradient": 4.0,
    "soft cross_entropy": 3.0,
    "soft cross_entropy gradient": 8.0,  # in ulps of the two terms whose difference it is
}


def normal(rng, n, scale=1.0, offset=0.0):
    return [rng.gauss(0.0, scale) + offset for _ in range(n)]


def dominant(rng, n, margin):
    """One logit `margin` above the others, which are near each other, in any place."""
    row = [*normal(rng, n - 1, scale=0.3), margin]
    rng.shuffle(row)
    return row


def log_probabilities(rng, n):
    """Logarithms of numbers that sum to 1, so that logsumexp is nearly 0."""
    weights = [rng.random() + 1e-9 for _ in range(n)]
    return [math.log(w / math.fsum(weights)) for w in weights]


SIZES = (1, 2, 3, 10)
FAMILIES = {
    **{f"scale {s:g}": lambda rng, n, s=s: normal(rng, n, s) for s in (1e-6, 1.0, 30.0, 700.0, 1e4)},
    **{f"margin {m:g}": lambda rng, n, m=m: dominant(rng, n, m) for m in (10, 30, 36, 37, 40, 46.05, 100, 700)},
    "tail -700 to -745": lambda rng, n: [0.0] + [rng.uniform(-745.0, -700.0) for _ in range(n - 1)],
    "tail below -745.2": lambda rng, n: [0.0] + [rng.uniform(-1000.0, -745.2) for _ in range(n - 1)],
    **{f"offset {c:g}": lambda rng, n, c=c: normal(rng, n, 3.0, c) for c in (1e8, 1e12, -1e15)},
    "ties": lambda rng, n: [float(rng.choice((-1, 0, 0.5, 2, 2))) for _ in range(n)],
    "mixed magnitudes": lambda rng, n: [rng.choice((-1, 1)) * 10.0 ** rng.uniform(-3, 3) for _ in range(n)],
    "log p": log_probabilities,
}
EXTREMES = [
    [1e308, -1e308],
    [1e308, 1e308],
    [-1e308, -1e308, -1e308],
    [1.7e308, 0.0, -1.7e308],
    [5e-324, 0.0, -5e-324],
    [745.1, 0.0],
    [0.0, -745.2, -744.9],
]


def soft_targets(rng, n):
    """Probabilities of which some are 0."""
    weights = [rng.random() * (rng.random() < 0.7) for _ in range(n)]
    return [w / (math.fsum(weights) or 1.0) for w in weights]


def errors(row, rng):
    """The worst error in ulps of each quantity for one row."""
    exact, z = truth.Row(row), tg.Value(row)
    labels = {rng.randrange(len(row)), row.index(max(row)), row.index(min(row))}
    targets = soft_targets(rng, len(row))
    if math.isinf(max(row) - min(row)):  # the loss is inf then, although t times that distance may be a float
        targets = [float(z == max(row)) for z in row]
    losses = [tg.cross_entropy(z, label) for label in labels]
    soft = tg.cross_entropy(z, targets, validate=False)
    lse = exact.logsumexp()
    soft_gradient, terms = exact.soft_gradient(targets)
    return {
        "softmax": max(map(ulps, tg.softmax(row).tolist(), exact.softmax())),
        "log_softmax": max(map(ulps, tg.log_softmax(row).tolist(), exact.log_softmax())),
        "logsumexp": ulps(float(tg.logsumexp(row)), lse, max(abs(max(row)), lse - max(row))),
        "cross_entropy": max(map(ulps, map(float, losses), map(exact.index_loss, labels))),
        "cross_entropy gradient": max(
            max(map(ulps, tg.grad(loss, z).tolist(), exact.index_gradient(label)))
            for loss, label in zip(losses, labels, strict=True)
        ),
        "soft cross_entropy": ulps(float(soft), exact.soft_loss(targets)),
        "soft cross_entropy gradient": max(map(ulps, tg.grad(soft, z).tolist(), soft_gradient, terms)),
    }


def check(rows, seed):
    """Every row within the limits; prints the worst errors (pytest -rP shows them)."""
    rng = random.Random(seed)
    worst = dict.fromkeys(LIMITS, (0.0, []))
    for row in rows(rng):
        for quantity, error in errors(row, rng).items():
            worst[quantity] = max(worst[quantity], (error, row))
    for quantity, (error, row) in worst.items():
        print(f"{seed:20} {quantity:28} {error:6.2f} ulp")
        assert error <= LIMITS[quantity], (quantity, error, row)


@pytest.mark.parametrize("family", FAMILIES)
def test_short_rows(family):
    check(lambda rng: (FAMILIES[family](rng, n) for n in SIZES for _ in range(4)), family)


@pytest.mark.parametrize("family", ["scale 1", "scale 30", "margin 40", "offset 1e+08", "log p"])
def test_long_rows(family):
    check(lambda rng: [FAMILIES[family](rng, 1000)], family)


def test_extreme_rows():
    check(lambda rng: EXTREMES, "extreme")


TEMPERATURES = (0.7, 1 / 3, 3.0, 1e-3, 123.4, 1e200, 1e-200, 5e-324)


def errors_at(t, row):
    exact = truth.Row(row, t)
    lse, top = exact.logsumexp(), exact.top
    return {
        "softmax": max(map(ulps, tg.softmax(row, temperature=t).tolist(), exact.softmax())),
        "log_softmax": max(map(ulps, tg.log_softmax(row, temperature=t).tolist(), exact.log_softmax())),
        "logsumexp": ulps(float(tg.logsumexp(row, temperature=t)), lse, max(abs(top), lse - top)),
    }


@pytest.mark.parametrize("family", [name for name in FAMILIES if "1e+12" not in name and "1e+15" not in name])
def test_temperatures_lose_no_digits(family):
    rng, worst = random.Random(f"temperature {family}"), dict.fromkeys(("softmax", "log_softmax", "logsumexp"), (0.0,))
    for n in SIZES:
        for t in TEMPERATURES[:5]:
            row = FAMILIES[family](rng, n)
            for quantity, error in errors_at(t, row).items():
                worst[quantity] = max(worst[quantity], (error, t, row))
    for quantity, found in worst.items():
        print(f"{family:20} {quantity:12} {found[0]:6.2f} ulp")
        assert found[0] <= LIMITS[quantity], (quantity, found)


@pytest.mark.parametrize("t", TEMPERATURES)
def test_logits_of_the_size_of_the_temperature(t):
    rng = random.Random(f"temperature {t}")
    for spread in (0.5, 30.0, 700.0):
        row = [max(-1e308, min(1e308, rng.gauss(0.0, 1.0) * spread * t)) for _ in range(5)]
        for quantity, error in errors_at(t, row).items():
            # below 2**-1000 the rounding of the quotient stays: as many units as it has, times up to 745
            assert error <= (LIMITS[quantity] if t > 1e-300 else 750.0), (quantity, error, row)


@pytest.mark.heavy
@pytest.mark.parametrize("family", FAMILIES)
def test_many_rows(family):
    sizes = [2] * 300 + [3] * 300 + [10] * 200 + [100] * 10
    check(lambda rng: (FAMILIES[family](rng, n) for n in sizes), f"many {family}")


@pytest.mark.parametrize(("margin", "loss"), [(46.0517018598809, 1e-20), (700.0, 9.86e-305)])
def test_a_confident_prediction_keeps_its_tiny_loss_and_gradient(margin, loss):
    row = [0.0, margin]
    exact, z = truth.Row(row), tg.Value(row)
    got = tg.cross_entropy(z, 1)
    assert float(got) == pytest.approx(loss, rel=1e-3)
    assert ulps(float(got), exact.index_loss(1)) <= 3
    assert ulps(tg.grad(got, z).tolist()[1], exact.index_gradient(1)[1]) <= 3
    assert ulps(float(tg.binary_cross_entropy(margin, 1.0)), exact.index_loss(1)) <= 3


# --- element by element

SPREAD = [s * 10.0**k for k in range(-12, 4) for s in (-3.7, -1.0, 1.0, 3.7)]
POINTS = [0.0, 5e-324, -1e-300, 36.7, 37.5, -36.7, -37.5, 708.4, -708.4, 745.1, -745.1, -745.2, 800.0, -800.0, 1e308, -1e308]


def points(seed, count):
    rng = random.Random(seed)
    uniform = [rng.uniform(a, b) for a, b in ((-1, 1), (-40, 40), (-708, -5), (-745.2, -708), (5, 800)) for _ in range(count)]
    return POINTS + SPREAD + uniform


def truth_of_silu_slope(z):
    return truth.sigmoid(z) * (1 + z * truth.sigmoid(-z))


ELEMENTWISE = {
    "sigmoid": (truth.sigmoid, 3.0, lambda z: truth.sigmoid(z) * truth.sigmoid(-z), 4.0),
    "softplus": (truth.softplus, 3.0, truth.sigmoid, 3.0),
    "log_sigmoid": (lambda z: -truth.softplus(-z), 3.0, lambda z: truth.sigmoid(-z), 3.0),
    "silu": (lambda z: z * truth.sigmoid(z), 4.0, None, 0.0),  # its slope has a root, at which no relative error is small
}


def check_elementwise(name, zs):
    value, limit, slope, slope_limit = ELEMENTWISE[name]
    op, x = tg.fused_ops[name], tg.Value(zs)
    exact = [truth.of_one(value, z) for z in zs]
    on_array = op(zs).tolist()
    assert [op(z) for z in zs] == on_array
    worst = max(map(ulps, on_array, exact))
    print(f"{name:20} {worst:6.2f} ulp")
    assert worst <= limit
    if slope:
        worst = max(map(ulps, tg.grad(op(x).sum(), x).tolist(), (truth.of_one(slope, z) for z in zs)))
        print(f"{name:20} {worst:6.2f} ulp slope")
        assert worst <= slope_limit


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name):
    check_elementwise(name, points(name, 60))


@pytest.mark.heavy
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_at_many_points(name):
    check_elementwise(name, points(f"many {name}", 3000))


@pytest.mark.parametrize("target", [0.0, 1.0, 0.25, 0.9, 1e-20])
def test_binary_cross_entropy(target):
    zs = points(f"target {target}", 40)
    z = tg.Value(zs)
    losses = tg.binary_cross_entropy(z, [target] * len(zs), reduction="none")
    worst = max(map(ulps, losses.tolist(), (truth.of_one(truth.binary_loss, v, target) for v in zs)))
    print(f"BCE {target} {worst:6.2f} ulp")
    assert worst <= 3
    if target in (0.0, 1.0):
        exact = (truth.of_one(truth.binary_gradient, v, target) for v in zs)
        worst = max(map(ulps, tg.grad(losses.sum(), z).tolist(), exact))
        print(f"BCE {target} {worst:6.2f} ulp gradient")
        assert worst <= 3


# --- losses of probabilities and of plain scores


def probability_rows(rng):
    """Rows that sum to 1 within rounding, with entries from the smallest floats to the nearest below 1."""
    for small in (5e-324, 1e-300, 1e-17, 2.0**-53, 1e-9, 0.3, 0.5):
        yield [small, 1.0 - small]
    for n in (2, 3, 10):
        for _ in range(20):
            weights = [rng.random() ** rng.choice((1, 40)) for _ in range(n)]
            yield [w / math.fsum(weights) for w in weights]


def test_losses_of_probabilities():
    rng, worst = random.Random("probabilities"), dict.fromkeys(("index", "soft", "gradient"), 0.0)
    for row in probability_rows(rng):
        p, label, targets = tg.Value(row), rng.randrange(len(row)), soft_targets(rng, len(row))
        by_index, soft = (tg.cross_entropy(p, t, from_logits=False, validate=False) for t in (label, targets))
        worst["index"] = max(worst["index"], ulps(by_index.item(), truth.of_one(lambda p: -mpmath.log(p), row[label])))
        worst["soft"] = max(worst["soft"], ulps(soft.item(), truth.surprise(row, targets)))
        exact = [-mpmath.mpf(t) / p for t, p in zip(targets, row, strict=True)]
        if min(row) > 1e-300:  # beyond that the slope is no float
            worst["gradient"] = max(worst["gradient"], *map(ulps, tg.grad(soft, p).tolist(), exact))
            assert ulps(tg.grad(by_index, p).tolist()[label], -1 / mpmath.mpf(row[label])) <= 1
    print(worst)
    assert worst["index"] <= 1 and worst["soft"] <= 3 and worst["gradient"] <= 2


def test_losses_of_scores():
    """Squares and distances of floats are fractions, so the truth is exact arithmetic."""
    rng = random.Random("scores")
    for n in (1, 2, 5, 20):
        for scale in (1e-8, 1.0, 1e8):
            x, t = normal(rng, n, scale, scale), normal(rng, n, scale, scale)
            value = tg.Value(x)
            loss = tg.mse_loss(value, t)
            distances = [Fraction(a) - Fraction(b) for a, b in zip(x, t, strict=True)]
            assert error_of(loss.item(), sum(d * d for d in distances) / n) <= 3
            assert max(map(error_of, tg.grad(loss, value).tolist(), (2 * d / n for d in distances))) <= 3
            if n > 1:
                label = rng.randrange(n)
                ahead = [Fraction(x[label]) - Fraction(s) for i, s in enumerate(x) if i != label]
                exact, unit = sum(max(0, 1 - d) for d in ahead) / n, 1 + max(map(abs, ahead))
                assert abs(Fraction(tg.hinge_loss(x, label).item()) - exact) <= 3 * math.ulp(float(unit))


def error_of(got, exact):
    return float(abs(Fraction(got) - exact) / Fraction(math.ulp(float(exact))))
