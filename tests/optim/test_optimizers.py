"""The optimizers against their formulas, one number at a time in decimals; and what a step promises."""

import copy
import json
import math
import pickle
from decimal import Decimal
from fractions import Fraction

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.kinds import EXACT, FLOAT, KINDS, NUMPY, NUMPY32, OWN, STRICT, assert_close, assert_same_kind, every_kind
from tests.helpers.optimizers import CASES, FORMULAS, FULL, GRADIENTS, START, expected, train
from tinygrad_sm import nd, optim

fewer = hypothesis_settings(max_examples=40)
in_full = pytest.mark.parametrize(("optimizer", "settings"), FULL)


# --- the formulas


@pytest.mark.parametrize(("optimizer", "settings"), CASES)
@pytest.mark.parametrize("kind", [OWN, EXACT, NUMPY32], ids=repr)
def test_steps_follow_the_formula_under_every_combination_of_switches(kind, optimizer, settings):
    w = tg.Value(kind(START))
    train(optimizer([w], **settings), [w], [[kind(g)] for g in GRADIENTS])
    assert_same_kind(w.data, kind(START))
    from_start = np.vectorize(Decimal)(START if kind is not NUMPY32 else START.astype(np.float32).astype(float))
    gradients = [g.astype(np.float32).astype(float) for g in GRADIENTS] if kind is NUMPY32 else GRADIENTS
    assert_close(w, expected(optimizer, settings, from_start, gradients), kind.tolerance, floor=1.0)


@in_full
@every_kind
def test_every_kind_of_numbers_stays_what_it_is_and_gives_the_same(kind, optimizer, settings):
    start, gradients = (0.7, [g[0, 0] for g in GRADIENTS]) if kind is FLOAT else (START, GRADIENTS)
    w, scalar = tg.Value(kind(start)), tg.Value(kind(2.5))
    trained = optimizer([w, scalar], **settings)
    train(trained, [w, scalar], [[kind(g), kind(1.5)] for g in gradients])
    assert_same_kind(w.data, kind(start))
    assert type(scalar.data) is type(kind(2.5))
    for state in trained.state.values():
        assert {getattr(x, "dtype", float) for key, x in state.items() if key != "step"} == {getattr(w.data, "dtype", float)}
    if kind is not NUMPY32:
        assert_close(w, expected(optimizer, settings, np.asarray(start), gradients), kind.tolerance, floor=1.0)


@fewer
@given(
    case=st.sampled_from(CASES),
    start=st.floats(-10, 10),
    gradients=st.lists(st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-3), min_size=1, max_size=6),
)
def test_any_gradients(case, start, gradients):
    optimizer, settings = case
    if settings.get("eps") == 1e-8:
        settings = settings | {"eps": 0.01}  # where all depends on the last digit, nothing can be compared
    w = tg.Value(start)
    train(optimizer([w], **settings), [w], [[g] for g in gradients])
    assert_close(w, expected(optimizer, settings, np.asarray(start), gradients), 1e-9, floor=1.0)


def test_first_steps_by_hand():
    def after_one_step(optimizer, start=2.0, gradient=4.0, **settings):
        w = tg.Value(start)
        train(optimizer([w], **settings), [w], [[gradient]])
        return w.data

    assert after_one_step(optim.SGD, lr=0.25) == 1.0
    assert after_one_step(optim.SGD, lr=0.25, momentum=0.5, dampening=0.5) == 1.0  # the first gradient is not dampened
    assert after_one_step(optim.SGD, lr=0.25, momentum=0.5, nesterov=True) == 0.5  # 2 - (4 + 4 / 2) / 4
    assert after_one_step(optim.SGD, lr=0.25, weight_decay=2) == 0.0  # 2 - (4 + 2 * 2) / 4
    assert after_one_step(optim.Adam, lr=0.5, eps=4) == pytest.approx(1.75)  # 2 - 4 / (4 + 4) / 2
    assert after_one_step(optim.AdamW, lr=0.5, eps=4, weight_decay=0.5) == pytest.approx(1.25)  # 2 * 3/4 - 1/4
    assert after_one_step(optim.RMSprop, lr=0.5, alpha=0.75, eps=2) == 1.5  # v = 16 / 4, 2 - 4 / (2 + 2) / 2
    assert after_one_step(optim.RMSprop, lr=0.5, alpha=0.75, eps=2, centered=True) == pytest.approx(
        2 - 2 / (math.sqrt(3) + 2)
    )  # v = 4 - 1


