"""Authentication of one TCP connection, and the sealing that goes with it.

NTLM, Negotiate, Kerberos and CredSSP by pyspnego's acceptors; Basic and client
certificates by hand.
"""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spnego
from spnego.channel_bindings import GssChannelBindings

from orchestrator.lab import sealing
from orchestrator.lab.bindings import is_bound, ntlm_binding

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_OFFERS = {
    "negotiate": "Negotiate",
    "kerberos": "Kerberos",
    "credssp": "CredSSP",
    "ntlm": "NTLM",
    "basic": 'Basic realm="WSMAN"',
}
_KERBEROS = bytes.fromhex("06092a864886f712010202")

_environment_lock = threading.Lock()
"""pyspnego and libkrb5 read users and keys from files named by the environment."""


class UserStore:
    """The accounts of one server, as pyspnego wants them."""

    def __init__(self, users: Mapping[str, str], keytab: Path | None = None) -> None:
        self._users = dict(users)
        self._keytab = keytab
        handle, name = tempfile.mkstemp(prefix="lab-users-")
        self._file = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            for user, password in self._users.items():
                stream.write(f":{user}:{password}\n")

    def knows(self, user: str, password: str) -> bool:
        """Whether Basic credentials are right; user names ignore case."""
        return any(u.lower() == user.lower() and p == password for u, p in self._users.items())

    def account(self, principal: str) -> str | None:
        """The account of ``DOMAIN\\name``, ``name@REALM`` or a bare name."""
        name = principal.rsplit("\\", 1)[-1].split("@")[0].lower()
        return next((user for user in self._users if user.split("@")[0].lower() == name), None)

    def step(self, context: Any, token: bytes, bindings: GssChannelBindings | None) -> bytes | None:
        """One step of a pyspnego context, with these users."""
        with self._environment():
            answer: bytes | None = context.step(token, channel_bindings=bindings)
        return answer

    def new_context(self, protocol: str) -> Any:
        """An acceptor."""
        with self._environment():
            return spnego.server(protocol=protocol)

    def close(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)

    @contextmanager
    def _environment(self) -> Iterator[None]:
        wanted = {"NTLM_USER_FILE": str(self._file)}
        if self._keytab is not None:
            wanted["KRB5_KTNAME"] = str(self._keytab)
        with _environment_lock:
            before = {name: os.environ.get(name) for name in wanted}
            os.environ.update(wanted)
            try:
                yield
            finally:
                for name, value in before.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value


@dataclass(frozen=True, slots=True)
class Access:
    """Which ways in a server allows.

    ``schemes`` are lower-case names of HTTP's; ``mapped`` gives the account of
    a client certificate by its subject's common name; ``bindings`` are those a
    login must carry (see bindings.py for the level).
    """

    store: UserStore
    schemes: frozenset[str]
    mapped: Mapping[str, str]
    bindings: GssChannelBindings | None = None
    binding_level: str = "none"


@dataclass(frozen=True, slots=True)
class Challenge:
    """A 401 with these WWW-Authenticate values."""

    values: tuple[str, ...]


