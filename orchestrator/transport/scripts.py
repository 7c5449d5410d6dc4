"""The PowerShell that travels with a call.

A script is text from ``scripts/powershell``. A line ``# Needs: Common.ps1``
names files of the same folder that are sent along and loaded before it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

COMMAND = "powershell.exe"
_FLAGS = ["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass"]
_LONGEST_LINE = 8191
"""Characters of a command line that cmd.exe takes."""

_NEEDS = re.compile(r"^#\s*Needs:\s*(\S+\.ps1)\s*$", re.MULTILINE)
_BLOCK_COMMENT = re.compile(r"<#.*?#>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and that of the files it needs."""

    name: str
    text: str
    modules: tuple[str, ...]

    def payload(self, parameters: Mapping[str, object]) -> bytes:
        """What the bootstrap reads from stdin: base64 of JSON, one line."""
        body = {
            "name": self.name,
            "script": self.text,
            "params": {key: value for key, value in parameters.items() if value is not None},
            "modules": list(self.modules),
        }
        return base64.b64encode(json.dumps(body).encode("ascii")) + b"\r\n"


class ScriptLibrary:
    """The scripts of one folder, each read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scripts: dict[str, Script] = {}

    def load(self, name: str) -> Script:
        """The script ``<name>.ps1``."""
        if name not in self._scripts:
            text = self._read(f"{name}.ps1")
            modules = tuple(without_comments(self._read(file)) for file in _NEEDS.findall(text))
            self._scripts[name] = Script(name, without_comments(text), modules)
        return self._scripts[name]

    @cached_property
    def arguments(self) -> list[str]:
        """Arguments of powershell.exe that run the bootstrap."""
        source = without_comments(self._read("Bootstrap.ps1"))
        encoded = base64.b64encode(source.encode("utf-16-le")).decode("ascii")
        arguments = [*_FLAGS, "-EncodedCommand", encoded]
        length = len(" ".join([COMMAND, *arguments]))
        if length > _LONGEST_LINE:
            raise ValueError(f"Bootstrap.ps1 makes a command line of {length} characters")
        return arguments

    def _read(self, file: str) -> str:
        return (self._folder / file).read_text(encoding="ascii")


def without_comments(text: str) -> str:
    """The text without help blocks, comment lines, empty lines and indentation.

    Here-strings are not used in our scripts, so every line can be stripped.
    """
    lines = (line.strip() for line in _BLOCK_COMMENT.sub("", text).splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))
