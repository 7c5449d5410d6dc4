"""Model of Sunshine.ps1: sessions that Sunshine streams."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PureWindowsPath
from typing import Any

from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.scripts import launch
from orchestrator.lab.windows.scripts.firewall import open_to_player
from orchestrator.lab.windows.scripts.outcome import ScriptError
from orchestrator.lab.windows.things import Sunshine, Task

_KEY = "orchestrator-session"


def is_sunshine(record: Mapping[str, Any], asked: Mapping[str, Any] | None) -> bool:
    """Whether a session is of this mode, by its record or else by its launch."""
    if record or asked is None:
        return record.get("mode") == "sunshine"
    return PureWindowsPath(str(asked["image"])).name.lower() == "sunshine.exe"


def resume_sunshine(computer: Computer, params: Mapping[str, Any]) -> dict[str, Any]:
    """The launch of a session that was started before."""
    record = launch.read_record(computer, params["SessionId"])
    if record is None or launch.find_identity(computer, record["launch"]) is None:
        raise ScriptError(
            "launch_ended", "the session was started before and Sunshine was restarted since"
        )
    return _answer(computer, params, record, changed=False)


def start_sunshine(computer: Computer, params: Mapping[str, Any], user: str) -> dict[str, Any]:
    """Register the session's app."""
    session_id: str = params["SessionId"]
    path = launch.task_path(session_id)
    sunshine = _called(computer, params)
    if sunshine is None:
        raise ScriptError("sunshine_unreachable", "Sunshine does not run")
    if "Register-ScheduledTask" in computer.denied:
        raise ScriptError("task_refused", f"the task {path} could not be registered: denied")
    open_to_player(computer, params)
    computer.tasks[path] = Task(path, "cmd.exe", "/c rem sunshine", "", user)
    if not any(app["name"] == params["AppName"] for app in sunshine.apps):
        folder = params.get("WorkingDirectory") or str(PureWindowsPath(params["Executable"]).parent)
        app = {"name": params["AppName"], "cmd": params["Executable"], "working-dir": folder}
        sunshine.apps.append({**app, _KEY: session_id})
        sunshine.apps.sort(key=lambda each: str(each["name"]))
    record = {"mode": "sunshine", "launch": launch.describe(sunshine.process)}
    launch.write_record(computer, session_id, record)
    return _answer(computer, params, record, changed=True)


def stop_sunshine(
    computer: Computer,
    session_id: str,
    record: Mapping[str, Any],
    asked: dict[str, Any] | None,
    params: Mapping[str, Any],
) -> dict[str, Any]:
    """Close what Sunshine runs, take the app out of its list; Sunshine stays."""
    known = (asked or record["launch"]) if record else None
    if record and asked is not None and launch.find_identity(computer, record["launch"]):
        launch.refuse_another(computer, asked)
    sunshine = _called(computer, params)
    answer: dict[str, Any] = {"session_id": session_id, "how": "already_gone", "ended": []}
    if sunshine is None:
        answer["warnings"] = ["Sunshine does not run: an app of this session stays in its list"]
    else:
        if known is not None and launch.is_identity(sunshine.process, known):
            children = [each for each in computer.tree(sunshine.process)[1:] if each.alive]
            for child in children:
                computer.kill_tree(child)
            answer["how"] = "graceful"
            answer["ended"] = [{"pid": each.pid, "image": each.image} for each in children]
        sunshine.apps = [app for app in sunshine.apps if app.get(_KEY) != session_id]
    removed = launch.remove_traces(computer, session_id)
    if asked is not None:
        launch.refuse_another(computer, asked)
    return {**answer, "changed": removed}


def _called(computer: Computer, params: Mapping[str, Any]) -> Sunshine | None:
    given = params.get("Sunshine") or {}
    if not given.get("user") or not given.get("password"):
        raise ScriptError("bad_parameter", "mode sunshine needs Sunshine: port, user and password")
    sunshine = computer.sunshine
    if sunshine is None or not sunshine.process.alive:
        return None
    if int(given.get("port", 47989)) != sunshine.port:
        raise ScriptError("sunshine_unreachable", "Sunshine does not answer on this port")
    if (given["user"], given["password"]) != (sunshine.user, sunshine.password):
        raise ScriptError("sunshine_refused", "Sunshine refuses the user or password")
    return sunshine


def _answer(
    computer: Computer, params: Mapping[str, Any], record: Mapping[str, Any], *, changed: bool
) -> dict[str, Any]:
    user = computer.desktop.user
    return {
        "session_id": params["SessionId"],
        **record["launch"],
        "companions": [],
        "desktop_user": f"{computer.name}\\{user}" if user else None,
        "windows_session": computer.desktop.session_id,
        "task": launch.task_path(params["SessionId"]),
        "stream_port": int(params.get("StreamPort", 0)),
        "changed": changed,
    }
