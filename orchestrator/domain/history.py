"""How load is kept over time: what is measured, statistics, and what merges them.

A reading is one poll. Minutes have exact statistics. Hours and days are kept
as sketches, which merge: count, mean, least and greatest are exact, quantiles
are right within ``ACCURACY`` of the value (the DDSketch of Masson, Rim and Lee,
VLDB 2019).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Load

ACCURACY = 0.01
"""How far a quantile of a sketch may be off, as a share of its value."""


class Measure(StrEnum):
    """What is kept of each poll. The order is that of stored rows: append only."""

    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    ENCODER = "encoder"
    GPU_MEMORY = "gpu_memory_mb"
    DISK = "disk"
    RECEIVED = "received_bytes"
    SENT = "sent_bytes"
    SESSIONS = "sessions"
    POLL = "poll_seconds"

    @property
    def unit(self) -> str:
        """``share`` in [0, 1], ``MiB``, ``bytes/s``, ``sessions`` or ``seconds``."""
        return _UNITS[self]


_UNITS: Mapping[Measure, str] = {
    Measure.CPU: "share",
    Measure.MEMORY: "share",
    Measure.GPU: "share",
    Measure.ENCODER: "share",
    Measure.GPU_MEMORY: "MiB",
    Measure.DISK: "share",
    Measure.RECEIVED: "bytes/s",
    Measure.SENT: "bytes/s",
    Measure.SESSIONS: "sessions",
    Measure.POLL: "seconds",
}

MEASURES = tuple(Measure)


class Resolution(StrEnum):
    """How far apart the points of a chart are; ``raw`` is every poll."""

    RAW = "raw"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def step(self) -> timedelta:
        """The length of one point; raw has none."""
        return _STEPS[self]

    def floor(self, at: datetime) -> datetime:
        """The beginning, in UTC, of the point that ``at`` lies in."""
        if self is Resolution.RAW:
            return at
        return at - (at - _EPOCH) % self.step


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS: Mapping[Resolution, timedelta] = {
    Resolution.RAW: timedelta(0),
    Resolution.MINUTE: timedelta(minutes=1),
    Resolution.HOUR: timedelta(hours=1),
    Resolution.DAY: timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One poll of one server; ``values`` has a place for each of ``MEASURES``."""

    at: datetime
    values: tuple[float | None, ...]


def reading_of(sample: Sample) -> Reading:
    """What history keeps of a sample: for an unanswered poll only how long it took."""
    load = sample.load
    found: dict[Measure, float | None] = {} if load is None else _measured(load)
    found[Measure.SESSIONS] = sample.sessions
    found[Measure.POLL] = sample.seconds
    return Reading(sample.at, tuple(found.get(measure) for measure in MEASURES))


def _measured(load: Load) -> dict[Measure, float | None]:
    return {
        Measure.CPU: load.cpu,
        Measure.MEMORY: load.memory,
        Measure.GPU: load.gpu,
        Measure.ENCODER: _encoder(load.gpu_engines),
        Measure.GPU_MEMORY: load.gpu_memory_used_mb,
        Measure.DISK: _used(load.disk_total_mb, load.disk_free_mb),
        Measure.RECEIVED: load.network_received,
        Measure.SENT: load.network_sent,
    }


def _encoder(engines: Mapping[str, float]) -> float | None:
    shares = [share for name, share in engines.items() if "encode" in name.lower()]
    return max(shares) if shares else None


def _used(total: int | None, free: int | None) -> float | None:
    return None if not total or free is None else min(1.0, max(0.0, (total - free) / total))


@dataclass(frozen=True, slots=True)
class Stats:
    """What one point of a chart says of one measure."""

    count: int
    minimum: float
    mean: float
    maximum: float
    p95: float


def quantile(ordered: Sequence[float], share: float) -> float:
    """The least value that at least ``share`` of all do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def exact_stats(values: Sequence[float]) -> Stats:
    """Of a few values, at least one."""
    ordered = sorted(values)
    mean = min(ordered[-1], max(ordered[0], math.fsum(ordered) / len(ordered)))
    return Stats(len(ordered), ordered[0], mean, ordered[-1], quantile(ordered, 0.95))


_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
_ZERO = -100_000
"""The bin of zero, below that of every number that is kept."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """Many values, none below zero, as counts in bins whose bounds grow by a ratio."""

    count: int
    total: float
    minimum: float
    maximum: float
    bins: Mapping[int, int]

    def quantile(self, share: float) -> float:
        """The nearest-rank quantile, off by at most ``ACCURACY`` of itself."""
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for bin_ in sorted(self.bins):
            seen += self.bins[bin_]
            if seen >= rank:
                value = 0.0 if bin_ == _ZERO else 2 * _GAMMA**bin_ / (_GAMMA + 1)
                return min(self.maximum, max(self.minimum, value))
        return self.maximum

    def stats(self) -> Stats:
        """As a point of a chart."""
        mean = min(self.maximum, max(self.minimum, self.total / self.count))
        return Stats(self.count, self.minimum, mean, self.maximum, self.quantile(0.95))


Rollup = Mapping[Measure, Sketch]
"""One hour or day of one server or site; a measure without values is not in it."""


def sketch(values: Sequence[float]) -> Sketch:
    """Of at least one value."""
    bins: Counter[int] = Counter()
    for value, count in Counter(values).items():
        bins[_bin(value)] += count
    return Sketch(len(values), math.fsum(values), min(values), max(values), bins)


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """As if the values of all had been put into one; the order does not matter."""
    first, *others = sketches
    bins = Counter(first.bins)
    count, total = first.count, [first.total]
    minimum, maximum = first.minimum, first.maximum
    for each in others:
        for bin_, many in each.bins.items():
            bins[bin_] += many
        count += each.count
        total.append(each.total)
        minimum, maximum = min(minimum, each.minimum), max(maximum, each.maximum)
    return Sketch(count, math.fsum(total), minimum, maximum, bins)


def merged_rollups(rollups: Iterable[Rollup]) -> Rollup:
    """Several hours, or several servers, as one."""
    found: dict[Measure, list[Sketch]] = {}
    for rollup in rollups:
        for measure, each in rollup.items():
            found.setdefault(measure, []).append(each)
    return {measure: merged(sketches) for measure, sketches in found.items()}


def rollup(readings: Sequence[Reading]) -> Rollup:
    """The sketches of what was measured."""
    return {measure: sketch(values) for measure, values in _columns(readings)}


def minutes(readings: Sequence[Reading]) -> Mapping[datetime, Mapping[Measure, Stats]]:
    """Exact statistics of each minute that has readings."""
    found: dict[datetime, list[Reading]] = {}
    for each in readings:
        found.setdefault(Resolution.MINUTE.floor(each.at), []).append(each)
    return {
        minute: {measure: exact_stats(values) for measure, values in _columns(inside)}
        for minute, inside in sorted(found.items())
    }


def _columns(readings: Sequence[Reading]) -> Iterable[tuple[Measure, list[float]]]:
    columns = zip(*(each.values for each in readings), strict=True)
    for measure, column in zip(MEASURES, columns, strict=False):
        values = [value for value in column if value is not None]
        if values:
            yield measure, values


def _bin(value: float) -> int:
    return _ZERO if value < 1e-9 else math.ceil(math.log(value) / _LOG_GAMMA)
