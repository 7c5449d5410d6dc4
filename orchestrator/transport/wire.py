"""One TCP connection to a server, and HTTP/1.1 on it.

Preparing and sending through ``requests`` costs more than all the rest of a
poll, and writes head and body apart; here both leave in one write. A wire
never reconnects by itself: NTLM belongs to its TCP connection, so a broken one
is the end of both.
"""

from __future__ import annotations

import base64
import contextlib
import re
import select
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from orchestrator.domain.server import Connection
from orchestrator.transport import tls
from orchestrator.transport.http11 import CutShort, NotHttp, Reader, Response
from orchestrator.transport.names import NoNameServer, addresses
from orchestrator.transport.refusals import CannotProve, Refused

_LEAST_TIMEOUT = 0.05
_AGENT = b"User-Agent: game-orchestrator\r\n"
_CHALLENGE = re.compile(r'(?:[^,"]|"[^"]*"?)+')
_PROXY_PORT = 80
_HINTS = {
    403: ": it does not let us through to that port",
    407: ": it wants a login, http://USER:PASSWORD@HOST:PORT in ansible_winrm_proxy",
}
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "RECORD_LAYER_FAILURE"}
_CERTIFICATE_REFUSED = (
    "the server does not take the client certificate: it must be valid, for client "
    "authentication, and of a CA in the server's LocalMachine\\Root"
)


class WireError(Exception):
    """Something went wrong on the wire."""


class CannotConnect(WireError):
    """No connection came about; nothing was sent."""


class ConnectTimeout(CannotConnect):
    """No connection came about in time; nothing was sent."""


class Untrusted(WireError):
    """The server's certificate is not to be trusted; nothing was sent."""


class Broken(WireError):
    """The connection broke."""


class Silent(WireError):
    """The server said nothing in time."""


class Garbled(WireError):
    """What came back is not HTTP."""


@dataclass(slots=True)
class Traffic:
    """What went over wires: requests and bytes, authentication legs among
    them, and the seconds spent waiting for answers."""

    requests: int = 0
    legs: int = 0
    sent: int = 0
    received: int = 0
    waited: float = 0.0

    def __sub__(self, before: Traffic) -> Traffic:
        return Traffic(
            self.requests - before.requests,
            self.legs - before.legs,
            self.sent - before.sent,
            self.received - before.received,
            self.waited - before.waited,
        )

    def add(self, other: Traffic) -> None:
        """Count that too."""
        self.requests += other.requests
        self.legs += other.legs
        self.sent += other.sent
        self.received += other.received
        self.waited += other.waited

    def copy(self) -> Traffic:
        """As it is now."""
        return Traffic(self.requests, self.legs, self.sent, self.received, self.waited)


