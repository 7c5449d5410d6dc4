"""What the three scripts share: a session's tasks, files and launch."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import PureWindowsPath
from typing import Any

from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.scripts.outcome import ScriptError
from orchestrator.lab.windows.things import Process, Task

FOLDER = "\\Orchestrator\\"
RECORDS = r"C:\ProgramData\Orchestrator"
TOLERANCE = timedelta(milliseconds=50)


def task_path(session_id: str) -> str:
    """The session's task."""
    return FOLDER + session_id


def game_task_path(session_id: str) -> str:
    """The task of the game beside a periodic server."""
    return f"{FOLDER}{session_id}.game"


def moment(value: datetime) -> str:
    """A time as the scripts write it."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def parse_moment(text: str) -> datetime:
    """A time as the scripts read it; any number of fraction digits."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
    return datetime.fromisoformat(whole).replace(tzinfo=UTC) + timedelta(microseconds=micro)


def describe(process: Process) -> dict[str, Any]:
    """A process's identity."""
    return {
        "pid": process.pid,
        "created_at": moment(process.created_at),
        "image": process.image,
    }


def find_identity(computer: Computer, identity: dict[str, Any]) -> Process | None:
    """The living process that is exactly this one."""
    process = computer.process(int(identity["pid"]))
    return process if process is not None and is_identity(process, identity) else None


def is_identity(process: Process, identity: dict[str, Any]) -> bool:
    """Whether PID, creation time and image all fit."""
    wanted = PureWindowsPath(str(identity["image"]))
    found = PureWindowsPath(process.image)
    if wanted.parent == PureWindowsPath():
        same = wanted.name.lower() == found.name.lower()
    else:
        same = wanted == found
    near = abs(parse_moment(str(identity["created_at"])) - process.created_at) <= TOLERANCE
    return process.pid == int(identity["pid"]) and near and same


def refuse_another(computer: Computer, identity: dict[str, Any]) -> None:
    """identity_mismatch where another process has the PID now."""
    process = computer.process(int(identity["pid"]))
    if process is None or is_identity(process, identity):
        return
    raise ScriptError(
        "identity_mismatch",
        f"PID {process.pid} is {process.image}, created {moment(process.created_at)}, "
        f"not {identity['image']}, created {identity['created_at']}",
    )


def record_file(session_id: str) -> str:
    """Where the server keeps what it knows of a session."""
    return rf"{RECORDS}\{session_id}.json"


def read_record(computer: Computer, session_id: str) -> dict[str, Any] | None:
    """The server's own record of a session."""
    content = computer.files.read(record_file(session_id))
    if content is None:
        return None
    record: dict[str, Any] = json.loads(content)
    return record


def write_record(computer: Computer, session_id: str, record: dict[str, Any]) -> None:
    """Keep it."""
    computer.files.write(record_file(session_id), json.dumps(record))


def session_config(config_path: str, session_id: str) -> str:
    """The per-session copy of a config, beside it because includes are relative."""
    path = PureWindowsPath(config_path)
    return str(path.with_name(f"{path.stem}.{session_id}{path.suffix}"))


def remove_traces(computer: Computer, session_id: str) -> bool:
    """Remove a session's tasks, firewall rules and files; whether a task was there."""
    record = read_record(computer, session_id)
    found = False
    if record is not None and record.get("config"):
        computer.files.remove(record["config"])
    computer.files.remove(record_file(session_id))
    for protocol in ("TCP", "UDP"):
        computer.firewall.pop(f"Orchestrator-{session_id}-{protocol}", None)
    for path in (task_path(session_id), game_task_path(session_id)):
        found = computer.tasks.pop(path, None) is not None or found
    return found


def running_tasks(computer: Computer, session_id: str) -> list[Task]:
    """The session's tasks, its own first."""
    paths = (task_path(session_id), game_task_path(session_id))
    return [computer.tasks[path] for path in paths if path in computer.tasks]
