"""The engine, its transactions and the schema.

SQLite runs in WAL mode. A unit of work that may write begins IMMEDIATE: with
the deferred BEGIN, two units that have read the same rows would both go on and
one would be refused at its first write, however long it waits. On MariaDB and
MySQL rows are locked as they are written and the version columns decide.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from orchestrator.domain.errors import Contention, OrchestratorError, StoreUnavailable
from orchestrator.store import repositories, schema
from orchestrator.store.health_repository import HealthHistory
from orchestrator.store.history_repository import History
from orchestrator.store.report_repository import Reports
from orchestrator.store.session_repository import Sessions

_CONTENDED = frozenset({1020, 1205, 1213})
"""MariaDB: record changed since it was read, lock wait timeout, deadlock."""

_BUSY_MILLISECONDS = 30_000


class Store:
    """A database of ours; ``unit_of_work`` is the UnitOfWorkFactory port."""

    def __init__(self, url: str, *, pool_size: int = 10, migrations: Path | None = None) -> None:
        self._url = _parse(url)
        self._engine = _engine(self._url, pool_size)
        self._migrations = migrations or schema.default_migrations()

    def unit_of_work(self, *, read_only: bool = False) -> SqlUnitOfWork:
        """A unit of work, not entered yet."""
        return SqlUnitOfWork(self._engine, read_only)

    def prepare(self) -> None:
        """Create the tables of an empty database; SchemaOutdated for another version's."""
        with _translated():
            schema.prepare(self._engine, self._migrations)

    def upgrade(self) -> None:
        """Bring the tables to this version; several processes may do it at once."""
        with _translated():
            schema.upgrade(self._engine, self._migrations)

    def revision(self) -> str | None:
        """The tables' revision; None for an empty database."""
        with _translated():
            return schema.current_revision(self._engine)

    def ping(self) -> None:
        """StoreUnavailable where the database does not answer."""
        with _translated(), self._engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def connections_in_use(self) -> int:
        """Connections that are checked out at the moment."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedout()

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()


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

    def __init__(self, engine: Engine, read_only: bool) -> None:
        self._engine = engine
        self._read_only = read_only
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        with _translated():
            connection = self._engine.connect()
            try:
                if not self._read_only:
                    connection = connection.execution_options(orchestrator_writes=True)
                connection.begin()
            except BaseException:
                connection.close()
                raise
        self._connection = connection
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
        if connection is not None:
            with _translated():
                connection.close()
        if isinstance(error, SQLAlchemyError):
            raise translate(error) from error

    def commit(self) -> None:
        """Make the transaction's changes lasting."""
        assert self._connection is not None, "commit outside the unit of work"
        with _translated():
            self._connection.commit()


class _translated:  # noqa: N801 - reads as a statement
    """Turns the database's errors into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, SQLAlchemyError):
            raise translate(error) from error


def translate(error: SQLAlchemyError) -> OrchestratorError:
    """Contention where another transaction got in the way, else StoreUnavailable."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.OperationalError) and "locked" in str(cause):
        return Contention(f"the database is busy: {cause}")
    code = cause.args[0] if cause is not None and cause.args else None
    if code in _CONTENDED:
        return Contention(f"another transaction was faster: {cause}")
    return StoreUnavailable(f"the database does not work: {cause or error}")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _bad_url("cannot be read") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            # Each connection would have a database of its own, lost at its end.
            raise _bad_url("names no file")
        return parsed
    if backend in {"mysql", "mariadb"}:
        return parsed.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})
    raise _bad_url(f"names {backend}, which is not supported")


def _bad_url(what: str) -> OrchestratorError:
    return OrchestratorError(
        f"the database URL {what}: write sqlite:///FILE or mysql+pymysql://USER:PASSWORD@HOST/NAME"
    )


def _engine(url: URL, pool_size: int) -> Engine:
    options: dict[str, Any] = {
        "poolclass": QueuePool,
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "pool_timeout": 30,
    }
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"check_same_thread": False}, **options)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        url, pool_pre_ping=True, pool_recycle=1800, connect_args={"connect_timeout": 10}, **options
    )


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        f"busy_timeout = {_BUSY_MILLISECONDS}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("orchestrator_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
