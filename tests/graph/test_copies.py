"""Leaves can be copied and pickled, results cannot; detach and constant cut the history off."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_sm as tg
from tests.helpers.engine import chain, kind
from tests.helpers.every_op import A
from tinygrad_sm import micro, nd


@pytest.mark.parametrize("data", [3.0, nd.asarray(A), np.asarray(A), nd.exact(A)], ids=["float", "nd", "numpy", "decimals"])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_leaves_can_be_copied(data, duplicate):
    x = tg.Value(data, name="weight")
    x.backward(1.0 if type(data) is float else data)
    twin = duplicate(x)
    assert twin is not x and twin.name == "weight" and twin.requires_grad and twin.op is None
    assert kind(twin.data) == kind(x.data) and twin.tolist() == x.tolist()
    assert twin.has_grad and kind(twin.grad) == kind(x.grad)
    (twin * twin).sum().backward()
    assert tg.Value(x.grad).tolist() == (1.0 if type(data) is float else x.tolist())
    assert (twin + x).inputs == (twin, x)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_network_can_be_copied(duplicate):
    network = micro.MLP(2, [3, 1])
    network([1.0, -2.0]).backward()
    twin = duplicate(network)
    assert twin([1.0, -2.0]).data == network([1.0, -2.0]).data
    assert [p.grad for p in twin.parameters()] == [p.grad for p in network.parameters()]
    twin.parameters()[0].data += 1.0
    assert twin.parameters()[0].data != network.parameters()[0].data


def test_a_deep_copy_shares_no_array():
    x = tg.Value(np.ones(2))
    twin, alias = copy.deepcopy([x, x])
    assert twin is alias and twin.data is not x.data
    twin.data[0] = 5.0
    assert x.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_results_cannot_be_copied_and_the_error_says_what_to_do(duplicate):
    _, y = chain(3_000)
    with pytest.raises(TypeError, match=r"only a leaf can be .*result of add.*v\.detach\(\)"):
        duplicate(y)
    assert duplicate(y.detach()) is not None


def test_detach_and_constant():
    x = tg.Value([1.0, 2.0], name="x")
    y = x * x
    assert y.detach().data is y.data and not y.detach().requires_grad and y.detach().op is None
    assert tg.grad((x * tg.constant(x)).sum(), x).tolist() == [1.0, 2.0]
    row = nd.asarray([1.0])
    assert tg.constant(row) is row and tg.constant(2.0) == 2.0


@pytest.mark.parametrize("op", [tg.tanh, tg.softmax, tg.matmul], ids=lambda op: op.name)
def test_an_op_is_copied_and_pickled_by_name_as_functions_are(op):
    assert copy.copy(op) is op
    assert copy.deepcopy([op])[0] is op
    assert pickle.loads(pickle.dumps(op)) is op
