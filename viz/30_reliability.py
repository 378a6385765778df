"""Is it as often right as it says? A network that learnt thirty noisy points by heart is far too sure of itself on new ones."""

import tinygrad_sm as tg
from tinygrad_sm.viz import plots

X, y = tg.datasets.make_moons(30, noise=0.45, seed=0)
X_new, y_new = tg.datasets.make_moons(1000, noise=0.45, seed=1)
model = tg.nn.MLP([2, 32, 2], activation="tanh")
tg.fit(model, X, y, epochs=200, optimizer=tg.optim.Adam(model.parameters(), lr=0.05), progress=False)

ax = plots.reliability_diagram(tg.softmax(tg.predict(model, X_new, outputs=True)), y_new)
