"""What there is to draw: the Values behind one or several others as nodes, edges and groups, without a word of DOT or HTML.

Pictures, the player and the text form are all made of a scene. Its ids come from the order in which Values were made, so they
are the same in every process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_sm.graph import Fused, Value, history
from tinygrad_sm.graph.namespaces import is_array, shape
from tinygrad_sm.graph.value import nested_lists
from tinygrad_sm.nd.shapes import brief

if TYPE_CHECKING:
    from tinygrad_sm.viz.scenes.expansion import Expansion


class Node:
    """One box: a Value, plain data that an op took, or what stands for several nodes.

    `role` is "input", "parameter" or "constant" for a leaf, "op" or "fused" for a result, "folded" for a node that stands for
    others (`members`, by id, `times` alike).
    """

    __slots__ = ("data", "group", "id", "members", "name", "operands", "role", "times", "title", "used", "value")

    def __init__(self, id: str, role: str, title: str, *, value: Value | None = None, data: Any = None, name: str = "") -> None:  # noqa: A002
        self.id, self.role, self.title, self.name = id, role, title, name
        self.value = value  # None for plain data and for what stands for several
        self.data = data  # as it was when it was used last
        self.used: list[Any] = [data]  # the data of a leaf whenever it was used, oldest first: it may have been rebound since
        self.operands: list[Edge] = []
        self.group: Group | None = None
        self.members: tuple[str, ...] = ()
        self.times = 1

    @property
    def is_leaf(self) -> bool:
        """Whether it is no result of anything drawn."""
        return self.role in ("input", "parameter", "constant")

    def __repr__(self) -> str:
        return f"<{self.id} {self.name or self.title}>"


class Edge:
    """An operand: the node `tail` goes into the node `head` as its input number `place`, which is called `word`.

    `carries` says whether a gradient comes back along it. `members` are the ids of the edges for which one into a folded node
    stands.
    """

    __slots__ = ("carries", "head", "id", "members", "place", "tail", "word")

    def __init__(self, id: str, tail: str, head: str, place: int, word: str, carries: bool) -> None:  # noqa: A002
        self.id, self.tail, self.head, self.place, self.word, self.carries = id, tail, head, place, word, carries
        self.members: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<{self.tail} -> {self.head}:{self.place}>"


class Group:
    """Nodes that belong together: one call of a module, one side of a comparison, or a block that is repeated.

    `kind` is "module", "side" or "repeat"; a group stands for `times` equal ones in a row, of which it is the first. `path` is
    the module's path in the outermost one, with that one's name in front where it has one.
    """

    __slots__ = ("id", "kind", "parent", "path", "times", "title")

    def __init__(self, id: str, kind: str, title: str, path: str = "", parent: Group | None = None) -> None:  # noqa: A002
        self.id, self.kind, self.title, self.path, self.parent = id, kind, title, path, parent
        self.times = 1

    @property
    def depth(self) -> int:
        """How many groups it is in."""
        return 0 if self.parent is None else self.parent.depth + 1

    def chain(self) -> Iterator[Group]:
        """It and those that it is in, innermost first."""
        group: Group | None = self
        while group is not None:
            yield group
            group = group.parent

    def __repr__(self) -> str:
        return f"<{self.id} {self.path or self.title}>"


class Scene:
    """Nodes by id, oldest first; edges in the order of their heads, then of operands; groups, outer ones first.

    A folded scene has in `full` the one that it was made of.
    """

    def __init__(self, nodes: dict[str, Node], edges: list[Edge], groups: list[Group], outputs: list[str]) -> None:
        self.nodes, self.edges, self.groups, self.outputs = nodes, edges, groups, outputs
        self.full: Scene | None = None

    def id_of(self, value: Value) -> str | None:
        """The id of the node that shows a Value."""
        return next((node.id for node in self.nodes.values() if node.value is value), None)

    def members_of(self, group: Group) -> list[Node]:
        """The nodes in a group and in those within it."""
        return [node for node in self.nodes.values() if node.group is not None and group in node.group.chain()]


class Names:
    """What things are called: by a mapping such as `locals()`, by the Modules in it, and by the names that Values carry."""

    def __init__(self, names: Mapping[str, Any] | Any | None = None) -> None:
        from tinygrad_sm.nn import Module

        self._names: dict[int, str] = {}
        self._parameters: set[int] = set()
        self._held: list[Any] = []  # an id means nothing once its object is gone
        if isinstance(names, Module):
            self.add_module(names, "")
        elif isinstance(names, Mapping):
            own = [(str(name), x) for name, x in names.items()]
            for is_hidden in (False, True):  # those of a notebook, such as _, come last
                some = [(name, x) for name, x in own if name.startswith("_") == is_hidden]
                inside = [pair for name, x in some if isinstance(x, (list, tuple, dict)) for pair in _inside(name, x)]
                for name, x in some + inside:
                    if isinstance(x, (Value, Module)) or is_array(x):
                        self._add(x, name)
                for name, x in some + inside:
                    if isinstance(x, Module):
                        self.add_module(x, name)
        elif names is not None:
            raise TypeError(f"draw: names is a mapping of names to Values, such as locals(), or a Module, not {brief(names)}")

    def _add(self, x: Any, name: str) -> None:
        self._held.append(x)
        self._names.setdefault(id(x), name)

    def add_module(self, module: Any, name: str) -> None:
        """The parameters and parts of a module by their paths, behind its name if it has one."""
        for path, p in module.named_parameters():
            self._add(p, f"{name}.{path}" if name else path)
            self._parameters.add(id(p))
        for path, part in module.named_modules():
            self._add(part, ".".join(filter(None, (name, path))))

    def alias(self, new: Value, old: Value) -> None:
        """Calls `new` what `old` is called."""
        if name := self.of(old):
            self._add(new, name)
        if id(old) in self._parameters:
            self._parameters.add(id(new))

    def of(self, x: Any) -> str:
        """The name of a Value, a Module or plain data; "" if it has none."""
        if isinstance(x, Value):
            return str(self._names.get(id(x)) or x.name or self._names.get(id(x.data)) or "")
        return self._names.get(id(x), "")

    def knows(self, module: Any) -> bool:
        """Whether a module's parameters have been named."""
        return id(module) in self._names

    def is_parameter(self, leaf: Value) -> bool:
        """Whether a leaf is trained: one of a Module's, or one whose name says so."""
        path, _, last = self.of(leaf).rpartition(".")
        return id(leaf) in self._parameters or bool(path) or last in ("weight", "bias")


