"""The steps of a computation and of its pass back, as plain data: what the player shows, and the sentences that it says.

Nothing is computed here that the engine has not computed: gradients and contributions are those of its one sweep, and the
running totals are their sums in the sweep's order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.viz.drawings.labels import cut, number, printable
from tinygrad_sm.viz.players.quantities import Quantities
from tinygrad_sm.viz.scenes.flow import Flow, Local, locals_of
from tinygrad_sm.viz.scenes.scene import Edge, Node, Scene

# What an op does to the gradient that reaches it, in a few words.
HABITS = {
    "add": "Addition distributes: every operand gets the incoming gradient.",
    "subtract": "Subtraction distributes: the second operand gets the incoming gradient with the other sign.",
    "multiply": "Multiplication swaps: each operand gets the incoming gradient times the other operand.",
    "divide": "Division scales: the numerator gets the incoming gradient divided by the denominator.",
    "negative": "Negation turns the sign.",
    "matmul": "A matrix product swaps: each factor gets the incoming gradient times the other, transposed.",
    "linear": "A layer swaps: the weights get gradient times input, the input gets gradient times weights.",
    "sum": "A sum distributes: every element gets the incoming gradient.",
    "mean": "A mean shares out: every element gets an equal part of the incoming gradient.",
    "max": "A maximum routes: the largest element gets the incoming gradient, and equal ones share it.",
    "min": "A minimum routes: the smallest element gets the incoming gradient, and equal ones share it.",
    "maximum": "A maximum routes: the larger operand gets the incoming gradient, and equal ones share it.",
    "minimum": "A minimum routes: the smaller operand gets the incoming gradient, and equal ones share it.",
    "relu": "ReLU is a gate: the gradient passes where the input is positive.",
    "where": "A choice routes: each element's gradient goes to where the element came from.",
    "exp": "The exponential scales by its own result.",
    "log": "The logarithm divides by its input.",
    "tanh": "tanh scales by its slope, which is 1 at 0 and vanishes far from it.",
    "sigmoid": "The sigmoid scales by s (1 - s), at most a quarter.",
    "softmax": "Softmax centres and scales: it takes the p-weighted mean off the gradient, and multiplies by p.",
    "log_softmax": "Log-softmax takes p times the whole incoming gradient off.",
    "logsumexp": "Log-sum-exp shares out by the probabilities: logit i gets p_i of the incoming gradient.",
    "cross_entropy": "Cross-entropy of logits gives p - y, probabilities minus targets, times what a mean or weight says.",
}


def trace_of(scene: Scene, flow: Flow, output: Value, quantities: Quantities) -> dict[str, Any]:
    """Every step of a scene in order: the leaves, each op forward, the seed, each op backward with its operands one by one.

    Numbers in it are those of `quantities`. A step back has one moment for each operand that gets something: the local
    derivative, the contribution, and the running total of the operand's node, the `count[0]`-th of `count[1]`.

    >>> import tinygrad_sm as tg
    >>> from tinygrad_sm.viz.scenes.flow import flow_of
    >>> from tinygrad_sm.viz.scenes.scene import Names, scene_of
    >>> x = tg.Value(3.0, name="x")
    >>> y = x * x
    >>> scene = scene_of(y)
    >>> steps = trace_of(scene, flow_of(scene, y), y, Quantities())["steps"]
    >>> [step["kind"] for step in steps]
    ['start', 'forward', 'seed', 'backward', 'end']
    >>> print(steps[3]["moments"][0]["text"])
    multiply passes 3 back to x: incoming 1 times local derivative 3 = 3. x has 3 so far, 1 of 2.
    """
    return _Tracer(scene, flow, output, quantities).trace()


class _Tracer:
    """One scene on its way to steps."""

    def __init__(self, scene: Scene, flow: Flow, output: Value, quantities: Quantities) -> None:
        self.scene, self.flow, self.quantities = scene, flow, quantities
        self.output = scene.nodes[scene.id_of(output) or scene.outputs[0]]
        self.names = labels_of(scene)
        self.waited = Counter(edge.tail for edge in scene.edges if edge.id in flow.contributions)
        self.totals: dict[str, Any] = {}
        self.came: Counter[str] = Counter()
        self.is_whole = all(node.role != "folded" for node in scene.nodes.values())

    def trace(self) -> dict[str, Any]:
        nodes = [*self.scene.nodes.values()]
        steps = [self.start()]
        steps += [self.forward(node) for node in nodes if not node.is_leaf]
        if self.flow.gradients:
            steps.append(self.seed())
            steps += [self.backward(node) for node in reversed(nodes) if not node.is_leaf and self.passes_back(node)]
        steps.append(self.end())
        return {"nodes": [self.node(node) for node in nodes], "edges": [*map(self.edge, self.scene.edges)], "steps": steps}

    # --- what there is

    def node(self, node: Node) -> dict[str, Any]:
        gradient = self.incoming(node)
        return {
            "id": node.id,
            "label": self.names[node.id],
            "op": "" if node.is_leaf else printable(node.title),
            "role": "loss" if node.id in self.scene.outputs and not node.is_leaf else node.role,
            "value": self.quantity(node.data),
            "gradient": self.quantity(gradient),
            "differentiable": node.value is not None and node.value.requires_grad,
        }

    def edge(self, edge: Edge) -> dict[str, Any]:
        return {"id": edge.id, "tail": edge.tail, "head": edge.head}

    def incoming(self, node: Node) -> Any:
        """The gradient of a node; None where none arrives, or at several results of what is folded into one node."""
        return self.flow.gradients.get(node.id)

    def is_plain(self) -> bool:
        """Whether 1 flows into one number, so that gradients are derivatives of the output."""
        seed = self.incoming(self.output)
        return is_number(seed) and bool(as_number(seed) == 1)

    def passes_back(self, node: Node) -> bool:
        """Whether there is a step back for a node."""
        return node.id in self.flow.gradients or any(edge.id in self.flow.contributions for edge in node.operands)

    def quantity(self, data: Any) -> int | None:
        return None if data is None else self.quantities.of(data)

    def said(self, data: Any) -> str:
        return self.quantities.said(self.quantities.of(data))

    def named(self, node: Node) -> str:
        """A node with its value, as an operand in a sentence."""
        name = self.names[node.id]
        if node.data is None or (is_number(node.data) and name == number(as_number(node.data))):
            return name
        value = self.said(node.data)
        return f"{name} ({value})" if name != "constant" else value

    # --- the steps

    def start(self) -> dict[str, Any]:
        leaves = [node for node in self.scene.nodes.values() if node.is_leaf and (node.name or node.role != "constant")]
        named = [f"{self.names[node.id]} = {self.said(node.data)}" for node in leaves]
        text = f"These are given: {listed(named)}." if named else "Nothing is given but constants."
        return {"kind": "start", "node": None, "heading": "Start", "text": text}

    def forward(self, node: Node) -> dict[str, Any]:
        operands = [self.scene.nodes[edge.tail] for edge in node.operands]
        name = self.names[node.id]
        gives = f"gives {self.said(node.data)}" if node.data is not None else "gives its results"
        takes = listed([self.named(x) for x in operands])
        text = f"{name}: {printable(node.title)}" if node.name and node.role != "folded" else name
        return {
            "kind": "forward",
            "node": node.id,
            "heading": f"Forward: {self.names[node.id]}",
            "text": f"{text} takes {takes} and {gives}." if takes else f"{text} {gives}.",
            "takes": [
                {"edge": edge.id, "label": self.names[edge.tail], "value": self.quantity(x.data)}
                for edge, x in zip(node.operands, operands, strict=True)
            ],
            "value": self.quantity(node.data),
        }

    def seed(self) -> dict[str, Any]:
        me = self.output
        name, seed = self.names[me.id], self.incoming(me)
        first = f"The pass back begins at {name}"
        return {
            "kind": "seed",
            "node": me.id,
            "heading": f"Seed: {name}",
            "text": f"{first}: d {name} / d {name} = 1."
            if self.is_plain()
            else f"{first} with the gradient given: {self.said(seed)}.",
            "incoming": self.quantity(seed),
        }

    def backward(self, node: Node) -> dict[str, Any]:
        incoming, name = self.incoming(node), self.names[node.id]
        slopes = locals_of(node)
        parts = [edge for edge in node.operands if edge.id in self.flow.contributions]
        moments = [self.moment(node, edge, slopes.get(edge.place)) for edge in parts]
        return {
            "kind": "backward",
            "node": node.id,
            "heading": f"Backward: {name}",
            "text": self.told(name, incoming, moments),
            "incoming": self.quantity(incoming),
            "habit": habit_of(node),
            "rule": rule_of(node),
            "moments": moments,
        }

    def moment(self, node: Node, edge: Edge, local: Local | None) -> dict[str, Any]:
        contribution, to = self.flow.contributions[edge.id], edge.tail
        self.came[to] += 1
        count = [self.came[to], self.waited[to]]
        self.add(to, contribution, is_last=count[0] == count[1])
        why = self.because(node, local, contribution)
        sentence = f"{self.names[node.id]} passes {self.said(contribution)} back to {self.names[to]}: {why}."
        return {
            "edge": edge.id,
            "to": to,
            "label": self.names[to],
            "local": None if local is None else {"kind": local.kind, "value": self.quantity(local.data)},
            "contribution": self.quantity(contribution),
            "total": self.quantity(self.totals.get(to)),
            "count": count,
            "final": count[0] == count[1],
            "text": f"{sentence} {self.so_far(to, count)}",
        }

    def add(self, to: str, contribution: Any, is_last: bool) -> None:
        """Adds to a running total; the last one must be the engine's gradient, bit for bit."""
        gradient = self.flow.gradients.get(to)
        if gradient is None:  # of what is folded into one node with several results
            return
        total = self.totals[to] + contribution if to in self.totals else contribution
        if is_last and not alike(total, gradient):
            if self.is_whole:
                raise AssertionError(f"player: what reaches {self.names[to]} does not sum to its gradient")
            total = gradient  # what is folded was added up in another order
        self.totals[to] = total

    def because(self, node: Node, local: Local | None, contribution: Any) -> str:
        """How a contribution comes about."""
        if node.value is None:
            return "through the ops that are folded in it"
        incoming = self.incoming(node)
        came = f"incoming {self.plain(incoming) or 'gradient'}"
        if local is None:
            return f"{came} goes through the op's rule, a vector-Jacobian product"
        if local.kind == "slope":
            g, slope, product = as_number(incoming), as_number(local.data), as_number(contribution)
            if _close(g * slope, product):
                return f"{came} times local derivative {number(slope)} = {number(product)}"
            return f"at incoming {number(g)} and local derivative {number(slope)} the op's rule gives {number(product)}"
        if local.kind == "slopes":
            slopes = self.plain(local.data)
            return f"{came} times local derivative{slopes and ' '}{slopes}, element by element"
        rows, columns = len(local.data), len(local.data[0]) if local.data else 0
        return f"{came} times the Jacobian, {rows} by {columns}, summed over its rows"

    def so_far(self, to: str, count: Sequence[int]) -> str:
        name = self.names[to]
        if to not in self.totals:
            return f"{count[0]} of {count[1]} for {name}."
        total = self.said(self.totals[to])
        if count == [1, 1]:
            return f"That is the whole gradient of {name}."
        if count[0] == count[1]:
            return f"{name} has {total} now, {count[0]} of {count[1]}: its gradient is complete."
        return f"{name} has {total} so far, {count[0]} of {count[1]}."

    def told(self, name: str, incoming: Any, moments: Sequence[Mapping[str, Any]]) -> str:
        """The sentence for all operands at once."""
        if not moments:
            return f"{name} passes nothing back: its rule gives no gradient."
        if len(moments) == 1:
            return str(moments[0]["text"])
        amounts = [self.brief(x["contribution"]) for x in moments]
        is_short = all(amounts)  # else it would seem that what has no number gets that of its neighbour
        parts = [f"{amount} to {x['label']}" if is_short else x["label"] for amount, x in zip(amounts, moments, strict=True)]
        done = [x["label"] + self.bracketed(x["total"]) for x in moments if x["final"]]
        came = "" if incoming is None else f"takes the incoming {self.plain(incoming) or 'gradient'} and "
        ended = (
            f" The gradient{'s' * (len(done) > 1)} of {listed(done)} {'are' if len(done) > 1 else 'is'} complete."
            if done
            else ""
        )
        return f"{name} {came}passes back {'' if is_short else 'contributions to '}{listed(parts)}.{ended}"

    def brief(self, i: int | None) -> str:
        """A quantity where it is short, in a sentence about several."""
        text = "" if i is None else self.quantities.said(i)
        return text if len(text) <= 32 else ""

    def plain(self, data: Any) -> str:
        """Numbers as they are, where they are few; "" for a larger array."""
        text = self.brief(self.quantities.of(data))
        return "" if text.startswith("a ") else text

    def bracketed(self, i: int | None) -> str:
        text = self.brief(i)
        return f" ({text})" if text else ""

    def end(self) -> dict[str, Any]:
        found = [node for node in self.scene.nodes.values() if node.is_leaf and node.id in self.flow.gradients]
        first = f"d {self.names[self.output.id]} / d " if self.is_plain() else "that of "
        verb = "=" if self.is_plain() else "is"
        said = [f"{first}{self.names[node.id]} {verb} {self.said(self.incoming(node))}" for node in found]
        if not self.flow.gradients:
            text = "No gradient is wanted here, so nothing flows back."
        else:
            text = f"Every gradient is complete: {listed(said)}." if said else "Every gradient is complete."
        return {"kind": "end", "node": None, "heading": "End", "text": text}


