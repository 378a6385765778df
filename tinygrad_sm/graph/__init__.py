"""The engine: Values record a graph, ops hold the rules, one sweep goes back through it."""

from tinygrad_sm.graph.composition import Fused, composed, fused, fused_ops
from tinygrad_sm.graph.derivatives import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from tinygrad_sm.graph.op import Op, primitive
from tinygrad_sm.graph.traversal import history, sweep
from tinygrad_sm.graph.value import Value, constant, no_grad

__all__ = [
    "Fused",
    "Op",
    "Value",
    "composed",
    "constant",
    "fused",
    "fused_ops",
    "grad",
    "hessian",
    "history",
    "hvp",
    "jacobian",
    "jvp",
    "no_grad",
    "primitive",
    "sweep",
    "value_and_grad",
    "vjp",
]
