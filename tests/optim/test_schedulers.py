"""Each schedule against its rates worked out by hand, and what schedulers do when somebody else changes a rate."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tinygrad_sm import optim


def optimizer_with(*rates):
    """An optimizer with one group for each rate."""
    return optim.SGD([{"params": [tg.Value(1.0)], "lr": lr} for lr in rates], lr=1.0)


def rates_of(make, epochs, *start):
    """The rates of each epoch: numbers for one group, tuples for several."""
    optimizer = optimizer_with(*start or (1.0,))
    scheduler = make(optimizer)
    found = []
    for epoch in range(epochs):
        assert scheduler.last_epoch == epoch
        rates = [group["lr"] for group in optimizer.param_groups]
        assert scheduler.get_last_lr() == rates
        found.append(tuple(rates) if start else rates[0])
        scheduler.step()
    return found


def sequence(o):
    return optim.SequentialLR(
        o, [optim.LinearLR(o, 0.5, 1.0, 2), optim.StepLR(o, 2, 0.5), optim.ExponentialLR(o, 0.25)], [2, 6]
    )


F = Fraction
BY_HAND = {
    "step": (lambda o: optim.StepLR(o, 3, 0.5), [1, 1, 1, F(1, 2), F(1, 2), F(1, 2), F(1, 4)]),
    "multi-step": (lambda o: optim.MultiStepLR(o, [4, 1, 2, 2], 0.5), [1, F(1, 2), F(1, 8), F(1, 8), F(1, 16), F(1, 16)]),
    "exponential": (lambda o: optim.ExponentialLR(o, 0.5), [1, F(1, 2), F(1, 4), F(1, 8)]),
    "linear": (lambda o: optim.LinearLR(o, total_iters=4), [F(1, 3), F(1, 2), F(2, 3), F(5, 6), 1, 1]),
    "linear down": (lambda o: optim.LinearLR(o, 1.0, 0.0, 2), [1, F(1, 2), 0, 0]),
    "cosine": (lambda o: optim.CosineAnnealingLR(o, 3), [1, F(3, 4), F(1, 4), 0, F(1, 4), F(3, 4), 1, F(3, 4)]),
    "cosine to a floor": (lambda o: optim.CosineAnnealingLR(o, 2, 0.5), [1, F(3, 4), F(1, 2), F(3, 4), 1]),
    "a function": (lambda o: optim.LambdaLR(o, lambda epoch: 1 / (epoch + 1)), [1, F(1, 2), F(1, 3), F(1, 4)]),
    "a sequence": (sequence, [F(1, 2), F(3, 4), 1, 1, F(1, 2), F(1, 2), 1, F(1, 4)]),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_rates_by_hand(name):
    make, wanted = BY_HAND[name]
    assert rates_of(make, len(wanted)) == pytest.approx([*map(float, wanted)], rel=1e-14, abs=1e-16)


def test_every_group_has_its_rate():
    rates = rates_of(lambda o: optim.StepLR(o, 1, 0.5), 3, 1.0, 0.25)
    assert rates == [(1.0, 0.25), (0.5, 0.125), (0.25, 0.0625)]
    rates = rates_of(lambda o: optim.LambdaLR(o, [lambda e: e + 1, lambda e: 0.5**e]), 3, 1.0, 4.0)
    assert rates == [(1.0, 4.0), (2.0, 2.0), (3.0, 1.0)]
    rates = rates_of(lambda o: optim.CosineAnnealingLR(o, 2, 0.5), 3, 1.5, 2.5)
    assert rates == [(1.5, 2.5), (1.0, 1.5), (0.5, 0.5)]


def test_the_defaults_are_those_of_pytorch():
    assert rates_of(lambda o: optim.StepLR(o, 1), 2) == [1.0, 0.1]
    assert rates_of(lambda o: optim.MultiStepLR(o, [1]), 2) == [1.0, 0.1]
    assert rates_of(optim.LinearLR, 6)[::5] == [1 / 3, 1.0] and rates_of(optim.LinearLR, 5)[-1] < 1
    plateau = optim.ReduceLROnPlateau(optimizer_with(1.0))
    assert plateau.state_dict() == {
        "base_lrs": [1.0],
        "_last_lr": [1.0],
        "last_epoch": 0,
        "mode": "min",
        "reduction": 0.1,
        "patience": 10,
        "threshold": 1e-4,
        "threshold_mode": "rel",
        "cooldown": 0,
        "min_lrs": [0.0],
        "eps": 1e-8,
        "best": math.inf,
        "num_bad_epochs": 0,
        "cooldown_counter": 0,
    }


# --- together with others


@given(st.integers(1, 4), st.floats(0.25, 4), st.floats(0.25, 4), st.integers(1, 12))
@settings(max_examples=30)
def test_two_schedulers_multiply(step_size, one, other, epochs):
    optimizer = optimizer_with(0.5)
    first, second = optim.StepLR(optimizer, step_size, one), optim.ExponentialLR(optimizer, other)
    for _ in range(epochs):
        first.step()
        second.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * one ** (epochs // step_size) * other**epochs)


def test_a_rate_changed_by_hand_is_where_the_schedule_goes_on():
    optimizer = optimizer_with(1.0)
    scheduler = optim.ExponentialLR(optimizer, 0.5)
    scheduler.step()
    optimizer.param_groups[0]["lr"] = 0.125
    rates = []
    for _ in range(3):
        scheduler.step()
        rates += scheduler.get_last_lr()
    assert rates == [0.0625, 0.03125, 0.015625]


def test_a_schedule_that_starts_at_zero_can_be_set_going_by_hand():
    optimizer = optimizer_with(1.0)
    scheduler = optim.LambdaLR(optimizer, lambda epoch: 0.0 if epoch < 2 else 0.5)
    optimizer.param_groups[0]["lr"] = 4.0
    scheduler.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [2.0]


def test_the_rate_at_the_start_is_remembered():
    optimizer = optimizer_with(1.0)
    optim.LinearLR(optimizer, 0.5)
    optim.ExponentialLR(optimizer, 0.5)
    assert optimizer.param_groups[0] | {"params": []} == {
        **optimizer.defaults,
        "lr": 0.5,
        "initial_lr": 1.0,
        "params": [],
    }


def test_the_rates_handed_out_are_a_copy():
    scheduler = optim.ExponentialLR(optimizer_with(1.0), 0.5)
    scheduler.get_last_lr()[0] = 7.0
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5]


def test_an_error_in_a_function_changes_nothing():
    optimizer = optimizer_with(1.0, 2.0)
    scheduler = optim.LambdaLR(optimizer, [lambda e: 0.5**e, lambda e: 1 / (1 - e)])
    with pytest.raises(ZeroDivisionError):
        scheduler.step()
    assert scheduler.last_epoch == 0 and [group["lr"] for group in optimizer.param_groups] == [1.0, 2.0]


# --- plateaus

# settings | the metric of each epoch | the rate after it
PLATEAUS = """
factor=0.5, patience=0 | 3 2 2 2 1 | 1 1 .5 .25 .25
factor=0.5, patience=1 | 3 3 3 3 3 | 1 1 .5 .5 .25
factor=0.5, patience=1 | 3 3 2 2 2 | 1 1 1 1 .5
factor=0.5, patience=0, mode="max" | 1 2 2 3 2 | 1 1 .5 .5 .25
factor=0.5, patience=0, threshold=0.5 | 8 5 3 2 1.4 | 1 .5 .5 .25 .25
factor=0.5, patience=0, threshold=0.5, mode="max" | 2 2.9 3.1 4 | 1 .5 .5 .25
factor=0.5, patience=0, threshold=1, threshold_mode="abs" | 8 7.5 6.5 5.5 5 | 1 .5 .5 .25 .25
factor=0.5, patience=0, threshold=1, threshold_mode="abs", mode="max" | 1 1.5 2.5 3 | 1 .5 .5 .25
factor=0.5, patience=0, cooldown=2 | 1 1 1 1 1 1 1 1 | 1 .5 .5 .5 .25 .25 .25 .125
factor=0.5, patience=0, min_lr=0.25 | 1 1 1 1 1 | 1 .5 .25 .25 .25
factor=0.5, patience=0, eps=0.25 | 1 1 1 1 | 1 .5 .5 .5
factor=0.5, patience=0 | nan nan 1 nan | .5 .25 .25 .125
"""


@pytest.mark.parametrize("line", [line for line in PLATEAUS.splitlines() if line])
def test_plateaus(line):
    arguments, metrics, rates = line.split(" | ")
    scheduler = eval(f"optim.ReduceLROnPlateau(optimizer_with(1.0), {arguments})")
    found = []
    for epoch, metric in enumerate(metrics.split(), 1):
        scheduler.step(float(metric))
        assert scheduler.last_epoch == epoch
        found += scheduler.get_last_lr()
    assert found == [*map(float, rates.split())]


def test_a_plateau_takes_values_and_a_floor_for_each_group():
    optimizer = optimizer_with(1.0, 1.0)
    scheduler = optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, min_lr=[0.0, 0.75])
    for metric in (tg.Value(1.0), tg.nd.asarray([1.0]), 1):
        scheduler.step(metric)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.75]


def test_a_plateau_on_top_of_a_schedule():
    optimizer = optimizer_with(1.0)
    schedule, plateau = optim.ExponentialLR(optimizer, 0.5), optim.ReduceLROnPlateau(optimizer, factor=0.125, patience=0)
    for _ in range(2):
        schedule.step()
        plateau.step(1.0)
    assert plateau.get_last_lr() == [1 / 32]
    schedule.step()
    assert schedule.get_last_lr() == [1 / 64]


# --- saving

RESUMED = {name: make for name, (make, _) in BY_HAND.items()} | {
    "plateau": lambda o: optim.ReduceLROnPlateau(o, factor=0.5, patience=1, cooldown=1)
}


@pytest.mark.parametrize("name", RESUMED)
@pytest.mark.parametrize("order", ["scheduler", "scheduler, optimizer", "optimizer, scheduler"])
def test_a_saved_scheduler_goes_on(name, order):
    def step(scheduler):
        scheduler.step(*[1.0] * (name == "plateau"))
        return scheduler.get_last_lr()

    through = optimizer_with(1.0, 0.25)
    scheduler = RESUMED[name](through)
    for _ in range(4):
        step(scheduler)
    saved = {"scheduler": scheduler.state_dict(), "optimizer": through.state_dict()}
    assert all(isinstance(x, (int, float, str, list)) for x in saved["scheduler"].values())
    optimizer = optimizer_with(1.0, 0.25)
    parts = {"scheduler": RESUMED[name](optimizer), "optimizer": optimizer}
    for part in order.split(", "):
        parts[part].load_state_dict(saved[part])
    assert [group["lr"] for group in optimizer.param_groups] == scheduler.get_last_lr()
    assert [step(parts["scheduler"]) for _ in range(4)] == [step(scheduler) for _ in range(4)]


def test_what_was_saved_does_not_change_later():
    scheduler = optim.ExponentialLR(optimizer_with(1.0), 0.5)
    saved = scheduler.state_dict()
    saved["base_lrs"].append(7.0)
    scheduler.step()
    assert saved["last_epoch"] == 0 and scheduler.get_last_lr() == [0.5]


@pytest.mark.parametrize(
    ("scheduler", "text"),
    [
        (optim.StepLR(optimizer_with(1.0), 2), "StepLR(step_size=2, gamma=0.1, last_epoch=0, lr=1.0)"),
        (optim.ExponentialLR(optimizer_with(1.0, 0.5), 0.5), "ExponentialLR(gamma=0.5, last_epoch=0, lr=1.0|0.5)"),
        (optim.LambdaLR(optimizer_with(1.0), math.cos), "LambdaLR(last_epoch=0, lr=1.0)"),
    ],
)
def test_repr(scheduler, text):
    assert repr(scheduler) == text


# --- wrong use

WRONG = """
optim.StepLR(tg.Value(1.0), 2) | TypeError | StepLR: needs an optimizer, not Value
optim.StepLR(O, 0) | ValueError | StepLR: step_size is a whole number of at least 1, not 0
optim.StepLR(O, 1.5) | ValueError | StepLR: step_size is a whole number of at least 1, not 1.5
optim.StepLR(O, 2, -1) | ValueError | StepLR: gamma is -1
optim.ExponentialLR(O, "a") | TypeError | ExponentialLR: gamma is a plain number
optim.MultiStepLR(O, 30) | TypeError | MultiStepLR: milestones is a list of epochs, not of type int
optim.MultiStepLR(O, [3, -1]) | ValueError | MultiStepLR: each milestone is a whole number of at least 0, not -1
optim.LinearLR(O, -0.5) | ValueError | LinearLR: start_factor is -0.5
optim.LinearLR(O, 0.5, -1) | ValueError | LinearLR: end_factor is -1
optim.LinearLR(O, total_iters=0) | ValueError | LinearLR: total_iters is a whole number of at least 1
optim.CosineAnnealingLR(O, 0) | ValueError | CosineAnnealingLR: T_max is a whole number of at least 1
optim.CosineAnnealingLR(O, 2, -1) | ValueError | CosineAnnealingLR: eta_min is -1
optim.LambdaLR(O, 0.5) | TypeError | LambdaLR: lr_lambda is a function of the epoch
optim.LambdaLR(O, [abs, abs]) | ValueError | LambdaLR: 2 functions for 1 groups
optim.LambdaLR(O, lambda e: -1) | ValueError | LambdaLR: the lr of epoch 0 is -1.0, and should be at least 0 and finite
optim.LambdaLR(O, lambda e: math.nan) | ValueError | LambdaLR: the lr of epoch 0 is nan
optim.SequentialLR(O, [optim.StepLR(O, 1)], [1]) | ValueError | SequentialLR: 1 schedulers need 0 milestones
optim.SequentialLR(O, [optim.StepLR(O, 1)] * 3, [2, 1]) | ValueError | SequentialLR: 3 schedulers need 2 milestones
optim.SequentialLR(O, [optim.ReduceLROnPlateau(O)], []) | TypeError | SequentialLR: scheduler 0 is no schedule of epochs
optim.SequentialLR(optimizer_with(1.0), [optim.StepLR(O, 1)], []) | ValueError | scheduler 0 belongs to another optimizer
optim.ReduceLROnPlateau(O, "least") | ValueError | ReduceLROnPlateau: mode is 'min' or 'max', not 'least'
optim.ReduceLROnPlateau(O, threshold_mode="x") | ValueError | ReduceLROnPlateau: threshold_mode is 'rel' or 'abs', not 'x'
optim.ReduceLROnPlateau(O, factor=1.0) | ValueError | ReduceLROnPlateau: factor is 1.0, and should be at least 0 and below 1.0
optim.ReduceLROnPlateau(O, patience=-1) | ValueError | ReduceLROnPlateau: patience is a whole number of at least 0
optim.ReduceLROnPlateau(O, cooldown=-1) | ValueError | ReduceLROnPlateau: cooldown is a whole number of at least 0
optim.ReduceLROnPlateau(O, min_lr=[1, 2]) | ValueError | ReduceLROnPlateau: 2 numbers in min_lr for 1 groups
optim.StepLR(O, 1).load_state_dict({"last_epoch": 3}) | ValueError | StepLR.load_state_dict: needs what state_dict() gave
optim.StepLR(O, 1).load_state_dict(3) | ValueError | StepLR.load_state_dict: needs what state_dict() gave
optim.StepLR(O, 1).load_state_dict(of_two_groups()) | ValueError | StepLR.load_state_dict: rates of 2 groups, not 1
grown(O).step() | ValueError | StepLR: made for 1 groups of parameters, and there are 2 now
edited(O).step() | TypeError | StepLR: lr is a plain number, not of type Value
"""


def of_two_groups():
    """The state of a scheduler of two groups."""
    return optim.StepLR(optimizer_with(1.0, 2.0), 1).state_dict()


def grown(optimizer):
    """A scheduler whose optimizer has got another group."""
    scheduler = optim.StepLR(optimizer, 1)
    optimizer.add_param_group({"params": [tg.Value(1.0)]})
    return scheduler


def edited(optimizer):
    """A scheduler whose optimizer has got a Value for a rate."""
    scheduler = optim.StepLR(optimizer, 1)
    optimizer.param_groups[0]["lr"] = tg.Value(0.1)
    return scheduler


@pytest.mark.parametrize("line", [line for line in WRONG.splitlines() if line])
def test_wrong_use_gets_a_sentence(line):
    source, error, words = (part.strip() for part in line.split(" | "))
    optimizer = optimizer_with(1.0)
    with pytest.raises({"TypeError": TypeError, "ValueError": ValueError}[error]) as caught:
        eval(source, globals() | {"O": optimizer})
    assert words in str(caught.value)