# --- words


def labels_of(scene: Scene) -> dict[str, str]:
    """What nodes are called in sentences, by id: a name, or the op with a number where there are several of it."""
    plain = {node.id: called(node) for node in scene.nodes.values()}
    several, seen = Counter(plain.values()), Counter[str]()
    found = {}
    for node in scene.nodes.values():
        label = plain[node.id]
        seen[label] += 1
        counted = several[label] > 1 and label != "constant" and not number_of(node)
        found[node.id] = f"{label} #{seen[label]}" if counted else label
    return found


def called(node: Node) -> str:
    """A node's name, or the number that it is, or its op."""
    return cut(printable(node.name), 60) or number_of(node) or printable(node.title)


def number_of(node: Node) -> str:
    """An unnamed constant that is one number, as text; "" for anything else."""
    is_plain = node.role == "constant" and not node.name and is_number(node.data)
    return number(as_number(node.data)) if is_plain else ""


def habit_of(node: Node) -> str:
    """What the op of a node does to a gradient, in a few words; "" where there are none."""
    settings = (node.value._params if node.value is not None else None) or {}
    is_other = settings.get("from_logits") is False  # a loss of probabilities has another gradient
    return "" if node.value is None or is_other else HABITS.get(node.title, "")


def rule_of(node: Node) -> str:
    """The sentence of an op's docstring that says its rule."""
    import re

    if node.value is None or node.value.op is None:
        return ""
    text = " ".join((node.value.op.__doc__ or "").split())
    found = re.search(r"Rule: .+?(?<!\.)\.(?= |$)", text)
    return found[0] if found else ""


