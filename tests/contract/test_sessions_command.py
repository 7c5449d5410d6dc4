"""Sessions from the command line: how they are named, and where they stream."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from orchestrator.cli.root import main
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import Health
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.start_game import StartGame, StartRequest
from orchestrator.store import Store
from tests.fakes import START, FakeClock, FakeGateway, fill, make_game, make_server


class Ids:
    """The ids that it is given, in their order."""

    def __init__(self, *ids: str) -> None:
        self._left = list(ids)

    def new_id(self) -> str:
        return self._left.pop(0)

    def id_for(self, owner: str, key: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{owner} {key}"))


FIRST, SECOND, THIRD = (
    "aaaaaa11-0000-4000-8000-000000000000",
    "aaaaaa22-0000-4000-8000-000000000000",
    "bbbbbbbb-0000-4000-8000-000000000000",
)


class Shell:
    """The command in this process, with three sessions: streaming, process, ended."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'sessions.sqlite3'}"
        store = Store(self.url)
        store.prepare()
        fill(store, [make_server("a", slots=3)], [make_game()])
        units, clock, gateway, flights = store.unit_of_work, FakeClock(), FakeGateway(), InFlight()
        retry, ids = Retry(clock), Ids(FIRST, SECOND, THIRD)
        start = StartGame(units, gateway, clock, ids, retry, flights, RefusedPorts(clock))
        for mode in (Mode.EVENT_DRIVEN, Mode.PROCESS, Mode.EVENT_DRIVEN):
            self.last = start(StartRequest("chess", mode))
        EndGame(units, gateway, clock, retry, flights)(THIRD)
        store.close()

    def server_is(self, health: Health) -> None:
        store = Store(self.url)
        with store.unit_of_work() as uow:
            uow.servers.record_health("a", health, "", None, START)
            uow.commit()
        store.close()

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--database", self.url])

    def refusal(self, *words: str) -> str:
        done = self.run(*words)
        assert done.exit_code == 1
        return done.output


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    before, level = structlog.get_config(), logging.getLogger().level
    yield Shell(tmp_path)
    structlog.configure(**before)
    logging.getLogger().setLevel(level)


def test_a_command_with_another_inventory_takes_no_server_from_the_fleet(
    shell: Shell, tmp_path: Path
) -> None:
    other = tmp_path / "other.yml"
    other.write_text("all: {hosts: {z: {ansible_user: u, ansible_password: p}}}")

    assert "no session 'none'" in shell.refusal(
        "sessions", "end", "none", "--inventory", f"{other}"
    )

    listed = json.loads(shell.run("servers", "list", "--json").output)
    assert {each["name"]: each["present"] for each in listed} == {"a": True, "z": True}


@pytest.mark.parametrize("command", [("explain",), ("sessions", "show")])
def test_the_beginning_of_an_id_will_do_where_one_session_has_it(
    shell: Shell, command: tuple[str, ...]
) -> None:
    for text in (FIRST, "aaaaaa11", "AAAAAA1", "bbbbbb"):
        done = shell.run(*command, text)
        assert done.exit_code == 0, done.output
        assert (THIRD if text == "bbbbbb" else FIRST) in done.output
    several = shell.refusal(*command, "aaaaaa")
    assert f"{SECOND}, {FIRST}" in several or f"{FIRST}, {SECOND}" in several
    assert "[unknown_session]" in several
    for text in ("bbbbb", "cccccc"):
        assert "'orchestrator sessions list' shows those there are" in shell.refusal(*command, text)


def test_only_what_streams_is_shown_with_a_stream(shell: Shell) -> None:
    lines = shell.run("sessions", "list").output.splitlines()
    places = {line.split()[0]: line.split()[6] for line in lines[1:]}
    assert places[FIRST].startswith("rtsp://")
    assert (places[SECOND], places[THIRD]) == ("-", "-")
    for session in (SECOND, THIRD):
        assert "stream:          -\n" in shell.run("sessions", "show", session).output
    assert "rtsp://" in shell.run("sessions", "show", FIRST).output


def test_a_session_is_given_up_where_its_server_does_not_answer(shell: Shell) -> None:
    assert "end it instead" in shell.refusal("sessions", "give-up", FIRST)
    shell.server_is(Health.UNREACHABLE)
    done = shell.run("sessions", "give-up", FIRST, "--json")
    assert done.exit_code == 0, done.output
    given_up = json.loads(done.output)
    assert given_up["state"] == "ended"
    assert given_up["end_detail"].startswith("given up by ")
