"""Writers of one file wait for each other, and for nobody in vain."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.domain.errors import OrchestratorError, StoreUnavailable
from orchestrator.domain.event import Event
from orchestrator.store import Store
from orchestrator.store.turns import Turns
from tests.fakes import START
from tests.waiting import waits_until


def test_whoever_waits_is_told_when_a_turn_was_in_vain_and_later_ones_are_not() -> None:
    turns, begun = Turns(), threading.Barrier(5)
    turns.take()

    def queue() -> None:
        begun.wait()
        turns.take()

    with ThreadPoolExecutor(4) as pool:
        waiting: list[Future[None]] = [pool.submit(queue) for _ in range(4)]
        begun.wait()
        assert waits_until(lambda: turns.waiting == 4, 30)
        turns.give_back(StoreUnavailable("the file is locked"))
        assert [str(each.exception(30)) for each in waiting] == 4 * ["the file is locked"]
    turns.take()
    turns.give_back()


def test_a_turn_that_does_not_come_is_not_waited_for_for_ever() -> None:
    turns = Turns(longest=0.01)
    turns.take()
    with pytest.raises(StoreUnavailable):
        turns.take()
    turns.give_back()
    turns.take()


def test_many_writers_of_one_file_all_get_their_turn(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'turns.sqlite3'}", busy_seconds=0.2)
    store.prepare()

    def write(number: int) -> None:
        with store.unit_of_work() as uow:
            uow.events.add(Event(START, "test", str(number)))
            uow.commit()

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(write, range(200)))
    with store.unit_of_work(read_only=True) as uow:
        assert len(uow.events.list(limit=500)) == 200
    store.close()


def test_a_writer_that_fails_leaves_its_turn_to_others(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'turns.sqlite3'}", busy_seconds=0.2)
    store.prepare()
    with pytest.raises(OrchestratorError), store.unit_of_work() as uow:
        uow.servers.get("nobody")
    with store.unit_of_work() as uow:
        uow.commit()
    store.close()
