"""Filters, scores and ties, one rule a test."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.game import Needs
from orchestrator.domain.mode import Concurrency, Mode
from orchestrator.domain.server import Health, Load, PortRange, Server
from orchestrator.domain.session import Ports
from orchestrator.placement import Occupant, Request, ServerView, find_strategy, place

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = Request(seed="s", game_id="chess", mode=Mode.PROCESS)


def view(name: str = "a", **changes: object) -> ServerView:
    server = Server(name, "192.0.2.1", "192.0.2.1", slots=4)
    inner = {k: v for k, v in changes.items() if hasattr(server, k)}
    outer = {k: v for k, v in changes.items() if not hasattr(server, k)}
    base = ServerView(replace(server, **inner), Health.UP, load=load())  # type: ignore[arg-type]
    return replace(base, **outer)  # type: ignore[arg-type]


def load(cpu: float = 0.1, free_mb: int = 9000, gpu: float = 0.1) -> Load:
    return Load(NOW, cpu, 10000, free_mb, gpu)


def occupant(number: int = 0, **changes: object) -> Occupant:
    base = Occupant(
        f"session-{number}",
        Needs(0.2, 0.2, 1000),
        Ports(8554 + 2 * number, 8555 + 2 * number),
        Concurrency.SHARED,
        NOW - timedelta(minutes=1),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rejected", "filter_name", "reason"),
    [
        (view(present=False), "in_inventory", "not in the inventory"),
        (view(health=Health.UNKNOWN), "healthy", "has not been polled yet"),
        (view(health=Health.UNREACHABLE), "healthy", "is unreachable$"),
        (
            view(
                health=Health.REFUSED,
                health_reason="the server rejected user or password; a locked account looks so",
            ),
            "healthy",
            "^is refused: the server rejected user or password$",
        ),
        (view(health=Health.UNREADY, health_reason="no\n " * 200), "healthy", "^.{110,140}…$"),
        (view(drained=True), "not_drained", "is drained"),
        (view(modes=frozenset({Mode.PERIODIC})), "mode_allowed", "orchestrator_modes: periodic"),
        (view(games=frozenset({"go"})), "game_allowed", "does not run chess"),
        (
            view(load=replace(load(), memory_total_mb=256)),
            "memory_fits",
            "has 256 MiB of memory, the game needs 512$",
        ),
        (
            view(slots=1, occupants=(occupant(),)),
            "slot_free",
            r"no free slot \(1 of 1 taken\)",
        ),
        (
            view(occupants=(occupant(concurrency=Concurrency.EXCLUSIVE),)),
            "desktop_free",
            "held by session session-0",
        ),
        (
            view(ports=PortRange(8554, 8556), occupants=(occupant(),)),
            "ports_free",
            "no two free ports in 8554-8556$",
        ),
        (
            view(ports=PortRange(8554, 8555), refused_ports=frozenset({8555})),
            "ports_free",
            "no two free ports in 8554-8555; another process was found on 8555$",
        ),
    ],
)
def test_a_server_that_cannot_take_the_session_is_rejected_with_the_reason(
    rejected: ServerView, filter_name: str, reason: str
) -> None:
    decision = place(REQUEST, [rejected], find_strategy("least-loaded"))
    assert decision.chosen is None
    assert decision.verdicts[0].rejected_by == filter_name
    assert re.search(reason, decision.reasons()["a"])


def test_a_session_that_needs_the_desktop_alone_does_not_join_others() -> None:
    alone = replace(REQUEST, concurrency=Concurrency.EXCLUSIVE)
    decision = place(alone, [view(occupants=(occupant(),))], find_strategy("least-loaded"))
    assert decision.reasons() == {
        "a": "its desktop is shared by 1 session(s), this one needs it alone"
    }


def test_labels_that_the_game_needs_must_be_there() -> None:
    wanted = replace(REQUEST, labels={"gpu": "rtx"})
    fleet = [view("a"), view("b", labels={"gpu": "rtx"})]
    decision = place(wanted, fleet, find_strategy("least-loaded"))
    assert decision.chosen == "b"
    assert decision.reasons() == {"a": "has label gpu=none, the game needs gpu=rtx"}


def test_least_loaded_takes_the_server_whose_busiest_resource_is_least_busy() -> None:
    fleet = [view("cpu", load=load(cpu=0.9)), view("idle"), view("gpu", load=load(gpu=0.9))]
    assert place(REQUEST, fleet, find_strategy("least-loaded")).chosen == "idle"


def test_best_fit_takes_the_server_with_the_least_left_over() -> None:
    fleet = [view("cpu", load=load(cpu=0.8)), view("idle")]
    assert place(REQUEST, fleet, find_strategy("best-fit")).chosen == "cpu"


def test_a_reservation_since_the_last_poll_counts_as_load() -> None:
    starting = occupant(running_since=None, needs=Needs(0.8, 0.0, 0))
    fleet = [
        view("reserved", slots=100, occupants=(starting,)),
        view("busy", slots=100, load=load(0.5)),
    ]
    assert place(REQUEST, fleet, find_strategy("least-loaded")).chosen == "busy"


def test_a_session_that_the_last_poll_saw_is_not_counted_twice() -> None:
    seen = occupant(needs=Needs(0.8, 0.0, 0))
    assert view(occupants=(seen,)).expected()[0] == pytest.approx(0.1)


def test_a_burst_between_two_polls_spreads() -> None:
    names = ["a", "b", "c", "d"]
    held: dict[str, list[Occupant]] = {name: [] for name in names}
    for number in range(8):
        fleet = [view(name, occupants=tuple(held[name])) for name in names]
        wanted = replace(REQUEST, seed=str(number))
        chosen = place(wanted, fleet, find_strategy("least-loaded")).chosen
        assert chosen is not None
        held[chosen].append(occupant(len(held[chosen]), running_since=None))
    assert [len(sessions) for sessions in held.values()] == [2, 2, 2, 2]


def test_ties_fall_on_different_servers_and_the_same_seed_repeats_the_choice() -> None:
    fleet = [view(name) for name in "abcd"]
    strategy = find_strategy("least-loaded")
    chosen = [place(replace(REQUEST, seed=str(n)), fleet, strategy).chosen for n in range(50)]
    again = [place(replace(REQUEST, seed=str(n)), fleet, strategy).chosen for n in range(50)]
    assert chosen == again
    assert set(chosen) == {"a", "b", "c", "d"}


def test_the_lowest_free_ports_are_taken() -> None:
    assert view(occupants=(occupant(0), occupant(2))).free_ports() == Ports(8556, 8557)
    refused = frozenset({8554, 8556})
    assert view(occupants=(occupant(2),), refused_ports=refused).free_ports() == Ports(8555, 8557)
