"""A broker that polls a thousand servers, some of them dead, from outside.

Lab and broker are the real commands, each a process of its own. The broker's
CPU is read from the kernel while nobody asks it anything; then its REST API is
asked how old each server's last poll is.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.broker import ORCHESTRATOR, RunningBroker, broker, process, wait_for
from bench.process import cpu_seconds, descriptors, resident_megabytes, threads
from bench.report import Goal, Report


def run(options: Namespace) -> list[Report]:
    dead = options.servers * 5 // 100
    refusing, hanging = dead - dead // 2, dead // 2
    with (
        tempfile.TemporaryDirectory(prefix="bench-fleet-") as name,
        _lab(Path(name), options.servers, refusing, hanging) as inventory,
        broker(Path(name), inventory, interval=options.interval) as running,
    ):
        pid = running.pid
        time.sleep(options.interval)
        cores = _cores(pid, options.intervals * options.interval)
        size = {
            "RSS MB": f"{resident_megabytes(pid):.0f}",
            "threads": str(threads(pid)),
            "descriptors": str(descriptors(pid)),
        }
        living = options.servers - dead
        ages, health = _ages(running, living, options.intervals * options.interval)
    rank = statistics.quantiles(ages, n=100)
    oldest = options.interval + 1
    return [
        Report(
            f"{options.servers} servers every {options.interval} s,"
            f" {refusing} refusing and {hanging} hanging",
            ("cores", "age median", "age p99", "age most", "samples", *size),
            [
                [
                    f"{cores:.2f}",
                    f"{rank[49]:.1f} s",
                    f"{rank[98]:.1f} s",
                    f"{max(ages):.1f} s",
                    str(len(ages)),
                    *size.values(),
                ]
            ],
            [
                Goal("cores used by the broker", cores, 0.5),
                Goal("age of the last poll, living servers, p99", rank[98], oldest, " s"),
            ],
            [f"health as the broker says: {health}"],
        )
    ]


def _cores(pid: int, seconds: float) -> float:
    began, spent = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - spent) / (time.monotonic() - began)


def _ages(running: RunningBroker, living: int, seconds: float) -> tuple[list[float], str]:
    """Seconds since each living server's last poll, looked at now and then; the
    dead are the last of the inventory."""
    ages: list[float] = []
    counts: dict[str, int] = {}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now, servers = datetime.now(UTC), running.get("/api/v1/servers")["servers"]
        counts = {}
        for server in servers:
            counts[server["health"]] = counts.get(server["health"], 0) + 1
            if int(server["name"].rpartition("-")[2]) <= living:
                ages.append((now - datetime.fromisoformat(server["checked_at"])).total_seconds())
        # An odd pause, so that the polls' own rhythm is not met at one place.
        time.sleep(1.37)
    return ages, ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


@contextlib.contextmanager
def _lab(folder: Path, servers: int, refusing: int, hanging: int) -> Iterator[Path]:
    inventory = folder / "lab.yml"
    command = [ORCHESTRATOR, "lab", "--servers", str(servers), "--refusing", str(refusing)]
    command += ["--hanging", str(hanging), "--inventory-file", str(inventory)]
    with process(command, folder / "lab.log") as lab:
        wait_for(inventory.exists, lab)
        yield inventory
