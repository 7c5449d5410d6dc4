"""Whole launches: our scripts on a real PowerShell, Windows' cmdlets standing in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from windows_standin import TICKS, UNIX_EPOCH_TICKS, Answer, Windows

pytestmark = pytest.mark.pwsh

GAME = r"C:\Games\Neverball\neverball.exe"
BIN = r"C:\GamingAnywhere\bin"
CONFIG = r"C:\GamingAnywhere\config\neverball.conf"
RECORD = r"C:\ProgramData\Orchestrator\s-1.json"
PORT = 8554


@pytest.fixture
def game(windows: Windows) -> Windows:
    """A server with a game, GamingAnywhere and a config without a line end."""
    windows.program(GAME)
    windows.program(BIN + r"\ga-server-periodic.exe", port="config")
    windows.program(
        BIN + r"\ga-server-event-driven.exe",
        lives=0.3,
        child="config",
        port="config",
        port_owner="child",
        port_after=0.5,
    )
    windows.file(CONFIG, f"include = common/video.conf\ngame-exe = {GAME}\nserver-port = 1")
    return windows


def start(windows: Windows, mode: str = "process", **changes: Any) -> Answer:
    return windows.call("Start-Game", **order(mode, **changes))


def order(mode: str, **changes: Any) -> dict[str, Any]:
    parameters = {
        "SessionId": "s-1",
        "Mode": mode,
        "Executable": GAME,
        "StreamPort": PORT,
        "ControlPort": 8555,
        "ReadyTimeoutSec": 20,
    }
    if mode == "process":
        parameters["Ready"] = "process"
    else:
        parameters |= {"GaDirectory": BIN, "ConfigPath": CONFIG}
    return parameters | changes


def stop(windows: Windows, launch: dict[str, Any] | None = None, **changes: Any) -> Answer:
    parameters: dict[str, Any] = {"SessionId": "s-1", "GraceSec": 0}
    if launch is not None:
        parameters |= {
            "ProcessId": launch["pid"],
            "CreatedAt": launch["created_at"],
            "Image": launch["image"],
        }
    return windows.call("Stop-Game", **parameters | changes)


def found(windows: Windows) -> list[dict[str, Any]]:
    launches: list[dict[str, Any]] = windows.call("Get-Launch").data["launches"]
    return launches


def created(process: dict[str, Any]) -> datetime:
    microseconds = (process["created"] - UNIX_EPOCH_TICKS) / (TICKS / 1_000_000)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def assert_nothing_left(windows: Windows) -> None:
    assert windows.tasks() == []
    assert windows.files() - {CONFIG} == set()
    assert windows.processes("neverball.exe") == []
    assert windows.processes("ga-server-periodic.exe") == []


def test_a_process_is_started_found_and_kept(game: Windows) -> None:
    answer = start(game, Arguments=["-data", r"C:\my games\\", 'say "hi"', "遊戲"])
    (process,) = game.processes("neverball.exe")
    data = answer.data
    assert answer.envelope["changed"] is True
    assert answer.envelope["warnings"] == []
    assert (data["session_id"], data["pid"], data["image"]) == ("s-1", process["pid"], GAME)
    assert data["desktop_user"] == "GAME01\\player"
    assert data["windows_session"] == 1
    assert data["task"] == r"\Orchestrator\s-1"
    assert data["companions"] == []
    assert data["created_at"].endswith("Z")
    told = datetime.fromisoformat(data["created_at"][:26] + "+00:00")
    assert abs(told - created(process)) < timedelta(milliseconds=1)
    (task,) = game.read()["tasks"]
    assert task["execute"] == GAME
    assert task["argument"] == r'-data "C:\my games\\\\" "say \"hi\"" 遊戲'
    assert task["directory"] == r"C:\Games\Neverball"
    assert (task["user"], task["level"]) == ("GAME01\\player", "Limited")
    settings = task["settings"]
    assert settings["Priority"] == 4
    assert settings["ExecutionTimeLimit"] == "PT0S"
    assert settings["MultipleInstances"] == "IgnoreNew"
    assert not settings["DisallowStartIfOnBatteries"]
    assert not settings["StopIfGoingOnBatteries"]
    assert not settings["StopOnIdleEnd"]


def test_periodic_starts_the_game_then_the_server(game: Windows) -> None:
    answer = start(game, "periodic", Elevated=True)
    (server,) = game.processes("ga-server-periodic.exe")
    (process,) = game.processes("neverball.exe")
    assert answer.data["pid"] == server["pid"]
    assert answer.data["image"] == BIN + r"\ga-server-periodic.exe"
    assert [c["pid"] for c in answer.data["companions"]] == [process["pid"]]
    assert server["created"] > process["created"]
    copy = r"C:\GamingAnywhere\config\neverball.s-1.conf"
    assert game.at(copy).read_text("ascii").splitlines()[2:] == [
        "server-port = 1",
        "# session s-1",
        "server-port = 8554",
        "control-port = 8555",
        r"logfile = C:\ProgramData\Orchestrator\s-1.log",
    ]
    assert sorted(game.tasks()) == [r"\Orchestrator\s-1", r"\Orchestrator\s-1.game"]
    assert {task["level"] for task in game.read()["tasks"]} == {"Highest"}
    (launch,) = found(game)
    assert (launch["state"], launch["pid"]) == ("running", server["pid"])
    assert [c["pid"] for c in launch["companions"]] == [process["pid"]]
    ended = stop(game, answer.data)
    assert ended.data["how"] == "forced"
    assert [e["pid"] for e in ended.data["ended"]] == [server["pid"], process["pid"]]
    assert_nothing_left(game)


def test_periodic_tries_again_while_the_window_is_not_there(game: Windows) -> None:
    game.program(BIN + r"\ga-server-periodic.exe", lives=0.1)
    call = game.begin_call("Start-Game", order("periodic"))
    game.wait_until(lambda state: state["calls"].count("Start-ScheduledTask") >= 3)
    game.program(BIN + r"\ga-server-periodic.exe", port="config")
    answer = game.end(call)
    assert answer.data["image"].endswith("ga-server-periodic.exe")
    assert len(game.processes("neverball.exe")) == 1


def test_event_driven_finds_the_game_and_not_the_launcher(game: Windows) -> None:
    answer = start(
        game,
        "event-driven",
        Arguments=['a "b"'],
        Environment=[{"name": "SKIN", "value": "blue"}],
        WorkingDirectory=r"C:\Games",
    )
    (process,) = game.processes("neverball.exe")
    assert (answer.data["pid"], answer.data["image"]) == (process["pid"], GAME)
    (task,) = game.read()["tasks"]
    assert task["execute"] == BIN + r"\ga-server-event-driven.exe"
    assert task["argument"] == r"C:\GamingAnywhere\config\neverball.s-1.conf"
    assert task["directory"] == BIN
    copy = game.at(r"C:\GamingAnywhere\config\neverball.s-1.conf").read_text("ascii")
    assert copy.splitlines()[-4:] == [
        r"game-dir = C:\Games",
        "game-argv = none",
        r"game-argv[001] = a \"b\"",
        "game-env[session001] = SKIN=blue",
    ]
    assert stop(game, answer.data).data["how"] == "forced"
    assert_nothing_left(game)


def test_a_launcher_hands_over_to_what_it_started(game: Windows) -> None:
    launcher = game.program(r"C:\Games\launcher.exe", lives=0.6, child=GAME)
    answer = start(game, Executable=launcher)
    (process,) = game.processes("neverball.exe")
    assert (answer.data["pid"], answer.data["image"]) == (process["pid"], GAME)
    (launch,) = found(game)
    assert launch["state"] == "running"
    assert stop(game).data["ended"] == [{"pid": process["pid"], "image": GAME}]
    assert_nothing_left(game)


def test_environment_reaches_the_game(game: Windows) -> None:
    variables = [{"name": "SKIN", "value": 'it\'s "藍" & $x'}, {"name": "A_B", "value": "1"}]
    answer = start(game, Environment=variables, Arguments=["a b"])
    (process,) = game.processes("neverball.exe")
    assert answer.data["pid"] == process["pid"]
    assert process["environment"] == {v["name"]: v["value"] for v in variables}
    assert process["command_line"] == f'"{GAME}" "a b"'
    assert stop(game, answer.data).data["how"] == "forced"
    assert_nothing_left(game)


def test_a_second_start_returns_the_first_launch(game: Windows) -> None:
    first = start(game, "periodic").data
    second = start(game, "periodic")
    assert second.envelope["changed"] is False
    assert second.data == first
    assert len(game.processes("neverball.exe")) == 1
    assert len(game.processes("ga-server-periodic.exe")) == 1


def test_two_starts_at_once_are_one_launch(game: Windows) -> None:
    calls = [game.begin_call("Start-Game", order("event-driven")) for _ in range(2)]
    answers = [game.end(call) for call in calls]
    assert answers[0].data["pid"] == answers[1].data["pid"]
    assert sorted(a.envelope["changed"] for a in answers) == [False, True]
    assert len(game.processes("neverball.exe")) == 1


def test_two_sessions_of_a_game_are_told_apart(game: Windows) -> None:
    calls = [game.begin_call("Start-Game", order("process", SessionId=s)) for s in ("s-1", "s-2")]
    answers = [game.end(call).data for call in calls]
    pids = {p["pid"] for p in game.processes("neverball.exe")}
    assert {a["pid"] for a in answers} == pids
    assert len(pids) == 2
    stop(game, answers[0])
    assert [p["pid"] for p in game.processes("neverball.exe")] == [answers[1]["pid"]]


def test_a_game_that_runs_already_is_not_taken_for_ours(game: Windows) -> None:
    game.add_process(3000, GAME)
    answer = start(game)
    assert answer.data["pid"] != 3000
    assert len(game.processes("neverball.exe")) == 2
    stop(game, answer.data)
    assert [p["pid"] for p in game.processes("neverball.exe")] == [3000]


def test_a_session_whose_process_ended_is_not_started_again(game: Windows) -> None:
    game.program(GAME, lives=6)
    start(game)
    game.wait_until(lambda _: not game.processes("neverball.exe"))
    assert start(game).code == "launch_ended"
    assert found(game)[0]["state"] == "gone"
    again = stop(game)
    assert (again.data["how"], again.data["ended"]) == ("already_gone", [])
    assert again.envelope["changed"] is True
    assert_nothing_left(game)


def test_a_start_that_was_cut_off_is_found_and_resumed(game: Windows) -> None:
    call = game.begin_call("Start-Game", order("process", ReadyTimeoutSec=30))
    game.wait_until(lambda _: len(game.processes("neverball.exe")) == 1)
    call.kill()
    call.wait()
    game.close(call)
    (process,) = game.processes("neverball.exe")
    game.wait_until(lambda _: game.now() - process["created"] > 2 * TICKS)
    (launch,) = found(game)
    assert (launch["state"], launch["pid"]) == ("running", process["pid"])
    resumed = start(game)
    assert (resumed.data["pid"], resumed.envelope["changed"]) == (process["pid"], False)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Executable": r"C:\Games\none.exe"}, "executable_missing"),
        ({"WorkingDirectory": r"C:\None"}, "working_directory_missing"),
        ({"GaDirectory": r"C:\None"}, "ga_missing"),
        ({"ConfigPath": r"C:\GamingAnywhere\config\none.conf"}, "config_missing"),
        ({"ConfigPath": "none.conf"}, "bad_parameter"),
        ({"StreamPort": 0}, "bad_parameter"),
        ({"StreamPort": 70000}, "bad_parameter"),
        ({"Mode": "sunshine"}, "bad_parameter"),
        ({"PlayerAddress": "player.example"}, "bad_parameter"),
        ({"SessionId": "../x"}, "bad_parameter"),
        ({"Environment": [{"name": "A=B", "value": "c"}]}, "bad_parameter"),
        ({"Mode": "event-driven", "Arguments": ["a#b"]}, "bad_parameter"),
        ({"Fullscreen": True}, "bad_parameter"),
    ],
)
def test_what_cannot_be_started_says_why_and_changes_nothing(
    game: Windows, changes: dict[str, Any], code: str
) -> None:
    assert start(game, "periodic", **changes).code == code
    assert_nothing_left(game)


def test_nobody_at_the_desktop_is_said(game: Windows) -> None:
    others = [p for p in game.read()["processes"] if p["name"] != "explorer.exe"]
    game.change(processes=others, user=None, console_user=None)
    assert start(game).code == "desktop_missing"
    assert_nothing_left(game)


def test_the_desktop_is_found_where_owners_are_not_told(game: Windows) -> None:
    game.change(denied=["Invoke-CimMethod"])
    assert start(game).data["desktop_user"] == "GAME01\\player"


def test_a_locked_desktop_is_known_by_its_logon_screen(game: Windows) -> None:
    game.add_process(1300, r"C:\Windows\System32\LogonUI.exe")
    assert start(game).code == "desktop_locked"
    game.change(desktop={"connection": "active", "locked": False})
    assert start(game).envelope["ok"]


def test_a_port_in_use_is_said(game: Windows) -> None:
    game.add_process(3000, r"C:\Other\other.exe")
    game.change(listeners=[{"port": PORT, "pid": 3000, "opens": 0}])
    answer = start(game, "periodic")
    assert answer.code == "port_in_use"
    assert r"C:\Other\other.exe (PID 3000)" in answer.error["message"]
    assert_nothing_left(game)


@pytest.mark.parametrize("mode", ["periodic", "event-driven"])
def test_a_port_that_never_opens_undoes_the_start(game: Windows, mode: str) -> None:
    game.program(BIN + r"\ga-server-periodic.exe")
    game.program(BIN + r"\ga-server-event-driven.exe", lives=0.3, child="config")
    answer = start(game, mode, ReadyTimeoutSec=3)
    assert answer.code == "not_ready"
    assert_nothing_left(game)


@pytest.mark.parametrize("lives", [0, 0.6])
def test_a_process_that_ends_at_once_is_a_failed_launch(game: Windows, lives: float) -> None:
    game.program(GAME, lives=lives)
    answer = start(game)
    assert answer.code == "launch_failed"
    assert "neverball.exe" in answer.error["message"]
    assert_nothing_left(game)


def test_a_server_that_never_stays_is_a_failed_launch(game: Windows) -> None:
    game.program(BIN + r"\ga-server-periodic.exe", lives=0.1)
    game.file(r"C:\ProgramData\Orchestrator\s-1.log", "no window named Neverball\n")
    answer = start(game, "periodic", ReadyTimeoutSec=4)
    assert answer.code == "launch_failed"
    assert "no window named Neverball" in answer.error["message"]
    assert_nothing_left(game)


@pytest.mark.parametrize("command", ["Register-ScheduledTask", "Start-ScheduledTask"])
def test_a_task_that_is_refused_is_said(game: Windows, command: str) -> None:
    game.change(denied=[command])
    answer = start(game, "periodic")
    assert answer.code == "task_refused"
    assert "Access is denied" in answer.error["message"]
    assert_nothing_left(game)


def test_a_record_that_cannot_be_written_is_a_warning(game: Windows) -> None:
    game.file(r"C:\ProgramData\Orchestrator", "a file where the folder should be")
    answer = start(game, "event-driven")
    (warning,) = answer.envelope["warnings"]
    assert "record" in warning
    (launch,) = found(game)
    assert (launch["state"], launch["pid"]) == ("running", answer.data["pid"])
    assert stop(game).data["ended"] == [{"pid": answer.data["pid"], "image": GAME}]
    assert game.tasks() == []
    assert game.processes("neverball.exe") == []


def test_a_process_whose_path_is_not_told_is_known_by_its_name(game: Windows) -> None:
    game.program(GAME, hidden=True)
    answer = start(game)
    assert answer.data["image"] == "neverball.exe"
    assert stop(game, answer.data).data["how"] == "forced"
    assert_nothing_left(game)


def test_a_window_that_closes_is_a_graceful_end(game: Windows) -> None:
    game.program(GAME, closes=True)
    launch = start(game).data
    answer = stop(game, launch, GraceSec=10)
    assert answer.data["how"] == "graceful"
    assert answer.data["ended"] == [{"pid": launch["pid"], "image": GAME}]
    assert not [c for c in game.read()["calls"] if c.startswith("Stop-Process")]
    assert_nothing_left(game)


def test_a_window_that_does_not_close_is_ended_by_force(game: Windows) -> None:
    launch = start(game).data
    answer = stop(game, launch, GraceSec=1)
    assert answer.data["how"] == "forced"
    assert_nothing_left(game)
    again = stop(game, launch)
    assert again.data == {"session_id": "s-1", "how": "already_gone", "ended": []}
    assert again.envelope["changed"] is False


def test_children_end_before_their_parents(game: Windows) -> None:
    game.program(r"C:\Games\helper.exe")
    game.program(GAME, child=r"C:\Games\helper.exe")
    launch = start(game).data
    assert [c["image"] for c in launch["companions"]] == [r"C:\Games\helper.exe"]
    stop(game, launch)
    kills = [c for c in game.read()["calls"] if c.startswith("Stop-Process")]
    assert kills == [
        f"Stop-Process {launch['companions'][0]['pid']}",
        f"Stop-Process {launch['pid']}",
    ]
    assert_nothing_left(game)


@pytest.mark.parametrize("what", ["created", "image"])
def test_a_reused_pid_is_not_ended(game: Windows, what: str) -> None:
    launch = start(game).data
    with game.edit() as state:
        process = next(p for p in state["processes"] if p["pid"] == launch["pid"])
        if what == "created":
            process["created"] += TICKS
        else:
            process |= {"path": r"C:\Windows\notepad.exe", "name": "notepad.exe"}
    answer = stop(game, launch, GraceSec=5)
    assert answer.code == "identity_mismatch"
    assert not [c for c in game.read()["calls"] if c.startswith("Stop-Process")]
    assert len(game.processes(process["name"])) == 1
    assert game.tasks() == []
    assert game.files() == {CONFIG}
    assert stop(game).data["how"] == "already_gone"


def test_a_wrong_identity_leaves_a_living_session_alone(game: Windows) -> None:
    launch = start(game).data
    wrong = launch | {"created_at": "2001-01-01T00:00:00Z"}
    assert stop(game, wrong).code == "identity_mismatch"
    assert len(game.processes("neverball.exe")) == 1
    assert found(game)[0]["state"] == "running"
    near = launch | {"created_at": launch["created_at"][:23] + "Z", "image": "NEVERBALL.EXE"}
    assert stop(game, near).data["how"] == "forced"
    assert_nothing_left(game)


def test_a_process_that_survives_is_said(game: Windows) -> None:
    game.program(GAME, immortal=True)
    launch = start(game).data
    answer = stop(game, launch)
    assert answer.code == "stop_failed"
    assert f"neverball.exe (PID {launch['pid']})" in answer.error["message"]
    assert game.tasks() == [r"\Orchestrator\s-1"]


def test_two_of_the_three_are_not_enough(game: Windows) -> None:
    assert stop(game, ProcessId=5, Image="x.exe").code == "bad_parameter"


def test_an_unknown_session_is_already_gone(game: Windows) -> None:
    answer = stop(game)
    assert answer.data["how"] == "already_gone"
    assert answer.envelope["changed"] is False
    assert found(game) == []


def test_tasks_that_may_not_be_read_are_said(game: Windows) -> None:
    game.change(denied=["Get-ScheduledTask"])
    assert game.call("Get-Launch").code == "access_denied"


def test_a_scheduler_that_is_away_has_not_lost_its_tasks(game: Windows) -> None:
    launch = start(game).data
    game.change(denied=["Schedule"])
    answer = game.call("Get-Launch")
    assert answer.code == "task_refused"
    assert "the task scheduler does not answer" in answer.error["message"]
    assert stop(game, launch).code == "task_refused"
    assert len(game.processes("neverball.exe")) == 1


def test_whatif_changes_nothing(game: Windows) -> None:
    answer = start(game, WhatIf=True)
    assert (answer.envelope["changed"], answer.data["pid"]) == (False, None)
    assert_nothing_left(game)
    launch = start(game).data
    assert stop(game, launch, WhatIf=True).envelope["changed"] is False
    assert len(game.processes("neverball.exe")) == 1
    assert game.tasks() == [r"\Orchestrator\s-1"]
