"""A small Windows for the scripts: PowerShell on this machine, with stand-ins.

The stand-ins (``standins/WindowsStandIns.psm1``) keep their state in a JSON
file, so that one call finds what the call before it left, and a test can look
and change things in between.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from powershell_source import FOLDER, Source

MODULE = Path(__file__).parent / "standins" / "WindowsStandIns.psm1"
PWSH = shutil.which("pwsh")

FLAGS = ["-NoLogo", "-NoProfile", "-NonInteractive", "-EncodedCommand"]

TICKS = 10_000_000
UNIX_EPOCH_TICKS = 621_355_968_000_000_000


def encoded(source: str) -> str:
    """A command as -EncodedCommand takes it."""
    return base64.b64encode(source.encode("utf-16-le")).decode("ascii")


def bootstrap() -> str:
    """The bootstrap as a sender strips it."""
    lines = (line.strip() for line in (FOLDER / "Bootstrap.ps1").read_text("ascii").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def payload(script: Path, parameters: Mapping[str, Any]) -> bytes:
    """What the bootstrap reads from stdin for a file of ours."""
    source = Source(script)
    modules = [(FOLDER / name).read_text("ascii") for name in source.needs]
    return pack(script.stem, source.text, parameters, modules)


def pack(name: str, text: str, parameters: Mapping[str, Any], modules: list[str]) -> bytes:
    """What the bootstrap reads from stdin."""
    body = {"name": name, "script": text, "params": parameters, "modules": modules}
    return base64.b64encode(json.dumps(body).encode("ascii"))


class Answer:
    """What a call wrote: its envelope, exit code and everything before."""

    def __init__(self, finished: subprocess.CompletedProcess[bytes]) -> None:
        lines = finished.stdout.decode("utf-8").strip().splitlines()
        assert lines, finished.stderr.decode("utf-8", "replace")
        assert lines[-1].isascii()
        self.envelope: dict[str, Any] = json.loads(lines[-1])
        self.before = lines[:-1]
        self.exit_code = finished.returncode
        assert list(self.envelope) == ["v", "ok", "changed", "data", "warnings", "error"]
        assert self.envelope["v"] == 1
        assert (self.exit_code == 0) == self.envelope["ok"]

    @property
    def data(self) -> dict[str, Any]:
        """The data of a success."""
        assert self.envelope["ok"], self.envelope["error"]
        data: dict[str, Any] = self.envelope["data"]
        return data

    @property
    def error(self) -> dict[str, Any]:
        """The error of a failure."""
        assert not self.envelope["ok"], self.envelope["data"]
        error: dict[str, Any] = self.envelope["error"]
        return error

    @property
    def code(self) -> str:
        """The error's code."""
        code: str = self.error["code"]
        return code


