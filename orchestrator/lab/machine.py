"""What the WinRM server needs from the machine behind it.

The protocol half of the lab knows nothing of Windows, the model of Windows
nothing of SOAP; they meet here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

Value = str | int | bool | datetime | None | Sequence[str]


@dataclass(frozen=True, slots=True)
class Output:
    """What a program wrote since the last read.

    ``exit_code`` is set once the program has ended and all was read.
    """

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One row of a WQL answer; ``projected`` where the query named columns."""

    class_name: str
    properties: Mapping[str, Value]
    projected: bool


class LabFault(Exception):
    """A WS-Management fault: its code, subcode and text."""

    def __init__(self, code: int, subcode: str, reason: str, *, wmi: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.subcode = subcode
        self.reason = reason
        self.wmi = wmi


class ProgramRun(Protocol):
    """One running command of a shell."""

    def feed(self, data: bytes) -> None:
        """Bytes for its stdin."""
        ...

    def end_input(self) -> None:
        """Stdin's end."""
        ...

    def read(self, timeout: float) -> Output | None:
        """What it wrote, waiting up to ``timeout`` seconds; None where nothing came."""
        ...

    def terminate(self, exit_code: int) -> None:
        """End it, as a signal or the end of its shell does."""
        ...


class Job(Protocol):
    """A shell's processes: they die with it."""

    def run(
        self,
        command_line: str,
        *,
        skip_cmd_shell: bool,
        environment: Mapping[str, str],
    ) -> ProgramRun:
        """Start a command; LabFault where Windows would refuse it."""
        ...

    def close(self) -> None:
        """End everything that runs in it."""
        ...


class Machine(Protocol):
    """A computer with WinRM on it."""

    @property
    def name(self) -> str:
        """Its computer name."""
        ...

    def open_job(self, user: str, codepage: int) -> Job:
        """A new shell's job."""
        ...

    def query(self, wql: str, namespace: str) -> list[Instance]:
        """Rows of a query in a namespace; LabFault where WMI would refuse it."""
        ...
