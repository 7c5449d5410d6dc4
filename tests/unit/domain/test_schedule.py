"""When a cron expression last fired, by the clock on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.schedule import latest_fire


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "now", "fired"),
    [
        ("0 8 * * mon", "UTC", "2026-03-04T12:00+00:00", "2026-03-02T08:00+00:00"),
        ("0 8 * * 1", "UTC", "2026-03-02T08:00+00:00", "2026-03-02T08:00+00:00"),
        ("0 8 * * 1", "UTC", "2026-03-02T07:59:59+00:00", "2026-02-23T08:00+00:00"),
        ("0 8 * * mon", "Asia/Taipei", "2026-03-02T00:30+00:00", "2026-03-02T08:00+08:00"),
        ("*/15 * * * *", "UTC", "2026-03-04T12:14+00:00", "2026-03-04T12:00+00:00"),
        ("0 0 1 * *", "Asia/Taipei", "2026-03-15T00:00+00:00", "2026-03-01T00:00+08:00"),
        ("0 0 29 2 *", "UTC", "2027-06-01T00:00+00:00", "2024-02-29T00:00+00:00"),
        ("0 23 * * *", "Pacific/Auckland", "2026-01-01T12:00+00:00", "2026-01-01T10:00+00:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T12:00+00:00", "2026-03-29T01:30+00:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T12:00+00:00", "2026-10-25T00:30+00:00"),
    ],
)
def test_it_fires_by_the_clock_on_the_wall(cron: str, zone: str, now: str, fired: str) -> None:
    assert latest_fire(cron, zone, at(now)) == at(fired)


def test_a_day_that_never_comes_never_fires() -> None:
    assert latest_fire("0 0 31 2 *", "UTC", at("2026-01-01T00:00+00:00")) is None


@given(
    st.integers(0, 59),
    st.integers(0, 23),
    st.sampled_from(["*", "mon", "sun", "tue-thu"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
)
@settings(deadline=None, max_examples=50)
def test_apscheduler_agrees_that_it_fired_and_has_not_since(
    minute: int, hour: int, day: str, now: datetime
) -> None:
    now = now.replace(tzinfo=UTC)
    fired = latest_fire(f"{minute} {hour} * * {day}", "Asia/Taipei", now)
    assert fired is not None
    trigger = CronTrigger(minute=minute, hour=hour, day_of_week=day, timezone="Asia/Taipei")
    assert trigger.get_next_fire_time(None, fired) == fired
    following = trigger.get_next_fire_time(None, fired + timedelta(seconds=1))
    assert fired <= now < following
