"""History on every database: polls, hours, days, sites, health, and forgetting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from orchestrator.domain.availability import HealthInterval, Span
from orchestrator.domain.errors import InvalidRequest, UnknownServer
from orchestrator.domain.history import MEASURES, Measure, Reading, Resolution, Stats, rollup
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load
from orchestrator.ports import Subject
from orchestrator.services.keep_history import WATCH_GAP, KeepHistory
from orchestrator.services.read_history import Chart, ReadHistory
from orchestrator.services.retry import Retry
from orchestrator.services.roll_up import Keep, RollUp
from orchestrator.store import Store, schema
from orchestrator.store.store import SqlUnitOfWork
from tests.fakes import START, FakeClock, fill, make_server

HOUR = timedelta(hours=1)
A = Subject.server("a")


class House:
    """History's services on a store, and polls of every ten seconds put into it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = FakeClock(START)
        self.keep = Keep(timedelta(days=2), timedelta(days=4), timedelta(days=6), timedelta(days=9))
        retry = Retry(self.clock)
        self.record = KeepHistory(store.unit_of_work, retry, lambda name: "taipei")
        self.roll_up = RollUp(store.unit_of_work, self.clock, retry, self.keep)
        self.read = ReadHistory(store.unit_of_work, self.clock, self.keep)
        servers = [make_server(name, site="taipei") for name in ("a", "b")]
        fill(store, servers)

    def poll(self, server: str, seconds: float, cpu: float | None, **changes: object) -> Sample:
        at = START + timedelta(seconds=seconds)
        load = None if cpu is None else Load(at, cpu, gpu=cpu / 2)
        health = Health.UNREACHABLE if cpu is None else Health.UP
        since = changes.get("since", START)
        return Sample(server, at, 0.1, health, "silent" if cpu is None else "", since, load)  # type: ignore[arg-type]

    def polls(self, server: str, hours: int, cpu: float = 0.5) -> None:
        steps = range(0, hours * 3600, 10)
        self.record([self.poll(server, s, cpu) for s in steps])

    def chart(
        self, subject: Subject, measure: Measure, hours: float, resolution: Resolution | None = None
    ) -> Chart:
        until = START + timedelta(hours=hours)
        (found,) = self.read(subject, [measure], START, until, resolution)
        return found


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


def values(points: Sequence[tuple[object, Stats]]) -> list[tuple[int, float]]:
    return [(stats.count, round(stats.mean, 3)) for _, stats in points]


def test_polls_are_there_at_once_at_every_resolution(house: House) -> None:
    house.polls("a", 2)
    assert values(house.chart(A, Measure.CPU, 2, Resolution.RAW).points) == [(1, 0.5)] * 720
    assert values(house.chart(A, Measure.CPU, 2, Resolution.MINUTE).points) == [(6, 0.5)] * 120
    assert values(house.chart(A, Measure.GPU, 2, Resolution.HOUR).points) == [(360, 0.25)] * 2


def test_a_closed_hour_says_what_the_open_one_said(house: House) -> None:
    house.record([house.poll("a", s, (s % 70) / 70) for s in range(0, 7200, 10)])
    before = {r: house.chart(A, Measure.CPU, 2, r).points for r in list(Resolution)[:3]}
    house.clock.advance(1.5 * 3600)
    assert house.roll_up() == 1
    house.clock.advance(3600)
    assert house.roll_up() == 1
    assert house.roll_up() == 0
    for resolution, points in before.items():
        after = house.chart(A, Measure.CPU, 2, resolution).points
        assert [at for at, _ in after] == [at for at, _ in points]
        for (_, one), (_, other) in zip(points, after, strict=True):
            assert one.count == other.count
            for name in ("minimum", "mean", "maximum", "p95"):
                assert getattr(one, name) == pytest.approx(getattr(other, name), abs=0.001)


def test_a_day_is_the_sum_of_its_hours_and_a_site_of_its_servers(house: House) -> None:
    house.polls("a", 3, cpu=0.2)
    house.polls("b", 3, cpu=0.6)
    house.clock.advance(4 * 3600)
    assert house.roll_up() == 6
    day = house.chart(A, Measure.CPU, 24, Resolution.DAY).points
    assert values(day) == [(3 * 360, 0.2)]
    site = Subject.site("taipei")
    assert values(house.chart(site, Measure.CPU, 3, Resolution.HOUR).points) == [(720, 0.4)] * 3
    ((_, whole),) = house.chart(site, Measure.CPU, 24, Resolution.DAY).points
    assert (whole.count, round(whole.p95, 1)) == (3 * 720, 0.6)


