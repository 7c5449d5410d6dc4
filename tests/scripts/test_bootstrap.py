"""The bootstrap on a real PowerShell: parameters in, one envelope out."""

from __future__ import annotations

import pytest
from windows_standin import Windows

pytestmark = pytest.mark.pwsh

ECHO = "[CmdletBinding()]\nparam([string] $Text, [object] $Other)\n"


def test_parameters_come_back_intact(windows: Windows) -> None:
    text = '遊戲 "它\'s" $env:PATH `n $(1+1) %TEMP% \U0001f3ae\r\n\t\\'
    answer = windows.run(ECHO + "return [ordered]@{ changed = $true; text = $Text }", Text=text)
    assert answer.data == {"text": text}
    assert answer.envelope["changed"] is True
    assert answer.envelope["warnings"] == []


def test_lists_stay_lists(windows: Windows) -> None:
    answer = windows.run(
        ECHO + "[ordered]@{ none = @(); one = @(1); nothing = $null; deep = @(@{ a = @($Other) });"
        " warnings = @('careful') }",
        Other=[{"b": [1, 2]}],
    )
    assert answer.data["none"] == []
    assert answer.data["one"] == [1]
    assert answer.data["nothing"] is None
    assert answer.data["deep"] == [{"a": [{"b": [1, 2]}]}]
    assert answer.envelope["warnings"] == ["careful"]


def test_output_before_the_dictionary_is_not_the_answer(windows: Windows) -> None:
    answer = windows.run("'noise'; 42; Write-Output @{ a = 1 }; return @{ b = 2 }")
    assert answer.data == {"b": 2}


def test_modules_are_there_before_the_script(windows: Windows) -> None:
    answer = windows.run("return @{ sum = Add-Two 2 }", ("function Add-Two { param($N) $N + 2 }",))
    assert answer.data == {"sum": 4}


def test_strict_mode_and_stop_are_set(windows: Windows) -> None:
    missing = windows.run("return @{ a = (New-Object psobject).Missing }")
    assert missing.code == "script_error"
    command = windows.run("Get-Item -LiteralPath 'C:\\not there'; return @{ a = 1 }")
    assert command.code == "script_error"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("throw 'boom'", "script_error", "boom"),
        ("throw 'not_a_code'", "script_error", "not_a_code"),
        ("return 5", "script_error", "the script returned no dictionary"),
        ("1 / 0", "script_error", "Attempted to divide by zero."),
        ("[int]::Parse('x')", "script_error", None),
        ("if (", "script_error", None),
        ("Get-ChildItem -NoSuchParameter", "script_error", None),
        (
            "throw [System.Management.Automation.ErrorRecord]::new("
            "[Exception]::new('gone'), 'launch_ended', 'NotSpecified', 'x')",
            "launch_ended",
            "gone",
        ),
        ("throw [UnauthorizedAccessException]::new('no')", "access_denied", "no"),
        ("Get-CimInstance -ClassName Win32_ComputerSystem", "access_denied", "Access is denied."),
    ],
)
def test_an_error_has_its_code(windows: Windows, text: str, code: str, message: str | None) -> None:
    windows.change(denied=["Get-CimInstance Win32_ComputerSystem"])
    answer = windows.run(text)
    assert answer.code == code
    assert answer.error["type"]
    if message is not None:
        assert answer.error["message"] == message


def test_an_error_says_where(windows: Windows) -> None:
    assert windows.run("$a = 1\n\nthrow 'here'").error["at"] == "Probe:3"
    inside = windows.run("Stop-Here", ("\nfunction Stop-Here {\n    throw 'there'\n}",))
    assert inside.error["at"] == "Probe:Stop-Here:3"


@pytest.mark.parametrize(
    "parameters", [{"Unknown": 1}, {"Number": "many"}, {"Number": 50}, {}, {"Number": [1, 2]}]
)
def test_a_parameter_that_does_not_bind_is_bad(
    windows: Windows, parameters: dict[str, object]
) -> None:
    answer = windows.run(
        "[CmdletBinding()]\nparam([Parameter(Mandatory = $true)] [ValidateRange(1, 9)] [int] "
        "$Number)\nreturn @{ number = $Number }",
        **parameters,
    )
    assert answer.code == "bad_parameter"


def test_input_that_is_no_call_is_an_error(windows: Windows) -> None:
    answer = windows.end(windows.begin(b"bm90IGpzb24="))
    assert answer.code == "script_error"
    assert answer.error["at"].startswith("Bootstrap:")
