"""Layers: each against its definition by an independent hand, and wrong use in a sentence."""

import math
import random
import re
from decimal import Decimal, localcontext

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.engine import kind
from tinygrad_sm import nd
from tinygrad_sm.nn import GELU, MLP, Dropout, Embedding, LayerNorm, Linear, ReLU, RMSNorm, Sequential, Sigmoid, Softmax, Tanh

nn = tg.nn


def array(x):
    return np.array(x.tolist() if hasattr(x, "tolist") else x)


# --- Linear, Sequential, MLP


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=3), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_linear_is_the_weighted_sums(rest, n, m, bias):
    layer, x = Linear(n, m, bias=bias), tg.randn(*rest, n)
    y = layer(x)
    assert y.shape == (*rest, m) and (layer.bias is not None) is bias
    assert layer.weight.shape == (m, n) and (not bias or layer.bias.shape == (m,))
    want = array(x).reshape(*rest, n) @ array(layer.weight).T + (array(layer.bias) if bias else 0.0)
    np.testing.assert_allclose(array(y).reshape(*rest, m), want, rtol=1e-13, atol=1e-14)
    g = tg.randn(*y.shape)
    dx, dw = tg.grad(layer(inputs := tg.Value(x)), [inputs, layer.weight], grad_output=g)
    g, x = array(g).reshape(-1, m), array(x).reshape(-1, n)
    np.testing.assert_allclose(array(dw), g.T @ x, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(array(dx).reshape(-1, n), g @ array(layer.weight), rtol=1e-12, atol=1e-13)


def test_sequential_is_one_after_the_other():
    parts = Linear(2, 3), tg.tanh, Linear(3, 1), lambda x: x + 1.0
    model = Sequential(*parts)
    x = [[1.0, -2.0]]
    assert model(x).tolist() == (parts[2](tg.tanh(parts[0](x))) + 1.0).tolist()
    assert len(model) == 4 and tuple(model) == parts and model[0] is parts[0] and model[-1] is parts[3]
    head = model[:2]
    assert type(head) is Sequential and tuple(head) == parts[:2] and head(x).tolist() == tg.tanh(parts[0](x)).tolist()
    assert [name for name, _ in model[1:].named_parameters()] == ["1.weight", "1.bias"]
    assert Sequential()(x) is x and len(Sequential()) == 0
    for i in (4, -5):
        with pytest.raises(IndexError, match=rf"^Sequential: there is no part {i} among 4"):
            model[i]


# What mpmath knows of them, with no part of this package.
MP_ACTIVATIONS = {
    "relu": lambda x: max(x, mpmath.mpf(0)),
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "gelu": lambda x: x * mpmath.ncdf(x),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "leaky_relu": lambda x: x if x > 0 else x / mpmath.mpf(100),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
}


def mp_mlp(model, activation):
    """An MLP with one output as a function of mpmath numbers."""
    layers = [(layer.weight.tolist(), layer.bias.tolist()) for layer in model.layers]

    def network(*x):
        for i, (weight, bias) in enumerate(layers):
            x = [mpmath.fdot(row, x) + b for row, b in zip(weight, bias, strict=True)]
            x = [activation(z) for z in x] if i < len(layers) - 1 else x
        return x[0]

    return network


@pytest.mark.parametrize("name", MP_ACTIVATIONS)
def test_an_mlp_and_its_first_and_second_derivatives(name):
    """Against mpmath's numerical derivatives with 40 digits."""
    tg.manual_seed(3)
    model, point = MLP([2, 3, 2, 1], activation=name), [0.7, -1.3]
    network = mp_mlp(model, MP_ACTIVATIONS[name])
    f = lambda x: model(x)[0]  # noqa: E731
    with mpmath.workdps(40):
        want = [[mpmath.diff(network, point, n) for n in row] for row in ([(0, 0)], [(1, 0), (0, 1)], [(2, 0), (1, 1), (0, 2)])]
    value, slope, curve = ([float(x) for x in row] for row in want)
    np.testing.assert_allclose(array(model(point)), value, rtol=1e-13)
    np.testing.assert_allclose(array(tg.jacobian(f, point)), slope, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(array(tg.hessian(f, point)), [curve[:2], curve[1:]], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "softplus"])
def test_second_derivatives_reach_the_weights(activation):
    """The gradient of |df/dx|^2 with respect to a weight, as in a gradient penalty."""
    tg.manual_seed(4)
    model, point = MLP([2, 3, 1], activation=activation), [0.7, -1.3]
    x = tg.Value(point)
    slope = tg.grad(model(x).sum(), x, create_graph=True)
    (slope * slope).sum().backward()
    first = model.layers[0].weight

    def penalty(w):
        first.data = nd.asarray([[float(w), *before[0][1:]], *before[1:]])
        return sum(s**2 for s in tg.jacobian(lambda x: model(x)[0], point).tolist())

    before, h = first.tolist(), 1e-4
    stencil = [(-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12)]
    want = sum(c * penalty(before[0][0] + k * h) for k, c in stencil) / h
    assert abs(first.grad[0, 0] - want) < 1e-9 * abs(want)


def test_an_mlp_takes_a_function_and_no_bias():
    model = MLP((2, 3, 1), activation=tg.sin, bias=False)
    x = nd.asarray([[1.0, -2.0]])
    assert model(x).tolist() == (tg.sin(x @ model.layers[0].weight.mT) @ model.layers[1].weight.mT).tolist()
    assert [layer.bias for layer in model.layers] == [None, None]
    assert MLP([2, 1], activation=Tanh())(x).shape == (1, 1)
    assert MLP(np.array([2, 3])).sizes == [2, 3]  # as from X.shape or max(labels) + 1
    assert all(type(n) is int for n in MLP(np.array([2, 3])).sizes)


# --- functions as modules


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (ReLU(), tg.relu),
        (Tanh(), tg.tanh),
        (Sigmoid(), tg.sigmoid),
        (GELU(), tg.gelu),
        (Softmax(), tg.softmax),
        (Softmax(axis=0), lambda x: tg.softmax(x, axis=0)),
        (nn.LogSoftmax(), tg.log_softmax),
        (nn.LogSoftmax(axis=0), lambda x: tg.log_softmax(x, axis=0)),
    ],
    ids=lambda x: x.title() if isinstance(x, nn.Module) else "",
)
def test_functions_as_modules(module, function):
    x = tg.Value([[0.5, -1.0, 2.0], [0.0, 3.0, -0.5]])
    assert module(x).tolist() == function(x).tolist()
    assert module(x).op.name == function(x).op.name
    assert module([[1.0, -1.0]]).tolist() == function([[1.0, -1.0]]).tolist()
    assert not [*module.parameters()]


