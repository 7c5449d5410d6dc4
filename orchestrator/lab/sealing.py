"""Sealed messages as a server has them: the multipart layout of [MS-WSMV] 2.2.9.1."""

from __future__ import annotations

import struct
from typing import Any

_BOUNDARY = b"--Encrypted Boundary"
_OCTETS = b"\tContent-Type: application/octet-stream\r\n"
_RECORD = 16384

SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
KERBEROS = "application/HTTP-Kerberos-session-encrypted"
CREDSSP = "application/HTTP-CredSSP-session-encrypted"
PROTOCOLS = {"credssp": CREDSSP, "kerberos": KERBEROS}
"""By the scheme of the Authorization header, in lower case; SPNEGO for the others."""


def seal(context: Any, protocol: str, plain: bytes) -> tuple[str, bytes]:
    """Content type and body; CredSSP seals in TLS records, which hold 16 KiB."""
    pieces = [plain]
    kind = "multipart/encrypted"
    if protocol == CREDSSP and len(plain) > _RECORD:
        kind = "multipart/x-multi-encrypted"
        pieces = [plain[start : start + _RECORD] for start in range(0, len(plain), _RECORD)]
    body = b"".join(_part(context, protocol, piece) for piece in pieces) + _BOUNDARY + b"--\r\n"
    return f'{kind};protocol="{protocol}";boundary="Encrypted Boundary"', body


def unseal(context: Any, body: bytes) -> bytes:
    """The plain message; ValueError where it is not sealed for this context."""
    end = body.rfind(_BOUNDARY + b"--")
    pieces = body[: max(0, end)].split(_BOUNDARY + b"\r\n")[1:]
    if end < 0 or not pieces or len(pieces) % 2:
        raise ValueError("not a sealed message")
    plain = b""
    for head, sealed in zip(pieces[::2], pieces[1::2], strict=True):
        if not sealed.startswith(_OCTETS):
            raise ValueError("a sealed part without its type")
        piece = _opened(context, sealed[len(_OCTETS) :])
        if len(piece) > int(head.split(b"Length=")[1].split()[0]):
            raise ValueError("a sealed part longer than it says")
        plain += piece
    return plain


def _part(context: Any, protocol: str, plain: bytes) -> bytes:
    sealed = context.wrap_winrm(plain)
    length = len(plain) + sealed.padding_length
    part: bytes = (
        _BOUNDARY
        + f"\r\n\tContent-Type: {protocol}\r\n"
        f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={length}\r\n".encode()
        + _BOUNDARY
        + b"\r\n"
        + _OCTETS
        + struct.pack("<i", len(sealed.header))
        + sealed.header
        + sealed.data
    )
    return part


def _opened(context: Any, payload: bytes) -> bytes:
    (size,) = struct.unpack("<i", payload[:4])
    try:
        plain: bytes = context.unwrap_winrm(payload[4 : 4 + size], payload[4 + size :])
    except Exception as error:
        raise ValueError(f"cannot be unsealed: {error}") from None
    return plain
