"""Groups, hosts and the variables each of them sets, as Ansible merges them.

Sources of precedence: Ansible's documentation of inventory variables and its
VariableManager. Low to high: ``all`` in the inventory, other groups in the
inventory, ``group_vars/all``, ``group_vars/*``, the host in the inventory,
``host_vars/*``. Among groups the deeper wins, then ``ansible_group_priority``,
then the later name.
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.inventory.nodes import Node, Report, read_yaml

_GROUP_KEYS = ("hosts", "children", "vars")
_RANGE = re.compile(r"\[([0-9]+|[A-Za-z]):([0-9]+|[A-Za-z])(?::([0-9]+))?\]")
_IGNORED = (".cfg", ".ini", ".retry", ".pyc", ".orig", ".bak", "~", ".txt", ".md")


@dataclass(slots=True)
class Group:
    """A group: its members, and its variables from the inventory and ``group_vars``."""

    name: str
    hosts: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    variables: dict[str, Node] = field(default_factory=dict)
    file_variables: dict[str, Node] = field(default_factory=dict)

    @property
    def priority(self) -> int:
        """``ansible_group_priority``; Ansible's default is 1."""
        node = self.variables.get("ansible_group_priority")
        return node.value if node is not None and isinstance(node.value, int) else 1


@dataclass(slots=True)
class Host:
    """A host: where it was named first, and its variables."""

    name: str
    named_at: Node
    variables: dict[str, Node] = field(default_factory=dict)
    file_variables: dict[str, Node] = field(default_factory=dict)


class Tree:
    """Every group and host of an inventory."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.groups: dict[str, Group] = {"all": Group("all"), "ungrouped": Group("ungrouped")}
        self.hosts: dict[str, Host] = {}

    def add(self, root: Node) -> None:
        """Take over one inventory file."""
        if not isinstance(root.value, dict):
            self._report(root.problem("an inventory begins with groups: write 'all:' first"))
            return
        for name, node in root.value.items():
            self._add_group(name, node, root)

    def add_variable_files(self, folder: Path) -> None:
        """``group_vars`` and ``host_vars`` beside the inventory."""
        for name, group in self.groups.items():
            group.file_variables |= self._files(folder / "group_vars", name)
        for name, host in self.hosts.items():
            host.file_variables |= self._files(folder / "host_vars", name)

    def finish(self) -> None:
        """What Ansible does last: everything under ``all``, the rest ``ungrouped``."""
        children = {child for group in self.groups.values() for child in group.children}
        for name in self.groups:
            if name != "all" and name not in children:
                self.groups["all"].children.append(name)
        self._report_cycles()
        grouped = {
            host
            for g in self.groups.values()
            if g.name not in {"all", "ungrouped"}
            for host in g.hosts
        }
        for host in self.groups["all"].hosts:
            if host not in grouped and host not in self.groups["ungrouped"].hosts:
                self.groups["ungrouped"].hosts.append(host)
        self.groups["ungrouped"].hosts = [
            host for host in self.groups["ungrouped"].hosts if host not in grouped
        ]

    def variables_of(self, name: str) -> dict[str, Node]:
        """A host's variables, merged."""
        groups = self._groups_of(name)
        everyone = [group for group in groups if group.name == "all"]
        others = [group for group in groups if group.name != "all"]
        host = self.hosts[name]
        merged: dict[str, Node] = {}
        for group in (*everyone, *others):
            merged |= group.variables
        for group in (*everyone, *others):
            merged |= group.file_variables
        return merged | host.variables | host.file_variables

    def all_variables(self) -> Iterable[dict[str, Node]]:
        """Every set of variables there is, used or not."""
        for group in self.groups.values():
            yield group.variables
            yield group.file_variables
        for host in self.hosts.values():
            yield host.variables
            yield host.file_variables

    def depth(self, name: str) -> int:
        """Longest way from ``all``."""
        parents = [g.name for g in self.groups.values() if name in g.children]
        return 1 + max(map(self.depth, parents)) if parents else 0

    def _groups_of(self, host: str) -> list[Group]:
        found = {group.name for group in self.groups.values() if host in group.hosts}
        if not found - {"all"}:
            found.add("ungrouped")
        todo = list(found)
        while todo:
            child = todo.pop()
            for group in self.groups.values():
                if child in group.children and group.name not in found:
                    found.add(group.name)
                    todo.append(group.name)
        found.add("all")
        groups = [self.groups[name] for name in found]
        return sorted(groups, key=lambda g: (self.depth(g.name), g.priority, g.name))

    def _add_group(self, name: str, node: Node, parent: Node) -> None:
        if not re.fullmatch(r"[^\s\[\]]+", name):
            self._report(parent.key_problem(name, f"{name!r} cannot name a group"))
        group = self.groups.setdefault(name, Group(name))
        if node.value is None:
            return
        if not isinstance(node.value, dict):
            message = f"group {name!r} must be a mapping with hosts, children or vars"
            self._report(node.problem(message))
            return
        for key, part in node.value.items():
            if key not in _GROUP_KEYS:
                message = (
                    f"a group has no {key!r}: write hosts, children or vars, "
                    "and put variables under 'vars:'"
                )
                self._report(node.key_problem(key, message))
            elif part.value is not None and not isinstance(part.value, dict):
                example = "a colon after each name" if key != "vars" else "'name: value' lines"
                self._report(part.problem(f"{key} must be a mapping: write {example}"))
            elif part.value is not None:
                getattr(self, f"_add_{key}")(group, part)

    def _add_vars(self, group: Group, node: Node) -> None:
        group.variables |= node.value

    def _add_children(self, group: Group, node: Node) -> None:
        for name, child in node.value.items():
            if name not in group.children:
                group.children.append(name)
            self._add_group(name, child, node)

    def _add_hosts(self, group: Group, node: Node) -> None:
        for pattern, variables in node.value.items():
            names = self._expand(pattern, node)
            for name in names:
                if name not in group.hosts:
                    group.hosts.append(name)
                place = Node(name, node.path, *node.keys.get(pattern, (node.line, node.column)), {})
                host = self.hosts.setdefault(name, Host(name, place))
                if isinstance(variables.value, dict):
                    host.variables |= variables.value
            if variables.value is not None and not isinstance(variables.value, dict):
                message = f"host {pattern!r} must have 'name: value' lines under it, or nothing"
                self._report(variables.problem(message))

    def _expand(self, pattern: str, node: Node) -> list[str]:
        match = _RANGE.search(pattern)
        if match is None:
            if "[" in pattern or "]" in pattern or not pattern.strip():
                message = f"{pattern!r} is no host name: a range is written [01:10] or [a:f]"
                self._report(node.key_problem(pattern, message))
                return []
            return [pattern]
        try:
            middles = _range(match[1], match[2], int(match[3] or 1))
        except ValueError as error:
            self._report(node.key_problem(pattern, f"{match[0]} is no range: {error}"))
            return []
        heads = [pattern[: match.start()] + middle for middle in middles]
        tails = self._expand_tail(pattern[match.end() :], node)
        return [head + tail for head, tail in itertools.product(heads, tails)]

    def _expand_tail(self, tail: str, node: Node) -> list[str]:
        return self._expand(tail, node) if "[" in tail else [tail]

    def _files(self, folder: Path, name: str) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for path in _variable_files(folder, name):
            node = read_yaml(path, self._report)
            if node is None or node.value is None:
                continue
            if isinstance(node.value, dict):
                found |= node.value
            else:
                self._report(node.problem("must hold 'name: value' lines"))
        return found

    def _report_cycles(self) -> None:
        for name in list(self.groups):
            todo, seen = list(self.groups[name].children), set()
            while todo:
                child = todo.pop()
                if child == name:
                    self.groups[name].children.clear()
                    where = next(iter(self.hosts.values()), None)
                    if where is not None:
                        self._report(where.named_at.problem(f"group {name!r} is inside itself"))
                    break
                if child not in seen and child in self.groups:
                    seen.add(child)
                    todo.extend(self.groups[child].children)


