"""Groups, hosts and the variables each of them sets, as Ansible merges them.

Sources of precedence: Ansible's documentation of inventory variables and its
VariableManager. Low to high: ``all`` in the inventory, other groups in the
inventory, ``group_vars/all``, ``group_vars/*``, the host in the inventory,
``host_vars/*``. Among groups the deeper wins, then ``ansible_group_priority``
(which counts in the inventory only, not in ``group_vars``), then the later
name. A variable that is set again replaces the earlier value as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from orchestrator.inventory.nodes import Node

PRIORITY = "ansible_group_priority"


@dataclass(slots=True)
class Group:
    """A group: its members, and its variables from the inventory and ``group_vars``.

    Members are ordered sets of names. ``named_at`` is where it was named first.
    """

    name: str
    named_at: Node | None = None
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    variables: dict[str, Node] = field(default_factory=dict)
    file_variables: dict[str, Node] = field(default_factory=dict)
    priority: int = 1


@dataclass(slots=True)
class Host:
    """A host: where it was named first, and its variables."""

    name: str
    named_at: Node
    variables: dict[str, Node] = field(default_factory=dict)
    file_variables: dict[str, Node] = field(default_factory=dict)


class Tree:
    """Every group and host of an inventory."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {"all": Group("all"), "ungrouped": Group("ungrouped")}
        self.groups["all"].children["ungrouped"] = None
        self.hosts: dict[str, Host] = {}
        self._order: dict[str, tuple[int, int, str]] = {}
        self._groups_of: dict[str, set[str]] = {}

    def add_child(self, parent: str, child: str) -> bool:
        """Put a group under another; False where that would close a circle."""
        if parent == child or self._holds(child, parent):
            return False
        self.groups[parent].children[child] = None
        return True

    def finish(self) -> None:
        """What Ansible does last: everything under ``all``, lonely hosts ``ungrouped``."""
        parents = self._parents()
        for name in self.groups:
            if name != "all" and not parents[name]:
                self.groups["all"].children[name] = None
        ungrouped = self.groups["ungrouped"]
        named = [group for group in self.groups.values() if group.name not in {"all", "ungrouped"}]
        grouped = {host for group in named for host in group.hosts}
        for host in self.hosts:
            if host in grouped:
                ungrouped.hosts.pop(host, None)
            else:
                ungrouped.hosts[host] = None
        self._index()

    def variables_of(self, host: str) -> dict[str, Node]:
        """A host's variables, merged. Only after ``finish``."""
        names = sorted(self._groups_of[host] - {"all"}, key=self._order.__getitem__)
        groups = [self.groups["all"], *(self.groups[name] for name in names)]
        merged: dict[str, Node] = {}
        for group in groups:
            merged |= group.variables
        for group in groups:
            merged |= group.file_variables
        return merged | self.hosts[host].variables | self.hosts[host].file_variables

    def all_variables(self) -> Iterator[dict[str, Node]]:
        """Every set of variables there is, used or not."""
        for group in self.groups.values():
            yield group.variables
            yield group.file_variables
        for host in self.hosts.values():
            yield host.variables
            yield host.file_variables

    def _holds(self, group: str, wanted: str) -> bool:
        return wanted in self._reach([group], {n: g.children for n, g in self.groups.items()})

    def _parents(self) -> dict[str, dict[str, None]]:
        parents: dict[str, dict[str, None]] = {name: {} for name in self.groups}
        for name, group in self.groups.items():
            for child in group.children:
                parents[child][name] = None
        return parents

    def _index(self) -> None:
        parents = self._parents()
        depths: dict[str, int] = {}
        for name in self.groups:
            depth = _depth(name, parents, depths)
            self._order[name] = (depth, self.groups[name].priority, name)
        for host in self.hosts:
            self._groups_of[host] = set()
        for name, group in self.groups.items():
            above = self._reach([name], parents) | {name}
            for host in group.hosts:
                self._groups_of[host] |= above

    @staticmethod
    def _reach(start: Iterable[str], edges: dict[str, dict[str, None]]) -> set[str]:
        found: set[str] = set()
        todo = list(start)
        while todo:
            for name in edges.get(todo.pop(), {}):
                if name not in found:
                    found.add(name)
                    todo.append(name)
        return found


def _depth(name: str, parents: dict[str, dict[str, None]], known: dict[str, int]) -> int:
    """Longest way from ``all``; there are no circles."""
    if name not in known:
        above = [_depth(parent, parents, known) for parent in parents[name]]
        known[name] = 1 + max(above) if above else 0
    return known[name]
