"""The security context of each way in, made by pyspnego.

pyspnego is what pywinrm's own NTLM and CredSSP are underneath. Kerberos is tried
only where we hold a ticket: left to itself it would look for a KDC on behalf of
a server's local account.
"""

from __future__ import annotations

from typing import Any

import spnego
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from spnego.channel_bindings import GssChannelBindings

from orchestrator.domain.errors import NoTicket
from orchestrator.domain.server import Connection
from orchestrator.transport.kerberos import kerberos_credential, principal_of
from orchestrator.transport.refusals import CannotProve, LoginFailed, of_kerberos, words


def new_context(settings: Connection, certificate: bytes | None) -> Any:
    """A context that begins; ``certificate`` is the TLS peer's, in DER. Raises
    CannotProve. It may ask a KDC, which takes as long as that likes."""
    bindings = channel_bindings(certificate) if settings.channel_binding else None
    try:
        if settings.transport == "credssp":
            return _credssp(settings)
        if settings.transport == "kerberos":
            return _client(settings, kerberos_credential(settings), "kerberos", bindings)
        if settings.transport == "negotiate":
            return _negotiate(settings, bindings)
        return _ntlm(settings, bindings)
    except LoginFailed:
        raise
    except Exception as error:
        # Libraries underneath have errors of their own for each broken setting.
        kind, message = of_kerberos(error) or (NoTicket, words(error))
        raise CannotProve(message, kind) from error


def channel_bindings(certificate: bytes | None) -> GssChannelBindings | None:
    """tls-server-end-point of RFC 5929, which ties a login to this TLS peer."""
    if certificate is None:
        return None
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        algorithm = None
    if algorithm is None or algorithm.name in {"md5", "sha1"}:
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())


def lifetime(context: Any) -> float | None:
    """Seconds until a finished login runs out, as a Kerberos ticket does; None
    where it never does."""
    inner = context
    while inner is not None and not hasattr(inner, "lifetime"):
        inner = getattr(inner, "_context", None)
    return float(inner.lifetime) if inner is not None else None


def _client(
    settings: Connection,
    credential: Any,
    protocol: str,
    bindings: GssChannelBindings | None = None,
    **more: Any,
) -> Any:
    request = spnego.ContextReq.default
    if settings.kerberos_delegation:
        request |= spnego.ContextReq.delegate
    return spnego.client(
        credential,
        hostname=settings.kerberos_hostname or settings.host,
        service=settings.kerberos_service,
        channel_bindings=bindings,
        context_req=request,
        protocol=protocol,
        **more,
    )


def _password(settings: Connection) -> Any:
    # As an object, for text that looks like two hashes would be taken for them.
    return spnego.Password(settings.user, settings.password)


def _ntlm(settings: Connection, bindings: GssChannelBindings | None = None) -> Any:
    options = spnego.NegotiateOptions.use_ntlm
    return _client(settings, _password(settings), "ntlm", bindings, options=options)


def _negotiate(settings: Connection, bindings: GssChannelBindings | None = None) -> Any:
    """Kerberos where there is a ticket, with NTLM as the server's second choice."""
    if "@" not in principal_of(settings):
        return _ntlm(settings, bindings)
    try:
        ticket = kerberos_credential(settings)
    except CannotProve:
        return _ntlm(settings, bindings)
    return _client(settings, [ticket, _password(settings)], "negotiate", bindings)


def _credssp(settings: Connection) -> Any:
    """The login inside CredSSP's TLS, which is bound to it by its public key."""
    mechanism = settings.credssp_mechanism
    if mechanism == "kerberos":
        inner = _client(settings, kerberos_credential(settings), "negotiate")
    else:
        inner = _negotiate(settings) if mechanism == "auto" else _ntlm(settings)
    return _client(
        settings,
        _password(settings),
        "credssp",
        credssp_negotiate_context=inner,
        credssp_min_protocol=settings.credssp_minimum_version,
    )
