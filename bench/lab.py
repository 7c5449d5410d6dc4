"""Start the lab's process and speak to it."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

from bench.labhost import PASSWORD, USER
from orchestrator.bootstrap import default_scripts
from orchestrator.domain.server import Connection
from orchestrator.transport import ScriptLibrary, WinrmGateway, soap, wql

MEMORY = "SELECT TotalVisibleMemorySize, FreePhysicalMemory FROM Win32_OperatingSystem"
"""A question whose answer is one small row."""


def memory_message(url: str) -> bytes:
    """The message of ours that asks it."""
    action, body = f"{soap.ENUMERATION}/Enumerate", wql.enumerate_body(MEMORY)
    return soap.envelope(url, action, wql.CIMV2, body, 20)


class Obedient:
    """A process of ours that obeys lines of JSON; a context manager."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.first: Any = self._answer()
        """What it said of itself."""

    def ask(self, what: str, **order: Any) -> Any:
        """One order and its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **order}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the lab's process ended with {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class LabProcess(Obedient):
    """A lab in a process of its own."""

    def __init__(self, servers: int = 1) -> None:
        super().__init__("bench.labhost", str(servers))
        self.addresses = [(host, port) for host, port in self.first["servers"]]

    @property
    def connections(self) -> dict[str, Connection]:
        """How to reach each server, by name."""
        return {
            f"game-{number + 1:04}": Connection(host, port, "http", "ntlm", USER, PASSWORD)
            for number, (host, port) in enumerate(self.addresses)
        }

    def gateway(self, **options: Any) -> WinrmGateway:
        """A gateway of ours that knows all of them."""
        return WinrmGateway(self.connections, ScriptLibrary(default_scripts()), **options)
