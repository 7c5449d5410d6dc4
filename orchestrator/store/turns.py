"""Writers of one SQLite file, one after the other.

SQLite lets one write at a time and makes the others look again every now and
then, whoever came first. Here they queue, so that its own wait is left for
other programs: when that was in vain, it was so for all who queue.
"""

from __future__ import annotations

import threading

from orchestrator.domain.errors import StoreUnavailable


class Turns:
    """Thread-safe. A turn that is taken must be given back; ``waiting`` is how many queue."""

    def __init__(self, longest: float = 30.0) -> None:
        self._longest = longest
        self._changed = threading.Condition()
        self._taken = False
        self._in_vain = 0
        self._why = "other writers took too long"
        self.waiting = 0

    def take(self) -> None:
        """Wait for a turn; StoreUnavailable where none comes, or one before was in vain."""
        with self._changed:
            before = self._in_vain
            self.waiting += 1
            came = self._changed.wait_for(
                lambda: not self._taken or self._in_vain != before, self._longest
            )
            self.waiting -= 1
            if not came or self._in_vain != before:
                raise StoreUnavailable(self._why)
            self._taken = True

    def give_back(self, in_vain: StoreUnavailable | None = None) -> None:
        """``in_vain``: why nothing came of it, which is told to all who queue."""
        with self._changed:
            self._taken = False
            if in_vain is not None:
                self._in_vain += 1
                self._why = in_vain.message
                self._changed.notify_all()
            else:
                self._changed.notify()
