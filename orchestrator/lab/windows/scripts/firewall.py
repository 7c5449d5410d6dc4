"""Model of Firewall.ps1: the rules that let one player reach one session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.gaconf import ConfError, read_conf
from orchestrator.lab.windows.scripts.outcome import ScriptError
from orchestrator.lab.windows.things import FirewallRule

_RTP = "6970-7069"


def open_to_player(computer: Computer, params: Mapping[str, Any]) -> None:
    """Open the session's ports to its player's address, where one is given."""
    address = params.get("PlayerAddress")
    if not address:
        return
    if "New-NetFirewallRule" in computer.denied:
        raise ScriptError("firewall_refused", "the firewall rule could not be made: Access denied.")
    for protocol, ports in _ports(computer, params).items():
        if ports:
            name = f"Orchestrator-{params['SessionId']}-{protocol}"
            computer.firewall[name] = FirewallRule("Orchestrator", protocol, ports, address)


def _ports(computer: Computer, params: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    stream, control = int(params.get("StreamPort", 0)), int(params.get("ControlPort", 0))
    if params["Mode"] == "sunshine":
        return {
            "TCP": tuple(str(stream + offset) for offset in (-5, 0, 21)),
            "UDP": tuple(str(stream + offset) for offset in (9, 10, 11, 13)),
        }
    tcp = (str(stream),) if stream else ()
    if params["Mode"] == "process":
        return {"TCP": tcp, "UDP": ()}
    extra = (str(control),) if control else ()
    try:
        is_tcp = read_conf(computer.files, params["ConfigPath"]).get("control-proto") == "tcp"
    except ConfError:
        is_tcp = False
    if is_tcp:
        return {"TCP": tcp + extra, "UDP": (_RTP,)}
    return {"TCP": tcp, "UDP": (_RTP, *extra)}
