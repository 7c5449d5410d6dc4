"""waitress, with an end that finishes what is under way."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterable
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.server import create_server

from orchestrator.api.app import MAX_BODY
from orchestrator.domain.errors import OrchestratorError

_FLUSH_SECONDS = 2.0


class CannotListen(OrchestratorError):
    """The address or port cannot be listened on."""

    code = "cannot_listen"


class HttpServer:
    """Listens from ``start`` to ``stop``; each request has one of ``threads`` threads."""

    def __init__(self, app: Flask, host: str, port: int, *, threads: int) -> None:
        self._counting = _Counting(app)
        try:
            self._server: Any = create_server(
                self._counting,
                host=host,
                port=port,
                threads=threads,
                ident=None,
                max_request_body_size=MAX_BODY,
                connection_limit=max(1000, threads * 2),
                channel_timeout=120,
                clear_untrusted_proxy_headers=True,
                # select() ends with descriptor 1023, and a fleet's connections come first.
                asyncore_use_poll=True,
            )
        except OSError as error:
            raise CannotListen(refusal_to_listen(host, port, error)) from None
        except ValueError:
            message = f"{host!r} names no address to listen on; choose another --host"
            raise CannotListen(message) from None
        self._thread = threading.Thread(target=self._server.run, name="http", daemon=True)
        self._started = False

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.effective_port)

    def start(self) -> None:
        """Answer requests from now on."""
        self._started = True
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Take no new connection, let requests under way finish, end every thread.

        False where some were still under way after ``timeout`` seconds.
        """
        if self._started:
            self._in_loop(lambda: wasyncore.dispatcher.close(self._server))
        finished = self._counting.wait_until_idle(timeout)
        self._wait_until_flushed()
        self._in_loop(self._close_channels) if self._started else self._server.close()
        if self._started:
            self._thread.join(5)
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
        return finished

    def _in_loop(self, action: Any) -> None:
        self._server.trigger.pull_trigger(action)

    def _close_channels(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.trigger.close()

    def _wait_until_flushed(self) -> None:
        end = time.monotonic() + _FLUSH_SECONDS
        while time.monotonic() < end:
            channels = list(self._server.active_channels.values())
            if not any(channel.total_outbufs_len for channel in channels):
                return
            time.sleep(0.01)


def refusal_to_listen(host: str, port: int, error: OSError) -> str:
    """An address that is none of this machine's is no matter of the port."""
    why = error.strerror or error
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return (
            f"cannot listen on {host}:{port}: {why}; choose another --host, an address of this "
            "machine or 0.0.0.0 for all of them"
        )
    return f"cannot listen on {host}:{port}: {why}; choose another --port"


class _Counting:
    """Counts the requests under way."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._changed = threading.Condition()
        self._active = 0

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        with self._changed:
            self._active += 1
        try:
            answer = self._app(environ, start_response)
            try:
                return [b"".join(answer)]
            finally:
                if hasattr(answer, "close"):
                    answer.close()
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def wait_until_idle(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._active == 0, timeout)
