"""Get-Load in a real PowerShell, on a small Windows of stand-ins."""

from __future__ import annotations

from typing import Any

import pytest
from windows_standin import Windows

pytestmark = pytest.mark.pwsh

USER = {
    "class": "Win32_ComputerSystem",
    "filter": "",
    "namespace": "root/cimv2",
    "columns": ["UserName", "Missing"],
}
PROCESSES = {
    "class": "Win32_Process",
    "filter": "Name='explorer.exe'",
    "namespace": "root/cimv2",
    "columns": ["ProcessId", "CreationDate", "ExecutablePath", "SessionId"],
}
NOTHING = {**USER, "class": "Win32_Nothing"}


def ask(windows: Windows, *questions: dict[str, Any]) -> list[dict[str, Any]]:
    data = windows.call("Get-Load", Question=list(questions)).data
    answers: list[dict[str, Any]] = data["answers"]
    return answers


def test_each_question_has_its_rows_or_its_error(windows: Windows) -> None:
    user, nothing, processes = ask(windows, USER, NOTHING, PROCESSES)
    assert user == {"rows": [{"UserName": r"GAME01\player", "Missing": None}], "error": None}
    assert nothing["rows"] == []
    assert "Invalid class" in nothing["error"]
    (explorer,) = [row for row in processes["rows"] if row["ProcessId"] == "1200"]
    assert explorer["ExecutablePath"] == r"C:\Windows\explorer.exe"
    assert explorer["SessionId"] == "1"
    assert explorer["CreationDate"].endswith("Z")


def test_one_question_is_a_list_too(windows: Windows) -> None:
    (user,) = ask(windows, USER)
    assert len(user["rows"]) == 1


def test_without_a_question_the_parameter_is_wrong(windows: Windows) -> None:
    assert windows.call("Get-Load").code == "bad_parameter"
