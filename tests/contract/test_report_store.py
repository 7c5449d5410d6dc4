"""Reports and what they are made of, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain.errors import UnknownReport
from orchestrator.domain.event import Event
from orchestrator.domain.report import Delivery, KeptReport, Language, ReportHead, ReportKind
from orchestrator.domain.session import Failure, Ports, SessionState
from orchestrator.store import Store
from tests.contract.test_store import make_session, reserve
from tests.fakes import START, fill, make_game, make_server
from tests.reports import SINCE, UNTIL, sample_report

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def head(report_id: str = "r-1", kind: ReportKind = ReportKind.SCHEDULED) -> ReportHead:
    return ReportHead(report_id, kind, SINCE, UNTIL, Language.CHINESE, None)


def test_a_report_is_claimed_once_made_and_found(store: Store) -> None:
    with store.unit_of_work() as uow:
        assert uow.reports.claim(head(), "k", START, START - HOUR)
        assert not uow.reports.claim(head("r-2"), "k", START, START - HOUR)
        assert uow.reports.claim(head("r-3"), "other", START, START - HOUR)
        with pytest.raises(UnknownReport):
            uow.reports.get("r-1")
        assert uow.reports.list(10) == []
        made = replace(head(), made_at=START, deliveries=[Delivery("t", 1, None, "沒有回應")])
        kept = KeptReport(made, sample_report(), "<p>報告</p>", "報告")
        uow.reports.finish(kept, START + MINUTE)
        uow.commit()
    with store.unit_of_work(read_only=True) as uow:
        found = uow.reports.get("r-1")
        assert (found.head, found.html, found.text) == (kept.head, kept.html, kept.text)
        assert found.report.fleet.servers == {"tpe-01": ("taipei", 8)}
        assert list(found.report.incidents) == list(kept.report.incidents)
        assert uow.reports.list(10) == [made]
        latest = uow.reports.latest(ReportKind.SCHEDULED, UNTIL + MINUTE)
        assert latest is not None
        assert latest.head.id == "r-1"
        assert uow.reports.latest(ReportKind.MANUAL, UNTIL + MINUTE) is None
        assert uow.reports.latest(None, UNTIL) is None


def test_a_stale_claim_is_taken_over_and_a_made_report_is_not(store: Store) -> None:
    with store.unit_of_work() as uow:
        uow.reports.claim(head(), "k", START, START - HOUR)
        uow.commit()
    later = START + HOUR
    with store.unit_of_work() as uow:
        assert not uow.reports.claim(head(), "k", START + MINUTE, START)
        assert uow.reports.claim(head(), "k", later, later - MINUTE)
        made = replace(head(), made_at=later)
        uow.reports.finish(KeptReport(made, sample_report(), "", ""), None)
        assert not uow.reports.claim(head(), "k", later + HOUR, later + MINUTE)
        uow.commit()


def test_only_one_sends_what_waits(store: Store) -> None:
    with store.unit_of_work() as uow:
        uow.reports.claim(head(), "k", START, START - HOUR)
        made = replace(head(), made_at=START)
        uow.reports.finish(KeptReport(made, sample_report(), "", ""), START)
        uow.commit()
    with store.unit_of_work() as uow:
        assert [each.id for each in uow.reports.waiting(START)] == ["r-1"]
        assert uow.reports.claim_sending("r-1", START, START + HOUR)
        assert not uow.reports.claim_sending("r-1", START, START + HOUR)
        assert uow.reports.waiting(START + MINUTE) == []
        uow.commit()
    with store.unit_of_work() as uow:
        assert uow.reports.expire(START) == 0
        assert uow.reports.expire(START + MINUTE) == 1


def test_sessions_and_events_are_counted_by_the_time_they_were_there(store: Store) -> None:
    fill(store, [make_server("a")], [make_game()])
    for number, (begin, end) in enumerate(((-5, -3), (-5, 1), (-5, None), (0, None), (2, None))):
        session = make_session(
            f"s-{number}",
            ports=Ports(9000 + number, 9100 + number),
            created_at=START + begin * HOUR,
        )
        reserve(store, session)
        if end is not None:
            with store.unit_of_work() as uow:
                failed = uow.sessions.get(session.id).moved(
                    SessionState.FAILED, START + end * HOUR, error=Failure("c", "why")
                )
                uow.sessions.save(failed)
                uow.commit()
    with store.unit_of_work() as uow:
        for offset in (-1, 0, 1):
            uow.events.add(Event(START + offset * HOUR, "session_lost", f"{offset}", None, "a"))
        uow.events.add(Event(START, "other", "x"))
        found = uow.sessions.facts(START, START + 2 * HOUR)
        events = uow.events.between("session_lost", START, START + HOUR)
        assert uow.sessions.count_active() == {SessionState.STARTING: 3}
    assert [(f.created_at - START) // HOUR for f in found] == [-5, -5, 0]
    assert sorted((f.failed, f.error_code or "") for f in found) == [
        (False, ""),
        (False, ""),
        (True, "c"),
    ]
    assert [event.message for event in events] == ["0"]
