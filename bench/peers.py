"""The alternatives, each running one PowerShell script as its users do."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

import winrm
from pypsrp.client import Client

from orchestrator.domain.server import Connection


class Pywinrm:
    """``Session.run_ps``: a shell, a login and a connection each call."""

    name = "pywinrm run_ps"

    def __init__(self, settings: Connection, script: str) -> None:
        self._script = script
        self._session = winrm.Session(
            settings.url, auth=(settings.user, settings.password), transport="ntlm", proxy=None
        )

    def call(self, calls: int) -> None:
        for _ in range(calls):
            answer = self._session.run_ps(self._script)
            _check(answer.status_code, answer.std_out)


class Pypsrp:
    """A kept connection with a shell each call, as ``Client.execute_cmd`` does it."""

    name = "pypsrp, kept connection"

    def __init__(self, settings: Connection, script: str) -> None:
        encoded = base64.b64encode(script.encode("utf-16-le")).decode()
        self._line = f"powershell.exe -NoProfile -NonInteractive -EncodedCommand {encoded}"
        self._client = Client(
            settings.host,
            port=settings.port,
            username=settings.user,
            password=settings.password,
            ssl=False,
            auth="ntlm",
            no_proxy=True,
        )

    def call(self, calls: int) -> None:
        for _ in range(calls):
            stdout, _, code = self._client.execute_cmd(self._line)
            _check(code, stdout.encode())

    def close(self) -> None:
        self._client.close()


class Ansible:
    """``ansible -m raw`` over winrm on some servers at once. Its start is shared
    by them; all of its CPU, its forks' too, is divided by the servers."""

    def __init__(self, servers: Mapping[str, Connection], script: str) -> None:
        self.name = f"Ansible raw, a run over {len(servers)} servers"
        self._servers = dict(servers)
        self._script = script
        self._folder = tempfile.TemporaryDirectory(prefix="bench-ansible-")
        self._inventory = Path(self._folder.name) / "hosts.yml"
        self._inventory.write_text(self._yaml(), encoding="utf-8")

    def call(self, calls: int) -> None:
        """One run asks each server once, so ``calls`` is as many as there are, or fewer."""
        some = ":".join(list(self._servers)[:calls])
        done = subprocess.run(
            [
                sys.executable,
                str(Path(sysconfig.get_path("scripts")) / "ansible"),
                "-i",
                str(self._inventory),
                some,
                "-f",
                "20",
                "-m",
                "raw",
                "-a",
                self._script,
            ],
            capture_output=True,
            check=False,
            env={
                "HOME": self._folder.name,
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "ANSIBLE_NOCOLOR": "1",
                "PYTHONWARNINGS": "ignore",
            },
        )
        _check(done.returncode, done.stdout)

    def close(self) -> None:
        self._folder.cleanup()

    def _yaml(self) -> str:
        lines = [
            "all:",
            "  vars:",
            "    ansible_connection: winrm",
            "    ansible_winrm_scheme: http",
            "    ansible_winrm_transport: ntlm",
            "  hosts:",
        ]
        for name, settings in self._servers.items():
            lines += [
                f"    {name}:",
                f"      ansible_host: {settings.host}",
                f"      ansible_port: {settings.port}",
                f"      ansible_user: {settings.user}",
                f"      ansible_password: '{settings.password}'",
            ]
        return "\n".join(lines) + "\n"


def _check(code: int, output: bytes) -> None:
    if code or not output.strip():
        raise RuntimeError(f"a peer's call ended with {code}: {output[-500:]!r}")
