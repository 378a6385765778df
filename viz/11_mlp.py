"""A small network on three flowers, to be played: matrices as heat maps, layer by layer, there and back again."""

import tinygrad_sm as tg

flowers = tg.datasets.load_iris()
rows = [0, 50, 100]  # one of each kind
model = tg.nn.MLP([4, 3, 3], activation="tanh")
x = tg.Value(flowers.X[rows] / 10.0, requires_grad=False)
loss = tg.cross_entropy(model(x), flowers.y[rows])

drawing = tg.draw(loss, names=globals(), view="both")
player = tg.player(loss, names=globals(), title="A small network on three flowers")
