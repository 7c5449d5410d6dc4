"""Shells that are kept for the next command, and those that somebody left.

Creating a shell costs a request and a process on the server. A kept one serves
one command at a time. What an account may have open is bounded, and ending a
command does not give its operation back: shells and operations are counted, and
a shell is closed while there is still room.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from orchestrator.domain.errors import QuotaExceeded
from orchestrator.transport.connection import KeptConnection, RequestFailed
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.faults import INVALID_SELECTORS, Failed, OperationTimedOut, Sent
from orchestrator.transport.leftovers import (
    ABANDONED_SECONDS,
    IDLE_SECONDS,
    Leftovers,
    Lost,
    Shell,
    is_ours,
)
from orchestrator.transport.listing import ListedShell, list_shells

CODEPAGE = 65001
MOST_COMMANDS = 100
MOST_SHELLS = 25
MOST_OPERATIONS = 1200
"""Of 30 shells and 1,500 operations an account on Windows Server 2012 R2 and
later; what is left is for others of the account. Where a host refuses earlier
(2008 R2: 5 and 15), what is in use is waited for."""

KEPT_SECONDS = 5.0
"""Long enough for a burst of calls, short enough that a server at rest has none
of our processes."""

_LONGEST_LIFE = 3600.0
_BELIEVED_SECONDS = 60.0
_ASK_AGAIN_SECONDS = 1.0
_CLOSE_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Limits:
    operations: int = MOST_OPERATIONS
    believed_until: float = 0.0


@dataclass(slots=True)
class _Books:
    """What is open, by id; ``closed`` counts."""

    open: dict[str, Shell] = field(default_factory=dict)
    idle: list[Shell] = field(default_factory=list)
    left: Leftovers = field(default_factory=Leftovers)
    opening: int = 0
    closed: int = 0


class Shells:
    """The shells of one account on one host, whatever names an inventory has for it."""

    def __init__(self, host: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._clock = clock
        self._changed = threading.Condition()
        self._books = _Books()
        self._limits = _Limits()
        self._idle_seconds = itertools.cycle(random.sample(IDLE_SECONDS, len(IDLE_SECONDS)))
        self._closed = False
        self._swept = False

    @property
    def is_unknown(self) -> bool:
        """Whether nobody has looked yet for what an earlier broker left here."""
        with self._changed:
            first, self._swept = not self._swept, True
        return first

    def wants_look(self) -> bool:
        """Whether a shell may be open whose id we never learnt, and it is time to
        look; the caller then looks, and tells ``looked``."""
        with self._changed:
            return self._books.left.wants_look(math.inf if self._closed else self._clock())

    def looked(self) -> None:
        """The look is over."""
        with self._changed:
            self._books.left.looking = False

    def acquire(self, connection: KeptConnection, deadline: Deadline) -> Shell:
        """A new one, or one that comes free where the account may have no more.

        Where the server refuses one, those that wait idle and those that an
        earlier broker left are closed, and after that what is in use is waited for.
        """
        while True:
            shell = self._wait_for_room(deadline)
            if shell is not None:
                return shell
            before = self.closed
            try:
                return self._open(connection, deadline)
            except RequestFailed as error:
                if error.failed.kind is not QuotaExceeded or deadline.passed:
                    raise
                made = self.reclaim(connection, deadline)
                if not made and not self._wait_for_change(before, deadline):
                    raise

    def give_back(self, shell: Shell) -> bool:
        """Keep it; False where its time is over and it has to be closed."""
        shell.used_at = self._clock()
        with self._changed:
            used_up = shell.commands >= MOST_COMMANDS or self._operations() >= (
                self._now_limits().operations
            )
            old = shell.used_at - shell.opened_at >= _LONGEST_LIFE
            if self._closed or used_up or old or shell.id not in self._books.open:
                return False
            self._books.idle.append(shell)
            self._changed.notify()
        return True

    def forget(self, shell: Shell) -> None:
        """It is gone, or cannot be reached any more."""
        with self._changed:
            if self._books.open.pop(shell.id, None) is not None:
                self._books.closed += 1
            self._changed.notify_all()

    def leave(self, shell: Shell, until: float) -> None:
        """Something may still be at work in it; it is closed after ``until``."""
        with self._changed:
            self._books.left.at_work.append((until, shell))

    def owe(self, shell: Shell) -> bool:
        """It could not be closed and is tried again later; False where that has
        been done often enough, or there is no later: it is forgotten then."""
        with self._changed:
            if not self._closed and self._books.left.owe(shell, self._clock()):
                return True
        self.forget(shell)
        return False

    def operations_exhausted(self) -> None:
        """The server refused another command: rotate earlier for a while."""
        with self._changed:
            limits = self._now_limits()
            limits.operations = max(1, min(limits.operations, self._operations() * 3 // 4))
            limits.believed_until = self._clock() + _BELIEVED_SECONDS
        log.info("operations are used up", host=self._host, limit=limits.operations)

    @property
    def closed(self) -> int:
        """How many were closed so far."""
        return self._books.closed

    def wait_for_operations(self, before: int, deadline: Deadline) -> bool:
        """Whether others of ours gave some back in time, since ``closed`` was
        ``before``: it may have been while the refusal was on its way."""
        with self._changed:

            def given_back() -> bool:
                return self._books.closed != before

            # Not until there are fewer: others would take them each time.
            held = any(shell.commands for shell in self._in_use())
            return given_back() or (held and self._changed.wait_for(given_back, deadline.remaining))

    def take_expired(self) -> list[Shell]:
        """Those that were not used for long, or whose script must be over: to be closed."""
        now = self._clock()
        with self._changed:
            books = self._books
            old = [s for s in books.idle if self._closed or now - s.used_at > KEPT_SECONDS]
            books.idle = [shell for shell in books.idle if shell not in old]
            owed = books.left.take_owed(math.inf if self._closed else now)
            return old + books.left.take_over(now) + owed

    def close(self) -> None:
        """Keep none any more."""
        with self._changed:
            self._closed = True

    def delete(self, connection: KeptConnection, shell: Shell, deadline: Deadline) -> None:
        """Close it; one that is gone already is as good. Raises RequestFailed
        and OperationTimedOut."""
        _close(connection, shell.id, deadline)
        self.forget(shell)

    def reclaim(self, connection: KeptConnection, deadline: Deadline) -> int:
        """Close what waits here idle or could not be closed before, and what an
        earlier broker of this account left; how many those were."""
        with self._changed:
            mine, self._books.idle = self._books.idle, []
            mine += self._books.left.take_owed(math.inf)
        closed = 0
        for shell in mine:
            try:
                self.delete(connection, shell, deadline)
                closed += 1
            except (RequestFailed, OperationTimedOut):
                self.owe(shell)
        return closed + self.sweep(connection, deadline)

    def sweep(self, connection: KeptConnection, deadline: Deadline) -> int:
        """Close what an earlier broker of this account left, told by its owner,
        its idle time-out and how long nobody used it, and what our own lost
        answers left; how many those were."""
        with self._changed:
            lost = self._books.left.take_lost()
        missing = lost
        try:
            found = list_shells(connection, deadline)
            closed, missing = self._close_left_over(connection, found, lost, deadline)
        except (RequestFailed, OperationTimedOut) as error:
            log.info("shells cannot be listed", host=self._host, reason=str(error))
            return 0
        finally:
            with self._changed:
                self._books.left.look_again(missing, self._clock())
        if closed:
            log.info("shells reclaimed", host=self._host, closed=closed)
        return closed

    def _close_left_over(
        self,
        connection: KeptConnection,
        found: list[ListedShell],
        lost: list[Lost],
        deadline: Deadline,
    ) -> tuple[int, list[Lost]]:
        """How many were closed, and the lost ones that were not."""
        closed, missing = 0, lost
        abandoned = max(ABANDONED_SECONDS, 2.0 * connection.operation_timeout)
        for each in found:
            with self._changed:
                known = each.id in self._books.open
            if known or not is_ours(each, connection.user):
                continue
            ours = next((one for one in lost if one.fits(each, self._clock())), None)
            # A Receive that waits may count as inactivity.
            if ours is None and each.inactive < abandoned:
                continue
            with contextlib.suppress(RequestFailed, OperationTimedOut):
                _close(connection, each.id, deadline)
                closed += 1
                missing = [one for one in missing if one is not ours]
        return closed, missing

    def _take(self) -> Shell | None:
        idle = self._books.idle
        # The last is the one used last; where it is too old, all are.
        if idle and self._clock() - idle[-1].used_at < KEPT_SECONDS:
            return idle.pop()
        return None

    def _wait_for_room(self, deadline: Deadline) -> Shell | None:
        """A place for one more shell is booked, or another's comes back idle."""
        with self._changed:
            books = self._books
            shell: Shell | None = None

            def is_free() -> bool:
                nonlocal shell
                shell = self._take()
                return shell is not None or len(self._in_use()) + books.opening < MOST_SHELLS

            if not self._changed.wait_for(is_free, deadline.remaining):
                message = f"all {MOST_SHELLS} shells of the account are in use"
                raise RequestFailed(Failed(QuotaExceeded, message, Sent.NO, reusable=True))
            if shell is None:
                books.opening += 1
        return shell

    def _open(self, connection: KeptConnection, deadline: Deadline) -> Shell:
        began = self._clock()
        with self._changed:
            idle = next(self._idle_seconds)
        shell: Shell | None = None
        try:
            shell_id = connection.call(
                deadline, "open_shell", codepage=CODEPAGE, idle_timeout=f"PT{idle}S"
            )
            shell = Shell(shell_id, began, self._clock())
        except OperationTimedOut:
            self._lose(idle, began)
            raise
        except RequestFailed as error:
            if error.failed.sent is Sent.MAYBE:
                self._lose(idle, began)
            raise
        finally:
            with self._changed:
                self._books.opening -= 1
                if shell is not None:
                    self._books.open[shell.id] = shell
                self._changed.notify_all()
        return shell

    def _lose(self, idle: int, began: float) -> None:
        with self._changed:
            now = self._clock()
            self._books.left.lost.append(Lost(idle, began, now, now))

    def _wait_for_change(self, before: int, deadline: Deadline) -> bool:
        """A shell of ours comes back or is closed, since ``closed`` was ``before``,
        or a moment passes in which somebody else's may have been. False where
        none of ours was in the way."""
        with self._changed:
            books = self._books
            if not self._in_use() and not books.opening and books.closed == before:
                return False
            self._changed.wait_for(
                lambda: books.idle or books.closed != before,
                min(_ASK_AGAIN_SECONDS, deadline.remaining),
            )
        return True

    def _now_limits(self) -> _Limits:
        if self._limits.believed_until and self._clock() > self._limits.believed_until:
            self._limits = _Limits()
        return self._limits

    def _in_use(self) -> list[Shell]:
        """Those that come back. One that could not be closed is no reason to wait,
        though the server may still count it."""
        owed = self._books.left.owed
        return [s for s in self._books.open.values() if all(s is not each for _, each in owed)]

    def _operations(self) -> int:
        return sum(shell.commands for shell in self._books.open.values())


def _close(connection: KeptConnection, shell_id: str, deadline: Deadline) -> None:
    # A caller may wait for it: one that hangs costs no more than a part of its time.
    limit = Deadline(min(deadline.at, Deadline.after(_CLOSE_SECONDS).at))
    try:
        connection.call(limit, "close_shell", shell_id, close_session=False)
    except RequestFailed as error:
        if error.failed.fault != INVALID_SELECTORS:
            raise
