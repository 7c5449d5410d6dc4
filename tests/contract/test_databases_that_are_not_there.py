"""What is said, and what is left alone, where the database is not what it should be."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
import pymysql
import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy.exc import OperationalError

from orchestrator.cli.root import main
from orchestrator.domain.errors import DatabaseMissing, DatabaseUnusable, StoreUnavailable
from orchestrator.store import Store
from orchestrator.store.place import place_of
from tests.fakes import fill, make_game

BEGINNERS = {"serve", "db upgrade", "servers check", "tokens create", "games add"}
WITHOUT = {"inventory check", "lab", "demo"}
WORDS = {
    "session": "s",
    "name": "a",
    "names": "a",
    "game": "chess",
    "game_id": "chess",
    "report_id": "r",
    "token_id": "t",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that commands run in, without a database or a variable of ours."""
    for name in list(os.environ):
        if name.startswith("ORCHESTRATOR_") and name != "ORCHESTRATOR_TEST_NO_SKIP":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    before, level = structlog.get_config(), logging.getLogger().level
    yield tmp_path
    structlog.configure(**before)
    logging.getLogger().setLevel(level)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def commands(group: click.Group = main, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


NEEDING = [(path, c) for path, c in commands() if path not in BEGINNERS | WITHOUT]


@pytest.mark.parametrize(("path", "command"), NEEDING, ids=[path for path, _ in NEEDING])
def test_a_command_that_needs_a_fleet_refuses_where_there_is_none_and_makes_nothing(
    folder: Path, path: str, command: click.Command
) -> None:
    (folder / "fleet.yml").write_text(
        "all: {hosts: {a: {ansible_host: 192.0.2.1, ansible_user: u, ansible_password: p}}}\n"
    )
    (folder / "game.json").write_text(
        '{"id": "a", "modes": {"process": {"executable": "C:\\\\a"}}}'
    )
    words = path.split()
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            words.append(WORDS.get(str(parameter.name), str(folder / "game.json")))
        elif parameter.required:
            words += [parameter.opts[0], parameter.type.choices[0]]  # type: ignore[attr-defined]
    if "inventory" in {parameter.name for parameter in command.params}:
        words += ["--inventory", "fleet.yml"]
    before = sorted(folder.iterdir())
    refused = run(*words)
    assert refused.exit_code == 1, refused.output
    assert "[database_missing]" in refused.output
    assert str(folder / "orchestrator.sqlite3") in refused.output
    for remedy in ("--database", "ORCHESTRATOR_DATABASE", "orchestrator db upgrade"):
        assert remedy in refused.output
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("words", [("db", "upgrade"), ("tokens", "create", "--role", "viewer")])
def test_a_command_that_begins_a_fleet_makes_its_database(
    folder: Path, words: tuple[str, ...]
) -> None:
    assert run(*words).exit_code == 0
    listed = run("servers", "list", "--json")
    assert (listed.exit_code, json.loads(listed.output)) == (0, [])


def test_an_empty_file_is_no_database_and_is_left_as_it_is(folder: Path) -> None:
    empty = folder / "orchestrator.sqlite3"
    empty.touch()
    refused = run("servers", "list")
    assert (refused.exit_code, "[database_missing]" in refused.output) == (1, True)
    assert empty.stat().st_size == 0


def test_a_database_without_tables_is_refused_and_gets_none(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        path = Path(database_url.removeprefix("sqlite:///"))
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE t (a)")
            connection.execute("DROP TABLE t")
        connection.close()
    else:
        _drop_tables(database_url)
    store = Store(database_url)
    with pytest.raises(DatabaseMissing, match="no tables in the database at"):
        store.prepare(create=False)
    assert store.revision() is None
    assert store.prepare()
    assert not store.prepare(create=False)
    store.close()


def _drop_tables(url: str) -> None:
    port = int(url.split(":")[-1].split("/")[0])
    with pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP DATABASE orchestrator")
        cursor.execute("CREATE DATABASE orchestrator CHARACTER SET utf8mb4")


def test_what_cannot_be_a_database_is_named_with_what_to_do(folder: Path) -> None:
    text = folder / "notes.txt"
    text.write_text("not a database at all\n" * 100)
    for place, said in {
        folder / "none" / "b.sqlite3": f"there is no folder {folder / 'none'}; make it",
        folder: "it is a folder; name a file in it",
        text: "is a file, but not an SQLite database",
        text / "b.sqlite3": f"there is no folder {text}; make it",
    }.items():
        refused = run("db", "upgrade", "--database", f"sqlite:///{place}")
        assert refused.exit_code == 1, refused.output
        assert str(place) in refused.output
        assert said in refused.output
        assert "[database_unusable]" in refused.output
    assert text.read_text().startswith("not a database at all")


def test_a_database_that_may_not_be_written_is_named(folder: Path) -> None:
    made = Store(f"sqlite:///{folder / 'b.sqlite3'}")
    made.prepare()
    made.close()
    store = Store(f"sqlite:///file:{folder / 'b.sqlite3'}?mode=ro&uri=true")
    unit = store.unit_of_work()
    with pytest.raises(DatabaseUnusable, match=r"b\.sqlite3 cannot be opened: .*mode=ro"), unit:
        unit.games.add(make_game())
    store.close()


@pytest.mark.parametrize("denied", ["folder", "file"])
def test_what_the_system_denies_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, denied: str
) -> None:
    """The system is told to deny it, for root may write everywhere."""
    file = folder / "b.sqlite3"
    file.touch()
    closed = folder if denied == "folder" else file
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != closed)
    cause = sqlite3.OperationalError("unable to open database file")
    cause.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    told = place_of(f"sqlite:///{file}").translate(OperationalError("BEGIN", None, cause))
    assert isinstance(told, DatabaseUnusable)
    assert str(file) in told.message
    assert "this user may not" in told.message
    assert ("the folder" in told.message) is (denied == "folder")


