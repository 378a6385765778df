"""Ctrl-C: the first ends a run after the step at hand, a second one at once, and afterwards all is as it was."""

import json
import signal
import subprocess
import sys

import pytest

import tinygrad_sm as tg
from tests.training.networks import by_hand, network, points, weights

X, Y = points(10)

# What happens in each scenario, run in an interpreter of its own, so that no signal can hit the tests.
PROGRAM = """
import json, os, signal, sys, threading
import tinygrad_sm as tg

X, Y = json.loads(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born to ignore it


def send():
    os.kill(os.getpid(), signal.SIGINT)


def raising():
    raise KeyboardInterrupt


def run(at, *actions, epochs=4, validation=None, turn=lambda x: x):
    # at: before which loss of the training (or, from 100 on, of the validation) the actions happen
    tg.manual_seed(7)
    model = tg.nn.MLP([2, 4, 2])
    calls = [0, 100]

    def loss(outputs, targets):
        if outputs.requires_grad or validation:
            calls[not model.training] += 1
            if at in calls:
                for action in actions:
                    action()
        return turn(tg.cross_entropy(outputs, targets))

    try:
        history = tg.fit(model, X, Y, loss=loss, epochs=epochs, batch_size=4, progress=False, validation=validation)
        error = None
    except BaseException as caught:
        history, error = getattr(caught, "history", tg.History()), repr(caught)
    handler = signal.getsignal(signal.SIGINT)
    return {
        "weights": {path: data.tolist() for path, data in model.state_dict().items()},
        "interrupted": history.interrupted,
        "steps": len(history.step_loss),
        "epochs": len(history.loss),
        "validated": len(history.validation_loss),
        "error": error,
        "restored": handler is signal.default_int_handler,
        "training": all(module.training for module in model.modules()),
    }


def once():
    return run(5, send)


def twice():
    return run(5, send, send)


def again_while_it_ends():
    return run(5, send) | {"second": run(5, send)["steps"]}


def raised_in_the_loss():
    return run(5, raising)


def at_the_end_of_an_epoch():
    return run(6, send)


def in_a_validation():
    return run(104, send, validation=(X, Y))  # 101 and 102 are what is tried out first, 103 is the first epoch


def in_the_last_validation():
    return run(103, send, epochs=1, validation=(X, Y))


def with_an_error_afterwards():
    return run(5, send) | {"lost": run(1, turn=lambda x: x * float("nan"))}


def with_a_handler_of_ones_own():
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    mine = signal.getsignal(signal.SIGINT)
    result = run(5, send) | {"seen": len(seen), "kept": signal.getsignal(signal.SIGINT) is mine}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return result


def where_it_is_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    result = run(5, send) | {"kept": signal.getsignal(signal.SIGINT) is signal.SIG_IGN}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return result


def in_a_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(run(1000)))
    thread.start()
    thread.join()
    return results[0]


scenarios = [f for f in [*globals().values()] if getattr(f, "__module__", "") == "__main__"]
print(json.dumps({f.__name__: f() for f in scenarios if f not in (send, raising, run)}))
"""


@pytest.fixture(scope="module")
def outcomes():
    done = subprocess.run([sys.executable, "-c", PROGRAM, json.dumps([X, Y])], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


def after(steps):
    """The weights after so many whole steps."""
    model = network()
    by_hand(model, X, Y, optimizer=tg.optim.Adam(model.parameters(), lr=0.01), epochs=4, batch_size=4, steps=steps)
    return weights(model)


# scenario, whether it says that it was interrupted, steps, epochs in the history
RUNS = [
    ("once", True, 5, 1),
    ("twice", True, 4, 1),
    ("again_while_it_ends", True, 5, 1),
    ("raised_in_the_loss", True, 4, 1),
    ("at_the_end_of_an_epoch", True, 6, 1),
    ("in_a_validation", True, 6, 2),
    ("in_the_last_validation", True, 3, 1),
    ("with_an_error_afterwards", True, 5, 1),
    ("with_a_handler_of_ones_own", False, 12, 4),
    ("where_it_is_ignored", False, 12, 4),
    ("in_a_thread", False, 12, 4),
]


@pytest.mark.parametrize(("scenario", "interrupted", "steps", "epochs"), RUNS, ids=[run[0] for run in RUNS])
def test_the_run_ends_after_a_whole_step(outcomes, scenario, interrupted, steps, epochs):
    outcome = outcomes[scenario]
    assert outcome["error"] is None
    assert (outcome["interrupted"], outcome["steps"], outcome["epochs"]) == (interrupted, steps, epochs)
    assert outcome["weights"] == after(steps)
    assert outcome["training"]


def test_every_scenario_is_looked_at(outcomes):
    assert {*outcomes} == {run[0] for run in RUNS}


def test_the_handler_is_as_it_was(outcomes):
    own = {"with_a_handler_of_ones_own", "where_it_is_ignored"}
    assert {name for name, outcome in outcomes.items() if outcome["restored"]} == {*outcomes} - own
    assert all(outcomes[name]["kept"] for name in own)
    assert outcomes["with_a_handler_of_ones_own"]["seen"] == 1
    assert outcomes["again_while_it_ends"]["second"] == 5  # the second run has its own first Ctrl-C
    lost = outcomes["with_an_error_afterwards"]["lost"]
    assert lost["restored"] and lost["error"].startswith("FloatingPointError") and lost["weights"] == after(0)


def test_what_is_validated_before_the_interrupt_counts(outcomes):
    assert outcomes["in_a_validation"]["validated"] == 2
    assert outcomes["in_the_last_validation"]["validated"] == 1


ENDLESS = """
import signal
import tinygrad_sm as tg

signal.alarm(100)  # an end of its own
signal.signal(signal.SIGINT, signal.default_int_handler)


def loss(outputs, targets):
    print("a step", flush=True)
    return tg.cross_entropy(outputs, targets)


model = tg.nn.MLP([2, 4, 2])
history = tg.fit(model, [[0.0, 1.0], [1.0, 0.0]] * 8, [0, 1] * 8, epochs=10**6, loss=loss)
print("afterwards:", history.interrupted, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_a_person_presses_ctrl_c():
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert [process.stdout.readline() for _ in range(3)] == ["a step\n"] * 3
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=100)
    assert process.returncode == 0 and errors == ""
    assert printed.endswith("afterwards: True True\n")
    assert "Interrupted in epoch" in printed


def test_a_run_that_nobody_interrupts_says_so():
    before = signal.getsignal(signal.SIGINT)
    assert not tg.fit(network(), X, Y, epochs=1, progress=False).interrupted
    assert signal.getsignal(signal.SIGINT) is before
