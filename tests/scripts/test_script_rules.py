"""Rules for the PowerShell that need no PowerShell to check."""

from __future__ import annotations

import ast
import base64
import re
from pathlib import Path

import pytest
from powershell_source import FOLDER, Source, param_block, sources, without_literals

DOCS = Path(__file__).parents[2] / "docs" / "scripts.md"
PACKAGE = Path(__file__).parents[2] / "orchestrator"


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


APPROVED_VERBS = words("""
    Add Assert Close Complete Convert ConvertFrom ConvertTo Copy Enable Enter Exit Find Format Get
    Invoke Join Measure Merge Move New Open Read Register Remove Resolve Resume Save Select Send
    Set Split Start Stop Test Undo Unregister Wait Write
""")

CMDLETS = words("""
    Add-Content Add-Type ConvertFrom-Json ConvertTo-Json Copy-Item ForEach-Object Get-ChildItem
    Get-CimInstance Get-Command Get-Content Get-NetFirewallRule Get-NetTCPConnection
    Get-ScheduledTask Get-ScheduledTaskInfo Invoke-CimMethod Invoke-RestMethod New-Item
    New-NetFirewallRule New-Object New-ScheduledTaskAction New-ScheduledTaskPrincipal
    New-ScheduledTaskSettingsSet Register-ScheduledTask Remove-Item Remove-NetFirewallRule
    Select-Object Set-Content Set-StrictMode Sort-Object Start-ScheduledTask Start-Sleep
    Stop-Process Stop-ScheduledTask Test-Path Unregister-ScheduledTask Where-Object Write-Verbose
""")
CMDLETS |= words(
    "Get-FileHash Get-Item Get-ItemProperty Get-NetUDPEndpoint Get-WSManInstance Move-Item"
)
CMDLETS |= words("""
    Add-LocalGroupMember Get-LocalGroupMember Get-LocalUser Get-NetFirewallAddressFilter
    Get-NetFirewallPortFilter Get-Service New-ItemProperty New-LocalUser New-SelfSignedCertificate
    New-WSManInstance Remove-ItemProperty Remove-LocalGroupMember Remove-LocalUser
    Remove-WSManInstance Set-Service Set-WSManInstance Start-Service Stop-Service
""")
"""What the scripts may use of PowerShell: the stand-ins have to know these."""

NEWER_THAN_5_1 = {
    r"\?\?": "null-coalescing",
    r"\?\.": "null-conditional member",
    r"&&|\|\|": "pipeline chains",
    r"(?<![\w|(])\s\?\s": "ternary or the alias ?",
    r"-Parallel\b": "ForEach-Object -Parallel",
    r"-AsHashtable\b": "ConvertFrom-Json -AsHashtable",
    r"-AsByteStream\b": "-AsByteStream",
    r"-AsArray\b|-EscapeHandling\b": "new parameters of ConvertTo-Json",
    r"-NoProxy\b|-SkipCertificateCheck\b": "new parameters of Invoke-RestMethod",
    r"\$Is(?:Windows|Linux|MacOS|CoreCLR)\b": "automatic variables of PowerShell 7",
    r"\butf8(?:No)?BOM\b": "encodings of PowerShell 7",
    r"\bclean\s*\{": "clean blocks",
}

UNWANTED = {
    r"Get-WmiObject|Invoke-WmiMethod|\[wmi": "WMI cmdlets are gone in PowerShell 7: use CIM",
    r"Write-Host|Read-Host": "nobody is there to see it",
    r"Invoke-Expression|\biex\b": "never run text",
    r"\[System\.IO\.|\[IO\.": "reach files through the provider's cmdlets",
    r"Join-Path|Split-Path|Resolve-Path": "follows the system it runs on",
    r"\$(?:input|args|pid|home|host|error|profile)\b\s*(?:=|\b)": "automatic variable",
    r"`\s*$": "no line continuation by backtick",
    r"@['\"]\s*$": "no here-strings: the sender strips indentation",
}

ALIASES = words("""
    % ? ac cat cd clc copy cp del diff dir echo epcsv erase fl foreach ft gc gci gcim gcm gi gm
    gp gps group gsv gwmi h icim icm ii ipcsv iwr kill ls measure mi mkdir mount move mv ni ogv
    ps pwd rd ren ri rm rmdir rp sal saps sasv sc select set sl sleep sls sort sp spps spsv start
    sv tee type where wget write
""")

AUTOMATIC = words(
    "_ null true false matches env pscmdlet whatifpreference erroractionpreference "
    "progresspreference psversiontable"
)


@pytest.fixture(params=sources(), ids=lambda source: source.name)
def source(request: pytest.FixtureRequest) -> Source:
    found: Source = request.param
    return found


@pytest.fixture(params=[s for s in sources() if s.is_script], ids=lambda source: source.name)
def script(request: pytest.FixtureRequest) -> Source:
    found: Source = request.param
    return found


