"""What each route answers."""

from __future__ import annotations

import pytest

from orchestrator.api import Readiness
from orchestrator.domain.errors import ConnectionLost, ScriptFailed, ServerUnreachable
from orchestrator.domain.server import Health
from orchestrator.domain.session import SessionState
from orchestrator.domain.token import Role
from tests.unit.api.conftest import Desk

GAME = {
    "id": "go",
    "title": "圍棋",
    "modes": {"process": {"executable": r"C:\Games\go.exe", "ready": "process"}},
    "limits": {"duration": 7200},
}


def test_the_portals_contract(desk: Desk) -> None:
    started = desk.post("/start_game", {"gameID": "chess", "excutemode": "Event-Driven"})
    assert (started.status_code, started.json) == (
        200,
        {
            "gamestatus": "running",
            "IP": "a.example",
            "PID": 4000,
            "session_id": "s-1",
            "rtsp_url": "rtsp://a.example:8554/desktop",
            "rtsp_port": 8554,
            "control_port": 8555,
            "control_proto": "udp",
            "sunshine_port": None,
            "sunshine_app": None,
        },
    )
    wrong = desk.post(
        "/end_game", {"filename": "notepad.exe", "serverip": "a.example", "pid": 4000}
    )
    assert (wrong.status_code, wrong.json["gamestatus"]) == (409, "failed")
    ended = desk.post("/end_game", {"filename": "chess.exe", "serverip": "a.example", "pid": 4000})
    assert ended.json == {"gamestatus": "ended", "session_id": "s-1", "detail": None}
    again = desk.post("/end_game", {"filename": "", "serverip": "a.example", "pid": 4000})
    assert again.json["gamestatus"] == "ended"


def test_the_portal_adds_a_game_by_its_own_names(desk: Desk) -> None:
    body = {"gameID": "go", "gamename": "Go", "modes": GAME["modes"]}
    first = desk.post("/add_game", body)
    assert (first.status_code, first.json) == (201, {"gamestatus": "added", "gameID": "go"})
    assert desk.post("/add_game", body).json == {"gamestatus": "exists", "gameID": "go"}
    assert desk.post("/add_game", {**body, "gamename": "x"}).json["code"] == "game_exists"


def test_sessions_from_start_to_end(desk: Desk) -> None:
    created = desk.post("/api/v1/sessions", {"game": "chess", "mode": "process"})
    assert created.status_code == 201
    assert created.headers["Location"] == "/api/v1/sessions/s-1"
    assert created.headers["ETag"] == '"2"'
    assert desk.get("/api/v1/sessions/s-1").json == created.json
    listed = desk.get("/api/v1/sessions?state=running&server=a&limit=1").json
    assert [session["id"] for session in listed["sessions"]] == ["s-1"]
    assert listed["next"] == "s-1"
    assert desk.get("/api/v1/sessions?before=s-1").json == {"sessions": [], "next": None}
    decision = desk.get("/api/v1/sessions/s-1/decision").json
    assert decision["chosen"] == "a"
    assert {v["server"]: v["rejected_by"] for v in decision["verdicts"]} == {
        "a": None,
        "b": "slot_free",
    }
    assert desk.post("/api/v1/sessions/s-1/end", None).json["state"] == "ended"
    assert desk.call("DELETE", "/api/v1/sessions/s-1").json["ended_how"] == "graceful"
    kinds = [event["kind"] for event in desk.get("/api/v1/events?session=s-1").json["events"]]
    assert kinds == ["session_ended", "session_ending", "session_running", "session_reserved"]


def test_a_session_is_given_up_only_where_its_server_does_not_answer(desk: Desk) -> None:
    session = desk.post("/api/v1/sessions", {"game": "chess", "mode": "process"}).json
    path = f"/api/v1/sessions/{session['id']}/give-up"
    refused = desk.post(path, None)
    assert (refused.status_code, refused.json["code"]) == (409, "session_conflict")
    with desk.store.unit_of_work() as uow:
        uow.servers.record_health(session["server"], Health.UNREACHABLE, "", None, desk.clock.now())
        uow.commit()
    assert desk.post(path, None, role=Role.PORTAL).status_code == 403
    assert desk.post(path, None).json["state"] == "ended"


def test_an_unknown_outcome_is_202_and_starting(desk: Desk) -> None:
    desk.gateway.fail_after["launch"] = ConnectionLost("broke", server="a")
    created = desk.post("/api/v1/sessions", {"game": "chess", "mode": "process"})
    assert (created.status_code, created.json["state"]) == (202, "starting")
    assert created.json["error"]["code"] == "connection_lost"


