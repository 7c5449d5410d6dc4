"""When slots run out, and when nobody can tell."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.forecast import Forecast, Outlook, forecast

FIRST = date(2026, 3, 2)


def days(values: list[float]) -> list[tuple[date, float]]:
    return [(FIRST + timedelta(days=n), value) for n, value in enumerate(values)]


def test_a_straight_line_runs_out_where_it_meets_the_slots() -> None:
    found = forecast(days([10.0 + 2 * n for n in range(10)]), 40)
    assert found == Forecast(Outlook.RUNS_OUT, 10, 2.0, FIRST + timedelta(days=15))


def test_six_days_are_too_few_to_tell() -> None:
    assert forecast(days([1, 2, 3, 4, 5, 6]), 40) == Forecast(Outlook.CANNOT_TELL, 6)


def test_a_site_without_slots_cannot_run_out() -> None:
    assert forecast(days([0.0] * 20), 0).outlook is Outlook.CANNOT_TELL


def test_noise_without_a_trend_is_no_growth() -> None:
    found = forecast(days([5, 7, 4, 6, 5, 7, 4, 6, 5, 7, 4, 6]), 40)
    assert found.outlook is Outlook.NO_GROWTH
    assert found.on is None


def test_a_steady_level_is_no_growth() -> None:
    assert forecast(days([5.0] * 14), 40).outlook is Outlook.NO_GROWTH


def test_peaks_that_lie_at_the_slots_are_taken_and_not_without_growth() -> None:
    assert forecast(days([40.0] * 14), 40).outlook is Outlook.TAKEN
    assert forecast(days([40.0, 40, 39, 40, 40, 38, 40]), 40).outlook is Outlook.TAKEN
    assert forecast(days([40.0] * 7 + [39.0] * 7), 40).outlook is Outlook.NO_GROWTH


def test_a_fall_is_no_growth() -> None:
    assert forecast(days([40.0 - n for n in range(14)]), 40).outlook is Outlook.NO_GROWTH


def test_one_odd_day_does_not_bend_the_trend() -> None:
    values = [10.0 + n for n in range(14)]
    values[6] = 200
    found = forecast(days(values), 40)
    assert found.on == FIRST + timedelta(days=30)


def test_days_without_data_count_as_time() -> None:
    points = [point for point in days([10.0 + n for n in range(20)]) if point[0].day % 3]
    assert forecast(points, 40).on == FIRST + timedelta(days=30)


def test_slots_that_are_reached_are_full() -> None:
    found = forecast(days([30.0 + n for n in range(12)]), 40)
    assert (found.outlook, found.on) == (Outlook.FULL, FIRST + timedelta(days=11))


def test_more_than_two_years_is_far() -> None:
    found = forecast(days([10 + n / 100 for n in range(28)]), 1000)
    assert (found.outlook, found.on) == (Outlook.FAR, None)


@given(st.integers(7, 28), st.integers(0, 50), st.integers(1, 8), st.integers(1, 300))
@settings(deadline=None)
def test_every_straight_line_is_continued_exactly(
    count: int, level: int, slope: int, limit: int
) -> None:
    found = forecast(days([float(level + slope * n) for n in range(count)]), limit)
    reached = -(-(limit - level) // slope)
    if reached <= count - 1:
        assert found.outlook is Outlook.FULL
    else:
        assert found.on == FIRST + timedelta(days=reached)


@given(st.lists(st.integers(0, 100), min_size=7, max_size=28), st.integers(1, 200))
@settings(deadline=None)
def test_nothing_is_foretold_without_growth(values: list[int], limit: int) -> None:
    found = forecast(days([float(value) for value in values]), limit)
    assert (found.on is not None) == (found.outlook in {Outlook.RUNS_OUT, Outlook.FULL})
    if found.on is not None:
        assert found.per_day is not None
        assert found.per_day > 0
        assert found.on >= FIRST + timedelta(days=len(values) - 1)
