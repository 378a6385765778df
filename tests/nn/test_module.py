"""Modules: what counts as a parameter and under which name, weights in and out, libraries, modes, text, copies and seeds."""

import copy
import pickle
import re
import subprocess
import sys
from collections import OrderedDict, UserDict, UserList, deque
from decimal import Decimal
from functools import partial
from types import MappingProxyType

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.engine import kind
from tinygrad_sm import nd
from tinygrad_sm.nn import MLP, Dropout, Embedding, LayerError, LayerNorm, Linear, Module, ReLU, Sequential, Tanh
from tinygrad_sm.nn import module as module_file


class Listed(Module, UserList):
    """A module that is a sequence too."""

    def __init__(self, **parts):
        UserList.__init__(self)
        vars(self).update(parts)


class Net(Module):
    """A module with the given attributes."""

    def __init__(self, **parts):
        vars(self).update(parts)

    def forward(self, x):
        return x


def names(module):
    return [name for name, _ in module.named_parameters()]


def numbers(module):
    return {name: x.tolist() for name, x in module.named_parameters()}


# --- what is found, and how it is called


def v():
    return tg.Value([1.0, 2.0])


@pytest.mark.parametrize(
    ("build", "want"),
    [
        (lambda: Net(), ""),
        (lambda: Net(b=v(), a=v()), "b a"),
        (lambda: Net(x=[v(), v()], y=(v(),), z={"k": v(), 3: v()}), "x.0 x.1 y.0 z.k z.3"),
        (lambda: Net(x=[[v()], {"k": [1.0, v()]}]), "x.0.0 x.1.k.1"),
        (lambda: Net(x=deque([v(), Net(w=v())]), y=UserList([[v()]])), "x.0 y.0.0 x.1.w"),
        (lambda: Net(x=OrderedDict(k=v()), y=MappingProxyType({"k": v()}), z=UserDict(k=[Net(w=v())])), "x.k y.k z.k.0.w"),
        (
            lambda: Net(a=Listed(v=v()), b="ab", c=b"ab", d=["ab", b"ab"], e=range(10**18), f=bytearray(2), g=memoryview(b"a")),
            "a.v",
        ),
        (lambda: Net(a={1, "b", None}, b=frozenset([(1, 2)]), c={"k": 1}.keys()), ""),
        (lambda: Net(part=Net(part=Net(w=v()))), "part.part.w"),
        (lambda: Net(parts=[Net(w=v()), (Net(w=v()),)]), "parts.0.w parts.1.0.w"),
        (lambda: Net(part=Net(w=v()), w=v()), "w part.w"),  # own ones first, as in PyTorch
        (lambda: Net(p=Net(), q=None, r=3, s="w", t=nd.zeros(2), u=[1.0], f=v, c=tg.Value), ""),
        (lambda: Net(w=tg.Value([1.0], requires_grad=False)), "w"),
        (lambda: Linear(2, 3), "weight bias"),
        (lambda: Linear(2, 3, bias=False), "weight"),
        (lambda: Sequential(Linear(2, 3), ReLU(), tg.tanh, Sequential(Linear(3, 1))), "0.weight 0.bias 3.0.weight 3.0.bias"),
        (lambda: MLP([2, 3, 1]), "layers.0.weight layers.0.bias layers.1.weight layers.1.bias"),
    ],
)
def test_parameters_are_the_leaves_among_the_attributes(build, want):
    module = build()
    assert names(module) == [*module.state_dict()] == want.split()
    assert [*module.parameters()] == [p for _, p in module.named_parameters()]


@pytest.mark.parametrize("kind", [set, frozenset, lambda parts: dict.fromkeys(parts).keys()], ids=["set", "frozenset", "keys"])
@pytest.mark.parametrize("part", [v, lambda: Net(w=v()), lambda: Net(), lambda: (1.0, v()), lambda: v() * 2.0])
def test_a_set_of_parameters_is_refused_for_it_has_no_order(kind, part):
    parts = kind([1.0, part()])
    for module, path in ((Net(w=v(), parts=parts), "parts"), (Net(a=[Net(b={"c": parts})]), "a.0.b.c")):
        message = (
            rf"^{re.escape(path)} of Net is a {type(parts).__name__} of modules or Values; keep them in a list: a set has no"
        )
        for use in (names, Module.state_dict, lambda m: m([1.0])):
            with pytest.raises(TypeError, match=message):
                use(module)
        assert f"  {path}" not in repr(module) and module.eval() is module  # to look at it is no mistake