def test_the_cross_entropy_module():
    logits, targets = tg.Value([[2.0, 1.0, 0.5], [0.0, -1.0, 1.0]]), [0, 2]
    assert nn.CrossEntropyLoss()(logits, targets).item() == tg.cross_entropy(logits, targets).item()
    total = nn.CrossEntropyLoss(reduction="sum", axis=-1)(logits, targets)
    assert total.item() == tg.cross_entropy(logits, targets, reduction="sum").item()
    with pytest.raises(TypeError, match=r"^CrossEntropyLoss: has no reductoin; its settings are axis, .*reduction"):
        nn.CrossEntropyLoss(reductoin="sum")


LOSS_SETTINGS = {
    "weight": {"weight": [1.0, 2.0, 0.5]},
    "ints": {"weight": [1, 2, 3], "temperature": 2},
    "temperature": {"temperature": 0.7},
    "temperatures of rows": {"temperature": [[0.5], [2.0], [1.0]]},
    "ignored": {"ignore_index": 1},
    "smoothed": {"label_smoothing": 0.1},
    "all": {"weight": [1.0, 2.0, 0.5], "temperature": 0.7, "ignore_index": 1, "label_smoothing": 0.1, "reduction": "none"},
    "none given": {"weight": None},
}


@pytest.mark.parametrize("given", [nd.asarray, np.asarray, list], ids=["nd", "numpy", "lists"])
@pytest.mark.parametrize("xp", [nd, np], ids=["nd", "numpy"])
@pytest.mark.parametrize("settings", LOSS_SETTINGS.values(), ids=LOSS_SETTINGS)
def test_the_cross_entropy_module_is_the_function(settings, xp, given):
    logits, targets = [[2.0, 1.0, 0.5], [0.0, -1.0, 1.0], [0.2, 0.3, -0.1]], [0, 1, 2]
    module = nn.CrossEntropyLoss(**{key: given(x) if isinstance(x, list) else x for key, x in settings.items()})
    own = {key: xp.asarray(x, dtype=xp.float64) if isinstance(x, list) else x for key, x in settings.items()}
    z = tg.Value(xp.asarray(logits))
    wanted = tg.cross_entropy(z, targets, **own)
    loss = module(z, targets)
    assert type(loss.data) is type(wanted.data) and loss.tolist() == wanted.tolist()
    assert tg.grad(loss, z, grad_output=loss.data).tolist() == tg.grad(wanted, z, grad_output=loss.data).tolist()
    assert array(module(xp.asarray(logits), targets)).tolist() == array(wanted.data).tolist()  # without a Value, too
    assert not module.state_dict()


