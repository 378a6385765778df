"""Learning the digits: the loss of the images that it learns from, and of those held out."""

import tinygrad_sm as tg
from tinygrad_sm.viz import plots

X, y = tg.datasets.load_digits()
model = tg.nn.MLP([64, 32, 10], activation="relu")
history = tg.fit(model, X / 16.0, y, epochs=12, validation=0.2, progress=False)

ax = plots.loss_curves(history, log=True)
