"""Kept connections are bounded and used again only while they work; tidying up is bounded too."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from orchestrator.domain.errors import ServerBusy
from orchestrator.domain.server import Connection
from orchestrator.transport.deadline import Deadline, Watchdog
from orchestrator.transport.janitor import Janitor
from orchestrator.transport.pool import Pool
from orchestrator.transport.wire import CannotConnect, Wire
from tests.waiting import waits_until

SETTINGS = Connection("127.0.0.1", 1, "http", "ntlm", "user", "password")
BOUND = 20.0


def soon() -> Deadline:
    return Deadline.after(BOUND)


@pytest.fixture
def pool() -> Iterator[Pool]:
    watchdog = Watchdog()
    pool = Pool("a", SETTINGS, watchdog, size=2)
    yield pool
    pool.close()
    watchdog.close()


def test_the_connection_used_last_is_used_next(pool: Pool) -> None:
    one, two = pool.take(soon()), pool.take(soon())
    pool.give_back(one)
    pool.give_back(two)
    assert pool.take(soon()) is two
    assert pool.take(soon()) is one


def test_there_are_never_more_than_the_bound(pool: Pool) -> None:
    pool.take(soon())
    taken = pool.take(soon())
    with pytest.raises(ServerBusy, match="all 2 connections to a are in use"):
        pool.take(Deadline.after(0.02))
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.take, soon())
        pool.give_back(taken)
        assert waiting.result(BOUND) is taken


def test_a_connection_that_was_closed_or_cut_is_never_used_again(pool: Pool) -> None:
    closed, cut = pool.take(soon()), pool.take(soon())
    closed.close()
    cut.cut()
    pool.give_back(closed)
    pool.give_back(cut)
    assert {closed, cut}.isdisjoint({pool.take(soon()), pool.take(soon())})


def test_a_connection_that_was_idle_for_long_is_closed() -> None:
    watchdog = Watchdog()
    pool = Pool("a", SETTINGS, watchdog, size=2, idle_seconds=60)
    old, new = pool.take(soon()), pool.take(soon())
    old.used_at -= 61
    pool.give_back(old)
    pool.give_back(new)
    pool.expire()
    assert not old.is_usable
    assert new.is_usable
    assert pool.take(soon()) is new
    pool.close()


def test_stopping_wakes_who_waits_cuts_who_calls_and_lets_tidying_go_on(pool: Pool) -> None:
    calling, tidied = pool.take(soon()), pool.take(soon())
    pool.tidying(tidied)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.take, soon())
        pool.stop()
        with pytest.raises(ServerBusy, match="stopping"):
            waiting.result(BOUND)
    assert not calling.is_usable
    assert tidied.is_usable
    pool.give_back(tidied, tidied=True)
    with pytest.raises(ServerBusy, match="stopping"):
        pool.take(soon())
    assert pool.take(soon(), tidying=True) is tidied


def test_a_connection_that_does_not_come_about_can_be_cut() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        # What comes after these is neither taken nor refused.
        queue = [socket.socket() for _ in range(3)]
        for waiting in queue:
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        wire = Wire(replace(SETTINGS, port=port))
        errors: list[Exception] = []

        def connect() -> None:
            try:
                wire.connect(300.0)
            except CannotConnect as error:
                errors.append(error)

        thread = threading.Thread(target=connect)
        thread.start()
        assert waits_until(lambda: wire.sock is not None, BOUND)
        while thread.is_alive():
            # Once may come too early, before the kernel has begun.
            wire.shut_down()
            thread.join(0.1)
        assert len(errors) == 1
        for waiting in queue:
            waiting.close()


@pytest.fixture
def janitor() -> Iterator[Janitor]:
    janitor = Janitor(lambda: None)
    yield janitor
    janitor.close()


def test_a_server_that_hangs_does_not_hold_up_the_tidying_of_others(janitor: Janitor) -> None:
    release, done = threading.Event(), threading.Event()
    for _ in range(20):
        janitor.soon("hung", lambda _: release.wait(BOUND) and None)
    janitor.soon("well", lambda _: done.set())
    assert done.wait(BOUND)
    release.set()


def test_every_task_is_done_whatever_others_raise(janitor: Janitor) -> None:
    done: list[int] = []

    def task(number: int, deadline: Deadline) -> None:
        assert not deadline.passed
        if number % 3 == 0:
            raise RuntimeError("a mistake of ours")
        done.append(number)

    for number in range(30):
        janitor.soon(f"server-{number % 4}", lambda d, n=number: task(n, d))  # type: ignore[misc]
    janitor.close()
    assert sorted(done) == [n for n in range(30) if n % 3]


def test_after_its_end_it_tidies_in_the_callers_thread(janitor: Janitor) -> None:
    janitor.close()
    threads: list[threading.Thread] = []
    janitor.soon("a", lambda _: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()]


def test_what_has_not_begun_in_time_at_the_end_gets_no_more_time() -> None:
    janitor = Janitor(lambda: None)
    passed: list[bool] = []
    started, release = threading.Event(), threading.Event()

    def hang(_: Deadline) -> None:
        started.set()
        release.wait(BOUND)

    for _ in range(4):
        janitor.soon("a", hang)
    assert started.wait(BOUND)
    janitor.soon("a", lambda deadline: passed.append(deadline.passed))
    closing = threading.Thread(target=janitor.close, args=(0.0,))
    closing.start()
    assert waits_until(lambda: janitor.is_closing, BOUND)
    release.set()
    closing.join(BOUND)
    assert not closing.is_alive()
    assert passed == [True]


def test_it_ticks_while_it_has_nothing_to_do() -> None:
    ticked = threading.Event()
    janitor = Janitor(ticked.set)
    janitor.start()
    assert ticked.wait(BOUND)
    janitor.close()


def test_a_block_that_ended_is_never_acted_on_and_one_that_hangs_is() -> None:
    watchdog = Watchdog()
    acted: list[str] = []
    with watchdog.guard(Deadline.after(0.01), lambda: acted.append("late")):
        assert waits_until(lambda: acted, BOUND)
    with watchdog.guard(Deadline.after(BOUND), lambda: acted.append("in time")):
        pass
    watchdog.close()
    assert acted == ["late"]


def test_blocks_that_ended_take_no_memory_until_their_deadline() -> None:
    watchdog = Watchdog()
    acted: list[str] = []
    tracemalloc.start()
    try:
        with watchdog.guard(Deadline.after(0.3), lambda: acted.append("hangs")):
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(5_000):
                with watchdog.guard(Deadline.after(BOUND), lambda: acted.append("in time")):
                    pass
            after, _ = tracemalloc.get_traced_memory()
            assert waits_until(lambda: acted, BOUND)
    finally:
        tracemalloc.stop()
        watchdog.close()
    assert after - before < 50_000
    assert acted == ["hangs"]