def all_functions() -> dict[str, str]:
    return {name: code for s in sources() for name, code in s.functions.items()}


def test_the_scripts_are_where_the_rules_look() -> None:
    assert {
        "Bootstrap.ps1",
        "Start-Game.ps1",
        "Stop-Game.ps1",
        "Get-Launch.ps1",
        "Remove-Launch.ps1",
    } <= {s.name for s in sources()}


def test_a_source_is_plain_ascii(source: Source) -> None:
    raw = source.path.read_bytes()
    assert raw.isascii()
    assert b"\r" not in raw
    assert b"\t" not in raw
    assert raw.endswith(b"\n")


def test_help_is_complete(source: Source) -> None:
    for part in ("SYNOPSIS", "DESCRIPTION", "OUTPUTS", "EXAMPLE"):
        assert re.search(rf"^(?:# )?\.{part}\n(?:#\s*)? *\S", source.text, re.MULTILINE), part


def test_every_parameter_has_help_and_no_other(script: Source) -> None:
    described = re.findall(r"^\.PARAMETER (\w+)\n {4}\S", script.text, re.MULTILINE)
    assert described == list(script.parameters)


def test_every_parameter_was_recognised(script: Source) -> None:
    block = re.sub(r"\[(?:Parameter|Validate\w+)\([^)]*\)\]", "", param_block(script.code))
    assert sorted(set(re.findall(r"\$(\w+)", block)) - {"true", "false"}) == sorted(
        script.parameters
    )


def test_a_script_says_what_it_requires(source: Source) -> None:
    if source.name != "Bootstrap.ps1":
        assert "\n#Requires -Version 5.1\n" in source.text
    if source.is_script:
        assert re.search(r"^\[CmdletBinding\(.*\)\]\nparam\($", source.text, re.MULTILINE)


def test_a_script_that_changes_something_knows_whatif(script: Source) -> None:
    changes = not script.name.startswith(("Get-", "Read-"))
    assert ("SupportsShouldProcess = $true" in script.code) == changes
    assert ("$PSCmdlet.ShouldProcess(" in script.code) == changes


@pytest.mark.parametrize("pattern", NEWER_THAN_5_1, ids=NEWER_THAN_5_1.get)
def test_nothing_newer_than_windows_powershell_is_used(source: Source, pattern: str) -> None:
    assert not re.findall(pattern, source.code, re.IGNORECASE | re.MULTILINE)


@pytest.mark.parametrize("pattern", UNWANTED, ids=UNWANTED.get)
def test_nothing_unwanted_is_used(source: Source, pattern: str) -> None:
    assert not re.findall(pattern, source.code, re.IGNORECASE | re.MULTILINE)


def test_no_alias_is_used(source: Source) -> None:
    words = re.findall(r"(?:^|[|;{(=])\s*([a-z%?]+)(?=\s)(?!\s+=)", source.code, re.MULTILINE)
    keywords = {"foreach"} if "foreach (" in source.code else set()
    assert not (set(words) & ALIASES) - keywords
    assert not re.search(r"\|\s*foreach\b", source.code)


def test_every_command_exists(source: Source) -> None:
    """A name that is neither a known cmdlet nor a function of ours is a slip."""
    used = set(re.findall(r"(?<![\w$.-])([A-Z][A-Za-z]+-[A-Z][A-Za-z]+)\b", source.code))
    assert used <= CMDLETS | set(all_functions())


def test_a_script_brings_every_function_that_it_uses(script: Source) -> None:
    known = {s.name: s for s in sources()}
    assert set(script.needs) <= set(known)
    brought = {name for file in script.needs for name in known[file].functions}
    brought |= set(script.functions)
    texts = [script.code, *(known[file].code for file in script.needs)]
    ours = set(all_functions())
    used = {word for text in texts for word in re.findall(r"\b[A-Z]\w+-[A-Z]\w+\b", text)}
    assert used & ours <= brought


def test_a_function_is_used_and_its_verb_approved() -> None:
    code = "\n".join(s.code for s in sources())
    for name in all_functions():
        assert name.split("-")[0] in APPROVED_VERBS, name
        assert len(re.findall(rf"\b{name}\b", code)) > 1, f"{name} is never called"


def test_brackets_are_balanced(source: Source) -> None:
    pairs = {")": "(", "]": "[", "}": "{"}
    open_brackets: list[tuple[str, int]] = []
    for number, line in enumerate(source.code.splitlines(), 1):
        for char in line:
            if char in pairs.values():
                open_brackets.append((char, number))
            elif char in pairs:
                assert open_brackets, f"line {number}: {char} closes nothing"
                opened, at = open_brackets.pop()
                assert opened == pairs[char], f"line {number}: {char} closes {opened} of line {at}"
    assert not open_brackets


