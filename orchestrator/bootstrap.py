"""The only place that joins adapters: settings in, a running broker out."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from orchestrator import __version__
from orchestrator.api import ApiServices, HttpServer, Readiness, create_app
from orchestrator.config import Settings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.server import Health
from orchestrator.inventory import Inventory, load_inventory
from orchestrator.scheduler import Job, Scheduler, ThreadExecutor
from orchestrator.services.add_game import AddGame
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.manage_servers import ManageServers
from orchestrator.services.preview_placement import PreviewPlacement
from orchestrator.services.probe_servers import ProbeServers
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.retry import Retry
from orchestrator.services.start_game import StartGame
from orchestrator.services.tokens import Tokens
from orchestrator.store import Store
from orchestrator.transport import ScriptLibrary, WinrmGateway
from orchestrator.web import create_blueprint

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
        connections = {e.server.name: e.connection for e in inventory.entries} if inventory else {}
        self.gateway = WinrmGateway(
            connections,
            ScriptLibrary(default_scripts()),
            call_timeout=settings.call_timeout,
            probe_timeout=settings.poll_timeout,
            max_connections_per_server=settings.connections_per_server,
        )
        self.pollers = ThreadExecutor(settings.poll_workers, "poll")
        self.settlers = ThreadExecutor(settings.poll_workers, "reconcile")
        self._make_services()

    def _make_services(self) -> None:
        settings, clock, retry = self.settings, self.clock, self.retry
        self.start_game = StartGame(
            self.units, self.gateway, clock, self.ids, retry, self.in_flight, settings.strategy
        )
        self.end_game = EndGame(
            self.units, self.gateway, clock, retry, self.in_flight, settings.end_grace
        )
        self.add_game = AddGame(self.units, clock)
        self.manage_servers = ManageServers(self.units, clock, retry)
        self.preview_placement = PreviewPlacement(self.units, self.ids, settings.strategy)
        self.probe_servers = ProbeServers(self.units, self.gateway, clock, retry, self.pollers)
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
        self.tokens = Tokens(self.units, clock)

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

    def close(self) -> None:
        """Close connections, pools and threads; safe to repeat."""
        self.pollers.close()
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
        self._polled = False
        self._health: dict[str, Health] = {}
        self._scheduler = Scheduler(
            [
                Job("poll", settings.poll_interval, self._poll),
                Job("reconcile", settings.reconcile_interval, self._reconcile),
                Job("forget-keys", 3600, broker.forget_old_keys),
            ]
        )
        app = create_app(
            ApiServices(
                start_game=broker.start_game,
                end_game=broker.end_game,
                add_game=broker.add_game,
                manage_servers=broker.manage_servers,
                preview_placement=broker.preview_placement,
                tokens=broker.tokens,
                units=broker.units,
                clock=broker.clock,
                readiness=self.readiness,
            ),
            version=__version__,
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
        self._poll()
        on_progress("settling sessions")
        self._reconcile()
        self._scheduler.start()

    def stop(self) -> None:
        """Take no new request, finish those under way, end the jobs."""
        self._http.stop(timeout=self._broker.settings.stop_timeout)
        self._scheduler.stop()

    def readiness(self) -> Readiness:
        """Whether requests can be answered, and what is missing."""
        missing: list[str] = []
        try:
            self._broker.store.ping()
        except OrchestratorError as error:
            missing.append(f"database: {error.message}")
        if not self._polled:
            missing.append("servers: the first poll is not done")
        elif not self._scheduler.running:
            missing.append("scheduler: not running")
        return Readiness(not missing, tuple(missing))

    def _poll(self) -> None:
        for found in self._broker.probe_servers():
            if self._health.get(found.server) is not found.health:
                self._health[found.server] = found.health
                log.info(
                    "server health", server=found.server, health=found.health, reason=found.reason
                )
        self._polled = True

    def _reconcile(self) -> None:
        for settled in self._broker.reconcile():
            log.info(
                "session settled",
                session_id=settled.session_id,
                before=settled.before,
                after=settled.after,
                note=settled.note,
            )
