"""Who may call what, and that nothing one can send is a 500."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from orchestrator.api.access import ROLES
from orchestrator.api.problems import STATUS
from orchestrator.domain import errors
from orchestrator.domain.token import Role
from tests.unit.api.conftest import Desk

NEVER_ANSWERED = {
    errors.ScriptFailed,
    errors.InventoryError,
    errors.InventoryMissing,
    errors.InvalidSetting,
}
"""A script's code is its own; the others end a command before there is a broker."""


def _routes(desk: Desk) -> set[str]:
    return {
        f"{method} {rule.rule}"
        for rule in desk.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith(("/static", "/openapi/"))
    }


def _filled(route: str) -> tuple[str, str]:
    method, path = route.split(" ")
    return method, re.sub(r"<[^>]+>", "x", path)


def test_every_route_has_a_role_and_every_role_a_route(desk: Desk) -> None:
    assert _routes(desk) == set(ROLES)


def test_without_a_token_only_health_and_the_page_answer(desk: Desk) -> None:
    for route, role in ROLES.items():
        method, path = _filled(route)
        answer = desk.call(method, path, role=None)
        if role is None:
            assert answer.status_code in {200, 404}
        else:
            assert answer.status_code == 401, route
            assert answer.json["code"] == "not_authenticated"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert desk.get("/nothing", role=None).status_code == 401


def test_each_role_gets_as_far_as_it_should(desk: Desk) -> None:
    for route, needed in ROLES.items():
        if needed is None:
            continue
        method, path = _filled(route)
        for role in Role:
            answer = desk.call(method, path, role=role)
            assert (answer.status_code == 403) is not role.covers(needed), (route, role)


def test_any_token_may_ask_what_a_route_takes(desk: Desk) -> None:
    answer = desk.call("OPTIONS", "/start_game", role=Role.VIEWER)
    assert answer.status_code == 200
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert desk.call("OPTIONS", "/start_game", role=None).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "orch_000000000000_" + "a" * 43])
def test_a_wrong_token_is_refused(desk: Desk, token: str) -> None:
    answer = desk.call(
        "GET", "/api/v1/games", role=None, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 401


def test_a_revoked_token_is_refused(desk: Desk) -> None:
    with desk.store.unit_of_work() as uow:
        uow.tokens.revoke(desk.tokens[Role.VIEWER].split("_")[1], desk.clock.now())
        uow.commit()
    assert desk.get("/api/v1/games", role=Role.VIEWER).status_code == 401


def test_the_openapi_is_valid_and_has_every_route(desk: Desk) -> None:
    document = desk.get("/openapi.json").json
    validate(document)
    documented = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    }
    shown = {
        re.sub(r"<string:(\w+)>", r"{\1}", route)
        for route in _routes(desk)
        if route not in {"GET /", "GET /assets/<path:name>", "GET /openapi.json"}
    }
    assert documented == shown


def test_the_openapi_says_that_errors_are_problems_and_that_a_body_may_be_no_json(
    desk: Desk,
) -> None:
    paths = desk.get("/openapi.json").json["paths"]
    responses = [
        (operation, status, response)
        for operations in paths.values()
        for operation in operations.values()
        for status, response in operation["responses"].items()
    ]
    errors_shown = [(s, r) for _, s, r in responses if int(s) >= 400 and s != "503"]
    assert errors_shown
    for status, response in errors_shown:
        assert list(response["content"]) == ["application/problem+json"], status
    assert "400" in paths["/start_game"]["post"]["responses"]


def test_every_error_has_a_status(desk: Desk) -> None:
    leaves = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.OrchestratorError)
        and not kind.__subclasses__()
        and kind not in NEVER_ANSWERED
    ]
    assert {kind.code for kind in leaves} <= set(STATUS)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/start_game", {"gameID": "chess"}, "excutemode"),
        ("/start_game", {"gameID": 5, "excutemode": "process"}, "gameID"),
        ("/start_game", {"gameID": "chess", "excutemode": "fast"}, "excutemode"),
        ("/start_game", {"gameID": "chess", "excutemode": "process", "x": 1}, "x"),
        ("/start_game", {"gameID": "a\0b", "excutemode": "process"}, "gameID"),
        ("/start_game", {"gameID": "a\ud800b", "excutemode": "process"}, "gameID"),
        (
            "/start_game",
            {"gameID": "chess", "excutemode": "periodic", "configfile": "../x"},
            "configfile",
        ),
        ("/end_game", {"serverip": "a", "pid": "many"}, "pid"),
        ("/end_game", {"serverip": "a", "pid": 2**64}, "pid"),
        ("/end_game", {"serverip": "a", "pid": 0}, "pid"),
        ("/api/v1/sessions", {"game": "chess", "mode": "sunshine"}, "mode"),
        ("/api/v1/sessions", [], "body"),
        ("/api/v1/games", {"id": "-x", "modes": {"process": {"executable": "C:\\a.exe"}}}, "id"),
        (
            "/api/v1/games",
            {"id": "x", "modes": {"process": {"executable": "a.exe"}}},
            "modes.process.executable",
        ),
        (
            "/api/v1/games",
            {"id": "x", "modes": {"process": {"executable": "C:\\a.exe"}}, "needs": {"cpu": -1}},
            "needs.cpu",
        ),
        ("/api/v1/games", {"id": "x", "modes": {}}, "modes"),
        (
            "/api/v1/games",
            {
                "id": "x",
                "modes": {"process": {"executable": "C:\\a.exe", "environment": {"A=B": "1"}}},
            },
            "modes.process.environment",
        ),
        (
            "/api/v1/games",
            {"id": "x", "modes": {"process": {"executable": "C:\\a.exe", "arguments": ["a\nb"]}}},
            "modes.process.arguments.0",
        ),
        (
            "/api/v1/games",
            {
                "id": "x",
                "modes": {"event-driven": {"executable": "C:\\a.exe", "arguments": ["#1"]}},
            },
            "modes.event-driven.arguments.0",
        ),
        ("/api/v1/games", {"id": "x", "modes": {"": {"executable": "C:\\a.exe"}}}, "modes"),
    ],
)
def test_a_wrong_field_is_422_and_named(desk: Desk, path: str, body: Any, field: str) -> None:
    answer = desk.post(path, body)
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json["errors"]], answer.text


