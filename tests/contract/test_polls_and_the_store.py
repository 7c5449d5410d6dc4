"""Polling goes on while the database is away, and nothing it found is lost."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator

import pymysql
import pytest
from sqlalchemy.engine import make_url

from orchestrator.domain.errors import ServerUnreachable, StoreUnavailable
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.polling import Polling
from orchestrator.services.retry import Retry
from orchestrator.services.settle_sessions import Settler, SettleSessions
from orchestrator.store import Store
from tests.fakes import FakeClock, FakeGateway, InlineExecutor, fill, make_server


class Relay:
    """Stands between a database and its users, and can fall away under them."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._listen()

    def cut(self) -> None:
        """Nothing listens any more, and what was open is closed."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for each in pair:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def restore(self) -> None:
        """It listens again, at the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listen()

    def _listen(self) -> None:
        self._start(self._accept)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            with self._lock:
                self._pairs.append((near, far))
            self._start(self._relay, near, far)

    def _relay(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with near, far, contextlib.suppress(OSError):
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)


@pytest.fixture
def relayed(mariadb: str) -> Iterator[tuple[Store, Relay]]:
    """A store on a database of its own, reached through a relay."""
    url = make_url(mariadb)
    assert url.port is not None
    with (
        pymysql.connect(host="127.0.0.1", port=url.port, user="root") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("CREATE DATABASE outage CHARACTER SET utf8mb4")
    relay = Relay(url.port)
    store = Store(f"mysql+pymysql://root@127.0.0.1:{relay.port}/outage", pool_size=2)
    store.prepare()
    yield store, relay
    assert store.connections_in_use() == 0
    store.close()
    relay.cut()
    with (
        pymysql.connect(host="127.0.0.1", port=url.port, user="root") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("DROP DATABASE outage")


@pytest.mark.mariadb
def test_the_database_may_go_away_for_a_while(relayed: tuple[Store, Relay]) -> None:
    store, relay = relayed
    fill(store, [make_server("a"), make_server("b", site="far")])
    gateway, clock = FakeGateway(), FakeClock()
    units, retry = store.unit_of_work, Retry(clock)
    flights = InFlight()
    end = EndGame(units, gateway, clock, retry, flights)
    samples: list[Sample] = []
    polling = Polling(
        units,
        gateway,
        clock,
        SettleSessions(units, gateway, end, clock, retry, flights),
        Settler(InlineExecutor(), clock),
        interval=10,
        sinks=[samples.extend],
    )
    polling.catch_up()

    relay.cut()
    gateway.loads["a"] = ServerUnreachable("nothing answers", server="a")
    for _ in range(6):
        clock.advance(10)
        polling.poll("a")
        polling.poll("b")
        with pytest.raises(StoreUnavailable):
            polling.catch_up()
    assert samples == []

    relay.restore()
    polling.catch_up()
    with store.unit_of_work(read_only=True) as uow:
        a, b = uow.servers.list()
        (event,) = uow.events.list(server="a")
    assert (a.health, b.health) == (Health.UNREACHABLE, Health.UP)
    assert a.checked_at == b.answered_at == clock.now()
    assert event.kind == "server_health"
    assert [sample.server for sample in samples] == ["a", "b"] * 6
