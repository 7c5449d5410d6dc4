"""One small fake for each port."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.domain.check import CheckItem, CheckOrder, ServerReport, Verdict
from orchestrator.domain.errors import NotInInventory, ScriptFailed, ServerCallError
from orchestrator.domain.game import Game, LaunchSpec
from orchestrator.domain.launch import (
    EndedHow,
    FoundLaunch,
    FoundState,
    Launch,
    LaunchOrder,
    LaunchReport,
    StopReport,
)
from orchestrator.domain.mode import Mode
from orchestrator.domain.observation import Observation
from orchestrator.domain.server import Health, Load, Server
from orchestrator.ports import Message

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
GOOD_LOAD = Load(START, 0.1, 16000, 12000, 0.1, "player", desktop=True, locked=False)


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self.slept = 0.0

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class SequentialIds:
    """s-1, s-2, …"""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        return f"s-{next(self._numbers)}"

    def id_for(self, owner: str, key: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{owner}/{key}"))


class InlineExecutor:
    """One after the other."""

    def map(self, call: Callable[[Any], Any], items: Iterable[Any]) -> Sequence[Any]:
        return [call(item) for item in items]

    def submit(self, call: Callable[[], object]) -> None:
        call()


class FakeGateway:
    """Windows servers as a dict: what runs where, by session id.

    ``fail_before`` and ``fail_after`` hold errors that the next call of a
    method raises without or after having had its effect; ``meanwhile`` what else
    happens during it. ``strangers`` are the ports where other processes listen, and
    ``unknown`` the servers that this inventory does not have.
    """

    def __init__(self) -> None:
        self.launched: dict[str, dict[str, Launch]] = {}
        self.states: dict[str, FoundState] = {}
        self.orders: list[LaunchOrder] = []
        self.stops: list[tuple[str, str, Launch | None]] = []
        self.removed: list[tuple[str, str]] = []
        self.loads: dict[str, Load | ServerCallError] = {}
        self.reports: dict[str, ServerReport | ServerCallError] = {}
        self.inspected: list[tuple[str, CheckOrder]] = []
        self.fail_before: dict[str, ServerCallError] = {}
        self.fail_after: dict[str, ServerCallError] = {}
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self.clients: dict[int, int] | None = None
        self.strangers: set[int] = set()
        self.unknown: set[str] = set()
        self._pids = itertools.count(4000, 4)

    def knows(self, server: str) -> bool:
        return server not in self.unknown

    def _reach(self, server: str) -> None:
        if not self.knows(server):
            raise NotInInventory(f"the inventory has no server {server}", server=server)

    def launch(self, server: str, order: LaunchOrder) -> LaunchReport:
        self._reach(server)
        self._fail(self.fail_before, "launch")
        self.orders.append(order)
        if order.stream_port in self.strangers:
            message = f"port {order.stream_port} is taken by nginx.exe (PID 77)"
            raise ScriptFailed("port_in_use", message, server=server)
        running = self.launched.setdefault(server, {})
        changed = order.session_id not in running
        launch = running.setdefault(
            order.session_id, Launch(next(self._pids), START, order.executable)
        )
        self._happen("launch")
        self._fail(self.fail_after, "launch")
        return LaunchReport(launch, changed)

    def stop(
        self, server: str, session_id: str, launch: Launch | None, grace_seconds: int
    ) -> StopReport:
        self._reach(server)
        self._fail(self.fail_before, "stop")
        self.stops.append((server, session_id, launch))
        gone = self.launched.get(server, {}).pop(session_id, None)
        self._happen("stop")
        self._fail(self.fail_after, "stop")
        return StopReport(EndedHow.GRACEFUL if gone else EndedHow.ALREADY_GONE)

    def find_launches(self, server: str, session_id: str | None = None) -> Sequence[FoundLaunch]:
        self._reach(server)
        self._fail(self.fail_before, "find_launches")
        return [
            FoundLaunch(found, self.states.get(found, FoundState.RUNNING), launch)
            for found, launch in self.launched.get(server, {}).items()
            if session_id in (None, found)
        ]

    def remove_launch(self, server: str, session_id: str, grace_seconds: int) -> StopReport:
        self._reach(server)
        self._fail(self.fail_before, "remove_launch")
        self.removed.append((server, session_id))
        gone = self.launched.get(server, {}).pop(session_id, None)
        return StopReport(EndedHow.GRACEFUL if gone else EndedHow.ALREADY_GONE)

    def observe(
        self, server: str, launches: Collection[Launch] = (), ports: Collection[int] = ()
    ) -> Observation:
        self._reach(server)
        found = self.loads.get(server, GOOD_LOAD)
        if isinstance(found, ServerCallError):
            raise found
        living = frozenset(self.launched.get(server, {}).values()) & frozenset(launches)
        clients = None if self.clients is None else {p: self.clients.get(p, 0) for p in ports}
        return Observation(found, living, clients)

    def inspect(self, server: str, order: CheckOrder) -> ServerReport:
        self.inspected.append((server, order))
        desktop = CheckItem("desktop", Verdict.OK, r"A\player")
        found = self.reports.get(server, ServerReport(server.upper(), r"A\broker", (desktop,)))
        if isinstance(found, ServerCallError):
            raise found
        return found

    def _happen(self, name: str) -> None:
        happens = self.meanwhile.pop(name, None)
        if happens is not None:
            happens()

    def _fail(self, errors: dict[str, ServerCallError], name: str) -> None:
        error = errors.pop(name, None)
        if error is not None:
            raise error


class FakeNotifier:
    """Keeps what it was told; ``problems`` holds why a target takes nothing."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.sent: list[tuple[str, Message]] = []
        self.problems: dict[str, str] = {}

    def targets(self) -> Sequence[str]:
        return self.names

    def send(self, target: str, message: Message) -> str | None:
        if target in self.problems:
            return self.problems[target]
        self.sent.append((target, message))
        return None


def make_server(name: str = "a", **changes: Any) -> Server:
    """A server with four slots."""
    return replace(Server(name, f"{name}.example", f"{name}.example", slots=4), **changes)


def make_game(game_id: str = "chess", **changes: Any) -> Game:
    """A game with a mode that shares the desktop, one that does not, and one without a stream."""
    game = Game(
        game_id,
        game_id.title(),
        {
            Mode.PROCESS: LaunchSpec(rf"C:\Games\{game_id}.exe"),
            Mode.EVENT_DRIVEN: LaunchSpec(
                rf"C:\Games\{game_id}.exe", config_file=f"{game_id}.conf", hook_type="sdl2"
            ),
            Mode.PERIODIC: LaunchSpec(rf"C:\Games\{game_id}.exe", config_file=f"{game_id}.conf"),
        },
        created_at=START,
    )
    return replace(game, **changes)


def fill(store: Any, servers: Iterable[Server], games: Iterable[Game] = ()) -> None:
    """Put servers that are up and games into a store."""
    servers = list(servers)
    with store.unit_of_work() as uow:
        uow.servers.synchronise(servers)
        for server in servers:
            load = Load(START, 0.1, 16000, 12000, 0.1, "player")
            uow.servers.record_health(server.name, Health.UP, "", load, START)
        for game in games:
            uow.games.add(game)
        uow.commit()