@pytest.mark.mariadb
def test_a_server_that_refuses_or_lacks_the_database_says_which(mariadb: str) -> None:
    for url, kind, said in (
        (mariadb.replace("/orchestrator", "/none"), DatabaseMissing, "CREATE DATABASE"),
        (mariadb.replace("root@", "nobody:secret@"), DatabaseUnusable, "refuses the login"),
    ):
        store = Store(url)
        with pytest.raises(kind, match=said) as caught:
            store.prepare(create=False)
        assert "secret" not in caught.value.message
        store.close()


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    store = Store("mysql+pymysql://root:secret@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable, match=r"root:\*\*\*@127\.0\.0\.1:1/none") as caught:
        store.prepare(create=False)
    assert "secret" not in caught.value.message
    store.close()


def test_a_lab_that_cannot_write_its_inventory_says_where(folder: Path) -> None:
    wanted = folder / "none" / "lab.yml"
    refused = run("lab", "--servers", "1", "--inventory-file", str(wanted))
    assert (refused.exit_code, "[file_not_written]" in refused.output) == (1, True)
    assert str(wanted) in refused.output


def test_a_broker_without_an_inventory_says_what_is_missing(folder: Path) -> None:
    refused = run("serve")
    assert refused.exit_code == 1
    assert "--inventory PATH or set ORCHESTRATOR_INVENTORY" in refused.output
    assert "[inventory_missing]" in refused.output
    assert list(folder.iterdir()) == []


def test_a_file_that_is_gone_takes_no_writes_and_is_not_made_anew(tmp_path: Path) -> None:
    file, aside = tmp_path / "a.db", tmp_path / "aside"
    store = Store(f"sqlite:///{file}")
    store.prepare()
    fill(store, [], games=[make_game()])
    aside.mkdir()
    for each in sorted(tmp_path.glob("a.db*")):
        each.rename(aside / each.name)
    for reads in (True, False):
        with (
            pytest.raises(DatabaseMissing, match=f"gone from {file}"),
            store.unit_of_work(read_only=reads),
        ):
            pytest.fail("it was opened")
    with pytest.raises(DatabaseMissing):
        store.ping()
    assert list(tmp_path.glob("a.db*")) == []
    for each in sorted(aside.iterdir()):
        each.rename(tmp_path / each.name)
    store.ping()
    with store.unit_of_work(read_only=True) as uow:
        assert len(uow.games.list()) == 1
    store.close()


def test_a_file_that_was_replaced_is_read_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    for name in ("b.db", "a.db"):
        other = Store(f"sqlite:///{tmp_path / name}")
        other.prepare()
        if name == "a.db":
            fill(other, [], games=[make_game()])
        other.close()
    store = Store(f"sqlite:///{file}")
    with store.unit_of_work() as uow:
        assert len(uow.games.list()) == 1
    (tmp_path / "b.db").replace(file)
    with store.unit_of_work() as uow:
        assert uow.games.list() == []
    store.close()