def test_the_defaults_are_those_of_pytorch():
    w = tg.Value(1.0)
    assert optim.SGD([w], 0.5).defaults == {"lr": 0.5, "momentum": 0, "dampening": 0, "nesterov": False, "weight_decay": 0}
    adam = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False}
    assert optim.Adam([w]).defaults == adam
    assert optim.AdamW([w]).defaults == adam | {"weight_decay": 1e-2}
    rmsprop = {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0, "centered": False}
    assert optim.RMSprop([w]).defaults == rmsprop


# --- laws


@fewer
@given(st.lists(st.floats(-1e3, 1e3).filter(lambda x: abs(x) > 1e-100), min_size=1, max_size=5), st.floats(1e-3, 1))
def test_the_first_step_of_adam_is_as_long_as_the_rate(gradients, lr):
    w = tg.Value([0.0] * len(gradients))
    train(optim.Adam([w], lr=lr, eps=0), [w], [[nd.asarray(gradients)]])
    assert w.tolist() == pytest.approx([-math.copysign(lr, g) for g in gradients])


@pytest.mark.parametrize("optimizer", [optim.Adam, optim.AdamW, optim.RMSprop])
@fewer
@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=5), st.integers(-30, 30))
def test_without_eps_the_size_of_the_gradients_does_not_matter(optimizer, gradients, k):
    one, other = tg.Value(1.0), tg.Value(1.0)
    train(optimizer([one], lr=0.5, eps=0), [one], [[g] for g in gradients])
    train(optimizer([other], lr=0.5, eps=0), [other], [[g * 2.0**k] for g in gradients])
    assert one.data == other.data


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (optim.SGD([tg.Value(1.0)], lr=0.5, dampening=0.5), optim.SGD([tg.Value(1.0)], lr=0.5)),
        (optim.AdamW([tg.Value(1.0)], weight_decay=0), optim.Adam([tg.Value(1.0)])),
        (optim.RMSprop([tg.Value(1.0)], lr=1.0, alpha=0.999, eps=0), optim.Adam([tg.Value(1.0)], 1.0, (0, 0.999), 0)),
    ],
    ids=["dampening without momentum", "AdamW without decay", "the scale of the first step of RMSprop"],
)
def test_kin_agree_where_they_should(one, other):
    (a,), (b,) = (x.param_groups[0]["params"] for x in (one, other))
    train(one, [a], [[0.5]])
    train(other, [b], [[0.5]])
    if isinstance(one, optim.RMSprop):
        assert 1 - a.data == pytest.approx((1 - b.data) / (1 - 0.999) ** 0.5)  # Adam's takes the bias off
    else:
        assert a.data == b.data


def test_a_gradient_of_zero_moves_nothing_but_decay_does():
    for optimizer in FORMULAS:
        w = tg.Value([3.0, -2.0])
        train(optimizer([w], lr=0.5, weight_decay=0), [w], [[0.0]] * 3)
        assert w.tolist() == [3.0, -2.0]
    train(optim.AdamW([w], lr=0.5, weight_decay=0.5), [w], [[0.0]])
    assert w.tolist() == [2.25, -1.5]


@pytest.mark.parametrize("kind", [FLOAT, OWN, EXACT], ids=repr)
def test_zero_over_zero_is_nan_and_no_error(kind):
    w = tg.Value(kind(1.0 if kind is FLOAT else [1.0]))
    train(optim.Adam([w], eps=0), [w], [[0.0]])
    assert math.isnan(w.item())


