"""Model of Remove-Launch.ps1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.lab.windows.runs import ThreadedRun
from orchestrator.lab.windows.scripts import launch
from orchestrator.lab.windows.scripts.stop_game import end_session
from orchestrator.lab.windows.scripts.sunshine import is_sunshine, stop_sunshine


def remove_launch(run: ThreadedRun, params: Mapping[str, Any]) -> dict[str, Any]:
    """End what a session still has here, by the server's own record."""
    session_id: str = params["SessionId"]
    record = launch.read_record(run.computer, session_id) or {}
    if is_sunshine(record, None):
        return stop_sunshine(run.computer, session_id, record, None, params)
    return end_session(run, session_id, record, None, float(params.get("GraceSec", 10)))
