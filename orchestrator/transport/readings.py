"""What the rows of a poll tell, each property by its own rules; what cannot be
read is None."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from orchestrator.domain.launch import Launch
from orchestrator.transport.wql import Row, Value, parse_datetime

_ENGINE = re.compile(r"_engtype_(.+)$")
_TICKS_PER_SECOND = 10_000_000


def living_of(launches: Collection[Launch], processes: Sequence[Row]) -> frozenset[Launch]:
    """The launches whose very process is among the rows: PID, creation time and
    image fit. A creation time that is not told is no proof of another process."""
    found: defaultdict[int, list[tuple[datetime | None, str]]] = defaultdict(list)
    for row in processes:
        pid, created = number(row.get("ProcessId")), moment(row.get("CreationDate"))
        image = row.get("ExecutablePath") or row.get("Name")
        if pid is not None and isinstance(image, str):
            found[int(pid)].append((created, image))
    return frozenset(
        launch
        for launch in launches
        if any(
            launch.is_same_process(Launch(launch.pid, created or launch.created_at, image))
            for created, image in found[launch.pid]
        )
    )


def engine_shares(rows: Sequence[Row]) -> Mapping[str, float]:
    """Each engine type's sum over processes, as Task Manager shows it, at most 1.

    Without a busy engine there is none: some drivers leave the counters at
    zero, so that silence does not prove an idle GPU.
    """
    sums: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        engine = _ENGINE.search(str(row.get("Name") or ""))
        used = number(row.get("UtilizationPercentage"))
        if engine is not None and used:
            sums[engine[1]] += used
    return {engine: min(1.0, used / 100) for engine, used in sorted(sums.items())}


def fullest(rows: Sequence[Row]) -> tuple[str | None, int | None, int | None]:
    """Name, size and free MiB of the disk with the least share free."""
    best: tuple[float, str, int, int] | None = None
    for row in rows:
        size, free = number(row.get("Size")), number(row.get("FreeSpace"))
        if not size or free is None:
            continue
        name = str(row.get("DeviceID") or "")
        this = (free / size, name, int(size // 2**20), int(free // 2**20))
        best = this if best is None else min(best, this)
    return (None, None, None) if best is None else best[1:]


def outside_session_0(processes: Sequence[Row], name: str) -> list[Row]:
    """Rows of that image outside session 0."""
    return [
        row
        for row in processes
        if str(row.get("Name") or "").lower() == name.lower()
        and str(row.get("SessionId") or "0") != "0"
    ]


def first(rows: list[Row] | None) -> Row:
    """The only row, or none of its properties."""
    return rows[0] if rows else {}


def total(rows: list[Row] | None, name: str, unit: int = 1) -> int | None:
    """A property's sum over the rows, in units of ``unit``; rows of which none tells
    it are no proof of nothing."""
    if rows is None:
        return None
    values = [value for row in rows if (value := number(row.get(name))) is not None]
    return None if rows and not values else int(sum(values) // unit)


def scaled(value: Value, unit: int) -> int | None:
    """A number in units of ``unit``."""
    found = number(value)
    return None if found is None else int(found // unit)


def share_of_percent(value: Value) -> float | None:
    """Percent as a share, 0 to 1."""
    found = number(value)
    return None if found is None else min(1.0, max(0.0, found / 100))


def moment(value: Value) -> datetime | None:
    """A time; Get-Load writes it as text."""
    if isinstance(value, datetime):
        return value
    try:
        return parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None


def number(value: Value) -> float | None:
    """WMI's numbers are text; None for what is none, NaN and infinity among it."""
    if not isinstance(value, str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def idle_seconds(processes: Sequence[Row]) -> float | None:
    """How long the idle process has run, on all processors together."""
    idle = next((row for row in processes if row.get("ProcessId") == "0"), {})
    ticks = number(idle.get("KernelModeTime"))
    return None if ticks is None else ticks / _TICKS_PER_SECOND
