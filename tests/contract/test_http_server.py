"""The HTTP server: where it listens, what it refuses, beside a thousand kept connections."""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask, request

from orchestrator.api import HttpServer
from orchestrator.api.app import MAX_BODY
from orchestrator.api.listening import CannotListen

FIRST_THAT_SELECT_CANNOT = 1024


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FIRST_THAT_SELECT_CANNOT + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip("this system allows too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    opened: list[int] = []
    while not opened or opened[-1] <= FIRST_THAT_SELECT_CANNOT:
        opened.append(os.open(os.devnull, os.O_RDONLY))
    yield
    for each in opened:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_requests_are_answered_where_a_fleet_has_taken_the_low_descriptors() -> None:
    app = Flask("app")
    app.add_url_rule("/", view_func=lambda: "there")
    server = HttpServer(app, "127.0.0.1", 0, threads=1)
    server.start()
    try:
        with requests.Session() as http:
            http.trust_env = False
            for _ in range(2):
                assert http.get(f"http://127.0.0.1:{server.port}/", timeout=20).text == "there"
    finally:
        assert server.stop(5)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    app = Flask("app")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.add_url_rule("/", view_func=lambda: request.get_data() or "there", methods=["GET", "POST"])
    made = HttpServer(app, "127.0.0.1", 0, threads=2)
    made.start()
    yield made
    assert made.stop(5)


def _raw_answer(port: int, sent: bytes) -> tuple[bytes, dict[str, Any]]:
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        line.settimeout(20)
        line.sendall(sent)
        with line.makefile("rb") as read:
            head, _, body = read.read().partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return head.split(b"\r\n")[0], json.loads(body)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GARBAGE\r\n\r\n", b"400", "bad_request"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400", "bad_request"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", b"400", "bad_request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", b"413", "too_large"),
    ],
)
def test_what_is_refused_before_it_is_a_request_is_a_problem_too(
    server: HttpServer, sent: bytes, status: bytes, code: str
) -> None:
    line, problem = _raw_answer(server.port, sent)

    assert status in line
    assert (problem["code"], problem["status"]) == (code, int(status))
    assert problem["type"] == f"urn:orchestrator:{code}"
    assert problem["instance"]
    assert problem["detail"]


def test_a_client_that_sends_too_much_gets_its_answer_and_keeps_its_connection(
    server: HttpServer,
) -> None:
    with requests.Session() as http:
        http.trust_env = False
        url = f"http://127.0.0.1:{server.port}/"
        assert http.post(url, data=b"x" * (3 * MAX_BODY), timeout=20).status_code == 413
        assert http.get(url, timeout=20).text == "there"


def test_a_name_with_several_addresses_is_listened_for_at_each_that_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def localhost(_: str, port: int, *__: object, **___: object) -> list[tuple[Any, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.1", "192.0.2.1", "127.0.0.2")
        ]

    app = Flask("app")
    app.add_url_rule("/", view_func=lambda: "there")
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", localhost)
        server = HttpServer(app, "localhost", 0, threads=1)
    server.start()
    with requests.Session() as http:
        http.trust_env = False
        for address in ("127.0.0.1", "127.0.0.2"):
            assert http.get(f"http://{address}:{server.port}/", timeout=20).text == "there"
    assert server.stop(5)
    for address in ("127.0.0.1", "127.0.0.2"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, server.port), 5)


@pytest.mark.parametrize("host", ["", " ", "a..b", "no-such-name.invalid"])
def test_a_name_without_an_address_cannot_be_listened_on(host: str) -> None:
    with pytest.raises(CannotListen, match="names no address to listen on"):
        HttpServer(Flask("app"), host, 0, threads=1)


def test_a_port_that_is_taken_is_told(server: HttpServer) -> None:
    with pytest.raises(CannotListen, match="choose another --port"):
        HttpServer(Flask("app"), "127.0.0.1", server.port, threads=1)
