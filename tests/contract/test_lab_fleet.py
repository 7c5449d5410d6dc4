"""A lab of many servers, some of them dead."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from orchestrator.bootstrap import default_scripts
from orchestrator.domain.errors import ServerCallError, ServerUnreachable
from orchestrator.inventory import load_inventory
from orchestrator.lab import Lab
from orchestrator.transport import ScriptLibrary, WinrmGateway


def test_the_last_servers_of_a_lab_are_dead_as_asked(tmp_path: Path) -> None:
    with Lab(3, password="secret", refusing=1, hanging=1) as lab:
        assert [host.name for host in lab.hosts] == ["game-01", "game-02", "game-03"]
        inventory = tmp_path / "lab.yml"
        inventory.write_text(lab.inventory_yaml(), encoding="utf-8")
        entries = load_inventory(inventory, environment={}).entries
        gateway = WinrmGateway(
            {entry.server.name: entry.connection for entry in entries},
            ScriptLibrary(default_scripts()),
            probe_timeout=2,
        )
        assert gateway.probe("game-01").cpu is not None
        with pytest.raises(ServerUnreachable):
            gateway.probe("game-02")
        with pytest.raises(ServerCallError) as hung:
            gateway.probe("game-03")
        assert not isinstance(hung.value, ServerUnreachable)
        gateway.close()


def test_each_of_seven_hundred_servers_has_ports_of_its_own(tmp_path: Path) -> None:
    with Lab(700, password="secret", refusing=700) as lab:
        inventory = tmp_path / "lab.yml"
        inventory.write_text(lab.inventory_yaml(), encoding="utf-8")
        servers = [e.server for e in load_inventory(inventory, environment={}).entries]
    assert len(servers) == 700
    ranges = sorted((server.ports.first, server.ports.last) for server in servers)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ranges))
