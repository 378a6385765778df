"""Plots with matplotlib: networks, softmax, classifiers and learning. Each draws into an Axes, `ax=`, and returns it.

Without `ax` a plot makes a figure of its own, light or dark by `theme=`. In a notebook the Axes that comes back shows itself,
and `.figure.savefig(path)` saves it; pyplot and its settings are left alone.
"""

from tinygrad_sm.viz.plots.calibration import expected_calibration_error, reliability_diagram
from tinygrad_sm.viz.plots.classifiers import confusion_matrix, decision_regions
from tinygrad_sm.viz.plots.histograms import activation_histograms, gradient_histograms
from tinygrad_sm.viz.plots.learning import accuracy_curves, gradient_check, loss_curves
from tinygrad_sm.viz.plots.network import mlp_diagram
from tinygrad_sm.viz.plots.softmax_pictures import (
    exp_curve,
    logits_vs_probabilities,
    sigmoid_curve,
    softmax_jacobian,
    temperature_curves,
)

__all__ = [
    "accuracy_curves",
    "activation_histograms",
    "confusion_matrix",
    "decision_regions",
    "exp_curve",
    "expected_calibration_error",
    "gradient_check",
    "gradient_histograms",
    "logits_vs_probabilities",
    "loss_curves",
    "mlp_diagram",
    "reliability_diagram",
    "sigmoid_curve",
    "softmax_jacobian",
    "temperature_curves",
]
