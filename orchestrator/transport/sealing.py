"""Sealed messages: SOAP between multipart boundaries, [MS-WSMV] 2.2.9.1."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

_BOUNDARY = b"--Encrypted Boundary"
_PART = re.compile(
    rb"--\s?Encrypted Boundary\r\n\s*Content-Type:[^\r\n]*\r\n"
    rb"\s*(OriginalContent):[^\r\n]*?Length=\d+[^\r\n]*\r\n"
    rb"--\s?Encrypted Boundary\r\n\s*Content-Type: application/octet-stream\r\n",
    re.IGNORECASE,
)
_ENDS = (b"--Encrypted Boundary", b"-- Encrypted Boundary")
_CREDSSP_MOST = 16384


def is_sealed(body: bytes) -> bool:
    """Whether it begins as sealed messages do."""
    return body.lstrip()[:20].replace(b" ", b"").startswith(_BOUNDARY.replace(b" ", b""))


class CannotUnseal(ValueError):
    """An answer that this connection's context cannot open."""


@dataclass(slots=True)
class Seal:
    """Seals and opens the messages of one connection, in their order."""

    context: Any
    protocol: str

    def wrap(self, message: bytes) -> tuple[str, bytes]:
        """Content type and body of a sealed message."""
        kind = "multipart/encrypted"
        pieces = [message]
        if "CredSSP" in self.protocol and len(message) > _CREDSSP_MOST:
            # A TLS record, which CredSSP seals with, holds no more.
            kind = "multipart/x-multi-encrypted"
            starts = range(0, len(message), _CREDSSP_MOST)
            pieces = [message[start : start + _CREDSSP_MOST] for start in starts]
        body = b"".join([*map(self._part, pieces), _BOUNDARY, b"--\r\n"])
        return f'{kind};protocol="{self.protocol}";boundary="Encrypted Boundary"', body

    def unwrap(self, body: bytes) -> bytes:
        """The message in a sealed answer."""
        plain = bytearray()
        position = 0
        while (part := _PART.search(body, position)) is not None:
            start = part.end()
            # Most answers have one part: looking for its like is much the faster.
            is_last = body.find(part[1], start) < 0
            after = None if is_last else _PART.search(body, start)
            end = _last_boundary(body, start) if after is None else after.start()
            plain += self._open(body[start:end])
            position = end
        if not position:
            raise CannotUnseal("it is said to be sealed, but has no sealed part")
        return bytes(plain)

    def _part(self, message: bytes) -> bytes:
        sealed = self.context.wrap_winrm(message)
        return b"".join(
            (
                _BOUNDARY,
                b"\r\n\tContent-Type: ",
                self.protocol.encode("ascii"),
                b"\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=",
                str(len(message) + sealed.padding_length).encode("ascii"),
                b"\r\n",
                _BOUNDARY,
                b"\r\n\tContent-Type: application/octet-stream\r\n",
                struct.pack("<i", len(sealed.header)),
                sealed.header,
                sealed.data,
            )
        )

    def _open(self, payload: bytes) -> bytes:
        if len(payload) < 4:
            raise CannotUnseal("its sealed part is empty")
        (size,) = struct.unpack("<i", payload[:4])
        if not 0 <= size <= len(payload) - 4:
            raise CannotUnseal("its signature is longer than itself")
        try:
            plain: bytes = self.context.unwrap_winrm(payload[4 : 4 + size], payload[4 + size :])
        except Exception as error:
            # GSS-API has errors that pyspnego does not make its own.
            raise CannotUnseal(f"it was not sealed for this connection: {error}") from error
        return plain


def _last_boundary(body: bytes, start: int) -> int:
    """Where the last part ends."""
    found = max(body.rfind(end, start) for end in _ENDS)
    if found < 0:
        lower = body.lower()
        found = max(lower.rfind(end.lower(), start) for end in _ENDS)
    return len(body) if found < 0 else found
