"""TLS to a listener: whom we trust, who we are, and what to change where it fails."""

from __future__ import annotations

import hashlib
import ssl
from functools import lru_cache
from pathlib import Path

from orchestrator.domain.server import Connection

_SELF_SIGNED = {18, 19}
_NO_ISSUER = {2, 20, 21}
_NOT_YET = 9
_EXPIRED = 10
_WRONG_NAME = {62, 64}
_OUR_CERTIFICATE = (
    "CERTIFICATE_REQUIRED",
    "ALERT_UNKNOWN_CA",
    "BAD_CERTIFICATE",
    "CERTIFICATE_UNKNOWN",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "UNSUPPORTED_CERTIFICATE",
    "ALERT_ACCESS_DENIED",
)
"""Alerts that a server sends about a client's certificate."""


class OwnCertificateUnusable(Exception):
    """The client certificate or its key cannot be used."""


class AuthoritiesUnusable(Exception):
    """The file of CAs to trust cannot be used."""


def context_for(settings: Connection) -> ssl.SSLContext:
    """The context of all connections with these settings and these very files:
    loading the system's CAs takes milliseconds and a megabyte."""
    files = (settings.ca_file, settings.client_certificate, settings.client_key)
    return _context(
        settings.validate_certificate and not settings.fingerprint,
        *files,
        tuple(_written_at(each) for each in files),
    )


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate in DER, in lower-case hexadecimal."""
    return hashlib.sha256(certificate).hexdigest()


def has_fingerprint(certificate: bytes | None, wanted: str) -> bool:
    """Whether it is the certificate that was pinned."""
    return certificate is not None and fingerprint(certificate) == wanted


def why_untrusted(error: ssl.SSLCertVerificationError, settings: Connection) -> str:
    """What is wrong with the server's certificate, and what to change."""
    code = error.verify_code
    if code == _EXPIRED:
        return (
            "the server's certificate has expired: renew it and bind the new one to the "
            "listener; if it has not, the clock of the broker's machine is wrong"
        )
    if code == _NOT_YET:
        return (
            "the server's certificate is not valid yet: look at the clocks of the server "
            "and of the broker's machine"
        )
    if code in _WRONG_NAME:
        return (
            f"the server's certificate is not for {settings.host}: write the name it is for "
            "as ansible_host, or give the server a certificate for this one"
        )
    why = (error.verify_message or "it is not valid").removeprefix("certificate verify failed: ")
    if code in _SELF_SIGNED | _NO_ISSUER:
        why = "nobody we trust has signed it"
    return (
        f"the server's certificate cannot be trusted ({why}): name its CA in "
        "ansible_winrm_ca_trust_path, or pin it by orchestrator_certificate_fingerprint"
    )


def why_not_pinned(certificate: bytes | None) -> str:
    """What the server has instead of the pinned certificate."""
    found = fingerprint(certificate) if certificate is not None else "none"
    return (
        "the server's certificate is not the pinned one, its SHA-256 is "
        f"{found}: if it was renewed, write that as orchestrator_certificate_fingerprint"
    )


def is_about_our_certificate(error: ssl.SSLError, settings: Connection) -> bool:
    """Whether a server ended TLS because of the client certificate."""
    if settings.client_certificate is None:
        return False
    reason = str(error.reason or error)
    return any(alert in reason for alert in _OUR_CERTIFICATE)


@lru_cache(maxsize=256)
def _context(
    validate: bool,
    ca_file: str | None,
    certificate: str | None,
    key: str | None,
    _written: tuple[int, ...],
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not validate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file is None:
        # The system's file, which admins maintain.
        context.load_default_certs()
    else:
        _trust(context, ca_file)
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
        except (OSError, ValueError) as error:
            raise OwnCertificateUnusable(
                f"the client certificate {certificate} with the key {key or certificate} "
                f"cannot be used ({_reason(error)}): write files in PEM that belong together, "
                "the key without a passphrase, in ansible_winrm_cert_pem and _cert_key_pem"
            ) from error
        # HTTP.sys asks for a client's certificate only after the handshake.
        context.post_handshake_auth = True
    return context


def _trust(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        if Path(ca_file).is_dir():
            context.load_verify_locations(capath=ca_file)
        else:
            context.load_verify_locations(ca_file)
    except OSError as error:
        raise AuthoritiesUnusable(
            f"{ca_file} in ansible_winrm_ca_trust_path cannot be used ({_reason(error)}): "
            "write a file of CA certificates in PEM"
        ) from error


def _no_passphrase() -> str:
    # Asked for one, OpenSSL would wait at the terminal.
    raise ValueError("it has a passphrase")


def _written_at(path: str | None) -> int:
    try:
        return Path(path).stat().st_mtime_ns if path else 0
    except OSError:
        return 0


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
