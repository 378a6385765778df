"""The softmax family: every member a definition in primitives and a rule derived by hand, one file per kin."""

from tinygrad_sm.family.checks import LabelError
from tinygrad_sm.family.cross_entropies import binary_cross_entropy, cross_entropy
from tinygrad_sm.family.logistic import log_sigmoid, sigmoid, silu, softplus
from tinygrad_sm.family.probabilities import log_softmax, logsumexp, softmax
from tinygrad_sm.graph.composition import register_fused
from tinygrad_sm.graph.value_namespace import register_ops
from tinygrad_sm.ops import operators

_FAMILY = (
    softmax,
    log_softmax,
    logsumexp,
    sigmoid,
    log_sigmoid,
    softplus,
    silu,
    cross_entropy,
    binary_cross_entropy,
)

register_fused(*_FAMILY)
register_ops(*_FAMILY)

METHODS = {op.name: op for op in _FAMILY if op not in (cross_entropy, binary_cross_entropy)}
operators.install_methods(METHODS)

__all__ = ["METHODS", "LabelError", *(op.name for op in _FAMILY)]
