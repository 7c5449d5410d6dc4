"""From files to servers: everything that is wrong at once, or all of it right."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.domain.errors import InventoryError, InventoryProblem
from orchestrator.domain.server import Connection, Server
from orchestrator.inventory.groups import Tree, inventory_files
from orchestrator.inventory.nodes import Node, read_yaml
from orchestrator.inventory.values import Resolver, Unresolved, Vault
from orchestrator.inventory.variables import KNOWN, SECRETS, shown, unknown_variable

_HTTP_PORT = 5985
_HTTPS_PORT = 5986
_BASIC = frozenset({"basic", "plaintext"})
_ALIASES = {
    "ansible_winrm_host": "ansible_host",
    "ansible_winrm_port": "ansible_port",
    "ansible_winrm_user": "ansible_user",
    "ansible_winrm_pass": "ansible_password",
    "ansible_winrm_password": "ansible_password",
}


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """A server and how to reach it."""

    server: Server
    connection: Connection


@dataclass(frozen=True, slots=True)
class Inventory:
    """The servers of an inventory, by name."""

    entries: tuple[InventoryEntry, ...]


def load_inventory(
    path: Path,
    *,
    environment: Mapping[str, str],
    vault_password_file: Path | None = None,
) -> Inventory:
    """Read an inventory file or folder; InventoryError with every problem there is."""
    loader = _Loader(path, environment, vault_password_file)
    entries = loader.entries()
    if loader.problems:
        raise InventoryError(sorted(loader.problems, key=lambda p: (p.path, p.line, p.column)))
    return Inventory(entries)


def to_ansible_list(
    path: Path,
    *,
    environment: Mapping[str, str],
    vault_password_file: Path | None = None,
    show_secrets: bool = False,
) -> dict[str, Any]:
    """What was understood, in the form of ``ansible-inventory --list``."""
    loader = _Loader(path, environment, vault_password_file)
    if loader.problems:
        raise InventoryError(loader.problems)
    tree = loader.tree
    hostvars = {
        name: {
            key: "(blank)" if key in SECRETS and not show_secrets else node.plain()
            for key, node in tree.variables_of(name).items()
        }
        for name in tree.hosts
    }
    listed: dict[str, Any] = {"_meta": {"hostvars": hostvars}}
    for name, group in tree.groups.items():
        body: dict[str, Any] = {}
        if group.hosts and name != "all":
            body["hosts"] = sorted(group.hosts)
        if group.children:
            body["children"] = sorted(group.children)
        if body:
            listed[name] = body
    return listed


class _Loader:
    def __init__(
        self, path: Path, environment: Mapping[str, str], vault_password_file: Path | None
    ) -> None:
        self.problems: list[InventoryProblem] = []
        self._path = path
        self._environment = environment
        self._vault = Vault(vault_password_file)
        self.tree = Tree(self._report)
        self._read()

    def entries(self) -> tuple[InventoryEntry, ...]:
        """A server for each host; what is wrong is in ``problems``."""
        entries = []
        addresses: dict[tuple[str, int], str] = {}
        for name in sorted(self.tree.hosts):
            host = _HostReader(self, name)
            entry = host.entry()
            if entry is None:
                continue
            address = entry.connection.host, entry.connection.port
            if address in addresses:
                where = f"{address[0]}:{address[1]}"
                host.problem("ansible_host", f"{name} and {addresses[address]} are both {where}")
            addresses[address] = name
            entries.append(entry)
        return tuple(entries)

    def resolver(self, name: str, variables: Mapping[str, Node]) -> Resolver:
        """Finds out a host's values."""
        return Resolver(name, variables, self._environment, self._vault, self._report)

    def _report(self, problem: InventoryProblem) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def report(self, problem: InventoryProblem) -> None:
        """Something is wrong."""
        self._report(problem)

    def _read(self) -> None:
        files = inventory_files(self._path)
        for file in files:
            node = read_yaml(file, self._report)
            if node is not None and node.value is not None:
                self.tree.add(node)
        folder = self._path if self._path.is_dir() else self._path.parent
        self.tree.finish()
        self.tree.add_variable_files(folder)
        for variables in self.tree.all_variables():
            for name, node in variables.items():
                message = unknown_variable(name)
                if message is not None:
                    self._report(node.problem(message))
        if not self.tree.hosts and not self.problems:
            message = "there are no hosts: write all: / hosts: / NAME: one below the other"
            self._report(InventoryProblem(str(self._path), 1, 1, message))


