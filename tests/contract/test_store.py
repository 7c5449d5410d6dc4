"""One suite for every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from orchestrator.domain.decision import Decision, Verdict
from orchestrator.domain.errors import (
    Contention,
    GameExists,
    OrchestratorError,
    SchemaOutdated,
    StoreUnavailable,
    UnknownGame,
    UnknownServer,
    UnknownSession,
)
from orchestrator.domain.event import Event
from orchestrator.domain.launch import Launch
from orchestrator.domain.mode import Concurrency, Mode
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load
from orchestrator.domain.session import Failure, Ports, Session, SessionState
from orchestrator.domain.token import Role, Token
from orchestrator.ports import SessionQuery
from orchestrator.store import Store, schema, tables
from tests.fakes import START, fill, make_game, make_server


def make_session(session_id: str = "s-1", **changes: object) -> Session:
    session = Session(
        id=session_id,
        game_id="chess",
        mode=Mode.PROCESS,
        server="a",
        stream_address="a.example",
        state=SessionState.STARTING,
        ports=Ports(8554, 8555),
        decision=Decision(
            "least-loaded", session_id, "a", (Verdict("a", scores={"x": 0.5}, total=0.5),)
        ),
        created_at=START,
        updated_at=START,
    )
    return replace(session, **changes)  # type: ignore[arg-type]


def reserve(store: Store, session: Session) -> None:
    with store.unit_of_work() as uow:
        uow.sessions.reserve(session, uow.servers.get(session.server).version)
        uow.commit()


def test_the_migrations_make_exactly_the_tables_of_the_code(store: Store) -> None:
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.metadata) == []


def test_the_schema_can_be_taken_back_and_made_again(store: Store) -> None:
    schema.downgrade(store._engine, schema.default_migrations(), "base")
    assert store.revision() is None
    store.upgrade()
    store.upgrade()
    assert store.revision() == "0005"


def test_tables_of_another_version_are_refused_with_what_to_do(store: Store) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(SchemaOutdated, match="orchestrator db upgrade"):
        store.prepare()


def test_tables_of_a_newer_version_are_left_alone_and_it_is_said(store: Store) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for change in (store.prepare, store.upgrade):
        with pytest.raises(SchemaOutdated, match="9999, which this version"):
            change()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(OrchestratorError, match="names no file: write sqlite:///FILE"):
        Store(url)


def test_a_unit_that_is_not_committed_leaves_nothing(store: Store) -> None:
    with store.unit_of_work() as uow:
        uow.games.add(make_game())
    with pytest.raises(UnknownGame):
        _add_and_fail(store)
    with store.unit_of_work(read_only=True) as uow:
        assert uow.games.list() == []


def _add_and_fail(store: Store) -> None:
    with store.unit_of_work() as uow:
        uow.games.add(make_game("other"))
        uow.games.get("none")


def test_games_come_back_as_they_went_in(store: Store) -> None:
    game = make_game("遊戲-🎮", title="三國志 🎮")
    with store.unit_of_work() as uow:
        uow.games.add(game)
        uow.commit()
    with store.unit_of_work() as uow:
        assert uow.games.get(game.id) == game
        with pytest.raises(UnknownGame):
            uow.games.get("none")
        with pytest.raises(GameExists):
            uow.games.add(game)


def test_ids_that_differ_in_case_are_different(store: Store) -> None:
    fill(store, [], [make_game("Chess"), make_game("chess")])
    with store.unit_of_work() as uow:
        assert [game.id for game in uow.games.list()] == ["Chess", "chess"]


def test_servers_follow_the_inventory_and_keep_what_was_found(store: Store) -> None:
    fill(store, [make_server("a"), make_server("b")])
    with store.unit_of_work() as uow:
        uow.servers.set_drained("a", True)
        uow.servers.synchronise([make_server("a", slots=9)])
        uow.commit()
    with store.unit_of_work() as uow:
        (record,) = uow.servers.list()
        assert (record.server.slots, record.drained, record.health) == (9, True, Health.UP)
        with pytest.raises(UnknownServer):
            uow.servers.get("b")


def test_a_part_of_the_inventory_takes_no_server_out(store: Store) -> None:
    fill(store, [make_server("a"), make_server("b")])
    with store.unit_of_work() as uow:
        uow.servers.synchronise([make_server("a", slots=9), make_server("c")], whole=False)
        uow.commit()
    with store.unit_of_work() as uow:
        found = {r.server.name: (r.server.slots, r.present) for r in uow.servers.list()}
    slots = make_server().slots
    assert found == {"a": (9, True), "b": (slots, True), "c": (slots, True)}


def test_a_server_that_a_session_refers_to_is_marked_absent_and_can_come_back(store: Store) -> None:
    fill(store, [make_server("a")], [make_game()])
    reserve(store, make_session())
    for present in (False, True):
        with store.unit_of_work() as uow:
            uow.servers.synchronise([make_server("a")] if present else [])
            uow.commit()
        with store.unit_of_work() as uow:
            assert uow.servers.get("a").present is present


def test_a_poll_changes_no_version(store: Store) -> None:
    fill(store, [make_server("a")])
    with store.unit_of_work() as uow:
        before = uow.servers.get("a").version
        uow.servers.record_health("a", Health.UNREACHABLE, "silent", None, START)
        uow.commit()
    with store.unit_of_work() as uow:
        record = uow.servers.get("a")
    assert record.version == before
    assert (record.health, record.health_reason) == (Health.UNREACHABLE, "silent")
    assert record.load == Load(START, 0.1, 16000, 12000, 0.1, "player")


def test_a_batch_of_polls_is_kept_without_a_new_version(store: Store) -> None:
    fill(store, [make_server("a"), make_server("b")])
    later = START + timedelta(seconds=10)
    load = Load(later, 0.5, gpu=0.7, gpu_engines={"3D": 0.7}, locked=False, disk="C:")
    samples = [
        Sample("b", later, 0.1, Health.UP, "", START, load),
        Sample("gone", later, 0.1, Health.UP, "", START, load),
        Sample("a", later, 4.0, Health.UNREACHABLE, "silent", later, None, "connection_lost"),
    ]
    with store.unit_of_work() as uow:
        uow.servers.record_polls(samples)
        uow.servers.record_polls([])
        uow.commit()
    with store.unit_of_work() as uow:
        a, b = uow.servers.list()
    assert (a.health, a.health_reason, a.health_since) == (Health.UNREACHABLE, "silent", later)
    assert (a.checked_at, a.answered_at, a.version) == (later, None, 1)
    assert a.load == Load(START, 0.1, 16000, 12000, 0.1, "player")
    assert (b.load, b.answered_at, b.health_since) == (load, later, START)


def test_polling_sees_the_sessions_that_run_and_keeps_their_idleness(store: Store) -> None:
    fill(store, [make_server("a")], [make_game()])
    launch = Launch(4242, START, r"C:\Games\chess.exe")
    beside = Launch(4243, START, r"C:\遊戲\chess.exe")
    for number in range(2):
        session = make_session(f"s-{number}", ports=Ports(9000 + number, 9100 + number))
        reserve(store, session)
    with store.unit_of_work() as uow:
        running = uow.sessions.get("s-1").moved(
            SessionState.RUNNING, START, launch=launch, companions=(beside,)
        )
        uow.sessions.save(running)
        uow.sessions.record_idle({"s-1": START, "none": None})
        uow.commit()
    with store.unit_of_work() as uow:
        (watched,) = uow.sessions.watched()
        stored = uow.sessions.get("s-1")
        uow.sessions.save(replace(stored, idle_since=None))
        assert uow.sessions.get("s-1").idle_since == START
        uow.sessions.record_idle({"s-1": None})
        assert uow.sessions.get("s-1").idle_since is None
    assert (watched.session_id, watched.server, watched.launch) == ("s-1", "a", launch)
    assert (watched.companions, watched.idle_since) == ((beside,), START)
    assert (stored.companions, stored.version) == ((beside,), 2)


def test_a_session_comes_back_as_it_went_in(store: Store) -> None:
    fill(store, [make_server("a")], [make_game()])
    session = make_session(concurrency=Concurrency.EXCLUSIVE, config_file="三國.conf")
    reserve(store, session)
    with store.unit_of_work() as uow:
        running = session.moved(
            SessionState.RUNNING,
            START + timedelta(microseconds=1),
            launch=Launch(4242, START + timedelta(microseconds=123457), r"C:\遊戲\a.exe"),
            error=Failure("c", "m"),
        )
        saved = uow.sessions.save(running)
        uow.commit()
    with store.unit_of_work() as uow:
        assert uow.sessions.get("s-1") == saved
        assert saved.version == 2
        with pytest.raises(UnknownSession):
            uow.sessions.get("none")


def test_a_stale_server_version_reserves_nothing(store: Store) -> None:
    fill(store, [make_server("a")], [make_game()])
    with store.unit_of_work() as uow, pytest.raises(Contention):
        uow.sessions.reserve(make_session(), 77)
    with store.unit_of_work() as uow:
        assert uow.sessions.active() == []


def test_a_port_is_held_by_one_session_until_it_is_over(store: Store) -> None:
    fill(store, [make_server("a")], [make_game()])
    reserve(store, make_session("s-1"))
    second = make_session("s-2")
    with pytest.raises(Contention):
        reserve(store, second)
    with store.unit_of_work() as uow:
        first = uow.sessions.get("s-1")
        uow.sessions.save(first.moved(SessionState.FAILED, START))
        uow.commit()
    reserve(store, second)
    with store.unit_of_work() as uow:
        (held,) = uow.sessions.holdings()
    assert (held.session_id, held.ports) == ("s-2", Ports(8554, 8555))


def test_other_ports_take_the_place_of_a_sessions_own(store: Store) -> None:
    fill(store, [make_server("a")], [make_game()])
    reserve(store, make_session("s-1"))
    with store.unit_of_work() as uow:
        before = uow.sessions.get("s-1")
        # One of the new ports may be one of the old.
        changed = uow.sessions.change_ports(before, Ports(8555, 8556))
        uow.commit()
    with store.unit_of_work() as uow:
        assert uow.sessions.get("s-1") == changed
        assert (changed.ports, changed.version) == (Ports(8555, 8556), before.version + 1)
        (held,) = uow.sessions.holdings()
    assert held.ports == Ports(8555, 8556)
    with pytest.raises(Contention):
        reserve(store, make_session("s-2", ports=Ports(8556, 8557)))
    reserve(store, make_session("s-3", ports=Ports(8554, 8557)))


def test_ports_that_were_taken_meanwhile_or_for_a_stale_session_change_nothing(
    store: Store,
) -> None:
    fill(store, [make_server("a")], [make_game()])
    reserve(store, make_session("s-1"))
    reserve(store, make_session("s-2", ports=Ports(8556, 8557)))
    with store.unit_of_work() as uow:
        session = uow.sessions.get("s-1")
    with store.unit_of_work() as uow, pytest.raises(Contention):
        uow.sessions.change_ports(session, Ports(8558, 8557))
    stale = replace(session, version=session.version + 1)
    with store.unit_of_work() as uow, pytest.raises(Contention):
        uow.sessions.change_ports(stale, Ports(8558, 8559))
    with store.unit_of_work() as uow:
        assert uow.sessions.get("s-1") == session
        ports = {held.session_id: held.ports for held in uow.sessions.holdings()}
    assert ports == {"s-1": Ports(8554, 8555), "s-2": Ports(8556, 8557)}
    with pytest.raises(Contention):
        reserve(store, make_session("s-3", ports=Ports(8555, 8558)))


def test_a_session_that_changed_meanwhile_is_not_overwritten(store: Store) -> None:
    fill(store, [make_server("a")], [make_game()])
    reserve(store, make_session())
    with store.unit_of_work() as uow:
        session = uow.sessions.get("s-1")
        uow.sessions.save(session)
        uow.commit()
    with store.unit_of_work() as uow, pytest.raises(Contention):
        uow.sessions.save(session)


def test_sessions_are_listed_newest_first_in_pages(store: Store) -> None:
    fill(store, [make_server("a")], [make_game()])
    for number in range(5):
        ports = Ports(9000 + 2 * number, 9001 + 2 * number)
        at = START + timedelta(seconds=number // 2)
        reserve(store, make_session(f"s-{number}", ports=ports, created_at=at))
    with store.unit_of_work() as uow:
        first = uow.sessions.list(SessionQuery(limit=2))
        second = uow.sessions.list(SessionQuery(limit=2, before=first[-1].id))
        none = uow.sessions.list(SessionQuery(states=frozenset({SessionState.ENDED})))
        elsewhere = uow.sessions.list(SessionQuery(server="b"))
    assert [s.id for s in (*first, *second)] == ["s-4", "s-3", "s-2", "s-1"]
    assert none == elsewhere == []


def test_events_are_listed_newest_first(store: Store) -> None:
    with store.unit_of_work() as uow:
        for number in range(3):
            uow.events.add(Event(START, f"kind-{number}", "m", "s", "a", {"n": number}))
        uow.commit()
    with store.unit_of_work() as uow:
        assert [e.kind for e in uow.events.list(session_id="s", limit=2)] == ["kind-2", "kind-1"]
        assert uow.events.list(server="b") == []


def test_tokens_are_found_until_they_are_revoked(store: Store) -> None:
    token = Token("t", "portal", Role.PORTAL, "d" * 64, START)
    with store.unit_of_work() as uow:
        uow.tokens.add(token)
        assert uow.tokens.revoke("t", START)
        assert not uow.tokens.revoke("none", START)
        uow.commit()
    with store.unit_of_work() as uow:
        assert uow.tokens.find("t") == replace(token, revoked_at=START)
        assert uow.tokens.find("x") is None


def test_a_key_is_claimed_once_answered_and_replayed(store: Store) -> None:
    with store.unit_of_work() as uow:
        assert uow.idempotency.begin("o", "k", "f", START) is None
        uow.commit()
    with store.unit_of_work() as uow:
        waiting = uow.idempotency.begin("o", "k", "f", START)
        assert waiting is not None
        assert waiting.status is None
        uow.idempotency.finish("o", "k", 201, "{}", {"ETag": "1"})
        uow.commit()
    with store.unit_of_work() as uow:
        answered = uow.idempotency.begin("o", "k", "f", START)
        assert answered is not None
        assert (answered.status, answered.body, answered.headers) == (201, "{}", {"ETag": "1"})
        assert uow.idempotency.begin("other", "k", "f", START) is None


def test_a_dead_claim_is_taken_over_by_one(store: Store) -> None:
    later = START + timedelta(minutes=5)
    with store.unit_of_work() as uow:
        uow.idempotency.begin("o", "k", "f", START)
        assert uow.idempotency.reclaim("o", "k", START, later)
        assert not uow.idempotency.reclaim("o", "k", START, later)
        uow.idempotency.forget("o", "k")
        assert uow.idempotency.begin("o", "k", "f", START) is None
        assert uow.idempotency.expire(later) == 1


def test_a_database_that_is_not_there_is_a_clear_error() -> None:
    store = Store("mysql+pymysql://root@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable):
        store.ping()
    store.close()
    with pytest.raises(OrchestratorError, match="sqlite:///FILE"):
        Store("postgresql://x/y")
    with pytest.raises(OrchestratorError, match="sqlite:///FILE"):
        Store("not a url")
