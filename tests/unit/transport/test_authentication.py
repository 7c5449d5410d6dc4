"""Logging in to servers that say nonsense, too much, or nothing."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import (
    AccountBlocked,
    ClockSkew,
    CredentialsRefused,
    KdcUnreachable,
    LoginNotOffered,
    NoTicket,
    ProtocolViolation,
    ServerBusy,
    ServerCallError,
)
from orchestrator.domain.server import Connection
from orchestrator.transport.authentication import log_in, refusal
from orchestrator.transport.contexts import channel_bindings
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.faults import FAILURES, diagnose
from orchestrator.transport.http11 import Response
from orchestrator.transport.refusals import LoginFailed, Refused, of_kerberos, of_status
from orchestrator.transport.wire import Traffic, offered

NTLM = Connection("host", 5985, "http", "ntlm", "orchestrator", "密碼")
CHALLENGE_FLAGS = 0x628A8235


def challenge(flags: int = CHALLENGE_FLAGS) -> bytes:
    """A CHALLENGE_MESSAGE with an empty list of the server's names."""
    pairs = struct.pack("<HHHH", 2, 4, 0x41, 0x42) + bytes(4)
    return (
        b"NTLMSSP\0"
        + struct.pack("<I", 2)
        + struct.pack("<HHI", 0, 0, 56)
        + struct.pack("<I", flags)
        + b"12345678"
        + bytes(8)
        + struct.pack("<HHI", len(pairs), len(pairs), 56)
        + bytes(8)
        + pairs
    )


def answer(status: int, *challenges: str) -> Response:
    headers = tuple(("www-authenticate", value) for value in challenges)
    return Response(status, headers, b"", closes=False)


def negotiate(token: bytes) -> Response:
    return answer(401, f"Negotiate {base64.b64encode(token).decode()}")


@dataclass
class Host:
    """A wire whose other end gives its answers in turn, the last for ever."""

    answers: list[Response]
    traffic: Traffic = field(default_factory=Traffic)
    heard: list[str] = field(default_factory=list)

    def post(self, body: bytes, kind: str | None, authorization: str, timeout: float) -> Response:
        assert body == b""
        assert timeout > 0
        self.heard.append(authorization)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def server_certificate(self) -> bytes | None:
        return None


def attempt(settings: Connection, *answers: Response) -> Host:
    host = Host(list(answers))
    log_in(host, settings, Deadline.after(30))  # type: ignore[arg-type]
    return host


def refused(settings: Connection, *answers: Response) -> LoginFailed:
    with pytest.raises(LoginFailed) as caught:
        attempt(settings, *answers)
    return caught.value


def test_ntlm_takes_two_legs_and_then_seals() -> None:
    host = Host([negotiate(challenge()), answer(200)])
    login = log_in(host, NTLM, Deadline.after(30))  # type: ignore[arg-type]
    assert [value.split()[0] for value in host.heard] == ["Negotiate", "Negotiate"]
    assert login.authorization is None
    assert login.seal is not None
    assert host.traffic.legs == 2


def test_a_scheme_is_known_by_any_case_among_several_challenges_in_one_line() -> None:
    token = base64.b64encode(challenge()).decode()
    both = answer(401, f'Basic realm="a, b", negotiate {token}, Kerberos')
    assert len(attempt(NTLM, both, answer(200)).heard) == 2


def test_where_a_scheme_comes_twice_the_one_with_a_token_counts() -> None:
    token = base64.b64encode(challenge()).decode()
    assert (
        len(attempt(NTLM, answer(401, "Negotiate", f"Negotiate {token}"), answer(200)).heard) == 2
    )


@pytest.mark.parametrize(
    ("line", "schemes"),
    [
        ("Negotiate", ["Negotiate"]),
        ('Negotiate, Basic realm="WSMAN"', ["Negotiate", "Basic"]),
        ('Basic realm="Negotiate, NTLM", CredSSP', ["Basic", "CredSSP"]),
        ('Digest realm="x", nonce="y", qop=auth, NTLM', ["Digest", "NTLM"]),
        ('Basic realm="never closed, NTLM', ["Basic"]),
        (", ,Kerberos,", ["Kerberos"]),
        ("", []),
    ],
)
def test_challenges_in_one_line_are_told_apart(line: str, schemes: list[str]) -> None:
    assert [name for name, _ in offered(answer(401, line))] == schemes


@pytest.mark.parametrize("transport", ["ntlm", "credssp"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (503, ServerBusy),
        *((status, ProtocolViolation) for status in (200, 204, 302, 403, 404, 500)),
    ],
)
def test_an_early_end_of_the_conversation_is_not_believed_and_not_told_as_a_refusal(
    transport: str, status: int, kind: type[ServerCallError]
) -> None:
    with pytest.raises(FAILURES) as caught:
        attempt(replace(NTLM, transport=transport), answer(status))
    failed = diagnose(caught.value, deadline_passed=False)
    assert failed.kind is kind
    assert str(status) in failed.message


@pytest.mark.parametrize("lie", ["!!!!", "TlRMTVNTUAAC*", "=====", "VGhpcw", "密碼"])
def test_a_challenge_that_is_not_base64_is_refused(lie: str) -> None:
    assert "base64" in str(refused(NTLM, answer(401, f"Negotiate {lie}")))


@given(st.integers(0, 120), st.binary(max_size=40))
def test_a_garbled_challenge_ends_in_a_refusal_or_another_leg(at: int, garbage: bytes) -> None:
    whole = challenge()
    for token in (whole[:at], whole[:at] + garbage, whole[:at] + garbage + whole[at:], garbage):
        host = Host([negotiate(token), answer(401, "Negotiate")])
        with pytest.raises(LoginFailed):
            log_in(host, NTLM, Deadline.after(30))  # type: ignore[arg-type]
        assert len(host.heard) <= 2


