"""What a server's idle process tells about its CPU, and when it is not believed."""

from __future__ import annotations

import pytest

from orchestrator.transport.idle_time import IdleTime


def readings(*idle: float | None, every: float = 10.0, took: float = 0.01) -> list[float | None]:
    """CPU use of four processors as told by these readings, one ``every`` seconds."""
    clock = IdleTime()
    return [
        clock.share(each, 4, number * every, number * every + took)
        for number, each in enumerate(idle)
    ]


def test_use_is_what_the_idle_process_did_not_run() -> None:
    assert readings(100.0, 140.0, 160.0, 160.0) == [
        None,
        pytest.approx(0.0),
        pytest.approx(0.5),
        pytest.approx(1.0),
    ]


def test_a_little_more_idle_than_there_was_time_is_no_use_at_all() -> None:
    assert readings(100.0, 140.4) == [None, 0.0]


@pytest.mark.parametrize("second", [3.0, 143.0], ids=["backwards", "more than there was time"])
def test_what_cannot_be_is_not_believed_for_ten_minutes(second: float) -> None:
    clock = IdleTime()
    assert clock.share(100.0, 4, 0, 0) is None
    assert clock.share(second, 4, 10, 10) is None
    assert not clock.is_trusted(609)
    assert clock.is_trusted(610)


def test_a_missing_reading_is_not_bridged() -> None:
    assert readings(100.0, None, 180.0, 220.0) == [None, None, None, pytest.approx(0.0)]


@pytest.mark.parametrize("every", [0.5, 1.9, 121.0])
def test_too_short_and_too_long_spans_tell_nothing(every: float) -> None:
    assert readings(100.0, 100.0 + 4 * every, every=every) == [None, None]


def test_answers_that_took_long_tell_nothing() -> None:
    assert readings(100.0, 140.0, took=0.3) == [None, None]
    assert readings(100.0, 140.0, took=0.1) == [None, pytest.approx(0.0)]


def test_without_a_count_of_processors_nothing_is_told() -> None:
    clock = IdleTime()
    assert [clock.share(100.0 + 40 * n, None, 10 * n, 10 * n) for n in range(3)] == [None] * 3


def proved(*differences: float) -> IdleTime:
    """One that was checked at second 0 with these differences."""
    clock = IdleTime()
    for each in differences:
        clock.check(0.5 + each, 0.5, 0.0)
    return clock


def test_three_checks_prove_it_and_one_follows_every_five_minutes() -> None:
    clock = proved(0.05, -0.1)
    assert clock.needs_check(0.5, 0.0)
    assert not clock.is_proved
    assert clock.check(0.5, 0.52, 0.0)
    assert not clock.needs_check(0.5, 299.0)
    assert clock.needs_check(0.5, 300.0)


def test_an_idle_process_that_stands_still_is_checked_each_time() -> None:
    assert proved(0.0, 0.0, 0.0).needs_check(1.0, 1.0)


def test_moments_may_differ_from_the_mean_as_long_as_they_do_so_both_ways() -> None:
    clock = proved(0.4, -0.4, 0.2, -0.4, 0.2)
    assert clock.is_trusted(1.0)


@pytest.mark.parametrize(
    "differences", [(0.51,), (0.15, 0.15, 0.15), (-0.2, -0.05, -0.1)], ids=["far", "above", "below"]
)
def test_one_that_disagrees_with_the_counters_is_left_alone_for_ten_minutes(
    differences: tuple[float, ...],
) -> None:
    clock = proved(*differences)
    assert not clock.is_proved
    assert not clock.is_trusted(599.0)
    assert clock.is_trusted(600.0)
