"""The softmax family: every member a definition in primitives and a rule derived by hand, one file per kin."""

from tinygrad_sm.family.checks import LabelError
from tinygrad_sm.family.cross_entropies import binary_cross_entropy, cross_entropy, nll_loss
from tinygrad_sm.family.logistic import log_sigmoid, sigmoid, silu, softplus
from tinygrad_sm.family.probabilities import log_softmax, logsumexp, softmax
from tinygrad_sm.family.scores import hinge_loss, mse_loss
from tinygrad_sm.graph.composition import register_fused
from tinygrad_sm.graph.value_namespace import register_ops
from tinygrad_sm.ops import operators

_METHODS = (softmax, log_softmax, logsumexp, sigmoid, log_sigmoid, softplus, silu)  # z.softmax() reads well
_FUNCTIONS = ()
_LOSSES = (cross_entropy, nll_loss, binary_cross_entropy, mse_loss, hinge_loss)
_OPS = (*_METHODS, *_FUNCTIONS, *_LOSSES)

register_fused(*_OPS)
register_ops(*_OPS)

METHODS = {op.name: op for op in _METHODS}
operators.install_methods(METHODS)

__all__ = ["METHODS", "LabelError", *(op.name for op in _OPS)]
