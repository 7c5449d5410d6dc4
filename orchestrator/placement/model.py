"""What placement sees: the request and one view a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.game import Needs
from orchestrator.domain.mode import Concurrency, Mode
from orchestrator.domain.server import Health, Load, Server
from orchestrator.domain.session import Ports


@dataclass(frozen=True, slots=True)
class Request:
    """One session that wants a server; ``seed`` is the session's id."""

    seed: str
    game_id: str
    mode: Mode
    needs: Needs = Needs()
    concurrency: Concurrency = Concurrency.SHARED
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Occupant:
    """A session that holds a slot of a server.

    ``running_since`` is None until the server confirmed its launch.
    """

    session_id: str
    needs: Needs
    ports: Ports
    concurrency: Concurrency
    running_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServerView:
    """A server as one snapshot found it; ``maintenance`` is the window that is open.

    ``refused_ports`` are those that strangers had when a launch last asked for them.
    """

    server: Server
    health: Health
    drained: bool = False
    present: bool = True
    load: Load | None = None
    occupants: tuple[Occupant, ...] = ()
    maintenance: str | None = None
    health_reason: str = ""
    refused_ports: frozenset[int] = frozenset()

    @property
    def free_slots(self) -> int:
        """Slots that no session holds; never negative."""
        return max(0, self.server.slots - len(self.occupants))

    def free_ports(self) -> Ports | None:
        """The two lowest ports that no session holds and no stranger had, or None."""
        held = {port for o in self.occupants for port in (o.ports.stream, o.ports.control)}
        taken = held | self.refused_ports
        pair: list[int] = []
        for port in range(self.server.ports.first, self.server.ports.last + 1):
            if port not in taken:
                pair.append(port)
            if len(pair) == 2:
                return Ports(*pair)
        return None

    def expected(self) -> tuple[float, float, float]:
        """Shares of CPU, memory and GPU in use, reservations since the sample added.

        A session that was not running yet when the last sample was taken is
        not in it, so its needs are added; without a sample every session's are.
        """
        load = self.load
        unseen = [o.needs for o in self.occupants if not _in_sample(o, load)]
        cpu = (load.cpu if load else None) or 0.0
        memory = (load.memory if load else None) or 0.0
        gpu = (load.gpu if load else None) or 0.0
        for needs in unseen:
            cpu += needs.cpu
            memory += self.memory_share(needs)
            gpu += needs.gpu
        return cpu, memory, gpu

    def memory_share(self, needs: Needs) -> float:
        """What ``needs`` takes of this server's memory; 0 where its size is unknown."""
        total = self.load.memory_total_mb if self.load else None
        return needs.memory_mb / total if total else 0.0

    def after(self, request: Request) -> tuple[float, float, float]:
        """``expected()`` with the request placed here."""
        cpu, memory, gpu = self.expected()
        needs = request.needs
        return cpu + needs.cpu, memory + self.memory_share(needs), gpu + needs.gpu


def _in_sample(occupant: Occupant, load: Load | None) -> bool:
    since = occupant.running_since
    return load is not None and since is not None and since < load.at


Filter = Callable[[Request, ServerView], str | None]
"""None where the server fits, else the reason why it does not."""

Scorer = Callable[[Request, ServerView], float]
"""A value in [0, 1] for every server, higher is better."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named rule: filters in order, scorers with their weights."""

    name: str
    filters: tuple[Filter, ...]
    scorers: tuple[tuple[Scorer, float], ...]