def test_a_weight_that_is_a_value_is_a_parameter_of_the_loss():
    module = nn.CrossEntropyLoss(weight=tg.Value([1.0, 2.0, 0.5]))
    assert list(module.state_dict()) == ["settings.weight"]
    loss = module.to(np)(tg.Value(np.asarray([[2.0, 1.0, 0.5], [0.0, -1.0, 1.0]])), [0, 2])
    loss.backward()
    assert type(loss.data) is not type(nd.asarray(0.0)) and module.settings["weight"].has_grad


@pytest.mark.parametrize(
    ("weight", "error", "words"),
    [
        ("abc", TypeError, "CrossEntropyLoss: weight: needs a number, a list or an array of numbers, not 'abc'"),
        ([True, False, True], TypeError, "CrossEntropyLoss: weight: an array of bools"),
        ([1.0, 2.0], ValueError, "cross_entropy: weight is one number a class"),
    ],
)
def test_a_weight_that_is_none(weight, error, words):
    with pytest.raises(error, match=f"^{words}"):
        nn.CrossEntropyLoss(weight=weight)([[2.0, 1.0, 0.5]], [0])


def test_a_long_weight_does_not_fill_the_repr():
    assert len(repr(nn.CrossEntropyLoss(weight=[0.1] * 1000))) < 120


# --- Embedding


@pytest.mark.parametrize("xp", [nd, np], ids=["nd", "numpy"])
@pytest.mark.parametrize(
    "indices",
    [
        2,
        [0, 4, 4],
        (1,),
        [[1, 2], [3, 3]],
        [[[1]], [[0]]],
        [],
        [[], []],
        np.int64(3),
        [np.int32(1), 2],
        np.array([[1, 2]], dtype=np.uint8),
        np.zeros((2, 0), dtype=int),
        nd.asarray([3, 1]),
    ],
    ids=repr,
)
def test_an_embedding_picks_rows(xp, indices):
    layer = Embedding(5, 3).to(xp)
    picked, places = layer(indices), np.array(array(indices), dtype=int)
    assert picked.shape == (*places.shape, 3) and type(picked.data) is type(layer.weight.data)
    np.testing.assert_array_equal(array(picked).reshape(picked.shape), array(layer.weight)[places])
    picked.sum().backward()
    counts = np.bincount(places.ravel(), minlength=5)
    np.testing.assert_array_equal(array(layer.weight.grad), np.repeat(counts[:, None], 3, axis=1))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=8))
def test_gradients_of_repeated_indices_add_up(indices):
    layer, g = Embedding(5, 2), tg.randn(len(indices), 2)
    got = tg.grad(layer(indices), layer.weight, grad_output=g)
    want = np.zeros((5, 2))
    np.add.at(want, np.array(indices, dtype=int), array(g).reshape(-1, 2))
    np.testing.assert_allclose(array(got), want, rtol=1e-14, atol=1e-15)