def _inside(name: str, x: Any, depth: int = 2) -> Iterator[tuple[str, Any]]:
    """The Values and Modules in lists and mappings, and in those within them, with names such as xs[0] and blocks.0."""
    from tinygrad_sm.nn import Module

    for key, part in x.items() if isinstance(x, dict) else enumerate(x):
        if isinstance(part, Value):
            yield f"{name}[{key!r}]", part
        elif isinstance(part, Module):
            yield f"{name}.{key}", part
        elif depth > 1 and isinstance(part, (list, tuple, dict)):
            yield from _inside(f"{name}[{key!r}]", part, depth - 1)


def scene_of(
    *outputs: Value, names: Names | None = None, sides: Sequence[str] = (), expansion: Expansion | None = None
) -> Scene:
    """The scene of what the outputs were computed from, each Value once, in linear time and without recursion.

    With `sides`, one title an output, what only one output was computed from is in a group of that title; leaves that have the
    same name and the same numbers are one. What an `expansion` recorded anew is named and grouped as what it comes from.
    """
    names = names or Names()
    if expansion:
        for old, new in expansion.twins.items():
            names.alias(new, old)
        for new, old in expansion.origins.items():
            if old.op is None:
                names.alias(new, old)
    everything = _all_of(outputs)
    twins = _same_leaves(everything, outputs, names) if sides else {}
    values = [value for value in everything if value not in twins]
    ids = {value: f"n{i}" for i, value in enumerate(values)}
    ids.update({value: ids[twin] for value, twin in twins.items()})

    origins = expansion.origins if expansion else {}
    own_sides = [Group(f"s{i}", "side", title) for i, title in enumerate(sides)]
    groups, group_of = [*own_sides], {}
    for side, part in _parts(values, outputs, own_sides, twins):
        found, inside = _calls_around(part, names, origins, side)
        groups += found
        group_of.update(inside)
    for i, group in enumerate(groups[len(own_sides) :]):
        group.id = f"g{i}"

    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for value in values:
        for place, word, x in operands(value):
            if isinstance(x, Value):
                tail = ids[x]
            else:  # one node a use, since equal numbers need not be one thing
                tail = f"{ids[value]}c{place}"
                data = nodes[tail] = Node(tail, "constant", "constant", data=x, name=names.of(x))
                data.group = None if data.name and not sides else group_of.get(value)
            edges.append(Edge(f"{ids[value]}_{place}", tail, ids[value], place, word, isinstance(x, Value) and x.requires_grad))
        node = nodes[ids[value]] = _node_of(value, ids[value], names)
        node.group = group_of.get(value)
    for edge in edges:
        nodes[edge.head].operands.append(edge)
    _note_uses(values, nodes, ids)
    return Scene(nodes, edges, groups, [ids[output] for output in outputs])


