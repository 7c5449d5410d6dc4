"""The in-process Executor: a bounded pool of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Done = TypeVar("Done")


class ThreadExecutor:
    """Runs at most ``workers`` calls at once, whoever asks."""

    def __init__(self, workers: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)

    def map(self, call: Callable[[Item], Done], items: Iterable[Item]) -> Sequence[Done]:
        """``call`` for each item; results in order, the first error after all are done."""
        futures = [self._pool.submit(call, item) for item in items]
        wait(futures)
        return [future.result() for future in futures]

    def submit(self, call: Callable[[], object]) -> None:
        """Have ``call`` made soon; an error that it lets out is logged."""
        self._pool.submit(_logged, call)

    def close(self) -> None:
        """Drop what has not begun, wait for what has."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _logged(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:
        log.exception("background call failed")
