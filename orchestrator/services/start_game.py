"""Start a game for a player: reserve, launch, confirm.

Reserving and confirming are one transaction each; none is open while the
server is called. A crash or a lost answer in between leaves the session
``starting``, which ``reconcile`` settles from the server's own truth. A launch
is never sent a second time, but for one that the server answered with
``port_in_use``: it started nothing, so it is sent again with other ports.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from orchestrator.domain.errors import (
    NoCapacity,
    Outcome,
    ScriptFailed,
    ServerCallError,
)
from orchestrator.domain.event import Event
from orchestrator.domain.launch import Launch, LaunchOrder, LaunchReport
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import Health
from orchestrator.domain.session import Failure, Ports, Session, SessionState
from orchestrator.placement import find_strategy, place
from orchestrator.ports import Clock, IdFactory, ServerGateway, UnitOfWork, UnitOfWorkFactory
from orchestrator.services.in_flight import InFlight
from orchestrator.services.launch_order import (
    config_file_for,
    order_for,
    spec_for,
    sunshine_ports,
)
from orchestrator.services.probe_servers import health_after
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import NOT_KEPT, Retry
from orchestrator.services.snapshot import placement_request, take_snapshot

MOST_LAUNCHES = 4
"""How many pairs of ports one session may try."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What a caller asks for.

    ``idempotency_key`` makes a repeated request of the same ``requested_by``
    find the first one's session, even after a crash. ``player_address`` is who
    alone may reach the stream; None leaves the server's firewall as it is.
    """

    game_id: str
    mode: Mode
    config_file: str | None = None
    strategy: str | None = None
    requested_by: str = ""
    idempotency_key: str | None = None
    player_address: str | None = None


class StartGame:
    """The use case; safe to call from many threads."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: ServerGateway,
        clock: Clock,
        ids: IdFactory,
        retry: Retry,
        in_flight: InFlight,
        refused_ports: RefusedPorts,
        default_strategy: str = "least-loaded",
    ) -> None:
        self._units = units
        self._gateway = gateway
        self._clock = clock
        self._ids = ids
        self._retry = retry
        self._in_flight = in_flight
        self._refused_ports = refused_ports
        self._default_strategy = default_strategy

    def __call__(self, request: StartRequest) -> Session:
        """Start it and return the session.

        ``running``: it streams. ``starting``: the answer was lost, or the database
        went away before it was kept, and ``reconcile`` will find out. Raises
        NoCapacity with the reason of each server, the ServerCallError that made
        the session ``failed``, or what was wrong with the request.
        """
        session_id = self._session_id(request)
        with self._in_flight.claim(session_id):
            session, order = self._retry(lambda: self._reserve(request, session_id))
            if order is None:
                return session
            try:
                report = self._launch(session, order)
            except ServerCallError as error:
                return self._settle_failure(session, error)
            try:
                confirmed = self._retry(lambda: self._confirm(session.id, report))
            except NOT_KEPT:
                return session
            if confirmed.state is not SessionState.RUNNING:
                self._take_back(confirmed, report.launch)
            return confirmed

    def _launch(self, session: Session, order: LaunchOrder) -> LaunchReport:
        """Launch, with other ports where strangers have the session's."""
        launches = 0
        while True:
            try:
                return self._gateway.launch(session.server, order)
            except ScriptFailed as error:
                if error.code != "port_in_use" or session.mode is Mode.SUNSHINE:
                    raise
                self._refused_ports.add(session.server, order.stream_port)
                launches += 1
                # Whoever reconciles beside us counts from the session's beginning.
                over = session.created_at + timedelta(seconds=order.ready_timeout)
                if launches >= MOST_LAUNCHES or self._clock.now() >= over:
                    raise
                change = partial(self._change_ports, session.id, order.stream_port, error)
                ports = self._retry(change)
                if ports is None:
                    raise
                order = replace(order, stream_port=ports.stream, control_port=ports.control)

    def _change_ports(self, session_id: str, refused: int, error: ScriptFailed) -> Ports | None:
        """Ports to try next, held for the session; None where there are none."""
        with self._units() as uow:
            session = uow.sessions.get(session_id)
            if session.state is not SessionState.STARTING:
                return None
            now, known = self._clock.now(), self._refused_ports.by_server()
            snapshot = take_snapshot(uow, now, known, self._gateway.knows, without=session_id)
            ports = snapshot.views[session.server].free_ports()
            if ports is None:
                message = f"{error.message}; no other port is free"
            else:
                session = uow.sessions.change_ports(replace(session, updated_at=now), ports)
                message = f"{error.message}; port {ports.stream} is tried"
            self._note(uow, session, "port_refused", message, port=refused)
            uow.commit()
        return ports

    def _session_id(self, request: StartRequest) -> str:
        """A new one, or the one that belongs to the request's key.

        A session that failed has left nothing on its server, so the key's next
        request is a fresh try, with the next of the ids that belong to it.
        """
        key = request.idempotency_key
        if key is None:
            return self._ids.new_id()
        with self._units(read_only=True) as uow:
            for attempt in itertools.count():
                numbered = f"{key}\0{attempt}" if attempt else key
                session_id = self._ids.id_for(request.requested_by, numbered)
                session = uow.sessions.find(session_id)
                if session is None or session.state is not SessionState.FAILED:
                    break
        return session_id

    def _reserve(
        self, request: StartRequest, session_id: str
    ) -> tuple[Session, LaunchOrder | None]:
        with self._units() as uow:
            existing = uow.sessions.find(session_id)
            if existing is not None:
                return existing, None
            game = uow.games.hold(request.game_id)
            spec = spec_for(game, request.mode)
            config_file = config_file_for(spec, request.mode, request.config_file)
            strategy = find_strategy(request.strategy or self._default_strategy)
            snapshot = take_snapshot(
                uow, self._clock.now(), self._refused_ports.by_server(), self._gateway.knows
            )
            wanted = placement_request(session_id, game, request.mode, spec)
            decision = place(wanted, snapshot.views.values(), strategy)
            if decision.chosen is None:
                raise NoCapacity(
                    f"no server can take {game.id} in mode {request.mode} now", decision.reasons()
                )
            view = snapshot.views[decision.chosen]
            ports = view.free_ports()
            assert ports is not None, "the ports_free filter let it through"
            if request.mode is Mode.SUNSHINE:
                ports = sunshine_ports(view.server)
            now = self._clock.now()
            session = Session(
                id=session_id,
                game_id=game.id,
                mode=request.mode,
                server=decision.chosen,
                stream_address=view.server.stream_address,
                state=SessionState.STARTING,
                ports=ports,
                decision=decision,
                created_at=now,
                updated_at=now,
                concurrency=wanted.concurrency,
                config_file=config_file,
                requested_by=request.requested_by,
            )
            uow.sessions.reserve(session, snapshot.versions[decision.chosen])
            self._note(uow, session, "session_reserved", f"reserved on {session.server}")
            uow.commit()
        return session, order_for(session, spec, view.server, request.player_address)

    def _confirm(self, session_id: str, report: LaunchReport) -> Session:
        with self._units() as uow:
            session = uow.sessions.get(session_id)
            if session.state is not SessionState.STARTING:
                return session
            running = session.moved(
                SessionState.RUNNING,
                self._clock.now(),
                launch=report.launch,
                companions=report.companions,
                error=None,
            )
            running = uow.sessions.save(running)
            message = f"{report.launch.image} runs with PID {report.launch.pid}"
            self._note(uow, running, "session_running", message)
            for warning in report.warnings:
                self._note(uow, running, "launch_warning", warning)
            uow.commit()
        return running

    def _take_back(self, session: Session, launch: Launch) -> None:
        """The session was ended while its game was being launched.

        The end may have come to the server before there was anything to end,
        so the game is ended now; nobody wants it.
        """
        try:
            self._gateway.stop(session.server, session.id, launch, 0)
            kind, message = "launch_taken_back", f"PID {launch.pid} was launched too late"
        except ServerCallError as error:
            kind = "launch_left_over"
            message = f"PID {launch.pid} runs for an ended session: {error.code}: {error.message}"

        def note() -> None:
            with self._units() as uow:
                self._note(uow, session, kind, message)
                uow.commit()

        self._retry(note)

    def _settle_failure(self, session: Session, error: ServerCallError) -> Session:
        certain = error.outcome is Outcome.NOT_EXECUTED or isinstance(error, ScriptFailed)
        try:
            settled = self._retry(lambda: self._record_failure(session.id, error, certain))
            is_failed = settled.state is SessionState.FAILED
        except NOT_KEPT:
            # It cannot be kept now: ``reconcile`` will find that there is no launch.
            settled, is_failed = session, certain
        if certain and is_failed:
            error.session_id = session.id
            raise error
        return settled

    def _record_failure(self, session_id: str, error: ServerCallError, certain: bool) -> Session:
        failure = Failure(error.code, error.message)
        with self._units() as uow:
            session = uow.sessions.get(session_id)
            if session.state is not SessionState.STARTING:
                return session
            now = self._clock.now()
            if certain:
                session = uow.sessions.save(session.moved(SessionState.FAILED, now, error=failure))
                self._note(uow, session, "session_failed", f"{error.code}: {error.message}")
            else:
                session = uow.sessions.save(session.noted(now, failure))
                message = f"outcome unknown ({error.code}): {error.message}"
                self._note(uow, session, "launch_unknown", message)
            health = health_after(error)
            if health in {Health.UNREACHABLE, Health.REFUSED}:
                uow.servers.record_health(session.server, health, error.message, None, now)
            uow.commit()
        return session

    def _note(
        self, uow: UnitOfWork, session: Session, kind: str, message: str, **data: object
    ) -> None:
        now, server = self._clock.now(), session.server
        uow.events.add(Event(now, kind, message, session_id=session.id, server=server, data=data))
