"""Readings and statistics as bytes: columns of whole numbers, narrowed and deflated.

Values are rounded by their measure's scale and times to tenths of a second. A
column is kept as differences where those are smaller, in the narrowest integers
that hold it; a place without a value is 0 and every value one more than it is.
The first byte of what is deflated whole is its format's version.
"""

from __future__ import annotations

import math
import struct
import zlib
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, pairwise

from orchestrator.domain.history import MEASURES, Measure, Reading, Rollup, Sketch, Stats

_VERSION = 1
_RATIO = math.log(1.02)
_STEPS: Mapping[Measure, float] = {
    Measure.CPU: 0.001,
    Measure.MEMORY: 0.001,
    Measure.GPU: 0.001,
    Measure.ENCODER: 0.001,
    Measure.GPU_MEMORY: 8.0,
    Measure.DISK: 0.001,
    Measure.SESSIONS: 0.1,
    Measure.POLL: 0.01,
}
"""What a measure is rounded to. One that is not here has steps of two per cent of
its value: rates of a network span many powers of ten and are never steady."""

_CODES = "bhiq"
_SIZES = {code.encode(): array(code).itemsize for code in _CODES}
_LIMITS = tuple((code, 1 << (8 * array(code).itemsize - 1)) for code in _CODES)
_HEAD = struct.Struct("<BHB")
_COLUMN = struct.Struct("<c?")
_TENTH = timedelta(milliseconds=100)
_MINUTE = timedelta(minutes=1)
_STATS = struct.Struct("<BIffff")
_SKETCH = struct.Struct("<BIdddH")


def pack_reading(values: Sequence[float | None]) -> bytes:
    """One poll, for the time until its hour is closed."""
    whole = [_column((value,), m)[0] for m, value in zip(MEASURES, values, strict=True)]
    return struct.pack(f"<{len(whole)}i", *(min(each, 2**31 - 1) for each in whole))


def unpack_reading(data: bytes) -> tuple[float | None, ...]:
    """Its values, rounded; those of measures added since are None."""
    whole = struct.unpack(f"<{len(data) // 4}i", data)
    values = [_values((each,), m)[0] for m, each in zip(MEASURES, whole, strict=False)]
    return tuple(values + [None] * (len(MEASURES) - len(values)))


def unpack_value(data: bytes, measure: Measure) -> float | None:
    """One measure of it."""
    place = 4 * MEASURES.index(measure)
    if place >= len(data):
        return None
    (whole,) = struct.unpack_from("<i", data, place)
    return None if whole == 0 else _from_step(whole - 1, measure)


def pack_readings(readings: Sequence[Reading], start: datetime) -> bytes:
    """An hour of polls that begins at ``start``."""
    times = [round((each.at - start) / _TENTH) for each in readings]
    values = [_column(column, m) for m, column in zip(MEASURES, _by_measure(readings), strict=True)]
    return _pack([times, *values])


def unpack_readings(data: bytes, start: datetime) -> list[Reading]:
    """What ``pack_readings`` packed, rounded."""
    times, *columns = _unpack(data).values()
    values = [_values(column, m) for m, column in zip(MEASURES, columns, strict=False)]
    values += [[None] * len(times)] * (len(MEASURES) - len(values))
    rows = zip(*values, strict=True)
    return [Reading(start + t * _TENTH, row) for t, row in zip(times, rows, strict=True)]


def unpack_values(data: bytes, start: datetime, measure: Measure) -> list[tuple[datetime, float]]:
    """One measure of those polls, where it was measured."""
    number = 1 + MEASURES.index(measure)
    columns = _unpack(data, {0, number})
    if number not in columns:
        return []
    restored = _scale(measure)
    return [
        (start + tenths * _TENTH, restored(value - 1))
        for tenths, value in zip(columns[0], columns[number], strict=True)
        if value
    ]


