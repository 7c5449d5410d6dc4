"""Load over time: open polls as rows, closed hours packed, hours and days for charts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from orchestrator.domain.errors import Contention
from orchestrator.domain.history import Measure, Reading, Resolution, Rollup, Stats
from orchestrator.ports import Subject
from orchestrator.store import packing, tables

_LEVELS = {resolution: number for number, resolution in enumerate(Resolution)}
_HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPEN, _CHUNKS, _ROLLUPS = tables.history_open, tables.history_chunks, tables.history_rollups
_STATS, _SERIES = tables.history_stats, tables.history_series


class History:
    """HistoryRepository on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ids: dict[Subject, int] = {}

    def add(self, readings: Sequence[tuple[str, Reading]]) -> None:
        """Keep polls; one that is there already stays, so that a batch can be repeated."""
        if not readings:
            return
        ids = self._numbers({Subject.server(name) for name, _ in readings})
        rows = [
            {
                "series_id": ids[Subject.server(name)],
                "at_ms": _milliseconds(reading.at),
                "reading": packing.pack_reading(reading.values),
            }
            for name, reading in readings
        ]
        statement = insert(_OPEN).prefix_with("OR IGNORE", dialect="sqlite")
        statement = statement.prefix_with("IGNORE", dialect="mysql")
        statement = statement.prefix_with("IGNORE", dialect="mariadb")
        self._connection.execute(statement, rows)

    def hours_to_close(self, before: datetime, limit: int) -> Sequence[tuple[str, datetime]]:
        """Servers and hours that have open polls and are over by ``before``."""
        first = func.min(_OPEN.c.at_ms)
        found = self._connection.execute(
            select(_SERIES.c.name, first)
            .join(_SERIES, _SERIES.c.id == _OPEN.c.series_id)
            .group_by(_OPEN.c.series_id, _SERIES.c.name)
            .having(first < _milliseconds(before))
            .limit(limit)
        )
        return [(name, Resolution.HOUR.floor(_from_milliseconds(at))) for name, at in found]

    def take_hour(self, server: str, hour: datetime) -> Sequence[Reading]:
        """An hour's polls, packed ones included; the open ones are removed."""
        series = self._known(Subject.server(server))
        packed = self._connection.execute(
            select(_CHUNKS.c.packed).where(
                *_at(_CHUNKS, series, Resolution.RAW), _CHUNKS.c.start == _seconds(hour)
            )
        ).scalar_one_or_none()
        readings = [] if packed is None else packing.unpack_readings(packed, hour)
        inside = _between(_OPEN.c.at_ms, hour, hour + _HOUR, _milliseconds)
        readings += [
            Reading(at, packing.unpack_reading(raw)) for at, raw in self._open(series, inside)
        ]
        self._connection.execute(delete(_OPEN).where(_OPEN.c.series_id == series, *inside))
        return sorted(readings, key=lambda reading: reading.at)

    def put_hour(
        self,
        server: str,
        hour: datetime,
        readings: Sequence[Reading],
        minutes: Mapping[datetime, Mapping[Measure, Stats]],
    ) -> None:
        """An hour's polls and its minutes, in place of what was kept of it."""
        subject = Subject.server(server)
        series = self._numbers({subject})[subject]
        for level, packed in (
            (Resolution.RAW, packing.pack_readings(readings, hour)),
            (Resolution.MINUTE, packing.pack_minutes(minutes, hour)),
        ):
            self._put(_CHUNKS, series, level, hour, packed=packed)

    def put_rollup(
        self, subject: Subject, resolution: Resolution, start: datetime, rollup: Rollup
    ) -> None:
        """An hour or a day, in place of what was kept of it."""
        series = self._numbers({subject})[subject]
        self._put(_ROLLUPS, series, resolution, start, sketches=packing.pack_sketches(rollup))
        self._put(_STATS, series, resolution, start, stats=packing.pack_stats(rollup))

    def rollups(
        self,
        subject: Subject,
        resolution: Resolution,
        since: datetime,
        until: datetime,
        only: frozenset[Measure] | None = None,
    ) -> Sequence[Rollup]:
        """Hours or days that begin in a time, to be merged."""
        found = self._connection.execute(
            select(_ROLLUPS.c.sketches).where(
                *_at(_ROLLUPS, self._known(subject), resolution),
                *_between(_ROLLUPS.c.start, since, until, _seconds),
            )
        )
        return [packing.unpack_sketches(packed, only) for (packed,) in found]

    def hour_of(self, servers: Iterable[str], hour: datetime) -> Sequence[Rollup]:
        """One hour of several servers."""
        wanted = set(servers)
        found = self._connection.execute(
            select(_SERIES.c.name, _ROLLUPS.c.sketches)
            .join(_SERIES, _SERIES.c.id == _ROLLUPS.c.series_id)
            .where(
                _ROLLUPS.c.level == _LEVELS[Resolution.HOUR],
                _ROLLUPS.c.start == _seconds(hour),
                _SERIES.c.kind == "server",
            )
        )
        return [packing.unpack_sketches(packed) for name, packed in found if name in wanted]

    def hours_without_sites(self, since: datetime) -> Sequence[datetime]:
        """Hours that servers have and no site has yet."""
        found = self._connection.execute(
            select(_ROLLUPS.c.start, func.count())
            .join(_SERIES, _SERIES.c.id == _ROLLUPS.c.series_id)
            .where(
                _ROLLUPS.c.level == _LEVELS[Resolution.HOUR],
                _ROLLUPS.c.start >= _seconds(since),
            )
            .group_by(_ROLLUPS.c.start)
            .having(func.max(_SERIES.c.kind) == "server")
            .order_by(_ROLLUPS.c.start)
        )
        return [_from_seconds(start) for start, _ in found]

    def values(
        self, server: str, measure: Measure, since: datetime, until: datetime
    ) -> Sequence[tuple[datetime, float]]:
        """Polls, open ones included, by time."""
        found: list[tuple[datetime, float]] = []
        series = self._known(Subject.server(server))
        for start, packed in self._chunks(series, Resolution.RAW, since, until):
            found += packing.unpack_values(packed, start, measure)
        found += self.open_values(server, measure, since, until)
        return sorted((at, value) for at, value in found if since <= at < until)

    def open_values(
        self, server: str, measure: Measure, since: datetime, until: datetime
    ) -> Sequence[tuple[datetime, float]]:
        """Polls of hours that are not closed yet, by time."""
        series = self._known(Subject.server(server))
        rows = self._open(series, _between(_OPEN.c.at_ms, since, until, _milliseconds))
        values = ((at, packing.unpack_value(raw, measure)) for at, raw in rows)
        return [(at, value) for at, value in values if value is not None]

    def minutes(
        self, server: str, measure: Measure, since: datetime, until: datetime
    ) -> Sequence[tuple[datetime, Stats]]:
        """Minutes of closed hours, by time."""
        series = self._known(Subject.server(server))
        return [
            (at, stats)
            for start, packed in self._chunks(series, Resolution.MINUTE, since, until)
            for at, stats in packing.unpack_minutes(packed, start, measure)
            if since <= at < until
        ]

    def stats(
        self,
        subject: Subject,
        resolution: Resolution,
        measure: Measure,
        since: datetime,
        until: datetime,
    ) -> Sequence[tuple[datetime, Stats]]:
        """Hours or days for a chart, by time."""
        found = self._connection.execute(
            select(_STATS.c.start, _STATS.c.stats)
            .where(
                *_at(_STATS, self._known(subject), resolution),
                *_between(_STATS.c.start, since, until, _seconds),
            )
            .order_by(_STATS.c.start)
        )
        points = ((_from_seconds(at), packing.unpack_stats(raw, measure)) for at, raw in found)
        return [(at, stats) for at, stats in points if stats is not None]

    def expire(self, resolution: Resolution, before: datetime, most: timedelta) -> int:
        """Forget what begins before, the oldest ``most`` of it; how many rows that were."""
        is_packed = resolution in {Resolution.RAW, Resolution.MINUTE}
        gone = 0
        for table in [_CHUNKS] if is_packed else [_ROLLUPS, _STATS]:
            at_level = table.c.level == _LEVELS[resolution]
            oldest = self._connection.scalar(select(func.min(table.c.start)).where(at_level))
            if oldest is not None:
                until = min(_seconds(before), oldest + most // timedelta(seconds=1))
                found = self._connection.execute(
                    delete(table).where(at_level, table.c.start < until)
                )
                gone += found.rowcount
        return gone

    def _open(
        self, series: int, inside: Sequence[ColumnElement[bool]]
    ) -> list[tuple[datetime, bytes]]:
        found = self._connection.execute(
            select(_OPEN.c.at_ms, _OPEN.c.reading)
            .where(_OPEN.c.series_id == series, *inside)
            .order_by(_OPEN.c.at_ms)
        )
        return [(_from_milliseconds(at), raw) for at, raw in found]

    def _chunks(
        self, series: int, level: Resolution, since: datetime, until: datetime
    ) -> list[tuple[datetime, bytes]]:
        first = Resolution.HOUR.floor(since)
        found = self._connection.execute(
            select(_CHUNKS.c.start, _CHUNKS.c.packed)
            .where(*_at(_CHUNKS, series, level), *_between(_CHUNKS.c.start, first, until, _seconds))
            .order_by(_CHUNKS.c.start)
        )
        return [(_from_seconds(start), packed) for start, packed in found]

    def _put(
        self, table: Table, series: int, level: Resolution, start: datetime, **values: bytes
    ) -> None:
        key = {"series_id": series, "level": _LEVELS[level], "start": _seconds(start)}
        self._connection.execute(
            delete(table).where(*(table.c[name] == value for name, value in key.items()))
        )
        with _contended("an hour of history"):
            self._connection.execute(insert(table).values(**key, **values))

    def _known(self, subject: Subject) -> int:
        """Its number, or one that nothing has."""
        if subject not in self._ids:
            self._look_up({subject})
        return self._ids.get(subject, -1)

    def _numbers(self, subjects: set[Subject]) -> Mapping[Subject, int]:
        if not subjects <= self._ids.keys():
            self._look_up(subjects - self._ids.keys())
        for missing in sorted(subjects - self._ids.keys()):
            with _contended(f"the history of {missing.name}"):
                done = self._connection.execute(
                    insert(_SERIES).values(kind=missing.kind, name=missing.name)
                )
            assert done.inserted_primary_key is not None
            self._ids[missing] = done.inserted_primary_key[0]
        return self._ids

    def _look_up(self, subjects: set[Subject]) -> None:
        for kind in {subject.kind for subject in subjects}:
            names = [subject.name for subject in subjects if subject.kind == kind]
            found = self._connection.execute(
                select(_SERIES.c.name, _SERIES.c.id).where(
                    _SERIES.c.kind == kind, _SERIES.c.name.in_(names)
                )
            )
            self._ids.update({Subject(kind, name): number for name, number in found})


@contextmanager
def _contended(what: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Contention(f"another broker was faster to begin {what}") from error


def _at(table: Table, series: int, level: Resolution) -> tuple[ColumnElement[bool], ...]:
    return table.c.series_id == series, table.c.level == _LEVELS[level]


def _between(column: Any, since: datetime, until: datetime, to: Any) -> list[ColumnElement[bool]]:
    return [column >= to(since), column < to(until)]


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _from_milliseconds(value: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=value)


def _seconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1)


def _from_seconds(value: int) -> datetime:
    return _EPOCH + timedelta(seconds=value)
