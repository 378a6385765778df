"""A step of training: what was computed with, the gradient that came of it, and beside "now" what the weights hold since."""

import tinygrad_sm as tg

model = tg.nn.Linear(2, 3)
x = tg.Value([0.5, -1.0], requires_grad=False)
loss = tg.cross_entropy(model(x), 2)
loss.backward()
tg.optim.SGD(model.parameters(), lr=0.5).step()

drawing = tg.draw(loss, names={"x": x, "model": model, "loss": loss})
