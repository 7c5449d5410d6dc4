"""How long it takes until the broker says what has died.

A broker at its default settings polls a lab whose servers, in a process of
their own, die in several ways at random moments, and so do games on others.
The time runs from the death until the broker's REST API tells of it. Some
servers only restart their service, which must not be taken for a death.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.broker import RunningBroker, broker
from bench.gate import REFUSES, WAYS
from bench.lab import Obedient
from bench.report import Goal, Report
from orchestrator.api import game_json
from orchestrator.lab import demo_games

_AMID = "amid a poll"
_KINDS = (*WAYS, _AMID)
_MOST_A_ROUND = 5
"""Deaths of each kind at once: half of the servers, while the other half lives."""

_SERVERS = len(_KINDS) + 4
"""For each kind's death: one that restarts, two that lose a game, one that is spared."""

_RESTART_SECONDS = 2.0
_PATIENCE = 60.0
_KNOWN = 20.0
_GAME = {"game": "freeciv", "mode": "process"}


def run(options: Namespace) -> list[Report]:
    deaths, rounds = min(options.deaths, _MOST_A_ROUND), -(-options.deaths // _MOST_A_ROUND)
    servers = _SERVERS * deaths
    seen = _Seen()
    with tempfile.TemporaryDirectory(prefix="bench-dying-") as name:
        inventory = Path(name, "lab.yml")
        with (
            Obedient("bench.mortals", str(servers), str(inventory)) as lab,
            broker(Path(name), inventory, interval=options.interval, role="admin") as running,
        ):
            for game in demo_games():
                running.post("/api/v1/games", game_json(game))
            for number in range(rounds):
                _fill(running, servers)
                _Round(lab, running, seen, deaths, options.interval).play()
                if number + 1 < rounds:
                    _wait_until_all_are_up(running)
    return [_report(seen, servers, options.interval)]


def _report(seen: _Seen, servers: int, interval: int) -> Report:
    dead = [lag for kind in _KINDS for lag in seen.lags[kind]]
    return Report(
        f"{servers} servers polled every {interval} s: from a death until it is known",
        ("what died", "how", "deaths", "median", "most"),
        [
            *(_row("server", kind, seen.lags[kind]) for kind in _KINDS),
            _row("its session", "lost", seen.lags["lost"]),
            _row("game", "process gone", seen.lags["game"]),
        ],
        [
            Goal("a server that died is known, at the most", max(dead), _KNOWN, " s"),
            Goal("a game that died, at the most", max(seen.lags["game"]), 2 * interval, " s"),
            Goal("living servers called unreachable", len(seen.slandered), 0),
        ],
        [f"{seen.restarts} services restarted, each away for {_RESTART_SECONDS:g} s"],
    )


def _row(what: str, how: str, lags: list[float]) -> list[str]:
    most, median = max(lags, default=0.0), statistics.median(lags or [0.0])
    return [what, how, str(len(lags)), f"{median:.1f} s", f"{most:.1f} s"]


@dataclass(slots=True)
class _Seen:
    """Seconds from deaths until they were known, and what should not have been."""

    lags: dict[str, list[float]] = field(
        default_factory=lambda: {kind: [] for kind in (*_KINDS, "lost", "game")}
    )
    slandered: set[str] = field(default_factory=set)
    restarts: int = 0


@dataclass(slots=True)
class _Death:
    kind: str
    number: int
    at: float | None = None
    sessions: set[str] = field(default_factory=set)
    is_known: bool = False


class _Round:
    """Deaths at random moments of one interval, watched until all are known."""

    def __init__(
        self, lab: Obedient, running: RunningBroker, seen: _Seen, deaths: int, interval: float
    ) -> None:
        self._lab, self._running, self._seen = lab, running, seen
        self._servers: dict[int, _Death] = {}
        self._games: dict[str, float] = {}
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._began = time.monotonic()
        self._plan(deaths, interval)

    def play(self) -> None:
        until = self._began + _PATIENCE
        while not self._is_over() and time.monotonic() < until:
            self._happen()
            self._look()
            time.sleep(0.1)
        self._give_up()

    def _plan(self, deaths: int, interval: float) -> None:
        sessions = _running_sessions(self._running)
        numbers = list(range(_SERVERS * deaths))
        random.shuffle(numbers)
        numbers.sort(key=lambda number: number in {_number(each["server"]) for each in sessions})
        for _ in range(2 * deaths):
            number = numbers.pop()
            game = next(each for each in sessions if _number(each["server"]) == number)
            self._at(random.uniform(0, interval), self._kill, number, game)
        random.shuffle(numbers)
        for kind in _KINDS * deaths:
            self._at(random.uniform(0, interval), self._die, numbers.pop(), kind)
        for _ in range(deaths):
            number, moment = numbers.pop(), random.uniform(0, interval)
            self._at(moment, self._lab_does, "die", number, way=REFUSES)
            self._at(moment + _RESTART_SECONDS, self._lab_does, "revive", number)
            self._seen.restarts += 1
        self._due.sort(key=lambda each: each[0])

    def _at(self, moment: float, call: Callable[..., None], *args: Any, **named: Any) -> None:
        self._due.append((self._began + moment, lambda: call(*args, **named)))

    def _happen(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            self._due.pop(0)[1]()

    def _lab_does(self, what: str, number: int, **order: Any) -> None:
        self._lab.ask(what, server=number, **order)

    def _die(self, number: int, kind: str) -> None:
        self._servers[number] = _Death(kind, number)
        if kind == _AMID:
            way, requests = random.choice(WAYS), random.randrange(4)
            self._lab.ask("arm", server=number, way=way, requests=requests)
        else:
            self._lab.ask("die", server=number, way=kind)

    def _kill(self, number: int, session: dict[str, Any]) -> None:
        pid = session["process"]["pid"]
        self._games[session["id"]] = self._lab.ask("kill", server=number, pid=pid)

    def _look(self) -> None:
        for number, at in self._lab.ask("died").items():
            if int(number) in self._servers:
                self._servers[int(number)].at = at
        servers = self._running.get("/api/v1/servers")["servers"]
        sessions = self._running.get("/api/v1/sessions?limit=500")["sessions"]
        now = time.monotonic()
        for server in servers:
            if server["health"] == "unreachable":
                self._unreachable(server["name"], sessions, now)
        for session in sessions:
            self._session(session, now)

    def _unreachable(self, name: str, sessions: Iterable[dict[str, Any]], now: float) -> None:
        death = self._servers.get(_number(name))
        if death is None or death.at is None:
            self._seen.slandered.add(name)
        elif not death.is_known:
            death.is_known = True
            death.sessions = {
                each["id"]
                for each in sessions
                if each["server"] == name and each["state"] in {"running", "lost"}
            }
            self._seen.lags[death.kind].append(now - death.at)

    def _session(self, session: dict[str, Any], now: float) -> None:
        killed = self._games.get(session["id"])
        if killed is not None and session["state"] == "ended":
            self._seen.lags["game"].append(now - killed)
            del self._games[session["id"]]
        death = self._servers.get(_number(session["server"]))
        if death is None or death.at is None or session["id"] not in death.sessions:
            return
        if session["state"] == "lost":
            death.sessions.discard(session["id"])
            self._seen.lags["lost"].append(now - death.at)

    def _is_over(self) -> bool:
        return not (
            self._due
            or self._games
            or any(not death.is_known or death.sessions for death in self._servers.values())
        )

    def _give_up(self) -> None:
        """What was not known in all that time counts as known now."""
        now = time.monotonic()
        for death in self._servers.values():
            if not death.is_known:
                self._seen.lags[death.kind].append(now - (death.at or self._began))
            self._lab.ask("revive", server=death.number)
        self._seen.lags["game"] += [now - at for at in self._games.values()]


def _number(name: str) -> int:
    return int(name.rpartition("-")[2]) - 1


def _running_sessions(running: RunningBroker) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.get("/api/v1/sessions?state=running&limit=500")[
        "sessions"
    ]
    return found


def _fill(running: RunningBroker, servers: int) -> None:
    """A game on as many servers as there are games at all."""
    missing = servers - len(_running_sessions(running))
    with ThreadPoolExecutor(8) as starters:
        list(starters.map(lambda _: running.post("/api/v1/sessions", _GAME), range(missing)))


def _wait_until_all_are_up(running: RunningBroker) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        found = Counter(each["health"] for each in running.get("/api/v1/servers")["servers"])
        if set(found) == {"up"}:
            return
        time.sleep(0.5)
    raise RuntimeError(f"servers that live again are not up after {_PATIENCE:g} s: {found}")
