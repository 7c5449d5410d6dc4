"""What is told outwards: samples to sinks, reports to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.domain.sample import Sample


class SampleSink(Protocol):
    """Is told what polls found, in batches; history and metrics are such sinks.

    Called by one thread after the batch is in ``servers``. An error is logged
    and costs that sink the batch, never the polling.
    """

    def __call__(self, samples: Sequence[Sample]) -> None:
        """Several samples, in the order in which the polls ended."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell people, in the shapes that they can take."""

    subject: str
    text: str
    html: str
    json: str


class Notifier(Protocol):
    """Tells people, by mail, webhook or chat."""

    def targets(self) -> Sequence[str]:
        """Whom: names without secrets, the same after a restart."""
        ...

    def send(self, target: str, message: Message) -> str | None:
        """None where the target took it, else what went wrong; never raises for that."""
        ...
