"""What an administrator runs: the check and the set-up, on a real PowerShell."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from powershell_source import FOLDER
from windows_standin import FLAGS, MODULE, PWSH, Windows, encoded, pack, payload

from orchestrator.lab import build_computer
from orchestrator.lab.windows.powershell import run_powershell

pytestmark = pytest.mark.pwsh

ADMIN = MODULE.with_name("AdminStandIns.psm1")
ENABLE = FOLDER / "Enable-RuntimeServer.ps1"
RECORD = r"C:\ProgramData\Orchestrator\enable.json"
SDDL = "O:BAG:BAD:AR(A;CI;CCDCLCSWRPWPRCWD;;;BA)(A;CI;CCDCRP;;;AU)"
THUMBPRINT = "AB" * 20
STATE: dict[str, Any] = {
    "elevated": True,
    "service": "Manual/Stopped",
    "winrm": {
        "winrm/config": {"MaxEnvelopeSizekb": "500"},
        "winrm/config/service": {
            "MaxConcurrentOperationsPerUser": "1500",
            "AllowUnencrypted": "false",
        },
        "winrm/config/winrs": {
            "MaxShellsPerUser": "5",
            "MaxProcessesPerShell": "25",
            "MaxMemoryPerShellMB": "2048",
        },
    },
    "listeners": [],
    "certificates": [],
    "users": [],
    "members": {"S-1-5-32-544": ["Administrator"], "S-1-5-32-558": [], "S-1-5-32-580": []},
    "registry": {"EnableLUA": 1},
    "sddl": SDDL,
    "classes": {
        "Win32_OperatingSystem": [{"Caption": "Windows Server 2022", "BuildNumber": "20348"}],
        "Win32_LogicalDisk": [{"DeviceID": "C:", "FreeSpace": 120 * 2**30}],
        "Win32_PerfFormattedData_PerfOS_Processor": [{"Name": "_Total", "PercentProcessorTime": 7}],
        "Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine": [{"Name": "pid_1"}],
    },
    "denied": [],
    "calls": [],
}


class Admin:
    """The stand-ins' state, and runs of a file by an administrator."""

    def __init__(self, windows: Windows, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.windows = windows
        self.file = folder / "admin.json"
        self.change(**STATE)
        monkeypatch.setenv("ORCHESTRATOR_STANDINS_ADMIN", str(self.file))
        monkeypatch.setenv("ORCHESTRATOR_STANDINS_STATE", str(folder / "state.json"))
        monkeypatch.setenv("ORCHESTRATOR_STANDINS_DRIVE", str(windows.drive))
        monkeypatch.setenv("COMPUTERNAME", "GAME01")
        monkeypatch.setenv("USERNAME", "broker")
        monkeypatch.setenv("USERDOMAIN", "GAME01")

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text("utf-8"))
        return found

    def change(self, **values: Any) -> None:
        before = self.state() if self.file.exists() else {}
        self.file.write_text(json.dumps(before | values), "utf-8")

    def run(self, *lines: str) -> list[Any]:
        """What each line answers, all in one PowerShell."""
        body = "\n".join(
            f"$answers += ,@({line.replace('ENABLE', f'& {str(ENABLE)!r}')})" for line in lines
        )
        source = (
            f"$ErrorActionPreference = 'Stop'\nImport-Module '{MODULE}'\nImport-Module '{ADMIN}'\n"
            "function Read-State { Get-Content -Raw -LiteralPath $env:ORCHESTRATOR_STANDINS_ADMIN"
            " | ConvertFrom-Json | Add-Member rules (Use-State { $args[0].rules }) -PassThru }\n"
            "$secret = ConvertTo-SecureString 'pass' -AsPlainText -Force\n"
            f"$answers = @()\n{body}\n"
            "[Console]::Out.WriteLine((ConvertTo-Json -InputObject $answers -Depth 8 -Compress))"
        )
        assert PWSH is not None
        done = subprocess.run(
            [PWSH, *FLAGS, encoded(source)],
            env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode("utf-8", "replace")
        answers: list[Any] = json.loads(done.stdout.splitlines()[-1])
        return answers

    def check(self, **parameters: Any) -> dict[str, dict[str, str]]:
        """The items of Test-RuntimeServer."""
        stdin = payload(FOLDER / "Test-RuntimeServer.ps1", parameters)
        load = f"Import-Module '{ADMIN}'"
        return self.items(self.windows.end(self.windows.begin(stdin, load)).data)

    @staticmethod
    def items(data: dict[str, Any]) -> dict[str, dict[str, str]]:
        return {item["name"]: item for item in data["items"]}


@pytest.fixture
def admin(windows: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Admin:
    return Admin(windows, tmp_path, monkeypatch)


def without_calls(state: Any) -> dict[str, Any]:
    return {k: v for k, v in dict(state).items() if k not in {"calls", "denied"}}


def results(lines: list[dict[str, Any]]) -> dict[str, str]:
    return {f"{line['Step']} {line['Item']}": line["Result"] for line in lines}


CHANGED = {
    "service WinRM": "Manual/Stopped",
    "account orchestrator": None,
    "member S-1-5-32-580|orchestrator": None,
    "member S-1-5-32-558|orchestrator": None,
    "member S-1-5-32-544|orchestrator": None,
    "registry LocalAccountTokenFilterPolicy": None,
    "namespace root/cimv2": SDDL,
    "quota MaxShellsPerUser": "5",
    f"certificate {THUMBPRINT}": None,
    "listener HTTPS": None,
    "firewall Orchestrator-WinRM-HTTPS": None,
}
RUN = "ENABLE -BrokerAddress '192.0.2.5','198.51.100.0/24' -Password $secret"


def test_a_server_is_opened_once_and_taken_back_exactly(admin: Admin) -> None:
    dry, untouched, first, opened, second, undone, after = admin.run(
        f"{RUN} -WhatIf", "Read-State", RUN, "Read-State", RUN, "ENABLE -Undo", "Read-State"
    )
    assert without_calls(untouched[0]) == without_calls(STATE) | {"rules": {}}
    assert untouched[0]["calls"] == []
    assert "changed" not in results(dry).values()

    changed = {name for name, result in results(first).items() if result == "changed"}
    assert changed == set(CHANGED)
    assert "failed" not in results(first).values()
    befores = {f"{line['Step']} {line['Item']}": line["Before"] for line in first}
    assert {name: befores[name] for name in CHANGED} == CHANGED
    (state,) = opened
    assert state["service"] == "Automatic/Running"
    assert state["listeners"] == [
        {
            "Address": "*",
            "Transport": "HTTPS",
            "Port": "5986",
            "CertificateThumbprint": THUMBPRINT,
        }
    ]
    (rule,) = state["rules"].values()
    assert (rule["ports"], rule["direction"], rule["action"]) == (["5986"], "Inbound", "Allow")
    assert sorted(rule["address"]) == ["192.0.2.5", "198.51.100.0/24"]
    assert state["sddl"] == SDDL + "(A;;CCWP;;;S-1-5-21-1-2-3-1001)"
    assert state["winrm"]["winrm/config/winrs"]["MaxShellsPerUser"] == "30"
    assert state["winrm"]["winrm/config/winrs"]["MaxMemoryPerShellMB"] == "2048"
    assert state["registry"]["LocalAccountTokenFilterPolicy"] == 1
    inventory = first[-1]["Note"].splitlines()
    assert "ansible_port: 5986" in inventory
    assert f"orchestrator_certificate_fingerprint: {first[-1]['After']}" in inventory
    assert len(first[-1]["After"]) == 64

    assert set(results(second).values()) == {"unchanged"}
    assert results(undone) == dict.fromkeys(reversed(CHANGED), "changed")
    assert without_calls(after[0]) == without_calls(STATE) | {"rules": {}}
    assert admin.windows.files() == set()


def test_what_somebody_changed_since_is_left_and_what_failed_is_told(admin: Admin) -> None:
    admin.change(denied=["New-ItemProperty"])
    first, _, undone, again = admin.run(
        RUN,
        "Set-WSManInstance -ResourceURI 'winrm/config/winrs' -ValueSet @{MaxShellsPerUser='40'}",
        "ENABLE -Undo",
        "ENABLE -Undo",
    )
    assert results(first)["registry LocalAccountTokenFilterPolicy"] == "failed"
    assert results(first)["firewall Orchestrator-WinRM-HTTPS"] == "changed"
    assert results(undone)["quota MaxShellsPerUser"] == "skipped"
    assert results(undone)["account orchestrator"] == "changed"
    assert results(again) == {"quota MaxShellsPerUser": "skipped"}
    state = admin.state()
    assert (state["users"], state["listeners"]) == ([], [])
    assert admin.windows.read()["rules"] == {}
    assert state["winrm"]["winrm/config/winrs"]["MaxShellsPerUser"] == "40"
    assert admin.windows.files() == {RECORD}


def test_polling_alone_takes_no_administrators_and_a_listener_is_kept(admin: Admin) -> None:
    listener = {"Address": "*", "Transport": "HTTPS", "Port": "443", "CertificateThumbprint": "CD"}
    user = {"Name": "poller", "SID": "S-1-5-21-9", "Enabled": True}
    admin.change(listeners=[listener], users=[user])
    (lines,) = admin.run("ENABLE -BrokerAddress 192.0.2.5 -AccountName poller -Access Poll")
    state = admin.state()
    assert "failed" not in results(lines).values()
    assert state["members"]["S-1-5-32-544"] == ["Administrator"]
    assert state["members"]["S-1-5-32-580"] == ["poller"]
    assert state["registry"] == {"EnableLUA": 1}
    assert state["listeners"] == [listener]
    (rule,) = admin.windows.read()["rules"].values()
    assert rule["ports"] == ["443"]
    assert "S-1-5-21-9" in state["sddl"]


def test_the_check_answers_as_the_lab_does(admin: Admin) -> None:
    program = b"MZ".ljust(60, b"\0") + struct.pack("<i", 64) + b"PE\0\0"
    for mode, machine in (("periodic", 0x14C), ("event-driven", 0x8664)):
        path = rf"C:\GamingAnywhere\bin\ga-server-{mode}.exe"
        admin.windows.file(path, "").write_bytes(program + struct.pack("<H", machine))
    admin.windows.file(r"C:\GamingAnywhere\config\a.conf", "")
    admin.change(
        winrm=STATE["winrm"] | {"winrm/config/winrs": dict.fromkeys(
            ("MaxShellsPerUser", "MaxProcessesPerShell", "MaxMemoryPerShellMB"), "1000")},
    )  # fmt: skip
    admin.windows.change(
        listeners=[{"port": 8600, "pid": 900, "opens": 0}, {"port": 9, "pid": 900, "opens": 0}]
    )
    now = datetime.now(UTC).isoformat()
    order = {"BrokerTime": now, "FirstPort": 8554, "LastPort": 8653, "Modes": ["periodic",
             "event-driven"], "GaDirectory": r"C:\GamingAnywhere\bin",
             "ConfigDirectory": r"C:\GamingAnywhere\config"}  # fmt: skip
    real = admin.check(**order)
    assert real["gaminganywhere"]["found"] == "periodic: 32-bit; event-driven: 64-bit"
    assert (real["ports"]["verdict"], real["ports"]["found"]) == (
        "warning",
        "taken: 8600 by svchost.exe",
    )
    assert [i for i in real.values() if (i["verdict"] == "ok") != (i["remedy"] == "")] == []
    assert admin.windows.tasks() == []

    computer = build_computer("GAME01")
    computer.listen(computer.processes()[1], 8600)
    host = computer.processes()[0]
    run = run_powershell(computer, host, "broker", "-EncodedCommand " + encoded(
        "[Console]::In FromBase64String"))  # fmt: skip
    text = (FOLDER / "Test-RuntimeServer.ps1").read_text("ascii")
    run.feed(pack("Test-RuntimeServer", text, order, []))
    run.end_input()
    output = run.read(30)
    assert output is not None
    model = admin.items(json.loads(output.stdout)["data"])
    assert list(model) == list(real)
    assert {n: i["verdict"] for n, i in model.items()} == {n: i["verdict"] for n, i in real.items()}


def test_a_check_that_may_look_at_nothing_still_tells_each_item(admin: Admin) -> None:
    admin.windows.change(
        denied=["Register-ScheduledTask", "Get-CimInstance Win32_Process", "Get-ScheduledTask"]
    )
    admin.change(elevated=False, denied=["Get-WSManInstance"], classes={})
    items = admin.check(BrokerTime="2020-01-01T00:00:00Z")
    verdicts = {name: item["verdict"] for name, item in items.items()}
    assert verdicts["quotas"] == "not_measured"
    assert verdicts["processes"] == "problem"
    assert (verdicts["rights"], verdicts["uac_filter"]) == ("problem", "problem")
    assert verdicts["clock"] == "problem"
    assert verdicts["gpu_counters"] == "warning"
    assert items["quotas"]["remedy"] == "needs a member of Administrators to find out"
