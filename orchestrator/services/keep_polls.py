"""Keep what polls found: many of them in one transaction, none lost while the database is away."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from orchestrator.domain.event import Event
from orchestrator.domain.health import Condition
from orchestrator.domain.sample import Sample
from orchestrator.ports import SampleSink, UnitOfWorkFactory
from orchestrator.services.beliefs import Beliefs
from orchestrator.services.fleet_watch import FleetWatch
from orchestrator.services.poll_server import Polled
from orchestrator.services.retry import NOT_KEPT

_MOST_SAMPLES = 50_000
_MOST_EVENTS = 5_000


class KeepPolls:
    """``take`` is called by the polls' threads, ``flush`` by one thread.

    While the database is away, the newest sample of each server, the events and
    the samples for the sinks wait in memory; beyond a bound the oldest go. A sink
    that finds it away is given the same samples again.
    """

    def __init__(
        self,
        units: UnitOfWorkFactory,
        watch: FleetWatch,
        beliefs: Beliefs,
        sinks: Sequence[SampleSink] = (),
        on_sink_error: Callable[[SampleSink], None] = lambda _: None,
    ) -> None:
        self._units = units
        self._watch = watch
        self._beliefs = beliefs
        self._sinks = [(sink, deque[Sample](maxlen=_MOST_SAMPLES)) for sink in sinks]
        self._on_sink_error = on_sink_error
        self._lock = threading.Lock()
        self._newest: dict[str, Sample] = {}
        self._samples: deque[Sample] = deque(maxlen=_MOST_SAMPLES)
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._latest: dict[str, Polled] = {}

    def take(self, polled: Polled) -> Condition:
        """Count one poll; the server's condition after it."""
        condition, events = self._watch.conclude(polled.server, polled.finding, polled.at)
        observation = polled.observation
        sample = Sample(
            server=polled.server,
            at=polled.at,
            seconds=polled.seconds,
            health=condition.health,
            reason=condition.reason,
            health_since=condition.since or polled.at,
            load=observation.load if observation else None,
            error=polled.error,
            sessions=len(self._beliefs.watched(polled.server)),
        )
        with self._lock:
            self._newest[polled.server] = sample
            self._samples.append(sample)
            self._events.extend(events)
            self._latest[polled.server] = polled
        return condition

    def latest(self) -> dict[str, Polled]:
        """The last poll of each server."""
        with self._lock:
            return dict(self._latest)

    def forget(self, present: frozenset[str]) -> None:
        """Drop what is known of servers that left."""
        with self._lock:
            for name in self._latest.keys() - present:
                del self._latest[name]

    def flush(self) -> Sequence[Event]:
        """Write what waits; the events written. An error of the store leaves all of it waiting."""
        with self._lock:
            newest, self._newest = self._newest, {}
            samples = list(self._samples)
            self._samples.clear()
            events = list(self._events)
            self._events.clear()
        if samples or newest or events:
            self._write(newest, samples, events)
        for sink, waiting in self._sinks:
            waiting.extend(samples)
            self._tell(sink, waiting)
        return events

    def _write(
        self, newest: dict[str, Sample], samples: Sequence[Sample], events: Sequence[Event]
    ) -> None:
        try:
            with self._units() as uow:
                uow.servers.record_polls(list(newest.values()))
                for event in events:
                    uow.events.add(event)
                uow.commit()
        except BaseException:
            self._put_back(newest, samples, events)
            raise

    def _tell(self, sink: SampleSink, waiting: deque[Sample]) -> None:
        try:
            if waiting:
                sink(list(waiting))
        except NOT_KEPT:
            return
        except Exception:
            self._on_sink_error(sink)
        waiting.clear()

    def _put_back(
        self, newest: dict[str, Sample], samples: Sequence[Sample], events: Sequence[Event]
    ) -> None:
        with self._lock:
            self._newest = {**newest, **self._newest}
            self._samples.extendleft(reversed(samples[-_room(self._samples) :]))
            self._events.extendleft(reversed(events[-_room(self._events) :]))


def _room(waiting: deque[Sample] | deque[Event]) -> int:
    """How many more fit without pushing out what is newer; at least one."""
    assert waiting.maxlen is not None
    return max(1, waiting.maxlen - len(waiting))
