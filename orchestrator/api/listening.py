"""The sockets that the HTTP server listens on: every address of a name, if this machine has it."""

from __future__ import annotations

import errno
import socket
from typing import Any

from orchestrator.domain.errors import OrchestratorError

_NOT_THIS_MACHINES = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class CannotListen(OrchestratorError):
    """The address or port cannot be listened on."""

    code = "cannot_listen"


def bound_sockets(host: str, port: int) -> list[socket.socket]:
    """One bound socket an address of ``host``; CannotListen says what to choose instead.

    ``localhost`` is 127.0.0.1 and ::1 on most machines, and many a container has
    no ::1 although its name says so: one address is enough. Port 0 is the same
    free port at each.
    """
    bound: list[socket.socket] = []
    absent: OSError | None = None
    for family, address in _addresses(host, port):
        wanted = bound[0].getsockname()[1] if bound else port
        try:
            bound.append(_bound(family, (address[0], wanted, *address[2:])))
        except OSError as error:
            if error.errno in _NOT_THIS_MACHINES:
                absent = error
                continue
            for each in bound:
                each.close()
            raise CannotListen(refusal_to_listen(host, port, error)) from None
    if absent is not None and not bound:
        raise CannotListen(refusal_to_listen(host, port, absent))
    return bound


def refusal_to_listen(host: str, port: int, error: OSError) -> str:
    """An address that is none of this machine's is no matter of the port."""
    why = error.strerror or error
    if error.errno in _NOT_THIS_MACHINES:
        return (
            f"cannot listen on {host}:{port}: {why}; choose another --host, an address of this "
            "machine or 0.0.0.0 for all of them"
        )
    return f"cannot listen on {host}:{port}: {why}; choose another --port"


def _addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    try:
        if not host.strip():
            raise ValueError
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, ValueError):
        message = f"{host!r} names no address to listen on; choose another --host"
        raise CannotListen(message) from None
    return list(dict.fromkeys((each[0], each[4]) for each in found))


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
