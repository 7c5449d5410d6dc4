"""When a server is worked on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.maintenance import MaintenanceWindow, parse_cron
from tests.fakes import make_server


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "moment", "open_"),
    [
        (MaintenanceWindow("0 3 * * sun", 120), "2026-01-04T03:00:00", True),
        (MaintenanceWindow("0 3 * * sun", 120), "2026-01-04T04:59:59", True),
        (MaintenanceWindow("0 3 * * sun", 120), "2026-01-04T05:00:00", False),
        (MaintenanceWindow("0 3 * * sun", 120), "2026-01-04T02:59:59", False),
        (MaintenanceWindow("0 3 * * sun", 120), "2026-01-05T03:30:00", False),
        (MaintenanceWindow("0 3 * * 7", 120), "2026-01-04T03:30:00", True),
        (MaintenanceWindow("0 3 * * sun", 120, "Asia/Taipei"), "2026-01-03T19:30:00", True),
        (MaintenanceWindow("0 3 * * sun", 120, "Asia/Taipei"), "2026-01-04T03:30:00", False),
        (MaintenanceWindow("30 23 * * *", 60), "2026-01-05T00:15:00", True),
        (MaintenanceWindow("0 0 * * mon", 3 * 1440), "2026-01-07T23:59:00", True),
        (MaintenanceWindow("0 0 * * mon", 3 * 1440), "2026-01-08T00:00:00", False),
        (MaintenanceWindow("*/15 8-9 1,15 jan-mar *", 5), "2026-02-15T09:47:00", True),
        (MaintenanceWindow("*/15 8-9 1,15 jan-mar *", 5), "2026-02-15T09:51:00", False),
        (MaintenanceWindow("0 3 13 * fri", 60), "2026-01-13T03:10:00", True),
        (MaintenanceWindow("0 3 13 * fri", 60), "2026-01-16T03:10:00", True),
        (MaintenanceWindow("0 3 13 * fri", 60), "2026-01-17T03:10:00", False),
    ],
)
def test_a_window_is_open_from_its_start_for_its_length(
    window: MaintenanceWindow, moment: str, open_: bool
) -> None:
    assert window.covers(at(moment)) is open_


def test_the_hour_that_summer_time_skips_or_repeats_does_no_harm() -> None:
    window = MaintenanceWindow("30 2 * * *", 60, "Europe/Berlin")
    assert window.covers(at("2026-03-29T01:45:00"))
    assert window.covers(at("2026-10-25T00:45:00"))
    assert not window.covers(at("2026-10-25T03:45:00"))


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "x * * * *"]
)
def test_what_is_not_cron_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"five fields|is not a"):
        parse_cron(text)


def test_maintenance_is_over_when_no_window_follows_on() -> None:
    windows = (MaintenanceWindow("0 2 * * *", 60), MaintenanceWindow("30 2 * * *", 90))
    server = make_server("a", maintenance=windows)
    begin = datetime(2026, 3, 2, 2, 10, tzinfo=UTC)
    most = begin + timedelta(days=1)
    assert server.maintenance_until(begin, most) == datetime(2026, 3, 2, 4, tzinfo=UTC)
    assert server.maintenance_until(begin, begin + timedelta(minutes=5)) == begin + timedelta(
        minutes=5
    )
    assert server.maintenance_until(most.replace(hour=9), most.replace(hour=10)) == most.replace(
        hour=9
    )


def test_maintenance_without_an_end_is_bounded() -> None:
    server = make_server("a", maintenance=(MaintenanceWindow("0 0 * * *", 1440),))
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    most = begin + timedelta(days=9, hours=5)
    assert server.maintenance_until(begin, most) == most


@pytest.mark.parametrize(
    ("days", "found"), [("fri-sun", {5, 6, 0}), ("mon-sun", set(range(7))), ("sun-tue", {0, 1, 2})]
)
def test_a_range_of_days_may_end_with_sunday(days: str, found: set[int]) -> None:
    assert parse_cron(f"0 3 * * {days}").weekdays == found
