"""The two models of Windows that scenarios run through, and what they are compared by."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, Protocol

from powershell_source import FOLDER
from scenarios import BIN, CONFIG, GAME, LAUNCHER, LOGIN, SUNSHINE, Event, Scenario, Step, order
from windows_standin import MODULE, PWSH, TICKS, Windows, bootstrap, encoded, payload

from orchestrator.lab.windows.clock import ManualClock
from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.powershell import run_powershell
from orchestrator.lab.windows.programs import (
    CONFIG_DIRECTORY,
    GameBehaviour,
    install_game,
    install_gaminganywhere,
)

NOTEPAD = r"C:\Windows\notepad.exe"
DRIVER = Path(__file__).parent / "standins" / "scenario_driver.ps1"


class World(Protocol):
    """A server that scripts can be run on."""

    def call(self, script: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The envelope of a call."""
        ...

    def happen(self, event: str, launch: Mapping[str, Any]) -> None:
        """Let an event happen; ``launch`` is what the first start answered."""
        ...

    def left(self) -> dict[str, Any]:
        """What is on the server now: tasks, rules, files, apps, and who plays."""
        ...


def play(world: World, scenario: Scenario) -> list[dict[str, Any]]:
    """Run a scenario: what is normal of each call."""
    found: list[dict[str, Any]] = []
    launch: dict[str, Any] = {}
    for step in scenario.steps:
        if isinstance(step, Event):
            world.happen(step.what, launch)
            continue
        envelope = world.call(step.script, _parameters(step, scenario, launch))
        if step.script == "Start-Game" and envelope["ok"] and not launch:
            launch = envelope["data"]
        found.append(normal(envelope) | world.left())
    return found


def _parameters(step: Step, scenario: Scenario, launch: Mapping[str, Any]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"SessionId": "s-1"}
    if step.script == "Start-Game":
        parameters = order(scenario.mode)
    if step.identity and launch:
        parameters["ProcessId"] = launch["pid"]
        parameters["CreatedAt"] = launch["created_at"]
        parameters["Image"] = launch["image"]
    parameters |= step.changes
    return {name: value for name, value in parameters.items() if value is not None}