def test_a_centered_variance_never_falls_below_zero():
    w = tg.Value([0.1, 0.3])
    train(optim.RMSprop([w], lr=1e-3, alpha=0.5, centered=True), [w], [[nd.asarray([0.1, 0.7])]] * 200)
    assert all(map(math.isfinite, w.tolist()))


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, 0.1),
        lambda p: optim.SGD(p, 0.05, 0.8, nesterov=True),
        lambda p: optim.Adam(p, 0.3),
        lambda p: optim.AdamW(p, 0.3, amsgrad=True),
        lambda p: optim.RMSprop(p, 0.05, momentum=0.5, centered=True, eps=0.1),
    ],
)
def test_a_bowl_is_walked_down(make):
    w, target = tg.Value([4.0, -3.0]), [1.0, 2.0]
    optimizer = make([w])
    for _ in range(300):
        optimizer.zero_grad()
        tg.square(w - target).sum().backward()
        optimizer.step()
    assert w.tolist() == pytest.approx(target, abs=0.05)


# --- what a step promises


def test_parameters_without_a_gradient_or_a_wish_for_one_stay():
    moved, without, frozen = tg.Value(1.0), tg.Value(1.0), tg.Value(1.0, requires_grad=False)
    moved.grad = frozen.grad = 1.0
    for optimizer in FORMULAS:
        trained = optimizer([moved, without, frozen], lr=0.5, weight_decay=0.5)
        trained.step()
        assert (without.data, frozen.data) == (1.0, 1.0) and moved.data != 1.0
        assert {*trained.state} <= {moved}


@in_full
@pytest.mark.parametrize("kind", [NUMPY, NUMPY32, STRICT], ids=repr)
def test_nothing_is_changed_in_place(kind, optimizer, settings):
    w = tg.Value(kind(START))
    loss = (w * w).sum()
    data, before = w.data, np.asarray(START, dtype=np.float32 if kind is NUMPY32 else float).tolist()
    gradient = kind(GRADIENTS[0])
    trained = optimizer([w], **settings)
    train(trained, [w], [[gradient]])
    saved = trained.state_dict()["state"][0]
    state = {key: np.asarray(x).tolist() for key, x in saved.items()}
    train(trained, [w], [[kind(g)] for g in GRADIENTS])
    assert np.asarray(data).tolist() == before and w.data is not data
    assert np.asarray(gradient).tolist() == np.asarray(kind(GRADIENTS[0])).tolist()
    assert {key: np.asarray(x).tolist() for key, x in saved.items()} == state
    w.zero_grad()
    loss.backward()
    assert_close(w.grad, 2 * np.asarray(before), 1e-6)


def test_whoever_edits_a_numpy_gradient_in_place_does_not_edit_the_momentum():
    w = tg.Value(np.ones(2))
    optimizer = optim.SGD([w], lr=1.0, momentum=0.5)
    w.grad = gradient = np.ones(2)
    optimizer.step()
    gradient *= 0.0
    optimizer.step()
    assert w.tolist() == [-0.5, -0.5]  # 1 - 1 - (1 / 2 + 0)


def test_an_error_in_the_middle_leaves_no_half_of_a_step():
    class Picky(optim.SGD):
        def update(self, xp, data, gradient, state, **settings):
            if data == 2.0:
                raise ArithmeticError("I don't like it")
            return super().update(xp, data, gradient, state, **settings)

    one, two = tg.Value(1.0), tg.Value(2.0)
    one.grad = two.grad = 1.0
    optimizer = Picky([one, two], 0.5, 0.5)
    with pytest.raises(ArithmeticError):
        optimizer.step()
    assert (one.data, two.data) == (1.0, 2.0) and not optimizer.state


def test_an_update_of_ones_own_that_changes_a_shape_is_refused():
    class Sum(optim.Optimizer):
        def update(self, xp, data, gradient, state, *, lr):
            return data if type(data) is float else xp.sum(data), state

    one, two = with_gradient(), tg.Value([1.0, 2.0])
    two.grad = 1.0
    with pytest.raises(ValueError, match=r"Sum: update made shape \(\) of a parameter of shape \(2,\)"):
        Sum([one, two], lr=0.1).step()


@in_full
def test_the_state_moves_with_the_parameter(optimizer, settings):
    kinds = [NUMPY, OWN, STRICT, EXACT, OWN, NUMPY]
    gradients = [GRADIENTS[i % 4] for i in range(len(kinds))]
    w = tg.Value(NUMPY(START))
    trained = optimizer([w], **settings)
    for kind, g in zip(kinds, gradients, strict=True):
        w.data = kind(w.data.astype(float) if isinstance(w.data, np.ndarray) else np.asarray(w.tolist(), dtype=float))
        train(trained, [w], [[kind(g)]])
        assert_same_kind(w.data, kind(START))
        assert all(type(x) is type(w.data) for key, x in trained.state[w].items() if key != "step")
    assert_close(w, expected(optimizer, settings, START, gradients), 1e-12, floor=1.0)


