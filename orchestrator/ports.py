"""What the services need from the outside, as Protocols.

Adapters implement them: the store a ``UnitOfWork``, the transport a
``ServerGateway``. Tests have one small hand-written fake each
(``tests/fakes.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypeVar

from orchestrator.domain.availability import HealthInterval, Span
from orchestrator.domain.check import CheckOrder, ServerReport
from orchestrator.domain.event import Event
from orchestrator.domain.file import RemoteFile, WrittenFile
from orchestrator.domain.game import Game
from orchestrator.domain.history import Measure, Reading, Resolution, Rollup, Stats
from orchestrator.domain.launch import (
    FoundLaunch,
    Launch,
    LaunchOrder,
    LaunchReport,
    StopReport,
)
from orchestrator.domain.mode import Concurrency, Mode
from orchestrator.domain.observation import Observation
from orchestrator.domain.report import KeptReport, ReportHead, ReportKind
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load, Server, ServerRecord
from orchestrator.domain.session import Ports, Session, SessionState
from orchestrator.domain.token import Token


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


class ServerGateway(Protocol):
    """Does things on Windows servers, each named as in the inventory.

    Every method may raise a ``ServerCallError``. A call never repeats what
    may have been executed.
    """

    def launch(self, server: str, order: LaunchOrder) -> LaunchReport:
        """Start a game, or return the launch this session already has."""
        ...

    def stop(
        self, server: str, session_id: str, launch: Launch | None, grace_seconds: int
    ) -> StopReport:
        """End a session's processes and remove its task.

        ``launch`` is None where the broker never learnt it; the server's own
        record is used then. A process that is not the launch is never touched:
        ScriptFailed ``identity_mismatch``.
        """
        ...

    def find_launches(self, server: str, session_id: str | None = None) -> Sequence[FoundLaunch]:
        """Our tasks on a server, or the one of ``session_id``."""
        ...

    def remove_launch(self, server: str, session_id: str, grace_seconds: int) -> StopReport:
        """End and remove a launch that no session knows, by the server's own record.

        A process that merely has its PID by now is left alone.
        """
        ...

    def observe(
        self, server: str, launches: Collection[Launch] = (), ports: Collection[int] = ()
    ) -> Observation:
        """The server's load, which of ``launches`` live and who is connected to
        ``ports``; one caller a server at a time. Starts nothing there."""
        ...


class FileGateway(Protocol):
    """Reads and writes files on Windows servers, in pieces.

    A piece that fails on its way is tried again, because repeating one is
    harmless. What cannot be finished raises a ServerCallError; the same call
    made again goes on where the first one stopped.
    """

    def read_file(
        self,
        server: str,
        path: str,
        into: BinaryIO,
        *,
        resume: bool = False,
        max_bytes: int = ...,
    ) -> RemoteFile:
        """Copy a file's content to ``into``, readable and seekable, and check its hash.

        With ``resume`` what ``into`` holds already is kept. ScriptFailed
        ``file_missing``, ``file_too_big``, ``file_changed`` (while it was read),
        ``file_in_use``, ``access_denied``.
        """
        ...

    def write_file(
        self,
        server: str,
        path: str,
        content: BinaryIO,
        *,
        expected_hash: str | None = None,
        keep_backup: bool = True,
    ) -> WrittenFile:
        """Replace a file by ``content``, seekable, from its beginning, in one step.

        ``expected_hash`` is the SHA-256 that the file must have until then, or
        ``MISSING`` where there must be none: else ScriptFailed ``file_changed``
        and nothing was replaced.
        """
        ...


class ServerInspector(Protocol):
    """Looks at what a server lacks before it can run games."""

    def inspect(self, server: str, order: CheckOrder) -> ServerReport:
        """Every item with its verdict; a ServerCallError where no script can run there."""
        ...


class ServerRepository(Protocol):
    """Servers as the store holds them."""

    def list(self) -> Sequence[ServerRecord]:
        """Every server, by name, those that left the inventory included."""
        ...

    def get(self, name: str) -> ServerRecord:
        """One server; UnknownServer where there is none."""
        ...

    def synchronise(self, servers: Sequence[Server]) -> None:
        """Make the store's servers those of the inventory.

        One that left is deleted, or only marked absent while a session row
        refers to it. Health, load and drain survive.
        """
        ...

    def set_drained(self, name: str, drained: bool) -> ServerRecord:
        """Take a server out of placement, or back."""
        ...

    def record_health(
        self, name: str, health: Health, reason: str, load: Load | None, at: datetime
    ) -> None:
        """Keep what a poll found; ``load`` None keeps the last sample."""
        ...

    def record_polls(self, samples: Sequence[Sample]) -> None:
        """Keep what many polls found, at most one a server; no version changes.

        A sample without load keeps the last one. Servers that are gone are no error.
        """
        ...


class GameRepository(Protocol):
    """The catalogue."""

    def list(self) -> Sequence[Game]:
        """Every game, by id."""
        ...

    def get(self, game_id: str) -> Game:
        """One game; UnknownGame where there is none."""
        ...

    def add(self, game: Game) -> None:
        """Insert; GameExists where the id is taken."""
        ...


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """Which sessions to list; None means any. Newest first.

    ``before`` is the id of the last session of the page before.
    """

    states: frozenset[SessionState] | None = None
    server: str | None = None
    game_id: str | None = None
    limit: int = 100
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """What one active session holds of its server, without its decision."""

    session_id: str
    game_id: str
    server: str
    ports: Ports
    concurrency: Concurrency
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Watched:
    """What polling knows of one session that runs or is lost."""

    session_id: str
    server: str
    game_id: str
    mode: Mode
    state: SessionState
    stream_port: int
    launch: Launch
    companions: tuple[Launch, ...] = ()
    started_at: datetime | None = None
    idle_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionFact:
    """What statistics need of one session."""

    server: str
    game_id: str
    failed: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error_code: str | None
    error_message: str | None


class SampleSink(Protocol):
    """Is told what polls found, in batches; history and metrics are such sinks.

    Called by one thread after the batch is in ``servers``. An error is logged
    and costs that sink the batch, never the polling.
    """

    def __call__(self, samples: Sequence[Sample]) -> None:
        """Several samples, in the order in which the polls ended."""
        ...


class SessionRepository(Protocol):
    """Sessions, their ports and decisions."""

    def find(self, session_id: str) -> Session | None:
        """One session, or None."""
        ...

    def get(self, session_id: str) -> Session:
        """One session; UnknownSession where there is none."""
        ...

    def list(self, query: SessionQuery) -> Sequence[Session]:
        """A page of sessions, newest first."""
        ...

    def active(self) -> Sequence[Session]:
        """Every session that holds a slot."""
        ...

    def holdings(self) -> Sequence[Holding]:
        """What every active session holds: all that placement needs of them."""
        ...

    def watched(self) -> Sequence[Watched]:
        """What polling needs of every session that runs or is lost, if its launch is known."""
        ...

    def record_idle(self, since: Mapping[str, datetime | None]) -> None:
        """Keep since when sessions have no client; no version changes."""
        ...

    def facts(self, since: datetime, until: datetime) -> Sequence[SessionFact]:
        """What statistics need of every session that was there in a time, by creation."""
        ...

    def count_active(self) -> Mapping[SessionState, int]:
        """How many sessions are in each state that holds a slot; none is left out or zero."""
        ...

    def reserve(self, session: Session, server_version: int) -> None:
        """Insert a session and take its slot and ports.

        Contention where the server's version is no longer ``server_version``
        or a port was taken meanwhile.
        """
        ...

    def change_ports(self, session: Session, ports: Ports) -> Session:
        """Give an active session other ports of its server, in place of its own.

        Returns it with them and its new version; Contention where the stored
        version is not the session's or a port was taken meanwhile.
        """
        ...

    def save(self, session: Session) -> Session:
        """Update; Contention where the stored version is not the session's.

        Returns it with its new version. A session that is no longer active
        gives its ports back.
        """
        ...


class EventRepository(Protocol):
    """What happened."""

    def add(self, event: Event) -> None:
        """Append one event."""
        ...

    def list(
        self, session_id: str | None = None, server: str | None = None, limit: int = 100
    ) -> Sequence[Event]:
        """The newest events first."""
        ...

    def between(self, kind: str, since: datetime, until: datetime) -> Sequence[Event]:
        """Events of one kind in a time, the oldest first."""
        ...


class TokenRepository(Protocol):
    """Bearer tokens."""

    def add(self, token: Token) -> None:
        """Insert a token."""
        ...

    def find(self, token_id: str) -> Token | None:
        """One token, or None."""
        ...

    def list(self) -> Sequence[Token]:
        """Every token."""
        ...

    def revoke(self, token_id: str, at: datetime) -> bool:
        """Make a token useless; False where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered to an Idempotency-Key: None while still under way."""

    fingerprint: str
    status: int | None
    body: str | None
    headers: Mapping[str, str]
    begun_at: datetime


class IdempotencyRepository(Protocol):
    """Answers by (token id, Idempotency-Key)."""

    def begin(self, owner: str, key: str, fingerprint: str, at: datetime) -> StoredAnswer | None:
        """Claim a key: None if it is now ours, else what is stored."""
        ...

    def reclaim(self, owner: str, key: str, begun_at: datetime, at: datetime) -> bool:
        """Take over a claim whose owner died; False where another was faster."""
        ...

    def finish(
        self, owner: str, key: str, status: int, body: str, headers: Mapping[str, str]
    ) -> None:
        """Store the answer."""
        ...

    def forget(self, owner: str, key: str) -> None:
        """Give the key back: nothing was done under it."""
        ...

    def expire(self, before: datetime) -> int:
        """Delete claims begun before; returns how many."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What a history is of: ``kind`` is ``server`` or ``site``."""

    kind: str
    name: str

    @classmethod
    def server(cls, name: str) -> Subject:
        """A server's."""
        return cls("server", name)

    @classmethod
    def site(cls, name: str) -> Subject:
        """A site's: all its servers together; hours and days only."""
        return cls("site", name)


