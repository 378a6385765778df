"""N-d arrays in pure Python, with the names and meaning of the Python Array API (2024.12).

>>> from tinygrad_sm import nd
>>> x = nd.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
>>> nd.mean(x, axis=0)
array([2.5, 3.5, 4.5])

Floats are IEEE doubles; `nd.exact` makes arrays of decimals of any precision, on which every function works alike.
"""

from math import e, inf, nan, pi

from tinygrad_sm.nd.array import Array, Decimals, asarray, exact, inner, matmul
from tinygrad_sm.nd.dtypes import DType, decimal, float64, int64
from tinygrad_sm.nd.dtypes import bool_ as bool
from tinygrad_sm.nd.elementwise import (
    abs,
    add,
    atan,
    ceil,
    clip,
    cos,
    cosh,
    divide,
    equal,
    erf,
    erfc,
    exp,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    positive,
    pow,
    remainder,
    round,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    trunc,
    where,
)
from tinygrad_sm.nd.manipulation import (
    arange,
    astype,
    broadcast_to,
    concat,
    expand_dims,
    eye,
    flip,
    full,
    full_like,
    linspace,
    matrix_transpose,
    ones,
    ones_like,
    permute_dims,
    reshape,
    scatter_add,
    scatter_add_along_axis,
    squeeze,
    stack,
    take,
    take_along_axis,
    tril,
    triu,
    zeros,
    zeros_like,
)
from tinygrad_sm.nd.reductions import (
    all,
    along,
    any,
    argmax,
    argmin,
    argsort,
    count_nonzero,
    cumulative_sum,
    max,
    mean,
    min,
    pi_like,
    prod,
    reduce_along,
    sort,
    std,
    sum,
    var,
)
from tinygrad_sm.nd.shapes import AxisError

newaxis = None
__array_api_version__ = "2024.12"
