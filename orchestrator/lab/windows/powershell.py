"""powershell.exe of the lab: it runs no PowerShell.

A command that reads base64 from stdin is the broker's bootstrap: the script it
carries is modelled by name, after its parameters were bound to the ``param``
block of the very text that arrived. Of anything else it knows the few lines
that people try first.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from xml.sax.saxutils import escape

from orchestrator.lab.machine import ProgramRun
from orchestrator.lab.windows.cmd import PROGRAMS, Console, run_line
from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.runs import FinishedRun, ThreadedRun
from orchestrator.lab.windows.scripts import MODELS
from orchestrator.lab.windows.scripts.outcome import ScriptError, failure, success
from orchestrator.lab.windows.things import Process

_IMAGE = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"
_READS_STDIN = re.compile(r"\[Console\]::(In\b|OpenStandardInput)", re.IGNORECASE)
_PARAMETER = re.compile(
    r"(?P<attributes>(?:\[(?:[^\[\]]|\[[^\[\]]*\])*\]\s*)*)\$(?P<name>\w+)\s*(?P<default>=)?"
)


def run_powershell(computer: Computer, host: Process, user: str, arguments: str) -> ProgramRun:
    """Start powershell.exe with these arguments."""
    process = computer.spawn(
        _IMAGE,
        f"powershell.exe {arguments}",
        parent_pid=host.pid,
        session_id=0,
        owner=user,
    )
    source = _source(arguments)
    if _READS_STDIN.search(source) and "FromBase64String" in source:
        return ThreadedRun(computer, process, _run_bootstrap)
    computer.exit(process, 0)
    return _run_known(Console(computer, user), source)


def _source(arguments: str) -> str:
    match = re.search(r"-e(?:nc|ncodedcommand|c)?\s+([A-Za-z0-9+/=]+)", arguments, re.IGNORECASE)
    if match is not None:
        try:
            return base64.b64decode(match[1], validate=True).decode("utf-16-le")
        except (binascii.Error, UnicodeDecodeError):
            return ""
    match = re.search(r"-c(?:ommand)?\s+(.*)", arguments, re.IGNORECASE | re.DOTALL)
    return match[1].strip().strip('"') if match else arguments


def _run_known(console: Console, source: str) -> ProgramRun:
    text = re.sub(r"\$ProgressPreference\s*=\s*'?\"?SilentlyContinue'?\"?;?", "", source).strip()
    words = re.fullmatch(r"(?:Write-Output|Write-Host|echo)?\s*(['\"])(.*)\1", text, re.DOTALL)
    leave = re.fullmatch(r"exit\s+(\d+)", text)
    known = {
        "$env:computername": console.computer.name,
        "$psversiontable.psversion.tostring()": "5.1.20348.2340",
        "$psversiontable.psversion.major": "5",
    }
    if leave is not None:
        return FinishedRun(b"", b"", int(leave[1]))
    if text.lower() in known:
        return FinishedRun(f"{known[text.lower()]}\r\n".encode(), b"", 0)
    if words is not None:
        return FinishedRun(f"{words[2]}\r\n".encode(), b"", 0)
    program = re.fullmatch(r"([A-Za-z0-9_.]+)((?:\s+[^\s|;&$(){}]+)*)", text)
    if program is not None and program[1].lower().removesuffix(".exe") in PROGRAMS:
        stdout, stderr, code = run_line(console, text)
        return FinishedRun(stdout.encode(), stderr.encode(), code)
    if program is not None:
        return FinishedRun(b"", _clixml(_not_found(program[1])), 1)
    return FinishedRun(b"", _clixml("This simulated server runs no PowerShell of its own."), 1)


def _not_found(name: str) -> str:
    """What Windows PowerShell says of a command that does not exist."""
    return (
        f"{name} : The term '{name}' is not recognized as the name of a cmdlet, function, script "
        "file, or operable program. Check the spelling of the name, or if a path was included, "
        "verify that the path is correct and try again.\r\nAt line:1 char:1\r\n"
        f"    + CategoryInfo          : ObjectNotFound: ({name}:String) [], "
        "CommandNotFoundException\r\n    + FullyQualifiedErrorId : CommandNotFoundException"
    )


def _clixml(message: str) -> bytes:
    text = escape(message).replace("\r\n", "_x000D__x000A_")
    return (
        '#< CLIXML\r\n<Objs Version="1.1.0.1" '
        'xmlns="http://schemas.microsoft.com/powershell/2004/04">'
        f'<S S="Error">{text}_x000D__x000A_</S></Objs>'
    ).encode()


def _run_bootstrap(run: ThreadedRun, stdin: bytes) -> tuple[bytes, bytes, int]:
    try:
        payload = json.loads(base64.b64decode(b"".join(stdin.split()), validate=True))
        name, script, params = payload["name"], payload["script"], payload["params"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        return _line(failure("script_error", "stdin is not a script", "FormatException", ""), 1)
    try:
        bind(script, params)
        model = MODELS.get(name)
        if model is None:
            raise ScriptError("script_error", f"the lab has no model of {name}")
        return _line(success(model(run, params)), 0)
    except ScriptError as error:
        return _line(failure(error.code, error.message, error.kind, f"{name}.ps1:1"), 1)


def bind(script: str, params: dict[str, Any]) -> None:
    """Bind as PowerShell does: unknown and missing mandatory names are errors."""
    declared = {
        match["name"].lower(): bool(
            re.search(r"Mandatory(?!\s*=\s*\$false)", match["attributes"], re.IGNORECASE)
        )
        for match in _PARAMETER.finditer(_param_block(script))
    }
    for name in params:
        if name.lower() not in declared:
            raise ScriptError(
                "bad_parameter",
                f"A parameter cannot be found that matches parameter name '{name}'.",
                "ParameterBindingException",
            )
    given = {name.lower() for name in params}
    for name, mandatory in declared.items():
        if mandatory and name not in given:
            raise ScriptError(
                "bad_parameter",
                f"Cannot process command because of missing mandatory parameters: {name}.",
                "ParameterBindingException",
            )


def _param_block(script: str) -> str:
    start = re.search(r"\bparam\s*\(", script, re.IGNORECASE)
    if start is None:
        return ""
    depth, position = 1, start.end()
    while position < len(script) and depth:
        depth += {"(": 1, ")": -1}.get(script[position], 0)
        position += 1
    return script[start.end() : position - 1]


def _line(envelope: dict[str, Any], code: int) -> tuple[bytes, bytes, int]:
    text = json.dumps(envelope, separators=(",", ":"))
    return text.encode("ascii") + b"\r\n", b"", code
