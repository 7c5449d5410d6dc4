"""WinRM: pywinrm's authentication and sealing on kept connections."""

from orchestrator.transport.gateway import WinrmGateway
from orchestrator.transport.scripts import ScriptLibrary
from orchestrator.transport.tracing import Totals

__all__ = ["ScriptLibrary", "Totals", "WinrmGateway"]
