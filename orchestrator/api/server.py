"""waitress, with an end that finishes what is under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.server import BaseWSGIServer, create_server

from orchestrator.api.app import MAX_BODY
from orchestrator.api.listening import CannotListen, bound_sockets, refusal_to_listen
from orchestrator.api.refused_requests import ProblemChannel

_FLUSH_SECONDS = 2.0
_MOST_READ = 16 * MAX_BODY
"""A body up to this size is read and told to be too large; at a larger one the connection ends,
which a client that is still sending may see as a reset instead of the answer."""


class HttpServer:
    """Listens from ``start`` to ``stop``; each request has one of ``threads`` threads."""

    def __init__(self, app: Flask, host: str, port: int, *, threads: int) -> None:
        self._counting = _Counting(app)
        sockets = bound_sockets(host, port)
        watched: dict[int, Any] = {}
        try:
            self._server: Any = create_server(
                self._counting,
                map=watched,
                sockets=sockets,
                threads=threads,
                ident=None,
                max_request_body_size=_MOST_READ,
                connection_limit=max(1000, threads * 2),
                channel_timeout=120,
                clear_untrusted_proxy_headers=True,
                # select() ends with descriptor 1023, and a fleet's connections come first.
                asyncore_use_poll=True,
            )
        except OSError as error:
            for each in sockets:
                each.close()
            raise CannotListen(refusal_to_listen(host, port, error)) from None
        self._listeners: list[Any] = [
            each for each in watched.values() if isinstance(each, BaseWSGIServer)
        ]
        for listener in self._listeners:
            listener.channel_class = ProblemChannel
        self._thread = threading.Thread(target=self._server.run, name="http", daemon=True)
        self._started = False

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listeners[0].effective_port)

    def start(self) -> None:
        """Answer requests from now on."""
        self._started = True
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Take no new connection, let requests under way finish, end every thread.

        False where some were still under way after ``timeout`` seconds.
        """
        if self._started:
            self._in_loop(self._close_listeners)
        finished = self._counting.wait_until_idle(timeout)
        self._wait_until_flushed()
        self._in_loop(self._close_channels) if self._started else self._close_all()
        if self._started:
            self._thread.join(5)
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
        return finished

    def _in_loop(self, action: Any) -> None:
        self._listeners[0].trigger.pull_trigger(action)

    def _close_all(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            wasyncore.dispatcher.close(listener)

    def _close_channels(self) -> None:
        for channel in list(self._channels()):
            channel.handle_close()
        for listener in self._listeners:
            listener.trigger.close()

    def _channels(self) -> Iterator[Any]:
        for listener in self._listeners:
            yield from list(listener.active_channels.values())

    def _wait_until_flushed(self) -> None:
        end = time.monotonic() + _FLUSH_SECONDS
        while time.monotonic() < end:
            if not any(channel.total_outbufs_len for channel in self._channels()):
                return
            time.sleep(0.01)


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