def test_long_lists_of_numbers_are_not_looked_into(monkeypatch):
    module = Net(x=[0.5, 1, True, "a", None] * 1000, y=dict.fromkeys(range(1000), 0.5), z={*range(1000)}, w=v())
    seen = []
    joined = module_file._within
    monkeypatch.setattr(module_file, "_within", lambda entries: joined(seen.append(entry) or entry for entry in entries))
    assert names(module) == ["w"] and {name for name, _ in seen} == {*"xyzw"}


def structures():
    """Attributes: Values, modules of attributes, and lists, tuples and dicts of them, with plain things among them."""
    leaf = st.builds(v) | st.sampled_from([None, 1.0, "text"])
    key = st.sampled_from("abcd")

    def larger(inner):
        attributes = st.dictionaries(key, inner, max_size=3)
        lists = st.lists(inner, max_size=3)
        return lists | lists.map(tuple) | attributes | attributes.map(lambda d: Net(**d))

    return st.dictionaries(key, st.recursive(leaf, larger, max_leaves=12), max_size=4).map(lambda d: Net(**d))


def resolved(x, path):
    """What stands at a path, by getattr and indexing alone."""
    for name in path.split("."):
        x = getattr(x, name) if isinstance(x, Module) else x[name if isinstance(x, dict) else int(name)]
    return x


def all_values(x):
    inside = vars(x).values() if isinstance(x, Module) else x.values() if isinstance(x, dict) else x
    if isinstance(x, tg.Value):
        return [x]
    return [y for part in inside for y in all_values(part)] if isinstance(x, (Module, dict, list, tuple)) else []


@settings(max_examples=40, deadline=None)
@given(structures())
def test_each_name_leads_to_its_parameter_and_none_is_lost(module):
    found = dict(module.named_parameters())
    assert {*found.values()} == {*all_values(module)} and len(found) == len(all_values(module))
    assert all(resolved(module, path) is x for path, x in found.items())
    assert [*module.state_dict()] == [*found]
    for path, part in module.named_modules():
        assert (resolved(module, path) if path else module) is part
    twin = copy.deepcopy(module)
    for p in twin.parameters():
        p.data = p.data + 1.0
    assert numbers(twin.load_state_dict(module.state_dict())) == numbers(module)


def test_what_is_shared_counts_once_and_is_saved_under_each_name():
    w, part = v(), Linear(2, 3)
    module = Net(a=part, b=part, c=w, d=[w, Net(w=w)])
    assert names(module) == ["c", "a.weight", "a.bias"]
    assert [*module.state_dict()] == ["c", "d.0", "a.weight", "a.bias", "b.weight", "b.bias", "d.1.w"]
    assert [*module.modules()] == [module, part, module.d[1]]
    assert repr(module).startswith("Net() with 11 parameters")
    copied = copy.deepcopy(module)
    assert copied.a is copied.b and copied.d[1].w is copied.c is not w


def test_modules_may_refer_to_each_other_and_to_themselves():
    child = Net(w=v())
    parent = Net(child=child, w=v())
    child.parent = child.me = parent
    assert names(parent) == ["w", "child.w"] and names(child) == ["w", "parent.w"]
    assert parent.eval() is parent and not child.training
    assert copy.deepcopy(parent).child.parent.child.w.tolist() == [1.0, 2.0]
    assert names(copy.deepcopy(parent)) == names(parent)
    assert "4 parameters" in repr(parent)


def test_a_module_with_many_ways_through_it_is_walked_once():
    parts = [Net(w=v()) for _ in range(30)]
    for one in parts:
        one.others = parts
    assert len([*parts[0].named_parameters()]) == 30  # 30! ways


def test_keys_that_read_alike_lose_no_parameter():
    module = Net(a={1: v(), "1": v()})
    assert len([*module.parameters()]) == 2
    with pytest.raises(ValueError, match=r"two parameters are named 'a\.1'"):
        module.state_dict()


