"""A model of a Windows server: what a game's start and end depend on.

Processes with creation times and reused PIDs, session 0 and the desktop,
scheduled tasks, listening ports, files, load that follows what runs. It runs
no PowerShell: the scripts' effects are modelled in ``scripts``.
"""

from orchestrator.lab.windows.clock import ManualClock, RealClock
from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.machine import WindowsMachine
from orchestrator.lab.windows.things import Desktop, Process, Task

__all__ = [
    "Computer",
    "Desktop",
    "ManualClock",
    "Process",
    "RealClock",
    "Task",
    "WindowsMachine",
]