def _range(first: str, last: str, step: int) -> list[str]:
    if step < 1:
        raise ValueError("the step must be at least 1")
    if first.isdigit() and last.isdigit():
        width = len(first) if first.startswith("0") else 0
        if width and len(last) != width:
            raise ValueError("both ends need the same number of digits")
        if int(first) > int(last):
            raise ValueError("it ends before it begins")
        return [str(number).zfill(width) for number in range(int(first), int(last) + 1, step)]
    letters = string.ascii_letters
    if first.isdigit() or last.isdigit() or letters.index(first) > letters.index(last):
        raise ValueError("it ends before it begins")
    return list(letters[letters.index(first) : letters.index(last) + 1 : step])


def _variable_files(folder: Path, name: str) -> list[Path]:
    """The file or folder of a group or host, in the order in which Ansible loads them."""
    for suffix in ("", ".yml", ".yaml", ".json"):
        path = folder / f"{name}{suffix}"
        if path.is_dir():
            return [
                file
                for file in sorted(path.rglob("*"))
                if file.is_file()
                and file.suffix in {"", ".yml", ".yaml", ".json"}
                and not file.name.startswith(".")
                and not file.name.endswith("~")
            ]
        if path.is_file():
            return [path]
    return []


def inventory_files(path: Path) -> list[Path]:
    """The files of an inventory: the path itself, or what a folder holds."""
    if not path.is_dir():
        return [path]
    return [
        file
        for file in sorted(path.iterdir())
        if file.is_file() and not file.name.startswith(".") and not file.name.endswith(_IGNORED)
    ]