def test_two_parameters_cannot_be_saved_under_one_name():
    module = Net(a={"b.c": v(), "b": {"c": v()}})
    for save in (module.state_dict, lambda: module.load_state_dict({})):
        with pytest.raises(ValueError, match=r"two parameters are named 'a\.b\.c'"):
            save()


# --- Values that are results


class Scaled(Module):
    def __init__(self):
        self.bias = v()
        self.weight = v() * 0.1

    def forward(self, x):
        return x * self.weight


@pytest.mark.parametrize(
    "use",
    [
        lambda m: [*m.parameters()],
        lambda m: m.state_dict(),
        lambda m: m.load_state_dict({}),
        lambda m: m.zero_grad(),
        lambda m: m([1.0]),
        lambda m: m.to(np),
    ],
)
def test_a_parameter_that_training_would_not_reach_is_refused(use):
    for module, path in ((Scaled(), "weight"), (Net(parts=[Scaled()]), r"parts\.0\.weight")):
        with pytest.raises(TypeError, match=rf"^{path} of Scaled is the result of multiply, so training would not reach it"):
            use(module)
        assert repr(module) and module.eval() is module  # to look at it is no mistake


class Keeps(Module):
    """Keeps what it computes, and hands it on to a part that has not been called yet."""

    def __init__(self):
        self.inner, self.last = Linear(2, 2), Linear(2, 2)

    def forward(self, x):
        self.hidden = self.inner(x)
        self.last.context = self.hidden
        return self.last(self.hidden)


def test_results_that_forward_keeps_are_no_parameters():
    module = Keeps()
    want = names(module)
    for _ in range(2):
        module([[1.0, 2.0]])
        assert names(module) == [*module.state_dict()] == want
    assert names(module.inner) == ["weight", "bias"]
    called_alone = Linear(2, 2)
    called_alone.seen = called_alone([1.0, 2.0])
    assert names(Net(part=called_alone)) == ["part.weight", "part.bias"]


def test_a_frozen_parameter_is_saved_and_moved_but_not_trained():
    model = MLP([2, 3, 2], activation="tanh")
    frozen = model.layers[0].weight
    frozen.requires_grad = False
    before = numbers(model)
    tg.cross_entropy(model([[1.0, -2.0]]), [1]).backward()
    tg.optim.SGD(model.parameters(), lr=0.5).step()
    changed = {name for name, x in numbers(model).items() if x != before[name]}
    assert changed == {"layers.0.bias", "layers.1.weight", "layers.1.bias"} and not frozen.has_grad
    assert "layers.0.weight" in model.to(np).state_dict() and type(frozen.data) is np.ndarray
    assert not copy.deepcopy(model).layers[0].weight.requires_grad


# --- weights in and out


@pytest.mark.parametrize("xp", [nd, np], ids=["nd", "numpy"])
def test_a_state_stays_as_it_is_when_training_goes_on(xp):
    model = MLP([2, 3, 2], activation="tanh").to(xp)
    state = model.state_dict()
    saved, output = numbers(model), model([[1.0, -2.0]]).tolist()
    for optimizer in (tg.optim.SGD, tg.optim.Adam):
        tg.cross_entropy(model([[1.0, -2.0]]), [1]).backward()
        optimizer(model.parameters(), lr=0.5).step()
    assert numbers(model)["layers.1.bias"] != saved["layers.1.bias"]
    assert {name: tg.Value(x).tolist() for name, x in state.items()} == saved
    assert model.load_state_dict(state)([[1.0, -2.0]]).tolist() == output


def test_what_is_loaded_is_copied():
    model = Linear(2, 1).to(np)
    source = {"weight": np.array([[1.0, 2.0]]), "bias": np.array([3.0])}
    model.load_state_dict(source)
    source["weight"][:] = 9.0
    model.bias.data[:] = 7.0
    assert model.weight.tolist() == [[1.0, 2.0]] and source["bias"].tolist() == [3.0]
    twin = Linear(2, 1).to(np).load_state_dict(model.state_dict())
    twin.weight.data[:] = 0.0
    assert model.weight.tolist() == [[1.0, 2.0]]


