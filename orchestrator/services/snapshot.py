"""One consistent picture of the fleet, as placement wants it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.game import Game, LaunchSpec, Needs
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import Server
from orchestrator.placement import Occupant, Request, ServerView
from orchestrator.ports import Holding, UnitOfWork


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Views by server name, with the versions that a reservation must still find."""

    views: Mapping[str, ServerView]
    versions: Mapping[str, int]


def take_snapshot(
    uow: UnitOfWork,
    now: datetime,
    refused_ports: Mapping[str, frozenset[int]],
    knows: Callable[[str], bool],
    without: str | None = None,
) -> Snapshot:
    """Read servers, active sessions and the needs of their games, as they are ``now``.

    ``refused_ports`` are by server; the session ``without`` is left out. To a server
    that this process does not ``know`` nothing can be sent: it counts as absent.
    """
    needs = {game.id: game.needs for game in uow.games.list()}
    by_server: defaultdict[str, list[Occupant]] = defaultdict(list)
    for held in uow.sessions.holdings():
        if held.session_id == without:
            continue
        by_server[held.server].append(_occupant(held, needs))
    records = uow.servers.list()
    return Snapshot(
        views={
            record.server.name: ServerView(
                server=record.server,
                health=record.health,
                health_reason=record.health_reason,
                drained=record.drained,
                present=record.present and knows(record.server.name),
                load=record.load,
                maintenance=_maintenance(record.server, now),
                occupants=tuple(by_server[record.server.name]),
                refused_ports=refused_ports.get(record.server.name, frozenset()),
            )
            for record in records
        },
        versions={record.server.name: record.version for record in records},
    )


def placement_request(seed: str, game: Game, mode: Mode, spec: LaunchSpec) -> Request:
    """What a game in a mode asks of its server."""
    return Request(
        seed=seed,
        game_id=game.id,
        mode=mode,
        needs=game.needs,
        concurrency=spec.concurrency_in(mode),
        labels=game.labels,
    )


def _maintenance(server: Server, now: datetime) -> str | None:
    window = server.maintenance_at(now)
    return None if window is None else str(window)


def _occupant(held: Holding, needs: Mapping[str, Needs]) -> Occupant:
    return Occupant(
        session_id=held.session_id,
        needs=needs.get(held.game_id, Needs()),
        ports=held.ports,
        concurrency=held.concurrency,
        running_since=held.started_at,
    )
