"""When a server is worked on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.domain.maintenance import MaintenanceWindow, parse_cron


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
