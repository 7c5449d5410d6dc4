"""What may stand between the broker and a server: a proxy, a TLS relay, silence."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self


class Loopback:
    """A listener whose connections are each served in a thread of their own."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def serve(self, sock: socket.socket) -> None:
        """Until the end of the connection."""
        raise NotImplementedError

    def keep(self, sock: socket.socket) -> socket.socket:
        """Have it closed at the end."""
        self._open.append(sock)
        return sock

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for sock in self._open:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.keep(sock)
            thread = threading.Thread(target=self._guarded, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _guarded(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.serve(sock)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


class Silence(Loopback):
    """Takes connections, and never says a word."""

    def serve(self, sock: socket.socket) -> None:
        while sock.recv(65536):
            continue


class Plain(Loopback):
    """Answers whatever comes as HTTP.sys answers what is no HTTP."""

    def serve(self, sock: socket.socket) -> None:
        if sock.recv(65536):
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


class Proxy(Loopback):
    """An HTTP proxy for CONNECT; ``login`` is what Proxy-Authorization has to be."""

    def __init__(self, *, status: int = 200, login: str | None = None) -> None:
        super().__init__()
        self._status = status
        self._login = login
        self.asked_for: list[str] = []

    def serve(self, sock: socket.socket) -> None:
        head = _request(sock).decode("latin-1")
        if not head:
            return
        method, target, _ = head.split(" ", 2)
        self.asked_for.append(f"{method} {target}")
        status = self._status
        if self._login is not None and f"Proxy-Authorization: {self._login}\r\n" not in head:
            status = 407
        sock.sendall(f"HTTP/1.1 {status} Whatever\r\nVia: 1.1 proxy\r\n\r\n".encode())
        if status != 200:
            return
        host, _, port = target.rpartition(":")
        there = self.keep(socket.create_connection((host, int(port)), 5))
        there.settimeout(None)
        join(sock, there)


class TlsRelay(Loopback):
    """Opens TLS with a certificate of its own and passes on to a server's TLS."""

    def __init__(self, certificate: Path, port: int) -> None:
        super().__init__()
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.load_cert_chain(certificate)
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.check_hostname = False
        self._client.verify_mode = ssl.CERT_NONE
        self._to = port

    def serve(self, sock: socket.socket) -> None:
        near = self.keep(self._server.wrap_socket(sock, server_side=True))
        raw = socket.create_connection(("127.0.0.1", self._to), 5)
        raw.settimeout(None)
        far = self.keep(self._client.wrap_socket(raw))
        join(near, far)


def join(one: socket.socket, other: socket.socket) -> None:
    """Pass on in both directions until one side ends; in one thread, for TLS
    may not be read and written by two at once."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            try:
                data = _available(ready)
            except (BlockingIOError, ssl.SSLWantReadError):
                # TLS has read something of its own, such as a session's ticket.
                continue
            if not data:
                return
            (other if ready is one else one).sendall(data)


def _available(sock: socket.socket) -> bytes:
    sock.settimeout(0)
    try:
        data = sock.recv(65536)
        while isinstance(sock, ssl.SSLSocket) and sock.pending():
            data += sock.recv(65536)
    finally:
        sock.settimeout(None)
    return data


def _request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            break
        data += piece
    return data
