"""Model of Stop-Game.ps1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.runs import ThreadedRun
from orchestrator.lab.windows.scripts import launch
from orchestrator.lab.windows.scripts.outcome import ScriptError
from orchestrator.lab.windows.scripts.sunshine import is_sunshine, stop_sunshine
from orchestrator.lab.windows.things import Process


def stop_game(run: ThreadedRun, params: Mapping[str, Any]) -> dict[str, Any]:
    """End a session's processes, then its tasks and files."""
    computer = run.computer
    session_id: str = params["SessionId"]
    record = launch.read_record(computer, session_id) or {}
    asked = _asked(params)
    if is_sunshine(record, asked):
        return stop_sunshine(computer, session_id, record, asked, params)
    if asked is not None:
        _refuse_another(computer, asked, session_id)
    return end_session(run, session_id, record, asked, float(params.get("GraceSec", 10)))


def end_session(
    run: ThreadedRun,
    session_id: str,
    record: Mapping[str, Any],
    asked: dict[str, Any] | None,
    grace: float,
) -> dict[str, Any]:
    """End what lives of a session; a process that only has its PID is left alone."""
    computer = run.computer
    identity = asked or record.get("launch")
    targets = [launch.find_identity(computer, identity)] if identity else []
    targets += [launch.find_identity(computer, each) for each in record.get("companions", [])]
    targets += [task.process for task in launch.running_tasks(computer, session_id)]
    living = _distinct([process for process in targets if process is not None and process.alive])
    ended = [process for target in living for process in computer.tree(target)]
    how = _end(run, living, grace) if living else "already_gone"
    found = launch.remove_traces(computer, session_id)
    return {
        "session_id": session_id,
        "how": how,
        "ended": [{"pid": process.pid, "image": process.image} for process in ended],
        "changed": bool(living) or found,
    }


def _asked(params: Mapping[str, Any]) -> dict[str, Any] | None:
    if params.get("ProcessId") is None:
        return None
    return {
        "pid": params["ProcessId"],
        "created_at": params["CreatedAt"],
        "image": params["Image"],
    }


def _refuse_another(computer: Computer, identity: dict[str, Any], session_id: str) -> None:
    try:
        launch.refuse_another(computer, identity)
    except ScriptError:
        if not _lives(computer, session_id):
            launch.remove_traces(computer, session_id)
        raise


def _lives(computer: Computer, session_id: str) -> bool:
    record = launch.read_record(computer, session_id) or {}
    known = [record.get("launch"), *record.get("companions", [])]
    living = any(each and launch.find_identity(computer, each) for each in known)
    return living or any(task.running for task in launch.running_tasks(computer, session_id))


def _distinct(processes: list[Process]) -> list[Process]:
    return list({process.pid: process for process in processes}.values())


def _end(run: ThreadedRun, living: list[Process], grace: float) -> str:
    for process in living:
        for each in run.computer.tree(process):
            if each.closes_on_request and grace > 0:
                run.computer.later(0.05, lambda each=each: run.computer.exit(each, 0))  # type: ignore[misc]
    if grace > 0:
        run.wait_until(lambda: not any(process.alive for process in living), grace)
    if not any(process.alive for process in living):
        return "graceful"
    for process in living:
        run.computer.kill_tree(process)
    return "forced"
