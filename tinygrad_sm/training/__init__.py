"""From a network and a table of numbers to a trained classifier: `fit`, `predict` and `accuracy`."""

from tinygrad_sm.training.fitting import History, fit
from tinygrad_sm.training.prediction import accuracy, predict
