"""The portal starts a game on a Windows server over WinRM, and ends it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.lab import Fault, FaultKind
from tests.e2e_house import House

START = {"gameID": "supertux", "excutemode": "event-driven", "configfile": "supertux.conf"}


def test_the_portal_starts_a_game_and_ends_it(house: House) -> None:
    started = house.post("/start_game", START)
    assert started.status_code == 200, started.text
    body = started.json()
    assert body["gamestatus"] == "running"
    assert body["rtsp_url"] == f"rtsp://{body['IP']}:{body['rtsp_port']}/desktop"
    assert {"PID", "session_id", "control_port", "control_proto"} <= set(body)
    assert len(house.games()) == 1

    ended = house.post(
        "/end_game",
        {"filename": "supertux2.exe", "serverip": body["IP"], "pid": body["PID"]},
    )
    assert ended.json() == {
        "gamestatus": "ended",
        "session_id": body["session_id"],
        "detail": None,
    }
    assert house.games() == []


def test_a_start_whose_answer_is_lost_is_one_process_and_reconcile_finds_it(house: House) -> None:
    for server in house.lab.servers:
        server.faults.add(Fault("Receive", FaultKind.DROP_AFTER, times=2))
    started = house.post("/start_game", START)
    assert started.status_code == 202, started.text
    assert started.json()["gamestatus"] == "starting"
    session_id = started.json()["session_id"]

    (settled,) = house.broker.reconcile()

    assert (settled.session_id, settled.after.value) == (session_id, "running")
    (image,) = house.games()
    session = house.get(f"/api/v1/sessions/{session_id}").json()
    (process,) = [
        p for computer in house.lab.computers for p in computer.processes() if p.image == image
    ]
    assert session["state"] == "running"
    assert session["process"]["pid"] == process.pid
    assert house.broker.reconcile() == []


def test_ending_a_session_whose_pid_is_another_process_now_ends_nothing_and_says_so(
    house: House,
) -> None:
    body = house.post("/start_game", START).json()
    (computer,) = [c for c in house.lab.computers if c.process(body["PID"]) and c.tasks]
    other = computer.reuse_pid(body["PID"], r"C:\Windows\notepad.exe")

    ended = house.post(
        "/end_game", {"filename": "", "serverip": body["IP"], "pid": body["PID"]}
    ).json()

    assert ended["gamestatus"] == "ended"
    assert "notepad.exe" in ended["detail"]
    assert "nothing was ended" in ended["detail"]
    assert other.alive


def test_the_same_idempotency_key_starts_one_game(house: House) -> None:
    body = {"game": "supertux", "mode": "event-driven"}
    first = house.post("/api/v1/sessions", body, **{"Idempotency-Key": "k-1"})
    again = house.post("/api/v1/sessions", body, **{"Idempotency-Key": "k-1"})
    assert first.status_code == again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert len(house.games()) == 1
    other = house.post(
        "/api/v1/sessions", {**body, "mode": "periodic"}, **{"Idempotency-Key": "k-1"}
    )
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


def test_more_parallel_starts_than_slots_fill_each_slot_once(house: House) -> None:
    body = {"game": "supertux", "mode": "event-driven"}
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: house.post("/api/v1/sessions", body), range(40)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: 14, 429: 26}, [
        a.text for a in answers if a.status_code not in (201, 429)
    ]
    assert len(house.games()) == 14
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Retry-After"] == "10"
    assert len(refused.json()["reasons"]) == 3


def test_a_dead_server_fails_its_session_and_the_next_start_goes_elsewhere(house: House) -> None:
    best = house.lab.servers[2]
    best.stop()
    first = house.post("/start_game", START)
    assert first.status_code == 502
    assert first.json()["code"] == "server_unreachable"
    assert first.json()["gamestatus"] == "failed"
    assert house.post("/start_game", START).status_code == 200


def test_strangers_at_the_first_ports_of_every_server_cost_no_session(house: House) -> None:
    with house.broker.units() as uow:
        first = {record.server.name: record.server.ports.first for record in uow.servers.list()}
    for computer, port in zip(house.lab.computers, first.values(), strict=True):
        stranger = computer.spawn(
            r"C:\Tools\httpd.exe", "httpd", parent_pid=4, session_id=0, owner="SYSTEM"
        )
        with computer.look():
            computer.listeners[port] = stranger.pid

    sessions = [
        house.post("/api/v1/sessions", {"game": "supertux", "mode": "event-driven"}).json()
        for _ in range(6)
    ]

    assert [session["state"] for session in sessions] == ["running"] * 6
    refused = [
        event
        for event in house.get("/api/v1/events").json()["events"]
        if event["kind"] == "port_refused"
    ]
    # A server tells of it once, and then it is remembered.
    used = {session["server"] for session in sessions}
    assert sorted(event["server"] for event in refused) == sorted(used)
    for event in refused:
        assert event["data"] == {"port": first[event["server"]]}
        assert f"port {first[event['server']]} already" in event["message"]
        assert event["session"] in {session["id"] for session in sessions}
    for session in sessions:
        assert session["rtsp_url"].endswith(f":{session['rtsp_port']}/desktop")
    with house.broker.units() as uow:
        held = {h.session_id: h.ports.stream for h in uow.sessions.holdings()}
    assert held == {session["id"]: session["rtsp_port"] for session in sessions}
    listening = {port for computer in house.lab.computers for port in computer.listeners}
    assert set(held.values()) <= listening
    assert not set(held.values()) & set(first.values())


@pytest.mark.timeout(280)
def test_1000_starts_and_ends_leave_nothing_over(house: House, tmp_path: Path) -> None:
    modes = [("supertux", "event-driven"), ("freeciv", "process"), ("neverball", "periodic")]

    def once(number: int) -> str:
        game, mode = modes[number % 3 if number % 10 == 0 else number % 2]
        while True:
            started = house.post("/api/v1/sessions", {"game": game, "mode": mode})
            if started.status_code != 429:
                break
        assert started.status_code == 201, started.text
        session_id = started.json()["id"]
        ended = house.post(f"/api/v1/sessions/{session_id}/end", {})
        assert ended.status_code == 200, ended.text
        return str(ended.json()["state"])

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(once, range(1000))) == {"ended": 1000}

    assert all(server.open_connections <= 8 + 1 for server in house.lab.servers)
    house.broker.gateway.close()
    assert house.games() == []
    for computer, server in zip(house.lab.computers, house.lab.servers, strict=True):
        assert computer.tasks == {}
        assert computer.listeners == {}
        assert computer.files.listing(r"C:\ProgramData\Orchestrator") == []
        names = list(computer.files.listing(r"C:\GamingAnywhere\config"))
        assert len(names) == 2
        assert server.open_shells == []
        assert sorted(p.name for p in computer.processes()) == [
            "System",
            "explorer.exe",
            "svchost.exe",
        ]
    with house.broker.units() as uow:
        assert uow.sessions.active() == []
    assert len(house.broker.in_flight) == 0
