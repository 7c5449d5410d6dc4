"""The ServerGateway port over WinRM."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

from orchestrator.domain.check import CheckItem, CheckOrder, ServerReport, Verdict
from orchestrator.domain.errors import (
    Outcome,
    ProtocolViolation,
)
from orchestrator.domain.file import RemoteFile, WrittenFile
from orchestrator.domain.launch import (
    EndedHow,
    FoundLaunch,
    FoundState,
    Launch,
    LaunchOrder,
    LaunchReport,
    StopReport,
)
from orchestrator.domain.observation import Observation
from orchestrator.domain.server import Connection, Load
from orchestrator.transport import envelope
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.files import MAX_BYTES, FileTransfer
from orchestrator.transport.lines import Lines, Traced
from orchestrator.transport.questions import Question
from orchestrator.transport.scripted import SCRIPT, ScriptedAnswers
from orchestrator.transport.scripts import COMMAND, ScriptLibrary
from orchestrator.transport.tracing import Listener
from orchestrator.transport.wql import CIMV2, Row, parse_datetime, questions

_READ_ONLY = frozenset({"Get-Launch", "Get-Load", "Read-File", "Test-RuntimeServer"})
"""Scripts that change nothing: one whose call failed is ended, not left to finish."""

_QUESTIONS = 2.5
"""A poll may take this many times as long as one of its questions."""


class WinrmGateway:
    """Calls scripts and asks WQL on the servers of ``connections``, by name.

    ``call_timeout`` is the hard limit of a script call in seconds, on top of
    what the script may wait itself; ``probe_timeout`` that of one question of a poll. Polls
    have a connection of their own, so that a slow launch never holds them up.
    Servers in ``scripted`` are polled by a script instead of WQL.
    ``on_call`` is told what each call cost, in the thread that made it.
    """

    def __init__(
        self,
        connections: Mapping[str, Connection],
        scripts: ScriptLibrary,
        *,
        call_timeout: float = 30,
        probe_timeout: float = 10,
        max_connections_per_server: int = 8,
        scripted: Collection[str] = (),
        on_call: Listener | None = None,
    ) -> None:
        self._connections = dict(connections)
        self._scripts = scripts
        self._scripted = frozenset(scripted)
        self._call_timeout = call_timeout
        self._probe_timeout = probe_timeout
        self._on_call = on_call
        self._lines = Lines(self._connections, max_connections_per_server, self._scripted)

    def knows(self, server: str) -> bool:
        """Whether it can be called at all."""
        return server in self._connections

    def launch(self, server: str, order: LaunchOrder) -> LaunchReport:
        """Run Start-Game."""
        parameters: dict[str, object] = {
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
            "PlayerAddress": order.player_address,
            "AppName": order.app_name,
            "Sunshine": self._sunshine(server) if order.app_name else None,
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
        parameters: dict[str, object] = {
            "SessionId": session_id,
            "GraceSec": grace_seconds,
            "Sunshine": self._sunshine(server),
        }
        if launch is not None:
            parameters |= {
                "ProcessId": launch.pid,
                "CreatedAt": launch.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "Image": launch.image,
            }
        answer = self._run(server, "Stop-Game", parameters, grace_seconds)
        with _reading(server, "Stop-Game"):
            return StopReport(EndedHow(answer.data["how"]), answer.warnings)

    def remove_launch(self, server: str, session_id: str, grace_seconds: int) -> StopReport:
        """Run Remove-Launch."""
        parameters = {
            "SessionId": session_id,
            "GraceSec": grace_seconds,
            "Sunshine": self._sunshine(server),
        }
        answer = self._run(server, "Remove-Launch", parameters, grace_seconds)
        with _reading(server, "Remove-Launch"):
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

    def inspect(self, server: str, order: CheckOrder) -> ServerReport:
        """Run Test-RuntimeServer."""
        parameters = {
            "BrokerTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "GaDirectory": order.ga_directory,
            "ConfigDirectory": order.config_directory,
            "Modes": list(order.modes),
            "FirstPort": order.ports.first,
            "LastPort": order.ports.last,
        }
        answer = self._run(server, "Test-RuntimeServer", parameters, 0)
        with _reading(server, "Test-RuntimeServer"):
            return ServerReport(
                computer=str(answer.data["computer"]),
                account=str(answer.data["account"]),
                items=tuple(
                    CheckItem(
                        name=str(item["name"]),
                        verdict=Verdict(item["verdict"]),
                        found=str(item.get("found") or ""),
                        remedy=str(item.get("remedy") or ""),
                    )
                    for item in answer.data["items"]
                ),
            )

    def read_file(
        self,
        server: str,
        path: str,
        into: BinaryIO,
        *,
        resume: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> RemoteFile:
        """Run Read-File for each piece."""
        return self._files(server).read(path, into, resume=resume, max_bytes=max_bytes)

    def write_file(
        self,
        server: str,
        path: str,
        content: BinaryIO,
        *,
        expected_hash: str | None = None,
        keep_backup: bool = True,
    ) -> WrittenFile:
        """Run Write-File for each piece."""
        return self._files(server).write(
            path, content, expected_hash=expected_hash, keep_backup=keep_backup
        )

    def _files(self, server: str) -> FileTransfer:
        return FileTransfer(server, lambda script, order: self._run(server, script, order, 0))

    def observe(
        self, server: str, launches: Collection[Launch] = (), ports: Collection[int] = ()
    ) -> Observation:
        """One look by WQL; ``probe_timeout`` limits each question, and several of
        them the whole. The breaker is told, but not asked: whoever polls paces."""
        line = self._lines.to(server)
        if server in self._scripted:
            due = line.prober.due(launches, ports)
            scripted = ScriptedAnswers(
                server, lambda parameters: self._run(server, SCRIPT, parameters, 0).data, due
            )
            with _reading(server, SCRIPT):
                return line.prober.observe(scripted.ask, datetime.now(UTC), launches, ports)
        whole = Deadline.after(_QUESTIONS * self._probe_timeout)
        with (
            Traced(line, "wql", self._on_call, polling=True) as traffic,
            questions(line.polls, server, whole, traffic) as asked,
            _reading(server, "the poll"),
        ):

            def ask(question: Question) -> list[Row]:
                deadline = Deadline.after(min(self._probe_timeout, whole.remaining))
                return asked.rows(question.wql, deadline, question.namespace)

            return line.prober.observe(ask, datetime.now(UTC), launches, ports)

    def probe(self, server: str) -> Load:
        """One sample by WQL."""
        return self.observe(server).load

    def query(self, server: str, wql: str, namespace: str = CIMV2) -> list[Row]:
        """Rows of a WQL query."""
        line, deadline = self._lines.to(server), Deadline.after(self._probe_timeout)
        with (
            Traced(line, "wql", self._on_call) as traffic,
            questions(line.polls, server, deadline, traffic) as asked,
        ):
            return asked.rows(wql, deadline, namespace)

    def close(self) -> None:
        """Close every shell and connection, and end the threads, in bounded time.

        Calls under way are cut off: each ends at once with what is known of it.
        A script that changes something then is left to finish on its server.
        """
        self._lines.close()

    def _sunshine(self, server: str) -> dict[str, object] | None:
        """What the scripts need to call the server's Sunshine."""
        connection = self._connections.get(server)
        login = connection.sunshine if connection is not None else None
        if login is None:
            return None
        return {"port": login.port, "user": login.user, "password": login.password}

    def _run(
        self, server: str, script: str, parameters: Mapping[str, object], waits: float
    ) -> envelope.Answer:
        line = self._lines.to(server)
        with Traced(line, script, self._on_call) as traffic:
            completed = line.commands.run(
                COMMAND,
                self._scripts.arguments,
                self._scripts.load(script).payload(parameters),
                Deadline.after(self._call_timeout + waits),
                envelope.is_complete,
                traffic,
                changes=script not in _READ_ONLY,
            )
            return envelope.read_answer(completed, server, script)


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
