"""Reports: what they say, when they are made, and that they arrive."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from orchestrator.domain.availability import Span
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.event import Event
from orchestrator.domain.forecast import Outlook
from orchestrator.domain.maintenance import MaintenanceWindow
from orchestrator.domain.report import Language, Peak, Report, ReportKind
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load, Server
from orchestrator.domain.session import Failure, Ports, SessionState
from orchestrator.notify import render_report
from orchestrator.ports import SessionFact
from orchestrator.services.keep_history import KeepHistory
from orchestrator.services.report_sessions import daily_peaks
from orchestrator.services.reports import PAUSES, Plan, Reports, plan
from orchestrator.services.retry import Retry
from orchestrator.services.roll_up import Keep, RollUp
from orchestrator.store import Store
from tests.contract.test_store import make_session
from tests.fakes import FakeClock, FakeNotifier, SequentialIds, make_game, make_server

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
EPOCH = datetime.fromisoformat("2026-01-05T00:00:00+00:00")
"""A Monday; the tests' polls begin here."""


class House:
    """A store with two sites, polled every minute, and reports of it."""

    def __init__(self, store: Store, cron: str = "0 8 * * mon") -> None:
        self.store = store
        self.clock = FakeClock(EPOCH)
        self.notifier = FakeNotifier("1 mailto://x", "2 json://y")
        self.retry = Retry(self.clock)
        self.servers = [
            make_server("tpe-1", site="taipei", slots=2, timezone="Asia/Taipei"),
            make_server("tpe-2", site="taipei", slots=2, timezone="Asia/Taipei"),
            make_server("ber-1", site="berlin", slots=3, timezone="Europe/Berlin"),
        ]
        self.take_over(self.servers)
        with store.unit_of_work() as uow:
            uow.games.add(make_game("chess"))
            uow.commit()
        sites = {server.name: server.site for server in self.servers}
        self.keep = KeepHistory(store.unit_of_work, self.retry, lambda name: sites[name])
        self.roll_up = RollUp(store.unit_of_work, self.clock, self.retry, Keep())
        self.reports = self.another(cron)

    def another(self, cron: str = "0 8 * * mon", version: str = "0.1.0") -> Reports:
        """The same use case as a second broker has it."""
        return Reports(
            self.store.unit_of_work,
            self.clock,
            SequentialIds(),
            self.retry,
            self.notifier,
            render_report,
            Plan(cron),
            version,
        )

    def take_over(self, servers: list[Server]) -> None:
        with self.store.unit_of_work() as uow:
            uow.servers.synchronise(servers)
            uow.commit()

    def poll(self, until: datetime, down: dict[str, tuple[datetime, datetime]]) -> None:
        """Poll every server every five minutes, from the clock's time to ``until``."""
        while self.clock.now() < until:
            now = self.clock.now()
            self.keep([self._sample(server.name, now, down) for server in self.servers])
            self.clock.advance(300)

    def _sample(
        self, name: str, now: datetime, down: dict[str, tuple[datetime, datetime]]
    ) -> Sample:
        since, until = down.get(name, (now + DAY, now + DAY))
        if since <= now < until:
            return Sample(name, now, 4, Health.UNREACHABLE, "silent", since, None, "x")
        load = Load(now, 0.4 if name == "tpe-1" else 0.1, 1000, 500)
        began = EPOCH if now < since else until
        return Sample(name, now, 0.1, Health.UP, "", began, load)

    def session(
        self, number: int, begin: datetime, end: datetime | None, **changes: object
    ) -> None:
        ports = Ports(9000 + 2 * number, 9001 + 2 * number)
        made = make_session(
            f"s-{number}", server="tpe-1", ports=ports, created_at=begin, updated_at=begin
        )
        with self.store.unit_of_work() as uow:
            uow.sessions.reserve(made, uow.servers.get("tpe-1").version)
            saved = uow.sessions.get(made.id)
            error = changes.get("error")
            if error is not None:
                uow.sessions.save(saved.moved(SessionState.FAILED, begin, error=error))
            else:
                saved = uow.sessions.save(
                    saved.moved(SessionState.RUNNING, begin + timedelta(seconds=4))
                )
                if end is not None:
                    uow.sessions.save(saved.moved(SessionState.ENDED, end))
            uow.commit()

    def report(self, since: datetime, until: datetime) -> Report:
        return self.reports.run(Span(since, until)).report


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


