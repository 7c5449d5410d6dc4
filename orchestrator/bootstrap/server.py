"""A broker that listens, polls and does its jobs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from orchestrator import __version__
from orchestrator.api import ApiServices, HttpServer, Readiness, create_app
from orchestrator.bootstrap.broker import Broker
from orchestrator.domain.errors import OrchestratorError
from orchestrator.scheduler import TICK_SECONDS, Job, PollLoop, Scheduler
from orchestrator.services.poll_schedule import Answer
from orchestrator.services.polling import Polling
from orchestrator.services.settle_sessions import Settler
from orchestrator.web import create_blueprint

FIRST_ROUND_SECONDS = 120
"""How long starting waits for the first poll of every server."""

ANSWER_SECONDS = 5
"""How long a request whose call was cut off may take to be answered."""

log = structlog.get_logger(__name__)


class BrokerServer:
    """A broker that serves HTTP and runs its jobs."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        settings = broker.settings
        self._catching_up = threading.Lock()
        self._loop = PollLoop(self._poll, workers=settings.poll_workers)
        self._polling = Polling(
            broker.units,
            broker.gateway,
            broker.clock,
            broker.settle_sessions,
            Settler(broker.background, broker.clock, _log_unsettled),
            interval=settings.poll_interval,
            sinks=broker.sample_sinks,
            on_sink_error=lambda sink: log.exception("samples not taken", sink=repr(sink)),
            on_fleet=self._loop.follow,
            on_recovered=lambda name: broker.background.submit(lambda: self._sweep([name])),
        )
        self._scheduler = Scheduler(
            [
                Job("poll", TICK_SECONDS, self._loop.tick),
                Job("record-polls", 0.5, self._catch_up),
                Job("reconcile", settings.reconcile_interval, self._reconcile),
                Job("sweep", settings.sweep_interval, self._sweep),
                Job("forget-keys", 3600, broker.forget_old_keys),
                Job("roll-up", 60, broker.roll_up),
                Job("reports", 60, self._report),
            ]
        )
        app = create_app(
            ApiServices(
                start_game=broker.metrics.timed(broker.start_game),
                session_id_for=broker.ids.id_for,
                end_game=broker.end_game,
                give_up=broker.give_up,
                add_game=broker.add_game,
                change_game=broker.change_game,
                remove_game=broker.remove_game,
                manage_servers=broker.manage_servers,
                check_server=broker.check_server,
                preview_placement=broker.preview_placement,
                tokens=broker.tokens,
                read_history=broker.read_history,
                reports=broker.reports,
                units=broker.units,
                clock=broker.clock,
                readiness=self.readiness,
                metrics=broker.metrics.render,
                observe=broker.metrics.request,
            ),
            version=__version__,
            open_metrics=settings.metrics == "open",
        )
        app.register_blueprint(create_blueprint())
        self._http = HttpServer(app, settings.host, settings.port, threads=settings.threads)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._http.port

    def start(self, on_progress: Callable[[str], None] = lambda _: None) -> None:
        """Listen at once, poll every server, settle what was left open, then keep going."""
        self._http.start()
        on_progress("polling servers")
        self._catch_up()
        self._scheduler.start()
        self._loop.wait_for_first_round(FIRST_ROUND_SECONDS)
        self._catch_up()
        on_progress("settling sessions")
        self._reconcile()
        on_progress("looking for games that nobody wants")
        self._sweep()

    def stop(self) -> None:
        """Take no new request, finish those under way, end the jobs; what still
        waits for a server after that long is cut off, and a request that waited for
        it is answered with what is known."""
        with self._broker.calls_cut_off_in_time():
            self._http.stop(timeout=self._broker.settings.stop_timeout + ANSWER_SECONDS)
            self._scheduler.stop()
            self._loop.close()

    def readiness(self) -> Readiness:
        """Whether requests can be answered, and what is missing."""
        missing: list[str] = []
        try:
            self._broker.store.ping()
        except OrchestratorError as error:
            missing.append(f"database: {error.message}")
        if not self._loop.first_round_done:
            missing.append("servers: the first poll is not done")
        elif not self._scheduler.running:
            missing.append("scheduler: not running")
        healths = Counter(each.value for each in self._polling.watch.healths().values())
        return Readiness(not missing, tuple(missing), healths)

    def _poll(self, server: str) -> Answer:
        return self._polling.poll(server)

    def _catch_up(self) -> None:
        with self._catching_up:
            caught = self._polling.catch_up()
        for event in caught.events:
            log.info(event.kind, server=event.server, detail=event.message)
        for move in caught.moves:
            _log_settled(move.session_id, move.before, move.after, move.note)

    def _sweep(self, names: Sequence[str] | None = None) -> None:
        for swept in self._broker.sweep_servers(names):
            log.info(
                "server swept",
                server=swept.server,
                session_id=swept.session_id,
                action=swept.action,
                note=swept.note,
            )

    def _report(self) -> None:
        for head in self._broker.reports.run_due():
            unsent = [each for each in head.deliveries if each.sent_at is None]
            for each in unsent:
                log.warning("report not sent", target=each.target, problem=each.problem)
            log.info("report", report_id=head.id, kind=head.kind, until=head.until.isoformat())

    def _reconcile(self) -> None:
        for settled in self._broker.reconcile():
            _log_settled(settled.session_id, settled.before, settled.after, settled.note)


def _log_settled(session_id: str, before: str, after: str, note: str) -> None:
    log.info("session settled", session_id=session_id, before=before, after=after, note=note)


def _log_unsettled(session_id: str, error: OrchestratorError) -> None:
    log.warning("session not settled", session_id=session_id, code=error.code, detail=error.message)
