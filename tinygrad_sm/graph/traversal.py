"""The one walk back through a graph, from which backward, `tg.grad`, the drawings and the player take what they need; and
the list of what a Value was computed from, for those who only look.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush, heappushpop
from typing import TYPE_CHECKING, Any

from tinygrad_sm import nd

if TYPE_CHECKING:
    from tinygrad_sm.graph.value import Value


def sweep(output: Value, seed: Any) -> Iterator[tuple[Value, Any, tuple]]:
    """Yield each node that the gradient reaches, newest first, as (node, gradient, contributions).

    The gradient of a node is complete when it is yielded: whatever uses a node is newer than the node. `contributions` has
    one entry for each of `node.inputs`: what this node adds to the gradient of that input (None: it needs none).

    The newest node still waiting comes next. It is nearly always an input of the node just done, which is therefore kept in
    the hand; only the others wait, by age, in a heap. So the memory is that of the graph's widest place, and nothing recurses.
    """
    node, gradient = output, seed
    waiting: dict[int, Value] = {}
    sums: dict[int, Any] = {}
    ages: list[int] = []
    while True:
        op, b = node.op, node._right_data
        hand = None
        age = 0
        if b is not None and type(gradient) is float:
            # Two single numbers: most nodes of scalar programs. This is the general path below, unrolled.
            left, right, a = node._left, node._right, node._left_data
            left_amount = right_amount = None
            rule_a, rule_b = op.rules  # type: ignore[union-attr,misc]
            if left is not a and left.requires_grad:
                left_amount = rule_a(nd, gradient, node._data, a, b)
                order = left._order
                if order in sums:
                    sums[order] += left_amount
                else:
                    hand, in_hand, age = left, left_amount, order
            if right is not b and right.requires_grad:
                right_amount = rule_b(nd, gradient, node._data, a, b)
                order = right._order
                if order in sums:
                    sums[order] += right_amount
                elif hand is None:
                    hand, in_hand, age = right, right_amount, order
                elif right is hand:
                    in_hand += right_amount
                elif order < age:
                    waiting[age], sums[age] = hand, in_hand
                    heappush(ages, age)
                    hand, in_hand, age = right, right_amount, order
                else:
                    waiting[order], sums[order] = right, right_amount
                    heappush(ages, order)
            yield node, gradient, (left_amount, right_amount)
        elif op is None:
            yield node, gradient, ()
        else:
            contributions = op.contributions(node, gradient)
            for value, amount in zip(node.inputs, contributions):  # noqa: B905 (strict costs 40 ns a node)
                if amount is None:
                    continue
                order = value._order
                if order in sums:
                    sums[order] = sums[order] + amount
                elif value is hand:
                    in_hand = in_hand + amount
                elif hand is None:
                    hand, in_hand, age = value, amount, order
                else:
                    if order < age:  # newer than the one in the hand
                        hand, in_hand, age, value, amount, order = value, amount, order, hand, in_hand, age
                    waiting[order], sums[order] = value, amount
                    heappush(ages, order)
            yield node, gradient, contributions
        if hand is None:
            if not ages:
                return
            age = heappop(ages)
            node, gradient = waiting.pop(age), sums.pop(age)
        elif not ages or age < ages[0]:
            node, gradient = hand, in_hand
        else:
            waiting[age], sums[age] = hand, in_hand
            age = heappushpop(ages, age)
            node, gradient = waiting.pop(age), sums.pop(age)


def history(output: Value) -> list[Value]:
    """All Values that `output` was computed from, constants too, and itself: each once, oldest first."""
    from tinygrad_sm.graph.value import Value  # it imports this module

    found = {output._order: output}
    waiting = [output]
    while waiting:
        for x in waiting.pop().inputs:
            if isinstance(x, Value) and x._order not in found:
                found[x._order] = x
                waiting.append(x)
    return [found[order] for order in sorted(found, reverse=True)]
