"""While the database cannot be written, requests are told so and nothing is half done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.domain.errors import ConnectionLost, Outcome, ScriptFailed
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.retry import Retry
from orchestrator.store import Store
from tests.fakes import InlineExecutor
from tests.outages import Stranger
from tests.unit.api.conftest import Desk

START = {"game": "chess", "mode": "process"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that is soon told that its file is locked."""
    store = Store(f"sqlite:///{tmp_path / 'test.sqlite3'}", busy_seconds=0.05)
    store.prepare()
    yield store
    assert store.connections_in_use() == 0
    store.close()


@pytest.fixture
def stranger(tmp_path: Path, store: Store) -> Iterator[Stranger]:
    stranger = Stranger(tmp_path / "test.sqlite3")
    yield stranger
    stranger.close()


def test_a_locked_database_refuses_writes_with_503_and_reads_go_on(
    desk: Desk, stranger: Stranger
) -> None:
    stranger.lock()
    for method, path, body in (
        ("POST", "/api/v1/sessions", START),
        ("POST", "/start_game", {"gameID": "chess", "excutemode": "process"}),
        ("POST", "/api/v1/servers/a/drain", {}),
    ):
        refused = desk.call(method, path, json=body)
        assert refused.status_code == 503, path
        assert refused.get_json()["code"] == "store_unavailable"
        assert refused.get_json()["retryable"] is True
        assert refused.headers["Retry-After"]
    assert desk.get("/api/v1/servers").status_code == 200
    assert desk.gateway.orders == []

    stranger.unlock()
    assert desk.get("/api/v1/sessions").get_json()["sessions"] == []
    assert desk.post("/api/v1/sessions", START).status_code == 201


def test_a_key_that_was_refused_while_the_database_was_locked_starts_one_game_later(
    desk: Desk, stranger: Stranger
) -> None:
    key = {"Idempotency-Key": "once"}
    stranger.lock()
    assert desk.post("/api/v1/sessions", START, headers=key).status_code == 503
    stranger.unlock()
    first = desk.post("/api/v1/sessions", START, headers=key)
    second = desk.post("/api/v1/sessions", START, headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json()["id"] == second.get_json()["id"]
    assert len(desk.gateway.orders) == 1


def reconcile(desk: Desk) -> None:
    units, gateway, clock = desk.store.unit_of_work, desk.gateway, desk.clock
    retry, flights = Retry(clock), InFlight()
    end = EndGame(units, gateway, clock, retry, flights)
    Reconcile(units, gateway, end, clock, retry, flights, InlineExecutor())()


def state(desk: Desk, session_id: str) -> str:
    return str(desk.get(f"/api/v1/sessions/{session_id}").get_json()["state"])


def test_a_game_whose_database_is_locked_while_it_starts_is_found_running(
    desk: Desk, stranger: Stranger
) -> None:
    desk.gateway.meanwhile["launch"] = stranger.lock
    started = desk.post("/api/v1/sessions", START, headers={"Idempotency-Key": "k"})
    assert started.status_code == 202
    session = started.get_json()
    assert session["state"] == "starting"

    stranger.unlock()
    reconcile(desk)
    assert state(desk, session["id"]) == "running"
    again = desk.post("/api/v1/sessions", START, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.get_json()["id"]) == (201, session["id"])
    assert len(desk.gateway.orders) == 1


def test_a_start_that_its_server_refuses_says_so_though_the_database_is_locked(
    desk: Desk, stranger: Stranger
) -> None:
    desk.gateway.meanwhile["launch"] = stranger.lock
    desk.gateway.fail_after["launch"] = ScriptFailed("no_desktop", "nobody is there", server="a")
    refused = desk.post("/api/v1/sessions", START)
    assert (refused.status_code, refused.get_json()["code"]) == (502, "no_desktop")

    stranger.unlock()
    desk.gateway.launched["a"].clear()
    desk.clock.advance(600)
    reconcile(desk)
    assert state(desk, refused.get_json()["session_id"]) == "failed"


def test_a_start_whose_answer_and_database_are_both_lost_is_settled_later(
    desk: Desk, stranger: Stranger
) -> None:
    desk.gateway.meanwhile["launch"] = stranger.lock
    lost = ConnectionLost("cut", server="a", outcome=Outcome.UNKNOWN)
    desk.gateway.fail_after["launch"] = lost
    started = desk.post("/api/v1/sessions", START)
    assert started.status_code == 202
    stranger.unlock()
    reconcile(desk)
    assert state(desk, started.get_json()["id"]) == "running"


def test_a_game_whose_database_is_locked_while_it_ends_is_ended_later(
    desk: Desk, stranger: Stranger
) -> None:
    session = desk.post("/api/v1/sessions", START).get_json()
    desk.gateway.meanwhile["stop"] = stranger.lock
    ended = desk.post(f"/api/v1/sessions/{session['id']}/end", {})
    assert (ended.status_code, ended.get_json()["state"]) == (202, "ending")
    assert desk.gateway.launched["a"] == {}

    stranger.unlock()
    reconcile(desk)
    assert state(desk, session["id"]) == "ended"


def test_an_end_that_cannot_be_noted_is_not_begun(desk: Desk, stranger: Stranger) -> None:
    session = desk.post("/api/v1/sessions", START).get_json()
    stranger.lock()
    refused = desk.post(f"/api/v1/sessions/{session['id']}/end", {})
    assert (refused.status_code, refused.get_json()["code"]) == (503, "store_unavailable")
    assert desk.gateway.stops == []
    assert state(desk, session["id"]) == "running"
    stranger.unlock()
    assert desk.post(f"/api/v1/sessions/{session['id']}/end", {}).status_code == 200
