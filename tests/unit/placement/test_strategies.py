"""What must hold for every strategy there is, however many there will be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import UnknownStrategy
from orchestrator.domain.game import Needs
from orchestrator.domain.mode import Concurrency, Mode
from orchestrator.domain.server import Health, Load, PortRange, Server
from orchestrator.domain.session import Ports
from orchestrator.placement import (
    Occupant,
    Request,
    ServerView,
    find_strategy,
    place,
    strategy_names,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
shares = st.floats(0, 1.5, allow_nan=False)


@st.composite
def occupants(draw: st.DrawFn, number: int) -> Occupant:
    return Occupant(
        session_id=f"session-{number}",
        needs=Needs(draw(shares), draw(shares), draw(st.integers(0, 10**6))),
        ports=Ports(8554 + 2 * number, 8555 + 2 * number),
        concurrency=draw(st.sampled_from(Concurrency)),
        running_since=draw(st.sampled_from([None, NOW, NOW - timedelta(hours=1)])),
    )


@st.composite
def fleets(draw: st.DrawFn) -> list[ServerView]:
    views = []
    for number in range(draw(st.integers(0, 6))):
        load = Load(
            NOW,
            draw(st.none() | shares),
            draw(st.none() | st.integers(0, 10**6)),
            draw(st.none() | st.integers(0, 10**6)),
            draw(st.none() | shares),
        )
        views.append(
            ServerView(
                server=Server(
                    name=f"server-{number}",
                    address="192.0.2.1",
                    stream_address="192.0.2.1",
                    slots=draw(st.integers(0, 4)),
                    labels=draw(st.sampled_from([{}, {"gpu": "yes"}])),
                    modes=draw(st.sampled_from([frozenset(Mode), frozenset({Mode.PROCESS})])),
                    games=draw(st.sampled_from([None, frozenset({"chess"}), frozenset()])),
                    ports=PortRange(8554, draw(st.integers(8554, 8563))),
                ),
                health=draw(st.sampled_from(Health)),
                drained=draw(st.booleans()),
                present=draw(st.booleans()),
                load=draw(st.none() | st.just(load)),
                occupants=tuple(draw(occupants(index)) for index in range(draw(st.integers(0, 4)))),
            )
        )
    return views


requests = st.builds(
    Request,
    seed=st.text(min_size=1, max_size=8),
    game_id=st.sampled_from(["chess", "quake"]),
    mode=st.sampled_from([Mode.PERIODIC, Mode.PROCESS]),
    needs=st.builds(Needs, shares, shares, st.integers(0, 10**5)),
    concurrency=st.sampled_from(Concurrency),
    labels=st.sampled_from([{}, {"gpu": "yes"}]),
)


@pytest.mark.parametrize("name", strategy_names())
@given(request_=requests, fleet=fleets(), data=st.data())
def test_every_strategy_accounts_for_each_server_and_chooses_one_that_fits(
    name: str, request_: Request, fleet: list[ServerView], data: st.DataObject
) -> None:
    decision = place(request_, fleet, find_strategy(name))

    assert sorted(v.server for v in decision.verdicts) == sorted(v.server.name for v in fleet)
    fitting = {v.server: v for v in decision.verdicts if v.rejected_by is None}
    assert (decision.chosen is None) == (not fitting)
    if decision.chosen is not None:
        best = max(v.total or 0.0 for v in fitting.values())
        assert fitting[decision.chosen].total == best
    for verdict in decision.verdicts:
        if verdict.rejected_by is None:
            assert verdict.scores
            assert all(0.0 <= score <= 1.0 for score in verdict.scores.values())
        else:
            assert verdict.reason
            assert verdict.total is None
    shuffled = data.draw(st.permutations(fleet))
    assert place(request_, shuffled, find_strategy(name)) == decision


def test_an_unknown_strategy_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownStrategy, match="best-fit, least-loaded"):
        find_strategy("nonsense")
