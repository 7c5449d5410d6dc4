"""NTLM's message security once pyspnego has authenticated, [MS-NLMP] 3.4.

pyspnego works out anew for each message what was negotiated, which is a quarter
of a poll's CPU. Here that is done once, for the one combination that every
Windows still in use negotiates; anything else stays with pyspnego.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Any, NamedTuple, Self

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher
from spnego.exceptions import BadMICError

_AUTHENTICATE = b"NTLMSSP\0\3\0\0\0"
_FLAGS_AT = 60
_KEY_EXCHANGE, _KEY_128, _EXTENDED_SECURITY, _SEAL, _SIGN = (
    0x40000000,
    0x20000000,
    0x00080000,
    0x00000020,
    0x00000010,
)
_WANTED = _KEY_EXCHANGE | _KEY_128 | _EXTENDED_SECURITY | _SEAL | _SIGN
_MAGIC = b"session key to %s %s key magic constant\0"
_TO_SERVER, _TO_CLIENT = b"client-to-server", b"server-to-client"
_VERSION = b"\1\0\0\0"


class Wrapped(NamedTuple):
    """A sealed message; the same as pyspnego's."""

    header: bytes
    data: bytes
    padding_length: int


class NtlmSealing:
    """Seals and opens the messages of one connection, in their order, as a
    pyspnego context does."""

    def __init__(self, session_key: bytes) -> None:
        self._out = _Direction(session_key, _TO_SERVER)
        self._in = _Direction(session_key, _TO_CLIENT)

    @classmethod
    def after(cls, token: bytes | None, context: Any) -> Self | None:
        """What follows a context's last token, by the flags it carries; None
        where that is no AUTHENTICATE message, or another security was negotiated."""
        if token is None or not token.startswith(_AUTHENTICATE) or len(token) < _FLAGS_AT + 4:
            return None
        (flags,) = struct.unpack_from("<I", token, _FLAGS_AT)
        return cls(context.session_key) if flags & _WANTED == _WANTED else None

    def wrap_winrm(self, message: bytes) -> Wrapped:
        """Seal."""
        data = self._out.cipher.update(message)
        return Wrapped(self._out.signature(message), data, 0)

    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes:
        """Open; BadMICError where it was changed, or is out of its order."""
        message = self._in.cipher.update(data)
        if not hmac.compare_digest(self._in.signature(message), header):
            raise BadMICError(context_msg="the message's signature is not its own")
        return message


class _Direction:
    """One way: its cipher, its signing key, and how many messages went it."""

    def __init__(self, session_key: bytes, way: bytes) -> None:
        self.cipher = Cipher(ARC4(_derived(session_key, way, b"sealing")), None).encryptor()
        key = _derived(session_key, way, b"signing")
        # The two halves of HMAC-MD5 [RFC 2104] with the key in them: OpenSSL
        # would look the digest up anew for each message.
        self._inner = _begun(key, 0x36)
        self._outer = _begun(key, 0x5C)
        self._count = 0

    def signature(self, message: bytes) -> bytes:
        """Of the next message, which the cipher has just passed."""
        number = struct.pack("<I", self._count & 0xFFFFFFFF)
        self._count += 1
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(number + message)
        outer.update(inner.digest())
        return _VERSION + self.cipher.update(outer.digest()[:8]) + number


def _begun(key: bytes, pad: int) -> Any:
    """One half of HMAC-MD5, for a key no longer than MD5's block of 64 bytes."""
    return hashlib.md5(bytes(each ^ pad for each in key.ljust(64, b"\0")))  # noqa: S324


def _derived(session_key: bytes, way: bytes, use: bytes) -> bytes:
    # NTLM's own key derivation, which nobody chose.
    return hashlib.md5(session_key + _MAGIC % (way, use)).digest()  # noqa: S324
