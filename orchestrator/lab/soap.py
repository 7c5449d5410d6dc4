"""SOAP envelopes as Windows writes them, and the little of them that is read.

Shapes follow recordings of real hosts and [MS-WSMV]: upper-case GUIDs,
RelatesTo on every answer but the quota faults in the MSFT_WmiError form.
"""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from orchestrator.lab.machine import LabFault

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
MS_WSMAN = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
_FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
_FAULT_ACTION = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
_ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
_WMI_ERROR = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"

INVALID_SELECTORS = 2150858843
TIMED_OUT = 2150858793


@dataclass(frozen=True, slots=True)
class Request:
    """What a request's header says, and its body."""

    action: str
    message_id: str
    resource: str
    selectors: Mapping[str, str]
    options: Mapping[str, str]
    timeout: float | None
    body: ET.Element

    @property
    def verb(self) -> str:
        """The last part of the action."""
        return self.action.rsplit("/", 1)[-1]


def parse(message: bytes) -> Request:
    """Read a request; ValueError for what is no SOAP."""
    if b"<!DOCTYPE" in message[:2000]:
        raise ValueError("a document type declaration is not accepted")
    try:
        root = ET.fromstring(message)
    except ET.ParseError as error:
        raise ValueError(f"not XML: {error}") from None
    body = root.find(f"{{{ENVELOPE}}}Body")
    if root.tag != f"{{{ENVELOPE}}}Envelope" or body is None:
        raise ValueError("not a SOAP 1.2 envelope")
    header = root.find(f"{{{ENVELOPE}}}Header")
    header = header if header is not None else ET.Element("none")
    return Request(
        action=_text(header, ADDRESSING, "Action"),
        message_id=_text(header, ADDRESSING, "MessageID"),
        resource=_text(header, WSMAN, "ResourceURI"),
        selectors=_named(header, "Selector"),
        options=_named(header, "Option"),
        timeout=seconds(_text(header, WSMAN, "OperationTimeout")),
        body=body,
    )


def seconds(duration: str) -> float | None:
    """An xs:duration of hours, minutes and seconds, in seconds."""
    if not duration.startswith("P"):
        return None
    total, number, in_time = 0.0, "", False
    for character in duration[1:]:
        if character == "T":
            in_time = True
        elif character.isdigit() or character == ".":
            number += character
        else:
            unit = {"D": 86400.0, "H": 3600.0, "M": 60.0 if in_time else 0.0, "S": 1.0}
            if character not in unit or not number:
                return None
            total += float(number) * unit[character]
            number = ""
    return total


def guid() -> str:
    """A new GUID as Windows writes it."""
    return str(uuid.uuid4()).upper()


def answer(request: Request, body: str, *, activity: bool = True) -> bytes:
    """A good answer."""
    return _envelope(request.action + "Response", request.message_id, body, activity)


def fault(request: Request | None, error: LabFault, machine: str, language: str = "en-US") -> bytes:
    """A fault, in the old form or as MSFT_WmiError; its reason is in ``language``."""
    detail = _wmi_detail(error) if error.wmi else _wsman_detail(error, machine)
    body = (
        "<s:Fault><s:Code><s:Value>s:"
        f"{'Receiver' if error.subcode in _RECEIVER else 'Sender'}</s:Value>"
        f"<s:Subcode><s:Value>{error.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="{language}">{escape(error.reason)}</s:Text></s:Reason>'
        f"<s:Detail>{detail}</s:Detail></s:Fault>"
    )
    relates_to = request.message_id if request is not None and not error.wmi else ""
    return _envelope(_FAULT_ACTION, relates_to, body, False)


def identify() -> bytes:
    """The answer to wsmid:Identify."""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{ENVELOPE}"><s:Header/><s:Body>'
        f'<wsmid:IdentifyResponse xmlns:wsmid="{IDENTITY}">'
        "<wsmid:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
        "</wsmid:ProtocolVersion><wsmid:ProductVendor>Microsoft Corporation"
        "</wsmid:ProductVendor><wsmid:ProductVersion>OS: 0.0.0 SP: 0.0 Stack: 3.0"
        "</wsmid:ProductVersion></wsmid:IdentifyResponse></s:Body></s:Envelope>"
    ).encode()


_RECEIVER = frozenset({"w:TimedOut", "w:InternalError", "w:QuotaLimit"})


def _envelope(action: str, relates_to: str, body: str, activity: bool) -> bytes:
    extra = f"<p:ActivityId>{guid()}</p:ActivityId>" if activity else ""
    related = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{ENVELOPE}" xmlns:a="{ADDRESSING}" '
        f'xmlns:x="{TRANSFER}" xmlns:n="{ENUMERATION}" xmlns:w="{WSMAN}" '
        f'xmlns:rsp="{SHELL}" xmlns:p="{MS_WSMAN}">'
        f"<s:Header><a:Action>{escape(action)}</a:Action>"
        f"<a:MessageID>uuid:{guid()}</a:MessageID>{extra}"
        f"<a:To>{_ANONYMOUS}</a:To>{related}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _wsman_detail(error: LabFault, machine: str) -> str:
    return (
        f'<f:WSManFault xmlns:f="{_FAULT}" Code="{error.code}" Machine={quoteattr(machine)}>'
        f"<f:Message>{escape(error.reason)}</f:Message></f:WSManFault>"
    )


def _wmi_detail(error: LabFault) -> str:
    unsigned = 'xsi:type="cim:cimUnsignedInt"'
    return (
        f'<p:MSFT_WmiError b:IsCIM_Error="true" xmlns:p="{_WMI_ERROR}" '
        'xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" '
        'xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<p:CIMStatusCode {unsigned}>27</p:CIMStatusCode>"
        f'<p:CIMStatusCodeDescription xsi:type="cim:cimString" xsi:nil="true"/>'
        f'<p:ErrorType {unsigned}>0</p:ErrorType><p:Message xsi:type="cim:cimString">'
        f"{escape(error.reason)}</p:Message>"
        f'<p:MessageID xsi:type="cim:cimString">HRESULT 0x{error.code:08x}</p:MessageID>'
        f"<p:PerceivedSeverity {unsigned}>0</p:PerceivedSeverity><p:error_Code {unsigned}>"
        f'{error.code}</p:error_Code><p:error_Type xsi:type="cim:cimString">HRESULT'
        "</p:error_Type></p:MSFT_WmiError>"
    )


def _text(header: ET.Element, namespace: str, name: str) -> str:
    found = header.find(f"{{{namespace}}}{name}")
    return (found.text or "").strip() if found is not None else ""


def _named(header: ET.Element, tag: str) -> dict[str, str]:
    return {
        element.get("Name", ""): (element.text or "").strip()
        for element in header.iter(f"{{{WSMAN}}}{tag}")
    }
