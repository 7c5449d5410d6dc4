"""Model of Start-Game.ps1."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import PureWindowsPath
from typing import Any

from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.programs import EVENT_DRIVEN, PERIODIC
from orchestrator.lab.windows.runs import ThreadedRun
from orchestrator.lab.windows.scripts import launch
from orchestrator.lab.windows.scripts.firewall import open_to_player
from orchestrator.lab.windows.scripts.outcome import ScriptError
from orchestrator.lab.windows.scripts.sunshine import resume_sunshine, start_sunshine
from orchestrator.lab.windows.things import Process, Task

_APPEARS = 15.0
"""Seconds until a process that was started must be there."""


def start_game(run: ThreadedRun, params: Mapping[str, Any]) -> dict[str, Any]:
    """Start a session's game, or return the launch that it has."""
    start = _Start(run, params)
    start.check_parameters()
    if launch.task_path(start.session_id) in run.computer.tasks:
        return resume_sunshine(run.computer, params) if start.mode == "sunshine" else start.join()
    start.check()
    if start.mode == "sunshine":
        return start_sunshine(run.computer, params, run.computer.desktop.user or "")
    try:
        return start.begin()
    except ScriptError:
        start.undo()
        raise


class _Start:
    def __init__(self, run: ThreadedRun, params: Mapping[str, Any]) -> None:
        self.run = run
        self.computer: Computer = run.computer
        self.params = params
        self.session_id: str = params["SessionId"]
        self.mode: str = params["Mode"]
        self.port = int(params.get("StreamPort", 0))
        self.timeout = float(params.get("ReadyTimeoutSec", 60))
        self.waits_for_port = self.mode != "process" or params.get("Ready", "port") == "port"
        self.began = self.computer.now()

    def check(self) -> None:
        """Everything that must be there before anything is changed."""
        self._must_exist(self.params["Executable"], "executable_missing")
        folder = self.params.get("WorkingDirectory")
        if folder and not self.computer.files.is_folder(folder):
            raise ScriptError("working_directory_missing", f"{folder} does not exist")
        if self.mode not in {"process", "sunshine"}:
            program = rf"{self.params['GaDirectory']}\{self._server_program()}"
            self._must_exist(program, "ga_missing")
            self._must_exist(self.params["ConfigPath"], "config_missing")
        self._check_desktop()
        if self.mode == "sunshine":
            return
        with self.computer.look():
            owner = self.computer.listeners.get(self.port)
        if self.waits_for_port and owner is not None:
            raise ScriptError("port_in_use", f"PID {owner} listens on port {self.port} already")

    def check_parameters(self) -> None:
        """What PowerShell would not find out while binding."""
        if self.mode == "sunshine" and self.params.get("Environment"):
            raise ScriptError("bad_parameter", "mode sunshine cannot set Environment")
        if self.mode == "sunshine" and not self.params.get("AppName"):
            raise ScriptError("bad_parameter", "mode sunshine needs AppName")
        if self.waits_for_port and not self.port:
            raise ScriptError("bad_parameter", "Ready port needs a StreamPort")
        try:
            if self.params.get("PlayerAddress"):
                ipaddress.ip_address(self.params["PlayerAddress"])
        except ValueError as error:
            raise ScriptError("bad_parameter", f"PlayerAddress: {error}") from None

    def _check_desktop(self) -> None:
        desktop = self.computer.desktop
        if desktop.user is None:
            raise ScriptError("desktop_missing", "nobody is logged on at the desktop")
        if desktop.disconnected:
            raise ScriptError("desktop_disconnected", "the remote desktop is disconnected")
        if desktop.locked:
            raise ScriptError("desktop_locked", "the desktop is locked")

    def begin(self) -> dict[str, Any]:
        """Register, start, find, wait until ready."""
        task = self._register()
        open_to_player(self.computer, self.params)
        config = self._copy_config()
        record = {"mode": self.mode, "port": self.port, "config": config}
        record["waits_for_port"] = self.waits_for_port
        launch.write_record(self.computer, self.session_id, record)
        companions: list[Process] = []
        if self.mode == "periodic":
            game = self._start_game_beside()
            self.run.wait_until(lambda: bool(game.window) or not game.alive, 2.0)
            companions.append(game)
        self.computer.run_task(task)
        process = self._find(task)
        record |= {"launch": launch.describe(process)}
        record |= {"companions": [launch.describe(each) for each in companions]}
        launch.write_record(self.computer, self.session_id, record)
        self._wait_ready(process)
        if not process.alive:
            record |= {"launch": launch.describe(_living_children(self.computer, process)[0])}
            launch.write_record(self.computer, self.session_id, record)
        return self._answer(record, changed=True)

    def join(self) -> dict[str, Any]:
        """The session has a task: return its launch, or wait for it."""

        def recorded() -> dict[str, Any] | None:
            record = launch.read_record(self.computer, self.session_id)
            return record if record is not None and "launch" in record else None

        self.run.wait_until(lambda: recorded() is not None, self.timeout)
        record = recorded()
        if record is None:
            message = "the session was started before and is not ready yet"
            raise ScriptError("not_ready", message)
        process = launch.find_identity(self.computer, record["launch"])
        if process is None:
            raise ScriptError("launch_ended", "the session's process has ended")
        self._wait_ready(process)
        return self._answer(record, changed=False)

    def undo(self) -> None:
        """A failed start leaves nothing behind."""
        record = launch.read_record(self.computer, self.session_id) or {}
        identities = [record.get("launch"), *record.get("companions", [])]
        for identity in identities:
            process = launch.find_identity(self.computer, identity) if identity else None
            if process is not None:
                self.computer.kill_tree(process)
        for task in launch.running_tasks(self.computer, self.session_id):
            if task.process is not None and task.process.alive:
                self.computer.kill_tree(task.process)
        launch.remove_traces(self.computer, self.session_id)

    def _server_program(self) -> str:
        return PureWindowsPath(PERIODIC if self.mode == "periodic" else EVENT_DRIVEN).name

    def _must_exist(self, path: str, code: str) -> None:
        if not self.computer.files.is_file(path):
            raise ScriptError(code, f"{path} does not exist")

    def _copy_config(self) -> str | None:
        if self.mode == "process":
            return None
        source = self.params["ConfigPath"]
        copy = launch.session_config(source, self.session_id)
        lines = [
            "",
            f"# session {self.session_id}",
            f"server-port = {self.port}",
            f"control-port = {self.params.get('ControlPort', 0)}",
            f"logfile = {launch.RECORDS}\\{self.session_id}.log",
            "",
        ]
        content = self.computer.files.read(source) or b""
        self.computer.files.write(copy, content + "\r\n".join(lines).encode("ascii"))
        return copy

    def _register(self) -> Task:
        directory = self.params.get("GaDirectory", "")
        if self.mode == "process":
            executable = self.params["Executable"]
            argument = " ".join(_quote(each) for each in self.params.get("Arguments") or [])
            directory = self.params.get("WorkingDirectory") or str(
                PureWindowsPath(executable).parent
            )
        else:
            config = launch.session_config(self.params["ConfigPath"], self.session_id)
            executable, argument = rf"{directory}\{self._server_program()}", f'"{config}"'
        task = self._task(launch.task_path(self.session_id), executable, argument, directory)
        task.environment = {e["name"]: e["value"] for e in self.params.get("Environment") or []}
        return task

    def _task(self, path: str, executable: str, argument: str, directory: str) -> Task:
        user = self.computer.desktop.user
        if user is None:
            raise ScriptError("desktop_missing", "nobody is logged on at the desktop")
        elevated = bool(self.params.get("Elevated"))
        if "Register-ScheduledTask" in self.computer.denied:
            raise ScriptError("task_refused", f"the task {path} could not be registered: denied")
        task = Task(path, executable, argument, directory, user, elevated)
        if self.computer.tasks.setdefault(path, task) is not task:
            raise ScriptError("task_refused", f"task {path} exists already")
        return task

    def _start_game_beside(self) -> Process:
        executable = self.params["Executable"]
        argument = " ".join(_quote(each) for each in self.params.get("Arguments") or [])
        folder = self.params.get("WorkingDirectory") or str(PureWindowsPath(executable).parent)
        task = self._task(launch.game_task_path(self.session_id), executable, argument, folder)
        self.computer.run_task(task)
        assert task.process is not None
        return task.process

    def _find(self, task: Task) -> Process:
        first = task.process
        assert first is not None
        wanted = self.params["Executable"].lower() if self.mode == "event-driven" else ""

        def candidates() -> list[Process]:
            if not wanted:
                return [p for p in self.computer.tree(first) if p.alive]
            return [
                p
                for p in self.computer.processes()
                if p.image.lower() == wanted
                and p.session_id != 0
                and p.parent_pid == first.pid
                and p.created_at >= first.created_at
            ]

        self.run.wait_until(lambda: bool(candidates()) or not first.alive, _APPEARS)
        self.run.wait_until(lambda: bool(candidates()), 0.2)
        found = candidates()
        if not found:
            detail = first.stderr.strip() or f"it ended with exit code {first.exit_code}"
            raise ScriptError("launch_failed", f"the process never appeared: {detail}")
        return found[0]

    def _wait_ready(self, process: Process) -> None:
        def listening() -> bool:
            owner = self.computer.listeners.get(self.port)
            return owner in {each.pid for each in self.computer.tree(process)}

        def ready_or_dead() -> bool:
            return not process.alive or (self.waits_for_port and listening())

        wait = self.timeout if self.waits_for_port else 0.3
        self.run.wait_until(ready_or_dead, wait)
        if not process.alive and not _living_children(self.computer, process):
            code = process.exit_code
            raise ScriptError("launch_failed", f"{process.image} ended with exit code {code}")
        if self.waits_for_port and not listening():
            seconds = int(self.timeout)
            raise ScriptError("not_ready", f"port {self.port} did not open within {seconds} s")

    def _answer(self, record: dict[str, Any], *, changed: bool) -> dict[str, Any]:
        user = self.computer.desktop.user
        return {
            "session_id": self.session_id,
            **record["launch"],
            "companions": record.get("companions", []),
            "desktop_user": f"{self.computer.name}\\{user}" if user else None,
            "windows_session": self.computer.desktop.session_id,
            "task": launch.task_path(self.session_id),
            "stream_port": self.port,
            "changed": changed,
        }


def _living_children(computer: Computer, process: Process) -> list[Process]:
    return [each for each in computer.tree(process) if each.alive and each is not process]


def _quote(argument: str) -> str:
    return f'"{argument}"' if not argument or " " in argument else argument