def test_the_vectors_of_an_embedding_have_mean_0_and_variance_1():
    tg.manual_seed(0)
    drawn = array(Embedding(300, 10).weight)
    assert abs(drawn.mean()) < 0.06 and abs(drawn.var() - 1.0) < 0.05 and abs(drawn).max() < 3**0.5


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        (5, IndexError, "Embedding(5, 3): index 5 is out of range, 0 to 4"),
        ([0, 1, 9, 12], IndexError, "index 9 is out of range, 0 to 4"),
        ([0, -1], IndexError, "index -1 is out of range, 0 to 4"),
        (np.array([[0], [2**40]]), IndexError, "index 1099511627776 is out of range"),
        (1.0, TypeError, "Embedding(5, 3): indices are ints, and one is 1.0"),
        ([1, 2.0], TypeError, "and one is 2.0"),
        (np.array([1.0]), TypeError, "and one is 1.0"),
        (tg.Value([1.0]), TypeError, "and one is 1.0"),
        ([True], TypeError, "and one is True"),
        (np.array([False]), TypeError, "and one is False"),
        (None, TypeError, "and one is None"),
        ("ab", TypeError, "and one is 'ab'"),
        ([[0], [1, 2]], ValueError, "ragged"),
    ],
    ids=str,
)
def test_indices_without_a_vector(indices, error, message):
    with pytest.raises(error, match=re.escape(message)):
        Embedding(5, 3)(indices)


# --- LayerNorm and RMSNorm

DIGITS = 60


def decimal_norm(row, g, weight, bias, eps, centred):
    """One row of LayerNorm (`centred`) or RMSNorm and its gradients of x and the weight, by hand in decimals."""
    with localcontext(prec=DIGITS):
        row, g, weight, bias = ([Decimal(x) for x in numbers] for numbers in (row, g, weight, bias))
        mean = lambda numbers: sum(numbers) / len(numbers)  # noqa: E731
        below = [x - mean(row) for x in row] if centred else row
        spread = (mean([x * x for x in below]) + Decimal(eps)).sqrt()
        hat = [x / spread for x in below]
        flow = [a * b for a, b in zip(g, weight, strict=True)]
        along = mean([a * b for a, b in zip(flow, hat, strict=True)])
        rest = mean(flow) if centred else 0
        return (
            [h * w + b for h, w, b in zip(hat, weight, bias, strict=True)],
            [(f - rest - h * along) / spread for f, h in zip(flow, hat, strict=True)],
            [a * b for a, b in zip(g, hat, strict=True)],
        )


NORM_ROWS = {
    "ordinary": [0.3, -1.2, 2.5, 0.7],
    "small": [1e-9, -2e-9, 3e-9, 0.0],
    "large": [1e150, -2e150, 3e149, 0.0],
    "offset": [1e6 + 1.0, 1e6 - 1.0, 1e6 + 0.5, 1e6],
    "far offset": [1e12 + 1.0, 1e12 - 1.0, 1e12 + 0.5, 1e12],
    "almost constant": [0.1, 0.1, 0.1, 0.1 + 2.0**-54],
    "constant": [0.1, 0.1, 0.1, 0.1],
    "zeros": [0.0, 0.0, 0.0, 0.0],
}
FLOW, WEIGHT, BIAS = [0.5, -1.5, 0.25, 2.0], [1.5, -0.5, 2.0, 1.0], [0.1, -0.2, 0.3, 0.0]


def norm_layer(make, eps, as_data=nd.asarray):
    layer = make(4, eps=eps)
    layer.weight.data = as_data(WEIGHT)
    if make is LayerNorm:
        layer.bias.data = as_data(BIAS)
    return layer


@pytest.mark.parametrize("make", [LayerNorm, RMSNorm])
@pytest.mark.parametrize("eps", [1e-5, 2.0**-52])
@pytest.mark.parametrize("name", NORM_ROWS)
def test_norms_against_decimals(make, eps, name):
    """The layer in floats and in decimals of 60 digits, both against the formula by hand.

    In floats the mean is rounded, so an error of half a unit of the largest number, over the spread, is all that one can ask.
    """
    row, centred = NORM_ROWS[name], make is LayerNorm
    truth = decimal_norm(row, FLOW, WEIGHT, BIAS if centred else [0.0] * 4, eps, centred)
    mean = math.fsum(row) / 4 if centred else 0.0
    spread = math.sqrt(math.fsum((x / 1e100 - mean / 1e100) ** 2 for x in row) / 4 + eps / 1e200) * 1e100
    blurred = 2.0**-52 * (1.0 + max(map(abs, row)) / max(spread, eps**0.5))
    for as_data, tolerance in ((lambda x: nd.exact(x, DIGITS), 1e-40), (nd.asarray, 8.0 * blurred)):
        layer = norm_layer(make, eps, as_data)
        x = tg.Value(as_data(row))
        y = layer(x)
        got = [y.data, *tg.grad(y, [x, layer.weight], grad_output=as_data(FLOW))]
        for mine, want in zip(got, truth, strict=True):
            assert type(mine) is type(x.data)
            scale = max(map(abs, want))
            for a, b in zip(mine.tolist(), want, strict=True):
                assert abs(Decimal(a) - b) <= Decimal(tolerance) * max(scale, Decimal("1e-300")), (a, b)