@pytest.mark.parametrize("transport", ["ntlm", "negotiate", "credssp"])
def test_a_server_that_says_401_for_ever_is_given_up(transport: str) -> None:
    settings = Connection("host", 5985, "http", transport, "orchestrator", "x")
    host = Host([negotiate(challenge())])
    with pytest.raises(LoginFailed):
        log_in(host, settings, Deadline.after(30))  # type: ignore[arg-type]
    assert 1 <= len(host.heard) <= 12


def test_a_rejection_after_the_last_leg_is_a_wrong_password() -> None:
    error = refused(NTLM, negotiate(challenge()), answer(401, "Negotiate", "Kerberos"))
    assert error.kind is CredentialsRefused
    assert "rejected user or password" in str(error)


@pytest.mark.parametrize(
    ("transport", "offers", "text"),
    [
        ("ntlm", ["Kerberos", 'Basic realm="WSMAN"'], "does not offer Negotiate or NTLM, only"),
        ("negotiate", ["NTLM"], "does not offer Negotiate, only NTLM"),
        ("credssp", ["Negotiate, Kerberos"], "does not offer CredSSP, only Kerberos, Negotiate"),
    ],
)
def test_a_way_that_is_not_offered_is_told_from_a_wrong_password(
    transport: str, offers: list[str], text: str
) -> None:
    settings = Connection("host", 5985, "http", transport, "orchestrator", "x")
    error = refused(settings, answer(401, *offers))
    assert error.kind is LoginNotOffered
    assert text in str(error)


def test_a_server_that_offers_nothing_has_rejected_us() -> None:
    assert refused(NTLM, answer(401)).kind is CredentialsRefused


def test_ntlm_is_spoken_by_that_name_where_nothing_else_is_offered() -> None:
    token = base64.b64encode(challenge()).decode()
    host = Host([answer(401, "NTLM"), answer(401, f"NTLM {token}"), answer(200)])
    # A renewed connection goes on counting.
    host.traffic.legs = 7
    log_in(host, NTLM, Deadline.after(30))  # type: ignore[arg-type]
    assert [value.split()[0] for value in host.heard] == ["Negotiate", "NTLM", "NTLM"]
    assert host.heard[0].split()[1] == host.heard[1].split()[1]


def test_basic_is_utf_8_and_a_certificate_is_named() -> None:
    host = Host([answer(500)])
    basic = Connection("host", 5986, "https", "basic", "josé", "密碼:x")
    login = log_in(host, basic, Deadline.after(30))  # type: ignore[arg-type]
    assert login.authorization is not None
    value = base64.b64decode(login.authorization.removeprefix("Basic "))
    assert value.decode("utf-8") == "josé:密碼:x"
    mutual = Connection("host", 5986, "https", "certificate", "", "")
    login = log_in(host, mutual, Deadline.after(30))  # type: ignore[arg-type]
    assert (login.authorization or "").endswith("secprofile/https/mutual")
    assert host.heard == []


def test_a_refused_certificate_is_not_a_scheme_that_is_missing() -> None:
    mutual = Connection("host", 5986, "https", "certificate", "", "")
    error = refusal(mutual, answer(401, "Negotiate"))
    assert isinstance(error, Refused)
    assert error.kind is CredentialsRefused
    assert "certmapping" in str(error)


def test_the_binding_of_a_certificate_that_cannot_be_read_is_by_sha_256() -> None:
    bindings = channel_bindings(b"no certificate")
    assert bindings is not None
    assert len(bindings.application_data or b"") == len(b"tls-server-end-point:") + 32
    assert channel_bindings(None) is None


class Native(Exception):
    """An error of a library, with its number."""

    def __init__(self, **numbers: int) -> None:
        super().__init__("native")
        self.__dict__.update(numbers)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-1765328378, CredentialsRefused),
        (-1765328377, NoTicket),
        (-1765328366, AccountBlocked),
        (-1765328361, AccountBlocked),
        (-1765328360, CredentialsRefused),
        (-1765328353, CredentialsRefused),
        (-1765328347, ClockSkew),
        (-1765328230, NoTicket),
        (-1765328228, KdcUnreachable),
    ],
)
def test_a_kdcs_errors_are_known_by_number_from_either_library(
    code: int, kind: type[ServerCallError]
) -> None:
    for error in (Native(err_code=code), Native(min_code=code & 0xFFFFFFFF)):
        outer = Native()
        outer.__cause__ = error
        for each in (error, outer):
            found = of_kerberos(each)
            assert found is not None
            assert found[0] is kind
    assert of_kerberos(Native(err_code=1)) is None


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (0xC000006D, CredentialsRefused, "rejected user or password"),
        (0xC0000234, AccountBlocked, "locked"),
        (0xC0000072, AccountBlocked, "disabled"),
        (0xC0000071, AccountBlocked, "expired"),
        (0xC0000133, ClockSkew, "out of step"),
        (0xC00002AB, CredentialsRefused, "0xC00002AB"),
    ],
)
def test_an_ntstatus_is_known_with_or_without_its_sign(
    status: int, kind: type[ServerCallError], text: str
) -> None:
    for number in (status, status - (1 << 32)):
        error: Any = Native()
        error.base_error = Native(winerror=number)
        found = of_status(error)
        assert found is not None
        assert found[0] is kind
        assert text in found[1]
    assert of_status(Native()) is None
