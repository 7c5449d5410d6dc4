"""WQL over WS-Enumeration: questions that start nothing on the server.

Windows Server 2008 R2 and 2012 answer the first Enumerate with exactly one
item, whatever MaxElements says, and the rest by Pull, whose context changes
with every page. The end is EndOfSequence or an empty context.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from orchestrator.domain.errors import (
    ConnectionLost,
    DeadlineExceeded,
    ProtocolViolation,
    QueryRejected,
)
from orchestrator.transport.connection import KeptConnection, RequestFailed
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.faults import OperationTimedOut, Sent
from orchestrator.transport.pool import Pool
from orchestrator.transport.soap import ENUMERATION, SOAP, WSMAN, envelope
from orchestrator.transport.wire import Traffic

Value = str | None | list["Value"] | datetime
Row = dict[str, Value]

_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
CIMV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/*"
STANDARD_CIMV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/StandardCimv2/*"
_DIALECT = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
_MOST = 32000
_BODY = f"{{{SOAP}}}Body"
_ITEMS = frozenset(f"{{{namespace}}}Items" for namespace in (WSMAN, ENUMERATION))
_END = frozenset(f"{{{namespace}}}EndOfSequence" for namespace in (WSMAN, ENUMERATION))
_CONTEXT = f"{{{ENUMERATION}}}EnumerationContext"
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?")


class Questions:
    """Questions of one user on one connection."""

    def __init__(self, server: str, connection: KeptConnection) -> None:
        self._server = server
        self._connection = connection

    def rows(self, wql: str, deadline: Deadline, namespace: str = CIMV2) -> list[Row]:
        """Every row of a query in ``namespace``, each by property name.

        Asking is safe to repeat, so a connection that breaks costs one more try
        on a new one; the second failure is raised as the error it is.
        """
        server = self._server
        for last_try in (False, True):
            try:
                return _enumerate(self._connection, namespace, wql, deadline)
            except RequestFailed as error:
                if error.failed.kind is ProtocolViolation and error.failed.fault is not None:
                    # WMI has many ways of saying that it will not answer a question.
                    raise QueryRejected(error.failed.message, server=server) from error
                lost = error.failed.kind in {ConnectionLost, DeadlineExceeded}
                again = lost and error.failed.sent is Sent.MAYBE and not deadline.passed
                if last_try or not again:
                    raise error.failed.error(server, may_have_run=False) from error
            except OperationTimedOut:
                raise DeadlineExceeded(f"no answer to {wql!r}", server=server) from None
        raise AssertionError("one of the two tries returns or raises")


@contextmanager
def questions(pool: Pool, server: str, deadline: Deadline, traffic: Traffic) -> Iterator[Questions]:
    """A connection to ask on, given back at the end; what goes over it is added
    to ``traffic``."""
    connection = pool.take(deadline)
    before = connection.traffic.copy()
    try:
        yield Questions(server, connection)
    finally:
        traffic.add(connection.traffic - before)
        pool.give_back(connection)


def enumerate_body(wql: str) -> str:
    """The body of the message that asks a query."""
    return (
        "<n:Enumerate><w:OptimizeEnumeration/>"
        f"<w:MaxElements>{_MOST}</w:MaxElements>"
        f'<w:Filter Dialect="{_DIALECT}">{escape(wql)}</w:Filter></n:Enumerate>'
    )


def _enumerate(
    connection: KeptConnection, namespace: str, wql: str, deadline: Deadline
) -> list[Row]:
    rows: list[Row] = []
    body = enumerate_body(wql)
    context = _page(_ask(connection, "Enumerate", namespace, body, deadline), rows)
    while context:
        body = (
            f"<n:Pull><n:EnumerationContext>{escape(context)}</n:EnumerationContext>"
            f"<n:MaxElements>{_MOST}</n:MaxElements></n:Pull>"
        )
        context = _page(_ask(connection, "Pull", namespace, body, deadline), rows)
    return rows


def _ask(
    connection: KeptConnection, action: str, namespace: str, body: str, deadline: Deadline
) -> ET.Element:
    message = envelope(
        connection.url, f"{ENUMERATION}/{action}", namespace, body, connection.seconds_for(deadline)
    )
    return connection.parse(connection.send(deadline, message))


def _page(root: ET.Element, rows: list[Row]) -> str | None:
    """Add the page's items to ``rows``; the context to go on with, or None at the end."""
    context: str | None = None
    ended = False
    for part in _response(root):
        name = part.tag
        if name in _ITEMS:
            rows.extend(_row(item) for item in part)
        elif name in _END:
            ended = True
        elif name == _CONTEXT:
            context = (part.text or "").strip() or None
    return None if ended else context


def _response(root: ET.Element) -> ET.Element:
    """What the envelope's body holds; an empty element where it holds nothing."""
    body = root.find(_BODY)
    found = next(iter(body), None) if body is not None else None
    return found if found is not None else ET.Element("nothing")


def _row(item: ET.Element) -> Row:
    row: Row = {}
    for child in item:
        name = child.tag.rsplit("}", 1)[-1]
        value = _value(child)
        if name not in row:
            row[name] = value
            continue
        before = row[name]
        row[name] = [*before, value] if isinstance(before, list) else [before, value]
    return row


def _value(element: ET.Element) -> Value:
    if element.get(_NIL) == "true":
        return None
    inner = next(iter(element), None)
    if inner is not None and inner.tag.rsplit("}", 1)[-1] == "Datetime":
        try:
            return parse_datetime((inner.text or "").strip())
        except ValueError:
            return None  # WMI has dates with asterisks, and some hosts none at all.
    return element.text or ""


def parse_datetime(text: str) -> datetime:
    """An xs:dateTime with any number of fraction digits, aware, in UTC."""
    if not _DATETIME.fullmatch(text):
        raise ValueError(f"not a date and time: {text!r}")
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
