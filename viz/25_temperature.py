"""Temperature: cold makes the likeliest class certain, hot makes all alike."""

from tinygrad_sm.viz import plots

ax = plots.temperature_curves([2.0, 1.0, 0.5, -1.0], entropy=True)
