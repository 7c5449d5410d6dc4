"""Errors in the caller's words: the names that were sent, and what to write."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from orchestrator.api.listening import refusal_to_listen
from tests.unit.api.conftest import Desk

LAUNCH = {"executable": "C:\\a.exe"}
MODES = {"process": LAUNCH}


def told(desk: Desk, method: str, path: str, body: Any = None) -> dict[str, str]:
    answer = desk.call(method, path, **({} if body is None else {"json": body}))
    assert answer.status_code == 422, answer.text
    for error in answer.json["errors"]:
        assert f"{error['field']}: {error['message']}" in answer.json["detail"]
    return {error["field"]: error["message"] for error in answer.json["errors"]}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/add_game", {"gameID": "x y", "modes": MODES}, "gameID"),
        ("/add_game", {"gameID": "", "modes": MODES}, "gameID"),
        ("/add_game", {"modes": MODES}, "gameID"),
        ("/add_game", {"id": "x y", "modes": MODES}, "id"),
        ("/add_game", {"gameID": "x", "gamename": 5, "modes": MODES}, "gamename"),
        ("/add_game", {"gameID": "x", "title": 5, "modes": MODES}, "title"),
        ("/api/v1/games", {"modes": MODES}, "id"),
        ("/start_game", {"gameID": "chess", "excutemode": "process", "game": "x"}, "game"),
    ],
)
def test_a_field_is_told_by_the_name_that_was_sent(
    desk: Desk, path: str, body: Any, field: str
) -> None:
    assert list(told(desk, "POST", path, body)) == [field]


def test_an_id_is_told_which_letters_it_may_have(desk: Desk) -> None:
    assert (
        "A-Z, a-z, 0-9"
        in told(desk, "POST", "/add_game", {"gameID": "x y", "modes": MODES})["gameID"]
    )


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/v1/sessions?state=x&state=running", "state"),
        ("/api/v1/sessions?limit=0", "limit"),
        ("/api/v1/servers/a/history?measure=cpu&measure=x", "measure"),
    ],
)
def test_a_querys_values_have_no_numbers(desk: Desk, path: str, field: str) -> None:
    assert list(told(desk, "GET", path)) == [field]


@pytest.mark.parametrize(
    ("launch", "field", "said"),
    [
        ({}, "executable", "is missing"),
        (
            {"executable": ""},
            "executable",
            r"must not be empty: write a path such as C:\Games\game",
        ),
        ({**LAUNCH, "arguments": "-x"}, "arguments", 'must be a list, such as ["one", "two"]'),
        ({**LAUNCH, "arguments": ["a", 1]}, "arguments.1", "must be text"),
        ({**LAUNCH, "environment": []}, "environment", "must be an object, such as"),
        ({**LAUNCH, "ready_timeout": 1000}, "ready_timeout", "must be at most 600"),
        ({**LAUNCH, "ready": "soon"}, "ready", "must be one of 'port' or 'process'"),
        ({**LAUNCH, "elevated": "maybe"}, "elevated", "must be true or false"),
        ({**LAUNCH, "working_directory": ""}, "working_directory", r"such as C:\Games\Chess"),
        ({**LAUNCH, "working_directory": "games"}, "working_directory", r"such as C:\Games\Chess"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(
    desk: Desk, launch: Any, field: str, said: str
) -> None:
    found = told(desk, "POST", "/api/v1/games", {"id": "x", "modes": {"process": launch}})
    (message,) = [text for name, text in found.items() if name == f"modes.process.{field}"]
    assert said in message
    assert not message.endswith(".exe") or field == "executable"


def test_a_game_without_modes_is_told_how_one_is_written(desk: Desk) -> None:
    found = told(desk, "POST", "/api/v1/games", {"id": "x", "modes": {}})
    assert found["modes"].startswith('name at least one, such as {"process": {"executable"')


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EADDRNOTAVAIL, "choose another --host"), (errno.EADDRINUSE, "choose another --port")],
)
def test_an_address_that_is_not_this_machines_is_no_matter_of_the_port(
    number: int, said: str
) -> None:
    message = refusal_to_listen("192.0.2.77", 5000, OSError(number, os.strerror(number)))
    assert message.startswith("cannot listen on 192.0.2.77:5000: ")
    assert said in message


def test_every_body_ends_with_a_newline(desk: Desk) -> None:
    for path in ("/api/v1/games", "/api/v1/games/none", "/nowhere", "/healthz", "/openapi.json"):
        assert desk.get(path).get_data().endswith(b"}\n"), path


def test_a_name_that_is_written_twice_is_refused_and_named(desk: Desk) -> None:
    body = b'{"gameID": "chess", "excutemode": "process", "gameID": "go"}'
    answer = desk.call("POST", "/start_game", data=body, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json["errors"] == [{"field": "gameID", "message": "is here twice: send it once"}]


def test_true_is_no_number(desk: Desk) -> None:
    ended = told(desk, "POST", "/end_game", {"serverip": "192.0.2.1", "pid": True})
    assert ended == {"pid": "must be a number"}
    launch = {"executable": r"C:\g.exe", "ready_timeout": True}
    game = {"id": "x", "modes": {"process": launch}, "needs": {"cpu": True, "memory_mb": False}}
    added = told(desk, "POST", "/api/v1/games", {**game, "limits": {"duration": True}})
    assert set(added) == {
        "modes.process.ready_timeout",
        "needs.cpu",
        "needs.memory_mb",
        "limits.duration",
    }


def test_a_field_that_is_there_by_both_of_its_names_is_not_called_unknown(desk: Desk) -> None:
    game = {"id": "x", "gameID": "y", "modes": {"process": {"executable": r"C:\g.exe"}}}
    found = told(desk, "POST", "/add_game", game)
    assert found == {
        "gameID": "names a field that is here by its other name, too: send one of the two"
    }