MAKERS = {
    "lists": lambda x: x,
    "tuples": lambda x: tuple(map(tuple, x)) if isinstance(x[0], list) else tuple(x),
    "Values": tg.Value,
    "nd": nd.asarray,
    "numpy": np.array,
    "float32": lambda x: np.array(x, dtype=np.float32),
    "ints": lambda x: np.array(x).astype(int),
    "strict": strict.asarray,
    "decimals": lambda x: nd.exact(x),
}
TARGETS = {
    "nd": lambda m: m.to(nd),
    "numpy": lambda m: m.to(np),
    "strict": lambda m: m.to(strict),
    "float32": lambda m: narrow(m),
}


def narrow(model):
    for p in model.to(np).parameters():
        p.data = p.data.astype(np.float32)
    return model


@pytest.mark.parametrize("source", MAKERS)
@pytest.mark.parametrize("target", TARGETS)
def test_any_library_loads_into_any_other(source, target):
    model = TARGETS[target](Linear(2, 2))
    before = {name: kind(p.data) for name, p in model.named_parameters()}
    objects = [*model.parameters()]
    weight, bias = [[1.0, -2.0], [3.0, 4.0]], [5.0, 1e9]
    assert model.load_state_dict({"bias": MAKERS[source](bias), "weight": MAKERS[source](weight)}) is model
    assert numbers(model) == {"weight": weight, "bias": bias}
    assert {name: kind(p.data) for name, p in model.named_parameters()} == before
    assert [*model.parameters()] == objects and all(p.op is None and p.requires_grad for p in objects)


def test_a_single_number_and_decimals():
    module = Net(a=tg.Value(1.0), b=tg.Value(nd.exact([Decimal("0.1")])))
    assert module.state_dict()["a"] == 1.0
    module.load_state_dict({"a": np.float64(2.5), "b": [0.5]})
    assert module.a.data == 2.5 and type(module.a.data) is float and type(module.b.data) is nd.Decimals
    third = nd.exact(1, 60) / nd.exact(3, 60)
    assert Net(b=tg.Value(0.5)).load_state_dict({"b": third}).b.data == 1 / 3
    assert Net(b=tg.Value([0.5])).load_state_dict({"b": nd.reshape(third, (1,))}).b.tolist() == [1 / 3]


GOOD = {"0.weight": [[1.0, 2.0]], "0.bias": [3.0], "1.weight": [[4.0]], "1.bias": [5.0]}


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({}, KeyError, "load_state_dict: the state has no '0.weight' (shape (1, 2)), which the network has"),
        ({"1.bias": None}, KeyError, "the state has no '1.bias' (shape (1,))"),
        ({"0.bias": None, "1.bias": None}, KeyError, "the state has no '0.bias'"),
        ({"1.scale": [1.0], "2.weight": [1.0]}, KeyError, "the state has '1.scale', which the network has not"),
        ({"0.weight": [[1.0], [2.0]]}, ValueError, "'0.weight' has shape (2, 1) in the state and (1, 2) in the network"),
        ({"1.bias": 5.0}, ValueError, "'1.bias' has shape () in the state and (1,) in the network"),
        ({"1.weight": [[4.0, 4.0]], "1.bias": [5.0, 5.0]}, ValueError, "'1.weight' has shape (1, 2)"),
        ({"1.bias": ["a"]}, TypeError, "load_state_dict: '1.bias': "),
        ({"1.bias": [True]}, TypeError, "load_state_dict: '1.bias': "),
        ({"1.bias": [1j]}, TypeError, "load_state_dict: '1.bias': "),
        ({"1.weight": [[1.0], [2.0, 3.0]]}, ValueError, "load_state_dict: '1.weight': "),
        ({"1.bias": [tg.Value(1.0)]}, TypeError, "load_state_dict: '1.bias': "),
        (None, TypeError, "load_state_dict: needs arrays by name, as state_dict() gives them, not NoneType"),
        ([1.0], TypeError, "not list"),
        (Linear(2, 1), TypeError, "not Linear"),
        ("model.safetensors", TypeError, "not str"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, error, message):
    if isinstance(state, dict) and state:
        state = {name: x for name, x in {**GOOD, **state}.items() if x is not None}
    model = Sequential(Linear(2, 1), Linear(1, 1))
    before = model.state_dict()
    with pytest.raises(error, match=re.escape(message)) as caught:
        model.load_state_dict(state)
    assert type(caught.value).__str__(caught.value)[0] not in "'\""  # a sentence, not a KeyError's quotes
    after = model.state_dict()
    assert all(after[name] is before[name] for name in before)


