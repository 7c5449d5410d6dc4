"""The tables. ``db/versions`` creates them; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

_MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
"""Binary collation: ids that differ in case are different, as on SQLite."""


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC with microseconds, stored without zone."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """DATETIME(6) on MySQL, whose plain DATETIME drops fractions."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Into the database: naive, in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime cannot be stored: {value!r}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Out of it: aware."""
        return None if value is None else value.replace(tzinfo=UTC)


def long_text() -> TypeEngine[str]:
    """Text without MySQL's 64 KiB limit: a decision lists every server."""
    return Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def packed() -> TypeEngine[bytes]:
    """Bytes without MySQL's 64 KiB limit."""
    return LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def number() -> TypeEngine[int]:
    """A key that counts up."""
    return BigInteger().with_variant(Integer, "sqlite")


metadata = MetaData()

servers = Table(
    "servers",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("spec", long_text(), nullable=False),
    Column("health", String(16), nullable=False),
    Column("health_reason", Text, nullable=False),
    Column("drained", Boolean, nullable=False),
    Column("present", Boolean, nullable=False),
    Column("load_sample", Text),
    Column("checked_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Column("answered_at", UtcDateTime),
    Column("health_since", UtcDateTime),
    **_MYSQL,
)

games = Table(
    "games",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("spec", long_text(), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    **_MYSQL,
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("game_id", String(64), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("server_name", String(128), ForeignKey("servers.name"), nullable=False),
    Column("stream_address", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("stream_port", Integer, nullable=False),
    Column("control_port", Integer, nullable=False),
    Column("concurrency", String(16), nullable=False),
    Column("config_file", Text),
    Column("requested_by", String(128), nullable=False),
    Column("launch_pid", BigInteger),
    Column("launch_created_at", UtcDateTime),
    Column("launch_image", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("ended_how", String(16)),
    Column("end_detail", Text),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("decision", long_text(), nullable=False),
    Column("version", Integer, nullable=False),
    Column("companions", Text),
    Column("idle_since", UtcDateTime),
    Index("ix_sessions_state", "state"),
    Index("ix_sessions_server", "server_name", "created_at"),
    Index("ix_sessions_created", "created_at", "id"),
    Index("ix_sessions_ended", "ended_at"),
    **_MYSQL,
)

session_ports = Table(
    "session_ports",
    metadata,
    Column("server_name", String(128), ForeignKey("servers.name"), primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("session_id", String(64), ForeignKey("sessions.id"), nullable=False),
    Index("ix_session_ports_session", "session_id"),
    **_MYSQL,
)

events = Table(
    "events",
    metadata,
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("session_id", String(64)),
    Column("server_name", String(128)),
    Column("data", Text, nullable=False),
    Index("ix_events_session", "session_id", "id"),
    Index("ix_events_server", "server_name", "id"),
    Index("ix_events_kind", "kind", "at"),
    **_MYSQL,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("role", String(16), nullable=False),
    Column("secret_digest", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    **_MYSQL,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("idempotency_key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer),
    Column("body", long_text()),
    Column("headers", Text),
    Column("begun_at", UtcDateTime, nullable=False),
    Index("ix_idempotency_begun", "begun_at"),
    **_MYSQL,
)

history_series = Table(
    "history_series",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(8), nullable=False),
    Column("name", String(128), nullable=False),
    UniqueConstraint("kind", "name", name="uq_history_series"),
    **_MYSQL,
)
"""Servers and sites under the numbers that the other tables of history use."""

history_open = Table(
    "history_open",
    metadata,
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("reading", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    **_MYSQL,
)
"""The polls of hours that are not closed yet: a row each."""

history_chunks = Table(
    "history_chunks",
    metadata,
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("packed", packed(), nullable=False),
    Index("ix_history_chunks_age", "level", "start"),
    **_MYSQL,
)
"""An hour of a server's polls, or of its minutes, in one row."""

history_rollups = Table(
    "history_rollups",
    metadata,
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("sketches", LargeBinary, nullable=False),
    Index("ix_history_rollups_age", "level", "start"),
    **_MYSQL,
)
"""An hour or a day of a server or a site, to be merged."""

history_stats = Table(
    "history_stats",
    metadata,
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("stats", LargeBinary, nullable=False),
    Index("ix_history_stats_age", "level", "start"),
    sqlite_with_rowid=False,
    **_MYSQL,
)
"""The same for charts, close together: a month of a server is a few pages."""

health_intervals = Table(
    "health_intervals",
    metadata,
    Column("id", number(), primary_key=True, autoincrement=True),
    Column("server_name", String(128), nullable=False),
    Column("site", String(128), nullable=False),
    Column("health", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Index("ix_health_intervals_server", "server_name", "ended_at"),
    Index("ix_health_intervals_ended", "ended_at"),
    **_MYSQL,
)

watches = Table(
    "watches",
    metadata,
    Column("id", number(), primary_key=True, autoincrement=True),
    Column("site", String(128), nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False),
    Index("ix_watches_site", "site", "ended_at"),
    **_MYSQL,
)
"""The times in which a site was polled at all."""

reports = Table(
    "reports",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("period_key", String(80), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("language", String(16), nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("made_at", UtcDateTime),
    Column("content", long_text()),
    Column("html", long_text()),
    Column("text", long_text()),
    Column("deliveries", Text, nullable=False),
    Column("next_attempt_at", UtcDateTime),
    UniqueConstraint("period_key", name="uq_reports_period"),
    Index("ix_reports_until", "kind", "until"),
    Index("ix_reports_next_attempt", "next_attempt_at"),
    **_MYSQL,
)
