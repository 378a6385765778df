"""A trained network, every weight of it, on one flower: what each unit computes, and which class wins."""

import tinygrad_sm as tg
from tinygrad_sm.viz import plots

flowers = tg.datasets.load_iris()
model = tg.nn.MLP([4, 5, 3], activation="tanh")
tg.fit(model, (flowers.X - 3.5) / 2.0, flowers.y, epochs=60, progress=False)

ax = plots.mlp_diagram(model, (flowers.X[100] - 3.5) / 2.0, labels=["setosa", "versicolor", "virginica"])
