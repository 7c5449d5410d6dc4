"""Who we are, proved once per connection.

pywinrm's own NTLM and CredSSP are pyspnego underneath; here pyspnego is used
directly, for Kerberos too, so that every way in has the same legs, the same
sealing and the same errors, and none needs ``requests``.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from winrm.exceptions import WinRMTransportError

from orchestrator.domain.errors import (
    CredentialsRefused,
    KdcUnreachable,
    LoginNotOffered,
    NoTicket,
)
from orchestrator.domain.server import Connection
from orchestrator.transport.contexts import lifetime, new_context
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.http11 import Response
from orchestrator.transport.ntlm_sealing import NtlmSealing
from orchestrator.transport.refusals import (
    CannotProve,
    LoginFailed,
    Refused,
    of_kerberos,
    of_status,
    words,
)
from orchestrator.transport.sealing import Seal
from orchestrator.transport.wire import Garbled, Wire, offered

BASIC = frozenset({"basic", "plaintext", "ssl"})
_MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_SEALED = "application/HTTP-SPNEGO-session-encrypted"
_SEALED_OTHERWISE = {
    "CredSSP": "application/HTTP-CredSSP-session-encrypted",
    "Kerberos": "application/HTTP-Kerberos-session-encrypted",
}
_INSTEAD = {"ntlm": "NTLM", "kerberos": "Kerberos"}
"""The scheme of a transport where a server does not offer Negotiate."""

_BY_TICKET = frozenset({"kerberos", "negotiate"})
_BOUND = frozenset({"ntlm", "negotiate", "kerberos"})
_SOAP = "application/soap+xml;charset=UTF-8"
_MOST_LEGS = 12
_UNAUTHORIZED = 401
_UNAVAILABLE = 503

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Login:
    """What each request of an authenticated connection carries; ``scheme`` is
    HTTP's name of how it was authenticated, empty where nothing was said yet.
    It runs out after ``lifetime`` seconds, if ever."""

    authorization: str | None = None
    seal: Seal | None = None
    scheme: str = ""
    lifetime: float | None = None


def log_in(wire: Wire, settings: Connection, deadline: Deadline) -> Login:
    """Authenticate a connected wire.

    Raises Refused, CannotProve, the wire's own errors and WinRMTransportError for
    503; in each case the server has seen no message yet.
    """
    if settings.transport in BASIC:
        pair = f"{settings.user}:{settings.password}".encode()
        return Login(f"Basic {base64.b64encode(pair).decode('ascii')}")
    if settings.transport == "certificate":
        return Login(_MUTUAL)
    context = _context(wire, settings, deadline)
    scheme, token = _converse(wire, settings, context, deadline)
    wanted = settings.message_encryption == "always" or (
        settings.message_encryption == "auto" and settings.scheme == "http"
    )
    protocol = _SEALED_OTHERWISE.get(scheme, _SEALED)
    if not wanted:
        return Login(scheme=scheme, lifetime=lifetime(context))
    sealing = NtlmSealing.after(token, context) or context
    return Login(seal=Seal(sealing, protocol), scheme=scheme, lifetime=lifetime(context))


def takes_tickets(settings: Connection, login: Login) -> bool:
    """Whether a request can prove by itself who sent it: HTTP.sys may keep a
    login by Kerberos for its one request only."""
    return bool(login.scheme) and login.seal is None and settings.transport in _BY_TICKET


def ticket(wire: Wire, settings: Connection, login: Login, deadline: Deadline) -> str:
    """The Authorization of one request; raises CannotProve."""
    token = _step(_context(wire, settings, deadline), None, deadline)
    return f"{login.scheme} {base64.b64encode(token or b'').decode('ascii')}"


def refusal(settings: Connection, response: Response) -> Refused:
    """What a 401 means, to a message or in the middle of logging in."""
    offers = {name.lower(): name for name, _ in offered(response)}
    schemes = _schemes(settings)
    if offers and schemes and not any(scheme.lower() in offers for scheme in schemes):
        return Refused(
            f"the server does not offer {' or '.join(schemes)}, only "
            f"{', '.join(sorted(offers.values()))}: change ansible_winrm_transport "
            f"({settings.transport}), or allow it in the server's winrm/config/service/auth",
            LoginNotOffered,
        )
    return Refused(_rejected(settings))


def _schemes(settings: Connection) -> Sequence[str]:
    if settings.transport in BASIC:
        return ("Basic",)
    if settings.transport == "certificate":
        return ()
    if settings.transport == "credssp":
        return ("CredSSP",)
    return ("Negotiate", *_INSTEAD.get(settings.transport, "").split())


def _rejected(settings: Connection) -> str:
    """A plain 401 tells no reason, so all that are left are named."""
    if settings.transport == "certificate":
        return (
            "the server has no account for the client certificate: look at its mapping "
            "(winrm enumerate winrm/config/service/certmapping) and its account's password"
        )
    text = "the server rejected user or password; a locked or disabled account looks the same"
    if settings.transport == "kerberos":
        text = (
            "the server rejected the Kerberos ticket: its service's name may be registered "
            "for another (setspn -Q), or its clock be out of step with the domain's"
        )
    if settings.scheme == "https" and settings.transport in _BOUND:
        text += "; through a proxy that opens TLS every login fails, for it is bound to the channel"
    return text


def _context(wire: Wire, settings: Connection, deadline: Deadline) -> Any:
    certificate = wire.server_certificate()
    if settings.transport == "ntlm":
        return new_context(settings, certificate)
    return _bounded(lambda: new_context(settings, certificate), deadline)


def _converse(
    wire: Wire, settings: Connection, context: Any, deadline: Deadline
) -> tuple[str, bytes | None]:
    """Exchange tokens until the context is complete and the server content; the
    scheme of HTTP it was done by, and the last token sent."""
    scheme = "CredSSP" if settings.transport == "credssp" else "Negotiate"
    token = _step(context, None, deadline)
    for leg in range(_MOST_LEGS):
        value = f"{scheme} {base64.b64encode(token or b'').decode('ascii')}"
        timeout = min(settings.read_timeout, deadline.remaining)
        # Without its type WinRM would answer the last, accepted, leg by an error.
        response = wire.post(b"", _SOAP, value, timeout)
        wire.traffic.legs += 1
        refused = response.status == _UNAUTHORIZED
        answer = _answer_token(response, scheme)
        if answer == b"" and not _may_be_empty(context):
            answer = None
        if answer is None and refused:
            instead = _INSTEAD.get(settings.transport, "")
            if leg == 0 and _offers_only(response, instead):
                scheme = instead
                continue
            raise refusal(settings, response)
        if answer is not None and not context.complete:
            token = _step(context, answer, deadline)
            if token or not context.complete or refused:
                continue
        if refused:
            raise refusal(settings, response)
        if not context.complete:
            raise _no_answer(response)
        return scheme, token
    raise Refused("authentication did not come to an end")


def _no_answer(response: Response) -> Exception:
    """Neither a challenge nor a refusal: nobody has looked at who we are. HTTP.sys
    answers 503 while WinRM's service stops and starts, others whatever they like."""
    status = response.status
    if status == _UNAVAILABLE:
        return WinRMTransportError("http", status, "")
    return Garbled(f"it answered HTTP {status} in the middle of logging in")


