"""Two graphs in one picture: a fused op beside its definition, or any two Values, and how far apart they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import isfinite
from typing import Any

from tinygrad_sm.graph import Fused, Value, grad, history
from tinygrad_sm.graph.traversal import sweep
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.nd.shapes import brief, flatten
from tinygrad_sm.viz.drawings.labels import number
from tinygrad_sm.viz.scenes.elements import differing, unit_seeds
from tinygrad_sm.viz.scenes.expansion import expanded
from tinygrad_sm.viz.scenes.flow import Flow, flow_of
from tinygrad_sm.viz.scenes.scene import Names, Scene, scene_of

MOST = 64  # elements of an output whose gradients are computed one after the other
ROUNDING = 1e-6  # of the largest element, up to which two gradients are called equal
NAMED = 5  # leaves whose differences are told one by one


Pair = tuple[Value, Value]


def scene_beside(value: Value, beside: Any, names: Names) -> tuple[Scene, Value, list[Pair]]:
    """The scene of a Value and of another, that other one, and the leaves that both were computed from.

    The other one is `beside`, or the same graph with its fused ops expanded: all of them if `beside` is True, or those that it
    names. Raises a TypeError for anything else, and a ValueError where there is nothing to expand.
    """
    leaves = [x for x in history(value) if x.op is None and x.requires_grad]
    if isinstance(beside, Value):
        if beside is value:
            raise ValueError("draw: beside is the Value itself; beside=True draws what its fused ops are made of")
        others = {_known_by(x, names): x for x in history(beside) if x.op is None and x.requires_grad}
        pairs = [(x, others[_known_by(x, names)]) for x in leaves if _known_by(x, names) in others]
        return scene_of(value, beside, names=names, sides=_titles(value, beside, names)), beside, pairs
    ops = None if beside is True else _names(beside)
    if value.op is None:
        raise ValueError(
            "draw: beside expands fused ops, and nothing was recorded of how this Value was computed: it is a leaf, "
            "or all it comes from was without gradients, as within no_grad()"
        )
    there = {x.op.name for x in history(value) if isinstance(x.op, Fused)}
    for name in ops or ():
        if name not in there:
            listed = ", ".join(map(repr, sorted(there))) or "none"
            raise ValueError(f"draw: beside has {name!r}, and no fused op of that name is here; there is {listed}")
    if not there or ops == []:
        raise ValueError("draw: beside expands fused ops, and here is none; it may also be another Value")
    expansion = expanded(value, ops)
    if value.has_grad and expansion.output.requires_grad:  # `backward` has run, and what is recorded anew would hold nothing
        for new, gradient, _ in sweep(expansion.output, value.grad):
            if new in expansion.origins:
                new.grad = gradient
    scene = scene_of(value, expansion.output, names=names, sides=("fused", "composed"), expansion=expansion)
    return scene, expansion.output, [(x, expansion.twins.get(x, x)) for x in leaves]


def _known_by(leaf: Value, names: Names) -> Any:
    """What is equal for leaves that are one in a picture of two sides."""
    name = names.of(leaf)
    return (name, str(nested_lists(leaf.data))) if name else leaf


def _names(beside: Any) -> list[str]:
    if isinstance(beside, str):
        return [beside]
    if isinstance(beside, Collection) and all(isinstance(name, str) for name in beside):
        return [*beside]
    raise TypeError(f"draw: beside is True, names of fused ops, or another Value, not {brief(beside)}")


def _titles(a: Value, b: Value, names: Names) -> tuple[str, str]:
    """What the two sides are called: by names or ops where these differ."""
    for one, other in ((names.of(a), names.of(b)), (a.op and a.op.name, b.op and b.op.name)):
        if one and other and one != other:
            return one, other
    return "first", "second"


def differences(a: Value, b: Value, leaves: Sequence[Pair], grad_output: Any, names: Names) -> str:
    """The largest difference of two outputs, and of their gradients by the leaves of both, in words.

    Of outputs with several elements and no `grad_output` the gradients of every element are compared, if they are not many.
    """
    if a.shape != b.shape:
        return ""
    told = [f"value {_largest(_distances(a.data, b.data))}"]
    if leaves and a.requires_grad and b.requires_grad:
        far: list[list[float]] = [[] for _ in leaves]
        for seed in (seeds := [*_seeds(a, grad_output)]):
            sides = zip((a, b), zip(*leaves, strict=True), strict=True)
            for i, (x, y) in enumerate(zip(*(grad(out, own, grad_output=seed) for out, own in sides), strict=True)):
                far[i] += _distances(x, y)
        of = [f"gradient of {names.of(x) or 'a leaf'} {_largest(own)}" for (x, _), own in zip(leaves, far, strict=True)]
        many = [f"{len(of)} gradients {_largest([x for own in far for x in own])}"]
        told += (of if len(of) <= NAMED else many) if seeds else []
    return f"largest differences: {', '.join(told)}"


def flow_of_both(scene: Scene, a: Value, b: Value, leaves: Sequence[Pair], grad_output: Any = None) -> Flow:
    """What flows back from both outputs; a gradient in which they differ, beyond rounding, is a dict by the sides' titles."""
    one, two = flow_of(scene, a, grad_output), flow_of(scene, b, grad_output, {twin: x for x, twin in leaves})
    both = Flow({**two.gradients, **one.gradients}, {**two.contributions, **one.contributions}, [])
    both.order = [*dict.fromkeys(two.order + one.order)]
    titles = [group.title for group in scene.groups if group.kind == "side"]
    for me in one.gradients.keys() & two.gradients.keys():
        sides = one.gradients[me], two.gradients[me]
        if not _agree(*sides):
            both.gradients[me] = dict(zip(titles, sides, strict=True))
    return both


def _agree(x: Any, y: Any) -> bool:
    """Whether the elements are the same but for rounding."""
    largest = max((abs(float(p)) for data in (x, y) for p in flatten(data)[0] if isfinite(p)), default=0.0)
    return all(abs(p - q) <= ROUNDING * largest for p, q in differing(x, y))


def _seeds(output: Value, grad_output: Any) -> Iterator[Any]:
    """What flows in: `grad_output`, or 1 into one element after the other."""
    if grad_output is not None or output.size == 1:
        yield grad_output
    elif output.size <= MOST:
        yield from unit_seeds(output.data)


def _distances(x: Any, y: Any) -> list[float]:
    """How far apart the elements of plain data of one shape are, where they differ."""
    return [abs(p - q) for p, q in differing(x, y)]


def _largest(distances: Sequence[float]) -> str:
    return number(max(distances, key=lambda x: (x != x, x), default=0), 2)
