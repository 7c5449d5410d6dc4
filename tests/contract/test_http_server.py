"""The HTTP server beside a thousand kept connections."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest
import requests
from flask import Flask

from orchestrator.api import HttpServer

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