def test_every_variable_is_set_before_it_is_read(source: Source) -> None:
    """Strict mode would stop the script there."""
    shared = {name for s in sources() for name in _assigned(s.outside)} | AUTOMATIC
    for name, code in {**source.functions, "": source.outside}.items():
        known = _assigned(code) | shared
        used = {v.lower() for v in re.findall(r"(?<![`\\])\$\{?([A-Za-z_]\w*)", code)}
        used |= {v.lower() for v in re.findall(r"@([a-z]\w*)\b", code)}
        assert used <= known, f"{name or 'the script'}: {sorted(used - known)}"


def _assigned(code: str) -> set[str]:
    plain = re.findall(r"\$([A-Za-z_]\w*)(?:,\s*\$\w+)*\s*(?:\+|-)?=(?!=)", code)
    plain += [v for pair in re.findall(r"\$\w+((?:,\s*\$\w+)+)\s*=", code) for v in _names(pair)]
    loops = re.findall(r"foreach \(\$(\w+) in", code)
    bound = re.findall(r"-ErrorVariable (\w+)", code)
    given = [v for block in re.findall(r"param\(([^{}]*?)\)\s", code) for v in _names(block)]
    given += _names(param_block(code))
    counted = re.findall(r"\$(\w+)\+\+", code)
    return {v.lower() for v in [*plain, *loops, *bound, *given, *counted]}


def _names(text: str) -> list[str]:
    return re.findall(r"\$(\w+)", text)


def test_the_bootstrap_fits_on_a_command_line() -> None:
    lines = (line.strip() for line in (FOLDER / "Bootstrap.ps1").read_text("ascii").splitlines())
    stripped = "\n".join(line for line in lines if line and not line.startswith("#"))
    encoded = base64.b64encode(stripped.encode("utf-16-le"))
    assert len(encoded) < 7000, "cmd.exe takes 8,191 characters, flags included"


def test_a_scripts_whole_payload_stays_small(script: Source) -> None:
    """It goes through a Send of WinRM, whose envelope is 500 KB at most."""
    texts = [script.text, *((FOLDER / name).read_text("ascii") for name in script.needs)]
    assert len(base64.b64encode("".join(texts).encode("ascii"))) < 150_000


def test_the_bootstrap_leaves_stdin_to_itself() -> None:
    assert "$input" not in (FOLDER / "Bootstrap.ps1").read_text("ascii").lower()


def _table(heading: str) -> list[list[str]]:
    section = DOCS.read_text("utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:]]


def test_parameters_are_those_of_the_documentation(script: Source) -> None:
    documented = {row[0]: row[1] for row in _table(script.name.removesuffix(".ps1"))}
    documented |= {"CreatedAt": "object"} if "CreatedAt" in documented else {}
    assert script.parameters == documented


def test_error_codes_are_those_of_the_documentation() -> None:
    text = "\n".join(s.text for s in sources())
    thrown = set(re.findall(r"New-Failure '([a-z_]+)'", text))
    thrown |= set(re.findall(r"'([a-z_]+_missing)'", text))
    thrown |= set(re.findall(r"\$code = '([a-z_]+)'", text))
    assert thrown == {row[0].strip("`") for row in _table("Error codes")}


def test_the_labs_error_codes_are_documented() -> None:
    raised = {
        code
        for path in (PACKAGE / "lab" / "windows").rglob("*.py")
        for code in re.findall(r'(?:ScriptError|failure)\(\s*"([a-z_]+)"', path.read_text("utf-8"))
    }
    assert raised
    assert raised <= {row[0].strip("`") for row in _table("Error codes")}


def test_the_broker_sends_parameters_that_the_scripts_have() -> None:
    """Each function of the transport that names a script gives only parameters of it."""
    scripts = {s.path.stem: set(s.parameters) for s in sources() if s.is_script}
    sent: dict[str, set[str]] = {}
    for path in (PACKAGE / "transport").glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef):
                texts = {n.value for n in ast.walk(function) if isinstance(n, ast.Constant)}
                for script in texts & set(scripts):
                    sent.setdefault(str(script), set()).update(_capitalised_keys(function))
    assert {"Start-Game", "Stop-Game", "Get-Launch", "Remove-Launch"} <= set(sent)
    for script, names in sent.items():
        assert names <= scripts[script], script
    assert sent["Start-Game"] == scripts["Start-Game"]


def _capitalised_keys(function: ast.FunctionDef) -> set[str]:
    keys = [k for n in ast.walk(function) if isinstance(n, ast.Dict) for k in n.keys]
    return {
        key.value
        for key in keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value[:1].isupper()
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$a = 'x$b' # $c", "$a = '   '     "),
        ("$a = 'it''s'", "$a = '     '"),
        ('"a`"b $c d"', '"     $c   "'),
        ('"a $($b + "c$d") e"', '"  $($b + " $d ")  "'),
        ("<# $a\n$b #>$c", "     \n     $c"),
    ],
)
def test_the_rules_look_at_code_only(text: str, expected: str) -> None:
    assert without_literals(text) == expected
