"""Products of matrices and vectors."""

from __future__ import annotations

from math import prod
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.graph import Value, fused, primitive
from tinygrad_sm.graph.namespaces import as_operand, namespace_of, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.ops import reductions
from tinygrad_sm.ops.elementwise import multiply
from tinygrad_sm.ops.gathering import getitem
from tinygrad_sm.ops.shapes import permute_dims, reshape


@primitive
def matmul(xp, a, b):
    """The matrix product over the last two axes, broadcast over the others. Rule: g b^T; a^T g."""
    if not shape(a) or not shape(b):
        raise ValueError(f"matmul: shapes {shape(a)} and {shape(b)}; both need at least one axis (use * for numbers)")
    if shape(a)[-1] != shape(b)[max(len(shape(b)) - 2, 0)]:
        raise ValueError(
            f"matmul: shapes {shape(a)} and {shape(b)} do not fit; the last axis of one meets the last but one of the other"
        )
    return xp.matmul(a, b)


@matmul.backward
def _(xp, g, out, a, b):
    # a vector on the left is a row, one on the right a column; g gets the axis back that they lost
    row, column = len(shape(a)) == 1, len(shape(b)) == 1
    left = xp.expand_dims(a, axis=0) if row else a
    right = xp.expand_dims(b, axis=1) if column else b
    whole = xp.expand_dims(g, axis=-1) if column else g
    whole = xp.expand_dims(whole, axis=-2) if row else whole

    def of_a():
        amount = xp.matmul(whole, xp.matrix_transpose(right))
        return amount[..., 0, :] if row else amount

    def of_b():
        amount = xp.matmul(xp.matrix_transpose(left), whole)
        return amount[..., 0] if column else amount

    return of_a, of_b


@primitive
def dot(xp, a, b):
    """The sum of the products of two vectors. Rule: g b; g a."""
    if len(shape(a)) != 1 or len(shape(b)) != 1:
        raise ValueError(f"dot: takes two vectors, and got shapes {shape(a)} and {shape(b)}; use matmul (@) for matrices")
    return matmul.forward(xp, a, b)


dot.vjps(lambda xp, g, out, a, b: g * b, lambda xp, g, out, a, b: g * a)


@primitive
def outer(xp, a, b):
    """Every element of one vector times every element of another. Rule: g b; g^T a."""
    if len(shape(a)) != 1 or len(shape(b)) != 1:
        raise ValueError(f"outer: takes two vectors, and got shapes {shape(a)} and {shape(b)}")
    return xp.expand_dims(a, axis=1) * xp.expand_dims(b, axis=0)


outer.vjps(
    lambda xp, g, out, a, b: xp.matmul(g, b),
    lambda xp, g, out, a, b: xp.matmul(xp.matrix_transpose(g), a),
)