class HistoryRepository(Protocol):
    """Load over time. An hour is open until ``take_hour`` and ``put_hour`` close it."""

    def add(self, readings: Sequence[tuple[str, Reading]]) -> None:
        """Keep polls by server's name; one that is there already stays."""
        ...

    def hours_to_close(self, before: datetime, limit: int) -> Sequence[tuple[str, datetime]]:
        """Servers and hours that have open polls and are over by ``before``, a full hour."""
        ...

    def take_hour(self, server: str, hour: datetime) -> Sequence[Reading]:
        """An hour's polls by time, those packed before included; the open ones are removed."""
        ...

    def put_hour(
        self,
        server: str,
        hour: datetime,
        readings: Sequence[Reading],
        minutes: Mapping[datetime, Mapping[Measure, Stats]],
    ) -> None:
        """An hour's polls and minutes, in place of what was kept of it."""
        ...

    def put_rollup(
        self, subject: Subject, resolution: Resolution, start: datetime, rollup: Rollup
    ) -> None:
        """An hour or a day, in place of what was kept of it."""
        ...

    def rollups(
        self,
        subject: Subject,
        resolution: Resolution,
        since: datetime,
        until: datetime,
        only: frozenset[Measure] | None = None,
    ) -> Sequence[Rollup]:
        """Hours or days that begin in a time, to be merged."""
        ...

    def hour_of(self, servers: Iterable[str], hour: datetime) -> Sequence[Rollup]:
        """One hour of several servers."""
        ...

    def hours_without_sites(self, since: datetime) -> Sequence[datetime]:
        """Hours that servers have and no site has yet."""
        ...

    def readings(self, server: str, since: datetime, until: datetime) -> Sequence[Reading]:
        """Polls by time, of open and closed hours."""
        ...

    def open_readings(self, server: str, since: datetime, until: datetime) -> Sequence[Reading]:
        """Polls by time, of open hours only."""
        ...

    def minutes(
        self, server: str, measure: Measure, since: datetime, until: datetime
    ) -> Sequence[tuple[datetime, Stats]]:
        """Minutes of closed hours, by time."""
        ...

    def stats(
        self,
        subject: Subject,
        resolution: Resolution,
        measure: Measure,
        since: datetime,
        until: datetime,
    ) -> Sequence[tuple[datetime, Stats]]:
        """Hours or days for a chart, by time."""
        ...

    def expire(self, resolution: Resolution, before: datetime) -> int:
        """Forget what begins before; returns how many rows that were."""
        ...


