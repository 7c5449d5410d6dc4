"""Simulated Windows servers that speak real WinRM on loopback ports.

The newcomer's fleet and the tests' fleet. ``server`` and what it uses speak
the protocol, ``windows`` models the computer behind it, ``faults`` lets things
go wrong. It shares no code with the transport, so that a mistake in one shows
in the other.
"""

from orchestrator.lab.dialect import DIALECTS, Dialect, Quotas
from orchestrator.lab.faults import Fault, FaultKind
from orchestrator.lab.fleet import Lab, LabHost, build_computer, demo_games
from orchestrator.lab.server import LabServer

__all__ = [
    "DIALECTS",
    "Dialect",
    "Fault",
    "FaultKind",
    "Lab",
    "LabHost",
    "LabServer",
    "Quotas",
    "build_computer",
    "demo_games",
]
