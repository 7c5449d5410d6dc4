"""APScheduler, wrapped so that a job that fails is logged and comes round again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


class Scheduler:
    """Runs jobs until it is stopped; each has a thread of its own while it runs."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._scheduler = BackgroundScheduler(
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
