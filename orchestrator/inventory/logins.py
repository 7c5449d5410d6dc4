"""What of a way to log in does not go together, and what to write instead."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.domain.server import Connection

_BASIC = frozenset({"basic", "plaintext", "ssl"})
_TRANSPORT = "ansible_winrm_transport"
_ENCRYPTION = "ansible_winrm_message_encryption"
_CERTIFICATE = "ansible_winrm_cert_pem"
_KEYTAB = "ansible_winrm_keytab"
_PIN = "orchestrator_certificate_fingerprint"

Problem = tuple[str, str]
"""The variable at whose place it is shown, and the text."""


def login_problems(
    connection: Connection, values: Mapping[str, Any], name: str
) -> Iterator[Problem]:
    """Everything wrong with how a host is logged in to."""
    yield from missing_login(connection, values, name)
    yield from _in_clear_text(connection, values)
    if connection.transport == "certificate":
        yield from _certificate(connection)
    if connection.transport == "kerberos":
        yield from _kerberos(connection)
    if connection.transport == "credssp" and connection.credssp_mechanism == "kerberos":
        yield from _principal(connection)
    if connection.fingerprint and connection.scheme == "http":
        yield _PIN, "a certificate is pinned, but http has none: write ansible_winrm_scheme: https"


def missing_login(
    connection: Connection, values: Mapping[str, Any], name: str
) -> Iterator[Problem]:
    """What a way to log in needs and does not have."""
    by_ticket = connection.transport == "kerberos"
    if connection.transport == "certificate":
        return
    manual = by_ticket and not connection.password and not connection.kerberos_keytab
    if not connection.user and not manual:
        yield "ansible_user", f"{name} has no ansible_user: write it here or in a group"
    if manual and values.get("ansible_winrm_kinit_mode") == "managed":
        message = f"{name} has no ansible_password or {_KEYTAB} to get tickets by: write one"
        yield "ansible_winrm_kinit_mode", message
    if not by_ticket and not connection.password:
        yield "ansible_password", f"{name} has no ansible_password: write it here or in a group"


def _in_clear_text(connection: Connection, values: Mapping[str, Any]) -> Iterator[Problem]:
    transport = connection.transport
    basic, plain = transport in _BASIC, connection.scheme == "http"
    if transport == "ssl" and plain:
        yield _TRANSPORT, "transport ssl is Basic over https: write the scheme https"
    elif basic and plain and not _is_permitted(connection, values):
        yield (
            _TRANSPORT,
            f"{transport} over http sends the password in clear text: write "
            "ansible_winrm_scheme: https, or ansible_winrm_transport: ntlm, or, to allow it, "
            "orchestrator_allow_cleartext: true",
        )
    if basic and ":" in connection.user:
        yield "ansible_user", f"{transport} cannot carry a user with a colon: write transport ntlm"
    if (basic or transport == "certificate") and connection.message_encryption == "always":
        yield _ENCRYPTION, f"{transport} cannot seal messages: write auto, or transport ntlm"


def _certificate(connection: Connection) -> Iterator[Problem]:
    if connection.scheme == "http":
        message = "a client certificate is shown by TLS only: write ansible_winrm_scheme: https"
        yield _TRANSPORT, message
        return
    if connection.client_certificate is None:
        message = f"transport certificate needs a certificate: write {_CERTIFICATE}, a file in PEM"
        yield _TRANSPORT, message
    for variable, path in (
        (_CERTIFICATE, connection.client_certificate),
        ("ansible_winrm_cert_key_pem", connection.client_key),
    ):
        if path is not None and not Path(path).is_file():
            yield variable, f"there is no file {path}: write the path on the broker's machine"


def _kerberos(connection: Connection) -> Iterator[Problem]:
    yield from _principal(connection)
    keytab = connection.kerberos_keytab
    if keytab is not None and not Path(keytab).is_file():
        yield _KEYTAB, f"there is no file {keytab}: write the path on the broker's machine"
    if connection.kerberos_hostname is None and _is_address(connection.host):
        yield (
            _TRANSPORT,
            f"Kerberos knows servers by name, not as {connection.host}: write "
            "ansible_winrm_kerberos_hostname_override, or a name as ansible_host",
        )


def _principal(connection: Connection) -> Iterator[Problem]:
    if "\\" in connection.user:
        name = connection.user.rsplit("\\", 1)[-1]
        yield (
            "ansible_user",
            f"Kerberos knows no DOMAIN\\name: write {name}@REALM, the realm in capitals",
        )


def _is_permitted(connection: Connection, values: Mapping[str, Any]) -> bool:
    return bool(values.get("orchestrator_allow_cleartext")) or _is_loopback(connection.host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
