"""Kept shells: rotation, quotas, and what is taken for left over."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.domain.errors import ConnectionLost, QuotaExceeded
from orchestrator.transport import shells as module
from orchestrator.transport.connection import RequestFailed
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.faults import INVALID_SELECTORS, Failed, Sent
from orchestrator.transport.leftovers import ABANDONED_SECONDS, IDLE_SECONDS, Shell
from orchestrator.transport.listing import duration_seconds
from orchestrator.transport.shells import (
    KEPT_SECONDS,
    MOST_COMMANDS,
    MOST_SHELLS,
    Shells,
)
from tests.waiting import waits_until

RSP = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FULL = Failed(QuotaExceeded, "full", Sent.ANSWERED, reusable=True, fault=2150859173)
GONE = Failed(ConnectionLost, "gone", Sent.MAYBE, reusable=False)


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


class Host:
    """A server's shells, and a connection of the account ``GAME\\Broker`` to it."""

    user = "broker@GAME.LOCAL"
    url = "http://host:5985/wsman"
    operation_timeout = 20

    def __init__(self, most: int = 30) -> None:
        self.most = most
        self.open: dict[str, tuple[str, str, float, float]] = {}
        self.loses_next = False
        self.refuses = ""
        self.asked: list[str] = []
        self._lock = threading.Lock()
        self._number = 0

    def call(self, deadline: Deadline, what: str, *args: Any, **options: Any) -> str:
        with self._lock:
            self.asked.append(what)
            if what == "close_shell":
                if self.refuses == "closing":
                    raise RequestFailed(GONE)
                if self.open.pop(args[0], None) is None:
                    raise RequestFailed(
                        Failed(ConnectionLost, "no such", Sent.ANSWERED, True, INVALID_SELECTORS)
                    )
                return ""
            if len(self.open) >= self.most:
                raise RequestFailed(FULL)
            found = self.add(options["idle_timeout"])
            if self.loses_next:
                self.loses_next = False
                raise RequestFailed(GONE)
            return found

    def add(
        self,
        idle: str = "PT190.000S",
        owner: str = r"GAME\Broker",
        inactive: float = 0.0,
        run_time: float = 0.0,
    ) -> str:
        self._number += 1
        name = f"SHELL-{self._number}"
        self.open[name] = (owner, idle, inactive, run_time)
        return name

    def seconds_for(self, deadline: Deadline) -> int:
        return 5

    def send(self, deadline: Deadline, message: bytes) -> bytes:
        assert b"/windows/shell</w:ResourceURI>" in message
        self.asked.append("list")
        if self.refuses == "listing":
            raise RequestFailed(GONE)
        shells = "".join(
            f"<Shell xmlns='{RSP}'><ShellId>{name}</ShellId><Owner>{owner}</Owner>"
            f"<IdleTimeOut>{idle}</IdleTimeOut><ShellRunTime>PT{run:.0f}S</ShellRunTime>"
            f"<ShellInactivity>P0DT0H0M{inactive:.0f}S</ShellInactivity></Shell>"
            for name, (owner, idle, inactive, run) in self.open.items()
        )
        return f"<a><Items>{shells}</Items><e xmlns='n'/></a>".encode()

    def parse(self, answer: bytes) -> ET.Element:
        return ET.fromstring(answer)


SOON = 20.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shells(clock: Clock) -> Shells:
    return Shells("host:5985", clock)


def opened(shells: Shells, host: Any, number: int = 1) -> list[Shell]:
    return [shells.acquire(host, Deadline.after(SOON)) for _ in range(number)]


def test_the_shell_used_last_is_used_next(shells: Shells) -> None:
    host = Host()
    first, second = opened(shells, host, 2)
    assert shells.give_back(first)
    assert shells.give_back(second)
    assert opened(shells, host, 2) == [second, first]
    assert opened(shells, host)[0] not in (first, second)


def test_a_shell_that_rested_too_long_is_closed_and_never_lost(
    shells: Shells, clock: Clock
) -> None:
    host = Host()
    (shell,) = opened(shells, host)
    shells.give_back(shell)
    clock.now += KEPT_SECONDS + 0.1
    assert opened(shells, host) != [shell]
    assert shells.take_expired() == [shell]
    assert shells.take_expired() == []


