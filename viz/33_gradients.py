"""How large the gradients are, layer by layer: through a deep network of sigmoids hardly any comes back to the first."""

import tinygrad_sm as tg
from tinygrad_sm.viz import plots

X, y = tg.datasets.load_digits()
model = tg.nn.MLP([64, 16, 16, 16, 16, 10], activation="sigmoid")
tg.cross_entropy(model(X[:200] / 16.0), y[:200]).backward()

ax = plots.gradient_histograms(model)
