"""One kept connection to a server, for one user at a time.

pywinrm's Protocol makes and reads the shell's messages; under it lies a wire
of ours instead of ``requests`` (docs/adr/0009). A connection that timed out or
broke can never be used again, for its sealing counts messages: reconnecting
means authenticating anew, and happens only on purpose.
"""

from __future__ import annotations

import logging
import math
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import structlog
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError
from winrm.protocol import Protocol

from orchestrator.domain.errors import CredentialsRefused
from orchestrator.domain.server import Connection
from orchestrator.transport.authentication import (
    BASIC,
    Login,
    log_in,
    refusal,
    takes_tickets,
    ticket,
)
from orchestrator.transport.deadline import Deadline, Watchdog
from orchestrator.transport.faults import (
    FAILURES,
    OPERATION_TIMED_OUT,
    Failed,
    OperationTimedOut,
    Sent,
    diagnose,
)
from orchestrator.transport.http11 import Response
from orchestrator.transport.refusals import Refused
from orchestrator.transport.sealing import Seal, is_sealed
from orchestrator.transport.tracing import blanked
from orchestrator.transport.wire import Broken, Silent, Traffic, Wire

_SOAP = "application/soap+xml;charset=UTF-8"
_HEAD = 500

log = structlog.get_logger(__name__)


class RequestFailed(Exception):
    """A request failed; ``failed`` says how."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


class _Transport:
    """What pywinrm's Protocol sends its messages through.

    ``reached`` tells whether a call got past connecting and authenticating:
    until then the server has seen nothing of its message.
    """

    def __init__(self, server: str, settings: Connection, traffic: Traffic) -> None:
        self.wire = Wire(settings, traffic)
        self.deadline = Deadline.after(0)
        self.reached = False
        self._settings = settings
        # Bound here once: an unbound logger is made anew for each message.
        self._log = log.bind(server=server)
        self._login: Login | None = None
        self._by_ticket = False
        self._ends_at = math.inf

    def send_message(self, message: str | bytes) -> bytes:
        """Send, sealed where it has to be, and give the answer's SOAP."""
        if isinstance(message, str):
            message = message.encode("utf-8")
        login = self._ready()
        self.reached = True
        body, content_type = message, _SOAP
        if login.seal is not None:
            content_type, body = _sealed(message, login.seal)
        response = self._post(body, content_type, login)
        answer = response.body
        if login.seal is not None:
            answer = _unsealed(response, login.seal)
        if self._log.is_enabled_for(logging.DEBUG):
            self._log.debug(
                "soap",
                status=response.status,
                request=blanked(message),
                answer=blanked(answer),
            )
        if response.status == 401:
            raise self._refusal(response)
        if response.status != 200:
            raise WinRMTransportError("http", response.status, answer.decode("utf-8", "replace"))
        if b"Envelope" not in answer[:_HEAD]:
            raise ValueError("it is not SOAP")
        return answer

    @property
    def is_run_out(self) -> bool:
        """Whether the login would end before an answer could be opened."""
        return time.monotonic() > self._ends_at

    def close_session(self) -> None:
        """pywinrm's name for the end of the connection."""
        self.wire.close()

    def _ready(self) -> Login:
        if self._login is None:
            self.wire.connect(self.deadline.remaining)
            self._login = log_in(self.wire, self._settings, self.deadline)
            life = self._login.lifetime
            if life is not None:
                longest = 2 * self._settings.read_timeout
                self._ends_at = time.monotonic() + life - min(longest, life / 2)
        return self._login

    def _post(self, body: bytes, content_type: str, login: Login) -> Response:
        if not self._by_ticket:
            response = self.wire.post(body, content_type, login.authorization, self._timeout())
            once_more = response.status == 401 and not response.closes
            if not once_more or not takes_tickets(self._settings, login):
                return response
            self._by_ticket = True
        shown = ticket(self.wire, self._settings, login, self.deadline)
        return self.wire.post(body, content_type, shown, self._timeout())

    def _timeout(self) -> float:
        if self.deadline.passed:
            raise Silent("the call's time limit has passed")
        return min(self._settings.read_timeout, self.deadline.remaining)

    def _refusal(self, response: Response) -> Refused:
        told = refusal(self._settings, response)
        if self._settings.transport in BASIC or self._settings.transport == "certificate":
            return told
        text = "the server has forgotten the authentication"
        if self._login is not None and self._login.seal is None and told.kind is CredentialsRefused:
            text += ", or allows no message in clear text (ansible_winrm_message_encryption)"
        return Refused(text)


def _sealed(message: bytes, seal: Seal) -> tuple[str, bytes]:
    try:
        return seal.wrap(message)
    except Exception as error:
        # Whatever the library says: nothing was sent, and a new login may do.
        raise Refused("the login has run out") from error


