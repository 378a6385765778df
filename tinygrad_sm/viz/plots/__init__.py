"""Plots with matplotlib: networks, softmax, classifiers and learning. Each draws into an Axes, `ax=`, and returns it.

Without `ax` a plot makes a figure of its own, which a notebook shows and `ax.figure.savefig(path)` saves.
"""

from tinygrad_sm.viz.plots.network import mlp_diagram

__all__ = ["mlp_diagram"]