def test_a_shell_is_closed_after_its_commands_its_hour_or_the_end_of_all(
    shells: Shells, clock: Clock
) -> None:
    used, old, last = opened(shells, Host(), 3)
    used.commands = MOST_COMMANDS
    assert not shells.give_back(used)
    clock.now += 3600
    assert not shells.give_back(old)
    (young,) = opened(shells, Host())
    assert shells.give_back(young)
    shells.close()
    assert shells.take_expired() == [young]
    assert not shells.give_back(last)


def test_operations_of_all_shells_of_the_account_are_counted(
    shells: Shells, monkeypatch: pytest.MonkeyPatch
) -> None:
    host: Any = Host()
    one, two = opened(shells, host, 2)
    one.commands, two.commands = 8, 7
    shells.operations_exhausted()
    assert not shells.give_back(one)
    shells.delete(host, one, Deadline.after(SOON))
    assert shells.give_back(two)


def test_what_a_refusal_taught_is_believed_for_a_while_only(shells: Shells, clock: Clock) -> None:
    (one,) = opened(shells, Host())
    one.commands = 4
    shells.operations_exhausted()
    assert not shells.give_back(one)
    clock.now += 61
    assert shells.give_back(one)


def test_no_more_shells_are_opened_than_the_account_may_have(shells: Shells) -> None:
    host: Any = Host()
    opened(shells, host, MOST_SHELLS)
    with pytest.raises(RequestFailed) as full:
        shells.acquire(host, Deadline.after(0.05))
    assert full.value.failed.kind is QuotaExceeded
    assert full.value.failed.sent is Sent.NO
    assert len(host.open) == MOST_SHELLS


def test_reclaiming_closes_those_that_wait_idle_and_none_in_use(shells: Shells) -> None:
    host: Any = Host()
    idle, in_use = opened(shells, host, 2)
    shells.give_back(idle)
    assert shells.reclaim(host, Deadline.after(SOON)) == 1
    assert list(host.open) == [in_use.id]
    assert opened(shells, host) != [idle]


def test_where_the_host_refuses_those_of_a_dead_broker_are_closed(shells: Shells) -> None:
    host = Host(most=2)
    host.add(inactive=ABANDONED_SECONDS + 5, run_time=300)
    host.add(inactive=ABANDONED_SECONDS + 5, run_time=300)
    opened(shells, host, 1)
    assert len(host.open) == 1


def test_a_refused_shell_is_waited_for(shells: Shells) -> None:
    host = Host(most=1)
    (one,) = opened(shells, host)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(opened, shells, host)
        assert waits_until(lambda: "list" in host.asked, SOON)
        assert not waiting.done()
        assert shells.give_back(one)
        assert waiting.result(SOON) == [one]


def test_where_everything_belongs_to_others_nobody_waits(shells: Shells) -> None:
    host = Host(most=1)
    host.add(owner=r"GAME\somebody")
    with pytest.raises(RequestFailed) as full:
        opened(shells, host)
    assert full.value.failed.fault == 2150859173


@pytest.mark.parametrize(
    ("listed", "closed"),
    [
        ({"inactive": 61}, True),
        ({"inactive": 59}, False),
        ({"inactive": 61, "idle": "PT7200.000S"}, False),
        ({"inactive": 61, "idle": "PT180.000S"}, False),
        ({"inactive": 61, "idle": "PT240S"}, True),
        ({"inactive": 61, "idle": "P0DT0H3M10S"}, True),
        ({"inactive": 61, "owner": r"GAME\other"}, False),
        ({"inactive": 61, "owner": "BROKER"}, True),
        ({"inactive": 61, "idle": "nonsense"}, False),
    ],
)
def test_what_an_earlier_broker_left_is_told_by_owner_idle_time_out_and_age(
    shells: Shells, listed: dict[str, Any], closed: bool
) -> None:
    host: Any = Host()
    name = host.add(**listed)
    assert shells.sweep(host, Deadline.after(SOON)) == int(closed)
    assert (name not in host.open) is closed


def test_our_own_shells_are_never_taken_for_left_over(shells: Shells) -> None:
    host: Any = Host()
    in_use, left, idle = opened(shells, host, 3)
    shells.leave(left, 1e9)
    shells.give_back(idle)
    for shell in (in_use, left, idle):
        host.open[shell.id] = (r"GAME\Broker", "PT190.000S", 500.0, 500.0)
    assert shells.sweep(host, Deadline.after(SOON)) == 0
    assert len(host.open) == 3


