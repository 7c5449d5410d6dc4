"""A colon without a space after it: YAML takes such a line for text and complains elsewhere."""

from __future__ import annotations

import re

_GLUED = re.compile(r"(\s*(?:- +)?)([A-Za-z_][A-Za-z0-9_-]*):(?!//)[^\s:](?!.*:(?:\s|$))")


def glued_name(text: str) -> str | None:
    """The name in ``name:value``; None where the text is no such thing."""
    match = _GLUED.match(text)
    return match[2] if match else None


def glued_line(text: str, line: int) -> tuple[int, int, str] | None:
    """The line, column and name of the first such line of those that end at ``line``.

    All count from 1. Blank lines and comments between are passed over.
    """
    found = None
    lines = text.splitlines()
    for number in range(min(line, len(lines)), 0, -1):
        written = lines[number - 1]
        match = _GLUED.match(written)
        if match:
            found = number, len(match[1]) + 1, match[2]
        elif number < line and written.strip() and not written.lstrip().startswith("#"):
            break
    return found


def advice(name: str) -> str:
    """What to write; the value is not shown, for it may be a password."""
    return f"write a space after the colon of '{name}:'"