@pytest.mark.parametrize("make", [LayerNorm, RMSNorm])
@pytest.mark.parametrize("sizes", [3, (3,), [3], (2, 3), (4, 2, 3)], ids=str)
def test_norms_over_the_last_axes(make, sizes):
    layer, x = make(sizes), tg.randn(4, 2, 3, seed=0)
    axes = tuple(range(-layer.weight.ndim, 0))
    assert layer.weight.shape == (4, 2, 3)[3 - len(axes) :]
    layer.weight.data = tg.rand(*layer.weight.shape)
    numbers = array(x)
    below = numbers - numbers.mean(axis=axes, keepdims=True) if make is LayerNorm else numbers
    want = below / np.sqrt((below**2).mean(axis=axes, keepdims=True) + layer.eps) * array(layer.weight)
    np.testing.assert_allclose(array(layer(x)), want, rtol=1e-13, atol=1e-14)


def test_a_layer_norm_without_bias_and_with_one():
    assert LayerNorm(2, bias=False).bias is None
    assert [name for name, _ in LayerNorm(2, bias=False).named_parameters()] == ["weight"]
    layer = LayerNorm(2, eps=0.0)
    layer.bias.data = [10.0, 20.0]
    assert layer([1.0, 3.0]).tolist() == [9.0, 21.0]
    assert layer([1, 3]).tolist() == [9.0, 21.0]


# --- Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_a_share_and_keeps_the_mean(p):
    tg.manual_seed(0)
    n = 4000
    left = Dropout(p)(tg.Value([2.0] * n)).tolist()
    assert {*left} == {0.0, 2.0 / (1.0 - p)}
    deviation = math.sqrt(n * p * (1.0 - p))
    assert abs(left.count(0.0) - n * p) < 4.0 * deviation
    assert abs(math.fsum(left) / n - 2.0) < 4.0 * 2.0 / (1.0 - p) * deviation / n


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_what_is_drawn_below_p(p):
    tg.manual_seed(7)
    generator = random.Random(7)
    drawn = [[generator.random() for _ in range(5)] for _ in range(200)]
    kept = array(Dropout(p)(tg.ones(200, 5))) != 0.0
    np.testing.assert_array_equal(kept, np.array(drawn) >= p)


@pytest.mark.parametrize("xp", [nd, np], ids=["nd", "numpy"])
def test_the_gradient_of_dropout_goes_through_the_same_mask(xp):
    x, drop = tg.Value(xp.asarray([[1.0, 2.0, 3.0]] * 20)), Dropout(0.25)
    y = drop(x)
    assert kind(y.data) == kind(x.data)
    slope = tg.grad(y, x, grad_output=xp.asarray([[3.0, 3.0, 3.0]] * 20))
    mask = array(y) != 0.0
    assert 0 < mask.sum() < mask.size
    np.testing.assert_array_equal(array(slope), np.where(mask, 3.0 / 0.75, 0.0))
    np.testing.assert_array_equal(array(y), np.where(mask, array(x) / 0.75, 0.0))


def test_dropout_follows_the_seed_in_every_library():
    def left(x, seed):
        tg.manual_seed(seed)
        return array(Dropout(0.5)(x)).tolist()

    row = [1.0] * 40
    first = left(row, 0)
    assert left(np.array(row), 0) == left(tg.Value(row), 0) == left(tg.Value(np.array(row)), 0) == first != left(row, 1)
    drop = Dropout(0.5)
    assert drop(row).tolist() != drop(row).tolist()


