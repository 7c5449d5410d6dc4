"""Memory of a process that keeps an authenticated connection to every server."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace

from bench.keeper import CLIENTS
from bench.lab import LabProcess, memory_message
from bench.report import Goal, Report


def run(options: Namespace) -> list[Report]:
    rows, sizes = [], {}
    with LabProcess(options.servers) as lab:
        for client in CLIENTS:
            before = lab.ask("counts")["connections"]
            size = sizes[client] = _measure(client, lab)
            opened = lab.ask("counts")["connections"] - before
            each = (size["all"] - size["one"]) * 1000 / max(1, options.servers - 1)
            rows.append(
                [client, f"{size['one']:.1f}", f"{size['all']:.1f}", f"{each:.1f}", str(opened)]
            )
    limit = 150 * max(1.0, options.servers / 1000)
    return [
        Report(
            f"Memory with a kept connection to each of {options.servers} servers",
            ("client", "one, MB", "all, MB", "KB a server", "connections"),
            rows,
            [Goal("resident size of the client's process", sizes["ours"]["all"], limit, " MB")],
            ["VmRSS of a process, after each server was asked twice; ours: all of the broker"],
        )
    ]


def _measure(client: str, lab: LabProcess) -> dict[str, float]:
    settings = next(iter(lab.connections.values()))
    order = {
        "client": client,
        "user": settings.user,
        "password": settings.password,
        "message": memory_message(settings.url).decode(),
        "servers": {name: [c.host, c.port] for name, c in lab.connections.items()},
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.keeper"],
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    sizes: dict[str, float] = json.loads(done.stdout)
    return sizes
