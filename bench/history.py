"""What history costs: bytes a server and day, time a chart, time a batch of polls.

Fills a database with the polls of many servers over many days, then reads charts
of random servers. The hours are packed from generated load (a random walk with
the noise of a real machine); some hundreds of different ones are drawn from at
random, since packing each of hundreds of thousands would only test patience.
Rows go in by time, as a broker writes them.

    python bench/history.py                                  # SQLite, in a temporary file
    python bench/history.py --database mysql+pymysql://root@127.0.0.1:3306/bench
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, insert, select

from orchestrator.domain.history import (
    Measure,
    Reading,
    Resolution,
    merged_rollups,
    minutes,
    reading_of,
    rollup,
)
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load, Server
from orchestrator.ports import Subject
from orchestrator.services.keep_history import KeepHistory
from orchestrator.services.read_history import ReadHistory
from orchestrator.services.retry import Retry
from orchestrator.services.roll_up import Keep, RollUp
from orchestrator.store import Store, packing, tables

NOW = datetime(2026, 6, 1, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
_KEY = ("series_id", "level", "start")
LEVELS = {"raw": 0, "minute": 1, "hour": 2, "day": 3}


class BenchClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        return


def load_at(chance: random.Random, before: Load | None, at: datetime) -> Load:
    """A step of a random walk; whole percents for CPU and GPU, as Windows counts them."""
    walk = before.cpu if before and before.cpu is not None else chance.random()
    cpu = min(1.0, max(0.0, walk + chance.gauss(0, 0.06)))
    free = before.memory_free_mb if before and before.memory_free_mb else 12_000
    free = min(30_000, max(500, round(free + chance.gauss(0, 40))))
    video = before.gpu_memory_used_mb if before and before.gpu_memory_used_mb else 3000
    if chance.random() < 0.1:
        video = max(200, video + chance.randrange(-200, 200))
    gpu = min(1.0, max(0.0, cpu * chance.uniform(0.8, 1.2)))
    return Load(
        at,
        round(cpu, 2),
        32_768,
        free,
        round(gpu, 2),
        "player",
        {"3D": round(gpu, 2), "VideoEncode": round(chance.uniform(0.1, 0.3), 2)},
        video,
        "C:",
        500_000,
        200_000 - chance.randrange(300),
        round(abs(chance.gauss(2e5, 4e4))),
        round(abs(chance.gauss(5e6, 1e6))),
    )


def samples(chance: random.Random, server: str, start: datetime, interval: int) -> list[Sample]:
    found, load = [], None
    for second in range(0, 3600, interval):
        at = start + timedelta(seconds=second + chance.uniform(0, 0.5))
        load = load_at(chance, load, at)
        poll = chance.uniform(0.03, 0.2)
        found.append(Sample(server, at, poll, Health.UP, "", start, load, sessions=2))
    return found


class Packed:
    """One hour as it is stored, and its sketches."""

    def __init__(self, chance: random.Random, interval: int) -> None:
        readings: list[Reading] = [reading_of(s) for s in samples(chance, "x", NOW, interval)]
        self.raw = packing.pack_readings(readings, NOW)
        start = Resolution.HOUR.floor(NOW)
        exact = [Reading(r.at - (NOW - start), r.values) for r in readings]
        self.minutes = packing.pack_minutes(minutes(exact), start)
        self.rollup = rollup(readings)
        self.stats, self.sketches = (
            packing.pack_stats(self.rollup),
            packing.pack_sketches(self.rollup),
        )


def fill(
    store: Store, names: list[str], days: int, hours: list[Packed], chance: random.Random
) -> None:
    with store.unit_of_work() as uow:
        uow.servers.synchronise([Server(n, n, n, site="taipei") for n in names])
        uow.commit()
    day = merged_rollups([chance.choice(hours).rollup for _ in range(24)])
    day_stats, day_sketches = packing.pack_stats(day), packing.pack_sketches(day)
    with store._engine.begin() as connection:
        connection.execute(
            insert(tables.history_series),
            [{"id": n + 1, "kind": "server", "name": name} for n, name in enumerate(names)]
            + [{"id": len(names) + 1, "kind": "site", "name": "taipei"}],
        )
    first = Resolution.DAY.floor(NOW) - timedelta(days=days)
    for number in range(days * 24):
        start = round((first + number * HOUR).timestamp())
        drawn = [(n + 1, chance.choice(hours)) for n in range(len(names))]
        site = (len(names) + 1, hours[0])
        chunks = [
            {"series_id": n, "level": level, "start": start, "packed": packed}
            for n, hour in drawn
            for level, packed in ((0, hour.raw), (1, hour.minutes))
        ]
        summed = [
            {"series_id": n, "level": 2, "start": start, "stats": h.stats, "sketches": h.sketches}
            for n, h in [*drawn, site]
        ]
        if number % 24 == 0:
            summed += [
                {
                    "series_id": n,
                    "level": 3,
                    "start": start,
                    "stats": day_stats,
                    "sketches": day_sketches,
                }
                for n in range(1, len(names) + 2)
            ]
        with store._engine.begin() as connection:
            connection.execute(insert(tables.history_chunks), chunks)
            for table, name in (
                (tables.history_rollups, "sketches"),
                (tables.history_stats, "stats"),
            ):
                rows = [{each: row[each] for each in (*_KEY, name)} for row in summed]
                connection.execute(insert(table), rows)


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def spread(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "p50_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
        "max_ms": round(ordered[-1], 1),
    }


def charts(store: Store, names: list[str], days: int, chance: random.Random) -> dict[str, object]:
    keep = Keep(timedelta(days=days + 1), timedelta(days=days + 1))
    read = ReadHistory(store.unit_of_work, BenchClock(), keep)
    end = Resolution.DAY.floor(NOW)

    def ask(subject: Subject, length: timedelta, resolution: Resolution | None) -> int:
        room = timedelta(days=days) - length
        until = end - room * chance.random()
        (chart,) = read(subject, [Measure.CPU], until - length, until, resolution)
        return len(chart.points)

    found: dict[str, object] = {}
    for label, length, resolution, kind in (
        ("1 hour, every poll", HOUR, None, "server"),
        ("4 hours, every poll", 4 * HOUR, None, "server"),
        ("1 day, minutes", 24 * HOUR, None, "server"),
        ("7 days, minutes", 168 * HOUR, Resolution.MINUTE, "server"),
        (f"{days} days, hours", timedelta(days=days), None, "server"),
        (f"{days} days, days", timedelta(days=days), Resolution.DAY, "server"),
        (f"{days} days, hours, the site", timedelta(days=days), None, "site"),
    ):
        times, points = [], 0
        for _ in range(50):
            name = "taipei" if kind == "site" else chance.choice(names)
            began = time.perf_counter()
            points = max(points, ask(Subject(kind, name), length, resolution))
            times.append((time.perf_counter() - began) * 1000)
        found[label] = {"points": points, **spread(times)}
    return found


def size(store: Store, url: str, servers: int, days: int) -> dict[str, object]:
    chunks, rollups = tables.history_chunks.c, tables.history_rollups.c
    stats = tables.history_stats.c
    with store._engine.connect() as connection:
        kinds = {
            name: round(
                connection.execute(
                    select(func.sum(func.length(column))).where(level == LEVELS[name])
                ).scalar_one()
                / servers
                / days
            )
            for name, column, level in (
                ("raw", chunks.packed, chunks.level),
                ("minute", chunks.packed, chunks.level),
                ("hour", stats.stats, stats.level),
                ("day", stats.stats, stats.level),
            )
        }
        for name in ("hour", "day"):
            kinds[name] += round(
                connection.execute(
                    select(func.sum(func.length(rollups.sketches))).where(
                        rollups.level == LEVELS[name]
                    )
                ).scalar_one()
                / servers
                / days
            )
        if url.startswith("sqlite"):
            whole = Path(url.removeprefix("sqlite:///")).stat().st_size
        else:
            connection.exec_driver_sql(
                "ANALYZE TABLE history_chunks, history_rollups, history_stats"
            ).fetchall()
            whole = int(
                connection.exec_driver_sql(
                    "SELECT SUM(data_length + index_length) FROM information_schema.tables "
                    "WHERE table_schema = DATABASE()"
                ).scalar_one()
            )
    return {
        "payload_bytes_per_server_and_day": kinds,
        "database_bytes": whole,
        "database_bytes_per_server_and_day": round(whole / servers / days),
    }


def writing(
    store: Store, names: list[str], chance: random.Random, interval: int
) -> dict[str, object]:
    clock = BenchClock()
    retry = Retry(clock)
    record = KeepHistory(store.unit_of_work, retry, lambda _: "taipei")
    hours = {name: samples(chance, name, Resolution.HOUR.floor(NOW), interval) for name in names}
    rounds = list(zip(*hours.values(), strict=True))
    cpu = time.process_time()
    times = [timed(lambda batch=batch: record(batch)) for batch in rounds]
    per_round = (time.process_time() - cpu) / len(rounds)
    clock.at = NOW + HOUR
    roll_up = RollUp(store.unit_of_work, clock, retry, Keep())
    cpu, began = time.process_time(), time.perf_counter()
    closed = roll_up()
    return {
        "rounds": len(rounds),
        "batch_of_polls": {
            "polls": len(names),
            "cpu_ms": round(per_round * 1000, 1),
            **spread(times),
        },
        "closing_an_hour": {
            "servers": closed,
            "cpu_ms_per_server": round((time.process_time() - cpu) * 1000 / closed, 1),
            "wall_seconds": round(time.perf_counter() - began, 1),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--database")
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--interval", type=int, default=10)
    parser.add_argument("--different-hours", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        url = options.database or f"sqlite:///{folder}/history.sqlite3"
        # Reckoning the size reads all of it.
        store = Store(url, pool_size=2, answer_seconds=3600)
        store.prepare()
        names = [f"server-{n:04}" for n in range(options.servers)]
        hours = [Packed(chance, options.interval) for _ in range(options.different_hours)]
        began = time.perf_counter()
        fill(store, names, options.days, hours, chance)
        result = {
            "database": "sqlite" if url.startswith("sqlite") else "mysql",
            "servers": options.servers,
            "days": options.days,
            "fill_seconds": round(time.perf_counter() - began),
            "size": size(store, url, options.servers, options.days),
            "charts": charts(store, names, options.days, chance),
            "writing": writing(store, names, chance, options.interval),
        }
        store.close()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
