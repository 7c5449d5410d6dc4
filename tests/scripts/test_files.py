"""Files in pieces: the scripts on a real PowerShell, and beside them the lab's models."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from powershell_source import FOLDER
from windows_standin import Windows, bootstrap, encoded, pack

from orchestrator.lab import build_computer
from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.powershell import run_powershell
from orchestrator.lab.windows.scripts import MODELS

FILE = r"C:\GamingAnywhere\config\象棋 設定.conf"
NEW = "新的內容\r\n".encode() * 3


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def piece(content: bytes, first: int = 0, last: int | None = None, **more: Any) -> dict[str, Any]:
    """Parameters of Write-File for some bytes of a content."""
    return {
        "Path": FILE,
        "Offset": first,
        "Content": base64.b64encode(content[first:last]).decode("ascii"),
        "Length": len(content),
        "Hash": sha256(content),
    } | more


@dataclass(frozen=True)
class Scenario:
    """Calls after each other, on a server that has ``files``."""

    name: str
    files: Mapping[str, bytes]
    calls: tuple[tuple[str, dict[str, Any]], ...]


BEFORE = {FILE: b"before"}
READ, WRITE = "Read-File", "Write-File"
SCENARIOS = [
    Scenario("a file is read in pieces", {FILE: NEW}, (
        (READ, {"Path": FILE, "Length": 10}),
        (READ, {"Path": FILE, "Length": 10, "Offset": len(NEW) - 4}),
        (READ, {"Path": FILE, "Offset": len(NEW)}),
        (READ, {"Path": FILE, "Offset": len(NEW) + 1}),
        (READ, {"Path": FILE, "ExpectedHash": sha256(NEW).upper()}),
        (READ, {"Path": FILE, "ExpectedHash": sha256(b"other")}),
        (READ, {"Path": FILE, "MaxLength": 5}),
        (READ, {"Path": FILE, "Version": "6-1"}),
    )),
    Scenario("what is no file is told", BEFORE, (
        (READ, {"Path": FILE + "x"}),
        (READ, {"Path": r"C:\GamingAnywhere\config"}),
        (READ, {"Path": r"config\relative.conf"}),
        (READ, {"Path": r"C:\GamingAnywhere\config\a.conf:hidden"}),
        (WRITE, piece(NEW, Path=r"C:\None\new.conf")),
        (WRITE, piece(NEW, Path=r"C:\GamingAnywhere\config")),
        (WRITE, piece(NEW, Content="?")),
        (WRITE, piece(NEW, Length=3)),
    )),
    Scenario("pieces in order, repeated, and one too early", BEFORE, (
        (WRITE, piece(NEW, 0, 9)),
        (WRITE, piece(NEW, 20, 30)),
        (WRITE, piece(NEW, 0, 9)),
        (WRITE, piece(NEW, 9)),
        (WRITE, piece(NEW, 9)),
        (WRITE, piece(NEW, 0, 9)),
        (READ, {"Path": FILE}),
        (READ, {"Path": f"{FILE}.bak"}),
    )),
    Scenario("a new file must not be there", {f"{FILE}.bak": b"old"}, (
        (WRITE, piece(NEW, ExpectedHash="missing")),
        (WRITE, piece(b"other", ExpectedHash="missing")),
        (WRITE, piece(b"", KeepBackup=False, ExpectedHash=sha256(NEW))),
        (READ, {"Path": FILE}),
        (READ, {"Path": f"{FILE}.bak"}),
    )),
    Scenario("a file that is not the one that was seen is kept", BEFORE, (
        (WRITE, piece(NEW, ExpectedHash=sha256(b"seen"))),
        (WRITE, piece(NEW, 0, 9, ExpectedHash=sha256(b"before"))),
        (WRITE, piece(b"another's")),
        (WRITE, piece(NEW, 9, ExpectedHash=sha256(b"before"))),
        (READ, {"Path": FILE}),
        (WRITE, piece(NEW, Path=FILE + "x", ExpectedHash=sha256(b"seen"))),
    )),
    Scenario("a damaged part is removed", {f"{FILE}.{sha256(NEW)[:16]}.part": b"damaged"}, (
        (WRITE, piece(NEW, 0, 5)),
        (WRITE, piece(NEW, 7)),
        (WRITE, piece(NEW)),
    )),
]  # fmt: skip


MANY = """
[CmdletBinding()]
param([object[]] $Calls)
$answers = @(foreach ($call in $Calls) {
    $sent = @{}
    foreach ($p in $call.params.PSObject.Properties) { $sent[$p.Name] = $p.Value }
    $answer = [ordered]@{ code = $null; data = $null }
    try { $answer.data = & ([ScriptBlock]::Create($call.script)) @sent }
    catch { $answer.code = ([string]$_.FullyQualifiedErrorId -split ',')[0] }
    $answer
})
return @{ answers = [object[]]$answers }
"""
"""Runs several scripts in one process, because each PowerShell takes a second to start."""


def real_calls(windows: Windows, scenario: Scenario) -> list[dict[str, Any]]:
    """Code or data of every call on a real PowerShell."""
    sources = {name: (FOLDER / f"{name}.ps1").read_text("ascii") for name in (READ, WRITE)}
    calls = [{"script": sources[name], "params": params} for name, params in scenario.calls]
    modules = [(FOLDER / name).read_text("ascii") for name in ("Common.ps1", "File.ps1")]
    answers = windows.run(MANY, tuple(modules), Calls=calls).data["answers"]
    return [comparable(answer["code"], answer["data"]) for answer in answers]


def comparable(code: str | None, data: dict[str, Any] | None) -> dict[str, Any]:
    """An answer without what differs between any two servers: times, and warnings' place."""
    left_out = {"modified_at", "version", "warnings"}
    return {"code": code} | {k: v for k, v in (data or {}).items() if k not in left_out}


