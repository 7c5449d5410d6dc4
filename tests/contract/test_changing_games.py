"""A game is changed and removed beside the starts of it, on every database."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from orchestrator.domain.decision import Decision
from orchestrator.domain.errors import (
    GameInUse,
    InvalidRequest,
    OrchestratorError,
    StaleVersion,
    UnknownGame,
)
from orchestrator.domain.game import Game, LaunchSpec, Limits, Needs
from orchestrator.domain.mode import Mode
from orchestrator.domain.session import Ports, Session, SessionState
from orchestrator.services.change_game import ChangeGame, RemoveGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.start_game import StartGame, StartRequest
from orchestrator.store import Store
from tests.fakes import (
    START,
    FakeClock,
    FakeGateway,
    SequentialIds,
    fill,
    make_game,
    make_server,
)


class Catalogue:
    """The use cases on one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        clock, units = FakeClock(), store.unit_of_work
        retry = Retry(clock)
        self.change = ChangeGame(units, clock, retry)
        self.remove = RemoveGame(units, clock, retry)
        self.start = StartGame(
            units, FakeGateway(), clock, SequentialIds(), retry, InFlight(), RefusedPorts(clock)
        )
        fill(store, [make_server("a")], [make_game()])

    def game(self) -> Game:
        with self.store.unit_of_work(read_only=True) as uow:
            return uow.games.get("chess")

    def events(self) -> list[str]:
        with self.store.unit_of_work(read_only=True) as uow:
            return [event.kind for event in uow.events.list() if event.kind.startswith("game_")]

    def finish(self, session: Session) -> None:
        with self.store.unit_of_work() as uow:
            current = uow.sessions.get(session.id)
            uow.sessions.save(current.moved(SessionState.ENDED, START))
            uow.commit()


@pytest.fixture
def catalogue(store: Store) -> Catalogue:
    return Catalogue(store)


def test_a_changed_game_is_what_the_next_start_launches(catalogue: Catalogue) -> None:
    moved = make_game(modes={Mode.PROCESS: LaunchSpec(r"D:\New\chess.exe")}, created_at=None)
    stored = catalogue.change(moved, "me")
    assert (stored.version, stored.created_at) == (2, START)
    assert catalogue.game() == stored
    session = catalogue.start(StartRequest("chess", Mode.PROCESS))
    assert session.launch is not None
    assert session.launch.image == r"D:\New\chess.exe"
    assert catalogue.events() == ["game_changed"]


def test_the_same_change_again_changes_nothing(catalogue: Catalogue) -> None:
    wanted = make_game(title="Schach", created_at=None)
    first = catalogue.change(wanted, "me", version=1)
    assert catalogue.change(wanted, "me", version=1) == first
    assert catalogue.events() == ["game_changed"]


def test_a_change_that_is_wrong_stale_or_of_no_game_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidRequest, match="modes: name at least one"):
        catalogue.change(make_game(modes={}), "me")
    with pytest.raises(StaleVersion, match='at version "1", not "7"'):
        catalogue.change(make_game(title="x"), "me", version=7)
    with pytest.raises(StaleVersion):
        catalogue.remove("chess", "me", version=7)
    with pytest.raises(UnknownGame, match="no game 'go' to change: add it first"):
        catalogue.change(make_game("go"), "me")
    assert catalogue.game() == make_game()
    assert catalogue.events() == []


@pytest.mark.parametrize(
    "change",
    [
        {"modes": {Mode.PROCESS: LaunchSpec(r"D:\New\chess.exe")}},
        {"needs": Needs(cpu=0.5)},
        {"limits": Limits(duration=60)},
    ],
    ids=["modes", "needs", "limits"],
)
def test_what_a_session_depends_on_is_not_changed_before_it_is_over(
    catalogue: Catalogue, change: dict[str, object]
) -> None:
    session = catalogue.start(StartRequest("chess", Mode.PROCESS))
    with pytest.raises(GameInUse, match=rf"{session.id} \(running\); end them before changing"):
        catalogue.change(make_game(**change), "me")
    assert catalogue.game() == make_game()
    catalogue.finish(session)
    assert catalogue.change(make_game(**change), "me").version == 2


def test_title_and_labels_change_at_any_time(catalogue: Catalogue) -> None:
    catalogue.start(StartRequest("chess", Mode.PROCESS))
    changed = catalogue.change(make_game(title="Schach", labels={"gpu": "rtx"}), "me")
    assert (changed.title, changed.labels) == ("Schach", {"gpu": "rtx"})


def test_a_game_is_removed_once_its_sessions_are_over_and_they_stay(catalogue: Catalogue) -> None:
    sessions = [catalogue.start(StartRequest("chess", Mode.PROCESS)) for _ in range(4)]
    with pytest.raises(GameInUse, match="and more; end them before removing it"):
        catalogue.remove("chess", "me")
    for session in sessions:
        catalogue.finish(session)
    catalogue.remove("chess", "me")
    with pytest.raises(UnknownGame):
        catalogue.remove("chess", "me")
    with pytest.raises(UnknownGame):
        catalogue.start(StartRequest("chess", Mode.PROCESS))
    assert catalogue.events() == ["game_removed"]
    with catalogue.store.unit_of_work(read_only=True) as uow:
        kept = uow.sessions.get(sessions[0].id)
        (fact, *_) = uow.sessions.facts(START, START.replace(year=2027))
    assert (kept.game_id, kept.decision.chosen, fact.game_id) == ("chess", "a", "chess")
    fill(catalogue.store, [], [make_game()])
    assert catalogue.game() == make_game()


@pytest.mark.parametrize("deed", ["change", "remove"])
def test_a_start_under_way_is_waited_for(catalogue: Catalogue, deed: str) -> None:
    """It holds the game from when it has read it to when its session is there."""
    caught: list[OrchestratorError] = []

    def do() -> None:
        try:
            if deed == "change":
                catalogue.change(make_game(needs=Needs(cpu=0.9)), "me")
            else:
                catalogue.remove("chess", "me")
        except OrchestratorError as error:
            caught.append(error)

    thread = threading.Thread(target=do)
    with catalogue.store.unit_of_work() as uow:
        game = uow.games.hold("chess")
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        session = Session(
            id="s-1",
            game_id=game.id,
            mode=Mode.PROCESS,
            server="a",
            stream_address="a.example",
            state=SessionState.STARTING,
            ports=Ports(8554, 8555),
            decision=Decision("least-loaded", "s-1", "a", ()),
            created_at=START,
            updated_at=START,
        )
        uow.sessions.reserve(session, uow.servers.get("a").version)
        uow.commit()
    thread.join(60)
    assert [type(error) for error in caught] == [GameInUse]
    assert catalogue.game() == replace(game, version=1)
