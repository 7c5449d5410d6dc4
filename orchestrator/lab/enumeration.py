"""WQL over WS-Enumeration, paged as real hosts page.

Windows Server 2008 R2 and 2012 put exactly one item into the first answer,
whatever MaxElements says; every page has a new context.
"""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from datetime import datetime
from xml.sax.saxutils import escape

from orchestrator.lab.machine import Instance, LabFault, Machine, Value
from orchestrator.lab.soap import ENUMERATION, WSMAN, Request, guid

_WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
_DIALECTS = frozenset(
    {
        "http://schemas.microsoft.com/wbem/wsman/1/WQL",
        "http://schemas.dmtf.org/wbem/cql/1/dsp0202.pdf",
    }
)
_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_CIM = 'xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common"'


class Enumerations:
    """Open enumerations of one server."""

    def __init__(self, machine: Machine, *, one_first: bool) -> None:
        self._machine = machine
        self._one_first = one_first
        self._lock = threading.Lock()
        self._open: dict[str, tuple[str, list[Instance]]] = {}

    @property
    def contexts(self) -> int:
        """How many enumerations wait for their next Pull."""
        with self._lock:
            return len(self._open)

    def enumerate(self, request: Request) -> str:
        """Enumerate: the first page."""
        if not request.resource.lower().startswith(_WMI):
            raise LabFault(
                2150858752, "w:InvalidResourceURI", "The resource URI is not of a WMI namespace."
            )
        element = request.body.find(f"{{{ENUMERATION}}}Enumerate")
        wanted = element.find(f"{{{WSMAN}}}Filter") if element is not None else None
        if wanted is None or wanted.get("Dialect") not in _DIALECTS:
            raise LabFault(
                2150858776, "w:FilteringNotSupported", "The filter dialect is not supported."
            )
        namespace = request.resource[len(_WMI) :].rpartition("/")[0]
        rows = self._machine.query((wanted.text or "").strip(), namespace)
        optimised = element is not None and element.find(f"{{{WSMAN}}}OptimizeEnumeration")
        if optimised is None or optimised is False:
            context = self._keep(namespace, rows)
            return _response("Enumerate", context, "", ended=False)
        size = 1 if self._one_first else _most(element)
        return self._page("Enumerate", namespace, rows, size, "w")

    def pull(self, request: Request) -> str:
        """Pull: the next page."""
        element = request.body.find(f"{{{ENUMERATION}}}Pull")
        found = (
            element.find(f"{{{ENUMERATION}}}EnumerationContext") if element is not None else None
        )
        context = (found.text or "").strip() if found is not None else ""
        with self._lock:
            kept = self._open.pop(context, None)
        if kept is None:
            raise LabFault(
                2150858837, "n:InvalidEnumerationContext", "The enumeration context is not valid."
            )
        return self._page("Pull", *kept, _most(element), "n")

    def release(self, request: Request) -> str:
        """Release: forget it."""
        for element in request.body.iter(f"{{{ENUMERATION}}}EnumerationContext"):
            with self._lock:
                self._open.pop((element.text or "").strip(), None)
        return ""

    def _page(self, kind: str, namespace: str, rows: list[Instance], size: int, prefix: str) -> str:
        page, rest = rows[:size], rows[size:]
        items = "".join(_item(row, namespace) for row in page)
        body = f"<{prefix}:Items>{items}</{prefix}:Items>"
        if not rest:
            return _response(kind, "", f"{body}<{prefix}:EndOfSequence/>", ended=True)
        return _response(kind, self._keep(namespace, rest), body, ended=False)

    def _keep(self, namespace: str, rows: list[Instance]) -> str:
        context = f"uuid:{guid()}"
        with self._lock:
            self._open[context] = (namespace, rows)
        return context


def _response(kind: str, context: str, body: str, *, ended: bool) -> str:
    shown = (
        ""
        if ended and kind == "Pull"
        else f"<n:EnumerationContext>{context}</n:EnumerationContext>"
    )
    return f"<n:{kind}Response>{shown}{body}</n:{kind}Response>"


def _most(element: ET.Element | None) -> int:
    if element is not None:
        for namespace in (WSMAN, ENUMERATION):
            found = element.find(f"{{{namespace}}}MaxElements")
            if found is not None and (found.text or "").strip().isdigit():
                return max(1, int(found.text or "1"))
    return 1


def _item(row: Instance, namespace: str) -> str:
    if row.projected:
        inside = "".join(_fragment(name, value) for name, value in row.properties.items())
        return f"<w:XmlFragment {_XSI}>{inside}</w:XmlFragment>"
    inside = "".join(_property(name, value) for name, value in row.properties.items())
    return (
        f'<p:{row.class_name} xmlns:p="{_WMI}{namespace}/{row.class_name}" {_XSI} {_CIM} '
        f'xsi:type="p:{row.class_name}_Type">{inside}</p:{row.class_name}>'
    )


def _fragment(name: str, value: Value) -> str:
    if isinstance(value, datetime):
        return f"<{name}><Datetime>{_moment(value)}</Datetime></{name}>"
    return _element(name, value)


def _property(name: str, value: Value) -> str:
    if isinstance(value, datetime):
        return f"<p:{name}><cim:Datetime>{_moment(value)}</cim:Datetime></p:{name}>"
    return _element(f"p:{name}", value)


def _element(tag: str, value: Value) -> str:
    if value is None:
        return f'<{tag} xsi:nil="true"/>'
    if isinstance(value, bool):
        return f"<{tag}>{'true' if value else 'false'}</{tag}>"
    if isinstance(value, (list, tuple)):
        return "".join(_element(tag, each) for each in value)
    return f"<{tag}>{escape(str(value))}</{tag}>"


def _moment(value: datetime) -> str:
    text = value.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return text + "Z"
