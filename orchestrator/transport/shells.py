"""Shells that are kept for the next command, and those that somebody left.

Creating a shell costs a request and a process on the server. A kept one serves
one command at a time; a quota on operations, which ending a command does not
give back, is why it is closed after a number of commands.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import structlog

from orchestrator.domain.errors import QuotaExceeded
from orchestrator.transport.connection import KeptConnection, RequestFailed
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.faults import INVALID_SELECTORS, OperationTimedOut
from orchestrator.transport.soap import ENUMERATION, SHELL, envelope

CODEPAGE = 65001
IDLE_SECONDS = 187
"""A shell whose owner died is ended by Windows after this, not after two hours.
An odd number, so that shells of ours are told from others of the account."""

_MOST_COMMANDS = 100
_KEPT_SECONDS = 5.0
"""Long enough for a burst of calls, short enough that a server at rest has none
of our processes."""

_LONGEST_LIFE = 3600.0
_ABANDONED_SECONDS = 60.0
_RESOURCE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_DURATION = re.compile(
    r"P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Shell:
    """An open shell of ours."""

    id: str
    opened_at: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)
    commands: int = 0


class Shells:
    """The shells of one server that wait for their next command.

    ``in_use`` are known too, so that none of ours is taken for one that a
    crash left behind.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._idle: list[Shell] = []
        self._known: set[str] = set()
        self._most_commands = _MOST_COMMANDS
        self._closed = False

    def take(self) -> Shell | None:
        """One that was used before, or None."""
        now = time.monotonic()
        with self._lock:
            while self._idle:
                shell = self._idle.pop()
                if now - shell.used_at < _KEPT_SECONDS:
                    return shell
                self._known.discard(shell.id)
        return None

    def open(self, connection: KeptConnection, deadline: Deadline) -> Shell:
        """A new one. Where the account has too many, those that an earlier
        broker left are closed first."""
        try:
            return self._open(connection, deadline)
        except RequestFailed as error:
            if error.failed.kind is not QuotaExceeded or not self.reclaim(connection, deadline):
                raise
        return self._open(connection, deadline)

    def give_back(self, shell: Shell) -> bool:
        """Keep it; False where its time is over and it has to be closed."""
        shell.used_at = time.monotonic()
        with self._lock:
            young = shell.used_at - shell.opened_at < _LONGEST_LIFE
            if self._closed or shell.commands >= self._most_commands or not young:
                return False
            self._idle.append(shell)
        return True

    def forget(self, shell: Shell) -> None:
        """It is gone, or left to finish."""
        with self._lock:
            self._known.discard(shell.id)

    def operations_exhausted(self, shell: Shell) -> None:
        """The server refused another command: rotate earlier from now on."""
        with self._lock:
            self._most_commands = max(1, min(self._most_commands, shell.commands - 1))

    def take_expired(self) -> list[Shell]:
        """Those that were not used for long, to be closed."""
        now = time.monotonic()
        with self._lock:
            old = [s for s in self._idle if self._closed or now - s.used_at > _KEPT_SECONDS]
            self._idle = [s for s in self._idle if s not in old]
        return old

    def close(self) -> None:
        """Keep none any more."""
        with self._lock:
            self._closed = True

    def delete(self, connection: KeptConnection, shell: Shell, deadline: Deadline) -> None:
        """Close it; one that is gone already is as good. Raises RequestFailed."""
        try:
            connection.call(deadline, "close_shell", shell.id, close_session=False)
        except RequestFailed as error:
            if error.failed.fault != INVALID_SELECTORS:
                raise
        except OperationTimedOut:
            log.warning("closing a shell timed out", server=self._server)
        self.forget(shell)

    def reclaim(self, connection: KeptConnection, deadline: Deadline) -> int:
        """Close what waits here idle, and what an earlier broker of this account
        left: by its owner, the idle time-out that only we set, and its age."""
        with self._lock:
            idle, self._idle = self._idle, []
        closed = 0
        for shell in idle:
            with contextlib.suppress(RequestFailed):
                self.delete(connection, shell, deadline)
                closed += 1
        try:
            found = list_shells(connection, deadline)
        except (RequestFailed, OperationTimedOut) as error:
            log.warning("shells cannot be listed", server=self._server, reason=str(error))
            return closed
        with self._lock:
            known = set(self._known)
        for each in found:
            if each.is_ours(connection.user) and each.id not in known:
                with contextlib.suppress(RequestFailed):
                    self.delete(connection, Shell(each.id), deadline)
                    closed += 1
        log.info("shells reclaimed", server=self._server, closed=closed)
        return closed

    def _open(self, connection: KeptConnection, deadline: Deadline) -> Shell:
        shell_id = connection.call(
            deadline, "open_shell", codepage=CODEPAGE, idle_timeout=f"PT{IDLE_SECONDS}S"
        )
        with self._lock:
            self._known.add(shell_id)
        return Shell(shell_id)


@dataclass(frozen=True, slots=True)
class ListedShell:
    """A shell as the server lists it; times in seconds."""

    id: str
    owner: str
    idle_timeout: float
    inactive: float

    def is_ours(self, user: str) -> bool:
        """Whether a broker with this account opened it and is gone."""
        mine = _account(self.owner) == _account(user)
        return (
            mine
            and abs(self.idle_timeout - IDLE_SECONDS) < 0.5
            and self.inactive >= _ABANDONED_SECONDS
        )


def list_shells(connection: KeptConnection, deadline: Deadline) -> list[ListedShell]:
    """Every shell that the account may see."""
    body = "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements></n:Enumerate>"
    shells: list[ListedShell] = []
    action = "Enumerate"
    while True:
        message = envelope(
            connection.url,
            f"{ENUMERATION}/{action}",
            _RESOURCE,
            body,
            connection.seconds_for(deadline),
        )
        root = connection.parse(connection.send(deadline, message))
        shells += [_listed(element) for element in root.iter(f"{{{SHELL}}}Shell")]
        context = next(root.iter(f"{{{ENUMERATION}}}EnumerationContext"), None)
        ended = any(element.tag.endswith("}EndOfSequence") for element in root.iter())
        if ended or context is None or not (context.text or "").strip():
            return shells
        action = "Pull"
        body = (
            f"<n:Pull><n:EnumerationContext>{escape(context.text or '')}"
            "</n:EnumerationContext><n:MaxElements>32000</n:MaxElements></n:Pull>"
        )


def _listed(element: ET.Element) -> ListedShell:
    def text(name: str) -> str:
        found = element.find(f"{{{SHELL}}}{name}")
        return (found.text or "").strip() if found is not None else ""

    return ListedShell(
        text("ShellId"),
        text("Owner"),
        _seconds(text("IdleTimeOut")),
        _seconds(text("ShellInactivity")),
    )


def _seconds(duration: str) -> float:
    match = _DURATION.fullmatch(duration)
    if match is None:
        return 0.0
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _account(user: str) -> str:
    """The bare name: a server says DOMAIN\\name where the inventory may say
    name@REALM or name."""
    return user.rpartition("\\")[2].partition("@")[0].casefold()
