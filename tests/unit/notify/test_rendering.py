"""What people see: complete texts in both languages, HTML that mail shows."""

from __future__ import annotations

import json
import re
import string
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from orchestrator.domain.forecast import Forecast, Outlook
from orchestrator.domain.report import Changes, Language
from orchestrator.domain.server import Health
from orchestrator.notify import render_report
from orchestrator.notify.wording import Wording
from orchestrator.notify.words import CHINESE, ENGLISH, TEXTS
from tests.reports import sample_report

LANGUAGES = pytest.mark.parametrize("language", list(Language))
VOID = {"meta", "br"}


class Checked(HTMLParser):
    """Collects tags and attributes, and fails where tags do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts_with_the_same_values() -> None:
    assert set(TEXTS) == set(Language)
    assert ENGLISH.keys() == CHINESE.keys()
    for key, text in ENGLISH.items():
        assert fields(text) == fields(CHINESE[key]), key
        assert text.strip()
        assert CHINESE[key].strip()


def test_every_state_has_its_word() -> None:
    for health in Health:
        assert f"health_{health.value}" in ENGLISH
    for outlook in Outlook:
        assert f"forecast_{outlook.value}" in ENGLISH


@LANGUAGES
def test_the_page_nests_and_uses_only_what_mail_programs_show(language: Language) -> None:
    html = render_report(sample_report(), language).html
    checked = Checked()
    checked.feed(html)
    checked.close()
    assert checked.open == []
    assert checked.tags <= {
        *("html", "head", "meta", "title", "body", "table", "tr", "td", "th"),
        *("div", "p", "h1", "h2", "h3"),
    }
    assert not any(name.startswith("on") for name in checked.attributes)
    assert not {"src", "href", "class", "background"} & checked.attributes
    assert not re.search(r"https?:|url\(|@import|display:\s*(flex|grid)|position:", html)
    assert len(html.encode()) < 102_000


@LANGUAGES
def test_everything_that_is_known_is_on_the_page(language: Language) -> None:
    words = Wording(language)
    html = render_report(sample_report(), language).html
    for wanted in ("tpe-01", "taipei", "berlin", "not_ready", "Asia/Taipei", "99.95 %"):
        assert wanted in html, wanted
    for key in ("joined", "games_added", "planned", "whole_site", "lasts", "reasons_lost"):
        assert words.say(key) in html, key
    checked = Checked()
    checked.feed(html)
    shown = "".join(checked.text)
    if language is Language.CHINESE:
        english = [t for t in ENGLISH.values() if " " in t.strip() and "{" not in t and t != "CPU"]
        assert not [text for text in english if text in shown]


def test_the_size_stays_below_what_mail_programs_clip_even_for_a_large_fleet() -> None:
    report = sample_report()
    servers = [replace(report.servers[0], name=f"tpe-{n:04}") for n in range(1000)]
    incidents = [report.incidents[0]] * 500
    html = render_report(replace(report, servers=servers, incidents=incidents), Language.ENGLISH)
    assert len(html.html.encode()) < 400_000
    assert "and 900 more" in html.html


def test_what_others_wrote_cannot_become_markup() -> None:
    report = sample_report()
    evil = "<script>alert(1)</script>&"
    incidents = [replace(report.incidents[0], reason=evil, server=evil)]
    servers = [replace(report.servers[0], name=evil)]
    found = render_report(replace(report, incidents=incidents, servers=servers), Language.ENGLISH)
    assert "<script" not in found.html
    assert "&lt;script&gt;" in found.html


def test_an_empty_report_is_one_too() -> None:
    report = replace(
        sample_report(), sites=(), servers=(), incidents=(), availability=None, changes=Changes()
    )
    for language in Language:
        words = Wording(language)
        found = render_report(report, language)
        assert words.say("no_incidents") in found.text
        assert words.say("changes_none_before") in found.text
        assert words.say("no_data") in found.html


def test_times_are_those_of_the_site() -> None:
    text = render_report(sample_report(), Language.ENGLISH).text
    assert "2026-03-04 11:00 tpe-02" in text
    assert "2026-03-03 09:00 berlin" in text


@LANGUAGES
def test_the_json_has_all_of_it(language: Language) -> None:
    report = sample_report()
    found = json.loads(render_report(report, language).json)
    assert found["availability"] == report.availability
    assert [site["name"] for site in found["sites"]] == ["berlin", "taipei"]
    assert found["sites"][1]["forecast"]["on"] == "2026-04-20"
    assert found["incidents"][0]["began_at"] == "2026-03-03T08:00:00Z"


def test_a_share_below_one_never_shows_as_everything() -> None:
    words = Wording(Language.ENGLISH)
    assert [words.share(s) for s in (1.0, 0.999999, 0.9995, 0.97, 0.0, None)] == [
        "100 %",
        "99.99 %",
        "99.95 %",
        "97.0 %",
        "0.0 %",
        "no data",
    ]


def test_durations_have_their_two_largest_units() -> None:
    words = Wording(Language.ENGLISH)
    spans = (0, 59, 3600, 3661, 90061, 8 * 86400)
    assert [words.span(s) for s in spans] == ["0 s", "59 s", "1 h", "1 h 1 min", "1 d 1 h", "8 d"]
    assert Wording(Language.CHINESE).span(3661) == "1 小時 1 分"


@LANGUAGES
@pytest.mark.parametrize("outlook", list(Outlook))
def test_every_outlook_is_a_sentence(language: Language, outlook: Outlook) -> None:
    on = None if outlook is not Outlook.RUNS_OUT else sample_report().until.date()
    known = None if outlook is Outlook.CANNOT_TELL else 0.5
    text = Wording(language).outlook(Forecast(outlook, 9, known, on))
    assert "None" not in text
    assert "{" not in text


@LANGUAGES
def test_availability_says_of_how_much_of_the_period_it_is(language: Language) -> None:
    minutes = 12 / (7 * 24 * 60)
    sites = [replace(site, watched=minutes) for site in sample_report().sites]
    report = replace(sample_report(), availability=1.0, watched=minutes, sites=sites)
    made = render_report(report, language)
    told = {Language.ENGLISH: "12 min of 7 d (0.1 %)", Language.CHINESE: "7 天中的 12 分（0.1 %）"}
    assert made.text.count(told[language]) == 3
    assert made.html.count(told[language]) == 3
    assert json.loads(made.json)["watched"] == minutes


def test_a_time_too_short_for_a_share_is_not_told_as_none() -> None:
    words, report = Wording(Language.ENGLISH), sample_report()
    assert words.watched(30 / (7 * 86400), report) == "30 s of 7 d (less than 0.1 %)"
    assert words.watched(0.0, report) == "0 s of 7 d (0.0 %)"
    assert words.watched(1.0, report) == "7 d of 7 d (100 %)"
    assert words.watched(None, report) == "no data"


def test_chinese_has_its_own_colon() -> None:
    report = replace(sample_report(), sites=[replace(s, load={}) for s in sample_report().sites])
    made = render_report(report, Language.CHINESE)
    checked = Checked()
    checked.feed(made.html)
    for text in (made.text, *checked.text):
        assert not re.search(r"[\u3400-\u9fff）]: ", text), text
    assert "可用率：98.2 %" in made.text
    assert "已啟動 398，失敗 14，失聯 3" in made.text
