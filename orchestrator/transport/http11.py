"""Reading one HTTP/1.1 answer from a socket, within limits.

``http.client`` parses headers as if they were mail, which takes a third of a
poll's time. Only what a WinRM listener may send is read: a status line,
headers, and a body with a length, in chunks, or until the end.
"""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

MOST_BYTES = 64 * 1024 * 1024
"""The longest body; real ones end at MaxEnvelopeSizekb."""

_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
_TLS_ALERT = b"\x15\x03"
_LONGEST_HEAD = 65536
_MOST_INTERIM = 16
_STATUS = re.compile(r"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: .*)?", re.DOTALL)
_LENGTH = re.compile(r"[0-9]{1,12}")
_PIECE = 65536
_NAME = re.compile(r"[^\s:]+")


class NotHttp(Exception):
    """What came is not HTTP, or more than anybody should send."""


class CutShort(Exception):
    """The connection ended before the answer did."""


class Response(NamedTuple):
    """One answer; header names are in lower case, one may come several times.

    ``closes``: the server will send nothing more on this connection.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    closes: bool

    def header(self, name: str) -> str:
        """The first header of a name (in lower case), or an empty string."""
        for each, value in self.headers:
            if each == name:
                return value
        return ""


class Reader:
    """Reads answers from one socket; keeps what came too much."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()

    @property
    def has_rest(self) -> bool:
        """Whether something came that nobody asked for."""
        return bool(self._buffer)

    def read(self) -> Response:
        """The next final answer; interim ones (1xx) are passed over."""
        for _ in range(_MOST_INTERIM):
            response = self._read()
            if response.status >= 200:
                return response
        raise NotHttp("interim answers without an end")

    def read_head(self) -> Response:
        """An answer to CONNECT, after which the connection is another's."""
        status, headers, _ = self._head()
        return Response(status, headers, b"", closes=False)

    def _read(self) -> Response:
        status, headers, version = self._head()
        length = chunked = connection = ""
        for name, value in headers:
            if name == "content-length":
                if length and length != value:
                    raise NotHttp("two different lengths")
                length = value
            elif name == "transfer-encoding":
                chunked = value.lower()
            elif name == "connection":
                connection = value.lower()
        closes = "close" in connection or (version == "HTTP/1.0" and "keep" not in connection)
        if status < 200 or status in {204, 304}:
            return Response(status, headers, b"", closes)
        if chunked and chunked not in {"chunked", "identity"}:
            raise NotHttp(f"a transfer encoding {chunked[:20]!r}")
        if chunked == "chunked":
            return Response(status, headers, self._chunks(), closes)
        if length:
            if not _LENGTH.fullmatch(length) or int(length) > MOST_BYTES:
                raise NotHttp(f"a body of {length[:20]!r} bytes")
            return Response(status, headers, self._exactly(int(length)), closes)
        return Response(status, headers, self._until_end(), closes=True)

    def _head(self) -> tuple[int, tuple[tuple[str, str], ...], str]:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        while end < 0:
            if len(buffer) > _LONGEST_HEAD:
                raise NotHttp("headers without an end")
            if buffer and b"HTTP/1."[: len(buffer)] != buffer[:7]:
                if buffer.startswith(_TLS_ALERT):
                    raise NotHttp("the port speaks TLS: write ansible_winrm_scheme: https")
                raise NotHttp(f"it begins with {bytes(buffer[:20])!r}")
            before = len(buffer)
            self._more()
            end = buffer.find(b"\r\n\r\n", max(0, before - 3))
        first, *lines = buffer[:end].decode("latin-1").split("\r\n")
        del buffer[: end + 4]
        status = _STATUS.fullmatch(first)
        if status is None:
            raise NotHttp(f"it begins with {first[:40]!r}")
        headers = tuple([_header(line) for line in lines])
        return int(status[1]), headers, first[:8]

    def _exactly(self, size: int) -> bytes:
        buffer = self._buffer
        while len(buffer) < size:
            self._more()
        body = bytes(buffer[:size])
        del buffer[:size]
        return body

    def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            line = self._line().split(b";")[0].strip()
            if not _CHUNK_SIZE.fullmatch(line):
                raise NotHttp(f"a chunk of size {line[:20]!r}")
            size = int(line, 16)
            if len(body) + size > MOST_BYTES:
                raise NotHttp("chunks without an end")
            if size == 0:
                self._trailers()
                return bytes(body)
            body += self._exactly(size)
            if self._line():
                raise NotHttp("a chunk longer than it says")

    def _trailers(self) -> None:
        size = 0
        while line := self._line():
            size += len(line)
            if size > _LONGEST_HEAD:
                raise NotHttp("trailers without an end")

    def _line(self) -> bytes:
        buffer = self._buffer
        while (end := buffer.find(b"\r\n")) < 0:
            if len(buffer) > _LONGEST_HEAD:
                raise NotHttp("a line without an end")
            self._more()
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        return line

    def _until_end(self) -> bytes:
        while len(self._buffer) <= MOST_BYTES:
            try:
                self._more()
            except CutShort:
                body = bytes(self._buffer)
                self._buffer.clear()
                return body
        raise NotHttp("a body without an end")

    def _more(self) -> None:
        piece = self._sock.recv(_PIECE)
        if not piece:
            raise CutShort("the server closed the connection")
        self._buffer += piece


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _NAME.fullmatch(name) or "\r" in value or "\n" in value:
        raise NotHttp(f"a header line {line[:200]!r}")
    return name.lower(), value.strip(" \t")
