"""The one line of JSON that a script answers with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.errors import Outcome, ProtocolViolation, ScriptFailed
from orchestrator.transport.command import Completed
from orchestrator.transport.console import decoded, without_clixml

VERSION = 1
_TAIL = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """A script's success."""

    changed: bool
    data: Mapping[str, Any]
    warnings: tuple[str, ...]


def is_complete(stdout: bytes | bytearray) -> bool:
    """Whether the answer's line has come whole: it is the last that a script
    writes, so that nobody needs to wait for the process to end."""
    if not stdout.endswith(b"\n"):
        return False
    return _envelope(stdout) is not None


def read_answer(completed: Completed, server: str, script: str) -> Answer:
    """The script's answer; ScriptFailed with its code, or ProtocolViolation.

    No envelope at all, after the exit code has come, still means that the
    outcome is unknown: the script may have been cut off in the middle.
    """
    envelope = _envelope(completed.stdout)
    if envelope is None:
        raise ProtocolViolation(
            f"{script} ended with exit code {completed.exit_code} without an answer: "
            f"{describe_output(completed)}",
            server=server,
            outcome=Outcome.UNKNOWN,
        )
    error = envelope.get("error")
    if envelope["ok"] is True and error is None:
        data = envelope.get("data") or {}
        if not isinstance(data, dict):
            raise ProtocolViolation(
                f"{script} answered with data that has no names",
                server=server,
                outcome=Outcome.EXECUTED,
            )
        return Answer(bool(envelope.get("changed")), data, _texts(envelope.get("warnings")))
    if not isinstance(error, dict):
        error = {}
    raise ScriptFailed(
        str(error.get("code") or "script_error"),
        str(error.get("message") or "the script failed without saying why"),
        server=server,
        at=str(error.get("at") or ""),
    )


def describe_output(completed: Completed) -> str:
    """What a command wrote, for an error's text: stderr's words, else stdout's."""
    text = without_clixml(completed.stderr) or decoded(completed.stdout).strip()
    return text[-_TAIL:] if text else "it wrote nothing"


def _envelope(stdout: bytes | bytearray) -> dict[str, Any] | None:
    """The last line, where it is an answer; only that is decoded."""
    line = bytes(stdout.rstrip()).rpartition(b"\n")[2]
    try:
        found = json.loads(line.decode("utf-8-sig").strip())
    except ValueError:
        return None
    if isinstance(found, dict) and found.get("v") == VERSION and "ok" in found:
        return found
    return None


def _texts(value: object) -> tuple[str, ...]:
    """A list's texts; PowerShell makes a list of one its only element."""
    if isinstance(value, list):
        return tuple(str(each) for each in value)
    return (str(value),) if value else ()
