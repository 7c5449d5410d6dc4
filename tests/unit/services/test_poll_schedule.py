"""When each server is polled next, by a clock that tests turn."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from orchestrator.services.poll_schedule import Answer, PollSchedule


class Fleet:
    """Polls that take ``latency`` seconds, on a clock of its own."""

    def __init__(self, count: int, interval: float = 10.0) -> None:
        self.schedule = PollSchedule(random.Random(1))
        self.now = 1000.0
        self.polls: dict[str, list[float]] = {f"s-{n}": [] for n in range(count)}
        self.schedule.follow(dict.fromkeys(self.polls, interval), self.now)

    def run(self, seconds: float, answer: Answer = Answer.GOOD, tick: float = 0.25) -> None:
        end = self.now + seconds
        while self.now < end:
            for name in self.schedule.take(self.now, lambda _: True):
                self.polls[name].append(self.now)
                self.schedule.done(name, self.now, answer)
            self.now += tick

    def busiest_second(self, since: float) -> int:
        every = [at for times in self.polls.values() for at in times if at >= since]
        return max(Counter(int(at) for at in every).values())


def test_every_server_is_polled_at_once_and_then_once_an_interval_spread_evenly() -> None:
    fleet = Fleet(100)
    fleet.run(61)
    assert all(times[0] == 1000.0 for times in fleet.polls.values())
    assert all(len(times) in {6, 7, 8} for times in fleet.polls.values())
    gaps = [b - a for times in fleet.polls.values() for a, b in itertools.pairwise(times)]
    assert max(gaps) <= 10.5
    assert fleet.busiest_second(1010) <= 13


def test_a_server_is_never_polled_twice_at_once() -> None:
    fleet = Fleet(1)
    assert fleet.schedule.take(1000.0, lambda _: True) == ["s-0"]
    fleet.run(60)
    assert fleet.polls["s-0"] == []
    fleet.schedule.done("s-0", fleet.now, Answer.GOOD)
    fleet.run(10.5)
    assert len(fleet.polls["s-0"]) == 1


def test_after_a_pause_polls_are_spread_and_not_made_up_for() -> None:
    fleet = Fleet(100)
    fleet.run(21)
    fleet.now += 3600
    woken = fleet.now
    fleet.run(30)
    assert fleet.busiest_second(woken) <= 13
    after = [[at for at in times if at >= woken] for times in fleet.polls.values()]
    assert all(2 <= len(times) <= 4 and times[0] <= woken + 10.5 for times in after)


def test_news_is_confirmed_soon_and_sooner_where_the_server_kept_us_waiting() -> None:
    for waited, pause in ((0.0, 4.0), (4.0, 0.0)):
        fleet = Fleet(1)
        assert fleet.schedule.take(1000.0, lambda _: True) == ["s-0"]
        ended = 1000.0 + waited
        fleet.schedule.done("s-0", ended, Answer.DOUBTED)
        if pause:
            assert fleet.schedule.take(ended + pause - 0.01, lambda _: True) == []
        assert fleet.schedule.take(ended + pause, lambda _: True) == ["s-0"]


@pytest.mark.parametrize(
    ("answer", "least", "most"), [(Answer.SILENT, 20, 32), (Answer.REFUSED, 200, 302)]
)
def test_the_dead_are_asked_less_and_less_often_up_to_a_bound(
    answer: Answer, least: float, most: float
) -> None:
    fleet = Fleet(1)
    fleet.run(3000, answer)
    times = fleet.polls["s-0"]
    assert times[1] - times[0] <= 61
    assert least <= times[-1] - times[-2] <= most


def test_one_that_answers_again_is_back_in_its_place() -> None:
    fleet = Fleet(1)
    fleet.run(300, Answer.SILENT)
    fleet.run(60)
    times = fleet.polls["s-0"]
    assert times[-1] - times[-2] <= 10.5


def test_each_server_has_its_own_interval_and_the_fleet_may_change() -> None:
    fleet = Fleet(2)
    fleet.schedule.follow({"s-0": 2.0, "s-1": 10.0}, fleet.now)
    fleet.run(40)
    assert len(fleet.polls["s-0"]) >= 19
    assert len(fleet.polls["s-1"]) in {4, 5}
    fleet.schedule.follow({"s-1": 10.0}, fleet.now)
    before = len(fleet.polls["s-0"])
    fleet.run(40)
    assert len(fleet.polls["s-0"]) == before


def test_what_is_not_admitted_stays_due() -> None:
    fleet = Fleet(3)
    assert fleet.schedule.take(1000.0, lambda name: name == "s-1") == ["s-1"]
    assert sorted(fleet.schedule.take(1000.1, lambda _: True)) == ["s-0", "s-2"]
