"""From inventory files to the tree of groups and hosts, every problem reported."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.inventory.colons import advice, glued_name
from orchestrator.inventory.files import variable_files
from orchestrator.inventory.groups import PRIORITY, Group, Host, Tree
from orchestrator.inventory.nodes import Node, Report
from orchestrator.inventory.patterns import expand
from orchestrator.inventory.reading import read_yaml
from orchestrator.inventory.vault import Vault

_PARTS = ("hosts", "children", "vars")


class Parser:
    """Fills a tree from files, in the order in which Ansible reads them.

    ``sources`` lists what was read; ``complete`` is False where one of them could
    not be, so that what seems to be missing may only stand there.
    """

    def __init__(self, report: Report, vault: Vault) -> None:
        self.tree = Tree()
        self.sources: list[Path] = []
        self.complete = True
        self._report = report
        self._vault = vault

    def add_inventory(self, file: Path) -> None:
        """One inventory file."""
        self.sources.append(file)
        node = read_yaml(file, self._report, self._vault)
        if node is None:
            self.complete = False
            return
        if node.value is None:
            message = "the file is empty: begin with 'all:', then 'hosts:' or 'children:' below"
            self._report(node.problem(message))
            return
        if not isinstance(node.value, dict):
            self._report(node.problem("an inventory begins with groups: write 'all:' first"))
        elif "plugin" in node.value:
            message = (
                "this configures an inventory plugin of Ansible: only YAML inventories are read"
            )
            self._report(node.key_problem("plugin", message))
        else:
            for name in self._names(node, "a group"):
                self._add_group(name, node)

    def finish(self, folder: Path) -> Tree:
        """Close the tree and read ``group_vars`` and ``host_vars`` of the folder."""
        self._check_shared_names()
        self.tree.finish()
        for name, group in self.tree.groups.items():
            group.file_variables |= self._variable_files(folder / "group_vars", name)
        for name, host in self.tree.hosts.items():
            host.file_variables |= self._variable_files(folder / "host_vars", name)
        return self.tree

    def _group(self, name: str, parent: Node) -> Group | None:
        if not re.fullmatch(r"(?!\.)[^\s\[\]/:]+", name):
            message = f"{name!r} cannot name a group: write letters, digits and '_'"
            self._report(parent.key_problem(name, message))
            return None
        group = self.tree.groups.setdefault(name, Group(name))
        group.named_at = group.named_at or parent.at_key(name)
        return group

    def _add_group(self, name: str, parent: Node) -> None:
        group = self._group(name, parent)
        node: Node = parent.value[name]
        if group is None or node.value is None:
            return
        if not isinstance(node.value, dict):
            message = f"group {name!r} must be a mapping: write hosts, children or vars in it"
            self._report(node.problem(_glued(node) or message))
            return
        for key, part in node.value.items():
            self._add_part(group, key, part, node)

    def _add_part(self, group: Group, key: str, part: Node, node: Node) -> None:
        if key not in _PARTS:
            message = (
                f"a group has no {key!r}: write hosts, children or vars, "
                "and put variables under 'vars:'"
            )
            self._report(node.key_problem(key, message))
            return
        if isinstance(part.value, str) and key != "vars":
            # Ansible takes a single name without a colon, too.
            name = part.value
            part = Node({name: Node(None, part.path, part.line, part.column)}, part.path,
                        part.line, part.column)  # fmt: skip
        if part.value is None:
            return
        if not isinstance(part.value, dict):
            example = "'name: value' lines" if key == "vars" else "'name:' lines, without '-'"
            message = f"{key} must be a mapping: write {example}"
            self._report(part.problem(_glued(part) or message))
        elif key == "vars":
            self._add_variables(group, part)
        elif key == "children":
            self._add_children(group, part)
        else:
            self._add_hosts(group, part)

    def _add_variables(self, group: Group, node: Node) -> None:
        for name in self._names(node, "a variable"):
            if name != PRIORITY:
                group.variables[name] = node.value[name]
                continue
            value = node.value[name]
            try:
                group.priority = int(str(value.value))
            except ValueError:
                self._report(value.problem(f"{PRIORITY} must be a whole number"))

    def _add_children(self, group: Group, node: Node) -> None:
        for name in self._names(node, "a group"):
            if self._group(name, node) is None:
                continue
            if name == "all" or not self.tree.add_child(group.name, name):
                message = f"group {name!r} would be inside itself: take it out of {group.name!r}"
                self._report(node.key_problem(name, message))
            self._add_group(name, node)

    def _add_hosts(self, group: Group, node: Node) -> None:
        for pattern in self._names(node, "a host"):
            own = node.value[pattern]
            try:
                names, port = expand(pattern)
            except ValueError as error:
                message = f"{pattern!r} cannot name a host: {error}"
                self._report(node.key_problem(pattern, message))
                continue
            variables: dict[str, Node] = {}
            if isinstance(own.value, dict):
                variables = {name: own.value[name] for name in self._names(own, "a variable")}
            elif own.value is not None:
                message = f"host {pattern!r} must have 'name: value' lines under it, or nothing"
                self._report(own.problem(_glued(own) or message))
            for name in names:
                group.hosts[name] = None
                self._host(name, port, node.at_key(pattern)).variables.update(variables)

    def _host(self, name: str, port: int | None, at: Node) -> Host:
        host = self.tree.hosts.get(name)
        if host is None:
            host = self.tree.hosts[name] = Host(name, at)
            # Ansible takes a pattern's port only where it names the host first.
            if port is not None:
                host.variables["ansible_port"] = Node(port, at.path, at.line, at.column)
        return host

    def _names(self, node: Node, kind: str) -> list[str]:
        names = []
        for name in node.value:
            if name in node.odd_keys:
                message = f"{name} is not text to YAML: to name {kind}, write it in quotes"
                self._report(node.key_problem(name, message))
            else:
                names.append(name)
        return names

    def _check_shared_names(self) -> None:
        for name, host in self.tree.hosts.items():
            group = self.tree.groups.get(name)
            if group is not None:
                other = group.named_at
                where = f" ({other.path}:{other.line})" if other is not None else ""
                message = f"{name!r} names a host and a group{where}: rename one"
                self._report(host.named_at.problem(message))

    def _variable_files(self, folder: Path, name: str) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for file in variable_files(folder, name, self._report):
            self.sources.append(file)
            node = read_yaml(file, self._report, self._vault)
            if node is None:
                self.complete = False
            elif isinstance(node.value, dict):
                found |= {key: node.value[key] for key in self._names(node, "a variable")}
            elif node.value is not None:
                message = "a file of variables holds 'name: value' lines"
                self._report(node.problem(_glued(node) or message))
        return found


def _glued(node: Node) -> str | None:
    name = glued_name(node.value) if isinstance(node.value, str) else None
    return advice(name) if name else None