def test_in_eval_dropout_is_nothing_and_draws_nothing():
    x = tg.Value([1.0, 2.0])
    tg.manual_seed(0)
    assert Dropout(0.9).eval()(x) is x and Dropout(0.0)(x) is x and Dropout(1.0).eval()([1, 2]).tolist() == [1.0, 2.0]
    after = tg.rand(3).tolist()
    tg.manual_seed(0)
    assert tg.rand(3).tolist() == after
    model = Sequential(Dropout(1.0), Dropout(1.0)).eval()
    assert model(x) is x and model.train()(x).tolist() == [0.0, 0.0]


def test_the_edges_of_dropout():
    x = tg.Value([1.0, float("inf"), float("nan")])
    assert Dropout(1)(x).tolist() == [0.0] * 3  # also what is no number
    assert tg.grad(Dropout(1.0)(x).sum(), x).tolist() == [0.0] * 3
    assert Dropout(0)(x) is x
    narrow = np.ones(20, dtype=np.float32)
    assert Dropout(0.5)(narrow).dtype == Dropout(0.5)(tg.Value(narrow)).dtype == np.float32
    assert Dropout(0.5)(3.0) in (0.0, 6.0) and Dropout(0.5)(tg.Value(3.0)).item() in (0.0, 6.0)
    assert Dropout(0.5)(tg.zeros(0, 2)).shape == (0, 2)
    assert Dropout(0.5)(nd.exact([3])).tolist()[0] in (0, 6)


# --- wrong use

