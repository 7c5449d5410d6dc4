"""A lab and a broker in this process, joined as the command line joins them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from orchestrator.bootstrap import Broker
from orchestrator.lab import Lab

QUICK = {"poll_interval": 3600, "reconcile_interval": 3600, "call_timeout": 10, "end_grace": 3}
"""Jobs do not come round by themselves in these tests."""


@dataclass
class House:
    """What a test needs of both."""

    lab: Lab
    broker: Broker
    url: str
    token: str

    def post(self, path: str, body: object, **headers: str) -> requests.Response:
        return self.call("POST", path, json=body, headers=headers)

    def get(self, path: str) -> requests.Response:
        return self.call("GET", path)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        with requests.Session() as http:
            http.trust_env = False
            http.headers["Authorization"] = f"Bearer {self.token}"
            return http.request(method, self.url + path, timeout=60, **options)

    def games(self) -> list[str]:
        return [
            process.image
            for computer in self.lab.computers
            for process in computer.processes()
            if process.image.startswith(("C:\\Games", "C:\\GamingAnywhere"))
        ]
