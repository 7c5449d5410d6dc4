"""Who is told what when servers and sites fall silent."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.domain.health import Finding
from orchestrator.domain.maintenance import MaintenanceWindow
from orchestrator.domain.server import Health, ServerRecord
from orchestrator.services.fleet_watch import FleetWatch
from tests.fakes import START, make_server

UP = Finding(Health.UP)
SILENT = Finding(Health.UNREACHABLE, "nothing answers")


class Fleet:
    """Servers of two sites: a, b, c at taipei and x alone at hsinchu."""

    def __init__(self, health: Health = Health.UP, **changes: object) -> None:
        self.watch = FleetWatch()
        servers = [make_server(name, site="taipei", **changes) for name in "abc"]
        servers.append(make_server("x", site="hsinchu", **changes))
        self.records = [ServerRecord(s, health, health_since=START) for s in servers]
        self.watch.follow(self.records)
        self.seconds = 0.0
        self.told: list[str] = []
        self.marked: list[bool] = []

    def poll(self, names: str, finding: Finding) -> None:
        for name in names:
            self.seconds += 1
            at = START + timedelta(seconds=self.seconds)
            _, events = self.watch.conclude(name, finding, at)
            self.told += [
                f"{event.server}: {event.message}" if event.server else event.message
                for event in events
            ]
            self.marked += [bool(event.data.get("maintenance")) for event in events]


def test_one_server_of_a_site_is_told_about_once_another_has_answered() -> None:
    fleet = Fleet()
    fleet.poll("aa", SILENT)
    assert fleet.told == []
    fleet.poll("b", UP)
    assert fleet.told == ["a: up -> unreachable: nothing answers"]
    fleet.poll("aabb", SILENT)
    fleet.poll("c", UP)
    assert fleet.told[1:] == ["b: up -> unreachable: nothing answers"]


def test_a_silent_site_is_one_event_and_its_return_another() -> None:
    fleet = Fleet()
    fleet.poll("abcabc", SILENT)
    assert fleet.told == ["site taipei: none of its 3 servers answers"]
    fleet.poll("abcabc", SILENT)
    fleet.poll("aabbcc", UP)
    assert fleet.told[1:] == ["site taipei: it answers again, 2 of 3 servers not yet"]
    assert set(fleet.watch.healths().values()) == {Health.UP}


def test_who_stays_silent_after_its_site_came_back_is_told_about_by_name() -> None:
    fleet = Fleet()
    fleet.poll("abcabc", SILENT)
    fleet.poll("aabb", UP)
    fleet.seconds += 61
    fleet.poll("c", SILENT)
    fleet.poll("a", UP)
    assert fleet.told[2:] == ["c: still unreachable: nothing answers"]


def test_a_server_alone_at_its_site_is_told_about_at_once() -> None:
    fleet = Fleet()
    fleet.poll("xx", SILENT)
    assert fleet.told == ["x: up -> unreachable: nothing answers"]
    fleet.poll("xx", UP)
    assert fleet.told[1:] == ["x: unreachable -> up"]


def test_a_server_that_came_back_before_it_was_told_about_is_not_told_about() -> None:
    fleet = Fleet()
    fleet.poll("aaaa", SILENT)
    fleet.poll("aabc", UP)
    assert fleet.told == []


def test_other_news_is_told_at_once() -> None:
    fleet = Fleet()
    fleet.poll("aa", Finding(Health.UNREADY, "no desktop"))
    fleet.poll("a", Finding(Health.REFUSED, "wrong password"))
    assert fleet.told == ["a: up -> unready: no desktop", "a: unready -> refused: wrong password"]


def test_a_restart_does_not_tell_again_what_was_told() -> None:
    fleet = Fleet(Health.UNREACHABLE)
    fleet.poll("abcx", SILENT)
    assert fleet.told == []


def test_during_maintenance_events_are_marked_and_what_is_wrong_afterwards_is_told() -> None:
    window = MaintenanceWindow("0 12 * * *", 60)
    fleet = Fleet(maintenance=(window,))
    fleet.poll("aaxx", SILENT)
    assert fleet.marked == [True, True]
    fleet.poll("aa", UP)
    fleet.seconds += 3600
    fleet.poll("abcx", UP)
    assert fleet.marked == [True, True, True]
    late = Fleet(maintenance=(window,))
    late.poll("xx", SILENT)
    late.seconds += 3600
    late.poll("x", SILENT)
    assert late.told[1:] == ["x: still unreachable: nothing answers"]
    assert late.marked == [True, False]


def test_servers_that_left_are_forgotten_and_new_ones_are_watched() -> None:
    fleet = Fleet()
    fleet.watch.follow([*fleet.records[1:], ServerRecord(make_server("new", site="taipei"))])
    assert fleet.watch.condition("a").health is Health.UNKNOWN
    _, events = fleet.watch.conclude("new", UP, START)
    assert [event.message for event in events] == ["unknown -> up"]
