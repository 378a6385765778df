"""Attention: every position looks at the others, as much as a softmax over their likeness says."""

from __future__ import annotations

from math import sqrt
from typing import Any

from tinygrad_sm.family import attention, softmax
from tinygrad_sm.family.masks import causal_mask
from tinygrad_sm.graph.namespaces import SCALARS, kind_of, namespace_of, shape
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.shapes import broadcast_shapes
from tinygrad_sm.nn.layers import Dropout, Linear, whole
from tinygrad_sm.nn.module import LayerError, Module
from tinygrad_sm.ops.helpers import as_plain, moved
from tinygrad_sm.ops.shapes import matrix_transpose, permute_dims, reshape


class MultiHeadAttention(Module):
    """softmax(q k^T / sqrt(d)) v in several heads of width d = embed_dim / num_heads, side by side.

    Called with `query` (..., T, embed_dim) and, unless the query is to attend to itself, `key` and `value`
    (..., S, embed_dim): gives (..., T, embed_dim). `where` (bools that broadcast to (..., num_heads, T, S)) says what may be
    looked at; with `causal` no position sees a later one. A position that may look at nothing gathers zeros. Raises a
    ValueError for shapes that do not fit, and a TypeError for a mask that is none. (Vaswani et al., 1706.03762)

    >>> import tinygrad_sm as tg
    >>> attend = tg.nn.MultiHeadAttention(8, num_heads=2, causal=True)
    >>> attend(tg.zeros(3, 5, 8)).shape
    (3, 5, 8)
    """

    def __init__(
        self, embed_dim: int, num_heads: int, *, causal: bool = False, bias: bool = True, dropout: float = 0.0
    ) -> None:
        self.embed_dim, self.num_heads = whole("MultiHeadAttention", embed_dim=embed_dim, num_heads=num_heads)
        width = self.embed_dim
        if width % self.num_heads:
            raise ValueError(f"MultiHeadAttention: embed_dim {width} is not a multiple of num_heads {self.num_heads}")
        self.causal = causal
        self.query, self.key, self.value, self.out = (Linear(width, width, bias=bias) for _ in range(4))
        self.dropout = Dropout(dropout)

    def forward(self, query: Any, key: Any = None, value: Any = None, *, where: Any = None) -> Any:
        """What each position gathers: (..., T, embed_dim), also where `key` and `value` have S positions.

        `key` defaults to `query`, and `value` to `key`. `where`, bools that broadcast to (..., num_heads, T, S), is True where
        position t may look at position s; a layer with `causal` sees no s after t besides, whatever `where` says.
        """
        key = query if key is None else key
        value = key if value is None else value
        q, k, v = self.query(query), self.key(key), self.value(value)
        if k.shape != v.shape:
            raise LayerError(self, f"key and value are of shapes {k.shape} and {v.shape}; each position has one of both")
        if min(q.ndim, k.ndim) < 2:
            raise LayerError(self, f"takes positions of width {self.embed_dim}, shape (..., T, {self.embed_dim}), and got one")
        broadcast_shapes(f"{self.title()}: the batches of query and key differ", q.shape[:-2], k.shape[:-2])
        q, k, v = map(self._heads, (q, k, v))
        seen = self._seen(plain(q), plain(k), where)
        if self.dropout.training and self.dropout.p:  # which takes the weights themselves
            scores = q @ matrix_transpose(k) / sqrt(self.embed_dim // self.num_heads)
            gathered = self.dropout(softmax(scores, where=seen)) @ v
        else:
            gathered = attention(q, k, v, where=seen)
        return self.out(self._joined(gathered))

    def _heads(self, x: Any) -> Any:
        """(..., T, embed_dim) to (..., num_heads, T, d)."""
        *rest, length, width = shape(plain(x))
        return _swap(reshape(x, shape=(*rest, length, self.num_heads, width // self.num_heads)))

    def _joined(self, x: Any) -> Any:
        """(..., num_heads, T, d) to (..., T, embed_dim)."""
        *rest, _, length, _ = shape(plain(x))
        return reshape(_swap(x), shape=(*rest, length, self.embed_dim))

    def _seen(self, q: Any, k: Any, where: Any) -> Any:
        """Which position (row) may look at which (column); None where all may look at all."""
        xp, rows, columns = namespace_of([q, k]), shape(q)[-2], shape(k)[-2]
        sizes = (*broadcast_shapes(self.title(), shape(q)[:-2], shape(k)[:-2]), rows, columns)
        earlier = causal_mask(xp, rows, columns, "upper-left") if self.causal else None
        if where is None:
            return earlier
        mask = as_plain(where, "MultiHeadAttention")
        if kind_of(mask) != "bool":
            what = f"{where!r}" if type(mask) in SCALARS else f"an array of {mask.dtype}"
            raise TypeError(f"{self.title()}: where is a mask of bools, True where a position may be looked at, not {what}")
        if broadcast_shapes(f"{self.title()}: where and the scores", shape(mask), sizes) != sizes:
            raise LayerError(self, f"where has shape {shape(mask)} and the scores (..., num_heads, T, S) only {sizes}")
        mask = xp.asarray(mask) if type(mask) is bool else moved(mask, xp)
        return mask if earlier is None else xp.logical_and(mask, earlier)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.embed_dim}, num_heads={self.num_heads}" + (", causal=True" if self.causal else "")


def _swap(x: Any) -> Any:
    """The last axis but one and the one before it change places."""
    n = len(shape(plain(x)))
    return permute_dims(x, axes=(*range(n - 3), n - 2, n - 3, n - 1))