def test_availability_of_servers_sites_and_all(house: House) -> None:
    down = {"tpe-1": (EPOCH + 2 * HOUR, EPOCH + 4 * HOUR)}
    house.poll(EPOCH + 8 * HOUR, down)
    house.roll_up()
    report = house.report(EPOCH, EPOCH + 8 * HOUR)
    shares = {server.name: server.availability for server in report.servers}
    assert shares["tpe-2"] == shares["ber-1"] == 1
    assert shares["tpe-1"] == pytest.approx(1 - 2 / 8, abs=0.01)
    assert report.servers[1].down_seconds == 7200
    taipei = next(site for site in report.sites if site.name == "taipei")
    assert taipei.availability == pytest.approx(1 - 1 / 8, abs=0.01)
    assert taipei.watched == pytest.approx(1, abs=0.02)
    assert report.availability == pytest.approx(1 - 2 / 24, abs=0.01)
    (incident,) = report.incidents
    assert (incident.server, incident.seconds, incident.reason) == ("tpe-1", 7200, "silent")


def test_time_in_which_nobody_watched_counts_neither_way(house: House) -> None:
    house.poll(EPOCH + HOUR, {})
    house.clock.advance(6 * 3600)
    house.poll(EPOCH + 8 * HOUR, {})
    report = house.report(EPOCH, EPOCH + 8 * HOUR)
    assert report.availability == 1
    assert report.incidents == []
    assert report.sites[0].watched == pytest.approx(2 / 8, abs=0.03)
    assert report.watched == pytest.approx(2 / 8, abs=0.03)


def test_what_is_planned_is_told_but_costs_no_availability(house: House) -> None:
    window = MaintenanceWindow("0 2 * * *", 180)
    house.take_over([make_server("ber-1", site="berlin", maintenance=(window,))])
    house.poll(EPOCH + 8 * HOUR, {"ber-1": (EPOCH + 2 * HOUR, EPOCH + 4 * HOUR)})
    report = house.report(EPOCH, EPOCH + 8 * HOUR)
    assert report.availability == 1
    (incident,) = report.incidents
    assert incident.planned
    assert report.servers[0].incidents == 0


def test_what_outlasts_its_maintenance_window_counts_from_the_windows_end(house: House) -> None:
    window = MaintenanceWindow("0 2 * * *", 60)
    house.take_over([make_server("ber-1", site="berlin", maintenance=(window,))])
    house.poll(EPOCH + 8 * HOUR, {"ber-1": (EPOCH + 2 * HOUR, EPOCH + 5 * HOUR)})
    report = house.report(EPOCH, EPOCH + 8 * HOUR)
    assert [(i.planned, i.seconds) for i in report.incidents] == [(True, 3600), (False, 7200)]
    assert report.availability == pytest.approx(5 / 7, abs=0.01)
    assert (report.servers[0].incidents, report.servers[0].down_seconds) == (1, 7200)


@pytest.mark.parametrize("windows", [2, 1])
def test_a_whole_site_is_planned_where_each_of_its_servers_was(house: House, windows: int) -> None:
    window = MaintenanceWindow("0 2 * * *", 180)
    names = ["tpe-1", "tpe-2"]
    house.take_over(
        [
            make_server(name, site="taipei", maintenance=(window,) if number < windows else ())
            for number, name in enumerate(names)
        ]
    )
    out = (EPOCH + 2 * HOUR, EPOCH + 3 * HOUR)
    house.poll(EPOCH + 4 * HOUR, dict.fromkeys(names, out))
    (incident,) = house.report(EPOCH, EPOCH + 4 * HOUR).incidents
    assert (incident.server, incident.planned) == (None, windows == 2)


def test_a_whole_site_is_one_incident(house: House) -> None:
    out = (EPOCH + 2 * HOUR, EPOCH + 3 * HOUR)
    house.poll(EPOCH + 4 * HOUR, {"tpe-1": out, "tpe-2": out})
    report = house.report(EPOCH, EPOCH + 4 * HOUR)
    assert [(i.site, i.server, i.seconds) for i in report.incidents] == [("taipei", None, 3600)]


def test_load_percentiles_of_servers_and_sites(house: House) -> None:
    house.poll(EPOCH + 2 * DAY + 3 * HOUR, {})
    house.roll_up()
    report = house.report(EPOCH + HOUR, EPOCH + 2 * DAY + 2 * HOUR)
    loads = {server.name: server.load for server in report.servers}
    assert loads["tpe-1"]["cpu"].p95 == pytest.approx(0.4, rel=0.01)
    assert loads["tpe-2"]["cpu"].p50 == pytest.approx(0.1, rel=0.01)
    assert loads["tpe-1"]["memory"].maximum == 0.5
    assert "gpu" not in loads["tpe-1"]
    taipei = next(site for site in report.sites if site.name == "taipei")
    assert taipei.load["cpu"].mean == pytest.approx(0.25, rel=0.01)
    assert taipei.load["cpu"].p95 == pytest.approx(0.4, rel=0.01)


