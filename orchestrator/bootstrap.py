"""The only place that joins adapters: settings in, a running broker out."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from orchestrator import __version__
from orchestrator.api import ApiServices, HttpServer, Readiness, create_app
from orchestrator.config import Settings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.server import Probe
from orchestrator.inventory import Inventory, load_inventory
from orchestrator.metrics import Metrics
from orchestrator.notify import AppriseNotifier, read_targets, render_report
from orchestrator.ports import SampleSink
from orchestrator.scheduler import TICK_SECONDS, Job, PollLoop, Scheduler, ThreadExecutor
from orchestrator.services.add_game import AddGame
from orchestrator.services.check_server import CheckServer
from orchestrator.services.end_game import EndGame
from orchestrator.services.fleet_figures import ReadFleet
from orchestrator.services.in_flight import InFlight
from orchestrator.services.keep_history import KeepHistory
from orchestrator.services.manage_servers import ManageServers
from orchestrator.services.poll_schedule import Answer
from orchestrator.services.polling import Polling
from orchestrator.services.preview_placement import PreviewPlacement
from orchestrator.services.probe_servers import ProbeServers
from orchestrator.services.read_history import ReadHistory
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.reconcile_fleet import ReconcileFleet
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.reports import Reports, plan
from orchestrator.services.retry import Retry
from orchestrator.services.roll_up import Keep, RollUp
from orchestrator.services.settle_sessions import Settler, SettleSessions
from orchestrator.services.start_game import StartGame
from orchestrator.services.sweep_servers import Orphans, SweepServers
from orchestrator.services.tokens import Tokens
from orchestrator.store import Store
from orchestrator.transport import ScriptLibrary, Totals, WinrmGateway
from orchestrator.web import create_blueprint

BACKGROUND_CALLS = 16
"""Sessions settled and servers swept at once, beside what jobs do."""

FIRST_ROUND_SECONDS = 120
"""How long starting waits for the first poll of every server."""

IDEMPOTENCY_DAYS = 1
"""How long an answer is kept for its Idempotency-Key."""

log = structlog.get_logger(__name__)

_NAMESPACE = uuid.UUID("5f0a3f6e-8f6d-4a7b-9d5e-2b1c7f4e9a10")


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present time, aware, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class UuidFactory:
    """Session ids as UUIDs, which are valid names of Windows tasks."""

    def new_id(self) -> str:
        """A random one."""
        return str(uuid.uuid4())

    def id_for(self, owner: str, key: str) -> str:
        """The one that belongs to ``owner`` and ``key``."""
        return str(uuid.uuid5(_NAMESPACE, f"{owner}\0{key}"))


def read_inventory(settings: Settings) -> Inventory:
    """The inventory that the settings name; InventoryError with all that is wrong."""
    if settings.inventory is None:
        raise OrchestratorError(
            "no inventory: name one with --inventory PATH or ORCHESTRATOR_INVENTORY"
        )
    return load_inventory(
        settings.inventory,
        environment=dict(os.environ),
        vault_password_file=settings.vault_password_file,
    )


def default_scripts() -> Path:
    """Where the PowerShell scripts are: the checkout's folder, or the installed one."""
    checkout = Path(__file__).resolve().parent.parent / "scripts" / "powershell"
    if checkout.is_dir():
        return checkout
    return Path(sys.prefix) / "share" / "game-orchestrator" / "powershell"


