"""The catalogue from the command line."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from orchestrator.cli.root import main
from orchestrator.store import Store
from tests.fakes import fill, make_game


class Shell:
    """The command in this process, with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'games.sqlite3'}"
        store = Store(self.url)
        store.prepare()
        fill(store, [], [make_game()])
        store.close()

    def run(self, *words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(main, [*words, "--database", self.url], input=given)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    before, level = structlog.get_config(), logging.getLogger().level
    yield Shell(tmp_path)
    structlog.configure(**before)
    logging.getLogger().setLevel(level)


def test_a_game_is_shown_edited_changed_and_removed(shell: Shell) -> None:
    shown = shell.run("games", "show", "chess")
    assert (shown.exit_code, "event-driven: C:\\Games\\chess.exe" in shown.output) == (0, True)
    body = json.loads(shell.run("games", "show", "chess", "--json").output)
    edited = json.dumps({**body, "title": "西洋棋", "limits": {"idle": 600}})
    changed = shell.run("games", "change", "-", "--json", given=edited)
    assert changed.exit_code == 0, changed.output
    assert json.loads(changed.output)["title"] == "西洋棋"
    again = shell.run("games", "show", "chess")
    assert "西洋棋" in again.output
    assert "idle 600 s" in again.output
    removed = shell.run("games", "remove", "chess")
    assert (removed.exit_code, removed.output) == (0, "game chess is removed\n")
    assert "no games" in shell.run("games", "list").output


def test_a_game_that_is_not_there_is_told(shell: Shell) -> None:
    for words in (("show", "go"), ("remove", "go")):
        refused = shell.run("games", *words)
        assert (refused.exit_code, "[unknown_game]" in refused.output) == (1, True)
    body = json.dumps({"id": "go", "modes": {"process": {"executable": "C:\\go.exe"}}})
    refused = shell.run("games", "change", "-", given=body)
    assert (refused.exit_code, "add it first [unknown_game]" in refused.output) == (1, True)
    no_json = shell.run("games", "change", "-", given="{")
    assert (no_json.exit_code, "is not JSON" in no_json.output) == (1, True)