class ConnectionAuth:
    """The authentication state of one TCP connection."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._context: Any = None
        self._scheme = ""
        self.user: str | None = None
        self.legs = 0

    @property
    def can_seal(self) -> bool:
        """Whether messages can be sealed."""
        return self.user is not None and self._context is not None

    @property
    def is_by_ticket(self) -> bool:
        """Whether Kerberos logged in."""
        return self.can_seal and self._context.negotiated_protocol == "kerberos"

    def forget(self) -> None:
        """As if the connection were new."""
        self._context, self.user = None, None

    def wants_certificate(self, header: str | None) -> bool:
        """Whether the client means to log in by its certificate."""
        return header == MUTUAL and "certificate" in self._access.schemes

    def authenticate(
        self, header: str | None, certificate_name: str | None = None
    ) -> str | Challenge | None:
        """None: go on, nothing to send. A string: a WWW-Authenticate value that
        goes with the answer. A Challenge: answer 401."""
        if header is None:
            return None if self.can_seal else self.refuse()
        if self.wants_certificate(header):
            self.user = self._access.mapped.get(certificate_name or "")
            return None if self.user else self.refuse()
        scheme, _, value = header.partition(" ")
        if scheme.lower() not in self._access.schemes:
            return self.refuse()
        if scheme.lower() == "basic":
            return self._check_basic(value)
        return self._step(scheme, value)

    def seal(self, plain: bytes) -> tuple[str, bytes]:
        """Content type and body of a sealed answer."""
        protocol = sealing.PROTOCOLS.get(self._scheme.lower(), sealing.SPNEGO)
        return sealing.seal(self._context, protocol, plain)

    def unseal(self, body: bytes) -> bytes:
        """The plain message; ValueError where it is not sealed for this connection."""
        if not self.can_seal:
            raise ValueError("not a sealed message of this connection")
        return sealing.unseal(self._context, body)

    def refuse(self) -> Challenge:
        """The ways in that are open."""
        schemes = self._access.schemes
        return Challenge(tuple(offer for name, offer in _OFFERS.items() if name in schemes))

    def _check_basic(self, value: str) -> Challenge | None:
        try:
            user, _, password = (
                base64.b64decode(value, validate=True).decode("utf-8").partition(":")
            )
        except (binascii.Error, UnicodeDecodeError):
            return self.refuse()
        self.legs += 1
        if not self._access.store.knows(user, password):
            return self.refuse()
        self.user = user
        return None

    def _step(self, scheme: str, value: str) -> str | Challenge | None:
        try:
            token = base64.b64decode(value, validate=True)
        except binascii.Error:
            return self.refuse()
        self.legs += 1
        store = self._access.store
        try:
            if self._context is None or self.user is not None or _is_first(token):
                self.forget()
                self._scheme = scheme
                self._context = store.new_context(_protocol(scheme, token))
            answer = store.step(self._context, token, self._expected_bindings(token))
        except Exception:
            # Acceptors meet what a client makes up: they fail in any way there is.
            self.forget()
            return self.refuse()
        text = f"{scheme} {base64.b64encode(answer).decode()}" if answer else ""
        if not self._context.complete:
            # CredSSP answers once more to say what was wrong, empty in the middle.
            return Challenge((text or scheme,))
        self.user = self._accepted(token)
        if self.user is None:
            self.forget()
            return self.refuse()
        return text or None

    def _expected_bindings(self, token: bytes) -> GssChannelBindings | None:
        """pyspnego's NTLM refuses a missing binding, which only strict does."""
        access = self._access
        if self._scheme.lower() == "credssp":
            return None
        if access.binding_level == "relaxed" and ntlm_binding(token) == b"":
            return None
        return access.bindings

    def _accepted(self, token: bytes) -> str | None:
        """The account that logged in, None where it may not."""
        access, context = self._access, self._context
        if self._scheme.lower() == "credssp":
            given = context.get_extra_info("client_credential")
            return given.username if access.store.knows(given.username, given.password) else None
        strict = access.bindings is not None and access.binding_level == "strict"
        if strict and not is_bound(context, token):
            return None
        return access.store.account(context.client_principal or "")


def _is_first(token: bytes) -> bool:
    """NTLM's first message, GSS-API's initial token, or a TLS ClientHello."""
    hello = token[:1] == b"\x16" and token[5:6] == b"\x01"
    return hello or token.startswith((b"NTLMSSP\0\x01", b"\x60"))


def _protocol(scheme: str, token: bytes) -> str:
    """What speaks in a first token."""
    if scheme.lower() == "credssp":
        return "credssp"
    if token.startswith(b"NTLMSSP\0"):
        return "ntlm"
    length_bytes = token[1] & 0x7F if token[1:2] >= b"\x80" else 0
    return "kerberos" if token[2 + length_bytes :].startswith(_KERBEROS) else "negotiate"
