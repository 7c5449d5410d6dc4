"""A server of the lab: WinRM on a loopback port, with a machine behind it."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.lab import soap
from orchestrator.lab.auth import Access, Challenge, ConnectionAuth, UserStore
from orchestrator.lab.bindings import end_point
from orchestrator.lab.dialect import DIALECTS, Dialect, Quotas
from orchestrator.lab.enumeration import Enumerations
from orchestrator.lab.faults import Fault, FaultKind, Faults
from orchestrator.lab.http import Cut, Drip, Hang, HttpListener, HttpReply, HttpRequest
from orchestrator.lab.listing import RESOURCES as SHELLS
from orchestrator.lab.listing import ShellListing
from orchestrator.lab.machine import LabFault, Machine
from orchestrator.lab.shells import Shells
from orchestrator.lab.tls import ClientCertificates, peer_name, server_context

_SOAP_TYPE = "application/soap+xml;charset=UTF-8"


class LabServer:
    """Start it, talk to ``url``, stop it. ``dialect`` is 2008r2, 2012, 2012r2 or
    2022, or one of one's own.

    ``faults`` injects what goes wrong; ``stats`` counts requests (all, and those
    of each SOAP verb), auth legs, shells, commands and sealed messages;
    ``open_shells`` shows leaks.

    ``schemes`` are HTTP's, in lower case: None for Negotiate, Kerberos where
    there is a ``keytab``, certificates where ``clients`` says whose, and Basic
    where the message is not in clear text. ``binding_level`` is CbtHardeningLevel.
    ``forgets_tickets``: a login by Kerberos holds for its own request, unless
    messages are sealed.
    """

    def __init__(
        self,
        machine: Machine,
        users: Mapping[str, str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: Path | None = None,
        allow_unencrypted: bool = False,
        dialect: str | Dialect = "2022",
        quotas: Quotas | None = None,
        seed: int = 1,
        schemes: Collection[str] | None = None,
        keytab: Path | None = None,
        clients: ClientCertificates | None = None,
        binding_level: str = "relaxed",
        forgets_tickets: bool = False,
    ) -> None:
        self.machine = machine
        self.faults = Faults()
        self.stats: Counter[str] = Counter()
        self.dialect = DIALECTS[dialect] if isinstance(dialect, str) else dialect
        self._quotas = quotas or self.dialect.quotas
        self._store = UserStore(users, keytab)
        self._secure = certificate is not None
        self._plain_allowed = allow_unencrypted or self._secure
        self._clients = clients
        self._forgets_tickets = forgets_tickets
        bound = certificate is not None and binding_level != "none"
        self._access = Access(
            self._store,
            frozenset(self._default_schemes(keytab) if schemes is None else schemes),
            clients.accounts if clients is not None else {},
            end_point(certificate) if certificate is not None and bound else None,
            binding_level,
        )
        self._stopping = threading.Event()
        self._shells = Shells(
            machine,
            self._quotas,
            dialect=self.dialect,
            seed=seed,
            count=self._count,
        )
        self._enumerations = Enumerations(machine, one_first=self.dialect.one_first)
        self._listing = ShellListing(self._shells, one_first=self.dialect.one_first)
        context = server_context(certificate, clients) if certificate is not None else None
        self._listener = HttpListener(host, port, self._new_handler, context)
        self.host = host
        self.port = self._listener.port
        self.url = f"{'https' if self._secure else 'http'}://{host}:{self.port}/wsman"
        self._verbs: dict[str, Callable[[soap.Request], str]] = {
            "Delete": self._shells.delete,
            "Command": self._shells.command,
            "Send": self._shells.send,
            "Receive": self._shells.receive,
            "Signal": self._shells.signal,
            "Enumerate": self._enumerations.enumerate,
            "Pull": self._enumerations.pull,
            "Release": self._enumerations.release,
        }

    def start(self) -> None:
        """Listen."""
        self._listener.start()

    def stop(self) -> None:
        """End every shell, connection and thread."""
        self._stopping.set()
        self._shells.stop()
        self._listener.stop()
        self._store.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def end_shells(self) -> None:
        """End every shell, as a restart of the WinRM service does."""
        self._shells.end()

    @property
    def open_shells(self) -> list[str]:
        """Ids of shells that nobody has deleted."""
        return self._shells.open_shells

    @property
    def open_connections(self) -> int:
        """TCP connections that are open."""
        return self._listener.connections

    @property
    def open_enumerations(self) -> int:
        """Enumerations that wait for a Pull."""
        return self._enumerations.contexts

    def age_shells(self, seconds: float) -> None:
        """Let every open shell be that much older, and as long unused."""
        self._shells.age(seconds)

    def _count(self, what: str) -> None:
        self.stats[what] += 1

    def _default_schemes(self, keytab: Path | None) -> list[str]:
        kerberos = ["kerberos"] if keytab is not None else []
        certificate = ["certificate"] if self._clients is not None else []
        return ["negotiate", *kerberos, *certificate, *(["basic"] if self._plain_allowed else [])]

    def _new_handler(self, sock: socket.socket) -> Callable[[HttpRequest], HttpReply]:
        self._count("connections")
        auth = ConnectionAuth(self._access)

        is_first = True

        def handle(request: HttpRequest) -> HttpReply:
            nonlocal is_first
            self._count("requests")
            steps = [*(["Connect"] if is_first else []), *(["Auth"] if not request.body else [])]
            is_first = False
            faults = [fault for step in steps if (fault := self.faults.take(step)) is not None]
            for fault in faults:
                early = self._before(fault, auth)
                if early is not None:
                    return early
            legs = auth.legs
            try:
                reply = self._handle(request, auth, sock)
            finally:
                sealed = request.headers.get("content-type", "").startswith("multipart/")
                if self._forgets_tickets and auth.is_by_ticket and not sealed:
                    auth.forget()
                self.stats["auth_legs"] += auth.legs - legs
            for fault in faults:
                self._after(fault, reply)
            return reply

        return handle

    def _handle(self, request: HttpRequest, auth: ConnectionAuth, sock: socket.socket) -> HttpReply:
        if request.path.split("?")[0].rstrip("/") != "/wsman":
            return HttpReply(404)
        if request.method != "POST":
            return HttpReply(405, headers=[("Allow", "POST")])
        if (
            self.dialect.identify
            and request.headers.get("wsmanidentify", "").lower() == "unauthenticated"
        ):
            return HttpReply(200, soap.identify(), [("Content-Type", _SOAP_TYPE)])
        header = request.headers.get("authorization")
        name = None
        if auth.wants_certificate(header) and self._clients is not None:
            name = peer_name(sock, self._clients)
        authenticated = auth.authenticate(header, name)
        if isinstance(authenticated, Challenge):
            return HttpReply(401, headers=[("WWW-Authenticate", v) for v in authenticated.values])
        headers = [("WWW-Authenticate", authenticated)] if authenticated else []
        if not request.body:
            return HttpReply(200, b"", headers)
        if len(request.body) > self._quotas.envelope_kilobytes * 1024 * 3 // 2:
            return HttpReply(413)
        reply = self._answer(request, auth)
        reply.headers += headers
        return reply

    def _answer(self, request: HttpRequest, auth: ConnectionAuth) -> HttpReply:
        sealed = request.headers.get("content-type", "").startswith("multipart/")
        if not sealed and not self._plain_allowed:
            return self._refuse_plain()
        try:
            message = auth.unseal(request.body) if sealed else request.body
            parsed = soap.parse(message)
        except ValueError:
            return HttpReply(400)
        self.stats["sealed"] += sealed
        self._count(parsed.verb)
        fault = self.faults.take(parsed.verb)
        if fault is not None:
            early = self._before(fault, auth)
            if early is not None:
                return early
        status, body = self._dispatch(parsed, auth.user or "", fault)
        reply = self._wrap(status, body, auth, sealed)
        if fault is not None:
            self._after(fault, reply)
        return reply

    def _refuse_plain(self) -> HttpReply:
        """A host that does not allow unencrypted messages answers 500 or 401."""
        status = self.dialect.plain_status
        offered = [("WWW-Authenticate", "Negotiate")] if status == 401 else []
        return HttpReply(status, headers=offered)

    def _dispatch(self, request: soap.Request, user: str, fault: Fault | None) -> tuple[int, bytes]:
        try:
            self._raise_injected(fault)
            if next(request.body.iter(f"{{{soap.IDENTITY}}}Identify"), None) is not None:
                if self.dialect.identify:
                    return 200, soap.identify()
                raise LabFault(5, "w:AccessDenied", "Access is denied.")
            if request.verb == "Create":
                body = self._shells.create(request, user)
            elif request.resource in SHELLS and request.verb in {"Enumerate", "Pull"}:
                listing = self._listing
                body = (listing.enumerate if request.verb == "Enumerate" else listing.pull)(request)
            elif request.verb in self._verbs:
                body = self._verbs[request.verb](request)
            else:
                raise LabFault(
                    2150858810,
                    "w:ActionNotSupported",
                    f"The action {request.verb} is not supported.",
                )
        except LabFault as error:
            told = LabFault(error.code, error.subcode, self.dialect.text(error), wmi=error.wmi)
            return 500, soap.fault(request, told, self.machine.name, self.dialect.language)
        return 200, soap.answer(request, body, activity=self.dialect.activity)

    def _raise_injected(self, fault: Fault | None) -> None:
        if fault is None:
            return
        if fault.kind is FaultKind.QUOTA_SHELLS:
            raise self._shells.shell_quota()
        if fault.kind is FaultKind.QUOTA_OPERATIONS:
            raise self._shells.operation_quota()
        if fault.kind is FaultKind.ACCESS_DENIED:
            raise LabFault(5, "w:AccessDenied", "Access is denied.")

    def _before(self, fault: Fault, auth: ConnectionAuth) -> HttpReply | None:
        if fault.kind is FaultKind.DROP_BEFORE:
            raise Cut
        if fault.kind is FaultKind.HANG:
            raise Hang
        if fault.kind is FaultKind.LATENCY:
            self._stopping.wait(fault.seconds)
        if fault.kind is FaultKind.UNAUTHORIZED:
            auth.forget()
            return HttpReply(401, headers=[("WWW-Authenticate", "Negotiate")])
        if fault.kind is FaultKind.UNAVAILABLE:
            return HttpReply(503)
        if fault.kind is FaultKind.GARBAGE:
            return HttpReply(200, b"<html>It works!</html>", [("Content-Type", "text/html")])
        return None

    def _after(self, fault: Fault, reply: HttpReply) -> None:
        if fault.kind is FaultKind.DROP_AFTER:
            raise Cut
        if fault.kind is FaultKind.HANG_AFTER:
            raise Hang
        if fault.kind is FaultKind.DROP_MIDWAY:
            encoded = reply.encode()
            raise Cut(encoded[: len(encoded) // 2])
        if fault.kind is FaultKind.DRIP:
            raise Drip(reply.encode(), self._stopping)

    def _wrap(self, status: int, body: bytes, auth: ConnectionAuth, sealed: bool) -> HttpReply:
        kind = _SOAP_TYPE
        if sealed:
            kind, body = auth.seal(body)
        return HttpReply(
            status, body, [("Content-Type", kind)] if self.dialect.content_type else []
        )
