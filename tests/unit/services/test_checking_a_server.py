"""What a check tells of servers that answer, refuse, or are silent."""

from __future__ import annotations

import pytest

from orchestrator.domain.check import CheckItem, ServerReport, Verdict, worst
from orchestrator.domain.errors import (
    AccessDenied,
    CredentialsRefused,
    QueryRejected,
    ScriptFailed,
    ServerCallError,
    ServerUnreachable,
    UnknownServer,
)
from orchestrator.domain.server import Health
from orchestrator.services.check_server import REMEDIES, CheckServer
from orchestrator.services.probe_servers import ProbeServers
from orchestrator.services.retry import Retry
from orchestrator.store import Store
from tests.fakes import FakeClock, FakeGateway, InlineExecutor, fill, make_server


class Desk:
    def __init__(self, store: Store) -> None:
        fill(store, [make_server("a")])
        self.store, self.gateway, clock = store, FakeGateway(), FakeClock()
        units = store.unit_of_work
        probe = ProbeServers(units, self.gateway, clock, Retry(clock), InlineExecutor())
        self.check = CheckServer(units, self.gateway, probe)

    def health(self) -> Health:
        with self.store.unit_of_work(read_only=True) as uow:
            return uow.servers.get("a").health


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def test_a_server_that_answers_tells_its_items_after_the_calls_themselves(desk: Desk) -> None:
    locked = CheckItem("desktop", Verdict.PROBLEM, "locked", "unlock it")
    desk.gateway.reports["a"] = ServerReport("GAME-01", r"GAME-01\broker", (locked,))
    checked = desk.check("a")
    assert [item.name for item in checked.items] == ["polling", "scripts", "desktop"]
    assert (checked.computer, checked.account) == ("GAME-01", r"GAME-01\broker")
    assert checked.verdict is Verdict.PROBLEM
    ((server, order),) = desk.gateway.inspected
    assert (server, str(order.ports)) == ("a", "8554-8653")
    assert order.modes == ("event-driven", "periodic", "process", "sunshine")


@pytest.mark.parametrize("error", [ServerUnreachable, CredentialsRefused])
def test_a_server_that_does_not_answer_the_poll_is_not_asked_again(
    desk: Desk, error: type[ServerCallError]
) -> None:
    desk.gateway.loads["a"] = error("no", server="a")
    checked = desk.check("a")
    assert [(i.name, i.verdict) for i in checked.items] == [("polling", Verdict.PROBLEM)]
    assert checked.items[0].remedy == REMEDIES[error.code]
    assert desk.gateway.inspected == []
    assert desk.health() is not Health.UP


def test_a_server_that_cannot_be_polled_may_still_run_scripts(desk: Desk) -> None:
    desk.gateway.loads["a"] = QueryRejected("no such class", server="a")
    names = [(item.name, item.verdict) for item in desk.check("a").items]
    assert names == [
        ("polling", Verdict.PROBLEM),
        ("scripts", Verdict.OK),
        ("desktop", Verdict.OK),
    ]


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (AccessDenied("no", server="a"), REMEDIES["access_denied"]),
        (ScriptFailed("odd_code", "no", server="a"), "docs/windows.md, under odd_code"),
    ],
)
def test_a_script_that_fails_is_an_item_with_its_remedy(
    desk: Desk, error: ServerCallError, remedy: str
) -> None:
    desk.gateway.reports["a"] = error
    scripts = desk.check("a").items[1]
    assert (scripts.name, scripts.verdict, scripts.remedy) == ("scripts", Verdict.PROBLEM, remedy)
    assert scripts.found == f"{error.code}: no"


def test_a_server_that_the_inventory_does_not_have_is_an_error(desk: Desk) -> None:
    with pytest.raises(UnknownServer):
        desk.check("b")


def test_the_gravest_verdict_counts() -> None:
    assert worst([]) is Verdict.OK
    assert worst([Verdict.NOT_MEASURED, Verdict.OK]) is Verdict.NOT_MEASURED
    assert worst([Verdict.PROBLEM, Verdict.WARNING, Verdict.NOT_MEASURED]) is Verdict.PROBLEM


def _codes(kind: type[ServerCallError]) -> set[str]:
    return {each.code for each in kind.__subclasses__()}.union(
        *(_codes(each) for each in kind.__subclasses__())
    )


def test_every_failed_call_has_a_remedy() -> None:
    assert _codes(ServerCallError) - {ScriptFailed.code} <= set(REMEDIES)