@in_full
@pytest.mark.parametrize(("first", "then"), [(NUMPY, NUMPY32), (NUMPY32, NUMPY), (EXACT, lambda x: nd.exact(x, 30))])
def test_the_state_takes_the_element_type_of_its_parameter(first, then, optimizer, settings):
    w = tg.Value(first(START))
    trained = optimizer([w], **settings)
    train(trained, [w], [[first(GRADIENTS[0])]])
    w.data = then(np.asarray(w.tolist(), dtype=float))
    train(trained, [w], [[then(GRADIENTS[1])]])
    assert {w.dtype} == {then(START).dtype} == {x.dtype for key, x in trained.state[w].items() if key != "step"}
    assert_close(w, expected(optimizer, settings, START, GRADIENTS[:2]), 1e-5)


@in_full
def test_the_state_moves_between_a_number_and_an_array(optimizer, settings):
    w = tg.Value(2.0)
    trained = optimizer([w], **settings)
    train(trained, [w], [[0.5]])
    w.data = np.asarray(w.data)
    train(trained, [w], [[np.asarray(0.25)]])
    assert type(w.data) is np.ndarray and w.shape == ()
    w.data = float(w.data)
    train(trained, [w], [[-0.5]])
    assert type(w.data) is float
    assert_close(w, expected(optimizer, settings, np.asarray(2.0), [0.5, 0.25, -0.5]), 1e-12)


@in_full
def test_settings_of_numpy_do_not_widen_float32(optimizer, settings):
    w = tg.Value(NUMPY32(START))
    wide = {key: np.float64(x) if isinstance(x, float) else x for key, x in settings.items()}
    trained = optimizer([w], **wide)
    trained.param_groups[0]["lr"] = np.float64(0.5)
    train(trained, [w], [[NUMPY32(g)] for g in GRADIENTS])
    assert w.dtype == np.float32
    assert all(x.dtype == np.float32 for key, x in trained.state[w].items() if key != "step")


# --- groups


def test_groups_have_settings_of_their_own_and_may_be_edited():
    fast, slow, late = tg.Value(1.0), tg.Value(1.0), tg.Value(1.0)
    optimizer = optim.SGD([{"params": iter([fast])}, {"params": [slow], "lr": 0.25, "name": "slow"}], lr=0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.25]
    assert optimizer.param_groups[1]["name"] == "slow" and optimizer.param_groups[1]["params"] == [slow]
    optimizer.add_param_group({"params": [late], "weight_decay": 1.0})
    train(optimizer, [fast, slow, late], [[1.0, 1.0, 1.0]])
    assert (fast.data, slow.data, late.data) == (0.5, 0.75, 0.0)
    optimizer.param_groups[0]["lr"] = 2
    train(optimizer, [fast], [[1.0]])
    assert fast.data == -1.5
    optimizer.zero_grad()
    assert not any(v.has_grad for v in (fast, slow, late))


def test_a_group_does_not_edit_the_dict_it_was_given():
    given_group = {"params": [tg.Value(1.0)]}
    optim.SGD([given_group], lr=0.5)
    assert given_group.keys() == {"params"}


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        (
            optim.SGD([tg.Value([[1.0] * 30] * 40), tg.Value(1.0)], lr=0.1, momentum=0.9),
            "SGD(lr=0.1, momentum=0.9, dampening=0.0, nesterov=False, weight_decay=0.0, 1,201 parameters in 2 Values)",
        ),
        (
            optim.Adam([{"params": [tg.Value(1.0)]}, {"params": [tg.Value(1.0)], "lr": 0.5}]),
            "Adam(lr=0.001|0.5, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, amsgrad=False, 2 parameters in 2 Values)",
        ),
    ],
)
def test_repr_is_one_line(optimizer, text):
    assert repr(optimizer) == text


# --- saving


