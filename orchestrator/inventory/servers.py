"""One host's variables into a server and its connection, everything checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.domain.mode import Mode
from orchestrator.domain.server import SUNSHINE_PORT, Connection, Server, SunshineLogin
from orchestrator.inventory import checks
from orchestrator.inventory.checks import address
from orchestrator.inventory.groups import Host
from orchestrator.inventory.logins import login_problems, missing_login
from orchestrator.inventory.nodes import Node, Report
from orchestrator.inventory.values import Resolver, Unresolved
from orchestrator.inventory.variables import KNOWN, near_variable, shown

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
_TRANSPORT = "ansible_winrm_transport"
_NEEDED = frozenset({"ansible_host", "ansible_user", "ansible_password"})
_LOGIN = frozenset(
    name
    for name in KNOWN
    if name.startswith("ansible_")
    or name in {"orchestrator_certificate_fingerprint", "orchestrator_allow_cleartext"}
)
_TIMEOUTS = frozenset(
    {
        "ansible_winrm_operation_timeout_sec",
        "ansible_winrm_read_timeout_sec",
        "ansible_winrm_connection_timeout",
    }
)
_SUNSHINE = ("orchestrator_sunshine_user", "orchestrator_sunshine_password")


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
        self._unread: set[str] = set()
        self._wrong = False

    def entry(self) -> InventoryEntry | None:
        """The server, or None after reporting what is wrong with it."""
        self._read_values()
        self._check_address()
        if not self._complete:
            return None
        connection = self._connection()
        server = self._server(connection.host)
        self._check_login(connection)
        if not self._unread & _TIMEOUTS:
            self._check_timeouts(connection)
        if not self._unread & {"orchestrator_ports", "orchestrator_slots"}:
            self._check_room(server)
        if not self._unread & {"orchestrator_modes", *_SUNSHINE}:
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
                self._unread.add(target)
            except ValueError as error:
                self._unread.add(target)
                self._problem(target, f"{name} cannot be {shown(name, node)}: {error}")

    def _check_address(self) -> None:
        given = {"ansible_host", "ansible_winrm_host"} & self._nodes.keys()
        if given or not self._complete:
            return
        try:
            address(self._host.name)
        except ValueError:
            message = f"{self._host.name} cannot be an address: write ansible_host"
            self._missing("ansible_host", message)

    def _check_login(self, connection: Connection) -> None:
        """Where a part of it could not be read, only what is missing whatever that part is."""
        if not self._unread & _LOGIN:
            for variable, message in login_problems(connection, self._values, self._host.name):
                self._missing(variable, message)
            return
        if _TRANSPORT in self._unread:
            connection = replace(connection, transport=self._meant_transport())
        if not self._unread & {"ansible_winrm_cert_pem", "ansible_winrm_keytab"}:
            for variable, message in missing_login(connection, self._values, self._host.name):
                if variable in _NEEDED and variable not in self._unread:
                    self._missing(variable, message)

    def _meant_transport(self) -> str:
        """What a transport that is none was probably to be."""
        if "ansible_winrm_cert_pem" in self._values:
            return "certificate"
        written = str(self._places[_TRANSPORT].plain())
        close = difflib.get_close_matches(written, checks.TRANSPORTS, 1, 0.6)
        return close[0] if close else "ntlm"

    def _missing(self, variable: str, message: str) -> None:
        """A problem; of a variable that is not there, shown where one looks like it."""
        near = None
        if variable in _NEEDED and variable not in self._places:
            near = near_variable(variable, self._nodes)
        if near is None:
            self._problem(variable, message)
            return
        self._wrong = True
        message = f"there is no variable {near}, and {variable} is missing: write {variable} here"
        self._report(self._nodes[near].problem(message))

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
        both = _SUNSHINE
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
