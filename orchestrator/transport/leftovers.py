"""Shells whose end is still owed to a server.

A Delete may fail, and a Create's answer may get lost, while the server cannot be
reached. Until it is closed such a shell counts against the account's quota, so
it is tried again at growing pauses, for as long as Windows would keep it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orchestrator.transport.listing import ListedShell

IDLE_SECONDS = range(181, 241)
"""A shell whose owner died is ended by Windows after as many seconds, not after
two hours. Each shell gets another number of them: by it a shell of ours is told
from others of the account, and one whose id was lost with the answer is found."""

_SLACK = 2.0
_LATE = 3.0
"""How long after we gave up a server may still begin to make a shell."""

ABANDONED_SECONDS = 60.0
"""Nobody uses a shell of ours that rested for longer."""

_PAUSES = (10.0, 30.0, 90.0)
"""Seconds from one try to the next; the idle time-out comes soon after the last."""


@dataclass(slots=True, eq=False)
class Shell:
    """An open shell of ours. ``tries`` counts attempts to close it that came to
    nothing, and ``due`` is when the next one is."""

    id: str
    opened_at: float
    used_at: float
    commands: int = 0
    tries: int = 0
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class Lost:
    """A shell that may be open: the idle time-out of a Create whose answer did not
    come, when it was asked for and given up, when to look for it, and how often that
    was done."""

    idle: int
    began: float
    ended: float
    due: float
    looks: int = 0

    def fits(self, listed: ListedShell, now: float) -> bool:
        """Whether it is this shell: by its tag, by its age, for another broker of
        the account may have drawn the same, and because nobody has used it."""
        oldest, youngest = now - self.began + _SLACK, now - self.ended - _LATE
        return (
            round(listed.idle_timeout) == self.idle
            and youngest <= listed.run_time <= oldest
            and listed.run_time - listed.inactive <= _SLACK
        )


@dataclass(slots=True)
class Leftovers:
    """``at_work`` are the shells of scripts that may not be over yet, ``owed``
    those that could not be closed, each with the moment to close it. Not
    thread-safe."""

    at_work: list[tuple[float, Shell]] = field(default_factory=list)
    owed: list[tuple[float, Shell]] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    looking: bool = False

    def owe(self, shell: Shell, now: float) -> bool:
        """It could not be closed; False where it has been tried often enough. A
        try before its time counts for nothing."""
        if shell.due <= now:
            if shell.tries >= len(_PAUSES):
                return False
            shell.due = now + _PAUSES[shell.tries]
            shell.tries += 1
        self.owed.append((shell.due, shell))
        return True

    def take_owed(self, now: float) -> list[Shell]:
        """Those to try again."""
        due, self.owed = _split(self.owed, now)
        return due

    def take_over(self, now: float) -> list[Shell]:
        """Those whose script is over by now."""
        over, self.at_work = _split(self.at_work, now)
        return over

    def wants_look(self, now: float) -> bool:
        """Whether it is time to look for lost ones, and nobody does."""
        if self.looking or all(each.due > now for each in self.lost):
            return False
        self.looking = True
        return True

    def take_lost(self) -> list[Lost]:
        """Those to look for."""
        lost, self.lost = self.lost, []
        return lost

    def look_again(self, lost: list[Lost], now: float) -> None:
        """They were not found, or could not be looked for. What Windows has not
        begun to do yet is found by a later look. One before its time counts for nothing."""
        for each in lost:
            if each.due > now:
                self.lost.append(each)
            elif each.looks < len(_PAUSES):
                due = now + _PAUSES[each.looks]
                self.lost.append(replace(each, due=due, looks=each.looks + 1))


def _split(
    waiting: list[tuple[float, Shell]], now: float
) -> tuple[list[Shell], list[tuple[float, Shell]]]:
    return [s for at, s in waiting if at <= now], [(at, s) for at, s in waiting if at > now]


def is_ours(listed: ListedShell, user: str) -> bool:
    """Whether a broker opened it, for this account."""
    return round(listed.idle_timeout) in IDLE_SECONDS and listed.belongs_to(user)
