"""Products of matrices and vectors."""

from __future__ import annotations

from math import prod
from typing import Any

from tinygrad_sm.graph import primitive
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.ops import reductions
from tinygrad_sm.ops.gathering import getitem
from tinygrad_sm.ops.helpers import as_plain
from tinygrad_sm.ops.shapes import permute_dims, reshape


@primitive
def matmul(xp, a, b):
    """The matrix product over the last two axes, broadcast over the others. Rule: g b^T; a^T g."""
    if not shape(a) or not shape(b):
        raise ValueError(f"matmul: shapes {shape(a)} and {shape(b)}; both need at least one axis (use * for numbers)")
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
    return xp.matmul(a, b)


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


def einsum(subscripts: str, *operands: Any) -> Any:
    """Einstein's summation, as in `einsum("ij,jk->ik", a, b)`: letters name axes, and those not behind -> are summed over.

    Without -> the result has the letters that occur once, in alphabetical order. Two operands at a time are multiplied and
    summed by one matmul. Raises a ValueError when letters and shapes do not fit.

    >>> import tinygrad_sm as tg
    >>> tg.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    array([21.0, 43.0])
    """
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    if not arrow:
        output = "".join(sorted(c for c in {*left} if c != "," and left.count(c) == 1))
    if len(terms) != len(operands) or not {*output} <= {*left} or not (left + output).replace(",", "").isalpha():
        raise ValueError(f"einsum: {subscripts!r} does not fit {len(operands)} operand(s)")
    parts = [_summed_diagonal(term, x, subscripts) for term, x in zip(terms, operands, strict=True)]
    while len(parts) > 1:
        (term, x), (other, y) = parts[:2]
        rest = output + "".join(t for t, _ in parts[2:])
        parts[:2] = [_contract(term, x, other, y, {*rest})]
    term, x = parts[0]
    gone = tuple(i for i, c in enumerate(term) if c not in output)
    if gone:
        x = reductions.sum(x, axis=gone)
    term = "".join(c for c in term if c in output)
    return permute_dims(x, axes=tuple(term.index(c) for c in output)) if len(term) > 1 else x


def _summed_diagonal(term: str, x: Any, subscripts: str) -> tuple[str, Any]:
    """An operand whose letters differ: a letter that occurs twice picks the diagonal."""
    sizes = shape_of(x)
    if len(term) != len(sizes):
        raise ValueError(f"einsum: {term!r} in {subscripts!r} names {len(term)} axes, and the operand has shape {sizes}")
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            i, j = term.index(c), term.rindex(c)
            n = shape_of(x)[i]
            order = [i, j, *(k for k in range(len(term)) if k not in (i, j))]
            x = getitem(permute_dims(x, axes=order), key=([*range(n)], [*range(n)], ...))
            term = c + "".join(term[k] for k in order[2:])
    return term, x


def _contract(a: str, x: Any, b: str, y: Any, wanted: set[str]) -> tuple[str, Any]:
    """Two operands multiplied, and summed over the letters that they share and nobody else wants, by one matmul."""
    sizes = dict(zip(a, shape_of(x), strict=True))
    for c, n in zip(b, shape_of(y), strict=True):
        if sizes.setdefault(c, n) != n:
            raise ValueError(f"einsum: letter {c!r} is of size {sizes[c]} and of size {n}")
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


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of a Value, array, list or number."""
    return shape(as_plain(x, "einsum"))