class Windows:
    """The state, the C: drive and the calls."""

    def __init__(self, folder: Path) -> None:
        self.drive = folder / "c"
        self.drive.mkdir()
        self.state_file = folder / "state.json"
        self.write(
            {
                "user": "GAME01\\player",
                "console_user": "GAME01\\player",
                "session": 1,
                "next_pid": 4000,
                "programs": {},
                "processes": [],
                "tasks": [],
                "listeners": [],
                "rules": {},
                "desktop": None,
                "sunshine": None,
                "denied": [],
                "calls": [],
            }
        )
        self.add_process(900, r"C:\Windows\System32\svchost.exe", session=0)
        self.add_process(1200, r"C:\Windows\explorer.exe", session=1)

    def read(self) -> dict[str, Any]:
        """The state."""
        state: dict[str, Any] = json.loads(self.state_file.read_text("utf-8-sig"))
        return state

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace the state."""
        fresh = self.state_file.with_suffix(".fresh")
        fresh.write_text(json.dumps(state), "utf-8")
        fresh.replace(self.state_file)

    @contextmanager
    def edit(self) -> Iterator[dict[str, Any]]:
        """The state, to be changed while a call may be under way."""
        with Path(f"{self.state_file}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.read()
            yield state
            self.write(state)

    def change(self, **values: Any) -> None:
        """Set some of the state's entries."""
        with self.edit() as state:
            state.update(values)

    def program(self, path: str, **behaviour: Any) -> str:
        """Put an executable on the drive and tell what it does; its path."""
        self.file(path, "MZ")
        with self.edit() as state:
            state["programs"][path.lower()] = behaviour
        return path

    def file(self, path: str, text: str) -> Path:
        """Put a file on the drive."""
        target = self.at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("utf-8"))
        return target

    def at(self, path: str) -> Path:
        """Where a Windows path is on this machine."""
        return self.drive.joinpath(*path.removeprefix("C:\\").split("\\"))

    def files(self) -> set[str]:
        """Files of the drive that are neither programs nor the games' own."""
        found = (p for p in self.drive.rglob("*") if p.is_file() and p.suffix != ".exe")
        return {"C:\\" + "\\".join(p.relative_to(self.drive).parts) for p in found}

    def add_process(self, pid: int, path: str, *, session: int = 1, age: float = 3600) -> None:
        """A process that runs already; ``age`` in seconds."""
        name = path.rsplit("\\", 1)[-1]
        created = self.now() - int(age * TICKS)
        process = {
            "pid": pid,
            "parent": 4,
            "path": path,
            "name": name,
            "command_line": f'"{path}"',
            "session": session,
            "created": created,
            "ends": None,
            "closes": False,
            "immortal": False,
            "hidden": False,
        }
        with self.edit() as state:
            state["processes"].append(process)

    @staticmethod
    def now() -> int:
        """The time in .NET's ticks."""
        return UNIX_EPOCH_TICKS + int(time.time() * TICKS)

    def processes(self, name: str) -> list[dict[str, Any]]:
        """Living processes of an image's name."""
        now = self.now()
        return [
            p
            for p in self.read()["processes"]
            if p["name"] == name and p["created"] <= now and (p["ends"] is None or p["ends"] > now)
        ]

    def tasks(self) -> list[str]:
        """Names of the registered tasks."""
        return [task["path"] + task["name"] for task in self.read()["tasks"]]

    def begin(self, stdin: bytes, more: str = "") -> subprocess.Popen[bytes]:
        """Start a call; ``end`` it afterwards. ``more`` runs before it."""
        assert PWSH is not None
        load = f"Import-Module '{MODULE}'\n{more}\n"
        process = subprocess.Popen(
            [PWSH, *FLAGS, encoded(load + bootstrap())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "ORCHESTRATOR_STANDINS_STATE": str(self.state_file),
                "ORCHESTRATOR_STANDINS_DRIVE": str(self.drive),
                "POWERSHELL_TELEMETRY_OPTOUT": "1",
                "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
            },
        )
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def end(self, process: subprocess.Popen[bytes]) -> Answer:
        """Wait for a call's answer."""
        try:
            stdout, stderr = process.communicate(timeout=120)
        finally:
            process.kill()
            process.wait()
        return Answer(subprocess.CompletedProcess([], process.returncode, stdout, stderr))

    def begin_call(self, script: str, parameters: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        """Start one of our scripts."""
        return self.begin(payload(FOLDER / f"{script}.ps1", parameters))

    @staticmethod
    def close(process: subprocess.Popen[bytes]) -> None:
        """Give a killed call's pipes back."""
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def wait_until(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 30) -> None:
        """Poll the state until it is as wanted."""
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not condition(self.read()):
            assert time.monotonic() < deadline, "it never came to be"
            pause.wait(0.05)

    def call(self, script: str, **parameters: Any) -> Answer:
        """Run one of our scripts."""
        return self.end(self.begin_call(script, parameters))

    def run(self, text: str, modules: tuple[str, ...] = (), **parameters: Any) -> Answer:
        """Run a script's text through the bootstrap."""
        return self.end(self.begin(pack("Probe", text, parameters, list(modules))))
