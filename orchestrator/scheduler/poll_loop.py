"""Polls servers as they fall due, each by a thread of a bounded pool.

Servers that did not answer last time have a small pool of their own, and no
site may hold the whole of the other: those that hang cost the rest nothing.
One APScheduler job calls ``tick`` a few times a second; it never waits.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from orchestrator.services.poll_schedule import Answer, PollSchedule

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.25


class PollLoop:
    """``poll`` makes one poll and says what it came to, for the pacing of the next."""

    def __init__(
        self,
        poll: Callable[[str], Answer],
        *,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self._poll = poll
        self._clock = clock
        self._schedule = PollSchedule(chance or random.Random())
        self._sizes = {True: max(1, workers // 4), False: workers}
        self._pools = {
            True: ThreadPoolExecutor(self._sizes[True], "poll-doubted"),
            False: ThreadPoolExecutor(workers, "poll"),
        }
        self._lock = threading.Lock()
        self._sites: Mapping[str, str] = {}
        self._doubted: set[str] = set()
        self._busy: Counter[bool] = Counter()
        self._busy_sites: Counter[str] = Counter()
        self._waiting: set[str] = set()
        self._round_done = threading.Event()
        self._closed = False

    def follow(self, intervals: Mapping[str, float], sites: Mapping[str, str]) -> None:
        """Poll exactly these servers; ``sites`` names the site of each."""
        with self._lock:
            new = intervals.keys() - self._sites.keys()
            self._waiting = (self._waiting & intervals.keys()) | new
            self._sites = dict(sites)
            self._doubted &= intervals.keys()
            self._schedule.follow(intervals, self._clock())
            if not self._waiting:
                self._round_done.set()

    def tick(self) -> None:
        """Hand what is due to the pools, as far as they have room."""
        with self._lock:
            if self._closed:
                return
            one_site = len(set(self._sites.values())) < 2
            workers = self._sizes[False]
            most = workers if one_site else max(1, workers - workers // 4)
            admitted: list[tuple[str, bool]] = []

            def admit(name: str) -> bool:
                doubted, site = name in self._doubted, self._sites[name]
                if self._busy[doubted] >= self._sizes[doubted]:
                    return False
                if not doubted:
                    if self._busy_sites[site] >= most:
                        return False
                    self._busy_sites[site] += 1
                self._busy[doubted] += 1
                admitted.append((name, doubted))
                return True

            self._schedule.take(self._clock(), admit)
            for name, doubted in admitted:
                self._pools[doubted].submit(self._work, name, self._sites[name], doubted)

    def wait_for_first_round(self, timeout: float) -> bool:
        """Whether every server was polled once, within ``timeout`` seconds."""
        return self._round_done.wait(timeout)

    @property
    def first_round_done(self) -> bool:
        """Whether every server was polled once."""
        return self._round_done.is_set()

    def close(self) -> None:
        """End the pools; polls under way are waited for."""
        with self._lock:
            self._closed = True
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)

    def _work(self, name: str, site: str, doubted: bool) -> None:
        answer = Answer.SILENT
        try:
            answer = self._poll(name)
        except Exception:
            log.exception("poll failed", server=name)
        with self._lock:
            self._busy[doubted] -= 1
            if not doubted:
                self._busy_sites[site] -= 1
            if answer is Answer.GOOD:
                self._doubted.discard(name)
            elif name in self._sites:
                self._doubted.add(name)
            self._schedule.done(name, self._clock(), answer)
            self._waiting.discard(name)
            if not self._waiting:
                self._round_done.set()
