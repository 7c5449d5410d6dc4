"""A lab and a broker in this process, joined as the command line joins them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.bootstrap import Broker, BrokerServer, read_inventory
from orchestrator.config import Settings
from orchestrator.domain.token import Role
from orchestrator.lab import Lab, demo_games
from tests.e2e_house import QUICK, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    before = {thread.name for thread in threading.enumerate()}
    with Lab(3, password="lab password") as lab:
        inventory = tmp_path / "lab.yml"
        inventory.write_text(lab.inventory_yaml(), encoding="utf-8")
        settings = Settings(
            inventory=inventory,
            database=f"sqlite:///{tmp_path / 'broker.sqlite3'}",
            port=0,
            **QUICK,  # type: ignore[arg-type]
        )
        with Broker(settings, read_inventory(settings)) as broker:
            broker.prepare_store()
            broker.synchronise()
            for game in demo_games():
                broker.add_game(game)
            server = BrokerServer(broker)
            server.start()
            _, token = broker.tokens.create(Role.ADMIN, "test")
            yield House(lab, broker, f"http://127.0.0.1:{server.port}", token)
            server.stop()
    assert {thread.name for thread in threading.enumerate()} <= before