@in_full
@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_a_saved_optimizer_goes_on_as_if_nothing_had_happened(kind, optimizer, settings):
    start, gradients = (0.7, [g[0, 0] for g in GRADIENTS]) if kind is FLOAT else (START, GRADIENTS)
    one, other = tg.Value(kind(start)), tg.Value(kind(start))
    through = optimizer([one], **settings)
    train(through, [one], [[kind(g)] for g in gradients[:2]])
    saved = through.state_dict()
    other.data = one.data
    through.state_dict()["state"][0].clear()  # which is a copy
    train(through, [one], [[kind(g)] for g in gradients[2:]])
    resumed = optimizer([other], lr=0.5)
    resumed.load_state_dict(saved)
    train(resumed, [other], [[kind(g)] for g in gradients[2:]])
    assert one.tolist() == other.tolist()
    assert resumed.param_groups[0]["lr"] == settings["lr"] and resumed.param_groups[0]["params"] == [other]


@in_full
def test_a_state_of_one_library_continues_in_another_also_by_way_of_text(optimizer, settings):
    w = tg.Value(OWN(START))
    trained = optimizer([{"params": [tg.Value(1.0)]}, {"params": [w]}], **settings)
    train(trained, [w], [[OWN(g)] for g in GRADIENTS[:2]])
    text = json.dumps(trained.state_dict(), default=lambda array: array.tolist())
    v = tg.Value(NUMPY(np.asarray(w.tolist())))
    resumed = optimizer([{"params": [tg.Value(1.0)]}, {"params": [v]}], lr=1)
    resumed.load_state_dict(json.loads(text))
    train(trained, [w], [[OWN(g)] for g in GRADIENTS[2:]])
    train(resumed, [v], [[NUMPY(g)] for g in GRADIENTS[2:]])
    assert type(resumed.state[v][[*resumed.state[v]][-1]]) is np.ndarray
    np.testing.assert_allclose(v.data, w.tolist(), rtol=1e-13)


@in_full
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_an_optimizer_is_copied_with_its_parameters(duplicate, optimizer, settings):
    w = tg.Value(START.tolist())
    trained = optimizer([w], **settings)
    train(trained, [w], [[OWN(GRADIENTS[0])]])
    (twin,), clone = duplicate(([w], trained))
    assert clone.param_groups[0]["params"] == [twin] and twin is not w
    train(trained, [w], [[OWN(GRADIENTS[1])]])
    train(clone, [twin], [[OWN(GRADIENTS[1])]])
    assert twin.tolist() == w.tolist()


@pytest.mark.parametrize("step", [3, 3.0, np.float32(3), np.asarray(3.0), nd.asarray(3)])
def test_the_number_of_steps_is_an_int_again_however_it_was_saved(step):
    optimizer = optim.Adam([w := tg.Value([1.0, 2.0])])
    optimizer.load_state_dict(saved_with(step=step))
    assert type(optimizer.state[w]["step"]) is int and optimizer.state[w]["step"] == 3


def test_without_momentum_there_is_nothing_to_save():
    assert saved_with(optim.SGD)["state"] == {}


def saved_with(optimizer=optim.Adam, shape=(2,), **changes):
    """A saved state after one step, with some changes."""
    w = tg.Value(tg.zeros(*shape))
    trained = optimizer([w], lr=0.5)
    train(trained, [w], [[0.5]])
    saved = trained.state_dict()
    saved["state"].get(0, {}).update(changes)
    return saved


def one_step_less(saved):
    del saved["state"][0]["step"]
    return saved


