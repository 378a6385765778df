"""The sigmoid is the softmax of two logits, one of which is 0; the slope is p (1 - p)."""

from tinygrad_sm.viz import plots

ax = plots.sigmoid_curve()
