"""Attention of three tokens, composed: the scores q k^T, their softmax row by row, and the means of the values v."""

import tinygrad_sm as tg

q = tg.Value([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
k = tg.Value([[1.0, 0.5], [-0.5, 1.0], [1.0, -1.0]])
v = tg.Value([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])
out = tg.attention.composed(q, k, v)

drawing = tg.draw(out, names=globals(), grads=False)
