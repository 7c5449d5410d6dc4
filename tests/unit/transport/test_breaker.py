"""The circuit breaker, on a clock that stands still until it is moved."""

from __future__ import annotations

import random

import pytest

from orchestrator.domain.errors import (
    AccessDenied,
    ConnectionLost,
    CredentialsRefused,
    Outcome,
    ScriptFailed,
    ServerCallError,
    ServerUnreachable,
)
from orchestrator.transport.breaker import Breaker

GONE = ServerUnreachable("nothing answers there", server="a")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("a", clock=clock, chance=random.Random(1))


def fail(breaker: Breaker, times: int, error: ServerCallError = GONE) -> None:
    for _ in range(times):
        breaker.record(error)


def is_open(breaker: Breaker) -> bool:
    try:
        breaker.check()
    except ServerCallError:
        return True
    return False


def test_a_few_failures_are_tolerated(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert not is_open(breaker)


def test_a_call_that_is_not_made_was_not_executed_whatever_failed_before(
    breaker: Breaker,
) -> None:
    fail(breaker, 3, ConnectionLost("gone", server="a"))
    with pytest.raises(ConnectionLost, match="not asked again for") as refused:
        breaker.check()
    assert refused.value.outcome is Outcome.NOT_EXECUTED


def test_after_its_pause_one_call_is_let_through_and_no_other(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    assert not is_open(breaker)
    assert is_open(breaker)
    breaker.record(None)
    assert not is_open(breaker)


def test_pauses_double_with_jitter_up_to_the_longest(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    pauses = []
    for _ in range(12):
        began = clock.now
        while is_open(breaker):
            clock.now += 0.01
        pauses.append(clock.now - began)
        breaker.record(GONE)
    for number, pause in enumerate(pauses):
        longest = min(20.0, 2.0**number)
        assert longest / 2 - 0.02 <= pause <= longest + 0.02
    assert len({round(pause, 2) for pause in pauses[6:]}) > 1


def test_calls_that_were_under_way_when_it_opened_do_not_lengthen_the_pause(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker, 30)
    clock.now += 1.0
    assert not is_open(breaker)


def test_refused_credentials_pause_for_longer(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3, CredentialsRefused("wrong", server="a"))
    clock.now += 29.0
    assert is_open(breaker)
    clock.now += 32.0
    assert not is_open(breaker)


@pytest.mark.parametrize(
    "error",
    [
        None,
        AccessDenied("no", server="a"),
        ScriptFailed("desktop_missing", "nobody", server="a"),
    ],
)
def test_an_answer_of_the_server_closes_it_whatever_it_says(
    breaker: Breaker, error: ServerCallError | None
) -> None:
    fail(breaker, 2)
    breaker.record(error)
    fail(breaker, 2)
    assert not is_open(breaker)