def test_a_scripts_error_is_a_problem_with_its_own_code(desk: Desk) -> None:
    desk.gateway.fail_before["launch"] = ScriptFailed("desktop_missing", "nobody", server="a")
    failed = desk.post("/start_game", {"gameID": "chess", "excutemode": "process"})
    assert failed.status_code == 502
    assert failed.content_type == "application/problem+json"
    assert failed.json["code"] == "desktop_missing"
    assert failed.json["outcome"] == "executed"
    assert (failed.json["server"], failed.json["detail"]) == ("a", "on a: nobody")
    assert failed.json["type"] == "urn:orchestrator:desktop_missing"


def test_no_capacity_is_429_with_reasons_and_retry_after(desk: Desk) -> None:
    for _ in range(4):
        desk.post("/api/v1/sessions", {"game": "chess", "mode": "process"})
    full = desk.post("/api/v1/sessions", {"game": "chess", "mode": "process"})
    assert (full.status_code, full.headers["Retry-After"]) == (429, "10")
    assert full.json["retryable"] is True
    assert full.json["reasons"] == {
        "a": "has no free slot (4 of 4 taken)",
        "b": "has no free slot (0 of 0 taken)",
    }


def test_a_server_is_checked_by_an_operator(desk: Desk) -> None:
    checked = desk.post("/api/v1/servers/a/check", None, role=Role.OPERATOR)
    assert checked.status_code == 200
    assert checked.json["verdict"] == "ok"
    assert [item["name"] for item in checked.json["items"]] == ["polling", "scripts", "desktop"]
    assert desk.post("/api/v1/servers/a/check", None, role=Role.VIEWER).status_code == 403
    assert desk.post("/api/v1/servers/none/check", None).status_code == 404


def test_servers_are_drained_and_resumed_by_version(desk: Desk) -> None:
    server = desk.get("/api/v1/servers/a")
    assert server.json["slots"] == {"total": 4, "used": 0}
    assert server.json["load"]["memory"] == 0.25
    stale = desk.post("/api/v1/servers/a/drain", None, headers={"If-Match": '"99"'})
    assert (stale.status_code, stale.json["code"]) == (412, "stale_version")
    drained = desk.post(
        "/api/v1/servers/a/drain", None, headers={"If-Match": server.headers["ETag"]}
    )
    assert drained.json["drained"] is True
    refused = desk.post("/api/v1/sessions", {"game": "chess", "mode": "process"})
    assert refused.json["reasons"]["a"] == "is drained"
    assert desk.post("/api/v1/servers/a/resume", None).json["drained"] is False
    assert [s["name"] for s in desk.get("/api/v1/servers").json["servers"]] == ["a", "b"]


def test_a_dry_run_starts_nothing(desk: Desk) -> None:
    decision = desk.post("/api/v1/placements", {"game": "chess", "mode": "process"}).json
    assert decision["chosen"] == "a"
    assert desk.gateway.orders == []
    unknown = desk.post(
        "/api/v1/placements", {"game": "chess", "mode": "process", "strategy": "none"}
    )
    assert (unknown.status_code, unknown.json["code"]) == (422, "unknown_strategy")


def test_games_are_added_and_read_back(desk: Desk) -> None:
    added = desk.post("/api/v1/games", GAME)
    assert (added.status_code, added.headers["Location"]) == (201, "/api/v1/games/go")
    found = desk.get("/api/v1/games/go").json
    assert (found["title"], found["limits"]) == ("圍棋", {"duration": 7200, "idle": None})
    assert desk.post("/api/v1/games", GAME).status_code == 200
    assert [game["id"] for game in desk.get("/api/v1/games").json["games"]] == ["chess", "go"]


def test_health_needs_no_token_and_says_what_is_missing(desk: Desk) -> None:
    assert desk.get("/healthz", role=None).json == {"status": "ok", "missing": []}
    assert desk.get("/readyz", role=None).status_code == 200
    servers = {"up": 3, "refused": 1}
    desk.readiness[0] = Readiness(False, ("servers: the first poll is not done",), servers)
    waiting = desk.get("/readyz", role=None)
    assert waiting.status_code == 503
    assert waiting.json["missing"] == ["servers: the first poll is not done"]
    assert waiting.json["servers"] == servers


def test_a_request_id_is_kept_or_made(desk: Desk) -> None:
    assert (
        desk.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    )
    made = desk.get("/healthz", headers={"X-Request-Id": "no good\t"}).headers["X-Request-Id"]
    assert len(made) == 36