def test_a_misspelt_field_is_told_in_plain_words(desk: Desk) -> None:
    errors_told = desk.post("/start_game", {"gameID": "chess", "executemode": "process"}).json[
        "errors"
    ]
    told = {error["field"]: error["message"] for error in errors_told}
    assert told["excutemode"] == "is missing"
    assert told["executemode"] == "there is no such field: did you mean excutemode?"


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "said"),
    [
        ("POST", "/start_game", {"GameId": "chess"}, "GameId", "did you mean gameID?"),
        ("POST", "/start_game", {"mode": "process"}, "mode", "did you mean excutemode?"),
        (
            "POST",
            "/start_game",
            {"x": 1},
            "x",
            "; there are gameID, excutemode, configfile, playerip",
        ),
        ("POST", "/add_game", {"game_name": "x"}, "game_name", "did you mean gamename?"),
        (
            "POST",
            "/api/v1/games",
            {"id": "x", "modes": {"process": {"executible": "C:\\a.exe"}}},
            "modes.process.executible",
            "did you mean executable?",
        ),
        (
            "PUT",
            "/api/v1/games/chess",
            {"needs": {"memory": 1}},
            "needs.memory",
            "did you mean memory_mb?",
        ),
        ("GET", "/api/v1/sessions?stat=running", None, "stat", "did you mean state?"),
        ("GET", "/api/v1/servers/a/history?measures=cpu", None, "measures", "mean measure?"),
    ],
)
def test_a_field_that_is_not_known_is_told_with_the_one_that_was_meant(
    desk: Desk, method: str, path: str, body: Any, field: str, said: str
) -> None:
    answer = desk.call(method, path, **({} if body is None else {"json": body}))
    told = {error["field"]: error["message"] for error in answer.json["errors"]}
    assert told[field].startswith("there is no such field")
    assert said in told[field]


def test_what_is_no_json_is_told_where_and_what_to_send(desk: Desk) -> None:
    answer = desk.call(
        "POST", "/start_game", data=b"{'gameID': 'chess'}", content_type="application/json"
    )
    assert (answer.status_code, answer.json["code"]) == (400, "bad_json")
    assert "at line 1 column 2: " in answer.json["detail"]
    assert "double quotes around names" in answer.json["detail"]


def test_a_method_that_is_not_taken_is_told_with_those_that_are(desk: Desk) -> None:
    answer = desk.get("/start_game")
    assert answer.json["detail"] == "/start_game does not take GET: send POST"
    assert answer.json["gamestatus"] == "failed"
    several = desk.call("PATCH", "/api/v1/games/chess")
    assert several.json["detail"].endswith("send DELETE or GET or PUT")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b'{"a": NaN}', "content_type": "application/json"}, 400),
        ({"data": b"\xff", "content_type": "application/json"}, 400),
        ({"data": b"[" * 100_000, "content_type": "application/json"}, 400),
        ({"data": b"a=b", "content_type": "application/x-www-form-urlencoded"}, 415),
        ({"data": b"x" * (2**20 + 1), "content_type": "application/json"}, 413),
        ({"data": b"", "content_type": "application/json"}, 422),
        ({"data": b"null", "content_type": "application/json"}, 422),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    desk: Desk, options: dict[str, Any], status: int
) -> None:
    answer = desk.call("POST", "/start_game", **options)
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json["gamestatus"] == "failed"


def test_unknown_paths_methods_and_queries_are_problems(desk: Desk) -> None:
    assert desk.get("/nothing").json["code"] == "not_found"
    wrong = desk.call("DELETE", "/api/v1/games")
    assert (wrong.status_code, wrong.json["code"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["Allow"]
    query = desk.get("/api/v1/sessions?limit=0")
    assert (query.status_code, query.json["errors"][0]["field"]) == (422, "limit")
    assert desk.get("/api/v1/sessions/none").json["code"] == "unknown_session"
    assert desk.get("/api/v1/sessions?before=none").status_code == 404


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
_names = st.sampled_from(
    ["gameID", "excutemode", "configfile", "filename", "serverip", "pid", "session_id", "game",
     "mode", "config_file", "strategy", "id", "modes", "needs", "labels", "title"]
)  # fmt: skip
_values = _json | st.sampled_from(["chess", "process", "periodic", {"process": {}}, -1, 2**70])


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=st.sampled_from([_filled(r) for r in ROLES if r.startswith(("POST", "PUT"))]),
    body=st.dictionaries(_names, _values, max_size=5) | _json,
)
def test_nothing_that_can_be_sent_is_a_500(desk: Desk, path: tuple[str, str], body: Any) -> None:
    answer = desk.call(*path, json=body)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.content_type == "application/problem+json"
        assert answer.json["detail"]