def test_without_strict_what_both_have_is_loaded():
    model = Sequential(Linear(2, 1), Linear(1, 1))
    rest = model.state_dict()["0.bias"]
    model.load_state_dict({"0.weight": [[7.0, 8.0]], "9.bias": [1.0]}, strict=False)
    assert model[0].weight.tolist() == [[7.0, 8.0]] and model[0].bias.data is rest
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"'1\.bias' has shape"):
        model.load_state_dict({"0.weight": [[0.0, 0.0]], "1.bias": [1.0, 2.0]}, strict=False)
    assert model.state_dict()["0.weight"] is before["0.weight"]


# --- other libraries

ODD = [[0.0, -0.0, 5e-324], [float("inf"), float("-inf"), float("nan")], [1 / 3, 1e308, -(2.0**-1074)]]


def bits(x):
    return np.array(x.tolist() if isinstance(x, tg.Value) else x).tobytes()


ROUTES = [[np], [strict], [np, nd], [strict, np, nd], [nd], [np, np]]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: " ".join(xp.__name__ for xp in route))
def test_moving_keeps_every_number_bit_for_bit(route):
    module = Net(w=tg.Value(ODD), c=tg.Value(-0.0), part=Linear(3, 2), frozen=tg.Value([0.1], requires_grad=False))
    objects = {name: (p, bits(p)) for name, p in module.named_parameters()}
    for xp in route:
        assert module.to(xp) is module
        for name, p in module.named_parameters():
            assert p is objects[name][0] and bits(p) == objects[name][1]
            assert type(p.data) is (float if name == "c" else type(xp.asarray([1.0])))
    assert names(module) == [*objects] and not module.frozen.requires_grad


def gradients(model):
    return {name: np.array(tg.Value(p.grad).tolist()) for name, p in model.named_parameters()}


ROWS = [[0.1, -1.0, 2.0, 0.5], [1.5, 0.0, -0.3, 0.2], [-2.0, 1.0, 1.0, 0.4]]
NETWORKS = {
    "layers": lambda: [Linear(4, 6), LayerNorm(6), tg.nn.GELU(), Linear(6, 4, bias=False), tg.nn.RMSNorm(4), Tanh(), Dropout()],
    "mlp": lambda: [MLP([4, 5, 3], activation="silu"), tg.nn.LogSoftmax()],
    "attention": lambda: [tg.nn.MultiHeadAttention(4, 2, causal=True), tg.nn.Softmax(axis=0)],
    "embedding": lambda: [Embedding(5, 4), tg.nn.MultiHeadAttention(4, 2), ReLU(), tg.nn.Sigmoid()],
}


@pytest.mark.parametrize("xp", [np, strict], ids=["numpy", "strict"])
@pytest.mark.parametrize("network", NETWORKS)
def test_networks_compute_the_same_in_every_library(network, xp):
    tg.manual_seed(1)
    model = Sequential(*NETWORKS[network]()).eval()
    x = [[0, 1, 4, 1], [2, 2, 2, 0]] if network == "embedding" else ROWS
    want = model(x)
    (want * want).sum().backward()
    wanted_gradients = gradients(model)
    model.to(xp)
    assert not any(p.has_grad for p in model.parameters())
    for same in (x, xp.asarray(x)):  # lists become arrays of the library of the weights
        model.zero_grad()
        output = model(same)
        (output * output).sum().backward()
        assert type(output.data) is type(xp.asarray(x)) and all(kind(p.grad) == kind(p.data) for p in model.parameters())
        np.testing.assert_allclose(output.tolist(), want.tolist(), rtol=1e-12, atol=1e-12)
        for name, g in gradients(model).items():
            np.testing.assert_allclose(g, wanted_gradients[name], rtol=1e-11, atol=1e-12)