def lab_call(computer: Computer, script: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the lab's powershell.exe answers to a call."""
    run = run_powershell(
        computer,
        computer.processes()[0],
        "orchestrator",
        f"-EncodedCommand {encoded(bootstrap())}",
    )
    text = (FOLDER / f"{script}.ps1").read_text("ascii")
    run.feed(pack(script, text, parameters, []))
    run.end_input()
    output = run.read(30)
    assert output is not None
    answer = json.loads(output.stdout)
    if not answer["ok"]:
        return comparable(answer["error"]["code"], None)
    return comparable(None, {"changed": answer["changed"], **answer["data"]})


@pytest.mark.pwsh
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_scripts_and_the_lab_answer_alike(windows: Windows, scenario: Scenario) -> None:
    computer = build_computer("GAME01")
    windows.file(r"C:\GamingAnywhere\config\a.conf", "")
    for path, content in scenario.files.items():
        windows.file(path, "").write_bytes(content)
        computer.files.write(path, content)
    modelled = [lab_call(computer, name, params) for name, params in scenario.calls]
    assert modelled == real_calls(windows, scenario)
    files = {path for path in windows.files() if path.startswith(FILE)}
    folder = r"C:\GamingAnywhere\config"
    assert files == {path for path in computer.files.listing(folder) if path.startswith(FILE)}


@pytest.mark.pwsh
def test_parts_that_nobody_goes_on_with_are_removed_after_a_day(windows: Windows) -> None:
    old = windows.file(f"{FILE}.{'a' * 16}.part", "x")
    young = windows.file(f"{FILE}.{'b' * 16}.part", "x")
    other = windows.file(FILE + ".part", "x")
    for path, hours in ((old, 25), (young, 23), (other, 99)):
        os.utime(path, (time.time() - hours * 3600,) * 2)
    assert windows.call(WRITE, **piece(NEW)).data["done"]
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


@pytest.mark.pwsh
def test_whatif_writes_nothing(windows: Windows) -> None:
    windows.file(FILE, "before")
    answer = windows.call(WRITE, **piece(NEW), WhatIf=True)
    assert (answer.data["done"], answer.data["received"]) == (False, 0)
    assert answer.envelope["changed"] is False
    assert windows.files() == {FILE}
    assert windows.at(FILE).read_bytes() == b"before"


def test_the_lab_has_a_model_of_each_script() -> None:
    assert all((FOLDER / f"{name}.ps1").is_file() for name in MODELS)
    assert {READ, WRITE} <= set(MODELS)
