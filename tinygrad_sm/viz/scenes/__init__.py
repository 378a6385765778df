"""What there is to draw, as plain objects: nodes, edges and groups, what flows back, and what is folded or expanded."""
