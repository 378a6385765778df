"""no_grad and composed: they nest, survive exceptions, and belong to one thread and one context."""

import asyncio
import contextvars
import threading

import pytest

import tinygrad_sm as tg
from tests.helpers.engine import chain
from tinygrad_sm.graph import sweep


def test_no_grad_records_nothing_and_is_restored():
    x = tg.Value(2.0)
    with tg.no_grad():
        y = x * x
        with tg.no_grad():
            pass
        z = tg.exp(x)
    assert not y.requires_grad and not z.requires_grad and y.inputs == z.inputs == () and y.op is None
    assert (x * x).requires_grad
    with pytest.raises(RuntimeError, match="inside"), tg.no_grad():
        raise RuntimeError("inside")
    assert (x * x).requires_grad

    @tg.no_grad()
    def decorated():
        return x * x

    assert not decorated().requires_grad and not decorated().requires_grad and (x * x).requires_grad


def names(value: tg.Value) -> set[str]:
    return {node.op.name for node, _, _ in sweep(value, tg.nd.ones(value.shape)) if node.op is not None}


def test_composed_records_primitives_and_is_restored():
    z = tg.Value([1.0, 2.0])
    assert names(tg.softmax(z)) == {"softmax"}
    with tg.composed():
        with tg.composed():
            assert "softmax" not in names(tg.softmax(z))
        assert "softmax" not in names(tg.softmax(z))
    assert names(tg.softmax(z)) == {"softmax"}
    with pytest.raises(IndexError), tg.composed():
        tg.cross_entropy(z, 7)
    assert names(tg.softmax(z)) == {"softmax"} and "softmax" not in names(tg.softmax.composed(z))
    with pytest.raises(IndexError):
        tg.cross_entropy.composed(z, 7)
    assert names(tg.softmax(z)) == {"softmax"}


def test_switches_belong_to_one_thread_and_one_context():
    x = tg.Value([1.0, 2.0])
    seen = {}

    def look(key):
        y = tg.softmax(x)
        seen[key] = (y.requires_grad, y.requires_grad and y.op.name)

    with tg.no_grad(), tg.composed():
        thread = threading.Thread(target=look, args=["thread"])
        thread.start()
        thread.join()
        inside = contextvars.copy_context()
    inside.run(look, "context")
    look("here")

    async def with_switch():
        with tg.no_grad():
            await asyncio.sleep(0)
            look("task")

    async def both():
        await asyncio.gather(with_switch(), without())

    async def without():
        await asyncio.sleep(0)
        look("other task")

    asyncio.run(both())
    assert seen == {
        "thread": (True, "softmax"),
        "context": (False, False),
        "here": (True, "softmax"),
        "task": (False, False),
        "other task": (True, "softmax"),
    }


def test_threads_build_graphs_side_by_side():
    totals = []

    def work(seed):
        x, y = chain(2_000 + seed)
        y.backward()
        totals.append(x.grad - seed)

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [2_001.0] * 4


def test_derivatives_of_functions_record_within_no_grad_too():
    with tg.no_grad():
        assert tg.jacobian(lambda x: x * x, [1.0, 2.0]).tolist() == [[2.0, 0.0], [0.0, 4.0]]
        assert tg.hessian(lambda x: x**3, 2.0) == 12.0
        assert tg.value_and_grad(lambda x: x * x)(3.0) == (9.0, 6.0)
        assert not (tg.Value(1.0) * 2.0).requires_grad
    x = tg.Value(3.0)
    y = x * x * x
    with tg.no_grad():
        first = tg.grad(y, x, create_graph=True)
    assert tg.grad(first, x) == 18.0
