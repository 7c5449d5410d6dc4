"""From fault codes and broken wires to one error of the tree."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from spnego.exceptions import SpnegoError
from winrm.exceptions import WinRMTransportError, WSManFaultError

from orchestrator.domain.errors import (
    AccessDenied,
    ConnectionLost,
    CredentialsRefused,
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
from orchestrator.transport.faults import OPERATION_TIMED_OUT, Sent, diagnose
from orchestrator.transport.refusals import Refused
from orchestrator.transport.wire import (
    Broken,
    CannotConnect,
    ConnectTimeout,
    Garbled,
    Silent,
    Untrusted,
)

CODES: list[tuple[int, str, type[ServerCallError]]] = [
    (2150858843, "w:InvalidSelectors", ProtocolViolation),
    (2150859173, "w:QuotaLimit", QuotaExceeded),
    (2150859174, "w:InternalError", QuotaExceeded),
    (2150859174, "w:QuotaLimit", QuotaExceeded),
    (2150859175, "w:QuotaLimit", QuotaExceeded),
    (1234, "w:QuotaLimit", QuotaExceeded),
    (2147942606, "w:InternalError", ProtocolViolation),
    (2147942402, "w:InternalError", ProtocolViolation),
    (2150858778, "n:CannotProcessFilter", QueryRejected),
    (1, "n:CannotProcessFilter", QueryRejected),
    (5, "w:AccessDenied", AccessDenied),
    (995, "w:InternalError", ConnectionLost),
]


def fault(code: int | None, subcode: str, *, wmi: bool = False) -> WSManFaultError:
    return WSManFaultError(
        code=500,
        message="Bad HTTP response",
        response="<s:Envelope/>",
        reason="所有的\r\n  Shell 都在使用中",
        fault_code="s:Sender",
        fault_subcode=subcode,
        wsman_fault_code=None if wmi else code,
        wmierror_code=code if wmi else None,
    )


@pytest.mark.parametrize("wmi", [False, True], ids=["WSManFault", "MSFT_WmiError"])
@pytest.mark.parametrize(("code", "subcode", "kind"), CODES)
def test_a_fault_is_the_same_error_in_either_form(
    code: int, subcode: str, kind: type[ServerCallError], wmi: bool
) -> None:
    failed = diagnose(fault(code, subcode, wmi=wmi), deadline_passed=False)
    assert (failed.kind, failed.sent, failed.fault) == (kind, Sent.ANSWERED, code)
    assert failed.reusable
    assert failed.message == f"所有的 Shell 都在使用中 (WS-Management fault {code})"


def test_a_fault_without_a_code_is_told_by_its_subcode() -> None:
    assert diagnose(fault(None, "wsman:QuotaLimit"), False).kind is QuotaExceeded
    assert diagnose(fault(None, "w:TimedOut"), False).fault == OPERATION_TIMED_OUT
    assert diagnose(fault(None, "w:Other"), False).kind is ProtocolViolation


BROKEN: list[tuple[BaseException, type[ServerCallError], Sent]] = [
    (CannotConnect("refused"), ServerUnreachable, Sent.NO),
    (ConnectTimeout("no connection in time"), ServerUnreachable, Sent.NO),
    (Untrusted("self-signed"), TlsUntrusted, Sent.NO),
    (Refused("wrong password"), CredentialsRefused, Sent.NO),
    (Broken("reset"), ConnectionLost, Sent.MAYBE),
    (ConnectionResetError(104, "reset"), ConnectionLost, Sent.MAYBE),
    (Silent("went silent"), ConnectionLost, Sent.MAYBE),
    (Garbled("not HTTP"), ProtocolViolation, Sent.MAYBE),
    (SpnegoError(error_code=1), ProtocolViolation, Sent.MAYBE),
    (ET.ParseError("not XML"), ProtocolViolation, Sent.MAYBE),
    (StopIteration(), ProtocolViolation, Sent.MAYBE),
    (WinRMTransportError("http", 503, ""), ServerBusy, Sent.NO),
    (WinRMTransportError("http", 413, ""), ProtocolViolation, Sent.ANSWERED),
    (WinRMTransportError("http", 500, "in clear text"), ProtocolViolation, Sent.ANSWERED),
]


@pytest.mark.parametrize(
    ("error", "kind", "sent"), BROKEN, ids=lambda v: getattr(v, "__name__", "")
)
def test_a_broken_request_is_one_error_and_its_connection_is_done(
    error: BaseException, kind: type[ServerCallError], sent: Sent
) -> None:
    failed = diagnose(error, deadline_passed=False)
    assert (failed.kind, failed.sent, failed.reusable) == (kind, sent, False)
    assert failed.message


def test_after_the_deadline_a_break_is_the_deadline() -> None:
    failed = diagnose(Broken("reset"), deadline_passed=True)
    assert (failed.kind, failed.sent) == (DeadlineExceeded, Sent.MAYBE)
    assert diagnose(ConnectTimeout("x"), deadline_passed=True).kind is ServerUnreachable


@pytest.mark.parametrize(
    ("sent", "may_have_run", "outcome"),
    [
        (Sent.NO, True, Outcome.NOT_EXECUTED),
        (Sent.NO, False, Outcome.NOT_EXECUTED),
        (Sent.MAYBE, True, Outcome.UNKNOWN),
        (Sent.MAYBE, False, Outcome.NOT_EXECUTED),
        (Sent.ANSWERED, True, Outcome.UNKNOWN),
    ],
)
def test_the_outcome_follows_from_what_was_sent(
    sent: Sent, may_have_run: bool, outcome: Outcome
) -> None:
    error = CannotConnect("x") if sent is Sent.NO else Broken("x")
    failed = diagnose(error, False)
    if sent is Sent.ANSWERED:
        failed = diagnose(WinRMTransportError("http", 500, ""), False)
    raised = failed.error("a", may_have_run=may_have_run, partial="so far")
    assert raised.outcome is outcome
    assert (raised.server, raised.partial_output) == ("a", "so far")