def test_a_process_may_have_any_printable_variable(desk: Desk) -> None:
    variables = {"PATH_LIKE": "C:\\a;D:\\b", "QUOTED": "a=\"b\" & <c> | ^%d% '$e' 中文"}
    spec = {"executable": "C:\\a.exe", "environment": variables, "ready": "process"}
    added = desk.post("/api/v1/games", {"id": "env", "modes": {"process": spec}})
    assert (added.status_code, added.json["modes"]["process"]["environment"]) == (201, variables)


KEYED = {"Idempotency-Key": "k"}
CHESS = {"game": "chess", "mode": "process"}


def claim_again(desk: Desk) -> None:
    """As if the process had died before it could keep its answer."""
    owner = desk.tokens[Role.ADMIN].split("_")[1]
    with desk.store.unit_of_work() as uow:
        uow.idempotency.finish(owner, "k", None, "", {})  # type: ignore[arg-type]
        uow.commit()


def test_a_key_whose_request_is_under_way_is_409_and_can_be_taken_over_later(desk: Desk) -> None:
    desk.gateway.fail_after["launch"] = ConnectionLost("cut", server="a")
    assert desk.post("/api/v1/sessions", CHESS, headers=KEYED).status_code == 202
    claim_again(desk)
    busy = desk.post("/api/v1/sessions", CHESS, headers=KEYED)
    assert (busy.status_code, busy.json["code"]) == (409, "request_in_progress")
    desk.clock.advance(300)
    taken_over = desk.post("/api/v1/sessions", CHESS, headers=KEYED)
    assert taken_over.status_code == 202
    assert len(desk.gateway.orders) == 1


def test_a_key_whose_process_died_is_answered_as_soon_as_its_session_is_settled(
    desk: Desk,
) -> None:
    first = desk.post("/api/v1/sessions", CHESS, headers=KEYED)
    claim_again(desk)
    again = desk.post("/api/v1/sessions", CHESS, headers=KEYED)
    assert (again.status_code, again.json["id"]) == (201, first.json["id"])
    assert len(desk.gateway.orders) == 1


def test_an_answer_that_was_not_known_yet_is_made_anew_for_its_key(desk: Desk) -> None:
    desk.gateway.fail_after["launch"] = ConnectionLost("cut", server="a")
    first = desk.post("/api/v1/sessions", CHESS, headers=KEYED)
    assert (first.status_code, first.json["process"]) == (202, None)
    with desk.store.unit_of_work() as uow:
        session = uow.sessions.get(first.json["id"])
        (launch,) = desk.gateway.launched["a"].values()
        uow.sessions.save(session.moved(SessionState.RUNNING, desk.clock.now(), launch=launch))
        uow.commit()
    other = desk.post("/api/v1/sessions", {**CHESS, "strategy": "best-fit"}, headers=KEYED)
    assert other.json["code"] == "idempotency_mismatch"
    again = desk.post("/api/v1/sessions", CHESS, headers=KEYED)
    assert (again.status_code, again.json["process"]["pid"]) == (201, launch.pid)
    kept = desk.post("/api/v1/sessions", CHESS, headers=KEYED)
    assert kept.headers["Idempotent-Replayed"] == "true"
    assert len(desk.gateway.orders) == 1


def test_a_failed_start_names_its_session_and_its_key_can_be_tried_again(desk: Desk) -> None:
    desk.gateway.fail_before["launch"] = ServerUnreachable("refused", server="a")
    failed = desk.post("/api/v1/sessions", CHESS, headers=KEYED)
    assert (failed.status_code, failed.json["code"]) == (502, "server_unreachable")
    assert failed.json["retryable"]
    shown = desk.get(f"/api/v1/sessions/{failed.json['session_id']}").json
    assert shown["state"] == "failed"
    with desk.store.unit_of_work() as uow:
        uow.servers.record_health("a", Health.UP, "", None, desk.clock.now())
        uow.commit()
    again = desk.post("/api/v1/sessions", CHESS, headers=KEYED)
    assert (again.status_code, again.json["state"]) == (201, "running")
    assert again.json["id"] != failed.json["session_id"]
    repeated = desk.post("/api/v1/sessions", CHESS, headers=KEYED)
    assert repeated.json == again.json
    assert len(desk.gateway.orders) == 1


@pytest.mark.parametrize("key", ["", "with space", "ü", "x" * 256])
def test_a_key_that_cannot_be_one_is_refused(desk: Desk, key: str) -> None:
    answer = desk.post(
        "/api/v1/sessions",
        {"game": "chess", "mode": "process"},
        headers={"Idempotency-Key": key.encode("utf-8").decode("latin-1")},
    )
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "Idempotency-Key")


