"""The engine, its transactions and the schema.

SQLite runs in WAL mode. A unit of work that may write begins IMMEDIATE: with
the deferred BEGIN, two units that have read the same rows would both go on and
one would be refused at its first write, however long it waits. On MariaDB and
MySQL rows are locked as they are written and the version columns decide.

A database that another program keeps locked, or that does not answer, is away:
everybody who waits for it is told after seconds, and none tries for minutes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, delete, event, false
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from orchestrator.domain.errors import StoreUnavailable
from orchestrator.store import repositories, schema, tables
from orchestrator.store.health_repository import HealthHistory
from orchestrator.store.history_repository import History
from orchestrator.store.place import Place, place_of
from orchestrator.store.report_repository import Reports
from orchestrator.store.session_repository import Sessions
from orchestrator.store.turns import Turns

_BUSY_SECONDS = 5.0
_QUEUES = 3
_ANSWER_SECONDS = 60
_MIGRATION_SECONDS = 3600


class Store:
    """A database of ours; ``unit_of_work`` is the UnitOfWorkFactory port.

    ``busy_seconds`` is how long it waits for a file that another program has locked,
    and three times that for rows; ``answer_seconds`` how long a database server may
    take for an answer.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        migrations: Path | None = None,
        busy_seconds: float = _BUSY_SECONDS,
        answer_seconds: int = _ANSWER_SECONDS,
    ) -> None:
        self.place = place_of(url)
        self._engine = _engine(self.place, pool_size, busy_seconds, answer_seconds)
        self._turns = Turns() if self._engine.dialect.name == "sqlite" else None
        self._migrations = migrations or schema.default_migrations()

    def unit_of_work(self, *, read_only: bool = False) -> SqlUnitOfWork:
        """A unit of work, not entered yet."""
        turns = None if read_only else self._turns
        return SqlUnitOfWork(self._engine, self.place, turns, read_only)

    def prepare(self, *, create: bool = True) -> bool:
        """Make sure that the tables are this version's; SchemaOutdated where they are
        another's. Whether they were created, as those of an empty database are; where
        ``create`` is false that is DatabaseMissing, and nothing is made."""
        if not create and not self.place.is_there():
            raise self.place.missing()
        with _translated(self.place):
            empty = schema.is_empty(self._engine)
            if empty and not create:
                raise self.place.missing("there are no tables in the database at")
            with self._patient_engine() as engine:
                schema.prepare(engine, self._migrations)
        return empty

    def upgrade(self) -> None:
        """Bring the tables to this version; several processes may do it at once."""
        with _translated(self.place), self._patient_engine() as engine:
            schema.upgrade(engine, self._migrations)

    def revision(self) -> str | None:
        """The tables' revision; None for an empty database."""
        with _translated(self.place):
            return schema.current_revision(self._engine)

    def ping(self) -> None:
        """StoreUnavailable where the database does not answer, or takes no write."""
        with self.unit_of_work() as uow:
            uow.write_nothing()

    def connections_in_use(self) -> int:
        """Connections that are checked out at the moment."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedout()

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()

    @contextmanager
    def _patient_engine(self) -> Iterator[Engine]:
        """For migrations: they may take long, and those of others be waited for."""
        engine = _engine(self.place, 1, _MIGRATION_SECONDS, _MIGRATION_SECONDS)
        try:
            yield engine
        finally:
            engine.dispose()


class SqlUnitOfWork:
    """One transaction on one connection; repositories are valid inside it only."""

    servers: repositories.Servers
    games: repositories.Games
    sessions: Sessions
    events: repositories.Events
    tokens: repositories.Tokens
    idempotency: repositories.Idempotency
    history: History
    health: HealthHistory
    reports: Reports

    def __init__(self, engine: Engine, place: Place, turns: Turns | None, read_only: bool) -> None:
        self._engine = engine
        self._place = place
        self._turns = turns
        self._read_only = read_only
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        if self._turns is not None:
            self._turns.take()
        try:
            with _translated(self._place):
                connection = self._connection = self._begun()
        except BaseException as error:
            if self._turns is not None:
                self._turns.give_back(error if isinstance(error, StoreUnavailable) else None)
            raise
        self.servers = repositories.Servers(connection)
        self.games = repositories.Games(connection)
        self.sessions = Sessions(connection)
        self.events = repositories.Events(connection)
        self.tokens = repositories.Tokens(connection)
        self.idempotency = repositories.Idempotency(connection)
        self.history = History(connection)
        self.health = HealthHistory(connection)
        self.reports = Reports(connection)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                with _translated(self._place):
                    connection.close()
        finally:
            if self._turns is not None:
                self._turns.give_back()
        if isinstance(error, SQLAlchemyError):
            raise self._place.translate(error) from error

    def write_nothing(self) -> None:
        """What fails wherever a write would: in a file that may only be read, BEGIN does not."""
        assert self._connection is not None, "used outside the unit of work"
        self._connection.execute(delete(tables.events).where(false()))

    def _begun(self) -> Connection:
        if not self._place.is_there():
            # Else SQLite would make an empty one, or go on with a file that is deleted.
            raise self._place.gone()
        connection = self._engine.connect()
        try:
            if not self._read_only:
                connection = connection.execution_options(orchestrator_writes=True)
            connection.begin()
        except BaseException:
            connection.close()
            raise
        return connection

    def commit(self) -> None:
        """Make the transaction's changes lasting."""
        assert self._connection is not None, "commit outside the unit of work"
        with _translated(self._place):
            self._connection.commit()


@contextmanager
def _translated(place: Place) -> Iterator[None]:
    """Turns the database's errors into ours."""
    try:
        yield
    except SQLAlchemyError as error:
        raise place.translate(error) from error


def _engine(place: Place, pool_size: int, busy_seconds: float, answer_seconds: int) -> Engine:
    url, file = place.url, place.file
    options: dict[str, Any] = {
        "poolclass": QueuePool,
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "pool_timeout": 30,
    }
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"check_same_thread": False}, **options)
        event.listen(engine, "connect", partial(_set_up_sqlite, round(busy_seconds * 1000)))
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "connect", partial(_remember_file, file))
        event.listen(engine, "checkout", partial(_check_file, file))
        return engine
    # Rows are waited for in a queue of our own transactions, too.
    limit = max(1, round(_QUEUES * busy_seconds))
    arguments = {
        "connect_timeout": min(10, answer_seconds),
        # A database whose host is gone answers nothing: without these, for ever.
        "read_timeout": answer_seconds,
        "write_timeout": answer_seconds,
        "init_command": f"SET innodb_lock_wait_timeout = {limit}, lock_wait_timeout = {limit}",
    }
    return create_engine(
        url, pool_pre_ping=True, pool_recycle=1800, connect_args=arguments, **options
    )


def _set_up_sqlite(busy_milliseconds: int, connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {busy_milliseconds}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _identity(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _remember_file(file: Path | None, _: object, entry: ConnectionPoolEntry) -> None:
    entry.info["file"] = _identity(file)


def _check_file(
    file: Path | None, _: object, entry: ConnectionPoolEntry, __: PoolProxiedConnection
) -> None:
    """A connection to a file that was replaced would write to one that nobody sees."""
    if entry.info["file"] != _identity(file):
        raise DisconnectionError(f"{file} is another file now")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("orchestrator_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
