"""Servers that hang cost the others nothing. Threads wait on events, never on time."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from orchestrator.scheduler import PollLoop
from orchestrator.services.poll_schedule import Answer

PATIENCE = 30.0


class Servers:
    """A fleet whose ``hanging`` members do not answer before they are let go."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hanging: set[str] = set()
        self.let_go = threading.Event()
        self.changed = threading.Condition()
        self.begun: list[str] = []
        self.done: list[str] = []
        self.fails: set[str] = set()

    def poll(self, name: str) -> Answer:
        with self.changed:
            self.begun.append(name)
            self.changed.notify_all()
        if name in self.fails:
            raise RuntimeError("a mistake of ours")
        if name in self.hanging:
            assert self.let_go.wait(PATIENCE)
        with self.changed:
            self.done.append(name)
            self.changed.notify_all()
        return Answer.SILENT if name in self.hanging else Answer.GOOD

    def wait(self, condition: object) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE)  # type: ignore[arg-type]


@pytest.fixture
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.let_go.set()


def make_loop(servers: Servers, sites: dict[str, str], workers: int) -> PollLoop:
    loop = PollLoop(
        servers.poll, workers=workers, clock=lambda: servers.now, chance=random.Random(1)
    )
    loop.follow(dict.fromkeys(sites, 10.0), sites)
    return loop


def tick_until(loop: PollLoop, servers: Servers, name: str, count: int) -> None:
    """Tick, a quarter second of the loop's clock each, until ``name`` was polled that often."""
    for _ in range(1000):
        if servers.done.count(name) >= count:
            return
        servers.now += 0.25
        before = len(servers.done)
        loop.tick()
        with servers.changed:
            if len(servers.done) == before:
                servers.changed.wait(0.01)
    raise AssertionError(f"{name} was polled {servers.done.count(name)} times")


def test_no_site_takes_all_workers_and_the_dead_have_a_pool_of_their_own(
    servers: Servers,
) -> None:
    servers.hanging = {f"dead-{n}" for n in range(20)}
    sites = dict.fromkeys(sorted(servers.hanging), "far") | {"alive": "near"}
    loop = make_loop(servers, sites, 4)
    tick_until(loop, servers, "alive", 5)
    assert len([name for name in servers.begun if name != "alive"]) == 3
    servers.let_go.set()
    loop.close()


def test_servers_that_answer_share_nothing_with_those_that_hung_once(servers: Servers) -> None:
    servers.hanging = {f"dead-{n}" for n in range(8)}
    sites = dict.fromkeys(["alive", *sorted(servers.hanging)], "one")
    loop = make_loop(servers, sites, 8)
    loop.tick()
    servers.let_go.set()
    servers.wait(lambda: len(set(servers.done)) >= 7)
    loop.tick()
    servers.wait(lambda: len(set(servers.done)) == 9)
    servers.let_go.clear()
    servers.begun.clear()
    servers.done.clear()
    tick_until(loop, servers, "alive", 10)
    assert len([name for name in servers.begun if name != "alive"]) == 2
    servers.let_go.set()
    loop.close()


def test_the_first_round_is_over_when_every_server_was_polled_once(servers: Servers) -> None:
    servers.fails = {"broken"}
    loop = make_loop(servers, {"a": "s", "broken": "s"}, 2)
    assert not loop.first_round_done
    loop.tick()
    assert loop.wait_for_first_round(PATIENCE)
    loop.follow({"a": 10.0}, {"a": "s"})
    loop.close()
    loop.tick()


def test_a_fleet_without_servers_has_nothing_to_wait_for(servers: Servers) -> None:
    loop = make_loop(servers, {}, 1)
    loop.tick()
    assert loop.first_round_done
    loop.close()
