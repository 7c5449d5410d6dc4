"""Servers that give no answer are asked ever more seldom."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.services.pauses import LONGEST, Pauses
from tests.fakes import FakeClock


def test_pauses_double_up_to_the_longest_and_end_with_an_answer() -> None:
    clock = FakeClock()
    pauses = Pauses(clock, timedelta(seconds=5))
    assert pauses.is_over("a")
    waited = []
    for _ in range(6):
        # A server that several calls were made to counts once a round.
        pauses.count(["a", "a", "b"], ["a", "a"])
        before = clock.now()
        while not pauses.is_over("a"):
            assert pauses.is_over("b")
            clock.advance(1)
        waited.append((clock.now() - before).total_seconds())
    assert waited == [5, 10, 20, 40, 60, 60]
    assert LONGEST.total_seconds() == 60
    pauses.count(["a"], ["a"])
    pauses.count(["a"], [])
    assert pauses.is_over("a")
    pauses.count(["a"], ["a"])
    clock.advance(5)
    assert pauses.is_over("a")


def test_a_clock_that_was_set_back_does_not_make_a_pause_last() -> None:
    clock = FakeClock()
    pauses = Pauses(clock, timedelta(seconds=5))
    pauses.count(["a"], ["a"])
    clock.advance(-3600)
    assert pauses.is_over("a")
