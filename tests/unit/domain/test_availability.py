"""Availability and incidents out of health intervals."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.availability import (
    HealthInterval,
    Incident,
    Span,
    availability,
    incidents,
    with_sites,
)
from orchestrator.domain.server import Health
from tests.fakes import START


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def span(since: float, until: float) -> Span:
    return Span(at(since), at(until))


def interval(
    since: float, until: float | None, health: Health, server: str = "a", reason: str = ""
) -> HealthInterval:
    ended = None if until is None else at(until)
    return HealthInterval(server, "taipei", health, reason, at(since), ended)


DAY = span(0, 100)


def test_time_counts_only_while_somebody_watched() -> None:
    found = availability(
        [interval(-50, 40, Health.UP), interval(40, None, Health.UNREACHABLE)],
        [span(-10, 20), span(30, 60)],
        DAY,
    )
    assert found.watched == timedelta(minutes=50)
    assert found.available == timedelta(minutes=30)
    assert found.share == 0.6


def test_a_server_that_was_not_polled_yet_counts_neither_way() -> None:
    found = availability([interval(0, 100, Health.UNKNOWN)], [DAY], DAY)
    assert found.share is None


def test_one_that_answers_without_a_desktop_cannot_take_players() -> None:
    found = availability(
        [interval(0, 50, Health.UNREADY), interval(50, 100, Health.DEGRADED)], [DAY], DAY
    )
    assert found.share == 0.5


@given(
    st.lists(st.integers(0, 100), min_size=2, max_size=20, unique=True),
    st.lists(st.sampled_from(sorted(Health)), min_size=19, max_size=19),
    st.integers(0, 100),
    st.integers(1, 100),
)
@settings(deadline=None)
def test_availability_agrees_with_counting_minute_by_minute(
    changes: list[int], healths: list[Health], first: int, length: int
) -> None:
    changes.sort()
    intervals = [interval(a, b, h) for a, b, h in zip(changes, changes[1:], healths, strict=False)]
    watched = [span(first, first + length)]
    found = availability(intervals, watched, DAY)
    minutes = range(max(0, first), min(100, first + length))
    known = [
        i.health
        for m in minutes
        for i in intervals
        if i.began_at <= at(m) < i.span(at(100)).until and i.health is not Health.UNKNOWN
    ]
    up = [h for h in known if h in {Health.UP, Health.DEGRADED}]
    assert found.watched == timedelta(minutes=len(known))
    assert found.available == timedelta(minutes=len(up))


def test_reasons_that_follow_each_other_are_one_incident() -> None:
    (found,) = incidents(
        [
            interval(0, 10, Health.UP),
            interval(10, 20, Health.UNREACHABLE, reason="silent"),
            interval(20, 25, Health.UNREADY),
            interval(25, 30, Health.UP),
        ]
    )
    assert (found.began_at, found.ended_at) == (at(10), at(25))
    assert (found.health, found.reason) == (Health.UNREACHABLE, "silent")


def test_an_incident_that_lasts_has_no_end() -> None:
    (found,) = incidents([interval(10, None, Health.REFUSED)])
    assert found.ended_at is None
    assert found.length(at(70)) == timedelta(hours=1)


def down(server: str, since: float, until: float | None) -> Incident:
    ended = None if until is None else at(until)
    return Incident("taipei", server, Health.UNREACHABLE, "silent", at(since), ended)


SITE = {"taipei": frozenset({"a", "b"})}


def test_a_site_whose_servers_are_all_out_is_told_as_one_incident() -> None:
    found = with_sites([down("a", 10, 30), down("b", 11, 29)], SITE, at(100))
    assert [(i.server, i.began_at, i.ended_at) for i in found] == [(None, at(11), at(29))]


def test_a_server_that_was_out_much_longer_is_told_too() -> None:
    found = with_sites([down("a", 10, 90), down("b", 11, 29)], SITE, at(100))
    assert [i.server for i in found] == ["a", None]


def test_servers_that_are_out_in_turn_are_no_site_incident() -> None:
    found = with_sites([down("a", 10, 20), down("b", 20, 30)], SITE, at(100))
    assert [i.server for i in found] == ["a", "b"]


def test_a_site_that_is_still_out_has_no_end() -> None:
    (found,) = with_sites([down("a", 10, None), down("b", 12, None)], SITE, at(100))
    assert (found.server, found.began_at, found.ended_at) == (None, at(12), None)


def test_a_site_of_one_server_stays_that_servers_incident() -> None:
    (found,) = with_sites([down("a", 10, 20)], {"taipei": frozenset({"a"})}, at(100))
    assert found.server == "a"
