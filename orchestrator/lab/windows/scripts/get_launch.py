"""Model of Get-Launch.ps1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.runs import ThreadedRun
from orchestrator.lab.windows.scripts import launch


def get_launch(run: ThreadedRun, params: Mapping[str, Any]) -> dict[str, Any]:
    """Every task of ours with its process, or the one of a session."""
    wanted = params.get("SessionId")
    with run.computer.look():
        paths = sorted(run.computer.tasks)
    ids = [path.removeprefix(launch.FOLDER) for path in paths if path.startswith(launch.FOLDER)]
    ids = [each for each in ids if not each.endswith(".game")]
    found = [_describe(run.computer, each) for each in ids if wanted in (None, each)]
    return {"launches": found, "changed": False}


def _describe(computer: Computer, session_id: str) -> dict[str, Any]:
    record = launch.read_record(computer, session_id) or {}
    identity = record.get("launch")
    nothing = {"pid": None, "created_at": None, "image": None}
    answer = {
        "session_id": session_id,
        "state": "starting",
        **(identity or nothing),
        "companions": [
            each
            for each in record.get("companions", [])
            if launch.find_identity(computer, each) is not None
        ],
    }
    if identity is None:
        tasks = launch.running_tasks(computer, session_id)
        if tasks and tasks[0].last_run is not None and not tasks[0].running:
            answer["state"] = "gone"
        return answer
    process = launch.find_identity(computer, identity)
    if process is None:
        answer["state"] = "gone"
    elif not record.get("waits_for_port") or _listens(computer, record["port"], process.pid):
        answer["state"] = "running"
    return answer


def _listens(computer: Computer, port: int, pid: int) -> bool:
    with computer.look():
        process = computer.process(pid)
        tree = {each.pid for each in computer.tree(process)} if process else set()
        return computer.listeners.get(port) in tree