def pack_minutes(found: Mapping[datetime, Mapping[Measure, Stats]], start: datetime) -> bytes:
    """The minutes of the hour that begins at ``start``.

    Least, greatest and p95 are kept as their distance from the mean or from the
    greatest: small numbers, which deflate well.
    """
    columns: list[list[int]] = [[(at - start) // timedelta(minutes=1) for at in found]]
    for measure in MEASURES:
        columns += _minute_columns([stats.get(measure) for stats in found.values()], measure)
    return _pack(columns)


def unpack_minutes(data: bytes, start: datetime, measure: Measure) -> list[tuple[datetime, Stats]]:
    """One measure of those minutes."""
    first = 1 + 5 * MEASURES.index(measure)
    columns = _unpack(data, {0, *range(first, first + 5)})
    if first not in columns:
        return []
    restored, found = _scale(measure), []
    for minute, count, mean, below, above, gap in zip(*columns.values(), strict=True):
        if count:
            low, high = mean - below, mean + above
            stats = Stats(
                count, restored(low), restored(mean), restored(high), restored(high - gap)
            )
            found.append((start + minute * _MINUTE, stats))
    return found


def pack_stats(rollup: Rollup) -> bytes:
    """The statistics of an hour or a day, ready for a chart."""
    parts = [bytes([_VERSION])]
    for measure, sketch in rollup.items():
        s = sketch.stats()
        number = MEASURES.index(measure)
        parts.append(_STATS.pack(number, s.count, s.minimum, s.mean, s.maximum, s.p95))
    return b"".join(parts)


def unpack_stats(data: bytes, measure: Measure) -> Stats | None:
    """Those of one measure."""
    wanted = MEASURES.index(measure)
    for place in range(1, len(data), _STATS.size):
        if data[place] == wanted:
            return Stats(*_STATS.unpack_from(data, place)[1:])
    return None


def pack_sketches(rollup: Rollup) -> bytes:
    """The sketches of an hour or a day, for merging."""
    parts = [bytes([_VERSION])]
    for measure, s in rollup.items():
        ordered = sorted(s.bins)
        bounds = (s.count, s.total, s.minimum, s.maximum, len(ordered))
        columns = [ordered, [s.bins[each] for each in ordered]]
        packed = _columns(columns)
        parts.append(_SKETCH.pack(MEASURES.index(measure), *bounds))
        parts.append(struct.pack("<H", len(packed)) + packed)
    return zlib.compress(b"".join(parts), 6)


def unpack_sketches(data: bytes, only: frozenset[Measure] | None = None) -> Rollup:
    """Those sketches, or those of some measures."""
    raw, place = zlib.decompress(data), 1
    found: dict[Measure, Sketch] = {}
    while place < len(raw):
        number, count, total, minimum, maximum, bins = _SKETCH.unpack_from(raw, place)
        place += _SKETCH.size
        (length,) = struct.unpack_from("<H", raw, place)
        place += 2
        if only is None or MEASURES[number] in only:
            keys, counts = _read_columns(raw[place : place + length], bins, 2).values()
            kept = dict(zip(keys, counts, strict=True))
            found[MEASURES[number]] = Sketch(count, total, minimum, maximum, kept)
        place += length
    return found


def _minute_columns(found: Sequence[Stats | None], measure: Measure) -> list[list[int]]:
    rows = []
    for stats in found:
        if stats is None:
            rows.append((0, 0, 0, 0, 0))
            continue
        low, mean, high, p95 = (
            _to_step(each, measure)
            for each in (stats.minimum, stats.mean, stats.maximum, stats.p95)
        )
        rows.append((stats.count, mean, mean - low, high - mean, high - p95))
    return [list(column) for column in zip(*rows, strict=True)]


def _by_measure(readings: Sequence[Reading]) -> Iterable[tuple[float | None, ...]]:
    return zip(*(each.values for each in readings), strict=True)


def _column(values: Iterable[float | None], measure: Measure) -> list[int]:
    return [0 if value is None else _to_step(value, measure) + 1 for value in values]


def _values(column: Iterable[int], measure: Measure) -> list[float | None]:
    return [None if each == 0 else _from_step(each - 1, measure) for each in column]


def _to_step(value: float, measure: Measure) -> int:
    step = _STEPS.get(measure)
    if step is not None:
        return round(max(0.0, value) / step)
    return 0 if value < 1 else 1 + round(math.log(value) / _RATIO)


def _from_step(number: int, measure: Measure) -> float:
    return _scale(measure)(number)


def _scale(measure: Measure) -> Callable[[int], float]:
    """What turns the steps of a measure into its values."""
    step = _STEPS.get(measure)
    if step is None:
        return _from_ratio
    # The quotient is the nearest to 0.001 and the like, which a product is not.
    steps = round(1 / step, 3)
    return lambda number: number / steps


def _from_ratio(number: int) -> float:
    return 0.0 if number == 0 else float(round(math.exp((number - 1) * _RATIO)))


def _pack(columns: Sequence[Sequence[int]]) -> bytes:
    head = _HEAD.pack(_VERSION, len(columns[0]), len(columns))
    return head + zlib.compress(_columns(columns), 9)


def _unpack(data: bytes, wanted: Collection[int] | None = None) -> dict[int, list[int]]:
    """The columns by their number: all, or those ``wanted`` that there are."""
    version, length, count = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise ValueError(f"history was packed by version {version} of the format")
    return _read_columns(zlib.decompress(data[_HEAD.size :]), length, count, wanted)


def _columns(columns: Sequence[Sequence[int]]) -> bytes:
    return b"".join(_narrowest(column) for column in columns)


def _narrowest(values: Sequence[int]) -> bytes:
    steps = [*values[:1], *(after - before for before, after in pairwise(values))]
    differs = _spread(steps) < _spread(values)
    kept = steps if differs else values
    code = _code(kept)
    return _COLUMN.pack(code.encode(), differs) + array(code, kept).tobytes()


def _spread(values: Sequence[int]) -> int:
    return sum(map(abs, values))


def _code(values: Sequence[int]) -> str:
    low, high = min(values, default=0), max(values, default=0)
    return next(code for code, limit in _LIMITS if -limit <= low and high < limit)


def _read_columns(
    raw: bytes, length: int, count: int, wanted: Collection[int] | None = None
) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    place = 0
    for number in range(count):
        code, differs = _COLUMN.unpack_from(raw, place)
        place += _COLUMN.size
        end = place + length * _SIZES[code]
        if wanted is None or number in wanted:
            column = array(code.decode(), raw[place:end])
            found[number] = list(accumulate(column)) if differs else column.tolist()
        place = end
    return found
