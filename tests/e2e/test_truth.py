"""What happens on the servers becomes what the broker says, by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.bootstrap import Broker, BrokerServer, read_inventory
from orchestrator.config import Settings
from orchestrator.domain.token import Role
from orchestrator.lab import Fault, FaultKind, Lab, demo_games
from tests.e2e_house import House

START = {"game": "supertux", "mode": "event-driven"}
PATIENCE = 60.0


def wait_until(condition: Callable[[], bool]) -> None:
    """A bound for a machine that is busy; the condition is looked at often."""
    end = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        pause.wait(0.05)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Polled every second."""
    with Lab(3, password="lab password") as lab:
        inventory = tmp_path / "lab.yml"
        inventory.write_text(lab.inventory_yaml(), encoding="utf-8")
        settings = Settings(
            inventory=inventory,
            database=f"sqlite:///{tmp_path / 'broker.sqlite3'}",
            port=0,
            poll_interval=1,
            poll_timeout=1,
            reconcile_interval=1,
            call_timeout=10,
            end_grace=1,
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


def state(house: House, session_id: str) -> str:
    return str(house.get(f"/api/v1/sessions/{session_id}").json()["state"])


def kinds(house: House, **query: str) -> list[str]:
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return [e["kind"] for e in house.get(f"/api/v1/events?{text}").json()["events"]]


def test_a_game_that_exits_ends_its_session_and_leaves_nothing(house: House) -> None:
    session = house.post("/api/v1/sessions", START).json()
    (computer,) = [c for c in house.lab.computers if c.tasks]
    process = computer.process(session["process"]["pid"])
    assert process is not None

    computer.exit(process, 0)

    wait_until(lambda: state(house, session["id"]) == "ended")
    ended = house.get(f"/api/v1/sessions/{session['id']}").json()
    assert (ended["ended_how"], ended["end_detail"]) == (
        "already_gone",
        "its process ended by itself",
    )
    assert computer.tasks == {}


def test_a_server_that_hangs_loses_its_session_and_gives_it_back(house: House) -> None:
    session = house.post("/api/v1/sessions", START).json()
    (number,) = [n for n, c in enumerate(house.lab.computers) if c.tasks]
    faults = house.lab.servers[number].faults
    faults.add(Fault("Enumerate", FaultKind.DROP_BEFORE, times=None))

    wait_until(lambda: state(house, session["id"]) == "lost")
    server = house.get(f"/api/v1/servers/{session['server']}").json()
    assert server["health"] == "unreachable"
    assert "connection_lost" in server["health_reason"]

    faults.clear()
    wait_until(lambda: state(house, session["id"]) == "running")
    wait_until(lambda: "server_health" in kinds(house, server=session["server"]))
    assert "session_found" in kinds(house, session=session["id"])


def test_a_player_who_logs_off_makes_the_server_unready_and_it_is_not_chosen(
    house: House,
) -> None:
    for computer in house.lab.computers:
        computer.log_off()

    def healths() -> set[str]:
        return {s["health"] for s in house.get("/api/v1/servers").json()["servers"]}

    wait_until(lambda: healths() == {"unready"})
    refused = house.post("/api/v1/sessions", START)
    assert refused.status_code == 429
    assert set(refused.json()["reasons"].values()) == {
        "is unready: nobody is logged on at its desktop"
    }
    ready = house.get("/readyz")
    assert (ready.status_code, ready.json()["servers"]) == (200, {"unready": 3})


def test_a_whole_site_that_falls_silent_is_one_event(house: House) -> None:
    for server in house.lab.servers:
        server.faults.add(Fault("Enumerate", FaultKind.DROP_BEFORE, times=None))
    wait_until(lambda: "site_health" in kinds(house))
    assert kinds(house).count("site_health") == 1
    for server in house.lab.servers:
        server.faults.clear()
    wait_until(lambda: kinds(house).count("site_health") == 2)