class HealthHistoryRepository(Protocol):
    """When each server's health changed, and when anybody looked."""

    def record(self, seen: Sequence[HealthInterval]) -> None:
        """Take over what polls found, each with since when, in their order."""
        ...

    def watched(self, sites: Mapping[str, datetime], gap: timedelta) -> None:
        """Sites were polled at these times; ``gap`` is the longest silence of one watch."""
        ...

    def intervals(self, since: datetime, until: datetime) -> Sequence[HealthInterval]:
        """Those that touch a time, by server and time."""
        ...

    def watches(self, since: datetime, until: datetime) -> Mapping[str, Sequence[Span]]:
        """The times in which each site was polled."""
        ...

    def first_watch(self) -> datetime | None:
        """When polling was begun for the first time that is still known."""
        ...

    def end_departed(self, present: Collection[str], at: datetime) -> None:
        """Servers that are not ``present`` any more have no health from ``at`` on."""
        ...

    def expire(self, before: datetime) -> int:
        """Forget what was over before; returns how many rows that were."""
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


class ReportRepository(Protocol):
    """Reports as they were made, and how far they have been sent."""

    def claim(self, head: ReportHead, key: str, now: datetime, stale: datetime) -> bool:
        """Begin the report of ``key``; False where another has made it, or is at it
        since ``stale`` or later."""
        ...

    def finish(self, kept: KeptReport, next_attempt: datetime | None) -> None:
        """Keep one that was made or sent; ``next_attempt`` None: nothing is left to send."""
        ...

    def get(self, report_id: str) -> KeptReport:
        """One that is made; UnknownReport where there is none."""
        ...

    def list(self, limit: int) -> Sequence[ReportHead]:
        """The newest first."""
        ...

    def latest(self, kind: ReportKind | None, before: datetime) -> KeptReport | None:
        """The one whose period ends last, before ``before``; of any kind where None."""
        ...

    def waiting(self, now: datetime) -> Sequence[ReportHead]:
        """Those that are to be sent by ``now``."""
        ...

    def claim_sending(self, report_id: str, now: datetime, until: datetime) -> bool:
        """Begin to send, until ``until`` at most; False where another is at it."""
        ...

    def expire(self, before: datetime) -> int:
        """Forget those begun before; returns how many."""
        ...


