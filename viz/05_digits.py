"""The digits classifier of `make demo`, a box for each module, on a batch of eight images.

Every parameter stands in the layer that it belongs to, with the gradient of this batch.
"""

import tinygrad_sm as tg

images, labels = tg.datasets.load_digits()
model = tg.nn.MLP([64, 32, 10], activation="relu")
loss = tg.cross_entropy(model(images[:8] / 16.0), labels[:8])
loss.backward()

drawing = tg.draw(loss, names={"model": model, "loss": loss})
