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
        words.fact("availability", words.share(report.availability)),
        words.fact("watched", words.watched(report.watched, report)),
        words.fact(
            "sessions",
            words.listed(
                f"{words.say('started')} {s.started}",
                f"{words.say('failed')} {s.failed}",
                f"{words.say('lost')} {s.lost}",
            ),
        ),
        words.fact("start_time", words.starts(s.start_p50, s.start_p95)),
    ]
    lines += ["  " + words.fact("failed", f"{c.reason} x{c.count}") for c in s.failures[:_MOST]]
    lines += ["  " + words.fact("lost", f"{c.reason} x{c.count}") for c in s.losses[:_MOST]]
    for site in report.sites:
        lines += ["", *_site(report, site, words)]
    lines += ["", *_incidents(report, words)]
    lines += ["", *_changes(report, words)]
    return "\n".join(lines) + "\n"


def _site(report: Report, site: SiteFigures, words: Wording) -> Iterable[str]:
    yield words.labelled(
        f"{words.say('site')} {site.name}",
        words.listed(
            f"{words.say('servers')} {site.servers}",
            f"{words.say('slots')} {site.slots}",
            f"{words.say('availability')} {words.share(site.availability)}",
            f"{words.say('watched')} {words.watched(site.watched, report)}",
        ),
    )
    for name, load in sorted(site.load.items()):
        shares = (f"p50 {words.load(load.p50)}", f"p95 {words.load(load.p95)}")
        yield f"  {words.say(name)} {words.listed(*shares)}"
    yield f"  {words.outlook(site.forecast)}"


def _incidents(report: Report, words: Wording) -> Iterable[str]:
    if not report.incidents:
        yield words.say("no_incidents")
        return
    zones = {site.name: site.timezone for site in report.sites}
    yield words.fact("incidents", str(len(report.incidents)))
    longest = sorted(report.incidents, key=lambda i: -i.seconds)[:_MOST]
    for each in sorted(longest, key=lambda i: i.began_at):
        at = words.moment(each.began_at, zones.get(each.site, report.timezone))
        parts = [words.health(each.health), words.span(each.seconds)]
        parts += [] if each.ended_at else [words.say("lasts")]
        parts += [words.say("planned")] if each.planned else []
        yield "  " + words.labelled(
            f"{at} {words.whose(each)}",
            words.listed(*parts),
        )
    if len(report.incidents) > _MOST:
        yield "  " + words.say("more", n=len(report.incidents) - _MOST)


def _changes(report: Report, words: Wording) -> Iterable[str]:
    if report.changes.since is None:
        yield words.say("changes_none_before")
        return
    since = words.moment(report.changes.since, report.timezone)
    found = words.changed(report)
    heading = words.say("changes", since=since)
    yield heading if found else words.labelled(heading, words.say("changes_none"))
    for name, names in found:
        yield "  " + words.labelled(name, names)
