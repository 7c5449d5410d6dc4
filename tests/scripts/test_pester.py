"""The scripts' specification in Pester, run in one PowerShell: tests/scripts/pester."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from windows_standin import FLAGS, PWSH, encoded

pytestmark = pytest.mark.pwsh

SUITE = Path(__file__).parent / "pester"

_RUN = """
$ErrorActionPreference = 'Stop'
if (-not (Get-Module -ListAvailable -Name Pester | Where-Object { $_.Version.Major -ge 5 })) {
    'null'
    exit
}
Import-Module Pester -MinimumVersion 5.0
$settings = New-PesterConfiguration
$settings.Run.Path = $folder
$settings.Run.PassThru = $true
$settings.Output.Verbosity = 'None'
$done = Invoke-Pester -Configuration $settings
$problems = @(
    foreach ($one in @($done.Failed) + @($done.FailedBlocks) + @($done.FailedContainers)) {
        if ($null -eq $one) { continue }
        $name = $one.ExpandedPath
        if (-not $name) { $name = [string]$one.Item }
        "${name}: $(@($one.ErrorRecord | ForEach-Object { $_.Exception.Message }) -join '; ')"
    }
)
$counts = [ordered]@{ passed = $done.PassedCount; skipped = $done.SkippedCount }
ConvertTo-Json -InputObject ($counts + @{ problems = $problems }) -Compress
"""


def run_pester(folder: Path) -> dict[str, Any] | None:
    """What became of a folder's tests; null where there is no Pester 5."""
    if PWSH is None:
        pytest.skip("pwsh is not on the PATH")
    answer = subprocess.run(
        [PWSH, *FLAGS, encoded(f"$folder = '{folder}'\n{_RUN}")],
        env={**os.environ, "POWERSHELL_TELEMETRY_OPTOUT": "1"},
        capture_output=True,
        timeout=850,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout.decode() + answer.stderr.decode("utf-8", "replace")
    found: dict[str, Any] | None = json.loads(answer.stdout.splitlines()[-1])
    return found


def run_or_skip(folder: Path) -> dict[str, Any]:
    found = run_pester(folder)
    if found is None:
        pytest.skip("Pester 5 is not installed")
    return found


@pytest.mark.timeout(900)
def test_the_scripts_do_what_their_specification_says() -> None:
    found = run_or_skip(SUITE)
    assert found["problems"] == [], "\n".join(found["problems"])
    assert found["passed"] > 0
    assert found["skipped"] == 0


def test_what_fails_or_does_not_run_at_all_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "One.Tests.ps1").write_text(
        "Describe 'A' { It 'is 1' { 2 | Should -Be 1 }; It 'is 2' { 2 | Should -Be 2 } }\n"
        "Describe 'B' { BeforeAll { throw 'no way' }; It 'is never' { } }\n"
    )
    (tmp_path / "Two.Tests.ps1").write_text("throw 'not even found'\n")
    found = run_or_skip(tmp_path)
    assert found["passed"] == 1
    told = "\n".join(found["problems"])
    for words in ("A.is 1: Expected 1, but got 2.", "B.is never", "no way", "not even found"):
        assert words in told