def test_a_long_receive_is_not_taken_for_a_dead_broker(shells: Shells) -> None:
    host: Any = Host()
    host.operation_timeout = 60
    host.add(inactive=100)
    assert shells.sweep(host, Deadline.after(SOON)) == 0
    host.add(inactive=121)
    assert shells.sweep(host, Deadline.after(SOON)) == 1


def test_a_shell_whose_id_was_lost_is_found_by_its_own_idle_time_out(
    shells: Shells, clock: Clock
) -> None:
    host: Any = Host()
    (kept,) = opened(shells, host)
    host.loses_next = True
    with pytest.raises(RequestFailed):
        opened(shells, host)
    assert shells.wants_look()
    assert not shells.wants_look(), "somebody looks already"
    lost = next(name for name in host.open if name != kept.id)
    tag = duration_seconds(host.open[lost][1])
    others = [host.add(f"PT{seconds}S") for seconds in IDLE_SECONDS if seconds != tag]
    older = host.add(f"PT{tag:.0f}S", run_time=30)
    assert shells.sweep(host, Deadline.after(SOON)) == 1
    assert set(host.open) == {kept.id, *others, older}
    shells.looked()
    clock.now += 1000
    assert not shells.wants_look()


@pytest.mark.parametrize("trouble", ["listing", "closing", "late"])
def test_a_lost_shell_that_was_not_found_is_looked_for_again(
    shells: Shells, clock: Clock, trouble: str
) -> None:
    host: Any = Host()
    host.loses_next = True
    with pytest.raises(RequestFailed):
        opened(shells, host)
    (lost,) = host.open
    there = host.open.pop(lost) if trouble == "late" else None
    host.refuses = trouble
    assert shells.wants_look()
    assert shells.sweep(host, Deadline.after(SOON)) == 0
    shells.looked()
    assert not shells.wants_look()
    host.refuses = ""
    clock.now += 10
    owner, idle, *_ = there or host.open[lost]
    age = 8.0 if there else 10.0
    host.open[lost] = (owner, idle, age, age)
    assert shells.wants_look()
    assert shells.sweep(host, Deadline.after(SOON)) == 1
    shells.looked()
    assert host.open == {}
    clock.now += 1000
    assert not shells.wants_look()


@pytest.mark.parametrize(
    ("age", "rested"), [(2, 2), (20, 20), (10, 0)], ids=["younger", "older", "used"]
)
def test_another_brokers_shell_with_the_same_idle_time_out_is_left_alone(
    shells: Shells, clock: Clock, age: float, rested: float
) -> None:
    host: Any = Host()
    host.loses_next = True
    with pytest.raises(RequestFailed):
        opened(shells, host)
    (name,) = host.open
    owner, idle, *_ = host.open[name]
    clock.now += 10
    host.open[name] = (owner, idle, rested, age)
    assert shells.sweep(host, Deadline.after(SOON)) == 0
    host.open[name] = (owner, idle, 10.0, 10.0)
    assert shells.sweep(host, Deadline.after(SOON)) == 1


def test_a_lost_shell_is_looked_for_as_long_as_windows_would_keep_it(
    shells: Shells, clock: Clock
) -> None:
    host: Any = Host()
    host.loses_next = True
    with pytest.raises(RequestFailed):
        opened(shells, host)
    host.refuses = "listing"
    began, looks = clock.now, 0
    while clock.now < began + 1000:
        if shells.wants_look():
            looks += 1
            shells.sweep(host, Deadline.after(SOON))
            shells.looked()
            last = clock.now
        clock.now += 1
    assert looks == 4
    assert 120 < last - began < IDLE_SECONDS.start


def test_at_the_end_lost_shells_are_looked_for_at_once(shells: Shells) -> None:
    host: Any = Host()
    host.loses_next = True
    with pytest.raises(RequestFailed):
        opened(shells, host)
    host.refuses = "listing"
    assert shells.wants_look()
    shells.sweep(host, Deadline.after(SOON))
    shells.looked()
    assert not shells.wants_look()
    shells.close()
    assert shells.wants_look()


def test_a_shell_that_could_not_be_closed_is_tried_again_at_growing_pauses(
    shells: Shells, clock: Clock
) -> None:
    (shell,) = opened(shells, Host())
    tried = []
    began = clock.now
    while shells.owe(shell):
        while not (due := shells.take_expired()):
            clock.now += 1
        assert due == [shell]
        tried.append(clock.now - began)
    assert tried == [10, 40, 130]
    clock.now += 1000
    assert shells.take_expired() == []


