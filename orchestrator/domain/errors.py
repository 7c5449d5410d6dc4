"""One tree for everything that can go wrong on purpose.

::

    OrchestratorError                    code, retryable, message
    ├── RequestError                     the caller asked for something wrong
    │   ├── InvalidRequest               invalid_request      names the fields
    │   ├── NotAuthenticated             not_authenticated
    │   ├── NotAllowed                   not_allowed
    │   ├── UnknownGame                  unknown_game
    │   ├── UnknownReport                unknown_report
    │   ├── UnknownServer                unknown_server
    │   ├── UnknownSession               unknown_session
    │   └── UnknownStrategy              unknown_strategy
    ├── ConflictError                    the request clashes with what is there
    │   ├── Contention                   contention           retryable
    │   ├── GameExists                   game_exists
    │   ├── GameInUse                    game_in_use
    │   ├── IdempotencyMismatch          idempotency_mismatch
    │   ├── RequestInProgress            request_in_progress  retryable
    │   ├── SessionConflict              session_conflict
    │   └── StaleVersion                 stale_version
    ├── NoCapacity                       no_capacity          retryable
    ├── InvalidSetting                   invalid_setting      of the command line
    ├── InventoryMissing                 inventory_missing
    ├── StoreUnavailable                 store_unavailable    retryable
    ├── DatabaseMissing                  database_missing
    ├── DatabaseUnusable                 database_unusable
    ├── SchemaOutdated                   schema_outdated
    ├── ServerCallError                  a call to a Windows server failed;
    │   │                                `outcome` says whether it ran there
    │   ├── ServerUnreachable            server_unreachable   not executed
    │   ├── NotInInventory               not_in_inventory     retryable, not executed
    │   ├── TlsUntrusted                 tls_untrusted        not executed
    │   ├── CredentialsRefused           credentials_refused  not executed
    │   │   ├── AccountBlocked           account_blocked      not executed
    │   │   ├── ClockSkew                clock_skew           not executed
    │   │   ├── LoginNotOffered          login_not_offered    not executed
    │   │   └── NoTicket                 no_ticket            not executed
    │   ├── KdcUnreachable               kdc_unreachable      retryable, not executed
    │   ├── AccessDenied                 access_denied        not executed
    │   ├── QuotaExceeded                quota_exceeded       not executed
    │   ├── ServerBusy                   server_busy          not executed
    │   ├── QueryRejected                query_rejected       not executed
    │   ├── ConnectionLost               connection_lost      outcome varies
    │   ├── DeadlineExceeded             deadline_exceeded    outcome varies
    │   ├── ProtocolViolation            protocol_violation   outcome varies
    │   └── ScriptFailed                 the script's own code, executed
    └── InventoryError                   inventory_invalid    every problem

``code`` is stable: scripts of other people match on it. The API maps codes to
HTTP status in one table (``orchestrator/api/problems.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Outcome(StrEnum):
    """Whether a call had its effect on the server when it failed."""

    EXECUTED = "executed"
    NOT_EXECUTED = "not_executed"
    UNKNOWN = "unknown"


class OrchestratorError(Exception):
    """Base of the tree: a stable ``code`` and whether trying again can help.

    ``session_id`` names the session that it befell, where there is one.
    """

    code: str = "error"
    retryable: bool = False
    session_id: str | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def told(self) -> str:
        """The text as whoever made the request gets it."""
        return self.message


class RequestError(OrchestratorError):
    """The caller asked for something that is wrong or does not exist."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field: its dotted path and what to write instead."""

    field: str
    message: str


class InvalidRequest(RequestError):
    """The request's fields are wrong; ``problems`` names each of them."""

    code = "invalid_request"

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.field}: {p.message}" for p in self.problems))


class NotAuthenticated(RequestError):
    """No bearer token was sent, or none that is known."""

    code = "not_authenticated"


class NotAllowed(RequestError):
    """The token's role does not cover the request."""

    code = "not_allowed"


class UnknownGame(RequestError):
    """The catalogue has no game of that id."""

    code = "unknown_game"


class UnknownReport(RequestError):
    """No report has that id, or it is not made yet."""

    code = "unknown_report"


class UnknownServer(RequestError):
    """The inventory has no server of that name."""

    code = "unknown_server"


class UnknownSession(RequestError):
    """No session fits what was asked for."""

    code = "unknown_session"


class UnknownStrategy(RequestError):
    """No placement strategy has that name."""

    code = "unknown_strategy"


class ConflictError(OrchestratorError):
    """The request clashes with the present state of things."""


class Contention(ConflictError):
    """Others changed the same rows meanwhile, more often than we retry."""

    code = "contention"
    retryable = True


class GameExists(ConflictError):
    """A different game of that id is already in the catalogue."""

    code = "game_exists"


class GameInUse(ConflictError):
    """Sessions of the game that are not over depend on what would change."""

    code = "game_in_use"


class IdempotencyMismatch(ConflictError):
    """An Idempotency-Key came back with a different request."""

    code = "idempotency_mismatch"


class RequestInProgress(ConflictError):
    """The first request with this Idempotency-Key has not been answered yet."""

    code = "request_in_progress"
    retryable = True


class SessionConflict(ConflictError):
    """The session's state does not allow what was asked."""

    code = "session_conflict"


