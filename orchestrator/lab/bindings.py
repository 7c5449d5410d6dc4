"""Channel binding: whether a login was meant for the TLS connection it came over.

``none``, ``relaxed`` and ``strict`` are the values of WinRM's CbtHardeningLevel.
Relaxed refuses a wrong binding, strict also a missing one.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from spnego.channel_bindings import GssChannelBindings

LEVELS = ("none", "relaxed", "strict")
_NTLM_AUTHENTICATE = b"NTLMSSP\0\x03\0\0\0"
_CHANNEL_BINDINGS = 10
_CHANNEL_BOUND = 2048


def end_point(certificate: Path) -> GssChannelBindings:
    """tls-server-end-point of RFC 5929, for the SHA-2 certificates that the lab has."""
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    algorithm = found.signature_hash_algorithm
    assert algorithm is not None
    digest = hashlib.new(algorithm.name, found.public_bytes(serialization.Encoding.DER))
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.digest())


def is_bound(context: Any, token: bytes) -> bool:
    """Whether a finished login carries a binding at all; pyspnego's acceptors
    refuse a wrong one and let a missing one pass."""
    found = ntlm_binding(token)
    if found is not None:
        return found != b""
    inner = context
    while inner is not None and not hasattr(inner, "actual_flags"):
        inner = getattr(inner, "_context", None)
    return inner is not None and bool(int(inner.actual_flags) & _CHANNEL_BOUND)


def ntlm_binding(token: bytes) -> bytes | None:
    """MsvAvChannelBindings of the AUTHENTICATE_MESSAGE in a token, [MS-NLMP]
    2.2.2.1; empty where it has none, None where the token is another."""
    start = token.find(_NTLM_AUTHENTICATE)
    if start < 0:
        return None
    message = token[start:]
    length, _, offset = struct.unpack_from("<HHI", message, 20)
    pairs = message[offset : offset + length][44:]
    while len(pairs) >= 4:
        kind, size = struct.unpack_from("<HH", pairs)
        if kind == _CHANNEL_BINDINGS:
            value = pairs[4 : 4 + size]
            return value if any(value) else b""
        if kind == 0:
            break
        pairs = pairs[4 + size :]
    return b""
