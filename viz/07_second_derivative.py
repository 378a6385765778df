"""A rule that runs on Values records a graph, so a gradient can be differentiated again.

This is the graph of the slope of x sin x: the product rule, sin x + x cos x. What comes back to x is the second derivative.
"""

import tinygrad_sm as tg

x = tg.Value(2.0, name="x")
slope = tg.grad(x * tg.sin(x), x, create_graph=True)

drawing = tg.draw(slope, names={"slope": slope}, view="both", locals=True)
