"""What rows that are a little odd still tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.launch import Launch
from orchestrator.transport.probe import Prober
from orchestrator.transport.questions import Question
from orchestrator.transport.readings import living_of, total
from orchestrator.transport.wql import Row

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GAME = Launch(1860, NOW, r"C:\Games\game.exe")
ROW: Row = {"ProcessId": "1860", "CreationDate": NOW, "ExecutablePath": GAME.image}


@pytest.mark.parametrize(
    ("change", "lives"),
    [
        ({}, True),
        ({"CreationDate": None}, True),
        ({"CreationDate": NOW + timedelta(seconds=1)}, False),
        ({"CreationDate": None, "ExecutablePath": r"C:\Windows\notepad.exe"}, False),
        ({"ProcessId": None}, False),
        ({"ExecutablePath": None, "Name": "game.exe"}, True),
        ({"ExecutablePath": None}, False),
    ],
)
def test_a_launch_lives_where_what_is_told_of_its_process_fits(change: Row, lives: bool) -> None:
    assert (living_of([GAME], [ROW | change]) == {GAME}) is lives


@pytest.mark.parametrize("row", [{}, {"Name": "explorer.exe", "SessionId": "1"}, {"Name": None}])
def test_rows_without_what_was_asked_end_no_poll(row: Row) -> None:
    def ask(question: Question) -> list[Row]:
        return [dict(row)]

    prober = Prober()
    for _ in range(2):
        seen = prober.observe(ask, NOW, [GAME], [8554])
        assert seen.living == frozenset()
        assert seen.load.cpu is None


@pytest.mark.parametrize("text", ["NaN", "INF", "-INF", "1e400"])
def test_a_number_that_is_not_finite_ends_no_poll(text: str) -> None:
    def ask(question: Question) -> list[Row]:
        return [dict.fromkeys(("TotalVisibleMemorySize", "BytesReceivedPersec", "Size"), text)]

    load = Prober().observe(ask, NOW, [GAME], [8554]).load
    assert (load.memory_total_mb, load.network_received, load.disk_total_mb) == (None, None, None)


@pytest.mark.parametrize(
    ("rows", "sum_of_them"),
    [
        ([{"Bytes": None}], None),
        ([{"Bytes": ""}, {}], None),
        ([{"Bytes": None}, {"Bytes": "+3"}], 3),
        ([{"Bytes": "0"}], 0),
        ([], 0),
    ],
)
def test_a_sum_of_which_no_row_tells_anything_is_not_measured(
    rows: list[Row], sum_of_them: int | None
) -> None:
    assert total(rows, "Bytes") == sum_of_them
