"""Models of Read-File.ps1 and Write-File.ps1."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import PureWindowsPath
from typing import Any

from orchestrator.lab.windows.files import Files
from orchestrator.lab.windows.runs import ThreadedRun
from orchestrator.lab.windows.scripts.launch import moment
from orchestrator.lab.windows.scripts.outcome import ScriptError

_TICKS_OF_1970 = 621_355_968_000_000_000
_ABSOLUTE = re.compile(r"(?:[A-Za-z]:\\|\\\\[^\\.?][^\\]*\\[^\\])[^<>\"|?*:]*")
_PART = re.compile(r"\.[0-9a-f]{16}\.(?:part|old)")


def read_file(run: ThreadedRun, params: Mapping[str, Any]) -> dict[str, Any]:
    """One piece of a file."""
    path = _path(params)
    offset, length = int(params.get("Offset", 0)), int(params.get("Length", 262144))
    with run.computer.look():
        content, modified = _open(run, path)
    version = f"{len(content)}-{_ticks(modified)}"
    if len(content) > int(params.get("MaxLength", 2**30)):
        raise ScriptError("file_too_big", f"{path} has {len(content)} bytes")
    asked = params.get("Version", "")
    if asked and asked != version:
        raise ScriptError("file_changed", f"{path} was changed while it was being read")
    if offset > len(content):
        raise ScriptError("file_changed", f"{path} has only {len(content)} bytes now")
    digest = None if asked else _hash(content)
    if digest is not None:
        _assert_unchanged(path, digest, params.get("ExpectedHash", "").lower())
    return {
        "path": path,
        "length": len(content),
        "hash": digest,
        "version": version,
        "modified_at": moment(modified),
        "offset": offset,
        "content": base64.b64encode(content[offset : offset + length]).decode("ascii"),
    }


def write_file(run: ThreadedRun, params: Mapping[str, Any]) -> dict[str, Any]:
    """One piece of a new content; the last one replaces the file."""
    with run.computer.look():
        return _Write(run, params).take()


class _Write:
    def __init__(self, run: ThreadedRun, params: Mapping[str, Any]) -> None:
        self.run = run
        self.files: Files = run.computer.files
        self.path = _path(params)
        self.wanted: str = params["Hash"].lower()
        self.expected: str = params.get("ExpectedHash", "").lower()
        self.part = f"{self.path}.{self.wanted[:16]}.part"
        self.length = int(params["Length"])
        self.offset = int(params.get("Offset", 0))
        self.params = params

    def take(self) -> dict[str, Any]:
        folder = str(PureWindowsPath(self.path).parent)
        if not self.files.is_folder(folder):
            raise ScriptError("folder_missing", f"{folder} is not there")
        present = self._present()
        if self.offset == 0 or not self.files.is_file(self.part):
            if present is not None and _hash(present) == self.wanted:
                self.files.remove(self.part)
                return self._answer(self.length, changed=False)
            _assert_unchanged(self.path, _hash(present), self.expected)
        piece = self._piece()
        if self.offset == 0:
            self._remove_leftovers(folder)
        held = self.files.read(self.part) or b""
        if len(held) < self.offset:
            self._keep(held)
            return self._answer(len(held), changed=False)
        if len(held) < self.offset + len(piece):
            held = held[: self.offset] + piece
        self._keep(held)
        if len(held) < self.length:
            return self._answer(len(held), changed=True)
        self.files.remove(self.part)
        return self._replace(held, present)

    def _present(self) -> bytes | None:
        if not self.files.is_file(self.path) and not self.files.is_folder(self.path):
            return None
        return _open(self.run, self.path)[0]

    def _piece(self) -> bytes:
        try:
            piece = base64.b64decode(self.params.get("Content", ""), validate=True)
        except binascii.Error as error:
            raise ScriptError("bad_parameter", "Content must be base64") from error
        if self.offset + len(piece) > self.length:
            raise ScriptError("bad_parameter", "the piece goes beyond Length")
        return piece

    def _keep(self, held: bytes) -> None:
        self.files.write(self.part, held, self.run.computer.now())

    def _replace(self, content: bytes, present: bytes | None) -> dict[str, Any]:
        if _hash(content) != self.wanted:
            raise ScriptError("transfer_broken", f"what arrived for {self.path} is damaged")
        _assert_unchanged(self.path, _hash(present), self.expected)
        answer = self._answer(self.length, changed=True)
        if present is not None:
            answer["previous_hash"] = _hash(present)
            if self.params.get("KeepBackup", True):
                answer["backup"] = f"{self.path}.bak"
                self.files.write(answer["backup"], present, self.run.computer.now())
        self.files.write(self.path, content, self.run.computer.now())
        return answer

    def _remove_leftovers(self, folder: str) -> None:
        now = self.run.computer.now()
        for each in self.files.listing(folder):
            rest = each[len(self.path) :]
            ours = each.lower().startswith(f"{self.path}.".lower()) and _PART.fullmatch(rest)
            if ours and each != self.part and (now - self.files.modified(each)).days >= 1:
                self.files.remove(each)

    def _answer(self, received: int, *, changed: bool) -> dict[str, Any]:
        return {
            "changed": changed,
            "path": self.path,
            "length": self.length,
            "hash": self.wanted,
            "received": received,
            "done": received == self.length,
            "previous_hash": None,
            "backup": None,
        }


def _path(params: Mapping[str, Any]) -> str:
    path: str = params["Path"].strip().replace("/", "\\")
    if not _ABSOLUTE.fullmatch(path):
        raise ScriptError("bad_parameter", f"Path must be an absolute path, not {path!r}")
    return path


def _open(run: ThreadedRun, path: str) -> tuple[bytes, datetime]:
    files = run.computer.files
    if files.is_denied(path):
        raise ScriptError("access_denied", f"Windows does not let this account at {path}")
    if files.is_locked(path):
        raise ScriptError("file_in_use", f"another program has {path} open")
    content = files.read(path)
    if content is None:
        what = "is a folder, not a file" if files.is_folder(path) else "is not there"
        raise ScriptError("file_missing", f"{path} {what}")
    return content, files.modified(path)


def _assert_unchanged(path: str, found: str | None, expected: str) -> None:
    if not expected or expected == found:
        return
    if expected == "missing":
        if found is not None:
            raise ScriptError("file_changed", f"{path} is there already")
        return
    if found is None:
        raise ScriptError("file_missing", f"{path} is not there any more")
    raise ScriptError("file_changed", f"{path} was changed meanwhile: it is {found} now")


def _hash(content: bytes | None) -> Any:
    return None if content is None else hashlib.sha256(content).hexdigest()


def _ticks(at: datetime) -> int:
    return _TICKS_OF_1970 + round(at.timestamp() * 1_000_000) * 10
