"""Model of Get-Load.ps1."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.lab.machine import LabFault, Value
from orchestrator.lab.windows import wmi
from orchestrator.lab.windows.runs import ThreadedRun
from orchestrator.lab.windows.scripts.launch import moment


def get_load(run: ThreadedRun, params: Mapping[str, Any]) -> dict[str, Any]:
    """Each question's rows, or why there are none."""
    return {"answers": [_answer(run, each) for each in params["Question"]], "changed": False}


def _answer(run: ThreadedRun, question: Mapping[str, Any]) -> dict[str, Any]:
    words = ["SELECT", ", ".join(question["columns"]), "FROM", question["class"]]
    if question.get("filter"):
        words += ["WHERE", question["filter"]]
    try:
        rows = wmi.query(run.computer, " ".join(words), question["namespace"])
    except LabFault as fault:
        return {"rows": [], "error": fault.reason}
    return {
        "rows": [{name: _text(v) for name, v in row.properties.items()} for row in rows],
        "error": None,
    }


def _text(value: Value) -> str | None:
    if isinstance(value, datetime):
        return moment(value)
    return None if value is None else str(value)
