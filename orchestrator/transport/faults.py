"""From what the wire, pywinrm and WS-Management report to the error tree.

Whether a failed request was executed depends on how it failed (``Sent``) and
on what it asked for; the caller knows the second and passes it on.
"""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from spnego.exceptions import SpnegoError
from winrm.exceptions import (
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)

from orchestrator.domain.errors import (
    AccessDenied,
    ConnectionLost,
    DeadlineExceeded,
    Outcome,
    ProtocolViolation,
    QueryRejected,
    QuotaExceeded,
    ServerBusy,
    ServerCallError,
    ServerUnreachable,
    TlsUntrusted,
)
from orchestrator.transport.refusals import LoginFailed
from orchestrator.transport.wire import (
    Broken,
    CannotConnect,
    ConnectTimeout,
    Silent,
    Untrusted,
    WireError,
)

OPERATION_TIMED_OUT = 2150858793
INVALID_SELECTORS = 2150858843
ACCESS_DENIED = 5
ABORTED = 995
CANNOT_PROCESS_FILTER = 2150858778
_QUOTAS = frozenset({2150859173, 2150859174, 2150859175})
NOT_TAKEN = frozenset({INVALID_SELECTORS, ACCESS_DENIED, *_QUOTAS})
"""Faults by which a server says that it has not taken a request."""

_SUBCODES: dict[str, type[ServerCallError]] = {
    "QuotaLimit": QuotaExceeded,
    "AccessDenied": AccessDenied,
    "CannotProcessFilter": QueryRejected,
}

FAILURES = (
    WireError,
    LoginFailed,
    WinRMError,
    WinRMTransportError,
    WinRMOperationTimeoutError,
    SpnegoError,
    ET.ParseError,
    OSError,
    AssertionError,
    StopIteration,
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    struct.error,
)
"""All that the wire and pywinrm's parsing let through, a garbled answer included."""


class Sent(StrEnum):
    """How far a failed request got."""

    NO = "no"
    ANSWERED = "answered"
    MAYBE = "maybe"


class OperationTimedOut(Exception):
    """The server had nothing to say within OperationTimeout: ask again."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed request: the error's class and text, and how far it got.

    ``fault`` is the WS-Management code where there was one. The connection can
    be used again only where ``reusable``.
    """

    kind: type[ServerCallError]
    message: str
    sent: Sent
    reusable: bool
    fault: int | None = None

    def error(self, server: str, *, may_have_run: bool, partial: str = "") -> ServerCallError:
        """The error of ours; ``may_have_run``: the request would have had its effect."""
        outcome = Outcome.NOT_EXECUTED
        if may_have_run and self.sent is not Sent.NO:
            outcome = Outcome.UNKNOWN
        return self.kind(self.message, server=server, outcome=outcome, partial_output=partial)


def diagnose(error: BaseException, deadline_passed: bool) -> Failed:
    """What a failed request means."""
    if isinstance(error, WSManFaultError):
        return _of_fault(error)
    if isinstance(error, LoginFailed):
        return Failed(error.kind, str(error), Sent.NO, reusable=False)
    if isinstance(error, WinRMTransportError):
        return _of_status(error)
    if isinstance(error, Untrusted):
        return Failed(TlsUntrusted, str(error), Sent.NO, reusable=False)
    if isinstance(error, ConnectTimeout):
        return Failed(ServerUnreachable, str(error), Sent.NO, reusable=False)
    if deadline_passed:
        message = "no answer within the call's time limit"
        return Failed(DeadlineExceeded, message, Sent.MAYBE, reusable=False)
    if isinstance(error, CannotConnect):
        message = f"nothing answers there: {error}"
        return Failed(ServerUnreachable, message, Sent.NO, reusable=False)
    if isinstance(error, Silent):
        return Failed(ConnectionLost, str(error), Sent.MAYBE, reusable=False)
    if isinstance(error, (Broken, OSError)):
        message = f"the connection broke: {_short(error)}"
        return Failed(ConnectionLost, message, Sent.MAYBE, reusable=False)
    message = f"the server's answer is not WinRM: {type(error).__name__}: {_short(error)}"
    return Failed(ProtocolViolation, message, Sent.MAYBE, reusable=False)


def _of_fault(error: WSManFaultError) -> Failed:
    """By its code, in either form, and where that says nothing by its subcode."""
    code = error.wsman_fault_code
    if code is None:
        code = error.wmierror_code
    subcode = (error.fault_subcode or "").rpartition(":")[2]
    if code is None and subcode == "TimedOut":
        code = OPERATION_TIMED_OUT
    text = " ".join((error.reason or "").split()) or "no reason given"
    message = f"{text} (WS-Management fault {code if code is not None else 'without code'})"
    kind = _SUBCODES.get(subcode, ProtocolViolation)
    if code in _QUOTAS:
        kind = QuotaExceeded
    elif code == ACCESS_DENIED:
        kind = AccessDenied
    elif code == CANNOT_PROCESS_FILTER:
        kind = QueryRejected
    elif code == ABORTED:
        kind = ConnectionLost
    return Failed(kind, message, Sent.ANSWERED, reusable=True, fault=code)


def _of_status(error: WinRMTransportError) -> Failed:
    if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
        return Failed(ServerBusy, "the server answered 503", Sent.NO, reusable=False)
    message = f"the server answered HTTP {error.code} without a WS-Management fault"
    text = " ".join(str(error.response_text or "").split())[:200]
    if text:
        message += f": {text}"
    return Failed(ProtocolViolation, message, Sent.ANSWERED, reusable=False)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
