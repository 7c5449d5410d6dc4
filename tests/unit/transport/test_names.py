"""Names are resolved in bounded time, whatever the system's resolver does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.domain.errors import ServerUnreachable
from orchestrator.domain.server import Connection
from orchestrator.transport import names
from orchestrator.transport.faults import Sent, diagnose
from orchestrator.transport.names import NoNameServer, addresses
from orchestrator.transport.wire import ConnectTimeout, Wire

LONG = 30.0
FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 5985))]


class SilentNameServer:
    """The system's resolver while no name server answers, until ``answer``."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.questions = 0
        self._answers = threading.Event()

    def getaddrinfo(self, host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
        if options["flags"] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "it is no address")
        self.questions += 1
        self.asked.release()
        assert self._answers.wait(LONG)
        return FOUND

    def answer(self) -> None:
        self._answers.set()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentNameServer]:
    server = SilentNameServer()
    monkeypatch.setattr(names.socket, "getaddrinfo", server.getaddrinfo)
    yield server
    server.answer()
    for thread in threading.enumerate():
        if thread.name == "resolver":
            thread.join(LONG)


def _connection(host: str) -> Connection:
    return Connection(host, 5985, "http", "ntlm", "user", "password")


def test_a_silent_name_server_holds_nobody_longer_than_his_limit(silent: SilentNameServer) -> None:
    with pytest.raises(
        ConnectTimeout, match=r"tpe-01\.games\.example cannot be resolved"
    ) as caught:
        Wire(_connection("tpe-01.games.example")).connect(0.05)

    failed = diagnose(caught.value, deadline_passed=True)
    assert (failed.kind, failed.sent) == (ServerUnreachable, Sent.NO)


def test_a_call_that_waits_for_a_name_can_be_cut_off(silent: SilentNameServer) -> None:
    wire = Wire(_connection("tpe-01.games.example"))
    errors: list[Exception] = []

    def connect() -> None:
        try:
            wire.connect(LONG)
        except ConnectTimeout as error:
            errors.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    assert silent.asked.acquire(timeout=LONG)
    wire.shut_down()
    thread.join(LONG / 2)

    assert not thread.is_alive()
    assert len(errors) == 1


def test_however_many_ask_for_a_name_one_question_is_under_way(silent: SilentNameServer) -> None:
    for _ in range(5):
        with pytest.raises(NoNameServer):
            addresses("one.example", 5985, time.monotonic())
    with pytest.raises(NoNameServer):
        addresses("two.example", 5985, time.monotonic())
    assert silent.asked.acquire(timeout=LONG)
    assert silent.asked.acquire(timeout=LONG)
    assert silent.questions == 2

    silent.answer()

    assert addresses("one.example", 5985, time.monotonic() + LONG) == [
        (socket.AF_INET, socket.SOCK_STREAM, 6, ("192.0.2.1", 5985))
    ]


def test_an_address_asks_nobody() -> None:
    before = threading.active_count()
    (found,) = addresses("192.0.2.7", 5985, time.monotonic())
    assert found[3] == ("192.0.2.7", 5985)
    assert addresses("2001:db8::7", 5986, time.monotonic())[0][0] == socket.AF_INET6
    assert threading.active_count() == before


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a..b", "x" * 70])
def test_what_no_name_server_knows_is_told(host: str) -> None:
    with pytest.raises(OSError) as caught:
        addresses(host, 5985, time.monotonic() + LONG)
    assert isinstance(caught.value, socket.gaierror)
