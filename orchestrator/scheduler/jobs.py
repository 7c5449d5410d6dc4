"""APScheduler, wrapped so that a job that fails is logged and comes round again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from orchestrator.domain.errors import OrchestratorError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One recurring call; ``seconds`` lie between the starts of two runs.

    A run that takes longer than that delays the next; runs never overlap and
    missed ones are not made up for.
    """

    name: str
    seconds: float
    call: Callable[[], object]


_LONGEST_WAIT = 5.0
_STEP = timedelta(seconds=1)


class _SteadyScheduler(BackgroundScheduler):  # type: ignore[misc]
    """APScheduler keeps times of day: after the clock was set back, it would wait
    until the old time came round again. This one brings its jobs along."""

    _seen: datetime | None = None

    def _process_jobs(self) -> float:
        now = datetime.now(UTC)
        if self._seen is not None and now < self._seen - _STEP:
            for job in self.get_jobs():
                job.modify(next_run_time=moved_back(job.next_run_time, now, self._seen))
        self._seen = now
        wait = super()._process_jobs()
        return _LONGEST_WAIT if wait is None else min(float(wait), _LONGEST_WAIT)


def moved_back(due: datetime, now: datetime, before: datetime) -> datetime:
    """When a job is due after the clock went from ``before`` to ``now``."""
    return due - (before - now)


class Scheduler:
    """Runs jobs until it is stopped; each has a thread of its own while it runs."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._scheduler = _SteadyScheduler(
            executors={"default": ThreadPoolExecutor(max(1, len(jobs)))},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        self._failing: dict[str, str] = {}
        # It would warn each time that a slow run is still under way.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        for job in jobs:
            self._scheduler.add_job(
                self._run, "interval", seconds=job.seconds, args=(job,), id=job.name
            )

    def start(self) -> None:
        """Begin; each job's first run comes after its interval."""
        self._scheduler.start()

    def stop(self) -> None:
        """Wait for the jobs under way and end."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    @property
    def running(self) -> bool:
        """Whether jobs are being run."""
        return bool(self._scheduler.running)

    def _run(self, job: Job) -> None:
        """A job that fails in the same way again and again is logged once."""
        before = self._failing.pop(job.name, None)
        try:
            job.call()
        except OrchestratorError as error:
            self._failing[job.name] = error.code
            if before != error.code:
                log.warning("job failed", job=job.name, code=error.code, detail=error.message)
        except Exception:
            log.exception("job failed", job=job.name)
        else:
            if before is not None:
                log.info("job works again", job=job.name)