# What is loaded into an Adam of one parameter of shape (2,) | the error | words of its message
WRONG_STATES = """
3 | TypeError | Adam.load_state_dict: needs the dict with "state" and "param_groups"
{"state": {}} | TypeError | Adam.load_state_dict: needs the dict
{"state": {}, "param_groups": 3} | TypeError | Adam.load_state_dict: needs the dict
{"state": {}, "param_groups": [{}]} | TypeError | Adam.load_state_dict: needs the dict
{**saved_with(), "state": [1]} | TypeError | Adam.load_state_dict: needs the dict
{**saved_with(), "state": {0: 1}} | TypeError | Adam.load_state_dict: needs the dict
saved_with(optim.SGD) | ValueError | ['amsgrad', 'betas', 'eps'] are missing, so these are the settings of another optimizer
saved_with(shape=(3,)) | ValueError | exp_avg of parameter 0 has shape (3,), and the parameter has shape (2,)
saved_with(exp_avg="a") | TypeError | exp_avg of parameter 0: needs a number, a list or an array
saved_with(step=-1) | ValueError | Adam.load_state_dict: step of parameter 0 is -1.0, and should be at least 0
saved_with(step="a") | TypeError | Adam.load_state_dict: step of parameter 0: needs a number
one_step_less(saved_with()) | ValueError | state ['exp_avg', 'exp_avg_sq'] of parameter 0
{**saved_with(), "state": {7: {}}} | ValueError | of parameter 7, and this optimizer has no place for it
{**saved_with(), "param_groups": []} | ValueError | groups of [] parameters, and this optimizer has groups of [1]
{"state": {}, "param_groups": [{**saved_with()["param_groups"][0], "lr": -1}]} | ValueError | Adam: lr is -1
"""


@pytest.mark.parametrize("line", [line for line in WRONG_STATES.splitlines() if line])
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(line):
    source, error, words = (part.strip() for part in line.split(" | "))
    w = tg.Value([1.0, 2.0])
    optimizer = optim.Adam([w], lr=0.25)
    train(optimizer, [w], [[0.5]])
    before = repr(optimizer.state_dict())
    with pytest.raises({"TypeError": TypeError, "ValueError": ValueError}[error]) as caught:
        optimizer.load_state_dict(eval(source))
    assert words in str(caught.value)
    assert repr(optimizer.state_dict()) == before


# --- wrong use

V = tg.Value(1.0)
WRONG = """
optim.SGD([], 0.1) | ValueError | SGD: no parameters; has the generator been used up
optim.SGD(iter(()), 0.1) | ValueError | SGD: no parameters
optim.SGD([{"params": []}], 0.1) | ValueError | SGD: no parameters
optim.SGD(V, 0.1) | TypeError | SGD: params is a list or generator of Values, such as [v] or model.parameters(), not of type V
optim.Adam(tg.Value([1.0, 2.0])) | TypeError | Adam: params is a list or generator of Values
optim.SGD({V}, 0.1) | TypeError | not of type set
optim.SGD(3, 0.1) | TypeError | SGD: params is a list or generator of Values, such as [v] or model.parameters(), not of type int
optim.SGD([{"params": V}], 0.1) | TypeError | SGD: params is a list or generator of Values
optim.SGD([V, 2.0], 0.1) | TypeError | SGD: parameter 1 is no Value but of type float
optim.SGD({"w": V}, 0.1) | TypeError | SGD: parameter 0 is no Value but of type str
optim.SGD([("w", V)], 0.1) | TypeError | parameter 0 is no Value but of type tuple; give model.parameters(), say
optim.SGD([V, {"params": [V]}], 0.1) | TypeError | SGD: parameter 1 is no Value but of type dict
optim.SGD([V * 2.0], 0.1) | ValueError | SGD: parameter 0 is the result of multiply; give the leaves
optim.SGD([V, V], 0.1) | ValueError | SGD: parameter 1 is there twice
optim.SGD([{"params": [V]}, {"params": [V]}], 0.1) | ValueError | SGD: parameter 1 is there twice
optim.SGD([tg.Value(1.0, name="bias")] * 2, 0.1) | ValueError | SGD: parameter 1 is there twice (bias)
optim.SGD([{"params": [V], "learning_rate": 1}], 0.1) | ValueError | SGD: unknown settings ['learning_rate'] in a group
optim.SGD([{"lr": 1}], 0.1) | TypeError | SGD: a group is a dict with "params" and settings
optim.SGD([V], 0.1).add_param_group([V]) | TypeError | SGD: a group is a dict with "params" and settings
optim.SGD([V], -0.1) | ValueError | SGD: lr is -0.1, and should be at least 0 and finite
optim.SGD([V], math.inf) | ValueError | SGD: lr is inf
optim.SGD([V], math.nan) | ValueError | SGD: lr is nan
optim.SGD([V], V) | TypeError | SGD: lr is a plain number, not of type Value
optim.SGD([V], "0.1") | TypeError | SGD: lr is a plain number, not of type str
optim.SGD([V], True) | TypeError | SGD: lr is a plain number, not of type bool
optim.SGD([V], np.ones(1)) | TypeError | SGD: lr is a plain number, not of type ndarray
optim.SGD([V], 0.1, -0.5) | ValueError | SGD: momentum is -0.5
optim.SGD([V], 0.1, dampening=-1) | ValueError | SGD: dampening is -1
optim.SGD([V], 0.1, nesterov=True) | ValueError | SGD: nesterov needs a momentum above 0 and a dampening of 0
optim.SGD([V], 0.1, 0.5, dampening=0.5, nesterov=True) | ValueError | SGD: nesterov needs
optim.SGD([V], 0.1, 0.5, nesterov=1) | TypeError | SGD: nesterov is True or False, not of type int
optim.SGD([V], 0.1, 0.5, 0.5) | TypeError | positional
optim.SGD([{"params": [V], "nesterov": True}], 0.1) | ValueError | SGD: nesterov needs
optim.Adam([V], betas=(0.9, 1.0)) | ValueError | Adam: betas is 1.0, and should be at least 0 and below 1.0
optim.Adam([V], betas=(-0.1, 0.9)) | ValueError | Adam: betas is -0.1
optim.Adam([V], betas=0.9) | TypeError | Adam: betas are two numbers, such as (0.9, 0.999), not of type float
optim.Adam([V], betas=(0.9,)) | TypeError | Adam: betas are two numbers
optim.Adam([V], eps=-1) | ValueError | Adam: eps is -1
optim.AdamW([V], weight_decay=-1) | ValueError | AdamW: weight_decay is -1
optim.RMSprop([V], alpha=1) | ValueError | RMSprop: alpha is 1, and should be at least 0 and below 1.0
optim.RMSprop([V], centered=0.5) | TypeError | RMSprop: centered is True or False
edited("lr", V).step() | TypeError | SGD: lr is a plain number, not of type Value
edited("momentum", math.nan).step() | ValueError | SGD: momentum is nan
optim.Optimizer([with_gradient()]).step() | NotImplementedError | Optimizer: defines no update
"""


