"""Repositories of servers, games, events, tokens and stored answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from orchestrator.domain.errors import Contention, GameExists, UnknownGame, UnknownServer
from orchestrator.domain.event import Event
from orchestrator.domain.game import Game
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load, Server, ServerRecord
from orchestrator.domain.token import Token
from orchestrator.ports import StoredAnswer
from orchestrator.store import rows, tables


class Servers:
    """ServerRepository on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Sequence[ServerRecord]:
        """Every server, by name."""
        found = self._connection.execute(select(tables.servers).order_by(tables.servers.c.name))
        return [rows.server_from(row) for row in found]

    def get(self, name: str) -> ServerRecord:
        """One server; UnknownServer where there is none."""
        row = self._connection.execute(
            select(tables.servers).where(tables.servers.c.name == name)
        ).one_or_none()
        if row is None:
            raise UnknownServer(f"no server {name!r}")
        return rows.server_from(row)

    def synchronise(self, servers: Sequence[Server], *, whole: bool = True) -> None:
        """Insert, update and, for a ``whole`` inventory, remove until the table is it."""
        stored = {record.server.name: record for record in self.list()}
        wanted = {server.name: server for server in servers}
        for name, server in wanted.items():
            record = stored.get(name)
            if record is None:
                self._insert(server)
            elif record.server != server or not record.present:
                self._rewrite(name, spec=rows.dump(rows.SERVER, server), present=True)
        for name, record in stored.items():
            if whole and name not in wanted:
                self._remove(record)

    def set_drained(self, name: str, drained: bool) -> ServerRecord:
        """Take a server out of placement, or back."""
        self.get(name)
        self._rewrite(name, drained=drained)
        return self.get(name)

    def record_health(
        self, name: str, health: Health, reason: str, load: Load | None, at: datetime
    ) -> None:
        """Keep what a poll found, without touching the version: a poll that made
        reservations conflict would starve the starts of a large fleet."""
        values: dict[str, object] = {
            "health": health.value,
            "health_reason": reason,
            "checked_at": at,
        }
        if load is not None:
            values["load_sample"] = rows.dump(rows.LOAD, load)
        self._connection.execute(
            update(tables.servers).where(tables.servers.c.name == name).values(**values)
        )

    def record_polls(self, samples: Sequence[Sample]) -> None:
        """Keep what many polls found, in the order of names: two batches that
        lock rows in different orders would be each other's deadlock."""
        if not samples:
            return
        table = tables.servers
        values = [rows.poll_values(s) for s in sorted(samples, key=lambda s: s.server)]
        self._connection.execute(
            update(table)
            .where(table.c.name == bindparam("poll_name"))
            .values(
                health=bindparam("poll_health"),
                health_reason=bindparam("poll_reason"),
                health_since=bindparam("poll_since"),
                checked_at=bindparam("poll_at"),
                answered_at=func.coalesce(
                    bindparam("poll_answered", type_=table.c.answered_at.type), table.c.answered_at
                ),
                load_sample=func.coalesce(bindparam("poll_load"), table.c.load_sample),
            ),
            values,
        )

    def _insert(self, server: Server) -> None:
        self._connection.execute(
            insert(tables.servers).values(
                name=server.name,
                spec=rows.dump(rows.SERVER, server),
                health=Health.UNKNOWN.value,
                health_reason="",
                drained=False,
                present=True,
                version=1,
            )
        )

    def _rewrite(self, name: str, **values: object) -> None:
        self._connection.execute(
            update(tables.servers)
            .where(tables.servers.c.name == name)
            .values(version=tables.servers.c.version + 1, **values)
        )

    def _remove(self, record: ServerRecord) -> None:
        name = record.server.name
        referred = self._connection.execute(
            select(exists().where(tables.sessions.c.server_name == name))
        ).scalar_one()
        if not referred:
            self._connection.execute(delete(tables.servers).where(tables.servers.c.name == name))
        elif record.present:
            self._rewrite(name, present=False)


class Games:
    """GameRepository on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Sequence[Game]:
        """Every game, by id."""
        found = self._connection.execute(select(tables.games).order_by(tables.games.c.id))
        return [rows.game_from(row) for row in found]

    def get(self, game_id: str) -> Game:
        """One game; UnknownGame where there is none."""
        return self._one(select(tables.games).where(tables.games.c.id == game_id), game_id)

    def hold(self, game_id: str, *, to_change: bool = False) -> Game:
        """One game under a lock; SQLite's one writer has its whole database already."""
        query = select(tables.games).where(tables.games.c.id == game_id)
        return self._one(query.with_for_update(read=not to_change), game_id)

    def add(self, game: Game) -> None:
        """Insert; GameExists where the id is taken."""
        try:
            self._connection.execute(
                insert(tables.games).values(
                    id=game.id,
                    spec=rows.dump(rows.GAME, game),
                    created_at=game.created_at,
                    version=game.version,
                )
            )
        except IntegrityError as error:
            raise GameExists(f"game {game.id} is already in the catalogue") from error

    def save(self, game: Game) -> Game:
        """Update; Contention where the stored version is not the game's."""
        saved = replace(game, version=game.version + 1)
        done = self._connection.execute(
            update(tables.games)
            .where(tables.games.c.id == game.id, tables.games.c.version == game.version)
            .values(spec=rows.dump(rows.GAME, saved), version=saved.version)
        )
        if done.rowcount != 1:
            raise Contention(f"game {game.id} changed meanwhile")
        return saved

    def remove(self, game_id: str) -> None:
        """Delete it."""
        self._connection.execute(delete(tables.games).where(tables.games.c.id == game_id))

    def _one(self, query: Select[Any], game_id: str) -> Game:
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise UnknownGame(f"the catalogue has no game {game_id!r}")
        return rows.game_from(row)


