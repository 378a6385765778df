"""x * x + x: the smallest graph in which a gradient arrives in pieces.

x is used three times, so three contributions come back to it: 3 and 3 through the product, 1 through the sum.
"""

import tinygrad_sm as tg

x = tg.Value(3.0, name="x")
y = x * x + x

drawing = tg.draw(y, names={"y": y}, view="both", locals=True)
player = tg.player(y, names={"y": y}, title="x * x + x")