def test_float32_stays_float32():
    model = narrow(Sequential(Linear(3, 4), LayerNorm(4), ReLU(), tg.nn.RMSNorm(4), Linear(4, 2)))
    for x in (np.ones((2, 3), dtype=np.float32), [[0.1, 1.0, 2.0]], [[1, 2, 3]]):
        loss = tg.cross_entropy(model(x), [0] * len(x))
        assert loss.dtype == np.float32
        model.zero_grad()
        loss.backward()
        assert all(p.grad.dtype == p.data.dtype == np.float32 for p in model.parameters())
    before = numbers(model)
    model.to(np)
    assert all(p.dtype == np.float32 for p in model.parameters())
    model.to(strict)
    assert all(p.dtype == strict.float32 for p in model.parameters()) and numbers(model) == before
    assert numbers(model.to(nd)) == before  # which is wider


@pytest.mark.parametrize("xp", ["numpy", None, tg, 3, np.float32, nd.zeros(2)])
def test_to_takes_a_library(xp):
    model = Linear(2, 1)
    with pytest.raises(TypeError, match=r"^to: needs a library of arrays, such as numpy or tinygrad_sm\.nd, not "):
        model.to(xp)
    assert type(model.weight.data) is nd.Array


# --- modes and gradients


def test_train_and_eval_reach_every_part():
    parts = [Dropout(0.5), Sequential(Dropout(0.5), tg.tanh)]
    module = Net(parts=parts, twice=parts[0])
    assert module.training and all(m.training for m in module.modules())
    assert module.eval() is module and not any(m.training for m in module.modules())
    assert parts[1].train() is parts[1] and parts[1][0].training and not parts[0].training
    assert module.train(False).training is False
    assert module.train() is module and all(m.training for m in module.modules())


def test_zero_grad_forgets_all_gradients():
    model = MLP([2, 3, 1])
    model([[1.0, 2.0]]).sum().backward()
    assert all(p.has_grad for p in model.parameters())
    assert model.zero_grad() is None
    assert not any(p.has_grad for p in model.parameters())


def test_a_module_without_forward_says_so():
    with pytest.raises(TypeError, match=r"^Module has no forward: define `def forward\(self, x\)`"):
        Module()(1.0)


def test_inputs_and_settings_reach_forward():
    class Sum(Module):
        def forward(self, *inputs, scale=1.0):
            return scale * sum(inputs)

    assert Sum()(1.0, 2.0, scale=3.0) == 9.0


def test_a_subclass_may_call_super_or_not():
    class Polite(Module):
        def __init__(self):
            super().__init__()
            self.w = v()

    assert names(Polite()) == ["w"] and Polite().training


# --- errors say where


class Block(Module):
    def __init__(self):
        self.first, self.second = Linear(3, 4), Linear(5, 2)

    def forward(self, x):
        return self.second(self.first(x))


HIDDEN = Linear(5, 5)


@pytest.mark.parametrize(
    ("model", "width", "message"),
    [
        (Linear(3, 2), 4, "Linear(3, 2): takes inputs of width 3, and got width 4 (shape (1, 4))"),
        (MLP([3, 4, 2]), 5, "layers.0, Linear(3, 4): takes inputs of width 3, and got width 5 (shape (1, 5))"),
        (Block(), 3, "second, Linear(5, 2): takes inputs of width 5, and got width 4 (shape (1, 4))"),
        (Sequential(ReLU(), Sequential(Block())), 3, "1.0.second, Linear(5, 2): takes inputs of width 5, and got width 4"),
        (Sequential(Linear(3, 4), LayerNorm(3)), 3, "1, LayerNorm(3, eps=1e-05): takes inputs of width 3, and got width 4"),
        (
            Sequential(tg.nn.RMSNorm((2, 3))),
            3,
            "0, RMSNorm((2, 3), eps=2.220446049250313e-16): takes inputs of shape (..., 2, 3), and got shape (1, 3)",
        ),
        (Sequential(tg.nn.MultiHeadAttention(4, 2)), 3, "0.query, Linear(4, 4): takes inputs of width 4, and got width 3"),
        (Sequential(lambda x: HIDDEN(x)), 3, "Linear(5, 5): takes inputs of width 5, and got width 3"),  # nobody knows where
    ],
)
def test_a_wrong_width_names_the_layer_and_its_place_in_the_whole_network(model, width, message):
    for _ in range(2):
        with pytest.raises(LayerError, match=rf"^{re.escape(message)}") as caught:
            model(tg.zeros(1, width))
        assert isinstance(caught.value, ValueError)


# --- text


