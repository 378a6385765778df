"""Calls of modules are remembered with their results, and forgotten with them."""

import copy
import gc
import pickle
import threading
from itertools import pairwise

import pytest

import tinygrad_sm as tg
from tinygrad_sm import nn
from tinygrad_sm.nn.module import Call, calls_of


class Fn(nn.Module):
    """A module of a function."""

    def __init__(self, function, *parts):
        self.function, self.parts = function, parts

    def forward(self, *inputs):
        return self.function(*inputs)


def alive():
    """How many calls are remembered anywhere."""
    return sum(type(x) is Call for x in gc.get_objects())


def modules(value):
    return [call.module for call in calls_of(value)]


def made_in(call, value):
    return call.end < value._order < call.start


def test_a_result_knows_the_calls_it_came_out_of_inner_ones_first():
    inner, outer = nn.Linear(2, 3), nn.ReLU()
    model = nn.Sequential(inner, outer)
    y = model(tg.Value([1.0, 2.0]))
    assert modules(y) == [outer, model] and modules(y.inputs[0]) == [inner]
    calls = calls_of(y)
    assert calls[0].end > calls[1].end and calls[0].start < calls[1].start  # one within the other, counting down
    assert made_in(calls[1], y.inputs[0]) and not made_in(calls[0], y.inputs[0])
    assert calls_of(model[0].weight) == calls_of(tg.Value(1.0)) == ()


@pytest.mark.parametrize(
    ("outputs", "known"),
    [
        (lambda x: (x * 2.0, -x), [True, True]),
        (lambda x: [x.exp()], [True]),
        (lambda x: {"a": x.exp(), "b": 3.0}, [True, False]),
        (lambda x: x, [False]),  # it was made by somebody else
        (lambda x: (x, x * 2.0), [False, True]),
        (lambda x: 3.0, [False]),
        (lambda x: tg.Value(2.0), [False]),  # a leaf is no result
        (lambda x: (x * 2.0).detach(), [False]),
    ],
)
def test_of_several_results_those_that_were_computed_in_it(outputs, known):
    module = Fn(outputs)
    found = module(tg.Value(3.0).exp())
    found = [*found.values()] if isinstance(found, dict) else found if isinstance(found, (list, tuple)) else [found]
    assert [modules(x) == [module] if isinstance(x, tg.Value) else False for x in found] == known


def test_results_may_lie_within_each_other():
    module = Fn(lambda x: (x.exp(), (x * 2.0, {"far": x * 3.0})))
    out, (state, further) = module(tg.Value(1.0))
    assert modules(out) == modules(state) == [module]
    assert modules(further["far"]) == []
    module = Fn(lambda x: {"h": [x.exp(), x * 2.0], "n": 3})
    assert [modules(x) for x in module(tg.Value(1.0))["h"]] == [[module], [module]]


def test_each_call_of_a_shared_module_is_one_of_its_own():
    layer = nn.Linear(2, 2)
    x = tg.Value([1.0, 2.0])
    first, second = layer(x), layer(x)
    (a,), (b,) = calls_of(first), calls_of(second)
    assert a is not b and a.module is b.module is layer and a.end > b.start
    assert modules(layer(first)) == [layer]


def test_what_is_not_recorded_is_not_remembered():
    layer, before = nn.Linear(2, 2), alive()
    with tg.no_grad():
        kept = layer([1.0, 2.0])
    assert alive() == before and calls_of(kept) == ()
    recorded = layer([1.0, 2.0])
    assert alive() == before + 1 and modules(recorded) == [layer]


def test_an_error_leaves_no_call():
    def fail(x):
        raise ValueError("no")

    before = alive()
    inner = nn.Linear(2, 2)

    def half(x):
        inner(x)
        raise ValueError("no")

    for function in (fail, half):
        with pytest.raises(ValueError, match="no"):
            Fn(function)([1.0, 2.0])
    assert alive() == before


def test_calls_are_forgotten_with_the_graph_without_the_collector():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), Fn(lambda x: (x.exp(), x * 2.0)), Fn(lambda both: both[0] + both[1]))
    gc.collect()
    before = alive()
    gc.disable()
    try:
        for _ in range(20):
            loss = model(tg.Value([1.0, 2.0])).sum()
            assert alive() == before + 5
            loss.backward()
            del loss
        assert alive() == before
        del model
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_result_may_be_kept_by_the_module():
    class Keeps(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            self.seen = self.layer(x)
            return tg.relu(self.seen)

    model = Keeps()
    model([1.0, 2.0])
    assert modules(model.seen) == [model.layer]
    twin = copy.deepcopy(nn.Sequential(nn.Linear(2, 2)))
    assert pickle.loads(pickle.dumps(twin[0].weight)).shape == (2, 2) and calls_of(twin([1.0, 2.0])) != ()


def test_a_module_that_keeps_its_own_result_can_be_collected():
    class Keeping(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(2, 2)

        def forward(self, x):
            self.seen = self.inner(x)
            return self.seen

    gc.collect()
    before = alive()
    Keeping()([1.0, 2.0])
    gc.collect()
    assert alive() == before


def test_many_calls_within_each_other():
    class Deep(nn.Module):
        def forward(self, x, depth):
            return self(x, depth - 1) if depth else -x

    y = Deep()(tg.Value(1.0), 200)
    calls = calls_of(y)
    assert len(calls) == 201
    assert all(inner.start < outer.start and inner.end > outer.end for inner, outer in pairwise(calls))


def test_threads_call_the_same_module():
    layer, found = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), []

    def work():
        for _ in range(50):
            y = layer(tg.Value([1.0, 2.0]))
            found.append((modules(y), all(made_in(call, y) for call in calls_of(y))))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [([layer[1], layer], True)] * 200
