"""Scenes as pages to step through: the steps as data, two forms of a graph in step, the page, and `player`."""