def _unsealed(response: Response, seal: Seal) -> bytes:
    """The answer's plain text. Where messages are sealed, SOAP in clear text is
    somebody else's; what is no SOAP comes from HTTP.sys."""
    body = response.body
    # Some answers do not say what they are.
    if "multipart/" in response.header("content-type") or is_sealed(body):
        return seal.unwrap(body)
    if response.status == 200 or b"Envelope" in body:
        raise ValueError("it is not sealed, though the request was")
    return body


class KeptConnection:
    """Authenticated once, then used for many requests.

    ``traffic`` counts what went over it, renewals included.
    """

    def __init__(self, server: str, settings: Connection, watchdog: Watchdog) -> None:
        self.server = server
        self.used_at = time.monotonic()
        self.traffic = Traffic()
        self._settings = settings
        self._watchdog = watchdog
        self._broken = False
        self._cut = False
        self._established = False
        self.protocol: Any = self._make_protocol()
        self._transport = self._new_transport()

    @property
    def url(self) -> str:
        """The endpoint."""
        return self._settings.url

    @property
    def user(self) -> str:
        """The account."""
        return self._settings.user

    @property
    def operation_timeout(self) -> int:
        """Seconds that the server may take for one request at most."""
        return self._settings.operation_timeout

    def seconds_for(self, deadline: Deadline) -> int:
        """How long the server may take for one request: it has to give up
        before the deadline does, or its answer would never be seen."""
        return max(1, min(self._settings.operation_timeout, int(deadline.remaining) - 1))

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent on it."""
        return not self._broken and not self._transport.wire.is_cut

    def call(self, deadline: Deadline, what: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of pywinrm's Protocol within ``deadline``.

        Raises OperationTimedOut for an empty long poll and RequestFailed for
        the rest. A connection that broke before, or is found closed before
        anything was sent, is made anew, and so is one whose authentication the
        server has forgotten: neither request was executed.
        """
        transport = self._transport
        is_over = self._established and (transport.is_run_out or transport.wire.is_stale())
        if self._broken or is_over:
            self._renew()
        was_established = self._established
        try:
            return self._try(deadline, what, args, kwargs)
        except RequestFailed as error:
            forgotten = was_established and error.failed.kind is CredentialsRefused
            if not forgotten or deadline.passed or self._cut:
                raise
        self._renew()
        return self._try(deadline, what, args, kwargs)

    def send(self, deadline: Deadline, message: bytes) -> bytes:
        """Send one message of our own making; as ``call``."""
        answer: bytes = self.call(deadline, "send_message", message)
        return answer

    def parse(self, answer: bytes) -> ET.Element:
        """The answer's XML; RequestFailed where it is none."""
        try:
            return ET.fromstring(answer)
        except ET.ParseError as error:
            self.close()
            raise RequestFailed(diagnose(error, False)) from error

    def cut(self) -> None:
        """End the call under way, from another thread; it is not tried again."""
        self._cut = True
        self._transport.wire.shut_down()

    def close(self) -> None:
        """Close the TCP connection."""
        self._broken = True
        self._transport.wire.close()

    def _try(self, deadline: Deadline, what: str, args: Any, kwargs: Any) -> Any:
        transport = self._transport
        transport.reached = False
        transport.deadline = deadline
        self.protocol.operation_timeout_sec = self.seconds_for(deadline)
        try:
            if deadline.passed:
                raise Silent("the call's time limit has passed")
            if self._cut:
                raise Broken("the broker is stopping")
            with self._watchdog.guard(deadline, transport.wire.shut_down):
                result = getattr(self.protocol, what)(*args, **kwargs)
        except WinRMOperationTimeoutError:
            self._succeeded()
            raise OperationTimedOut from None
        except FAILURES as error:
            failed = diagnose(error, deadline.passed)
            if not transport.reached:
                failed = replace(failed, sent=Sent.NO)
            if failed.reusable:
                self._succeeded()
            else:
                # At once: whoever still holds it must not be able to send on it.
                self.close()
            if failed.fault == OPERATION_TIMED_OUT:
                raise OperationTimedOut from None
            raise RequestFailed(failed) from error
        self._succeeded()
        return result

    def _succeeded(self) -> None:
        self._established = True
        self.used_at = time.monotonic()

    def _renew(self) -> None:
        self.close()
        self._broken = False
        self._established = False
        self._transport = self._new_transport()

    def _new_transport(self) -> _Transport:
        transport = _Transport(self.server, self._settings, self.traffic)
        self.protocol.transport = transport
        return transport

    def _make_protocol(self) -> Any:
        settings = self._settings
        # Its own transport is never used, but wants to be told of an account.
        return Protocol(
            settings.url,
            username=settings.user or "-",
            password=settings.password or "-",
            read_timeout_sec=settings.operation_timeout + 10,
            operation_timeout_sec=settings.operation_timeout,
        )
