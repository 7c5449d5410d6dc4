"""Addresses of a host, in bounded time.

The system's resolver waits for a silent DNS server for half a minute, and
nothing can stop it. It works in a thread of its own, one a name however many
ask for it, and whoever asked goes on without it when his time is over.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

_GLANCE_SECONDS = 0.2
"""How often somebody who waits looks whether he was cut off."""

Address = tuple[int, int, int, Any]
"""Family, type, protocol and what to connect to."""


class NoNameServer(TimeoutError):
    """No name server has answered."""


def addresses(
    host: str, port: int, until: float, is_cut: Callable[[], bool] = lambda: False
) -> list[Address]:
    """Where ``host`` is; OSError where no name server knows it, NoNameServer where
    none has answered ``until`` then, or when it ``is_cut``."""
    try:
        return _resolve(host, port, socket.AI_NUMERICHOST)
    except OSError:
        pass  # A name, which has to be asked for.
    lookup = _begin(host, port)
    while not lookup.done.wait(max(0.0, min(_GLANCE_SECONDS, until - time.monotonic()))):
        if is_cut() or time.monotonic() >= until:
            raise NoNameServer("no name server answered in time")
    if lookup.error is not None:
        raise lookup.error
    return lookup.found


class _Lookup:
    def __init__(self, host: str, port: int) -> None:
        self.done = threading.Event()
        self.found: list[Address] = []
        self.error: OSError | None = None
        self._of = (host, port)

    def run(self) -> None:
        try:
            self.found = _resolve(*self._of)
        except OSError as error:
            self.error = error
        finally:
            with _lock:
                del _under_way[self._of]
            self.done.set()


_lock = threading.Lock()
_under_way: dict[tuple[str, int], _Lookup] = {}


def _begin(host: str, port: int) -> _Lookup:
    with _lock:
        lookup = _under_way.get((host, port))
        if lookup is not None:
            return lookup
        lookup = _under_way[host, port] = _Lookup(host, port)
        try:
            threading.Thread(target=lookup.run, name="resolver", daemon=True).start()
        except RuntimeError:
            del _under_way[host, port]
            raise NoNameServer("no thread is left to ask a name server") from None
    return lookup


def _resolve(host: str, port: int, flags: int = 0) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"it is no host name: {error}") from error
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]
