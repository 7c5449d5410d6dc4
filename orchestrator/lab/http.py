"""HTTP/1.1 on sockets: a thread a connection, kept alive, cut on demand.

Its own, because the lab has to break answers where no server library would.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

_MOST_HEADERS = 100
_LONGEST_LINE = 65536


class Cut(Exception):
    """Close the connection; ``partial`` is written before."""

    def __init__(self, partial: bytes = b"") -> None:
        super().__init__()
        self.partial = partial


class Hang(Exception):
    """Answer nothing until the client gives up or the server stops."""


class Drip(Exception):
    """Write ``whole`` a byte at a time, the last one never."""

    def __init__(self, whole: bytes, stopping: threading.Event) -> None:
        super().__init__()
        self.whole = whole
        self.stopping = stopping

    def write(self, sock: socket.socket) -> None:
        """Go on until the client gives up or the server stops."""
        for position in range(len(self.whole) - 1):
            sock.sendall(self.whole[position : position + 1])
            if self.stopping.wait(0.05):
                return


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class HttpReply:
    """One answer; a header may come several times."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)

    def encode(self) -> bytes:
        """The bytes on the wire."""
        reason = _REASONS.get(self.status, "Status")
        lines = [f"HTTP/1.1 {self.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += ["Server: Microsoft-HTTPAPI/2.0", f"Content-Length: {len(self.body)}"]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Request Entity Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

Handler = Callable[[HttpRequest], HttpReply]
"""Answers the requests of one connection; may raise Cut."""

NewHandler = Callable[[socket.socket], Handler]
"""The handler of a connection; the socket tells who is at the other end."""


class HttpListener:
    """Accepts connections and gives each a handler of its own."""

    def __init__(
        self,
        host: str,
        port: int,
        new_handler: NewHandler,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._new_handler = new_handler
        self._context = context
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self._listener = socket.create_server((host, port), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name=f"lab-{self.port}", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._acceptor.start()

    def stop(self) -> None:
        """Close the listener and every connection, and wait for the threads."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._acceptor.ident is not None:
            self._acceptor.join()
        with self._lock:
            still_open, threads = list(self._open), list(self._threads)
        for sock in still_open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        with self._lock:
            return len(self._open)

    def _accept(self) -> None:
        while not self._stopping:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(
                target=self._serve, args=(sock,), name=f"lab-{self.port}-connection", daemon=True
            )
            with self._lock:
                self._open.add(sock)
                self._threads = [each for each in self._threads if each.is_alive()]
                thread.start()
                self._threads.append(thread)

    def _serve(self, sock: socket.socket) -> None:
        stream = sock
        try:
            if self._context is not None:
                stream = self._context.wrap_socket(sock, server_side=True)
                with self._lock:
                    self._open.discard(sock)
                    self._open.add(stream)
            self._converse(stream)
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open -= {stream, sock}
            stream.close()

    def _converse(self, sock: socket.socket) -> None:
        handler = self._new_handler(sock)
        with sock.makefile("rb") as reader:
            while not self._stopping:
                request = _read(reader, sock)
                if request is None:
                    return
                try:
                    reply = handler(request)
                except Cut as cut:
                    sock.sendall(cut.partial)
                    return
                except Hang:
                    while sock.recv(_LONGEST_LINE):
                        pass
                    return
                except Drip as drip:
                    drip.write(sock)
                    return
                sock.sendall(reply.encode())
                if request.headers.get("connection", "").lower() == "close":
                    return


def _read(reader: BinaryIO, sock: socket.socket) -> HttpRequest | None:
    line = reader.readline(_LONGEST_LINE)
    if not line.strip():
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    for _ in range(_MOST_HEADERS):
        line = reader.readline(_LONGEST_LINE)
        if line in {b"\r\n", b"\n", b""}:
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    return HttpRequest(method, path, headers, _read_body(reader, headers))


def _read_body(reader: BinaryIO, headers: dict[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", "").lower():
        return reader.read(int(headers.get("content-length") or 0))
    pieces = []
    while size := int(reader.readline(_LONGEST_LINE).split(b";")[0], 16):
        pieces.append(reader.read(size))
        reader.readline(_LONGEST_LINE)
    while reader.readline(_LONGEST_LINE).strip():
        pass
    return b"".join(pieces)
