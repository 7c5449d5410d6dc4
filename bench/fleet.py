"""A broker that polls a thousand servers, some of them dead, from outside.

Lab and broker are the real commands, each a process of its own. The broker's
CPU is read from the kernel while nobody asks it anything; then its REST API is
asked how old each server's last poll is.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.process import cpu_seconds, descriptors, resident_megabytes, threads
from bench.report import Goal, Report

_ORCHESTRATOR = str(Path(sysconfig.get_path("scripts")) / "orchestrator")
_START_SECONDS = 300.0


def run(options: Namespace) -> list[Report]:
    dead = options.servers * 5 // 100
    refusing, hanging = dead - dead // 2, dead // 2
    with (
        tempfile.TemporaryDirectory(prefix="bench-fleet-") as name,
        _lab(Path(name), options.servers, refusing, hanging) as inventory,
        _broker(Path(name), inventory, options.interval) as (pid, ask),
    ):
        time.sleep(options.interval)
        cores = _cores(pid, options.intervals * options.interval)
        size = {
            "RSS MB": f"{resident_megabytes(pid):.0f}",
            "threads": str(threads(pid)),
            "descriptors": str(descriptors(pid)),
        }
        living = options.servers - dead
        ages, health = _ages(ask, living, options.intervals * options.interval)
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


def _ages(ask: Any, living: int, seconds: float) -> tuple[list[float], str]:
    """Seconds since each living server's last poll, looked at now and then; the
    dead are the last of the inventory."""
    ages: list[float] = []
    counts: dict[str, int] = {}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now, servers = datetime.now(UTC), ask("/api/v1/servers")["servers"]
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
    command = [_ORCHESTRATOR, "lab", "--servers", str(servers), "--refusing", str(refusing)]
    command += ["--hanging", str(hanging), "--inventory-file", str(inventory)]
    with _process(command, folder / "lab.log") as process:
        _wait_for(inventory.exists, process)
        yield inventory


@contextlib.contextmanager
def _broker(folder: Path, inventory: Path, interval: int) -> Iterator[tuple[int, Any]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "ORCHESTRATOR_DATABASE": f"sqlite:///{folder}/fleet.sqlite3",
        "ORCHESTRATOR_INVENTORY": str(inventory),
        "ORCHESTRATOR_PORT": str(port),
        "ORCHESTRATOR_POLL_INTERVAL": str(interval),
        "ORCHESTRATOR_LOG_LEVEL": "error",
    }
    url = f"http://127.0.0.1:{port}"
    with _process([_ORCHESTRATOR, "serve"], folder / "serve.log", environment) as process:
        _wait_for(lambda: _ready(url), process)
        token = _token(environment)

        def ask(path: str) -> Any:
            request = urllib.request.Request(url + path)
            request.add_header("Authorization", f"Bearer {token}")
            with _direct().open(request, timeout=60) as response:
                return json.load(response)

        yield process.pid, ask


@contextlib.contextmanager
def _process(
    command: list[str], log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *command],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | (environment or {}),
        )
        try:
            yield process
        except BaseException:
            sys.stderr.write(log.read_text(errors="replace")[-2000:])
            raise
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _wait_for(condition: Any, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while not condition():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{process.args!r} did not come up")
        time.sleep(0.2)


def _ready(url: str) -> bool:
    try:
        with _direct().open(f"{url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _direct() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _token(environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, _ORCHESTRATOR, "tokens", "create", "--role", "viewer", "--json"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return str(json.loads(done.stdout)["token"])
