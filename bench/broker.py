"""The real commands as processes: a lab's, a broker's, and how to ask the latter."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ORCHESTRATOR = str(Path(sysconfig.get_path("scripts")) / "orchestrator")
_START_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that is ready."""

    pid: int
    url: str
    token: str

    def get(self, path: str) -> Any:
        """The answer's JSON."""
        return self._ask(path, None)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """The answer's JSON; an error where the broker refuses."""
        return self._ask(path, json.dumps(body).encode())

    def _ask(self, path: str, body: bytes | None) -> Any:
        request = urllib.request.Request(self.url + path, body)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        with _direct().open(request, timeout=60) as response:
            return json.load(response)


@contextlib.contextmanager
def broker(
    folder: Path, inventory: Path, *, interval: int | None = None, role: str = "viewer"
) -> Iterator[RunningBroker]:
    """``orchestrator serve`` at its default settings, but for ``interval``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "ORCHESTRATOR_DATABASE": f"sqlite:///{folder}/broker.sqlite3",
        "ORCHESTRATOR_INVENTORY": str(inventory),
        "ORCHESTRATOR_PORT": str(port),
        "ORCHESTRATOR_LOG_LEVEL": "error",
    }
    if interval is not None:
        environment["ORCHESTRATOR_POLL_INTERVAL"] = str(interval)
    url = f"http://127.0.0.1:{port}"
    with process([ORCHESTRATOR, "serve"], folder / "serve.log", environment) as running:
        wait_for(lambda: _ready(url), running)
        yield RunningBroker(running.pid, url, _token(environment, role))


@contextlib.contextmanager
def process(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program; what it said is shown where the block fails."""
    with log.open("wb") as stream:
        running = subprocess.Popen(
            [sys.executable, *command],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | (environment or {}),
        )
        try:
            yield running
        except BaseException:
            sys.stderr.write(log.read_text(errors="replace")[-2000:])
            raise
        finally:
            running.send_signal(signal.SIGINT)
            running.wait()


def wait_for(condition: Callable[[], bool], running: subprocess.Popen[bytes]) -> None:
    """RuntimeError where the process ends or takes too long before it comes true."""
    until = time.monotonic() + _START_SECONDS
    while not condition():
        if running.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{running.args!r} did not come up")
        time.sleep(0.2)


def _ready(url: str) -> bool:
    try:
        with _direct().open(f"{url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _direct() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _token(environment: Mapping[str, str], role: str) -> str:
    done = subprocess.run(
        [sys.executable, ORCHESTRATOR, "tokens", "create", "--role", role, "--json"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return str(json.loads(done.stdout)["token"])
