"""The Jacobian of softmax: every probability depends on every logit, and each row sums to 0."""

from tinygrad_sm.viz import plots

ax = plots.softmax_jacobian([2.0, 1.0, 0.5, -1.0])
