"""Logits, and the probabilities that softmax makes of them: differences become ratios."""

from tinygrad_sm.viz import plots

ax = plots.logits_vs_probabilities([1.5, 0.8, -0.2], labels=["cat", "dog", "bird"])