def test_reprs():
    assert repr(Module()) == "Module() with 0 parameters"
    assert repr(Net(w=tg.Value(2.0))) == "Net() with 1 parameter: w ()"
    assert repr(Linear(3, 2, bias=False)) == "Linear(3, 2, bias=False) with 6 parameters: weight (2, 3)"
    assert repr(Sequential()) == "Sequential() with 0 parameters"
    assert repr(Sequential(Sequential(), Net(part=Net()))).splitlines()[1:] == ["  0       Sequential()", "  1.part  Net()"]
    model = Sequential(Embedding(1000, 64), MLP([64, 8, 2], activation=tg.tanh), Dropout(0.1), tg.nn.Softmax())
    assert repr(model).splitlines() == [
        "Sequential() with 64,538 parameters",
        "  0           Embedding(1000, 64)  weight (1000, 64)          64,000",
        "  1.layers.0  Linear(64, 8)        weight (8, 64), bias (8,)     520",
        "  1.layers.1  Linear(8, 2)         weight (2, 8), bias (2,)       18",
        "  2           Dropout(0.1)",
        "  3           Softmax(axis=-1)",
    ]
    assert repr(MLP([2, 1], activation=tg.tanh)).startswith("MLP([2, 1], activation='tanh') with 3 parameters\n")
    assert repr(tg.nn.CrossEntropyLoss(reduction="sum")) == "CrossEntropyLoss(reduction='sum') with 0 parameters"
    heads = repr(tg.nn.MultiHeadAttention(4, 2, causal=True))
    assert heads.startswith("MultiHeadAttention(4, num_heads=2, causal=True) with 80 parameters\n  query    Linear(4, 4)")
    assert repr(LayerNorm((2, 3))) == "LayerNorm((2, 3), eps=1e-05) with 12 parameters: weight (2, 3), bias (2, 3)"


def test_functions_in_a_sequential_have_a_row():
    class Named(Sequential):
        def __init__(self, *parts):
            super().__init__(*parts)
            self.head, self.other = [Linear(1, 1)], tg.tanh

    model = Sequential(Linear(2, 3), tg.relu, Sequential(abs, tg.tanh), Named(lambda x: x, ReLU()), partial(tg.softmax, axis=0))
    assert repr(model).splitlines() == [
        "Sequential() with 11 parameters",
        "  0         Linear(2, 3)  weight (3, 2), bias (3,)  9",
        "  1         relu",
        "  2.0       abs",
        "  2.1       tanh",
        "  3.0       <lambda>",
        "  3.1       ReLU()",
        "  3.head.0  Linear(1, 1)  weight (1, 1), bias (1,)  2",
        "  4         partial",
    ]
    assert [path for path, _ in model.named_modules()] == ["", "0", "2", "3", "3.1", "3.head.0"]
    assert repr(MLP([1, 1], activation=ReLU())).splitlines()[:2] == [
        "MLP([1, 1], activation=ReLU()) with 2 parameters",
        "  activation  ReLU()",
    ]


def test_the_repr_of_a_large_network_has_a_line_a_layer():
    text = repr(MLP([2] * 301))
    assert text.startswith("MLP([2, 2, ") and "with 1,800 parameters" in text
    lines = text.splitlines()
    assert len(lines) == 301 and lines[-1].split() == "layers.299 Linear(2, 2) weight (2, 2), bias (2,) 6".split()
    assert len({len(line) for line in lines[1:]}) == 1


# --- copies


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("xp", [nd, np], ids=["nd", "numpy"])
def test_a_copy_has_weights_of_its_own(duplicate, xp):
    tied = Linear(3, 3)
    model = Sequential(Linear(2, 3), Tanh(), tied, tied, Dropout(0.5), MLP([3, 2], activation="gelu")).to(xp).eval()
    model[0].bias.requires_grad = False
    inputs = xp.asarray([[1.0, -2.0]])
    model(inputs).sum().backward()
    twin = duplicate(model)
    assert twin(inputs).tolist() == model(inputs).tolist()
    assert [*twin.state_dict()] == [*model.state_dict()] and twin[2] is twin[3] and not twin[4].training
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert p is not q and p.requires_grad is q.requires_grad and p.name == q.name and kind(p.data) == kind(q.data)
        assert p.has_grad is q.has_grad and tg.Value(p.grad).tolist() == tg.Value(q.grad).tolist()
        q.data = q.data + 1.0
    assert all(p.tolist() != q.tolist() for p, q in zip(model.parameters(), twin.parameters(), strict=True))