def operands(value: Value) -> Iterator[tuple[int, str, Any]]:
    """What the op took: its place among the inputs, what it is called there, and itself; without optional ones not given."""
    op = value.op
    if op is None:
        return
    own_names = () if op.variadic or {*op.input_names} <= {"a", "b"} else op.input_names
    for i, x in enumerate(value.inputs):
        if x is not None:
            yield i, own_names[i] if own_names else str(i), x


def _all_of(outputs: Iterable[Value]) -> list[Value]:
    if len(several := [*outputs]) == 1:
        return history(several[0])
    found = {value._order: value for output in several for value in history(output)}
    return [found[order] for order in sorted(found, reverse=True)]


def _node_of(value: Value, id: str, names: Names) -> Node:  # noqa: A002
    name = names.of(value)
    if value.op is not None:
        return Node(
            id, "fused" if isinstance(value.op, Fused) else "op", value.op.name, value=value, data=value.data, name=name
        )
    role = "constant" if not value.requires_grad else "parameter" if names.is_parameter(value) else "input"
    return Node(id, role, role, value=value, data=value.data, name=name)


def _note_uses(values: Iterable[Value], nodes: Mapping[str, Node], ids: Mapping[Value, str]) -> None:
    """The data that each leaf had when it was used: it may have been rebound between two uses, and since."""
    seen: set[str] = set()
    for value in values:
        for x, data in zip(value.inputs, value._saved, strict=True):
            if isinstance(x, Value) and x.op is None:
                node = nodes[ids[x]]
                if node.id not in seen:
                    seen.add(node.id)
                    node.used = [data]
                elif node.used[-1] is not data:
                    node.used.append(data)
                node.data = data


# --- groups


def _calls_around(
    values: Sequence[Value], names: Names, origins: Mapping[Value, Value], side: Group | None
) -> tuple[list[Group], dict[Value, Group]]:
    """The calls of modules in which the Values were made, as groups within `side`, and the innermost of each Value."""
    from tinygrad_sm.nn.module import calls_of

    calls = {(call.start, call.end): call for value in values for call in calls_of(origins.get(value, value))}
    events: list[tuple[int, str, Any]] = [(origins.get(value, value)._order, "made", value) for value in values]
    for start, end in calls:
        events += [(start, "begun", calls[start, end]), (end, "ended", None)]
    groups: list[Group] = []
    inside = [side] if side else []
    group_of: dict[Value, Group] = {}
    for _, what, x in sorted(events, key=lambda event: -event[0]):  # orders count down
        if what == "begun":
            if not names.knows(x.module):  # an outermost one, since those within have their names from it
                names.add_module(x.module, "")
            groups.append(Group("", "module", x.module.title(), names.of(x.module), inside[-1] if inside else None))
            inside.append(groups[-1])
        elif what == "ended":
            inside.pop()
        elif inside:
            group_of[x] = inside[-1]
    _draw_in_parameters(values, group_of, names)
    used = {group for own in group_of.values() for group in own.chain()}
    return [group for group in groups if group in used], group_of


def _draw_in_parameters(values: Iterable[Value], group_of: dict[Value, Group], names: Names) -> None:
    """Puts a parameter, which was made before any call, into the innermost group that holds all of its uses."""
    own = {*values}
    homes: dict[Value, list[Group]] = {}
    for value in values:
        around = [*group_of[value].chain()] if value in group_of else []
        for x in value.inputs:
            if isinstance(x, Value) and x in own and x.op is None and names.is_parameter(x):
                homes[x] = [group for group in homes.get(x, around) if group in around]
    group_of.update({leaf: around[0] for leaf, around in homes.items() if around})


# --- two beside each other


def _same_leaves(values: Sequence[Value], outputs: Sequence[Value], names: Names) -> dict[Value, Value]:
    """Leaves that have the name and the numbers of an older one, each with that one: two sides meet in what they share."""
    first: dict[Any, Value] = {}
    twins = {}
    for value in values:
        name = names.of(value)
        if value.op is None and name and value not in outputs:
            key = (name, value.requires_grad, shape(value.data), str(nested_lists(value.data)))
            if first.setdefault(key, value) is not value:
                twins[value] = first[key]
    return twins


def _parts(
    values: Sequence[Value], outputs: Sequence[Value], sides: Sequence[Group], twins: Mapping[Value, Value]
) -> Iterator[tuple[Group | None, list[Value]]]:
    """What all outputs share, and for each side what only it was computed from; all at once without sides."""
    if not sides:
        yield None, [*values]
        return
    reached = [{twins.get(value, value) for value in history(output)} for output in outputs]
    of_one = [own.difference(*(other for other in reached if other is not own)) for own in reached]
    yield None, [value for value in values if not any(value in own for own in of_one)]
    for side, own in zip(sides, of_one, strict=True):
        yield side, [value for value in values if value in own]
