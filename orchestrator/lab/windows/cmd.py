"""Enough of cmd.exe that a stranger's first commands answer as on Windows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PureWindowsPath

from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.files import Files

_UNKNOWN = (
    "'{name}' is not recognized as an internal or external command,\r\n"
    "operable program or batch file.\r\n"
)
_INSTALLED = "01/15/2024  09:00 AM"
_FREE = 120 * 2**30


@dataclass(slots=True)
class Console:
    """What a line of cmd runs in."""

    computer: Computer
    user: str
    environment: dict[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        """Its environment, names in upper case."""
        base = {
            "COMPUTERNAME": self.computer.name,
            "SYSTEMROOT": r"C:\Windows",
            "TEMP": rf"C:\Users\{self.user}\AppData\Local\Temp",
            "USERNAME": self.user,
            "USERPROFILE": rf"C:\Users\{self.user}",
        }
        return base | {name.upper(): value for name, value in self.environment.items()}


Result = tuple[str, str, int]


def run_line(console: Console, line: str) -> Result:
    """One line: stdout, stderr, exit code. ``&``, ``&&`` and ``||`` join commands."""
    stdout, stderr, code = "", "", 0
    for joiner, command in _split(line):
        if (joiner == "&&" and code) or (joiner == "||" and not code):
            continue
        out, err, code = _run_one(console, command.strip())
        stdout, stderr = stdout + out, stderr + err
    return stdout, stderr, code


def _split(line: str) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = []
    joiner, current, quoted = "", "", False
    position = 0
    while position < len(line):
        character = line[position]
        if character == '"':
            quoted = not quoted
        two = line[position : position + 2]
        found = two if two in {"&&", "||"} else character if character == "&" else ""
        if found and not quoted:
            parts.append((joiner, current))
            joiner, current = found, ""
            position += len(found)
            continue
        current += character
        position += 1
    parts.append((joiner, current))
    return [part for part in parts if part[1].strip()]


def _run_one(console: Console, command: str) -> Result:
    command = _expand(console, command)
    if not command:
        return "", "", 0
    match = re.match(r'"([^"]+)"|([^\s/]+)', command)
    name = (match[1] or match[2]) if match else command
    rest = command[match.end() :].strip() if match else ""
    plain = name.rpartition("\\")[2].lower().removesuffix(".exe")
    built_in = _COMMANDS.get(plain)
    if built_in is None:
        return "", _UNKNOWN.format(name=name), 1
    return built_in(console, rest)


def _expand(console: Console, text: str) -> str:
    known = console.variables()
    return re.sub(r"%(\w+)%", lambda m: known.get(m[1].upper(), m[0]), text)


def _echo(_: Console, rest: str) -> Result:
    return f"{rest}\r\n", "", 0


def _hostname(console: Console, _: str) -> Result:
    return f"{console.computer.name}\r\n", "", 0


def _whoami(console: Console, _: str) -> Result:
    return f"{console.computer.name}\\{console.user}\r\n".lower(), "", 0


def _ver(_: Console, __: str) -> Result:
    return "\r\nMicrosoft Windows [Version 10.0.20348.2340]\r\n", "", 0


def _exit(_: Console, rest: str) -> Result:
    words = rest.replace("/b", "").replace("/B", "").split()
    code = int(words[0]) if words and words[0].lstrip("-").isdigit() else 0
    return "", "", code


def _set(console: Console, rest: str) -> Result:
    name, separator, value = rest.strip('"').partition("=")
    if separator:
        console.environment[name.strip().upper()] = value
        return "", "", 0
    lines = [
        f"{key}={value}\r\n"
        for key, value in sorted(console.variables().items())
        if key.startswith(rest.strip().upper())
    ]
    if not lines:
        return "", f"Environment variable {rest.strip()} not defined\r\n", 1
    return "".join(lines), "", 0


def _type(console: Console, rest: str) -> Result:
    content = console.computer.files.read(rest.strip('"'))
    if content is None:
        return "", "The system cannot find the file specified.\r\n", 1
    return content.decode("utf-8", "replace"), "", 0


def _dir(console: Console, rest: str) -> Result:
    options = {word.lower() for word in re.findall(r"(?:^|\s)(/\S+)", rest)}
    named = re.sub(r"(?:^|\s)/\S+", " ", rest).strip().strip('"')
    path = PureWindowsPath(named or rf"C:\Users\{console.user}")
    files = console.computer.files
    if files.is_file(str(path)):
        folder, entries = path.parent, [path]
    elif files.is_folder(str(path)) or not named:
        folder = path
        paths = [*files.folders(str(path)), *files.listing(str(path))]
        entries = sorted(map(PureWindowsPath, paths), key=lambda each: each.name.lower())
    else:
        return "", "File Not Found\r\n", 1
    if "/b" in options:
        return "".join(f"{each.name}\r\n" for each in entries), "", 0
    return _dir_table(console.computer, folder, entries), "", 0


def _dir_table(
    computer: Computer, folder: PureWindowsPath, entries: Sequence[PureWindowsPath]
) -> str:
    files = computer.files
    sizes = [len(files.read(str(each)) or b"") for each in entries if files.is_file(str(each))]
    lines = [
        f" Volume in drive {folder.drive[:1]} has no label.",
        " Volume Serial Number is 5A1F-0C3B",
        "",
        f" Directory of {folder}",
        "",
        *(_dir_line(files, each) for each in entries),
        f"{len(sizes):>16} File(s) {sum(sizes):>14,} bytes",
        f"{len(entries) - len(sizes):>16} Dir(s)  {_FREE:,} bytes free",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def _dir_line(files: Files, path: PureWindowsPath) -> str:
    if not files.is_file(str(path)):
        return f"{_INSTALLED}    <DIR>          {path.name}"
    written = files.modified(str(path)).strftime("%m/%d/%Y  %I:%M %p")
    return f"{written} {len(files.read(str(path)) or b''):>17,} {path.name}"


def _chcp(_: Console, __: str) -> Result:
    return "Active code page: 65001\r\n", "", 0


def _ipconfig(_: Console, __: str) -> Result:
    return "\r\nWindows IP Configuration\r\n\r\n   IPv4 Address. . . : 127.0.0.1\r\n", "", 0


def _tasklist(console: Console, _: str) -> Result:
    lines = [
        f"{process.name:<25} {process.pid:>8} {process.session_id:>10}\r\n"
        for process in console.computer.processes()
    ]
    return "".join(lines), "", 0


def _cmd(console: Console, rest: str) -> Result:
    match = re.match(r"(?:/[a-z]\s+)*?/[ck]\s+(.*)", rest, re.IGNORECASE | re.DOTALL)
    if match is None:
        return "Microsoft Windows [Version 10.0.20348.2340]\r\n", "", 0
    line = match[1].strip()
    if line.startswith('"') and line.endswith('"') and line.count('"') == 2:
        line = line[1:-1]
    return run_line(console, line)


_COMMANDS: dict[str, Callable[[Console, str], Result]] = {
    "chcp": _chcp,
    "cmd": _cmd,
    "dir": _dir,
    "echo": _echo,
    "exit": _exit,
    "hostname": _hostname,
    "ipconfig": _ipconfig,
    "set": _set,
    "tasklist": _tasklist,
    "type": _type,
    "ver": _ver,
    "whoami": _whoami,
}

PROGRAMS = frozenset({"cmd", "hostname", "ipconfig", "tasklist", "whoami"})
"""Those that are programs of their own, and so known to PowerShell too."""
