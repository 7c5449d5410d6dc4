"""The store's servers, games, events, tokens and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestrator.domain.event import Event
from orchestrator.domain.game import Game
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load, Server, ServerRecord
from orchestrator.domain.token import Token


class ServerRepository(Protocol):
    """Servers as the store holds them."""

    def list(self) -> Sequence[ServerRecord]:
        """Every server, by name, those that left the inventory included."""
        ...

    def get(self, name: str) -> ServerRecord:
        """One server; UnknownServer where there is none."""
        ...

    def synchronise(self, servers: Sequence[Server], *, whole: bool = True) -> None:
        """Make the store's servers those of the inventory.

        One that left is deleted, or only marked absent while a session row
        refers to it; without ``whole`` it stays. Health, load and drain survive.
        """
        ...

    def set_drained(self, name: str, drained: bool) -> ServerRecord:
        """Take a server out of placement, or back."""
        ...

    def record_health(
        self, name: str, health: Health, reason: str, load: Load | None, at: datetime
    ) -> None:
        """Keep what a poll found; ``load`` None keeps the last sample."""
        ...

    def record_polls(self, samples: Sequence[Sample]) -> None:
        """Keep what many polls found, at most one a server; no version changes.

        A sample without load keeps the last one. Servers that are gone are no error.
        """
        ...


class GameRepository(Protocol):
    """The catalogue."""

    def list(self) -> Sequence[Game]:
        """Every game, by id."""
        ...

    def get(self, game_id: str) -> Game:
        """One game; UnknownGame where there is none."""
        ...

    def hold(self, game_id: str, *, to_change: bool = False) -> Game:
        """One game as it is now, which nobody else changes or removes before this
        transaction ends; UnknownGame where there is none.

        Many transactions may hold a game, but one alone ``to_change`` it.
        """
        ...

    def add(self, game: Game) -> None:
        """Insert; GameExists where the id is taken."""
        ...

    def save(self, game: Game) -> Game:
        """Update; Contention where the stored version is not the game's.

        Returns it with its new version.
        """
        ...

    def remove(self, game_id: str) -> None:
        """Delete it."""
        ...


class EventRepository(Protocol):
    """What happened."""

    def add(self, event: Event) -> None:
        """Append one event."""
        ...

    def list(
        self, session_id: str | None = None, server: str | None = None, limit: int = 100
    ) -> Sequence[Event]:
        """The newest events first."""
        ...

    def between(self, kind: str, since: datetime, until: datetime) -> Sequence[Event]:
        """Events of one kind in a time, the oldest first."""
        ...


class TokenRepository(Protocol):
    """Bearer tokens."""

    def add(self, token: Token) -> None:
        """Insert a token."""
        ...

    def find(self, token_id: str) -> Token | None:
        """One token, or None."""
        ...

    def list(self) -> Sequence[Token]:
        """Every token."""
        ...

    def revoke(self, token_id: str, at: datetime) -> bool:
        """Make a token useless; False where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered to an Idempotency-Key: None while still under way."""

    fingerprint: str
    status: int | None
    body: str | None
    headers: Mapping[str, str]
    begun_at: datetime


class IdempotencyRepository(Protocol):
    """Answers by (token id, Idempotency-Key)."""

    def begin(self, owner: str, key: str, fingerprint: str, at: datetime) -> StoredAnswer | None:
        """Claim a key: None if it is now ours, else what is stored."""
        ...

    def reclaim(self, owner: str, key: str, begun_at: datetime, at: datetime) -> bool:
        """Take over a claim whose owner died; False where another was faster."""
        ...

    def finish(
        self, owner: str, key: str, status: int, body: str, headers: Mapping[str, str]
    ) -> None:
        """Store the answer."""
        ...

    def forget(self, owner: str, key: str) -> None:
        """Give the key back: nothing was done under it."""
        ...

    def expire(self, before: datetime) -> int:
        """Delete claims begun before; returns how many."""
        ...
