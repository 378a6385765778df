"""Looking into recorded graphs."""

import tinygrad_sm as tg


def nodes_of(output):
    """Every Value that the output was computed from, itself included."""
    seen, waiting = {}, [output]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tg.Value) and id(node) not in seen:
            seen[id(node)] = node
            waiting.extend(node.inputs)
    return [*seen.values()]


def ops_of(output):
    """The ops that made them."""
    return [node.op for node in nodes_of(output) if node.op is not None]
