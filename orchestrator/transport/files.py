"""Files to and from a server, in pieces, whatever breaks in between.

Only one piece is in memory at a time. A piece is one script call, and each of
its SOAP messages stays under the smallest MaxEnvelopeSize because the shell
cuts its input (docs/adr/0013). Reading starts with the file's hash and ends
with comparing it; writing names the transfer by the content's hash, so that the
server knows a transfer again that broke, even that of another process.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import BinaryIO

from orchestrator.domain.errors import Outcome, ProtocolViolation, ScriptFailed, ServerCallError
from orchestrator.domain.file import RemoteFile, WrittenFile
from orchestrator.transport.envelope import Answer
from orchestrator.transport.wql import parse_datetime

PIECE = 256 * 1024
"""Bytes of a piece. Each costs a process on the server, so a small one is dear;
a large one is lost as a whole where the connection breaks."""

MAX_BYTES = 1024**3

_ATTEMPTS = 4
_PAUSES = (0.2, 1.0, 3.0)

Call = Callable[[str, Mapping[str, object]], Answer]
"""Runs a script with parameters."""


class FileTransfer:
    """Transfers on one server. ``pause`` waits between two attempts, in seconds."""

    def __init__(
        self,
        server: str,
        call: Call,
        *,
        piece: int = PIECE,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._server = server
        self._call = call
        self._piece = piece
        self._pause = pause

    def read(self, path: str, into: BinaryIO, *, resume: bool, max_bytes: int) -> RemoteFile:
        """Copy a file into ``into``; see ``FileGateway``."""
        digest = hashlib.sha256()
        offset = _keep(into, digest) if resume else _empty(into)
        first = self._read_piece(path, offset, max_bytes, "")
        whole = self._remote(first)
        piece = first
        while True:
            content = self._content(piece)
            digest.update(content)
            into.write(content)
            offset += len(content)
            if offset >= whole.length:
                break
            if not content:
                raise self._changed(path, "it became shorter")
            piece = self._read_piece(path, offset, max_bytes, str(first.data["version"]))
        if digest.hexdigest() != whole.hash:
            _empty(into)
            raise self._changed(path, "what was read does not have its SHA-256")
        return whole

    def write(
        self, path: str, content: BinaryIO, *, expected_hash: str | None, keep_backup: bool
    ) -> WrittenFile:
        """Replace a file by ``content``; see ``FileGateway``."""
        length, digest = self._measure(content)
        order: dict[str, object] = {
            "Path": path,
            "Length": length,
            "Hash": digest,
            "ExpectedHash": expected_hash or "",
            "KeepBackup": keep_backup,
        }
        try:
            return self._send(content, order, length)
        except ScriptFailed as error:
            if error.code != "transfer_broken":
                raise
        # The server had a damaged part of an earlier transfer, and removed it.
        return self._send(content, order, length)

    def _send(self, content: BinaryIO, order: Mapping[str, object], length: int) -> WrittenFile:
        offset, stuck = 0, 0
        while True:
            content.seek(offset)
            piece = base64.b64encode(content.read(self._piece)).decode("ascii")
            answer = self._again("Write-File", {**order, "Offset": offset, "Content": piece})
            try:
                received, done = int(answer.data["received"]), answer.data["done"] is True
                if done:
                    return _written(answer)
            except (KeyError, TypeError, ValueError) as error:
                raise self._unusable("Write-File", error) from error
            stuck = stuck + 1 if received <= offset else 0
            if stuck >= _ATTEMPTS or not 0 <= received < length:
                raise ProtocolViolation(
                    f"the server has {received} of {length} bytes and does not get further",
                    server=self._server,
                    outcome=Outcome.NOT_EXECUTED,
                )
            offset = received

    def _read_piece(self, path: str, offset: int, max_bytes: int, version: str) -> Answer:
        order = {
            "Path": path,
            "Offset": offset,
            "Length": self._piece,
            "MaxLength": max_bytes,
            "Version": version,
        }
        return self._again("Read-File", order)

    def _again(self, script: str, order: Mapping[str, object]) -> Answer:
        """Call until it succeeds: every piece may be repeated, also where nobody
        knows whether it arrived. What the script itself says is final."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._call(script, order)
            except ServerCallError as error:
                unknown = isinstance(error, ProtocolViolation) and error.outcome is Outcome.UNKNOWN
                if attempt == _ATTEMPTS - 1 or not (error.retryable or unknown):
                    raise
                self._pause(_PAUSES[attempt])
        raise AssertionError("not reached")

    def _measure(self, content: BinaryIO) -> tuple[int, str]:
        content.seek(0)
        digest, length = hashlib.sha256(), 0
        while block := content.read(self._piece):
            digest.update(block)
            length += len(block)
        return length, digest.hexdigest()

    def _remote(self, answer: Answer) -> RemoteFile:
        data = answer.data
        try:
            modified = parse_datetime(data["modified_at"])
            return RemoteFile(str(data["path"]), int(data["length"]), str(data["hash"]), modified)
        except (KeyError, TypeError, ValueError) as error:
            raise self._unusable("Read-File", error) from error

    def _content(self, answer: Answer) -> bytes:
        try:
            content = base64.b64decode(answer.data["content"], validate=True)
        except (KeyError, TypeError, binascii.Error) as error:
            raise self._unusable("Read-File", error) from error
        if len(content) > self._piece:
            raise self._unusable("Read-File", ValueError(f"piece of {len(content)} bytes"))
        return content

    def _changed(self, path: str, why: str) -> ScriptFailed:
        message = f"{path} was changed while it was being read: {why}"
        return ScriptFailed("file_changed", message, server=self._server)

    def _unusable(self, script: str, error: Exception) -> ProtocolViolation:
        return ProtocolViolation(
            f"{script} answered without a usable {error}",
            server=self._server,
            outcome=Outcome.EXECUTED,
        )


def _written(answer: Answer) -> WrittenFile:
    data = answer.data
    return WrittenFile(
        path=str(data["path"]),
        length=int(data["length"]),
        hash=str(data["hash"]),
        changed=answer.changed,
        previous_hash=data.get("previous_hash"),
        backup=data.get("backup"),
    )


def _empty(into: BinaryIO) -> int:
    into.seek(0)
    into.truncate()
    return 0


def _keep(into: BinaryIO, digest: hashlib._Hash) -> int:
    """Hash what is there already; its length."""
    into.seek(0)
    length = 0
    while block := into.read(PIECE):
        digest.update(block)
        length += len(block)
    return length
