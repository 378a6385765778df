"""Scenes with fewer nodes: modules as one box each, equal blocks drawn once, and the oldest nodes as one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from math import prod
from operator import index
from typing import Any

from tinygrad_sm.graph.namespaces import shape
from tinygrad_sm.nd.shapes import brief
from tinygrad_sm.viz.scenes.repetition import fold_repeats
from tinygrad_sm.viz.scenes.scene import Edge, Group, Node, Scene

Wanted = Callable[[Group], bool]


class Folded(Node):
    """One box for several nodes, its `members`: a module, or the oldest ones.

    `ops` and `entries` count the ops and the entries of the parameters in it, once if it is drawn for several `times`.
    `takes` are the nodes of the full scene that go in, parameters aside, and `gives` those in it whose results are used
    outside: their Values have the gradients, and a Flow of the full scene has them by their ids. `data` is the result if there
    is but one.
    """

    __slots__ = ("entries", "gives", "ops", "takes")

    def __init__(self, id: str, title: str, name: str, members: Iterable[str], own: Sequence[Node]) -> None:  # noqa: A002
        super().__init__(id, "folded", title, name=name)
        self.members = tuple(members)
        self.ops = sum(not node.is_leaf for node in own)
        self.entries = sum(prod(shape(node.data)) for node in own if node.role == "parameter")
        self.takes: list[Node] = []
        self.gives: list[Node] = []


def fold(scene: Scene, *, collapse: Any = None, repeats: bool | None = None, max_nodes: int = 300) -> Scene:
    """The scene with some of its nodes folded into one; the scene itself when there is nothing to fold.

    `collapse` says which modules become one box each: a depth (0: the outermost ones), paths, classes or their names, or a
    function of a Group. `repeats` says whether equal blocks in a row are drawn once; None: only with `collapse`, or above
    `max_nodes`, plain data not counted. What is above is made smaller: by equal blocks, then by modules, the deepest first, and
    at last the oldest nodes become one, so that `max_nodes` others are left. Outputs are always drawn.

    Every node of the scene is drawn or one of the `members` of one that is. Edges keep their ids, and where an edge into a
    folded node stands for several of the same tail, it has their ids. Raises a ValueError or a TypeError for wrong arguments.

    >>> import tinygrad_sm as tg
    >>> from tinygrad_sm.viz.scenes.scene import scene_of
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.ReLU(), tg.nn.Linear(3, 2))
    >>> scene = scene_of(tg.cross_entropy(model([[1.0, 2.0]]), [0]))
    >>> [node.name or node.title for node in fold(scene, collapse=0).nodes.values()]
    ['Sequential()', 'constant', 'cross_entropy']
    """
    most = _whole(max_nodes)
    if repeats is not None and not isinstance(repeats, bool):
        raise TypeError(f"draw: repeats is True, False or None, not {brief(repeats)}")
    wanted = _wanted(collapse, scene)
    many = _counted(scene.nodes.values()) > most
    if not many and wanted is None and not repeats:
        return scene
    draft = _Draft(scene)
    if repeats is not False:
        draft.fold_repeats()
    if wanted is not None:
        draft.fold_groups(wanted)
    if many:
        draft.fold_until(most)
    return draft.scene()


# --- what is to be folded


def _whole(max_nodes: Any) -> int:
    try:
        most = index(max_nodes)
    except TypeError:
        raise TypeError(f"draw: max_nodes is a whole number, not {brief(max_nodes)}") from None
    if most < 1:
        raise ValueError(f"draw: max_nodes is at least 1, not {most}")
    return most


def _wanted(collapse: Any, scene: Scene) -> Wanted | None:
    """Which groups become one node."""
    if collapse is None or (callable(collapse) and not isinstance(collapse, type)):
        return collapse
    if isinstance(collapse, (str, type)):
        collapse = [collapse]
    if isinstance(collapse, (list, tuple, set, frozenset)) and all(isinstance(name, (str, type)) for name in collapse):
        collapse = [name if isinstance(name, str) else name.__name__ for name in collapse]
        names: dict[Group, set[str]] = {group: _names(group) for group in scene.groups if group.kind == "module"}
        for name in collapse:
            if not any(name in own for own in names.values()):
                known = [*dict.fromkeys(group.path or _class(group) for group in names)]
                there = ", ".join(map(repr, known[:8])) + ", …" * (len(known) > 8)
                raise ValueError(f"draw: collapse has {name!r}, which is no module here; there is {there or 'none'}")
        chosen = {group.id for group, own in names.items() if own & {*collapse}}
        return lambda group: group.id in chosen
    try:
        depth = None if isinstance(collapse, bool) else index(collapse)
    except TypeError:
        depth = None
    if depth is None:
        raise TypeError(
            f"draw: collapse is a depth, paths or class names of modules, or a function of a Group, not {brief(collapse)}"
        )
    if depth < 0:
        raise ValueError(f"draw: collapse is a depth of at least 0, not {depth}")
    depths = _depths(scene.groups)
    return lambda group: group.kind == "module" and depths[group.id] == depth


def _names(group: Group) -> set[str]:
    """What a module may be called in `collapse`: its class, its path, and its path within the outermost module."""
    outermost = [around for around in group.chain() if around.kind == "module"][-1].path
    inner = group.path.removeprefix(f"{outermost}.") if outermost else group.path
    return {_class(group), group.path, inner} - {""}


def _class(group: Group) -> str:
    return group.title.partition("(")[0]


def _depths(groups: Iterable[Group]) -> dict[str, int]:
    """How many modules each group is in, by id; outer groups come first."""
    depths: dict[str, int] = {}
    for group in groups:
        outer = group.parent
        depths[group.id] = 0 if outer is None else depths[outer.id] + (outer.kind == "module")
    return depths


# --- folding


class _Draft:
    """A scene in the making: `nodes` are drawn, and `shown` has, for each node of the full scene, the drawn one."""

    def __init__(self, full: Scene) -> None:
        self.full = full
        copies: dict[Group | None, Group | None] = {None: None}
        for group in full.groups:
            copy = copies[group] = Group(group.id, group.kind, group.title, group.path, copies[group.parent])
            copy.times = group.times
        self.all_groups = [group for group in copies.values() if group is not None]
        self.groups = [*self.all_groups]
        self.nodes = {me: _copied(node, copies[node.group]) for me, node in full.nodes.items()}
        self.homes = {me: node.group for me, node in self.nodes.items()}
        self.shown = {me: me for me in full.nodes}
        self.first = dict(self.shown)  # for each node its like in the first of equal blocks

    def fold_repeats(self) -> None:
        """Draws the first of equal blocks that follow each other."""
        fold_repeats(self.nodes, self.groups, self.full.outputs, self.shown)
        self.first = dict(self.shown)

    def fold_groups(self, wanted: Wanted) -> None:
        """Makes one node of each outermost group that is wanted."""
        folded: dict[Group | None, Group | None] = {None: None}
        for group in self.all_groups:
            folded[group] = folded[_module(group.parent)] or (group if wanted(group) else None)
        own: dict[Group | None, list[Node]] = defaultdict(list)
        drawn: dict[Group | None, list[Node]] = defaultdict(list)
        for me, home in self.homes.items():
            own[folded[home]].append(self.full.nodes[me])
        for node in self.nodes.values():
            drawn[folded[_module(node.group)]].append(node)
        drawn.pop(None, None)
        for place, nodes in drawn.items():
            assert place is not None
            box = self._box(place.id, place.title, place.path, nodes, own[place])
            box.group, box.times = place.parent, place.times

    def fold_until(self, most: int) -> None:
        """Makes one node of each module of a depth, the greatest that does, and one of the oldest nodes that are too many."""
        depths = _depths(self.groups)
        deep = {group: depths[group.id] + (group.kind == "module") for group in self.groups}
        nodes = Counter(deep[node.group] if node.group else 0 for node in self.nodes.values() if not _is_plain(node))
        modules = Counter(deep[group] for group in self.groups if group.kind == "module")
        level = deepest = max(deep.values(), default=0)
        while level and sum(nodes[depth] for depth in range(level + 1)) + modules[level + 1] > most:
            level -= 1
        if level < deepest:
            chosen = {group.id for group in self.groups if group.kind == "module" and depths[group.id] == level}
            self.fold_groups(lambda group: group.id in chosen)
        if _counted(self.nodes.values()) > most:
            self._fold_oldest(most)

    def _fold_oldest(self, most: int) -> None:
        """Plain data stays beside the op that took it, and outputs stay however old they are."""
        kept = {self.shown[output] for output in self.full.outputs}
        kept.update([me for me in self._in_order() if not _is_plain(self.nodes[me])][-most:])
        plain = {edge.tail for edge in self._edges() if self.shown[edge.head] in kept and _is_plain(self.full.nodes[edge.tail])}
        old = [node for me, node in self.nodes.items() if me not in kept and me not in plain]
        if not old:
            return
        everything = [self.full.nodes[me] for node in old for me in node.members or (node.id,)]
        n = _counted(everything)
        self._box("older", f"… {n} older node{'s' * (n != 1)}", "", old, everything)

    def _box(self, new: str, title: str, name: str, nodes: Iterable[Node], own: Sequence[Node]) -> Folded:
        """Puts one node into the place of several; `own` is what it is said to hold."""
        members = [member for node in nodes for member in node.members or (node.id,)]
        for node in nodes:
            del self.nodes[node.id]
        box = self.nodes[new] = Folded(new, title, name, members, own)
        self.shown.update(dict.fromkeys(members, new))
        return box

    # --- the result

    def _edges(self) -> Iterator[Edge]:
        """The edges between what is drawn, of equal blocks those of the first."""
        for edge in self.full.edges:
            if self.first[edge.head] == edge.head and self.shown[edge.tail] != self.shown[edge.head]:
                yield edge

    def _in_order(self) -> list[str]:
        """The ids of what is drawn, each behind what goes into it, and otherwise oldest first."""
        rank: dict[str, tuple[bool, int]] = {}  # a box is as old as its oldest op
        for i, node in enumerate(self.full.nodes.values()):
            if self.first[node.id] == node.id:
                me = self.shown[node.id]
                rank[me] = min(rank.get(me, (True, i)), (node.is_leaf, i))
        waits: Counter[str] = Counter()
        feeds: dict[str, list[str]] = defaultdict(list)
        for edge in self._edges():
            tail, head = self.shown[edge.tail], self.shown[edge.head]
            waits[head] += 1
            feeds[tail].append(head)
        ready = [(rank[me][1], me) for me in self.nodes if not waits[me]]
        heapify(ready)
        order: dict[str, None] = {}
        while ready:
            _, me = heappop(ready)
            order[me] = None
            for head in feeds[me]:
                waits[head] -= 1
                if not waits[head]:
                    heappush(ready, (rank[head][1], head))
        return [*order, *(me for me in self.nodes if me not in order)]  # an output may be older than what is folded as older

    def scene(self) -> Scene:
        """The scene of what is drawn."""
        nodes = {me: self.nodes[me] for me in self._in_order()}
        for node in nodes.values():
            node.operands = []
        into: dict[str, dict[str, Edge]] = defaultdict(dict)  # by the head, and by the source in the full scene
        gives: dict[str, dict[str, Node]] = defaultdict(dict)
        for edge in self._edges():
            tail, head = nodes[self.shown[edge.tail]], nodes[self.shown[edge.head]]
            source = self.full.nodes[self.first[edge.tail]]
            gives[tail.id][source.id] = source
            if not isinstance(head, Folded):
                head.operands.append(Edge(edge.id, tail.id, head.id, edge.place, edge.word, edge.carries))
            elif (known := into[head.id].get(source.id)) is None:
                new = into[head.id][source.id] = Edge(edge.id, tail.id, head.id, len(head.operands), "", edge.carries)
                new.members = (edge.id,)
                head.operands.append(new)
                head.takes += [source] * (source.role != "parameter")
            elif source.id == edge.tail:
                known.members += (edge.id,)
        for output in self.full.outputs:
            gives[self.shown[output]][output] = self.full.nodes[output]
        for node in nodes.values():
            if isinstance(node, Folded):
                node.gives = [*gives[node.id].values()]
                node.data = node.gives[0].data if len(node.gives) == 1 else None
        edges = [edge for node in nodes.values() for edge in node.operands]
        used = {group for own in {node.group for node in nodes.values()} if own for group in own.chain()}
        groups = [group for group in self.groups if group in used]
        scene = Scene(nodes, edges, groups, [self.shown[output] for output in self.full.outputs])
        scene.full = self.full
        return scene


def _copied(node: Node, group: Group | None) -> Node:
    """The node in another scene."""
    twin = Node(node.id, node.role, node.title, value=node.value, data=node.data, name=node.name)
    twin.used, twin.operands, twin.group = node.used, node.operands, group
    return twin


def _module(group: Group | None) -> Group | None:
    """The module, or the side, that it is or is in: equal blocks are no place of their own."""
    while group is not None and group.kind == "repeat":
        group = group.parent
    return group


def _is_plain(node: Node) -> bool:
    return node.value is None and node.role != "folded"


def _counted(nodes: Iterable[Node]) -> int:
    """How many nodes there are, plain data aside."""
    return sum(not _is_plain(node) for node in nodes)
