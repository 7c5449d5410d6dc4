"""When a cron expression last fired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from orchestrator.domain.maintenance import parse_cron

_DAYS = 8 * 366
"""How far back is looked: a 29th of February is at most eight years apart."""


def latest_fire(cron: str, zone: str, now: datetime) -> datetime | None:
    """The last time, in UTC, at or before ``now``; None where it never fires.

    Read in the zone's local time. A time that clocks skip fires as much later;
    one that they have twice fires the first time.
    """
    parsed, local = parse_cron(cron), ZoneInfo(zone)
    today = now.astimezone(local).date()
    for back in range(-1, _DAYS):
        day = today - timedelta(days=back)
        if not parsed.fits_day(day):
            continue
        fires = [
            datetime(day.year, day.month, day.day, hour, minute, tzinfo=local).astimezone(UTC)
            for hour in parsed.hours
            for minute in parsed.minutes
        ]
        past = [fire for fire in fires if fire <= now]
        if past:
            return max(past)
    return None
