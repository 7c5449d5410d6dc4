"""TLS as a WinRM listener has it, client certificates included."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class ClientCertificates:
    """Whose client certificates are taken, and for which accounts.

    ``accounts`` go by the subject's common name. ``late``: asked for after the
    handshake, when a request wants to log in by one, as HTTP.sys does unless its
    binding says otherwise (here by TLS 1.3 only).
    """

    authority: Path
    accounts: Mapping[str, str]
    late: bool = True


def server_context(certificate: Path, clients: ClientCertificates | None) -> ssl.SSLContext:
    """The listener's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients is not None:
        context.load_verify_locations(clients.authority)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.post_handshake_auth = clients.late
        if not clients.late:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def peer_name(sock: socket.socket, clients: ClientCertificates) -> str | None:
    """The common name in the client's certificate, asked for where it has to be."""
    if not isinstance(sock, ssl.SSLSocket):
        return None
    der = sock.getpeercert(True)
    if der is None and clients.late:
        der = _asked_for(sock)
    if der is None:
        return None
    subject = x509.load_der_x509_certificate(der).subject
    (name,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def _asked_for(sock: ssl.SSLSocket) -> bytes | None:
    """TLS 1.3's post-handshake authentication; the client waits for its answer
    meanwhile, so whatever comes belongs to the handshake."""
    try:
        sock.verify_client_post_handshake()
        sock.do_handshake()
    except ssl.SSLError:
        return None
    before = sock.gettimeout()
    sock.settimeout(0)
    try:
        while sock.getpeercert(True) is None and select.select([sock], [], [], _PATIENCE)[0]:
            try:
                if not sock.recv(1):
                    return None
            except ssl.SSLWantReadError:
                continue
    finally:
        sock.settimeout(before)
    return sock.getpeercert(True)