class UnitOfWork(Protocol):
    """One transaction: what is not committed is rolled back on leaving.

    Raises StoreUnavailable where the database does not answer, Contention
    where it chose this transaction as a deadlock's victim.
    """

    @property
    def servers(self) -> ServerRepository:
        """Servers in this transaction."""
        ...

    @property
    def games(self) -> GameRepository:
        """The catalogue in this transaction."""
        ...

    @property
    def sessions(self) -> SessionRepository:
        """Sessions in this transaction."""
        ...

    @property
    def events(self) -> EventRepository:
        """Events in this transaction."""
        ...

    @property
    def tokens(self) -> TokenRepository:
        """Tokens in this transaction."""
        ...

    @property
    def idempotency(self) -> IdempotencyRepository:
        """Stored answers in this transaction."""
        ...

    @property
    def history(self) -> HistoryRepository:
        """Load over time in this transaction."""
        ...

    @property
    def health(self) -> HealthHistoryRepository:
        """Health over time in this transaction."""
        ...

    @property
    def reports(self) -> ReportRepository:
        """Reports in this transaction."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def commit(self) -> None:
        """Make the transaction's changes lasting."""
        ...


class UnitOfWorkFactory(Protocol):
    """Opens units of work."""

    def __call__(self, *, read_only: bool = False) -> UnitOfWork:
        """A unit of work, not entered yet.

        One that will write takes the write lock at once where the database has
        only one (SQLite), so that it cannot lose what it has read; ``read_only``
        waits for nobody and must not write.
        """
        ...
