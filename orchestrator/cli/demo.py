"""``orchestrator demo``: the whole way, from nothing to a streaming game.

It uses only what anybody can use: the commands of this program and the REST
API, with the broker and the lab as processes of their own.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console

from orchestrator.api import game_json, parse_decision
from orchestrator.cli.explain import print_decision
from orchestrator.cli.serve import sigterm_interrupts, stop_signals
from orchestrator.domain.errors import OrchestratorError
from orchestrator.lab import demo_games

GAME, MODE = "supertux", "event-driven"


class DemoFailed(OrchestratorError):
    """A step of the demo did not come out as it should."""

    code = "demo_failed"


@click.command()
@click.option(
    "--once",
    is_flag=True,
    envvar="ORCHESTRATOR_DEMO_ONCE",
    show_envvar=True,
    help="End when the game has ended, instead of leaving the dashboard up.",
)
@click.option(
    "--servers",
    default=3,
    show_default=True,
    type=click.IntRange(1, 50),
    envvar="ORCHESTRATOR_DEMO_SERVERS",
    show_envvar=True,
    help="How many simulated servers.",
)
def demo(once: bool, servers: int) -> None:
    """Start a lab and a broker, start a game, show where it streams, end it."""
    with sigterm_interrupts(), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-")))
        steps = Steps()
        inventory = folder / "lab.yml"
        database = f"sqlite:///{folder / 'broker.sqlite3'}"
        port = _free_port(5000)

        with steps(f"start {servers} simulated Windows servers"):
            lab = stack.enter_context(
                _process(
                    folder / "lab.log",
                    "lab",
                    f"--servers={servers}",
                    f"--inventory-file={inventory}",
                )
            )
            _wait(inventory.exists, lab, folder / "lab.log")
        with steps("check their inventory"):
            _run("inventory", "check", str(inventory))
        with steps("make an API token"):
            token = _run(
                "tokens", "create", "--role=admin", "--name=demo", f"--database={database}"
            )
        client = Client(f"http://127.0.0.1:{port}", token.strip())
        with steps(f"start the broker on {client.url}"):
            broker = stack.enter_context(
                _process(
                    folder / "broker.log",
                    "serve",
                    f"--inventory={inventory}",
                    f"--database={database}",
                    f"--port={port}",
                )
            )
            _wait(client.is_ready, broker, folder / "broker.log")
        with steps("add games to the catalogue"):
            for game in demo_games():
                client.post("/api/v1/games", game_json(game))
        with steps(f"start {GAME} ({MODE}) over WinRM"):
            started = client.post("/start_game", {"gameID": GAME, "excutemode": MODE})
        _show_start(client, started)
        with steps("end it"):
            ended = client.post(
                "/end_game",
                {"filename": GAME, "serverip": started["IP"], "pid": started["PID"]},
            )
        click.echo(f"\n  game {ended['gamestatus']}\n")
        if not once:
            click.echo(f"  dashboard  {client.url}/#token={token.strip()}")
            click.echo(f"  API token  {token.strip()}")
            click.echo(f"  database   --database={database}")
            click.echo("\n  Ctrl-C ends the demo and removes everything it made")
            with stop_signals() as stopped:
                stopped.wait()


class Steps:
    """Prints each step while it runs and when it is done."""

    def __init__(self) -> None:
        self._console = Console()

    @contextmanager
    def __call__(self, text: str) -> Iterator[None]:
        """One step; its time is shown when it ends well."""
        began = time.monotonic()
        if not self._console.is_terminal:
            click.echo(f"... {text}")
        with self._console.status(text):
            yield
        click.echo(f" ok {text} ({time.monotonic() - began:.1f} s)")


class Client:
    """The few REST calls that the demo needs, as a portal would send them."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.headers["Authorization"] = f"Bearer {token}"

    def is_ready(self) -> bool:
        """Whether the broker answers and has polled its servers."""
        try:
            return bool(self._http.get(f"{self.url}/readyz", timeout=2).ok)
        except requests.ConnectionError:
            return False

    def get(self, path: str) -> dict[str, Any]:
        """A GET that must succeed."""
        return self._checked(self._http.get(self.url + path, timeout=30))

    def post(self, path: str, body: object) -> dict[str, Any]:
        """A POST that must succeed."""
        return self._checked(self._http.post(self.url + path, json=body, timeout=120))

    def _checked(self, response: requests.Response) -> dict[str, Any]:
        body: dict[str, Any] = response.json()
        if not response.ok:
            raise DemoFailed(f"{response.url} answered {response.status_code}: {body}")
        return body


def _show_start(client: Client, started: dict[str, Any]) -> None:
    click.echo(f"\n  the game streams at  {started['rtsp_url']}")
    click.echo(f"  server {started['IP']}  PID {started['PID']}  session {started['session_id']}\n")
    click.echo("  why there (orchestrator explain):")
    decision = client.get(f"/api/v1/sessions/{started['session_id']}/decision")
    print_decision(parse_decision(decision))
    click.echo()


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator.cli", *arguments]


def _run(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        _command(*arguments), capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise DemoFailed(f"orchestrator {arguments[0]} failed: {done.stderr or done.stdout}")
    return done.stdout


@contextmanager
def _process(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own program
            _command(*arguments),
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=45)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(
    done: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float = 60
) -> None:
    end = time.monotonic() + seconds
    while not done():
        if process.poll() is not None or time.monotonic() > end:
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise DemoFailed(f"it did not come up; its log ends with:\n{tail}")
        time.sleep(0.05)


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise DemoFailed("no free port on 127.0.0.1")
