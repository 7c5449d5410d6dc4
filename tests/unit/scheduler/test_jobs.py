"""Jobs come round by themselves, whatever becomes of a run and of the clock."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from orchestrator.domain.errors import StoreUnavailable
from orchestrator.scheduler import Job, Scheduler

PATIENCE = 30.0


def test_a_job_that_fails_comes_round_again() -> None:
    again = threading.Event()
    runs: list[int] = []

    def fail() -> None:
        runs.append(1)
        if len(runs) >= 3:
            again.set()
        raise StoreUnavailable("away") if len(runs) % 2 else RuntimeError("a mistake")

    scheduler = Scheduler([Job("fails", 0.01, fail)])
    scheduler.start()
    assert again.wait(PATIENCE)
    scheduler.stop()
    assert not scheduler.running


def test_a_clock_that_was_set_back_does_not_stop_the_jobs() -> None:
    ran = threading.Event()
    scheduler = Scheduler([Job("ticks", 0.05, ran.set)])
    scheduler.start()
    assert ran.wait(PATIENCE)
    # As it looks when the clock is an hour behind what it was a moment ago.
    inner = scheduler._scheduler
    with inner._jobstores_lock:
        ahead = datetime.now(UTC) + timedelta(hours=1)
        inner._seen = ahead
        for job in inner.get_jobs():
            job.modify(next_run_time=ahead)
    ran.clear()
    assert ran.wait(PATIENCE)
    scheduler.stop()
