"""The store's transactions, which join its repositories."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from orchestrator.ports.history import HealthHistoryRepository, HistoryRepository, ReportRepository
from orchestrator.ports.repositories import (
    EventRepository,
    GameRepository,
    IdempotencyRepository,
    ServerRepository,
    TokenRepository,
)
from orchestrator.ports.sessions import SessionRepository


class UnitOfWork(Protocol):
    """One transaction: what is not committed is rolled back on leaving.

    Raises StoreUnavailable where the database does not answer, Contention
    where it chose this transaction as a deadlock's victim.
    """

    @property
    def servers(self) -> ServerRepository:
        """Servers in this transaction."""
        ...

    @property
    def games(self) -> GameRepository:
        """The catalogue in this transaction."""
        ...

    @property
    def sessions(self) -> SessionRepository:
        """Sessions in this transaction."""
        ...

    @property
    def events(self) -> EventRepository:
        """Events in this transaction."""
        ...

    @property
    def tokens(self) -> TokenRepository:
        """Tokens in this transaction."""
        ...

    @property
    def idempotency(self) -> IdempotencyRepository:
        """Stored answers in this transaction."""
        ...

    @property
    def history(self) -> HistoryRepository:
        """Load over time in this transaction."""
        ...

    @property
    def health(self) -> HealthHistoryRepository:
        """Health over time in this transaction."""
        ...

    @property
    def reports(self) -> ReportRepository:
        """Reports in this transaction."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def commit(self) -> None:
        """Make the transaction's changes lasting."""
        ...


class UnitOfWorkFactory(Protocol):
    """Opens units of work."""

    def __call__(self, *, read_only: bool = False) -> UnitOfWork:
        """A unit of work, not entered yet.

        One that will write takes the write lock at once where the database has
        only one (SQLite), so that it cannot lose what it has read; ``read_only``
        waits for nobody and must not write.
        """
        ...
