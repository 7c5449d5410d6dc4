"""One host's variables into a server and its connection, everything checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.mode import Mode
from orchestrator.domain.server import SUNSHINE_PORT, Connection, Server, SunshineLogin
from orchestrator.inventory.checks import address
from orchestrator.inventory.groups import Host
from orchestrator.inventory.logins import login_problems
from orchestrator.inventory.nodes import Node, Report
from orchestrator.inventory.values import Resolver, Unresolved
from orchestrator.inventory.variables import KNOWN, shown

_HTTP_PORT = 5985
_HTTPS_PORT = 5986
_SERVER_FIELDS = (
    "site",
    "slots",
    "labels",
    "modes",
    "games",
    "physical_host",
    "ports",
    "probe",
    "poll_interval",
    "maintenance",
    "timezone",
    "ga_directory",
    "config_directory",
    "sunshine_port",
)


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """A server and how to reach it."""

    server: Server
    connection: Connection


class HostReader:
    """One host: finds out its values, checks them, alone and together.

    Where the inventory is not ``complete``, nothing is said of what is missing.
    """

    def __init__(
        self,
        host: Host,
        nodes: Mapping[str, Node],
        resolver: Resolver,
        report: Report,
        complete: bool = True,
    ) -> None:
        self._host = host
        self._nodes = nodes
        self._resolver = resolver
        self._report = report
        self._complete = complete
        self._values: dict[str, Any] = {}
        self._places: dict[str, Node] = {}
        self._wrong = False

    def entry(self) -> InventoryEntry | None:
        """The server, or None after reporting what is wrong with it."""
        self._read_values()
        self._check_address()
        if self._wrong or not self._complete:
            return None
        connection = self._connection()
        server = self._server(connection.host)
        for variable, message in login_problems(connection, self._values, self._host.name):
            self._problem(variable, message)
        self._check_timeouts(connection)
        self._check_room(server)
        self._check_sunshine(server, connection)
        return None if self._wrong else InventoryEntry(server, connection)

    def place(self, variable: str) -> Node:
        """Where a variable's winning value is written, or else where the host is named."""
        return self._places.get(variable, self._host.named_at)

    def _read_values(self) -> None:
        for name, variable in KNOWN.items():
            node = self._nodes.get(name)
            if node is None:
                continue
            target = variable.alias_of or name
            self._places[target] = node
            try:
                self._values[target] = variable.check(self._resolver.value(node))
            except Unresolved:
                self._wrong = True
            except ValueError as error:
                self._problem(target, f"{name} cannot be {shown(name, node)}: {error}")

    def _check_address(self) -> None:
        given = {"ansible_host", "ansible_winrm_host"} & self._nodes.keys()
        if given or not self._complete:
            return
        try:
            address(self._host.name)
        except ValueError:
            message = f"{self._host.name} cannot be an address: write ansible_host"
            self._problem("ansible_host", message)

    def _connection(self) -> Connection:
        get = self._values.get
        scheme, port = self._endpoint()
        operation, read = self._timeouts()
        transport = get("ansible_winrm_transport", "ntlm")
        if transport == "ssl" and "ansible_winrm_cert_pem" in self._values:
            transport = "certificate"
        by_certificate = transport == "certificate"
        manual = transport == "kerberos" and get("ansible_winrm_kinit_mode") == "manual"
        return Connection(
            host=get("ansible_host", self._host.name),
            port=port,
            scheme=scheme,
            transport=transport,
            user=get("ansible_user", ""),
            password="" if manual or by_certificate else get("ansible_password", ""),
            validate_certificate=get("ansible_winrm_server_cert_validation") != "ignore",
            ca_file=get("ansible_winrm_ca_trust_path"),
            operation_timeout=operation,
            read_timeout=read,
            path=get("ansible_winrm_path", "/wsman"),
            message_encryption=get("ansible_winrm_message_encryption", "auto"),
            fingerprint=get("orchestrator_certificate_fingerprint"),
            client_certificate=get("ansible_winrm_cert_pem") if by_certificate else None,
            client_key=get("ansible_winrm_cert_key_pem") if by_certificate else None,
            proxy=get("ansible_winrm_proxy"),
            kerberos_hostname=get("ansible_winrm_kerberos_hostname_override"),
            kerberos_service=get("ansible_winrm_service", "HTTP"),
            kerberos_delegation=get("ansible_winrm_kerberos_delegation", False),
            kerberos_realm=get("ansible_winrm_realm"),
            kerberos_keytab=None if manual else get("ansible_winrm_keytab"),
            channel_binding=get("ansible_winrm_send_cbt", True),
            credssp_mechanism=get("ansible_winrm_credssp_auth_mechanism", "auto"),
            credssp_minimum_version=get("ansible_winrm_credssp_minimum_version", 2),
            sunshine=self._sunshine(),
        )

    def _server(self, address: str) -> Server:
        given: dict[str, Any] = {
            field: self._values[f"orchestrator_{field}"]
            for field in _SERVER_FIELDS
            if f"orchestrator_{field}" in self._values
        }
        if "modes" not in given and not self._values.get("orchestrator_sunshine_user"):
            given["modes"] = frozenset(Mode) - {Mode.SUNSHINE}
        stream_address = self._values.get("orchestrator_stream_address", address)
        return Server(self._host.name, address, stream_address, **given)

    def _sunshine(self) -> SunshineLogin | None:
        user = self._values.get("orchestrator_sunshine_user")
        password = self._values.get("orchestrator_sunshine_password")
        if not user or not password:
            return None
        return SunshineLogin(
            user, password, self._values.get("orchestrator_sunshine_port", SUNSHINE_PORT)
        )

    def _endpoint(self) -> tuple[str, int]:
        scheme = self._values.get("ansible_winrm_scheme")
        port = self._values.get("ansible_port")
        if port is None:
            port = _HTTP_PORT if scheme == "http" else _HTTPS_PORT
        return scheme or ("http" if port == _HTTP_PORT else "https"), port

    def _timeouts(self) -> tuple[int, int]:
        both = self._values.get("ansible_winrm_connection_timeout")
        if both is not None:
            return both, both + 10
        get = self._values.get
        operation: int = get("ansible_winrm_operation_timeout_sec", 20)
        read: int = get("ansible_winrm_read_timeout_sec", 30)
        return operation, read

    def _check_sunshine(self, server: Server, connection: Connection) -> None:
        both = ("orchestrator_sunshine_user", "orchestrator_sunshine_password")
        given = [name for name in both if self._values.get(name)]
        if len(given) == 1:
            other = both[1 - both.index(given[0])]
            self._problem(given[0], f"{given[0]} is of no use alone: write {other} too")
        elif Mode.SUNSHINE in server.modes and connection.sunshine is None:
            message = f"mode sunshine calls Sunshine: write {both[0]} and {both[1]} too"
            self._problem("orchestrator_modes", message)

    def _check_timeouts(self, connection: Connection) -> None:
        if connection.read_timeout > connection.operation_timeout:
            return
        operation, read = "ansible_winrm_operation_timeout_sec", "ansible_winrm_read_timeout_sec"
        message = (
            f"{read} ({connection.read_timeout}) must be more than "
            f"{operation} ({connection.operation_timeout}): raise it or lower the other"
        )
        self._problem(read if read in self._places else operation, message)

    def _check_room(self, server: Server) -> None:
        room = server.ports.last - server.ports.first + 1
        if room >= 2 * server.slots:
            return
        message = (
            f"{server.slots} slots need {2 * server.slots} ports, {server.ports} has {room}: "
            "widen orchestrator_ports or lower orchestrator_slots"
        )
        ports = "orchestrator_ports"
        self._problem(ports if ports in self._places else "orchestrator_slots", message)

    def _problem(self, variable: str, message: str) -> None:
        self._wrong = True
        self._report(self.place(variable).problem(message))