def test_what_cannot_be_reclaimed_either_is_still_tried_in_its_time(
    shells: Shells, clock: Clock
) -> None:
    host: Any = Host()
    idle, owed = opened(shells, host, 2)
    shells.give_back(idle)
    assert shells.owe(owed)
    host.refuses = "closing"
    for _ in range(5):
        assert shells.reclaim(host, Deadline.after(SOON)) == 0
    host.refuses = ""
    clock.now += 10
    assert {each.id for each in shells.take_expired()} == {idle.id, owed.id} == set(host.open)


def test_what_could_not_be_closed_is_tried_at_once_at_the_end(shells: Shells) -> None:
    (shell,) = opened(shells, Host())
    assert shells.owe(shell)
    assert shells.take_expired() == []
    shells.close()
    assert shells.take_expired() == [shell]
    assert not shells.owe(shell)


def test_what_could_not_be_closed_takes_nobodys_place(shells: Shells) -> None:
    host: Any = Host(most=MOST_SHELLS)
    owed, *_ = opened(shells, host, MOST_SHELLS)
    assert shells.owe(owed)
    (more,) = opened(shells, host)
    assert owed.id not in host.open
    assert more.id in host.open
    assert len(host.open) == MOST_SHELLS


def test_a_shell_left_to_finish_is_closed_when_its_time_is_over(
    shells: Shells, clock: Clock
) -> None:
    (shell,) = opened(shells, Host())
    shells.leave(shell, clock.now + 30)
    assert shells.take_expired() == []
    clock.now += 30
    assert shells.take_expired() == [shell]


def test_closing_a_shell_that_is_gone_is_as_good(shells: Shells) -> None:
    host: Any = Host()
    (shell,) = opened(shells, host)
    host.open.clear()
    shells.delete(host, shell, Deadline.after(SOON))
    assert not shells.give_back(shell)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT187.000S", 187),
        ("PT7200S", 7200),
        ("P0DT0H1M40S", 100),
        ("P1DT1H", 90000),
        ("", 0),
        ("P", 0),
        ("187", 0),
        ("-PT5S", 0),
    ],
)
def test_durations_are_read_as_windows_writes_them(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


def test_each_shell_has_another_idle_time_out(shells: Shells) -> None:
    host = Host()
    opened(shells, host, 20)
    assert len({idle for _, idle, _, _ in host.open.values()}) == 20
    assert module.IDLE_SECONDS.start > 180


def test_what_was_given_back_while_a_refusal_was_on_its_way_counts() -> None:
    host, shells = Host(), Shells("host")
    other = shells.acquire(host, Deadline.after(9))  # type: ignore[arg-type]
    other.commands = 5
    before = shells.closed
    shells.delete(host, other, Deadline.after(9))  # type: ignore[arg-type]
    assert shells.wait_for_operations(before, Deadline.after(0))
    assert not shells.wait_for_operations(shells.closed, Deadline.after(0))


def test_a_shell_counts_until_its_server_has_closed_it() -> None:
    counted: list[int] = []

    class Watched(Host):
        def call(self, deadline: Deadline, what: str, *args: Any, **options: Any) -> str:
            if what == "close_shell":
                counted.append(shells.closed)
            return super().call(deadline, what, *args, **options)

    host, shells = Watched(), Shells("host")
    shell = shells.acquire(host, Deadline.after(9))  # type: ignore[arg-type]
    assert shells.give_back(shell)
    shells.reclaim(host, Deadline.after(9))  # type: ignore[arg-type]
    assert (counted, shells.closed) == ([0], 1)


def test_a_shell_that_was_closed_while_another_was_refused_is_room() -> None:
    class Overtaken(Host):
        def call(self, deadline: Deadline, what: str, *args: Any, **options: Any) -> str:
            try:
                return super().call(deadline, what, *args, **options)
            except RequestFailed:
                if what == "open_shell" and other.id in self.open:
                    shells.delete(self, other, deadline)  # type: ignore[arg-type]
                raise

    host, shells = Overtaken(most=1), Shells("host")
    (other,) = opened(shells, host)
    (shell,) = opened(shells, host)
    assert list(host.open) == [shell.id]