@dataclass(slots=True)
class Wire:
    """Connect it, ask it, close it; one user at a time.

    ``shut_down`` may be called from another thread, and makes whatever blocks
    return at once.
    """

    settings: Connection
    traffic: Traffic = field(default_factory=Traffic)
    sock: socket.socket | None = None
    is_cut: bool = False
    _head: bytes = b""
    _reader: Reader | None = None

    def connect(self, timeout: float) -> None:
        """Connect, through the proxy where there is one, and secure it for https."""
        settings = self.settings
        self._head = (
            f"POST {settings.path} HTTP/1.1\r\nHost: {_authority(settings)}\r\n".encode("ascii")
            + _AGENT
            + b"Connection: Keep-Alive\r\n"
        )
        until = time.monotonic() + timeout
        host, port = settings.host, settings.port
        if settings.proxy:
            proxy = urlsplit(settings.proxy)
            host, port = proxy.hostname or "", proxy.port or _PROXY_PORT
        try:
            sock = self._open(host, port, until)
        except NoNameServer as error:
            raise ConnectTimeout(f"the name {host} cannot be resolved: {error}") from error
        except TimeoutError as error:
            raise ConnectTimeout("no connection in time") from error
        except OSError as error:
            where = f"the proxy {host}:{port}: " if settings.proxy else ""
            raise CannotConnect(where + _words(error)) from error
        if self.is_cut:
            self.close()
            raise ConnectTimeout("no connection in time")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if settings.proxy:
            self._tunnel(until)
        if settings.scheme == "https":
            self._secure(until)
        assert self.sock is not None
        self._reader = Reader(self.sock)

    def post(
        self, body: bytes, content_type: str | None, authorization: str | None, timeout: float
    ) -> Response:
        """One request and its answer. ``timeout`` is for each read, in seconds."""
        lines = [self._head]
        if content_type is not None:
            lines.append(f"Content-Type: {content_type}\r\n".encode("ascii"))
        if authorization is not None:
            lines.append(f"Authorization: {authorization}\r\n".encode("ascii"))
        lines.append(b"Content-Length: %d\r\n\r\n" % len(body))
        lines.append(body)
        return self._ask(b"".join(lines), timeout)

    def is_stale(self) -> bool:
        """Whether the server has closed it, or sent what nobody asked for."""
        sock, reader = self.sock, self._reader
        if sock is None or reader is None or self.is_cut or sock.fileno() < 0 or reader.has_rest:
            return True
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        return bool(poller.poll(0))

    def server_certificate(self) -> bytes | None:
        """The server's certificate in DER, for https."""
        return self.sock.getpeercert(True) if isinstance(self.sock, ssl.SSLSocket) else None

    def shut_down(self) -> None:
        """Cut it, from any thread."""
        self.is_cut = True
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it."""
        self.is_cut = True
        sock, self.sock = self.sock, None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()

    def _open(self, host: str, port: int, until: float) -> socket.socket:
        """A connection to the first of the host's addresses that takes one, all
        within one limit; while it comes about it can be cut."""
        refused: OSError = TimeoutError("no connection in time")
        found = addresses(host, port, until, lambda: self.is_cut)
        for family, kind, protocol, address in found:
            sock = self.sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(max(_LEAST_TIMEOUT, until - time.monotonic()))
                sock.connect(address)
            except OSError as error:
                refused = error
                self.sock = None
                sock.close()
                if self.is_cut or time.monotonic() >= until:
                    break
            else:
                return sock
        raise refused

    def _tunnel(self, until: float) -> None:
        target = _authority(self.settings)
        login = _proxy_authorization(self.settings.proxy or "")
        request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n".encode("ascii")
        try:
            assert self.sock is not None
            self.sock.settimeout(max(_LEAST_TIMEOUT, until - time.monotonic()))
            self.sock.sendall(request)
            response = Reader(self.sock).read_head()
        except TimeoutError as error:
            raise ConnectTimeout("the proxy did not answer in time") from error
        except (OSError, NotHttp, CutShort) as error:
            raise CannotConnect(f"the proxy broke the connection: {_words(error)}") from error
        if response.status != 200:
            raise CannotConnect(
                f"the proxy answered {response.status}{_HINTS.get(response.status, '')}"
            )

    def _secure(self, until: float) -> None:
        settings, sock = self.settings, self.sock
        assert sock is not None
        try:
            context = tls.context_for(settings)
        except tls.OwnCertificateUnusable as error:
            raise CannotProve(str(error)) from error
        except tls.AuthoritiesUnusable as error:
            raise Untrusted(str(error)) from error
        sock.settimeout(max(_LEAST_TIMEOUT, until - time.monotonic()))
        try:
            self.sock = context.wrap_socket(sock, server_hostname=settings.host)
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(tls.why_untrusted(error, settings)) from error
        except ssl.SSLError as error:
            if tls.is_about_our_certificate(error, settings):
                raise Refused(_CERTIFICATE_REFUSED) from error
            if error.reason in _NOT_TLS:
                raise Untrusted(
                    f"port {settings.port} does not speak TLS: write ansible_winrm_scheme: http, "
                    "or the port of the https listener"
                ) from error
            raise CannotConnect(f"TLS broke, does the port speak TLS? {_words(error)}") from error
        except TimeoutError as error:
            raise ConnectTimeout("no TLS in time, does the port speak TLS?") from error
        except OSError as error:
            raise CannotConnect(f"TLS broke, does the port speak TLS? {_words(error)}") from error
        pinned = settings.fingerprint
        if pinned and not tls.has_fingerprint(self.server_certificate(), pinned):
            raise Untrusted(tls.why_not_pinned(self.server_certificate()))

    def _ask(self, request: bytes, timeout: float) -> Response:
        sock, reader = self.sock, self._reader
        if sock is None or reader is None:
            raise Broken("the connection is closed")
        traffic = self.traffic
        traffic.requests += 1
        traffic.sent += len(request)
        began = time.monotonic()
        try:
            sock.settimeout(max(_LEAST_TIMEOUT, timeout))
            sock.sendall(request)
            response = reader.read()
        except TimeoutError as error:
            raise Silent("the server went silent") from error
        except CutShort as error:
            raise Broken(str(error)) from error
        except NotHttp as error:
            raise Garbled(f"not HTTP: {error}") from error
        except ssl.SSLError as error:
            if tls.is_about_our_certificate(error, self.settings):
                raise Refused(_CERTIFICATE_REFUSED) from error
            raise Broken(_words(error)) from error
        except OSError as error:
            raise Broken(_words(error)) from error
        finally:
            traffic.waited += time.monotonic() - began
        traffic.received += len(response.body)
        if response.closes:
            self.shut_down()
        return response


def offered(response: Response) -> Iterable[tuple[str, str]]:
    """Scheme and value of each challenge; a header may hold several."""
    for name, value in response.headers:
        if name != "www-authenticate":
            continue
        for part in _CHALLENGE.findall(value):
            scheme, _, rest = part.strip().partition(" ")
            if scheme and "=" not in scheme:
                yield scheme, rest.strip()


def _proxy_authorization(url: str) -> str:
    proxy = urlsplit(url)
    if proxy.username is None:
        return ""
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return f"Proxy-Authorization: Basic {base64.b64encode(pair).decode('ascii')}\r\n"


def _authority(settings: Connection) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def _words(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return f"the name cannot be resolved ({error.strerror})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:300] or type(error).__name__
