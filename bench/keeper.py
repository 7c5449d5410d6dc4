"""A process that does nothing but keep a connection to each server, and says how
large it is: with the first of them, and with all.

Reads ``{"client", "user", "password", "message", "servers": {name: [host, port]}}``
from stdin. Each client imports what it needs and no more; ours is the broker's
whole code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from bench.process import prepare, resident_megabytes

Ask = Callable[[str], object]


def ours(order: Mapping[str, Any]) -> Ask:
    from bench.lab import MEMORY
    from orchestrator.bootstrap import default_scripts
    from orchestrator.domain.server import Connection
    from orchestrator.transport import ScriptLibrary, WinrmGateway

    user, password = order["user"], order["password"]
    servers = {
        name: Connection(host, port, "http", "ntlm", user, password)
        for name, (host, port) in order["servers"].items()
    }
    gateway = WinrmGateway(servers, ScriptLibrary(default_scripts()), probe_timeout=60)
    return lambda name: gateway.query(name, MEMORY)


def pywinrm(order: Mapping[str, Any]) -> Ask:
    from winrm.protocol import Protocol

    kept: dict[str, Protocol] = {}

    def ask(name: str) -> object:
        if name not in kept:
            host, port = order["servers"][name]
            kept[name] = Protocol(
                f"http://{host}:{port}/wsman",
                transport="ntlm",
                username=order["user"],
                password=order["password"],
                proxy=None,
            )
        return kept[name].send_message(order["message"])

    return ask


def pypsrp(order: Mapping[str, Any]) -> Ask:
    from pypsrp.wsman import WSMan

    kept: dict[str, WSMan] = {}

    def ask(name: str) -> object:
        if name not in kept:
            host, port = order["servers"][name]
            kept[name] = WSMan(
                host,
                port=port,
                username=order["user"],
                password=order["password"],
                ssl=False,
                auth="ntlm",
                no_proxy=True,
            )
        return kept[name].transport.send(order["message"].encode())

    return ask


CLIENTS: dict[str, Callable[[Mapping[str, Any]], Ask]] = {
    "ours": ours,
    "pywinrm": pywinrm,
    "pypsrp": pypsrp,
}


def main() -> None:
    prepare()
    order = json.load(sys.stdin)
    ask = CLIENTS[order["client"]](order)
    first, *others = order["servers"]
    ask(first)
    one = resident_megabytes()
    # One after another: requests changes the environment while it works out
    # proxies, which its users' threads stumble over.
    for name in (*others, *order["servers"]):
        ask(name)
    sizes = {"one": one, "all": resident_megabytes()}
    sys.stdout.write(json.dumps(sizes) + "\n")


if __name__ == "__main__":
    main()
