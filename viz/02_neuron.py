"""One neuron: two inputs times two weights, plus a bias, through tanh.

A product swaps: what comes back to a weight is the input beside it, and the other way round.
"""

import tinygrad_sm as tg

x1, x2 = tg.Value(2.0), tg.Value(-1.0)
w1, w2, b = tg.Value(0.5), tg.Value(1.5), tg.Value(0.25)
activation = tg.tanh(w1 * x1 + w2 * x2 + b)

names = {"x1": x1, "x2": x2, "neuron.w1": w1, "neuron.w2": w2, "neuron.b": b, "activation": activation}
drawing = tg.draw(activation, names=names, view="both", locals=True, legend=True)
player = tg.player(activation, names=names, title="A neuron")