class StaleVersion(ConflictError):
    """If-Match named a version that is no longer the present one."""

    code = "stale_version"


class NoCapacity(OrchestratorError):
    """Every server was rejected; ``reasons`` maps server name to why.

    ``retry_after`` is in seconds.
    """

    code = "no_capacity"
    retryable = True

    def __init__(self, message: str, reasons: Mapping[str, str], retry_after: int = 10) -> None:
        super().__init__(message)
        self.reasons = dict(reasons)
        self.retry_after = retry_after


class InvalidSetting(OrchestratorError):
    """An option, or its variable, cannot be used as it is."""

    code = "invalid_setting"


class InventoryMissing(OrchestratorError):
    """A command that calls servers was told of no inventory."""

    code = "inventory_missing"


class StoreUnavailable(OrchestratorError):
    """The database does not answer."""

    code = "store_unavailable"
    retryable = True


class DatabaseMissing(OrchestratorError):
    """There is no database at the named place, or not a table in it."""

    code = "database_missing"


class DatabaseUnusable(OrchestratorError):
    """What is at the named place cannot be opened, written or read as a database."""

    code = "database_unusable"


class SchemaOutdated(OrchestratorError):
    """The database's tables are of another version of the broker."""

    code = "schema_outdated"


class ServerCallError(OrchestratorError):
    """A call to a Windows server failed.

    ``outcome`` tells whether the command ran there; ``partial_output`` keeps
    what it had written until then.
    """

    default_outcome: ClassVar[Outcome] = Outcome.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        server: str,
        outcome: Outcome | None = None,
        partial_output: str = "",
    ) -> None:
        super().__init__(message)
        self.server = server
        self.outcome = outcome or self.default_outcome
        self.partial_output = partial_output

    @property
    def told(self) -> str:
        """The text for somebody who did not choose the server, as placement does."""
        return f"on {self.server}: {self.message}"


class ServerUnreachable(ServerCallError):
    """Nothing answers at the server's address."""

    code = "server_unreachable"
    retryable = True
    default_outcome = Outcome.NOT_EXECUTED


class NotInInventory(ServerCallError):
    """The inventory that this process was started with does not have the server."""

    code = "not_in_inventory"
    retryable = True
    default_outcome = Outcome.NOT_EXECUTED


class TlsUntrusted(ServerCallError):
    """The server's certificate does not validate."""

    code = "tls_untrusted"
    default_outcome = Outcome.NOT_EXECUTED


class CredentialsRefused(ServerCallError):
    """The server answered 401 to the inventory's credentials."""

    code = "credentials_refused"
    default_outcome = Outcome.NOT_EXECUTED


class AccountBlocked(CredentialsRefused):
    """The account is locked, disabled or expired, or its password is."""

    code = "account_blocked"


class ClockSkew(CredentialsRefused):
    """Two clocks are too far apart for Kerberos."""

    code = "clock_skew"


class LoginNotOffered(CredentialsRefused):
    """The server does not offer the inventory's way to log in."""

    code = "login_not_offered"


class NoTicket(CredentialsRefused):
    """There is no Kerberos ticket to be had for the account or the server."""

    code = "no_ticket"


class KdcUnreachable(ServerCallError):
    """No Kerberos KDC of the account's realm answers."""

    code = "kdc_unreachable"
    retryable = True
    default_outcome = Outcome.NOT_EXECUTED


class AccessDenied(ServerCallError):
    """The account is known there but may not do this (WS-Management fault 5)."""

    code = "access_denied"
    default_outcome = Outcome.NOT_EXECUTED


class QuotaExceeded(ServerCallError):
    """A WinRM quota of the server is full (2150859173, 2150859174)."""

    code = "quota_exceeded"
    retryable = True
    default_outcome = Outcome.NOT_EXECUTED


class ServerBusy(ServerCallError):
    """The server answered 503, or the broker's own limit of calls is full."""

    code = "server_busy"
    retryable = True
    default_outcome = Outcome.NOT_EXECUTED


class QueryRejected(ServerCallError):
    """The server does not know the WQL query's class or syntax (2150858778)."""

    code = "query_rejected"
    default_outcome = Outcome.NOT_EXECUTED


class ConnectionLost(ServerCallError):
    """The connection broke while a call was under way."""

    code = "connection_lost"
    retryable = True


class DeadlineExceeded(ServerCallError):
    """The call's hard time limit passed."""

    code = "deadline_exceeded"
    retryable = True


class ProtocolViolation(ServerCallError):
    """The server answered something that is not WinRM, or not for this call."""

    code = "protocol_violation"


class ScriptFailed(ServerCallError):
    """The script ran and reported an error; ``code`` is the script's own.

    Codes are listed in docs/scripts.md.
    """

    default_outcome = Outcome.EXECUTED

    def __init__(self, code: str, message: str, *, server: str, at: str = "") -> None:
        super().__init__(message, server=server)
        self.code = code
        self.at = at


@dataclass(frozen=True, slots=True)
class InventoryProblem:
    """One thing wrong in an inventory: where, what, and what to write instead."""

    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.message}"


class InventoryError(OrchestratorError):
    """The inventory cannot be used; ``problems`` lists all that is wrong."""

    code = "inventory_invalid"

    def __init__(self, problems: Sequence[InventoryProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
