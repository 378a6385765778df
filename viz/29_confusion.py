"""Which digits are taken for which, of 360 that the network has not seen."""

import tinygrad_sm as tg
from tinygrad_sm.viz import plots

X, y = tg.datasets.load_digits()
X_train, X_test, y_train, y_test = tg.datasets.train_test_split(X / 16.0, y, test_size=0.2, stratify=True)
model = tg.nn.MLP([64, 16, 10], activation="relu")
tg.fit(model, X_train, y_train, epochs=3, progress=False)

ax = plots.confusion_matrix(y_test, tg.predict(model, X_test))
