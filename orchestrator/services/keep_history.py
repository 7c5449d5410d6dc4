"""Keep what polls found: the load for charts, the health for reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from orchestrator.domain.availability import HealthInterval
from orchestrator.domain.history import reading_of
from orchestrator.domain.sample import Sample
from orchestrator.ports import UnitOfWorkFactory
from orchestrator.services.retry import Retry

WATCH_GAP = timedelta(minutes=10)
"""The longest silence that still counts as watched; more than the longest time
between two polls of a server that is dead."""


class KeepHistory:
    """A SampleSink. A batch is one transaction, whatever its size."""

    def __init__(
        self, units: UnitOfWorkFactory, retry: Retry, site_of: Callable[[str], str]
    ) -> None:
        self._units = units
        self._retry = retry
        self._site_of = site_of

    def __call__(self, samples: Sequence[Sample]) -> None:
        """Keep them; a batch that is given again changes nothing."""
        if samples:
            self._retry(lambda: self._keep(samples))

    def _keep(self, samples: Sequence[Sample]) -> None:
        polled: dict[str, datetime] = {}
        seen = []
        for each in samples:
            site = self._site_of(each.server)
            polled[site] = max(each.at, polled.get(site, each.at))
            since = min(each.health_since, each.at)
            seen.append(HealthInterval(each.server, site, each.health, each.reason, since))
        with self._units() as uow:
            uow.history.add([(each.server, reading_of(each)) for each in samples])
            uow.health.record(seen)
            uow.health.watched(polled, WATCH_GAP)
            uow.commit()