def test_a_poll_that_comes_after_its_hour_was_closed_is_counted(house: House) -> None:
    house.polls("a", 1)
    house.clock.advance(2 * 3600)
    house.roll_up()
    house.record([house.poll("a", 1805, 0.5)])
    assert house.roll_up() == 1
    assert values(house.chart(A, Measure.CPU, 1, Resolution.HOUR).points) == [(361, 0.5)]
    assert values(house.chart(A, Measure.CPU, 24, Resolution.DAY).points) == [(361, 0.5)]
    assert len(house.chart(A, Measure.CPU, 1, Resolution.RAW).points) == 361


def test_a_batch_that_is_given_again_changes_nothing(house: House) -> None:
    for _ in range(2):
        house.polls("a", 1)
    assert values(house.chart(A, Measure.CPU, 1, Resolution.HOUR).points) == [(360, 0.5)]


def test_an_unanswered_poll_leaves_a_gap(house: House) -> None:
    house.record([house.poll("a", 0, 0.5), house.poll("a", 10, None), house.poll("a", 20, 0.5)])
    assert len(house.chart(A, Measure.CPU, 1, Resolution.RAW).points) == 2
    assert len(house.chart(A, Measure.POLL, 1, Resolution.RAW).points) == 3


def test_the_finest_resolution_that_fits_a_screen_is_taken(house: House) -> None:
    house.clock.advance(1.9 * 86400)
    chosen = {
        hours: house.chart(A, Measure.CPU, hours).resolution for hours in (1, 4, 5, 24, 26, 45)
    }
    assert chosen == {
        1: Resolution.RAW,
        4: Resolution.RAW,
        5: Resolution.MINUTE,
        24: Resolution.MINUTE,
        26: Resolution.HOUR,
        45: Resolution.HOUR,
    }
    house.clock.advance(1.9 * 86400)
    assert house.chart(A, Measure.CPU, 1).resolution is Resolution.MINUTE
    assert house.chart(Subject.site("taipei"), Measure.CPU, 1).resolution is Resolution.HOUR


def test_what_cannot_be_shown_is_refused(house: House) -> None:
    with pytest.raises(InvalidRequest, match="since"):
        house.read(A, [Measure.CPU], START, START)
    with pytest.raises(InvalidRequest, match="resolution"):
        house.chart(A, Measure.CPU, 24 * 30, Resolution.RAW)
    with pytest.raises(InvalidRequest, match="resolution"):
        house.chart(Subject.site("taipei"), Measure.CPU, 1, Resolution.MINUTE)
    with pytest.raises(UnknownServer):
        house.chart(Subject.server("none"), Measure.CPU, 1)


def test_each_resolution_is_forgotten_in_its_time(house: House) -> None:
    house.polls("a", 1)
    house.clock.advance(2 * 3600)
    house.roll_up()

    def kept() -> list[Resolution]:
        return [
            resolution
            for resolution in Resolution
            if house.chart(A, Measure.CPU, 1, resolution).points
        ]

    assert kept() == list(Resolution)
    found = []
    for _ in range(4):
        house.clock.advance(2.3 * 86400)
        house.roll_up()
        found.append(kept())
    assert found == [list(Resolution)[1:], list(Resolution)[2:], [Resolution.DAY], []]


def test_health_is_kept_as_the_times_of_its_changes(house: House) -> None:
    minute = timedelta(minutes=1)
    house.record([house.poll("a", 0, 0.5), house.poll("b", 0, 0.5)])
    house.record([house.poll("a", 60, None, since=START + minute)])
    house.record([house.poll("a", 90, None, since=START + minute)])
    house.record([house.poll("a", 120, 0.5, since=START + 2 * minute), house.poll("b", 120, 0.5)])
    with house.store.unit_of_work(read_only=True) as uow:
        found = uow.health.intervals(START, START + HOUR)
        late = uow.health.intervals(START + 3 * minute, START + HOUR)
        first, watches = uow.health.first_watch(), uow.health.watches(START, START + HOUR)
    up, down, again = Health.UP, Health.UNREACHABLE, Health.UP
    assert found == [
        HealthInterval("a", "taipei", up, "", START, START + minute),
        HealthInterval("a", "taipei", down, "silent", START + minute, START + 2 * minute),
        HealthInterval("a", "taipei", again, "", START + 2 * minute),
        HealthInterval("b", "taipei", up, "", START),
    ]
    assert [(i.server, i.health) for i in late] == [("a", up), ("b", up)]
    assert first == START
    assert watches == {"taipei": [Span(START, START + 2 * minute)]}


