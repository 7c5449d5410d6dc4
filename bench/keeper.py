"""A process that does nothing but keep a connection to each server, and says how
large it is: first its own size, then its size with all of them.

Reads ``{"client", "servers": {name: [host, port]}}`` from stdin.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from bench.lab import MEMORY
from bench.labhost import PASSWORD, USER
from bench.process import prepare, resident_megabytes
from orchestrator.bootstrap import default_scripts
from orchestrator.domain.server import Connection
from orchestrator.transport import ScriptLibrary, WinrmGateway, soap, wql

_WORKERS = 16

Ask = Callable[[str], object]


def ours(servers: Mapping[str, Connection]) -> Ask:
    gateway = WinrmGateway(servers, ScriptLibrary(default_scripts()), probe_timeout=60)
    return lambda name: gateway.query(name, MEMORY)


def pywinrm(servers: Mapping[str, Connection]) -> Ask:
    from winrm.protocol import Protocol

    protocols: dict[str, Protocol] = {}

    def ask(name: str) -> object:
        settings = servers[name]
        if name not in protocols:
            protocols[name] = Protocol(
                settings.url,
                transport="ntlm",
                username=settings.user,
                password=settings.password,
                proxy=None,
            )
        return protocols[name].send_message(_message(settings.url))

    return ask


def pypsrp(servers: Mapping[str, Connection]) -> Ask:
    from pypsrp.wsman import WSMan

    kept: dict[str, WSMan] = {}

    def ask(name: str) -> object:
        settings = servers[name]
        if name not in kept:
            kept[name] = WSMan(
                settings.host,
                port=settings.port,
                username=settings.user,
                password=settings.password,
                ssl=False,
                auth="ntlm",
                no_proxy=True,
            )
        return kept[name].transport.send(_message(settings.url))

    return ask


CLIENTS: dict[str, Callable[[Mapping[str, Connection]], Ask]] = {
    "ours": ours,
    "pywinrm": pywinrm,
    "pypsrp": pypsrp,
}


def main() -> None:
    prepare()
    order = json.load(sys.stdin)
    servers = {
        name: Connection(host, port, "http", "ntlm", USER, PASSWORD)
        for name, (host, port) in order["servers"].items()
    }
    ask = CLIENTS[order["client"]](servers)
    first, *others = servers
    ask(first)
    alone = resident_megabytes()
    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(ask, others))
        list(pool.map(ask, servers))
        sizes = {"one": alone, "all": resident_megabytes()}
    sys.stdout.write(json.dumps(sizes) + "\n")
    sys.stdout.flush()
    sys.stdin.close()


def _message(url: str) -> bytes:
    return soap.envelope(
        url, f"{soap.ENUMERATION}/Enumerate", wql.CIMV2, wql.enumerate_body(MEMORY), 20
    )


if __name__ == "__main__":
    main()