class _HostReader:
    """One host's variables, checked."""

    def __init__(self, loader: _Loader, name: str) -> None:
        self._loader = loader
        self._name = name
        self._nodes = loader.tree.variables_of(name)
        self._values: dict[str, Any] = {}
        self._wrong = False
        self._resolver = loader.resolver(name, self._nodes)
        self._check_all()

    def entry(self) -> InventoryEntry | None:
        """The server, or None where something is wrong with it."""
        get = self._values.get
        address = get("ansible_host", self._name)
        scheme, port = self._endpoint()
        connection = Connection(
            host=address,
            port=port,
            scheme=scheme,
            transport=get("ansible_winrm_transport", "ntlm"),
            user=get("ansible_user", ""),
            password=get("ansible_password", ""),
            validate_certificate=get("ansible_winrm_server_cert_validation") != "ignore",
            ca_file=get("ansible_winrm_ca_trust_path"),
            operation_timeout=get("ansible_winrm_operation_timeout_sec", 20),
            read_timeout=get("ansible_winrm_read_timeout_sec", 30),
            path=get("ansible_winrm_path", "/wsman"),
            message_encryption=get("ansible_winrm_message_encryption", "auto"),
        )
        given: dict[str, Any] = {
            field: self._values[f"orchestrator_{field}"]
            for field in _SERVER_FIELDS
            if f"orchestrator_{field}" in self._values
        }
        server = Server(
            name=self._name,
            address=address,
            stream_address=get("orchestrator_stream_address", address),
            **given,
        )
        self._check_together(server, connection)
        return None if self._wrong else InventoryEntry(server, connection)

    def problem(self, variable: str, message: str) -> None:
        """Something wrong, at the variable's value or where the host is named."""
        self._wrong = True
        node = self._nodes.get(variable) or self._loader.tree.hosts[self._name].named_at
        self._loader.report(node.problem(message))

    def _check_all(self) -> None:
        for name, node in self._nodes.items():
            variable = KNOWN.get(name)
            if variable is None:
                continue
            try:
                value = self._resolver.value(node)
                self._values[_ALIASES.get(name, name)] = variable.check(value)
            except Unresolved:
                self._wrong = True
            except ValueError as error:
                self.problem(name, f"{name} cannot be {shown(name, node.plain())}: {error}")

    def _endpoint(self) -> tuple[str, int]:
        scheme = self._values.get("ansible_winrm_scheme")
        port = self._values.get("ansible_port")
        if port is None:
            port = _HTTP_PORT if scheme == "http" else _HTTPS_PORT
        return scheme or ("http" if port == _HTTP_PORT else "https"), port

    def _check_together(self, server: Server, connection: Connection) -> None:
        if self._wrong:
            return
        for variable, value in (
            ("ansible_user", connection.user),
            ("ansible_password", connection.password),
        ):
            if not value:
                self.problem(variable, f"{self._name} has no {variable}: set it here or in a group")
        if connection.read_timeout <= connection.operation_timeout:
            self.problem(
                "ansible_winrm_read_timeout_sec",
                f"ansible_winrm_read_timeout_sec must be more than "
                f"ansible_winrm_operation_timeout_sec ({connection.operation_timeout})",
            )
        room = server.ports.last - server.ports.first + 1
        if room < 2 * server.slots:
            self.problem(
                "orchestrator_ports",
                f"{server.slots} slots need {2 * server.slots} ports, {server.ports} has {room}: "
                "widen orchestrator_ports or lower orchestrator_slots",
            )
        self._check_secrecy(connection)

    def _check_secrecy(self, connection: Connection) -> None:
        transport = connection.transport
        if transport == "ssl" and connection.scheme == "http":
            self.problem(
                "ansible_winrm_transport", "transport ssl needs ansible_winrm_scheme: https"
            )
        if transport in _BASIC and connection.scheme == "http" and not _is_local(connection.host):
            self.problem(
                "ansible_winrm_transport",
                "basic over http sends the password in clear text: "
                "set ansible_winrm_scheme: https, or ansible_winrm_transport: ntlm",
            )


_SERVER_FIELDS = (
    "site",
    "slots",
    "labels",
    "modes",
    "games",
    "physical_host",
    "ports",
    "ga_directory",
    "config_directory",
)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
