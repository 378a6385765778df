"""Blocks that follow each other again and again, equal modules or the steps of a loop, of which a picture shows the first."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import count
from typing import Any

from tinygrad_sm.graph.namespaces import SCALARS, is_array, shape
from tinygrad_sm.viz.scenes.scene import Group, Node

Row = tuple[int, int, int]  # its first op, how many ops a block has, and how many blocks there are
LONGEST = 64  # ops in a step of a loop, to be seen as one; a module may have any number
NEAREST = 8  # modules of the same kind with which one is compared


def fold_repeats(nodes: dict[str, Node], groups: list[Group], outputs: Collection[str], shown: dict[str, str]) -> None:
    """Leaves of each row of equal blocks the first one, in a group with the number of `times`.

    Two modules in a row are enough, and three steps of a loop. Equal are blocks with the same ops, settings, shapes and
    wires, each fed by the one before. What is left out is removed from `nodes` and `groups`, becomes one of the `members` of
    what stands for it, and `shown` leads there. Outputs are never left out. Rows within rows are found from the inside out.
    """
    numbers = count()
    while runs := _shortest(line := _Line(nodes, groups, outputs, shown)):
        twins: dict[str, str] = {}
        for run in runs:
            twins |= line.twins(*run)
        members = {first: [*(nodes[first].members or (first,))] for first in twins.values()}
        for twin, first in twins.items():
            members[first] += nodes[twin].members or (twin,)
        for first, ids in members.items():
            nodes[first].members = tuple(ids)
        for run in runs:
            line.frame(*run, f"r{next(numbers)}", members.keys())
        groups[:] = [group for own in (*groups, None) for group in (*line.frames[own], own) if group]
        for twin in twins:
            del nodes[twin]
        shown.update([(node, twins[me]) for node, me in shown.items() if me in twins])
        used = {group for own in {node.group for node in nodes.values()} if own for group in own.chain()}
        groups[:] = [group for group in groups if group in used]


def _shortest(line: _Line) -> list[Row]:
    """The rows of modules, or if there are none the rows with the fewest ops in a block, more or less."""
    lengths = (0, *(2**k for k in range(LONGEST.bit_length())))
    return next((rows for longest in lengths if (rows := _rows(line, longest))), [])


def _rows(line: _Line, longest: int) -> list[Row]:
    """Where equal blocks follow each other, modules (`longest` 0) or the steps of loops, with up to `longest` ops each."""
    found: list[Row] = []
    i = free = 0
    while i < len(line.ops):
        periods = line.loops(i, longest) if longest else line.modules(i)
        if row := next(filter(None, (line.row(i, period, free, 3 if longest else 2) for period in periods)), None):
            found.append(row)
            i = free = row[0] + row[1] * row[2]
        else:
            i += 1
    return found


class _Line:
    """The ops of a scene in a row. A leaf stands where it is first used."""

    def __init__(self, nodes: dict[str, Node], groups: list[Group], outputs: Collection[str], shown: dict[str, str]) -> None:
        self.outputs = outputs
        self.ops = [node for node in nodes.values() if not node.is_leaf]
        self.tails = [[nodes[shown[edge.tail]] for edge in op.operands] for op in self.ops]
        self.first_use: dict[str, tuple[int, int]] = {}
        for i, tails in enumerate(self.tails):
            for k, tail in enumerate(tails):
                self.first_use.setdefault(tail.id, (i, k))
        self._turns = {member: n for node in nodes.values() for n, member in enumerate(node.members)}
        self.places = self.first_use | {op.id: (i, -1) for i, op in enumerate(self.ops)}

        self.begin: dict[Group, int] = {}
        self.end: dict[Group, int] = {}
        for i, op in enumerate(self.ops):
            if op.group is not None:
                self.begin.setdefault(op.group, i)
                self.end[op.group] = i + 1
        for group in reversed(groups):  # inner ones first
            if group in self.begin and (outer := group.parent) is not None:
                self.begin[outer] = min(self.begin[group], self.begin.get(outer, len(self.ops)))
                self.end[outer] = max(self.end[group], self.end.get(outer, 0))
        self._nth_group = {group: n for n, group in enumerate(groups)}
        self.frames: dict[Group | None, list[Group]] = defaultdict(list)  # new ones, by the group before which they come
        self._opening: dict[int, list[Group]] = defaultdict(list)
        self._siblings: dict[Any, list[int]] = defaultdict(list)
        for group in groups:  # outer ones first
            if group in self.begin:
                self._opening[self.begin[group]].append(group)
                self._siblings[_kin(group)].append(self.begin[group])

        kinds: dict[Any, int] = {}
        self._kinds = [-1 - i if op.id in outputs else kinds.setdefault(_kind(op), len(kinds)) for i, op in enumerate(self.ops)]
        forms: dict[Any, int] = {}
        self._forms = []  # kinds together with how far back the operands are
        for i, tails in enumerate(self.tails):
            back = tuple(0 if x.is_leaf or x.members else min(i - self.places[x.id][0], LONGEST + 1) for x in tails)
            self._forms.append(forms.setdefault((self._kinds[i], back), len(forms)))
        self._same_form: dict[int, list[int]] = defaultdict(list)
        for i, form in enumerate(self._forms):
            self._same_form[form].append(i)
        self._nth = {i: n for same in self._same_form.values() for n, i in enumerate(same)}

    def modules(self, i: int) -> Iterator[int]:
        """How many ops after `i` a module begins again that begins there."""
        for group in self._opening.get(i, ()):
            if group.kind == "module":
                starts = self._siblings[_kin(group)]
                at = bisect_right(starts, i)
                yield from (start - i for start in starts[at : at + NEAREST])

    def loops(self, i: int, longest: int) -> Iterator[int]:
        """How many ops after `i` the step of a loop may begin again."""
        same, forms = self._same_form[self._forms[i]], self._forms
        for n in range(self._nth[i] + 1, len(same)):
            period = same[n] - i
            if period > longest:
                return
            if forms[i : i + period] == forms[i + period : i + 2 * period]:
                yield period

    def row(self, start: int, period: int, free: int, fewest: int) -> Row | None:
        """The row of at least `fewest` blocks of `period` ops at `start`; it may begin earlier, but not before `free`."""
        carried: dict[str, Node] = {}
        end = start
        while end + period < len(self.ops) and self._alike(end, period, start, carried):
            end += 1
        if end - start < period:
            return None
        # the first step of a loop begins with something else than the one before has left
        longest = range(max(start - period, free), start)
        start = next((i for i in longest if self._begins(i, period, start + period)), start)
        spare = range(start, start + (end - start) % period + 1)
        start = next((i for i in spare if i in self._opening and self._begins(i, period, i + period)), start)
        times = (end - start) // period + 1
        is_row = times >= fewest and self._opens(start, period) and self._feeds(start, period)
        return (start, period, times) if is_row else None

    def _begins(self, start: int, period: int, end: int) -> bool:
        """Whether a row begins at `start`, which goes on up to `end`."""
        carried: dict[str, Node] = {}
        return self._opens(start, period) and all(self._alike(i, period, start, carried) for i in range(start, end))

    def _feeds(self, start: int, period: int) -> bool:
        """Whether the second block takes something of the first."""
        second = start + period
        places = (self.places[x.id] for i in range(second, second + period) for x in self.tails[i] if not x.is_leaf)
        return any(start <= at < second for at, _ in places)

    def _alike(self, i: int, period: int, start: int, carried: dict[str, Node]) -> bool:
        """Whether the op `i` and the one a period later do the same for their blocks, in a row that begins at `start`.

        In the first block, `carried` has what stands for results of the block before.
        """
        if self._kinds[i] != self._kinds[i + period] or not self._fellows(self.ops[i], self.ops[i + period], period):
            return False
        edges = zip(self.ops[i].operands, self.ops[i + period].operands, strict=True)
        for x, y, (a, b) in zip(self.tails[i], self.tails[i + period], edges, strict=True):
            if x is y:  # or each takes its turn of an earlier row
                if a.tail == b.tail or self._turns[a.tail] + 1 == self._turns[b.tail]:
                    continue
                return False
            (at, k), (to, m) = self.places[x.id], self.places[y.id]
            if (at + period, k) == (to, m) and at >= start:
                if k < 0 or (_kind(x) == _kind(y) and y.id not in self.outputs and self._fellows(x, y, period)):
                    continue
                return False
            if at + period == to < start and self.first_use[y.id][0] < start + period and _form(x.data) == _form(y.data):
                continue  # from before the row, and used in its first block too
            from_outside = x.is_leaf or at < start
            of_the_first = not y.is_leaf and i < start + period and start <= to < start + period
            if not (from_outside and of_the_first and _form(x.data) == _form(y.data) and carried.setdefault(y.id, x) is x):
                return False
        return True

    def _fellows(self, a: Node, b: Node, period: int) -> bool:
        """Whether two nodes are in the same group, or each in a group of its own block."""
        g, h = a.group, b.group
        while g is not h:
            if g is None or h is None or (g.kind, g.title, g.times) != (h.kind, h.title, h.times):
                return False
            if g not in self.begin or h not in self.begin:
                return False
            if (self.begin[g] + period, self.end[g] + period) != (self.begin[h], self.end[h]):
                return False
            g, h = g.parent, h.parent
        return True

    def _opens(self, i: int, period: int) -> bool:
        """Whether a block that begins at `i` cuts no group in two."""
        return all(self.begin[group] == i for group in self._within(i, period))

    def _within(self, i: int, period: int) -> Iterator[Group]:
        """The groups around the op `i` that are not around the one a period later, innermost first."""
        g, h = self.ops[i].group, self.ops[i + period].group
        while g is not None and g is not h:
            yield g
            g, h = g.parent, h.parent if h else None

    def twins(self, start: int, period: int, times: int) -> dict[str, str]:
        """What is left out of a row, each with what stands for it: ops, and the leaves that they are the first to use."""
        twins = {}
        for i in range(start + period, start + period * times):
            first = start + (i - start) % period
            for k, leaf in enumerate(self.tails[i]):
                if leaf.is_leaf and self.places[leaf.id] == (i, k):
                    twins[leaf.id] = self.tails[first][k].id
            twins[self.ops[i].id] = self.ops[first].id
        return twins

    def frame(self, start: int, period: int, times: int, new: str, repeated: Collection[str]) -> None:
        """Notes the number of times: on the group that is a block, or on one around it, with the id `new`."""
        block = range(start, start + period)
        around = [*self._within(start, period)]
        outer = around[-1].parent if around else self.ops[start].group
        if around and around[-1].times == 1 and self.end[around[-1]] == start + period:
            frame = around[-1]
        else:
            frame = Group(new, "repeat", "", parent=outer)
            inside = {group for i in block for group in self._within(i, period)}
            self.frames[min(inside, key=self._nth_group.__getitem__, default=None)].append(frame)
            for group in inside:
                if group.parent is outer:
                    group.parent = frame
        frame.times = times
        for i in block:
            for node in (self.ops[i], *(x for x in self.tails[i] if x.is_leaf and x.id in repeated)):
                if node.group is outer:
                    node.group = frame
                elif node.is_leaf and frame not in (node.group.chain() if node.group else ()):
                    node.times = times  # it stands outside of the frame


def _kin(group: Group) -> Any:
    return group.parent, group.kind, group.title, group.times


def _kind(node: Node) -> Any:
    """What two nodes have in common that do the same on data of the same shape."""
    value = node.value
    if node.is_leaf or value is None or value.op is None:
        return node.role, _form(node.data), node.times
    params = value._params or {}
    # which element is taken by x[i] may differ in each step of a loop
    settings = tuple(_form(params[key]) if key == "key" else _setting(params[key]) for key in value.op.setting_names if params)
    carries = tuple(edge.carries for edge in node.operands)
    return value.op, _form(node.data), settings, carries, tuple(edge.place for edge in node.operands), node.times


def _form(x: Any) -> Any:
    """The kind of plain data without its numbers."""
    if isinstance(x, (tuple, list)):
        return type(x), tuple(map(_form, x))
    return (type(x), shape(x)) if is_array(x) or type(x) in SCALARS else type(x)


def _setting(x: Any) -> Any:
    if isinstance(x, (tuple, list)):
        return tuple(map(_setting, x))
    return _form(x) if is_array(x) else repr(x)
