"""Every service, joined to its adapters."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self

from orchestrator import __version__
from orchestrator.bootstrap.inputs import default_scripts
from orchestrator.bootstrap.runtime import SystemClock, UuidFactory
from orchestrator.config import Settings
from orchestrator.domain.server import Probe
from orchestrator.inventory import Inventory
from orchestrator.metrics import Metrics
from orchestrator.notify import AppriseNotifier, read_targets, render_report
from orchestrator.ports import SampleSink
from orchestrator.scheduler import ThreadExecutor
from orchestrator.services.add_game import AddGame
from orchestrator.services.change_game import ChangeGame, RemoveGame
from orchestrator.services.check_server import CheckServer
from orchestrator.services.end_game import EndGame
from orchestrator.services.fleet_figures import ReadFleet
from orchestrator.services.give_up import GiveUp
from orchestrator.services.in_flight import InFlight
from orchestrator.services.keep_history import KeepHistory
from orchestrator.services.manage_servers import ManageServers
from orchestrator.services.preview_placement import PreviewPlacement
from orchestrator.services.probe_servers import ProbeServers
from orchestrator.services.read_history import ReadHistory
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.reconcile_fleet import ReconcileFleet
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.reports import Reports, plan
from orchestrator.services.retry import Retry
from orchestrator.services.roll_up import Keep, RollUp
from orchestrator.services.settle_sessions import SettleSessions
from orchestrator.services.start_game import StartGame
from orchestrator.services.sweep_servers import Orphans, SweepServers
from orchestrator.services.tokens import Tokens
from orchestrator.store import Store
from orchestrator.transport import ScriptLibrary, Totals, WinrmGateway

BACKGROUND_CALLS = 16
"""Sessions settled and servers swept at once, beside what jobs do."""

IDEMPOTENCY_DAYS = 1
"""How long an answer is kept for its Idempotency-Key."""


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
        self.give_up = GiveUp(self.units, clock, retry, self.in_flight)
        self.add_game = AddGame(self.units, clock)
        self.change_game = ChangeGame(self.units, clock, retry)
        self.remove_game = RemoveGame(self.units, clock, retry)
        self.manage_servers = ManageServers(self.units, clock, retry)
        self.preview_placement = PreviewPlacement(
            self.units, self.gateway, self.ids, clock, self.refused_ports, settings.strategy
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
            timedelta(seconds=settings.reconcile_interval),
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

    def prepare_store(self, *, create: bool = True) -> bool:
        """Make an empty database ours, or refuse it where ``create`` is false; a clear
        error where its schema is another version's. Whether it was made ours."""
        return self.store.prepare(create=create)

    def synchronise(self, *, whole: bool = True) -> None:
        """Take the inventory over into the store; without ``whole`` servers that it
        does not have are left as they are."""
        if self.inventory is not None:
            servers = [entry.server for entry in self.inventory.entries]
            self.manage_servers.synchronise(servers, whole=whole)

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
