"""Where a session would go now, without starting it."""

from __future__ import annotations

from orchestrator.domain.decision import Decision
from orchestrator.placement import find_strategy, place
from orchestrator.ports import Clock, IdFactory, ServerGateway, UnitOfWorkFactory
from orchestrator.services.launch_order import spec_for
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.snapshot import placement_request, take_snapshot
from orchestrator.services.start_game import StartRequest


class PreviewPlacement:
    """The dry run behind ``POST /api/v1/placements``."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: ServerGateway,
        ids: IdFactory,
        clock: Clock,
        refused_ports: RefusedPorts,
        default_strategy: str = "least-loaded",
    ) -> None:
        self._units = units
        self._gateway = gateway
        self._clock = clock
        self._ids = ids
        self._refused_ports = refused_ports
        self._default_strategy = default_strategy

    def __call__(self, request: StartRequest) -> Decision:
        """The decision a start would get at this moment."""
        with self._units(read_only=True) as uow:
            game = uow.games.get(request.game_id)
            spec = spec_for(game, request.mode)
            strategy = find_strategy(request.strategy or self._default_strategy)
            wanted = placement_request(self._ids.new_id(), game, request.mode, spec)
            snapshot = take_snapshot(
                uow, self._clock.now(), self._refused_ports.by_server(), self._gateway.knows
            )
            return place(wanted, snapshot.views.values(), strategy)
