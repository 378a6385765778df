"""Why exponentials: they are positive, they grow with the logit, and each is a share of their sum."""

from tinygrad_sm.viz import plots

ax = plots.exp_curve([1.5, 0.5, -1.0])
