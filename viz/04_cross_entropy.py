"""Cross-entropy: what flows back to the logits is p - y.

The probabilities of these logits are 0.6285, 0.2312 and 0.1402, and class 0 is right: so -0.3715, 0.2312 and 0.1402 come back.
"""

import tinygrad_sm as tg

logits = tg.Value([2.0, 1.0, 0.5])
loss = tg.cross_entropy(logits, 0)

drawing = tg.draw(loss, names=globals(), view="both", locals=True)
player = tg.player(loss, names=globals(), title="Cross-entropy, fused and composed")
