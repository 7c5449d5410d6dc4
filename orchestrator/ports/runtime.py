"""Time, ids and threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> datetime:
        """The present time, aware, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; a fake clock just moves on."""
        ...


class IdFactory(Protocol):
    """Makes session ids."""

    def new_id(self) -> str:
        """A new, unique id that is also a valid name for a Windows task."""
        ...

    def id_for(self, owner: str, key: str) -> str:
        """The id of ``owner``'s request ``key``: always the same for the same two.

        It makes a repeated request with one Idempotency-Key find its session
        even where the broker died before it could answer the first.
        """
        ...


Item = TypeVar("Item")


Done = TypeVar("Done")


class Executor(Protocol):
    """Runs calls side by side."""

    def map(self, call: Callable[[Item], Done], items: Iterable[Item]) -> Sequence[Done]:
        """``call`` for each item, with a bound on how many at once; results in order.

        Every item is tried; the first error is raised afterwards.
        """
        ...

    def submit(self, call: Callable[[], object]) -> None:
        """Have ``call`` made soon, without waiting; it has to take care of its errors."""
        ...
