"""Polling goes on while the database is away, and nothing it found is lost."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url

from orchestrator.domain.errors import DatabaseUnusable, ServerUnreachable, StoreUnavailable
from orchestrator.domain.event import Event
from orchestrator.domain.history import Measure
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.keep_history import KeepHistory
from orchestrator.services.polling import Polling
from orchestrator.services.retry import Retry
from orchestrator.services.settle_sessions import Settler, SettleSessions
from orchestrator.store import Store
from tests.fakes import (
    GOOD_LOAD,
    START,
    FakeClock,
    FakeGateway,
    InlineExecutor,
    fill,
    make_server,
)
from tests.outages import Stranger


class Relay:
    """Stands between a database and its users, and can fall away under them."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._frozen = False
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

    def freeze(self) -> None:
        """What is said is heard by nobody any more, and connections stay open."""
        self._frozen = True

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
                    if not self._frozen:
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
    url_through_it = f"mysql+pymysql://root@127.0.0.1:{relay.port}/outage"
    store = Store(url_through_it, pool_size=2, busy_seconds=1, answer_seconds=2)
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


def polling_of(store: Store, gateway: FakeGateway, clock: FakeClock, *sinks: Any) -> Polling:
    units, retry, flights = store.unit_of_work, Retry(clock), InFlight()
    end = EndGame(units, gateway, clock, retry, flights)
    polling = Polling(
        units,
        gateway,
        clock,
        SettleSessions(units, gateway, end, clock, retry, flights),
        Settler(InlineExecutor(), clock),
        interval=10,
        sinks=[KeepHistory(units, retry, lambda _: "default"), *sinks],
    )
    polling.catch_up()
    return polling


def check_an_outage(
    store: Store, falls_away: Callable[[], object], back: Callable[[], object]
) -> None:
    """A minute of polls while it is away; then everything is there, once."""
    fill(store, [make_server("a"), make_server("b", site="far")])
    gateway, clock = FakeGateway(), FakeClock()
    samples: list[Sample] = []
    polling = polling_of(store, gateway, clock, samples.extend)

    falls_away()
    gateway.loads["a"] = ServerUnreachable("nothing answers", server="a")
    for _ in range(6):
        clock.advance(10)
        polling.poll("a")
        gateway.loads["b"] = replace(GOOD_LOAD, at=clock.now())
        polling.poll("b")
        with pytest.raises(StoreUnavailable):
            polling.catch_up()
    assert samples == []

    back()
    polling.catch_up()
    polling.catch_up()
    with store.unit_of_work(read_only=True) as uow:
        a, b = uow.servers.list()
        (told,) = uow.events.list(server="a")
        kept = uow.history.open_values("b", Measure.CPU, START, START + timedelta(hours=1))
    assert (a.health, b.health) == (Health.UNREACHABLE, Health.UP)
    assert a.checked_at == b.answered_at == clock.now()
    assert told.kind == "server_health"
    assert [sample.server for sample in samples] == ["a", "b"] * 6
    assert [at for at, _ in kept] == [s.at for s in samples if s.server == "b"]


@pytest.mark.mariadb
def test_the_database_may_go_away_for_a_while(relayed: tuple[Store, Relay]) -> None:
    store, relay = relayed
    check_an_outage(store, relay.cut, relay.restore)


@pytest.mark.mariadb
def test_a_database_that_says_nothing_any_more_is_away(relayed: tuple[Store, Relay]) -> None:
    store, relay = relayed
    store.ping()
    relay.freeze()
    with pytest.raises(StoreUnavailable), store.unit_of_work() as uow:
        uow.servers.list()


@pytest.mark.mariadb
def test_rows_that_another_program_keeps_locked_are_away(relayed: tuple[Store, Relay]) -> None:
    store, relay = relayed
    fill(store, [make_server("a")])
    with (
        pymysql.connect(
            host="127.0.0.1", port=relay.port, user="root", database="outage"
        ) as stranger,
        stranger.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM servers FOR UPDATE")
        with pytest.raises(StoreUnavailable), store.unit_of_work() as uow:
            uow.servers.record_health("a", Health.UP, "", None, START)
        stranger.rollback()
    with store.unit_of_work() as uow:
        uow.servers.record_health("a", Health.UP, "", None, START)
        uow.commit()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[tuple[Store, Path]]:
    """A store on SQLite that is soon told that its file is locked."""
    path = tmp_path / "outage.sqlite3"
    store = Store(f"sqlite:///{path}", pool_size=2, busy_seconds=0.05)
    store.prepare()
    yield store, path
    assert store.connections_in_use() == 0
    store.close()


def test_a_sqlite_file_may_be_locked_by_another_program_for_a_while(
    file: tuple[Store, Path],
) -> None:
    store, path = file
    stranger = Stranger(path)
    check_an_outage(store, stranger.lock, stranger.unlock)
    stranger.close()


def test_a_locked_sqlite_file_is_not_ready(file: tuple[Store, Path]) -> None:
    store, path = file
    stranger = Stranger(path)
    store.ping()
    stranger.lock()
    with pytest.raises(StoreUnavailable, match="locked"):
        store.ping()
    stranger.unlock()
    store.ping()
    stranger.close()


def test_a_sqlite_file_that_may_only_be_read_is_not_ready(file: tuple[Store, Path]) -> None:
    _, path = file
    reader = Store(f"sqlite:///file:{path}?mode=ro&uri=true", busy_seconds=0.05)
    with pytest.raises(DatabaseUnusable, match="mode=ro"):
        reader.ping()
    with reader.unit_of_work(read_only=True) as uow:
        assert uow.servers.list() == []
    reader.close()


def test_a_full_disk_keeps_nothing_by_halves(file: tuple[Store, Path]) -> None:
    store, _ = file
    most = 1 << 30

    def limit(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {most}").close()

    event.listen(store._engine, "checkout", limit)

    def crowd() -> None:
        with store.unit_of_work() as uow:
            uow.events.add(Event(START, "small", "x", server="c"))
            uow.events.add(Event(START, "large", "x" * 1_000_000, server="c"))
            uow.commit()

    most = 1
    with pytest.raises(StoreUnavailable, match="full"):
        crowd()
    most = 1 << 30
    with store.unit_of_work(read_only=True) as uow:
        assert uow.events.list(server="c") == []
    crowd()