def test_sessions_with_why_they_failed_or_were_lost(house: House) -> None:
    house.poll(EPOCH + HOUR, {})
    house.session(1, EPOCH, EPOCH + HOUR / 2)
    house.session(2, EPOCH + HOUR / 4, None)
    for number in (3, 4):
        house.session(number, EPOCH, None, error=Failure("not_ready", f"never ready {number}"))
    house.session(5, EPOCH - DAY, EPOCH - DAY / 2)
    with house.store.unit_of_work() as uow:
        uow.events.add(Event(EPOCH, "session_lost", "tpe-1 cannot be reached", "s-2", "tpe-1"))
        uow.events.add(Event(EPOCH - DAY, "session_lost", "long ago", "s-2", "tpe-1"))
        uow.commit()
    report = house.report(EPOCH, EPOCH + HOUR)
    s = report.sessions
    assert (s.requested, s.started, s.failed, s.lost) == (4, 2, 2, 1)
    ((reason, count, example),) = [(c.reason, c.count, c.example) for c in s.failures]
    assert (reason, count, example[:11]) == ("not_ready", 2, "never ready")
    assert [(c.reason, c.count) for c in s.losses] == [("tpe-1 cannot be reached", 1)]
    assert (s.start_p50, s.start_p95) == (4, 4)
    sites = {site.name: site.sessions for site in report.sites}
    assert (sites["taipei"].started, sites["berlin"].started) == (2, 0)
    assert {server.name: (server.sessions, server.failed) for server in report.servers} == {
        "ber-1": (0, 0),
        "tpe-1": (2, 2),
        "tpe-2": (0, 0),
    }


def test_capacity_is_foretold_from_the_peaks_of_watched_days(house: House) -> None:
    with house.store.unit_of_work() as uow:
        for day in range(10):
            at = EPOCH + day * DAY
            uow.health.watched({"taipei": at}, timedelta(0))
            uow.health.watched({"taipei": at + DAY - HOUR}, DAY)
        uow.commit()
    number = 0
    for day in range(1, 9):
        for _ in range(day):
            number += 1
            begin = EPOCH + day * DAY
            house.session(number, begin + HOUR, begin + 3 * HOUR)
    house.clock.advance(10 * 86400)
    report = house.report(EPOCH + 8 * DAY, EPOCH + 10 * DAY)
    taipei = next(site for site in report.sites if site.name == "taipei")
    assert [peak.used for peak in taipei.peaks][:9] == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert taipei.forecast.outlook is Outlook.FULL
    berlin = next(site for site in report.sites if site.name == "berlin")
    assert (berlin.forecast.outlook, berlin.peaks) == (Outlook.CANNOT_TELL, [])


def test_peaks_are_those_of_the_local_day() -> None:
    def fact(begin: datetime, end: datetime | None) -> SessionFact:
        return SessionFact("a", "g", False, begin, begin, end, None, None)

    period = Span(EPOCH, EPOCH + 3 * DAY)
    facts = [
        fact(EPOCH - HOUR, EPOCH + 20 * HOUR),
        fact(EPOCH + 15 * HOUR, EPOCH + 17 * HOUR),
        fact(EPOCH + 17 * HOUR, None),
    ]
    assert daily_peaks(facts, period, "UTC") == {
        date(2026, 1, 5): 2,
        date(2026, 1, 6): 1,
        date(2026, 1, 7): 1,
    }
    taipei = daily_peaks(facts, period, "Asia/Taipei")
    assert taipei[date(2026, 1, 5)] == 2
    assert taipei[date(2026, 1, 6)] == 2
    assert Peak(date(2026, 1, 7), 1).used == taipei[date(2026, 1, 7)]


def test_what_changed_since_the_last_report(house: House) -> None:
    house.poll(EPOCH + HOUR, {})
    first = house.report(EPOCH, EPOCH + HOUR)
    assert first.changes.since is None
    house.clock.advance(3600)
    same = house.report(EPOCH, EPOCH + HOUR + HOUR / 2)
    assert (same.changes.since, same.changes.any) == (EPOCH + HOUR, False)
    house.take_over(
        [
            make_server("tpe-1", site="taipei", slots=5),
            make_server("tpe-2", site="berlin", slots=2),
            make_server("new-1", site="taipei"),
        ]
    )
    with house.store.unit_of_work() as uow:
        uow.games.add(make_game("go"))
        uow.servers.set_drained("tpe-1", True)
        uow.commit()
    kept = house.another(version="0.2.0").run(Span(EPOCH, EPOCH + 2 * HOUR))
    found = kept.report.changes
    assert (found.joined, found.left) == (["new-1"], ["ber-1"])
    assert found.moved == ["tpe-2: taipei → berlin"]
    assert found.resized == ["tpe-1: 2 → 5"]
    assert (found.games_added, found.drained) == (["go"], ["tpe-1"])
    assert found.version == "0.1.0 → 0.2.0"


