"""What a network decides on the plane: three spirals, paler where it is unsure."""

import tinygrad_sm as tg
from tinygrad_sm.viz import plots

X, y = tg.datasets.make_spirals(300)
model = tg.nn.MLP([2, 24, 24, 3], activation="tanh")
tg.fit(model, X, y, epochs=80, progress=False)

ax = plots.decision_regions(model, X, y)
