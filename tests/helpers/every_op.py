"""One call of every op that a graph can record, for tests that go through all of them."""

from typing import Any

import tinygrad_sm as tg
from tinygrad_sm.graph.value_namespace import _OPS as RECORDABLE

A = [[0.3, 0.8, 0.6], [0.5, 0.2, 0.9]]  # different everywhere, and in the domain of log, sqrt and pow
B = [[0.7, 0.4, 0.1], [0.35, 0.85, 0.65]]
ROW = [0.4, 0.9, 0.25]

# name: (inputs, settings). Lists of floats are what is differentiated, ints and bools are plain data. An op that is not
# here is called with A alone, so a new op of one input is covered by itself, and any other fails until it is added.
CALLS: dict[str, tuple[tuple, dict[str, Any]]] = {
    **dict.fromkeys("add subtract multiply divide pow maximum minimum".split(), ((A, B), {})),
    "where": (([[True, False, True], [False, False, True]], A, B), {}),
    "clip": ((A,), {"min": 0.25, "max": 0.7}),
    **dict.fromkeys("sum mean max min prod var std norm".split(), ((A,), {"axis": 1})),
    "cumulative_sum": ((A,), {"axis": 1}),
    "getitem": ((A,), {"key": (slice(None), [0, 2, 2])}),
    "scatter": ((A,), {"key": (slice(None), [0, 2, 2]), "shape": (2, 4)}),
    "reshape": ((A,), {"shape": (3, -1)}),
    "permute_dims": ((A,), {"axes": (1, 0)}),
    "broadcast_to": ((A,), {"shape": (2, 2, 3)}),
    "squeeze": (([A],), {}),
    **dict.fromkeys(("concat", "stack"), ((A, B), {})),
    "as_float": ((0.75,), {}),
    "as_array": ((0.75,), {"like": tg.nd.asarray(ROW)}),
    "astype": ((A,), {"dtype": tg.nd.float64}),
    "matmul": ((A, [[0.2, 0.3], [0.5, 0.7], [0.9, 0.6]]), {}),
    "linear": ((A, B), {}),
    "attention": ((A, B, B), {}),
    "linear_cross_entropy": ((A, B, ROW[:2], [1, 0]), {}),
    **dict.fromkeys(("dot", "outer"), ((ROW, B[0]), {})),
    "take": ((A, [0, 2, 2]), {"axis": 1}),
    "take_along_axis": ((A, [[0, 2], [1, 1]]), {"axis": 1}),
    **dict.fromkeys(("cross_entropy", "focal_loss", "hinge_loss"), ((A, [2, 0]), {})),
    "sparsemax": ((B,), {}),  # of A a class lies on the edge of the support, where slopes jump
    "sparsemax_loss": ((B, [2, 0]), {}),
    "entmax15_loss": ((A, [2, 0]), {}),
    "nll_loss": (([[-x for x in row] for row in A], [2, 0]), {}),
    **dict.fromkeys(("kl_div", "reverse_kl_div"), ((A, B), {})),
    "kl_div_probabilities": (([[0.25, 0.5, 0.25], [0.125, 0.5, 0.375]], [[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]]), {}),
    "gumbel_softmax": ((A,), {"noise": B}),
    **dict.fromkeys(("binary_cross_entropy", "binary_focal_loss", "mse_loss"), ((A, B), {})),
}
# Ops that have no meaning on single numbers.
NEED_AXES = frozenset(
    "causal_softmax concat cross_entropy cumulative_sum dot entropy gumbel_softmax kl_div kl_div_probabilities reverse_kl_div "
    "focal_loss getitem hinge_loss linear log_softmax logsumexp matmul "
    "attention linear_cross_entropy entmax15 entmax15_loss online_softmax sparsemax sparsemax_loss "
    "matrix_transpose nll_loss outer permute_dims softmax softmin sort take take_along_axis tril z_loss".split()
)


def every_op() -> list[str]:
    """The names of all ops: those that rules and bodies can record, and the family."""
    return sorted({**RECORDABLE, **tg.fused_ops})


def operation(name: str) -> Any:
    """The op of that name."""
    return RECORDABLE.get(name) or tg.fused_ops[name]


def call(name: str, make: Any) -> tuple[list[tg.Value], Any]:
    """Calls an op; `make` turns each of its differentiable inputs into a Value. Returns those inputs, and the output."""
    given, settings = CALLS.get(name, ((A,), {}))
    inputs = [make(x) if _first(x) is float else x for x in given]
    output = operation(name)(*inputs, **settings)
    return [x for x in inputs if isinstance(x, tg.Value)], output


def call_on_numbers(name: str) -> tuple[list[tg.Value], Any]:
    """The same with single floats, and without the settings, which are of arrays."""
    given, settings = CALLS.get(name, ((A,), {}))
    flat = [tg.nd.asarray(x)._flat[0] for x in given]
    inputs = [tg.Value(x) if type(x) is float else x for x in flat]
    kept = {key: x for key, x in settings.items() if key != "axis"}
    kept |= {"shape": (1, 1)} if name == "reshape" else {}
    return [x for x in inputs if isinstance(x, tg.Value)], operation(name)(*inputs, **kept)


def _first(x: Any) -> type:
    while isinstance(x, list):
        x = x[0]
    return type(x)