def test_nothing_is_due_before_the_first_poll_and_the_first_time(house: House) -> None:
    assert house.reports.run_due() == []
    house.poll(EPOCH + HOUR, {})
    assert house.reports.run_due() == []


def test_a_report_is_made_once_when_it_is_due_and_sent_to_all(house: House) -> None:
    house.poll(EPOCH + 8 * HOUR, {})
    assert house.reports.run_due() == []
    house.clock.advance(300)
    (made, sent) = house.reports.run_due()
    assert made.kind is ReportKind.SCHEDULED
    assert made.until == EPOCH + 8 * HOUR
    assert made.since == EPOCH + 8 * HOUR - WEEK
    assert [each.sent_at is not None for each in sent.deliveries] == [True, True]
    assert [target for target, _ in house.notifier.sent] == ["1 mailto://x", "2 json://y"]
    for _ in range(3):
        house.clock.advance(3600)
        assert house.reports.run_due() == []
        assert house.another().run_due() == []
    assert len(house.notifier.sent) == 2


def test_reports_that_were_missed_are_made_up_for_by_one(house: House) -> None:
    house.poll(EPOCH + 8 * HOUR, {})
    house.clock.advance(300)
    house.reports.run_due()
    house.clock.advance(3.5 * 7 * 86400)
    (made, _) = house.reports.run_due()
    assert made.since == EPOCH + 8 * HOUR
    assert made.until == EPOCH + 8 * HOUR + 3 * WEEK
    assert house.reports.run_due() == []


def test_a_claim_whose_owner_died_is_taken_over(house: House) -> None:
    house.poll(EPOCH + 8 * HOUR, {})
    house.clock.advance(300)
    broken = house.another()
    broken._render = _crash  # type: ignore[assignment]
    with pytest.raises(RuntimeError):
        broken.run_due()
    assert house.reports.run_due() == []
    house.clock.advance(16 * 60)
    assert len(house.reports.run_due()) == 2


def _crash(*_: object) -> None:
    raise RuntimeError("the process ends here")


def test_a_target_that_does_not_answer_is_tried_again_and_others_are_not(house: House) -> None:
    house.notifier.problems["1 mailto://x"] = "no route"
    house.poll(EPOCH + 8 * HOUR, {})
    house.clock.advance(300)
    house.reports.run_due()
    assert [target for target, _ in house.notifier.sent] == ["2 json://y"]
    assert house.reports.run_due() == []
    house.clock.advance(61)
    (again,) = house.reports.run_due()
    assert [(d.attempts, d.problem) for d in again.deliveries] == [(2, "no route"), (1, "")]
    del house.notifier.problems["1 mailto://x"]
    house.clock.advance(301)
    (done,) = house.reports.run_due()
    assert all(each.sent_at for each in done.deliveries)
    assert [target for target, _ in house.notifier.sent] == ["2 json://y", "1 mailto://x"]


def test_trying_again_comes_to_an_end(house: House) -> None:
    house.notifier.problems = dict.fromkeys(house.notifier.names, "no")
    house.poll(EPOCH + 8 * HOUR, {})
    house.clock.advance(300)
    attempts = 0
    for _ in range(20):
        found = house.reports.run_due()
        attempts = max([attempts, *(d.attempts for head in found for d in head.deliveries)])
        house.clock.advance(6 * 3600)
    assert attempts == len(PAUSES) + 1


def test_a_report_by_hand_is_sent_only_where_that_was_asked_for(house: House) -> None:
    house.poll(EPOCH + HOUR, {})
    quiet = house.reports.run(Span(EPOCH, EPOCH + HOUR), Language.CHINESE)
    assert (quiet.head.deliveries, house.notifier.sent) == ([], [])
    assert "可用率" in quiet.text
    sent = house.reports.run(Span(EPOCH, EPOCH + HOUR), send=True)
    assert all(each.sent_at for each in sent.head.deliveries)
    assert len(house.notifier.sent) == 2


def test_old_reports_are_forgotten(house: House) -> None:
    house.poll(EPOCH + HOUR, {})
    house.reports.run(Span(EPOCH, EPOCH + HOUR))
    house.clock.advance(401 * 86400)
    house.another(cron="").run_due()
    with house.store.unit_of_work(read_only=True) as uow:
        assert uow.reports.list(10) == []


def test_settings_that_make_no_sense_are_told() -> None:
    with pytest.raises(OrchestratorError, match="Asia/Taipei"):
        plan("0 8 * * mon", "Taipei", "en", 1)
    with pytest.raises(OrchestratorError, match="five fields"):
        plan("0 8 * *", "UTC", "en", 1)
    assert plan("", "UTC", "zh-TW", 1).language is Language.CHINESE