class Broker:
    """Every service, joined to its adapters. A context manager: leaving closes all.

    Without an inventory it reads and administers the store only; a call to a
    server then fails with ``unknown_server``.
    """

    def __init__(self, settings: Settings, inventory: Inventory | None = None) -> None:
        self.settings = settings
        self.inventory = inventory
        self.clock = SystemClock()
        self.ids = UuidFactory()
        self.store = Store(settings.database, pool_size=settings.threads)
        self.units = self.store.unit_of_work
        self.retry = Retry(self.clock)
        self.in_flight = InFlight()
        self.refused_ports = RefusedPorts(self.clock)
        connections = {e.server.name: e.connection for e in inventory.entries} if inventory else {}
        self.calls = Totals()
        """What calls to servers cost, summed up by kind; ``rows()`` gives them."""
        self.gateway = WinrmGateway(
            connections,
            ScriptLibrary(default_scripts()),
            call_timeout=settings.call_timeout,
            probe_timeout=settings.poll_timeout,
            max_connections_per_server=settings.connections_per_server,
            on_call=self.calls,
            scripted=[
                e.server.name
                for e in (inventory.entries if inventory else ())
                if e.server.probe is Probe.POWERSHELL
            ],
        )
        self.pollers = ThreadExecutor(settings.poll_workers, "check")
        self.settlers = ThreadExecutor(settings.poll_workers, "reconcile")
        self.background = ThreadExecutor(BACKGROUND_CALLS, "settle")
        self.sample_sinks: list[SampleSink] = []
        self._make_services()

    def _make_services(self) -> None:
        settings, clock, retry = self.settings, self.clock, self.retry
        self.start_game = StartGame(
            self.units,
            self.gateway,
            clock,
            self.ids,
            retry,
            self.in_flight,
            self.refused_ports,
            settings.strategy,
        )
        self.end_game = EndGame(
            self.units, self.gateway, clock, retry, self.in_flight, settings.end_grace
        )
        self.add_game = AddGame(self.units, clock)
        self.manage_servers = ManageServers(self.units, clock, retry)
        self.preview_placement = PreviewPlacement(
            self.units, self.ids, clock, self.refused_ports, settings.strategy
        )
        self.probe_servers = ProbeServers(self.units, self.gateway, clock, retry, self.pollers)
        self.check_server = CheckServer(self.units, self.gateway, self.probe_servers)
        self.reconcile = Reconcile(
            self.units,
            self.gateway,
            self.end_game,
            clock,
            retry,
            self.in_flight,
            self.settlers,
            settings.call_timeout,
        )
        self.settle_sessions = SettleSessions(
            self.units, self.gateway, self.end_game, clock, retry, self.in_flight
        )
        self.sweep_servers = SweepServers(
            self.units,
            self.gateway,
            clock,
            retry,
            self.in_flight,
            self.settlers,
            Orphans(settings.orphans),
            timedelta(seconds=settings.orphan_age),
        )
        self.reconcile_fleet = ReconcileFleet(
            self.units,
            self.gateway,
            clock,
            self.settle_sessions,
            self.reconcile,
            self.sweep_servers,
            self.settlers,
        )
        self.tokens = Tokens(self.units, clock)
        self._make_history()

    def _make_history(self) -> None:
        settings = self.settings
        keep = Keep(
            *(
                timedelta(days=days)
                for days in (
                    settings.keep_polls,
                    settings.keep_minutes,
                    settings.keep_hours,
                    settings.keep_daily,
                )
            )
        )
        entries = self.inventory.entries if self.inventory else ()
        sites = {entry.server.name: entry.server.site for entry in entries}
        self.keep_history = KeepHistory(
            self.units, self.retry, lambda name: sites.get(name, "default")
        )
        self.metrics = Metrics(
            __version__,
            self.clock,
            ReadFleet(self.units),
            self.calls.rows,
            lambda name: sites.get(name, "default"),
        )
        self.sample_sinks += [self.keep_history, self.metrics]
        self.roll_up = RollUp(self.units, self.clock, self.retry, keep)
        self.read_history = ReadHistory(self.units, self.clock, keep)
        self._make_reports()

    def _make_reports(self) -> None:
        settings = self.settings
        targets = settings.report_targets
        self.notifier = AppriseNotifier(read_targets(targets) if targets else ())
        self.reports = Reports(
            self.units,
            self.clock,
            self.ids,
            self.retry,
            self.notifier,
            render_report,
            plan(
                settings.report_cron,
                settings.timezone,
                settings.report_language,
                settings.keep_reports,
            ),
            __version__,
        )

    def prepare_store(self) -> None:
        """Make an empty database ours; a clear error where its schema is another version's."""
        self.store.prepare()

    def synchronise(self) -> None:
        """Take the inventory over into the store."""
        if self.inventory is not None:
            self.manage_servers.synchronise([entry.server for entry in self.inventory.entries])

    def forget_old_keys(self) -> None:
        """Drop answers kept for Idempotency-Keys of more than a day ago."""
        with self.units() as uow:
            uow.idempotency.expire(self.clock.now() - timedelta(days=IDEMPOTENCY_DAYS))
            uow.commit()

    @contextmanager
    def calls_cut_off_in_time(self) -> Iterator[None]:
        """Cut off what still waits for a server when ``stop_timeout`` has passed
        and the block has not ended: a server that hangs never holds up an end."""
        cutter = threading.Timer(self.settings.stop_timeout, self.gateway.close)
        cutter.daemon = True
        cutter.start()
        try:
            yield
        finally:
            cutter.cancel()
            cutter.join()

    def close(self) -> None:
        """Close connections, pools and threads; safe to repeat."""
        with self.calls_cut_off_in_time():
            self.pollers.close()
            self.background.close()
            self.settlers.close()
        self.gateway.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


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
                add_game=broker.add_game,
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
        waits for a server after that long is cut off."""
        self._http.stop(timeout=self._broker.settings.stop_timeout)
        with self._broker.calls_cut_off_in_time():
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
