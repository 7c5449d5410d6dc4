"""PowerShell's own opinion of the scripts: its parser, and its analyzer where installed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from powershell_source import FOLDER
from windows_standin import FLAGS, PWSH, encoded

pytestmark = pytest.mark.pwsh

_FILES = [*sorted(FOLDER.glob("*.ps1")), *sorted(Path(__file__).parent.rglob("*.ps*1"))]

_PARSE = """
$found = @(foreach ($path in $paths) {
    $all = $null
    $null = [Management.Automation.Language.Parser]::ParseFile($path, [ref]$null, [ref]$all)
    foreach ($one in $all) { "$path line $($one.Extent.StartLineNumber): $($one.Message)" }
})
"""

_ANALYZE = """
if (-not (Get-Module -ListAvailable -Name PSScriptAnalyzer)) { 'null'; exit }
$settings = @{
    Severity     = @('Error', 'ParseError', 'Warning')
    ExcludeRules = @(
        # The scripts ask ShouldProcess once, before anything is changed, not in each function.
        'PSUseShouldProcessForStateChangingFunctions', 'PSShouldProcess'
        # It takes Windows for a plural.
        'PSUseSingularNouns'
        # It looks at one file, where a variable may be used by another, and not into blocks.
        'PSUseDeclaredVarsMoreThanAssignments', 'PSReviewUnusedParameter'
    )
    Rules        = @{ PSUseCompatibleSyntax = @{ Enable = $true; TargetVersions = @('5.1') } }
}
$found = @(foreach ($path in $paths) {
    foreach ($one in Invoke-ScriptAnalyzer -Path $path -Settings $settings) {
        "$path line $($one.Line): $($one.Message)"
    }
})
"""


def ask(body: str, paths: list[Any]) -> list[str] | None:
    """What a PowerShell finds in files."""
    if PWSH is None:
        pytest.skip("pwsh is not on the PATH")
    listed = ", ".join(f"'{path}'" for path in paths)
    text = f"$paths = @({listed})\n{body}\nConvertTo-Json -InputObject $found -Compress"
    answer = subprocess.run(
        [PWSH, *FLAGS, encoded(text)], capture_output=True, timeout=300, check=True
    )
    found: list[str] | None = json.loads(answer.stdout)
    return found


def test_powershell_parses_every_file() -> None:
    assert ask(_PARSE, _FILES) == []


def test_the_analyzer_finds_nothing_and_no_syntax_newer_than_5_1() -> None:
    found = ask(_ANALYZE, sorted(FOLDER.glob("*.ps1")))
    if found is None:
        pytest.skip("PSScriptAnalyzer is not installed")
    assert found == []
