"""A report as HTML that mail programs show.

Tables, colours in attributes and inline styles, bars of table cells; no style
sheet, image, script or link. docs/adr/0017-reports-in-mail.md says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from orchestrator.domain.report import (
    Counted,
    IncidentFigures,
    Report,
    ServerFigures,
    SessionFigures,
    SiteFigures,
)
from orchestrator.notify.bars import bar, columns
from orchestrator.notify.wording import Wording

_FONT = "font-family:'Segoe UI',Arial,'Microsoft JhengHei','Noto Sans TC',sans-serif"
_CELL = "padding:5px 8px;border-bottom:1px solid #e3e6ea;font-size:13px;text-align:left"
_HEAD = "padding:5px 8px;border-bottom:2px solid #c4cad1;font-size:12px;color:#5a6472;" + (
    "text-align:left;font-weight:600"
)
_GOOD, _FAIR, _BAD, _CALM = "#2e8b57", "#c98a00", "#c0392b", "#3b6fb6"
_MOST_INCIDENTS = 50
_MOST_SERVERS = 100


def page(report: Report, words: Wording) -> str:
    """The whole document."""
    body = "".join(
        (
            _header(report, words),
            _figures(report, words),
            "".join(_site(report, site, words) for site in report.sites),
            _reasons(report.sessions, words),
            _section(words.say("incidents"), _incidents(report, words)),
            _changes(report, words),
            _footer(report, words),
        )
    )
    return (
        f'<!DOCTYPE html><html lang="{words.language.value}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(words.title(report))}</title></head>"
        f'<body style="margin:0;padding:0;background:#f3f5f7" bgcolor="#f3f5f7">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" '
        'bgcolor="#f3f5f7"><tr><td align="center" style="padding:16px 8px">'
        '<table role="presentation" width="720" cellpadding="0" cellspacing="0" border="0" '
        'bgcolor="#ffffff" style="width:100%;max-width:720px;background:#ffffff">'
        f'<tr><td style="padding:24px;{_FONT};color:#1f2933">{body}</td></tr>'
        "</table></td></tr></table></body></html>\n"
    )


def _header(report: Report, words: Wording) -> str:
    return (
        f'<h1 style="margin:0 0 4px;font-size:22px">{escape(words.say("title"))}</h1>'
        f'<p style="margin:0 0 16px;font-size:14px;color:#5a6472">'
        f"{escape(words.period(report))}</p>"
    )


def _figures(report: Report, words: Wording) -> str:
    s = report.sessions
    unplanned = [each for each in report.incidents if not each.planned]
    boxes = (
        (words.say("availability"), words.share(report.availability), _colour(report.availability)),
        (words.say("started"), str(s.started), _CALM),
        (words.say("failed"), str(s.failed), _BAD if s.failed else _GOOD),
        (words.say("lost"), str(s.lost), _BAD if s.lost else _GOOD),
        (words.say("incidents"), str(len(unplanned)), _FAIR if unplanned else _GOOD),
    )
    cells = "".join(
        f'<td width="20%" valign="top" style="padding:10px 8px;border-top:3px solid {colour};'
        f'background:#f8f9fb" bgcolor="#f8f9fb"><div style="font-size:12px;color:#5a6472">'
        f'{escape(label)}</div><div style="font-size:20px;font-weight:600">'
        f"{escape(value)}</div></td>"
        for label, value, colour in boxes
    )
    lines = (
        words.fact("watched", words.watched(report.watched, report)),
        words.fact("start_time", words.starts(s.start_p50, s.start_p95)),
    )
    below = "".join(
        f'<p style="margin:8px 4px 0;font-size:13px;color:#5a6472">{escape(line)}</p>'
        for line in lines
    )
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="4" border="0">'
        f"<tr>{cells}</tr></table>{below}"
    )


def _site(report: Report, site: SiteFigures, words: Wording) -> str:
    heading = f"{words.say('site')} {site.name}"
    zone = words.say("site_zone", zone=site.timezone)
    parts = [
        f'<p style="margin:0 0 8px;font-size:13px;color:#5a6472">{escape(zone)}</p>',
        _table(
            [words.say(k) for k in ("servers", "slots", "availability", "started", "failed")]
            + [words.say("lost")],
            [
                [
                    str(site.servers),
                    str(site.slots),
                    words.share(site.availability),
                    str(site.sessions.started),
                    str(site.sessions.failed),
                    str(site.sessions.lost),
                ]
            ],
        ),
    ]
    if site.watched < 0.995:
        watched = words.watched(site.watched, report)
        parts.append(_note(words.say("watched_little", watched=watched)))
    parts.append(_load(site, words))
    parts.append(_capacity(site, words))
    parts.append(_servers([s for s in report.servers if s.site == site.name], words))
    return _section(heading, "".join(parts))


def _load(site: SiteFigures, words: Wording) -> str:
    if not site.load:
        return _note(words.fact("load", words.say("no_data")))
    rows = [
        [
            escape(words.say(name)),
            words.load(found.p50),
            bar(found.p95, _busy(found.p95), words.load(found.p95)),
            words.load(found.maximum),
        ]
        for name, found in site.load.items()
    ]
    heads = [words.say(key) for key in ("load", "p50", "p95", "maximum")]
    return _table(heads, rows, safe=True)


def _capacity(site: SiteFigures, words: Wording) -> str:
    chart = columns(
        [
            (f"{peak.day:%m-%d}", float(peak.used), _busy(peak.used / max(1, site.slots)))
            for peak in site.peaks
        ],
        max([float(site.slots), *(float(peak.used) for peak in site.peaks), 1.0]),
    )
    return (
        _small(words.say("capacity"))
        + f'<p style="margin:0 0 6px;font-size:13px">{escape(words.outlook(site.forecast))}</p>'
        + (_note(words.say("peaks")) + chart if site.peaks else "")
    )


def _servers(servers: Sequence[ServerFigures], words: Wording) -> str:
    worst = sorted(servers, key=lambda s: (2 if s.availability is None else s.availability, s.name))
    rows = []
    for each in worst[:_MOST_SERVERS]:
        cpu, gpu = each.load.get("cpu"), each.load.get("gpu")
        drained = f" ({words.say('drained')})" if each.drained else ""
        rows.append(
            [
                escape(each.name + drained),
                bar(each.availability, _colour(each.availability), words.share(each.availability)),
                escape(words.span(each.down_seconds)) if each.down_seconds >= 1 else "-",
                words.load(cpu.p95) if cpu else "-",
                words.load(gpu.p95) if gpu else "-",
                f"{each.sessions} / {each.failed}",
            ]
        )
    heads = [
        words.say("server"),
        words.say("availability"),
        words.say("down"),
        f"{words.say('cpu')} p95",
        f"{words.say('gpu')} p95",
        f"{words.say('started')} / {words.say('failed')}",
    ]
    more = len(servers) - _MOST_SERVERS
    return _small(words.say("servers")) + _table(heads, rows, safe=True) + _more(more, words)


def _reasons(sessions: SessionFigures, words: Wording) -> str:
    found = ""
    for key, reasons in (("reasons_failed", sessions.failures), ("reasons_lost", sessions.losses)):
        if reasons:
            found += _section(words.say(key), _counted(reasons, words))
    return found


def _counted(reasons: Sequence[Counted], words: Wording) -> str:
    most = max(each.count for each in reasons)
    rows = [
        [
            escape(each.reason),
            bar(each.count / most, _BAD, str(each.count)),
            escape(each.example[:160]) if each.example != each.reason else "",
        ]
        for each in reasons
    ]
    return _table([words.say(k) for k in ("reason", "count", "example")], rows, safe=True)


def _incidents(report: Report, words: Wording) -> str:
    if not report.incidents:
        return f'<p style="margin:0;font-size:13px">{escape(words.say("no_incidents"))}</p>'
    zones = {site.name: site.timezone for site in report.sites}
    shown = sorted(report.incidents, key=lambda i: -i.seconds)[:_MOST_INCIDENTS]
    longest = max(each.seconds for each in shown) or 1
    rows = [
        [
            escape(words.moment(each.began_at, zones.get(each.site, report.timezone))),
            escape(words.whose(each)),
            escape(_what(each, words)),
            bar(each.seconds / longest, _CALM if each.planned else _BAD, _length(each, words)),
        ]
        for each in sorted(shown, key=lambda i: i.began_at)
    ]
    heads = [words.say(key) for key in ("began", "server", "reason", "duration")]
    return _table(heads, rows, safe=True) + _more(len(report.incidents) - len(shown), words)


def _what(incident: IncidentFigures, words: Wording) -> str:
    text = words.health(incident.health)
    if incident.planned:
        text += f" ({words.say('planned')})"
    return words.labelled(text, incident.reason[:120]) if incident.reason else text


def _length(incident: IncidentFigures, words: Wording) -> str:
    lasts = "" if incident.ended_at else f" ({words.say('lasts')})"
    return words.span(incident.seconds) + lasts


def _changes(report: Report, words: Wording) -> str:
    if report.changes.since is None:
        return _section(words.say("changes_first"), _note(words.say("changes_none_before")))
    heading = words.say("changes", since=words.moment(report.changes.since, report.timezone))
    found = words.changed(report)
    if not found:
        return _section(heading, _note(words.say("changes_none")))
    return _section(heading, _table([], [list(row) for row in found]))


def _footer(report: Report, words: Wording) -> str:
    made = words.say(
        "made", at=words.moment(report.made_at, report.timezone), version=report.fleet.version
    )
    return "".join(
        f'<p style="margin:12px 0 0;font-size:11px;color:#7b8794">{escape(text)}</p>'
        for text in (made, words.say("forecast_method"))
    )


def _section(heading: str, body: str) -> str:
    return (
        '<h2 style="margin:26px 0 8px;font-size:17px;border-bottom:1px solid #c4cad1;'
        f'padding-bottom:4px">{escape(heading)}</h2>{body}'
    )


def _small(heading: str) -> str:
    return f'<h3 style="margin:16px 0 4px;font-size:14px">{escape(heading)}</h3>'


def _note(text: str) -> str:
    return f'<p style="margin:4px 0;font-size:12px;color:#5a6472">{escape(text)}</p>'


def _more(count: int, words: Wording) -> str:
    return _note(words.say("more", n=count)) if count > 0 else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, safe: bool = False) -> str:
    top = "".join(f'<th style="{_HEAD}">{escape(each)}</th>' for each in heads)
    lines = "".join(
        "<tr>"
        + "".join(f'<td style="{_CELL}">{each if safe else escape(each)}</td>' for each in row)
        + "</tr>"
        for row in rows
    )
    return (
        '<table width="100%" cellpadding="0" cellspacing="0" border="0" '
        f'style="border-collapse:collapse">{f"<tr>{top}</tr>" if heads else ""}{lines}</table>'
    )


def _colour(share: float | None) -> str:
    if share is None:
        return "#9aa5b1"
    return _GOOD if share >= 0.995 else _FAIR if share >= 0.97 else _BAD


def _busy(share: float) -> str:
    return _BAD if share >= 0.9 else _FAIR if share >= 0.75 else _CALM