CLASS = "part 0 is the class ReLU and no module; write ReLU(...)"


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Linear(0, 1), ValueError, "Linear: in_features is a whole number of at least 1, not 0"),
        (lambda: Linear(2, -1), ValueError, "Linear: out_features is a whole number of at least 1, not -1"),
        (lambda: Linear(2.0, 1), ValueError, "Linear: in_features is a whole number of at least 1, not 2.0"),
        (lambda: Linear(True, 1), ValueError, "Linear: in_features is a whole number of at least 1, not True"),
        (lambda: Linear("2", 1), ValueError, "Linear: in_features is a whole number of at least 1, not '2'"),
        (lambda: Linear(2, None), ValueError, "Linear: out_features is a whole number of at least 1, not None"),
        (lambda: Embedding(0, 2), ValueError, "Embedding: num_embeddings is a whole number"),
        (lambda: Embedding(2, 0.5), ValueError, "Embedding: embedding_dim is a whole number"),
        (lambda: LayerNorm(0), ValueError, "LayerNorm: normalized_shape is a whole number of at least 1, not 0"),
        (lambda: LayerNorm((2, 0)), ValueError, "LayerNorm: normalized_shape is a whole number of at least 1, not 0"),
        (lambda: LayerNorm([]), ValueError, "LayerNorm: normalized_shape is a whole number of at least 1, not []"),
        (lambda: RMSNorm(None), ValueError, "RMSNorm: normalized_shape is a whole number of at least 1, not None"),
        (lambda: LayerNorm(2, eps=-1.0), ValueError, "LayerNorm: eps is a small number from 0, such as 1e-5, not -1.0"),
        (lambda: LayerNorm(2, eps="a"), ValueError, "LayerNorm: eps is a small number from 0, such as 1e-5, not 'a'"),
        (lambda: RMSNorm(2, eps=float("nan")), ValueError, "RMSNorm: eps is a small number"),
        (lambda: RMSNorm(True), ValueError, "RMSNorm: normalized_shape is a whole number of at least 1, not True"),
        (lambda: MLP([2]), ValueError, "MLP: needs the widths of inputs and outputs at least, such as [64, 32, 10], not [2]"),
        (lambda: MLP(3), ValueError, "MLP: needs the widths of inputs and outputs at least"),
        (lambda: MLP(None), ValueError, "MLP: needs the widths of inputs and outputs at least"),
        (lambda: MLP([2, 0]), ValueError, "MLP: size 1 is a whole number of at least 1, not 0"),
        (lambda: MLP("23"), ValueError, "MLP: size 0 is a whole number of at least 1, not '2'"),
        (lambda: MLP([2, 1], "rleu"), ValueError, "MLP: activation is a function or one of relu, tanh, "),
        (lambda: MLP([2, 1], None), ValueError, "softplus, not None"),
        (lambda: MLP([2, 1], ["relu"]), ValueError, "softplus, not ['relu']"),
        (lambda: MLP([2, 1], ReLU), TypeError, "MLP: activation is the class ReLU and no module; write ReLU()"),
        (lambda: Sequential(ReLU), TypeError, f"Sequential: {CLASS}"),
        (lambda: Sequential(ReLU(), None), TypeError, "Sequential: part 1 is None; it takes modules and functions"),
        (lambda: Sequential([ReLU()]), TypeError, "as Sequential(a, b, c)"),
        (lambda: Dropout(1.5), ValueError, "Dropout: p is a probability between 0 and 1, not 1.5"),
        (lambda: Dropout(-0.1), ValueError, "Dropout: p is a probability between 0 and 1, not -0.1"),
        (lambda: Dropout(math.nan), ValueError, "Dropout: p is a probability between 0 and 1, not nan"),
        (lambda: Dropout("half"), ValueError, "Dropout: p is a probability between 0 and 1, not 'half'"),
        (lambda: Linear(2, 1)(3.0), ValueError, "Linear(2, 1): takes inputs of width 2, and got a single number"),
        (lambda: Linear(2, 1)("ab"), TypeError, "Linear: needs a number, a list or an array of numbers, not 'ab'"),
        (lambda: Linear(2, 1)([True, False]), TypeError, "Linear: an array of bools is a mask"),
        (lambda: Linear(2, 1)([[1.0, 2.0], [3.0]]), ValueError, "Linear: ragged lists"),
        (lambda: Linear(2, 1)([tg.Value(1.0), tg.Value(2.0)]), TypeError, "Linear: a list of Values; use tg.stack"),
        (lambda: LayerNorm((2, 3))(tg.zeros(3)), ValueError, "takes inputs of shape (..., 2, 3), and got shape (3,)"),
        (lambda: LayerNorm((2, 3))(tg.zeros(5, 3, 3)), ValueError, "of shape (..., 2, 3), and got shape (5, 3, 3)"),
        (lambda: LayerNorm(2)(1.0), ValueError, "takes inputs of width 2, and got a single number"),
        (lambda: Dropout(0.5)("ab"), TypeError, "Dropout: needs a number"),
        (lambda: Softmax(axis=2)([1.0]), ValueError, "axis 2"),
    ],
)
def test_wrong_use_ends_in_a_sentence(build, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        build()
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("layer", "name", "inputs"),
    [
        (Linear(2, 8), "weight", [[1.0, 2.0]]),
        (Linear(2, 8), "bias", [[1.0, 2.0]]),
        (Embedding(5, 3), "weight", [1]),
        (LayerNorm(2), "weight", [1.0, 2.0]),
        (LayerNorm(2), "bias", [1.0, 2.0]),
        (RMSNorm(2), "weight", [1.0, 2.0]),
    ],
    ids=lambda x: x.title() if isinstance(x, nn.Module) else None,
)
def test_a_parameter_replaced_by_plain_data_would_not_be_trained(layer, name, inputs):
    parameter = getattr(layer, name)
    expected = layer(inputs).tolist()
    for plain in (parameter.data, parameter.tolist(), np.array(parameter.tolist()), *([] if name == "bias" else [None])):
        setattr(layer, name, plain)
        with pytest.raises(TypeError) as caught:
            layer(inputs)
        assert str(caught.value) == (
            f"{name} of {layer.title()} is plain data, so it would not be trained: write tg.Value(...)"
        )
    setattr(layer, name, tg.Value(parameter.data, requires_grad=False))
    assert layer(inputs).tolist() == expected


def test_ints_become_floats_of_the_kind_of_the_weights():
    layer = Linear(2, 2).to(np)
    for p in layer.parameters():
        p.data = p.data.astype(np.float32)
    for x in ([[1, 2]], np.array([[1, 2]]), np.array([[1, 2]], dtype=np.uint8)):
        assert layer(x).dtype == np.float32
