"""Reports as they were made, and how far they have been sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from orchestrator.domain.errors import UnknownReport
from orchestrator.domain.report import (
    Delivery,
    KeptReport,
    Language,
    Report,
    ReportHead,
    ReportKind,
)
from orchestrator.store import tables

_TABLE = tables.reports
_HEAD = [
    _TABLE.c[name] for name in ("id", "kind", "since", "until", "language", "made_at", "deliveries")
]
_REPORT = TypeAdapter(Report)
_DELIVERIES = TypeAdapter(list[Delivery])


class Reports:
    """ReportRepository on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, head: ReportHead, key: str, now: datetime, stale: datetime) -> bool:
        """Begin a report; False where another has made it or is at it."""
        try:
            with self._connection.begin_nested():
                self._connection.execute(
                    insert(_TABLE).values(
                        id=head.id,
                        kind=head.kind.value,
                        period_key=key,
                        since=head.since,
                        until=head.until,
                        language=head.language.value,
                        claimed_at=now,
                        deliveries="[]",
                    )
                )
        except IntegrityError:
            done = self._connection.execute(
                update(_TABLE)
                .where(
                    _TABLE.c.period_key == key,
                    _TABLE.c.made_at.is_(None),
                    _TABLE.c.claimed_at < stale,
                )
                .values(claimed_at=now, since=head.since, language=head.language.value)
            )
            return done.rowcount == 1
        return True

    def finish(self, kept: KeptReport, next_attempt: datetime | None) -> None:
        """Keep a report that was made or sent; ``next_attempt`` None: nothing is left to send."""
        self._connection.execute(
            update(_TABLE)
            .where(_TABLE.c.id == kept.head.id)
            .values(
                made_at=kept.head.made_at,
                content=_REPORT.dump_json(kept.report).decode(),
                html=kept.html,
                text=kept.text,
                deliveries=_DELIVERIES.dump_json(list(kept.head.deliveries)).decode(),
                next_attempt_at=next_attempt,
            )
        )

    def get(self, report_id: str) -> KeptReport:
        """One report; UnknownReport where there is none, or none yet."""
        row = self._connection.execute(
            select(_TABLE).where(_TABLE.c.id == report_id, _TABLE.c.made_at.is_not(None))
        ).one_or_none()
        if row is None:
            raise UnknownReport(f"no report {report_id!r}")
        return _kept(row)

    def list(self, limit: int) -> Sequence[ReportHead]:
        """The newest reports first, those being made left out."""
        found = self._connection.execute(
            select(*_HEAD)
            .where(_TABLE.c.made_at.is_not(None))
            .order_by(_TABLE.c.made_at.desc(), _TABLE.c.id)
            .limit(limit)
        )
        return [_head(row) for row in found]

    def latest(self, kind: ReportKind | None, before: datetime) -> KeptReport | None:
        """The made report whose period ends last, before ``before``."""
        query = select(_TABLE).where(_TABLE.c.made_at.is_not(None), _TABLE.c.until < before)
        if kind is not None:
            query = query.where(_TABLE.c.kind == kind.value)
        row = self._connection.execute(
            query.order_by(_TABLE.c.until.desc(), _TABLE.c.made_at.desc()).limit(1)
        ).one_or_none()
        return None if row is None else _kept(row)

    def waiting(self, now: datetime) -> Sequence[ReportHead]:
        """Those that are to be sent by ``now``."""
        found = self._connection.execute(
            select(*_HEAD).where(_TABLE.c.next_attempt_at <= now).order_by(_TABLE.c.made_at)
        )
        return [_head(row) for row in found]

    def claim_sending(self, report_id: str, now: datetime, until: datetime) -> bool:
        """Begin to send, until ``until`` at most; False where another is at it."""
        done = self._connection.execute(
            update(_TABLE)
            .where(_TABLE.c.id == report_id, _TABLE.c.next_attempt_at <= now)
            .values(next_attempt_at=until)
        )
        return done.rowcount == 1

    def expire(self, before: datetime) -> int:
        """Forget what was claimed before; returns how many reports that were."""
        done = self._connection.execute(delete(_TABLE).where(_TABLE.c.claimed_at < before))
        return done.rowcount


def _head(row: Row[Any]) -> ReportHead:
    return ReportHead(
        id=row.id,
        kind=ReportKind(row.kind),
        since=row.since,
        until=row.until,
        language=Language(row.language),
        made_at=row.made_at,
        deliveries=_DELIVERIES.validate_json(row.deliveries),
    )


def _kept(row: Row[Any]) -> KeptReport:
    return KeptReport(_head(row), _REPORT.validate_json(row.content), row.html, row.text)