def test_a_broker_that_was_away_did_not_watch(house: House) -> None:
    gap = WATCH_GAP.total_seconds()
    for seconds in (0, gap, 2 * gap + 1, 2 * gap + 30):
        house.record([house.poll("a", seconds, 0.5)])
    with house.store.unit_of_work(read_only=True) as uow:
        found = uow.health.watches(START, START + HOUR)["taipei"]
    assert [span.length.total_seconds() for span in found] == [gap, 29]


def test_a_server_that_left_the_inventory_has_no_health_any_more(house: House) -> None:
    house.record([house.poll("a", 0, None), house.poll("b", 0, 0.5)])
    with house.store.unit_of_work() as uow:
        uow.servers.synchronise([make_server("b", site="taipei")])
        uow.commit()
    house.clock.advance(60)
    house.roll_up()
    with house.store.unit_of_work(read_only=True) as uow:
        found = {i.server: i.ended_at for i in uow.health.intervals(START, START + HOUR)}
    assert found == {"a": START + timedelta(minutes=1), "b": None}


def test_health_is_forgotten_with_the_hours(house: House) -> None:
    house.record([house.poll("a", 0, None)])
    house.record([house.poll("a", 60, 0.5, since=START + timedelta(minutes=1))])
    house.clock.advance(7 * 86400)
    house.roll_up()
    with house.store.unit_of_work(read_only=True) as uow:
        (left,) = uow.health.intervals(START, house.clock.now())
        assert uow.health.watches(START, house.clock.now()) == {}
    assert left.health is Health.UP


def test_reading_an_unknown_series_writes_nothing(house: House) -> None:
    with house.store.unit_of_work(read_only=True) as uow:
        assert uow.history.values("never", Measure.CPU, START, START + HOUR) == []
        assert uow.history.rollups(Subject.site("x"), Resolution.DAY, START, START + HOUR) == []
    with house.store.unit_of_work(read_only=True) as uow:
        assert uow.history._ids == {}


def test_a_reading_keeps_its_milliseconds_while_its_hour_is_open(store: Store) -> None:
    at = START + timedelta(milliseconds=123)
    reading = Reading(at, tuple(0.5 for _ in MEASURES))
    with store.unit_of_work() as uow:
        uow.history.add([("a", reading)])
        uow.history.add([])
        assert uow.history.values("a", Measure.CPU, START, START + HOUR) == [(at, 0.5)]
        assert uow.history.hours_to_close(START, 10) == []
        assert uow.history.hours_to_close(START + HOUR, 10) == [("a", START)]


def test_charts_of_hours_survive_the_move_to_their_own_table_and_back(store: Store) -> None:
    """Revision 0005, which a database of before is brought to."""
    subject, exact = Subject.server("a"), rollup([Reading(START, tuple(0.5 for _ in MEASURES))])
    with store.unit_of_work() as uow:
        for hours in range(3):
            uow.history.put_rollup(subject, Resolution.HOUR, START + hours * HOUR, exact)
        uow.commit()

    def chart() -> Sequence[tuple[datetime, Stats]]:
        with store.unit_of_work(read_only=True) as uow:
            return uow.history.stats(subject, Resolution.HOUR, Measure.GPU, START, START + 3 * HOUR)

    before = chart()
    assert len(before) == 3
    schema.downgrade(store._engine, schema.default_migrations(), "0004")
    store.upgrade()
    assert chart() == before
    with store.unit_of_work() as uow:
        assert uow.history.expire(Resolution.HOUR, START + HOUR, HOUR) == 2
        uow.commit()
    assert chart() == before[1:]


def test_much_that_is_too_old_is_forgotten_in_short_transactions(store: Store) -> None:
    exact = rollup([Reading(START, tuple(0.5 for _ in MEASURES))])
    with store.unit_of_work() as uow:
        for hours in range(30):
            uow.history.put_rollup(A, Resolution.HOUR, START + hours * HOUR, exact)
        uow.commit()
    left: list[int] = []

    def units(*, read_only: bool = False) -> SqlUnitOfWork:
        with store.unit_of_work(read_only=True) as uow:
            found = uow.history.stats(
                A, Resolution.HOUR, Measure.CPU, START, START + timedelta(days=9)
            )
        left.append(len(found))
        return store.unit_of_work(read_only=read_only)

    clock = FakeClock(START + timedelta(days=500))
    RollUp(units, clock, Retry(clock), Keep())()
    assert [many for many in dict.fromkeys(left) if many < 30] == [24, 18, 12, 6, 0]
