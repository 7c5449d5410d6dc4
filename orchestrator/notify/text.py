"""A report in some lines, for chat and for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.domain.report import Report, SiteFigures
from orchestrator.notify.wording import Wording

_MOST = 10


def summary(report: Report, words: Wording) -> str:
    """What matters, without tables."""
    s = report.sessions
    lines = [
        words.period(report),
        "",
        f"{words.say('availability')}: {words.share(report.availability)}",
        f"{words.say('sessions')}: {words.say('started')} {s.started}, "
        f"{words.say('failed')} {s.failed}, {words.say('lost')} {s.lost}",
        f"{words.say('start_time')}: {words.starts(s.start_p50, s.start_p95)}",
    ]
    lines += [f"  {words.say('failed')}: {c.reason} x{c.count}" for c in s.failures[:_MOST]]
    lines += [f"  {words.say('lost')}: {c.reason} x{c.count}" for c in s.losses[:_MOST]]
    for site in report.sites:
        lines += ["", *_site(site, words)]
    lines += ["", *_incidents(report, words)]
    lines += ["", *_changes(report, words)]
    return "\n".join(lines) + "\n"


def _site(site: SiteFigures, words: Wording) -> Iterable[str]:
    yield (
        f"{words.say('site')} {site.name}: {words.say('servers')} {site.servers}, "
        f"{words.say('slots')} {site.slots}, "
        f"{words.say('availability')} {words.share(site.availability)}"
    )
    for name, load in sorted(site.load.items()):
        yield f"  {words.say(name)} p50 {words.load(load.p50)}, p95 {words.load(load.p95)}"
    yield f"  {words.outlook(site.forecast)}"


def _incidents(report: Report, words: Wording) -> Iterable[str]:
    if not report.incidents:
        yield words.say("no_incidents")
        return
    zones = {site.name: site.timezone for site in report.sites}
    yield f"{words.say('incidents')}: {len(report.incidents)}"
    longest = sorted(report.incidents, key=lambda i: -i.seconds)[:_MOST]
    for each in sorted(longest, key=lambda i: i.began_at):
        at = words.moment(each.began_at, zones.get(each.site, report.timezone))
        lasts = "" if each.ended_at else f", {words.say('lasts')}"
        planned = f", {words.say('planned')}" if each.planned else ""
        yield (
            f"  {at} {words.whose(each)}: {words.health(each.health)}, "
            f"{words.span(each.seconds)}{lasts}{planned}"
        )
    if len(report.incidents) > _MOST:
        yield "  " + words.say("more", n=len(report.incidents) - _MOST)


def _changes(report: Report, words: Wording) -> Iterable[str]:
    if report.changes.since is None:
        yield words.say("changes_none_before")
        return
    since = words.moment(report.changes.since, report.timezone)
    found = words.changed(report)
    yield words.say("changes", since=since) + ("" if found else f": {words.say('changes_none')}")
    for heading, names in found:
        yield f"  {heading}: {names}"
