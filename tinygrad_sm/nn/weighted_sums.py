"""linear: what a neuron does before its activation, for a whole layer and all rows at once, as one op."""

from __future__ import annotations

from tinygrad_sm import nd
from tinygrad_sm.graph import fused
from tinygrad_sm.graph.namespaces import shape


@fused
def linear(xp, x, weight, bias=None):
    """x W^T + b: (..., n) to (..., m) by a `weight` of shape (m, n), and a `bias` of shape (m,), given by keyword.

    Rule: g W; g^T x; the sum of g over the rows.

    y_im = sum_n x_in W_mn + b_m gives dy_im/dx_in = W_mn, dy_im/dW_mn = x_in and dy_im/db_m = 1; contracted with g_im.

    >>> import tinygrad_sm as tg
    >>> from tinygrad_sm.nn.weighted_sums import linear
    >>> print(linear([[1.0, 2.0]], [[1.0, 1.0], [0.0, 3.0]], bias=[0.0, 10.0]))
    [[3.0, 16.0]]
    """
    y = xp.matmul(x, xp.matrix_transpose(weight))
    return y if bias is None else y + bias


@linear.backward
def _(xp, g, out, x, weight, bias=None):
    def of_weight():
        return xp.matmul(xp.matrix_transpose(_rows(xp, g)), _rows(xp, x))

    return lambda: xp.matmul(g, weight), of_weight, lambda: xp.sum(_rows(xp, g), axis=0)


def _rows(xp, v):
    """All axes but the last as one."""
    return v if len(shape(v)) == 2 else xp.reshape(v, (-1, shape(v)[-1]))


@linear.kernel(nd.Array)
def _(x, weight, bias=None):
    y = nd.inner(x, weight)  # as it lies in memory: nothing need be transposed
    return y if bias is None else y + bias
