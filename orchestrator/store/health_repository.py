"""When each server's health changed, and when anybody looked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from orchestrator.domain.availability import HealthInterval, Span
from orchestrator.domain.server import Health
from orchestrator.store import tables

_TABLE, _WATCHES = tables.health_intervals, tables.watches


class HealthHistory:
    """HealthHistoryRepository on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, seen: Sequence[HealthInterval]) -> None:
        """Take over what polls found: one that lasts changes nothing, another ends it."""
        lasting = self._lasting({each.server for each in seen})
        for each in seen:
            last = lasting.get(each.server)
            if last is not None and last[1].health is each.health:
                continue
            if last is not None:
                each = replace(each, began_at=max(each.began_at, last[1].began_at))
                self._end(last[0], each.began_at)
            lasting[each.server] = self._begin(each), each

    def watched(self, sites: Mapping[str, datetime], gap: timedelta) -> None:
        """Sites were polled at these times; ``gap`` is the longest silence of one watch."""
        for site, at in sorted(sites.items()):
            last = self._connection.execute(
                select(_WATCHES.c.id, _WATCHES.c.ended_at)
                .where(_WATCHES.c.site == site)
                .order_by(_WATCHES.c.ended_at.desc())
                .limit(1)
            ).one_or_none()
            if last is None or at - last.ended_at > gap:
                values = {"site": site, "began_at": at, "ended_at": at}
                self._connection.execute(insert(_WATCHES).values(**values))
            elif at > last.ended_at:
                self._connection.execute(
                    update(_WATCHES).where(_WATCHES.c.id == last.id).values(ended_at=at)
                )

    def intervals(self, since: datetime, until: datetime) -> Sequence[HealthInterval]:
        """Those that touch a time, by server and time."""
        found = self._connection.execute(
            select(_TABLE)
            .where(_TABLE.c.began_at < until, _not_over(_TABLE, since))
            .order_by(_TABLE.c.server_name, _TABLE.c.began_at, _TABLE.c.id)
        )
        return [_interval(row) for row in found]

    def watches(self, since: datetime, until: datetime) -> Mapping[str, Sequence[Span]]:
        """The times in which each site was polled."""
        found: dict[str, list[Span]] = defaultdict(list)
        for row in self._connection.execute(
            select(_WATCHES)
            .where(_WATCHES.c.began_at < until, _WATCHES.c.ended_at > since)
            .order_by(_WATCHES.c.began_at)
        ):
            found[row.site].append(Span(row.began_at, row.ended_at))
        return found

    def first_watch(self) -> datetime | None:
        """When polling was begun for the first time that is still known."""
        found: datetime | None = self._connection.execute(
            select(func.min(_WATCHES.c.began_at))
        ).scalar_one()
        return found

    def end_departed(self, present: Collection[str], at: datetime) -> None:
        """Servers that are not ``present`` any more have no health from ``at`` on."""
        for name, (number, _) in self._lasting(None).items():
            if name not in present:
                self._end(number, at)

    def expire(self, before: datetime) -> int:
        """Forget what was over before; returns how many rows that were."""
        done = self._connection.execute(delete(_TABLE).where(_TABLE.c.ended_at < before))
        more = self._connection.execute(delete(_WATCHES).where(_WATCHES.c.ended_at < before))
        return done.rowcount + more.rowcount

    def _lasting(self, servers: Collection[str] | None) -> dict[str, tuple[int, HealthInterval]]:
        query = select(_TABLE).where(_TABLE.c.ended_at.is_(None))
        if servers is not None:
            query = query.where(_TABLE.c.server_name.in_(sorted(servers)))
        found = self._connection.execute(query.order_by(_TABLE.c.id))
        return {row.server_name: (row.id, _interval(row)) for row in found}

    def _begin(self, interval: HealthInterval) -> int:
        done = self._connection.execute(
            insert(_TABLE).values(
                server_name=interval.server,
                site=interval.site,
                health=interval.health.value,
                reason=interval.reason,
                began_at=interval.began_at,
            )
        )
        assert done.inserted_primary_key is not None
        return int(done.inserted_primary_key[0])

    def _end(self, number: int, at: datetime) -> None:
        self._connection.execute(update(_TABLE).where(_TABLE.c.id == number).values(ended_at=at))


def _not_over(table: Table, since: datetime) -> ColumnElement[bool]:
    return or_(table.c.ended_at.is_(None), table.c.ended_at > since)


def _interval(row: Row[tuple[object, ...]]) -> HealthInterval:
    return HealthInterval(
        server=row.server_name,
        site=row.site,
        health=Health(row.health),
        reason=row.reason,
        began_at=row.began_at,
        ended_at=row.ended_at,
    )
