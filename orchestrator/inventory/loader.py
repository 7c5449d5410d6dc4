"""From files to servers: everything that is wrong at once, or all of it right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.domain.errors import InventoryError, InventoryProblem
from orchestrator.inventory.conflicts import check_endpoints, check_streams
from orchestrator.inventory.files import inventory_files, is_folder
from orchestrator.inventory.groups import Tree
from orchestrator.inventory.nodes import Node
from orchestrator.inventory.parsing import Parser
from orchestrator.inventory.servers import HostReader, InventoryEntry
from orchestrator.inventory.values import Resolver, is_template
from orchestrator.inventory.variables import is_secret, unknown_variable
from orchestrator.inventory.vault import Vault

_HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class Inventory:
    """The servers of an inventory, by name, and the files they were read from."""

    entries: tuple[InventoryEntry, ...]
    sources: tuple[str, ...] = ()


def load_inventory(
    path: Path,
    *,
    environment: Mapping[str, str],
    vault_password_file: Path | None = None,
) -> Inventory:
    """Read an inventory file or folder; InventoryError with every problem there is.

    ``environment`` is where ``lookup('env', …)`` looks, and names the vault's
    password file by ``ANSIBLE_VAULT_PASSWORD_FILE`` where none is given.
    """
    reading = _Reading(path, environment, vault_password_file)
    entries = reading.entries()
    reading.raise_problems()
    return Inventory(entries, tuple(map(str, reading.sources)))


def to_ansible_list(
    path: Path,
    *,
    environment: Mapping[str, str],
    vault_password_file: Path | None = None,
    show_secrets: bool = False,
) -> dict[str, Any]:
    """What was understood, in the form of ``ansible-inventory --list``.

    Groups with hosts and children, and ``_meta.hostvars``: every variable of
    every host as written, templates not filled in. Secrets in clear text are
    hidden unless ``show_secrets``.
    """
    reading = _Reading(path, environment, vault_password_file)
    reading.raise_problems()
    tree = reading.tree
    listed: dict[str, Any] = {"_meta": {"hostvars": _host_variables(tree, show_secrets)}}
    for name, group in tree.groups.items():
        body: dict[str, Any] = {}
        if group.hosts and name != "all":
            body["hosts"] = list(group.hosts)
        if group.children:
            body["children"] = list(group.children)
        if body:
            listed[name] = body
    return listed


class _Reading:
    """One reading of an inventory: its tree, and the problems found so far."""

    def __init__(
        self, path: Path, environment: Mapping[str, str], vault_password_file: Path | None
    ) -> None:
        self._problems: list[InventoryProblem] = []
        self._environment = environment
        named = environment.get("ANSIBLE_VAULT_PASSWORD_FILE")
        self._vault = Vault(vault_password_file or (Path(named).expanduser() if named else None))
        parser = Parser(self._report, self._vault)
        for file in inventory_files(path, self._report):
            parser.add_inventory(file)
        self.tree = parser.finish(path if is_folder(path) else path.parent)
        self.sources = parser.sources
        self._complete = parser.complete
        self._check_names()
        if not self.tree.hosts and not self._problems:
            message = "there are no hosts: write 'all:', then 'hosts:', then 'NAME:', each indented"
            self._report(InventoryProblem(str(path), 1, 1, message))

    def entries(self) -> tuple[InventoryEntry, ...]:
        """A server for each host that is right, by name."""
        checked = []
        for name in sorted(self.tree.hosts):
            host, nodes = self.tree.hosts[name], self.tree.variables_of(name)
            resolver = Resolver(host, nodes, self._environment, self._vault, self._report)
            reader = HostReader(host, nodes, resolver, self._report, self._complete)
            entry = reader.entry()
            if entry is not None:
                checked.append((entry, reader))
        check_endpoints(checked, self._report)
        check_streams(checked, self._report)
        return tuple(entry for entry, _ in checked)

    def raise_problems(self) -> None:
        """InventoryError where there is any problem, in the order of files and lines."""
        if self._problems:
            raise InventoryError(
                sorted(set(self._problems), key=lambda p: (p.path, p.line, p.column, p.message))
            )

    def _report(self, problem: InventoryProblem) -> None:
        self._problems.append(problem)

    def _check_names(self) -> None:
        for variables in self.tree.all_variables():
            for name, node in variables.items():
                message = unknown_variable(name)
                if message is not None:
                    self._report(node.problem(message))


def _host_variables(tree: Tree, show_secrets: bool) -> dict[str, Any]:
    found = {}
    for name in tree.hosts:
        variables = tree.variables_of(name)
        if variables:
            found[name] = {
                key: node.plain() if show_secrets else _without_secrets(key, node)
                for key, node in variables.items()
            }
    return found


def _without_secrets(name: str, node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _without_secrets(key, each) for key, each in node.value.items()}
    if isinstance(node.value, list):
        return [_without_secrets(name, each) for each in node.value]
    shows_itself = not isinstance(node.value, str | int | float) or (
        isinstance(node.value, str) and not node.literal and is_template(node.value)
    )
    return _HIDDEN if is_secret(name, node) and not shows_itself else node.plain()
