"""The session's state machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.decision import Decision
from orchestrator.domain.errors import SessionConflict
from orchestrator.domain.launch import Launch
from orchestrator.domain.mode import Mode
from orchestrator.domain.session import ACTIVE_STATES, TRANSITIONS, Ports, Session, SessionState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = Session(
    id="s",
    game_id="chess",
    mode=Mode.PERIODIC,
    server="a",
    stream_address="192.0.2.1",
    state=SessionState.STARTING,
    ports=Ports(8554, 8555),
    decision=Decision("least-loaded", "s", "a", ()),
    created_at=NOW,
    updated_at=NOW,
)


@pytest.mark.parametrize("before", SessionState)
@pytest.mark.parametrize("after", SessionState)
def test_a_session_moves_only_along_the_arrows(before: SessionState, after: SessionState) -> None:
    session = replace(SESSION, state=before)
    if after in TRANSITIONS[before]:
        assert session.moved(after, NOW).state is after
    else:
        with pytest.raises(SessionConflict, match=f"is {before}; it cannot become {after}"):
            session.moved(after, NOW)


def test_a_session_that_is_over_never_comes_back() -> None:
    over = set(SessionState) - ACTIVE_STATES
    assert over == {SessionState.ENDED, SessionState.FAILED}
    assert all(not TRANSITIONS[state] for state in over)


def test_every_active_state_leads_to_an_end() -> None:
    for state in ACTIVE_STATES:
        seen, open_ = set(), {state}
        while open_:
            seen |= open_
            open_ = {after for before in open_ for after in TRANSITIONS[before]} - seen
        assert SessionState.ENDED in seen


def test_moving_stamps_start_and_end_once() -> None:
    running = SESSION.moved(SessionState.RUNNING, NOW, launch=Launch(8, NOW, "a.exe"))
    later = NOW + timedelta(hours=1)
    lost = running.moved(SessionState.LOST, later)
    back = lost.moved(SessionState.RUNNING, later)
    assert back.started_at == NOW
    assert back.moved(SessionState.ENDED, later).ended_at == later


def test_only_gaminganywhere_streams_by_rtsp() -> None:
    assert SESSION.rtsp_url == "rtsp://192.0.2.1:8554/desktop"
    assert replace(SESSION, mode=Mode.PROCESS).rtsp_url is None
    six = replace(SESSION, stream_address="2001:db8::1")
    assert six.rtsp_url == "rtsp://[2001:db8::1]:8554/desktop"
