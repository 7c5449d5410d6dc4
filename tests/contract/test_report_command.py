"""``orchestrator report``, on a database of its own."""

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
from tests.fakes import fill, make_game, make_server


class Shell:
    """Runs commands on one database."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'report.sqlite3'}"
        store = Store(self.url)
        store.prepare()
        fill(store, [make_server("tpe-01", site="taipei")], [make_game()])
        store.close()

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--database", self.url])


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    before, level = structlog.get_config(), logging.getLogger().level
    yield Shell(tmp_path)
    structlog.configure(**before)
    logging.getLogger().setLevel(level)


def test_a_report_is_made_printed_written_and_kept(shell: Shell, tmp_path: Path) -> None:
    page, data = tmp_path / "r.html", tmp_path / "r.json"
    done = shell.run(
        "report", "run", "--report-language", "zh-TW", "--output", str(page), "--output", str(data)
    )
    assert done.exit_code == 0, done.output
    assert "站點 taipei" in done.output
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    kept = json.loads(data.read_text(encoding="utf-8"))
    assert kept["report"]["servers"][0]["name"] == "tpe-01"
    listed = json.loads(shell.run("report", "list", "--json").output)
    assert [each["id"] for each in listed] == [kept["id"]]
    assert kept["id"] in shell.run("report", "list").output
    shown = json.loads(shell.run("report", "show", kept["id"], "--json").output)
    assert shown == kept


def test_what_goes_wrong_is_told(shell: Shell, tmp_path: Path) -> None:
    unsent = shell.run("report", "run", "--send")
    assert (unsent.exit_code, "--report-targets" in unsent.output) == (1, True)
    targets = tmp_path / "targets"
    targets.write_text("json://127.0.0.1:1/nobody\n")
    failed = shell.run("report", "run", "--send", "--report-targets", str(targets))
    assert (failed.exit_code, "not sent to 1 json://127.0.0.1:1/nobody" in failed.output) == (
        1,
        True,
    )
    wrong = shell.run("report", "run", "--since", "2026-02-01", "--until", "2026-01-01")
    assert (wrong.exit_code, "since" in wrong.output) == (1, True)
    assert shell.run("report", "show", "none").exit_code == 1
    zone = shell.run("report", "run", "--timezone", "Taipei")
    assert (zone.exit_code, "Asia/Taipei" in zone.output) == (1, True)
    nowhere = shell.run("report", "run", "--output", str(tmp_path / "no" / "r.html"))
    assert (nowhere.exit_code, "cannot be written" in nowhere.output) == (1, True)
