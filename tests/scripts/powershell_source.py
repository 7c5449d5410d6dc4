"""Reads our PowerShell as text: enough to check rules where no PowerShell is at hand.

It is no parser. It knows strings and comments, so that a rule looks at code
only, and takes functions and parameters out of what our own style writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "scripts" / "powershell"

_FUNCTION = re.compile(r"^function ([A-Za-z-]+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_PARAMETER = re.compile(
    r"\[([a-z0-9.]+(?:\[\])?)\]\s*\$([A-Za-z]+)\s*(?:=[^,\n]*)?,?\s*$", re.I | re.M
)
_NEEDS = re.compile(r"^#\s*Needs:\s*(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """One .ps1 file."""

    path: Path

    @cached_property
    def text(self) -> str:
        """As it is in the repository."""
        return self.path.read_text(encoding="ascii")

    @cached_property
    def code(self) -> str:
        """Without comments and without the literal text of strings."""
        return without_literals(self.text)

    @property
    def name(self) -> str:
        """Without the folder."""
        return self.path.name

    @property
    def needs(self) -> list[str]:
        """Files that travel with it."""
        return _NEEDS.findall(self.text)

    @property
    def is_script(self) -> bool:
        """Whether it is called by itself; the others are modules or the bootstrap.

        One that an administrator copies to a server needs no other file.
        """
        return bool(self.needs) or self.name.startswith("Enable-")

    @cached_property
    def functions(self) -> dict[str, str]:
        """Code of the functions that it defines, by name."""
        return dict(_FUNCTION.findall(self.code))

    @cached_property
    def outside(self) -> str:
        """Code that is in no function."""
        return _FUNCTION.sub("", self.code)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Types of a script's parameters, by name."""
        return {name: kind for kind, name in _PARAMETER.findall(param_block(self.code))}


def sources() -> list[Source]:
    """Every file of the folder."""
    return [Source(path) for path in sorted(FOLDER.glob("*.ps1"))]


def param_block(code: str) -> str:
    """What stands between the parentheses of the first ``param(``."""
    start = re.search(r"\bparam\s*\(", code)
    if start is None:
        return ""
    depth, position = 1, start.end()
    while depth:
        depth += {"(": 1, ")": -1}.get(code[position], 0)
        position += 1
    return code[start.end() : position - 1]


def without_literals(text: str) -> str:
    """Comments and literal text blanked; what strings expand is kept as code."""
    return _Blanker(text).blank()


class _Blanker:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.out: list[str] = []

    def blank(self) -> str:
        self._code(closing="")
        return "".join(self.out)

    def _code(self, closing: str) -> None:
        depth = 0
        while self.at < len(self.text):
            char = self.text[self.at]
            if closing and char == closing and depth == 0:
                return
            depth += {"(": 1, ")": -1}.get(char, 0)
            if self.text.startswith("<#", self.at):
                self._hide(self.text.index("#>", self.at) + 2)
            elif char == "#":
                self._hide(self._find("\n", self.at))
            elif char == "'":
                self._single()
            elif char == '"':
                self._double()
            else:
                self._keep()

    def _single(self) -> None:
        self._keep()
        while not (self.text[self.at] == "'" and self.text[self.at + 1 : self.at + 2] != "'"):
            self._hide(self.at + (2 if self.text[self.at] == "'" else 1))
        self._keep()

    def _double(self) -> None:
        self._keep()
        while self.text[self.at] != '"':
            variable = re.compile(r"\$(?:\{\w+\}|\w+)").match(self.text, self.at)
            if self.text[self.at] == "`":
                self._hide(self.at + 2)
            elif self.text.startswith("$(", self.at):
                self._keep(2)
                self._code(closing=")")
                self._keep()
            elif variable:
                self._keep(len(variable.group()))
                self.out.append(" ")
            else:
                self._hide(self.at + 1)
        self._keep()

    def _keep(self, count: int = 1) -> None:
        self.out.append(self.text[self.at : self.at + count])
        self.at += count

    def _hide(self, end: int) -> None:
        self.out.append(re.sub(r"[^\n]", " ", self.text[self.at : end]))
        self.at = end

    def _find(self, what: str, start: int) -> int:
        found = self.text.find(what, start)
        return len(self.text) if found < 0 else found
