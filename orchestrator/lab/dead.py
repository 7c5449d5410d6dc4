"""Servers that are down: what a fleet's few dead ones do to their poller."""

from __future__ import annotations

import socket


class DeadServer:
    """It has an address and no WinRM. Where it ``hangs`` it takes connections and
    never says a word; else it refuses them."""

    def __init__(self, *, hangs: bool, host: str = "127.0.0.1") -> None:
        # Bound in either case, so that nobody else gets the port.
        self._socket = socket.socket()
        self._socket.bind((host, 0))
        self._hangs = hangs
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{host}:{self.port}/wsman"

    def start(self) -> None:
        """Begin to be dead."""
        if self._hangs:
            # The kernel completes the handshake of as many as wait to be accepted.
            self._socket.listen(1024)

    def stop(self) -> None:
        """Give the port back."""
        self._socket.close()
