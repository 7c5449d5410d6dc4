"""Models of the scripts in ``scripts/powershell``, by name: docs/scripts.md in Python.

They act on the computer as the PowerShell does on Windows, and know nothing of
the broker.
"""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.lab.windows.runs import ThreadedRun
from orchestrator.lab.windows.scripts.check import test_runtime_server
from orchestrator.lab.windows.scripts.files import read_file, write_file
from orchestrator.lab.windows.scripts.get_launch import get_launch
from orchestrator.lab.windows.scripts.get_load import get_load
from orchestrator.lab.windows.scripts.remove_launch import remove_launch
from orchestrator.lab.windows.scripts.start_game import start_game
from orchestrator.lab.windows.scripts.stop_game import stop_game

MODELS: Mapping[str, Callable[[ThreadedRun, Mapping[str, Any]], dict[str, Any]]] = {
    "Get-Launch": get_launch,
    "Get-Load": get_load,
    "Read-File": read_file,
    "Remove-Launch": remove_launch,
    "Start-Game": start_game,
    "Stop-Game": stop_game,
    "Test-RuntimeServer": test_runtime_server,
    "Write-File": write_file,
}
