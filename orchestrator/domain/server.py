"""A Windows runtime server: what the inventory says and what polling found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.maintenance import MaintenanceWindow
from orchestrator.domain.mode import Mode

SUNSHINE_PORT = 47989
"""Sunshine's own default; Moonlight assumes it where no port is given."""


@dataclass(frozen=True, slots=True)
class PortRange:
    """TCP/UDP ports a server may use for streams and control, both inclusive."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last <= 65535:
            raise ValueError(f"not a port range: {self.first}-{self.last}")

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


class Probe(StrEnum):
    """How a server's load is read."""

    WQL = "wql"
    POWERSHELL = "powershell"


@dataclass(frozen=True, slots=True)
class Server:
    """One entry of the inventory, without its credentials.

    ``address`` is where WinRM answers; ``stream_address`` is what a player is
    given. ``games`` is None where every game of the catalogue may run.
    ``ga_directory`` holds GamingAnywhere's programs on the server and
    ``config_directory`` its ``.conf`` files, both absolute Windows paths.
    ``poll_interval`` is in seconds, None for the broker's own.
    ``sunshine_port`` is Sunshine's base port; its REST interface has the next.
    """

    name: str
    address: str
    stream_address: str
    site: str = "default"
    slots: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    modes: frozenset[Mode] = frozenset(Mode)
    games: frozenset[str] | None = None
    physical_host: str | None = None
    ports: PortRange = PortRange(8554, 8653)
    probe: Probe = Probe.WQL
    ga_directory: str = r"C:\GamingAnywhere\bin"
    config_directory: str = r"C:\GamingAnywhere\config"
    sunshine_port: int = SUNSHINE_PORT
    poll_interval: int | None = None
    maintenance: tuple[MaintenanceWindow, ...] = ()
    timezone: str | None = None

    def maintenance_at(self, moment: datetime) -> MaintenanceWindow | None:
        """The maintenance window that is open then, or None."""
        return next((each for each in self.maintenance if each.covers(moment)), None)

    def maintenance_until(self, moment: datetime, most: datetime) -> datetime:
        """When the maintenance of ``moment`` is over, windows that follow on included;
        ``moment`` itself where there is none, and no later than ``most``."""
        while moment < most:
            ends = [end for each in self.maintenance if (end := each.closes(moment)) is not None]
            if not ends:
                break
            moment = max(ends)
        return min(moment, most)


@dataclass(frozen=True, slots=True)
class SunshineLogin:
    """How to call the REST interface of a server's Sunshine; ``port`` is the base port."""

    user: str
    password: str = field(repr=False)
    port: int = SUNSHINE_PORT


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a server by WinRM; with ``sunshine`` the only place of passwords.

    ``transport`` is one of pywinrm's names (ntlm, negotiate, basic, ssl,
    certificate, kerberos, credssp). ``ca_file`` is None for the system's CAs;
    ``fingerprint`` pins one certificate by its SHA-256 in lower-case
    hexadecimal, whoever signed it. ``proxy`` is a URL, and None means none:
    the environment's is not used. Without password and keytab Kerberos takes
    the tickets that the environment holds. Times are in seconds.
    """

    host: str
    port: int
    scheme: str
    transport: str
    user: str
    password: str = field(repr=False)
    validate_certificate: bool = True
    ca_file: str | None = None
    operation_timeout: int = 20
    read_timeout: int = 30
    path: str = "/wsman"
    message_encryption: str = "auto"
    fingerprint: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    proxy: str | None = field(default=None, repr=False)
    kerberos_hostname: str | None = None
    kerberos_service: str = "HTTP"
    kerberos_delegation: bool = False
    kerberos_realm: str | None = None
    kerberos_keytab: str | None = None
    channel_binding: bool = True
    credssp_mechanism: str = "auto"
    credssp_minimum_version: int = 2
    sunshine: SunshineLogin | None = None

    @property
    def url(self) -> str:
        """The WS-Management endpoint."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


class Health(StrEnum):
    """What the last poll said of a server.

    ``unknown``: not polled yet. ``degraded``: it answers, but its load cannot
    be read or its desktop is locked. ``unready``: it answers, but nobody is
    logged on at its desktop, so no game can be started. ``unreachable``:
    nothing answers. ``refused``: it does not accept the inventory's credentials.
    """

    UNKNOWN = "unknown"
    UP = "up"
    DEGRADED = "degraded"
    UNREADY = "unready"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Load:
    """One sample of a server's load; None means "not measured".

    ``cpu`` and ``gpu`` are shares in [0, 1]; memory and disk are in MiB, network
    in bytes a second. ``gpu`` is the busiest of ``gpu_engines``, which has each
    type's share, such as ``3D`` or ``VideoEncode``. ``disk`` names the fixed disk
    with the least share free. ``desktop_user`` is who is logged on at the
    console, None when nobody is; ``desktop`` whether somebody's desktop is there
    at all, ``locked`` whether it is locked. ``booted_at`` is the server's own time.
    """

    at: datetime
    cpu: float | None = None
    memory_total_mb: int | None = None
    memory_free_mb: int | None = None
    gpu: float | None = None
    desktop_user: str | None = None
    gpu_engines: Mapping[str, float] = field(default_factory=dict)
    gpu_memory_used_mb: int | None = None
    disk: str | None = None
    disk_total_mb: int | None = None
    disk_free_mb: int | None = None
    network_received: int | None = None
    network_sent: int | None = None
    desktop: bool | None = None
    locked: bool | None = None
    booted_at: datetime | None = None

    @property
    def memory(self) -> float | None:
        """Used memory as a share in [0, 1]."""
        if not self.memory_total_mb or self.memory_free_mb is None:
            return None
        used = (self.memory_total_mb - self.memory_free_mb) / self.memory_total_mb
        return min(1.0, max(0.0, used))


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A server as the store holds it.

    ``present`` is False for one that left the inventory while sessions still
    refer to it. ``version`` counts reservations and edits, for optimistic
    locking. ``checked_at`` is when the last poll ended, ``answered_at`` the last
    that got an answer, ``health_since`` when its health became what it is.
    """

    server: Server
    health: Health = Health.UNKNOWN
    health_reason: str = ""
    drained: bool = False
    present: bool = True
    load: Load | None = None
    checked_at: datetime | None = None
    version: int = 1
    answered_at: datetime | None = None
    health_since: datetime | None = None
