"""Tidying up after the answer, off the caller's path.

Ending a command and closing shells takes requests that nobody waits for. A few
threads make them, each in bounded time, and at most half of them for one
server, so that a server that hangs never holds up the tidying of the others.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable

import structlog

from orchestrator.transport.deadline import Deadline

Task = Callable[[Deadline], None]
"""Has to be over when the deadline passes."""

TASK_SECONDS = 5.0
_THREADS = 4
_PER_SERVER = _THREADS // 2
_TICK_SECONDS = 2.0
_CLOSE_SECONDS = 10.0

log = structlog.get_logger(__name__)


class Janitor:
    """Does tasks soon, and ``on_tick`` now and then. Its threads begin with
    ``start`` or the first task, and end with ``close``."""

    def __init__(self, on_tick: Callable[[], None]) -> None:
        self._on_tick = on_tick
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[Task]] = {}
        self._busy: Counter[str] = Counter()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._ticked_at = time.monotonic()
        self._closes: Deadline | None = None

    def start(self) -> None:
        """Begin to tick."""
        with self._changed:
            if self._closes is None and not self._threads:
                self._add_thread()

    def soon(self, server: str, task: Task) -> None:
        """Do it in another thread; in this one where they have ended."""
        with self._changed:
            if self._closes is None:
                self._waiting.setdefault(server, deque()).append(task)
                if not self._idle and len(self._threads) < _THREADS:
                    self._add_thread()
                self._changed.notify()
                return
        self._do(task)

    @property
    def is_closing(self) -> bool:
        """Whether its end has begun."""
        return self._closes is not None

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Finish what was asked for, and end the threads. What has not begun
        after ``seconds`` gets no time any more, and gives up at once."""
        with self._changed:
            if self._closes is None:
                self._closes = Deadline.after(seconds)
            threads, self._threads = self._threads, []
            self._changed.notify_all()
        for thread in threads:
            thread.join()

    def _add_thread(self) -> None:
        number = len(self._threads)
        thread = threading.Thread(target=self._work, name=f"janitor-{number}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                found = self._next()
                if found is None and self._closes is not None and not self._waiting:
                    return
                if found is None:
                    self._idle += 1
                    self._changed.wait(_TICK_SECONDS)
                    self._idle -= 1
            if found is not None:
                server, task = found
                try:
                    self._do(task)
                finally:
                    with self._changed:
                        self._busy[server] -= 1
                        self._changed.notify()
            self._tick()

    def _next(self) -> tuple[str, Task] | None:
        for server, tasks in self._waiting.items():
            if self._busy[server] >= _PER_SERVER:
                continue
            task = tasks.popleft()
            del self._waiting[server]
            if tasks:
                # To the end: servers take turns.
                self._waiting[server] = tasks
            self._busy[server] += 1
            return server, task
        return None

    def _tick(self) -> None:
        with self._changed:
            due = time.monotonic() - self._ticked_at >= _TICK_SECONDS
            if due:
                self._ticked_at = time.monotonic()
        if due and self._closes is None:
            try:
                self._on_tick()
            except Exception:
                log.exception("the janitor's round failed")

    def _do(self, task: Task) -> None:
        deadline = Deadline.after(TASK_SECONDS)
        if self._closes is not None and self._closes.at < deadline.at:
            deadline = self._closes
        try:
            task(deadline)
        except Exception as error:
            # Whatever it is, the thread has to live on.
            log.warning("tidying up failed", reason=f"{type(error).__name__}: {error}")
