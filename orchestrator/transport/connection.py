"""One kept connection to a server, for one user at a time.

NTLM authenticates a TCP connection, and its sealing counts messages: a
connection that timed out or broke can never be used again, and a new TCP
connection needs a new authentication. pywinrm would reconnect silently and
send a message that the server cannot unseal, so reconnecting is refused here
and done on purpose.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from winrm.exceptions import WinRMOperationTimeoutError
from winrm.protocol import Protocol
from winrm.transport import Transport

from orchestrator.domain.errors import CredentialsRefused
from orchestrator.domain.server import Connection
from orchestrator.transport.deadline import Deadline, Watchdog
from orchestrator.transport.faults import FAILURES, Failed, OperationTimedOut, Sent, diagnose

_LEAST_TIMEOUT = 0.05
_HEAD = 500
_BASIC = frozenset({"basic", "plaintext", "ssl"})
_PYWINRM_NAME = {"negotiate": "ntlm"}


class RequestFailed(Exception):
    """A request failed; ``failed`` says how."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


class _Line:
    """The TCP connection under a requests session, to look at and to cut."""

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.established = False
        self.cut = False

    def connected(self, sock: Any) -> None:
        self.sock = sock

    def may_connect(self) -> bool:
        return not self.established and not self.cut

    def is_stale(self) -> bool:
        """Whether the server has closed it, or sent what nobody asked for."""
        if self.sock is None or self.sock.fileno() < 0:
            return True
        return bool(select.select([self.sock], [], [], 0)[0])

    def shut_down(self) -> None:
        self.cut = True
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """An adapter with one connection, whose socket is known to ``line``."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        line = self._line

        class Plain(HTTPConnection):
            def connect(self) -> None:
                _refuse_reconnect(line)
                super().connect()
                line.connected(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                _refuse_reconnect(line)
                super().connect()
                line.connected(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def _refuse_reconnect(line: _Line) -> None:
    if not line.may_connect():
        raise OSError("the kept connection was closed")


class _Authenticated(AuthBase):
    """Keeps a connection's sealing context, and leaves a 401 to us.

    requests_ntlm would authenticate again and send the same bytes, sealed by
    the context that the server has forgotten: 400 follows.
    """

    def __init__(self, auth: Any) -> None:
        self.session_security = auth.session_security

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Connection"] = "Keep-Alive"
        return request


class _Transport(Transport):
    """pywinrm's transport with our adapter under it.

    ``reached`` tells whether a call got past authentication: until then the
    server has seen nothing of its message.
    """

    def __init__(self, line: _Line, settings: Connection) -> None:
        self._line = line
        self._settings = settings
        self.reached = False
        options: dict[str, Any] = {
            "auth_method": _PYWINRM_NAME.get(settings.transport, settings.transport),
            "server_cert_validation": "validate" if settings.validate_certificate else "ignore",
            "ca_trust_path": settings.ca_file or _system_cas(),
            "message_encryption": settings.message_encryption,
        }
        super().__init__(
            endpoint=settings.url,
            username=settings.user,
            password=settings.password,
            read_timeout_sec=settings.read_timeout,
            proxy=None,
            **options,
        )

    def build_session(self) -> requests.Session:
        """A session on our adapter; for a sealed transport authenticated already."""
        if self.session is not None:
            return self.session
        session = super().build_session()
        self._use_line(session)
        return session

    def setup_encryption(self, session: requests.Session) -> None:
        """Authenticate: pywinrm calls this in the middle of ``build_session``."""
        self._use_line(session)
        super().setup_encryption(session)
        session.auth = _Authenticated(session.auth)

    def send_message(self, message: str | bytes) -> Any:
        """Send; from here on the server may have seen the message."""
        self.build_session()
        self.reached = True
        answer = super().send_message(message)
        if b"Envelope" not in answer[:_HEAD]:
            raise ValueError("it is not SOAP")
        return answer

    def _use_line(self, session: requests.Session) -> None:
        if isinstance(session.adapters.get("http://"), _Adapter):
            return
        session.trust_env = False
        adapter = _Adapter(self._line)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        if self._settings.transport in _BASIC:
            session.auth = HTTPBasicAuth(
                self._settings.user.encode("utf-8"), self._settings.password.encode("utf-8")
            )


class KeptConnection:
    """Authenticated once, then used for many requests."""

    def __init__(self, server: str, settings: Connection, watchdog: Watchdog) -> None:
        self.server = server
        self.used_at = time.monotonic()
        self._settings = settings
        self._watchdog = watchdog
        self._line = _Line()
        self._broken = False
        self.protocol = self._make_protocol()

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent on it."""
        return not self._broken and not self._line.cut

    def call(self, deadline: Deadline, what: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a method of pywinrm's Protocol within ``deadline``.

        Raises OperationTimedOut for an empty long poll and RequestFailed for
        the rest. A connection found closed before anything was sent is made
        anew, and so is one whose authentication the server has forgotten:
        neither request was executed.
        """
        self._renew_if_stale()
        was_established = self._line.established
        try:
            return self._try(deadline, what, args, kwargs)
        except RequestFailed as error:
            forgotten = was_established and error.failed.kind is CredentialsRefused
            if not forgotten or deadline.passed:
                raise
        self._renew()
        return self._try(deadline, what, args, kwargs)

    def parse(self, answer: bytes) -> ET.Element:
        """The answer's XML; RequestFailed where it is none."""
        try:
            return ET.fromstring(answer)
        except ET.ParseError as error:
            self._broken = True
            raise RequestFailed(diagnose(error, False)) from error

    def close(self) -> None:
        """Close the TCP connection."""
        self._broken = True
        session = self.protocol.transport.session
        if session is not None:
            session.close()
            self.protocol.transport.session = None
        if self._line.sock is not None:
            with contextlib.suppress(OSError):
                self._line.sock.close()

    def _try(self, deadline: Deadline, what: Any, args: Any, kwargs: Any) -> Any:
        if deadline.passed:
            failed = diagnose(requests.exceptions.ConnectTimeout("the deadline had passed"), True)
            raise RequestFailed(failed)
        self._set_timeouts(deadline)
        line = self._line
        self.protocol.transport.reached = False
        try:
            with self._watchdog.guard(deadline, line.shut_down):
                result = getattr(self.protocol, what)(*args, **kwargs)
        except WinRMOperationTimeoutError:
            self._succeeded()
            raise OperationTimedOut from None
        except FAILURES as error:
            failed = diagnose(error, deadline.passed)
            if not self.protocol.transport.reached:
                failed = replace(failed, sent=Sent.NO)
            if failed.reusable:
                self._succeeded()
            else:
                self._broken = True
            raise RequestFailed(failed) from error
        self._succeeded()
        return result

    def _succeeded(self) -> None:
        self._line.established = True
        self.used_at = time.monotonic()

    def _set_timeouts(self, deadline: Deadline) -> None:
        left = max(_LEAST_TIMEOUT, deadline.remaining)
        self.protocol.transport.read_timeout_sec = min(self._settings.read_timeout, left)
        self.protocol.operation_timeout_sec = max(
            1, min(self._settings.operation_timeout, int(left) - 1)
        )

    def _renew_if_stale(self) -> None:
        if self._line.established and self._line.is_stale():
            self._renew()

    def _renew(self) -> None:
        self.close()
        self._line = _Line()
        self._broken = False
        self.protocol = self._make_protocol()

    def _make_protocol(self) -> Any:
        settings = self._settings
        protocol: Any = Protocol(
            settings.url,
            username=settings.user,
            password=settings.password,
            read_timeout_sec=settings.read_timeout,
            operation_timeout_sec=settings.operation_timeout,
        )
        protocol.transport = _Transport(self._line, settings)
        return protocol


def _system_cas() -> str | None:
    """The system's CA file, which admins maintain; requests brings its own list."""
    return ssl.get_default_verify_paths().cafile
