"""Windows of time in which a server is worked on: no placement, no alerts.

A window begins whenever a cron expression of five fields fits, read in the
window's time zone, and lasts for a while. As in cron, where both day of month
and day of week are limited, either will do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

LONGEST_MINUTES = 7 * 24 * 60

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """One rule; ``minutes`` is how long each window lasts."""

    cron: str
    minutes: int
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        parse_cron(self.cron)
        if not 1 <= self.minutes <= LONGEST_MINUTES:
            raise ValueError("a window lasts from a minute to a week")

    def __str__(self) -> str:
        return f"{self.cron} for {self.minutes} min ({self.timezone})"

    def covers(self, moment: datetime) -> bool:
        """Whether a window is open at an aware ``moment``."""
        return _covers(self, _minute(moment))

    def closes(self, moment: datetime) -> datetime | None:
        """When the last of the windows that are open at an aware ``moment`` ends."""
        return max(_ends(self, _minute(moment)), default=None)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression; ``either_day`` where both kinds of day are limited."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def fits_day(self, day: date) -> bool:
        """Whether windows may begin on that day."""
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        fits = (in_month or in_week) if self.either_day else (in_month and in_week)
        return fits and day.month in self.months


@lru_cache(maxsize=1024)
def parse_cron(text: str) -> Cron:
    """Read five fields; ValueError says what is wrong."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError("a cron expression has five fields, such as 0 3 * * sun")
    found = [_field(given, *known) for given, known in zip(fields, _FIELDS, strict=True)]
    weekdays = frozenset(day % 7 for day in found[4])
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    return Cron(found[0], found[1], found[2], found[3], weekdays, either)


def _field(text: str, what: str, least: int, most: int, names: tuple[str, ...]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not a {what}")
        step = int(match[4] or 1)
        if match[1]:
            first, last = least, most
        else:
            first = _number(match[2], what, least, names)
            last = _number(match[3], what, least, names) if match[3] else first
            if match[4] and not match[3]:
                last = most
            if most == 7 and match[3] and last == 0 < first:
                # A week that ends with Sunday, as fri-sun.
                last = 7
        if not (least <= first <= last <= most and step >= 1):
            raise ValueError(f"{part!r} is not a {what}: write {least} to {most}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, what: str, least: int, names: tuple[str, ...]) -> int:
    if text.isdigit():
        return int(text)
    if text[:3] in names and len(text) >= 3:
        return names.index(text[:3]) + least
    raise ValueError(f"{text!r} is not a {what}")


def _minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


@lru_cache(maxsize=4096)
def _covers(window: MaintenanceWindow, minute: datetime) -> bool:
    """Windows begin and end with a minute, so that one answer is good for it."""
    return any(True for _ in _ends(window, minute))


def _ends(window: MaintenanceWindow, minute: datetime) -> Iterator[datetime]:
    cron, zone = parse_cron(window.cron), ZoneInfo(window.timezone)
    length = timedelta(minutes=window.minutes)
    last_day = minute.astimezone(zone).date()
    for back in range((window.minutes + 1439) // 1440 + 1):
        day = last_day - timedelta(days=back)
        if not cron.fits_day(day):
            continue
        for hour in cron.hours:
            for start in cron.minutes:
                local = datetime(day.year, day.month, day.day, hour, start, tzinfo=zone)
                begins = local.astimezone(UTC)
                if begins <= minute < begins + length:
                    yield begins + length
