"""softmax as one node with a rule derived by hand, and beside it the primitives that it stands for.

What flows in is 1 at the first probability and 0 at the others, so what comes back is the first row of the Jacobian.
"""

import tinygrad_sm as tg

logits = tg.Value([2.0, 1.0, 0.5])
p = tg.softmax(logits)

drawing = tg.draw(p, names=globals(), view="both", beside=True, grad_output=[1.0, 0.0, 0.0])