def normal(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """An envelope without what is of chance: PIDs, times and words."""
    data, error = envelope["data"], envelope["error"]
    return {
        "ok": envelope["ok"],
        "changed": envelope["changed"],
        "warnings": len(envelope["warnings"]),
        "code": error["code"] if error else None,
        "error_fields": sorted(error) if error else None,
        "fields": sorted(data),
        "has_pid": isinstance(data.get("pid"), int),
        "image": leaf(data.get("image")),
        "companions": sorted(leaf(each["image"]) for each in data.get("companions", [])),
        "how": data.get("how"),
        "ended": sorted(leaf(each["image"]) for each in data.get("ended", [])),
        "states": [each["state"] for each in data.get("launches", [])],
        "launches": [
            {
                **{name: each[name] for name in ("session_id", "state")},
                "fields": sorted(each),
                "image": leaf(each["image"]),
                "companions": sorted(leaf(other["image"]) for other in each["companions"]),
            }
            for each in data.get("launches", [])
        ],
        **{
            name: data.get(name)
            for name in ("session_id", "desktop_user", "windows_session", "task", "stream_port")
        },
    }


def leaf(path: str | None) -> str:
    """The last part of a Windows path; empty for none."""
    return PureWindowsPath(path).name if path else ""


class LabWorld:
    """The lab's model, in Python, whose time passes only while somebody waits."""

    def __init__(self, scenario: Scenario) -> None:
        self.computer = Computer("GAME01", clock=ManualClock())
        self.computer.boot()
        install_gaminganywhere(self.computer)
        facts = dict(scenario.facts)
        self._install(facts)
        if facts.get("sunshine") != "stopped":
            self.computer.run_sunshine(LOGIN["user"], LOGIN["password"])
        self._set_desktop(facts.get("desktop"))
        if "port_taken" in facts:
            other = self._spawn(NOTEPAD)
            self.computer.listen(other, facts["port_taken"])
        if "denied" in facts:
            self.computer.denied.add(facts["denied"])

    def call(self, script: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        host = self._spawn(r"C:\Windows\System32\winrshost.exe", session_id=0)
        arguments = f"-NoProfile -EncodedCommand {encoded(bootstrap())}"
        run = run_powershell(self.computer, host, "orchestrator", arguments)
        run.feed(payload(FOLDER / f"{script}.ps1", parameters))
        run.end_input()
        output = run.read(30)
        assert output is not None, "the lab did not answer"
        self.computer.exit(host, 0)
        envelope: dict[str, Any] = json.loads(output.stdout)
        return envelope

    def happen(self, event: str, launch: Mapping[str, Any]) -> None:
        computer = self.computer
        if event == "the game ends":
            for process in computer.processes():
                if process.image == GAME:
                    computer.exit(process, 0)
        elif event == "the PID is reused":
            computer.reuse_pid(launch["pid"], NOTEPAD)
        elif event == "a client starts the app":
            assert computer.sunshine is not None
            self._spawn(GAME, parent_pid=computer.sunshine.process.pid)
        else:
            assert event == "Sunshine is restarted"
            assert computer.sunshine is not None
            apps = computer.sunshine.apps
            computer.exit(computer.sunshine.process, 0)
            computer.run_sunshine(LOGIN["user"], LOGIN["password"]).apps = apps

    def left(self) -> dict[str, Any]:
        computer = self.computer
        sunshine = computer.sunshine
        tasks = sorted(path.removeprefix("\\Orchestrator\\") for path in computer.tasks)
        folders = (r"C:\ProgramData\Orchestrator", CONFIG_DIRECTORY)
        files = {path for folder in folders for path in computer.files.listing(folder)}
        return {
            "tasks": tasks,
            "files": sorted(files - {CONFIG}),
            "rules": {
                name: [rule.group, rule.protocol, list(rule.ports), rule.remote_address]
                for name, rule in computer.firewall.items()
            },
            "apps": [app["name"] for app in sunshine.apps] if sunshine else [],
            "playing": sorted(p.name for p in computer.processes() if _plays(p.name)),
        }

    def _install(self, facts: Mapping[str, Any]) -> None:
        behaviour = GameBehaviour(
            window="Neverball",
            streams=facts.get("streams", True),
            exits_after=facts.get("lives"),
            closes_on_request=facts.get("closes", False),
        )
        install_game(self.computer, GAME, behaviour)
        install_game(self.computer, LAUNCHER, GameBehaviour(child=GAME))
        self.computer.files.write(SUNSHINE, b"MZ")
        window = "Neverball" if facts.get("streams", True) else ""
        self.computer.files.write(
            CONFIG,
            f"include = common/server.conf\ngame-exe = {GAME}\nhook-type = sdl2\n"
            f"find-window-name = {window}\nserver-port = 1\n",
        )
        if not facts.get("streams", True):
            self.computer.programs[rf"{BIN}\ga-server-periodic.exe".lower()] = _never_opens

    def _set_desktop(self, desktop: str | None) -> None:
        if desktop == "nobody":
            self.computer.log_off()
        self.computer.desktop.locked = desktop == "locked"
        self.computer.desktop.disconnected = desktop == "disconnected"

    def _spawn(self, image: str, *, parent_pid: int = 1016, session_id: int = 1) -> Any:
        return self.computer.spawn(
            image, f'"{image}"', parent_pid=parent_pid, session_id=session_id, owner="player"
        )


def _never_opens(computer: Computer, process: Any) -> None:
    """A GamingAnywhere server that never gets as far as its port."""


def _plays(name: str) -> bool:
    return name in {"neverball.exe", "launcher.exe"} or name.startswith("ga-server")


class StandInWorld:
    """Our scripts on a real PowerShell, with stand-ins for the cmdlets of Windows."""

    def __init__(self, scenario: Scenario, folder: Path, driver: Driver) -> None:
        folder.mkdir()
        self.windows = Windows(folder)
        self._driver = driver
        facts = dict(scenario.facts)
        self._install(facts)
        if facts.get("sunshine") != "stopped":
            self._run_sunshine(5000, [{"name": "Desktop"}])
        self._set_desktop(facts.get("desktop"))
        if "port_taken" in facts:
            self.windows.add_process(3000, NOTEPAD)
            self._listen(facts["port_taken"], 3000)
        if "denied" in facts:
            self.windows.change(denied=[facts["denied"]])

    def call(self, script: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return self._driver.call(self.windows, payload(FOLDER / f"{script}.ps1", parameters))

    def happen(self, event: str, launch: Mapping[str, Any]) -> None:
        with self.windows.edit() as state:
            now = self.windows.now()
            process = next(p for p in state["processes"] if p["pid"] == launch["pid"])
            if event == "the game ends":
                process["ends"] = now
            elif event == "the PID is reused":
                created = process["created"] + TICKS
                process |= {"path": NOTEPAD, "name": "notepad.exe", "created": created}
            elif event == "a client starts the app":
                child = {"pid": 5004, "parent": 5000, "path": GAME, "name": "neverball.exe"}
                state["processes"].append({**process, **child, "created": now})
            else:
                assert event == "Sunshine is restarted"
                process["ends"] = now
                state["listeners"].clear()
        if event == "Sunshine is restarted":
            self._run_sunshine(6000, self.windows.read()["sunshine"]["apps"])

    def left(self) -> dict[str, Any]:
        state = self.windows.read()
        sunshine = state["sunshine"]
        kept = {CONFIG, rf"{CONFIG_DIRECTORY}\common\server.conf"}
        now = self.windows.now()
        return {
            "tasks": sorted(task["name"] for task in state["tasks"]),
            "files": sorted(self.windows.files() - kept),
            "rules": {
                name: [rule["group"], rule["protocol"], rule["ports"], *rule["address"]]
                for name, rule in state["rules"].items()
            },
            "apps": [app["name"] for app in sunshine["apps"]] if sunshine else [],
            "playing": sorted(
                p["name"]
                for p in state["processes"]
                if _plays(p["name"])
                and p["created"] <= now
                and (p["ends"] is None or p["ends"] > now)
            ),
        }

    def _install(self, facts: Mapping[str, Any]) -> None:
        windows = self.windows
        game = {name: facts[name] for name in ("lives", "closes") if name in facts}
        windows.program(GAME, **game)
        windows.program(LAUNCHER, lives=1.5, child=GAME)
        opens: dict[str, Any] = {"port": "config"} if facts.get("streams", True) else {}
        windows.program(BIN + r"\ga-server-periodic.exe", **opens)
        owner = {"port_owner": "child", "port_after": 0.3} if opens else {}
        windows.program(
            BIN + r"\ga-server-event-driven.exe", lives=0.2, child="config", **opens, **owner
        )
        windows.file(CONFIG, f"include = common/server.conf\ngame-exe = {GAME}\nserver-port = 1\n")
        windows.file(CONFIG_DIRECTORY + r"\common\server.conf", "control-proto = udp\n")

    def _run_sunshine(self, pid: int, apps: list[dict[str, Any]]) -> None:
        self.windows.add_process(pid, SUNSHINE, age=0 if pid == 6000 else 3600)
        self._listen(LOGIN["port"] + 1, pid)
        self.windows.change(sunshine={**LOGIN, "pid": pid, "apps": apps, "token": "t0ken"})

    def _set_desktop(self, desktop: str | None) -> None:
        if desktop == "nobody":
            kept = [p for p in self.windows.read()["processes"] if p["name"] != "explorer.exe"]
            self.windows.change(processes=kept, user=None, console_user=None)
        elif desktop is not None:
            connection = "disconnected" if desktop == "disconnected" else "active"
            self.windows.change(desktop={"connection": connection, "locked": desktop == "locked"})

    def _listen(self, port: int, pid: int) -> None:
        with self.windows.edit() as state:
            state["listeners"].append({"port": port, "pid": pid, "opens": 0})


class Driver:
    """One PowerShell that runs call after call, on whatever server it is told."""

    def __init__(self) -> None:
        assert PWSH is not None
        self._process = subprocess.Popen(
            [PWSH, "-NoLogo", "-NoProfile", "-File", str(DRIVER), "-Module", str(MODULE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self._send(bootstrap())

    def call(self, windows: Windows, stdin: bytes) -> dict[str, Any]:
        """The envelope of one call."""
        self._send(str(windows.state_file), str(windows.drive), stdin.decode("ascii"))
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith('{"v":1'):
                envelope: dict[str, Any] = json.loads(line)
                return envelope
        raise AssertionError("PowerShell ended without an answer")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _send(self, *texts: str) -> None:
        assert self._process.stdin is not None
        words = [base64.b64encode(text.encode("utf-8")).decode("ascii") for text in texts]
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
