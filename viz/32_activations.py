"""What the layers of a network answer to a batch of digits: relu leaves nothing below 0."""

import tinygrad_sm as tg
from tinygrad_sm.viz import plots

X, _ = tg.datasets.load_digits()
model = tg.nn.MLP([64, 32, 16, 10], activation="relu")

ax = plots.activation_histograms(model, X[:200] / 16.0)
