"""Authentication of one TCP connection, and the sealing that goes with it.

NTLM and Negotiate (SPNEGO with NTLM inside) by pyspnego, Basic by hand. The
multipart layout is that of [MS-WSMV] 2.2.9.1.
"""

from __future__ import annotations

import base64
import binascii
import os
import struct
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spnego
from spnego.exceptions import SpnegoError

_BOUNDARY = b"--Encrypted Boundary"
_SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
SEALED_TYPE = f'multipart/encrypted;protocol="{_SPNEGO}";boundary="Encrypted Boundary"'

_store_lock = threading.Lock()
"""pyspnego reads its users from a file named by an environment variable."""


class UserStore:
    """The accounts of one server, as pyspnego wants them."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = dict(users)
        handle, name = tempfile.mkstemp(prefix="lab-users-")
        self._file = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            for user, password in self._users.items():
                stream.write(f":{user}:{password}\n")

    def knows(self, user: str, password: str) -> bool:
        """Whether Basic credentials are right; user names ignore case."""
        return any(u.lower() == user.lower() and p == password for u, p in self._users.items())

    def step(self, context: Any, token: bytes) -> bytes | None:
        """One step of a pyspnego context, with these users."""
        with _store_lock:
            before = os.environ.get("NTLM_USER_FILE")
            os.environ["NTLM_USER_FILE"] = str(self._file)
            try:
                answer: bytes | None = context.step(token)
            finally:
                _restore(before)
        return answer

    def new_context(self, token: bytes) -> Any:
        """An acceptor for what the first token speaks."""
        protocol = "ntlm" if token.startswith(b"NTLMSSP\0") else "negotiate"
        with _store_lock:
            before = os.environ.get("NTLM_USER_FILE")
            os.environ["NTLM_USER_FILE"] = str(self._file)
            try:
                return spnego.server(protocol=protocol)
            finally:
                _restore(before)

    def close(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)


def _restore(before: str | None) -> None:
    if before is None:
        os.environ.pop("NTLM_USER_FILE", None)
    else:
        os.environ["NTLM_USER_FILE"] = before


@dataclass(frozen=True, slots=True)
class Challenge:
    """A 401 with these WWW-Authenticate values."""

    values: tuple[str, ...]


class ConnectionAuth:
    """The authentication state of one TCP connection."""

    def __init__(self, store: UserStore, *, basic: bool) -> None:
        self._store = store
        self._basic = basic
        self._context: Any = None
        self._scheme = ""
        self.user: str | None = None
        self.legs = 0

    @property
    def can_seal(self) -> bool:
        """Whether messages can be sealed."""
        return self.user is not None and self._context is not None

    def forget(self) -> None:
        """As if the connection were new."""
        self._context, self.user = None, None

    def authenticate(self, header: str | None) -> str | Challenge | None:
        """None: go on, nothing to send. A string: a WWW-Authenticate value that
        goes with the answer. A Challenge: answer 401."""
        if header is None:
            return None if self.can_seal else self._refuse()
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "basic" and self._basic:
            return self._check_basic(value)
        if scheme.lower() in {"negotiate", "ntlm"}:
            return self._step(scheme, value)
        return self._refuse()

    def seal(self, plain: bytes) -> bytes:
        """A sealed multipart body."""
        sealed = self._context.wrap_winrm(plain)
        length = len(plain) + sealed.padding_length
        body: bytes = (
            _BOUNDARY
            + b"\r\n\tContent-Type: "
            + _SPNEGO.encode()
            + b"\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length="
            + str(length).encode()
            + b"\r\n"
            + _BOUNDARY
            + b"\r\n\tContent-Type: application/octet-stream\r\n"
            + struct.pack("<i", len(sealed.header))
            + sealed.header
            + sealed.data
            + _BOUNDARY
            + b"--\r\n"
        )
        return body

    def unseal(self, body: bytes) -> bytes:
        """The plain message; ValueError where it is not sealed for this connection."""
        marker = b"\tContent-Type: application/octet-stream\r\n"
        start = body.find(marker)
        end = body.rfind(_BOUNDARY + b"--")
        if start < 0 or end < 0 or not self.can_seal:
            raise ValueError("not a sealed message of this connection")
        payload = body[start + len(marker) : end]
        (size,) = struct.unpack("<i", payload[:4])
        try:
            plain: bytes = self._context.unwrap_winrm(payload[4 : 4 + size], payload[4 + size :])
        except SpnegoError as error:
            raise ValueError(f"cannot be unsealed: {error}") from None
        return plain

    def _check_basic(self, value: str) -> Challenge | None:
        try:
            user, _, password = (
                base64.b64decode(value, validate=True).decode("utf-8").partition(":")
            )
        except (binascii.Error, UnicodeDecodeError):
            return self._refuse()
        self.legs += 1
        if not self._store.knows(user, password):
            return self._refuse()
        self.user = user
        return None

    def _step(self, scheme: str, value: str) -> str | Challenge | None:
        try:
            token = base64.b64decode(value, validate=True)
        except binascii.Error:
            return self._refuse()
        if self._context is None or self.user is not None or _is_first(token):
            self.forget()
            self._context = self._store.new_context(token)
        self.legs += 1
        try:
            answer = self._store.step(self._context, token)
        except SpnegoError:
            self.forget()
            return self._refuse()
        text = f"{scheme} {base64.b64encode(answer).decode()}" if answer else ""
        if not self._context.complete:
            return Challenge((text,))
        self.user = self._context.client_principal or ""
        return text or None

    def _refuse(self) -> Challenge:
        offered = ["Negotiate"]
        if self._basic:
            offered.append('Basic realm="WSMAN"')
        return Challenge(tuple(offered))


def _is_first(token: bytes) -> bool:
    return token.startswith((b"NTLMSSP\0\x01", b"\x60"))
