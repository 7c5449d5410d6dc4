"""What is wrong between servers, each of which is right by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from orchestrator.inventory.nodes import Node, Report
from orchestrator.inventory.servers import HostReader, InventoryEntry

Checked = tuple[InventoryEntry, HostReader]


def check_endpoints(servers: Iterable[Checked], report: Report) -> None:
    """Two names for one WinRM endpoint would be one machine counted twice."""
    first: dict[tuple[str, int], Checked] = {}
    for entry, reader in servers:
        other = first.setdefault(_endpoint(entry), (entry, reader))
        if other[0] is entry:
            continue
        name, (host, port) = other[0].server.name, _endpoint(entry)
        message = (
            f"{entry.server.name} is at {host}:{port}, which is {name} "
            f"({_where(other[1].place('ansible_host'))}): correct one, or remove it"
        )
        report(reader.place("ansible_host").problem(message))


def check_streams(servers: Iterable[Checked], report: Report) -> None:
    """Servers behind one address need ports of their own, or players meet the wrong game."""
    by_address: defaultdict[str, list[Checked]] = defaultdict(list)
    for entry, reader in servers:
        by_address[entry.server.stream_address.lower()].append((entry, reader))
    for sharing in by_address.values():
        ordered = sorted(sharing, key=lambda each: each[0].server.ports.first)
        widest = ordered[0][0]
        for entry, reader in ordered[1:]:
            if entry.server.ports.first <= widest.server.ports.last:
                _report_overlap(widest, entry, reader, report)
            widest = max(widest, entry, key=lambda each: each.server.ports.last)


def _report_overlap(
    one: InventoryEntry, two: InventoryEntry, reader: HostReader, report: Report
) -> None:
    if _endpoint(one) == _endpoint(two):
        return
    message = (
        f"{two.server.name} and {one.server.name} send players to one address, "
        f"{two.server.stream_address}, and their ports overlap ({two.server.ports}, "
        f"{one.server.ports}): give each orchestrator_ports of its own"
    )
    report(reader.place("orchestrator_ports").problem(message))


def _endpoint(entry: InventoryEntry) -> tuple[str, int]:
    return entry.connection.host.lower(), entry.connection.port


def _where(node: Node) -> str:
    return f"{node.path}:{node.line}"