def with_gradient():
    """A parameter that a step would move."""
    w = tg.Value(1.0)
    w.grad = 1.0
    return w


def edited(key, x):
    """An optimizer with a setting that was edited later."""
    optimizer = optim.SGD([with_gradient()], 0.1)
    optimizer.param_groups[0][key] = x
    return optimizer


@pytest.mark.parametrize("line", [line for line in WRONG.splitlines() if line])
def test_wrong_use_gets_a_sentence(line):
    source, error, words = (part.strip() for part in line.split(" | "))
    with pytest.raises(getattr(__builtins__, error, None) or __builtins__[error]) as caught:
        eval(source)
    assert words in str(caught.value)


def test_numbers_of_other_classes_are_settings_too():
    optimizer = optim.SGD([V], Fraction(1, 4), np.float32(0.5), weight_decay=1)
    assert [type(x) for x in optimizer.defaults.values()] == [float, float, float, bool, float]
    assert optimizer.defaults["lr"] == 0.25


def test_a_strict_array_keeps_its_device():
    w = tg.Value(array_api_strict.ones(2, device=array_api_strict.Device("device1")))
    optimizer = optim.SGD([w], 0.5, 0.5)
    optimizer.state[w] = {"momentum_buffer": nd.asarray([1.0, 1.0])}
    w.grad = 1.0
    optimizer.step()
    assert w.data.device == array_api_strict.Device("device1")
    assert np.asarray(array_api_strict.asarray(w.data, device=array_api_strict.Device("CPU_DEVICE"))).tolist() == [0.25, 0.25]


def test_the_learning_rate_of_all_groups_by_its_short_name():
    x, y = tg.Value([1.0]), tg.Value([1.0])
    optimizer = tg.optim.SGD([{"params": [x]}, {"params": [y], "lr": 0.5}], lr=0.1)
    assert optimizer.lr == 0.1
    optimizer.lr = 0.25
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
    for wrong in (-1.0, float("nan"), "fast"):
        with pytest.raises((TypeError, ValueError), match="SGD: lr"):
            optimizer.lr = wrong
    assert optimizer.lr == 0.25
