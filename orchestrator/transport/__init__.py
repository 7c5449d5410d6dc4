"""WinRM: pywinrm's authentication and sealing on kept connections."""

from orchestrator.transport.gateway import WinrmGateway
from orchestrator.transport.scripts import ScriptLibrary

__all__ = ["ScriptLibrary", "WinrmGateway"]
