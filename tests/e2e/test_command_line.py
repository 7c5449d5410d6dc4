"""The ``orchestrator`` command as a process, as people and scripts use it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ORCHESTRATOR_")}
    return {**kept, "PYTHONWARNINGS": "error::ResourceWarning", **more}


def run(*arguments: str, code: int = 0, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**more),
        cwd=ROOT,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + (done.stderr if code else "")


def start(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", *arguments],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment(),
            cwd=ROOT,
        )


def wait_for(process: subprocess.Popen[bytes], log: Path, done: object) -> None:
    end = time.monotonic() + 60
    while not done():  # type: ignore[operator]
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    inventory, log = tmp_path / "lab.yml", tmp_path / "lab.log"
    process = start(log, "lab", "--servers=2", f"--inventory-file={inventory}")
    wait_for(process, log, inventory.exists)
    yield inventory
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert not inventory.exists()


def test_the_commands_work_without_a_running_broker(lab: Path, tmp_path: Path) -> None:
    fleet = {
        "ORCHESTRATOR_INVENTORY": str(lab),
        "ORCHESTRATOR_DATABASE": f"sqlite:///{tmp_path / 'b.sqlite3'}",
    }
    assert "no problems" in run("inventory", "check", str(lab))
    newest = max(path.name for path in (ROOT / "db" / "versions").glob("[0-9]*.py"))[:4]
    assert json.loads(run("db", "upgrade", "--json", **fleet)) == {"revision": newest}
    assert run("tokens", "create", "--role", "viewer", **fleet).startswith("orch_")
    (token,) = json.loads(run("tokens", "list", "--json", **fleet))
    run("tokens", "revoke", token["id"], **fleet)
    checked = json.loads(run("servers", "check", "--json", **fleet))
    assert [server["health"] for server in checked] == ["up", "up"]
    assert [server["verdict"] for server in checked] == ["ok", "ok"]
    assert {"polling", "scripts", "desktop", "clock"} <= {i["name"] for i in checked[0]["items"]}
    assert "game-01" in run("servers", "list", **fleet)
    table = run("servers", "check", "game-01", **fleet)
    assert re.fullmatch(r"1 server: \d+ ok, 0 warnings, 0 problems", table.splitlines()[-1])
    game = tmp_path / "game.json"
    game.write_text(
        json.dumps(
            {
                "id": "supertux",
                "modes": {
                    "event-driven": {
                        "executable": r"C:\Games\SuperTux\supertux2.exe",
                        "config_file": "supertux.conf",
                        "hook_type": "sdl2",
                    }
                },
            }
        )
    )
    assert "added" in run("games", "add", str(game), **fleet)
    assert "supertux" in run("games", "list", **fleet)
    run("servers", "drain", "game-02", **fleet)
    session = json.loads(
        run("sessions", "start", "supertux", "--mode", "event-driven", "--json", **fleet)
    )
    assert session["state"] == "running"
    assert session["server"] == "game-01"
    explained = run("explain", session["id"], **fleet)
    assert "is drained (not_drained)" in explained
    assert "chosen" in explained
    assert session["rtsp_url"] in run("sessions", "list", **fleet)
    assert "session_running" in run("sessions", "show", session["id"], **fleet)
    ended = run("sessions", "end", session["id"], **fleet)
    assert "graceful" in ended
    run("servers", "resume", "game-02", **fleet)


def test_errors_are_one_line_with_the_code_or_json(tmp_path: Path) -> None:
    database = f"--database=sqlite:///{tmp_path / 'b.sqlite3'}"
    run("db", "upgrade", database)
    unknown = run("explain", "x", database, code=1)
    assert "no session 'x'; 'orchestrator sessions list' shows those there are" in unknown
    assert "[unknown_session]" in unknown
    body = json.loads(run("explain", "x", "--json", database, code=1))
    assert body["error"]["code"] == "unknown_session"
    assert "--inventory" in run("sessions", "end", "x", database, code=1)
    broken = tmp_path / "broken.yml"
    broken.write_text("all:\n  hosts:\n    a:\n      orchestrator_slotz: 1\n")
    shown = run("inventory", "check", str(broken), code=1)
    assert f"{broken}:4:27: there is no variable orchestrator_slotz: did you mean" in shown
    assert "nothing was loaded" in shown
    assert "Usage" in run("tokens", "create", code=2)


def test_serve_answers_until_sigterm_and_stops_cleanly(lab: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'b.sqlite3'}"
    token = run("tokens", "create", "--role=admin", f"--database={database}").strip()
    log = tmp_path / "serve.log"
    process = start(
        log,
        "serve",
        f"--inventory={lab}",
        f"--database={database}",
        "--port=0",
        "--log-format=json",
    )
    wait_for(process, log, lambda: b'"serving"' in log.read_bytes())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    port = next(line["port"] for line in lines if line["event"] == "serving")
    with requests.Session() as http:
        http.trust_env = False
        http.headers["Authorization"] = f"Bearer {token}"
        url = f"http://127.0.0.1:{port}"
        assert http.get(f"{url}/readyz", timeout=10).status_code == 200
        servers = http.get(f"{url}/api/v1/servers", timeout=10).json()["servers"]
        assert [server["health"] for server in servers] == ["up", "up"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[-1]["event"] == "stopped"
    request = next(line for line in lines if line.get("path") == "/api/v1/servers")
    assert request["request_id"]
    assert token not in log.read_text()


def test_the_demo_shows_a_stream_and_ends_with_0(tmp_path: Path) -> None:
    shown = run("demo", "--once")
    assert "the game streams at  rtsp://127.0.0.1:" in shown
    assert "game ended" in shown
