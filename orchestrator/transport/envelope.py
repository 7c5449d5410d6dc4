"""The one line of JSON that a script answers with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.errors import Outcome, ProtocolViolation, ScriptFailed
from orchestrator.transport.shell import Completed

VERSION = 1
_CLIXML = "#< CLIXML"
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
        warnings = tuple(str(warning) for warning in envelope.get("warnings") or ())
        return Answer(bool(envelope.get("changed")), envelope.get("data") or {}, warnings)
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
    stderr = readable_stderr(completed.stderr)
    text = stderr or completed.stdout.decode("utf-8", "replace").strip()
    return text[-_TAIL:] if text else "it wrote nothing"


def readable_stderr(raw: bytes) -> str:
    """PowerShell's stderr without CLIXML: its error texts, progress left out."""
    text = raw.decode("utf-8-sig", "replace").replace("\ufeff", "")
    if _CLIXML not in text:
        return text.strip()
    plain = re.sub(r"#< CLIXML\s*(<Objs .*?</Objs>)?", "", text, flags=re.DOTALL)
    errors = re.findall(r'<S S="Error">(.*?)</S>', text, flags=re.DOTALL)
    words = "".join(_unescape(part) for part in errors)
    return " ".join((plain + " " + words).split())


def _envelope(stdout: bytes | bytearray) -> dict[str, Any] | None:
    lines = stdout.decode("utf-8-sig", "replace").splitlines()
    for line in reversed(lines):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError:
            return None
        if isinstance(found, dict) and found.get("v") == VERSION and "ok" in found:
            return found
        return None
    return None


def _unescape(text: str) -> str:
    """CLIXML's own escapes (_x000D_) and XML's."""
    for name, character in (("lt", "<"), ("gt", ">"), ("quot", '"'), ("apos", "'"), ("amp", "&")):
        text = text.replace(f"&{name};", character)
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), text)
