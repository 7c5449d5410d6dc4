"""The ServerGateway port over WinRM."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.errors import Outcome, ProtocolViolation, UnknownServer
from orchestrator.domain.launch import (
    EndedHow,
    FoundLaunch,
    FoundState,
    Launch,
    LaunchOrder,
    LaunchReport,
    StopReport,
)
from orchestrator.domain.server import Connection, Load
from orchestrator.transport import envelope
from orchestrator.transport.deadline import Deadline, Watchdog
from orchestrator.transport.pool import Pool
from orchestrator.transport.probe import read_load
from orchestrator.transport.scripts import COMMAND, ScriptLibrary
from orchestrator.transport.shell import run_command
from orchestrator.transport.wql import Row, parse_datetime, query

_POLLS_PER_SERVER = 1


class WinrmGateway:
    """Calls scripts and asks WQL on the servers of ``connections``, by name.

    ``call_timeout`` is the hard limit of a script call in seconds, on top of
    what the script may wait itself; ``probe_timeout`` that of one poll. Polls
    have a connection of their own, so that a slow launch never holds them up.
    """

    def __init__(
        self,
        connections: Mapping[str, Connection],
        scripts: ScriptLibrary,
        *,
        call_timeout: float = 30,
        probe_timeout: float = 10,
        max_connections_per_server: int = 8,
    ) -> None:
        self._connections = dict(connections)
        self._scripts = scripts
        self._call_timeout = call_timeout
        self._probe_timeout = probe_timeout
        self._size = max_connections_per_server
        self._watchdog = Watchdog()
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str], Pool] = {}

    def launch(self, server: str, order: LaunchOrder) -> LaunchReport:
        """Run Start-Game."""
        parameters = {
            "SessionId": order.session_id,
            "Mode": order.mode,
            "Executable": order.executable,
            "Arguments": list(order.arguments) or None,
            "WorkingDirectory": order.working_directory,
            "Environment": [{"name": n, "value": v} for n, v in order.environment] or None,
            "GaDirectory": order.ga_directory,
            "ConfigPath": order.config_path,
            "StreamPort": order.stream_port,
            "ControlPort": order.control_port,
            "Ready": order.ready,
            "ReadyTimeoutSec": order.ready_timeout,
            "Elevated": order.elevated,
        }
        answer = self._run(server, "Start-Game", parameters, order.ready_timeout)
        with _reading(server, "Start-Game"):
            return LaunchReport(
                launch=_launch(answer.data),
                changed=answer.changed,
                desktop_user=answer.data.get("desktop_user"),
                companions=tuple(_launch(item) for item in answer.data.get("companions") or ()),
                warnings=answer.warnings,
            )

    def stop(
        self, server: str, session_id: str, launch: Launch | None, grace_seconds: int
    ) -> StopReport:
        """Run Stop-Game."""
        parameters: dict[str, object] = {"SessionId": session_id, "GraceSec": grace_seconds}
        if launch is not None:
            parameters |= {
                "ProcessId": launch.pid,
                "CreatedAt": launch.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "Image": launch.image,
            }
        answer = self._run(server, "Stop-Game", parameters, grace_seconds)
        with _reading(server, "Stop-Game"):
            return StopReport(EndedHow(answer.data["how"]), answer.warnings)

    def find_launches(self, server: str, session_id: str | None = None) -> Sequence[FoundLaunch]:
        """Run Get-Launch."""
        answer = self._run(server, "Get-Launch", {"SessionId": session_id}, 0)
        with _reading(server, "Get-Launch"):
            return [
                FoundLaunch(
                    session_id=item["session_id"],
                    state=FoundState(item["state"]),
                    launch=_launch(item) if item.get("pid") is not None else None,
                    companions=tuple(_launch(each) for each in item.get("companions") or ()),
                )
                for item in answer.data["launches"]
            ]

    def probe(self, server: str) -> Load:
        """One sample by WQL."""
        pool = self._pool(server, "polls", _POLLS_PER_SERVER)
        deadline = Deadline.after(self._probe_timeout)

        def ask(wql: str) -> list[Row]:
            return query(pool, server, wql, deadline)

        return read_load(ask, datetime.now(UTC))

    def query(self, server: str, wql: str) -> list[Row]:
        """Rows of a WQL query in root/cimv2."""
        pool = self._pool(server, "polls", _POLLS_PER_SERVER)
        return query(pool, server, wql, Deadline.after(self._probe_timeout))

    def close(self) -> None:
        """Close every connection and end the watchdog's thread."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()
        self._watchdog.close()

    def _run(
        self, server: str, script: str, parameters: Mapping[str, object], waits: float
    ) -> envelope.Answer:
        completed = run_command(
            self._pool(server, "calls", self._size),
            server,
            COMMAND,
            self._scripts.arguments,
            self._scripts.load(script).payload(parameters),
            Deadline.after(self._call_timeout + waits),
        )
        return envelope.read_answer(completed, server, script)

    def _pool(self, server: str, lane: str, size: int) -> Pool:
        with self._lock:
            pool = self._pools.get((server, lane))
            if pool is None:
                connection = self._connections.get(server)
                if connection is None:
                    raise UnknownServer(f"the inventory has no server {server!r}")
                pool = Pool(server, connection, self._watchdog, size)
                self._pools[server, lane] = pool
        return pool


class _reading:  # noqa: N801 - reads as a statement
    """An answer whose fields are missing or wrong is a ProtocolViolation."""

    def __init__(self, server: str, script: str) -> None:
        self._server = server
        self._script = script

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (KeyError, ValueError, TypeError, AttributeError)):
            raise ProtocolViolation(
                f"{self._script} answered without a usable {error}",
                server=self._server,
                outcome=Outcome.EXECUTED,
            ) from error


def _launch(data: Mapping[str, Any]) -> Launch:
    return Launch(int(data["pid"]), parse_datetime(data["created_at"]), str(data["image"]))