def listed(parts: Sequence[str], most: int = 5) -> str:
    """Parts in a sentence; beyond `most`, how many more.

    >>> listed(["x"]), listed(["x", "w", "b"]), listed([*"abcdefg"])
    ('x', 'x, w and b', 'a, b, c, d and 3 more')
    """
    shown = [*parts] if len(parts) <= most else [*parts[: most - 1], f"{len(parts) - most + 1} more"]
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


# --- numbers


def is_number(data: Any) -> bool:
    """Whether plain data is one number, of shape ()."""
    return data is not None and not isinstance(data, list) and shape(data) == ()


def as_number(data: Any) -> Any:
    """The number in data of shape ()."""
    return data if isinstance(data, (bool, int, float)) else nested_lists(data, flat=True)


def _close(x: Any, product: Any) -> bool:
    """Whether x is a product but for rounding."""
    return x == product or (x != x and product != product) or abs(x - product) <= 1e-9 * abs(product) < inf


def alike(a: Any, b: Any) -> bool:
    """Whether two pieces of plain data are the same bit for bit, nan included."""
    return shape(a) == shape(b) and repr(nested(a)) == repr(nested(b))


def nested(data: Any) -> Any:
    """Plain data as numbers in nested lists."""
    return data if isinstance(data, (bool, int, float)) else nested_lists(data)
