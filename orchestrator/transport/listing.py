"""The shells that a server has open, as it lists them.

``Enumerate`` on the shell resource gives an account its own shells, and an
administrator everybody's ([MS-WSMV] 3.1.4.8.2, 2.2.4.37).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.sax.saxutils import escape

from orchestrator.transport.connection import KeptConnection
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.soap import ENUMERATION, SHELL, envelope

_RESOURCE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_MOST_PAGES = 100
_DURATION = re.compile(
    r"P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)


@dataclass(frozen=True, slots=True)
class ListedShell:
    """A shell as the server lists it; times in seconds, 0 where it says none."""

    id: str
    owner: str
    idle_timeout: float
    inactive: float
    run_time: float

    def belongs_to(self, user: str) -> bool:
        """Whether this account opened it."""
        return _account(self.owner) == _account(user)


def list_shells(connection: KeptConnection, deadline: Deadline) -> list[ListedShell]:
    """Every shell that the account may see. Raises RequestFailed and OperationTimedOut."""
    body = "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements></n:Enumerate>"
    shells: list[ListedShell] = []
    action = "Enumerate"
    for _ in range(_MOST_PAGES):
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
            break
        action = "Pull"
        body = (
            f"<n:Pull><n:EnumerationContext>{escape(context.text or '')}"
            "</n:EnumerationContext><n:MaxElements>32000</n:MaxElements></n:Pull>"
        )
    return [shell for shell in shells if shell.id]


def duration_seconds(duration: str) -> float:
    """An xs:duration of days and less, in seconds; 0 for anything else."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        return 0.0
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _listed(element: ET.Element) -> ListedShell:
    def text(name: str) -> str:
        found = element.find(f"{{{SHELL}}}{name}")
        return (found.text or "").strip() if found is not None else ""

    return ListedShell(
        text("ShellId"),
        text("Owner"),
        duration_seconds(text("IdleTimeOut")),
        duration_seconds(text("ShellInactivity")),
        duration_seconds(text("ShellRunTime")),
    )


def _account(user: str) -> str:
    """The bare name: a server says DOMAIN\\name where the inventory may say
    name@REALM or name."""
    return user.rpartition("\\")[2].partition("@")[0].casefold()