@fused(conditioned=True)
def linear(xp, x, weight, bias=None):
    """x W^T + b, a layer of weighted sums: (..., n) to (..., m). Rule: g W; g^T x; the sum of g over the rows.

    `weight` has shape (m, n), and `bias`, given by keyword, (m,). Raises a ValueError with the shapes where they do not fit.

    y_im = sum_n x_in W_mn + b_m gives dy_im/dx_in = W_mn, dy_im/dW_mn = x_in and dy_im/db_m = 1; contracted with g_im.

    >>> import tinygrad_sm as tg
    >>> print(tg.linear([[1.0, 2.0]], [[1.0, 1.0], [0.0, 3.0]], bias=[0.0, 10.0]))
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
    sizes = shape(v)
    return v if len(sizes) == 2 else xp.reshape(v, (prod(sizes[:-1]), sizes[-1]))


@linear.kernel(nd.Array)
def _(x, weight, bias=None):
    y = nd.inner(x, weight)  # as it lies in memory: nothing need be transposed
    return y if bias is None else y + bias


@linear.prepare
def _(xp: Any, x: Any, weight: Any, bias: Any = None) -> tuple:
    sizes = shape(weight)
    if len(sizes) != 2 or not shape(x) or shape(x)[-1] != sizes[1]:
        raise ValueError(f"linear: inputs of shape {shape(x)} and a weight of shape {sizes}; (..., n) and (m, n) would fit")
    if bias is None:
        return x, weight
    if shape(bias) != sizes[:1]:
        raise ValueError(f"linear: a bias of shape {shape(bias)} for a weight of shape {sizes}; it should be {sizes[:1]}")
    return x, weight, bias


def einsum(subscripts: str, *operands: Any) -> Any:
    """Einstein's summation, as in `einsum("ij,jk->ik", a, b)`: letters name axes, and those not behind -> are summed over.

    Without -> the result has the letters that occur once, in alphabetical order. Two operands at a time are multiplied and
    summed by one matmul. Raises a ValueError when letters and shapes do not fit.

    >>> import tinygrad_sm as tg
    >>> tg.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    array([21.0, 43.0])
    """
    arrays = _operands(operands)
    terms, output = _parsed(subscripts, len(arrays))
    sizes: dict[str, int] = {}
    for term, x in zip(terms, arrays, strict=True):
        if len(term) != len(shape(x)):
            raise ValueError(f"einsum: {term!r} in {subscripts!r} names {len(term)} axes, and the operand has shape {shape(x)}")
        for c, n in zip(term, shape(x), strict=True):
            if sizes.setdefault(c, n) != n:
                shapes = " and ".join(str(shape(v)) for v in arrays)
                raise ValueError(f"einsum: letter {c!r} of {subscripts!r} is of size {sizes[c]} and of size {n} in {shapes}")
    parts = [_diagonal(term, x, sizes) for term, x in zip(terms, arrays, strict=True)]
    while len(parts) > 1:
        (term, x), (other, y) = parts[:2]
        rest = output + "".join(t for t, _ in parts[2:])
        parts[:2] = [_contract(term, x, other, y, {*rest}, sizes)]
    term, x = parts[0]
    gone = tuple(i for i, c in enumerate(term) if c not in output)
    x = reductions.sum(x, axis=gone) if gone else x
    term = "".join(c for c in term if c in output)
    return permute_dims(x, axes=tuple(term.index(c) for c in output)) if len(term) > 1 else x


def _operands(operands: tuple) -> list:
    """Values as they are, and everything else as numbers or arrays of one library."""
    xp = namespace_of([plain(x) for x in operands if not isinstance(x, (list, tuple))], "einsum")
    return [x if isinstance(x, Value) else as_operand(x, xp, "einsum") for x in operands]


def _parsed(subscripts: str, count: int) -> tuple[list[str], str]:
    """The letters of each operand and of the result."""
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: needs subscripts such as 'ij,jk->ik', not {subscripts!r}")
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    letters = "".join(terms)
    if not arrow:
        output = "".join(sorted(c for c in {*letters} if letters.count(c) == 1))
    if len(terms) != count or (letters + output and not (letters + output).isalpha()):
        raise ValueError(f"einsum: {subscripts!r} is not letters for {count} operand(s)")
    if not {*output} <= {*letters} or len({*output}) < len(output):
        raise ValueError(f"einsum: the result of {subscripts!r} names each letter once, and only letters of the operands")
    return terms, output


def _diagonal(term: str, x: Any, sizes: dict[str, int]) -> tuple[str, Any]:
    """An operand whose letters differ: a letter that occurs twice picks the diagonal."""
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            i, j = term.index(c), term.rindex(c)
            order = [i, j, *(k for k in range(len(term)) if k not in (i, j))]
            places = [*range(sizes[c])]
            x = getitem(permute_dims(x, axes=order), key=(places, places, ...))
            term = c + "".join(term[k] for k in order[2:])
    return term, x


def _contract(a: str, x: Any, b: str, y: Any, wanted: set[str], sizes: dict[str, int]) -> tuple[str, Any]:
    """Two operands multiplied, and summed over the letters that they share and nobody else wants, by one matmul."""
    if not a or not b:
        return a + b, multiply(x, y)
    alone_a = tuple(i for i, c in enumerate(a) if c not in b and c not in wanted)
    alone_b = tuple(i for i, c in enumerate(b) if c not in a and c not in wanted)
    x = reductions.sum(x, axis=alone_a) if alone_a else x
    y = reductions.sum(y, axis=alone_b) if alone_b else y
    a, b = ("".join(c for c in t if c in other or c in wanted) for t, other in ((a, b), (b, a)))
    batch = [c for c in a if c in b and c in wanted]
    inner = [c for c in a if c in b and c not in wanted]
    rows, columns = [c for c in a if c not in b], [c for c in b if c not in a]

    def arranged(term: str, v: Any, letters: list[str], groups: tuple[list[str], list[str]]) -> Any:
        v = permute_dims(v, axes=tuple(term.index(c) for c in letters)) if len(letters) > 1 else v
        return reshape(v, shape=(*(sizes[c] for c in batch), *(prod(sizes[c] for c in g) for g in groups)))

    left = arranged(a, x, batch + rows + inner, (rows, inner))
    right = arranged(b, y, batch + inner + columns, (inner, columns))
    letters = batch + rows + columns
    return "".join(letters), reshape(matmul(left, right), shape=tuple(sizes[c] for c in letters))
