"""The network before a server, which can die in ways that servers die.

Packets that vanish are made of what loopback offers: a kept connection stays
open and nothing that was said on it arrives, and a new one never comes about,
because the queue of those that wait to be accepted is full.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time

REFUSES, HANGS, VANISHES = "refuses", "hangs", "vanishes"
"""Connections are closed and refused; taken and never answered; never come about."""

WAYS = (REFUSES, HANGS, VANISHES)

_BETWEEN_POLLS = 0.5
"""Seconds without a request after which the next one begins a poll."""


class Gate:
    """Passes on what is said to a port of loopback, until it is told to die."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.RLock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._queued: list[socket.socket] = []
        self._silent = False
        self._armed: tuple[str, int] | None = None
        self._asked_at = 0.0
        self._request = 0
        self.died_at: float | None = None
        """By the monotonic clock, which all processes of a machine share."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._accept(self._listener)

    def die(self, way: str) -> None:
        """Now."""
        with self._lock:
            self._armed = None
            self._silent = way != REFUSES
            self.died_at = time.monotonic()
            if way == REFUSES:
                self._close()
                # Bound, so that nobody else gets the port meanwhile.
                self._listener = socket.socket()
                self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._listener.bind(("127.0.0.1", self.port))
            elif way == VANISHES:
                self._stop_listening()
                self._listener = socket.create_server(("127.0.0.1", self.port), backlog=0)
                self._queued = [_knock(self.port) for _ in range(2)]

    def arm(self, way: str, requests: int) -> None:
        """Die of the request that comes so many after a poll's first."""
        with self._lock:
            self._armed = (way, requests)

    def revive(self) -> None:
        """As a machine that has booted: nothing of before is known any more."""
        with self._lock:
            self.died_at = None
            self._close()
            self._silent = False
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self._accept(self._listener)

    def stop(self) -> None:
        """End every connection and thread."""
        with self._lock:
            self._close()
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _close(self) -> None:
        self._stop_listening()
        for each in self._queued:
            each.close()
        self._queued.clear()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        self._start(threading.Thread(target=self._accepting, args=(listener,), daemon=True))

    def _start(self, thread: threading.Thread) -> None:
        self._threads = [each for each in self._threads if each.is_alive()]
        thread.start()
        self._threads.append(thread)

    def _accepting(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if listener is not self._listener:
                    near.close()
                    return
                far = socket.create_connection(("127.0.0.1", self._target))
                for each in (near, far):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open |= {near, far}
                self._start(threading.Thread(target=self._relay, args=(near, far), daemon=True))

    def _relay(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with near, far, contextlib.suppress(OSError):
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is near:
                        self._count()
                    if not self._silent:
                        other[ready].sendall(data)
        with self._lock:
            self._open -= {near, far}

    def _count(self) -> None:
        """A request came; the one that it is armed for never arrives."""
        with self._lock:
            now = time.monotonic()
            begins, self._asked_at = now - self._asked_at > _BETWEEN_POLLS, now
            self._request = 0 if begins else self._request + 1
            if self._armed is not None and self._armed[1] == self._request:
                self.die(self._armed[0])


def _knock(port: int) -> socket.socket:
    """A connection that nobody will accept."""
    sock = socket.socket()
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sock.connect(("127.0.0.1", port))
    return sock