def _offers_only(response: Response, instead: str) -> bool:
    names = {name.lower() for name, _ in offered(response)}
    return bool(instead) and instead.lower() in names and "negotiate" not in names


def _answer_token(response: Response, scheme: str) -> bytes | None:
    """The token of a WWW-Authenticate header, empty where the scheme stands
    alone, None where there is no such header."""
    values = [value for name, value in offered(response) if name.lower() == scheme.lower()]
    try:
        return base64.b64decode(max(values, key=len), validate=True) if values else None
    except (binascii.Error, ValueError):
        raise Refused("the server's challenge is not base64") from None


def _may_be_empty(context: Any) -> bool:
    """Where the client has the last word of CredSSP's handshake, TLS 1.3, the
    server has nothing to say to it."""
    ssl_object = context.get_extra_info("ssl_object")
    if ssl_object is None or context.get_extra_info("auth_stage") != "TLS Handshake":
        return False
    return bool(ssl_object.version() == "TLSv1.3")


def _step(context: Any, token: bytes | None, deadline: Deadline) -> bytes | None:
    def go() -> bytes | None:
        answer: bytes | None = context.step(token)
        return answer

    try:
        return _bounded(go, deadline) if _may_block(context) else go()
    except LoginFailed:
        raise
    except Exception as error:
        # Parsers meet what a server makes up: they fail in any way there is.
        found = of_status(error) or of_kerberos(error)
        kind, message = found or (NoTicket if token is None else CredentialsRefused, words(error))
        if token is None:
            raise CannotProve(message, kind) from error
        raise Refused(message, kind) from error


def _may_block(context: Any) -> bool:
    return type(context).__module__ != "spnego._ntlm"


def _bounded(call: Callable[[], _T], deadline: Deadline) -> _T:
    """``call`` in a thread of its own: a KDC that is silent blocks the Kerberos
    library for half a minute, which no deadline of ours can shorten."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="kerberos", daemon=True)
    thread.start()
    thread.join(deadline.remaining)
    if errors:
        raise errors[0]
    if not results:
        raise CannotProve("the Kerberos KDC did not answer in time", KdcUnreachable)
    return results[0]
