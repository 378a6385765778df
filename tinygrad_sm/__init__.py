"""tinygrad_sm: autodiff in pure Python in which softmax is an op of the graph.

>>> import tinygrad_sm as tg
>>> z = tg.Value([2.0, 1.0, 0.5])
>>> loss = tg.cross_entropy(z, 0)
>>> loss.backward()
>>> z.grad
array([-0.37146828, 0.2312239, 0.14024438])
"""

__version__ = "0.1.0"

from tinygrad_sm import datasets, nd, nn, optim, testing
from tinygrad_sm.check import Comparison, Report, compare, gradcheck
from tinygrad_sm.family import (
    LabelError,
    OnlineSoftmax,
    attention,
    binary_cross_entropy,
    binary_focal_loss,
    causal_softmax,
    cross_entropy,
    entmax15,
    entmax15_loss,
    entropy,
    focal_loss,
    gumbel_softmax,
    hinge_loss,
    kl_div,
    kl_div_probabilities,
    linear_cross_entropy,
    log_sigmoid,
    log_softmax,
    logsumexp,
    mse_loss,
    nll_loss,
    online_softmax,
    reverse_kl_div,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    sparsemax,
    sparsemax_loss,
    z_loss,
)
from tinygrad_sm.graph import (
    Value,
    composed,
    constant,
    fused,
    fused_ops,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    primitive,
    value_and_grad,
    vjp,
)
from tinygrad_sm.nd import AxisError
from tinygrad_sm.ops.creation import arange, full, manual_seed, ones, rand, randn, zeros
from tinygrad_sm.ops.elementwise import (
    abs,
    add,
    clip,
    cos,
    divide,
    elu,
    erf,
    erfc,
    exp,
    expm1,
    gelu,
    leaky_relu,
    log,
    log1p,
    maximum,
    minimum,
    multiply,
    negative,
    pow,
    relu,
    sign,
    sin,
    sqrt,
    square,
    subtract,
    tanh,
    where,
)
from tinygrad_sm.ops.gathering import argmax, equal, one_hot, take, take_along_axis
from tinygrad_sm.ops.linalg import dot, einsum, linear, matmul, outer
from tinygrad_sm.ops.reductions import argsort, cumulative_sum, max, mean, min, norm, prod, sort, std, sum, var
from tinygrad_sm.ops.shapes import (
    astype,
    broadcast_to,
    concat,
    expand_dims,
    flatten,
    flip,
    matrix_transpose,
    permute_dims,
    reshape,
    split,
    squeeze,
    stack,
    tril,
)
from tinygrad_sm.training import History, accuracy, fit, predict
from tinygrad_sm.viz import draw, player

_BUILTINS = {"abs", "max", "min", "pow", "sum"}  # `from tinygrad_sm import *` leaves Python's own alone
_FLOORS = {"check", "family", "graph", "ops", "training"}  # their public names are here
__all__ = sorted(name for name in globals() if not name.startswith("_") and name not in _BUILTINS | _FLOORS)