class Events:
    """EventRepository on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, event: Event) -> None:
        """Append one event."""
        self._connection.execute(
            insert(tables.events).values(
                at=event.at,
                kind=event.kind,
                message=event.message,
                session_id=event.session_id,
                server_name=event.server,
                data=rows.dump(rows.JSON_OBJECT, event.data),
            )
        )

    def list(
        self, session_id: str | None = None, server: str | None = None, limit: int = 100
    ) -> Sequence[Event]:
        """The newest events first."""
        query = select(tables.events).order_by(tables.events.c.id.desc()).limit(limit)
        if session_id is not None:
            query = query.where(tables.events.c.session_id == session_id)
        if server is not None:
            query = query.where(tables.events.c.server_name == server)
        return [rows.event_from(row) for row in self._connection.execute(query)]

    def between(self, kind: str, since: datetime, until: datetime) -> Sequence[Event]:
        """Events of one kind in a time, the oldest first."""
        table = tables.events
        query = select(table).where(table.c.kind == kind, table.c.at >= since, table.c.at < until)
        found = self._connection.execute(query.order_by(table.c.at, table.c.id))
        return [rows.event_from(row) for row in found]


class Tokens:
    """TokenRepository on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: Token) -> None:
        """Insert a token."""
        self._connection.execute(
            insert(tables.tokens).values(
                id=token.id,
                name=token.name,
                role=token.role.value,
                secret_digest=token.secret_digest,
                created_at=token.created_at,
                revoked_at=token.revoked_at,
            )
        )

    def find(self, token_id: str) -> Token | None:
        """One token, or None."""
        row = self._connection.execute(
            select(tables.tokens).where(tables.tokens.c.id == token_id)
        ).one_or_none()
        return None if row is None else rows.token_from(row)

    def list(self) -> Sequence[Token]:
        """Every token, the oldest first."""
        found = self._connection.execute(
            select(tables.tokens).order_by(tables.tokens.c.created_at, tables.tokens.c.id)
        )
        return [rows.token_from(row) for row in found]

    def revoke(self, token_id: str, at: datetime) -> bool:
        """Make a token useless; one that is already keeps its date."""
        token = self.find(token_id)
        if token is None:
            return False
        if token.revoked_at is None:
            self._connection.execute(
                update(tables.tokens).where(tables.tokens.c.id == token_id).values(revoked_at=at)
            )
        return True


class Idempotency:
    """IdempotencyRepository on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, owner: str, key: str, fingerprint: str, at: datetime) -> StoredAnswer | None:
        """Claim a key: None if it is now ours, else what is stored."""
        found = self._find(owner, key)
        if found is not None:
            return found
        try:
            with self._connection.begin_nested():
                self._connection.execute(
                    insert(tables.idempotency_keys).values(
                        owner=owner, idempotency_key=key, fingerprint=fingerprint, begun_at=at
                    )
                )
        except IntegrityError:
            # Another transaction was faster; its row may not be visible to this one's snapshot.
            return StoredAnswer(fingerprint, None, None, {}, at)
        return None

    def reclaim(self, owner: str, key: str, begun_at: datetime, at: datetime) -> bool:
        """Take over a claim whose owner died; False where another was faster."""
        done = self._connection.execute(
            update(tables.idempotency_keys)
            .where(
                *self._named(owner, key),
                tables.idempotency_keys.c.status.is_(None),
                tables.idempotency_keys.c.begun_at == begun_at,
            )
            .values(begun_at=at)
        )
        return done.rowcount == 1

    def finish(
        self, owner: str, key: str, status: int, body: str, headers: Mapping[str, str]
    ) -> None:
        """Store the answer."""
        self._connection.execute(
            update(tables.idempotency_keys)
            .where(*self._named(owner, key))
            .values(status=status, body=body, headers=rows.dump(rows.HEADERS, headers))
        )

    def forget(self, owner: str, key: str) -> None:
        """Give the key back."""
        self._connection.execute(delete(tables.idempotency_keys).where(*self._named(owner, key)))

    def expire(self, before: datetime) -> int:
        """Delete claims begun before; returns how many."""
        done = self._connection.execute(
            delete(tables.idempotency_keys).where(tables.idempotency_keys.c.begun_at < before)
        )
        return done.rowcount

    def _find(self, owner: str, key: str) -> StoredAnswer | None:
        row = self._connection.execute(
            select(tables.idempotency_keys).where(*self._named(owner, key))
        ).one_or_none()
        return None if row is None else rows.answer_from(row)

    def _named(self, owner: str, key: str) -> tuple[ColumnElement[bool], ...]:
        table = tables.idempotency_keys.c
        return table.owner == owner, table.idempotency_key == key
