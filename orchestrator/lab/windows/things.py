"""What a Windows computer has: a desktop, processes, tasks, firewall rules, Sunshine."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PureWindowsPath
from typing import Any


@dataclass(slots=True)
class Desktop:
    """The player's session: who is logged on, whether its screen is locked or its
    remote desktop was disconnected."""

    user: str | None = "player"
    session_id: int = 1
    locked: bool = False
    disconnected: bool = False


@dataclass(slots=True)
class Process:
    """One process. ``memory_mb``, ``cpu`` and ``gpu`` (shares) are what it takes."""

    pid: int
    parent_pid: int
    image: str
    command_line: str
    session_id: int
    owner: str
    created_at: datetime
    environment: dict[str, str] = field(default_factory=dict)
    window: str = ""
    closes_on_request: bool = True
    memory_mb: int = 30
    cpu: float = 0.0
    gpu: float = 0.0
    exit_code: int | None = None
    stderr: str = ""

    @property
    def name(self) -> str:
        """The image's file name."""
        return PureWindowsPath(self.image).name

    @property
    def alive(self) -> bool:
        """Whether it has not exited."""
        return self.exit_code is None


@dataclass(slots=True)
class Task:
    """A scheduled task with one action, started on demand."""

    path: str
    execute: str
    argument: str
    working_directory: str
    user: str
    elevated: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    process: Process | None = None
    last_run: datetime | None = None
    last_result: int = 267011

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.alive


@dataclass(frozen=True, slots=True)
class FirewallRule:
    """An inbound rule that allows; ports as the firewall writes them."""

    group: str
    protocol: str
    ports: tuple[str, ...]
    remote_address: str


@dataclass(slots=True)
class Sunshine:
    """A streaming host: its process, login, base port and list of apps."""

    process: Process
    user: str
    password: str
    port: int = 47989
    apps: list[dict[str, Any]] = field(default_factory=list)