def test_the_error_of_a_layer_can_be_pickled():
    with pytest.raises(LayerError) as caught:
        MLP([2, 3])([[1.0, 2.0, 3.0]])
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert str(caught.value).startswith("layers.0, Linear(2, 3): ")


def test_an_activation_with_parts_stands_in_the_repr_by_its_title():
    model = MLP([2, 3, 2], activation=Sequential(Linear(3, 3), Tanh()))
    assert repr(model).splitlines()[0] == "MLP([2, 3, 2], activation=Sequential()) with 29 parameters"


# --- seeds

WEIGHT, BIAS = [0.48708605360437546, 0.36480261511202994], [-0.1123287476268741]
PROGRAM = "import tinygrad_sm as tg; m = tg.nn.Linear(2, 1); print(m.weight.tolist(), m.bias.tolist())"


def test_a_seed_gives_the_same_weights_everywhere():
    """The numbers of the first three draws of `random.Random(0)`, times the bound 1 / sqrt(2)."""
    tg.manual_seed(0)
    model = Linear(2, 1)
    assert (model.weight.tolist(), model.bias.tolist()) == ([WEIGHT], BIAS)
    embedding = Embedding(1, 2)
    assert embedding.weight.tolist() == [[-0.8351368746928042, 0.039056780503224926]]
    tg.manual_seed(0)
    assert MLP([2, 1]).layers[0].weight.tolist() == [WEIGHT]


def test_a_program_that_never_seeds_draws_the_same_weights_in_every_run():
    output = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert output == f"{[WEIGHT]} {BIAS}\n"


def test_other_seeds_give_other_weights():
    def drawn(seed):
        tg.manual_seed(seed)
        return Linear(2, 2).weight.tolist()

    seeds = [0, 1, 2**70, None, None]
    weights = [drawn(seed) for seed in seeds]
    assert all(a != b for i, a in enumerate(weights) for b in weights[:i])
    tg.manual_seed(0)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(1, 4))
def test_initial_weights_lie_within_the_bounds_of_pytorch(n, m):
    layer = Linear(n, m)
    drawn = [x for row in layer.weight.tolist() for x in row] + layer.bias.tolist()
    assert all(abs(x) <= n**-0.5 for x in drawn)
    assert len({*drawn}) == len(drawn)
    if len(drawn) > 100:
        assert max(map(abs, drawn)) > 0.9 * n**-0.5 and abs(sum(drawn)) < 0.5 * len(drawn) * n**-0.5


class Watched(Module):
    """Watched a result for looking at."""

    def __init__(self):
        self.layer = Linear(2, 3)

    def forward(self, x):
        self.hidden = tg.relu(self.layer(x))
        return self.hidden


def test_a_result_kept_for_looking_at_is_no_state_however_it_was_computed():
    net, names = Watched(), ["layer.weight", "layer.bias"]
    net([[1.0, 2.0]])
    assert [*net.state_dict()] == names
    with tg.no_grad():
        net([[1.0, 2.0]])
    assert [*net.state_dict()] == names
    assert net.hidden.requires_grad is False
    Watched().load_state_dict(net.state_dict())


def test_a_constant_computed_from_constants_stays_state():
    class Shifted(Module):
        def __init__(self):
            self.shift = tg.Value([1.0], requires_grad=False)

        def forward(self, x):
            return x + self.shift

    assert [*Shifted().state_dict()] == ["shift"]


def test_forward_without_return_is_a_sentence():
    class Silent(Module):
        def forward(self, x):
            x + 1.0

    with pytest.raises(TypeError, match=r"^Silent\(\): forward returned None; does it end in `return`\?$"):
        Silent()(1.0)


def test_inputs_of_another_library_move_to_the_network():
    layer = Linear(2, 3)
    inputs = [[0.5, -1.0], [2.0, 0.25]]
    assert layer(np.asarray(inputs)).tolist() == layer(inputs).tolist()
    assert type(layer.to(np)(tg.nd.asarray(inputs)).data) is np.ndarray
