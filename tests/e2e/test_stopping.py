"""SIGTERM while a call to a server that hangs is under way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import requests

from orchestrator.bootstrap import Broker
from orchestrator.config import Settings
from orchestrator.domain.token import Role
from orchestrator.lab import Fault, FaultKind, Lab, demo_games
from orchestrator.ports import SessionQuery
from tests.waiting import waits_until

ROOT = Path(__file__).resolve().parents[2]


def prepared(database: str) -> str:
    """A token for a store with the demo's games in it."""
    with Broker(Settings(database=database)) as broker:
        broker.prepare_store()
        for game in demo_games():
            broker.add_game(game)
        return broker.tokens.create(Role.ADMIN, "test")[1]


def serving(log: Path) -> int | None:
    """The port, once it is listened on."""
    for line in log.read_text(encoding="utf-8").splitlines():
        if line.startswith("{") and json.loads(line)["event"] == "serving":
            return int(json.loads(line)["port"])
    return None


def test_sigterm_ends_the_broker_in_time_though_a_server_hangs(tmp_path: Path) -> None:
    database, inventory = f"sqlite:///{tmp_path / 'b.sqlite3'}", tmp_path / "lab.yml"
    log = tmp_path / "serve.log"
    token = prepared(database)
    with Lab(1, password="lab password") as lab, log.open("wb") as stream:
        inventory.write_text(lab.inventory_yaml(), encoding="utf-8")
        (server,) = lab.servers
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", "serve", f"--inventory={inventory}",
             f"--database={database}", "--port=0", "--call-timeout=600", "--stop-timeout=1",
             "--log-format=json"],
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith("ORCHESTRATOR_")},
        )  # fmt: skip
        try:
            assert waits_until(lambda: serving(log), 60), log.read_text()
            server.faults.add(Fault("Receive", FaultKind.HANG, times=None))
            answers: list[requests.Response] = []
            start = threading.Thread(target=post, args=(serving(log), token, answers), daemon=True)
            start.start()
            assert waits_until(lambda: server.faults.met["Receive"] > 0, 60), log.read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()
            start.join(60)
            (answer,) = answers
            assert (answer.status_code, answer.json()["state"]) == (202, "starting")
        finally:
            process.kill()
            process.wait()
        assert waits_until(lambda: server.open_connections == 0, 20)
    assert "Traceback" not in log.read_text()


def post(port: int, token: str, answers: list[requests.Response]) -> None:
    """Start a game."""
    with requests.Session() as http:
        http.trust_env = False
        http.headers["Authorization"] = f"Bearer {token}"
        body = {"game": "freeciv", "mode": "process"}
        url = f"http://127.0.0.1:{port}/api/v1/sessions"
        answers.append(http.post(url, json=body, timeout=120))


def test_a_start_that_is_interrupted_says_which_session_is_left(tmp_path: Path) -> None:
    database, inventory = f"sqlite:///{tmp_path / 'b.sqlite3'}", tmp_path / "lab.yml"
    prepared(database)
    with Lab(1, password="lab password") as lab:
        inventory.write_text(lab.inventory_yaml(), encoding="utf-8")
        (server,) = lab.servers
        server.faults.add(Fault("Receive", FaultKind.HANG, times=None))
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", "sessions", "start", "freeciv",
             "--mode=process", f"--inventory={inventory}", f"--database={database}",
             "--call-timeout=600"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith("ORCHESTRATOR_")},
        )  # fmt: skip
        try:
            assert waits_until(lambda: server.faults.met["Receive"] > 0, 60)
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
    with Broker(Settings(database=database)) as broker, broker.units(read_only=True) as uow:
        (left,) = uow.sessions.list(SessionQuery())
    assert (process.returncode, out) == (130, "")
    assert f"session {left.id} is starting on {left.server}: " in error
    assert "Traceback" not in error
