"""Who we are, proved once per connection.

pywinrm's own NTLM and CredSSP are pyspnego underneath; here pyspnego is used
directly, for Kerberos too, so that every way in has the same legs, the same
sealing and the same errors, and none needs ``requests``.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import spnego
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from orchestrator.domain.server import Connection
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.http11 import Response
from orchestrator.transport.kerberos import NoTicket, kerberos_credential
from orchestrator.transport.sealing import Seal
from orchestrator.transport.wire import Silent, Wire, offered

BASIC = frozenset({"basic", "plaintext", "ssl"})
_MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_SPNEGO_SEALED = "application/HTTP-SPNEGO-session-encrypted"
_CREDSSP_SEALED = "application/HTTP-CredSSP-session-encrypted"
_MOST_LEGS = 12
_UNAUTHORIZED = 401

_T = TypeVar("_T")


class Refused(Exception):
    """The server does not accept the credentials, or not this way in."""


class CannotProve(Exception):
    """There is nothing to prove ourselves with: no ticket, no library, no KDC."""


@dataclass(frozen=True, slots=True)
class Login:
    """What each request of an authenticated connection carries."""

    authorization: str | None = None
    seal: Seal | None = None


def log_in(wire: Wire, settings: Connection, deadline: Deadline) -> Login:
    """Authenticate a connected wire.

    Raises Refused, CannotProve and the wire's own errors; in each case the
    server has seen no message yet.
    """
    if settings.transport in BASIC:
        pair = f"{settings.user}:{settings.password}".encode()
        return Login(f"Basic {base64.b64encode(pair).decode('ascii')}")
    if settings.transport == "certificate":
        return Login(_MUTUAL)
    context = _context(wire, settings, deadline)
    scheme = "CredSSP" if settings.transport == "credssp" else "Negotiate"
    _converse(wire, settings, context, scheme, deadline)
    return Login(seal=_seal(settings, context))


def _seal(settings: Connection, context: Any) -> Seal | None:
    wanted = settings.message_encryption == "always" or (
        settings.message_encryption == "auto" and settings.scheme == "http"
    )
    if not wanted:
        return None
    return Seal(context, _CREDSSP_SEALED if settings.transport == "credssp" else _SPNEGO_SEALED)


def _context(wire: Wire, settings: Connection, deadline: Deadline) -> Any:
    transport = settings.transport
    protocol = {"ntlm": "ntlm", "kerberos": "kerberos", "credssp": "credssp"}.get(
        transport, "negotiate"
    )
    options = spnego.NegotiateOptions.none
    user: Any = settings.user
    password: str | None = settings.password
    if protocol == "ntlm":
        options = spnego.NegotiateOptions.use_ntlm
    elif protocol in {"kerberos", "negotiate"}:
        try:
            credential = _bounded(lambda: kerberos_credential(settings), deadline)
        except NoTicket as error:
            raise CannotProve(str(error)) from error
        if credential is not None:
            user, password = credential, None
    request = spnego.ContextReq.default
    if settings.kerberos_delegation:
        request |= spnego.ContextReq.delegate
    try:
        return spnego.client(
            user,
            password,
            hostname=settings.kerberos_hostname or settings.host,
            service=settings.kerberos_service,
            channel_bindings=_channel_bindings(wire),
            context_req=request,
            protocol=protocol,
            options=options,
        )
    except (SpnegoError, ImportError, ValueError) as error:
        raise CannotProve(_reason(error)) from error


def _converse(
    wire: Wire, settings: Connection, context: Any, scheme: str, deadline: Deadline
) -> None:
    """Exchange tokens until the context is complete and the server content."""
    token = _step(context, None, deadline)
    for _ in range(_MOST_LEGS):
        value = f"{scheme} {base64.b64encode(token or b'').decode('ascii')}"
        timeout = min(settings.read_timeout, deadline.remaining)
        response = wire.post(b"", None, value, timeout)
        wire.traffic.legs += 1
        answer = _answer_token(response, scheme)
        if answer is None and response.status == _UNAUTHORIZED:
            schemes = [name for name, _ in offered(response)]
            if scheme == "Negotiate" and _only_ntlm(settings, schemes, wire):
                scheme = "NTLM"
                continue
            raise Refused(_refusal(settings, scheme, schemes))
        if answer and not context.complete:
            token = _step(context, answer, deadline)
            if token is None and context.complete and response.status != _UNAUTHORIZED:
                return
            continue
        if response.status == _UNAUTHORIZED:
            raise Refused("the server rejected user or password")
        if context.complete:
            return
        raise Refused(f"the server answered {response.status} in the middle of authenticating")
    raise Refused("authentication did not come to an end")


def _only_ntlm(settings: Connection, schemes: list[str], wire: Wire) -> bool:
    names = {name.lower() for name in schemes}
    return (
        settings.transport == "ntlm"
        and wire.traffic.legs == 1
        and "ntlm" in names
        and "negotiate" not in names
    )


def _refusal(settings: Connection, scheme: str, schemes: list[str]) -> str:
    """A server that does not offer the scheme is another case than a wrong password."""
    offers = {name.lower(): name for name in schemes}
    if offers and scheme.lower() not in offers:
        names = ", ".join(sorted(offers.values()))
        return (
            f"the server does not offer {scheme}, only {names}: "
            f"change ansible_winrm_transport ({settings.transport})"
        )
    return "the server rejected user or password"


def _answer_token(response: Response, scheme: str) -> bytes | None:
    """The token of a WWW-Authenticate header, None where there is none."""
    for name, value in offered(response):
        if name.lower() in {scheme.lower(), "kerberos"} and value:
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error:
                raise Refused("the server's challenge is not base64") from None
    return None


def _step(context: Any, token: bytes | None, deadline: Deadline) -> bytes | None:
    def go() -> bytes | None:
        answer: bytes | None = context.step(token)
        return answer

    try:
        return _bounded(go, deadline) if _may_block(context) else go()
    except (SpnegoError, ValueError) as error:
        if token is None:
            raise CannotProve(_reason(error)) from error
        raise Refused(_reason(error)) from error


def _may_block(context: Any) -> bool:
    return type(context).__module__ not in {"spnego._ntlm", "spnego._credssp"}


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
        raise Silent("the Kerberos KDC did not answer in time")
    return results[0]


def _channel_bindings(wire: Wire) -> GssChannelBindings | None:
    """tls-server-end-point of RFC 5929, which ties the login to this TLS peer."""
    der = wire.server_certificate()
    if der is None:
        return None
    try:
        algorithm = x509.load_der_x509_certificate(der).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        algorithm = None
    if algorithm is None or algorithm.name in {"md5", "sha1"}:
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(der)
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text[:300] or type(error).__name__
