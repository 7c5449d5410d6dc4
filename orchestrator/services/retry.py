"""Repeat a transaction that others got in the way of."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from orchestrator.domain.errors import (
    Contention,
    DatabaseMissing,
    DatabaseUnusable,
    StoreUnavailable,
)
from orchestrator.ports import Clock

Result = TypeVar("Result")

NOT_KEPT = (Contention, DatabaseMissing, DatabaseUnusable, StoreUnavailable)
"""What the store raises where it cannot keep something now, through no fault of ours."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and how long between: random in (0, min(cap, base * 2^n)) seconds.

    Each lost round means that another transaction won, so a bounded number of
    slots is filled after as many rounds; ``attempts`` bounds the rest.
    """

    clock: Clock
    attempts: int = 60
    base: float = 0.005
    cap: float = 0.25
    chance: random.Random = field(default_factory=random.Random)

    def __call__(self, transaction: Callable[[], Result]) -> Result:
        """Run ``transaction`` until it is not contended; the last Contention is raised."""
        for attempt in range(self.attempts - 1):
            try:
                return transaction()
            except Contention:
                limit = min(self.cap, self.base * 2 ** min(attempt, 16))
                self.clock.sleep(self.chance.uniform(0, limit))
        return transaction()
