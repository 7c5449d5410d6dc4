"""Tidying up after the answer, off the caller's path.

Ending a command and closing shells takes requests that nobody waits for. A few
threads make them, each in bounded time, so that a server that hangs holds up
one of them for a moment and nobody else.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import structlog

from orchestrator.domain.errors import OrchestratorError
from orchestrator.transport.connection import RequestFailed

Task = Callable[[], None]

_THREADS = 4
_TICK_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Janitor:
    """Does tasks soon, and ``on_tick`` now and then. Its threads begin with the
    first task and end with ``close``."""

    def __init__(self, on_tick: Task) -> None:
        self._on_tick = on_tick
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._ticked_at = time.monotonic()
        self._closed = False

    def soon(self, task: Task) -> None:
        """Do it in another thread; in this one where they have ended."""
        with self._lock:
            closed = self._closed
            if not closed and len(self._threads) < _THREADS:
                number = len(self._threads)
                thread = threading.Thread(target=self._work, name=f"janitor-{number}", daemon=True)
                self._threads.append(thread)
                thread.start()
            if not closed:
                self._tasks.put(task)
        if closed:
            self._do(task)

    def close(self) -> None:
        """Finish what was asked for, and end the threads."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
            for _ in threads:
                self._tasks.put(None)
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                self._tick()
                continue
            if task is None:
                return
            self._do(task)
            self._tick()

    def _tick(self) -> None:
        with self._lock:
            due = time.monotonic() - self._ticked_at > _TICK_SECONDS
            if due:
                self._ticked_at = time.monotonic()
        if due:
            self._do(self._on_tick)

    def _do(self, task: Task) -> None:
        try:
            task()
        except (OrchestratorError, RequestFailed) as error:
            log.warning("tidying up failed", reason=str(error))
