"""What a server did for a session, and how to recognise it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import PureWindowsPath

CREATION_TOLERANCE = timedelta(milliseconds=50)
"""``Win32_Process.CreationDate`` has microseconds, ``Get-Process.StartTime``
100 ns and WQL text any number of digits: two readings of one process differ."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A process's identity. Windows reuses PIDs, so a PID alone is never one.

    ``created_at`` is aware, in UTC; ``image`` is the executable's full path,
    or its bare name where Windows did not tell the path.
    """

    pid: int
    created_at: datetime
    image: str

    def is_same_process(self, other: Launch) -> bool:
        """Whether both name one process, within reading tolerance."""
        return (
            self.pid == other.pid
            and abs(self.created_at - other.created_at) <= CREATION_TOLERANCE
            and same_image(self.image, other.image)
        )


def same_image(left: str, right: str) -> bool:
    """Compare images as Windows does, by full path where both have one."""
    if left == right:
        return True
    a, b = PureWindowsPath(left), PureWindowsPath(right)
    if a.parent == PureWindowsPath() or b.parent == PureWindowsPath():
        return a.name.lower() == b.name.lower()
    return a == b


@dataclass(frozen=True, slots=True)
class LaunchOrder:
    """Everything ``Start-Game.ps1`` needs; docs/scripts.md lists the fields.

    ``player_address`` is the only one that the server's firewall lets in for
    this session; None makes no rule. ``app_name`` is for mode sunshine.
    """

    session_id: str
    mode: str
    executable: str
    stream_port: int
    control_port: int
    arguments: tuple[str, ...] = ()
    working_directory: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    config_path: str | None = None
    ga_directory: str | None = None
    ready: str = "port"
    ready_timeout: int = 60
    elevated: bool = False
    player_address: str | None = None
    app_name: str | None = None


@dataclass(frozen=True, slots=True)
class LaunchReport:
    """Answer of a launch. ``changed`` is False when it was already there."""

    launch: Launch
    changed: bool
    desktop_user: str | None = None
    companions: tuple[Launch, ...] = ()
    warnings: tuple[str, ...] = ()


class EndedHow(StrEnum):
    """How a stop found and left the process."""

    GRACEFUL = "graceful"
    FORCED = "forced"
    ALREADY_GONE = "already_gone"


@dataclass(frozen=True, slots=True)
class StopReport:
    """Answer of a stop."""

    how: EndedHow
    warnings: tuple[str, ...] = ()


class FoundState(StrEnum):
    """What a server says of one session's task."""

    STARTING = "starting"
    RUNNING = "running"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class FoundLaunch:
    """One task of ours that a server still has.

    ``STARTING``: the task runs but its process is not known or not ready yet;
    ``RUNNING``: the process lives and is ready; ``GONE``: it has ended.
    """

    session_id: str
    state: FoundState
    launch: Launch | None = None
    companions: tuple[Launch, ...] = field(default=())
