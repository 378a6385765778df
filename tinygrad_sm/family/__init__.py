"""The softmax family: every member a definition in primitives and a rule derived by hand, one file per kin."""

from tinygrad_sm.family.attending import attention
from tinygrad_sm.family.binary import binary_cross_entropy, binary_focal_loss
from tinygrad_sm.family.checks import LabelError
from tinygrad_sm.family.cross_entropies import cross_entropy, nll_loss
from tinygrad_sm.family.divergences import entropy, kl_div, kl_div_probabilities, reverse_kl_div
from tinygrad_sm.family.focal import focal_loss
from tinygrad_sm.family.logistic import log_sigmoid, sigmoid, silu, softplus
from tinygrad_sm.family.penalties import z_loss
from tinygrad_sm.family.probabilities import causal_softmax, log_softmax, logsumexp, softmax, softmin
from tinygrad_sm.family.sampling import gumbel_softmax
from tinygrad_sm.family.scores import hinge_loss, mse_loss
from tinygrad_sm.family.sparse import entmax15, sparsemax
from tinygrad_sm.family.sparse_losses import entmax15_loss, sparsemax_loss
from tinygrad_sm.family.streaming import OnlineSoftmax, online_softmax
from tinygrad_sm.family.vocabulary import linear_cross_entropy
from tinygrad_sm.graph.composition import register_fused
from tinygrad_sm.graph.value_namespace import register_ops
from tinygrad_sm.ops import operators

_METHODS = (softmax, log_softmax, logsumexp, sigmoid, log_sigmoid, softplus, silu)  # z.softmax() reads well
_FUNCTIONS = (softmin, causal_softmax, sparsemax, entmax15, gumbel_softmax, online_softmax, entropy, attention)
_LOSSES = (
    *(cross_entropy, nll_loss, linear_cross_entropy, focal_loss, z_loss),
    *(binary_cross_entropy, binary_focal_loss),
    *(kl_div, reverse_kl_div, kl_div_probabilities),
    *(sparsemax_loss, entmax15_loss),
    *(mse_loss, hinge_loss),
)
_OPS = (*_METHODS, *_FUNCTIONS, *_LOSSES)

register_fused(*_OPS)
register_ops(*_OPS)

METHODS = {op.name: op for op in _METHODS}
operators.install_methods(METHODS)

__all__ = ["METHODS", "LabelError", "OnlineSoftmax", *(op.name for op in _OPS)]
