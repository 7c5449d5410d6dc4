"""Numbers, times and sentences of a report in one language."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from orchestrator.domain.forecast import Forecast
from orchestrator.domain.report import IncidentFigures, Language, Report
from orchestrator.notify.words import TEXTS


class Wording:
    """``say`` fills a text in; the others shape values."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts = TEXTS[language]

    def say(self, key: str, **values: object) -> str:
        """The text of ``key``."""
        return self._texts[key].format(**values)

    def share(self, value: float | None) -> str:
        """A percentage, with more digits near 100 %; a share below 1 never shows as 100."""
        if value is None:
            return self.say("no_data")
        percent = 100 * value
        if 99 <= percent < 100:
            return f"{min(percent, 99.99):.2f} %"
        return f"{percent:.1f} %" if percent < 99 else "100 %"

    def fact(self, key: str, value: str) -> str:
        """A text and what it is of, with the language's own colon between them."""
        return self.labelled(self.say(key), value)

    def labelled(self, label: str, value: str) -> str:
        """The same for a label that is no text of ours alone."""
        return label + self.say("colon") + value

    def listed(self, *parts: str) -> str:
        """Parts one after the other, with the language's own comma."""
        return self.say("comma").join(parts)

    def watched(self, share: float | None, report: Report) -> str:
        """How much of the period the broker watched, as a time and a share."""
        if share is None:
            return self.say("no_data")
        whole = (report.until - report.since).total_seconds()
        shown = self.share(share) if share >= 0.001 or not share else self.say("least_share")
        length = self.span(share * whole)
        return self.say("watched_of", length=length, whole=self.span(whole), share=shown)

    def load(self, value: float | None) -> str:
        """A share of load, in whole per cent."""
        return self.say("not_measured") if value is None else f"{100 * value:.0f} %"

    def moment(self, at: datetime, zone: str) -> str:
        """A date and time in a zone."""
        return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")

    def span(self, seconds: float) -> str:
        """A duration in its two largest units."""
        left = round(seconds)
        parts = []
        for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1)):
            number, left = divmod(left, size)
            if number:
                parts.append(self.say(f"{unit}_short", n=number))
        return " ".join(parts[:2]) or self.say("seconds_short", n=0)

    def starts(self, p50: float | None, p95: float | None) -> str:
        """How long starts took."""
        if p50 is None or p95 is None:
            return self.say("no_data")
        return " / ".join(self.say("seconds", n=f"{value:.1f}") for value in (p50, p95))

    def outlook(self, forecast: Forecast) -> str:
        """What can be said of the capacity."""
        per_day = None if forecast.per_day is None else f"{forecast.per_day:.2g}"
        key = f"forecast_{forecast.outlook.value}"
        return self.say(key, days=forecast.days, per_day=per_day, on=forecast.on)

    def health(self, value: str) -> str:
        """A health in words."""
        return self.say(f"health_{value}")

    def whose(self, incident: IncidentFigures) -> str:
        """The server, or that it was the whole site."""
        if incident.server is not None:
            return incident.server
        return f"{incident.site} ({self.say('whole_site')})"

    def title(self, report: Report) -> str:
        """A subject line."""
        until = self.moment(report.until, report.timezone)[:10]
        return f"{self.say('title')} {until}"

    def period(self, report: Report) -> str:
        """From when to when."""
        since, until = (self.moment(at, report.timezone) for at in (report.since, report.until))
        return self.say("period", since=since, until=until, zone=report.timezone)

    def changed(self, report: Report) -> list[tuple[str, str]]:
        """What is different, by heading."""
        found = report.changes
        lists = ("joined", "left", "moved", "resized", "games_added", "games_removed")
        named = [
            (self.say(name), self.listed(*getattr(found, name)))
            for name in (*lists, "drained", "resumed")
            if getattr(found, name)
        ]
        return [*named, (self.say("version"), found.version)] if found.version else named