def test_the_page_is_served_with_a_strict_policy(desk: Desk) -> None:
    page = desk.get("/", role=None)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for asset in ("overview.js", "overview.css"):
        assert desk.get(f"/assets/{asset}", role=None).status_code == 200
    assert desk.get("/assets/../../config.py", role=None).status_code in {401, 404}


def test_the_players_address_reaches_the_server_from_either_route(desk: Desk) -> None:
    portal = {"gameID": "chess", "excutemode": "process", "playerip": "2001:DB8::7"}
    assert desk.post("/start_game", portal).status_code == 200
    session = {"game": "chess", "mode": "process", "player_address": "198.51.100.7"}
    assert desk.post("/api/v1/sessions", session).status_code == 201
    assert desk.post("/start_game", {**portal, "playerip": ""}).status_code == 200
    addresses = [order.player_address for order in desk.gateway.orders]
    assert addresses == ["2001:db8::7", "198.51.100.7", None]
    wrong = desk.post("/start_game", {**portal, "playerip": "player.example"})
    assert wrong.status_code == 422
    assert wrong.json["errors"][0]["field"] == "playerip"


def test_a_game_is_got_edited_and_sent_back(desk: Desk) -> None:
    desk.post("/api/v1/games", GAME)
    got = desk.get("/api/v1/games/go")
    edited = {**got.json, "title": "Go", "limits": {"idle": 600}}
    seen = {"If-Match": got.headers["ETag"]}
    put = desk.call("PUT", "/api/v1/games/go", role=Role.PORTAL, json=edited, headers=seen)
    assert (put.status_code, put.headers["ETag"]) == (200, '"2"')
    assert put.json == {**got.json, "title": "Go", "limits": {"duration": None, "idle": 600}}
    assert desk.get("/api/v1/games/go").json == put.json
    again = desk.call("PUT", "/api/v1/games/go", json=edited, headers=seen)
    assert (again.status_code, again.headers["ETag"]) == (200, '"2"')
    stale = desk.call("PUT", "/api/v1/games/go", json={**edited, "title": "x"}, headers=seen)
    assert (stale.status_code, stale.json["code"]) == (412, "stale_version")
    odd = desk.call("PUT", "/api/v1/games/go", json=edited, headers={"If-Match": "2"})
    assert (odd.status_code, odd.json["code"]) == (412, "stale_version")


def test_an_edit_names_the_game_of_its_path_or_none(desk: Desk) -> None:
    body = {"modes": GAME["modes"]}
    other = desk.call("PUT", "/api/v1/games/chess", json={**body, "id": "go"})
    assert (other.status_code, other.json["errors"][0]["field"]) == (422, "id")
    unknown = desk.call("PUT", "/api/v1/games/none", json=body)
    assert (unknown.status_code, unknown.json["code"]) == (404, "unknown_game")
    wrong = desk.call("PUT", "/api/v1/games/chess", json={"modes": {"process": {}}})
    assert wrong.json["errors"][0]["field"] == "modes.process.executable"
    assert desk.call("PUT", "/api/v1/games/chess", json=body).json["title"] == "chess"


def test_a_game_is_removed_when_no_session_of_it_is_left(desk: Desk) -> None:
    session = desk.post("/api/v1/sessions", {"game": "chess", "mode": "process"}).json
    for refused in (
        desk.call("DELETE", "/api/v1/games/chess"),
        desk.call("PUT", "/api/v1/games/chess", json={"modes": GAME["modes"]}),
    ):
        assert (refused.status_code, refused.json["code"]) == (409, "game_in_use")
        assert session["id"] in refused.json["detail"]
    desk.post(f"/api/v1/sessions/{session['id']}/end", None)
    assert desk.call("DELETE", "/api/v1/games/chess", role=Role.VIEWER).status_code == 403
    removed = desk.call("DELETE", "/api/v1/games/chess", role=Role.PORTAL)
    assert (removed.status_code, removed.data) == (204, b"")
    assert desk.call("DELETE", "/api/v1/games/chess").status_code == 404
    assert desk.get(f"/api/v1/sessions/{session['id']}").json["game"] == "chess"
    assert desk.get("/api/v1/sessions?game=chess").json["sessions"][0]["state"] == "ended"
    assert desk.get(f"/api/v1/sessions/{session['id']}/decision").json["chosen"] == "a"
    newest = desk.get("/api/v1/events?limit=1").json["events"][0]
    assert (newest["kind"], newest["data"]) == ("game_removed", {"game": "chess"})
